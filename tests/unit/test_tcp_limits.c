/* The native reassembler's caps, each reached and seen in its counter, and timeouts. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "help_tcp.h"
#include "help_tool.h"
#include "net/flow.h"

/* --- caps --- */

START_TEST(cap_of_a_side)
{
	struct lp_reasm_config config;
	struct lp_reasm_stats stats;
	struct help_tcp *t;

	lp_reasm_config_default(&config);
	config.max_ooo_side = 16384;
	t = help_tcp_native(&config);
	help_tcp_run(t, "hs AK101:b1000 AK1101:b1000 AK3101:c1000");
	for (int i = 0; i < 11; i++)
		help_tcp_run(t, "AK:c1000");
	ck_assert_str_eq(help_tcp_text(t), "");
	help_tcp_run(t, "AK:c1000 AK:c1000");
	stats = help_tcp_stats(t);
	ck_assert_uint_eq(stats.cap_side, 1);
	ck_assert_uint_eq(stats.gaps, 1);
	help_tcp_run(t, "AK:c1000 AK:c1000 AK:c1000 BK end");
	ck_assert_str_eq(help_tcp_finish(t), "A+100@0 A100:b2000 A+1000@2100 A3100:c17000 FIN");
	stats = help_tcp_stats(t);
	ck_assert_uint_eq(stats.cap_side, 2);
	ck_assert_uint_eq(stats.cap_total, 0);
	ck_assert_uint_eq(stats.memcap, 0);
	ck_assert_uint_le(stats.ooo_peak, config.max_ooo_side);
	ck_assert_uint_gt(stats.ooo_peak, config.max_ooo_side - 2200);
	help_tcp_discard(t);
}
END_TEST

START_TEST(cap_counts_headers)
{
	struct lp_reasm_config config;
	struct lp_reasm_stats stats;
	struct help_tcp *t;

	lp_reasm_config_default(&config);
	config.max_ooo_side = 8192;
	t = help_tcp_native(&config);
	help_tcp_run(t, "hs");
	/* A byte in each page. */
	for (int i = 0; i < 200; i++) {
		char word[16];

		snprintf(word, sizeof word, "AK%d:b1", 3 + 260 * i);
		help_tcp_run(t, word);
	}
	stats = help_tcp_stats(t);
	ck_assert_uint_gt(stats.cap_side, 100);
	ck_assert_uint_le(stats.ooo_peak, config.max_ooo_side);
	help_tcp_finish(t);
	ck_assert_uint_eq(t->streams[0].off[0], 3 + 260 * 199);
	help_tcp_discard(t);
}
END_TEST

START_TEST(cap_of_a_single_segment)
{
	struct lp_reasm_config config;
	struct lp_reasm_stats stats;
	struct help_tcp *t;

	lp_reasm_config_default(&config);
	config.max_ooo_side = 1000;
	t = help_tcp_native(&config);
	help_tcp_run(t, "hs AK1001:b1400 AK1:a1000 AK1001:b1400 BK end");
	ck_assert_str_eq(help_tcp_finish(t), "A0:a1000b1400 FIN");
	stats = help_tcp_stats(t);
	ck_assert_uint_eq(stats.memcap, 1);
	help_tcp_discard(t);
}
END_TEST

/* A hundred thousand bytes in as many segments fit, in any order. */
START_TEST(tiny_segments_cost_little)
{
	enum { N = 100000 };
	static uint8_t bytes[N + 1];
	static uint32_t order[N];

	for (int way = 0; way < 4; way++) {
		struct help_tcp *t = calloc(1, sizeof *t);
		struct lp_reasm_stats stats;
		uint32_t x = 7, k, was;

		ck_assert_ptr_nonnull(t);
		t->isn[0] = 0xffff0000;
		t->keep = t->quiet = true;
		t->batch = HELP_TCP_BATCH;
		help_tcp_start(t, &lp_tcp_native, NULL);
		help_tcp_run(t, "hs");
		for (uint32_t i = 0; i < N; i++) {
			bytes[i] = (uint8_t)(i * 2654435761u >> 9);
			order[i] = way == 0 ? N - 1 - i : way == 1 ? (i + 1) % N : i;
		}
		for (uint32_t i = 0; i < N && way >= 2; i++) {
			x = x * 1664525 + 1013904223;
			k = way == 2 ? i + (x >> 4) % (N - i) : i < N - 50 ? i + (x >> 4) % 50 : i;
			was = order[i];
			order[i] = order[k];
			order[k] = was;
		}
		for (uint32_t i = 0; i < N; i++)
			help_tcp_shot(t, &(struct help_tcp_shot){ .flags = LP_TCP_ACK | LP_TCP_PSH,
				.seq = t->isn[0] + 1 + order[i], .ack = 1, .payload = bytes + order[i],
				.len = 1, .captured = 1 });
		help_tcp_flush(t);
		stats = help_tcp_stats(t);
		ck_assert_uint_eq(stats.gaps, 0);
		ck_assert_uint_eq(stats.conflicts, 0);
		ck_assert_uint_eq(stats.duplicate, 0);
		ck_assert_uint_lt(stats.ooo_peak, 4 << 20);
		ck_assert_uint_eq(t->streams[0].off[0], N);
		ck_assert_mem_eq(lp_buf_span(&t->streams[0].keep[0]).p, bytes, N);
		help_tcp_finish(t);
		help_tcp_discard(t);
	}
}
END_TEST

/* Row 26. */
START_TEST(cap_of_all)
{
	enum { FLOWS = 1000, EACH = 60 };
	struct lp_reasm_config config;
	struct lp_reasm_stats stats;
	struct help_tcp *t;
	char words[64];

	lp_reasm_config_default(&config);
	config.max_ooo = 1 << 20;
	t = help_tcp_native(&config);
	for (unsigned i = 1; i <= FLOWS; i++) {
		snprintf(words, sizeof words, "#%u hs AK1:a100", i);
		help_tcp_run(t, words);
	}
	for (unsigned j = 0; j < EACH; j++)
		for (unsigned i = 1; i <= FLOWS; i++) {
			snprintf(words, sizeof words, "#%u AK%u:b100", i, 201 + 100 * j);
			help_tcp_run(t, words);
		}
	stats = help_tcp_stats(t);
	ck_assert_uint_gt(stats.cap_total, 0);
	ck_assert_uint_eq(stats.memcap, 0);
	ck_assert_uint_le(stats.ooo_peak, config.max_ooo);
	ck_assert_uint_gt(stats.ooo_peak, config.max_ooo * 9 / 10);
	help_tcp_finish(t);
	ck_assert_uint_eq(t->opened, FLOWS);
	for (unsigned i = 0; i < FLOWS; i++) {
		lp_span s = lp_buf_span(&t->streams[i].text);
		const char *want = "A0:a100 A+100@100 A200:b6000 EOF";

		ck_assert_uint_eq(s.n, strlen(want));
		ck_assert_mem_eq(s.p, want, s.n);
	}
	help_tcp_discard(t);
}
END_TEST

START_TEST(cap_takes_syn_data_too)
{
	struct lp_reasm_config config;
	struct lp_reasm_stats stats;
	struct help_tcp *t;
	char words[64];

	lp_reasm_config_default(&config);
	config.max_ooo = 16384;
	t = help_tcp_native(&config);
	for (unsigned i = 1; i <= 100; i++) {
		snprintf(words, sizeof words, "#%u AS:a1000", i);
		help_tcp_run(t, words);
	}
	stats = help_tcp_stats(t);
	ck_assert_uint_gt(stats.cap_total, 80);
	ck_assert_uint_le(stats.ooo_peak, config.max_ooo);
	help_tcp_run(t, "#100 BSK AK #1 BSK0/1001 AK1001/1 AK1001:b5/1");
	ck_assert_str_eq(help_tcp_finish(t), "A0:a1000 EOF | A+1000@0 A1000:b5 EOF");
	help_tcp_discard(t);
}
END_TEST

static enum lp_take just_open(void *user, struct lp_stream *s, const struct lp_when *when)
{
	(void)user, (void)s, (void)when;
	return LP_TAKE_ON;
}

static enum lp_take skip_data(void *user, struct lp_stream *s, enum lp_side side, const uint8_t *p,
			      uint32_t n, uint64_t off, const struct lp_when *when)
{
	(void)user, (void)s, (void)side, (void)p, (void)n, (void)off, (void)when;
	return LP_TAKE_SKIP_FLOW;
}

static void no_gap(void *user, struct lp_stream *s, enum lp_side side, uint64_t off, uint64_t n,
		   const struct lp_when *when)
{
	(void)user, (void)s, (void)side, (void)off, (void)n, (void)when;
	ck_abort_msg("a gap");
}

static void just_close(void *user, struct lp_stream *s, enum lp_why why, const struct lp_when *when)
{
	(void)user, (void)s, (void)why, (void)when;
}

/* Bytes of memory that are in use, as the kernel sees it. */
static size_t resident(void)
{
	unsigned long all = 0, here = 0;
	FILE *f = fopen("/proc/self/statm", "r");

	ck_assert_ptr_nonnull(f);
	ck_assert_int_eq(fscanf(f, "%lu %lu", &all, &here), 2);
	fclose(f);
	return here * (size_t)sysconf(_SC_PAGESIZE);
}

/* A connection that nobody wants is 256 bytes at most, its share of the table included. */
START_TEST(memory_of_a_flow)
{
	enum { FLOWS = 4 * LP_FLOW_SLAB };
	static const struct lp_reasm_cb cb = { just_open, skip_data, no_gap, just_close, NULL, NULL };
	static const uint8_t tcp[25] = { 3, 0xe8, 1, 0xbb, [12] = 0x50, [20] = 'h' };
	struct lp_reasm_config config;
	struct lp_reasm_stats stats;
	size_t before;
	struct lp_reasm *r;
	uint8_t src[4] = { 10 };
	size_t used;

	lp_reasm_config_default(&config);
	before = resident();
	ck_assert_int_eq(lp_tcp_native.init(&r, &config, &cb, NULL), LP_OK);
	for (uint32_t i = 0; i < FLOWS; i++) {
		const struct lp_segment syn = {
			.number = 2 * i + 1, .ts_ns = LP_NS_PER_S, .src = src, .family = 4,
			.dst = (const uint8_t *)"\x0b\0\0\1", .sport = 1000, .dport = 443,
			.seq = UINT32_MAX, .flags = LP_TCP_SYN, .tcp = tcp, .tcp_len = 20,
			.payload = tcp + 20 };
		const struct lp_segment s = {
			.number = 2 * i + 2, .ts_ns = LP_NS_PER_S, .src = src, .family = 4,
			.dst = (const uint8_t *)"\x0b\0\0\1", .sport = 1000, .dport = 443,
			.flags = LP_TCP_ACK, .tcp = tcp, .tcp_len = sizeof tcp, .payload = tcp + 20,
			.payload_len = 5, .wire_len = 5 };

		memcpy(src + 1, &i, 3);
		ck_assert_int_eq(lp_tcp_native.segments(r, &syn, 1), LP_OK);
		ck_assert_int_eq(lp_tcp_native.segments(r, &s, 1), LP_OK);
	}
	used = resident() - before;
	lp_tcp_native.stats(r, &stats);
	ck_assert_uint_eq(stats.flows_now, FLOWS);
	ck_assert_msg(used / FLOWS <= 256, "%zu bytes a flow", used / FLOWS);
	lp_tcp_native.free(r);
}
END_TEST

START_TEST(table_evicts_the_least)
{
	struct lp_reasm_config config;
	struct lp_reasm_stats stats;
	struct help_tcp *t;

	lp_reasm_config_default(&config);
	config.max_flows = 5;
	t = help_tcp_native(&config);
	/* 1, 2 and 4 live (1 is active last), 3 ended, 5 half-open. */
	help_tcp_run(t, "#1 hs AK:a1 +2000 #2 hs AK:a1 +2000 #4 hs AK:a1 +2000 #3 hs end +2000 "
			"#5 AS +2000 #1 AK:a1 +2000");
	stats = help_tcp_stats(t);
	ck_assert_uint_eq(stats.evicted, 0);
	help_tcp_run(t, "#6 hs AK:f1"); /* takes the half-open one's place */
	stats = help_tcp_stats(t);
	ck_assert_uint_eq(stats.evicted, 1);
	help_tcp_run(t, "#5 BSK AK"); /* and that is why this begins anew: ended goes */
	stats = help_tcp_stats(t);
	ck_assert_uint_eq(stats.evicted, 2);
	ck_assert_uint_eq(stats.flows_now, 5);
	help_tcp_run(t, "+2000 #7 hs AK:g1"); /* 2 was silent longest */
	help_tcp_run(t, "+2000 #8 hs AK:h1"); /* then 4 */
	help_tcp_run(t, "+2000 #9 hs AK:i1"); /* then 1 */
	ck_assert_str_eq(help_tcp_finish(t), "A0:a2 EVICT | A0:a1 EVICT | A0:a1 EVICT | FIN | "
					     "A0:f1 EOF | EOF | A0:g1 EOF | A0:h1 EOF | A0:i1 EOF");
	help_tcp_discard(t);
}
END_TEST

START_TEST(table_evicts_the_skipped_first)
{
	struct lp_reasm_config config;
	struct help_tcp *t;

	lp_reasm_config_default(&config);
	config.max_flows = 3;
	t = help_tcp_native(&config);
	help_tcp_run(t, "#1 hs AK:a1 +2000 #2 hs");
	help_tcp_flush(t);
	t->streams[1].answer[0] = LP_TAKE_SKIP_FLOW;
	help_tcp_run(t, "AK:b1 BK:c1 +2000 #3 hs AK:c1 #2 AK:b5 +2000 #4 hs AK:d1");
	ck_assert_str_eq(help_tcp_finish(t), "A0:a1 EOF | A0:b1 EVICT | A0:c1 EOF | A0:d1 EOF");
	help_tcp_discard(t);
}
END_TEST

START_TEST(half_open_have_a_quarter)
{
	struct lp_reasm_config config;
	struct lp_reasm_stats stats;
	struct help_tcp *t;
	char words[32];

	lp_reasm_config_default(&config);
	config.max_flows = 400;
	t = help_tcp_native(&config);
	help_tcp_run(t, "#1 hs AK:a1");
	for (unsigned i = 2; i < 1002; i++) {
		snprintf(words, sizeof words, "#%u AS", i);
		help_tcp_run(t, words);
	}
	stats = help_tcp_stats(t);
	ck_assert_uint_eq(stats.evicted, 900);
	/* The newest ones are there. */
	help_tcp_run(t, "#1001 BSK AK AK:z1 #1 AK:a1");
	ck_assert_str_eq(help_tcp_finish(t), "A0:a2 EOF | A0:z1 EOF");
	help_tcp_discard(t);
}
END_TEST

/* --- time --- */

START_TEST(idle_classes)
{
	struct help_tcp *t = help_tcp_native(NULL);

	help_tcp_run(t, "#1 hs #2 hs #3 hs #4 AS #5 hs end");
	help_tcp_flush(t);
	t->streams[0].idle = LP_IDLE_HANDSHAKE + 1;
	t->streams[2].idle = LP_IDLE_KEYS + 1;
	help_tcp_run(t, "#1 AK:a1 #2 AK:b1 #3 AK:c1 +59000 = +1000 =");
	ck_assert_str_eq(help_tcp_text(t), "A0:a1 | A0:b1 | A0:c1 | FIN");
	help_tcp_run(t, "+2000 =");
	ck_assert_str_eq(help_tcp_text(t), "A0:a1 IDLE | A0:b1 | A0:c1 | FIN");
	help_tcp_run(t, "+237000 =");
	ck_assert_str_eq(help_tcp_text(t), "A0:a1 IDLE | A0:b1 | A0:c1 | FIN");
	help_tcp_run(t, "+3000 =");
	ck_assert_str_eq(help_tcp_text(t), "A0:a1 IDLE | A0:b1 IDLE | A0:c1 | FIN");
	help_tcp_run(t, "+3297000 =");
	ck_assert_str_eq(help_tcp_text(t), "A0:a1 IDLE | A0:b1 IDLE | A0:c1 | FIN");
	help_tcp_run(t, "+3000 =");
	ck_assert_str_eq(help_tcp_finish(t), "A0:a1 IDLE | A0:b1 IDLE | A0:c1 IDLE | FIN");
	help_tcp_discard(t);
}
END_TEST

START_TEST(a_class_may_change_between_calls)
{
	struct help_tcp *t = help_tcp_native(NULL);

	help_tcp_run(t, "hs");
	help_tcp_flush(t);
	t->streams[0].idle = LP_IDLE_HANDSHAKE + 1;
	help_tcp_run(t, "AK:a1 +30000 =");
	t->streams[0].s->idle = LP_IDLE_KEYS; /* an answer that came late */
	help_tcp_run(t, "+100000 = +3000000 =");
	ck_assert_str_eq(help_tcp_finish(t), "A0:a1 EOF");
	help_tcp_discard(t);
}
END_TEST

START_TEST(the_silence_of_an_active_flow_begins_anew)
{
	struct help_tcp *t = help_tcp_native(NULL);

	help_tcp_run(t, "hs AK:a1");
	for (int i = 0; i < 50; i++)
		help_tcp_run(t, "+59000 AK:a1 +200000 = +2000 BK");
	ck_assert_str_eq(help_tcp_text(t), "A0:a51");
	help_tcp_run(t, "+302000 =");
	ck_assert_str_eq(help_tcp_finish(t), "A0:a51 IDLE");
	help_tcp_discard(t);
}
END_TEST

START_TEST(ended_flows_swallow_for_ten_seconds)
{
	struct lp_reasm_stats stats;
	struct help_tcp *t = help_tcp_native(NULL);

	help_tcp_run(t, "hs AK:a1 BK end +9000 AK2:x1/2 +3000 AK2:y5/2");
	ck_assert_str_eq(help_tcp_finish(t), "A0:a1 FIN | A0:y5 EOF");
	stats = help_tcp_stats(t);
	ck_assert_uint_eq(stats.closed_flow, 1); /* the last ACK of `end` belongs to it */
	help_tcp_discard(t);
}
END_TEST

START_TEST(half_open_last_thirty_seconds)
{
	struct lp_reasm_stats stats;
	struct help_tcp *t = help_tcp_native(NULL);

	help_tcp_run(t, "#1 AS #2 AS +29000 #1 BSK AK +3000 #2 BSK0/1 AK1/1 AK1:b1/1");
	ck_assert_str_eq(help_tcp_finish(t), "EOF | A0:b1 EOF");
	stats = help_tcp_stats(t);
	ck_assert_uint_eq(stats.flows, 2);
	help_tcp_discard(t);
}
END_TEST

START_TEST(events_of_timers_come_in_the_order_of_time)
{
	struct help_tcp *t = help_tcp_native(NULL);
	struct lp_when w;

	help_tcp_run(t, "#1 hs AK:a1 +700 #2 hs AK:b1 +1000000 =");
	help_tcp_flush(t);
	w = t->last;
	ck_assert_str_eq(help_tcp_text(t), "A0:a1 IDLE | A0:b1 IDLE");
	ck_assert_uint_eq(w.number, 8);
	ck_assert_uint_eq(w.index, 2); /* the data of packet 8 was its event 0 */
	/* When it became possible, not when somebody noticed. */
	ck_assert_uint_lt(w.released_ns, t->now_ns - 690 * LP_NS_PER_S);
	help_tcp_finish(t);
	help_tcp_discard(t);
}
END_TEST

START_TEST(places_and_times)
{
	struct help_tcp *t = help_tcp_native(NULL);

	help_tcp_run(t, "hs +5 AK11:b10");
	help_tcp_flush(t);
	ck_assert_uint_eq(t->last.number, 3); /* open */
	help_tcp_run(t, "+5 AK1:a10");
	help_tcp_flush(t);
	ck_assert_uint_eq(t->last.number, 5);
	ck_assert_uint_eq(t->last.index, 1);
	ck_assert_uint_eq(t->last.released_ns, t->now_ns);
	ck_assert_uint_eq(t->last.carried_ns, t->now_ns - 5 * LP_NS_PER_MS);
	ck_assert_str_eq(help_tcp_finish(t), "A0:a10b10 EOF");
	ck_assert_uint_eq(t->last.number, 5);
	ck_assert_uint_eq(t->last.index, 2);
	help_tcp_discard(t);
}
END_TEST

Suite *suite_tcp_limits(void)
{
	Suite *s = suite_create("tcp_limits");
	TCase *t = tcase_create("caps");

	tcase_set_timeout(t, 60);
	tcase_add_test(t, cap_of_a_side);
	tcase_add_test(t, cap_counts_headers);
	tcase_add_test(t, cap_of_a_single_segment);
	tcase_add_test(t, tiny_segments_cost_little);
	tcase_add_test(t, cap_of_all);
	tcase_add_test(t, cap_takes_syn_data_too);
	if (!help_asan())
		tcase_add_test(t, memory_of_a_flow);
	tcase_add_test(t, table_evicts_the_least);
	tcase_add_test(t, table_evicts_the_skipped_first);
	tcase_add_test(t, half_open_have_a_quarter);
	suite_add_tcase(s, t);
	t = tcase_create("time");
	tcase_add_test(t, idle_classes);
	tcase_add_test(t, a_class_may_change_between_calls);
	tcase_add_test(t, the_silence_of_an_active_flow_begins_anew);
	tcase_add_test(t, ended_flows_swallow_for_ten_seconds);
	tcase_add_test(t, half_open_last_thirty_seconds);
	tcase_add_test(t, events_of_timers_come_in_the_order_of_time);
	tcase_add_test(t, places_and_times);
	suite_add_tcase(s, t);
	return s;
}
