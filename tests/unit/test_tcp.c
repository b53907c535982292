/* tcp.h: the conformance rows, for every backend. Each row is a script for the wire
 * (help_tcp.h) and what the backend must say; where libnids is known to do less,
 * that is its own expectation, not a skip.
 * Not here, for they are the decoder's: link types, tunnels, IP fragments, IP
 * checksums, th_off, ip_len = 0. */
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

static void run_row(const struct row *row, const struct lp_reasm_ops *ops, bool nids, size_t batch)
{
	const char *expect = nids && row->nids ? row->nids : row->native;
	const struct count *counts = nids ? row->nids_counts : row->counts;
	size_t n = nids ? 2 : 3;
	struct lp_reasm_config config;
	struct help_tcp t = { .isn = { row->isn[0], row->isn[1] }, .family = row->family,
			      .batch = batch };
	struct lp_reasm_stats stats;
	const char *text;

	if (!t.isn[0] && !t.isn[1]) {
		t.isn[0] = 1000;
		t.isn[1] = 5000;
	}
	lp_reasm_config_default(&config);
	config.overlap = row->bsd ? LP_OVERLAP_BSD : LP_OVERLAP_LINUX;
	config.checksums = row->checksums_off ? LP_CHECKSUMS_OFF : LP_CHECKSUMS_AUTO;
	if (row->max_flows)
		config.max_flows = row->max_flows;
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
	help_tcp_free(&t);
}

START_TEST(native_row)
{
	run_row(&rows[_i], &lp_tcp_native, false, 1);
	run_row(&rows[_i], &lp_tcp_native, false, 7);
	run_row(&rows[_i], &lp_tcp_native, false, HELP_TCP_BATCH);
}
END_TEST

Suite *suite_tcp(void)
{
	Suite *s = suite_create("tcp");
	TCase *t = tcase_create("rows");

	tcase_add_loop_test(t, native_row, 0, ROWS);
	suite_add_tcase(s, t);
	return s;
}
