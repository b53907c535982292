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

/* The states of SHA-1 or SHA-256, as words of this machine, that have seen the key and one of its
 * pads; false: the context is of another digest. They are m's. */
bool lp_ossl_mac_pads(const struct lp_mac_ctx *m, enum lp_digest digest, const uint32_t **inner,
		      const uint32_t **outer);

/* openssl_two.c, by intel-ipsec-mb. */
enum lp_err lp_ossl_two_new(struct lp_two **out);
enum lp_err lp_ossl_mac_two(struct lp_two *t, enum lp_digest digest, const struct lp_mac_job job[2]);
void lp_ossl_two_free(struct lp_two *t);

#endif
