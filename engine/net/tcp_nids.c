/* tcp_nids: TCP reassembly by libnids (nids_library.h), for comparison and as an
 * oracle. libnids knows IPv4 only, needs the whole handshake and cannot pass a hole.
 * Around it stands what it lacks: this file keeps a table of the flows it was told
 * about (net/flow.h), so that idle, stalled and reused connections end with an event,
 * that its own table is never full, and that two domains with the same addresses are
 * not mixed. What it cannot take is counted nids_unsupported.
 *
 * libnids says nothing of segments that overlap with other bytes. So what is fed to it is
 * compared here with what it handed on (net/recent.h) and with what waits in it, of which
 * this file keeps a copy (net/ooo.h): both copies are told of, whichever it chooses.
 *
 * carried_ns of bytes that waited is the time of the packet that released them:
 * libnids does not keep the other. */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "net/age.h"
#include "net/nids_library.h"
#include "net/ooo.h"
#include "net/reasm.h"
#include "net/recent.h"
#include "net/tcp.h"

enum {
	TCP_HEADER_MAX = 60,
	/* SYNs on live flows that are remembered until their answer comes. */
	PENDING = 256,
	FAR = 1 << 24, /* bytes; what is said of more ahead is not believed */
};

struct pending {
	uint32_t flow; /* 0 = none */
	uint32_t isn;
	uint8_t from;  /* enum lp_side */
	uint8_t length;
	uint8_t header[TCP_HEADER_MAX];
};

struct lp_reasm {
	struct lp_reasm_config config;
	const struct lp_reasm_cb *cb;
	void *user;
	struct lp_flow_table table; /* names without domain; that is in lp_flow.pending */
	struct lp_age age;
	struct lp_ooo_pool pool;    /* copies of what waits in libnids */
	struct lp_recent recent;
	struct lp_reasm_stats stats;
	struct lp_csum_side stray;
	struct lp_when when;
	uint64_t now_ns, tick_ns, second;
	uint32_t index;
	uint32_t streams_size;
	struct tcp_stream **streams; /* of libnids, by lp_flow.self */
	struct lp_flow *flow;        /* whose segment is being fed */
	enum lp_side side;
	struct pending pending[PENDING];
	uint32_t pending_next;
	bool advised, nomem;
};

static const struct lp_when *place(struct lp_reasm *r)
{
	r->when.index = r->index++;
	r->when.released_ns = r->now_ns;
	r->when.carried_ns = r->now_ns;
	return &r->when;
}

static void forget_waiting(struct lp_reasm *r, struct lp_half *h)
{
	lp_ooo_free(&r->pool, h->ooo);
	h->ooo = NULL;
}

/* The sequence number of the byte that libnids hands on next. */
static uint32_t next_seq(const struct lp_half *h)
{
	return h->next + (uint32_t)h->off;
}

/* A side of a flow begins with sequence number next. */
static void start_half(struct lp_half *h, uint32_t next)
{
	h->flags |= LP_HALF_KNOWN;
	h->next = next; /* here: what follows the SYN, for good */
	h->end = next;
}

/* The bytes below seq are known to exist. */
static void reaches(struct lp_half *h, uint32_t seq)
{
	if ((h->flags & LP_HALF_KNOWN) && lp_seq_before(h->end, seq) &&
	    lp_seq_diff(seq, next_seq(h)) <= FAR)
		h->end = seq;
}

/* What libnids will not hand on any more, because of a hole before it, or dropped: nobody shall
 * take the stream for whole. One byte that was but acknowledged is a FIN that was not captured. */
static void tell_rest(struct lp_reasm *r, struct lp_flow *f, enum lp_side side)
{
	struct lp_half *h = &f->half[side];
	bool fin = h->flags & LP_HALF_FIN;
	uint32_t end = fin && lp_seq_before(h->fin, h->end) ? h->fin : h->end;
	int32_t n = lp_seq_diff(end, next_seq(h));

	if (!(h->flags & LP_HALF_KNOWN) || (h->flags & (LP_HALF_SKIP | LP_HALF_URGENT)) || n <= 0 ||
	    (n == 1 && !fin && !h->ooo))
		return;
	r->stats.gaps++;
	r->stats.gap_bytes += (uint32_t)n;
	r->cb->gap(r->user, &f->stream, side, h->off, (uint32_t)n, place(r));
	h->off += (uint32_t)n;
}

/* Ends a flow on our side; it is in no list afterwards. */
static void finish_flow(struct lp_reasm *r, struct lp_flow *f, enum lp_why why)
{
	bool live = f->state == LP_FLOW_LIVE;

	if (live) {
		tell_rest(r, f, LP_A2B);
		tell_rest(r, f, LP_B2A);
	}
	forget_waiting(r, &f->half[0]);
	forget_waiting(r, &f->half[1]);
	lp_age_drop(&r->age, f);
	f->state = LP_FLOW_CLOSED;
	r->streams[f->self] = NULL;
	if (live) {
		r->stats.flows_now--;
		r->cb->close(r->user, &f->stream, why, place(r));
	}
}

static void bury(struct lp_reasm *r, struct lp_flow *f)
{
	f->last = (uint32_t)r->second;
	lp_age_add(&r->age, f, LP_AGE_CLOSED);
}

/* Ends a flow here and in libnids, outside of its events. */
static void end(struct lp_reasm *r, struct lp_flow *f, enum lp_why why)
{
	struct tcp_stream *stream = r->streams[f->self];
	bool half = f->state == LP_FLOW_HALF;

	finish_flow(r, f, why);
	if (half)
		lp_nids_forget_half(f->key.addr[f->swap], f->key.addr[!f->swap],
				    f->key.port[f->swap], f->key.port[!f->swap]);
	else if (stream)
		lp_nids_forget(stream);
}

static void remove_flow(struct lp_reasm *r, struct lp_flow *f, enum lp_why why)
{
	if (f->state == LP_FLOW_CLOSED)
		lp_age_drop(&r->age, f);
	else
		end(r, f, why);
	lp_flow_remove(&r->table, f);
}

static void heed(struct lp_reasm *r, struct lp_flow *f, struct lp_half *h, enum lp_take take)
{
	bool skipped;

	if (take == LP_TAKE_SKIP_FLOW) {
		f->half[0].flags |= LP_HALF_SKIP;
		f->half[1].flags |= LP_HALF_SKIP;
	} else if (take == LP_TAKE_SKIP_DIR && h) {
		h->flags |= LP_HALF_SKIP;
	} else if (f->idle == f->stream.idle) {
		return;
	}
	f->idle = f->stream.idle & 3U;
	skipped = f->half[0].flags & f->half[1].flags & LP_HALF_SKIP;
	lp_age_drop(&r->age, f);
	lp_age_add(&r->age, f, skipped ? LP_AGE_SKIPPED : LP_AGE_LIVE);
}

static void *on_open(void *user, struct tcp_stream *stream)
{
	struct lp_reasm *r = user;
	struct lp_flow *f = r->flow;

	r->streams[f->self] = stream;
	lp_age_drop(&r->age, f);
	f->state = LP_FLOW_LIVE;
	f->stream.idle = LP_IDLE_PLAIN;
	f->stream.seen = 3 | 3 << 4; /* nothing less is a connection to libnids */
	f->idle = LP_IDLE_PLAIN;
	f->last = (uint32_t)r->second;
	lp_age_add(&r->age, f, LP_AGE_LIVE);
	r->stats.flows++;
	r->stats.flows_now++;
	heed(r, f, NULL, r->cb->open(r->user, &f->stream, place(r)));
	return f;
}

static uint64_t name_of(const struct lp_flow *f, enum lp_side side)
{
	return (uint64_t)f->tag << 32 | (uint32_t)(f->self * 2 + side);
}

static void on_data(void *user, void *mark, enum lp_side side, const uint8_t *p, uint32_t n)
{
	struct lp_reasm *r = user;
	struct lp_flow *f = mark;
	struct lp_half *h = &f->half[side];
	uint64_t off = h->off;

	if (!(h->flags & (LP_HALF_SKIP | LP_HALF_URGENT)))
		lp_recent_put(&r->recent, name_of(f, side), next_seq(h), p, n);
	h->off += n;
	if (!(h->flags & LP_HALF_SKIP))
		heed(r, f, h, r->cb->data(r->user, &f->stream, side, p, n, off, place(r)));
}

static void on_end(void *user, void *mark, enum lp_why why)
{
	struct lp_reasm *r = user;
	struct lp_flow *f = mark;

	if (why == LP_WHY_FIN)
		f->stream.fin = 3;
	if (why == LP_WHY_RST) {
		f->stream.rst |= (uint8_t)(1 << r->side);
		f->stream.ender = (uint8_t)(r->side + 1);
	}
	finish_flow(r, f, why);
	bury(r, f);
}

static const struct lp_nids_events events = {
	.opened = on_open, .data = on_data, .ended = on_end,
};

/* --- copies that differ --- */

static void on_other(void *user, struct lp_flow *f, enum lp_side side, uint32_t seq,
		     const uint8_t *p, uint32_t n)
{
	struct lp_reasm *r = user;
	const struct lp_half *h = &f->half[side];
	int64_t off = (int64_t)h->off + lp_seq_diff(seq, next_seq(h));
	uint32_t cut = off < 0 ? (uint32_t)-off : 0;

	if (r->cb->other && cut < n)
		r->cb->other(r->user, &f->stream, side, p + cut, n - cut, off < 0 ? 0 : (uint64_t)off,
			     r->when.number);
}

/* Above a hole of this half segments wait from now on. */
static enum lp_err wait_begins(struct lp_reasm *r, struct lp_flow *f, enum lp_side side)
{
	struct lp_half *h = &f->half[side];

	h->ooo = lp_ooo_new(&r->pool, f, side);
	if (!h->ooo)
		return LP_E_NOMEM;
	lp_ooo_renew(&r->pool, h->ooo, (uint32_t)h->off, r->now_ns, r->when.number);
	r->stats.out_of_order++;
	return LP_OK;
}

/* What a segment brings against the copies of its bytes that came before. */
static enum lp_err compare(struct lp_reasm *r, struct lp_flow *f, enum lp_side side,
			   const struct lp_segment *s)
{
	const struct lp_ooo_piece piece = {
		.data = s->payload, .carried_ns = s->ts_ns, .seq = s->seq,
		.captured = s->payload_len, .wire = s->payload_len,
	};
	struct lp_half *h = &f->half[side];
	uint32_t next = next_seq(h), old = 0, n = piece.captured;
	bool conflict = false, added;
	enum lp_err err = LP_OK;

	/* It leaves the urgent byte out, and from then on no offset is certain. */
	if (s->flags & LP_TCP_URG)
		h->flags |= LP_HALF_URGENT;
	if (!n || s->flags & LP_TCP_SYN || h->flags & (LP_HALF_URGENT | LP_HALF_SKIP))
		return LP_OK;
	if (lp_seq_before(piece.seq, next))
		old = next - piece.seq < n ? next - piece.seq : n;
	if (old == 1 && n == 1 && piece.seq + 1 == next && !piece.data[0])
		return LP_OK; /* a keepalive with its garbage byte */
	if (old && lp_recent_differs(&r->recent, name_of(f, side), piece.seq, piece.data, old)) {
		conflict = true;
		on_other(r, f, side, piece.seq, piece.data, old);
	}
	if (lp_seq_before(next, piece.seq)) {
		if (!h->ooo)
			err = wait_begins(r, f, side);
		if (!err)
			err = lp_ooo_insert(&r->pool, h->ooo, &piece, &added, &conflict);
	} else if (h->ooo && old < n && lp_ooo_conflicts(h->ooo, next, piece.data + old, n - old)) {
		conflict = true;
		lp_ooo_tell(&r->pool, h->ooo, next, piece.data + old, n - old);
	}
	r->stats.conflicts += conflict;
	f->stream.conflict |= (uint8_t)(conflict << side);
	return err;
}

/* --- time --- */

static void end_idle(void *user, struct lp_flow *f)
{
	struct lp_reasm *r = user;

	r->stats.idle += f->state == LP_FLOW_LIVE;
	remove_flow(r, f, LP_WHY_IDLE);
}

static void tick(struct lp_reasm *r)
{
	struct lp_flow *f;

	while (r->pool.oldest && r->now_ns - r->pool.oldest->since_ns >= r->config.hole_ns) {
		f = r->pool.oldest->flow;
		end(r, f, LP_WHY_STALLED);
		bury(r, f);
	}
	lp_age_expire(&r->age, (uint32_t)r->second, end_idle, r);
}

static void set_clock(struct lp_reasm *r, uint64_t number, uint64_t ts_ns)
{
	uint64_t target = ts_ns / LP_NS_PER_S;

	if (number != r->when.number) {
		r->when.number = number;
		r->index = 0;
	}
	if (ts_ns <= r->now_ns)
		return;
	while (r->second < target && r->table.count) {
		r->second++;
		r->now_ns = r->second * LP_NS_PER_S;
		tick(r);
	}
	r->second = target;
	r->now_ns = ts_ns;
}

/* --- flows --- */

static void evict(struct lp_reasm *r)
{
	struct lp_flow *f = lp_age_least(&r->age, (uint32_t)r->second);

	if (!f)
		return;
	r->stats.evicted++;
	remove_flow(r, f, LP_WHY_EVICT);
}

/* A flow that is in no list begins with this SYN. */
static void begin(struct lp_reasm *r, struct lp_flow *f, bool swap, const struct lp_segment *s)
{
	*f = (struct lp_flow){ .key = f->key, .tag = f->tag, .self = f->self,
			       .family = f->family, .state = LP_FLOW_HALF, .swap = swap,
			       .first_number = s->number, .first_ns = s->ts_ns,
			       .pending = s->domain, .last = (uint32_t)r->second };
	start_half(&f->half[0], s->seq + 1);
	f->half[0].csum = (struct lp_csum_side){ .seen = 1, .shown = r->stray.shown };
	lp_age_add(&r->age, f, LP_AGE_HALF);
	if (r->age.count[LP_AGE_HALF] > 1 && r->age.count[LP_AGE_HALF] > r->table.max / 4)
		evict(r);
}

static enum lp_err room_for_stream(struct lp_reasm *r, uint32_t number)
{
	uint32_t size = r->streams_size ? r->streams_size * 2 : 1024;
	struct tcp_stream **streams;

	if (number < r->streams_size)
		return LP_OK;
	streams = realloc(r->streams, size * sizeof(struct tcp_stream *));
	if (!streams)
		return LP_E_NOMEM;
	for (uint32_t i = r->streams_size; i < size; i++)
		streams[i] = NULL;
	r->streams = streams;
	r->streams_size = size;
	return LP_OK;
}

/* The SYN or SYN-ACK of this very connection. */
static bool is_own_syn(const struct lp_half *h, const struct lp_segment *s)
{
	return (h->flags & LP_HALF_KNOWN) && h->next == s->seq + 1;
}

/* Finds or makes the flow of a segment; NULL if there is none, and why is counted. */
static enum lp_err flow_of(struct lp_reasm *r, const struct lp_segment *s,
			   const struct lp_flow_name *name, struct lp_flow **out)
{
	bool syn = (s->flags & (LP_TCP_SYN | LP_TCP_ACK | LP_TCP_RST)) == LP_TCP_SYN;
	bool ended = *out && (*out)->state == LP_FLOW_CLOSED;
	struct lp_flow *f = *out;
	enum lp_err err;

	*out = NULL;
	if (f && f->pending != s->domain && !(ended && syn)) {
		r->stats.nids_unsupported++;
	} else if (ended) {
		if (!syn || is_own_syn(&f->half[name->swap != f->swap], s)) {
			lp_reasm_late(&r->stats, s);
			return LP_OK;
		}
		lp_age_drop(&r->age, f);
		begin(r, f, name->swap, s);
		*out = f;
	} else if (f) {
		*out = f;
	} else if (syn) {
		if (r->table.count >= r->table.max)
			evict(r);
		err = lp_flow_insert(&r->table, name, &f);
		if (!err)
			err = room_for_stream(r, f->self);
		if (err)
			return err;
		begin(r, f, name->swap, s);
		*out = f;
	} else if (s->wire_len || (s->flags & (LP_TCP_SYN | LP_TCP_RST)) == LP_TCP_SYN) {
		r->stats.nids_unsupported++;
	} else {
		r->stats.no_flow++;
	}
	return LP_OK;
}

/* libnids ignores a SYN on addresses that it knows. */
static void remember_syn(struct lp_reasm *r, const struct lp_flow *f, enum lp_side side,
			 const struct lp_segment *s)
{
	struct pending *p = &r->pending[r->pending_next++ % PENDING];
	uint32_t head = (uint32_t)(s->payload - s->tcp);

	for (size_t i = 0; i < PENDING; i++)
		if (r->pending[i].flow == f->self)
			r->pending[i].flow = 0;
	if (head > TCP_HEADER_MAX)
		return;
	*p = (struct pending){ .flow = f->self, .isn = s->seq, .from = (uint8_t)side,
			       .length = (uint8_t)head };
	memcpy(p->header, s->tcp, head);
}

/* The answer to a remembered SYN: the old connection ends, and libnids sees the SYN. */
static enum lp_err answer_syn(struct lp_reasm *r, struct lp_flow *f, enum lp_side *side,
			      const struct lp_segment *s)
{
	struct pending *p = NULL;

	for (size_t i = 0; i < PENDING && !p; i++)
		if (r->pending[i].flow == f->self)
			p = &r->pending[i];
	if (!p || p->from == *side || p->isn + 1 != s->ack)
		return LP_OK;
	p->flow = 0;
	end(r, f, LP_WHY_REUSED);
	begin(r, f, p->from == LP_A2B ? f->swap : !f->swap, s);
	start_half(&f->half[LP_A2B], p->isn + 1);
	start_half(&f->half[LP_B2A], s->seq + 1);
	*side = LP_B2A;
	r->flow = f;
	r->side = LP_A2B;
	return lp_nids_feed(s->dst, s->src, lp_span_of(p->header, p->length), s->ts_ns);
}

/* Whether libnids keeps segments above a hole of this half, and since when. */
static void watch(struct lp_reasm *r, struct lp_flow *f, enum lp_side side)
{
	struct lp_half *h = &f->half[side];
	const struct lp_leaf_entry *first;
	struct lp_ooo_out out;

	if (!lp_nids_waits(r->streams[f->self], side)) {
		forget_waiting(r, h);
		return;
	}
	if (!h->ooo) {
		r->nomem |= wait_begins(r, f, side) != LP_OK;
		return;
	}
	if (h->ooo->below != (uint32_t)h->off)
		lp_ooo_renew(&r->pool, h->ooo, (uint32_t)h->off, r->now_ns, r->when.number);
	while ((first = lp_ooo_first(h->ooo)) && !lp_seq_before(next_seq(h), first->end)) {
		lp_ooo_pop(&r->pool, h->ooo, &out);
		lp_ooo_release(&r->pool, &out);
	}
}

/* libnids bounds what waits for one direction, not what waits in all. */
static void hold_cap(struct lp_reasm *r)
{
	struct lp_flow *f;

	while (r->pool.bytes > r->config.max_ooo) {
		f = r->pool.oldest->flow;
		r->stats.cap_total++;
		end(r, f, LP_WHY_STALLED);
		bury(r, f);
	}
}

/* What a segment of a live flow says of where its sides have come to, before libnids sees it. */
static void note(struct lp_flow *f, enum lp_side side, const struct lp_segment *s)
{
	struct lp_half *h = &f->half[side];

	if (s->flags & LP_TCP_ACK)
		reaches(&f->half[!side], s->ack);
	if ((s->flags & LP_TCP_FIN) && !lp_seq_before(s->seq + s->wire_len, next_seq(h))) {
		h->flags |= LP_HALF_FIN;
		h->fin = s->seq + s->wire_len;
	}
}

static enum lp_err on_flow(struct lp_reasm *r, struct lp_flow *f, enum lp_side side,
			   const struct lp_segment *s)
{
	uint8_t syn = s->flags & (LP_TCP_SYN | LP_TCP_ACK | LP_TCP_RST);
	enum lp_err err;

	if (syn == (LP_TCP_SYN | LP_TCP_ACK) && f->state == LP_FLOW_HALF && side == LP_B2A) {
		start_half(&f->half[side], s->seq + 1);
	} else if (f->state == LP_FLOW_LIVE && syn == LP_TCP_SYN) {
		if (!is_own_syn(&f->half[side], s))
			remember_syn(r, f, side, s);
	} else if (f->state == LP_FLOW_LIVE && syn == (LP_TCP_SYN | LP_TCP_ACK)) {
		err = answer_syn(r, f, &side, s);
		if (err)
			return err;
	}
	r->flow = f;
	r->side = side;
	f->last = f->state == LP_FLOW_LIVE ? (uint32_t)r->second : f->last;
	err = f->state == LP_FLOW_LIVE ? compare(r, f, side, s) : LP_OK;
	note(f, side, s);
	if (!err)
		err = lp_nids_feed(s->src, s->dst, lp_span_of(s->tcp, s->tcp_len), s->ts_ns);
	if (err)
		return err;
	if (f->state == LP_FLOW_HALF && s->wire_len && !(s->flags & LP_TCP_SYN))
		r->stats.nids_unsupported++; /* a handshake it did not understand */
	else
		r->stats.processed++;
	if (f->state == LP_FLOW_LIVE) {
		if (lp_nids_waits(r->streams[f->self], side))
			reaches(&f->half[side], s->seq + s->wire_len);
		watch(r, f, LP_A2B);
		watch(r, f, LP_B2A);
		hold_cap(r);
	}
	return LP_OK;
}

static enum lp_err one(struct lp_reasm *r, const struct lp_segment *s)
{
	struct lp_segment plain = *s;
	struct lp_flow_name name;
	struct lp_flow *f;
	enum lp_side side;
	enum lp_csum csum;
	enum lp_err err;

	set_clock(r, s->number, s->ts_ns);
	r->stats.segments++;
	if (s->wire_len > s->payload_len)
		r->stats.snaplen_cut++;
	if (s->family != 4 || s->wire_len > s->payload_len ||
	    s->tcp_len > LP_NIDS_TCP_MAX) {
		r->stats.nids_unsupported++;
		return LP_OK;
	}
	plain.domain = 0;
	lp_flow_name(&r->table, &plain, &name);
	f = lp_flow_find(&r->table, &name);
	side = f && name.swap != f->swap ? LP_B2A : LP_A2B;
	r->stray.shown = LP_CSUM_SHOWN_NOTHING;
	lp_segment_fetch(s, false);
	csum = lp_checksum_segment(s);
	lp_segment_fetch(s, true);
	if (!lp_reasm_judge(&r->config, &r->stats, &r->advised, s, csum,
			    f ? &f->half[side].csum : &r->stray))
		return LP_OK;
	err = flow_of(r, s, &name, &f);
	if (err || !f)
		return err;
	side = name.swap == f->swap ? LP_A2B : LP_B2A;
	return on_flow(r, f, side, s);
}

static enum lp_err nids_segments(struct lp_reasm *r, const struct lp_segment *s, size_t n)
{
	enum lp_err err = LP_OK;

	for (size_t i = 0; i < n && !err; i++)
		err = one(r, &s[i]);
	return r->nomem ? LP_E_NOMEM : err;
}

static void nids_advance(struct lp_reasm *r, uint64_t number, uint64_t now_ns)
{
	set_clock(r, number, now_ns);
}

static void nids_describe(const struct lp_reasm *r, const struct lp_stream *s,
			  struct lp_stream_info *out)
{
	const struct lp_flow *f = (const struct lp_flow *)s;

	(void)r;
	*out = (struct lp_stream_info){ .family = 4, .domain = f->pending,
					.first_number = f->first_number,
					.first_ns = f->first_ns };
	for (int i = 0; i < 2; i++) {
		memcpy(out->addr[i], f->key.addr[i ^ f->swap], 4);
		out->port[i] = f->key.port[i ^ f->swap];
	}
}

static void nids_stats(const struct lp_reasm *r, struct lp_reasm_stats *out)
{
	*out = r->stats;
	out->ooo_peak = r->pool.peak;
}

static int by_first(const void *a, const void *b)
{
	const struct lp_flow *x = *(struct lp_flow *const *)a;
	const struct lp_flow *y = *(struct lp_flow *const *)b;

	return (x->first_number > y->first_number) - (x->first_number < y->first_number);
}

static void nids_finish(struct lp_reasm *r)
{
	size_t n = 0, room = (size_t)r->stats.flows_now;
	struct lp_flow **line = calloc(room + 1, sizeof(struct lp_flow *));
	struct lp_flow *f;

	for (uint32_t number = 1; number <= r->table.used; number++) {
		f = lp_flow_at(&r->table, number);
		if (f->state == LP_FLOW_LIVE && line)
			line[n++] = f;
		else if (f->state != LP_FLOW_FREE)
			remove_flow(r, f, LP_WHY_EOF);
	}
	if (line)
		qsort(line, n, sizeof(struct lp_flow *), by_first);
	for (size_t i = 0; i < n; i++)
		remove_flow(r, line[i], LP_WHY_EOF);
	free(line);
}

static void free_all(struct lp_reasm *r)
{
	struct lp_flow *f;

	for (uint32_t number = 1; number <= r->table.used; number++) {
		f = lp_flow_at(&r->table, number);
		if (f->state == LP_FLOW_LIVE && r->cb->forget)
			r->cb->forget(r->user, &f->stream);
		lp_ooo_free(&r->pool, f->half[0].ooo);
		lp_ooo_free(&r->pool, f->half[1].ooo);
	}
	lp_ooo_pool_clear(&r->pool);
	lp_age_clear(&r->age);
	lp_flow_table_clear(&r->table);
	lp_recent_clear(&r->recent);
	free(r->streams);
	free(r);
}

static void nids_free(struct lp_reasm *r)
{
	if (!r)
		return;
	lp_nids_stop();
	free_all(r);
}

static enum lp_err nids_init(struct lp_reasm **out, const struct lp_reasm_config *config,
			     const struct lp_reasm_cb *cb, void *user)
{
	struct lp_reasm *r = calloc(1, sizeof *r);
	enum lp_err err = LP_E_NOMEM;

	*out = NULL;
	if (!r)
		return LP_E_NOMEM;
	r->config = *config;
	r->cb = cb;
	r->user = user;
	if (lp_flow_table_init(&r->table, config->max_flows, &config->seed) ||
	    lp_age_init(&r->age, &r->table, config) || lp_recent_init(&r->recent, &config->seed))
		goto out;
	r->pool.other = on_other;
	r->pool.user = r;
	err = lp_nids_start(&events, r, r->table.max);
	if (err)
		goto out;
	*out = r;
	return LP_OK;
out:
	free_all(r);
	return err;
}

const struct lp_reasm_ops lp_tcp_nids = {
	.name = "nids",
	.init = nids_init,
	.segments = nids_segments,
	.advance = nids_advance,
	.describe = nids_describe,
	.stats = nids_stats,
	.finish = nids_finish,
	.free = nids_free,
};
