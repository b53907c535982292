#include "net/checksum.h"

#include <string.h>

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

uint64_t lp_checksum_add(uint64_t sum, const void *data, size_t n)
{
	const uint8_t *p = data;
	uint64_t other = 0, last = 0;

	/* Two chains, so that one addition need not wait for the other's carry. */
	for (; n >= 64; n -= 64, p += 64) {
		sum = add_carry(sum, load64(p));
		other = add_carry(other, load64(p + 8));
		sum = add_carry(sum, load64(p + 16));
		other = add_carry(other, load64(p + 24));
		sum = add_carry(sum, load64(p + 32));
		other = add_carry(other, load64(p + 40));
		sum = add_carry(sum, load64(p + 48));
		other = add_carry(other, load64(p + 56));
	}
	for (; n >= 8; n -= 8, p += 8)
		sum = add_carry(sum, load64(p));
	/* RFC 1071 section 4.1: an odd last byte is filled up with a zero one. */
	if (n)
		memcpy(&last, p, n);
	return add_carry(add_carry(sum, other), last);
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

	if (tcp.n < TCP_HEADER || tcp.n > UINT32_MAX)
		return LP_CSUM_UNKNOWN;
	pseudo = lp_checksum_pseudo(family, src, dst, (uint32_t)tcp.n, 6);
	if (lp_checksum_fold(lp_checksum_add(pseudo, tcp.p, tcp.n)) == 0xffff)
		return LP_CSUM_GOOD;
	memcpy(&field, tcp.p + TCP_CHECKSUM, sizeof field);
	if (field == lp_checksum_fold(pseudo))
		return LP_CSUM_PSEUDO;
	if (zero_len && field == lp_checksum_fold(lp_checksum_pseudo(family, src, dst, 0, 6)))
		return LP_CSUM_PSEUDO;
	return LP_CSUM_BAD;
}
