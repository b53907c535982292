/* capture/device.c on the loopback device of a network namespace of its own, in a
 * process of its own. Without the right to make one it is skipped, with a line. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <check.h>
#include <errno.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "capture/capture.h"
#include "help_tool.h"

#define CHECK(x)                                                               \
	do {                                                                   \
		if (!(x)) {                                                    \
			fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #x); \
			exit(1);                                               \
		}                                                              \
	} while (0)

enum { SKIP = 77 };

/* Runs test in a child with a fresh loopback device that is up. */
#define in_namespace(test) in_namespace_for(__func__, test)
static void in_namespace_for(const char *name, void (*test)(void))
{
	int status;
	pid_t pid;

	fflush(NULL);
	pid = fork();
	ck_assert_int_ge(pid, 0);
	if (!pid) {
		struct ifreq lo = { .ifr_name = "lo", .ifr_flags = IFF_UP };
		int s;

		if (unshare(CLONE_NEWNET)) {
			help_skip_in(name, "no network namespace: %s", strerror(errno));
			_exit(SKIP);
		}
		s = socket(AF_INET, SOCK_DGRAM, 0);
		CHECK(!ioctl(s, SIOCSIFFLAGS, &lo));
		close(s);
		test();
		exit(0);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert(WIFEXITED(status));
	ck_assert(WEXITSTATUS(status) == 0 || WEXITSTATUS(status) == SKIP);
}

/* Each is received before the next is sent: so the kernel has shown a device both, the one
 * that goes out and the one that comes in, however busy the machine is. */
static void send_udp(uint16_t port, size_t n, size_t times)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(port),
				  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int s = socket(AF_INET, SOCK_DGRAM, 0), in = socket(AF_INET, SOCK_DGRAM, 0);
	static uint8_t bytes[65000];

	CHECK(!bind(in, (struct sockaddr *)&to, sizeof to)); /* or ICMP answers */
	for (size_t i = 0; i < times; i++) {
		bytes[0] = (uint8_t)i;
		CHECK(sendto(s, bytes, n, 0, (struct sockaddr *)&to, sizeof to) == (ssize_t)n);
		CHECK(recv(in, bytes, sizeof bytes, 0) == (ssize_t)n);
	}
	close(s);
	close(in);
}

/* Reads until want packets came or two seconds passed; the first byte of each
 * datagram must count up. */
static size_t receive(struct lp_capture *c, size_t want, size_t payload, struct lp_wire *last)
{
	struct pollfd fd = { .fd = lp_capture_fd(c), .events = POLLIN };
	uint64_t until = lp_clock_mono() + 2 * LP_NS_PER_S;
	struct lp_wire p[LP_BATCH];
	size_t n, got = 0;

	while (got < want && lp_clock_mono() < until) {
		CHECK(lp_capture_read(c, p, LP_BATCH, &n) == LP_OK);
		CHECK(n <= LP_BATCH);
		for (size_t i = 0; i < n; i++) {
			CHECK(p[i].number == got + 1);
			CHECK(p[i].caplen <= payload || p[i].data[payload] == (uint8_t)got);
			*last = p[i];
			got++;
		}
		if (!n)
			poll(&fd, 1, 100);
	}
	return got;
}

static void loopback(void)
{
	struct lp_capture_config config = { .filter = "udp and dst port 4711",
					    .buffer_bytes = 16 << 20, .promiscuous = true };
	struct lp_capture_stats stats;
	struct lp_wire last;
	char why[LP_WHY_SIZE];
	struct lp_capture *c;
	uint64_t now;

	CHECK(lp_capture_open_device(&c, "lo", &config, why) == LP_OK);
	CHECK(lp_capture_live(c));
	CHECK(lp_capture_fd(c) >= 0);
	send_udp(4712, 10, 5);
	send_udp(4711, 100, 300);
	CHECK(receive(c, 300, 42, &last) == 300);
	CHECK(last.link == LP_LINK_ETHERNET);
	CHECK(last.caplen == 142 && last.len == 142);
	now = (uint64_t)time(NULL) * LP_NS_PER_S;
	CHECK(last.ts_ns > now - 60 * LP_NS_PER_S && last.ts_ns < now + 60 * LP_NS_PER_S);
	lp_capture_stats(c, &stats);
	CHECK(stats.packets == 300 && stats.bytes == 300 * 142 && !stats.kernel_drop);
	lp_capture_close(c);
}

START_TEST(device_loopback)
{
	in_namespace(loopback);
}
END_TEST

/* More bytes in one batch than the arena holds. */
static void large(void)
{
	struct lp_capture_config config = { .filter = "udp", .buffer_bytes = 64 << 20 };
	struct lp_capture_stats stats;
	struct lp_wire last;
	char why[LP_WHY_SIZE];
	struct lp_capture *c;

	CHECK(lp_capture_open_device(&c, "lo", &config, why) == LP_OK);
	send_udp(4711, 60000, 200);
	CHECK(receive(c, 200, 42, &last) == 200);
	CHECK(last.caplen == 60042);
	lp_capture_stats(c, &stats);
	CHECK(stats.packets == 200 && !stats.kernel_drop);
	lp_capture_close(c);
}

START_TEST(device_large_packets)
{
	in_namespace(large);
}
END_TEST

static void snaplen(void)
{
	struct lp_capture_config config = { .snaplen = 60 };
	struct lp_wire last;
	char why[LP_WHY_SIZE];
	struct lp_capture *c;

	CHECK(lp_capture_open_device(&c, "lo", &config, why) == LP_OK);
	send_udp(4711, 500, 3);
	CHECK(receive(c, 3, 42, &last) == 3);
	CHECK(last.caplen == 60 && last.len == 542);
	lp_capture_close(c);
}

START_TEST(device_snaplen)
{
	in_namespace(snaplen);
}
END_TEST

/* A buffer that is too small: what is lost is counted, and nothing else. */
static void drops(void)
{
	struct lp_capture_config config = { .filter = "udp", .buffer_bytes = 1 << 20 };
	struct lp_capture_stats stats;
	struct lp_wire p[LP_BATCH];
	char why[LP_WHY_SIZE];
	struct lp_capture *c;
	uint64_t until = lp_clock_mono() + 15 * LP_NS_PER_S;
	size_t n, got = 0;

	CHECK(lp_capture_open_device(&c, "lo", &config, why) == LP_OK);
	send_udp(4711, 10000, 1000);
	do {
		usleep(50000);
		CHECK(lp_capture_read(c, p, LP_BATCH, &n) == LP_OK);
		got += n;
		lp_capture_stats(c, &stats);
	} while ((n || 2 * got + stats.kernel_drop < 2000) && lp_clock_mono() < until);
	lp_capture_stats(c, &stats);
	CHECK(stats.packets == got);
	CHECK(stats.kernel_drop > 0);
	/* On lo the kernel counts each packet twice, going out and coming in; libpcap
	 * takes the second. */
	CHECK(2 * got + stats.kernel_drop == 2000);
	lp_capture_close(c);
}

START_TEST(device_counts_drops)
{
	in_namespace(drops);
}
END_TEST

static void any(void)
{
	struct lp_capture_config config = { .filter = "udp port 4711", .promiscuous = true };
	struct lp_wire last;
	char why[LP_WHY_SIZE];
	struct lp_capture *c;

	CHECK(lp_capture_open_device(&c, "any", &config, why) == LP_OK);
	send_udp(4711, 100, 3);
	CHECK(receive(c, 3, 48, &last) >= 3);
	CHECK(last.link == LP_LINK_LINUX_SLL2);
	lp_capture_close(c);
}

START_TEST(device_any)
{
	in_namespace(any);
}
END_TEST

enum { HANDLES = 3, FLOWS = 40, TIMES = 10, FIRST_PORT = 5000 };

/* Several handles: each packet comes once, with a number of its own, and all of a flow
 * through one of them. */
static void fanout(void)
{
	static bool number[2 * FLOWS * TIMES];
	atomic_uint_fast64_t taken = 0;
	struct lp_capture_config config = { .filter = "udp", .buffer_bytes = 4 << 20,
					    .number = &taken };
	uint64_t until = lp_clock_mono() + 5 * LP_NS_PER_S;
	size_t got = 0, of[HANDLES] = { 0 }, n, used = 0;
	struct lp_capture *c[HANDLES];
	struct lp_wire p[LP_BATCH];
	int owner[FLOWS] = { 0 };
	char why[LP_WHY_SIZE];

	send_udp(FIRST_PORT, 100, 5); /* nobody listens yet */
	CHECK(lp_capture_open_fanout(c, HANDLES, "lo", &config, why) == LP_OK);
	for (uint16_t i = 0; i < FLOWS; i++)
		send_udp((uint16_t)(FIRST_PORT + i), 100, TIMES);
	while (got < FLOWS * TIMES && lp_clock_mono() < until)
		for (int h = 0; h < HANDLES; h++) {
			CHECK(lp_capture_read(c[h], p, LP_BATCH, &n) == LP_OK);
			for (size_t i = 0; i < n; i++) {
				int flow = (p[i].data[36] << 8 | p[i].data[37]) - FIRST_PORT;

				CHECK(flow >= 0 && flow < FLOWS);
				CHECK(!owner[flow] || owner[flow] == h + 1);
				owner[flow] = h + 1;
				CHECK(p[i].number && p[i].number <= 2 * FLOWS * TIMES);
				CHECK(!number[p[i].number - 1]);
				number[p[i].number - 1] = true;
			}
			of[h] += n;
			got += n;
		}
	CHECK(got == FLOWS * TIMES);
	for (int h = 0; h < HANDLES; h++) {
		CHECK(lp_capture_read(c[h], p, LP_BATCH, &n) == LP_OK && !n);
		used += of[h] > 0;
		lp_capture_close(c[h]);
	}
	CHECK(used > 1);
	CHECK(lp_capture_open_fanout(c, HANDLES, "none0", &config, why) == LP_E_NOENT);
	CHECK(!c[0] && !c[HANDLES - 1]);
}

START_TEST(device_fanout)
{
	in_namespace(fanout);
}
END_TEST

static void errors(void)
{
	struct lp_capture_config config = { .filter = "prot 80" };
	char why[LP_WHY_SIZE];
	struct lp_capture *c;

	CHECK(lp_capture_open_device(&c, "none7", NULL, why) == LP_E_NOENT && !c);
	CHECK(!strcmp(why, "none7: no such device"));
	CHECK(lp_capture_open_device(&c, "lo", &config, why) == LP_E_ARG && !c);
	CHECK(!strncmp(why, "filter \"prot 80\": ", 18));
	CHECK(!setgid(65534) && !setuid(65534));
	CHECK(lp_capture_open_device(&c, "lo", NULL, why) == LP_E_IO && !c);
	CHECK(!strcmp(why, "lo: not permitted to capture (needs root or CAP_NET_RAW)"));
}

START_TEST(device_errors)
{
	in_namespace(errors);
}
END_TEST

Suite *suite_capture_device(void)
{
	Suite *s = suite_create("capture_device");
	TCase *t = tcase_create("capture_device");

	tcase_set_timeout(t, 30);
	tcase_add_test(t, device_loopback);
	tcase_add_test(t, device_large_packets);
	tcase_add_test(t, device_snaplen);
	tcase_add_test(t, device_counts_drops);
	tcase_add_test(t, device_any);
	tcase_add_test(t, device_fanout);
	tcase_add_test(t, device_errors);
	suite_add_tcase(s, t);
	return s;
}
