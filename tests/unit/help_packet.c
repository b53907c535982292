#include "help_packet.h"

#include <arpa/inet.h>
#include <check.h>
#include <string.h>

struct out {
	uint8_t *p;
	size_t n, size;
};

static void put(struct out *o, const void *p, size_t n)
{
	ck_assert_uint_le(n, o->size - o->n);
	if (n)
		memcpy(o->p + o->n, p, n);
	o->n += n;
}

static void put_be(struct out *o, uint32_t v, size_t width)
{
	for (size_t i = width; i-- > 0;) {
		uint8_t b = (uint8_t)(v >> 8 * i);

		put(o, &b, 1);
	}
}

static void set16(uint8_t *p, uint16_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

uint16_t help_packet_csum(const uint8_t *p, size_t n, uint32_t sum)
{
	for (size_t i = 0; i < n; i++) {
		sum += i % 2 ? p[i] : (uint32_t)p[i] << 8;
		sum = (sum & 0xffff) + (sum >> 16);
	}
	return (uint16_t)~sum;
}

static uint16_t make_csum(const uint8_t *p, size_t n, uint16_t pseudo, uint16_t no_length,
			  enum help_csum kind)
{
	uint16_t right = help_packet_csum(p, n, pseudo);

	switch (kind) {
	case HELP_RIGHT:
		return right;
	case HELP_PSEUDO:
		return pseudo;
	case HELP_PSEUDO_NO_LENGTH:
		return no_length;
	case HELP_BAD:
		return right ^ 0x5555;
	case HELP_ZERO:
		break;
	}
	return 0;
}

static void put_link(struct out *o, const struct help_packet *h, bool six, size_t inner)
{
	static const uint8_t mac[12] = { 2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1 };
	uint16_t type = h->ethertype ? h->ethertype : six ? 0x86dd : 0x0800;
	uint16_t first = h->tag[0].type ? h->tag[0].type : type;

	switch (h->link) {
	case HELP_NULL:
	case LP_LINK_LOOP:
		put_be(o, h->null_family ? h->null_family : six ? 30 : 2, 4);
		return;
	case HELP_ETHERNET:
	case LP_LINK_ETHERNET:
		put(o, mac, sizeof mac);
		break;
	case LP_LINK_LINUX_SLL:
		put_be(o, 4, 2);
		put_be(o, 1, 2);
		put_be(o, 6, 2);
		put(o, mac, 8);
		break;
	case LP_LINK_LINUX_SLL2:
		put_be(o, first, 2);
		put_be(o, 0, 2);
		put_be(o, 3, 4);
		put_be(o, 1, 2);
		put_be(o, 4 << 8 | 6, 2);
		put(o, mac, 8);
		break;
	default:
		return;
	}
	for (size_t i = 0; i < HELP_TAGS && h->tag[i].type; i++) {
		if (i || h->link != LP_LINK_LINUX_SLL2)
			put_be(o, h->tag[i].type, 2);
		put_be(o, h->tag[i].tci, 2);
	}
	if (h->snap) {
		put_be(o, (uint32_t)inner + 8, 2);
		put_be(o, 0xaaaa, 2);
		put_be(o, 0x03000000, 4);
	}
	if (h->link != LP_LINK_LINUX_SLL2 || h->tag[0].type || h->snap)
		put_be(o, type, 2);
}

static void put_ip(struct out *o, const struct help_packet *h, bool six, const uint8_t *src,
		   const uint8_t *dst, size_t transport)
{
	size_t start = o->n, len = h->ip_options_len + transport + (six ? 0 : 20);
	uint8_t proto = h->proto ? h->proto : 6;

	len = h->no_length ? 0 : (size_t)((int32_t)len + h->length_more);
	if (six) {
		put_be(o, 0x60000000, 4);
		put_be(o, (uint32_t)len, 2);
		put_be(o, h->ip_options_len ? h->first_ext : proto, 1);
		put_be(o, 64, 1);
	} else {
		put_be(o, (uint32_t)(0x45 + h->ip_options_len / 4), 1);
		put_be(o, 0, 1);
		put_be(o, (uint32_t)len, 2);
		put_be(o, 0x1234, 2);
		put_be(o, h->fragment, 2);
		put_be(o, 64, 1);
		put_be(o, proto, 1);
		put_be(o, 0, 2);
	}
	put(o, src, six ? 16 : 4);
	put(o, dst, six ? 16 : 4);
	put(o, h->ip_options, h->ip_options_len);
	if (!six)
		set16(o->p + start + 10, make_csum(o->p + start, o->n - start, 0, 0, h->ip_csum));
}

static void put_tcp(struct out *o, const struct help_packet *h, size_t addr, const uint8_t *src,
		    const uint8_t *dst)
{
	size_t start = o->n, n = 20 + h->options_len + h->len;
	uint8_t addrs[32];
	uint16_t pseudo, no_length;

	put_be(o, h->sport ? h->sport : 1000, 2);
	put_be(o, h->dport ? h->dport : 443, 2);
	put_be(o, h->seq, 4);
	put_be(o, h->ack, 4);
	put_be(o, (h->offset ? h->offset : 5 + (uint32_t)h->options_len / 4) << 4 & 0xf0, 1);
	put_be(o, h->flags, 1);
	put_be(o, h->window ? h->window : 65535, 2);
	put_be(o, 0, 2);
	put_be(o, h->urgent, 2);
	put(o, h->options, h->options_len);
	put(o, h->payload, h->len);
	memcpy(addrs, src, addr);
	memcpy(addrs + addr, dst, addr);
	no_length = (uint16_t)~help_packet_csum(addrs, 2 * addr, 6);
	pseudo = (uint16_t)~help_packet_csum(addrs, 2 * addr,
					     6 + (uint32_t)(n >> 16) + (uint32_t)(n & 0xffff));
	set16(o->p + start + 16, make_csum(o->p + start, n, pseudo, no_length, h->csum));
}

struct lp_wire help_packet(const struct help_packet *h, uint8_t *out, size_t size)
{
	struct out o = { out, 0, size };
	const char *src_text = h->src ? h->src : "10.0.0.1";
	const char *dst_text = h->dst ? h->dst : "10.0.0.2";
	bool six = strchr(src_text, ':') != NULL;
	uint8_t src[16], dst[16], pseudo_dst[16];
	size_t transport = h->raw ? h->len : 20 + h->options_len + h->len;
	uint32_t link = h->link == HELP_ETHERNET ? LP_LINK_ETHERNET
			: h->link == HELP_NULL	 ? LP_LINK_NULL
						 : (uint32_t)h->link;

	ck_assert_int_eq(inet_pton(six ? AF_INET6 : AF_INET, src_text, src), 1);
	ck_assert_int_eq(inet_pton(six ? AF_INET6 : AF_INET, dst_text, dst), 1);
	ck_assert_int_eq(inet_pton(six ? AF_INET6 : AF_INET,
				   h->pseudo_dst ? h->pseudo_dst : dst_text, pseudo_dst), 1);
	put_link(&o, h, six, transport + h->ip_options_len + (six ? 40 : 20));
	put_ip(&o, h, six, src, dst, transport);
	if (h->raw)
		put(&o, h->payload, h->len);
	else
		put_tcp(&o, h, six ? 16 : 4, src, pseudo_dst);
	for (size_t i = 0; i < h->pad; i++)
		put_be(&o, 0xee, 1);
	return (struct lp_wire){
		.data = out,
		.caplen = h->snaplen && h->snaplen < o.n ? h->snaplen : (uint32_t)o.n,
		.len = (uint32_t)o.n,
		.ts_ns = h->ts_ns,
		.number = h->number,
		.link = link,
	};
}
