/* lp_crypto over OpenSSL's libcrypto 3, the faster provider. Everything is
 * fetched once for the process into a library context of our own, so that neither
 * the system's openssl.cnf nor an embedding program's providers change what we
 * can read. The legacy provider (RC4, DES, SEED, …) is taken where it exists. */
#include "crypto/crypto.h"

#include <limits.h>
#include <pthread.h>
#include <string.h>

#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/provider.h>
#include <openssl/rsa.h>

#include "base/secret.h"
#include "crypto/openssl_hash.h"

enum { DIGEST_COUNT = LP_MD5_SHA1 + 1, BLOCK_MAX = 16 };

static const char *const cipher_name[LP_CIPHER_COUNT] = {
	[LP_AES_128_CBC] = "AES-128-CBC",
	[LP_AES_256_CBC] = "AES-256-CBC",
	[LP_AES_128_GCM] = "AES-128-GCM",
	[LP_AES_256_GCM] = "AES-256-GCM",
	[LP_AES_128_CCM] = "AES-128-CCM",
	[LP_AES_256_CCM] = "AES-256-CCM",
	[LP_AES_128_CCM_8] = "AES-128-CCM",
	[LP_AES_256_CCM_8] = "AES-256-CCM",
	[LP_CHACHA20_POLY1305] = "ChaCha20-Poly1305",
	[LP_CAMELLIA_128_CBC] = "CAMELLIA-128-CBC",
	[LP_CAMELLIA_256_CBC] = "CAMELLIA-256-CBC",
	[LP_CAMELLIA_128_GCM] = "CAMELLIA-128-GCM",
	[LP_CAMELLIA_256_GCM] = "CAMELLIA-256-GCM",
	[LP_ARIA_128_CBC] = "ARIA-128-CBC",
	[LP_ARIA_256_CBC] = "ARIA-256-CBC",
	[LP_ARIA_128_GCM] = "ARIA-128-GCM",
	[LP_ARIA_256_GCM] = "ARIA-256-GCM",
	[LP_3DES_EDE_CBC] = "DES-EDE3-CBC",
	[LP_DES_CBC] = "DES-CBC",
	[LP_DES40_CBC] = "DES-CBC",
	[LP_SEED_CBC] = "SEED-CBC",
	[LP_IDEA_CBC] = "IDEA-CBC",
	[LP_RC2_CBC_40] = "RC2-CBC",
	[LP_RC2_CBC_56] = "RC2-CBC",
	[LP_RC4_40] = "RC4",
	[LP_RC4_56] = "RC4",
	[LP_RC4_128] = "RC4",
	[LP_SM4_CBC] = "SM4-CBC",
	[LP_SM4_GCM] = "SM4-GCM",
	[LP_SM4_CCM] = "SM4-CCM",
};

static const char *const digest_name[DIGEST_COUNT] = {
	[LP_MD5] = "MD5",
	[LP_SHA1] = "SHA1",
	[LP_SHA256] = "SHA256",
	[LP_SHA384] = "SHA384",
	[LP_SHA512] = "SHA512",
	[LP_SM3] = "SM3",
	[LP_MD5_SHA1] = "MD5-SHA1",
};

/* What was fetched: written once, read by all threads. It belongs to the process,
 * as libcrypto's own default context does, and is never freed. */
static struct {
	OSSL_LIB_CTX *ctx;
	EVP_CIPHER *cipher[LP_CIPHER_COUNT];
	EVP_MD *digest[DIGEST_COUNT];
	bool quick_gcm; /* takes a nonce without being initialized anew */
} lib;

static pthread_once_t lib_once = PTHREAD_ONCE_INIT;

static bool gcm_is_quick(void);

static void lib_load(void)
{
	ERR_set_mark();
	lib.ctx = OSSL_LIB_CTX_new();
	if (lib.ctx && OSSL_PROVIDER_load(lib.ctx, "default")) {
		/* Where it cannot be loaded its ciphers are just not found. */
		(void)OSSL_PROVIDER_load(lib.ctx, "legacy");
		for (size_t i = 0; i < LP_CIPHER_COUNT; i++)
			if (cipher_name[i])
				lib.cipher[i] = EVP_CIPHER_fetch(lib.ctx, cipher_name[i], NULL);
		for (size_t i = 0; i < DIGEST_COUNT; i++)
			if (digest_name[i])
				lib.digest[i] = EVP_MD_fetch(lib.ctx, digest_name[i], NULL);
		lib.quick_gcm = gcm_is_quick();
	}
	ERR_pop_to_mark();
}

static const EVP_CIPHER *cipher_of(enum lp_cipher cipher)
{
	pthread_once(&lib_once, lib_load);
	return lib.cipher[cipher];
}

static const EVP_MD *digest_of(enum lp_digest digest)
{
	pthread_once(&lib_once, lib_load);
	return lib.digest[digest];
}

static bool has_cipher(enum lp_cipher cipher)
{
	return cipher == LP_CIPHER_NULL || cipher_of(cipher) != NULL;
}

static bool has_digest(enum lp_digest digest)
{
	return digest_of(digest) != NULL;
}

/* ---- hashes and HMAC: by libcrypto's own functions where it has them ---- */

static enum lp_err digest_new(enum lp_digest digest, struct lp_digest_ctx **out)
{
	return lp_ossl_digest_new(digest, digest_of(digest), out);
}

static enum lp_err mac_new(enum lp_digest digest, lp_span key, struct lp_mac_ctx **out)
{
	return lp_ossl_mac_new(digest, digest_of(digest), key, out);
}

/* ---- ciphers ---- */

struct lp_cipher_ctx {
	EVP_CIPHER_CTX *evp; /* NULL for LP_CIPHER_NULL */
	const struct lp_cipher_info *info;
	bool ccm;
	bool gcm; /* and quick */
};

static void cipher_free(struct lp_cipher_ctx *c)
{
	if (!c)
		return;
	EVP_CIPHER_CTX_free(c->evp);
	lp_secret_free(c, sizeof *c);
}

static int set_key(struct lp_cipher_ctx *c, const EVP_CIPHER *cipher, const uint8_t *key)
{
	c->evp = EVP_CIPHER_CTX_new();
	if (!c->evp)
		return 0;
	if (!c->ccm && !EVP_DecryptInit_ex2(c->evp, cipher, key, NULL, NULL))
		return 0;
	/* Record padding is TLS' own, not PKCS#7's. */
	if (!c->ccm)
		return !c->info->block || EVP_CIPHER_CTX_set_padding(c->evp, 0);
	/* CCM wants to know both lengths before the key (its q and t parameters). */
	return EVP_DecryptInit_ex2(c->evp, cipher, NULL, NULL, NULL) &&
	       EVP_CIPHER_CTX_ctrl(c->evp, EVP_CTRL_AEAD_SET_IVLEN, 12, NULL) > 0 &&
	       EVP_CIPHER_CTX_ctrl(c->evp, EVP_CTRL_AEAD_SET_TAG, c->info->tag, NULL) > 0 &&
	       EVP_DecryptInit_ex2(c->evp, NULL, key, NULL, NULL);
}

static enum lp_err cipher_new(enum lp_cipher cipher, lp_span key, struct lp_cipher_ctx **out)
{
	struct lp_cipher_ctx *c;

	*out = NULL;
	if (!has_cipher(cipher))
		return LP_E_UNSUPPORTED;
	if (key.n != lp_cipher_info(cipher)->key)
		return LP_E_ARG;
	c = lp_secret_alloc(sizeof *c);
	if (!c)
		return LP_E_NOMEM;
	c->info = lp_cipher_info(cipher);
	if (cipher == LP_CIPHER_NULL) {
		*out = c;
		return LP_OK;
	}
	c->ccm = EVP_CIPHER_get_mode(cipher_of(cipher)) == EVP_CIPH_CCM_MODE;
	c->gcm = lib.quick_gcm && EVP_CIPHER_get_mode(cipher_of(cipher)) == EVP_CIPH_GCM_MODE;
	if (!set_key(c, cipher_of(cipher), key.p)) {
		ERR_clear_error();
		cipher_free(c);
		return LP_E_UNSUPPORTED;
	}
	*out = c;
	return LP_OK;
}

static enum lp_err cipher_copy(const struct lp_cipher_ctx *from, struct lp_cipher_ctx **out)
{
	struct lp_cipher_ctx *c;
	int ok;

	*out = NULL;
	if (from->info->kind != LP_KIND_STREAM)
		return LP_E_UNSUPPORTED;
	c = lp_secret_alloc(sizeof *c);
	if (!c)
		return LP_E_NOMEM;
	c->info = from->info;
	ERR_set_mark();
	c->evp = EVP_CIPHER_CTX_new();
	ok = c->evp && EVP_CIPHER_CTX_copy(c->evp, from->evp) > 0;
	ERR_pop_to_mark();
	if (!ok) {
		cipher_free(c);
		return LP_E_UNSUPPORTED;
	}
	*out = c;
	return LP_OK;
}

static enum lp_err decrypt(struct lp_cipher_ctx *c, const uint8_t *iv, const uint8_t *in, size_t n,
			   uint8_t *out)
{
	uint8_t before[BLOCK_MAX];
	int got = 0;

	if (c->info->kind == LP_KIND_AEAD || n > INT_MAX ||
	    (c->info->block && n % c->info->block))
		return LP_E_ARG;
	if (!n)
		return LP_OK;
	if (!c->evp) {
		memmove(out, in, n);
		return LP_OK;
	}
	/* In CBC the IV is the block before: decrypting it costs a tenth of setting it. */
	if (c->info->block && (!EVP_DecryptUpdate(c->evp, before, &got, iv, c->info->block) ||
			       got != c->info->block))
		return LP_E_FORMAT;
	if (!EVP_DecryptUpdate(c->evp, out, &got, in, (int)n) || (size_t)got != n)
		return LP_E_FORMAT;
	return LP_OK;
}

/* A third of what initializing costs anew, which asks the provider for the length of the nonce. */
static int put_nonce_gcm(EVP_CIPHER_CTX *evp, const uint8_t *nonce, uint8_t *tag, size_t tag_n)
{
	OSSL_PARAM params[3];

	params[0] = OSSL_PARAM_construct_octet_string(OSSL_CIPHER_PARAM_AEAD_TAG, tag, tag_n);
	/* Of this length it is the whole nonce, as for EVP_CTRL_AEAD_SET_IV_FIXED. */
	params[1] = OSSL_PARAM_construct_octet_string(OSSL_CIPHER_PARAM_AEAD_TLS1_IV_FIXED,
						      (void *)(uintptr_t)nonce, SIZE_MAX);
	params[2] = OSSL_PARAM_construct_end();
	return EVP_CIPHER_CTX_set_params(evp, params);
}

static int put_nonce(EVP_CIPHER_CTX *evp, const uint8_t *nonce, uint8_t *tag, size_t tag_n)
{
	OSSL_PARAM params[2];

	params[0] = OSSL_PARAM_construct_octet_string(OSSL_CIPHER_PARAM_AEAD_TAG, tag, tag_n);
	params[1] = OSSL_PARAM_construct_end();
	return EVP_DecryptInit_ex2(evp, NULL, NULL, nonce, params);
}

static int open_evp(struct lp_cipher_ctx *c, const uint8_t *nonce, lp_span aad, const uint8_t *in,
		    size_t n, const uint8_t *tag, uint8_t *out)
{
	uint8_t t[16];
	int got = 0;

	memcpy(t, tag, c->info->tag); /* a parameter is not const */
	if (!(c->gcm ? put_nonce_gcm : put_nonce)(c->evp, nonce, t, c->info->tag))
		return 0;
	/* CCM hashes the length first, and verifies in the one update it allows. */
	if (c->ccm && !EVP_DecryptUpdate(c->evp, NULL, &got, NULL, (int)n))
		return 0;
	if (aad.n && !EVP_DecryptUpdate(c->evp, NULL, &got, aad.p, (int)aad.n))
		return 0;
	if ((n || c->ccm) && EVP_DecryptUpdate(c->evp, out, &got, in, (int)n) <= 0)
		return 0;
	return c->ccm || EVP_DecryptFinal_ex(c->evp, out + n, &got) > 0;
}

/* Whether this libcrypto takes a nonce as put_nonce_gcm() gives it: the manual does not say so.
 * Test case 2 of the GCM specification. */
static bool gcm_is_quick(void)
{
	static const uint8_t zeros[16], other[12] = { 1 };
	static const uint8_t sealed[16] = { 0x03, 0x88, 0xda, 0xce, 0x60, 0xb6, 0xa3, 0x92,
					    0xf3, 0x28, 0xc2, 0xb9, 0x71, 0xb2, 0xfe, 0x78 };
	static const uint8_t tag[16] = { 0xab, 0x6e, 0x47, 0xd4, 0x2c, 0xec, 0x13, 0xbd,
					 0xf5, 0x3a, 0x67, 0xb2, 0x12, 0x57, 0xbd, 0xdf };
	const lp_span none = { NULL, 0 };
	struct lp_cipher_ctx c = { .info = lp_cipher_info(LP_AES_128_GCM), .gcm = true };
	uint8_t out[16];
	bool quick = lib.cipher[LP_AES_128_GCM] && set_key(&c, lib.cipher[LP_AES_128_GCM], zeros);

	for (int i = 0; quick && i < 3; i++) {
		quick = !open_evp(&c, other, none, sealed, sizeof sealed, tag, out) &&
			open_evp(&c, zeros, none, sealed, sizeof sealed, tag, out) &&
			!memcmp(out, zeros, sizeof out);
	}
	EVP_CIPHER_CTX_free(c.evp);
	return quick;
}

static enum lp_err open_aead(struct lp_cipher_ctx *c, const uint8_t *nonce, lp_span aad,
			     const uint8_t *in, size_t n, const uint8_t *tag, uint8_t *out)
{
	static const uint8_t nothing[1] = { 0 };
	uint8_t sink[1];

	if (c->info->kind != LP_KIND_AEAD || n > INT_MAX || aad.n > INT_MAX)
		return LP_E_ARG;
	if (!n) { /* a NULL would mean something else to EVP */
		in = nothing;
		out = sink;
	}
	if (open_evp(c, nonce, aad, in, n, tag, out))
		return LP_OK;
	ERR_clear_error();
	lp_wipe(out, n);
	return LP_E_AUTH;
}

/* ---- RSA ---- */

struct lp_rsa {
	EVP_PKEY *key;
	EVP_PKEY_CTX *op;
	size_t size;
};

static void rsa_free(struct lp_rsa *r)
{
	if (!r)
		return;
	EVP_PKEY_CTX_free(r->op);
	EVP_PKEY_free(r->key);
	lp_secret_free(r, sizeof *r);
}

static enum lp_err rsa_new(lp_span der, struct lp_rsa **out)
{
	const unsigned char *p = der.p;
	enum lp_err err = LP_E_FORMAT;
	struct lp_rsa *r;

	*out = NULL;
	pthread_once(&lib_once, lib_load);
	if (!der.n || der.n > LONG_MAX || !lib.ctx)
		return LP_E_FORMAT;
	r = lp_secret_alloc(sizeof *r);
	if (!r)
		return LP_E_NOMEM;
	ERR_set_mark();
	r->key = d2i_PrivateKey_ex(EVP_PKEY_RSA, NULL, &p, (long)der.n, lib.ctx, NULL);
	if (!r->key || p != der.p + der.n || EVP_PKEY_get_size(r->key) <= 0)
		goto out;
	r->size = (size_t)EVP_PKEY_get_size(r->key);
	r->op = EVP_PKEY_CTX_new_from_pkey(lib.ctx, r->key, NULL);
	if (!r->op || EVP_PKEY_decrypt_init(r->op) <= 0 ||
	    EVP_PKEY_CTX_set_rsa_padding(r->op, RSA_NO_PADDING) <= 0)
		goto out;
	err = LP_OK;
out:
	ERR_pop_to_mark();
	if (err) {
		rsa_free(r);
		return err;
	}
	*out = r;
	return LP_OK;
}

static enum lp_err rsa_private(struct lp_rsa *r, const uint8_t *in, uint8_t *out)
{
	size_t n = r->size;
	int ok;

	ERR_set_mark();
	ok = EVP_PKEY_decrypt(r->op, out, &n, in, r->size) > 0 && n == r->size;
	ERR_pop_to_mark();
	if (ok)
		return LP_OK;
	lp_wipe(out, r->size);
	return LP_E_FORMAT;
}

const struct lp_crypto lp_crypto_openssl = {
	.name = "openssl",
	.has_cipher = has_cipher,
	.has_digest = has_digest,
	.digest_new = digest_new,
	.digest_update = lp_ossl_digest_update,
	.digest_peek = lp_ossl_digest_peek,
	.digest_free = lp_ossl_digest_free,
	.digest_parts = lp_ossl_digest_parts,
	.mac_new = mac_new,
	.mac = lp_ossl_mac,
	.mac_free = lp_ossl_mac_free,
#ifdef LP_WITH_IPSEC_MB
	.two_new = lp_ossl_two_new,
	.mac_two = lp_ossl_mac_two,
	.two_free = lp_ossl_two_free,
#endif
	.cipher_new = cipher_new,
	.decrypt = decrypt,
	.open = open_aead,
	.cipher_copy = cipher_copy,
	.cipher_free = cipher_free,
	.rsa_new = rsa_new,
	.rsa_private = rsa_private,
	.rsa_free = rsa_free,
};
