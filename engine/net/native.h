/* native: what the files of the native reassembler share; nobody else but their tests includes it.
 *   tcp_native.c      the interface: batches, checksum policy, stream descriptions
 *   native_syn.c      how connections begin, and take the place of others
 *   native_segment.c  what a segment means for its stream: data, ACK, FIN, RST
 *   native_next.h     the same for the next in order, as most are
 *   native_out.c      events out: data, gaps, open, close; holes and what waits above
 *   native_clock.c    time: holes that get old, silent flows, room for new ones
 * Owner: lp_reasm belongs to its worker. Only LP_E_NOMEM climbs. */
#ifndef LP_NET_NATIVE_H
#define LP_NET_NATIVE_H

#include <arpa/inet.h>
#include <string.h>

#include "net/age.h"
#include "net/flow.h"
#include "net/ooo.h"
#include "net/recent.h"
#include "net/reasm.h"
#include "net/tcp.h"

/* The largest window there is (RFC 7323 section 2.3): what is further away cannot
 * belong to the connection. */
#define LP_NATIVE_FAR (1 << 30)

struct lp_native_next;

struct lp_reasm {
	struct lp_reasm_config config;
	const struct lp_reasm_cb *cb;
	void *user;
	struct lp_flow_table table;
	struct lp_age age;
	struct lp_ooo_pool pool;
	struct lp_recent recent;
	struct lp_reasm_stats stats;
	struct lp_csum_side stray; /* segments that belong to no flow */
	struct lp_when when;
	uint64_t now_ns;      /* packet time; never goes back */
	uint64_t tick_ns;     /* when the next second begins */
	uint64_t second;
	uint32_t index;       /* of the next event of this packet */
	const struct lp_segment *segments; /* of the batch … */
	struct lp_native_next *next;       /* … what is known of each … */
	size_t at, end;                    /* … the one at hand, and how many there are */
	bool nomem;           /* an event had to be cut short: climbs at the end of the call */
	bool advised;         /* --checksums off was advised */
};

/* --- native_syn.c --- */

/* TSval of the timestamp option (RFC 7323 section 3.2), if there is one. */
bool lp_native_timestamp_among(const struct lp_segment *s, uint32_t *value);
static inline bool lp_native_timestamp(const struct lp_segment *s, uint32_t *value)
{
	uint32_t word;

	/* As nearly everybody lays it out (RFC 7323 appendix A): NOP, NOP, timestamp. */
	if (s->options_len != 12 || memcmp(s->options, "\1\1\x8\xa", 4))
		return s->options_len && lp_native_timestamp_among(s, value);
	memcpy(&word, s->options + 4, 4);
	*value = ntohl(word);
	return true;
}

/* Whether there is an MD5 signature (RFC 2385). */
bool lp_native_is_signed(const struct lp_segment *s);

/* Two copies of the same bytes differ, and this is one of them. user: the reassembler. */
void lp_native_other(void *user, struct lp_flow *f, enum lp_side side, uint32_t seq,
		     const uint8_t *p, uint32_t n);

/* One zero byte without PSH: a keepalive with the garbage byte of old stacks. */
static inline bool lp_native_is_probe(const struct lp_segment *s)
{
	return s->wire_len == 1 && !(s->flags & (LP_TCP_PSH | LP_TCP_FIN)) &&
	       (!s->payload_len || !s->payload[0]);
}

/* A side's bytes begin at next; early: as far as is known, and its SYN may still come. */
void lp_native_start_half(struct lp_half *h, uint32_t next);
void lp_native_start_early(struct lp_flow *f, enum lp_side side, uint32_t seq);

/* A segment without a flow; one for a flow that has ended. */
LP_MUST enum lp_err lp_native_first(struct lp_reasm *r, const struct lp_flow_name *name,
				    const struct lp_segment *s);
LP_MUST enum lp_err lp_native_late(struct lp_reasm *r, struct lp_flow *f,
				   const struct lp_flow_name *name, const struct lp_segment *s);

/* SYN, or SYN-ACK, of this side of a half-open or live flow. */
LP_MUST enum lp_err lp_native_syn(struct lp_reasm *r, struct lp_flow *f, enum lp_side side,
				  const struct lp_segment *s);
LP_MUST enum lp_err lp_native_syn_ack(struct lp_reasm *r, struct lp_flow *f, enum lp_side side,
				      const struct lp_segment *s);

/* Whether a segment of this side without SYN and RST makes a half-open flow a
 * connection, and makes it one. */
bool lp_native_is_third(const struct lp_flow *f, enum lp_side side, const struct lp_segment *s);
void lp_native_establish(struct lp_reasm *r, struct lp_flow *f, enum lp_side side,
			 const struct lp_segment *s);

/* The pending SYN was answered: the old connection is over, a half-open one takes
 * its place. opener is a side of the old one. */
void lp_native_reuse(struct lp_reasm *r, struct lp_flow *f, enum lp_side opener,
		     const struct lp_segment *s);

/* --- native_segment.c --- */

/* A segment of a flow that is half-open or live. */
LP_MUST enum lp_err lp_native_segment(struct lp_reasm *r, struct lp_flow *f, enum lp_side side,
				      const struct lp_segment *s);

/* Ends a flow that was reset, once nothing of it is awaited. */
void lp_native_over(struct lp_reasm *r, struct lp_flow *f);

/* The bytes of a segment; of one without SYN and URG. */
static inline struct lp_ooo_piece lp_native_plain_piece(const struct lp_segment *s)
{
	return (struct lp_ooo_piece){ .data = s->payload, .carried_ns = s->ts_ns, .seq = s->seq,
				      .captured = s->payload_len, .wire = s->wire_len,
				      .lent = s->lent };
}

static inline struct lp_ooo_piece lp_native_piece(const struct lp_segment *s)
{
	struct lp_ooo_piece p = lp_native_plain_piece(s);
	uint32_t urgent = s->urgent ? s->urgent - 1u : 0;

	if (s->flags & LP_TCP_SYN)
		p.seq++;
	/* A host takes the byte out wherever it is; here it must be in the segment. The
	 * urgent byte is the one before the pointer (RFC 6093 section 3.1: what
	 * hosts do, not what was meant). */
	if ((s->flags & LP_TCP_URG) && urgent < s->payload_len)
		p.urgent = urgent + 1;
	return p;
}

/* Whether a piece of that cost may wait in q (NULL: in a new one) with all that waits. */
static inline bool lp_native_has_room(const struct lp_reasm *r, const struct lp_ooo *q,
				      uint64_t cost)
{
	return (q ? q->bytes : 0) + cost <= r->config.max_ooo_side && cost <= r->config.max_ooo &&
	       !lp_budget_full(r->pool.budget, r->pool.bytes, cost, r->config.max_ooo);
}

/* Makes room for a piece that must wait: gives holes up until it fits. False if it
 * cannot; *again: a hole was given up, perhaps the one in the piece's way. */
bool lp_native_make_room(struct lp_reasm *r, struct lp_flow *f, enum lp_side side, uint64_t cost,
			 bool *again);

/* Puts a piece with those that wait. */
LP_MUST enum lp_err lp_native_keep(struct lp_reasm *r, struct lp_flow *f, enum lp_side side,
				   const struct lp_ooo_piece *piece);

/* --- native_out.c --- */

/* Makes a half-open flow a live one: the consumer hears of it. */
void lp_native_open(struct lp_reasm *r, struct lp_flow *f);

/* Does what the consumer asked for, by its answer or through stream.idle. h: the half
 * that it was given something of, or NULL. */
void lp_native_heed(struct lp_reasm *r, struct lp_flow *f, struct lp_half *h, enum lp_take take);

/* Hands on what of the piece is not below next, and as a gap what the capture cut
 * off. The piece must not begin above next. */
void lp_native_deliver(struct lp_reasm *r, struct lp_flow *f, enum lp_side side,
		       const struct lp_ooo_piece *piece);

/* Hands on what waits and fits, and finds out whether something still waits. To be
 * called whenever next, fin or the queue of a live flow has changed. */
void lp_native_drain(struct lp_reasm *r, struct lp_flow *f, enum lp_side side);

/* Where the first of what waits begins. */
static inline uint32_t lp_native_waits_at(const struct lp_half *h)
{
	return h->ooo && !lp_leaves_empty(&h->ooo->waiting) ? lp_ooo_begin(h->ooo) : h->fin;
}

/* The peer has acknowledged more of this half, or another hole is the first.
 *
 * The peer has what is missing if it acknowledged up to what waits. Since when is
 * known for the first hole; for those behind it two samples, half the grace apart,
 * say it well enough, so that many holes in a row need not each wait in turn. */
void lp_native_new_evidence(struct lp_reasm *r, struct lp_half *h);
static inline void lp_native_evidence(struct lp_reasm *r, struct lp_half *h)
{
	const struct lp_ooo *q = h->ooo;

	if (r->now_ns - q->ack[1].ns >= r->config.grace_ns / 2 ||
	    (!q->evidence_ns && !lp_seq_before(h->acked, lp_native_waits_at(h))))
		lp_native_new_evidence(r, h);
}

/* Declares the first hole of a half with something waiting a gap, and drains. */
void lp_native_give_up(struct lp_reasm *r, struct lp_flow *f, enum lp_side side);

/* Closes the flow if both FINs are out. Returns whether it did. */
bool lp_native_finish(struct lp_reasm *r, struct lp_flow *f);

/* Hands on everything that waits and ends the flow, whatever its state. Afterwards
 * it is in no list; the caller removes it, or begins anew with it. */
void lp_native_close(struct lp_reasm *r, struct lp_flow *f, enum lp_why why);

/* Keeps an ended flow for a while. */
void lp_native_bury(struct lp_reasm *r, struct lp_flow *f);

/* Forgets what waits. */
void lp_native_drop_queue(struct lp_reasm *r, struct lp_half *h);

/* --- native_clock.c --- */

/* It is ts_ns, in another second than before. */
void lp_native_tick(struct lp_reasm *r, uint64_t ts_ns);

/* Events belong to packet `number` from now on, and it is at least ts_ns. */
static inline void lp_native_clock(struct lp_reasm *r, uint64_t number, uint64_t ts_ns)
{
	if (number != r->when.number) {
		r->when.number = number;
		r->index = 0;
	}
	if (ts_ns <= r->now_ns)
		return;
	if (ts_ns < r->tick_ns)
		r->now_ns = ts_ns;
	else
		lp_native_tick(r, ts_ns);
}

/* Nothing is due of a hole that is young, if no acknowledgement says anything about it (and the
 * stream has begun). */
static inline bool lp_native_is_young(const struct lp_reasm *r, const struct lp_ooo *q)
{
	return r->now_ns - q->since_ns < r->config.hole_ns && !q->evidence_ns;
}

/* Gives up the holes of a flow that are old enough; may close the flow. */
void lp_native_look_at_holes(struct lp_reasm *r, struct lp_flow *f);

/* Ends the flow that is worth least. */
void lp_native_evict(struct lp_reasm *r);

/* The capture ended: ends all flows that the consumer knows, by their first packets. */
void lp_native_end_all(struct lp_reasm *r);

/* A direction's name in lp_recent. */
static inline uint64_t lp_native_stream(const struct lp_flow *f, enum lp_side side)
{
	return (uint64_t)f->tag << 32 | (f->self * 2 + (uint32_t)side);
}

static inline uint32_t lp_native_second(const struct lp_reasm *r)
{
	return (uint32_t)r->second;
}

#endif
