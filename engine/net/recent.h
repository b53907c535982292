/* lp_recent: what was handed on lately, so that a retransmission with other bytes is noticed.
 * Bytes that are out are gone; of the last 65,536 segments a hash stays. Segments that are
 * sent again as they were, or several in one, can be compared; other pieces cannot.
 * Owner: the reassembler. A megabyte. No errors but LP_E_NOMEM from init. */
#ifndef LP_NET_RECENT_H
#define LP_NET_RECENT_H

#include "base/cursor.h"
#include "base/hash.h"

struct lp_recent_entry {
	uint32_t stream; /* the lower half of its name */
	uint32_t seq;
	uint32_t n;      /* 0: nothing here */
	uint32_t hash;
};

enum { LP_RECENT_KEY = 128 }; /* words of 64 bits, made of the seed */

struct lp_recent {
	struct lp_recent_entry *entries;
	uint64_t key[LP_RECENT_KEY];
};

LP_MUST enum lp_err lp_recent_init(struct lp_recent *r, const struct lp_hash_seed *seed);
void lp_recent_clear(struct lp_recent *r);

/* Names of streams differ in their lower half; the upper one spreads them. */

/* Something at seq of a stream with that upper half will be handed on or compared soon. */
void lp_recent_prefetch(const struct lp_recent *r, uint32_t upper, uint32_t seq);

/* n bytes at seq of this stream are handed on. */
void lp_recent_put(struct lp_recent *r, uint64_t stream, uint32_t seq, const uint8_t *p, uint32_t n);

/* Whether n bytes at seq, all of which were handed on before, are known to be others now. */
bool lp_recent_differs(const struct lp_recent *r, uint64_t stream, uint32_t seq, const uint8_t *p,
		       uint32_t n);

/* What the hash is made of, for its test: with the wide registers that a processor may have, and
 * without. n is a multiple of 64, at most LP_RECENT_KEY * 8. */
uint64_t lp_recent_sum(const uint64_t *key, const uint8_t *p, size_t n, bool wide);

#endif
