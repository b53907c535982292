/* Whose turn it is: what of a side may be worked on now, and what must wait. */
#include "tls/session_parts.h"

/* A record of that type needs no turn: it is under the keys that were there before the
 * handshake under way, and no part of it (RFC 5246 section 7.4 lets data go on until
 * ChangeCipherSpec). */
static bool passes(const struct lp_tls *tls, enum lp_dir dir, int type)
{
	return (type == LP_CONTENT_DATA || type == LP_CONTENT_ALERT ||
		type == LP_CONTENT_HEARTBEAT) &&
	       lp_protect_ready(&tls->now[dir]) && !(tls->shake->hs && tls->shake->hs->sealed[dir]) &&
	       !tls->hurt->seek[dir];
}

/* No handshake is under way: the server's answer waits for the whole of the ClientHello,
 * and so does a hole in that answer. Within a session that is known once the answer
 * has begun, since a HelloRequest binds nobody. */
static bool blocked_idle(const struct lp_tls *tls, enum lp_dir dir)
{
	return dir == LP_S2C && (tls->completed ? lp_buf_len(&tls->shake->early) > 0
						 : tls->shake->hs != NULL);
}

/* Behind a hole nobody's turn is known; but what the server said once it had the client's
 * flight must not be taken for an answer before the rest of that is here: the question
 * for the secret follows from it. Where nothing of that can be read before there are
 * keys, it is the server that says when these may be asked for. */
static bool awaits_client(const struct lp_tls *tls, enum lp_dir dir)
{
	return dir == LP_S2C && !tls->shake->no_more && !tls->dead[LP_C2S] &&
	       lp_handshake_awaits_client(tls->shake->hs) && !lp_tls_seek_ahead(tls, LP_C2S);
}

/* What a direction says behind its Finished belongs to another handshake, and waits for the
 * end of this one: behind a hole the other direction may come much later. */
static bool awaits_other(const struct lp_tls *tls, enum lp_dir dir)
{
	const struct lp_finished *f = &tls->shake->hs->finished[dir];
	enum lp_dir other = dir == LP_C2S ? LP_S2C : LP_C2S;

	return (f->seen || f->lost) && !tls->shake->no_more && !tls->dead[other];
}

/* A direction whose ChangeCipherSpec may be lost waits for keys that may not come. */
static bool awaits_keys(const struct lp_tls *tls)
{
	return !tls->shake->no_keys && (lp_tls_seek_ahead(tls, LP_C2S) || lp_tls_seek_ahead(tls, LP_S2C));
}

/* One side has changed to its new keys, and of the other nothing was seen since a hole: what
 * it changed in, and all behind, may lie there (False Start lets data be sent before). */
static bool one_sided(const struct lp_tls *tls)
{
	const struct lp_handshake *hs = tls->shake->hs;

	return !tls->shake->no_keys && !lp_tls_next_ready(tls, LP_C2S) &&
	       (hs->exchange_done || hs->facts.resumed > LP_RESUMED_NO) &&
	       ((hs->sealed[LP_C2S] && hs->torn[LP_S2C]) ||
		(hs->sealed[LP_S2C] && hs->torn[LP_C2S]));
}

bool lp_tls_await_no_more(struct lp_tls *tls)
{
	if (tls->state != LP_TLS_RUNNING || !tls->shake->hs)
		return false;
	if (lp_tls_seek_presume(tls))
		return true;
	if (awaits_client(tls, LP_S2C) || awaits_other(tls, LP_C2S) || awaits_other(tls, LP_S2C)) {
		tls->shake->no_more = true;
		return true;
	}
	if (awaits_keys(tls)) {
		tls->shake->no_keys = true;
		return true;
	}
	if (one_sided(tls)) {
		tls->shake->no_keys = true;
		lp_tls_ask(tls);
		return true;
	}
	return false;
}

bool lp_tls_blocked(const struct lp_tls *tls, enum lp_side side, int next)
{
	const struct lp_handshake *hs = tls->shake->hs;
	enum lp_dir dir = lp_tls_dir(tls, side);
	const struct lp_seek *seek;
	lp_span back;
	int begun, turn;

	if (tls->state != LP_TLS_RUNNING)
		return tls->state == LP_TLS_WAITING;
	if (!hs && !blocked_idle(tls, dir)) /* nobody waits for anybody */
		return false;
	begun = lp_records_type(&tls->records[dir]);
	back = lp_buf_span(&tls->hurt->back[dir]);
	seek = tls->hurt->seek[dir];
	if (begun >= 0)
		next = begun;
	else if (back.n) /* what a search has left over comes before anything new */
		next = back.p[0];
	else if (seek && !lp_tls_seek_at_header(seek)) /* any byte of what is searched through */
		next = -1;
	if (passes(tls, dir, next))
		return false;
	if (!hs || lp_handshake_idle(hs))
		return blocked_idle(tls, dir);
	/* Under keys that are not there yet: behind a hole nobody's turn is known. */
	if (hs->sealed[dir] && !lp_tls_next_ready(tls, dir))
		return true;
	if (lp_tls_seek_parked(tls, dir))
		return true;
	if (awaits_client(tls, dir))
		return true;
	if (next == LP_CONTENT_HANDSHAKE && awaits_other(tls, dir))
		return true;
	turn = lp_handshake_turn(hs);
	if (turn == LP_TURN_EITHER || turn == (int)dir || tls->dead[dir])
		return false;
	/* A side that has finished may send application data before the other has
	 * (RFC 7918, False Start; and the server after a resumption). A hello is another
	 * handshake's. */
	return !(tls->shake->next_proven && hs->finished[dir].seen && next != LP_CONTENT_HANDSHAKE);
}
