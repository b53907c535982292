#include "plugins/tally.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "plugins/label.h"

typedef unsigned long long ull; /* for printf */

static void count_code(struct lp_tally *t, const char *code, int note)
{
	struct lp_tally_code *c;

	for (size_t i = 0; i < t->codes_n; i++)
		if (t->codes[i].note == note &&
		    !strncmp(t->codes[i].code, code, LP_TALLY_CODE - 1)) {
			t->codes[i].n++;
			return;
		}
	if (t->codes_n == LP_TALLY_CODES) {
		t->other++;
		return;
	}
	c = &t->codes[t->codes_n++];
	snprintf(c->code, sizeof c->code, "%s", code);
	c->note = note;
	c->n = 1;
}

void lp_tally_add(struct lp_tally *t, const struct lp_session_result *result)
{
	t->sessions++;
	for (size_t i = 0; result->notes && result->notes[i]; i++)
		count_code(t, result->notes[i], 1);
	/* Its peers gave up: nothing was there to be opened. */
	if (result->reason && !strcmp(result->reason, "handshake-failed")) {
		t->failed++;
		return;
	}
	if (result->reason && !strcmp(result->reason, "handshake-unfinished")) {
		t->unfinished++;
		return;
	}
	if (result->verdict >= LP_DECRYPTED && result->verdict <= LP_OPAQUE)
		t->verdict[result->verdict]++;
	if (result->verdict != LP_DECRYPTED)
		count_code(t, result->reason ? result->reason : "unknown", 0);
}

/* Reasons before notes, the most frequent first. */
static int most_first(const void *a, const void *b)
{
	const struct lp_tally_code *x = a, *y = b;

	if (x->note != y->note)
		return x->note - y->note;
	if (x->n != y->n)
		return x->n < y->n ? 1 : -1;
	return strcmp(x->code, y->code);
}

static uint64_t counter(const struct lp_summary *s, const char *name)
{
	for (size_t i = 0; i < s->counters_n; i++)
		if (!strcmp(s->counters[i].name, name))
			return s->counters[i].value;
	return 0;
}

static int is_drop(const struct lp_counter *c)
{
	return !strncmp(c->name, "drop.", 5) && c->value;
}

static int drop_order(const void *a, const void *b)
{
	const struct lp_counter *x = *(const struct lp_counter *const *)a;
	const struct lp_counter *y = *(const struct lp_counter *const *)b;

	if (x->value != y->value)
		return x->value < y->value ? 1 : -1;
	return strcmp(x->name, y->name);
}

/* What a counter says to a reader who has not read our code. */
static const char *words_of(const struct lp_counter *c, const struct lp_host *host)
{
	const char *words = host->meaning ? host->meaning(c->name) : NULL;

	return words ? words : c->name + strlen("drop.");
}

/* "1234 packets, 34 not processed: 30 ARP or RARP, 4 with a wrong TCP checksum" */
static int print_packets(struct lp_sink *out, const struct lp_host *host,
			 const struct lp_summary *s)
{
	const struct lp_counter *drop[64];
	uint64_t dropped = 0, filtered = counter(s, "capture.filtered");
	size_t n = 0;
	int bad;

	for (size_t i = 0; i < s->counters_n; i++) {
		if (!is_drop(&s->counters[i]))
			continue;
		dropped += s->counters[i].value;
		if (n < sizeof drop / sizeof drop[0])
			drop[n++] = &s->counters[i];
	}
	if (n)
		qsort(drop, n, sizeof drop[0], drop_order);
	bad = lp_sink_print(out, "%llu packet%s", (ull)s->packets, s->packets == 1 ? "" : "s");
	if (!bad && dropped)
		bad = lp_sink_print(out, ", %llu not processed:", (ull)dropped);
	for (size_t i = 0; i < n && !bad; i++)
		bad = lp_sink_print(out, "%s %llu %s", i ? "," : "", (ull)drop[i]->value,
				    words_of(drop[i], host));
	if (!bad && filtered)
		bad = lp_sink_print(out, "%s %llu more did not match the filter",
				    dropped ? ";" : ",", (ull)filtered);
	return bad ? bad : lp_sink_print(out, "\n");
}

/* What stands on one line: each figure that is not 0, with its words. */
static int print_figures(struct lp_sink *out, const char *first, uint64_t n,
			 const char *const *words, const uint64_t *values, size_t values_n)
{
	const char *sep = ": ";
	int bad = lp_sink_print(out, "%llu %s%s", (ull)n, first, n == 1 ? "" : "s");

	for (size_t i = 0; i < values_n && !bad; i++) {
		if (!values[i])
			continue;
		bad = lp_sink_print(out, "%s%llu %s", sep, (ull)values[i], words[i]);
		sep = ", ";
	}
	return bad ? bad : lp_sink_print(out, "\n");
}

static int print_codes(const struct lp_tally *t, struct lp_sink *out,
		       const struct lp_host *host)
{
	char plain[LP_LABEL_TEXT], label[LP_TALLY_CODE + 8];

	for (size_t i = 0; i < t->codes_n; i++) {
		const struct lp_tally_code *c = &t->codes[i];
		const char *meaning = host->meaning ? host->meaning(c->code) : NULL;
		const char *advice;

		snprintf(label, sizeof label, "%s%s", c->note ? "note: " : "", c->code);
		lp_label_plain(plain, sizeof plain, label);
		if (meaning ? lp_sink_print(out, "%8llu %-24s %s\n", (ull)c->n, plain, meaning)
			    : lp_sink_print(out, "%8llu %s\n", (ull)c->n, plain))
			return -1;
		advice = host->size > offsetof(struct lp_host, advice) && host->advice && !c->note
				 ? host->advice(c->code) : NULL;
		if (advice && *advice && lp_sink_print(out, "%33s %s\n", "", advice))
			return -1;
	}
	if (t->other && lp_sink_print(out, "%8llu for other reasons\n", (ull)t->other))
		return -1;
	/* Notes alone are nothing to act upon. */
	if (!t->codes_n || t->codes[0].note)
		return 0;
	return lp_sink_print(out, "         (limpid --explain CODE says more)\n");
}

/* How the cache of sessions and the store behind it did, if there was something to do. */
static int print_resumption(struct lp_sink *out, const struct lp_summary *s)
{
	static const char *const cache[] = { "found", "not found", "evicted at the cap", "expired" };
	static const char *const store[] = { "found", "not found", "not answered in time",
					     "not asked for lack of room", "names stored",
					     "names not stored", "forged or stale values",
					     "server errors" };
	const uint64_t caches[] = { counter(s, "resumption.hits"), counter(s, "resumption.misses"),
				    counter(s, "resumption.evicted"),
				    counter(s, "resumption.expired") };
	const uint64_t stores[] = { counter(s, "store.found"), counter(s, "store.missed"),
				    counter(s, "store.late"), counter(s, "store.refused"),
				    counter(s, "store.stored"),
				    counter(s, "store.not_stored") + counter(s, "store.put_dropped"),
				    counter(s, "store.forged") + counter(s, "store.stale"),
				    counter(s, "store.errors") };

	if ((caches[0] || caches[1] || caches[2] || caches[3]) &&
	    print_figures(out, "resumable name", counter(s, "resumption.stored"), cache, caches,
			  sizeof caches / sizeof caches[0]))
		return -1;
	if ((counter(s, "store.asked") || counter(s, "store.put")) &&
	    print_figures(out, "session store question", counter(s, "store.asked"), store,
			  stores, sizeof stores / sizeof stores[0]))
		return -1;
	return 0;
}

static int print_losses(struct lp_sink *out, const struct lp_host *host,
			const struct lp_summary *s)
{
	uint64_t kernel = counter(s, "capture.kernel_drop");
	uint64_t interface = counter(s, "capture.if_drop");
	uint64_t gaps = counter(s, "tcp.gaps");
	uint64_t conflicts = counter(s, "tcp.conflicts");

	if (gaps && lp_sink_print(out, "%llu gap%s in the streams, %llu bytes not captured\n",
				  (ull)gaps, gaps == 1 ? "" : "s",
				  (ull)counter(s, "tcp.gap_bytes")))
		return -1;
	if (conflicts &&
	    lp_sink_print(out, "%llu overlap%s of segments with different bytes: what the "
			       "receiver took is a guess\n",
			  (ull)conflicts, conflicts == 1 ? "" : "s"))
		return -1;
	if (kernel || interface) {
		if (lp_sink_print(out, "packets lost before limpid saw them: %llu by the kernel, "
				       "%llu by the interface\n", (ull)kernel, (ull)interface))
			return -1;
	} else if (host->live &&
		   lp_sink_print(out, "no packet was lost by the kernel or the interface\n")) {
		return -1;
	}
	if (s->cap_reached &&
	    lp_sink_print(out, "a table reached its cap: the order of events may differ in "
			       "another run\n"))
		return -1;
	return 0;
}

int lp_tally_print(struct lp_tally *t, struct lp_sink *out, const struct lp_host *host,
		   const struct lp_summary *s)
{
	const char *flow_words[] = { host->cleartext ? "without TLS"
						     : "without TLS (--cleartext shows them)",
				     "empty" };
	static const char *const session_words[] = { "decrypted", "partial", "opaque",
						     "failed before keys were used",
						     "unfinished before keys were used" };
	uint64_t flows[] = { counter(s, "flow.no_tls"), counter(s, "flow.empty") };
	uint64_t sessions[] = { t->verdict[LP_DECRYPTED], t->verdict[LP_PARTIAL],
				t->verdict[LP_OPAQUE], t->failed, t->unfinished };

	qsort(t->codes, t->codes_n, sizeof t->codes[0], most_first);
	if (print_packets(out, host, s) ||
	    print_figures(out, "TCP connection", counter(s, "flow.opened"), flow_words, flows, 2) ||
	    print_figures(out, "TLS session", t->sessions, session_words, sessions, 5) ||
	    print_codes(t, out, host) || print_resumption(out, s))
		return -1;
	return print_losses(out, host, s);
}
