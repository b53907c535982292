/* capture/file.c, input.c, unpack.c: every file is read in five ways (mapped, from a
 * pipe byte by byte and in lumps, gzip, zstd) with one result. */
#define _GNU_SOURCE
#include <check.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "help_capture.h"

static const uint64_t ts0 = 1700000000123456789ULL;

static void three_packets(struct help_pcap *w)
{
	uint8_t bytes[100];

	for (size_t i = 0; i < sizeof bytes; i++)
		bytes[i] = (uint8_t)(i + 1);
	help_pcap_packet(w, ts0, bytes, 60, 0);
	help_pcap_packet(w, ts0 + 1001, bytes + 1, 0, 77);
	help_pcap_packet(w, ts0 + 2000000000, bytes + 2, 33, 1500);
}

START_TEST(pcap_in_every_form)
{
	bool little = _i & 1;
	int kind = _i / 2;
	uint64_t unit = kind == HELP_PCAP_NS ? 1 : 1000;
	struct help_pcap w = { 0 };
	struct help_seen s;

	/* The upper bits tell of a frame check sequence. */
	help_pcap_begin(&w, little, kind, 0x54000000 | LP_LINK_LINUX_SLL2);
	three_packets(&w);
	help_read_ways(&s, &w);
	ck_assert_int_eq(s.open, LP_OK);
	ck_assert_int_eq(s.end, LP_EOF);
	ck_assert_uint_eq(s.n, 3);
	ck_assert_uint_eq(s.p[0].ts_ns, ts0 / unit * unit);
	ck_assert_uint_eq(s.p[1].ts_ns, (ts0 + 1001) / unit * unit);
	ck_assert_uint_eq(s.p[2].ts_ns, (ts0 + 2000000000) / unit * unit);
	ck_assert_uint_eq(s.p[0].len, 60);
	ck_assert_uint_eq(s.p[1].caplen, 0);
	ck_assert_uint_eq(s.p[1].len, 77);
	ck_assert_uint_eq(s.p[2].caplen, 33);
	ck_assert_uint_eq(s.p[2].len, 1500);
	ck_assert_uint_eq(s.first[0], 1);
	ck_assert_uint_eq(s.first[2], 3);
	for (size_t i = 0; i < 3; i++) {
		ck_assert_uint_eq(s.p[i].number, i + 1);
		ck_assert_uint_eq(s.p[i].link, LP_LINK_LINUX_SLL2);
	}
	help_pcap_clear(&w);
}
END_TEST

START_TEST(length_below_captured_is_repaired)
{
	struct help_pcap w = { 0 };
	struct help_seen s;

	help_pcap_begin(&w, true, HELP_PCAP_US, 12);
	help_pcap_packet(&w, ts0, "0123456789", 10, 4);
	help_read_ways(&s, &w);
	ck_assert_uint_eq(s.p[0].len, 10);
	ck_assert_uint_eq(s.p[0].link, LP_LINK_RAW);
	help_pcap_clear(&w);
}
END_TEST

START_TEST(pcap_cut_everywhere)
{
	struct help_pcap w = { 0 };
	size_t ends[3];

	help_pcap_begin(&w, _i & 1, _i, 1);
	for (size_t i = 0; i < 3; i++) {
		help_pcap_packet(&w, ts0, "0123456789", 5 * i, 0);
		ends[i] = w.n;
	}
	help_cut_everywhere(&w, 24, ends, 3, ends, 3);
	help_pcap_clear(&w);
}
END_TEST

/* A compressed file that is cut gives a prefix; never an end that looks whole. */
START_TEST(packed_cut_everywhere)
{
	struct help_pcap w = { 0 };
	uint8_t packed[2000];
	size_t n, last = 0;
	struct help_seen s;

	help_pcap_begin(&w, true, HELP_PCAP_US, 1);
	three_packets(&w);
	n = (_i ? help_zstd : help_gzip)(packed, sizeof packed, w.p, w.n);
	for (size_t cut = 0; cut < n; cut++) {
		help_read_saved(&s, packed, cut, LP_BATCH);
		if (s.open) {
			ck_assert_int_eq(s.open, LP_E_FORMAT);
			continue;
		}
		ck_assert_int_eq(s.end, LP_E_TRUNCATED);
		ck_assert_uint_ge(s.n, last);
		last = s.n;
	}
	help_read_stdin(&s, packed, n, 1, LP_BATCH);
	ck_assert_int_eq(s.end, LP_EOF);
	ck_assert_uint_eq(s.n, 3);
	packed[n - 1] ^= 1; /* the length or check sum at the end */
	help_read_saved(&s, packed, n, LP_BATCH);
	ck_assert_int_eq(s.end, LP_E_FORMAT);
	ck_assert_uint_eq(s.n, 3);
	help_pcap_clear(&w);
}
END_TEST

START_TEST(packed_in_parts)
{
	size_t (*const pack[])(uint8_t *, size_t, const void *, size_t) = { help_gzip,
									    help_zstd };
	struct help_pcap w = { 0 };
	uint8_t packed[4000];
	size_t n;
	struct help_seen s;

	help_pcap_begin(&w, true, HELP_PCAP_US, 1);
	three_packets(&w);
	n = pack[_i](packed, sizeof packed, w.p, 50);
	n += pack[_i](packed + n, sizeof packed - n, w.p + 50, w.n - 50);
	help_read_saved(&s, packed, n, LP_BATCH);
	ck_assert_int_eq(s.end, LP_EOF);
	ck_assert_uint_eq(s.n, 3);
	memset(packed + n, 0, 700); /* padding */
	help_read_saved(&s, packed, n + 700, LP_BATCH);
	ck_assert_int_eq(s.end, LP_EOF);
	ck_assert_uint_eq(s.n, 3);
	packed[n + 700] = 'x';
	memset(packed + n + 701, 'y', 40);
	help_read_saved(&s, packed, n + 740, LP_BATCH);
	ck_assert_int_eq(s.end, LP_E_FORMAT);
	ck_assert_uint_eq(s.n, 3);
	help_pcap_clear(&w);
}
END_TEST

START_TEST(pcap_lying_length)
{
	struct help_pcap w = { 0 };

	help_pcap_begin(&w, true, HELP_PCAP_US, 1);
	help_pcap_packet(&w, ts0, "good", 4, 0);
	help_pcap_uint(&w, 0, 8);
	help_pcap_uint(&w, LP_MAX_CAPLEN + 1, 4);
	help_pcap_uint(&w, LP_MAX_CAPLEN + 1, 4);
	help_pcap_bytes(&w, "never", 5);
	help_corrupt_after_one(&w, "corrupt after packet 1, at byte 44: packet longer");
	help_pcap_clear(&w);
}
END_TEST

START_TEST(what_is_no_capture)
{
	static const char *const text[] = {
		"", "a", "CLIENT_RANDOM 00 00\nand more text to be longer than a header",
		"\xa1\xb2\xc3\xd4\0\3\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1", /* version 3 */
		"\n\r\r\n\0\0\0\x1cnone\0\1\0\0\xff\xff\xff\xff\xff\xff\xff\xff\0\0\0\x1c",
		"\x1f\x8b\x08garbage that is no gzip", "\x28\xb5\x2f\xfdgarbage that is no zstd",
	};
	static const size_t n[] = { 0, 1, 60, 24, 28, 26, 26 };
	struct help_seen s;

	help_read_saved(&s, text[_i], n[_i], LP_BATCH);
	ck_assert_int_eq(s.open, LP_E_FORMAT);
	ck_assert_ptr_nonnull(strstr(s.why, "limpid-test-"));
	ck_assert_ptr_nonnull(strstr(s.why, ": not a capture file (pcap or pcapng)"));
	help_read_stdin(&s, text[_i], n[_i], 1, LP_BATCH);
	ck_assert_int_eq(s.open, LP_E_FORMAT);
	ck_assert_str_eq(s.why, "standard input: not a capture file (pcap or pcapng)");
}
END_TEST

START_TEST(what_cannot_be_opened)
{
	struct help_seen s;

	help_read_path(&s, "/nonexistent/\033[31m.pcap", LP_BATCH);
	ck_assert_int_eq(s.open, LP_E_NOENT);
	ck_assert_str_eq(s.why, "/nonexistent/\\x1b[31m.pcap: No such file or directory");
	help_read_path(&s, "/", LP_BATCH);
	ck_assert_int_eq(s.open, LP_E_IO);
	ck_assert_str_eq(s.why, "/: is a directory, not a capture file");
	help_read_path(&s, "/dev/null", LP_BATCH);
	ck_assert_int_eq(s.open, LP_E_FORMAT);
}
END_TEST

/* What is whole comes at once, the rest when it is there; silence is LP_OK. */
START_TEST(slow_pipe)
{
	struct help_pcap w = { 0 };
	struct lp_wire p[LP_BATCH];
	char why[LP_WHY_SIZE], path[32];
	struct lp_capture *c;
	int fd[2];
	size_t n;

	help_pcap_begin(&w, true, HELP_PCAP_US, 1);
	three_packets(&w);
	ck_assert_int_eq(pipe(fd), 0);
	snprintf(path, sizeof path, "/dev/fd/%d", fd[0]);
	ck_assert_int_eq(write(fd[1], w.p, w.n - 1), (ssize_t)w.n - 1);
	ck_assert_int_eq(lp_capture_open_file(&c, path, NULL, why), LP_OK);
	ck_assert_int_eq(lp_capture_read(c, p, LP_BATCH, &n), LP_OK);
	ck_assert_uint_eq(n, 2);
	ck_assert_uint_eq(p[0].data[0], 1);
	ck_assert_int_eq(lp_capture_read(c, p, LP_BATCH, &n), LP_OK);
	ck_assert_uint_eq(n, 0);
	ck_assert_int_eq(write(fd[1], w.p + w.n - 1, 1), 1);
	ck_assert_int_eq(lp_capture_read(c, p, LP_BATCH, &n), LP_OK);
	ck_assert_uint_eq(n, 1);
	ck_assert_uint_eq(p[0].number, 3);
	close(fd[1]);
	ck_assert_int_eq(lp_capture_read(c, p, LP_BATCH, &n), LP_EOF);
	lp_capture_close(c);
	close(fd[0]);
	help_pcap_clear(&w);
}
END_TEST

/* Standard input that is a file is read from where it stands. */
START_TEST(stdin_may_be_a_file)
{
	struct help_pcap w = { 0 };
	char path[HELP_PATH];
	struct help_seen s;
	FILE *f;
	int old;

	help_pcap_bytes(&w, "skipped", 7);
	help_pcap_begin(&w, true, HELP_PCAP_US, 1);
	three_packets(&w);
	help_pcap_save(w.p, w.n, path);
	f = fopen(path, "r");
	ck_assert_ptr_nonnull(f);
	ck_assert_int_eq(lseek(fileno(f), 7, SEEK_SET), 7);
	old = dup(STDIN_FILENO);
	dup2(fileno(f), STDIN_FILENO);
	help_read_path(&s, "-", LP_BATCH);
	dup2(old, STDIN_FILENO);
	close(old);
	fclose(f);
	unlink(path);
	ck_assert_int_eq(s.end, LP_EOF);
	ck_assert_uint_eq(s.n, 3);
	help_pcap_clear(&w);
}
END_TEST

START_TEST(file_that_shrinks)
{
	struct help_pcap w = { 0 };
	struct lp_wire p[LP_BATCH];
	char why[LP_WHY_SIZE], path[HELP_PATH];
	uint8_t big[5000] = { 0 };
	struct lp_capture *c;
	size_t n;

	help_pcap_begin(&w, true, HELP_PCAP_US, 1);
	for (size_t i = 0; i < 10; i++)
		help_pcap_packet(&w, ts0, big, sizeof big, 0);
	help_pcap_save(w.p, w.n, path);
	ck_assert_int_eq(lp_capture_open_file(&c, path, NULL, why), LP_OK);
	ck_assert_int_eq(lp_capture_read(c, p, 2, &n), LP_OK);
	ck_assert_int_eq(truncate(path, 16000), 0);
	ck_assert_int_eq(lp_capture_read(c, p, LP_BATCH, &n), LP_OK);
	ck_assert_uint_eq(n, 1);
	ck_assert_int_eq(lp_capture_read(c, p, LP_BATCH, &n), LP_E_TRUNCATED);
	lp_capture_close(c);
	unlink(path);
	help_pcap_clear(&w);
}
END_TEST

Suite *suite_capture_file(void)
{
	Suite *s = suite_create("capture_file");
	TCase *t = tcase_create("capture_file");

	tcase_set_timeout(t, 60);
	tcase_add_loop_test(t, pcap_in_every_form, 0, 6);
	tcase_add_test(t, length_below_captured_is_repaired);
	tcase_add_loop_test(t, pcap_cut_everywhere, 0, 3);
	tcase_add_loop_test(t, packed_cut_everywhere, 0, 2);
	tcase_add_loop_test(t, packed_in_parts, 0, 2);
	tcase_add_test(t, pcap_lying_length);
	tcase_add_loop_test(t, what_is_no_capture, 0, 7);
	tcase_add_test(t, what_cannot_be_opened);
	tcase_add_test(t, slow_pipe);
	tcase_add_test(t, stdin_may_be_a_file);
	tcase_add_test(t, file_that_shrinks);
	suite_add_tcase(s, t);
	return s;
}
