#include "crypto/pem.h"

#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "crypto/crypto.h"
#include "crypto/keyfile.h"
#include "crypto/pbes.h"

static bool blank(uint8_t c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static lp_span trim(lp_span s)
{
	while (s.n && blank(s.p[0])) {
		s.p++;
		s.n--;
	}
	while (s.n && blank(s.p[s.n - 1]))
		s.n--;
	return s;
}

static bool starts(lp_span s, const char *with)
{
	const size_t n = strlen(with);

	return s.n >= n && !memcmp(s.p, with, n);
}

static bool ends(lp_span s, const char *with)
{
	const size_t n = strlen(with);

	return s.n >= n && !memcmp(s.p + s.n - n, with, n);
}

/* The next line without its end and without blanks around it. */
static lp_span take_line(struct lp_cursor *c)
{
	const lp_span rest = lp_cursor_rest(c);
	const uint8_t *nl = rest.n ? memchr(rest.p, '\n', rest.n) : NULL;

	return trim(lp_cursor_bytes(c, nl ? (size_t)(nl - rest.p) + 1 : rest.n));
}

/* What stands between head and "-----" on such a line. */
static bool boundary(lp_span line, const char *head, lp_span *label)
{
	const size_t n = strlen(head);

	if (!starts(line, head) || !ends(line, "-----") || line.n < n + 5)
		return false;
	*label = (lp_span){ line.p + n, line.n - n - 5 };
	return true;
}

enum lp_err lp_pem_next(struct lp_cursor *file, struct lp_pem *out)
{
	lp_span label = { NULL, 0 }, body, at;

	do {
		if (!lp_cursor_left(file))
			return LP_EOF;
	} while (!boundary(take_line(file), "-----BEGIN ", &out->label));
	body = lp_cursor_rest(file);
	while (lp_cursor_left(file)) {
		at = lp_cursor_rest(file);
		if (!boundary(take_line(file), "-----END ", &label))
			continue;
		if (label.n != out->label.n || memcmp(label.p, out->label.p, label.n) != 0)
			return LP_E_FORMAT;
		out->body = (lp_span){ body.p, body.n - at.n };
		return LP_OK;
	}
	return LP_E_FORMAT;
}

bool lp_pem_label_is(const struct lp_pem *pem, const char *label)
{
	return pem->label.n == strlen(label) && !memcmp(pem->label.p, label, pem->label.n);
}

/* 1 if lo <= c <= hi, without a branch: the bytes that go by are the key's. */
static unsigned within(unsigned c, unsigned lo, unsigned hi)
{
	return ((lo - 1 - c) & (c - hi - 1)) >> 31;
}

/* The value of a base64 digit, or 64. */
static unsigned digit(unsigned c)
{
	unsigned v = 64;

	v -= within(c, 'A', 'Z') * (64 - (c - 'A'));
	v -= within(c, 'a', 'z') * (64 - (c - 'a' + 26));
	v -= within(c, '0', '9') * (64 - (c - '0' + 52));
	v -= within(c, '+', '+') * (64 - 62);
	v -= within(c, '/', '/') * (64 - 63);
	return v;
}

static enum lp_err decode(lp_span text, struct lp_secret *out)
{
	uint8_t *mem = text.n ? lp_secret_alloc(text.n) : NULL;
	enum lp_err err = LP_OK;
	unsigned bits = 0, held = 0;
	bool padded = false;
	size_t n = 0;

	if (!mem)
		return text.n ? LP_E_NOMEM : LP_E_FORMAT;
	for (size_t i = 0; !err && i < text.n; i++) {
		const unsigned v = digit(text.p[i]);

		if (blank(text.p[i]))
			continue;
		if (text.p[i] == '=') {
			padded = true;
		} else if (v > 63 || padded) {
			err = LP_E_FORMAT;
		} else {
			held = (held << 6 | v) & 0xffff;
			bits += 6;
			if (bits >= 8) {
				bits -= 8;
				mem[n++] = (uint8_t)(held >> bits);
			}
		}
	}
	if (!err && (!n || bits == 6))
		err = LP_E_FORMAT;
	if (!err)
		err = lp_secret_set(out, mem, n);
	lp_secret_free(mem, text.n);
	return err;
}

enum lp_err lp_pem_decode(const struct lp_pem *pem, struct lp_secret *out, lp_span *dek)
{
	struct lp_cursor c = lp_cursor_span(pem->body);
	lp_span text = pem->body;

	*dek = (lp_span){ NULL, 0 };
	/* Headers, if any, are the lines with a colon, and a blank line ends them. */
	while (lp_cursor_left(&c)) {
		const lp_span line = take_line(&c);

		if (line.n && !memchr(line.p, ':', line.n))
			break;
		if (starts(line, "DEK-Info:"))
			*dek = trim((lp_span){ line.p + 9, line.n - 9 });
		text = lp_cursor_rest(&c);
	}
	return decode(text, out);
}

/* ---- the old encryption ---- */

static const struct {
	const char *name;
	enum lp_pbes_cipher cipher;
	uint8_t key, iv;
} old_ciphers[] = {
	{ "AES-128-CBC", LP_PBES_AES, 16, 16 },
	{ "AES-192-CBC", LP_PBES_AES, 24, 16 },
	{ "AES-256-CBC", LP_PBES_AES, 32, 16 },
	{ "DES-EDE3-CBC", LP_PBES_3DES, 24, 8 },
};

/* D_1 = MD5(passphrase ‖ salt), D_i = MD5(D_i-1 ‖ passphrase ‖ salt); the salt is
 * the IV's first eight bytes (EVP_BytesToKey with one round). */
static enum lp_err old_key(lp_span passphrase, const uint8_t *iv, uint8_t *key)
{
	lp_span parts[3] = { { key, 0 }, passphrase, { iv, 8 } };
	enum lp_err err = lp_digest_once(&lp_crypto_mbedtls, LP_MD5, parts, 3, key);

	parts[0].n = 16;
	if (!err)
		err = lp_digest_once(&lp_crypto_mbedtls, LP_MD5, parts, 3, key + 16);
	return err;
}

enum lp_err lp_pem_decrypt(lp_span dek, lp_span passphrase, lp_span in, struct lp_secret *out,
			   char *why)
{
	const uint8_t *comma = memchr(dek.p, ',', dek.n);
	const lp_span name = { dek.p, comma ? (size_t)(comma - dek.p) : dek.n };
	const size_t count = sizeof old_ciphers / sizeof old_ciphers[0];
	char text[40];
	uint8_t iv[16];
	uint8_t *key;
	size_t i = 0;
	enum lp_err err;

	while (i < count && (name.n != strlen(old_ciphers[i].name) ||
			     memcmp(name.p, old_ciphers[i].name, name.n) != 0))
		i++;
	if (i == count) {
		lp_text_escape(text, sizeof text, name.p, name.n);
		snprintf(why, LP_KEY_WHY, "it is encrypted with %s, which limpid does not know", text);
		return LP_E_UNSUPPORTED;
	}
	if (!comma || lp_text_unhex(iv, old_ciphers[i].iv, (const char *)comma + 1,
				    dek.n - name.n - 1)) {
		snprintf(why, LP_KEY_WHY, "its DEK-Info line is damaged");
		return LP_E_FORMAT;
	}
	key = lp_secret_alloc(32);
	if (!key)
		return LP_E_NOMEM;
	err = old_key(passphrase, iv, key);
	if (!err)
		err = lp_pbes_decrypt(old_ciphers[i].cipher, lp_span_of(key, old_ciphers[i].key), iv,
				      in, out, why);
	lp_secret_free(key, 32);
	return err;
}
