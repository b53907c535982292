#include "net/recent.h"

#include <string.h>

#include "base/large.h"

enum { ENTRIES = 1 << LP_RECENT_BITS };

enum lp_err lp_recent_init(struct lp_recent *r, const struct lp_hash_seed *seed)
{
	for (uint32_t i = 0; i < LP_SWEEP_KEY; i++)
		r->key[i] = lp_hash(seed, &i, sizeof i);
	r->entries = lp_large_new(ENTRIES * sizeof *r->entries);
	return r->entries ? LP_OK : LP_E_NOMEM;
}

void lp_recent_clear(struct lp_recent *r)
{
	lp_large_free(r->entries, ENTRIES * sizeof *r->entries);
	*r = (struct lp_recent){ 0 };
}

/* Both halves of a product, folded: every bit of both factors has a say. */
static inline uint64_t fold(uint64_t a, uint64_t b)
{
	unsigned __int128 m = (unsigned __int128)a * b;

	return (uint64_t)m ^ (uint64_t)(m >> 64);
}

/* A block more; sum: its checksum, too. */
static inline struct lp_swept mix(struct lp_swept all, const uint64_t *key, const uint8_t *p,
				  size_t n, bool sum)
{
	struct lp_swept block = { 0 };

	if (sum)
		block = lp_sweep(key, p, n);
	else
		block.hash = lp_sweep_hash(key, p, n);
	return (struct lp_swept){ all.sum + block.sum,
				  fold(all.hash ^ block.hash, key[0] | 1) ^ block.hash };
}

/* Nearly all segments are one block. */
static __attribute__((noinline)) struct lp_swept mix_long(const uint64_t *key, const uint8_t *p,
							  uint32_t n, bool sum)
{
	struct lp_swept all = { 0, n };

	for (uint32_t some; n; p += some, n -= some) {
		some = n < LP_SWEEP_BLOCK ? n : LP_SWEEP_BLOCK;
		all = mix(all, key, p, some, sum);
	}
	return all;
}

/* Every byte handed on comes through here: wide, and strong enough that a sender who does not
 * know the seed cannot make two payloads of one hash. That has 32 bits. */
static inline struct lp_swept hash(const uint64_t *key, const uint8_t *p, uint32_t n, bool sum)
{
	struct lp_swept all = { 0, n };

	all = n <= LP_SWEEP_BLOCK ? mix(all, key, p, n, sum) : mix_long(key, p, n, sum);
	all.hash = (uint32_t)(all.hash ^ all.hash >> 32);
	return all;
}

uint64_t lp_recent_look(struct lp_recent *r, const uint8_t *p, uint32_t n)
{
	struct lp_swept all;

	r->seen.p = p;
	r->seen.n = n;
	r->seen.stays = false;
	all = hash(r->key, p, n, true);
	r->seen.hash = (uint32_t)all.hash;
	return all.sum;
}

static __attribute__((noinline)) uint32_t hash_anew(const struct lp_recent *r, const uint8_t *p,
						    uint32_t n)
{
	return (uint32_t)hash(r->key, p, n, false).hash;
}

static inline uint32_t hash_of(const struct lp_recent *r, const uint8_t *p, uint32_t n)
{
	return p == r->seen.p && n == r->seen.n && !r->seen.stays ? r->seen.hash : hash_anew(r, p, n);
}

static inline bool stays(const struct lp_recent *r, const uint8_t *p, uint32_t n)
{
	size_t at = (size_t)((uintptr_t)p - (uintptr_t)r->seen.p);

	return r->seen.stays && at <= r->seen.n && n <= r->seen.n - at;
}

void lp_recent_put(struct lp_recent *r, uint64_t stream, uint32_t seq, const uint8_t *p, uint32_t n)
{
	struct lp_recent_entry *e = lp_recent_at(r, (uint32_t)(stream >> 32), seq, n);

	*e = (struct lp_recent_entry){ .stream = (uint32_t)stream, .seq = seq, .n = n };
	if (stays(r, p, n))
		e->p = p;
	else
		e->hash = hash_of(r, p, n);
}

/* What was put at seq, if it is no longer than n. */
static const struct lp_recent_entry *find(const struct lp_recent *r, uint64_t stream, uint32_t seq,
					  uint32_t n)
{
	for (;;) {
		const struct lp_recent_entry *e = lp_recent_at(r, (uint32_t)(stream >> 32), seq, n);

		if (e->n && e->n <= n && e->stream == (uint32_t)stream && e->seq == seq)
			return e;
		if (n < LP_RECENT_LARGE)
			return NULL;
		n = LP_RECENT_LARGE - 1; /* it may have been a small one */
	}
}

bool lp_recent_differs(const struct lp_recent *r, uint64_t stream, uint32_t seq, const uint8_t *p,
		       uint32_t n)
{
	while (n) {
		const struct lp_recent_entry *e = find(r, stream, seq, n);

		if (!e)
			return false;
		if (e->p ? memcmp(e->p, p, e->n) != 0 : e->hash != hash_of(r, p, e->n))
			return true;
		seq += e->n;
		p += e->n;
		n -= e->n;
	}
	return false;
}
