/* A compressed stream, cut into records where its own bytes say: no record gives more
 * than a record may hold, and after a fault nothing comes any more. */
#include <stdlib.h>
#include <string.h>

#include "base/cursor.h"
#include "tls/inflate.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static uint8_t out[LP_INFLATE_ROOM];
	struct lp_cursor c = lp_cursor_of(data, size);
	struct lp_inflate *z;
	uint64_t seq = 0;
	bool broken = false;
	size_t n;

	if (lp_inflate_new(&z))
		return 0;
	while (lp_cursor_left(&c)) {
		size_t want = lp_cursor_u16(&c);
		size_t left = lp_cursor_left(&c);
		enum lp_err err = lp_inflate_record(z, seq++,
						    lp_cursor_bytes(&c, want < left ? want : left),
						    out, &n);

		if (n > LP_INFLATE_OUT_MAX || (err && n) || (broken && err != LP_E_ORDER))
			abort();
		broken = err != LP_OK;
	}
	lp_inflate_free(z);
	return 0;
}
