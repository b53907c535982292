/* warden/watch.c and secretfile.c: files that come, change, go, and are half written. */
#define _GNU_SOURCE
#include <check.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "help_tool.h"
#include "warden/secretfile.h"
#include "warden/watch.h"

/* What was told, as text: "+name=content", "-name", "!line". */
static char told[2048];
static struct help_dir dir;
static struct lp_watch *watch;
static char why[LP_WATCH_WHY];

LP_PRINTF(1, 2)
static void tell(const char *format, ...)
{
	size_t n = strlen(told);
	va_list args;

	va_start(args, format);
	vsnprintf(told + n, sizeof told - n, format, args);
	va_end(args);
}

static const char *last(const char *shown)
{
	const char *slash = strrchr(shown, '/');

	return slash ? slash + 1 : shown;
}

/* "bad…" is a file that cannot be used, "other…" one that is not ours. */
static enum lp_err on_load(void *user, unsigned kind, int fd, const char *shown,
			   uint32_t *tag, char reason[LP_WATCH_WHY])
{
	struct lp_secretfile f;
	enum lp_err err = lp_secretfile_read(&f, fd, shown);

	ck_assert_ptr_eq(user, &dir);
	ck_assert_uint_eq(kind, 7);
	if (err) {
		snprintf(reason, LP_WATCH_WHY, "%s", f.why);
		return err;
	}
	if (!memcmp(f.bytes.p, "other", 5)) {
		err = LP_EOF;
	} else if (!memcmp(f.bytes.p, "bad", 3)) {
		snprintf(reason, LP_WATCH_WHY, "%s: bad", last(shown));
		err = LP_E_FORMAT;
	} else {
		tell("+%s=%.*s ", last(shown), (int)f.bytes.n, (const char *)f.bytes.p);
		++*tag;
	}
	lp_secretfile_clear(&f);
	return err;
}

/* tag: how often the file was loaded. */
static void on_gone(void *user, unsigned kind, const char *shown, uint32_t tag)
{
	(void)user;
	ck_assert_uint_eq(kind, 7);
	ck_assert_uint_ge(tag, 1);
	tell("-%s%s ", last(shown), tag > 1 ? "*" : "");
}

static void on_warn(void *user, const char *line)
{
	(void)user;
	tell("!%s ", last(line));
}

static const struct lp_watch_cb cb = { on_load, on_gone, on_warn };

static void setup(void)
{
	help_dir_open(&dir);
	told[0] = '\0';
	ck_assert_int_eq(lp_watch_new(&watch, &cb, &dir), LP_OK);
}

static void teardown(void)
{
	lp_watch_free(watch);
	help_dir_close(&dir);
}

static void put(const char *name, const char *text)
{
	help_write(&dir, name, text, strlen(text));
}

static enum lp_err add(const char *name)
{
	char path[512];

	snprintf(path, sizeof path, "%s/%s", dir.path, name);
	return lp_watch_add(watch, 7, path, why);
}

static void hold(void)
{
	ck_assert_int_eq(lp_watch_hold(watch, why), LP_OK);
}

#define EXPECT(text)                          \
	do {                                  \
		ck_assert_str_eq(told, text); \
		told[0] = '\0';               \
	} while (0)

static void look(bool now)
{
	ck_assert_int_eq(lp_watch_look(watch, now), LP_OK);
}

START_TEST(one_file)
{
	put("key", "one");
	ck_assert_int_eq(add("key"), LP_OK);
	EXPECT("+key=one ");
	hold();
	look(false);
	look(true);
	EXPECT("");
	put("key", "three");
	look(false); /* it may still be being written */
	EXPECT("");
	look(false);
	EXPECT("+key=three ");
	put("key", "bad one");
	look(true);
	EXPECT("!key: bad; what it held before stays in use ");
	look(true);
	look(false);
	EXPECT(""); /* said once */
	ck_assert(help_run(&dir, "echo -n four >new && mv new key"));
	look(true);
	EXPECT("+key=four ");
	ck_assert(help_run(&dir, "rm key"));
	look(true);
	look(true);
	EXPECT("!key: No such file or directory; what it held before stays in use ");
	put("key", "five");
	look(false);
	look(false);
	EXPECT("+key=five ");
	ck_assert(help_run(&dir, "rm key && mkfifo key"));
	look(true);
	EXPECT("!key: not a regular file; what it held before stays in use ");
}
END_TEST

START_TEST(first_faults)
{
	ck_assert_int_eq(add("none"), LP_E_NOENT);
	ck_assert_ptr_nonnull(strstr(why, "none: No such file"));
	put("bad", "bad");
	ck_assert_int_eq(add("bad"), LP_E_FORMAT);
	ck_assert_str_eq(why, "bad: bad");
	put("empty", "");
	ck_assert_int_eq(add("empty"), LP_E_FORMAT);
	ck_assert_ptr_nonnull(strstr(why, "empty: empty file"));
	ck_assert(help_run(&dir, "mkdir d e && echo bad >d/a && echo other >d/b && mkdir d/sub"));
	ck_assert_int_eq(add("d"), LP_E_NOENT);
	ck_assert_ptr_nonnull(strstr(why, "no usable key in this directory"));
	EXPECT("!a: bad ");
	ck_assert_uint_eq(lp_watch_skipped(watch), 1);
	ck_assert_int_eq(add("e"), LP_E_NOENT);
	ck_assert(help_run(&dir, "truncate -s 65537 large"));
	ck_assert_int_eq(add("large"), LP_E_FORMAT);
	ck_assert_ptr_nonnull(strstr(why, "larger than 64 KiB"));
}
END_TEST

START_TEST(a_directory)
{
	ck_assert(help_run(&dir, "mkdir d && echo -n 1 >d/a && echo -n 2 >d/b && echo other >d/c"
				 " && echo -n x >d/.hidden"));
	ck_assert_int_eq(add("d"), LP_OK);
	EXPECT("+a=1 +b=2 ");
	hold();
	ck_assert(help_run(&dir, "echo -n 3 >d/z && echo -n 22 >d/b && rm d/a d/c"));
	look(false);
	EXPECT("-a ");
	look(false);
	EXPECT("+b=22 +z=3 ");
	/* A directory that takes the place of this one, as deployments do it. */
	ck_assert(help_run(&dir, "mkdir e && echo -n 9 >e/b && mv d old && mv e d"));
	look(true);
	EXPECT("+b=9 -z ");
	ck_assert(help_run(&dir, "rm -r d"));
	look(true);
	EXPECT("!d: No such file or directory; what it held before stays in use ");
	ck_assert(help_run(&dir, "echo -n file >d"));
	look(true);
	EXPECT("-b* +d=file ");
}
END_TEST

/* Links are followed; one that leads nowhere is said at the start, and read when it leads
 * somewhere. */
START_TEST(links)
{
	ck_assert(help_run(&dir, "mkdir d && echo -n 1 >d/a && ln -s ../b d/b && ln -s a d/c"));
	ck_assert_int_eq(add("d"), LP_OK);
	EXPECT("!b: No such file or directory +a=1 +c=1 ");
	hold();
	look(true);
	EXPECT("");
	ck_assert(help_run(&dir, "echo -n 2 >b"));
	look(true);
	EXPECT("+b=2 ");
	ck_assert(help_run(&dir, "rm b"));
	look(true);
	EXPECT("-b ");
}
END_TEST

/* Many files are listed in any order and told in that of names; a name added between. */
START_TEST(many_files)
{
	ck_assert(help_run(&dir, "mkdir d && for i in $(seq 100 199); do echo -n 1 >d/$i; done"));
	ck_assert_int_eq(add("d"), LP_OK);
	ck_assert_int_eq(strncmp(told, "+100=1 +101=1 ", 14), 0);
	told[0] = '\0';
	hold();
	ck_assert(help_run(&dir, "echo -n 1 >d/1505; rm d/151"));
	look(true);
	EXPECT("+1505=1 -151 ");
	look(true);
	EXPECT("");
}
END_TEST

/* Names that are cut differ all the same: they tell whose keys are whose. */
START_TEST(long_names)
{
	char name[256];

	memset(name, 'n', 250);
	name[250] = '\0';
	ck_assert(help_run(&dir, "mkdir %s && echo -n 1 >%s/a && echo -n 2 >%s/b", name, name, name));
	ck_assert_int_eq(add(name), LP_OK);
	EXPECT("+a=1 +b=2 ");
}
END_TEST

Suite *suite_watch(void);
Suite *suite_watch(void)
{
	Suite *s = suite_create("watch");
	TCase *t = tcase_create("watch");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, one_file);
	tcase_add_test(t, first_faults);
	tcase_add_test(t, a_directory);
	tcase_add_test(t, links);
	tcase_add_test(t, many_files);
	tcase_add_test(t, long_names);
	suite_add_tcase(s, t);
	return s;
}
