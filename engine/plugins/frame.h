/* lp_frame: writes one Ethernet frame with IPv4 or IPv6 and TCP, all checksums
 * right (RFC 791, 8200, 9293, 1071). What does not change is made once for each
 * direction of a conversation. Works on the caller's memory; no errors: the caller
 * keeps to LP_FRAME_MSS*. */
#ifndef LP_PLUGINS_FRAME_H
#define LP_PLUGINS_FRAME_H

#include <limpid/plugin.h>

enum {
	LP_FRAME_MSS4 = 1460,
	LP_FRAME_MSS6 = 1440,
	LP_FRAME_MAX = 1514,
	LP_FRAME_HEAD4 = 54,     /* Ethernet, IPv4, TCP */
	LP_FRAME_HEAD6 = 74,
	LP_FRAME_SYN_OPTIONS = 8,
	/* Offered by both SYNs, so that the windows cover the longest gap that is
	 * written as a jump: an IDS drops what lies outside of them. */
	LP_FRAME_WINDOW_SCALE = 7,
};

enum lp_frame_flag {
	LP_FRAME_FIN = 0x01,
	LP_FRAME_SYN = 0x02,
	LP_FRAME_RST = 0x04,
	LP_FRAME_PSH = 0x08,
	LP_FRAME_ACK = 0x10,
};

/* What all frames of one direction have in common. */
struct lp_frame_way {
	uint8_t head[LP_FRAME_HEAD6]; /* other fields are zero */
	uint8_t family;              /* 4 or 6 */
	uint64_t ip_sum, tcp_sum;    /* partial sums of it; of TCP with the pseudo header */
};

/* family: 4 or 6; addresses of 4 or 16 bytes. */
struct lp_frame_ends {
	int family;
	const uint8_t *src_addr, *dst_addr;
	uint16_t src_port, dst_port;
};

void lp_frame_begin(struct lp_frame_way *w, const struct lp_frame_ends *ends);

struct lp_frame {
	uint32_t seq, ack;
	uint8_t flags;
	const uint8_t *payload;
	size_t payload_n;        /* at most the MSS of the family; 0 with SYN */
};

/* How long it will be: at most LP_FRAME_MAX. */
static inline size_t lp_frame_length(const struct lp_frame_way *w, const struct lp_frame *f)
{
	return f->payload_n + (w->family == 6 ? LP_FRAME_HEAD6 : LP_FRAME_HEAD4) +
	       (f->flags & LP_FRAME_SYN ? LP_FRAME_SYN_OPTIONS : 0);
}

/* That many bytes to `out`. */
void lp_frame_write(uint8_t *out, const struct lp_frame_way *w, const struct lp_frame *f);

#endif
