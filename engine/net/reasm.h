/* reasm: what both reassemblers do in the same way. */
#ifndef LP_NET_REASM_H
#define LP_NET_REASM_H

#include "net/checksum.h"
#include "net/tcp.h"

/* The checksum policy for one segment, counted; csum: what lp_checksum_segment() says of it;
 * *advised: the advice was given. False if the segment is to be dropped. */
bool lp_reasm_judged(enum lp_csum_take take, struct lp_reasm_stats *stats, bool *advised);
static inline bool lp_reasm_judge(const struct lp_reasm_config *config,
				  struct lp_reasm_stats *stats, bool *advised,
				  const struct lp_segment *s, enum lp_csum csum,
				  struct lp_csum_side *side)
{
	enum lp_csum_take take = lp_csum_judge(config->checksums, s, csum, side);

	return take == LP_CSUM_ACCEPT || lp_reasm_judged(take, stats, advised);
}

/* A segment for a flow that has ended: a bare ACK is the end of its goodbye and
 * counts as processed, anything else as closed_flow. */
void lp_reasm_late(struct lp_reasm_stats *stats, const struct lp_segment *s);

#endif
