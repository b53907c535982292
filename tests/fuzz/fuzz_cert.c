/* crypto/cert: a certificate from the wire. All text must end inside its field. */
#include <stdlib.h>
#include <string.h>

#include "crypto/cert.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void ends(const char *text, size_t size)
{
	if (!memchr(text, 0, size))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct lp_cert c;

	if (!lp_cert_read(&c, &lp_crypto_mbedtls, lp_span_of(data, size)) != c.has_key)
		abort();
	ends(c.subject, sizeof c.subject);
	ends(c.issuer, sizeof c.issuer);
	ends(c.serial, sizeof c.serial);
	ends(c.not_before, sizeof c.not_before);
	ends(c.not_after, sizeof c.not_after);
	return 0;
}
