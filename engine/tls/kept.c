#include "tls/kept.h"

#include <stdlib.h>

struct lp_kept {
	struct lp_hold *head, *tail;
	uint64_t weight;
	uint64_t lost[2]; /* bytes that there was no room for */
	bool full;        /* … from then on */
};

static void drop(struct lp_kept *k, struct lp_tls_env *env, bool lost)
{
	struct lp_hold *next;

	for (struct lp_hold *h = k->head; h; h = next) {
		next = h->next;
		k->lost[h->side] += lost ? h->n : 0;
		free(h);
	}
	env->kept -= k->weight;
	lp_budget_charge(env->kept_by_all, 0, k->weight);
	k->weight = 0;
	k->head = k->tail = NULL;
}

void lp_kept_add(struct lp_kept **kept, struct lp_tls_env *env, enum lp_side side,
		 const uint8_t *p, uint64_t n, const struct lp_when *when)
{
	struct lp_kept *k = *kept ? *kept : calloc(1, sizeof *k);
	struct lp_hold *h;

	*kept = k;
	if (k && k->full) {
		k->lost[side] += n;
		return;
	}
	h = k ? lp_hold_new(side, p, n, 0, when) : NULL;
	if (!h) {
		env->fault = LP_E_NOMEM;
		return;
	}
	*(k->tail ? &k->tail->next : &k->head) = h;
	k->tail = h;
	k->weight += lp_hold_weight(h);
	env->kept += lp_hold_weight(h);
	lp_budget_charge(env->kept_by_all, lp_hold_weight(h), 0);
	if (!lp_budget_full(env->kept_by_all, env->kept, 0, env->max_kept) && k->weight <= env->max_held_session)
		return;
	env->cap_kept++;
	k->full = true;
	drop(k, env, true);
}

void lp_kept_tell(struct lp_kept *k, struct lp_tls_env *env, lp_kept_clear *clear, void *user,
		  const struct lp_when *when)
{
	for (int side = 0; side < 2; side++)
		if (k->lost[side])
			clear(user, (enum lp_side)side, NULL, k->lost[side], when);
	for (struct lp_hold *h = k->head; h; h = h->next)
		clear(user, (enum lp_side)h->side, h->gap ? NULL : h->bytes, h->n, &h->when);
	drop(k, env, false);
}

void lp_kept_free(struct lp_kept *k, struct lp_tls_env *env)
{
	if (k)
		drop(k, env, false);
	free(k);
}
