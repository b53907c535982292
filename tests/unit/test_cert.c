/* crypto/cert.c: certificates by the openssl program, and hostile ones by hand. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/log.h"
#include "crypto/cert.h"
#include "crypto/der.h"
#include "help_seal.h"
#include "help_tool.h"

static uint8_t der[HELP_FILE_MAX];

static const struct {
	const char *name, *make; /* writes k.pem */
	enum lp_cert_key kind;
	uint32_t bits;
} kinds[] = {
	{ "rsa", "openssl genrsa -out k.pem 1031", LP_CERT_KEY_RSA, 1031 },
	{ "ec", "openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-521 -out k.pem", LP_CERT_KEY_EC, 521 },
	{ "odd curve", "openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:sect283r1 -out k.pem",
	  LP_CERT_KEY_EC, 0 },
	{ "dsa", "openssl genpkey -genparam -algorithm DSA -pkeyopt pbits:1024 -out p && "
	  "openssl genpkey -paramfile p -out k.pem", LP_CERT_KEY_DSA, 1024 },
	{ "ed25519", "openssl genpkey -algorithm ED25519 -out k.pem", LP_CERT_KEY_OTHER, 0 },
	{ "dh", "openssl genpkey -algorithm DH -pkeyopt group:ffdhe2048 -out k.pem",
	  LP_CERT_KEY_DH, 2048 },
};

START_TEST(key_and_fingerprints_of_each_kind)
{
	struct help_dir d;
	struct lp_cert c;
	uint8_t want[32];
	size_t n;

	if (!help_have_openssl())
		return;
	help_dir_open(&d);
	/* Signed by another key, so that one for key agreement can have one too. */
	ck_assert(help_run(&d, "%s && openssl req -x509 -newkey rsa:1024 -nodes -keyout ca.key -out ca.pem "
			       "-subj /CN=ca && openssl pkey -in k.pem -pubout -out pub.pem && "
			       "openssl req -new -key ca.key -subj /CN=%s -out csr && "
			       "openssl x509 -req -in csr -CA ca.pem -CAkey ca.key -force_pubkey pub.pem "
			       "-set_serial 0xA1B2 -days 2 -outform DER -out c.der",
			   kinds[_i].make, "x"));
	ck_assert(help_run(&d, "openssl pkey -in k.pem -pubout -outform DER | openssl dgst -sha256 -binary -out spki; "
			       "openssl dgst -sha1 -binary -out sha1 c.der; "
			       "openssl dgst -sha256 -binary -out sha256 c.der"));
	n = help_read(&d, "c.der", der, sizeof der);
	ck_assert_int_eq(lp_cert_read(&c, &lp_crypto_mbedtls, lp_span_of(der, n)), LP_OK);
	ck_assert(c.has_key && c.has_text);
	ck_assert_int_eq(c.key_kind, kinds[_i].kind);
	ck_assert_msg(c.key_bits == kinds[_i].bits, "%s: %u bits", kinds[_i].name, c.key_bits);
	help_read(&d, "spki", want, 32);
	ck_assert_mem_eq(c.spki_sha256, want, 32);
	help_read(&d, "sha1", want, 20);
	ck_assert_mem_eq(c.sha1, want, 20);
	help_read(&d, "sha256", want, 32);
	ck_assert_mem_eq(c.sha256, want, 32);
	ck_assert_str_eq(c.subject, "CN=x");
	ck_assert_str_eq(c.issuer, "CN=ca");
	ck_assert_str_eq(c.serial, "00:A1:B2");
	help_dir_close(&d);
}
END_TEST

START_TEST(names_as_suricata_writes_them)
{
	struct help_dir d;
	struct lp_cert c;
	size_t n;

	if (!help_have_openssl())
		return;
	help_dir_open(&d);
	ck_assert(help_run(&d, "openssl req -x509 -newkey rsa:1024 -nodes -keyout k -set_serial 10 -utf8 -outform DER "
			       "-out c.der -days 2 -subj '/C=DE/ST=Bayern/L=M\xc3\xbcnchen/O=Acme, Inc./OU=a+UID=u1/"
			       "serialNumber=7/street=x/DC=test/emailAddress=a@b.de/CN=www.x.de'"));
	n = help_read(&d, "c.der", der, sizeof der);
	ck_assert_int_eq(lp_cert_read(&c, &lp_crypto_mbedtls, lp_span_of(der, n)), LP_OK);
	ck_assert(c.has_text);
	ck_assert_str_eq(c.subject, "C=DE, ST=Bayern, L=M\xc3\xbcnchen, O=Acme, Inc., OU=a + "
				    "OID(0.9.2342.19200300.100.1.1)=u1, serialNumber=7, streetAddress=x, DC=test, "
				    "Email=a@b.de, CN=www.x.de");
	ck_assert_str_eq(c.issuer, c.subject);
	ck_assert_str_eq(c.serial, "0A");
	help_dir_close(&d);
}
END_TEST

/* ---- by hand ---- */

struct parts {
	lp_span serial, name, not_before, not_after;
	unsigned time_tag;
};

/* A certificate with these pieces, an RSA key of a few bits and no signature. */
static lp_span build(uint8_t *mem, size_t size, const struct parts *p)
{
	struct lp_der_out o = lp_der_out_of(mem, size);
	size_t end, spki;

	spki = o.at;
	lp_der_put_unsigned(&o, lp_span_of("\3", 1));
	lp_der_put_unsigned(&o, lp_span_of("\x01\x23\x45", 3));
	lp_der_put_header(&o, LP_DER_SEQUENCE, spki);
	lp_der_put(&o, "", 1);
	lp_der_put_header(&o, LP_DER_BIT_STRING, spki);
	end = o.at;
	lp_der_put_element(&o, LP_DER_OID, lp_span_of("\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01", 9));
	lp_der_put_header(&o, LP_DER_SEQUENCE, end);
	lp_der_put_header(&o, LP_DER_SEQUENCE, spki);
	lp_der_put_element(&o, LP_DER_SEQUENCE, p->name);
	end = o.at;
	lp_der_put_element(&o, p->time_tag, p->not_after);
	lp_der_put_element(&o, p->time_tag, p->not_before);
	lp_der_put_header(&o, LP_DER_SEQUENCE, end);
	lp_der_put_element(&o, LP_DER_SEQUENCE, p->name);
	lp_der_put_element(&o, LP_DER_SEQUENCE, (lp_span){ NULL, 0 });
	lp_der_put_element(&o, LP_DER_INTEGER, p->serial);
	lp_der_put_header(&o, LP_DER_SEQUENCE, size);
	lp_der_put_header(&o, LP_DER_SEQUENCE, size);
	ck_assert(!o.full);
	return lp_der_out_span(&o);
}

static struct lp_cert read_built(const struct parts *p)
{
	static uint8_t mem[HELP_FILE_MAX];
	struct lp_cert c;

	ck_assert_int_eq(lp_cert_read(&c, &lp_crypto_mbedtls, build(mem, sizeof mem, p)), LP_OK);
	ck_assert(c.has_key);
	ck_assert_int_eq(c.key_kind, LP_CERT_KEY_RSA);
	ck_assert_uint_eq(c.key_bits, 17);
	return c;
}

/* One attribute CN of this type. */
static lp_span common_name(uint8_t *mem, size_t size, unsigned tag, lp_span value)
{
	struct lp_der_out o = lp_der_out_of(mem, size);

	lp_der_put_element(&o, tag, value);
	lp_der_put_element(&o, LP_DER_OID, lp_span_of("\x55\x04\x03", 3));
	lp_der_put_header(&o, LP_DER_SEQUENCE, size);
	lp_der_put_header(&o, LP_DER_SET, size);
	ck_assert(!o.full);
	return lp_der_out_span(&o);
}

static const struct parts plain = {
	.serial = { (const uint8_t *)"\1", 1 },
	.not_before = { (const uint8_t *)"260101000000Z", 13 },
	.not_after = { (const uint8_t *)"260101000000Z", 13 },
	.time_tag = LP_DER_UTC_TIME,
};

START_TEST(strings_of_every_kind)
{
	static const struct {
		unsigned tag;
		const char *in;
		size_t n;
		const char *want;
	} v[] = {
		{ LP_DER_UTF8_STRING, "\xc3\xa4", 2, "CN=\xc3\xa4" },
		{ LP_DER_PRINTABLE_STRING, "a b", 3, "CN=a b" },
		{ LP_DER_UTF8_STRING, "a\n\0\\\x1b[31m", 9, "CN=a\\x0A\\x00\\x5C\\x1B[31m" },
		{ LP_DER_UTF8_STRING, "\xe2\x80\xae" "x", 4, "CN=\\xE2\\x80\\xAEx" },
		{ LP_DER_T61_STRING, "\xfc", 1, "CN=\\xFC" },
		{ LP_DER_BMP_STRING, "\0x\0\xfc\x20\xac", 6, "CN=x\xc3\xbc\xe2\x82\xac" },
		{ LP_DER_BMP_STRING, "\xd8\x3d\xdd\x11", 4, "CN=\xf0\x9f\x94\x91" },
		{ LP_DER_BMP_STRING, "\0\n\0x\0", 5, "CN=\\x0Ax" },
		{ LP_DER_UNIVERSAL_STRING, "\0\0\0x\0\1\xf5\x11", 8, "CN=x\xf0\x9f\x94\x91" },
		{ LP_DER_OCTET_STRING, "\x0a\xff", 2, "CN=0AFF" },
		{ LP_DER_UTF8_STRING, "", 0, "CN=" },
	};
	uint8_t mem[256];
	struct parts p = plain;

	for (size_t i = 0; i < sizeof v / sizeof v[0]; i++) {
		p.name = common_name(mem, sizeof mem, v[i].tag, lp_span_of(v[i].in, v[i].n));
		const struct lp_cert c = read_built(&p);

		ck_assert(c.has_text);
		ck_assert_msg(!strcasecmp(c.subject, v[i].want), "%zu: %s", i, c.subject);
		ck_assert_str_eq(c.subject, c.issuer);
	}
	p.name = (lp_span){ NULL, 0 }; /* legal: the name is in an extension */
	ck_assert(read_built(&p).has_text);
	ck_assert_str_eq(read_built(&p).subject, "");
}
END_TEST

/* Text that is too long is cut at a whole character, never spills, and costs no
 * more time than its length. */
START_TEST(long_text_is_cut)
{
	static uint8_t value[20000], name[20100];
	static const unsigned tags[] = { LP_DER_UTF8_STRING, LP_DER_BMP_STRING, LP_DER_UNIVERSAL_STRING,
					 LP_DER_OCTET_STRING };
	static const uint8_t fills[] = { 'x', 0xc3, 0x0a };
	struct parts p = plain;
	struct lp_cert c;

	for (size_t t = 0; t < 4; t++)
		for (size_t f = 0; f < 3; f++) {
			memset(value, fills[f], sizeof value);
			p.name = common_name(name, sizeof name, tags[t], lp_span_of(value, sizeof value));
			c = read_built(&p);
			ck_assert(c.has_text);
			ck_assert_uint_lt(strlen(c.subject), LP_CERT_NAME);
			ck_assert_uint_gt(strlen(c.subject), LP_CERT_NAME - 8);
		}
	p.name = (lp_span){ NULL, 0 };
	p.serial = lp_span_of(value, 5000);
	c = read_built(&p);
	ck_assert(c.has_text);
	ck_assert_uint_eq(strlen(c.serial) % 3, 2);
	ck_assert_uint_gt(strlen(c.serial), LP_CERT_SERIAL - 5);
}
END_TEST

START_TEST(times)
{
	static const struct {
		unsigned tag;
		const char *in, *want;
	} v[] = {
		{ LP_DER_UTC_TIME, "261121000000Z", "2026-11-21T00:00:00" },
		{ LP_DER_UTC_TIME, "491231235959Z", "2049-12-31T23:59:59" },
		{ LP_DER_UTC_TIME, "500101000000Z", "1950-01-01T00:00:00" },
		{ LP_DER_UTC_TIME, "9912312359Z", "1999-12-31T23:59:00" },
		{ LP_DER_GENERALIZED_TIME, "20500101000000Z", "2050-01-01T00:00:00" },
		{ LP_DER_GENERALIZED_TIME, "99991231235959Z", "9999-12-31T23:59:59" },
		{ LP_DER_UTC_TIME, "261321000000Z", "" },
		{ LP_DER_UTC_TIME, "260021000000Z", "" },
		{ LP_DER_UTC_TIME, "261121000000", "" },
		{ LP_DER_UTC_TIME, "261121000000+0100", "" },
		{ LP_DER_UTC_TIME, "26112x000000Z", "" },
		{ LP_DER_UTC_TIME, "", "" },
		{ LP_DER_OCTET_STRING, "261121000000Z", "" },
	};
	struct parts p = plain;

	for (size_t i = 0; i < sizeof v / sizeof v[0]; i++) {
		p.time_tag = v[i].tag;
		p.not_before = lp_span_of(v[i].in, strlen(v[i].in));
		p.not_after = p.not_before;
		const struct lp_cert c = read_built(&p);

		ck_assert_str_eq(c.not_before, v[i].want);
		ck_assert_str_eq(c.not_after, v[i].want);
		ck_assert(c.has_text);
	}
}
END_TEST

/* The key counts even where the text is nonsense. */
START_TEST(key_without_text)
{
	struct parts p = plain;
	struct lp_cert c;

	p.name = lp_span_of("\x31\x02\x30\x7f", 4);
	c = read_built(&p);
	ck_assert(!c.has_text);
	p.name = lp_span_of("\x04\x00", 2);
	c = read_built(&p);
	ck_assert(!c.has_text);
}
END_TEST

START_TEST(damage_never_crashes)
{
	struct help_dir d;
	struct lp_cert c;
	size_t n;

	if (!help_have_openssl())
		return;
	help_dir_open(&d);
	ck_assert(help_run(&d, "openssl req -x509 -newkey rsa:512 -nodes -keyout k -outform DER -out c.der -days 2 "
			       "-subj '/C=DE/O=a+OU=b/CN=x'"));
	n = help_read(&d, "c.der", der, sizeof der);
	for (size_t i = 0; i < n; i++)
		for (uint32_t flip = 1; flip < 256; flip *= 3) {
			der[i] ^= (uint8_t)flip;
			if (!lp_cert_read(&c, &lp_crypto_mbedtls, lp_span_of(der, n))) {
				ck_assert(c.has_key);
				ck_assert_ptr_nonnull(memchr(c.subject, 0, sizeof c.subject));
				ck_assert_ptr_nonnull(memchr(c.issuer, 0, sizeof c.issuer));
				ck_assert_ptr_nonnull(memchr(c.serial, 0, sizeof c.serial));
			}
			der[i] ^= (uint8_t)flip;
		}
	for (size_t cut = 0; cut < n; cut++) {
		uint8_t *exact = malloc(cut);

		if (cut)
			memcpy(exact, der, cut);
		ck_assert_int_eq(lp_cert_read(&c, &lp_crypto_mbedtls, lp_span_of(exact, cut)), LP_E_FORMAT);
		ck_assert(!c.has_key && !c.has_text);
		free(exact);
	}
	help_dir_close(&d);
}
END_TEST

Suite *suite_cert(void)
{
	Suite *s = suite_create("cert");
	TCase *t = tcase_create("cert");

	tcase_set_timeout(t, 60);
	tcase_add_loop_test(t, key_and_fingerprints_of_each_kind, 0, (int)(sizeof kinds / sizeof kinds[0]));
	tcase_add_test(t, names_as_suricata_writes_them);
	tcase_add_test(t, strings_of_every_kind);
	tcase_add_test(t, long_text_is_cut);
	tcase_add_test(t, times);
	tcase_add_test(t, key_without_text);
	tcase_add_test(t, damage_never_crashes);
	suite_add_tcase(s, t);
	return s;
}
