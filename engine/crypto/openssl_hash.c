#define OPENSSL_SUPPRESS_DEPRECATED
#include "crypto/openssl_hash.h"

#include <string.h>

#include <openssl/evp.h>
#include <openssl/md5.h>
#include <openssl/sha.h>

#include "base/secret.h"

enum { BLOCK_MAX = 128 };

struct md5_sha1 {
	MD5_CTX md5;
	SHA_CTX sha1;
};

union state {
	MD5_CTX md5;
	SHA_CTX sha1;
	SHA256_CTX sha256;
	SHA512_CTX sha512; /* and SHA-384 */
	struct md5_sha1 both;
};

struct hash {
	size_t state, block, size;
	void (*init)(union state *s);
	void (*update)(union state *s, const void *p, size_t n);
	void (*final)(union state *s, uint8_t *out);
};

/* These functions cannot fail. */
#define HASH(name, member, fn)                                                              \
	static void name##_init(union state *s) { (void)fn##_Init(&s->member); }            \
	static void name##_update(union state *s, const void *p, size_t n)                  \
	{                                                                                   \
		(void)fn##_Update(&s->member, p, n);                                        \
	}                                                                                   \
	static void name##_final(union state *s, uint8_t *out) { (void)fn##_Final(out, &s->member); }

HASH(md5, md5, MD5)
HASH(sha1, sha1, SHA1)
HASH(sha256, sha256, SHA256)
HASH(sha384, sha512, SHA384)
HASH(sha512, sha512, SHA512)

static void both_init(union state *s)
{
	(void)MD5_Init(&s->both.md5);
	(void)SHA1_Init(&s->both.sha1);
}

static void both_update(union state *s, const void *p, size_t n)
{
	(void)MD5_Update(&s->both.md5, p, n);
	(void)SHA1_Update(&s->both.sha1, p, n);
}

static void both_final(union state *s, uint8_t *out)
{
	(void)MD5_Final(out, &s->both.md5);
	(void)SHA1_Final(out + MD5_DIGEST_LENGTH, &s->both.sha1);
}

static const struct hash hashes[LP_MD5_SHA1 + 1] = {
	[LP_MD5] = { sizeof(MD5_CTX), 64, 16, md5_init, md5_update, md5_final },
	[LP_SHA1] = { sizeof(SHA_CTX), 64, 20, sha1_init, sha1_update, sha1_final },
	[LP_SHA256] = { sizeof(SHA256_CTX), 64, 32, sha256_init, sha256_update, sha256_final },
	[LP_SHA384] = { sizeof(SHA512_CTX), 128, 48, sha384_init, sha384_update, sha384_final },
	[LP_SHA512] = { sizeof(SHA512_CTX), 128, 64, sha512_init, sha512_update, sha512_final },
	[LP_MD5_SHA1] = { sizeof(struct md5_sha1), 64, 36, both_init, both_update, both_final },
};

static const struct hash *hash_of(enum lp_digest digest)
{
	return (unsigned)digest <= LP_MD5_SHA1 && hashes[digest].size ? &hashes[digest] : NULL;
}

/* ---- a running hash ---- */

struct lp_digest_ctx {
	const struct hash *hash; /* NULL: by EVP */
	union state state;
	EVP_MD_CTX *evp;
};

void lp_ossl_digest_free(struct lp_digest_ctx *d)
{
	if (!d)
		return;
	EVP_MD_CTX_free(d->evp);
	lp_secret_free(d, sizeof *d);
}

enum lp_err lp_ossl_digest_new(enum lp_digest digest, const EVP_MD *md, struct lp_digest_ctx **out)
{
	struct lp_digest_ctx *d;

	*out = NULL;
	if (!md)
		return LP_E_UNSUPPORTED;
	d = lp_secret_alloc(sizeof *d);
	if (!d)
		return LP_E_NOMEM;
	d->hash = hash_of(digest);
	if (d->hash) {
		d->hash->init(&d->state);
	} else {
		d->evp = EVP_MD_CTX_new();
		if (!d->evp || !EVP_DigestInit_ex2(d->evp, md, NULL)) {
			lp_ossl_digest_free(d);
			return LP_E_NOMEM;
		}
	}
	*out = d;
	return LP_OK;
}

enum lp_err lp_ossl_digest_update(struct lp_digest_ctx *d, lp_span bytes)
{
	if (!bytes.n)
		return LP_OK;
	if (!d->hash)
		return EVP_DigestUpdate(d->evp, bytes.p, bytes.n) ? LP_OK : LP_E_FORMAT;
	d->hash->update(&d->state, bytes.p, bytes.n);
	return LP_OK;
}

static enum lp_err evp_peek(const EVP_MD_CTX *evp, uint8_t *out)
{
	EVP_MD_CTX *now = EVP_MD_CTX_new();
	bool ok = now && EVP_MD_CTX_copy_ex(now, evp) && EVP_DigestFinal_ex(now, out, NULL);

	EVP_MD_CTX_free(now);
	return ok ? LP_OK : LP_E_NOMEM;
}

enum lp_err lp_ossl_digest_peek(const struct lp_digest_ctx *d, uint8_t *out)
{
	union state now;

	if (!d->hash)
		return evp_peek(d->evp, out);
	memcpy(&now, &d->state, d->hash->state);
	d->hash->final(&now, out);
	lp_wipe(&now, d->hash->state);
	return LP_OK;
}

enum lp_err lp_ossl_digest_parts(enum lp_digest digest, const lp_span *parts, size_t n,
				 uint8_t *out)
{
	const struct hash *hash = hash_of(digest);
	union state s;

	if (!hash)
		return LP_E_UNSUPPORTED;
	hash->init(&s);
	for (size_t i = 0; i < n; i++)
		if (parts[i].n)
			hash->update(&s, parts[i].p, parts[i].n);
	hash->final(&s, out);
	lp_wipe(&s, hash->state);
	return LP_OK;
}

/* ---- HMAC (RFC 2104) ---- */

enum { INNER, OUTER, WORK };

/* Each state has seen the key, xored with its pad. */
struct lp_mac_ctx {
	const struct hash *hash; /* NULL: by EVP */
	union state state[WORK];
	EVP_MD_CTX *evp[WORK + 1];
	size_t size;
};

void lp_ossl_mac_free(struct lp_mac_ctx *m)
{
	if (!m)
		return;
	for (int i = INNER; i <= WORK; i++)
		EVP_MD_CTX_free(m->evp[i]);
	lp_secret_free(m, sizeof *m);
}

static bool start_pad(struct lp_mac_ctx *m, int which, const EVP_MD *md, const uint8_t *key,
		      size_t block)
{
	const uint64_t pad = (which == INNER ? 0x36 : 0x5c) * 0x0101010101010101ULL;
	uint8_t padded[BLOCK_MAX];
	bool ok = true;
	uint64_t word;

	for (size_t i = 0; i < block; i += sizeof word) {
		memcpy(&word, key + i, sizeof word);
		word ^= pad;
		memcpy(padded + i, &word, sizeof word);
	}
	if (m->hash) {
		m->hash->init(&m->state[which]);
		m->hash->update(&m->state[which], padded, block);
	} else {
		m->evp[which] = EVP_MD_CTX_new();
		ok = m->evp[which] && EVP_DigestInit_ex2(m->evp[which], md, NULL) &&
		     EVP_DigestUpdate(m->evp[which], padded, block);
	}
	lp_wipe(padded, sizeof padded);
	return ok;
}

/* A key longer than a block is hashed first. */
static bool short_key(const struct hash *hash, const EVP_MD *md, lp_span key, size_t block,
		      uint8_t out[BLOCK_MAX])
{
	union state s;

	if (key.n <= block) {
		if (key.n)
			memcpy(out, key.p, key.n);
		return true;
	}
	if (!hash)
		return EVP_Digest(key.p, key.n, out, NULL, md, NULL);
	hash->init(&s);
	hash->update(&s, key.p, key.n);
	hash->final(&s, out);
	lp_wipe(&s, sizeof s);
	return true;
}

enum lp_err lp_ossl_mac_new(enum lp_digest digest, const EVP_MD *md, lp_span key,
			    struct lp_mac_ctx **out)
{
	uint8_t k[BLOCK_MAX] = { 0 };
	struct lp_mac_ctx *m;
	size_t block;
	bool ok;

	*out = NULL;
	if (!md || digest == LP_MD5_SHA1)
		return LP_E_UNSUPPORTED;
	m = lp_secret_alloc(sizeof *m);
	if (!m)
		return LP_E_NOMEM;
	m->hash = hash_of(digest);
	m->size = lp_digest_size(digest);
	block = m->hash ? m->hash->block : (size_t)EVP_MD_get_block_size(md);
	if (!m->hash)
		m->evp[WORK] = EVP_MD_CTX_new();
	ok = (m->hash || m->evp[WORK]) && short_key(m->hash, md, key, block, k) &&
	     start_pad(m, INNER, md, k, block) && start_pad(m, OUTER, md, k, block);
	lp_wipe(k, sizeof k);
	if (!ok) {
		lp_ossl_mac_free(m);
		return LP_E_NOMEM;
	}
	*out = m;
	return LP_OK;
}

static enum lp_err evp_mac(struct lp_mac_ctx *m, const lp_span *parts, size_t n, uint8_t *out)
{
	uint8_t hash[EVP_MAX_MD_SIZE];
	EVP_MD_CTX *work = m->evp[WORK];
	int ok = EVP_MD_CTX_copy_ex(work, m->evp[INNER]);

	for (size_t i = 0; ok && i < n; i++)
		if (parts[i].n)
			ok = EVP_DigestUpdate(work, parts[i].p, parts[i].n);
	ok = ok && EVP_DigestFinal_ex(work, hash, NULL) &&
	     EVP_MD_CTX_copy_ex(work, m->evp[OUTER]) && EVP_DigestUpdate(work, hash, m->size) &&
	     EVP_DigestFinal_ex(work, out, NULL);
	lp_wipe(hash, sizeof hash);
	return ok ? LP_OK : LP_E_NOMEM;
}

enum lp_err lp_ossl_mac(struct lp_mac_ctx *m, const lp_span *parts, size_t n, uint8_t *out)
{
	const struct hash *hash = m->hash;
	uint8_t digest[LP_DIGEST_MAX];
	union state s;

	if (!hash)
		return evp_mac(m, parts, n, out);
	memcpy(&s, &m->state[INNER], hash->state);
	for (size_t i = 0; i < n; i++)
		if (parts[i].n)
			hash->update(&s, parts[i].p, parts[i].n);
	hash->final(&s, digest);
	memcpy(&s, &m->state[OUTER], hash->state);
	hash->update(&s, digest, hash->size);
	hash->final(&s, out);
	lp_wipe(&s, hash->state);
	lp_wipe(digest, hash->size);
	return LP_OK;
}

_Static_assert(sizeof(SHA_LONG) == sizeof(uint32_t), "states are words of 32 bits");

bool lp_ossl_mac_pads(const struct lp_mac_ctx *m, enum lp_digest digest, const uint32_t **inner,
		      const uint32_t **outer)
{
	if (!m->hash || m->hash != hash_of(digest))
		return false;
	if (digest == LP_SHA1) {
		*inner = &m->state[INNER].sha1.h0;
		*outer = &m->state[OUTER].sha1.h0;
	} else if (digest == LP_SHA256) {
		*inner = m->state[INNER].sha256.h;
		*outer = m->state[OUTER].sha256.h;
	} else {
		return false;
	}
	return true;
}
