/* lp_spares: blocks of memory of one size that are used again and again, so that what is
 * needed for a moment, over and over, costs no allocation.
 * Owner: its holder, of one thread. At most max blocks are lent at a time, and that many
 * stay until lp_spares_clear(): who gets none must get by with memory of its own, so that
 * nobody makes us hold large blocks for little. Never for secrets. */
#ifndef LP_BASE_SPARES_H
#define LP_BASE_SPARES_H

#include "base/cursor.h"

struct lp_spares {
	size_t size;     /* bytes of a block */
	unsigned max;
	unsigned lent;
	uint64_t refused; /* times that none was left */
	void *first;     /* those not lent */
};

void lp_spares_init(struct lp_spares *s, size_t size, unsigned max);

/* All blocks must be back. */
void lp_spares_clear(struct lp_spares *s);

/* A block with any content; NULL: max are lent, or no memory. */
void *lp_spares_take(struct lp_spares *s);
void lp_spares_give(struct lp_spares *s, void *block);

#endif
