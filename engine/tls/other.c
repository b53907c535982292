/* Bytes of which two copies came that differ. Reassembly has to choose (net/ooo.h); a record
 * that does not authenticate as it was chosen is tried once with the other copy. Only
 * what authenticates counts, so a copy that lies costs nothing but itself.
 *
 * Where the copies differ in a record's header, it is not even known where the record ends,
 * and no header at all may be left of it. Then what stands there is in doubt, and the way
 * on is looked for as behind a hole (seek.c), but for a hole of no bytes: whichever
 * record authenticates, of the one copy or the other, ends the doubt; also a copy that
 * comes later, as long as nothing behind was found.
 *
 * A copy counts from the place of the packet that brought it on. So how long an answer took
 * shows nowhere. */
#include "tls/session_parts.h"

#include <stdlib.h>
#include <string.h>

struct lp_other {
	struct lp_other *next;
	uint64_t off;
	uint64_t number; /* of the packet that showed it */
	size_t n;
	uint8_t bytes[];
};

/* Forgets what stands before offset. */
static void forget(struct lp_tls *tls, enum lp_dir dir, uint64_t offset)
{
	struct lp_other **at = &tls->hurt->other[dir];

	while (*at) {
		struct lp_other *o = *at;

		if (o->off + o->n > offset) {
			at = &o->next;
			continue;
		}
		*at = o->next;
		tls->hurt->other_n -= sizeof *o + o->n;
		free(o);
	}
}

void lp_tls_other_free(struct lp_tls *tls)
{
	forget(tls, LP_C2S, UINT64_MAX);
	forget(tls, LP_S2C, UINT64_MAX);
}

void lp_tls_other(struct lp_tls *tls, enum lp_side side, const uint8_t *p, size_t n, uint64_t off,
		  uint64_t number)
{
	enum lp_dir dir = lp_tls_dir(tls, side);
	struct lp_other *o;

	if (tls->state == LP_TLS_ENDED || !lp_tls_hurt(tls))
		return;
	if (!tls->hurt->conflict)
		tls->hurt->conflict = number;
	if (tls->state == LP_TLS_OPAQUE)
		return;
	/* Until keys are proven a handshake may have to be read again (refill.c). */
	if (tls->proven && !tls->shake->trial)
		forget(tls, dir, lp_records_offset(&tls->records[dir]));
	if (n > LP_OTHER_MAX - sizeof *o || tls->hurt->other_n > LP_OTHER_MAX - sizeof *o - n)
		return; /* the record will be closed, and the conflict is noted */
	o = malloc(sizeof *o + n);
	if (!o) {
		lp_tls_nomem(tls);
		return;
	}
	*o = (struct lp_other){ tls->hurt->other[dir], off, number, n };
	memcpy(o->bytes, p, n);
	tls->hurt->other[dir] = o;
	tls->hurt->other_n += sizeof *o + n;
}

/* Whether o has other bytes than these, which begin at offset; from and to: where both are. */
static bool differs(const struct lp_tls *tls, const struct lp_other *o, lp_span bytes,
		    uint64_t offset, uint64_t *from, uint64_t *to)
{
	if (o->number > tls->home->when.number)
		return false;
	*from = o->off > offset ? o->off : offset;
	*to = o->off + o->n < offset + bytes.n ? o->off + o->n : offset + bytes.n;
	return *from < *to && memcmp(bytes.p + (*from - offset), o->bytes + (*from - o->off),
				     (size_t)(*to - *from)) != 0;
}

uint8_t *lp_tls_other_copy(struct lp_tls *tls, enum lp_dir dir, lp_span bytes, uint64_t offset)
{
	uint8_t *copy = NULL;
	uint64_t from, to;

	for (const struct lp_other *o = tls->hurt->other[dir]; o; o = o->next) {
		if (!differs(tls, o, bytes, offset, &from, &to))
			continue;
		if (!copy) {
			copy = malloc(bytes.n);
			if (!copy) {
				lp_tls_nomem(tls);
				return NULL;
			}
			memcpy(copy, bytes.p, bytes.n);
		}
		/* What agrees here may be the other copy's loss elsewhere. */
		for (uint64_t i = from; i < to; i++)
			if (bytes.p[i - offset] != o->bytes[i - o->off])
				copy[i - offset] = o->bytes[i - o->off];
	}
	return copy;
}

bool lp_tls_conflict(const struct lp_tls *tls)
{
	return tls->hurt->conflict && tls->hurt->conflict <= tls->home->when.number;
}

/* ---- headers in doubt ---- */

bool lp_tls_doubt_news(const struct lp_tls *tls, enum lp_dir dir)
{
	const struct lp_seek *s = tls->hurt->seek[dir];

	for (const struct lp_other *o = tls->hurt->other[dir]; s && s->doubt && o; o = o->next)
		if (o->number > s->looked && o->number <= tls->home->when.number)
			return true;
	return false;
}

static bool ambiguous(const struct lp_tls *tls, enum lp_dir dir, lp_span bytes, uint64_t offset)
{
	uint64_t from, to;

	for (const struct lp_other *o = tls->hurt->other[dir]; o; o = o->next)
		if (differs(tls, o, bytes, offset, &from, &to))
			return true;
	return false;
}

bool lp_tls_doubt(struct lp_tls *tls, enum lp_dir dir, const struct lp_doubt *d)
{
	const struct lp_protect *p = lp_tls_protect(tls, dir);
	struct lp_shake *shake = tls->shake;
	bool next = shake->hs && shake->hs->sealed[dir], unproven = next && !shake->next_proven;
	bool conflict = ambiguous(tls, dir, d->header, d->offset);

	if (tls->proven)
		forget(tls, dir, d->offset);
	/* What is decompressed must have come in order, so there is no way on (RFC 3749). */
	if (tls->state != LP_TLS_RUNNING || !p || !lp_protect_ready(p) ||
	    (next ? shake->compressed_next : tls->compressed) ||
	    !(conflict || (d->why && !unproven)))
		return false;
	tls->strict = true;
	lp_tls_seek_doubt(tls, dir, d, conflict ? NULL : d->why);
	if (!unproven)
		return true;
	shake->hole = true;
	shake->hole_reason = LP_REASON_KEYS_DISPROVED;
	lp_tls_say(tls, &shake->hole_detail, "at byte %llu two copies of the %s's bytes differ, and "
		   "no record authenticates with either", (unsigned long long)d->offset,
		   lp_tls_who(dir));
	return true;
}

void lp_tls_doubt_lost(struct lp_tls *tls, enum lp_dir dir)
{
	struct lp_shake *shake = tls->shake;
	bool torn = lp_messages_partial(&shake->messages[dir]);

	if (torn)
		lp_messages_clear(&shake->messages[dir]);
	if (!shake->hs || lp_handshake_idle(shake->hs))
		return;
	if (!shake->hs->sealed[dir])
		shake->unsure[dir] = true;
	if (torn || (shake->hs->sealed[dir] && !shake->hs->finished[dir].seen))
		lp_handshake_gap(shake->hs, dir);
}

void lp_tls_doubt_say(struct lp_tls *tls, enum lp_dir dir)
{
	const struct lp_hole *w = &tls->hurt->way[dir];

	if (w->why)
		lp_tls_because(tls, LP_REASON_RECORD_BAD,
			       "at byte %llu the %s's stream stops being TLS (%s)",
			       (unsigned long long)w->end, lp_tls_who(dir), w->why);
	else
		lp_tls_because(tls, LP_REASON_RECORD_BAD,
			       "at byte %llu two copies of the %s's bytes differ, and no record "
			       "authenticates with either", (unsigned long long)w->end,
			       lp_tls_who(dir));
}
