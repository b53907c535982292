#include "net/recent.h"

#include <stdlib.h>
#include <string.h>

#ifdef __x86_64__
#include <immintrin.h>
#endif

enum {
	ENTRIES = 1 << 16,
	STRIPE = 64,               /* bytes hashed at a time … */
	BLOCK = LP_RECENT_KEY * 8, /* … and under one key */
};

enum lp_err lp_recent_init(struct lp_recent *r, const struct lp_hash_seed *seed)
{
	for (uint32_t i = 0; i < LP_RECENT_KEY; i++)
		r->key[i] = lp_hash(seed, &i, sizeof i);
	r->entries = calloc(ENTRIES, sizeof *r->entries);
	return r->entries ? LP_OK : LP_E_NOMEM;
}

void lp_recent_clear(struct lp_recent *r)
{
	free(r->entries);
	*r = (struct lp_recent){ 0 };
}

/* Both halves of a product, folded: every bit of both factors has a say. */
static inline uint64_t fold(uint64_t a, uint64_t b)
{
	unsigned __int128 m = (unsigned __int128)a * b;

	return (uint64_t)m ^ (uint64_t)(m >> 64);
}

#ifdef __x86_64__
__attribute__((target("avx2"))) static uint64_t sum_avx2(const uint64_t *key, const uint8_t *p,
							 size_t n)
{
	__m256i even = _mm256_setzero_si256(), odd = even;
	__m128i half;

	for (size_t i = 0; i < n; i += STRIPE) {
		const __m256i_u *w = (const __m256i_u *)(p + i);
		const __m256i_u *k = (const __m256i_u *)(key + i / 8);
		__m256i a = _mm256_add_epi32(w[0], k[0]), b = _mm256_add_epi32(w[1], k[1]);

		even = _mm256_add_epi64(even, _mm256_mul_epu32(a, _mm256_srli_epi64(a, 32)));
		odd = _mm256_add_epi64(odd, _mm256_mul_epu32(b, _mm256_srli_epi64(b, 32)));
	}
	even = _mm256_add_epi64(even, odd);
	half = _mm_add_epi64(_mm256_castsi256_si128(even), _mm256_extracti128_si256(even, 1));
	return (uint64_t)_mm_cvtsi128_si64(half) + (uint64_t)_mm_extract_epi64(half, 1);
}
#endif

/* NH (Black, Halevi, Krawczyk, Krovetz, Rogaway 1999; RFC 4418 section 5.2): pairs of 32-bit
 * words, each with its key added, are multiplied, and the products added up. For who
 * does not know the key, two blocks have one sum by a chance of 2^-32. n is a multiple of
 * STRIPE, at most BLOCK. */
uint64_t lp_recent_sum(const uint64_t *key, const uint8_t *p, size_t n, bool wide)
{
	uint64_t sum = 0;

#ifdef __x86_64__
	if (wide && __builtin_cpu_supports("avx2"))
		return sum_avx2(key, p, n);
#endif
	(void)wide;
	for (size_t i = 0; i < n; i += 8) {
		uint32_t w[2], k[2];

		memcpy(w, p + i, 8);
		memcpy(k, key + i / 8, 8);
		sum += (uint64_t)(w[0] + k[0]) * (w[1] + k[1]);
	}
	return sum;
}

/* Every byte handed on comes through here: wide, and strong enough that a sender who does not
 * know the seed cannot make two payloads of one hash. */
static uint32_t hash(const uint64_t *key, const uint8_t *p, uint32_t n)
{
	uint64_t h = n;

	while (n) {
		uint32_t whole = n < BLOCK ? n & ~(uint32_t)(STRIPE - 1) : BLOCK;
		uint64_t sum = lp_recent_sum(key, p, whole, true);

		if (whole < BLOCK && n > whole) {
			uint8_t tail[STRIPE] = { 0 };

			memcpy(tail, p + whole, n - whole);
			sum += lp_recent_sum(key + whole / 8, tail, STRIPE, true);
			whole = n;
		}
		h = fold(h ^ sum, key[0] | 1) ^ sum;
		p += whole;
		n -= whole;
	}
	return (uint32_t)(h ^ h >> 32);
}

static size_t place(uint32_t upper, uint32_t seq)
{
	return (size_t)((((uint64_t)upper << 32 | seq) * 0x9e3779b97f4a7c15ULL) >> 48);
}

/* Or each segment would wait for memory, with all that is written behind it. */
void lp_recent_prefetch(const struct lp_recent *r, uint32_t upper, uint32_t seq)
{
	__builtin_prefetch(&r->entries[place(upper, seq)], 1);
}

void lp_recent_put(struct lp_recent *r, uint64_t stream, uint32_t seq, const uint8_t *p, uint32_t n)
{
	r->entries[place((uint32_t)(stream >> 32), seq)] =
		(struct lp_recent_entry){ (uint32_t)stream, seq, n, hash(r->key, p, n) };
}

bool lp_recent_differs(const struct lp_recent *r, uint64_t stream, uint32_t seq, const uint8_t *p,
		       uint32_t n)
{
	while (n) {
		const struct lp_recent_entry *e =
			&r->entries[place((uint32_t)(stream >> 32), seq)];

		if (!e->n || e->n > n || e->stream != (uint32_t)stream || e->seq != seq)
			return false;
		if (e->hash != hash(r->key, p, e->n))
			return true;
		seq += e->n;
		p += e->n;
		n -= e->n;
	}
	return false;
}
