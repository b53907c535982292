/* The audit, to be read. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "plugins/audit_report.h"

enum { SPAN_TEXT = 32, SHARE_TEXT = 48, WIDTH = 96 };

/* "3 d 4 h", "14 h 58 min", "2 min 5 s", "0.3 s" */
static const char *span(char out[SPAN_TEXT], uint64_t ns)
{
	uint64_t s = ns / LP_NS_PER_S;

	if (s >= 86400)
		snprintf(out, SPAN_TEXT, "%" PRIu64 " d %" PRIu64 " h", s / 86400, s % 86400 / 3600);
	else if (s >= 3600)
		snprintf(out, SPAN_TEXT, "%" PRIu64 " h %" PRIu64 " min", s / 3600, s % 3600 / 60);
	else if (s >= 60)
		snprintf(out, SPAN_TEXT, "%" PRIu64 " min %" PRIu64 " s", s / 60, s % 60);
	else
		snprintf(out, SPAN_TEXT, "%" PRIu64 ".%u s", s,
			 (unsigned)(ns % LP_NS_PER_S / (LP_NS_PER_S / 10)));
	return out;
}

/* "30 (75.0 %)" */
static const char *share(char out[SHARE_TEXT], uint64_t part, uint64_t whole)
{
	snprintf(out, SHARE_TEXT, "%" PRIu64 " (%.1f %%)", part,
		 whole ? 100.0 * (double)part / (double)whole : 0.0);
	return out;
}

static int line(struct lp_sink *out)
{
	return lp_sink_line(out);
}

static int kinds(struct lp_sink *out, const struct lp_ledger_server *s)
{
	static const char *const name[LP_BY_COUNT] = {
		"RSA", "ephemeral", "static DH", "PSK", "other",
	};
	uint64_t full = 0;
	const char *comma = "";
	char text[SHARE_TEXT];

	for (int i = 0; i < LP_BY_COUNT; i++)
		full += s->full[i];
	if (full) {
		if (lp_sink_print(out, "  key exchange: "))
			return -1;
		for (int i = 0; i < LP_BY_COUNT; i++) {
			if (!s->full[i])
				continue;
			if (lp_sink_print(out, "%s%s %s", comma, name[i], share(text, s->full[i], full)))
				return -1;
			comma = ", ";
		}
		if (lp_sink_print(out, " of %" PRIu64 " full handshakes\n", full) || line(out))
			return -1;
	}
	if (s->tls13 && (lp_sink_print(out, "  TLS 1.3: %s: ephemeral; its tickets are not to be seen\n",
				       share(text, s->tls13, s->sessions)) || line(out)))
		return -1;
	return 0;
}

static int resumptions(struct lp_sink *out, const struct lp_ledger_server *s)
{
	const uint64_t judged = s->sessions - s->tls13;
	char a[SHARE_TEXT], b[SHARE_TEXT], t[SPAN_TEXT];

	if (!judged)
		return 0;
	if (lp_sink_print(out, "  extended master secret: %s\n",
			  share(a, s->ems, s->ems + s->no_ems)) || line(out))
		return -1;
	if (lp_sink_print(out, "  resumed: by session ID %s, by ticket %s of %" PRIu64 " sessions\n",
			  share(a, s->by_id, judged), share(b, s->by_ticket, judged), judged) ||
	    line(out))
		return -1;
	if (!s->by_id && !s->by_ticket)
		return 0;
	if (lp_sink_print(out, "  longest time from a session to its resumption: %s%s",
			  s->longest_open ? "at least " : "", span(t, s->longest_ns)) ||
	    (s->older && lp_sink_print(out, " (%" PRIu64 " resumed sessions from before the capture)",
				       s->older)) ||
	    lp_sink_print(out, "\n") || line(out))
		return -1;
	return 0;
}

static int key(struct lp_sink *out, const struct lp_ledger_key *k, size_t bytes)
{
	char name[2 * LP_LEDGER_NAME + 1], first[LP_LABEL_TIME], last[LP_LABEL_TIME], t[SPAN_TEXT];

	if (lp_sink_print(out, "  ticket key %s: issued %" PRIu64 ", accepted %" PRIu64
			  ", from %s to %s (%s)\n", lp_text_hex(name, k->name, bytes), k->issued,
			  k->accepted, lp_label_time(first, k->first_ns),
			  lp_label_time(last, k->last_ns), span(t, k->last_ns - k->first_ns)))
		return -1;
	return line(out);
}

static int keys(struct lp_sink *out, const struct lp_ledger_server *s)
{
	uint64_t longest;
	enum lp_rotation r = lp_findings_rotation(s, &longest);
	size_t bytes;
	const struct lp_ledger_names *names = lp_ledger_names(s, &bytes);
	char t[SPAN_TEXT];

	for (size_t i = 0; names && i < names->n; i++)
		if (key(out, &names->key[i], bytes))
			return -1;
	if (names && names->over &&
	    (lp_sink_print(out, "  ticket keys: %" PRIu64 " tickets under keys beyond the first %d\n",
			   names->over, LP_LEDGER_KEYS) || line(out)))
		return -1;
	span(t, longest);
	switch (r) {
	case LP_ROTATION_NONE:
		return 0;
	case LP_ROTATION_NAMELESS:
		if (lp_sink_print(out, "  rotation: the %" PRIu64 " tickets have no key names\n",
				  s->tickets))
			return -1;
		break;
	case LP_ROTATION_SHORT:
		if (lp_sink_print(out, "  rotation: none seen in %s\n", t))
			return -1;
		break;
	case LP_ROTATION_NEVER:
		if (lp_sink_print(out, "  rotation: none in %s\n", t))
			return -1;
		break;
	case LP_ROTATION_SLOW:
	case LP_ROTATION_DAILY:
		if (lp_sink_print(out, "  rotation: seen; the longest in use was so for %s\n", t))
			return -1;
		break;
	}
	return line(out);
}

static int shared_with(struct lp_sink *out, const struct lp_findings *f,
		       const struct lp_ledger_server *s)
{
	char name[2 * LP_LEDGER_NAME + 1];

	for (size_t i = 0; i < f->shared_n; i++) {
		const struct lp_shared_key *k = &f->shared[i];
		size_t self = k->servers;

		for (size_t n = 0; n < k->servers; n++)
			if (f->users[k->first + n] == s)
				self = n;
		if (self == k->servers)
			continue;
		if (lp_sink_print(out, "  shares ticket key %s with",
				  lp_text_hex(name, k->name, LP_LEDGER_NAME)))
			return -1;
		for (size_t n = 0; n < k->servers; n++)
			if (n != self && lp_sink_print(out, " %s", f->users[k->first + n]->text))
				return -1;
		if (lp_sink_print(out, "\n") || line(out))
			return -1;
	}
	return 0;
}

/* A sentence, broken at blanks. */
static int advice(void *user, const char *code, const char *sentence)
{
	struct lp_sink *out = user;
	size_t at = 0, used = 4;

	(void)code;
	if (lp_sink_print(out, "  *"))
		return -1;
	while (sentence[at]) {
		size_t n = strcspn(sentence + at, " ");

		if (used + 1 + n > WIDTH) {
			if (lp_sink_print(out, "\n   ") || line(out))
				return -1;
			used = 4;
		}
		if (lp_sink_print(out, " %.*s", (int)n, sentence + at))
			return -1;
		used += 1 + n;
		at += n + (sentence[at + n] == ' ');
	}
	return lp_sink_print(out, "\n") || line(out) ? -1 : 0;
}

static int server(struct lp_sink *out, const struct lp_findings *f,
		  const struct lp_ledger_server *s)
{
	char first[LP_LABEL_TIME], last[LP_LABEL_TIME];

	if (lp_sink_print(out, "\n%s%s%s%s: %" PRIu64 " session%s, %s to %s\n", s->text,
			  *s->sni ? " (" : "", s->sni, *s->sni ? ")" : "", s->sessions,
			  s->sessions == 1 ? "" : "s",
			  lp_label_time(first, s->first_ns), lp_label_time(last, s->last_ns)) ||
	    line(out))
		return -1;
	if (kinds(out, s) || resumptions(out, s) || keys(out, s) || shared_with(out, f, s))
		return -1;
	return lp_findings_advise(f, s, advice, out);
}

static int limits(struct lp_sink *out, const struct lp_ledger_totals *t)
{
	if (t->unanswered && (lp_sink_print(out, "\n%" PRIu64 " sessions without a ServerHello are "
					    "not counted\n", t->unanswered) || line(out)))
		return -1;
	if (t->over_servers && (lp_sink_print(out, "\n%" PRIu64 " sessions of servers beyond the cap "
					      "are not counted (servers=N)\n", t->over_servers) ||
				line(out)))
		return -1;
	if (t->forgotten && (lp_sink_print(out, "\nonly the newest sessions were followed to their "
					   "resumption, %" PRIu64 " were forgotten (sessions=N)\n",
					   t->forgotten) || line(out)))
		return -1;
	return 0;
}

int lp_audit_text(struct lp_sink *out, const struct lp_ledger *l, const struct lp_findings *f)
{
	const struct lp_ledger_totals *t = lp_ledger_totals(l);
	size_t n;
	const struct lp_ledger_server *const *s = lp_ledger_servers(l, &n);
	char first[LP_LABEL_TIME], last[LP_LABEL_TIME];

	if (lp_sink_print(out, "Forward secrecy of %zu server%s, %" PRIu64 " session%s", n,
			  n == 1 ? "" : "s", t->sessions, t->sessions == 1 ? "" : "s") ||
	    (t->sessions && lp_sink_print(out, ", %s to %s (UTC)", lp_label_time(first, t->first_ns),
					  lp_label_time(last, t->last_ns))) ||
	    lp_sink_print(out, "\n") || line(out))
		return -1;
	for (size_t i = 0; i < n; i++)
		if (server(out, f, s[i]))
			return -1;
	return limits(out, t);
}
