#include "crypto/der.h"

#include <stdio.h>
#include <string.h>

char *lp_der_oid_text(char out[LP_DER_OID_TEXT], lp_span oid)
{
	uint64_t arc = 0;
	size_t at = 0;
	bool first = true;

	strcpy(out, "?");
	for (size_t i = 0; i < oid.n; i++) {
		int n;

		if (arc >> 56)
			return strcpy(out, "?");
		arc = arc << 7 | (oid.p[i] & 0x7f);
		if (oid.p[i] & 0x80)
			continue;
		if (first) { /* the first two arcs share a number (X.690 section 8.19.4) */
			const unsigned top = arc < 80 ? (unsigned)arc / 40 : 2;

			n = snprintf(out, LP_DER_OID_TEXT, "%u.%llu", top,
				     (unsigned long long)(arc - top * 40));
		} else {
			n = snprintf(out + at, LP_DER_OID_TEXT - at, ".%llu", (unsigned long long)arc);
		}
		at += (size_t)n;
		if (at >= LP_DER_OID_TEXT)
			break;
		first = false;
		arc = 0;
	}
	return out;
}

void lp_der_put(struct lp_der_out *o, const void *p, size_t n)
{
	if (o->full || n > o->at) {
		o->full = true;
		return;
	}
	o->at -= n;
	if (n)
		memcpy(o->mem + o->at, p, n);
}

void lp_der_put_header(struct lp_der_out *o, unsigned tag, size_t end)
{
	const size_t n = end - o->at;
	uint8_t head[6];
	size_t at = sizeof head;

	for (size_t left = n; left; left >>= 8)
		head[--at] = (uint8_t)left;
	if (n < 0x80) {
		at = sizeof head - 1;
		head[at] = (uint8_t)n;
	} else {
		const size_t width = sizeof head - at;

		head[--at] = (uint8_t)(0x80 | width);
	}
	head[--at] = (uint8_t)tag;
	lp_der_put(o, head + at, sizeof head - at);
}

void lp_der_put_element(struct lp_der_out *o, unsigned tag, lp_span body)
{
	const size_t end = o->at;

	lp_der_put(o, body.p, body.n);
	lp_der_put_header(o, tag, end);
}

void lp_der_put_unsigned(struct lp_der_out *o, lp_span number)
{
	const size_t end = o->at;

	while (number.n && !number.p[0]) {
		number.p++;
		number.n--;
	}
	lp_der_put(o, number.p, number.n);
	if (!number.n || number.p[0] & 0x80)
		lp_der_put(o, "", 1);
	lp_der_put_header(o, LP_DER_INTEGER, end);
}

void lp_der_put_bits(struct lp_der_out *o, lp_span bits)
{
	const size_t end = o->at;

	lp_der_put(o, bits.p, bits.n);
	lp_der_put(o, "", 1);
	lp_der_put_header(o, LP_DER_BIT_STRING, end);
}
