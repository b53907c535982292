#define _GNU_SOURCE
#include "warden/reload.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "warden/haproxy.h"
#include "warden/message.h"
#include "warden/secretfile.h"
#include "warden/watch.h"

enum { PRIVATE_KEYS, TICKET_KEYS };
enum { SOCKETS_MAX = 64, FIRST_MS = 5000, KEYS_ROOM = 60000, SLOWER = 10 };
enum { WAKE_LOOK = 1, WAKE_STOP = 1 << 16 }; /* added to the eventfd */

struct source {
	struct lp_haproxy *haproxy;
	char *path;
	uint32_t file;
};

struct lp_reload {
	struct lp_reload_config config;
	struct lp_watch *watch;
	struct lp_ticketring *tickets;
	bool has_tickets;
	struct source socket[SOCKETS_MAX];
	size_t sockets;
	bool changed;              /* the engine is to be told */
	int wake;
	pthread_t thread;
	bool runs;
	char why[LP_WATCH_WHY];
	uint8_t line[LP_MESSAGE_LINE_ROOM];
	uint8_t keys[KEYS_ROOM];
};

static void warn(void *user, const char *line)
{
	struct lp_reload *r = user;
	size_t n = lp_message_write_log(r->line, sizeof r->line, line);

	/* If the engine is gone, that shows elsewhere. */
	(void)send(r->config.fd, r->line, n, MSG_NOSIGNAL);
}

/* ---- what a file means ---- */

/* Takes over the keys of f. */
static enum lp_err use(struct lp_reload *r, const char *shown, struct lp_ticketfile *f, char *why)
{
	uint32_t file;
	size_t before, files;
	bool changed = false;
	enum lp_err err;

	(void)lp_ticketring_faces(r->tickets, &before);
	err = lp_ticketring_file(r->tickets, shown, &file);
	(void)lp_ticketring_faces(r->tickets, &files);
	/* Its name must be known before a ticket opens by it. */
	if (!err && r->runs && files != before && lp_reload_tell(r))
		err = LP_E_IO;
	if (!err)
		err = lp_ticketring_set(r->tickets, file, f, lp_clock_mono(), &changed);
	lp_ticketfile_clear(f);
	if (err == LP_E_LIMIT)
		snprintf(why, LP_WATCH_WHY, "%.300s: more than %d ticket keys in all", shown,
			 LP_TICKETRING_MAX);
	r->changed |= changed;
	return err;
}

static enum lp_err use_text(struct lp_reload *r, const char *shown, lp_span bytes, char *why)
{
	struct lp_ticketfile f = { NULL, 0, 0 };
	char reason[LP_TICKETFILE_WHY];
	enum lp_err err = lp_ticketfile_read(&f, bytes, reason);

	if (err)
		snprintf(why, LP_WATCH_WHY, "%.300s: %s", shown, reason);
	return err ? err : use(r, shown, &f, why);
}

static enum lp_err load_tickets(struct lp_reload *r, int fd, const char *shown, char *why)
{
	struct lp_secretfile f;
	bool exposed;
	enum lp_err err = lp_secretfile_read(&f, fd, shown);

	if (err) {
		snprintf(why, LP_WATCH_WHY, "%s", f.why);
		return err;
	}
	exposed = lp_secretfile_exposed(&f, shown, r->config.strict_modes);
	if (exposed && r->config.strict_modes) {
		snprintf(why, LP_WATCH_WHY, "%s", f.why);
		err = LP_E_ARG;
	} else {
		err = use_text(r, shown, lp_secret_span(&f.bytes), why);
		if (!err && exposed)
			warn(r, f.why);
	}
	lp_secretfile_clear(&f);
	return err;
}

static uint64_t end_of_life(const struct lp_reload *r)
{
	return lp_clock_mono() + r->config.life_ns;
}

/* tag: the key of this file, and one. What it held before may be in other files, too. */
static enum lp_err load_private(struct lp_reload *r, int fd, const char *shown, uint32_t *tag,
				char *why)
{
	struct lp_keyring *ring = r->config.ring;
	size_t before = ring->n;
	uint32_t id;
	enum lp_err err = lp_keyring_load(ring, fd, shown, &id);

	if (err) {
		snprintf(why, LP_WATCH_WHY, "%s", ring->why);
		return err;
	}
	if (*tag)
		lp_keyring_release(ring, *tag - 1, end_of_life(r));
	*tag = id + 1;
	r->changed |= ring->n != before;
	return LP_OK;
}

static enum lp_err load(void *user, unsigned kind, int fd, const char *shown, uint32_t *tag,
			char why[LP_WATCH_WHY])
{
	struct lp_reload *r = user;

	return kind == TICKET_KEYS ? load_tickets(r, fd, shown, why)
				   : load_private(r, fd, shown, tag, why);
}

static void gone(void *user, unsigned kind, const char *shown, uint32_t tag)
{
	struct lp_reload *r = user;
	struct lp_ticketfile none = { NULL, 0, 0 };

	if (kind == TICKET_KEYS)
		(void)use(r, shown, &none, r->why);
	else
		lp_keyring_release(r->config.ring, tag - 1, end_of_life(r));
}

static const struct lp_watch_cb watch_cb = { load, gone, warn };

/* ---- start ---- */

enum lp_err lp_reload_new(struct lp_reload **out, const struct lp_reload_config *config)
{
	struct lp_reload *r = calloc(1, sizeof *r);
	enum lp_err err;

	*out = r;
	if (!r)
		return LP_E_NOMEM;
	r->config = *config;
	r->wake = -1;
	err = lp_watch_new(&r->watch, &watch_cb, r);
	if (!err)
		err = lp_ticketring_new(&r->tickets, config->crypto, config->threads,
					config->life_ns);
	return err;
}

void lp_reload_stop(struct lp_reload *r)
{
	const uint64_t stop = WAKE_STOP;

	if (!r->runs)
		return;
	(void)!write(r->wake, &stop, sizeof stop);
	pthread_join(r->thread, NULL);
	r->runs = false;
}

void lp_reload_free(struct lp_reload *r)
{
	if (!r)
		return;
	lp_reload_stop(r);
	for (size_t i = 0; i < r->sockets; i++) {
		lp_haproxy_stop(r->socket[i].haproxy);
		free(r->socket[i].path);
	}
	lp_watch_free(r->watch);
	lp_ticketring_free(r->tickets);
	if (r->wake >= 0)
		close(r->wake);
	free(r);
}

const char *lp_reload_why(const struct lp_reload *r)
{
	return r->why;
}

enum lp_err lp_reload_add_keys(struct lp_reload *r, const char *path)
{
	enum lp_err err = lp_watch_add(r->watch, PRIVATE_KEYS, path, r->why);

	return err == LP_EOF ? LP_E_FORMAT : err;
}

enum lp_err lp_reload_add_tickets(struct lp_reload *r, const char *path)
{
	static const char prefix[] = LP_HAPROXY_PREFIX;
	struct source *s = &r->socket[r->sockets];

	r->has_tickets = true;
	if (strncmp(path, prefix, sizeof prefix - 1) != 0)
		return lp_watch_add(r->watch, TICKET_KEYS, path, r->why);
	if (r->sockets == SOCKETS_MAX) {
		snprintf(r->why, sizeof r->why, "more than %d sockets of HAProxy", SOCKETS_MAX);
		return LP_E_LIMIT;
	}
	s->path = strdup(path + sizeof prefix - 1);
	if (!s->path)
		return LP_E_NOMEM;
	r->sockets++;
	return LP_OK;
}

/* Keys from a socket, or why there are none. LP_MORE: nothing was told. */
static enum lp_err hear(struct lp_reload *r, struct source *s, int timeout_ms)
{
	char shown[LP_WATCH_NAME];
	lp_span text;
	enum lp_err err = lp_haproxy_hear(s->haproxy, timeout_ms, &text, r->why);

	if (err)
		return err;
	snprintf(shown, sizeof shown, LP_HAPROXY_PREFIX);
	lp_text_escape(shown + strlen(shown), sizeof shown - strlen(shown), s->path,
		       strlen(s->path));
	return use_text(r, shown, text, r->why);
}

enum lp_err lp_reload_hold(struct lp_reload *r)
{
	enum lp_err err = r->config.follow ? lp_watch_hold(r->watch, r->why) : LP_OK;

	if (!err && r->config.follow) {
		r->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		if (r->wake < 0) {
			snprintf(r->why, sizeof r->why, "eventfd: %s", strerror(errno));
			err = LP_E_IO;
		}
	}
	for (size_t i = 0; !err && i < r->sockets; i++) {
		struct source *s = &r->socket[i];

		err = lp_haproxy_start(&s->haproxy, s->path, r->why);
		if (err)
			break;
		err = hear(r, s, FIRST_MS);
		if (err == LP_MORE || err == LP_EOF) {
			snprintf(r->why, sizeof r->why, "HAProxy's socket gives no answer");
			err = LP_E_IO;
		}
		if (!r->config.follow) {
			lp_haproxy_stop(s->haproxy);
			s->haproxy = NULL;
		}
	}
	return err;
}

struct lp_ticketring *lp_reload_tickets(struct lp_reload *r)
{
	return r->has_tickets ? r->tickets : NULL;
}

/* ---- what the engine is told ---- */

/* Some of n faces; the datagram is the last of all if nothing is left of both kinds. */
static enum lp_err tell_some(struct lp_reload *r, const struct lp_warden_key *faces, size_t n,
			     bool last_kind, size_t *taken)
{
	size_t length = lp_message_write_keys(r->keys, sizeof r->keys, faces, n,
					      lp_watch_skipped(r->watch), taken);

	if (length && !last_kind)
		r->keys[1] = 0;
	return length && send(r->config.fd, r->keys, length, MSG_NOSIGNAL) == (ssize_t)length
	       ? LP_OK : LP_EOF;
}

enum lp_err lp_reload_tell(struct lp_reload *r)
{
	const struct lp_warden_key *faces[2] = { r->config.ring->faces, NULL };
	size_t n[2] = { r->config.ring->n, 0 };
	enum lp_err err = LP_OK;

	faces[1] = lp_ticketring_faces(r->tickets, &n[1]);
	for (size_t kind = 0; kind < 2 && (!kind || n[1]); kind++) {
		size_t at = 0, taken;

		do {
			err = tell_some(r, n[kind] ? faces[kind] + at : NULL, n[kind] - at,
					kind || !n[1], &taken);
			at += taken;
		} while (!err && at < n[kind]);
		if (err)
			return err;
	}
	r->changed = false;
	return LP_OK;
}

/* ---- the thread ---- */

static void hear_all(struct lp_reload *r)
{
	for (size_t i = 0; i < r->sockets; i++) {
		enum lp_err err = hear(r, &r->socket[i], 0);

		if (err && err != LP_MORE)
			warn(r, r->why);
	}
}

/* Waits for the time of the next look, for a socket, or to be woken. */
static uint64_t doze(struct lp_reload *r, uint64_t until)
{
	struct pollfd p[1 + SOCKETS_MAX] = { { r->wake, POLLIN, 0 } };
	uint64_t now = lp_clock_mono(), word = 0;
	nfds_t n = 1;

	for (size_t i = 0; i < r->sockets; i++)
		p[n++] = (struct pollfd){ lp_haproxy_fd(r->socket[i].haproxy), POLLIN, 0 };
	(void)poll(p, n, until > now ? (int)((until - now) / LP_NS_PER_MS) + 1 : 0);
	if (read(r->wake, &word, sizeof word) != sizeof word)
		word = 0;
	return word;
}

static void *run(void *arg)
{
	struct lp_reload *r = arg;
	uint64_t next = lp_clock_mono() + LP_RELOAD_LOOK_MS * LP_NS_PER_MS, word;

	while ((word = doze(r, next)) < WAKE_STOP) {
		uint64_t start = lp_clock_mono(), took;

		hear_all(r);
		if (word || start >= next) {
			if (lp_watch_look(r->watch, word != 0))
				warn(r, "out of memory while looking for new keys");
			(void)lp_ticketring_expire(r->tickets, start);
			lp_keyring_expire(r->config.ring, start);
			/* A directory of many files on a slow disk must not keep us busy. */
			took = SLOWER * (lp_clock_mono() - start);
			next = start + LP_RELOAD_LOOK_MS * LP_NS_PER_MS;
			next = next > start + took ? next : start + took;
		}
		if (r->changed && lp_reload_tell(r))
			return NULL; /* the engine is gone */
	}
	return NULL;
}

enum lp_err lp_reload_start(struct lp_reload *r)
{
	sigset_t all, before;
	int code;

	if (!r->config.follow)
		return LP_OK;
	r->config.ring->warn = warn; /* from a thread of its own now */
	r->config.ring->user = r;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	r->runs = true;
	code = pthread_create(&r->thread, NULL, run, r);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	r->runs = !code;
	return code ? LP_E_NOMEM : LP_OK;
}

void lp_reload_now(struct lp_reload *r)
{
	const uint64_t look = WAKE_LOOK;

	if (r->runs)
		(void)!write(r->wake, &look, sizeof look);
}
