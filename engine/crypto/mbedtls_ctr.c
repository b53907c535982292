#include "crypto/aes_ctr.h"

#include <mbedtls/aes.h>
#include <string.h>

#include "base/secret.h"
#include "crypto/mbedtls_int.h"

enum lp_err lp_aes_ctr(lp_span key, const uint8_t iv[16], const uint8_t *in, size_t n, uint8_t *out)
{
	mbedtls_aes_context aes;
	unsigned char counter[16], stream[16];
	size_t used = 0;
	int r;

	memcpy(counter, iv, sizeof counter);
	mbedtls_aes_init(&aes);
	r = mbedtls_aes_setkey_enc(&aes, key.p, (unsigned)key.n * 8);
	if (!r)
		r = mbedtls_aes_crypt_ctr(&aes, n, &used, counter, stream, in, out);
	mbedtls_aes_free(&aes);
	lp_wipe(stream, sizeof stream);
	return r ? LP_E_ARG : LP_OK;
}
