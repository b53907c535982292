/* lp_hash: SipHash-2-4 (Aumasson, Bernstein 2012) for tables whose keys an
 * attacker chooses. The seed is drawn once an engine from the system. Not for
 * authentication. Output order must never depend on it. */
#ifndef LP_BASE_HASH_H
#define LP_BASE_HASH_H

#include "base/cursor.h"

struct lp_hash_seed {
	uint64_t k0, k1;
};

/* Fresh random seed; LP_E_IO if the system has none to give. */
LP_MUST enum lp_err lp_hash_seed_new(struct lp_hash_seed *seed);

/* The 64-bit hash of n bytes. */
uint64_t lp_hash(const struct lp_hash_seed *seed, const void *p, size_t n);

#endif
