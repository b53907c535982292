/* What the record layer must know of each cipher, the choice of a provider, and
 * one-shot helpers that every provider shares. */
#include "crypto/crypto.h"

#include <assert.h>
#include <string.h>

/* Sizes: RFC 5246 appendix C; GCM RFC 5288 (salt 4, explicit nonce 8, tag 16);
 * CCM RFC 6655 (the same, CCM_8 tag 8); ChaCha20-Poly1305 RFC 7905 (iv 12, nothing
 * explicit); EXPORT ciphers RFC 2246 appendix C (5 bytes of key material are
 * expanded to the cipher's key; those with 7 bytes are of the EXPORT1024
 * draft); SM4 as GB/T 38636, which follows RFC 5288. */
#define CBC(name, key, material, block) { name, LP_KIND_CBC, key, material, block, 0, block, 0 }
#define AEAD(name, key, tag) { name, LP_KIND_AEAD, key, key, 4, 8, 0, tag }
#define RC4(name, material) { name, LP_KIND_STREAM, 16, material, 0, 0, 0, 0 }

static const struct lp_cipher_info infos[LP_CIPHER_COUNT] = {
	[LP_CIPHER_NULL] = { "NULL", LP_KIND_NULL, 0, 0, 0, 0, 0, 0 },
	[LP_AES_128_CBC] = CBC("AES-128-CBC", 16, 16, 16),
	[LP_AES_256_CBC] = CBC("AES-256-CBC", 32, 32, 16),
	[LP_AES_128_GCM] = AEAD("AES-128-GCM", 16, 16),
	[LP_AES_256_GCM] = AEAD("AES-256-GCM", 32, 16),
	[LP_AES_128_CCM] = AEAD("AES-128-CCM", 16, 16),
	[LP_AES_256_CCM] = AEAD("AES-256-CCM", 32, 16),
	[LP_AES_128_CCM_8] = AEAD("AES-128-CCM-8", 16, 8),
	[LP_AES_256_CCM_8] = AEAD("AES-256-CCM-8", 32, 8),
	[LP_CHACHA20_POLY1305] = { "CHACHA20-POLY1305", LP_KIND_AEAD, 32, 32, 12, 0, 0, 16 },
	[LP_CAMELLIA_128_CBC] = CBC("CAMELLIA-128-CBC", 16, 16, 16),
	[LP_CAMELLIA_256_CBC] = CBC("CAMELLIA-256-CBC", 32, 32, 16),
	[LP_CAMELLIA_128_GCM] = AEAD("CAMELLIA-128-GCM", 16, 16),
	[LP_CAMELLIA_256_GCM] = AEAD("CAMELLIA-256-GCM", 32, 16),
	[LP_ARIA_128_CBC] = CBC("ARIA-128-CBC", 16, 16, 16),
	[LP_ARIA_256_CBC] = CBC("ARIA-256-CBC", 32, 32, 16),
	[LP_ARIA_128_GCM] = AEAD("ARIA-128-GCM", 16, 16),
	[LP_ARIA_256_GCM] = AEAD("ARIA-256-GCM", 32, 16),
	[LP_3DES_EDE_CBC] = CBC("3DES-EDE-CBC", 24, 24, 8),
	[LP_DES_CBC] = CBC("DES-CBC", 8, 8, 8),
	[LP_DES40_CBC] = CBC("DES40-CBC", 8, 5, 8),
	[LP_SEED_CBC] = CBC("SEED-CBC", 16, 16, 16),
	[LP_IDEA_CBC] = CBC("IDEA-CBC", 16, 16, 8),
	[LP_RC2_CBC_40] = CBC("RC2-CBC-40", 16, 5, 8),
	[LP_RC2_CBC_56] = CBC("RC2-CBC-56", 16, 7, 8),
	[LP_RC4_40] = RC4("RC4-40", 5),
	[LP_RC4_56] = RC4("RC4-56", 7),
	[LP_RC4_128] = RC4("RC4-128", 16),
	[LP_SM4_CBC] = CBC("SM4-CBC", 16, 16, 16),
	[LP_SM4_GCM] = AEAD("SM4-GCM", 16, 16),
	[LP_SM4_CCM] = AEAD("SM4-CCM", 16, 16),
};

const struct lp_cipher_info *lp_cipher_info(enum lp_cipher cipher)
{
	assert((unsigned)cipher < LP_CIPHER_COUNT);
	return &infos[cipher];
}

size_t lp_digest_size(enum lp_digest digest)
{
	switch (digest) {
	case LP_DIGEST_NONE:
		break;
	case LP_MD5:
		return 16;
	case LP_SHA1:
		return 20;
	case LP_SHA256:
	case LP_SM3:
		return 32;
	case LP_SHA384:
		return 48;
	case LP_SHA512:
		return 64;
	case LP_MD5_SHA1:
		return 36;
	}
	return 0;
}

/* The hashes without which no TLS 1.0 to 1.2 session can be followed. */
static bool has_all_digests(const struct lp_crypto *c)
{
	return c->has_digest(LP_MD5) && c->has_digest(LP_SHA1) && c->has_digest(LP_SHA256) &&
	       c->has_digest(LP_SHA384) && c->has_digest(LP_SHA512) &&
	       c->has_digest(LP_MD5_SHA1);
}

enum lp_err lp_crypto_choose(struct lp_crypto_set *out, const char *name)
{
	/* The faster first. */
	const struct lp_crypto *providers[2] = { NULL, NULL };
	const bool any = !strcmp(name, "auto");
	size_t n = 0;

	memset(out, 0, sizeof *out);
	if (!any && strcmp(name, "mbedtls") != 0 && strcmp(name, "openssl") != 0)
		return LP_E_ARG;
#ifdef LP_WITH_OPENSSL
	if (any || !strcmp(name, "openssl"))
		providers[n++] = &lp_crypto_openssl;
#endif
	if (any || !strcmp(name, "mbedtls"))
		providers[n++] = &lp_crypto_mbedtls;
	for (size_t i = 0; i < n; i++) {
		if (!has_all_digests(providers[i]))
			continue;
		if (!out->base) {
			out->base = providers[i];
			out->rsa = providers[i];
		}
		for (int c = 0; c < LP_CIPHER_COUNT; c++)
			if (!out->cipher[c] && providers[i]->has_cipher((enum lp_cipher)c))
				out->cipher[c] = providers[i];
	}
	return out->base ? LP_OK : LP_E_UNSUPPORTED;
}

enum lp_err lp_digest_once(const struct lp_crypto *c, enum lp_digest digest,
			   const lp_span *parts, size_t n, uint8_t *out)
{
	struct lp_digest_ctx *d = NULL;
	enum lp_err err = c->digest_parts ? c->digest_parts(digest, parts, n, out)
					  : LP_E_UNSUPPORTED;

	if (err != LP_E_UNSUPPORTED)
		return err;
	err = c->digest_new(digest, &d);
	for (size_t i = 0; !err && i < n; i++)
		err = c->digest_update(d, parts[i]);
	if (!err)
		err = c->digest_peek(d, out);
	c->digest_free(d);
	return err;
}

enum lp_err lp_mac_once(const struct lp_crypto *c, enum lp_digest digest, lp_span key,
			const lp_span *parts, size_t n, uint8_t *out)
{
	struct lp_mac_ctx *m = NULL;
	enum lp_err err = c->mac_new(digest, key, &m);

	if (!err)
		err = c->mac(m, parts, n, out);
	c->mac_free(m);
	return err;
}
