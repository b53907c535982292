/* progress.c: what the bar says. Whether it is shown, and wiped, is tests/golden/progress.sh. */
#include <check.h>
#include <string.h>

#include "progress.h"

START_TEST(what_is_known)
{
	static const struct {
		struct lp_progress_state state;
		const char *text;
	} cases[] = {
		{ { 0, 1000, 0, 0 }, "[....................]   0%  0 B  0 B/s  0 sessions" },
		{ { 500, 1000, 1, 2000000000 },
		  "[##########..........]  50%  500 B  250 B/s  1 session" },
		{ { 999, 1000, 2, 1000000000 },
		  "[###################.]  99%  999 B  999 B/s  2 sessions" },
		{ { 1000, 1000, 2, 1000000000 },
		  "[####################] 100%  1.0 kB  1.0 kB/s  2 sessions" },
		/* It grew. */
		{ { 3000, 2000, 2, 1000000000 },
		  "[####################] 100%  3.0 kB  3.0 kB/s  2 sessions" },
		{ { 123456789, 0, 12345, 10000000000 }, "123 MB  12 MB/s  12345 sessions" },
		{ { 9949, 0, 0, 1000000000 }, "9.9 kB  9.9 kB/s  0 sessions" },
		{ { 9951, 0, 0, 1000000000 }, "10 kB  10 kB/s  0 sessions" },
		{ { 999499, 0, 0, 1000000000 }, "999 kB  999 kB/s  0 sessions" },
		{ { 999501, 0, 0, 1000000000 }, "1.0 MB  1.0 MB/s  0 sessions" },
		{ { UINT64_MAX, UINT64_MAX, UINT64_MAX, 1 }, NULL },
	};
	char text[LP_PROGRESS_SIZE];

	for (size_t i = 0; i + 1 < sizeof cases / sizeof cases[0]; i++) {
		lp_progress_text(text, &cases[i].state);
		ck_assert_str_eq(text, cases[i].text);
	}
	/* The widest there is fits. */
	lp_progress_text(text, &cases[sizeof cases / sizeof cases[0] - 1].state);
	ck_assert_uint_lt(strlen(text), sizeof text - 1);
	ck_assert_ptr_nonnull(strstr(text, " sessions"));
}
END_TEST

/* The tests' standard error may be a terminal, so only what is not wanted is sure. */
START_TEST(what_is_not_wanted_is_never_due)
{
	struct lp_progress p;

	lp_progress_init(&p, false);
	ck_assert(!p.on);
	ck_assert(!lp_progress_due(&p));
	lp_progress_end(&p);
	p = (struct lp_progress){ .on = true };
	ck_assert(lp_progress_due(&p));
	ck_assert(!lp_progress_due(&p)); /* not again so soon */
	p.on = false;
	lp_progress_end(&p);
}
END_TEST

Suite *suite_progress(void);
Suite *suite_progress(void)
{
	Suite *s = suite_create("progress");
	TCase *t = tcase_create("progress");

	tcase_add_test(t, what_is_known);
	tcase_add_test(t, what_is_not_wanted_is_never_due);
	suite_add_tcase(s, t);
	return s;
}
