/* lp_frame: writes one Ethernet frame with IPv4 or IPv6 and TCP, all checksums
 * right (RFC 791, 8200, 9293, 1071). Works on the caller's memory; no errors: the
 * caller keeps to LP_FRAME_MSS*. */
#ifndef LP_PLUGINS_FRAME_H
#define LP_PLUGINS_FRAME_H

#include <limpid/plugin.h>

enum {
	LP_FRAME_MSS4 = 1460,
	LP_FRAME_MSS6 = 1440,
	LP_FRAME_MAX = 1514,
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

struct lp_frame {
	int family;              /* 4 or 6 */
	const uint8_t *src_addr; /* 4 or 16 bytes */
	const uint8_t *dst_addr;
	uint16_t src_port, dst_port;
	uint32_t seq, ack;
	uint8_t flags;
	const uint8_t *payload;
	size_t payload_n;        /* at most the MSS of the family; 0 with SYN */
};

/* Returns the length of the frame. */
size_t lp_frame_write(uint8_t out[LP_FRAME_MAX], const struct lp_frame *f);

#endif
