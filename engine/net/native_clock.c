#include "base/clock.h"
#include "net/native.h"

static bool is_due(const struct lp_reasm *r, const struct lp_ooo *q)
{
	if (r->now_ns - q->since_ns >= r->config.hole_ns)
		return true;
	if (q->flow->early & 1U << q->side)
		return r->now_ns - q->since_ns >= r->config.grace_ns;
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

static void end_idle(void *user, struct lp_flow *f)
{
	struct lp_reasm *r = user;

	r->stats.idle += f->state == LP_FLOW_LIVE;
	end(r, f, LP_WHY_IDLE);
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
		all_holes(r);
		lp_age_expire(&r->age, lp_native_second(r), end_idle, r);
	}
	r->second = target;
	r->now_ns = ts_ns;
	r->tick_ns = target < UINT64_MAX / LP_NS_PER_S ? (target + 1) * LP_NS_PER_S : UINT64_MAX;
}

void lp_native_evict(struct lp_reasm *r)
{
	struct lp_flow *f = lp_age_least(&r->age, lp_native_second(r));

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
