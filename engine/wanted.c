/* Which secret does this handshake need, and who may have it? A key log is looked at
 * first: it costs nothing and opens everything. Then the sessions that may be resumed, and
 * exchange.c asks the warden or gives the reason why nobody can be asked; and if a line of the key log may still
 * come, that is waited for. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "crypto/kdf.h"
#include "engine_parts.h"
#include "tls/handshake.h"

enum lp_reply lp_wanted_never(struct lp_no_secret *no, enum lp_reason reason, const char *format,
			      ...)
{
	va_list args;

	no->reason = reason;
	va_start(args, format);
	(void)vsnprintf(no->detail, sizeof no->detail, format, args);
	va_end(args);
	return LP_REPLY_NEVER;
}

void lp_wanted_put(struct lp_tracked *f, struct lp_ask *ask)
{
	struct lp_stream_info info;
	const struct lp_hash_seed *seed = &f->worker->engine->seed;
	const size_t s = 1U - f->client;
	struct lp_asks_peers peers;
	uint8_t server[16 + 2];
	enum lp_err err;

	lp_tracked_info(f, &info);
	/* Whoever has an IPv6 address has its network's others too. */
	peers.client = lp_hash(seed, info.addr[f->client], info.family == 6 ? 8 : 4);
	memcpy(server, info.addr[s], 16);
	server[16] = (uint8_t)(info.port[s] >> 8);
	server[17] = (uint8_t)info.port[s];
	peers.server = lp_hash(seed, server, sizeof server);
	err = lp_asks_put(f->worker->asks, ask, &peers, f);
	if (err)
		f->worker->env.fault = err;
}

static enum lp_reply no_resumption(const struct lp_handshake *hs, struct lp_no_secret *no)
{
	char id[2 * 32 + 1];

	return lp_wanted_never(no, LP_REASON_SESSION_UNKNOWN,
		     "the session was resumed as %s, and the handshake that made it is not known",
		     lp_text_hex(id, hs->server_sid, hs->server_sid_len));
}

/* ---- resumption ---- */

/* The secret of what is resumed: by the name that the server's answer points to
 * first. A session ID under a ticket is the client's own invention (RFC 5077
 * section 3.4) and may still name something. */
static bool resumed_secret(struct lp_tracked *f, const struct lp_handshake *hs,
			   const struct lp_when *when, unsigned attempt, uint8_t *out)
{
	const lp_span id = lp_span_of(hs->server_sid, hs->server_sid_len);
	const lp_span ticket = lp_span_of(hs->ticket.p, hs->ticket.n);
	struct lp_sessions *s = f->worker->engine->sessions;
	struct lp_session_secret secret;
	unsigned left = attempt;
	bool found;

	f->quest->key_name = NULL;
	f->quest->key_kind = "session-ticket";
	found = lp_sessions_find(s, LP_NAME_TICKET, ticket, when, &left, &secret);
	/* What was asked for first may still come. */
	if (!found && (!ticket.n || f->quest->sure)) {
		f->quest->key_kind = "session-id";
		found = lp_sessions_find(s, LP_NAME_ID, id, when, &left, &secret);
	}
	if (found)
		memcpy(out, secret.master, sizeof secret.master);
	lp_wipe(&secret, sizeof secret);
	return found;
}

/* The next secret that was not tried. What there is before the look-up is final is used at
 * once, for it is the right one but for a name that has two; where it was not, all is
 * counted anew, since a newer secret may have come in between. */
static bool next_secret(struct lp_tracked *f, const struct lp_question *q, bool final)
{
	const struct lp_hash_seed *seed = &f->worker->engine->seed;
	bool found;

	if (!final) {
		if (f->quest->early || !resumed_secret(f, q->hs, q->when, 0, q->now))
			return false;
		f->quest->early = true;
		f->quest->early_hash = lp_hash(seed, q->now, LP_MASTER_SIZE);
		return true;
	}
	if (!f->quest->sure)
		f->quest->others = 0;
	f->quest->sure = true;
	found = resumed_secret(f, q->hs, q->when, f->quest->others, q->now);
	if (!found || !f->quest->early || lp_hash(seed, q->now, LP_MASTER_SIZE) != f->quest->early_hash)
		return found;
	f->quest->early = false;
	f->quest->others++;
	return resumed_secret(f, q->hs, q->when, f->quest->others, q->now);
}

enum lp_reply lp_wanted_later(struct lp_tracked *f, const struct lp_question *q)
{
	struct lp_tracked **at = &f->worker->lookups;

	f->quest->next_lookup = NULL;
	lp_order_wait(f->worker->order, &f->quest->waiter, q->when);
	while (*at)
		at = &(*at)->quest->next_lookup;
	*at = f;
	return LP_REPLY_LATER;
}

static enum lp_reply look_up(struct lp_tracked *f, const struct lp_question *q,
			     struct lp_no_secret *no)
{
	struct lp_worker *w = f->worker;
	bool final = f->quest->looked || f->missed || f->quest->sure ||
		     lp_worker_first(w, q->when);
	enum lp_reply reply;

	f->questioned = true;
	f->quest->looked = false;
	f->quest->cached = next_secret(f, q, final);
	if (f->quest->cached) {
		lp_tickets_forget(f);
		return LP_REPLY_NOW;
	}
	if (final) {
		f->missed = true;
		reply = q->hs->facts.resumed == LP_RESUMED_TICKET ? lp_tickets_reply(f, q, no)
								  : no_resumption(q->hs, no);
		if (reply == LP_REPLY_NEVER)
			reply = lp_stored_ask(f, q, no);
		if (reply == LP_REPLY_NEVER && !f->quest->others)
			lp_sessions_missed(w->engine->sessions);
		return reply;
	}
	lp_tickets_ask(f, q);
	/* A handshake before this place may still be on its way to the cache: a miss
	 * is final only when nobody waits at an earlier place. */
	return lp_wanted_later(f, q);
}

void lp_wanted_lookups(struct lp_worker *w)
{
	struct lp_tracked **at = &w->lookups;

	while (*at) {
		struct lp_tracked *f = *at;

		if (!lp_order_first(w->order, &f->quest->waiter) ||
		    !lp_worker_passed(w, &f->quest->waiter.when)) {
			at = &f->quest->next_lookup;
			continue;
		}
		*at = f->quest->next_lookup;
		f->quest->looked = true;
		lp_worker_again(f);
		at = &w->lookups; /* another may be the first now */
	}
}

void lp_wanted_keep(void *flow, const struct lp_handshake *hs, const uint8_t *master,
		    const struct lp_when *when)
{
	struct lp_tracked *f = flow;
	struct lp_sessions *s = f->worker->engine->sessions;
	const lp_span id = lp_span_of(hs->server_sid, hs->server_sid_len);
	const lp_span ticket = lp_span_of(hs->new_ticket.p, hs->new_ticket.n);
	struct lp_session_secret secret = {
		.version = hs->facts.version,
		.suite = hs->facts.suite,
		.ems = hs->facts.ems,
	};
	enum lp_err err = LP_OK;

	memcpy(secret.master, master, sizeof secret.master);
	if (hs->facts.resumed <= 0)
		err = lp_sessions_put(s, LP_NAME_ID, id, &secret, when, 0);
	if (!err)
		err = lp_sessions_put(s, LP_NAME_TICKET, ticket, &secret, when, 0);
	if (!err)
		err = lp_stored_keep(f, hs, &secret, when);
	lp_wipe(&secret, sizeof secret);
	if (err)
		f->worker->env.fault = err;
}

/* ---- a key log ---- */

static void ids_of(const struct lp_handshake *hs, struct lp_logged_ids *ids)
{
	memset(ids, 0, sizeof *ids);
	memcpy(ids->client_random, hs->client_random, sizeof ids->client_random);
	memcpy(ids->sid, hs->server_sid, hs->server_sid_len);
	ids->sid_n = hs->server_sid_len;
	ids->has_rsa = hs->suite && lp_suite_is_rsa(hs->suite) &&
		       hs->exchange.n >= sizeof ids->rsa;
	if (ids->has_rsa)
		memcpy(ids->rsa, hs->exchange.p, sizeof ids->rsa);
}

bool lp_wanted_logged(struct lp_engine *e, const struct lp_logged_ids *ids, bool premasters,
		      unsigned nth, struct lp_keylog_secret *out, bool *premaster)
{
	const lp_span random = lp_span_of(ids->client_random, sizeof ids->client_random);
	const struct {
		enum lp_label label;
		lp_span id;
		bool premaster;
	} place[] = {
		{ LP_LABEL_CLIENT_RANDOM, random, false },
		{ LP_LABEL_SESSION_ID, lp_span_of(ids->sid, ids->sid_n), false },
		{ LP_LABEL_PMS_CLIENT_RANDOM, random, true },
		{ LP_LABEL_RSA, lp_span_of(ids->rsa, ids->has_rsa ? sizeof ids->rsa : 0), true },
	};
	struct lp_keylog *log = lp_keylogs_store(e->keylogs);
	uint64_t now = lp_clock_mono();

	for (size_t i = 0; i < sizeof place / sizeof place[0]; i++) {
		if (place[i].premaster && !premasters)
			continue;
		for (unsigned n = 0; lp_keylog_find(log, place[i].label, place[i].id, n, now, out);
		     n++) {
			*premaster = place[i].premaster;
			if (!nth--)
				return true;
		}
	}
	return false;
}

bool lp_wanted_premaster(struct lp_engine *e, const struct lp_handshake *hs,
			 struct lp_keylog_secret *out)
{
	return lp_keylog_find(lp_keylogs_store(e->keylogs), LP_LABEL_PMS_CLIENT_RANDOM,
			      lp_span_of(hs->client_random, sizeof hs->client_random), 0,
			      lp_clock_mono(), out);
}

/* Secret number nth, as a master secret. */
static enum lp_reply logged(struct lp_tracked *f, const struct lp_question *q, unsigned nth)
{
	struct lp_engine *e = f->worker->engine;
	const struct lp_handshake *hs = q->hs;
	const struct lp_kdf kdf = { e->crypto.base, hs->facts.version,
				    (enum lp_digest)hs->suite->prf, NULL };
	bool premasters = hs->facts.resumed <= 0 && (!q->extended || hs->session_hash_size);
	struct lp_keylog_secret secret;
	struct lp_logged_ids ids;
	lp_span seed = lp_span_of(hs->session_hash, hs->session_hash_size);
	uint8_t randoms[64];
	bool premaster;

	ids_of(hs, &ids);
	if (!lp_wanted_logged(e, &ids, premasters, nth, &secret, &premaster))
		return LP_REPLY_NEVER;
	f->quest->key_kind = secret.source == LP_KEYLOG_BLOCK ? "key-log (DSB)" : "key-log";
	f->quest->key_name = NULL;
	if (!premaster) {
		memcpy(q->now, secret.bytes, LP_MASTER_SIZE);
		lp_wipe(secret.bytes, secret.n);
		return LP_REPLY_NOW;
	}
	memcpy(randoms, hs->client_random, 32);
	memcpy(randoms + 32, hs->server_random, 32);
	if (!q->extended)
		seed = lp_span_of(randoms, sizeof randoms);
	/* What cannot be derived is no secret: the zeros that stand there prove nothing. */
	if (lp_kdf_master(&kdf, lp_span_of(secret.bytes, secret.n), q->extended, seed, q->now))
		lp_wipe(q->now, LP_MASTER_SIZE);
	lp_wipe(secret.bytes, secret.n);
	return LP_REPLY_DERIVED;
}

static enum lp_reply from_others(struct lp_tracked *f, const struct lp_question *q,
				 struct lp_no_secret *no)
{
	return q->hs->facts.resumed > 0 ? look_up(f, q, no) : lp_exchange_ask(f, q, no);
}

static enum lp_reply from_log(struct lp_tracked *f, const struct lp_question *q, unsigned nth)
{
	struct lp_engine *e = f->worker->engine;
	enum lp_reply reply = logged(f, q, nth);
	enum lp_err err;

	if (reply != LP_REPLY_NEVER || !lp_keylogs_followed(e->keylogs))
		return reply;
	/* The line may have been written since the file was looked at. */
	err = lp_keylogs_poll(e->keylogs, true);
	if (err)
		f->worker->env.fault = err;
	return logged(f, q, nth);
}

/* Nobody has it now. */
static enum lp_reply missing(struct lp_tracked *f, const struct lp_question *q,
			     struct lp_no_secret *no)
{
	struct lp_engine *e = f->worker->engine;
	struct lp_logged_ids ids;
	char random[2 * 32 + 1];
	size_t n = strlen(no->detail);
	bool waited;

	if (f->quest->logged) {
		lp_late_free(f); /* a line came in time, and was wrong */
		return LP_REPLY_NEVER;
	}
	ids_of(q->hs, &ids);
	waited = f->quest->late && e->key_wait_ns;
	if (lp_late_wait(f, &ids, q->when))
		return LP_REPLY_LATER;
	if (lp_keylogs_given(e->keylogs))
		(void)snprintf(no->detail + n, sizeof no->detail - n,
			       "; the key log has no line for client random %.16s…%s",
			       lp_text_hex(random, ids.client_random, 32),
			       waited ? ", nor did one come in time" : "");
	return LP_REPLY_NEVER;
}

/* ---- the question ---- */

enum lp_reply lp_wanted_ask(void *flow, const struct lp_question *q, struct lp_no_secret *no)
{
	struct lp_tracked *f = flow;
	bool first = !q->attempt && q->extended == (q->hs->facts.ems > 0);
	enum lp_reply reply;

	if (!lp_tracked_quest(f))
		return lp_wanted_never(no, LP_REASON_LIMIT, "out of memory");
	if (q->anew || (first && !(f->quest->late && f->quest->late->over))) {
		f->quest->tried = LP_TRIED_NONE;
		f->quest->logged = 0;
		f->quest->others = 0;
		f->quest->sure = f->quest->early = false;
		f->quest->favoured = false;
	}
	/* The same candidate once more: the other derivation of its premaster secret. */
	if (!first && q->attempt == f->quest->attempt && f->quest->tried != LP_TRIED_NONE)
		return f->quest->tried == LP_TRIED_LOG ? logged(f, q, f->quest->logged - 1U)
						: from_others(f, q, no);
	if (q->attempt && f->quest->tried == LP_TRIED_OTHER)
		f->quest->others++;
	f->quest->attempt = q->attempt;
	f->quest->cached = false;
	reply = from_log(f, q, f->quest->logged);
	if (reply != LP_REPLY_NEVER) {
		f->quest->tried = LP_TRIED_LOG;
		f->quest->logged++;
		return reply;
	}
	reply = from_others(f, q, no);
	f->quest->tried = reply == LP_REPLY_NEVER ? LP_TRIED_NONE : LP_TRIED_OTHER;
	return reply == LP_REPLY_NEVER && no->reason != LP_REASON_MALFORMED ? missing(f, q, no)
									    : reply;
}

void lp_wanted_proven(void *flow, const struct lp_handshake *hs, char *name, size_t size)
{
	struct lp_tracked *f = flow;
	(void)hs;
	lp_late_free(f);
	if (f->quest->cached)
		lp_sessions_hit(f->worker->engine->sessions);
	f->quest->cached = false;
	if (f->quest->key_name && f->ticket != LP_TICKET_USED)
		lp_exchange_proven(f);
	if (f->quest->key_name)
		snprintf(name, size, "%s %s", f->quest->key_kind, f->quest->key_name);
	else if (strlen(f->quest->key_kind) < size) /* each resumed session: no printf */
		memcpy(name, f->quest->key_kind, strlen(f->quest->key_kind) + 1);
	lp_tickets_forget(f);
}
