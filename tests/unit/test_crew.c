/* crew.c: several workers give what one gives; and whatever goes wrong, all threads come to
 * their end, and the caller learns of it. */
#define _GNU_SOURCE
#include <check.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "capture/capture.h"
#include "engine_parts.h"
#include "help_tool.h"

static const char *const captures[] = { "story-tls12-ems.pcap", "java.pcap", "tickets.pcap",
					"gap-gcm.pcap", "openssl-tls12.pcap" };
enum { CAPTURES = sizeof captures / sizeof captures[0], MOST = 8192, BATCH = 48 };

static struct help_dir dir;
static struct lp_wire wire[MOST];
static size_t wires;

static void load(const char *name)
{
	const struct lp_capture_config config = { .filter = NULL };
	char path[128], why[LP_WHY_SIZE];
	struct lp_wire p[LP_BATCH];
	struct lp_capture *c;
	uint64_t number = wires ? wire[wires - 1].number : 0;
	size_t n;

	snprintf(path, sizeof path, "captures/%s", name);
	ck_assert_int_eq(lp_capture_open_file(&c, path, &config, why), LP_OK);
	while (lp_capture_read(c, p, LP_BATCH, &n) == LP_OK)
		for (size_t i = 0; i < n; i++) {
			uint8_t *copy = malloc(p[i].caplen ? p[i].caplen : 1);

			ck_assert_uint_lt(wires, MOST);
			memcpy(copy, p[i].data, p[i].caplen);
			wire[wires++] = (struct lp_wire){ copy, p[i].caplen, p[i].len, p[i].ts_ns,
							  number + p[i].number, p[i].link, 0 };
		}
	lp_capture_close(c);
}

static void set_up(void)
{
	help_dir_open(&dir);
	wires = 0;
	for (size_t i = 0; i < CAPTURES; i++)
		load(captures[i]);
}

static void tear_down(void)
{
	for (size_t i = 0; i < wires; i++)
		free((void *)(uintptr_t)wire[i].data);
	help_dir_close(&dir);
}

/* ---- a run ---- */

struct run {
	struct lp_config *config;
	struct lp_engine *engine;
	struct lp_crew *crew;
	char why[LP_WHY];
};

static void set(struct run *r, const char *name, const char *value)
{
	ck_assert_msg(!lp_config_set(r->config, name, value, r->why), "%s", r->why);
}

static void output(struct run *r, const char *plugin, const char *name)
{
	char spec[256];

	snprintf(spec, sizeof spec, "%s:%s/%s", plugin, dir.path, name);
	set(r, "output", spec);
}

static void prepare(struct run *r, const char *workers, const char *delay)
{
	*r = (struct run){ .config = lp_config_new() };
	ck_assert_ptr_nonnull(r->config);
	set(r, "quiet", NULL);
	set(r, "key", "keys/server.pem");
	set(r, "ticket-key", "keys/tickets");
	set(r, "workers", workers);
	set(r, "warden-delay", delay);
}

static void start(struct run *r)
{
	r->engine = lp_engine_new(r->config, r->why);
	ck_assert_msg(r->engine != NULL, "%s", r->why);
	r->crew = lp_crew_new(r->engine, false, r->why);
	ck_assert_msg(r->crew != NULL, "%s", r->why);
}

/* The first fault. */
static int feed(struct run *r, size_t from, size_t to)
{
	int rc = 0;

	for (; from < to && !rc; from += BATCH)
		rc = lp_crew_packets(r->crew, wire + from, to - from < BATCH ? to - from : BATCH);
	return rc;
}

static void stop(struct run *r)
{
	lp_crew_free(r->crew);
	lp_engine_free(r->engine);
	lp_config_free(r->config);
}

static void replay(const char *workers, const char *delay, const char *name)
{
	struct run r;

	prepare(&r, workers, delay);
	output(&r, "json", name);
	start(&r);
	ck_assert_uint_eq(lp_engine_workers(r.engine), (unsigned)atoi(workers));
	ck_assert_int_eq(feed(&r, 0, wires), 0);
	ck_assert_int_eq(lp_engine_finish(r.engine), 0);
	stop(&r);
}

/* One on a thread of its own, three, more than there are connections. */
START_TEST(as_many_as_one_likes)
{
	replay("1", "0", "one");
	ck_assert(help_run(&dir, "test $(grep -c decrypted one) -gt 10"));
	replay("3", "0", "more");
	ck_assert(help_run(&dir, "cmp one more"));
	replay("3", "20", "more");
	ck_assert(help_run(&dir, "cmp one more"));
	replay("64", "5", "more");
	ck_assert(help_run(&dir, "cmp one more"));
}
END_TEST

START_TEST(nothing_happens)
{
	struct run r;

	prepare(&r, "3", "0");
	output(&r, "json", "json");
	start(&r);
	ck_assert_int_eq(lp_crew_packets(r.crew, NULL, 0), 0);
	ck_assert_int_eq(lp_engine_finish(r.engine), 0);
	ck_assert_int_eq(lp_engine_finish(r.engine), 0);
	stop(&r);
	prepare(&r, "3", "0");
	start(&r);
	stop(&r);
}
END_TEST

/* Secrets in the middle of what is read are for what follows, however far behind a worker is. */
START_TEST(secrets_on_the_way)
{
	enum { TLSK = 0x544c534b };
	struct lp_worker *worker = NULL;
	struct run r;
	uint8_t keys[4096];
	size_t n, cut;
	FILE *file;

	tear_down();
	help_dir_open(&dir);
	wires = 0;
	load("key-log.pcap");
	cut = wires * (size_t)_i / 4;
	file = fopen("captures/key-log.keys", "rb");
	ck_assert_ptr_nonnull(file);
	n = fread(keys, 1, sizeof keys, file);
	fclose(file);
	ck_assert_uint_gt(n, 500);
	for (int several = 0; several < 2; several++) {
		prepare(&r, several ? "3" : "1", "0");
		output(&r, "json", several ? "more" : "one");
		r.engine = lp_engine_new(r.config, r.why);
		ck_assert_msg(r.engine != NULL, "%s", r.why);
		if (several) {
			r.crew = lp_crew_new(r.engine, false, r.why);
			ck_assert_int_eq(feed(&r, 0, cut), 0);
		} else {
			worker = lp_worker_new(r.engine, r.why);
			ck_assert_int_eq(lp_worker_packets(worker, wire, cut), 0);
		}
		ck_assert_int_eq(lp_engine_secrets(r.engine, TLSK, keys, n), 0);
		if (several)
			ck_assert_int_eq(feed(&r, cut, wires), 0);
		else
			ck_assert_int_eq(lp_worker_packets(worker, wire + cut, wires - cut), 0);
		ck_assert_int_eq(lp_engine_finish(r.engine), 0);
		if (!several)
			lp_worker_free(worker);
		stop(&r);
	}
	ck_assert(help_run(&dir, "cmp one more"));
	ck_assert(_i == 4 || help_run(&dir, "grep -q '\"key-log (DSB)' one"));
}
END_TEST

/* ---- what goes wrong ---- */

/* All workers have questions out when it dies, or it dies before the first; the reader goes on
 * and is not left waiting for workers that do nothing any more. */
START_TEST(a_warden_that_dies)
{
	struct run r;
	size_t at = _i ? 400 : 0;

	prepare(&r, "3", "60000");
	output(&r, "json", "json");
	start(&r);
	ck_assert_int_eq(feed(&r, 0, at), 0);
	ck_assert_int_eq(kill(lp_warden_pid(r.engine->warden), SIGKILL), 0);
	for (int round = 0; round < 50; round++)
		if (feed(&r, at, wires))
			break;
	ck_assert_int_eq(lp_engine_finish(r.engine), -1);
	ck_assert_msg(strstr(lp_engine_why(r.engine), "warden") != NULL, "%s",
		      lp_engine_why(r.engine));
	ck_assert_int_eq(lp_crew_packets(r.crew, NULL, 0), -1); /* the first fault stays */
	stop(&r);
}
END_TEST

/* One output fails: the others have everything, finish says so. */
START_TEST(an_output_that_fails)
{
	struct run r;

	replay("3", "0", "all");
	prepare(&r, "3", _i ? "20" : "0");
	set(&r, "output", "json:/dev/full");
	output(&r, "json", "good");
	start(&r);
	ck_assert_int_eq(feed(&r, 0, wires), 0);
	ck_assert_int_eq(lp_engine_finish(r.engine), -1);
	ck_assert_int_eq(lp_engine_failed(r.engine), 1);
	ck_assert_str_ne(lp_engine_why(r.engine), "");
	stop(&r);
	ck_assert(help_run(&dir, "cmp all good"));
}
END_TEST

START_TEST(an_output_that_cannot_be_opened)
{
	struct run r;

	prepare(&r, "3", "0");
	output(&r, "json", "no/such/folder/file");
	r.engine = lp_engine_new(r.config, r.why);
	ck_assert_msg(r.engine != NULL, "%s", r.why);
	ck_assert_ptr_null(lp_crew_new(r.engine, false, r.why));
	stop(&r);
}
END_TEST

/* What the caller has met (the capture cannot be read on, a secrets block finds no memory) ends
 * the run as a worker's own fault does, and what came before it is told. */
START_TEST(a_fault_in_the_middle)
{
	static const enum lp_err faults[] = { LP_E_NOMEM, LP_E_IO, LP_E_NOMEM };
	struct run r;

	prepare(&r, _i < 2 ? "2" : "4", _i == 2 ? "60000" : "5");
	output(&r, "json", "json");
	output(&r, "files", "files");
	start(&r);
	ck_assert_int_eq(feed(&r, 0, wires / 2), 0);
	lp_crew_fault(r.crew, faults[_i]);
	if (_i == 2) /* nobody waits for answers that are a minute away */
		ck_assert_int_eq(kill(lp_warden_pid(r.engine->warden), SIGKILL), 0);
	(void)feed(&r, wires / 2, wires);
	ck_assert_int_eq(lp_engine_finish(r.engine), -1);
	if (_i != 2)
		ck_assert_str_eq(lp_engine_why(r.engine), lp_worker_fault_text(faults[_i]));
	stop(&r);
}
END_TEST

/* Broken off, with questions out, events waiting, files open; some of it was never finished. */
START_TEST(a_run_that_is_broken_off)
{
	struct run r;

	prepare(&r, "3", _i & 1 ? "100" : "0");
	output(&r, "json", "json");
	output(&r, "pcap", "pcap");
	output(&r, "files", "files");
	start(&r);
	ck_assert_int_eq(feed(&r, 0, wires * ((size_t)_i + 1) / 8), 0);
	stop(&r);
}
END_TEST

Suite *suite_crew(void);
Suite *suite_crew(void)
{
	Suite *s = suite_create("crew");
	TCase *c = tcase_create("crew");

	tcase_set_timeout(c, 30);
	tcase_add_checked_fixture(c, set_up, tear_down);
	tcase_add_test(c, as_many_as_one_likes);
	tcase_add_loop_test(c, secrets_on_the_way, 0, 5);
	tcase_add_test(c, nothing_happens);
	tcase_add_loop_test(c, a_warden_that_dies, 0, 2);
	tcase_add_loop_test(c, an_output_that_fails, 0, 2);
	tcase_add_test(c, an_output_that_cannot_be_opened);
	tcase_add_loop_test(c, a_fault_in_the_middle, 0, 3);
	tcase_add_loop_test(c, a_run_that_is_broken_off, 0, 6);
	suite_add_tcase(s, c);
	return s;
}
