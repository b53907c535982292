/* ooo: segments that wait above a hole, for one direction.
 * Sorted by where they begin (net/leaves.h), so that any order of arrival costs about
 * the same. Each waiting segment owns a range
 * of sequence numbers that no other owns; who wins where copies overlap is settled
 * when a segment is put in:
 *  - what began earlier wins over what begins later;
 *  - of two that begin at the same byte the first wins, except with
 *    LP_OVERLAP_LINUX, where the longer replaces it.
 * (Linux tcp_data_queue_ofo(), FreeBSD tcp_reass().)
 * Tiny segments wait in pages (net/page.h), so that they cost little more than their bytes in
 * whatever order they come. There what touches counts as one segment.
 * Owner: lp_ooo belongs to its half of a flow, lp_ooo_pool to the reassembler. The
 * pool counts memory as allocated, headers too, so that a cap on "out-of-order
 * bytes" bounds what one-byte segments cost. Bytes that stay where they are are not copied, but
 * count as if they were. Errors: LP_E_NOMEM. */
#ifndef LP_NET_OOO_H
#define LP_NET_OOO_H

#include "net/flow.h"
#include "net/leaves.h"
#include "net/page.h"

/* A segment; what it owns, where that ends, and when it came, stands in its entry of the
 * leaves. The end counts bytes that the capture cut off, too. */
struct lp_ooo_node {
	const uint8_t *bytes; /* from seq on; in room, or where they stay */
	uint32_t seq;         /* where the segment began */
	uint32_t captured;    /* bytes */
	uint32_t urgent;      /* urgent byte: its place in them, +1; 0 = none */
	uint32_t hash;        /* as in lp_ooo_piece */
	uint8_t room[];
};

enum {
	LP_OOO_SPARES = 128,
	LP_OOO_TINY = 32, /* bytes; a larger segment is not worth a page */
};

struct lp_ooo {
	struct lp_leaves waiting;
	struct lp_ooo *older, *newer; /* all holes, by since */
	struct lp_flow *flow;
	uint64_t since_ns;    /* when next came up to this hole */
	uint64_t evidence_ns; /* when the peer was seen to have what is missing; 0 = not yet */
	struct {
		uint64_t ns;
		uint32_t seq, number;
	} ack[2];             /* what the peer had acknowledged at two earlier moments */
	uint32_t since_number, evidence_number; /* of the packets then; they wrap */
	uint64_t bytes;
	uint32_t below;       /* next, as of since_ns */
	uint32_t pages;
	uint8_t side;         /* enum lp_side */
};

/* {0} but for what the owner says; lp_ooo_pool_clear() when all queues are freed. */
struct lp_ooo_pool {
	uint64_t bytes, peak;
	struct lp_budget *budget; /* of all workers; NULL: one alone */
	struct lp_ooo *oldest, *newest;
	enum lp_overlap overlap;
	uint32_t near;        /* what lp_ooo_prefetch() said of the piece that comes next */
	/* Told of each of two copies of the same bytes that differ; NULL: nobody. */
	void (*other)(void *user, struct lp_flow *flow, enum lp_side side, uint32_t seq,
		      const uint8_t *p, uint32_t n);
	void *user;
	/* Nodes to be used again, as many as wait behind a hole of a fast sender: those of full
	 * segments, all of one size, for such blocks are what the C library is slow with (256 KiB at
	 * most), and those of lent ones. Not counted in bytes. */
	struct lp_ooo_node *spare[LP_OOO_SPARES], *bare[LP_OOO_SPARES];
	uint32_t spares, bares;
};

/* A segment on its way in. */
struct lp_ooo_piece {
	const uint8_t *data;
	uint64_t carried_ns;
	uint32_t seq;
	uint32_t captured;
	uint32_t wire;   /* >= captured */
	uint32_t urgent; /* as in lp_ooo_node */
	uint32_t hash;   /* of the captured bytes (net/recent.h); 0: not known */
	bool lent;       /* they stay where they are, as long as the queue */
};

/* A segment that waited. Its bytes are good until it is released, or something is put into the queue.
 * carried_ns of tiny ones that did not come in order may be that of a later neighbour. */
struct lp_ooo_out {
	struct lp_ooo_piece piece;
	uint64_t held;   /* what it owns; 0: nothing */
};

/* An empty queue at the end of the pool's list of holes; NULL without memory. */
LP_MUST struct lp_ooo *lp_ooo_new(struct lp_ooo_pool *pool, struct lp_flow *flow,
				  enum lp_side side);
void lp_ooo_free(struct lp_ooo_pool *pool, struct lp_ooo *q);

void lp_ooo_pool_clear(struct lp_ooo_pool *pool);

/* There is another hole than before, below is where it begins,
 * number the packet that shows it: moves the queue to
 * the end of the list of holes. */
void lp_ooo_renew(struct lp_ooo_pool *pool, struct lp_ooo *q, uint32_t below, uint64_t now_ns,
		  uint64_t number);

/* A piece that begins at seq will come soon: brings its place in the queue into the cache, if
 * the queue is so long that it may be elsewhere. For pool->near when the piece comes; it may
 * be anything. */
static inline uint32_t lp_ooo_prefetch(const struct lp_ooo *q, uint32_t seq)
{
	enum { LONG = 8 }; /* leaves; fewer are at hand anyway, with what they stand for */

	return q->waiting.count < LONG ? 0 : lp_leaves_prefetch(&q->waiting, seq);
}

/* What the piece takes from the pool, at most, if it waits in q (NULL: in a new one): a node, or,
 * if it is tiny, one page or two. Bytes that are lent count, too: what fits does not depend on how
 * a capture is read. Where there are pages, it may have to be a node after all, and the
 * page around it becomes two. */
static inline uint64_t lp_ooo_cost(const struct lp_ooo *q, const struct lp_ooo_piece *piece)
{
	static const struct lp_leaves none;
	uint64_t cost = offsetof(struct lp_ooo_node, room) + piece->captured;
	uint32_t entries = 1;

	if (piece->captured <= LP_OOO_TINY) {
		if (lp_page_place(piece->seq) + piece->captured > LP_PAGE) {
			cost += sizeof(struct lp_page);
			entries++;
		}
		if (cost < entries * sizeof(struct lp_page))
			cost = entries * sizeof(struct lp_page);
	}
	if (q && q->pages) {
		cost += sizeof(struct lp_page);
		entries++;
	}
	return cost + lp_leaves_growth(q ? &q->waiting : &none, entries);
}

/* Keeps what the piece adds, as a copy if it is not lent; *added is false if it adds nothing. *conflict is set
 * (never cleared) when bytes differ from those that wait already. */
LP_MUST enum lp_err lp_ooo_insert(struct lp_ooo_pool *pool, struct lp_ooo *q,
				  const struct lp_ooo_piece *piece, bool *added, bool *conflict);

/* Whether bytes at seq that go out now differ from those that wait. */
bool lp_ooo_conflicts(const struct lp_ooo *q, uint32_t seq, const uint8_t *p, uint32_t n);

/* Tells pool->other what waits in the place of such bytes. */
void lp_ooo_tell(const struct lp_ooo_pool *pool, const struct lp_ooo *q, uint32_t seq,
		 const uint8_t *p, uint32_t n);

/* What waits first, NULL if nothing does. */
static inline const struct lp_leaf_entry *lp_ooo_first(const struct lp_ooo *q)
{
	return lp_leaves_at(&q->waiting, lp_leaves_first(&q->waiting));
}

/* Where that begins; there is something. */
static inline uint32_t lp_ooo_begin(const struct lp_ooo *q)
{
	return lp_leaves_begin(&q->waiting);
}

/* Takes the first out (there is one); the piece is the whole segment. */
void lp_ooo_pop(struct lp_ooo_pool *pool, struct lp_ooo *q, struct lp_ooo_out *out);
void lp_ooo_release(struct lp_ooo_pool *pool, struct lp_ooo_out *out);

#endif
