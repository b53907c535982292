/* lp_candidates: which of the loaded keys may belong to a handshake. Server keys by
 * the certificate's public key where it was seen; else those that fit the length of
 * what the client sent (an RSA modulus, a point of a curve), first the one last proven
 * for that server, at most LP_CANDIDATES_MAX. Pre-shared keys by their identity.
 * Owner: its engine. Public identities only; no secret comes near. */
#ifndef LP_SECRETS_CANDIDATES_H
#define LP_SECRETS_CANDIDATES_H

#include "base/hash.h"
#include "crypto/keyfile.h"

enum { LP_CANDIDATES_MAX = 8 };

struct lp_candidate {
	uint32_t id;
	enum lp_key_kind kind;
	uint32_t bits;           /* of the modulus, or of the curve's field */
	uint8_t spki_sha256[32]; /* LP_KEY_PSK: of the identity */
	const char *name;        /* borrowed; as long as the table lives */
};

struct lp_candidates;

LP_MUST enum lp_err lp_candidates_new(struct lp_candidates **out,
				      const struct lp_hash_seed *seed);
void lp_candidates_free(struct lp_candidates *c);
LP_MUST enum lp_err lp_candidates_add(struct lp_candidates *c, const struct lp_candidate *key);
/* Server keys, or pre-shared ones. */
size_t lp_candidates_count(const struct lp_candidates *c, bool psk);

/* Number attempt (from 0) for a handshake. kind: LP_KEY_RSA or LP_KEY_EC, what the key
 * exchange needs, counts where spki is NULL; spki: SHA-256 of the certificate's
 * SubjectPublicKeyInfo or NULL; server: bytes that name it (address, port).
 * NULL: there is none, or no more. */
const struct lp_candidate *lp_candidates_find(const struct lp_candidates *c, enum lp_key_kind kind,
					      const uint8_t *spki, size_t input_len, lp_span server,
					      unsigned attempt);

/* Number nth of the pre-shared keys of an identity, given by its SHA-256. */
const struct lp_candidate *lp_candidates_psk(const struct lp_candidates *c,
					     const uint8_t identity_sha256[32], unsigned nth);

/* The key opened a session of this server. */
void lp_candidates_proven(struct lp_candidates *c, lp_span server, uint32_t id);

#endif
