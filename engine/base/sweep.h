/* sweep: what is made of every byte of a segment, in one pass over them: the Internet checksum
 * (RFC 1071), and NH, a keyed hash. No state, no errors.
 *
 * NH (Black, Halevi, Krawczyk, Krovetz, Rogaway 1999; RFC 4418 section 5.2): pairs of 32-bit
 * words, each with its key added, are multiplied, and the products added up. For who does not know
 * the key, two blocks of one length have one sum by a chance of 2^-32. Bytes are filled up
 * with zero ones to a multiple of 64. */
#ifndef LP_BASE_SWEEP_H
#define LP_BASE_SWEEP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	LP_SWEEP_KEY = 192,                 /* words of 64 bits; a segment of Ethernet is one block */
	LP_SWEEP_BLOCK = LP_SWEEP_KEY * 8,  /* bytes hashed under one key, at most */
};

struct lp_swept {
	uint64_t sum;  /* as lp_sum_fold() takes it; below 2^48, so that some may be added up */
	uint64_t hash;
};

/* n at most LP_SWEEP_BLOCK. Both, or the hash alone. */
struct lp_swept lp_sweep(const uint64_t *key, const uint8_t *p, size_t n);
uint64_t lp_sweep_hash(const uint64_t *key, const uint8_t *p, size_t n);

/* The sum alone; n at most UINT32_MAX. */
uint64_t lp_sweep_sum(const uint8_t *p, size_t n);

/* The same three by one form, for their test. False if this processor has it not. */
enum lp_sweep_form { LP_SWEEP_PLAIN, LP_SWEEP_AVX2, LP_SWEEP_AVX512, LP_SWEEP_FORMS };

bool lp_sweep_by(enum lp_sweep_form form, const uint64_t *key, const uint8_t *p, size_t n,
		 struct lp_swept *both, struct lp_swept *alone);

#endif
