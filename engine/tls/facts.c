/* What a handshake leaves behind. What repeats itself from session to session is made once
 * (common.h). */
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/log.h"
#include "tls/handshake.h"

/* Names longer than DNS and RFC 7301 allow are cut; so are lists nobody sends. */
enum { NAME_MAX_RAW = 255, NAME_MAX_TEXT = NAME_MAX_RAW * 4 + 1 };

void lp_facts_init(struct lp_facts *f)
{
	*f = (struct lp_facts){ .ems = -1, .etm = -1, .resumed = -1, .client_cert = -1 };
}

void lp_facts_clear(struct lp_facts *f)
{
	lp_piece_unref(f->client);
	lp_piece_unref(f->server);
	lp_piece_unref(f->server_cert);
	lp_piece_unref(f->client_cert_info);
	lp_facts_init(f);
}

/* Texts are put twice: with mem NULL to learn the size, then for good. */
struct pool {
	char *mem;
	size_t used;
};

static const char *put(struct pool *pool, const char *text)
{
	const size_t n = strlen(text) + 1;
	char *at = pool->mem ? pool->mem + pool->used : NULL;

	if (at)
		memcpy(at, text, n);
	pool->used += n;
	return at;
}

/* Empty text is unknown, and unknown is NULL. */
static const char *put_known(struct pool *pool, const char *text)
{
	return text && *text ? put(pool, text) : NULL;
}

static const char *put_escaped(struct pool *pool, lp_span name)
{
	char text[NAME_MAX_TEXT];

	return put(pool, lp_text_escape(text, sizeof text, name.p,
					name.n < NAME_MAX_RAW ? name.n : NAME_MAX_RAW));
}

/* ---- hellos ---- */

/* What words are made of. */
struct saying {
	lp_span sni, alpn;
	size_t alpns;            /* names that are told, at most */
	const struct lp_ja3 *ja3;
	const char *ja4;
};

/* words NULL: to learn the size. Returns how many names there are. */
static size_t fill(struct lp_words *words, struct pool *pool, const struct saying *s)
{
	struct lp_cursor c = lp_cursor_span(s->alpn);
	struct lp_words none;
	size_t n = 0;

	if (!words)
		words = &none;
	words->sni = s->sni.n ? put_escaped(pool, s->sni) : NULL;
	for (; lp_cursor_left(&c) && n < s->alpns; n++) {
		const char *name = put_escaped(pool, lp_cursor_vec8(&c));

		if (pool->mem)
			words->alpn[n] = name;
	}
	words->ja3 = put_known(pool, s->ja3->string);
	words->ja3_hash = put_known(pool, s->ja3->hash);
	words->ja4 = put_known(pool, s->ja4);
	return n;
}

static struct lp_words *words_new(struct lp_common *common, enum lp_piece_kind kind,
				  const struct lp_piece_key *key, const struct saying *s)
{
	struct pool pool = { NULL, 0 };
	const size_t n = fill(NULL, &pool, s);
	const size_t names = n ? (n + 1) * sizeof(char *) : 0;
	struct lp_words *words;

	words = lp_common_make(common, kind, key, sizeof *words + names + pool.used);
	if (!words)
		return NULL;
	pool = (struct pool){ (char *)words->alpn + names, 0 };
	(void)fill(words, &pool, s);
	words->alpns = n ? words->alpn : NULL;
	return words;
}

static void key_number(struct lp_piece_key *key, unsigned value)
{
	const uint8_t bytes[] = { (uint8_t)(value >> 8), (uint8_t)value };

	lp_piece_key_add(key, lp_span_of(bytes, sizeof bytes));
}

/* Their types, in order. */
static void key_extensions(struct lp_piece_key *key, lp_span list)
{
	struct lp_cursor c = lp_cursor_span(list);
	uint8_t types[256];
	size_t n = 0;
	uint16_t type;
	lp_span body;

	while (lp_hello_extension(&c, &type, &body)) {
		if (n == sizeof types) {
			key->full = true;
			return;
		}
		types[n++] = (uint8_t)(type >> 8);
		types[n++] = (uint8_t)type;
	}
	lp_piece_key_add(key, lp_span_of(types, n));
}

/* The key is all that the fingerprints are made of, so they are made once for each. */
enum lp_err lp_facts_client_hello(struct lp_facts *f, struct lp_common *common,
				  const struct lp_crypto *crypto,
				  const struct lp_client_hello *hello)
{
	struct lp_ja3 ja3 = { NULL, "" };
	char ja4[LP_JA4_TEXT] = "";
	const struct saying saying = { hello->sni, hello->alpn, LP_CLIENT_ALPNS, &ja3, ja4 };
	struct lp_piece_key key;
	enum lp_err err;

	lp_piece_unref(f->client);
	lp_piece_key_init(&key);
	key_number(&key, hello->version);
	lp_piece_key_add(&key, hello->suites);
	key_extensions(&key, hello->extensions);
	lp_piece_key_add(&key, hello->groups);
	lp_piece_key_add(&key, hello->point_formats);
	lp_piece_key_add(&key, hello->signatures);
	lp_piece_key_add(&key, hello->versions);
	lp_piece_key_add(&key, hello->sni);
	lp_piece_key_add(&key, hello->alpn);
	f->client = lp_common_find(common, LP_PIECE_CLIENT_HELLO, &key);
	if (f->client)
		return LP_OK;
	err = lp_ja3_client(&ja3, crypto, hello);
	if (!err)
		err = lp_ja4_client(ja4, crypto, hello);
	if (!err)
		f->client = words_new(common, LP_PIECE_CLIENT_HELLO, &key, &saying);
	lp_ja3_clear(&ja3);
	return f->client || err ? err : LP_E_NOMEM;
}

enum lp_err lp_facts_server_hello(struct lp_facts *f, struct lp_common *common,
				  const struct lp_crypto *crypto,
				  const struct lp_server_hello *hello)
{
	struct lp_ja3 ja3 = { NULL, "" };
	const struct saying saying = { { NULL, 0 }, hello->alpn, 1, &ja3, "" };
	struct lp_piece_key key;
	enum lp_err err;

	lp_piece_unref(f->server);
	lp_piece_key_init(&key);
	key_number(&key, hello->legacy_version);
	key_number(&key, hello->suite);
	key_extensions(&key, hello->extensions);
	lp_piece_key_add(&key, hello->alpn);
	f->server = lp_common_find(common, LP_PIECE_SERVER_HELLO, &key);
	if (f->server)
		return LP_OK;
	err = lp_ja3_server(&ja3, crypto, hello);
	if (!err)
		f->server = words_new(common, LP_PIECE_SERVER_HELLO, &key, &saying);
	lp_ja3_clear(&ja3);
	return f->server || err ? err : LP_E_NOMEM;
}

/* ---- certificates ---- */

static const char *put_fingerprint(struct pool *pool, const uint8_t *p, size_t n, bool colons)
{
	char text[3 * 64];
	size_t at = 0;

	for (size_t i = 0; i < n; i++) {
		if (colons && i)
			text[at++] = ':';
		lp_text_hex(text + at, p + i, 1);
		at += 2;
	}
	return put(pool, text);
}

static void fill_cert(struct lp_cert_info *info, struct pool *pool, const struct lp_cert *cert)
{
	*info = (struct lp_cert_info){
		.size = sizeof *info,
		.subject = put_known(pool, cert->subject),
		.issuer = put_known(pool, cert->issuer),
		.serial = put_known(pool, cert->serial),
		.not_before = put_known(pool, cert->not_before),
		.not_after = put_known(pool, cert->not_after),
		.sha1 = put_fingerprint(pool, cert->sha1, sizeof cert->sha1, true),
		.sha256 = put_fingerprint(pool, cert->sha256, sizeof cert->sha256, false),
	};
}

/* The certificate reader works with room for the worst; what is kept is as long as
 * it is. A certificate that does not parse still has its fingerprints. */
static enum lp_err read_cert(struct lp_peer_cert **out, struct lp_common *common,
			     const struct lp_piece_key *key, const struct lp_crypto *crypto,
			     lp_span der)
{
	struct pool pool = { NULL, 0 };
	struct lp_cert_info measure;
	struct lp_cert cert;
	struct lp_peer_cert *p;

	memset(&cert, 0, sizeof cert);
	if (lp_cert_read(&cert, crypto, der) == LP_E_NOMEM)
		return LP_E_NOMEM;
	if (!cert.has_text)
		cert.subject[0] = cert.issuer[0] = cert.serial[0] = cert.not_before[0] =
			cert.not_after[0] = '\0';
	fill_cert(&measure, &pool, &cert);
	p = lp_common_make(common, LP_PIECE_CERT, key, sizeof *p + pool.used);
	if (!p)
		return LP_E_NOMEM;
	pool = (struct pool){ p->text, 0 };
	fill_cert(&p->info, &pool, &cert);
	p->has_key = cert.has_key;
	p->key_kind = cert.key_kind;
	p->key_bits = cert.key_bits;
	memcpy(p->spki_sha256, cert.spki_sha256, sizeof p->spki_sha256);
	p->has_text = cert.has_text;
	*out = p;
	return LP_OK;
}

enum lp_err lp_facts_set_cert(struct lp_peer_cert **out, struct lp_common *common,
			      const struct lp_crypto *crypto, lp_span der)
{
	uint8_t sha256[LP_DIGEST_MAX];
	struct lp_piece_key key;
	enum lp_err err;

	lp_piece_unref(*out);
	*out = NULL;
	lp_piece_key_init(&key);
	if (common) {
		err = lp_digest_once(crypto, LP_SHA256, &der, 1, sha256);
		if (err)
			return err;
		lp_piece_key_add(&key, lp_span_of(sha256, lp_digest_size(LP_SHA256)));
		*out = lp_common_find(common, LP_PIECE_CERT, &key);
	}
	return *out ? LP_OK : read_cert(out, common, &key, crypto, der);
}

void lp_facts_set_ticket(struct lp_ticket_info *out, lp_span ticket, uint32_t lifetime)
{
	/* Not a secret seed: outputs are told the same in every run. */
	static const struct lp_hash_seed seed = { 0x6c696d706964, 5077 };

	*out = (struct lp_ticket_info){ .size = sizeof *out, .length = ticket.n };
	if (!ticket.n)
		return;
	memcpy(out->name, ticket.p, ticket.n < sizeof out->name ? ticket.n : sizeof out->name);
	out->id = lp_hash(&seed, ticket.p, ticket.n);
	out->lifetime = lifetime;
}

enum lp_err lp_bytes_set(struct lp_bytes *b, lp_span s)
{
	lp_bytes_clear(b);
	if (!s.n)
		return LP_OK;
	b->p = malloc(s.n);
	if (!b->p)
		return LP_E_NOMEM;
	memcpy(b->p, s.p, s.n);
	b->n = s.n;
	return LP_OK;
}

void lp_bytes_clear(struct lp_bytes *b)
{
	free(b->p);
	*b = (struct lp_bytes){ NULL, 0 };
}
