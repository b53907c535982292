#include "tls/snapshot.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "tls/group.h"
#include "tls/handshake.h"

/* Texts are put twice: with mem NULL to learn the size, then for good. */
struct pool {
	char *mem;
	size_t used;
};

static const char *put_n(struct pool *pool, const char *text, size_t n)
{
	char *at = pool->mem ? pool->mem + pool->used : NULL;

	if (at) {
		memcpy(at, text, n);
		at[n] = '\0';
	}
	pool->used += n + 1;
	return at;
}

/* Empty text is unknown, and unknown is NULL. */
static const char *put(struct pool *pool, const char *text)
{
	return text && *text ? put_n(pool, text, strlen(text)) : NULL;
}

/* Text of a constant table needs no copy. */
static const char *known(const char *text)
{
	return text && *text ? text : NULL;
}

static const char *put_hex(struct pool *pool, const uint8_t *p, size_t n, bool colons)
{
	char text[3 * 64];
	size_t at = 0;

	for (size_t i = 0; i < n; i++) {
		if (colons && i)
			text[at++] = ':';
		lp_text_hex(text + at, p + i, 1);
		at += 2;
	}
	return put_n(pool, text, at);
}

static const struct lp_cert_info *put_cert(struct pool *pool, struct lp_cert_info *out,
					   const struct lp_peer_cert *cert)
{
	if (!cert)
		return NULL;
	*out = (struct lp_cert_info){
		.size = sizeof *out,
		.subject = put(pool, cert->subject),
		.issuer = put(pool, cert->issuer),
		.serial = put(pool, cert->serial),
		.not_before = put(pool, cert->not_before),
		.not_after = put(pool, cert->not_after),
		.sha1 = put_hex(pool, cert->sha1, sizeof cert->sha1, true),
		.sha256 = put_hex(pool, cert->sha256, sizeof cert->sha256, false),
	};
	return out;
}

static const char *const *put_list(struct pool *pool, const char **out, size_t max, char **list)
{
	size_t n = 0;

	if (!list)
		return NULL;
	for (; list[n] && n < max; n++)
		out[n] = put_n(pool, list[n], strlen(list[n]));
	out[n] = NULL;
	return out;
}

static const struct lp_ticket_info *put_ticket(struct lp_ticket_info *out,
					       const struct lp_ticket_info *ticket)
{
	*out = *ticket;
	return ticket->length ? out : NULL;
}

static const char *group_text(uint32_t group, char hex[16])
{
	const char *name = lp_group_name(group);

	if (name || !group)
		return name;
	snprintf(hex, 16, "0x%04X", (unsigned)group);
	return hex;
}

/* RFC 3749 section 2. */
static const char *compression_text(uint8_t method, char other[16])
{
	if (method < 2)
		return method ? "deflate" : "none";
	snprintf(other, 16, "method %u", method);
	return other;
}

static void fill(struct lp_snapshot *s, struct pool *pool, const struct lp_facts *f,
		 const struct lp_snapshot_extra *extra)
{
	char group[16], method[16];
	const struct lp_suite *suite = f->version ? lp_suite_find(f->suite) : NULL;

	s->info = (struct lp_session_info){
		.size = sizeof s->info,
		.start_ns = extra->start_ns,
		.version = f->version,
		.suite = f->suite,
		.version_text = known(lp_version_text(f->version)),
		.suite_text = known(suite ? suite->name : NULL),
		.sni = put(pool, f->sni),
		.ems = f->ems,
		.etm = f->etm,
		.resumed = f->resumed,
		.client_cert = f->client_cert,
		.renegotiations = extra->renegotiations,
		.client_alpns = put_list(pool, s->client_alpns, LP_SNAPSHOT_ALPNS, f->client_alpns),
		.server_alpns = put_list(pool, s->server_alpns, 1, f->server_alpns),
		.ja3_string = put(pool, f->ja3.string),
		.ja3_hash = put(pool, f->ja3.hash),
		.ja3s_string = put(pool, f->ja3s.string),
		.ja3s_hash = put(pool, f->ja3s.hash),
		.ja4 = put(pool, f->ja4),
		.server_cert = put_cert(pool, &s->server_cert, f->server_cert),
		.client_cert_info = put_cert(pool, &s->client_cert, f->client_cert_info),
		.secret = put(pool, extra->secret),
		.epoch = extra->epoch,
		.group = f->group,
		.ticket = put_ticket(&s->ticket, &f->ticket),
		.new_ticket = put_ticket(&s->new_ticket, &f->new_ticket),
		.session_id = f->session_id_n ? s->session_id : NULL,
		.session_id_n = f->session_id_n,
		.group_text = put(pool, group_text(f->group, group)),
		.exchange_bits = f->exchange_bits,
		.compression = f->version ? f->compression : -1,
		.compression_text = f->version ? put(pool, compression_text(f->compression, method))
					       : NULL,
	};
	memcpy(s->session_id, f->session_id, sizeof s->session_id);
}

struct lp_snapshot *lp_snapshot_new(const struct lp_facts *facts,
				    const struct lp_snapshot_extra *extra)
{
	struct lp_snapshot measure;
	struct lp_snapshot *s;
	struct pool pool = { NULL, 0 };

	fill(&measure, &pool, facts, extra);
	s = calloc(1, sizeof *s + pool.used);
	if (!s)
		return NULL;
	pool = (struct pool){ s->text, 0 };
	fill(s, &pool, facts, extra);
	atomic_init(&s->refs, 1);
	return s;
}

struct lp_snapshot *lp_snapshot_ref(struct lp_snapshot *s)
{
	atomic_fetch_add_explicit(&s->refs, 1, memory_order_relaxed);
	return s;
}

void lp_snapshot_unref(struct lp_snapshot *s)
{
	if (s && atomic_fetch_sub_explicit(&s->refs, 1, memory_order_acq_rel) == 1)
		free(s);
}
