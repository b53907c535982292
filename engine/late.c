/* Sessions whose secret is not there yet: the peer that logs it may write its line a
 * little after the packets have passed. */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "engine_parts.h"

static void leave(struct lp_late *l)
{
	struct lp_worker *w = l->flow->worker;

	if (!l->waiting)
		return;
	*(l->prev ? &l->prev->next : &w->late) = l->next;
	*(l->next ? &l->next->prev : &w->late_last) = l->prev;
	l->waiting = false;
}

static void enter(struct lp_late *l)
{
	struct lp_worker *w = l->flow->worker;

	l->waiting = true;
	l->next = NULL;
	l->prev = w->late_last;
	*(w->late_last ? &w->late_last->next : &w->late) = l;
	w->late_last = l;
}

bool lp_late_wait(struct lp_tracked *f, const struct lp_logged_ids *ids,
		  const struct lp_when *when)
{
	struct lp_engine *e = f->worker->engine;
	struct lp_late *l = f->quest->late;

	if (l && l->over)
		return false;
	if (!l)
		l = calloc(1, sizeof *l);
	if (!l) {
		f->worker->env.fault = LP_E_NOMEM;
		return false;
	}
	f->quest->late = l;
	l->flow = f;
	l->ids = *ids;
	l->ticket = f->ticket == LP_TICKET_REFUSED;
	l->reloads = e->reloads;
	l->over = !e->key_wait_ns || f->worker->ended ||
		  !(l->ticket || lp_keylogs_followed(e->keylogs));
	if (l->over)
		return false;
	if (!l->mono_ns) { /* else it is that of a wait that a wrong key has interrupted */
		l->mono_ns = lp_clock_mono() + e->key_wait_ns;
		l->packet_ns = e->live ? 0 : when->released_ns + e->key_wait_ns;
	}
	enter(l);
	lp_order_wait(f->worker->order, &f->quest->waiter, when);
	return true;
}

void lp_late_free(struct lp_tracked *f)
{
	if (!f->quest->late)
		return;
	leave(f->quest->late);
	free(f->quest->late);
	f->quest->late = NULL;
}

static bool came(struct lp_late *l)
{
	struct lp_keylog_secret secret;
	bool premaster, found;

	found = lp_wanted_logged(l->flow->worker->engine, &l->ids, true, 0, &secret, &premaster);
	if (found)
		lp_wipe(secret.bytes, secret.n);
	return found;
}

/* A line, after the packets of its session. */
static bool may_come(const struct lp_engine *e)
{
	return lp_keylogs_followed(e->keylogs) || e->blocks;
}

/* The line of a session that the note of a verdict speaks of. */
bool lp_late_came(struct lp_tracked *f)
{
	return f->quest->late && may_come(f->worker->engine) && came(f->quest->late);
}

bool lp_late_needed(const struct lp_tracked *f)
{
	const struct lp_late *l = f->quest->late;
	const bool asks = !f->stage.tls || lp_tls_state(f->stage.tls) != LP_TLS_OPAQUE;

	return l && (asks || l->waiting || !l->over || may_come(f->worker->engine));
}

static bool is_over(const struct lp_late *l, uint64_t now_ns)
{
	return now_ns >= l->mono_ns ||
	       (l->packet_ns && l->flow->worker->now_ns >= l->packet_ns);
}

void lp_late_poll(struct lp_worker *w, bool all)
{
	uint64_t secrets = lp_keylog_stats(lp_keylogs_store(w->engine->keylogs)).secrets;
	bool more = secrets != w->late_seen || w->engine->reloads != w->late_reloads;
	uint64_t now = w->late ? lp_clock_mono() : 0;
	struct lp_late *last = w->late_last, *next;

	w->late_seen = secrets;
	w->late_reloads = w->engine->reloads;
	for (struct lp_late *l = w->late; l; l = next) {
		bool end = all || is_over(l, now);
		bool done = l == last;

		if (!end && !more)
			break; /* those behind it wait longer */
		next = done ? NULL : l->next;
		if (!end && l->ticket && l->reloads != w->engine->reloads) {
			/* Once more, and if it was another key that came, on until the end. */
			l->flow->ticket = LP_TICKET_NONE;
			leave(l);
			lp_worker_again(l->flow);
			continue;
		}
		if (!end && !came(l))
			continue;
		leave(l);
		l->over = true;
		lp_worker_again(l->flow);
	}
}
