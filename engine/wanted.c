/* Which secret does this handshake need, and who may have it? The answer is a
 * question for the warden, or the reason why nobody can be asked. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "engine_parts.h"
#include "tls/handshake.h"

enum { SERVER_NAME = 16 + 2 };

static lp_span server_of(const struct lp_tracked *f, uint8_t out[SERVER_NAME])
{
	size_t s = 1U - f->client;

	memcpy(out, f->info.addr[s], 16);
	out[16] = (uint8_t)(f->info.port[s] >> 8);
	out[17] = (uint8_t)f->info.port[s];
	return lp_span_of(out, SERVER_NAME);
}

LP_PRINTF(3, 4)
static enum lp_reply never(struct lp_no_secret *no, enum lp_reason reason, const char *format, ...)
{
	va_list args;

	no->reason = reason;
	va_start(args, format);
	(void)vsnprintf(no->detail, sizeof no->detail, format, args);
	va_end(args);
	return LP_REPLY_NEVER;
}

static enum lp_reply no_resumption(const struct lp_handshake *hs, struct lp_no_secret *no)
{
	char id[2 * 32 + 1];

	if (hs->facts.resumed == LP_RESUMED_TICKET)
		return never(no, LP_REASON_TICKET_UNKNOWN,
			     "the session was resumed from a ticket of %zu bytes, and what is in it "
			     "is not known", hs->ticket.n);
	return never(no, LP_REASON_SESSION_UNKNOWN,
		     "the session was resumed as %s, and the handshake that made it is not known",
		     lp_text_hex(id, hs->server_sid, hs->server_sid_len));
}

static enum lp_reply no_exchange(const struct lp_handshake *hs, struct lp_no_secret *no)
{
	const char *suite = hs->suite->name;

	switch ((enum lp_kx)hs->suite->kx) {
	case LP_KX_DHE:
	case LP_KX_ECDHE:
	case LP_KX_DHE_PSK:
	case LP_KX_ECDHE_PSK:
	case LP_KX_SRP:
	case LP_KX_ECCPWD:
		return never(no, LP_REASON_FORWARD_SECRET,
			     "the server chose %s, whose key exchange is ephemeral", suite);
	case LP_KX_DH:
	case LP_KX_ECDH:
		return never(no, LP_REASON_STATIC_DH, "the server chose %s", suite);
	case LP_KX_PSK:
	case LP_KX_RSA_PSK:
		return never(no, LP_REASON_PSK_UNKNOWN, "the server chose %s with a pre-shared key",
			     suite);
	default:
		return never(no, LP_REASON_SUITE_UNSUPPORTED, "the server chose %s", suite);
	}
}

static enum lp_reply no_key(const struct lp_engine *e, const struct lp_handshake *hs,
			    struct lp_no_secret *no)
{
	const struct lp_peer_cert *cert = hs->facts.server_cert;
	static const char *const loaded[] = {
		"no key was loaded; needed is", "the loaded key is not", "none of the loaded keys is",
	};
	size_t keys = lp_candidates_count(e->candidates);
	char spki[2 * 32 + 1];

	if (!cert || !cert->has_key)
		return never(no, LP_REASON_NO_KEY,
			     "the server's certificate was not seen, and none of the %zu keys loaded "
			     "has the length of what the client encrypted (%zu bits)", keys,
			     8 * hs->exchange.n);
	return never(no, LP_REASON_NO_KEY,
		     "%s that of the server's certificate (%.160s; public key SHA-256 %.16s…)",
		     loaded[keys < 2 ? keys : 2], cert->has_text ? cert->subject : "unnamed",
		     lp_text_hex(spki, cert->spki_sha256, 32));
}

static const struct lp_candidate *candidate(struct lp_tracked *f, const struct lp_question *q)
{
	const struct lp_peer_cert *cert = q->hs->facts.server_cert;
	uint8_t name[SERVER_NAME];

	return lp_candidates_find(f->worker->engine->candidates,
				  cert && cert->has_key ? cert->spki_sha256 : NULL,
				  q->hs->exchange.n, server_of(f, name), q->attempt);
}

static void fill(struct lp_ask *ask, const struct lp_question *q, uint32_t key)
{
	const struct lp_handshake *hs = q->hs;

	memset(ask, 0, sizeof *ask);
	ask->op = LP_ASK_RSA;
	ask->key = key;
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
	ask->input_len = (uint16_t)hs->exchange.n;
	memcpy(ask->input, hs->exchange.p, hs->exchange.n);
}

enum lp_reply lp_wanted_ask(void *flow, const struct lp_question *q, struct lp_no_secret *no)
{
	struct lp_tracked *f = flow;
	struct lp_engine *e = f->worker->engine;
	const struct lp_handshake *hs = q->hs;
	const struct lp_candidate *key;
	struct lp_ask ask;
	enum lp_err err;

	if (hs->facts.resumed > 0)
		return no_resumption(hs, no);
	if (!lp_suite_is_rsa(hs->suite))
		return no_exchange(hs, no);
	if (hs->suite->exported && hs->facts.exchange_seen)
		return never(no, LP_REASON_EXPORT_KEY,
			     "the server chose %s and sent a temporary key of %u bits",
			     hs->suite->name, hs->facts.exchange_bits);
	if (!hs->exchange.p || hs->exchange.n > LP_WARDEN_INPUT)
		return never(no, LP_REASON_HANDSHAKE_LOST, "the ClientKeyExchange was not captured");
	key = candidate(f, q);
	if (!key)
		return no_key(e, hs, no);
	if (!key->rsa)
		return never(no, LP_REASON_MALFORMED,
			     "the server chose %s with a certificate that has no RSA key",
			     hs->suite->name);
	fill(&ask, q, key->id);
	f->key = key->id;
	f->key_name = key->name;
	lp_order_wait(e->order, &f->waiter, q->when);
	f->asked = true;
	err = lp_asks_put(e->asks, &ask, f);
	lp_wipe(&ask, sizeof ask);
	if (err)
		f->worker->env.fault = err;
	return LP_REPLY_LATER;
}

void lp_wanted_proven(void *flow, const struct lp_handshake *hs, char *name, size_t size)
{
	struct lp_tracked *f = flow;
	uint8_t server[SERVER_NAME];

	(void)hs;
	lp_candidates_proven(f->worker->engine->candidates, server_of(f, server), f->key);
	snprintf(name, size, "rsa-key %s", f->key_name);
}
