/* Finding the way back after a hole in a direction that is under keys.
 *
 *   opened records │ rest of one │■■■ hole ■■■│ ??? │ record │ record …
 *                  └ end                             └ found
 *
 * What follows the hole is gathered until it holds a whole record that looks like
 * one (type, the session's version, a possible length, a next header that agrees),
 * and that record is tried with the sequence numbers that are possible: first the
 * one that the explicit nonce names (a counter in OpenSSL, NSS, GnuTLS and JSSE),
 * then outwards from what the length of the hole suggests. If the likely ones are
 * wrong, the shortest of this record and the next three is tried in its place: it
 * costs least. Only what authenticates is believed, and what is decided does not
 * depend on how the bytes were cut into segments. Where two copies of these bytes differ
 * (other.c), each position is looked at twice: as reassembly chose, and with the other
 * copies. Everything is bounded; a hole that costs more stays. */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tls/session_parts.h"

enum {
	LP_SEEK_BLOCK = 16,
	LP_SEEK_CHAIN = 4,         /* of so many records the shortest is tried */
	SEEK_BYTES = (LP_SEEK_CHAIN + 1) * (LP_RECORD_HEADER + LP_RECORD_FRAGMENT_MAX),
	SEEK_BESIDE = 9,           /* trials around what the lengths beside a hole say */
	SEEK_NEAR_COST = 256 << 10,/* bytes of trial decryption before the others are waited for */
	SEEK_HOLE_COST = 16 << 20, /* … for one hole */
	SEEK_FLOW_COST = 64 << 20, /* … for all of a session */
	EXPLICIT_NONCE = 8,
};

static uint64_t be64(const uint8_t *p)
{
	uint64_t v = 0;

	for (int i = 0; i < 8; i++)
		v = v << 8 | p[i];
	return v;
}

static const struct lp_cipher_info *cipher_of(const struct lp_protect *p)
{
	return lp_cipher_info((enum lp_cipher)p->suite->cipher);
}

static bool has_nonce(const struct lp_protect *p)
{
	return cipher_of(p)->explicit_nonce == EXPLICIT_NONCE;
}

bool lp_tls_chained(const struct lp_protect *p)
{
	return lp_protect_version(p) <= 0x0301 && cipher_of(p)->kind == LP_KIND_CBC;
}

void lp_tls_opened(struct lp_tls *tls, enum lp_dir dir, struct lp_protect *p, lp_span fragment)
{
	struct lp_way *w = &tls->way[dir];

	lp_protect_settle(p);
	if (has_nonce(p) && fragment.n >= EXPLICIT_NONCE) {
		w->nonce = be64(fragment.p) - (p->seq - 1);
		w->nonce_epoch = p->epoch;
	}
	w->bytes += LP_RECORD_HEADER + (uint32_t)fragment.n;
	w->records++;
	/* Recent records tell more than old ones. */
	if (w->records == 64) {
		w->bytes /= 2;
		w->records /= 2;
	}
}

static void seek_free(struct lp_tls *tls, enum lp_dir dir)
{
	struct lp_seek *s = tls->hurt->seek[dir];

	if (!s)
		return;
	tls->hurt->seek[dir] = NULL;
	lp_buf_clear(&s->buf);
	free(s);
}

void lp_tls_seek_clear(struct lp_tls *tls)
{
	seek_free(tls, LP_C2S);
	seek_free(tls, LP_S2C);
}

static void say_gap(struct lp_tls *tls, enum lp_dir dir)
{
	if (tls->reason != LP_REASON_NONE)
		return;
	if (!tls->hurt->way[dir].hole_n) {
		lp_tls_doubt_say(tls, dir);
		return;
	}
	lp_tls_because(tls, LP_REASON_GAP, "%llu bytes from the %s at byte %llu were not captured",
		       (unsigned long long)tls->hurt->way[dir].hole_n, lp_tls_who(dir),
		       (unsigned long long)tls->hurt->way[dir].hole);
}

static void give_up(struct lp_tls *tls, enum lp_dir dir, const char *why)
{
	lp_tls_account(tls, dir, LP_IN_LOST, lp_buf_len(&tls->hurt->seek[dir]->buf));
	tls->hurt->dead_bytes[dir] += tls->hurt->stream_end[dir] - tls->hurt->way[dir].end;
	seek_free(tls, dir);
	if (!tls->proven) {
		lp_tls_fail_hole(tls);
		return;
	}
	tls->dead[dir] = true;
	if (!tls->hurt->way[dir].hole_n) {
		say_gap(tls, dir);
		return;
	}
	/* That is worse than the gap itself. */
	lp_tls_because(tls, LP_REASON_GAP_NOT_RECOVERED,
		       "after a hole at byte %llu the %s's records were not found again: %s",
		       (unsigned long long)tls->hurt->way[dir].end, lp_tls_who(dir), why);
}

/* The direction's Finished has not been seen yet. */
static bool is_opening(const struct lp_tls *tls, enum lp_dir dir)
{
	return tls->shake->hs && tls->shake->hs->sealed[dir] && !tls->shake->hs->finished[dir].seen;
}

/* The next position to look at, in both views. */
static void begin_at(struct lp_seek *s, size_t at)
{
	s->at = at;
	for (int i = 0; i < 2; i++)
		s->view[i].step = s->view[i].spent = 0;
}

/* The seek of a direction, empty; bytes that an earlier one had gathered are lost. */
static struct lp_seek *seek_new(struct lp_tls *tls, enum lp_dir dir, uint64_t offset,
				enum lp_seek_mode mode)
{
	struct lp_hurt *hurt = lp_tls_hurt(tls);
	struct lp_seek *s = hurt ? hurt->seek[dir] : NULL;

	if (s) {
		lp_tls_account(tls, dir, LP_IN_LOST, lp_buf_len(&s->buf));
		lp_buf_clear(&s->buf);
	} else {
		s = hurt ? calloc(1, sizeof *s) : NULL;
		if (!s) {
			lp_tls_nomem(tls);
			tls->dead[dir] = true;
			return NULL;
		}
		lp_buf_init(&s->buf, SEEK_BYTES);
		hurt->seek[dir] = s;
	}
	s->offset = offset;
	s->mode = (uint8_t)mode;
	s->waits = s->doubt = false;
	begin_at(s, 0);
	return s;
}

void lp_tls_seek_begin(struct lp_tls *tls, enum lp_dir dir, uint64_t off, uint64_t n)
{
	struct lp_records *r = &tls->records[dir];
	struct lp_hurt *hurt = lp_tls_hurt(tls);
	struct lp_hole *w;

	if (!hurt) {
		lp_tls_account(tls, dir, LP_IN_LOST, lp_records_resync(r, off + n));
		tls->dead[dir] = true;
		return;
	}
	w = &hurt->way[dir];
	if (!hurt->seek[dir]) {
		uint64_t wanted = lp_records_wanted(r);

		w->end = lp_records_offset(r);
		w->first = wanted ? lp_records_held(r) + wanted : 0;
	}
	w->hole = off;
	w->hole_n = n;
	lp_tls_account(tls, dir, LP_IN_LOST, lp_records_resync(r, off + n));
	if (!is_opening(tls, dir)) /* else nothing may be lost but the Finished */
		say_gap(tls, dir);
	(void)seek_new(tls, dir, off + n, LP_SEEK_SEALED);
}

void lp_tls_seek_clear_text(struct lp_tls *tls, enum lp_dir dir, uint64_t offset)
{
	(void)seek_new(tls, dir, offset, LP_SEEK_CLEAR);
}

void lp_tls_seek_sealed(struct lp_tls *tls, enum lp_dir dir, const struct lp_record *r)
{
	struct lp_seek *s = seek_new(tls, dir, r->offset, LP_SEEK_SEALED);

	if (!s)
		return;
	tls->hurt->way[dir].end = tls->hurt->way[dir].hole;
	tls->hurt->way[dir].first = 0;
	if (lp_buf_append(&s->buf, r->header.p, r->header.n) ||
	    lp_buf_append(&s->buf, r->fragment.p, r->fragment.n))
		lp_tls_nomem(tls);
	s->waits = s->ccs_lost = true;
}

void lp_tls_seek_doubt(struct lp_tls *tls, enum lp_dir dir, const struct lp_doubt *d,
		       const char *why)
{
	struct lp_seek *s = seek_new(tls, dir, d->offset, LP_SEEK_SEALED);

	for (int i = 0; i < 2; i++) {
		lp_span b = d->gathered[i];

		if (b.n && (!s || lp_buf_append(&s->buf, b.p, b.n))) {
			lp_tls_nomem(tls);
			lp_tls_account(tls, dir, LP_IN_LOST, b.n);
		}
	}
	if (!s)
		return;
	s->waits = s->doubt = true;
	tls->hurt->way[dir] = (struct lp_hole){ .end = d->offset, .hole = d->offset, .why = why };
}

/* ---- one candidate ---- */

/* How far the keystream went in a hole with so many records, of which nothing but their
 * headers is in clear. Where the ChangeCipherSpec is lost, what stands before it may be,
 * too; but the first of them is the Finished. False: they cannot have been so many. */
static bool stream_lost(const struct lp_seek *s, const struct lp_protect *p, uint64_t hole,
			uint64_t lost, uint64_t *out)
{
	enum { CCS_RECORD = LP_RECORD_HEADER + 1, FINISHED = 16, FINISHED_SSL3 = 40 };
	uint64_t clear = lost * LP_RECORD_HEADER + (s->ccs_lost ? CCS_RECORD : 0);

	if (s->ccs_lost && lost < 2) {
		*out = lost * (lp_protect_fragment_min(p) +
			       (lp_protect_version(p) == 0x0300 ? FINISHED_SSL3 : FINISHED));
		return true;
	}
	*out = hole - clear;
	return hole >= clear;
}

/* A stream cipher stands where the last record before the hole ended: it has to be
 * moved by all of what was lost but the records' headers. False: the records cannot have
 * been so many. */
static bool move_stream(const struct lp_seek *s, struct lp_protect *p, uint64_t hole,
			uint64_t lost)
{
	uint64_t moved;

	if (!stream_lost(s, p, hole, lost, &moved))
		return false;
	lp_protect_stand(p, lp_protect_stands(p) + moved);
	return true;
}

static void spend(struct lp_tls *tls, struct lp_seek *s, uint64_t n)
{
	s->spent += n;
	s->look->spent += n;
	tls->hurt->seek_spent += n;
}

/* Nothing is missing before the record there, so the IV is the one that p has. */
static bool has_iv(const struct lp_tls *tls, enum lp_dir dir, size_t at)
{
	return tls->hurt->seek[dir]->doubt && !at && !tls->iv_unsure[dir];
}

/* Opens a record that stands at `at` with so many lost before it. False: p is as before. */
static bool opens(struct lp_tls *tls, enum lp_dir dir, const struct lp_record *rec, size_t at,
		  uint64_t lost)
{
	struct lp_seek *s = tls->hurt->seek[dir];
	struct lp_protect *p = lp_tls_protect(tls, dir);
	const struct lp_sealed sealed = { rec->type, rec->version, rec->fragment };
	const size_t block = cipher_of(p)->block;
	uint64_t hole = s->offset + at - tls->hurt->way[dir].end, stood = lp_protect_stands(p);
	uint8_t *room = tls->env->cb->room(tls->owner, rec->fragment.n + 1);
	bool chain = lp_tls_chained(p) && at >= block;
	uint8_t iv[LP_SEEK_BLOCK];
	const char *why;

	if (!room) {
		lp_tls_nomem(tls);
		return false;
	}
	spend(tls, s, rec->fragment.n);
	if (chain) {
		/* Up to TLS 1.0 the IV is what stands before the header; if that is not what
		 * was sent, the MAC says so. */
		memcpy(iv, lp_protect_iv(p), block);
		lp_protect_chain(p, lp_span_of(s->look->bytes.p + at - block, block));
	} else if (lp_tls_chained(p) && !p->etm && !has_iv(tls, dir, at)) {
		return false;
	}
	if (cipher_of(p)->kind == LP_KIND_STREAM && !move_stream(s, p, hole, lost))
		return false;
	if (lp_protect_open(p, p->epoch, p->seq + lost, &sealed, room, rec->fragment.n,
			    &s->content_n, &why)) {
		lp_protect_stand(p, stood);
		s->content = NULL;
		if (chain)
			lp_protect_chain(p, lp_span_of(iv, block));
	} else {
		s->content = room;
	}
	/* What a hole's keystream costs the first time, its bytes would have cost, too. */
	spend(tls, s, lp_protect_made_again(p));
	return s->content;
}

static bool try_at(struct lp_tls *tls, enum lp_dir dir, const struct lp_record *rec, size_t at,
		   uint64_t lost)
{
	struct lp_seek *s = tls->hurt->seek[dir];
	struct lp_protect *p = lp_tls_protect(tls, dir);

	if (!opens(tls, dir, rec, at, lost))
		return false;
	lp_tls_opened(tls, dir, p, rec->fragment);
	s->found = true;
	s->at = at;
	s->type = rec->type;
	s->wire = LP_RECORD_HEADER + rec->fragment.n;
	s->lost = lost;
	s->spoilt = 0;
	s->skip = 0;
	if (!lp_tls_chained(p) || !p->etm || has_iv(tls, dir, at))
		return true;
	tls->iv_unsure[dir] = false;
	/* With encrypt-then-MAC nothing vouches for that IV: the record is authentic, but
	 * its first block is not. Its last block is the next record's IV. */
	s->skip = cipher_of(p)->block;
	s->spoilt = LP_RECORD_HEADER + s->skip;
	if (s->type != LP_CONTENT_DATA || s->content_n <= s->skip) {
		s->skip = s->content_n;
		s->spoilt = s->wire;
	}
	return true;
}

static bool affordable(const struct lp_tls *tls, const struct lp_seek *s)
{
	return s->spent < SEEK_HOLE_COST && tls->hurt->seek_spent < SEEK_FLOW_COST;
}

/* What the explicit nonce says, where it is a counter. False: nothing. */
static bool count_by_nonce(struct lp_tls *tls, enum lp_dir dir, const struct lp_record *rec,
			   uint64_t *lost)
{
	const struct lp_protect *p = lp_tls_protect(tls, dir);
	const struct lp_way *w = &tls->way[dir];
	bool known = w->records && w->nonce_epoch == p->epoch;

	if (!has_nonce(p) || rec->fragment.n < EXPLICIT_NONCE)
		return false;
	*lost = be64(rec->fragment.p) - (known ? w->nonce : 0) - p->seq;
	return true;
}

/* If the record that the hole begins in is where it ends, that is one; else what follows
 * that one was as long as what stands behind the hole. */
static uint64_t count_by_length(const struct lp_hole *w, uint64_t hole, const struct lp_record *rec)
{
	uint64_t whole = LP_RECORD_HEADER + rec->fragment.n;
	uint64_t rest = w->first && w->first <= hole ? hole - w->first : hole;

	return (rest < hole) + (rest + whole / 2) / whole;
}

/* Number nth outwards from a guess: it, 1 more, 1 less, 2 more … False: not in range. */
static bool outwards(uint64_t guess, uint64_t nth, uint64_t most, uint64_t *out)
{
	uint64_t d = (nth + 1) / 2;

	if (nth & 1 ? guess + d > most : d > guess || guess - d > most)
		return false;
	*out = nth & 1 ? guess + d : guess - d;
	return true;
}

/* The next number of lost records to try at a position, in order of likelihood: what
 * the nonce says, a few around what the lengths beside the hole say, then outwards from
 * what the mean length says. False: there are no more. */
static bool next_count(struct lp_tls *tls, enum lp_dir dir, const struct lp_record *rec,
		       uint64_t *lost)
{
	struct lp_seek *s = tls->hurt->seek[dir];
	const struct lp_way *w = &tls->way[dir];
	const struct lp_hole *h = &tls->hurt->way[dir];
	uint64_t hole = s->offset + s->at - h->end;
	uint64_t most = hole / (LP_RECORD_HEADER + lp_protect_fragment_min(lp_tls_protect(tls, dir))) + 1;
	uint64_t mean = w->records ? w->bytes / w->records : 1024;
	uint64_t guess = (hole + mean / 2) / (mean ? mean : 1);

	for (;;) {
		uint64_t step = s->look->step++;

		if (!step) {
			if (count_by_nonce(tls, dir, rec, lost) && *lost <= most)
				return true;
		} else if (step <= SEEK_BESIDE) {
			if (outwards(count_by_length(h, hole, rec), step - 1, most, lost))
				return true;
		} else if ((step - SEEK_BESIDE) / 2 > most) {
			return false;
		} else if (outwards(guess < most ? guess : most, step - SEEK_BESIDE - 1, most, lost)) {
			return true;
		}
	}
}

/* ---- the search ---- */

enum look { LOOK_NO, LOOK_MORE, LOOK_YES };

/* Whether a record of this kind and length may be the session's. */
static bool fits(struct lp_tls *tls, enum lp_dir dir, enum lp_seek_mode mode, uint8_t type,
		 uint16_t version, size_t n)
{
	const struct lp_protect *p = lp_tls_protect(tls, dir);
	size_t min, max;

	if (mode == LP_SEEK_CLEAR)
		return version == lp_tls_version(tls) && n && (type != LP_CONTENT_CCS || n == 1);
	if (type == LP_CONTENT_CCS || version != lp_protect_version(p) || n < lp_protect_fragment_min(p))
		return false;
	lp_protect_content_range(p, n, &min, &max);
	return max || type == LP_CONTENT_DATA;
}

/* Does a record of this session begin here? */
static enum look look(struct lp_tls *tls, enum lp_dir dir, lp_span b, size_t at,
		      struct lp_record *rec)
{
	struct lp_cursor c = lp_cursor_of(b.p + at, b.n - at);

	rec->header = lp_cursor_bytes(&c, LP_RECORD_HEADER);
	if (lp_cursor_ok(&c))
		return lp_record_plausible(b.p + at, b.n - at) ? LOOK_MORE : LOOK_NO;
	if (!lp_record_plausible(rec->header.p, rec->header.n))
		return LOOK_NO;
	c = lp_cursor_of(b.p + at, b.n - at);
	rec->offset = tls->hurt->seek[dir]->offset + at;
	rec->type = lp_cursor_u8(&c);
	rec->version = lp_cursor_u16(&c);
	rec->fragment = lp_cursor_vec16(&c);
	if (!fits(tls, dir, (enum lp_seek_mode)tls->hurt->seek[dir]->mode, rec->type, rec->version,
		  (size_t)(rec->header.p[3] << 8 | rec->header.p[4])))
		return LOOK_NO;
	if (lp_cursor_ok(&c))
		return LOOK_MORE;
	return lp_record_plausible(c.p, c.n < LP_RECORD_HEADER ? c.n : LP_RECORD_HEADER)
		       ? LOOK_YES
		       : LOOK_NO;
}

/* The shortest of the record at s->at and those behind it: its place among them, or
 * -1 while there are too few. */
static int shortest(struct lp_tls *tls, enum lp_dir dir, bool final, struct lp_record *rec,
		    size_t *at)
{
	lp_span b = tls->hurt->seek[dir]->look->bytes;
	size_t pos = tls->hurt->seek[dir]->at;
	struct lp_record r;
	int best = 0;

	*at = pos;
	for (int i = 0; i < LP_SEEK_CHAIN; i++) {
		enum look l = look(tls, dir, b, pos, &r);

		if (l == LOOK_MORE && !final)
			return -1;
		if (l != LOOK_YES)
			break;
		if (!i || r.fragment.n < rec->fragment.n) {
			best = i;
			*rec = r;
			*at = pos;
		}
		pos += LP_RECORD_HEADER + r.fragment.n;
	}
	return best;
}

/* One that stands further on has opened: then the one at s->at should, too. */
static void confirm(struct lp_tls *tls, enum lp_dir dir, const struct lp_record *first,
		    const struct lp_record *rec, size_t at, uint64_t lost, int nth)
{
	struct lp_protect *p = lp_tls_protect(tls, dir);
	uint64_t seq = p->seq, stood = lp_protect_stands(p);

	if (!opens(tls, dir, rec, at, lost + (unsigned)nth))
		return;
	p->seq = seq;
	lp_protect_stand(p, stood);
	if (!try_at(tls, dir, first, tls->hurt->seek[dir]->at, lost))
		(void)try_at(tls, dir, rec, at, lost + (unsigned)nth);
}

/* LOOK_MORE: the records behind must come first. */
static enum look try_record(struct lp_tls *tls, enum lp_dir dir, const struct lp_record *first,
			    bool final)
{
	struct lp_seek *s = tls->hurt->seek[dir];
	struct lp_record rec;
	uint64_t lost;
	size_t at;
	int nth;

	while (s->look->spent < SEEK_NEAR_COST && affordable(tls, s)) {
		if (!next_count(tls, dir, first, &lost))
			return LOOK_NO;
		if (try_at(tls, dir, first, s->at, lost))
			return LOOK_YES;
	}
	nth = shortest(tls, dir, final, &rec, &at);
	if (nth < 0)
		return LOOK_MORE;
	while (affordable(tls, s) && next_count(tls, dir, first, &lost)) {
		if (nth)
			confirm(tls, dir, first, &rec, at, lost, nth);
		else
			(void)try_at(tls, dir, first, s->at, lost);
		if (s->found)
			return LOOK_YES;
	}
	return LOOK_NO;
}

/* Looks at the bytes at s->at as they stand in one view. */
static enum look look_at(struct lp_tls *tls, enum lp_dir dir, struct lp_view *v, bool final)
{
	struct lp_seek *s = tls->hurt->seek[dir];
	struct lp_record rec = { 0 };
	enum look l;

	s->look = v;
	l = look(tls, dir, v->bytes, s->at, &rec);
	if (l != LOOK_YES)
		return l == LOOK_MORE && final ? LOOK_NO : l;
	if (s->mode == LP_SEEK_CLEAR) {
		s->found = true;
		return LOOK_YES;
	}
	l = try_record(tls, dir, &rec, final);
	s->tried |= l == LOOK_NO;
	return l;
}

static void search(struct lp_tls *tls, enum lp_dir dir, bool final)
{
	struct lp_seek *s = tls->hurt->seek[dir];
	lp_span b = lp_buf_span(&s->buf);
	uint8_t *other = NULL;

	if (s->mode == LP_SEEK_SEALED)
		other = lp_tls_other_copy(tls, dir, b, s->offset);
	s->view[0].bytes = b;
	s->view[1].bytes = lp_span_of(other, b.n);
	while (s->at < b.n && affordable(tls, s)) {
		enum look l = look_at(tls, dir, &s->view[0], final), l2 = LOOK_NO;

		if (l != LOOK_YES && other)
			l2 = look_at(tls, dir, &s->view[1], final);
		if (l != LOOK_NO || l2 != LOOK_NO)
			break;
		begin_at(s, s->at + 1);
	}
	free(other);
}

/* The hole and the bytes it spoilt, in the words of lp_gap_info. */
void lp_tls_seek_tell(struct lp_tls *tls, enum lp_dir dir, const struct lp_seek *s)
{
	const struct lp_protect *p = lp_tls_protect(tls, dir);
	const struct lp_hole *w = &tls->hurt->way[dir];
	uint64_t lost = s->lost + (s->spoilt == s->wire);
	uint64_t stream = s->offset + s->at + s->spoilt - w->end; /* 0: there was but a doubt */
	bool opening = is_opening(tls, dir);
	size_t n = 1024, min, max;
	uint64_t least, slack;
	struct lp_gap_info gap = {
		.size = sizeof gap,
		.stream_bytes = stream,
		.records = lost,
	};

	lp_tls_account(tls, dir, LP_IN_LOST, s->at + s->spoilt);
	/* The first record of an epoch is its Finished, and if there is no more to it,
	 * nothing is lost that anybody would miss. */
	if (!stream || (opening && lost <= 1 && !s->skip))
		return;
	say_gap(tls, dir);
	/* What a record costs beside its content, at least. */
	lp_protect_content_range(p, n, &min, &max);
	least = lost * (LP_RECORD_HEADER + n - max);
	if (s->spoilt && s->spoilt < s->wire)
		least += LP_RECORD_HEADER;
	gap.clear_max = stream > least ? stream - least : 0;
	slack = cipher_of(p)->kind == LP_KIND_CBC ? lost * (cipher_of(p)->block - 1U) : 0;
	/* Behind a lost heartbeat nobody's bytes are missing. */
	if (gap.clear_max > slack && !opening && !tls->shake->unsure[dir] &&
	    !lp_tls_heartbeat(tls))
		gap.clear_min = gap.clear_max - slack;
	tls->env->cb->gap(tls->owner, dir, &gap, tls->when);
}

/* Positions that have been ruled out need not be kept; the block before the next may
 * still be its IV. */
static void forget(struct lp_tls *tls, enum lp_dir dir)
{
	struct lp_seek *s = tls->hurt->seek[dir];
	size_t drop = s->at > LP_SEEK_BLOCK ? s->at - LP_SEEK_BLOCK : 0;

	/* What is in doubt is kept for the copy that may come, as long as there is room. */
	if (s->doubt && lp_buf_len(&s->buf) < SEEK_BYTES / 2)
		return;
	lp_tls_account(tls, dir, LP_IN_LOST, drop);
	lp_buf_consume(&s->buf, drop);
	s->offset += drop;
	s->at -= drop;
	s->doubt &= !drop;
}

bool lp_tls_seek_parked(const struct lp_tls *tls, enum lp_dir dir)
{
	enum lp_dir other = dir == LP_C2S ? LP_S2C : LP_C2S;

	if (!tls->hurt->seek[dir] || tls->hurt->seek[dir]->mode == LP_SEEK_CLEAR || !tls->shake->hs ||
	    !tls->shake->hs->sealed[dir])
		return false;
	if (!lp_tls_next_ready(tls, dir))
		return true;
	/* A record that is whole is the better proof of the keys, and it will come; unless it
	 * waits for this one, of which nothing is missing. */
	return !tls->shake->next_proven && tls->shake->hs->sealed[other] && !tls->hurt->seek[other] &&
	       !tls->dead[other] && !tls->hurt->seek[dir]->doubt;
}

void lp_tls_seek_go(struct lp_tls *tls, enum lp_dir dir, bool final)
{
	struct lp_seek *s = tls->hurt->seek[dir];

	s->waits = false;
	if (lp_tls_doubt_news(tls, dir))
		begin_at(s, 0);
	s->looked = tls->when->number;
	search(tls, dir, final);
	if (s->found)
		return;
	if (s->doubt && !s->at && !final)
		return; /* of what must stand here one copy is not whole yet */
	if (s->tried && s->mode == LP_SEEK_SEALED && !tls->proven) {
		/* Wrong keys, perhaps: the others begin at the beginning. */
		begin_at(s, 0);
		s->spent = 0;
		s->tried = false;
		s->waits = true;
		lp_tls_disproved(tls);
		return;
	}
	if (affordable(tls, s))
		forget(tls, dir);
	else
		give_up(tls, dir, "too many sequence numbers would have to be tried");
}

bool lp_tls_seek_may_end(const struct lp_tls *tls, enum lp_dir dir)
{
	return tls->hurt->seek[dir] &&
	       (lp_buf_len(&tls->hurt->seek[dir]->buf) > tls->hurt->seek[dir]->at ||
		lp_tls_doubt_news(tls, dir)) &&
	       (tls->hurt->seek[dir]->mode == LP_SEEK_CLEAR ||
		(tls->shake->hs && tls->shake->hs->sealed[dir] ? lp_tls_next_ready(tls, dir)
						 : lp_protect_ready(&tls->now[dir])));
}

size_t lp_tls_seek_feed(struct lp_tls *tls, enum lp_dir dir, const uint8_t *p, size_t n)
{
	struct lp_seek *s = tls->hurt->seek[dir];
	size_t room = s->buf.max - lp_buf_len(&s->buf);
	size_t take = n < room ? n : room;

	assert(take);
	if (lp_buf_append(&s->buf, p, take)) {
		lp_tls_nomem(tls);
		give_up(tls, dir, "out of memory");
		return 0;
	}
	lp_tls_seek_go(tls, dir, take == room);
	return take;
}

uint64_t lp_tls_seek_held(const struct lp_tls *tls, enum lp_dir dir)
{
	return tls->hurt->seek[dir] ? lp_buf_len(&tls->hurt->seek[dir]->buf) : 0;
}

void lp_tls_seek_end(struct lp_tls *tls, enum lp_dir dir)
{
	struct lp_seek *s = tls->hurt->seek[dir];
	struct lp_gap_info gap = { .size = sizeof gap };

	if (!s)
		return;
	lp_tls_account(tls, dir, LP_IN_LOST, lp_buf_len(&s->buf));
	seek_free(tls, dir);
	if (!tls->proven)
		return;
	say_gap(tls, dir);
	gap.stream_bytes = tls->hurt->stream_end[dir] - tls->hurt->way[dir].end;
	gap.clear_max = gap.stream_bytes;
	tls->env->cb->gap(tls->owner, dir, &gap, tls->when);
}
