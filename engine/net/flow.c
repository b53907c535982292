/* Open addressing with linear probing, at most half full; a slot carries 32 bits of
 * hash, so a miss or a neighbour costs no look at a flow, and growing needs none. */
#include "net/flow.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/cpu.h"
#include "base/large.h"

enum { FIRST_SLOTS = 1024 };

_Static_assert(LP_FLOW_SLAB * sizeof(struct lp_flow) % LP_LARGE == 0, "whole pages");

static struct lp_flow_slot *get_slots(size_t n)
{
	return lp_table_new(n * sizeof(struct lp_flow_slot));
}

static void free_slots(struct lp_flow_table *t)
{
	lp_table_free(t->slots, ((size_t)t->mask + 1) * sizeof *t->slots);
}

/* Of the first one small captures only ever touch a corner. */
static struct lp_flow *get_slab(uint32_t i)
{
	const size_t n = LP_FLOW_SLAB * sizeof(struct lp_flow);

	return i ? lp_large_new(n) : aligned_alloc(LP_CACHE_LINE, n);
}

static void free_slab(struct lp_flow *slab, uint32_t i)
{
	if (i)
		lp_large_free(slab, LP_FLOW_SLAB * sizeof *slab);
	else
		free(slab);
}

enum lp_err lp_flow_table_init(struct lp_flow_table *t, uint32_t max,
			       const struct lp_hash_seed *seed)
{
	*t = (struct lp_flow_table){ .max = max ? max : 1, .seed = *seed };
	if (t->max > UINT32_MAX / 4)
		t->max = UINT32_MAX / 4;
	t->slots = get_slots(FIRST_SLOTS);
	if (!t->slots)
		return LP_E_NOMEM;
	t->mask = FIRST_SLOTS - 1;
	return LP_OK;
}

void lp_flow_table_clear(struct lp_flow_table *t)
{
	for (uint32_t i = 0; i < t->made / LP_FLOW_SLAB; i++)
		free_slab(t->slabs[i], i);
	free(t->slabs);
	free_slots(t);
	*t = (struct lp_flow_table){ 0 };
}

static inline uint64_t rotl(uint64_t x, unsigned b)
{
	return x << b | x >> (64 - b);
}

struct sip {
	uint64_t a, b, c, d;
};

static inline void sip_round(struct sip *s)
{
	s->a += s->b;
	s->b = rotl(s->b, 13) ^ s->a;
	s->a = rotl(s->a, 32);
	s->c += s->d;
	s->d = rotl(s->d, 16) ^ s->c;
	s->a += s->d;
	s->d = rotl(s->d, 21) ^ s->a;
	s->c += s->b;
	s->b = rotl(s->b, 17) ^ s->c;
	s->c = rotl(s->c, 32);
}

static inline void sip_word(struct sip *s, uint64_t m)
{
	s->d ^= m;
	sip_round(s);
	s->a ^= m;
}

/* SipHash-1-3 over whole words: enough for a hash table whose seed and hashes
 * nobody outside can see, at a third of the cost of lp_hash(). */
static uint32_t hash_key(const struct lp_hash_seed *seed, const struct lp_flow_key *key,
			 uint8_t family)
{
	struct sip s = {
		seed->k0 ^ 0x736f6d6570736575ULL,
		seed->k1 ^ 0x646f72616e646f6dULL,
		seed->k0 ^ 0x6c7967656e657261ULL,
		seed->k1 ^ 0x7465646279746573ULL,
	};
	uint64_t w[5], h;

	memcpy(w, key, sizeof w);
	if (family == 4) {
		uint32_t low, high;

		memcpy(&low, key->addr[0], 4);
		memcpy(&high, key->addr[1], 4);
		sip_word(&s, (uint64_t)high << 32 | low);
		sip_word(&s, w[4]);
	} else {
		for (int i = 0; i < 5; i++)
			sip_word(&s, w[i]);
	}
	/* No length at the end: it is the family's, and families are told apart later. */
	s.c ^= 0xff;
	sip_round(&s);
	sip_round(&s);
	sip_round(&s);
	h = s.a ^ s.b ^ s.c ^ s.d;
	return (uint32_t)(h ^ h >> 32);
}

static inline void make_key(const struct lp_segment *s, struct lp_flow_name *out)
{
	struct lp_flow_key *k = &out->key;
	uint32_t src, dst;
	bool swap;
	int c;

	if (s->family == 4) {
		memcpy(&src, s->src, 4);
		memcpy(&dst, s->dst, 4);
		swap = src > dst || (src == dst && s->sport > s->dport);
		memset(k->addr, 0, sizeof k->addr);
		memcpy(k->addr[swap], &src, 4);
		memcpy(k->addr[!swap], &dst, 4);
	} else {
		c = memcmp(s->src, s->dst, 16);
		swap = c > 0 || (c == 0 && s->sport > s->dport);
		memcpy(k->addr[swap], s->src, 16);
		memcpy(k->addr[!swap], s->dst, 16);
	}
	k->port[swap] = s->sport;
	k->port[!swap] = s->dport;
	k->domain = s->domain;
	out->family = s->family;
	out->swap = swap;
}

static inline bool same_key(const struct lp_flow_key *a, const struct lp_flow_key *b)
{
	const uint8_t *p = (const uint8_t *)a, *q = (const uint8_t *)b;
	uint64_t x, y, differ = 0;

	for (size_t i = 0; i < sizeof *a; i += sizeof x) {
		memcpy(&x, p + i, sizeof x);
		memcpy(&y, q + i, sizeof y);
		differ |= x ^ y;
	}
	return !differ;
}

void lp_flow_name(const struct lp_flow_table *t, const struct lp_segment *s,
		  struct lp_flow_name *out)
{
	make_key(s, out);
	out->tag = s->tag ? s->tag : hash_key(&t->seed, &out->key, out->family);
}

void lp_flow_prefetch(const struct lp_flow_table *t, const struct lp_flow_name *name)
{
	uint32_t i = name->tag & t->mask;
	const char *f;

	/* Usually the first slot; a collision costs a prefetch, nothing else. */
	while (t->slots[i].flow && t->slots[i].tag != name->tag)
		i = (i + 1) & t->mask;
	if (!t->slots[i].flow)
		return;
	f = (const char *)lp_flow_at(t, t->slots[i].flow);
	__builtin_prefetch(f, 1);
	__builtin_prefetch(f + LP_CACHE_LINE, 1);
	__builtin_prefetch(f + 2 * LP_CACHE_LINE, 1);
}

struct lp_flow *lp_flow_find(const struct lp_flow_table *t, const struct lp_flow_name *name)
{
	struct lp_flow *f;

	for (uint32_t i = name->tag & t->mask; t->slots[i].flow; i = (i + 1) & t->mask) {
		if (t->slots[i].tag != name->tag)
			continue;
		f = lp_flow_at(t, t->slots[i].flow);
		if (f->family == name->family && same_key(&f->key, &name->key))
			return f;
	}
	return NULL;
}

static void place(struct lp_flow_slot *slots, uint32_t mask, struct lp_flow_slot slot)
{
	uint32_t i = slot.tag & mask;

	while (slots[i].flow)
		i = (i + 1) & mask;
	slots[i] = slot;
}

static enum lp_err grow_slots(struct lp_flow_table *t)
{
	uint32_t mask = t->mask * 2 + 1;
	struct lp_flow_slot *slots = get_slots((size_t)mask + 1);

	if (!slots)
		return LP_E_NOMEM;
	for (uint32_t i = 0; i <= t->mask; i++)
		if (t->slots[i].flow)
			place(slots, mask, t->slots[i]);
	free_slots(t);
	t->slots = slots;
	t->mask = mask;
	return LP_OK;
}

static enum lp_err grow_slabs(struct lp_flow_table *t)
{
	uint32_t n = t->made / LP_FLOW_SLAB;
	struct lp_flow **slabs;
	struct lp_flow *slab;
	uint32_t size;

	if (n == t->slabs_size) {
		size = n ? n * 2 : 16;
		slabs = realloc(t->slabs, size * sizeof(struct lp_flow *));
		if (!slabs)
			return LP_E_NOMEM;
		t->slabs = slabs;
		t->slabs_size = size;
	}
	slab = get_slab(n);
	if (!slab)
		return LP_E_NOMEM;
	t->slabs[n] = slab;
	t->made += LP_FLOW_SLAB;
	return LP_OK;
}

enum lp_err lp_flow_insert(struct lp_flow_table *t, const struct lp_flow_name *name,
			   struct lp_flow **out)
{
	struct lp_flow *f;
	uint32_t number;

	*out = NULL;
	if (t->count >= t->max)
		return LP_E_LIMIT;
	if (t->count > t->mask / 2 && grow_slots(t))
		return LP_E_NOMEM;
	if (t->free) {
		number = t->free;
		t->free = lp_flow_at(t, number)->next;
	} else {
		if (t->used == t->made && grow_slabs(t))
			return LP_E_NOMEM;
		number = ++t->used;
	}
	f = lp_flow_at(t, number);
	*f = (struct lp_flow){ .key = name->key, .tag = name->tag, .self = number,
			       .family = name->family & 7U };
	place(t->slots, t->mask, (struct lp_flow_slot){ name->tag, number });
	t->count++;
	lp_budget_charge(t->budget, 1, 0);
	t->changes++;
	*out = f;
	return LP_OK;
}

void lp_flow_remove(struct lp_flow_table *t, struct lp_flow *f)
{
	uint32_t hole = f->tag & t->mask;
	uint32_t i, home;

	while (t->slots[hole].flow != f->self) {
		assert(t->slots[hole].flow);
		hole = (hole + 1) & t->mask;
	}
	/* Close the hole: a later slot of the run moves into it unless its home lies
	 * between the two. */
	for (i = (hole + 1) & t->mask; t->slots[i].flow; i = (i + 1) & t->mask) {
		home = t->slots[i].tag & t->mask;
		if (((i - home) & t->mask) >= ((i - hole) & t->mask)) {
			t->slots[hole] = t->slots[i];
			hole = i;
		}
	}
	t->slots[hole].flow = 0;
	f->state = LP_FLOW_FREE;
	f->next = t->free;
	t->free = f->self;
	t->count--;
	lp_budget_charge(t->budget, 0, 1);
	t->changes++;
}
