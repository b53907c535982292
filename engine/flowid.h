/* Names for a flow that are the same in every replay and every tool. */
#ifndef LP_FLOWID_H
#define LP_FLOWID_H

#include "crypto/crypto.h"
#include "net/tcp.h"

/* 51 bits of SHA-256(client address, server address, ports, domain, number of the
 * first packet): fits a JSON number exactly, as Suricata's does. */
LP_MUST enum lp_err lp_flowid(const struct lp_crypto *crypto, const struct lp_stream_info *info,
			      enum lp_side client, uint64_t *out);

enum { LP_COMMUNITY_ID = 32 };

/* Community ID version 1, seed 0: "1:" and the base64 of a SHA-1. */
LP_MUST enum lp_err lp_community_id(const struct lp_crypto *crypto,
				    const struct lp_stream_info *info, char out[LP_COMMUNITY_ID]);

#endif
