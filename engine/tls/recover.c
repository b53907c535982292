/* Whether a record that stands behind a hole is the session's, and which number it has.
 *
 * seek.c names the position. What looks like a record there (type, the session's version,
 * a possible length) is tried with the sequence numbers that
 * are possible: first the one that the explicit nonce names (a counter in OpenSSL, NSS,
 * GnuTLS and JSSE), then outwards from what the length of the hole suggests. If the
 * likely ones are wrong, the shortest of this record and the next three is tried in its
 * place: it costs least. Only what authenticates is believed, and what it costs is
 * bounded. */
#include <string.h>

#include "tls/session_parts.h"

enum {
	SEEK_BESIDE = 9,           /* trials around what the lengths beside a hole say */
	SEEK_NEAR_COST = 256 << 10,/* bytes of trial decryption before the others are waited for */
	SEEK_HOLE_COST = 16 << 20, /* … for one hole */
	SEEK_FLOW_COST = 64 << 20, /* … for all of a session */
	EXPLICIT_NONCE = 8,
};

static uint64_t be64(const uint8_t *p)
{
	struct lp_cursor c = lp_cursor_of(p, 8);
	uint64_t high = lp_cursor_u32(&c);

	return high << 32 | lp_cursor_u32(&c);
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

static bool is_ahead(const struct lp_seek *s)
{
	return s->look == &s->view[LP_VIEW_AHEAD];
}

struct lp_protect *lp_tls_seek_keys(struct lp_tls *tls, enum lp_dir dir)
{
	return is_ahead(tls->hurt->seek[dir]) ? &tls->shake->next[dir] : lp_tls_protect(tls, dir);
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

/* How far the keystream went in a hole with so many records, of which nothing but their
 * headers is in clear. Where the ChangeCipherSpec is lost, what stands before it may be,
 * too; but the first of them is the Finished. False: they cannot have been so many. */
static bool stream_lost(const struct lp_tls *tls, enum lp_dir dir, const struct lp_protect *p,
			uint64_t hole, uint64_t lost, uint64_t *out)
{
	enum { FINISHED = 16, FINISHED_SSL3 = 40 };
	const struct lp_seek *s = tls->hurt->seek[dir];
	uint64_t clear = lost * LP_RECORD_HEADER;

	if (s->ccs_lost || is_ahead(s)) {
		if (lost < 2) {
			*out = lost * (lp_protect_fragment_min(p) +
				       (lp_protect_version(p) == 0x0300 ? FINISHED_SSL3 : FINISHED));
			return true;
		}
		clear += LP_RECORD_HEADER + 1;
	}
	/* Before that there was the rest of a record, if any, under the keys before. */
	if (is_ahead(s))
		clear += tls->hurt->way[dir].first + lp_protect_fragment_min(&tls->now[dir]);
	*out = hole - clear;
	return hole >= clear;
}

/* A stream cipher stands where the last record before the hole ended: it has to be
 * moved by all of what was lost but the records' headers. False: the records cannot have
 * been so many. */
static bool move_stream(const struct lp_tls *tls, enum lp_dir dir, struct lp_protect *p,
			uint64_t hole, uint64_t lost)
{
	uint64_t moved;

	if (!stream_lost(tls, dir, p, hole, lost, &moved))
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

/* Nothing is missing before the record there, or it is the first of its epoch: the IV is the
 * one that p has. */
static bool has_iv(const struct lp_tls *tls, enum lp_dir dir, const struct lp_protect *p, size_t at,
		   uint64_t lost)
{
	if (!p->seq && !lost)
		return true;
	return tls->hurt->seek[dir]->doubt && !at && !tls->iv_unsure[dir];
}

/* How far before a record's header its IV begins, where that is ciphertext: with
 * encrypt-then-MAC the MAC of the record before stands between. */
static size_t iv_back(const struct lp_protect *p)
{
	return cipher_of(p)->block + (p->etm ? (size_t)p->mac_len : 0);
}

/* Opens a record that stands at `at` with so many lost before it. False: p is as before. */
static bool opens(struct lp_tls *tls, enum lp_dir dir, const struct lp_record *rec, size_t at,
		  uint64_t lost)
{
	struct lp_seek *s = tls->hurt->seek[dir];
	struct lp_protect *p = lp_tls_seek_keys(tls, dir);
	const struct lp_sealed sealed = { rec->type, rec->version, rec->fragment };
	const size_t block = cipher_of(p)->block;
	uint64_t hole = s->offset + at - tls->hurt->way[dir].end, stood = lp_protect_stands(p);
	uint8_t *room = tls->home->env->cb->room(tls->home->owner, rec->fragment.n + 1);
	bool own = has_iv(tls, dir, p, at, lost), chain = lp_tls_chained(p) && at >= iv_back(p) && !own;
	uint8_t iv[LP_SEEK_BEFORE] = { 0 };
	const char *why;
	enum lp_err err;

	if (!room) {
		lp_tls_nomem(tls);
		return false;
	}
	if (lp_tls_chained(p) && !chain && !own) {
		s->blind = true;
		if (!p->etm)
			return false;
	}
	if (cipher_of(p)->kind == LP_KIND_STREAM && !move_stream(tls, dir, p, hole, lost))
		return false;
	spend(tls, s, rec->fragment.n);
	if (chain) {
		/* Up to TLS 1.0 the IV is what stands before. */
		memcpy(iv, lp_protect_iv(p), block);
		lp_protect_chain(p, lp_span_of(s->look->bytes.p + at - iv_back(p), iv_back(p)));
	}
	err = lp_protect_open(p, p->epoch, p->seq + lost, &sealed, room, rec->fragment.n,
			      &s->content_n, &why);
	if (err && lp_tls_chained(p) && p->etm && !own && why && !strcmp(why, "padding")) {
		/* It is authentic, its MAC comes before the padding; this is in its first block. */
		p->seq += lost + 1;
		lp_protect_chain(p, rec->fragment);
		s->content = room;
	} else if (err) {
		lp_protect_stand(p, stood);
		s->content = NULL;
		if (chain)
			lp_protect_chain(p, lp_span_of(iv, iv_back(p)));
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
	struct lp_protect *p = lp_tls_seek_keys(tls, dir);
	bool own = has_iv(tls, dir, p, at, lost);
	/* A message whose beginning is not what was sent makes no keys that anything opens with. */
	bool proves = at >= iv_back(p) && (rec->type == LP_CONTENT_HANDSHAKE ||
					   rec->type == LP_CONTENT_CCS);

	if (!opens(tls, dir, rec, at, lost))
		return false;
	lp_tls_opened(tls, dir, p, rec->fragment);
	s->found = true;
	s->ahead = is_ahead(s);
	s->at = at;
	s->type = rec->type;
	s->wire = LP_RECORD_HEADER + rec->fragment.n;
	s->lost = lost;
	s->spoilt = 0;
	s->skip = 0;
	if (!lp_tls_chained(p) || !p->etm || own || (proves && s->content_n))
		return true;
	tls->iv_unsure[dir] = false;
	/* With encrypt-then-MAC nothing vouches for that IV, whether it was lost or is what stands
	 * before: the record is authentic, but its first block is not. Its last block is the next
	 * record's IV. */
	s->skip = cipher_of(p)->block;
	s->spoilt = LP_RECORD_HEADER + s->skip;
	if (s->type != LP_CONTENT_DATA || s->content_n <= s->skip) {
		s->skip = s->content_n;
		s->spoilt = s->wire;
	}
	return true;
}

bool lp_tls_seek_affordable(const struct lp_tls *tls, const struct lp_seek *s)
{
	return s->spent < SEEK_HOLE_COST && tls->hurt->seek_spent < SEEK_FLOW_COST;
}

/* What the explicit nonce says, where it is a counter. False: nothing. */
static bool count_by_nonce(struct lp_tls *tls, enum lp_dir dir, const struct lp_record *rec,
			   uint64_t *lost)
{
	const struct lp_protect *p = lp_tls_seek_keys(tls, dir);
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
	uint64_t most = hole / (LP_RECORD_HEADER + lp_protect_fragment_min(lp_tls_seek_keys(tls, dir))) + 1;
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

/* Whether a record of this kind and length may be the session's. */
static bool fits(struct lp_tls *tls, enum lp_dir dir, enum lp_seek_mode mode, uint8_t type,
		 uint16_t version, size_t n)
{
	const struct lp_protect *p = lp_tls_seek_keys(tls, dir);
	size_t min, max;

	if (mode == LP_SEEK_CLEAR)
		return version == lp_tls_version(tls) && n && (type != LP_CONTENT_CCS || n == 1);
	if (version != lp_protect_version(p) || n < lp_protect_fragment_min(p))
		return false;
	/* A ChangeCipherSpec has its place in a handshake only. */
	if (type == LP_CONTENT_CCS &&
	    (is_ahead(tls->hurt->seek[dir]) || !tls->shake->unsure[dir] || !tls->shake->hs))
		return false;
	lp_protect_content_range(p, n, &min, &max);
	return max || type == LP_CONTENT_DATA;
}

/* Does a record of this session begin here? followed: nothing behind it speaks against it. Under
 * keys that is no condition, since it depends on how much has come. */
static enum lp_look look(struct lp_tls *tls, enum lp_dir dir, lp_span b, size_t at,
			 struct lp_record *rec, bool *followed)
{
	const enum lp_seek_mode mode = (enum lp_seek_mode)tls->hurt->seek[dir]->mode;
	bool fit;
	struct lp_cursor c = lp_cursor_of(b.p + at, b.n - at);

	rec->header = lp_cursor_bytes(&c, LP_RECORD_HEADER);
	if (lp_cursor_ok(&c))
		return lp_record_plausible(b.p + at, b.n - at) ? LP_LOOK_MORE : LP_LOOK_NO;
	if (!lp_record_plausible(rec->header.p, rec->header.n))
		return LP_LOOK_NO;
	c = lp_cursor_of(b.p + at, b.n - at);
	rec->offset = tls->hurt->seek[dir]->offset + at;
	rec->type = lp_cursor_u8(&c);
	rec->version = lp_cursor_u16(&c);
	rec->fragment = lp_cursor_vec16(&c);
	fit = fits(tls, dir, mode, rec->type, rec->version,
		   (size_t)(rec->header.p[3] << 8 | rec->header.p[4]));
	if (lp_cursor_ok(&c))
		return fit ? LP_LOOK_MORE : LP_LOOK_NO;
	*followed = lp_record_plausible(c.p, c.n < LP_RECORD_HEADER ? c.n : LP_RECORD_HEADER);
	/* A record of the session, but none of these keys: of another suite's, perhaps. */
	if (*followed && !fit && tls->shake->unsure[dir] && rec->version == lp_tls_version(tls))
		tls->hurt->seek[dir]->look->tried = true;
	return fit && (*followed || mode == LP_SEEK_SEALED) ? LP_LOOK_YES : LP_LOOK_NO;
}

/* The shortest of the record at s->at and those behind it: its place among them, or
 * -1 while there are too few. */
static int shortest(struct lp_tls *tls, enum lp_dir dir, bool final, struct lp_record *rec,
		    size_t *at)
{
	lp_span b = tls->hurt->seek[dir]->look->bytes;
	size_t pos = tls->hurt->seek[dir]->at;
	struct lp_record r;
	bool followed;
	int best = 0;

	*at = pos;
	for (int i = 0; i < LP_SEEK_CHAIN; i++) {
		enum lp_look l = look(tls, dir, b, pos, &r, &followed);

		if (l == LP_LOOK_MORE && !final)
			return -1;
		if (l != LP_LOOK_YES)
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
	struct lp_protect *p = lp_tls_seek_keys(tls, dir);
	uint64_t seq = p->seq, stood = lp_protect_stands(p);

	if (!opens(tls, dir, rec, at, lost + (unsigned)nth))
		return;
	p->seq = seq;
	lp_protect_stand(p, stood);
	if (!try_at(tls, dir, first, tls->hurt->seek[dir]->at, lost))
		(void)try_at(tls, dir, rec, at, lost + (unsigned)nth);
}

/* LP_LOOK_MORE: the records behind must come first. */
static enum lp_look try_record(struct lp_tls *tls, enum lp_dir dir,
			       const struct lp_record *first, bool final)
{
	struct lp_seek *s = tls->hurt->seek[dir];
	struct lp_record rec;
	uint64_t lost;
	size_t at;
	int nth;

	while (s->look->spent < SEEK_NEAR_COST && lp_tls_seek_affordable(tls, s)) {
		if (!next_count(tls, dir, first, &lost))
			return LP_LOOK_NO;
		if (try_at(tls, dir, first, s->at, lost))
			return LP_LOOK_YES;
	}
	nth = shortest(tls, dir, final, &rec, &at);
	if (nth < 0)
		return LP_LOOK_MORE;
	while (lp_tls_seek_affordable(tls, s) && next_count(tls, dir, first, &lost)) {
		if (nth)
			confirm(tls, dir, first, &rec, at, lost, nth);
		else
			(void)try_at(tls, dir, first, s->at, lost);
		if (s->found)
			return LP_LOOK_YES;
	}
	return LP_LOOK_NO;
}

enum lp_look lp_tls_seek_look(struct lp_tls *tls, enum lp_dir dir, struct lp_view *v, bool final)
{
	struct lp_seek *s = tls->hurt->seek[dir];
	struct lp_record rec = { 0 };
	uint64_t spent = s->spent;
	bool followed = false;
	enum lp_look l;

	s->look = v;
	l = look(tls, dir, v->bytes, s->at, &rec, &followed);
	if (l != LP_LOOK_YES)
		return l == LP_LOOK_MORE && final ? LP_LOOK_NO : l;
	if (s->mode == LP_SEEK_CLEAR) {
		s->found = true;
		return LP_LOOK_YES;
	}
	s->blind = false;
	l = try_record(tls, dir, &rec, final);
	v->tried |= l == LP_LOOK_NO && followed && s->spent > spent && !s->blind;
	return l;
}
