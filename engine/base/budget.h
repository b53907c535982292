/* lp_budget: a cap that several workers have in common. Each may use what the others do not; when
 * all of it is used, whoever has more than an equal part of it gives way, and nobody else.
 * So what one worker alone could do all of them can, as long as it fits, and a worker that floods
 * its part costs the others nothing.
 *
 * What a worker has used is counted by itself, in whatever unit the cap is in. A moment's overshoot
 * is possible: by what others charge at the same time, and by those who are below their part.
 * NULL in place of a budget: there is one worker alone.
 *
 * Owner: lp_engine; outlives the workers. Any thread. */
#ifndef LP_BASE_BUDGET_H
#define LP_BASE_BUDGET_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct lp_budget {
	atomic_uint_fast64_t used;
	uint64_t workers; /* set before any of them runs */
};

/* One of the workers has so much more, or so much less. */
static inline void lp_budget_charge(struct lp_budget *b, uint64_t more, uint64_t less)
{
	if (b && more != less)
		atomic_fetch_add_explicit(&b->used, more - less, memory_order_relaxed);
}

/* Whether a worker that has used own must give way before it uses so much more. One that
 * has nothing never must. */
static inline bool lp_budget_full(const struct lp_budget *b, uint64_t own, uint64_t more,
				  uint64_t max)
{
	if (!b || !own || own + more <= max / b->workers)
		return own && own + more > max;
	return atomic_load_explicit(&b->used, memory_order_relaxed) + more > max;
}

#endif
