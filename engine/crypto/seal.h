/* Authenticated encryption of what limpid itself stores elsewhere (AES-256-GCM, by
 * mbedTLS, which is always there): nothing that came from a wire is sealed here. One-shot;
 * nothing is kept. A key must never be used with the same nonce twice.
 *
 * Faults: LP_E_AUTH (then out is zero), LP_E_NOMEM. */
#ifndef LP_CRYPTO_SEAL_H
#define LP_CRYPTO_SEAL_H

#include "base/cursor.h"

enum { LP_SEAL_KEY = 32, LP_SEAL_NONCE = 12, LP_SEAL_TAG = 16 };

LP_MUST enum lp_err lp_seal(const uint8_t key[LP_SEAL_KEY], const uint8_t nonce[LP_SEAL_NONCE],
			    lp_span aad, lp_span in, uint8_t *out, uint8_t tag[LP_SEAL_TAG]);
LP_MUST enum lp_err lp_unseal(const uint8_t key[LP_SEAL_KEY], const uint8_t nonce[LP_SEAL_NONCE],
			      lp_span aad, lp_span in, const uint8_t tag[LP_SEAL_TAG], uint8_t *out);

#endif
