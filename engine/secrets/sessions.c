#include "secrets/sessions.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/secret.h"

/* Entries are made in blocks that never move: growing costs no copy of what is there. */
enum { NONE = UINT32_MAX, BLOCK_BITS = 12, BLOCK = 1 << BLOCK_BITS };

enum {
	SHARDS = 8,
	SHARDED = 1 << 16,     /* a smaller cache is one: least recently used is meant of all */
};

struct entry {
	uint64_t name[2];      /* two keyed hashes of kind and name: 128 bits */
	uint64_t number, tick, flow; /* place at which it was learned … */
	uint64_t start_ns, end_ns; /* packet time: first seen, and its end */
	uint64_t mono_ns;      /* since when it is here */
	uint32_t index;        /* … and what belongs to it */
	uint32_t chain;        /* in its hash slot, or of the free list */
	uint32_t used[2];      /* list by last use: newer, older */
	uint32_t born[2];      /* list by arrival: newer, older */
	uint32_t heap;         /* where it stands in the heap */
};

struct block {
	struct entry *entry;
	struct lp_session_secret *secret; /* secret memory */
};

struct list {
	uint32_t newest, oldest;
};

/* A part of the names, with a lock of its own. */
struct shard {
	pthread_mutex_t lock;
	struct lp_sessions *all;
	uint32_t n, max, free;
	uint32_t *slot;        /* index + 1, 0: empty; slots are a power of two */
	uint32_t slots;
	struct block *block;
	uint32_t blocks, blocks_max;
	struct list used, born;
	uint32_t *heap;        /* by end_ns, the first to end at 0 */
	uint64_t stored, evicted, expired;
};

struct lp_sessions {
	struct lp_hash_seed seed[2];
	uint64_t lifetime_ns;
	uint32_t max;
	_Atomic uint32_t n, peak; /* entries of all shards */
	_Atomic uint64_t hits, misses;
	size_t shards;
	struct shard shard[SHARDS];
};

enum {
	SLOTS_SPARE = 2,       /* slots for an entry, at most */
	ENTRY_BYTES = sizeof(struct entry) + sizeof(struct lp_session_secret) +
		      (1 + SLOTS_SPARE) * sizeof(uint32_t),
	BLOCK_SECRETS = BLOCK * sizeof(struct lp_session_secret),
};

static struct entry *at(const struct shard *s, uint32_t i)
{
	return &s->block[i >> BLOCK_BITS].entry[i & (BLOCK - 1)];
}

static struct lp_session_secret *secret_at(const struct shard *s, uint32_t i)
{
	return &s->block[i >> BLOCK_BITS].secret[i & (BLOCK - 1)];
}

static void shard_clear(struct shard *s)
{
	for (uint32_t i = 0; i < s->blocks; i++) {
		lp_secret_free(s->block[i].secret, BLOCK_SECRETS);
		free(s->block[i].entry);
	}
	free(s->block);
	free(s->slot);
	free(s->heap);
	pthread_mutex_destroy(&s->lock);
}

/* With room for max entries; clear it whatever comes of it. */
static enum lp_err shard_init(struct shard *s, struct lp_sessions *all, uint32_t max)
{
	*s = (struct shard){ .all = all, .max = max, .free = NONE, .slots = 1,
			     .used = { NONE, NONE }, .born = { NONE, NONE } };
	pthread_mutex_init(&s->lock, NULL);
	while (s->slots < max)
		s->slots *= 2;
	s->blocks_max = (max + BLOCK - 1) / BLOCK;
	/* Address space; memory comes with use. */
	s->slot = calloc(s->slots, sizeof *s->slot);
	s->heap = calloc(max, sizeof *s->heap);
	s->block = calloc(s->blocks_max, sizeof *s->block);
	return s->slot && s->heap && s->block ? LP_OK : LP_E_NOMEM;
}

enum lp_err lp_sessions_new(struct lp_sessions **out, const struct lp_sessions_config *c)
{
	struct lp_sessions *all = calloc(1, sizeof *all);
	uint64_t max = c->max ? c->max : LP_SESSIONS_MAX;
	uint64_t bytes = c->max_bytes ? c->max_bytes : LP_SESSIONS_BYTES;
	enum lp_err err = LP_OK;
	size_t shards;

	*out = NULL;
	if (!all)
		return LP_E_NOMEM;
	if (max > bytes / ENTRY_BYTES)
		max = bytes / ENTRY_BYTES;
	if (max > NONE / 2)
		max = NONE / 2;
	all->seed[0] = c->seed;
	all->seed[1] = (struct lp_hash_seed){ c->seed.k1, ~c->seed.k0 };
	all->lifetime_ns =
		c->lifetime_ns ? c->lifetime_ns : LP_SESSIONS_LIFETIME_S * LP_NS_PER_S;
	all->max = max ? (uint32_t)max : 1;
	shards = all->max < SHARDED ? 1 : SHARDS;
	/* Names do not fall evenly; the cap is that of all, this only bounds the arrays. */
	max = shards == 1 ? all->max : all->max / SHARDS * 9 / 8;
	while (!err && all->shards < shards)
		err = shard_init(&all->shard[all->shards++], all, (uint32_t)max);
	if (err)
		lp_sessions_free(all);
	else
		*out = all;
	return err;
}

void lp_sessions_free(struct lp_sessions *all)
{
	if (!all)
		return;
	for (size_t i = 0; i < all->shards; i++)
		shard_clear(&all->shard[i]);
	free(all);
}

uint64_t lp_sessions_lifetime(const struct lp_sessions *all)
{
	return all->lifetime_ns;
}

/* ---- the two lists ---- */

static uint32_t *links(struct shard *s, uint32_t i, const struct list *list)
{
	return list == &s->used ? at(s, i)->used : at(s, i)->born;
}

static void unlink_entry(struct shard *s, struct list *list, uint32_t i)
{
	const uint32_t *l = links(s, i, list);

	*(l[0] == NONE ? &list->newest : &links(s, l[0], list)[1]) = l[1];
	*(l[1] == NONE ? &list->oldest : &links(s, l[1], list)[0]) = l[0];
}

static void link_newest(struct shard *s, struct list *list, uint32_t i)
{
	uint32_t *l = links(s, i, list);

	l[0] = NONE;
	l[1] = list->newest;
	*(l[1] == NONE ? &list->oldest : &links(s, l[1], list)[0]) = i;
	list->newest = i;
}

/* ---- the heap ---- */

static void heap_set(struct shard *s, uint32_t pos, uint32_t i)
{
	s->heap[pos] = i;
	at(s, i)->heap = pos;
}

/* Moves entry i, which may stand at pos, to where it belongs among the first n. */
static void heap_settle(struct shard *s, uint32_t n, uint32_t pos, uint32_t i)
{
	const uint64_t end = at(s, i)->end_ns;

	while (pos && at(s, s->heap[(pos - 1) / 2])->end_ns > end) {
		heap_set(s, pos, s->heap[(pos - 1) / 2]);
		pos = (pos - 1) / 2;
	}
	for (;;) {
		uint64_t child = 2 * (uint64_t)pos + 1;

		if (child + 1 < n &&
		    at(s, s->heap[child + 1])->end_ns < at(s, s->heap[child])->end_ns)
			child++;
		if (child >= n || at(s, s->heap[child])->end_ns >= end)
			break;
		heap_set(s, pos, s->heap[child]);
		pos = (uint32_t)child;
	}
	heap_set(s, pos, i);
}

/* ---- entries ---- */

static uint32_t *slot_of(const struct shard *s, const uint64_t name[2])
{
	return &s->slot[name[0] & (s->slots - 1)];
}

static uint32_t first_of(const struct shard *s, const uint64_t name[2])
{
	return *slot_of(s, name) - 1; /* 0 becomes NONE */
}

static void drop(struct shard *s, uint32_t i)
{
	struct entry *e = at(s, i);
	uint32_t *slot = slot_of(s, e->name);
	uint32_t before = *slot - 1, last = s->heap[s->n - 1];

	if (before == i) {
		*slot = e->chain + 1;
	} else {
		while (at(s, before)->chain != i)
			before = at(s, before)->chain;
		at(s, before)->chain = e->chain;
	}
	unlink_entry(s, &s->used, i);
	unlink_entry(s, &s->born, i);
	s->n--;
	s->all->n--;
	if (last != i)
		heap_settle(s, s->n, e->heap, last);
	lp_wipe(secret_at(s, i), sizeof(struct lp_session_secret));
	*e = (struct entry){ .chain = s->free };
	s->free = i;
}

static enum lp_err grow(struct shard *s)
{
	struct block *b = &s->block[s->blocks];

	b->entry = malloc(BLOCK * sizeof *b->entry);
	b->secret = lp_secret_alloc(BLOCK_SECRETS);
	if (!b->entry || !b->secret) {
		lp_secret_free(b->secret, BLOCK_SECRETS);
		free(b->entry);
		return LP_E_NOMEM;
	}
	for (uint32_t i = BLOCK; i-- > 0;) {
		b->entry[i] = (struct entry){ .chain = s->free };
		s->free = s->blocks * BLOCK + i;
	}
	s->blocks++;
	return LP_OK;
}

/* The shard of a name, locked, and its hashes; NULL for an empty name. */
static struct shard *enter(struct lp_sessions *all, enum lp_session_name kind, lp_span name,
			   uint64_t out[2])
{
	struct lp_hash_seed seed = all->seed[1];
	struct shard *s;

	if (!name.n)
		return NULL;
	seed.k0 ^= (uint64_t)kind;
	out[0] = lp_hash(&all->seed[0], name.p, name.n);
	out[1] = lp_hash(&seed, name.p, name.n);
	s = &all->shard[out[1] % all->shards];
	pthread_mutex_lock(&s->lock);
	return s;
}

static bool same(const struct entry *e, const uint64_t name[2])
{
	return e->name[0] == name[0] && e->name[1] == name[1];
}

static struct lp_when place_of(const struct entry *e)
{
	return (struct lp_when){ .number = e->number, .tick = e->tick, .flow = e->flow,
				 .index = e->index };
}

static void set_place(struct entry *e, const struct lp_when *when)
{
	e->number = when->number;
	e->tick = when->tick;
	e->flow = when->flow;
	e->index = when->index;
}

static bool before(const struct entry *e, const struct lp_when *when)
{
	const struct lp_when own = place_of(e);

	return lp_when_compare(&own, when) < 0;
}

static bool behind(const struct entry *e, const struct lp_when *when)
{
	const struct lp_when own = place_of(e);

	return lp_when_compare(&own, when) > 0;
}

static bool older(const struct entry *e, const struct entry *than)
{
	const struct lp_when when = place_of(than);

	return before(e, &when);
}

/* An entry that has ended where the secret is seen again, or begins where that one will
 * have ended: each has its own time, and who looks between them finds nothing. */
static bool apart(const struct entry *e, uint64_t start, uint64_t end)
{
	return start >= e->end_ns || end <= e->start_ns;
}

/* Of all secrets that a name has: this very one, or NONE, and how many, and the one
 * that was learned first. */
static uint32_t look_over(struct shard *s, const uint64_t name[2],
			  const struct lp_session_secret *secret, const struct lp_when *when,
			  uint64_t end, unsigned *n, uint32_t *oldest)
{
	*n = 0;
	*oldest = NONE;
	for (uint32_t i = first_of(s, name); i != NONE; i = at(s, i)->chain) {
		const struct entry *e = at(s, i);

		if (!same(e, name))
			continue;
		if (lp_equal_ct(secret_at(s, i)->master, secret->master, LP_SESSIONS_SECRET) &&
		    !apart(e, when->released_ns, end))
			return i;
		++*n;
		if (*oldest == NONE || older(e, at(s, *oldest)))
			*oldest = i;
	}
	return NONE;
}

/* Another entry of the same name and secret whose time meets that of i, or NONE. */
static uint32_t twin(const struct shard *s, uint32_t i)
{
	const struct entry *e = at(s, i);

	for (uint32_t j = first_of(s, e->name); j != NONE; j = at(s, j)->chain)
		if (j != i && same(at(s, j), e->name) &&
		    !apart(at(s, j), e->start_ns, e->end_ns) &&
		    lp_equal_ct(secret_at(s, i)->master, secret_at(s, j)->master,
				LP_SESSIONS_SECRET))
			return j;
	return NONE;
}

/* Seen again, before or behind: it was there from the first time on, and ends when the
 * last would have. Whoever tells of them in whatever order, the outcome is the same; by
 * the monotonic clock it lives no longer than what was here first. */
static void seen_again(struct shard *s, uint32_t i, const struct lp_when *when, uint64_t end)
{
	struct entry *e = at(s, i);
	uint32_t j;

	if (!before(e, when)) {
		set_place(e, when);
		e->start_ns = when->released_ns;
	}
	if (end > e->end_ns)
		e->end_ns = end;
	while ((j = twin(s, i)) != NONE) {
		const struct entry *t = at(s, j);
		const struct lp_when place = place_of(t);

		if (older(t, e)) {
			set_place(e, &place);
			e->start_ns = t->start_ns;
		}
		if (t->end_ns > e->end_ns)
			e->end_ns = t->end_ns;
		drop(s, j);
		s->stored--;
	}
	heap_settle(s, s->n, e->heap, i);
}

static enum lp_err insert(struct shard *s, const uint64_t name[2],
			  const struct lp_session_secret *secret, const struct lp_when *when,
			  uint64_t end)
{
	uint32_t i, *slot, all_n, peak;
	struct entry *e;

	/* A full cache with nothing in this shard is above its cap by that one. */
	if (s->n >= s->max || (s->n && s->all->n >= s->all->max)) {
		drop(s, s->used.oldest);
		s->evicted++;
	}
	if (s->free == NONE && grow(s))
		return LP_E_NOMEM;
	i = s->free;
	e = at(s, i);
	s->free = e->chain;
	slot = slot_of(s, name);
	*e = (struct entry){
		.name = { name[0], name[1] },
		.start_ns = when->released_ns,
		.end_ns = end,
		.mono_ns = lp_clock_mono(),
		.chain = *slot - 1,
	};
	set_place(e, when);
	*slot = i + 1;
	*secret_at(s, i) = *secret;
	link_newest(s, &s->used, i);
	link_newest(s, &s->born, i);
	s->n++;
	heap_settle(s, s->n, s->n - 1, i);
	s->stored++;
	all_n = ++s->all->n;
	peak = s->all->peak;
	while (all_n > peak && !atomic_compare_exchange_weak(&s->all->peak, &peak, all_n))
		;
	return LP_OK;
}

enum lp_err lp_sessions_put(struct lp_sessions *all, enum lp_session_name kind, lp_span name,
			    const struct lp_session_secret *secret, const struct lp_when *when,
			    uint64_t left_ns)
{
	uint64_t hash[2], end, life = all->lifetime_ns;
	struct shard *s = enter(all, kind, name, hash);
	uint32_t i, oldest;
	unsigned n;
	enum lp_err err = LP_OK;

	if (!s)
		return LP_OK;
	end = when->released_ns + (left_ns && left_ns < life ? left_ns : life);
	i = look_over(s, hash, secret, when, end, &n, &oldest);
	if (i != NONE) {
		seen_again(s, i, when, end);
	} else {
		if (n >= LP_SESSIONS_SAME) {
			drop(s, oldest);
			s->evicted++;
		}
		err = insert(s, hash, secret, when, end);
	}
	pthread_mutex_unlock(&s->lock);
	return err;
}

/* The newest of a name's entries that may be seen at `when` and that is older than
 * `than` (NONE: any). */
static uint32_t next_newest(const struct shard *s, const uint64_t name[2],
			    const struct lp_when *when, uint32_t than)
{
	uint32_t best = NONE;

	for (uint32_t i = first_of(s, name); i != NONE; i = at(s, i)->chain) {
		const struct entry *e = at(s, i);

		if (same(e, name) && !behind(e, when) &&
		    when->released_ns < e->end_ns &&
		    (than == NONE || older(e, at(s, than))) &&
		    (best == NONE || older(at(s, best), e)))
			best = i;
	}
	return best;
}

bool lp_sessions_find(struct lp_sessions *all, enum lp_session_name kind, lp_span name,
		      const struct lp_when *when, unsigned *nth, struct lp_session_secret *out)
{
	uint64_t hash[2];
	struct shard *s = enter(all, kind, name, hash);
	uint32_t i = NONE;

	if (!s)
		return false;
	while ((i = next_newest(s, hash, when, i)) != NONE && *nth)
		--*nth;
	if (i != NONE) {
		*out = *secret_at(s, i);
		unlink_entry(s, &s->used, i);
		link_newest(s, &s->used, i);
	}
	pthread_mutex_unlock(&s->lock);
	return i != NONE;
}

void lp_sessions_hit(struct lp_sessions *all)
{
	all->hits++;
}

void lp_sessions_missed(struct lp_sessions *all)
{
	all->misses++;
}

static void expire(struct shard *s, uint64_t packet_ns, uint64_t mono_ns)
{
	pthread_mutex_lock(&s->lock);
	while (s->n && packet_ns >= at(s, s->heap[0])->end_ns) {
		drop(s, s->heap[0]);
		s->expired++;
	}
	while (s->n && mono_ns >= at(s, s->born.oldest)->mono_ns + s->all->lifetime_ns) {
		drop(s, s->born.oldest);
		s->expired++;
	}
	pthread_mutex_unlock(&s->lock);
}

void lp_sessions_expire(struct lp_sessions *all, uint64_t packet_ns, uint64_t mono_ns)
{
	for (size_t i = 0; i < all->shards; i++)
		expire(&all->shard[i], packet_ns, mono_ns);
}

void lp_sessions_stats(struct lp_sessions *all, struct lp_sessions_stats *out)
{
	*out = (struct lp_sessions_stats){ .peak = all->peak, .hits = all->hits,
					   .misses = all->misses };
	for (size_t i = 0; i < all->shards; i++) {
		struct shard *s = &all->shard[i];

		pthread_mutex_lock(&s->lock);
		out->entries += s->n;
		out->stored += s->stored;
		out->evicted += s->evicted;
		out->expired += s->expired;
		out->bytes += (uint64_t)s->blocks * BLOCK *
				      (sizeof(struct entry) + sizeof(struct lp_session_secret)) +
			      s->blocks * sizeof *s->block + s->n * sizeof *s->heap +
			      s->slots * sizeof *s->slot;
		pthread_mutex_unlock(&s->lock);
	}
}
