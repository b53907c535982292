/* crypto/: cipher.c, mbedtls.c, openssl.c. Every provider against published
 * vectors and against what the other library encrypts. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "crypto/crypto.h"
#include "help_seal.h"
#include "help_tool.h"

static help_seal *const sealers[] = {
	help_seal_mbedtls,
#ifdef LP_WITH_OPENSSL
	help_seal_openssl,
#endif
};

enum { BIG = 16384 + 256 };

static size_t unhex(uint8_t *out, const char *hex)
{
	size_t n = strlen(hex) / 2;

	ck_assert_int_eq(lp_text_unhex(out, n, hex, strlen(hex)), LP_OK);
	return n;
}

static lp_span text(const char *s)
{
	return lp_span_of(s, strlen(s));
}

/* ---- tables and choice ---- */

START_TEST(sizes_are_those_of_the_rfcs)
{
	const struct lp_cipher_info *i;

	for (int c = 0; c < LP_CIPHER_COUNT; c++) {
		i = lp_cipher_info((enum lp_cipher)c);
		ck_assert_ptr_nonnull(i->name);
		ck_assert_uint_le(i->key_material, i->key);
		if (i->kind == LP_KIND_CBC)
			ck_assert(i->iv == i->block && i->block && !i->tag && !i->explicit_nonce);
		if (i->kind == LP_KIND_AEAD)
			ck_assert(i->iv + i->explicit_nonce == 12 && i->tag && !i->block);
		if (i->kind == LP_KIND_STREAM)
			ck_assert(!i->iv && !i->block && !i->tag);
	}
	i = lp_cipher_info(LP_AES_256_CCM_8);
	ck_assert(i->key == 32 && i->iv == 4 && i->explicit_nonce == 8 && i->tag == 8);
	i = lp_cipher_info(LP_CHACHA20_POLY1305);
	ck_assert(i->key == 32 && i->iv == 12 && i->explicit_nonce == 0 && i->tag == 16);
	i = lp_cipher_info(LP_DES40_CBC);
	ck_assert(i->key == 8 && i->key_material == 5 && i->iv == 8 && i->block == 8);
	ck_assert_uint_eq(lp_cipher_info(LP_RC4_40)->key, 16);
	ck_assert_uint_eq(lp_cipher_info(LP_RC4_40)->key_material, 5);
	ck_assert_uint_eq(lp_cipher_info(LP_3DES_EDE_CBC)->key, 24);
	ck_assert_uint_eq(lp_digest_size(LP_SHA384), 48);
	ck_assert_uint_eq(lp_digest_size(LP_MD5_SHA1), 36);
	ck_assert_uint_eq(lp_digest_size(LP_DIGEST_NONE), 0);
}
END_TEST

START_TEST(choice_follows_the_name)
{
	struct lp_crypto_set s;

	ck_assert_int_eq(lp_crypto_choose(&s, "rot13"), LP_E_ARG);
	ck_assert_int_eq(lp_crypto_choose(&s, ""), LP_E_ARG);
	ck_assert_int_eq(lp_crypto_choose(&s, "mbedtls"), LP_OK);
	ck_assert_ptr_eq(s.base, &lp_crypto_mbedtls);
	ck_assert_ptr_eq(s.rsa, &lp_crypto_mbedtls);
	ck_assert_ptr_eq(s.cipher[LP_AES_256_GCM], &lp_crypto_mbedtls);
	ck_assert_ptr_null(s.cipher[LP_SEED_CBC]);
	ck_assert_int_eq(lp_crypto_choose(&s, "auto"), LP_OK);
	ck_assert_ptr_eq(s.cipher[LP_CAMELLIA_256_GCM], &lp_crypto_mbedtls);
#ifdef LP_WITH_OPENSSL
	ck_assert_ptr_eq(s.base, &lp_crypto_openssl);
	ck_assert_ptr_eq(s.rsa, &lp_crypto_openssl);
	ck_assert_ptr_eq(s.cipher[LP_AES_256_GCM], &lp_crypto_openssl);
	ck_assert_int_eq(lp_crypto_choose(&s, "openssl"), LP_OK);
	ck_assert_ptr_eq(s.cipher[LP_AES_256_CBC], &lp_crypto_openssl);
	ck_assert_ptr_null(s.cipher[LP_CAMELLIA_256_GCM]);
#else
	ck_assert_int_eq(lp_crypto_choose(&s, "openssl"), LP_E_UNSUPPORTED);
#endif
}
END_TEST

/* ---- hashes and HMAC ---- */

START_TEST(hashes_of_abc)
{
	static const struct {
		enum lp_digest digest;
		const char *hex;
	} want[] = {
		{ LP_MD5, "900150983cd24fb0d6963f7d28e17f72" },
		{ LP_SHA1, "a9993e364706816aba3e25717850c26c9cd0d89d" },
		{ LP_SHA256, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad" },
		{ LP_SHA384, "cb00753f45a35e8bb5a03d699ac65007272c32ab0eded1631a8b605a43ff5bed"
			     "8086072ba1e7cc2358baeca134c825a7" },
		{ LP_SHA512, "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a"
			     "2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f" },
		{ LP_SM3, "66c7f0f462eeedd9d1f2d46bdc10e4e24167c4875cf2f7a2297da02b8f4ba8e0" },
		{ LP_MD5_SHA1, "900150983cd24fb0d6963f7d28e17f72"
			       "a9993e364706816aba3e25717850c26c9cd0d89d" },
	};
	const struct lp_crypto *c = help_providers[_i];
	uint8_t expect[LP_DIGEST_MAX], got[LP_DIGEST_MAX], half[LP_DIGEST_MAX];
	const lp_span parts[3] = { text("a"), { NULL, 0 }, text("bc") };

	for (size_t i = 0; i < sizeof want / sizeof want[0]; i++) {
		struct lp_digest_ctx *d;

		if (!c->has_digest(want[i].digest)) {
			ck_assert_int_eq(want[i].digest, LP_SM3);
			ck_assert_int_eq(c->digest_new(want[i].digest, &d), LP_E_UNSUPPORTED);
			ck_assert_ptr_null(d);
			continue;
		}
		ck_assert_uint_eq(unhex(expect, want[i].hex), lp_digest_size(want[i].digest));
		ck_assert_int_eq(lp_digest_once(c, want[i].digest, parts, 3, got), LP_OK);
		ck_assert_mem_eq(got, expect, lp_digest_size(want[i].digest));
		/* A peek in the middle does not disturb it, and may be repeated. */
		ck_assert_int_eq(c->digest_new(want[i].digest, &d), LP_OK);
		ck_assert_int_eq(c->digest_update(d, text("ab")), LP_OK);
		ck_assert_int_eq(c->digest_peek(d, half), LP_OK);
		ck_assert_int_eq(c->digest_update(d, text("c")), LP_OK);
		ck_assert_int_eq(c->digest_peek(d, got), LP_OK);
		ck_assert_mem_eq(got, expect, lp_digest_size(want[i].digest));
		ck_assert_mem_ne(half, expect, lp_digest_size(want[i].digest));
		ck_assert_int_eq(c->digest_peek(d, got), LP_OK);
		ck_assert_mem_eq(got, expect, lp_digest_size(want[i].digest));
		c->digest_free(d);
	}
	ck_assert(!c->has_digest(LP_DIGEST_NONE));
	c->digest_free(NULL);
	c->mac_free(NULL);
	c->cipher_free(NULL);
	c->rsa_free(NULL);
}
END_TEST

/* RFC 2202 and RFC 4231: test case 2, and the one with a key longer than a block. */
START_TEST(hmac_vectors)
{
	static const struct {
		enum lp_digest digest;
		size_t long_key; /* of aa bytes; 0: the key "Jefe" */
		const char *hex;
	} want[] = {
		{ LP_MD5, 0, "750c783e6ab0b503eaa86e310a5db738" },
		{ LP_MD5, 80, "6b1ab7fe4bd7bf8f0b62e6ce61b9d0cd" },
		{ LP_SHA1, 0, "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79" },
		{ LP_SHA1, 80, "aa4ae5e15272d00e95705637ce8a3b55ed402112" },
		{ LP_SHA256, 0, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843" },
		{ LP_SHA256, 131, "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54" },
		{ LP_SHA384, 0, "af45d2e376484031617f78d2b58a6b1b9c7ef464f5a01b47e42ec3736322445e"
				"8e2240ca5e69e2c78b3239ecfab21649" },
		{ LP_SHA384, 131, "4ece084485813e9088d2c63a041bc5b44f9ef1012a2b588f3cd11f05033ac4c6"
				  "0c2ef6ab4030fe8296248df163f44952" },
		{ LP_SHA512, 0, "164b7a7bfcf819e2e395fbe73b56e0a387bd64222e831fd610270cd7ea250554"
				"9758bf75c05a994a6d034f65f8f0e6fdcaeab1a34d4a6b4b636e070a38bce737" },
		{ LP_SHA512, 131, "80b24263c7c1a3ebb71493c1dd7be8b49b46d1f41b4aeec1121b013783f8f352"
				  "6b56d037e05f2598bd0fd2215d6a1e5295e64f73f63f0aec8b915a985d786598" },
	};
	const struct lp_crypto *c = help_providers[_i];
	uint8_t key[131], expect[LP_DIGEST_MAX], got[LP_DIGEST_MAX];
	struct lp_mac_ctx *m;

	memset(key, 0xaa, sizeof key);
	for (size_t i = 0; i < sizeof want / sizeof want[0]; i++) {
		const bool jefe = !want[i].long_key;
		const lp_span k = jefe ? text("Jefe") : lp_span_of(key, want[i].long_key);
		const lp_span parts[2] = {
			jefe ? text("what do ya want ") : text("Test Using Larger Than Block-Size Key"),
			jefe ? text("for nothing?") : text(" - Hash Key First"),
		};

		ck_assert_uint_eq(unhex(expect, want[i].hex), lp_digest_size(want[i].digest));
		ck_assert_int_eq(c->mac_new(want[i].digest, k, &m), LP_OK);
		for (int again = 0; again < 3; again++) { /* the pads are kept */
			memset(got, 0, sizeof got);
			ck_assert_int_eq(c->mac(m, parts, 2, got), LP_OK);
			ck_assert_mem_eq(got, expect, lp_digest_size(want[i].digest));
		}
		c->mac_free(m);
		ck_assert_int_eq(lp_mac_once(c, want[i].digest, k, parts, 2, got), LP_OK);
		ck_assert_mem_eq(got, expect, lp_digest_size(want[i].digest));
	}
	ck_assert_int_eq(c->mac_new(LP_DIGEST_NONE, text("k"), &m), LP_E_UNSUPPORTED);
	ck_assert_int_eq(c->mac_new(LP_MD5_SHA1, text("k"), &m), LP_E_UNSUPPORTED);
	ck_assert_int_eq(lp_mac_once(c, LP_SHA256, (lp_span){ NULL, 0 }, NULL, 0, got), LP_OK);
	unhex(expect, "b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad");
	ck_assert_mem_eq(got, expect, 32);
}
END_TEST

/* Two at once are what each is alone. */
START_TEST(two_macs_at_once)
{
	static uint8_t bytes[2][20000];
	static const size_t sizes[] = { 64, 65, 127, 128, 1000, 16384 + 13 + 16, 18445, 64, 119, 120 };
	const struct lp_crypto *c = help_providers[_i];
	const enum lp_digest digests[] = { LP_SHA1, LP_SHA256 };
	uint8_t expect[LP_DIGEST_MAX], got[2][LP_DIGEST_MAX];
	struct lp_mac_ctx *m[2];
	struct lp_two *two = NULL;
	enum lp_err err = c->two_new ? c->two_new(&two) : LP_OK;

	if (err == LP_E_UNSUPPORTED)
		fprintf(stderr, "two_macs_at_once: not here: the processor has no instructions for SHA\n");
	else
		ck_assert_int_eq(err, LP_OK);
	if (!two)
		return;
	help_fill(bytes[0], sizeof bytes[0], 1);
	help_fill(bytes[1], sizeof bytes[1], 2);
	for (int d = 0; d < 2; d++) {
		const size_t size = lp_digest_size(digests[d]);

		for (unsigned i = 0; i < 100; i++) {
			const size_t na = sizes[i % 10], nb = sizes[i / 10];
			struct lp_mac_job job[2];

			ck_assert_int_eq(c->mac_new(digests[d], lp_span_of(bytes[0] + i, size), &m[0]), LP_OK);
			ck_assert_int_eq(c->mac_new(digests[d], lp_span_of(bytes[1] + i, size + 70), &m[1]), LP_OK);
			for (int j = 0; j < 2; j++)
				job[j] = (struct lp_mac_job){ m[j], lp_span_of(bytes[j] + i, j ? nb : na), got[j] };
			memset(got, 0xee, sizeof got);
			ck_assert_int_eq(c->mac_two(two, digests[d], job), LP_OK);
			for (int j = 0; j < 2; j++) {
				ck_assert_int_eq(c->mac(m[j], &job[j].bytes, 1, expect), LP_OK);
				ck_assert_mem_eq(got[j], expect, size);
				ck_assert_int_eq(got[j][size], 0xee);
			}
			job[i % 2].bytes.n = LP_TWO_LEAST - 1;
			ck_assert_int_eq(c->mac_two(two, digests[d], job), LP_E_UNSUPPORTED);
			job[i % 2].bytes.n = LP_TWO_LEAST;
			ck_assert_int_eq(c->mac_two(two, digests[!d], job), LP_E_UNSUPPORTED);
			ck_assert_int_eq(c->mac_two(two, LP_SHA384, job), LP_E_UNSUPPORTED);
			c->mac_free(m[0]);
			c->mac_free(m[1]);
		}
	}
	c->two_free(two);
}
END_TEST

/* ---- ciphers ---- */

/* SP 800-38A (CBC), SP 800-38C example 3 (CCM), the GCM submission's test cases 4
 * and 16, RFC 8439 2.8.2, RFC 3713, RFC 5794, RFC 4269, RFC 2268, RFC 6229 and, for
 * DES, the worked example everybody knows. One block of CBC with a zero IV is ECB. */
static const struct vector {
	enum lp_cipher cipher;
	const char *key, *iv, *aad, *clear, *sealed, *tag;
} vectors[] = {
	{ LP_AES_128_CBC, "2b7e151628aed2a6abf7158809cf4f3c", "000102030405060708090a0b0c0d0e0f", "",
	  "6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e51",
	  "7649abac8119b246cee98e9b12e9197d5086cb9b507219ee95db113a917678b2", "" },
	{ LP_AES_256_CBC, "603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4",
	  "000102030405060708090a0b0c0d0e0f", "",
	  "6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e51",
	  "f58c4c04d6e5f1ba779eabfb5f7bfbd69cfc4e967edb808d679f777bc6702c7d", "" },
	{ LP_AES_128_GCM, "feffe9928665731c6d6a8f9467308308", "cafebabefacedbaddecaf888",
	  "feedfacedeadbeeffeedfacedeadbeefabaddad2",
	  "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72"
	  "1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39",
	  "42831ec2217774244b7221b784d0d49ce3aa212f2c02a4e035c17e2329aca12e"
	  "21d514b25466931c7d8f6a5aac84aa051ba30b396a0aac973d58e091",
	  "5bc94fbc3221a5db94fae95ae7121a47" },
	{ LP_AES_256_GCM, "feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308",
	  "cafebabefacedbaddecaf888", "feedfacedeadbeeffeedfacedeadbeefabaddad2",
	  "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72"
	  "1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39",
	  "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa"
	  "8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662",
	  "76fc6ece0f4e1768cddf8853bb2d551b" },
	{ LP_AES_128_CCM_8, "404142434445464748494a4b4c4d4e4f", "101112131415161718191a1b",
	  "000102030405060708090a0b0c0d0e0f10111213",
	  "202122232425262728292a2b2c2d2e2f3031323334353637",
	  "e3b201a9f5b71a7a9b1ceaeccd97e70b6176aad9a4428aa5", "484392fbc1b09951" },
	{ LP_CHACHA20_POLY1305, "808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9f",
	  "070000004041424344454647", "50515253c0c1c2c3c4c5c6c7",
	  "4c616469657320616e642047656e746c656d656e206f662074686520636c6173"
	  "73206f66202739393a204966204920636f756c64206f6666657220796f75206f"
	  "6e6c79206f6e652074697020666f7220746865206675747572652c2073756e73"
	  "637265656e20776f756c642062652069742e",
	  "d31a8d34648e60db7b86afbc53ef7ec2a4aded51296e08fea9e2b5a736ee62d6"
	  "3dbea45e8ca9671282fafb69da92728b1a71de0a9e060b2905d6a5b67ecd3b36"
	  "92ddbd7f2d778b8c9803aee328091b58fab324e4fad675945585808b4831d7bc"
	  "3ff4def08e4b7a9de576d26586cec64b6116",
	  "1ae10b594f09e26a7e902ecbd0600691" },
	{ LP_CAMELLIA_128_CBC, "0123456789abcdeffedcba9876543210", "00000000000000000000000000000000",
	  "", "0123456789abcdeffedcba9876543210", "67673138549669730857065648eabe43", "" },
	{ LP_CAMELLIA_256_CBC, "0123456789abcdeffedcba987654321000112233445566778899aabbccddeeff",
	  "00000000000000000000000000000000", "", "0123456789abcdeffedcba9876543210",
	  "9acc237dff16d76c20ef7c919e3a7509", "" },
	{ LP_ARIA_128_CBC, "000102030405060708090a0b0c0d0e0f", "00000000000000000000000000000000", "",
	  "00112233445566778899aabbccddeeff", "d718fbd6ab644c739da95f3be6451778", "" },
	{ LP_DES_CBC, "133457799bbcdff1", "0000000000000000", "", "0123456789abcdef",
	  "85e813540f0ab405", "" },
	{ LP_3DES_EDE_CBC, "133457799bbcdff1133457799bbcdff1133457799bbcdff1", "0000000000000000", "",
	  "0123456789abcdef", "85e813540f0ab405", "" },
	{ LP_SEED_CBC, "00000000000000000000000000000000", "00000000000000000000000000000000", "",
	  "000102030405060708090a0b0c0d0e0f", "5ebac6e0054e166819aff1cc6d346cdb", "" },
	{ LP_RC2_CBC_40, "88bca90e90875a7f0f79c384627bafb2", "0000000000000000", "",
	  "0000000000000000", "2269552ab0f85ca6", "" },
	{ LP_RC4_128, "0102030405060708090a0b0c0d0e0f10", "", "",
	  "00000000000000000000000000000000", "9ac7cc9a609d1ef7b2932899cde41b97", "" },
};

START_TEST(cipher_vectors)
{
	const struct lp_crypto *c = help_providers[_i];
	uint8_t key[32], iv[16], aad[32], clear[128], sealed[128], tag[16], out[128];
	int seen = 0;

	for (size_t i = 0; i < sizeof vectors / sizeof vectors[0]; i++) {
		const struct vector *v = &vectors[i];
		const size_t nkey = unhex(key, v->key), naad = unhex(aad, v->aad);
		const size_t n = unhex(clear, v->clear);
		struct lp_cipher_ctx *ctx;

		if (!c->has_cipher(v->cipher)) {
			ck_assert_int_eq(c->cipher_new(v->cipher, lp_span_of(key, nkey), &ctx),
					 LP_E_UNSUPPORTED);
			continue;
		}
		seen++;
		unhex(iv, v->iv);
		unhex(sealed, v->sealed);
		unhex(tag, v->tag);
		ck_assert_int_eq(c->cipher_new(v->cipher, lp_span_of(key, nkey), &ctx), LP_OK);
		if (lp_cipher_info(v->cipher)->kind == LP_KIND_AEAD)
			ck_assert_int_eq(c->open(ctx, iv, lp_span_of(aad, naad), sealed, n, tag, out),
					 LP_OK);
		else
			ck_assert_int_eq(c->decrypt(ctx, iv, sealed, n, out), LP_OK);
		ck_assert_mem_eq(out, clear, n);
		c->cipher_free(ctx);
	}
	ck_assert_int_ge(seen, 10);
}
END_TEST

/* One cipher, sealed by one library: opened apart and in place, twice with the same
 * context; and an AEAD refuses every kind of damage and then still opens. */
static void open_both_ways(const struct lp_crypto *c, enum lp_cipher cipher, help_seal *seal, size_t n)
{
	static uint8_t clear[BIG], sealed[BIG], out[BIG], work[BIG];
	const struct lp_cipher_info *info = lp_cipher_info(cipher);
	uint8_t key[32], iv[16], tag[16], aad[13];
	const lp_span a = { aad, sizeof aad };
	struct lp_cipher_ctx *ctx;

	help_fill(key, sizeof key, (uint32_t)n + 1);
	help_fill(iv, sizeof iv, (uint32_t)n + 2);
	help_fill(aad, sizeof aad, (uint32_t)n + 3);
	help_fill(clear, n, (uint32_t)n + 4);
	ck_assert_msg(seal(cipher, key, iv, a, clear, n, sealed, tag), "%s %zu", info->name, n);
	ck_assert_int_eq(c->cipher_new(cipher, lp_span_of(key, info->key), &ctx), LP_OK);
	if (info->kind != LP_KIND_AEAD) {
		ck_assert_int_eq(c->decrypt(ctx, iv, sealed, n, out), LP_OK);
		ck_assert_mem_eq(out, clear, n);
		if (info->kind == LP_KIND_STREAM) { /* a second pass would go on: anew, in pieces */
			const size_t cut = n / 3;

			c->cipher_free(ctx);
			ck_assert_int_eq(c->cipher_new(cipher, lp_span_of(key, info->key), &ctx),
					 LP_OK);
			ck_assert_int_eq(c->decrypt(ctx, NULL, sealed, cut, sealed), LP_OK);
			ck_assert_int_eq(c->decrypt(ctx, NULL, sealed + cut, n - cut, sealed + cut),
					 LP_OK);
		} else {
			ck_assert_int_eq(c->decrypt(ctx, iv, sealed, n, sealed), LP_OK);
		}
		ck_assert_mem_eq(sealed, clear, n);
		if (info->block && n > info->block)
			ck_assert_int_eq(c->decrypt(ctx, iv, sealed, info->block + 1, out), LP_E_ARG);
		c->cipher_free(ctx);
		return;
	}
	ck_assert_int_eq(c->open(ctx, iv, a, sealed, n, tag, out), LP_OK);
	ck_assert_mem_eq(out, clear, n);
	for (int damage = 0; damage < 5; damage++) {
		uint8_t *at = damage == 0 ? tag : damage == 1 ? tag + info->tag - 1 :
			      damage == 2 ? aad : damage == 3 ? iv + 11 : n ? sealed + n - 1 : tag + 1;

		*at ^= 0x40;
		memset(out, 0x5a, n);
		ck_assert_int_eq(c->open(ctx, iv, a, sealed, n, tag, out), LP_E_AUTH);
		for (size_t i = 0; i < n; i++)
			ck_assert_uint_eq(out[i], 0);
		*at ^= 0x40;
	}
	memcpy(work, sealed, n);
	ck_assert_int_eq(c->open(ctx, iv, a, work, n, tag, work), LP_OK);
	ck_assert_mem_eq(work, clear, n);
	ck_assert_int_eq(c->open(ctx, iv, (lp_span){ NULL, 0 }, sealed, n, tag, out), LP_E_AUTH);
	ck_assert_int_eq(c->open(ctx, iv, a, sealed, n, tag, out), LP_OK);
	ck_assert_int_eq(c->decrypt(ctx, iv, sealed, n, out), LP_E_ARG);
	c->cipher_free(ctx);
}

START_TEST(every_cipher_opens_what_each_library_seals)
{
	static const size_t sizes[] = { 0, 1, 7, 16, 48, 160, 1000, 1024, 16384, BIG };
	const struct lp_crypto *c = help_providers[_i];
	uint8_t key[32] = { 0 }, iv[16] = { 0 }, byte[1] = { 0 }, tag[16];
	const lp_span none = { NULL, 0 };
	int pairs = 0;

	for (int k = 0; k < LP_CIPHER_COUNT; k++) {
		const enum lp_cipher cipher = (enum lp_cipher)k;
		const struct lp_cipher_info *info = lp_cipher_info(cipher);
		struct lp_cipher_ctx *ctx;

		if (!c->has_cipher(cipher))
			continue;
		ck_assert_int_eq(c->cipher_new(cipher, lp_span_of(key, info->key + 1), &ctx), LP_E_ARG);
		for (size_t s = 0; s < sizeof sealers / sizeof sealers[0]; s++) {
			if (!sealers[s](cipher, key, iv, none, byte, 0, byte, tag))
				continue;
			pairs++;
			for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++)
				if (!info->block || sizes[i] % info->block == 0)
					open_both_ways(c, cipher, sealers[s], sizes[i]);
		}
	}
	/* The suites of TLS 1.0 to 1.2 that matter, from each library at least. */
	ck_assert_int_ge(pairs, 14 * (int)(sizeof sealers / sizeof sealers[0]));
	ck_assert(c->has_cipher(LP_AES_128_CBC) && c->has_cipher(LP_AES_256_GCM) &&
		  c->has_cipher(LP_AES_256_CCM_8) && c->has_cipher(LP_CHACHA20_POLY1305) &&
		  c->has_cipher(LP_CAMELLIA_256_CBC) && c->has_cipher(LP_3DES_EDE_CBC));
}
END_TEST

/* ---- RSA ---- */

/* The exponent 3 and odd lengths are legal; 512 bits is what EXPORT used. */
START_TEST(rsa_private_undoes_openssls_public)
{
	static const char *const kinds[] = { "2048", "1024", "1031", "512" };
	static uint8_t der[HELP_FILE_MAX], sealed[512], clear[512], out[512];
	const struct lp_crypto *c = help_providers[_i];
	struct help_dir dir;
	struct lp_rsa *rsa;

	if (!help_have_openssl())
		return;
	help_dir_open(&dir);
	for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
		const size_t size = (size_t)(atoi(kinds[i]) + 7) / 8;
		size_t n;

		ck_assert(help_run(&dir, "openssl genrsa %s -out k.pem %s && openssl rsa -in k.pem "
				   "-traditional -outform DER -out k.der",
				   i == 1 ? "-3" : "", kinds[i]));
		help_fill(clear, size, (uint32_t)i);
		clear[0] = 0;
		help_write(&dir, "m", clear, size);
		ck_assert(help_run(&dir, "openssl pkeyutl -encrypt -inkey k.pem -in m -out c "
				   "-pkeyopt rsa_padding_mode:none"));
		ck_assert_uint_eq(help_read(&dir, "c", sealed, sizeof sealed), size);
		n = help_read(&dir, "k.der", der, sizeof der);
		ck_assert_int_eq(c->rsa_new(lp_span_of(der, n), &rsa), LP_OK);
		for (int again = 0; again < 3; again++) {
			memset(out, 0x5a, sizeof out);
			ck_assert_int_eq(c->rsa_private(rsa, sealed, out), LP_OK);
			ck_assert_mem_eq(out, clear, size);
			ck_assert_uint_eq(out[size], 0x5a);
		}
		/* A number that is not below the modulus, and then a good one. */
		memset(sealed, 0xff, size);
		ck_assert_int_eq(c->rsa_private(rsa, sealed, out), LP_E_FORMAT);
		memset(sealed, 0, size);
		sealed[size - 1] = 1;
		ck_assert_int_eq(c->rsa_private(rsa, sealed, out), LP_OK);
		ck_assert_mem_eq(out, sealed, size);
		c->rsa_free(rsa);
		for (size_t cut = 0; cut < n; cut += 7) {
			ck_assert_int_ne(c->rsa_new(lp_span_of(der, cut), &rsa), LP_OK);
			ck_assert_ptr_null(rsa);
		}
	}
	help_dir_close(&dir);
}
END_TEST

Suite *suite_crypto(void)
{
	Suite *s = suite_create("crypto");
	TCase *t = tcase_create("tables");

	tcase_add_test(t, sizes_are_those_of_the_rfcs);
	tcase_add_test(t, choice_follows_the_name);
	suite_add_tcase(s, t);
	t = tcase_create("providers");
	tcase_set_timeout(t, 60);
	tcase_add_loop_test(t, hashes_of_abc, 0, HELP_PROVIDERS);
	tcase_add_loop_test(t, hmac_vectors, 0, HELP_PROVIDERS);
	tcase_add_loop_test(t, two_macs_at_once, 0, HELP_PROVIDERS);
	tcase_add_loop_test(t, cipher_vectors, 0, HELP_PROVIDERS);
	tcase_add_loop_test(t, every_cipher_opens_what_each_library_seals, 0, HELP_PROVIDERS);
	tcase_add_loop_test(t, rsa_private_undoes_openssls_public, 0, HELP_PROVIDERS);
	suite_add_tcase(s, t);
	return s;
}
