#include "base/hash.h"

#include <string.h>
#include <sys/random.h>

enum lp_err lp_hash_seed_new(struct lp_hash_seed *seed)
{
	if (getrandom(seed, sizeof *seed, 0) != (ssize_t)sizeof *seed)
		return LP_E_IO;
	return LP_OK;
}

static inline uint64_t rotl(uint64_t x, unsigned b)
{
	return x << b | x >> (64 - b);
}

static inline void sip_round(uint64_t v[4])
{
	v[0] += v[1];
	v[1] = rotl(v[1], 13) ^ v[0];
	v[0] = rotl(v[0], 32);
	v[2] += v[3];
	v[3] = rotl(v[3], 16) ^ v[2];
	v[0] += v[3];
	v[3] = rotl(v[3], 21) ^ v[0];
	v[2] += v[1];
	v[1] = rotl(v[1], 17) ^ v[2];
	v[2] = rotl(v[2], 32);
}

/* As one load: compilers see through this form, not through a loop. */
static inline uint64_t le64_whole(const uint8_t *p)
{
	return (uint64_t)p[0] | (uint64_t)p[1] << 8 | (uint64_t)p[2] << 16 |
	       (uint64_t)p[3] << 24 | (uint64_t)p[4] << 32 | (uint64_t)p[5] << 40 |
	       (uint64_t)p[6] << 48 | (uint64_t)p[7] << 56;
}

static inline uint64_t le64(const uint8_t *p, size_t n)
{
	uint64_t v = 0;

	for (size_t i = 0; i < n; i++)
		v |= (uint64_t)p[i] << (8 * i);
	return v;
}

uint64_t lp_hash(const struct lp_hash_seed *seed, const void *data, size_t n)
{
	const uint8_t *p = data;
	uint64_t v[4] = {
		seed->k0 ^ 0x736f6d6570736575ULL,
		seed->k1 ^ 0x646f72616e646f6dULL,
		seed->k0 ^ 0x6c7967656e657261ULL,
		seed->k1 ^ 0x7465646279746573ULL,
	};
	uint64_t m;
	size_t left;

	for (left = n; left >= 8; left -= 8, p += 8) {
		m = le64_whole(p);
		v[3] ^= m;
		sip_round(v);
		sip_round(v);
		v[0] ^= m;
	}
	m = le64(p, left) | (uint64_t)(n & 0xff) << 56;
	v[3] ^= m;
	sip_round(v);
	sip_round(v);
	v[0] ^= m;
	v[2] ^= 0xff;
	for (int i = 0; i < 4; i++)
		sip_round(v);
	return v[0] ^ v[1] ^ v[2] ^ v[3];
}
