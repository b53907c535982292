/* tls/common: pieces are shared, bounded, and outlive the table. */
#include <check.h>
#include <stdio.h>
#include <string.h>

#include "tls/common.h"

static const struct lp_hash_seed seed = { 1, 2 };

static struct lp_name *name_of(struct lp_common *c, unsigned i)
{
	char text[32];
	struct lp_name *name;

	snprintf(text, sizeof text, "name %u", i);
	name = lp_name_of(c, text);
	ck_assert_ptr_nonnull(name);
	ck_assert_str_eq(name->text, text);
	return name;
}

START_TEST(the_same_is_there_once)
{
	struct lp_common c;
	struct lp_name *a, *b, *other;

	lp_common_init(&c, &seed, LP_COMMON_BYTES);
	a = name_of(&c, 1);
	b = name_of(&c, 1);
	other = name_of(&c, 2);
	ck_assert_ptr_eq(a, b);
	ck_assert_ptr_ne(a, other);
	ck_assert_uint_eq(c.pieces, 2);
	ck_assert_uint_eq(c.shared, 1);
	lp_common_clear(&c);
	ck_assert_str_eq(a->text, "name 1"); /* who holds it has it still */
	lp_piece_unref(a);
	lp_piece_unref(b);
	lp_piece_unref(other);
}
END_TEST

START_TEST(without_a_table)
{
	struct lp_name *a = name_of(NULL, 1), *b = name_of(NULL, 1);

	ck_assert_ptr_ne(a, b);
	lp_piece_unref(a);
	lp_piece_unref(b);
	lp_piece_unref(NULL);
}
END_TEST

/* What was asked for last stays; what goes is made again. */
START_TEST(at_the_cap)
{
	enum { MAX = 4096 };
	struct lp_name *first, *again;
	struct lp_common c;

	lp_common_init(&c, &seed, MAX);
	first = name_of(&c, 0);
	for (unsigned i = 1; i < 500; i++) {
		lp_piece_unref(name_of(&c, i));
		if (i < 100)
			lp_piece_unref(name_of(&c, 0));
		ck_assert_uint_le(c.bytes, MAX);
	}
	ck_assert_uint_gt(c.pieces, 10);
	ck_assert_uint_eq(c.pieces + c.evicted, 500);
	ck_assert_uint_eq(c.shared, 99); /* it was never put out as long as it was in use */
	again = name_of(&c, 0);
	ck_assert_ptr_ne(again, first);
	ck_assert_str_eq(again->text, first->text);
	lp_piece_unref(first);
	lp_piece_unref(again);
	lp_common_clear(&c);
}
END_TEST

/* Fields do not run into each other, and kinds are kinds. */
START_TEST(keys)
{
	struct lp_piece_key a, b, big;
	static uint8_t bytes[LP_COMMON_KEY_MAX];
	struct lp_common c;
	void *p;

	lp_common_init(&c, &seed, LP_COMMON_BYTES);
	lp_piece_key_init(&a);
	lp_piece_key_init(&b);
	lp_piece_key_init(&big);
	lp_piece_key_add(&a, lp_span_of("ab", 2));
	lp_piece_key_add(&a, lp_span_of("c", 1));
	lp_piece_key_add(&b, lp_span_of("a", 1));
	lp_piece_key_add(&b, lp_span_of("bc", 2));
	p = lp_common_make(&c, LP_PIECE_CERT, &a, sizeof(struct lp_piece));
	ck_assert_ptr_nonnull(p);
	ck_assert_ptr_null(lp_common_find(&c, LP_PIECE_CERT, &b));
	ck_assert_ptr_null(lp_common_find(&c, LP_PIECE_NAME, &a));
	ck_assert_ptr_eq(lp_common_find(&c, LP_PIECE_CERT, &a), p);
	lp_piece_unref(p);
	lp_piece_unref(p);
	/* A key that is too long belongs to nobody else. */
	lp_piece_key_add(&big, lp_span_of(bytes, sizeof bytes));
	ck_assert(big.full);
	p = lp_common_make(&c, LP_PIECE_CERT, &big, sizeof(struct lp_piece));
	ck_assert_ptr_nonnull(p);
	ck_assert_ptr_null(lp_common_find(&c, LP_PIECE_CERT, &big));
	ck_assert_uint_eq(c.pieces, 1);
	lp_piece_unref(p);
	lp_common_clear(&c);
}
END_TEST

Suite *suite_common(void);
Suite *suite_common(void)
{
	Suite *s = suite_create("common");
	TCase *c = tcase_create("common");

	tcase_add_test(c, the_same_is_there_once);
	tcase_add_test(c, without_a_table);
	tcase_add_test(c, at_the_cap);
	tcase_add_test(c, keys);
	suite_add_tcase(s, c);
	return s;
}
