/* What a segment means for the stream it belongs to: order, acknowledgements, data,
 * resets. */
#include "net/native_next.h"

enum {
	SLACK = 64 << 10,    /* bytes beyond a window */
	ETHERNET = 1460,     /* bytes of a segment */
	ANOTHER_ORDER = 128, /* packets that may be shown before their turn */
};

static bool is_near(uint32_t a, uint32_t b)
{
	int32_t d = lp_seq_diff(a, b);

	return d <= LP_NATIVE_FAR && d >= -LP_NATIVE_FAR;
}

bool lp_native_make_room(struct lp_reasm *r, struct lp_flow *f, enum lp_side side, uint64_t cost,
		      bool *again)
{
	struct lp_ooo *q = f->half[side].ooo;

	*again = false;
	if (lp_native_has_room(r, q, cost))
		return true;
	if (cost > r->config.max_ooo_side || cost > r->config.max_ooo)
		return false;
	if (q && q->bytes + cost > r->config.max_ooo_side) {
		r->stats.cap_side++;
	} else {
		r->stats.cap_total++;
		for (q = r->pool.oldest; q && !q->bytes;)
			q = q->newer;
	}
	*again = true;
	if (q->flow->state == LP_FLOW_LIVE) {
		f = q->flow;
		lp_native_give_up(r, f, q->side);
		(void)lp_native_finish(r, f);
	} else {
		lp_native_drop_queue(r, &q->flow->half[q->side]);
	}
	return true;
}

/* Puts a piece with those that wait already. */
static inline enum lp_err keep(struct lp_reasm *r, struct lp_flow *f, enum lp_side side,
			       const struct lp_ooo_piece *piece)
{
	struct lp_half *h = &f->half[side];
	bool added, conflict = false;
	enum lp_err err = lp_ooo_insert(&r->pool, h->ooo, piece, &added, &conflict);

	if (err)
		return err;
	if (added)
		r->stats.out_of_order++;
	else
		r->stats.duplicate++;
	if (conflict) {
		r->stats.conflicts++;
		f->stream.conflict |= (uint8_t)(1 << side);
	}
	r->stats.processed++;
	if (f->state == LP_FLOW_LIVE)
		lp_native_evidence(r, h);
	return LP_OK;
}

enum lp_err lp_native_keep(struct lp_reasm *r, struct lp_flow *f, enum lp_side side,
			const struct lp_ooo_piece *piece)
{
	struct lp_half *h = &f->half[side];

	if (!h->ooo) {
		h->ooo = lp_ooo_new(&r->pool, f, side);
		if (!h->ooo)
			return LP_E_NOMEM;
		lp_ooo_renew(&r->pool, h->ooo, h->next, r->now_ns, r->when.number);
	}
	return keep(r, f, side, piece);
}

/* Bytes from seq on that had been handed on before: are they the same again? */
static void compare_old(struct lp_reasm *r, struct lp_flow *f, enum lp_side side,
			const struct lp_ooo_piece *piece)
{
	uint32_t old = f->half[side].next - piece->seq;

	if (old > piece->captured)
		old = piece->captured;
	if (!lp_recent_differs(&r->recent, lp_native_stream(f, side), piece->seq, piece->data, old))
		return;
	r->stats.conflicts++;
	f->stream.conflict |= (uint8_t)(1 << side);
	lp_native_other(r, f, side, piece->seq, piece->data, old);
}

static void deliver_now(struct lp_reasm *r, struct lp_flow *f, enum lp_side side,
			const struct lp_ooo_piece *piece)
{
	struct lp_half *h = &f->half[side];
	uint32_t old = h->next - piece->seq;

	r->stats.processed++;
	if (h->flags & LP_HALF_SKIP) {
		lp_native_drain(r, f, side);
		return;
	}
	if (old)
		compare_old(r, f, side, piece);
	if (h->ooo && piece->captured > old &&
	    lp_ooo_conflicts(h->ooo, h->next, piece->data + old, piece->captured - old)) {
		r->stats.conflicts++;
		f->stream.conflict |= (uint8_t)(1 << side);
		lp_ooo_tell(&r->pool, h->ooo, h->next, piece->data + old, piece->captured - old);
	}
	lp_native_deliver(r, f, side, piece);
	if (h->ooo || (h->flags & LP_HALF_FIN))
		lp_native_drain(r, f, side);
}

/* What starts above a hole must lie within what the receiver has offered, and as much again, for
 * an offer may have been missed; or not far behind the last byte that was seen, if packets are
 * shown in another order: then offers come behind what was sent upon them. Nothing is known before
 * the receiver acknowledged something, nor if what arrives has passed its last offer: then it is
 * its acknowledgements that are missing. */
static inline bool is_beyond_window(const struct lp_flow *f, enum lp_side side,
				    const struct lp_ooo_piece *piece)
{
	const struct lp_half *h = &f->half[side];
	unsigned scale = f->scale >> (side == LP_A2B ? 4 : 0) & 15;
	uint64_t window = (uint64_t)f->window[!side] << scale;
	uint64_t largest = piece->wire > ETHERNET ? piece->wire : ETHERNET;

	if (lp_seq_diff(piece->seq, h->end) <= (int64_t)(largest * ANOTHER_ORDER) ||
	    !lp_seq_before(h->next, piece->seq) || !window || scale == LP_FLOW_NO_SCALE ||
	    lp_seq_before(h->acked + (uint32_t)window, h->next))
		return false;
	return lp_seq_diff(piece->seq, h->acked) > (int64_t)(2 * window + SLACK);
}

/* A keepalive with a garbage byte, while what it repeats still waits. */
static inline bool is_waiting_probe(const struct lp_half *h, const struct lp_ooo_piece *piece)
{
	return piece->wire == 1 && piece->captured && !piece->data[0] &&
	       piece->seq + 1 == h->end && h->ooo && lp_seq_before(h->next, h->end) &&
	       !(h->flags & LP_HALF_FIN);
}

/* Whether the bytes of a segment of a live flow are to be taken. */
static inline bool is_expected(struct lp_reasm *r, struct lp_flow *f, enum lp_side side,
			       const struct lp_ooo_piece *piece)
{
	struct lp_half *h = &f->half[side];
	uint32_t end = piece->seq + piece->wire;

	if (((f->stream.fin & 1 << side) && lp_seq_before(h->fin, end)) ||
	    is_beyond_window(f, side, piece)) {
		r->stats.out_of_window++;
		return false;
	}
	if (is_waiting_probe(h, piece)) {
		r->stats.processed++;
		r->stats.keepalive++;
		return false;
	}
	if (lp_seq_before(h->end, end))
		h->end = end;
	return true;
}

/* Hands such bytes on, or puts them where they wait. */
static enum lp_err on_data(struct lp_reasm *r, struct lp_flow *f, enum lp_side side,
			   const struct lp_ooo_piece *piece)
{
	struct lp_half *h = &f->half[side];
	uint32_t end = piece->seq + piece->wire;
	bool again = true;

	while (again) {
		if (f->state != LP_FLOW_LIVE) {
			r->stats.closed_flow++;
			return LP_OK;
		}
		if (!lp_seq_before(h->next, end)) {
			r->stats.processed++;
			if (piece->wire == 1 && end == h->next) {
				r->stats.keepalive++;
				if (piece->captured && piece->data[0]) /* not its garbage byte */
					compare_old(r, f, side, piece);
				return LP_OK;
			}
			r->stats.duplicate++;
			compare_old(r, f, side, piece);
			return LP_OK;
		}
		if ((!lp_seq_before(h->next, piece->seq) && !(f->early & 1U << side)) ||
		    (h->flags & LP_HALF_SKIP)) {
			deliver_now(r, f, side, piece);
			return LP_OK;
		}
		if (!lp_native_make_room(r, f, side, lp_ooo_cost(h->ooo, piece), &again)) {
			r->stats.memcap++;
			return LP_OK;
		}
	}
	return lp_native_keep(r, f, side, piece);
}

/* A mirror port may show one side late, or packets in another order: bytes that were acknowledged
 * are still to come, and those of holes, for as long as these may be filled. */
static bool awaits(const struct lp_flow *f)
{
	for (int side = 0; side < 2; side++) {
		const struct lp_half *h = &f->half[side];

		if (!(h->flags & LP_HALF_KNOWN) || (f->stream.fin & 1 << side))
			continue;
		if (h->ooo || lp_seq_before(h->next, h->acked))
			return true;
	}
	return false;
}

/* The flow was reset: it is over, or over as soon as those bytes are here, and no later
 * than an ended flow is forgotten. */
static void reset(struct lp_reasm *r, struct lp_flow *f)
{
	bool wait = awaits(f);

	if (!wait)
		lp_native_close(r, f, LP_WHY_RST);
	else
		lp_age_drop(&r->age, f);
	lp_native_bury(r, f);
}

void lp_native_over(struct lp_reasm *r, struct lp_flow *f)
{
	if (f->state == LP_FLOW_LIVE && f->stream.rst && !awaits(f))
		reset(r, f);
}

static enum lp_err on_rst(struct lp_reasm *r, struct lp_flow *f, enum lp_side side,
			  const struct lp_segment *s)
{
	struct lp_half *h = &f->half[side], *o = &f->half[!side];
	bool exact;

	if (h->flags & LP_HALF_KNOWN)
		exact = s->seq == h->next || s->seq == h->end ||
			(s->seq == h->acked && lp_seq_before(h->next, h->acked));
	else
		exact = (s->flags & LP_TCP_ACK) && (s->ack == o->next || s->ack == o->end);
	if (!exact) {
		r->stats.bad_rst++;
		return LP_OK;
	}
	r->stats.processed++;
	if (f->state == LP_FLOW_HALF) {
		lp_native_close(r, f, LP_WHY_RST);
		lp_flow_remove(&r->table, f);
		return LP_OK;
	}
	if (s->flags & LP_TCP_ACK)
		lp_native_on_ack(r, f, side, s->ack, f->window[side]);
	f->stream.rst |= (uint8_t)(1 << side);
	if (!f->stream.ender)
		f->stream.ender = (uint8_t)(side + 1);
	reset(r, f);
	return LP_OK;
}

static bool is_reuse_by_data(const struct lp_flow *f, enum lp_side side,
			     const struct lp_segment *s)
{
	return f->pending_side == side + 1 && s->seq == f->pending + 1 && s->wire_len &&
	       !(f->half[!side].flags & LP_HALF_SEEN);
}

/* The bytes and the FIN of a segment. */
static enum lp_err on_bytes(struct lp_reasm *r, struct lp_flow *f, enum lp_side side,
			    const struct lp_segment *s)
{
	struct lp_ooo_piece piece = lp_native_piece(s);
	struct lp_half *h = &f->half[side];
	uint32_t end = s->seq + s->wire_len;
	enum lp_err err = LP_OK;

	piece.hash = lp_recent_hash(&r->recent, s->payload, s->payload_len);
	if (s->wire_len > s->payload_len)
		r->stats.snaplen_cut++;
	if ((s->flags & LP_TCP_URG) && s->urgent > s->wire_len)
		r->stats.urgent_ahead++;
	/* A FIN below bytes that were seen is not to be believed. */
	if ((s->flags & LP_TCP_FIN) && !(h->flags & LP_HALF_FIN) && !lp_seq_before(end, h->end)) {
		h->flags |= LP_HALF_FIN;
		h->fin = end;
		h->end = end;
	}
	if (!s->wire_len)
		r->stats.processed++;
	else if (is_expected(r, f, side, &piece))
		err = on_data(r, f, side, &piece);
	if (f->state == LP_FLOW_LIVE && (h->flags & LP_HALF_FIN) && !(f->stream.fin & 1 << side))
		lp_native_drain(r, f, side);
	return err;
}

/* A segment with an ACK and without RST or SYN: what it says of its flow, and its bytes. */
static enum lp_err on_plain(struct lp_reasm *r, struct lp_flow *f, enum lp_side side,
			    const struct lp_segment *s)
{
	struct lp_half *h = &f->half[side];
	enum lp_err err = LP_OK;

	if (f->state == LP_FLOW_HALF) {
		if (!lp_native_is_third(f, side, s)) {
			r->stats.processed++;
			return LP_OK;
		}
		lp_native_establish(r, f, side, s);
	}
	if (!(h->flags & LP_HALF_KNOWN))
		lp_native_start_early(f, side, s->seq);
	/* Single bytes, too: a keepalive comes behind what was sent, not before it. */
	if (f->early & 1U << side && lp_seq_before(s->seq, h->next) && is_near(s->seq, h->next) &&
	    s->wire_len)
		h->next = s->seq; /* nothing was handed on yet */
	if (!is_near(s->seq, h->next)) {
		r->stats.out_of_window++;
		return LP_OK;
	}
	/* What waits of the other side is due before this one was seen. */
	if (f->early & 1U << side && !(h->flags & LP_HALF_SEEN) && f->half[!side].ooo)
		lp_native_look_at_holes(r, f);
	lp_native_on_any(r, f, side, s);
	if (s->wire_len || (s->flags & LP_TCP_FIN)) {
		err = on_bytes(r, f, side, s);
	} else {
		r->stats.processed++;
		if (s->seq + 1 == h->next && !(f->stream.fin & 1 << side))
			r->stats.keepalive++;
	}
	if (f->half[0].ooo || f->half[1].ooo || f->stream.fin == 3)
		lp_native_look_at_holes(r, f);
	lp_native_over(r, f);
	return err;
}

/* As many come one after another: bytes ahead of a hole that is known, and nothing else is to be
 * found out about them. */
static inline bool is_ahead(const struct lp_flow *f, enum lp_side side, const struct lp_segment *s)
{
	const struct lp_half *h = &f->half[side];

	return h->ooo && s->wire_len && lp_seq_before(h->next, s->seq) &&
	       is_near(s->seq, h->next) && lp_native_is_plain(f, side, s);
}

/* What lp_native_segment() comes to with such a one. */
static enum lp_err on_ahead(struct lp_reasm *r, struct lp_flow *f, enum lp_side side,
			    const struct lp_segment *s)
{
	struct lp_ooo_piece piece = lp_native_plain_piece(s);
	struct lp_half *h = &f->half[side];
	enum lp_err err = LP_OK;

	piece.hash = lp_recent_hash(&r->recent, s->payload, s->payload_len);
	if (lp_native_is_old(f, h, s)) {
		r->stats.old_timestamp++;
		return LP_OK;
	}
	lp_native_on_any(r, f, side, s);
	if (is_expected(r, f, side, &piece)) {
		if (lp_native_has_room(r, h->ooo, lp_ooo_cost(h->ooo, &piece)))
			err = keep(r, f, side, &piece);
		else
			err = on_data(r, f, side, &piece);
	}
	if (h->ooo && !lp_native_is_young(r, h->ooo))
		lp_native_look_at_holes(r, f);
	return err;
}

/* And the next in order, which reaches no further than up to what waits. */
static inline bool is_filler(const struct lp_flow *f, enum lp_side side, const struct lp_segment *s)
{
	const struct lp_half *h = &f->half[side];

	return h->ooo && s->wire_len && s->seq == h->next && !lp_leaves_empty(&h->ooo->waiting) &&
	       !lp_seq_before(lp_ooo_begin(h->ooo), s->seq + s->wire_len) &&
	       lp_native_is_plain(f, side, s);
}

/* What lp_native_segment() comes to with such a one. */
static void on_filler(struct lp_reasm *r, struct lp_flow *f, enum lp_side side,
		      const struct lp_segment *s)
{
	struct lp_half *h = &f->half[side];

	if (!lp_native_on_next(r, f, side, s))
		return;
	lp_native_drain(r, f, side);
	if (h->ooo && !lp_native_is_young(r, h->ooo))
		lp_native_look_at_holes(r, f);
}

enum lp_err lp_native_segment(struct lp_reasm *r, struct lp_flow *f, enum lp_side side,
			      const struct lp_segment *s)
{
	struct lp_half *h = &f->half[side];

	if (is_ahead(f, side, s))
		return on_ahead(r, f, side, s);
	if (is_filler(f, side, s)) {
		on_filler(r, f, side, s);
		return LP_OK;
	}
	if ((h->flags & LP_HALF_SYN) && !(f->md5 & 1 << side) &&
	    s->options_len > LP_NATIVE_UNSIGNED && lp_native_is_signed(s)) {
		r->stats.bad_md5++;
		return LP_OK;
	}
	if (s->flags & LP_TCP_RST)
		return on_rst(r, f, side, s);
	if (s->flags & LP_TCP_SYN)
		return s->flags & LP_TCP_ACK ? lp_native_syn_ack(r, f, side, s)
					     : lp_native_syn(r, f, side, s);
	/* RFC 9293 section 3.10.7.4: "if the ACK bit is off, drop the segment". */
	if (!(s->flags & LP_TCP_ACK)) {
		r->stats.no_ack++;
		return LP_OK;
	}
	/* Only one direction is captured: no SYN-ACK will come. */
	if (f->pending_side && is_reuse_by_data(f, side, s)) {
		lp_native_reuse(r, f, side, s);
		side = LP_A2B;
		h = &f->half[side];
	}
	if (lp_native_is_old(f, h, s)) {
		r->stats.old_timestamp++;
		return LP_OK;
	}
	return on_plain(r, f, side, s);
}
