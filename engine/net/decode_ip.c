/* IPv4, IPv6 and TCP. See net/layer.h. */
#include <string.h>

#include "net/checksum.h"
#include "net/layer.h"
#include "net/tunnel.h"

enum {
	MAX_EXT = 8,
	/* A packet that states no length was made for segmentation by a card. Those are
	 * larger than the smallest Ethernet payload; in one that is not, padding could
	 * not be told from data. */
	MIN_NO_LENGTH = 47,
	/* Linux builds up to 512 KiB for a card; nobody builds more. */
	MAX_NO_LENGTH = 1 << 20,
};

enum {
	PROTO_HOPOPT = 0,
	PROTO_ICMP = 1,
	PROTO_IGMP = 2,
	PROTO_IPV4 = 4,
	PROTO_TCP = 6,
	PROTO_UDP = 17,
	PROTO_IPV6 = 41,
	PROTO_ROUTING = 43,
	PROTO_FRAGMENT = 44,
	PROTO_GRE = 47,
	PROTO_ESP = 50,
	PROTO_AH = 51,
	PROTO_ICMP6 = 58,
	PROTO_NONE = 59,
	PROTO_DSTOPTS = 60,
	PROTO_SCTP = 132,
};

/* ---- TCP ---- */

/* What is captured of a segment, of which cut more bytes were on the wire. *s has its addresses,
 * and whether IP stated a length. */
static inline enum lp_drop take_tcp(const struct lp_decode *d, lp_span all, uint64_t cut,
				    struct lp_segment *s)
{
	struct lp_cursor c = lp_cursor_span(all), h = lp_cursor_span(lp_cursor_bytes(&c, 20));
	uint64_t wire = all.n + cut;
	lp_span options;
	uint16_t bits;
	uint8_t len;

	if (!h.n)
		return wire < 20 ? LP_DROP_TCP_HEADER : LP_DROP_TRUNCATED;
	s->sport = lp_cursor_u16(&h);
	s->dport = lp_cursor_u16(&h);
	s->seq = lp_cursor_u32(&h);
	s->ack = lp_cursor_u32(&h);
	bits = lp_cursor_u16(&h);
	s->window = lp_cursor_u16(&h);
	lp_cursor_skip(&h, 2);
	s->urgent = lp_cursor_u16(&h);
	len = (uint8_t)(bits >> 12 << 2);
	if (len < 20 || len > wire)
		return LP_DROP_TCP_HEADER;
	/* Options that the snap length cut do not cost the segment its place in the
	 * sequence: what there is of them is handed on. */
	options = lp_cursor_rest(&c);
	if (options.n > len - 20u)
		options.n = len - 20u;
	s->flags = (uint8_t)(bits & 0xff);
	s->tcp = all.p;
	s->tcp_len = (uint32_t)all.n;
	s->options = options.p;
	s->options_len = (uint8_t)options.n;
	s->payload = options.p + options.n;
	s->payload_len = (uint32_t)(all.n - 20 - options.n);
	s->wire_len = (uint32_t)(wire - len);
	if (d->checksums == LP_CHECKSUMS_OFF || cut)
		s->csum = LP_CSUM_UNKNOWN;
	else if (d->checksums_later)
		s->csum = LP_CSUM_LATER;
	else
		s->csum = (uint8_t)lp_checksum_tcp(s->family, s->src, s->dst, all, s->no_length);
	return LP_DROP_NONE;
}

static enum lp_drop decode_tcp(const struct lp_decode *d, const struct lp_layer *l,
			       struct lp_segment *s)
{
	s->src = l->src;
	s->dst = l->dst;
	s->family = l->family;
	s->no_length = l->no_length;
	return take_tcp(d, lp_cursor_rest(&l->c), l->cut, s);
}

static enum lp_drop decode_transport(struct lp_decode *d, struct lp_layer *l,
				     struct lp_segment *s)
{
	enum lp_drop drop;

	if (l->proto == PROTO_TCP) /* nearly all there is: before everything else */
		return decode_tcp(d, l, s);
	switch (l->proto) {
	case PROTO_UDP:
		return lp_tunnel_udp(d, l, s);
	case PROTO_GRE:
		return lp_tunnel_gre(d, l, s);
	case PROTO_IPV4: /* RFC 2003, RFC 2473 */
		drop = lp_layer_enter(l);
		return drop ? drop : lp_decode_ipv4(d, l, s);
	case PROTO_IPV6: /* RFC 4213, RFC 2473 */
		drop = lp_layer_enter(l);
		return drop ? drop : lp_decode_ipv6(d, l, s);
	case PROTO_ICMP:
		return LP_DROP_ICMP;
	case PROTO_ICMP6:
		return LP_DROP_ICMP6;
	case PROTO_IGMP:
		return LP_DROP_IGMP;
	case PROTO_SCTP:
		return LP_DROP_SCTP;
	case PROTO_ESP:
		return LP_DROP_ESP;
	case PROTO_NONE:
		return LP_DROP_EMPTY;
	default:
		return LP_DROP_OTHER;
	}
}

/* ---- IP ---- */

/* A fragment, l->c its part of the payload: LP_DROP_NONE if that is now the whole datagram's. */
static enum lp_drop take_part(struct lp_decode *d, struct lp_layer *l, uint32_t id,
			      uint32_t offset, bool more)
{
	struct lp_fragment f = {
		.src = l->src,
		.dst = l->dst,
		.family = l->family,
		.proto = l->proto,
		.more = more,
		.id = id,
		.offset = offset,
		.data = lp_cursor_rest(&l->c),
		.ts_ns = l->ts_ns,
	};
	enum lp_drop drop;
	lp_span whole;

	if (l->cut)
		return LP_DROP_FRAGMENT_CUT;
	if (l->ids.n && lp_domain_intern(&d->domains, &l->ids, &f.domain))
		return LP_DROP_DOMAIN_LIMIT;
	drop = lp_defrag_push(&d->defrag, &f, &whole, &l->proto);
	if (!drop)
		l->c = lp_cursor_span(whole);
	return drop;
}

/* Whether a fragment of IPv4 can be of a TCP segment. */
static bool may_carry(uint8_t proto)
{
	return proto == PROTO_TCP || proto == PROTO_UDP || proto == PROTO_GRE ||
	       proto == PROTO_IPV4 || proto == PROTO_IPV6 || proto == PROTO_AH;
}

/* The IP header stated no length: what follows it on the wire is the packet. */
static enum lp_drop take_no_length(struct lp_layer *l, size_t header)
{
	uint64_t wire = lp_layer_wire(l);

	if (wire + header < MIN_NO_LENGTH || wire > MAX_NO_LENGTH)
		return LP_DROP_IP_HEADER;
	l->no_length = true;
	return LP_DROP_NONE;
}

/* RFC 4302 section 2.2: the length is in words of 4 bytes, less 2. */
static enum lp_drop take_ah(struct lp_decode *d, struct lp_layer *l)
{
	uint8_t len;

	(void)d;
	l->proto = lp_cursor_u8(&l->c);
	len = lp_cursor_u8(&l->c);
	lp_cursor_skip(&l->c, (len + 2u) * 4 - 2);
	return lp_cursor_ok(&l->c) ? lp_layer_ended(l) : LP_DROP_NONE;
}

static inline uint64_t word(const uint8_t *p)
{
	uint32_t w;

	memcpy(&w, p, sizeof w);
	return w;
}

/* Whether a header of len bytes, at least 20, holds its own right checksum. Most have no more. */
static inline bool ipv4_csum_right(const uint8_t *h, size_t len)
{
	uint64_t sum = word(h) + word(h + 4) + word(h + 8) + word(h + 12) + word(h + 16);

	if (len > 20)
		sum = lp_sum_add(sum, h + 20, len - 20);
	return lp_sum_fold(sum) == 0xffff;
}

static inline bool ipv4_csum_passes(struct lp_decode *d, const uint8_t *header, size_t len,
				    uint16_t field)
{
	if (d->checksums == LP_CHECKSUMS_OFF)
		return true;
	if (ipv4_csum_right(header, len))
		return true;
	if (d->checksums == LP_CHECKSUMS_ON || field)
		return false;
	d->stats.ip_csum_offload++;
	return true;
}

/* RFC 791 section 3.2. What is not whole and cannot hold TCP is not kept. */
static enum lp_drop take_ipv4_fragment(struct lp_decode *d, struct lp_layer *l, uint16_t id,
				       uint16_t field)
{
	if (l->no_length)
		return LP_DROP_FRAGMENT_BAD;
	if (!may_carry(l->proto))
		return LP_DROP_NONE;
	return take_part(d, l, id, (field & 0x1fff) * 8U, field & 0x2000);
}

/* RFC 791 section 3.1. */
enum lp_drop lp_decode_ipv4(struct lp_decode *d, struct lp_layer *l, struct lp_segment *s)
{
	const uint8_t *start = lp_cursor_rest(&l->c).p;
	struct lp_cursor h = lp_layer_fixed(l, 20);
	uint16_t total, id, fragment, csum;
	enum lp_drop drop;
	uint8_t first;
	size_t len;

	if (!h.n)
		return lp_layer_ended(l);
	first = lp_cursor_u8(&h);
	lp_cursor_skip(&h, 1);
	total = lp_cursor_u16(&h);
	id = lp_cursor_u16(&h);
	fragment = lp_cursor_u16(&h);
	lp_cursor_skip(&h, 1);
	l->proto = lp_cursor_u8(&h);
	csum = lp_cursor_u16(&h);
	l->src = lp_cursor_bytes(&h, 4).p;
	l->dst = lp_cursor_bytes(&h, 4).p;
	l->family = 4;
	len = (first & 0xfu) * 4;
	if (first >> 4 != 4 || len < 20 || (total && total < len))
		return LP_DROP_IP_HEADER;
	lp_cursor_skip(&l->c, len - 20);
	if (lp_cursor_ok(&l->c))
		return lp_layer_ended(l);
	if (!ipv4_csum_passes(d, start, len, csum))
		return LP_DROP_IP_CSUM;
	l->no_length = false;
	if (total) {
		lp_layer_narrow(l, total - len);
	} else {
		drop = take_no_length(l, len);
		if (drop)
			return drop;
	}
	/* "More fragments", or an offset. */
	if (fragment & 0x3fff) {
		drop = take_ipv4_fragment(d, l, id, fragment);
		if (drop)
			return drop;
	}
	if (l->proto == PROTO_AH) {
		drop = take_ah(d, l);
		if (drop)
			return drop;
	}
	return decode_transport(d, l, s);
}

bool lp_decode_plain_ipv4(const struct lp_decode *d, lp_span ip, struct lp_segment *s)
{
	struct lp_cursor c = lp_cursor_span(ip);
	const uint8_t *h = lp_cursor_bytes(&c, 20).p;
	size_t total;

	if (!h || h[0] != 0x45 || (h[6] & 0x3f) || h[7] || h[9] != PROTO_TCP)
		return false;
	total = (size_t)(h[2] << 8 | h[3]);
	if (total < 20 || total > ip.n ||
	    (d->checksums != LP_CHECKSUMS_OFF && !ipv4_csum_right(h, 20)))
		return false;
	s->src = h + 12;
	s->dst = h + 16;
	s->family = 4;
	s->no_length = false;
	return take_tcp(d, lp_cursor_bytes(&c, total - 20), 0, s) == LP_DROP_NONE;
}

/* The jumbo payload option (RFC 2675 section 2) among hop-by-hop options: its
 * value, 0 if there is none. */
static uint32_t jumbo_length(lp_span options)
{
	struct lp_cursor c = lp_cursor_span(options);

	while (lp_cursor_left(&c)) {
		uint8_t type = lp_cursor_u8(&c);
		lp_span value;

		if (!type) /* Pad1 has no length */
			continue;
		value = lp_cursor_vec8(&c);
		if (type == 0xc2 && value.n == 4) {
			c = lp_cursor_span(value);
			return lp_cursor_u32(&c);
		}
	}
	return 0;
}

/* The length of an IPv6 packet, and its hop-by-hop options, which may state it.
 * payload is the header's field. */
static enum lp_drop take_ipv6_length(struct lp_layer *l, uint16_t payload)
{
	uint64_t wire = lp_layer_wire(l);
	uint32_t jumbo = 0;
	uint8_t len;

	if (payload)
		lp_layer_narrow(l, payload);
	if (l->proto == PROTO_HOPOPT) {
		l->proto = lp_cursor_u8(&l->c);
		len = lp_cursor_u8(&l->c);
		jumbo = jumbo_length(lp_cursor_bytes(&l->c, len * 8u + 6));
		if (lp_cursor_ok(&l->c))
			return lp_layer_ended(l);
		if (jumbo) {
			if (payload || jumbo <= UINT16_MAX || jumbo > wire ||
			    jumbo > MAX_NO_LENGTH)
				return LP_DROP_IP_HEADER;
			lp_layer_narrow(l, jumbo - (len + 1u) * 8);
		}
	}
	return payload || jumbo ? LP_DROP_NONE : take_no_length(l, 40);
}

/* RFC 8200 section 4.4. With segments left, the address in the header is the next
 * stop; the flow, and the pseudo header (section 8.1), have the last one. */
static enum lp_drop take_routing(struct lp_decode *d, struct lp_layer *l)
{
	struct lp_cursor body;
	uint8_t len, type, left;
	lp_span list;

	(void)d;
	l->proto = lp_cursor_u8(&l->c);
	len = lp_cursor_u8(&l->c);
	body = lp_cursor_span(lp_cursor_bytes(&l->c, len * 8u + 6));
	if (lp_cursor_ok(&l->c))
		return lp_layer_ended(l);
	type = lp_cursor_u8(&body);
	left = lp_cursor_u8(&body);
	if (!left)
		return LP_DROP_NONE;
	lp_cursor_skip(&body, 4);
	if (type == 4) { /* RFC 8754 section 2: the last stop stands first */
		list = lp_cursor_bytes(&body, 16);
	} else if (type == 0 || type == 2) { /* RFC 2460, RFC 6275: it stands last */
		if (len % 2 || left > len / 2)
			return LP_DROP_IP_HEADER;
		lp_cursor_skip(&body, (len / 2u - 1) * 16);
		list = lp_cursor_bytes(&body, 16);
	} else {
		return LP_DROP_ROUTING;
	}
	if (lp_cursor_ok(&body))
		return LP_DROP_IP_HEADER;
	l->dst = list.p;
	return LP_DROP_NONE;
}

/* RFC 8200 section 4.5. RFC 6946: a packet that is its own only fragment is whole. */
static enum lp_drop take_fragment(struct lp_decode *d, struct lp_layer *l)
{
	struct lp_cursor h = lp_layer_fixed(l, 8);
	uint16_t field;

	if (!h.n)
		return lp_layer_ended(l);
	l->proto = lp_cursor_u8(&h);
	lp_cursor_skip(&h, 1);
	field = lp_cursor_u16(&h);
	if (!(field & 0xfff9))
		return LP_DROP_NONE;
	if (l->no_length)
		return LP_DROP_FRAGMENT_BAD;
	return take_part(d, l, lp_cursor_u32(&h), field & 0xfff8, field & 1);
}

static enum lp_drop take_dstopts(struct lp_decode *d, struct lp_layer *l)
{
	uint8_t len;

	(void)d;
	l->proto = lp_cursor_u8(&l->c);
	len = lp_cursor_u8(&l->c);
	lp_cursor_skip(&l->c, len * 8u + 6);
	return lp_cursor_ok(&l->c) ? lp_layer_ended(l) : LP_DROP_NONE;
}

/* RFC 8200 section 4.1; hop-by-hop options have been taken, and nowhere else may
 * they stand. */
static enum lp_drop take_extensions(struct lp_decode *d, struct lp_layer *l)
{
	for (int i = 0;; i++) {
		enum lp_drop (*take)(struct lp_decode *, struct lp_layer *) = NULL;
		enum lp_drop drop;

		switch (l->proto) {
		case PROTO_HOPOPT:
			return LP_DROP_IP_HEADER;
		case PROTO_ROUTING:
			take = take_routing;
			break;
		case PROTO_FRAGMENT:
			take = take_fragment;
			break;
		case PROTO_AH:
			take = take_ah;
			break;
		case PROTO_DSTOPTS:
			take = take_dstopts;
			break;
		default:
			return LP_DROP_NONE;
		}
		if (i == MAX_EXT)
			return LP_DROP_EXT_LIMIT;
		drop = take(d, l);
		if (drop)
			return drop;
	}
}

enum lp_drop lp_decode_ipv6(struct lp_decode *d, struct lp_layer *l, struct lp_segment *s)
{
	struct lp_cursor h = lp_layer_fixed(l, 40);
	enum lp_drop drop;
	uint16_t payload;

	if (!h.n)
		return lp_layer_ended(l);
	if (lp_cursor_u32(&h) >> 28 != 6)
		return LP_DROP_IP_HEADER;
	payload = lp_cursor_u16(&h);
	l->proto = lp_cursor_u8(&h);
	lp_cursor_skip(&h, 1);
	l->src = lp_cursor_bytes(&h, 16).p;
	l->dst = lp_cursor_bytes(&h, 16).p;
	l->family = 6;
	l->no_length = false;
	if (!payload && l->proto == PROTO_NONE)
		return LP_DROP_EMPTY;
	drop = take_ipv6_length(l, payload);
	if (!drop)
		drop = take_extensions(d, l);
	return drop ? drop : decode_transport(d, l, s);
}

bool lp_decode_plain_ipv6(const struct lp_decode *d, lp_span ip, struct lp_segment *s)
{
	struct lp_cursor c = lp_cursor_span(ip);
	const uint8_t *h = lp_cursor_bytes(&c, 40).p;
	size_t payload;

	if (!h || h[0] >> 4 != 6 || h[6] != PROTO_TCP)
		return false;
	payload = (size_t)(h[4] << 8 | h[5]);
	if (!payload || payload > lp_cursor_left(&c))
		return false;
	s->src = h + 8;
	s->dst = h + 24;
	s->family = 6;
	s->no_length = false;
	return take_tcp(d, lp_cursor_bytes(&c, payload), 0, s) == LP_DROP_NONE;
}
