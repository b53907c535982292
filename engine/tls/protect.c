#include "tls/protect.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/secret.h"
#include "tls/ahead.h"
#include "tls/protect_parts.h"

enum {
	MAC_KEY_MAX = 48,
	TRUNCATED_MAC = 10,  /* RFC 6066 section 7 */
};

/* ---- setting up ---- */

size_t lp_protect_key_block_size(const struct lp_protect_params *params)
{
	const struct lp_cipher_info *info;

	if (params->suite->cipher >= LP_CIPHER_COUNT)
		return 0;
	info = lp_cipher_info(params->suite->cipher);
	return 2 * (lp_digest_size(params->suite->mac) + info->key + (size_t)info->iv);
}

static bool supported(const struct lp_protect_params *params)
{
	const struct lp_suite *suite = params->suite;
	const struct lp_cipher_info *info;

	if (params->version < LP_PROTECT_SSL30 || params->version > LP_PROTECT_TLS12)
		return false;
	if (suite->cipher >= LP_CIPHER_COUNT || suite->kx == LP_KX_TLS13)
		return false;
	if (params->version == LP_PROTECT_SSL30 && suite->mac != LP_MD5 && suite->mac != LP_SHA1)
		return false;
	info = lp_cipher_info(suite->cipher);
	if (info->kind == LP_KIND_AEAD) {
		if (params->version < LP_PROTECT_TLS12)
			return false;
	} else if (!suite->mac || lp_digest_size(suite->mac) > MAC_KEY_MAX ||
		   !params->base->has_digest(suite->mac)) {
		return false; /* nothing would prove a record */
	}
	return info->kind == LP_KIND_NULL ||
	       (params->cipher && params->cipher->has_cipher(suite->cipher));
}

/* What belongs to a stream cipher stands behind, where it may. */
static size_t state_at(const struct lp_protect *p)
{
	const size_t n = lp_protect_iv_size(p) + lp_protect_info(p)->key +
			 lp_digest_size(p->suite->mac);

	return p->stream ? (n + 7) / 8 * 8 : n;
}

static size_t keys_size(const struct lp_protect *p)
{
	return state_at(p) + (p->stream ? sizeof(struct lp_protect_stream) : 0);
}

struct lp_protect_stream *lp_protect_stream(const struct lp_protect *p)
{
	return (struct lp_protect_stream *)(void *)(p->keys + state_at(p));
}

/* A provider's number. False: there are more than there can be. */
static bool number_of(struct lp_ctx_cache *cache, const struct lp_crypto *provider, unsigned *out)
{
	for (unsigned i = 0; i < sizeof cache->provider / sizeof cache->provider[0]; i++) {
		if (!cache->provider[i])
			cache->provider[i] = provider;
		if (cache->provider[i] == provider) {
			*out = i;
			return true;
		}
	}
	return false;
}

/* What of it follows from params. */
static void describe(struct lp_protect *p, const struct lp_protect_params *params)
{
	const struct lp_suite *suite = params->suite;
	const bool cbc = lp_cipher_info(suite->cipher)->kind == LP_KIND_CBC;
	size_t mac_len = lp_digest_size(suite->mac);

	if (params->truncated_hmac && mac_len > TRUNCATED_MAC && params->version > LP_PROTECT_SSL30)
		mac_len = TRUNCATED_MAC;
	*p = (struct lp_protect){
		.suite = suite,
		.epoch = params->epoch,
		.minor = params->version & 7U,
		.etm = params->etm && cbc && params->version > LP_PROTECT_SSL30,
		.mac_len = mac_len & 63,
	};
}

static enum lp_err set_up(struct lp_protect *p, struct lp_ctx_cache *cache,
			  const struct lp_protect_params *params)
{
	unsigned cipher, base;

	if (!number_of(cache, params->base, &base) ||
	    !number_of(cache, params->cipher ? params->cipher : params->base, &cipher))
		return LP_E_UNSUPPORTED;
	describe(p, params);
	p->cache = cache;
	p->cipher = cipher & 3U;
	p->base = base & 3U;
	p->stream = lp_protect_info(p)->kind == LP_KIND_STREAM;
	p->keys = lp_secret_alloc(keys_size(p));
	return p->keys ? LP_OK : LP_E_NOMEM;
}

static void take(struct lp_cursor *c, uint8_t *client, uint8_t *server, size_t n)
{
	lp_span a = lp_cursor_bytes(c, n), b = lp_cursor_bytes(c, n);

	if (b.n) {
		memcpy(client, a.p, n);
		memcpy(server, b.p, n);
	}
}

enum lp_err lp_protect_setup(struct lp_protect *client, struct lp_protect *server,
			     struct lp_ctx_cache *cache, const struct lp_protect_params *params,
			     const uint8_t *key_block, size_t n)
{
	const struct lp_cipher_info *info;
	struct lp_cursor c = lp_cursor_of(key_block, n);
	enum lp_err err;

	assert(!client->keys && !server->keys);
	if (!supported(params))
		return LP_E_UNSUPPORTED;
	if (n != lp_protect_key_block_size(params))
		return LP_E_ARG;
	info = lp_cipher_info(params->suite->cipher);
	err = set_up(client, cache, params);
	if (!err)
		err = set_up(server, cache, params);
	if (err) {
		lp_protect_clear(client);
		lp_protect_clear(server);
		return err;
	}
	/* RFC 5246 section 6.3: MAC keys, keys, IVs; of each the client's first. */
	take(&c, lp_protect_mac_at(client), lp_protect_mac_at(server),
	     lp_digest_size(params->suite->mac));
	take(&c, lp_protect_key_at(client), lp_protect_key_at(server), info->key);
	take(&c, lp_protect_iv_at(client), lp_protect_iv_at(server), lp_protect_iv_size(client));
	return LP_OK;
}

/* RFC 2246 section 6.3.1: the key block of an EXPORT suite has MAC keys and a few
 * bytes for each write key; these and the IVs are made of them with the randoms. */
static enum lp_err stretch(const struct lp_kdf *kdf, const struct lp_suite *suite,
			   const uint8_t *raw, const uint8_t client_random[32],
			   const uint8_t server_random[32], uint8_t *out)
{
	const struct lp_cipher_info *info = lp_cipher_info(suite->cipher);
	const size_t macs = 2 * lp_digest_size(suite->mac);
	uint8_t *key = out + macs, *iv = key + 2 * (size_t)info->key;
	enum lp_err err = LP_OK;

	memcpy(out, raw, macs);
	for (size_t i = 0; !err && i < 2; i++) {
		const lp_span few = { raw + macs + i * info->key_material, info->key_material };

		err = lp_kdf_export_key(kdf, few, i == 0, client_random, server_random,
					key + i * info->key, info->key);
		if (!err)
			err = lp_kdf_export_iv(kdf, i == 0, client_random, server_random,
					       iv + i * info->iv, info->iv);
	}
	return err;
}

static enum lp_err export_block(const struct lp_kdf *kdf, const struct lp_suite *suite,
				const uint8_t master[LP_MASTER_SIZE],
				const uint8_t client_random[32], const uint8_t server_random[32],
				uint8_t *out)
{
	const size_t n = 2 * (lp_digest_size(suite->mac) +
			      lp_cipher_info(suite->cipher)->key_material);
	uint8_t *raw = lp_secret_alloc(n);
	enum lp_err err;

	if (!raw)
		return LP_E_NOMEM;
	err = lp_kdf_key_block(kdf, master, client_random, server_random, raw, n);
	if (!err)
		err = stretch(kdf, suite, raw, client_random, server_random, out);
	lp_secret_free(raw, n);
	return err;
}

enum lp_err lp_protect_derive(struct lp_protect *client, struct lp_protect *server,
			      struct lp_ctx_cache *cache, const struct lp_protect_params *params,
			      const uint8_t master[LP_MASTER_SIZE], const uint8_t client_random[32],
			      const uint8_t server_random[32])
{
	struct lp_kdf kdf = { params->base, params->version, params->suite->prf, params->kept };
	size_t n = lp_protect_key_block_size(params);
	uint8_t *block;
	enum lp_err err;

	if (!n || !supported(params))
		return LP_E_UNSUPPORTED;
	block = lp_secret_alloc(n);
	if (!block)
		return LP_E_NOMEM;
	if (params->suite->exported)
		err = export_block(&kdf, params->suite, master, client_random, server_random,
				   block);
	else
		err = lp_kdf_key_block(&kdf, master, client_random, server_random, block, n);
	if (!err)
		err = lp_protect_setup(client, server, cache, params, block, n);
	lp_secret_free(block, n);
	return err;
}

void lp_protect_clear(struct lp_protect *p)
{
	if (p->keys)
		lp_ctx_cache_drop(p->cache, p->slot, p->keys);
	if (p->keys && p->cache->ahead)
		lp_ahead_forget(p->cache->ahead, lp_protect_mac_key(p));
	if (p->keys && p->stream)
		lp_keystream_clear(&lp_protect_stream(p)->keys, lp_protect_cipher(p));
	if (p->keys)
		lp_secret_free(p->keys, keys_size(p));
	*p = (struct lp_protect){ .keys = NULL };
}

/* ---- of records ---- */

bool lp_protect_has_mac(const struct lp_protect *p)
{
	return lp_protect_info(p)->kind != LP_KIND_AEAD;
}

void lp_protect_chain(struct lp_protect *p, lp_span fragment)
{
	const struct lp_cipher_info *info = lp_protect_info(p);
	size_t after = p->etm ? p->mac_len : 0;

	if (info->kind == LP_KIND_STREAM)
		lp_protect_stream(p)->at += fragment.n;
	else if (info->kind == LP_KIND_CBC && !lp_protect_explicit_iv(lp_protect_version(p)) &&
		 fragment.n >= after + info->block)
		memcpy(lp_protect_iv_at(p), fragment.p + fragment.n - after - info->block,
		       info->block);
}

const uint8_t *lp_protect_iv(const struct lp_protect *p)
{
	return lp_protect_iv_at(p);
}

void lp_protect_content_range(const struct lp_protect *p, size_t n, size_t *min, size_t *max)
{
	const struct lp_cipher_info *info = lp_protect_info(p);
	size_t over = p->mac_len, pad = 0;

	if (info->kind == LP_KIND_AEAD) {
		over = (size_t)info->explicit_nonce + info->tag;
	} else if (info->kind == LP_KIND_CBC) {
		over += 1 + (lp_protect_explicit_iv(lp_protect_version(p)) ? info->block : 0u);
		pad = info->block - 1u;
	}
	*max = n > over ? n - over : 0;
	*min = *max > pad ? *max - pad : 0;
}

bool lp_protect_may_hold(const struct lp_protect_params *params, size_t n, size_t content)
{
	struct lp_protect p = { .keys = NULL };
	size_t min, max;

	if (params->suite->cipher >= LP_CIPHER_COUNT)
		return false;
	describe(&p, params);
	lp_protect_content_range(&p, n, &min, &max);
	if (lp_protect_info(&p)->kind != LP_KIND_CBC)
		return max == content && n;
	return max >= content && max - content <= UINT8_MAX;
}

size_t lp_protect_fragment_min(const struct lp_protect *p)
{
	const struct lp_cipher_info *info = lp_protect_info(p);
	size_t block = info->block, iv = lp_protect_explicit_iv(lp_protect_version(p)) ? block : 0;

	if (info->kind == LP_KIND_AEAD)
		return (size_t)info->explicit_nonce + info->tag;
	if (info->kind != LP_KIND_CBC)
		return p->mac_len;
	return p->etm ? iv + block + p->mac_len : iv + (p->mac_len / block + 1) * block;
}

bool lp_protect_looks_ahead(const struct lp_protect *p, size_t n)
{
	const uint8_t mac = p->suite->mac;

	return (mac == LP_SHA1 || mac == LP_SHA256) && lp_ahead_is_for(p->cache->ahead, n) &&
	       lp_protect_info(p)->kind == LP_KIND_CBC && lp_protect_version(p) > LP_PROTECT_SSL30 &&
	       lp_ahead_wants(p->cache->ahead, lp_protect_mac_key(p), p->seq);
}

void lp_protect_next(struct lp_protect *p, const lp_span *pieces, size_t count)
{
	lp_ahead_gather(p->cache->ahead, pieces, count);
}

void lp_protect_settle_stream(struct lp_protect *p)
{
	lp_keystream_settle(&lp_protect_stream(p)->keys, lp_protect_cipher(p));
}

uint64_t lp_protect_stands(const struct lp_protect *p)
{
	return p->stream ? lp_protect_stream(p)->at : 0;
}

void lp_protect_stand(struct lp_protect *p, uint64_t at)
{
	if (p->stream)
		lp_protect_stream(p)->at = at;
}

uint64_t lp_protect_made_again(struct lp_protect *p)
{
	return p->stream ? lp_keystream_again(&lp_protect_stream(p)->keys) : 0;
}
