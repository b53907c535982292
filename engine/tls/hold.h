/* lp_holds: what waits of a flow, by side, in the order of the stream: copies of
 * bytes that came before their turn, and gaps between them.
 *
 * Owner: embedded; init/clear. Every item weighs its memory against the caps of the
 * environment (env->held is the sum of all flows); what is done at a cap is for the
 * caller to say. Faults (memory) are left in env->fault. */
#ifndef LP_TLS_HOLD_H
#define LP_TLS_HOLD_H

#include "tls/session.h"

struct lp_hold {
	struct lp_hold *next;
	struct lp_when when;
	uint64_t off;
	uint64_t n;       /* bytes, or length of the gap */
	size_t taken;     /* bytes used up */
	bool gap;
	bool shed;        /* … of bytes that were there, in whole or in part */
	uint8_t side;
	uint8_t bytes[];
};

struct lp_holds {
	struct lp_tls_env *env;
	struct lp_hold *head[2], *tail[2];
	uint64_t bytes[2]; /* in them */
	uint64_t weight;   /* memory of them all */
};

void lp_holds_init(struct lp_holds *q, struct lp_tls_env *env);
void lp_holds_clear(struct lp_holds *q);

/* An item with a copy of the bytes, or (p NULL) a gap. NULL: out of memory. */
struct lp_hold *lp_hold_new(enum lp_side side, const uint8_t *p, uint64_t n, uint64_t off,
			    const struct lp_when *when);
size_t lp_hold_weight(const struct lp_hold *h);

/* False: out of memory. */
bool lp_holds_push(struct lp_holds *q, enum lp_side side, const uint8_t *p, uint64_t n,
		   uint64_t off, const struct lp_when *when);

/* Drops the first item of a side. */
void lp_holds_pop(struct lp_holds *q, int side);

/* n bytes of the first item of a side are used up; an item without any is dropped. */
void lp_holds_take(struct lp_holds *q, enum lp_side side, size_t n);

/* The oldest held bytes of a side become a gap, and one with the gap before them.
 * False: there are none, or no memory. */
bool lp_holds_shed(struct lp_holds *q, enum lp_side side);

/* Copies the first bytes from there on, up to a gap; returns how many. */
size_t lp_hold_peek(const struct lp_hold *h, size_t from, uint8_t *out, size_t n);

/* … of a side. */
size_t lp_holds_peek(const struct lp_holds *q, int side, uint8_t *out, size_t n);

uint64_t lp_holds_gaps(const struct lp_holds *q, enum lp_side side);

static inline bool lp_holds_any(const struct lp_holds *q)
{
	return q->head[0] || q->head[1];
}

/* All flows hold more than they may. */
static inline bool lp_holds_full(const struct lp_tls_env *env)
{
	return lp_budget_full(env->held_by_all, env->held, 0, env->max_held);
}

/* True if this flow, or all of them, hold more than they may. */
bool lp_holds_over(const struct lp_holds *q);

/* True if a came before b. */
bool lp_hold_earlier(const struct lp_hold *a, const struct lp_hold *b);

#endif
