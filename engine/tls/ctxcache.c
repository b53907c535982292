#include "tls/ctxcache.h"

#include <stdlib.h>

/* prev and next are slots; NONE ends the list. A free slot has no owner and is linked
 * by next alone. */
struct lp_ctx_slot {
	struct lp_ctx_pair pair;
	const void *owner;
	uint32_t prev, next;
};

enum { FIRST_SLOTS = 64 };
#define NONE UINT32_MAX

void lp_ctx_cache_init(struct lp_ctx_cache *cache, uint32_t pairs)
{
	uint32_t max = pairs ? pairs : 1;

	*cache = (struct lp_ctx_cache){
		.max = max > UINT32_MAX / 4 ? UINT32_MAX / 2 : 2 * max,
		.first = NONE,
		.last = NONE,
		.free = NONE,
	};
}

static void wipe(struct lp_ctx_slot *s)
{
	if (s->pair.cipher)
		s->pair.cipher_provider->cipher_free(s->pair.cipher);
	if (s->pair.mac)
		s->pair.mac_provider->mac_free(s->pair.mac);
	s->pair = (struct lp_ctx_pair){ NULL, NULL, NULL, NULL };
	s->owner = NULL;
}

void lp_ctx_cache_clear(struct lp_ctx_cache *cache)
{
	for (uint32_t i = cache->first; i != NONE; i = cache->slots[i].next)
		wipe(&cache->slots[i]);
	free(cache->slots);
	cache->slots = NULL;
	cache->room = cache->used = 0;
	cache->first = cache->last = cache->free = NONE;
}

static void unlink_slot(struct lp_ctx_cache *cache, uint32_t i)
{
	struct lp_ctx_slot *s = &cache->slots[i];

	if (s->prev == NONE)
		cache->first = s->next;
	else
		cache->slots[s->prev].next = s->next;
	if (s->next == NONE)
		cache->last = s->prev;
	else
		cache->slots[s->next].prev = s->prev;
}

static void push_front(struct lp_ctx_cache *cache, uint32_t i)
{
	struct lp_ctx_slot *s = &cache->slots[i];

	s->prev = NONE;
	s->next = cache->first;
	if (cache->first == NONE)
		cache->last = i;
	else
		cache->slots[cache->first].prev = i;
	cache->first = i;
}

static bool is_there(const struct lp_ctx_cache *cache, uint32_t slot, const void *owner)
{
	return slot < cache->room && cache->slots[slot].owner == owner;
}

struct lp_ctx_pair *lp_ctx_cache_get(struct lp_ctx_cache *cache, uint32_t slot, const void *owner)
{
	if (!is_there(cache, slot, owner))
		return NULL;
	if (cache->first != slot) {
		unlink_slot(cache, slot);
		push_front(cache, slot);
	}
	return &cache->slots[slot].pair;
}

/* The table doubles until it has its full size. */
static enum lp_err grow(struct lp_ctx_cache *cache)
{
	uint32_t room = cache->room ? cache->room * 2 : FIRST_SLOTS;
	struct lp_ctx_slot *slots;

	if (room > cache->max || room < cache->room)
		room = cache->max;
	slots = realloc(cache->slots, room * sizeof *slots);
	if (!slots)
		return LP_E_NOMEM;
	cache->slots = slots;
	for (uint32_t i = room; i-- > cache->room;) {
		slots[i] = (struct lp_ctx_slot){ .next = cache->free };
		cache->free = i;
	}
	cache->room = room;
	return LP_OK;
}

enum lp_err lp_ctx_cache_add(struct lp_ctx_cache *cache, const void *owner, uint32_t *slot,
			     struct lp_ctx_pair **out)
{
	enum lp_err err;
	uint32_t i;

	if (cache->free == NONE && cache->room < cache->max) {
		err = grow(cache);
		if (err)
			return err;
	}
	if (cache->free != NONE) {
		i = cache->free;
		cache->free = cache->slots[i].next;
		cache->used++;
	} else {
		i = cache->last;
		unlink_slot(cache, i);
		wipe(&cache->slots[i]);
		cache->evicted++;
	}
	push_front(cache, i);
	cache->slots[i].owner = owner;
	cache->made++;
	*slot = i;
	*out = &cache->slots[i].pair;
	return LP_OK;
}

void lp_ctx_cache_drop(struct lp_ctx_cache *cache, uint32_t slot, const void *owner)
{
	if (!is_there(cache, slot, owner))
		return;
	unlink_slot(cache, slot);
	wipe(&cache->slots[slot]);
	cache->slots[slot].next = cache->free;
	cache->free = slot;
	cache->used--;
}
