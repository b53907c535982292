/* crew.c and share.c as a device's packets come: a worker that cannot go on costs its packets,
 * counted, and nobody waits for it. */
#define _GNU_SOURCE
#include <check.h>
#include <fcntl.h>
#include <limpid/limpid.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "capture/capture.h"
#include "engine_parts.h"
#include "help_tool.h"
#include "help_warden.h"

enum { PACKETS = 1000, ROUNDS = 150, SECONDS = 20 };

static struct help_dir dir;
static uint8_t frame[PACKETS][2048];
static struct lp_wire wire[PACKETS];
static size_t wires;

static void load(const char *path)
{
	const struct lp_capture_config config = { .filter = NULL };
	char why[LP_WHY_SIZE];
	struct lp_wire p[LP_BATCH];
	struct lp_capture *c;
	size_t n;

	ck_assert_int_eq(lp_capture_open_file(&c, path, &config, why), LP_OK);
	for (wires = 0; lp_capture_read(c, p, LP_BATCH, &n) == LP_OK;)
		for (size_t i = 0; i < n; i++) {
			if (p[i].caplen > sizeof frame[0] || wires == PACKETS)
				continue;
			memcpy(frame[wires], p[i].data, p[i].caplen);
			wire[wires] = (struct lp_wire){ frame[wires], p[i].caplen, p[i].len,
							p[i].ts_ns, 0, p[i].link, p[i].iface };
			wires++;
		}
	lp_capture_close(c);
}

/* Other hosts, so that all flows are new ones; the IPv4 header's sum stays what it is. */
static void move_hosts(unsigned round)
{
	for (size_t i = 0; i < wires; i++) {
		uint8_t *ip = frame[i] + 14;
		unsigned sum;

		ip[13] = ip[17] = (uint8_t)(round + 1);
		ip[10] = ip[11] = 0;
		sum = 0;
		for (int k = 0; k < 20; k += 2)
			sum += (unsigned)(ip[k] << 8 | ip[k + 1]);
		sum = ~((sum & 0xffff) + (sum >> 16)) & 0xffff;
		ip[10] = (uint8_t)(sum >> 8);
		ip[11] = (uint8_t)sum;
	}
}

static void set(struct lp_config *c, const char *name, const char *value)
{
	char why[LP_WHY];

	ck_assert_msg(!lp_config_set(c, name, value, why), "%s", why);
}

static struct lp_engine *make_engine(void)
{
	struct lp_config *c = lp_config_new();
	struct lp_engine *e;
	char cwd[256], spec[256], why[LP_WHY];

	ck_assert_ptr_nonnull(getcwd(cwd, sizeof cwd));
	ck_assert(help_run(&dir, "${CC:-cc} -std=c11 -D_GNU_SOURCE -Wall -Wextra -Werror -I%s/include -shared "
				 "-fPIC -o gate.so %s/tests/unit/gate.c && mkfifo fifo", cwd, cwd));
	set(c, "quiet", NULL);
	set(c, "interface", "nothing opens it here");
	set(c, "workers", "2");
	set(c, "checksums", "off");
	set(c, "key", "keys/server.pem");
	snprintf(spec, sizeof spec, "%s/gate.so:%s/fifo", dir.path, dir.path);
	set(c, "output", spec);
	e = lp_engine_new(c, why);
	ck_assert_msg(e != NULL, "%s", why);
	lp_config_free(c);
	return e;
}

static uint64_t counted(const char *name)
{
	char path[256], line[128];
	uint64_t value = UINT64_MAX, sum = 0;
	FILE *f;

	snprintf(path, sizeof path, "%s/fifo.sums", dir.path);
	f = fopen(path, "r");
	ck_assert_ptr_nonnull(f);
	while (fgets(line, sizeof line, f)) {
		char *space = strchr(line, ' ');

		*space = '\0';
		if (!strcmp(line, name))
			value = strtoull(space + 1, NULL, 10);
		if (!strncmp(line, "drop.", 5))
			sum += strtoull(space + 1, NULL, 10);
	}
	fclose(f);
	return strcmp(name, "drops") ? value : sum;
}

START_TEST(a_flood_that_nobody_takes_is_shed)
{
	struct lp_engine *e;
	struct lp_crew *crew;
	uint64_t number = 0, begin;
	char why[LP_WHY], path[128];
	int fd;

	help_dir_open(&dir);
	load("captures/openssl-tls12.pcap");
	e = make_engine();
	ck_assert_uint_eq(lp_engine_workers(e), 2);
	crew = lp_crew_new(e, false, why);
	ck_assert_msg(crew != NULL, "%s", why);
	begin = lp_clock_mono();
	for (unsigned round = 0; round < ROUNDS; round++) {
		move_hosts(round);
		for (size_t i = 0; i < wires; i++) {
			wire[i].number = ++number;
			wire[i].ts_ns += round ? LP_NS_PER_S / 100 : 0;
		}
		for (size_t i = 0; i < wires; i += LP_BATCH)
			ck_assert_int_eq(lp_crew_packets(crew, wire + i, wires - i < LP_BATCH ? wires - i : LP_BATCH), 0);
		ck_assert_int_eq(lp_crew_advance(crew, wire[wires - 1].ts_ns), 0);
	}
	/* The output stands still all the while, and this thread has not waited for it. */
	ck_assert_uint_lt(lp_clock_mono() - begin, SECONDS * LP_NS_PER_S);
	snprintf(path, sizeof path, "%s/fifo", dir.path);
	fd = open(path, O_RDWR);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(write(fd, "\n", 1), 1);
	ck_assert_int_eq(lp_engine_finish(e), 0);
	close(fd);
	lp_crew_free(crew);
	lp_engine_free(e);
	ck_assert_uint_eq(counted("read"), number);
	ck_assert_uint_gt(counted("drop.shed"), 0);
	ck_assert_uint_lt(counted("drop.shed"), number);
	ck_assert_uint_gt(counted("session.begun"), 0);
	ck_assert_uint_eq(counted("packets.processed") + counted("drops"), number);
	help_dir_close(&dir);
}
END_TEST

/* ---- more handshakes than the key process has time for ---- */

enum { FLOOD = 30, WAITING = 4 };

/* One worker, whose sessions go to a file. */
static struct lp_engine *make_alone(void)
{
	struct lp_config *c = lp_config_new();
	struct lp_engine *e;
	char spec[256], most[16], why[LP_WHY];

	set(c, "quiet", NULL);
	set(c, "interface", "nothing opens it here");
	set(c, "workers", "1");
	set(c, "checksums", "off");
	set(c, "key", "keys/server.pem");
	snprintf(most, sizeof most, "%d", WAITING);
	set(c, "max-questions", most);
	snprintf(spec, sizeof spec, "json:%s/sessions", dir.path);
	set(c, "output", spec);
	e = lp_engine_new(c, why);
	ck_assert_msg(e != NULL, "%s", why);
	lp_config_free(c);
	return e;
}

/* What became of the sessions of each round. */
struct became {
	size_t opened[FLOOD], shed[FLOOD], all_opened, all_shed;
};

static void read_sessions(struct became *b)
{
	char path[256], *line = NULL;
	size_t size = 0;
	FILE *f;

	snprintf(path, sizeof path, "%s/sessions", dir.path);
	f = fopen(path, "r");
	ck_assert_ptr_nonnull(f);
	while (getline(&line, &size, f) > 0) {
		const char *from = strstr(line, "\"src_ip\":\"127.");
		const unsigned long round = from ? strtoul(from + 14, NULL, 10) - 1 : FLOOD;

		ck_assert_uint_lt(round, FLOOD);
		if (strstr(line, "\"verdict\":\"decrypted\",\"reason\":\"complete\"")) {
			b->opened[round]++;
			b->all_opened++;
			continue;
		}
		b->shed[round]++;
		b->all_shed++;
		ck_assert_msg(strstr(line, "\"verdict\":\"opaque\",\"reason\":\"rsa-overload\","
					   "\"detail\":\"the key process had too many questions to "
					   "answer this one in time\"") != NULL, "%s", line);
		ck_assert_ptr_nonnull(strstr(line, "\"client_bytes\":0,\"server_bytes\":0"));
	}
	free(line);
	fclose(f);
}

/* The key process is given what it has room for; of the rest the latest wait, the others are told
 * to be closed, and why. */
START_TEST(a_flood_of_handshakes_sheds_the_oldest)
{
	struct lp_asks_stats asked;
	struct lp_engine *e;
	struct lp_worker *w;
	struct became b = { .all_shed = 0 };
	uint64_t number = 0;
	char why[LP_WHY];

	help_dir_open(&dir);
	load("captures/openssl-tls12.pcap");
	e = make_alone();
	w = lp_worker_new(e, why);
	ck_assert_msg(w != NULL, "%s", why);
	for (unsigned round = 0; round < FLOOD; round++) {
		move_hosts(round);
		for (size_t i = 0; i < wires; i++) {
			wire[i].number = ++number;
			ck_assert_int_eq(lp_worker_packets(w, wire + i, 1), 0);
		}
	}
	do {
		ck_assert_int_ge(lp_worker_poll(w, 100), 0);
	} while (lp_asks_pending(w->asks));
	lp_asks_stats(w->asks, &asked);
	ck_assert_int_eq(lp_engine_finish(e), 0);
	lp_worker_free(w);
	lp_engine_free(e);
	read_sessions(&b);
	ck_assert_uint_eq(b.all_opened + b.all_shed, asked.asked);
	ck_assert_uint_eq(b.all_shed, asked.shed);
	ck_assert_uint_gt(b.all_shed, b.all_opened);
	/* Those that were asked first, and the latest. */
	ck_assert_uint_eq(b.shed[0], 0);
	ck_assert_uint_eq(b.opened[FLOOD - 1], WAITING);
	for (size_t i = FLOOD / 2; i < FLOOD - 1; i++)
		ck_assert_uint_eq(b.opened[i], 0);
	help_dir_close(&dir);
}
END_TEST

Suite *suite_live(void)
{
	Suite *s = suite_create("live");
	TCase *t = tcase_create("live");

	tcase_set_timeout(t, 60);
	tcase_add_test(t, a_flood_that_nobody_takes_is_shed);
	tcase_add_test(t, a_flood_of_handshakes_sheds_the_oldest);
	suite_add_tcase(s, t);
	return s;
}
