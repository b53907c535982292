/* age: which flows have been silent, and for how long.
 * Half-open and ended flows stand in a queue each. Live and skipped ones stand in a
 * ring each, a list for every second of last activity. A flow is put where it
 * belongs when it is looked at, not when a packet comes: its list may be earlier
 * than its last activity, never later. So a packet costs one store (flow.last).
 * Owner: the reassembler. Times are seconds, and may wrap; all flows of a ring are
 * less than the ring's length apart (the ticks see to that).
 * Errors: LP_E_NOMEM from init only. */
#ifndef LP_NET_AGE_H
#define LP_NET_AGE_H

#include "net/flow.h"

enum lp_age_class {
	LP_AGE_HALF,
	LP_AGE_CLOSED,
	LP_AGE_LIVE,
	LP_AGE_SKIPPED,
};

enum { LP_AGE_MAX = 65536 - 2 }; /* the longest timeout, 18 hours */

struct lp_age_list {
	uint32_t first, last;
};

/* Seconds. */
struct lp_age_limits {
	uint32_t idle[3]; /* by enum lp_idle */
	uint32_t half, closed;
};

struct lp_age {
	struct lp_age_limits limits;
	struct lp_age_list *lists; /* HALF, CLOSED, then the two rings */
	struct lp_flow_table *table;
	uint32_t ring;             /* length of a ring, a power of two */
	uint32_t count[4];         /* flows of each class */
	struct lp_budget *half;    /* half-open flows of all workers, set after init; NULL: one alone */
	uint32_t oldest[2];        /* no list of the ring before this second has a flow */
};

/* Timeouts are those of the config, rounded up to seconds. */
LP_MUST enum lp_err lp_age_init(struct lp_age *a, struct lp_flow_table *table,
				const struct lp_reasm_config *config);
void lp_age_clear(struct lp_age *a);

/* Puts a flow that is in no list where its class and flow.last say. */
void lp_age_add(struct lp_age *a, struct lp_flow *f, enum lp_age_class to);
void lp_age_drop(struct lp_age *a, struct lp_flow *f);

enum lp_age_class lp_age_class_of(const struct lp_age *a, const struct lp_flow *f);

/* It is second `now`, and was called for the one before: calls end() for each flow
 * whose time is up. end() removes it and touches no other flow. */
void lp_age_expire(struct lp_age *a, uint32_t now, void (*end)(void *user, struct lp_flow *f),
		   void *user);

/* The flow that is worth least: the oldest half-open one, else the one that ended
 * first, else of the skipped, else of the live ones that which was silent longest.
 * NULL if there is none. */
struct lp_flow *lp_age_least(struct lp_age *a, uint32_t now);

#endif
