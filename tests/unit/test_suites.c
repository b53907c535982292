/* tls/suites: the table is sorted, and each row says what its name says. */
#include <check.h>
#include <stdio.h>
#include <string.h>

#include "tls/suites.h"

START_TEST(suites_sorted_and_found)
{
	size_t n;
	const struct lp_suite *t = lp_suite_table(&n);
	unsigned found = 0;

	ck_assert_uint_gt(n, 350);
	for (size_t i = 1; i < n; i++)
		ck_assert_uint_lt(t[i - 1].number, t[i].number);
	for (unsigned v = 0; v < 0x10000; v++) {
		const struct lp_suite *s = lp_suite_find((uint16_t)v);

		if (!s)
			continue;
		ck_assert_uint_eq(s->number, v);
		found++;
	}
	ck_assert_uint_eq(found, n);
	ck_assert_ptr_null(lp_suite_find(0x00ff));
	ck_assert_ptr_null(lp_suite_find(0x5600));
	ck_assert_ptr_null(lp_suite_find(0x0a0a));
}
END_TEST

START_TEST(suites_names_are_unique)
{
	size_t n;
	const struct lp_suite *t = lp_suite_table(&n);

	for (size_t i = 0; i < n; i++)
		for (size_t j = 0; j < i; j++)
			ck_assert_str_ne(t[i].name, t[j].name);
}
END_TEST

static const struct {
	const char *text;
	int kx, auth;
} exchanges[] = {
	{ "NULL", LP_KX_NULL, LP_AUTH_NULL },
	{ "RSA", LP_KX_RSA, LP_AUTH_RSA },
	{ "RSA_FIPS", LP_KX_RSA, LP_AUTH_RSA },
	{ "DH_DSS", LP_KX_DH, LP_AUTH_DSS },
	{ "DH_RSA", LP_KX_DH, LP_AUTH_RSA },
	{ "DHE_DSS", LP_KX_DHE, LP_AUTH_DSS },
	{ "DHE_RSA", LP_KX_DHE, LP_AUTH_RSA },
	{ "DH_anon", LP_KX_DHE, LP_AUTH_ANON },
	{ "ECDH_ECDSA", LP_KX_ECDH, LP_AUTH_ECDSA },
	{ "ECDH_RSA", LP_KX_ECDH, LP_AUTH_RSA },
	{ "ECDHE_ECDSA", LP_KX_ECDHE, LP_AUTH_ECDSA },
	{ "ECDHE_RSA", LP_KX_ECDHE, LP_AUTH_RSA },
	{ "ECDH_anon", LP_KX_ECDHE, LP_AUTH_ANON },
	{ "PSK", LP_KX_PSK, LP_AUTH_PSK },
	{ "RSA_PSK", LP_KX_RSA_PSK, LP_AUTH_RSA },
	{ "DHE_PSK", LP_KX_DHE_PSK, LP_AUTH_PSK },
	{ "PSK_DHE", LP_KX_DHE_PSK, LP_AUTH_PSK },
	{ "ECDHE_PSK", LP_KX_ECDHE_PSK, LP_AUTH_PSK },
	{ "KRB5", LP_KX_KRB5, LP_AUTH_KRB5 },
	{ "SRP_SHA", LP_KX_SRP, LP_AUTH_SRP },
	{ "SRP_SHA_RSA", LP_KX_SRP, LP_AUTH_RSA },
	{ "SRP_SHA_DSS", LP_KX_SRP, LP_AUTH_DSS },
	{ "ECCPWD", LP_KX_ECCPWD, LP_AUTH_ECCPWD },
	{ "ECJPAKE", LP_KX_ECCPWD, LP_AUTH_ECCPWD },
	{ "GOSTR341112_256", LP_KX_GOST, LP_AUTH_GOST },
	{ "GOSTR341094", LP_KX_GOST, LP_AUTH_GOST },
	{ "GOSTR341001", LP_KX_GOST, LP_AUTH_GOST },
};

/* What follows WITH_, without the hash. */
static const struct {
	const char *text;
	int cipher;
	enum lp_cipher_kind kind;
} ciphers[] = {
	{ "NULL", LP_CIPHER_NULL, LP_KIND_NULL },
	{ "AES_128_CBC", LP_AES_128_CBC, LP_KIND_CBC },
	{ "AES_256_CBC", LP_AES_256_CBC, LP_KIND_CBC },
	{ "AES_128_GCM", LP_AES_128_GCM, LP_KIND_AEAD },
	{ "AES_256_GCM", LP_AES_256_GCM, LP_KIND_AEAD },
	{ "AES_128_CCM", LP_AES_128_CCM, LP_KIND_AEAD },
	{ "AES_256_CCM", LP_AES_256_CCM, LP_KIND_AEAD },
	{ "AES_128_CCM_8", LP_AES_128_CCM_8, LP_KIND_AEAD },
	{ "AES_256_CCM_8", LP_AES_256_CCM_8, LP_KIND_AEAD },
	{ "CHACHA20_POLY1305", LP_CHACHA20_POLY1305, LP_KIND_AEAD },
	{ "CAMELLIA_128_CBC", LP_CAMELLIA_128_CBC, LP_KIND_CBC },
	{ "CAMELLIA_256_CBC", LP_CAMELLIA_256_CBC, LP_KIND_CBC },
	{ "CAMELLIA_128_GCM", LP_CAMELLIA_128_GCM, LP_KIND_AEAD },
	{ "CAMELLIA_256_GCM", LP_CAMELLIA_256_GCM, LP_KIND_AEAD },
	{ "ARIA_128_CBC", LP_ARIA_128_CBC, LP_KIND_CBC },
	{ "ARIA_256_CBC", LP_ARIA_256_CBC, LP_KIND_CBC },
	{ "ARIA_128_GCM", LP_ARIA_128_GCM, LP_KIND_AEAD },
	{ "ARIA_256_GCM", LP_ARIA_256_GCM, LP_KIND_AEAD },
	{ "3DES_EDE_CBC", LP_3DES_EDE_CBC, LP_KIND_CBC },
	{ "DES_CBC", LP_DES_CBC, LP_KIND_CBC },
	{ "DES40_CBC", LP_DES40_CBC, LP_KIND_CBC },
	{ "DES_CBC_40", LP_DES40_CBC, LP_KIND_CBC },
	{ "SEED_CBC", LP_SEED_CBC, LP_KIND_CBC },
	{ "IDEA_CBC", LP_IDEA_CBC, LP_KIND_CBC },
	{ "RC2_CBC_40", LP_RC2_CBC_40, LP_KIND_CBC },
	{ "RC2_CBC_56", LP_RC2_CBC_56, LP_KIND_CBC },
	{ "RC4_40", LP_RC4_40, LP_KIND_STREAM },
	{ "RC4_56", LP_RC4_56, LP_KIND_STREAM },
	{ "RC4_128", LP_RC4_128, LP_KIND_STREAM },
	{ "SM4_GCM", LP_SM4_GCM, LP_KIND_AEAD },
	{ "SM4_CCM", LP_SM4_CCM, LP_KIND_AEAD },
};

static const struct {
	const char *text;
	int digest;
} hashes[] = {
	{ "_MD5", LP_MD5 },       { "_SHA", LP_SHA1 },      { "_SHA1", LP_SHA1 },
	{ "_SHA256", LP_SHA256 }, { "_SHA384", LP_SHA384 }, { "_SHA512", LP_SHA512 },
	{ "_SM3", LP_SM3 },
};

/* Cuts a hash off the end of text. */
static int cut_hash(char *text)
{
	for (size_t i = 0; i < sizeof hashes / sizeof hashes[0]; i++) {
		size_t n = strlen(hashes[i].text), all = strlen(text);

		if (all > n && !strcmp(text + all - n, hashes[i].text)) {
			text[all - n] = '\0';
			return hashes[i].digest;
		}
	}
	return LP_DIGEST_NONE;
}

/* Netscape numbered its two suites twice. */
static void cut_second(char *text)
{
	size_t n = strlen(text);

	if (n > 2 && !strcmp(text + n - 2, "_2"))
		text[n - 2] = '\0';
}

static bool cut_word(char *text, const char *word)
{
	char *at = strstr(text, word);

	if (at)
		memmove(at, at + strlen(word), strlen(at + strlen(word)) + 1);
	return at != NULL;
}

/* "TLS_RSA_EXPORT_WITH_RC4_40_MD5", by its parts. */
static void check_classic(const struct lp_suite *s, char *exchange, char *rest)
{
	bool exported = cut_word(exchange, "_EXPORT1024") || cut_word(exchange, "_EXPORT");
	size_t i, j, n = sizeof ciphers / sizeof ciphers[0];
	int hash;

	ck_assert_int_eq(s->exported, exported);
	for (i = 0; i < sizeof exchanges / sizeof exchanges[0]; i++)
		if (!strcmp(exchanges[i].text, exchange))
			break;
	ck_assert_msg(i < sizeof exchanges / sizeof exchanges[0], "%s", s->name);
	ck_assert_int_eq(s->kx, exchanges[i].kx);
	ck_assert_int_eq(s->auth, exchanges[i].auth);
	if (s->kx == LP_KX_NULL || s->kx == LP_KX_GOST)
		return;
	cut_second(rest);
	hash = cut_hash(rest);
	for (j = 0; j < n; j++)
		if (!strcmp(ciphers[j].text, rest))
			break;
	if (j == n) {
		ck_assert_msg(s->cipher == LP_SUITE_CIPHER_OTHER, "%s", s->name);
		return;
	}
	ck_assert_msg(s->cipher == ciphers[j].cipher, "%s", s->name);
	ck_assert_int_eq(lp_cipher_info(s->cipher)->kind, ciphers[j].kind);
	ck_assert_msg(s->mac == (ciphers[j].kind == LP_KIND_AEAD ? LP_DIGEST_NONE : hash), "%s", s->name);
	/* RFC 5246 section 5: SHA-256 unless the suite names something stronger. */
	ck_assert_msg(s->prf == (hash == LP_SHA384 || hash == LP_SM3 ? hash : LP_SHA256), "%s", s->name);
}

START_TEST(suites_say_what_their_names_say)
{
	size_t n;
	const struct lp_suite *t = lp_suite_table(&n);
	char text[80], *with;

	for (size_t i = 0; i < n; i++) {
		ck_assert_uint_lt(strlen(t[i].name), sizeof text);
		strcpy(text, t[i].name);
		with = strstr(text, "_WITH_");
		if (with) {
			ck_assert(!strncmp(text, "TLS_", 4) || !strncmp(text, "SSL_", 4));
			*with = '\0';
			check_classic(&t[i], text + 4, with + 6);
		} else if (t[i].number >> 8 == 0xe0) {
			ck_assert_int_eq(t[i].kx, !strncmp(text, "RSA_", 4) ? LP_KX_RSA : LP_KX_SM2);
			ck_assert_ptr_nonnull(strstr(text, "_SM4_"));
		} else {
			ck_assert_int_eq(t[i].kx, LP_KX_TLS13);
			ck_assert_int_eq(t[i].auth, LP_AUTH_TLS13);
			ck_assert_int_eq(t[i].prf, cut_hash(text));
		}
	}
}
END_TEST

START_TEST(suites_well_known)
{
	ck_assert_str_eq(lp_suite_find(0x0035)->name, "TLS_RSA_WITH_AES_256_CBC_SHA");
	ck_assert(lp_suite_is_rsa(lp_suite_find(0x0035)));
	ck_assert_str_eq(lp_suite_find(0xc02f)->name, "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256");
	ck_assert(lp_suite_is_ephemeral(lp_suite_find(0xc02f)));
	ck_assert_str_eq(lp_suite_find(0x1301)->name, "TLS_AES_128_GCM_SHA256");
	ck_assert(lp_suite_is_ephemeral(lp_suite_find(0x1301)));
	ck_assert_str_eq(lp_suite_find(0xc001)->name, "TLS_ECDH_ECDSA_WITH_NULL_SHA");
	ck_assert(!lp_suite_is_ephemeral(lp_suite_find(0xc001)));
	ck_assert_str_eq(lp_suite_find(0x0003)->name, "TLS_RSA_EXPORT_WITH_RC4_40_MD5");
	ck_assert_str_eq(lp_version_text(0x0301), "TLS 1.0");
	ck_assert_str_eq(lp_version_text(0x7f1c), "");
}
END_TEST

Suite *suite_suites(void)
{
	Suite *s = suite_create("suites");
	TCase *t = tcase_create("suites");

	tcase_add_test(t, suites_sorted_and_found);
	tcase_add_test(t, suites_names_are_unique);
	tcase_add_test(t, suites_say_what_their_names_say);
	tcase_add_test(t, suites_well_known);
	suite_add_tcase(s, t);
	return s;
}
