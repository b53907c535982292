/* flights.h: what peers said in clear before. */
#include <check.h>
#include <string.h>

#include "tls/flights.h"

static struct lp_flights *s;

static void begin(void)
{
	const struct lp_flights_config c = { .seed = { 3, 4 } };

	ck_assert_int_eq(lp_flights_new(&s, &c), LP_OK);
}

static void end(void)
{
	lp_flights_free(s);
}

static lp_span text(const char *t)
{
	return lp_span_of((const uint8_t *)t, strlen(t));
}

static void put(const char *name, const char *bytes, uint32_t lead, uint64_t number)
{
	const struct lp_when when = { .number = number };

	ck_assert_int_eq(lp_flights_put(s, text(name), text(bytes), lead, &when), LP_OK);
}

/* Number nth, as seen at a place; NULL: none. */
static const char *find(const char *name, unsigned nth, uint64_t number, uint32_t *lead)
{
	const struct lp_when when = { .number = number };
	static char out[256];
	struct lp_buf b;
	bool found;

	lp_buf_init(&b, 255);
	ck_assert_int_eq(lp_flights_find(s, text(name), &when, nth, &b, lead, &found), LP_OK);
	memset(out, 0, sizeof out);
	if (found)
		memcpy(out, lp_buf_span(&b).p, lp_buf_len(&b));
	else
		ck_assert_uint_eq(lp_buf_len(&b), 0);
	lp_buf_clear(&b);
	return found ? out : NULL;
}

START_TEST(newest_first_and_only_what_was_before)
{
	uint32_t lead = 0;

	put("a", "one", 7, 10);
	put("a", "two", 0, 20);
	put("b", "three", 1, 30);
	ck_assert_str_eq(find("a", 0, 21, &lead), "two");
	ck_assert_uint_eq(lead, 0);
	ck_assert_str_eq(find("a", 1, 21, &lead), "one");
	ck_assert_uint_eq(lead, 7);
	ck_assert_ptr_null(find("a", 2, 21, &lead));
	ck_assert_str_eq(find("a", 0, 20, &lead), "one");
	ck_assert_ptr_null(find("a", 0, 10, &lead));
	ck_assert_ptr_null(find("c", 0, 99, &lead));
	ck_assert_str_eq(find("b", 0, 99, &lead), "three");
}
END_TEST

/* Who comes here first does not matter: the place does. */
START_TEST(places_decide)
{
	uint32_t lead;

	put("a", "two", 0, 20);
	put("a", "one", 0, 10);
	ck_assert_str_eq(find("a", 0, 30, &lead), "two");
	ck_assert_str_eq(find("a", 1, 30, &lead), "one");
	put("a", "two", 0, 5);  /* it was there before */
	put("a", "one", 0, 25); /* it is no newer for that */
	ck_assert_str_eq(find("a", 0, 30, &lead), "one");
	ck_assert_str_eq(find("a", 0, 10, &lead), "two");
	put("a", "one", 1, 26); /* another one */
	ck_assert_str_eq(find("a", 0, 30, &lead), "one");
	ck_assert_uint_eq(lead, 1);
}
END_TEST

START_TEST(four_distinct_ones)
{
	struct lp_flights_stats stats;
	uint32_t lead;

	put("a", "1", 0, 1);
	put("a", "2", 0, 2);
	put("a", "3", 0, 3);
	put("a", "4", 0, 4);
	put("b", "1", 0, 4);
	put("a", "1", 0, 5); /* seen again: 2 is the one to go */
	put("a", "5", 0, 6);
	ck_assert_str_eq(find("a", 0, 9, &lead), "5");
	ck_assert_str_eq(find("a", 1, 9, &lead), "4");
	ck_assert_str_eq(find("a", 2, 9, &lead), "3");
	ck_assert_str_eq(find("a", 3, 9, &lead), "1");
	ck_assert_ptr_null(find("a", 4, 9, &lead));
	ck_assert_str_eq(find("b", 0, 9, &lead), "1");
	lp_flights_stats(s, &stats);
	ck_assert_uint_eq(stats.entries, 5);
	ck_assert_uint_eq(stats.replaced, 1);
	ck_assert_uint_eq(stats.evicted, 0);
	ck_assert_uint_eq(stats.stored, 6);
}
END_TEST

START_TEST(caps)
{
	static uint8_t much[LP_FLIGHT_MAX + 1];
	const struct lp_when when = { .number = 1 }, later = { .number = 1 << 20 };
	struct lp_flights_stats stats;
	struct lp_buf out;
	uint32_t lead;
	bool found;

	ck_assert_int_eq(lp_flights_put(s, text("a"), lp_span_of(much, sizeof much), 0, &when),
			 LP_OK);
	lp_flights_stats(s, &stats);
	ck_assert_uint_eq(stats.too_long, 1);
	ck_assert_uint_eq(stats.entries, 0);
	for (uint32_t i = 0; i < 2100; i++) {
		const struct lp_when at = { .number = i + 1 };

		ck_assert_int_eq(lp_flights_put(s, lp_span_of((uint8_t *)&i, sizeof i),
						lp_span_of(much, LP_FLIGHT_MAX), 0, &at), LP_OK);
		lp_flights_stats(s, &stats);
		ck_assert_uint_le(stats.bytes, LP_FLIGHTS_BYTES);
		lp_buf_init(&out, LP_FLIGHT_MAX);
		/* The first is used all the time, so it stays. */
		ck_assert_int_eq(lp_flights_find(s, lp_span_of((const uint8_t[4]){ 0 }, 4), &later, 0,
						 &out, &lead, &found), LP_OK);
		ck_assert(found);
		lp_buf_clear(&out);
	}
	ck_assert_uint_gt(stats.evicted, 50);
	ck_assert_uint_eq(stats.entries + stats.evicted, 2100);
}
END_TEST

Suite *suite_flights(void);

Suite *suite_flights(void)
{
	Suite *suite = suite_create("flights");
	TCase *t = tcase_create("flights");

	tcase_add_checked_fixture(t, begin, end);
	tcase_add_test(t, newest_first_and_only_what_was_before);
	tcase_add_test(t, places_decide);
	tcase_add_test(t, four_distinct_ones);
	tcase_add_test(t, caps);
	suite_add_tcase(suite, t);
	return suite;
}
