/* lp_decode: a captured packet in, one TCP segment out, or the reason why not.
 * Every packet ends in exactly one counter: read = tcp + the sum of the drops.
 * Link types: EN10MB (also 802.3 with SNAP), SLL, SLL2, RAW, IPV4, IPV6, NULL, LOOP;
 * VLAN tags; IPv4 and IPv6 with options and extension headers. Everything in a
 * segment is borrowed from its packet.
 *
 * A packet whose IP length is larger than what was on the wire counts as cut, like one that
 * the snap length cut (packet brokers slice so); the segment says how much is missing.
 *
 * Owner: who made it; one a thread that decodes. */
#ifndef LP_NET_DECODE_H
#define LP_NET_DECODE_H

#include "base/packet.h"
#include "net/domain.h"
#include "net/segment.h"
#include "net/tcp.h"

/* Names are stable: they stand in summaries, statistics and scripts. */
#define LP_DROP_LIST(X)                                                                           \
	X(LP_DROP_NONE, "tcp", "TCP segments")                                                    \
	X(LP_DROP_LINK, "link-unsupported", "link type not supported")                            \
	X(LP_DROP_TRUNCATED, "truncated-header", "headers cut by the snap length")                \
	X(LP_DROP_SHORT, "short-packet", "ends before its headers do, on the wire too")           \
	X(LP_DROP_ARP, "arp", "ARP or RARP")                                                      \
	X(LP_DROP_LLC, "llc", "802.2 frames without IP")                                          \
	X(LP_DROP_MPLS, "mpls", "MPLS")                                                           \
	X(LP_DROP_PPPOE, "pppoe", "PPPoE")                                                        \
	X(LP_DROP_PBB, "802.1ah", "802.1ah provider backbone frames")                             \
	X(LP_DROP_NOT_IP, "not-ip", "neither IPv4 nor IPv6")                                      \
	X(LP_DROP_VLAN_DEPTH, "vlan-depth", "more than 8 VLAN tags")                              \
	X(LP_DROP_DOMAIN_LIMIT, "domain-limit", "more VLAN stacks than the table holds")          \
	X(LP_DROP_IP_HEADER, "bad-ip-header", "impossible IP header")                             \
	X(LP_DROP_IP_CSUM, "bad-ip-csum", "wrong IPv4 header checksum")                           \
	X(LP_DROP_EXT_LIMIT, "ipv6-ext-limit", "more than 8 extension headers")                   \
	X(LP_DROP_ROUTING, "ipv6-routing", "source routes of a kind that is not supported")       \
	X(LP_DROP_FRAGMENT, "fragment", "IP fragments")                                           \
	X(LP_DROP_TCP_HEADER, "bad-tcp-header", "impossible TCP header")                          \
	X(LP_DROP_UDP, "not-tcp-udp", "UDP")                                                      \
	X(LP_DROP_ICMP, "not-tcp-icmp", "ICMP")                                                   \
	X(LP_DROP_ICMP6, "not-tcp-icmp6", "ICMPv6")                                               \
	X(LP_DROP_IGMP, "not-tcp-igmp", "IGMP")                                                   \
	X(LP_DROP_SCTP, "not-tcp-sctp", "SCTP")                                                   \
	X(LP_DROP_GRE, "not-tcp-gre", "GRE tunnels")                                              \
	X(LP_DROP_IPIP, "not-tcp-ipip", "IP in IP tunnels")                                       \
	X(LP_DROP_ESP, "not-tcp-esp", "IPsec ESP")                                                \
	X(LP_DROP_EMPTY, "not-tcp-none", "IPv6 packets without a transport")                      \
	X(LP_DROP_OTHER, "not-tcp-other", "another transport")

enum lp_drop {
#define X(id, name, text) id,
	LP_DROP_LIST(X)
#undef X
	LP_DROPS
};

struct lp_decode_config {
	enum lp_checksums checksums; /* off: nothing is verified, segments are LP_CSUM_UNKNOWN.
				      * auto: an IPv4 header checksum of 0 is offload and passes. */
	bool ignore_vlans;           /* domain stays 0 (a SPAN that shows a packet on two VLANs) */
	uint32_t max_domains;
	struct lp_hash_seed seed;
};

struct lp_decode_stats {
	uint64_t read;              /* packets given to the decoder */
	uint64_t drop[LP_DROPS];    /* sums up to read; [LP_DROP_NONE] are the TCP segments */
	/* Beside them: */
	uint64_t csum[4];           /* TCP segments by enum lp_csum */
	uint64_t ip_csum_offload;   /* IPv4 headers with a checksum of 0 that passed */
	uint64_t no_length;         /* TCP segments whose IP header stated no length (offload) */
	uint64_t cut;               /* TCP segments that are not whole in the capture */
	uint32_t domains;           /* entries in the domain table */
};

struct lp_decode;

void lp_decode_config_default(struct lp_decode_config *config);
LP_MUST enum lp_err lp_decode_new(struct lp_decode **out, const struct lp_decode_config *config);
void lp_decode_free(struct lp_decode *d);

/* LP_DROP_NONE: *s is a segment. Anything else: *s is not to be looked at. */
enum lp_drop lp_decode_packet(struct lp_decode *d, const struct lp_packet *p,
			      struct lp_segment *s);

void lp_decode_stats(const struct lp_decode *d, struct lp_decode_stats *out);

/* The stable name, and a few words for people; static. */
const char *lp_decode_drop_name(enum lp_drop drop);
const char *lp_decode_drop_text(enum lp_drop drop);

#endif
