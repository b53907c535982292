#include "base/spares.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

void lp_spares_init(struct lp_spares *s, size_t size, unsigned max)
{
	assert(size >= sizeof(void *));
	*s = (struct lp_spares){ .size = size, .max = max };
}

/* The next free block stands in the first bytes of a free one. */
static void *next_of(const void *block)
{
	void *next;

	memcpy(&next, block, sizeof next);
	return next;
}

void lp_spares_clear(struct lp_spares *s)
{
	assert(!s->lent);
	while (s->first) {
		void *block = s->first;

		s->first = next_of(block);
		free(block);
	}
}

void *lp_spares_take(struct lp_spares *s)
{
	void *block = s->first;

	if (s->lent == s->max) {
		s->refused++;
		return NULL;
	}
	if (block)
		s->first = next_of(block);
	else
		block = malloc(s->size);
	s->lent += block != NULL;
	return block;
}

void lp_spares_give(struct lp_spares *s, void *block)
{
	assert(s->lent);
	memcpy(block, &s->first, sizeof s->first);
	s->first = block;
	s->lent--;
}
