/* The native reassembler: what a segment means for its flow. See native.h. */
#include <stdlib.h>
#include <string.h>

#include "net/native_next.h"

enum {
	BATCH = 64,
	AHEAD = 8, /* segments whose flows are on their way into the cache, and as many more */
	SOON = 3,  /* and those that are there: what waits in them may still be elsewhere */
};

/* Segments of one flow that follow each other in the batch, in whichever direction: they are
 * looked up once. */
struct train {
	struct lp_flow_name name; /* of the first segment */
	struct lp_flow *f;        /* as of `changes` of the flow table */
	uint32_t changes;
};

/* A segment of the batch. */
struct lp_native_next {
	struct train *train;
	uint32_t near;     /* for lp_ooo_pool */
	bool swap;         /* as in its name */
	bool leads;        /* its train */
};

static inline struct lp_flow *flow_of(const struct lp_reasm *r, struct train *t)
{
	if (t->changes != r->table.changes) {
		t->f = lp_flow_find(&r->table, &t->name);
		t->changes = r->table.changes;
	}
	return t->f;
}

static inline enum lp_side side_of(const struct lp_flow *f, const struct lp_native_next *next)
{
	return f && next->swap != f->swap ? LP_B2A : LP_A2B;
}

static inline void look(const struct lp_reasm *r, struct lp_native_next *next,
			const struct lp_segment *s)
{
	const struct lp_flow *f = flow_of(r, next->train);
	const struct lp_half *h = f ? &f->half[side_of(f, next)] : NULL;

	next->near = h && h->ooo ? lp_ooo_prefetch(h->ooo, s->seq) : 0;
	/* If it will not wait among many others, nor be for nobody: */
	if (!next->near && s->wire_len && !(h && h->flags & LP_HALF_SKIP)) {
		lp_recent_prefetch(&r->recent, next->train->name.tag, s->seq, s->wire_len);
		if (h && h->ooo) /* it may be the turn of what waits behind it */
			lp_recent_prefetch(&r->recent, next->train->name.tag, s->seq + s->wire_len,
					   s->wire_len);
	}
}

/* A segment of no flow, or of one that has ended. */
static enum lp_err other(struct lp_reasm *r, struct lp_flow *f, const struct lp_native_next *next,
			 const struct lp_segment *s)
{
	struct lp_flow_name name = next->train->name;

	name.swap = next->swap;
	return f ? lp_native_late(r, f, &name, s) : lp_native_first(r, &name, s);
}

/* What the checksum says. Bytes that are likely to be handed on, and to be gone then, are hashed on
 * the way. */
static enum lp_csum look_at(struct lp_reasm *r, const struct lp_flow *f, enum lp_side side,
			    const struct lp_segment *s)
{
	uint64_t sum;

	if (s->lent) {
		lp_recent_stays(&r->recent, s->payload, s->payload_len);
		return lp_checksum_segment(s);
	}
	if (s->csum != LP_CSUM_LATER || !f || f->state != LP_FLOW_LIVE || !s->payload_len ||
	    f->half[side].flags & LP_HALF_SKIP)
		return lp_checksum_segment(s);
	sum = lp_sum_header(s->tcp, (size_t)(s->payload - s->tcp));
	return lp_checksum_of(s, sum + lp_recent_look(&r->recent, s->payload, s->payload_len));
}

static inline enum lp_err one(struct lp_reasm *r, const struct lp_native_next *next,
			      const struct lp_segment *s)
{
	struct lp_flow *f;
	enum lp_side side;
	enum lp_csum csum;

	lp_native_clock(r, s->number, s->clock_ns > s->ts_ns ? s->clock_ns : s->ts_ns);
	r->stats.segments++;
	f = flow_of(r, next->train);
	r->pool.near = next->near;
	side = side_of(f, next);
	r->stray.shown = LP_CSUM_SHOWN_NOTHING; /* of one stray, it says nothing about the next */
	lp_segment_fetch(s, false);
	csum = look_at(r, f, side, s);
	lp_segment_fetch(s, true);
	if (!lp_reasm_judge(&r->config, &r->stats, &r->advised, s, csum,
			    f ? &f->half[side].csum : &r->stray))
		return LP_OK;
	if (!f || f->state == LP_FLOW_CLOSED)
		return other(r, f, next, s);
	if (!lp_native_is_next(f, side, s))
		return lp_native_segment(r, f, side, s);
	(void)lp_native_on_next(r, f, side, s);
	return LP_OK;
}

/* Which train each segment is of, and where in the table these are. */
static void couple(const struct lp_reasm *r, const struct lp_segment *s, size_t n,
		   struct lp_native_next *next, struct train *train)
{
	const struct train *first = train;
	bool swap = false;

	for (size_t i = 0; i < n; i++) {
		if (i && lp_flow_is_of(&train->name, &s[i], &swap)) {
			next[i] = (struct lp_native_next){ .train = train, .swap = swap };
			continue;
		}
		train += i > 0;
		lp_flow_name(&r->table, &s[i], &train->name);
		train->changes = r->table.changes - 1; /* nobody has looked yet */
		swap = train->name.swap;
		next[i] = (struct lp_native_next){ .train = train, .swap = swap, .leads = true };
	}
	for (; first <= train; first++)
		lp_flow_prefetch_slot(&r->table, &first->name);
}

/* The flows of these segments are needed soon. A processor that asks for what lies in another page
 * waits until it has found the page, and only there do such waits overlap where nothing else stands
 * between them: so many are asked for at once, and not one with each segment. */
static inline void fetch_flows(const struct lp_reasm *r, const struct lp_native_next *from,
			       const struct lp_native_next *to)
{
	for (; from < to; from++)
		if (from->leads)
			lp_flow_prefetch(&r->table, &from->train->name);
}

static inline size_t at_most(size_t n, size_t most)
{
	return n < most ? n : most;
}

static enum lp_err native_segments(struct lp_reasm *r, const struct lp_segment *s, size_t n)
{
	struct train train[BATCH];
	struct lp_native_next next[BATCH];
	enum lp_err err = LP_OK;
	size_t some;

	for (; n && !err; s += some, n -= some) {
		some = at_most(n, BATCH);
		couple(r, s, some, next, train);
		r->segments = s;
		r->next = next;
		r->end = some;
		fetch_flows(r, next, next + at_most(some, AHEAD));
		for (size_t i = 0; i < some && i < SOON; i++)
			look(r, &next[i], &s[i]);
		for (size_t i = 0; i < some && !err; i++) {
			if (i % AHEAD == 0 && i + AHEAD < some)
				fetch_flows(r, next + i + AHEAD, next + at_most(some, i + 2 * AHEAD));
			if (i + SOON < some)
				look(r, &next[i + SOON], &s[i + SOON]);
			r->at = i;
			err = one(r, &next[i], &s[i]);
			lp_recent_forget(&r->recent);
		}
	}
	r->end = 0;
	return r->nomem ? LP_E_NOMEM : err;
}

/* Segments of other flows, of the other side and out of order are passed over. */
static size_t native_coming(struct lp_reasm *r, const struct lp_stream *stream, enum lp_side side,
			    uint64_t off, lp_span *out, size_t max)
{
	const struct lp_flow *f = (const struct lp_flow *)stream;
	uint32_t seq = f->half[side].next;
	size_t n = 0;

	if (f->half[side].off != off || f->half[side].ooo)
		return 0;
	for (size_t i = r->at + 1; i < r->end && n < max; i++) {
		const struct lp_segment *s = &r->segments[i];

		if (s->seq != seq || !s->payload_len || s->payload_len != s->wire_len ||
		    flow_of(r, r->next[i].train) != f || side_of(f, &r->next[i]) != side)
			continue;
		out[n++] = lp_span_of(s->payload, s->payload_len);
		seq += s->payload_len;
	}
	return n;
}

static void native_advance(struct lp_reasm *r, uint64_t number, uint64_t now_ns)
{
	lp_native_clock(r, number, now_ns);
}

static void native_describe(const struct lp_reasm *r, const struct lp_stream *s,
			    struct lp_stream_info *out)
{
	const struct lp_flow *f = (const struct lp_flow *)s;

	(void)r;
	*out = (struct lp_stream_info){ .family = f->family, .domain = f->key.domain,
					.first_number = f->first_number,
					.first_ns = f->first_ns };
	for (int i = 0; i < 2; i++) {
		memcpy(out->addr[i], f->key.addr[i ^ f->swap], sizeof out->addr[i]);
		out->port[i] = f->key.port[i ^ f->swap];
		out->off[i] = f->half[i].off;
	}
}

static void native_stats(const struct lp_reasm *r, struct lp_reasm_stats *out)
{
	*out = r->stats;
	out->ooo_peak = r->pool.peak;
}

static void native_free(struct lp_reasm *r)
{
	struct lp_flow *f;

	if (!r)
		return;
	for (uint32_t number = 1; number <= r->table.used; number++) {
		f = lp_flow_at(&r->table, number);
		if (f->state == LP_FLOW_LIVE && r->cb->forget)
			r->cb->forget(r->user, &f->stream);
		lp_native_drop_queue(r, &f->half[0]);
		lp_native_drop_queue(r, &f->half[1]);
	}
	lp_ooo_pool_clear(&r->pool);
	lp_recent_clear(&r->recent);
	lp_age_clear(&r->age);
	lp_flow_table_clear(&r->table);
	free(r);
}

static enum lp_err native_init(struct lp_reasm **out, const struct lp_reasm_config *config,
			       const struct lp_reasm_cb *cb, void *user)
{
	struct lp_reasm *r = calloc(1, sizeof *r);

	*out = NULL;
	if (!r)
		return LP_E_NOMEM;
	r->config = *config;
	r->cb = cb;
	r->user = user;
	r->when.tick = LP_TICK_NONE;
	r->pool.overlap = config->overlap;
	r->pool.other = lp_native_other;
	r->pool.user = r;
	if (lp_flow_table_init(&r->table, config->max_flows, &config->seed) ||
	    lp_recent_init(&r->recent, &config->seed) ||
	    lp_age_init(&r->age, &r->table, config)) {
		native_free(r);
		return LP_E_NOMEM;
	}
	if (config->common) {
		r->table.budget = &config->common->flows;
		r->age.half = &config->common->half;
		r->pool.budget = &config->common->ooo;
	}
	*out = r;
	return LP_OK;
}

const struct lp_reasm_ops lp_tcp_native = {
	.name = "native",
	.init = native_init,
	.segments = native_segments,
	.advance = native_advance,
	.describe = native_describe,
	.coming = native_coming,
	.stats = native_stats,
	.finish = lp_native_end_all,
	.free = native_free,
};
