/* Hashes and HMAC of libcrypto's own functions, below EVP: a hash in the making is a
 * struct that can be copied, so that an HMAC which keeps its pads costs two copies and the
 * blocks of the message, and a transcript is looked at without another context.
 *
 * As the functions of lp_crypto (crypto.h). md is EVP's digest, for those that have no such
 * functions (SM3); LP_E_UNSUPPORTED if it is NULL: libcrypto has not got the digest. */
#ifndef LP_CRYPTO_OPENSSL_HASH_H
#define LP_CRYPTO_OPENSSL_HASH_H

#include <openssl/evp.h>

#include "crypto/crypto.h"

enum lp_err lp_ossl_digest_new(enum lp_digest digest, const EVP_MD *md, struct lp_digest_ctx **out);
enum lp_err lp_ossl_digest_update(struct lp_digest_ctx *d, lp_span bytes);
enum lp_err lp_ossl_digest_peek(const struct lp_digest_ctx *d, uint8_t *out);
void lp_ossl_digest_free(struct lp_digest_ctx *d);
enum lp_err lp_ossl_digest_parts(enum lp_digest digest, const lp_span *parts, size_t n,
				 uint8_t *out);

enum lp_err lp_ossl_mac_new(enum lp_digest digest, const EVP_MD *md, lp_span key,
			    struct lp_mac_ctx **out);
enum lp_err lp_ossl_mac(struct lp_mac_ctx *m, const lp_span *parts, size_t n, uint8_t *out);
void lp_ossl_mac_free(struct lp_mac_ctx *m);

#endif
