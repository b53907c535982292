/* The engine's side of the warden. */
#define _GNU_SOURCE
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/buf.h"
#include "base/child.h"
#include "base/clock.h"
#include "base/log.h"
#include "warden/keyring.h"
#include "warden/message.h"
#include "warden/ticketring.h"

enum { WHY = LP_CHILD_WHY };

/* What comes in while running; secret memory. */
struct inbox {
	uint8_t datagram[LP_MESSAGE_MAX];
	struct lp_message message;
};

/* Keys as they were told. The table does not move when more come: others point into it. */
struct table {
	struct lp_warden_key *key;
	size_t n, max;
	size_t heard; /* of the list that is being told */
};

struct lp_warden {
	struct lp_child child;
	bool dead;
	struct table keys, tickets;
	uint32_t skipped;
	uint64_t reloads;
	size_t pending;
	struct lp_buf out; /* questions that the socket had no room for: length ‖ datagram */
	uint8_t *bytes;    /* the question that is being written */
	struct inbox *in;
};

enum { LENGTH = 3 };

/* The one line about a warden that is gone or talks nonsense. */
static enum lp_err die(struct lp_warden *w)
{
	char how[64];

	if (!w->dead) {
		w->dead = true;
		(void)shutdown(w->child.fd, SHUT_RDWR);
		lp_log("the key process has ended (%s)", lp_child_ending(&w->child, how, sizeof how));
	}
	return LP_E_IO;
}

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
	if (key->id != t->heard || t->heard == t->max)
		return LP_E_FORMAT;
	if (!t->key)
		t->key = calloc(t->max, sizeof *t->key);
	if (!t->key)
		return LP_E_NOMEM;
	t->heard++;
	/* One that is known may only hold more or less than before. */
	if (key->id < t->n) {
		t->key[key->id].bits = key->bits;
		return LP_OK;
	}
	t->key[t->n++] = *key;
	return LP_OK;
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
	w->skipped = keys->skipped;
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

enum lp_err lp_warden_start(struct lp_warden **out, const struct lp_warden_config *config,
			    char *why)
{
	struct lp_warden *w = calloc(1, sizeof *w);
	enum lp_err err = LP_E_NOMEM;

	*out = NULL;
	snprintf(why, WHY, "out of memory");
	if (!w)
		return LP_E_NOMEM;
	w->child = LP_CHILD_NONE;
	lp_buf_init(&w->out, (size_t)LP_WARDEN_QUEUE * (LP_MESSAGE_ASK_ROOM + LENGTH));
	w->keys.max = LP_KEYRING_MAX;
	w->tickets.max = LP_TICKETRING_FILES;
	w->bytes = malloc(LENGTH + LP_MESSAGE_MAX);
	w->in = lp_secret_alloc(sizeof *w->in);
	if (!w->in || !w->bytes)
		goto out;
	err = lp_child_start(&w->child, config->helper, LP_WARDEN_ARG, "the key process", why);
	if (!err)
		err = configure(w, config, why);
	if (!err)
		err = hear_keys(w, why);
out:
	if (err) {
		lp_warden_stop(w);
		return err;
	}
	why[0] = '\0';
	*out = w;
	return LP_OK;
}

const struct lp_warden_key *lp_warden_keys(const struct lp_warden *w, size_t *n)
{
	*n = w->keys.n;
	return w->keys.key;
}

const struct lp_warden_key *lp_warden_tickets(const struct lp_warden *w, size_t *n)
{
	*n = w->tickets.n;
	return w->tickets.key;
}

uint64_t lp_warden_reloads(const struct lp_warden *w)
{
	return w->reloads;
}

uint32_t lp_warden_skipped(const struct lp_warden *w)
{
	return w->skipped;
}

size_t lp_warden_pending(const struct lp_warden *w)
{
	return w->pending;
}

int lp_warden_fd(const struct lp_warden *w)
{
	return w->child.fd;
}

int lp_warden_pid(const struct lp_warden *w)
{
	return w->child.pid;
}

/* LP_MORE: the socket is full. */
static enum lp_err try_send(struct lp_warden *w, const uint8_t *p, size_t n)
{
	ssize_t sent;

	do
		sent = send(w->child.fd, p, n, MSG_NOSIGNAL | MSG_DONTWAIT);
	while (sent < 0 && errno == EINTR);
	if (sent == (ssize_t)n)
		return LP_OK;
	if (sent < 0 && (errno == EAGAIN || errno == ENOBUFS || errno == ENOMEM))
		return LP_MORE;
	return die(w);
}

/* LP_MORE: some is left. */
static enum lp_err flush(struct lp_warden *w)
{
	enum lp_err err = LP_OK;

	while (!err && lp_buf_len(&w->out)) {
		struct lp_cursor c = lp_cursor_span(lp_buf_span(&w->out));
		lp_span datagram = lp_cursor_vec24(&c);

		err = try_send(w, datagram.p, datagram.n);
		if (!err)
			lp_buf_consume(&w->out, datagram.n + LENGTH);
	}
	return err;
}

/* The datagram of n bytes that was written behind the room for its length. */
static enum lp_err queue(struct lp_warden *w, size_t n)
{
	enum lp_err err = lp_buf_len(&w->out) ? LP_MORE : try_send(w, w->bytes + LENGTH, n);

	for (size_t i = 0; i < LENGTH; i++)
		w->bytes[i] = (uint8_t)(n >> (8 * (LENGTH - 1 - i)));
	return err == LP_MORE ? lp_buf_append(&w->out, w->bytes, n + LENGTH) : err;
}

enum lp_err lp_warden_ask(struct lp_warden *w, const struct lp_ask *ask)
{
	size_t n;
	enum lp_err err;

	if (w->dead)
		return LP_E_IO;
	if (w->pending == LP_WARDEN_QUEUE)
		return LP_E_LIMIT;
	n = lp_message_write_ask(w->bytes + LENGTH, LP_MESSAGE_MAX, ask);
	if (!n)
		return LP_E_ARG;
	err = queue(w, n);
	if (!err)
		w->pending++;
	return err;
}

void lp_warden_reload(struct lp_warden *w)
{
	/* A warden that is gone shows at the next poll, and one that has its hands full
	 * with questions looks at its files by itself. */
	if (!w->dead)
		(void)queue(w, lp_message_write_reload(w->bytes + LENGTH, LP_MESSAGE_MAX));
}

/* What the warden says unasked. */
static enum lp_err overhear(struct lp_warden *w, struct lp_message *m)
{
	enum lp_err err;

	switch (m->type) {
	case LP_MESSAGE_LOG:
		log_line(m->text);
		return LP_OK;
	case LP_MESSAGE_KEYS:
		err = take_keys(w, &m->keys);
		w->reloads += err == LP_OK;
		return err < 0 ? die(w) : LP_OK;
	default:
		return die(w);
	}
}

/* One message, if there is one. LP_MORE: there is none. *heard counts answers. */
static enum lp_err receive(struct lp_warden *w, lp_warden_answer *cb, void *user, size_t *heard)
{
	struct inbox *in = w->in;
	ssize_t n;

	n = recv(w->child.fd, in->datagram, sizeof in->datagram, MSG_DONTWAIT | MSG_TRUNC);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return LP_MORE;
	if (n <= 0 || (size_t)n > sizeof in->datagram ||
	    lp_message_read(&in->message, lp_span_of(in->datagram, (size_t)n)))
		return die(w);
	if (in->message.type != LP_MESSAGE_ANSWER || !w->pending)
		return overhear(w, &in->message);
	lp_wipe(in->datagram, (size_t)n);
	w->pending--;
	++*heard;
	cb(user, &in->message.answer);
	lp_wipe(&in->message.answer, sizeof in->message.answer);
	return LP_OK;
}

enum lp_err lp_warden_poll(struct lp_warden *w, int timeout_ms, lp_warden_answer *cb, void *user)
{
	const uint64_t start = lp_clock_mono();
	size_t heard = 0;
	enum lp_err err;

	if (w->dead)
		return LP_E_IO;
	for (;;) {
		struct pollfd p = { w->child.fd, POLLIN, 0 };
		int left = timeout_ms;

		err = flush(w);
		if (err < 0)
			return err;
		if (err == LP_MORE)
			p.events |= POLLOUT;
		/* A callback that asks again must not keep us here for ever. */
		do
			err = receive(w, cb, user, &heard);
		while (!err && heard < LP_WARDEN_QUEUE);
		if (err < 0)
			return err;
		if (heard || !w->pending || !timeout_ms)
			return LP_OK;
		if (timeout_ms > 0) {
			uint64_t gone = (lp_clock_mono() - start) / LP_NS_PER_MS;

			if (gone >= (uint64_t)timeout_ms)
				return LP_OK;
			left = timeout_ms - (int)gone;
		}
		if (poll(&p, 1, left) < 0) /* a signal: the caller may want to know */
			return LP_OK;
	}
}

void lp_warden_stop(struct lp_warden *w)
{
	if (!w)
		return;
	lp_child_stop(&w->child, LP_CHILD_STOP_MS);
	lp_secret_free(w->in, sizeof *w->in);
	lp_buf_clear(&w->out);
	free(w->keys.key);
	free(w->tickets.key);
	free(w->bytes);
	free(w);
}
