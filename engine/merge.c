#include "merge.h"

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>

#include "base/cpu.h"
#include "base/ring.h"

struct source {
	struct lp_ring ring;
	struct lp_bell *bell;     /* of its worker, or NULL */
	atomic_bool starved;      /* its worker waits for room */
	atomic_bool watch;
	bool news;                /* the worker's: events that the output thread was not woken for */
	pthread_mutex_t lock;     /* guards the two below; taken once a batch */
	struct lp_when floor;
	bool over;
};

struct lp_merge {
	lp_order_sink *sink;
	void *user;
	struct lp_bell bell;      /* of the output thread */
	bool live, eager;
	atomic_bool rotate;
	/* Packet number: with all floors above it everything leaves that the output thread
	 * knew of when it last went to sleep. */
	atomic_uint_fast64_t wanted;
	size_t n;
	struct source *source;
};

enum lp_err lp_merge_new(struct lp_merge **out, size_t sources, size_t slots,
			 lp_order_sink *sink, void *user)
{
	struct lp_merge *m = calloc(1, sizeof *m);
	enum lp_err err;

	*out = NULL;
	if (!m)
		return LP_E_NOMEM;
	m->sink = sink;
	m->user = user;
	atomic_init(&m->wanted, UINT64_MAX);
	err = lp_bell_init(&m->bell);
	/* calloc() knows nothing of cache lines. */
	if (!err)
		m->source = aligned_alloc(LP_CACHE_LINE, sources * sizeof *m->source);
	if (!err && !m->source)
		err = LP_E_NOMEM;
	while (!err && m->n < sources) {
		struct source *s = &m->source[m->n];

		*s = (struct source){ .bell = NULL };
		err = lp_ring_init(&s->ring, slots, sizeof(struct lp_event));
		if (!err) {
			pthread_mutex_init(&s->lock, NULL);
			m->n++;
		}
	}
	if (err)
		lp_merge_free(m);
	else
		*out = m;
	return err;
}

void lp_merge_free(struct lp_merge *m)
{
	if (!m)
		return;
	for (size_t i = 0; i < m->n; i++) {
		assert(!lp_ring_count(&m->source[i].ring));
		lp_ring_clear(&m->source[i].ring);
		pthread_mutex_destroy(&m->source[i].lock);
	}
	lp_bell_clear(&m->bell);
	free(m->source);
	free(m);
}

void lp_merge_live(struct lp_merge *m)
{
	m->live = true;
}

void lp_merge_eager(struct lp_merge *m)
{
	m->eager = true;
}

void lp_merge_rotate(struct lp_merge *m)
{
	atomic_store(&m->rotate, true);
	lp_bell_ring(&m->bell);
}

/* ---- a source ---- */

void lp_merge_wake(struct lp_merge *m)
{
	lp_bell_ring(&m->bell);
}

void lp_merge_bell(struct lp_merge *m, size_t source, struct lp_bell *bell)
{
	m->source[source].bell = bell;
}

bool lp_merge_ready(struct lp_merge *m, size_t source)
{
	struct source *s = &m->source[source];

	if (lp_ring_room(&s->ring))
		return true;
	/* First said, then looked again: whoever makes room in between has seen it. */
	(void)atomic_exchange(&s->starved, true);
	lp_bell_ring(&m->bell);
	return lp_ring_room(&s->ring) != NULL;
}

void lp_merge_put(struct lp_merge *m, size_t source, struct lp_event *event)
{
	struct source *s = &m->source[source];
	struct lp_event *room = lp_ring_room(&s->ring);

	assert(room);
	*room = *event;
	event->chunk = NULL;
	lp_ring_push(&s->ring);
	s->news = true;
}

/* A floor that moved may make look-ups final. */
static void moved(struct lp_merge *m, size_t source)
{
	for (size_t i = 0; i < m->n; i++)
		if (i != source && m->source[i].bell && atomic_load(&m->source[i].watch))
			lp_bell_ring(m->source[i].bell);
}

void lp_merge_floor(struct lp_merge *m, size_t source, const struct lp_when *floor)
{
	struct source *s = &m->source[source];
	const uint64_t before = s->floor.number;
	uint64_t wanted;

	pthread_mutex_lock(&s->lock);
	assert(lp_when_compare(&s->floor, floor) <= 0);
	s->floor = *floor;
	pthread_mutex_unlock(&s->lock);
	/* It is wanted before the output thread looks at floors for the last time, so one that was
	 * above it already has been seen. */
	wanted = atomic_load(&m->wanted);
	if (m->eager || m->live || (before <= wanted && floor->number >= wanted))
		lp_bell_ring(&m->bell);
	else if (lp_ring_count(&s->ring) >= s->ring.slots / 2)
		lp_merge_news(m, source);
	moved(m, source);
}

void lp_merge_news(struct lp_merge *m, size_t source)
{
	struct source *s = &m->source[source];

	if (s->news)
		lp_bell_ring(&m->bell);
	s->news = false;
}

void lp_merge_over(struct lp_merge *m, size_t source)
{
	struct source *s = &m->source[source];

	pthread_mutex_lock(&s->lock);
	s->over = true;
	pthread_mutex_unlock(&s->lock);
	lp_bell_ring(&m->bell);
	moved(m, source);
}

/* False: it is over. */
static bool floor_of(struct source *s, struct lp_when *floor)
{
	bool over;

	pthread_mutex_lock(&s->lock);
	over = s->over;
	*floor = s->floor;
	pthread_mutex_unlock(&s->lock);
	return !over;
}

bool lp_merge_passed(struct lp_merge *m, size_t source, const struct lp_when *when)
{
	struct lp_when floor;

	for (size_t i = 0; i < m->n; i++)
		if (i != source && floor_of(&m->source[i], &floor) &&
		    lp_when_compare(&floor, when) <= 0)
			return false;
	return true;
}

void lp_merge_watch(struct lp_merge *m, size_t source, bool watch)
{
	atomic_store(&m->source[source].watch, watch);
}

bool lp_merge_earliest(struct lp_merge *m, struct lp_when *earliest)
{
	struct lp_when floor;
	bool any = false;

	for (size_t i = 0; i < m->n; i++) {
		if (!floor_of(&m->source[i], &floor))
			continue;
		if (!any || lp_when_compare(&floor, earliest) < 0)
			*earliest = floor;
		any = true;
	}
	return any;
}

/* ---- the output thread ---- */

/* The source whose event is the next of all, NULL: none may leave yet. Those of it may leave
 * that are below *limit, if *limited. *over: nothing is there nor will come. */
static struct source *next(struct lp_merge *m, struct lp_when *limit, bool *limited, bool *over)
{
	struct source *best = NULL;
	struct lp_when at, low = { 0 };
	bool found = false;

	*limited = false;
	for (size_t i = 0; i < m->n; i++) {
		struct source *s = &m->source[i];
		const struct lp_event *head = lp_ring_front(&s->ring);
		bool runs = head != NULL;

		if (!head) {
			/* The floor first, then the ring: what is below the floor was in
			 * the ring before the floor was told. */
			runs = floor_of(s, &at);
			head = lp_ring_front(&s->ring);
		}
		if (!head && !runs)
			continue;
		if (head)
			at = head->when;
		if (!found || lp_when_compare(&at, &low) < 0 ||
		    (!head && best && !lp_when_compare(&at, &low))) {
			*limit = low;
			*limited = found;
			low = at;
			best = head ? s : NULL;
		} else if (!*limited || lp_when_compare(&at, limit) < 0) {
			*limit = at;
			*limited = true;
		}
		found = true;
	}
	*over = !found;
	return best;
}

static void deliver(struct lp_merge *m, struct source *s)
{
	struct lp_event event = *(const struct lp_event *)lp_ring_front(&s->ring);

	lp_ring_pop(&s->ring);
	/* Not for each slot: a worker that is woken has something to do then. */
	if (lp_ring_count(&s->ring) <= s->ring.slots / 2 && atomic_exchange(&s->starved, false) &&
	    s->bell)
		lp_bell_ring(s->bell);
	m->sink(m->user, &event);
	lp_chunk_unref(event.chunk);
}

/* Of each a ring's length at most, then the next has its turn. */
static bool take_live(struct lp_merge *m, bool *over)
{
	struct lp_when floor;
	bool any = false;

	*over = true;
	for (size_t i = 0; i < m->n; i++) {
		struct source *s = &m->source[i];
		/* First this, then the ring: what was put before it was over is seen. */
		bool runs = floor_of(s, &floor);
		size_t most = s->ring.slots;

		for (; most && lp_ring_front(&s->ring); most--, any = true)
			deliver(m, s);
		if (runs || !most)
			*over = false;
	}
	return any;
}

static bool take(struct lp_merge *m, bool *over)
{
	const struct lp_event *head;
	struct lp_when limit = { 0 };
	struct source *s;
	bool any = false, limited;

	if (atomic_load(&m->rotate) && atomic_exchange(&m->rotate, false))
		m->sink(m->user, &(struct lp_event){ .kind = LP_EVENT_ROTATE });
	if (m->live)
		return take_live(m, over);
	while ((s = next(m, &limit, &limited, over))) {
		any = true;
		do {
			deliver(m, s);
			head = lp_ring_front(&s->ring);
		} while (head && limited && lp_when_compare(&head->when, &limit) < 0);
	}
	return any;
}

bool lp_merge_take(struct lp_merge *m)
{
	bool over;

	return take(m, &over);
}

/* The newest event that there is. */
static uint64_t newest(struct lp_merge *m)
{
	uint64_t number = 0;
	bool any = false;

	for (size_t i = 0; i < m->n; i++) {
		struct lp_ring *ring = &m->source[i].ring;
		const struct lp_event *last = lp_ring_front(ring) ? lp_ring_last(ring) : NULL;

		any = any || last;
		if (last && last->when.number > number)
			number = last->when.number;
	}
	return any ? number : UINT64_MAX;
}

void lp_merge_run(struct lp_merge *m)
{
	bool over = false;

	for (;;) {
		if (take(m, &over))
			continue;
		if (over)
			return;
		atomic_store(&m->wanted, newest(m));
		lp_bell_arm(&m->bell);
		if (take(m, &over) || over)
			lp_bell_disarm(&m->bell);
		else
			lp_bell_sleep(&m->bell, -1, -1);
	}
}
