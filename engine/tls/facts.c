/* What a handshake leaves behind: strings and certificates on the heap. */
#define _POSIX_C_SOURCE 200809L
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/log.h"
#include "tls/handshake.h"

/* Names longer than DNS and RFC 7301 allow are cut; so are lists nobody sends. */
enum { NAME_MAX_RAW = 255, NAME_MAX_TEXT = NAME_MAX_RAW * 4 + 1, ALPN_NAMES = 32 };

void lp_facts_init(struct lp_facts *f)
{
	*f = (struct lp_facts){ .ems = -1, .etm = -1, .resumed = -1, .client_cert = -1 };
}

void lp_facts_clear(struct lp_facts *f)
{
	free(f->sni);
	free(f->client_alpns);
	free(f->server_alpns);
	lp_ja3_clear(&f->ja3);
	lp_ja3_clear(&f->ja3s);
	free(f->server_cert);
	free(f->client_cert_info);
	lp_facts_init(f);
}

static const char *escape(char text[NAME_MAX_TEXT], lp_span name)
{
	return lp_text_escape(text, NAME_MAX_TEXT, name.p,
			      name.n < NAME_MAX_RAW ? name.n : NAME_MAX_RAW);
}

enum lp_err lp_facts_set_name(char **out, lp_span name)
{
	char text[NAME_MAX_TEXT];

	free(*out);
	*out = NULL;
	if (!name.n)
		return LP_OK;
	*out = strdup(escape(text, name));
	return *out ? LP_OK : LP_E_NOMEM;
}

/* list: names with a length byte each, already known to be well formed. The result
 * is one block: the pointers, then the text. */
enum lp_err lp_facts_set_names(char ***out, lp_span list)
{
	char text[NAME_MAX_TEXT], *at;
	struct lp_cursor c = lp_cursor_span(list);
	size_t count = 0, size = 0;

	free(*out);
	*out = NULL;
	while (lp_cursor_left(&c) && count < ALPN_NAMES) {
		size += strlen(escape(text, lp_cursor_vec8(&c))) + 1;
		count++;
	}
	if (!count)
		return LP_OK;
	*out = malloc((count + 1) * sizeof **out + size);
	if (!*out)
		return LP_E_NOMEM;
	at = (char *)(*out + count + 1);
	c = lp_cursor_span(list);
	for (size_t i = 0; i < count; i++) {
		escape(text, lp_cursor_vec8(&c));
		size = strlen(text) + 1;
		(*out)[i] = memcpy(at, text, size);
		at += size;
	}
	(*out)[count] = NULL;
	return LP_OK;
}

static const char *put(char **at, const char *text, bool known)
{
	const char *start = *at;
	size_t n = known ? strlen(text) : 0;

	memcpy(*at, text, n);
	(*at)[n] = '\0';
	*at += n + 1;
	return start;
}

/* The certificate reader works with room for the worst; what is kept is as long as
 * it is. A certificate that does not parse still has its fingerprints. */
enum lp_err lp_facts_set_cert(struct lp_peer_cert **out, const struct lp_crypto *crypto,
			      lp_span der)
{
	struct lp_cert cert;
	struct lp_peer_cert *p;
	size_t size = 5;
	char *at;

	free(*out);
	*out = NULL;
	memset(&cert, 0, sizeof cert);
	if (lp_cert_read(&cert, crypto, der) == LP_E_NOMEM)
		return LP_E_NOMEM;
	if (cert.has_text)
		size += strlen(cert.subject) + strlen(cert.issuer) + strlen(cert.serial) +
			strlen(cert.not_before) + strlen(cert.not_after);
	p = malloc(sizeof *p + size);
	if (!p)
		return LP_E_NOMEM;
	p->has_key = cert.has_key;
	p->key_kind = cert.key_kind;
	p->key_bits = cert.key_bits;
	memcpy(p->spki_sha256, cert.spki_sha256, sizeof p->spki_sha256);
	memcpy(p->sha1, cert.sha1, sizeof p->sha1);
	memcpy(p->sha256, cert.sha256, sizeof p->sha256);
	p->has_text = cert.has_text;
	at = p->text;
	p->subject = put(&at, cert.subject, cert.has_text);
	p->issuer = put(&at, cert.issuer, cert.has_text);
	p->serial = put(&at, cert.serial, cert.has_text);
	p->not_before = put(&at, cert.not_before, cert.has_text);
	p->not_after = put(&at, cert.not_after, cert.has_text);
	*out = p;
	return LP_OK;
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
