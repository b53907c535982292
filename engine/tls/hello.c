#include "tls/hello.h"

#include <string.h>

enum { RANDOM_SIZE = 32, SESSION_ID_MAX = 32, METS_FEW = 16 };

/* SHA-256("HelloRetryRequest"), RFC 8446 section 4.1.3. */
static const uint8_t retry_random[RANDOM_SIZE] = {
	0xcf, 0x21, 0xad, 0x74, 0xe5, 0x9a, 0x61, 0x11, 0xbe, 0x1d, 0x8c, 0x02, 0x1e, 0x65, 0xb8, 0x91,
	0xc2, 0xa2, 0x11, 0x16, 0x7a, 0xbb, 0x8c, 0x5e, 0x07, 0x9e, 0x09, 0xe2, 0xc8, 0xa8, 0x33, 0x9c,
};

bool lp_hello_has(lp_span pairs, uint16_t value)
{
	struct lp_cursor c = lp_cursor_span(pairs);

	while (lp_cursor_left(&c) >= 2)
		if (lp_cursor_u16(&c) == value)
			return true;
	return false;
}

bool lp_hello_extension(struct lp_cursor *c, uint16_t *type, lp_span *body)
{
	if (!lp_cursor_left(c))
		return false;
	*type = lp_cursor_u16(c);
	*body = lp_cursor_vec16(c);
	return !lp_cursor_ok(c);
}

/* ---- bodies of extensions; false = malformed ---- */

static bool is_empty(lp_span body)
{
	return !body.n;
}

/* One vector of pairs that fills the body: named groups, signature algorithms. */
static bool pairs16(lp_span body, lp_span *out)
{
	struct lp_cursor c = lp_cursor_span(body);

	*out = lp_cursor_vec16(&c);
	return !lp_cursor_end(&c) && out->n >= 2 && out->n % 2 == 0;
}

static bool client_sni(struct lp_client_hello *h, lp_span body)
{
	struct lp_cursor c = lp_cursor_span(body), list;
	uint8_t type;
	lp_span name;

	list = lp_cursor_span(lp_cursor_vec16(&c));
	if (lp_cursor_end(&c) || !lp_cursor_left(&list))
		return false;
	/* RFC 6066 section 3: one name of each type; 0 is host_name. */
	while (lp_cursor_left(&list)) {
		type = lp_cursor_u8(&list);
		name = lp_cursor_vec16(&list);
		if (!name.n)
			return false;
		if (!type && !h->sni.n)
			h->sni = name;
	}
	return !lp_cursor_end(&list);
}

/* RFC 7301 section 3.1: names of 1 to 255 bytes, at least one. */
static bool alpn_list(lp_span body, lp_span *out, size_t *count)
{
	struct lp_cursor c = lp_cursor_span(body), list;

	*count = 0;
	*out = lp_cursor_vec16(&c);
	if (lp_cursor_end(&c) || !out->n)
		return false;
	list = lp_cursor_span(*out);
	while (lp_cursor_left(&list)) {
		if (!lp_cursor_vec8(&list).n)
			return false;
		++*count;
	}
	return !lp_cursor_end(&list);
}

static bool client_alpn(struct lp_client_hello *h, lp_span body)
{
	size_t count;

	return alpn_list(body, &h->alpn, &count);
}

static bool client_groups(struct lp_client_hello *h, lp_span body)
{
	return pairs16(body, &h->groups);
}

static bool client_signatures(struct lp_client_hello *h, lp_span body)
{
	return pairs16(body, &h->signatures);
}

static bool client_point_formats(struct lp_client_hello *h, lp_span body)
{
	struct lp_cursor c = lp_cursor_span(body);

	h->point_formats = lp_cursor_vec8(&c);
	return !lp_cursor_end(&c) && h->point_formats.n;
}

static bool client_versions(struct lp_client_hello *h, lp_span body)
{
	struct lp_cursor c = lp_cursor_span(body);

	h->versions = lp_cursor_vec8(&c);
	return !lp_cursor_end(&c) && h->versions.n && h->versions.n % 2 == 0;
}

static bool client_ticket(struct lp_client_hello *h, lp_span body)
{
	h->ticket = body;
	return true;
}

static bool client_empty(struct lp_client_hello *h, lp_span body)
{
	(void)h;
	return is_empty(body);
}

static bool client_renegotiation(struct lp_client_hello *h, lp_span body)
{
	struct lp_cursor c = lp_cursor_span(body);

	(void)h;
	lp_cursor_vec8(&c);
	return !lp_cursor_end(&c);
}

/* Not every server knows these, so a bad body cannot be held against them. */
static bool client_max_fragment(struct lp_client_hello *h, lp_span body)
{
	if (body.n == 1 && body.p[0] >= 1 && body.p[0] <= 4)
		h->max_fragment = body.p[0];
	return true;
}

static bool server_alpn(struct lp_server_hello *h, lp_span body)
{
	size_t count;

	return alpn_list(body, &h->alpn, &count) && count == 1;
}

static bool server_versions(struct lp_server_hello *h, lp_span body)
{
	struct lp_cursor c = lp_cursor_span(body);

	h->version = lp_cursor_u16(&c);
	return !lp_cursor_end(&c);
}

static bool server_empty(struct lp_server_hello *h, lp_span body)
{
	(void)h;
	return is_empty(body);
}

static bool server_max_fragment(struct lp_server_hello *h, lp_span body)
{
	if (body.n != 1 || body.p[0] < 1 || body.p[0] > 4)
		return false;
	h->max_fragment = body.p[0];
	return true;
}

/* RFC 8446 section 4.2.8: the group comes first, in a HelloRetryRequest alone. */
static bool server_key_share(struct lp_server_hello *h, lp_span body)
{
	struct lp_cursor c = lp_cursor_span(body);

	h->group = lp_cursor_u16(&c);
	return !lp_cursor_ok(&c);
}

struct known {
	uint32_t bit; /* 0: not known */
	bool (*client)(struct lp_client_hello *h, lp_span body);
	bool (*server)(struct lp_server_hello *h, lp_span body);
	const char *bad;
};

/* By type. */
static const struct known known[] = {
	[LP_EXT_SERVER_NAME] = { LP_HAS_SNI, client_sni, NULL, "malformed server_name" },
	[LP_EXT_MAX_FRAGMENT] = { LP_HAS_MAX_FRAGMENT, client_max_fragment, server_max_fragment,
				  "malformed max_fragment_length" },
	[LP_EXT_TRUNCATED_HMAC] = { LP_HAS_TRUNCATED_HMAC, NULL, server_empty,
				    "malformed truncated_hmac" },
	[LP_EXT_STATUS_REQUEST] = { LP_HAS_STATUS, NULL, NULL, NULL },
	[LP_EXT_GROUPS] = { LP_HAS_GROUPS, client_groups, NULL, "malformed supported_groups" },
	[LP_EXT_POINT_FORMATS] = { LP_HAS_POINT_FORMATS, client_point_formats, NULL,
				   "malformed ec_point_formats" },
	[LP_EXT_SIGNATURES] = { LP_HAS_SIGNATURES, client_signatures, NULL,
				"malformed signature_algorithms" },
	[LP_EXT_HEARTBEAT] = { LP_HAS_HEARTBEAT, NULL, NULL, NULL },
	[LP_EXT_ALPN] = { LP_HAS_ALPN, client_alpn, server_alpn,
			  "malformed application_layer_protocol_negotiation" },
	[LP_EXT_ENCRYPT_THEN_MAC] = { LP_HAS_ETM, client_empty, server_empty,
				      "malformed encrypt_then_mac" },
	[LP_EXT_MASTER_SECRET] = { LP_HAS_EMS, client_empty, server_empty,
				   "malformed extended_master_secret" },
	[LP_EXT_RECORD_SIZE_LIMIT] = { LP_HAS_RECORD_SIZE, NULL, NULL, NULL },
	[LP_EXT_TICKET] = { LP_HAS_TICKET, client_ticket, NULL, NULL },
	[LP_EXT_PRE_SHARED_KEY] = { LP_HAS_PSK, NULL, NULL, NULL },
	[LP_EXT_EARLY_DATA] = { LP_HAS_EARLY_DATA, NULL, NULL, NULL },
	[LP_EXT_VERSIONS] = { LP_HAS_VERSIONS, client_versions, server_versions,
			      "malformed supported_versions" },
	[LP_EXT_PSK_MODES] = { LP_HAS_PSK_MODES, NULL, NULL, NULL },
	[LP_EXT_KEY_SHARE] = { LP_HAS_KEY_SHARE, NULL, server_key_share, "malformed key_share" },
};

/* Those with numbers far from the others. */
static const struct known known_npn = { LP_HAS_NPN, NULL, NULL, NULL };
static const struct known known_channel_id = { LP_HAS_CHANNEL_ID, NULL, NULL, NULL };
static const struct known known_ech = { LP_HAS_ECH, NULL, NULL, NULL };
static const struct known known_renegotiation = { LP_HAS_RENEGOTIATION, client_renegotiation, NULL,
						  "malformed renegotiation_info" };

/* Its bit is 0 if the type is not known. */
static const struct known *find_known(uint16_t type)
{
	static const struct known none;

	if (type < sizeof known / sizeof known[0])
		return &known[type];
	switch (type) {
	case LP_EXT_NPN:
		return &known_npn;
	case LP_EXT_CHANNEL_ID:
		return &known_channel_id;
	case LP_EXT_ECH:
		return &known_ech;
	case LP_EXT_RENEGOTIATION:
		return &known_renegotiation;
	default:
		return &none;
	}
}

/* Types that were met and are not known. There are few in a hello that means well; for more a
 * map of all types keeps that linear, however many there are. */
struct met {
	size_t n;
	uint16_t few[METS_FEW];
	uint8_t map[1 << 13];
};

static void mark(struct met *met, uint16_t type)
{
	met->map[type >> 3] |= (uint8_t)(1u << (type & 7));
}

/* Adds one. False: it is there already. */
static bool add_met(struct met *met, uint16_t type)
{
	if (met->n < METS_FEW) {
		for (size_t i = 0; i < met->n; i++)
			if (met->few[i] == type)
				return false;
		met->few[met->n++] = type;
		return true;
	}
	if (met->n == METS_FEW) {
		met->n++;
		memset(met->map, 0, sizeof met->map);
		for (size_t i = 0; i < METS_FEW; i++)
			mark(met, met->few[i]);
	}
	if (met->map[type >> 3] & (1u << (type & 7)))
		return false;
	mark(met, type);
	return true;
}

/* Reads the list for the client's or the server's hello; the other one is NULL.
 * RFC 5246 7.4.1.4: there must not be more than one extension of a type. */
static enum lp_err read_extensions(struct lp_client_hello *client, struct lp_server_hello *server,
				   lp_span list, uint32_t *seen, const char **why)
{
	struct lp_cursor c = lp_cursor_span(list);
	const struct known *k;
	struct met met;
	uint16_t type;
	lp_span body;

	met.n = 0; /* all that is read of it */
	while (lp_hello_extension(&c, &type, &body)) {
		k = find_known(type);
		if (k->bit ? (*seen & k->bit) != 0 : !add_met(&met, type)) {
			*why = "duplicate extension";
			return LP_E_FORMAT;
		}
		*seen |= k->bit;
		if ((client && k->client && !k->client(client, body)) ||
		    (server && k->server && !k->server(server, body))) {
			*why = k->bad;
			return LP_E_FORMAT;
		}
	}
	if (lp_cursor_ok(&c)) {
		*why = "list of extensions is cut short";
		return LP_E_TRUNCATED;
	}
	return LP_OK;
}

/* What may follow the fixed part: nothing, or a list that fills the rest. */
static enum lp_err extension_list(struct lp_cursor *c, bool *has, lp_span *list, const char **why)
{
	enum lp_err err;

	*has = lp_cursor_left(c) > 0;
	if (!*has)
		return LP_OK;
	*list = lp_cursor_vec16(c);
	err = lp_cursor_end(c);
	if (err)
		*why = "list of extensions does not fill the message";
	return err;
}

enum lp_err lp_client_hello_read(struct lp_client_hello *out, lp_span body, const char **why)
{
	struct lp_cursor c = lp_cursor_span(body);
	enum lp_err err;

	memset(out, 0, sizeof *out);
	out->version = lp_cursor_u16(&c);
	out->random = lp_cursor_bytes(&c, RANDOM_SIZE);
	out->session_id = lp_cursor_vec8(&c);
	out->suites = lp_cursor_vec16(&c);
	out->compressions = lp_cursor_vec8(&c);
	err = lp_cursor_ok(&c);
	if (err) {
		*why = "ClientHello is cut short";
		return err;
	}
	if (out->version >> 8 != 3) {
		*why = "ClientHello of an unknown version";
		return LP_E_FORMAT;
	}
	if (out->session_id.n > SESSION_ID_MAX) {
		*why = "session id longer than 32 bytes";
		return LP_E_FORMAT;
	}
	if (out->suites.n < 2 || out->suites.n % 2 || !out->compressions.n) {
		*why = "ClientHello with a malformed list of cipher suites or compressions";
		return LP_E_FORMAT;
	}
	err = extension_list(&c, &out->has_extensions, &out->extensions, why);
	if (err)
		return err;
	return read_extensions(out, NULL, out->extensions, &out->seen, why);
}

/* Kinds of cipher are three bytes there; those of TLS begin with a zero. */
static bool v2_suites(struct lp_v2_hello *v2, lp_span kinds, lp_span *out)
{
	struct lp_cursor c = lp_cursor_span(kinds);
	size_t n = 0;

	while (lp_cursor_left(&c)) {
		uint8_t kind = lp_cursor_u8(&c);
		lp_span number = lp_cursor_bytes(&c, 2);

		if (!number.n)
			return false;
		if (kind)
			continue;
		if (n == sizeof v2->suites)
			return false;
		memcpy(v2->suites + n, number.p, 2);
		n += 2;
	}
	*out = lp_span_of(v2->suites, n);
	return n > 0;
}

enum lp_err lp_client_hello_read_v2(struct lp_client_hello *out, struct lp_v2_hello *v2,
				    lp_span body, const char **why)
{
	static const uint8_t no_compression[1];
	enum { CHALLENGE_MIN = 16 };
	struct lp_cursor c = lp_cursor_span(body);
	size_t kinds_n, id_n, challenge_n;
	lp_span kinds, challenge;
	enum lp_err err;

	memset(out, 0, sizeof *out);
	memset(v2, 0, sizeof *v2);
	out->version = lp_cursor_u16(&c);
	kinds_n = lp_cursor_u16(&c);
	id_n = lp_cursor_u16(&c);
	challenge_n = lp_cursor_u16(&c);
	kinds = lp_cursor_bytes(&c, kinds_n);
	out->session_id = lp_cursor_bytes(&c, id_n);
	challenge = lp_cursor_bytes(&c, challenge_n);
	err = lp_cursor_end(&c);
	if (err) {
		*why = "ClientHello of SSL 2.0: its parts do not fill it";
		return err;
	}
	if (out->version >> 8 != 3) {
		*why = "ClientHello of an unknown version";
		return LP_E_FORMAT;
	}
	if (challenge.n < CHALLENGE_MIN || challenge.n > RANDOM_SIZE ||
	    out->session_id.n > SESSION_ID_MAX || !v2_suites(v2, kinds, &out->suites)) {
		*why = "ClientHello of SSL 2.0 with a malformed challenge or list of ciphers";
		return LP_E_FORMAT;
	}
	memcpy(v2->random + RANDOM_SIZE - challenge.n, challenge.p, challenge.n);
	out->random = lp_span_of(v2->random, RANDOM_SIZE);
	out->compressions = lp_span_of(no_compression, 1);
	return LP_OK;
}

enum lp_err lp_server_hello_read(struct lp_server_hello *out, lp_span body, const char **why)
{
	struct lp_cursor c = lp_cursor_span(body);
	enum lp_err err;

	memset(out, 0, sizeof *out);
	out->legacy_version = lp_cursor_u16(&c);
	out->version = out->legacy_version;
	out->random = lp_cursor_bytes(&c, RANDOM_SIZE);
	out->session_id = lp_cursor_vec8(&c);
	out->suite = lp_cursor_u16(&c);
	out->compression = lp_cursor_u8(&c);
	err = lp_cursor_ok(&c);
	if (err) {
		*why = "ServerHello is cut short";
		return err;
	}
	if (out->version >> 8 != 3) {
		*why = "ServerHello of an unknown version";
		return LP_E_FORMAT;
	}
	if (out->session_id.n > SESSION_ID_MAX) {
		*why = "session id longer than 32 bytes";
		return LP_E_FORMAT;
	}
	out->retry = !memcmp(out->random.p, retry_random, RANDOM_SIZE);
	err = extension_list(&c, &out->has_extensions, &out->extensions, why);
	if (err)
		return err;
	return read_extensions(NULL, out, out->extensions, &out->seen, why);
}
