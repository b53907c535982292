#include "tls/record.h"

#include <assert.h>
#include <string.h>

enum { FIRST_TYPE = LP_CONTENT_CCS, LAST_TYPE = LP_CONTENT_HEARTBEAT, LAST_MINOR = 4 };

/* What one record, header included, can be at most: the cap of the buffer. */
enum { RECORD_MAX = LP_RECORD_HEADER + LP_RECORD_FRAGMENT_MAX };

void lp_records_init(struct lp_records *r, uint64_t offset)
{
	*r = (struct lp_records){ .offset = offset, .fault = LP_OK };
	lp_buf_init(&r->held, RECORD_MAX);
}

void lp_records_clear(struct lp_records *r)
{
	lp_buf_clear(&r->held);
	lp_records_init(r, r->offset);
}

void lp_records_push(struct lp_records *r, const uint8_t *p, size_t n)
{
	assert(!r->in.n);
	r->in = lp_span_of(p, n);
}

lp_span lp_records_rest(struct lp_records *r)
{
	lp_span rest = r->in;

	r->in = (lp_span){ NULL, 0 };
	return rest;
}

size_t lp_records_resync(struct lp_records *r, uint64_t offset)
{
	size_t lost = lp_records_held(r);

	lp_records_clear(r);
	r->offset = offset;
	return lost;
}

static enum lp_err fail(struct lp_records *r, enum lp_err err, const char *why)
{
	r->fault = err;
	r->why = why;
	return err;
}

/* RFC 5246 6.2.1 and 6.2.3, as far as the header has come. Only the major version
 * is held against a record: 6.2.1 lets the minor one be odd in a first flight. */
static enum lp_err check_header(struct lp_records *r, lp_span h, size_t *length)
{
	struct lp_cursor c = lp_cursor_span(h);
	uint8_t type = lp_cursor_u8(&c);
	uint8_t major = h.n > 1 ? lp_cursor_u8(&c) : 3;

	*length = 0;
	if (type < FIRST_TYPE || type > LAST_TYPE)
		return fail(r, LP_E_FORMAT, "not a TLS record: unknown content type");
	if (major != 3)
		return fail(r, LP_E_FORMAT, "not a TLS record: unknown major version");
	if (h.n < LP_RECORD_HEADER)
		return LP_OK;
	lp_cursor_skip(&c, 1);
	*length = lp_cursor_u16(&c);
	if (*length > LP_RECORD_FRAGMENT_MAX)
		return fail(r, LP_E_FORMAT, "record longer than 2^14 + 2048 bytes");
	return LP_OK;
}

/* Moves pushed bytes into the buffer until it has `want` of them. */
static enum lp_err gather(struct lp_records *r, size_t want)
{
	size_t n = want - lp_buf_len(&r->held);
	enum lp_err err;

	if (n > r->in.n)
		n = r->in.n;
	if (!n)
		return LP_OK;
	err = lp_buf_append(&r->held, r->in.p, n);
	if (err)
		return fail(r, err, lp_err_text(err));
	r->in.p += n;
	r->in.n -= n;
	return LP_OK;
}

static void hand_out(struct lp_records *r, lp_span record, struct lp_record *out)
{
	struct lp_cursor c = lp_cursor_span(record);

	out->offset = r->offset;
	out->header = lp_span_of(record.p, LP_RECORD_HEADER);
	out->type = lp_cursor_u8(&c);
	out->version = lp_cursor_u16(&c);
	out->fragment = lp_cursor_vec16(&c);
	r->offset += record.n;
}

static enum lp_err next_held(struct lp_records *r, struct lp_record *out)
{
	size_t length;
	enum lp_err err;

	if (lp_buf_len(&r->held) < LP_RECORD_HEADER) {
		err = gather(r, LP_RECORD_HEADER);
		if (err)
			return err;
	}
	err = check_header(r, lp_buf_span(&r->held), &length);
	if (err)
		return err;
	if (lp_buf_len(&r->held) < LP_RECORD_HEADER)
		return LP_MORE;
	err = gather(r, LP_RECORD_HEADER + length);
	if (err)
		return err;
	if (lp_buf_len(&r->held) < LP_RECORD_HEADER + length)
		return LP_MORE;
	hand_out(r, lp_buf_span(&r->held), out);
	r->handed = true;
	return LP_OK;
}

enum lp_err lp_records_next(struct lp_records *r, struct lp_record *out)
{
	size_t length, whole;
	enum lp_err err;

	if (r->fault)
		return r->fault;
	if (r->handed) {
		lp_buf_clear(&r->held);
		r->handed = false;
	}
	if (lp_buf_len(&r->held))
		return next_held(r, out);
	if (!r->in.n)
		return LP_MORE;
	err = check_header(r, r->in, &length);
	if (err)
		return err;
	whole = LP_RECORD_HEADER + length;
	if (r->in.n < LP_RECORD_HEADER || r->in.n < whole) {
		err = gather(r, r->in.n);
		return err ? err : LP_MORE;
	}
	hand_out(r, lp_span_of(r->in.p, whole), out);
	r->in.p += whole;
	r->in.n -= whole;
	return LP_OK;
}

size_t lp_records_wanted(const struct lp_records *r)
{
	struct lp_cursor c = lp_cursor_span(lp_buf_span(&r->held));
	size_t length;

	if (r->handed || lp_buf_len(&r->held) < LP_RECORD_HEADER)
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
