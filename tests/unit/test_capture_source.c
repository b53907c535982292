/* capture/source.c and filter.c: several files, numbers, merge, BPF on files. */
#include <check.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "capture/capture.h"
#include "help_pcap.h"

enum { FILES = 3, MOST = 400 };

struct files {
	char path[FILES][HELP_PATH];
	const char *name[FILES];
	size_t n;
};

struct seen {
	enum lp_err end;
	size_t n, batches;
	uint64_t number[MOST], ts[MOST];
	char text[MOST + 1]; /* the first byte of each packet */
	struct lp_capture_stats stats;
	char why[LP_WHY_SIZE];
};

static void files_add(struct files *f, struct help_pcap *w, size_t n)
{
	help_pcap_save(w->p, n, f->path[f->n]);
	f->name[f->n] = f->path[f->n];
	f->n++;
	help_pcap_clear(w);
}

static void files_clear(struct files *f)
{
	for (size_t i = 0; i < f->n; i++)
		unlink(f->path[i]);
}

static void read_files(struct seen *s, const struct files *f, bool merge, const char *filter,
		       size_t max)
{
	struct lp_capture_config config = { .filter = filter };
	struct lp_wire p[LP_BATCH];
	struct lp_capture *c;
	size_t n;

	memset(s, 0, sizeof *s);
	s->end = lp_capture_open_files(&c, f->name, f->n, merge, &config, s->why);
	ck_assert_msg(s->end == LP_OK, "%s", s->why);
	while (!(s->end = lp_capture_read(c, p, max, &n))) {
		s->batches++;
		for (size_t i = 0; i < n; i++) {
			ck_assert_uint_lt(s->n, MOST);
			s->number[s->n] = p[i].number;
			s->ts[s->n] = p[i].ts_ns;
			s->text[s->n++] = (char)p[i].data[0];
		}
	}
	ck_assert_int_eq(lp_capture_read(c, p, max, &n), s->end);
	lp_capture_stats(c, &s->stats);
	ck_assert_uint_eq(s->stats.packets, s->n);
	snprintf(s->why, sizeof s->why, "%s", lp_capture_why(c));
	lp_capture_close(c);
}

/* A pcap file with a packet for each letter, at the seconds in at. */
static void letters(struct help_pcap *w, const char *text, const char *at)
{
	help_pcap_begin(w, true, HELP_PCAP_US, 1);
	for (; *text; text++, at++)
		help_pcap_packet(w, (uint64_t)(*at - '0') * 1000000000, text, 1, 0);
}

START_TEST(files_in_the_order_given)
{
	struct files f = { .n = 0 };
	struct help_pcap w = { 0 };
	struct seen s;

	letters(&w, "abc", "567");
	files_add(&f, &w, w.n);
	letters(&w, "", "");
	files_add(&f, &w, w.n);
	letters(&w, "de", "12");
	files_add(&f, &w, w.n);
	for (size_t max = 1; max < 5; max++) {
		read_files(&s, &f, false, NULL, max);
		ck_assert_int_eq(s.end, LP_EOF);
		ck_assert_str_eq(s.text, "abcde");
		for (size_t i = 0; i < 5; i++)
			ck_assert_uint_eq(s.number[i], i + 1);
		ck_assert_uint_eq(s.stats.bytes, 5);
	}
	files_clear(&f);
}
END_TEST

START_TEST(files_merged_by_time)
{
	struct files f = { .n = 0 };
	struct help_pcap w = { 0 };
	struct seen s;

	letters(&w, "adgj", "1355");
	files_add(&f, &w, w.n);
	letters(&w, "behk", "1357");
	files_add(&f, &w, w.n);
	letters(&w, "cfilm", "13588");
	files_add(&f, &w, w.n);
	for (size_t max = 1; max < 16; max++) {
		read_files(&s, &f, true, NULL, max);
		ck_assert_int_eq(s.end, LP_EOF);
		ck_assert_str_eq(s.text, "abcdefgjhiklm");
		for (size_t i = 0; i < s.n; i++) {
			ck_assert_uint_eq(s.number[i], i + 1);
			ck_assert(!i || s.ts[i] >= s.ts[i - 1]);
		}
	}
	files_clear(&f);
}
END_TEST

/* Time that goes back inside a file stays as it was recorded. */
START_TEST(merge_keeps_each_files_order)
{
	struct files f = { .n = 0 };
	struct help_pcap w = { 0 };
	struct seen s;

	letters(&w, "abc", "515");
	files_add(&f, &w, w.n);
	letters(&w, "xyz", "246");
	files_add(&f, &w, w.n);
	read_files(&s, &f, true, NULL, LP_BATCH);
	ck_assert_str_eq(s.text, "xyabcz");
	files_clear(&f);
}
END_TEST

START_TEST(merge_of_many_batches)
{
	struct files f = { .n = 0 };
	struct help_pcap w = { 0 };
	struct seen s;

	for (size_t k = 0; k < FILES; k++) {
		help_pcap_begin(&w, k & 1, HELP_PCAP_NS, 1);
		for (uint64_t i = 0; i < 130; i++)
			help_pcap_packet(&w, i * i * (k + 1), &"abc"[k], 1, 0);
		files_add(&f, &w, w.n);
	}
	read_files(&s, &f, true, NULL, LP_BATCH);
	ck_assert_uint_eq(s.n, 390);
	for (size_t i = 1; i < s.n; i++)
		ck_assert(s.ts[i] > s.ts[i - 1] ||
			  (s.ts[i] == s.ts[i - 1] && s.text[i] >= s.text[i - 1]));
	files_clear(&f);
}
END_TEST

/* The others go on, and the first fault is told at the end. */
START_TEST(a_cut_file_costs_its_rest_only)
{
	struct files f = { .n = 0 };
	struct help_pcap w = { 0 };
	struct seen s;
	bool merge = _i & 1, corrupt = _i & 2;

	letters(&w, "abc", "147");
	if (corrupt)
		memset(w.p + 24 + 2 * 17 + 8, 0xff, 4);
	files_add(&f, &w, w.n - 1);
	letters(&w, "def", "258");
	files_add(&f, &w, w.n - 2);
	letters(&w, "ghi", "369");
	files_add(&f, &w, w.n);
	for (size_t max = 1; max < 10; max += 4) {
		read_files(&s, &f, merge, NULL, max);
		ck_assert_str_eq(s.text, merge ? "adgbehi" : "abdeghi");
		ck_assert_int_eq(s.end, corrupt ? LP_E_FORMAT : LP_E_TRUNCATED);
		ck_assert_ptr_nonnull(strstr(s.why, f.path[0]));
		ck_assert_ptr_nonnull(strstr(s.why, "after packet 2"));
	}
	files_clear(&f);
}
END_TEST

START_TEST(a_wrong_name_shows_at_open)
{
	struct files f = { .n = 0 };
	struct help_pcap w = { 0 };
	const char *name[3];
	char why[LP_WHY_SIZE];
	struct lp_capture *c;

	letters(&w, "a", "1");
	files_add(&f, &w, w.n);
	name[0] = name[2] = f.name[0];
	name[1] = "/nonexistent.pcap";
	for (int merge = 0; merge < 2; merge++) {
		ck_assert_int_eq(lp_capture_open_files(&c, name, 3, merge, NULL, why),
				 LP_E_NOENT);
		ck_assert_ptr_null(c);
		ck_assert_str_eq(why, "/nonexistent.pcap: No such file or directory");
	}
	files_clear(&f);
}
END_TEST

/* IPv4 and UDP of 28 bytes from port 1000 to the given one. */
static void udp(uint8_t p[28], uint16_t port)
{
	static const uint8_t head[28] = {
		0x45, 0, 0, 28, 0, 0, 0, 0, 64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2,
		1000 >> 8, 1000 & 255, 0, 0, 0, 8, 0, 0,
	};

	memcpy(p, head, sizeof head);
	p[22] = (uint8_t)(port >> 8);
	p[23] = (uint8_t)port;
}

static void ethernet(uint8_t p[42], uint16_t port)
{
	memset(p, 0, 14);
	p[12] = 8;
	udp(p + 14, port);
}

START_TEST(filter_counts_what_it_keeps_back)
{
	struct files f = { .n = 0 };
	struct help_pcap w = { 0 };
	uint8_t p[42];
	struct seen s;

	for (size_t k = 0; k < 2; k++) {
		help_pcap_begin(&w, true, HELP_PCAP_US, 1);
		for (uint16_t i = 0; i < 100; i++) {
			ethernet(p, i % 10);
			p[0] = '0' + i % 10;
			help_pcap_packet(&w, i, p, sizeof p, 0);
		}
		files_add(&f, &w, w.n);
	}
	read_files(&s, &f, false, "udp dst port 7 and host 10.0.0.1", 8);
	ck_assert_uint_eq(s.n, 20);
	ck_assert_uint_eq(s.stats.filtered, 180);
	ck_assert_uint_eq(s.stats.bytes, 20 * 42);
	for (size_t i = 0; i < s.n; i++)
		ck_assert_uint_eq(s.number[i], i * 10 + 8);
	read_files(&s, &f, true, "tcp", LP_BATCH);
	ck_assert_uint_eq(s.n, 0);
	ck_assert_uint_eq(s.stats.filtered, 200);
	files_clear(&f);
}
END_TEST

/* One expression over every link type, and over either byte order of NULL. */
START_TEST(filter_on_every_link_type)
{
	struct files f = { .n = 0 };
	struct help_pcap w = { 0 };
	uint8_t p[64] = { 0 };
	struct seen s;

	help_ng_section(&w, true);
	help_ng_interface(&w, LP_LINK_ETHERNET, 0, 6, 0);
	help_ng_interface(&w, LP_LINK_RAW, 0, 6, 0);
	help_ng_interface(&w, LP_LINK_LINUX_SLL, 0, 6, 0);
	help_ng_interface(&w, LP_LINK_LINUX_SLL2, 0, 6, 0);
	help_ng_interface(&w, LP_LINK_IPV4, 0, 6, 0);
	help_ng_interface(&w, LP_LINK_NULL, 0, 6, 0);
	help_ng_interface(&w, LP_LINK_LOOP, 0, 6, 0);
	help_ng_interface(&w, 147, 0, 6, 0); /* USER0: limpid says that it cannot decode it */
	for (uint16_t port = 6; port <= 7; port++) {
		ethernet(p, port);
		help_ng_packet(&w, 0, 0, p, 42, 0);
		udp(p, port);
		help_ng_packet(&w, 1, 0, p, 28, 0);
		memset(p, 0, 16);
		p[14] = 8;
		udp(p + 16, port);
		help_ng_packet(&w, 2, 0, p, 44, 0);
		memset(p, 0, 20);
		p[0] = 8;
		udp(p + 20, port);
		help_ng_packet(&w, 3, 0, p, 48, 0);
		udp(p, port);
		help_ng_packet(&w, 4, 0, p, 28, 0);
		memcpy(p, "\0\0\0\2", 4);
		udp(p + 4, port);
		help_ng_packet(&w, 5, 0, p, 32, 0);
		memcpy(p, "\2\0\0\0", 4);
		help_ng_packet(&w, 5, 0, p, 32, 0);
		help_ng_packet(&w, 6, 0, p, 32, 0);
		help_ng_packet(&w, 6, 0, p, 3, 0);
		help_ng_packet(&w, 7, 0, p, 32, 0);
	}
	files_add(&f, &w, w.n);
	read_files(&s, &f, false, "port 7", LP_BATCH);
	ck_assert_uint_eq(s.n, 10);
	ck_assert_uint_eq(s.stats.filtered, 10);
	ck_assert_uint_eq(s.number[0], 10); /* USER0 passes */
	ck_assert_uint_eq(s.number[1], 11);
	ck_assert_uint_eq(s.number[8], 18);
	ck_assert_uint_eq(s.number[9], 20);
	/* Where the expression means nothing, nothing matches. */
	read_files(&s, &f, false, "ether host 00:00:00:00:00:00 and port 7", LP_BATCH);
	ck_assert_uint_eq(s.n, 3);
	ck_assert_uint_eq(s.number[1], 11);
	files_clear(&f);
}
END_TEST

START_TEST(filter_that_is_wrong)
{
	static const struct {
		const char *text, *why;
	} t[] = {
		{ "tcp prot 80", "filter \"tcp prot 80\": " },
		{ "port", "filter \"port\": " },
		{ "\xff\033 and (", "filter \"\\xff\\x1b and (\": " },
		{ "ether host 00:00:00:00:00:01", "limpid-test-" }, /* on RAW */
	};
	struct lp_capture_config config = { .filter = t[_i].text };
	struct files f = { .n = 0 };
	struct help_pcap w = { 0 };
	char why[LP_WHY_SIZE] = "";
	struct lp_capture *c;

	help_pcap_begin(&w, true, HELP_PCAP_US, LP_LINK_RAW);
	files_add(&f, &w, w.n);
	ck_assert_int_eq(lp_capture_open_file(&c, f.name[0], &config, why), LP_E_ARG);
	ck_assert_ptr_null(c);
	ck_assert_msg(strstr(why, t[_i].why), "%s", why);
	ck_assert_ptr_null(strchr(why, '\n'));
	files_clear(&f);
}
END_TEST

/* Lent packets are there until the end, long after their file was read. */
START_TEST(lent_packets_stay)
{
	const struct lp_capture_config config = { .filter = NULL };
	struct files f = { .n = 0 };
	struct lp_wire p[MOST];
	struct help_pcap w = { 0 };
	char why[LP_WHY_SIZE];
	struct lp_capture *c;
	size_t n = 0, some;
	uint64_t done, total;

	letters(&w, "abc", "123");
	files_add(&f, &w, w.n);
	letters(&w, "de", "45");
	files_add(&f, &w, w.n);
	letters(&w, "fghi", "6789");
	files_add(&f, &w, w.n - 1);
	ck_assert_int_eq(lp_capture_open_files(&c, f.name, f.n, _i, &config, why), LP_OK);
	ck_assert(lp_capture_lend(c, _i ? 0 : LP_CAPTURE_LENT));
	while (!lp_capture_read(c, p + n, 2, &some))
		n += some;
	for (size_t i = 0; i < n; i++)
		ck_assert_int_eq(p[i].data[0], "abcdefgh"[i]);
	ck_assert_uint_eq(n, 8);
	lp_capture_position(c, &done, &total);
	ck_assert_uint_eq(total, 3 * 24 + 9 * 17 - 1);
	ck_assert_uint_eq(done, total - 16);
	lp_capture_close(c);
	files_clear(&f);
}
END_TEST

/* One that is not mapped is enough. */
START_TEST(a_pipe_lends_nothing)
{
	const struct lp_capture_config config = { .filter = NULL };
	struct files f = { .n = 0 };
	struct help_pcap w = { 0 };
	char why[LP_WHY_SIZE];
	struct lp_capture *c;
	int fd[2], before = dup(0);

	letters(&w, "abc", "123");
	ck_assert_int_eq(pipe(fd), 0);
	ck_assert_int_eq(write(fd[1], w.p, w.n), (int)w.n);
	files_add(&f, &w, w.n);
	close(fd[1]);
	dup2(fd[0], 0);
	close(fd[0]);
	f.name[f.n++] = "-";
	ck_assert_int_eq(lp_capture_open_files(&c, f.name, f.n, false, &config, why), LP_OK);
	ck_assert(!lp_capture_lend(c, 0));
	lp_capture_close(c);
	dup2(before, 0);
	close(before);
	f.n--;
	files_clear(&f);
}
END_TEST

Suite *suite_capture_source(void)
{
	Suite *s = suite_create("capture_source");
	TCase *t = tcase_create("capture_source");

	tcase_add_test(t, files_in_the_order_given);
	tcase_add_test(t, files_merged_by_time);
	tcase_add_test(t, merge_keeps_each_files_order);
	tcase_add_test(t, merge_of_many_batches);
	tcase_add_loop_test(t, lent_packets_stay, 0, 2);
	tcase_add_test(t, a_pipe_lends_nothing);
	tcase_add_loop_test(t, a_cut_file_costs_its_rest_only, 0, 4);
	tcase_add_test(t, a_wrong_name_shows_at_open);
	tcase_add_test(t, filter_counts_what_it_keeps_back);
	tcase_add_test(t, filter_on_every_link_type);
	tcase_add_loop_test(t, filter_that_is_wrong, 0, 4);
	suite_add_tcase(s, t);
	return s;
}
