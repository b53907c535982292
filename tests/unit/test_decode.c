/* net/decode: every link type, tags, IP headers good and bad, TCP, and cuts. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "help_packet.h"
#include "net/checksum.h"
#include "net/decode.h"

static const char text[] = "sixteen bytes!!!";
enum { TEXT = sizeof text - 1 };

static struct lp_decode *made(enum lp_checksums checksums, bool ignore_domain, uint32_t domains)
{
	struct lp_decode_config config;
	struct lp_decode *d;

	lp_decode_config_default(&config);
	ck_assert_int_eq(config.checksums, LP_CHECKSUMS_AUTO);
	config.checksums = checksums;
	config.ignore_domain = ignore_domain;
	if (domains)
		config.max_domains = domains;
	config.seed = (struct lp_hash_seed){ 1, 2 };
	ck_assert_int_eq(lp_decode_new(&d, &config), LP_OK);
	return d;
}

/* Frees the decoder; its counters must account for every packet. */
static void done(struct lp_decode *d, uint64_t read)
{
	struct lp_decode_stats s;
	uint64_t sum = 0, csum = 0;

	lp_decode_stats(d, &s);
	for (int i = 0; i < LP_DROPS; i++)
		sum += s.drop[i];
	for (int i = 0; i < 4; i++)
		csum += s.csum[i];
	ck_assert_uint_eq(s.read, read);
	ck_assert_uint_eq(s.read, sum);
	ck_assert_uint_eq(s.drop[LP_DROP_NONE], csum);
	lp_decode_free(d);
}

static void assert_inside(const struct lp_wire *p, const void *at, size_t n)
{
	const uint8_t *b = at;

	ck_assert(b >= p->data && b + n <= p->data + p->caplen);
}

/* All of it lies in the packet, and adds up. */
static void assert_sound(const struct lp_wire *p, const struct lp_segment *s)
{
	size_t addr = s->family == 4 ? 4 : 16;

	ck_assert(s->family == 4 || s->family == 6);
	assert_inside(p, s->src, addr);
	assert_inside(p, s->dst, addr);
	assert_inside(p, s->tcp, s->tcp_len);
	assert_inside(p, s->options, s->options_len);
	assert_inside(p, s->payload, s->payload_len);
	ck_assert_uint_eq(s->tcp_len, 20 + s->options_len + s->payload_len);
	ck_assert_ptr_eq(s->tcp + 20, s->options);
	ck_assert_ptr_eq(s->options + s->options_len, s->payload);
	ck_assert_uint_ge(s->wire_len, s->payload_len);
}

/* Decodes h from memory that ends where the packet does, so that ASan sees a byte
 * too many. */
static enum lp_drop decode(struct lp_decode *d, const struct help_packet *h,
			   struct lp_segment *s, uint8_t payload[TEXT])
{
	static uint8_t bytes[HELP_PACKET_MAX];
	struct lp_wire p = help_packet(h, bytes, sizeof bytes);
	uint8_t *exact = malloc(p.caplen ? p.caplen : 1);
	enum lp_drop drop;

	ck_assert_ptr_nonnull(exact);
	memcpy(exact, p.data, p.caplen);
	p.data = exact;
	memset(s, 0xa5, sizeof *s);
	drop = lp_decode_packet(d, &p, s);
	if (!drop) {
		assert_sound(&p, s);
		ck_assert_uint_eq(s->number, h->number);
		ck_assert_uint_eq(s->ts_ns, h->ts_ns);
		if (payload) {
			ck_assert_uint_ge(s->payload_len, TEXT);
			memcpy(payload, s->payload, TEXT);
		}
	}
	free(exact);
	return drop;
}

static enum lp_drop decode_once(const struct help_packet *h, struct lp_segment *s)
{
	struct lp_decode *d = made(LP_CHECKSUMS_AUTO, false, 0);
	enum lp_drop drop = decode(d, h, s, NULL);

	done(d, 1);
	return drop;
}

static const int links[] = { HELP_ETHERNET, HELP_NULL, LP_LINK_RAW, LP_LINK_LOOP,
			     LP_LINK_LINUX_SLL, LP_LINK_LINUX_SLL2 };
enum { LINKS = sizeof links / sizeof links[0] };

static void assert_text(struct lp_decode *d, const struct help_packet *h, struct lp_segment *s)
{
	uint8_t payload[TEXT];

	ck_assert_str_eq(lp_decode_drop_name(decode(d, h, s, payload)), "tcp");
	ck_assert_uint_eq(s->payload_len, TEXT);
	ck_assert_uint_eq(s->wire_len, TEXT);
	ck_assert_mem_eq(payload, text, TEXT);
	ck_assert_int_eq(s->csum, LP_CSUM_GOOD);
}

START_TEST(every_link_type)
{
	struct lp_decode *d = made(LP_CHECKSUMS_AUTO, false, 0);
	struct lp_segment s;
	uint64_t n = 0;

	for (size_t i = 0; i < LINKS + 1; i++) {
		struct help_packet h = { .payload = text, .len = TEXT };

		h.link = i < LINKS ? links[i] : LP_LINK_IPV4;
		assert_text(d, &h, &s);
		ck_assert_uint_eq(s.family, 4);
		h.src = "2001:db8::1";
		h.dst = "2001:db8::2";
		h.link = i < LINKS ? links[i] : LP_LINK_IPV6;
		assert_text(d, &h, &s);
		ck_assert_uint_eq(s.family, 6);
		n += 2;
	}
	done(d, n);
}
END_TEST

START_TEST(all_families_of_the_loopback)
{
	static const uint32_t six[] = { 10, 24, 28, 30 };
	struct lp_decode *d = made(LP_CHECKSUMS_AUTO, false, 0);
	struct lp_segment s;
	uint64_t n = 0;

	for (int link = 0; link < 2; link++) {
		for (int i = 0; i < 10; i++) {
			uint32_t family = i < 8 ? six[i / 2] : 2;
			struct help_packet h = { .payload = text, .len = TEXT };

			h.link = link ? HELP_NULL : LP_LINK_LOOP;
			h.null_family = i % 2 ? __builtin_bswap32(family) : family;
			if (i < 8) {
				h.src = "fe80::1";
				h.dst = "fe80::2";
			}
			assert_text(d, &h, &s);
			n++;
		}
	}
	{
		struct help_packet h = { .link = HELP_NULL, .null_family = 7 };

		ck_assert_int_eq(decode(d, &h, &s, NULL), LP_DROP_NOT_IP);
	}
	done(d, n + 1);
}
END_TEST

START_TEST(every_field_of_a_segment)
{
	static const uint8_t options[] = { 2, 4, 5, 0xb4, 1, 1, 4, 2 };
	struct help_packet h = {
		.src = "192.0.2.7", .dst = "198.51.100.9", .sport = 40001, .dport = 8443,
		.seq = 0xfffffff0, .ack = 0x80000001, .flags = LP_TCP_SYN | LP_TCP_URG,
		.window = 4321, .urgent = 17, .options = options, .options_len = sizeof options,
		.payload = text, .len = TEXT, .ts_ns = 1700000000123456789ULL, .number = 42,
	};
	uint8_t bytes[HELP_PACKET_MAX];
	struct lp_wire p = help_packet(&h, bytes, sizeof bytes);
	struct lp_decode *d = made(LP_CHECKSUMS_ON, false, 0);
	struct lp_segment s;

	ck_assert_int_eq(lp_decode_packet(d, &p, &s), LP_DROP_NONE);
	assert_sound(&p, &s);
	ck_assert_mem_eq(s.src, "\xc0\x00\x02\x07", 4);
	ck_assert_mem_eq(s.dst, "\xc6\x33\x64\x09", 4);
	ck_assert_uint_eq(s.sport, 40001);
	ck_assert_uint_eq(s.dport, 8443);
	ck_assert_uint_eq(s.seq, 0xfffffff0);
	ck_assert_uint_eq(s.ack, 0x80000001);
	ck_assert_uint_eq(s.flags, LP_TCP_SYN | LP_TCP_URG);
	ck_assert_uint_eq(s.window, 4321);
	ck_assert_uint_eq(s.urgent, 17);
	ck_assert_uint_eq(s.options_len, sizeof options);
	ck_assert_mem_eq(s.options, options, sizeof options);
	ck_assert_uint_eq(s.domain, 0);
	ck_assert_uint_eq(s.number, 42);
	ck_assert_uint_eq(s.ts_ns, 1700000000123456789ULL);
	done(d, 1);
}
END_TEST

/* ---- tags ---- */

static struct help_packet tagged(size_t n, uint16_t type, uint16_t first)
{
	struct help_packet h = { .payload = text, .len = TEXT };

	for (size_t i = 0; i < n; i++) {
		h.tag[i].type = type;
		h.tag[i].tci = (uint16_t)(0x2000 | (first + i));
	}
	return h;
}

START_TEST(tags_make_the_domain)
{
	struct lp_decode *d = made(LP_CHECKSUMS_AUTO, false, 0);
	static const uint16_t types[] = { 0x8100, 0x88a8, 0x9100 };
	static const int tagged_links[] = { HELP_ETHERNET, LP_LINK_LINUX_SLL, LP_LINK_LINUX_SLL2 };
	uint32_t domain[9];
	struct lp_segment s;
	uint64_t n = 0;

	for (size_t deep = 0; deep <= 8; deep++) {
		for (int i = 0; i < 9; i++) {
			struct help_packet h = tagged(deep, types[i % 3], 100);

			h.link = tagged_links[i / 3];
			assert_text(d, &h, &s);
			/* The numbers count, not the kind of tag or of link. */
			if (i)
				ck_assert_uint_eq(s.domain, domain[deep]);
			domain[deep] = s.domain;
			n++;
		}
		for (size_t i = 0; i < deep; i++)
			ck_assert_uint_ne(domain[i], domain[deep]);
	}
	ck_assert_uint_eq(domain[0], 0);
	ck_assert_uint_eq(domain[1], 100);
	ck_assert_uint_eq(domain[2], 100 << 12 | 101);
	done(d, n);
}
END_TEST

START_TEST(tags_of_no_vlan)
{
	struct lp_decode *d = made(LP_CHECKSUMS_AUTO, false, 0);
	struct help_packet h = tagged(2, 0x8100, 5);
	struct lp_segment s;

	h.tag[0].tci = 0xe000;
	assert_text(d, &h, &s);
	ck_assert_uint_eq(s.domain, 6);
	h.tag[0].tci = 0x0006;
	h.tag[1].tci = 0xe000;
	assert_text(d, &h, &s);
	ck_assert_uint_eq(s.domain, 6);
	done(d, 2);
}
END_TEST

START_TEST(tags_too_many)
{
	struct lp_segment s;
	struct help_packet h = tagged(9, 0x8100, 1);

	ck_assert_int_eq(decode_once(&h, &s), LP_DROP_VLAN_DEPTH);
	/* Tags within SNAP within tags count together. */
	h = tagged(8, 0x8100, 1);
	h.snap = true;
	ck_assert_int_eq(decode_once(&h, &s), LP_DROP_NONE);
	h.ethertype = 0x8100;
	ck_assert_int_eq(decode_once(&h, &s), LP_DROP_VLAN_DEPTH);
}
END_TEST

START_TEST(tags_ignored)
{
	struct lp_decode *d = made(LP_CHECKSUMS_AUTO, true, 0);
	struct lp_segment s;

	for (size_t deep = 0; deep <= 8; deep++) {
		struct help_packet h = tagged(deep, 0x8100, 100);

		assert_text(d, &h, &s);
		ck_assert_uint_eq(s.domain, 0);
	}
	done(d, 9);
}
END_TEST

START_TEST(domain_table_fills)
{
	struct lp_decode *d = made(LP_CHECKSUMS_AUTO, false, 10);
	struct lp_decode_stats stats;
	struct lp_segment s;
	uint32_t domain[10];

	for (int round = 0; round < 2; round++) {
		for (int i = 0; i < 12; i++) {
			struct help_packet h = tagged(3, 0x8100, (uint16_t)(1 + i));
			enum lp_drop drop = decode(d, &h, &s, NULL);

			ck_assert_int_eq(drop, i < 10 ? LP_DROP_NONE : LP_DROP_DOMAIN_LIMIT);
			if (i < 10 && round)
				ck_assert_uint_eq(domain[i], s.domain);
			else if (i < 10)
				domain[i] = s.domain;
			for (int k = 0; i < 10 && k < i; k++)
				ck_assert_uint_ne(domain[k], domain[i]);
		}
	}
	lp_decode_stats(d, &stats);
	ck_assert_uint_eq(stats.domains, 10);
	ck_assert_uint_eq(stats.drop[LP_DROP_DOMAIN_LIMIT], 4);
	done(d, 24);
}
END_TEST

/* ---- what is not IP ---- */

START_TEST(snap_and_other_llc)
{
	uint8_t bytes[HELP_PACKET_MAX];
	struct lp_decode *d = made(LP_CHECKSUMS_AUTO, false, 0);
	struct help_packet h = { .snap = true, .payload = text, .len = TEXT };
	struct lp_segment s;
	struct lp_wire p;

	assert_text(d, &h, &s);
	p = help_packet(&h, bytes, sizeof bytes);
	bytes[19] = 0xf8; /* 802.1H */
	ck_assert_int_eq(lp_decode_packet(d, &p, &s), LP_DROP_NONE);
	bytes[19] = 0x0c; /* Cisco */
	ck_assert_int_eq(lp_decode_packet(d, &p, &s), LP_DROP_LLC);
	bytes[14] = 0x42; /* spanning tree */
	ck_assert_int_eq(lp_decode_packet(d, &p, &s), LP_DROP_LLC);
	p.caplen = p.len = 17;
	ck_assert_int_eq(lp_decode_packet(d, &p, &s), LP_DROP_LLC);
	p.len = 60;
	ck_assert_int_eq(lp_decode_packet(d, &p, &s), LP_DROP_TRUNCATED);
	done(d, 6);
}
END_TEST

START_TEST(others_by_name)
{
	static const struct {
		uint16_t ethertype;
		const char *name;
	} types[] = {
		{ 0x0806, "arp" }, { 0x8035, "arp" },
		{ 0x8863, "pppoe" }, { 0x8864, "pppoe" },
		{ 0x88cc, "not-ip" }, { 1501, "not-ip" },
	};
	static const struct {
		uint8_t proto;
		const char *name;
	} protos[] = {
		{ 17, "not-tcp-udp" }, { 1, "not-tcp-icmp" }, { 58, "not-tcp-icmp6" },
		{ 2, "not-tcp-igmp" }, { 132, "not-tcp-sctp" }, { 50, "not-tcp-esp" },
		{ 59, "not-tcp-none" }, { 89, "not-tcp-other" },
	};
	struct lp_segment s;

	for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
		struct help_packet h = { .ethertype = types[i].ethertype };

		ck_assert_str_eq(lp_decode_drop_name(decode_once(&h, &s)), types[i].name);
	}
	for (size_t i = 0; i < sizeof protos / sizeof protos[0]; i++) {
		struct help_packet h = { .proto = protos[i].proto };

		ck_assert_str_eq(lp_decode_drop_name(decode_once(&h, &s)), protos[i].name);
		h.src = "fe80::1";
		h.dst = "fe80::2";
		ck_assert_str_eq(lp_decode_drop_name(decode_once(&h, &s)), protos[i].name);
	}
	for (int i = 0; i < LP_DROPS; i++) {
		ck_assert_uint_gt(strlen(lp_decode_drop_text((enum lp_drop)i)), 2);
		for (int k = 0; k < i; k++)
			ck_assert_str_ne(lp_decode_drop_name((enum lp_drop)i),
					 lp_decode_drop_name((enum lp_drop)k));
	}
}
END_TEST

START_TEST(links_that_are_not_ours)
{
	struct lp_decode *d = made(LP_CHECKSUMS_AUTO, false, 0);
	uint8_t bytes[HELP_PACKET_MAX];
	struct help_packet h = { .link = LP_LINK_LINUX_SLL };
	struct lp_wire p = help_packet(&h, bytes, sizeof bytes);
	struct lp_segment s;

	bytes[2] = 824 >> 8; /* netlink: the protocol field is a family there */
	bytes[3] = 824 & 0xff;
	ck_assert_int_eq(lp_decode_packet(d, &p, &s), LP_DROP_NOT_IP);
	bytes[2] = 0;
	bytes[3] = 1;
	ck_assert_int_eq(lp_decode_packet(d, &p, &s), LP_DROP_NONE);
	bytes[14] = 0;
	bytes[15] = 1;
	ck_assert_int_eq(lp_decode_packet(d, &p, &s), LP_DROP_LLC);
	bytes[15] = 4;
	ck_assert_int_eq(lp_decode_packet(d, &p, &s), LP_DROP_LLC);
	bytes[15] = 12; /* CAN */
	ck_assert_int_eq(lp_decode_packet(d, &p, &s), LP_DROP_NOT_IP);
	p.link = 147;
	ck_assert_int_eq(lp_decode_packet(d, &p, &s), LP_DROP_LINK);
	p.link = LP_LINK_RAW;
	bytes[0] = 0x50;
	ck_assert_int_eq(lp_decode_packet(d, &p, &s), LP_DROP_NOT_IP);
	done(d, 7);
}
END_TEST

/* ---- IPv4 ---- */

START_TEST(ipv4_header_that_lies)
{
	static const uint8_t lies[][2] = { { 0x65, 0 }, { 0x44, 0 }, { 0x40, 0 }, { 0x35, 0 } };
	struct lp_decode *d = made(LP_CHECKSUMS_OFF, false, 0);
	uint8_t bytes[HELP_PACKET_MAX];
	struct help_packet h = { .payload = text, .len = TEXT };
	struct lp_wire p = help_packet(&h, bytes, sizeof bytes);
	struct lp_segment s;

	for (size_t i = 0; i < sizeof lies / sizeof lies[0]; i++) {
		bytes[14] = lies[i][0];
		ck_assert_int_eq(lp_decode_packet(d, &p, &s), LP_DROP_IP_HEADER);
	}
	bytes[14] = 0x45;
	bytes[17] = 19; /* a total length below the header's */
	ck_assert_int_eq(lp_decode_packet(d, &p, &s), LP_DROP_IP_HEADER);
	bytes[17] = 39; /* not enough for TCP */
	ck_assert_int_eq(lp_decode_packet(d, &p, &s), LP_DROP_TCP_HEADER);
	bytes[17] = 40;
	ck_assert_int_eq(lp_decode_packet(d, &p, &s), LP_DROP_NONE);
	ck_assert_uint_eq(s.wire_len, 0);
	done(d, 7);
}
END_TEST

START_TEST(ipv4_options_and_padding)
{
	static const uint8_t options[40] = { 7, 39, 4 }; /* record route */
	struct lp_decode *d = made(LP_CHECKSUMS_ON, false, 0);
	struct lp_segment s;
	uint64_t n = 0;

	for (size_t len = 0; len <= sizeof options; len += 4) {
		for (size_t pad = 0; pad < 50; pad += 7, n++) {
			struct help_packet h = { .payload = text, .len = TEXT, .pad = pad,
						 .ip_options = options, .ip_options_len = len };

			assert_text(d, &h, &s);
		}
	}
	{
		/* A bare ACK in the smallest Ethernet frame: no payload, whatever follows. */
		struct help_packet h = { .pad = 6, .flags = LP_TCP_ACK };

		ck_assert_int_eq(decode(d, &h, &s, NULL), LP_DROP_NONE);
		ck_assert_uint_eq(s.payload_len, 0);
		ck_assert_uint_eq(s.wire_len, 0);
	}
	done(d, n + 1);
}
END_TEST

START_TEST(ipv4_checksum_by_mode)
{
	static const enum lp_drop want[3][3] = {
		[LP_CHECKSUMS_AUTO] = { LP_DROP_NONE, LP_DROP_IP_CSUM, LP_DROP_NONE },
		[LP_CHECKSUMS_ON] = { LP_DROP_NONE, LP_DROP_IP_CSUM, LP_DROP_IP_CSUM },
		[LP_CHECKSUMS_OFF] = { LP_DROP_NONE, LP_DROP_NONE, LP_DROP_NONE },
	};
	static const enum help_csum kinds[] = { HELP_RIGHT, HELP_BAD, HELP_ZERO };

	for (int mode = 0; mode < 3; mode++) {
		struct lp_decode *d = made((enum lp_checksums)mode, false, 0);
		struct lp_decode_stats stats;
		struct lp_segment s;

		for (int i = 0; i < 3; i++) {
			struct help_packet h = { .ip_csum = kinds[i] };

			ck_assert_int_eq(decode(d, &h, &s, NULL), want[mode][i]);
		}
		lp_decode_stats(d, &stats);
		ck_assert_uint_eq(stats.ip_csum_offload, mode == LP_CHECKSUMS_AUTO);
		done(d, 3);
	}
}
END_TEST

/* A tag of no VLAN says nothing, but nothing plain has one: the same packet with it goes through
 * the layers. */
static void assert_as_layers(struct lp_decode *const d[2], const struct lp_wire *p)
{
	struct lp_decode_stats stats[2];
	struct lp_wire q[2] = { *p, *p };
	struct lp_segment s[2];
	enum lp_drop drop[2];

	for (int i = 0; i < 2; i++) {
		size_t more = i && p->caplen >= 12 ? 4 : 0;
		uint8_t *exact = malloc(p->caplen + more ? p->caplen + more : 1);

		ck_assert_ptr_nonnull(exact);
		memcpy(exact, p->data, p->caplen);
		if (more) {
			memcpy(exact + 12, (const uint8_t[]){ 0x81, 0, 0, 0 }, 4);
			memcpy(exact + 16, p->data + 12, p->caplen - 12);
		}
		q[i].data = exact;
		q[i].caplen += (uint32_t)more;
		q[i].len += (uint32_t)more;
		memset(&s[i], 0xa5, sizeof s[i]);
		drop[i] = lp_decode_packet(d[i], &q[i], &s[i]);
		lp_decode_stats(d[i], &stats[i]);
		if (!drop[i]) {
			const uint8_t **at[] = { &s[i].src, &s[i].dst, &s[i].tcp, &s[i].options,
						 &s[i].payload };

			assert_sound(&q[i], &s[i]);
			for (size_t k = 0; k < sizeof at / sizeof at[0]; k++)
				*at[k] = p->data + (*at[k] - exact) - more;
		}
		free(exact);
	}
	ck_assert_int_eq(drop[0], drop[1]);
	ck_assert_mem_eq(&stats[0], &stats[1], sizeof stats[0]);
	if (!drop[0])
		ck_assert_mem_eq(&s[0], &s[1], sizeof s[0]);
}

START_TEST(plain_as_layer_by_layer)
{
	static const uint8_t options[12] = { 1, 1, 8, 10 };
	static const uint8_t values[] = { 0, 1, 4, 5, 6, 17, 0x20, 0x40, 0x44, 0x46, 0x50, 0x7f, 0xff };
	struct help_packet h = { .payload = text, .len = TEXT, .flags = LP_TCP_ACK, .seq = 7,
				 .options = options, .options_len = sizeof options, .pad = 3,
				 .ts_ns = 77, .number = 5 };
	uint8_t bytes[HELP_PACKET_MAX];
	struct lp_decode_config config;
	struct lp_wire p, cut;
	struct lp_decode *d[2];
	uint8_t was;

	if (_i / 6) {
		h.src = "2001:db8::1";
		h.dst = "2001:db8::2";
	}
	p = cut = help_packet(&h, bytes, sizeof bytes);
	lp_decode_config_default(&config);
	config.checksums = (enum lp_checksums)(_i % 3);
	config.checksums_later = _i / 3 % 2;
	for (int i = 0; i < 2; i++)
		ck_assert_int_eq(lp_decode_new(&d[i], &config), LP_OK);
	assert_as_layers(d, &p);
	/* Each byte of it, but for the payload, as something else. */
	for (size_t at = 12; at < p.caplen - TEXT; at++) {
		was = bytes[at];
		for (size_t i = 0; i < sizeof values; i++) {
			bytes[at] = values[i];
			assert_as_layers(d, &p);
			bytes[at] = (uint8_t)(was + values[i]);
			assert_as_layers(d, &p);
		}
		bytes[at] = was;
	}
	for (cut.caplen = 0; cut.caplen < p.caplen; cut.caplen++) {
		cut.len = cut.caplen;
		assert_as_layers(d, &cut);
		cut.len = p.len;
		assert_as_layers(d, &cut);
	}
	lp_decode_free(d[0]);
	lp_decode_free(d[1]);
}
END_TEST

START_TEST(authentication_header)
{
	/* Next header TCP, 4 words less 2 plus 12 bytes of check value. */
	static const uint8_t ah[24] = { 6, 4, 0, 0, 0, 0, 1, 0 };
	uint8_t bytes[HELP_PACKET_MAX], inner[100];
	struct help_packet h = { .link = LP_LINK_RAW, .payload = text, .len = TEXT };
	struct lp_wire p = help_packet(&h, bytes, sizeof bytes);
	struct lp_segment s;

	memcpy(inner, ah, sizeof ah);
	memcpy(inner + sizeof ah, bytes + 20, p.caplen - 20);
	h = (struct help_packet){ .proto = 51, .raw = true, .payload = inner,
				  .len = sizeof ah + p.caplen - 20 };
	ck_assert_int_eq(decode_once(&h, &s), LP_DROP_NONE);
	ck_assert_uint_eq(s.payload_len, TEXT);
	ck_assert_int_eq(s.csum, LP_CSUM_GOOD);
	inner[1] = 200;
	ck_assert_int_eq(decode_once(&h, &s), LP_DROP_SHORT);
}
END_TEST

/* ---- segmentation offload ---- */

START_TEST(no_length_is_offload)
{
	static const char *const from[] = { NULL, "2001:db8::1" };
	static const char *const to[] = { NULL, "2001:db8::2" };
	static uint8_t payload[60000];
	static const struct {
		enum help_csum csum;
		enum lp_csum is;
	} kinds[] = {
		{ HELP_RIGHT, LP_CSUM_GOOD },
		{ HELP_PSEUDO, LP_CSUM_PSEUDO },
		{ HELP_PSEUDO_NO_LENGTH, LP_CSUM_PSEUDO },
		{ HELP_BAD, LP_CSUM_BAD },
	};
	struct lp_segment s;

	for (size_t i = 0; i < sizeof payload; i++)
		payload[i] = (uint8_t)(i * 7 + i / 256);
	for (int i = 0; i < 8; i++) {
		struct help_packet h = { .src = from[i % 2], .dst = to[i % 2], .no_length = true,
					 .payload = payload, .len = sizeof payload,
					 .csum = kinds[i / 2].csum };

		ck_assert_int_eq(decode_once(&h, &s), LP_DROP_NONE);
		ck_assert_uint_eq(s.payload_len, sizeof payload);
		ck_assert_uint_eq(s.wire_len, sizeof payload);
		ck_assert_int_eq(s.csum, kinds[i / 2].is);
		/* By the length on the wire when the capture is cut. */
		h.snaplen = 200;
		ck_assert_int_eq(decode_once(&h, &s), LP_DROP_NONE);
		ck_assert_uint_eq(s.wire_len, sizeof payload);
		ck_assert_int_eq(s.csum, LP_CSUM_UNKNOWN);
		/* The same with its length stated. */
		h.no_length = false;
		h.snaplen = 0;
		if (h.csum != HELP_PSEUDO_NO_LENGTH) {
			ck_assert_int_eq(decode_once(&h, &s), LP_DROP_NONE);
			ck_assert_uint_eq(s.payload_len, sizeof payload);
			ck_assert_int_eq(s.csum, kinds[i / 2].is);
		}
	}
}
END_TEST

START_TEST(no_length_but_padding)
{
	struct help_packet h = { .no_length = true, .pad = 6 };
	struct lp_wire p = { .link = LP_LINK_RAW };
	struct lp_decode *d = made(LP_CHECKSUMS_OFF, false, 0);
	uint8_t bytes[HELP_PACKET_MAX];
	struct lp_segment s;

	ck_assert_int_eq(decode_once(&h, &s), LP_DROP_IP_HEADER);
	h.pad = 7;
	ck_assert_int_eq(decode_once(&h, &s), LP_DROP_NONE);
	/* No card takes 16 MB, whatever the record says was on the wire. */
	h.link = LP_LINK_RAW;
	p = help_packet(&h, bytes, sizeof bytes);
	p.len = 1 << 24;
	ck_assert_int_eq(lp_decode_packet(d, &p, &s), LP_DROP_IP_HEADER);
	p.len = UINT32_MAX;
	ck_assert_int_eq(lp_decode_packet(d, &p, &s), LP_DROP_IP_HEADER);
	done(d, 2);
}
END_TEST

/* ---- IPv6 ---- */

static struct help_packet six(const uint8_t *ext, size_t n, uint8_t first)
{
	return (struct help_packet){ .src = "2001:db8::1", .dst = "2001:db8::2", .payload = text,
				     .len = TEXT, .ip_options = ext, .ip_options_len = n,
				     .first_ext = first };
}

START_TEST(ipv6_extension_headers)
{
	/* hop-by-hop (router alert), destination options, routing (type 0, nothing left),
	 * fragment (atomic), AH, destination options of 16 bytes. */
	static const uint8_t chain[] = {
		60, 0, 5, 2, 0, 0, 1, 0,
		43, 0, 1, 4, 0, 0, 0, 0,
		44, 2, 0, 0, 0, 0, 0, 0, 0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9,
		51, 0, 0, 0, 1, 2, 3, 4,
		60, 4, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9,
		6, 1, 1, 12, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
	};
	struct lp_decode *d = made(LP_CHECKSUMS_ON, false, 0);
	struct help_packet h = six(chain, sizeof chain, 0);
	struct lp_segment s;

	assert_text(d, &h, &s);
	h.pad = 33;
	assert_text(d, &h, &s);
	done(d, 2);
}
END_TEST

START_TEST(ipv6_atomic_fragments)
{
	uint8_t frag[8] = { 6, 0, 0, 0, 0, 0, 0, 7 };
	struct help_packet h = six(frag, sizeof frag, 44);
	struct lp_segment s;

	ck_assert_int_eq(decode_once(&h, &s), LP_DROP_NONE);
	frag[3] = 6; /* reserved bits are to be ignored */
	ck_assert_int_eq(decode_once(&h, &s), LP_DROP_NONE);
}
END_TEST

START_TEST(ipv6_chain_too_long)
{
	uint8_t ext[9 * 8] = { 0 };
	struct lp_segment s;

	for (size_t n = 1; n <= 9; n++) {
		struct help_packet h = six(ext, n * 8, 60);

		for (size_t i = 0; i < n; i++)
			ext[i * 8] = i + 1 < n ? 60 : 6;
		ck_assert_int_eq(decode_once(&h, &s), n < 9 ? LP_DROP_NONE : LP_DROP_EXT_LIMIT);
	}
}
END_TEST

START_TEST(ipv6_headers_that_lie)
{
	uint8_t ext[8] = { 0 };
	struct help_packet h = six(ext, sizeof ext, 60);
	struct lp_segment s;

	/* Hop-by-hop options, but not first. */
	ck_assert_int_eq(decode_once(&h, &s), LP_DROP_IP_HEADER);
	/* Longer than the packet. */
	ext[0] = 6;
	ext[1] = 255;
	ck_assert_int_eq(decode_once(&h, &s), LP_DROP_SHORT);
	h.first_ext = 0;
	ck_assert_int_eq(decode_once(&h, &s), LP_DROP_SHORT);
	/* Not version 6. */
	h = six(NULL, 0, 0);
	h.ethertype = 0x0800;
	ck_assert_int_eq(decode_once(&h, &s), LP_DROP_IP_HEADER);
	h = (struct help_packet){ .ethertype = 0x86dd };
	ck_assert_int_eq(decode_once(&h, &s), LP_DROP_IP_HEADER);
}
END_TEST

START_TEST(ipv6_routing_goes_to_the_last_stop)
{
	static const uint8_t last[16] = { 0x20, 1, 0xd, 0xb8, [15] = 9 };
	uint8_t ext[40] = { 6, 4, 0, 2 };
	struct help_packet h = six(ext, sizeof ext, 43);
	struct lp_decode *d = made(LP_CHECKSUMS_ON, false, 0);
	struct lp_wire p;
	struct lp_segment s;
	uint8_t bytes[HELP_PACKET_MAX];

	h.pseudo_dst = "2001:db8::9";
	memcpy(ext + 24, last, 16);
	for (int type = 0; type < 5; type += 4) {
		ext[2] = (uint8_t)type;
		if (type == 4)
			memcpy(ext + 8, last, 16);
		p = help_packet(&h, bytes, sizeof bytes);
		ck_assert_int_eq(lp_decode_packet(d, &p, &s), LP_DROP_NONE);
		assert_sound(&p, &s);
		ck_assert_mem_eq(s.dst, last, 16);
		ck_assert_int_eq(s.csum, LP_CSUM_GOOD);
	}
	ext[2] = 3;
	ck_assert_int_eq(decode(d, &h, &s, NULL), LP_DROP_ROUTING);
	ext[2] = 0;
	ext[3] = 3; /* more stops left than it has */
	ck_assert_int_eq(decode(d, &h, &s, NULL), LP_DROP_IP_HEADER);
	ext[3] = 1;
	ext[1] = 3; /* one and a half addresses */
	h.ip_options_len = 32;
	ck_assert_int_eq(decode(d, &h, &s, NULL), LP_DROP_IP_HEADER);
	ext[1] = 0; /* none at all */
	h.ip_options_len = 8;
	ck_assert_int_eq(decode(d, &h, &s, NULL), LP_DROP_IP_HEADER);
	ext[2] = 4;
	ck_assert_int_eq(decode(d, &h, &s, NULL), LP_DROP_IP_HEADER);
	done(d, 7);
}
END_TEST

START_TEST(ipv6_jumbo)
{
	static uint8_t payload[66000], bytes[HELP_PACKET_MAX];
	uint8_t ext[8] = { 6, 0, 0xc2, 4 };
	struct help_packet h = six(ext, sizeof ext, 0);
	uint32_t n = 8 + 20 + sizeof payload;
	struct lp_decode *d = made(LP_CHECKSUMS_ON, false, 0);
	struct lp_wire p;
	struct lp_segment s;

	h.payload = payload;
	h.len = sizeof payload;
	h.no_length = true;
	h.pad = 5;
	for (int i = 0; i < 4; i++)
		ext[4 + i] = (uint8_t)(n >> (24 - 8 * i));
	p = help_packet(&h, bytes, sizeof bytes);
	ck_assert_int_eq(lp_decode_packet(d, &p, &s), LP_DROP_NONE);
	assert_sound(&p, &s);
	ck_assert_uint_eq(s.payload_len, sizeof payload);
	ck_assert_int_eq(s.csum, LP_CSUM_GOOD);
	/* Padding may follow, but it cannot be longer than the packet was on the wire. */
	ext[7] = (uint8_t)(ext[7] + 6);
	p = help_packet(&h, bytes, sizeof bytes);
	ck_assert_int_eq(lp_decode_packet(d, &p, &s), LP_DROP_IP_HEADER);
	p.len++;
	ck_assert_int_eq(lp_decode_packet(d, &p, &s), LP_DROP_NONE);
	/* One that needs no jumbo option; one that nobody sends; one beside a length. */
	ext[5] = 0;
	p = help_packet(&h, bytes, sizeof bytes);
	ck_assert_int_eq(lp_decode_packet(d, &p, &s), LP_DROP_IP_HEADER);
	ext[4] = 1;
	p = help_packet(&h, bytes, sizeof bytes);
	p.len = UINT32_MAX;
	ck_assert_int_eq(lp_decode_packet(d, &p, &s), LP_DROP_IP_HEADER);
	ext[4] = 0;
	h.no_length = false;
	h.len = TEXT;
	ck_assert_int_eq(decode(d, &h, &s, NULL), LP_DROP_IP_HEADER);
	done(d, 6);
}
END_TEST

/* ---- TCP ---- */

START_TEST(tcp_header_that_lies)
{
	struct help_packet h = { .payload = text, .len = TEXT };
	struct lp_segment s;

	for (uint8_t offset = 1; offset < 16; offset++) {
		h.offset = offset;
		ck_assert_int_eq(decode_once(&h, &s),
				 offset < 5 || offset * 4 > 20 + TEXT ? LP_DROP_TCP_HEADER
								      : LP_DROP_NONE);
	}
	h.offset = 16; /* 0 in its four bits */
	ck_assert_int_eq(decode_once(&h, &s), LP_DROP_TCP_HEADER);
}
END_TEST

START_TEST(tcp_checksum_is_reported)
{
	static const enum lp_csum is[] = { LP_CSUM_GOOD, LP_CSUM_PSEUDO, LP_CSUM_BAD };
	static const enum help_csum kinds[] = { HELP_RIGHT, HELP_PSEUDO, HELP_BAD };

	for (int mode = 0; mode < 3; mode++) {
		struct lp_decode *d = made((enum lp_checksums)mode, false, 0);
		struct lp_segment s;

		for (int i = 0; i < 3; i++) {
			struct help_packet h = { .payload = text, .len = TEXT, .csum = kinds[i] };

			ck_assert_int_eq(decode(d, &h, &s, NULL), LP_DROP_NONE);
			ck_assert_int_eq(s.csum,
					 mode == LP_CHECKSUMS_OFF ? LP_CSUM_UNKNOWN : is[i]);
		}
		done(d, 3);
	}
}
END_TEST

/* Left for later, and then the same; the length that is not stated counts there, too. */
START_TEST(tcp_checksum_can_wait)
{
	static const enum help_csum kinds[] = { HELP_RIGHT, HELP_PSEUDO, HELP_PSEUDO_NO_LENGTH,
						HELP_BAD };
	static const uint8_t payload[60000] = { 1, 2, 3 };
	static uint8_t bytes[HELP_PACKET_MAX];

	for (int i = 0; i < 4 * 3 * 2; i++) {
		struct lp_decode_config config;
		struct lp_segment now, later;
		struct help_packet h = { .payload = payload, .len = sizeof payload,
					 .csum = kinds[i % 4],
					 .no_length = kinds[i % 4] == HELP_PSEUDO_NO_LENGTH,
					 .snaplen = i >= 12 ? 500 : 0 };
		const struct lp_wire p = help_packet(&h, bytes, sizeof bytes);
		struct lp_decode *d;

		lp_decode_config_default(&config);
		config.checksums = (enum lp_checksums)(i / 4 % 3);
		ck_assert_int_eq(lp_decode_new(&d, &config), LP_OK);
		ck_assert_int_eq(lp_decode_packet(d, &p, &now), LP_DROP_NONE);
		lp_decode_free(d);
		config.checksums_later = true;
		ck_assert_int_eq(lp_decode_new(&d, &config), LP_OK);
		ck_assert_int_eq(lp_decode_packet(d, &p, &later), LP_DROP_NONE);
		ck_assert_int_eq(later.csum == LP_CSUM_LATER,
				 config.checksums != LP_CHECKSUMS_OFF && !h.snaplen);
		ck_assert_int_eq(lp_checksum_segment(&later), now.csum);
		lp_decode_free(d);
	}
}
END_TEST

/* ---- cuts ---- */

static uint32_t header_bytes(int link)
{
	switch (link) {
	case HELP_ETHERNET:
		return 14;
	case LP_LINK_LINUX_SLL:
		return 16;
	case LP_LINK_LINUX_SLL2:
		return 20;
	case LP_LINK_RAW:
		return 0;
	default:
		return 4;
	}
}

/* h cut by the snap length at every byte, and ended there on the wire; headers: with the
 * fixed part of TCP's. */
static void cut_everywhere(struct help_packet *h, uint32_t headers)
{
	uint32_t options = (uint32_t)h->options_len;
	struct lp_decode *d = made(LP_CHECKSUMS_AUTO, false, 0);
	static uint8_t bytes[HELP_PACKET_MAX];
	struct lp_wire whole = help_packet(h, bytes, sizeof bytes);
	struct lp_segment s;

	for (uint32_t n = 0; n <= whole.len; n++) {
		for (int sliced = 0; sliced < 2; sliced++) {
			struct lp_wire p = whole;
			uint8_t *exact = malloc(n ? n : 1);
			enum lp_drop drop;

			ck_assert_ptr_nonnull(exact);
			memcpy(exact, bytes, n);
			p.data = exact;
			p.caplen = n;
			if (sliced)
				p.len = n;
			drop = lp_decode_packet(d, &p, &s);
			if (n < headers) {
				ck_assert_msg(drop == LP_DROP_TRUNCATED ||
					      (sliced && drop == LP_DROP_SHORT),
					      "%u bytes: %s", n, lp_decode_drop_name(drop));
			} else {
				ck_assert_int_eq(drop, LP_DROP_NONE);
				assert_sound(&p, &s);
				ck_assert_uint_eq(s.options_len,
						  n < headers + options ? n - headers : options);
				ck_assert_uint_eq(s.payload_len, n - headers - s.options_len);
				ck_assert_uint_eq(s.wire_len, TEXT);
				ck_assert_mem_eq(s.payload, text, s.payload_len);
				ck_assert_int_eq(s.csum,
						 n < whole.len ? LP_CSUM_UNKNOWN : LP_CSUM_GOOD);
			}
			free(exact);
		}
	}
	done(d, 2 * ((uint64_t)whole.len + 1));
}

START_TEST(cut_at_every_byte)
{
	static const uint8_t ext[] = { 43, 0, 1, 4, 0, 0, 0, 0, 44, 0, 0, 0, 0, 0, 0, 0,
				       6, 0, 0, 0, 0, 0, 0, 1 };
	static const uint8_t options[12] = { 1, 1, 8, 10 };
	struct help_packet h;

	for (size_t i = 0; i < LINKS; i++) {
		h = (struct help_packet){ .payload = text, .len = TEXT, .options = options,
					  .options_len = sizeof options, .link = links[i],
					  .ip_options = options, .ip_options_len = 8 };
		cut_everywhere(&h, header_bytes(links[i]) + 28 + 20);
		h = six(ext, sizeof ext, 60);
		h.link = links[i];
		cut_everywhere(&h, header_bytes(links[i]) + 40 + sizeof ext + 20);
	}
	h = tagged(8, 0x88a8, 17);
	cut_everywhere(&h, 14 + 32 + 40);
}
END_TEST

START_TEST(nothing_at_all)
{
	static const uint32_t all[] = { 0, 1, 101, 108, 113, 228, 229, 276 };
	struct lp_decode *d = made(LP_CHECKSUMS_AUTO, false, 0);
	struct lp_segment s;

	for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
		struct lp_wire p = { .link = all[i] };

		ck_assert_int_eq(lp_decode_packet(d, &p, &s), LP_DROP_SHORT);
		p.len = 100;
		ck_assert_int_eq(lp_decode_packet(d, &p, &s), LP_DROP_TRUNCATED);
	}
	done(d, 16);
}
END_TEST

START_TEST(sums_of_a_storm)
{
	struct lp_decode *d = made(LP_CHECKSUMS_AUTO, false, 4);
	static const uint32_t all[] = { 0, 1, 101, 108, 113, 228, 229, 276, 9 };
	uint8_t bytes[HELP_PACKET_MAX];
	struct lp_segment s;
	uint32_t state = 3;

	for (uint32_t i = 0; i < 40000; i++) {
		struct help_packet h = i % 3 ? tagged(i % 5, 0x8100, (uint16_t)(1 + i % 50))
					     : six(NULL, 0, 0);
		struct lp_wire p;

		h.link = links[i % LINKS];
		p = help_packet(&h, bytes, sizeof bytes);
		for (int k = 0; k < 3; k++) {
			state = state * 1664525 + 1013904223;
			bytes[(state >> 8) % p.caplen] = (uint8_t)(state >> 24);
		}
		if (i % 7 == 0)
			p.caplen = (state >> 16) % (p.caplen + 1);
		if (i % 11 == 0)
			p.link = all[i % 9];
		if (!lp_decode_packet(d, &p, &s))
			assert_sound(&p, &s);
	}
	done(d, 40000);
}
END_TEST

Suite *suite_decode(void)
{
	Suite *s = suite_create("decode");
	TCase *t = tcase_create("decode");

	tcase_set_timeout(t, 30);
	tcase_add_test(t, every_link_type);
	tcase_add_test(t, all_families_of_the_loopback);
	tcase_add_test(t, every_field_of_a_segment);
	tcase_add_test(t, tags_make_the_domain);
	tcase_add_test(t, tags_of_no_vlan);
	tcase_add_test(t, tags_too_many);
	tcase_add_test(t, tags_ignored);
	tcase_add_test(t, domain_table_fills);
	tcase_add_test(t, snap_and_other_llc);
	tcase_add_test(t, others_by_name);
	tcase_add_test(t, links_that_are_not_ours);
	tcase_add_test(t, ipv4_header_that_lies);
	tcase_add_test(t, ipv4_options_and_padding);
	tcase_add_test(t, ipv4_checksum_by_mode);
	tcase_add_loop_test(t, plain_as_layer_by_layer, 0, 12);
	tcase_add_test(t, authentication_header);
	tcase_add_test(t, no_length_is_offload);
	tcase_add_test(t, no_length_but_padding);
	tcase_add_test(t, ipv6_extension_headers);
	tcase_add_test(t, ipv6_atomic_fragments);
	tcase_add_test(t, ipv6_chain_too_long);
	tcase_add_test(t, ipv6_headers_that_lie);
	tcase_add_test(t, ipv6_routing_goes_to_the_last_stop);
	tcase_add_test(t, ipv6_jumbo);
	tcase_add_test(t, tcp_header_that_lies);
	tcase_add_test(t, tcp_checksum_is_reported);
	tcase_add_test(t, tcp_checksum_can_wait);
	tcase_add_test(t, cut_at_every_byte);
	tcase_add_test(t, nothing_at_all);
	tcase_add_test(t, sums_of_a_storm);
	suite_add_tcase(s, t);
	return s;
}
