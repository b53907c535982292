/* lp_crypto: the one table through which limpid uses a cryptographic library.
 * mbedtls.c (always there) and openssl.c (libcrypto 3, optional) implement it.
 *
 * We only ever decrypt, so there is no encryption here (tests bring their own).
 * Contexts belong to who made them and to one thread; keys given are copied.
 * Faults: LP_E_AUTH (tag wrong), LP_E_UNSUPPORTED, LP_E_NOMEM, LP_E_FORMAT.
 * Every context is wiped when freed; every free accepts NULL. */
#ifndef LP_CRYPTO_CRYPTO_H
#define LP_CRYPTO_CRYPTO_H

#include "base/cursor.h"

enum lp_digest {
	LP_DIGEST_NONE, /* AEAD suites have no MAC */
	LP_MD5,
	LP_SHA1,
	LP_SHA256,
	LP_SHA384,
	LP_SHA512,
	LP_SM3,
	LP_MD5_SHA1, /* the 36 bytes MD5 ‖ SHA-1 of TLS 1.0 and 1.1 (digest_new only) */
};

enum { LP_DIGEST_MAX = 64 };

/* Record ciphers (RFC 5246 section 6.2.3 and its successors). */
enum lp_cipher {
	LP_CIPHER_NULL,
	LP_AES_128_CBC,
	LP_AES_256_CBC,
	LP_AES_128_GCM,
	LP_AES_256_GCM,
	LP_AES_128_CCM,
	LP_AES_256_CCM,
	LP_AES_128_CCM_8,
	LP_AES_256_CCM_8,
	LP_CHACHA20_POLY1305,
	LP_CAMELLIA_128_CBC,
	LP_CAMELLIA_256_CBC,
	LP_CAMELLIA_128_GCM,
	LP_CAMELLIA_256_GCM,
	LP_ARIA_128_CBC,
	LP_ARIA_256_CBC,
	LP_ARIA_128_GCM,
	LP_ARIA_256_GCM,
	LP_3DES_EDE_CBC,
	LP_DES_CBC,
	LP_DES40_CBC,
	LP_SEED_CBC,
	LP_IDEA_CBC,
	LP_RC2_CBC_40,
	LP_RC2_CBC_56,
	LP_RC4_40,
	LP_RC4_56,
	LP_RC4_128,
	LP_SM4_CBC,
	LP_SM4_GCM,
	LP_SM4_CCM,
	LP_CIPHER_COUNT
};

enum lp_cipher_kind { LP_KIND_NULL, LP_KIND_STREAM, LP_KIND_CBC, LP_KIND_AEAD };

/* What the record layer must know of a cipher; sizes in bytes. */
struct lp_cipher_info {
	const char *name;        /* "AES-256-GCM" */
	enum lp_cipher_kind kind;
	uint8_t key;             /* key length used by the cipher */
	uint8_t key_material;    /* bytes taken from the key block; less than key for EXPORT */
	uint8_t iv;              /* taken from the key block: block size, or implicit nonce */
	uint8_t explicit_nonce;  /* carried in each record (AEAD) */
	uint8_t block;           /* CBC: block size */
	uint8_t tag;             /* AEAD: tag length */
};

/* Never NULL for a value below LP_CIPHER_COUNT. (cipher.c) */
const struct lp_cipher_info *lp_cipher_info(enum lp_cipher cipher);

/* 16, 20, 32, 48, 64, or 36 for LP_MD5_SHA1; 0 for LP_DIGEST_NONE. (cipher.c) */
size_t lp_digest_size(enum lp_digest digest);

struct lp_digest_ctx;
struct lp_mac_ctx;
struct lp_cipher_ctx;
struct lp_two;
struct lp_rsa;

/* One of two MACs; mac: of the provider that is asked, and of the digest that is named. out has
 * lp_digest_size() bytes. */
struct lp_mac_job {
	const struct lp_mac_ctx *mac;
	lp_span bytes;
	uint8_t *out;
};

enum { LP_TWO_LEAST = 64 }; /* bytes that each of two must have */

struct lp_crypto {
	const char *name; /* "mbedtls", "openssl" */

	bool (*has_cipher)(enum lp_cipher cipher);
	bool (*has_digest)(enum lp_digest digest);

	/* A running hash. peek gives the hash of all so far and lets it run on. */
	enum lp_err (*digest_new)(enum lp_digest digest, struct lp_digest_ctx **out);
	enum lp_err (*digest_update)(struct lp_digest_ctx *d, lp_span bytes);
	enum lp_err (*digest_peek)(const struct lp_digest_ctx *d, uint8_t *out);
	void (*digest_free)(struct lp_digest_ctx *d);
	/* Of all parts, without a context of its own; may be NULL, or say LP_E_UNSUPPORTED:
	 * lp_digest_once() then does it with those above. */
	enum lp_err (*digest_parts)(enum lp_digest digest, const lp_span *parts, size_t n,
				    uint8_t *out);

	/* HMAC (RFC 2104). The context keeps its pads, so a MAC costs no key setup.
	 * out has lp_digest_size() bytes. */
	enum lp_err (*mac_new)(enum lp_digest digest, lp_span key, struct lp_mac_ctx **out);
	enum lp_err (*mac)(struct lp_mac_ctx *m, const lp_span *parts, size_t n, uint8_t *out);
	void (*mac_free)(struct lp_mac_ctx *m);

	/* Two HMACs at once, in little more time than one takes: a hash waits for itself, and a
	 * processor can do another meanwhile. All NULL: not by this provider. two_new says
	 * LP_E_UNSUPPORTED where it is not faster, mac_two where it cannot (that digest, fewer
	 * than LP_TWO_LEAST bytes); then nothing was done. */
	enum lp_err (*two_new)(struct lp_two **out);
	enum lp_err (*mac_two)(struct lp_two *t, enum lp_digest digest,
			       const struct lp_mac_job job[2]);
	void (*two_free)(struct lp_two *t);

	/* Decryption of records. key has lp_cipher_info()->key bytes. */
	enum lp_err (*cipher_new)(enum lp_cipher cipher, lp_span key, struct lp_cipher_ctx **out);
	/* CBC: n is a multiple of the block; iv has block bytes and is not changed.
	 * Stream ciphers: iv is NULL, the keystream goes on from call to call.
	 * out has n bytes and may be in itself, not overlap it otherwise. */
	enum lp_err (*decrypt)(struct lp_cipher_ctx *c, const uint8_t *iv, const uint8_t *in,
			       size_t n, uint8_t *out);
	/* AEAD: opens n bytes; tag has the cipher's tag length, nonce 12 bytes.
	 * On LP_E_AUTH out holds nothing that may be used. */
	enum lp_err (*open)(struct lp_cipher_ctx *c, const uint8_t *nonce, lp_span aad,
			    const uint8_t *in, size_t n, const uint8_t *tag, uint8_t *out);
	/* Another context of a stream cipher, that stands where c does. LP_E_UNSUPPORTED for
	 * other kinds, LP_E_NOMEM. */
	enum lp_err (*cipher_copy)(const struct lp_cipher_ctx *c, struct lp_cipher_ctx **out);
	void (*cipher_free)(struct lp_cipher_ctx *c);

	/* The raw RSA private operation, blinded, for the warden only: in and out have
	 * the modulus' length. der is PKCS#1 RSAPrivateKey. One context for one thread. */
	enum lp_err (*rsa_new)(lp_span der, struct lp_rsa **out);
	enum lp_err (*rsa_private)(struct lp_rsa *rsa, const uint8_t *in, uint8_t *out);
	void (*rsa_free)(struct lp_rsa *rsa);
};

extern const struct lp_crypto lp_crypto_mbedtls;
#ifdef LP_WITH_OPENSSL
extern const struct lp_crypto lp_crypto_openssl;
#endif

/* What --crypto names: a provider for each purpose. */
struct lp_crypto_set {
	const struct lp_crypto *base;                      /* hashes, MACs, PRF */
	const struct lp_crypto *rsa;
	const struct lp_crypto *cipher[LP_CIPHER_COUNT];   /* NULL: no provider has it */
};

/* "auto" (the faster that has it), "mbedtls" or "openssl" (only that one).
 * LP_E_ARG for another name, LP_E_UNSUPPORTED for one that was left out of the
 * build or cannot be used. (cipher.c) */
LP_MUST enum lp_err lp_crypto_choose(struct lp_crypto_set *out, const char *name);

/* One-shot helpers over any provider. out: lp_digest_size() bytes. (cipher.c) */
LP_MUST enum lp_err lp_digest_once(const struct lp_crypto *c, enum lp_digest digest,
				   const lp_span *parts, size_t n, uint8_t *out);
LP_MUST enum lp_err lp_mac_once(const struct lp_crypto *c, enum lp_digest digest, lp_span key,
				const lp_span *parts, size_t n, uint8_t *out);

#endif
