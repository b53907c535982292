/* lp_candidates: which of the loaded keys may belong to a handshake. Server keys by
 * the certificate's public key where it was seen; else those that fit the length of
 * what the client sent (an RSA modulus, a point of a curve), first the one last proven
 * for that server. Pre-shared keys by their identity.
 *
 * Live at most LP_CANDIDATES_MAX are tried. In a replay, whose output may not depend on who
 * was proven first in time, all are, up to LP_CANDIDATES_REPLAY; where more fit, the one
 * last proven does not count.
 *
 * Owner: its engine. Thread-safe: one lock, taken for writing only when a key is new or a
 * server's last proven one changes. Public identities only; no secret comes near. */
#ifndef LP_SECRETS_CANDIDATES_H
#define LP_SECRETS_CANDIDATES_H

#include "base/hash.h"
#include "crypto/keyfile.h"

enum { LP_CANDIDATES_MAX = 8, LP_CANDIDATES_REPLAY = 64 };

/* No lp_candidate.id. */
#define LP_CANDIDATES_NONE UINT32_MAX

struct lp_candidate {
	uint32_t id;
	enum lp_key_kind kind;
	uint32_t bits;           /* of the modulus, or of the curve's field */
	uint8_t spki_sha256[32]; /* LP_KEY_PSK: of the identity */
	const char *name;        /* borrowed; as long as the table lives */
};

struct lp_candidates;

LP_MUST enum lp_err lp_candidates_new(struct lp_candidates **out,
				      const struct lp_hash_seed *seed, bool replay);
void lp_candidates_free(struct lp_candidates *c);
LP_MUST enum lp_err lp_candidates_add(struct lp_candidates *c, const struct lp_candidate *key);
/* Server keys, or pre-shared ones. */
size_t lp_candidates_count(struct lp_candidates *c, bool psk);

/* The key last proven for a server, given by bytes that name it (address, port), or
 * LP_CANDIDATES_NONE. Whoever tries several asks once: it may change in between. */
uint32_t lp_candidates_favourite(struct lp_candidates *c, lp_span server);

/* Copies number attempt (from 0) for a handshake to out. kind: LP_KEY_RSA or LP_KEY_EC,
 * what the key exchange needs, counts where spki is NULL; spki: SHA-256 of the
 * certificate's SubjectPublicKeyInfo or NULL; favourite: see above.
 * False: there is none, or no more. */
bool lp_candidates_find(struct lp_candidates *c, enum lp_key_kind kind, const uint8_t *spki,
			size_t input_len, uint32_t favourite, unsigned attempt,
			struct lp_candidate *out);

/* Number nth of the pre-shared keys of an identity, given by its SHA-256. */
bool lp_candidates_psk(struct lp_candidates *c, const uint8_t identity_sha256[32], unsigned nth,
		       struct lp_candidate *out);

/* The key opened a session of this server. */
void lp_candidates_proven(struct lp_candidates *c, lp_span server, uint32_t id);

#endif
