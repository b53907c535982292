/* A worker's place in a crew: the thread that gives it packets and answers, and tells the merge
 * how far it is. */
#define _GNU_SOURCE
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/cpu.h"
#include "base/log.h"
#include "base/ring.h"
#include "crew_parts.h"

enum {
	LINES = 4,     /* of each segment's cache lines; the others follow by themselves */
	RETRY_MS = 10, /* the warden may have no room for questions now */
	IDLE_MS = 250, /* how often a silent device's clock is looked at */
	JUDGED = 32,   /* connections that tell how they are shared out */
};

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

void lp_hand_wake(struct lp_hand *h)
{
	lp_bell_ring(&h->bell);
}

bool lp_hand_passed(const struct lp_hand *h, const struct lp_when *when)
{
	return lp_merge_passed(h->crew->merge, h->number, when);
}

/* A worker that has its own handle depends on the kernel for both sides of a connection. */
static void judge(const struct lp_hand *h)
{
	const struct lp_worker *w = h->worker;

	if (w->begun < JUDGED || w->one_sided <= w->begun / 2 ||
	    atomic_exchange(&h->crew->said, true))
		return;
	lp_log("the kernel shows a worker only one side of most connections (%llu of %llu), as it "
	       "does with those within tunnels: --fanout user keeps them together",
	       (unsigned long long)w->one_sided, (unsigned long long)w->begun);
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

/* Segments lie where the reader has found them, and perhaps nobody has asked for these in time:
 * they came when the batch before them was done. */
static void fetch(struct lp_batch *b)
{
	for (size_t i = 0; i < b->n; i++)
		for (size_t at = 0; at < LINES * LP_CACHE_LINE; at += LP_CACHE_LINE)
			__builtin_prefetch(b->segment[i].tcp + at);
}

/* The bytes of the batch behind it, which is often there already. */
static void look_ahead(struct lp_batch *b, const struct lp_batch *next)
{
	for (size_t i = 0; i < b->n; i++)
		b->segment[i].soon = next && i < next->n ? next->segment[i].tcp : NULL;
}

static void on_second(void *hand, uint64_t number, uint64_t ns)
{
	struct lp_hand *h = hand;

	tick(h, number, ns);
	lp_worker_second(h->worker, number, ns);
	h->done = (struct lp_when){ .number = number, .tick = LP_TICK_NONE, .released_ns = ns };
}

/* Behind all that packet number brings, but not behind what the end of the capture does, if it is
 * the last: that has its place, too, by flow. */
static struct lp_when behind(uint64_t number, uint64_t ns)
{
	return (struct lp_when){ .number = number, .tick = LP_TICK_NONE, .flow = 1,
				 .released_ns = ns };
}

static void on_segments(void *hand, const struct lp_segment *s, size_t n, uint64_t ns)
{
	struct lp_hand *h = hand;

	if (!n)
		return;
	lp_worker_segments(h->worker, s, n, ns);
	h->done = behind(s[n - 1].number, s[n - 1].clock_ns);
	if (h->tap)
		judge(h);
}

static const struct lp_reader_sink tap_sink = { on_segments, on_second };

static void handle(struct lp_hand *h, struct lp_batch *b)
{
	if (b->second)
		on_second(h, b->number, b->now_ns);
	look_ahead(b, lp_share_second(h->crew->share, h->number));
	fetch(b);
	on_segments(h, b->segment, b->n, b->now_ns);
	lp_order_drain(h->worker->order);
}

/* False: there was nothing to read. */
static bool listen(struct lp_hand *h)
{
	bool any = lp_tap_read(h->tap);

	if (lp_tap_fault(h->tap))
		atomic_store(&h->crew->deaf, h->crew->capture[h->number]);
	lp_order_drain(h->worker->order);
	return any;
}

static void end_capture(struct lp_hand *h)
{
	uint64_t number, ns;

	if (h->tap) {
		uint64_t first_ns;

		lp_reader_times(lp_tap_reader(h->tap), &first_ns, &ns);
		number = lp_reader_number(lp_tap_reader(h->tap));
	} else {
		lp_share_last(h->crew->share, &number, &ns);
	}
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
	const struct lp_when read = behind(reached, floor.released_ns);

	if (h->put && h->crew->engine->live)
		lp_merge_wake(h->crew->merge); /* who waits holds back nothing but the floor */
	h->put = false;
	if (empty && lp_when_compare(&floor, &read) < 0)
		floor = read;
	/* A batch that came since then and must wait, because too much is held, is behind that. */
	if (lp_when_compare(&floor, &h->told) < 0)
		floor = h->told;
	if (next && lp_when_compare(next, &floor) < 0)
		floor = *next;
	if (lp_when_compare(&h->told, &floor) == 0 ||
	    (h->crew->engine->live && lp_when_compare(&floor, &h->told) < 0))
		return;
	h->told = floor;
	lp_merge_floor(h->crew->merge, h->number, &floor);
}

void lp_hand_stop(struct lp_hand *h)
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

static void tell_asks(struct lp_hand *h)
{
	const struct lp_worker *w = h->worker;

	atomic_store(&h->asks, !h->over && (lp_asks_pending(w->asks) || w->lookups));
}

/* Packets, if there are any and there is room. False: none; *empty: nor are there any. */
static bool take_some(struct lp_hand *h, bool ended, bool *empty)
{
	struct lp_share *share = h->crew->share;
	struct lp_batch *b;

	if (h->tap) {
		*empty = ended || h->over;
		if (*empty || lp_worker_full(h->worker))
			return false;
		*empty = !listen(h);
		return !*empty;
	}
	b = lp_share_front(share, h->number);
	*empty = !b;
	if (!b || (!h->over && lp_worker_full(h->worker)))
		return false;
	if (!h->over)
		handle(h, b);
	tell_asks(h);
	lp_share_pop(share, h->number);
	return true;
}

static void end(struct lp_hand *h)
{
	if (h->tap)
		lp_tap_end(h->tap);
	if (h->over)
		h->ended = true;
	else
		end_capture(h);
}

static uint64_t reached_by(const struct lp_crew *c)
{
	return c->taken ? atomic_load(c->taken) : lp_share_reached(c->share);
}

/* Those who have nothing to read are to say that they have passed what one looks up. */
static void ask_around(struct lp_hand *h, bool looks)
{
	const struct lp_crew *c = h->crew;

	lp_merge_watch(c->merge, h->number, looks);
	if (looks && !h->looked && c->taken)
		for (unsigned i = 0; i < c->n; i++)
			if (i != h->number)
				lp_bell_ring(&c->hand[i].bell);
	h->looked = looks;
}

/* False: there was nothing to do. */
static bool step(struct lp_hand *h)
{
	struct lp_worker *w = h->worker;
	bool ended = lp_share_ended(h->crew->share);
	uint64_t reached = reached_by(h->crew);
	bool worked = false, empty;

	if (!h->over) {
		ask_around(h, w->lookups != NULL);
		worked = lp_worker_turn(w);
	}
	if (take_some(h, ended, &empty)) {
		worked = true;
	} else if (empty && ended && !h->ended) {
		end(h);
		worked = true;
	}
	if (w->env.fault) {
		lp_crew_fault(h->crew, w->env.fault);
		lp_hand_stop(h);
	}
	if (!h->over)
		tell(h, reached, empty);
	if (!h->over && h->ended && is_done(w))
		lp_hand_stop(h);
	tell_asks(h);
	return worked;
}

/* What else than the bell may have something for it, and when to look in any case. */
static void nap(struct lp_hand *h)
{
	const struct lp_engine *e = h->crew->engine;
	struct lp_worker *w = h->worker;
	/* What is not going to be read must not wake it. */
	bool listens = h->tap && !h->over && !h->ended && !lp_worker_full(w);
	int fd = listens ? h->poll_fd : -1, timeout = listens ? IDLE_MS : -1;
	int doze = h->over ? 0 : lp_asks_doze(w->asks);

	if (!h->over)
		lp_worker_flush(w);
	if (fd < 0 && !h->over && (lp_asks_pending(w->asks) || (e->follow && !h->number)))
		fd = lp_asks_fd(w->asks);
	if (!h->over && !h->number && lp_keylogs_followed(e->keylogs))
		timeout = LP_KEYLOGS_POLL_MS;
	if (!h->over && lp_asks_pending(w->asks))
		timeout = RETRY_MS;
	if (doze) {
		fd = -1;
		timeout = doze;
	}
	if (!h->over && w->late)
		timeout = LP_LATE_POLL_MS;
	if (!h->over && w->stored_asked)
		timeout = LP_STORED_POLL_MS;
	if (doze && doze == timeout && lp_asks_full(w->asks)) {
		/* It is for answers alone, and nobody rings for these. */
		lp_bell_disarm(&h->bell);
		(void)poll(NULL, 0, timeout);
		return;
	}
	lp_bell_sleep(&h->bell, fd, timeout);
}

void *lp_hand_work(void *hand)
{
	struct lp_hand *h = hand;
	char name[16];

	snprintf(name, sizeof name, "worker %u", h->number);
	(void)pthread_setname_np(pthread_self(), name);
	while (!h->over || !h->ended) {
		if (step(h))
			continue;
		lp_bell_arm(&h->bell);
		if (step(h) || (h->over && h->ended)) {
			lp_bell_disarm(&h->bell);
			continue;
		}
		lp_merge_news(h->crew->merge, h->number);
		nap(h);
	}
	return NULL;
}

/* ---- its life ---- */

/* Whoever sleeps has a place for one descriptor beside the bell. */
static enum lp_err make_tap(struct lp_hand *h)
{
	struct lp_crew *c = h->crew;
	enum lp_err err = lp_tap_new(&h->tap, c->capture[h->number], &c->engine->decode_config,
				     &tap_sink, h);

	if (err)
		return err;
	h->poll_fd = epoll_create1(EPOLL_CLOEXEC);
	for (int i = 0; i < 2; i++) {
		struct epoll_event ev = { .events = EPOLLIN };
		int fd = i ? lp_asks_fd(h->worker->asks) : lp_tap_fd(h->tap);

		if (h->poll_fd < 0 || epoll_ctl(h->poll_fd, EPOLL_CTL_ADD, fd, &ev))
			return LP_E_IO;
	}
	return LP_OK;
}

enum lp_err lp_hand_make(struct lp_crew *c, unsigned number)
{
	struct lp_hand *h = &c->hand[number];
	enum lp_err err = lp_bell_init(&h->bell);

	if (err)
		return err;
	h->crew = c;
	h->number = number;
	h->poll_fd = -1;
	c->n = number + 1;
	lp_share_bell(c->share, number, &h->bell);
	lp_merge_bell(c->merge, number, &h->bell);
	err = lp_worker_make(&h->worker, c->engine, number, (unsigned)c->engine->workers, h);
	return err || !c->capture ? err : make_tap(h);
}

void lp_hand_clear(struct lp_hand *h)
{
	lp_worker_free(h->worker);
	lp_tap_free(h->tap);
	if (h->poll_fd >= 0)
		close(h->poll_fd);
	lp_bell_clear(&h->bell);
}
