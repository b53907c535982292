/* A hash table by chains; the ready entries are also a list in the order in which
 * they became ready, which (one life for all) is the order in which they end. */
#include "warden/recent.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

struct lp_recent {
	struct lp_recent_entry *entries; /* secret memory */
	uint32_t *buckets;               /* index + 1 */
	uint32_t size;
	uint32_t count;
	uint32_t free;                   /* chain of free entries */
	uint32_t oldest, newest;         /* ready ones */
	struct lp_hash_seed seed;        /* inputs are chosen by the network */
};

enum lp_err lp_recent_new(struct lp_recent **out, uint32_t size)
{
	struct lp_recent *r = calloc(1, sizeof *r);
	enum lp_err err = LP_E_NOMEM;

	*out = NULL;
	if (!r)
		return LP_E_NOMEM;
	r->size = size;
	r->entries = lp_secret_alloc(size * sizeof *r->entries);
	r->buckets = calloc(size, sizeof *r->buckets);
	if (!r->entries || !r->buckets)
		goto out;
	err = lp_hash_seed_new(&r->seed);
	if (err)
		goto out;
	for (uint32_t i = size; i > 0; i--) {
		r->entries[i - 1].chain = r->free;
		r->free = i;
	}
	*out = r;
	r = NULL;
out:
	lp_recent_free(r);
	return err;
}

void lp_recent_free(struct lp_recent *r)
{
	if (!r)
		return;
	lp_secret_free(r->entries, r->size * sizeof *r->entries);
	free(r->buckets);
	free(r);
}

static struct lp_recent_entry *entry_at(struct lp_recent *r, uint32_t index1)
{
	return index1 ? &r->entries[index1 - 1] : NULL;
}

static uint32_t index_of(const struct lp_recent *r, const struct lp_recent_entry *e)
{
	return (uint32_t)(e - r->entries) + 1;
}

static uint32_t *bucket_of(struct lp_recent *r, uint32_t key, const uint8_t input_sha256[32])
{
	return &r->buckets[(lp_hash(&r->seed, input_sha256, 32) ^ key) % r->size];
}

struct lp_recent_entry *lp_recent_find(struct lp_recent *r, uint32_t key,
				       const uint8_t input_sha256[32])
{
	struct lp_recent_entry *e = entry_at(r, *bucket_of(r, key, input_sha256));

	while (e && (e->key != key || memcmp(e->input_sha256, input_sha256, 32)))
		e = entry_at(r, e->chain);
	return e;
}

static void unlink_ready(struct lp_recent *r, struct lp_recent_entry *e)
{
	struct lp_recent_entry *older = entry_at(r, e->older);
	struct lp_recent_entry *newer = entry_at(r, e->newer);

	if (older)
		older->newer = e->newer;
	else
		r->oldest = e->newer;
	if (newer)
		newer->older = e->older;
	else
		r->newest = e->older;
}

void lp_recent_drop(struct lp_recent *r, struct lp_recent_entry *e)
{
	uint32_t *at = bucket_of(r, e->key, e->input_sha256);
	uint32_t self = index_of(r, e);

	while (*at != self)
		at = &entry_at(r, *at)->chain;
	*at = e->chain;
	if (e->ready)
		unlink_ready(r, e);
	lp_wipe(e, sizeof *e);
	e->chain = r->free;
	r->free = self;
	r->count--;
}

struct lp_recent_entry *lp_recent_add(struct lp_recent *r, uint32_t key,
				      const uint8_t input_sha256[32])
{
	struct lp_recent_entry *e;
	uint32_t *bucket = bucket_of(r, key, input_sha256);

	if (!r->free && r->oldest)
		lp_recent_drop(r, entry_at(r, r->oldest));
	e = entry_at(r, r->free);
	if (!e)
		return NULL;
	r->free = e->chain;
	e->key = key;
	memcpy(e->input_sha256, input_sha256, 32);
	e->chain = *bucket;
	*bucket = index_of(r, e);
	r->count++;
	return e;
}

void lp_recent_ready(struct lp_recent *r, struct lp_recent_entry *e, const uint8_t *premaster,
		     uint64_t now)
{
	uint32_t self = index_of(r, e);
	struct lp_recent_entry *newest = entry_at(r, r->newest);

	assert(!e->ready);
	memcpy(e->premaster, premaster, sizeof e->premaster);
	e->ready = true;
	e->waiting = NULL;
	e->end = now + LP_RECENT_LIFE;
	e->older = r->newest;
	e->newer = 0;
	if (newest)
		newest->newer = self;
	else
		r->oldest = self;
	r->newest = self;
}

uint64_t lp_recent_expire(struct lp_recent *r, uint64_t now)
{
	struct lp_recent_entry *e;

	while ((e = entry_at(r, r->oldest)) && e->end <= now)
		lp_recent_drop(r, e);
	return e ? e->end : 0;
}

uint32_t lp_recent_count(const struct lp_recent *r)
{
	return r->count;
}
