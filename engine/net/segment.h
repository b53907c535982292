/* lp_segment: one TCP segment, decoded from a packet. Everything in it is
 * borrowed from the packet and lives as long as the packet's batch; if lent is set, as long
 * as the capture is open.
 * Integers are in host byte order. */
#ifndef LP_NET_SEGMENT_H
#define LP_NET_SEGMENT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/cpu.h"

enum lp_tcp_flag {
	LP_TCP_FIN = 0x01,
	LP_TCP_SYN = 0x02,
	LP_TCP_RST = 0x04,
	LP_TCP_PSH = 0x08,
	LP_TCP_ACK = 0x10,
	LP_TCP_URG = 0x20,
};

/* What the TCP checksum looked like; what is done about it is the reassembler's
 * business, for it knows the flow (net/checksum.h). */
enum lp_csum {
	LP_CSUM_GOOD,
	LP_CSUM_PSEUDO,   /* the folded pseudo-header sum alone: left by a sender with offload */
	LP_CSUM_BAD,
	LP_CSUM_UNKNOWN,  /* not whole in the capture, not looked at (--checksums off), or right and
			   * a bare pseudo-header sum at once: accepted, tells nothing */
	LP_CSUM_LATER,    /* not looked at yet: lp_checksum_segment() does, before anybody judges */
};

struct lp_segment {
	uint64_t number;        /* of the packet */
	uint64_t ts_ns;         /* nanoseconds since 1970 */
	uint64_t clock_ns;      /* latest ts_ns of all packets up to this one; 0: not known */
	const uint8_t *src;     /* 4 or 16 bytes, network order */
	const uint8_t *dst;
	const uint8_t *tcp;     /* the TCP header and what follows it */
	const uint8_t *options; /* TCP options, options_len bytes; those captured */
	const uint8_t *payload;
	const uint8_t *soon;    /* what may be looked at a batch later, as much as this; a hint: it is
				 * fetched, never read; or NULL */
	uint32_t tcp_len;       /* captured bytes at tcp */
	uint32_t payload_len;   /* captured bytes at payload */
	uint32_t wire_len;      /* payload bytes on the wire; above payload_len: cut by the snap length */
	uint32_t domain;        /* interned VLAN stack and tunnel ids; 0 = none */
	uint32_t seq, ack;
	uint32_t tag;           /* lp_flow_name()'s hash, with the seed of all flow tables; 0: not known */
	uint16_t sport, dport, window, urgent;
	uint8_t options_len;
	uint8_t flags;          /* enum lp_tcp_flag */
	uint8_t family;         /* 4 or 6 */
	uint8_t csum;           /* enum lp_csum */
	bool no_length;         /* its IP header stated none (segmentation offload) */
	bool lent;
};

/* Asks for a half of what comes soon: first before a segment's bytes are looked at, then when they
 * were. All at once would be more than a core can wait for beside its work. */
static inline void lp_segment_fetch(const struct lp_segment *s, bool second)
{
	enum { LINE = LP_CACHE_LINE, STEP = 4 * LINE };
	uintptr_t at = (uintptr_t)s->soon, half = at + (s->tcp_len + STEP) / 2 / STEP * STEP;
	uintptr_t end = second ? at + s->tcp_len : half;

	if (!s->soon)
		return;
	for (at = second ? half : at; at < end; at += STEP) {
		__builtin_prefetch((const void *)at, 0, 2);
		__builtin_prefetch((const void *)(at + LINE), 0, 2);
		__builtin_prefetch((const void *)(at + 2 * LINE), 0, 2);
		__builtin_prefetch((const void *)(at + 3 * LINE), 0, 2);
	}
}

#endif
