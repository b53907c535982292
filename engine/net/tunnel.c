#include "net/tunnel.h"

enum {
	TYPE_IPV4 = 0x0800,
	TYPE_IPV6 = 0x86dd,
	TYPE_ETHERNET = 0x6558, /* transparent Ethernet bridging */
	TYPE_ERSPAN = 0x88be,   /* I and II */
	TYPE_ERSPAN_3 = 0x22eb,
	TYPE_VLAN = 0x8100,
	TYPE_PROVIDER = 0x88a8,
	PPP_IPV4 = 0x0021,
	PPP_IPV6 = 0x0057,
	PPP_MPLS = 0x0281,
	PORT_GTP = 2152,
	PORT_GENEVE = 6081,
	GTP_USER_DATA = 0xff,
	MAX_LABELS = 32,
};

/* ---- MPLS ---- */

/* Is there an Ethernet header at off, as far as one can tell? */
static bool is_ethernet(const struct lp_layer *l, size_t off)
{
	struct lp_cursor c = l->c;
	uint16_t type;
	uint8_t first;

	lp_cursor_skip(&c, off + 12);
	type = lp_cursor_u16(&c);
	if (c.bad || !lp_decode_knows(type))
		return false;
	first = lp_cursor_u8(&c);
	if (c.bad || (type != TYPE_IPV4 && type != TYPE_IPV6))
		return true;
	return first >> 4 == (type == TYPE_IPV4 ? 4 : 6);
}

/* A MAC address may begin with 4 or 6 as well: the lengths must be possible. */
static bool is_ip(const struct lp_layer *l)
{
	struct lp_cursor c = l->c;
	uint32_t word = lp_cursor_u32(&c);
	uint16_t len = lp_cursor_u16(&c);

	if (c.bad)
		return true; /* too short for anything else */
	if (word >> 28 == 4)
		return (word >> 24 & 0xf) >= 5 && (uint16_t)word <= lp_layer_wire(l);
	return len + 40U <= lp_layer_wire(l);
}

/* RFC 3032: labels up to the bottom of the stack. What they carry is known to their ends
 * only; RFC 4928 section 3 has it that 4 and 6 begin an IP packet, RFC 4385 section 3 that
 * 0 begins the control word of a pseudowire and 1 its associated channel. */
enum lp_drop lp_tunnel_mpls(struct lp_decode *d, struct lp_layer *l, struct lp_segment *s)
{
	enum lp_drop drop = lp_layer_enter(l);
	struct lp_cursor look;
	uint32_t label = 0;
	uint8_t first;

	if (drop)
		return drop;
	for (int i = 0; i < MAX_LABELS && !(label & 0x100); i++) {
		label = lp_cursor_u32(&l->c);
		if (lp_cursor_ok(&l->c))
			return lp_layer_ended(l);
	}
	if (!(label & 0x100))
		return LP_DROP_MPLS;
	look = l->c;
	first = lp_cursor_u8(&look) >> 4;
	if (look.bad)
		return lp_layer_ended(l);
	if ((first == 4 || first == 6) && (is_ip(l) || !is_ethernet(l, 0)))
		return lp_decode_ip(d, l, s);
	if (first == 1 && !is_ethernet(l, 0))
		return LP_DROP_MPLS;
	if (first == 0 && (is_ethernet(l, 4) || !is_ethernet(l, 0)))
		lp_cursor_skip(&l->c, 4);
	return lp_cursor_ok(&l->c) ? lp_layer_ended(l) : lp_decode_ethernet(d, l, s);
}

/* ---- PPPoE, 802.1ah ---- */

/* RFC 2516 section 4. */
enum lp_drop lp_tunnel_pppoe(struct lp_decode *d, struct lp_layer *l, struct lp_segment *s)
{
	enum lp_drop drop = lp_layer_enter(l);
	struct lp_cursor h = lp_layer_fixed(l, 6);
	uint16_t start, session, len, type;

	if (drop)
		return drop;
	if (!h.n)
		return lp_layer_ended(l);
	start = lp_cursor_u16(&h);
	session = lp_cursor_u16(&h);
	len = lp_cursor_u16(&h);
	if (start != 0x1100)
		return LP_DROP_PPPOE;
	lp_layer_narrow(l, len);
	type = lp_cursor_u16(&l->c);
	if (lp_cursor_ok(&l->c))
		return lp_layer_ended(l);
	lp_layer_id(d, l, LP_DOMAIN_PPPOE, session);
	switch (type) {
	case PPP_IPV4:
		return lp_decode_ipv4(d, l, s);
	case PPP_IPV6:
		return lp_decode_ipv6(d, l, s);
	case PPP_MPLS:
		return lp_tunnel_mpls(d, l, s);
	default:
		return LP_DROP_PPPOE;
	}
}

/* IEEE 802.1Q section 9.7: the I-TAG ends in the service id; the customer's frame follows. */
enum lp_drop lp_tunnel_pbb(struct lp_decode *d, struct lp_layer *l, struct lp_segment *s)
{
	enum lp_drop drop = lp_layer_enter(l);
	uint32_t tag = lp_cursor_u32(&l->c);

	if (drop)
		return drop;
	if (lp_cursor_ok(&l->c))
		return lp_layer_ended(l);
	lp_layer_id(d, l, LP_DOMAIN_PBB, tag & 0xffffff);
	return lp_decode_ethernet(d, l, s);
}

/* ---- GRE ---- */

/* A mirrored frame. The header names the frame's VLAN where the frame has lost its tag. */
static enum lp_drop erspan_frame(struct lp_decode *d, struct lp_layer *l, uint16_t vlan,
				 struct lp_segment *s)
{
	struct lp_cursor look = l->c;
	uint16_t type;

	lp_cursor_skip(&look, 12);
	type = lp_cursor_u16(&look);
	if (vlan && type != TYPE_VLAN && type != TYPE_PROVIDER)
		lp_layer_id(d, l, LP_DOMAIN_VLAN, vlan);
	return lp_decode_ethernet(d, l, s);
}

/* draft-foschiano-erspan-03 section 4. Type I has no header; it is told from type II by the
 * sequence number of GRE. */
static enum lp_drop erspan(struct lp_decode *d, struct lp_layer *l, bool numbered,
			   struct lp_segment *s)
{
	enum lp_drop drop = lp_layer_enter(l);
	struct lp_cursor h;
	uint16_t vlan;
	uint8_t last;

	if (drop)
		return drop;
	if (!numbered)
		return lp_decode_ethernet(d, l, s);
	h = lp_layer_fixed(l, 8);
	if (!h.n)
		return lp_layer_ended(l);
	vlan = lp_cursor_u16(&h);
	if (vlan >> 12 == 1)
		return erspan_frame(d, l, vlan & 0xfff, s);
	if (vlan >> 12 != 2)
		return LP_DROP_GRE;
	lp_cursor_skip(&l->c, 3);
	last = lp_cursor_u8(&l->c);
	if (last & 1) /* a subheader of the platform's own */
		lp_cursor_skip(&l->c, 8);
	if (lp_cursor_ok(&l->c))
		return lp_layer_ended(l);
	return erspan_frame(d, l, vlan & 0xfff, s);
}

/* A key names both directions of a tunnel, but for NVGRE (RFC 7637 section 3.2), where its
 * last byte names the flow; virtual subnet ids below 0x1000 are reserved there. */
static void gre_key(struct lp_decode *d, struct lp_layer *l, uint16_t type, uint32_t key)
{
	if (type == TYPE_ETHERNET && key >> 8 >= 0x1000)
		key >>= 8;
	lp_layer_id(d, l, LP_DOMAIN_GRE, key);
}

/* RFC 2784, RFC 2890. Source routes (RFC 1701) and version 1 (PPTP) are not for us. */
enum lp_drop lp_tunnel_gre(struct lp_decode *d, struct lp_layer *l, struct lp_segment *s)
{
	enum lp_drop drop = lp_layer_enter(l);
	struct lp_cursor h = lp_layer_fixed(l, 4);
	uint16_t bits, type;
	uint32_t key;

	if (drop)
		return drop;
	if (!h.n)
		return lp_layer_ended(l);
	bits = lp_cursor_u16(&h);
	type = lp_cursor_u16(&h);
	if (bits & 0x4007)
		return LP_DROP_GRE;
	if (bits & 0x8000)
		lp_cursor_skip(&l->c, 4);
	key = bits & 0x2000 ? lp_cursor_u32(&l->c) : 0;
	if (bits & 0x1000)
		lp_cursor_skip(&l->c, 4);
	if (lp_cursor_ok(&l->c))
		return lp_layer_ended(l);
	if (bits & 0x2000)
		gre_key(d, l, type, key);
	if (type == TYPE_ERSPAN || type == TYPE_ERSPAN_3)
		return erspan(d, l, bits & 0x1000, s);
	if (type == TYPE_ETHERNET)
		return lp_decode_ethernet(d, l, s);
	return lp_decode_knows(type) ? lp_decode_ethertype(d, l, type, s) : LP_DROP_GRE;
}

/* ---- over UDP ---- */

/* RFC 7348 section 5. A datagram without the flag is not VXLAN. */
static enum lp_drop vxlan(struct lp_decode *d, struct lp_layer *l, struct lp_segment *s)
{
	enum lp_drop drop = lp_layer_enter(l);
	struct lp_cursor h = lp_layer_fixed(l, 8);
	uint8_t flags;

	if (drop)
		return drop;
	if (!h.n)
		return lp_layer_ended(l);
	flags = lp_cursor_u8(&h);
	lp_cursor_skip(&h, 3);
	if (!(flags & 0x08))
		return LP_DROP_UDP;
	lp_layer_id(d, l, LP_DOMAIN_VXLAN, lp_cursor_u24(&h));
	return lp_decode_ethernet(d, l, s);
}

/* RFC 8926 section 3.4. */
static enum lp_drop geneve(struct lp_decode *d, struct lp_layer *l, struct lp_segment *s)
{
	enum lp_drop drop = lp_layer_enter(l);
	struct lp_cursor h = lp_layer_fixed(l, 8);
	uint16_t type;
	uint8_t first;

	if (drop)
		return drop;
	if (!h.n)
		return lp_layer_ended(l);
	first = lp_cursor_u8(&h);
	lp_cursor_skip(&h, 1);
	type = lp_cursor_u16(&h);
	if (first >> 6)
		return LP_DROP_UDP;
	lp_layer_id(d, l, LP_DOMAIN_GENEVE, lp_cursor_u24(&h));
	lp_cursor_skip(&l->c, (first & 0x3f) * 4U);
	if (lp_cursor_ok(&l->c))
		return lp_layer_ended(l);
	return type == TYPE_ETHERNET ? lp_decode_ethernet(d, l, s)
				     : lp_decode_ethertype(d, l, type, s);
}

/* 3GPP TS 29.281 section 5. The tunnel endpoint id names one direction only. */
static enum lp_drop gtp(struct lp_decode *d, struct lp_layer *l, struct lp_segment *s)
{
	enum lp_drop drop = lp_layer_enter(l);
	struct lp_cursor h = lp_layer_fixed(l, 8);
	uint8_t flags, type, next, n;
	uint16_t len;

	if (drop)
		return drop;
	if (!h.n)
		return lp_layer_ended(l);
	flags = lp_cursor_u8(&h);
	type = lp_cursor_u8(&h);
	len = lp_cursor_u16(&h);
	if (flags >> 4 != 3) /* version 1, and not GTP' */
		return LP_DROP_UDP;
	if (type != GTP_USER_DATA)
		return LP_DROP_GTP;
	lp_layer_narrow(l, len);
	if (flags & 7) {
		lp_cursor_skip(&l->c, 3);
		next = lp_cursor_u8(&l->c);
		while (flags & 4 && next && !l->c.bad) {
			n = lp_cursor_u8(&l->c);
			if (!n && !l->c.bad)
				return LP_DROP_GTP;
			lp_cursor_skip(&l->c, n * 4U - 2);
			next = lp_cursor_u8(&l->c);
		}
	}
	if (lp_cursor_ok(&l->c) || !lp_cursor_left(&l->c))
		return lp_layer_ended(l);
	drop = lp_decode_ip(d, l, s);
	return drop == LP_DROP_NOT_IP ? LP_DROP_GTP : drop;
}

static bool is_vxlan(const struct lp_decode *d, uint16_t port)
{
	for (size_t i = 0; i < LP_VXLAN_PORTS; i++)
		if (port && d->vxlan_port[i] == port)
			return true;
	return false;
}

/* RFC 768. A length of 0 is a jumbogram (RFC 2675) or left to a card. */
enum lp_drop lp_tunnel_udp(struct lp_decode *d, struct lp_layer *l, struct lp_segment *s)
{
	struct lp_cursor h = lp_layer_fixed(l, 8);
	uint16_t port, len;

	if (!h.n)
		return l->cut ? LP_DROP_TRUNCATED : LP_DROP_UDP;
	lp_cursor_skip(&h, 2);
	port = lp_cursor_u16(&h);
	len = lp_cursor_u16(&h);
	if (len && len < 8)
		return LP_DROP_UDP;
	if (len)
		lp_layer_narrow(l, len - 8U);
	if (port == PORT_GTP)
		return gtp(d, l, s);
	if (port == PORT_GENEVE)
		return geneve(d, l, s);
	return is_vxlan(d, port) ? vxlan(d, l, s) : LP_DROP_UDP;
}
