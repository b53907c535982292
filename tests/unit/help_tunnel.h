/* help_tunnel: puts Ethernet frames into tunnels and cuts IP packets into fragments.
 * Bytes in, bytes out, no test library: tests/interop/wrap.c includes the code. */
#ifndef HELP_TUNNEL_H
#define HELP_TUNNEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum help_tunnel {
	HELP_VLAN,         /* a tag before the EtherType */
	HELP_QINQ,         /* two */
	HELP_MPLS,         /* one label, IP */
	HELP_MPLS_STACK,   /* three */
	HELP_MPLS_PW,      /* pseudowire with control word */
	HELP_MPLS_BARE,    /* pseudowire without */
	HELP_PPPOE,
	HELP_PBB,
	HELP_SNAP,
	HELP_GRE,          /* IP */
	HELP_GRE_FULL,     /* IP; checksum, key, sequence number */
	HELP_GRE_ETHERNET, /* with a key */
	HELP_GRE_MPLS,
	HELP_ERSPAN_1,
	HELP_ERSPAN_2,
	HELP_ERSPAN_3,
	HELP_ERSPAN_3_MORE, /* with a subheader */
	HELP_VXLAN,
	HELP_VXLAN_LINUX,  /* port 8472 */
	HELP_GENEVE,
	HELP_GENEVE_IP,    /* no Ethernet; options */
	HELP_IPIP,
	HELP_GTP,
	HELP_GTP_MORE,     /* sequence number and two extension headers */
	HELP_WLAN,         /* the result is no Ethernet frame from here on */
	HELP_WLAN_QOS,     /* four addresses, QoS, HT control */
	HELP_RADIOTAP,
	HELP_TUNNELS
};

extern const char *const help_tunnel_name[HELP_TUNNELS];

/* LINKTYPE_ of the result. */
uint32_t help_tunnel_link(enum help_tunnel kind);

/* Whether the outer IP header may be of either family, and whether id makes a domain. */
bool help_tunnel_over_ip(enum help_tunnel kind);
bool help_tunnel_has_id(enum help_tunnel kind);

/* in: an Ethernet frame without tags that holds IP. id: VLAN, VNI, key, label…, below 4096.
 * Returns the length of the frame in out. six: over IPv6. */
size_t help_tunnel(enum help_tunnel kind, bool six, uint32_t id, const uint8_t *in, size_t n,
		   uint8_t *out, size_t size);

/* Bytes skip to skip + n of what follows the IP header of an Ethernet frame, as a fragment
 * of it with this id; last: no more follow. IPv4 without options, or IPv6 without
 * extension headers. */
size_t help_fragment(const uint8_t *in, uint32_t id, size_t skip, size_t n, bool last,
		     uint8_t *out, size_t size);

#endif
