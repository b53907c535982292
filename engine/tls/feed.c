/* How bytes and gaps come into a session: cut into records, past holes, and back again
 * what had to wait. */
#include "tls/session_parts.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void count_only(struct lp_tls *tls, enum lp_dir dir, uint64_t n)
{
	lp_tls_account(tls, dir, tls->dead[dir] ? LP_IN_LOST : LP_IN_OPAQUE, n);
	if (tls->dead[dir] && lp_tls_hurt(tls))
		tls->hurt->dead_bytes[dir] += n;
}

/* Where a header came in two copies that differ, or there is none (why), what stands there
 * is left to seek.c. */
static bool in_doubt(struct lp_tls *tls, enum lp_dir dir, lp_span next, const char *why)
{
	struct lp_records *r = &tls->records[dir];
	lp_span held = lp_records_part(r);
	struct lp_doubt d = { lp_records_offset(r), held.n ? held : next, { held, { NULL, 0 } }, why };

	if (d.header.n > LP_RECORD_HEADER)
		d.header.n = LP_RECORD_HEADER;
	if (!lp_tls_doubt(tls, dir, &d))
		return false;
	(void)lp_records_resync(r, d.offset);
	return true;
}

static void bad_record(struct lp_tls *tls, enum lp_dir dir, lp_span next)
{
	struct lp_records *r = &tls->records[dir];
	uint64_t at = lp_records_offset(r);
	const char *fault = lp_records_why(r), *why = fault ? fault : "no record header";
	size_t held;

	if (in_doubt(tls, dir, next, why))
		return;
	/* The other direction may be well: only this one is lost. */
	tls->dead[dir] = tls->proven;
	held = lp_records_resync(r, at);
	count_only(tls, dir, held);
	if (tls->proven) {
		if (tls->reason == LP_REASON_NONE) {
			lp_tls_because(tls, LP_REASON_RECORD_BAD,
				       "at byte %llu the %s's stream stops being TLS (%s)",
				       (unsigned long long)at, lp_tls_who(dir), why);
		}
		return;
	}
	lp_tls_fail(tls, LP_REASON_MALFORMED, "at byte %llu the %s's stream is not TLS: %s",
		    (unsigned long long)at, lp_tls_who(dir), why);
}

/* Returns the pushed bytes that were not taken. */
static size_t work(struct lp_tls *tls, enum lp_side side, enum lp_dir dir)
{
	struct lp_records *records = &tls->records[dir];
	struct lp_record r;
	enum lp_err err;

	while (tls->state == LP_TLS_RUNNING && !tls->dead[dir] && !tls->hurt->seek[dir] &&
	       !lp_tls_blocked(tls, side, -1)) {
		err = lp_records_next(records, &tls->home->env->spares, &r);
		if (err == LP_MORE) {
			if (tls->hurt->other[dir])
				(void)in_doubt(tls, dir, (lp_span){ NULL, 0 }, NULL);
			return 0;
		}
		if (err == LP_E_NOMEM) {
			lp_tls_nomem(tls);
			lp_tls_fail(tls, LP_REASON_LIMIT, "out of memory");
		} else if (err) {
			lp_span left = lp_records_rest(records);

			bad_record(tls, dir, left);
			return left.n;
		} else if (lp_tls_sealed(tls, dir)) {
			lp_tls_open(tls, dir, &r);
		} else {
			lp_tls_clear(tls, dir, &r);
		}
	}
	/* A session that turned opaque has counted the rest already. */
	return tls->state == LP_TLS_OPAQUE ? 0 : lp_records_rest(records).n;
}

/* The record that ends the hole is of a handshake whose Finished may have been in it. */
static void opening(struct lp_tls *tls, enum lp_dir dir, const struct lp_seek *s)
{
	bool finished = s->type == LP_CONTENT_HANDSHAKE && !s->lost && !s->spoilt;

	if (!tls->shake->next_proven)
		lp_tls_prove(tls);
	if (finished || tls->shake->hs->finished[dir].seen)
		return;
	lp_handshake_finished_lost(tls->shake->hs, dir);
	tls->notes |= LP_NOTE_FINISHED_UNCHECKED;
}

/* That record is under the keys of a later handshake, so its ChangeCipherSpec was in the hole. */
static void switched(struct lp_tls *tls, enum lp_dir dir)
{
	enum lp_err err;

	tls->shake->unsure[dir] = false;
	lp_handshake_gap(tls->shake->hs, dir);
	err = lp_handshake_ccs(tls->shake->hs, dir);
	assert(!err); /* lp_handshake_may_seal */
	(void)err;
}

/* Bytes that wait for their turn, or for keys, before those that wait already. */
static void put_back(struct lp_tls *tls, enum lp_dir dir, lp_span bytes)
{
	struct lp_buf behind = tls->hurt->back[dir];
	lp_span b = lp_buf_span(&behind);

	if (!bytes.n || !lp_tls_hurt(tls))
		return;
	lp_buf_init(&tls->hurt->back[dir], LP_BACK_MAX);
	if (lp_buf_append(&tls->hurt->back[dir], bytes.p, bytes.n) ||
	    lp_buf_append(&tls->hurt->back[dir], b.p, b.n)) {
		lp_tls_nomem(tls);
		lp_tls_account(tls, dir, LP_IN_LOST, bytes.n + b.n - lp_buf_len(&tls->hurt->back[dir]));
		tls->dead[dir] = true;
	}
	lp_buf_clear(&behind);
}

/* The next record after a hole was found: tells the hole, then goes on with what
 * was gathered behind it. */
static void resume(struct lp_tls *tls, enum lp_side side, enum lp_dir dir)
{
	struct lp_seek *s = tls->hurt->seek[dir];
	struct lp_records *records = &tls->records[dir];
	size_t past = s->at, left;
	lp_span b;

	tls->hurt->seek[dir] = NULL;
	if (s->mode == LP_SEEK_SEALED) {
		past += s->wire;
		if (s->offset + s->at + s->spoilt > tls->hurt->way[dir].end && !tls->hurt->way[dir].hole_n)
			lp_tls_doubt_lost(tls, dir);
		if (s->ahead)
			switched(tls, dir);
		if (tls->shake->hs && tls->shake->hs->sealed[dir])
			opening(tls, dir, s);
		lp_tls_seek_tell(tls, dir, s);
		if (tls->shake->hs && lp_handshake_done(tls->shake->hs))
			lp_tls_complete(tls);
	} else {
		lp_tls_account(tls, dir, LP_IN_LOST, s->at);
	}
	b = lp_buf_span(&s->buf);
	(void)lp_records_resync(records, s->offset + past);
	lp_records_push(records, b.p + past, b.n - past);
	if (s->mode == LP_SEEK_SEALED && s->spoilt < s->wire) {
		memmove(s->content, s->content + s->skip, s->content_n - s->skip);
		lp_tls_content(tls, dir, s->type, s->content, s->content_n - s->skip,
			       s->wire - s->spoilt);
	}
	left = work(tls, side, dir);
	if (tls->state == LP_TLS_ENDED || tls->state == LP_TLS_OPAQUE || tls->dead[dir]) {
		count_only(tls, dir, left);
		left = 0;
	}
	put_back(tls, dir, lp_span_of(b.p + b.n - left, left));
	lp_buf_clear(&s->buf);
	free(s);
}

static void seek_on(struct lp_tls *tls, enum lp_side side, enum lp_dir dir, bool final)
{
	lp_tls_seek_go(tls, dir, final);
	if (tls->hurt->seek[dir] && tls->hurt->seek[dir]->found)
		resume(tls, side, dir);
}

/* Every byte that was taken is in one account, or in a record that is not whole. */
static void check_sum(const struct lp_tls *tls, enum lp_dir dir)
{
	uint64_t sum = lp_tls_accounted(tls, dir);

	if (tls->state == LP_TLS_RUNNING || tls->state == LP_TLS_WAITING)
		sum += lp_records_held(&tls->records[dir]) + lp_tls_seek_held(tls, dir) +
		       lp_buf_len(&tls->hurt->back[dir]);
	if (tls->shake->trial && tls->shake->trial->dir == dir)
		sum += LP_RECORD_HEADER + tls->shake->trial->n;
	assert(sum == tls->fed[dir] || tls->home->env->fault);
	(void)sum;
}

static void begin_records(struct lp_tls *tls, enum lp_dir dir, uint64_t off)
{
	struct lp_records *records = &tls->records[dir];

	lp_records_init(records, off);
	if (dir == LP_C2S)
		lp_records_allow_v2(records);
}

/* Returns the bytes that were not taken. */
static size_t take(struct lp_tls *tls, enum lp_side side, enum lp_dir dir, const uint8_t *p,
		   size_t n)
{
	size_t left = n;

	if (tls->hurt->skip[dir] && tls->state == LP_TLS_RUNNING)
		left -= lp_tls_skip(tls, dir, left);
	while (left && tls->hurt->seek[dir] && tls->state == LP_TLS_RUNNING &&
	       !lp_tls_blocked(tls, side, -1)) {
		left -= lp_tls_seek_feed(tls, dir, p + (n - left), left);
		if (tls->hurt->seek[dir] && tls->hurt->seek[dir]->found)
			resume(tls, side, dir);
	}
	if (left && tls->state == LP_TLS_RUNNING && !tls->dead[dir] && !tls->hurt->seek[dir] &&
	    !lp_buf_len(&tls->hurt->back[dir])) {
		lp_records_push(&tls->records[dir], p + (n - left), left);
		left = work(tls, side, dir);
	}
	if (tls->state == LP_TLS_OPAQUE || tls->dead[dir]) {
		count_only(tls, dir, left);
		left = 0;
	}
	return left;
}

/* What a seek had left over, once the direction may go on. */
static void take_back(struct lp_tls *tls, enum lp_side side, enum lp_dir dir)
{
	struct lp_buf b = tls->hurt->back[dir];
	lp_span s = lp_buf_span(&b);
	size_t left;

	lp_buf_init(&tls->hurt->back[dir], LP_BACK_MAX);
	left = take(tls, side, dir, s.p, s.n);
	if (left && lp_buf_append(&tls->hurt->back[dir], s.p + s.n - left, left)) {
		lp_tls_nomem(tls);
		lp_tls_account(tls, dir, LP_IN_LOST, left);
		tls->dead[dir] = true;
	}
	lp_buf_clear(&b);
}

/* Whether a direction can go on with what it has gathered. */
static bool can_go(const struct lp_tls *tls, enum lp_side side, enum lp_dir dir)
{
	if (tls->state != LP_TLS_RUNNING || lp_tls_blocked(tls, side, -1))
		return false;
	return (tls->hurt->seek[dir] && tls->hurt->seek[dir]->waits) ||
	       lp_buf_len(&tls->hurt->back[dir]) || lp_tls_doubt_news(tls, dir);
}

void lp_tls_wake(struct lp_tls *tls)
{
	if (!lp_tls_is_hurt(tls))
		return;
	for (int side = 0; side < 2; side++) {
		enum lp_dir dir = lp_tls_dir(tls, (enum lp_side)side);

		if (!can_go(tls, (enum lp_side)side, dir))
			continue;
		if (tls->hurt->seek[dir] &&
		    (tls->hurt->seek[dir]->waits || lp_tls_doubt_news(tls, dir)))
			seek_on(tls, (enum lp_side)side, dir, false);
		else
			take_back(tls, (enum lp_side)side, dir);
		side = -1; /* the other may go on now */
	}
}

/* Nothing that a hole or two copies left stands before what comes next of dir, and nothing of the
 * other direction is searched through: for that, any call may be the one with which a copy counts
 * (lp_tls_doubt_news). */
static bool is_clean(const struct lp_tls *tls, enum lp_dir dir)
{
	const struct lp_hurt *hurt = tls->hurt;

	return !hurt->skip[dir] && !hurt->seek[0] && !hurt->seek[1] && !hurt->other[dir] &&
	       !lp_buf_len(&hurt->back[dir]);
}

/* Nothing is under way but application data. */
static bool in_data(const struct lp_tls *tls, enum lp_dir dir)
{
	return tls->state == LP_TLS_RUNNING && !tls->shake->hs && !tls->dead[dir] &&
	       lp_protect_ready(&tls->now[dir]) && (!lp_tls_is_hurt(tls) || is_clean(tls, dir));
}

bool lp_tls_more(struct lp_tls *tls, enum lp_side side, const uint8_t *p, size_t n)
{
	enum lp_dir dir = lp_tls_dir(tls, side);
	struct lp_records *r = &tls->records[dir];

	if (!lp_records_in_middle(r, n) || !in_data(tls, dir))
		return false;
	tls->fed[dir] += n;
	if (lp_tls_is_hurt(tls))
		tls->hurt->stream_end[dir] = lp_records_offset(r) + lp_records_held(r) + n;
	lp_records_more(r, p, n);
	return true;
}

/* Bytes of dir, up to stream offset end, have come; it goes with the call. */
static void set_call(struct lp_tls *tls, enum lp_dir dir, uint64_t end)
{
	tls->home->env->call_dir = dir;
	tls->home->env->call_end = end;
	if (lp_tls_is_hurt(tls))
		tls->hurt->stream_end[dir] = end;
}

size_t lp_tls_feed(struct lp_tls *tls, enum lp_side side, const uint8_t *p, size_t n, uint64_t off)
{
	enum lp_dir dir = lp_tls_dir(tls, side);
	bool on = lp_tls_refill_on(tls, dir);
	size_t left;

	set_call(tls, dir, off + n);
	if (!tls->fed[dir])
		begin_records(tls, dir, off);
	if (on)
		lp_tls_refill_bytes(tls, dir, p, n, off);
	left = take(tls, side, dir, p, n);
	if (!on && lp_tls_refill_on(tls, dir)) /* it begins within */
		lp_tls_refill_bytes(tls, dir, p, n, off);
	tls->fed[dir] += n - left;
	lp_tls_wake(tls);
	lp_tls_settle(tls);
	check_sum(tls, LP_C2S);
	check_sum(tls, LP_S2C);
	tls->home->env->call_end = 0;
	return n - left;
}

/* A hole in a handshake whose keys, or the keys before it, were proven: this
 * direction ends here, the other may go on. */
static void lost_for_good(struct lp_tls *tls, enum lp_dir dir, uint64_t off, uint64_t n,
			  const char *where)
{
	uint64_t spoilt = lp_records_resync(&tls->records[dir], off + n);

	lp_tls_account(tls, dir, LP_IN_LOST, spoilt);
	tls->dead[dir] = true;
	if (lp_tls_hurt(tls))
		tls->hurt->dead_bytes[dir] += n + spoilt;
	if (tls->reason != LP_REASON_NONE)
		return;
	lp_tls_because(tls, LP_REASON_GAP_NOT_RECOVERED,
		       "%llu bytes from the %s at byte %llu, %s, were not captured",
		       (unsigned long long)n, lp_tls_who(dir), (unsigned long long)off, where);
}

/* A hole behind the direction's ChangeCipherSpec: if it is in the Finished, that will
 * not be compared. */
static void lost_behind_ccs(struct lp_tls *tls, enum lp_dir dir, uint64_t off, uint64_t n)
{
	if (tls->shake->hs->facts.compression && tls->proven) {
		lost_for_good(tls, dir, off, n, "in a compressed stream");
		return;
	}
	if (!tls->shake->hs->finished[dir].seen) {
		lp_tls_hole_describe(tls, dir, off, n);
		lp_messages_clear(&tls->shake->messages[dir]);
		lp_handshake_gap(tls->shake->hs, dir);
	}
	if (tls->shake->hs->facts.compression)
		lp_tls_fail_hole(tls);
	else
		lp_tls_seek_begin(tls, dir, off, n);
}

static void in_handshake(struct lp_tls *tls, enum lp_dir dir, uint64_t off, uint64_t n)
{
	bool on = lp_tls_refill_on(tls, dir);

	if (on)
		lp_tls_refill_gap(tls, dir, off, n);
	lp_tls_hole(tls, dir, off, n);
	if (!on && lp_tls_refill_on(tls, dir)) /* it began right before */
		lp_tls_refill_gap(tls, dir, off, n);
}

/* A hole in records under keys while another handshake goes on. What is missing may be
 * data or messages of it: what comes next will show (lp_tls_goes_on). */
static void in_later_handshake(struct lp_tls *tls, enum lp_dir dir, uint64_t off, uint64_t n)
{
	bool torn = lp_messages_partial(&tls->shake->messages[dir]);

	lp_tls_hole_describe(tls, dir, off, n);
	lp_messages_clear(&tls->shake->messages[dir]);
	if (torn)
		lp_handshake_gap(tls->shake->hs, dir);
	tls->shake->unsure[dir] = true;
	lp_tls_seek_begin(tls, dir, off, n);
}

static void gap(struct lp_tls *tls, enum lp_dir dir, uint64_t off, uint64_t n)
{
	tls->strict = true;
	tls->fed[dir] += n;
	lp_tls_account(tls, dir, LP_IN_LOST, n);
	if (tls->dead[dir] && lp_tls_hurt(tls))
		tls->hurt->dead_bytes[dir] += n;
	if (tls->state != LP_TLS_RUNNING || tls->dead[dir])
		return;
	if (tls->shake->hs && tls->shake->hs->sealed[dir]) {
		lost_behind_ccs(tls, dir, off, n);
		return;
	}
	/* A HelloRequest alone begins no handshake: the client may ignore it. */
	if (lp_protect_ready(&tls->now[dir]) && !lp_messages_partial(&tls->shake->messages[dir]) &&
	    (!tls->shake->hs || lp_handshake_idle(tls->shake->hs))) {
		if (tls->compressed)
			lost_for_good(tls, dir, off, n, "in a compressed stream");
		else
			lp_tls_seek_begin(tls, dir, off, n);
		return;
	}
	if (tls->proven && tls->shake->hs && !lp_handshake_idle(tls->shake->hs) && !tls->compressed &&
	    lp_protect_ready(&tls->now[dir])) {
		in_later_handshake(tls, dir, off, n);
		return;
	}
	if (tls->proven) {
		lost_for_good(tls, dir, off, n, "in the middle of a handshake");
		return;
	}
	in_handshake(tls, dir, off, n);
}

void lp_tls_gap(struct lp_tls *tls, enum lp_side side, uint64_t off, uint64_t n)
{
	enum lp_dir dir = lp_tls_dir(tls, side);

	set_call(tls, dir, off + n);
	gap(tls, dir, off, n);
	tls->home->env->call_end = 0;
}

/* Between these two the sums are short of from: nobody looks at them before the end. */
void lp_tls_pass(struct lp_tls *tls, enum lp_side side, uint64_t from)
{
	lp_tls_passed(tls, side, 0 - from);
}

void lp_tls_passed(struct lp_tls *tls, enum lp_side side, uint64_t to)
{
	enum lp_dir dir = lp_tls_dir(tls, side);

	assert(tls->state == LP_TLS_OPAQUE);
	tls->fed[dir] += to;
	lp_tls_account(tls, dir, LP_IN_OPAQUE, to);
}

void lp_tls_not_captured(struct lp_tls *tls)
{
	const struct lp_evidence *e = &tls->home->evidence;

	for (int dir = 0; dir < 2; dir++)
		if (lp_tls_absent(tls, (enum lp_dir)dir))
			lp_tls_fail(tls, LP_REASON_ONE_DIRECTION, "no packet from the %s was captured",
				    lp_tls_who((enum lp_dir)dir));
	if (e->syn && e->cut)
		lp_tls_fail(tls, LP_REASON_SNAPLEN, "the capture cut off the packets that held the "
			    "ClientHello");
	else if (e->syn)
		lp_tls_fail(tls, LP_REASON_HANDSHAKE_LOST, "the connection was captured from its "
			    "start, but its ClientHello was not");
	else
		lp_tls_fail(tls, LP_REASON_START_NOT_CAPTURED,
			    "TLS records were seen, but the ClientHello before them was not");
}

bool lp_tls_last_look(struct lp_tls *tls)
{
	bool any = false;

	for (int side = 0; side < 2; side++) {
		enum lp_dir dir = lp_tls_dir(tls, (enum lp_side)side);

		if (tls->hurt->other[dir] && !tls->dead[dir] && !tls->hurt->seek[dir])
			(void)in_doubt(tls, dir, (lp_span){ NULL, 0 }, NULL);
		/* There will be no more behind the hole to choose from. */
		while (tls->state == LP_TLS_RUNNING && lp_tls_seek_may_end(tls, dir)) {
			seek_on(tls, (enum lp_side)side, dir, true);
			lp_tls_wake(tls);
			any = true;
		}
	}
	return any;
}

void lp_tls_finish(struct lp_tls *tls, const enum lp_end end[2], const uint64_t held[2],
		   const uint64_t lost[2], bool conflict)
{
	enum lp_end by_dir[2];

	for (int side = 0; side < 2; side++) {
		enum lp_dir dir = lp_tls_dir(tls, (enum lp_side)side);

		by_dir[dir] = tls->close_notify[dir] ? LP_END_CLOSE_NOTIFY : end[side];
		tls->fed[dir] += held[side] + lost[side];
		lp_tls_account(tls, dir, LP_IN_OPAQUE, held[side]);
		lp_tls_account(tls, dir, LP_IN_LOST, lost[side]);
	}
	if (conflict)
		tls->notes |= LP_NOTE_OVERLAP_CONFLICT;
	lp_tls_end(tls, by_dir);
}
