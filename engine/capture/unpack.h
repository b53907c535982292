/* lp_unpack: gzip (RFC 1952, several members) or zstd (RFC 8878, several frames)
 * as a stream. Owner: an lp_input; lp_unpack_free(). Its memory use does not
 * depend on how much comes out. */
#ifndef LP_CAPTURE_UNPACK_H
#define LP_CAPTURE_UNPACK_H

#include "base/cursor.h"

enum lp_unpack_kind { LP_UNPACK_NONE, LP_UNPACK_GZIP, LP_UNPACK_ZSTD };

enum { LP_UNPACK_MAGIC = 4 }; /* bytes that lp_unpack_kind_of() wants to see */

struct lp_unpack;

enum lp_unpack_kind lp_unpack_kind_of(const uint8_t *p, size_t n);

/* NULL when out of memory. */
LP_MUST struct lp_unpack *lp_unpack_new(enum lp_unpack_kind kind);
void lp_unpack_free(struct lp_unpack *u);

/* Room for packed bytes (never empty unless some wait), to be confirmed. */
uint8_t *lp_unpack_room(struct lp_unpack *u, size_t *n);
void lp_unpack_commit(struct lp_unpack *u, size_t n);

/* Unpacks into out. LP_OK: *made > 0 bytes; LP_MORE: wants packed bytes;
 * LP_E_FORMAT, and *wrong (static) says what; LP_E_NOMEM. */
LP_MUST enum lp_err lp_unpack_step(struct lp_unpack *u, uint8_t *out, size_t n, size_t *made,
				   const char **wrong);

/* True between members or frames, where the input may end. */
bool lp_unpack_whole(const struct lp_unpack *u);

#endif
