#include "net/checksum.h"

#include <string.h>

enum {
	TCP_CHECKSUM = 16, /* offset of the field */
	TCP_HEADER = 20,
};

enum lp_csum lp_checksum_of(const struct lp_segment *s, uint64_t sum)
{
	uint64_t bare_sum = lp_sum_pseudo(s->family, s->src, s->dst, s->tcp_len, 6);
	uint16_t field;
	bool bare;

	memcpy(&field, s->tcp + TCP_CHECKSUM, sizeof field);
	bare = field == lp_sum_fold(bare_sum) ||
	       (s->no_length &&
		field == lp_sum_fold(lp_sum_pseudo(s->family, s->src, s->dst, 0, 6)));
	/* One bare sum in 65,536 is right by chance: accepted, but no sign that its
	 * sender makes them right. */
	if (lp_sum_fold(lp_sum_join(sum, bare_sum)) == 0xffff)
		return bare ? LP_CSUM_UNKNOWN : LP_CSUM_GOOD;
	return bare ? LP_CSUM_PSEUDO : LP_CSUM_BAD;
}

enum lp_csum lp_checksum_tcp(uint8_t family, const uint8_t *src, const uint8_t *dst,
			     lp_span tcp, bool zero_len)
{
	const struct lp_segment s = { .family = family, .src = src, .dst = dst, .tcp = tcp.p,
				      .tcp_len = (uint32_t)tcp.n, .no_length = zero_len };

	if (tcp.n < TCP_HEADER || tcp.n > UINT32_MAX)
		return LP_CSUM_UNKNOWN;
	return lp_checksum_of(&s, lp_sum_add(0, tcp.p, tcp.n));
}
