#include "order.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/secret.h"

enum { CHUNK_SIZE = 256 * 1024 };

/* Bytes of waiting events. Freed when the last event that points into it has
 * gone; the newest one is kept to be filled. */
struct chunk {
	uint8_t *mem;
	size_t size, used;
	size_t events;
};

struct item {
	struct lp_event event;
	struct chunk *chunk; /* NULL: no bytes */
};

struct lp_order {
	lp_order_sink *sink;
	void *user;
	bool ordered;
	bool draining;
	uint64_t serial;
	struct lp_waiter *first, *last; /* by place */
	struct item *heap;
	size_t n, size;
	struct chunk *chunk; /* being filled; NULL if none */
	size_t held;
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

static void chunk_free(struct lp_order *o, struct chunk *c)
{
	if (!c)
		return;
	o->held -= c->size;
	/* Clear text of other people: not left behind for whoever gets the memory. */
	if (c->mem)
		lp_wipe(c->mem, c->used);
	free(c->mem);
	free(c);
}

static void chunk_release(struct lp_order *o, struct chunk *c)
{
	if (!c || --c->events)
		return;
	if (c == o->chunk)
		c->used = 0;
	else
		chunk_free(o, c);
}

void lp_order_free(struct lp_order *o)
{
	if (!o)
		return;
	assert(!o->n);
	chunk_free(o, o->chunk);
	free(o->heap);
	free(o);
}

static int compare_when(const struct lp_when *a, const struct lp_when *b)
{
	if (a->number != b->number)
		return a->number < b->number ? -1 : 1;
	if (a->index != b->index)
		return a->index < b->index ? -1 : 1;
	return 0;
}

void lp_order_wait(struct lp_order *o, struct lp_waiter *w, const struct lp_when *when)
{
	struct lp_waiter *after = o->last;

	assert(!w->waiting);
	w->when = *when;
	w->waiting = true;
	while (after && compare_when(&after->when, when) > 0)
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

bool lp_order_first(const struct lp_order *o, const struct lp_waiter *w)
{
	return o->first == w;
}

enum lp_err lp_order_room(struct lp_order *o, size_t n, uint8_t **room)
{
	struct chunk *c = o->chunk;
	size_t size = n > CHUNK_SIZE ? n : CHUNK_SIZE;

	*room = NULL;
	if (c && c->size - c->used >= n) {
		*room = c->mem + c->used;
		return LP_OK;
	}
	c = calloc(1, sizeof *c);
	if (!c)
		return LP_E_NOMEM;
	c->mem = malloc(size);
	if (!c->mem) {
		free(c);
		return LP_E_NOMEM;
	}
	c->size = size;
	o->held += size;
	if (o->chunk && !o->chunk->events)
		chunk_free(o, o->chunk);
	o->chunk = c;
	*room = c->mem;
	return LP_OK;
}

static bool before(const struct item *a, const struct item *b)
{
	int c = compare_when(&a->event.when, &b->event.when);

	return c < 0 || (!c && a->event.serial < b->event.serial);
}

static void sift_up(struct lp_order *o, size_t i)
{
	struct item moved = o->heap[i];

	while (i && before(&moved, &o->heap[(i - 1) / 2])) {
		o->heap[i] = o->heap[(i - 1) / 2];
		i = (i - 1) / 2;
	}
	o->heap[i] = moved;
}

static void sift_down(struct lp_order *o, size_t i)
{
	struct item moved = o->heap[i];

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

static enum lp_err push(struct lp_order *o, const struct lp_event *event, struct chunk *chunk)
{
	if (o->n == o->size) {
		size_t size = o->size ? 2 * o->size : 256;
		struct item *heap = realloc(o->heap, size * sizeof *heap);

		if (!heap)
			return LP_E_NOMEM;
		o->held += (size - o->size) * sizeof *heap;
		o->heap = heap;
		o->size = size;
	}
	o->heap[o->n] = (struct item){ *event, chunk };
	if (chunk)
		chunk->events++;
	sift_up(o, o->n++);
	return LP_OK;
}

static bool held_back(const struct lp_order *o, const struct lp_when *when)
{
	return o->ordered && o->first && compare_when(when, &o->first->when) >= 0;
}

void lp_order_drain(struct lp_order *o)
{
	if (o->draining)
		return;
	o->draining = true;
	while (o->n && !held_back(o, &o->heap[0].event.when)) {
		struct item item = o->heap[0];

		o->heap[0] = o->heap[--o->n];
		if (o->n)
			sift_down(o, 0);
		o->sink(o->user, &item.event);
		chunk_release(o, item.chunk);
	}
	o->draining = false;
}

void lp_order_flush(struct lp_order *o)
{
	o->ordered = false;
	lp_order_drain(o);
}

enum lp_err lp_order_put(struct lp_order *o, const struct lp_event *event, bool room)
{
	struct lp_event e = *event;
	struct chunk *chunk = NULL;
	uint8_t *copy;
	enum lp_err err;

	e.serial = o->serial++;
	if (!o->n && !held_back(o, &e.when)) {
		o->sink(o->user, &e);
		return LP_OK;
	}
	if (e.n) {
		if (!room) {
			err = lp_order_room(o, e.n, &copy);
			if (err)
				return err;
			memcpy(copy, e.bytes, e.n);
			e.bytes = copy;
		}
		chunk = o->chunk;
		assert(chunk && e.bytes == chunk->mem + chunk->used);
	}
	err = push(o, &e, chunk);
	if (err)
		return err;
	if (chunk)
		chunk->used += e.n;
	return LP_OK;
}

size_t lp_order_held(const struct lp_order *o)
{
	return o->n ? o->held : 0;
}
