#include "crypto/keyfile.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "crypto/crypto.h"
#include "crypto/der.h"
#include "crypto/ec.h"
#include "crypto/pbes.h"
#include "crypto/pem.h"

/* RSA_BYTES: a question to the warden has room for no more. SPKI: a modulus and its
 * exponent of that size with what is around them. */
enum { FILE_MAX = 65536, RSA_BYTES = 1024, SPKI_MAX = 2 * RSA_BYTES + 64, SEC1_MAX = 256 };

struct load {
	struct lp_key *key;
	lp_span passphrase;
	char *why;
};

static enum lp_err LP_PRINTF(3, 4) fail(const struct load *l, enum lp_err err, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(l->why, LP_KEY_WHY, format, args);
	va_end(args);
	return err;
}

static enum lp_err damaged(const struct load *l, const char *what)
{
	return fail(l, LP_E_FORMAT, "its %s is damaged", what);
}

static enum lp_err hash_spki(const struct load *l, const struct lp_der_out *o)
{
	const lp_span spki = lp_der_out_span(o);

	if (o->full)
		return LP_E_UNSUPPORTED;
	return lp_digest_once(&lp_crypto_mbedtls, LP_SHA256, &spki, 1, l->key->spki_sha256);
}

/* ---- RSA: PKCS#1 RSAPrivateKey ---- */

static const uint8_t oid_rsa[] = { 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01 };
static const uint8_t oid_ec[] = { 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01 };

static enum lp_err rsa_identity(const struct load *l, lp_span n, lp_span e)
{
	uint8_t mem[SPKI_MAX];
	struct lp_der_out o = lp_der_out_of(mem, sizeof mem);
	size_t alg;

	lp_der_put_unsigned(&o, e);
	lp_der_put_unsigned(&o, n);
	lp_der_put_header(&o, LP_DER_SEQUENCE, sizeof mem);
	lp_der_put(&o, "", 1);
	lp_der_put_header(&o, LP_DER_BIT_STRING, sizeof mem);
	alg = o.at;
	lp_der_put_element(&o, LP_DER_NULL, (lp_span){ NULL, 0 });
	lp_der_put_element(&o, LP_DER_OID, lp_span_of(oid_rsa, sizeof oid_rsa));
	lp_der_put_header(&o, LP_DER_SEQUENCE, alg);
	lp_der_put_header(&o, LP_DER_SEQUENCE, sizeof mem);
	return hash_spki(l, &o);
}

static enum lp_err load_rsa(const struct load *l, lp_span der)
{
	struct lp_cursor top = lp_cursor_span(der);
	struct lp_cursor c = lp_der_enter(&top, LP_DER_SEQUENCE);
	const uint32_t version = lp_der_u32(&c);
	const lp_span n = lp_der_unsigned(&c);
	const lp_span e = lp_der_unsigned(&c);
	struct lp_rsa *rsa;
	uint32_t bits;
	enum lp_err err;

	if (c.bad || lp_cursor_end(&top) || !n.n)
		return damaged(l, "RSA key");
	if (version)
		return fail(l, LP_E_UNSUPPORTED, "it is an RSA key with more than two primes");
	bits = (uint32_t)n.n * 8;
	for (uint8_t high = n.p[0]; !(high & 0x80); high = (uint8_t)(high << 1))
		bits--;
	if (n.n > RSA_BYTES)
		return fail(l, LP_E_UNSUPPORTED, "it is an RSA key of %u bits, more than %u", bits,
			    RSA_BYTES * 8);
	/* mbedTLS also where libcrypto will do the work: it tells whether all numbers
	 * of the key fit each other. */
	err = lp_crypto_mbedtls.rsa_new(der, &rsa);
	lp_crypto_mbedtls.rsa_free(rsa);
	if (err == LP_E_MISMATCH)
		return fail(l, err, "the private half does not belong to its public half");
	if (err == LP_E_FORMAT)
		return damaged(l, "RSA key");
	if (!err)
		err = rsa_identity(l, n, e);
	if (!err)
		err = lp_secret_set(&l->key->der, der.p, der.n);
	l->key->kind = LP_KEY_RSA;
	l->key->bits = bits;
	return err;
}

/* ---- elliptic curves: SEC1 ECPrivateKey (RFC 5915), RFC 8410 ---- */

/* The public point as the file has it, in any of the forms of SEC1 section 2.3.3,
 * against the one that belongs to the private number (04 ‖ X ‖ Y). */
static bool same_point(lp_span have, const uint8_t *want, size_t size)
{
	const uint8_t *y = want + 1 + size;

	if (have.n == 1 + 2 * size && (have.p[0] == 4 || (have.p[0] | 1) == 7))
		return !memcmp(have.p + 1, want + 1, 2 * size);
	return have.n == 1 + size && have.p[0] == (2 | (y[size - 1] & 1)) &&
	       !memcmp(have.p + 1, want + 1, size);
}

static enum lp_err ec_identity(const struct load *l, const struct lp_ec_curve *curve, lp_span pub)
{
	uint8_t mem[SEC1_MAX];
	struct lp_der_out o = lp_der_out_of(mem, sizeof mem);
	size_t alg;

	lp_der_put_bits(&o, pub);
	alg = o.at;
	lp_der_put_element(&o, LP_DER_OID, curve->oid);
	if (!curve->montgomery)
		lp_der_put_element(&o, LP_DER_OID, lp_span_of(oid_ec, sizeof oid_ec));
	lp_der_put_header(&o, LP_DER_SEQUENCE, alg);
	lp_der_put_header(&o, LP_DER_SEQUENCE, sizeof mem);
	return hash_spki(l, &o);
}

/* One form for all EC keys, whatever the file's was: with curve and public half. */
static enum lp_err keep_sec1(const struct load *l, const struct lp_ec_curve *curve, lp_span d,
			     lp_span pub)
{
	static const uint8_t zeros[LP_EC_SIZE_MAX];
	uint8_t *mem = lp_secret_alloc(SEC1_MAX);
	struct lp_der_out o = lp_der_out_of(mem, SEC1_MAX);
	enum lp_err err = LP_E_LIMIT;
	size_t end;

	if (!mem)
		return LP_E_NOMEM;
	lp_der_put_bits(&o, pub);
	lp_der_put_header(&o, LP_DER_CONTEXT + 1, o.size);
	end = o.at;
	lp_der_put_element(&o, LP_DER_OID, curve->oid);
	lp_der_put_header(&o, LP_DER_CONTEXT, end);
	end = o.at;
	lp_der_put(&o, d.p, d.n);
	lp_der_put(&o, zeros, curve->size - d.n);
	lp_der_put_header(&o, LP_DER_OCTET_STRING, end);
	lp_der_put_unsigned(&o, lp_span_of("\1", 1));
	lp_der_put_header(&o, LP_DER_SEQUENCE, o.size);
	if (!o.full)
		err = lp_secret_set(&l->key->der, lp_der_out_span(&o).p, lp_der_out_span(&o).n);
	lp_secret_free(mem, SEC1_MAX);
	return err;
}

/* params: ECParameters, from the PKCS#8 around it or from the key itself. */
static enum lp_err find_curve(const struct load *l, struct lp_cursor params,
			      const struct lp_ec_curve **out)
{
	const struct lp_der d = lp_der_next(&params);
	char text[LP_DER_OID_TEXT];

	if (d.tag == LP_DER_SEQUENCE)
		return fail(l, LP_E_UNSUPPORTED,
			    "its curve is spelled out instead of named; rewrite it with openssl ec "
			    "-param_enc named_curve");
	if (d.tag != LP_DER_OID || lp_cursor_end(&params))
		return damaged(l, "curve");
	*out = lp_ec_curve_find(d.body);
	if (!*out || (*out)->montgomery)
		return fail(l, LP_E_UNSUPPORTED, "it is for a curve that limpid does not know (%s)",
			    lp_der_oid_text(text, d.body));
	return LP_OK;
}

static enum lp_err load_ec(const struct load *l, lp_span der, struct lp_cursor params)
{
	struct lp_cursor top = lp_cursor_span(der);
	struct lp_cursor c = lp_der_enter(&top, LP_DER_SEQUENCE);
	const uint32_t version = lp_der_u32(&c);
	lp_span d = lp_der_take(&c, LP_DER_OCTET_STRING);
	lp_span pub = { NULL, 0 };
	const struct lp_ec_curve *curve = NULL;
	uint8_t point[LP_EC_POINT_MAX];
	size_t n;
	enum lp_err err;

	if (lp_der_peek(&c) == LP_DER_CONTEXT) {
		const lp_span own = lp_der_take(&c, LP_DER_CONTEXT);
		const lp_span outer = lp_cursor_rest(&params);

		if (outer.n && (outer.n != own.n || memcmp(outer.p, own.p, own.n) != 0))
			return damaged(l, "EC key");
		params = lp_cursor_span(own);
	}
	if (lp_der_peek(&c) == LP_DER_CONTEXT + 1) {
		struct lp_cursor bits = lp_der_enter(&c, LP_DER_CONTEXT + 1);

		pub = lp_der_bits(&bits);
		c.bad |= bits.bad;
	}
	if (version != 1 || lp_cursor_end(&c) || lp_cursor_end(&top))
		return damaged(l, "EC key");
	err = find_curve(l, params, &curve);
	if (err)
		return err;
	while (d.n && !d.p[0]) {
		d.p++;
		d.n--;
	}
	if (d.n > curve->size)
		return damaged(l, "EC key");
	err = lp_ec_public(curve, d, point, &n);
	if (err == LP_E_FORMAT)
		return damaged(l, "EC key");
	if (!err && pub.n && !same_point(pub, point, curve->size))
		return fail(l, LP_E_MISMATCH, "the private half does not belong to its public half");
	if (!pub.n)
		pub = lp_span_of(point, n);
	if (!err)
		err = ec_identity(l, curve, pub);
	if (!err)
		err = keep_sec1(l, curve, d, lp_span_of(point, n));
	l->key->kind = LP_KEY_EC;
	l->key->bits = curve->bits;
	return err;
}

/* body: the inner OCTET STRING; pub: from a version 2 file, else empty. */
static enum lp_err load_montgomery(const struct load *l, const struct lp_ec_curve *curve,
				   lp_span body, lp_span pub)
{
	struct lp_cursor c = lp_cursor_span(body);
	const lp_span d = lp_der_take(&c, LP_DER_OCTET_STRING);
	uint8_t point[LP_EC_POINT_MAX];
	size_t n;
	enum lp_err err;

	if (lp_cursor_end(&c) || d.n != curve->size)
		return damaged(l, "private number");
	err = lp_ec_public(curve, d, point, &n);
	if (err == LP_E_FORMAT)
		return damaged(l, "private number");
	if (!err && pub.n && (pub.n != n || memcmp(pub.p, point, n) != 0))
		return fail(l, LP_E_MISMATCH, "the private half does not belong to its public half");
	if (!err)
		err = ec_identity(l, curve, lp_span_of(point, n));
	if (!err)
		err = lp_secret_set(&l->key->der, d.p, d.n);
	l->key->kind = curve->bits == 448 ? LP_KEY_X448 : LP_KEY_X25519;
	l->key->bits = curve->bits;
	return err;
}

/* ---- PKCS#8 (RFC 5958) ---- */

/* Kinds of key that people hand to us and that open no TLS 1.2 session. */
static const struct {
	const char *oid;
	const char *name;
} useless[] = {
	{ "\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0a", "an RSA-PSS" },
	{ "\x2a\x86\x48\xce\x38\x04\x01", "a DSA" },
	{ "\x2b\x65\x70", "an Ed25519" },
	{ "\x2b\x65\x71", "an Ed448" },
	{ "\x2a\x86\x48\x86\xf7\x0d\x01\x03\x01", "a Diffie-Hellman" },
	{ "\x2a\x86\x48\xce\x3e\x02\x01", "a Diffie-Hellman" },
};

static enum lp_err load_pkcs8(const struct load *l, lp_span der)
{
	struct lp_cursor top = lp_cursor_span(der);
	struct lp_cursor c = lp_der_enter(&top, LP_DER_SEQUENCE);
	const uint32_t version = lp_der_u32(&c);
	struct lp_cursor alg = lp_der_enter(&c, LP_DER_SEQUENCE);
	const lp_span oid = lp_der_take(&alg, LP_DER_OID);
	const lp_span body = lp_der_take(&c, LP_DER_OCTET_STRING);
	const struct lp_ec_curve *curve;
	char text[LP_DER_OID_TEXT];
	lp_span pub = { NULL, 0 };

	while (lp_cursor_left(&c)) { /* [0] attributes, [1] public key */
		const struct lp_der d = lp_der_next(&c);

		if (d.tag == 0x81 && d.body.n)
			pub = (lp_span){ d.body.p + 1, d.body.n - 1 };
	}
	if (alg.bad || lp_cursor_end(&c) || lp_cursor_end(&top) || version > 1)
		return damaged(l, "PKCS#8");
	if (oid.n == sizeof oid_rsa && !memcmp(oid.p, oid_rsa, oid.n))
		return load_rsa(l, body);
	if (oid.n == sizeof oid_ec && !memcmp(oid.p, oid_ec, oid.n))
		return load_ec(l, body, alg);
	curve = lp_ec_curve_find(oid);
	if (curve && curve->montgomery)
		return load_montgomery(l, curve, body, pub);
	for (size_t i = 0; i < sizeof useless / sizeof useless[0]; i++)
		if (oid.n == strlen(useless[i].oid) && !memcmp(oid.p, useless[i].oid, oid.n))
			return fail(l, LP_E_UNSUPPORTED, "it is %s key, which opens no TLS session",
				    useless[i].name);
	return fail(l, LP_E_UNSUPPORTED, "it is a kind of key that limpid does not know (%s)",
		    lp_der_oid_text(text, oid));
}

/* ---- what is it? ---- */

enum form { UNKNOWN, PKCS1, SEC1, PKCS8, ENCRYPTED, PKCS12, PUBLIC };

static enum form form_of(lp_span der)
{
	struct lp_cursor top = lp_cursor_span(der);
	struct lp_cursor c = lp_der_enter(&top, LP_DER_SEQUENCE);
	const bool number = lp_der_peek(&c) == LP_DER_INTEGER;
	const struct lp_der first = lp_der_next(&c);
	const uint8_t second = lp_der_peek(&c);

	if (c.bad)
		return UNKNOWN;
	if (!number && first.tag == LP_DER_SEQUENCE)
		return second == LP_DER_OCTET_STRING ? ENCRYPTED :
		       second == LP_DER_SEQUENCE || second == LP_DER_BIT_STRING ? PUBLIC : UNKNOWN;
	if (!number || first.body.n != 1)
		return UNKNOWN;
	if (second == LP_DER_INTEGER)
		return PKCS1;
	if (second == LP_DER_OCTET_STRING)
		return SEC1;
	if (second == LP_DER_SEQUENCE)
		return first.body.p[0] == 3 ? PKCS12 : PKCS8;
	return UNKNOWN;
}

static enum lp_err load_plain(const struct load *l, lp_span der)
{
	switch (form_of(der)) {
	case PKCS1:
		return load_rsa(l, der);
	case SEC1:
		return load_ec(l, der, lp_cursor_of(NULL, 0));
	case PKCS8:
		return load_pkcs8(l, der);
	case PKCS12:
		return fail(l, LP_E_UNSUPPORTED,
			    "it is a PKCS#12 container; take the key out with openssl pkcs12 -nocerts");
	case PUBLIC:
		return fail(l, LP_E_FORMAT, "it is a certificate or a public key, no private key");
	default:
		return fail(l, LP_E_FORMAT, "no private key was found in it");
	}
}

static enum lp_err need_passphrase(const struct load *l)
{
	if (l->passphrase.n)
		return LP_OK;
	return fail(l, LP_E_PASSPHRASE, "it is encrypted and no passphrase was given (-p FILE)");
}

/* What was opened with a passphrase and makes no sense was opened with a wrong one:
 * one time in 256 the padding looks right by chance. */
static enum lp_err load_opened(const struct load *l, lp_span der)
{
	enum lp_err err = load_plain(l, der);

	if (err == LP_E_FORMAT)
		return fail(l, LP_E_PASSPHRASE, "the passphrase does not open it");
	return err;
}

static enum lp_err load_der(const struct load *l, lp_span der)
{
	struct lp_secret opened = { NULL, 0 };
	enum lp_err err;

	if (form_of(der) != ENCRYPTED)
		return load_plain(l, der);
	err = need_passphrase(l);
	if (!err)
		err = lp_pbes_open(der, l->passphrase, &opened, l->why);
	if (!err)
		err = load_opened(l, lp_secret_span(&opened));
	lp_secret_clear(&opened);
	return err;
}

static enum lp_err load_block(const struct load *l, const struct lp_pem *pem)
{
	struct lp_secret bytes = { NULL, 0 }, opened = { NULL, 0 };
	lp_span dek;
	enum lp_err err;

	if (lp_pem_label_is(pem, "OPENSSH PRIVATE KEY"))
		return fail(l, LP_E_UNSUPPORTED, "it is a key in OpenSSH's own format");
	if (lp_pem_label_is(pem, "DSA PRIVATE KEY"))
		return fail(l, LP_E_UNSUPPORTED, "it is a DSA key, which opens no TLS session");
	err = lp_pem_decode(pem, &bytes, &dek);
	if (err == LP_E_FORMAT)
		err = damaged(l, "PEM text");
	if (!err && !dek.n)
		err = load_der(l, lp_secret_span(&bytes));
	if (!err && dek.n) {
		err = need_passphrase(l);
		if (!err)
			err = lp_pem_decrypt(dek, l->passphrase, lp_secret_span(&bytes), &opened,
					     l->why);
		if (!err)
			err = load_opened(l, lp_secret_span(&opened));
	}
	lp_secret_clear(&bytes);
	lp_secret_clear(&opened);
	return err;
}

/* Certificates and parameters may stand beside the key, as nginx and HAProxy have
 * them; the first private key counts. */
static enum lp_err load_pem(const struct load *l, lp_span bytes)
{
	static const char tail[] = "PRIVATE KEY";
	const size_t n = sizeof tail - 1;
	struct lp_cursor file = lp_cursor_span(bytes);
	struct lp_pem pem;
	enum lp_err err;

	while (!(err = lp_pem_next(&file, &pem)))
		if (pem.label.n >= n && !memcmp(pem.label.p + pem.label.n - n, tail, n))
			return load_block(l, &pem);
	if (err == LP_EOF)
		return fail(l, LP_E_FORMAT, "there is no private key among its PEM blocks");
	return damaged(l, "PEM text");
}

enum lp_err lp_key_load(struct lp_key *out, lp_span bytes, lp_span passphrase, char why[LP_KEY_WHY])
{
	static const char begin[] = "-----BEGIN ";
	const struct load l = { out, passphrase, why };
	bool pem = false;
	enum lp_err err;

	memset(out, 0, sizeof *out);
	why[0] = '\0';
	if (bytes.n > FILE_MAX)
		return fail(&l, LP_E_FORMAT, "it is longer than %d bytes", FILE_MAX);
	for (size_t i = 0; !pem && i + sizeof begin - 1 <= bytes.n; i++)
		pem = !memcmp(bytes.p + i, begin, sizeof begin - 1);
	err = pem ? load_pem(&l, bytes) : load_der(&l, bytes);
	if (err)
		lp_key_clear(out);
	if (err && !why[0])
		snprintf(why, LP_KEY_WHY, "%s", lp_err_text(err));
	return err;
}

void lp_key_clear(struct lp_key *key)
{
	lp_secret_clear(&key->der);
	lp_wipe(key, sizeof *key);
}
