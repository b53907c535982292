#include "base/clock.h"
#include "net/tcp.h"

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
