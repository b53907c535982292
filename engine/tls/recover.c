/* Finding the way back after a hole in application data.
 *
 *   opened records │ rest of one │■■■ hole ■■■│ ??? │ record │ record …
 *                  └ end                             └ found
 *
 * What follows the hole is gathered until it holds a whole record that looks like
 * one (type, the session's version, a possible length, a next header that agrees),
 * and that record is tried with the sequence numbers that are possible: first the
 * one that the explicit nonce names (a counter in OpenSSL, NSS, GnuTLS and JSSE),
 * then outwards from what the length of the hole suggests. Only a record that
 * authenticates is believed. Everything is bounded; a hole that costs more stays. */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "tls/session_parts.h"

enum {
	LP_SEEK_BLOCK = 16,
	SEEK_BYTES = 4 * (LP_RECORD_HEADER + LP_RECORD_FRAGMENT_MAX),
	SEEK_HOLE_COST = 16 << 20, /* bytes of trial decryption for one hole */
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
	return p->version <= 0x0301 && cipher_of(p)->kind == LP_KIND_CBC;
}

void lp_tls_opened(struct lp_tls *tls, enum lp_dir dir, const struct lp_protect *p,
		   lp_span fragment)
{
	struct lp_way *w = &tls->way[dir];

	if (has_nonce(p) && fragment.n >= EXPLICIT_NONCE)
		w->nonce = be64(fragment.p);
	w->bytes += LP_RECORD_HEADER + fragment.n;
	w->records++;
	/* Recent records tell more than old ones. */
	if (w->records == 64) {
		w->bytes /= 2;
		w->records /= 2;
	}
}

void lp_tls_seek_clear(struct lp_tls *tls)
{
	for (int dir = 0; dir < 2; dir++) {
		if (tls->seek[dir])
			lp_buf_clear(&tls->seek[dir]->buf);
		free(tls->seek[dir]);
		tls->seek[dir] = NULL;
	}
}

static void give_up(struct lp_tls *tls, enum lp_dir dir, const char *why)
{
	struct lp_seek *s = tls->seek[dir];
	uint64_t held = lp_buf_len(&s->buf);

	lp_tls_account(tls, dir, LP_IN_LOST, held);
	tls->dead[dir] = true;
	tls->reason = LP_REASON_GAP_NOT_RECOVERED; /* worse than the gap itself */
	snprintf(tls->detail, sizeof tls->detail,
		 "after a hole at byte %llu the %s's records were not found again: %s",
		 (unsigned long long)tls->way[dir].end, dir == LP_C2S ? "client" : "server", why);
	lp_buf_clear(&s->buf);
	free(s);
	tls->seek[dir] = NULL;
}

void lp_tls_seek_begin(struct lp_tls *tls, enum lp_dir dir, uint64_t off, uint64_t n)
{
	struct lp_records *r = &tls->records[dir];
	struct lp_seek *s = tls->seek[dir];

	tls->way[dir].end = s ? tls->way[dir].end : lp_records_offset(r);
	lp_tls_account(tls, dir, LP_IN_LOST, lp_records_resync(r, off + n));
	if (tls->reason == LP_REASON_NONE) {
		tls->reason = LP_REASON_GAP;
		snprintf(tls->detail, sizeof tls->detail,
			 "%llu bytes from the %s at byte %llu were not captured",
			 (unsigned long long)n, dir == LP_C2S ? "client" : "server",
			 (unsigned long long)off);
	}
	if (s) {
		/* A second hole before the way back from the first was found. */
		lp_tls_account(tls, dir, LP_IN_LOST, lp_buf_len(&s->buf));
		lp_buf_clear(&s->buf);
	} else {
		s = calloc(1, sizeof *s);
		if (!s) {
			lp_tls_nomem(tls);
			tls->dead[dir] = true;
			return;
		}
		lp_buf_init(&s->buf, SEEK_BYTES);
		tls->seek[dir] = s;
	}
	s->offset = off + n;
	s->at = 0;
}

/* ---- one candidate ---- */

/* A stream cipher stands where the last record before the hole ended: it has to be
 * moved by all of what was lost but the records' headers. Moving it back costs as
 * much as all that was sent so far. False: the records cannot have been so many. */
static bool move_stream(struct lp_tls *tls, struct lp_seek *s, struct lp_protect *p, uint64_t hole,
			uint64_t lost)
{
	if (hole < lost * LP_RECORD_HEADER)
		return false;
	p->stream_at += hole - lost * LP_RECORD_HEADER;
	if (p->stream_ctx_at > p->stream_at || !p->stream) {
		s->spent += p->stream_at;
		tls->seek_spent += p->stream_at;
	}
	return true;
}

static bool try_at(struct lp_tls *tls, enum lp_dir dir, const struct lp_record *rec, size_t at,
		   uint64_t lost)
{
	struct lp_seek *s = tls->seek[dir];
	struct lp_protect *p = &tls->now[dir];
	const struct lp_sealed sealed = { rec->type, rec->version, rec->fragment };
	const bool streams = cipher_of(p)->kind == LP_KIND_STREAM;
	uint64_t before = p->seq, stood = p->stream_at;
	uint8_t *room = tls->env->cb->room(tls->owner, rec->fragment.n + 1);
	const char *why;

	if (!room) {
		lp_tls_nomem(tls);
		return false;
	}
	s->spent += rec->fragment.n;
	tls->seek_spent += rec->fragment.n;
	if (lp_tls_chained(p) && !p->etm) {
		/* TLS 1.0 takes the IV from the bytes before the header; if they are not
		 * those that were sent, the MAC says so. */
		size_t block = cipher_of(p)->block;

		if (at < block)
			return false;
		lp_protect_chain(p, lp_span_of(lp_buf_span(&s->buf).p + at - block, block));
	}
	if (streams && !move_stream(tls, s, p, s->offset + at - tls->way[dir].end, lost))
		return false;
	if (lp_protect_open(p, p->epoch, before + lost, &sealed, room, rec->fragment.n,
			    &s->content_n, &why)) {
		p->stream_at = stood;
		return false;
	}
	lp_tls_opened(tls, dir, p, rec->fragment);
	s->found = true;
	s->type = rec->type;
	s->content = room;
	s->wire = LP_RECORD_HEADER + rec->fragment.n;
	s->lost = lost;
	/* With encrypt-then-MAC nothing vouches for that IV: the record is authentic,
	 * its first block may come out wrong, and so it counts as one more that was
	 * lost. Its last block is the next record's IV. */
	s->unsure = lp_tls_chained(p) && p->etm;
	return true;
}

static bool affordable(const struct lp_tls *tls, const struct lp_seek *s)
{
	return s->spent < SEEK_HOLE_COST && tls->seek_spent < SEEK_FLOW_COST;
}

/* Tries the sequence numbers in order of likelihood. */
static bool try_record(struct lp_tls *tls, enum lp_dir dir, const struct lp_record *rec, size_t at)
{
	struct lp_seek *s = tls->seek[dir];
	const struct lp_protect *p = &tls->now[dir];
	const struct lp_way *w = &tls->way[dir];
	uint64_t hole = s->offset + at - w->end;
	uint64_t most = hole / (LP_RECORD_HEADER + 1) + 1;
	uint64_t mean = w->records ? w->bytes / w->records : 1024;
	uint64_t guess = (hole + mean / 2) / (mean ? mean : 1);

	if (has_nonce(p) && rec->fragment.n >= EXPLICIT_NONCE) {
		uint64_t step = be64(rec->fragment.p) - w->nonce;

		if (step >= 1 && step <= most + 1 && try_at(tls, dir, rec, at, step - 1))
			return true;
	}
	for (uint64_t d = 0; d <= most && affordable(tls, s); d++) {
		if (guess + d <= most && try_at(tls, dir, rec, at, guess + d))
			return true;
		if (d && d <= guess && try_at(tls, dir, rec, at, guess - d))
			return true;
	}
	return false;
}

/* ---- the search ---- */

enum look { LOOK_NO, LOOK_MORE, LOOK_YES };

/* Does a record of this session begin here? */
static enum look look(const struct lp_tls *tls, enum lp_dir dir, lp_span b, size_t at,
		      struct lp_record *rec)
{
	struct lp_cursor c = lp_cursor_of(b.p + at, b.n - at);
	size_t min, max;

	rec->header = lp_cursor_bytes(&c, LP_RECORD_HEADER);
	if (lp_cursor_ok(&c))
		return lp_record_plausible(b.p + at, b.n - at) ? LOOK_MORE : LOOK_NO;
	if (!lp_record_plausible(rec->header.p, rec->header.n))
		return LOOK_NO;
	c = lp_cursor_of(b.p + at, b.n - at);
	rec->type = lp_cursor_u8(&c);
	rec->version = lp_cursor_u16(&c);
	if (rec->type == LP_CONTENT_CCS || rec->version != tls->now[dir].version)
		return LOOK_NO;
	rec->fragment = lp_cursor_vec16(&c);
	min = (size_t)(rec->header.p[3] << 8 | rec->header.p[4]);
	if (!min)
		return LOOK_NO;
	lp_protect_content_range(&tls->now[dir], min, &min, &max);
	if (!max && rec->type == LP_CONTENT_ALERT)
		return LOOK_NO;
	if (lp_cursor_ok(&c))
		return LOOK_MORE;
	return lp_record_plausible(c.p, c.n < LP_RECORD_HEADER ? c.n : LP_RECORD_HEADER)
		       ? LOOK_YES
		       : LOOK_NO;
}

static void search(struct lp_tls *tls, enum lp_dir dir)
{
	struct lp_seek *s = tls->seek[dir];
	lp_span b = lp_buf_span(&s->buf);
	struct lp_record rec = { 0 };

	while (s->at < b.n && affordable(tls, s)) {
		enum look l = look(tls, dir, b, s->at, &rec);

		if (l == LOOK_MORE && b.n - s->at < LP_RECORD_HEADER + LP_RECORD_FRAGMENT_MAX)
			return;
		if (l == LOOK_YES && try_record(tls, dir, &rec, s->at))
			return;
		s->at++;
	}
}

/* The hole and the bytes it spoilt, in the words of lp_gap_info. */
void lp_tls_seek_tell(struct lp_tls *tls, enum lp_dir dir, const struct lp_seek *s)
{
	const struct lp_protect *p = &tls->now[dir];
	uint64_t spoilt = s->at + (s->unsure ? s->wire : 0);
	uint64_t lost = s->lost + s->unsure;
	uint64_t stream = s->offset + spoilt - tls->way[dir].end;
	size_t n = 1024, min, max;
	uint64_t least, slack;
	struct lp_gap_info gap = {
		.size = sizeof gap,
		.stream_bytes = stream,
		.records = lost,
	};

	/* What a record costs beside its content, at least. */
	lp_protect_content_range(p, n, &min, &max);
	least = lost * (LP_RECORD_HEADER + n - max);
	gap.clear_max = stream > least ? stream - least : 0;
	slack = cipher_of(p)->kind == LP_KIND_CBC ? lost * (cipher_of(p)->block - 1U) : 0;
	gap.clear_min = gap.clear_max > slack ? gap.clear_max - slack : 0;
	lp_tls_account(tls, dir, LP_IN_LOST, spoilt);
	tls->env->cb->gap(tls->owner, dir, &gap, &tls->when);
}

/* Positions that have been ruled out need not be kept; TLS 1.0 may still need the
 * block before the next. */
static void forget(struct lp_tls *tls, enum lp_dir dir)
{
	struct lp_seek *s = tls->seek[dir];
	size_t drop = s->at > SEEK_BYTES / 2 ? s->at - LP_SEEK_BLOCK : 0;

	lp_tls_account(tls, dir, LP_IN_LOST, drop);
	lp_buf_consume(&s->buf, drop);
	s->offset += drop;
	s->at -= drop;
}

size_t lp_tls_seek_feed(struct lp_tls *tls, enum lp_dir dir, const uint8_t *p, size_t n)
{
	struct lp_seek *s = tls->seek[dir];
	size_t room = s->buf.max - lp_buf_len(&s->buf);
	size_t take = n < room ? n : room;

	assert(take);
	if (lp_buf_append(&s->buf, p, take)) {
		lp_tls_nomem(tls);
		give_up(tls, dir, "out of memory");
		return 0;
	}
	search(tls, dir);
	if (s->found)
		return take;
	if (affordable(tls, s))
		forget(tls, dir);
	else
		give_up(tls, dir, "too many sequence numbers would have to be tried");
	return take;
}

uint64_t lp_tls_seek_held(const struct lp_tls *tls, enum lp_dir dir)
{
	return tls->seek[dir] ? lp_buf_len(&tls->seek[dir]->buf) : 0;
}

void lp_tls_seek_end(struct lp_tls *tls, enum lp_dir dir)
{
	struct lp_seek *s = tls->seek[dir];
	struct lp_gap_info gap = { .size = sizeof gap };

	if (!s)
		return;
	lp_tls_account(tls, dir, LP_IN_LOST, lp_buf_len(&s->buf));
	gap.stream_bytes = tls->stream_end[dir] - tls->way[dir].end;
	gap.clear_max = gap.stream_bytes;
	lp_buf_clear(&s->buf);
	free(s);
	tls->seek[dir] = NULL;
	tls->env->cb->gap(tls->owner, dir, &gap, &tls->when);
}

/* ---- holes in the handshake ---- */

/* How much of the message that a spoilt record begins or goes on with stands in the
 * records behind it: as far as its length was captured. */
static uint64_t message_left(const struct lp_tls *tls, enum lp_dir dir)
{
	const struct lp_messages *m = &tls->messages[dir];
	struct lp_cursor c = lp_cursor_span(lp_buf_span(&tls->records[dir].held));
	uint8_t type = lp_cursor_u8(&c);
	uint64_t whole, next = 0;

	lp_cursor_skip(&c, 2); /* version */
	whole = lp_cursor_u16(&c);
	if (lp_cursor_ok(&c) || type != LP_CONTENT_HANDSHAKE)
		return 0;
	if (lp_messages_partial(m)) {
		if (!lp_messages_size(m))
			return 0;
		next = lp_messages_size(m) - lp_buf_len(&m->held);
		lp_cursor_skip(&c, (size_t)next);
	}
	while (lp_cursor_left(&c) >= LP_MESSAGE_HEADER) {
		uint32_t n;

		lp_cursor_skip(&c, 1);
		n = lp_cursor_u24(&c);
		next += LP_MESSAGE_HEADER + (uint64_t)n;
		lp_cursor_skip(&c, n);
	}
	return next > whole ? next - whole : 0;
}

/* The record that the hole lies in is spoilt; the next header stands where its
 * length says, if the hole does not reach that far. */
static bool within_record(struct lp_tls *tls, enum lp_dir dir, uint64_t off, uint64_t n)
{
	struct lp_records *r = &tls->records[dir];
	uint64_t wanted = lp_records_wanted(r);

	if (!wanted && !lp_records_held(r)) {
		/* At a record's boundary: what was lost may have been whole records. */
		(void)lp_records_resync(r, off + n);
		return true;
	}
	if (n > wanted)
		return false;
	tls->skip_message[dir] = message_left(tls, dir);
	lp_tls_account(tls, dir, LP_IN_LOST, lp_records_resync(r, off + wanted));
	tls->skip[dir] = wanted - n;
	return true;
}

/* What the verdict will say of the hole, if it closes the session. */
static void describe_hole(struct lp_tls *tls, enum lp_dir dir, uint64_t off, uint64_t n)
{
	const uint8_t last = tls->hs ? tls->hs->last[dir] : 0;
	const bool cut = lp_tls_cut(tls, dir);

	tls->hole = true;
	tls->hole_reason = cut ? LP_REASON_SNAPLEN : LP_REASON_HANDSHAKE_LOST;
	snprintf(tls->hole_detail, sizeof tls->hole_detail,
		 "%llu bytes of the handshake from the %s, at byte %llu%s%s, were %s",
		 (unsigned long long)n, lp_tls_who(dir), (unsigned long long)off,
		 last ? " behind its " : "", last ? lp_message_name(last) : "",
		 cut ? "cut off by the snap length of the capture" : "not captured");
	if (!lp_tls_absent(tls, dir))
		return;
	tls->hole_reason = LP_REASON_ONE_DIRECTION;
	snprintf(tls->hole_detail, sizeof tls->hole_detail, "no packet from the %s was captured",
		 lp_tls_who(dir));
}

void lp_tls_hole(struct lp_tls *tls, enum lp_dir dir, uint64_t off, uint64_t n)
{
	const struct lp_facts *f = lp_tls_facts(tls);
	bool hellos = f->client_version && f->version;

	describe_hole(tls, dir, off, n);
	/* Under EMS only a logged master secret still opens it: keys.c asks for that. */
	if (!hellos || !tls->hs || !within_record(tls, dir, off, n)) {
		lp_tls_fail_hole(tls);
		return;
	}
	lp_messages_clear(&tls->messages[dir]);
	lp_handshake_gap(tls->hs, dir);
}

size_t lp_tls_skip(struct lp_tls *tls, enum lp_dir dir, size_t n)
{
	size_t took = tls->skip[dir] < n ? (size_t)tls->skip[dir] : n;

	tls->skip[dir] -= took;
	lp_tls_account(tls, dir, LP_IN_LOST, took);
	return took;
}
