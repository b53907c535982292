#include "secrets/candidates.h"

#include <stdlib.h>
#include <string.h>

enum { SERVERS = 4096 }; /* what the table of last proven keys remembers; newest wins */

struct lp_candidates {
	struct lp_hash_seed seed;
	struct lp_candidate *key;
	size_t n;
	struct {
		uint64_t server; /* its hash; 0 = empty */
		uint32_t id;
	} proven[SERVERS];
};

enum lp_err lp_candidates_new(struct lp_candidates **out, const struct lp_hash_seed *seed)
{
	*out = calloc(1, sizeof **out);
	if (!*out)
		return LP_E_NOMEM;
	(*out)->seed = *seed;
	return LP_OK;
}

void lp_candidates_free(struct lp_candidates *c)
{
	if (!c)
		return;
	free(c->key);
	free(c);
}

enum lp_err lp_candidates_add(struct lp_candidates *c, const struct lp_candidate *key)
{
	struct lp_candidate *more = realloc(c->key, (c->n + 1) * sizeof *more);

	if (!more)
		return LP_E_NOMEM;
	c->key = more;
	c->key[c->n++] = *key;
	return LP_OK;
}

size_t lp_candidates_count(const struct lp_candidates *c, bool psk)
{
	size_t n = 0;

	for (size_t i = 0; i < c->n; i++)
		n += (c->key[i].kind == LP_KEY_PSK) == psk;
	return n;
}

static const struct lp_candidate *by_certificate(const struct lp_candidates *c,
						 const uint8_t *spki, unsigned attempt)
{
	for (size_t i = 0; i < c->n && !attempt; i++)
		if (c->key[i].kind != LP_KEY_PSK && !memcmp(c->key[i].spki_sha256, spki, 32))
			return &c->key[i];
	return NULL;
}

/* What a client sends to an RSA key is as long as its modulus; to an EC key, a point. */
static bool fits(const struct lp_candidate *key, enum lp_key_kind kind, size_t input_len)
{
	size_t size = (key->bits + 7) / 8;

	return key->kind == kind && (kind == LP_KEY_EC ? 1 + 2 * size : size) == input_len;
}

static size_t place_of(uint64_t server)
{
	return server / 2 % SERVERS;
}

/* The last proven key's position, or n. */
static size_t favourite(const struct lp_candidates *c, enum lp_key_kind kind, size_t input_len,
			lp_span server)
{
	uint64_t h = lp_hash(&c->seed, server.p, server.n) | 1;

	if (c->proven[place_of(h)].server != h)
		return c->n;
	for (size_t i = 0; i < c->n; i++)
		if (c->key[i].id == c->proven[place_of(h)].id && fits(&c->key[i], kind, input_len))
			return i;
	return c->n;
}

const struct lp_candidate *lp_candidates_find(const struct lp_candidates *c, enum lp_key_kind kind,
					      const uint8_t *spki, size_t input_len, lp_span server,
					      unsigned attempt)
{
	size_t first;

	if (spki)
		return by_certificate(c, spki, attempt);
	if (attempt >= LP_CANDIDATES_MAX)
		return NULL;
	first = favourite(c, kind, input_len, server);
	if (first < c->n) {
		if (!attempt)
			return &c->key[first];
		attempt--;
	}
	for (size_t i = 0; i < c->n; i++)
		if (i != first && fits(&c->key[i], kind, input_len) && !attempt--)
			return &c->key[i];
	return NULL;
}

const struct lp_candidate *lp_candidates_psk(const struct lp_candidates *c,
					     const uint8_t identity_sha256[32], unsigned nth)
{
	for (size_t i = 0; i < c->n; i++)
		if (c->key[i].kind == LP_KEY_PSK &&
		    !memcmp(c->key[i].spki_sha256, identity_sha256, 32) && !nth--)
			return &c->key[i];
	return NULL;
}

void lp_candidates_proven(struct lp_candidates *c, lp_span server, uint32_t id)
{
	uint64_t h = lp_hash(&c->seed, server.p, server.n) | 1;

	c->proven[place_of(h)].server = h;
	c->proven[place_of(h)].id = id;
}
