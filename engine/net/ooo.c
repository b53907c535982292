#include "net/ooo.h"

#include <assert.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

enum {
	FEW = 7,     /* bytes; as many stand in the entry itself */
	LONG = 8,    /* leaves; fewer are at hand anyway, with what they stand for */
	SPARE_MOST = 2048, /* bytes of a node that is kept for the next segment: an Ethernet's */
	SMALL_LEAST = 2, /* steps of a small one that is: a pointer fits where the bytes were */
	STEP = 16,   /* in which the C library hands out memory, … */
	HEADER = 8,  /* … and what it keeps of it for itself */
};

/* Room that is there anyway is used. */
static size_t rounded(size_t size)
{
	return (size + HEADER + STEP - 1) / STEP * STEP - HEADER;
}

static size_t node_size(size_t room)
{
	return offsetof(struct lp_ooo_node, room) + room;
}

static void enlist(struct lp_ooo_pool *pool, struct lp_ooo *q)
{
	q->older = pool->newest;
	q->newer = NULL;
	if (pool->newest)
		pool->newest->newer = q;
	else
		pool->oldest = q;
	pool->newest = q;
}

static void unlist(struct lp_ooo_pool *pool, struct lp_ooo *q)
{
	if (q->older)
		q->older->newer = q->newer;
	else
		pool->oldest = q->newer;
	if (q->newer)
		q->newer->older = q->older;
	else
		pool->newest = q->older;
}

struct lp_ooo *lp_ooo_new(struct lp_ooo_pool *pool, struct lp_flow *flow, enum lp_side side)
{
	struct lp_ooo *q = calloc(1, sizeof *q);

	if (!q)
		return NULL;
	q->flow = flow;
	q->side = (uint8_t)side;
	enlist(pool, q);
	return q;
}

void lp_ooo_free(struct lp_ooo_pool *pool, struct lp_ooo *q)
{
	struct lp_ooo_out out;

	if (!q)
		return;
	while (lp_ooo_first(q)) {
		lp_ooo_pop(pool, q, &out);
		lp_ooo_release(pool, &out);
	}
	pool->bytes -= q->waiting.bytes;
	lp_budget_charge(pool->budget, 0, q->waiting.bytes);
	lp_leaves_clear(&q->waiting);
	unlist(pool, q);
	free(q);
}

void lp_ooo_renew(struct lp_ooo_pool *pool, struct lp_ooo *q, uint32_t below, uint64_t now_ns,
		  uint64_t number)
{
	q->since_ns = now_ns;
	q->since_number = (uint32_t)number;
	q->evidence_ns = 0;
	q->below = below;
	unlist(pool, q);
	enlist(pool, q);
}

uint32_t lp_ooo_prefetch(const struct lp_ooo *q, uint32_t seq)
{
	return q->waiting.count < LONG ? 0 : lp_leaves_prefetch(&q->waiting, seq);
}

/* ---- what an entry stands for ---- */

/* Either a node, by its address, or a few bytes: bit 0 is set, then come three that say how far
 * before start the first byte lies, and the bytes themselves from bit 8 on. */
_Static_assert(_Alignof(struct lp_ooo_node) > 1, "addresses are even");

static bool is_few(const struct lp_leaf_entry *e)
{
	return e->held & 1;
}

static struct lp_ooo_node *node_of(const struct lp_leaf_entry *e)
{
	return (struct lp_ooo_node *)(uintptr_t)e->held;
}

static uint32_t cut_of(const struct lp_leaf_entry *e)
{
	return (uint32_t)e->held >> 1 & 7;
}

/* Where the segment began, how much of it was captured, and the memory it takes. */
static uint32_t seq_of(const struct lp_leaf_entry *e)
{
	return is_few(e) ? e->start - cut_of(e) : node_of(e)->seq;
}

static uint32_t captured_of(const struct lp_leaf_entry *e)
{
	return is_few(e) ? e->end - seq_of(e) : node_of(e)->captured;
}

static uint32_t size_of(const struct lp_leaf_entry *e)
{
	return is_few(e) ? 0 : node_of(e)->size;
}

/* The captured bytes; room for a few. */
static const uint8_t *bytes_of(const struct lp_leaf_entry *e, uint8_t few[8])
{
	if (!is_few(e))
		return node_of(e)->room + node_of(e)->at;
	few[0] = (uint8_t)(e->held >> 8);
	few[1] = (uint8_t)(e->held >> 16);
	few[2] = (uint8_t)(e->held >> 24);
	few[3] = (uint8_t)(e->held >> 32);
	few[4] = (uint8_t)(e->held >> 40);
	few[5] = (uint8_t)(e->held >> 48);
	few[6] = (uint8_t)(e->held >> 56);
	return few;
}

static inline uint64_t few_bytes(const uint8_t *p, uint32_t n)
{
	uint64_t held = 0;

	if (n == 1)
		return (uint64_t)*p << 8;
	for (uint32_t i = 0; i < n; i++)
		held |= (uint64_t)p[i] << (8 + 8 * i);
	return held;
}

/* The entry begins later than it did: what came before owns the bytes until then. */
static void give_way(struct lp_ooo *q, struct lp_leaf_at at, uint32_t start)
{
	struct lp_leaf_entry *e = lp_leaves_at(&q->waiting, at);

	if (is_few(e))
		e->held += (uint64_t)(start - e->start) << 1;
	lp_leaves_start(&q->waiting, at, start);
}

/* ---- memory ---- */

static void count(struct lp_ooo_pool *pool, struct lp_ooo *q, uint64_t more, uint64_t less)
{
	q->bytes += more - less;
	pool->bytes += more - less;
	lp_budget_charge(pool->budget, more, less);
	if (pool->bytes > pool->peak)
		pool->peak = pool->bytes;
}

/* Takes the entry out; its node is the caller's. */
static struct lp_ooo_node *take(struct lp_ooo_pool *pool, struct lp_ooo *q, struct lp_leaf_at *at)
{
	const struct lp_leaf_entry *e = lp_leaves_at(&q->waiting, *at);
	struct lp_ooo_node *n = is_few(e) ? NULL : node_of(e);
	uint64_t was = q->waiting.bytes + size_of(e);

	*at = lp_leaves_cut(&q->waiting, *at);
	count(pool, q, q->waiting.bytes, was);
	return n;
}

static void free_node(struct lp_ooo_pool *pool, struct lp_ooo_node *n)
{
	size_t k = n ? n->size / STEP : 0;

	if (k < LP_OOO_SMALL && k >= SMALL_LEAST && pool->smalls < LP_OOO_SPARES &&
	    (!pool->small[k] || pool->small[k]->size == n->size)) {
		memcpy(n->room, &pool->small[k], sizeof n);
		pool->small[k] = n;
		pool->smalls++;
	} else if (k >= LP_OOO_SMALL && n->size <= SPARE_MOST && pool->spares < LP_OOO_SPARES &&
		   (!pool->spares || pool->spare[0]->size == n->size)) {
		pool->spare[pool->spares++] = n;
	} else {
		free(n);
	}
}

/* The spare one of that size and kind that was used last; NULL: there is none. */
static struct lp_ooo_node *take_small(struct lp_ooo_pool *pool, size_t k)
{
	struct lp_ooo_node *n = pool->small[k];

	if (n) {
		memcpy(&pool->small[k], n->room, sizeof n);
		pool->smalls--;
	}
	return n;
}

void lp_ooo_pool_clear(struct lp_ooo_pool *pool)
{
	struct lp_ooo_node *n;

	while (pool->spares)
		free(pool->spare[--pool->spares]);
	for (size_t k = 0; k < LP_OOO_SMALL; k++)
		while ((n = take_small(pool, k)))
			free(n);
}

static void drop(struct lp_ooo_pool *pool, struct lp_ooo *q, struct lp_leaf_at *at)
{
	free_node(pool, take(pool, q, at));
}

static struct lp_ooo_node *make_room(struct lp_ooo_pool *pool, size_t room)
{
	size_t size = node_size(room);
	struct lp_ooo_node *n = NULL;

	if (size / STEP < LP_OOO_SMALL)
		n = take_small(pool, size / STEP);
	else if (pool->spares && size <= SPARE_MOST)
		n = pool->spare[--pool->spares];
	if (n && n->size == size)
		return n;
	free(n); /* segments are of another size now */
	n = malloc(size < sizeof *n ? sizeof *n : size);
	if (n)
		n->size = (uint32_t)size;
	return n;
}

/* What waits for a SYN is handed on in the order of its capture, so one by one. */
static inline bool goes_alone(const struct lp_ooo *q)
{
	return q->flow && q->flow->early & 1U << q->side;
}

static inline bool is_tiny(const struct lp_ooo_piece *piece)
{
	return piece->captured <= LP_OOO_TINY && piece->captured == piece->wire && !piece->urgent;
}

/* Most of what is tiny is a byte, or a few more: the C library would be called for each. */
static inline void copy(uint8_t *to, const uint8_t *p, uint32_t n)
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

/* What an entry for the piece is to stand for; 0 without memory. */
static uint64_t hold(struct lp_ooo_pool *pool, const struct lp_ooo_piece *piece)
{
	size_t room = piece->captured;
	struct lp_ooo_node *n;

	if (is_tiny(piece)) {
		if (room <= FEW)
			return 1 | few_bytes(piece->data, piece->captured);
		/* Most have a neighbour before long. */
		room = rounded(node_size(room * 3)) - node_size(0);
	}
	n = make_room(pool, room);
	if (!n)
		return 0;
	n->at = (uint32_t)(room - piece->captured) / 2;
	if (piece->captured)
		copy(n->room + n->at, piece->data, piece->captured);
	n->seq = piece->seq;
	n->captured = piece->captured;
	n->urgent = piece->urgent;
	return (uintptr_t)n;
}

/* ---- copies ---- */

/* Whether n bytes at seq differ from those of the entry, where both have some. */
static bool differs(const struct lp_leaf_entry *e, uint32_t seq, const uint8_t *p, uint32_t n)
{
	uint32_t from = lp_seq_before(seq, e->start) ? e->start : seq;
	uint32_t to = seq + n;
	uint32_t have = seq_of(e) + captured_of(e);
	uint8_t few[8];

	if (lp_seq_before(e->end, to))
		to = e->end;
	if (lp_seq_before(have, to))
		to = have;
	if (!lp_seq_before(from, to))
		return false;
	return memcmp(bytes_of(e, few) + (from - seq_of(e)), p + (from - seq), to - from) != 0;
}

bool lp_ooo_conflicts(const struct lp_ooo *q, uint32_t seq, const uint8_t *p, uint32_t n)
{
	struct lp_leaf_at at = lp_leaves_first(&q->waiting);
	const struct lp_leaf_entry *e;

	for (; (e = lp_leaves_at(&q->waiting, at)) && lp_seq_before(e->start, seq + n);
	     at = lp_leaves_next(&q->waiting, at))
		if (differs(e, seq, p, n))
			return true;
	return false;
}

static void tell(const struct lp_ooo_pool *pool, const struct lp_ooo *q,
		 const struct lp_leaf_entry *e)
{
	uint8_t few[8];

	pool->other(pool->user, q->flow, (enum lp_side)q->side, seq_of(e), bytes_of(e, few),
		    captured_of(e));
}

void lp_ooo_tell(const struct lp_ooo_pool *pool, const struct lp_ooo *q, uint32_t seq,
		 const uint8_t *p, uint32_t n)
{
	struct lp_leaf_at at = lp_leaves_first(&q->waiting);
	const struct lp_leaf_entry *e;

	for (; pool->other && (e = lp_leaves_at(&q->waiting, at)) && lp_seq_before(e->start, seq + n);
	     at = lp_leaves_next(&q->waiting, at))
		if (differs(e, seq, p, n))
			tell(pool, q, e);
}

/* The piece against what waits; both are told of if they differ. */
static bool compare(const struct lp_ooo_pool *pool, const struct lp_ooo *q,
		    const struct lp_leaf_entry *e, const struct lp_ooo_piece *piece)
{
	if (!differs(e, piece->seq, piece->data, piece->captured))
		return false;
	if (pool->other) {
		tell(pool, q, e);
		pool->other(pool->user, q->flow, (enum lp_side)q->side, piece->seq, piece->data,
			    piece->captured);
	}
	return true;
}

/* Of two that begin at the same byte: whether the newcomer takes the other's place.
 * A copy of which more was captured always does. */
static bool replaces(const struct lp_ooo_pool *pool, const struct lp_ooo_piece *piece,
		     const struct lp_leaf_entry *e)
{
	uint32_t end = piece->seq + piece->wire;

	if (seq_of(e) != piece->seq)
		return false;
	if (lp_seq_before(e->end, end))
		return pool->overlap == LP_OVERLAP_LINUX;
	return e->end == end && piece->captured > captured_of(e);
}

/* ---- tiny segments ---- */

/* Whether n bytes that touch the entry can be kept with it. */
static inline bool takes(const struct lp_leaf_entry *e, uint32_t n)
{
	uint32_t captured = captured_of(e);

	return captured + n <= LP_OOO_RUN &&
	       (is_few(e) || (!node_of(e)->urgent && captured == e->end - seq_of(e)));
}

/* Whether so many bytes fit behind those of the entry, or (front) before them. */
static inline bool has_room(const struct lp_leaf_entry *e, uint32_t more, bool front)
{
	const struct lp_ooo_node *n = node_of(e);

	return !is_few(e) && (front ? n->at : n->size - node_size(n->at + n->captured)) >= more;
}

/* Makes room in a node for so many bytes more behind those that are there, or (front) before
 * them. */
static enum lp_err widen(struct lp_ooo_pool *pool, struct lp_ooo *q, struct lp_leaf_entry *e,
			 uint32_t more, bool front)
{
	struct lp_ooo_node *n = is_few(e) ? NULL : node_of(e), *wider;
	uint32_t captured, was;
	uint8_t few[8];
	size_t room;

	captured = captured_of(e);
	assert(captured + more <= LP_OOO_RUN);
	was = size_of(e);
	room = rounded(node_size((captured + more) * 4U)) - node_size(0);
	if (room > LP_OOO_RUN)
		room = LP_OOO_RUN;
	wider = make_room(pool, room);
	if (!wider)
		return LP_E_NOMEM;
	wider->seq = seq_of(e);
	wider->captured = captured;
	wider->urgent = 0;
	wider->at = front ? (uint32_t)room - captured : 0;
	memcpy(wider->room + wider->at, bytes_of(e, few), captured);
	count(pool, q, wider->size, was);
	free_node(pool, n);
	e->held = (uintptr_t)wider;
	return LP_OK;
}

static inline enum lp_err append(struct lp_ooo_pool *pool, struct lp_ooo *q,
				 struct lp_leaf_entry *e, const uint8_t *p, uint32_t n)
{
	uint32_t captured = captured_of(e);

	if (is_few(e) && captured + n <= FEW) {
		e->held |= few_bytes(p, n) << 8 * captured;
	} else {
		if (!has_room(e, n, false) && widen(pool, q, e, n, false))
			return LP_E_NOMEM;
		copy(node_of(e)->room + node_of(e)->at + captured, p, n);
		node_of(e)->captured += n;
	}
	e->end += n;
	return LP_OK;
}

/* Puts the piece before the bytes of the entry there, all of which are its own. */
static enum lp_err prepend(struct lp_ooo_pool *pool, struct lp_ooo *q, struct lp_leaf_at at,
			   const struct lp_ooo_piece *piece)
{
	struct lp_leaf_entry *e = lp_leaves_at(&q->waiting, at);
	uint32_t n = piece->captured;
	struct lp_ooo_node *node;

	if (is_few(e) && captured_of(e) + n <= FEW) {
		e->held = (e->held & ~(uint64_t)255) << 8 * n | few_bytes(piece->data, n) | 1;
	} else {
		if (!has_room(e, n, true) && widen(pool, q, e, n, true))
			return LP_E_NOMEM;
		node = node_of(e);
		node->at -= n;
		copy(node->room + node->at, piece->data, n);
		node->captured += n;
		node->seq = piece->seq;
	}
	e->carried_ns = piece->carried_ns;
	lp_leaves_start(&q->waiting, at, piece->seq);
	return LP_OK;
}

/* If the piece, which is tiny, overlaps nothing and belongs before what is `at`, touches a
 * neighbour that can take it, *done. If it touches both, they become one. */
static inline enum lp_err join(struct lp_ooo_pool *pool, struct lp_ooo *q, struct lp_leaf_at at,
			       struct lp_leaf_entry *after, const struct lp_ooo_piece *piece,
			       bool *done)
{
	struct lp_leaf_entry *before = after && at.i ? after - 1
						     : lp_leaves_before(&q->waiting, at);
	uint32_t end = piece->seq + piece->wire, n = piece->captured;
	uint8_t few[8];

	if (after && (after->start != end || seq_of(after) != end || !takes(after, n)))
		after = NULL;
	if (before && before->end == piece->seq && takes(before, n)) {
		if (append(pool, q, before, piece->data, n))
			return LP_E_NOMEM;
		*done = true;
		if (!after || !takes(before, captured_of(after)))
			return LP_OK;
		if (append(pool, q, before, bytes_of(after, few), captured_of(after)))
			return LP_E_NOMEM;
		drop(pool, q, &at);
		return LP_OK;
	}
	if (!after)
		return LP_OK;
	*done = true;
	return prepend(pool, q, at, piece);
}

/* ---- in and out ---- */

/* What began after the piece gives way to it. */
static void push_aside(struct lp_ooo_pool *pool, struct lp_ooo *q, struct lp_leaf_at *at,
		       const struct lp_ooo_piece *piece, bool *conflict)
{
	uint32_t end = piece->seq + piece->wire;
	struct lp_leaf_entry *e;

	while ((e = lp_leaves_at(&q->waiting, *at)) && lp_seq_before(e->start, end)) {
		*conflict |= compare(pool, q, e, piece);
		if (lp_seq_before(end, e->end)) {
			give_way(q, *at, end);
			break;
		}
		drop(pool, q, at);
	}
}

/* What began before the piece, or with it, owns what it has of it: *start is where the piece
 * begins then, and *at where it belongs. (What owns nothing below its end cannot have: all from its
 * own beginning on is owned by somebody.) False if nothing is left of it. */
static bool find_start(struct lp_ooo_pool *pool, struct lp_ooo *q, struct lp_leaf_at *at,
		       const struct lp_ooo_piece *piece, uint32_t *start, bool *conflict)
{
	uint32_t end = piece->seq + piece->wire;
	const struct lp_leaf_entry *e;

	while ((e = lp_leaves_at(&q->waiting, *at)) && lp_seq_before(e->start, end) &&
	       !lp_seq_before(piece->seq, seq_of(e))) {
		*conflict |= compare(pool, q, e, piece);
		if (replaces(pool, piece, e)) {
			drop(pool, q, at);
			continue;
		}
		if (!lp_seq_before(e->end, end))
			return false;
		*start = e->end;
		*at = lp_leaves_next(&q->waiting, *at);
	}
	return true;
}

/* Puts in what begins at start of the piece, and belongs before `at`. */
static enum lp_err put_piece(struct lp_ooo_pool *pool, struct lp_ooo *q, struct lp_leaf_at at,
			     const struct lp_ooo_piece *piece, uint32_t start, bool *conflict)
{
	uint64_t held = hold(pool, piece), was;
	struct lp_leaf_entry *e;
	enum lp_err err;

	if (!held)
		return LP_E_NOMEM;
	push_aside(pool, q, &at, piece, conflict);
	was = q->waiting.bytes;
	err = lp_leaves_put(&q->waiting, at, start, &e);
	if (err) {
		count(pool, q, q->waiting.bytes, was);
		if (!(held & 1))
			free_node(pool, (struct lp_ooo_node *)(uintptr_t)held);
		return err;
	}
	e->end = piece->seq + piece->wire;
	e->carried_ns = piece->carried_ns;
	e->held = held & 1 ? held | (uint64_t)(start - piece->seq) << 1 : held;
	count(pool, q, q->waiting.bytes + size_of(e), was);
	return LP_OK;
}

enum lp_err lp_ooo_insert(struct lp_ooo_pool *pool, struct lp_ooo *q,
			  const struct lp_ooo_piece *piece, bool *added, bool *conflict)
{
	struct lp_leaf_at at = lp_leaves_seek(&q->waiting, piece->seq, pool->near);
	struct lp_leaf_entry *e = lp_leaves_at(&q->waiting, at);
	uint32_t start = piece->seq, end = piece->seq + piece->wire;
	bool alone = !e || !lp_seq_before(e->start, end);
	enum lp_err err;

	*added = false;
	if (!alone) {
		if (!find_start(pool, q, &at, piece, &start, conflict))
			return LP_OK;
		e = lp_leaves_at(&q->waiting, at);
		alone = start == piece->seq && (!e || !lp_seq_before(e->start, end));
	}
	if (alone && is_tiny(piece) && !goes_alone(q)) {
		err = join(pool, q, at, e, piece, added);
		if (err || *added)
			return err;
	}
	err = put_piece(pool, q, at, piece, start, conflict);
	*added = !err;
	return err;
}

void lp_ooo_pop(struct lp_ooo_pool *pool, struct lp_ooo *q, struct lp_ooo_out *out)
{
	const struct lp_leaf_entry *e = lp_ooo_first(q);
	uint64_t was = q->waiting.bytes + size_of(e);
	uint32_t seq = seq_of(e);

	out->piece = (struct lp_ooo_piece){ .data = bytes_of(e, out->few),
		.carried_ns = e->carried_ns, .seq = seq, .captured = captured_of(e),
		.wire = e->end - seq, .urgent = is_few(e) ? 0 : node_of(e)->urgent };
	out->node = is_few(e) ? NULL : node_of(e);
	lp_leaves_shift(&q->waiting);
	count(pool, q, q->waiting.bytes, was);
}

void lp_ooo_release(struct lp_ooo_pool *pool, struct lp_ooo_out *out)
{
	free_node(pool, out->node);
	out->node = NULL;
}
