/* net/defrag: orders, overlaps by policy, caps, timeouts, floods; by way of the decoder, which
 * counts. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "help_packet.h"
#include "help_tunnel.h"
#include "net/decode.h"

enum { TEXT = 1000, MAX = 4096, SECOND = 1000000000 };

struct bench {
	struct lp_decode *d;
	uint64_t read, ns;
	uint8_t text[TEXT];
	uint8_t frame[2][MAX];  /* IPv4 and IPv6 */
	size_t n;               /* of what follows the IP header */
	struct lp_segment s;
};

static void open_with(struct bench *b, const struct lp_decode_config *config)
{
	static uint8_t bytes[HELP_PACKET_MAX];
	struct help_packet h = { .payload = b->text, .len = TEXT, .flags = 0x10 };

	memset(b, 0, sizeof *b);
	ck_assert_int_eq(lp_decode_new(&b->d, config), LP_OK);
	b->ns = 1700000000ULL * SECOND;
	b->n = TEXT + 20;
	for (int i = 0; i < TEXT; i++)
		b->text[i] = (uint8_t)(i * 7 + i / 256);
	for (int six = 0; six < 2; six++) {
		struct lp_wire p;

		h.src = six ? "2001:db8::1" : "10.0.0.1";
		h.dst = six ? "2001:db8::2" : "10.0.0.2";
		p = help_packet(&h, bytes, sizeof bytes);
		memcpy(b->frame[six], bytes, p.caplen);
	}
}

static void open_bench(struct bench *b)
{
	struct lp_decode_config config;

	lp_decode_config_default(&config);
	open_with(b, &config);
}

static struct lp_decode_stats stats(const struct bench *b)
{
	struct lp_decode_stats s;

	lp_decode_stats(b->d, &s);
	return s;
}

static void assert_adds_up(const struct bench *b)
{
	struct lp_decode_stats s = stats(b);
	uint64_t sum = 0;

	for (int i = 0; i < LP_DROPS; i++)
		sum += s.drop[i];
	ck_assert_uint_eq(s.read, b->read);
	ck_assert_uint_eq(s.read, sum);
}

static void close_bench(struct bench *b)
{
	assert_adds_up(b);
	lp_decode_free(b->d);
}

/* From memory of its own, which is gone after: the decoder may keep nothing of it. */
static enum lp_drop push(struct bench *b, const uint8_t *p, size_t n)
{
	uint8_t *exact = malloc(n);
	struct lp_wire packet = { exact, (uint32_t)n, (uint32_t)n, b->ns, ++b->read, 1, 0 };
	enum lp_drop drop;

	ck_assert_ptr_nonnull(exact);
	memcpy(exact, p, n);
	drop = lp_decode_packet(b->d, &packet, &b->s);
	memset(exact, 0xdd, n);
	free(exact);
	return drop;
}

static enum lp_drop part(struct bench *b, bool six, uint32_t id, size_t from, size_t to, bool last)
{
	uint8_t out[MAX];

	return push(b, out, help_fragment(b->frame[six], id, from, to - from, last, out,
					  sizeof out));
}

static void assert_text(const struct bench *b)
{
	ck_assert_uint_eq(b->s.payload_len, TEXT);
	ck_assert_uint_eq(b->s.wire_len, TEXT);
	ck_assert_mem_eq(b->s.payload, b->text, TEXT);
	ck_assert_int_eq(b->s.csum, LP_CSUM_GOOD);
	ck_assert_uint_eq(b->s.number, b->read);
}

/* All the parts [at[i], at[i + 1]) in the order given. */
static void in_order(struct bench *b, bool six, uint32_t id, const size_t *at, size_t n,
		     const size_t *order)
{
	for (size_t i = 0; i < n; i++) {
		size_t k = order[i];
		enum lp_drop drop = part(b, six, id, at[k], at[k + 1], k == n - 1);

		ck_assert_str_eq(lp_decode_drop_name(drop),
				 i + 1 < n ? "fragment-held" : "tcp");
	}
	assert_text(b);
}

START_TEST(every_order)
{
	/* 24 orders of four parts, the last a tiny one. */
	static const size_t at[] = { 0, 400, 408, 1016, 1020 };
	struct bench b;
	uint32_t id = 0;

	open_bench(&b);
	for (int six = 0; six < 2; six++) {
		for (size_t p = 0; p < 256; p++) {
			size_t order[] = { p & 3, p >> 2 & 3, p >> 4 & 3, p >> 6 };
			unsigned seen = 0;

			for (int i = 0; i < 4; i++)
				seen |= 1U << order[i];
			if (seen == 15)
				in_order(&b, six, ++id, at, 4, order);
			lp_decode_release(b.d);
		}
	}
	ck_assert_uint_eq(id, 48);
	ck_assert_uint_eq(stats(&b).drop[LP_DROP_NONE], 48);
	ck_assert_uint_eq(stats(&b).drop[LP_DROP_JOINED], 3 * 48);
	ck_assert_uint_eq(stats(&b).drop[LP_DROP_HELD], 0);
	ck_assert_uint_eq(stats(&b).datagrams, 48);
	ck_assert_uint_eq(stats(&b).fragment_bytes, 0);
	close_bench(&b);
}
END_TEST

/* Parts of eight bytes each, forwards, backwards and shuffled. */
START_TEST(many_parts)
{
	struct bench b;

	open_bench(&b);
	for (int way = 0; way < 6; way++) {
		size_t n = (b.n + 7) / 8, done = 0;
		bool six = way & 1;

		for (size_t i = 0; i < n; i++) {
			/* 37 has no divisor in common with 128. */
			size_t k = way < 2 ? i : way < 4 ? n - 1 - i : i * 37 % n;
			size_t from = k * 8, to = from + 8 < b.n ? from + 8 : b.n;
			enum lp_drop drop;

			if (six && k == 0)
				to = 24; /* a whole header in the first part of IPv6 */
			else if (six && k < 3)
				continue;
			drop = part(&b, six, 9 + (uint32_t)way, from, to, k == n - 1);
			if (!drop) {
				assert_text(&b);
				done++;
			}
		}
		ck_assert_uint_eq(done, 1);
	}
	ck_assert_uint_eq(stats(&b).drop[LP_DROP_HELD], 0);
	close_bench(&b);
}
END_TEST

/* What tells datagrams apart: id, addresses, protocol (IPv4), domain. */
START_TEST(keys)
{
	struct bench b;
	uint8_t out[MAX], two[MAX];
	size_t n;

	open_bench(&b);
	ck_assert_int_eq(part(&b, false, 1, 0, 512, false), LP_DROP_HELD);
	ck_assert_int_eq(part(&b, false, 2, 512, b.n, true), LP_DROP_HELD);
	ck_assert_int_eq(part(&b, true, 1, 512, b.n, true), LP_DROP_HELD);
	n = help_fragment(b.frame[0], 1, 512, b.n - 512, true, out, sizeof out);
	help_tunnel(HELP_VLAN, false, 7, out, n, two, sizeof two);
	ck_assert_int_eq(push(&b, two, n + 4), LP_DROP_HELD);
	out[23] = 17; /* UDP */
	out[24] = out[25] = 0;
	ck_assert_int_eq(push(&b, out, n), LP_DROP_HELD);
	out[23] = 1; /* ICMP is not kept */
	ck_assert_int_eq(push(&b, out, n), LP_DROP_ICMP);
	ck_assert_uint_eq(stats(&b).drop[LP_DROP_HELD], 5);
	ck_assert_int_eq(part(&b, false, 1, 512, b.n, true), LP_DROP_NONE);
	assert_text(&b);
	ck_assert_int_eq(part(&b, false, 2, 0, 512, false), LP_DROP_NONE);
	assert_text(&b);
	ck_assert_int_eq(part(&b, true, 1, 0, 512, false), LP_DROP_NONE);
	assert_text(&b);
	ck_assert_uint_eq(stats(&b).drop[LP_DROP_HELD], 2);
	close_bench(&b);
}
END_TEST

/* The same bytes on two VLANs: two datagrams, or with ignore_domain one and duplicates. */
START_TEST(two_vlans)
{
	for (int ignore = 0; ignore < 2; ignore++) {
		struct lp_decode_config config;
		struct bench b;
		uint8_t out[MAX], two[MAX];

		lp_decode_config_default(&config);
		config.ignore_domain = ignore;
		open_with(&b, &config);
		for (int i = 0; i < 4; i++) {
			size_t n = help_fragment(b.frame[0], 1, i < 2 ? 0 : 512,
						 i < 2 ? 512 : b.n - 512, i > 1, out, sizeof out);
			enum lp_drop drop;

			n = help_tunnel(HELP_VLAN, false, 10 + (i & 1), out, n, two, sizeof two);
			drop = push(&b, two, n);
			if (i < 2)
				ck_assert_int_eq(drop, i && ignore ? LP_DROP_FRAGMENT_DUP
								   : LP_DROP_HELD);
			else
				ck_assert_int_eq(drop, i > 2 && ignore ? LP_DROP_FRAGMENT_DUP
								       : LP_DROP_NONE);
			if (!drop)
				assert_text(&b);
		}
		ck_assert_uint_eq(stats(&b).drop[LP_DROP_HELD], 0);
		close_bench(&b);
	}
}
END_TEST

/* A mirror shows each packet twice, copies at once or behind all of the datagram. */
START_TEST(every_packet_twice)
{
	struct bench b;

	open_bench(&b);
	for (uint32_t id = 1; id <= 200; id++) {
		bool six = id & 1;

		ck_assert_int_eq(part(&b, six, id, 0, 512, false), LP_DROP_HELD);
		ck_assert_int_eq(part(&b, six, id, 0, 512, false), LP_DROP_FRAGMENT_DUP);
		ck_assert_int_eq(part(&b, six, id, 512, b.n, true), LP_DROP_NONE);
		assert_text(&b);
		ck_assert_int_eq(part(&b, six, id, 512, b.n, true), LP_DROP_FRAGMENT_DUP);
		lp_decode_release(b.d);
	}
	ck_assert_uint_eq(stats(&b).drop[LP_DROP_HELD], 0);
	/* The whole datagram again is a retransmission like any other. */
	for (int i = 0; i < 2; i++) {
		ck_assert_int_eq(part(&b, false, 999, 0, 512, false), LP_DROP_HELD);
		ck_assert_int_eq(part(&b, false, 999, 512, b.n, true), LP_DROP_NONE);
		assert_text(&b);
	}
	/* Later than a second it is no copy: ids come round. */
	b.ns += 2ULL * SECOND;
	ck_assert_int_eq(part(&b, false, 999, 512, b.n, true), LP_DROP_HELD);
	ck_assert_int_eq(part(&b, false, 999, 0, 512, false), LP_DROP_NONE);
	close_bench(&b);
}
END_TEST

/* ---- overlaps ---- */

/* A datagram told in parts of letters; what became of it. */
struct told {
	size_t from, to;
	char letter;
	bool last;
};

static enum lp_drop tell(struct bench *b, bool six, uint32_t id, const struct told *parts,
			 size_t n, char *bytes, size_t size)
{
	uint8_t frame[MAX], out[MAX];
	enum lp_drop drop = LP_DROP_HELD;

	memcpy(frame, b->frame[six], MAX);
	b->ns += 2ULL * SECOND; /* so that nothing is a copy of what was before */
	for (size_t i = 0; i < n; i++) {
		/* Behind the 20 bytes of TCP header and 4 of text. */
		memset(frame + 14 + (six ? 40 : 20) + 24, parts[i].letter, 300);
		drop = push(b, out, help_fragment(frame, id, parts[i].from,
						  parts[i].to - parts[i].from, parts[i].last, out,
						  sizeof out));
	}
	if (!drop) {
		ck_assert_uint_eq(b->s.payload_len, size + 4);
		memcpy(bytes, b->s.payload + 4, size);
	}
	return drop;
}

#define TELL(b, six, parts, bytes, size) \
	tell(b, six, 77, parts, sizeof parts / sizeof parts[0], bytes, size)

/* The letter of each eight bytes. */
static void assert_letters(const char *bytes, size_t n, const char *want)
{
	char got[40] = "";

	for (size_t i = 0; i < n; i += 8) {
		for (size_t k = i; k < i + 8 && k < n; k++)
			ck_assert_int_eq(bytes[k], bytes[i]);
		got[i / 8] = bytes[i];
	}
	ck_assert_str_eq(got, want);
}

static void bench_of(struct bench *b, enum lp_overlap overlap)
{
	struct lp_decode_config config;

	lp_decode_config_default(&config);
	config.defrag.overlap = overlap;
	open_with(b, &config);
}

static const struct told within[] = { { 0, 48, 'a', false }, { 32, 40, 'x', false },
				      { 48, 56, 'b', true } };
static const struct told across[] = { { 0, 40, 'a', false }, { 32, 48, 'b', false },
				      { 48, 56, 'c', true } };
static const struct told before[] = { { 40, 56, 'c', true }, { 24, 48, 'b', false },
				      { 0, 24, 'a', false } };
static const struct told around[] = { { 32, 40, 'x', false }, { 24, 56, 'b', true },
				      { 0, 24, 'a', false } };
/* Within two that came one behind the other, and within two that did not. */
static const struct told in_run[] = { { 0, 24, 'z', false }, { 24, 32, 'a', false },
				      { 32, 40, 'b', false }, { 24, 40, 'x', false },
				      { 40, 48, 'c', true } };
static const struct told in_two[] = { { 32, 40, 'b', false }, { 24, 32, 'a', false },
				      { 24, 40, 'x', false }, { 40, 48, 'c', true },
				      { 0, 24, 'z', false } };

START_TEST(overlaps_as_linux)
{
	for (int six = 0; six < 2; six++) {
		struct lp_decode_stats s;
		struct bench b;
		char got[64];

		bench_of(&b, LP_OVERLAP_LINUX);
		/* What is there already: not even looked at. */
		ck_assert_int_eq(TELL(&b, six, within, got, 32), LP_DROP_NONE);
		assert_letters(got, 32, "aaab");
		ck_assert_int_eq(TELL(&b, six, in_run, got, 24), LP_DROP_NONE);
		assert_letters(got, 24, "abc");
		s = stats(&b);
		ck_assert_uint_eq(s.drop[LP_DROP_FRAGMENT_DUP], 2);
		ck_assert_uint_eq(s.drop[LP_DROP_FRAGMENT_OVERLAP], 0);
		/* Anything else ends the datagram; what comes after begins another. */
		ck_assert_int_eq(TELL(&b, six, across, got, 32), LP_DROP_HELD);
		ck_assert_uint_eq(stats(&b).drop[LP_DROP_FRAGMENT_OVERLAP], 2);
		close_bench(&b);
		bench_of(&b, LP_OVERLAP_LINUX);
		ck_assert_int_eq(TELL(&b, six, before, got, 32), LP_DROP_HELD);
		ck_assert_uint_eq(stats(&b).drop[LP_DROP_FRAGMENT_OVERLAP], 2);
		close_bench(&b);
		bench_of(&b, LP_OVERLAP_LINUX);
		ck_assert_int_eq(TELL(&b, six, around, got, 32), LP_DROP_HELD);
		ck_assert_uint_eq(stats(&b).drop[LP_DROP_FRAGMENT_OVERLAP], 2);
		close_bench(&b);
		bench_of(&b, LP_OVERLAP_LINUX);
		ck_assert_int_eq(TELL(&b, six, in_two, got, 24), LP_DROP_HELD);
		ck_assert_uint_eq(stats(&b).drop[LP_DROP_FRAGMENT_OVERLAP], 3);
		close_bench(&b);
	}
}
END_TEST

START_TEST(overlaps_as_bsd)
{
	struct bench b;
	char got[64];

	bench_of(&b, LP_OVERLAP_BSD);
	ck_assert_int_eq(TELL(&b, false, within, got, 32), LP_DROP_NONE);
	assert_letters(got, 32, "aaab");
	ck_assert_int_eq(TELL(&b, false, across, got, 32), LP_DROP_NONE);
	assert_letters(got, 32, "aabc");
	ck_assert_int_eq(TELL(&b, false, before, got, 32), LP_DROP_NONE);
	assert_letters(got, 32, "bbbc");
	ck_assert_int_eq(TELL(&b, false, around, got, 32), LP_DROP_NONE);
	assert_letters(got, 32, "bbbb");
	ck_assert_int_eq(TELL(&b, false, in_run, got, 24), LP_DROP_NONE);
	assert_letters(got, 24, "axc"); /* trimmed by one, replaces the other */
	ck_assert_int_eq(TELL(&b, false, in_two, got, 24), LP_DROP_NONE);
	assert_letters(got, 24, "axc");
	/* IPv6 knows no such thing. */
	ck_assert_int_eq(TELL(&b, true, across, got, 32), LP_DROP_HELD);
	ck_assert_uint_eq(stats(&b).drop[LP_DROP_FRAGMENT_OVERLAP], 2);
	close_bench(&b);
}
END_TEST

START_TEST(teardrop)
{
	struct bench b;

	open_bench(&b);
	/* The second lies within the first and says that it is the last. */
	ck_assert_int_eq(part(&b, false, 242, 0, 36, false), LP_DROP_HELD);
	ck_assert_int_eq(part(&b, false, 242, 24, 28, true), LP_DROP_FRAGMENT_BAD);
	ck_assert_uint_eq(stats(&b).drop[LP_DROP_FRAGMENT_BAD], 2);
	/* Two ends; bytes behind the end. */
	for (int six = 0; six < 2; six++) {
		ck_assert_int_eq(part(&b, six, 5, 512, b.n, true), LP_DROP_HELD);
		ck_assert_int_eq(part(&b, six, 5, 512, b.n - 8, true), LP_DROP_FRAGMENT_BAD);
		ck_assert_int_eq(part(&b, six, 5, 512, 520, true), LP_DROP_HELD);
		ck_assert_int_eq(part(&b, six, 5, 512, 528, false), LP_DROP_FRAGMENT_BAD);
		/* Nothing in it. */
		ck_assert_int_eq(part(&b, six, 5, 512, 512, false), LP_DROP_FRAGMENT_BAD);
	}
	ck_assert_uint_eq(stats(&b).drop[LP_DROP_HELD], 0);
	close_bench(&b);
}
END_TEST

START_TEST(impossible_ones)
{
	struct bench b;
	uint8_t out[MAX];
	size_t n;

	open_bench(&b);
	/* Not a multiple of eight: IPv4 takes what is, IPv6 does not. */
	ck_assert_int_eq(part(&b, true, 1, 0, 515, false), LP_DROP_FRAGMENT_BAD);
	ck_assert_int_eq(part(&b, false, 1, 0, 515, false), LP_DROP_HELD);
	ck_assert_int_eq(part(&b, false, 1, 512, b.n, true), LP_DROP_NONE);
	assert_text(&b);
	ck_assert_int_eq(part(&b, false, 1, 0, 7, false), LP_DROP_FRAGMENT_BAD);
	/* The first part of IPv6 has the whole TCP header. */
	ck_assert_int_eq(part(&b, true, 2, 0, 16, false), LP_DROP_FRAGMENT_BAD);
	ck_assert_int_eq(part(&b, true, 2, 0, 24, false), LP_DROP_HELD);
	/* Longer than a datagram can be. */
	for (int six = 0; six < 2; six++) {
		n = help_fragment(b.frame[six], 3, 0, 24, false, out, sizeof out);
		if (six)
			memcpy(out + 14 + 42, "\xff\xf8", 2);
		else
			memcpy(out + 20, "\x1f\xff\x40\x06\0\0", 6);
		ck_assert_int_eq(push(&b, out, n), LP_DROP_FRAGMENT_BAD);
	}
	/* Cut by the snap length: there is nothing to make a datagram of. */
	n = help_fragment(b.frame[0], 4, 0, 512, false, out, sizeof out);
	ck_assert_int_eq(push(&b, out, n - 1), LP_DROP_FRAGMENT_CUT);
	/* A length left to a card is not for fragments. */
	memcpy(out + 16, "\0\0", 2);
	memcpy(out + 24, "\0\0", 2);
	ck_assert_int_eq(push(&b, out, n), LP_DROP_FRAGMENT_BAD);
	close_bench(&b);
}
END_TEST

/* ---- caps and time ---- */

START_TEST(time_out)
{
	struct lp_decode_config config;
	struct bench b;

	lp_decode_config_default(&config);
	ck_assert_uint_eq(config.defrag.timeout_ns, 30ULL * SECOND);
	ck_assert_uint_eq(config.defrag.max, 16U << 20);
	ck_assert_uint_eq(config.defrag.max_host, 1U << 20);
	open_with(&b, &config);
	ck_assert_int_eq(part(&b, false, 1, 0, 512, false), LP_DROP_HELD);
	b.ns += 30ULL * SECOND;
	ck_assert_int_eq(part(&b, true, 1, 0, 512, false), LP_DROP_HELD);
	ck_assert_int_eq(part(&b, false, 1, 512, 520, false), LP_DROP_HELD);
	ck_assert_uint_eq(stats(&b).drop[LP_DROP_FRAGMENT_TIMEOUT], 0);
	/* From the first fragment on, whatever came since. */
	b.ns++;
	ck_assert_int_eq(part(&b, false, 1, 512, b.n, true), LP_DROP_HELD);
	ck_assert_uint_eq(stats(&b).drop[LP_DROP_FRAGMENT_TIMEOUT], 2);
	ck_assert_uint_eq(stats(&b).drop[LP_DROP_HELD], 2);
	/* Time that goes back is not believed; the IPv6 one is still good. */
	b.ns -= 100ULL * SECOND;
	ck_assert_int_eq(part(&b, true, 1, 512, b.n, true), LP_DROP_NONE);
	assert_text(&b);
	/* And a packet that jumps ahead makes everything old. */
	b.ns += 1000ULL * SECOND;
	ck_assert_int_eq(part(&b, true, 2, 512, b.n, true), LP_DROP_HELD);
	ck_assert_uint_eq(stats(&b).drop[LP_DROP_FRAGMENT_TIMEOUT], 3);
	ck_assert_uint_eq(stats(&b).drop[LP_DROP_HELD], 1);
	close_bench(&b);
}
END_TEST

/* From another sender. */
static enum lp_drop spoofed(struct bench *b, uint32_t from, uint32_t id, size_t n)
{
	uint8_t frame[MAX], out[MAX];

	memcpy(frame, b->frame[0], MAX);
	for (int i = 0; i < 4; i++)
		frame[26 + i] = (uint8_t)(from >> 8 * (3 - i));
	return push(b, out, help_fragment(frame, id, 0, n, false, out, sizeof out));
}

START_TEST(cap_of_a_host)
{
	struct lp_decode_stats s;
	struct bench b;

	open_bench(&b);
	ck_assert_int_eq(spoofed(&b, 0xc0000201, 1, 512), LP_DROP_HELD);
	for (uint32_t id = 2; id < 4000; id++) {
		ck_assert_int_eq(part(&b, false, id, 0, 512, false), LP_DROP_HELD);
		ck_assert_uint_le(stats(&b).fragment_bytes, (1U << 20) + 2048);
	}
	s = stats(&b);
	ck_assert_uint_gt(s.drop[LP_DROP_FRAGMENT_LIMIT], 1000);
	ck_assert_uint_gt(s.drop[LP_DROP_HELD], 1000);
	/* The oldest went; the newest and the other sender's are there. */
	ck_assert_int_eq(part(&b, false, 3999, 512, b.n, true), LP_DROP_NONE);
	assert_text(&b);
	ck_assert_int_eq(part(&b, false, 2, 512, b.n, true), LP_DROP_HELD);
	ck_assert_int_eq(spoofed(&b, 0xc0000201, 1, 512), LP_DROP_FRAGMENT_DUP);
	close_bench(&b);
}
END_TEST

START_TEST(cap_of_all)
{
	struct lp_decode_config config;
	struct lp_decode_stats s;
	struct bench b;

	lp_decode_config_default(&config);
	config.defrag.max = 1 << 18;
	open_with(&b, &config);
	for (uint32_t i = 0; i < 2000; i++) {
		ck_assert_int_eq(spoofed(&b, i, i, 512), LP_DROP_HELD);
		ck_assert_uint_le(stats(&b).fragment_bytes, config.defrag.max);
	}
	s = stats(&b);
	ck_assert_uint_gt(s.drop[LP_DROP_FRAGMENT_LIMIT], 1000);
	ck_assert_uint_eq(s.drop[LP_DROP_FRAGMENT_LIMIT] + s.drop[LP_DROP_HELD], 2000);
	close_bench(&b);
	/* One datagram that alone is more than the cap. */
	config.defrag.max = 1200;
	open_with(&b, &config);
	ck_assert_int_eq(part(&b, false, 1, 0, 512, false), LP_DROP_HELD);
	ck_assert_int_eq(part(&b, false, 1, 512, 1016, false), LP_DROP_FRAGMENT_LIMIT);
	ck_assert_uint_eq(stats(&b).drop[LP_DROP_FRAGMENT_LIMIT], 2);
	ck_assert_uint_eq(stats(&b).fragment_bytes, 0);
	close_bench(&b);
}
END_TEST

/* 200,000 fragments that belong to nothing, beside a transfer that lives. */
START_TEST(flood)
{
	struct bench b;
	uint64_t peak = 0;

	open_bench(&b);
	for (uint32_t i = 0; i < 200000; i++) {
		struct lp_decode_stats s;

		/* Half from one sender, half from a sender each. */
		ck_assert_int_eq(spoofed(&b, i & 1 ? 0x01020304 : 0x14000000 + i, i, 8 + i % 3 * 8),
				 LP_DROP_HELD);
		b.ns += 10000;
		if (i % 100)
			continue;
		s = stats(&b);
		if (s.fragment_bytes > peak)
			peak = s.fragment_bytes;
		ck_assert_int_eq(part(&b, false, i / 100 + 1, 0, 512, false), LP_DROP_HELD);
		ck_assert_int_eq(part(&b, false, i / 100 + 1, 512, b.n, true), LP_DROP_NONE);
		assert_text(&b);
		lp_decode_release(b.d);
	}
	ck_assert_uint_le(peak, 16U << 20);
	ck_assert_uint_gt(peak, 15U << 20);
	ck_assert_uint_eq(stats(&b).drop[LP_DROP_NONE], 2000);
	close_bench(&b);
}
END_TEST

/* The worst that one datagram can be made to cost: parts of 8 bytes in a wild order, and
 * overlaps that waste what was kept. */
START_TEST(wild_datagrams)
{
	struct lp_decode_config config;
	struct bench b;
	uint8_t out[MAX];

	lp_decode_config_default(&config);
	open_with(&b, &config);
	for (uint32_t i = 0; i < 8185; i++) {
		size_t n = help_fragment(b.frame[0], 1, i * 4999 % 8185 * 8, 0, false, out,
					 sizeof out);

		memset(out + n, 'x', 8);
		out[17] = 28; /* total length, and a sum that fits */
		out[24] = out[25] = 0;
		ck_assert_int_eq(push(&b, out, n + 8), LP_DROP_HELD);
	}
	ck_assert_uint_eq(stats(&b).drop[LP_DROP_HELD], 8185);
	close_bench(&b);
	config.defrag.overlap = LP_OVERLAP_BSD;
	open_with(&b, &config);
	for (size_t from = 1008; from > 0; from -= 8)
		(void)part(&b, false, 1, from - 8, 1016, false);
	ck_assert_uint_le(stats(&b).fragment_bytes, 1U << 20);
	ck_assert_int_eq(part(&b, false, 1, 1016, b.n, true), LP_DROP_NONE);
	assert_text(&b);
	close_bench(&b);
}
END_TEST

/* ---- in each other ---- */

START_TEST(tunnel_in_fragments)
{
	uint8_t whole[MAX], out[MAX], frame[MAX];
	struct bench b;

	open_bench(&b);
	for (int k = HELP_GRE; k <= HELP_GTP_MORE; k++) {
		for (int families = 0; families < 4; families++) {
			bool six = families & 2;
			size_t head = six ? 54 : 34, n, half = 504;

			n = help_tunnel((enum help_tunnel)k, six, 5, b.frame[families & 1],
					(families & 1 ? 54 : 34) + b.n, whole, sizeof whole);
			ck_assert_int_eq(push(&b, out, help_fragment(whole, 9, half,
								     n - head - half, true, out,
								     sizeof out)), LP_DROP_HELD);
			ck_assert_int_eq(push(&b, out, help_fragment(whole, 9, 0, half, false, out,
								     sizeof out)), LP_DROP_NONE);
			assert_text(&b);
			lp_decode_release(b.d);
		}
	}
	/* Fragments in a tunnel in fragments. */
	for (int i = 0; i < 4; i++) {
		size_t n = help_fragment(b.frame[0], 8, i < 2 ? 0 : 512, i < 2 ? 512 : b.n - 512,
					 i > 1, frame, sizeof frame);

		n = help_tunnel(HELP_VXLAN, false, 5, frame, n, whole, sizeof whole) - 34;
		n = help_fragment(whole, 20 + i / 2, i & 1 ? 256 : 0, i & 1 ? n - 256 : 256, i & 1,
				  out, sizeof out);
		ck_assert_int_eq(push(&b, out, n), i < 3 ? LP_DROP_HELD : LP_DROP_NONE);
		lp_decode_release(b.d);
		if (i == 2)
			ck_assert_uint_eq(stats(&b).drop[LP_DROP_HELD], 2);
	}
	ck_assert_uint_eq(stats(&b).drop[LP_DROP_HELD], 0);
	close_bench(&b);
}
END_TEST

/* Segments of a batch stand until the release. */
START_TEST(a_batch_of_datagrams)
{
	struct lp_segment kept[64];
	struct bench b;

	open_bench(&b);
	for (int round = 0; round < 3; round++) {
		for (uint32_t i = 0; i < 64; i++) {
			bool six = i & 1;

			(void)part(&b, six, i, 0, 512, false);
			ck_assert_int_eq(part(&b, six, i, 512, b.n, true), LP_DROP_NONE);
			kept[i] = b.s;
		}
		for (int i = 0; i < 64; i++)
			ck_assert_mem_eq(kept[i].payload, b.text, TEXT);
		lp_decode_release(b.d);
		b.ns += 2ULL * SECOND;
	}
	close_bench(&b);
}
END_TEST

START_TEST(storm)
{
	struct lp_decode_config config;
	uint32_t state = 11;
	uint8_t out[MAX];
	struct bench b;

	lp_decode_config_default(&config);
	config.defrag.max = 200000;
	config.defrag.max_host = 50000;
	for (int way = 0; way < 2; way++) {
		config.defrag.overlap = way ? LP_OVERLAP_BSD : LP_OVERLAP_LINUX;
		open_with(&b, &config);
		for (uint32_t i = 0; i < 60000; i++) {
			size_t from, n;
			bool six;

			state = state * 1664525 + 1013904223;
			six = state >> 31;
			from = (state >> 8) % 64 * 16;
			n = (state >> 16) % (b.n - from + 1);
			n = help_fragment(b.frame[six], state >> 24 & 7, from, n, state & 0x40000000,
					  out, sizeof out);
			if (i % 16 == 0)
				out[14 + (state >> 12) % 30] ^= (uint8_t)state;
			(void)push(&b, out, n);
			ck_assert_uint_le(stats(&b).fragment_bytes, 200000);
			b.ns += state >> 4;
			if (i % 64 == 0)
				lp_decode_release(b.d);
		}
		ck_assert_uint_gt(stats(&b).datagrams, 0);
		close_bench(&b);
	}
}
END_TEST

Suite *suite_defrag(void)
{
	Suite *s = suite_create("defrag");
	TCase *t = tcase_create("defrag");

	tcase_set_timeout(t, 120);
	tcase_add_test(t, every_order);
	tcase_add_test(t, many_parts);
	tcase_add_test(t, keys);
	tcase_add_test(t, two_vlans);
	tcase_add_test(t, every_packet_twice);
	tcase_add_test(t, overlaps_as_linux);
	tcase_add_test(t, overlaps_as_bsd);
	tcase_add_test(t, teardrop);
	tcase_add_test(t, impossible_ones);
	tcase_add_test(t, time_out);
	tcase_add_test(t, cap_of_a_host);
	tcase_add_test(t, cap_of_all);
	tcase_add_test(t, flood);
	tcase_add_test(t, wild_datagrams);
	tcase_add_test(t, tunnel_in_fragments);
	tcase_add_test(t, a_batch_of_datagrams);
	tcase_add_test(t, storm);
	suite_add_tcase(s, t);
	return s;
}
