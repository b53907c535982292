/* A key log, whole and cut where its first byte says: the same secrets, the same counts,
 * and every line in one counter. A small store, so that the cap is reached. */
#include <stdlib.h>
#include <string.h>

#include "secrets/keylog.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_all(struct lp_keylog_stats *out, struct lp_keylog_reader *r, const uint8_t *data,
		     size_t size, size_t piece)
{
	static const struct lp_hash_seed seed = { 1, 2 };
	struct lp_keylog *log;
	size_t n;

	if (lp_keylog_new(&log, &seed, 8))
		abort();
	lp_keylog_reader_init(r, log, LP_KEYLOG_FILE);
	for (size_t at = 0; at < size; at += n) {
		n = size - at < piece ? size - at : piece;
		if (lp_keylog_push(r, lp_span_of(data + at, n), at))
			abort();
	}
	if (lp_keylog_end(r, size) || lp_keylog_count(log) > 8)
		abort();
	*out = lp_keylog_stats(log);
	lp_keylog_reader_clear(r);
	lp_keylog_free(log);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct lp_keylog_reader whole, cut;
	struct lp_keylog_stats a, b;

	if (!size)
		return 0;
	read_all(&a, &whole, data + 1, size - 1, size);
	read_all(&b, &cut, data + 1, size - 1, 1 + (size_t)data[0]);
	if (memcmp(&a, &b, sizeof a) || whole.first_malformed != cut.first_malformed ||
	    a.lines != a.comments + a.secrets + a.repeated + a.other + a.malformed)
		abort();
	return 0;
}
