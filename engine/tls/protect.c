#include "tls/protect.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/secret.h"
#include "tls/ctxcache.h"
#include "tls/record.h"

enum {
	SSL30 = 0x0300,
	TLS11 = 0x0302,
	TLS12 = 0x0303,
	MAC_KEY_MAX = 48,
	NONCE = 12,
	TRUNCATED_MAC = 10,  /* RFC 6066 section 7 */
	MAC_HEADER = 13,     /* seq_num, type, version, length: RFC 5246 6.2.3.1 */
	SSL3_PAD_MAX = 48,
	CONTENT_MAX = LP_RECORD_PLAIN_MAX + 1024, /* 2^14, and what compression may add */
};

static const struct lp_cipher_info *info_of(const struct lp_protect *p)
{
	return lp_cipher_info(p->suite->cipher);
}

static const struct lp_crypto *cipher_of(const struct lp_protect *p)
{
	return p->cache->provider[p->cipher];
}

static const struct lp_crypto *base_of(const struct lp_protect *p)
{
	return p->cache->provider[p->base];
}

/* RFC 4346 section 6.2.3.2: from TLS 1.1 on, the IV stands in front of the record. */
static bool explicit_iv(uint16_t version)
{
	return version >= TLS11;
}

/* Of the IV that the key block has, so much is kept: for AEAD it is the implicit nonce, for CBC of
 * TLS 1.0 the IV of the next record; from TLS 1.1 on a CBC record has its own. */
static size_t iv_size(const struct lp_protect *p)
{
	const struct lp_cipher_info *info = info_of(p);

	return info->kind == LP_KIND_CBC && explicit_iv(lp_protect_version(p)) ? 0 : info->iv;
}

/* Where they stand in keys. */
static uint8_t *iv_of(const struct lp_protect *p)
{
	return p->keys;
}

static uint8_t *key_of(const struct lp_protect *p)
{
	return p->keys + iv_size(p);
}

static uint8_t *mac_of(const struct lp_protect *p)
{
	return key_of(p) + info_of(p)->key;
}

/* ---- setting up ---- */

static size_t mac_key_size(const struct lp_suite *suite)
{
	return lp_digest_size(suite->mac);
}

size_t lp_protect_key_block_size(const struct lp_protect_params *params)
{
	const struct lp_cipher_info *info;

	if (params->suite->cipher >= LP_CIPHER_COUNT)
		return 0;
	info = lp_cipher_info(params->suite->cipher);
	return 2 * (mac_key_size(params->suite) + info->key + (size_t)info->iv);
}

static bool supported(const struct lp_protect_params *params)
{
	const struct lp_suite *suite = params->suite;
	const struct lp_cipher_info *info;

	if (params->version < SSL30 || params->version > TLS12)
		return false;
	if (suite->cipher >= LP_CIPHER_COUNT || suite->kx == LP_KX_TLS13)
		return false;
	if (params->version == SSL30 && suite->mac != LP_MD5 && suite->mac != LP_SHA1)
		return false;
	info = lp_cipher_info(suite->cipher);
	if (info->kind == LP_KIND_AEAD) {
		if (params->version < TLS12)
			return false;
	} else if (!suite->mac || mac_key_size(suite) > MAC_KEY_MAX ||
		   !params->base->has_digest(suite->mac)) {
		return false; /* nothing would prove a record */
	}
	return info->kind == LP_KIND_NULL ||
	       (params->cipher && params->cipher->has_cipher(suite->cipher));
}

/* What belongs to a stream cipher stands behind, where it may. */
static size_t state_at(const struct lp_protect *p)
{
	const size_t n = iv_size(p) + info_of(p)->key + mac_key_size(p->suite);

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
	size_t mac_len = mac_key_size(suite);

	if (params->truncated_hmac && mac_len > TRUNCATED_MAC && params->version > SSL30)
		mac_len = TRUNCATED_MAC;
	*p = (struct lp_protect){
		.suite = suite,
		.epoch = params->epoch,
		.minor = params->version & 7U,
		.etm = params->etm && cbc && params->version > SSL30,
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
	p->stream = info_of(p)->kind == LP_KIND_STREAM;
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
	take(&c, mac_of(client), mac_of(server), mac_key_size(params->suite));
	take(&c, key_of(client), key_of(server), info->key);
	take(&c, iv_of(client), iv_of(server), iv_size(client));
	return LP_OK;
}

/* RFC 2246 section 6.3.1: the key block of an EXPORT suite has MAC keys and a few
 * bytes for each write key; these and the IVs are made of them with the randoms. */
static enum lp_err stretch(const struct lp_kdf *kdf, const struct lp_suite *suite,
			   const uint8_t *raw, const uint8_t client_random[32],
			   const uint8_t server_random[32], uint8_t *out)
{
	const struct lp_cipher_info *info = lp_cipher_info(suite->cipher);
	const size_t macs = 2 * mac_key_size(suite);
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
	const size_t n = 2 * (mac_key_size(suite) + lp_cipher_info(suite->cipher)->key_material);
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
	if (p->keys && p->stream)
		lp_keystream_clear(&lp_protect_stream(p)->keys, cipher_of(p));
	if (p->keys)
		lp_secret_free(p->keys, keys_size(p));
	*p = (struct lp_protect){ .keys = NULL };
}

/* ---- contexts ---- */

static enum lp_err make_contexts(const struct lp_protect *p, struct lp_ctx_pair *pair)
{
	const struct lp_cipher_info *info = info_of(p);
	enum lp_err err = LP_OK;

	if (info->kind == LP_KIND_CBC || info->kind == LP_KIND_AEAD) {
		pair->cipher_provider = cipher_of(p);
		err = cipher_of(p)->cipher_new(p->suite->cipher,
					    lp_span_of(key_of(p), info->key), &pair->cipher);
	}
	if (!err && p->suite->mac && lp_protect_version(p) > SSL30) {
		pair->mac_provider = base_of(p);
		err = base_of(p)->mac_new(p->suite->mac,
				       lp_span_of(mac_of(p), mac_key_size(p->suite)),
				       &pair->mac);
	}
	return err;
}

static enum lp_err contexts(struct lp_protect *p, struct lp_ctx_pair **out)
{
	enum lp_err err;

	*out = lp_ctx_cache_get(p->cache, p->slot, p->keys);
	if (*out)
		return LP_OK;
	err = lp_ctx_cache_add(p->cache, p->keys, &p->slot, out);
	if (err)
		return err;
	err = make_contexts(p, *out);
	if (err)
		lp_ctx_cache_drop(p->cache, p->slot, p->keys);
	return err;
}

/* A stream cipher's context stands at the byte where the last opened record ended; if it
 * does not (a record failed, or was passed by), it is brought there. */
static enum lp_err stream_context(struct lp_protect *p)
{
	const struct lp_keystream_kind kind = {
		.crypto = cipher_of(p), .cipher = p->suite->cipher,
		.key = lp_span_of(key_of(p), info_of(p)->key),
	};

	return lp_keystream_seek(&lp_protect_stream(p)->keys, &kind, lp_protect_stream(p)->at);
}

/* ---- opening ---- */

/* What is being opened; the checks return false and leave the reason here. */
struct opening {
	struct lp_protect *p;
	const struct lp_cipher_info *info;
	struct lp_ctx_pair *ctx;
	const struct lp_sealed *record;
	uint64_t seq;
	uint8_t *out;
	size_t n;         /* content */
	const char *why;
	bool unchecked;   /* the MAC counts as right */
};

static enum lp_err refuse(struct opening *o, const char *why)
{
	o->why = why;
	return LP_E_AUTH;
}

static void mac_header(const struct opening *o, size_t length, uint8_t h[MAC_HEADER])
{
	for (int i = 0; i < 8; i++)
		h[i] = (uint8_t)(o->seq >> (56 - 8 * i));
	h[8] = o->record->type;
	h[9] = (uint8_t)(o->record->version >> 8);
	h[10] = (uint8_t)o->record->version;
	h[11] = (uint8_t)(length >> 8);
	h[12] = (uint8_t)length;
}

/* RFC 6101 section 5.2.3.1: hash(secret + pad_2 + hash(secret + pad_1 + seq_num +
 * type + length + content)). */
static enum lp_err ssl3_mac(const struct opening *o, lp_span bytes, uint8_t *out)
{
	const enum lp_digest digest = (enum lp_digest)o->p->suite->mac;
	const size_t size = lp_digest_size(digest), pad = digest == LP_MD5 ? 48 : 40;
	const lp_span secret = { mac_of(o->p), size };
	uint8_t pad1[SSL3_PAD_MAX], pad2[SSL3_PAD_MAX], header[MAC_HEADER], inner[LP_DIGEST_MAX];
	const lp_span first[] = { secret, { pad1, pad }, { header, 9 }, { header + 11, 2 }, bytes };
	const lp_span second[] = { secret, { pad2, pad }, { inner, size } };
	enum lp_err err;

	memset(pad1, 0x36, sizeof pad1);
	memset(pad2, 0x5c, sizeof pad2);
	mac_header(o, bytes.n, header); /* but for the version */
	err = lp_digest_once(base_of(o->p), digest, first, 5, inner);
	return err ? err : lp_digest_once(base_of(o->p), digest, second, 3, out);
}

/* RFC 5246 section 6.2.3.1. */
static enum lp_err check_mac(struct opening *o, lp_span bytes, const uint8_t *mac)
{
	uint8_t header[MAC_HEADER], want[LP_DIGEST_MAX];
	const lp_span parts[] = { { header, sizeof header }, bytes };
	enum lp_err err;

	if (o->unchecked)
		return LP_OK;
	mac_header(o, bytes.n, header);
	if (lp_protect_version(o->p) == SSL30)
		err = ssl3_mac(o, bytes, want);
	else
		err = base_of(o->p)->mac(o->ctx->mac, parts, 2, want);
	if (err)
		return err;
	return lp_equal_ct(want, mac, o->p->mac_len) ? LP_OK : refuse(o, "mac");
}

/* RFC 5246 6.2.3.2: the last byte is padding_length, and every byte of the padding
 * has that value; in SSL 3.0 (RFC 6101 5.2.3.2) it may have any, and nobody checks. */
static enum lp_err strip_padding(struct opening *o, size_t n, size_t behind, size_t *left)
{
	size_t pad = o->out[n - 1];

	if (pad + 1 + behind > n)
		return refuse(o, "padding");
	for (size_t i = n - 1 - pad; lp_protect_version(o->p) > SSL30 && i < n - 1; i++)
		if (o->out[i] != pad)
			return refuse(o, "padding");
	*left = n - 1 - pad - behind;
	return LP_OK;
}

static enum lp_err open_cbc(struct opening *o)
{
	struct lp_protect *p = o->p;
	size_t block = o->info->block, mac_len = p->mac_len;
	size_t after = p->etm ? mac_len : 0;
	struct lp_cursor c = lp_cursor_span(o->record->fragment);
	lp_span iv = { iv_of(p), block }, body, sealed_mac;
	size_t content;
	enum lp_err err;

	if (explicit_iv(lp_protect_version(p)))
		iv = lp_cursor_bytes(&c, block);
	if (lp_cursor_left(&c) < after + block)
		return refuse(o, "length");
	body = lp_cursor_bytes(&c, lp_cursor_left(&c) - after);
	sealed_mac = lp_cursor_rest(&c);
	if (body.n % block || (!p->etm && body.n < mac_len + 1))
		return refuse(o, "length");
	if (p->etm) { /* RFC 7366 section 3: over IV and ciphertext, before decryption */
		err = check_mac(o, lp_span_of(o->record->fragment.p, o->record->fragment.n - after),
				sealed_mac.p);
		if (err)
			return err;
	}
	err = cipher_of(p)->decrypt(o->ctx->cipher, iv.p, body.p, body.n, o->out);
	if (!err)
		err = strip_padding(o, body.n, p->etm ? 0 : mac_len, &content);
	if (!err && !p->etm)
		err = check_mac(o, lp_span_of(o->out, content), o->out + content);
	if (err)
		return err;
	if (!explicit_iv(lp_protect_version(p)))
		memcpy(iv_of(p), body.p + body.n - block, block);
	o->n = content;
	return LP_OK;
}

/* Nonce: RFC 5288 section 3 (implicit part, then what the record carries), RFC 7905
 * section 2 (nothing carried: the sequence number is added to it). */
static enum lp_err open_aead(struct opening *o)
{
	struct lp_protect *p = o->p;
	struct lp_cursor c = lp_cursor_span(o->record->fragment);
	lp_span carried = lp_cursor_bytes(&c, o->info->explicit_nonce), body, tag;
	uint8_t nonce[NONCE], header[MAC_HEADER];
	enum lp_err err;

	if (lp_cursor_left(&c) < o->info->tag)
		return refuse(o, "length");
	body = lp_cursor_bytes(&c, lp_cursor_left(&c) - o->info->tag);
	tag = lp_cursor_rest(&c);
	memcpy(nonce, iv_of(p), o->info->iv);
	if (carried.n)
		memcpy(nonce + o->info->iv, carried.p, carried.n);
	else
		for (int i = 0; i < 8; i++)
			nonce[NONCE - 1 - i] ^= (uint8_t)(o->seq >> 8 * i);
	mac_header(o, body.n, header);
	err = cipher_of(p)->open(o->ctx->cipher, nonce, lp_span_of(header, sizeof header), body.p,
			      body.n, tag.p, o->out);
	if (err == LP_E_AUTH)
		return refuse(o, "tag");
	o->n = body.n;
	return err;
}

/* Stream ciphers and NULL (RFC 5246 section 6.2.3.1): content, then its MAC. */
static enum lp_err open_stream(struct opening *o)
{
	struct lp_protect *p = o->p;
	lp_span in = o->record->fragment;
	enum lp_err err = LP_OK;

	if (in.n < p->mac_len)
		return refuse(o, "length");
	if (o->info->kind == LP_KIND_STREAM) {
		err = stream_context(p);
		if (!err)
			err = cipher_of(p)->decrypt(lp_protect_stream(p)->keys.ctx, NULL, in.p, in.n, o->out);
		lp_protect_stream(p)->keys.at += in.n;
	} else {
		memcpy(o->out, in.p, in.n);
	}
	if (!err)
		err = check_mac(o, lp_span_of(o->out, in.n - p->mac_len),
				o->out + in.n - p->mac_len);
	if (err)
		return err;
	if (p->stream)
		lp_protect_stream(p)->at += in.n;
	o->n = in.n - p->mac_len;
	return LP_OK;
}

static enum lp_err open_record(struct opening *o, size_t size, size_t *n, const char **why)
{
	const struct lp_sealed *record = o->record;
	struct lp_protect *p = o->p;
	enum lp_err err;

	*n = 0;
	*why = NULL;
	if (size < record->fragment.n)
		return LP_E_ARG;
	err = contexts(p, &o->ctx);
	if (err)
		return err;
	if (o->info->kind == LP_KIND_CBC)
		err = open_cbc(o);
	else if (o->info->kind == LP_KIND_AEAD)
		err = open_aead(o);
	else
		err = open_stream(o);
	if (!err && o->n > CONTENT_MAX) {
		err = LP_E_FORMAT;
		o->why = "length";
	}
	if (err) {
		/* What may be unauthentic is not left lying about. */
		if (record->fragment.n)
			memset(o->out, 0, record->fragment.n);
		*why = o->why;
		return err;
	}
	p->seq = o->seq + 1;
	*n = o->n;
	return LP_OK;
}

enum lp_err lp_protect_open(struct lp_protect *p, uint16_t epoch, uint64_t seq,
			    const struct lp_sealed *record, uint8_t *out, size_t size, size_t *n,
			    const char **why)
{
	struct opening o = { .p = p, .info = info_of(p), .record = record, .seq = seq, .out = out };

	if (epoch != p->epoch) {
		*n = 0;
		*why = "epoch";
		return LP_E_AUTH;
	}
	return open_record(&o, size, n, why);
}

enum lp_err lp_protect_open_unchecked(struct lp_protect *p, const struct lp_sealed *record,
				      uint8_t *out, size_t size, size_t *n, const char **why)
{
	struct opening o = { .p = p, .info = info_of(p), .record = record, .seq = p->seq,
			     .out = out, .unchecked = true };

	return open_record(&o, size, n, why);
}

bool lp_protect_has_mac(const struct lp_protect *p)
{
	return info_of(p)->kind != LP_KIND_AEAD;
}

void lp_protect_chain(struct lp_protect *p, lp_span fragment)
{
	const struct lp_cipher_info *info = info_of(p);
	size_t after = p->etm ? p->mac_len : 0;

	if (info->kind == LP_KIND_STREAM)
		lp_protect_stream(p)->at += fragment.n;
	else if (info->kind == LP_KIND_CBC && !explicit_iv(lp_protect_version(p)) &&
		 fragment.n >= after + info->block)
		memcpy(iv_of(p), fragment.p + fragment.n - after - info->block, info->block);
}

const uint8_t *lp_protect_iv(const struct lp_protect *p)
{
	return iv_of(p);
}

void lp_protect_content_range(const struct lp_protect *p, size_t n, size_t *min, size_t *max)
{
	const struct lp_cipher_info *info = info_of(p);
	size_t over = p->mac_len, pad = 0;

	if (info->kind == LP_KIND_AEAD) {
		over = (size_t)info->explicit_nonce + info->tag;
	} else if (info->kind == LP_KIND_CBC) {
		over += 1 + (explicit_iv(lp_protect_version(p)) ? info->block : 0u);
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
	if (info_of(&p)->kind != LP_KIND_CBC)
		return max == content && n;
	return max >= content && max - content <= UINT8_MAX;
}

size_t lp_protect_fragment_min(const struct lp_protect *p)
{
	const struct lp_cipher_info *info = info_of(p);
	size_t block = info->block, iv = explicit_iv(lp_protect_version(p)) ? block : 0;

	if (info->kind == LP_KIND_AEAD)
		return (size_t)info->explicit_nonce + info->tag;
	if (info->kind != LP_KIND_CBC)
		return p->mac_len;
	return p->etm ? iv + block + p->mac_len : iv + (p->mac_len / block + 1) * block;
}

void lp_protect_settle_stream(struct lp_protect *p)
{
	lp_keystream_settle(&lp_protect_stream(p)->keys, cipher_of(p));
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
