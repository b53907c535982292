/* A reader for DER (X.690), as keys and certificates are written in it, on top
 * of lp_cursor and as sticky as that: what does not fit makes the cursor bad and
 * gives empty spans. No state, nothing is allocated, spans borrow the input.
 * Definite lengths of up to four bytes; tags of one byte. */
#ifndef LP_CRYPTO_DER_H
#define LP_CRYPTO_DER_H

#include "base/cursor.h"

enum lp_der_tag {
	LP_DER_BOOLEAN = 0x01,
	LP_DER_INTEGER = 0x02,
	LP_DER_BIT_STRING = 0x03,
	LP_DER_OCTET_STRING = 0x04,
	LP_DER_NULL = 0x05,
	LP_DER_OID = 0x06,
	LP_DER_UTF8_STRING = 0x0c,
	LP_DER_PRINTABLE_STRING = 0x13,
	LP_DER_T61_STRING = 0x14,
	LP_DER_IA5_STRING = 0x16,
	LP_DER_UTC_TIME = 0x17,
	LP_DER_GENERALIZED_TIME = 0x18,
	LP_DER_UNIVERSAL_STRING = 0x1c,
	LP_DER_BMP_STRING = 0x1e,
	LP_DER_SEQUENCE = 0x30,
	LP_DER_SET = 0x31,
	LP_DER_CONTEXT = 0xa0, /* + n: [n] constructed */
};

struct lp_der {
	uint8_t tag;
	lp_span body;
	lp_span whole; /* tag and length included */
};

/* The next element; {0} with the cursor bad if there is none. */
static inline struct lp_der lp_der_next(struct lp_cursor *c)
{
	const lp_span at = lp_cursor_rest(c);
	struct lp_der d = { lp_cursor_u8(c), { NULL, 0 }, { NULL, 0 } };
	size_t n = lp_cursor_u8(c);

	/* Tag numbers above 30 and indefinite lengths occur in neither. */
	if ((d.tag & 0x1f) == 0x1f || n == 0x80 || n > 0x84)
		c->bad = true;
	if (n > 0x80)
		n = (size_t)lp_cursor_be(c, n - 0x80);
	d.body = lp_cursor_bytes(c, n);
	if (c->bad)
		return (struct lp_der){ 0, { NULL, 0 }, { NULL, 0 } };
	d.whole = (lp_span){ at.p, at.n - c->n };
	return d;
}

/* The tag of the next element without reading it; 0 at the end. */
static inline uint8_t lp_der_peek(const struct lp_cursor *c)
{
	const lp_span rest = lp_cursor_rest(c);

	return rest.n ? rest.p[0] : 0;
}

/* The body of the next element, which must have this tag. */
static inline lp_span lp_der_take(struct lp_cursor *c, unsigned tag)
{
	const struct lp_der d = lp_der_next(c);

	if (d.tag != tag) {
		c->bad = true;
		return (lp_span){ NULL, 0 };
	}
	return d.body;
}

/* The same as a cursor of its own; bad from the start if it was not there. */
static inline struct lp_cursor lp_der_enter(struct lp_cursor *c, unsigned tag)
{
	struct lp_cursor in = lp_cursor_span(lp_der_take(c, tag));

	in.bad = c->bad;
	return in;
}

/* An unsigned INTEGER without its leading zeros; a negative one is bad. */
static inline lp_span lp_der_unsigned(struct lp_cursor *c)
{
	lp_span v = lp_der_take(c, LP_DER_INTEGER);

	if (!v.n || v.p[0] & 0x80) {
		c->bad = true;
		return (lp_span){ NULL, 0 };
	}
	while (v.n && !v.p[0]) {
		v.p++;
		v.n--;
	}
	return v;
}

/* A small unsigned INTEGER; one above 32 bits is bad. */
static inline uint32_t lp_der_u32(struct lp_cursor *c)
{
	const lp_span v = lp_der_unsigned(c);
	uint32_t n = 0;

	if (v.n > 4)
		c->bad = true;
	for (size_t i = 0; i < v.n && !c->bad; i++)
		n = n << 8 | v.p[i];
	return n;
}

/* The bytes of a BIT STRING that has no unused bits. */
static inline lp_span lp_der_bits(struct lp_cursor *c)
{
	struct lp_cursor in = lp_der_enter(c, LP_DER_BIT_STRING);

	if (lp_cursor_u8(&in) || in.bad) {
		c->bad = true;
		return (lp_span){ NULL, 0 };
	}
	return lp_cursor_rest(&in);
}

/* An object identifier in dots: "1.2.840.113549.1.1.1"; "?" if it is none. What
 * does not fit is cut off. Returns out. */
enum { LP_DER_OID_TEXT = 64 };
char *lp_der_oid_text(char out[LP_DER_OID_TEXT], lp_span oid);

/* A writer that fills the caller's memory from its end, since DER puts lengths
 * before what they count. What was written stands at mem + at, size - at bytes;
 * full is sticky. */
struct lp_der_out {
	uint8_t *mem;
	size_t size;
	size_t at;
	bool full;
};

static inline struct lp_der_out lp_der_out_of(void *mem, size_t size)
{
	return (struct lp_der_out){ mem, size, size, false };
}

static inline lp_span lp_der_out_span(const struct lp_der_out *o)
{
	return (lp_span){ o->mem + o->at, o->size - o->at };
}

void lp_der_put(struct lp_der_out *o, const void *p, size_t n);

/* Tag and length before all that was written since at was `end`. */
void lp_der_put_header(struct lp_der_out *o, unsigned tag, size_t end);

/* A whole element. */
void lp_der_put_element(struct lp_der_out *o, unsigned tag, lp_span body);

/* An unsigned INTEGER in its shortest form, and a BIT STRING without unused bits. */
void lp_der_put_unsigned(struct lp_der_out *o, lp_span number);
void lp_der_put_bits(struct lp_der_out *o, lp_span bits);

#endif
