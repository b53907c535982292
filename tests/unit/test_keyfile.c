/* crypto/keyfile.c and what it stands on: der.c, pem.c, pbes.c, ec.c. The keys are
 * made by the openssl program when the test runs. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "crypto/der.h"
#include "crypto/ec.h"
#include "crypto/keyfile.h"
#include "crypto/pbes.h"
#include "help_tool.h"

static uint8_t bytes[HELP_FILE_MAX + 1];

static enum lp_err load(struct lp_key *k, const struct help_dir *d, const char *name,
			const char *passphrase, char why[LP_KEY_WHY])
{
	const size_t n = help_read(d, name, bytes, sizeof bytes);

	return lp_key_load(k, lp_span_of(bytes, n),
			   lp_span_of(passphrase, passphrase ? strlen(passphrase) : 0), why);
}

/* The SubjectPublicKeyInfo that openssl writes for the key file `name`, hashed. */
static void public_hash(const struct help_dir *d, const char *name, uint8_t out[32])
{
	ck_assert(help_run(d, "openssl pkey -in %s -pubout -outform DER -out pub && "
			      "openssl dgst -sha256 -binary -out hash pub", name));
	ck_assert_uint_eq(help_read(d, "hash", out, 32), 32);
}

static void expect_ok(const struct help_dir *d, const char *name, const char *passphrase,
		      enum lp_key_kind kind, uint32_t bits, const uint8_t spki[32])
{
	char why[LP_KEY_WHY];
	struct lp_key k;
	const enum lp_err err = load(&k, d, name, passphrase, why);

	ck_assert_msg(err == LP_OK, "%s: %s (%s)", name, lp_err_text(err), why);
	ck_assert_str_eq(why, "");
	ck_assert_int_eq(k.kind, kind);
	ck_assert_uint_eq(k.bits, bits);
	ck_assert_mem_eq(k.spki_sha256, spki, 32);
	ck_assert_uint_gt(k.der.n, 0);
	lp_key_clear(&k);
	ck_assert_ptr_null(k.der.p);
}

static void expect_fault(const struct help_dir *d, const char *name, const char *passphrase,
			 enum lp_err want, const char *says)
{
	char why[LP_KEY_WHY];
	struct lp_key k;
	const enum lp_err err = load(&k, d, name, passphrase, why);

	ck_assert_msg(err == want, "%s: %s (%s)", name, lp_err_text(err), why);
	ck_assert_msg(strstr(why, says) != NULL, "%s: why is '%s', not '%s'", name, why, says);
	ck_assert_ptr_null(k.der.p);
}

/* ---- every kind and form ---- */

static const struct {
	const char *make; /* writes k.pem */
	enum lp_key_kind kind;
	uint32_t bits;
} kinds[] = {
	{ "openssl genrsa -out k.pem 2048", LP_KEY_RSA, 2048 },
	{ "openssl genrsa -3 -out k.pem 1023", LP_KEY_RSA, 1023 },
	{ "openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out k.pem", LP_KEY_EC, 256 },
	{ "openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-384 -out k.pem", LP_KEY_EC, 384 },
	{ "openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-521 -out k.pem", LP_KEY_EC, 521 },
	{ "openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-224 -out k.pem", LP_KEY_EC, 224 },
	{ "openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-192 -out k.pem", LP_KEY_EC, 192 },
	{ "openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:secp256k1 -out k.pem", LP_KEY_EC, 256 },
	{ "openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:brainpoolP256r1 -out k.pem", LP_KEY_EC, 256 },
	{ "openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:brainpoolP384r1 -out k.pem", LP_KEY_EC, 384 },
	{ "openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:brainpoolP512r1 -out k.pem", LP_KEY_EC, 512 },
	{ "openssl genpkey -algorithm X25519 -out k.pem", LP_KEY_X25519, 255 },
	{ "openssl genpkey -algorithm X448 -out k.pem", LP_KEY_X448, 448 },
};

/* What the warden gets: the key itself in one form for each kind. */
static void check_der(const struct help_dir *d, enum lp_key_kind kind)
{
	static uint8_t want[HELP_FILE_MAX];
	char why[LP_KEY_WHY];
	struct lp_key k;
	size_t n;

	ck_assert_int_eq(load(&k, d, "k.pem", NULL, why), LP_OK);
	if (kind == LP_KEY_RSA || kind == LP_KEY_EC) {
		ck_assert(help_run(d, "openssl pkey -in k.pem -traditional -outform DER -out trad"));
		n = help_read(d, "trad", want, sizeof want);
	} else {
		ck_assert(help_run(d, "openssl pkey -in k.pem -outform DER -out p8"));
		n = help_read(d, "p8", want, sizeof want);
		ck_assert_uint_gt(n, k.der.n);
		memmove(want, want + n - k.der.n, k.der.n);
		n = kind == LP_KEY_X448 ? 56 : 32;
	}
	ck_assert_uint_eq(k.der.n, n);
	ck_assert_mem_eq(k.der.p, want, n);
	lp_key_clear(&k);
}

START_TEST(each_kind_in_each_plain_form)
{
	const enum lp_key_kind kind = kinds[_i].kind;
	const uint32_t bits = kinds[_i].bits;
	struct help_dir d;
	uint8_t spki[32];

	if (!help_have_openssl())
		return;
	help_dir_open(&d);
	ck_assert(help_run(&d, "%s", kinds[_i].make));
	public_hash(&d, "k.pem", spki);
	expect_ok(&d, "k.pem", NULL, kind, bits, spki);
	expect_ok(&d, "k.pem", "not needed", kind, bits, spki);
	ck_assert(help_run(&d, "openssl pkey -in k.pem -outform DER -out k.der"));
	expect_ok(&d, "k.der", NULL, kind, bits, spki);
	ck_assert(help_run(&d, "openssl pkcs8 -topk8 -in k.pem -passout pass:geheim -out e.pem"));
	expect_ok(&d, "e.pem", "geheim", kind, bits, spki);
	expect_fault(&d, "e.pem", "Geheim", LP_E_PASSPHRASE, "does not open it");
	if (kind == LP_KEY_RSA || kind == LP_KEY_EC) {
		ck_assert(help_run(&d, "openssl pkey -in k.pem -traditional -out t.pem && "
				       "openssl pkey -in k.pem -traditional -outform DER -out t.der"));
		expect_ok(&d, "t.pem", NULL, kind, bits, spki);
		expect_ok(&d, "t.der", NULL, kind, bits, spki);
	}
	check_der(&d, kind);
	help_dir_close(&d);
}
END_TEST

/* ---- encryption ---- */

#define LONG_PASS "0123456789012345678901234567890123456789012345678901234567890123456789"

START_TEST(each_encryption)
{
	static const char *const ways[] = {
		/* the old PEM encryption */
		"openssl rsa -in k.pem -traditional -aes128 -passout file:pw -out e.pem",
		"openssl rsa -in k.pem -traditional -aes192 -passout file:pw -out e.pem",
		"openssl rsa -in k.pem -traditional -aes256 -passout file:pw -out e.pem",
		"openssl rsa -in k.pem -traditional -des3 -passout file:pw -out e.pem",
		/* PBES2 */
		"openssl pkcs8 -topk8 -in k.pem -passout file:pw -out e.pem",
		"openssl pkcs8 -topk8 -in k.pem -passout file:pw -out e.pem -outform DER",
		"openssl pkcs8 -topk8 -in k.pem -passout file:pw -out e.pem -v2 aes-128-cbc -v2prf hmacWithSHA1",
		"openssl pkcs8 -topk8 -in k.pem -passout file:pw -out e.pem -v2 aes-192-cbc -v2prf hmacWithSHA224",
		"openssl pkcs8 -topk8 -in k.pem -passout file:pw -out e.pem -v2 aes-256-cbc -v2prf hmacWithSHA384",
		"openssl pkcs8 -topk8 -in k.pem -passout file:pw -out e.pem -v2 aes-256-cbc -v2prf hmacWithSHA512",
		"openssl pkcs8 -topk8 -in k.pem -passout file:pw -out e.pem -v2 des3 -iter 77777",
		/* PBES1 */
		"openssl pkcs8 -topk8 -in k.pem -passout file:pw -out e.pem -v1 PBE-SHA1-3DES",
		"openssl pkcs8 -topk8 -in k.pem -passout file:pw -out e.pem -v1 PBE-SHA1-3DES -outform DER",
	};
	static const char *const passphrases[] = { "geheim", "p\xc3\xa4ssw\xc3\xb6rd \xe2\x82\xac \xf0\x9f\x94\x91", LONG_PASS };
	struct help_dir d;
	uint8_t spki[32];

	if (!help_have_openssl())
		return;
	help_dir_open(&d);
	ck_assert(help_run(&d, "openssl genrsa -out k.pem 1024"));
	public_hash(&d, "k.pem", spki);
	for (size_t p = 0; p < sizeof passphrases / sizeof passphrases[0]; p++) {
		help_write(&d, "pw", passphrases[p], strlen(passphrases[p]));
		for (size_t i = 0; i < sizeof ways / sizeof ways[0]; i++) {
			ck_assert_msg(help_run(&d, "%s", ways[i]), "%s", ways[i]);
			expect_ok(&d, "e.pem", passphrases[p], LP_KEY_RSA, 1024, spki);
			expect_fault(&d, "e.pem", NULL, LP_E_PASSPHRASE, "no passphrase was given");
			expect_fault(&d, "e.pem", "", LP_E_PASSPHRASE, "no passphrase was given");
			expect_fault(&d, "e.pem", "wrong", LP_E_PASSPHRASE, "does not open it");
		}
	}
	help_dir_close(&d);
}
END_TEST

/* One wrong passphrase in 256 gives a padding that looks right. */
START_TEST(no_wrong_passphrase_ever_opens)
{
	struct help_dir d;
	char pass[32];

	if (!help_have_openssl())
		return;
	help_dir_open(&d);
	ck_assert(help_run(&d, "openssl genrsa -out k.pem 512 && openssl rsa -in k.pem -traditional "
			       "-aes128 -passout pass:geheim -out e.pem"));
	for (int i = 0; i < 1500; i++) {
		snprintf(pass, sizeof pass, "guess%d", i);
		expect_fault(&d, "e.pem", pass, LP_E_PASSPHRASE, "does not open it");
	}
	help_dir_close(&d);
}
END_TEST

/* An EncryptedPrivateKeyInfo with this many rounds of PBKDF2 (RFC 8018 appendix A). */
static lp_span with_rounds(uint8_t *mem, size_t size, lp_span rounds)
{
	static const uint8_t zeros[16];
	struct lp_der_out o = lp_der_out_of(mem, size);
	size_t alg, params, kdf;

	lp_der_put_element(&o, LP_DER_OCTET_STRING, lp_span_of(zeros, 16));
	alg = o.at;
	params = o.at;
	lp_der_put_element(&o, LP_DER_OCTET_STRING, lp_span_of(zeros, 16));
	lp_der_put_element(&o, LP_DER_OID, lp_span_of("\x60\x86\x48\x01\x65\x03\x04\x01\x2a", 9));
	lp_der_put_header(&o, LP_DER_SEQUENCE, params);
	kdf = o.at;
	lp_der_put_unsigned(&o, rounds);
	lp_der_put_element(&o, LP_DER_OCTET_STRING, lp_span_of(zeros, 8));
	lp_der_put_header(&o, LP_DER_SEQUENCE, kdf);
	lp_der_put_element(&o, LP_DER_OID, lp_span_of("\x2a\x86\x48\x86\xf7\x0d\x01\x05\x0c", 9));
	lp_der_put_header(&o, LP_DER_SEQUENCE, kdf);
	lp_der_put_header(&o, LP_DER_SEQUENCE, params);
	lp_der_put_element(&o, LP_DER_OID, lp_span_of("\x2a\x86\x48\x86\xf7\x0d\x01\x05\x0d", 9));
	lp_der_put_header(&o, LP_DER_SEQUENCE, alg);
	lp_der_put_header(&o, LP_DER_SEQUENCE, size);
	ck_assert(!o.full);
	return lp_der_out_span(&o);
}

START_TEST(rounds_are_capped)
{
	static const struct {
		const char *number;
		size_t n;
		enum lp_err want;
		const char *says;
	} cases[] = {
		{ "\x64", 1, LP_E_PASSPHRASE, "does not open" },
		{ "\x98\x96\x81", 3, LP_E_UNSUPPORTED, "more than 10000000 times" },
		{ "\xff\xff\xff\xff", 4, LP_E_UNSUPPORTED, "more than 10000000 times" },
		{ "\x01\x00\x00\x00\x00", 5, LP_E_UNSUPPORTED, "more than 10000000 times" },
		{ "\x00", 1, LP_E_FORMAT, "damaged" },
	};
	uint8_t mem[256];
	char why[LP_KEY_WHY];
	struct lp_key k;

	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		const lp_span rounds = lp_span_of(cases[i].number, cases[i].n);
		const lp_span der = with_rounds(mem, sizeof mem, rounds);

		ck_assert_int_eq(lp_key_load(&k, der, lp_span_of("x", 1), why), cases[i].want);
		ck_assert_msg(strstr(why, cases[i].says) != NULL, "%zu: %s", i, why);
	}
}
END_TEST

/* ---- what stands around a key, and odd spellings of one ---- */

START_TEST(bundles_and_spellings)
{
	struct help_dir d;
	uint8_t spki[32], other[32];

	if (!help_have_openssl())
		return;
	help_dir_open(&d);
	ck_assert(help_run(&d, "openssl req -x509 -newkey rsa:1024 -nodes -keyout k.pem -out c.pem "
			       "-subj /CN=x -days 2"));
	public_hash(&d, "k.pem", spki);
	ck_assert(help_run(&d, "cat c.pem c.pem k.pem > ha.pem; (echo 'Bag Attributes'; echo; cat k.pem; "
			       "echo 'subject=x'; cat c.pem) > p12.pem"));
	expect_ok(&d, "ha.pem", NULL, LP_KEY_RSA, 1024, spki);
	expect_ok(&d, "p12.pem", NULL, LP_KEY_RSA, 1024, spki);
	ck_assert(help_run(&d, "sed 's/$/\\r/' ha.pem > crlf.pem; sed 's/^/  /' k.pem > indented.pem; "
			       "printf '\\357\\273\\277' | cat - k.pem > bom.pem; "
			       "openssl pkey -in k.pem -traditional | tr -d '\\n' | "
			       "sed 's/KEY-----/KEY-----\\n/;s/-----END/\\n-----END/' > oneline.pem"));
	expect_ok(&d, "crlf.pem", NULL, LP_KEY_RSA, 1024, spki);
	expect_ok(&d, "indented.pem", NULL, LP_KEY_RSA, 1024, spki);
	expect_ok(&d, "oneline.pem", NULL, LP_KEY_RSA, 1024, spki);
	/* A byte order mark before the first line hides it: what no other program reads
	 * either gets a clear answer. */
	expect_fault(&d, "bom.pem", NULL, LP_E_FORMAT, "no private key");
	ck_assert(help_run(&d, "openssl ecparam -name prime256v1 -genkey -out ec.pem"));
	public_hash(&d, "ec.pem", other);
	expect_ok(&d, "ec.pem", NULL, LP_KEY_EC, 256, other);
	ck_assert(help_run(&d, "cat k.pem ec.pem > two.pem; cat ec.pem k.pem > owt.pem"));
	expect_ok(&d, "two.pem", NULL, LP_KEY_RSA, 1024, spki);
	expect_ok(&d, "owt.pem", NULL, LP_KEY_EC, 256, other);
	ck_assert(help_run(&d, "openssl ec -in ec.pem -no_public -out nopub.pem"));
	expect_ok(&d, "nopub.pem", NULL, LP_KEY_EC, 256, other);
	ck_assert(help_run(&d, "openssl ec -in ec.pem -aes256 -passout pass:x -out ecenc.pem"));
	expect_ok(&d, "ecenc.pem", "x", LP_KEY_EC, 256, other);
	ck_assert(help_run(&d, "openssl ec -in ec.pem -conv_form compressed -out comp.pem"));
	public_hash(&d, "comp.pem", other);
	expect_ok(&d, "comp.pem", NULL, LP_KEY_EC, 256, other);
	ck_assert(help_run(&d, "openssl ec -in ec.pem -conv_form hybrid -out hybrid.pem"));
	public_hash(&d, "hybrid.pem", other);
	expect_ok(&d, "hybrid.pem", NULL, LP_KEY_EC, 256, other);
	help_dir_close(&d);
}
END_TEST

START_TEST(what_is_no_usable_key_is_named)
{
	struct help_dir d;

	if (!help_have_openssl())
		return;
	help_dir_open(&d);
	ck_assert(help_run(&d, "openssl req -x509 -newkey rsa:1024 -nodes -keyout k.pem -out c.pem "
			       "-subj /CN=x -days 2 && openssl x509 -in c.pem -outform DER -out c.der && "
			       "openssl pkey -in k.pem -pubout -out pub.pem && "
			       "openssl pkey -in k.pem -pubout -outform DER -out pub.der && "
			       "openssl pkcs12 -export -inkey k.pem -in c.pem -passout pass:x -out k.p12"));
	expect_fault(&d, "c.pem", NULL, LP_E_FORMAT, "no private key among its PEM blocks");
	expect_fault(&d, "c.der", NULL, LP_E_FORMAT, "a certificate or a public key");
	expect_fault(&d, "pub.pem", NULL, LP_E_FORMAT, "no private key among its PEM blocks");
	expect_fault(&d, "pub.der", NULL, LP_E_FORMAT, "a certificate or a public key");
	expect_fault(&d, "k.p12", "x", LP_E_UNSUPPORTED, "PKCS#12");
	ck_assert(help_run(&d, "openssl genpkey -algorithm ED25519 -out ed.pem && "
			       "openssl genpkey -algorithm ED448 -out ed4.pem && "
			       "openssl genpkey -algorithm RSA-PSS -pkeyopt rsa_keygen_bits:1024 -out pss.pem && "
			       "openssl genpkey -genparam -algorithm DSA -pkeyopt pbits:1024 -out dsap && "
			       "openssl genpkey -paramfile dsap -out dsa.pem && "
			       "openssl pkey -in dsa.pem -traditional -out dsat.pem && "
			       "openssl genpkey -algorithm DH -pkeyopt group:ffdhe2048 -out dh.pem"));
	expect_fault(&d, "ed.pem", NULL, LP_E_UNSUPPORTED, "Ed25519");
	expect_fault(&d, "ed4.pem", NULL, LP_E_UNSUPPORTED, "Ed448");
	expect_fault(&d, "pss.pem", NULL, LP_E_UNSUPPORTED, "RSA-PSS");
	expect_fault(&d, "dsa.pem", NULL, LP_E_UNSUPPORTED, "DSA");
	expect_fault(&d, "dsat.pem", NULL, LP_E_UNSUPPORTED, "DSA");
	expect_fault(&d, "dh.pem", NULL, LP_E_UNSUPPORTED, "Diffie-Hellman");
	ck_assert(help_run(&d, "openssl ecparam -name prime256v1 -genkey -param_enc explicit -out expl.pem && "
			       "openssl ecparam -name sect283r1 -genkey -out sect.pem && "
			       "openssl genrsa -primes 3 -out three.pem 1024"));
	expect_fault(&d, "expl.pem", NULL, LP_E_UNSUPPORTED, "spelled out");
	expect_fault(&d, "sect.pem", NULL, LP_E_UNSUPPORTED, "1.3.132.0.17");
	expect_fault(&d, "three.pem", NULL, LP_E_UNSUPPORTED, "two primes");
	ck_assert(help_run(&d, "openssl pkcs8 -topk8 -in k.pem -passout pass:x -scrypt -out scrypt.pem && "
			       "openssl pkcs8 -topk8 -in k.pem -passout pass:x -v2 aria-256-cbc -out aria.pem && "
			       "openssl rsa -in k.pem -traditional -camellia256 -passout pass:x -out cam.pem"));
	expect_fault(&d, "scrypt.pem", "x", LP_E_UNSUPPORTED, "scrypt");
	expect_fault(&d, "aria.pem", "x", LP_E_UNSUPPORTED, "1.2.410.200046.1.1.12");
	expect_fault(&d, "cam.pem", "x", LP_E_UNSUPPORTED, "CAMELLIA-256-CBC");
	ck_assert(help_run(&d, "for w in BEGIN AAAA END; do echo \"-----$w OPENSSH PRIVATE KEY-----\"; done "
			       "> ssh.pem"));
	expect_fault(&d, "ssh.pem", NULL, LP_E_UNSUPPORTED, "OpenSSH");
	ck_assert(help_run(&d, "head -5 k.pem > cut.pem; : > empty; sed '4s/./!/7' k.pem > bad.pem; "
			       "head -c 65537 /dev/zero > long; echo hello > text"));
	expect_fault(&d, "cut.pem", NULL, LP_E_FORMAT, "damaged");
	expect_fault(&d, "bad.pem", NULL, LP_E_FORMAT, "damaged");
	expect_fault(&d, "empty", NULL, LP_E_FORMAT, "no private key");
	expect_fault(&d, "text", NULL, LP_E_FORMAT, "no private key");
	expect_fault(&d, "long", NULL, LP_E_FORMAT, "longer than 65536");
	help_dir_close(&d);
}
END_TEST

/* ---- damage ---- */

/* Each byte changed in two ways, and each cut: never a crash (this runs under
 * ASan), and never a key that is not the right one. With strict, never a key. */
static void damage_everywhere(const struct help_dir *d, const char *name, const char *passphrase,
			      bool strict)
{
	static uint8_t file[HELP_FILE_MAX];
	const lp_span pass = lp_span_of(passphrase, passphrase ? strlen(passphrase) : 0);
	const size_t n = help_read(d, name, file, sizeof file);
	char why[LP_KEY_WHY];
	struct lp_key good, k;

	ck_assert_int_eq(lp_key_load(&good, lp_span_of(file, n), pass, why), LP_OK);
	for (size_t i = 0; i < n; i++) {
		static const uint8_t flips[] = { 0x01, 0xff };

		for (size_t f = 0; f < sizeof flips; f++) {
			enum lp_err err;

			file[i] ^= flips[f];
			err = lp_key_load(&k, lp_span_of(file, n), pass, why);
			ck_assert_msg(!strict || err, "%s: byte %zu", name, i);
			if (err)
				ck_assert_ptr_null(k.der.p);
			else
				ck_assert_msg(!memcmp(k.spki_sha256, good.spki_sha256, 32),
					      "%s: byte %zu ^ %02x", name, i, flips[f]);
			ck_assert_int_ne(why[0] == '\0', err != LP_OK);
			lp_key_clear(&k);
			file[i] ^= flips[f];
		}
	}
	for (size_t cut = 0; cut + 2 < n; cut++) {
		uint8_t *exact = malloc(cut); /* ASan sees a read behind it */

		if (cut)
			memcpy(exact, file, cut);
		ck_assert_int_ne(lp_key_load(&k, lp_span_of(exact, cut), pass, why), LP_OK);
		free(exact);
	}
	lp_key_clear(&good);
}

START_TEST(damage_is_noticed)
{
	struct help_dir d;

	if (!help_have_openssl())
		return;
	help_dir_open(&d);
	ck_assert(help_run(&d, "openssl genrsa -out k.pem 512 && openssl ecparam -name prime256v1 -genkey -noout "
			       "-out e.pem && openssl genpkey -algorithm X25519 -outform DER -out x.der"));
	ck_assert(help_run(&d, "openssl pkey -in k.pem -traditional -outform DER -out k.der && "
			       "openssl pkey -in e.pem -traditional -outform DER -out e.der && "
			       "openssl pkcs8 -topk8 -in e.pem -passout pass:x -outform DER -out p2.der && "
			       "openssl pkcs8 -topk8 -in e.pem -passout pass:x -v1 PBE-SHA1-3DES -outform DER -out p1.der && "
			       "openssl ec -in e.pem -aes128 -passout pass:x -out old.pem"));
	damage_everywhere(&d, "k.der", NULL, true);
	damage_everywhere(&d, "e.der", NULL, true);
	damage_everywhere(&d, "p2.der", "x", false);
	damage_everywhere(&d, "p1.der", "x", false);
	damage_everywhere(&d, "old.pem", "x", false);
	help_dir_close(&d);
}
END_TEST

/* Keys whose numbers are in order one by one but not of one key. */
START_TEST(halves_of_two_keys)
{
	static uint8_t a[HELP_FILE_MAX], b[HELP_FILE_MAX];
	struct help_dir d;
	size_t n;

	if (!help_have_openssl())
		return;
	help_dir_open(&d);
	ck_assert(help_run(&d, "for i in 1 2; do openssl ecparam -name secp384r1 -genkey -noout -outform DER "
			       "-out e$i.der; openssl genpkey -algorithm X25519 -outform DER -out x$i.der; done"));
	n = help_read(&d, "e1.der", a, sizeof a);
	ck_assert_uint_eq(help_read(&d, "e2.der", b, sizeof b), n);
	memcpy(a + n - 96, b + n - 96, 96); /* the point stands last */
	help_write(&d, "mixed.der", a, n);
	expect_fault(&d, "mixed.der", NULL, LP_E_MISMATCH, "does not belong");
	/* RFC 5958 allows the public half behind an X25519 key. */
	ck_assert_uint_eq(help_read(&d, "x1.der", a, sizeof a), 48);
	ck_assert(help_run(&d, "openssl pkey -inform DER -in x1.der -pubout -outform DER -out pub"));
	ck_assert_uint_eq(help_read(&d, "pub", b, sizeof b), 44);
	a[1] = 48 + 35 - 2;
	a[4] = 1;
	a[48] = 0x81;
	a[49] = 33;
	a[50] = 0;
	memcpy(a + 51, b + 12, 32);
	help_write(&d, "v2.der", a, 83);
	public_hash(&d, "x1.der -inform DER", b);
	expect_ok(&d, "v2.der", NULL, LP_KEY_X25519, 255, b);
	a[60] ^= 1;
	help_write(&d, "v2.der", a, 83);
	expect_fault(&d, "v2.der", NULL, LP_E_MISMATCH, "does not belong");
	help_dir_close(&d);
}
END_TEST

/* RFC 7748 section 5.2, first iteration: the base point times itself. */
START_TEST(montgomery_vectors)
{
	static const struct {
		const char *oid;
		uint8_t first;
		size_t size;
		const char *pub;
	} v[] = {
		{ "\x2b\x65\x6e", 9, 32,
		  "422c8e7a6227d7bca1350b3e2bb7279f7897b87bb6854b783c60e80311ae3079" },
		{ "\x2b\x65\x6f", 5, 56,
		  "3f482c8a9f19b01e6c46ee9711d9dc14fd4bf67af30765c2ae2b846a4d23a8cd"
		  "0db897086239492caf350b51f833868b9bc2b3bca9cf4113" },
	};
	uint8_t d[56], want[56], got[LP_EC_POINT_MAX];
	size_t n;

	for (size_t i = 0; i < 2; i++) {
		const struct lp_ec_curve *c = lp_ec_curve_find(lp_span_of(v[i].oid, 3));
		const size_t size = v[i].size;

		ck_assert_ptr_nonnull(c);
		ck_assert_int_eq(lp_text_unhex(want, size, v[i].pub, 2 * size), LP_OK);
		memset(d, 0, sizeof d);
		d[0] = v[i].first;
		ck_assert_int_eq(lp_ec_public(c, lp_span_of(d, size), got, &n), LP_OK);
		ck_assert_uint_eq(n, size);
		ck_assert_mem_eq(got, want, size);
		d[0] ^= 3; /* bits that do not count */
		d[size - 1] ^= size == 32 ? 0xc0 : 0x80;
		ck_assert_int_eq(lp_ec_public(c, lp_span_of(d, size), got, &n), LP_OK);
		ck_assert_mem_eq(got, want, size);
		d[1] ^= 1; /* one that does */
		ck_assert_int_eq(lp_ec_public(c, lp_span_of(d, size), got, &n), LP_OK);
		ck_assert_mem_ne(got, want, size);
		ck_assert_int_eq(lp_ec_public(c, lp_span_of(d, size - 1), got, &n), LP_E_FORMAT);
	}
}
END_TEST

/* ---- der ---- */

START_TEST(der_reads_and_writes)
{
	static const uint8_t in[] = { 0x30, 0x0b, 2, 2, 0, 0x80, 6, 1, 0x2a, 5, 0, 4, 0, 0xff };
	struct lp_cursor c = lp_cursor_of(in, 13), q;
	struct lp_der_out o;
	static const uint8_t zeros[300];
	uint8_t mem[400], tiny[3];
	char text[LP_DER_OID_TEXT];

	q = lp_der_enter(&c, LP_DER_SEQUENCE);
	ck_assert_int_eq(lp_cursor_end(&c), LP_OK);
	ck_assert_int_eq(lp_der_peek(&q), LP_DER_INTEGER);
	ck_assert_uint_eq(lp_der_u32(&q), 128);
	ck_assert_str_eq(lp_der_oid_text(text, lp_der_take(&q, LP_DER_OID)), "1.2");
	ck_assert_uint_eq(lp_der_next(&q).whole.n, 2);
	ck_assert_uint_eq(lp_der_take(&q, LP_DER_OCTET_STRING).n, 0);
	ck_assert_int_eq(lp_cursor_end(&q), LP_OK);
	/* lengths that lie, indefinite ones, ones of five bytes, and high tags */
	for (size_t i = 0; i < 5; i++) {
		static const uint8_t bad[5][7] = {
			{ 4, 6, 0, 0, 0, 0, 0 }, { 4, 0x80, 0, 0 }, { 4, 0x85, 0, 0, 0, 0, 1 },
			{ 0x1f, 1, 0 }, { 4, 0x84, 0xff, 0xff, 0xff, 0xff, 1 },
		};

		c = lp_cursor_of(bad[i], sizeof bad[i]);
		ck_assert_ptr_null(lp_der_next(&c).whole.p);
		ck_assert(c.bad);
	}
	c = lp_cursor_of("\2\1\x80", 3); /* negative */
	ck_assert_uint_eq(lp_der_u32(&c), 0);
	ck_assert(c.bad);
	c = lp_cursor_of("\3\2\4\xf0", 4); /* unused bits */
	ck_assert_uint_eq(lp_der_bits(&c).n, 0);
	ck_assert(c.bad);
	for (size_t n = 0; n < 300; n += 43) { /* lengths of one, two and three bytes */
		o = lp_der_out_of(mem, sizeof mem);
		lp_der_put(&o, zeros, n);
		lp_der_put_header(&o, LP_DER_OCTET_STRING, sizeof mem);
		c = lp_cursor_span(lp_der_out_span(&o));
		ck_assert_uint_eq(lp_der_take(&c, LP_DER_OCTET_STRING).n, n);
		ck_assert_int_eq(lp_cursor_end(&c), LP_OK);
	}
	o = lp_der_out_of(tiny, sizeof tiny);
	lp_der_put_unsigned(&o, lp_span_of("\x80", 1));
	ck_assert(o.full);
	ck_assert_str_eq(lp_der_oid_text(text, lp_span_of("\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01", 9)),
			 "1.2.840.113549.1.1.1");
	ck_assert_str_eq(lp_der_oid_text(text, lp_span_of("\x88\x37\x03", 3)), "2.999.3");
	ck_assert_str_eq(lp_der_oid_text(text, lp_span_of(NULL, 0)), "?");
	memset(mem, 0xff, sizeof mem);
	ck_assert_str_eq(lp_der_oid_text(text, lp_span_of(mem, sizeof mem)), "?");
	memset(mem, 0x7f, sizeof mem);
	ck_assert_uint_lt(strlen(lp_der_oid_text(text, lp_span_of(mem, sizeof mem))), LP_DER_OID_TEXT);
}
END_TEST

Suite *suite_keyfile(void)
{
	Suite *s = suite_create("keyfile");
	TCase *t = tcase_create("keyfile");

	tcase_set_timeout(t, 120);
	tcase_add_test(t, der_reads_and_writes);
	tcase_add_test(t, montgomery_vectors);
	tcase_add_loop_test(t, each_kind_in_each_plain_form, 0, (int)(sizeof kinds / sizeof kinds[0]));
	tcase_add_test(t, each_encryption);
	tcase_add_test(t, no_wrong_passphrase_ever_opens);
	tcase_add_test(t, rounds_are_capped);
	tcase_add_test(t, bundles_and_spellings);
	tcase_add_test(t, what_is_no_usable_key_is_named);
	tcase_add_test(t, damage_is_noticed);
	tcase_add_test(t, halves_of_two_keys);
	suite_add_tcase(s, t);
	return s;
}
