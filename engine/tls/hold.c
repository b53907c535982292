#include "tls/hold.h"

#include <stdlib.h>
#include <string.h>

void lp_holds_init(struct lp_holds *q, struct lp_tls_env *env)
{
	*q = (struct lp_holds){ .env = env };
}

void lp_holds_clear(struct lp_holds *q)
{
	for (int side = 0; side < 2; side++)
		while (q->head[side])
			lp_holds_pop(q, side);
}

size_t lp_hold_weight(const struct lp_hold *h)
{
	return sizeof *h + (h->gap ? 0 : (size_t)h->n);
}

static void charge(struct lp_holds *q, const struct lp_hold *h, bool add)
{
	uint64_t n = lp_hold_weight(h);

	q->weight += add ? n : 0 - n;
	q->env->held += add ? n : 0 - n;
	lp_budget_charge(q->env->held_by_all, add ? n : 0, add ? 0 : n);
	if (q->env->held > q->env->held_peak)
		q->env->held_peak = q->env->held;
}

struct lp_hold *lp_hold_new(enum lp_side side, const uint8_t *p, uint64_t n, uint64_t off,
			    const struct lp_when *when)
{
	struct lp_hold *h = malloc(sizeof *h + (p ? (size_t)n : 0));

	if (!h)
		return NULL;
	*h = (struct lp_hold){ .when = *when, .off = off, .n = n, .gap = !p,
			       .side = (uint8_t)side };
	if (p)
		memcpy(h->bytes, p, (size_t)n);
	return h;
}

bool lp_holds_push(struct lp_holds *q, enum lp_side side, const uint8_t *p, uint64_t n,
		   uint64_t off, const struct lp_when *when)
{
	struct lp_hold *h = lp_hold_new(side, p, n, off, when);

	if (!h) {
		q->env->fault = LP_E_NOMEM;
		return false;
	}
	q->bytes[side] += p ? n : 0;
	charge(q, h, true);
	*(q->tail[side] ? &q->tail[side]->next : &q->head[side]) = h;
	q->tail[side] = h;
	return true;
}

void lp_holds_pop(struct lp_holds *q, int side)
{
	struct lp_hold *h = q->head[side];

	q->head[side] = h->next;
	if (!h->next)
		q->tail[side] = NULL;
	q->bytes[side] -= h->gap ? 0 : h->n - h->taken;
	charge(q, h, false);
	free(h);
}

void lp_holds_take(struct lp_holds *q, enum lp_side side, size_t n)
{
	struct lp_hold *h = q->head[side];

	h->taken += n;
	q->bytes[side] -= n;
	if (h->taken == h->n)
		lp_holds_pop(q, (int)side);
}

bool lp_holds_shed(struct lp_holds *q, enum lp_side side)
{
	struct lp_hold *before = NULL, *h = q->head[side], *gap;

	for (; h && h->gap; h = h->next)
		before = h;
	if (!h)
		return false;
	gap = before && before->off + before->n == h->off ? before : malloc(sizeof *gap);
	if (!gap) {
		q->env->fault = LP_E_NOMEM;
		return false;
	}
	q->bytes[side] -= h->n - h->taken;
	charge(q, h, false);
	if (gap == before) {
		before->n += h->n;
		before->next = h->next;
	} else {
		*gap = (struct lp_hold){ .next = h->next, .when = h->when, .gap = true,
					 .off = h->off + h->taken, .n = h->n - h->taken,
					 .side = h->side };
		charge(q, gap, true);
		*(before ? &before->next : &q->head[side]) = gap;
	}
	if (!h->next)
		q->tail[side] = gap;
	gap->shed = true;
	free(h);
	return true;
}

size_t lp_hold_peek(const struct lp_hold *h, size_t from, uint8_t *out, size_t n)
{
	size_t have = 0;

	for (; h && !h->gap && have < n; h = h->next, from = 0) {
		size_t take = n - have;

		if (take > h->n - from)
			take = (size_t)h->n - from;
		memcpy(out + have, h->bytes + from, take);
		have += take;
	}
	return have;
}

size_t lp_holds_peek(const struct lp_holds *q, int side, uint8_t *out, size_t n)
{
	const struct lp_hold *h = q->head[side];

	return lp_hold_peek(h, h ? h->taken : 0, out, n);
}

uint64_t lp_holds_gaps(const struct lp_holds *q, enum lp_side side)
{
	uint64_t n = 0;

	for (const struct lp_hold *h = q->head[side]; h; h = h->next)
		n += h->gap ? h->n : 0;
	return n;
}

bool lp_holds_over(const struct lp_holds *q)
{
	return q->weight > q->env->max_held_session || lp_holds_full(q->env);
}

bool lp_hold_earlier(const struct lp_hold *a, const struct lp_hold *b)
{
	return lp_when_compare(&a->when, &b->when) < 0;
}
