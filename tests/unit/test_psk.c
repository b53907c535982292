/* Pre-shared keys (warden/psks, premaster, keyring) and static ECDH (crypto/ec): the
 * files, the premaster secrets, and what the warden answers. */
#define _GNU_SOURCE
#include <check.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "crypto/ec.h"
#include "crypto/kdf.h"
#include "help_seal.h"
#include "help_warden.h"
#include "warden/keyring.h"
#include "warden/psks.h"

static struct help_dir dir;
static bool have_openssl;
static mbedtls_pk_context pub;

/* one.pem is an RSA key, ec.pem one for P-256. */
static void setup(void)
{
	have_openssl = help_have_openssl();
	help_dir_open(&dir);
	if (!have_openssl)
		return;
	ck_assert(help_run(&dir, "umask 077; openssl genrsa -out one.pem 1024 &&"
			   "openssl rsa -in one.pem -pubout -out one.pub &&"
			   "openssl ecparam -name prime256v1 -genkey -noout -out ec.pem"));
	help_public_open(&pub, &dir, "one.pub");
}

static void teardown(void)
{
	mbedtls_pk_free(&pub);
	help_dir_close(&dir);
}

/* ---- the file ---- */

static enum lp_err one(struct lp_psks *r, const char *text, struct lp_psk *out)
{
	ck_assert_int_eq(lp_psks_init(r, lp_span_of(text, strlen(text))), LP_OK);
	return lp_psks_next(r, out);
}

START_TEST(lines)
{
	static const struct {
		const char *text, *identity, *key;
	} good[] = {
		{ "Client_identity:1a2B3c", "Client_identity", "\x1a\x2b\x3c" },
		{ "a:b:c:00ff\r\nnext:01", "a:b:c", "\x00\xff" },
		{ "\n\n# of no use: 01\n#odd:01\n  spaces in it :7f \t\nx", "  spaces in it ", "\x7f" },
		{ "#436c69:ABCD\n", "Cli", "\xab\xcd" },
		{ ":ee", "", "\xee" },
		{ "#zz\n#:aa\n\xc3\xa9:55", "\xc3\xa9", "\x55" },
	};
	struct lp_psks r;
	struct lp_psk psk;

	for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
		size_t n = i == 0 ? 3 : i == 1 || i == 3 ? 2 : 1;

		ck_assert_int_eq(one(&r, good[i].text, &psk), LP_OK);
		ck_assert_uint_eq(psk.identity.n, strlen(good[i].identity));
		if (psk.identity.n)
			ck_assert_mem_eq(psk.identity.p, good[i].identity, psk.identity.n);
		ck_assert_uint_eq(psk.key.n, n);
		ck_assert_mem_eq(psk.key.p, good[i].key, n);
		lp_psks_clear(&r);
	}
}
END_TEST

START_TEST(lines_that_are_none)
{
	static char longer[2 * LP_PSK_MAX + 8] = "a:";
	static const struct {
		const char *text;
		unsigned line;
		const char *why;
	} bad[] = {
		{ "identity", 1, "no colon between identity and key" },
		{ "\n#\nidentity:", 3, "the key is empty" },
		{ "i:123", 1, "the key is not an even number of hexadecimal digits" },
		{ "i:0x12", 1, "the key is not an even number of hexadecimal digits" },
		{ "i:12 34", 1, "the key is not an even number of hexadecimal digits" },
		{ longer, 1, "the key is longer than 1024 bytes" },
	};
	static const char *const empty[] = { "", "\n", "# a:b\n\r\n \t\n" };
	struct lp_psks r;
	struct lp_psk psk;

	memset(longer + 2, '0', 2 * LP_PSK_MAX + 2);
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		ck_assert_int_eq(one(&r, bad[i].text, &psk), LP_E_FORMAT);
		ck_assert_uint_eq(r.line, bad[i].line);
		ck_assert_str_eq(r.why, bad[i].why);
		lp_psks_clear(&r);
	}
	for (size_t i = 0; i < sizeof empty / sizeof *empty; i++) {
		ck_assert_int_eq(one(&r, empty[i], &psk), LP_EOF);
		lp_psks_clear(&r);
	}
	longer[2 + 2 * LP_PSK_MAX] = '\0';
	ck_assert_int_eq(one(&r, longer, &psk), LP_OK);
	ck_assert_uint_eq(psk.key.n, LP_PSK_MAX);
	lp_psks_clear(&r);
}
END_TEST

static void start(struct lp_warden **w, const char *keys, const char *psks, bool strict,
		  char why[512])
{
	static char path[2][256];
	static const char *const paths[] = { path[0], path[1] };
	const struct lp_warden_config config = {
		.key_paths = paths, .key_paths_n = keys ? 1 : 0, .threads = 1,
		.psk_paths = paths + 1, .psk_paths_n = psks ? 1 : 0, .strict_key_modes = strict,
	};

	snprintf(path[0], sizeof path[0], "%s/%s", dir.path, keys ? keys : "");
	snprintf(path[1], sizeof path[1], "%s/%s", dir.path, psks ? psks : "");
	if (lp_warden_start(w, &config, why))
		*w = NULL;
}

/* The file counts like any with a secret in it. */
START_TEST(files)
{
	static char large[65537];
	char why[512];
	struct lp_warden *w;

	memset(large, '\n', sizeof large);
	help_write(&dir, "large", large, sizeof large);
	help_write(&dir, "bad", "a:01\nb:0123456789abcdeq\n", 24);
	help_write(&dir, "none", "# nothing\n", 10);
	help_write(&dir, "open", "a:01\n", 5);
	ck_assert(help_run(&dir, "chmod 600 large bad none; chmod 644 open; mkdir d"));
	start(&w, NULL, "bad", false, why);
	ck_assert_ptr_null(w);
	ck_assert_ptr_nonnull(strstr(why, "/bad: line 2: the key is not an even number"));
	ck_assert_ptr_null(strstr(why, "89abcdeq")); /* longer than what is random in the path */
	start(&w, NULL, "none", false, why);
	ck_assert_ptr_nonnull(strstr(why, "/none: no pre-shared key in it"));
	start(&w, NULL, "large", false, why);
	ck_assert_ptr_nonnull(strstr(why, "/large: larger than 64 KiB"));
	start(&w, NULL, "d", false, why);
	ck_assert_ptr_nonnull(strstr(why, "/d: not a regular file"));
	start(&w, NULL, "missing", false, why);
	ck_assert_ptr_nonnull(strstr(why, "/missing: No such file"));
	start(&w, NULL, "Client_identity:0011223344", false, why);
	ck_assert_ptr_null(w);
	ck_assert_ptr_nonnull(strstr(why, "--psk names a file"));
	ck_assert_ptr_null(strstr(why, "0011"));
	start(&w, NULL, "open", true, why);
	ck_assert_ptr_nonnull(strstr(why, "/open: readable by others (mode 0644), refused"));
	start(&w, NULL, "open", false, why);
	ck_assert_ptr_nonnull(w);
	lp_warden_stop(w);
}
END_TEST

/* ---- the premaster secret ---- */

START_TEST(premaster)
{
	static const uint8_t key[] = { 1, 2, 3 };
	static uint8_t out[LP_PREMASTER_PSK_ROOM], big[1025];
	const lp_span psk = lp_span_of(key, 3), none = { NULL, 0 };

	ck_assert_uint_eq(lp_premaster_psk(none, psk, out), 10);
	ck_assert_mem_eq(out, "\0\3\0\0\0\0\3\1\2\3", 10);
	ck_assert_uint_eq(lp_premaster_psk(lp_span_of("\xaa\xbb", 2), psk, out), 9);
	ck_assert_mem_eq(out, "\0\2\xaa\xbb\0\3\1\2\3", 9);
	ck_assert_uint_eq(lp_premaster_psk(lp_span_of(big, 1024), lp_span_of(big, 1024), out),
			  LP_PREMASTER_PSK_ROOM);
	ck_assert_uint_eq(lp_premaster_psk(lp_span_of(big, 1025), psk, out), 0);
	ck_assert_uint_eq(lp_premaster_psk(none, lp_span_of(big, 1025), out), 0);
}
END_TEST

/* ---- the warden ---- */

static void keep(void *user, const struct lp_answer *a)
{
	memcpy(user, a, sizeof *a);
}

static struct lp_answer ask_once(struct lp_warden *w, const struct lp_ask *ask)
{
	struct lp_answer a = { .code = LP_ANSWER_BUSY };

	ck_assert_int_eq(lp_line_ask(lp_warden_line(w, 0), ask), LP_OK);
	while (lp_line_pending(lp_warden_line(w, 0)))
		ck_assert_int_eq(lp_line_poll(lp_warden_line(w, 0), 20000, keep, &a), LP_OK);
	return a;
}

static void expect(struct lp_warden *w, const struct lp_ask *ask, lp_span premaster_secret)
{
	const struct lp_kdf kdf = { &lp_crypto_mbedtls, ask->version, (enum lp_digest)ask->prf, NULL };
	const struct lp_answer a = ask_once(w, ask);
	uint8_t master[48];

	ck_assert_int_eq(lp_kdf_master(&kdf, premaster_secret, ask->extended,
				       lp_span_of(ask->seed, ask->seed_len), master), LP_OK);
	ck_assert_int_eq(a.code, LP_ANSWER_DONE);
	ck_assert_uint_eq(a.secret_len, 48);
	ck_assert_mem_eq(a.secret, master, 48);
}

START_TEST(answers_with_psks)
{
	static const char text[] = "one:0102030405\ntwo:aa\ntwo:bb\ntwo:aa\n";
	const struct lp_warden_key *keys;
	struct lp_warden *w;
	struct lp_ask ask;
	uint8_t want[64], rsa[48], hash[32];
	const lp_span two = lp_span_of("two", 3);
	char why[512];
	size_t n;

	if (!have_openssl)
		return;
	help_write(&dir, "psks", text, sizeof text - 1);
	ck_assert(help_run(&dir, "chmod 600 psks"));
	start(&w, "one.pem", "psks", true, why);
	ck_assert_msg(w != NULL, "%s", why);
	keys = lp_warden_keys(w, &n);
	ck_assert_uint_eq(n, 4); /* a key that is there twice is kept once */
	ck_assert_int_eq(lp_digest_once(&lp_crypto_mbedtls, LP_SHA256, &two, 1, hash), LP_OK);
	for (size_t i = 1; i < n; i++) {
		ck_assert_uint_eq(keys[i].kind, LP_KEY_PSK);
		ck_assert_uint_eq(keys[i].bits, 0);
		ck_assert_int_eq(!memcmp(keys[i].spki_sha256, hash, 32), i > 1);
	}
	/* PSK, and with an ephemeral secret, in all versions, EMS or not. */
	help_ask(&ask, &pub, 0, 0, HELP_WELL, rsa);
	for (int i = 0; i < 4; i++) {
		struct lp_ask q = ask;

		q.op = LP_ASK_PSK;
		q.psk = 1;
		q.key = UINT32_MAX; /* does not count */
		q.input_len = 0;
		q.version = (uint16_t)(i < 2 ? 0x0303 : 0x0301);
		q.extended = i % 2;
		q.seed_len = (uint8_t)(!q.extended ? 64 : i < 2 ? 32 : 36);
		expect(w, &q, lp_span_of("\0\5\0\0\0\0\0\0\5\1\2\3\4\5", 14));
		q.input_len = 2;
		memcpy(q.input, "\0\7", 2); /* as it is: leading zeros are not ours to strip */
		expect(w, &q, lp_span_of("\0\2\0\7\0\5\1\2\3\4\5", 11));
		q.psk = 3;
		expect(w, &q, lp_span_of("\0\2\0\7\0\1\xbb", 7));
	}
	ask.op = LP_ASK_RSA_PSK;
	ask.psk = 2;
	memcpy(want, "\0\60", 2);
	memcpy(want + 2, rsa, 48);
	memcpy(want + 50, "\0\1\xaa", 3);
	expect(w, &ask, lp_span_of(want, 53));
	/* The same input as plain RSA: the decrypted block is common, the answer is not. */
	ask.op = LP_ASK_RSA;
	expect(w, &ask, lp_span_of(rsa, 48));
	ask.op = LP_ASK_RSA_PSK;
	ask.psk = 0; /* a key that is no PSK, and one that is not there */
	ck_assert_int_eq(ask_once(w, &ask).code, LP_ANSWER_NO_KEY);
	ask.psk = 4;
	ck_assert_int_eq(ask_once(w, &ask).code, LP_ANSWER_NO_KEY);
	ask.op = LP_ASK_PSK;
	ck_assert_int_eq(ask_once(w, &ask).code, LP_ANSWER_NO_KEY);
	ask.op = LP_ASK_RSA;
	ask.key = 1; /* a PSK is no RSA key */
	ck_assert_int_eq(ask_once(w, &ask).code, LP_ANSWER_NO_KEY);
	lp_warden_stop(w);
}
END_TEST

/* ---- static ECDH ---- */

/* A peer's key in file, the secret of the two by the openssl program. */
static void derive(const char *file, const char *curve, uint8_t *point, size_t *point_n,
		   uint8_t *secret, size_t *secret_n)
{
	uint8_t der[256];
	size_t n;

	ck_assert(help_run(&dir, "openssl ecparam -name %s -genkey -noout -out peer.pem &&"
			   "openssl pkey -in peer.pem -pubout -out peer.pub &&"
			   "openssl pkey -in peer.pem -pubout -outform DER -out peer.der &&"
			   "openssl pkeyutl -derive -inkey %s -peerkey peer.pub -out secret", curve,
			   file));
	*secret_n = help_read(&dir, "secret", secret, 66);
	n = help_read(&dir, "peer.der", der, sizeof der);
	*point_n = 1 + 2 * *secret_n;
	memcpy(point, der + n - *point_n, *point_n);
}

START_TEST(answers_with_ecdh)
{
	static const char *const curves[] = {
		"prime256v1", "secp384r1", "secp521r1", "secp224r1", "prime192v1", "secp256k1",
		"brainpoolP256r1", "brainpoolP384r1", "brainpoolP512r1",
	};
	struct lp_ask ask = { .op = LP_ASK_ECDH, .version = 0x0303, .prf = LP_SHA384, .seed_len = 64 };
	uint8_t secret[66], point[LP_EC_POINT_MAX];
	struct lp_warden *w;
	char why[512];
	size_t n, m;

	if (!have_openssl)
		return;
	help_fill(ask.seed, 64, 5);
	for (size_t i = 0; i < sizeof curves / sizeof *curves; i++) {
		ck_assert(help_run(&dir, "umask 077; openssl ecparam -name %s -genkey -noout -out k.pem",
				   curves[i]));
		derive("k.pem", curves[i], point, &n, secret, &m);
		start(&w, "k.pem", NULL, true, why);
		ck_assert_msg(w != NULL, "%s", why);
		memcpy(ask.input, point, n);
		ask.input_len = (uint16_t)n;
		expect(w, &ask, lp_span_of(secret, m));
		ask.input[n - 1] ^= 1; /* beside the curve */
		ck_assert_int_eq(ask_once(w, &ask).code, LP_ANSWER_NO_KEY);
		ask.input[n - 1] ^= 1;
		ask.input[0] = 2;
		ck_assert_int_eq(ask_once(w, &ask).code, LP_ANSWER_NO_KEY);
		ask.input_len = (uint16_t)(n - 1);
		ck_assert_int_eq(ask_once(w, &ask).code, LP_ANSWER_NO_KEY);
		ask.input_len = 0;
		ck_assert_int_eq(ask_once(w, &ask).code, LP_ANSWER_NO_KEY);
		ask.op = LP_ASK_RSA; /* an EC key is no RSA key */
		ck_assert_int_eq(ask_once(w, &ask).code, LP_ANSWER_NO_KEY);
		ask.op = LP_ASK_ECDH;
		lp_warden_stop(w);
	}
}
END_TEST

/* x(379·G) on P-256 begins with a zero byte, which counts. */
START_TEST(leading_zeros)
{
	static const uint8_t p256[] = { 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07 };
	static const char x[] = "005543894af3d00ed7d740abdbd75c96b06877b787db5f70eea78b90a8d7c00a";
	const struct lp_ec_curve *curve = lp_ec_curve_find(lp_span_of(p256, sizeof p256));
	static const uint8_t d[2] = { 379 >> 8, 379 & 255 };
	uint8_t one_g[LP_EC_POINT_MAX], out[LP_EC_SIZE_MAX], key[64] = {
		0x30, 49, 2, 1, 1, 4, 32,
	};
	char hex[65];
	size_t n;

	key[37] = d[0];
	key[38] = d[1];
	memcpy(key + 39, "\xa0\x0a\x06\x08", 4);
	memcpy(key + 43, p256, sizeof p256);
	ck_assert_int_eq(lp_ec_public(curve, lp_span_of("\1", 1), one_g, &n), LP_OK);
	ck_assert_int_eq(lp_ec_agree(lp_span_of(key, 51), lp_span_of(one_g, n), out, &n), LP_OK);
	ck_assert_uint_eq(n, 32);
	ck_assert_str_eq(lp_text_hex(hex, out, 32), x);
	ck_assert_int_eq(lp_ec_agree(lp_span_of(key, 50), lp_span_of(one_g, 65), out, &n),
			 LP_E_FORMAT);
	memset(one_g, 0, sizeof one_g); /* the point at infinity, in either form */
	ck_assert_int_eq(lp_ec_agree(lp_span_of(key, 51), lp_span_of(one_g, 1), out, &n),
			 LP_E_FORMAT);
	one_g[0] = 4;
	ck_assert_int_eq(lp_ec_agree(lp_span_of(key, 51), lp_span_of(one_g, 65), out, &n),
			 LP_E_FORMAT);
}
END_TEST

Suite *suite_psk(void);
Suite *suite_psk(void)
{
	Suite *s = suite_create("psk");
	TCase *t = tcase_create("psk");

	tcase_set_timeout(t, 60);
	tcase_add_unchecked_fixture(t, setup, teardown);
	tcase_add_test(t, lines);
	tcase_add_test(t, lines_that_are_none);
	tcase_add_test(t, files);
	tcase_add_test(t, premaster);
	tcase_add_test(t, answers_with_psks);
	tcase_add_test(t, answers_with_ecdh);
	tcase_add_test(t, leading_zeros);
	suite_add_tcase(s, t);
	return s;
}
