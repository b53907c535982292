#include "order.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum { CHUNK_SIZE = 256 * 1024 };

struct lp_order {
	lp_order_sink *sink;
	lp_order_ready *ready;  /* NULL: the sink takes everything, at once */
	void *user;
	bool ordered;
	bool draining;
	uint64_t serial;
	struct lp_waiter *first, *last; /* by place */
	struct lp_event *heap;
	size_t n, size;
	struct lp_chunk *chunk; /* being filled; NULL if none */
	atomic_size_t held;     /* bytes of the chunks */
};

enum lp_err lp_order_new(struct lp_order **out, bool ordered, lp_order_sink *sink, void *user)
{
	struct lp_order *o = calloc(1, sizeof *o);

	*out = o;
	if (!o)
		return LP_E_NOMEM;
	o->ordered = ordered;
	o->sink = sink;
	o->user = user;
	return LP_OK;
}

void lp_order_hand_over(struct lp_order *o, lp_order_ready *ready)
{
	assert(!o->serial);
	o->ready = ready;
}

void lp_order_free(struct lp_order *o)
{
	if (!o)
		return;
	assert(!o->n);
	lp_chunk_unref(o->chunk);
	assert(!atomic_load(&o->held));
	free(o->heap);
	free(o);
}

void lp_order_wait(struct lp_order *o, struct lp_waiter *w, const struct lp_when *when)
{
	struct lp_waiter *after = o->last;

	assert(!w->waiting);
	w->when = *when;
	w->waiting = true;
	while (after && lp_when_compare(&after->when, when) > 0)
		after = after->prev;
	w->prev = after;
	w->next = after ? after->next : o->first;
	*(w->prev ? &w->prev->next : &o->first) = w;
	*(w->next ? &w->next->prev : &o->last) = w;
}

void lp_order_done(struct lp_order *o, struct lp_waiter *w)
{
	if (!w->waiting)
		return;
	*(w->prev ? &w->prev->next : &o->first) = w->next;
	*(w->next ? &w->next->prev : &o->last) = w->prev;
	w->waiting = false;
	w->prev = NULL;
	w->next = NULL;
}

const struct lp_when *lp_order_earliest(const struct lp_order *o)
{
	return o->first ? &o->first->when : NULL;
}

const struct lp_when *lp_order_next(const struct lp_order *o)
{
	if (o->n && (!o->first || lp_when_compare(&o->heap[0].when, &o->first->when) < 0))
		return &o->heap[0].when;
	return lp_order_earliest(o);
}

bool lp_order_first(const struct lp_order *o, const struct lp_waiter *w)
{
	return o->first == w;
}

enum lp_err lp_order_room(struct lp_order *o, size_t n, uint8_t **room)
{
	struct lp_chunk *c;

	*room = o->chunk ? lp_chunk_room(o->chunk, n) : NULL;
	if (*room)
		return LP_OK;
	c = lp_chunk_new(n > CHUNK_SIZE ? n : CHUNK_SIZE, &o->held);
	if (!c)
		return LP_E_NOMEM;
	lp_chunk_unref(o->chunk);
	o->chunk = c;
	*room = lp_chunk_room(c, n);
	return LP_OK;
}

static bool before(const struct lp_event *a, const struct lp_event *b)
{
	int c = lp_when_compare(&a->when, &b->when);

	return c < 0 || (!c && a->serial < b->serial);
}

static void sift_up(struct lp_order *o, size_t i)
{
	struct lp_event moved = o->heap[i];

	while (i && before(&moved, &o->heap[(i - 1) / 2])) {
		o->heap[i] = o->heap[(i - 1) / 2];
		i = (i - 1) / 2;
	}
	o->heap[i] = moved;
}

static void sift_down(struct lp_order *o, size_t i)
{
	struct lp_event moved = o->heap[i];

	for (;;) {
		size_t child = 2 * i + 1;

		if (child >= o->n)
			break;
		if (child + 1 < o->n && before(&o->heap[child + 1], &o->heap[child]))
			child++;
		if (!before(&o->heap[child], &moved))
			break;
		o->heap[i] = o->heap[child];
		i = child;
	}
	o->heap[i] = moved;
}

static enum lp_err push(struct lp_order *o, const struct lp_event *event)
{
	if (o->n == o->size) {
		size_t size = o->size ? 2 * o->size : 256;
		struct lp_event *heap = realloc(o->heap, size * sizeof *heap);

		if (!heap)
			return LP_E_NOMEM;
		o->heap = heap;
		o->size = size;
	}
	o->heap[o->n] = *event;
	sift_up(o, o->n++);
	return LP_OK;
}

static bool held_back(const struct lp_order *o, const struct lp_when *when)
{
	return o->ordered && o->first && lp_when_compare(when, &o->first->when) >= 0;
}

static bool may_leave(const struct lp_order *o, const struct lp_when *when)
{
	return !held_back(o, when) && (!o->ready || o->ready(o->user));
}

void lp_order_drain(struct lp_order *o)
{
	if (o->draining)
		return;
	o->draining = true;
	while (o->n && may_leave(o, &o->heap[0].when)) {
		struct lp_event event = o->heap[0];

		o->heap[0] = o->heap[--o->n];
		if (o->n)
			sift_down(o, 0);
		o->sink(o->user, &event);
		lp_chunk_unref(event.chunk);
	}
	o->draining = false;
}

bool lp_order_blocked(const struct lp_order *o)
{
	return o->n && !held_back(o, &o->heap[0].when);
}

void lp_order_flush(struct lp_order *o)
{
	o->ordered = false;
	lp_order_drain(o);
}

/* The event's bytes, which lie or are now put at the end of the chunk, become its own. */
static enum lp_err keep_bytes(struct lp_order *o, struct lp_event *e, bool room)
{
	uint8_t *copy;
	enum lp_err err;

	if (!room) {
		err = lp_order_room(o, e->n, &copy);
		if (err)
			return err;
		memcpy(copy, e->bytes, e->n);
		e->bytes = copy;
	}
	assert(o->chunk && e->bytes == o->chunk->mem + o->chunk->used);
	e->chunk = o->chunk;
	return LP_OK;
}

enum lp_err lp_order_put(struct lp_order *o, const struct lp_event *event, bool room)
{
	struct lp_event e = *event;
	bool now = !o->n && may_leave(o, &e.when);
	enum lp_err err;

	e.serial = o->serial++;
	e.chunk = NULL;
	if (now && !o->ready) {
		o->sink(o->user, &e);
		return LP_OK;
	}
	err = e.n ? keep_bytes(o, &e, room) : LP_OK;
	if (!err && !now)
		err = push(o, &e);
	if (err)
		return err;
	if (e.chunk) {
		lp_chunk_ref(e.chunk);
		e.chunk->used += e.n;
	}
	if (now) {
		o->sink(o->user, &e);
		lp_chunk_unref(e.chunk);
	}
	return LP_OK;
}

size_t lp_order_held(const struct lp_order *o)
{
	if (!o->n && !o->ready)
		return 0;
	return (o->n ? o->size * sizeof *o->heap : 0) + atomic_load(&o->held);
}
