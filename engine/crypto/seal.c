#include "crypto/seal.h"

#include <mbedtls/gcm.h>

#include "base/secret.h"

static enum lp_err start(mbedtls_gcm_context **out, const uint8_t *key)
{
	mbedtls_gcm_context *gcm = lp_secret_alloc(sizeof *gcm);

	*out = gcm;
	if (!gcm)
		return LP_E_NOMEM;
	mbedtls_gcm_init(gcm);
	return mbedtls_gcm_setkey(gcm, MBEDTLS_CIPHER_ID_AES, key, 8 * LP_SEAL_KEY) ? LP_E_NOMEM
										    : LP_OK;
}

static void stop(mbedtls_gcm_context *gcm)
{
	if (gcm)
		mbedtls_gcm_free(gcm);
	lp_secret_free(gcm, sizeof *gcm);
}

enum lp_err lp_seal(const uint8_t key[LP_SEAL_KEY], const uint8_t nonce[LP_SEAL_NONCE],
		    lp_span aad, lp_span in, uint8_t *out, uint8_t tag[LP_SEAL_TAG])
{
	mbedtls_gcm_context *gcm;
	enum lp_err err = start(&gcm, key);

	if (!err && mbedtls_gcm_crypt_and_tag(gcm, MBEDTLS_GCM_ENCRYPT, in.n, nonce, LP_SEAL_NONCE,
					      aad.p, aad.n, in.p, out, LP_SEAL_TAG, tag))
		err = LP_E_NOMEM;
	stop(gcm);
	return err;
}

enum lp_err lp_unseal(const uint8_t key[LP_SEAL_KEY], const uint8_t nonce[LP_SEAL_NONCE],
		      lp_span aad, lp_span in, const uint8_t tag[LP_SEAL_TAG], uint8_t *out)
{
	mbedtls_gcm_context *gcm;
	enum lp_err err = start(&gcm, key);
	int ret;

	if (!err) {
		ret = mbedtls_gcm_auth_decrypt(gcm, in.n, nonce, LP_SEAL_NONCE, aad.p, aad.n, tag,
					       LP_SEAL_TAG, in.p, out);
		err = ret == MBEDTLS_ERR_GCM_AUTH_FAILED ? LP_E_AUTH : ret ? LP_E_NOMEM : LP_OK;
	}
	if (err)
		lp_wipe(out, in.n);
	stop(gcm);
	return err;
}
