/* plugins/sink.c, sink_file.c, files.c: a disk that is full and a reader that is
 * slow or gone, in a replay and in a live capture. A full disk is a limit on the
 * size of files, and as root a small tmpfs too. */
#define _GNU_SOURCE
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "help_plugin.h"
#include "help_tool.h"
#include "plugins/plugins.h"

#define SECOND 1000000000ULL

static struct help_plugin h;
static struct help_flow f;
static struct help_session s;
static uint64_t now;

static void begin_with(const struct lp_plugin *plugin, int live)
{
	help_plugin_init(&h, plugin);
	h.host.live = live;
	now = 1000 * SECOND;
	signal(SIGXFSZ, SIG_IGN);
	signal(SIGPIPE, SIG_IGN);
}

static void end(void)
{
	help_plugin_clear(&h);
}

static int pass(unsigned seconds)
{
	int status = 0;

	while (seconds--)
		status |= help_plugin_tick(&h, now += SECOND);
	return status;
}

static size_t lines_of(const char *text)
{
	size_t n = 0;

	for (; (text = strchr(text, '\n')); text++)
		n++;
	return n;
}

/* The number between the two, or -1. */
static long number_between(const char *text, const char *before, const char *after)
{
	const char *at = strstr(text, before);
	char *stop;
	long n;

	if (!at)
		return -1;
	n = strtol(at + strlen(before), &stop, 10);
	return strncmp(stop, after, strlen(after)) ? -1 : n;
}

/* ---- json ---- */

static void a_session(void)
{
	help_session_begin(&s, &f);
	help_session_text(&s, LP_C2S, "x");
	ck_assert_int_eq(help_session_end(&s, LP_DECRYPTED, NULL), 0);
}

/* Every line of the file is an object; how many there are. */
static size_t whole_lines(const char *name)
{
	char *got = help_plugin_read(&h, name, NULL), *line, *save = NULL;
	size_t n = lines_of(got);

	ck_assert_int_eq(got[strlen(got) - 1], '\n');
	for (line = strtok_r(got, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		json_t *o = json_loads(line, 0, NULL);

		ck_assert_ptr_nonnull(o);
		json_decref(o);
	}
	free(got);
	return n;
}

/* 40 sessions meet a full disk, which then has room again for 10 more. */
static void json_over_an_outage(void (*full)(void), void (*room)(void))
{
	size_t before;
	long lost;

	ck_assert_int_eq(help_plugin_open(&h, "out", NULL), 0);
	full();
	help_flow_begin(&f, &h, 4, 1);
	for (int i = 0; i < 40; i++)
		a_session();
	ck_assert_ptr_nonnull(strstr(h.log, "cannot write out: "));
	ck_assert_ptr_nonnull(strstr(h.log, "; tried again every 5 s\n"));
	ck_assert_uint_eq(lines_of(h.log), 1);
	before = whole_lines("out");
	ck_assert_uint_gt(before, 0);
	ck_assert_uint_lt(before, 40);
	/* Tried in vain: no word. */
	ck_assert_int_eq(pass(7), 0);
	a_session();
	ck_assert_uint_eq(lines_of(h.log), 1);
	room();
	a_session();
	ck_assert_int_eq(pass(4), 0);
	a_session();
	ck_assert_uint_eq(whole_lines("out"), before);
	ck_assert_int_eq(pass(3), 0);
	for (int i = 0; i < 10; i++)
		a_session();
	lost = number_between(h.log, "out can be written again: ", " lines were lost\n");
	ck_assert_int_eq(lost, 43 - (long)before);
	ck_assert_uint_eq(lines_of(h.log), 2);
	ck_assert_int_eq(help_plugin_close(&h, NULL), -1);
	ck_assert_uint_eq(lines_of(h.log), 2);
	ck_assert_uint_eq(whole_lines("out"), before + 10);
}

static void small_limit(void)
{
	h.full_at = 4000;
}

static void no_limit(void)
{
	h.full_at = 0;
}

START_TEST(json_goes_on_after_a_full_disk)
{
	begin_with(&lp_plugin_json, 1);
	json_over_an_outage(small_limit, no_limit);
	end();
}
END_TEST

static void fill(void)
{
	char block[4096] = { 0 };
	int fd = openat(h.host.dirfd, "ballast", O_WRONLY | O_CREAT, 0600);

	while (write(fd, block, sizeof block) > 0)
		;
	ck_assert_int_eq(errno, ENOSPC);
	/* A page for the lines. */
	ck_assert_int_eq(ftruncate(fd, lseek(fd, 0, SEEK_CUR) - 4096), 0);
	close(fd);
}

static void make_room(void)
{
	ck_assert_int_eq(unlinkat(h.host.dirfd, "ballast", 0), 0);
}

START_TEST(json_on_a_small_tmpfs)
{
	begin_with(&lp_plugin_json, 1);
	if (geteuid() || unshare(CLONE_NEWNS) ||
	    mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
	    mount("none", h.dir, "tmpfs", 0, "size=64k")) {
		help_skip("no tmpfs, that needs root");
		end();
		return;
	}
	close(h.host.dirfd);
	h.host.dirfd = open(h.dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	json_over_an_outage(fill, make_room);
	close(h.host.dirfd);
	ck_assert_int_eq(umount2(h.dir, MNT_DETACH), 0);
	h.host.dirfd = open(h.dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	end();
}
END_TEST

START_TEST(json_still_stopped_at_the_end)
{
	begin_with(&lp_plugin_json, 1);
	ck_assert_int_eq(help_plugin_open(&h, "/dev/full", NULL), 0);
	help_flow_begin(&f, &h, 4, 1);
	a_session();
	a_session();
	pass(20);
	a_session();
	ck_assert_int_eq(help_plugin_close(&h, NULL), -1);
	ck_assert_str_eq(h.log, "cannot write /dev/full: No space left on device; tried again "
				"every 5 s\n/dev/full: 3 lines were lost\n");
	end();
}
END_TEST

START_TEST(another_file_in_its_place_is_left_alone)
{
	char *got;
	int fd;

	begin_with(&lp_plugin_json, 1);
	ck_assert_int_eq(help_plugin_open(&h, "out", NULL), 0);
	h.full_at = 100;
	help_flow_begin(&f, &h, 4, 1);
	a_session();
	ck_assert_int_eq(unlinkat(h.host.dirfd, "out", 0), 0);
	fd = openat(h.host.dirfd, "out", O_WRONLY | O_CREAT, 0600);
	ck_assert_int_eq(write(fd, "mine\n", 5), 5);
	close(fd);
	h.full_at = 0;
	pass(20);
	a_session();
	got = help_plugin_read(&h, "out", NULL);
	ck_assert_str_eq(got, "mine\n");
	free(got);
	/* Gone, it may be made again. */
	ck_assert_int_eq(unlinkat(h.host.dirfd, "out", 0), 0);
	pass(20);
	a_session();
	ck_assert_uint_eq(whole_lines("out"), 1);
	ck_assert_int_eq(help_plugin_close(&h, NULL), -1);
	end();
}
END_TEST

START_TEST(a_replay_stops_at_once_behind_a_whole_line)
{
	int status = 0, n;

	begin_with(&lp_plugin_json, 0);
	ck_assert_int_eq(help_plugin_open(&h, "out", NULL), 0);
	h.full_at = 100000;
	help_flow_begin(&f, &h, 4, 1);
	for (n = 0; n < 1000 && !status; n++) {
		help_session_begin(&s, &f);
		status = help_session_end(&s, LP_DECRYPTED, NULL);
	}
	ck_assert_int_lt(n, 1000);
	ck_assert_str_eq(h.log, "cannot write out: File too large; the replay stops here\n");
	ck_assert_int_eq(help_plugin_close(&h, NULL), -1);
	ck_assert_uint_eq(lines_of(h.log), 1);
	ck_assert_uint_gt(whole_lines("out"), 100);
	end();
}
END_TEST

/* ---- pcap ---- */

struct packets {
	size_t n, syn, data;
};

/* A capture that ends with its last packet; what is in it. */
static struct packets packets_of(const uint8_t *p, size_t n)
{
	struct packets got = { 0, 0, 0 };
	uint32_t length, magic;
	size_t at = 24;

	ck_assert_uint_ge(n, 24);
	memcpy(&magic, p, 4);
	ck_assert_uint_eq(magic, 0xa1b2c3d4);
	while (at < n) {
		ck_assert_uint_ge(n - at, 16 + 54);
		memcpy(&length, p + at + 8, 4);
		ck_assert_uint_ge(n - at, 16 + length);
		got.n++;
		got.syn += p[at + 16 + 14 + 20 + 13] == 0x02;
		got.data += (p[at + 16 + 14 + 20 + 13] & 0x08) != 0;
		at += 16 + length;
	}
	ck_assert_uint_eq(at, n);
	return got;
}

static struct packets packets_in(const char *name)
{
	size_t n;
	char *got = help_plugin_read(&h, name, &n);
	struct packets p;

	ck_assert_ptr_nonnull(got);
	p = packets_of((const uint8_t *)got, n);
	free(got);
	return p;
}

START_TEST(pcap_goes_on_at_a_packet)
{
	struct packets p;
	struct help_flow other;
	struct help_session in_other;
	long lost;

	begin_with(&lp_plugin_pcap, 1);
	ck_assert_int_eq(help_plugin_open(&h, "out", NULL), 0);
	help_flow_begin(&f, &h, 4, 1);
	help_session_begin(&s, &f);
	ck_assert_int_eq(help_session_text(&s, LP_C2S, "before"), 0);
	h.full_at = 24 + 3 * 70 + 3 * 8 + 100; /* in the middle of the second piece */
	ck_assert_int_eq(pass(1), 0);
	ck_assert_int_eq(help_session_text(&s, LP_C2S, "in the middle of which it ends"), 0);
	ck_assert_int_eq(pass(1), 0);
	ck_assert_uint_eq(lines_of(h.log), 1);
	p = packets_in("out");
	ck_assert_uint_eq(p.syn, 1);
	/* A flow that begins in the outage, and more of the old one. */
	help_flow_begin(&other, &h, 4, 2);
	help_session_begin(&in_other, &other);
	ck_assert_int_eq(help_session_text(&in_other, LP_C2S, "unseen"), 0);
	ck_assert_int_eq(help_session_text(&s, LP_C2S, "unseen"), 0);
	h.full_at = 0;
	ck_assert_int_eq(pass(7), 0);
	ck_assert_int_eq(help_session_text(&in_other, LP_S2C, "after"), 0);
	ck_assert_int_eq(help_session_text(&s, LP_S2C, "after"), 0);
	ck_assert_int_eq(help_flow_end(&f, LP_END_FIN, LP_END_FIN), 0);
	ck_assert_int_eq(pass(1), 0);
	lost = number_between(h.log, "out can be written again: ", " packets were lost\n");
	ck_assert_int_gt(lost, 4);
	ck_assert_int_eq(help_plugin_close(&h, NULL), -1);
	/* Both began again: a handshake, the hole, the bytes, and the end of the first. */
	ck_assert_uint_eq(packets_in("out").syn, p.syn + 2);
	ck_assert_uint_eq(packets_in("out").data, p.data + 2);
	ck_assert_uint_eq(packets_in("out").n, p.n + 2 * (3 + 1 + 2) + 4);
	end();
}
END_TEST

START_TEST(pcap_begins_a_new_file_with_its_header)
{
	begin_with(&lp_plugin_pcap, 1);
	ck_assert_int_eq(help_plugin_open(&h, "out", NULL), 0);
	help_flow_begin(&f, &h, 4, 1);
	help_session_begin(&s, &f);
	h.full_at = 100;
	ck_assert_int_eq(help_session_text(&s, LP_C2S, "lost"), 0);
	ck_assert_int_eq(pass(1), 0);
	ck_assert_uint_eq(packets_in("out").n, 1 - 1);
	ck_assert_int_eq(unlinkat(h.host.dirfd, "out", 0), 0);
	h.full_at = 0;
	pass(7);
	ck_assert_int_eq(help_session_text(&s, LP_C2S, "after"), 0);
	ck_assert_int_eq(help_plugin_close(&h, NULL), -1);
	ck_assert_uint_eq(packets_in("out").syn, 1);
	ck_assert_int_eq(number_between(h.log, "again: ", " packets were lost\n"), 5);
	end();
}
END_TEST

START_TEST(pcap_rotates)
{
	begin_with(&lp_plugin_pcap, _i);
	ck_assert_int_eq(help_plugin_open(&h, "out", NULL), 0);
	help_flow_begin(&f, &h, 4, 1);
	help_session_begin(&s, &f);
	ck_assert_int_eq(help_session_text(&s, LP_C2S, "one"), 0);
	ck_assert_int_eq(h.plugin->rotate(h.self), 0); /* not moved away: nothing changes */
	ck_assert_int_eq(help_session_text(&s, LP_C2S, "one"), 0);
	ck_assert_int_eq(renameat(h.host.dirfd, "out", h.host.dirfd, "out.1"), 0);
	ck_assert_int_eq(h.plugin->rotate(h.self), 0);
	ck_assert_int_eq(help_session_text(&s, LP_C2S, "two"), 0);
	ck_assert_int_eq(help_plugin_close(&h, NULL), 0);
	for (int i = 0; i < 2; i++) {
		struct packets p = packets_in(i ? "out" : "out.1");

		ck_assert_uint_eq(p.syn, 1);
		ck_assert_uint_eq(p.data, i ? 1 : 2);
	}
	ck_assert_str_eq(h.log, "");
	end();
}
END_TEST

/* ---- readers ---- */

static size_t read_all(int fd, uint8_t *out, size_t size)
{
	size_t n = 0;
	ssize_t r;

	while ((r = read(fd, out + n, size - n)) > 0)
		n += (size_t)r;
	return n;
}

START_TEST(a_slow_reader_is_left_behind)
{
	const size_t size = 64 * 1024 * 1024;
	uint8_t *room = malloc(size), big[14600];
	struct packets p;
	size_t sent = 0, n;
	int reader;

	memset(big, 'z', sizeof big);
	begin_with(&lp_plugin_pcap, 1);
	ck_assert_int_eq(mkfifoat(h.host.dirfd, "out", 0600), 0);
	reader = openat(h.host.dirfd, "out", O_RDONLY | O_NONBLOCK);
	ck_assert_int_eq(help_plugin_open(&h, "out", NULL), 0);
	help_flow_begin(&f, &h, 4, 1);
	help_session_begin(&s, &f);
	/* Nobody reads, and nothing waits for it. */
	for (int i = 0; i < 2000; i++, sent += 10)
		ck_assert_int_eq(help_session_data(&s, LP_C2S, big, sizeof big), 0);
	ck_assert_str_eq(h.log, "out is read too slowly: packets are dropped\n");
	h.log[0] = '\0';
	n = read_all(reader, room, size);
	for (int i = 0; i < 2000 && n < size; i++) {
		ck_assert_int_eq(h.plugin->tick(h.self, now), 0);
		n += read_all(reader, room + n, size - n);
	}
	p = packets_of(room, n);
	ck_assert_uint_eq(p.syn, 1);
	ck_assert_uint_gt(n, 12 * 1024 * 1024);
	ck_assert_uint_lt(n, 17 * 1024 * 1024);
	/* What comes now has its place again. */
	ck_assert_int_eq(help_session_text(&s, LP_C2S, "!"), 0);
	ck_assert_int_eq(h.plugin->tick(h.self, now), 0);
	n += read_all(reader, room + n, size - n);
	ck_assert_uint_eq(packets_of(room, n).data, p.data + 1);
	ck_assert_int_eq(help_plugin_close(&h, NULL), 0);
	ck_assert_int_eq(number_between(h.log, "out: ", " packets were lost\n"),
			 (long)(3 + 2 * sent - p.n));
	close(reader);
	free(room);
	end();
}
END_TEST

START_TEST(a_reader_that_comes_back)
{
	uint8_t room[4096];
	int reader;

	begin_with(&lp_plugin_pcap, 1);
	ck_assert_int_eq(mkfifoat(h.host.dirfd, "out", 0600), 0);
	reader = openat(h.host.dirfd, "out", O_RDONLY | O_NONBLOCK);
	ck_assert_int_eq(help_plugin_open(&h, "out", NULL), 0);
	help_flow_begin(&f, &h, 4, 1);
	help_session_begin(&s, &f);
	ck_assert_int_eq(help_session_text(&s, LP_C2S, "one"), 0);
	close(reader);
	pass(8);
	ck_assert_str_eq(h.log, "cannot write out: Broken pipe; tried again every 5 s\n");
	reader = openat(h.host.dirfd, "out", O_RDONLY | O_NONBLOCK);
	pass(8);
	ck_assert_int_eq(help_session_text(&s, LP_C2S, "two"), 0);
	pass(1);
	ck_assert_uint_eq(packets_of(room, read_all(reader, room, sizeof room)).syn, 1);
	ck_assert_int_eq(number_between(h.log, "again: ", " packets were lost\n"), 5);
	close(reader);
	ck_assert_int_eq(help_plugin_close(&h, NULL), -1);
	end();
}
END_TEST

START_TEST(a_reader_of_a_replay_that_goes_away)
{
	uint8_t big[65536] = { 0 };
	int reader, status = 0;

	begin_with(&lp_plugin_pcap, 0);
	ck_assert_int_eq(mkfifoat(h.host.dirfd, "out", 0600), 0);
	reader = openat(h.host.dirfd, "out", O_RDONLY | O_NONBLOCK);
	ck_assert_int_eq(help_plugin_open(&h, "out", NULL), 0);
	close(reader);
	help_flow_begin(&f, &h, 4, 1);
	help_session_begin(&s, &f);
	for (int i = 0; i < 4 && !status; i++)
		status = help_session_data(&s, LP_C2S, big, sizeof big);
	ck_assert_int_eq(status, -1);
	ck_assert_str_eq(h.log, "cannot write out: Broken pipe; the replay stops here\n");
	ck_assert_int_eq(help_plugin_close(&h, NULL), -1);
	ck_assert_uint_eq(lines_of(h.log), 1);
	end();
}
END_TEST

/* ---- files ---- */

START_TEST(files_count_what_the_disk_did_not_take)
{
	static const char want[] = "\"gaps\":[{\"dir\":\"client\",\"offset\":200,\"lost\":0,"
				   "\"clear_lost\":300}]";
	struct help_session later;
	uint8_t bytes[100];
	char *got;
	size_t n;

	memset(bytes, 'x', sizeof bytes);
	begin_with(&lp_plugin_files, 1);
	ck_assert_int_eq(help_plugin_open(&h, "out", NULL), 0);
	help_flow_begin(&f, &h, 4, 1);
	help_session_begin(&s, &f);
	h.full_at = 200;
	for (int i = 0; i < 4; i++)
		ck_assert_int_eq(help_session_data(&s, LP_C2S, bytes, sizeof bytes), 0);
	ck_assert_str_eq(h.log, "cannot write out/000001_client.bin: File too large; tried again "
				"every 5 s\n");
	pass(7);
	ck_assert_int_eq(help_session_data(&s, LP_C2S, bytes, sizeof bytes), 0);
	ck_assert_uint_eq(lines_of(h.log), 1);
	/* Begins in the outage: its files are made when there is room. */
	help_session_begin(&later, &f);
	ck_assert_int_eq(help_session_data(&later, LP_S2C, bytes, 70), 0);
	h.full_at = 0;
	pass(7);
	ck_assert_int_eq(help_session_data(&s, LP_C2S, bytes, 50), 0);
	ck_assert_int_eq(help_session_data(&later, LP_S2C, bytes, 30), 0);
	ck_assert_int_eq(number_between(h.log, "out can be written again: ", " bytes were lost\n"),
			 370);
	ck_assert_int_eq(help_session_end(&s, LP_DECRYPTED, NULL), 0);
	ck_assert_int_eq(help_session_end(&later, LP_DECRYPTED, NULL), 0);
	ck_assert_int_eq(help_flow_end(&f, LP_END_FIN, LP_END_FIN), 0);
	ck_assert_int_eq(help_plugin_close(&h, NULL), -1);
	free(help_plugin_read(&h, "out/000001_client.bin", &n));
	ck_assert_uint_eq(n, 250);
	free(help_plugin_read(&h, "out/000002_server.bin", &n));
	ck_assert_uint_eq(n, 30);
	got = help_plugin_read(&h, "out/index.jsonl", NULL);
	ck_assert_ptr_nonnull(strstr(got, want));
	ck_assert_ptr_nonnull(strstr(got, "\"gaps\":[{\"dir\":\"server\",\"offset\":0,\"lost\":0,"
					  "\"clear_lost\":70}]"));
	ck_assert_uint_eq(lines_of(got), 2);
	free(got);
	end();
}
END_TEST

START_TEST(files_a_name_in_the_way_concerns_one_session)
{
	struct help_session other;
	size_t n;

	begin_with(&lp_plugin_files, 1);
	ck_assert_int_eq(help_plugin_open(&h, "out", NULL), 0);
	ck_assert_int_eq(symlinkat("../victim", h.host.dirfd, "out/000001_server.bin"), 0);
	help_flow_begin(&f, &h, 4, 1);
	help_session_begin(&s, &f);
	help_session_begin(&other, &f);
	for (int i = 0; i < 3; i++)
		ck_assert_int_eq(help_session_text(&s, LP_S2C, "x"), 0);
	ck_assert_int_eq(help_session_text(&other, LP_S2C, "abc"), 0);
	ck_assert_str_eq(h.log, "another file has the name of out/000001_server.bin: File exists\n");
	ck_assert_int_eq(help_session_end(&s, LP_DECRYPTED, NULL), 0);
	ck_assert_int_eq(help_session_end(&other, LP_DECRYPTED, NULL), 0);
	ck_assert_int_eq(help_plugin_close(&h, NULL), -1);
	ck_assert_ptr_null(help_plugin_read(&h, "victim", NULL));
	free(help_plugin_read(&h, "out/000002_server.bin", &n));
	ck_assert_uint_eq(n, 3);
	ck_assert_ptr_nonnull(strstr(h.log, "\nout: 3 bytes were lost\n"));
	end();
}
END_TEST

Suite *suite_plugin_faults(void);

Suite *suite_plugin_faults(void)
{
	Suite *suite = suite_create("plugin_faults");
	TCase *t = tcase_create("faults");

	tcase_set_timeout(t, 60);
	tcase_add_test(t, json_goes_on_after_a_full_disk);
	tcase_add_test(t, json_on_a_small_tmpfs);
	tcase_add_test(t, json_still_stopped_at_the_end);
	tcase_add_test(t, another_file_in_its_place_is_left_alone);
	tcase_add_test(t, a_replay_stops_at_once_behind_a_whole_line);
	tcase_add_test(t, pcap_goes_on_at_a_packet);
	tcase_add_test(t, pcap_begins_a_new_file_with_its_header);
	tcase_add_loop_test(t, pcap_rotates, 0, 2);
	tcase_add_test(t, a_slow_reader_is_left_behind);
	tcase_add_test(t, a_reader_that_comes_back);
	tcase_add_test(t, a_reader_of_a_replay_that_goes_away);
	tcase_add_test(t, files_count_what_the_disk_did_not_take);
	tcase_add_test(t, files_a_name_in_the_way_concerns_one_session);
	suite_add_tcase(suite, t);
	return suite;
}
