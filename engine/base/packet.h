/* struct lp_wire of limpid.h, a captured packet, as capture hands it on, net takes it and an
 * embedder gives it; its link types stand here because capture and net do not include each other.
 * Of a capture's packets: borrowed until the next read on the same source; len is never below
 * caplen; ts_ns is as recorded and may go back; number counts over all files of the capture,
 * filtered ones too; iface is the pcapng interface, 0 elsewhere. */
#ifndef LP_BASE_PACKET_H
#define LP_BASE_PACKET_H

#include <limpid/limpid.h>

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

#endif
