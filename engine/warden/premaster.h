/* lp_premaster: from an EncryptedPreMasterSecret to 48 bytes, always.
 *
 * RFC 5246 section 7.4.7.1 has a server that meets a badly padded premaster secret
 * go on with random bytes, so that nobody learns from it (Bleichenbacher 1998). We
 * go on with bytes that are a function of the key and the input: fresh random ones
 * would tell by differing when the same question is asked twice.
 *
 * What decides is the length of the input, the padding (type 2, eight or more
 * non-zero bytes, then 0 and exactly 48 bytes) and a major version of 3. The
 * minor version does not: clients put in what they offered or what was negotiated,
 * and both open the same session. Whether the real or the substitute bytes come
 * out is chosen without a branch and without an index that depends on them.
 *
 * Owner: the caller, who keeps every buffer here in secret memory. */
#ifndef LP_WARDEN_PREMASTER_H
#define LP_WARDEN_PREMASTER_H

#include "crypto/crypto.h"

enum { LP_PREMASTER_SIZE = 48, LP_PREMASTER_SEED = 32 };

/* A pre-shared key and what goes before it, each with two bytes of length. */
enum { LP_PREMASTER_PSK_ROOM = 2 * (2 + 1024) };

/* SHA-256("limpid" ‖ private key DER): what the substitutes of a key come from. It
 * is the same after a restart. */
LP_MUST enum lp_err lp_premaster_seed(const struct lp_crypto *crypto, lp_span der,
				      uint8_t seed[LP_PREMASTER_SEED]);

/* HMAC-SHA-256(seed, key id ‖ input), stretched to 48 bytes by a second block over
 * the first. key_id is the SHA-256 of the SubjectPublicKeyInfo: unlike a number, it
 * does not change with the order of files. */
LP_MUST enum lp_err lp_premaster_substitute(const struct lp_crypto *crypto,
					    const uint8_t seed[LP_PREMASTER_SEED],
					    const uint8_t key_id[32], lp_span input,
					    uint8_t out[LP_PREMASTER_SIZE]);

/* Takes the padding off a decrypted block of n bytes: the premaster secret if all is
 * well, else the substitute. n is public. */
void lp_premaster_unpad(const uint8_t *block, size_t n,
			const uint8_t substitute[LP_PREMASTER_SIZE],
			uint8_t out[LP_PREMASTER_SIZE]);

/* The premaster secret of the PSK suites (RFC 4279 section 2): other_secret and the key.
 * other: the (EC)DH secret, or what RSA carried; empty with PSK alone, which puts as
 * many zeros there as the key has bytes. Returns its length, 0 if there is no room. */
size_t lp_premaster_psk(lp_span other, lp_span psk, uint8_t out[LP_PREMASTER_PSK_ROOM]);

#endif
