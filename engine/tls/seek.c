/* The search for the next record behind a hole in a direction: it begins, is fed, and tells.
 *
 *   opened records │ rest of one │■■■ hole ■■■│ ??? │ record │ record …
 *                  └ end                             └ found
 *
 * What follows the hole is gathered until it holds a whole record that looks like one of
 * the session, position by position; under keys it must also open (recover.c). What is
 * decided does not depend on how the bytes were cut into segments. Where two copies of
 * these bytes differ (other.c), each position is looked at twice: as reassembly chose, and
 * with the other copies. Where the hole may have taken a later handshake's
 * ChangeCipherSpec, it is looked at under the keys to come, too, as soon as they are there.
 * Everything is bounded; a hole that costs more stays. */
#include <assert.h>
#include <stdlib.h>

#include "tls/session_parts.h"

enum { SEEK_BYTES = (LP_SEEK_CHAIN + 1) * (LP_RECORD_HEADER + LP_RECORD_FRAGMENT_MAX) };

static const struct lp_cipher_info *cipher_of(const struct lp_protect *p)
{
	return lp_cipher_info((enum lp_cipher)p->suite->cipher);
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
	if (tls->shake->unsure[dir] && tls->shake->hs)
		lp_handshake_gap(tls->shake->hs, dir); /* the other may go on */
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

/* The next position to look at, in all views. */
static void begin_at(struct lp_seek *s, size_t at)
{
	s->at = at;
	for (int i = 0; i < LP_VIEWS; i++)
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
	for (int i = 0; i < LP_VIEWS; i++)
		s->view[i].tried = false;
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

static void search(struct lp_tls *tls, enum lp_dir dir, bool final)
{
	struct lp_seek *s = tls->hurt->seek[dir];
	lp_span b = lp_buf_span(&s->buf);
	uint8_t *other = NULL;

	if (s->mode == LP_SEEK_SEALED)
		other = lp_tls_other_copy(tls, dir, b, s->offset);
	s->view[LP_VIEW_CHOSEN].bytes = b;
	s->view[LP_VIEW_OTHER].bytes = lp_span_of(other, b.n);
	if (lp_tls_seek_ahead(tls, dir) && lp_tls_next_ready(tls, dir))
		s->view[LP_VIEW_AHEAD].bytes = b;
	else
		s->view[LP_VIEW_AHEAD].bytes.p = NULL;
	while (s->at < b.n && lp_tls_seek_affordable(tls, s)) {
		bool more = false;

		for (int i = 0; i < LP_VIEWS && !s->found; i++)
			if (s->view[i].bytes.p)
				more |= lp_tls_seek_look(tls, dir, &s->view[i], final) != LP_LOOK_NO;
		if (more)
			break;
		begin_at(s, s->at + 1);
	}
	free(other);
}

/* Of a record with so much in it, at least. */
static uint64_t record_size(const struct lp_protect *p, size_t content)
{
	size_t n = lp_protect_fragment_min(p), min, max;

	for (;; n += cipher_of(p)->kind == LP_KIND_CBC ? cipher_of(p)->block : 1U) {
		lp_protect_content_range(p, n, &min, &max);
		if (max >= content)
			return LP_RECORD_HEADER + n;
	}
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
	if (!stream || (opening && lost <= 1 && !s->skip && !s->ahead))
		return;
	say_gap(tls, dir);
	/* What a record costs beside its content, at least. */
	lp_protect_content_range(p, n, &min, &max);
	least = lost * (LP_RECORD_HEADER + n - max);
	if (s->spoilt && s->spoilt < s->wire)
		least += LP_RECORD_HEADER;
	if (s->ahead)
		least += record_size(&tls->now[dir], 1) +
			 (lost ? record_size(p, LP_MESSAGE_HEADER + LP_VERIFY_DATA_SIZE) -
				 record_size(p, 0) : 0);
	gap.clear_max = stream > least ? stream - least : 0;
	if (s->ahead && !gap.clear_max)
		return;
	slack = cipher_of(p)->kind == LP_KIND_CBC ? lost * (cipher_of(p)->block - 1U) : 0;
	/* Behind a lost heartbeat nobody's bytes are missing. */
	if (gap.clear_max > slack && !opening && !tls->shake->unsure[dir] &&
	    !lp_tls_heartbeat(tls))
		gap.clear_min = gap.clear_max - slack;
	tls->home->env->cb->gap(tls->home->owner, dir, &gap, &tls->home->when);
}

/* Positions that have been ruled out need not be kept; the block before the next may
 * still be its IV. */
static void forget(struct lp_tls *tls, enum lp_dir dir)
{
	struct lp_seek *s = tls->hurt->seek[dir];
	size_t drop = s->at > LP_SEEK_BEFORE ? s->at - LP_SEEK_BEFORE : 0;

	/* What is in doubt is kept for the copy that may come, as long as there is room. */
	if (s->doubt && lp_buf_len(&s->buf) < SEEK_BYTES / 2)
		return;
	lp_tls_account(tls, dir, LP_IN_LOST, drop);
	lp_buf_consume(&s->buf, drop);
	s->offset += drop;
	s->at -= drop;
	s->doubt &= !drop;
}

bool lp_tls_seek_at_header(const struct lp_seek *s)
{
	lp_span b = lp_buf_span(&s->buf);
	size_t at = 0;

	while (at + LP_RECORD_HEADER <= b.n && lp_record_plausible(b.p + at, LP_RECORD_HEADER))
		at += LP_RECORD_HEADER + (size_t)(b.p[at + 3] << 8 | b.p[at + 4]);
	return at == b.n;
}

bool lp_tls_seek_parked(const struct lp_tls *tls, enum lp_dir dir)
{
	enum lp_dir other = dir == LP_C2S ? LP_S2C : LP_C2S;
	bool ahead = lp_tls_seek_ahead(tls, dir);

	if (!tls->hurt->seek[dir] || tls->hurt->seek[dir]->mode == LP_SEEK_CLEAR || !tls->shake->hs ||
	    (!tls->shake->hs->sealed[dir] && !ahead) || (ahead && tls->shake->no_keys))
		return false;
	if (!lp_tls_next_ready(tls, dir))
		return true;
	/* A record that is whole is the better proof of the keys, and it will come; unless it
	 * waits for this one, of which nothing is missing. */
	return !tls->shake->next_proven && tls->shake->hs->sealed[other] && !tls->hurt->seek[other] &&
	       !tls->dead[other] && !tls->hurt->seek[dir]->doubt;
}

bool lp_tls_seek_ahead(const struct lp_tls *tls, enum lp_dir dir)
{
	const struct lp_handshake *hs = tls->shake->hs;
	const struct lp_seek *s = tls->hurt->seek[dir];

	return s && s->mode == LP_SEEK_SEALED && s->view[LP_VIEW_CHOSEN].tried && hs &&
	       tls->shake->unsure[dir] && hs->torn[dir] && !hs->facts.compression &&
	       lp_handshake_may_seal(hs, dir);
}

/* Nothing behind the hole opens under the keys that the direction has. If it may have had its
 * ChangeCipherSpec there, the other goes on as if that were so. */
static void look_ahead(struct lp_tls *tls, enum lp_dir dir)
{
	struct lp_handshake *hs = tls->shake->hs;
	struct lp_seek *s = tls->hurt->seek[dir];

	if (tls->shake->unsure[dir] && hs && s->view[LP_VIEW_CHOSEN].tried &&
	    lp_handshake_may_seal(hs, dir))
		lp_handshake_gap(hs, dir);
	s->waits = lp_tls_seek_ahead(tls, dir) && lp_tls_seek_parked(tls, dir);
}

bool lp_tls_seek_presume(struct lp_tls *tls)
{
	bool any = false;

	for (int dir = 0; dir < 2; dir++) {
		struct lp_seek *s = tls->hurt->seek[dir];

		if (!s || s->view[LP_VIEW_CHOSEN].tried || !tls->shake->unsure[dir] ||
		    !lp_handshake_may_seal(tls->shake->hs, (enum lp_dir)dir))
			continue;
		s->view[LP_VIEW_CHOSEN].tried = any = true;
		look_ahead(tls, (enum lp_dir)dir);
	}
	if (any)
		lp_tls_ask_ahead(tls);
	return any;
}

/* The view of keys that were tried, which nothing has proven, and did not do; or NULL. */
static struct lp_view *in_vain(const struct lp_tls *tls, enum lp_dir dir)
{
	struct lp_seek *s = tls->hurt->seek[dir];
	bool sealed = tls->shake->hs && tls->shake->hs->sealed[dir];
	struct lp_view *v = &s->view[sealed ? LP_VIEW_CHOSEN : LP_VIEW_AHEAD];

	return s->mode == LP_SEEK_SEALED && v->tried && !tls->shake->next_proven ? v : NULL;
}

void lp_tls_seek_go(struct lp_tls *tls, enum lp_dir dir, bool final)
{
	struct lp_seek *s = tls->hurt->seek[dir];
	struct lp_view *vain;

	if (s->waits || lp_tls_doubt_news(tls, dir))
		begin_at(s, 0);
	s->waits = false;
	s->looked = tls->home->when.number;
	search(tls, dir, final);
	if (s->found)
		return;
	if (s->doubt && !s->at && !final)
		return; /* of what must stand here one copy is not whole yet */
	vain = in_vain(tls, dir);
	if (vain) {
		/* Wrong keys, perhaps: the others begin at the beginning. */
		vain->tried = false;
		s->spent = 0;
		s->waits = true;
		lp_tls_disproved(tls);
		return;
	}
	look_ahead(tls, dir);
	if (s->waits) {
		lp_tls_ask_ahead(tls);
		return;
	}
	if (lp_tls_seek_affordable(tls, s))
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
	tls->home->env->cb->gap(tls->home->owner, dir, &gap, &tls->home->when);
}
