/* The key exchange of a full handshake: which key could make its premaster secret, and
 * what the warden is asked for it (RFC 5246 section 7.4.7, RFC 4279, RFC 5489, RFC 8422).
 * Where there is no such key, the reason is the one that helps most: a key exchange that
 * no key opens is named before anything that is missing from the capture. */
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "engine_parts.h"
#include "tls/handshake.h"

enum { SERVER_NAME = 16 + 2, IDENTITY_SHOWN = 48 };

static const char ec_key[] = "ec-key";

static lp_span server_of(const struct lp_tracked *f, uint8_t out[SERVER_NAME])
{
	const size_t s = 1U - f->client;
	struct lp_stream_info info;

	lp_tracked_info(f, &info);
	memcpy(out, info.addr[s], 16);
	out[16] = (uint8_t)(info.port[s] >> 8);
	out[17] = (uint8_t)info.port[s];
	return lp_span_of(out, SERVER_NAME);
}

void lp_exchange_proven(struct lp_tracked *f)
{
	uint8_t server[SERVER_NAME];

	lp_candidates_proven(f->worker->engine->candidates, server_of(f, server), f->quest->key);
}

/* ---- why not ---- */

static enum lp_reply ephemeral(const struct lp_handshake *hs, struct lp_no_secret *no)
{
	return lp_wanted_never(no, LP_REASON_FORWARD_SECRET,
			       "the server chose %s, whose key exchange is ephemeral",
			       hs->suite->name);
}

static enum lp_reply not_taken(const struct lp_handshake *hs, struct lp_no_secret *no)
{
	return lp_wanted_never(no, LP_REASON_SUITE_UNSUPPORTED,
			       "the server chose %s, whose key exchange limpid does not know",
			       hs->suite->name);
}

static enum lp_reply no_key(const struct lp_engine *e, const struct lp_handshake *hs,
			    struct lp_no_secret *no)
{
	const struct lp_peer_cert *cert = hs->facts.server_cert;
	static const char *const loaded[] = {
		"no key was loaded; needed is", "the loaded key is not", "none of the loaded keys is",
	};
	size_t keys = lp_candidates_count(e->candidates, false);
	char spki[2 * 32 + 1];

	if (!cert || !cert->has_key)
		return lp_wanted_never(no, cert && !cert->has_text ? LP_REASON_MALFORMED
								   : LP_REASON_NO_KEY,
				       "the server's certificate %s, and none of the %zu "
				       "keys loaded has the length of what the client %s (%zu bits)",
				       cert ? "cannot be read" : "was not seen", keys,
				       hs->suite->kx == LP_KX_ECDH ? "sent" : "encrypted",
				       8 * hs->exchange.n);
	return lp_wanted_never(no, LP_REASON_NO_KEY,
			       "%s that of the server's certificate (%.160s; serial %.60s; SHA-256 "
			       "%.16s…; public key SHA-256 %.16s…)", loaded[keys < 2 ? keys : 2],
			       cert->has_text ? lp_cert_word(cert->info.subject) : "unnamed",
			       cert->has_text ? lp_cert_word(cert->info.serial) : "unknown",
			       lp_cert_word(cert->info.sha256),
			       lp_text_hex(spki, cert->spki_sha256, 32));
}

/* The first bytes of a name from the wire, escaped. */
static const char *shown(char out[4 * IDENTITY_SHOWN + 4], lp_span name)
{
	lp_text_escape(out, 4 * IDENTITY_SHOWN + 1, name.p,
		       name.n < IDENTITY_SHOWN ? name.n : IDENTITY_SHOWN);
	if (name.n > IDENTITY_SHOWN)
		strcat(out, "…");
	return out;
}

static enum lp_reply no_psk(const struct lp_engine *e, const struct lp_handshake *hs,
			    struct lp_no_secret *no)
{
	struct lp_cursor c = lp_cursor_of(hs->server_exchange.p, hs->server_exchange.n);
	lp_span hint = lp_cursor_vec16(&c);
	char name[4 * IDENTITY_SHOWN + 4], text[4 * IDENTITY_SHOWN + 4];
	size_t n = lp_candidates_count(e->candidates, true);

	return lp_wanted_never(no, LP_REASON_PSK_UNKNOWN,
			       "the client names its pre-shared key '%s' (%zu bytes)%s%s%s, %s",
			       shown(name, lp_span_of(hs->psk_identity.p, hs->psk_identity.n)),
			       hs->psk_identity.n, hint.n ? ", the server's hint is '" : "",
			       hint.n ? shown(text, hint) : "", hint.n ? "'" : "",
			       n ? "and no loaded one has that name" : "and none was loaded");
}

void lp_exchange_refused(const struct lp_tracked *f, struct lp_no_secret *no)
{
	if (f->quest->key_kind == ec_key)
		(void)lp_wanted_never(no, LP_REASON_MALFORMED,
				      "what the client sent is no point of the curve of the "
				      "server's key");
}

/* ---- questions ---- */

static bool candidate(struct lp_tracked *f, const struct lp_question *q, enum lp_key_kind kind,
		      unsigned attempt, struct lp_candidate *out)
{
	struct lp_candidates *c = f->worker->engine->candidates;
	const struct lp_peer_cert *cert = q->hs->facts.server_cert;
	uint8_t name[SERVER_NAME];

	/* One for all attempts, or another session's proof would make us skip a key. */
	if (!f->quest->favoured)
		f->quest->favourite = lp_candidates_favourite(c, server_of(f, name));
	f->quest->favoured = true;
	return lp_candidates_find(c, kind, cert && cert->has_key ? cert->spki_sha256 : NULL,
				  q->hs->exchange.n, f->quest->favourite, attempt, out);
}

/* The pre-shared keys of one identity, one after the other. */
static bool psk_of(struct lp_tracked *f, const struct lp_handshake *hs, unsigned nth,
		   struct lp_candidate *out)
{
	struct lp_engine *e = f->worker->engine;
	const lp_span identity = lp_span_of(hs->psk_identity.p, hs->psk_identity.n);
	uint8_t hash[32];

	if (lp_digest_once(e->crypto.base, LP_SHA256, &identity, 1, hash)) {
		f->worker->env.fault = LP_E_NOMEM;
		return false;
	}
	return lp_candidates_psk(e->candidates, hash, nth, out);
}

static void fill(struct lp_ask *ask, const struct lp_question *q)
{
	const struct lp_handshake *hs = q->hs;

	memset(ask, 0, sizeof *ask);
	ask->version = hs->facts.version;
	ask->client_version = hs->facts.client_version;
	ask->prf = hs->suite->prf;
	ask->extended = q->extended;
	if (q->extended) {
		ask->seed_len = hs->session_hash_size;
		memcpy(ask->seed, hs->session_hash, ask->seed_len);
	} else {
		ask->seed_len = 64;
		memcpy(ask->seed, hs->client_random, 32);
		memcpy(ask->seed + 32, hs->server_random, 32);
	}
}

static enum lp_reply put(struct lp_tracked *f, const struct lp_question *q, struct lp_ask *ask,
			 const char *kind, const struct lp_candidate *key)
{
	f->quest->key = key->id;
	f->quest->key_kind = kind;
	f->quest->key_name = key->name;
	lp_order_wait(f->worker->order, &f->quest->waiter, q->when);
	f->quest->asked = true;
	f->questioned = true;
	lp_wanted_put(f, ask);
	lp_wipe(ask, sizeof *ask);
	return LP_REPLY_LATER;
}

static enum lp_reply lost(struct lp_no_secret *no)
{
	return lp_wanted_never(no, LP_REASON_HANDSHAKE_LOST,
			       "the ClientKeyExchange was not captured");
}

/* RSA, RSA_PSK and static ECDH: with the key of the server's certificate. */
static enum lp_reply ask_key(struct lp_tracked *f, const struct lp_question *q,
			     enum lp_key_kind kind, struct lp_no_secret *no)
{
	const struct lp_handshake *hs = q->hs;
	struct lp_candidate key, psk = { .id = 0 };
	const bool with_psk = hs->suite->kx == LP_KX_RSA_PSK;
	unsigned nth_key = f->quest->others, psks = 0;
	struct lp_ask ask;

	if (!hs->exchange.p || hs->exchange.n > LP_WARDEN_INPUT)
		return lost(no);
	if (with_psk) {
		/* Each PSK of that identity, with the key that the certificate names, or (it was
		 * lost) with each that it may be. */
		while (psk_of(f, hs, psks, &psk))
			psks++;
		if (!psks)
			return no_psk(f->worker->engine, hs, no);
		(void)psk_of(f, hs, nth_key % psks, &psk);
		nth_key /= psks;
	}
	if (!candidate(f, q, kind, nth_key, &key))
		return no_key(f->worker->engine, hs, no);
	if (key.kind != kind)
		return lp_wanted_never(no, LP_REASON_MALFORMED,
				       "the server chose %s with a certificate that has no %s key",
				       hs->suite->name, kind == LP_KEY_RSA ? "RSA" : "EC");
	fill(&ask, q);
	ask.op = with_psk ? LP_ASK_RSA_PSK : kind == LP_KEY_RSA ? LP_ASK_RSA : LP_ASK_ECDH;
	ask.key = key.id;
	ask.psk = psk.id;
	ask.input_len = (uint16_t)hs->exchange.n;
	memcpy(ask.input, hs->exchange.p, hs->exchange.n);
	return put(f, q, &ask, kind == LP_KEY_EC ? ec_key : with_psk ? "rsa-key with psk"
							    : "rsa-key", &key);
}

/* The fixed key of a client's certificate is in no ClientKeyExchange. */
static enum lp_reply ask_ecdh(struct lp_tracked *f, const struct lp_question *q,
			      struct lp_no_secret *no)
{
	const struct lp_handshake *hs = q->hs;

	if (hs->exchange_done && !hs->exchange.p)
		return lp_wanted_never(no, LP_REASON_STATIC_DH,
				       "the server chose %s, and the client used the fixed key of "
				       "its own certificate, which limpid does not take up",
				       hs->suite->name);
	return ask_key(f, q, LP_KEY_EC, no);
}

/* What a key log has as PMS_CLIENT_RANDOM, as the question's input. */
static bool take_premaster(struct lp_engine *e, const struct lp_handshake *hs, struct lp_ask *ask)
{
	struct lp_keylog_secret secret;
	bool taken = false;

	if (!lp_wanted_premaster(e, hs, &secret))
		return false;
	if (secret.n <= sizeof ask->input) {
		memcpy(ask->input, secret.bytes, secret.n);
		ask->input_len = (uint16_t)secret.n;
		taken = true;
	}
	lp_wipe(secret.bytes, secret.n);
	return taken;
}

/* PSK alone; with an ephemeral secret only if a key log has that
 * (which was tried as the whole premaster secret before). */
static enum lp_reply ask_psk(struct lp_tracked *f, const struct lp_question *q, bool dh,
			     struct lp_no_secret *no)
{
	struct lp_engine *e = f->worker->engine;
	const struct lp_handshake *hs = q->hs;
	struct lp_candidate psk;
	enum lp_reply reply;
	struct lp_ask ask;

	fill(&ask, q);
	ask.op = LP_ASK_PSK;
	if (dh && !take_premaster(e, hs, &ask)) {
		reply = ephemeral(hs, no);
	} else if (!hs->exchange_done) {
		reply = lost(no);
	} else if (!psk_of(f, hs, f->quest->others, &psk)) {
		reply = no_psk(e, hs, no);
	} else {
		ask.psk = psk.id;
		reply = put(f, q, &ask, dh ? "key-log with psk" : "psk", &psk);
	}
	lp_wipe(&ask, sizeof ask);
	return reply;
}

/* What cannot be had whoever is asked. LP_REPLY_LATER: nothing of the kind. */
static enum lp_reply closed(const struct lp_question *q, struct lp_no_secret *no)
{
	const struct lp_handshake *hs = q->hs;

	switch ((enum lp_kx)hs->suite->kx) {
	case LP_KX_DHE:
	case LP_KX_ECDHE:
	case LP_KX_SRP:
	case LP_KX_ECCPWD:
		return ephemeral(hs, no);
	case LP_KX_DH:
		return lp_wanted_never(no, LP_REASON_STATIC_DH, "the server chose %s",
				       hs->suite->name);
	case LP_KX_RSA:
		if (hs->suite->exported && hs->facts.exchange_seen)
			return lp_wanted_never(no, LP_REASON_EXPORT_KEY,
					       "the server chose %s and sent a temporary key of %u "
					       "bits", hs->suite->name, hs->facts.exchange_bits);
		break;
	case LP_KX_RSA_PSK:
	case LP_KX_PSK:
	case LP_KX_DHE_PSK:
	case LP_KX_ECDHE_PSK:
	case LP_KX_ECDH:
		break;
	default:
		return not_taken(hs, no);
	}
	return LP_REPLY_LATER;
}

enum lp_reply lp_exchange_ask(struct lp_tracked *f, const struct lp_question *q,
			      struct lp_no_secret *no)
{
	const struct lp_handshake *hs = q->hs;
	enum lp_reply reply = closed(q, no);

	if (reply == LP_REPLY_NEVER)
		return reply;
	if (q->extended && !hs->session_hash_size) {
		f->questioned = true;
		if (!f->quest->looked && !lp_worker_first(f->worker, q->when))
			return lp_wanted_later(f, q); /* what is missing may be in one before */
	}
	f->quest->looked = false;
	if (q->extended && !hs->session_hash_size)
		return lp_wanted_never(no, LP_REASON_HANDSHAKE_LOST_EMS,
				       "Extended Master Secret was negotiated and part of the "
				       "handshake is missing");
	switch ((enum lp_kx)hs->suite->kx) {
	case LP_KX_ECDH:
		return ask_ecdh(f, q, no);
	case LP_KX_PSK:
		return ask_psk(f, q, false, no);
	case LP_KX_DHE_PSK:
	case LP_KX_ECDHE_PSK:
		return ask_psk(f, q, true, no);
	default:
		return ask_key(f, q, LP_KEY_RSA, no);
	}
}
