#include "base/sweep.h"

#include <string.h>

#ifdef __x86_64__
#include <immintrin.h>
#endif

enum { STRIPE = 64 }; /* bytes at a time; the last are filled up to as many */

/* Each form is written once, for what is wanted of it: these are constants where it is called. */
#define FORM static inline __attribute__((always_inline))

/* Sums are made without a look at carries: the words w and their upper halves w >> 32 are added up.
 * The sum of the lower halves is sum(w) - 2^32 * sum(w >> 32), exact modulo 2^64 and smaller
 * than that. So a word costs an addition, a shift and an addition. */

/* Two 64-bit words at a time, one machine word or one vector register each. */
typedef uint64_t pair __attribute__((vector_size(16)));

struct plain {
	pair words, upper;
	uint64_t hash;
};

/* The stripe at p stands at `at` under the key; so below. */
FORM void plain_stripe(struct plain *a, const uint64_t *key, size_t at, const uint8_t *p, bool sum,
		       bool hash)
{
	for (size_t i = 0; i < STRIPE; i += sizeof(pair)) {
		pair w;

		memcpy(&w, p + i, sizeof w);
		if (sum) {
			a->words += w;
			a->upper += w >> 32;
		}
		for (size_t j = i; hash && j < i + sizeof w; j += 8) {
			uint32_t v[2], k[2];

			memcpy(v, p + j, 8);
			memcpy(k, key + (at + j) / 8, 8);
			a->hash += (uint64_t)(v[0] + k[0]) * (v[1] + k[1]);
		}
	}
}

FORM struct lp_swept plain(const uint64_t *key, const uint8_t *p, size_t n, bool sum, bool hash)
{
	struct plain a = { { 0, 0 }, { 0, 0 }, 0 };
	size_t whole = n - n % STRIPE;

	if (whole < n) {
		uint8_t tail[STRIPE] = { 0 };

		memcpy(tail, p + whole, n - whole);
		plain_stripe(&a, key, whole, tail, sum, hash);
	}
	for (size_t at = 0; at < whole; at += STRIPE)
		plain_stripe(&a, key, at, p + at, sum, hash);
	a.words += a.upper - (a.upper << 32);
	return (struct lp_swept){ a.words[0] + a.words[1], a.hash };
}

/* What is called: a form for what is wanted. Apart from the choice, which is short then. */
#define PLAIN __attribute__((noinline)) static

PLAIN struct lp_swept plain_both(const uint64_t *key, const uint8_t *p, size_t n)
{
	return plain(key, p, n, true, true);
}

PLAIN uint64_t plain_hash(const uint64_t *key, const uint8_t *p, size_t n)
{
	return plain(key, p, n, false, true).hash;
}

PLAIN uint64_t plain_sum(const uint8_t *p, size_t n)
{
	return plain(NULL, p, n, true, false).sum;
}

#ifdef __x86_64__

#define FORM_AVX2 __attribute__((target("avx2"))) FORM
#define FORM_AVX512 __attribute__((target("avx512f,avx512bw"))) FORM

struct avx2 {
	__m256i words, upper, hash;
};

FORM_AVX2 void avx2_add(struct avx2 *a, const uint64_t *key, size_t at, __m256i w, bool sum,
			bool hash)
{
	if (sum) {
		a->words = _mm256_add_epi64(a->words, w);
		a->upper = _mm256_add_epi64(a->upper, _mm256_srli_epi64(w, 32));
	}
	if (hash) {
		w = _mm256_add_epi32(w, _mm256_loadu_si256((const __m256i_u *)(key + at / 8)));
		w = _mm256_mul_epu32(w, _mm256_srli_epi64(w, 32));
		a->hash = _mm256_add_epi64(a->hash, w);
	}
}

/* Both registers' parts, added up. */
FORM_AVX2 struct lp_swept avx2_fold(__m256i sum, __m256i hash)
{
	__m128i s = _mm_add_epi64(_mm256_castsi256_si128(sum), _mm256_extracti128_si256(sum, 1));
	__m128i h = _mm_add_epi64(_mm256_castsi256_si128(hash), _mm256_extracti128_si256(hash, 1));

	s = _mm_add_epi64(_mm_unpacklo_epi64(s, h), _mm_unpackhi_epi64(s, h));
	return (struct lp_swept){ (uint64_t)_mm_cvtsi128_si64(s),
				  (uint64_t)_mm_extract_epi64(s, 1) };
}

/* At most 32 bytes: the whole words of 32 bits, and behind them a last one with what is left. */
FORM_AVX2 __m256i avx2_tail(const uint8_t *p, size_t n)
{
	const __m256i place = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
	__m256i words = _mm256_set1_epi32((int)(n / 4)), rest;
	uint32_t last = 0;
	uint16_t two;

	if (n & 2) {
		memcpy(&two, p + (n & ~(size_t)3), sizeof two);
		last = two;
	}
	if (n & 1)
		last |= (uint32_t)p[n - 1] << 8 * (n & 2);
	rest = _mm256_and_si256(_mm256_set1_epi32((int)last), _mm256_cmpeq_epi32(words, place));
	words = _mm256_maskload_epi32((const int *)(const void *)p,
				      _mm256_cmpgt_epi32(words, place));
	return _mm256_or_si256(words, rest);
}

FORM_AVX2 struct lp_swept avx2_end(struct avx2 *a, struct avx2 *b)
{
	/* Or gcc's -ftree-pre does some of what follows in the loop, and copies each register there. */
	__asm__("" : "+x"(a->words), "+x"(a->upper), "+x"(a->hash));
	__asm__("" : "+x"(b->words), "+x"(b->upper), "+x"(b->hash));
	a->words = _mm256_add_epi64(a->words, b->words);
	a->upper = _mm256_add_epi64(a->upper, b->upper);
	a->words = _mm256_sub_epi64(a->words, _mm256_slli_epi64(a->upper, 32));
	return avx2_fold(_mm256_add_epi64(a->words, a->upper), _mm256_add_epi64(a->hash, b->hash));
}

FORM_AVX2 struct lp_swept avx2(const uint64_t *key, const uint8_t *p, size_t n, bool sum, bool hash)
{
	struct avx2 a = { _mm256_setzero_si256(), _mm256_setzero_si256(), _mm256_setzero_si256() };
	struct avx2 b = a;
	size_t whole = n - n % STRIPE;

	if (whole < n) {
		size_t left = n - whole, first = left < 32 ? left : 32;

		avx2_add(&a, key, whole, avx2_tail(p + whole, first), sum, hash);
		avx2_add(&b, key, whole + 32, avx2_tail(p + whole + first, left - first), sum,
			 hash);
	}
	for (size_t at = 0; at < whole; at += STRIPE) {
		const __m256i_u *w = (const __m256i_u *)(p + at);

		avx2_add(&a, key, at, _mm256_loadu_si256(w), sum, hash);
		avx2_add(&b, key, at + 32, _mm256_loadu_si256(w + 1), sum, hash);
	}
	return avx2_end(&a, &b);
}

struct avx512 {
	__m512i words, upper, hash;
};

FORM_AVX512 void avx512_add(struct avx512 *a, const uint64_t *key, size_t at, __m512i w, bool sum,
			    bool hash)
{
	/* Loaded once: gcc would take it out of memory at each use, and most stripes lie in two
	 * cache lines. */
	__asm__("" : "+v"(w));
	if (sum) {
		a->words = _mm512_add_epi64(a->words, w);
		a->upper = _mm512_add_epi64(a->upper, _mm512_srli_epi64(w, 32));
	}
	if (hash) {
		w = _mm512_add_epi32(w, _mm512_loadu_si512(key + at / 8));
		w = _mm512_mul_epu32(w, _mm512_srli_epi64(w, 32));
		a->hash = _mm512_add_epi64(a->hash, w);
	}
}

FORM_AVX512 __m256i avx512_fold(__m512i v)
{
	return _mm256_add_epi64(_mm512_castsi512_si256(v), _mm512_extracti64x4_epi64(v, 1));
}

FORM_AVX512 struct lp_swept avx512(const uint64_t *key, const uint8_t *p, size_t n, bool sum,
				   bool hash)
{
	struct avx512 a = { _mm512_setzero_si512(), _mm512_setzero_si512(),
			    _mm512_setzero_si512() };
	size_t whole = n - n % STRIPE;

	if (whole < n) {
		__mmask64 there = ((__mmask64)1 << (n - whole)) - 1;

		avx512_add(&a, key, whole, _mm512_maskz_loadu_epi8(there, p + whole), sum, hash);
	}
	for (size_t at = 0; at < whole; at += STRIPE)
		avx512_add(&a, key, at, _mm512_loadu_si512(p + at), sum, hash);
	__asm__("" : "+v"(a.words), "+v"(a.upper), "+v"(a.hash));
	a.words = _mm512_sub_epi64(a.words, _mm512_slli_epi64(a.upper, 32));
	return avx2_fold(avx512_fold(_mm512_add_epi64(a.words, a.upper)), avx512_fold(a.hash));
}

#define AVX2 __attribute__((target("avx2"))) static
#define AVX512 __attribute__((target("avx512f,avx512bw"))) static

AVX2 struct lp_swept avx2_both(const uint64_t *key, const uint8_t *p, size_t n)
{
	return avx2(key, p, n, true, true);
}

AVX2 uint64_t avx2_hash(const uint64_t *key, const uint8_t *p, size_t n)
{
	return avx2(key, p, n, false, true).hash;
}

AVX2 uint64_t avx2_sum(const uint8_t *p, size_t n)
{
	return avx2(NULL, p, n, true, false).sum;
}

AVX512 struct lp_swept avx512_both(const uint64_t *key, const uint8_t *p, size_t n)
{
	return avx512(key, p, n, true, true);
}

AVX512 uint64_t avx512_hash(const uint64_t *key, const uint8_t *p, size_t n)
{
	return avx512(key, p, n, false, true).hash;
}

AVX512 uint64_t avx512_sum(const uint8_t *p, size_t n)
{
	return avx512(NULL, p, n, true, false).sum;
}

static inline bool has(enum lp_sweep_form form)
{
	return form == LP_SWEEP_AVX512 ? __builtin_cpu_supports("avx512bw")
	       : form == LP_SWEEP_AVX2 ? __builtin_cpu_supports("avx2")
				       : form == LP_SWEEP_PLAIN;
}

#define RETURN_BEST(call)                    \
	do {                                 \
		if (has(LP_SWEEP_AVX512))    \
			return avx512_##call; \
		if (has(LP_SWEEP_AVX2))      \
			return avx2_##call;  \
	} while (0)
#else
#define RETURN_BEST(call) do { } while (0)
#endif

struct lp_swept lp_sweep(const uint64_t *key, const uint8_t *p, size_t n)
{
	RETURN_BEST(both(key, p, n));
	return plain_both(key, p, n);
}

uint64_t lp_sweep_hash(const uint64_t *key, const uint8_t *p, size_t n)
{
	RETURN_BEST(hash(key, p, n));
	return plain_hash(key, p, n);
}

uint64_t lp_sweep_sum(const uint8_t *p, size_t n)
{
	RETURN_BEST(sum(p, n));
	return plain_sum(p, n);
}

bool lp_sweep_by(enum lp_sweep_form form, const uint64_t *key, const uint8_t *p, size_t n,
		 struct lp_swept *both, struct lp_swept *alone)
{
#ifdef __x86_64__
	if (!has(form))
		return false;
	if (form == LP_SWEEP_AVX512) {
		*both = avx512_both(key, p, n);
		*alone = (struct lp_swept){ avx512_sum(p, n), avx512_hash(key, p, n) };
		return true;
	}
	if (form == LP_SWEEP_AVX2) {
		*both = avx2_both(key, p, n);
		*alone = (struct lp_swept){ avx2_sum(p, n), avx2_hash(key, p, n) };
		return true;
	}
#endif
	*both = plain_both(key, p, n);
	*alone = (struct lp_swept){ plain_sum(p, n), plain_hash(key, p, n) };
	return form == LP_SWEEP_PLAIN;
}
