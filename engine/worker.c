/* lp_worker: packets in, events out. Single-threaded.
 *
 *   packet ─► decode ─► reassembly ─► stage ─► session ─► order ─► outputs */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "engine_parts.h"
#include "tls/ahead.h"
#include "tls/hold.h"
#include "tls/record.h"

enum { BOTH_MS = 10, SPARES = 1024 };

/* ---- what the reader tells ---- */

/* While replaying, a look-up that waits must still see what had not ended at its place;
 * it waits no longer than the answers take that come before it. */
static void expire(struct lp_worker *w, uint64_t ns)
{
	const struct lp_when *waits = w->engine->live ? NULL : lp_order_earliest(w->order);

	lp_sessions_expire(w->engine->sessions,
			   waits && waits->released_ns < ns ? waits->released_ns : ns,
			   lp_clock_mono());
}

void lp_worker_segments(void *worker, const struct lp_segment *segments, size_t n, uint64_t ns)
{
	struct lp_worker *w = worker;
	enum lp_err err;

	w->now_ns = ns;
	err = n ? w->engine->reasm_ops->segments(w->reasm, segments, n) : LP_OK;
	if (err)
		w->env.fault = err;
}

void lp_worker_second(void *worker, uint64_t number, uint64_t ns)
{
	struct lp_worker *w = worker;

	w->now_ns = ns;
	w->engine->reasm_ops->advance(w->reasm, number, ns);
	if (w->hand)
		return; /* the crew does the rest, once for all */
	expire(w, ns);
	lp_outputs_tick(w->engine->outputs, ns);
}

static const struct lp_reader_sink reader_sink = { lp_worker_segments, lp_worker_second };

/* ---- the worker ---- */

static void enlist(struct lp_engine *e, struct lp_worker *w)
{
	struct lp_worker **at = &e->worker;

	while (*at)
		at = &(*at)->next;
	*at = w;
}

static void discharge(struct lp_worker *w)
{
	struct lp_worker **at = &w->engine->worker;

	while (*at && *at != w)
		at = &(*at)->next;
	if (*at)
		*at = w->next;
}

/* One of several has its caps in common with them. */
static void fill_env(struct lp_worker *w, bool several)
{
	struct lp_engine *e = w->engine;

	w->env = (struct lp_tls_env){
		.crypto = &e->crypto,
		.contexts = &w->contexts,
		.common = &w->common,
		.cb = &lp_tracked_tls,
		.live = e->live,
		.verify_first = e->verify_first,
		.max_held_session = e->max_held_session,
		.max_held_turn = e->max_held_turn,
		.max_held = e->max_held,
		.held_by_all = several ? &e->held_by_all : NULL,
		.max_message = e->max_message,
		.max_kept = e->max_kept,
		.kept_by_all = several ? &e->kept_by_all : NULL,
		.cleartext = e->cleartext,
		.keep_prelude = !e->cleartext && lp_outputs_wants(e->outputs) & LP_WANT_PRELUDE,
	};
}

static enum lp_err new_asks(struct lp_worker *w, unsigned line)
{
	const struct lp_engine *e = w->engine;
	const struct lp_asks_config config = {
		.line = lp_warden_line(e->warden, line),
		.live = e->live,
		.max_waiting = e->max_questions,
		.max_client = e->max_questions_client,
		.max_server = e->max_questions_server,
	};

	return lp_asks_new(&w->asks, &config);
}

enum lp_err lp_worker_make(struct lp_worker **out, struct lp_engine *e, unsigned i, unsigned n,
			   struct lp_hand *hand)
{
	struct lp_worker *w = calloc(1, sizeof *w);
	struct lp_reasm_config reasm = e->reasm_config;
	enum lp_err err;

	*out = w;
	if (!w)
		return LP_E_NOMEM;
	w->engine = e;
	w->hand = hand;
	w->number = i;
	enlist(e, w);
	lp_ctx_cache_init(&w->contexts, e->max_contexts);
	w->contexts.ahead = lp_ahead_new(e->crypto.base, LP_AHEAD_LEAST);
	fill_env(w, n > 1);
	lp_common_init(&w->common, &e->seed, LP_COMMON_BYTES / n);
	lp_spares_init(&w->env.spares, LP_RECORD_SPARE, SPARES);
	reasm.common = n > 1 ? &e->flows_of_all : NULL;
	w->wants_data = lp_outputs_wants(e->outputs) & LP_WANT_DATA;
	w->max_order = LP_ORDER_CAP / n;
	err = hand ? lp_order_new(&w->order, !e->live, lp_hand_event, hand)
		   : lp_order_new(&w->order, !e->live, lp_outputs_event, e->outputs);
	if (!err && hand)
		lp_order_hand_over(w->order, lp_hand_ready);
	if (!err)
		err = new_asks(w, i);
	if (!err && !hand)
		err = lp_reader_new(&w->reader, &e->decode_config, &reader_sink, w);
	if (!err)
		err = e->reasm_ops->init(&w->reasm, hand ? &reasm : &e->reasm_config, &lp_tracked_tcp, w);
	if (err) {
		lp_worker_free(w);
		*out = NULL;
	}
	return err;
}

struct lp_worker *lp_worker_new(struct lp_engine *e, char *why)
{
	struct lp_worker *w;
	enum lp_err err;

	if (e->worker) {
		snprintf(why, LP_WHY, "there is a worker already");
		return NULL;
	}
	snprintf(why, LP_WHY, "out of memory");
	if (lp_outputs_open(e->outputs, why))
		return NULL;
	err = lp_worker_make(&w, e, 0, 1, NULL);
	if (err)
		snprintf(why, LP_WHY, "%s reassembly: %s", e->reasm_ops->name, lp_err_text(err));
	return w;
}

void lp_worker_free(struct lp_worker *w)
{
	if (!w)
		return;
	/* After a fault of the machine flows are left over. */
	if (w->order)
		lp_order_flush(w->order);
	lp_tracked_clear(w);
	if (w->reasm)
		w->engine->reasm_ops->free(w->reasm);
	lp_reader_free(w->reader);
	lp_order_free(w->order);
	lp_asks_free(w->asks);
	lp_ctx_cache_clear(&w->contexts);
	lp_ahead_free(w->contexts.ahead);
	lp_common_clear(&w->common);
	lp_spares_clear(&w->env.spares);
	discharge(w);
	free(w);
}

bool lp_worker_passed(const struct lp_worker *w, const struct lp_when *when)
{
	return !w->hand || lp_hand_passed(w->hand, when);
}

bool lp_worker_first(const struct lp_worker *w, const struct lp_when *when)
{
	return !w->env.waiting && lp_worker_passed(w, when);
}

const char *lp_worker_fault_text(enum lp_err err)
{
	return err == LP_E_IO ? "the warden (key process) is gone" : lp_err_text(err);
}

bool lp_worker_full(const struct lp_worker *w)
{
	/* What has been handed to the outputs already will leave by itself. */
	if (w->hand && lp_order_blocked(w->order))
		return true;
	if (w->engine->live)
		return false;
	return lp_asks_full(w->asks) || w->env.over ||
	       (w->env.waiting &&
		(lp_holds_full(&w->env) || lp_order_held(w->order) > w->max_order));
}

/* What was asked leaves together. */
static void flush(struct lp_worker *w, bool all)
{
	const enum lp_err err = lp_asks_flush(w->asks, all);

	if (err)
		w->env.fault = err;
}

void lp_worker_flush(struct lp_worker *w)
{
	flush(w, true);
}

static int state(struct lp_worker *w)
{
	flush(w, false);
	lp_order_drain(w->order);
	if (w->env.fault) {
		snprintf(w->engine->why, sizeof w->engine->why, "%s",
			 lp_worker_fault_text(w->env.fault));
		return -1;
	}
	return lp_worker_full(w);
}

void lp_worker_lend(struct lp_worker *w)
{
	lp_reader_lend(w->reader, false);
}

int lp_worker_packets(struct lp_worker *w, const struct lp_wire *packets, size_t n)
{
	lp_reader_packets(w->reader, packets, n);
	return state(w);
}

/* The warden may have questions to take that its socket had no room for, so not long. */
static void wait_for_both(struct lp_worker *w, int timeout_ms)
{
	struct lp_engine *e = w->engine;
	struct pollfd p = { e->poll_fd, POLLIN, 0 };
	int store = lp_store_timeout(e->store);

	if (timeout_ms < 0 || timeout_ms > store)
		timeout_ms = store;
	if (timeout_ms > BOTH_MS && lp_asks_pending(w->asks))
		timeout_ms = BOTH_MS;
	if (timeout_ms)
		(void)poll(&p, 1, timeout_ms);
}

int lp_worker_poll(struct lp_worker *w, int timeout_ms)
{
	struct lp_engine *e = w->engine;
	bool idle = !timeout_ms;
	enum lp_err err = lp_keylogs_poll(e->keylogs, w->late != NULL);
	bool pending = lp_asks_pending(w->asks) > 0;

	lp_late_poll(w, false);
	if (w->late && (timeout_ms < 0 || timeout_ms > LP_LATE_POLL_MS))
		timeout_ms = LP_LATE_POLL_MS;
	if (e->store) {
		if (lp_store_pending(e->store)) {
			wait_for_both(w, timeout_ms);
			timeout_ms = 0;
		}
		lp_stored_poll(w);
	}
	if (!err && (pending || e->follow))
		err = lp_asks_poll(w->asks, timeout_ms, lp_worker_answer);
	if (!err)
		err = lp_engine_reloaded(e);
	if (!pending && w->late && timeout_ms)
		(void)poll(NULL, 0, timeout_ms);
	if (err)
		w->env.fault = err;
	lp_wanted_lookups(w);
	if (idle) /* perhaps no packet came: the clock of the packets may stand still */
		expire(w, w->now_ns);
	return state(w);
}

int lp_worker_advance(struct lp_worker *w, uint64_t now_ns)
{
	lp_reader_advance(w->reader, now_ns);
	return state(w);
}

bool lp_worker_turn(struct lp_worker *w)
{
	struct lp_engine *e = w->engine;
	size_t pending = lp_asks_pending(w->asks);
	const struct lp_tracked *lookups = w->lookups;
	const struct lp_late *late = w->late;
	size_t stored = w->stored_asked;
	enum lp_err err = lp_keylogs_poll(e->keylogs, late != NULL);

	if (late)
		lp_late_poll(w, w->ended);
	if (e->store && (w->stored_asked || !w->number))
		lp_stored_poll(w);
	if (!err && (pending || (e->follow && !w->number)))
		err = lp_asks_poll(w->asks, 0, lp_worker_answer);
	if (!err)
		err = lp_engine_reloaded(e);
	if (err)
		w->env.fault = err;
	lp_wanted_lookups(w);
	flush(w, false);
	lp_order_drain(w->order);
	return pending != lp_asks_pending(w->asks) || lookups != w->lookups || late != w->late ||
	       stored != w->stored_asked;
}

void lp_worker_finish(struct lp_worker *w, uint64_t number, uint64_t ns)
{
	w->ended = true; /* what is waited for does not come any more */
	/* So that what ends now has a place behind everything, whoever saw the last packet. */
	w->engine->reasm_ops->advance(w->reasm, number, ns);
	w->engine->reasm_ops->finish(w->reasm);
}
