/* warden/premaster and warden/recent: the parts that need no process. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "help_seal.h"
#include "help_warden.h"
#include "warden/recent.h"

START_TEST(unpad_takes_what_is_well_padded)
{
	static const size_t sizes[] = { 59, 64, 128, 256, 384, 512, 1024 };
	uint8_t block[LP_WARDEN_INPUT], premaster[48], substitute[48], out[48];

	help_fill(substitute, 48, 3);
	help_fill(premaster, 48, 4);
	premaster[0] = 3;
	for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
		for (int minor = 0; minor < 256; minor++) {
			premaster[1] = (uint8_t)minor;
			help_pad(block, sizes[i], premaster, HELP_WELL);
			lp_premaster_unpad(block, sizes[i], substitute, out);
			ck_assert_mem_eq(out, premaster, 48);
		}
		for (int d = HELP_WELL + 1; d < HELP_DAMAGES; d++) {
			help_pad(block, sizes[i], premaster, (enum help_damage)d);
			lp_premaster_unpad(block, sizes[i], substitute, out);
			ck_assert_mem_eq(out, substitute, 48);
		}
	}
	/* Seven bytes of padding, in a block that could hold no more. */
	help_pad(block, 59, premaster, HELP_WELL);
	memmove(block + 2, block + 3, 56);
	lp_premaster_unpad(block, 58, substitute, out);
	ck_assert_mem_eq(out, substitute, 48);
	memset(block, 0, sizeof block);
	lp_premaster_unpad(block, 256, substitute, out);
	ck_assert_mem_eq(out, substitute, 48);
	lp_premaster_unpad(block, 0, substitute, out);
	ck_assert_mem_eq(out, substitute, 48);
}
END_TEST

/* Every byte of the padding matters, and every bit of the fixed bytes. */
START_TEST(unpad_sees_every_byte)
{
	uint8_t block[256], premaster[48], substitute[48], out[48];

	help_fill(substitute, 48, 3);
	help_fill(premaster, 48, 4);
	premaster[0] = premaster[1] = 3;
	for (size_t i = 2; i < 256 - 49; i++) {
		help_pad(block, 256, premaster, HELP_WELL);
		block[i] = 0;
		lp_premaster_unpad(block, 256, substitute, out);
		ck_assert_mem_eq(out, substitute, 48);
	}
	for (int bit = 0; bit < 8; bit++) {
		static const size_t fixed[] = { 0, 1, 256 - 49, 256 - 48 };

		for (size_t i = 0; i < 4; i++) {
			help_pad(block, 256, premaster, HELP_WELL);
			block[fixed[i]] ^= (uint8_t)(1 << bit);
			lp_premaster_unpad(block, 256, substitute, out);
			ck_assert_mem_eq(out, substitute, 48);
		}
	}
}
END_TEST

START_TEST(recent_keeps_ten_seconds)
{
	struct lp_recent *r;
	struct lp_recent_entry *a, *b;
	uint8_t hash[32] = { 1 }, premaster[48];
	static const uint8_t nothing[sizeof *a];

	memset(premaster, 0x77, 48);
	ck_assert_int_eq(lp_recent_new(&r, 8), LP_OK);
	a = lp_recent_add(r, 1, hash);
	ck_assert_ptr_eq(lp_recent_find(r, 1, hash), a);
	ck_assert_ptr_null(lp_recent_find(r, 2, hash)); /* the same input, another key */
	ck_assert(!a->ready);
	ck_assert_uint_eq(lp_recent_expire(r, 1000 * LP_NS_PER_S), 0); /* work has no end */
	lp_recent_ready(r, a, premaster, 5 * LP_NS_PER_S);
	b = lp_recent_add(r, 2, hash);
	lp_recent_ready(r, b, premaster, 6 * LP_NS_PER_S);
	ck_assert_uint_eq(lp_recent_expire(r, 15 * LP_NS_PER_S - 1), 15 * LP_NS_PER_S);
	ck_assert_mem_eq(lp_recent_find(r, 1, hash)->premaster, premaster, 48);
	ck_assert_uint_eq(lp_recent_expire(r, 15 * LP_NS_PER_S), 16 * LP_NS_PER_S);
	ck_assert_ptr_null(lp_recent_find(r, 1, hash));
	ck_assert_mem_eq(a->premaster, nothing, 48); /* wiped, not only forgotten */
	ck_assert_uint_eq(lp_recent_count(r), 1);
	ck_assert_uint_eq(lp_recent_expire(r, 16 * LP_NS_PER_S), 0);
	ck_assert_uint_eq(lp_recent_count(r), 0);
	a = lp_recent_add(r, 3, hash);
	lp_recent_drop(r, a);
	ck_assert_ptr_null(lp_recent_find(r, 3, hash));
	lp_recent_free(r);
}
END_TEST

START_TEST(recent_at_its_cap)
{
	enum { SIZE = 64 };
	struct lp_recent *r;
	struct lp_recent_entry *e;
	uint8_t hash[32] = { 0 }, premaster[48] = { 9 };

	ck_assert_int_eq(lp_recent_new(&r, SIZE), LP_OK);
	for (uint32_t i = 0; i < 10 * SIZE; i++) {
		e = lp_recent_add(r, i, hash);
		ck_assert_ptr_nonnull(e);
		lp_recent_ready(r, e, premaster, i);
	}
	ck_assert_uint_eq(lp_recent_count(r), SIZE);
	for (uint32_t i = 0; i < 10 * SIZE; i++)
		ck_assert_int_eq(lp_recent_find(r, i, hash) != NULL, i >= 9 * SIZE);
	/* What is being worked on does not give way. */
	for (uint32_t i = 0; i < SIZE; i++)
		ck_assert_ptr_nonnull(lp_recent_add(r, 5000 + i, hash));
	ck_assert_ptr_null(lp_recent_add(r, 9999, hash));
	lp_recent_drop(r, lp_recent_find(r, 5000 + SIZE / 2, hash));
	ck_assert_ptr_nonnull(lp_recent_add(r, 9999, hash));
	lp_recent_free(r);
}
END_TEST

Suite *suite_warden_premaster(void);
Suite *suite_warden_premaster(void)
{
	Suite *s = suite_create("warden_premaster");
	TCase *t = tcase_create("premaster");

	tcase_add_test(t, unpad_takes_what_is_well_padded);
	tcase_add_test(t, unpad_sees_every_byte);
	tcase_add_test(t, recent_keeps_ten_seconds);
	tcase_add_test(t, recent_at_its_cap);
	suite_add_tcase(s, t);
	return s;
}
