/* plugins/files.c, session_files.c, filepool.c */
#define _GNU_SOURCE
#include <check.h>
#include <dirent.h>
#include <fcntl.h>
#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "help_plugin.h"
#include "plugins/filepool.h"
#include "plugins/plugins.h"
#include "plugins/session_files.h"

static struct help_plugin h;
static struct help_flow f;
static struct help_session s;

static void begin(void)
{
	help_plugin_init(&h, &lp_plugin_files);
}

static void end(void)
{
	help_plugin_clear(&h);
}

static void expect_file(const char *name, const char *want)
{
	char *got = help_plugin_read(&h, name, NULL);

	ck_assert_msg(got != NULL, "%s is missing", name);
	ck_assert_str_eq(got, want);
	free(got);
}

/* Line number n of out/index.jsonl; NULL beyond the end. */
static json_t *index_line(size_t n)
{
	char *text = help_plugin_read(&h, "out/index.jsonl", NULL);
	char *line = text;
	json_t *o;

	for (; n && line; n--) {
		line = strchr(line, '\n');
		line = line ? line + 1 : NULL;
	}
	o = line && *line ? json_loads(line, JSON_DISABLE_EOF_CHECK, NULL) : NULL;
	free(text);
	return o;
}

static unsigned open_descriptors(void)
{
	DIR *d = opendir("/proc/self/fd");
	unsigned n = 0;

	while (readdir(d))
		n++;
	closedir(d);
	return n;
}

START_TEST(pair_and_index)
{
	struct stat st;
	json_t *o;

	ck_assert_int_eq(help_plugin_open(&h, "out", NULL), 0);
	help_flow_begin(&f, &h, 4, 1);
	help_session_begin(&s, &f);
	help_session_ready(&s);
	help_session_text(&s, LP_C2S, "GET /");
	help_session_text(&s, LP_C2S, " HTTP/1.1\r\n\r\n");
	ck_assert_int_eq(help_session_end(&s, LP_DECRYPTED, NULL), 0);
	ck_assert_int_eq(help_flow_end(&f, LP_END_FIN, LP_END_FIN), 0);
	ck_assert_int_eq(help_plugin_close(&h, NULL), 0);
	expect_file("out/000001_client.bin", "GET / HTTP/1.1\r\n\r\n");
	expect_file("out/000001_server.bin", "");
	fstatat(h.host.dirfd, "out", &st, 0);
	ck_assert_uint_eq(st.st_mode & 07777, 0700);
	fstatat(h.host.dirfd, "out/000001_client.bin", &st, 0);
	ck_assert_uint_eq(st.st_mode & 07777, 0600);
	fstatat(h.host.dirfd, "out/index.jsonl", &st, 0);
	ck_assert_uint_eq(st.st_mode & 07777, 0600);
	o = index_line(0);
	ck_assert_str_eq(json_string_value(json_object_get(o, "client_file")),
			 "000001_client.bin");
	ck_assert_str_eq(json_string_value(json_object_get(o, "server_file")),
			 "000001_server.bin");
	ck_assert_int_eq(json_integer_value(json_object_get(o, "client_prelude")), 0);
	ck_assert_uint_eq(json_array_size(json_object_get(o, "gaps")), 0);
	ck_assert_str_eq(json_string_value(json_object_get(o, "event_type")), "tls");
	json_decref(o);
	ck_assert_ptr_null(index_line(1));
}
END_TEST

START_TEST(opaque_uses_up_its_number)
{
	json_t *o;

	ck_assert_int_eq(help_plugin_open(&h, "out", NULL), 0);
	help_flow_begin(&f, &h, 4, 1);
	help_session_begin(&s, &f);
	help_session_end(&s, LP_OPAQUE, "no-key");
	help_flow_end(&f, LP_END_FIN, LP_END_FIN);
	help_flow_begin(&f, &h, 4, 2);
	help_session_begin(&s, &f);
	help_session_data(&s, LP_S2C, "", 0); /* one empty record is a record */
	help_session_end(&s, LP_DECRYPTED, NULL);
	help_flow_end(&f, LP_END_FIN, LP_END_FIN);
	ck_assert_int_eq(help_plugin_close(&h, NULL), 0);
	o = index_line(0);
	ck_assert(json_is_null(json_object_get(o, "client_file")));
	ck_assert(json_is_null(json_object_get(o, "server_file")));
	ck_assert_str_eq(json_string_value(json_object_get(json_object_get(o, "limpid"),
							   "reason")), "no-key");
	json_decref(o);
	ck_assert_ptr_null(help_plugin_read(&h, "out/000001_client.bin", NULL));
	expect_file("out/000002_client.bin", "");
	expect_file("out/000002_server.bin", "");
}
END_TEST

START_TEST(records_that_never_reached_us_still_make_files)
{
	ck_assert_int_eq(help_plugin_open(&h, "out", NULL), 0);
	help_flow_begin(&f, &h, 4, 1);
	help_session_begin(&s, &f);
	s.result.total[LP_C2S].records = 1;
	ck_assert_int_eq(help_session_end(&s, LP_DECRYPTED, NULL), 0);
	help_flow_end(&f, LP_END_FIN, LP_END_FIN);
	ck_assert_int_eq(help_plugin_close(&h, NULL), 0);
	expect_file("out/000001_client.bin", "");
}
END_TEST

START_TEST(gaps_stand_in_the_index_only)
{
	json_t *o, *gaps, *g;

	ck_assert_int_eq(help_plugin_open(&h, "out", NULL), 0);
	help_flow_begin(&f, &h, 4, 1);
	help_session_begin(&s, &f);
	help_session_text(&s, LP_S2C, "before");
	help_session_gap(&s, LP_S2C, 1460, 1400, 1415);
	help_session_text(&s, LP_S2C, "after");
	help_session_gap(&s, LP_C2S, 29, 0, 0);
	help_session_end(&s, LP_PARTIAL, "gap");
	help_flow_end(&f, LP_END_FIN, LP_END_FIN);
	ck_assert_int_eq(help_plugin_close(&h, NULL), 0);
	expect_file("out/000001_server.bin", "beforeafter");
	o = index_line(0);
	gaps = json_object_get(o, "gaps");
	ck_assert_uint_eq(json_array_size(gaps), 2);
	g = json_array_get(gaps, 0);
	ck_assert_str_eq(json_string_value(json_object_get(g, "dir")), "server");
	ck_assert_int_eq(json_integer_value(json_object_get(g, "offset")), 6);
	ck_assert_int_eq(json_integer_value(json_object_get(g, "lost")), 1460);
	ck_assert_int_eq(json_integer_value(json_object_get(g, "clear_lost")), 1415);
	ck_assert_int_eq(json_integer_value(json_object_get(g, "clear_lost_min")), 1400);
	g = json_array_get(gaps, 1);
	ck_assert_str_eq(json_string_value(json_object_get(g, "dir")), "client");
	ck_assert_int_eq(json_integer_value(json_object_get(g, "offset")), 0);
	ck_assert_ptr_null(json_object_get(g, "clear_lost_min"));
	json_decref(o);
}
END_TEST

START_TEST(gaps_are_bounded)
{
	json_t *o, *gaps, *last;

	ck_assert_int_eq(help_plugin_open(&h, "out", NULL), 0);
	help_flow_begin(&f, &h, 4, 1);
	help_session_begin(&s, &f);
	for (int i = 0; i < LP_GAPS_MAX + 5; i++)
		ck_assert_int_eq(help_session_gap(&s, LP_S2C, 10, 1, 1), 0);
	help_session_end(&s, LP_PARTIAL, "gap");
	help_flow_end(&f, LP_END_FIN, LP_END_FIN);
	ck_assert_int_eq(help_plugin_close(&h, NULL), 0);
	o = index_line(0);
	gaps = json_object_get(o, "gaps");
	ck_assert_uint_eq(json_array_size(gaps), LP_GAPS_MAX);
	last = json_array_get(gaps, LP_GAPS_MAX - 1);
	ck_assert_int_eq(json_integer_value(json_object_get(last, "lost")), 60);
	json_decref(o);
}
END_TEST

START_TEST(prelude_comes_first)
{
	const char *option = _i == 0 ? NULL : _i == 1 ? "prelude=off" : "prelude=on";
	int on = _i == 2;
	json_t *o;

	ck_assert_int_eq(help_plugin_open(&h, "out", option), 0);
	ck_assert_uint_eq(h.withdrawn, on ? 0 : LP_WANT_PRELUDE);
	help_flow_begin(&f, &h, 4, 1);
	help_flow_clear(&f, LP_S2C, "220 ready\r\n", 11);
	help_flow_clear(&f, LP_C2S, "STARTTLS\r\n", 10);
	help_session_begin(&s, &f);
	help_session_text(&s, LP_C2S, "EHLO\r\n");
	help_session_end(&s, LP_DECRYPTED, NULL);
	/* A second session of the flow has a prelude of its own. */
	help_flow_clear(&f, LP_C2S, "again", 5);
	help_session_begin(&s, &f);
	help_session_text(&s, LP_S2C, "x");
	help_session_end(&s, LP_DECRYPTED, NULL);
	help_flow_clear(&f, LP_C2S, "for nobody", 10);
	help_flow_end(&f, LP_END_FIN, LP_END_FIN);
	ck_assert_int_eq(help_plugin_close(&h, NULL), 0);
	expect_file("out/000001_client.bin", on ? "STARTTLS\r\nEHLO\r\n" : "EHLO\r\n");
	expect_file("out/000001_server.bin", on ? "220 ready\r\n" : "");
	expect_file("out/000002_client.bin", on ? "again" : "");
	expect_file("out/000002_server.bin", "x");
	o = index_line(0);
	ck_assert_int_eq(json_integer_value(json_object_get(o, "client_prelude")), on ? 10 : 0);
	ck_assert_int_eq(json_integer_value(json_object_get(o, "server_prelude")), on ? 11 : 0);
	json_decref(o);
	ck_assert_ptr_null(index_line(2));
}
END_TEST

START_TEST(prelude_is_bounded)
{
	size_t n = LP_PRELUDE_MAX - 100, got_n;
	char *big = calloc(1, n);
	json_t *o, *g;

	ck_assert_int_eq(help_plugin_open(&h, "out", "prelude=on"), 0);
	help_flow_begin(&f, &h, 4, 1);
	help_flow_clear(&f, LP_C2S, big, n);
	help_flow_clear(&f, LP_C2S, big, 150);
	help_flow_clear(&f, LP_C2S, "q", 1);
	help_session_begin(&s, &f);
	help_session_text(&s, LP_C2S, "end");
	help_session_end(&s, LP_DECRYPTED, NULL);
	help_flow_end(&f, LP_END_FIN, LP_END_FIN);
	ck_assert_int_eq(help_plugin_close(&h, NULL), 0);
	free(help_plugin_read(&h, "out/000001_client.bin", &got_n));
	ck_assert_uint_eq(got_n, LP_PRELUDE_MAX + 3);
	o = index_line(0);
	g = json_array_get(json_object_get(o, "gaps"), 0);
	ck_assert_int_eq(json_integer_value(json_object_get(g, "offset")), LP_PRELUDE_MAX);
	ck_assert_int_eq(json_integer_value(json_object_get(g, "clear_lost")), 51);
	json_decref(o);
	free(big);
}
END_TEST

START_TEST(cleartext_flows)
{
	json_t *o;

	h.host.cleartext = 1;
	ck_assert_int_eq(help_plugin_open(&h, "out", NULL), 0);
	help_flow_begin(&f, &h, 6, 1);
	help_flow_clear(&f, LP_C2S, "hello ", 6);
	help_flow_gap(&f, LP_C2S, 3);
	help_flow_clear(&f, LP_C2S, "world", 5);
	help_flow_end(&f, LP_END_FIN, LP_END_RST);
	help_flow_begin(&f, &h, 6, 2);
	help_flow_end(&f, LP_END_FIN, LP_END_FIN);
	help_flow_begin(&f, &h, 6, 3);
	help_flow_clear(&f, LP_S2C, "x", 1);
	help_flow_end(&f, LP_END_FIN, LP_END_FIN);
	ck_assert_int_eq(help_plugin_close(&h, NULL), 0);
	expect_file("out/flow-000001_client.bin", "hello world");
	expect_file("out/flow-000001_server.bin", "");
	expect_file("out/flow-000002_server.bin", "x");
	o = index_line(0);
	ck_assert_str_eq(json_string_value(json_object_get(o, "event_type")), "flow");
	ck_assert_str_eq(json_string_value(json_object_get(o, "src_ip")), "2001:db8::1");
	ck_assert_str_eq(json_string_value(json_object_get(o, "client_file")),
			 "flow-000001_client.bin");
	ck_assert_uint_eq(json_array_size(json_object_get(o, "gaps")), 1);
	o = (json_decref(o), index_line(2));
	ck_assert_ptr_null(o);
}
END_TEST

START_TEST(three_hundred_at_once)
{
	enum { N = 300 };
	static struct help_flow flows[N];
	static struct help_session sessions[N];
	unsigned before = open_descriptors();
	char want[64], name[64];

	ck_assert_int_eq(help_plugin_open(&h, "out", NULL), 0);
	for (unsigned i = 0; i < N; i++) {
		help_flow_begin(&flows[i], &h, 4, i);
		help_session_begin(&sessions[i], &flows[i]);
	}
	for (int round = 0; round < 3; round++)
		for (unsigned i = 0; i < N; i++) {
			snprintf(want, sizeof want, "%u.%d ", i, round);
			ck_assert_int_eq(help_session_text(&sessions[i], LP_C2S, want), 0);
			ck_assert_int_eq(help_session_text(&sessions[i], LP_S2C, "."), 0);
			/* The directory is one more descriptor, but no file. */
			ck_assert_uint_le(open_descriptors() - before, 256 + 1);
		}
	ck_assert_uint_eq(open_descriptors() - before, 256 + 1);
	for (unsigned i = 0; i < N; i++) {
		ck_assert_int_eq(help_session_end(&sessions[i], LP_DECRYPTED, NULL), 0);
		help_flow_end(&flows[i], LP_END_FIN, LP_END_FIN);
	}
	ck_assert_int_eq(help_plugin_close(&h, NULL), 0);
	ck_assert_uint_eq(open_descriptors(), before);
	for (unsigned i = 0; i < N; i++) {
		snprintf(want, sizeof want, "%u.0 %u.1 %u.2 ", i, i, i);
		snprintf(name, sizeof name, "out/%06u_client.bin", i + 1);
		expect_file(name, want);
		snprintf(name, sizeof name, "out/%06u_server.bin", i + 1);
		expect_file(name, "...");
	}
	ck_assert_ptr_null(index_line(N));
}
END_TEST

START_TEST(pool_refuses_another_file_in_its_place)
{
	struct lp_pool_file a, b;
	struct lp_filepool pool;

	lp_filepool_init(&pool, h.host.dirfd, 1);
	ck_assert_int_eq(lp_filepool_make(&pool, &a, "a"), 0);
	ck_assert_int_eq(lp_filepool_append(&pool, &a, "1", 1), 0);
	ck_assert_int_eq(lp_filepool_make(&pool, &b, "b"), 0);
	ck_assert_uint_eq(pool.open, 1);
	ck_assert_int_eq(lp_filepool_append(&pool, &a, "2", 1), 0);
	ck_assert_uint_eq(pool.reopened, 1);
	ck_assert_int_eq(lp_filepool_append(&pool, &b, "3", 1), 0);
	ck_assert_int_eq(renameat(h.host.dirfd, "a", h.host.dirfd, "c"), 0);
	ck_assert_int_eq(symlinkat("c", h.host.dirfd, "a"), 0);
	ck_assert_int_eq(lp_filepool_append(&pool, &a, "4", 1), -1);
	ck_assert_str_eq(pool.name, "a");
	unlinkat(h.host.dirfd, "a", 0);
	close(openat(h.host.dirfd, "a", O_CREAT | O_WRONLY, 0600));
	ck_assert_int_eq(lp_filepool_append(&pool, &a, "4", 1), -1);
	expect_file("c", "12");
	expect_file("a", "");
	lp_filepool_clear(&pool);
	ck_assert_uint_eq(pool.open, 0);
}
END_TEST

START_TEST(faults_at_open)
{
	ck_assert_int_eq(help_plugin_open(&h, NULL, NULL), -1);
	ck_assert_str_eq(h.log, "needs a directory: files:DIR\n");
	h.log[0] = '\0';
	ck_assert_int_eq(help_plugin_open(&h, "out", "prelude=maybe"), -1);
	ck_assert_str_eq(h.log, "unknown option prelude=maybe (files has prelude=on|off)\n");
	h.log[0] = '\0';
	ck_assert_int_eq(help_plugin_open(&h, "no/out", NULL), -1);
	ck_assert_str_eq(h.log, "cannot make the directory no/out: No such file or directory\n");
	h.log[0] = '\0';
	close(openat(h.host.dirfd, "file", O_CREAT | O_WRONLY, 0600));
	ck_assert_int_eq(help_plugin_open(&h, "file", NULL), -1);
	ck_assert_str_eq(h.log, "cannot use the directory file: Not a directory\n");
	h.log[0] = '\0';
	ck_assert_int_eq(help_plugin_open(&h, "out", NULL), 0);
	ck_assert_int_eq(help_plugin_close(&h, NULL), 0);
	ck_assert_int_eq(help_plugin_open(&h, "out", NULL), -1);
	ck_assert_str_eq(h.log, "out holds an index.jsonl of an earlier run: name another "
				"directory or move it away\n");
}
END_TEST

START_TEST(names_in_the_way_are_not_followed)
{
	mkdirat(h.host.dirfd, "out", 0700);
	ck_assert_int_eq(symlinkat("../victim", h.host.dirfd, "out/000001_server.bin"), 0);
	ck_assert_int_eq(help_plugin_open(&h, "out", NULL), 0);
	help_flow_begin(&f, &h, 4, 1);
	help_session_begin(&s, &f);
	ck_assert_int_eq(help_session_text(&s, LP_C2S, "x"), -1);
	ck_assert_str_eq(h.log, "cannot write out/000001_server.bin: File exists; the replay stops "
				"here\n");
	ck_assert_int_eq(help_plugin_close(&h, NULL), -1);
	ck_assert_ptr_null(help_plugin_read(&h, "victim", NULL));
}
END_TEST

START_TEST(a_file_that_cannot_grow)
{
	struct rlimit old, small;
	int first, second;
	char *big = calloc(1, 8192);

	ck_assert_int_eq(help_plugin_open(&h, "out", NULL), 0);
	help_flow_begin(&f, &h, 4, 1);
	help_session_begin(&s, &f);
	signal(SIGXFSZ, SIG_IGN);
	getrlimit(RLIMIT_FSIZE, &old);
	small = old;
	small.rlim_cur = 4096;
	setrlimit(RLIMIT_FSIZE, &small);
	first = help_session_text(&s, LP_C2S, "x");
	second = help_session_data(&s, LP_C2S, big, 8192);
	setrlimit(RLIMIT_FSIZE, &old);
	signal(SIGXFSZ, SIG_DFL);
	ck_assert_int_eq(first, 0);
	ck_assert_int_eq(second, -1);
	ck_assert_str_eq(h.log, "cannot write out/000001_client.bin: File too large; the replay stops "
				"here\n");
	help_plugin_close(&h, NULL);
	free(big);
}
END_TEST

Suite *suite_plugin_files(void);

Suite *suite_plugin_files(void)
{
	Suite *suite = suite_create("plugin_files");
	TCase *t = tcase_create("files");

	tcase_add_checked_fixture(t, begin, end);
	tcase_set_timeout(t, 30);
	tcase_add_test(t, pair_and_index);
	tcase_add_test(t, opaque_uses_up_its_number);
	tcase_add_test(t, records_that_never_reached_us_still_make_files);
	tcase_add_test(t, gaps_stand_in_the_index_only);
	tcase_add_test(t, gaps_are_bounded);
	tcase_add_loop_test(t, prelude_comes_first, 0, 3);
	tcase_add_test(t, prelude_is_bounded);
	tcase_add_test(t, cleartext_flows);
	tcase_add_test(t, three_hundred_at_once);
	tcase_add_test(t, pool_refuses_another_file_in_its_place);
	tcase_add_test(t, faults_at_open);
	tcase_add_test(t, names_in_the_way_are_not_followed);
	tcase_add_test(t, a_file_that_cannot_grow);
	suite_add_tcase(suite, t);
	return suite;
}
