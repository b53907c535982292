#include "chunk.h"

#include <stdlib.h>

#include "base/secret.h"

struct lp_chunk *lp_chunk_new(size_t size, atomic_size_t *held)
{
	struct lp_chunk *c = calloc(1, sizeof *c);

	if (!c)
		return NULL;
	c->mem = malloc(size);
	if (!c->mem) {
		free(c);
		return NULL;
	}
	c->size = size;
	c->held = held;
	atomic_init(&c->refs, 1);
	atomic_fetch_add_explicit(held, size, memory_order_relaxed);
	return c;
}

void lp_chunk_ref(struct lp_chunk *c)
{
	atomic_fetch_add_explicit(&c->refs, 1, memory_order_relaxed);
}

void lp_chunk_unref(struct lp_chunk *c)
{
	if (!c || atomic_fetch_sub_explicit(&c->refs, 1, memory_order_acq_rel) != 1)
		return;
	atomic_fetch_sub_explicit(c->held, c->size, memory_order_relaxed);
	/* Clear text of other people: not left behind for whoever gets the memory. */
	lp_wipe(c->mem, c->top);
	free(c->mem);
	free(c);
}

uint8_t *lp_chunk_room(struct lp_chunk *c, size_t n)
{
	if (atomic_load_explicit(&c->refs, memory_order_acquire) == 1)
		c->used = 0;
	if (c->size - c->used < n)
		return NULL;
	if (c->top < c->used + n)
		c->top = c->used + n;
	return c->mem + c->used;
}
