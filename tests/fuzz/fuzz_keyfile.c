/* crypto/keyfile: byte 0 says whether there is a passphrase ("x"), the rest is the file. */
#include <stdlib.h>
#include <string.h>

#include "crypto/keyfile.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char why[LP_KEY_WHY];
	struct lp_key k;
	enum lp_err err;

	if (!size)
		return 0;
	/* A million rounds are legal and show nothing but patience. */
	for (size_t i = 1; data[0] & 1 && i + 1 < size; i++)
		if (data[i] == 2 && data[i + 1] > 2 && data[i + 1] < 5)
			return 0;
	memset(why, 'x', sizeof why);
	err = lp_key_load(&k, lp_span_of(data + 1, size - 1), lp_span_of("x", data[0] & 1), why);
	if (!memchr(why, 0, sizeof why) || (err == LP_OK) != (why[0] == '\0') ||
	    (err == LP_OK) != (k.der.p != NULL))
		abort();
	lp_key_clear(&k);
	return 0;
}
