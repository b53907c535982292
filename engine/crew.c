#include "crew.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "engine_parts.h"
#include "merge.h"
#include "share.h"

enum {
	BATCHES = 16,  /* of packets that wait for a worker */
	LIVE = 128,    /* … if they would be lost otherwise */
	EVENTS = 512,  /* of a worker that wait to be merged */
	RETRY_MS = 10, /* the warden may have no room for questions now */
};

struct lp_hand {
	struct lp_crew *crew;
	struct lp_worker *worker;
	struct lp_bell bell;
	pthread_t thread;
	unsigned number;
	struct lp_when done;   /* what is left to handle is at this place or later */
	struct lp_when told;   /* … and what the merge knows of it */
	bool ended;            /* the capture, for this one */
	bool over;             /* it has nothing to tell any more */
	bool started;
	bool put;              /* events that the merge was not told of */
	bool direct;           /* there are no threads any more */
};

struct lp_crew {
	struct lp_engine *engine;
	struct lp_reader *reader;
	struct lp_share *share;
	struct lp_merge *merge;
	pthread_t output;
	bool output_started, finished;
	atomic_int fault;      /* enum lp_err: the first */
	unsigned n;
	struct lp_hand *hand;
};

/* ---- one of them ---- */

void lp_hand_event(void *hand, struct lp_event *event)
{
	struct lp_hand *h = hand;

	if (h->direct) {
		lp_outputs_event(h->crew->engine->outputs, event);
		return;
	}
	lp_merge_put(h->crew->merge, h->number, event);
	h->put = true;
}

bool lp_hand_ready(void *hand)
{
	struct lp_hand *h = hand;

	return h->direct || lp_merge_ready(h->crew->merge, h->number);
}

bool lp_hand_passed(const struct lp_hand *h, const struct lp_when *when)
{
	return lp_merge_passed(h->crew->merge, h->number, when);
}

/* The outputs' clock, and that of the secrets: kept by the first for all. */
static void tick(struct lp_hand *h, uint64_t number, uint64_t ns)
{
	struct lp_crew *c = h->crew;
	struct lp_event event = {
		.kind = LP_EVENT_TICK,
		.when = { .number = number, .released_ns = ns },
	};
	struct lp_when earliest = { .number = 0 };
	enum lp_err err;

	if (h->number)
		return;
	err = lp_order_put(h->worker->order, &event, false);
	if (err)
		h->worker->env.fault = err;
	/* Nobody looks up anything for an earlier time. */
	if (!c->engine->live && lp_merge_earliest(c->merge, &earliest) && earliest.released_ns < ns)
		ns = earliest.released_ns;
	lp_sessions_expire(c->engine->sessions, ns, lp_clock_mono());
}

static void handle(struct lp_hand *h, const struct lp_batch *b)
{
	if (b->second) {
		tick(h, b->number, b->now_ns);
		lp_worker_second(h->worker, b->number, b->now_ns);
		h->done = (struct lp_when){ .number = b->number, .tick = LP_TICK_NONE,
					    .released_ns = b->now_ns };
	}
	if (b->n) {
		lp_worker_segments(h->worker, b->segment, b->n, b->now_ns);
		h->done = (struct lp_when){ .number = b->segment[b->n - 1].number + 1,
					    .released_ns = b->segment[b->n - 1].clock_ns };
	}
	lp_order_drain(h->worker->order);
}

static void end_capture(struct lp_hand *h)
{
	uint64_t number, ns;

	lp_share_last(h->crew->share, &number, &ns);
	h->ended = true;
	lp_worker_finish(h->worker, number, ns);
	lp_order_drain(h->worker->order);
	h->done = (struct lp_when){ .number = UINT64_MAX, .released_ns = ns };
}

/* How far it is; with no packets for it there, as far as the reader. */
static void tell(struct lp_hand *h, uint64_t reached, bool empty)
{
	const struct lp_when *next = lp_order_next(h->worker->order);
	struct lp_when floor = h->done;

	if (h->put && h->crew->engine->live)
		lp_merge_wake(h->crew->merge); /* who waits holds back nothing but the floor */
	h->put = false;
	if (empty && reached >= floor.number) {
		floor.number = reached + 1;
		floor.tick = 0;
	}
	if (next && lp_when_compare(next, &floor) < 0)
		floor = *next;
	if (lp_when_compare(&h->told, &floor) == 0 ||
	    (h->crew->engine->live && lp_when_compare(&floor, &h->told) < 0))
		return;
	h->told = floor;
	lp_merge_floor(h->crew->merge, h->number, &floor);
}

/* It tells nothing any more, and takes what comes only so that the reader can end. */
static void stop(struct lp_hand *h)
{
	if (h->over)
		return;
	h->over = true;
	lp_merge_over(h->crew->merge, h->number);
}

static bool is_done(const struct lp_worker *w)
{
	return !lp_asks_pending(w->asks) && !w->lookups && !lp_order_next(w->order);
}

/* False: there was nothing to do. */
static bool step(struct lp_hand *h)
{
	struct lp_share *share = h->crew->share;
	struct lp_worker *w = h->worker;
	bool ended = lp_share_ended(share);
	uint64_t reached = lp_share_reached(share);
	const struct lp_batch *b;
	bool worked = false;

	if (!h->over) {
		lp_merge_watch(h->crew->merge, h->number, w->lookups != NULL);
		worked = lp_worker_turn(w);
	}
	b = lp_share_front(share, h->number);
	if (b && (h->over || !lp_worker_full(w))) {
		if (!h->over)
			handle(h, b);
		lp_share_pop(share, h->number);
		worked = true;
	} else if (!b && ended && !h->ended) {
		if (h->over)
			h->ended = true;
		else
			end_capture(h);
		worked = true;
	}
	if (w->env.fault) {
		lp_crew_fault(h->crew, w->env.fault);
		stop(h);
	}
	if (!h->over)
		tell(h, reached, !b);
	if (!h->over && h->ended && is_done(w))
		stop(h);
	return worked;
}

/* What else than the bell may have something for it, and when to look in any case. */
static void nap(struct lp_hand *h)
{
	const struct lp_engine *e = h->crew->engine;
	const struct lp_worker *w = h->worker;
	int fd = -1, timeout = -1;

	if (!h->over && (lp_asks_pending(w->asks) || (e->follow && !h->number)))
		fd = lp_asks_fd(w->asks);
	if (!h->over && !h->number && lp_keylogs_followed(e->keylogs))
		timeout = LP_KEYLOGS_POLL_MS;
	if (!h->over && lp_asks_pending(w->asks))
		timeout = RETRY_MS;
	if (!h->over && w->late)
		timeout = LP_LATE_POLL_MS;
	lp_bell_sleep(&h->bell, fd, timeout);
}

static void *work(void *hand)
{
	struct lp_hand *h = hand;

	while (!h->over || !h->ended) {
		if (step(h))
			continue;
		lp_bell_arm(&h->bell);
		if (step(h) || (h->over && h->ended)) {
			lp_bell_disarm(&h->bell);
			continue;
		}
		nap(h);
	}
	return NULL;
}

static void *put_out(void *crew)
{
	struct lp_crew *c = crew;

	lp_merge_run(c->merge);
	return NULL;
}

/* ---- all of them ---- */

static enum lp_err make_hand(struct lp_crew *c, struct lp_hand *h, unsigned number)
{
	enum lp_err err = lp_bell_init(&h->bell);

	if (err)
		return err;
	h->crew = c;
	h->number = number;
	c->n = number + 1;
	lp_share_bell(c->share, number, &h->bell);
	lp_merge_bell(c->merge, number, &h->bell);
	return lp_worker_make(&h->worker, c->engine, number, (unsigned)c->engine->workers, h);
}

static enum lp_err make(struct lp_crew *c)
{
	struct lp_engine *e = c->engine;
	enum lp_err err;

	err = lp_share_new(&c->share, e->workers, e->live ? LIVE : BATCHES, &e->seed);
	if (!err)
		err = lp_merge_new(&c->merge, e->workers, EVENTS, lp_outputs_event, e->outputs);
	if (!err && e->live) {
		lp_share_live(c->share);
		lp_merge_live(c->merge);
	}
	if (!err)
		err = lp_reader_new(&c->reader, &e->decode_config, &lp_share_sink, c->share);
	if (err)
		return err;
	c->hand = calloc(e->workers, sizeof *c->hand);
	if (!c->hand)
		return LP_E_NOMEM;
	for (unsigned i = 0; i < e->workers && !err; i++)
		err = make_hand(c, &c->hand[i], i);
	return err;
}

/* Signals are for the caller's thread. */
static enum lp_err start(struct lp_crew *c)
{
	sigset_t all, before;
	bool ok;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	ok = c->output_started = !pthread_create(&c->output, NULL, put_out, c);
	for (unsigned i = 0; i < c->n && ok; i++)
		ok = c->hand[i].started = !pthread_create(&c->hand[i].thread, NULL, work,
							  &c->hand[i]);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return ok ? LP_OK : LP_E_NOMEM;
}

struct lp_crew *lp_crew_new(struct lp_engine *e, char *why)
{
	struct lp_crew *c = calloc(1, sizeof *c);
	enum lp_err err;

	snprintf(why, LP_WHY, "out of memory");
	if (!c)
		return NULL;
	if (lp_outputs_open(e->outputs, why)) {
		free(c);
		return NULL;
	}
	c->engine = e;
	e->crew = c;
	err = make(c);
	if (!err)
		err = start(c);
	if (err) {
		snprintf(why, LP_WHY, "%zu workers: %s", e->workers, lp_err_text(err));
		lp_crew_free(c);
		return NULL;
	}
	return c;
}

static int state(struct lp_crew *c)
{
	enum lp_err err = lp_share_fault(c->share);

	if (err)
		lp_crew_fault(c, err);
	err = (enum lp_err)atomic_load(&c->fault);
	if (!err)
		return 0;
	snprintf(c->engine->why, sizeof c->engine->why, "%s", lp_worker_fault_text(err));
	return -1;
}

int lp_crew_packets(struct lp_crew *c, const struct lp_wire *packets, size_t n)
{
	lp_reader_packets(c->reader, packets, n);
	return state(c);
}

int lp_crew_advance(struct lp_crew *c, uint64_t now_ns)
{
	lp_reader_advance(c->reader, now_ns);
	return state(c);
}

void lp_crew_fault(struct lp_crew *c, enum lp_err err)
{
	int none = LP_OK;

	(void)atomic_compare_exchange_strong(&c->fault, &none, (int)err);
}

int lp_crew_finish(struct lp_crew *c)
{
	uint64_t first_ns, last_ns;

	if (c->finished)
		return state(c);
	c->finished = true;
	lp_reader_times(c->reader, &first_ns, &last_ns);
	lp_share_end(c->share, lp_reader_number(c->reader), last_ns);
	for (unsigned i = 0; i < c->n; i++) {
		struct lp_hand *h = &c->hand[i];

		if (h->started)
			(void)pthread_join(h->thread, NULL);
		else
			stop(h);
		h->started = false;
	}
	for (size_t i = c->n; i < c->engine->workers; i++)
		lp_merge_over(c->merge, i);
	if (c->output_started)
		(void)pthread_join(c->output, NULL);
	c->output_started = false;
	for (unsigned i = 0; i < c->n; i++)
		c->hand[i].direct = true;
	/* The counters are those of the last packet's time. */
	lp_sessions_expire(c->engine->sessions, last_ns, lp_clock_mono());
	return state(c);
}

void lp_crew_rotate(struct lp_crew *c)
{
	lp_merge_rotate(c->merge);
}

uint64_t lp_crew_shed(const struct lp_crew *c)
{
	return lp_share_shed(c->share);
}

const struct lp_reader *lp_crew_reader(const struct lp_crew *c)
{
	return c->reader;
}

void lp_crew_free(struct lp_crew *c)
{
	if (!c)
		return;
	if (c->reader)
		(void)lp_crew_finish(c);
	for (unsigned i = 0; i < c->n; i++) {
		lp_worker_free(c->hand[i].worker);
		lp_bell_clear(&c->hand[i].bell);
	}
	lp_reader_free(c->reader);
	lp_merge_free(c->merge);
	lp_share_free(c->share);
	c->engine->crew = NULL;
	free(c->hand);
	free(c);
}
