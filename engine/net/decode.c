/* The link layer, and the decoder itself. See net/layer.h. */
#include "net/decode.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "net/layer.h"
#include "net/tunnel.h"

enum { MAX_TAGS = 8 };

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
	ETHERNET = 14,          /* bytes of its header */
	SLL_8023 = 0x0001,      /* LINKTYPE_LINUX_SLL: Novell 802.3 without LLC */
	SLL_8022 = 0x0004,      /* LINKTYPE_LINUX_SLL: LLC follows */
	ARPHRD_NETLINK_ = 824,
};

/* ---- link ---- */

/* LLC and SNAP (IEEE 802): AA AA 03, then an OUI that says "an EtherType follows":
 * 00-00-00 (RFC 1042) or 00-00-F8 (802.1H). */
static enum lp_drop take_llc(struct lp_layer *l, uint16_t *type)
{
	struct lp_cursor h = lp_layer_fixed(l, 8);
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

static enum lp_drop take_tags(struct lp_decode *d, struct lp_layer *l, uint16_t *type)
{
	uint16_t id;

	while (*type == TYPE_VLAN || *type == TYPE_PROVIDER || *type == TYPE_QINQ) {
		if (l->tags++ == MAX_TAGS)
			return LP_DROP_VLAN_DEPTH;
		id = lp_cursor_u16(&l->c) & 0xfff;
		*type = lp_cursor_u16(&l->c);
		if (lp_cursor_ok(&l->c))
			return lp_layer_ended(l);
		/* VLAN 0 is a priority and no VLAN (802.1Q section 9.6). */
		if (id)
			lp_layer_id(d, l, LP_DOMAIN_VLAN, id);
	}
	return LP_DROP_NONE;
}

bool lp_decode_knows(uint16_t type)
{
	switch (type) {
	case TYPE_IPV4:
	case TYPE_IPV6:
	case TYPE_ARP:
	case TYPE_RARP:
	case TYPE_VLAN:
	case TYPE_PROVIDER:
	case TYPE_QINQ:
	case TYPE_MPLS:
	case TYPE_MPLS_UP:
	case TYPE_PPPOE:
	case TYPE_PPPOE_DISCOVERY:
	case TYPE_PBB:
		return true;
	default:
		return false;
	}
}

static enum lp_drop decode_type(struct lp_decode *d, struct lp_layer *l, uint16_t type,
				struct lp_segment *s)
{
	switch (type) {
	case TYPE_IPV4:
		return lp_decode_ipv4(d, l, s);
	case TYPE_IPV6:
		return lp_decode_ipv6(d, l, s);
	case TYPE_ARP:
	case TYPE_RARP:
		return LP_DROP_ARP;
	case TYPE_MPLS:
	case TYPE_MPLS_UP:
		return lp_tunnel_mpls(d, l, s);
	case TYPE_PPPOE:
		return lp_tunnel_pppoe(d, l, s);
	case TYPE_PPPOE_DISCOVERY:
		return LP_DROP_PPPOE;
	case TYPE_PBB:
		return lp_tunnel_pbb(d, l, s);
	default:
		return LP_DROP_NOT_IP;
	}
}

enum lp_drop lp_decode_llc(struct lp_decode *d, struct lp_layer *l, struct lp_segment *s)
{
	uint16_t type;
	enum lp_drop drop = take_llc(l, &type);

	if (!drop)
		drop = take_tags(d, l, &type);
	return drop ? drop : decode_type(d, l, type, s);
}

enum lp_drop lp_decode_ethertype(struct lp_decode *d, struct lp_layer *l, uint16_t type,
				 struct lp_segment *s)
{
	enum lp_drop drop;

	if (type == TYPE_IPV4) /* nearly all there is: before everything else */
		return lp_decode_ipv4(d, l, s);
	drop = take_tags(d, l, &type);
	if (drop)
		return drop;
	return type <= MAX_LENGTH ? lp_decode_llc(d, l, s) : decode_type(d, l, type, s);
}

enum lp_drop lp_decode_ethernet(struct lp_decode *d, struct lp_layer *l, struct lp_segment *s)
{
	struct lp_cursor h = lp_layer_fixed(l, ETHERNET);

	if (!h.n)
		return lp_layer_ended(l);
	lp_cursor_skip(&h, ETHERNET - 2);
	return lp_decode_ethertype(d, l, lp_cursor_u16(&h), s);
}

/* LINKTYPE_LINUX_SLL and SLL2 put numbers of their own, below all EtherTypes, where
 * frames have none. */
static enum lp_drop decode_cooked(struct lp_decode *d, struct lp_layer *l, uint16_t type,
				  uint16_t hardware, struct lp_segment *s)
{
	if (hardware == ARPHRD_NETLINK_)
		return LP_DROP_NOT_IP;
	if (type == SLL_8023)
		return LP_DROP_LLC;
	if (type < MIN_TYPE && type != SLL_8022)
		return LP_DROP_NOT_IP;
	return lp_decode_ethertype(d, l, type, s);
}

static enum lp_drop decode_sll(struct lp_decode *d, struct lp_layer *l, struct lp_segment *s)
{
	struct lp_cursor h = lp_layer_fixed(l, 16);
	uint16_t hardware;

	if (!h.n)
		return lp_layer_ended(l);
	lp_cursor_skip(&h, 2);
	hardware = lp_cursor_u16(&h);
	lp_cursor_skip(&h, 10);
	return decode_cooked(d, l, lp_cursor_u16(&h), hardware, s);
}

static enum lp_drop decode_sll2(struct lp_decode *d, struct lp_layer *l, struct lp_segment *s)
{
	struct lp_cursor h = lp_layer_fixed(l, 20);
	uint16_t type;

	if (!h.n)
		return lp_layer_ended(l);
	type = lp_cursor_u16(&h);
	lp_cursor_skip(&h, 6);
	return decode_cooked(d, l, type, lp_cursor_u16(&h), s);
}

enum lp_drop lp_decode_ip(struct lp_decode *d, struct lp_layer *l, struct lp_segment *s)
{
	struct lp_cursor look = l->c;
	uint8_t first = lp_cursor_u8(&look);

	if (look.bad)
		return lp_layer_ended(l);
	if (first >> 4 == 4)
		return lp_decode_ipv4(d, l, s);
	return first >> 4 == 6 ? lp_decode_ipv6(d, l, s) : LP_DROP_NOT_IP;
}

/* An address family of the capturing system in its byte order (NULL) or in network
 * order (LOOP). AF_INET is 2 everywhere; AF_INET6 is 10 on Linux, 24 on NetBSD and
 * OpenBSD, 28 on FreeBSD, 30 on macOS. */
static enum lp_drop decode_null(struct lp_decode *d, struct lp_layer *l, struct lp_segment *s)
{
	uint32_t family = lp_cursor_u32(&l->c);

	if (lp_cursor_ok(&l->c))
		return lp_layer_ended(l);
	if (family > UINT16_MAX)
		family = __builtin_bswap32(family);
	switch (family) {
	case 2:
		return lp_decode_ipv4(d, l, s);
	case 10:
	case 24:
	case 28:
	case 30:
		return lp_decode_ipv6(d, l, s);
	default:
		return LP_DROP_NOT_IP;
	}
}

static enum lp_drop decode_link(struct lp_decode *d, struct lp_layer *l, uint32_t link,
				struct lp_segment *s)
{
	switch (link) {
	case LP_LINK_ETHERNET:
		return lp_decode_ethernet(d, l, s);
	case LP_LINK_LINUX_SLL:
		return decode_sll(d, l, s);
	case LP_LINK_LINUX_SLL2:
		return decode_sll2(d, l, s);
	case LP_LINK_RAW:
		return lp_decode_ip(d, l, s);
	case LP_LINK_IPV4:
		return lp_decode_ipv4(d, l, s);
	case LP_LINK_IPV6:
		return lp_decode_ipv6(d, l, s);
	case LP_LINK_NULL:
	case LP_LINK_LOOP:
		return decode_null(d, l, s);
	case LP_LINK_IEEE802_11:
		return lp_decode_wlan(d, l, false, s);
	case LP_LINK_RADIOTAP:
		return lp_decode_radiotap(d, l, s);
	default:
		return LP_DROP_LINK;
	}
}

/* ---- */

/* Layer by layer. */
static enum lp_drop decode_layers(struct lp_decode *d, const struct lp_wire *p,
				  struct lp_segment *s)
{
	const struct lp_whole *before = d->defrag.whole;
	struct lp_layer l;
	enum lp_drop drop;

	l.c = lp_cursor_of(p->data, p->caplen);
	l.cut = p->len > p->caplen ? p->len - p->caplen : 0;
	l.ts_ns = p->ts_ns;
	l.tags = 0;
	l.depth = 0;
	l.ids.n = 0;
	drop = decode_link(d, &l, p->link, s);
	if (!drop && l.ids.n && lp_domain_intern(&d->domains, &l.ids, &s->domain))
		drop = LP_DROP_DOMAIN_LIMIT;
	if (drop)
		lp_defrag_release(&d->defrag, before); /* nothing refers to what it made whole */
	return drop;
}

/* Nearly all there is, in one step. False: it is for the layers to say what it is. */
static inline bool decode_plain(struct lp_decode *d, const struct lp_wire *p,
				struct lp_segment *s)
{
	struct lp_cursor c = lp_cursor_of(p->data, p->caplen);
	struct lp_cursor h = lp_cursor_span(lp_cursor_bytes(&c, ETHERNET));

	lp_cursor_skip(&h, ETHERNET - 2);
	if (p->link != LP_LINK_ETHERNET)
		return false;
	switch (lp_cursor_u16(&h)) {
	case TYPE_IPV4:
		return lp_decode_plain_ipv4(d, lp_cursor_rest(&c), s);
	case TYPE_IPV6:
		return lp_decode_plain_ipv6(d, lp_cursor_rest(&c), s);
	default:
		return false;
	}
}

static void count_segment(struct lp_decode *d, const struct lp_segment *s)
{
	if (s->csum < LP_CSUM_LATER)
		d->stats.csum[s->csum]++;
	if (s->no_length)
		d->stats.no_length++;
	if (s->payload_len < s->wire_len)
		d->stats.cut++;
}

enum lp_drop lp_decode_packet(struct lp_decode *d, const struct lp_wire *p,
			      struct lp_segment *s)
{
	enum lp_drop drop = LP_DROP_NONE;

	s->domain = 0;
	if (!decode_plain(d, p, s))
		drop = decode_layers(d, p, s);
	if (!drop) {
		s->number = p->number;
		s->ts_ns = p->ts_ns;
		s->clock_ns = 0;
		s->tag = 0;
		s->lent = false;
		count_segment(d, s);
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
		/* That of RFC 7348, and what Linux took before there was one. */
		.vxlan_port = { 4789, 8472 },
	};
	lp_defrag_config_default(&config->defrag);
}

enum lp_err lp_decode_new(struct lp_decode **out, const struct lp_decode_config *config)
{
	struct lp_decode *d = calloc(1, sizeof *d);
	enum lp_err err;

	*out = NULL;
	if (!d)
		return LP_E_NOMEM;
	d->checksums = config->checksums;
	d->checksums_later = config->checksums_later;
	d->ignore_domain = config->ignore_domain;
	memcpy(d->vxlan_port, config->vxlan_port, sizeof d->vxlan_port);
	lp_defrag_init(&d->defrag, &config->defrag, &config->seed, d->stats.drop);
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
	lp_defrag_clear(&d->defrag);
	free(d);
}

void lp_decode_release(struct lp_decode *d)
{
	lp_defrag_release(&d->defrag, NULL);
}

void lp_decode_stats(const struct lp_decode *d, struct lp_decode_stats *out)
{
	*out = d->stats;
	out->domains = d->domains.n;
	out->datagrams = d->defrag.made;
	out->fragment_bytes = d->defrag.bytes;
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
