#include "warden/ticket.h"

#include <string.h>

#include "crypto/aes_ctr.h"
#include "crypto/sha3.h"

enum { IV = 16, BLOCK = 16, MAC_SHA256 = 32, MAC_SHA1 = 20 };

void lp_ticket_key_clear(struct lp_ticket_key *k)
{
	lp_secret_clear(&k->key);
	*k = (struct lp_ticket_key){ .kind = k->kind };
}

bool lp_ticket_key_same(const struct lp_ticket_key *a, const struct lp_ticket_key *b)
{
	return a->kind == b->kind && a->first == b->first && a->period_s == b->period_s &&
	       a->key.n == b->key.n && !memcmp(a->name, b->name, sizeof a->name) &&
	       lp_equal_ct(a->key.p, b->key.p, a->key.n);
}

/* Which provider: the one that has the cipher makes both contexts. */
static const struct lp_crypto *cipher_of(const struct lp_crypto_set *crypto, size_t key)
{
	return crypto->cipher[key == 16 ? LP_AES_128_CBC : LP_AES_256_CBC];
}

static void clear_one(struct lp_ticket_ctx *ctx, const struct lp_crypto_set *crypto, size_t i)
{
	crypto->base->mac_free(ctx->mac[i]);
	/* One provider for both key lengths: neither library has only one of them. */
	cipher_of(crypto, 16)->cipher_free(ctx->cipher[i]);
	ctx->mac[i] = NULL;
	ctx->cipher[i] = NULL;
	ctx->period[i] = 0;
	lp_wipe(ctx->name[i], sizeof ctx->name[i]);
}

void lp_ticket_ctx_clear(struct lp_ticket_ctx *ctx, const struct lp_crypto_set *crypto)
{
	clear_one(ctx, crypto, 0);
	clear_one(ctx, crypto, 1);
}

static enum lp_err prepare(struct lp_ticket_ctx *ctx, const struct lp_crypto_set *crypto, size_t i,
			   enum lp_digest digest, lp_span mac, lp_span aes)
{
	enum lp_err err = LP_OK;

	if (aes.n != 16 && aes.n != 32)
		return LP_E_ARG;
	if (!ctx->mac[i])
		err = crypto->base->mac_new(digest, mac, &ctx->mac[i]);
	if (!err && !ctx->cipher[i])
		err = cipher_of(crypto, aes.n)->cipher_new(aes.n == 16 ? LP_AES_128_CBC
								       : LP_AES_256_CBC,
							   aes, &ctx->cipher[i]);
	return err;
}

/* ---- the form of OpenSSL ---- */

struct parts {
	lp_span name, iv, sealed, mac;
	lp_span signed_part; /* all before the MAC */
};

static bool split(struct parts *p, lp_span ticket)
{
	struct lp_cursor c = lp_cursor_span(ticket);

	if (ticket.n < LP_TICKET_NAME + IV + BLOCK + MAC_SHA256)
		return false;
	p->signed_part = lp_span_of(ticket.p, ticket.n - MAC_SHA256);
	p->name = lp_cursor_bytes(&c, LP_TICKET_NAME);
	p->iv = lp_cursor_bytes(&c, IV);
	p->sealed = lp_cursor_bytes(&c, lp_cursor_left(&c) - MAC_SHA256);
	p->mac = lp_cursor_bytes(&c, MAC_SHA256);
	return !c.bad && p->sealed.n % BLOCK == 0;
}

/* PKCS#7 padding; 0: it is none. */
static size_t unpad(const uint8_t *p, size_t n)
{
	uint8_t pad = p[n - 1];

	if (!pad || pad > BLOCK)
		return 0;
	for (size_t i = 1; i <= pad; i++)
		if (p[n - i] != pad)
			return 0;
	return n - pad;
}

static enum lp_err decrypt_openssl(struct lp_ticket_ctx *ctx, size_t order,
				   const struct lp_ticket_try *t, const struct parts *p,
				   struct lp_ticket_session *out)
{
	enum lp_err err = cipher_of(t->crypto, 16)->decrypt(ctx->cipher[order], p->iv.p,
							    p->sealed.p, p->sealed.n, t->room);
	size_t n;

	if (err)
		return err;
	n = unpad(t->room, p->sealed.n);
	err = n ? lp_ticketbody_read(out, LP_FORM_OPENSSL, lp_span_of(t->room, n)) : LP_E_FORMAT;
	lp_wipe(t->room, p->sealed.n);
	return err ? LP_E_FORMAT : LP_OK;
}

/* Order 0: the first half is the MAC's. */
static enum lp_err prepare_openssl(const struct lp_ticket_key *k, struct lp_ticket_ctx *ctx,
				   const struct lp_ticket_try *t, size_t order)
{
	const lp_span half[2] = { lp_span_of(k->key.p, k->first),
				  lp_span_of(k->key.p + k->first, k->key.n - k->first) };

	return prepare(ctx, t->crypto, order, LP_SHA256, half[order], half[1 - order]);
}

static enum lp_err open_openssl(const struct lp_ticket_key *k, struct lp_ticket_ctx *ctx,
				const struct lp_ticket_try *t, struct lp_ticket_session *out)
{
	uint8_t mac[MAC_SHA256];
	struct parts p;
	enum lp_err err;

	if (!split(&p, t->ticket))
		return LP_E_AUTH;
	for (size_t i = 0; i < 2; i++) {
		size_t order = i ? 1U - ctx->order : ctx->order;

		err = prepare_openssl(k, ctx, t, order);
		if (!err)
			err = t->crypto->base->mac(ctx->mac[order], &p.signed_part, 1, mac);
		if (err == LP_E_NOMEM)
			return err;
		if (err || !lp_equal_ct(mac, p.mac.p, MAC_SHA256))
			continue;
		ctx->order = (uint8_t)order;
		return decrypt_openssl(ctx, order, t, &p, out);
	}
	return LP_E_AUTH;
}

enum lp_err lp_ticket_open_loose(const struct lp_ticket_key *k, struct lp_ticket_ctx *ctx,
				 const struct lp_ticket_try *t, struct lp_ticket_session *out)
{
	struct parts p;
	enum lp_err err;

	if (k->kind != LP_TICKET_NAMED || !lp_ticket_claims(k, t->ticket) || !split(&p, t->ticket))
		return LP_E_AUTH;
	for (size_t order = 0; order < 2; order++) {
		err = prepare_openssl(k, ctx, t, order);
		if (!err)
			err = decrypt_openssl(ctx, order, t, &p, out);
		if (!err || err == LP_E_NOMEM)
			return err;
	}
	return LP_E_AUTH;
}

/* ---- GnuTLS ---- */

/* The key of a period: name 16, AES 32, MAC 16. */
static enum lp_err prepare_gnutls(const struct lp_ticket_key *k, struct lp_ticket_ctx *ctx,
				  const struct lp_ticket_try *t, uint64_t period)
{
	size_t i = period % 2;
	uint8_t be[8], *key;
	enum lp_err err;

	if (ctx->period[i] == period + 1)
		return LP_OK;
	clear_one(ctx, t->crypto, i);
	key = lp_secret_alloc(LP_SHA3_512_SIZE);
	if (!key)
		return LP_E_NOMEM;
	for (size_t j = 0; j < sizeof be; j++)
		be[j] = (uint8_t)(period >> (56 - 8 * j));
	lp_sha3_512((const lp_span[]){ lp_span_of(be, sizeof be), lp_secret_span(&k->key) }, 2, key);
	err = prepare(ctx, t->crypto, i, LP_SHA1, lp_span_of(key + 48, 16),
		      lp_span_of(key + 16, 32));
	memcpy(ctx->name[i], key, LP_TICKET_NAME);
	ctx->period[i] = err ? 0 : period + 1;
	lp_secret_free(key, LP_SHA3_512_SIZE);
	return err;
}

static enum lp_err open_period(struct lp_ticket_ctx *ctx, size_t i, const struct lp_ticket_try *t,
			       struct lp_ticket_session *out)
{
	struct lp_cursor c = lp_cursor_span(t->ticket);
	lp_span name = lp_cursor_bytes(&c, LP_TICKET_NAME);
	lp_span iv = lp_cursor_bytes(&c, IV);
	lp_span sealed = lp_cursor_vec16(&c);
	lp_span mac = lp_cursor_bytes(&c, MAC_SHA1);
	uint8_t expected[MAC_SHA1];
	enum lp_err err;

	if (lp_cursor_end(&c) || !sealed.n || sealed.n % BLOCK ||
	    memcmp(name.p, ctx->name[i], LP_TICKET_NAME) != 0)
		return LP_E_AUTH;
	err = t->crypto->base->mac(ctx->mac[i],
				   &(const lp_span){ t->ticket.p, t->ticket.n - MAC_SHA1 }, 1,
				   expected);
	if (err || !lp_equal_ct(expected, mac.p, MAC_SHA1))
		return err ? err : LP_E_AUTH;
	err = cipher_of(t->crypto, 32)->decrypt(ctx->cipher[i], iv.p, sealed.p, sealed.n, t->room);
	if (!err)
		err = lp_ticketbody_read(out, LP_FORM_GNUTLS, lp_span_of(t->room, sealed.n));
	lp_wipe(t->room, sealed.n);
	return err && err != LP_E_NOMEM ? LP_E_FORMAT : err;
}

/* A ticket lives as long as a third of a period, so it is of this one or of the one
 * before; of the next if our clock and the server's differ. */
static enum lp_err open_gnutls(const struct lp_ticket_key *k, struct lp_ticket_ctx *ctx,
			       const struct lp_ticket_try *t, struct lp_ticket_session *out)
{
	const uint64_t now = t->time_s / k->period_s;
	enum lp_err err = LP_E_AUTH;

	for (size_t i = 0; i < 3 && err == LP_E_AUTH; i++) {
		uint64_t period = i == 0 ? now : i == 1 ? now - 1 : now + 1;

		err = prepare_gnutls(k, ctx, t, period);
		if (!err)
			err = open_period(ctx, period % 2, t, out);
	}
	return err;
}

/* ---- Go ---- */

static enum lp_err open_go_ticket(const struct lp_ticket_try *t, const uint8_t *key, bool named,
				  struct lp_ticket_session *out)
{
	struct lp_cursor c = lp_cursor_span(t->ticket);
	lp_span iv, sealed, mac;
	const lp_span before = { t->ticket.p, t->ticket.n - MAC_SHA256 };
	uint8_t expected[MAC_SHA256];
	enum lp_err err;

	if (named && memcmp(lp_cursor_bytes(&c, LP_TICKET_NAME).p, key, LP_TICKET_NAME) != 0)
		return LP_E_AUTH;
	iv = lp_cursor_bytes(&c, IV);
	sealed = lp_cursor_bytes(&c, lp_cursor_left(&c) - MAC_SHA256);
	mac = lp_cursor_bytes(&c, MAC_SHA256);
	if (c.bad)
		return LP_E_AUTH;
	err = lp_mac_once(t->crypto->base, LP_SHA256, lp_span_of(key + 32, 16), &before, 1, expected);
	if (err || !lp_equal_ct(expected, mac.p, MAC_SHA256))
		return err ? err : LP_E_AUTH;
	err = lp_aes_ctr(lp_span_of(key + 16, 16), iv.p, sealed.p, sealed.n, t->room);
	if (!err)
		err = lp_ticketbody_read(out, named ? LP_FORM_GO : LP_FORM_GO_121,
					 lp_span_of(t->room, sealed.n));
	/* Tickets of Go 1.21 and later, wherever their name went. */
	if (err)
		err = lp_ticketbody_read(out, named ? LP_FORM_GO_121 : LP_FORM_GO,
					 lp_span_of(t->room, sealed.n));
	lp_wipe(t->room, sealed.n);
	return err ? LP_E_FORMAT : LP_OK;
}

static enum lp_err open_go(const struct lp_ticket_key *k, const struct lp_ticket_try *t,
			   struct lp_ticket_session *out)
{
	const lp_span bytes = lp_secret_span(&k->key);
	uint8_t *key;
	enum lp_err err;

	if (t->ticket.n <= LP_TICKET_NAME + IV + MAC_SHA256)
		return LP_E_AUTH;
	key = lp_secret_alloc(LP_DIGEST_MAX);
	if (!key)
		return LP_E_NOMEM;
	err = lp_digest_once(t->crypto->base, LP_SHA512, &bytes, 1, key);
	if (!err)
		err = open_go_ticket(t, key, true, out);
	if (err == LP_E_AUTH)
		err = open_go_ticket(t, key, false, out);
	lp_secret_free(key, LP_DIGEST_MAX);
	return err;
}

/* ---- s2n ---- */

enum { S2N_INFO = 32, S2N_IAAD = 12, S2N_IV = 12, S2N_TAG = 16 };

struct s2n_keys {
	uint8_t prk[32];
	uint8_t base[32 + 32]; /* AES key 32, implicit additional data 12; two blocks */
	uint8_t ticket[32];
};

/* HKDF-SHA256 (RFC 5869) with an empty salt: n bytes, whole blocks. */
static enum lp_err hkdf(const struct lp_crypto *crypto, lp_span key, lp_span info, uint8_t prk[32],
			uint8_t *out, size_t n)
{
	static const uint8_t no_salt[32];
	enum lp_err err = lp_mac_once(crypto, LP_SHA256, lp_span_of(no_salt, sizeof no_salt), &key, 1,
				      prk);

	for (uint8_t i = 1; !err && (size_t)i * 32 <= n; i++) {
		const lp_span before = { i == 1 ? NULL : out + (i - 2) * 32, i == 1 ? 0 : 32 };
		const lp_span parts[] = { before, info, lp_span_of(&i, 1) };

		err = lp_mac_once(crypto, LP_SHA256, lp_span_of(prk, 32), parts, 3,
				  out + (i - 1) * 32);
	}
	return err;
}

static enum lp_err s2n_derive(const struct lp_ticket_key *k, const struct lp_ticket_try *t,
			      lp_span info, struct s2n_keys *s)
{
	const lp_span none = { NULL, 0 };
	enum lp_err err = hkdf(t->crypto->base, lp_secret_span(&k->key), none, s->prk, s->base,
			       sizeof s->base);

	return err ? err : hkdf(t->crypto->base, lp_span_of(s->base, 32), info, s->prk, s->ticket,
				sizeof s->ticket);
}

static enum lp_err open_s2n(const struct lp_ticket_key *k, const struct lp_ticket_try *t,
			    struct lp_ticket_session *out)
{
	const struct lp_crypto *gcm = t->crypto->cipher[LP_AES_256_GCM];
	struct lp_cursor c = lp_cursor_span(t->ticket);
	uint8_t form = lp_cursor_u8(&c);
	lp_span name = lp_cursor_bytes(&c, LP_TICKET_NAME);
	lp_span info = lp_cursor_bytes(&c, S2N_INFO);
	lp_span iv = lp_cursor_bytes(&c, S2N_IV);
	lp_span sealed = lp_cursor_bytes(&c, lp_cursor_left(&c) - S2N_TAG);
	lp_span tag = lp_cursor_bytes(&c, S2N_TAG);
	uint8_t aad[S2N_IAAD + LP_TICKET_NAME];
	struct lp_cipher_ctx *cipher = NULL;
	struct s2n_keys *s;
	enum lp_err err;

	if (c.bad || form != 1 || !sealed.n)
		return LP_E_AUTH;
	s = lp_secret_alloc(sizeof *s);
	if (!s)
		return LP_E_NOMEM;
	err = s2n_derive(k, t, info, s);
	if (err)
		goto out;
	memcpy(aad, s->base + 32, S2N_IAAD);
	memcpy(aad + S2N_IAAD, name.p, LP_TICKET_NAME);
	err = gcm->cipher_new(LP_AES_256_GCM, lp_span_of(s->ticket, sizeof s->ticket), &cipher);
	if (!err)
		err = gcm->open(cipher, iv.p, lp_span_of(aad, sizeof aad), sealed.p, sealed.n, tag.p,
				t->room);
	if (!err && lp_ticketbody_read(out, LP_FORM_S2N, lp_span_of(t->room, sealed.n)))
		err = LP_E_FORMAT;
	lp_wipe(t->room, sealed.n);
out:
	gcm->cipher_free(cipher);
	lp_secret_free(s, sizeof *s);
	return err;
}

/* ---- all ---- */

bool lp_ticket_claims(const struct lp_ticket_key *k, lp_span ticket)
{
	return k->kind != LP_TICKET_NAMED ||
	       (ticket.n >= LP_TICKET_NAME && !memcmp(ticket.p, k->name, LP_TICKET_NAME));
}

enum lp_err lp_ticket_open(const struct lp_ticket_key *k, struct lp_ticket_ctx *ctx,
			   const struct lp_ticket_try *t, struct lp_ticket_session *out)
{
	if (!lp_ticket_claims(k, t->ticket))
		return LP_E_AUTH;
	switch (k->kind) {
	case LP_TICKET_NAMED:
	case LP_TICKET_BARE:
		return open_openssl(k, ctx, t, out);
	case LP_TICKET_GNUTLS:
		return open_gnutls(k, ctx, t, out);
	case LP_TICKET_GO:
		return open_go(k, t, out);
	case LP_TICKET_S2N:
		return open_s2n(k, t, out);
	}
	return LP_E_AUTH;
}
