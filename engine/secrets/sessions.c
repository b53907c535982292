#include "secrets/sessions.h"

#include <stdlib.h>
#include <string.h>

#include "base/secret.h"

enum { NONE = UINT32_MAX, FIRST_SIZE = 1024 };

struct entry {
	uint64_t name[2];      /* two keyed hashes of kind and name: 128 bits */
	uint8_t *secret;
	uint64_t number;       /* place at which it was learned */
	uint64_t born_ns;
	uint32_t index;
	uint32_t chain;        /* in its hash slot, newest first; or of the free list */
	uint32_t used[2];      /* list by last use: newer, older */
	uint32_t born[2];      /* list by birth: newer, older */
};

struct list {
	uint32_t newest, oldest;
};

struct lp_sessions {
	struct lp_hash_seed seed[2];
	struct entry *entry;
	uint32_t *slot;
	uint32_t size;         /* of both; a power of two */
	uint32_t n, max, free;
	struct list used, born;
	uint64_t lifetime_ns;
	struct lp_sessions_stats stats;
};

static uint32_t *slots_new(uint32_t n)
{
	uint32_t *slot = malloc(n * sizeof *slot);

	for (uint32_t i = 0; slot && i < n; i++)
		slot[i] = NONE;
	return slot;
}

enum lp_err lp_sessions_new(struct lp_sessions **out, const struct lp_hash_seed *seed, uint32_t max,
			    uint64_t lifetime_ns)
{
	struct lp_sessions *s = calloc(1, sizeof *s);

	*out = s;
	if (!s)
		return LP_E_NOMEM;
	s->seed[0] = *seed;
	s->seed[1] = (struct lp_hash_seed){ seed->k1, ~seed->k0 };
	s->max = max;
	s->lifetime_ns = lifetime_ns;
	s->free = NONE;
	s->used = (struct list){ NONE, NONE };
	s->born = (struct list){ NONE, NONE };
	return LP_OK;
}

/* ---- the two lists; `which` is the offset of the link pair ---- */

#define LINKS(s, i, list) ((list) == &(s)->used ? (s)->entry[i].used : (s)->entry[i].born)

static void unlink_entry(struct lp_sessions *s, struct list *list, uint32_t i)
{
	uint32_t *l = LINKS(s, i, list);

	*(l[0] == NONE ? &list->newest : &LINKS(s, l[0], list)[1]) = l[1];
	*(l[1] == NONE ? &list->oldest : &LINKS(s, l[1], list)[0]) = l[0];
}

static void link_newest(struct lp_sessions *s, struct list *list, uint32_t i)
{
	uint32_t *l = LINKS(s, i, list);

	l[0] = NONE;
	l[1] = list->newest;
	*(l[1] == NONE ? &list->oldest : &LINKS(s, l[1], list)[0]) = i;
	list->newest = i;
}

static uint32_t *slot_of(const struct lp_sessions *s, const uint64_t name[2])
{
	return &s->slot[name[0] & (s->size - 1)];
}

static void drop(struct lp_sessions *s, uint32_t i)
{
	struct entry *e = &s->entry[i];
	uint32_t *at = slot_of(s, e->name);

	while (*at != i)
		at = &s->entry[*at].chain;
	*at = e->chain;
	unlink_entry(s, &s->used, i);
	unlink_entry(s, &s->born, i);
	lp_secret_free(e->secret, LP_SESSIONS_SECRET);
	*e = (struct entry){ .chain = s->free };
	s->free = i;
	s->n--;
}

void lp_sessions_free(struct lp_sessions *s)
{
	if (!s)
		return;
	while (s->born.oldest != NONE)
		drop(s, s->born.oldest);
	free(s->entry);
	free(s->slot);
	free(s);
}

static enum lp_err grow(struct lp_sessions *s)
{
	uint32_t size = s->size ? 2 * s->size : FIRST_SIZE;
	struct entry *entry = realloc(s->entry, size * sizeof *entry);
	uint32_t *slot;

	if (!entry)
		return LP_E_NOMEM;
	s->entry = entry;
	slot = slots_new(size);
	if (!slot)
		return LP_E_NOMEM;
	free(s->slot);
	s->slot = slot;
	for (uint32_t i = size; i-- > s->size;) {
		entry[i] = (struct entry){ .chain = s->free };
		s->free = i;
	}
	s->size = size;
	/* Oldest first, so that each chain has its newest in front again. */
	for (uint32_t i = s->born.oldest; i != NONE; i = entry[i].born[0]) {
		uint32_t *at = slot_of(s, entry[i].name);

		entry[i].chain = *at;
		*at = i;
	}
	return LP_OK;
}

static bool name_of(const struct lp_sessions *s, enum lp_session_name kind, lp_span name,
		    uint64_t out[2])
{
	struct lp_hash_seed seed = s->seed[1];

	if (!name.n)
		return false;
	seed.k0 ^= (uint64_t)kind;
	out[0] = lp_hash(&s->seed[0], name.p, name.n);
	out[1] = lp_hash(&seed, name.p, name.n);
	return true;
}

static bool same(const struct entry *e, const uint64_t name[2])
{
	return e->name[0] == name[0] && e->name[1] == name[1];
}

/* Makes sure that the name has not this secret yet, nor too many. */
static void make_way(struct lp_sessions *s, const uint64_t name[2], const uint8_t *secret)
{
	unsigned n = 0;
	uint32_t next;

	for (uint32_t i = *slot_of(s, name); i != NONE; i = next) {
		next = s->entry[i].chain;
		if (!same(&s->entry[i], name))
			continue;
		if (++n >= LP_SESSIONS_SAME ||
		    lp_equal_ct(s->entry[i].secret, secret, LP_SESSIONS_SECRET))
			drop(s, i);
	}
}

enum lp_err lp_sessions_put(struct lp_sessions *s, enum lp_session_name kind, lp_span name,
			    const uint8_t secret[LP_SESSIONS_SECRET], const struct lp_when *when)
{
	uint64_t hash[2];
	struct entry *e;
	uint32_t i, *at;

	if (!name_of(s, kind, name, hash))
		return LP_OK;
	if (s->size)
		make_way(s, hash, secret);
	if (s->n >= s->max) {
		drop(s, s->used.oldest);
		s->stats.evicted++;
	}
	if (s->free == NONE && grow(s))
		return LP_E_NOMEM;
	i = s->free;
	e = &s->entry[i];
	s->free = e->chain;
	*e = (struct entry){
		.name = { hash[0], hash[1] },
		.secret = lp_secret_alloc(LP_SESSIONS_SECRET),
		.number = when->number,
		.index = when->index,
		.born_ns = when->released_ns,
	};
	if (!e->secret) {
		*e = (struct entry){ .chain = s->free };
		s->free = i;
		return LP_E_NOMEM;
	}
	memcpy(e->secret, secret, LP_SESSIONS_SECRET);
	at = slot_of(s, hash);
	e->chain = *at;
	*at = i;
	link_newest(s, &s->used, i);
	link_newest(s, &s->born, i);
	s->n++;
	return LP_OK;
}

static bool before(const struct entry *e, const struct lp_when *when)
{
	return e->number < when->number || (e->number == when->number && e->index < when->index);
}

bool lp_sessions_find(struct lp_sessions *s, enum lp_session_name kind, lp_span name,
		      const struct lp_when *when, unsigned attempt,
		      uint8_t out[LP_SESSIONS_SECRET])
{
	uint64_t hash[2];

	if (!s->size || !name_of(s, kind, name, hash)) {
		s->stats.misses++;
		return false;
	}
	for (uint32_t i = *slot_of(s, hash); i != NONE; i = s->entry[i].chain) {
		struct entry *e = &s->entry[i];

		if (!same(e, hash) || !before(e, when) || attempt--)
			continue;
		memcpy(out, e->secret, LP_SESSIONS_SECRET);
		unlink_entry(s, &s->used, i);
		link_newest(s, &s->used, i);
		s->stats.hits++;
		return true;
	}
	s->stats.misses++;
	return false;
}

void lp_sessions_expire(struct lp_sessions *s, uint64_t now_ns)
{
	/* Packet time may jump about a little; births stand in the order of learning. */
	while (s->born.oldest != NONE &&
	       now_ns > s->entry[s->born.oldest].born_ns + s->lifetime_ns) {
		drop(s, s->born.oldest);
		s->stats.expired++;
	}
}

void lp_sessions_stats(const struct lp_sessions *s, struct lp_sessions_stats *out)
{
	*out = s->stats;
	out->entries = s->n;
}
