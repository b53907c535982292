/* The engine's side of the session store. */
#define _GNU_SOURCE
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "base/log.h"
#include "crypto/crypto.h"
#include "store/talk.h"

enum { NONE = UINT32_MAX, START_MS = 10000 };

/* A question that is out. In the list from oldest to newest, or of the free ones. */
struct slot {
	void *asker;          /* NULL: forgotten */
	uint64_t since_ns;    /* monotonic */
	uint32_t serial;      /* a late answer to an earlier question is not one to this */
	uint32_t prev, next;
	bool used;
};

struct lp_store {
	struct lp_child child;
	bool dead, finished;
	struct slot *slot;    /* LP_STORE_QUEUE */
	uint32_t free, oldest, newest;
	size_t pending;
	struct lp_talk *in, *out; /* secret memory */
	struct lp_store_stats stats;
};

/* The process is gone, or talks nonsense: we go on without. */
static void die(struct lp_store *s)
{
	char how[64];

	if (s->dead)
		return;
	s->dead = true;
	(void)shutdown(s->child.fd, SHUT_RDWR);
	if (!s->finished)
		lp_log("the session store has ended (%s); going on without it",
		       lp_child_ending(&s->child, how, sizeof how));
}

/* False: there is no room now, or nobody. */
static bool send_out(struct lp_store *s, enum lp_talk_type type)
{
	ssize_t sent;

	s->out->type = type;
	do
		sent = send(s->child.fd, s->out, lp_talk_size(type), MSG_NOSIGNAL | MSG_DONTWAIT);
	while (sent < 0 && errno == EINTR);
	lp_wipe(s->out, lp_talk_size(type));
	if (sent < 0 && errno != EAGAIN && errno != ENOBUFS && errno != ENOMEM)
		die(s);
	return sent > 0;
}

/* ---- start ---- */

static bool copy(char *out, size_t room, const char *text)
{
	return (size_t)snprintf(out, room, "%s", text) < room;
}

/* Waits for READY. */
static enum lp_err hear_ready(struct lp_store *s, char *why)
{
	char how[64];

	for (;;) {
		struct pollfd p = { s->child.fd, POLLIN, 0 };
		ssize_t n = -1;

		if (poll(&p, 1, START_MS) < 0 && errno == EINTR)
			continue;
		n = recv(s->child.fd, s->in, sizeof *s->in, MSG_DONTWAIT | MSG_TRUNC);
		if (n <= 0 || (size_t)n > sizeof *s->in || !lp_talk_sound(s->in, (size_t)n))
			break;
		if (s->in->type == LP_TALK_READY)
			return LP_OK;
		if (s->in->type == LP_TALK_LOG) {
			lp_log("%s", s->in->u.text);
			continue;
		}
		if (s->in->type != LP_TALK_FAULT)
			break;
		snprintf(why, LP_CHILD_WHY, "%s", s->in->u.text);
		return LP_E_ARG;
	}
	(void)shutdown(s->child.fd, SHUT_RDWR);
	snprintf(why, LP_CHILD_WHY, "the session store's process has ended (%s)",
		 lp_child_ending(&s->child, how, sizeof how));
	return LP_E_IO;
}

static enum lp_err configure(struct lp_store *s, const struct lp_store_config *c, char *why)
{
	struct lp_talk_config *out = &s->out->u.config;

	if (!copy(out->version, sizeof out->version, LP_VERSION) ||
	    !copy(out->servers, sizeof out->servers, c->servers) ||
	    !copy(out->key_file, sizeof out->key_file, c->key_file)) {
		snprintf(why, LP_CHILD_WHY, "the names of the session store's servers, or of its key "
			 "file, are too long");
		return LP_E_ARG;
	}
	out->timeout_ms = c->timeout_ms;
	out->strict_key_modes = c->strict_key_modes;
	(void)send_out(s, LP_TALK_CONFIG);
	return hear_ready(s, why);
}

enum lp_err lp_store_start(struct lp_store **out, const struct lp_store_config *config, char *why)
{
	struct lp_store *s = calloc(1, sizeof *s);
	enum lp_err err = LP_E_NOMEM;

	*out = NULL;
	snprintf(why, LP_CHILD_WHY, "out of memory");
	if (!s)
		return err;
	s->child = LP_CHILD_NONE;
	s->slot = calloc(LP_STORE_QUEUE, sizeof *s->slot);
	s->in = lp_secret_alloc(sizeof *s->in);
	s->out = lp_secret_alloc(sizeof *s->out);
	if (!s->slot || !s->in || !s->out)
		goto out;
	s->free = NONE;
	s->oldest = NONE;
	s->newest = NONE;
	for (uint32_t i = LP_STORE_QUEUE; i-- > 0; s->free = i)
		s->slot[i].next = s->free;
	err = lp_child_start(&s->child, config->helper, LP_STORE_ARG, "the session store's process",
			     why);
	if (!err)
		err = configure(s, config, why);
out:
	if (err) {
		lp_store_stop(s);
		return err;
	}
	why[0] = '\0';
	*out = s;
	return LP_OK;
}

enum lp_err lp_store_name(uint8_t out[LP_STORE_NAME], uint8_t kind, lp_span name)
{
	const lp_span parts[] = { lp_span_of(&kind, 1), name };

	return lp_digest_once(&lp_crypto_mbedtls, LP_SHA256, parts, 2, out);
}

/* ---- running ---- */

void lp_store_put(struct lp_store *s, const uint8_t name[LP_STORE_NAME],
		  const struct lp_store_value *value, uint64_t left_ns)
{
	struct lp_talk_work *w = &s->out->u.work;

	s->stats.put++;
	if (!s->dead) {
		memset(w, 0, sizeof *w);
		w->left_ns = left_ns;
		w->since_ns = lp_clock_mono();
		w->names = 1;
		memcpy(w->name[0], name, LP_STORE_NAME);
		w->value = *value;
		if (send_out(s, LP_TALK_PUT))
			return;
	}
	s->stats.put_dropped++;
}

static void slot_free(struct lp_store *s, uint32_t i)
{
	struct slot *l = &s->slot[i];

	*(l->prev == NONE ? &s->oldest : &s->slot[l->prev].next) = l->next;
	*(l->next == NONE ? &s->newest : &s->slot[l->next].prev) = l->prev;
	l->used = false;
	l->asker = NULL;
	l->serial++;
	l->next = s->free;
	s->free = i;
	s->pending--;
}

bool lp_store_get(struct lp_store *s, const uint8_t (*names)[LP_STORE_NAME], size_t n, void *asker)
{
	struct lp_talk_work *w = &s->out->u.work;
	uint32_t i = s->free;
	struct slot *l;

	s->stats.asked++;
	if (s->dead || s->finished || i == NONE || !n || n > LP_STORE_NAMES)
		goto refused;
	l = &s->slot[i];
	memset(w, 0, sizeof *w);
	w->id = (uint64_t)l->serial << 32 | i;
	w->since_ns = lp_clock_mono();
	w->names = (uint32_t)n;
	memcpy(w->name, names, n * LP_STORE_NAME);
	l->since_ns = w->since_ns;
	if (!send_out(s, LP_TALK_GET))
		goto refused;
	s->free = l->next;
	l->asker = asker;
	l->used = true;
	l->prev = s->newest;
	l->next = NONE;
	*(s->newest == NONE ? &s->oldest : &s->slot[s->newest].next) = i;
	s->newest = i;
	s->pending++;
	return true;
refused:
	s->stats.refused++;
	return false;
}

void lp_store_forget(struct lp_store *s, const void *asker)
{
	for (uint32_t i = s->oldest; i != NONE; i = s->slot[i].next)
		if (s->slot[i].asker == asker)
			s->slot[i].asker = NULL;
}

static void take_answer(struct lp_store *s, const struct lp_talk_answer *a, lp_store_answer *cb)
{
	uint32_t i = (uint32_t)a->id;
	void *asker;

	if (i >= LP_STORE_QUEUE || !s->slot[i].used || s->slot[i].serial != a->id >> 32)
		return; /* it was given up */
	asker = s->slot[i].asker;
	slot_free(s, i);
	*(a->found ? &s->stats.found : &s->stats.missed) += 1;
	if (asker)
		cb(asker, a->found ? &a->value : NULL, a->found ? a->left_ns : 0);
}

static void take_stats(struct lp_store *s, const struct lp_talk_stats *t)
{
	s->stats.stored = t->stored;
	s->stats.not_stored = t->not_stored;
	s->stats.forged = t->forged;
	s->stats.stale = t->stale;
	s->stats.errors = t->errors;
}

/* One message; false: there is none. */
static bool receive(struct lp_store *s, lp_store_answer *cb)
{
	ssize_t n = recv(s->child.fd, s->in, sizeof *s->in, MSG_DONTWAIT | MSG_TRUNC);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return false;
	if (n <= 0 || (size_t)n > sizeof *s->in || !lp_talk_sound(s->in, (size_t)n)) {
		die(s);
		return false;
	}
	if (s->in->type == LP_TALK_ANSWER) {
		struct lp_talk_answer *a = lp_secret_alloc(sizeof *a);

		/* The callback may ask again, and read again. */
		if (a) {
			*a = s->in->u.answer;
			lp_wipe(s->in, (size_t)n);
			take_answer(s, a, cb);
		}
		lp_secret_free(a, sizeof *a);
	} else if (s->in->type == LP_TALK_STATS) {
		take_stats(s, &s->in->u.stats);
	} else if (s->in->type == LP_TALK_LOG) {
		lp_log("%s", s->in->u.text);
	} else {
		die(s);
	}
	return !s->dead;
}

/* The oldest question that nobody will answer any more, or NONE. */
static uint32_t overdue(const struct lp_store *s, uint64_t now)
{
	uint32_t i = s->oldest;

	return i != NONE && (s->dead || now >= s->slot[i].since_ns + LP_STORE_WAIT_MS * LP_NS_PER_MS)
		       ? i : NONE;
}

void lp_store_poll(struct lp_store *s, lp_store_answer *cb)
{
	size_t most = LP_STORE_QUEUE; /* a callback that asks again must not keep us */
	uint32_t i;

	while (!s->dead && most-- && receive(s, cb))
		;
	for (most = LP_STORE_QUEUE; most-- && (i = overdue(s, lp_clock_mono())) != NONE;) {
		void *asker = s->slot[i].asker;

		slot_free(s, i);
		s->stats.late++;
		if (asker)
			cb(asker, NULL, 0);
	}
}

size_t lp_store_pending(const struct lp_store *s)
{
	return s->pending;
}

int lp_store_timeout(const struct lp_store *s)
{
	uint64_t now = lp_clock_mono(), end;

	if (s->oldest == NONE)
		return -1;
	end = s->slot[s->oldest].since_ns + LP_STORE_WAIT_MS * LP_NS_PER_MS;
	return s->dead || end <= now ? 0 : (int)((end - now) / LP_NS_PER_MS) + 1;
}

int lp_store_fd(const struct lp_store *s)
{
	return s->dead ? -1 : s->child.fd;
}

int lp_store_pid(const struct lp_store *s)
{
	return (int)s->child.pid;
}

static void nobody(void *asker, const struct lp_store_value *value, uint64_t left_ns)
{
	(void)asker;
	(void)value;
	(void)left_ns;
}

void lp_store_finish(struct lp_store *s)
{
	const uint64_t end = lp_clock_mono() + LP_STORE_FINISH_MS * LP_NS_PER_MS;
	uint64_t now;

	if (s->finished)
		return;
	s->finished = true;
	(void)shutdown(s->child.fd, SHUT_WR);
	while (!s->dead && (now = lp_clock_mono()) < end) {
		struct pollfd p = { s->child.fd, POLLIN, 0 };

		(void)poll(&p, 1, (int)((end - now) / LP_NS_PER_MS) + 1);
		while (receive(s, nobody))
			;
	}
}

void lp_store_stats(const struct lp_store *s, struct lp_store_stats *out)
{
	*out = s->stats;
}

void lp_store_stop(struct lp_store *s)
{
	if (!s)
		return;
	lp_child_stop(&s->child, LP_CHILD_STOP_MS);
	free(s->slot);
	lp_secret_free(s->in, sizeof *s->in);
	lp_secret_free(s->out, sizeof *s->out);
	free(s);
}
