#include "base/clock.h"
#include "net/native.h"

/* Long enough ago for what is missing to have come, if it was only late. */
static bool is_past(const struct lp_reasm *r, uint64_t ns, uint32_t number)
{
	return r->now_ns - ns >= r->config.grace_ns &&
	       (uint32_t)r->when.number - number >= r->config.grace_packets;
}

/* Both sides begin at once, in the order in which they were captured. */
static bool may_begin(const struct lp_reasm *r, const struct lp_ooo *q)
{
	const struct lp_ooo *o = q->flow->half[!q->side].ooo;

	return is_past(r, q->since_ns, q->since_number) &&
	       (!o || !(q->flow->early & 1U << o->side) || is_past(r, o->since_ns, o->since_number));
}

static bool is_due(const struct lp_reasm *r, const struct lp_ooo *q)
{
	const struct lp_leaf_entry *first;

	if (r->now_ns - q->since_ns >= r->config.hole_ns)
		return true;
	if (q->flow->early & 1U << q->side)
		return may_begin(r, q);
	if (lp_native_is_young(r, q) || !is_past(r, q->evidence_ns, q->evidence_number))
		return false;
	/* The acknowledgement may have come long before the hole, if the mirror port shows that
	 * side early. */
	first = lp_ooo_first(q);
	return r->now_ns - (first ? first->carried_ns : q->since_ns) >= r->config.grace_ns;
}

void lp_native_look_at_holes(struct lp_reasm *r, struct lp_flow *f)
{
	for (enum lp_side side = LP_A2B; side <= LP_B2A; side++)
		while (f->half[side].ooo && is_due(r, f->half[side].ooo))
			lp_native_give_up(r, f, side);
	(void)lp_native_finish(r, f);
}

/* ---- flows in the order of their first packets ---- */

/* Flows that are out of their lists, to be sorted; a merge sort without memory: run[i] holds
 * 2^i of them, linked by next. */
struct due {
	struct lp_reasm *r;
	uint32_t run[32];
};

static uint32_t merge(struct lp_reasm *r, uint32_t a, uint32_t b)
{
	uint32_t first = 0, *link = &first;
	struct lp_flow *fa, *fb;

	while (a && b) {
		fa = lp_flow_at(&r->table, a);
		fb = lp_flow_at(&r->table, b);
		if (fa->first_number < fb->first_number) {
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

static void due_add(struct due *due, struct lp_flow *f)
{
	uint32_t sorted = f->self;
	int i = 0;

	lp_age_drop(&due->r->age, f);
	for (; i < 31 && due->run[i]; i++) {
		sorted = merge(due->r, due->run[i], sorted);
		due->run[i] = 0;
	}
	due->run[i] = due->run[i] ? merge(due->r, due->run[i], sorted) : sorted;
}

/* The next flow, in its list again; *rest: those behind it, 0 when there is none. */
static struct lp_flow *due_next(struct lp_reasm *r, uint32_t *rest)
{
	struct lp_flow *f = lp_flow_at(&r->table, *rest);

	*rest = f->next;
	lp_age_add(&r->age, f, lp_age_class_of(&r->age, f));
	return f;
}

static uint32_t due_sorted(struct due *due)
{
	uint32_t all = 0;

	for (int i = 0; i < 32; i++)
		all = merge(due->r, all, due->run[i]);
	return all;
}

/* ---- what time does ---- */

static bool any_due(const struct lp_reasm *r, const struct lp_flow *f, enum lp_side side)
{
	return f->half[side].ooo && is_due(r, f->half[side].ooo);
}

static void all_holes(struct lp_reasm *r)
{
	struct due due = { .r = r };
	uint32_t rest;
	struct lp_flow *f;

	for (struct lp_ooo *q = r->pool.oldest; q; q = q->newer) {
		f = q->flow;
		/* Once for each flow. */
		if (f->state != LP_FLOW_LIVE || !is_due(r, q) ||
		    (q->side == LP_B2A && any_due(r, f, LP_A2B)))
			continue;
		due_add(&due, f);
	}
	rest = due_sorted(&due);
	while (rest) {
		f = due_next(r, &rest);
		r->when.flow = f->first_number;
		lp_native_look_at_holes(r, f);
		lp_native_over(r, f);
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
	struct due *due = user;

	if (f->state == LP_FLOW_LIVE)
		due_add(due, f);
	else
		end(due->r, f, LP_WHY_IDLE); /* nobody hears of it */
}

static void all_silent(struct lp_reasm *r)
{
	struct due due = { .r = r };
	uint32_t rest;
	struct lp_flow *f;

	lp_age_expire(&r->age, lp_native_second(r), end_idle, &due);
	rest = due_sorted(&due);
	while (rest) {
		f = due_next(r, &rest);
		r->stats.idle++;
		r->when.flow = f->first_number | LP_FLOW_SILENT;
		end(r, f, LP_WHY_IDLE);
	}
}

void lp_native_tick(struct lp_reasm *r, uint64_t ts_ns)
{
	uint64_t target = ts_ns / LP_NS_PER_S;

	/* Second by second, for order; no longer than there are flows, which is at
	 * most as long as the longest timeout. */
	while (r->second < target && r->table.count) {
		r->second++;
		r->now_ns = r->second * LP_NS_PER_S;
		r->when.tick = r->second;
		all_holes(r);
		all_silent(r);
	}
	r->when.tick = LP_TICK_NONE;
	r->when.flow = 0;
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

void lp_native_end_all(struct lp_reasm *r)
{
	struct due due = { .r = r };
	uint32_t rest;
	struct lp_flow *f;

	for (uint32_t number = 1; number <= r->table.used; number++) {
		f = lp_flow_at(&r->table, number);
		if (f->state == LP_FLOW_LIVE)
			due_add(&due, f);
		else if (f->state != LP_FLOW_FREE)
			end(r, f, LP_WHY_EOF);
	}
	rest = due_sorted(&due);
	while (rest) {
		f = due_next(r, &rest);
		r->when.flow = f->first_number;
		end(r, f, LP_WHY_EOF);
	}
}
