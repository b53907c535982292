/* How connections begin, and how one takes the place of another. */
#include "net/native.h"

enum {
	/* How far from its SYN a connection's first data may lie, when the rest of the
	 * handshake was not seen. Beyond it the SYN belonged to something else. */
	FIRST_FAR = 1 << 20,
};

enum { SCALE = 3, TIMESTAMP = 8, SIGNATURE = 19 };

/* The body of the first option of a kind whose length with its head is `length`. */
static bool find_option(const struct lp_segment *s, uint8_t wanted, uint8_t wanted_length,
			struct lp_cursor *out)
{
	struct lp_cursor c = lp_cursor_of(s->options, s->options_len);
	struct lp_cursor body;

	while (lp_cursor_left(&c)) {
		uint8_t kind = lp_cursor_u8(&c);
		uint8_t length;

		if (kind == 0)
			break;
		if (kind == 1)
			continue;
		length = lp_cursor_u8(&c);
		if (length < 2)
			break;
		body = lp_cursor_span(lp_cursor_bytes(&c, length - 2u));
		if (kind == wanted && length == wanted_length && !c.bad) {
			*out = body;
			return true;
		}
	}
	return false;
}

bool lp_native_timestamp_among(const struct lp_segment *s, uint32_t *value)
{
	struct lp_cursor body;

	if (!find_option(s, TIMESTAMP, 10, &body))
		return false;
	*value = lp_cursor_u32(&body);
	return true;
}

bool lp_native_is_signed(const struct lp_segment *s)
{
	struct lp_cursor body;

	return find_option(s, SIGNATURE, 18, &body);
}

void lp_native_start_half(struct lp_half *h, uint32_t next)
{
	h->next = next;
	h->acked = next;
	h->end = next;
	h->flags |= LP_HALF_KNOWN;
}

void lp_native_start_early(struct lp_flow *f, enum lp_side side, uint32_t seq)
{
	lp_native_start_half(&f->half[side], seq);
	f->early = (f->early | 1U << side) & 3U;
}

/* Whether a side that had begun already may have begun at seq, as its SYN says. */
static bool may_begin_at(const struct lp_flow *f, enum lp_side side, uint32_t seq)
{
	int32_t d = lp_seq_diff(f->half[side].next, seq);

	return (f->early & 1U << side) && d >= 0 && d <= FIRST_FAR;
}

/* The SYN, or who acknowledged it, says where a side begins that had begun already. */
static bool begins_at(struct lp_reasm *r, struct lp_flow *f, enum lp_side side, uint32_t seq)
{
	struct lp_half *h = &f->half[side];

	if (!may_begin_at(f, side, seq))
		return false;
	h->next = seq;
	f->early = f->early & ~(1U << side) & 3U;
	lp_native_drain(r, f, side);
	return true;
}

/* What the SYN of one side says; whatever was believed of it before is forgotten. */
static void take_syn(struct lp_reasm *r, struct lp_flow *f, enum lp_side side,
		     const struct lp_segment *s)
{
	struct lp_half *h = &f->half[side];
	unsigned shift = side == LP_A2B ? 0 : 4, scale = 0, bit = 1U << side;
	struct lp_cursor body;
	uint32_t value;

	if (find_option(s, SCALE, 3, &body)) {
		scale = lp_cursor_u8(&body);
		if (scale > 14) /* RFC 7323 section 2.3 */
			scale = 14;
	}
	f->scale = (uint8_t)((f->scale & ~(15U << shift)) | scale << shift);
	f->md5 = (f->md5 & ~bit & 3) | (lp_native_is_signed(s) ? bit & 3 : 0);
	lp_native_drop_queue(r, h);
	h->flags = LP_HALF_SEEN | LP_HALF_SYN;
	if (lp_native_timestamp(s, &value)) {
		h->flags |= LP_HALF_TS_OK | LP_HALF_TS; /* RFC 7323 section 4.3: TS.Recent begins with it */
		h->ts = value;
	}
	lp_native_start_half(h, s->seq + 1);
}

/* A flow in no list becomes a new half-open one. first is who opens it. */
static void begin(struct lp_reasm *r, struct lp_flow *f, bool first_is_swapped,
		  const struct lp_segment *s)
{
	struct lp_csum_side csum[2] = { f->half[0].csum, f->half[1].csum };
	bool turned = f->swap != first_is_swapped;

	*f = (struct lp_flow){ .key = f->key, .tag = f->tag, .self = f->self,
			       .family = f->family, .state = LP_FLOW_HALF,
			       .swap = first_is_swapped, .first_number = s->number,
			       .scale = 0xff, .md5 = 3,
			       .first_ns = s->ts_ns, .last = lp_native_second(r) };
	f->half[0].csum = csum[turned];
	f->half[1].csum = csum[!turned];
	lp_age_add(&r->age, f, LP_AGE_HALF);
	/* Half-open ones have a quarter of the table; the oldest makes room. */
	if ((s->flags & LP_TCP_SYN) && r->age.count[LP_AGE_HALF] > 1 &&
	    lp_budget_full(r->age.half, r->age.count[LP_AGE_HALF], 0, r->table.max / 4))
		lp_native_evict(r);
}

/* A bare ACK must fit: a host answers a stray SYN with one, too. */
bool lp_native_is_third(const struct lp_flow *f, enum lp_side side, const struct lp_segment *s)
{
	const struct lp_half *h = &f->half[side], *o = &f->half[!side];

	/* Data of a SYN still waits below its end. */
	if ((h->flags & LP_HALF_KNOWN) && !s->wire_len &&
	    (lp_seq_before(s->seq, h->next) || lp_seq_before(h->end, s->seq)))
		return false;
	if ((o->flags & LP_HALF_KNOWN) && !s->wire_len &&
	    (!(s->flags & LP_TCP_ACK) || lp_seq_before(s->ack, o->next) ||
	     lp_seq_diff(s->ack, o->next) > FIRST_FAR))
		return false;
	return true;
}

void lp_native_establish(struct lp_reasm *r, struct lp_flow *f, enum lp_side side,
		      const struct lp_segment *s)
{
	struct lp_half *h = &f->half[side], *o = &f->half[!side];
	int32_t d = lp_seq_diff(s->seq, h->next);

	if (!(h->flags & LP_HALF_KNOWN) ||
	    (!(o->flags & LP_HALF_KNOWN) && (d < -FIRST_FAR || d > FIRST_FAR))) {
		lp_native_drop_queue(r, h);
		h->flags &= (uint8_t)~LP_HALF_SYN;
		lp_native_start_early(f, side, s->seq);
	}
	lp_native_open(r, f);
	lp_native_drain(r, f, LP_A2B);
	lp_native_drain(r, f, LP_B2A);
}

/* Data that rides on a SYN (RFC 7413) waits until the connection is established. */
static enum lp_err syn_data(struct lp_reasm *r, struct lp_flow *f, enum lp_side side,
			    const struct lp_segment *s)
{
	struct lp_ooo_piece piece = lp_native_piece(s);
	bool again = true;

	if (piece.wire != piece.captured || !piece.wire) {
		r->stats.processed++;
		return LP_OK;
	}
	while (again)
		if (!lp_native_make_room(r, f, side, lp_ooo_cost(f->half[side].ooo, &piece), &again)) {
			r->stats.memcap++;
			return LP_OK;
		}
	f->half[side].end = piece.seq + piece.wire;
	return lp_native_keep(r, f, side, &piece);
}

void lp_native_reuse(struct lp_reasm *r, struct lp_flow *f, enum lp_side opener,
		  const struct lp_segment *s)
{
	bool swap = opener == LP_A2B ? f->swap : !f->swap;
	uint32_t isn = f->pending;
	bool ts = f->pending_ts;
	struct lp_half *h;

	lp_native_close(r, f, LP_WHY_REUSED);
	begin(r, f, swap, s);
	h = &f->half[LP_A2B];
	h->flags = LP_HALF_SEEN | LP_HALF_SYN | (ts ? LP_HALF_TS_OK : 0);
	lp_native_start_half(h, isn + 1);
}

static bool is_own_syn(const struct lp_half *h, const struct lp_segment *s)
{
	if (!(h->flags & LP_HALF_KNOWN) || (h->flags & LP_HALF_URGENT))
		return false;
	return s->seq + 1 == h->next - (uint32_t)h->off;
}

/* Data that belonged to no connection was reset, and waited for its beginning: it is not this one,
 * whatever its SYN looked like. */
static bool is_of_another(const struct lp_flow *f, enum lp_side side, const struct lp_segment *s)
{
	const struct lp_half *h = &f->half[side];

	return f->state == LP_FLOW_LIVE && f->stream.rst && (h->flags & LP_HALF_KNOWN) &&
	       !may_begin_at(f, side, s->seq + 1) && !is_own_syn(h, s);
}

enum lp_err lp_native_syn_ack(struct lp_reasm *r, struct lp_flow *f, enum lp_side side,
			      const struct lp_segment *s)
{
	struct lp_half *h = &f->half[side], *o = &f->half[!side];

	if (f->pending_side == !side + 1 && s->ack == f->pending + 1) {
		lp_native_reuse(r, f, (enum lp_side)!side, s);
		side = LP_B2A;
		h = &f->half[LP_B2A];
		o = &f->half[LP_A2B];
	} else if (is_of_another(f, side, s)) {
		lp_native_close(r, f, LP_WHY_RST);
		begin(r, f, side == LP_A2B ? !f->swap : f->swap, s);
		side = LP_B2A;
		h = &f->half[LP_B2A];
		o = &f->half[LP_A2B];
	} else if (f->state == LP_FLOW_LIVE) {
		bool early = begins_at(r, f, (enum lp_side)!side, s->ack);

		if (begins_at(r, f, side, s->seq + 1)) {
			h->flags |= LP_HALF_SEEN | LP_HALF_SYN;
		} else if (early) {
		} else if (!(h->flags & LP_HALF_KNOWN)) {
			take_syn(r, f, side, s);
		} else if (is_own_syn(h, s)) {
			r->stats.duplicate++;
		} else {
			r->stats.out_of_window++;
			return LP_OK;
		}
		r->stats.processed++;
		return LP_OK;
	}
	take_syn(r, f, side, s);
	/* The server knows which of the client's SYNs it answers. */
	if (!(o->flags & LP_HALF_KNOWN) || lp_seq_before(s->ack, o->next) ||
	    lp_seq_before(o->end, s->ack)) {
		lp_native_drop_queue(r, o);
		lp_native_start_half(o, s->ack);
	} else {
		/* Data of the SYN that it does not acknowledge was not taken. */
		if (s->ack == o->next)
			lp_native_drop_queue(r, o);
		o->acked = s->ack;
	}
	return syn_data(r, f, side, s);
}

enum lp_err lp_native_syn(struct lp_reasm *r, struct lp_flow *f, enum lp_side side,
			  const struct lp_segment *s)
{
	struct lp_half *h = &f->half[side];
	uint32_t value;

	if (f->state == LP_FLOW_LIVE && begins_at(r, f, side, s->seq + 1)) {
		h->flags |= LP_HALF_SEEN | LP_HALF_SYN;
		r->stats.processed++;
		return LP_OK;
	}
	if (is_own_syn(h, s)) {
		r->stats.duplicate++;
		r->stats.processed++;
		return LP_OK;
	}
	/* Another try with another ISN, or a simultaneous open. */
	if (f->state == LP_FLOW_HALF && !(h->flags & f->half[!side].flags & LP_HALF_SYN)) {
		take_syn(r, f, side, s);
		return syn_data(r, f, side, s);
	}
	f->pending = s->seq;
	f->pending_side = (side + 1U) & 3;
	f->pending_ts = lp_native_timestamp(s, &value);
	r->stats.processed++;
	return LP_OK;
}

enum lp_err lp_native_first(struct lp_reasm *r, const struct lp_flow_name *name,
			    const struct lp_segment *s)
{
	bool syn = s->flags & LP_TCP_SYN, answer = syn && (s->flags & LP_TCP_ACK);
	enum lp_side side;
	struct lp_flow *f;
	enum lp_err err;

	if ((s->flags & LP_TCP_RST) || (!syn && (!s->wire_len || lp_native_is_probe(s)))) {
		r->stats.no_flow++;
		return LP_OK;
	}
	if (lp_budget_full(r->table.budget, r->table.count, 1, r->table.max))
		lp_native_evict(r);
	err = lp_flow_insert(&r->table, name, &f);
	if (err)
		return err;
	begin(r, f, answer ? !name->swap : name->swap, s);
	side = answer ? LP_B2A : LP_A2B;
	/* It has been judged as a stray; from here on this side judges for itself. */
	f->half[side].csum = (struct lp_csum_side){ .seen = 1, .shown = r->stray.shown };
	return lp_native_segment(r, f, side, s);
}

/* Whether a number is none of those that a side has used. */
static bool is_foreign(const struct lp_half *h, uint32_t x)
{
	uint32_t syn = h->next - (uint32_t)h->off - 1;
	uint32_t end = lp_seq_before(h->end, h->acked) ? h->acked : h->end;

	if (h->off > LP_NATIVE_FAR || (h->flags & LP_HALF_URGENT))
		return false;
	return !(h->flags & LP_HALF_KNOWN) || lp_seq_before(x, syn) || lp_seq_before(end + 1, x);
}

/* A mirror port may show bytes of the next connection before its SYN: neither number can be of the
 * one that has ended. */
static bool is_data_of_next(const struct lp_flow *f, enum lp_side side, const struct lp_segment *s)
{
	return (s->flags & LP_TCP_ACK) && s->wire_len && !lp_native_is_probe(s) &&
	       (f->half[side].flags & LP_HALF_KNOWN) && is_foreign(&f->half[side], s->seq) &&
	       is_foreign(&f->half[!side], s->ack);
}

enum lp_err lp_native_late(struct lp_reasm *r, struct lp_flow *f, const struct lp_flow_name *name,
			   const struct lp_segment *s)
{
	enum lp_side side = name->swap == f->swap ? LP_A2B : LP_B2A;
	bool syn = s->flags & LP_TCP_SYN, answer = syn && (s->flags & LP_TCP_ACK);

	if ((s->flags & LP_TCP_RST) ||
	    (syn ? is_own_syn(&f->half[side], s) : !is_data_of_next(f, side, s))) {
		lp_reasm_late(&r->stats, s);
		return LP_OK;
	}
	lp_age_drop(&r->age, f);
	begin(r, f, answer ? !name->swap : name->swap, s);
	return lp_native_segment(r, f, answer ? LP_B2A : LP_A2B, s);
}

