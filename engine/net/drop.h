/* lp_drop: where a packet ended in the decoder: one of these each (net/decode.h). */
#ifndef LP_NET_DROP_H
#define LP_NET_DROP_H

/* Names are stable: they stand in summaries, statistics and scripts. */
#define LP_DROP_LIST(X)                                                                           \
	X(LP_DROP_NONE, "tcp", "TCP segments")                                                    \
	X(LP_DROP_LINK, "link-unsupported", "link type not supported")                            \
	X(LP_DROP_TRUNCATED, "truncated-header", "headers cut by the snap length")                \
	X(LP_DROP_SHORT, "short-packet", "ends before its headers do, on the wire too")           \
	X(LP_DROP_ARP, "arp", "ARP or RARP")                                                      \
	X(LP_DROP_LLC, "llc", "802.2 frames without IP")                                          \
	X(LP_DROP_MPLS, "mpls", "MPLS frames without payload that is known")                      \
	X(LP_DROP_PPPOE, "pppoe", "PPPoE discovery, or PPP without IP")                           \
	X(LP_DROP_WLAN, "802.11", "802.11 frames that carry no data")                             \
	X(LP_DROP_WLAN_CRYPT, "802.11-protected", "encrypted 802.11 frames")                      \
	X(LP_DROP_WLAN_PARTS, "802.11-parts", "fragmented or aggregated 802.11 frames")           \
	X(LP_DROP_NOT_IP, "not-ip", "neither IPv4 nor IPv6")                                      \
	X(LP_DROP_VLAN_DEPTH, "vlan-depth", "more than 8 VLAN tags")                              \
	X(LP_DROP_DOMAIN_LIMIT, "domain-limit", "more VLAN and tunnel ids than the table holds")  \
	X(LP_DROP_TUNNEL_DEPTH, "tunnel-depth", "more than 8 tunnels in each other")              \
	X(LP_DROP_IP_HEADER, "bad-ip-header", "impossible IP header")                             \
	X(LP_DROP_IP_CSUM, "bad-ip-csum", "wrong IPv4 header checksum")                           \
	X(LP_DROP_EXT_LIMIT, "ipv6-ext-limit", "more than 8 extension headers")                   \
	X(LP_DROP_ROUTING, "ipv6-routing", "source routes of a kind that is not supported")       \
	X(LP_DROP_JOINED, "fragment-joined", "IP fragments of which whole datagrams were made")   \
	X(LP_DROP_HELD, "fragment-held", "IP fragments whose rest has not come")                  \
	X(LP_DROP_FRAGMENT_CUT, "fragment-cut", "IP fragments cut by the snap length")            \
	X(LP_DROP_FRAGMENT_BAD, "fragment-bad", "impossible IP fragments")                        \
	X(LP_DROP_FRAGMENT_DUP, "fragment-duplicate", "IP fragments that were there already")     \
	X(LP_DROP_FRAGMENT_OVERLAP, "fragment-overlap", "IP fragments of datagrams that overlap") \
	X(LP_DROP_FRAGMENT_TIMEOUT, "fragment-timeout", "IP fragments that waited too long")      \
	X(LP_DROP_FRAGMENT_LIMIT, "fragment-limit", "IP fragments given up for want of room")     \
	X(LP_DROP_TCP_HEADER, "bad-tcp-header", "impossible TCP header")                          \
	X(LP_DROP_UDP, "not-tcp-udp", "UDP")                                                      \
	X(LP_DROP_ICMP, "not-tcp-icmp", "ICMP")                                                   \
	X(LP_DROP_ICMP6, "not-tcp-icmp6", "ICMPv6")                                               \
	X(LP_DROP_IGMP, "not-tcp-igmp", "IGMP")                                                   \
	X(LP_DROP_SCTP, "not-tcp-sctp", "SCTP")                                                   \
	X(LP_DROP_GRE, "not-tcp-gre", "GRE of a kind that is not supported")                      \
	X(LP_DROP_GTP, "not-tcp-gtp", "GTP messages without an IP packet")                        \
	X(LP_DROP_ESP, "not-tcp-esp", "IPsec ESP")                                                \
	X(LP_DROP_EMPTY, "not-tcp-none", "IPv6 packets without a transport")                      \
	X(LP_DROP_OTHER, "not-tcp-other", "another transport")

enum lp_drop {
#define X(id, name, text) id,
	LP_DROP_LIST(X)
#undef X
	LP_DROPS
};

#endif
