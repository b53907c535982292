/* Handshake and contents of one session. See tls/session.h for the whole, and
 * tls/session_parts.h for who does what. */
#include "tls/session_parts.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Whether there is a handshake, or one could be made. */
static bool need_handshake(struct lp_tls *tls)
{
	struct lp_shake *shake = lp_tls_shake(tls);

	if (shake && shake->hs)
		return true;
	if (shake && lp_handshake_new(&shake->hs, tls->home->env->crypto->base) == LP_OK) {
		shake->hs->common = tls->home->env->common;
		return true;
	}
	lp_tls_nomem(tls);
	return false;
}

struct lp_tls *lp_tls_new(const struct lp_tls_home *home, enum lp_side client)
{
	struct lp_tls *tls = calloc(1, sizeof *tls);

	if (!tls)
		return NULL;
	tls->home = home;
	tls->client = client == LP_B2A;
	lp_tls_parts_init(tls);
	if (!need_handshake(tls)) {
		lp_tls_free(tls);
		return NULL;
	}
	for (int dir = 0; dir < 2; dir++)
		lp_records_init(&tls->records[dir], 0);
	home->env->sessions++;
	return tls;
}

/* Everything that a session needs only while it may still open something. */
static void release(struct lp_tls *tls)
{
	for (int dir = 0; dir < 2; dir++)
		lp_records_clear(&tls->records[dir]);
	lp_tls_keys_clear(tls);
	lp_tls_shake_free(tls);
	lp_tls_hurt_free(tls, false);
}

void lp_tls_free(struct lp_tls *tls)
{
	if (!tls)
		return;
	release(tls);
	lp_tls_hurt_free(tls, true);
	lp_tls_told_free(tls);
	lp_snapshot_unref(tls->known);
	free(tls);
}

enum lp_side lp_tls_client(const struct lp_tls *tls)
{
	return (enum lp_side)tls->client;
}

enum lp_tls_state lp_tls_state(const struct lp_tls *tls)
{
	return (enum lp_tls_state)tls->state;
}

bool lp_tls_has_keys(const struct lp_tls *tls)
{
	return tls->proven && tls->state != LP_TLS_OPAQUE;
}

static bool describes(const struct lp_tls *tls)
{
	const struct lp_shake *shake = tls->shake;

	return shake->hs && (!tls->completed || shake->next_proven);
}

const struct lp_facts *lp_tls_facts(const struct lp_tls *tls)
{
	static const struct lp_facts none = { .ems = -1, .etm = -1, .resumed = -1,
					      .client_cert = -1 };

	return describes(tls) ? &tls->shake->hs->facts : &none;
}

uint16_t lp_tls_version(const struct lp_tls *tls)
{
	return describes(tls) ? tls->shake->hs->facts.version : tls->version;
}

bool lp_tls_heartbeat(const struct lp_tls *tls)
{
	return describes(tls) ? tls->shake->hs->facts.heartbeat : tls->heartbeat;
}

/* As it is now; like: as in lp_snapshot_new(). */
static struct lp_snapshot *snapshot_like(struct lp_tls *tls, struct lp_snapshot *like)
{
	const struct lp_snapshot_extra extra = {
		.start_ns = tls->known ? tls->known->extra.start_ns : tls->shake->start_ns,
		.renegotiations = tls->completed > 1 ? tls->completed - 1 : 0,
		.epoch = tls->epochs,
		.secret = tls->shake->secret ? tls->shake->secret
			  : tls->known	     ? tls->known->extra.secret
					     : NULL,
	};
	struct lp_snapshot *s = tls->known && !describes(tls)
					? lp_snapshot_with(tls->known, &extra)
					: lp_snapshot_new(lp_tls_facts(tls), &extra, like);

	if (!s)
		lp_tls_nomem(tls);
	return s;
}

struct lp_snapshot *lp_tls_snapshot(struct lp_tls *tls)
{
	return snapshot_like(tls, NULL);
}

void lp_tls_remember(struct lp_tls *tls)
{
	struct lp_snapshot *s = snapshot_like(tls, tls->shake->ready);

	lp_snapshot_unref(tls->known);
	tls->known = s;
}

void lp_tls_nomem(struct lp_tls *tls)
{
	tls->home->env->fault = LP_E_NOMEM;
}

static void begin(struct lp_tls *tls)
{
	struct lp_shake *shake;
	struct lp_snapshot *s;

	if (tls->began)
		return;
	tls->began = true;
	shake = lp_tls_shake(tls);
	if (shake)
		shake->start_ns = tls->home->when.carried_ns;
	s = lp_tls_snapshot(tls);
	if (s)
		tls->home->env->cb->begin(tls->home->owner, s, &tls->home->when);
}

/* A later handshake that closes the session does not describe it, proven or not. */
static void forget_later(struct lp_tls *tls)
{
	if (!tls->completed || !tls->shake->hs)
		return;
	lp_handshake_free(tls->shake->hs);
	tls->shake->hs = NULL;
}

/* From here on bytes are only counted. */
static void turn_opaque(struct lp_tls *tls)
{
	begin(tls);
	for (int dir = 0; dir < 2; dir++) {
		struct lp_records *r = &tls->records[dir];

		lp_tls_account(tls, (enum lp_dir)dir, LP_IN_OPAQUE,
			       lp_records_held(r) + lp_records_rest(r).n +
				       lp_tls_seek_held(tls, (enum lp_dir)dir) +
				       lp_buf_len(&tls->hurt->back[dir]));
	}
	if (tls->shake->trial)
		lp_tls_account(tls, tls->shake->trial->dir, LP_IN_OPAQUE,
			       LP_RECORD_HEADER + tls->shake->trial->n);
	forget_later(tls);
	lp_tls_remember(tls);
	release(tls);
	tls->state = LP_TLS_OPAQUE;
}

static void set_text(struct lp_tls *tls, char **to, const char *format, va_list args)
{
	char text[LP_RESULT_TEXT];
	size_t n;

	(void)vsnprintf(text, sizeof text, format, args);
	n = strlen(text) + 1;
	free(*to);
	*to = malloc(n);
	if (*to)
		memcpy(*to, text, n);
	else
		lp_tls_nomem(tls);
}

void lp_tls_say(struct lp_tls *tls, char **to, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	set_text(tls, to, format, args);
	va_end(args);
}

void lp_tls_shed(struct lp_tls *tls)
{
	tls->shed = true;
}

static bool is_hole(enum lp_reason reason)
{
	return reason == LP_REASON_GAP || reason == LP_REASON_GAP_NOT_RECOVERED ||
	       reason == LP_REASON_HANDSHAKE_LOST || reason == LP_REASON_HANDSHAKE_LOST_EMS;
}

static void because(struct lp_tls *tls, enum lp_reason reason, const char *format, va_list args)
{
	struct lp_told *told = lp_tls_told(tls);

	if (tls->shed && is_hole(reason)) { /* not the capture's fault */
		tls->reason = LP_REASON_LIMIT;
		if (told)
			lp_tls_say(tls, &told->detail, "more bytes came while a key was asked for than "
				   "may wait (max-held, max-held-total): the oldest were given up");
		return;
	}
	tls->reason = (uint8_t)reason;
	if (told)
		set_text(tls, &told->detail, format, args);
}

void lp_tls_because(struct lp_tls *tls, enum lp_reason reason, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	because(tls, reason, format, args);
	va_end(args);
}

void lp_tls_fail(struct lp_tls *tls, enum lp_reason reason, const char *format, ...)
{
	va_list args;

	if (tls->reason == LP_REASON_NONE && tls->shake->hole &&
	    (reason == LP_REASON_MALFORMED || reason == LP_REASON_LIMIT)) {
		/* What makes no sense behind a hole is the hole's fault. */
		lp_tls_fail_hole(tls);
		return;
	}
	if (tls->reason == LP_REASON_NONE) {
		va_start(args, format);
		because(tls, reason, format, args);
		va_end(args);
	}
	if (tls->state != LP_TLS_OPAQUE && tls->state != LP_TLS_ENDED)
		turn_opaque(tls);
}

void lp_tls_fail_hole(struct lp_tls *tls)
{
	const struct lp_facts *f = lp_tls_facts(tls);
	const enum lp_reason hole = (enum lp_reason)tls->shake->hole_reason;
	bool lost = hole == LP_REASON_HANDSHAKE_LOST;

	if (tls->completed && tls->shake->hs && !tls->shake->next_proven)
		lp_tls_fail(tls, LP_REASON_LATER_HANDSHAKE_CLOSED, "%s", lp_tls_hole_detail(tls));
	else if (tls->proven)
		lp_tls_fail(tls, LP_REASON_GAP_NOT_RECOVERED, "%s", lp_tls_hole_detail(tls));
	else if (f->ems > 0 && f->resumed <= 0 &&
		 (lp_tls_refilled(tls) || !(tls->shake->hs && tls->shake->hs->session_hash_size)))
		lp_tls_fail(tls, lost ? LP_REASON_HANDSHAKE_LOST_EMS : hole,
			    "%s, and Extended Master Secret needs every byte of it",
			    lp_tls_hole_detail(tls));
	else
		lp_tls_fail(tls, hole, "%s", lp_tls_hole_detail(tls));
}

void lp_tls_give_up(struct lp_tls *tls, enum lp_reason reason, const char *detail)
{
	lp_tls_fail(tls, reason, "%s", detail);
}

static void fail_handshake(struct lp_tls *tls, enum lp_dir dir, const struct lp_message *msg)
{
	const struct lp_handshake *hs = tls->shake->hs;
	enum lp_reason reason = hs->reason ? hs->reason : LP_REASON_MALFORMED;

	if (tls->epochs)
		reason = LP_REASON_LATER_HANDSHAKE_CLOSED;
	lp_tls_fail(tls, reason, "%s (type %u) from the %s: %s", lp_message_name(msg->type),
		    msg->type, lp_tls_who(dir), hs->why ? hs->why : "not understood");
}

/* Suites and versions that this release can never open are told from ServerHello
 * on; who has the secret is asked later. */
static void check_server_hello(struct lp_tls *tls)
{
	const struct lp_facts *f = &tls->shake->hs->facts;

	if (f->tls13)
		lp_tls_fail(tls, LP_REASON_TLS13, "the server chose TLS 1.3 with %s",
			    tls->shake->hs->suite ? tls->shake->hs->suite->name : "an unknown suite");
}

static void one_message(struct lp_tls *tls, enum lp_dir dir, const struct lp_message *msg)
{
	enum lp_err err = lp_handshake_message(tls->shake->hs, dir, msg);

	if (err == LP_E_NOMEM) {
		lp_tls_nomem(tls);
		lp_tls_fail(tls, LP_REASON_LIMIT, "out of memory");
		return;
	}
	if (err) {
		fail_handshake(tls, dir, msg);
		return;
	}
	lp_tls_refill_message(tls, dir, msg);
	if (msg->type == LP_MSG_CLIENT_HELLO)
		begin(tls);
	if (msg->type == LP_MSG_SERVER_HELLO)
		check_server_hello(tls);
	if (msg->type == LP_MSG_FINISHED && tls->state == LP_TLS_RUNNING)
		lp_tls_check_finished(tls, dir);
	if (tls->shake->hs && lp_handshake_done(tls->shake->hs))
		lp_tls_complete(tls);
}

/* The same, or the session is over. */
static bool begin_handshake(struct lp_tls *tls)
{
	bool ok = need_handshake(tls);

	if (!ok)
		lp_tls_fail(tls, LP_REASON_LIMIT, "out of memory");
	return ok;
}

/* A server's answer to a ClientHello that is still to come: kept until then. */
static bool too_early(struct lp_tls *tls, enum lp_dir dir, lp_span fragment)
{
	if (dir != LP_S2C || !tls->completed || (tls->shake->hs && !lp_handshake_idle(tls->shake->hs)) ||
	    lp_messages_partial(&tls->shake->messages[dir]) || !fragment.n ||
	    fragment.p[0] == LP_MSG_HELLO_REQUEST || lp_buf_len(&tls->shake->early))
		return false;
	if (lp_buf_append(&tls->shake->early, fragment.p, fragment.n)) {
		lp_tls_nomem(tls);
		lp_tls_fail(tls, LP_REASON_LIMIT, "out of memory");
	}
	return true;
}

void lp_tls_messages(struct lp_tls *tls, enum lp_dir dir, lp_span fragment)
{
	struct lp_shake *shake = lp_tls_shake(tls);
	struct lp_messages *m;
	struct lp_message msg;
	enum lp_err err;

	if (!shake) {
		lp_tls_fail(tls, LP_REASON_LIMIT, "out of memory");
		return;
	}
	if (too_early(tls, dir, fragment))
		return;
	m = &shake->messages[dir];
	if (tls->shake->skip_message[dir]) {
		size_t skip = tls->shake->skip_message[dir] < fragment.n ? (size_t)tls->shake->skip_message[dir]
								  : fragment.n;

		tls->shake->skip_message[dir] -= skip;
		fragment = lp_span_of(fragment.p + skip, fragment.n - skip);
	}
	lp_messages_push(m, fragment);
	while (tls->state == LP_TLS_RUNNING) {
		err = lp_messages_next(m, &msg);
		if (err == LP_MORE)
			return;
		if (err == LP_E_NOMEM)
			lp_tls_nomem(tls);
		if (err) {
			tls->home->env->cap_message += err == LP_E_LIMIT;
			lp_tls_fail(tls, err == LP_E_LIMIT ? LP_REASON_LIMIT : LP_REASON_MALFORMED,
				    "handshake message from the %s: %s", lp_tls_who(dir),
				    m->why ? m->why : lp_err_text(err));
			return;
		}
		if (begin_handshake(tls))
			one_message(tls, dir, &msg);
	}
}

/* The hello has come that it answers. */
static void early_answer(struct lp_tls *tls)
{
	struct lp_buf b = tls->shake->early;

	lp_buf_init(&tls->shake->early, LP_RECORD_FRAGMENT_MAX);
	lp_tls_messages(tls, LP_S2C, lp_buf_span(&b));
	lp_buf_clear(&b);
}

static void alert(struct lp_tls *tls, enum lp_dir dir, const uint8_t *p, size_t n, bool sealed)
{
	enum { FATAL = 2, CLOSE_NOTIFY = 0, NO_RENEGOTIATION = 100 };

	struct lp_shake *shake;

	if (n != 2)
		return; /* not an alert anybody could act upon (RFC 5246 section 7.2) */
	if (p[1] == CLOSE_NOTIFY)
		tls->close_notify[dir] = sealed;
	if (p[0] == FATAL && p[1] != CLOSE_NOTIFY && !tls->proven) {
		shake = lp_tls_shake(tls);
		if (shake) {
			shake->alert = p[1];
			shake->alert_dir = (uint8_t)dir;
		}
	} else if (p[1] == NO_RENEGOTIATION && dir == LP_S2C && sealed && tls->shake->hs &&
		   lp_handshake_unanswered(tls->shake->hs)) {
		/* RFC 5246 section 7.2.2: all goes on as if the hello had not been sent. */
		lp_handshake_free(tls->shake->hs);
		tls->shake->hs = NULL;
	} else if (!sealed) {
		shake = lp_tls_shake(tls);
		if (shake) {
			shake->warning = p[1];
			shake->warning_dir = (uint8_t)dir;
		}
	}
	if (tls->close_notify[0] && tls->close_notify[1]) {
		const enum lp_end end[2] = { LP_END_CLOSE_NOTIFY, LP_END_CLOSE_NOTIFY };

		lp_tls_end(tls, end);
	}
}

static void change_cipher_spec(struct lp_tls *tls, enum lp_dir dir, const uint8_t *p, size_t n)
{
	enum lp_err err;

	if (n != 1 || p[0] != 1) {
		lp_tls_fail(tls, LP_REASON_MALFORMED, "ChangeCipherSpec from the %s is malformed",
			    lp_tls_who(dir));
		return;
	}
	if (!begin_handshake(tls))
		return;
	if (lp_messages_partial(&tls->shake->messages[dir])) {
		lp_tls_fail(tls, LP_REASON_MALFORMED,
			    "ChangeCipherSpec from the %s in the middle of a handshake message",
			    lp_tls_who(dir));
		return;
	}
	err = lp_handshake_ccs(tls->shake->hs, dir);
	if (err == LP_E_NOMEM)
		lp_tls_nomem(tls);
	if (err) {
		lp_tls_fail(tls, tls->epochs ? LP_REASON_LATER_HANDSHAKE_CLOSED
					     : tls->shake->hs->reason ? tls->shake->hs->reason : LP_REASON_MALFORMED,
			    "ChangeCipherSpec from the %s: %s", lp_tls_who(dir),
			    tls->shake->hs->why ? tls->shake->hs->why : "not expected here");
		return;
	}
	if (lp_handshake_keyed(tls->shake->hs) && !lp_tls_next_ready(tls, dir))
		lp_tls_ask(tls);
	else
		lp_tls_ask_ahead(tls);
}

void lp_tls_content(struct lp_tls *tls, enum lp_dir dir, uint8_t type, const uint8_t *p, size_t n,
		    size_t wire)
{
	switch (type) {
	case LP_CONTENT_DATA:
		lp_tls_account(tls, dir, LP_IN_OPENED, wire);
		lp_tls_count(tls, dir, n);
		if (n)
			tls->home->env->cb->data(tls->home->owner, dir, p, n, &tls->home->when);
		break;
	case LP_CONTENT_HANDSHAKE:
		lp_tls_account(tls, dir, LP_IN_HANDSHAKE, wire);
		if (lp_tls_goes_on(tls, dir, p, n))
			lp_tls_messages(tls, dir, lp_span_of(p, n));
		if (lp_buf_len(&tls->shake->early) && tls->shake->hs && !lp_handshake_idle(tls->shake->hs))
			early_answer(tls);
		break;
	case LP_CONTENT_CCS:
		lp_tls_account(tls, dir, LP_IN_HANDSHAKE, wire);
		if (lp_tls_goes_on(tls, dir, NULL, 0))
			change_cipher_spec(tls, dir, p, n);
		break;
	case LP_CONTENT_ALERT:
		lp_tls_account(tls, dir, LP_IN_ALERT, wire);
		alert(tls, dir, p, n, true);
		break;
	default: /* heartbeat (RFC 6520): opened, nobody's data */
		lp_tls_account(tls, dir, LP_IN_OPENED, wire);
		break;
	}
}

bool lp_tls_sealed(const struct lp_tls *tls, enum lp_dir dir)
{
	return lp_protect_ready(&tls->now[dir]) || (tls->shake->hs && tls->shake->hs->sealed[dir]);
}

/* RFC 5246 appendix E.2. It goes into the transcript without the two bytes of length. */
static void v2_hello(struct lp_tls *tls, enum lp_dir dir, lp_span fragment)
{
	const struct lp_message msg = {
		.type = LP_MSG_CLIENT_HELLO,
		.v2 = true,
		.body = { fragment.p + 1, fragment.n - 1 },
		.whole = fragment,
	};

	if (begin_handshake(tls))
		one_message(tls, dir, &msg);
}

/* A record under keys, and before it a hole that took the ChangeCipherSpec. */
static void sealed_unseen(struct lp_tls *tls, enum lp_dir dir, const struct lp_record *r)
{
	enum lp_err err = lp_handshake_ccs(tls->shake->hs, dir);

	if (err || tls->shake->hs->facts.compression) {
		lp_tls_account(tls, dir, LP_IN_OPAQUE, r->header.n + r->fragment.n);
		lp_tls_fail_hole(tls);
		return;
	}
	lp_tls_seek_sealed(tls, dir, r);
	if (lp_handshake_keyed(tls->shake->hs) && !lp_tls_next_ready(tls, dir))
		lp_tls_ask(tls);
}

void lp_tls_clear(struct lp_tls *tls, enum lp_dir dir, const struct lp_record *r)
{
	size_t wire = r->header.n + r->fragment.n;
	enum lp_behind behind = LP_BEHIND_CLEAR;
	struct lp_shake *shake = lp_tls_shake(tls);

	if (!shake) {
		lp_tls_account(tls, dir, LP_IN_OPAQUE, wire);
		lp_tls_fail(tls, LP_REASON_LIMIT, "out of memory");
		return;
	}
	shake->pushed_end = shake->record_end = r->offset + wire;
	if (tls->shake->hs && tls->shake->hs->torn[dir])
		behind = lp_tls_behind(tls, dir, r);
	if (behind == LP_BEHIND_SEALED) {
		sealed_unseen(tls, dir, r);
		return;
	}
	if (behind == LP_BEHIND_PART) {
		lp_tls_account(tls, dir, LP_IN_LOST, wire);
		return;
	}
	switch (r->type) {
	case LP_CONTENT_V2_HELLO:
		lp_tls_account(tls, dir, LP_IN_HANDSHAKE, wire);
		v2_hello(tls, dir, r->fragment);
		break;
	case LP_CONTENT_HANDSHAKE:
		lp_tls_account(tls, dir, LP_IN_HANDSHAKE, wire);
		lp_tls_messages(tls, dir, r->fragment);
		break;
	case LP_CONTENT_CCS:
		lp_tls_account(tls, dir, LP_IN_HANDSHAKE, wire);
		change_cipher_spec(tls, dir, r->fragment.p, r->fragment.n);
		break;
	case LP_CONTENT_ALERT:
		lp_tls_account(tls, dir, LP_IN_ALERT, wire);
		alert(tls, dir, r->fragment.p, r->fragment.n, false);
		break;
	default:
		lp_tls_account(tls, dir, LP_IN_OPAQUE, wire);
		lp_tls_fail(tls, LP_REASON_MALFORMED,
			    "application data from the %s before its ChangeCipherSpec",
			    lp_tls_who(dir));
		break;
	}
}

void lp_tls_last_words(struct lp_tls *tls, enum lp_side side, const uint8_t *p, size_t n)
{
	enum lp_dir dir = lp_tls_dir(tls, side);
	struct lp_cursor c = lp_cursor_of(p, n);
	uint8_t type = lp_cursor_u8(&c);
	lp_span body;

	lp_cursor_skip(&c, 2);
	body = lp_cursor_vec16(&c);
	if (type == LP_CONTENT_ALERT && !lp_cursor_ok(&c) && tls->state == LP_TLS_RUNNING &&
	    !lp_tls_sealed(tls, dir) && !lp_records_held(&tls->records[dir]))
		alert(tls, dir, body.p, body.n, false);
}
