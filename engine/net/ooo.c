#include "net/ooo.h"

#include <assert.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

enum {
	TINY = 32,   /* bytes; a segment that is worth keeping with its neighbour */
	RUN = 512,   /* bytes; how far such neighbours grow */
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
	struct lp_ooo_piece piece;

	if (!q)
		return;
	while (lp_ooo_first(q))
		lp_ooo_release(lp_ooo_pop(pool, q, &piece));
	pool->bytes -= q->waiting.bytes;
	lp_leaves_clear(&q->waiting);
	unlist(pool, q);
	free(q);
}

void lp_ooo_renew(struct lp_ooo_pool *pool, struct lp_ooo *q, uint32_t below, uint64_t now_ns)
{
	q->since_ns = now_ns;
	q->evidence_ns = 0;
	q->below = below;
	unlist(pool, q);
	enlist(pool, q);
}

uint64_t lp_ooo_cost(const struct lp_ooo *q, uint32_t n)
{
	static const struct lp_leaves none;

	return node_size(n) + (n <= TINY ? RUN : 0) + lp_leaves_growth(q ? &q->waiting : &none);
}

/* ---- memory ---- */

static void count(struct lp_ooo_pool *pool, struct lp_ooo *q, uint64_t more, uint64_t less)
{
	q->bytes += more - less;
	pool->bytes += more - less;
	if (pool->bytes > pool->peak)
		pool->peak = pool->bytes;
}

static enum lp_err put(struct lp_ooo_pool *pool, struct lp_ooo *q, struct lp_leaf_at at,
		       struct lp_leaf_entry entry)
{
	uint64_t was = q->waiting.bytes;
	enum lp_err err = lp_leaves_put(&q->waiting, at, entry);

	count(pool, q, q->waiting.bytes + (err ? 0 : entry.node->size), was);
	return err;
}

static struct lp_ooo_node *take(struct lp_ooo_pool *pool, struct lp_ooo *q, struct lp_leaf_at *at)
{
	struct lp_ooo_node *n = lp_leaves_at(&q->waiting, *at)->node;
	uint64_t was = q->waiting.bytes;

	*at = lp_leaves_cut(&q->waiting, *at);
	count(pool, q, q->waiting.bytes, was + n->size);
	return n;
}

static struct lp_ooo_node *make_room(size_t room)
{
	size_t size = node_size(room);
	struct lp_ooo_node *n = malloc(size < sizeof *n ? sizeof *n : size);

	if (n)
		n->size = (uint32_t)size;
	return n;
}

static bool is_tiny(const struct lp_ooo_piece *piece)
{
	return piece->captured <= TINY && piece->captured == piece->wire && !piece->urgent;
}

static struct lp_ooo_node *make_node(const struct lp_ooo_piece *piece)
{
	size_t room = piece->captured;
	struct lp_ooo_node *n;

	if (is_tiny(piece))
		room = rounded(node_size(room)) - node_size(0);
	n = make_room(room);
	if (!n)
		return NULL;
	n->at = (uint32_t)(room - piece->captured) / 2;
	if (piece->captured)
		memcpy(n->room + n->at, piece->data, piece->captured);
	n->carried_ns = piece->carried_ns;
	n->seq = piece->seq;
	n->captured = piece->captured;
	n->urgent = piece->urgent;
	return n;
}

/* ---- copies ---- */

/* Whether n bytes at seq differ from those of the entry, where both have some. */
static bool differs(const struct lp_leaf_entry *e, uint32_t seq, const uint8_t *p, uint32_t n)
{
	const struct lp_ooo_node *node = e->node;
	uint32_t from = lp_seq_before(seq, e->start) ? e->start : seq;
	uint32_t to = seq + n;
	uint32_t have = node->seq + node->captured;

	if (lp_seq_before(e->end, to))
		to = e->end;
	if (lp_seq_before(have, to))
		to = have;
	if (!lp_seq_before(from, to))
		return false;
	return memcmp(node->room + node->at + (from - node->seq), p + (from - seq), to - from) != 0;
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
		 const struct lp_ooo_node *n)
{
	pool->other(pool->user, q->flow, (enum lp_side)q->side, n->seq, n->room + n->at, n->captured);
}

void lp_ooo_tell(const struct lp_ooo_pool *pool, const struct lp_ooo *q, uint32_t seq,
		 const uint8_t *p, uint32_t n)
{
	struct lp_leaf_at at = lp_leaves_first(&q->waiting);
	const struct lp_leaf_entry *e;

	for (; pool->other && (e = lp_leaves_at(&q->waiting, at)) && lp_seq_before(e->start, seq + n);
	     at = lp_leaves_next(&q->waiting, at))
		if (differs(e, seq, p, n))
			tell(pool, q, e->node);
}

/* The piece against what waits; both are told of if they differ. */
static bool compare(const struct lp_ooo_pool *pool, const struct lp_ooo *q,
		    const struct lp_leaf_entry *e, const struct lp_ooo_piece *piece)
{
	if (!differs(e, piece->seq, piece->data, piece->captured))
		return false;
	if (pool->other) {
		tell(pool, q, e->node);
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

	if (e->node->seq != piece->seq)
		return false;
	if (lp_seq_before(e->end, end))
		return pool->overlap == LP_OVERLAP_LINUX;
	return e->end == end && piece->captured > e->node->captured;
}

/* ---- tiny segments ---- */

/* Whether n bytes that touch the entry can be kept with it. */
static bool takes(const struct lp_leaf_entry *e, uint32_t n)
{
	const struct lp_ooo_node *node = e->node;

	return !node->urgent && node->captured == e->end - node->seq && node->captured + n <= RUN;
}

/* Makes room for so many bytes more behind those that are there, or (front) before them. */
static enum lp_err widen(struct lp_ooo_pool *pool, struct lp_ooo *q, struct lp_leaf_entry *e,
			 uint32_t more, bool front)
{
	size_t room = rounded(node_size((e->node->captured + more) * 2U)) - node_size(0);
	struct lp_ooo_node *n = e->node, *wider;
	size_t used = n->at + n->captured;

	if (front ? n->at >= more : n->size - node_size(used) >= more)
		return LP_OK;
	if (room > RUN)
		room = RUN;
	wider = make_room(room);
	if (!wider)
		return LP_E_NOMEM;
	wider->carried_ns = n->carried_ns;
	wider->seq = n->seq;
	wider->captured = n->captured;
	wider->urgent = 0;
	wider->at = front ? (uint32_t)room - n->captured : 0;
	memcpy(wider->room + wider->at, n->room + n->at, n->captured);
	count(pool, q, wider->size, n->size);
	lp_ooo_release(n);
	e->node = wider;
	return LP_OK;
}

static enum lp_err append(struct lp_ooo_pool *pool, struct lp_ooo *q, struct lp_leaf_entry *e,
			  const uint8_t *p, uint32_t n)
{
	if (widen(pool, q, e, n, false))
		return LP_E_NOMEM;
	memcpy(e->node->room + e->node->at + e->node->captured, p, n);
	e->node->captured += n;
	e->end += n;
	return LP_OK;
}

/* Puts the piece before the bytes of the entry there. */
static enum lp_err prepend(struct lp_ooo_pool *pool, struct lp_ooo *q, struct lp_leaf_at at,
			   const struct lp_ooo_piece *piece)
{
	struct lp_leaf_entry *e = lp_leaves_at(&q->waiting, at);
	struct lp_ooo_node *n;

	if (widen(pool, q, e, piece->captured, true))
		return LP_E_NOMEM;
	n = e->node;
	n->at -= piece->captured;
	memcpy(n->room + n->at, piece->data, piece->captured);
	n->captured += piece->captured;
	n->carried_ns = piece->carried_ns;
	n->seq = piece->seq;
	lp_leaves_start(&q->waiting, at, piece->seq);
	return LP_OK;
}

/* If the piece, which overlaps nothing and belongs before `at`, is tiny and touches a
 * neighbour that can take it, *done. If it touches both, they become one. */
static enum lp_err join(struct lp_ooo_pool *pool, struct lp_ooo *q, struct lp_leaf_at at,
			const struct lp_ooo_piece *piece, bool *done)
{
	struct lp_leaf_entry *before = lp_leaves_before(&q->waiting, at);
	struct lp_leaf_entry *after = lp_leaves_at(&q->waiting, at);
	uint32_t end = piece->seq + piece->wire, n = piece->captured;
	struct lp_ooo_node *node;

	*done = false;
	/* What waits for a SYN is handed on in the order of its capture, so one by one. */
	if (!is_tiny(piece) || (q->flow && q->flow->early & 1U << q->side))
		return LP_OK;
	if (after && (after->start != end || after->node->seq != end || !takes(after, n)))
		after = NULL;
	if (before && before->end == piece->seq && takes(before, n)) {
		if (append(pool, q, before, piece->data, n))
			return LP_E_NOMEM;
		*done = true;
		if (!after || !takes(before, after->node->captured))
			return LP_OK;
		node = after->node;
		if (append(pool, q, before, node->room + node->at, node->captured))
			return LP_E_NOMEM;
		lp_ooo_release(take(pool, q, &at));
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
			lp_leaves_start(&q->waiting, *at, end);
			break;
		}
		lp_ooo_release(take(pool, q, at));
	}
}

enum lp_err lp_ooo_insert(struct lp_ooo_pool *pool, struct lp_ooo *q,
			  const struct lp_ooo_piece *piece, bool *added, bool *conflict)
{
	struct lp_leaf_at at = lp_leaves_seek(&q->waiting, piece->seq);
	uint32_t start = piece->seq, end = piece->seq + piece->wire;
	struct lp_leaf_entry *e;
	struct lp_ooo_node *made;
	enum lp_err err;

	*added = false;
	/* What began before it, or with it. (What owns nothing below end cannot have: all
	 * from its own beginning on is owned by somebody.) */
	while ((e = lp_leaves_at(&q->waiting, at)) && lp_seq_before(e->start, end) &&
	       !lp_seq_before(piece->seq, e->node->seq)) {
		*conflict |= compare(pool, q, e, piece);
		if (replaces(pool, piece, e)) {
			lp_ooo_release(take(pool, q, &at));
			continue;
		}
		if (!lp_seq_before(e->end, end))
			return LP_OK;
		start = e->end;
		at = lp_leaves_next(&q->waiting, at);
	}
	if (start == piece->seq && (!e || !lp_seq_before(e->start, end))) {
		err = join(pool, q, at, piece, added);
		if (err || *added)
			return err;
	}
	made = make_node(piece);
	if (!made)
		return LP_E_NOMEM;
	push_aside(pool, q, &at, piece, conflict);
	err = put(pool, q, at, (struct lp_leaf_entry){ start, end, made });
	if (err)
		lp_ooo_release(made);
	*added = !err;
	return err;
}

struct lp_ooo_node *lp_ooo_pop(struct lp_ooo_pool *pool, struct lp_ooo *q,
			       struct lp_ooo_piece *piece)
{
	const struct lp_leaf_entry *e = lp_ooo_first(q);
	struct lp_leaf_at first = lp_leaves_first(&q->waiting);
	const struct lp_ooo_node *n = e->node;

	*piece = (struct lp_ooo_piece){ .data = n->room + n->at, .carried_ns = n->carried_ns,
		.seq = n->seq, .captured = n->captured, .wire = e->end - n->seq,
		.urgent = n->urgent };
	return take(pool, q, &first);
}

void lp_ooo_release(struct lp_ooo_node *node)
{
	free(node);
}
