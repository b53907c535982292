#include "tls/fingerprint.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/log.h"

/* A hello of 128 KiB has at most 64 Ki numbers of 6 characters in it. */
enum { TEXT_MAX = 512 * 1024, TEXT_OWN = 1024, NUMBERS_OWN = 64, JA4_HASH = 12 };

/* ---- text ---- */

/* A list under construction: in place as long as it is short, as nearly all are. Errors
 * stick; whoever finishes it looks. */
struct text {
	char own[TEXT_OWN];
	size_t n; /* in own; all is in buf once it has anything */
	struct lp_buf buf;
	enum lp_err err;
	bool first; /* of a list: no separator yet */
};

static void text_init(struct text *t)
{
	lp_buf_init(&t->buf, TEXT_MAX);
	t->n = 0;
	t->err = LP_OK;
	t->first = true;
}

static lp_span text_span(const struct text *t)
{
	return lp_buf_len(&t->buf) ? lp_buf_span(&t->buf) : lp_span_of(t->own, t->n);
}

static void text_put_long(struct text *t, const char *s, size_t n)
{
	if (!t->err && !lp_buf_len(&t->buf) && t->n)
		t->err = lp_buf_append(&t->buf, t->own, t->n);
	if (!t->err)
		t->err = lp_buf_append(&t->buf, s, n);
}

static inline void text_put(struct text *t, const char *s, size_t n)
{
	if (n > sizeof t->own - t->n || lp_buf_len(&t->buf)) {
		text_put_long(t, s, n);
		return;
	}
	memcpy(t->own + t->n, s, n);
	t->n += n;
}

/* One number of a list: there are dozens in each hello, so this is not for printf. */
static inline void text_digits(struct text *t, char separator, unsigned value, unsigned base,
			       size_t least)
{
	char digits[16];
	size_t at = sizeof digits;

	do {
		digits[--at] = "0123456789abcdef"[value % base];
		value /= base;
	} while (value || sizeof digits - at < least);
	if (!t->first)
		digits[--at] = separator;
	t->first = false;
	text_put(t, digits + at, sizeof digits - at);
}

/* As JA3 has them. */
static void text_number(struct text *t, unsigned value)
{
	text_digits(t, '-', value, 10, 1);
}

/* As JA4 has them. */
static void text_hex(struct text *t, unsigned value)
{
	text_digits(t, ',', value, 16, 4);
}

static void text_field(struct text *t)
{
	text_put(t, ",", 1);
	t->first = true;
}

static enum lp_err hash_hex(const struct lp_crypto *crypto, enum lp_digest digest, lp_span bytes,
			    char *out, size_t digits)
{
	uint8_t hash[LP_DIGEST_MAX];
	char hex[2 * LP_DIGEST_MAX + 1];
	enum lp_err err;

	out[0] = '\0';
	if (!crypto->has_digest(digest))
		return LP_OK;
	err = lp_digest_once(crypto, digest, &bytes, 1, hash);
	if (err)
		return err;
	lp_text_hex(hex, hash, lp_digest_size(digest));
	memcpy(out, hex, digits);
	out[digits] = '\0';
	return LP_OK;
}

/* ---- JA3 ---- */

static void ja3_pairs(struct text *t, lp_span pairs)
{
	struct lp_cursor c = lp_cursor_span(pairs);
	uint16_t value;

	while (lp_cursor_left(&c) >= 2) {
		value = lp_cursor_u16(&c);
		if (!lp_hello_is_grease(value))
			text_number(t, value);
	}
}

static void ja3_extensions(struct text *t, lp_span list)
{
	struct lp_cursor c = lp_cursor_span(list);
	uint16_t type;
	lp_span body;

	while (lp_hello_extension(&c, &type, &body))
		if (!lp_hello_is_grease(type))
			text_number(t, type);
}

static enum lp_err ja3_finish(struct text *t, struct lp_ja3 *out, const struct lp_crypto *crypto)
{
	lp_span s = text_span(t);
	enum lp_err err = t->err;

	if (!err)
		err = hash_hex(crypto, LP_MD5, s, out->hash, LP_JA3_HASH - 1);
	if (!err && s.n <= LP_JA3_TEXT_MAX) {
		out->string = malloc(s.n + 1);
		if (out->string) {
			memcpy(out->string, s.p, s.n);
			out->string[s.n] = '\0';
		} else {
			err = LP_E_NOMEM;
		}
	}
	lp_buf_clear(&t->buf);
	return err;
}

enum lp_err lp_ja3_client(struct lp_ja3 *out, const struct lp_crypto *crypto,
			  const struct lp_client_hello *hello)
{
	struct lp_cursor formats = lp_cursor_span(hello->point_formats);
	struct text t;

	lp_ja3_clear(out);
	text_init(&t);
	text_number(&t, hello->version);
	text_field(&t);
	ja3_pairs(&t, hello->suites);
	text_field(&t);
	ja3_extensions(&t, hello->extensions);
	text_field(&t);
	ja3_pairs(&t, hello->groups);
	text_field(&t);
	while (lp_cursor_left(&formats))
		text_number(&t, lp_cursor_u8(&formats));
	return ja3_finish(&t, out, crypto);
}

enum lp_err lp_ja3_server(struct lp_ja3 *out, const struct lp_crypto *crypto,
			  const struct lp_server_hello *hello)
{
	struct text t;

	lp_ja3_clear(out);
	text_init(&t);
	text_number(&t, hello->legacy_version);
	text_field(&t);
	text_number(&t, hello->suite);
	text_field(&t);
	ja3_extensions(&t, hello->extensions);
	return ja3_finish(&t, out, crypto);
}

void lp_ja3_clear(struct lp_ja3 *ja3)
{
	free(ja3->string);
	*ja3 = (struct lp_ja3){ NULL, "" };
}

/* ---- JA4 ---- */

/* Numbers without those of GREASE. */
struct numbers {
	uint16_t *v; /* own, unless there are many */
	size_t n;
	uint16_t own[NUMBERS_OWN];
};

static enum lp_err numbers_new(struct numbers *out, size_t room)
{
	out->n = 0;
	out->v = room <= NUMBERS_OWN ? out->own : malloc(room * sizeof *out->v);
	return out->v ? LP_OK : LP_E_NOMEM;
}

static void numbers_clear(struct numbers *list)
{
	if (list->v != list->own)
		free(list->v);
}

static void numbers_add(struct numbers *out, uint16_t value)
{
	if (!lp_hello_is_grease(value))
		out->v[out->n++] = value;
}

static enum lp_err numbers_of_pairs(struct numbers *out, lp_span pairs)
{
	struct lp_cursor c = lp_cursor_span(pairs);
	enum lp_err err = numbers_new(out, pairs.n / 2);

	while (!err && lp_cursor_left(&c) >= 2)
		numbers_add(out, lp_cursor_u16(&c));
	return err;
}

static enum lp_err numbers_of_extensions(struct numbers *out, lp_span list)
{
	struct lp_cursor c = lp_cursor_span(list);
	enum lp_err err = numbers_new(out, list.n / 4);
	uint16_t type;
	lp_span body;

	while (!err && lp_hello_extension(&c, &type, &body))
		numbers_add(out, type);
	return err;
}

static int compare(const void *a, const void *b)
{
	uint16_t x, y;

	memcpy(&x, a, sizeof x);
	memcpy(&y, b, sizeof y);
	return (x > y) - (x < y);
}

static void ascending(uint16_t *v, size_t n)
{
	size_t at;
	uint16_t x;

	if (n > NUMBERS_OWN) {
		qsort(v, n, sizeof *v, compare);
		return;
	}
	for (size_t i = 1; i < n; i++) {
		x = v[i];
		for (at = i; at && v[at - 1] > x; at--)
			v[at] = v[at - 1];
		v[at] = x;
	}
}

static const char *ja4_version(const struct lp_client_hello *hello)
{
	struct lp_cursor c = lp_cursor_span(hello->versions);
	uint16_t version = hello->versions.n ? 0 : hello->version, v;

	while (lp_cursor_left(&c) >= 2) {
		v = lp_cursor_u16(&c);
		if (!lp_hello_is_grease(v) && v > version)
			version = v;
	}
	switch (version) {
	case 0x0304: return "13";
	case 0x0303: return "12";
	case 0x0302: return "11";
	case 0x0301: return "10";
	case 0x0300: return "s3";
	case 0x0002: return "s2";
	default: return "00";
	}
}

static bool is_alnum(uint8_t c)
{
	return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}

/* First and last character of the first ALPN name, or of its hexadecimal form if
 * either is no letter or digit. */
static void ja4_alpn(char out[3], lp_span alpn)
{
	struct lp_cursor c = lp_cursor_span(alpn);
	lp_span name = lp_cursor_vec8(&c);
	struct lp_cursor at = lp_cursor_span(name);
	uint8_t first, last;
	char hex[3];

	memcpy(out, "00", 3);
	if (!name.n)
		return;
	first = lp_cursor_u8(&at);
	lp_cursor_skip(&at, name.n > 2 ? name.n - 2 : 0);
	last = name.n > 1 ? lp_cursor_u8(&at) : first;
	if (is_alnum(first) && is_alnum(last)) {
		out[0] = (char)first;
		out[1] = (char)last;
		return;
	}
	out[0] = lp_text_hex(hex, &first, 1)[0];
	out[1] = lp_text_hex(hex, &last, 1)[1];
}

/* The hash of a list, and of another one behind it if that is not empty. */
static enum lp_err ja4_hash(char out[JA4_HASH + 1], const struct lp_crypto *crypto,
			    const struct numbers *list, const struct numbers *behind)
{
	struct text t;
	enum lp_err err;

	if (!list->n) {
		memcpy(out, "000000000000", JA4_HASH + 1);
		return LP_OK;
	}
	text_init(&t);
	for (size_t i = 0; i < list->n; i++)
		text_hex(&t, list->v[i]);
	if (behind && behind->n) {
		text_put(&t, "_", 1);
		t.first = true;
		for (size_t i = 0; i < behind->n; i++)
			text_hex(&t, behind->v[i]);
	}
	err = t.err ? t.err : hash_hex(crypto, LP_SHA256, text_span(&t), out, JA4_HASH);
	lp_buf_clear(&t.buf);
	return err;
}

/* SNI and ALPN are told in the first part, so that the last one is the same to
 * whatever host the client goes. */
static void without_host(struct numbers *extensions)
{
	size_t n = 0;

	for (size_t i = 0; i < extensions->n; i++)
		if (extensions->v[i] != LP_EXT_SERVER_NAME && extensions->v[i] != LP_EXT_ALPN)
			extensions->v[n++] = extensions->v[i];
	extensions->n = n;
}

static unsigned at_most_99(size_t n)
{
	return n > 99 ? 99U : (unsigned)n % 100U;
}

/* t12d1909h2_…_…: written for each hello, so not by printf. */
static void ja4_write(char out[LP_JA4_TEXT], const struct lp_client_hello *hello,
		      const unsigned counts[2], const char alpn[3], const char b[JA4_HASH + 1],
		      const char c[JA4_HASH + 1])
{
	char *at = out;

	*at++ = 't';
	memcpy(at, ja4_version(hello), 2);
	at += 2;
	*at++ = hello->seen & LP_HAS_SNI ? 'd' : 'i';
	for (int i = 0; i < 2; i++) {
		*at++ = (char)('0' + counts[i] / 10);
		*at++ = (char)('0' + counts[i] % 10);
	}
	memcpy(at, alpn, 2);
	at += 2;
	*at++ = '_';
	memcpy(at, b, JA4_HASH);
	at += JA4_HASH;
	*at++ = '_';
	memcpy(at, c, JA4_HASH + 1);
}

enum lp_err lp_ja4_client(char out[LP_JA4_TEXT], const struct lp_crypto *crypto,
			  const struct lp_client_hello *hello)
{
	struct numbers suites, extensions, signatures;
	char alpn[3], b[JA4_HASH + 1], c[JA4_HASH + 1];
	unsigned counts[2];
	enum lp_err err;

	out[0] = '\0';
	suites.v = extensions.v = signatures.v = NULL;
	err = numbers_of_pairs(&suites, hello->suites);
	if (!err)
		err = numbers_of_extensions(&extensions, hello->extensions);
	if (!err)
		err = numbers_of_pairs(&signatures, hello->signatures);
	if (err)
		goto out;
	ja4_alpn(alpn, hello->alpn);
	counts[0] = at_most_99(suites.n);
	counts[1] = at_most_99(extensions.n);
	without_host(&extensions);
	ascending(suites.v, suites.n);
	ascending(extensions.v, extensions.n);
	err = ja4_hash(b, crypto, &suites, NULL);
	if (!err)
		err = ja4_hash(c, crypto, &extensions, &signatures);
	if (!err && b[0] && c[0])
		ja4_write(out, hello, counts, alpn, b, c);
out:
	numbers_clear(&suites);
	numbers_clear(&extensions);
	numbers_clear(&signatures);
	return err;
}
