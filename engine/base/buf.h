/* lp_buf: growable bytes with a hard maximum.
 * Owner: its holder; lp_buf_clear() gives the memory back. Never for secrets
 * (see base/secret.h). Bytes taken from the front cost no move until the next
 * growth. Errors: LP_E_LIMIT beyond the maximum, LP_E_NOMEM. */
#ifndef LP_BASE_BUF_H
#define LP_BASE_BUF_H

#include "base/cursor.h"

struct lp_buf {
	uint8_t *mem;
	size_t start; /* first live byte */
	size_t end;   /* one past the last live byte */
	size_t size;  /* allocated */
	size_t max;   /* live bytes never exceed this */
};

/* No allocation happens before the first append. */
void lp_buf_init(struct lp_buf *b, size_t max);

/* Frees the memory; the buffer is empty and usable again. */
void lp_buf_clear(struct lp_buf *b);

/* Appends a copy of n bytes. On error nothing changes. */
LP_MUST enum lp_err lp_buf_append(struct lp_buf *b, const void *p, size_t n);

/* Room for n more bytes at *room, to be confirmed by lp_buf_commit(); valid
 * until the next call on the buffer. */
LP_MUST enum lp_err lp_buf_reserve(struct lp_buf *b, size_t n, uint8_t **room);
void lp_buf_commit(struct lp_buf *b, size_t n);

/* Drops n bytes (at most what is there) from the front. */
void lp_buf_consume(struct lp_buf *b, size_t n);

static inline lp_span lp_buf_span(const struct lp_buf *b)
{
	return (lp_span){ b->mem ? b->mem + b->start : NULL, b->end - b->start };
}

static inline size_t lp_buf_len(const struct lp_buf *b)
{
	return b->end - b->start;
}

#endif
