/* The session store behind the cache: asked when nobody here knows the secret of what is
 * resumed, told when a secret has been proven. It costs the session that asks a wait of
 * LP_STORE_WAIT_MS at most, and others nothing. All workers share its client, one at a time;
 * whoever takes an answer in leaves it with the worker that asked. */
#include <stdio.h>
#include <string.h>

#include "engine_parts.h"
#include "tls/handshake.h"

static lp_span id_of(const struct lp_handshake *hs)
{
	return lp_span_of(hs->server_sid, hs->server_sid_len);
}

/* False: it cannot be asked. */
static bool ask(struct lp_tracked *f, const struct lp_question *q)
{
	struct lp_engine *e = f->worker->engine;
	const struct {
		uint8_t kind;
		lp_span name;
	} known[LP_STORE_NAMES] = {
		{ LP_NAME_TICKET, lp_span_of(q->hs->ticket.p, q->hs->ticket.n) },
		{ LP_NAME_ID, id_of(q->hs) },
	};
	uint8_t names[LP_STORE_NAMES][LP_STORE_NAME];
	size_t n = 0;
	bool asked;

	for (size_t i = 0; i < LP_STORE_NAMES; i++) {
		if (!known[i].name.n)
			continue;
		if (lp_store_name(names[n++], known[i].kind, known[i].name)) {
			f->worker->env.fault = LP_E_NOMEM;
			return false;
		}
	}
	pthread_mutex_lock(&e->store_lock);
	asked = lp_store_get(e->store, (const uint8_t (*)[LP_STORE_NAME])names, n, f);
	pthread_mutex_unlock(&e->store_lock);
	return asked;
}

static enum lp_reply use(struct lp_tracked *f, const struct lp_question *q)
{
	memcpy(q->now, f->quest->value->master, sizeof f->quest->value->master);
	lp_secret_free(f->quest->value, sizeof *f->quest->value);
	f->quest->value = NULL;
	f->stored = LP_STORED_USED;
	f->quest->key_kind = "session-store";
	f->quest->key_name = NULL;
	return LP_REPLY_NOW;
}

enum lp_reply lp_stored_ask(struct lp_tracked *f, const struct lp_question *q,
			    struct lp_no_secret *no)
{
	size_t n = strlen(no->detail);

	if (f->stored == LP_STORED_FOUND)
		return use(f, q);
	if (!f->worker->engine->store)
		return LP_REPLY_NEVER;
	if (f->stored != LP_STORED_NOT_ASKED || !ask(f, q)) {
		snprintf(no->detail + n, sizeof no->detail - n,
			 "; the session store has not got it either");
		return LP_REPLY_NEVER;
	}
	f->stored = LP_STORED_ASKED;
	f->worker->stored_asked++;
	lp_order_wait(f->worker->order, &f->quest->waiter, q->when);
	return LP_REPLY_LATER;
}

/* By whichever worker, with the lock held. Without memory it is as if there were none. */
static void came(void *flow, const struct lp_store_value *value, uint64_t left_ns)
{
	struct lp_tracked *f = flow, **at = &f->worker->stored_came;

	f->quest->value = value ? lp_secret_alloc(sizeof *f->quest->value) : NULL;
	if (f->quest->value)
		*f->quest->value = *value;
	f->quest->value_left_ns = left_ns;
	f->quest->next_stored = NULL;
	while (*at)
		at = &(*at)->quest->next_stored;
	*at = f;
	if (f->worker->hand)
		lp_hand_wake(f->worker->hand);
}

/* The first whose answer is there. */
static struct lp_tracked *next(struct lp_worker *w)
{
	struct lp_tracked *f;

	pthread_mutex_lock(&w->engine->store_lock);
	lp_store_poll(w->engine->store, came);
	f = w->stored_came;
	if (f)
		w->stored_came = f->quest->next_stored;
	pthread_mutex_unlock(&w->engine->store_lock);
	return f;
}

void lp_stored_poll(struct lp_worker *w)
{
	struct lp_tracked *f;

	while ((f = next(w))) {
		w->stored_asked--;
		f->stored = f->quest->value ? LP_STORED_FOUND : LP_STORED_NONE;
		f->quest->looked = true; /* what is asked again is final */
		lp_worker_again(f);
	}
}

/* The answer may have come meanwhile. */
static void forget(struct lp_tracked *f)
{
	struct lp_worker *w = f->worker;

	pthread_mutex_lock(&w->engine->store_lock);
	lp_store_forget(w->engine->store, f);
	for (struct lp_tracked **at = &w->stored_came; *at; at = &(*at)->quest->next_stored)
		if (*at == f) {
			*at = f->quest->next_stored;
			break;
		}
	pthread_mutex_unlock(&w->engine->store_lock);
	w->stored_asked--;
}

void lp_stored_clear(struct lp_tracked *f)
{
	if (f->stored == LP_STORED_ASKED)
		forget(f);
	if (f->quest->value) {
		lp_secret_free(f->quest->value, sizeof *f->quest->value);
		f->quest->value = NULL;
	}
	f->stored = LP_STORED_NOT_ASKED;
}

static enum lp_err put(struct lp_engine *e, uint8_t kind, lp_span name,
		       const struct lp_store_value *value)
{
	uint8_t hash[LP_STORE_NAME];
	enum lp_err err = name.n ? lp_store_name(hash, kind, name) : LP_OK;

	if (err || !name.n)
		return err;
	pthread_mutex_lock(&e->store_lock);
	lp_store_put(e->store, hash, value, lp_sessions_lifetime(e->sessions));
	pthread_mutex_unlock(&e->store_lock);
	return LP_OK;
}

/* A name that came from the store is known here from now on, for what is left of its life. */
static enum lp_err learn(struct lp_tracked *f, const struct lp_handshake *hs,
			 const struct lp_session_secret *secret, const struct lp_when *when)
{
	struct lp_sessions *s = f->worker->engine->sessions;
	const lp_span ticket = lp_span_of(hs->ticket.p, hs->ticket.n);

	if (hs->facts.resumed == LP_RESUMED_TICKET)
		return lp_sessions_put(s, LP_NAME_TICKET, ticket, secret, when, f->quest->value_left_ns);
	return lp_sessions_put(s, LP_NAME_ID, id_of(hs), secret, when, f->quest->value_left_ns);
}

enum lp_err lp_stored_keep(struct lp_tracked *f, const struct lp_handshake *hs,
			   const struct lp_session_secret *secret, const struct lp_when *when)
{
	struct lp_engine *e = f->worker->engine;
	const lp_span ticket = lp_span_of(hs->new_ticket.p, hs->new_ticket.n);
	struct lp_store_value value = { .version = secret->version, .suite = secret->suite,
					.ems = secret->ems };
	enum lp_err err = LP_OK;

	if (!e->store)
		return LP_OK;
	memcpy(value.master, secret->master, sizeof value.master);
	if (f->stored == LP_STORED_USED)
		err = learn(f, hs, secret, when);
	if (!err && hs->facts.resumed <= 0)
		err = put(e, LP_NAME_ID, id_of(hs), &value);
	if (!err)
		err = put(e, LP_NAME_TICKET, ticket, &value);
	lp_wipe(&value, sizeof value);
	lp_stored_clear(f);
	return err;
}
