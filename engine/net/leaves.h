/* leaves: ranges of sequence numbers, sorted, none over another, each with what it
 * stands for. A tree of two levels: leaves of up to 32 entries, and one array of the
 * leaves with where each begins, small enough for the nearest cache. To find, to put in
 * and to cut out costs a few cache lines whatever the order; the first and the last are
 * found at once.
 * Owner: embedded; {0} is empty, clear when done. What entries stand for is not its own.
 * A pointer to an entry is good until the next put or cut. bytes is the memory taken.
 * Errors: LP_E_NOMEM, and nothing has changed. */
#ifndef LP_NET_LEAVES_H
#define LP_NET_LEAVES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct lp_leaf_entry {
	uint32_t start, end;
	uint64_t carried_ns;
	uint64_t held; /* what it stands for: net/ooo.c says */
};

/* Its entries lie at e[first] to e[first + count - 1]. */
struct lp_leaf {
	uint16_t first, count, room;
	struct lp_leaf_entry e[];
};

enum {
	LP_LEAVES_LEAST = 2, /* leaves that the arrays have room for, at first */
	LP_LEAF_LEAST = 4,   /* entries of the first leaf, at first, … */
	LP_LEAF_MOST = 32,   /* … and of every leaf, at most */
};

static inline uint64_t lp_leaf_size(uint32_t room)
{
	return sizeof(struct lp_leaf) + room * sizeof(struct lp_leaf_entry);
}

struct lp_leaves {
	struct lp_leaf **leaf;
	uint32_t *from;      /* where the leaf's first entry starts */
	uint32_t skip;       /* places of the arrays that are empty at their beginning */
	uint32_t count, room;
	uint32_t density;    /* leaves a byte, times 2^32, when the last was added: for a guess */
	uint64_t bytes;
};

/* Where an entry stands. */
struct lp_leaf_at {
	uint32_t leaf, i;
};

void lp_leaves_clear(struct lp_leaves *l);

static inline bool lp_leaves_empty(const struct lp_leaves *l)
{
	return !l->count;
}

static inline struct lp_leaf *lp_leaves_leaf(const struct lp_leaves *l, uint32_t k)
{
	return l->leaf[l->skip + k];
}

/* Where the first entry starts; there is one. */
static inline uint32_t lp_leaves_begin(const struct lp_leaves *l)
{
	return l->from[l->skip];
}

/* Where the first entry stands. The end, if there is none. */
static inline struct lp_leaf_at lp_leaves_first(const struct lp_leaves *l)
{
	(void)l;
	return (struct lp_leaf_at){ 0, 0 };
}

/* Where the first stands that ends behind seq; or the end.
 * guess: a leaf's number, any; a good one spares the search for the leaf. */
struct lp_leaf_at lp_leaves_seek(const struct lp_leaves *l, uint32_t seq, uint32_t guess);

/* Brings the leaf in which seq will be sought into the cache; a guess for then. */
uint32_t lp_leaves_prefetch(const struct lp_leaves *l, uint32_t seq);

/* The entry there, NULL at the end; the one before, NULL if it is the first. */
static inline struct lp_leaf_entry *lp_leaves_at(const struct lp_leaves *l, struct lp_leaf_at at)
{
	struct lp_leaf *leaf;

	if (at.leaf >= l->count)
		return NULL;
	leaf = lp_leaves_leaf(l, at.leaf);
	return at.i < leaf->count ? &leaf->e[leaf->first + at.i] : NULL;
}

static inline struct lp_leaf_entry *lp_leaves_before(const struct lp_leaves *l,
						     struct lp_leaf_at at)
{
	struct lp_leaf *leaf;

	if (!at.i && !at.leaf)
		return NULL;
	leaf = lp_leaves_leaf(l, at.i ? at.leaf : at.leaf - 1);
	return &leaf->e[leaf->first + (at.i ? at.i : leaf->count) - 1];
}

/* The end of a leaf is the beginning of the next, if there is one. */
static inline struct lp_leaf_at lp_leaves_settle(const struct lp_leaves *l, struct lp_leaf_at at)
{
	if (at.leaf + 1 < l->count && at.i == lp_leaves_leaf(l, at.leaf)->count)
		return (struct lp_leaf_at){ at.leaf + 1, 0 };
	return at;
}

/* The place after one that has an entry. */
static inline struct lp_leaf_at lp_leaves_next(const struct lp_leaves *l, struct lp_leaf_at at)
{
	at.i++;
	return lp_leaves_settle(l, at);
}

/* Puts an entry that begins at start before the one there, or at the end. What else it is to have
 * is the caller's to write into *out, at once: written elsewhere and copied, it would be waited for. */
LP_MUST enum lp_err lp_leaves_put(struct lp_leaves *l, struct lp_leaf_at at, uint32_t start,
				  struct lp_leaf_entry **out);

/* Takes the entry there out; returns where the one after it stands. */
struct lp_leaf_at lp_leaves_cut(struct lp_leaves *l, struct lp_leaf_at at);

/* The first of a leaf's entries is gone; it has others. */
static inline void lp_leaf_shift(struct lp_leaves *l, uint32_t k)
{
	struct lp_leaf *leaf = lp_leaves_leaf(l, k);

	leaf->count--;
	leaf->first++;
	l->from[l->skip + k] = leaf->e[leaf->first].start;
}

/* Takes the first out; there is one. */
static inline void lp_leaves_shift(struct lp_leaves *l)
{
	if (lp_leaves_leaf(l, 0)->count > 1)
		lp_leaf_shift(l, 0);
	else
		(void)lp_leaves_cut(l, lp_leaves_first(l));
}

/* The entry there starts earlier, or later, than it did. */
void lp_leaves_start(struct lp_leaves *l, struct lp_leaf_at at, uint32_t start);

/* By how much bytes may grow with the next n entries, at most; n <= LP_LEAF_LEAST. */
static inline uint64_t lp_leaves_growth(const struct lp_leaves *l, uint32_t n)
{
	const uint64_t each = sizeof(struct lp_leaf *) + sizeof(uint32_t);
	const struct lp_leaf *only;

	if (!l->count)
		return lp_leaf_size(LP_LEAF_LEAST) + (l->room ? 0 : LP_LEAVES_LEAST * each);
	if (l->count == 1) {
		only = lp_leaves_leaf(l, 0);
		if (only->count + n <= only->room)
			return 0;
		if (only->room < LP_LEAF_MOST)
			return lp_leaf_size(only->room * 2U) - lp_leaf_size(only->room);
	}
	return n * lp_leaf_size(LP_LEAF_MOST) + (l->count + n > l->room ? (l->room + 2 * n) * each : 0);
}

#endif
