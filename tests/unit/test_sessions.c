/* secrets/sessions.c: the cache of master secrets. */
#include <check.h>
#include <stdio.h>
#include <string.h>

#include "secrets/sessions.h"

static const struct lp_hash_seed seed = { 3, 4 };

static struct lp_when at(uint64_t number)
{
	return (struct lp_when){ .number = number, .released_ns = number * 1000 };
}

static void put(struct lp_sessions *s, const char *name, int secret, uint64_t number)
{
	uint8_t bytes[LP_SESSIONS_SECRET];
	struct lp_when when = at(number);

	memset(bytes, secret, sizeof bytes);
	ck_assert_int_eq(lp_sessions_put(s, LP_NAME_ID, lp_span_of(name, strlen(name)), bytes,
					 &when), LP_OK);
}

/* The first byte of the secret, or -1. */
static int find(struct lp_sessions *s, const char *name, uint64_t number, unsigned attempt)
{
	uint8_t bytes[LP_SESSIONS_SECRET];
	struct lp_when when = at(number);

	if (!lp_sessions_find(s, LP_NAME_ID, lp_span_of(name, strlen(name)), &when, attempt, bytes))
		return -1;
	ck_assert_uint_eq(bytes[47], bytes[0]);
	return bytes[0];
}

START_TEST(found_by_name_and_kind)
{
	struct lp_sessions *s;
	uint8_t bytes[LP_SESSIONS_SECRET];
	struct lp_when when = at(9);

	ck_assert_int_eq(lp_sessions_new(&s, &seed, 100, 1000000), LP_OK);
	ck_assert_int_eq(find(s, "a", 9, 0), -1);
	put(s, "a", 1, 1);
	put(s, "b", 2, 2);
	put(s, "", 3, 3); /* an empty ID names nothing */
	ck_assert_int_eq(find(s, "a", 9, 0), 1);
	ck_assert_int_eq(find(s, "b", 9, 0), 2);
	ck_assert_int_eq(find(s, "", 9, 0), -1);
	ck_assert(!lp_sessions_find(s, LP_NAME_TICKET, lp_span_of("a", 1), &when, 0, bytes));
	lp_sessions_free(s);
}
END_TEST

START_TEST(only_what_was_learned_before)
{
	struct lp_sessions *s;

	ck_assert_int_eq(lp_sessions_new(&s, &seed, 100, 1000000), LP_OK);
	put(s, "a", 1, 5);
	ck_assert_int_eq(find(s, "a", 5, 0), -1);
	ck_assert_int_eq(find(s, "a", 4, 0), -1);
	ck_assert_int_eq(find(s, "a", 6, 0), 1);
	lp_sessions_free(s);
}
END_TEST

START_TEST(two_servers_one_id)
{
	struct lp_sessions *s;

	ck_assert_int_eq(lp_sessions_new(&s, &seed, 100, 1000000), LP_OK);
	put(s, "a", 1, 1);
	put(s, "a", 2, 2);
	put(s, "a", 1, 3); /* renewed, not doubled */
	ck_assert_int_eq(find(s, "a", 9, 0), 1);
	ck_assert_int_eq(find(s, "a", 9, 1), 2);
	ck_assert_int_eq(find(s, "a", 9, 2), -1);
	for (int i = 10; i < 20; i++)
		put(s, "a", i, 4);
	ck_assert_int_eq(find(s, "a", 9, LP_SESSIONS_SAME - 1), 16);
	ck_assert_int_eq(find(s, "a", 9, LP_SESSIONS_SAME), -1);
	lp_sessions_free(s);
}
END_TEST

START_TEST(the_cap_drops_the_least_used)
{
	struct lp_sessions *s;
	struct lp_sessions_stats stats;
	char name[16];

	ck_assert_int_eq(lp_sessions_new(&s, &seed, 5000, 1000000000), LP_OK);
	put(s, "dear", 7, 1);
	for (int i = 0; i < 20000; i++) {
		snprintf(name, sizeof name, "%d", i);
		put(s, name, i, 2);
		ck_assert_int_eq(find(s, "dear", 9, 0), 7);
	}
	lp_sessions_stats(s, &stats);
	ck_assert_uint_eq(stats.entries, 5000);
	ck_assert_uint_eq(stats.evicted, 20001 - 5000);
	ck_assert_int_eq(find(s, "19999", 9, 0), 19999 & 255);
	ck_assert_int_eq(find(s, "0", 9, 0), -1);
	for (int i = 20000 - 4999; i < 20000; i++) {
		snprintf(name, sizeof name, "%d", i);
		ck_assert_int_eq(find(s, name, 9, 0), i & 255);
	}
	lp_sessions_free(s);
}
END_TEST

START_TEST(lifetimes_end_by_the_clock)
{
	struct lp_sessions *s;
	struct lp_sessions_stats stats;

	ck_assert_int_eq(lp_sessions_new(&s, &seed, 100, 5000), LP_OK);
	put(s, "a", 1, 1);
	put(s, "b", 2, 4);
	lp_sessions_expire(s, 6000);
	ck_assert_int_eq(find(s, "a", 9, 0), 1);
	lp_sessions_expire(s, 6001);
	ck_assert_int_eq(find(s, "a", 9, 0), -1);
	ck_assert_int_eq(find(s, "b", 9, 0), 2);
	lp_sessions_expire(s, 100000);
	lp_sessions_stats(s, &stats);
	ck_assert_uint_eq(stats.entries, 0);
	ck_assert_uint_eq(stats.expired, 2);
	lp_sessions_free(s);
}
END_TEST

Suite *suite_sessions(void)
{
	Suite *s = suite_create("sessions");
	TCase *t = tcase_create("sessions");

	tcase_add_test(t, found_by_name_and_kind);
	tcase_add_test(t, only_what_was_learned_before);
	tcase_add_test(t, two_servers_one_id);
	tcase_add_test(t, the_cap_drops_the_least_used);
	tcase_add_test(t, lifetimes_end_by_the_clock);
	suite_add_tcase(s, t);
	return s;
}
