/* base/: cursor, buf, secret, hash, log, clock. */
#include <check.h>
#include <string.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/hash.h"
#include "base/large.h"
#include "base/log.h"
#include "base/secret.h"
#include "base/spares.h"

START_TEST(cursor_reads_and_sticks)
{
	static const uint8_t bytes[] = { 1, 2, 3, 4, 5, 0, 2, 8, 9 };
	struct lp_cursor c = lp_cursor_of(bytes, sizeof bytes);
	lp_span v;

	ck_assert_uint_eq(lp_cursor_u8(&c), 1);
	ck_assert_uint_eq(lp_cursor_u32(&c), 0x02030405);
	v = lp_cursor_vec16(&c);
	ck_assert_uint_eq(v.n, 2);
	ck_assert_uint_eq(v.p[1], 9);
	ck_assert_int_eq(lp_cursor_end(&c), LP_OK);
	ck_assert_uint_eq(lp_cursor_u8(&c), 0);
	ck_assert_int_eq(lp_cursor_ok(&c), LP_E_TRUNCATED);
	ck_assert_uint_eq(lp_cursor_u16(&c), 0);
	ck_assert_int_eq(lp_cursor_end(&c), LP_E_TRUNCATED);
}
END_TEST

START_TEST(cursor_vector_that_lies)
{
	static const uint8_t bytes[] = { 0xff, 0xff, 0xff, 1, 2 };
	struct lp_cursor c = lp_cursor_of(bytes, sizeof bytes);
	lp_span v = lp_cursor_vec24(&c);

	ck_assert_uint_eq(v.n, 0);
	ck_assert_ptr_null(v.p);
	ck_assert_int_eq(lp_cursor_ok(&c), LP_E_TRUNCATED);
	ck_assert_uint_eq(lp_cursor_left(&c), 0);
}
END_TEST

START_TEST(cursor_either_byte_order)
{
	static const uint8_t bytes[] = { 1, 2, 3, 4, 1, 2, 3, 4, 9 };
	struct lp_cursor c = lp_cursor_of(bytes, sizeof bytes);

	ck_assert_uint_eq(lp_cursor_uint(&c, 4, true), 0x04030201);
	ck_assert_uint_eq(lp_cursor_uint(&c, 4, false), 0x01020304);
	ck_assert_int_eq(lp_cursor_end(&c), LP_E_FORMAT);
}
END_TEST

START_TEST(buf_keeps_its_maximum)
{
	struct lp_buf b;
	uint8_t bytes[300];

	memset(bytes, 7, sizeof bytes);
	lp_buf_init(&b, 1000);
	for (int i = 0; i < 3; i++)
		ck_assert_int_eq(lp_buf_append(&b, bytes, sizeof bytes), LP_OK);
	ck_assert_int_eq(lp_buf_append(&b, bytes, sizeof bytes), LP_E_LIMIT);
	ck_assert_uint_eq(lp_buf_len(&b), 900);
	lp_buf_consume(&b, 850);
	ck_assert_int_eq(lp_buf_append(&b, bytes, sizeof bytes), LP_OK);
	ck_assert_uint_eq(lp_buf_len(&b), 350);
	ck_assert_uint_le(b.size, 1000);
	lp_buf_consume(&b, 9999);
	ck_assert_uint_eq(lp_buf_len(&b), 0);
	lp_buf_clear(&b);
}
END_TEST

START_TEST(secret_is_wiped_and_reused)
{
	struct lp_secret s = { NULL, 0 };
	uint8_t *p, *big;

	ck_assert_int_eq(lp_secret_set(&s, "secret", 6), LP_OK);
	p = s.p;
	ck_assert_mem_eq(p, "secret", 6);
	lp_secret_clear(&s);
	ck_assert_ptr_null(s.p);
	/* The slot is the next to be handed out, and it is empty. */
	ck_assert_int_eq(lp_secret_set(&s, "x", 1), LP_OK);
	ck_assert_ptr_eq(s.p, p);
	ck_assert_uint_eq(p[1], 0);
	ck_assert_uint_eq(p[5], 0);
	lp_secret_clear(&s);
	for (size_t n = 1; n < 70000; n = n * 3 + 1) {
		big = lp_secret_alloc(n);
		ck_assert_ptr_nonnull(big);
		for (size_t i = 0; i < n; i++)
			ck_assert_uint_eq(big[i], 0);
		memset(big, 0xaa, n);
		lp_secret_free(big, n);
	}
	ck_assert(lp_equal_ct("abc", "abc", 3));
	ck_assert(!lp_equal_ct("abc", "abd", 3));
}
END_TEST

START_TEST(hash_is_siphash)
{
	/* The test vectors of the SipHash paper's appendix: key 00..0f, input 00..0e. */
	struct lp_hash_seed seed = { 0x0706050403020100ULL, 0x0f0e0d0c0b0a0908ULL };
	uint8_t in[15];

	for (uint8_t i = 0; i < sizeof in; i++)
		in[i] = i;
	ck_assert_uint_eq(lp_hash(&seed, in, sizeof in), 0xa129ca6149be45e5ULL);
	ck_assert_uint_eq(lp_hash(&seed, in, 0), 0x726fdb47dd0e0e31ULL);
}
END_TEST

START_TEST(text_is_escaped)
{
	char out[64];

	ck_assert_str_eq(lp_text_escape(out, sizeof out, "a\x1b[2J\\\n", 7), "a\\x1b[2J\\x5c\\x0a");
	ck_assert_str_eq(lp_text_escape(out, sizeof out, "gr\xc3\xbc\xc3", 5), "gr\xc3\xbc\\xc3");
	ck_assert_str_eq(lp_text_escape(out, sizeof out, "\xe2\x80\xae!", 4), "\\xe2\\x80\\xae!");
	ck_assert_str_eq(lp_text_escape(out, 5, "\x01\x02", 2), "\\x01");
	ck_assert_str_eq(lp_text_escape(out, 4, "\x01", 1), "");
	ck_assert_str_eq(lp_text_escape(out, sizeof out, "\xc0\x80\xed\xa0\x80", 5),
			 "\\xc0\\x80\\xed\\xa0\\x80");
}
END_TEST

START_TEST(text_hex_there_and_back)
{
	uint8_t out[2];
	char hex[5];

	ck_assert_int_eq(lp_text_unhex(out, 2, "C0fe", 4), LP_OK);
	ck_assert_str_eq(lp_text_hex(hex, out, 2), "c0fe");
	ck_assert_int_eq(lp_text_unhex(out, 2, "C0f", 3), LP_E_FORMAT);
	ck_assert_int_eq(lp_text_unhex(out, 2, "C0fg", 4), LP_E_FORMAT);
}
END_TEST

START_TEST(clock_writes_like_suricata)
{
	char text[LP_CLOCK_TEXT];

	lp_clock_text(text, 1700000000123456789ULL);
	ck_assert_str_eq(text, "2023-11-14T22:13:20.123456+0000");
}
END_TEST

START_TEST(every_error_has_a_text)
{
	ck_assert_str_eq(lp_err_text(LP_E_NOMEM), "out of memory");
	ck_assert_str_eq(lp_err_text((enum lp_err)99), "unknown error");
}
END_TEST

/* Whole pages of zero, each block apart from the others. */
START_TEST(large_memory)
{
	static const size_t sizes[] = { 1, LP_LARGE - 1, LP_LARGE, LP_LARGE + 1, 3 * LP_LARGE };
	enum { N = sizeof sizes / sizeof sizes[0] };
	uint8_t *p[N];

	for (int round = 0; round < 3; round++) {
		for (size_t i = 0; i < N; i++) {
			size_t size = (sizes[i] + LP_LARGE - 1) / LP_LARGE * LP_LARGE;

			p[i] = lp_large_new(sizes[i]);
			ck_assert_ptr_nonnull(p[i]);
			ck_assert_uint_eq((uintptr_t)p[i] % LP_LARGE, 0);
			for (size_t at = 0; at < size; at += 512)
				ck_assert_uint_eq(p[i][at], 0);
			memset(p[i], (int)i + 1, size);
		}
		for (size_t i = 0; i < N; i++) {
			ck_assert_uint_eq(p[i][0], i + 1);
			ck_assert_uint_eq(p[i][sizes[i] - 1], i + 1);
			lp_large_free(p[i], sizes[i]);
		}
	}
	lp_large_free(NULL, 0);
	ck_assert_ptr_null(lp_large_new(0));
	ck_assert_ptr_null(lp_large_new(SIZE_MAX));
}
END_TEST

START_TEST(spares)
{
	struct lp_spares s;
	void *block[3];

	lp_spares_init(&s, 100, 3);
	for (int round = 0; round < 2; round++) {
		for (int i = 0; i < 3; i++) {
			block[i] = lp_spares_take(&s);
			ck_assert_ptr_nonnull(block[i]);
			memset(block[i], i, 100);
		}
		ck_assert_ptr_null(lp_spares_take(&s));
		ck_assert_uint_eq(s.refused, (uint64_t)round + 1);
		lp_spares_give(&s, block[1]);
		ck_assert_ptr_eq(lp_spares_take(&s), block[1]);
		ck_assert_int_eq(((uint8_t *)block[0])[99], 0);
		ck_assert_int_eq(((uint8_t *)block[2])[0], 2);
		for (int i = 0; i < 3; i++)
			lp_spares_give(&s, block[i]);
	}
	lp_spares_clear(&s);
	lp_spares_init(&s, 100, 0);
	ck_assert_ptr_null(lp_spares_take(&s));
	lp_spares_clear(&s);
}
END_TEST

Suite *suite_base(void)
{
	Suite *s = suite_create("base");
	TCase *t = tcase_create("base");

	tcase_add_test(t, cursor_reads_and_sticks);
	tcase_add_test(t, cursor_vector_that_lies);
	tcase_add_test(t, cursor_either_byte_order);
	tcase_add_test(t, buf_keeps_its_maximum);
	tcase_add_test(t, secret_is_wiped_and_reused);
	tcase_add_test(t, spares);
	tcase_add_test(t, large_memory);
	tcase_add_test(t, hash_is_siphash);
	tcase_add_test(t, text_is_escaped);
	tcase_add_test(t, text_hex_there_and_back);
	tcase_add_test(t, clock_writes_like_suricata);
	tcase_add_test(t, every_error_has_a_text);
	suite_add_tcase(s, t);
	return s;
}
