/* recent.h: what was handed on lately. */
#include <check.h>
#include <string.h>

#include "net/recent.h"

static struct lp_recent r;

static void begin(void)
{
	const struct lp_hash_seed seed = { 0x1234, 0x5678 };

	ck_assert_int_eq(lp_recent_init(&r, &seed), LP_OK);
}

static void end(void)
{
	lp_recent_clear(&r);
}

/* Every single changed bit, at every length. */
START_TEST(every_bit_counts)
{
	uint8_t p[200];

	memset(p, 'p', sizeof p);
	for (uint32_t n = 1; n <= sizeof p; n++) {
		lp_recent_put(&r, 7, n * 1000, p, n);
		ck_assert(!lp_recent_differs(&r, 7, n * 1000, p, n));
		for (uint32_t bit = 0; bit < n * 8; bit++) {
			p[bit / 8] ^= (uint8_t)(1 << bit % 8);
			ck_assert(lp_recent_differs(&r, 7, n * 1000, p, n));
			p[bit / 8] ^= (uint8_t)(1 << bit % 8);
		}
	}
}
END_TEST

START_TEST(several_in_one)
{
	uint8_t p[300], q[300];

	memset(p, 'p', sizeof p);
	memcpy(q, p, sizeof q);
	lp_recent_put(&r, 4, 0xffffffff - 99, p, 100); /* the numbers wrap */
	lp_recent_put(&r, 4, 0, p + 100, 100);
	lp_recent_put(&r, 4, 100, p + 200, 100);
	ck_assert(!lp_recent_differs(&r, 4, 0xffffffff - 99, q, 300));
	q[299]++;
	ck_assert(lp_recent_differs(&r, 4, 0xffffffff - 99, q, 300));
	ck_assert(lp_recent_differs(&r, 4, 0, q + 100, 200));
	/* What is not known as it stands is not said to differ. */
	ck_assert(!lp_recent_differs(&r, 4, 0xffffffff - 99, q, 299));
	ck_assert(!lp_recent_differs(&r, 4, 50, q + 150, 150));
	ck_assert(!lp_recent_differs(&r, 5, 100, q + 200, 100));
	ck_assert(!lp_recent_differs(&r, 4, 0, q, 0));
}
END_TEST

#define NAME(i) ((uint64_t)(i) << 32 | (i))

START_TEST(old_ones_are_forgotten)
{
	uint32_t known = 0;

	for (uint32_t i = 0; i < 1000000; i++)
		lp_recent_put(&r, NAME(i), 1, (const uint8_t *)"a", 1);
	for (uint32_t i = 0; i < 1000000; i++)
		known += lp_recent_differs(&r, NAME(i), 1, (const uint8_t *)"b", 1);
	ck_assert_uint_gt(known, 30000);
	ck_assert_uint_le(known, 65536);
	ck_assert(lp_recent_differs(&r, NAME(999999), 1, (const uint8_t *)"b", 1));
}
END_TEST

Suite *suite_recent(void);

Suite *suite_recent(void)
{
	Suite *s = suite_create("recent");
	TCase *t = tcase_create("recent");

	tcase_add_checked_fixture(t, begin, end);
	tcase_add_test(t, every_bit_counts);
	tcase_add_test(t, several_in_one);
	tcase_add_test(t, old_ones_are_forgotten);
	suite_add_tcase(s, t);
	return s;
}
