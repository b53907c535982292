#include "help_tunnel.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *const help_tunnel_name[HELP_TUNNELS] = {
	[HELP_VLAN] = "vlan", [HELP_QINQ] = "qinq", [HELP_MPLS] = "mpls",
	[HELP_MPLS_STACK] = "mpls-stack", [HELP_MPLS_PW] = "mpls-pw",
	[HELP_MPLS_BARE] = "mpls-bare", [HELP_PPPOE] = "pppoe", [HELP_PBB] = "pbb",
	[HELP_SNAP] = "snap", [HELP_GRE] = "gre", [HELP_GRE_FULL] = "gre-full",
	[HELP_GRE_ETHERNET] = "gre-ethernet", [HELP_GRE_MPLS] = "gre-mpls",
	[HELP_ERSPAN_1] = "erspan-1", [HELP_ERSPAN_2] = "erspan-2", [HELP_ERSPAN_3] = "erspan-3",
	[HELP_ERSPAN_3_MORE] = "erspan-3-more", [HELP_VXLAN] = "vxlan",
	[HELP_VXLAN_LINUX] = "vxlan-linux", [HELP_GENEVE] = "geneve",
	[HELP_GENEVE_IP] = "geneve-ip", [HELP_IPIP] = "ipip", [HELP_GTP] = "gtp",
	[HELP_GTP_MORE] = "gtp-more", [HELP_WLAN] = "wlan", [HELP_WLAN_QOS] = "wlan-qos",
	[HELP_RADIOTAP] = "radiotap",
};

/* Written from the end to the front, as a stack of headers grows. */
struct back {
	uint8_t *p;
	size_t at, size;
};

static uint8_t *front(struct back *b, const void *p, size_t n)
{
	if (n > b->at) {
		fprintf(stderr, "help_tunnel: no room\n");
		abort();
	}
	b->at -= n;
	if (n)
		memcpy(b->p + b->at, p, n);
	return b->p + b->at;
}

static void be(struct back *b, uint64_t v, size_t width)
{
	uint8_t bytes[8];

	for (size_t i = 0; i < width; i++)
		bytes[i] = (uint8_t)(v >> 8 * (width - 1 - i));
	front(b, bytes, width);
}

static size_t size_of(const struct back *b)
{
	return b->size - b->at;
}

static void ipv4_csum(uint8_t *p)
{
	uint32_t sum = 0;

	p[10] = p[11] = 0;
	for (int i = 0; i < 20; i += 2)
		sum += (uint32_t)p[i] << 8 | p[i + 1];
	sum = (sum & 0xffff) + (sum >> 16);
	sum = ~((sum & 0xffff) + (sum >> 16));
	p[10] = (uint8_t)(sum >> 8);
	p[11] = (uint8_t)sum;
}

static void ethernet(struct back *b, uint16_t type)
{
	static const uint8_t macs[12] = { 0x40, 0, 0, 0, 0, 9, 2, 0, 0, 0, 0, 8 };

	be(b, type, 2);
	front(b, macs, sizeof macs);
}

/* Sums are made right, lengths above 64 KiB are left out as a card's driver does. */
static void ip(struct back *b, bool six, uint8_t proto)
{
	static const uint8_t from[16] = { 0xfd, [15] = 1 }, to[16] = { 0xfd, [15] = 2 };
	uint64_t n = size_of(b) + (six ? 0 : 20);

	if (n > 65535)
		n = 0;
	if (six) {
		front(b, to, 16);
		front(b, from, 16);
		be(b, 0x6000000000000040 | n << 16 | (uint64_t)proto << 8, 8);
	} else {
		be(b, 0xc0a80001c0a80002, 8);
		be(b, 0x40000000 | (uint32_t)proto << 16, 4);
		be(b, 0x4500000000004000 | n << 32, 8);
		ipv4_csum(b->p + b->at);
	}
	ethernet(b, six ? 0x86dd : 0x0800);
}

static void udp(struct back *b, bool six, uint16_t port)
{
	size_t n = size_of(b) + 8;

	be(b, (uint64_t)(50000) << 48 | (uint64_t)port << 32 | (n > 65535 ? 0 : n) << 16, 8);
	ip(b, six, 17);
}

uint32_t help_tunnel_link(enum help_tunnel kind)
{
	return kind == HELP_RADIOTAP ? 127 : kind >= HELP_WLAN ? 105 : 1;
}

bool help_tunnel_over_ip(enum help_tunnel kind)
{
	return kind >= HELP_GRE && kind <= HELP_GTP_MORE;
}

bool help_tunnel_has_id(enum help_tunnel kind)
{
	switch (kind) {
	case HELP_VLAN:
	case HELP_QINQ:
	case HELP_PPPOE:
	case HELP_PBB:
	case HELP_GRE_FULL:
	case HELP_GRE_ETHERNET:
	case HELP_ERSPAN_2:
	case HELP_ERSPAN_3:
	case HELP_ERSPAN_3_MORE:
	case HELP_VXLAN:
	case HELP_VXLAN_LINUX:
	case HELP_GENEVE:
	case HELP_GENEVE_IP:
		return true;
	default:
		return false;
	}
}

static void wlan(struct back *b, enum help_tunnel kind, uint16_t type)
{
	static const uint8_t addr[6] = { 2, 1, 1, 1, 1, 1 };

	be(b, 0xaaaa030000000000 | type, 8);
	if (kind == HELP_RADIOTAP)
		be(b, 0, 2); /* padding, for the QoS field */
	if (kind == HELP_WLAN_QOS)
		be(b, 0x11223344, 4);
	if (kind != HELP_WLAN)
		be(b, 0x0500, 2);
	if (kind == HELP_WLAN_QOS)
		front(b, addr, 6);
	be(b, 0x1030, 2);
	for (int i = 0; i < 3; i++)
		front(b, addr, 6);
	be(b, 0x3a01, 2);
	be(b, kind == HELP_WLAN ? 0x0801 : kind == HELP_WLAN_QOS ? 0x8883 : 0x8802, 2);
	if (kind != HELP_RADIOTAP)
		return;
	/* Two words of "present", time stamp, flags (data pad), rate. */
	be(b, 0x2002, 2);
	be(b, 0x1122334455667788, 8);
	be(b, 0, 4);
	be(b, 0x0700008000000000, 8);
	be(b, 0x00001a00, 4);
}

/* What stands between the IP packet of type and the rest of the link layer. */
static void over_ethernet(struct back *b, enum help_tunnel kind, uint32_t id, uint16_t type)
{
	switch (kind) {
	case HELP_VLAN:
		be(b, 0x2000u << 16 | id << 16 | type, 4);
		ethernet(b, 0x8100);
		return;
	case HELP_QINQ:
		be(b, (uint64_t)id << 48 | 0x8100ull << 32 | 7u << 16 | type, 8);
		ethernet(b, 0x88a8);
		return;
	case HELP_SNAP:
		be(b, 0xaaaa030000000000 | type, 8);
		ethernet(b, (uint16_t)(size_of(b) > 1500 ? 1500 : size_of(b)));
		return;
	case HELP_PPPOE:
		be(b, type == 0x0800 ? 0x0021 : 0x0057, 2);
		be(b, 0x110000000000 | (uint64_t)id << 16 | size_of(b), 6);
		ethernet(b, 0x8864);
		return;
	case HELP_MPLS_STACK:
		be(b, id << 12 | 0x140, 4);
		be(b, (id + 1) << 12 | 0x040, 4);
		be(b, (id + 2) << 12 | 0x040, 4);
		ethernet(b, 0x8847);
		return;
	default:
		be(b, id << 12 | 0x140, 4);
		ethernet(b, 0x8847);
		return;
	}
}

static void over_gre(struct back *b, enum help_tunnel kind, bool six, uint32_t id, uint16_t type)
{
	switch (kind) {
	case HELP_GRE_FULL:
		be(b, 77, 4);
		be(b, id, 4);
		be(b, 0xabcd0000, 4);
		be(b, 0xb0000000 | type, 4);
		break;
	case HELP_GRE_ETHERNET:
		be(b, id, 4);
		be(b, 0x20006558, 4);
		break;
	case HELP_GRE_MPLS:
		be(b, id << 12 | 0x140, 4);
		be(b, 0x8847, 4);
		break;
	case HELP_ERSPAN_1:
		be(b, 0x88be, 4);
		break;
	case HELP_ERSPAN_2:
		be(b, 0x1000000000000000 | (uint64_t)id << 48 | 5ull << 32, 8);
		be(b, 9, 4);
		be(b, 0x100088be, 4);
		break;
	case HELP_ERSPAN_3:
	case HELP_ERSPAN_3_MORE:
		if (kind == HELP_ERSPAN_3_MORE)
			be(b, 0x1111111111111111, 8);
		be(b, kind == HELP_ERSPAN_3_MORE, 4);
		be(b, 0x2000000000000000 | (uint64_t)id << 48 | 5ull << 32, 8);
		be(b, 9, 4);
		be(b, 0x100022eb, 4);
		break;
	default:
		be(b, type, 4);
		break;
	}
	ip(b, six, 47);
}

static void over_udp(struct back *b, enum help_tunnel kind, bool six, uint32_t id, uint16_t type)
{
	size_t n = size_of(b);

	switch (kind) {
	case HELP_VXLAN:
	case HELP_VXLAN_LINUX:
		be(b, 0x0800000000000000 | id << 8, 8);
		udp(b, six, kind == HELP_VXLAN ? 4789 : 8472);
		return;
	case HELP_GENEVE:
		be(b, 0x0000655800000000 | id << 8, 8);
		udp(b, six, 6081);
		return;
	case HELP_GENEVE_IP:
		be(b, 0x0102000100000001, 8);
		be(b, 0x0200000000000000 | (uint64_t)type << 32 | id << 8, 8);
		udp(b, six, 6081);
		return;
	case HELP_GTP_MORE:
		be(b, 0x0201020304050600, 8); /* PDU session container, two words */
		be(b, 0x01dd0085, 4);
		be(b, 0x00070020, 4);         /* then the first extension's type */
		n = size_of(b);
		be(b, 0x36ff000000000000 | (uint64_t)(n > 65535 ? 0 : n) << 32 | id, 8);
		udp(b, six, 2152);
		return;
	default:
		be(b, 0x30ff000000000000 | (uint64_t)(n > 65535 ? 0 : n) << 32 | id, 8);
		udp(b, six, 2152);
		return;
	}
}

static bool takes_frames(enum help_tunnel kind)
{
	return kind == HELP_MPLS_PW || kind == HELP_MPLS_BARE || kind == HELP_PBB ||
	       kind == HELP_GRE_ETHERNET || (kind >= HELP_ERSPAN_1 && kind <= HELP_GENEVE);
}

size_t help_tunnel(enum help_tunnel kind, bool six, uint32_t id, const uint8_t *in, size_t n,
		   uint8_t *out, size_t size)
{
	uint16_t type = (uint16_t)(in[12] << 8 | in[13]);
	struct back b = { out, size, size };

	if (takes_frames(kind))
		front(&b, in, n);
	else
		front(&b, in + 14, n - 14);
	if (kind == HELP_PBB) {
		be(&b, id, 4);
		ethernet(&b, 0x88e7);
	} else if (kind >= HELP_WLAN) {
		wlan(&b, kind, type);
	} else if (kind == HELP_IPIP) {
		ip(&b, six, type == 0x0800 ? 4 : 41);
	} else if (kind >= HELP_VXLAN) {
		over_udp(&b, kind, six, id, type);
	} else if (kind >= HELP_GRE) {
		over_gre(&b, kind, six, id, type);
	} else {
		if (kind == HELP_MPLS_PW)
			be(&b, 1, 4);
		over_ethernet(&b, kind, id, type);
	}
	memmove(out, out + b.at, size_of(&b));
	return size_of(&b);
}

size_t help_fragment(const uint8_t *in, uint32_t id, size_t skip, size_t n, bool last,
		     uint8_t *out, size_t size)
{
	bool six = in[12] == 0x86;
	struct back b = { out, size, size };
	uint8_t *p;

	front(&b, in + 14 + (six ? 40 : 20) + skip, n);
	if (six) {
		be(&b, (uint64_t)in[20] << 56 | skip << 32 | (last ? 0ull : 1ull << 32) | id, 8);
		p = front(&b, in + 14, 40);
		p[4] = (uint8_t)((n + 8) >> 8);
		p[5] = (uint8_t)(n + 8);
		p[6] = 44;
	} else {
		p = front(&b, in + 14, 20);
		p[2] = (uint8_t)((n + 20) >> 8);
		p[3] = (uint8_t)(n + 20);
		p[4] = (uint8_t)(id >> 8);
		p[5] = (uint8_t)id;
		p[6] = (uint8_t)(skip >> 11 | (last ? 0 : 0x20));
		p[7] = (uint8_t)(skip >> 3);
		ipv4_csum(p);
	}
	front(&b, in, 14);
	memmove(out, out + b.at, size_of(&b));
	return size_of(&b);
}
