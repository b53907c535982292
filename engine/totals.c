/* Every packet ends in exactly one counter: packets = processed + the drops. */
#include <assert.h>
#include <string.h>

#include "engine_parts.h"

struct list {
	struct lp_counter *out;
	size_t n;
};

static void add(struct list *l, const char *name, uint64_t value)
{
	assert(l->n < LP_COUNTERS_MAX);
	l->out[l->n++] = (struct lp_counter){ name, value };
}

/* "drop.arp" and its siblings, from the decoder's own list. */
static const char *const decode_name[LP_DROPS] = {
#define X(id, name, text) [id] = "drop." name,
	LP_DROP_LIST(X)
#undef X
};

static const struct {
	const char *name, *text;
} tcp_text[] = {
	{ "drop.bad_csum", "with a wrong TCP checksum" },
	{ "drop.no_flow", "of connections whose start was not captured" },
	{ "drop.closed_flow", "seen after the end of a connection" },
	{ "drop.bad_rst", "resets that no endpoint would accept" },
	{ "drop.old_timestamp", "older than what was seen (PAWS)" },
	{ "drop.out_of_window", "with an impossible sequence number" },
	{ "drop.no_ack", "without an ACK, which no endpoint takes" },
	{ "drop.bad_md5", "with an MD5 signature that was not agreed on" },
	{ "drop.memcap", "for which the memory of out-of-order packets was full" },
	{ "drop.nids_unsupported", "of a kind that libnids cannot take" },
	{ "drop.shed", "that a worker had no room for in time" },
};

const char *lp_totals_text(const char *counter)
{
	for (int i = LP_DROP_NONE + 1; i < LP_DROPS; i++)
		if (!strcmp(decode_name[i], counter))
			return lp_decode_drop_text((enum lp_drop)i);
	for (size_t i = 0; i < sizeof tcp_text / sizeof tcp_text[0]; i++)
		if (!strcmp(tcp_text[i].name, counter))
			return tcp_text[i].text;
	return NULL;
}

/* What all workers did. Of peaks, the sum: so much there was at most. */
struct sum {
	struct lp_reasm_stats tcp;
	uint64_t with_tls, no_tls, empty, one_sided, sessions;
	uint64_t asked, shed, shed_client, shed_server;
	uint64_t held_peak, cap_held, cap_message, cap_kept;
	uint64_t contexts, contexts_evicted, unchecked;
};

static void add_worker(struct sum *sum, const struct lp_worker *w)
{
	struct lp_reasm_stats s;
	struct lp_asks_stats asks;

	w->engine->reasm_ops->stats(w->reasm, &s);
#define X(name) sum->tcp.name += s.name;
	LP_REASM_COUNTERS(X)
	LP_REASM_EXTRA(X)
#undef X
	sum->with_tls += w->with_tls;
	sum->no_tls += w->no_tls;
	sum->empty += w->empty;
	sum->one_sided += w->one_sided;
	sum->sessions += w->env.sessions;
	lp_asks_stats(w->asks, &asks);
	sum->asked += asks.asked;
	sum->shed += asks.shed;
	sum->shed_client += asks.shed_client;
	sum->shed_server += asks.shed_server;
	sum->held_peak += w->env.held_peak;
	sum->cap_held += w->env.cap_held;
	sum->cap_message += w->env.cap_message;
	sum->cap_kept += w->env.cap_kept;
	sum->unchecked += w->env.unchecked;
	sum->contexts += w->contexts.made;
	sum->contexts_evicted += w->contexts.evicted;
}

static uint64_t add_decode(struct list *l, const struct lp_decode_stats *decode)
{
	const struct lp_decode_stats s = *decode;
	uint64_t dropped = 0;

	for (int i = LP_DROP_NONE + 1; i < LP_DROPS; i++) {
		if (i == LP_DROP_JOINED) /* no drop: what they made was decoded */
			continue;
		add(l, decode_name[i], s.drop[i]);
		dropped += s.drop[i];
	}
	add(l, "decode.fragment_joined", s.drop[LP_DROP_JOINED]);
	add(l, "decode.datagrams", s.datagrams);
	add(l, "decode.ip_csum_offload", s.ip_csum_offload);
	add(l, "decode.cut", s.cut);
	assert(s.read == s.drop[LP_DROP_NONE] + s.drop[LP_DROP_JOINED] + dropped);
	return dropped;
}

static uint64_t add_tcp(struct list *l, const struct lp_reasm_stats *tcp)
{
	const struct lp_reasm_stats s = *tcp;
	uint64_t dropped = s.segments - s.processed;

#define X(name) add(l, "drop." #name, s.name);
	X(bad_csum)
	X(no_flow)
	X(closed_flow)
	X(bad_rst)
	X(old_timestamp)
	X(out_of_window)
	X(no_ack)
	X(bad_md5)
	X(memcap)
	X(nids_unsupported)
#undef X
	assert(dropped == s.bad_csum + s.no_flow + s.closed_flow + s.bad_rst + s.old_timestamp +
				  s.out_of_window + s.no_ack + s.bad_md5 + s.memcap + s.nids_unsupported);
#define X(name) add(l, "tcp." #name, s.name);
	LP_REASM_EXTRA(X)
#undef X
	add(l, "flow.opened", s.flows);
	return dropped;
}

static bool cap_reached(const struct lp_engine *e, const struct lp_decode_stats *decode,
			const struct sum *sum)
{
	const struct lp_reasm_stats *s = &sum->tcp;
	struct lp_sessions_stats sessions;
	struct lp_flights_stats flights;

	lp_sessions_stats(e->sessions, &sessions);
	lp_flights_stats(e->flights, &flights);
	return decode->drop[LP_DROP_FRAGMENT_LIMIT] || s->evicted || s->cap_side || s->cap_total ||
	       s->memcap || sum->cap_held || sum->cap_message || sessions.evicted ||
	       sum->cap_kept || flights.evicted ||
	       lp_keylog_stats(lp_keylogs_store(e->keylogs)).evicted;
}

static void add_store(struct list *l, const struct lp_store *store)
{
	struct lp_store_stats s;

	lp_store_stats(store, &s);
#define X(name) add(l, "store." #name, s.name);
	X(put)
	X(put_dropped)
	X(stored)
	X(not_stored)
	X(asked)
	X(found)
	X(missed)
	X(late)
	X(refused)
	X(forged)
	X(stale)
	X(errors)
#undef X
}

static void add_flights(struct list *l, struct lp_flights *flights)
{
	struct lp_flights_stats s;

	lp_flights_stats(flights, &s);
#define X(name) add(l, "flights." #name, s.name);
	X(entries)
	X(bytes)
	X(stored)
	X(hits)
	X(replaced)
	X(evicted)
	X(too_long)
#undef X
}

static void add_resumption(struct list *l, struct lp_sessions *sessions)
{
	struct lp_sessions_stats s;

	lp_sessions_stats(sessions, &s);
#define X(name) add(l, "resumption." #name, s.name);
	X(entries)
	X(peak)
	X(stored)
	X(hits)
	X(misses)
	X(evicted)
	X(expired)
#undef X
}

static void add_key_log(struct list *l, struct lp_keylog *log)
{
	const struct lp_keylog_stats s = lp_keylog_stats(log);

#define X(name) add(l, "key_log." #name, s.name);
	X(secrets)
	X(repeated)
	X(other)
	X(malformed)
	X(evicted)
#undef X
}

size_t lp_totals(const struct lp_engine *e, struct lp_counter out[LP_COUNTERS_MAX],
		 struct lp_summary *summary)
{
	struct list l = { out, 0 };
	struct sum sum = { .with_tls = 0 };
	struct lp_decode_stats decode;
	uint64_t dropped;

	add(&l, "capture.kernel_drop", e->extra_packets[0]);
	add(&l, "capture.if_drop", e->extra_packets[1]);
	add(&l, "capture.filtered", e->extra_packets[2]);
	if (!e->worker)
		return l.n;
	for (const struct lp_worker *w = e->worker; w; w = w->next)
		add_worker(&sum, w);
	if (e->crew) {
		lp_crew_decoded(e->crew, &decode, &summary->first_ns, &summary->last_ns);
	} else {
		lp_reader_stats(e->worker->reader, &decode);
		lp_reader_times(e->worker->reader, &summary->first_ns, &summary->last_ns);
	}
	dropped = add_decode(&l, &decode);
	dropped += add_tcp(&l, &sum.tcp);
	summary->packets = decode.read;
	summary->cap_reached = cap_reached(e, &decode, &sum);
	if (e->live) {
		uint64_t shed = e->crew ? lp_crew_shed(e->crew) : 0;

		add(&l, "drop.shed", shed);
		dropped += shed;
	}
	add(&l, "packets.processed", decode.read - dropped);
	add(&l, "flow.tls", sum.with_tls);
	add(&l, "flow.no_tls", sum.no_tls);
	add(&l, "flow.empty", sum.empty);
	add(&l, "flow.one_sided", sum.one_sided);
	add(&l, "session.begun", sum.sessions);
	add_resumption(&l, e->sessions);
	add_flights(&l, e->flights);
	if (e->store)
		add_store(&l, e->store);
	add(&l, "warden.asked", sum.asked);
	add(&l, "warden.shed", sum.shed);
	add(&l, "warden.shed_client", sum.shed_client);
	add(&l, "warden.shed_server", sum.shed_server);
	add_key_log(&l, lp_keylogs_store(e->keylogs));
	add(&l, "held.peak", sum.held_peak);
	add(&l, "held.cap", sum.cap_held);
	add(&l, "handshake.cap", sum.cap_message);
	add(&l, "record.mac_unchecked", sum.unchecked);
	add(&l, "prelude.cap", sum.cap_kept);
	add(&l, "cipher.contexts", sum.contexts);
	add(&l, "cipher.evicted", sum.contexts_evicted);
	return l.n;
}
