/* lp_engine: owns everything, starts it in the right order, ends it.
 * Order of start: the warden first, which reads the keys while no packet has been
 * seen; then the captures, which are not ours; then, with the worker, the outputs. */
#define _GNU_SOURCE
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "capture/capture.h"
#include "crypto/keyfile.h"
#include "engine_parts.h"

/* Of capture files for each worker, if nobody says how many there are to be. */
enum { WORKER_BYTES = 1 << 20 };

static bool is(const char *value, const char *name)
{
	return value && !strcmp(value, name);
}

/* A capture that somebody is still writing to us. */
static bool is_piped(const struct lp_config *c)
{
	struct stat st;

	for (size_t i = 0; i < c->read.n; i++)
		if (!(is(c->read.item[i], "-") ? fstat(0, &st) : stat(c->read.item[i], &st)) &&
		    !S_ISREG(st.st_mode))
			return true;
	return false;
}

/* Blocks of secrets may come behind the packets that they open: not out of files that have them
 * all read first, and a device has none. */
static bool brings_blocks(const struct lp_config *c)
{
	bool all = c->read.n > 0;

	for (size_t i = 0; i < c->read.n && all; i++)
		all = lp_capture_scans(c->read.item[i]);
	return !all && !c->interface;
}

/* A replay has time: what is missing may come that many packets later, whatever the clock says. */
enum { LATE_PACKETS = 128 };

static void read_limits(struct lp_engine *e, const struct lp_config *c)
{
	struct lp_reasm_config *r = &e->reasm_config;

	lp_reasm_config_default(r);
	r->max_flows = (uint32_t)c->max_flows;
	r->max_ooo_side = c->max_ooo_side;
	r->max_ooo = c->max_ooo;
	r->grace_packets = e->live ? 0 : LATE_PACKETS;
	r->plain_ns = c->idle_s * 1000000000ULL;
	r->keys_ns = c->keys_idle_s * 1000000000ULL;
	r->handshake_ns = c->handshake_s * 1000000000ULL;
	r->syn_ns = c->syn_s * 1000000000ULL;
	r->closed_ns = c->closed_s * 1000000000ULL;
	r->seed = e->seed;
	r->checksums = is(c->checksums, "on")    ? LP_CHECKSUMS_ON
		       : is(c->checksums, "off") ? LP_CHECKSUMS_OFF
						 : LP_CHECKSUMS_AUTO;
	r->overlap = is(c->overlap, "bsd") ? LP_OVERLAP_BSD : LP_OVERLAP_LINUX;
	lp_decode_config_default(&e->decode_config);
	e->decode_config.checksums = r->checksums;
	e->decode_config.checksums_later = true;
	e->decode_config.seed = e->seed;
	e->decode_config.ignore_domain = c->ignore_domain;
	e->decode_config.defrag.overlap = r->overlap;
	e->decode_config.defrag.max = c->max_fragments;
	e->decode_config.defrag.max_host = c->max_fragments_host;
	e->decode_config.defrag.timeout_ns = c->fragment_s * 1000000000ULL;
	for (size_t i = 0; i < c->vxlan_port.n; i++)
		e->decode_config.vxlan_port[LP_VXLAN_PORTS - 1 - i] = c->vxlan_port.port[i];
	e->reasm_ops = &lp_tcp_native;
#ifdef LP_WITH_NIDS
	if (is(c->tcp, "nids"))
		e->reasm_ops = &lp_tcp_nids;
#endif
	/* What may have been damaged on its way, or replaced unseen, is checked in full:
	 * libnids does not tell of copies that differ. */
	e->verify_first = is(c->verify, "first") && r->checksums != LP_CHECKSUMS_OFF &&
			  e->reasm_ops == &lp_tcp_native;
	e->max_held_session = c->max_held_session;
	e->max_held_turn = c->max_held_turn;
	e->max_held = c->max_held;
	e->max_message = c->max_message;
	e->max_contexts = (uint32_t)c->max_contexts;
	e->max_kept = c->max_kept;
	e->max_questions = c->max_questions;
	e->max_questions_client = c->max_questions_client;
	e->max_questions_server = c->max_questions_server;
	e->live = c->interface != NULL;
	e->follow = e->live || is_piped(c);
	e->blocks = brings_blocks(c);
	e->tickets_given = c->ticket_key.n > 0;
	e->cleartext = c->cleartext;
}

/* Why there can only be one worker; NULL: there may be more. */
static const char *alone(const struct lp_config *c)
{
	return is(c->tcp, "nids") ? "libnids" : NULL;
}

/* As many as cores that we may use, but a small capture is done before they have begun. */
static size_t workers_for(const struct lp_config *c)
{
	uint64_t bytes = 0;
	cpu_set_t set;
	struct stat st;
	size_t n;

	for (size_t i = 0; i < c->read.n; i++)
		if (!stat(c->read.item[i], &st))
			bytes += (uint64_t)st.st_size;
	n = sched_getaffinity(0, sizeof set, &set) ? 1 : (size_t)CPU_COUNT(&set);
	if (n > LP_CONFIG_WORKERS)
		n = LP_CONFIG_WORKERS;
	return !c->interface && n > bytes / WORKER_BYTES ? (size_t)(bytes / WORKER_BYTES) + 1 : n;
}

static void choose_workers(struct lp_engine *e, const struct lp_config *c)
{
	const char *why = alone(c);

	if (why)
		e->workers = 1;
	else if (c->workers)
		e->workers = (size_t)c->workers;
	else
		e->workers = workers_for(c);
	if (why && c->workers > 1)
		lp_log("--workers %u: one worker with %s", (unsigned)c->workers, why);
}

static enum lp_err open_key_logs(struct lp_engine *e, const struct lp_config *c, char *why)
{
	uint64_t wait = c->key_wait_s == LP_KEY_WAIT_AUTO ? 2 : c->key_wait_s;

	if (e->follow && (c->key_log.n || c->ticket_key.n))
		e->key_wait_ns = wait * 1000000000ULL;
	return lp_keylogs_new(&e->keylogs, c, &e->seed, e->follow, why);
}

/* Makes candidates of the warden's keys that are not among them yet. */
static enum lp_err add_keys(struct lp_engine *e)
{
	enum lp_err err = LP_OK;
	size_t n;
	const struct lp_warden_key *keys = lp_warden_keys(e->warden, &n);

	for (; e->keys < n && !err; e->keys++) {
		const size_t i = e->keys;
		struct lp_candidate key = {
			.id = keys[i].id,
			.kind = (enum lp_key_kind)keys[i].kind,
			.bits = keys[i].bits,
			.name = keys[i].name,
		};

		memcpy(key.spki_sha256, keys[i].spki_sha256, 32);
		err = lp_candidates_add(e->candidates, &key);
	}
	return err;
}

enum lp_err lp_engine_reloaded(struct lp_engine *e)
{
	const uint64_t reloads = lp_warden_reloads(e->warden);
	enum lp_err err;

	if (reloads == atomic_load(&e->reloads))
		return LP_OK;
	/* Whoever sees that they were taken in may look for them. */
	pthread_mutex_lock(&e->reload_lock);
	err = add_keys(e);
	atomic_store(&e->reloads, reloads);
	pthread_mutex_unlock(&e->reload_lock);
	return err;
}

static enum lp_err start_warden(struct lp_engine *e, const struct lp_config *c, char *why)
{
	const struct lp_warden_config wc = {
		.helper = c->helper,
		.key_paths = (const char *const *)c->key.item,
		.key_paths_n = c->key.n,
		.psk_paths = (const char *const *)c->psk.item,
		.psk_paths_n = c->psk.n,
		.ticket_paths = (const char *const *)c->ticket_key.item,
		.ticket_paths_n = c->ticket_key.n,
		.ticket_life_s = (unsigned)c->ticket_key_life_s,
		.follow = e->follow,
		.passphrase_file = c->passphrase_file,
		.strict_key_modes = c->strict_key_modes,
		.crypto = c->crypto ? c->crypto : "auto",
		.threads = (unsigned)c->warden_threads,
		.delay_ms = (unsigned)c->warden_delay_ms,
		.lines = (unsigned)e->workers,
	};
	enum lp_err err = lp_warden_start(&e->warden, &wc, why);

	if (err)
		return err;
	err = add_keys(e);
	return err;
}

/* Whoever waits for us waits for both processes. */
static enum lp_err join_fds(struct lp_engine *e)
{
	const int fd[] = { lp_line_fd(lp_warden_line(e->warden, 0)), lp_store_fd(e->store) };

	e->poll_fd = epoll_create1(EPOLL_CLOEXEC);
	for (size_t i = 0; i < 2; i++) {
		struct epoll_event ev = { .events = EPOLLIN };

		if (e->poll_fd < 0 || epoll_ctl(e->poll_fd, EPOLL_CTL_ADD, fd[i], &ev))
			return LP_E_IO;
	}
	return LP_OK;
}

static enum lp_err start_store(struct lp_engine *e, const struct lp_config *c, char *why)
{
	const struct lp_store_config sc = {
		.helper = c->helper,
		.servers = c->session_store,
		.key_file = c->session_store_key,
		.strict_key_modes = c->strict_key_modes,
		.timeout_ms = (unsigned)c->session_store_ms,
	};
	enum lp_err err;

	if (!c->session_store && !c->session_store_key)
		return LP_OK;
	if (!c->session_store || !c->session_store_key) {
		snprintf(why, LP_WHY, "--session-store and --session-store-key belong together");
		return LP_E_ARG;
	}
	err = lp_store_start(&e->store, &sc, why);
	return err ? err : join_fds(e);
}

static const char *meaning(const char *reason)
{
	const struct lp_verdict_text *t = lp_verdict_find(reason);

	return t ? t->meaning : lp_totals_text(reason);
}

static const char *advice(const char *reason)
{
	const struct lp_verdict_text *t = lp_verdict_find(reason);

	return t ? t->advice : NULL;
}

static enum lp_err add_outputs(struct lp_engine *e, const struct lp_config *c, char *why)
{
	const struct lp_outputs_config oc = {
		.live = e->live,
		.quiet = c->quiet,
		.print_data = c->print_data,
		.cleartext = c->cleartext,
		.meaning = meaning,
		.advice = advice,
	};
	enum lp_err err = lp_outputs_new(&e->outputs, &oc);

	for (size_t i = 0; i < c->output.n && !err; i++)
		err = lp_outputs_add(e->outputs, c->output.item[i], why);
	return err;
}

struct lp_engine *lp_engine_new(const struct lp_config *c, char *why)
{
	struct lp_engine *e = calloc(1, sizeof *e);
	enum lp_err err;

	snprintf(why, LP_WHY, "out of memory");
	if (!e)
		return NULL;
	e->poll_fd = -1;
	pthread_mutex_init(&e->reload_lock, NULL);
	pthread_mutex_init(&e->store_lock, NULL);
	err = lp_hash_seed_new(&e->seed);
	if (err)
		snprintf(why, LP_WHY, "the system has no random bytes to give");
	if (!err) {
		err = lp_crypto_choose(&e->crypto, c->crypto ? c->crypto : "auto");
		if (err)
			snprintf(why, LP_WHY, "--crypto %s: %s", c->crypto ? c->crypto : "auto",
				 lp_err_text(err));
	}
	if (!err) {
		read_limits(e, c);
		choose_workers(e, c);
		e->flows_of_all.flows.workers = e->flows_of_all.half.workers = e->workers;
		e->flows_of_all.ooo.workers = e->workers;
		e->held_by_all.workers = e->kept_by_all.workers = e->workers;
		err = lp_candidates_new(&e->candidates, &e->seed, !e->live);
	}
	if (!err) {
		const struct lp_sessions_config sc = { e->seed, c->max_sessions,
						       c->max_session_bytes,
						       c->session_life_s * LP_NS_PER_S };

		err = lp_sessions_new(&e->sessions, &sc);
	}
	if (!err) {
		const struct lp_flights_config fc = { e->seed, c->max_flight, c->max_flights };

		err = lp_flights_new(&e->flights, &fc);
	}
	if (!err)
		err = add_outputs(e, c, why);
	if (!err)
		err = start_warden(e, c, why);
	if (!err)
		err = start_store(e, c, why);
	if (!err)
		err = open_key_logs(e, c, why);
	if (err) {
		lp_engine_free(e);
		return NULL;
	}
	return e;
}

void lp_engine_free(struct lp_engine *e)
{
	if (!e)
		return;
	lp_outputs_free(e->outputs);
	lp_warden_stop(e->warden);
	lp_store_stop(e->store);
	if (e->poll_fd >= 0)
		close(e->poll_fd);
	lp_candidates_free(e->candidates);
	lp_sessions_free(e->sessions);
	lp_flights_free(e->flights);
	lp_keylogs_free(e->keylogs);
	pthread_mutex_destroy(&e->reload_lock);
	pthread_mutex_destroy(&e->store_lock);
	free(e);
}

int lp_engine_fd(const struct lp_engine *e)
{
	return e->poll_fd >= 0 ? e->poll_fd : lp_line_fd(lp_warden_line(e->warden, 0));
}

int lp_engine_timeout(const struct lp_engine *e)
{
	int store = e->store ? lp_store_timeout(e->store) : -1;
	int late = e->worker && !e->crew && e->worker->late ? LP_LATE_POLL_MS : LP_KEYLOGS_POLL_MS;

	if (!lp_keylogs_followed(e->keylogs))
		return store;
	return store >= 0 && store < late ? store : late;
}

int lp_engine_secrets(struct lp_engine *e, uint32_t type, const void *data, size_t n)
{
	enum lp_err err;

	/* What one worker alone would not have known several do not, and none of them
	 * because an answer was late. */
	if (e->crew)
		lp_crew_settle(e->crew);
	while (e->worker && !e->live && (lp_asks_pending(e->worker->asks) || e->worker->lookups))
		if (lp_worker_poll(e->worker, -1) < 0)
			return -1;
	err = lp_keylogs_block(e->keylogs, type, lp_span_of(data, n));
	if (err == LP_E_UNSUPPORTED)
		return 1;
	if (err && e->crew)
		lp_crew_fault(e->crew, err);
	else if (err && e->worker)
		e->worker->env.fault = err;
	return err ? -1 : 0;
}

const char *lp_engine_why(const struct lp_engine *e)
{
	return e->why;
}

static int finish_alone(struct lp_worker *w)
{
	struct lp_store *store = w->engine->store;
	uint64_t first_ns, last_ns;
	int r;

	lp_reader_times(w->reader, &first_ns, &last_ns);
	lp_worker_finish(w, lp_reader_number(w->reader), last_ns);
	do {
		r = lp_worker_poll(w, -1);
		/* What is waited for does not come any more. */
		lp_late_poll(w, true);
	} while (r >= 0 && (lp_asks_pending(w->asks) || w->lookups ||
			   (store && lp_store_pending(store))));
	/* The counters are those of the last packet's time, whenever the answers came. */
	return r < 0 ? r : lp_worker_poll(w, 0);
}

int lp_engine_finish(struct lp_engine *e)
{
	struct lp_counter counters[LP_COUNTERS_MAX];
	struct lp_summary summary = { .size = sizeof summary };
	int r = 0;

	if (e->finished)
		return lp_outputs_failed(e->outputs) ? -1 : 0;
	e->finished = true;
	if (e->crew)
		r = lp_crew_finish(e->crew);
	else if (e->worker)
		r = finish_alone(e->worker);
	if (e->store)
		lp_store_finish(e->store);
	summary.counters = counters;
	/* After a fault of the machine something was left in the middle, and the sums do not hold. */
	if (r >= 0)
		summary.counters_n = lp_totals(e, counters, &summary);
	if (!lp_outputs_close(e->outputs, r < 0 ? NULL : &summary)) {
		if (r >= 0)
			snprintf(e->why, sizeof e->why, "an output failed");
		return -1;
	}
	return r < 0 ? -1 : 0;
}

void lp_engine_captured(struct lp_engine *e, uint64_t kernel_drop, uint64_t if_drop,
			uint64_t filtered)
{
	e->extra_packets[0] = kernel_drop;
	e->extra_packets[1] = if_drop;
	e->extra_packets[2] = filtered;
}

void lp_engine_rotate(struct lp_engine *e)
{
	if (e->crew)
		lp_crew_rotate(e->crew);
	else
		lp_outputs_rotate(e->outputs);
	if (e->follow)
		lp_warden_reload(e->warden);
}

uint64_t lp_engine_sessions(const struct lp_engine *e)
{
	if (e->crew) /* what workers count is theirs */
		return lp_outputs_sessions(e->outputs);
	return e->worker ? e->worker->env.sessions : 0;
}

unsigned lp_engine_workers(const struct lp_engine *e)
{
	return (unsigned)e->workers;
}

int lp_engine_failed(const struct lp_engine *e)
{
	return lp_outputs_failed(e->outputs);
}
