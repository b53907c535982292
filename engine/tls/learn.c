#include "tls/learn.h"

#include <string.h>

enum {
	SSL30 = 0x0300,
	TLS12 = 0x0303,
	TLS13 = 0x0304,
	EC_NAMED_CURVE = 3, /* RFC 8422 section 5.4 */
};

static enum lp_err fault(struct lp_handshake *hs, enum lp_err err, const char *why)
{
	hs->why = why;
	return err;
}

static void copy_id(uint8_t out[32], uint8_t *len, lp_span id)
{
	if (id.n)
		memcpy(out, id.p, id.n);
	*len = (uint8_t)id.n;
}

static void offer_compressions(struct lp_handshake *hs, lp_span methods)
{
	struct lp_cursor c = lp_cursor_span(methods);
	uint8_t method;

	memset(hs->offered_compressions, 0, sizeof hs->offered_compressions);
	while (lp_cursor_left(&c)) {
		method = lp_cursor_u8(&c);
		hs->offered_compressions[method >> 3] |= (uint8_t)(1u << (method & 7));
	}
}

enum lp_err lp_learn_client_hello(struct lp_handshake *hs, const struct lp_message *msg)
{
	struct lp_facts *f = &hs->facts;
	struct lp_client_hello hello;
	struct lp_v2_hello v2;
	enum lp_err err;

	if (msg->v2)
		err = lp_client_hello_read_v2(&hello, &v2, msg->body, &hs->why);
	else
		err = lp_client_hello_read(&hello, msg->body, &hs->why);
	if (err)
		return err;
	f->client_version = hello.version;
	memcpy(hs->client_random, hello.random.p, sizeof hs->client_random);
	copy_id(hs->client_sid, &hs->client_sid_len, hello.session_id);
	hs->offered = hello.seen;
	f->ticket_offered = hello.ticket.n > 0;
	lp_facts_set_ticket(&f->ticket, hello.ticket, 0);
	f->ech = hello.seen & LP_HAS_ECH;
	offer_compressions(hs, hello.compressions);
	err = lp_bytes_set(&hs->offered_suites, hello.suites);
	if (!err)
		err = lp_bytes_set(&hs->ticket, hello.ticket);
	return err ? err : lp_facts_client_hello(f, hs->common, hs->crypto, &hello);
}

/* Extensions that choose something. The rest say nothing that counts here, and there are
 * servers that send them unasked, and clients that do not mind. */
static const struct {
	uint32_t bit;
	const char *why;
} choices[] = {
	{ LP_HAS_EMS, "ServerHello has extended_master_secret, which was not offered" },
	{ LP_HAS_ETM, "ServerHello has encrypt_then_mac, which was not offered" },
	{ LP_HAS_TRUNCATED_HMAC, "ServerHello has truncated_hmac, which was not offered" },
	{ LP_HAS_MAX_FRAGMENT, "ServerHello has max_fragment_length, which was not offered" },
	{ LP_HAS_HEARTBEAT, "ServerHello has heartbeat, which was not offered" },
	{ LP_HAS_ALPN, "ServerHello has application_layer_protocol_negotiation, which was not "
		       "offered" },
	{ LP_HAS_NPN, "ServerHello has next_protocol_negotiation, which was not offered" },
	{ LP_HAS_TICKET, "ServerHello has session_ticket, which was not offered" },
	{ LP_HAS_RECORD_SIZE, "ServerHello has record_size_limit, which was not offered" },
	{ LP_HAS_VERSIONS, "ServerHello has supported_versions, which was not offered" },
	{ LP_HAS_KEY_SHARE, "ServerHello has key_share, which was not offered" },
	{ LP_HAS_PSK, "ServerHello has pre_shared_key, which was not offered" },
};

/* RFC 5246 7.4.1.3 and 7.4.1.4: the server picks from what was offered. Without the
 * ClientHello there is nothing to check against. */
static const char *not_offered(const struct lp_handshake *hs, const struct lp_server_hello *h)
{
	uint32_t extra = h->seen & ~hs->offered;
	lp_span suites = { hs->offered_suites.p, hs->offered_suites.n };

	if (!hs->facts.client_version)
		return NULL;
	if (!lp_hello_has(suites, h->suite))
		return "ServerHello chose a cipher suite that was not offered";
	/* RFC 8446 4.1.3: that of TLS 1.3 stands in an extension. */
	if (h->legacy_version > TLS12 ||
	    (h->version > hs->facts.client_version && !(hs->offered & LP_HAS_VERSIONS)))
		return "ServerHello chose a version above the client's";
	if (!h->retry &&
	    !(hs->offered_compressions[h->compression >> 3] & (1u << (h->compression & 7))))
		return "ServerHello chose a compression method that was not offered";
	for (size_t i = 0; i < sizeof choices / sizeof choices[0]; i++)
		if (extra & choices[i].bit)
			return choices[i].why;
	return NULL;
}

/* The hash of the transcript: RFC 5246 7.4.9, below it RFC 2246 7.4.9. Without it
 * (an unknown suite, a hash that no provider has) there is no transcript. SSL 3.0
 * hashes the master secret behind the messages, so they are kept as they are. */
static enum lp_err begin_transcript(struct lp_handshake *hs)
{
	enum lp_err err = LP_E_UNSUPPORTED;

	if (hs->facts.version == SSL30)
		return LP_OK;
	if (hs->facts.version < TLS12)
		err = lp_transcript_begin(&hs->transcript, LP_MD5_SHA1);
	else if (hs->suite)
		err = lp_transcript_begin(&hs->transcript, hs->suite->prf);
	if (err != LP_E_UNSUPPORTED)
		return err;
	lp_transcript_break(&hs->transcript);
	return LP_OK;
}

static bool is_cbc(const struct lp_suite *suite)
{
	return suite && suite->cipher < LP_CIPHER_COUNT &&
	       lp_cipher_info(suite->cipher)->kind == LP_KIND_CBC;
}

enum lp_err lp_learn_server_hello(struct lp_handshake *hs, const struct lp_message *msg)
{
	struct lp_facts *f = &hs->facts;
	struct lp_server_hello hello;
	const char *bad;
	enum lp_err err = lp_server_hello_read(&hello, msg->body, &hs->why);

	if (err)
		return err;
	bad = not_offered(hs, &hello);
	if (bad)
		return fault(hs, LP_E_FORMAT, bad);
	f->version = hello.version;
	f->suite = hello.suite;
	f->compression = hello.compression;
	f->max_fragment = hello.max_fragment;
	hs->suite = lp_suite_find(hello.suite);
	memcpy(hs->server_random, hello.random.p, sizeof hs->server_random);
	copy_id(hs->server_sid, &hs->server_sid_len, hello.session_id);
	copy_id(f->session_id, &f->session_id_n, hello.session_id);
	err = lp_facts_server_hello(f, hs->common, hs->crypto, &hello);
	if (err)
		return err;
	if (hello.version >= TLS13 || hello.retry) {
		f->tls13 = true;
		f->group = hello.group;
		lp_transcript_break(&hs->transcript);
		return LP_OK;
	}
	/* SSL 3.0 has no extensions that would change keys or records. */
	f->ems = (hello.seen & LP_HAS_EMS) && hello.version > SSL30;
	/* RFC 7366 section 3: with another kind of cipher the extension means nothing. */
	f->etm = (hello.seen & LP_HAS_ETM) && is_cbc(hs->suite) && hello.version > SSL30;
	f->truncated_hmac = (hello.seen & LP_HAS_TRUNCATED_HMAC) && hello.version > SSL30;
	f->heartbeat = hello.seen & LP_HAS_HEARTBEAT;
	return begin_transcript(hs);
}

/* certificate_list of RFC 5246 7.4.2: the leaf comes first. */
static enum lp_err read_certs(struct lp_handshake *hs, lp_span body, lp_span *leaf)
{
	struct lp_cursor c = lp_cursor_span(body), list;
	lp_span cert;

	*leaf = (lp_span){ NULL, 0 };
	list = lp_cursor_span(lp_cursor_vec24(&c));
	if (lp_cursor_end(&c))
		return fault(hs, LP_E_FORMAT, "Certificate: list does not fill the message");
	while (lp_cursor_left(&list)) {
		cert = lp_cursor_vec24(&list);
		if (!leaf->n)
			*leaf = cert;
	}
	return lp_cursor_end(&list) ? fault(hs, LP_E_FORMAT, "Certificate: an entry is cut short")
				    : LP_OK;
}

enum lp_err lp_learn_server_cert(struct lp_handshake *hs, const struct lp_message *msg)
{
	lp_span leaf;
	enum lp_err err = read_certs(hs, msg->body, &leaf);

	if (err || !leaf.n)
		return err;
	hs->facts.cert_seen = true;
	return lp_facts_set_cert(&hs->facts.server_cert, hs->common, hs->crypto, leaf);
}

enum lp_err lp_learn_client_cert(struct lp_handshake *hs, const struct lp_message *msg)
{
	lp_span leaf;
	enum lp_err err = read_certs(hs, msg->body, &leaf);

	if (err)
		return err;
	hs->facts.client_cert = leaf.n > 0;
	return leaf.n ? lp_facts_set_cert(&hs->facts.client_cert_info, hs->common, hs->crypto,
					  leaf)
		      : LP_OK;
}

enum lp_err lp_learn_client_cert_url(struct lp_handshake *hs, const struct lp_message *msg)
{
	(void)msg;
	hs->facts.client_cert = 1;
	return LP_OK;
}

enum lp_err lp_learn_cert_request(struct lp_handshake *hs, const struct lp_message *msg)
{
	(void)msg;
	hs->facts.cert_requested = true;
	return LP_OK;
}

/* The group or the size is told in verdicts; a message that does not parse as its
 * suite says leaves them unknown, since nothing else hangs on it. */
enum lp_err lp_learn_server_kx(struct lp_handshake *hs, const struct lp_message *msg)
{
	struct lp_facts *f = &hs->facts;
	struct lp_cursor c = lp_cursor_span(msg->body);
	uint8_t kx = hs->suite ? hs->suite->kx : LP_KX_NULL;
	uint32_t value;

	f->exchange_seen = true;
	if (kx == LP_KX_PSK || kx == LP_KX_RSA_PSK || kx == LP_KX_DHE_PSK || kx == LP_KX_ECDHE_PSK)
		lp_cursor_vec16(&c); /* psk_identity_hint, RFC 4279 section 2 */
	if (kx == LP_KX_ECDHE || kx == LP_KX_ECDHE_PSK) {
		value = lp_cursor_u8(&c);
		if (value == EC_NAMED_CURVE) {
			value = lp_cursor_u16(&c);
			f->group = lp_cursor_ok(&c) ? 0 : value;
		}
	} else if (kx == LP_KX_DHE || kx == LP_KX_DHE_PSK || kx == LP_KX_RSA) {
		value = (uint32_t)lp_cursor_vec16(&c).n * 8;
		f->exchange_bits = lp_cursor_ok(&c) ? 0 : value;
	}
	return lp_bytes_set(&hs->server_exchange, msg->body);
}

/* RFC 5246 7.4.7, RFC 4279, RFC 5489. What it carries is kept for whoever can make a
 * premaster secret of it. */
enum lp_err lp_learn_client_kx(struct lp_handshake *hs, const struct lp_message *msg)
{
	struct lp_cursor c = lp_cursor_span(msg->body);
	uint8_t kx = hs->suite ? hs->suite->kx : LP_KX_NULL;
	bool psk = kx == LP_KX_PSK || kx == LP_KX_RSA_PSK || kx == LP_KX_DHE_PSK ||
		   kx == LP_KX_ECDHE_PSK;
	lp_span identity = { NULL, 0 }, input;
	enum lp_err err;

	if (psk)
		identity = lp_cursor_vec16(&c);
	switch (kx) {
	case LP_KX_RSA:
		/* SSL 3.0 has no length there. */
		input = hs->facts.version == SSL30 ? lp_cursor_bytes(&c, lp_cursor_left(&c))
						   : lp_cursor_vec16(&c);
		break;
	case LP_KX_RSA_PSK:
	case LP_KX_DHE:
	case LP_KX_DHE_PSK:
		input = lp_cursor_vec16(&c);
		break;
	case LP_KX_DH:
		/* Implicit (empty) if the client's certificate holds its key. */
		input = lp_cursor_left(&c) ? lp_cursor_vec16(&c) : identity;
		break;
	case LP_KX_ECDH:
		input = lp_cursor_left(&c) ? lp_cursor_vec8(&c) : identity;
		break;
	case LP_KX_ECDHE:
	case LP_KX_ECDHE_PSK:
		input = lp_cursor_vec8(&c);
		break;
	case LP_KX_PSK:
		input = (lp_span){ NULL, 0 };
		break;
	default:
		return LP_OK;
	}
	err = lp_cursor_end(&c);
	if (err)
		return fault(hs, err, "malformed ClientKeyExchange");
	err = lp_bytes_set(&hs->psk_identity, identity);
	return err ? err : lp_bytes_set(&hs->exchange, input);
}

/* A client without a certificate says so with an empty Certificate; that of SSL 3.0
 * sends an alert instead (RFC 6101 section 5.6.6). */
enum lp_err lp_learn_client_kx_no_cert(struct lp_handshake *hs, const struct lp_message *msg)
{
	if (hs->facts.version != SSL30 && !hs->loose)
		return fault(hs, LP_E_ORDER, "ClientKeyExchange where a Certificate was requested");
	if (!hs->loose)
		hs->facts.client_cert = 0;
	return lp_learn_client_kx(hs, msg);
}

enum lp_err lp_learn_cert_verify(struct lp_handshake *hs, const struct lp_message *msg)
{
	(void)msg;
	if (hs->facts.client_cert == 1)
		return LP_OK;
	if (!hs->loose)
		return fault(hs, LP_E_ORDER, "CertificateVerify without a client certificate");
	hs->facts.client_cert = 1;
	return LP_OK;
}

/* RFC 5077 section 3.3. An empty ticket says that there is none. */
enum lp_err lp_learn_ticket(struct lp_handshake *hs, const struct lp_message *msg)
{
	struct lp_cursor c = lp_cursor_span(msg->body);
	lp_span ticket;

	hs->ticket_lifetime = lp_cursor_u32(&c);
	ticket = lp_cursor_vec16(&c);
	if (lp_cursor_end(&c))
		return fault(hs, LP_E_FORMAT, "malformed NewSessionTicket");
	lp_facts_set_ticket(&hs->facts.new_ticket, ticket, hs->ticket_lifetime);
	return lp_bytes_set(&hs->new_ticket, ticket);
}
