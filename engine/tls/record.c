#include "tls/record.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum { FIRST_TYPE = LP_CONTENT_CCS, LAST_TYPE = LP_CONTENT_HEARTBEAT, LAST_MINOR = 4 };

void lp_records_init(struct lp_records *r, uint64_t offset)
{
	*r = (struct lp_records){ .offset = offset };
}

/* Gives the block back, to whom it belongs. */
static void drop(struct lp_records *r)
{
	struct lp_record_part *part = r->part;

	r->part = NULL;
	if (part && part->from)
		lp_spares_give(part->from, part);
	else
		free(part);
}

void lp_records_clear(struct lp_records *r)
{
	drop(r);
	lp_records_init(r, r->offset);
}

void lp_records_push(struct lp_records *r, const uint8_t *p, size_t n)
{
	assert(!r->in_n && n <= UINT32_MAX);
	r->in = p;
	r->in_n = (uint32_t)n;
}

lp_span lp_records_rest(struct lp_records *r)
{
	lp_span rest = { r->in, r->in_n };

	r->in = NULL;
	r->in_n = 0;
	return rest;
}

size_t lp_records_resync(struct lp_records *r, uint64_t offset)
{
	size_t lost = lp_records_held(r);

	lp_records_clear(r);
	r->offset = offset;
	return lost;
}

const char *lp_records_why(const struct lp_records *r)
{
	switch ((enum lp_record_fault)r->fault) {
	case LP_RECORD_NO_TYPE:
		return "not a TLS record: unknown content type";
	case LP_RECORD_NO_VERSION:
		return "not a TLS record: unknown major version";
	case LP_RECORD_TOO_LONG:
		return "record longer than 2^14 + 2048 bytes";
	case LP_RECORD_NO_V2:
		return "not a TLS record, nor a hello of SSL 2.0";
	case LP_RECORD_NO_MEMORY:
		return lp_err_text(LP_E_NOMEM);
	case LP_RECORD_SOUND:
		break;
	}
	return NULL;
}

static enum lp_err fault_of(const struct lp_records *r)
{
	return !r->fault ? LP_OK : r->fault == LP_RECORD_NO_MEMORY ? LP_E_NOMEM : LP_E_FORMAT;
}

static enum lp_err fail(struct lp_records *r, enum lp_record_fault fault)
{
	r->fault = (uint8_t)fault;
	return fault_of(r);
}

void lp_records_allow_v2(struct lp_records *r)
{
	r->v2 = true;
}

static bool is_v2(const struct lp_records *r, lp_span h)
{
	return r->v2 && h.n && h.p[0] & 0x80;
}

/* RFC 5246 appendix E.2: msg_length with its top bit set, msg_type 1, and a version
 * that is none of SSL 2.0's. */
static enum lp_err check_v2(struct lp_records *r, lp_span h, size_t *whole)
{
	struct lp_cursor c = lp_cursor_span(h);

	if (!lp_record_v2_plausible(h.p, h.n < LP_V2_LOOK ? h.n : LP_V2_LOOK))
		return fail(r, LP_RECORD_NO_V2);
	if (h.n < LP_V2_LOOK)
		return LP_OK;
	*whole = LP_V2_HEADER + (lp_cursor_u16(&c) & 0x7fff);
	return LP_OK;
}

/* RFC 5246 6.2.1 and 6.2.3, as far as the header has come: *whole is the record's
 * length with it, 0 until that is known. Only the major version is held against a
 * record: 6.2.1 lets the minor one be odd in a first flight. */
static enum lp_err check_header(struct lp_records *r, lp_span h, size_t *whole)
{
	struct lp_cursor c = lp_cursor_span(h);
	uint8_t type = lp_cursor_u8(&c);
	uint8_t major = h.n > 1 ? lp_cursor_u8(&c) : 3;

	*whole = 0;
	if (is_v2(r, h))
		return check_v2(r, h, whole);
	if (type < FIRST_TYPE || type > LAST_TYPE)
		return fail(r, LP_RECORD_NO_TYPE);
	if (major != 3)
		return fail(r, LP_RECORD_NO_VERSION);
	if (h.n < LP_RECORD_HEADER)
		return LP_OK;
	lp_cursor_skip(&c, 1);
	*whole = LP_RECORD_HEADER + (size_t)lp_cursor_u16(&c);
	if (*whole > LP_RECORD_MAX)
		return fail(r, LP_RECORD_TOO_LONG);
	return LP_OK;
}

/* Room for n more bytes in the part; there is none bigger than a record. */
static bool make_room(struct lp_records *r, struct lp_spares *spares, size_t n)
{
	struct lp_record_part *part = r->part;
	size_t need = (part ? part->n : 0) + n, size = part ? part->size : 256;

	if (part && need <= part->size)
		return true;
	if (!part && spares) {
		part = lp_spares_take(spares);
		if (part) {
			*part = (struct lp_record_part){ .from = spares, .size = LP_RECORD_MAX };
			r->part = part;
			return true;
		}
	}
	while (size < need)
		size *= 2;
	if (size > LP_RECORD_MAX)
		size = LP_RECORD_MAX;
	assert(need <= size);
	part = realloc(part, sizeof *part + size);
	if (!part)
		return false;
	if (!r->part)
		*part = (struct lp_record_part){ .from = NULL };
	part->size = (uint32_t)size;
	r->part = part;
	return true;
}

/* Moves pushed bytes into the part until it has `want` of them. */
static enum lp_err gather(struct lp_records *r, struct lp_spares *spares, size_t want)
{
	size_t n = want - (r->part ? r->part->n : 0);

	if (n > r->in_n)
		n = r->in_n;
	if (!n)
		return LP_OK;
	if (!make_room(r, spares, n))
		return fail(r, LP_RECORD_NO_MEMORY);
	memcpy(r->part->bytes + r->part->n, r->in, n);
	r->part->n += (uint32_t)n;
	r->in += n;
	r->in_n -= (uint32_t)n;
	return LP_OK;
}

static void hand_out(struct lp_records *r, lp_span record, struct lp_record *out)
{
	struct lp_cursor c = lp_cursor_span(record);

	out->offset = r->offset;
	if (is_v2(r, record)) {
		out->header = lp_cursor_bytes(&c, LP_V2_HEADER);
		out->type = LP_CONTENT_V2_HELLO;
		out->fragment = lp_cursor_rest(&c);
		c = lp_cursor_span(out->fragment);
		lp_cursor_skip(&c, 1);
		out->version = lp_cursor_u16(&c);
	} else {
		out->header = lp_span_of(record.p, LP_RECORD_HEADER);
		out->type = lp_cursor_u8(&c);
		out->version = lp_cursor_u16(&c);
		out->fragment = lp_cursor_vec16(&c);
	}
	r->v2 = false;
	r->offset += record.n;
}

/* All that was pushed is held, of a record of `whole` bytes, 0 if that is not known. */
static enum lp_err want_more(struct lp_records *r, size_t whole)
{
	const struct lp_record_part *part = r->part;

	if (whole && part->bytes[0] == LP_CONTENT_DATA)
		r->room = (uint16_t)((whole <= part->size ? whole : part->size + 1) - part->n);
	return LP_MORE;
}

static lp_span span_of(const struct lp_record_part *part)
{
	return (lp_span){ part->bytes, part->n };
}

static enum lp_err next_held(struct lp_records *r, struct lp_spares *spares,
			     struct lp_record *out)
{
	size_t whole;
	enum lp_err err;

	if (r->part->n < LP_RECORD_HEADER) {
		err = gather(r, spares, LP_RECORD_HEADER);
		if (err)
			return err;
	}
	err = check_header(r, span_of(r->part), &whole);
	if (err)
		return err;
	if (!whole)
		return want_more(r, 0);
	err = gather(r, spares, whole);
	if (err)
		return err;
	if (r->part->n < whole)
		return want_more(r, whole);
	hand_out(r, span_of(r->part), out);
	r->handed = true;
	return LP_OK;
}

enum lp_err lp_records_next(struct lp_records *r, struct lp_spares *spares, struct lp_record *out)
{
	size_t whole;
	enum lp_err err;

	if (r->fault)
		return fault_of(r);
	r->room = 0;
	if (r->handed) {
		drop(r);
		r->handed = false;
	}
	if (r->part)
		return next_held(r, spares, out);
	if (!r->in_n)
		return LP_MORE;
	err = check_header(r, lp_span_of(r->in, r->in_n), &whole);
	if (err)
		return err;
	if (!whole || r->in_n < whole) {
		err = gather(r, spares, r->in_n);
		return err ? err : want_more(r, whole);
	}
	hand_out(r, lp_span_of(r->in, whole), out);
	r->in += whole;
	r->in_n -= (uint32_t)whole;
	return LP_OK;
}

size_t lp_records_wanted(const struct lp_records *r)
{
	struct lp_cursor c = lp_cursor_span(lp_records_part(r));
	size_t length;

	if (lp_cursor_left(&c) < LP_RECORD_HEADER || is_v2(r, lp_records_part(r)))
		return 0;
	lp_cursor_skip(&c, 3);
	length = lp_cursor_u16(&c);
	return length - lp_cursor_left(&c);
}

bool lp_record_plausible(const uint8_t *p, size_t n)
{
	struct lp_cursor c = lp_cursor_of(p, n);
	uint8_t type = lp_cursor_u8(&c);
	uint8_t major = lp_cursor_u8(&c);
	uint8_t minor = lp_cursor_u8(&c);
	uint8_t high = lp_cursor_u8(&c);
	size_t length = (size_t)high << 8 | lp_cursor_u8(&c);

	/* What is not there yet was read as 0. */
	if (n >= 1 && (type < FIRST_TYPE || type > LAST_TYPE))
		return false;
	if (n >= 2 && major != 3)
		return false;
	if (minor > LAST_MINOR || length > LP_RECORD_FRAGMENT_MAX)
		return false;
	/* RFC 5246 6.2.1: only application data may be empty. */
	return n < LP_RECORD_HEADER || length || type == LP_CONTENT_DATA;
}

bool lp_record_v2_plausible(const uint8_t *p, size_t n)
{
	/* Three lengths, one suite, and a challenge of 16 bytes: E.2. */
	enum { LEAST = 9 + 3 + 16, CLIENT_HELLO = 1, LAST_HELLO_MINOR = 3 };
	struct lp_cursor c = lp_cursor_of(p, n);
	uint8_t high = lp_cursor_u8(&c);
	size_t length = (size_t)(high & 0x7f) << 8 | lp_cursor_u8(&c);
	uint8_t type = lp_cursor_u8(&c);
	uint8_t major = lp_cursor_u8(&c);

	/* What is not there yet was read as 0. */
	return (n < 1 || high & 0x80) &&
	       (n < 2 || (length >= LEAST && length <= LP_RECORD_PLAIN_MAX)) &&
	       (n < 3 || type == CLIENT_HELLO) && (n < 4 || major == 3) &&
	       lp_cursor_u8(&c) <= LAST_HELLO_MINOR;
}
