/* plugins/pcap.c, frame.c. The reader below is written apart from the writer; where
 * tshark and tcpdump are there, they are asked too. */
#define _GNU_SOURCE
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "help_plugin.h"
#include "help_tool.h"
#include "plugins/plugins.h"

static struct help_plugin h;
static struct help_flow f;
static struct help_session s;

struct frame {
	uint64_t ns;
	const uint8_t *mac, *payload;
	int family;
	unsigned sport, dport, flags;
	uint32_t seq, ack;
	size_t n;
};

enum { FRAMES = 4000 };
static struct frame frames[FRAMES];
static size_t frames_n;
static char *bytes;

static void begin(void)
{
	help_plugin_init(&h, &lp_plugin_pcap);
}

static void end(void)
{
	free(bytes);
	bytes = NULL;
	help_plugin_clear(&h);
}

static uint32_t be(const uint8_t *p, size_t n)
{
	uint32_t v = 0;

	while (n--)
		v = v << 8 | *p++;
	return v;
}

/* The sum over p and a start value; 0xffff where the checksum in it is right. */
static uint32_t ones_sum(uint32_t v, const uint8_t *p, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		v += i & 1 ? p[i] : (uint32_t)p[i] << 8;
		v = (v & 0xffff) + (v >> 16);
	}
	return v;
}

static void read_frame(struct frame *r, const uint8_t *p, size_t n)
{
	const uint8_t *ip = p + 14, *tcp;
	size_t addr_n, total;

	ck_assert_uint_ge(n, 54);
	ck_assert_uint_le(n, 1514);
	r->mac = p;
	r->family = ip[0] >> 4;
	if (r->family == 4) {
		ck_assert_uint_eq(be(p + 12, 2), 0x0800);
		ck_assert_uint_eq(be(ip + 2, 2), n - 14);
		ck_assert_uint_eq(ones_sum(0, ip, 20), 0xffff);
		tcp = ip + 20;
		addr_n = 4;
	} else {
		ck_assert_uint_eq(be(p + 12, 2), 0x86dd);
		ck_assert_uint_eq(be(ip + 4, 2), n - 54);
		tcp = ip + 40;
		addr_n = 16;
	}
	total = n - (size_t)(tcp - p);
	ck_assert_uint_eq(ones_sum(ones_sum((uint32_t)(6 + total), tcp - 2 * addr_n, 2 * addr_n),
				   tcp, total), 0xffff);
	r->sport = be(tcp, 2);
	r->dport = be(tcp + 2, 2);
	r->seq = be(tcp + 4, 4);
	r->ack = be(tcp + 8, 4);
	r->flags = tcp[13];
	r->payload = tcp + (tcp[12] >> 4) * 4;
	r->n = total - (tcp[12] >> 4) * 4;
	ck_assert_uint_le(r->n, r->family == 4 ? 1460 : 1440);
	if (r->flags & 2) {
		ck_assert_uint_eq(tcp[12] >> 4, 7);
		ck_assert_uint_eq(be(tcp + 20, 4), r->family == 4 ? 0x020405b4 : 0x020405a0);
		ck_assert_uint_eq(be(tcp + 24, 4), 0x01030307);
	}
}

/* Reads and checks the whole file: frames[], frames_n. */
static void read_capture(const char *name)
{
	uint32_t magic, header[4];
	uint64_t last = 0;
	size_t n, at = 24;

	bytes = help_plugin_read(&h, name, &n);
	ck_assert_ptr_nonnull(bytes);
	memcpy(&magic, bytes, 4);
	ck_assert(magic == 0xa1b2c3d4 || magic == 0xa1b23c4d);
	for (frames_n = 0; at + 16 <= n && frames_n < FRAMES; frames_n++) {
		struct frame *r = &frames[frames_n];

		memcpy(header, bytes + at, 16);
		ck_assert_uint_eq(header[2], header[3]);
		r->ns = header[0] * 1000000000ULL +
			header[1] * (magic == 0xa1b2c3d4 ? 1000ULL : 1ULL);
		ck_assert_uint_ge(r->ns, last);
		last = r->ns;
		at += 16;
		ck_assert_uint_le(at + header[2], n);
		read_frame(r, (const uint8_t *)bytes + at, header[2]);
		at += header[2];
	}
	ck_assert_uint_eq(at, n);
}

/* One line for a frame, sequence numbers counted from the last SYN of each side. */
static char *tell(void)
{
	static char text[FRAMES * 8];
	uint32_t base[2] = { 0, 0 };
	size_t at = 0;

	text[0] = '\0';
	for (size_t i = 0; i < frames_n; i++) {
		struct frame *r = &frames[i];
		int side = r->sport < 40000;

		if (r->flags & 2)
			base[side] = r->seq;
		at += (size_t)snprintf(text + at, sizeof text - at, "%c %s%s%s%s%s %u %u %zu\n",
				       "CS"[side], r->flags & 2 ? "S" : "", r->flags & 1 ? "F" : "",
				       r->flags & 4 ? "R" : "", r->flags & 8 ? "P" : "",
				       r->flags & 16 ? "A" : "", r->seq - base[side],
				       r->flags & 16 ? r->ack - base[!side] : 0, r->n);
	}
	return text;
}

static void start(int family, const char *options)
{
	ck_assert_int_eq(help_plugin_open(&h, "out", options), 0);
	help_flow_begin(&f, &h, family, 1);
	help_session_begin(&s, &f);
}

static void finish(enum lp_end client, enum lp_end server)
{
	help_session_end(&s, LP_DECRYPTED, NULL);
	ck_assert_int_eq(help_flow_end(&f, client, server), 0);
	ck_assert_int_eq(help_plugin_close(&h, NULL), 0);
	read_capture("out");
}

START_TEST(a_whole_conversation)
{
	const int family = _i ? 6 : 4;
	uint64_t first;

	start(family, NULL);
	first = h.at.carried_ns + 1000000;
	help_session_text(&s, LP_C2S, "GET /");
	help_session_text(&s, LP_S2C, "200 OK");
	finish(LP_END_FIN, LP_END_FIN);
	ck_assert_str_eq(tell(), "C S 0 0 0\nS SA 0 1 0\nC A 1 1 0\n"
				 "C PA 1 1 5\nS A 1 6 0\n"
				 "S PA 1 6 6\nC A 6 7 0\n"
				 "C FA 6 7 0\nS A 7 7 0\nS FA 7 7 0\nC A 7 8 0\n");
	ck_assert_int_eq(frames[0].family, family);
	ck_assert_mem_eq(frames[3].payload, "GET /", 5);
	ck_assert_uint_eq(frames[0].dport, 443);
	for (size_t i = 0; i < 5; i++)
		ck_assert_uint_eq(frames[i].ns, first / 1000 * 1000);
	ck_assert_uint_eq(frames[5].ns, (first + 1000000) / 1000 * 1000);
	/* Unicast, locally administered, one for each address. */
	for (size_t i = 0; i < frames_n; i++) {
		ck_assert_uint_eq(frames[i].mac[0] & 3, 2);
		ck_assert_uint_eq(frames[i].mac[6] & 3, 2);
	}
	ck_assert_mem_eq(frames[0].mac, frames[1].mac + 6, 6);
	ck_assert_mem_eq(frames[0].mac + 6, frames[1].mac, 6);
	ck_assert_mem_ne(frames[0].mac, frames[0].mac + 6, 6);
}
END_TEST

START_TEST(ends_as_it_ended)
{
	static const struct {
		enum lp_end client, server;
		const char *want;
	} cases[] = {
		{ LP_END_IDLE, LP_END_IDLE, "" },
		{ LP_END_CAPTURE, LP_END_CAPTURE, "" },
		{ LP_END_LOST, LP_END_LOST, "" },
		{ LP_END_RST, LP_END_CAPTURE, "C RA 2 1 0\n" },
		{ LP_END_RST, LP_END_RST, "C RA 2 1 0\n" },
		{ LP_END_FIN, LP_END_RST, "C FA 2 1 0\nS A 1 3 0\nS RA 1 3 0\n" },
		{ LP_END_CAPTURE, LP_END_FIN, "S FA 1 2 0\nC A 2 2 0\n" },
	};
	const char *text;

	start(4, NULL);
	help_session_text(&s, LP_C2S, "x");
	finish(cases[_i].client, cases[_i].server);
	text = tell();
	ck_assert_int_eq(strncmp(text, "C S 0 0 0\nS SA 0 1 0\nC A 1 1 0\nC PA 1 1 1\nS A 1 2 0\n",
				 52), 0);
	ck_assert_str_eq(text + 52, cases[_i].want);
}
END_TEST

START_TEST(only_flows_with_clear_bytes)
{
	start(4, NULL);
	help_session_data(&s, LP_C2S, "", 0);
	help_session_gap(&s, LP_C2S, 1000, 900, 900);
	help_flow_clear(&f, LP_C2S, "not asked for", 13);
	help_flow_gap(&f, LP_C2S, 77);
	finish(LP_END_FIN, LP_END_FIN);
	ck_assert_uint_eq(frames_n, 0);
}
END_TEST

START_TEST(big_pieces_are_cut_and_acknowledged)
{
	const int family = _i ? 6 : 4;
	const size_t mss = _i ? 1440 : 1460, n = 1024 * 1024;
	uint8_t *big = malloc(n);
	size_t at = 0;

	for (size_t i = 0; i < n; i++)
		big[i] = (uint8_t)(i * 7 + (i >> 8));
	start(family, NULL);
	help_session_data(&s, LP_S2C, big, n);
	finish(LP_END_FIN, LP_END_FIN);
	for (size_t i = 3; at < n; i += 2) {
		size_t want = n - at < mss ? n - at : mss;

		ck_assert_uint_lt(i + 1, frames_n);
		ck_assert_uint_eq(frames[i].sport, 443);
		ck_assert_uint_eq(frames[i].n, want);
		ck_assert_uint_eq(frames[i].seq - frames[1].seq - 1, at);
		ck_assert_mem_eq(frames[i].payload, big + at, want);
		at += want;
		ck_assert_uint_eq(frames[i + 1].dport, 443);
		ck_assert_uint_eq(frames[i + 1].n, 0);
		ck_assert_uint_eq(frames[i + 1].ack - frames[1].seq - 1, at);
	}
	free(big);
}
END_TEST

START_TEST(gap_is_a_jump_that_is_acknowledged)
{
	start(4, NULL);
	help_session_text(&s, LP_S2C, "a");
	help_session_gap(&s, LP_S2C, 1500, 1400, 1415);
	help_session_text(&s, LP_S2C, "b");
	help_session_gap(&s, LP_C2S, 40, 0, 0); /* nothing clear was in it */
	help_session_gap(&s, LP_C2S, 1100000, 1048576, 1048576);
	finish(LP_END_IDLE, LP_END_IDLE);
	ck_assert_str_eq(tell(), "C S 0 0 0\nS SA 0 1 0\nC A 1 1 0\n"
				 "S PA 1 1 1\nC A 1 2 0\n"
				 "C A 1 1417 0\n"
				 "S PA 1417 1 1\nC A 1 1418 0\n"
				 "S A 1418 1048577 0\n");
}
END_TEST

START_TEST(gap_before_the_first_byte)
{
	start(4, NULL);
	help_session_gap(&s, LP_C2S, 130, 100, 100);
	help_session_gap(&s, LP_S2C, 3000000, 2000000, 2000000); /* nothing to jump from */
	help_session_text(&s, LP_S2C, "a");
	finish(LP_END_IDLE, LP_END_IDLE);
	ck_assert_str_eq(tell(), "C S 0 0 0\nS SA 0 1 0\nC A 1 1 0\n"
				 "S A 1 101 0\nS PA 1 101 1\nC A 101 2 0\n");
}
END_TEST

START_TEST(long_gap_begins_another_conversation)
{
	start(4, NULL);
	help_session_text(&s, LP_S2C, "a");
	help_session_gap(&s, LP_S2C, 1048600, 1048577, 1048577);
	help_session_text(&s, LP_S2C, "b");
	finish(LP_END_FIN, LP_END_IDLE);
	ck_assert_str_eq(tell(), "C S 0 0 0\nS SA 0 1 0\nC A 1 1 0\nS PA 1 1 1\nC A 1 2 0\n"
				 "S RA 2 1 0\n"
				 "C S 0 0 0\nS SA 0 1 0\nC A 1 1 0\nS PA 1 1 1\nC A 1 2 0\n"
				 "C FA 1 2 0\nS A 2 2 0\n");
	ck_assert_uint_ne(frames[0].seq, frames[6].seq);
	ck_assert_uint_eq(frames[0].sport, frames[6].sport);
}
END_TEST

START_TEST(several_sessions_in_one_conversation)
{
	start(4, NULL);
	help_session_text(&s, LP_C2S, "one");
	help_session_end(&s, LP_DECRYPTED, NULL);
	help_session_begin(&s, &f);
	help_session_text(&s, LP_C2S, "two");
	finish(LP_END_IDLE, LP_END_IDLE);
	ck_assert_str_eq(tell(), "C S 0 0 0\nS SA 0 1 0\nC A 1 1 0\nC PA 1 1 3\nS A 1 4 0\n"
				 "C PA 4 1 3\nS A 1 7 0\n");
}
END_TEST

START_TEST(sequence_numbers_wrap)
{
	uint8_t piece[1460] = { 0 };
	int wrapped = 0;

	/* Some flow begins less than a megabyte below the end of the numbers. */
	ck_assert_int_eq(help_plugin_open(&h, "out", NULL), 0);
	help_flow_begin(&f, &h, 4, 1);
	for (f.info.flow_id = 1; !wrapped; f.info.flow_id++)
		wrapped = (uint32_t)(f.info.flow_id * 0x9e3779b97f4a7c15ULL >> 32) > 0xffffff00;
	f.info.flow_id--;
	help_session_begin(&s, &f);
	help_session_data(&s, LP_C2S, piece, sizeof piece);
	help_session_text(&s, LP_C2S, "over");
	finish(LP_END_IDLE, LP_END_IDLE);
	ck_assert_uint_gt(frames[0].seq, 0xffffff00);
	ck_assert_uint_lt(frames[5].seq, 1460);
	ck_assert_str_eq(tell(), "C S 0 0 0\nS SA 0 1 0\nC A 1 1 0\nC PA 1 1 1460\nS A 1 1461 0\n"
				 "C PA 1461 1 4\nS A 1 1465 0\n");
}
END_TEST

START_TEST(time_never_goes_back)
{
	start(4, _i ? "time=ns" : "time=us");
	help_session_text(&s, LP_C2S, "a");
	h.at.carried_ns -= 5000000000ULL; /* an older packet, released later */
	help_session_text(&s, LP_S2C, "b");
	finish(LP_END_IDLE, LP_END_IDLE);
	ck_assert_uint_eq(frames[frames_n - 1].ns, frames[0].ns);
	ck_assert_uint_eq(frames[0].ns % 1000, _i ? 789 : 0);
}
END_TEST

START_TEST(port_is_mapped)
{
	start(4, "port=80");
	help_session_text(&s, LP_C2S, "a");
	finish(LP_END_FIN, LP_END_FIN);
	for (size_t i = 0; i < frames_n; i++) {
		ck_assert(frames[i].sport == 80 || frames[i].dport == 80);
		ck_assert(frames[i].sport == 40001 || frames[i].dport == 40001);
	}
}
END_TEST

START_TEST(cleartext_flows_when_asked)
{
	h.host.cleartext = 1;
	ck_assert_int_eq(help_plugin_open(&h, "out", NULL), 0);
	help_flow_begin(&f, &h, 4, 1);
	help_flow_clear(&f, LP_S2C, "220\r\n", 5);
	help_flow_gap(&f, LP_S2C, 10);
	help_flow_end(&f, LP_END_IDLE, LP_END_IDLE);
	ck_assert_int_eq(help_plugin_close(&h, NULL), 0);
	read_capture("out");
	ck_assert_str_eq(tell(), "C S 0 0 0\nS SA 0 1 0\nC A 1 1 0\nS PA 1 1 5\nC A 1 6 0\n"
				 "C A 1 16 0\n");
}
END_TEST

START_TEST(faults)
{
	static const char *const bad[] = { "port=0", "port=65536", "port=+1", "port=8x", "port",
					   "time=ms", "x=y" };

	ck_assert_int_eq(help_plugin_open(&h, NULL, NULL), -1);
	ck_assert_str_eq(h.log, "needs a file: pcap:FILE, or pcap:- for standard output\n");
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		h.log[0] = '\0';
		ck_assert_int_eq(help_plugin_open(&h, "out", bad[i]), -1);
		ck_assert_ptr_nonnull(strstr(h.log, "(pcap has port=1-65535, time=us|ns)\n"));
	}
	h.log[0] = '\0';
	ck_assert_int_eq(help_plugin_open(&h, "/dev/full", NULL), -1);
	ck_assert_str_eq(h.log, "cannot write /dev/full: No space left on device\n");
}
END_TEST

#define there(tool) there_for(__func__, tool)
static int there_for(const char *test, const char *tool)
{
	char command[128];

	snprintf(command, sizeof command, "command -v %s >/dev/null", tool);
	if (!system(command))
		return 1;
	help_skip_in(test, "%s is not installed, its opinion is not asked", tool);
	return 0;
}

/* Two flows, one of each family, with a gap in the second. */
static void write_for_tools(int nanoseconds)
{
	uint8_t big[5000];

	memset(big, 'z', sizeof big);
	ck_assert_int_eq(help_plugin_open(&h, "out", nanoseconds ? "time=ns" : NULL), 0);
	for (int i = 0; i < 2; i++) {
		help_flow_begin(&f, &h, i ? 6 : 4, 1);
		help_session_begin(&s, &f);
		help_session_text(&s, LP_C2S, "GET /x HTTP/1.1\r\nHost: h\r\n\r\n");
		if (i)
			help_session_gap(&s, LP_S2C, 2000, 1900, 1900);
		help_session_data(&s, LP_S2C, big, sizeof big);
		help_session_end(&s, LP_DECRYPTED, NULL);
		help_flow_end(&f, LP_END_FIN, LP_END_FIN);
	}
	ck_assert_int_eq(help_plugin_close(&h, NULL), 0);
}

START_TEST(tshark_agrees)
{
	char *got;
	int status;

	if (!there("tshark"))
		return;
	write_for_tools(_i);
	got = help_plugin_run(&h, "tshark -r %s/out -o tcp.check_checksum:TRUE "
				  "-o ip.check_checksum:TRUE -Y 'tcp.checksum.status != 1 || "
				  "ip.checksum.status == 0 || _ws.malformed' 2>/dev/null", &status);
	ck_assert_int_eq(status, 0);
	ck_assert_str_eq(got, "");
	free(got);
	/* It has something to say about the flow with the gap only, and that is the gap. */
	got = help_plugin_run(&h, "tshark -r %s/out -Y 'tcp.analysis.flags' -T fields "
				  "-e tcp.stream 2>/dev/null | sort -u; tshark -r %s/out -Y "
				  "'tcp.analysis.flags && !tcp.analysis.ack_lost_segment && "
				  "!tcp.analysis.lost_segment' 2>/dev/null", &status);
	ck_assert_str_eq(got, "1\n");
	free(got);
	got = help_plugin_run(&h, "tshark -r %s/out -d tcp.port==443,data -q -z "
				  "follow,tcp,raw,0 2>/dev/null | grep -c '^[0-9a-f]'"
				  "; tshark -r %s/out -T fields -e tcp.len -Y 'tcp.stream==0 && "
				  "tcp.len>0' 2>/dev/null", &status);
	ck_assert_str_eq(got, "1\n28\n1460\n1460\n1460\n620\n");
	free(got);
}
END_TEST

START_TEST(tcpdump_agrees)
{
	char *got;
	int status;

	if (!there("tcpdump"))
		return;
	write_for_tools(_i);
	got = help_plugin_run(&h, "tcpdump -nvvr %s/out 2>/dev/null | grep -c 'cksum.*(correct)';"
				  "tcpdump -nvvr %s/out 2>/dev/null | grep -ci 'incorrect\\|bad'",
			      &status);
	ck_assert_str_eq(got, "35\n0\n");
	free(got);
}
END_TEST

Suite *suite_plugin_pcap(void);

Suite *suite_plugin_pcap(void)
{
	Suite *suite = suite_create("plugin_pcap");
	TCase *t = tcase_create("pcap");

	tcase_add_checked_fixture(t, begin, end);
	tcase_set_timeout(t, 60);
	tcase_add_loop_test(t, a_whole_conversation, 0, 2);
	tcase_add_loop_test(t, ends_as_it_ended, 0, 7);
	tcase_add_test(t, only_flows_with_clear_bytes);
	tcase_add_loop_test(t, big_pieces_are_cut_and_acknowledged, 0, 2);
	tcase_add_test(t, gap_is_a_jump_that_is_acknowledged);
	tcase_add_test(t, gap_before_the_first_byte);
	tcase_add_test(t, long_gap_begins_another_conversation);
	tcase_add_test(t, several_sessions_in_one_conversation);
	tcase_add_test(t, sequence_numbers_wrap);
	tcase_add_loop_test(t, time_never_goes_back, 0, 2);
	tcase_add_test(t, port_is_mapped);
	tcase_add_test(t, cleartext_flows_when_asked);
	tcase_add_test(t, faults);
	tcase_add_loop_test(t, tshark_agrees, 0, 2);
	tcase_add_loop_test(t, tcpdump_agrees, 0, 2);
	suite_add_tcase(suite, t);
	return suite;
}
