#include "asks.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"

enum { MAX_WAIT_S = 5 };

struct slot {
	void *asker;          /* NULL: forgotten, or the slot is free */
	struct lp_ask *ask;   /* waits to be sent; NULL once it is */
	uint64_t since;       /* monotonic */
	uint32_t next;        /* in the list of free or of unsent slots */
	bool used;
};

enum { NONE = UINT32_MAX };

struct lp_asks {
	struct lp_line *line;
	struct slot *slot;
	uint32_t size, free;
	uint32_t first, last; /* unsent, oldest first */
	size_t unsent, pending;
	uint64_t count, shed;
	uint64_t max_waiting; /* of the unsent, live */
	bool live;
	lp_asks_answer *cb;   /* of the poll under way */
};

enum lp_err lp_asks_new(struct lp_asks **out, struct lp_line *line, bool live,
			uint64_t max_waiting)
{
	struct lp_asks *a = calloc(1, sizeof *a);

	*out = a;
	if (!a)
		return LP_E_NOMEM;
	a->line = line;
	a->live = live;
	a->max_waiting = max_waiting;
	a->free = NONE;
	a->first = NONE;
	a->last = NONE;
	return LP_OK;
}

void lp_asks_free(struct lp_asks *a)
{
	if (!a)
		return;
	for (uint32_t i = 0; i < a->size; i++)
		free(a->slot[i].ask);
	free(a->slot);
	free(a);
}

static enum lp_err grow(struct lp_asks *a)
{
	uint32_t size = a->size ? 2 * a->size : 64;
	struct slot *slot = realloc(a->slot, size * sizeof *slot);

	if (!slot)
		return LP_E_NOMEM;
	a->slot = slot;
	for (uint32_t i = size; i-- > a->size;) {
		slot[i] = (struct slot){ .next = a->free };
		a->free = i;
	}
	a->size = size;
	return LP_OK;
}

static void release(struct lp_asks *a, uint32_t i)
{
	free(a->slot[i].ask);
	a->slot[i] = (struct slot){ .next = a->free };
	a->free = i;
	a->pending--;
}

static void answer(struct lp_asks *a, uint32_t i, const struct lp_answer *ans)
{
	void *asker = a->slot[i].asker;

	release(a, i);
	if (asker)
		a->cb(asker, ans);
}

static uint32_t pop_unsent(struct lp_asks *a)
{
	uint32_t i = a->first;

	a->first = a->slot[i].next;
	if (a->first == NONE)
		a->last = NONE;
	a->unsent--;
	return i;
}

/* Hands the warden what it can take. */
static enum lp_err send_more(struct lp_asks *a)
{
	while (a->first != NONE) {
		struct slot *s = &a->slot[a->first];
		enum lp_err err = s->asker ? lp_line_ask(a->line, s->ask) : LP_OK;

		if (err == LP_E_LIMIT)
			return LP_OK;
		if (err)
			return err;
		if (s->asker) {
			free(s->ask);
			s->ask = NULL;
			(void)pop_unsent(a);
		} else {
			release(a, pop_unsent(a));
		}
	}
	return LP_OK;
}

static void shed_old(struct lp_asks *a)
{
	uint64_t now = lp_clock_mono();

	while (a->live && a->first != NONE &&
	       (a->unsent > a->max_waiting ||
		now - a->slot[a->first].since > MAX_WAIT_S * LP_NS_PER_S)) {
		a->shed++;
		answer(a, pop_unsent(a), NULL);
	}
}

static struct lp_ask *copy_of(const struct lp_ask *ask)
{
	struct lp_ask *copy = malloc(sizeof *copy + ask->ticket.n);

	if (!copy)
		return NULL;
	*copy = *ask;
	copy->ticket.p = (const uint8_t *)(copy + 1);
	if (ask->ticket.n)
		memcpy(copy + 1, ask->ticket.p, ask->ticket.n);
	return copy;
}

enum lp_err lp_asks_put(struct lp_asks *a, struct lp_ask *ask, void *asker)
{
	enum lp_err err = a->free == NONE ? grow(a) : LP_OK;
	struct slot *s;
	uint32_t i;

	if (err)
		return err;
	i = a->free;
	s = &a->slot[i];
	ask->id = i;
	a->free = s->next;
	*s = (struct slot){ .asker = asker, .since = lp_clock_mono(), .next = NONE, .used = true };
	a->pending++;
	a->count++;
	err = a->first == NONE ? lp_line_ask(a->line, ask) : LP_E_LIMIT;
	if (!err)
		return LP_OK;
	if (err == LP_E_LIMIT)
		s->ask = copy_of(ask);
	if (!s->ask) {
		release(a, i);
		return err == LP_E_LIMIT ? LP_E_NOMEM : err;
	}
	*(a->last == NONE ? &a->first : &a->slot[a->last].next) = i;
	a->last = i;
	a->unsent++;
	return LP_OK;
}

void lp_asks_forget(struct lp_asks *a, const void *asker)
{
	for (uint32_t i = 0; i < a->size; i++)
		if (a->slot[i].used && a->slot[i].asker == asker)
			a->slot[i].asker = NULL;
}

static void take(void *user, const struct lp_answer *ans)
{
	struct lp_asks *a = user;
	uint32_t i = (uint32_t)ans->id;

	/* The warden answers what was asked, once; the client has checked that. */
	if (ans->id >= a->size || !a->slot[i].used || a->slot[i].ask)
		return;
	answer(a, i, ans);
}

enum lp_err lp_asks_poll(struct lp_asks *a, int timeout_ms, lp_asks_answer *cb)
{
	enum lp_err err;

	a->cb = cb;
	/* Even then the warden may have something to say. */
	if (!a->pending)
		return lp_line_poll(a->line, 0, take, a);
	shed_old(a);
	err = send_more(a);
	if (!err)
		err = lp_line_poll(a->line, timeout_ms, take, a);
	if (!err)
		err = send_more(a);
	return err;
}

bool lp_asks_full(const struct lp_asks *a)
{
	return !a->live && a->unsent > 0;
}

size_t lp_asks_pending(const struct lp_asks *a)
{
	return a->pending;
}

uint64_t lp_asks_count(const struct lp_asks *a)
{
	return a->count;
}

uint64_t lp_asks_shed(const struct lp_asks *a)
{
	return a->shed;
}
