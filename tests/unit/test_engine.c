/* engine.c, worker.c, order.c, output.c and the warden behind limpid/limpid.h: a
 * replay gives the same calls and the same files whatever the batches and however
 * slow the warden; outputs that fail; caps; and a run that is broken off. */
#define _GNU_SOURCE
#include <check.h>
#include <limpid/limpid.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "capture/capture.h"
#include "engine_parts.h"
#include "help_tool.h"
#include "help_two.h"
#include "help_warden.h"
#include "tls/ahead.h"

static const char *const captures[] = {
	"openssl-tls12.pcap", "java.pcap", "gap-gcm.pcap", "http-keepalive.pcap",
	"handshake-lost.pcap", "forward-secret.pcap", "http-clear.pcap", "tickets.pcap",
};
enum { CAPTURES = sizeof captures / sizeof captures[0], MOST = 8192 };

static struct help_dir dir;
static struct lp_wire wire[MOST];
static size_t wires;

static void set_up(void)
{
	help_dir_open(&dir);
	wires = 0;
}

static void tear_down(void)
{
	for (size_t i = 0; i < wires; i++)
		free((void *)(uintptr_t)wire[i].data);
	help_dir_close(&dir);
}

/* Adds the packets of a capture. */
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
							  number + p[i].number, p[i].link,
							  p[i].iface };
		}
	lp_capture_close(c);
}

/* ---- a run ---- */

struct options {
	const char *pair[16][2];
};

/* Instead of an option's name: each question is answered before the next packet. */
static const char at_once[] = "";
/* … MACs are made before their records come. */
static const char ahead[] = "";

struct run {
	struct lp_config *config;
	struct lp_engine *engine;
	struct lp_worker *worker;
	size_t full; /* times the worker asked for patience */
	bool at_once;
	bool ahead;  /* short records, too, are looked ahead to, whatever the processor */
	char why[LP_WHY];
};

static void set(struct run *r, const char *name, const char *value)
{
	ck_assert_msg(!lp_config_set(r->config, name, value, r->why), "%s", r->why);
}

static void prepare(struct run *r, const struct options *o)
{
	*r = (struct run){ .config = lp_config_new() };
	ck_assert_ptr_nonnull(r->config);
	set(r, "quiet", NULL);
	for (size_t i = 0; o && o->pair[i][0]; i++)
		if (o->pair[i][0] == at_once)
			r->at_once = true;
		else if (o->pair[i][0] == ahead)
			r->ahead = true;
		else
			set(r, o->pair[i][0], o->pair[i][1]);
}

/* An output below the directory of the test. */
static void output(struct run *r, const char *plugin, const char *name)
{
	char spec[256];

	snprintf(spec, sizeof spec, "%s:%s/%s", plugin, dir.path, name);
	set(r, "output", spec);
}

static void start(struct run *r)
{
	r->engine = lp_engine_new(r->config, r->why);
	ck_assert_msg(r->engine != NULL, "%s", r->why);
	r->worker = lp_worker_new(r->engine, r->why);
	ck_assert_msg(r->worker != NULL, "%s", r->why);
	ck_assert_int_ge(lp_engine_fd(r->engine), 0);
	if (r->ahead) {
		lp_ahead_free(r->worker->contexts.ahead);
		r->worker->contexts.ahead = lp_ahead_new(help_two(r->engine->crypto.base), LP_TWO_LEAST);
	}
}

static void feed(struct run *r, size_t from, size_t to, size_t batch)
{
	while (from < to) {
		size_t n = to - from < batch ? to - from : batch;
		int rc = lp_worker_packets(r->worker, wire + from, n);

		ck_assert_int_ge(rc, 0);
		from += n;
		r->full += rc == 1;
		while (rc == 1 || (r->at_once && rc >= 0 && r->worker->env.waiting))
			rc = lp_worker_poll(r->worker, 1000);
		ck_assert_int_eq(rc, 0);
	}
}

static void stop(struct run *r)
{
	lp_worker_free(r->worker);
	lp_engine_free(r->engine);
	lp_config_free(r->config);
}

/* The whole capture to DIR/name: what the witness saw, and every built-in output. */
static void replay(struct run *r, const struct options *o, const char *name, size_t batch)
{
	char file[64];
	char witness[128];

	prepare(r, o);
	ck_assert(help_run(&dir, "mkdir -m 700 %s", name));
	snprintf(witness, sizeof witness, "%s/witness.so", dir.path);
	snprintf(file, sizeof file, "%s/log", name);
	output(r, witness, file);
	snprintf(file, sizeof file, "%s/json", name);
	output(r, "json", file);
	snprintf(file, sizeof file, "%s/pcap", name);
	output(r, "pcap", file);
	snprintf(file, sizeof file, "%s/files", name);
	output(r, "files", file);
	start(r);
	feed(r, 0, wires, batch);
	ck_assert_int_eq(lp_engine_finish(r->engine), 0);
	ck_assert_int_eq(lp_engine_failed(r->engine), 0);
	stop(r);
	ck_assert_msg(!help_run(&dir, "grep BAD %s/log", name), "a rule of plugin.h is broken");
}

static void build_witness(void)
{
	char cwd[256];

	ck_assert_ptr_nonnull(getcwd(cwd, sizeof cwd));
	ck_assert(help_run(&dir, "${CC:-cc} -std=c11 -Wall -Wextra -Werror -I%s/include -shared -fPIC "
				 "-o witness.so %s/tests/unit/witness.c", cwd, cwd));
}

static const struct options with_key = { { { "key", "keys/server.pem" }, { "cleartext", "yes" },
					   { "ticket-key", "keys/tickets" } } };

START_TEST(the_same_whatever_the_timing)
{
	static const struct {
		size_t batch;
		const char *delay, *threads, *crypto;
	} ways[] = {
		{ 1, "0", "1", "auto" },   { 64, "30", "2", "auto" }, { 7, "30", "1", "mbedtls" },
		{ MOST, "5", "2", "auto" },
	};
	struct run r;

	build_witness();
	load(captures[_i]);
	replay(&r, &with_key, "first", 64);
	replay(&r, &with_key, "again", 64);
	ck_assert(help_run(&dir, "diff -r first again"));
	for (size_t batch = 9; batch <= 64; batch += 55) {
		struct options o = with_key;

		o.pair[3][0] = ahead;
		o.pair[4][0] = at_once;
		replay(&r, &o, "ahead", batch);
		ck_assert(help_run(&dir, "diff -r first ahead && rm -r ahead"));
		/* The first nine packets are the handshake. */
		if (!strcmp(captures[_i], "openssl-tls12.pcap") && batch == 9)
			ck_assert_uint_gt(help_two_counts.twos, 0);
	}
	for (size_t i = 0; i < sizeof ways / sizeof ways[0]; i++) {
		struct options o = with_key;

		o.pair[3][0] = "warden-delay";
		o.pair[3][1] = ways[i].delay;
		o.pair[4][0] = "warden-threads";
		o.pair[4][1] = ways[i].threads;
		o.pair[5][0] = "crypto";
		o.pair[5][1] = ways[i].crypto;
		replay(&r, &o, "way", ways[i].batch);
		ck_assert_msg(help_run(&dir, "diff -r first way"), "way %zu", i);
		ck_assert(help_run(&dir, "rm -r way"));
	}
}
END_TEST

/* The next packet comes so long after the last that flows end in between, one here and one
 * there; a warden that has not answered by then changes nothing. */
START_TEST(the_same_however_long_the_silence)
{
	static const uint64_t seconds[] = { 40, 400 };
	struct options fast = with_key, slow = with_key;
	struct run r;

	fast.pair[3][0] = at_once;
	build_witness();
	load(captures[_i / 2]);
	for (size_t i = 0; i < wires; i++)
		wire[i].ts_ns += i * seconds[_i % 2] * 1000000000U;
	slow.pair[3][0] = "warden-delay";
	slow.pair[3][1] = "20";
	replay(&r, &fast, "fast", 1);
	replay(&r, &slow, "slow", MOST);
	ck_assert(help_run(&dir, "diff -r fast slow"));
}
END_TEST

/* Two servers gave the same session ID; the secret of the one is known at once, that of the
 * other is on its way when its session is resumed. The first session has no Extended Master
 * Secret, so that its ID may be another. */
START_TEST(a_session_id_with_two_secrets)
{
	static const char line[] =
		"CLIENT_RANDOM 6b021aca9168cf4a43985d6782a714d50e9ba1d17ec0b8b544078055f5b90382 "
		"8e3d3bafd36a5217df44d8220f192cc4557d3604381c3a0a"
		"ec6ca235eef6f252d09034abc7689f9009f6de93f04fc2de\n";
	static const char ours[] = "\x2f\x0a\x28\xe0\xba\x90\x31\xbe\x1a\x2c\x97\x54\x80\x3d\x69\x31"
				   "\xfe\xd5\x8d\xe5\x67\x51\x1d\x3d\x42\x12\x3b\x03\x70\x08\xec\x08";
	static const char theirs[] = "\xed\xae\xc9\x2d\x52\x05\x4d\x60\x70\x94\xa4\xfa\x89\x22\x3d\x68"
				     "\x67\x87\x5e\x45\x10\xf1\x33\x5c\xc0\x60\x84\x7d\x98\x17\x2e\xb8";
	struct options fast = with_key, slow;
	size_t renamed = 0;
	char log[256];
	struct run r;

	build_witness();
	load("records.pcap");
	for (size_t i = 0; i < wires; i++) {
		char *at = memmem(wire[i].data, wire[i].caplen, ours, 32);

		if (at) {
			memcpy(at, theirs, 32);
			renamed++;
		}
	}
	ck_assert_uint_eq(renamed, 1);
	load("resumed.pcap");
	help_write(&dir, "keys.log", line, sizeof line - 1);
	snprintf(log, sizeof log, "%s/keys.log", dir.path);
	fast.pair[3][0] = "key-log";
	fast.pair[3][1] = log;
	fast.pair[4][0] = "checksums";
	fast.pair[4][1] = "off";
	slow = fast;
	fast.pair[5][0] = at_once;
	slow.pair[5][0] = "warden-delay";
	slow.pair[5][1] = "200";
	replay(&r, &fast, "fast", 1);
	ck_assert(!help_run(&dir, "grep -q session-unknown fast/json"));
	replay(&r, &slow, "slow", MOST);
	ck_assert(help_run(&dir, "diff -r fast slow"));
}
END_TEST

/* The caps are as low as they go: the worker asks for patience, nothing is lost. */
START_TEST(a_full_holding_area_stops_the_reading)
{
	const struct options low = { {
		{ "key", "keys/server.pem" }, { "cleartext", "yes" }, { "max-held-total", "65536" },
		{ "max-held", "65536" }, { "warden-delay", "100" }, { "warden-threads", "2" },
	} };
	struct run r;

	build_witness();
	load("openssl-tls12.pcap");
	load("gnutls-tls12.pcap");
	load("java.pcap");
	load("openssl-tls11.pcap");
	replay(&r, &with_key, "first", 64);
	replay(&r, &low, "low", 64);
	ck_assert_uint_gt(r.full, 0);
	ck_assert(help_run(&dir, "diff -r first low"));
}
END_TEST

/* Forgets the first packet that holds this text. */
static void lose(const char *text)
{
	size_t i = 0;

	while (i < wires && !memmem(wire[i].data, wire[i].caplen, text, strlen(text)))
		i++;
	ck_assert_uint_lt(i, wires);
	free((void *)(uintptr_t)wire[i].data);
	memmove(&wire[i], &wire[i + 1], (--wires - i) * sizeof wire[0]);
}

/* What is said in clear before TLS, and the gaps in it, go to the outputs that want them:
 * under --cleartext to all that want clear bytes, else to those that want a prelude. */
START_TEST(a_prelude_goes_to_who_wants_it)
{
	const bool cleartext = _i & 1, wanted = _i & 2;
	const struct options o = { {
		{ "key", "keys/server.pem" }, { cleartext ? "cleartext" : NULL, NULL },
	} };
	char witness[128];
	struct run r;

	build_witness();
	load("starttls.pcap");
	lose("250-mx");
	prepare(&r, &o);
	snprintf(witness, sizeof witness, "%s/witness.so", dir.path);
	output(&r, witness, "without");
	output(&r, witness, wanted ? "with,prelude=on" : "with");
	output(&r, "files", wanted ? "files,prelude=on" : "files");
	start(&r);
	ck_assert(r.worker->env.keep_prelude == (wanted && !cleartext));
	feed(&r, 0, wires, 16);
	ck_assert_int_eq(lp_engine_finish(r.engine), 0);
	ck_assert_uint_eq(r.worker->env.kept, 0);
	stop(&r);
	ck_assert_msg(!help_run(&dir, "grep BAD with without"), "a rule of plugin.h is broken");
	ck_assert(help_run(&dir, "test $(grep -c ' session ' with) = 4"));
	/* The other lines are the same. */
	ck_assert(help_run(&dir, "grep -v clear with >a; grep -v clear without >b; diff a b"));
	ck_assert(help_run(&dir, "grep -q 'clear 0' with") == (cleartext || wanted));
	ck_assert(help_run(&dir, "grep -q 'clear-gap 1' with") == (cleartext || wanted));
	ck_assert(help_run(&dir, "grep -q clear without") == cleartext);
	ck_assert(help_run(&dir, "grep -q ^220 files/0*_server.bin") == wanted);
	ck_assert(help_run(&dir, "test -e files/flow-000001_server.bin") == cleartext);
}
END_TEST

/* ---- what cannot be started ---- */

START_TEST(a_key_that_is_not_there)
{
	const struct options o = { { { "key", "keys/nothing.pem" } } };
	struct run r;

	prepare(&r, &o);
	r.engine = lp_engine_new(r.config, r.why);
	ck_assert_ptr_null(r.engine);
	ck_assert_msg(strstr(r.why, "nothing.pem") != NULL, "%s", r.why);
	stop(&r);
}
END_TEST

START_TEST(an_output_that_nobody_knows)
{
	const struct options o = { { { "output", "nothing:x" } } };
	struct run r;

	prepare(&r, &o);
	r.engine = lp_engine_new(r.config, r.why);
	ck_assert_ptr_null(r.engine);
	ck_assert_msg(strstr(r.why, "'nothing'") != NULL, "%s", r.why);
	stop(&r);
}
END_TEST

START_TEST(a_shared_object_that_is_no_plugin)
{
	struct options o = { { { "output", NULL } } };
	char path[128];
	struct run r;

	ck_assert(help_run(&dir, "echo 'int x;' > x.c && ${CC:-cc} -shared -fPIC -o x.so x.c"));
	snprintf(path, sizeof path, "%s/x.so", dir.path);
	o.pair[0][1] = path;
	prepare(&r, &o);
	r.engine = lp_engine_new(r.config, r.why);
	ck_assert_ptr_null(r.engine);
	ck_assert_msg(strstr(r.why, "not a limpid plugin") != NULL, "%s", r.why);
	stop(&r);
}
END_TEST

START_TEST(an_output_that_cannot_be_written)
{
	struct run r;

	prepare(&r, NULL);
	output(&r, "json", "good");
	output(&r, "json", "no/such/folder/file");
	r.engine = lp_engine_new(r.config, r.why);
	ck_assert_msg(r.engine != NULL, "%s", r.why);
	/* It has said why itself. */
	ck_assert_ptr_null(lp_worker_new(r.engine, r.why));
	stop(&r);
}
END_TEST

/* ---- what goes wrong on the way ---- */

/* One output fails: it is stopped, the others have everything, finish says so. */
START_TEST(an_output_that_fails)
{
	struct run r;
	uint8_t *good = malloc(HELP_FILE_MAX), *all = malloc(HELP_FILE_MAX);
	size_t n, m;

	load("story-tls12-ems.pcap");
	for (int failing = 0; failing < 2; failing++) {
		prepare(&r, &with_key);
		if (failing)
			set(&r, "output", "json:/dev/full");
		output(&r, "json", failing ? "good" : "all");
		start(&r);
		feed(&r, 0, wires, 64);
		ck_assert_int_eq(lp_engine_finish(r.engine), failing ? -1 : 0);
		ck_assert_int_eq(lp_engine_failed(r.engine), failing);
		if (failing)
			ck_assert_str_ne(lp_engine_why(r.engine), "");
		ck_assert_int_eq(lp_engine_finish(r.engine), failing ? -1 : 0);
		stop(&r);
	}
	n = help_read(&dir, "good", good, HELP_FILE_MAX);
	m = help_read(&dir, "all", all, HELP_FILE_MAX);
	ck_assert_uint_gt(n, 100);
	ck_assert_uint_eq(n, m);
	ck_assert_mem_eq(good, all, n);
	free(good);
	free(all);
}
END_TEST

/* The run is broken off, with questions out, events waiting, files open. */
START_TEST(a_run_that_is_broken_off)
{
	const struct options slow = { {
		{ "key", "keys/server.pem" }, { "cleartext", "yes" },
		{ "warden-delay", _i & 1 ? "300" : "0" }, { "warden-threads", "1" },
	} };
	struct run r;

	load(captures[0]);
	prepare(&r, &slow);
	output(&r, "json", "json");
	output(&r, "pcap", "pcap");
	output(&r, "files", "files");
	start(&r);
	feed(&r, 0, wires * ((size_t)_i + 1) / 8, 16);
	lp_worker_poll(r.worker, 0);
	stop(&r);
}
END_TEST

/* The warden dies: a fault of the machine, told as such, and nothing hangs. */
START_TEST(a_warden_that_dies)
{
	const struct options slow = { {
		{ "key", "keys/server.pem" }, { "warden-delay", "60000" }, { "warden-threads", "1" },
	} };
	struct run r;
	int rc = 0;

	load("story-tls12-ems.pcap");
	prepare(&r, &slow);
	output(&r, "json", "json");
	start(&r);
	rc = lp_worker_packets(r.worker, wire, wires);
	ck_assert_int_ge(rc, 0);
	ck_assert_int_eq(kill(lp_warden_pid(r.engine->warden), SIGKILL), 0);
	rc = lp_engine_finish(r.engine);
	ck_assert_int_eq(rc, -1);
	ck_assert_msg(strstr(lp_engine_why(r.engine), "warden") != NULL, "%s",
		      lp_engine_why(r.engine));
	stop(&r);
}
END_TEST

/* No packet at all, no worker at all, finish twice. */
START_TEST(nothing_happens)
{
	struct run r;

	prepare(&r, NULL);
	output(&r, "json", "json");
	start(&r);
	ck_assert_int_eq(lp_worker_poll(r.worker, 0), 0);
	ck_assert_int_eq(lp_worker_advance(r.worker, 5000000000ULL), 0);
	ck_assert_ptr_null(lp_worker_new(r.engine, r.why));
	ck_assert_int_eq(lp_engine_finish(r.engine), 0);
	stop(&r);
	prepare(&r, NULL);
	r.engine = lp_engine_new(r.config, r.why);
	ck_assert_ptr_nonnull(r.engine);
	ck_assert_int_eq(lp_engine_finish(r.engine), 0);
	stop(&r);
}
END_TEST

Suite *suite_engine(void);
Suite *suite_engine(void)
{
	Suite *s = suite_create("engine");
	TCase *c = tcase_create("engine");

	tcase_set_timeout(c, 120);
	tcase_add_checked_fixture(c, set_up, tear_down);
	tcase_add_loop_test(c, the_same_whatever_the_timing, 0, CAPTURES);
	tcase_add_loop_test(c, the_same_however_long_the_silence, 0, 2 * CAPTURES);
	tcase_add_test(c, a_session_id_with_two_secrets);
	tcase_add_test(c, a_full_holding_area_stops_the_reading);
	tcase_add_loop_test(c, a_prelude_goes_to_who_wants_it, 0, 4);
	tcase_add_test(c, a_key_that_is_not_there);
	tcase_add_test(c, an_output_that_nobody_knows);
	tcase_add_test(c, a_shared_object_that_is_no_plugin);
	tcase_add_test(c, an_output_that_cannot_be_written);
	tcase_add_test(c, an_output_that_fails);
	tcase_add_loop_test(c, a_run_that_is_broken_off, 0, 6);
	tcase_add_test(c, a_warden_that_dies);
	tcase_add_test(c, nothing_happens);
	suite_add_tcase(s, c);
	return s;
}
