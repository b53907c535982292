/* SHA3-512 (FIPS 202), for one purpose: GnuTLS derives its ticket keys with it, and
 * mbedTLS 2.28 has no SHA-3. No state is left behind. */
#ifndef LP_CRYPTO_SHA3_H
#define LP_CRYPTO_SHA3_H

#include "base/cursor.h"

enum { LP_SHA3_512_SIZE = 64 };

void lp_sha3_512(const lp_span *parts, size_t n, uint8_t out[LP_SHA3_512_SIZE]);

#endif
