/* lp_cursor: the only way limpid reads bytes that came from outside.
 * A bounded reader that sticks: the first read past the end makes it bad, every
 * later read gives 0 or an empty span, and the caller tests once, at the end.
 * Owner: the caller's stack. The bytes are borrowed. Nothing here allocates. */
#ifndef LP_BASE_CURSOR_H
#define LP_BASE_CURSOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

/* Borrowed bytes; good for the call that hands them over. n is in bytes. */
typedef struct lp_span {
	const uint8_t *p;
	size_t n;
} lp_span;

struct lp_cursor {
	const uint8_t *p;
	size_t n; /* bytes left */
	bool bad; /* a read went past the end; sticky */
};

static inline lp_span lp_span_of(const void *p, size_t n)
{
	return (lp_span){ (const uint8_t *)p, n };
}

static inline struct lp_cursor lp_cursor_of(const void *p, size_t n)
{
	return (struct lp_cursor){ (const uint8_t *)p, n, false };
}

static inline struct lp_cursor lp_cursor_span(lp_span s)
{
	return (struct lp_cursor){ s.p, s.n, false };
}

/* The next n bytes, borrowed from the input; an empty span once stuck. */
static inline lp_span lp_cursor_bytes(struct lp_cursor *c, size_t n)
{
	lp_span s = { NULL, 0 };

	if (c->bad || n > c->n) {
		c->bad = true;
		return s;
	}
	s.p = c->p;
	s.n = n;
	if (n) {
		c->p += n;
		c->n -= n;
	}
	return s;
}

static inline void lp_cursor_skip(struct lp_cursor *c, size_t n)
{
	(void)lp_cursor_bytes(c, n);
}

/* Big-endian integers of 1 to 8 bytes (network byte order). A compiler makes one load and a swap
 * of what is spelled out, and a load for each byte of a loop. */
static inline uint64_t lp_cursor_be(struct lp_cursor *c, size_t width)
{
	lp_span s = lp_cursor_bytes(c, width);
	uint64_t v = 0;

	if (s.n == 4)
		return (uint32_t)s.p[0] << 24 | (uint32_t)s.p[1] << 16 | (uint32_t)s.p[2] << 8 |
		       (uint32_t)s.p[3];
	if (s.n == 2)
		return (uint32_t)s.p[0] << 8 | (uint32_t)s.p[1];
	for (size_t i = 0; i < s.n; i++)
		v = v << 8 | s.p[i];
	return v;
}

static inline uint8_t lp_cursor_u8(struct lp_cursor *c)
{
	return (uint8_t)lp_cursor_be(c, 1);
}

static inline uint16_t lp_cursor_u16(struct lp_cursor *c)
{
	return (uint16_t)lp_cursor_be(c, 2);
}

static inline uint32_t lp_cursor_u24(struct lp_cursor *c)
{
	return (uint32_t)lp_cursor_be(c, 3);
}

static inline uint32_t lp_cursor_u32(struct lp_cursor *c)
{
	return (uint32_t)lp_cursor_be(c, 4);
}

static inline uint64_t lp_cursor_u64(struct lp_cursor *c)
{
	return lp_cursor_be(c, 8);
}

/* Integers in the byte order that a capture file declares. */
static inline uint64_t lp_cursor_uint(struct lp_cursor *c, size_t width, bool little)
{
	lp_span s = lp_cursor_bytes(c, width);
	uint64_t v = 0;
	uint32_t four;

	if (s.n == sizeof four) { /* each packet's header: one load and maybe a swap */
		four = (uint32_t)s.p[0] | (uint32_t)s.p[1] << 8 | (uint32_t)s.p[2] << 16 |
		       (uint32_t)s.p[3] << 24;
		return little ? four : __builtin_bswap32(four);
	}
	for (size_t i = 0; i < s.n; i++)
		v = v << 8 | s.p[little ? s.n - 1 - i : i];
	return v;
}

/* A vector with a length prefix of 1, 2 or 3 bytes (RFC 5246 section 4.3). */
static inline lp_span lp_cursor_vec8(struct lp_cursor *c)
{
	size_t n = lp_cursor_u8(c);

	return lp_cursor_bytes(c, n);
}

static inline lp_span lp_cursor_vec16(struct lp_cursor *c)
{
	size_t n = lp_cursor_u16(c);

	return lp_cursor_bytes(c, n);
}

static inline lp_span lp_cursor_vec24(struct lp_cursor *c)
{
	size_t n = lp_cursor_u24(c);

	return lp_cursor_bytes(c, n);
}

static inline size_t lp_cursor_left(const struct lp_cursor *c)
{
	return c->bad ? 0 : c->n;
}

/* What has not been read, without reading it. */
static inline lp_span lp_cursor_rest(const struct lp_cursor *c)
{
	return c->bad ? (lp_span){ NULL, 0 } : (lp_span){ c->p, c->n };
}

/* LP_OK if nothing went past the end so far, else LP_E_TRUNCATED. */
LP_MUST static inline enum lp_err lp_cursor_ok(const struct lp_cursor *c)
{
	return c->bad ? LP_E_TRUNCATED : LP_OK;
}

/* The same, and nothing may be left over: LP_E_FORMAT if something is. */
LP_MUST static inline enum lp_err lp_cursor_end(const struct lp_cursor *c)
{
	if (c->bad)
		return LP_E_TRUNCATED;
	return c->n ? LP_E_FORMAT : LP_OK;
}

#endif
