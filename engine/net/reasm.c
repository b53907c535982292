#include "net/reasm.h"

#include "base/clock.h"
#include "base/log.h"

void lp_reasm_config_default(struct lp_reasm_config *config)
{
	*config = (struct lp_reasm_config){
		.max_flows = 1000000,
		.max_ooo_side = 4u << 20,
		.max_ooo = 256u << 20,
		.grace_ns = 100 * LP_NS_PER_MS,
		.hole_ns = 5 * LP_NS_PER_S,
		.syn_ns = 30 * LP_NS_PER_S,
		.handshake_ns = 60 * LP_NS_PER_S,
		.plain_ns = 300 * LP_NS_PER_S,
		.keys_ns = 3600 * LP_NS_PER_S,
		.closed_ns = 10 * LP_NS_PER_S,
	};
}

bool lp_reasm_judged(enum lp_csum_take take, struct lp_reasm_stats *stats, bool *advised)
{
	switch (take) {
	case LP_CSUM_ACCEPT:
		return true;
	case LP_CSUM_ACCEPT_OFFLOAD:
		stats->csum_offload++;
		return true;
	case LP_CSUM_DROP:
		break;
	case LP_CSUM_DROP_ADVISE:
		if (!*advised)
			lp_log("nearly all TCP checksums of one side are wrong; if the capture "
			       "was made on the sending machine, try --checksums off");
		*advised = true;
		break;
	}
	stats->bad_csum++;
	return false;
}

void lp_reasm_late(struct lp_reasm_stats *stats, const struct lp_segment *s)
{
	const unsigned special = LP_TCP_SYN | LP_TCP_FIN | LP_TCP_RST;

	if (!s->wire_len && (s->flags & (special | LP_TCP_ACK)) == LP_TCP_ACK)
		stats->processed++;
	else
		stats->closed_flow++;
}
