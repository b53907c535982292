#include "net/checksum.h"

#include <string.h>

#ifdef __x86_64__
#include <immintrin.h>
#endif

enum {
	TCP_CHECKSUM = 16, /* offset of the field */
	TCP_HEADER = 20,
};

static inline uint64_t load64(const uint8_t *p)
{
	uint64_t w;

	memcpy(&w, p, sizeof w);
	return w;
}

/* Ones' complement addition: the carry comes back in at the bottom. */
static inline uint64_t add_carry(uint64_t a, uint64_t b)
{
	a += b;
	return a + (a < b);
}

/* For n a multiple of LP_CHECKSUM_BLOCK, below 2^34: the words w and their upper halves w >> 32 are
 * added up without a look at carries. The sum of the lower halves is
 * sum(w) - 2^32 * sum(w >> 32), exact modulo 2^64 and smaller than that. So a
 * word costs an addition, a shift and an addition. */
static inline uint64_t halves(uint64_t words, uint64_t upper)
{
	return words - (upper << 32) + upper;
}

#ifdef __x86_64__
__attribute__((target("avx2"))) static uint64_t add_avx2(const uint8_t *p, size_t n)
{
	__m256i words[2] = { _mm256_setzero_si256(), _mm256_setzero_si256() };
	__m256i upper[2] = { _mm256_setzero_si256(), _mm256_setzero_si256() };
	__m128i w, u;

	for (const uint8_t *end = p + n; p < end; p += LP_CHECKSUM_BLOCK) {
		__m256i a = _mm256_loadu_si256((const __m256i_u *)p);
		__m256i b = _mm256_loadu_si256((const __m256i_u *)(p + LP_CHECKSUM_BLOCK / 2));

		words[0] = _mm256_add_epi64(words[0], a);
		words[1] = _mm256_add_epi64(words[1], b);
		upper[0] = _mm256_add_epi64(upper[0], _mm256_srli_epi64(a, 32));
		upper[1] = _mm256_add_epi64(upper[1], _mm256_srli_epi64(b, 32));
	}
	words[0] = _mm256_add_epi64(words[0], words[1]);
	upper[0] = _mm256_add_epi64(upper[0], upper[1]);
	w = _mm_add_epi64(_mm256_castsi256_si128(words[0]), _mm256_extracti128_si256(words[0], 1));
	u = _mm_add_epi64(_mm256_castsi256_si128(upper[0]), _mm256_extracti128_si256(upper[0], 1));
	return halves((uint64_t)_mm_cvtsi128_si64(w) + (uint64_t)_mm_extract_epi64(w, 1),
		      (uint64_t)_mm_cvtsi128_si64(u) + (uint64_t)_mm_extract_epi64(u, 1));
}
#endif

/* Two 64-bit words at a time, one machine word or one vector register each. */
typedef uint64_t pair __attribute__((vector_size(16)));

uint64_t lp_checksum_blocks(const uint8_t *p, size_t n, bool wide)
{
	pair words[2] = { { 0, 0 }, { 0, 0 } }, upper[2] = { { 0, 0 }, { 0, 0 } };

#ifdef __x86_64__
	if (wide && __builtin_cpu_supports("avx2"))
		return add_avx2(p, n);
#endif
	(void)wide;
	for (const uint8_t *end = p + n; p < end; p += 32) {
		pair w[2];

		memcpy(&w[0], p, sizeof w[0]);
		memcpy(&w[1], p + 16, sizeof w[1]);
		words[0] += w[0];
		words[1] += w[1];
		upper[0] += w[0] >> 32;
		upper[1] += w[1] >> 32;
	}
	words[0] += words[1];
	upper[0] += upper[1];
	return halves(words[0][0] + words[0][1], upper[0][0] + upper[0][1]);
}

uint64_t lp_checksum_add(uint64_t sum, const void *data, size_t n)
{
	const uint8_t *p = data;
	size_t blocks = n & ~(size_t)(LP_CHECKSUM_BLOCK - 1);
	uint32_t four;
	uint16_t two;

	if (blocks) {
		sum = add_carry(sum, lp_checksum_blocks(p, blocks, true));
		p += blocks;
		n -= blocks;
	}
	for (; n >= 8; n -= 8, p += 8)
		sum = add_carry(sum, load64(p));
	if (n & 4) {
		memcpy(&four, p, sizeof four);
		sum = add_carry(sum, four);
		p += 4;
	}
	if (n & 2) {
		memcpy(&two, p, sizeof two);
		sum = add_carry(sum, two);
		p += 2;
	}
	if (n & 1) {
		/* RFC 1071 section 4.1: an odd last byte is filled up with a zero one. */
		const uint8_t last[2] = { *p, 0 };

		memcpy(&two, last, sizeof two);
		sum = add_carry(sum, two);
	}
	return sum;
}

uint64_t lp_checksum_pseudo(uint8_t family, const uint8_t *src, const uint8_t *dst,
			    uint32_t len, uint8_t proto)
{
	const uint8_t tail[8] = {
		(uint8_t)(len >> 24), (uint8_t)(len >> 16), (uint8_t)(len >> 8), (uint8_t)len,
		0, 0, 0, proto,
	};
	size_t n = family == 4 ? 4 : 16;
	uint64_t sum = load64(tail);

	sum = lp_checksum_add(sum, src, n);
	return lp_checksum_add(sum, dst, n);
}

enum lp_csum lp_checksum_tcp(uint8_t family, const uint8_t *src, const uint8_t *dst,
			     lp_span tcp, bool zero_len)
{
	uint64_t pseudo;
	uint16_t field;
	bool bare;

	if (tcp.n < TCP_HEADER || tcp.n > UINT32_MAX)
		return LP_CSUM_UNKNOWN;
	pseudo = lp_checksum_pseudo(family, src, dst, (uint32_t)tcp.n, 6);
	memcpy(&field, tcp.p + TCP_CHECKSUM, sizeof field);
	bare = field == lp_checksum_fold(pseudo) ||
	       (zero_len && field == lp_checksum_fold(lp_checksum_pseudo(family, src, dst, 0, 6)));
	/* One bare sum in 65,536 is right by chance: accepted, but no sign that its
	 * sender makes them right. */
	if (lp_checksum_fold(lp_checksum_add(pseudo, tcp.p, tcp.n)) == 0xffff)
		return bare ? LP_CSUM_UNKNOWN : LP_CSUM_GOOD;
	return bare ? LP_CSUM_PSEUDO : LP_CSUM_BAD;
}
