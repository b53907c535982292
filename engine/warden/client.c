/* The engine's side of the warden: its start, its keys, its end. */
#define _GNU_SOURCE
#include <assert.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/child.h"
#include "base/log.h"
#include "warden/keyring.h"
#include "warden/line.h"
#include "warden/ticketring.h"

enum { WHY = LP_CHILD_WHY };

/* Keys as they were told. The table does not move when more come: others point into it. */
struct table {
	struct lp_warden_key *key;
	atomic_size_t n; /* those before it stay as they are, but for bits */
	size_t max;
	size_t heard;    /* of the list that is being told */
};

struct lp_warden {
	struct lp_child child;
	int reload_fd;          /* line 0's */
	struct lp_line *line[LP_WARDEN_LINES];
	unsigned lines;
	struct table keys, tickets;
	_Atomic uint32_t skipped;
	_Atomic uint64_t reloads;
	atomic_bool ended;      /* and that was said */
};

static bool send_now(struct lp_warden *w, const uint8_t *p, size_t n)
{
	ssize_t sent;

	do
		sent = send(w->child.fd, p, n, MSG_NOSIGNAL);
	while (sent < 0 && errno == EINTR);
	return sent == (ssize_t)n;
}

/* Tells the warden what to do. False: something does not fit (why), or it is gone
 * (then its own words, or its end, say more). */
static enum lp_err configure(struct lp_warden *w, const struct lp_warden_config *config, char *why)
{
	const char *crypto = config->crypto ? config->crypto : "auto";
	const char *passphrase = config->passphrase_file ? config->passphrase_file : "";
	const struct lp_message_options options = {
		.strict_key_modes = config->strict_key_modes,
		.follow = config->follow,
		.ticket_life_s = config->ticket_life_s ? config->ticket_life_s
						       : LP_WARDEN_TICKET_LIFE_S,
		.lines = w->lines,
		.threads = config->threads,
		.delay_ms = config->delay_ms,
		.crypto = lp_span_of(crypto, strlen(crypto)),
		.passphrase_file = lp_span_of(passphrase, strlen(passphrase)),
	};
	const struct {
		enum lp_message_type type;
		const char *const *path;
		size_t n;
	} paths[] = {
		{ LP_MESSAGE_PATH, config->key_paths, config->key_paths_n },
		{ LP_MESSAGE_PSKS, config->psk_paths, config->psk_paths_n },
		{ LP_MESSAGE_TICKETS, config->ticket_paths, config->ticket_paths_n },
	};
	uint8_t datagram[LP_MESSAGE_OPTIONS_ROOM];
	size_t n = lp_message_write_options(datagram, sizeof datagram, &options);

	if (config->key_paths_n + config->psk_paths_n + config->ticket_paths_n >
	    LP_MESSAGE_PATHS_MAX) {
		snprintf(why, WHY, "more than %d key files and directories", LP_MESSAGE_PATHS_MAX);
		return LP_E_ARG;
	}
	if (!n) {
		snprintf(why, WHY, "the name of the crypto provider or of the passphrase file "
			 "is too long");
		return LP_E_ARG;
	}
	if (!send_now(w, datagram, n))
		return LP_OK;
	for (size_t k = 0; k < sizeof paths / sizeof *paths; k++) {
		for (size_t i = 0; i < paths[k].n; i++) {
			n = lp_message_write_path(datagram, sizeof datagram, paths[k].type,
						  paths[k].path[i]);
			if (!n) {
				snprintf(why, WHY, "the name of a key file is empty or too long");
				return LP_E_ARG;
			}
			if (!send_now(w, datagram, n))
				return LP_OK;
		}
	}
	(void)send_now(w, datagram, lp_message_write_go(datagram, sizeof datagram));
	return LP_OK;
}

static enum lp_err take_key(struct table *t, const struct lp_warden_key *key)
{
	const size_t n = atomic_load(&t->n);

	if (key->id != t->heard || t->heard == t->max)
		return LP_E_FORMAT;
	t->heard++;
	/* One that is known may only hold more or less than before. */
	if (key->id < n) {
		atomic_store(&t->key[key->id].bits, key->bits);
		return LP_OK;
	}
	memcpy(&t->key[n], key, sizeof *key);
	atomic_store(&t->n, n + 1);
	return LP_OK;
}

static enum lp_err table_init(struct table *t, size_t max)
{
	t->key = calloc(max, sizeof *t->key);
	t->max = max;
	return t->key ? LP_OK : LP_E_NOMEM;
}

/* LP_OK: that was the last of them. LP_MORE. */
static enum lp_err take_keys(struct lp_warden *w, struct lp_message_keys *keys)
{
	struct lp_warden_key key;
	enum lp_err err = LP_OK;

	while (!err && lp_message_next_key(keys, &key) == LP_OK)
		err = take_key(key.kind == LP_WARDEN_TICKETS ? &w->tickets : &w->keys, &key);
	if (err || !keys->last)
		return err ? err : LP_MORE;
	w->keys.heard = 0;
	w->tickets.heard = 0;
	atomic_store(&w->skipped, keys->skipped);
	return LP_OK;
}

static void log_line(lp_span text)
{
	lp_log("%.*s", (int)text.n, (const char *)text.p);
}

/* One message of the warden's start. LP_MORE: there are more to come. */
static enum lp_err heed(struct lp_warden *w, struct lp_message *m, char *why)
{
	enum lp_err err;

	switch (m->type) {
	case LP_MESSAGE_LOG:
		log_line(m->text);
		return LP_MORE;
	case LP_MESSAGE_FAULT:
		snprintf(why, WHY, "%.*s", (int)m->text.n, (const char *)m->text.p);
		return m->fault;
	case LP_MESSAGE_KEYS:
		err = take_keys(w, &m->keys);
		if (err < 0)
			break;
		return err;
	default:
		err = LP_E_FORMAT;
		break;
	}
	snprintf(why, WHY, "the key process: %s", lp_err_text(err));
	return err;
}

/* Listens until all KEYS are there. */
static enum lp_err hear_keys(struct lp_warden *w, char *why)
{
	uint8_t *datagram = malloc(LP_MESSAGE_MAX);
	struct lp_message *m = malloc(sizeof *m);
	enum lp_err err = LP_MORE;
	char how[64];
	ssize_t n;

	if (!datagram || !m) {
		snprintf(why, WHY, "out of memory");
		err = LP_E_NOMEM;
	}
	while (err == LP_MORE) {
		n = recv(w->child.fd, datagram, LP_MESSAGE_MAX, 0);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0 || lp_message_read(m, lp_span_of(datagram, (size_t)n))) {
			(void)shutdown(w->child.fd, SHUT_RDWR);
			snprintf(why, WHY, "the key process has ended (%s)",
				 lp_child_ending(&w->child, how, sizeof how));
			err = LP_E_IO;
			break;
		}
		err = heed(w, m, why);
	}
	free(datagram);
	free(m);
	return err;
}

/* What the warden says unasked. */
static enum lp_err overhear(void *user, struct lp_message *m)
{
	struct lp_warden *w = user;
	enum lp_err err;

	switch (m->type) {
	case LP_MESSAGE_LOG:
		log_line(m->text);
		return LP_OK;
	case LP_MESSAGE_KEYS:
		err = take_keys(w, &m->keys);
		if (err == LP_OK)
			atomic_fetch_add(&w->reloads, 1);
		return err < 0 ? err : LP_OK;
	default:
		return LP_E_FORMAT;
	}
}

/* On the other lines it only answers. */
static enum lp_err overhear_nothing(void *user, struct lp_message *m)
{
	(void)user;
	(void)m;
	return LP_E_FORMAT;
}

/* The one line about a warden that is gone or talks nonsense, whichever worker sees it. */
static void ended(void *user)
{
	struct lp_warden *w = user;
	char how[64];

	if (!atomic_exchange(&w->ended, true))
		lp_log("the key process has ended (%s)", lp_child_ending(&w->child, how, sizeof how));
}

static enum lp_err open_lines(struct lp_warden *w, int *fd)
{
	enum lp_err err = LP_OK;

	w->reload_fd = fd[0];
	w->child.fd = -1;
	for (unsigned i = 0; i < w->lines && !err; i++) {
		const struct lp_line_config config = {
			.fd = fd[i],
			.room = LP_WARDEN_QUEUE / w->lines,
			.datagram = i ? LP_MESSAGE_ANSWERS_ROOM : LP_MESSAGE_MAX,
			.overhear = i ? overhear_nothing : overhear,
			.ended = ended,
			.user = w,
		};

		err = lp_line_new(&w->line[i], &config);
		fd[i] = -1;
	}
	return err;
}

/* Starts the process; fd are our ends. */
static enum lp_err launch(struct lp_warden *w, const struct lp_warden_config *config, int *fd,
			  char *why)
{
	enum lp_err err;

	snprintf(why, WHY, "out of memory");
	err = table_init(&w->keys, LP_KEYRING_MAX);
	if (!err)
		err = table_init(&w->tickets, LP_TICKETRING_FILES);
	if (err)
		return err;
	err = lp_child_start_lines(&w->child, config->helper, LP_WARDEN_ARG, "the key process",
				   why, fd, w->lines);
	if (!err)
		err = configure(w, config, why);
	if (!err)
		err = hear_keys(w, why);
	if (err)
		return err;
	snprintf(why, WHY, "out of memory");
	return open_lines(w, fd);
}

enum lp_err lp_warden_start(struct lp_warden **out, const struct lp_warden_config *config,
			    char *why)
{
	struct lp_warden *w = calloc(1, sizeof *w);
	int fd[LP_WARDEN_LINES];
	enum lp_err err;

	assert(config->lines <= LP_WARDEN_LINES);
	*out = NULL;
	snprintf(why, WHY, "out of memory");
	if (!w)
		return LP_E_NOMEM;
	w->child = LP_CHILD_NONE;
	w->lines = config->lines ? config->lines : 1;
	for (unsigned i = 0; i < w->lines; i++)
		fd[i] = -1;
	err = launch(w, config, fd, why);
	if (err) {
		/* The first is the child's as long as it is no line's. */
		for (unsigned i = w->child.fd >= 0; i < w->lines; i++)
			if (fd[i] >= 0)
				close(fd[i]);
		lp_warden_stop(w);
		return err;
	}
	why[0] = '\0';
	*out = w;
	return LP_OK;
}

struct lp_line *lp_warden_line(struct lp_warden *w, unsigned i)
{
	assert(i < w->lines);
	return w->line[i];
}

const struct lp_warden_key *lp_warden_keys(const struct lp_warden *w, size_t *n)
{
	*n = atomic_load(&w->keys.n);
	return w->keys.key;
}

const struct lp_warden_key *lp_warden_tickets(const struct lp_warden *w, size_t *n)
{
	*n = atomic_load(&w->tickets.n);
	return w->tickets.key;
}

uint64_t lp_warden_reloads(const struct lp_warden *w)
{
	return atomic_load(&w->reloads);
}

uint32_t lp_warden_skipped(const struct lp_warden *w)
{
	return atomic_load(&w->skipped);
}

int lp_warden_pid(const struct lp_warden *w)
{
	return w->child.pid;
}

void lp_warden_reload(struct lp_warden *w)
{
	uint8_t datagram[LP_MESSAGE_LINE_ROOM];
	size_t n = lp_message_write_reload(datagram, sizeof datagram);

	/* A warden that is gone shows at the next poll, and one that has its hands full
	 * with questions looks at its files by itself. */
	(void)!send(w->reload_fd, datagram, n, MSG_NOSIGNAL | MSG_DONTWAIT);
}

void lp_warden_stop(struct lp_warden *w)
{
	if (!w)
		return;
	for (unsigned i = 0; i < w->lines; i++)
		lp_line_free(w->line[i]);
	lp_child_stop(&w->child, LP_CHILD_STOP_MS);
	free(w->keys.key);
	free(w->tickets.key);
	free(w);
}
