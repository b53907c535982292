#include "net/ooo_parts.h"

#include <stddef.h>
#include <stdlib.h>

enum {
	SPARE_LEAST = 512,  /* bytes; such nodes are kept for the next segments, … */
	SPARE_MOST = 2048,  /* … an Ethernet's */
};

/* ---- memory ---- */

static bool is_spare_size(uint32_t captured)
{
	return captured >= SPARE_LEAST && captured <= SPARE_MOST;
}

/* A node with room for the bytes. */
static struct lp_ooo_node *make_room(struct lp_ooo_pool *pool, const struct lp_ooo_piece *piece)
{
	struct lp_ooo_node *n = NULL;

	if (pool->spares && is_spare_size(piece->captured)) {
		n = pool->spare[--pool->spares];
		if (n->captured != piece->captured) {
			free(n); /* segments are of another size now */
			n = NULL;
		}
	}
	return n ? n : malloc(offsetof(struct lp_ooo_node, room) + piece->captured);
}

static struct lp_ooo_node *make_bare(struct lp_ooo_pool *pool)
{
	return pool->bares ? pool->bare[--pool->bares] : malloc(sizeof(struct lp_ooo_node));
}

static struct lp_ooo_node *make_node(struct lp_ooo_pool *pool, const struct lp_ooo_piece *piece)
{
	struct lp_ooo_node *n = piece->lent ? make_bare(pool) : make_room(pool, piece);

	if (!n)
		return NULL;
	n->bytes = piece->lent ? piece->data : n->room;
	n->seq = piece->seq;
	n->captured = piece->captured;
	n->urgent = piece->urgent;
	n->hash = piece->hash;
	if (piece->captured && !piece->lent)
		memcpy(n->room, piece->data, piece->captured);
	return n;
}

static void free_node(struct lp_ooo_pool *pool, struct lp_ooo_node *n)
{
	const bool bare = n->bytes != n->room;

	if (bare && pool->bares < LP_OOO_SPARES)
		pool->bare[pool->bares++] = n;
	else if (!bare && is_spare_size(n->captured) && pool->spares < LP_OOO_SPARES &&
		 (!pool->spares || pool->spare[0]->captured == n->captured))
		pool->spare[pool->spares++] = n;
	else
		free(n);
}

void lp_ooo_pool_clear(struct lp_ooo_pool *pool)
{
	while (pool->spares)
		free(pool->spare[--pool->spares]);
	while (pool->bares)
		free(pool->bare[--pool->bares]);
}

static void free_held(struct lp_ooo_pool *pool, const struct lp_leaf_entry *e)
{
	if (lp_ooo_is_page(e))
		free(lp_ooo_page(e));
	else
		free_node(pool, lp_ooo_node_of(e));
}

void lp_ooo_drop(struct lp_ooo_pool *pool, struct lp_ooo *q, struct lp_leaf_at *at)
{
	const struct lp_leaf_entry *e = lp_leaves_at(&q->waiting, *at);
	uint64_t was = q->waiting.bytes + lp_ooo_size(e);

	q->pages -= lp_ooo_is_page(e);
	free_held(pool, e);
	*at = lp_leaves_cut(&q->waiting, *at);
	lp_ooo_count(pool, q, q->waiting.bytes, was);
}

/* ---- queues ---- */

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
	const struct lp_leaf_entry *e;

	if (!q)
		return;
	for (struct lp_leaf_at at = lp_leaves_first(&q->waiting); (e = lp_leaves_at(&q->waiting, at));
	     at = lp_leaves_next(&q->waiting, at))
		free_held(pool, e);
	pool->bytes -= q->bytes;
	lp_budget_charge(pool->budget, 0, q->bytes);
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
	if (q == pool->newest)
		return;
	unlist(pool, q);
	enlist(pool, q);
}

/* ---- copies ---- */

/* Whether n bytes at seq differ from those of the part, where both have some. */
static bool differs(const struct lp_ooo_part *t, uint32_t seq, const uint8_t *p, uint32_t n)
{
	uint32_t from = lp_seq_before(seq, t->start) ? t->start : seq;
	uint32_t to = seq + n;

	if (lp_seq_before(t->end, to))
		to = t->end;
	if (lp_seq_before(t->have, to))
		to = t->have;
	if (!lp_seq_before(from, to))
		return false;
	return memcmp(t->bytes + (from - t->seq), p + (from - seq), to - from) != 0;
}

static void tell(const struct lp_ooo_pool *pool, const struct lp_ooo *q, const struct lp_ooo_part *t)
{
	if (pool->other)
		pool->other(pool->user, q->flow, (enum lp_side)q->side, t->seq, t->bytes,
			    t->have - t->seq);
}

/* The parts at seq and behind that differ from n bytes there: whether there are any; all are told
 * of if pool is given. */
static bool look_for_others(const struct lp_ooo_pool *pool, const struct lp_ooo *q, uint32_t seq,
			    const uint8_t *p, uint32_t n)
{
	struct lp_leaf_at at = lp_leaves_first(&q->waiting);
	const struct lp_leaf_entry *e;
	uint32_t from = seq, end = seq + n;
	bool any = false;
	struct lp_ooo_part t;

	for (; (e = lp_leaves_at(&q->waiting, at)) && lp_seq_before(e->start, end);
	     at = lp_leaves_next(&q->waiting, at))
		for (; lp_seq_before(from, e->end) && lp_seq_before(from, end); from = t.end) {
			t = lp_ooo_part_at(e, from);
			if (!differs(&t, seq, p, n))
				continue;
			any = true;
			if (!pool)
				return true;
			tell(pool, q, &t);
		}
	return any;
}

bool lp_ooo_conflicts(const struct lp_ooo *q, uint32_t seq, const uint8_t *p, uint32_t n)
{
	return look_for_others(NULL, q, seq, p, n);
}

void lp_ooo_tell(const struct lp_ooo_pool *pool, const struct lp_ooo *q, uint32_t seq,
		 const uint8_t *p, uint32_t n)
{
	(void)look_for_others(pool, q, seq, p, n);
}

/* The piece against what waits; both are told of if they differ. */
static bool compare(const struct lp_ooo_pool *pool, const struct lp_ooo *q, const struct lp_ooo_part *t,
		    const struct lp_ooo_piece *piece)
{
	if (!differs(t, piece->seq, piece->data, piece->captured))
		return false;
	tell(pool, q, t);
	if (pool->other)
		pool->other(pool->user, q->flow, (enum lp_side)q->side, piece->seq, piece->data,
			    piece->captured);
	return true;
}

/* Where the part that is `at` began: it may have in the page before. */
static uint32_t began(const struct lp_ooo *q, struct lp_leaf_at at, const struct lp_ooo_part *t)
{
	const struct lp_leaf_entry *before;

	if (lp_page_place(t->start) || !lp_ooo_is_page(lp_leaves_at(&q->waiting, at)))
		return t->seq;
	before = lp_leaves_before(&q->waiting, at);
	if (!before || !lp_ooo_is_page(before) || before->end != t->start)
		return t->seq;
	return lp_ooo_part_of_page(before, t->start - 1).start;
}

/* Of two that begin at the same byte: whether the newcomer takes the other's place.
 * A copy of which more was captured always does. */
static bool replaces(const struct lp_ooo_pool *pool, const struct lp_ooo_piece *piece,
		     const struct lp_ooo_part *t)
{
	uint32_t end = piece->seq + piece->wire;

	if (lp_seq_before(t->end, end))
		return pool->overlap == LP_OVERLAP_LINUX;
	return t->end == end && piece->captured > t->have - t->seq;
}

/* ---- in and out ---- */

/* What waits for a SYN is handed on in the order of its capture, so one by one. */
static inline bool goes_alone(const struct lp_ooo *q)
{
	return q->flow && q->flow->early & 1U << q->side;
}

static inline bool is_tiny(const struct lp_ooo_piece *piece)
{
	return piece->captured <= LP_OOO_TINY && piece->captured == piece->wire && !piece->urgent;
}

/* What began after the piece gives way to it: it will own all from start on. */
static enum lp_err push_aside(struct lp_ooo_pool *pool, struct lp_ooo *q, struct lp_leaf_at *at,
			      const struct lp_ooo_piece *piece, uint32_t start, bool *conflict)
{
	uint32_t end = piece->seq + piece->wire, from = start;
	struct lp_leaf_entry *e;
	struct lp_ooo_part t;

	while ((e = lp_leaves_at(&q->waiting, *at)) && lp_seq_before(e->start, end)) {
		for (; lp_seq_before(from, e->end) && lp_seq_before(from, end); from = t.end) {
			t = lp_ooo_part_at(e, from);
			*conflict |= compare(pool, q, &t, piece);
		}
		if (lp_ooo_is_page(e)) {
			bool within = lp_seq_before(e->start, start) && lp_seq_before(end, e->end);

			lp_ooo_forget(pool, q, at, start, end);
			if (within)
				return lp_ooo_split(pool, q, at, start);
		} else if (lp_seq_before(end, e->end)) {
			lp_leaves_start(&q->waiting, *at, end);
		} else {
			lp_ooo_drop(pool, q, at);
		}
	}
	return LP_OK;
}

/* What began before the piece, or with it, owns what it has of it: *start is where the piece
 * begins then, and *at where it belongs. (What owns nothing below its end cannot have: all from its
 * own beginning on is owned by somebody.) False if nothing is left of it. */
static bool find_start(struct lp_ooo_pool *pool, struct lp_ooo *q, struct lp_leaf_at *at,
		       const struct lp_ooo_piece *piece, uint32_t *start, bool *conflict)
{
	uint32_t end = piece->seq + piece->wire, seq;
	const struct lp_leaf_entry *e;
	struct lp_ooo_part t;

	while ((e = lp_leaves_at(&q->waiting, *at)) && lp_seq_before(e->start, end)) {
		t = lp_ooo_part_at(e, *start);
		seq = began(q, *at, &t);
		if (lp_seq_before(piece->seq, seq))
			break;
		*conflict |= compare(pool, q, &t, piece);
		if (seq == piece->seq && replaces(pool, piece, &t)) {
			if (lp_ooo_is_page(e))
				lp_ooo_forget(pool, q, at, t.start, t.end);
			else
				lp_ooo_drop(pool, q, at);
			continue;
		}
		if (!lp_seq_before(t.end, end))
			return false;
		*start = t.end;
		if (t.end == e->end)
			*at = lp_leaves_next(&q->waiting, *at);
	}
	return true;
}

/* Puts in what begins at start of the piece, before what is `at`. */
static enum lp_err put_piece(struct lp_ooo_pool *pool, struct lp_ooo *q, struct lp_leaf_at at,
			     const struct lp_ooo_piece *piece, uint32_t start)
{
	uint64_t was = q->waiting.bytes;
	struct lp_leaf_entry *e = NULL;
	struct lp_ooo_node *n = make_node(pool, piece);

	if (!n)
		return LP_E_NOMEM;
	if (lp_leaves_put(&q->waiting, at, start, &e)) {
		lp_ooo_count(pool, q, q->waiting.bytes, was);
		free_node(pool, n);
		return LP_E_NOMEM;
	}
	e->end = piece->seq + piece->wire;
	e->carried_ns = piece->carried_ns;
	e->held = (uintptr_t)n;
	lp_ooo_count(pool, q, q->waiting.bytes + lp_ooo_node_size(n), was);
	return LP_OK;
}

enum lp_err lp_ooo_insert(struct lp_ooo_pool *pool, struct lp_ooo *q,
			  const struct lp_ooo_piece *piece, bool *added, bool *conflict)
{
	uint32_t start = piece->seq;
	const struct lp_leaf_entry *e;
	struct lp_leaf_at at;
	bool done = false;
	enum lp_err err;

	*added = false;
	if (is_tiny(piece) && !goes_alone(q)) {
		err = lp_ooo_put_tiny(pool, q, piece, added, &done);
		if (err || done)
			return err;
	}
	at = lp_leaves_seek(&q->waiting, start, pool->near);
	e = lp_leaves_at(&q->waiting, at);
	if (e && lp_seq_before(e->start, start + piece->wire)) {
		if (!find_start(pool, q, &at, piece, &start, conflict))
			return LP_OK;
		err = push_aside(pool, q, &at, piece, start, conflict);
		if (err)
			return err;
	}
	err = put_piece(pool, q, at, piece, start);
	*added |= !err;
	return err;
}

/* The first bytes of a page, as far as they reach; the rest stays. */
static void pop_part(struct lp_ooo *q, struct lp_leaf_entry *e, struct lp_ooo_out *out)
{
	struct lp_page *g = lp_ooo_page(e);
	uint32_t from = lp_page_place(e->start), base = e->start - from, to = e->end - base;
	uint32_t end = lp_page_next(g, from, to, false);

	out->piece = (struct lp_ooo_piece){ .data = g->bytes + from, .carried_ns = e->carried_ns,
		.seq = e->start, .captured = end - from, .wire = end - from };
	if (end == to) {
		out->held = e->held;
		lp_leaves_shift(&q->waiting);
		q->pages--;
		return;
	}
	out->held = 0;
	lp_page_mark(g, from, end, false);
	e->carried_ns = g->last_ns;
	lp_leaves_start(&q->waiting, lp_leaves_first(&q->waiting),
			base + lp_page_next(g, end, to, true));
}

void lp_ooo_pop(struct lp_ooo_pool *pool, struct lp_ooo *q, struct lp_ooo_out *out)
{
	struct lp_leaf_entry *e = lp_leaves_at(&q->waiting, lp_leaves_first(&q->waiting));
	uint64_t was = q->waiting.bytes;
	const struct lp_ooo_node *n;

	if (lp_ooo_is_page(e)) {
		pop_part(q, e, out);
		was += out->held ? sizeof(struct lp_page) : 0;
	} else {
		n = lp_ooo_node_of(e);
		out->piece.data = n->bytes;
		out->piece.carried_ns = e->carried_ns;
		out->piece.seq = n->seq;
		out->piece.captured = n->captured;
		out->piece.wire = e->end - n->seq;
		out->piece.urgent = n->urgent;
		out->piece.hash = n->hash;
		out->piece.lent = n->bytes != n->room;
		out->held = e->held;
		was += lp_ooo_node_size(n);
		lp_leaves_shift(&q->waiting);
	}
	lp_ooo_count(pool, q, q->waiting.bytes, was);
}

void lp_ooo_release(struct lp_ooo_pool *pool, struct lp_ooo_out *out)
{
	const struct lp_leaf_entry e = { .held = out->held };

	if (out->held)
		free_held(pool, &e);
	out->held = 0;
}
