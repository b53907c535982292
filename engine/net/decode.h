/* lp_decode: a captured packet in, one TCP segment out, or the reason why not.
 * Every packet ends in exactly one counter: read = tcp + the sum of the drops.
 * Link types: EN10MB (also 802.3 with SNAP), SLL, SLL2, RAW, IPV4, IPV6, NULL, LOOP,
 * IEEE802_11 plain and with radiotap; VLAN tags; IPv4 and IPv6 with options and
 * extension headers, also in fragments (net/defrag.h); tunnels (net/tunnel.h), one in
 * another up to 8. Of a packet that carries no TCP the innermost reason counts: ARP
 * within VXLAN is "arp".
 *
 * Everything in a segment is borrowed: from its packet, or, if that was the last missing
 * fragment of a datagram, from the decoder until lp_decode_release().
 *
 * A packet whose IP length is larger than what was on the wire counts as cut, like one that
 * the snap length cut (packet brokers slice so); the segment says how much is missing.
 *
 * Owner: who made it; one a thread that decodes. */
#ifndef LP_NET_DECODE_H
#define LP_NET_DECODE_H

#include "base/packet.h"
#include "net/defrag.h"
#include "net/domain.h"
#include "net/drop.h"
#include "net/segment.h"
#include "net/tcp.h"

enum { LP_VXLAN_PORTS = 8 };

struct lp_decode_config {
	enum lp_checksums checksums; /* off: nothing is verified, segments are LP_CSUM_UNKNOWN.
				      * auto: an IPv4 header checksum of 0 is offload and passes. */
	bool checksums_later;        /* TCP's: segments are LP_CSUM_LATER, for who reassembles them */
	bool ignore_domain;          /* domain stays 0 (a SPAN that shows a packet on two VLANs) */
	uint32_t max_domains;
	uint16_t vxlan_port[LP_VXLAN_PORTS]; /* UDP ports of VXLAN; 0: none */
	struct lp_defrag_config defrag;
	struct lp_hash_seed seed;
};

/* read = the sum of drop[]. Two of those are no losses: [LP_DROP_NONE] are the TCP
 * segments, [LP_DROP_JOINED] the fragments of datagrams that became whole, but for the last of
 * each, which counts as what the datagram was. [LP_DROP_HELD] goes down again when the rest
 * of a datagram comes (they are joined then) or the datagram is given up. */
struct lp_decode_stats {
	uint64_t read;              /* packets given to the decoder */
	uint64_t drop[LP_DROPS];
	/* Beside them: */
	uint64_t csum[4];           /* TCP segments by enum lp_csum; those for later are not counted */
	uint64_t ip_csum_offload;   /* IPv4 headers with a checksum of 0 that passed */
	uint64_t no_length;         /* TCP segments whose IP header stated no length (offload) */
	uint64_t cut;               /* TCP segments that are not whole in the capture */
	uint64_t datagrams;         /* made whole of fragments */
	uint64_t fragment_bytes;    /* memory that waiting fragments take now */
	uint32_t domains;           /* entries in the domain table */
};

struct lp_decode;

void lp_decode_config_default(struct lp_decode_config *config);
LP_MUST enum lp_err lp_decode_new(struct lp_decode **out, const struct lp_decode_config *config);
void lp_decode_free(struct lp_decode *d);

/* LP_DROP_NONE: *s is a segment. Anything else: *s is not to be looked at. */
enum lp_drop lp_decode_packet(struct lp_decode *d, const struct lp_wire *p,
			      struct lp_segment *s);

/* The segments decoded so far are done with: what fragments were joined to is freed. */
void lp_decode_release(struct lp_decode *d);

void lp_decode_stats(const struct lp_decode *d, struct lp_decode_stats *out);

/* The stable name, and a few words for people; static. */
const char *lp_decode_drop_name(enum lp_drop drop);
const char *lp_decode_drop_text(enum lp_drop drop);

#endif
