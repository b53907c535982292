#include "net/decode.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "net/checksum.h"

enum {
	MAX_TAGS = LP_DOMAIN_IDS,
	MAX_EXT = 8,
	/* A packet that states no length was made for segmentation by a card. Those are
	 * larger than the smallest Ethernet payload; in one that is not, padding could
	 * not be told from data. */
	MIN_NO_LENGTH = 47,
	/* Linux builds up to 512 KiB for a card; nobody builds more. */
	MAX_NO_LENGTH = 1 << 20,
};

enum {
	TYPE_IPV4 = 0x0800,
	TYPE_ARP = 0x0806,
	TYPE_RARP = 0x8035,
	TYPE_VLAN = 0x8100,
	TYPE_IPV6 = 0x86dd,
	TYPE_MPLS = 0x8847,
	TYPE_MPLS_UP = 0x8848,
	TYPE_PPPOE_DISCOVERY = 0x8863,
	TYPE_PPPOE = 0x8864,
	TYPE_PROVIDER = 0x88a8, /* 802.1ad */
	TYPE_PBB = 0x88e7,      /* 802.1ah */
	TYPE_QINQ = 0x9100,     /* before 802.1ad */
	MAX_LENGTH = 1500,      /* up to here the field is an 802.3 length */
	MIN_TYPE = 0x0600,
	SLL_8023 = 0x0001,      /* LINKTYPE_LINUX_SLL: Novell 802.3 without LLC */
	SLL_8022 = 0x0004,      /* LINKTYPE_LINUX_SLL: LLC follows */
	ARPHRD_NETLINK_ = 824,
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

struct lp_decode {
	enum lp_checksums checksums;
	bool ignore_vlans;
	struct lp_domains domains;
	struct lp_decode_stats stats;
};

/* What is known of a packet on the way up, and where the reader stands. Once
 * decode_ip has passed, c holds the captured bytes of the transport named by proto:
 * whoever consumes another transport than TCP takes it from here. */
struct layer {
	struct lp_cursor c;
	uint64_t cut; /* bytes that followed those of c on the wire */
	const uint8_t *src, *dst;
	uint8_t family;
	uint8_t proto;
	bool no_length; /* the IP header stated no length */
	uint8_t tags;   /* VLAN tags passed, those that say nothing too */
	struct lp_domain_ids ids;
};

/* Bytes on the wire from where the reader stands. */
static uint64_t wire_left(const struct layer *l)
{
	return lp_cursor_left(&l->c) + l->cut;
}

/* A header did not fit: whose fault was it? */
static enum lp_drop ended(const struct layer *l)
{
	return l->cut ? LP_DROP_TRUNCATED : LP_DROP_SHORT;
}

/* What an outer length allows is n bytes more; the rest is padding. More than there
 * is: the missing ones count as cut. */
static void narrow(struct layer *l, uint64_t n)
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
static inline struct lp_cursor fixed(struct layer *l, size_t n)
{
	lp_span s = lp_cursor_bytes(&l->c, n);

	return lp_cursor_of(s.p, s.n);
}

/* ---- TCP ---- */

static enum lp_drop decode_tcp(struct lp_decode *d, struct layer *l, struct lp_segment *s)
{
	lp_span all = lp_cursor_rest(&l->c), options;
	uint64_t wire = wire_left(l);
	struct lp_cursor h;
	uint16_t bits;
	uint8_t len;

	if (wire < 20)
		return LP_DROP_TCP_HEADER;
	h = fixed(l, 20);
	if (!h.n)
		return ended(l);
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
	options = lp_cursor_rest(&l->c);
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
	s->src = l->src;
	s->dst = l->dst;
	s->family = l->family;
	s->csum = LP_CSUM_UNKNOWN;
	if (d->checksums != LP_CHECKSUMS_OFF && !l->cut)
		s->csum = (uint8_t)lp_checksum_tcp(l->family, l->src, l->dst, all, l->no_length);
	return LP_DROP_NONE;
}

static enum lp_drop decode_transport(struct lp_decode *d, struct layer *l, struct lp_segment *s)
{
	switch (l->proto) {
	case PROTO_TCP:
		return decode_tcp(d, l, s);
	case PROTO_UDP:
		return LP_DROP_UDP;
	case PROTO_ICMP:
		return LP_DROP_ICMP;
	case PROTO_ICMP6:
		return LP_DROP_ICMP6;
	case PROTO_IGMP:
		return LP_DROP_IGMP;
	case PROTO_SCTP:
		return LP_DROP_SCTP;
	case PROTO_GRE:
		return LP_DROP_GRE;
	case PROTO_IPV4:
	case PROTO_IPV6:
		return LP_DROP_IPIP;
	case PROTO_ESP:
		return LP_DROP_ESP;
	case PROTO_NONE:
		return LP_DROP_EMPTY;
	default:
		return LP_DROP_OTHER;
	}
}

/* ---- IP ---- */

/* The IP header stated no length: what follows it on the wire is the packet. */
static enum lp_drop take_no_length(struct layer *l, size_t header)
{
	uint64_t wire = wire_left(l);

	if (wire + header < MIN_NO_LENGTH || wire > MAX_NO_LENGTH)
		return LP_DROP_IP_HEADER;
	l->no_length = true;
	return LP_DROP_NONE;
}

/* RFC 4302 section 2.2: the length is in words of 4 bytes, less 2. */
static enum lp_drop take_ah(struct layer *l)
{
	uint8_t len;

	l->proto = lp_cursor_u8(&l->c);
	len = lp_cursor_u8(&l->c);
	lp_cursor_skip(&l->c, (len + 2u) * 4 - 2);
	return lp_cursor_ok(&l->c) ? ended(l) : LP_DROP_NONE;
}

static bool ipv4_csum_passes(struct lp_decode *d, const uint8_t *header, size_t len,
			     uint16_t field)
{
	if (d->checksums == LP_CHECKSUMS_OFF)
		return true;
	if (lp_checksum_fold(lp_checksum_add(0, header, len)) == 0xffff)
		return true;
	if (d->checksums == LP_CHECKSUMS_ON || field)
		return false;
	d->stats.ip_csum_offload++;
	return true;
}

/* RFC 791 section 3.1. */
static enum lp_drop decode_ipv4(struct lp_decode *d, struct layer *l, struct lp_segment *s)
{
	const uint8_t *start = lp_cursor_rest(&l->c).p;
	struct lp_cursor h = fixed(l, 20);
	uint16_t total, fragment, csum;
	enum lp_drop drop;
	uint8_t first;
	size_t len;

	if (!h.n)
		return ended(l);
	first = lp_cursor_u8(&h);
	lp_cursor_skip(&h, 1);
	total = lp_cursor_u16(&h);
	lp_cursor_skip(&h, 2);
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
		return ended(l);
	if (!ipv4_csum_passes(d, start, len, csum))
		return LP_DROP_IP_CSUM;
	/* "More fragments", or an offset. */
	if (fragment & 0x3fff)
		return LP_DROP_FRAGMENT;
	if (total) {
		narrow(l, total - len);
	} else {
		drop = take_no_length(l, len);
		if (drop)
			return drop;
	}
	if (l->proto == PROTO_AH) {
		drop = take_ah(l);
		if (drop)
			return drop;
	}
	return decode_transport(d, l, s);
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
static enum lp_drop take_ipv6_length(struct layer *l, uint16_t payload)
{
	uint64_t wire = wire_left(l);
	uint32_t jumbo = 0;
	uint8_t len;

	if (payload)
		narrow(l, payload);
	if (l->proto == PROTO_HOPOPT) {
		l->proto = lp_cursor_u8(&l->c);
		len = lp_cursor_u8(&l->c);
		jumbo = jumbo_length(lp_cursor_bytes(&l->c, len * 8u + 6));
		if (lp_cursor_ok(&l->c))
			return ended(l);
		if (jumbo) {
			if (payload || jumbo <= UINT16_MAX || jumbo > wire ||
			    jumbo > MAX_NO_LENGTH)
				return LP_DROP_IP_HEADER;
			narrow(l, jumbo - (len + 1u) * 8);
		}
	}
	return payload || jumbo ? LP_DROP_NONE : take_no_length(l, 40);
}

/* RFC 8200 section 4.4. With segments left, the address in the header is the next
 * stop; the flow, and the pseudo header (section 8.1), have the last one. */
static enum lp_drop take_routing(struct layer *l)
{
	struct lp_cursor body;
	uint8_t len, type, left;
	lp_span list;

	l->proto = lp_cursor_u8(&l->c);
	len = lp_cursor_u8(&l->c);
	body = lp_cursor_span(lp_cursor_bytes(&l->c, len * 8u + 6));
	if (lp_cursor_ok(&l->c))
		return ended(l);
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
static enum lp_drop take_fragment(struct layer *l)
{
	struct lp_cursor h = fixed(l, 8);

	if (!h.n)
		return ended(l);
	l->proto = lp_cursor_u8(&h);
	lp_cursor_skip(&h, 1);
	return lp_cursor_u16(&h) & 0xfff9 ? LP_DROP_FRAGMENT : LP_DROP_NONE;
}

static enum lp_drop take_dstopts(struct layer *l)
{
	uint8_t len;

	l->proto = lp_cursor_u8(&l->c);
	len = lp_cursor_u8(&l->c);
	lp_cursor_skip(&l->c, len * 8u + 6);
	return lp_cursor_ok(&l->c) ? ended(l) : LP_DROP_NONE;
}

/* RFC 8200 section 4.1; hop-by-hop options have been taken, and nowhere else may
 * they stand. */
static enum lp_drop take_extensions(struct layer *l)
{
	for (int i = 0;; i++) {
		enum lp_drop (*take)(struct layer *) = NULL;
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
		drop = take(l);
		if (drop)
			return drop;
	}
}

static enum lp_drop decode_ipv6(struct lp_decode *d, struct layer *l, struct lp_segment *s)
{
	struct lp_cursor h = fixed(l, 40);
	enum lp_drop drop;
	uint16_t payload;

	if (!h.n)
		return ended(l);
	if (lp_cursor_u32(&h) >> 28 != 6)
		return LP_DROP_IP_HEADER;
	payload = lp_cursor_u16(&h);
	l->proto = lp_cursor_u8(&h);
	lp_cursor_skip(&h, 1);
	l->src = lp_cursor_bytes(&h, 16).p;
	l->dst = lp_cursor_bytes(&h, 16).p;
	l->family = 6;
	if (!payload && l->proto == PROTO_NONE)
		return LP_DROP_EMPTY;
	drop = take_ipv6_length(l, payload);
	if (!drop)
		drop = take_extensions(l);
	return drop ? drop : decode_transport(d, l, s);
}

/* ---- link ---- */

/* LLC and SNAP (IEEE 802): AA AA 03, then an OUI that says "an EtherType follows":
 * 00-00-00 (RFC 1042) or 00-00-F8 (802.1H). */
static enum lp_drop take_llc(struct layer *l, uint16_t *type)
{
	struct lp_cursor h = fixed(l, 8);
	uint32_t oui;

	if (!h.n)
		/* A shorter LLC frame is no SNAP frame; nothing is missing. */
		return l->cut ? LP_DROP_TRUNCATED : LP_DROP_LLC;
	if (lp_cursor_u24(&h) != 0xaaaa03)
		return LP_DROP_LLC;
	oui = lp_cursor_u24(&h);
	*type = lp_cursor_u16(&h);
	return (oui != 0 && oui != 0xf8) || *type < MIN_TYPE ? LP_DROP_LLC : LP_DROP_NONE;
}

static enum lp_drop take_tags(struct lp_decode *d, struct layer *l, uint16_t *type)
{
	uint16_t id;

	while (*type == TYPE_VLAN || *type == TYPE_PROVIDER || *type == TYPE_QINQ) {
		if (l->tags++ == MAX_TAGS)
			return LP_DROP_VLAN_DEPTH;
		id = lp_cursor_u16(&l->c) & 0xfff;
		*type = lp_cursor_u16(&l->c);
		if (lp_cursor_ok(&l->c))
			return ended(l);
		/* VLAN 0 is a priority and no VLAN (802.1Q section 9.6). */
		if (id && !d->ignore_vlans)
			l->ids.id[l->ids.n++] = id;
	}
	return LP_DROP_NONE;
}

static enum lp_drop decode_ethertype(struct lp_decode *d, struct layer *l, uint16_t type,
				     struct lp_segment *s)
{
	enum lp_drop drop = take_tags(d, l, &type);

	if (!drop && type <= MAX_LENGTH) {
		drop = take_llc(l, &type);
		if (!drop)
			drop = take_tags(d, l, &type);
	}
	if (drop)
		return drop;
	switch (type) {
	case TYPE_IPV4:
		return decode_ipv4(d, l, s);
	case TYPE_IPV6:
		return decode_ipv6(d, l, s);
	case TYPE_ARP:
	case TYPE_RARP:
		return LP_DROP_ARP;
	case TYPE_MPLS:
	case TYPE_MPLS_UP:
		return LP_DROP_MPLS;
	case TYPE_PPPOE:
	case TYPE_PPPOE_DISCOVERY:
		return LP_DROP_PPPOE;
	case TYPE_PBB:
		return LP_DROP_PBB;
	default:
		return LP_DROP_NOT_IP;
	}
}

/* LINKTYPE_LINUX_SLL and SLL2 put numbers of their own, below all EtherTypes, where
 * frames have none. */
static enum lp_drop decode_cooked(struct lp_decode *d, struct layer *l, uint16_t type,
				  uint16_t hardware, struct lp_segment *s)
{
	if (hardware == ARPHRD_NETLINK_)
		return LP_DROP_NOT_IP;
	if (type == SLL_8023)
		return LP_DROP_LLC;
	if (type < MIN_TYPE && type != SLL_8022)
		return LP_DROP_NOT_IP;
	return decode_ethertype(d, l, type, s);
}

static enum lp_drop decode_sll(struct lp_decode *d, struct layer *l, struct lp_segment *s)
{
	struct lp_cursor h = fixed(l, 16);
	uint16_t hardware;

	if (!h.n)
		return ended(l);
	lp_cursor_skip(&h, 2);
	hardware = lp_cursor_u16(&h);
	lp_cursor_skip(&h, 10);
	return decode_cooked(d, l, lp_cursor_u16(&h), hardware, s);
}

static enum lp_drop decode_sll2(struct lp_decode *d, struct layer *l, struct lp_segment *s)
{
	struct lp_cursor h = fixed(l, 20);
	uint16_t type;

	if (!h.n)
		return ended(l);
	type = lp_cursor_u16(&h);
	lp_cursor_skip(&h, 6);
	return decode_cooked(d, l, type, lp_cursor_u16(&h), s);
}

static enum lp_drop decode_raw(struct lp_decode *d, struct layer *l, struct lp_segment *s)
{
	struct lp_cursor look = l->c;
	uint8_t first = lp_cursor_u8(&look);

	if (look.bad)
		return ended(l);
	if (first >> 4 == 4)
		return decode_ipv4(d, l, s);
	return first >> 4 == 6 ? decode_ipv6(d, l, s) : LP_DROP_NOT_IP;
}

/* An address family of the capturing system in its byte order (NULL) or in network
 * order (LOOP). AF_INET is 2 everywhere; AF_INET6 is 10 on Linux, 24 on NetBSD and
 * OpenBSD, 28 on FreeBSD, 30 on macOS. */
static enum lp_drop decode_null(struct lp_decode *d, struct layer *l, struct lp_segment *s)
{
	uint32_t family = lp_cursor_u32(&l->c);

	if (lp_cursor_ok(&l->c))
		return ended(l);
	if (family > UINT16_MAX)
		family = __builtin_bswap32(family);
	switch (family) {
	case 2:
		return decode_ipv4(d, l, s);
	case 10:
	case 24:
	case 28:
	case 30:
		return decode_ipv6(d, l, s);
	default:
		return LP_DROP_NOT_IP;
	}
}

static enum lp_drop decode_link(struct lp_decode *d, struct layer *l, uint32_t link,
				struct lp_segment *s)
{
	switch (link) {
	case LP_LINK_ETHERNET: {
		struct lp_cursor h = fixed(l, 14);

		if (!h.n)
			return ended(l);
		lp_cursor_skip(&h, 12);
		return decode_ethertype(d, l, lp_cursor_u16(&h), s);
	}
	case LP_LINK_LINUX_SLL:
		return decode_sll(d, l, s);
	case LP_LINK_LINUX_SLL2:
		return decode_sll2(d, l, s);
	case LP_LINK_RAW:
		return decode_raw(d, l, s);
	case LP_LINK_IPV4:
		return decode_ipv4(d, l, s);
	case LP_LINK_IPV6:
		return decode_ipv6(d, l, s);
	case LP_LINK_NULL:
	case LP_LINK_LOOP:
		return decode_null(d, l, s);
	default:
		return LP_DROP_LINK;
	}
}

/* ---- */

static void count_segment(struct lp_decode *d, const struct layer *l, const struct lp_segment *s)
{
	d->stats.csum[s->csum]++;
	d->stats.no_length += l->no_length;
	d->stats.cut += s->payload_len < s->wire_len;
}

enum lp_drop lp_decode_packet(struct lp_decode *d, const struct lp_packet *p, struct lp_segment *s)
{
	struct layer l;
	enum lp_drop drop;

	l.c = lp_cursor_of(p->data, p->caplen);
	l.cut = p->len > p->caplen ? p->len - p->caplen : 0;
	l.no_length = false;
	l.tags = 0;
	l.ids.n = 0;
	drop = decode_link(d, &l, p->link, s);
	if (!drop) {
		s->number = p->number;
		s->ts_ns = p->ts_ns;
		s->domain = 0;
		if (l.ids.n && lp_domain_intern(&d->domains, &l.ids, &s->domain))
			drop = LP_DROP_DOMAIN_LIMIT;
		else
			count_segment(d, &l, s);
	}
	d->stats.read++;
	d->stats.drop[drop]++;
	return drop;
}

void lp_decode_config_default(struct lp_decode_config *config)
{
	*config = (struct lp_decode_config){
		.checksums = LP_CHECKSUMS_AUTO,
		.max_domains = LP_DOMAIN_MAX,
	};
}

enum lp_err lp_decode_new(struct lp_decode **out, const struct lp_decode_config *config)
{
	struct lp_decode *d = calloc(1, sizeof *d);
	enum lp_err err;

	*out = NULL;
	if (!d)
		return LP_E_NOMEM;
	d->checksums = config->checksums;
	d->ignore_vlans = config->ignore_vlans;
	err = lp_domain_init(&d->domains, config->max_domains, &config->seed);
	if (err)
		free(d);
	else
		*out = d;
	return err;
}

void lp_decode_free(struct lp_decode *d)
{
	if (!d)
		return;
	lp_domain_clear(&d->domains);
	free(d);
}

void lp_decode_stats(const struct lp_decode *d, struct lp_decode_stats *out)
{
	*out = d->stats;
	out->domains = d->domains.n;
}

static const struct {
	const char *name, *text;
} drops[LP_DROPS] = {
#define X(id, name, text) [id] = { name, text },
	LP_DROP_LIST(X)
#undef X
};

const char *lp_decode_drop_name(enum lp_drop drop)
{
	assert((unsigned)drop < LP_DROPS);
	return drops[drop].name;
}

const char *lp_decode_drop_text(enum lp_drop drop)
{
	assert((unsigned)drop < LP_DROPS);
	return drops[drop].text;
}
