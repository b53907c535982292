/* lp_share: one reader's segments, shared out to several workers: all of a flow to one, in
 * order, the passing of each second to every one.
 *
 *   lp_reader ─► lp_share_sink ─┬─► [ring of batches] ─► worker 0
 *                               └─► [ring of batches] ─► worker 1
 *
 * A keyed hash of a flow's addresses, ports and domain within all tunnels, the same for both
 * directions, falls into one of LP_SHARE_BUCKETS; a bucket belongs to a worker from its first
 * segment to the end: to the one that had the least to do of late, in bytes and in new
 * buckets. (So eight connections on two workers are four and four, which a hash alone seldom
 * makes of them.) Batches hold copies of the bytes, unless these are lent for as long as the
 * capture is open. A full ring makes the reader wait, but not before everybody has what is meant
 * for them and knows how far the reader is; so nobody waits for a reader that waits. While it need
 * not wait, it lets batches fill. Beside a worker that has much more to do than another, it goes
 * to the other's processor. Live it never waits: what finds a full ring is shed and counted, and
 * reassembly finds the hole.
 *
 * Threads: the sink, lp_share_fault() and lp_share_end() belong to the reader's; front and pop to
 * that worker's; the rest to anybody.
 * Owner: lp_engine; freed when all threads have been joined. LP_E_NOMEM, LP_E_IO. */
#ifndef LP_SHARE_H
#define LP_SHARE_H

#include "base/bell.h"
#include "base/hash.h"
#include "reader.h"

enum { LP_SHARE_BATCH = 64, LP_SHARE_BUCKETS = 1 << 16 };

struct lp_batch {
	size_t n;             /* segments; 0: only time has passed */
	bool second;          /* the clock has passed a whole second at packet number */
	uint64_t number;
	uint64_t now_ns;      /* the clock of the capture */
	uint32_t sum;         /* bytes of its segments */
	uint8_t *bytes;       /* what those point into that are not lent */
	size_t used, size;
	struct lp_segment segment[LP_SHARE_BATCH];
};

struct lp_share;

/* slots: batches of each worker's ring, a power of two. seed: that of the flow tables. */
LP_MUST enum lp_err lp_share_new(struct lp_share **out, size_t workers, size_t slots,
				 const struct lp_hash_seed *seed);
void lp_share_free(struct lp_share *sh);

/* What the reader has is handed out at once, for who knows when more will come; to be called
 * before the first segment. */
void lp_share_eager(struct lp_share *sh);

/* A capture that does not wait for us; to be called before the first segment. */
void lp_share_live(struct lp_share *sh);

/* At most about so many bytes of segments wait for all workers, or eight times as many where one
 * of them, which had some of late, would have nothing to do; to be called before the first
 * segment. */
void lp_share_bound(struct lp_share *sh, size_t bytes);

/* Segments that were shed, for the reader's thread or once it has ended. */
uint64_t lp_share_shed(const struct lp_share *sh);

extern const struct lp_reader_sink lp_share_sink; /* user: the lp_share */

/* The first fault of the sink. */
LP_MUST enum lp_err lp_share_fault(const struct lp_share *sh);

/* Waits until the workers are done with all that was given. */
void lp_share_settle(struct lp_share *sh);

/* No more packets will come: number and time of the last. */
void lp_share_end(struct lp_share *sh, uint64_t number, uint64_t ns);

/* What worker i sleeps on, before any thread runs: rung when there is something in its
 * ring, or the reader is further, or at its end. */
void lp_share_bell(struct lp_share *sh, size_t i, struct lp_bell *bell);

/* The worker of a segment, and the tag that it is to have. The reader's thread. */
size_t lp_share_pick(struct lp_share *sh, const struct lp_segment *s, uint32_t *tag);

/* The processor for a reader that is at here: its own, unless a worker there has much more to do
 * than another, then the other's; -1: not known. The reader's thread. */
int lp_share_place(const struct lp_share *sh, int here);

/* All packets up to this number are in the rings. A worker asks before it looks into its
 * ring: if that is empty then, nothing for it comes at this number or below. */
uint64_t lp_share_reached(const struct lp_share *sh);
/* … if the reader has ended, nothing comes at all, and these are what it ended with. */
bool lp_share_ended(const struct lp_share *sh);
void lp_share_last(const struct lp_share *sh, uint64_t *number, uint64_t *ns);

/* The oldest batch of worker i, NULL if there is none now. */
struct lp_batch *lp_share_front(struct lp_share *sh, size_t i);
/* The one behind it, or NULL. */
const struct lp_batch *lp_share_second(struct lp_share *sh, size_t i);
void lp_share_pop(struct lp_share *sh, size_t i);

#endif
