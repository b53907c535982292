/* lp_packet: one captured packet, as capture hands it on and net takes it; it stands here
 * because those two do not include each other.
 * Borrowed until the next read on the same source. */
#ifndef LP_BASE_PACKET_H
#define LP_BASE_PACKET_H

#include "base/cursor.h"

/* Link types are LINKTYPE_ numbers, as files store them (not DLT_ numbers). */
enum lp_link {
	LP_LINK_NULL = 0,
	LP_LINK_ETHERNET = 1,
	LP_LINK_RAW = 101,
	LP_LINK_IEEE802_11 = 105,
	LP_LINK_LOOP = 108,
	LP_LINK_LINUX_SLL = 113,
	LP_LINK_RADIOTAP = 127,
	LP_LINK_IPV4 = 228,
	LP_LINK_IPV6 = 229,
	LP_LINK_LINUX_SLL2 = 276,
};

struct lp_packet {
	const uint8_t *data;
	uint32_t caplen; /* bytes at data */
	uint32_t len;    /* bytes on the wire; never below caplen */
	uint64_t ts_ns;  /* nanoseconds since 1970; as recorded, may go back */
	uint64_t number; /* from 1, over all files of the capture, filtered ones counted */
	uint32_t link;   /* enum lp_link or another LINKTYPE_ number */
	uint32_t iface;  /* pcapng interface, 0 elsewhere */
};

#endif
