/* Opening records with the keys of an lp_protect: AEAD, CBC, stream ciphers. See tls/protect.h. */
#include <string.h>

#include "base/secret.h"
#include "tls/ahead.h"
#include "tls/protect_parts.h"
#include "tls/record.h"

enum {
	NONCE = 12,
	SSL3_PAD_MAX = 48,
	CONTENT_MAX = LP_RECORD_PLAIN_MAX + 1024, /* 2^14, and what compression may add */
};

/* ---- contexts ---- */

static enum lp_err make_contexts(const struct lp_protect *p, struct lp_ctx_pair *pair)
{
	const struct lp_cipher_info *info = lp_protect_info(p);
	enum lp_err err = LP_OK;

	if (info->kind == LP_KIND_CBC || info->kind == LP_KIND_AEAD) {
		pair->cipher_provider = lp_protect_cipher(p);
		err = lp_protect_cipher(p)->cipher_new(
			p->suite->cipher, lp_span_of(lp_protect_key_at(p), info->key),
			&pair->cipher);
	}
	if (!err && p->suite->mac && lp_protect_version(p) > LP_PROTECT_SSL30) {
		pair->mac_provider = lp_protect_base(p);
		err = lp_protect_base(p)->mac_new(p->suite->mac, lp_protect_mac_key(p), &pair->mac);
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
		.crypto = lp_protect_cipher(p), .cipher = p->suite->cipher,
		.key = lp_span_of(lp_protect_key_at(p), lp_protect_info(p)->key),
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

/* A CBC record; iv: NULL, if it carries none; mac: of RFC 7366, behind the body. */
struct parts {
	const uint8_t *iv, *mac;
	lp_span body;
};

static enum lp_err refuse(struct opening *o, const char *why)
{
	o->why = why;
	return LP_E_AUTH;
}

static inline void put_header(uint8_t h[LP_MAC_HEADER], uint64_t seq, uint8_t type,
			      uint16_t version, size_t length)
{
	for (int i = 0; i < 8; i++)
		h[i] = (uint8_t)(seq >> (56 - 8 * i));
	h[8] = type;
	h[9] = (uint8_t)(version >> 8);
	h[10] = (uint8_t)version;
	h[11] = (uint8_t)(length >> 8);
	h[12] = (uint8_t)length;
}

static void mac_header(const struct opening *o, size_t length, uint8_t h[LP_MAC_HEADER])
{
	put_header(h, o->seq, o->record->type, o->record->version, length);
}

/* RFC 6101 section 5.2.3.1: hash(secret + pad_2 + hash(secret + pad_1 + seq_num +
 * type + length + content)). */
static enum lp_err ssl3_mac(const struct opening *o, lp_span bytes, uint8_t *out)
{
	const enum lp_digest digest = (enum lp_digest)o->p->suite->mac;
	const size_t size = lp_digest_size(digest), pad = digest == LP_MD5 ? 48 : 40;
	const lp_span secret = lp_protect_mac_key(o->p);
	uint8_t pad1[SSL3_PAD_MAX], pad2[SSL3_PAD_MAX], header[LP_MAC_HEADER], inner[LP_DIGEST_MAX];
	const lp_span first[] = { secret, { pad1, pad }, { header, 9 }, { header + 11, 2 }, bytes };
	const lp_span second[] = { secret, { pad2, pad }, { inner, size } };
	enum lp_err err;

	memset(pad1, 0x36, sizeof pad1);
	memset(pad2, 0x5c, sizeof pad2);
	mac_header(o, bytes.n, header); /* but for the version */
	err = lp_digest_once(lp_protect_base(o->p), digest, first, 5, inner);
	return err ? err : lp_digest_once(lp_protect_base(o->p), digest, second, 3, out);
}

/* RFC 5246 6.2.3.2: the last byte is padding_length, and every byte of the padding
 * has that value; in SSL 3.0 (RFC 6101 5.2.3.2) it may have any, and nobody checks.
 * *left: what is before it, without the `behind` bytes of a MAC. */
static inline bool strip_padding(const struct opening *o, const uint8_t *out, size_t n,
				 size_t behind, size_t *left)
{
	size_t pad = out[n - 1];

	if (pad + 1 + behind > n)
		return false;
	for (size_t i = n - 1 - pad; lp_protect_version(o->p) > LP_PROTECT_SSL30 && i < n - 1; i++)
		if (out[i] != pad)
			return false;
	*left = n - 1 - pad - behind;
	return true;
}

/* A CBC record in its parts. False: it is too short, or no whole number of blocks. */
static inline bool cut(const struct opening *o, lp_span fragment, struct parts *out)
{
	const struct lp_protect *p = o->p;
	const size_t block = o->info->block, after = p->etm ? p->mac_len : 0;
	struct lp_cursor c = lp_cursor_span(fragment);

	out->iv = NULL;
	if (lp_protect_explicit_iv(lp_protect_version(p)))
		out->iv = lp_cursor_bytes(&c, block).p;
	if (lp_cursor_left(&c) < after + block)
		return false;
	out->body = lp_cursor_bytes(&c, lp_cursor_left(&c) - after);
	out->mac = lp_cursor_rest(&c).p;
	return out->body.n % block == 0 && (p->etm || out->body.n > p->mac_len);
}

/* What the MAC of the record that seems to come next is of: with RFC 7366 IV and ciphertext, else
 * its content, which is decrypted where it lies. */
static bool next_input(const struct opening *o, struct lp_ahead_record *r, lp_span *out)
{
	const struct lp_protect *p = o->p;
	const size_t block = o->info->block;
	struct parts now, next;
	uint8_t *body;
	size_t content;

	if (!cut(o, o->record->fragment, &now) || !cut(o, lp_span_of(r->fragment, r->n), &next))
		return false;
	if (p->etm) {
		*out = lp_span_of(r->fragment, r->n - p->mac_len);
		return true;
	}
	if (!next.iv)
		next.iv = now.body.p + now.body.n - block;
	body = r->fragment + (next.body.p - r->fragment);
	if (lp_protect_cipher(p)->decrypt(o->ctx->cipher, next.iv, body, next.body.n, body) ||
	    !strip_padding(o, body, next.body.n, p->mac_len, &content))
		return false;
	*out = lp_span_of(body, content);
	return true;
}

/* That MAC; header has room for its header. */
static bool next_mac(const struct opening *o, const struct lp_ahead_mac *now, uint8_t *header,
		     struct lp_ahead_mac *out)
{
	struct lp_ahead_record *r = lp_ahead_next(o->p->cache->ahead);

	if (!r || !next_input(o, r, &out->bytes))
		return false;
	put_header(header, o->seq + 1, r->type, r->version, out->bytes.n);
	out->ctx = now->ctx;
	out->digest = now->digest;
	out->key = now->key;
	out->header = header;
	return true;
}

/* RFC 2104, as RFC 5246 section 6.2.3.1 wants it; with that of the next record, if that is there. */
static enum lp_err hmac(const struct opening *o, const uint8_t header[LP_MAC_HEADER], lp_span bytes,
			uint8_t *want)
{
	const struct lp_ahead_mac now = { o->ctx->mac, (enum lp_digest)o->p->suite->mac,
					  lp_protect_mac_key(o->p), header, bytes };
	const lp_span parts[] = { { header, LP_MAC_HEADER }, bytes };
	struct lp_ahead *ahead = o->p->cache->ahead;
	uint8_t next_header[LP_MAC_HEADER];
	struct lp_ahead_mac next;

	if (lp_ahead_is_for(ahead, o->record->fragment.n) &&
	    (lp_ahead_recall(ahead, &now, want) ||
	     (next_mac(o, &now, next_header, &next) && lp_ahead_two(ahead, &now, &next, want))))
		return LP_OK;
	return lp_protect_base(o->p)->mac(o->ctx->mac, parts, 2, want);
}

/* RFC 5246 section 6.2.3.1. */
static enum lp_err check_mac(struct opening *o, lp_span bytes, const uint8_t *mac)
{
	uint8_t header[LP_MAC_HEADER], want[LP_DIGEST_MAX];
	enum lp_err err;

	if (o->unchecked)
		return LP_OK;
	mac_header(o, bytes.n, header);
	if (lp_protect_version(o->p) == LP_PROTECT_SSL30)
		err = ssl3_mac(o, bytes, want);
	else
		err = hmac(o, header, bytes, want);
	if (err)
		return err;
	return lp_equal_ct(want, mac, o->p->mac_len) ? LP_OK : refuse(o, "mac");
}

static enum lp_err open_cbc(struct opening *o)
{
	struct lp_protect *p = o->p;
	const size_t block = o->info->block;
	struct parts r;
	size_t content;
	enum lp_err err;

	if (!cut(o, o->record->fragment, &r))
		return refuse(o, "length");
	if (p->etm) { /* RFC 7366 section 3: over IV and ciphertext, before decryption */
		err = check_mac(o, lp_span_of(o->record->fragment.p,
					      o->record->fragment.n - p->mac_len), r.mac);
		if (err)
			return err;
	}
	err = lp_protect_cipher(p)->decrypt(o->ctx->cipher, r.iv ? r.iv : lp_protect_iv_at(p),
					    r.body.p, r.body.n, o->out);
	if (!err && !strip_padding(o, o->out, r.body.n, p->etm ? 0 : p->mac_len, &content))
		err = refuse(o, "padding");
	if (!err && !p->etm)
		err = check_mac(o, lp_span_of(o->out, content), o->out + content);
	if (err)
		return err;
	if (!r.iv)
		memcpy(lp_protect_iv_at(p), r.body.p + r.body.n - block, block);
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
	uint8_t nonce[NONCE], header[LP_MAC_HEADER];
	enum lp_err err;

	if (lp_cursor_left(&c) < o->info->tag)
		return refuse(o, "length");
	body = lp_cursor_bytes(&c, lp_cursor_left(&c) - o->info->tag);
	tag = lp_cursor_rest(&c);
	memcpy(nonce, lp_protect_iv_at(p), o->info->iv);
	if (carried.n)
		memcpy(nonce + o->info->iv, carried.p, carried.n);
	else
		for (int i = 0; i < 8; i++)
			nonce[NONCE - 1 - i] ^= (uint8_t)(o->seq >> 8 * i);
	mac_header(o, body.n, header);
	err = lp_protect_cipher(p)->open(o->ctx->cipher, nonce,
					 lp_span_of(header, sizeof header), body.p, body.n, tag.p,
					 o->out);
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
			err = lp_protect_cipher(p)->decrypt(lp_protect_stream(p)->keys.ctx, NULL,
							    in.p, in.n, o->out);
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
	if (o->info->kind == LP_KIND_CBC) {
		err = open_cbc(o);
		lp_ahead_over(p->cache->ahead);
	} else if (o->info->kind == LP_KIND_AEAD) {
		err = open_aead(o);
	} else {
		err = open_stream(o);
	}
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
	struct opening o = { .p = p, .info = lp_protect_info(p), .record = record, .seq = seq,
			     .out = out };

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
	struct opening o = { .p = p, .info = lp_protect_info(p), .record = record, .seq = p->seq,
			     .out = out, .unchecked = true };

	return open_record(&o, size, n, why);
}
