/* Handshake messages out of record fragments. */
#include <assert.h>

#include "tls/handshake.h"

void lp_messages_init(struct lp_messages *m)
{
	*m = (struct lp_messages){ .max = LP_MESSAGE_MAX };
	lp_buf_init(&m->held, LP_MESSAGE_HEADER + 0xffffff);
}

void lp_messages_clear(struct lp_messages *m)
{
	uint32_t max = m->max;

	lp_buf_clear(&m->held);
	lp_messages_init(m);
	m->max = max;
}

void lp_messages_push(struct lp_messages *m, lp_span fragment)
{
	assert(!m->in.n);
	m->in = fragment;
}

static enum lp_err fail(struct lp_messages *m, enum lp_err err, const char *why)
{
	m->fault = err;
	m->why = why;
	m->in = (lp_span){ NULL, 0 };
	lp_buf_clear(&m->held);
	return err;
}

/* Length of a message with its header; 0 if the header is not complete. */
static size_t whole_size(lp_span bytes)
{
	struct lp_cursor c = lp_cursor_span(bytes);
	size_t length;

	lp_cursor_skip(&c, 1);
	length = lp_cursor_u24(&c);
	return lp_cursor_ok(&c) ? 0 : LP_MESSAGE_HEADER + length;
}

static void hand_out(lp_span whole, struct lp_message *out)
{
	struct lp_cursor c = lp_cursor_span(whole);

	out->v2 = false;
	out->whole = whole;
	out->type = lp_cursor_u8(&c);
	out->body = lp_cursor_vec24(&c);
}

static enum lp_err gather(struct lp_messages *m, size_t want)
{
	size_t n = want - lp_buf_len(&m->held);
	enum lp_err err;

	if (n > m->in.n)
		n = m->in.n;
	err = lp_buf_append(&m->held, m->in.p, n);
	if (err)
		return fail(m, err, lp_err_text(err));
	if (n) {
		m->in.p += n;
		m->in.n -= n;
	}
	return LP_OK;
}

static enum lp_err too_long(struct lp_messages *m)
{
	return fail(m, LP_E_LIMIT, "handshake message longer than the cap (--set max-handshake)");
}

static enum lp_err next_held(struct lp_messages *m, struct lp_message *out)
{
	size_t whole;
	enum lp_err err;

	if (lp_buf_len(&m->held) < LP_MESSAGE_HEADER) {
		err = gather(m, LP_MESSAGE_HEADER);
		if (err)
			return err;
	}
	whole = whole_size(lp_buf_span(&m->held));
	if (!whole)
		return LP_MORE;
	if (whole > (size_t)LP_MESSAGE_HEADER + m->max)
		return too_long(m);
	err = gather(m, whole);
	if (err)
		return err;
	if (lp_buf_len(&m->held) < whole)
		return LP_MORE;
	hand_out(lp_buf_span(&m->held), out);
	m->handed = true;
	return LP_OK;
}

enum lp_err lp_messages_next(struct lp_messages *m, struct lp_message *out)
{
	size_t whole;
	enum lp_err err;

	if (m->fault) {
		m->in = (lp_span){ NULL, 0 };
		return m->fault;
	}
	if (m->handed) {
		lp_buf_clear(&m->held);
		m->handed = false;
	}
	if (lp_buf_len(&m->held))
		return next_held(m, out);
	if (!m->in.n)
		return LP_MORE;
	whole = whole_size(m->in);
	if (whole > (size_t)LP_MESSAGE_HEADER + m->max)
		return too_long(m);
	if (!whole || m->in.n < whole) {
		err = gather(m, m->in.n);
		return err ? err : LP_MORE;
	}
	hand_out(lp_span_of(m->in.p, whole), out);
	m->in.p += whole;
	m->in.n -= whole;
	return LP_OK;
}

size_t lp_messages_size(const struct lp_messages *m)
{
	return m->handed ? 0 : whole_size(lp_buf_span(&m->held));
}

const char *lp_message_name(uint8_t type)
{
	switch (type) {
#define X(name, text)      \
	case LP_MSG_##name: \
		return text;
		LP_MESSAGE_LIST(X)
#undef X
	default:
		return "unknown message";
	}
}
