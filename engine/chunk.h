/* lp_chunk: memory that the bytes of several events lie in one behind the other. A worker
 * fills it; each event holds a reference; whoever drops the last one, in whatever thread,
 * wipes it and gives it back.
 *
 * Owner: reference counted. mem, size, used and top belong to who fills it. LP_E_NOMEM shows
 * as NULL. */
#ifndef LP_CHUNK_H
#define LP_CHUNK_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

struct lp_chunk {
	uint8_t *mem;
	size_t size, used;
	size_t top;           /* bytes that may ever have been written */
	atomic_size_t refs;
	atomic_size_t *held;  /* bytes of all chunks of one filler; outlives them */
};

/* One reference, the filler's. */
struct lp_chunk *lp_chunk_new(size_t size, atomic_size_t *held);
void lp_chunk_ref(struct lp_chunk *c);
void lp_chunk_unref(struct lp_chunk *c); /* NULL is ignored */

/* For the filler: n bytes at the end, to be had by adding to used; NULL: there are not so
 * many. If no event needs the chunk any more, all of it is room. */
uint8_t *lp_chunk_room(struct lp_chunk *c, size_t n);

#endif
