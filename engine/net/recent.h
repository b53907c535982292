/* lp_recent: what was handed on lately, so that a retransmission with other bytes is noticed.
 * Of some 50,000 segments a hash stays, or, where bytes stay where they are (lp_segment's lent),
 * where that is. Segments that are sent again as they were, or several in one, can be compared;
 * other pieces cannot.
 * Owner: the reassembler. Two megabytes. No errors but LP_E_NOMEM from init. */
#ifndef LP_NET_RECENT_H
#define LP_NET_RECENT_H

#include "base/cursor.h"
#include "base/hash.h"
#include "base/sweep.h"

enum { LP_RECENT_BITS = 16, LP_RECENT_LARGE = 1024 };

struct lp_recent_entry {
	_Alignas(32)      /* half a cache line */
	uint32_t stream;  /* the lower half of its name */
	uint32_t seq;
	uint32_t n;       /* 0: nothing here */
	uint32_t hash;
	const uint8_t *p; /* NULL: they are gone, there is a hash */
};

struct lp_recent {
	struct lp_recent_entry *entries;
	/* What was hashed with lp_recent_look() is not hashed once more, as long as it lies there. */
	struct {
		const uint8_t *p; /* NULL: nothing */
		uint32_t n, hash;
		bool stays;       /* then hash is 0 */
	} seen;
	uint64_t key[LP_SWEEP_KEY]; /* made of the seed */
};

LP_MUST enum lp_err lp_recent_init(struct lp_recent *r, const struct lp_hash_seed *seed);
void lp_recent_clear(struct lp_recent *r);

/* Names of streams differ in their lower half; the upper one spreads them. */

/* Where n bytes at seq have their place. Large ones of a stream that come one after another have places
 * beside each other, which a processor fetches by itself; small ones would all be in the same. */
static inline struct lp_recent_entry *lp_recent_at(const struct lp_recent *r, uint32_t upper,
						   uint32_t seq, uint32_t n)
{
	const bool large = n >= LP_RECENT_LARGE;
	const uint64_t name = (uint64_t)upper << 32 | (large ? 0 : seq);
	const uint64_t at = name * 0x9e3779b97f4a7c15ULL >> (64 - LP_RECENT_BITS);

	return &r->entries[(at + (large ? seq / LP_RECENT_LARGE : 0)) % (1 << LP_RECENT_BITS)];
}

/* n bytes at seq of a stream with that upper half will be handed on or compared soon: or each
 * segment would wait for memory, with all that is written behind it. */
static inline void lp_recent_prefetch(const struct lp_recent *r, uint32_t upper, uint32_t seq,
				      uint32_t n)
{
	__builtin_prefetch(lp_recent_at(r, upper, seq, n), 1);
}

/* The Internet checksum of n bytes (to be folded), which are likely to be handed on as a whole and
 * in their place: their hash is made with it, in one pass. To be forgotten before anything else
 * may lie there. */
uint64_t lp_recent_look(struct lp_recent *r, const uint8_t *p, uint32_t n);

/* These n bytes stay where they are: as long as that is not forgotten, no hash is made of what lies
 * among them. */
static inline void lp_recent_stays(struct lp_recent *r, const uint8_t *p, uint32_t n)
{
	r->seen.p = p;
	r->seen.n = n;
	r->seen.hash = 0;
	r->seen.stays = true;
}

/* What it found of these n bytes; 0: nothing. */
static inline uint32_t lp_recent_hash(const struct lp_recent *r, const uint8_t *p, uint32_t n)
{
	return p == r->seen.p && n == r->seen.n ? r->seen.hash : 0;
}

/* It has found that before, of the same bytes elsewhere; nothing if 0. */
static inline void lp_recent_recall(struct lp_recent *r, const uint8_t *p, uint32_t n, uint32_t found)
{
	r->seen.p = found ? p : NULL;
	r->seen.n = n;
	r->seen.hash = found;
	r->seen.stays = false;
}

static inline void lp_recent_forget(struct lp_recent *r)
{
	r->seen.p = NULL;
	r->seen.stays = false;
}

/* n bytes at seq of this stream are handed on. */
void lp_recent_put(struct lp_recent *r, uint64_t stream, uint32_t seq, const uint8_t *p, uint32_t n);

/* Whether n bytes at seq, all of which were handed on before, are known to be others now. */
bool lp_recent_differs(const struct lp_recent *r, uint64_t stream, uint32_t seq, const uint8_t *p,
		       uint32_t n);

#endif
