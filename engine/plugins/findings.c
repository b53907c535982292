#include "plugins/findings.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"

/* "Daily" has an hour of grace: jobs that change keys do not run to the second. */
#define DAY_NS (25 * 3600 * LP_NS_PER_S)

/* ---- keys that are shared ---- */

struct use {
	const uint8_t *name;
	const struct lp_ledger_server *server;
	size_t order;
};

static int by_name(const void *a, const void *b)
{
	const struct use *x = a, *y = b;
	int c = memcmp(x->name, y->name, LP_LEDGER_NAME);

	return c ? c : x->order < y->order ? -1 : x->order > y->order;
}

static size_t collect(const struct lp_ledger *l, struct use *out)
{
	size_t servers, bytes, n = 0;
	const struct lp_ledger_server *const *server = lp_ledger_servers(l, &servers);

	for (size_t i = 0; i < servers; i++) {
		const struct lp_ledger_names *names = lp_ledger_names(server[i], &bytes);

		/* Four bytes may be the same by chance, or count from 1. */
		if (!names || bytes != LP_LEDGER_NAME)
			continue;
		for (size_t k = 0; k < names->n; k++, n++)
			if (out)
				out[n] = (struct use){ names->key[k].name, server[i], i };
	}
	return n;
}

struct lp_findings *lp_findings_new(const struct lp_ledger *l)
{
	struct lp_findings *f = calloc(1, sizeof *f);
	size_t n = collect(l, NULL), end;
	struct use *use = calloc(n + 1, sizeof *use);

	if (!f || !use)
		goto out;
	f->users = calloc(n + 1, sizeof *f->users);
	f->shared = calloc(n / 2 + 1, sizeof *f->shared);
	if (!f->users || !f->shared)
		goto out;
	(void)collect(l, use);
	qsort(use, n, sizeof *use, by_name);
	for (size_t i = 0; i < n; i = end) {
		for (end = i + 1; end < n && !memcmp(use[i].name, use[end].name, LP_LEDGER_NAME);)
			end++;
		if (end - i < 2)
			continue;
		memcpy(f->shared[f->shared_n].name, use[i].name, LP_LEDGER_NAME);
		f->shared[f->shared_n].servers = end - i;
		f->shared[f->shared_n++].first = f->users_n;
		for (size_t k = i; k < end; k++)
			f->users[f->users_n++] = use[k].server;
	}
	free(use);
	return f;
out:
	free(use);
	lp_findings_free(f);
	return NULL;
}

void lp_findings_free(struct lp_findings *f)
{
	if (!f)
		return;
	free(f->shared);
	free(f->users);
	free(f);
}

/* ---- rotation ---- */

enum lp_rotation lp_findings_rotation(const struct lp_ledger_server *s, uint64_t *longest_ns)
{
	size_t bytes;
	const struct lp_ledger_names *names = lp_ledger_names(s, &bytes);
	const struct lp_ledger_key *first = NULL;
	bool changed = false;

	*longest_ns = 0;
	if (!s->tickets && !s->by_ticket)
		return LP_ROTATION_NONE;
	if (!names)
		return LP_ROTATION_NAMELESS;
	for (size_t i = 0; i < names->n; i++) {
		const struct lp_ledger_key *k = &names->key[i];

		/* A key that was changed daily is accepted for a day more. */
		if (k->last_ns - k->first_ns > 2 * DAY_NS && k->last_ns - k->first_ns > *longest_ns)
			*longest_ns = k->last_ns - k->first_ns;
		if (!k->issued)
			continue;
		if (k->last_issue_ns - k->first_issue_ns > *longest_ns)
			*longest_ns = k->last_issue_ns - k->first_issue_ns;
		/* One was not used any more when the other came; several that are used at
		 * the same time are those of several machines behind one address. */
		changed |= first && k->first_issue_ns >= first->last_issue_ns;
		if (!first || k->last_issue_ns < first->last_issue_ns)
			first = k;
	}
	if (changed)
		return *longest_ns > DAY_NS ? LP_ROTATION_SLOW : LP_ROTATION_DAILY;
	return *longest_ns > DAY_NS ? LP_ROTATION_NEVER : LP_ROTATION_SHORT;
}

const char *lp_findings_rotation_code(enum lp_rotation r)
{
	static const char *const code[] = {
		[LP_ROTATION_NONE] = "no-tickets",     [LP_ROTATION_NAMELESS] = "no-names",
		[LP_ROTATION_SHORT] = "too-short",     [LP_ROTATION_NEVER] = "never",
		[LP_ROTATION_SLOW] = "slower-than-daily", [LP_ROTATION_DAILY] = "daily",
	};

	return code[r];
}

/* ---- advice ---- */

static const struct {
	const char *code, *sentence;
} advice[] = {
	{ "rsa-key-exchange",
	  "Whoever gets the server's private key, even years later, opens the sessions with RSA key "
	  "exchange: offer ECDHE suites only (nginx ssl_ciphers, Apache SSLCipherSuite, HAProxy "
	  "ssl-default-bind-ciphers)." },
	{ "static-key-exchange",
	  "Static Diffie-Hellman and plain pre-shared keys are no more forward-secret than RSA: offer "
	  "ECDHE suites only." },
	{ "ticket-key-rotation",
	  "Whoever gets a ticket key opens every session that had a ticket under it, ephemeral key "
	  "exchange or not: rotate it daily, keeping the one before to accept (nginx: a new file "
	  "first in the ssl_session_ticket_key list, then reload; Apache: a new "
	  "SSLSessionTicketKeyFile, then restart gracefully; HAProxy: tls-ticket-keys, or 'set ssl "
	  "tls-key' on its socket), and keep the files in memory, not on disk." },
	{ "ticket-key-unchanged",
	  "One ticket key for as long as was watched, which was less than a day: see that it is "
	  "rotated daily (nginx ssl_session_ticket_key, Apache SSLSessionTicketKeyFile, HAProxy "
	  "tls-ticket-keys). Without these directives the key is as old as the server process." },
	{ "ticket-key-shared",
	  "A ticket key on several servers is worth that of all of them: share it only among machines "
	  "that serve the same name, and rotate it everywhere at once." },
	{ "session-lifetime",
	  "Sessions are resumed more than a day after they began, so their secrets lie on the server, "
	  "or under its ticket key, that long: shorten it (nginx ssl_session_timeout, Apache "
	  "SSLSessionCacheTimeout, HAProxy tune.ssl.lifetime)." },
	{ "extended-master-secret",
	  "Sessions without Extended Master Secret (RFC 7627) can be tied together by a "
	  "man in the middle when they are resumed: update the TLS library of the side that lacks it." },
};

static int tell_one(const char *code, lp_findings_tell *tell, void *user)
{
	for (size_t i = 0; i < sizeof advice / sizeof advice[0]; i++)
		if (!strcmp(advice[i].code, code))
			return tell(user, code, advice[i].sentence);
	return 0;
}

static bool is_shared(const struct lp_findings *f, const struct lp_ledger_server *s)
{
	for (size_t i = 0; i < f->users_n; i++)
		if (f->users[i] == s)
			return true;
	return false;
}

int lp_findings_advise(const struct lp_findings *f, const struct lp_ledger_server *s,
		       lp_findings_tell *tell, void *user)
{
	uint64_t longest;
	enum lp_rotation r = lp_findings_rotation(s, &longest);
	const struct {
		bool applies;
		const char *code;
	} list[] = {
		{ s->full[LP_BY_RSA] > 0, "rsa-key-exchange" },
		{ s->full[LP_BY_STATIC_DH] || s->full[LP_BY_PSK], "static-key-exchange" },
		{ r == LP_ROTATION_NEVER || r == LP_ROTATION_SLOW, "ticket-key-rotation" },
		{ r == LP_ROTATION_SHORT, "ticket-key-unchanged" },
		{ is_shared(f, s), "ticket-key-shared" },
		{ s->longest_ns > DAY_NS, "session-lifetime" },
		{ s->no_ems > 0 && (s->by_id || s->by_ticket || s->tickets),
		  "extended-master-secret" },
	};

	for (size_t i = 0; i < sizeof list / sizeof list[0]; i++)
		if (list[i].applies && tell_one(list[i].code, tell, user))
			return -1;
	return 0;
}
