/* lp_layer: a packet on its way up through the decoder, shared by the files of the
 * decoder only: decode.c (link layer, counters), decode_wlan.c (802.11), decode_ip.c (IP
 * and what it carries), tunnel.c (what carries packets in packets).
 * Lives on the stack of lp_decode_packet(). */
#ifndef LP_NET_LAYER_H
#define LP_NET_LAYER_H

#include <assert.h>

#include "net/decode.h"

enum { LP_LAYER_TUNNELS = 8 };

struct lp_decode {
	enum lp_checksums checksums;
	bool checksums_later;
	bool ignore_domain;
	uint16_t vxlan_port[LP_VXLAN_PORTS];
	struct lp_domains domains;
	struct lp_defrag defrag;
	struct lp_decode_stats stats;
};

/* What is known of a packet on the way up, and where the reader stands. Once
 * the IP layer has passed, c holds the captured bytes of the transport named by proto:
 * whoever consumes another transport than TCP takes it from here. */
struct lp_layer {
	struct lp_cursor c;
	uint64_t cut; /* bytes that followed those of c on the wire */
	uint64_t ts_ns;
	const uint8_t *src, *dst;
	uint8_t family;
	uint8_t proto;
	bool no_length; /* the IP header stated no length */
	uint8_t tags;   /* VLAN tags passed, those that say nothing too */
	uint8_t depth;  /* tunnels passed */
	struct lp_domain_ids ids;
};

/* Bytes on the wire from where the reader stands. */
static inline uint64_t lp_layer_wire(const struct lp_layer *l)
{
	return lp_cursor_left(&l->c) + l->cut;
}

/* A header did not fit: whose fault was it? */
static inline enum lp_drop lp_layer_ended(const struct lp_layer *l)
{
	return l->cut ? LP_DROP_TRUNCATED : LP_DROP_SHORT;
}

/* What an outer length allows is n bytes more; the rest is padding. More than there
 * is: the missing ones count as cut. */
static inline void lp_layer_narrow(struct lp_layer *l, uint64_t n)
{
	lp_span rest = lp_cursor_rest(&l->c);

	if (n <= rest.n) {
		l->c = lp_cursor_of(rest.p, (size_t)n);
		l->cut = 0;
	} else {
		l->cut = n - rest.n;
	}
}

/* A fixed part of a header as a cursor of its own, so that its bounds are tested
 * once. Empty (n == 0) if the packet ends before. */
static inline struct lp_cursor lp_layer_fixed(struct lp_layer *l, size_t n)
{
	lp_span s = lp_cursor_bytes(&l->c, n);

	return lp_cursor_of(s.p, s.n);
}

/* One id more for the domain. There is room: tags and tunnels are counted, and none
 * has more than one. */
static inline void lp_layer_id(const struct lp_decode *d, struct lp_layer *l,
			       enum lp_domain_kind kind, uint32_t value)
{
	if (d->ignore_domain)
		return;
	assert(l->ids.n < LP_DOMAIN_IDS);
	l->ids.id[l->ids.n++] = (uint64_t)kind << 32 | value;
}

/* Whoever finds a packet in a packet passes here. */
static inline enum lp_drop lp_layer_enter(struct lp_layer *l)
{
	return l->depth++ == LP_LAYER_TUNNELS ? LP_DROP_TUNNEL_DEPTH : LP_DROP_NONE;
}

/* From where a layer begins to the segment, or the reason why there is none. */
enum lp_drop lp_decode_ethernet(struct lp_decode *d, struct lp_layer *l, struct lp_segment *s);
enum lp_drop lp_decode_llc(struct lp_decode *d, struct lp_layer *l, struct lp_segment *s);
enum lp_drop lp_decode_ethertype(struct lp_decode *d, struct lp_layer *l, uint16_t type,
				 struct lp_segment *s);
enum lp_drop lp_decode_radiotap(struct lp_decode *d, struct lp_layer *l, struct lp_segment *s);
enum lp_drop lp_decode_wlan(struct lp_decode *d, struct lp_layer *l, bool padded,
			    struct lp_segment *s);
enum lp_drop lp_decode_ip(struct lp_decode *d, struct lp_layer *l, struct lp_segment *s);
enum lp_drop lp_decode_ipv4(struct lp_decode *d, struct lp_layer *l, struct lp_segment *s);
enum lp_drop lp_decode_ipv6(struct lp_decode *d, struct lp_layer *l, struct lp_segment *s);

/* IP as nearly all of it is, and nothing wrong with it: no options, no extension headers, no
 * fragment, all of it in the capture, TCP. True: *s is its segment, but for what
 * lp_decode_packet() adds. False: nothing was counted, and the layers say what it is. */
bool lp_decode_plain_ipv4(const struct lp_decode *d, lp_span ip, struct lp_segment *s);
bool lp_decode_plain_ipv6(const struct lp_decode *d, lp_span ip, struct lp_segment *s);

/* An EtherType that stands before something this decoder knows. */
bool lp_decode_knows(uint16_t type);

#endif
