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

struct lp_age {
	struct lp_age_list *lists; /* HALF, CLOSED, then the two rings */
	struct lp_flow_table *table;
	uint32_t ring;             /* length of a ring, a power of two */
	uint32_t count[4];         /* flows of each class */
	uint32_t oldest[2];        /* no list of the ring before this second has a flow */
};

/* longest: the longest timeout, at most LP_AGE_MAX. */
LP_MUST enum lp_err lp_age_init(struct lp_age *a, struct lp_flow_table *table, uint32_t longest);
void lp_age_clear(struct lp_age *a);

/* Puts a flow that is in no list where its class and flow.last say. */
void lp_age_add(struct lp_age *a, struct lp_flow *f, enum lp_age_class to);
void lp_age_drop(struct lp_age *a, struct lp_flow *f);

enum lp_age_class lp_age_class_of(const struct lp_age *a, const struct lp_flow *f);

/* First flow of a queue (second is ignored) or of one second's list; 0 if none.
 * Go on with flow.next, read before the flow is moved. */
uint32_t lp_age_first(const struct lp_age *a, enum lp_age_class of, uint32_t second);

/* Moves a flow of a ring to the list of its last activity; false if it is there. */
bool lp_age_settle(struct lp_age *a, struct lp_flow *f);

/* The flow that has been silent (or half-open, or ended) longest; NULL if none. */
struct lp_flow *lp_age_longest(struct lp_age *a, enum lp_age_class of, uint32_t now);

#endif
