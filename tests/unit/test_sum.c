/* base/sum */
#include <check.h>
#include <string.h>

#include "base/sum.h"
#include "help_packet.h"

static uint8_t noise(uint32_t *state)
{
	*state = *state * 1664525 + 1013904223;
	return (uint8_t)(*state >> 24);
}

/* The folded sum in header order, whatever the machine's. */
static uint16_t in_header(uint64_t sum)
{
	uint16_t folded = lp_sum_fold(sum);
	uint8_t b[2];

	memcpy(b, &folded, 2);
	return (uint16_t)(b[0] << 8 | b[1]);
}

START_TEST(equals_the_slow_one)
{
	uint8_t bytes[600];
	uint32_t state = 1;

	for (size_t i = 0; i < sizeof bytes; i++)
		bytes[i] = noise(&state);
	for (size_t at = 0; at < 9; at++)
		for (size_t n = 0; n < 300; n++)
			ck_assert_uint_eq(in_header(lp_sum_add(0, bytes + at, n)),
					  (uint16_t)~help_packet_csum(bytes + at, n, 0));
	/* In two pieces, the first of them even. */
	for (size_t cut = 0; cut < 300; cut += 2)
		ck_assert_uint_eq(in_header(lp_sum_add(lp_sum_add(0, bytes, cut),
							    bytes + cut, 299 - cut)),
				  (uint16_t)~help_packet_csum(bytes, 299, 0));
	/* RFC 1071 section 3, the example. */
	ck_assert_uint_eq(in_header(lp_sum_add(0, "\x00\x01\xf2\x03\xf4\xf5\xf6\xf7", 8)),
			  0xddf2);
}
END_TEST

START_TEST(carries)
{
	uint8_t bytes[256];

	memset(bytes, 0xff, sizeof bytes);
	for (size_t n = 2; n <= sizeof bytes; n += 2)
		ck_assert_uint_eq(lp_sum_fold(lp_sum_add(UINT64_MAX, bytes, n)), 0xffff);
	ck_assert_uint_eq(lp_sum_fold(UINT64_MAX - 1), 0xfffe);
	ck_assert_uint_eq(lp_sum_fold(0), 0);
	ck_assert_uint_eq(lp_sum_fold(lp_sum_join(UINT64_MAX, 0x1234)), 0x1234);
	ck_assert_uint_eq(lp_sum_fold(lp_sum_join(0x1234, UINT64_MAX)), 0x1234);
	memset(bytes, 0, sizeof bytes);
	ck_assert_uint_eq(lp_sum_add(0, bytes, sizeof bytes), 0);
}
END_TEST

START_TEST(much)
{
	static uint8_t bytes[1 << 20];
	uint32_t state = 5;

	memset(bytes, 0xff, sizeof bytes);
	for (size_t n = sizeof bytes - 70; n < sizeof bytes; n += 2)
		ck_assert_uint_eq(lp_sum_fold(lp_sum_add(0, bytes + 1, n)), 0xffff);
	for (size_t i = 0; i < sizeof bytes; i++)
		bytes[i] = noise(&state) | 0xc0;
	for (size_t n = sizeof bytes - 70; n < sizeof bytes; n++)
		ck_assert_uint_eq(in_header(lp_sum_add(0, bytes + 1, n)),
				  (uint16_t)~help_packet_csum(bytes + 1, n, 0));
}
END_TEST

Suite *suite_sum(void)
{
	Suite *s = suite_create("sum");
	TCase *t = tcase_create("sum");

	tcase_add_test(t, equals_the_slow_one);
	tcase_add_test(t, carries);
	tcase_add_test(t, much);
	suite_add_tcase(s, t);
	return s;
}
