/* plugins/shown.c against a byte at a time. */
#include <check.h>
#include <string.h>

#include "plugins/shown.h"

enum { MOST = 600 };

static size_t slow(char *out, const uint8_t *p, size_t n, const uint8_t *end)
{
	size_t at = 0;

	for (size_t i = 0; i < n; i++) {
		if (p[i] == '\r' && p + i + 1 < end && p[i + 1] == '\n')
			continue;
		out[at++] = p[i] == '\n' || p[i] == '\t' || (p[i] >= ' ' && p[i] <= '~')
			    ? (char)p[i] : '.';
	}
	return at;
}

static void compare(const uint8_t *p, size_t n, const uint8_t *end)
{
	char right[MOST], got[MOST + LP_SHOWN_SPARE + 1];
	size_t right_n = slow(right, p, n, end);

	memset(got, '#', sizeof got);
	ck_assert_uint_eq(lp_shown_write(got, p, n, end), right_n);
	ck_assert_mem_eq(got, right, right_n);
	ck_assert_int_eq(got[n + LP_SHOWN_SPARE], '#');
}

START_TEST(every_byte)
{
	uint8_t bytes[256];

	for (size_t i = 0; i < sizeof bytes; i++)
		bytes[i] = (uint8_t)i;
	for (size_t at = 0; at < 20; at++)
		compare(bytes + at, sizeof bytes - at, bytes + sizeof bytes);
}
END_TEST

/* Of few kinds of bytes, so that CR and LF stand together everywhere. */
START_TEST(every_length_and_cut)
{
	static const char kinds[] = "\r\r\n\na\x80";
	uint8_t bytes[100];
	uint32_t state = 3;

	for (unsigned round = 0; round < 30; round++) {
		for (size_t i = 0; i < sizeof bytes; i++) {
			state = state * 1664525 + 1013904223;
			bytes[i] = (state >> 28) < round / 2 ? 'x'
				   : (uint8_t)kinds[(state >> 16) % (sizeof kinds - 1)];
		}
		for (size_t at = 0; at < 17; at++)
			for (size_t n = 0; at + n <= sizeof bytes; n++) {
				compare(bytes + at, n, bytes + at + n);
				compare(bytes + at, n, bytes + sizeof bytes);
			}
	}
}
END_TEST

Suite *suite_shown(void)
{
	Suite *s = suite_create("shown");
	TCase *t = tcase_create("shown");

	tcase_add_test(t, every_byte);
	tcase_add_test(t, every_length_and_cut);
	suite_add_tcase(s, t);
	return s;
}
