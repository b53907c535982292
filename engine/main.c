/* limpid: wiring, run loop. */
#define _GNU_SOURCE
#include <errno.h>
#include <grp.h>
#include <poll.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <limpid/limpid.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/secret.h"
#include "bench.h"
#include "capture/capture.h"
#include "config.h"
#include "crew.h"
#include "options.h"
#include "progress.h"
#include "store/store.h"
#include "warden/haproxy.h"
#include "warden/warden.h"

enum { STATUS_OK = 0, STATUS_ERROR = 1, STATUS_INPUT = 2 };
enum { IDLE_MS = 250 };

/* Set by signals; the run loop looks at them. */
static volatile sig_atomic_t stop_asked, rotate_asked;

/* What a run needs beside the configuration. */
struct run {
	struct lp_config *config;
	struct lp_engine *engine;
	struct lp_worker *worker; /* or … */
	struct lp_crew *crew;     /* … if there are several */
	struct lp_capture *capture;
	struct lp_capture *tap[LP_CREW_MAX]; /* --fanout kernel: one for each worker */
	size_t taps;
	atomic_uint_fast64_t taken;          /* packets of them all */
	struct lp_progress progress;
	uint64_t packets;
	int status;
	char why[LP_WHY];
};

static int fail(struct run *run)
{
	if (*run->why)
		lp_log("%s", run->why);
	run->status = STATUS_ERROR;
	return -1;
}

/* ---- start ---- */

static void on_secrets(void *user, uint32_t type, lp_span data)
{
	struct run *run = user;

	/* Out of memory shows at the next packet. */
	(void)lp_engine_secrets(run->engine, type, data.p, data.n);
}

static int open_capture(struct run *run)
{
	const struct lp_config *c = run->config;
	const struct lp_capture_config cc = {
		.filter = c->filter,
		.secrets = run->engine ? on_secrets : NULL,
		.user = run,
		.snaplen = (uint32_t)c->snaplen,
		.buffer_bytes = (uint32_t)c->buffer_bytes,
		.promiscuous = c->promiscuous,
		.number = run->taps ? &run->taken : NULL,
	};
	enum lp_err err;

	for (size_t i = 0; i < c->read.n && run->engine; i++)
		lp_capture_scan_secrets(c->read.item[i], &cc);
	if (run->taps)
		err = lp_capture_open_fanout(run->tap, run->taps, c->interface, &cc, run->why);
	else if (c->interface)
		err = lp_capture_open_device(&run->capture, c->interface, &cc, run->why);
	else
		err = lp_capture_open_files(&run->capture, (const char *const *)c->read.item,
					    c->read.n, c->merge, &cc, run->why);
	return err ? fail(run) : 0;
}

/* Root is needed to open a device and for nothing after it. */
static int drop_root(struct run *run)
{
	const struct passwd *pw;

	if (!run->config->user)
		return 0;
	pw = getpwnam(run->config->user);
	if (!pw) {
		snprintf(run->why, sizeof run->why, "-Z: no user is called '%.60s'",
			 run->config->user);
		return fail(run);
	}
	if (setgroups(0, NULL) || setresgid(pw->pw_gid, pw->pw_gid, pw->pw_gid) ||
	    setresuid(pw->pw_uid, pw->pw_uid, pw->pw_uid)) {
		snprintf(run->why, sizeof run->why, "-Z %.60s: %s", run->config->user,
			 strerror(errno));
		return fail(run);
	}
	return 0;
}

static void on_signal(int number)
{
	if (number == SIGHUP) {
		rotate_asked = 1;
		return;
	}
	if (stop_asked)
		_exit(128 + number);
	stop_asked = 1;
}

/* Packets are looked at where they are mapped, also long after they were read. */
static void on_bus(int number)
{
	static const char line[] = "limpid: a capture file can no longer be read: it was cut short meanwhile, "
				   "or its disk failed\n";

	if (write(STDERR_FILENO, line, sizeof line - 1) < 0)
		_exit(128 + number);
	_exit(STATUS_ERROR);
}

static void catch_signals(void)
{
	struct sigaction sa = { .sa_handler = on_signal };

	sigemptyset(&sa.sa_mask);
	(void)sigaction(SIGINT, &sa, NULL);
	(void)sigaction(SIGTERM, &sa, NULL);
	(void)sigaction(SIGHUP, &sa, NULL);
	sa.sa_handler = on_bus;
	(void)sigaction(SIGBUS, &sa, NULL);
	sa.sa_handler = SIG_IGN;
	(void)sigaction(SIGPIPE, &sa, NULL);
}

/* A handle for each worker, if there are several; and only one handle knows when it has
 * had its number of packets. */
static void choose_taps(struct run *run)
{
	size_t workers = lp_engine_workers(run->engine);

	if (!run->config->interface || workers < 2)
		return;
	if (run->config->packets)
		lp_log("--fanout kernel: cannot count packets (-c); as --fanout user");
	else
		run->taps = workers;
}

static int start(struct run *run)
{
	run->engine = lp_engine_new(run->config, run->why);
	if (!run->engine)
		return fail(run);
	if (run->config->fanout && !strcmp(run->config->fanout, "kernel"))
		choose_taps(run);
	if (open_capture(run))
		return -1;
	if (run->taps)
		run->crew = lp_crew_new_tapped(run->engine, run->tap, &run->taken, run->why);
	else if (lp_engine_workers(run->engine) > 1)
		run->crew = lp_crew_new(run->engine, run->capture &&
					lp_capture_lend(run->capture, LP_CAPTURE_LENT), run->why);
	else
		run->worker = lp_worker_new(run->engine, run->why);
	if (!run->worker && !run->crew)
		return fail(run);
	if (run->worker && lp_capture_lend(run->capture, 0))
		lp_worker_lend(run->worker);
	return drop_root(run);
}

/* ---- run ---- */

static void show_progress(struct run *run)
{
	struct lp_progress_state state = { .sessions = 0 };

	if (!lp_progress_due(&run->progress))
		return;
	lp_capture_position(run->capture, &state.done, &state.total);
	state.sessions = lp_engine_sessions(run->engine);
	lp_progress_show(&run->progress, state);
}

/* Gives a batch to the worker; a replay whose holding area is full waits for the
 * warden. */
static int give(struct run *run, const struct lp_wire *packets, size_t n)
{
	const int patience = run->progress.on ? LP_PROGRESS_MS : -1;
	int r;

	if (run->crew)
		return lp_crew_packets(run->crew, packets, n);
	r = lp_worker_packets(run->worker, packets, n);
	if (r >= 0)
		r = lp_worker_poll(run->worker, r ? patience : 0);
	while (r == 1) {
		show_progress(run);
		r = lp_worker_poll(run->worker, patience);
	}
	return r;
}

/* Nothing came: waits for packets or for the warden, and lets time pass. */
static int idle(struct run *run)
{
	/* What a crew is told its workers hear themselves. */
	struct pollfd fd[2] = {
		{ .fd = run->crew ? -1 : lp_engine_fd(run->engine), .events = POLLIN },
		{ .fd = lp_capture_fd(run->capture), .events = POLLIN },
	};
	int timeout = run->crew ? -1 : lp_engine_timeout(run->engine);

	if (fd[1].fd >= 0)
		(void)poll(fd, 2, timeout < 0 || timeout > IDLE_MS ? IDLE_MS : timeout);
	if (run->crew)
		return lp_capture_live(run->capture) ? lp_crew_advance(run->crew, lp_clock_wall())
						     : lp_crew_packets(run->crew, NULL, 0);
	if (lp_worker_poll(run->worker, 0) < 0)
		return -1;
	if (lp_capture_live(run->capture))
		return lp_worker_advance(run->worker, lp_clock_wall());
	return 0;
}

static size_t batch_size(const struct run *run)
{
	uint64_t left = run->config->packets ? run->config->packets - run->packets : LP_BATCH;

	return left < LP_BATCH ? (size_t)left : LP_BATCH;
}

static void capture_fault(struct run *run, enum lp_err err)
{
	lp_log("%s", lp_capture_why(run->capture));
	run->status = err == LP_E_TRUNCATED || err == LP_E_FORMAT ? STATUS_INPUT : STATUS_ERROR;
}

/* The workers read for themselves. */
static void watch(struct run *run)
{
	const struct lp_capture *deaf = NULL;
	int r = 0;

	while (!stop_asked && !r && !deaf) {
		if (rotate_asked) {
			rotate_asked = 0;
			lp_engine_rotate(run->engine);
		}
		(void)poll(NULL, 0, IDLE_MS);
		r = lp_crew_state(run->crew, &deaf);
	}
	if (r) {
		snprintf(run->why, sizeof run->why, "%s", lp_engine_why(run->engine));
		(void)fail(run);
	} else if (deaf) {
		lp_log("%s", lp_capture_why(deaf));
		run->status = STATUS_ERROR;
	}
}

static void loop(struct run *run)
{
	struct lp_wire packets[LP_BATCH];
	enum lp_err err = LP_OK;
	size_t n;
	int r = 0;

	lp_progress_init(&run->progress, run->config->read.n && !run->config->quiet);
	while (!stop_asked && r >= 0 && batch_size(run)) {
		if (rotate_asked) {
			rotate_asked = 0;
			lp_engine_rotate(run->engine);
		}
		err = lp_capture_read(run->capture, packets, batch_size(run), &n);
		if (err)
			break;
		run->packets += n;
		r = n ? give(run, packets, n) : idle(run);
		show_progress(run);
		if (lp_engine_failed(run->engine) && !lp_capture_live(run->capture))
			break; /* a replay can be run again; a live capture goes on */
	}
	lp_progress_end(&run->progress);
	if (r < 0) {
		snprintf(run->why, sizeof run->why, "%s", lp_engine_why(run->engine));
		(void)fail(run);
	} else if (err && err != LP_EOF) {
		capture_fault(run, err);
	}
}

/* --bench-read: no keys, no outputs. */
static void bench_read(struct run *run)
{
	enum lp_err err;

	if (open_capture(run))
		return;
	err = lp_bench_read(run->capture, run->config->packets, &stop_asked, stdout);
	if (err)
		capture_fault(run, err);
	if (fflush(stdout) && run->status == STATUS_OK)
		run->status = STATUS_ERROR;
}

static void finish(struct run *run)
{
	struct lp_capture_stats stats;

	if (run->taps)
		lp_crew_captured(run->crew, &stats);
	else
		lp_capture_stats(run->capture, &stats);
	lp_engine_captured(run->engine, stats.kernel_drop, stats.if_drop, stats.filtered);
	if (lp_engine_finish(run->engine)) {
		/* An output that failed has said so itself. */
		if (run->status == STATUS_OK && !lp_engine_failed(run->engine))
			lp_log("%s", lp_engine_why(run->engine));
		run->status = STATUS_ERROR;
	}
	if (fflush(stdout) && run->status == STATUS_OK)
		run->status = STATUS_ERROR;
}

int main(int argc, char **argv)
{
	struct lp_options options = { .config = NULL };
	struct run run = { .status = STATUS_OK };

	if (argc == 3 && !strcmp(argv[1], LP_WARDEN_ARG))
		return lp_warden_main(atoi(argv[2]));
	if (argc == 3 && !strcmp(argv[1], LP_HAPROXY_ARG))
		return lp_haproxy_main(atoi(argv[2]));
	if (argc == 3 && !strcmp(argv[1], LP_STORE_ARG))
		return lp_store_main(atoi(argv[2]));
	if (!lp_secret_harden_process())
		lp_log("memory for secrets could not be locked (ulimit -l)");
	options.config = run.config = lp_config_new();
	if (!run.config) {
		lp_log("out of memory");
		return STATUS_ERROR;
	}
	catch_signals();
	if (lp_options_read(&options, argc, argv)) {
		run.status = STATUS_ERROR;
	} else if (!options.done) {
		if (options.bench_read) {
			bench_read(&run);
		} else if (!start(&run)) {
			if (run.taps)
				watch(&run);
			else
				loop(&run);
			finish(&run);
		}
	}
	lp_crew_free(run.crew);
	lp_worker_free(run.worker);
	lp_engine_free(run.engine);
	lp_capture_close(run.capture);
	for (size_t i = 0; i < run.taps; i++)
		lp_capture_close(run.tap[i]);
	lp_config_free(run.config);
	return run.status;
}
