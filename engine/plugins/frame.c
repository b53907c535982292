#include "plugins/frame.h"

#include <assert.h>
#include <string.h>

#include "base/sum.h"

enum { PROTO_TCP = 6 };

/* Lengths of the headers. */
enum { ETHERNET = 14, IPV4 = 20, IPV6 = 40, TCP = 20 };

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

static uint8_t *put_ipv4(uint8_t *p, const struct lp_frame_ends *ends)
{
	p = put32(p, 0x45000000);
	p = put16(p, 0);      /* identification: means nothing with DF (RFC 6864) */
	p = put16(p, 0x4000); /* DF */
	p = put32(p, (64 << 8 | PROTO_TCP) << 16);
	p = put_bytes(p, ends->src_addr, 4);
	return put_bytes(p, ends->dst_addr, 4);
}

static uint8_t *put_ipv6(uint8_t *p, const struct lp_frame_ends *ends)
{
	p = put32(p, 0x60000000);
	p = put32(p, PROTO_TCP << 8 | 64);
	p = put_bytes(p, ends->src_addr, 16);
	return put_bytes(p, ends->dst_addr, 16);
}

void lp_frame_begin(struct lp_frame_way *w, const struct lp_frame_ends *ends)
{
	const uint8_t family = ends->family == 6 ? 6 : 4;
	uint8_t *p = w->head, *ip = w->head + ETHERNET, *tcp;

	*w = (struct lp_frame_way){ .family = family };
	p = put_mac(p, family, ends->dst_addr);
	p = put_mac(p, family, ends->src_addr);
	p = put16(p, family == 6 ? 0x86dd : 0x0800);
	tcp = p = family == 6 ? put_ipv6(p, ends) : put_ipv4(p, ends);
	p = put16(p, ends->src_port);
	p = put16(p, ends->dst_port);
	put16(p + 10, 0xffff); /* window */
	w->ip_sum = lp_sum_header(ip, IPV4);
	w->tcp_sum = lp_sum_header(tcp, TCP) +
		     lp_sum_pseudo(family, ends->src_addr, ends->dst_addr, 0, PROTO_TCP);
}

static inline void put_checksum(uint8_t *p, uint64_t sum)
{
	const uint16_t field = (uint16_t)~lp_sum_fold(sum);

	memcpy(p, &field, sizeof field);
}

static void put_options(uint8_t *p, int family)
{
	p = put16(p, 0x0204); /* MSS */
	p = put16(p, family == 6 ? LP_FRAME_MSS6 : LP_FRAME_MSS4);
	put32(p, 0x01030300 | LP_FRAME_WINDOW_SCALE); /* NOP, window scale */
}

/* p: n bytes, which begin with the header as lp_frame_begin() left it. The sum is made of what is known, not of what was
 * just put there: a load over several stores waits until all of them are through. */
static inline void put_tcp(uint8_t *p, const struct lp_frame_way *w, const struct lp_frame *f,
			   size_t n)
{
	const size_t header = n - f->payload_n;
	const uint16_t offset = (uint16_t)(header / 4 << 12 | f->flags);
	uint64_t sum = w->tcp_sum + htons((uint16_t)n) + htons(offset);

	sum += htonl(f->seq);
	sum += htonl(f->ack);
	put32(p + 4, f->seq);
	put32(p + 8, f->ack);
	put16(p + 12, offset);
	if (header > TCP) {
		put_options(p + TCP, w->family);
		sum += lp_sum_header(p + TCP, LP_FRAME_SYN_OPTIONS);
	}
	if (f->payload_n) {
		sum = lp_sum_add(sum, f->payload, f->payload_n);
		memcpy(p + header, f->payload, f->payload_n);
	}
	put_checksum(p + 16, sum);
}

void lp_frame_write(uint8_t *out, const struct lp_frame_way *w, const struct lp_frame *f)
{
	const size_t n = lp_frame_length(w, f) - ETHERNET;
	uint8_t *ip = out + ETHERNET;

	assert(n <= LP_FRAME_MAX - ETHERNET);
	if (w->family == 6) {
		memcpy(out, w->head, LP_FRAME_HEAD6);
		put16(ip + 4, (unsigned)(n - IPV6));
		put_tcp(ip + IPV6, w, f, n - IPV6);
		return;
	}
	memcpy(out, w->head, LP_FRAME_HEAD4);
	put16(ip + 2, (unsigned)n);
	put_checksum(ip + 10, w->ip_sum + htons((uint16_t)n));
	put_tcp(ip + IPV4, w, f, n - IPV4);
}
