/* How bytes find their session:
 *
 *   data ─► anything held on this side, or blocked? ──yes──► hold (copy)
 *                │no
 *                ▼
 *   sniff (which side is the client?) ─► session ─► what it did not take: hold
 *
 * and after each step the pump offers held bytes, earliest place first, to the
 * sides that may go on. The place of an event is never earlier than the place of
 * the one before it, so bytes that waited are told at the place that released
 * them, however late the warden answered. */
#include "tls/stage.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "tls/record.h"

struct lp_hold {
	struct lp_hold *next;
	struct lp_when when;
	uint64_t off;
	uint64_t n;       /* bytes, or length of the gap */
	size_t taken;     /* bytes used up */
	bool gap;
	uint8_t bytes[];
};

enum { SNIFF_BYTES = 6 };

enum lp_looks lp_stage_looks(const uint8_t *p, size_t n)
{
	if (n && lp_record_v2_plausible(p, n < LP_V2_LOOK ? n : LP_V2_LOOK))
		return n < LP_V2_LOOK ? LP_LOOKS_SHORT : LP_LOOKS_HELLO;
	if (!lp_record_plausible(p, n < LP_RECORD_HEADER ? n : LP_RECORD_HEADER))
		return LP_LOOKS_CLEAR;
	if (n < SNIFF_BYTES)
		return LP_LOOKS_SHORT;
	if (p[0] == LP_CONTENT_HANDSHAKE && p[5] == 1)
		return LP_LOOKS_HELLO;
	/* An empty record before anything else is nobody's. */
	return p[3] || p[4] ? LP_LOOKS_TLS : LP_LOOKS_CLEAR;
}

void lp_stage_init(struct lp_stage *s, struct lp_tls_env *env, void *owner)
{
	*s = (struct lp_stage){ .env = env, .owner = owner };
}

/* What an item weighs against the caps: all of its memory, for as long as it stands. */
static void charge(struct lp_stage *s, const struct lp_hold *h, bool add)
{
	uint64_t n = sizeof *h + (h->gap ? 0 : h->n);

	s->weight += add ? n : 0 - n;
	s->env->held += add ? n : 0 - n;
	if (s->env->held > s->env->held_peak)
		s->env->held_peak = s->env->held;
}

static void pop(struct lp_stage *s, int side)
{
	struct lp_hold *h = s->head[side];
	uint64_t left = h->gap ? 0 : h->n - h->taken;

	s->head[side] = h->next;
	if (!h->next)
		s->tail[side] = NULL;
	s->held[side] -= left;
	charge(s, h, false);
	free(h);
}

static void drop_held(struct lp_stage *s)
{
	for (int side = 0; side < 2; side++)
		while (s->head[side])
			pop(s, (int)side);
}

static void not_over(struct lp_stage *s)
{
	if (s->over)
		s->env->over--;
	s->over = false;
}

void lp_stage_clear_all(struct lp_stage *s)
{
	not_over(s);
	drop_held(s);
	lp_tls_free(s->tls);
	s->tls = NULL;
}

/* ---- holding ---- */

static bool hold(struct lp_stage *s, enum lp_side side, const uint8_t *p, uint64_t n,
		 uint64_t off, const struct lp_when *when)
{
	struct lp_hold *h = malloc(sizeof *h + (p ? (size_t)n : 0));

	if (!h) {
		s->env->fault = LP_E_NOMEM;
		return false;
	}
	*h = (struct lp_hold){ .when = *when, .off = off, .n = n, .gap = !p };
	if (p) {
		memcpy(h->bytes, p, (size_t)n);
		s->held[side] += n;
	}
	charge(s, h, true);
	*(s->tail[side] ? &s->tail[side]->next : &s->head[side]) = h;
	s->tail[side] = h;
	return true;
}

static bool waiting(const struct lp_stage *s)
{
	return s->tls && lp_tls_state(s->tls) == LP_TLS_WAITING;
}

/* Live and over the cap while the warden is asked: the oldest held bytes of the
 * side become a gap, and one with the gap before them. */
static bool shed_oldest(struct lp_stage *s, enum lp_side side)
{
	struct lp_hold *before = NULL, *h = s->head[side], *gap;

	for (; h && h->gap; h = h->next)
		before = h;
	if (!h)
		return false;
	gap = before && before->off + before->n == h->off ? before : malloc(sizeof *gap);
	if (!gap) {
		s->env->fault = LP_E_NOMEM;
		return false;
	}
	s->held[side] -= h->n - h->taken;
	charge(s, h, false);
	if (gap == before) {
		before->n += h->n;
		before->next = h->next;
	} else {
		*gap = (struct lp_hold){ .next = h->next, .when = h->when, .gap = true,
					 .off = h->off + h->taken, .n = h->n - h->taken };
		charge(s, gap, true);
		*(before ? &before->next : &s->head[side]) = gap;
	}
	if (!h->next)
		s->tail[side] = gap;
	free(h);
	return true;
}

static bool over_caps(const struct lp_stage *s)
{
	return s->weight > s->env->max_held_session || s->env->held > s->env->max_held;
}

static void give_up(struct lp_stage *s, enum lp_side side)
{
	enum lp_dir dir = s->tls && lp_tls_client(s->tls) == side ? LP_C2S : LP_S2C;

	if (!s->tls)
		s->state = LP_STAGE_CLEAR;
	else if (dir == LP_C2S && !s->seen[1 - side])
		lp_tls_give_up(s->tls, LP_REASON_ONE_DIRECTION,
			       "no byte from the server was captured, and the client went on");
	else
		lp_tls_give_up(s->tls, LP_REASON_LIMIT, "more bytes of one side had to wait for "
			       "the other than may be held");
}

static void keep_caps(struct lp_stage *s, enum lp_side side)
{
	struct lp_tls_env *env = s->env;

	if (!over_caps(s))
		return;
	if (waiting(s) && !env->live) {
		if (!s->over)
			env->over++;
		s->over = true;
		return;
	}
	/* Others fill the space and wait for the warden: a replay reads on when they are
	 * done, and what little this handshake holds may stay until then. */
	if (!env->live && env->waiting && s->weight <= env->max_held_session)
		return;
	env->cap_held++;
	if (!waiting(s))
		give_up(s, side);
	else
		while (over_caps(s) && shed_oldest(s, side))
			continue;
}

/* ---- which side is the client ---- */

static enum lp_looks looks(const struct lp_stage *s, int side)
{
	uint8_t first[SNIFF_BYTES];
	size_t n = 0;

	if (s->head[side] && s->head[side]->gap)
		return LP_LOOKS_HOLE;
	for (const struct lp_hold *h = s->head[side]; h && n < sizeof first; h = h->next) {
		size_t take = sizeof first - n;

		if (h->gap)
			break;
		if (take > h->n - h->taken)
			take = (size_t)h->n - h->taken;
		memcpy(first + n, h->bytes + h->taken, take);
		n += take;
	}
	return lp_stage_looks(first, n);
}

static void begin_session(struct lp_stage *s, enum lp_side client)
{
	s->tls = lp_tls_new(s->env, s->owner, client);
	if (!s->tls) {
		s->env->fault = LP_E_NOMEM;
		s->state = LP_STAGE_CLEAR;
		return;
	}
	s->state = LP_STAGE_TLS;
	s->had_session = true;
}

/* TLS records without a ClientHello: say so, once it is clear that none comes. */
static void begin_uncaptured(struct lp_stage *s, const struct lp_when *when)
{
	begin_session(s, LP_A2B);
	if (s->tls)
		lp_tls_not_captured(s->tls, when);
}

/* Everything that has come so far is held. Decides as soon as it can. */
static void sniff(struct lp_stage *s, const struct lp_when *when)
{
	enum lp_looks a = looks(s, LP_A2B);
	enum lp_looks b = looks(s, LP_B2A);
	bool tls = a == LP_LOOKS_TLS || b == LP_LOOKS_TLS;
	bool hole = a == LP_LOOKS_HOLE || b == LP_LOOKS_HOLE;
	bool final = s->closing;

	if (a == LP_LOOKS_HELLO || b == LP_LOOKS_HELLO) {
		begin_session(s, a == LP_LOOKS_HELLO ? LP_A2B : LP_B2A);
		return;
	}
	if (a == LP_LOOKS_CLEAR || b == LP_LOOKS_CLEAR) {
		s->state = LP_STAGE_CLEAR;
		return;
	}
	if (s->had_session && (tls || hole)) {
		/* Records behind both close_notify belong to nobody (RFC 5246 7.2.1). */
		drop_held(s);
		return;
	}
	if (tls && (a == b || hole || final))
		begin_uncaptured(s, when);
	else if (final)
		s->state = LP_STAGE_CLEAR;
}

/* ---- the pump ---- */

static bool earlier(const struct lp_hold *a, const struct lp_hold *b)
{
	if (a->when.number != b->when.number)
		return a->when.number < b->when.number;
	return a->when.index < b->when.index;
}

/* The held item to go on with, or NULL. */
static struct lp_hold *next_item(const struct lp_stage *s, enum lp_side *side)
{
	struct lp_hold *best = NULL;

	for (int i = 0; i < 2; i++) {
		struct lp_hold *h = s->head[i];

		if (!h || (s->tls && lp_tls_blocked(s->tls, (enum lp_side)i)))
			continue;
		if (!best || earlier(h, best)) {
			best = h;
			*side = (enum lp_side)i;
		}
	}
	return best;
}

/* The moment at which an item is told: its own, but not before the last one. */
static struct lp_when told(struct lp_stage *s, const struct lp_when *own)
{
	struct lp_when when = *own;

	if (when.number < s->last.number ||
	    (when.number == s->last.number && when.index < s->last.index)) {
		when.number = s->last.number;
		when.index = s->last.index;
		when.released_ns = s->last.released_ns;
	}
	s->last = when;
	return when;
}

/* Gives bytes to whoever they are for; returns how many were taken. */
static size_t offer(struct lp_stage *s, enum lp_side side, const uint8_t *p, size_t n,
		    uint64_t off, const struct lp_when *own)
{
	struct lp_when when = told(s, own);

	if (s->state == LP_STAGE_TLS)
		return lp_tls_feed(s->tls, side, p, n, off, &when);
	s->env->cb->clear(s->owner, side, p, n, &when);
	return n;
}

static void session_over(struct lp_stage *s)
{
	if (!s->tls || lp_tls_state(s->tls) != LP_TLS_ENDED)
		return;
	lp_tls_free(s->tls);
	s->tls = NULL;
	s->state = LP_STAGE_SNIFF;
}

static void pump_one(struct lp_stage *s, struct lp_hold *h, enum lp_side side)
{
	struct lp_when when;
	size_t left, took;

	if (h->gap) {
		when = told(s, &h->when);
		if (s->tls)
			lp_tls_gap(s->tls, side, h->off, h->n, &when);
		else
			s->env->cb->clear_gap(s->owner, side, h->n, &when);
		pop(s, (int)side);
		return;
	}
	left = (size_t)h->n - h->taken;
	took = offer(s, side, h->bytes + h->taken, left, h->off + h->taken, &h->when);
	h->taken += took;
	s->held[side] -= took;
	if (h->taken == h->n)
		pop(s, (int)side);
}

static void pump(struct lp_stage *s, const struct lp_when *when)
{
	struct lp_hold *h;
	enum lp_side side = LP_A2B;

	for (;;) {
		session_over(s);
		if (s->state == LP_STAGE_SNIFF) {
			if (s->head[0] || s->head[1])
				sniff(s, when);
			if (s->state == LP_STAGE_SNIFF)
				return;
		}
		if (waiting(s))
			return;
		h = next_item(s, &side);
		if (!h)
			return;
		pump_one(s, h, side);
	}
}

/* ---- the end ---- */

static uint64_t held_gaps(const struct lp_stage *s, enum lp_side side)
{
	uint64_t n = 0;

	for (const struct lp_hold *h = s->head[side]; h; h = h->next)
		n += h->gap ? h->n : 0;
	return n;
}

static bool finish(struct lp_stage *s)
{
	struct lp_when when;

	if (!s->closing)
		return false;
	pump(s, &s->close_when);
	if (waiting(s))
		return false;
	if (s->tls) {
		const uint64_t lost[2] = { held_gaps(s, LP_A2B), held_gaps(s, LP_B2A) };

		for (int side = 0; side < 2; side++)
			if (s->head[side] && !s->head[side]->gap)
				lp_tls_last_words(s->tls, (enum lp_side)side,
						  s->head[side]->bytes + s->head[side]->taken,
						  (size_t)s->head[side]->n - s->head[side]->taken);
		when = told(s, &s->close_when);
		lp_tls_finish(s->tls, s->end, s->held, lost, s->conflict, &when);
	}
	drop_held(s);
	return true;
}

/* ---- stream calls ---- */

void lp_stage_data(struct lp_stage *s, enum lp_side side, const uint8_t *p, size_t n,
		   uint64_t off, const struct lp_when *when)
{
	size_t took = 0;

	s->seen[side] = true;
	session_over(s);
	if (s->state == LP_STAGE_SNIFF && !s->head[0] && !s->head[1] &&
	    lp_stage_looks(p, n) == LP_LOOKS_HELLO)
		begin_session(s, side);
	if (s->state != LP_STAGE_SNIFF && !s->head[side] &&
	    !(s->tls && lp_tls_blocked(s->tls, side)))
		took = offer(s, side, p, n, off, when);
	if (took < n && !hold(s, side, p + took, n - took, off + took, when))
		return;
	if (s->head[0] || s->head[1])
		pump(s, when);
	if (s->head[side])
		keep_caps(s, side);
	if (s->head[0] || s->head[1])
		pump(s, when);
}

void lp_stage_gap(struct lp_stage *s, enum lp_side side, uint64_t off, uint64_t n,
		  const struct lp_when *when)
{
	struct lp_when t;

	if (s->state == LP_STAGE_CLEAR && !s->head[side]) {
		t = told(s, when);
		s->env->cb->clear_gap(s->owner, side, n, &t);
		return;
	}
	if (hold(s, side, NULL, n, off, when))
		pump(s, when);
}

bool lp_stage_close(struct lp_stage *s, const enum lp_end end[2], bool conflict,
		    const struct lp_when *when)
{
	s->closing = true;
	s->conflict = conflict;
	s->end[0] = end[0];
	s->end[1] = end[1];
	s->close_when = *when;
	return finish(s);
}

bool lp_stage_answer(struct lp_stage *s, const uint8_t *secret, size_t n,
		     const struct lp_no_secret *no)
{
	assert(s->tls);
	not_over(s);
	lp_tls_answer(s->tls, secret, n, no);
	pump(s, &s->last);
	return finish(s);
}

bool lp_stage_again(struct lp_stage *s)
{
	assert(s->tls);
	not_over(s);
	lp_tls_again(s->tls);
	pump(s, &s->last);
	return finish(s);
}

enum lp_side lp_stage_client(const struct lp_stage *s)
{
	return s->tls ? lp_tls_client(s->tls) : LP_A2B;
}

bool lp_stage_idle(const struct lp_stage *s)
{
	return s->state == LP_STAGE_CLEAR;
}
