/* Password-based encryption of private keys (RFC 8018, RFC 7292 appendix B), as
 * far as keys in the field use it. Results lie in secret memory. why has
 * LP_KEY_WHY bytes. For keyfile.c and pem.c only. */
#ifndef LP_CRYPTO_PBES_H
#define LP_CRYPTO_PBES_H

#include "base/secret.h"

/* More rounds than this would hold up the start for longer than a broken file
 * should be able to; OpenSSL writes 2,048, careful people a million. */
enum { LP_PBES_ROUNDS_MAX = 10000000 };

enum lp_pbes_cipher { LP_PBES_AES, LP_PBES_3DES };

/* CBC with PKCS#7 padding; the AES variant follows from the key's length. Wrong
 * padding is LP_E_PASSPHRASE. */
LP_MUST enum lp_err lp_pbes_decrypt(enum lp_pbes_cipher cipher, lp_span key, const uint8_t *iv,
				    lp_span in, struct lp_secret *out, char *why);

/* Opens a PKCS#8 EncryptedPrivateKeyInfo; out gets the PrivateKeyInfo. */
LP_MUST enum lp_err lp_pbes_open(lp_span der, lp_span passphrase, struct lp_secret *out,
				 char *why);

#endif
