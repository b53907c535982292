#include "net/age.h"

#include <stdlib.h>

#include "base/clock.h"

enum { QUEUES = 2 };

static uint32_t seconds(uint64_t ns)
{
	uint64_t s = ns / LP_NS_PER_S + (ns % LP_NS_PER_S != 0);

	return s < LP_AGE_MAX ? (uint32_t)s : LP_AGE_MAX;
}

enum lp_err lp_age_init(struct lp_age *a, struct lp_flow_table *table,
			const struct lp_reasm_config *config)
{
	struct lp_age_limits limits = {
		.idle = { [LP_IDLE_HANDSHAKE] = seconds(config->handshake_ns),
			  [LP_IDLE_PLAIN] = seconds(config->plain_ns),
			  [LP_IDLE_KEYS] = seconds(config->keys_ns) },
		.half = seconds(config->syn_ns),
		.closed = seconds(config->closed_ns),
	};
	uint32_t ring = 64, longest = 0;

	for (int i = 0; i < 3; i++)
		if (limits.idle[i] > longest)
			longest = limits.idle[i];
	/* The queues do not need the ring, but the clock counts on it that after so
	 * many seconds of silence no flow is left. */
	if (limits.half > longest)
		longest = limits.half;
	if (limits.closed > longest)
		longest = limits.closed;
	while (ring < longest + 2)
		ring *= 2;
	*a = (struct lp_age){ .limits = limits, .table = table, .ring = ring };
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
	if (to == LP_AGE_HALF)
		lp_budget_charge(a->half, 1, 0);
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
	if (lp_age_class_of(a, f) == LP_AGE_HALF)
		lp_budget_charge(a->half, 0, 1);
	f->prev = 0;
	f->next = 0;
}

/* First flow of a queue (second is ignored) or of one second's list; 0 if none. */
static uint32_t first(const struct lp_age *a, enum lp_age_class of, uint32_t second)
{
	return a->lists[list_of(a, of, second)].first;
}

/* Moves a flow of a ring to the list of its last activity; false if it is there. */
static bool settle(struct lp_age *a, struct lp_flow *f)
{
	enum lp_age_class class = lp_age_class_of(a, f);

	if (f->list == list_of(a, class, f->last))
		return false;
	lp_age_drop(a, f);
	lp_age_add(a, f, class);
	return true;
}

static void expire_queue(struct lp_age *a, enum lp_age_class of, uint32_t limit, uint32_t now,
			 void (*end)(void *user, struct lp_flow *f), void *user)
{
	struct lp_flow *f;
	uint32_t number;

	while ((number = first(a, of, 0))) {
		f = lp_flow_at(a->table, number);
		if (now - f->last <= limit)
			return;
		end(user, f);
	}
}

/* Looks at the flows that may just have been silent for longer than limit. */
static void expire_silent(struct lp_age *a, enum lp_age_class of, uint32_t limit, uint32_t now,
			  void (*end)(void *user, struct lp_flow *f), void *user)
{
	uint32_t number = first(a, of, now - limit - 1);
	struct lp_flow *f;

	while (number) {
		f = lp_flow_at(a->table, number);
		number = f->next;
		if (settle(a, f))
			continue;
		if (of == LP_AGE_LIVE)
			limit = a->limits.idle[f->stream.idle];
		if (now - f->last > limit)
			end(user, f);
	}
}

void lp_age_expire(struct lp_age *a, uint32_t now, void (*end)(void *user, struct lp_flow *f),
		   void *user)
{
	expire_queue(a, LP_AGE_HALF, a->limits.half, now, end, user);
	expire_queue(a, LP_AGE_CLOSED, a->limits.closed, now, end, user);
	for (int i = 0; i < 3; i++)
		expire_silent(a, LP_AGE_LIVE, a->limits.idle[i], now, end, user);
	expire_silent(a, LP_AGE_SKIPPED, a->limits.idle[LP_IDLE_PLAIN], now, end, user);
}

static struct lp_flow *longest_silent(struct lp_age *a, enum lp_age_class of, uint32_t now)
{
	struct lp_flow *f;
	uint32_t number, second;

	/* What is found out of place moves to a later list, so this ends. */
	for (second = a->oldest[of - LP_AGE_LIVE]; lp_seq_diff(now, second) >= 0; second++) {
		while ((number = first(a, of, second))) {
			f = lp_flow_at(a->table, number);
			if (!settle(a, f)) {
				a->oldest[of - LP_AGE_LIVE] = second;
				return f;
			}
		}
	}
	return NULL;
}

struct lp_flow *lp_age_least(struct lp_age *a, uint32_t now)
{
	if (a->count[LP_AGE_HALF])
		return lp_flow_at(a->table, first(a, LP_AGE_HALF, 0));
	if (a->count[LP_AGE_CLOSED])
		return lp_flow_at(a->table, first(a, LP_AGE_CLOSED, 0));
	if (a->count[LP_AGE_SKIPPED])
		return longest_silent(a, LP_AGE_SKIPPED, now);
	if (a->count[LP_AGE_LIVE])
		return longest_silent(a, LP_AGE_LIVE, now);
	return NULL;
}
