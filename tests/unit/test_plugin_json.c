/* plugins/json.c, session_json.c */
#define _GNU_SOURCE
#include <check.h>
#include <fcntl.h>
#include <jansson.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "help_plugin.h"
#include "plugins/plugins.h"

static struct help_plugin h;
static struct help_flow f;
static struct help_session s;

static void begin(void)
{
	help_plugin_init(&h, &lp_plugin_json);
}

static void end(void)
{
	help_plugin_clear(&h);
}

/* All that can be known. */
static void fill(void)
{
	static const char *const offered[] = { "h2", "http/1.1", NULL };
	static const char *const chosen[] = { "http/1.1", NULL };
	static const char *const notes[] = { "truncated", NULL };
	static const struct lp_cert_info cert = {
		sizeof cert, "C=DE, CN=www.example.org", "CN=Example CA", "0A:1B",
		"2026-01-01T00:00:00", "2027-01-01T00:00:00", "aa:bb", "00ff",
	};
	static const struct lp_cert_info client = { .size = sizeof client, .subject = "CN=me",
						   .sha256 = "22dd" };

	s.tls.server_cert = &cert;
	s.tls.client_cert_info = &client;
	s.tls.client_cert = 1;
	s.tls.resumed = LP_RESUMED_ID;
	s.tls.client_alpns = offered;
	s.tls.server_alpns = chosen;
	s.tls.ja3_hash = "j3h";
	s.tls.ja3_string = "j3s";
	s.tls.ja3s_hash = "j3sh";
	s.tls.ja3s_string = "j3ss";
	s.tls.ja4 = "t12d";
	s.tls.secret = "rsa-key server.pem";
	s.tls.renegotiations = 1;
	s.tls.group_text = "x25519";
	s.tls.exchange_bits = 2048;
	s.tls.compression_text = "deflate";
	s.result.advice = "Look at it.";
	s.result.notes = notes;
	s.result.detail = "one gap";
	s.result.end[LP_S2C] = LP_END_RST;
}

START_TEST(everything_known)
{
	char *got;

	ck_assert_int_eq(help_plugin_open(&h, "out", NULL), 0);
	help_flow_begin(&f, &h, 4, 1);
	help_session_begin(&s, &f);
	fill();
	help_session_text(&s, LP_C2S, "12345");
	help_session_gap(&s, LP_S2C, 99, 9, 9);
	ck_assert_int_eq(help_session_end(&s, LP_PARTIAL, "gap"), 0);
	ck_assert_int_eq(help_plugin_close(&h, NULL), 0);
	got = help_plugin_read(&h, "out", NULL);
	ck_assert_str_eq(got,
		"{\"timestamp\":\"2026-11-21T18:24:47.123456+0000\",\"flow_id\":1000000000001,"
		"\"event_type\":\"tls\",\"src_ip\":\"192.0.2.1\",\"src_port\":40001,"
		"\"dest_ip\":\"192.0.2.2\",\"dest_port\":443,\"proto\":\"TCP\","
		"\"community_id\":\"1:community1\",\"tls\":{"
		"\"subject\":\"C=DE, CN=www.example.org\",\"issuerdn\":\"CN=Example CA\","
		"\"serial\":\"0A:1B\",\"fingerprint\":\"aa:bb\","
		"\"notbefore\":\"2026-01-01T00:00:00\",\"notafter\":\"2027-01-01T00:00:00\","
		"\"session_resumed\":true,\"sni\":\"www.example.org\",\"version\":\"TLS 1.2\","
		"\"ja3\":{\"hash\":\"j3h\",\"string\":\"j3s\"},"
		"\"ja3s\":{\"hash\":\"j3sh\",\"string\":\"j3ss\"},\"ja4\":\"t12d\","
		"\"client_alpns\":[\"h2\",\"http/1.1\"],\"server_alpns\":[\"http/1.1\"],"
		"\"client\":{\"subject\":\"CN=me\"}},\"limpid\":{\"session\":1,"
		"\"suite\":\"TLS_RSA_WITH_AES_256_CBC_SHA\",\"ems\":true,\"etm\":false,"
		"\"curve\":\"x25519\",\"exchange_bits\":2048,\"compression\":\"deflate\","
		"\"resumed\":\"id\",\"cert_sha256\":\"00ff\",\"client_cert\":true,"
		"\"client_cert_sha256\":\"22dd\","
		"\"renegotiations\":1,\"verdict\":\"partial\",\"reason\":\"gap\","
		"\"detail\":\"one gap\",\"advice\":\"Look at it.\",\"notes\":[\"truncated\"],"
		"\"secret\":\"rsa-key server.pem\","
		"\"end\":{\"client\":\"close_notify\",\"server\":\"rst\"},"
		"\"client_bytes\":5,\"server_bytes\":0,\"client_lost\":0,\"server_lost\":99}}\n");
	free(got);
}
END_TEST

START_TEST(unknown_is_absent)
{
	char *got;

	ck_assert_int_eq(help_plugin_open(&h, "out", NULL), 0);
	help_flow_begin(&f, &h, 6, 1);
	f.info.community_id[0] = '\0';
	help_session_begin(&s, &f);
	s.tls = (struct lp_session_info){ .size = sizeof s.tls, .start_ns = 1, .number = 7,
					  .ems = -1, .etm = -1, .resumed = -1,
					  .client_cert = -1 };
	ck_assert_int_eq(help_session_end(&s, LP_OPAQUE, "start-not-captured"), 0);
	ck_assert_int_eq(help_plugin_close(&h, NULL), 0);
	got = help_plugin_read(&h, "out", NULL);
	ck_assert_str_eq(got,
		"{\"timestamp\":\"1970-01-01T00:00:00.000000+0000\",\"flow_id\":1000000000001,"
		"\"event_type\":\"tls\",\"src_ip\":\"2001:db8::1\",\"src_port\":40001,"
		"\"dest_ip\":\"2001:db8::2\",\"dest_port\":443,\"proto\":\"TCP\",\"tls\":{},"
		"\"limpid\":{\"session\":7,\"renegotiations\":0,\"verdict\":\"opaque\","
		"\"reason\":\"start-not-captured\",\"notes\":[],"
		"\"end\":{\"client\":\"close_notify\",\"server\":\"fin\"},"
		"\"client_bytes\":0,\"server_bytes\":0,\"client_lost\":0,\"server_lost\":0}}\n");
	free(got);
}
END_TEST

START_TEST(tls10_is_called_as_suricata_does)
{
	json_t *o;
	char *got;

	ck_assert_int_eq(help_plugin_open(&h, "out", NULL), 0);
	help_flow_begin(&f, &h, 4, 1);
	help_session_begin(&s, &f);
	s.tls.version = 0x0301;
	s.tls.version_text = "TLS 1.0";
	help_session_end(&s, LP_DECRYPTED, NULL);
	help_plugin_close(&h, NULL);
	got = help_plugin_read(&h, "out", NULL);
	o = json_loads(got, 0, NULL);
	ck_assert_str_eq(json_string_value(json_object_get(json_object_get(o, "tls"), "version")),
			 "TLSv1");
	json_decref(o);
	free(got);
}
END_TEST

START_TEST(hostile_names_stay_one_line_of_json)
{
	static const char sni[] = "a\"\n\x01\xff\xe2\x80\xae\\x0a";
	json_t *o;
	char *got;

	ck_assert_int_eq(help_plugin_open(&h, "out", NULL), 0);
	help_flow_begin(&f, &h, 4, 1);
	help_session_begin(&s, &f);
	s.tls.sni = sni;
	help_session_end(&s, LP_DECRYPTED, NULL);
	help_plugin_close(&h, NULL);
	got = help_plugin_read(&h, "out", NULL);
	ck_assert_ptr_eq(strchr(got, '\n'), got + strlen(got) - 1);
	o = json_loads(got, 0, NULL);
	ck_assert_ptr_nonnull(o);
	ck_assert_str_eq(json_string_value(json_object_get(json_object_get(o, "tls"), "sni")),
			 "a\"\\x0a\\x01\\xff\\xe2\\x80\\xae\\x0a");
	json_decref(o);
	free(got);
}
END_TEST

START_TEST(file_is_truncated)
{
	int fd = openat(h.host.dirfd, "out", O_WRONLY | O_CREAT, 0600);
	size_t n;

	ck_assert_int_eq(write(fd, "old", 3), 3);
	close(fd);
	ck_assert_int_eq(help_plugin_open(&h, "out", NULL), 0);
	ck_assert_int_eq(help_plugin_close(&h, NULL), 0);
	free(help_plugin_read(&h, "out", &n));
	ck_assert_uint_eq(n, 0);
}
END_TEST

static void *read_fifo(void *path)
{
	FILE *in = fopen(path, "r");
	char *line = NULL;
	size_t size = 0;

	if (in && getline(&line, &size, in) < 0)
		line[0] = '\0';
	if (in)
		fclose(in);
	return line;
}

START_TEST(fifo_gets_each_line_when_live)
{
	char path[160];
	pthread_t reader;
	void *line;

	help_plugin_path(&h, path, "fifo");
	ck_assert_int_eq(mkfifo(path, 0600), 0);
	pthread_create(&reader, NULL, read_fifo, path);
	h.host.live = 1;
	ck_assert_int_eq(help_plugin_open(&h, "fifo", NULL), 0);
	help_flow_begin(&f, &h, 4, 1);
	help_session_begin(&s, &f);
	ck_assert_int_eq(help_session_end(&s, LP_DECRYPTED, NULL), 0);
	/* The reader has its line before the output is closed. */
	pthread_join(reader, &line);
	ck_assert_int_eq(strncmp(line, "{\"timestamp\"", 12), 0);
	ck_assert_int_eq(h.plugin->rotate(h.self), 0);
	ck_assert_int_eq(help_plugin_close(&h, NULL), 0);
	free(line);
}
END_TEST

START_TEST(stats_at_the_end)
{
	static const struct lp_counter counters[] = {
		{ "drop.arp", 3 }, { "tcp.gaps", 1 }, { "drop.bad_csum", 4 }, { "tcp.flows", 2 },
	};
	const struct lp_summary summary = { sizeof summary, counters, 4, 77, 0, 0, 0 };
	char *got;

	ck_assert_int_eq(help_plugin_open(&h, "out", "stats=on"), 0);
	ck_assert_int_eq(help_plugin_close(&h, &summary), 0);
	got = help_plugin_read(&h, "out", NULL);
	ck_assert_str_eq(got, "{\"event_type\":\"stats\",\"stats\":{"
			      "\"drop\":{\"arp\":3,\"bad_csum\":4},"
			      "\"tcp\":{\"gaps\":1,\"flows\":2},\"read\":77}}\n");
	free(got);
	ck_assert_int_eq(help_plugin_open(&h, "out", "stats=off"), 0);
	ck_assert_int_eq(help_plugin_close(&h, &summary), 0);
	got = help_plugin_read(&h, "out", NULL);
	ck_assert_str_eq(got, "");
	free(got);
}
END_TEST

START_TEST(faults)
{
	ck_assert_int_eq(help_plugin_open(&h, NULL, NULL), -1);
	ck_assert_str_eq(h.log, "needs a file: json:FILE, or json:- for standard output\n");
	h.log[0] = '\0';
	ck_assert_int_eq(help_plugin_open(&h, "out", "x=y"), -1);
	ck_assert_str_eq(h.log, "unknown option x=y (json has stats=on|off)\n");
	h.log[0] = '\0';
	ck_assert_int_eq(help_plugin_open(&h, "/dev/full", NULL), 0);
	help_flow_begin(&f, &h, 4, 1);
	help_session_begin(&s, &f);
	ck_assert_int_eq(help_session_end(&s, LP_DECRYPTED, NULL), 0);
	ck_assert_int_eq(help_plugin_close(&h, NULL), -1);
	ck_assert_str_eq(h.log, "cannot write /dev/full: No space left on device\n");
}
END_TEST

Suite *suite_plugin_json(void);

Suite *suite_plugin_json(void)
{
	Suite *suite = suite_create("plugin_json");
	TCase *t = tcase_create("json");

	tcase_add_checked_fixture(t, begin, end);
	tcase_add_test(t, everything_known);
	tcase_add_test(t, unknown_is_absent);
	tcase_add_test(t, tls10_is_called_as_suricata_does);
	tcase_add_test(t, hostile_names_stay_one_line_of_json);
	tcase_add_test(t, file_is_truncated);
	tcase_add_test(t, fifo_gets_each_line_when_live);
	tcase_add_test(t, stats_at_the_end);
	tcase_add_test(t, faults);
	suite_add_tcase(suite, t);
	return suite;
}
