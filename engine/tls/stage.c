/* How bytes find their session:
 *
 *   data ─► anything held on this side, or blocked? ──yes──► hold (copy)
 *                │no
 *                ▼
 *   sniff (which side is the client?) ─► session ─► what it did not take: hold
 *                │neither                    ▲
 *                ▼                           │
 *             prelude ───────found───────────┘
 *
 * and after each step the pump offers held bytes, earliest place first, to the
 * sides that may go on. The place of an event is never earlier than the place of
 * the one before it, so bytes that waited are told at the place that released
 * them, however late the warden answered. */
#include "tls/stage.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "tls/handshake.h"
#include "tls/prelude.h"
#include "tls/record.h"

enum { SNIFF_BYTES = 6, SNIFF_MORE = 11, SNIFF_MOST = 32 };

/* A record of a handshake that is under keys may begin with any byte, also with that of a
 * ClientHello. Its length and its version together tell; what is wrong with one of them
 * is for the session to say. */
static bool is_hello(const uint8_t *p, size_t n)
{
	struct lp_cursor c = lp_cursor_of(p, n);
	size_t record, length;

	if (lp_cursor_u8(&c) != LP_CONTENT_HANDSHAKE)
		return false;
	lp_cursor_skip(&c, 2);
	record = lp_cursor_u16(&c);
	if (lp_cursor_u8(&c) != LP_MSG_CLIENT_HELLO)
		return false;
	length = lp_cursor_u24(&c);
	if (n < SNIFF_MORE || record < SNIFF_MORE - LP_RECORD_HEADER)
		return true;
	return length <= LP_MESSAGE_MAX || lp_cursor_u8(&c) == 3;
}

_Static_assert((int)SNIFF_MOST >= (int)LP_V2_LOOK, "all that is looked at");

enum lp_looks lp_stage_looks(const uint8_t *p, size_t n)
{
	if (n && lp_record_v2_plausible(p, n < LP_V2_LOOK ? n : LP_V2_LOOK))
		return n < LP_V2_LOOK ? LP_LOOKS_SHORT : LP_LOOKS_HELLO;
	if (!lp_record_plausible(p, n < LP_RECORD_HEADER ? n : LP_RECORD_HEADER))
		return LP_LOOKS_CLEAR;
	if (n < SNIFF_BYTES)
		return LP_LOOKS_SHORT;
	if (is_hello(p, n))
		return LP_LOOKS_HELLO;
	/* An empty record before anything else is nobody's. */
	return p[3] || p[4] ? LP_LOOKS_TLS : LP_LOOKS_CLEAR;
}

/* What a flow in which nothing waits shares with all such. Never written to. */
static const struct lp_stage_wait no_wait;

static struct lp_stage_wait *wait_none(void)
{
	return (struct lp_stage_wait *)(uintptr_t)&no_wait;
}

/* A copy that was told while something was held: that may be of a session that has not begun, and it
 * gets what came behind its beginning, as if nobody had waited. */
struct lp_stage_other {
	struct lp_stage_other *next;
	enum lp_side side;
	uint64_t off;
	uint64_t number; /* of the packet that showed it */
	size_t n;
	uint8_t bytes[];
};

/* For writing. NULL: out of memory. */
static struct lp_stage_wait *wait_of(struct lp_stage *s)
{
	struct lp_stage_wait *wait = s->wait;

	if (wait != &no_wait)
		return wait;
	wait = malloc(sizeof *wait);
	if (!wait) {
		s->home.env->fault = LP_E_NOMEM;
		return NULL;
	}
	*wait = (struct lp_stage_wait){ .other_tail = &wait->other };
	lp_holds_init(&wait->holds, s->home.env);
	s->wait = wait;
	return wait;
}

static void wait_free(struct lp_stage *s)
{
	struct lp_stage_other *o;

	if (s->wait == &no_wait)
		return;
	lp_holds_clear(&s->wait->holds);
	while ((o = s->wait->other)) {
		s->wait->other = o->next;
		free(o);
	}
	free(s->wait);
	s->wait = wait_none();
}

void lp_stage_init(struct lp_stage *s, struct lp_tls_env *env, void *owner)
{
	*s = (struct lp_stage){ .home = { .env = env, .owner = owner }, .wait = wait_none() };
}

static void not_over(struct lp_stage *s)
{
	if (s->over)
		s->home.env->over--;
	s->over = false;
}

void lp_stage_clear_all(struct lp_stage *s)
{
	not_over(s);
	wait_free(s);
	lp_prelude_free(s->prelude, s->home.env);
	s->prelude = NULL;
	lp_tls_free(s->tls);
	s->tls = NULL;
}

/* ---- telling ---- */

/* The moment at which an item is told: its own, but not before the last one. */
static struct lp_when told(struct lp_stage *s, const struct lp_when *own)
{
	struct lp_when when = *own;

	if (lp_when_compare(&when, &s->home.when) < 0) {
		when = s->home.when;
		when.carried_ns = own->carried_ns;
	}
	s->home.when = when;
	return when;
}

static void tell_clear(void *user, enum lp_side side, const uint8_t *p, uint64_t n,
		       const struct lp_when *own)
{
	struct lp_stage *s = user;
	struct lp_when when = told(s, own);

	s->home.env->cb->clear(s->home.owner, side, p, n, &when);
}

static bool waiting(const struct lp_stage *s)
{
	return s->tls && lp_tls_state(s->tls) == LP_TLS_WAITING;
}

/* ---- which side is the client ---- */

static enum lp_looks looks(const struct lp_stage *s, int side)
{
	uint8_t first[SNIFF_MOST];
	size_t n;

	if (s->wait->holds.head[side] && s->wait->holds.head[side]->gap)
		return LP_LOOKS_HOLE;
	n = lp_holds_peek(&s->wait->holds, side, first, sizeof first);
	return lp_stage_looks(first, n);
}

/* What stands behind the hole that a side begins with. */
static enum lp_looks behind_hole(const struct lp_stage *s, int side)
{
	const struct lp_hold *h = s->wait->holds.head[side];
	uint8_t first[SNIFF_MOST];

	while (h && h->gap)
		h = h->next;
	return lp_stage_looks(first, lp_hold_peek(h, h ? h->taken : 0, first, sizeof first));
}

/* The hole was in what a side said before TLS. */
static void drop_hole(struct lp_stage *s, int side)
{
	for (struct lp_hold *h = s->wait->holds.head[side]; h && h->gap;
	     h = s->wait->holds.head[side]) {
		if (s->home.env->cleartext)
			tell_clear(s, (enum lp_side)side, NULL, h->n, &h->when);
		lp_holds_pop(&s->wait->holds, side);
	}
}

static void begin_session(struct lp_stage *s, enum lp_side client)
{
	s->tls = lp_tls_new(&s->home, client);
	if (!s->tls) {
		s->home.env->fault = LP_E_NOMEM;
		s->state = LP_STAGE_CLEAR;
		return;
	}
	for (const struct lp_stage_other *o = s->wait->other; o; o = o->next)
		if (o->number > s->home.when.number)
			lp_tls_other(s->tls, o->side, o->bytes, o->n, o->off, o->number);
	s->state = LP_STAGE_TLS;
	s->had_session = true;
}

static void begin_behind(struct lp_stage *s, enum lp_side client)
{
	drop_hole(s, (int)client);
	begin_session(s, client);
}

/* TLS records without a ClientHello: say so, once it is clear that none comes. Who
 * begins with a ServerHello is the server, whoever was seen first. */
static void begin_uncaptured(struct lp_stage *s)
{
	uint8_t first[SNIFF_BYTES];
	size_t n = lp_holds_peek(&s->wait->holds, LP_A2B, first, sizeof first);
	bool server = n == sizeof first && first[0] == LP_CONTENT_HANDSHAKE && first[5] == 2;

	begin_session(s, server ? LP_B2A : LP_A2B);
	if (s->tls)
		lp_tls_not_captured(s->tls);
}

/* ---- holding ---- */

static void give_up(struct lp_stage *s, enum lp_side side)
{
	enum lp_dir dir = s->tls && lp_tls_client(s->tls) == side ? LP_C2S : LP_S2C;

	if (!s->tls && looks(s, (int)side) == LP_LOOKS_TLS) /* of the other side too little has come */
		begin_uncaptured(s);
	else if (!s->tls)
		s->state = LP_STAGE_CLEAR;
	else if (dir == LP_C2S && !s->seen[1 - side])
		lp_tls_give_up(s->tls, LP_REASON_ONE_DIRECTION,
			       "no byte from the server was captured, and the client went on");
	else
		lp_tls_give_up(s->tls, LP_REASON_LIMIT, "more bytes of one side had to wait for "
			       "the other than may be held (max-held-turn)");
}

/* Whoever waits for the other side holds nobody back, so that others may have told by now what came
 * later than the last of it: what it asks from here on, it asks now. */
static bool await_no_more(struct lp_stage *s, const struct lp_when *when)
{
	if (!waiting(s))
		(void)told(s, when);
	return lp_tls_await_no_more(s->tls);
}

static void keep_caps(struct lp_stage *s, enum lp_side side, const struct lp_when *when)
{
	struct lp_tls_env *env = s->home.env;

	if (!lp_holds_over(&s->wait->holds))
		return;
	if (waiting(s) && !env->live) {
		if (!s->over)
			env->over++;
		s->over = true;
		return;
	}
	/* Others fill the space and wait for the warden: a replay reads on when they are
	 * done, and what little this handshake holds may stay until then. */
	if (!env->live && env->waiting && s->wait->holds.weight <= env->max_held_session)
		return;
	/* What waits for the other direction waits for no key: that direction may have come
	 * to the mirror port late. */
	if (!waiting(s) && s->wait->holds.weight <= env->max_held_turn && !lp_holds_full(env))
		return;
	if (s->tls && await_no_more(s, when))
		return;
	env->cap_held++;
	if (!waiting(s))
		give_up(s, side);
	else
		while (lp_holds_over(&s->wait->holds) && lp_holds_shed(&s->wait->holds, side))
			continue;
}

/* What is held goes the way that it would have gone, had it not been held. */
static void feed_again(struct lp_stage *s)
{
	struct lp_holds q = s->wait->holds;
	struct lp_hold *h;

	if (!lp_holds_any(&q))
		return;
	lp_holds_init(&s->wait->holds, s->home.env);
	while (lp_holds_any(&q)) {
		h = q.head[0];
		if (!h || (q.head[1] && lp_hold_earlier(q.head[1], h)))
			h = q.head[1];
		if (h->gap)
			lp_stage_gap(s, (enum lp_side)h->side, h->off, h->n, &h->when);
		else
			lp_stage_data(s, (enum lp_side)h->side, h->bytes + h->taken,
				      (size_t)h->n - h->taken, h->off + h->taken, &h->when);
		lp_holds_pop(&q, h->side);
	}
}

static void begin_prelude(struct lp_stage *s)
{
	const struct lp_prelude_host host = { .env = s->home.env };

	s->prelude = lp_prelude_new(&host);
	s->state = s->prelude ? LP_STAGE_PRELUDE : LP_STAGE_CLEAR;
	feed_again(s);
}

/* What cannot be told from more bytes is told from there being none. An answer may come later than
 * that. */
static void at_close(struct lp_stage *s, bool tls)
{
	(void)told(s, &s->wait->close_when);
	if (tls)
		begin_uncaptured(s);
	else
		s->state = LP_STAGE_CLEAR;
}

/* Of the record that a side begins with, as much as there is. */
static void drop_record(struct lp_stage *s, int side)
{
	struct lp_holds *q = &s->wait->holds;
	uint8_t header[LP_RECORD_HEADER] = { 0 };
	size_t left = sizeof header, n;

	(void)lp_holds_peek(q, side, header, sizeof header);
	left += (size_t)(header[3] << 8 | header[4]);
	for (const struct lp_hold *h = q->head[side]; left && h && !h->gap; h = q->head[side]) {
		n = (size_t)h->n - h->taken < left ? (size_t)h->n - h->taken : left;
		lp_holds_take(q, (enum lp_side)side, n);
		left -= n;
	}
	s->nobodys[side] = (uint16_t)left;
}

/* Records behind both close_notify belong to nobody (RFC 5246 7.2.1), nor do holes. */
static void drop_nobodys(struct lp_stage *s, const enum lp_looks looks[2])
{
	for (int side = 0; side < 2; side++) {
		if (looks[side] == LP_LOOKS_TLS)
			drop_record(s, side);
		if (looks[side] == LP_LOOKS_HOLE)
			lp_holds_pop(&s->wait->holds, side);
	}
}

/* Everything that has come so far is held. Decides as soon as it can; true: not all, but
 * something of what is held is dealt with. */
static bool sniff(struct lp_stage *s, const struct lp_when *when)
{
	enum lp_looks a = looks(s, LP_A2B);
	enum lp_looks b = looks(s, LP_B2A);
	bool tls = a == LP_LOOKS_TLS || b == LP_LOOKS_TLS;
	bool hole = a == LP_LOOKS_HOLE || b == LP_LOOKS_HOLE;
	bool final = s->closing;
	enum lp_looks more[2] = { hole ? behind_hole(s, 0) : a, hole ? behind_hole(s, 1) : b };

	(void)told(s, when); /* what was held is told now */
	if (a == LP_LOOKS_HELLO || b == LP_LOOKS_HELLO)
		begin_session(s, a == LP_LOOKS_HELLO ? LP_A2B : LP_B2A);
	else if (a == LP_LOOKS_CLEAR || b == LP_LOOKS_CLEAR ||
		 (a == LP_LOOKS_HOLE && b == LP_LOOKS_HOLE &&
		  (more[0] == LP_LOOKS_CLEAR || more[1] == LP_LOOKS_CLEAR)))
		begin_prelude(s);
	else if (hole && (more[0] == LP_LOOKS_HELLO || more[1] == LP_LOOKS_HELLO))
		begin_behind(s, more[0] == LP_LOOKS_HELLO ? LP_A2B : LP_B2A);
	else if (s->had_session && (tls || hole))
		drop_nobodys(s, (const enum lp_looks[]){ a, b });
	else if (tls && (a == b || (hole && more[0] != LP_LOOKS_SHORT && more[1] != LP_LOOKS_SHORT)))
		begin_uncaptured(s);
	else if (final)
		at_close(s, tls);
	return s->had_session && (tls || hole);
}

/* ---- the pump ---- */

static bool blocked(const struct lp_stage *s, const struct lp_hold *h, enum lp_side side)
{
	return s->tls && lp_tls_blocked(s->tls, side, h->gap ? -1 : h->bytes[h->taken]);
}

/* The held item to go on with, or NULL. */
static struct lp_hold *next_item(const struct lp_stage *s, enum lp_side *side)
{
	struct lp_hold *best = NULL;

	for (int i = 0; i < 2; i++) {
		struct lp_hold *h = s->wait->holds.head[i];

		if (!h || blocked(s, h, (enum lp_side)i))
			continue;
		if (!best || lp_hold_earlier(h, best)) {
			best = h;
			*side = (enum lp_side)i;
		}
	}
	return best;
}

/* Gives bytes to whoever they are for; returns how many were taken. */
static size_t offer(struct lp_stage *s, enum lp_side side, const uint8_t *p, size_t n,
		    uint64_t off, const struct lp_when *own)
{
	if (s->state == LP_STAGE_TLS) {
		(void)told(s, own);
		return lp_tls_feed(s->tls, side, p, n, off);
	}
	if (s->home.env->cleartext)
		tell_clear(s, side, p, n, own);
	return n;
}

static void offer_gap(struct lp_stage *s, enum lp_side side, uint64_t off, uint64_t n,
		      const struct lp_when *own)
{
	if (s->state == LP_STAGE_TLS) {
		(void)told(s, own);
		lp_tls_gap(s->tls, side, off, n);
	} else if (s->home.env->cleartext) {
		tell_clear(s, side, NULL, n, own);
	}
}

static void session_over(struct lp_stage *s)
{
	if (!s->tls || lp_tls_state(s->tls) != LP_TLS_ENDED)
		return;
	lp_tls_free(s->tls);
	s->tls = NULL;
	s->state = LP_STAGE_SNIFF;
	if (lp_holds_any(&s->wait->holds))
		feed_again(s);
}

/* False: nothing was taken; it was not its turn after all. */
static bool pump_one(struct lp_stage *s, struct lp_hold *h, enum lp_side side)
{
	size_t took;

	if (h->gap) {
		if (h->shed && s->tls)
			lp_tls_shed(s->tls);
		offer_gap(s, side, h->off, h->n, &h->when);
		lp_holds_pop(&s->wait->holds, (int)side);
		return true;
	}
	took = offer(s, side, h->bytes + h->taken, (size_t)h->n - h->taken, h->off + h->taken,
		     &h->when);
	lp_holds_take(&s->wait->holds, side, took);
	return took || !s->tls || lp_tls_state(s->tls) != LP_TLS_RUNNING;
}

static void pump(struct lp_stage *s, const struct lp_when *when)
{
	struct lp_hold *h;
	enum lp_side side = LP_A2B;
	unsigned vain = 0;

	/* What takes nothing may have got something else going, so that it is taken when it is
	 * offered again; the second time it would be for ever. */
	while (vain < 2) {
		session_over(s);
		if (s->state == LP_STAGE_SNIFF) {
			while (s->state == LP_STAGE_SNIFF && lp_holds_any(&s->wait->holds) &&
			       sniff(s, when))
				continue;
			if (s->state == LP_STAGE_SNIFF)
				return;
		}
		if (waiting(s))
			return;
		h = next_item(s, &side);
		if (!h)
			return;
		vain = pump_one(s, h, side) ? 0 : vain + 1;
	}
}

/* ---- TLS behind something else ---- */

static struct lp_prelude_host prelude_host(struct lp_stage *s)
{
	return (struct lp_prelude_host){
		.env = s->home.env,
		.clear = s->home.env->cleartext ? tell_clear : NULL,
		.user = s,
	};
}

static void prelude_over(struct lp_stage *s, enum lp_found found, const struct lp_when *when)
{
	const struct lp_prelude_host host = { s->home.env, tell_clear, s };
	struct lp_prelude *pre = s->prelude;

	if (found == LP_FOUND_NOT_YET)
		return;
	s->prelude = NULL;
	s->state = LP_STAGE_CLEAR;
	if (found == LP_FOUND_TLS)
		begin_session(s, (enum lp_side)pre->client);
	if (s->tls) {
		(void)told(s, when);
		lp_prelude_tell(pre, &host, &s->home.when);
		if (wait_of(s))
			lp_prelude_take(pre, &s->wait->holds);
	}
	lp_prelude_free(pre, s->home.env);
	for (int side = 0; side < 2; side++) {
		pump(s, when);
		if (s->wait->holds.head[side])
			keep_caps(s, (enum lp_side)side, when);
	}
	pump(s, when);
}

void lp_stage_adopt(struct lp_stage *s, struct lp_prelude *pre, const struct lp_when *when)
{
	s->prelude = pre;
	s->state = LP_STAGE_PRELUDE;
	s->seen[pre->client] = true;
	s->seen[1 - pre->client] = pre->changes > 0;
	prelude_over(s, LP_FOUND_TLS, when);
}

/* ---- the end ---- */

static bool last_look(struct lp_stage *s)
{
	return await_no_more(s, &s->wait->close_when) || lp_tls_last_look(s->tls);
}

static bool finish(struct lp_stage *s)
{
	if (!s->closing)
		return false;
	do
		pump(s, &s->wait->close_when);
	while (s->tls && !waiting(s) && last_look(s));
	while (s->state == LP_STAGE_PRELUDE) {
		const struct lp_prelude_host host = prelude_host(s);

		prelude_over(s, lp_prelude_close(s->prelude, &host), &s->wait->close_when);
	}
	if (waiting(s))
		return false;
	if (s->tls) {
		const uint64_t lost[2] = { lp_holds_gaps(&s->wait->holds, LP_A2B),
					   lp_holds_gaps(&s->wait->holds, LP_B2A) };

		for (int side = 0; side < 2; side++) {
			const struct lp_hold *h = s->wait->holds.head[side];

			if (h && !h->gap)
				lp_tls_last_words(s->tls, (enum lp_side)side, h->bytes + h->taken,
						  (size_t)h->n - h->taken);
		}
		(void)told(s, &s->wait->close_when);
		lp_tls_finish(s->tls, s->wait->end, s->wait->holds.bytes, lost, s->conflict);
	}
	lp_holds_clear(&s->wait->holds);
	return true;
}

/* ---- stream calls ---- */

void lp_stage_data(struct lp_stage *s, enum lp_side side, const uint8_t *p, size_t n,
		   uint64_t off, const struct lp_when *when)
{
	size_t took = n < s->nobodys[side] ? n : s->nobodys[side];

	s->seen[side] = true;
	session_over(s);
	if (took) {
		s->nobodys[side] = (uint16_t)(s->nobodys[side] - took);
		if (took < n)
			lp_stage_data(s, side, p + took, n - took, off + took, when);
		return;
	}
	if (s->state == LP_STAGE_PRELUDE) {
		const struct lp_prelude_host host = prelude_host(s);

		prelude_over(s, lp_prelude_data(s->prelude, &host, side, p, n, off, when), when);
		return;
	}
	if (s->state == LP_STAGE_SNIFF && !lp_holds_any(&s->wait->holds) &&
	    lp_stage_looks(p, n) == LP_LOOKS_HELLO)
		begin_session(s, side);
	if (s->state != LP_STAGE_SNIFF && !s->wait->holds.head[side] &&
	    !(s->tls && lp_tls_blocked(s->tls, side, n ? *p : -1)))
		took = offer(s, side, p, n, off, when);
	if (took < n && (!wait_of(s) || !lp_holds_push(&s->wait->holds, side, p + took, n - took,
						       off + took, when)))
		return;
	if (s->wait == &no_wait)
		return;
	if (lp_holds_any(&s->wait->holds))
		pump(s, when);
	if (s->wait->holds.head[side])
		keep_caps(s, side, when);
	if (lp_holds_any(&s->wait->holds))
		pump(s, when);
	if (!s->closing && !lp_holds_any(&s->wait->holds) && s->wait->other_last <= when->number)
		wait_free(s);
}

void lp_stage_other(struct lp_stage *s, enum lp_side side, const uint8_t *p, size_t n,
		    uint64_t off, uint64_t number)
{
	struct lp_stage_wait *wait = s->wait;
	struct lp_stage_other *o;

	if (s->tls)
		lp_tls_other(s->tls, side, p, n, off, number);
	if (!lp_holds_any(&wait->holds) || n > LP_OTHER_MAX - sizeof *o ||
	    wait->other_n > LP_OTHER_MAX - sizeof *o - n)
		return;
	o = malloc(sizeof *o + n);
	if (!o) {
		s->home.env->fault = LP_E_NOMEM;
		return;
	}
	*o = (struct lp_stage_other){ NULL, side, off, number, n };
	memcpy(o->bytes, p, n);
	wait->other_n += sizeof *o + n;
	*wait->other_tail = o;
	wait->other_tail = &o->next;
	wait->other_last = number;
}

void lp_stage_gap(struct lp_stage *s, enum lp_side side, uint64_t off, uint64_t n,
		  const struct lp_when *when)
{
	s->nobodys[side] = 0;
	if (s->state == LP_STAGE_PRELUDE) {
		const struct lp_prelude_host host = prelude_host(s);

		prelude_over(s, lp_prelude_gap(s->prelude, &host, side, off, n, when), when);
	} else if (s->state == LP_STAGE_CLEAR && !s->wait->holds.head[side]) {
		offer_gap(s, side, off, n, when);
	} else if (wait_of(s) && lp_holds_push(&s->wait->holds, side, NULL, n, off, when)) {
		pump(s, when);
	}
}

bool lp_stage_close(struct lp_stage *s, const enum lp_end end[2], bool conflict,
		    const struct lp_when *when)
{
	struct lp_stage_wait *wait = wait_of(s);

	if (!wait)
		return true; /* nothing more is told of anything */
	s->closing = true;
	s->conflict = conflict;
	wait->end[0] = end[0];
	wait->end[1] = end[1];
	wait->close_when = *when;
	return finish(s);
}

bool lp_stage_answer(struct lp_stage *s, const uint8_t *secret, size_t n,
		     const struct lp_no_secret *no)
{
	assert(s->tls);
	not_over(s);
	lp_tls_answer(s->tls, secret, n, no);
	lp_tls_wake(s->tls);
	pump(s, &s->home.when);
	return finish(s);
}

bool lp_stage_again(struct lp_stage *s)
{
	assert(s->tls);
	not_over(s);
	lp_tls_again(s->tls);
	lp_tls_wake(s->tls);
	pump(s, &s->home.when);
	return finish(s);
}

enum lp_side lp_stage_client(const struct lp_stage *s)
{
	return s->tls ? lp_tls_client(s->tls) : LP_A2B;
}

bool lp_stage_opaque(const struct lp_stage *s)
{
	return s->tls && lp_tls_state(s->tls) == LP_TLS_OPAQUE && !lp_holds_any(&s->wait->holds);
}

void lp_stage_skip(struct lp_stage *s, const uint64_t length[2])
{
	for (int side = 0; side < 2 && lp_stage_opaque(s); side++)
		lp_tls_pass(s->tls, (enum lp_side)side, length[side]);
}

void lp_stage_passed(struct lp_stage *s, const uint64_t length[2])
{
	for (int side = 0; side < 2 && lp_stage_opaque(s); side++)
		lp_tls_passed(s->tls, (enum lp_side)side, length[side]);
}

bool lp_stage_idle(const struct lp_stage *s)
{
	return s->state == LP_STAGE_CLEAR;
}
