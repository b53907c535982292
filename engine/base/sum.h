/* sum: the Internet checksum (RFC 1071). No state but the caller's; no errors.
 *
 * Partial sums are 64 bits wide with end-around carry, in the machine's own byte
 * order: the sum of 16-bit words does not care which (RFC 1071 section 2 (B)). */
#ifndef LP_BASE_SUM_H
#define LP_BASE_SUM_H

#include <arpa/inet.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* Two partial sums as one: ones' complement addition, the carry comes back in at the bottom. */
static inline uint64_t lp_sum_join(uint64_t a, uint64_t b)
{
	a += b;
	return a + (a < b);
}

/* Adds n bytes to a partial sum. Only the last piece may have an odd length. */
uint64_t lp_sum_add(uint64_t sum, const void *p, size_t n);

/* The sum of a header: n is a multiple of 4, and small. It has room for others of its kind. */
static inline uint64_t lp_sum_header(const uint8_t *p, size_t n)
{
	uint64_t sum = 0;
	uint32_t word;

	for (size_t at = 0; at < n; at += sizeof word) {
		memcpy(&word, p + at, sizeof word);
		sum += word;
	}
	return sum;
}

/* The pseudo header (RFC 9293 section 3.1, RFC 8200 section 8.1) for len bytes of protocol
 * proto; family is 4 or 6. Made of 32-bit words: far from a carry. */
static inline uint64_t lp_sum_pseudo(uint8_t family, const uint8_t *src, const uint8_t *dst,
				     uint32_t len, uint8_t proto)
{
	uint64_t tail = (uint64_t)htonl(len) + htonl(proto);

	if (family == 4)
		return tail + lp_sum_header(src, 4) + lp_sum_header(dst, 4);
	return tail + lp_sum_header(src, 16) + lp_sum_header(dst, 16);
}

/* A partial sum as the 16 bits that stand in a header, not complemented: a block
 * that holds its own right checksum folds to 0xffff. */
static inline uint16_t lp_sum_fold(uint64_t sum)
{
	uint32_t low = (uint32_t)sum, s = low + (uint32_t)(sum >> 32);

	s += s < low; /* the carry */
	s = (s & 0xffff) + (s >> 16);
	return (uint16_t)(s + (s >> 16));
}

#endif
