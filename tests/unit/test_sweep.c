/* base/sweep: every form of it against the definition. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "base/sum.h"
#include "base/sweep.h"

static uint64_t key[LP_SWEEP_KEY];

static uint8_t noise(uint32_t *state)
{
	*state = *state * 1664525 + 1013904223;
	return (uint8_t)(*state >> 24);
}

static void begin(void)
{
	uint32_t state = 11;

	for (size_t i = 0; i < sizeof key; i++)
		((uint8_t *)key)[i] = noise(&state);
}

/* RFC 1071 and RFC 4418, one word after the other. */
static struct lp_swept slow(const uint8_t *p, size_t n)
{
	static uint8_t full[(1 << 16) + 64];
	struct lp_swept swept = { 0 };

	memcpy(full, p, n);
	memset(full + n, 0, 64);
	for (size_t i = 0; i < n; i += 2) {
		uint16_t w;

		memcpy(&w, full + i, sizeof w);
		swept.sum += w;
	}
	for (size_t i = 0; i < (n + 63) / 64 * 64 && n <= LP_SWEEP_BLOCK; i += 8) {
		uint32_t w[2], k[2];

		memcpy(w, full + i, sizeof w);
		memcpy(k, (const uint8_t *)key + i, sizeof k);
		swept.hash += (uint64_t)(w[0] + k[0]) * (w[1] + k[1]);
	}
	return swept;
}

static void compare(const uint8_t *p, size_t n)
{
	struct lp_swept right = slow(p, n), both, alone;
	uint16_t sum = lp_sum_fold(right.sum);

	for (int form = 0; form < LP_SWEEP_FORMS; form++) {
		if (!lp_sweep_by((enum lp_sweep_form)form, key, p, n, &both, &alone))
			continue;
		ck_assert_uint_eq(lp_sum_fold(both.sum), sum);
		ck_assert_uint_eq(lp_sum_fold(alone.sum), sum);
		ck_assert_uint_eq(both.hash, right.hash);
		ck_assert_uint_eq(alone.hash, right.hash);
		ck_assert_uint_lt(both.sum, 1ULL << 48);
	}
	both = lp_sweep(key, p, n);
	ck_assert_uint_eq(lp_sum_fold(both.sum), sum);
	ck_assert_uint_eq(both.hash, right.hash);
	ck_assert_uint_eq(lp_sum_fold(lp_sweep_sum(p, n)), sum);
	ck_assert_uint_eq(lp_sweep_hash(key, p, n), right.hash);
}

/* Each in an allocation that ends with it, for what looks at more than it should. */
START_TEST(every_length_everywhere)
{
	uint32_t state = 1;

	for (size_t n = 0; n <= LP_SWEEP_BLOCK; n += n < 200 ? 1 : 13) {
		for (size_t at = 0; at < (n < 200 ? 64 : 4); at++) {
			uint8_t *p = malloc(at + n + 1);

			for (size_t i = 0; i < at + n; i++)
				p[i] = noise(&state) | (n & 4 ? 0xf0 : 0);
			p = realloc(p, at + n + !(at + n));
			compare(p + at, n);
			free(p);
		}
	}
	for (size_t n = LP_SWEEP_BLOCK - 70; n <= LP_SWEEP_BLOCK; n++) {
		uint8_t *p = malloc(n);

		memset(p, 0xff, n);
		compare(p, n);
		free(p);
	}
}
END_TEST

/* The sum alone has no limit; ones carry most. */
START_TEST(sums_of_much)
{
	static uint8_t bytes[1 << 16];
	struct lp_swept both, alone;
	uint32_t state = 3;

	memset(bytes, 0xff, sizeof bytes);
	for (int round = 0; round < 2; round++) {
		for (size_t n = sizeof bytes - 130; n <= sizeof bytes; n++) {
			uint16_t right = lp_sum_fold(slow(bytes, n).sum);

			ck_assert_uint_eq(lp_sum_fold(lp_sweep_sum(bytes, n)), right);
		}
		for (size_t i = 0; i < sizeof bytes; i++)
			bytes[i] = noise(&state) | 0xc0;
	}
	for (int form = 0; form < LP_SWEEP_FORMS; form++)
		if (lp_sweep_by((enum lp_sweep_form)form, key, bytes, 0, &both, &alone))
			ck_assert(!both.sum && !both.hash && !alone.sum && !alone.hash);
}
END_TEST

Suite *suite_sweep(void);

Suite *suite_sweep(void)
{
	Suite *s = suite_create("sweep");
	TCase *t = tcase_create("sweep");

	tcase_add_checked_fixture(t, begin, NULL);
	tcase_add_test(t, every_length_everywhere);
	tcase_add_test(t, sums_of_much);
	suite_add_tcase(s, t);
	return s;
}
