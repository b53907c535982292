/* base/budget.h, alone and behind the native reassembler: several workers have caps in common. */
#include <check.h>
#include <stdio.h>

#include "base/budget.h"
#include "help_tcp.h"

START_TEST(alone_it_is_a_cap)
{
	ck_assert(!lp_budget_full(NULL, 10, 0, 10));
	ck_assert(lp_budget_full(NULL, 11, 0, 10));
	ck_assert(!lp_budget_full(NULL, 9, 1, 10));
	ck_assert(lp_budget_full(NULL, 10, 1, 10));
	ck_assert(!lp_budget_full(NULL, 0, 20, 10)); /* nothing to give */
	lp_budget_charge(NULL, 5, 0);
}
END_TEST

START_TEST(who_has_more_than_a_part_gives_way)
{
	struct lp_budget b = { .workers = 4 };

	lp_budget_charge(&b, 90, 0);
	ck_assert(!lp_budget_full(&b, 90, 10, 100)); /* all of it, if nobody else wants any */
	ck_assert(lp_budget_full(&b, 90, 11, 100));
	lp_budget_charge(&b, 20, 0);                 /* another one */
	ck_assert(!lp_budget_full(&b, 20, 5, 100));
	ck_assert(lp_budget_full(&b, 20, 6, 100));
	ck_assert(lp_budget_full(&b, 90, 0, 100));
	ck_assert(!lp_budget_full(&b, 0, 60, 100));
	lp_budget_charge(&b, 0, 15);
	ck_assert(!lp_budget_full(&b, 75, 0, 100));
	lp_budget_charge(&b, 3, 98);
	ck_assert_uint_eq(atomic_load(&b.used), 0);
}
END_TEST

static struct lp_reasm_common common;

static void config_of(struct lp_reasm_config *config, unsigned workers)
{
	common = (struct lp_reasm_common){ .flows.workers = workers, .half.workers = workers,
					   .ooo.workers = workers };
	lp_reasm_config_default(config);
	config->common = &common;
}

static void wait_for(struct help_tcp *t, int segments)
{
	char word[32];

	for (int i = 0; i < segments; i++) {
		snprintf(word, sizeof word, "AK%d:b1000", 101 + 1000 * i);
		help_tcp_run(t, word);
	}
}

/* One flow needs most of what there is for two workers; then the other one needs some. */
START_TEST(out_of_order_bytes)
{
	struct lp_reasm_config config;
	struct help_tcp *one, *two;

	config_of(&config, 2);
	config.max_ooo = 24000;
	one = help_tcp_native(&config);
	two = help_tcp_native(&config);
	help_tcp_run(one, "hs");
	help_tcp_run(two, "hs");
	wait_for(one, 20);
	ck_assert_uint_eq(help_tcp_stats(one).cap_total, 0);
	ck_assert_uint_eq(atomic_load(&common.ooo.used), help_tcp_stats(one).ooo_peak);
	wait_for(two, 10);
	ck_assert_uint_eq(help_tcp_stats(two).cap_total, 0);
	ck_assert_str_eq(help_tcp_text(two), "");
	help_tcp_run(one, "AK20101:c1000"); /* who has more than half gives way */
	ck_assert_uint_eq(help_tcp_stats(one).cap_total, 1);
	ck_assert_str_eq(help_tcp_text(one), "A+100@0 A100:b20000c1000");
	ck_assert_uint_eq(atomic_load(&common.ooo.used), help_tcp_stats(two).ooo_peak);
	wait_for(two, 20);
	ck_assert_uint_eq(help_tcp_stats(two).cap_total, 0);
	help_tcp_run(two, "AK1:a100 BK end");
	ck_assert_str_eq(help_tcp_finish(two), "A0:a100b20000 FIN");
	ck_assert_uint_eq(atomic_load(&common.ooo.used), 0);
	help_tcp_finish(one);
	help_tcp_discard(one);
	help_tcp_discard(two);
}
END_TEST

static void open_flows(struct help_tcp *t, int from, int n, const char *how)
{
	char word[32];

	for (int i = from; i < from + n; i++) {
		snprintf(word, sizeof word, "#%d %s", i, how);
		help_tcp_run(t, word);
	}
}

START_TEST(flows)
{
	struct lp_reasm_config config;
	struct help_tcp *one, *two;

	config_of(&config, 2);
	config.max_flows = 40;
	one = help_tcp_native(&config);
	two = help_tcp_native(&config);
	open_flows(one, 1, 36, "hs");
	ck_assert_uint_eq(help_tcp_stats(one).evicted, 0);
	open_flows(two, 1, 10, "hs");
	ck_assert_uint_eq(help_tcp_stats(two).evicted, 0);
	ck_assert_uint_eq(atomic_load(&common.flows.used), 46);
	open_flows(one, 37, 1, "hs");
	ck_assert_uint_eq(help_tcp_stats(one).evicted, 1);
	open_flows(two, 11, 11, "hs");
	ck_assert_uint_eq(help_tcp_stats(two).evicted, 1);
	help_tcp_finish(one);
	help_tcp_finish(two);
	ck_assert_uint_eq(atomic_load(&common.flows.used), 0);
	help_tcp_discard(one);
	help_tcp_discard(two);
}
END_TEST

/* A quarter of them may be half-open. */
START_TEST(half_open_flows)
{
	struct lp_reasm_config config;
	struct help_tcp *one, *two;

	config_of(&config, 2);
	config.max_flows = 80;
	one = help_tcp_native(&config);
	two = help_tcp_native(&config);
	open_flows(one, 1, 20, "AS");
	ck_assert_uint_eq(help_tcp_stats(one).evicted, 0);
	open_flows(two, 1, 10, "AS");
	ck_assert_uint_eq(help_tcp_stats(two).evicted, 0);
	ck_assert_uint_eq(atomic_load(&common.half.used), 30);
	open_flows(one, 21, 1, "AS");
	ck_assert_uint_eq(help_tcp_stats(one).evicted, 1);
	open_flows(two, 11, 1, "AS");
	ck_assert_uint_eq(help_tcp_stats(two).evicted, 1);
	help_tcp_finish(one);
	help_tcp_finish(two);
	ck_assert_uint_eq(atomic_load(&common.half.used), 0);
	help_tcp_discard(one);
	help_tcp_discard(two);
}
END_TEST

Suite *suite_budget(void);
Suite *suite_budget(void)
{
	Suite *s = suite_create("budget");
	TCase *t = tcase_create("budget");

	tcase_add_test(t, alone_it_is_a_cap);
	tcase_add_test(t, who_has_more_than_a_part_gives_way);
	tcase_add_test(t, out_of_order_bytes);
	tcase_add_test(t, flows);
	tcase_add_test(t, half_open_flows);
	suite_add_tcase(s, t);
	return s;
}
