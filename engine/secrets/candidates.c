#define _GNU_SOURCE
#include "secrets/candidates.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum { SERVERS = 4096 }; /* what the table of last proven keys remembers; newest wins */

struct lp_candidates {
	struct lp_hash_seed seed;
	bool replay;
	pthread_rwlock_t lock; /* guards what follows */
	struct lp_candidate *key;
	size_t n;
	struct {
		uint64_t server; /* its hash; 0 = empty */
		uint32_t id;
	} proven[SERVERS];
};

enum lp_err lp_candidates_new(struct lp_candidates **out, const struct lp_hash_seed *seed,
			      bool replay)
{
	*out = calloc(1, sizeof **out);
	if (!*out)
		return LP_E_NOMEM;
	(*out)->seed = *seed;
	(*out)->replay = replay;
	pthread_rwlock_init(&(*out)->lock, NULL);
	return LP_OK;
}

void lp_candidates_free(struct lp_candidates *c)
{
	if (!c)
		return;
	pthread_rwlock_destroy(&c->lock);
	free(c->key);
	free(c);
}

enum lp_err lp_candidates_add(struct lp_candidates *c, const struct lp_candidate *key)
{
	struct lp_candidate *more;

	pthread_rwlock_wrlock(&c->lock);
	more = realloc(c->key, (c->n + 1) * sizeof *more);
	if (more) {
		c->key = more;
		c->key[c->n++] = *key;
	}
	pthread_rwlock_unlock(&c->lock);
	return more ? LP_OK : LP_E_NOMEM;
}

size_t lp_candidates_count(struct lp_candidates *c, bool psk)
{
	size_t n = 0;

	pthread_rwlock_rdlock(&c->lock);
	for (size_t i = 0; i < c->n; i++)
		n += (c->key[i].kind == LP_KEY_PSK) == psk;
	pthread_rwlock_unlock(&c->lock);
	return n;
}

static size_t place_of(uint64_t server)
{
	return server / 2 % SERVERS;
}

static uint64_t hash_of(const struct lp_candidates *c, lp_span server)
{
	return lp_hash(&c->seed, server.p, server.n) | 1;
}

uint32_t lp_candidates_favourite(struct lp_candidates *c, lp_span server)
{
	const uint64_t h = hash_of(c, server);
	uint32_t id = LP_CANDIDATES_NONE;

	pthread_rwlock_rdlock(&c->lock);
	if (c->proven[place_of(h)].server == h)
		id = c->proven[place_of(h)].id;
	pthread_rwlock_unlock(&c->lock);
	return id;
}

void lp_candidates_proven(struct lp_candidates *c, lp_span server, uint32_t id)
{
	const uint64_t h = hash_of(c, server);

	if (lp_candidates_favourite(c, server) == id)
		return;
	pthread_rwlock_wrlock(&c->lock);
	c->proven[place_of(h)].server = h;
	c->proven[place_of(h)].id = id;
	pthread_rwlock_unlock(&c->lock);
}

/* ---- with the lock held ---- */

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

/* Those that fit, favourite first. */
static const struct lp_candidate *by_length(const struct lp_candidates *c, enum lp_key_kind kind,
					    size_t input_len, uint32_t favourite, unsigned attempt)
{
	const unsigned max = c->replay ? LP_CANDIDATES_REPLAY : LP_CANDIDATES_MAX;
	const struct lp_candidate *found = NULL;
	size_t first = c->n;
	unsigned n = 0;

	if (attempt >= max)
		return NULL;
	for (size_t i = 0; i < c->n; i++) {
		if (!fits(&c->key[i], kind, input_len))
			continue;
		n++;
		if (c->key[i].id == favourite)
			first = i;
	}
	if (c->replay && n > max)
		first = c->n;
	if (first < c->n && !attempt--)
		return &c->key[first];
	for (size_t i = 0; i < c->n && !found; i++)
		if (i != first && fits(&c->key[i], kind, input_len) && !attempt--)
			found = &c->key[i];
	return found;
}

static const struct lp_candidate *by_identity(const struct lp_candidates *c,
					      const uint8_t *identity_sha256, unsigned nth)
{
	for (size_t i = 0; i < c->n; i++)
		if (c->key[i].kind == LP_KEY_PSK &&
		    !memcmp(c->key[i].spki_sha256, identity_sha256, 32) && !nth--)
			return &c->key[i];
	return NULL;
}

/* Lets go of the lock. */
static bool copy_out(struct lp_candidates *c, const struct lp_candidate *found,
		     struct lp_candidate *out)
{
	if (found)
		*out = *found;
	pthread_rwlock_unlock(&c->lock);
	return found;
}

bool lp_candidates_find(struct lp_candidates *c, enum lp_key_kind kind, const uint8_t *spki,
			size_t input_len, uint32_t favourite, unsigned attempt,
			struct lp_candidate *out)
{
	pthread_rwlock_rdlock(&c->lock);
	return copy_out(c, spki ? by_certificate(c, spki, attempt)
				: by_length(c, kind, input_len, favourite, attempt), out);
}

bool lp_candidates_psk(struct lp_candidates *c, const uint8_t identity_sha256[32], unsigned nth,
		       struct lp_candidate *out)
{
	pthread_rwlock_rdlock(&c->lock);
	return copy_out(c, by_identity(c, identity_sha256, nth), out);
}
