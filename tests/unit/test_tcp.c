/* tcp.h: the conformance rows, for every backend. Each row is a script for the wire
 * (help_tcp.h) and what the backend must say; where libnids is known to do less,
 * that is its own expectation, not a skip.
 * Not here, for they are the decoder's: link types, tunnels, IP fragments, IP
 * checksums, th_off, ip_len = 0. */
#include <arpa/inet.h>
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "help_tcp.h"

struct count {
	const char *name;
	uint64_t n;
};

struct row {
	const char *name;
	const char *script;
	const char *native;
	const char *nids;       /* NULL: as native */
	struct count counts[3]; /* native counters */
	struct count nids_counts[2];
	uint32_t isn[2];
	uint8_t family;
	bool bsd;
	bool others;            /* are told */
	bool checksums_off;
	uint32_t max_flows;
};

static const struct row rows[] = {
#include "test_tcp_rows.h"
};

enum { ROWS = sizeof rows / sizeof rows[0] };

static uint64_t counter(const struct lp_reasm_stats *s, const char *name)
{
#define X(field)                  \
	if (!strcmp(name, #field)) \
		return s->field;
	LP_REASM_COUNTERS(X)
	LP_REASM_EXTRA(X)
#undef X
	ck_abort_msg("no counter %s", name);
	return 0;
}

static void run_row(const struct row *row, const struct lp_reasm_ops *ops, bool nids, size_t batch,
		    bool sums, bool lends)
{
	const char *expect = nids && row->nids ? row->nids : row->native;
	const struct count *counts = nids ? row->nids_counts : row->counts;
	size_t n = nids ? 2 : 3;
	struct lp_reasm_config config;
	struct help_tcp t = { .isn = { row->isn[0], row->isn[1] }, .family = row->family,
			      .batch = batch, .others = row->others, .sums = sums, .lends = lends };
	struct lp_reasm_stats stats;
	const char *text;

	if (!t.isn[0] && !t.isn[1]) {
		t.isn[0] = 1000;
		t.isn[1] = 5000;
	}
	lp_reasm_config_default(&config);
	config.overlap = row->bsd ? LP_OVERLAP_BSD : LP_OVERLAP_LINUX;
	config.checksums = row->checksums_off ? LP_CHECKSUMS_OFF : LP_CHECKSUMS_AUTO;
	if (row->max_flows || nids) /* libnids makes its whole table at once */
		config.max_flows = row->max_flows ? row->max_flows : 1000;
	config.seed.k0 = batch; /* what comes out must not depend on it */
	help_tcp_start(&t, ops, &config);
	help_tcp_run(&t, row->script);
	text = help_tcp_finish(&t);
	ck_assert_msg(!strcmp(text, expect), "%s (%s):\n got  %s\n want %s", row->name, ops->name,
		      text, expect);
	stats = help_tcp_stats(&t);
	for (size_t i = 0; i < n && counts[i].name; i++)
		ck_assert_msg(counter(&stats, counts[i].name) == counts[i].n,
			      "%s (%s): %s is %llu, not %llu", row->name, ops->name,
			      counts[i].name,
			      (unsigned long long)counter(&stats, counts[i].name),
			      (unsigned long long)counts[i].n);
	/* libnids chooses otherwise, but that there was something to choose is seen. */
	for (size_t i = 0; nids && i < 3 && row->counts[i].name; i++)
		if (!strcmp(row->counts[i].name, "conflicts"))
			ck_assert_msg(!stats.conflicts == !row->counts[i].n, "%s (%s): %llu conflicts",
				      row->name, ops->name, (unsigned long long)stats.conflicts);
	help_tcp_free(&t);
}

START_TEST(native_row)
{
	run_row(&rows[_i], &lp_tcp_native, false, 1, false, false);
	run_row(&rows[_i], &lp_tcp_native, false, 7, true, true);
	run_row(&rows[_i], &lp_tcp_native, false, HELP_TCP_BATCH, false, true);
	run_row(&rows[_i], &lp_tcp_native, false, HELP_TCP_BATCH, true, false);
}
END_TEST

/* Rows too long for a line. */

static void delay(struct help_tcp *t, unsigned n)
{
	char word[40];

	help_tcp_run(t, "hs");
	for (unsigned i = 1; i <= n; i++) {
		snprintf(word, sizeof word, "AK%u:b1460", i * 1460 + 1);
		help_tcp_run(t, word);
	}
	help_tcp_run(t, "AK1:a1460 BK end");
}

static void delay_30(struct help_tcp *t)
{
	delay(t, 30);
}

static void delay_38(struct help_tcp *t)
{
	delay(t, 38);
}

static void delay_45(struct help_tcp *t)
{
	delay(t, 45);
}

static void delay_2000(struct help_tcp *t)
{
	delay(t, 2000);
}

static void no_acks(struct help_tcp *t)
{
	t->unscaled = true;
	help_tcp_run(t, "hs");
	for (int i = 0; i < 200; i++)
		help_tcp_run(t, "AK:a1000");
	help_tcp_run(t, "AFK BFK AK");
}

/* Packets in another order: what an offer allowed is shown before the offer is. */
static void offers_behind(struct help_tcp *t)
{
	char word[40];

	help_tcp_run(t, "hs AK:a1460 BKw500");
	for (unsigned i = 2; i <= 300; i++) {
		snprintf(word, sizeof word, "AK%u:b1460", i * 1460 + 1);
		help_tcp_run(t, word);
	}
	help_tcp_run(t, "AK1461:a1460 BKw4000 end");
}

static void syn_flood(struct help_tcp *t)
{
	help_tcp_run(t, "#1 hs AK:a10 BK");
	for (unsigned i = 2; i < 1002; i++) {
		char word[16];

		snprintf(word, sizeof word, "#%u AS", i);
		help_tcp_run(t, word);
	}
	help_tcp_run(t, "#1 AK:b10 BK end");
}

static void syn_from_nowhere(struct help_tcp *t)
{
	t->addr[0] = "\0\0\xff\x80";
	help_tcp_run(t, "hs AK:a10 BK end");
	t->addr[0] = "\0\0\0\0";
	t->addr[1] = "\0\0\0\0";
	help_tcp_run(t, "#2 hs AK:a10 BK end");
}

/* The same SYN-ACK as an attacker would guess it does not end a flow; only the
 * answer to a SYN does. */
static void many_stray_syns(struct help_tcp *t)
{
	help_tcp_run(t, "hs AK1:a10/1 BK1/11");
	for (unsigned i = 0; i < 500; i++) {
		char words[64];

		snprintf(words, sizeof words, "AS%u BSK%u/%u", 1000 + i * 77, 50000 + i, 900 + i);
		help_tcp_run(t, words);
	}
	help_tcp_run(t, "AK11:b10/1 BK1/21 AFK21/1 BFK1/22 AK22/2");
}

static const struct long_row {
	const char *name;
	void (*make)(struct help_tcp *t);
	const char *native, *nids; /* NULL: as native */
	uint32_t max_flows;
	struct count count;
} long_rows[] = {
	{ "30 segments late", delay_30, "A0:a1460b43800 FIN", NULL, 0, { "out_of_order", 30 } },
	{ "38 segments late", delay_38, "A0:a1460b55480 FIN", NULL, 0, { "out_of_order", 38 } },
	{ "45 segments late", delay_45, "A0:a1460b65700 FIN", NULL, 0, { "out_of_order", 45 } },
	{ "2000 segments late", delay_2000, "A0:a1460b2920000 FIN", NULL, 0,
	  { "out_of_order", 2000 } },
	{ "beyond the window, no ACK seen", no_acks, "A0:a200000 FIN",
	  "A0:a66000 A+134000@66000 EOF", 0, { "gaps", 0 } },
	{ "offers shown behind what they allow", offers_behind, "A0:a2920b436540 FIN", NULL, 0,
	  { "out_of_window", 0 } },
	{ "SYN flood", syn_flood, "A0:a10b10 FIN", NULL, 780, { "evicted", 1000 - 780 / 4 } },
	{ "strange addresses", syn_from_nowhere, "A0:a10 FIN | A0:a10 FIN",
	  "A0:a10 FIN", 0, { "segments", 16 } },
	{ "many stray SYNs and answers", many_stray_syns, "A0:a10b10 FIN", NULL, 0,
	  { "out_of_window", 500 } },
};

enum { LONG_ROWS = sizeof long_rows / sizeof long_rows[0] };

static void run_long_row(const struct long_row *row, const struct lp_reasm_ops *ops, bool nids)
{
	const char *expect = nids && row->nids ? row->nids : row->native;
	struct help_tcp *t = calloc(1, sizeof *t);
	struct lp_reasm_config config;
	struct lp_reasm_stats stats;
	const char *text;

	ck_assert_ptr_nonnull(t);
	t->isn[0] = 77;
	t->isn[1] = 0xfffffff0;
	t->batch = HELP_TCP_BATCH;
	lp_reasm_config_default(&config);
	config.max_flows = row->max_flows ? row->max_flows : 2000;
	help_tcp_start(t, ops, &config);
	row->make(t);
	text = help_tcp_finish(t);
	ck_assert_msg(!strcmp(text, expect), "%s (%s):\n got  %.200s\n want %.200s", row->name,
		      ops->name, text, expect);
	stats = help_tcp_stats(t);
	if (!nids)
		ck_assert_msg(counter(&stats, row->count.name) == row->count.n, "%s: %s is %llu",
			      row->name, row->count.name,
			      (unsigned long long)counter(&stats, row->count.name));
	help_tcp_free(t);
	free(t);
}

START_TEST(native_long_row)
{
	run_long_row(&long_rows[_i], &lp_tcp_native, false);
}
END_TEST

/* Row 9: offsets beyond 4 GiB. One payload for all segments. */
struct far {
	uint64_t off, events;
	bool closed;
};

static enum lp_take far_open(void *user, struct lp_stream *s, const struct lp_when *w)
{
	(void)user, (void)s, (void)w;
	return LP_TAKE_ON;
}

static enum lp_take far_data(void *user, struct lp_stream *s, enum lp_side side, const uint8_t *p,
			     uint32_t n, uint64_t off, const struct lp_when *w)
{
	struct far *far = user;

	(void)s, (void)w;
	ck_assert_int_eq(side, LP_A2B);
	ck_assert_uint_eq(off, far->off);
	ck_assert_uint_eq(p[0], 'f');
	ck_assert_uint_eq(p[n - 1], 'f');
	far->off += n;
	far->events++;
	return LP_TAKE_ON;
}

static void far_gap(void *user, struct lp_stream *s, enum lp_side side, uint64_t off, uint64_t n,
		    const struct lp_when *w)
{
	(void)user, (void)s, (void)side, (void)off, (void)n, (void)w;
	ck_abort_msg("a gap");
}

static void far_close(void *user, struct lp_stream *s, enum lp_why why, const struct lp_when *w)
{
	struct far *far = user;

	(void)s, (void)w;
	ck_assert_int_eq(why, LP_WHY_EOF);
	far->closed = true;
}

static void run_far(const struct lp_reasm_ops *ops)
{
	enum { EACH = 65000, HEAD = 20 };
	static const struct lp_reasm_cb cb = { far_open, far_data, far_gap, far_close, NULL, NULL };
	static uint8_t tcp[2][HEAD + EACH];
	uint64_t total = 5ULL << 30, sent = 0;
	struct lp_reasm_config config;
	struct far far = { 0 };
	struct lp_reasm *r;
	struct lp_segment s = { .src = (const uint8_t *)"\x0a\0\0\1", .family = 4, .sport = 1000,
				.dst = (const uint8_t *)"\x0a\0\0\2", .dport = 2000 };
	struct lp_segment back = { .src = s.dst, .dst = s.src, .family = 4, .sport = 2000,
				   .dport = 1000 };

	lp_reasm_config_default(&config);
	config.max_flows = 100;
	ck_assert_int_eq(ops->init(&r, &config, &cb, &far), LP_OK);
	memset(tcp, 'f', sizeof tcp);
	for (uint32_t i = 0; sent < total; i++) {
		/* SYN, SYN-ACK, ACK, then data, each acknowledged. */
		struct lp_segment *x = i % 2 ? &back : &s;
		uint8_t *p = tcp[i % 2];
		uint32_t n = i < 3 || i % 2 ? 0 : EACH;
		uint32_t a = 5 + (uint32_t)sent + (i > 0);
		uint32_t word[5];

		x->number = i + 1;
		x->ts_ns = 1000000000000ULL + i * 1000;
		x->flags = (uint8_t)((i < 2 ? LP_TCP_SYN : 0) | (i > 0 ? LP_TCP_ACK : 0));
		x->seq = i % 2 ? 9u + (i > 1) : a;
		x->ack = i % 2 ? a : i > 0 ? 10 : 0;
		word[0] = htonl((uint32_t)x->sport << 16 | x->dport);
		word[1] = htonl(x->seq);
		word[2] = htonl(x->ack);
		word[3] = htonl(5u << 28 | (uint32_t)x->flags << 16 | 65535);
		word[4] = 0;
		memcpy(p, word, HEAD);
		x->tcp = p;
		x->payload = p + HEAD;
		x->tcp_len = HEAD + n;
		x->payload_len = n;
		x->wire_len = n;
		sent += n;
		ck_assert_int_eq(ops->segments(r, x, 1), LP_OK);
	}
	ops->finish(r);
	ops->free(r);
	ck_assert(far.closed);
	ck_assert_uint_eq(far.off, sent);
	ck_assert_uint_eq(far.events, sent / EACH);
}

START_TEST(native_far)
{
	run_far(&lp_tcp_native);
}
END_TEST

/* Row 27. */
static void run_twice(const struct lp_reasm_ops *ops)
{
	struct lp_reasm_config config;

	lp_reasm_config_default(&config);
	config.max_flows = 1000;
	for (int i = 0; i < 2; i++) {
		struct help_tcp *t = calloc(1, sizeof *t);

		ck_assert_ptr_nonnull(t);
		help_tcp_start(t, ops, &config);
		help_tcp_run(t, "hs AK:a10 AK31:c10 #2 AS #3 hs BK:b10");
		ck_assert_str_eq(help_tcp_text(t), "A0:a10 | B0:b10");
		if (i)
			help_tcp_finish(t);
		help_tcp_free(t); /* the first time in the middle of everything */
		free(t);
	}
}

START_TEST(native_twice)
{
	run_twice(&lp_tcp_native);
}
END_TEST

#ifdef LP_WITH_NIDS
START_TEST(nids_row)
{
	run_row(&rows[_i], &lp_tcp_nids, true, 1, false, true);
	run_row(&rows[_i], &lp_tcp_nids, true, HELP_TCP_BATCH, true, false);
}
END_TEST

START_TEST(nids_long_row)
{
	run_long_row(&long_rows[_i], &lp_tcp_nids, true);
}
END_TEST

START_TEST(nids_far)
{
	run_far(&lp_tcp_nids);
}
END_TEST

START_TEST(nids_twice)
{
	run_twice(&lp_tcp_nids);
}
END_TEST

START_TEST(nids_is_one)
{
	static const struct lp_reasm_cb cb = { far_open, far_data, far_gap, far_close, NULL, NULL };
	struct lp_reasm *first, *second;
	struct lp_reasm_config config;

	lp_reasm_config_default(&config);
	config.max_flows = 100;
	ck_assert_int_eq(lp_tcp_nids.init(&first, &config, &cb, NULL), LP_OK);
	ck_assert_int_eq(lp_tcp_nids.init(&second, &config, &cb, NULL), LP_E_UNSUPPORTED);
	ck_assert_ptr_null(second);
	lp_tcp_nids.free(first);
	ck_assert_int_eq(lp_tcp_nids.init(&second, &config, &cb, NULL), LP_OK);
	lp_tcp_nids.free(second);
}
END_TEST
#endif

Suite *suite_tcp(void)
{
	Suite *s = suite_create("tcp");
	TCase *t = tcase_create("rows");

	tcase_set_timeout(t, 60);
	tcase_add_loop_test(t, native_row, 0, ROWS);
	tcase_add_loop_test(t, native_long_row, 0, LONG_ROWS);
	tcase_add_test(t, native_far);
	tcase_add_test(t, native_twice);
#ifdef LP_WITH_NIDS
	tcase_add_loop_test(t, nids_row, 0, ROWS);
	tcase_add_loop_test(t, nids_long_row, 0, LONG_ROWS);
	tcase_add_test(t, nids_far);
	tcase_add_test(t, nids_twice);
	tcase_add_test(t, nids_is_one);
#endif
	suite_add_tcase(s, t);
	return s;
}
