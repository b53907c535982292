#include "net/native_next.h"

#include <assert.h>

void lp_native_drop_queue(struct lp_reasm *r, struct lp_half *h)
{
	lp_ooo_free(&r->pool, h->ooo);
	h->ooo = NULL;
}

/* A half that nobody listens to has no holes. */
static void catch_up(struct lp_half *h)
{
	uint32_t to = h->end;

	if ((h->flags & LP_HALF_FIN) && lp_seq_before(h->fin, to))
		to = h->fin;
	if (lp_seq_before(h->next, to)) {
		h->off += to - h->next;
		h->next = to;
	}
}

static void skip(struct lp_reasm *r, struct lp_half *h)
{
	h->flags |= LP_HALF_SKIP;
	lp_native_drop_queue(r, h);
	catch_up(h);
}

void lp_native_heed(struct lp_reasm *r, struct lp_flow *f, struct lp_half *h, enum lp_take take)
{
	enum lp_age_class class;
	bool skipped;

	if (take == LP_TAKE_SKIP_FLOW) {
		skip(r, &f->half[0]);
		skip(r, &f->half[1]);
	} else if (take == LP_TAKE_SKIP_DIR && h) {
		skip(r, h);
	} else if (f->idle == f->stream.idle) {
		return;
	}
	assert(f->stream.idle <= LP_IDLE_KEYS);
	skipped = f->half[0].flags & f->half[1].flags & LP_HALF_SKIP;
	class = f->stream.rst ? LP_AGE_CLOSED : skipped ? LP_AGE_SKIPPED : LP_AGE_LIVE;
	f->idle = f->stream.idle & 3U;
	lp_age_drop(&r->age, f);
	lp_age_add(&r->age, f, class);
}

void lp_native_open(struct lp_reasm *r, struct lp_flow *f)
{
	enum lp_take take;

	lp_age_drop(&r->age, f);
	f->state = LP_FLOW_LIVE;
	f->stream.idle = LP_IDLE_PLAIN;
	f->idle = LP_IDLE_PLAIN;
	lp_age_add(&r->age, f, LP_AGE_LIVE);
	r->stats.flows++;
	r->stats.flows_now++;
	take = r->cb->open(r->user, lp_native_known(f), lp_native_place(r, r->now_ns));
	lp_native_heed(r, f, NULL, take);
}

void lp_native_other(void *user, struct lp_flow *f, enum lp_side side, uint32_t seq,
		     const uint8_t *p, uint32_t n)
{
	struct lp_reasm *r = user;
	const struct lp_half *h = &f->half[side];
	int64_t off = (int64_t)h->off + lp_seq_diff(seq, h->next);
	uint32_t cut = off < 0 ? (uint32_t)-off : 0;

	/* Where a byte was left out, or the beginning is not certain, so are no offsets. */
	if (!r->cb->other || f->state != LP_FLOW_LIVE || cut >= n || f->early & 1U << side ||
	    h->flags & (LP_HALF_URGENT | LP_HALF_SKIP))
		return;
	r->cb->other(r->user, lp_native_known(f), side, p + cut, n - cut, off < 0 ? 0 : (uint64_t)off,
		     r->when.number);
}

static void give_gap(struct lp_reasm *r, struct lp_flow *f, enum lp_side side, uint32_t to,
		     uint64_t carried_ns)
{
	struct lp_half *h = &f->half[side];
	uint64_t off = h->off;
	uint32_t n = to - h->next;

	h->next = to;
	h->off += n;
	if (h->flags & LP_HALF_SKIP)
		return;
	r->stats.gaps++;
	r->stats.gap_bytes += n;
	r->cb->gap(r->user, lp_native_known(f), side, off, n, lp_native_place(r, carried_ns));
}

void lp_native_deliver(struct lp_reasm *r, struct lp_flow *f, enum lp_side side,
		       const struct lp_ooo_piece *piece)
{
	struct lp_half *h = &f->half[side];
	uint32_t end = piece->seq + piece->wire;
	uint32_t have = piece->seq + piece->captured;
	uint32_t urgent = piece->seq + piece->urgent - 1;

	if (h->flags & LP_HALF_FIN) {
		if (lp_seq_before(h->fin, end))
			end = h->fin;
		if (lp_seq_before(h->fin, have))
			have = h->fin;
	}
	/* The urgent byte does not belong to the stream (unless SO_OOBINLINE, which
	 * nobody can see from outside). */
	if (piece->urgent && !lp_seq_before(urgent, h->next) && lp_seq_before(urgent, have)) {
		if (urgent != h->next)
			lp_native_give(r, f, side, piece->data + (h->next - piece->seq),
				       urgent - h->next, piece->carried_ns);
		if (h->next == urgent) {
			h->next++;
			h->flags |= LP_HALF_URGENT;
		}
	}
	if (lp_seq_before(h->next, have))
		lp_native_give(r, f, side, piece->data + (h->next - piece->seq), have - h->next,
			       piece->carried_ns);
	if (lp_seq_before(h->next, end)) {
		f->stream.cut |= (uint8_t)(1 << side);
		give_gap(r, f, side, end, piece->carried_ns);
	}
}

void lp_native_new_evidence(struct lp_reasm *r, struct lp_half *h)
{
	struct lp_ooo *q = h->ooo;
	uint32_t at = lp_native_waits_at(h);

	if (r->now_ns - q->ack[1].ns >= r->config.grace_ns / 2) {
		q->ack[0] = q->ack[1];
		q->ack[1].ns = r->now_ns;
		q->ack[1].seq = h->acked;
		q->ack[1].number = (uint32_t)r->when.number;
	}
	if (q->evidence_ns || lp_seq_before(h->acked, at))
		return;
	q->evidence_ns = r->now_ns;
	q->evidence_number = (uint32_t)r->when.number;
	for (int i = 1; i >= 0; i--) {
		if (!q->ack[i].ns || lp_seq_before(q->ack[i].seq, at))
			continue;
		q->evidence_ns = q->ack[i].ns;
		q->evidence_number = q->ack[i].number;
	}
	if (!q->evidence_ns)
		q->evidence_ns = 1;
}

/* All of it is to be handed on, and nothing else. */
static inline bool is_simple(const struct lp_half *h, const struct lp_ooo_piece *piece)
{
	return piece->seq == h->next && piece->captured == piece->wire && !piece->urgent &&
	       piece->wire && !(h->flags & LP_HALF_FIN);
}

/* Hands on the first that waits. */
static void give_first(struct lp_reasm *r, struct lp_flow *f, enum lp_side side)
{
	struct lp_ooo_out first;

	lp_ooo_pop(&r->pool, f->half[side].ooo, &first);
	if (first.piece.lent)
		lp_recent_stays(&r->recent, first.piece.data, first.piece.captured);
	else
		lp_recent_recall(&r->recent, first.piece.data, first.piece.captured, first.piece.hash);
	if (is_simple(&f->half[side], &first.piece))
		lp_native_give(r, f, side, first.piece.data, first.piece.captured,
			       first.piece.carried_ns);
	else
		lp_native_deliver(r, f, side, &first.piece);
	lp_recent_forget(&r->recent);
	lp_ooo_release(&r->pool, &first);
}

/* The first that waits, if it is its turn. */
static const struct lp_leaf_entry *in_turn(const struct lp_half *h)
{
	const struct lp_leaf_entry *first = h->ooo ? lp_ooo_first(h->ooo) : NULL;

	return first && !lp_seq_before(h->next, first->start) ? first : NULL;
}

/* No SYN came: the connection begins for us where what waits does. Both sides go on in
 * the order in which they were captured; but one that the mirror port has shown nothing of yet
 * may begin below what was acknowledged. */
static void settle(struct lp_reasm *r, struct lp_flow *f)
{
	const struct lp_leaf_entry *a, *b;

	for (int side = 0; side < 2; side++) {
		struct lp_half *h = &f->half[side];

		if (!(f->early & 1U << side))
			continue;
		if (h->ooo)
			h->next = lp_native_waits_at(h);
		if (h->ooo || h->flags & LP_HALF_SEEN)
			f->early = f->early & ~(1U << side) & 3U;
	}
	for (;;) {
		a = in_turn(&f->half[LP_A2B]);
		b = in_turn(&f->half[LP_B2A]);
		if (!a && !b)
			break;
		give_first(r, f, a && (!b || a->carried_ns <= b->carried_ns) ? LP_A2B : LP_B2A);
	}
	lp_native_drain(r, f, LP_A2B);
	lp_native_drain(r, f, LP_B2A);
}

/* A FIN has come, with nothing that waits before it. */
static void wait_for_what_is_below(struct lp_reasm *r, struct lp_flow *f, enum lp_side side)
{
	struct lp_half *h = &f->half[side];

	h->ooo = lp_ooo_new(&r->pool, f, side);
	if (!h->ooo) {
		r->nomem = true;
		return;
	}
	lp_ooo_renew(&r->pool, h->ooo, h->next, r->now_ns, r->when.number);
	lp_native_evidence(r, h);
}

void lp_native_drain(struct lp_reasm *r, struct lp_flow *f, enum lp_side side)
{
	struct lp_half *h = &f->half[side];

	if (f->early & 1U << side && h->ooo)
		return;
	if (f->early & 1U << side && (h->flags & LP_HALF_FIN) && !(h->flags & LP_HALF_SKIP)) {
		wait_for_what_is_below(r, f, side);
		return;
	}
	while (in_turn(h))
		give_first(r, f, side);
	if (h->flags & LP_HALF_SKIP)
		catch_up(h);
	if ((h->flags & LP_HALF_FIN) && !lp_seq_before(h->next, h->fin)) {
		f->stream.fin |= (uint8_t)(1 << side);
		if (!f->stream.ender)
			f->stream.ender = (uint8_t)(side + 1);
		lp_native_drop_queue(r, h);
		return;
	}
	if (!(h->flags & LP_HALF_FIN) && (!h->ooo || !lp_ooo_first(h->ooo))) {
		lp_native_drop_queue(r, h);
		return;
	}
	if (h->flags & LP_HALF_SKIP)
		return;
	if (!h->ooo) {
		wait_for_what_is_below(r, f, side);
		return;
	}
	if (h->ooo->below != h->next)
		lp_ooo_renew(&r->pool, h->ooo, h->next, r->now_ns, r->when.number);
	lp_native_evidence(r, h);
}

void lp_native_give_up(struct lp_reasm *r, struct lp_flow *f, enum lp_side side)
{
	struct lp_half *h = &f->half[side];
	uint32_t at;

	if (f->early & 1U << side) {
		settle(r, f);
		return;
	}
	at = lp_native_waits_at(h);
	if (lp_seq_before(h->next, at))
		give_gap(r, f, side, at, r->now_ns);
	lp_native_drain(r, f, side);
}

static void flush(struct lp_reasm *r, struct lp_flow *f, enum lp_side side)
{
	struct lp_half *h = &f->half[side];
	int32_t lost;

	while (h->ooo)
		lp_native_give_up(r, f, side);
	if (!(h->flags & LP_HALF_KNOWN) || (f->stream.fin & 1 << side))
		return;
	/* What the peer acknowledged and was never seen; but one byte alone is rather
	 * a FIN that was not seen. */
	lost = lp_seq_diff(h->acked, h->next);
	if (lost > 1)
		give_gap(r, f, side, h->acked, r->now_ns);
}

void lp_native_close(struct lp_reasm *r, struct lp_flow *f, enum lp_why why)
{
	if (f->state == LP_FLOW_LIVE) {
		flush(r, f, LP_A2B);
		flush(r, f, LP_B2A);
		if (f->stream.fin == 3)
			why = LP_WHY_FIN;
		else if (f->stream.rst)
			why = LP_WHY_RST;
		r->stats.flows_now--;
		r->cb->close(r->user, lp_native_known(f), why, lp_native_place(r, r->now_ns));
	}
	lp_native_drop_queue(r, &f->half[0]);
	lp_native_drop_queue(r, &f->half[1]);
	lp_age_drop(&r->age, f);
	f->state = LP_FLOW_CLOSED;
}

void lp_native_bury(struct lp_reasm *r, struct lp_flow *f)
{
	f->last = lp_native_second(r);
	lp_age_add(&r->age, f, LP_AGE_CLOSED);
}

bool lp_native_finish(struct lp_reasm *r, struct lp_flow *f)
{
	if (f->state != LP_FLOW_LIVE || f->stream.fin != 3)
		return false;
	lp_native_close(r, f, LP_WHY_FIN);
	lp_native_bury(r, f);
	return true;
}
