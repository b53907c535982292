/* recent.h: what was handed on lately. */
#include <check.h>
#include <string.h>

#include "base/sum.h"
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

/* Long pieces are hashed a block of 1,536 bytes at a time. */
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
	uint8_t p[2 * LP_SWEEP_BLOCK], q[2 * LP_SWEEP_BLOCK];

	memset(p, 'a', sizeof p / 2);
	memset(p + sizeof p / 2, 'b', sizeof p / 2);
	memset(q, 'b', sizeof q / 2);
	memset(q + sizeof q / 2, 'a', sizeof q / 2);
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

#define NAME(i) ((uint64_t)(i) << 32 | (i))

/* A hash made with the sum is the same hash, and is that of bytes in their place only. */
START_TEST(looked_at_once)
{
	uint8_t p[3100], q[3100];

	for (size_t i = 0; i < sizeof p; i++)
		p[i] = (uint8_t)(i * i >> 3);
	memcpy(q, p, sizeof q);
	for (uint32_t n = 2; n <= sizeof p; n += n < 70 ? 1 : 97) {
		ck_assert_uint_eq(lp_sum_fold(lp_recent_look(&r, p, n)),
				  lp_sum_fold(lp_sum_add(0, p, n)));
		lp_recent_put(&r, NAME(1), n, p, n); /* as it was made */
		lp_recent_put(&r, NAME(2), n, q, n); /* made anew */
		lp_recent_put(&r, NAME(3), n, p, n - 1);
		lp_recent_put(&r, NAME(4), n, p + 1, n - 1);
		ck_assert(!lp_recent_differs(&r, NAME(2), n, p, n));
		q[n - 1]++;
		ck_assert(lp_recent_differs(&r, NAME(1), n, q, n));
		ck_assert(lp_recent_differs(&r, NAME(4), n, q + 1, n - 1));
		q[n - 1]--;
		q[0]++;
		ck_assert(lp_recent_differs(&r, NAME(3), n, q, n - 1));
		q[0]--;
		lp_recent_forget(&r);
		ck_assert(!lp_recent_differs(&r, NAME(1), n, p, n));
		ck_assert(!lp_recent_differs(&r, NAME(3), n, p, n - 1));
		ck_assert(!lp_recent_differs(&r, NAME(4), n, p + 1, n - 1));
		p[n - 1]++; /* other bytes at the same place */
		ck_assert(lp_recent_differs(&r, NAME(1), n, p, n));
		p[n - 1]--;
	}
}
END_TEST

/* Bytes that stay are looked at where they are, the others by their hash; what comes again may be
 * either. */
START_TEST(those_that_stay)
{
	uint8_t p[300], q[300];

	memset(p, 'p', sizeof p);
	memset(q, 'p', sizeof q);
	lp_recent_stays(&r, p, 200);
	ck_assert_uint_eq(lp_recent_hash(&r, p, 200), 0);
	lp_recent_put(&r, NAME(4), 0, p, 100);
	lp_recent_put(&r, NAME(4), 100, p + 100, 100);
	lp_recent_put(&r, NAME(4), 200, p + 200, 100); /* not among them */
	lp_recent_put(&r, NAME(5), 0, p, 300);         /* nor all of these */
	lp_recent_forget(&r);
	lp_recent_put(&r, NAME(6), 0, p, 200);         /* they were forgotten */
	ck_assert(!lp_recent_differs(&r, NAME(4), 0, q, 300));
	for (uint32_t at = 0; at < 300; at++) {
		q[at] ^= 0x10;
		ck_assert(lp_recent_differs(&r, NAME(4), 0, q, 300));
		lp_recent_stays(&r, q, 300);
		ck_assert(lp_recent_differs(&r, NAME(4), 0, q, 300));
		lp_recent_forget(&r);
		q[at] ^= 0x10;
	}
	/* Those are gone: what lies there now does not matter. */
	for (uint32_t at = 0; at < 300; at += 100) {
		p[at] ^= 0x10;
		ck_assert_int_eq(lp_recent_differs(&r, NAME(4), 0, q, 300), at < 200);
		ck_assert(!lp_recent_differs(&r, NAME(5), 0, q, 300));
		ck_assert(!lp_recent_differs(&r, NAME(6), 0, q, 200));
		p[at] ^= 0x10;
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

/* Large segments of one stream do not drive each other out, wherever its numbers wrap. */
START_TEST(many_large_ones_of_one)
{
	enum { N = 1024, MANY = 60000 };
	uint32_t seq = 0xffffffff - 1000 * N;
	uint8_t p[N], q[N];

	memset(p, 'p', sizeof p);
	memset(q, 'q', sizeof q);
	for (uint32_t i = 0; i < MANY; i++)
		lp_recent_put(&r, NAME(8), seq + i * N, p, N);
	for (uint32_t i = 0; i < MANY; i++) {
		ck_assert(lp_recent_differs(&r, NAME(8), seq + i * N, q, N));
		ck_assert(!lp_recent_differs(&r, NAME(8), seq + i * N, p, N));
	}
}
END_TEST

/* Nor do small ones among them; and what comes in one piece again is compared with both. */
START_TEST(large_and_small_ones)
{
	static const uint32_t n[] = { 1448, 1, 1023, 1024, 40, 1, 3000, 1025, 1000, 24 };
	enum { PIECES = sizeof n / sizeof *n };
	uint8_t p[10000], q[sizeof p];
	uint32_t at = 0;

	for (size_t i = 0; i < sizeof p; i++)
		p[i] = (uint8_t)(i * i >> 3);
	memcpy(q, p, sizeof q);
	for (uint32_t i = 0; i < PIECES; at += n[i++])
		lp_recent_put(&r, NAME(9), at, p + at, n[i]);
	for (uint32_t i = 0; i < at; i += 7) {
		q[i]++;
		ck_assert(lp_recent_differs(&r, NAME(9), 0, q, at));
		q[i]--;
	}
	ck_assert(!lp_recent_differs(&r, NAME(9), 0, q, at));
	/* A large piece of which only the beginning is known as a small one. */
	q[1448]++;
	ck_assert(lp_recent_differs(&r, NAME(9), 1448, q + 1448, 1));
	ck_assert(lp_recent_differs(&r, NAME(9), 1448, q + 1448, 2000));
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
	tcase_add_test(t, looked_at_once);
	tcase_add_test(t, those_that_stay);
	tcase_add_test(t, several_in_one);
	tcase_add_test(t, old_ones_are_forgotten);
	tcase_add_test(t, many_large_ones_of_one);
	tcase_add_test(t, large_and_small_ones);
	suite_add_tcase(s, t);
	return s;
}
