/* AES in counter mode (NIST SP 800-38A section 6.5), which no TLS record uses but Go's
 * tickets do. By mbedTLS, whatever the provider of records is. */
#ifndef LP_CRYPTO_AES_CTR_H
#define LP_CRYPTO_AES_CTR_H

#include "base/cursor.h"

/* key: 16 or 32 bytes; iv: the first counter block, big-endian. out has n bytes.
 * LP_E_ARG, LP_E_NOMEM. */
LP_MUST enum lp_err lp_aes_ctr(lp_span key, const uint8_t iv[16], const uint8_t *in, size_t n,
			       uint8_t *out);

#endif
