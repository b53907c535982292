/* lp_crypto over mbedTLS: always there. AEAD in one call each, because the calls
 * by pieces differ between 2.28 and 3.x and the whole ones do not. */
#include "crypto/mbedtls_int.h"

#include <string.h>

#include <mbedtls/aes.h>
#include <mbedtls/camellia.h>
#include <mbedtls/ccm.h>
#include <mbedtls/chachapoly.h>
#include <mbedtls/des.h>
#include <mbedtls/gcm.h>
#include <mbedtls/md.h>
#ifdef MBEDTLS_ARC4_C
#include <mbedtls/arc4.h>
#endif
#ifdef MBEDTLS_ARIA_C
#include <mbedtls/aria.h>
#endif

#include "base/secret.h"

/* ---- hashes ---- */

struct lp_digest_ctx {
	mbedtls_md_context_t part[2];
	size_t size[2];
	size_t n;                     /* 2 for LP_MD5_SHA1, else 1 */
	enum lp_digest digest;
};

static const mbedtls_md_info_t *md_of(enum lp_digest digest)
{
	switch (digest) {
	case LP_MD5:
		return mbedtls_md_info_from_type(MBEDTLS_MD_MD5);
	case LP_SHA1:
		return mbedtls_md_info_from_type(MBEDTLS_MD_SHA1);
	case LP_SHA256:
		return mbedtls_md_info_from_type(MBEDTLS_MD_SHA256);
	case LP_SHA384:
		return mbedtls_md_info_from_type(MBEDTLS_MD_SHA384);
	case LP_SHA512:
		return mbedtls_md_info_from_type(MBEDTLS_MD_SHA512);
	default:
		return NULL;
	}
}

static bool has_digest(enum lp_digest digest)
{
	if (digest == LP_MD5_SHA1)
		return md_of(LP_MD5) && md_of(LP_SHA1);
	return md_of(digest) != NULL;
}

static enum lp_err md_err(int ret)
{
	if (!ret)
		return LP_OK;
	return ret == MBEDTLS_ERR_MD_ALLOC_FAILED ? LP_E_NOMEM : LP_E_FORMAT;
}

static void digest_free(struct lp_digest_ctx *d)
{
	if (!d)
		return;
	mbedtls_md_free(&d->part[0]);
	mbedtls_md_free(&d->part[1]);
	lp_secret_free(d, sizeof *d);
}

static enum lp_err digest_new(enum lp_digest digest, struct lp_digest_ctx **out)
{
	const enum lp_digest kinds[2] = { digest == LP_MD5_SHA1 ? LP_MD5 : digest, LP_SHA1 };
	struct lp_digest_ctx *d;
	int ret = 0;

	*out = NULL;
	if (!has_digest(digest))
		return LP_E_UNSUPPORTED;
	d = lp_secret_alloc(sizeof *d);
	if (!d)
		return LP_E_NOMEM;
	d->digest = digest;
	d->n = digest == LP_MD5_SHA1 ? 2 : 1;
	mbedtls_md_init(&d->part[0]);
	mbedtls_md_init(&d->part[1]);
	for (size_t i = 0; !ret && i < d->n; i++) {
		d->size[i] = lp_digest_size(kinds[i]);
		ret = mbedtls_md_setup(&d->part[i], md_of(kinds[i]), 0);
		if (!ret)
			ret = mbedtls_md_starts(&d->part[i]);
	}
	if (ret) {
		digest_free(d);
		return md_err(ret);
	}
	*out = d;
	return LP_OK;
}

static enum lp_err digest_update(struct lp_digest_ctx *d, lp_span bytes)
{
	int ret = 0;

	for (size_t i = 0; !ret && bytes.n && i < d->n; i++)
		ret = mbedtls_md_update(&d->part[i], bytes.p, bytes.n);
	return md_err(ret);
}

static enum lp_err digest_peek(const struct lp_digest_ctx *d, uint8_t *out)
{
	struct lp_digest_ctx *now = NULL;
	enum lp_err err = digest_new(d->digest, &now);

	for (size_t i = 0; !err && i < d->n; i++) {
		err = md_err(mbedtls_md_clone(&now->part[i], &d->part[i]));
		if (!err)
			err = md_err(mbedtls_md_finish(&now->part[i], out));
		out += d->size[i];
	}
	digest_free(now);
	return err;
}

/* ---- HMAC (RFC 2104) ---- */

struct lp_mac_ctx {
	mbedtls_md_context_t inner; /* has seen key ^ ipad */
	mbedtls_md_context_t outer; /* has seen key ^ opad */
	mbedtls_md_context_t work;  /* a MAC in the making */
	size_t size;
};

enum { BLOCK_MAX = 128 };

static void mac_free(struct lp_mac_ctx *m)
{
	if (!m)
		return;
	mbedtls_md_free(&m->inner);
	mbedtls_md_free(&m->outer);
	mbedtls_md_free(&m->work);
	lp_secret_free(m, sizeof *m);
}

static int start_pad(mbedtls_md_context_t *md, const uint8_t *key, size_t block, uint8_t pad)
{
	uint8_t padded[BLOCK_MAX];
	int ret = mbedtls_md_starts(md);

	for (size_t i = 0; i < block; i++)
		padded[i] = key[i] ^ pad;
	if (!ret)
		ret = mbedtls_md_update(md, padded, block);
	lp_wipe(padded, sizeof padded);
	return ret;
}

static enum lp_err mac_new(enum lp_digest digest, lp_span key, struct lp_mac_ctx **out)
{
	const mbedtls_md_info_t *md = md_of(digest);
	const size_t block = digest == LP_SHA384 || digest == LP_SHA512 ? 128 : 64;
	uint8_t k[BLOCK_MAX] = { 0 };
	struct lp_mac_ctx *m;
	int ret;

	*out = NULL;
	if (!md)
		return LP_E_UNSUPPORTED;
	m = lp_secret_alloc(sizeof *m);
	if (!m)
		return LP_E_NOMEM;
	m->size = lp_digest_size(digest);
	mbedtls_md_init(&m->inner);
	mbedtls_md_init(&m->outer);
	mbedtls_md_init(&m->work);
	ret = mbedtls_md_setup(&m->inner, md, 0);
	if (!ret)
		ret = mbedtls_md_setup(&m->outer, md, 0);
	if (!ret)
		ret = mbedtls_md_setup(&m->work, md, 0);
	if (!ret && key.n > block)
		ret = mbedtls_md(md, key.p, key.n, k);
	else if (key.n && key.n <= block)
		memcpy(k, key.p, key.n);
	if (!ret)
		ret = start_pad(&m->inner, k, block, 0x36);
	if (!ret)
		ret = start_pad(&m->outer, k, block, 0x5c);
	lp_wipe(k, sizeof k);
	if (ret) {
		mac_free(m);
		return md_err(ret);
	}
	*out = m;
	return LP_OK;
}

static enum lp_err mac(struct lp_mac_ctx *m, const lp_span *parts, size_t n, uint8_t *out)
{
	uint8_t hash[LP_DIGEST_MAX];
	int ret = mbedtls_md_clone(&m->work, &m->inner);

	for (size_t i = 0; !ret && i < n; i++)
		if (parts[i].n)
			ret = mbedtls_md_update(&m->work, parts[i].p, parts[i].n);
	if (!ret)
		ret = mbedtls_md_finish(&m->work, hash);
	if (!ret)
		ret = mbedtls_md_clone(&m->work, &m->outer);
	if (!ret)
		ret = mbedtls_md_update(&m->work, hash, m->size);
	if (!ret)
		ret = mbedtls_md_finish(&m->work, out);
	lp_wipe(hash, sizeof hash);
	return md_err(ret);
}

/* ---- ciphers ---- */

/* What of mbedTLS works for a cipher. */
enum family { NONE, PLAIN, AES, CAMELLIA, ARIA, DES, DES3, ARC4, GCM, CCM, CHACHA };

struct lp_cipher_ctx {
	enum family family;
	const struct lp_cipher_info *info;
	union {
		mbedtls_aes_context aes;
		mbedtls_camellia_context camellia;
		mbedtls_des_context des;
		mbedtls_des3_context des3;
		mbedtls_gcm_context gcm;
		mbedtls_ccm_context ccm;
		mbedtls_chachapoly_context chacha;
#ifdef MBEDTLS_ARC4_C
		mbedtls_arc4_context arc4;
#endif
#ifdef MBEDTLS_ARIA_C
		mbedtls_aria_context aria;
#endif
	} u;
};

static enum family family_of(enum lp_cipher cipher, mbedtls_cipher_id_t *id)
{
	*id = MBEDTLS_CIPHER_ID_AES;
	switch (cipher) {
	case LP_CIPHER_NULL:
		return PLAIN;
	case LP_AES_128_CBC:
	case LP_AES_256_CBC:
		return AES;
	case LP_AES_128_GCM:
	case LP_AES_256_GCM:
		return GCM;
	case LP_AES_128_CCM:
	case LP_AES_256_CCM:
	case LP_AES_128_CCM_8:
	case LP_AES_256_CCM_8:
		return CCM;
	case LP_CHACHA20_POLY1305:
		return CHACHA;
	case LP_CAMELLIA_128_CBC:
	case LP_CAMELLIA_256_CBC:
		return CAMELLIA;
	case LP_CAMELLIA_128_GCM:
	case LP_CAMELLIA_256_GCM:
		*id = MBEDTLS_CIPHER_ID_CAMELLIA;
		return GCM;
#ifdef MBEDTLS_ARIA_C
	case LP_ARIA_128_CBC:
	case LP_ARIA_256_CBC:
		return ARIA;
	case LP_ARIA_128_GCM:
	case LP_ARIA_256_GCM:
		*id = MBEDTLS_CIPHER_ID_ARIA;
		return GCM;
#endif
	case LP_3DES_EDE_CBC:
		return DES3;
	case LP_DES_CBC:
	case LP_DES40_CBC:
		return DES;
#ifdef MBEDTLS_ARC4_C
	case LP_RC4_40:
	case LP_RC4_56:
	case LP_RC4_128:
		return ARC4;
#endif
	default:
		return NONE;
	}
}

static bool has_cipher(enum lp_cipher cipher)
{
	mbedtls_cipher_id_t id;

	return family_of(cipher, &id) != NONE;
}

static void cipher_free(struct lp_cipher_ctx *c)
{
	if (!c)
		return;
	switch (c->family) {
	case AES:
		mbedtls_aes_free(&c->u.aes);
		break;
	case CAMELLIA:
		mbedtls_camellia_free(&c->u.camellia);
		break;
	case DES:
		mbedtls_des_free(&c->u.des);
		break;
	case DES3:
		mbedtls_des3_free(&c->u.des3);
		break;
	case GCM:
		mbedtls_gcm_free(&c->u.gcm);
		break;
	case CCM:
		mbedtls_ccm_free(&c->u.ccm);
		break;
	case CHACHA:
		mbedtls_chachapoly_free(&c->u.chacha);
		break;
	default: /* ARC4 and ARIA hold nothing elsewhere; the struct is wiped */
		break;
	}
	lp_secret_free(c, sizeof *c);
}

static int set_key(struct lp_cipher_ctx *c, mbedtls_cipher_id_t id, lp_span key)
{
	const unsigned bits = (unsigned)key.n * 8;

	switch (c->family) {
	case AES:
		mbedtls_aes_init(&c->u.aes);
		return mbedtls_aes_setkey_dec(&c->u.aes, key.p, bits);
	case CAMELLIA:
		mbedtls_camellia_init(&c->u.camellia);
		return mbedtls_camellia_setkey_dec(&c->u.camellia, key.p, bits);
	case DES:
		mbedtls_des_init(&c->u.des);
		return mbedtls_des_setkey_dec(&c->u.des, key.p);
	case DES3:
		mbedtls_des3_init(&c->u.des3);
		return mbedtls_des3_set3key_dec(&c->u.des3, key.p);
	case GCM:
		mbedtls_gcm_init(&c->u.gcm);
		return mbedtls_gcm_setkey(&c->u.gcm, id, key.p, bits);
	case CCM:
		mbedtls_ccm_init(&c->u.ccm);
		return mbedtls_ccm_setkey(&c->u.ccm, id, key.p, bits);
	case CHACHA:
		mbedtls_chachapoly_init(&c->u.chacha);
		return mbedtls_chachapoly_setkey(&c->u.chacha, key.p);
#ifdef MBEDTLS_ARC4_C
	case ARC4:
		mbedtls_arc4_init(&c->u.arc4);
		mbedtls_arc4_setup(&c->u.arc4, key.p, (unsigned)key.n);
		return 0;
#endif
#ifdef MBEDTLS_ARIA_C
	case ARIA:
		mbedtls_aria_init(&c->u.aria);
		return mbedtls_aria_setkey_dec(&c->u.aria, key.p, bits);
#endif
	default:
		return 0;
	}
}

static enum lp_err cipher_new(enum lp_cipher cipher, lp_span key, struct lp_cipher_ctx **out)
{
	mbedtls_cipher_id_t id;
	const enum family family = family_of(cipher, &id);
	struct lp_cipher_ctx *c;
	int ret;

	*out = NULL;
	if (family == NONE)
		return LP_E_UNSUPPORTED;
	if (key.n != lp_cipher_info(cipher)->key)
		return LP_E_ARG;
	c = lp_secret_alloc(sizeof *c);
	if (!c)
		return LP_E_NOMEM;
	c->family = family;
	c->info = lp_cipher_info(cipher);
	ret = set_key(c, id, key);
	if (ret) {
		cipher_free(c);
		return ret == MBEDTLS_ERR_CIPHER_ALLOC_FAILED ? LP_E_NOMEM : LP_E_UNSUPPORTED;
	}
	*out = c;
	return LP_OK;
}

static enum lp_err cipher_copy(const struct lp_cipher_ctx *c, struct lp_cipher_ctx **out)
{
	*out = NULL;
	if (c->info->kind != LP_KIND_STREAM)
		return LP_E_UNSUPPORTED;
	*out = lp_secret_alloc(sizeof **out);
	if (!*out)
		return LP_E_NOMEM;
	**out = *c; /* ARC4 holds nothing elsewhere */
	return LP_OK;
}

static enum lp_err decrypt(struct lp_cipher_ctx *c, const uint8_t *iv, const uint8_t *in, size_t n,
			   uint8_t *out)
{
	uint8_t chain[16] = { 0 }; /* the library writes the next IV here */
	int ret;

	if (c->info->kind == LP_KIND_AEAD || (c->info->block && n % c->info->block))
		return LP_E_ARG;
	if (c->info->block)
		memcpy(chain, iv, c->info->block);
	switch (n ? c->family : NONE) {
	case NONE:
		ret = 0;
		break;
	case AES:
		ret = mbedtls_aes_crypt_cbc(&c->u.aes, MBEDTLS_AES_DECRYPT, n, chain, in, out);
		break;
	case CAMELLIA:
		ret = mbedtls_camellia_crypt_cbc(&c->u.camellia, MBEDTLS_CAMELLIA_DECRYPT, n,
						 chain, in, out);
		break;
	case DES:
		ret = mbedtls_des_crypt_cbc(&c->u.des, MBEDTLS_DES_DECRYPT, n, chain, in, out);
		break;
	case DES3:
		ret = mbedtls_des3_crypt_cbc(&c->u.des3, MBEDTLS_DES_DECRYPT, n, chain, in, out);
		break;
#ifdef MBEDTLS_ARC4_C
	case ARC4:
		ret = mbedtls_arc4_crypt(&c->u.arc4, n, in, out);
		break;
#endif
#ifdef MBEDTLS_ARIA_C
	case ARIA:
		ret = mbedtls_aria_crypt_cbc(&c->u.aria, MBEDTLS_ARIA_DECRYPT, n, chain, in, out);
		break;
#endif
	case PLAIN:
		memmove(out, in, n);
		ret = 0;
		break;
	default:
		return LP_E_ARG;
	}
	return ret ? LP_E_FORMAT : LP_OK;
}

static enum lp_err open_aead(struct lp_cipher_ctx *c, const uint8_t *nonce, lp_span aad,
			     const uint8_t *in, size_t n, const uint8_t *tag, uint8_t *out)
{
	static const uint8_t nothing[1] = { 0 };
	const uint8_t *a = aad.n ? aad.p : nothing;
	const size_t tag_len = c->info->tag;
	uint8_t sink[1];
	int ret;

	if (!n) { /* 2.28 wants pointers even to no bytes */
		in = nothing;
		out = sink;
	}
	switch (c->family) {
	case GCM:
		ret = mbedtls_gcm_auth_decrypt(&c->u.gcm, n, nonce, 12, a, aad.n, tag, tag_len, in,
					       out);
		break;
	case CCM:
		ret = mbedtls_ccm_auth_decrypt(&c->u.ccm, n, nonce, 12, a, aad.n, in, out, tag,
					       tag_len);
		break;
	case CHACHA:
		ret = mbedtls_chachapoly_auth_decrypt(&c->u.chacha, n, nonce, a, aad.n, tag, in,
						      out);
		break;
	default:
		return LP_E_ARG;
	}
	if (!ret)
		return LP_OK;
	lp_wipe(out, n);
	if (ret == MBEDTLS_ERR_GCM_AUTH_FAILED || ret == MBEDTLS_ERR_CCM_AUTH_FAILED ||
	    ret == MBEDTLS_ERR_CHACHAPOLY_AUTH_FAILED)
		return LP_E_AUTH;
	return LP_E_FORMAT;
}

const struct lp_crypto lp_crypto_mbedtls = {
	.name = "mbedtls",
	.has_cipher = has_cipher,
	.has_digest = has_digest,
	.digest_new = digest_new,
	.digest_update = digest_update,
	.digest_peek = digest_peek,
	.digest_free = digest_free,
	.mac_new = mac_new,
	.mac = mac,
	.mac_free = mac_free,
	.cipher_new = cipher_new,
	.decrypt = decrypt,
	.open = open_aead,
	.cipher_copy = cipher_copy,
	.cipher_free = cipher_free,
	.rsa_new = lp_mbedtls_rsa_new,
	.rsa_private = lp_mbedtls_rsa_private,
	.rsa_free = lp_mbedtls_rsa_free,
};
