/* The native reassembler beyond the rows: random streams, what the consumer can ask
 * for, cost, and that nothing depends on the hash seed. */
#define _GNU_SOURCE
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "help_tcp.h"
#include "net/flow.h"

static uint32_t rng;

static uint32_t any(uint32_t below)
{
	rng = rng * 1664525 + 1013904223;
	return (uint32_t)((uint64_t)rng * below >> 32);
}

/* --- random streams --- */

struct cut {
	uint8_t side;
	bool fin;
	uint32_t from, n;
};

/* Cuts n bytes of one side: mostly new, sometimes again and differently cut. */
static size_t cut_up(struct cut *out, uint8_t side, uint32_t n, uint32_t most)
{
	size_t count = 0;

	for (uint32_t at = 0; at < n;) {
		uint32_t some = 1 + any(any(3) ? most : 3);

		if (some > n - at)
			some = n - at;
		out[count++] = (struct cut){ .side = side, .from = at, .n = some };
		at += some;
		if (!any(8)) {
			uint32_t back = any(at) < 3000 ? any(at) : any(3000 < at ? 3000 : at);

			some = 1 + any(most);
			out[count++] = (struct cut){ .side = side, .from = at - back,
						     .n = some < back ? some : back };
			if (!out[count - 1].n)
				count--;
		}
	}
	out[count++] = (struct cut){ .side = side, .from = n, .fin = true };
	return count;
}

static size_t interleave(struct cut *out, const struct cut *a, size_t na, const struct cut *b,
			 size_t nb)
{
	size_t n = 0;

	while (na || nb) {
		if (na && (!nb || any(2)))
			out[n++] = *a++, na--;
		else
			out[n++] = *b++, nb--;
	}
	for (size_t i = 0; i < n; i++) { /* shuffled within a window */
		size_t j = i + any(20);
		struct cut x = out[i];

		if (j >= n)
			continue;
		out[i] = out[j];
		out[j] = x;
	}
	return n;
}

START_TEST(random_streams)
{
	enum { MOST = 30000 };
	static uint8_t data[2][MOST];
	static struct cut half[2][MOST * 2 + 2], all[MOST * 4 + 4];
	uint32_t n[2], most;
	struct lp_reasm_stats stats;
	struct help_tcp *t;
	size_t count[2], total;

	rng = (uint32_t)_i * 7919 + 1;
	most = _i % 10 == 0 ? 1 : 1460;
	for (uint8_t side = 0; side < 2; side++) {
		n[side] = 1 + any(most == 1 ? 3000 : MOST);
		for (uint32_t i = 0; i < n[side]; i++)
			data[side][i] = (uint8_t)any(256);
		count[side] = cut_up(half[side], side, n[side], most);
	}
	total = interleave(all, half[0], count[0], half[1], count[1]);
	t = calloc(1, sizeof *t);
	ck_assert_ptr_nonnull(t);
	t->isn[0] = _i % 3 ? any(0xffffffff) : 0xffffffff - any(30000);
	t->isn[1] = _i % 3 == 1 ? any(0xffffffff) : 0xffffffff - any(30000);
	t->keep = true;
	t->quiet = true;
	t->sums = _i & 1;
	t->batch = 1 + any(HELP_TCP_BATCH);
	help_tcp_start(t, &lp_tcp_native, NULL);
	help_tcp_run(t, "hs");
	for (size_t i = 0; i < total; i++) {
		const struct cut *c = &all[i];
		struct help_tcp_shot x = {
			.side = c->side, .flags = LP_TCP_ACK | (c->fin ? LP_TCP_FIN : 0),
			.seq = t->isn[c->side] + 1 + c->from, .ack = t->isn[!c->side] + 1,
			.payload = data[c->side] + c->from, .len = c->n, .captured = c->n,
		};

		help_tcp_shot(t, &x);
		if (!any(10))
			help_tcp_shot(t, &x);
		help_tcp_pass(t, 1000);
	}
	help_tcp_finish(t);
	ck_assert_uint_eq(t->opened, 1);
	for (int side = 0; side < 2; side++) {
		lp_span got = lp_buf_span(&t->streams[0].keep[side]);

		ck_assert_uint_eq(got.n, n[side]);
		ck_assert_mem_eq(got.p, data[side], n[side]);
	}
	ck_assert_str_eq(t->text, "FIN");
	stats = help_tcp_stats(t);
	ck_assert_uint_eq(stats.gaps, 0);
	ck_assert_uint_eq(stats.conflicts, 0);
	help_tcp_discard(t);
}
END_TEST

/* Losses too: every byte is either right or in a gap. */
START_TEST(random_losses)
{
	enum { N = 200000 };
	static uint8_t data[N];
	struct help_tcp *t = calloc(1, sizeof *t);
	struct lp_reasm_stats stats;
	uint32_t lost = 0;

	rng = (uint32_t)_i + 77;
	ck_assert_ptr_nonnull(t);
	for (uint32_t i = 0; i < N; i++)
		data[i] = (uint8_t)(i * 2654435761u >> 24);
	t->isn[0] = 0xfffffff0;
	t->keep = true;
	t->quiet = true;
	t->batch = 16;
	help_tcp_start(t, &lp_tcp_native, NULL);
	help_tcp_run(t, "hs");
	for (uint32_t at = 0; at < N; at += 1000) {
		struct help_tcp_shot x = { .side = 0, .flags = LP_TCP_ACK,
					   .seq = t->isn[0] + 1 + at, .ack = t->isn[1] + 1,
					   .payload = data + at, .len = 1000, .captured = 1000 };
		struct help_tcp_shot ack = { .side = 1, .flags = LP_TCP_ACK, .seq = t->isn[1] + 1,
					     .ack = t->isn[0] + 1 + at + 1000 };

		if (any(5))
			help_tcp_shot(t, &x);
		else
			lost += 1000;
		help_tcp_shot(t, &ack);
		help_tcp_pass(t, any(30) * LP_NS_PER_MS);
	}
	help_tcp_finish(t);
	stats = help_tcp_stats(t);
	ck_assert_uint_eq(t->streams[0].off[0], N);
	ck_assert_uint_eq(stats.gap_bytes, lost);
	ck_assert_uint_eq(lp_buf_len(&t->streams[0].keep[0]), N - lost);
	/* A gap frees what waits behind it, soon: 100 ms and a sample's 50 at 15 ms a packet. */
	ck_assert_uint_le(stats.ooo_peak, 30 * 1300);
	help_tcp_discard(t);
}
END_TEST

/* --- what the consumer can ask for --- */

START_TEST(skip_a_direction)
{
	struct lp_reasm_stats stats;
	struct help_tcp *t = help_tcp_native(NULL);

	help_tcp_run(t, "hs");
	help_tcp_flush(t);
	t->streams[0].answer[0] = LP_TAKE_SKIP_DIR;
	help_tcp_run(t, "AK11:b10 AK31:d10 AK1:a10 AK:x100 AK501:y10 BK:b10 AK AFK BK:b5 BFK AK");
	ck_assert_str_eq(help_tcp_finish(t), "A0:a10 B0:b15 FIN");
	stats = help_tcp_stats(t);
	ck_assert_uint_eq(stats.gaps, 0);
	help_tcp_discard(t);
}
END_TEST

START_TEST(skip_the_flow_from_the_start)
{
	struct help_tcp *t = help_tcp_native(NULL);

	t->open_answer = LP_TAKE_SKIP_FLOW;
	help_tcp_run(t, "AS:a10 BSK AK AK:a10 BK:b10 AK101:c10 BK end +20000 "
			"AS900000 BSK900000/900001 AK900001 AK:a1");
	ck_assert_str_eq(help_tcp_finish(t), "FIN | EOF");
	help_tcp_discard(t);
}
END_TEST

START_TEST(skip_from_inside_what_waited)
{
	struct help_tcp *t = help_tcp_native(NULL);

	help_tcp_run(t, "hs AK11:b10 AK21:c10 AFK31");
	help_tcp_flush(t);
	t->streams[0].answer[0] = LP_TAKE_SKIP_FLOW;
	help_tcp_run(t, "AK1:a10 BK1:x10 BFK11 AK");
	ck_assert_str_eq(help_tcp_finish(t), "A0:a10 FIN");
	help_tcp_discard(t);
}
END_TEST

/* The mirror port shows B's side late: A has what it acknowledged, and resets. */
START_TEST(a_reset_waits_for_what_was_acknowledged)
{
	struct help_tcp *t = help_tcp_native(NULL);

	help_tcp_run(t, "#1 hs AK:a100/31 AR101 +250 BK1:b20 BK21:b10 BK31:x50 "
			"#2 hs AK:a100 ARK101/31 +250 BK1:b29 BFK30 AK "
			"#3 hs AK:a100/31 AR101 BK1:b20 AK101:z5");
	help_tcp_flush(t);
	/* Those bytes are given up when an ended flow would be forgotten. */
	ck_assert_ptr_null(strstr(help_tcp_text(t), "B+10@20"));
	help_tcp_run(t, "+12000 #4 hs");
	help_tcp_flush(t);
	ck_assert_ptr_nonnull(strstr(help_tcp_text(t), "B+10@20 RST"));
	ck_assert_str_eq(help_tcp_finish(t), "A0:a100 B0:b30 RST | A0:a100 B0:b29 RST | "
			 "A0:a100 B0:b20 A100:z5 B+10@20 RST | EOF");
	help_tcp_discard(t);
}
END_TEST

/* The side that acknowledges is shown early: its word is older than the hole. */
START_TEST(an_early_word_is_no_hurry)
{
	struct help_tcp *t = help_tcp_native(NULL);

	help_tcp_run(t, "hs AK1:a10 BK1/61 +150 BK1/61 +150 AK21:c10 AK31:d10 +50 AK11:b10 "
			"AK51:f10 +50 AK61:g10 +60 AK71:h10");
	ck_assert_str_eq(help_tcp_finish(t), "A0:a10b10c10d10 A+10@40 A50:f10g10h10 EOF");
	help_tcp_discard(t);
}
END_TEST

START_TEST(single_bytes_before_their_syn)
{
	struct help_tcp *t = help_tcp_native(NULL);

	help_tcp_run(t, "#1 AKP4:d1/1 AKP2:b1/1 AKP3:c1/1 AKP1:a1/1 +10 AS0 BSK0/1 AKP5:e1/1 BK1/6 end "
			/* Without PSH, too: a sign of life comes behind data. */
			"#2 AK2:b20/1 +10 AK1:a1/1 AK22:c20/1 "
			"#3 AK2:b20/1 +10 AK1:_1/1 AK22:c20/1 AK41:_1/1");
	ck_assert_str_eq(help_tcp_finish(t), "A0:a1b1c1d1e1 FIN | A0:a1b20c20 EOF | A0:_1b20c20 EOF");
	help_tcp_discard(t);
}
END_TEST

/* Neither SYN was captured, and the side that acknowledges is shown early, or what ends the other:
 * what it acknowledged is not below the beginning. */
START_TEST(what_was_acknowledged_comes_first)
{
	struct help_tcp *t = help_tcp_native(NULL);

	help_tcp_run(t, "#1 BK1:b20/101 BK21:c20/101 +150 AK101/21 AK101:e10/61 AK1:a100/21 BK41:d20/111 "
			"#2 BK21:c20/101 AFK111/41 AK101:e10/41 BFK41/112 AK1:a100/1 BK1:b20/1 +200 AK112/42 "
			/* A side of which something was seen need not wait again. */
			"#3 BK1:b20/101 AK101/1 +150 BK21:c20/101 AK101:e10/41 "
			/* Each has its time. */
			"#4 BK1:b20/61 BK21:c20/61 +80 AK51:e10/41 +30 BK41:d20/61 AK1:a50/1");
	help_tcp_flush(t);
	ck_assert_ptr_nonnull(strstr(help_tcp_text(t), "A0:b20c20 B0:e10"));
	ck_assert_str_eq(help_tcp_finish(t), "A0:b20c20d20 B0:a100e10 EOF | "
			 "A0:b20c20 B0:a100e10 FIN | A0:b20c20 B0:e10 EOF | A0:b20c20d20 B0:a50e10 EOF");
	help_tcp_discard(t);
}
END_TEST

/* … or with packets in another order: what was sent before the reset is not lost yet. */
START_TEST(a_reset_waits_for_holes)
{
	struct help_tcp *t = help_tcp_native(NULL);

	help_tcp_run(t, "#1 hs AK21:c10 AR31 AK11:b10 AK1:a10 "
			"#2 hs AK1:a10 AK21:c10 BR AK11:b10 "
			"#3 hs AK:a10 BK1/31 AR31 AK11:b20 "
			"#4 hs AK21:c10 BK1/31 AR31 +200 = +1000 #5 hs");
	help_tcp_flush(t);
	/* No longer than other holes are waited for. */
	ck_assert_ptr_nonnull(strstr(help_tcp_text(t), "A+20@0 A20:c10 RST"));
	ck_assert_str_eq(help_tcp_finish(t), "A0:a10b10c10 RST | A0:a10b10c10 RST | "
			 "A0:a10b20 RST | A+20@0 A20:c10 RST | EOF");
	help_tcp_discard(t);
}
END_TEST

/* All of a connection in another order, its reset early. */
START_TEST(a_reset_before_nearly_all)
{
	struct help_tcp *t = help_tcp_native(NULL);

	help_tcp_run(t, "AKP21:c10/31 BR31 BKP11:z20/21 AK1/1 AS0 BSK0/1 AK1:a20/1 BK1:y10/21");
	help_tcp_flush(t);
	ck_assert_str_eq(help_tcp_text(t), "A0:a20c10 B0:y10z20 RST");
	help_tcp_discard(t);
}
END_TEST

/* A replay has time: holes are given up after so many packets, too. */
START_TEST(a_hole_is_given_packets)
{
	struct lp_reasm_config config;
	struct help_tcp *t;

	lp_reasm_config_default(&config);
	config.grace_packets = 20;
	t = help_tcp_native(&config);
	help_tcp_run(t, "#1 hs AK1:a10 AK21:c10 BK1/31 +400 AK31:d10 #2 hs AK:x10 +1000 AK:x10 "
			"#1 AK11:b10 AK51:f10 BK1/61 +400 #2 AK:x10 AK:x10 AK:x10 AK:x10 AK:x10 "
			"AK:x10 AK:x10 AK:x10 AK:x10 AK:x10 AK:x10 AK:x10 AK:x10 AK:x10 AK:x10 ");
	help_tcp_flush(t);
	ck_assert_ptr_null(strstr(help_tcp_text(t), "A+"));
	help_tcp_run(t, "AK:x10 AK:x10 AK:x10 AK:x10 AK:x10 #1 AK61:g10");
	help_tcp_flush(t);
	ck_assert_ptr_nonnull(strstr(help_tcp_text(t), "A0:a10b10c10d10 A+10@40 A50:f10g10"));
	/* Without any sign that the peer has it, time alone counts. */
	help_tcp_run(t, "#3 hs AK11:b10 +6000 AK21:b10");
	help_tcp_flush(t);
	ck_assert_ptr_nonnull(strstr(help_tcp_text(t), "A+10@0 A10:b20"));
	(void)help_tcp_finish(t);
	help_tcp_discard(t);
}
END_TEST

/* A batch may lie where the one before it lay. */
START_TEST(what_was_looked_at_is_forgotten)
{
	struct help_tcp *t = help_tcp_native(NULL);
	uint8_t place[30];

	help_tcp_run(t, "hs");
	t->batch = 2;
	for (int i = 0; i < 3; i++) {
		struct help_tcp_shot x = {
			.flags = LP_TCP_ACK, .seq = i ? 1011 : 1001, .ack = 5001, .len = 10, .captured = 10,
			.payload = (const uint8_t *)(i ? "bbbbbbbbbb" : "aaaaaaaaaa"),
		};

		t->sums = !i; /* only of the first they are made while it is reassembled */
		help_tcp_shot(t, &x);
		if (i < 2) {
			memcpy(place, t->seg[0].tcp, sizeof place);
			t->seg[0].tcp = place;
			t->seg[0].payload = place + 20;
		}
		help_tcp_flush(t);
	}
	ck_assert_uint_eq(help_tcp_stats(t).duplicate, 1);
	ck_assert_uint_eq(help_tcp_stats(t).conflicts, 0);
	ck_assert_str_eq(help_tcp_finish(t), "A0:a10b10 EOF");
	help_tcp_discard(t);
}
END_TEST

/* What is told to come next: by whom, how much of it comes, and how much is other bytes. */
START_TEST(what_comes_next_is_told)
{
	static const struct {
		const char *script;
		unsigned foreseen, misjudged;
	} row[] = {
		{ "hs AK:a10 AK:b20 BK:c5 AK:d7 #2 hs AK:x9 #1 AK:e3 BK:f5", 30 + 5, 0 },
		{ "hs AK:a10 #2 hs AK:x9 BK:y8 AK:z7 #1 AK:b3 #2 AK:x4", 3 + 11, 0 },
		{ "hs AK:a10 AK11:b5!bad AK11:c5 AK:d5", 5, 5 }, /* nobody has judged it */
		{ "hs AK:a10 AK16:c5 AK11:b5", 5, 0 },           /* in another order */
		{ "hs AK:a10 AK:b20%5 AK31:c5", 0, 0 },          /* cut: no use */
		{ "hs AK:a10 AK11:a5 AK5:a5 AK:b5", 5 + 5, 0 },
	};

	for (size_t i = 0; i < sizeof row / sizeof row[0]; i++)
		for (int lends = 0; lends < 2; lends++) {
			struct help_tcp *t = help_tcp_native(NULL);

			t->batch = HELP_TCP_BATCH;
			t->lends = lends;
			help_tcp_run(t, row[i].script);
			help_tcp_flush(t);
			ck_assert_msg(t->foreseen == row[i].foreseen && t->misjudged == row[i].misjudged,
				      "%s: %llu, %llu", row[i].script, (unsigned long long)t->foreseen,
				      (unsigned long long)t->misjudged);
			(void)help_tcp_finish(t);
			help_tcp_discard(t);
		}
}
END_TEST

START_TEST(conflicts_are_marked)
{
	struct help_tcp *t = help_tcp_native(NULL);

	help_tcp_run(t, "#1 hs AK11:b10 AK11:c10 #2 hs BK11:b10 BK15:c10 #3 hs AK11:b10 AK5:b10");
	help_tcp_flush(t);
	ck_assert_uint_eq(t->streams[0].s->conflict, 1);
	ck_assert_uint_eq(t->streams[1].s->conflict, 2);
	ck_assert_uint_eq(t->streams[2].s->conflict, 0);
	help_tcp_finish(t);
	help_tcp_discard(t);
}
END_TEST

START_TEST(streams_are_described)
{
	struct lp_stream_info info;
	struct help_tcp *t = calloc(1, sizeof *t);

	ck_assert_ptr_nonnull(t);
	t->family = _i ? 6 : 4;
	help_tcp_start(t, &lp_tcp_native, NULL);
	help_tcp_run(t, "#1 +1 AS +1 BSK AK #2 AK5:a10 #3 BK5:a10 ~9 #4 hs");
	help_tcp_flush(t);
	t->ops->describe(t->r, t->streams[0].s, &info);
	ck_assert_uint_eq(info.family, t->family);
	ck_assert_uint_eq(info.addr[0][_i ? 15 : 3], 1);
	ck_assert_uint_eq(info.addr[1][_i ? 15 : 3], 2);
	ck_assert_uint_eq(info.port[0], 10001);
	ck_assert_uint_eq(info.port[1], 443);
	ck_assert_uint_eq(info.first_number, 1);
	ck_assert_uint_eq(info.first_ns, t->now_ns - LP_NS_PER_MS);
	t->ops->describe(t->r, t->streams[2].s, &info);
	ck_assert_uint_eq(info.addr[0][_i ? 15 : 3], 2);
	ck_assert_uint_eq(info.port[0], 443);
	ck_assert_uint_eq(info.port[1], 10003);
	t->ops->describe(t->r, t->streams[3].s, &info);
	ck_assert_uint_eq(info.domain, 9);
	help_tcp_finish(t);
	help_tcp_discard(t);
}
END_TEST

/* A connection is over; of the next with the same ports bytes are shown before its SYNs. But what is
 * sent of the old one once more begins nothing. */
START_TEST(the_next_ones_bytes_before_its_syn)
{
	static const char *const rows[][2] = {
		{ "hs AK:a10/1 ARK11/1 AK20011:d10/40001 AS20000 BSK40000/20001 AK20001:c10/40001 "
		  "BK40001:z10/20021 ARK20021/40011", "A0:a10 RST | A0:c10d10 B0:z10 RST" },
		{ "hs AK:a10/1 AFK11/1 BFK1/12 AK12/2 AK20001:c10/40001 BSK40000/20001 AS20000 "
		  "AFK20011/40001 BFK40001/20012 AK20012/40002", "A0:a10 FIN | A0:c10 FIN" },
		{ "hs AK:a10/1 AFK11/1 BFK1/12 AK12/2 AK1:a10/1 AK1:a10/2 BK1/12", "A0:a10 FIN" },
		{ "hs AK:a10/1 ARK11/1 AK11:b10/1 AK21:c10/1", "A0:a10 RST" },
	};

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct help_tcp *t = help_tcp_native(NULL);

		help_tcp_run(t, rows[i][0]);
		ck_assert_str_eq(help_tcp_finish(t), rows[i][1]);
		help_tcp_discard(t);
	}
}
END_TEST

/* --- cost, memory, seed --- */

static double seconds_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

/* n segments of one byte with a byte between them missing, in some order. */
static double out_of_order(uint32_t n, int order)
{
	struct lp_reasm_config config;
	struct lp_reasm_stats stats;
	struct help_tcp *t;
	double begin;

	lp_reasm_config_default(&config);
	config.max_ooo_side = 1 << 30;
	config.max_ooo = 1 << 30;
	t = help_tcp_native(&config);
	t->quiet = true;
	t->batch = HELP_TCP_BATCH;
	help_tcp_run(t, "hs");
	begin = seconds_now();
	for (uint32_t i = 0; i < n; i++) {
		uint32_t at = order == 0 ? i : order == 1 ? n - 1 - i :
			      (uint32_t)((uint64_t)i * 48271 % n);
		struct help_tcp_shot x = { .side = 0, .flags = LP_TCP_ACK,
					   .seq = t->isn[0] + 2 + 2 * at, .ack = t->isn[1] + 1,
					   .payload = (const uint8_t *)"x", .len = 1,
					   .captured = 1 };

		help_tcp_shot(t, &x);
	}
	stats = help_tcp_stats(t);
	ck_assert_uint_eq(stats.out_of_order, n);
	help_tcp_finish(t);
	begin = seconds_now() - begin;
	ck_assert_uint_eq(t->streams[0].off[0], 2 * n);
	stats = help_tcp_stats(t);
	ck_assert_uint_eq(stats.gap_bytes, n);
	help_tcp_discard(t);
	return begin;
}

/* What is quadratic would take a hundred times as long. */
START_TEST(a_hundred_thousand_out_of_order)
{
	double few = out_of_order(10000, _i), many = out_of_order(100000, _i);

	ck_assert_msg(many < few * 35 + 0.05, "10,000: %f s, 100,000: %f s", few, many);
}
END_TEST

START_TEST(a_flow_is_small)
{
	ck_assert_uint_le(sizeof(struct lp_flow) + 2 * sizeof(struct lp_flow_slot), 256);
}
END_TEST

/* A long random play of many flows in a small table, as one text. */
static char *play(uint64_t seed, size_t batch)
{
	static const char *const words[] = {
		"AS", "BSK", "AK", "AK:a10", "BK:b10", "AFK", "BFK", "AR", "AK31:x5", "BK41:y9",
		"+3000 AK", "AK:c400%20", "AS900000", "BSK800000/900001", "AK:d1@", "hs", "end",
		"+20000 BK", "AU:u3u1", "AK7:e9",
	};
	struct lp_reasm_config config;
	struct help_tcp *t = calloc(1, sizeof *t);
	char *text;

	ck_assert_ptr_nonnull(t);
	lp_reasm_config_default(&config);
	config.max_flows = 20;
	config.max_ooo = 3000;
	config.max_ooo_side = 800;
	config.seed = (struct lp_hash_seed){ seed, seed * 3 };
	t->isn[0] = 0xffffff00;
	t->batch = batch;
	help_tcp_start(t, &lp_tcp_native, &config);
	rng = 4711;
	for (int i = 0; i < 20000; i++) {
		char word[40];

		snprintf(word, sizeof word, "#%u %s", 1 + any(40),
			 words[any(sizeof words / sizeof words[0])]);
		help_tcp_run(t, word);
	}
	help_tcp_finish(t);
	text = strdup(t->text);
	ck_assert_ptr_nonnull(text);
	help_tcp_discard(t);
	return text;
}

START_TEST(nothing_depends_on_the_seed)
{
	char *a = play(1, 1), *b = play(99, 1), *c = play(12345, HELP_TCP_BATCH);

	ck_assert_uint_gt(strlen(a), 10000);
	ck_assert_str_eq(a, b);
	ck_assert_str_eq(a, c);
	free(a);
	free(b);
	free(c);
}
END_TEST

Suite *suite_tcp_native(void)
{
	Suite *s = suite_create("tcp_native");
	TCase *t = tcase_create("random");

	tcase_set_timeout(t, 60);
	tcase_add_loop_test(t, random_streams, 0, 60);
	tcase_add_loop_test(t, random_losses, 0, 5);
	suite_add_tcase(s, t);
	t = tcase_create("consumer");
	tcase_add_test(t, skip_a_direction);
	tcase_add_test(t, skip_the_flow_from_the_start);
	tcase_add_test(t, skip_from_inside_what_waited);
	tcase_add_test(t, a_reset_waits_for_what_was_acknowledged);
	tcase_add_test(t, a_reset_waits_for_holes);
	tcase_add_test(t, a_reset_before_nearly_all);
	tcase_add_test(t, what_was_acknowledged_comes_first);
	tcase_add_test(t, an_early_word_is_no_hurry);
	tcase_add_test(t, single_bytes_before_their_syn);
	tcase_add_test(t, a_hole_is_given_packets);
	tcase_add_test(t, what_was_looked_at_is_forgotten);
	tcase_add_test(t, what_comes_next_is_told);
	tcase_add_test(t, conflicts_are_marked);
	tcase_add_loop_test(t, streams_are_described, 0, 2);
	tcase_add_test(t, the_next_ones_bytes_before_its_syn);
	suite_add_tcase(s, t);
	t = tcase_create("cost");
	tcase_set_timeout(t, 60);
	tcase_add_loop_test(t, a_hundred_thousand_out_of_order, 0, 3);
	tcase_add_test(t, a_flow_is_small);
	tcase_add_test(t, nothing_depends_on_the_seed);
	suite_add_tcase(s, t);
	return s;
}
