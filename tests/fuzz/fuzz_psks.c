/* A file of pre-shared keys: every key lies in the room, is not empty, and comes from a
 * line of its own; after a fault there is a reason. */
#include <stdlib.h>
#include <string.h>

#include "warden/psks.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct lp_psks r;
	struct lp_psk psk;
	unsigned line = 0;
	size_t sum = 0;
	enum lp_err err;

	if (lp_psks_init(&r, lp_span_of(data, size)))
		return 0;
	while (!(err = lp_psks_next(&r, &psk))) {
		if (!psk.key.n || psk.key.n > LP_PSK_MAX || psk.identity.n > size || r.line <= line)
			abort();
		line = r.line;
		for (size_t i = 0; i < psk.key.n; i++)
			sum += psk.key.p[i];
		for (size_t i = 0; i < psk.identity.n; i++)
			sum += psk.identity.p[i];
	}
	if (err == LP_E_FORMAT ? !r.why : err != LP_EOF)
		abort();
	lp_psks_clear(&r);
	return sum == SIZE_MAX;
}
