#include "help_sender.h"

#include <check.h>
#include <mbedtls/md.h>
#include <stdlib.h>
#include <string.h>

#include "help_seal.h"

static const int md_types[] = {
	[LP_MD5] = MBEDTLS_MD_MD5,
	[LP_SHA1] = MBEDTLS_MD_SHA1,
	[LP_SHA256] = MBEDTLS_MD_SHA256,
	[LP_SHA384] = MBEDTLS_MD_SHA384,
};

/* RFC 6101 section 5.2.3.1. */
static void ssl3_mac(const struct help_sender *s, uint8_t type, lp_span bytes, uint8_t *out)
{
	const mbedtls_md_info_t *info = mbedtls_md_info_from_type((mbedtls_md_type_t)md_types[s->suite->mac]);
	size_t size = lp_digest_size(s->suite->mac), pad = s->suite->mac == LP_MD5 ? 48 : 40, n = 0;
	static uint8_t in[HELP_SENDER_BIG + 200];
	uint8_t inner[64];

	memcpy(in, s->mac, size);
	memset(in + size, 0x36, pad);
	n = size + pad;
	for (int i = 0; i < 8; i++)
		in[n++] = (uint8_t)(s->seq >> (56 - 8 * i));
	in[n++] = type;
	in[n++] = (uint8_t)(bytes.n >> 8);
	in[n++] = (uint8_t)bytes.n;
	if (bytes.n)
		memcpy(in + n, bytes.p, bytes.n);
	mbedtls_md(info, in, n + bytes.n, inner);
	memset(in + size, 0x5c, pad);
	memcpy(in + size + pad, inner, size);
	mbedtls_md(info, in, size + pad + size, out);
}

static void hmac(const struct help_sender *s, uint8_t type, lp_span bytes, uint8_t *out)
{
	uint8_t header[13], full[64];
	mbedtls_md_context_t md;
	const mbedtls_md_info_t *info = mbedtls_md_info_from_type((mbedtls_md_type_t)md_types[s->suite->mac]);

	if (s->version == 0x300) {
		ssl3_mac(s, type, bytes, out);
		return;
	}
	for (int i = 0; i < 8; i++)
		header[i] = (uint8_t)(s->seq >> (56 - 8 * i));
	header[8] = type;
	header[9] = 3;
	header[10] = (uint8_t)s->version;
	header[11] = (uint8_t)(bytes.n >> 8);
	header[12] = (uint8_t)bytes.n;
	mbedtls_md_init(&md);
	ck_assert_int_eq(mbedtls_md_setup(&md, info, 1), 0);
	mbedtls_md_hmac_starts(&md, s->mac, lp_digest_size(s->suite->mac));
	mbedtls_md_hmac_update(&md, header, sizeof header);
	mbedtls_md_hmac_update(&md, bytes.p, bytes.n);
	mbedtls_md_hmac_finish(&md, full);
	mbedtls_md_free(&md);
	memcpy(out, full, s->mac_len);
}

static bool encrypt(const struct help_sender *s, const uint8_t *iv, lp_span aad, const uint8_t *in, size_t n,
		    uint8_t *out, uint8_t *tag)
{
	if (help_seal_mbedtls(s->suite->cipher, s->key, iv, aad, in, n, out, tag))
		return true;
#ifdef LP_WITH_OPENSSL
	return help_seal_openssl(s->suite->cipher, s->key, iv, aad, in, n, out, tag);
#else
	return false;
#endif
}

static size_t seal_cbc(struct help_sender *s, uint8_t type, const uint8_t *in, size_t n, uint8_t *out)
{
	size_t block = s->info->block, at = s->version >= 0x302 ? block : 0, body = n, pad;
	static uint8_t plain[HELP_SENDER_BIG];
	uint8_t iv[16];

	memcpy(iv, s->iv, block);
	if (at) {
		help_fill(iv, block, (uint32_t)s->seq + 77);
		memcpy(out, iv, block);
	}
	memcpy(plain, in, n);
	if (!s->etm) {
		hmac(s, type, lp_span_of(in, n), plain + n);
		body += s->mac_len;
	}
	pad = block - 1 - body % block + s->padding * block;
	if (s->version == 0x300) /* it may hold anything */
		help_fill(plain + body, pad, (uint32_t)s->seq + 5);
	else
		memset(plain + body, (int)pad, pad);
	plain[body + pad] = (uint8_t)pad;
	body += pad + 1;
	if (!encrypt(s, iv, (lp_span){ NULL, 0 }, plain, body, out + at, NULL))
		return 0;
	if (!at)
		memcpy(s->iv, out + body - block, block);
	if (!s->etm)
		return at + body;
	hmac(s, type, lp_span_of(out, at + body), out + at + body);
	return at + body + s->mac_len;
}

static size_t seal_aead(struct help_sender *s, uint8_t type, const uint8_t *in, size_t n, uint8_t *out)
{
	uint8_t nonce[12], aad[13];
	size_t at = s->info->explicit_nonce;

	memcpy(nonce, s->iv, s->info->iv);
	for (int i = 0; i < 8; i++) {
		uint8_t b = (uint8_t)(s->seq >> (56 - 8 * i));

		aad[i] = b;
		if (at)
			nonce[4 + i] = out[i] = (uint8_t)(b + 0x30 + i); /* not the sequence number */
		else
			nonce[4 + i] ^= b;
	}
	aad[8] = type;
	aad[9] = 3;
	aad[10] = (uint8_t)s->version;
	aad[11] = (uint8_t)(n >> 8);
	aad[12] = (uint8_t)n;
	if (!encrypt(s, nonce, lp_span_of(aad, 13), in, n, out + at, out + at + n))
		return 0;
	return at + n + s->info->tag;
}

static size_t seal_stream(struct help_sender *s, uint8_t type, const uint8_t *in, size_t n, uint8_t *out)
{
	static uint8_t whole[HELP_SENDER_STREAM];
	size_t from = s->plain_n;

	memcpy(s->plain + from, in, n);
	hmac(s, type, lp_span_of(in, n), s->plain + from + n);
	s->plain_n += n + s->mac_len;
	if (!encrypt(s, NULL, (lp_span){ NULL, 0 }, s->plain, s->plain_n, whole, NULL))
		return 0;
	memcpy(out, whole + from, s->plain_n - from);
	return s->plain_n - from;
}

size_t help_sender_seal(struct help_sender *s, uint8_t type, const uint8_t *in, size_t n, uint8_t *out)
{
	size_t done;

	if (s->info->kind == LP_KIND_CBC)
		done = seal_cbc(s, type, in, n, out);
	else if (s->info->kind == LP_KIND_AEAD)
		done = seal_aead(s, type, in, n, out);
	else
		done = seal_stream(s, type, in, n, out);
	s->seq++;
	return done;
}

void help_pair_init(struct help_pair *x, struct lp_ctx_cache *cache, const struct lp_crypto *crypto,
			    const struct lp_suite *suite, uint16_t version, bool etm, bool truncated)
{
	const struct lp_cipher_info *info = lp_cipher_info(suite->cipher);
	size_t mac = lp_digest_size(suite->mac), n, at = 0;
	uint8_t block[512];

	*x = (struct help_pair){ .params = { suite, crypto, crypto, version, 1, etm, truncated, NULL } };
	n = lp_protect_key_block_size(&x->params);
	ck_assert_uint_eq(n, 2 * (mac + info->key + info->iv));
	help_fill(block, n, 5);
	ck_assert_int_eq(lp_protect_setup(&x->reader[0], &x->reader[1], cache, &x->params, block, n), LP_OK);
	for (int i = 0; i < 2; i++) {
		struct help_sender *s = x->sender[i] = calloc(1, sizeof *s);

		s->suite = suite;
		s->info = info;
		s->version = version;
		s->etm = etm && info->kind == LP_KIND_CBC;
		s->mac_len = truncated && mac ? 10 : mac;
	}
	for (int i = 0; i < 2; i++, at += mac)
		memcpy(x->sender[i]->mac, block + at, mac);
	for (int i = 0; i < 2; i++, at += info->key)
		memcpy(x->sender[i]->key, block + at, info->key);
	for (int i = 0; i < 2; i++, at += info->iv)
		memcpy(x->sender[i]->iv, block + at, info->iv);
}

void help_pair_clear(struct help_pair *x)
{
	for (int i = 0; i < 2; i++) {
		lp_protect_clear(&x->reader[i]);
		free(x->sender[i]);
	}
}
