#include "base/buf.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum { FIRST_SIZE = 256 };

void lp_buf_init(struct lp_buf *b, size_t max)
{
	*b = (struct lp_buf){ .max = max };
}

void lp_buf_clear(struct lp_buf *b)
{
	free(b->mem);
	lp_buf_init(b, b->max);
}

static enum lp_err grow(struct lp_buf *b, size_t need)
{
	size_t size = b->size ? b->size : FIRST_SIZE;
	uint8_t *mem;

	while (size < need)
		size *= 2;
	if (size > b->max && need <= b->max)
		size = b->max;
	mem = malloc(size);
	if (!mem)
		return LP_E_NOMEM;
	if (b->end > b->start)
		memcpy(mem, b->mem + b->start, b->end - b->start);
	free(b->mem);
	b->mem = mem;
	b->end -= b->start;
	b->start = 0;
	b->size = size;
	return LP_OK;
}

enum lp_err lp_buf_reserve(struct lp_buf *b, size_t n, uint8_t **room)
{
	size_t live = lp_buf_len(b);
	enum lp_err err;

	*room = NULL;
	if (n > b->max - live)
		return LP_E_LIMIT;
	if (!b->mem || live + n > b->size) {
		err = grow(b, live + n);
		if (err)
			return err;
	} else if (n > b->size - b->end) {
		memmove(b->mem, b->mem + b->start, live);
		b->start = 0;
		b->end = live;
	}
	*room = b->mem + b->end;
	return LP_OK;
}

void lp_buf_commit(struct lp_buf *b, size_t n)
{
	assert(n <= b->size - b->end);
	b->end += n;
}

enum lp_err lp_buf_append(struct lp_buf *b, const void *p, size_t n)
{
	uint8_t *room;
	enum lp_err err;

	if (!n)
		return LP_OK;
	err = lp_buf_reserve(b, n, &room);
	if (err)
		return err;
	memcpy(room, p, n);
	lp_buf_commit(b, n);
	return LP_OK;
}

void lp_buf_consume(struct lp_buf *b, size_t n)
{
	size_t live = lp_buf_len(b);

	if (n >= live) {
		b->start = 0;
		b->end = 0;
	} else {
		b->start += n;
	}
}
