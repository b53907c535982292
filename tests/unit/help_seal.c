#include "help_seal.h"

#include <mbedtls/version.h>
#if MBEDTLS_VERSION_MAJOR == 2
#include <mbedtls/config.h>
#else
#include <mbedtls/build_info.h>
#endif
#include <mbedtls/aes.h>
#include <mbedtls/camellia.h>
#include <mbedtls/ccm.h>
#include <mbedtls/chachapoly.h>
#include <mbedtls/des.h>
#include <mbedtls/gcm.h>
#ifdef MBEDTLS_ARC4_C
#include <mbedtls/arc4.h>
#endif
#ifdef MBEDTLS_ARIA_C
#include <mbedtls/aria.h>
#endif
#include <string.h>

#ifdef LP_WITH_OPENSSL
#include <openssl/evp.h>
#include <openssl/provider.h>
#endif

const struct lp_crypto *const help_providers[HELP_PROVIDERS] = {
	&lp_crypto_mbedtls,
#ifdef LP_WITH_OPENSSL
	&lp_crypto_openssl,
#endif
};

void help_fill(uint8_t *out, size_t n, uint32_t seed)
{
	uint32_t x = seed * 2654435761u + 1;

	for (size_t i = 0; i < n; i++) {
		x ^= x << 13;
		x ^= x >> 17;
		x ^= x << 5;
		out[i] = (uint8_t)(x >> 11);
	}
}

static bool seal_cbc(enum lp_cipher cipher, const uint8_t *key, uint8_t *iv, const uint8_t *in,
		     size_t n, uint8_t *out)
{
	const unsigned bits = lp_cipher_info(cipher)->key * 8u;
	mbedtls_aes_context aes;
	mbedtls_camellia_context camellia;
	mbedtls_des_context des;
	mbedtls_des3_context des3;

	switch (cipher) {
	case LP_AES_128_CBC:
	case LP_AES_256_CBC:
		mbedtls_aes_init(&aes);
		mbedtls_aes_setkey_enc(&aes, key, bits);
		mbedtls_aes_crypt_cbc(&aes, MBEDTLS_AES_ENCRYPT, n, iv, in, out);
		mbedtls_aes_free(&aes);
		return true;
	case LP_CAMELLIA_128_CBC:
	case LP_CAMELLIA_256_CBC:
		mbedtls_camellia_init(&camellia);
		mbedtls_camellia_setkey_enc(&camellia, key, bits);
		mbedtls_camellia_crypt_cbc(&camellia, MBEDTLS_CAMELLIA_ENCRYPT, n, iv, in, out);
		mbedtls_camellia_free(&camellia);
		return true;
	case LP_DES_CBC:
	case LP_DES40_CBC:
		mbedtls_des_init(&des);
		mbedtls_des_setkey_enc(&des, key);
		mbedtls_des_crypt_cbc(&des, MBEDTLS_DES_ENCRYPT, n, iv, in, out);
		mbedtls_des_free(&des);
		return true;
	case LP_3DES_EDE_CBC:
		mbedtls_des3_init(&des3);
		mbedtls_des3_set3key_enc(&des3, key);
		mbedtls_des3_crypt_cbc(&des3, MBEDTLS_DES_ENCRYPT, n, iv, in, out);
		mbedtls_des3_free(&des3);
		return true;
#ifdef MBEDTLS_ARIA_C
	case LP_ARIA_128_CBC:
	case LP_ARIA_256_CBC: {
		mbedtls_aria_context aria;

		mbedtls_aria_init(&aria);
		mbedtls_aria_setkey_enc(&aria, key, bits);
		mbedtls_aria_crypt_cbc(&aria, MBEDTLS_ARIA_ENCRYPT, n, iv, in, out);
		mbedtls_aria_free(&aria);
		return true;
	}
#endif
	default:
		return false;
	}
}

static bool gcm_id(enum lp_cipher cipher, mbedtls_cipher_id_t *id)
{
	switch (cipher) {
	case LP_AES_128_GCM:
	case LP_AES_256_GCM:
		*id = MBEDTLS_CIPHER_ID_AES;
		return true;
	case LP_CAMELLIA_128_GCM:
	case LP_CAMELLIA_256_GCM:
		*id = MBEDTLS_CIPHER_ID_CAMELLIA;
		return true;
#ifdef MBEDTLS_ARIA_C
	case LP_ARIA_128_GCM:
	case LP_ARIA_256_GCM:
		*id = MBEDTLS_CIPHER_ID_ARIA;
		return true;
#endif
	default:
		return false;
	}
}

static bool seal_aead(enum lp_cipher cipher, const uint8_t *key, const uint8_t *iv, lp_span aad,
		      const uint8_t *in, size_t n, uint8_t *out, uint8_t *tag)
{
	const struct lp_cipher_info *info = lp_cipher_info(cipher);
	mbedtls_cipher_id_t id;
	mbedtls_gcm_context gcm;
	mbedtls_ccm_context ccm;
	mbedtls_chachapoly_context chacha;
	int ret = 0;

	if (gcm_id(cipher, &id)) {
		mbedtls_gcm_init(&gcm);
		ret = mbedtls_gcm_setkey(&gcm, id, key, info->key * 8u);
		if (!ret)
			ret = mbedtls_gcm_crypt_and_tag(&gcm, MBEDTLS_GCM_ENCRYPT, n, iv, 12, aad.p,
							aad.n, in, out, info->tag, tag);
		mbedtls_gcm_free(&gcm);
		return !ret;
	}
	switch (cipher) {
	case LP_AES_128_CCM:
	case LP_AES_256_CCM:
	case LP_AES_128_CCM_8:
	case LP_AES_256_CCM_8:
		mbedtls_ccm_init(&ccm);
		ret = mbedtls_ccm_setkey(&ccm, MBEDTLS_CIPHER_ID_AES, key, info->key * 8u);
		if (!ret)
			ret = mbedtls_ccm_encrypt_and_tag(&ccm, n, iv, 12, aad.p, aad.n, in, out,
							  tag, info->tag);
		mbedtls_ccm_free(&ccm);
		return !ret;
	case LP_CHACHA20_POLY1305:
		mbedtls_chachapoly_init(&chacha);
		ret = mbedtls_chachapoly_setkey(&chacha, key);
		if (!ret)
			ret = mbedtls_chachapoly_encrypt_and_tag(&chacha, n, iv, aad.p, aad.n, in,
								 out, tag);
		mbedtls_chachapoly_free(&chacha);
		return !ret;
	default:
		return false;
	}
}

bool help_seal_mbedtls(enum lp_cipher cipher, const uint8_t *key, const uint8_t *iv, lp_span aad,
		       const uint8_t *in, size_t n, uint8_t *out, uint8_t *tag)
{
	const struct lp_cipher_info *info = lp_cipher_info(cipher);
	uint8_t chain[16];

	switch (info->kind) {
	case LP_KIND_NULL:
		memmove(out, in, n);
		return true;
	case LP_KIND_CBC:
		memcpy(chain, iv, info->block);
		return seal_cbc(cipher, key, chain, in, n, out);
	case LP_KIND_AEAD:
		return seal_aead(cipher, key, iv, aad, in, n, out, tag);
	case LP_KIND_STREAM:
#ifdef MBEDTLS_ARC4_C
	{
		mbedtls_arc4_context arc4;

		mbedtls_arc4_init(&arc4);
		mbedtls_arc4_setup(&arc4, key, info->key);
		mbedtls_arc4_crypt(&arc4, n, in, out);
		mbedtls_arc4_free(&arc4);
		return true;
	}
#endif
	default:
		return false;
	}
}

#ifdef LP_WITH_OPENSSL
static const char *evp_name(enum lp_cipher cipher)
{
	switch (cipher) {
	case LP_3DES_EDE_CBC:
		return "DES-EDE3-CBC";
	case LP_DES40_CBC:
		return "DES-CBC";
	case LP_RC2_CBC_40:
	case LP_RC2_CBC_56:
		return "RC2-CBC";
	case LP_RC4_40:
	case LP_RC4_56:
	case LP_RC4_128:
		return "RC4";
	case LP_AES_128_CCM_8:
		return "AES-128-CCM";
	case LP_AES_256_CCM_8:
		return "AES-256-CCM";
	default:
		return lp_cipher_info(cipher)->name;
	}
}

static bool evp_run(EVP_CIPHER_CTX *c, const EVP_CIPHER *evp, const struct lp_cipher_info *info,
		    const uint8_t *key, const uint8_t *iv, lp_span aad, const uint8_t *in, size_t n,
		    uint8_t *out, uint8_t *tag)
{
	const bool ccm = EVP_CIPHER_get_mode(evp) == EVP_CIPH_CCM_MODE;
	static const uint8_t none[1];
	int got;

	if (!EVP_EncryptInit_ex(c, evp, NULL, NULL, NULL))
		return false;
	EVP_CIPHER_CTX_set_padding(c, 0);
	if (ccm && (EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_AEAD_SET_IVLEN, 12, NULL) <= 0 ||
		    EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_AEAD_SET_TAG, info->tag, NULL) <= 0))
		return false;
	if (!EVP_EncryptInit_ex(c, NULL, NULL, key, info->kind == LP_KIND_STREAM ? NULL : iv))
		return false;
	if (ccm && !EVP_EncryptUpdate(c, NULL, &got, NULL, (int)n))
		return false;
	if (info->tag && aad.n && !EVP_EncryptUpdate(c, NULL, &got, aad.p, (int)aad.n))
		return false;
	if ((n || ccm) && !EVP_EncryptUpdate(c, out, &got, n ? in : none, (int)n))
		return false;
	if (!EVP_EncryptFinal_ex(c, out + n, &got))
		return false;
	return info->kind != LP_KIND_AEAD ||
	       EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_AEAD_GET_TAG, info->tag, tag) > 0;
}

bool help_seal_openssl(enum lp_cipher cipher, const uint8_t *key, const uint8_t *iv, lp_span aad,
		       const uint8_t *in, size_t n, uint8_t *out, uint8_t *tag)
{
	const struct lp_cipher_info *info = lp_cipher_info(cipher);
	static OSSL_LIB_CTX *lib;
	EVP_CIPHER_CTX *c;
	EVP_CIPHER *evp;
	bool ok;

	if (info->kind == LP_KIND_NULL) {
		memmove(out, in, n);
		return true;
	}
	if (!lib) {
		lib = OSSL_LIB_CTX_new();
		OSSL_PROVIDER_load(lib, "default");
		OSSL_PROVIDER_load(lib, "legacy");
	}
	evp = EVP_CIPHER_fetch(lib, evp_name(cipher), NULL);
	if (!evp)
		return false;
	c = EVP_CIPHER_CTX_new();
	ok = evp_run(c, evp, info, key, iv, aad, in, n, out, tag);
	EVP_CIPHER_CTX_free(c);
	EVP_CIPHER_free(evp);
	return ok;
}
#endif
