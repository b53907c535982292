#include "asks.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"

enum { MAX_WAIT_S = 5, BUCKETS = 4096, LIVE_SHARE = 8, DOZE_ROOM = 32 };
enum {
	TOGETHER = 16,   /* questions that are worth a call of the system */
	ANSWERS = 32,    /* … and answers that are worth waking up for; less than a socket holds */
	SHARE = 4,       /* … but not more than this part of those that are to come */
	PACE = 8,        /* answers that show a pace */
	DOZE_MS = 2,     /* before there is one */
};

struct slot {
	void *asker;          /* NULL: forgotten, or the slot is free */
	struct lp_ask *ask;   /* waits to be sent; NULL once it is */
	uint64_t since;       /* monotonic */
	uint32_t next;        /* in the list of free or of unsent slots */
	uint16_t bucket[2];   /* of its client, of its server */
	bool used;
};

enum { NONE = UINT32_MAX };

/* How many unsent questions there are of each client, or of each server. */
struct shares {
	uint64_t max;
	uint32_t over;        /* buckets above it */
	uint32_t n[BUCKETS];
};

enum { CLIENT, SERVER, NOBODY };

struct lp_asks {
	struct lp_line *line;
	struct slot *slot;
	uint32_t size, free;
	uint32_t first, last; /* unsent, oldest first */
	size_t unsent, pending;
	size_t room;          /* questions that the warden is to have at once */
	uint64_t since;       /* monotonic: the pace is that of the answers from then on */
	uint64_t answers;
	uint64_t pace_ns;     /* for an answer; 0: not known yet */
	uint64_t max_waiting; /* of the unsent, live */
	bool live;
	struct shares share[2];
	struct lp_asks_stats stats;
	lp_asks_answer *cb;   /* of the poll under way */
};

enum lp_err lp_asks_new(struct lp_asks **out, const struct lp_asks_config *config)
{
	struct lp_asks *a = calloc(1, sizeof *a);

	*out = a;
	if (!a)
		return LP_E_NOMEM;
	a->line = config->line;
	a->live = config->live;
	a->room = lp_line_room(a->line);
	/* Enough to keep its threads busy. */
	if (a->live)
		a->room = a->room > LIVE_SHARE ? a->room / LIVE_SHARE : 1;
	a->max_waiting = config->max_waiting;
	a->share[CLIENT].max = config->max_client;
	a->share[SERVER].max = config->max_server;
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

	a->answers++;
	release(a, i);
	if (asker)
		a->cb(asker, ans);
}

static void count(struct shares *s, uint16_t bucket)
{
	s->over += ++s->n[bucket] == s->max + 1;
}

static void uncount(struct shares *s, uint16_t bucket)
{
	s->over -= s->n[bucket]-- == s->max + 1;
}

static void push_unsent(struct lp_asks *a, uint32_t i)
{
	*(a->last == NONE ? &a->first : &a->slot[a->last].next) = i;
	a->last = i;
	a->unsent++;
	for (int k = 0; k < 2; k++)
		count(&a->share[k], a->slot[i].bucket[k]);
}

/* Takes the one behind before, or the first, out of the list. */
static uint32_t take_unsent(struct lp_asks *a, uint32_t before)
{
	uint32_t *at = before == NONE ? &a->first : &a->slot[before].next;
	uint32_t i = *at;

	*at = a->slot[i].next;
	if (a->last == i)
		a->last = before;
	a->unsent--;
	for (int k = 0; k < 2; k++)
		uncount(&a->share[k], a->slot[i].bucket[k]);
	return i;
}

static uint32_t pop_unsent(struct lp_asks *a)
{
	return take_unsent(a, NONE);
}

static enum lp_err ask_warden(struct lp_asks *a, const struct lp_ask *ask)
{
	return lp_line_pending(a->line) < a->room ? lp_line_ask(a->line, ask) : LP_E_LIMIT;
}

/* Hands the warden what it can take. */
static enum lp_err send_more(struct lp_asks *a)
{
	while (a->first != NONE) {
		struct slot *s = &a->slot[a->first];
		enum lp_err err = s->asker ? ask_warden(a, s->ask) : LP_OK;

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

/* Whose oldest question is to go. */
static int whose(const struct lp_asks *a)
{
	return a->share[CLIENT].over ? CLIENT : a->share[SERVER].over ? SERVER : NOBODY;
}

/* Sheds one. Few are passed: those above their share are most of all. */
static void shed_one(struct lp_asks *a)
{
	const int who = whose(a);
	const struct shares *s = who == NOBODY ? NULL : &a->share[who];
	uint32_t before = NONE, i = a->first;

	while (s && s->n[a->slot[i].bucket[who]] <= s->max) {
		before = i;
		i = a->slot[i].next;
	}
	a->stats.shed++;
	a->stats.shed_client += who == CLIENT;
	a->stats.shed_server += who == SERVER;
	answer(a, take_unsent(a, before), NULL);
}

static void shed(struct lp_asks *a)
{
	const uint64_t now = lp_clock_mono();

	if (!a->live)
		return;
	while (a->first != NONE && now - a->slot[a->first].since > MAX_WAIT_S * LP_NS_PER_S) {
		a->stats.shed++;
		answer(a, pop_unsent(a), NULL);
	}
	while (a->unsent > a->max_waiting)
		shed_one(a);
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

enum lp_err lp_asks_put(struct lp_asks *a, struct lp_ask *ask, const struct lp_asks_peers *peers,
			void *asker)
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
	*s = (struct slot){
		.asker = asker, .since = lp_clock_mono(), .next = NONE, .used = true,
		.bucket = { (uint16_t)(peers->client % BUCKETS), (uint16_t)(peers->server % BUCKETS) },
	};
	a->pending++;
	a->stats.asked++;
	err = a->first == NONE ? ask_warden(a, ask) : LP_E_LIMIT;
	if (!err)
		return LP_OK;
	if (err == LP_E_LIMIT)
		s->ask = copy_of(ask);
	if (!s->ask) {
		release(a, i);
		return err == LP_E_LIMIT ? LP_E_NOMEM : err;
	}
	push_unsent(a, i);
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

static enum lp_err doze(struct lp_asks *a)
{
	const int ms = lp_asks_doze(a);
	enum lp_err err;

	if (!ms)
		return LP_OK;
	err = lp_asks_flush(a, true);
	if (!err)
		(void)poll(NULL, 0, ms);
	return err;
}

enum lp_err lp_asks_poll(struct lp_asks *a, int timeout_ms, lp_asks_answer *cb)
{
	enum lp_err err;

	a->cb = cb;
	/* Even then the warden may have something to say. */
	if (!a->pending)
		return lp_line_poll(a->line, 0, take, a);
	shed(a);
	err = send_more(a);
	if (!err && (timeout_ms < 0 || timeout_ms > LP_ASKS_DOZE_MS))
		err = doze(a);
	if (!err)
		err = lp_line_poll(a->line, timeout_ms, take, a);
	if (!err)
		err = send_more(a);
	return err;
}

/* The warden has work for long, without what is still to be sent. */
static bool sated(const struct lp_asks *a)
{
	return !a->live && a->room >= DOZE_ROOM &&
	       lp_line_pending(a->line) - lp_line_queued(a->line) >= a->room / 2;
}

enum lp_err lp_asks_flush(struct lp_asks *a, bool all)
{
	enum lp_err err;

	if (!all && lp_line_queued(a->line) < TOGETHER && sated(a))
		return LP_OK;
	err = lp_line_flush(a->line);
	return err == LP_MORE ? LP_OK : err; /* the next poll goes on */
}

int lp_asks_fd(const struct lp_asks *a)
{
	return lp_line_fd(a->line);
}

bool lp_asks_full(const struct lp_asks *a)
{
	return !a->live && a->unsent > 0;
}

static void keep_pace(struct lp_asks *a)
{
	const uint64_t now = lp_clock_mono();

	if (a->since && a->answers < PACE)
		return;
	if (a->since)
		a->pace_ns = (now - a->since) / a->answers;
	a->since = now;
	a->answers = 0;
}

int lp_asks_doze(struct lp_asks *a)
{
	const size_t pending = lp_line_pending(a->line);
	const uint64_t answers = pending / SHARE < ANSWERS ? pending / SHARE : ANSWERS;
	uint64_t ms;

	if (a->live || pending < DOZE_ROOM)
		return 0;
	keep_pace(a);
	if (!a->pace_ns)
		return pending >= a->room / 2 ? DOZE_MS : 0;
	ms = answers * a->pace_ns / LP_NS_PER_MS;
	return ms < LP_ASKS_DOZE_MS ? (int)ms : LP_ASKS_DOZE_MS;
}

size_t lp_asks_pending(const struct lp_asks *a)
{
	return a->pending;
}

void lp_asks_stats(const struct lp_asks *a, struct lp_asks_stats *out)
{
	*out = a->stats;
}
