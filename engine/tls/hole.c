/* Holes in a handshake: what of it can still be followed.
 *
 * Whole messages before the hole count, even those in the record that it lies in. Where
 * that record's end is known, the next one begins there; else the next header is looked
 * for (seek.c). What stands behind the hole may be the rest of a message, messages,
 * or records under keys whose ChangeCipherSpec was lost: their look decides, and where
 * that was wrong the keys do not fit. */
#include "tls/session_parts.h"

#include <stdio.h>
#include <string.h>

enum { FINISHED = LP_MESSAGE_HEADER + 12, FINISHED_SSL3 = LP_MESSAGE_HEADER + 36 };

/* The hole lies in the record that has begun with header. Of that record's rest, as much
 * as belongs to the message that it spoilt is left out; what follows are messages again,
 * and for them the header is used once more (then true is returned). left: bytes of the
 * message from the hole on, 0 if that is not known. */
static bool within_record(struct lp_tls *tls, enum lp_dir dir, lp_span header, uint64_t off,
			  uint64_t n, uint64_t wanted, uint64_t left)
{
	struct lp_records *r = &tls->records[dir];
	uint64_t rest = wanted - n, torn = left > n ? left - n : 0;
	uint8_t again[LP_RECORD_HEADER];
	struct lp_hurt *hurt = lp_tls_hurt(tls);
	struct lp_record none;

	if (!hurt) {
		(void)lp_records_resync(r, off + n);
		return false;
	}
	if (left < n || torn >= rest) {
		/* Where the message ends is not known, or it ends in a later record. */
		(void)lp_records_resync(r, off + wanted);
		hurt->skip[dir] = rest;
		tls->shake->skip_message[dir] = torn > rest ? torn - rest : 0;
		return false;
	}
	memcpy(again, header.p, sizeof again);
	again[3] = (uint8_t)((rest - torn) >> 8);
	again[4] = (uint8_t)(rest - torn);
	hurt->skip[dir] = torn;
	(void)lp_records_resync(r, off + n + torn - LP_RECORD_HEADER);
	lp_records_push(r, again, sizeof again);
	if (lp_records_next(r, NULL, &none) == LP_E_NOMEM)
		lp_tls_nomem(tls);
	return true;
}

/* Bytes still to come of the message that has begun, 0 if that is not known. */
static uint64_t message_left(const struct lp_messages *m)
{
	return lp_messages_partial(m) && lp_messages_size(m)
		       ? lp_messages_size(m) - lp_buf_len(&m->held) : 0;
}

void lp_tls_hole_describe(struct lp_tls *tls, enum lp_dir dir, uint64_t off, uint64_t n)
{
	const uint8_t last = tls->shake->hs ? tls->shake->hs->last[dir] : 0;
	const bool cut = lp_tls_cut(tls, dir);
	struct lp_shake *shake = lp_tls_shake(tls);
	struct lp_hurt *hurt = lp_tls_hurt(tls);

	if (!shake || !hurt)
		return;
	shake->hole = true;
	hurt->way[dir].hole = off;
	hurt->way[dir].hole_n = n;
	shake->hole_reason = cut ? LP_REASON_SNAPLEN : LP_REASON_HANDSHAKE_LOST;
	lp_tls_say(tls, &shake->hole_detail,
		   "%llu bytes of the handshake from the %s, at byte %llu%s%s%s, were %s",
		   (unsigned long long)n, lp_tls_who(dir), (unsigned long long)off,
		   last ? " (behind its " : "", last ? lp_message_name(last) : "",
		   last ? ")" : "",
		   cut ? "cut off by the snap length of the capture" : "not captured");
	if (!lp_tls_absent(tls, dir))
		return;
	shake->hole_reason = LP_REASON_ONE_DIRECTION;
	lp_tls_say(tls, &shake->hole_detail, "no packet from the %s was captured", lp_tls_who(dir));
}

/* What goes on behind the hole, and where. True: the header is used once more. */
static bool go_on(struct lp_tls *tls, enum lp_dir dir, lp_span header, lp_span part, uint64_t off,
		  uint64_t n, uint64_t wanted)
{
	struct lp_shake *shake = lp_tls_shake(tls);
	const struct lp_facts *f;
	bool again = false;

	if (!shake)
		return false;
	shake->pushed_end = off;
	shake->record_end = off + wanted;
	if (part.n)
		lp_tls_messages(tls, dir, part);
	if (tls->state != LP_TLS_RUNNING)
		return false;
	lp_tls_hole_describe(tls, dir, off, n);
	f = lp_tls_facts(tls);
	if (!f->client_version || !f->version || !tls->shake->hs) {
		lp_tls_fail_hole(tls);
		return false;
	}
	if (part.n && n <= wanted) {
		again = within_record(tls, dir, header, off, n, wanted,
				      message_left(&tls->shake->messages[dir]));
	} else {
		(void)lp_records_resync(&tls->records[dir], off + n);
		lp_tls_seek_clear_text(tls, dir, off + n);
	}
	lp_messages_clear(&tls->shake->messages[dir]);
	lp_handshake_gap(tls->shake->hs, dir);
	return again;
}

void lp_tls_hole(struct lp_tls *tls, enum lp_dir dir, uint64_t off, uint64_t n)
{
	struct lp_records *r = &tls->records[dir];
	uint64_t wanted = lp_records_wanted(r);
	size_t had = lp_records_held(r);
	struct lp_records was = *r;
	struct lp_hurt *hurt = lp_tls_hurt(tls);
	struct lp_cursor c = lp_cursor_span(lp_records_part(&was));
	lp_span header = lp_cursor_bytes(&c, LP_RECORD_HEADER);
	lp_span part = { NULL, 0 };

	if (wanted && header.p[0] == LP_CONTENT_HANDSHAKE)
		part = lp_cursor_rest(&c);
	if (hurt && !hurt->seek[dir]) /* what stands before it has been read */
		hurt->way[dir].end = part.n ? off : lp_records_offset(&was);
	lp_records_init(r, off + n); /* what it held is ours now */
	if (go_on(tls, dir, header, part, off, n, wanted))
		had -= LP_RECORD_HEADER;
	lp_tls_account(tls, dir, part.n ? LP_IN_HANDSHAKE : LP_IN_LOST, had);
	lp_records_clear(&was);
}

size_t lp_tls_skip(struct lp_tls *tls, enum lp_dir dir, size_t n)
{
	size_t took = tls->hurt->skip[dir] < n ? (size_t)tls->hurt->skip[dir] : n;

	if (took)
		tls->hurt->skip[dir] -= took;
	lp_tls_account(tls, dir, LP_IN_LOST, took);
	return took;
}

/* Whether a record of this length may be a Finished under the keys to come. */
static bool may_be_finished(const struct lp_handshake *hs, size_t n)
{
	const struct lp_protect_params params = {
		.suite = hs->suite,
		.version = hs->facts.version,
		.etm = hs->facts.etm > 0,
		.truncated_hmac = hs->facts.truncated_hmac,
	};

	return lp_protect_may_hold(&params, n,
				   hs->facts.version == 0x0300 ? FINISHED_SSL3 : FINISHED);
}

enum lp_behind lp_tls_behind(const struct lp_tls *tls, enum lp_dir dir, const struct lp_record *r)
{
	const struct lp_handshake *hs = tls->shake->hs;

	switch (r->type) {
	case LP_CONTENT_CCS:
		return LP_BEHIND_CLEAR;
	case LP_CONTENT_ALERT:
		return r->fragment.n == 2 ? LP_BEHIND_CLEAR : LP_BEHIND_SEALED;
	case LP_CONTENT_HANDSHAKE:
		break;
	default:
		return LP_BEHIND_SEALED;
	}
	if (!hs->suite || tls->shake->skip_message[dir] ||
	    lp_messages_partial(&tls->shake->messages[dir]) ||
	    lp_handshake_fits(hs, dir, r->fragment))
		return LP_BEHIND_CLEAR;
	/* The side that changes second has nothing to say in clear then but what fits, a
	 * NewSessionTicket: of any other length it belongs to another handshake, under keys. */
	if (hs->sealed[dir == LP_C2S ? LP_S2C : LP_C2S] && (dir == LP_S2C || hs->facts.resumed > 0))
		return LP_BEHIND_SEALED;
	return may_be_finished(hs, r->fragment.n) ? LP_BEHIND_SEALED : LP_BEHIND_PART;
}

bool lp_tls_goes_on(struct lp_tls *tls, enum lp_dir dir, const uint8_t *p, size_t n)
{
	struct lp_handshake *hs = tls->shake->hs;
	const lp_span fragment = { p, n };

	if (!hs || hs->sealed[dir] || lp_messages_partial(&tls->shake->messages[dir]))
		return true;
	/* What comes next in any case shows that only data was lost. */
	if (tls->shake->unsure[dir] &&
	    !(p ? lp_handshake_fits(hs, dir, fragment) : lp_handshake_ccs_fits(hs, dir)))
		lp_handshake_gap(hs, dir);
	tls->shake->unsure[dir] = false;
	if (!hs->torn[dir])
		return true;
	if (!hs->facts.version) {
		lp_tls_fail_hole(tls);
		return false;
	}
	return !p || lp_handshake_fits(hs, dir, fragment);
}
