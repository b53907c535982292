#include "net/ooo.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum {
	TINY = 32,  /* bytes; a segment that is worth keeping with its neighbour */
	RUN = 512,  /* bytes; how far such neighbours grow */
	LEAST = 16, /* room of the first two */
};

/* The nodes after which something stands or would stand, level by level; NULL is
 * the head. */
struct path {
	struct lp_ooo_node *node[LP_OOO_LEVELS];
};

static struct lp_ooo_node **link_after(struct lp_ooo *q, struct lp_ooo_node *node, unsigned level)
{
	return node ? &node->next[level] : &q->head[level];
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
	if (!q)
		return;
	while (q->head[0])
		lp_ooo_release(lp_ooo_pop(pool, q));
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

uint64_t lp_ooo_cost(uint32_t n)
{
	return sizeof(struct lp_ooo_node) + LP_OOO_LEVELS * sizeof(struct lp_ooo_node *) + n +
	       (n <= TINY ? RUN : 0);
}

/* One level more with a probability of 1/4 (Pugh 1990). */
static unsigned random_height(struct lp_ooo_pool *pool)
{
	unsigned height = 1;
	uint64_t x = pool->random | 1;

	x ^= x << 13;
	x ^= x >> 7;
	x ^= x << 17;
	pool->random = x;
	for (x >>= 20; height < LP_OOO_LEVELS && (x & 3) == 0; x >>= 2)
		height++;
	return height;
}

/* Where the room for data begins. */
static uint8_t *room_of(struct lp_ooo_node *n)
{
	return (uint8_t *)n->next + n->height * sizeof(struct lp_ooo_node *);
}

static struct lp_ooo_node *make_room(struct lp_ooo_pool *pool, size_t room)
{
	unsigned height = random_height(pool);
	size_t size = sizeof(struct lp_ooo_node) + height * sizeof(struct lp_ooo_node *) + room;
	struct lp_ooo_node *n = malloc(size);

	if (!n)
		return NULL;
	n->size = (uint32_t)size;
	n->height = height;
	return n;
}

static struct lp_ooo_node *make_node(struct lp_ooo_pool *pool, const struct lp_ooo_piece *piece)
{
	struct lp_ooo_node *n = make_room(pool, piece->captured);

	if (!n)
		return NULL;
	n->data = room_of(n);
	if (piece->captured)
		memcpy(room_of(n), piece->data, piece->captured);
	n->carried_ns = piece->carried_ns;
	n->seq = piece->seq;
	n->end = piece->seq + piece->wire;
	n->captured = piece->captured;
	n->urgent = piece->urgent;
	return n;
}

/* Puts into path the last nodes that end at or before seq. */
static void seek(struct lp_ooo *q, uint32_t seq, struct path *path)
{
	struct lp_ooo_node *at = NULL, *n;

	if (q->tail[0] && !lp_seq_before(seq, q->tail[0]->end)) {
		memcpy(path->node, q->tail, sizeof path->node);
		return;
	}
	for (unsigned level = LP_OOO_LEVELS; level-- > q->height;)
		path->node[level] = NULL;
	for (unsigned level = q->height; level-- > 0;) {
		while ((n = *link_after(q, at, level)) && !lp_seq_before(seq, n->end))
			at = n;
		path->node[level] = at;
	}
}

static void step_over(struct path *path, struct lp_ooo_node *n)
{
	for (unsigned level = 0; level < n->height; level++)
		path->node[level] = n;
}

/* Takes out n, which stands right after path. */
static void cut_out(struct lp_ooo_pool *pool, struct lp_ooo *q, struct path *path,
		    struct lp_ooo_node *n)
{
	for (unsigned level = 0; level < n->height; level++) {
		*link_after(q, path->node[level], level) = n->next[level];
		if (q->tail[level] == n)
			q->tail[level] = path->node[level];
	}
	q->bytes -= n->size;
	pool->bytes -= n->size;
}

static void put_in(struct lp_ooo_pool *pool, struct lp_ooo *q, struct path *path,
		   struct lp_ooo_node *n)
{
	for (unsigned level = 0; level < n->height; level++) {
		struct lp_ooo_node **link = link_after(q, path->node[level], level);

		n->next[level] = *link;
		*link = n;
		if (!n->next[level])
			q->tail[level] = n;
	}
	if (q->height < n->height)
		q->height = (uint8_t)n->height;
	q->bytes += n->size;
	pool->bytes += n->size;
	if (pool->bytes > pool->peak)
		pool->peak = pool->bytes;
}

/* Whether n bytes at seq differ from those of the node, where both have some. */
static bool differs(const struct lp_ooo_node *node, uint32_t seq, const uint8_t *p, uint32_t n)
{
	uint32_t from = lp_seq_before(seq, node->start) ? node->start : seq;
	uint32_t to = seq + n;
	uint32_t have = node->seq + node->captured;

	if (lp_seq_before(node->end, to))
		to = node->end;
	if (lp_seq_before(have, to))
		to = have;
	if (!lp_seq_before(from, to))
		return false;
	return memcmp(node->data + (from - node->seq), p + (from - seq), to - from) != 0;
}

bool lp_ooo_conflicts(const struct lp_ooo *q, uint32_t seq, const uint8_t *p, uint32_t n)
{
	const struct lp_ooo_node *node;

	for (node = q->head[0]; node && lp_seq_before(node->start, seq + n); node = node->next[0])
		if (differs(node, seq, p, n))
			return true;
	return false;
}

void lp_ooo_tell(const struct lp_ooo_pool *pool, const struct lp_ooo *q, uint32_t seq,
		 const uint8_t *p, uint32_t n)
{
	const struct lp_ooo_node *node;

	for (node = q->head[0]; pool->other && node && lp_seq_before(node->start, seq + n);
	     node = node->next[0])
		if (differs(node, seq, p, n))
			pool->other(pool->user, q->flow, (enum lp_side)q->side, node->seq,
				    node->data, node->captured);
}

/* The piece against what waits; both are told of if they differ. */
static bool compare(const struct lp_ooo_pool *pool, const struct lp_ooo *q,
		    const struct lp_ooo_node *n, const struct lp_ooo_piece *piece)
{
	if (!differs(n, piece->seq, piece->data, piece->captured))
		return false;
	if (pool->other) {
		pool->other(pool->user, q->flow, (enum lp_side)q->side, n->seq, n->data,
			    n->captured);
		pool->other(pool->user, q->flow, (enum lp_side)q->side, piece->seq, piece->data,
			    piece->captured);
	}
	return true;
}

/* Of two that begin at the same byte: whether the newcomer takes the other's place.
 * A copy of which more was captured always does. */
static bool replaces(const struct lp_ooo_pool *pool, const struct lp_ooo_piece *piece,
		     const struct lp_ooo_node *n)
{
	uint32_t end = piece->seq + piece->wire;

	if (n->seq != piece->seq)
		return false;
	if (lp_seq_before(n->end, end))
		return pool->overlap == LP_OVERLAP_LINUX;
	return n->end == end && piece->captured > n->captured;
}

/* ---- tiny segments ---- */

static bool is_run(const struct lp_ooo_node *n)
{
	return !n->urgent && n->captured == n->end - n->seq && n->captured < RUN;
}

/* A node like n with room for at least so many more, the bytes at the end of it (front: for what comes before
 * them) or at its beginning. */
static struct lp_ooo_node *make_larger(struct lp_ooo_pool *pool, const struct lp_ooo_node *n,
				       uint32_t more, bool front)
{
	size_t room = (n->captured + more) * 2u;
	struct lp_ooo_node *larger;
	uint8_t *data;

	if (room < LEAST)
		room = LEAST;
	if (room > RUN)
		room = RUN;
	larger = make_room(pool, room);
	if (!larger)
		return NULL;
	data = room_of(larger) + (front ? room - n->captured : 0);
	memcpy(data, n->data, n->captured);
	larger->carried_ns = n->carried_ns;
	larger->data = data;
	larger->seq = n->seq;
	larger->start = n->start;
	larger->end = n->end;
	larger->captured = n->captured;
	larger->urgent = 0;
	return larger;
}

/* Puts the piece behind the node before it. */
static enum lp_err append(struct lp_ooo_pool *pool, struct lp_ooo *q, struct lp_ooo_node *n,
			  const struct lp_ooo_piece *piece)
{
	uint32_t used = (uint32_t)(n->data - (const uint8_t *)n) + n->captured;
	struct lp_ooo_node *larger;
	struct path path;

	if (n->size - used < piece->captured) {
		larger = make_larger(pool, n, piece->captured, false);
		if (!larger)
			return LP_E_NOMEM;
		seek(q, n->start, &path);
		cut_out(pool, q, &path, n);
		lp_ooo_release(n);
		put_in(pool, q, &path, larger);
		n = larger;
	}
	memcpy(room_of(n) + (n->data - room_of(n)) + n->captured, piece->data, piece->captured);
	n->captured += piece->captured;
	n->end += piece->captured;
	return LP_OK;
}

/* Puts the piece before the node that follows path. */
static enum lp_err prepend(struct lp_ooo_pool *pool, struct lp_ooo *q, struct path *path,
			   struct lp_ooo_node *n, const struct lp_ooo_piece *piece)
{
	struct lp_ooo_node *larger;

	if ((size_t)(n->data - room_of(n)) < piece->captured) {
		larger = make_larger(pool, n, piece->captured, true);
		if (!larger)
			return LP_E_NOMEM;
		cut_out(pool, q, path, n);
		lp_ooo_release(n);
		put_in(pool, q, path, larger);
		n = larger;
	}
	n->data -= piece->captured;
	memcpy(room_of(n) + (n->data - room_of(n)), piece->data, piece->captured);
	n->carried_ns = piece->carried_ns;
	n->seq -= piece->captured;
	n->start = n->seq;
	n->captured += piece->captured;
	return LP_OK;
}

/* If the piece is tiny and touches a neighbour that can take it, *done. */
static enum lp_err join(struct lp_ooo_pool *pool, struct lp_ooo *q, struct path *path,
			const struct lp_ooo_piece *piece, bool *done)
{
	struct lp_ooo_node *before = path->node[0], *after = *link_after(q, before, 0);
	uint32_t end = piece->seq + piece->wire;

	*done = false;
	/* What waits for a SYN is handed on in the order of its capture, so one by one. */
	if (q->flow && q->flow->early & 1U << q->side)
		return LP_OK;
	if (piece->captured > TINY || piece->captured != piece->wire || piece->urgent)
		return LP_OK;
	if (after && lp_seq_before(after->start, end))
		return LP_OK;
	if (before && before->end == piece->seq && is_run(before) &&
	    before->captured + piece->captured <= RUN) {
		*done = true;
		return append(pool, q, before, piece);
	}
	if (after && after->seq == end && after->start == end && is_run(after) &&
	    after->captured + piece->captured <= RUN) {
		*done = true;
		return prepend(pool, q, path, after, piece);
	}
	return LP_OK;
}

enum lp_err lp_ooo_insert(struct lp_ooo_pool *pool, struct lp_ooo *q,
			  const struct lp_ooo_piece *piece, bool *added, bool *conflict)
{
	uint32_t start = piece->seq, end = piece->seq + piece->wire;
	struct lp_ooo_node *n, *made;
	enum lp_err err;
	struct path path;

	*added = false;
	seek(q, start, &path);
	/* What began before it, or with it. */
	while ((n = *link_after(q, path.node[0], 0)) && !lp_seq_before(piece->seq, n->seq)) {
		*conflict |= compare(pool, q, n, piece);
		if (replaces(pool, piece, n)) {
			cut_out(pool, q, &path, n);
			lp_ooo_release(n);
			continue;
		}
		if (!lp_seq_before(n->end, end))
			return LP_OK;
		start = n->end;
		step_over(&path, n);
	}
	if (start == piece->seq) {
		err = join(pool, q, &path, piece, added);
		if (err || *added)
			return err;
	}
	made = make_node(pool, piece);
	if (!made)
		return LP_E_NOMEM;
	made->start = start;
	/* What began after it. */
	while ((n = *link_after(q, path.node[0], 0)) && lp_seq_before(n->start, end)) {
		*conflict |= compare(pool, q, n, piece);
		if (lp_seq_before(end, n->end)) {
			n->start = end;
			break;
		}
		cut_out(pool, q, &path, n);
		lp_ooo_release(n);
	}
	put_in(pool, q, &path, made);
	*added = true;
	return LP_OK;
}

struct lp_ooo_node *lp_ooo_pop(struct lp_ooo_pool *pool, struct lp_ooo *q)
{
	struct path first = { { NULL } };
	struct lp_ooo_node *n = q->head[0];

	if (n)
		cut_out(pool, q, &first, n);
	return n;
}

void lp_ooo_release(struct lp_ooo_node *node)
{
	free(node);
}
