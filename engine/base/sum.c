#include "base/sum.h"

#include "base/sweep.h"

enum { LONG = 64 }; /* from here on a sweep is shorter than a loop */

static inline uint64_t load64(const uint8_t *p)
{
	uint64_t w;

	memcpy(&w, p, sizeof w);
	return w;
}

uint64_t lp_sum_add(uint64_t sum, const void *data, size_t n)
{
	const uint8_t *p = data;
	uint8_t last[4] = { 0 };

	if (n >= LONG)
		return lp_sum_join(sum, lp_sweep_sum(p, n));
	for (; n >= 8; n -= 8, p += 8)
		sum = lp_sum_join(sum, load64(p));
	sum = lp_sum_join(sum, lp_sum_header(p, n & 4));
	/* RFC 1071 section 4.1: an odd last byte is filled up with a zero one. */
	if (n & 3)
		memcpy(last, p + (n & 4), n & 3);
	return lp_sum_join(sum, lp_sum_header(last, sizeof last));
}
