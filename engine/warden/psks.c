#define _GNU_SOURCE
#include "warden/psks.h"

#include <string.h>

enum lp_err lp_psks_init(struct lp_psks *r, lp_span file)
{
	*r = (struct lp_psks){ .at = lp_cursor_span(file) };
	r->room = (struct lp_secret){ lp_secret_alloc(file.n / 2 + 1), file.n / 2 + 1 };
	return r->room.p ? LP_OK : LP_E_NOMEM;
}

void lp_psks_clear(struct lp_psks *r)
{
	lp_secret_clear(&r->room);
}

static enum lp_err fault(struct lp_psks *r, const char *why)
{
	r->why = why;
	return LP_E_FORMAT;
}

/* The next line, without its end and what blanks stand before that. */
static lp_span next_line(struct lp_psks *r)
{
	lp_span rest = lp_cursor_rest(&r->at);
	const uint8_t *nl = memchr(rest.p, '\n', rest.n);
	lp_span line = lp_cursor_bytes(&r->at, nl ? (size_t)(nl - rest.p) : rest.n);

	if (nl)
		lp_cursor_skip(&r->at, 1);
	r->line++;
	while (line.n && (line.p[line.n - 1] == '\r' || line.p[line.n - 1] == ' ' ||
			  line.p[line.n - 1] == '\t'))
		line.n--;
	return line;
}

static int digit(uint8_t c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool unhex(lp_span text, uint8_t *out)
{
	for (size_t i = 0; i + 1 < text.n; i += 2) {
		int high = digit(text.p[i]), low = digit(text.p[i + 1]);

		if (high < 0 || low < 0)
			return false;
		out[i / 2] = (uint8_t)(high << 4 | low);
	}
	return text.n % 2 == 0;
}

enum lp_err lp_psks_next(struct lp_psks *r, struct lp_psk *out)
{
	while (lp_cursor_left(&r->at)) {
		lp_span line = next_line(r), name, key;
		bool hash = line.n && line.p[0] == '#';
		const uint8_t *colon = line.n ? memrchr(line.p, ':', line.n) : NULL;
		uint8_t *room = r->room.p;

		if (!line.n)
			continue;
		name = lp_span_of(line.p + hash, colon ? (size_t)(colon - line.p) - hash : 0);
		if (hash && (!name.n || !unhex(name, room)))
			continue; /* a comment */
		if (!colon)
			return fault(r, "no colon between identity and key");
		if (hash) {
			name = lp_span_of(room, name.n / 2);
			room += name.n;
		}
		key = lp_span_of(colon + 1, line.n - (size_t)(colon + 1 - line.p));
		if (!key.n)
			return fault(r, "the key is empty");
		if (key.n / 2 > LP_PSK_MAX)
			return fault(r, "the key is longer than 1024 bytes");
		if (!unhex(key, room))
			return fault(r, "the key is not an even number of hexadecimal digits");
		out->identity = name;
		out->key = lp_span_of(room, key.n / 2);
		return LP_OK;
	}
	return LP_EOF;
}
