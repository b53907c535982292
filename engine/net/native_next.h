/* native_next: the short way of a segment that is the next in order, and what it shares
 * with the way of all others. Part of native.h, for those who need it inline. */
#ifndef LP_NET_NATIVE_NEXT_H
#define LP_NET_NATIVE_NEXT_H

#include "net/native.h"

/* No signature stands in so few bytes of options: it takes 18, padded to 20. */
enum { LP_NATIVE_UNSIGNED = 18 };

/* RFC 7323 section 5.3. Like Linux, one tick of tolerance. */
static inline bool lp_native_is_old(const struct lp_flow *f, struct lp_half *h,
				    const struct lp_segment *s)
{
	uint32_t value;

	if (!(f->half[0].flags & f->half[1].flags & LP_HALF_TS_OK) ||
	    !lp_native_timestamp(s, &value))
		return false;
	if ((h->flags & LP_HALF_TS) && lp_seq_diff(h->ts, value) > 1)
		return true;
	/* "If SEG.TSval >= TS.Recent and SEG.SEQ <= Last.ACK.sent": what is ahead of
	 * a hole must not make the hole's bytes look old. Nor may what is all behind:
	 * a receiver finds it unacceptable before it looks at its timestamp. */
	if (!lp_seq_before(h->next, s->seq) && !lp_seq_before(s->seq + s->wire_len, h->next) &&
	    (!(h->flags & LP_HALF_TS) || lp_seq_before(h->ts, value))) {
		h->ts = value;
		h->flags |= LP_HALF_TS;
	}
	return false;
}

/* What side offers to take, from its acknowledgement on. An offer is not withdrawn (RFC 9293
 * section 3.8.6), and it may grow while a hole holds the acknowledgements back: the
 * furthest end counts. */
static inline void lp_native_on_offer(struct lp_flow *f, enum lp_side side, uint32_t further,
				      uint16_t window)
{
	uint32_t taken = further >> (f->scale >> 4 * side & 15);
	uint32_t left = f->window[side] > taken ? f->window[side] - taken : 0;

	f->window[side] = left > window ? (uint16_t)left : window;
}

static inline void lp_native_on_ack(struct lp_reasm *r, struct lp_flow *f, enum lp_side side,
				    uint32_t ack, uint16_t window)
{
	struct lp_half *peer = &f->half[1 - side];

	if (!(peer->flags & LP_HALF_KNOWN)) {
		lp_native_start_early(f, (enum lp_side)!side, ack);
		return;
	}
	if (lp_seq_before(ack, peer->acked) || lp_seq_diff(ack, peer->next) > LP_NATIVE_FAR)
		return;
	lp_native_on_offer(f, side, ack - peer->acked, window);
	if (ack == peer->acked)
		return;
	peer->acked = ack;
	if (peer->ooo)
		lp_native_evidence(r, peer);
}

/* What a segment with an ACK says beside its bytes. */
static inline void lp_native_on_any(struct lp_reasm *r, struct lp_flow *f, enum lp_side side,
				    const struct lp_segment *s)
{
	f->half[side].flags |= LP_HALF_SEEN;
	if (!f->stream.rst)
		f->last = lp_native_second(r);
	lp_native_on_ack(r, f, side, s->ack, s->window);
}

/* The place of the next event. */
static inline const struct lp_when *lp_native_place(struct lp_reasm *r, uint64_t carried_ns)
{
	r->when.index = r->index++;
	r->when.released_ns = r->now_ns;
	r->when.carried_ns = carried_ns;
	return &r->when;
}

/* The stream as the consumer is to see it now. */
static inline struct lp_stream *lp_native_known(struct lp_flow *f)
{
	unsigned a = f->half[0].flags, b = f->half[1].flags;

	f->stream.seen |= (uint8_t)((a & LP_HALF_SEEN) / LP_HALF_SEEN |
				    (b & LP_HALF_SEEN) / LP_HALF_SEEN << 1 |
				    (a & LP_HALF_SYN) / LP_HALF_SYN << 4 |
				    (b & LP_HALF_SYN) / LP_HALF_SYN << 5);
	return &f->stream;
}

/* Hands on n bytes at next. */
static inline void lp_native_give(struct lp_reasm *r, struct lp_flow *f, enum lp_side side,
				  const uint8_t *p, uint32_t n, uint64_t carried_ns)
{
	struct lp_half *h = &f->half[side];
	uint32_t seq = h->next;
	uint64_t off = h->off;
	enum lp_take take;

	h->next += n;
	h->off += n;
	if (h->flags & LP_HALF_SKIP)
		return;
	lp_recent_put(&r->recent, lp_native_stream(f, side), seq, p, n);
	take = r->cb->data(r->user, lp_native_known(f), side, p, n, off, lp_native_place(r, carried_ns));
	if (take != LP_TAKE_ON || f->idle != f->stream.idle)
		lp_native_heed(r, f, h, take);
}

/* Nothing ends or is in doubt on either side, the segment is whole, and all it carries is bytes;
 * and the other side has no hole. */
static inline bool lp_native_is_plain(const struct lp_flow *f, enum lp_side side,
				      const struct lp_segment *s)
{
	const unsigned known = LP_TCP_ACK | LP_TCP_SYN | LP_TCP_FIN | LP_TCP_RST | LP_TCP_URG;
	const struct lp_half *h = &f->half[side];

	return (s->flags & known) == LP_TCP_ACK && s->wire_len == s->payload_len &&
	       s->options_len <= LP_NATIVE_UNSIGNED &&
	       (h->flags & (LP_HALF_KNOWN | LP_HALF_FIN)) == LP_HALF_KNOWN &&
	       f->state == LP_FLOW_LIVE && !f->stream.fin && !f->stream.rst && !f->early &&
	       !f->pending_side && !f->half[!side].ooo;
}

/* Most segments are such, and the next of their side, which has no hole either: nothing can be
 * found out about them but what lp_native_on_next() does. */
static inline bool lp_native_is_next(const struct lp_flow *f, enum lp_side side,
				     const struct lp_segment *s)
{
	const struct lp_half *h = &f->half[side];

	return s->seq == h->next && !h->ooo && lp_native_is_plain(f, side, s);
}

/* What lp_native_segment() comes to with such a one. False: it is an old one, and nothing has
 * happened. */
static inline bool lp_native_on_next(struct lp_reasm *r, struct lp_flow *f, enum lp_side side,
				     const struct lp_segment *s)
{
	struct lp_half *h = &f->half[side];
	uint32_t end = s->seq + s->wire_len;

	if (lp_native_is_old(f, h, s)) {
		r->stats.old_timestamp++;
		return false;
	}
	lp_native_on_any(r, f, side, s);
	r->stats.processed++;
	if (!s->wire_len)
		return true;
	if (lp_seq_before(h->end, end))
		h->end = end;
	lp_native_give(r, f, side, s->payload, s->wire_len, s->ts_ns);
	return true;
}

#endif
