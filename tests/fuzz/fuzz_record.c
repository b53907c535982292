/* Records of one direction: whole, byte by byte, and cut as the first byte says must
 * all give the same; and a resynchronisation in the middle must be survived. */
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "tls/record.h"

static uint64_t run(const uint8_t *p, size_t n, size_t piece, size_t resync)
{
	struct lp_records r;
	struct lp_record rec;
	uint64_t sum = 0;
	enum lp_err err = LP_MORE;

	lp_records_init(&r, 7);
	for (size_t at = 0; at < n && err == LP_MORE; at += piece) {
		size_t len = n - at < piece ? n - at : piece;
		uint8_t *copy = malloc(len);

		memcpy(copy, p + at, len);
		lp_records_push(&r, copy, len);
		while ((err = lp_records_next(&r, NULL, &rec)) == LP_OK) {
			sum = lp_hash(&(struct lp_hash_seed){ sum, rec.offset }, rec.header.p, rec.header.n);
			sum = lp_hash(&(struct lp_hash_seed){ sum, rec.type }, rec.fragment.p, rec.fragment.n);
		}
		if (resync && at / piece == resync)
			err = lp_records_resync(&r, at + len) > n ? LP_E_ARG : LP_MORE;
		free(copy);
	}
	sum += (uint64_t)err + (err == LP_MORE ? lp_records_held(&r) : 0) + lp_records_offset(&r);
	lp_records_clear(&r);
	return sum;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (!size)
		return 0;
	uint64_t whole = run(data + 1, size - 1, size, 0);

	if (whole != run(data + 1, size - 1, 1, 0) || whole != run(data + 1, size - 1, data[0] + 1U, 0))
		abort();
	(void)run(data + 1, size - 1, data[0] + 1U, 3);
	return 0;
}
