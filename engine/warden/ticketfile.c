#define _GNU_SOURCE
#include "warden/ticketfile.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { SHORT = 48, LONG = 80, LIGHTTPD = 92, LIGHTTPD_HEAD = 12 };

/* What is being read; secret memory. */
struct reader {
	struct lp_ticketfile *f;
	uint8_t bytes[LP_TICKET_S2N_KEY_MAX]; /* of the line at hand */
	uint8_t half[2][32];                  /* stunnel: MAC, cipher; or two lines */
	size_t half_n[2];
	unsigned line;
};

void lp_ticketfile_clear(struct lp_ticketfile *f)
{
	for (size_t i = 0; i < f->n; i++)
		lp_ticket_key_clear(&f->key[i]);
	free(f->key);
	*f = (struct lp_ticketfile){ NULL, 0, 0 };
}

static enum lp_err add(struct lp_ticketfile *f, struct lp_ticket_key key, lp_span bytes)
{
	enum lp_err err;

	if (f->n == LP_TICKETFILE_MAX)
		return LP_E_LIMIT;
	if (f->n == f->room) {
		size_t room = f->room ? 2 * f->room : 4;
		void *more = realloc(f->key, room * sizeof *f->key);

		if (!more)
			return LP_E_NOMEM;
		f->key = more;
		f->room = room;
	}
	err = lp_secret_set(&key.key, bytes.p, bytes.n);
	if (!err)
		f->key[f->n++] = key;
	return err;
}

/* 48 or 80 bytes, of which the first 16 are the name. */
static enum lp_err add_named(struct lp_ticketfile *f, const uint8_t *p, size_t n)
{
	struct lp_ticket_key key = { .kind = LP_TICKET_NAMED };

	key.first = (uint8_t)((n - LP_TICKET_NAME) / 2);
	memcpy(key.name, p, LP_TICKET_NAME);
	return add(f, key, lp_span_of(p + LP_TICKET_NAME, n - LP_TICKET_NAME));
}

static enum lp_err read_raw(struct lp_ticketfile *f, lp_span bytes)
{
	static const size_t size[] = { SHORT, LONG };
	enum lp_err err = LP_OK;

	if (bytes.n == LIGHTTPD)
		return add_named(f, bytes.p + LIGHTTPD_HEAD, LONG);
	for (size_t i = 0; i < 2; i++)
		for (size_t at = 0; !err && bytes.n % size[i] == 0 && at < bytes.n; at += size[i])
			err = add_named(f, bytes.p + at, size[i]);
	return err ? err : f->n ? LP_OK : LP_E_FORMAT;
}

/* ---- text ---- */

static int hex_digit(uint8_t c)
{
	return c >= '0' && c <= '9' ? c - '0'
	       : c >= 'a' && c <= 'f' ? c - 'a' + 10
	       : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* Into r->bytes; colons may stand between the digits. 0: it is not all hexadecimal. */
static size_t unhex(struct reader *r, lp_span s)
{
	size_t digits = 0;

	for (size_t i = 0; i < s.n; i++) {
		int d = hex_digit(s.p[i]);

		if (s.p[i] == ':' && digits && digits % 2 == 0)
			continue;
		if (d < 0 || digits / 2 == sizeof r->bytes)
			return 0;
		r->bytes[digits / 2] = (uint8_t)(digits % 2 ? r->bytes[digits / 2] | d : d << 4);
		digits++;
	}
	return digits % 2 ? 0 : digits / 2;
}

static int base64_digit(uint8_t c)
{
	return c >= 'A' && c <= 'Z' ? c - 'A'
	       : c >= 'a' && c <= 'z' ? c - 'a' + 26
	       : c >= '0' && c <= '9' ? c - '0' + 52 : c == '+' ? 62 : c == '/' ? 63 : -1;
}

static size_t unbase64(struct reader *r, lp_span s)
{
	uint32_t word = 0;
	size_t n = 0, digits = 0;

	while (s.n && s.p[s.n - 1] == '=' && s.n % 4 != 1)
		s.n--;
	for (size_t i = 0; i < s.n; i++) {
		int d = base64_digit(s.p[i]);

		if (d < 0 || n + 3 > sizeof r->bytes)
			return 0;
		word = word << 6 | (uint32_t)d;
		if (++digits % 4 == 0) {
			r->bytes[n++] = (uint8_t)(word >> 16);
			r->bytes[n++] = (uint8_t)(word >> 8);
			r->bytes[n++] = (uint8_t)word;
		}
	}
	if (digits % 4 == 3)
		r->bytes[n++] = (uint8_t)(word >> 10);
	if (digits % 4 >= 2)
		r->bytes[n++] = (uint8_t)(word >> (digits % 4 == 3 ? 2 : 4));
	return digits % 4 == 1 ? 0 : n;
}

static lp_span trim(lp_span s)
{
	while (s.n && isspace(s.p[0])) {
		s.p++;
		s.n--;
	}
	while (s.n && isspace(s.p[s.n - 1]))
		s.n--;
	return s;
}

static bool next_line(struct lp_cursor *c, lp_span *out)
{
	lp_span rest = lp_cursor_rest(c);
	const uint8_t *nl = rest.n ? memchr(rest.p, '\n', rest.n) : NULL;
	size_t n = nl ? (size_t)(nl - rest.p) : rest.n;

	if (!rest.n)
		return false;
	*out = trim(lp_cursor_bytes(c, n));
	if (nl)
		lp_cursor_skip(c, 1);
	return true;
}

/* s without a prefix that it has. */
static bool after(lp_span *s, const char *prefix)
{
	size_t n = strlen(prefix);

	if (s->n < n || strncasecmp((const char *)s->p, prefix, n) != 0)
		return false;
	*s = (lp_span){ s->p + n, s->n - n };
	return true;
}

static enum lp_err read_gnutls(struct reader *r, lp_span s)
{
	struct lp_ticket_key key = { .kind = LP_TICKET_GNUTLS, .period_s = LP_TICKET_GNUTLS_PERIOD };
	const uint8_t *colon = s.n ? memchr(s.p, ':', s.n) : NULL;
	uint32_t seconds = 0;

	if (colon) {
		const uint8_t *end = s.p + s.n;

		for (const uint8_t *p = colon + 1; p < end; p++) {
			if (!isdigit(*p) || seconds > 100000000)
				return LP_E_FORMAT;
			seconds = 10 * seconds + (uint32_t)(*p - '0');
		}
		if (!seconds)
			return LP_E_FORMAT;
		key.period_s = 3 * seconds;
		s.n = (size_t)(colon - s.p);
	}
	if (unhex(r, s) != LP_TICKET_GNUTLS_KEY)
		return LP_E_FORMAT;
	return add(r->f, key, lp_span_of(r->bytes, LP_TICKET_GNUTLS_KEY));
}

/* Two halves that stand by themselves. */
static enum lp_err add_bare(struct reader *r)
{
	struct lp_ticket_key key = { .kind = LP_TICKET_BARE, .first = (uint8_t)r->half_n[0] };
	size_t n = r->half_n[0] + r->half_n[1];

	memcpy(r->bytes, r->half[0], r->half_n[0]);
	memcpy(r->bytes + r->half_n[0], r->half[1], r->half_n[1]);
	r->half_n[0] = 0;
	r->half_n[1] = 0;
	return add(r->f, key, lp_span_of(r->bytes, n));
}

static enum lp_err take_half(struct reader *r, size_t which, size_t n)
{
	if (n != 16 && n != 32)
		return LP_E_FORMAT;
	memcpy(r->half[which], r->bytes, n);
	r->half_n[which] = n;
	return r->half_n[0] && r->half_n[1] ? add_bare(r) : LP_OK;
}

/* What HAProxy's admin socket puts before a key: "0.1 ". */
static void skip_number(lp_span *s)
{
	lp_span t = *s;

	while (t.n && (isdigit(t.p[0]) || t.p[0] == '.')) {
		t.p++;
		t.n--;
	}
	if (t.n && t.n < s->n && t.p[0] == ' ')
		*s = trim(t);
}

static enum lp_err read_line(struct reader *r, lp_span s)
{
	struct lp_ticket_key key = { .kind = LP_TICKET_GO };
	size_t n;

	if (!s.n || s.p[0] == '#')
		return LP_OK;
	if (after(&s, "gnutls:"))
		return read_gnutls(r, s);
	if (after(&s, "go:"))
		return unhex(r, s) == LP_TICKET_GO_KEY
		       ? add(r->f, key, lp_span_of(r->bytes, LP_TICKET_GO_KEY)) : LP_E_FORMAT;
	if (after(&s, "s2n:")) {
		key.kind = LP_TICKET_S2N;
		n = unhex(r, s);
		return n ? add(r->f, key, lp_span_of(r->bytes, n)) : LP_E_FORMAT;
	}
	skip_number(&s);
	n = unhex(r, s);
	if (n == 16 || n == 32)
		return take_half(r, r->half_n[0] ? 1 : 0, n);
	if (!n)
		n = unbase64(r, s);
	if (n == LIGHTTPD)
		return add_named(r->f, r->bytes + LIGHTTPD_HEAD, LONG);
	return n == SHORT || n == LONG ? add_named(r->f, r->bytes, n) : LP_E_FORMAT;
}

static enum lp_err read_lines(struct reader *r, lp_span bytes)
{
	struct lp_cursor c = lp_cursor_span(bytes);
	enum lp_err err = LP_OK;
	lp_span line;

	while (!err && next_line(&c, &line)) {
		r->line++;
		err = read_line(r, line);
	}
	return err ? err : r->half_n[0] ? LP_E_FORMAT : LP_OK;
}

/* stunnel.conf: a pair of secrets for the whole or in each section. */
static enum lp_err read_stunnel(struct reader *r, lp_span bytes)
{
	struct lp_cursor c = lp_cursor_span(bytes);
	enum lp_err err = LP_OK;
	lp_span s;

	while (!err && next_line(&c, &s)) {
		size_t which = 1;

		r->line++;
		if (s.n && s.p[0] == '[')
			r->half_n[0] = r->half_n[1] = 0;
		if (!after(&s, "ticketKeySecret")) {
			which = 0;
			if (!after(&s, "ticketMacSecret"))
				continue;
		}
		s = trim(s);
		if (!after(&s, "="))
			return LP_E_FORMAT;
		err = take_half(r, which, unhex(r, trim(s)));
	}
	return err;
}

static bool is_text(lp_span s)
{
	for (size_t i = 0; i < s.n; i++)
		if (!isprint(s.p[i]) && !isspace(s.p[i]))
			return false;
	return true;
}

static bool mentions(lp_span s, const char *word)
{
	size_t n = strlen(word);

	for (size_t i = 0; i + n <= s.n; i++)
		if (!strncasecmp((const char *)s.p + i, word, n))
			return true;
	return false;
}

static enum lp_err read_text(struct lp_ticketfile *f, lp_span bytes, unsigned *line)
{
	struct reader *r = lp_secret_alloc(sizeof *r);
	enum lp_err err;

	if (!r)
		return LP_E_NOMEM;
	r->f = f;
	err = mentions(bytes, "ticketKeySecret") ? read_stunnel(r, bytes) : read_lines(r, bytes);
	*line = r->line;
	lp_secret_free(r, sizeof *r);
	return err;
}

enum lp_err lp_ticketfile_read(struct lp_ticketfile *f, lp_span bytes, char why[LP_TICKETFILE_WHY])
{
	unsigned line = 0;
	enum lp_err err = LP_E_FORMAT;

	why[0] = '\0';
	if (bytes.n && is_text(bytes)) {
		err = read_text(f, bytes, &line);
		if (!err && !f->n)
			err = LP_E_FORMAT;
		if (err == LP_E_FORMAT)
			lp_ticketfile_clear(f);
	}
	/* A raw key of letters only is unlikely, not impossible. */
	if (err == LP_E_FORMAT && bytes.n)
		err = read_raw(f, bytes);
	if (!err)
		return LP_OK;
	lp_ticketfile_clear(f);
	if (err != LP_E_FORMAT && err != LP_E_LIMIT)
		return err;
	if (err == LP_E_LIMIT)
		snprintf(why, LP_TICKETFILE_WHY, "more than %d ticket keys", LP_TICKETFILE_MAX);
	else if (line)
		snprintf(why, LP_TICKETFILE_WHY, "line %u is no ticket key (48 or 80 bytes in base64 "
			 "or hexadecimal digits)", line);
	else
		snprintf(why, LP_TICKETFILE_WHY, "%zu bytes are no ticket keys, which have 48 or 80",
			 bytes.n);
	return LP_E_FORMAT;
}
