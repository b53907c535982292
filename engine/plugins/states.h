/* lp_states: what an output keeps for each flow and session. An output that fails
 * is told no more ends, only close(): the list lets it give back what is left then.
 * Owner: the output; lp_state is the first member of each kept struct. */
#ifndef LP_PLUGINS_STATES_H
#define LP_PLUGINS_STATES_H

#include <stddef.h>

struct lp_state {
	struct lp_state *next, **prev;
};

struct lp_states {
	struct lp_state *first;
};

/* size zeroed bytes that begin with an lp_state; NULL: out of memory. */
void *lp_states_new(struct lp_states *list, size_t size);

/* NULL is allowed. */
void lp_states_free(void *state);

#endif
