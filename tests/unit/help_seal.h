/* Record encryption for tests: limpid itself only decrypts. Each function is one
 * library's; false means that it has not got that cipher. */
#ifndef LP_TEST_HELP_SEAL_H
#define LP_TEST_HELP_SEAL_H

#include "crypto/crypto.h"

/* iv: the block-size IV of CBC, the 12-byte nonce of an AEAD, unused for RC4 (one
 * call is one whole stream). tag gets what the cipher's tag length says. */
typedef bool help_seal(enum lp_cipher cipher, const uint8_t *key, const uint8_t *iv, lp_span aad,
		       const uint8_t *in, size_t n, uint8_t *out, uint8_t *tag);

bool help_seal_mbedtls(enum lp_cipher cipher, const uint8_t *key, const uint8_t *iv, lp_span aad,
		       const uint8_t *in, size_t n, uint8_t *out, uint8_t *tag);
#ifdef LP_WITH_OPENSSL
bool help_seal_openssl(enum lp_cipher cipher, const uint8_t *key, const uint8_t *iv, lp_span aad,
		       const uint8_t *in, size_t n, uint8_t *out, uint8_t *tag);
#endif

/* The providers that are built in. */
#ifdef LP_WITH_OPENSSL
enum { HELP_PROVIDERS = 2 };
#else
enum { HELP_PROVIDERS = 1 };
#endif
extern const struct lp_crypto *const help_providers[HELP_PROVIDERS];

/* Bytes that look random and are the same in every run. */
void help_fill(uint8_t *out, size_t n, uint32_t seed);

#endif
