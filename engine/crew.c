#define _GNU_SOURCE
#include "crew.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/ring.h"
#include "engine_parts.h"
#include "merge.h"
#include "net/checksum.h"
#include "share.h"
#include "tap.h"

enum {
	BATCHES = 32,  /* of packets that wait for a worker */
	LIVE = 1024,   /* … if they would be lost otherwise; of all workers, … */
	MOST = 128,    /* … and of one */
	EVENTS = 512,  /* of a worker that wait to be merged */
	AHEAD = 4,     /* segments, and cache lines of each, that are on their way */
	RETRY_MS = 10, /* the warden may have no room for questions now */
	IDLE_MS = 250, /* how often a silent device's clock is looked at */
	JUDGED = 32,   /* connections that tell how they are shared out */
};

struct lp_hand {
	struct lp_crew *crew;
	struct lp_worker *worker;
	struct lp_tap *tap;    /* NULL: its packets come from the share */
	int poll_fd;           /* of its tap and its line to the warden, or -1 */
	struct lp_bell bell;
	pthread_t thread;
	unsigned number;
	struct lp_when done;   /* what is left to handle is at this place or later */
	struct lp_when told;   /* … and what the merge knows of it */
	bool ended;            /* the capture, for this one */
	bool over;             /* it has nothing to tell any more */
	bool started;
	bool looked;           /* … and others were asked how far they are */
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
	atomic_bool said;      /* that packets are shared out badly */
	const atomic_uint_fast64_t *taken; /* packets of all taps; NULL: there are none */
	struct lp_capture *const *capture; /* of the taps */
	_Atomic(const struct lp_capture *) deaf;
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

/* Segments lie where the reader has found them, and only now somebody looks at all of them. */
static void check(struct lp_batch *b)
{
	for (size_t i = 0; i < b->n; i++) {
		if (i + AHEAD < b->n)
			for (size_t at = 0; at < AHEAD * LP_CACHE_LINE; at += LP_CACHE_LINE)
				__builtin_prefetch(b->segment[i + AHEAD].tcp + at);
		lp_checksum_segment(&b->segment[i]);
	}
}

static void on_second(void *hand, uint64_t number, uint64_t ns)
{
	struct lp_hand *h = hand;

	tick(h, number, ns);
	lp_worker_second(h->worker, number, ns);
	h->done = (struct lp_when){ .number = number, .tick = LP_TICK_NONE, .released_ns = ns };
}

static void on_segments(void *hand, const struct lp_segment *s, size_t n, uint64_t ns)
{
	struct lp_hand *h = hand;

	if (!n)
		return;
	lp_worker_segments(h->worker, s, n, ns);
	h->done = (struct lp_when){ .number = s[n - 1].number + 1, .released_ns = s[n - 1].clock_ns };
	if (h->tap)
		judge(h);
}

static const struct lp_reader_sink tap_sink = { on_segments, on_second };

static void handle(struct lp_hand *h, struct lp_batch *b)
{
	if (b->second)
		on_second(h, b->number, b->now_ns);
	check(b);
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
		stop(h);
	}
	if (!h->over)
		tell(h, reached, empty);
	if (!h->over && h->ended && is_done(w))
		stop(h);
	return worked;
}

/* What else than the bell may have something for it, and when to look in any case. */
static void nap(struct lp_hand *h)
{
	const struct lp_engine *e = h->crew->engine;
	const struct lp_worker *w = h->worker;
	/* What is not going to be read must not wake it. */
	bool listens = h->tap && !h->over && !h->ended && !lp_worker_full(w);
	int fd = listens ? h->poll_fd : -1, timeout = listens ? IDLE_MS : -1;

	if (fd < 0 && !h->over && (lp_asks_pending(w->asks) || (e->follow && !h->number)))
		fd = lp_asks_fd(w->asks);
	if (!h->over && !h->number && lp_keylogs_followed(e->keylogs))
		timeout = LP_KEYLOGS_POLL_MS;
	if (!h->over && lp_asks_pending(w->asks))
		timeout = RETRY_MS;
	if (!h->over && w->late)
		timeout = LP_LATE_POLL_MS;
	if (!h->over && w->stored_asked)
		timeout = LP_STORED_POLL_MS;
	lp_bell_sleep(&h->bell, fd, timeout);
}

static void *work(void *hand)
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

static void *put_out(void *crew)
{
	struct lp_crew *c = crew;

	(void)pthread_setname_np(pthread_self(), "outputs");
	lp_merge_run(c->merge);
	return NULL;
}

/* ---- all of them ---- */

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

static enum lp_err make_hand(struct lp_crew *c, struct lp_hand *h, unsigned number)
{
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

/* A power of two. */
static size_t live_batches(size_t workers)
{
	size_t n = MOST;

	while (n > BATCHES && n * workers > LIVE)
		n /= 2;
	return n;
}

static enum lp_err make(struct lp_crew *c)
{
	struct lp_engine *e = c->engine;
	struct lp_decode_config decode = e->decode_config;
	enum lp_err err;

	decode.checksums_later = true;
	err = lp_share_new(&c->share, e->workers, e->live ? live_batches(e->workers) : BATCHES,
			   &e->seed);
	if (!err)
		err = lp_merge_new(&c->merge, e->workers, EVENTS, lp_outputs_event, e->outputs);
	if (!err && e->follow) {
		lp_share_eager(c->share);
		lp_merge_eager(c->merge);
	}
	if (!err && e->live) {
		lp_share_live(c->share);
		lp_merge_live(c->merge);
	}
	if (!err)
		err = lp_reader_new(&c->reader, &decode, &lp_share_sink, c->share);
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
	return lp_crew_new_tapped(e, NULL, NULL, why);
}

struct lp_crew *lp_crew_new_tapped(struct lp_engine *e, struct lp_capture *const *tap,
				   const atomic_uint_fast64_t *taken, char *why)
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
	c->capture = tap;
	c->taken = taken;
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

int lp_crew_state(struct lp_crew *c, const struct lp_capture **deaf)
{
	*deaf = atomic_load(&c->deaf);
	return state(c);
}

void lp_crew_lend(struct lp_crew *c)
{
	lp_reader_lend(c->reader);
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
	struct lp_decode_stats decoded;
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
	lp_crew_decoded(c, &decoded, &first_ns, &last_ns);
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

void lp_crew_captured(struct lp_crew *c, struct lp_capture_stats *out)
{
	(void)lp_crew_finish(c);
	memset(out, 0, sizeof *out);
	for (unsigned i = 0; i < c->n; i++) {
		const struct lp_capture_stats *s = lp_tap_stats(c->hand[i].tap);

		out->packets += s->packets;
		out->bytes += s->bytes;
		out->filtered += s->filtered;
		out->kernel_drop += s->kernel_drop;
		if (out->if_drop < s->if_drop)
			out->if_drop = s->if_drop; /* the interface's own count */
	}
}

static void add_decoded(struct lp_decode_stats *sum, const struct lp_reader *reader)
{
	struct lp_decode_stats s;

	lp_reader_stats(reader, &s);
	sum->read += s.read;
	for (int i = 0; i < LP_DROPS; i++)
		sum->drop[i] += s.drop[i];
	for (size_t i = 0; i < sizeof s.csum / sizeof *s.csum; i++)
		sum->csum[i] += s.csum[i];
	sum->ip_csum_offload += s.ip_csum_offload;
	sum->no_length += s.no_length;
	sum->cut += s.cut;
	sum->datagrams += s.datagrams;
	sum->fragment_bytes += s.fragment_bytes;
	sum->domains += s.domains;
}

/* The reader of hand i, or the one there is. */
static const struct lp_reader *reader_of(const struct lp_crew *c, unsigned i)
{
	return c->taken && c->hand[i].tap ? lp_tap_reader(c->hand[i].tap) : c->reader;
}

void lp_crew_decoded(const struct lp_crew *c, struct lp_decode_stats *out, uint64_t *first_ns,
		     uint64_t *last_ns)
{
	memset(out, 0, sizeof *out);
	*first_ns = *last_ns = 0;
	for (unsigned i = 0; i < (c->taken ? c->n : 1); i++) {
		const struct lp_reader *reader = reader_of(c, i);
		uint64_t first, last;

		add_decoded(out, reader);
		lp_reader_times(reader, &first, &last);
		if (first && (!*first_ns || first < *first_ns))
			*first_ns = first;
		if (last > *last_ns)
			*last_ns = last;
	}
}

void lp_crew_free(struct lp_crew *c)
{
	if (!c)
		return;
	if (c->reader)
		(void)lp_crew_finish(c);
	for (unsigned i = 0; i < c->n; i++) {
		lp_worker_free(c->hand[i].worker);
		lp_tap_free(c->hand[i].tap);
		if (c->hand[i].poll_fd >= 0)
			close(c->hand[i].poll_fd);
		lp_bell_clear(&c->hand[i].bell);
	}
	lp_reader_free(c->reader);
	lp_merge_free(c->merge);
	lp_share_free(c->share);
	c->engine->crew = NULL;
	free(c->hand);
	free(c);
}
