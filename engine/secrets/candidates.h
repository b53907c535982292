/* lp_candidates: which of the loaded server keys may belong to a handshake.
 * By the certificate's public key where it was seen; else the keys whose modulus
 * has the length of the encrypted premaster secret, first the one last proven for
 * that server, at most LP_CANDIDATES_MAX.
 * Owner: its engine. Public identities only; no secret comes near. */
#ifndef LP_SECRETS_CANDIDATES_H
#define LP_SECRETS_CANDIDATES_H

#include "base/hash.h"

enum { LP_CANDIDATES_MAX = 8 };

struct lp_candidate {
	uint32_t id;
	bool rsa;
	uint32_t bits;           /* of the modulus */
	uint8_t spki_sha256[32];
	const char *name;        /* borrowed; as long as the table lives */
};

struct lp_candidates;

LP_MUST enum lp_err lp_candidates_new(struct lp_candidates **out,
				      const struct lp_hash_seed *seed);
void lp_candidates_free(struct lp_candidates *c);
LP_MUST enum lp_err lp_candidates_add(struct lp_candidates *c, const struct lp_candidate *key);
size_t lp_candidates_count(const struct lp_candidates *c);

/* Number attempt (from 0) for a handshake. spki: SHA-256 of the certificate's
 * SubjectPublicKeyInfo or NULL; server: bytes that name it (address, port).
 * NULL: there is none, or no more. */
const struct lp_candidate *lp_candidates_find(const struct lp_candidates *c, const uint8_t *spki,
					      size_t input_len, lp_span server, unsigned attempt);

/* The key opened a session of this server. */
void lp_candidates_proven(struct lp_candidates *c, lp_span server, uint32_t id);

#endif
