#include "base/clock.h"
#include "net/native.h"

static bool is_due(const struct lp_reasm *r, const struct lp_ooo *q)
{
	if (r->now_ns - q->since_ns >= r->config.hole_ns)
		return true;
	return q->evidence_ns && r->now_ns - q->evidence_ns >= r->config.grace_ns;
}

void lp_native_look_at_holes(struct lp_reasm *r, struct lp_flow *f)
{
	for (enum lp_side side = LP_A2B; side <= LP_B2A; side++)
		while (f->half[side].ooo && is_due(r, f->half[side].ooo))
			lp_native_give_up(r, f, side);
	(void)lp_native_finish(r, f);
}

static void all_holes(struct lp_reasm *r)
{
	struct lp_ooo *q = r->pool.oldest;
	struct lp_flow *f;

	/* Giving up touches the holes of this flow only: go on with another flow's.
	 * New holes are put at the end and are not due. */
	while (q) {
		f = q->flow;
		while (q && q->flow == f)
			q = q->newer;
		if (f->state == LP_FLOW_LIVE)
			lp_native_look_at_holes(r, f);
	}
}

static void end(struct lp_reasm *r, struct lp_flow *f, enum lp_why why)
{
	if (f->state == LP_FLOW_CLOSED)
		lp_age_drop(&r->age, f);
	else
		lp_native_close(r, f, why);
	lp_flow_remove(&r->table, f);
}

static void end_queue(struct lp_reasm *r, enum lp_age_class of, uint32_t after)
{
	struct lp_flow *f;
	uint32_t number;

	while ((number = lp_age_first(&r->age, of, 0))) {
		f = lp_flow_at(&r->table, number);
		if (lp_native_second(r) - f->last <= after)
			return;
		end(r, f, LP_WHY_IDLE);
	}
}

/* Looks at the flows that may have been silent for longer than `after`. */
static void end_silent(struct lp_reasm *r, enum lp_age_class of, uint32_t after)
{
	uint32_t now = lp_native_second(r);
	uint32_t number = lp_age_first(&r->age, of, now - after - 1);
	struct lp_flow *f;

	while (number) {
		f = lp_flow_at(&r->table, number);
		number = f->next;
		if (lp_age_settle(&r->age, f))
			continue;
		if (now - f->last > (of == LP_AGE_SKIPPED ? after : r->idle_s[f->stream.idle]))
			end(r, f, LP_WHY_IDLE);
	}
}

static void tick(struct lp_reasm *r)
{
	all_holes(r);
	end_queue(r, LP_AGE_HALF, r->syn_s);
	end_queue(r, LP_AGE_CLOSED, r->closed_s);
	for (int i = 0; i < 3; i++)
		end_silent(r, LP_AGE_LIVE, r->idle_s[i]);
	end_silent(r, LP_AGE_SKIPPED, r->idle_s[LP_IDLE_PLAIN]);
}

void lp_native_clock(struct lp_reasm *r, uint64_t number, uint64_t ts_ns)
{
	uint64_t target;

	if (number != r->when.number) {
		r->when.number = number;
		r->index = 0;
	}
	if (ts_ns <= r->now_ns)
		return;
	if (ts_ns < r->tick_ns) {
		r->now_ns = ts_ns;
		return;
	}
	/* Second by second, for order; no longer than there are flows, which is at
	 * most as long as the longest timeout. */
	target = ts_ns / LP_NS_PER_S;
	while (r->second < target && r->table.count) {
		r->second++;
		r->now_ns = r->second * LP_NS_PER_S;
		tick(r);
	}
	r->second = target;
	r->now_ns = ts_ns;
	r->tick_ns = target < UINT64_MAX / LP_NS_PER_S ? (target + 1) * LP_NS_PER_S : UINT64_MAX;
}

void lp_native_evict(struct lp_reasm *r)
{
	static const enum lp_age_class turn[] = {
		LP_AGE_HALF, LP_AGE_CLOSED, LP_AGE_SKIPPED, LP_AGE_LIVE,
	};
	struct lp_flow *f = NULL;

	for (size_t i = 0; i < sizeof turn / sizeof turn[0] && !f; i++)
		f = lp_age_longest(&r->age, turn[i], lp_native_second(r));
	if (!f)
		return;
	r->stats.evicted++;
	end(r, f, LP_WHY_EVICT);
}

/* Merges two lists sorted by order of opening. */
static uint32_t merge(struct lp_reasm *r, uint32_t a, uint32_t b)
{
	uint32_t first = 0, *link = &first;
	struct lp_flow *fa, *fb;

	while (a && b) {
		fa = lp_flow_at(&r->table, a);
		fb = lp_flow_at(&r->table, b);
		if ((int32_t)(fa->order - fb->order) < 0) {
			*link = a;
			link = &fa->next;
			a = fa->next;
		} else {
			*link = b;
			link = &fb->next;
			b = fb->next;
		}
	}
	*link = a ? a : b;
	return first;
}

uint32_t lp_native_line_up(struct lp_reasm *r)
{
	uint32_t run[32] = { 0 }, all = 0;
	struct lp_flow *f;

	for (uint32_t number = 1; number <= r->table.used; number++) {
		f = lp_flow_at(&r->table, number);
		if (f->state == LP_FLOW_FREE)
			continue;
		if (f->state != LP_FLOW_LIVE) {
			end(r, f, LP_WHY_EOF);
			continue;
		}
		/* Merge sort without memory: run[i] holds 2^i flows. */
		uint32_t sorted = number;
		int i = 0;

		lp_age_drop(&r->age, f);
		for (; i < 31 && run[i]; i++) {
			sorted = merge(r, run[i], sorted);
			run[i] = 0;
		}
		run[i] = run[i] ? merge(r, run[i], sorted) : sorted;
	}
	for (int i = 0; i < 32; i++)
		all = merge(r, all, run[i]);
	return all;
}
