/* Own walk over hostile bytes, in the engine process: no allocation, one pass, and
 * a certificate library stays out of it. */
#include "crypto/cert.h"

#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "crypto/der.h"
#include "crypto/ec.h"

/* The pieces of a TBSCertificate (RFC 5280 section 4.1), as they stand. */
struct fields {
	struct lp_der serial, issuer, validity, subject, spki;
};

static bool is(lp_span oid, const char *bytes)
{
	return oid.n == strlen(bytes) && !memcmp(oid.p, bytes, oid.n);
}

/* ---- names ---- */

/* The short names that Suricata 7 prints (it takes them from x509-parser and
 * oid-registry). The last byte of 2.5.4.x: */
static const struct {
	uint8_t last;
	const char *name;
} x520[] = {
	{ 3, "CN" }, { 4, "surname" }, { 5, "serialNumber" }, { 6, "C" }, { 7, "L" }, { 8, "ST" },
	{ 9, "streetAddress" }, { 10, "O" }, { 11, "OU" }, { 12, "title" }, { 13, "description" },
	{ 15, "businessCategory" }, { 16, "postalAddress" }, { 17, "postalCode" }, { 41, "name" },
	{ 42, "givenName" }, { 43, "initials" }, { 44, "generationQualifier" },
	{ 45, "uniqueIdentifier" }, { 46, "dnQualifier" },
};

static const struct {
	const char *oid, *name;
} other_names[] = {
	{ "\x09\x92\x26\x89\x93\xf2\x2c\x64\x01\x19", "DC" },
	{ "\x2a\x86\x48\x86\xf7\x0d\x01\x09\x01", "Email" },
	{ "\x2a\x86\x48\x86\xf7\x0d\x01\x09\x02", "unstructuredName" },
	{ "\x2b\x06\x01\x04\x01\x82\x37\x3c\x02\x01\x01", "msJurisdictionLocality" },
	{ "\x2b\x06\x01\x04\x01\x82\x37\x3c\x02\x01\x02", "msJurisdictionStateOrProvince" },
	{ "\x2b\x06\x01\x04\x01\x82\x37\x3c\x02\x01\x03", "msJurisdictionCountry" },
};

/* A text of bounded size; what does not fit is cut off. */
struct text {
	char *p;
	size_t size, at;
};

static void put_raw(struct text *t, const void *p, size_t n)
{
	t->at += strlen(lp_text_escape(t->p + t->at, t->size - t->at, p, n));
}

static void put(struct text *t, const char *s)
{
	put_raw(t, s, strlen(s));
}

static void put_oid(struct text *t, lp_span oid)
{
	char dots[LP_DER_OID_TEXT];

	if (oid.n == 3 && oid.p[0] == 0x55 && oid.p[1] == 0x04)
		for (size_t i = 0; i < sizeof x520 / sizeof x520[0]; i++)
			if (oid.p[2] == x520[i].last) {
				put(t, x520[i].name);
				return;
			}
	for (size_t i = 0; i < sizeof other_names / sizeof other_names[0]; i++)
		if (is(oid, other_names[i].oid)) {
			put(t, other_names[i].name);
			return;
		}
	put(t, "OID(");
	put(t, lp_der_oid_text(dots, oid));
	put(t, ")");
}

static void put_rune(struct text *t, uint32_t rune)
{
	uint8_t utf8[4];
	size_t n = 0;

	if (rune < 0x80) {
		utf8[n++] = (uint8_t)rune;
	} else if (rune < 0x800) {
		utf8[n++] = (uint8_t)(0xc0 | rune >> 6);
	} else if (rune < 0x10000) {
		utf8[n++] = (uint8_t)(0xe0 | rune >> 12);
		utf8[n++] = (uint8_t)(0x80 | (rune >> 6 & 0x3f));
	} else {
		utf8[n++] = (uint8_t)(0xf0 | (rune >> 18 & 7));
		utf8[n++] = (uint8_t)(0x80 | (rune >> 12 & 0x3f));
		utf8[n++] = (uint8_t)(0x80 | (rune >> 6 & 0x3f));
	}
	if (rune >= 0x80)
		utf8[n++] = (uint8_t)(0x80 | (rune & 0x3f));
	put_raw(t, utf8, n);
}

/* BMPString and UniversalString: two or four bytes a character, big-endian. */
static void put_wide(struct text *t, lp_span s, size_t width)
{
	struct lp_cursor c = lp_cursor_span(s);

	while (lp_cursor_left(&c) >= width && t->at + 1 < t->size) {
		uint32_t rune = (uint32_t)lp_cursor_be(&c, width);

		if (width == 2 && rune >> 10 == 0x36 && lp_cursor_left(&c) >= 2) {
			struct lp_cursor ahead = c;
			const uint32_t low = lp_cursor_u16(&ahead);

			if (low >> 10 == 0x37) { /* a surrogate pair */
				rune = 0x10000 + ((rune & 0x3ff) << 10 | (low & 0x3ff));
				c = ahead;
			}
		}
		/* A cut-off character must not let a later, shorter one in. */
		const size_t before = t->at;

		put_rune(t, rune);
		if (t->at == before)
			return;
	}
}

static void put_value(struct text *t, const struct lp_der *v)
{
	char hex[3];

	switch (v->tag) {
	case LP_DER_BMP_STRING:
		put_wide(t, v->body, 2);
		return;
	case LP_DER_UNIVERSAL_STRING:
		put_wide(t, v->body, 4);
		return;
	case LP_DER_UTF8_STRING:
	case LP_DER_PRINTABLE_STRING:
	case LP_DER_T61_STRING:
	case LP_DER_IA5_STRING:
	case 0x12: /* NumericString */
	case 0x1a: /* VisibleString */
	case 0x1b: /* GeneralString */
		put_raw(t, v->body.p, v->body.n);
		return;
	default:
		for (size_t i = 0; i < v->body.n && t->at + 2 < t->size; i++) {
			snprintf(hex, sizeof hex, "%02X", v->body.p[i]);
			put_raw(t, hex, 2);
		}
	}
}

/* Name ::= SEQUENCE OF SET OF SEQUENCE { type, value }: "C=DE, O=Acme + OU=x". */
static bool put_name(char *out, const struct lp_der *name)
{
	struct text t = { out, LP_CERT_NAME, 0 };
	struct lp_cursor c = lp_cursor_span(name->body);

	out[0] = '\0';
	while (lp_cursor_left(&c)) {
		struct lp_cursor set = lp_der_enter(&c, LP_DER_SET);
		const char *between = t.at ? ", " : "";

		while (lp_cursor_left(&set)) {
			struct lp_cursor pair = lp_der_enter(&set, LP_DER_SEQUENCE);
			const lp_span type = lp_der_take(&pair, LP_DER_OID);
			const struct lp_der value = lp_der_next(&pair);

			if (lp_cursor_end(&pair))
				return false;
			put(&t, between);
			put_oid(&t, type);
			put(&t, "=");
			put_value(&t, &value);
			between = " + ";
		}
		if (set.bad)
			return false;
	}
	return name->tag == LP_DER_SEQUENCE && !c.bad;
}

/* ---- serial number and validity ---- */

static bool put_serial(char *out, const struct lp_der *serial)
{
	size_t at = 0;

	out[0] = '\0';
	for (size_t i = 0; i < serial->body.n && at + 4 <= LP_CERT_SERIAL; i++)
		at += (size_t)snprintf(out + at, LP_CERT_SERIAL - at, i ? ":%02X" : "%02X",
				       serial->body.p[i]);
	return serial->tag == LP_DER_INTEGER;
}

static unsigned digits(struct lp_cursor *c, unsigned n)
{
	unsigned v = 0;

	while (n--) {
		const uint8_t d = lp_cursor_u8(c);

		if (d < '0' || d > '9')
			c->bad = true;
		v = v * 10 + (d - '0');
	}
	return v;
}

/* RFC 5280 section 4.1.2.5: YYMMDDHHMMSSZ, where 50 means 1950, or YYYYMMDDHHMMSSZ.
 * Older ones left out the seconds. */
static bool put_time(char *out, struct lp_cursor *validity)
{
	const struct lp_der d = lp_der_next(validity);
	struct lp_cursor c = lp_cursor_span(d.body);
	unsigned year, month, day, hour, minute, second = 0;

	out[0] = '\0';
	if (d.tag == LP_DER_UTC_TIME) {
		year = digits(&c, 2);
		year += year < 50 ? 2000 : 1900;
	} else if (d.tag == LP_DER_GENERALIZED_TIME) {
		year = digits(&c, 4);
	} else {
		return false;
	}
	month = digits(&c, 2);
	day = digits(&c, 2);
	hour = digits(&c, 2);
	minute = digits(&c, 2);
	if (lp_cursor_left(&c) > 1)
		second = digits(&c, 2);
	if (lp_cursor_u8(&c) != 'Z' || lp_cursor_end(&c) || month - 1 > 11 || day - 1 > 30 ||
	    hour > 23 || minute > 59 || second > 60)
		return false;
	snprintf(out, LP_CERT_TIME, "%04u-%02u-%02uT%02u:%02u:%02u", year, month, day, hour, minute,
		 second);
	return true;
}

/* ---- the public key ---- */

static uint32_t bits_of(lp_span number)
{
	uint32_t bits = (uint32_t)number.n * 8;

	if (!number.n)
		return 0;
	for (uint8_t high = number.p[0]; !(high & 0x80); high = (uint8_t)(high << 1))
		bits--;
	return bits;
}

/* The modulus of Diffie-Hellman and DSA comes first in their parameters. */
static uint32_t first_number(struct lp_cursor params)
{
	struct lp_cursor in = lp_der_enter(&params, LP_DER_SEQUENCE);

	return bits_of(lp_der_unsigned(&in));
}

static void read_key(struct lp_cert *out, const struct lp_der *spki)
{
	struct lp_cursor c = lp_cursor_span(spki->body);
	struct lp_cursor alg = lp_der_enter(&c, LP_DER_SEQUENCE);
	const lp_span oid = lp_der_take(&alg, LP_DER_OID);
	struct lp_cursor key = lp_cursor_span(lp_der_bits(&c));
	const struct lp_ec_curve *curve;

	if (is(oid, "\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01")) {
		struct lp_cursor numbers = lp_der_enter(&key, LP_DER_SEQUENCE);

		out->key_kind = LP_CERT_KEY_RSA;
		out->key_bits = bits_of(lp_der_unsigned(&numbers));
	} else if (is(oid, "\x2a\x86\x48\xce\x3d\x02\x01")) {
		out->key_kind = LP_CERT_KEY_EC;
		curve = lp_ec_curve_find(lp_der_take(&alg, LP_DER_OID));
		out->key_bits = curve ? curve->bits : 0;
	} else if (is(oid, "\x2a\x86\x48\x86\xf7\x0d\x01\x03\x01") ||
		   is(oid, "\x2a\x86\x48\xce\x3e\x02\x01")) {
		out->key_kind = LP_CERT_KEY_DH;
		out->key_bits = first_number(alg);
	} else if (is(oid, "\x2a\x86\x48\xce\x38\x04\x01")) {
		out->key_kind = LP_CERT_KEY_DSA;
		out->key_bits = first_number(alg);
	}
}

/* ---- the whole ---- */

/* Only what is needed to find the key must be in order. */
static enum lp_err read_fields(struct fields *f, lp_span der)
{
	struct lp_cursor top = lp_cursor_span(der);
	struct lp_cursor cert = lp_der_enter(&top, LP_DER_SEQUENCE);
	struct lp_cursor c = lp_der_enter(&cert, LP_DER_SEQUENCE);

	if (lp_der_peek(&c) == LP_DER_CONTEXT)
		(void)lp_der_next(&c); /* version */
	f->serial = lp_der_next(&c);
	(void)lp_der_next(&c); /* signature algorithm */
	f->issuer = lp_der_next(&c);
	f->validity = lp_der_next(&c);
	f->subject = lp_der_next(&c);
	f->spki = lp_der_next(&c);
	return f->spki.tag == LP_DER_SEQUENCE ? lp_cursor_ok(&c) : LP_E_FORMAT;
}

enum lp_err lp_cert_read(struct lp_cert *out, const struct lp_crypto *crypto, lp_span der)
{
	struct fields f;
	struct lp_cursor validity;
	enum lp_err err;

	memset(out, 0, sizeof *out);
	err = lp_digest_once(crypto, LP_SHA1, &der, 1, out->sha1);
	if (!err)
		err = lp_digest_once(crypto, LP_SHA256, &der, 1, out->sha256);
	if (err)
		return err;
	if (read_fields(&f, der))
		return LP_E_FORMAT;
	err = lp_digest_once(crypto, LP_SHA256, &f.spki.whole, 1, out->spki_sha256);
	if (err)
		return err;
	out->has_key = true;
	read_key(out, &f.spki);
	out->has_text = put_serial(out->serial, &f.serial) && put_name(out->issuer, &f.issuer) &&
			put_name(out->subject, &f.subject);
	if (f.validity.tag == LP_DER_SEQUENCE) {
		validity = lp_cursor_span(f.validity.body);
		if (put_time(out->not_before, &validity))
			(void)put_time(out->not_after, &validity);
	}
	return LP_OK;
}
