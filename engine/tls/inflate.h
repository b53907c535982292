/* lp_inflate: the DEFLATE compression of one direction in one epoch (RFC 3749).
 *
 * All records of a direction are one stream: each goes on where the one before ended
 * and may refer back to its bytes, so a record that is missing closes all that follow.
 * The stream has zlib's header (RFC 1950), as everybody writes it, or none (RFC 1951).
 *
 * Owner: the session; about 40 KB while it lives, wiped when freed. Single-threaded. */
#ifndef LP_TLS_INFLATE_H
#define LP_TLS_INFLATE_H

#include "base/cursor.h"

enum {
	LP_INFLATE_IN_MAX = 16384 + 1024, /* RFC 5246 section 6.2.2 */
	LP_INFLATE_OUT_MAX = 16384,
	LP_INFLATE_ROOM = LP_INFLATE_OUT_MAX + 1, /* one more, to see that there is more */
};

struct lp_inflate;

/* LP_E_NOMEM. */
LP_MUST enum lp_err lp_inflate_new(struct lp_inflate **out);
void lp_inflate_free(struct lp_inflate *z);

/* The content of record number seq; *n bytes at out. LP_E_ORDER: it is not the one that
 * follows the last; LP_E_LIMIT: it holds more than a record may; LP_E_FORMAT: no such
 * stream. After a fault no record can be had any more. LP_E_NOMEM. */
LP_MUST enum lp_err lp_inflate_record(struct lp_inflate *z, uint64_t seq, lp_span in,
				      uint8_t out[LP_INFLATE_ROOM], size_t *n);

#endif
