/* crypto/kdf.c */
#include <check.h>
#include <string.h>

#include "base/log.h"
#include "crypto/kdf.h"
#include "help_seal.h"

#ifdef LP_WITH_OPENSSL
#include <openssl/core_names.h>
#include <openssl/kdf.h>
#include <openssl/params.h>
#endif

static lp_span unhex(uint8_t *out, const char *hex)
{
	size_t n = strlen(hex) / 2;

	ck_assert_int_eq(lp_text_unhex(out, n, hex, strlen(hex)), LP_OK);
	return lp_span_of(out, n);
}

/* For TLS 1.2 the vectors that went round the IETF TLS list, for 1.0 the one of
 * its early implementers. */
START_TEST(prf_vectors)
{
	static const struct {
		uint16_t version;
		enum lp_digest prf;
		const char *label, *secret, *seed, *out;
	} want[] = {
		{ 0x0303, LP_SHA256, "test label", "9bbe436ba940f017b17652849a71db35",
		  "a0ba9f936cda311827a6f796ffd5198c",
		  "e3f229ba727be17b8d122620557cd453c2aab21d07c3d495329b52d4e61edb5a"
		  "6b301791e90d35c9c9a46b4e14baf9af0fa022f7077def17abfd3797c0564bab"
		  "4fbc91666e9def9b97fce34f796789baa48082d122ee42c5a72e5a5110fff701"
		  "87347b66" },
		{ 0x0303, LP_SHA384, "test label", "b80b733d6ceefcdc71566ea48e5567df",
		  "cd665cf6a8447dd6ff8b27555edb7465",
		  "7b0c18e9ced410ed1804f2cfa34a336a1c14dffb4900bb5fd7942107e81c83cd"
		  "e9ca0faa60be9fe34f82b1233c9146a0e534cb400fed2700884f9dc236f80edd"
		  "8bfa961144c9e8d792eca722a7b32fc3d416d473ebc2c5fd4abfdad05d918425"
		  "9b5bf8cd4d90fa0d31e2dec479e4f1a26066f2eea9a69236a3e52655c9e9aee6"
		  "91c8f3a26854308d5eaa3be85e0990703d73e56f" },
		{ 0x0303, LP_SHA512, "test label", "b0323523c1853599584d88568bbb05eb",
		  "d4640e12e4bcdbfb437f03e6ae418ee5",
		  "1261f588c798c5c201ff036e7a9cb5edcd7fe3f94c669a122a4638d7d508b283"
		  "042df6789875c7147e906d868bc75c45e20eb40c1cf4a1713b27371f68432592"
		  "f7dc8ea8ef223e12ea8507841311bf68653d0cfc4056d811f025c45ddfa6e6fe"
		  "c702f054b409d6f28dd0a3233e498da41a3e75c5630eedbe22fe254e33a1b0e9"
		  "f6b9826675bec7d01a845658dc9c397545401d40b9f46c7a400ee1b8f81ca0a6"
		  "0d1a397a1028bff5d2ef5066126842fb8da4197632bdb54ff6633f86bbc836e6"
		  "40d4d898" },
		{ 0x0301, LP_SHA256, "PRF Testvector",
		  "abababababababababababababababababababababababababababababababab"
		  "abababababababababababababababab",
		  "cdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcd"
		  "cdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcd",
		  "d3d4d1e349b5d515044666d51de32bab258cb521b6b053463e354832fd976754"
		  "443bcf9a296519bc289abcbc1187e4ebd31e602353776c408aafb74cbc85eff6"
		  "9255f9788faa184cbb957a9819d84a5d7eb006eb459d3ae8de9810454b8b2d8f"
		  "1afbc655a8c9a013" },
	};
	uint8_t secret[64], seed[64], expect[256], got[256];

	for (size_t i = 0; i < sizeof want / sizeof want[0]; i++) {
		const struct lp_kdf k = { help_providers[_i], want[i].version, want[i].prf, NULL };
		const lp_span x = unhex(expect, want[i].out);
		const lp_span sec = unhex(secret, want[i].secret);
		const lp_span s = unhex(seed, want[i].seed);

		for (size_t cut = 0; cut <= s.n; cut += 5) { /* the parts are concatenated */
			const lp_span parts[2] = { { s.p, cut }, { s.p + cut, s.n - cut } };

			memset(got, 0, sizeof got);
			ck_assert_int_eq(lp_prf(&k, sec, want[i].label, parts, 2, got, x.n), LP_OK);
			ck_assert_mem_eq(got, x.p, x.n);
		}
		for (size_t n = 0; n < x.n; n++) { /* a shorter output is a prefix */
			got[n] = 0x5a;
			ck_assert_int_eq(lp_prf(&k, sec, want[i].label, &s, 1, got, n), LP_OK);
			ck_assert_mem_eq(got, x.p, n);
			ck_assert_uint_eq(got[n], 0x5a);
		}
	}
}
END_TEST

START_TEST(prf_refuses)
{
	static const uint16_t versions[] = { 0x0002, 0x0300, 0x0304, 0x0000, 0xfefd };
	const lp_span parts[5] = { { NULL, 0 } };
	struct lp_kdf k = { help_providers[_i], 0, LP_SHA256, NULL };
	uint8_t out[2048];

	for (size_t i = 0; i < sizeof versions / sizeof versions[0]; i++) {
		k.version = versions[i];
		memset(out, 1, 48);
		ck_assert_int_eq(lp_prf(&k, lp_span_of("x", 1), "l", parts, 1, out, 48),
				 LP_E_UNSUPPORTED);
		ck_assert_uint_eq(out[0], 0);
	}
	k.version = 0x0303;
	ck_assert_int_eq(lp_prf(&k, lp_span_of("x", 1), "l", parts, 5, out, 48), LP_E_ARG);
	k.prf = LP_DIGEST_NONE;
	ck_assert_int_eq(lp_prf(&k, lp_span_of("x", 1), "l", parts, 1, out, 48), LP_E_UNSUPPORTED);
	k.version = 0x0301; /* there the hash does not count */
	ck_assert_int_eq(lp_prf(&k, lp_span_of("x", 1), "l", parts, 4, out, 48), LP_OK);
	ck_assert_int_eq(lp_prf(&k, lp_span_of("x", 1), "l", parts, 4, out, sizeof out), LP_E_ARG);
}
END_TEST

#ifdef LP_WITH_OPENSSL
static void evp_prf(uint16_t version, enum lp_digest prf, lp_span secret, const char *label,
		    lp_span a, lp_span b, uint8_t *out, size_t n)
{
	const char *name = version < 0x0303 ? "MD5-SHA1" : prf == LP_SHA384 ? "SHA384" : "SHA256";
	EVP_KDF *kdf = EVP_KDF_fetch(NULL, "TLS1-PRF", NULL);
	EVP_KDF_CTX *c = EVP_KDF_CTX_new(kdf);
	OSSL_PARAM p[6] = {
		OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, (char *)(uintptr_t)name, 0),
		OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_SECRET, (void *)(uintptr_t)secret.p, secret.n),
		OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_SEED, (void *)(uintptr_t)label, strlen(label)),
		OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_SEED, (void *)(uintptr_t)a.p, a.n),
		OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_SEED, (void *)(uintptr_t)b.p, b.n),
		OSSL_PARAM_construct_end(),
	};

	ck_assert_int_gt(EVP_KDF_derive(c, out, n, p), 0);
	EVP_KDF_CTX_free(c);
	EVP_KDF_free(kdf);
}

/* Every derivation against libcrypto's TLS1-PRF, labels and order of seeds spelled
 * out here once more. Premasters of even and odd length: the halves overlap. */
START_TEST(derivations_as_openssl_makes_them)
{
	static const uint16_t versions[] = { 0x0301, 0x0302, 0x0303, 0x0303 };
	uint8_t pm[255], cr[32], sr[32], hash[48], master[48], want[192], got[192];

	for (size_t i = 0; i < 4; i++) {
		const enum lp_digest prf = i == 3 ? LP_SHA384 : LP_SHA256;
		const size_t nhash = i < 2 ? 36 : i == 3 ? 48 : 32;
		struct lp_mac_ctx *kept = NULL;
		const struct lp_kdf k = { help_providers[_i], versions[i], prf, &kept };

		for (uint32_t n = 1; n <= 255; n += 47 + n % 2) {
			const lp_span premaster = { pm, n }, h = { hash, nhash };
			const lp_span c = { cr, 32 }, s = { sr, 32 }, none = { cr, 0 };
			uint8_t both[64];

			help_fill(pm, sizeof pm, n);
			help_fill(cr, 32, n + 1);
			help_fill(sr, 32, n + 2);
			help_fill(hash, sizeof hash, n + 3);
			memcpy(both, cr, 32);
			memcpy(both + 32, sr, 32);
			evp_prf(versions[i], prf, premaster, "extended master secret", h, none, want, 48);
			ck_assert_int_eq(lp_kdf_master(&k, premaster, true, h, master), LP_OK);
			ck_assert_mem_eq(master, want, 48);
			evp_prf(versions[i], prf, premaster, "master secret", c, s, want, 48);
			ck_assert_int_eq(lp_kdf_master(&k, premaster, false, lp_span_of(both, 64), master),
					 LP_OK);
			ck_assert_mem_eq(master, want, 48);
			evp_prf(versions[i], prf, lp_span_of(master, 48), "key expansion", s, c, want, 192);
			ck_assert_int_eq(lp_kdf_key_block(&k, master, cr, sr, got, 192), LP_OK);
			ck_assert_mem_eq(got, want, 192);
			evp_prf(versions[i], prf, lp_span_of(master, 48), "client finished", h, none, want, 12);
			ck_assert_int_eq(lp_kdf_verify_data(&k, master, true, h, got), LP_OK);
			ck_assert_mem_eq(got, want, 12);
			evp_prf(versions[i], prf, lp_span_of(master, 48), "server finished", h, none, want, 12);
			ck_assert_int_eq(lp_kdf_verify_data(&k, master, false, h, got), LP_OK);
			ck_assert_mem_eq(got, want, 12);
			/* One PRF of one hash: the MAC was kept. What is made of the premaster
			 * secret never goes by it. */
			ck_assert(!kept == (versions[i] < 0x0303));
			ck_assert_int_eq(lp_kdf_master(&k, premaster, true, h, got), LP_OK);
			evp_prf(versions[i], prf, premaster, "extended master secret", h, none, want, 48);
			ck_assert_mem_eq(got, want, 48);
			k.crypto->mac_free(kept);
			kept = NULL;
		}
	}
}
END_TEST
#endif

/* RFC 6101 sections 6.1, 6.2.2, 5.6.9 and RFC 2246 section 6.3.1, worked out once more
 * with another language's hashlib. */
START_TEST(ssl3_and_export)
{
	static const char master_hex[] = "01bc3b9ba68a5a79b630bd361fe2b4ddd246cbf7966b33fe1de2211b488d888a"
					 "ff4e2592465f2fc2464e55a92e2b7547";
	static const char block_hex[] = "155fd57067fd02fa2f828b7fa7091b757c7f75602703bf9e83241b33710b52a7"
					"a2beebc244ca5aac82b737472d317c1154601152c4052289dc8b5fb0967a80ab"
					"f189ff826b1ec7f41c3d1a5cb5be9f4543a2953aa71468566e44e8b14729e64d"
					"184565a26ef902f0";
	static const struct {
		uint16_t version;
		const char *key[2], *iv[2]; /* server, client */
	} want[] = {
		{ 0x0300, { "4f9d8a2884c43bcebdddcc88955ce00d", "4fb6d6484f10ae97ff625d8b002d52a7" },
		  { "63b8f42b13dbccad", "5e2dc597dc8f71e2" } },
		{ 0x0301, { "df6d5563d81a2123c6d112bbd046c674", "8b2b53b458ea9595f2bd1ee8e5728946" },
		  { "b14dbdf693dd0bd8", "a1954aa00f605f6c" } },
	};
	static const uint8_t few[] = { 1, 2, 3, 4, 5 };
	struct lp_kdf k = { help_providers[_i], 0x0300, LP_SHA256, NULL };
	uint8_t pm[48] = { 3, 0 }, both[64], messages[200], expect[128], got[512];
	const uint8_t *c = both, *s = both + 32;

	for (int i = 0; i < 46; i++)
		pm[2 + i] = (uint8_t)i;
	for (int i = 0; i < 32; i++) {
		both[i] = (uint8_t)(0x40 + i);
		both[32 + i] = (uint8_t)(0x80 + i);
	}
	for (int i = 0; i < 200; i++)
		messages[i] = (uint8_t)i;
	ck_assert_int_eq(lp_kdf_master(&k, lp_span_of(pm, 48), false, lp_span_of(both, 64), got), LP_OK);
	ck_assert_mem_eq(got, unhex(expect, master_hex).p, 48);
	memcpy(pm, got, 48);
	ck_assert_int_eq(lp_kdf_master(&k, lp_span_of(pm, 48), true, lp_span_of(both, 36), got),
			 LP_E_UNSUPPORTED);
	ck_assert_int_eq(lp_kdf_key_block(&k, pm, c, s, got, 104), LP_OK);
	ck_assert_mem_eq(got, unhex(expect, block_hex).p, 104);
	ck_assert_int_eq(lp_kdf_key_block(&k, pm, c, s, got, 417), LP_E_ARG);
	ck_assert_int_eq(lp_kdf_ssl3_finished(&k, pm, true, lp_span_of(messages, 200), got), LP_OK);
	ck_assert_mem_eq(got, unhex(expect, "63beedae60288b10f1b56fd2350759e61e25836e03cc70878d3414a1"
				    "47a2748ef1cd1bc8").p, 36);
	ck_assert_int_eq(lp_kdf_ssl3_finished(&k, pm, false, lp_span_of(messages, 200), got), LP_OK);
	ck_assert_mem_eq(got, unhex(expect, "45ca789b3a8d9ad0faa50c3540a8347193d9d9abc69e5eb5df7eea96"
				    "f884da4f9b37f8c5").p, 36);
	k.version = 0x0301;
	ck_assert_int_eq(lp_kdf_ssl3_finished(&k, pm, false, lp_span_of(messages, 200), got),
			 LP_E_UNSUPPORTED);
	for (size_t i = 0; i < 2; i++)
		for (int client = 0; client < 2; client++) {
			k.version = want[i].version;
			ck_assert_int_eq(lp_kdf_export_key(&k, lp_span_of(few, 5), client, c, s, got, 16), LP_OK);
			ck_assert_mem_eq(got, unhex(expect, want[i].key[client]).p, 16);
			ck_assert_int_eq(lp_kdf_export_iv(&k, client, c, s, got, 8), LP_OK);
			ck_assert_mem_eq(got, unhex(expect, want[i].iv[client]).p, 8);
			ck_assert_int_eq(lp_kdf_export_iv(&k, client, c, s, got, 17), LP_E_ARG);
		}
}
END_TEST

Suite *suite_kdf(void)
{
	Suite *s = suite_create("kdf");
	TCase *t = tcase_create("kdf");

	tcase_add_loop_test(t, prf_vectors, 0, HELP_PROVIDERS);
	tcase_add_loop_test(t, prf_refuses, 0, HELP_PROVIDERS);
	tcase_add_loop_test(t, ssl3_and_export, 0, HELP_PROVIDERS);
#ifdef LP_WITH_OPENSSL
	tcase_add_loop_test(t, derivations_as_openssl_makes_them, 0, HELP_PROVIDERS);
#endif
	suite_add_tcase(s, t);
	return s;
}
