#include "base/ring.h"

#include <assert.h>
#include <stdint.h>
#include <stdlib.h>

/* The counts of what was ever pushed and popped run on and may wrap: only their
 * difference and their place modulo slots, a power of two, are used. */

enum lp_err lp_ring_init(struct lp_ring *r, size_t slots, size_t item)
{
	assert(slots && !(slots & (slots - 1)) && item);
	r->item = item;
	r->slots = slots;
	atomic_init(&r->pushed, 0);
	atomic_init(&r->popped, 0);
	r->popped_seen = 0;
	r->pushed_seen = 0;
	r->mem = calloc(slots, item);
	return r->mem ? LP_OK : LP_E_NOMEM;
}

void lp_ring_clear(struct lp_ring *r)
{
	free(r->mem);
	r->mem = NULL;
}

static void *slot(const struct lp_ring *r, size_t count)
{
	return r->mem + (count & (r->slots - 1)) * r->item;
}

void *lp_ring_room(struct lp_ring *r)
{
	size_t pushed = atomic_load_explicit(&r->pushed, memory_order_relaxed);

	if (pushed - r->popped_seen == r->slots) {
		r->popped_seen = atomic_load_explicit(&r->popped, memory_order_acquire);
		if (pushed - r->popped_seen == r->slots)
			return NULL;
	}
	return slot(r, pushed);
}

void lp_ring_push(struct lp_ring *r)
{
	size_t pushed = atomic_load_explicit(&r->pushed, memory_order_relaxed);

	assert(pushed - r->popped_seen < r->slots);
	atomic_store_explicit(&r->pushed, pushed + 1, memory_order_release);
}

void *lp_ring_front(struct lp_ring *r)
{
	size_t popped = atomic_load_explicit(&r->popped, memory_order_relaxed);

	if (popped == r->pushed_seen) {
		r->pushed_seen = atomic_load_explicit(&r->pushed, memory_order_acquire);
		if (popped == r->pushed_seen)
			return NULL;
	}
	return slot(r, popped);
}

void lp_ring_pop(struct lp_ring *r)
{
	size_t popped = atomic_load_explicit(&r->popped, memory_order_relaxed);

	assert(popped != r->pushed_seen);
	atomic_store_explicit(&r->popped, popped + 1, memory_order_release);
}

const void *lp_ring_second(struct lp_ring *r)
{
	size_t second = atomic_load_explicit(&r->popped, memory_order_relaxed) + 1;

	if (second == r->pushed_seen)
		r->pushed_seen = atomic_load_explicit(&r->pushed, memory_order_acquire);
	return second == r->pushed_seen ? NULL : slot(r, second);
}

const void *lp_ring_last(struct lp_ring *r)
{
	r->pushed_seen = atomic_load_explicit(&r->pushed, memory_order_acquire);
	return slot(r, r->pushed_seen - 1);
}

size_t lp_ring_count(const struct lp_ring *r)
{
	/* In this order: the difference is never below what it was. */
	size_t popped = atomic_load_explicit(&r->popped, memory_order_acquire);
	size_t n = atomic_load_explicit(&r->pushed, memory_order_acquire) - popped;

	return n < r->slots ? n : r->slots;
}
