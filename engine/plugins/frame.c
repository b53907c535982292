#include "plugins/frame.h"

#include <assert.h>
#include <string.h>

enum { PROTO_TCP = 6 };

/* Lengths of the headers. */
static const size_t ETHERNET = 14, IPV4 = 20, IPV6 = 40, TCP = 20, SYN_OPTIONS = 8;

static uint8_t *put16(uint8_t *p, unsigned v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
	return p + 2;
}

static uint8_t *put32(uint8_t *p, uint32_t v)
{
	return put16(put16(p, v >> 16), v & 0xffff);
}

static uint8_t *put_bytes(uint8_t *p, const uint8_t *from, size_t n)
{
	memcpy(p, from, n);
	return p + n;
}

/* The ones' complement sum of RFC 1071, not folded: 64 bits hold any frame's. */
static uint64_t sum(uint64_t s, const uint8_t *p, size_t n)
{
	uint64_t words = 0;
	uint32_t w[2];
	uint16_t folded;
	uint8_t pair[2];

	/* In the machine's byte order, which section 2(B) allows until the end. */
	for (; n >= sizeof w; p += sizeof w, n -= sizeof w) {
		memcpy(w, p, sizeof w);
		words += w[0];
		words += w[1];
	}
	while (words >> 16)
		words = (words & 0xffff) + (words >> 16);
	folded = (uint16_t)words;
	memcpy(pair, &folded, sizeof pair);
	s += (uint64_t)pair[0] << 8 | pair[1];
	for (; n > 1; p += 2, n -= 2)
		s += (uint64_t)p[0] << 8 | p[1];
	return n ? s + ((uint64_t)p[0] << 8) : s;
}

static unsigned checksum(uint64_t s)
{
	while (s >> 16)
		s = (s & 0xffff) + (s >> 16);
	return (unsigned)(~s & 0xffff);
}

/* A locally administered unicast address that tells the host it stands for: 02:00
 * and the IPv4 address, or 06 and the IPv6 address folded into five bytes. */
static uint8_t *put_mac(uint8_t *p, int family, const uint8_t *addr)
{
	memset(p, 0, 6);
	if (family == 4) {
		p[0] = 0x02;
		memcpy(p + 2, addr, 4);
		return p + 6;
	}
	for (unsigned i = 0; i < 16; i++)
		p[1 + (15 - i) % 5] ^= addr[i];
	p[0] = 0x06;
	return p + 6;
}

static uint8_t *put_ipv4(uint8_t *p, const struct lp_frame *f, size_t tcp_n)
{
	uint8_t *start = p;

	p = put16(p, 0x4500);
	p = put16(p, (unsigned)(IPV4 + tcp_n));
	p = put16(p, 0);      /* identification: means nothing with DF (RFC 6864) */
	p = put16(p, 0x4000); /* DF */
	p = put16(p, 64 << 8 | PROTO_TCP);
	p = put16(p, 0);
	p = put_bytes(p, f->src_addr, 4);
	p = put_bytes(p, f->dst_addr, 4);
	put16(start + 10, checksum(sum(0, start, IPV4)));
	return p;
}

static uint8_t *put_ipv6(uint8_t *p, const struct lp_frame *f, size_t tcp_n)
{
	p = put32(p, 0x60000000);
	p = put16(p, (unsigned)tcp_n);
	p = put16(p, PROTO_TCP << 8 | 64);
	p = put_bytes(p, f->src_addr, 16);
	return put_bytes(p, f->dst_addr, 16);
}

static uint8_t *put_tcp(uint8_t *p, const struct lp_frame *f, size_t tcp_n)
{
	size_t addr_n = f->family == 6 ? 16 : 4;
	size_t options = f->flags & LP_FRAME_SYN ? SYN_OPTIONS : 0;
	uint8_t *start = p;
	uint64_t s;

	p = put16(p, f->src_port);
	p = put16(p, f->dst_port);
	p = put32(p, f->seq);
	p = put32(p, f->ack);
	p = put16(p, (unsigned)((TCP + options) / 4 << 12) | f->flags);
	p = put16(p, 0xffff);
	p = put32(p, 0); /* checksum, urgent pointer */
	if (options) {
		p = put16(p, 0x0204); /* MSS */
		p = put16(p, f->family == 6 ? LP_FRAME_MSS6 : LP_FRAME_MSS4);
		p = put32(p, 0x01030300 | LP_FRAME_WINDOW_SCALE); /* NOP, window scale */
	}
	if (f->payload_n)
		p = put_bytes(p, f->payload, f->payload_n);
	s = sum(PROTO_TCP + tcp_n, f->src_addr, addr_n);
	s = sum(s, f->dst_addr, addr_n);
	put16(start + 16, checksum(sum(s, start, tcp_n)));
	return p;
}

size_t lp_frame_write(uint8_t out[LP_FRAME_MAX], const struct lp_frame *f)
{
	size_t tcp_n = TCP + (f->flags & LP_FRAME_SYN ? SYN_OPTIONS : 0) + f->payload_n;
	uint8_t *p = out;

	assert(ETHERNET + (f->family == 6 ? IPV6 : IPV4) + tcp_n <= LP_FRAME_MAX);
	p = put_mac(p, f->family, f->dst_addr);
	p = put_mac(p, f->family, f->src_addr);
	p = put16(p, f->family == 6 ? 0x86dd : 0x0800);
	p = f->family == 6 ? put_ipv6(p, f, tcp_n) : put_ipv4(p, f, tcp_n);
	p = put_tcp(p, f, tcp_n);
	return (size_t)(p - out);
}
