/* secrets/follow.c: files that grow, shrink, are replaced, come later; pipes. */
#define _GNU_SOURCE
#include <check.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "help_tool.h"
#include "secrets/follow.h"

static struct help_dir dir;

static void setup(void) { help_dir_open(&dir); }
static void teardown(void) { help_dir_close(&dir); }

static const char *path(const char *name)
{
	static char p[256];

	snprintf(p, sizeof p, "%s/%s", dir.path, name);
	return p;
}

static void append(const char *name, const char *text)
{
	int fd = open(path(name), O_WRONLY | O_CREAT | O_APPEND, 0600);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	close(fd);
}

static struct lp_follow *open_it(const char *name, bool follow)
{
	struct lp_follow *f;
	char why[LP_FOLLOW_WHY];

	ck_assert_int_eq(lp_follow_open(&f, path(name), follow, why), LP_OK);
	return f;
}

/* Reads what is there, in small pieces: "|" where it begins anew; then what came last. */
static enum lp_err drain(struct lp_follow *f, bool thorough, char out[256])
{
	char piece[5];
	enum lp_err err;
	bool anew;
	size_t n;

	*out = '\0';
	do {
		err = lp_follow_read(f, piece, sizeof piece, thorough, &n, &anew);
		if (anew)
			strcat(out, "|");
		strncat(out, piece, n);
	} while (err == LP_OK);
	return err;
}

static void expect(struct lp_follow *f, bool thorough, const char *text)
{
	char got[256];

	ck_assert_int_eq(drain(f, thorough, got), LP_MORE);
	ck_assert_str_eq(got, text);
}

START_TEST(a_file_read_once)
{
	struct lp_follow *f;
	char got[256], why[LP_FOLLOW_WHY];

	append("a", "some lines of text");
	f = open_it("a", false);
	ck_assert_uint_eq(lp_follow_mode(f), 0600);
	ck_assert_int_eq(drain(f, true, got), LP_EOF);
	ck_assert_str_eq(got, "some lines of text");
	lp_follow_close(f);
	ck_assert_int_eq(lp_follow_open(&f, path("none"), false, why), LP_E_IO);
	ck_assert_ptr_nonnull(strstr(why, "none: No such file"));
	ck_assert_int_eq(lp_follow_open(&f, dir.path, true, why), LP_E_IO);
	ck_assert_ptr_nonnull(strstr(why, "Is a directory"));
	ck_assert_int_eq(lp_follow_open(&f, path("no/file"), true, why), LP_E_IO);
}
END_TEST

START_TEST(a_file_that_grows)
{
	struct lp_follow *f;

	append("a", "one");
	f = open_it("a", true);
	expect(f, false, "one");
	expect(f, true, "");
	append("a", "two, and more");
	expect(f, false, "two, and more");
	lp_follow_close(f);
}
END_TEST

START_TEST(a_file_that_is_emptied)
{
	struct lp_follow *f;

	append("a", "the first words");
	f = open_it("a", true);
	expect(f, false, "the first words");
	ck_assert_int_eq(truncate(path("a"), 0), 0);
	expect(f, false, "|");
	expect(f, false, "");
	append("a", "new");
	expect(f, false, "new");
	ck_assert_int_eq(truncate(path("a"), 0), 0);
	append("a", "n");
	expect(f, false, "|n");
	lp_follow_close(f);
}
END_TEST

START_TEST(a_file_that_is_replaced)
{
	struct lp_follow *f;
	char old[256];

	append("a", "old");
	f = open_it("a", true);
	expect(f, true, "old");
	strcpy(old, path("a"));
	ck_assert_int_eq(rename(old, path("a.1")), 0);
	append("a.1", " to its end");
	append("a", "new");
	/* What the old one still got comes first. */
	expect(f, false, " to its end");
	expect(f, true, "|new");
	append("a", "er");
	expect(f, true, "er");
	ck_assert_int_eq(unlink(path("a")), 0);
	expect(f, true, "");
	append("a", "third");
	expect(f, true, "|third");
	lp_follow_close(f);
}
END_TEST

START_TEST(a_file_that_comes_later)
{
	struct lp_follow *f = open_it("a", true);

	ck_assert(lp_follow_absent(f));
	expect(f, true, "");
	append("a", "here");
	expect(f, true, "|here");
	ck_assert(!lp_follow_absent(f));
	lp_follow_close(f);
}
END_TEST

START_TEST(pipes)
{
	struct lp_follow *f;
	char name[64], got[256];
	int p[2];

	ck_assert_int_eq(pipe(p), 0);
	snprintf(name, sizeof name, "/dev/fd/%d", p[0]);
	for (int follow = 0; follow < 2; follow++) {
		char why[LP_FOLLOW_WHY];

		ck_assert_int_eq(lp_follow_open(&f, name, follow, why), LP_OK);
		ck_assert_uint_eq(lp_follow_mode(f), 0);
		ck_assert_int_eq(write(p[1], "through a pipe", 14), 14);
		if (follow) {
			expect(f, true, "through a pipe");
		} else {
			close(p[1]);
			ck_assert_int_eq(drain(f, false, got), LP_EOF);
			ck_assert_str_eq(got, "through a pipe");
			close(p[0]);
			ck_assert_int_eq(pipe(p), 0);
			snprintf(name, sizeof name, "/dev/fd/%d", p[0]);
		}
		lp_follow_close(f);
	}
	close(p[0]);
	close(p[1]);
}
END_TEST

Suite *suite_follow(void);
Suite *suite_follow(void)
{
	Suite *s = suite_create("follow");
	TCase *t = tcase_create("files");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, a_file_read_once);
	tcase_add_test(t, a_file_that_grows);
	tcase_add_test(t, a_file_that_is_emptied);
	tcase_add_test(t, a_file_that_is_replaced);
	tcase_add_test(t, a_file_that_comes_later);
	tcase_add_test(t, pipes);
	suite_add_tcase(s, t);
	return s;
}
