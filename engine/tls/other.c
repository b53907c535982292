/* Bytes of which two copies came that differ. Reassembly has to choose (net/ooo.h); a record
 * that does not authenticate as it was chosen is tried once with the other copy. Only
 * what authenticates counts, so a copy that lies costs nothing but itself. */
#include "tls/session_parts.h"

#include <stdlib.h>
#include <string.h>

enum { OTHER_MAX = 64 << 10 }; /* bytes of a session */

struct lp_other {
	struct lp_other *next;
	uint64_t off;
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

void lp_tls_other(struct lp_tls *tls, enum lp_side side, const uint8_t *p, size_t n, uint64_t off)
{
	enum lp_dir dir = lp_tls_dir(tls, side);
	struct lp_other *o;

	if (tls->state != LP_TLS_RUNNING && tls->state != LP_TLS_WAITING)
		return;
	if (!lp_tls_hurt(tls))
		return;
	tls->notes |= LP_NOTE_OVERLAP_CONFLICT;
	if (tls->fed[dir] && !tls->shake->trial)
		forget(tls, dir, lp_records_offset(&tls->records[dir]));
	if (n > OTHER_MAX - sizeof *o || tls->hurt->other_n > OTHER_MAX - sizeof *o - n)
		return; /* the record will be closed, and the conflict is noted */
	o = malloc(sizeof *o + n);
	if (!o) {
		lp_tls_nomem(tls);
		return;
	}
	*o = (struct lp_other){ tls->hurt->other[dir], off, n };
	memcpy(o->bytes, p, n);
	tls->hurt->other[dir] = o;
	tls->hurt->other_n += sizeof *o + n;
}

uint8_t *lp_tls_other_copy(struct lp_tls *tls, enum lp_dir dir, lp_span fragment)
{
	const uint64_t begin = tls->env->sealed_at + LP_RECORD_HEADER, end = begin + fragment.n;
	uint8_t *copy = NULL;

	for (const struct lp_other *o = tls->hurt->other[dir]; o; o = o->next) {
		uint64_t from = o->off > begin ? o->off : begin;
		uint64_t to = o->off + o->n < end ? o->off + o->n : end;

		if (from >= to || !memcmp(fragment.p + (from - begin), o->bytes + (from - o->off),
					  (size_t)(to - from)))
			continue;
		if (!copy) {
			copy = malloc(fragment.n);
			if (!copy) {
				lp_tls_nomem(tls);
				return NULL;
			}
			memcpy(copy, fragment.p, fragment.n);
		}
		/* What agrees here may be the other copy's loss elsewhere. */
		for (uint64_t i = from; i < to; i++)
			if (fragment.p[i - begin] != o->bytes[i - o->off])
				copy[i - begin] = o->bytes[i - o->off];
	}
	return copy;
}
