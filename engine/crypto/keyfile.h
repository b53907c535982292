/* Private key files: PEM and DER, PKCS#1, SEC1 and PKCS#8, encrypted or not (legacy PEM
 * encryption; PKCS#8 with PBES1-3DES or PBES2 with AES or 3DES, any HMAC PRF).
 * Used by the warden only; the caller opens the file and hands in the bytes.
 * A loaded key is checked against its own public half. */
#ifndef LP_CRYPTO_KEYFILE_H
#define LP_CRYPTO_KEYFILE_H

#include "base/secret.h"

enum lp_key_kind {
	LP_KEY_RSA = 1,
	LP_KEY_EC = 2,
	LP_KEY_X25519 = 3,
	LP_KEY_X448 = 4,
	LP_KEY_PSK = 5, /* pre-shared: from warden/psks.h, not from a key file */
};

struct lp_key {
	enum lp_key_kind kind;
	uint32_t bits;              /* modulus or curve size */
	uint8_t spki_sha256[32];    /* SHA-256 of the DER SubjectPublicKeyInfo; PSK: of the
	                             * identity */
	struct lp_secret der;       /* RSA: PKCS#1 RSAPrivateKey; EC: SEC1 ECPrivateKey with curve;
	                             * X25519, X448: the raw private bytes; PSK: the key */
};

/* bytes: the file's content. passphrase may be {NULL, 0}. On LP_OK the caller
 * owns out and calls lp_key_clear(). Faults: LP_E_FORMAT (no private key in it),
 * LP_E_PASSPHRASE, LP_E_MISMATCH (halves do not fit), LP_E_UNSUPPORTED (kind of
 * key or encryption; why, of LP_WHY 160 bytes, names it), LP_E_NOMEM. */
enum { LP_KEY_WHY = 160 };
LP_MUST enum lp_err lp_key_load(struct lp_key *out, lp_span bytes, lp_span passphrase,
				char why[LP_KEY_WHY]);
void lp_key_clear(struct lp_key *key);

#endif
