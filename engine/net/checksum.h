/* checksum: what a TCP checksum says about its segment, and what is done about it. No state
 * but the caller's; no errors. Partial sums are those of base/sum.h. */
#ifndef LP_NET_CHECKSUM_H
#define LP_NET_CHECKSUM_H

#include "base/sum.h"
#include "net/segment.h"
#include "net/tcp.h"

/* What the checksum of a whole TCP segment is. zero_len: its IP header stated no
 * length (segmentation offload), and then some senders leave the length out of
 * the pseudo header too. LP_CSUM_UNKNOWN if tcp is too short to hold a checksum, or if
 * it is right and the bare pseudo-header sum at once. */
enum lp_csum lp_checksum_tcp(uint8_t family, const uint8_t *src, const uint8_t *dst,
			     lp_span tcp, bool zero_len);

/* The same of a segment whose bytes from the TCP header on have this partial sum. */
enum lp_csum lp_checksum_of(const struct lp_segment *s, uint64_t sum);

/* The same, looked at now if that was left for later. */
static inline enum lp_csum lp_checksum_segment(const struct lp_segment *s)
{
	if (s->csum != LP_CSUM_LATER)
		return (enum lp_csum)s->csum;
	return lp_checksum_of(s, lp_sum_add(0, s->tcp, s->tcp_len));
}

/* The policy, for whoever knows the flow. One of these a side of a flow, zeroed
 * when the flow begins; one more a reassembler for segments that open none. */
struct lp_csum_side {
	uint8_t seen;  /* of the first LP_CSUM_FIRST segments */
	uint8_t bad;   /* of those, dropped */
	uint8_t shown; /* how its own stack sends: enum lp_csum_shown */
};

enum {
	LP_CSUM_FIRST = 100,
	LP_CSUM_MOST = 90, /* more bad ones than this among the first: --checksums off is advised */
};

enum lp_csum_take {
	LP_CSUM_ACCEPT,
	LP_CSUM_ACCEPT_OFFLOAD, /* accept, count as csum_offload */
	LP_CSUM_DROP,           /* drop, count as bad_csum */
	LP_CSUM_DROP_ADVISE,    /* the same, and this side has sent little else: say once that
				 * --checksums off may be what is wanted */
};

/* What the first telling segment of a side has shown: the sums are right, and a bare
 * pseudo-header sum is not believed; or they are left to the card, and then right
 * ones come between the bare ones all the same: Linux computes the sums of segments
 * that it retransmits itself (half of a 200 MB download over a full queue). */
enum lp_csum_shown { LP_CSUM_SHOWN_NOTHING, LP_CSUM_SHOWN_RIGHT, LP_CSUM_SHOWN_OFFLOAD };

/* csum: what lp_checksum_segment() says of s.
 * Only a SYN or a segment with payload shows how a side's own stack sends: a
 * kernel's answers from outside the connection (RST, the ACK of a half-open or
 * TIME-WAIT socket) carry a right checksum in Linux although everything else of
 * that side is left to the card. */
static inline enum lp_csum_take lp_csum_judge(enum lp_checksums mode, const struct lp_segment *s,
					      enum lp_csum csum, struct lp_csum_side *side)
{
	bool first;

	if (mode == LP_CHECKSUMS_OFF)
		return LP_CSUM_ACCEPT;
	first = side->seen < LP_CSUM_FIRST;
	side->seen = (uint8_t)(side->seen + first);
	switch (csum) {
	case LP_CSUM_GOOD:
		if (!side->shown && (s->wire_len || (s->flags & LP_TCP_SYN)))
			side->shown = LP_CSUM_SHOWN_RIGHT;
		return LP_CSUM_ACCEPT;
	case LP_CSUM_UNKNOWN:
		return LP_CSUM_ACCEPT;
	case LP_CSUM_PSEUDO:
		if (mode != LP_CHECKSUMS_AUTO || side->shown == LP_CSUM_SHOWN_RIGHT)
			break;
		side->shown = LP_CSUM_SHOWN_OFFLOAD;
		return LP_CSUM_ACCEPT_OFFLOAD;
	case LP_CSUM_BAD:
	case LP_CSUM_LATER: /* nobody has looked: not believed */
		break;
	}
	side->bad = (uint8_t)(side->bad + first);
	return first && side->bad == LP_CSUM_MOST + 1 ? LP_CSUM_DROP_ADVISE : LP_CSUM_DROP;
}

#endif
