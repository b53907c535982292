/* warden/ticketfile: any file. */
#include <stdlib.h>
#include <string.h>

#include "warden/ticketfile.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char why[LP_TICKETFILE_WHY];
	struct lp_ticketfile f = { NULL, 0, 0 };
	enum lp_err err;

	memset(why, 'x', sizeof why);
	err = lp_ticketfile_read(&f, lp_span_of(data, size), why);
	if ((err == LP_OK) != (f.n != 0) || (err == LP_OK) != (f.key != NULL) ||
	    !memchr(why, 0, sizeof why) || f.n > LP_TICKETFILE_MAX)
		abort();
	for (size_t i = 0; i < f.n; i++)
		if (!f.key[i].key.n || f.key[i].first > f.key[i].key.n)
			abort();
	lp_ticketfile_clear(&f);
	return 0;
}
