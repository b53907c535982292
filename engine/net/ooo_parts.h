/* What net/ooo.c, which decides what waits, and net/ooo_pages.c, where tiny segments do, share. */
#ifndef LP_NET_OOO_PARTS_H
#define LP_NET_OOO_PARTS_H

#include <string.h>

#include "net/ooo.h"

/* ---- what an entry stands for ---- */

/* Either a node or a page, by its address; bit 0 is set for a page. */
_Static_assert(_Alignof(struct lp_ooo_node) > 1 && _Alignof(struct lp_page) > 1, "addresses are even");

static inline bool lp_ooo_is_page(const struct lp_leaf_entry *e)
{
	return e->held & 1;
}

static inline struct lp_page *lp_ooo_page(const struct lp_leaf_entry *e)
{
	return (struct lp_page *)(uintptr_t)(e->held - 1);
}

static inline struct lp_ooo_node *lp_ooo_node_of(const struct lp_leaf_entry *e)
{
	return (struct lp_ooo_node *)(uintptr_t)e->held;
}

/* What counts as one segment: a node, or bytes of a page without a hole between them. */
struct lp_ooo_part {
	uint32_t seq;        /* where it began: of the first of its bytes */
	uint32_t start, end; /* what it owns */
	uint32_t have;       /* where the captured bytes end */
	const uint8_t *bytes;
};

/* The part where seq is, or the first behind it; the entry, a page, ends behind seq. */
struct lp_ooo_part lp_ooo_part_of_page(const struct lp_leaf_entry *e, uint32_t seq);

static inline struct lp_ooo_part lp_ooo_part_at(const struct lp_leaf_entry *e, uint32_t seq)
{
	const struct lp_ooo_node *n;

	if (lp_ooo_is_page(e))
		return lp_ooo_part_of_page(e, seq);
	n = lp_ooo_node_of(e);
	return (struct lp_ooo_part){ n->seq, e->start, e->end, n->seq + n->captured, n->bytes };
}

/* ---- memory ---- */

static inline size_t lp_ooo_node_size(const struct lp_ooo_node *n)
{
	return offsetof(struct lp_ooo_node, room) + n->captured;
}

static inline size_t lp_ooo_size(const struct lp_leaf_entry *e)
{
	return lp_ooo_is_page(e) ? sizeof(struct lp_page) : lp_ooo_node_size(lp_ooo_node_of(e));
}

static inline void lp_ooo_count(struct lp_ooo_pool *pool, struct lp_ooo *q, uint64_t more,
				uint64_t less)
{
	q->bytes += more - less;
	pool->bytes += more - less;
	lp_budget_charge(pool->budget, more, less);
	if (pool->bytes > pool->peak)
		pool->peak = pool->bytes;
}

/* The entry and what it stands for go; `at` is then the one after it. */
void lp_ooo_drop(struct lp_ooo_pool *pool, struct lp_ooo *q, struct lp_leaf_at *at);

/* Most of what is tiny is a byte, or a few more: the C library would be called for each. */
static inline void lp_ooo_copy(uint8_t *to, const uint8_t *p, uint32_t n)
{
	uint64_t head, tail;

	if (n == 1) {
		*to = *p;
	} else if (n >= 8 && n <= 24) {
		memcpy(&head, p, 8);
		memcpy(&tail, p + n - 8, 8);
		if (n > 16)
			memcpy(to + 8, p + 8, 8);
		memcpy(to, &head, 8);
		memcpy(to + n - 8, &tail, 8);
	} else {
		memcpy(to, p, n);
	}
}

/* ---- net/ooo_pages.c ---- */

/* Puts a tiny piece into pages; where it has neighbours, or copies, that are no different it does
 * not matter who owns what. *done is false if some of it must go the long way. */
LP_MUST enum lp_err lp_ooo_put_tiny(struct lp_ooo_pool *pool, struct lp_ooo *q,
				    const struct lp_ooo_piece *piece, bool *added, bool *done);

/* Nobody owns the bytes of a page between from and to any more; `at` is then where what ends behind
 * them stands. The entry has some of them. */
void lp_ooo_forget(struct lp_ooo_pool *pool, struct lp_ooo *q, struct lp_leaf_at *at,
		   uint32_t from, uint32_t to);

/* What of a page lies behind a hole in it gets a page of its own, `at` which it is then: something
 * else is to come into the hole, which is at seq. */
LP_MUST enum lp_err lp_ooo_split(struct lp_ooo_pool *pool, struct lp_ooo *q, struct lp_leaf_at *at,
				 uint32_t seq);

#endif
