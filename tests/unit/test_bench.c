/* engine/bench.c: every packet is read and counted, and the line says so. */
#define _POSIX_C_SOURCE 200809L
#include <check.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "bench.h"
#include "help_pcap.h"

enum { PACKETS = 200, CUT = 7 };

struct line {
	unsigned long long packets, bytes;
	double s, cpu, rate, mb;
};

/* Packet i has i bytes; the last CUT bytes of the file are left out if cut. */
static enum lp_err bench(struct line *l, uint64_t most, const char *filter, bool cut, bool stopped)
{
	const struct lp_capture_config config = { .filter = filter };
	const volatile sig_atomic_t stop = stopped;
	struct help_pcap w = { 0 };
	char path[HELP_PATH], why[LP_WHY_SIZE], text[256] = "";
	const char *paths[] = { path };
	uint8_t bytes[PACKETS] = { 0 };
	FILE *out = fmemopen(text, sizeof text, "w");
	struct lp_capture *c;
	enum lp_err err;

	help_pcap_begin(&w, true, HELP_PCAP_US, 1);
	for (size_t i = 0; i < PACKETS; i++)
		help_pcap_packet(&w, 1000 * i, bytes, i, 0);
	help_pcap_save(w.p, cut ? w.n - CUT : w.n, path);
	help_pcap_clear(&w);
	ck_assert_int_eq(lp_capture_open_files(&c, paths, 1, false, &config, why), LP_OK);
	unlink(path);
	err = lp_bench_read(c, most, &stop, out);
	lp_capture_close(c);
	fclose(out);
	ck_assert_msg(sscanf(text, "%llu packets, %llu bytes in %lf s (%lf s of CPU): "
			     "%lf packets/s, %lf MB/s\n", &l->packets, &l->bytes, &l->s, &l->cpu,
			     &l->rate, &l->mb) == 6 && text[strlen(text) - 1] == '\n', "%s", text);
	ck_assert(l->s > 0 && l->cpu >= 0);
	return err;
}

START_TEST(all_of_it)
{
	struct line l;

	ck_assert_int_eq(bench(&l, 0, NULL, false, false), LP_OK);
	ck_assert_uint_eq(l.packets, PACKETS);
	ck_assert_uint_eq(l.bytes, PACKETS * (PACKETS - 1) / 2);
	ck_assert(l.rate > 0 && l.mb > 0);
}
END_TEST

START_TEST(the_first)
{
	struct line l;

	for (uint64_t most = 1; most <= PACKETS; most += LP_BATCH - 1) {
		ck_assert_int_eq(bench(&l, most, NULL, false, false), LP_OK);
		ck_assert_uint_eq(l.packets, most);
		ck_assert_uint_eq(l.bytes, most * (most - 1) / 2);
	}
}
END_TEST

START_TEST(what_the_filter_wants)
{
	struct line l;

	ck_assert_int_eq(bench(&l, 0, "greater 100", false, false), LP_OK);
	ck_assert_uint_eq(l.packets, 100);
}
END_TEST

START_TEST(a_file_that_is_cut_short)
{
	struct line l;

	ck_assert_int_eq(bench(&l, 0, NULL, true, false), LP_E_TRUNCATED);
	ck_assert_uint_eq(l.packets, PACKETS - 1);
}
END_TEST

START_TEST(stopped)
{
	struct line l;

	ck_assert_int_eq(bench(&l, 0, NULL, false, true), LP_OK);
	ck_assert_uint_eq(l.packets, 0);
	ck_assert(l.rate == 0);
}
END_TEST

Suite *suite_bench(void);
Suite *suite_bench(void)
{
	Suite *s = suite_create("bench");
	TCase *t = tcase_create("read");

	tcase_add_test(t, all_of_it);
	tcase_add_test(t, the_first);
	tcase_add_test(t, what_the_filter_wants);
	tcase_add_test(t, a_file_that_is_cut_short);
	tcase_add_test(t, stopped);
	suite_add_tcase(s, t);
	return s;
}
