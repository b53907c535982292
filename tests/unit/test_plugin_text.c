/* plugins/text.c, tally.c, label.c, sink.c */
#define _GNU_SOURCE
#include <check.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "help_plugin.h"
#include "plugins/label.h"
#include "plugins/plugins.h"
#include "plugins/sink.h"

static struct help_plugin h;
static struct help_flow f;
static struct help_session s;

static void begin(void)
{
	help_plugin_init(&h, &lp_plugin_text);
}

static void end(void)
{
	help_plugin_clear(&h);
}

static void expect_file(const char *name, const char *want)
{
	char *got = help_plugin_read(&h, name, NULL);

	ck_assert_ptr_nonnull(got);
	ck_assert_str_eq(got, want);
	free(got);
}

START_TEST(line_of_a_decrypted_session)
{
	ck_assert_int_eq(help_plugin_open(&h, "out", NULL), 0);
	ck_assert_uint_eq(h.withdrawn, LP_WANT_DATA);
	help_flow_begin(&f, &h, 4, 512);
	help_session_begin(&s, &f);
	help_session_text(&s, LP_C2S, "hidden without -d");
	ck_assert_int_eq(help_session_end(&s, LP_DECRYPTED, NULL), 0);
	help_flow_end(&f, LP_END_FIN, LP_END_FIN);
	ck_assert_int_eq(help_plugin_close(&h, NULL), 0);
	expect_file("out", "#000001 2026-11-21 18:24:47 192.0.2.1:40512 > 192.0.2.2:443 "
			   "www.example.org TLS 1.2 TLS_RSA_WITH_AES_256_CBC_SHA EMS decrypted "
			   "C>S 17 S>C 0 bytes\n");
	ck_assert_str_eq(h.log, "");
}
END_TEST

START_TEST(line_names_what_is_special)
{
	static const char *const notes[] = { "truncated", "transcript-differs", NULL };

	ck_assert_int_eq(help_plugin_open(&h, "out", NULL), 0);
	help_flow_begin(&f, &h, 6, 1);
	help_session_begin(&s, &f);
	s.tls.ems = 0;
	s.tls.etm = 1;
	s.tls.client_cert = 1;
	s.tls.resumed = LP_RESUMED_TICKET;
	s.tls.renegotiations = 2;
	s.tls.sni = NULL;
	s.tls.suite_text = NULL;
	s.result.notes = notes;
	help_session_gap(&s, LP_S2C, 100, 70, 80);
	s.result.detail = "100 bytes were not captured";
	s.result.advice = "Capture without loss.";
	help_session_end(&s, LP_PARTIAL, "gap");
	ck_assert_int_eq(help_plugin_close(&h, NULL), 0);
	expect_file("out", "#000001 2026-11-21 18:24:47 [2001:db8::1]:40001 > [2001:db8::2]:443 "
			   "TLS 1.2 suite-0x0035 EtM client-cert resumed-ticket renegotiated-2 "
			   "partial C>S 0 S>C 0 bytes lost S>C 100 bytes note: truncated, "
			   "transcript-differs\n"
			   "        gap: 100 bytes were not captured. Capture without loss.\n");
}
END_TEST

START_TEST(hostile_names_are_safe)
{
	ck_assert_int_eq(help_plugin_open(&h, "out", NULL), 0);
	help_flow_begin(&f, &h, 4, 1);
	help_session_begin(&s, &f);
	s.tls.sni = "a\x1b[2J\n#000002\\x0a\xff";
	s.tls.suite_text = NULL;
	s.tls.suite = 0;
	s.tls.version_text = NULL;
	s.tls.ems = -1;
	s.result.detail = "the server's certificate is \x1b]0;x\x07";
	help_session_end(&s, LP_OPAQUE, "no-key");
	ck_assert_int_eq(help_plugin_close(&h, NULL), 0);
	expect_file("out", "#000001 2026-11-21 18:24:47 192.0.2.1:40001 > 192.0.2.2:443 "
			   "a\\x1b[2J\\x0a#000002\\x0a\\xff opaque\n"
			   "        no-key: the server's certificate is \\x1b]0;x\\x07.\n");
}
END_TEST

START_TEST(data_as_it_opens)
{
	static const uint8_t binary[] = { 0, 'a', 0x1b, '[', '\t', 0x80, '\r', 'x' };

	h.host.print_data = 1;
	ck_assert_int_eq(help_plugin_open(&h, "out", NULL), 0);
	help_flow_begin(&f, &h, 4, 1);
	help_session_begin(&s, &f);
	help_session_text(&s, LP_C2S, "GET / HTTP/1.1\r\n\r\n");
	help_session_data(&s, LP_S2C, "", 0);
	help_session_gap(&s, LP_S2C, 1460, 1400, 1400);
	help_session_data(&s, LP_S2C, binary, sizeof binary);
	help_session_text(&s, LP_C2S, "bye\n");
	help_session_end(&s, LP_PARTIAL, "gap");
	help_flow_end(&f, LP_END_FIN, LP_END_FIN);
	ck_assert_int_eq(help_plugin_close(&h, NULL), 0);
	expect_file("out", "#000001 C>S 0 18\nGET / HTTP/1.1\n\n"
			   "#000001 S>C 0 gap 1460 bytes lost\n"
			   "#000001 S>C 0 8\n.a.[\t..x\n"
			   "#000001 C>S 18 4\nbye\n"
			   "#000001 2026-11-21 18:24:47 192.0.2.1:40001 > 192.0.2.2:443 "
			   "www.example.org TLS 1.2 TLS_RSA_WITH_AES_256_CBC_SHA EMS partial "
			   "C>S 22 S>C 8 bytes lost S>C 1460 bytes\n        gap:\n");
}
END_TEST

START_TEST(flows_that_are_not_tls)
{
	h.host.cleartext = 1;
	h.host.print_data = 1;
	ck_assert_int_eq(help_plugin_open(&h, "out", NULL), 0);
	help_flow_begin(&f, &h, 4, 9);
	help_flow_clear(&f, LP_C2S, "EHLO\r\n", 6);
	help_flow_gap(&f, LP_C2S, 5);
	help_flow_clear(&f, LP_C2S, "QUIT\r\n", 6);
	help_flow_end(&f, LP_END_FIN, LP_END_FIN);
	help_flow_begin(&f, &h, 4, 10);
	help_flow_end(&f, LP_END_RST, LP_END_RST);
	ck_assert_int_eq(help_plugin_close(&h, NULL), 0);
	expect_file("out", "flow-000001 C>S 0 6\nEHLO\n"
			   "flow-000001 C>S 6 gap 5 bytes lost\n"
			   "flow-000001 C>S 6 6\nQUIT\n"
			   "flow-000001 2026-11-21 18:24:47 192.0.2.1:40009 > 192.0.2.2:443 "
			   "clear C>S 12 S>C 0 bytes lost C>S 5 bytes\n");
}
END_TEST

START_TEST(clear_data_is_not_shown_unasked)
{
	h.host.print_data = 1;
	ck_assert_int_eq(help_plugin_open(&h, "out", NULL), 0);
	help_flow_begin(&f, &h, 4, 9);
	help_flow_clear(&f, LP_C2S, "EHLO\r\n", 6);
	help_flow_gap(&f, LP_C2S, 5);
	help_flow_end(&f, LP_END_FIN, LP_END_FIN);
	ck_assert_int_eq(help_plugin_close(&h, NULL), 0);
	expect_file("out", "");
}
END_TEST

static const char *meaning(const char *reason)
{
	if (!strcmp(reason, "drop.bad_csum"))
		return "with a wrong checksum";
	if (!strcmp(reason, "truncated"))
		return "no goodbye";
	return strcmp(reason, "no-key") ? NULL : "no key that was given fits";
}

static const char *advice(const char *reason)
{
	return strcmp(reason, "no-key") ? NULL : "Give it the right one.";
}

/* Four sessions that stayed closed and one that did not; what stands at the end. */
static char *summary_of(const struct lp_summary *sum)
{
	static const char *const notes[] = { "truncated", NULL };
	const char *reasons[] = { "forward-secret", "no-key", "no-key", "handshake-failed" };
	char *got, *at;

	h.host.meaning = meaning;
	h.host.advice = advice;
	ck_assert_int_eq(help_plugin_open(&h, "out", NULL), 0);
	help_flow_begin(&f, &h, 4, 9);
	for (size_t i = 0; i < 4; i++) {
		help_session_begin(&s, &f);
		help_session_end(&s, LP_OPAQUE, reasons[i]);
	}
	help_session_begin(&s, &f);
	s.result.notes = notes;
	help_session_end(&s, LP_DECRYPTED, NULL);
	ck_assert_int_eq(help_plugin_close(&h, sum), 0);
	got = help_plugin_read(&h, "out", NULL);
	at = strstr(got, "1000 packets");
	ck_assert_ptr_nonnull(at);
	memmove(got, at, strlen(at) + 1);
	return got;
}

START_TEST(summary)
{
	static const struct lp_counter counters[] = {
		{ "capture.filtered", 12 },  { "drop.arp", 3 },    { "drop.bad_csum", 30 },
		{ "drop.no_flow", 0 },       { "flow.opened", 7 }, { "flow.no_tls", 1 },
		{ "flow.empty", 0 },         { "tcp.gaps", 1 },    { "tcp.gap_bytes", 1460 },
		{ "drop.udp", 4 },
	};
	struct lp_summary sum = { sizeof sum, counters, 10, 1000, 0, 0, 1 };
	char *got;

	h.host.live = 1;
	got = summary_of(&sum);
	ck_assert_str_eq(got, "1000 packets, 37 not processed: 30 with a wrong checksum, 4 udp, "
			      "3 arp; 12 more did not match the filter\n"
			      "7 TCP connections: 1 without TLS (--cleartext shows them)\n"
			      "5 TLS sessions: 1 decrypted, 3 opaque, 1 failed before keys were "
			      "used\n"
			      "       2 no-key                   no key that was given fits\n"
			      "                                  Give it the right one.\n"
			      "       1 forward-secret\n"
			      "       1 note: truncated          no goodbye\n"
			      "         (limpid --explain CODE says more)\n"
			      "1 gap in the streams, 1460 bytes not captured\n"
			      "no packet was lost by the kernel or the interface\n"
			      "a table reached its cap: the order of events may differ in another "
			      "run\n");
	free(got);
}
END_TEST

START_TEST(summary_names_what_the_kernel_lost)
{
	static const struct lp_counter counters[] = {
		{ "capture.kernel_drop", 12 }, { "capture.if_drop", 3 }, { "flow.no_tls", 1 },
	};
	struct lp_summary sum = { sizeof sum, counters, 3, 1000, 0, 0, 0 };
	char *got;

	h.host.cleartext = 1;
	got = summary_of(&sum);
	ck_assert_int_eq(strncmp(got, "1000 packets\n0 TCP connections: 1 without TLS\n", 46), 0);
	ck_assert_ptr_nonnull(strstr(got, "\npackets lost before limpid saw them: 12 by the "
					  "kernel, 3 by the interface\n"));
	free(got);
}
END_TEST

/* A session, printed with standard output and error sent to files. */
static void run_on_standard_output(void)
{
	static const struct lp_summary sum = { sizeof sum, NULL, 0, 1, 0, 0, 0 };
	int out = openat(h.host.dirfd, "stdout", O_WRONLY | O_CREAT, 0600);
	int err = openat(h.host.dirfd, "stderr", O_WRONLY | O_CREAT, 0600);
	int old_out = dup(1), old_err = dup(2);

	dup2(out, 1);
	dup2(err, 2);
	help_plugin_open(&h, NULL, NULL);
	help_flow_begin(&f, &h, 4, 9);
	help_session_begin(&s, &f);
	help_session_text(&s, LP_C2S, "x");
	help_session_end(&s, LP_DECRYPTED, NULL);
	help_plugin_close(&h, &sum);
	dup2(old_out, 1);
	dup2(old_err, 2);
	close(out);
	close(err);
	close(old_out);
	close(old_err);
}

START_TEST(where_lines_go)
{
	size_t out_n, err_n;

	h.host.stdout_taken = (_i & 1) != 0;
	h.host.quiet = (_i & 2) != 0;
	h.host.print_data = (_i & 4) != 0;
	run_on_standard_output();
	free(help_plugin_read(&h, "stdout", &out_n));
	free(help_plugin_read(&h, "stderr", &err_n));
	ck_assert_uint_eq(h.host.stdout_taken ? out_n : err_n, 0);
	ck_assert_int_eq((h.host.stdout_taken ? err_n : out_n) > 0,
			 !h.host.quiet || h.host.print_data);
	if (h.host.quiet && h.host.print_data)
		expect_file(h.host.stdout_taken ? "stderr" : "stdout", "#000001 C>S 0 1\nx\n");
}
END_TEST

START_TEST(faults_are_said_once)
{
	ck_assert_int_eq(help_plugin_open(&h, "missing/out", NULL), -1);
	ck_assert_str_eq(h.log, "cannot write missing/out: No such file or directory\n");
	h.log[0] = '\0';
	ck_assert_int_eq(help_plugin_open(&h, NULL, "colour=on"), -1);
	ck_assert_str_eq(h.log, "unknown option colour (text has none)\n");
}
END_TEST

START_TEST(states_left_after_a_fault_are_freed)
{
	h.host.print_data = 1;
	ck_assert_int_eq(help_plugin_open(&h, "/dev/full", NULL), 0);
	help_flow_begin(&f, &h, 4, 9);
	help_session_begin(&s, &f);
	help_session_text(&s, LP_C2S, "never ended");
	/* The leak checker of the sanitizer build is who looks. */
	ck_assert_int_eq(help_plugin_close(&h, NULL), -1);
}
END_TEST

START_TEST(rotation_keeps_what_was_moved_away)
{
	ck_assert_int_eq(help_plugin_open(&h, "out", NULL), 0);
	help_flow_begin(&f, &h, 4, 9);
	help_session_begin(&s, &f);
	help_session_end(&s, LP_DECRYPTED, NULL);
	ck_assert_int_eq(renameat(h.host.dirfd, "out", h.host.dirfd, "out.1"), 0);
	ck_assert_int_eq(h.plugin->rotate(h.self), 0);
	help_session_begin(&s, &f);
	help_session_end(&s, LP_DECRYPTED, NULL);
	ck_assert_int_eq(h.plugin->rotate(h.self), 0);
	help_session_begin(&s, &f);
	help_session_end(&s, LP_DECRYPTED, NULL);
	ck_assert_int_eq(help_plugin_close(&h, NULL), 0);
	for (int i = 0; i < 2; i++) {
		char *got = help_plugin_read(&h, i ? "out" : "out.1", NULL);

		ck_assert_int_eq(strncmp(got, i ? "#000002" : "#000001", 7), 0);
		ck_assert_int_eq(strstr(got, "#000003") != NULL, i);
		free(got);
	}
}
END_TEST

START_TEST(sink_passes_big_writes_and_cuts_long_lines)
{
	size_t n = 3 * LP_SINK_BUFFER + 7, got_n;
	char *big = malloc(n);
	struct lp_sink sink;
	struct stat st;
	char *got;

	memset(big, 'x', n);
	ck_assert_int_eq(lp_sink_open(&sink, &h.host, "big", "piece"), 0);
	ck_assert_int_eq(lp_sink_write(&sink, "ab", 2), 0);
	ck_assert_int_eq(lp_sink_write(&sink, big, n), 0);
	ck_assert_int_eq(lp_sink_write(&sink, big, LP_SINK_BUFFER), 0);
	ck_assert_int_eq(lp_sink_print(&sink, "%.5000s\n", big), 0);
	ck_assert_int_eq(lp_sink_print(&sink, "end\n"), 0);
	ck_assert_int_eq(lp_sink_end(&sink), 0);
	ck_assert_int_eq(lp_sink_close(&sink), 0);
	got = help_plugin_read(&h, "big", &got_n);
	ck_assert_uint_eq(got_n, 2 + n + LP_SINK_BUFFER + 4095 + 4);
	ck_assert_int_eq(strncmp(got, "abxx", 4), 0);
	ck_assert_str_eq(got + got_n - 6, "x\nend\n");
	ck_assert_int_eq(fstatat(h.host.dirfd, "big", &st, 0), 0);
	ck_assert_uint_eq(st.st_mode & 07777, 0600);
	free(got);
	free(big);
}
END_TEST

START_TEST(builtins_by_name)
{
	ck_assert_ptr_eq(lp_plugin_builtin("text"), &lp_plugin_text);
	ck_assert_ptr_eq(lp_plugin_builtin("files"), &lp_plugin_files);
	ck_assert_ptr_null(lp_plugin_builtin("tex"));
}
END_TEST

Suite *suite_plugin_text(void);

Suite *suite_plugin_text(void)
{
	Suite *suite = suite_create("plugin_text");
	TCase *t = tcase_create("text");

	tcase_add_checked_fixture(t, begin, end);
	tcase_add_test(t, line_of_a_decrypted_session);
	tcase_add_test(t, line_names_what_is_special);
	tcase_add_test(t, hostile_names_are_safe);
	tcase_add_test(t, data_as_it_opens);
	tcase_add_test(t, flows_that_are_not_tls);
	tcase_add_test(t, clear_data_is_not_shown_unasked);
	tcase_add_test(t, summary);
	tcase_add_test(t, summary_names_what_the_kernel_lost);
	tcase_add_loop_test(t, where_lines_go, 0, 8);
	tcase_add_test(t, faults_are_said_once);
	tcase_add_test(t, states_left_after_a_fault_are_freed);
	tcase_add_test(t, rotation_keeps_what_was_moved_away);
	tcase_add_test(t, sink_passes_big_writes_and_cuts_long_lines);
	tcase_add_test(t, builtins_by_name);
	suite_add_tcase(suite, t);
	return suite;
}
