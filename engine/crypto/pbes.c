#include "crypto/pbes.h"

#include <mbedtls/aes.h>
#include <mbedtls/des.h>
#include <mbedtls/pkcs5.h>
#include <stdio.h>
#include <string.h>

#include "crypto/crypto.h"
#include "crypto/der.h"
#include "crypto/keyfile.h"
#include "crypto/mbedtls_int.h"

enum { SHA1_BLOCK = 64, SHA1_SIZE = 20, KEY_MAX = 32, IV_MAX = 16 };

static bool is(lp_span oid, const char *bytes)
{
	return oid.n == strlen(bytes) && !memcmp(oid.p, bytes, oid.n);
}

static enum lp_err unknown(char *why, const char *what, lp_span oid)
{
	char text[LP_DER_OID_TEXT];

	snprintf(why, LP_KEY_WHY, "its %s is not supported (%s)", what, lp_der_oid_text(text, oid));
	return LP_E_UNSUPPORTED;
}

static enum lp_err damaged(char *why)
{
	snprintf(why, LP_KEY_WHY, "its encryption parameters are damaged");
	return LP_E_FORMAT;
}

/* ---- CBC and its padding ---- */

static int cbc(enum lp_pbes_cipher cipher, lp_span key, const uint8_t *iv, lp_span in, uint8_t *out)
{
	uint8_t chain[IV_MAX];
	int ret;

	if (cipher == LP_PBES_AES) {
		mbedtls_aes_context aes;

		memcpy(chain, iv, 16);
		mbedtls_aes_init(&aes);
		ret = mbedtls_aes_setkey_dec(&aes, key.p, (unsigned)key.n * 8);
		if (!ret)
			ret = mbedtls_aes_crypt_cbc(&aes, MBEDTLS_AES_DECRYPT, in.n, chain, in.p, out);
		mbedtls_aes_free(&aes);
	} else {
		mbedtls_des3_context des;

		memcpy(chain, iv, 8);
		mbedtls_des3_init(&des);
		ret = mbedtls_des3_set3key_dec(&des, key.p);
		if (!ret)
			ret = mbedtls_des3_crypt_cbc(&des, MBEDTLS_DES_DECRYPT, in.n, chain, in.p, out);
		mbedtls_des3_free(&des);
	}
	return ret;
}

enum lp_err lp_pbes_decrypt(enum lp_pbes_cipher cipher, lp_span key, const uint8_t *iv, lp_span in,
			    struct lp_secret *out, char *why)
{
	const size_t block = cipher == LP_PBES_AES ? 16 : 8;
	enum lp_err err = LP_OK;
	uint8_t *mem;
	size_t pad;

	if (!in.n || in.n % block) {
		snprintf(why, LP_KEY_WHY, "its encrypted part is cut short");
		return LP_E_FORMAT;
	}
	mem = lp_secret_alloc(in.n);
	if (!mem)
		return LP_E_NOMEM;
	if (cbc(cipher, key, iv, in, mem)) {
		err = LP_E_FORMAT;
	} else {
		pad = mem[in.n - 1];
		if (!pad || pad > block || pad == in.n)
			err = LP_E_PASSPHRASE;
		for (size_t i = 2; !err && i <= pad; i++)
			if (mem[in.n - i] != pad)
				err = LP_E_PASSPHRASE;
		if (!err)
			err = lp_secret_set(out, mem, in.n - pad);
	}
	if (err == LP_E_PASSPHRASE)
		snprintf(why, LP_KEY_WHY, "the passphrase does not open it");
	lp_secret_free(mem, in.n);
	return err;
}

/* ---- PBES2 (RFC 8018 section 6.2) ---- */

static const struct {
	const char *oid;
	mbedtls_md_type_t md;
} prfs[] = {
	{ "\x2a\x86\x48\x86\xf7\x0d\x02\x07", MBEDTLS_MD_SHA1 },
	{ "\x2a\x86\x48\x86\xf7\x0d\x02\x08", MBEDTLS_MD_SHA224 },
	{ "\x2a\x86\x48\x86\xf7\x0d\x02\x09", MBEDTLS_MD_SHA256 },
	{ "\x2a\x86\x48\x86\xf7\x0d\x02\x0a", MBEDTLS_MD_SHA384 },
	{ "\x2a\x86\x48\x86\xf7\x0d\x02\x0b", MBEDTLS_MD_SHA512 },
};

static const struct {
	const char *oid;
	enum lp_pbes_cipher cipher;
	uint8_t key, iv;
} ciphers[] = {
	{ "\x60\x86\x48\x01\x65\x03\x04\x01\x02", LP_PBES_AES, 16, 16 },
	{ "\x60\x86\x48\x01\x65\x03\x04\x01\x16", LP_PBES_AES, 24, 16 },
	{ "\x60\x86\x48\x01\x65\x03\x04\x01\x2a", LP_PBES_AES, 32, 16 },
	{ "\x2a\x86\x48\x86\xf7\x0d\x03\x07", LP_PBES_3DES, 24, 8 },
};

struct pbkdf2 {
	lp_span salt;
	uint32_t rounds;
	uint32_t key; /* 0: not stated */
	mbedtls_md_type_t md;
};

static enum lp_err read_rounds(struct lp_cursor *c, uint32_t *rounds, char *why)
{
	const lp_span v = lp_der_unsigned(c);
	uint32_t n = 0;

	if (c->bad || !v.n)
		return damaged(why);
	for (size_t i = 0; i < v.n && v.n <= 4; i++)
		n = n << 8 | v.p[i];
	if (v.n > 4 || n > LP_PBES_ROUNDS_MAX) {
		snprintf(why, LP_KEY_WHY, "its passphrase is hashed more than %d times, limpid's limit",
			 LP_PBES_ROUNDS_MAX);
		return LP_E_UNSUPPORTED;
	}
	*rounds = n;
	return LP_OK;
}

static enum lp_err read_pbkdf2(struct lp_cursor *c, struct pbkdf2 *k, char *why)
{
	struct lp_cursor params = lp_der_enter(c, LP_DER_SEQUENCE);
	enum lp_err err;

	k->salt = lp_der_take(&params, LP_DER_OCTET_STRING);
	err = read_rounds(&params, &k->rounds, why);
	if (err)
		return err;
	k->key = lp_der_peek(&params) == LP_DER_INTEGER ? lp_der_u32(&params) : 0;
	k->md = MBEDTLS_MD_SHA1; /* the default */
	if (lp_cursor_left(&params)) {
		struct lp_cursor prf = lp_der_enter(&params, LP_DER_SEQUENCE);
		const lp_span oid = lp_der_take(&prf, LP_DER_OID);
		size_t i = 0;

		if (prf.bad)
			return damaged(why);
		while (i < sizeof prfs / sizeof prfs[0] && !is(oid, prfs[i].oid))
			i++;
		if (i == sizeof prfs / sizeof prfs[0])
			return unknown(why, "passphrase hash", oid);
		k->md = prfs[i].md;
	}
	return lp_cursor_end(&params) ? damaged(why) : LP_OK;
}

static enum lp_err derive(const struct pbkdf2 *k, lp_span passphrase, uint8_t *key, size_t n)
{
	int ret;
#if MBEDTLS_VERSION_MAJOR == 2
	mbedtls_md_context_t md;

	mbedtls_md_init(&md);
	ret = mbedtls_md_setup(&md, mbedtls_md_info_from_type(k->md), 1);
	if (!ret)
		ret = mbedtls_pkcs5_pbkdf2_hmac(&md, passphrase.p, passphrase.n, k->salt.p,
						k->salt.n, k->rounds, (uint32_t)n, key);
	mbedtls_md_free(&md);
#else
	ret = mbedtls_pkcs5_pbkdf2_hmac_ext(k->md, passphrase.p, passphrase.n, k->salt.p, k->salt.n,
					    k->rounds, (uint32_t)n, key);
#endif
	return ret ? LP_E_NOMEM : LP_OK;
}

static enum lp_err open_pbes2(struct lp_cursor params, lp_span passphrase, lp_span in,
			      struct lp_secret *out, char *why)
{
	struct lp_cursor kdf = lp_der_enter(&params, LP_DER_SEQUENCE);
	struct lp_cursor enc = lp_der_enter(&params, LP_DER_SEQUENCE);
	const lp_span kdf_oid = lp_der_take(&kdf, LP_DER_OID);
	const lp_span enc_oid = lp_der_take(&enc, LP_DER_OID);
	struct pbkdf2 k;
	enum lp_err err;
	uint8_t *key;
	lp_span iv;
	size_t i = 0;

	if (kdf.bad || enc.bad)
		return damaged(why);
	if (is(kdf_oid, "\x2b\x06\x01\x04\x01\xda\x47\x04\x0b")) {
		snprintf(why, LP_KEY_WHY, "its passphrase is hashed with scrypt, which limpid does not "
			 "know; rewrite it with openssl pkcs8 -topk8");
		return LP_E_UNSUPPORTED;
	}
	if (!is(kdf_oid, "\x2a\x86\x48\x86\xf7\x0d\x01\x05\x0c"))
		return unknown(why, "key derivation", kdf_oid);
	while (i < sizeof ciphers / sizeof ciphers[0] && !is(enc_oid, ciphers[i].oid))
		i++;
	if (i == sizeof ciphers / sizeof ciphers[0])
		return unknown(why, "cipher", enc_oid);
	err = read_pbkdf2(&kdf, &k, why);
	if (err)
		return err;
	iv = lp_der_take(&enc, LP_DER_OCTET_STRING);
	if (iv.n != ciphers[i].iv || (k.key && k.key != ciphers[i].key))
		return damaged(why);
	key = lp_secret_alloc(KEY_MAX);
	if (!key)
		return LP_E_NOMEM;
	err = derive(&k, passphrase, key, ciphers[i].key);
	if (!err)
		err = lp_pbes_decrypt(ciphers[i].cipher, lp_span_of(key, ciphers[i].key), iv.p, in,
				      out, why);
	lp_secret_free(key, KEY_MAX);
	return err;
}

/* ---- PBES1 with SHA-1 and 3DES, derived as PKCS#12 does ---- */

/* The passphrase as RFC 7292 appendix B.1 wants it: UTF-16, big-endian, with a zero
 * at the end. Bytes that are not UTF-8 count as Latin-1, as OpenSSL takes them. */
static size_t bmp_string(lp_span in, uint8_t *out)
{
	size_t n = 0;

	for (size_t i = 0; i < in.n;) {
		const uint8_t c = in.p[i];
		const size_t more = c < 0xc2 ? 0 : c < 0xe0 ? 1 : c < 0xf0 ? 2 : c < 0xf5 ? 3 : 0;
		uint32_t rune = more == 1 ? c & 0x1fU : more == 2 ? c & 0x0fU : more ? c & 0x07U : c;
		size_t k = 1;

		while (more && k <= more && i + k < in.n && (in.p[i + k] & 0xc0) == 0x80)
			rune = rune << 6 | (in.p[i + k++] & 0x3f);
		if (k <= more) {
			rune = c;
			k = 1;
		}
		i += k;
		if (rune > 0xffff) {
			rune -= 0x10000;
			out[n++] = (uint8_t)(0xd8 | rune >> 18);
			out[n++] = (uint8_t)(rune >> 10);
			rune = 0xdc00 | (rune & 0x3ff);
		}
		out[n++] = (uint8_t)(rune >> 8);
		out[n++] = (uint8_t)rune;
	}
	out[n++] = 0;
	out[n++] = 0;
	return n;
}

/* Repeats s until a whole number of blocks is filled; returns how many bytes. */
static size_t repeat(uint8_t *out, lp_span s)
{
	const size_t n = (s.n + SHA1_BLOCK - 1) / SHA1_BLOCK * SHA1_BLOCK;

	for (size_t i = 0; i < n; i++)
		out[i] = s.p[i % s.n];
	return n;
}

struct pkcs12 {
	lp_span salt;
	uint32_t rounds;
	uint8_t *input; /* I = S ‖ P of RFC 7292 appendix B.2 */
	size_t n;
};

/* RFC 7292 appendix B.2, id 1 for keys and 2 for IVs; n at most 40. Changes input. */
static enum lp_err pkcs12_derive(struct pkcs12 *k, uint8_t id, uint8_t *out, size_t n)
{
	uint8_t d[SHA1_BLOCK], a[SHA1_SIZE];
	enum lp_err err = LP_OK;

	memset(d, id, sizeof d);
	for (;;) {
		const lp_span first[2] = { { d, sizeof d }, { k->input, k->n } };
		const lp_span again = { a, sizeof a };
		const size_t part = n < sizeof a ? n : sizeof a;

		err = lp_digest_once(&lp_crypto_mbedtls, LP_SHA1, first, 2, a);
		for (uint32_t i = 1; !err && i < k->rounds; i++)
			err = lp_digest_once(&lp_crypto_mbedtls, LP_SHA1, &again, 1, a);
		if (err)
			break;
		memcpy(out, a, part);
		out += part;
		n -= part;
		if (!n)
			break;
		/* Each block of I becomes I + A(repeated) + 1. */
		for (size_t at = 0; at < k->n; at += SHA1_BLOCK) {
			unsigned carry = 1;

			for (size_t i = SHA1_BLOCK; i--;) {
				carry += k->input[at + i] + a[i % sizeof a];
				k->input[at + i] = (uint8_t)carry;
				carry >>= 8;
			}
		}
	}
	lp_wipe(a, sizeof a);
	return err;
}

static enum lp_err open_pbes1(struct lp_cursor params, lp_span passphrase, lp_span in,
			      struct lp_secret *out, char *why)
{
	const size_t bmp_max = passphrase.n * 2 + 2;
	struct pkcs12 k = { lp_der_take(&params, LP_DER_OCTET_STRING), 0, NULL, 0 };
	enum lp_err err = read_rounds(&params, &k.rounds, why);
	const size_t size = k.salt.n + bmp_max + 2 * SHA1_BLOCK;
	uint8_t *work, *bmp;
	size_t bmp_n, salt_n;

	if (err)
		return err;
	if (!k.salt.n || lp_cursor_end(&params))
		return damaged(why);
	/* key and IV, then the passphrase in UTF-16, then I twice: it is used up */
	work = lp_secret_alloc(32 + bmp_max + 2 * size);
	if (!work)
		return LP_E_NOMEM;
	bmp = work + 32;
	bmp_n = bmp_string(passphrase, bmp);
	for (uint8_t id = 1; !err && id <= 2; id++) {
		k.input = bmp + bmp_max + (id - 1) * size;
		salt_n = repeat(k.input, k.salt);
		k.n = salt_n + repeat(k.input + salt_n, lp_span_of(bmp, bmp_n));
		err = id == 1 ? pkcs12_derive(&k, 1, work, 24) : pkcs12_derive(&k, 2, work + 24, 8);
	}
	if (!err)
		err = lp_pbes_decrypt(LP_PBES_3DES, lp_span_of(work, 24), work + 24, in, out, why);
	lp_secret_free(work, 32 + bmp_max + 2 * size);
	return err;
}

enum lp_err lp_pbes_open(lp_span der, lp_span passphrase, struct lp_secret *out, char *why)
{
	struct lp_cursor top = lp_cursor_span(der);
	struct lp_cursor c = lp_der_enter(&top, LP_DER_SEQUENCE);
	struct lp_cursor alg = lp_der_enter(&c, LP_DER_SEQUENCE);
	const lp_span oid = lp_der_take(&alg, LP_DER_OID);
	const lp_span data = lp_der_take(&c, LP_DER_OCTET_STRING);
	struct lp_cursor params = lp_der_enter(&alg, LP_DER_SEQUENCE);

	if (alg.bad || lp_cursor_end(&c) || lp_cursor_end(&top))
		return damaged(why);
	if (is(oid, "\x2a\x86\x48\x86\xf7\x0d\x01\x05\x0d"))
		return open_pbes2(params, passphrase, data, out, why);
	if (is(oid, "\x2a\x86\x48\x86\xf7\x0d\x01\x0c\x01\x03"))
		return open_pbes1(params, passphrase, data, out, why);
	return unknown(why, "encryption", oid);
}
