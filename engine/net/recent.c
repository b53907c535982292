#include "net/recent.h"

#include <stdlib.h>
#include <string.h>

enum { ENTRIES = 1 << 16, STRIPE = 4 * 16 };

enum lp_err lp_recent_init(struct lp_recent *r, const struct lp_hash_seed *seed)
{
	r->seed = *seed;
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

static inline uint64_t word(const uint8_t *p)
{
	uint64_t w;

	memcpy(&w, p, 8);
	return w;
}

/* Every byte handed on comes through here, so it is wide rather than strong; the seed is
 * what keeps a sender from making two payloads with one hash. Lanes are variables, not an
 * array: compilers keep an array in memory. */
static uint32_t hash(const struct lp_hash_seed *seed, const uint8_t *p, uint32_t n)
{
	uint64_t k = seed->k0, a = seed->k1 + 0x9e3779b97f4a7c15ULL, b = a + 0x3c6ef372fe94f82bULL;
	uint64_t c = b + 0xdaa66d2c7ddf743fULL, d = c + 0x78dde6e5fd29f045ULL, h = k ^ n;
	uint8_t tail[STRIPE] = { 0 };
	const uint8_t *from = p;

	while (n) {
		if (n < STRIPE) {
			memcpy(tail, p, n);
			from = tail;
			n = STRIPE;
		}
		a = fold(word(from) ^ a, word(from + 8) ^ k);
		b = fold(word(from + 16) ^ b, word(from + 24) ^ k);
		c = fold(word(from + 32) ^ c, word(from + 40) ^ k);
		d = fold(word(from + 48) ^ d, word(from + 56) ^ k);
		p += STRIPE;
		from = p;
		n -= STRIPE;
	}
	h = fold(h ^ a, 0xa0761d6478bd642fULL) ^ fold(b ^ h, 0xe7037ed1a0b428dbULL);
	h = fold(h ^ c, 0x8ebc6af09c88c6e3ULL) ^ fold(d ^ h, 0x589965cc75374cc3ULL);
	return (uint32_t)(h ^ h >> 32);
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
		(struct lp_recent_entry){ (uint32_t)stream, seq, n, hash(&r->seed, p, n) };
}

bool lp_recent_differs(const struct lp_recent *r, uint64_t stream, uint32_t seq, const uint8_t *p,
		       uint32_t n)
{
	while (n) {
		const struct lp_recent_entry *e =
			&r->entries[place((uint32_t)(stream >> 32), seq)];

		if (!e->n || e->n > n || e->stream != (uint32_t)stream || e->seq != seq)
			return false;
		if (e->hash != hash(&r->seed, p, e->n))
			return true;
		seq += e->n;
		p += e->n;
		n -= e->n;
	}
	return false;
}
