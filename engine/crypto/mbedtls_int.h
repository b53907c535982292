/* What mbedtls.c and mbedtls_rsa.c share: one source for mbedTLS 2.28 and 3.6. */
#ifndef LP_CRYPTO_MBEDTLS_INT_H
#define LP_CRYPTO_MBEDTLS_INT_H

#include <mbedtls/version.h>

#if MBEDTLS_VERSION_MAJOR < 2 || MBEDTLS_VERSION_MAJOR > 3
#error "limpid needs mbedTLS 2.28 or 3.x: 4.0 took RSA and bignum out of the public API"
#endif
#if MBEDTLS_VERSION_MAJOR == 2
#include <mbedtls/config.h>
#else
#include <mbedtls/build_info.h>
#endif

#include "crypto/crypto.h"

/* Randomness for mbedTLS (blinding only): the kernel's, so there is no state of
 * our own to seed, to leak or to have twice after a fork. */
int lp_mbedtls_random(void *unused, unsigned char *out, size_t n);

enum lp_err lp_mbedtls_rsa_new(lp_span der, struct lp_rsa **out);
enum lp_err lp_mbedtls_rsa_private(struct lp_rsa *rsa, const uint8_t *in, uint8_t *out);
void lp_mbedtls_rsa_free(struct lp_rsa *rsa);

#endif
