#include "order.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum { CHUNK_SIZE = 256 * 1024, NONE = UINT32_MAX };

/* An event's place in the heap, which is what moves: most are decided by the packet's number. */
struct node {
	uint64_t number;
	uint32_t at; /* in events */
};

struct lp_order {
	lp_order_sink *sink;
	lp_order_ready *ready;  /* NULL: the sink takes everything, at once */
	void *user;
	bool ordered;
	bool draining;
	uint64_t serial;
	struct lp_waiter *first, *last; /* by place */
	struct node *heap;
	struct lp_event *events;    /* those in the heap, each where it was put */
	size_t n, size;             /* of both */
	uint32_t free;              /* the free ones are a chain: next is n */
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
	o->free = NONE;
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
	free(o->events);
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

/* The place of the first event of the heap, which is not empty. */
static const struct lp_when *top(const struct lp_order *o)
{
	return &o->events[o->heap[0].at].when;
}

const struct lp_when *lp_order_next(const struct lp_order *o)
{
	if (o->n && (!o->first || lp_when_compare(top(o), &o->first->when) < 0))
		return top(o);
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

static bool before(const struct lp_order *o, const struct node *a, const struct node *b)
{
	const struct lp_event *x, *y;
	int c;

	if (a->number != b->number)
		return a->number < b->number;
	x = &o->events[a->at];
	y = &o->events[b->at];
	c = lp_when_compare(&x->when, &y->when);
	return c < 0 || (!c && x->serial < y->serial);
}

static void sift_up(struct lp_order *o, size_t i)
{
	const struct node moved = o->heap[i];

	while (i && before(o, &moved, &o->heap[(i - 1) / 2])) {
		o->heap[i] = o->heap[(i - 1) / 2];
		i = (i - 1) / 2;
	}
	o->heap[i] = moved;
}

static void sift_down(struct lp_order *o, size_t i)
{
	const struct node moved = o->heap[i];

	for (;;) {
		size_t child = 2 * i + 1;

		if (child >= o->n)
			break;
		if (child + 1 < o->n && before(o, &o->heap[child + 1], &o->heap[child]))
			child++;
		if (!before(o, &o->heap[child], &moved))
			break;
		o->heap[i] = o->heap[child];
		i = child;
	}
	o->heap[i] = moved;
}

static enum lp_err grow(struct lp_order *o)
{
	const size_t size = o->size ? 2 * o->size : 256;
	struct lp_event *events;
	struct node *heap;

	if (size >= NONE)
		return LP_E_NOMEM;
	heap = realloc(o->heap, size * sizeof *heap);
	if (!heap)
		return LP_E_NOMEM;
	o->heap = heap;
	events = realloc(o->events, size * sizeof *events);
	if (!events)
		return LP_E_NOMEM;
	o->events = events;
	for (size_t i = size; i-- > o->size;) {
		events[i].n = o->free;
		o->free = (uint32_t)i;
	}
	o->size = size;
	return LP_OK;
}

static enum lp_err push(struct lp_order *o, const struct lp_event *event)
{
	enum lp_err err = o->n == o->size ? grow(o) : LP_OK;
	uint32_t at;

	if (err)
		return err;
	at = o->free;
	o->free = (uint32_t)o->events[at].n;
	o->events[at] = *event;
	o->heap[o->n] = (struct node){ event->when.number, at };
	sift_up(o, o->n++);
	return LP_OK;
}

/* Takes the first one out of the heap. */
static struct lp_event pop(struct lp_order *o)
{
	const uint32_t at = o->heap[0].at;
	const struct lp_event event = o->events[at];

	o->events[at].n = o->free;
	o->free = at;
	o->heap[0] = o->heap[--o->n];
	if (o->n)
		sift_down(o, 0);
	return event;
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
	while (o->n && may_leave(o, top(o))) {
		struct lp_event event = pop(o);

		o->sink(o->user, &event);
		lp_chunk_unref(event.chunk);
	}
	o->draining = false;
}

bool lp_order_blocked(const struct lp_order *o)
{
	return o->n && !held_back(o, top(o));
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
	return (o->n ? o->size * (sizeof *o->heap + sizeof *o->events) : 0) + atomic_load(&o->held);
}
