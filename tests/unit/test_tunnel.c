/* net/tunnel: every encapsulation around IPv4 and IPv6, alone and in each other, cut at every
 * byte; what makes a domain; headers that lie. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "help_packet.h"
#include "help_tunnel.h"
#include "net/decode.h"

static const char text[] = "sixteen bytes!!!";
enum { TEXT = sizeof text - 1, MAX = 4096 };

static struct lp_decode *made(bool ignore_domain)
{
	struct lp_decode_config config;
	struct lp_decode *d;

	lp_decode_config_default(&config);
	config.ignore_domain = ignore_domain;
	config.vxlan_port[7] = 12345;
	ck_assert_int_eq(lp_decode_new(&d, &config), LP_OK);
	return d;
}

/* Frees it; its counters must account for every packet. */
static void done(struct lp_decode *d, uint64_t read)
{
	struct lp_decode_stats s;
	uint64_t sum = 0;

	lp_decode_stats(d, &s);
	for (int i = 0; i < LP_DROPS; i++)
		sum += s.drop[i];
	ck_assert_uint_eq(s.read, read);
	ck_assert_uint_eq(s.read, sum);
	lp_decode_free(d);
}

static size_t inner(bool six, uint8_t *out)
{
	struct help_packet h = { .payload = text, .len = TEXT, .flags = 0x10 };
	static uint8_t bytes[HELP_PACKET_MAX];
	struct lp_wire p;

	if (six) {
		h.src = "2001:db8::1";
		h.dst = "2001:db8::2";
	}
	p = help_packet(&h, bytes, sizeof bytes);
	memcpy(out, bytes, p.caplen);
	return p.caplen;
}

/* Decodes from memory that ends where the packet does; *s borrows from it no more. */
static enum lp_drop decode(struct lp_decode *d, uint32_t link, const uint8_t *p, size_t n,
			   size_t wire, struct lp_segment *s)
{
	uint8_t *exact = malloc(n ? n : 1);
	struct lp_wire packet = { .data = exact, .caplen = (uint32_t)n,
				    .len = (uint32_t)wire, .link = link };
	enum lp_drop drop;

	ck_assert_ptr_nonnull(exact);
	memcpy(exact, p, n);
	memset(s, 0xa5, sizeof *s);
	drop = lp_decode_packet(d, &packet, s);
	if (!drop) {
		ck_assert(s->tcp >= exact && s->payload + s->payload_len <= exact + n);
		ck_assert(s->src >= exact && s->dst < exact + n);
		ck_assert_uint_eq(s->wire_len, TEXT);
		ck_assert_mem_eq(s->payload, text, s->payload_len);
	}
	free(exact);
	return drop;
}

static void assert_text(struct lp_decode *d, enum help_tunnel kind, const uint8_t *p, size_t n,
			struct lp_segment *s)
{
	enum lp_drop drop = decode(d, help_tunnel_link(kind), p, n, n, s);

	ck_assert_msg(!drop, "%s: %s", help_tunnel_name[kind], lp_decode_drop_name(drop));
	ck_assert_uint_eq(s->payload_len, TEXT);
	ck_assert_int_eq(s->csum, LP_CSUM_GOOD);
	ck_assert_uint_eq(s->sport, 1000);
}

START_TEST(every_tunnel)
{
	struct lp_decode *d = made(false);
	uint8_t in[MAX], out[MAX];
	struct lp_segment s;
	uint64_t read = 0;

	for (int kind = 0; kind < HELP_TUNNELS; kind++) {
		for (int families = 0; families < 4; families++, read++) {
			bool six = families & 1;
			size_t n = inner(six, in);

			n = help_tunnel((enum help_tunnel)kind, families & 2, 5, in, n, out,
					sizeof out);
			assert_text(d, (enum help_tunnel)kind, out, n, &s);
			ck_assert_uint_eq(s.family, six ? 6 : 4);
			ck_assert_int_eq(s.domain != 0, help_tunnel_has_id((enum help_tunnel)kind));
		}
	}
	done(d, read);
}
END_TEST

/* Every kind within every kind: the inner packet is the same, the domain is made of both. */
START_TEST(each_in_each)
{
	struct lp_decode *d = made(false);
	uint8_t in[MAX], one[MAX], two[MAX];
	struct lp_segment s;
	uint64_t read = 0;

	for (int a = 0; a < HELP_WLAN; a++) {
		for (int b = 0; b < HELP_TUNNELS; b++) {
			enum help_tunnel first = (enum help_tunnel)a, second = (enum help_tunnel)b;
			size_t n = inner(a & 1, in);
			uint32_t domain[2];

			n = help_tunnel(first, b & 1, 6, in, n, one, sizeof one);
			/* What takes IP only takes what a tunnel over IP gives. */
			if (!help_tunnel_over_ip(first))
				second = b & 1 ? HELP_VXLAN : HELP_GRE_ETHERNET;
			for (uint32_t id = 0; id < 2; id++, read++) {
				size_t m = help_tunnel(second, a & 1, 7 + id, one, n, two,
						       sizeof two);

				assert_text(d, second, two, m, &s);
				domain[id] = s.domain;
			}
			ck_assert_int_eq(domain[0] != domain[1], help_tunnel_has_id(second));
			ck_assert_int_eq(domain[0] != 0, help_tunnel_has_id(first) ||
							 help_tunnel_has_id(second));
		}
	}
	done(d, read);
}
END_TEST

START_TEST(nested_to_a_limit)
{
	static const enum help_tunnel kinds[] = { HELP_IPIP, HELP_GRE, HELP_VXLAN, HELP_GTP,
						  HELP_GENEVE, HELP_GRE_ETHERNET };
	struct lp_decode *d = made(false);
	uint8_t in[MAX], out[MAX];
	struct lp_segment s;

	for (int k = 0; k < 7; k++) {
		size_t n = inner(k & 1, in);

		for (int depth = 1; depth <= 9; depth++) {
			n = help_tunnel(k < 6 ? kinds[k] : kinds[depth % 6], false, 9, in, n, out,
					sizeof out);
			memcpy(in, out, n);
			ck_assert_int_eq(decode(d, 1, out, n, n, &s),
					 depth <= 8 ? LP_DROP_NONE : LP_DROP_TUNNEL_DEPTH);
		}
	}
	done(d, 63);
}
END_TEST

/* Ids at every level beside eight tags: the most that a domain can hold. */
START_TEST(all_ids_there_can_be)
{
	struct lp_decode *d = made(false);
	uint8_t in[MAX], out[MAX];
	uint32_t first = 0;
	struct lp_segment s;

	for (uint32_t id = 1; id <= 3; id++) {
		size_t n = inner(true, in);

		for (int depth = 0; depth < 8; depth++) {
			uint32_t here = depth ? 3 : id == 3 ? 1 : id;

			n = help_tunnel(HELP_VXLAN, false, here, in, n, out, sizeof out);
			/* A tag before the outer IP packet. */
			memcpy(in, out, 12);
			memcpy(in + 12, "\x81\x00\x00\x09", 4);
			memcpy(in + 16, out + 12, n - 12);
			n += 4;
		}
		ck_assert_int_eq(decode(d, 1, in, n, n, &s), LP_DROP_NONE);
		if (id == 1)
			first = s.domain;
		else
			ck_assert_int_eq(s.domain == first, id == 3);
	}
	done(d, 3);
}
END_TEST

/* Which bytes must be there for a segment: all up to the fixed part of the TCP header. */
static void cut_everywhere(enum help_tunnel kind, bool six, bool over6)
{
	struct lp_decode *d = made(false);
	uint8_t in[MAX], out[MAX];
	size_t n = inner(six, in);
	struct lp_segment s;

	n = help_tunnel(kind, over6, 3, in, n, out, sizeof out);
	for (size_t at = 0; at <= n; at++) {
		enum lp_drop cut = decode(d, help_tunnel_link(kind), out, at, n, &s);

		if (at < n - TEXT) {
			ck_assert_msg(cut == LP_DROP_TRUNCATED, "%s at %zu: %s",
				      help_tunnel_name[kind], at, lp_decode_drop_name(cut));
		} else {
			ck_assert_int_eq(cut, LP_DROP_NONE);
			ck_assert_uint_eq(s.payload_len, at - (n - TEXT));
		}
		/* Ends there on the wire, too: no segment without its header, and no crash. */
		cut = decode(d, help_tunnel_link(kind), out, at, at, &s);
		ck_assert_int_eq(cut == LP_DROP_NONE, at >= n - TEXT);
	}
	done(d, 2 * (n + 1));
}

START_TEST(cut_at_every_byte)
{
	for (int families = 0; families < 4; families++)
		cut_everywhere((enum help_tunnel)_i, families & 1, families & 2);
}
END_TEST

START_TEST(ids_make_the_domain)
{
	struct lp_decode *d = made(false), *ignoring = made(true);
	uint32_t seen[HELP_TUNNELS][2];
	uint8_t in[MAX], out[MAX];
	uint64_t read = 0;
	struct lp_segment s;

	for (int k = 0; k < HELP_TUNNELS; k++) {
		enum help_tunnel kind = (enum help_tunnel)k;

		for (uint32_t id = 0; id < 4; id++, read++) {
			size_t n = inner(id & 1, in);

			n = help_tunnel(kind, id & 1, 100 + id / 2, in, n, out, sizeof out);
			assert_text(d, kind, out, n, &s);
			if (id & 1)
				ck_assert_uint_eq(seen[k][id / 2], s.domain);
			seen[k][id / 2] = s.domain;
			assert_text(ignoring, kind, out, n, &s);
			ck_assert_uint_eq(s.domain, 0);
		}
		ck_assert_int_eq(seen[k][0] != seen[k][1], help_tunnel_has_id(kind));
	}
	/* VXLAN network 100 is not VLAN 100; ERSPAN's VLAN is. */
	ck_assert_uint_eq(seen[HELP_VLAN][0], 100);
	ck_assert_uint_ne(seen[HELP_VXLAN][0], 100);
	ck_assert_uint_eq(seen[HELP_VXLAN][0], seen[HELP_VXLAN_LINUX][0]);
	ck_assert_uint_ne(seen[HELP_VXLAN][0], seen[HELP_GENEVE][0]);
	ck_assert_uint_eq(seen[HELP_ERSPAN_2][0], 100);
	ck_assert_uint_eq(seen[HELP_ERSPAN_3][0], 100);
	done(d, read);
	done(ignoring, read);
}
END_TEST

START_TEST(numbers_need_no_table)
{
	struct lp_domains t;
	const struct lp_hash_seed seed = { 1, 2 };
	struct lp_domain_ids ids = { .n = 1 };
	uint32_t domain, seen[6];

	ck_assert_int_eq(lp_domain_init(&t, 1, &seed), LP_OK);
	for (uint64_t kind = LP_DOMAIN_VLAN; kind <= LP_DOMAIN_GRE; kind++) {
		ids.id[0] = kind << 32 | 77;
		ck_assert_int_eq(lp_domain_intern(&t, &ids, &seen[kind]), LP_OK);
		for (uint64_t k = 0; k < kind; k++)
			ck_assert_uint_ne(seen[k], seen[kind]);
	}
	ck_assert_uint_eq(t.n, 0);
	/* A key of 32 bits needs one, and so do two kinds. */
	ids.id[0] = (uint64_t)LP_DOMAIN_GRE << 32 | 0x12345678;
	ck_assert_int_eq(lp_domain_intern(&t, &ids, &domain), LP_OK);
	ck_assert_uint_ge(domain, LP_DOMAIN_FIRST);
	ids = (struct lp_domain_ids){ 2, { 5, (uint64_t)LP_DOMAIN_VXLAN << 32 | 5 } };
	ck_assert_int_eq(lp_domain_intern(&t, &ids, &domain), LP_E_LIMIT);
	ids = (struct lp_domain_ids){ 2, { (uint64_t)LP_DOMAIN_VXLAN << 32 | 5, 5 } };
	ck_assert_int_eq(lp_domain_intern(&t, &ids, &domain), LP_E_LIMIT);
	lp_domain_clear(&t);
}
END_TEST

START_TEST(keys_of_gre)
{
	struct lp_decode *d = made(false);
	uint8_t in[MAX], out[MAX];
	uint32_t domain[4];
	struct lp_segment s;
	/* NVGRE: the last byte is the flow's; a small key of gretap is a key. */
	static const uint32_t keys[] = { 0x00500001, 0x005000ff, 0x00000001, 0x000000ff };

	for (int i = 0; i < 4; i++) {
		size_t n = inner(false, in);

		n = help_tunnel(HELP_GRE_ETHERNET, false, keys[i], in, n, out, sizeof out);
		assert_text(d, HELP_GRE_ETHERNET, out, n, &s);
		domain[i] = s.domain;
	}
	ck_assert_uint_eq(domain[0], domain[1]);
	ck_assert_uint_ne(domain[2], domain[3]);
	done(d, 4);
}
END_TEST

START_TEST(erspan_and_the_tag_of_the_frame)
{
	struct lp_decode *d = made(false);
	uint8_t in[MAX], out[MAX], two[MAX];
	struct lp_segment s;
	size_t n = inner(false, in);

	n = help_tunnel(HELP_VLAN, false, 30, in, n, out, sizeof out);
	/* The tag is in the frame: what the header says of it adds nothing. */
	n = help_tunnel(HELP_ERSPAN_2, false, 30, out, n, two, sizeof two);
	assert_text(d, HELP_ERSPAN_2, two, n, &s);
	ck_assert_uint_eq(s.domain, 30);
	n = inner(false, in);
	n = help_tunnel(HELP_ERSPAN_3, false, 30, in, n, two, sizeof two);
	assert_text(d, HELP_ERSPAN_3, two, n, &s);
	ck_assert_uint_eq(s.domain, 30);
	done(d, 2);
}
END_TEST

START_TEST(another_port)
{
	struct lp_decode *d = made(false);
	uint8_t in[MAX], out[MAX];
	struct lp_segment s;
	size_t n = inner(false, in);

	n = help_tunnel(HELP_VXLAN, false, 5, in, n, out, sizeof out);
	out[36] = 12345 >> 8;
	out[37] = 12345 & 0xff;
	assert_text(d, HELP_VXLAN, out, n, &s);
	out[37]++;
	ck_assert_int_eq(decode(d, 1, out, n, n, &s), LP_DROP_UDP);
	out[36] = out[37] = 0; /* 0 is no port */
	ck_assert_int_eq(decode(d, 1, out, n, n, &s), LP_DROP_UDP);
	done(d, 3);
}
END_TEST

/* One byte of a good packet changed, and what is to come of it. */
START_TEST(headers_that_lie)
{
	static const struct {
		enum help_tunnel kind;
		int at;       /* in the frame */
		uint8_t value;
		const char *name;
	} lies[] = {
		{ HELP_PPPOE, 14, 0x21, "pppoe" },          /* version */
		{ HELP_PPPOE, 15, 0xa7, "pppoe" },          /* code */
		{ HELP_PPPOE, 20, 0xc0, "pppoe" },          /* LCP */
		{ HELP_PPPOE, 19, 0x01, "short-packet" },   /* length */
		{ HELP_MPLS, 18, 0x10, "mpls" },            /* associated channel */
		{ HELP_MPLS, 18, 0x43, "bad-ip-header" },   /* length of the header */
		{ HELP_GRE, 34, 0x40, "not-tcp-gre" },      /* source route */
		{ HELP_GRE, 35, 0x01, "not-tcp-gre" },      /* version 1 */
		{ HELP_GRE, 36, 0x12, "not-tcp-gre" },      /* what is that? */
		{ HELP_ERSPAN_2, 42, 0x30, "not-tcp-gre" }, /* version 3 */
		{ HELP_VXLAN, 42, 0x00, "not-tcp-udp" },    /* no VNI */
		{ HELP_VXLAN, 39, 0x07, "not-tcp-udp" },    /* length */
		{ HELP_GENEVE, 42, 0x40, "not-tcp-udp" },   /* version */
		{ HELP_GENEVE, 45, 0x59, "not-ip" },        /* protocol */
		{ HELP_GENEVE, 42, 0x3f, "short-packet" },  /* options up to the moon */
		{ HELP_GTP, 42, 0x50, "not-tcp-udp" },      /* version */
		{ HELP_GTP, 42, 0x20, "not-tcp-udp" },      /* GTP' */
		{ HELP_GTP, 43, 0x01, "not-tcp-gtp" },      /* echo */
		{ HELP_GTP, 50, 0x15, "not-tcp-gtp" },      /* no IP */
		{ HELP_GTP_MORE, 54, 0x00, "not-tcp-gtp" }, /* extension of no length */
		{ HELP_GTP_MORE, 54, 0xff, "short-packet" },
		{ HELP_WLAN, 0, 0x80, "802.11" },           /* beacon */
		{ HELP_WLAN, 0, 0x48, "802.11" },           /* no data */
		{ HELP_WLAN, 0, 0x09, "802.11" },           /* version */
		{ HELP_WLAN, 1, 0x41, "802.11-protected" },
		{ HELP_WLAN, 1, 0x05, "802.11-parts" },     /* more follow */
		{ HELP_WLAN, 22, 0x11, "802.11-parts" },    /* not the first */
		{ HELP_WLAN, 24, 0x42, "llc" },
		{ HELP_WLAN_QOS, 30, 0x80, "802.11-parts" }, /* A-MSDU */
		{ HELP_RADIOTAP, 0, 1, "802.11" },
		{ HELP_RADIOTAP, 2, 7, "802.11" },
		{ HELP_RADIOTAP, 2, 20, "802.11" },         /* shorter than its fields */
		{ HELP_RADIOTAP, 3, 9, "short-packet" },
	};
	struct lp_decode *d = made(false);
	uint8_t in[MAX], out[MAX];
	struct lp_segment s;
	size_t i;

	for (i = 0; i < sizeof lies / sizeof lies[0]; i++) {
		size_t n = inner(false, in);
		enum lp_drop drop;

		n = help_tunnel(lies[i].kind, false, 3, in, n, out, sizeof out);
		out[lies[i].at] = lies[i].value;
		drop = decode(d, help_tunnel_link(lies[i].kind), out, n, n, &s);
		ck_assert_msg(!strcmp(lp_decode_drop_name(drop),
				      lies[i].name),
			      "%zu, %s: %s", i, help_tunnel_name[lies[i].kind],
			      lp_decode_drop_name(drop));
	}
	done(d, i);
}
END_TEST

/* What is inside a tunnel and is no TCP is named by what it is. */
START_TEST(innermost_reason)
{
	struct lp_decode *d = made(false);
	static uint8_t bytes[HELP_PACKET_MAX];
	struct help_packet h = { .proto = 1 };
	uint8_t out[MAX];
	struct lp_wire p = help_packet(&h, bytes, sizeof bytes);
	struct lp_segment s;
	size_t n;

	n = help_tunnel(HELP_VXLAN, true, 5, bytes, p.caplen, out, sizeof out);
	ck_assert_int_eq(decode(d, 1, out, n, n, &s), LP_DROP_ICMP);
	bytes[12] = 0x08;
	bytes[13] = 0x06;
	n = help_tunnel(HELP_GENEVE, true, 5, bytes, p.caplen, out, sizeof out);
	ck_assert_int_eq(decode(d, 1, out, n, n, &s), LP_DROP_ARP);
	done(d, 2);
}
END_TEST

/* A label stack without a bottom, and one that is too deep. */
START_TEST(labels_without_end)
{
	struct lp_decode *d = made(false);
	uint8_t out[14 + 4 * 40] = { [12] = 0x88, [13] = 0x47 };
	struct lp_segment s;

	ck_assert_int_eq(decode(d, 1, out, 14 + 4 * 20, 14 + 4 * 20, &s), LP_DROP_SHORT);
	ck_assert_int_eq(decode(d, 1, out, sizeof out, sizeof out, &s), LP_DROP_MPLS);
	done(d, 2);
}
END_TEST

/* A card cuts a large segment up later; the outer header states no length. */
START_TEST(offload_in_a_tunnel)
{
	static uint8_t in[HELP_PACKET_MAX], out[HELP_PACKET_MAX + 100], payload[65400];
	struct help_packet h = { .payload = payload, .len = sizeof payload };
	struct lp_wire p = help_packet(&h, in, sizeof in);
	struct lp_decode *d = made(false);
	struct lp_segment s;
	uint64_t read = 0;

	for (int k = HELP_GRE; k <= HELP_IPIP; k++, read++) {
		size_t n = help_tunnel((enum help_tunnel)k, k & 1, 3, in, p.caplen, out,
				       sizeof out);

		p = (struct lp_wire){ out, (uint32_t)n, (uint32_t)n, 0, 1, 1, 0 };
		ck_assert_msg(lp_decode_packet(d, &p, &s) == LP_DROP_NONE, "%s",
			      help_tunnel_name[k]);
		ck_assert_uint_eq(s.payload_len, sizeof payload);
		ck_assert_int_eq(s.csum, LP_CSUM_GOOD);
		p = help_packet(&h, in, sizeof in);
	}
	done(d, read);
}
END_TEST

START_TEST(storm)
{
	struct lp_decode *d = made(false);
	uint8_t in[MAX], one[MAX], out[MAX];
	struct lp_segment s;
	uint32_t state = 7;

	for (uint32_t i = 0; i < 60000; i++) {
		enum help_tunnel a = (enum help_tunnel)(i % HELP_WLAN);
		enum help_tunnel b = (enum help_tunnel)(i / HELP_WLAN % HELP_TUNNELS);
		size_t n = inner(i & 1, in);
		uint8_t *exact;
		struct lp_wire p;

		n = help_tunnel(a, i & 2, i & 15, in, n, one, sizeof one);
		n = help_tunnel(b, i & 4, i & 15, one, n, out, sizeof out);
		for (int k = 0; k < 4; k++) {
			state = state * 1664525 + 1013904223;
			out[(state >> 8) % n] = (uint8_t)(state >> 24);
		}
		p = (struct lp_wire){ NULL, (uint32_t)n, (uint32_t)n, i, i,
					help_tunnel_link(b), 0 };
		if (i % 5 == 0)
			p.caplen = (state >> 12) % (p.caplen + 1);
		exact = malloc(p.caplen ? p.caplen : 1);
		ck_assert_ptr_nonnull(exact);
		memcpy(exact, out, p.caplen);
		p.data = exact;
		if (!lp_decode_packet(d, &p, &s) && s.payload_len)
			ck_assert_uint_ge(s.wire_len, s.payload_len);
		free(exact);
		if (i % 64 == 0)
			lp_decode_release(d);
	}
	done(d, 60000);
}
END_TEST

Suite *suite_tunnel(void)
{
	Suite *s = suite_create("tunnel");
	TCase *t = tcase_create("tunnel");

	tcase_set_timeout(t, 60);
	tcase_add_test(t, every_tunnel);
	tcase_add_test(t, each_in_each);
	tcase_add_test(t, nested_to_a_limit);
	tcase_add_test(t, all_ids_there_can_be);
	tcase_add_loop_test(t, cut_at_every_byte, 0, HELP_TUNNELS);
	tcase_add_test(t, ids_make_the_domain);
	tcase_add_test(t, numbers_need_no_table);
	tcase_add_test(t, keys_of_gre);
	tcase_add_test(t, erspan_and_the_tag_of_the_frame);
	tcase_add_test(t, another_port);
	tcase_add_test(t, headers_that_lie);
	tcase_add_test(t, innermost_reason);
	tcase_add_test(t, labels_without_end);
	tcase_add_test(t, offload_in_a_tunnel);
	tcase_add_test(t, storm);
	suite_add_tcase(s, t);
	return s;
}
