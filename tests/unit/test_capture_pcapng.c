/* capture/pcapng.c through files, each read in five ways with one result. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "help_capture.h"
#include "help_tool.h"

static const uint64_t ts0 = 1700000000123456789ULL;

/* Two sections in opposite byte orders, all kinds of blocks. */
static void mixed_pcapng(struct help_pcap *w, size_t ends[8])
{
	uint8_t noise[50] = { 0 };

	help_ng_section(w, false);
	help_ng_interface(w, LP_LINK_ETHERNET, 0, 6, 0);
	help_ng_interface(w, LP_LINK_IPV6, 0, 9, 3600);
	help_ng_secrets(w, 0x544c534b, "first", 5);
	help_ng_packet(w, 0, ts0 / 1000, "aaaaa", 5, 0);
	ends[0] = w->n;
	help_ng_block(w, 0x80000bad, noise, sizeof noise);
	help_ng_packet(w, 1, ts0, "bbbbbb", 6, 99);
	ends[1] = w->n;
	help_ng_block(w, 5, noise, 12); /* interface statistics */
	help_ng_simple(w, "ccc", 3, 0);
	ends[2] = w->n;
	help_ng_section(w, true);
	help_ng_interface(w, LP_LINK_LINUX_SLL, 2, 0x80 | 20, -5);
	help_ng_secrets(w, 0x544c534b, "then", 4);
	help_ng_packet(w, 0, 1700000000ULL << 20 | 1 << 19, "dddd", 4, 0);
	ends[3] = w->n;
	help_ng_simple(w, "ee", 2, 900);
	ends[4] = w->n;
	help_ng_obsolete(w, 0, 1700000001ULL << 20, "f", 1, 0);
	ends[5] = w->n;
	help_ng_block(w, 0x0bad, NULL, 0);
	ends[6] = w->n;
}

START_TEST(pcapng_sections_interfaces_and_blocks)
{
	static const char first[] = "abcdef";
	struct help_pcap w = { 0 };
	size_t ends[8];
	struct help_seen s;

	mixed_pcapng(&w, ends);
	help_read_ways(&s, &w);
	ck_assert_int_eq(s.end, LP_EOF);
	ck_assert_uint_eq(s.n, 6);
	for (size_t i = 0; i < 6; i++) {
		ck_assert_uint_eq(s.first[i], first[i]);
		ck_assert_uint_eq(s.p[i].number, i + 1);
		ck_assert_uint_eq(s.p[i].iface, i == 1);
	}
	ck_assert_uint_eq(s.p[0].link, LP_LINK_ETHERNET);
	ck_assert_uint_eq(s.p[1].link, LP_LINK_IPV6);
	ck_assert_uint_eq(s.p[2].link, LP_LINK_ETHERNET);
	ck_assert_uint_eq(s.p[4].link, LP_LINK_LINUX_SLL);
	ck_assert_uint_eq(s.p[0].ts_ns, ts0 / 1000 * 1000);
	ck_assert_uint_eq(s.p[1].ts_ns, ts0 + 3600000000000);
	ck_assert_uint_eq(s.p[1].len, 99);
	ck_assert_uint_eq(s.p[2].ts_ns, s.p[1].ts_ns);
	ck_assert_uint_eq(s.p[3].ts_ns, 1699999995500000000);
	ck_assert_uint_eq(s.p[4].caplen, 2);
	ck_assert_uint_eq(s.p[4].len, 900);
	ck_assert_uint_eq(s.p[5].ts_ns, 1699999996000000000);
	help_pcap_clear(&w);
}
END_TEST

START_TEST(pcapng_secrets_come_before_their_packets)
{
	struct help_pcap w = { 0 };
	size_t ends[8];
	struct help_seen s;

	mixed_pcapng(&w, ends);
	help_read_way(&s, BYTES, w.p, w.n);
	ck_assert_str_eq(s.secrets, "[0:544c534b:first][3:544c534b:then]");
	help_pcap_clear(&w);
}
END_TEST

static void note_secrets(void *user, uint32_t type, lp_span data)
{
	char *out = user;

	ck_assert_uint_eq(type, 0x544c534b);
	strncat(out, (const char *)data.p, data.n);
	strcat(out, ";");
}

START_TEST(pcapng_secrets_are_found_wherever_they_stand)
{
	struct help_pcap w = { 0 };
	char told[64] = "", path[128];
	const struct lp_capture_config config = { .secrets = note_secrets, .user = told };
	uint8_t packed[32768];
	struct help_dir dir;
	size_t ends[8], n;

	mixed_pcapng(&w, ends);
	for (int i = 0; i < 200; i++) /* more than a batch */
		help_ng_packet(&w, 0, 1700000000ULL << 20, "dddd", 4, 0);
	help_ng_secrets(&w, 0x544c534b, "late", 4);
	help_dir_open(&dir);
	snprintf(path, sizeof path, "%s/a", dir.path);
	help_write(&dir, "a", w.p, w.n);
	lp_capture_scan_secrets(path, &config);
	ck_assert_str_eq(told, "first;then;late;");
	ck_assert(lp_capture_scans(path));
	n = help_gzip(packed, sizeof packed, w.p, w.n);
	help_write(&dir, "a", packed, n); /* which is read as it comes */
	lp_capture_scan_secrets(path, &config);
	ck_assert_str_eq(told, "first;then;late;");
	ck_assert(!lp_capture_scans(path));
	/* No capture, no file, no regular file: nothing, and nothing is said. */
	told[0] = '\0';
	help_write(&dir, "a", "text", 4);
	lp_capture_scan_secrets(path, &config);
	lp_capture_scan_secrets(dir.path, &config);
	lp_capture_scan_secrets("-", &config);
	ck_assert(!lp_capture_scans(path) && !lp_capture_scans(dir.path) && !lp_capture_scans("-"));
	ck_assert_str_eq(told, "");
	help_dir_close(&dir);
	help_pcap_clear(&w);
}
END_TEST

START_TEST(pcapng_clocks)
{
	static const struct {
		uint8_t tsresol;
		int64_t offset;
		uint64_t ticks, ns;
	} t[] = {
		{ 0, 0, 17, 17000000000 },
		{ 3, 1, 1500, 2500000000 },
		{ 9, 0, ts0, ts0 },
		{ 12, 0, 1234567890123, 1234567890 },
		{ 19, 0, 12345678901234567890U, 1234567890 },
		{ 25, 0, UINT64_MAX, 1844 },
		{ 127, 2, UINT64_MAX, 2000000000 },
		{ 0x80, 0, 3, 3000000000 },
		{ 0x80 | 1, 0, 3, 1500000000 },
		{ 0x80 | 32, 0, 3ULL << 31, 1500000000 },
		{ 0x80 | 63, 0, 3ULL << 62, 1500000000 },
		{ 0x80 | 64, 0, 1ULL << 63, 500000000 },
		{ 0x80 | 127, 1, UINT64_MAX, 1000000000 },
		{ 6, -2, 1000000, 0 },
		{ 6, INT64_MIN, 1000000, 0 },
		{ 0, 0, UINT64_MAX, 18446744072000000000U },
		{ 6, INT64_MAX, 1500000, 18446744072500000000U },
		{ 6, 0, 1500000, 1500000000 },
		{ 8, 0, 3, 30 },
		{ 0, 5, 0, 5000000000 },
		{ 0, 0, 18446744072, 18446744072000000000U },
		{ 0, 0, 18446744073, 18446744072000000000U },
		{ 6, 0, 18446744072000000, 18446744072000000000U },
		{ 6, 0, 18446744072000001, 18446744072000001000U },
		{ 6, 0, 18446744073000001, 18446744072000001000U },
		{ 9, 0, UINT64_MAX, 18446744072709551615U },
	};
	struct help_pcap w = { 0 };
	struct help_seen s;

	help_ng_section(&w, true);
	for (size_t i = 0; i < sizeof t / sizeof t[0]; i++)
		help_ng_interface(&w, 1, 0, t[i].tsresol, t[i].offset);
	for (size_t i = 0; i < sizeof t / sizeof t[0]; i++)
		help_ng_packet(&w, (uint32_t)i, t[i].ticks, "x", 1, 0);
	help_read_ways(&s, &w);
	ck_assert_uint_eq(s.n, sizeof t / sizeof t[0]);
	for (size_t i = 0; i < s.n; i++)
		ck_assert_uint_eq(s.p[i].ts_ns, t[i].ns);
	help_pcap_clear(&w);
}
END_TEST

START_TEST(pcapng_cut_everywhere)
{
	struct help_pcap w = { 0 };
	size_t ends[8], clean[32], n = 0;

	mixed_pcapng(&w, ends);
	/* Where blocks end, found by their lengths: the second section is little. */
	for (size_t at = 0; at < w.n; clean[n++] = at) {
		const uint8_t *p = w.p + at;

		at += at < ends[2] ? p[6] * 256u + p[7] : p[5] * 256u + p[4];
	}
	help_cut_everywhere(&w, 28, ends, 6, clean, n);
	help_pcap_clear(&w);
}
END_TEST

/* More than the buffers hold, packets of all sizes, a block longer than any buffer. */
START_TEST(large_packets_and_blocks)
{
	uint8_t *big = calloc(1, 20000000);
	struct help_pcap w = { 0 };
	struct help_seen s, other;

	for (size_t i = 0; i < LP_MAX_CAPLEN; i++)
		big[i] = (uint8_t)(i * i >> 3);
	help_ng_section(&w, true);
	help_ng_interface(&w, 1, 0, 6, 0);
	for (size_t i = 0; i < 20; i++)
		help_ng_packet(&w, 0, i, big + i, LP_MAX_CAPLEN - i * 7777, 0);
	help_ng_block(&w, 0x4711, big, 20000000);
	for (size_t i = 0; i < 20; i++)
		help_ng_packet(&w, 0, i, big, LP_MAX_CAPLEN - i, 0);
	help_read_way(&s, MAPPED, w.p, w.n);
	ck_assert_uint_eq(s.n, 40);
	ck_assert_int_eq(s.end, LP_EOF);
	ck_assert_uint_eq(s.p[39].caplen, LP_MAX_CAPLEN - 19);
	ck_assert_uint_eq(s.sum[39], help_sum(big, LP_MAX_CAPLEN - 19));
	help_read_way(&other, GZIP, w.p, w.n);
	help_same(&s, &other);
	help_read_way(&other, ZSTD, w.p, w.n);
	help_same(&s, &other);
	help_read_stdin(&other, w.p, w.n, 100000, LP_BATCH);
	help_same(&s, &other);
	free(big);
	help_pcap_clear(&w);
}
END_TEST

static void good_start(struct help_pcap *w)
{
	help_ng_section(w, true);
	help_ng_interface(w, 1, 0, 6, 0);
	help_ng_packet(w, 0, 1, "good", 4, 0);
}

START_TEST(pcapng_lying_lengths)
{
	struct help_pcap w = { 0 };
	static const uint8_t zero[64];
	size_t at;

	good_start(&w);
	at = w.n;
	help_ng_packet(&w, 0, 1, "xxxx", 4, 0);
	switch (_i) {
	case 0: /* captured length beyond the block */
		w.p[at + 20] = 5;
		help_corrupt_after_one(&w, "packet runs past its block");
		break;
	case 1:
		w.p[at + 8] = 1;
		help_corrupt_after_one(&w, "interface that was not described");
		break;
	case 2:
		w.p[w.n - 4] ^= 4;
		help_corrupt_after_one(&w, "another length");
		break;
	case 3:
		w.p[at + 4] = 8;
		help_corrupt_after_one(&w, "impossible length");
		break;
	case 4:
		w.p[at + 4] |= 2;
		help_corrupt_after_one(&w, "impossible length");
		break;
	case 5:
		w.p[at + 7] = 0x7f;
		help_corrupt_after_one(&w, "longer than a block can be");
		break;
	case 6: /* an unknown block's trailer */
		w.p[at] = 0x77;
		w.p[w.n - 1] = 1;
		help_corrupt_after_one(&w, "another length");
		break;
	case 7: /* a section that does not say its byte order */
		w.n = at;
		help_ng_block(&w, 0x0a0d0d0a, zero, 16);
		help_corrupt_after_one(&w, "byte-order magic");
		break;
	case 8:
		w.n = at;
		help_ng_section(&w, true);
		w.p[at + 12] = 2;
		help_corrupt_after_one(&w, "unknown version");
		break;
	case 9: /* an option that runs past its interface */
		w.n = at;
		help_ng_block(&w, 1, "\1\0\0\0\0\0\0\0\2\0\xff\xff", 12);
		help_corrupt_after_one(&w, "option runs past");
		break;
	case 10:
		w.n = at;
		help_ng_block(&w, 10, "KSLT\5\0\0\0four", 12);
		help_corrupt_after_one(&w, "secrets run past");
		break;
	case 11: /* the interfaces of a section are not those of the next */
		w.n = at;
		help_ng_section(&w, false);
		help_ng_simple(&w, "x", 1, 0);
		help_corrupt_after_one(&w, "interface that was not described");
		break;
	case 12:
		w.n = at;
		help_ng_simple(&w, "x", 1, 5);
		help_corrupt_after_one(&w, "packet runs past its block");
		break;
	default: /* blocks that are too short for their fields */
		w.n = at;
		help_ng_block(&w, (uint32_t[]){ 1, 2, 3, 6, 10 }[_i - 13], zero, _i == 15 ? 0 : 4);
		help_corrupt_after_one(&w, _i == 17 ? "secrets run past" : "too short");
	}
	help_pcap_clear(&w);
}
END_TEST

START_TEST(pcapng_interfaces_are_capped)
{
	struct help_pcap w = { 0 };
	struct help_seen s;

	good_start(&w);
	for (size_t i = 1; i < 65536; i++)
		help_ng_block(&w, 1, "\1\0\0\0\0\0\0\0", 8);
	help_ng_packet(&w, 65535, 1, "last", 4, 0);
	help_read_saved(&s, w.p, w.n, LP_BATCH);
	ck_assert_int_eq(s.end, LP_EOF);
	ck_assert_uint_eq(s.n, 2);
	ck_assert_uint_eq(s.p[1].iface, 65535);
	help_ng_block(&w, 1, "\1\0\0\0\0\0\0\0", 8);
	help_read_saved(&s, w.p, w.n, LP_BATCH);
	ck_assert_int_eq(s.end, LP_E_FORMAT);
	ck_assert_uint_eq(s.n, 2);
	ck_assert_ptr_nonnull(strstr(s.why, "too many interfaces"));
	help_pcap_clear(&w);
}
END_TEST

Suite *suite_capture_pcapng(void)
{
	Suite *s = suite_create("capture_pcapng");
	TCase *t = tcase_create("capture_pcapng");

	tcase_set_timeout(t, 60);
	tcase_add_test(t, pcapng_sections_interfaces_and_blocks);
	tcase_add_test(t, pcapng_secrets_come_before_their_packets);
	tcase_add_test(t, pcapng_secrets_are_found_wherever_they_stand);
	tcase_add_test(t, pcapng_clocks);
	tcase_add_test(t, pcapng_cut_everywhere);
	tcase_add_test(t, large_packets_and_blocks);
	tcase_add_loop_test(t, pcapng_lying_lengths, 0, 18);
	tcase_add_test(t, pcapng_interfaces_are_capped);
	suite_add_tcase(s, t);
	return s;
}
