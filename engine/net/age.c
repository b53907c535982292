#include "net/age.h"

#include <assert.h>
#include <stdlib.h>

enum { QUEUES = 2 };

enum lp_err lp_age_init(struct lp_age *a, struct lp_flow_table *table, uint32_t longest)
{
	uint32_t ring = 64;

	assert(longest <= LP_AGE_MAX);
	while (ring < longest + 2)
		ring *= 2;
	*a = (struct lp_age){ .table = table, .ring = ring };
	a->lists = calloc(QUEUES + 2 * (size_t)ring, sizeof *a->lists);
	return a->lists ? LP_OK : LP_E_NOMEM;
}

void lp_age_clear(struct lp_age *a)
{
	free(a->lists);
	*a = (struct lp_age){ 0 };
}

static uint32_t list_of(const struct lp_age *a, enum lp_age_class of, uint32_t second)
{
	if (of < LP_AGE_LIVE)
		return of;
	return QUEUES + (of == LP_AGE_SKIPPED ? a->ring : 0) + (second & (a->ring - 1));
}

enum lp_age_class lp_age_class_of(const struct lp_age *a, const struct lp_flow *f)
{
	if (f->list < QUEUES)
		return f->list;
	return f->list < QUEUES + a->ring ? LP_AGE_LIVE : LP_AGE_SKIPPED;
}

void lp_age_add(struct lp_age *a, struct lp_flow *f, enum lp_age_class to)
{
	struct lp_age_list *l;
	uint32_t *oldest;

	f->list = list_of(a, to, f->last);
	l = &a->lists[f->list];
	f->prev = l->last;
	f->next = 0;
	if (l->last)
		lp_flow_at(a->table, l->last)->next = f->self;
	else
		l->first = f->self;
	l->last = f->self;
	if (to >= LP_AGE_LIVE) {
		oldest = &a->oldest[to - LP_AGE_LIVE];
		if (!a->count[to] || lp_seq_diff(f->last, *oldest) < 0)
			*oldest = f->last;
	}
	a->count[to]++;
}

void lp_age_drop(struct lp_age *a, struct lp_flow *f)
{
	struct lp_age_list *l = &a->lists[f->list];

	if (f->prev)
		lp_flow_at(a->table, f->prev)->next = f->next;
	else
		l->first = f->next;
	if (f->next)
		lp_flow_at(a->table, f->next)->prev = f->prev;
	else
		l->last = f->prev;
	a->count[lp_age_class_of(a, f)]--;
	f->prev = 0;
	f->next = 0;
}

uint32_t lp_age_first(const struct lp_age *a, enum lp_age_class of, uint32_t second)
{
	return a->lists[list_of(a, of, second)].first;
}

bool lp_age_settle(struct lp_age *a, struct lp_flow *f)
{
	enum lp_age_class class = lp_age_class_of(a, f);

	if (f->list == list_of(a, class, f->last))
		return false;
	lp_age_drop(a, f);
	lp_age_add(a, f, class);
	return true;
}

struct lp_flow *lp_age_longest(struct lp_age *a, enum lp_age_class of, uint32_t now)
{
	struct lp_flow *f;
	uint32_t number, second;

	if (!a->count[of])
		return NULL;
	if (of < LP_AGE_LIVE)
		return lp_flow_at(a->table, a->lists[of].first);
	/* What is found out of place moves to a later list, so this ends. */
	for (second = a->oldest[of - LP_AGE_LIVE]; lp_seq_diff(now, second) >= 0; second++) {
		while ((number = lp_age_first(a, of, second))) {
			f = lp_flow_at(a->table, number);
			if (!lp_age_settle(a, f)) {
				a->oldest[of - LP_AGE_LIVE] = second;
				return f;
			}
		}
	}
	return NULL;
}
