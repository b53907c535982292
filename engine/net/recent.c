#include "net/recent.h"

#include <stdlib.h>
#include <string.h>

enum { ENTRIES = 1 << 16 };

enum lp_err lp_recent_init(struct lp_recent *r, const struct lp_hash_seed *seed)
{
	for (uint32_t i = 0; i < LP_SWEEP_KEY; i++)
		r->key[i] = lp_hash(seed, &i, sizeof i);
	r->entries = calloc(ENTRIES, sizeof *r->entries);
	return r->entries ? LP_OK : LP_E_NOMEM;
}

void lp_recent_clear(struct lp_recent *r)
{
	free(r->entries);
	*r = (struct lp_recent){ 0 };
}

/* Both halves of a product, folded: every bit of both factors has a say. */
static inline uint64_t fold(uint64_t a, uint64_t b)
{
	unsigned __int128 m = (unsigned __int128)a * b;

	return (uint64_t)m ^ (uint64_t)(m >> 64);
}

/* Every byte handed on comes through here: wide, and strong enough that a sender who does not
 * know the seed cannot make two payloads of one hash. sum: their checksum is added to it, or NULL. */
static inline uint32_t hash(const uint64_t *key, const uint8_t *p, uint32_t n, uint64_t *sum)
{
	uint64_t h = n;

	for (uint32_t some; n; p += some, n -= some) {
		struct lp_swept block = { 0 };

		some = n < LP_SWEEP_BLOCK ? n : LP_SWEEP_BLOCK;
		if (sum)
			block = lp_sweep(key, p, some);
		else
			block.hash = lp_sweep_hash(key, p, some);
		if (sum)
			*sum += block.sum;
		h = fold(h ^ block.hash, key[0] | 1) ^ block.hash;
	}
	return (uint32_t)(h ^ h >> 32);
}

uint64_t lp_recent_look(struct lp_recent *r, const uint8_t *p, uint32_t n)
{
	uint64_t sum = 0;

	r->seen.p = p;
	r->seen.n = n;
	r->seen.hash = hash(r->key, p, n, &sum);
	return sum;
}

static inline uint32_t hash_of(const struct lp_recent *r, const uint8_t *p, uint32_t n)
{
	return p == r->seen.p && n == r->seen.n ? r->seen.hash : hash(r->key, p, n, NULL);
}

static size_t place(uint32_t upper, uint32_t seq)
{
	return (size_t)((((uint64_t)upper << 32 | seq) * 0x9e3779b97f4a7c15ULL) >> 48);
}

/* Or each segment would wait for memory, with all that is written behind it. */
void lp_recent_prefetch(const struct lp_recent *r, uint32_t upper, uint32_t seq)
{
	__builtin_prefetch(&r->entries[place(upper, seq)], 1);
}

void lp_recent_put(struct lp_recent *r, uint64_t stream, uint32_t seq, const uint8_t *p, uint32_t n)
{
	r->entries[place((uint32_t)(stream >> 32), seq)] =
		(struct lp_recent_entry){ (uint32_t)stream, seq, n, hash_of(r, p, n) };
}

bool lp_recent_differs(const struct lp_recent *r, uint64_t stream, uint32_t seq, const uint8_t *p,
		       uint32_t n)
{
	while (n) {
		const struct lp_recent_entry *e =
			&r->entries[place((uint32_t)(stream >> 32), seq)];

		if (!e->n || e->n > n || e->stream != (uint32_t)stream || e->seq != seq)
			return false;
		if (e->hash != hash_of(r, p, e->n))
			return true;
		seq += e->n;
		p += e->n;
		n -= e->n;
	}
	return false;
}
