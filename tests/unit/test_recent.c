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

/* Long pieces are hashed a block of 1,024 bytes at a time. */
START_TEST(every_byte_of_long_ones)
{
	uint8_t p[3100];

	for (size_t i = 0; i < sizeof p; i++)
		p[i] = (uint8_t)(i * i >> 3);
	for (uint32_t n = 1000; n <= sizeof p; n += 150) {
		lp_recent_put(&r, 7, n, p, n);
		ck_assert(!lp_recent_differs(&r, 7, n, p, n));
		for (uint32_t i = 0; i < n; i++) {
			p[i]++;
			ck_assert(lp_recent_differs(&r, 7, n, p, n));
			p[i]--;
		}
	}
}
END_TEST

START_TEST(order_counts)
{
	uint8_t p[2048], q[2048];

	memset(p, 'a', 1024);
	memset(p + 1024, 'b', 1024);
	memset(q, 'b', 1024);
	memset(q + 1024, 'a', 1024);
	lp_recent_put(&r, 7, 1, p, sizeof p);
	ck_assert(lp_recent_differs(&r, 7, 1, q, sizeof q));
	memset(p, 'a', 64);
	memset(p + 64, 'b', 64);
	memset(q, 'b', 64);
	memset(q + 64, 'a', 64);
	lp_recent_put(&r, 7, 1, p, 128);
	ck_assert(lp_recent_differs(&r, 7, 1, q, 128));
	/* One is the other with bytes that are zero. */
	memset(p, 0, sizeof p);
	lp_recent_put(&r, 7, 1, p, 100);
	lp_recent_put(&r, 7, 101, p, 101);
	ck_assert(!lp_recent_differs(&r, 7, 1, p, 201));
}
END_TEST

START_TEST(wide_registers_change_nothing)
{
	uint8_t p[LP_RECENT_KEY * 8];

	for (size_t i = 0; i < sizeof p; i++)
		p[i] = (uint8_t)(i * 37 ^ i >> 3);
	for (size_t n = 64; n <= sizeof p; n += 64)
		ck_assert_uint_eq(lp_recent_sum(r.key, p, n, false),
				  lp_recent_sum(r.key, p, n, true));
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
	tcase_add_test(t, every_byte_of_long_ones);
	tcase_add_test(t, order_counts);
	tcase_add_test(t, wide_registers_change_nothing);
	tcase_add_test(t, several_in_one);
	tcase_add_test(t, old_ones_are_forgotten);
	suite_add_tcase(s, t);
	return s;
}
