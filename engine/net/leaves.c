#include "net/leaves.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "net/flow.h"

enum {
	NEAR = 16,
	FETCHED = 640, /* bytes; leaves that are filled in any order are seldom fuller than that */
};

static const uint64_t each = sizeof(struct lp_leaf *) + sizeof(uint32_t);

void lp_leaves_clear(struct lp_leaves *l)
{
	for (uint32_t k = 0; k < l->count; k++)
		free(lp_leaves_leaf(l, k));
	free(l->leaf);
	free(l->from);
	memset(l, 0, sizeof *l);
}

/* ---- places ---- */

/* 1 if seq is not before x, as a number: where tiny segments come in any order a processor
 * that guesses is wrong half the time. */
static inline uint32_t reaches(uint32_t seq, uint32_t x)
{
	return (~(seq - x)) >> 31;
}

/* How many of NEAR, in their order, seq is not before. */
static inline uint32_t steps_to(const uint32_t *from, uint32_t seq)
{
	typedef uint32_t four __attribute__((vector_size(16)));
	four some, all = { 0 };

	for (int i = 0; i < NEAR; i += 4) {
		memcpy(&some, from + i, sizeof some);
		all += ~(seq - some) >> 31;
	}
	return all[0] + all[1] + all[2] + all[3];
}

/* Leaves that are filled in any order stand for about the same number of bytes each: the leaf where
 * seq is, if it is near where it would be if all did. Of these loads none waits for another. */
static inline bool find_near(const struct lp_leaves *l, uint32_t seq, uint32_t *k)
{
	const uint32_t *from = l->from + l->skip;
	const uint64_t last = l->count - NEAR - 1;
	uint64_t x = (uint64_t)(seq - from[0]) * l->density >> 32;

	x -= x < NEAR / 2 ? x : NEAR / 2;
	x = x < last ? x : last;
	if (!reaches(seq, from[x]))
		x -= x < NEAR ? x : NEAR;
	else if (reaches(seq, from[x + NEAR]))
		x = x + NEAR < last ? x + NEAR : last;
	if (!reaches(seq, from[x]) || reaches(seq, from[x + NEAR]))
		return false;
	*k = (uint32_t)x + steps_to(from + x, seq) - 1;
	return true;
}

/* The leaf where seq is, if anywhere. In steps of an eighth: halves would be three times as many
 * loads that wait for one another. */
static uint32_t find_leaf(const struct lp_leaves *l, uint32_t seq)
{
	const uint32_t *from = l->from + l->skip, *x;
	uint32_t k = 0, n = l->count, step, steps;

	if (n > NEAR && find_near(l, seq, &k))
		return k;
	while (n >= 8) {
		step = n / 8;
		x = from + k;
		steps = reaches(seq, x[step]) + reaches(seq, x[step * 2]) + reaches(seq, x[step * 3]) +
			reaches(seq, x[step * 4]) + reaches(seq, x[step * 5]) +
			reaches(seq, x[step * 6]) + reaches(seq, x[step * 7]);
		k += steps * step;
		n = steps == 7 ? n - step * 7 : step;
	}
	while (n > 1) {
		step = n / 2;
		k += step & -reaches(seq, from[k + step]);
		n -= step;
	}
	return k;
}

static inline bool is_leaf(const struct lp_leaves *l, uint32_t seq, uint32_t k)
{
	const uint32_t *from = l->from + l->skip;

	return k < l->count && reaches(seq, from[k]) && (k + 1 == l->count || !reaches(seq, from[k + 1]));
}

uint32_t lp_leaves_prefetch(const struct lp_leaves *l, uint32_t seq)
{
	const uint32_t *from = l->from + l->skip;
	const char *leaf;
	uint32_t k;

	/* At either end it is in use, if segments come in order. */
	if (l->count < 3 || !reaches(seq, from[1]))
		return 0;
	if (reaches(seq, from[l->count - 1]))
		return l->count - 1;
	k = find_leaf(l, seq);
	leaf = (const char *)lp_leaves_leaf(l, k);
	for (size_t at = 0; at < FETCHED; at += 128) {
		__builtin_prefetch(leaf + at, 1);
		__builtin_prefetch(leaf + at + 64, 1);
	}
	return k;
}

/* How many of n entries end at seq or below. Of many, the eighth, sixteenth and 24th say between
 * which of them to look, and then all of these are asked at once: halves would be twice as many
 * loads that wait for one another. */
static inline uint32_t ended(const struct lp_leaf_entry *e, uint32_t n, uint32_t seq)
{
	uint32_t i = 0, half, last = n - 1;

	if (n < 8) {
		for (; n > 1; n -= half) {
			half = n / 2;
			i += half & -reaches(seq, e[i + half - 1].end);
		}
		return i + reaches(seq, e[i].end);
	}
	i = 8 * (reaches(seq, e[7].end) + reaches(seq, e[last < 15 ? last : 15].end) +
		 reaches(seq, e[last < 23 ? last : 23].end));
	e += i = i < n - 8 ? i : n - 8;
	return i + reaches(seq, e[0].end) + reaches(seq, e[1].end) + reaches(seq, e[2].end) +
	       reaches(seq, e[3].end) + reaches(seq, e[4].end) + reaches(seq, e[5].end) +
	       reaches(seq, e[6].end) + reaches(seq, e[7].end);
}
_Static_assert(LP_LEAF_MOST <= 32, "four times eight");

struct lp_leaf_at lp_leaves_seek(const struct lp_leaves *l, uint32_t seq, uint32_t guess)
{
	struct lp_leaf_at at = { l->count - 1, 0 };
	const struct lp_leaf *leaf;
	const struct lp_leaf_entry *e;
	const uint32_t *from;

	if (!l->count)
		return (struct lp_leaf_at){ 0, 0 };
	from = l->from + l->skip;
	/* Before all there are, or behind all, as many are: */
	if (!reaches(seq, from[0]))
		return (struct lp_leaf_at){ 0, 0 };
	if (reaches(seq, from[at.leaf])) {
		leaf = lp_leaves_leaf(l, at.leaf);
		at.i = leaf->count;
		if (reaches(seq, leaf->e[leaf->first + at.i - 1].end))
			return at;
	} else {
		at.leaf = guess && is_leaf(l, seq, guess) ? guess :
			  guess && is_leaf(l, seq, guess + 1) ? guess + 1 : find_leaf(l, seq);
		leaf = lp_leaves_leaf(l, at.leaf);
	}
	e = leaf->e + leaf->first;
	at.i = ended(e, leaf->count, seq);
	return lp_leaves_settle(l, at);
}

/* ---- leaves in their order ---- */

static enum lp_err more_leaves(struct lp_leaves *l)
{
	uint32_t room = l->room ? l->room * 2 : LP_LEAVES_LEAST;
	struct lp_leaf **leaf = realloc(l->leaf, room * sizeof *leaf);
	uint32_t *from;

	if (!leaf)
		return LP_E_NOMEM;
	l->leaf = leaf;
	from = realloc(l->from, room * sizeof *from);
	if (!from)
		return LP_E_NOMEM;
	l->from = from;
	l->bytes += (room - l->room) * each;
	l->room = room;
	return LP_OK;
}

static void move_leaves(struct lp_leaves *l, uint32_t to, uint32_t k, uint32_t n)
{
	memmove(l->leaf + to, l->leaf + l->skip + k, n * sizeof *l->leaf);
	memmove(l->from + to, l->from + l->skip + k, n * sizeof *l->from);
}

static uint32_t density(const struct lp_leaves *l)
{
	uint32_t range = l->from[l->skip + l->count - 1] - l->from[l->skip];

	return (uint32_t)(((uint64_t)(l->count - 1) << 32) / ((uint64_t)range + 1));
}

/* An empty leaf before the k-th. */
static enum lp_err add_leaf(struct lp_leaves *l, uint32_t k, uint16_t room, uint32_t from,
			    struct lp_leaf **out)
{
	struct lp_leaf *leaf;

	if (l->count == l->room && more_leaves(l))
		return LP_E_NOMEM;
	leaf = malloc(lp_leaf_size(room));
	if (!leaf)
		return LP_E_NOMEM;
	leaf->first = 0;
	leaf->count = 0;
	leaf->room = room;
	if (l->skip && !k) {
		l->skip--;
	} else {
		if (l->skip + l->count == l->room) {
			move_leaves(l, 0, 0, l->count);
			l->skip = 0;
		}
		move_leaves(l, l->skip + k + 1, k, l->count - k);
	}
	l->leaf[l->skip + k] = leaf;
	l->from[l->skip + k] = from;
	l->count++;
	l->density = density(l);
	l->bytes += lp_leaf_size(room);
	*out = leaf;
	return LP_OK;
}

static void drop_leaf(struct lp_leaves *l, uint32_t k)
{
	l->bytes -= lp_leaf_size(lp_leaves_leaf(l, k)->room);
	free(lp_leaves_leaf(l, k));
	if (!k)
		l->skip++;
	else
		move_leaves(l, l->skip + k, k + 1, l->count - k - 1);
	l->count--;
	if (!l->count)
		l->skip = 0;
}

/* A full leaf, the k-th, with twice the room. */
static enum lp_err widen(struct lp_leaves *l, uint32_t k)
{
	struct lp_leaf *leaf = lp_leaves_leaf(l, k), *wider;
	uint16_t room = (uint16_t)(leaf->room * 2);

	wider = realloc(leaf, lp_leaf_size(room));
	if (!wider)
		return LP_E_NOMEM;
	l->leaf[l->skip + k] = wider;
	l->bytes += lp_leaf_size(room) - lp_leaf_size(wider->room);
	wider->room = room;
	return LP_OK;
}

/* A leaf that is full: another takes half of it, or, where entries come in order from
 * either end, nothing, so that these leaves are full ones. */
static enum lp_err split(struct lp_leaves *l, struct lp_leaf_at *at, uint32_t start)
{
	struct lp_leaf *full = lp_leaves_leaf(l, at->leaf), *leaf;
	uint16_t half = full->count / 2;
	uint32_t k = at->leaf;
	bool front = !k && !at->i;

	if (add_leaf(l, front ? k : k + 1, LP_LEAF_MOST, start, &leaf))
		return LP_E_NOMEM;
	if (front) {
		leaf->first = leaf->room;
		return LP_OK;
	}
	if (at->i == full->count && k + 2 == l->count) {
		*at = (struct lp_leaf_at){ k + 1, 0 };
		return LP_OK;
	}
	leaf->count = (uint16_t)(full->count - half);
	memcpy(leaf->e, full->e + full->first + half, leaf->count * sizeof leaf->e[0]);
	full->count = half;
	l->from[l->skip + k + 1] = leaf->e[0].start;
	if (at->i > half)
		*at = (struct lp_leaf_at){ k + 1, at->i - half };
	return LP_OK;
}

/* ---- entries ---- */

static struct lp_leaf_entry *make_place(struct lp_leaf *leaf, uint32_t i)
{
	struct lp_leaf_entry *e = leaf->e + leaf->first;
	bool down = leaf->first && (i < leaf->count / 2U || leaf->first + leaf->count == leaf->room);

	assert(leaf->count < leaf->room);
	if (down) {
		memmove(e - 1, e, i * sizeof *e);
		leaf->first--;
		e--;
	} else {
		memmove(e + i + 1, e + i, (leaf->count - i) * sizeof *e);
	}
	leaf->count++;
	return e + i;
}

enum lp_err lp_leaves_put(struct lp_leaves *l, struct lp_leaf_at at, uint32_t start,
			  struct lp_leaf_entry **out)
{
	struct lp_leaf *leaf;

	if (!l->count && add_leaf(l, 0, LP_LEAF_LEAST, start, &leaf))
		return LP_E_NOMEM;
	leaf = lp_leaves_leaf(l, at.leaf);
	if (leaf->count == leaf->room && leaf->room < LP_LEAF_MOST) {
		if (widen(l, at.leaf))
			return LP_E_NOMEM;
	} else if (leaf->count == leaf->room) {
		if (split(l, &at, start))
			return LP_E_NOMEM;
	}
	*out = make_place(lp_leaves_leaf(l, at.leaf), at.i);
	(*out)->start = start;
	if (!at.i)
		l->from[l->skip + at.leaf] = start;
	return LP_OK;
}

struct lp_leaf_at lp_leaves_cut(struct lp_leaves *l, struct lp_leaf_at at)
{
	struct lp_leaf *leaf = lp_leaves_leaf(l, at.leaf);
	struct lp_leaf_entry *e = leaf->e + leaf->first + at.i;

	if (leaf->count == 1) {
		drop_leaf(l, at.leaf);
		/* The one after it stands in its place; or it was the last. */
		if (at.leaf && at.leaf == l->count)
			at = (struct lp_leaf_at){ at.leaf - 1, lp_leaves_leaf(l, at.leaf - 1)->count };
		return at;
	}
	if (!at.i) {
		lp_leaf_shift(l, at.leaf);
		return at;
	}
	leaf->count--;
	memmove(e, e + 1, (leaf->count - at.i) * sizeof *e);
	return lp_leaves_settle(l, at);
}

void lp_leaves_start(struct lp_leaves *l, struct lp_leaf_at at, uint32_t start)
{
	lp_leaves_at(l, at)->start = start;
	if (!at.i)
		l->from[l->skip + at.leaf] = start;
}
