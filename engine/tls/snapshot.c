#include "tls/snapshot.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tls/group.h"
#include "tls/handshake.h"

/* lp_ticket_info, without what all have. */
struct ticket {
	uint8_t name[16];
	uint64_t id;
	uint32_t length;
	uint32_t lifetime;
};

static size_t tail_size(const struct lp_snapshot *s)
{
	return ((size_t)s->ticket + s->new_ticket) * sizeof(struct ticket) + s->session_id_n;
}

static uint8_t *put_ticket(uint8_t *at, const struct lp_ticket_info *info)
{
	struct ticket t = {
		.id = info->id,
		.length = (uint32_t)info->length,
		.lifetime = info->lifetime,
	};

	if (!info->length)
		return at;
	memcpy(t.name, info->name, sizeof t.name);
	memcpy(at, &t, sizeof t);
	return at + sizeof t;
}

static const struct lp_ticket_info *get_ticket(const uint8_t **at, bool there,
					       struct lp_ticket_info *out)
{
	struct ticket t;

	if (!there)
		return NULL;
	memcpy(&t, *at, sizeof t);
	*at += sizeof t;
	*out = (struct lp_ticket_info){
		.size = sizeof *out,
		.length = t.length,
		.id = t.id,
		.lifetime = t.lifetime,
	};
	memcpy(out->name, t.name, sizeof out->name);
	return out;
}

/* A copy of *like, which holds references of its own. */
static struct lp_snapshot *copy(const struct lp_snapshot *like)
{
	struct lp_snapshot *s = malloc(sizeof *s + tail_size(like));

	if (!s)
		return NULL;
	memcpy(s, like, sizeof *s);
	atomic_init(&s->refs, 1);
	(void)lp_piece_ref(s->extra.secret);
	(void)lp_piece_ref(s->client);
	(void)lp_piece_ref(s->server);
	(void)lp_piece_ref(s->server_cert);
	(void)lp_piece_ref(s->client_cert_info);
	return s;
}

static bool same_extra(const struct lp_snapshot_extra *a, const struct lp_snapshot_extra *b)
{
	return a->start_ns == b->start_ns && a->renegotiations == b->renegotiations &&
	       a->epoch == b->epoch && a->secret == b->secret;
}

static bool same(const struct lp_snapshot *s, const uint8_t *tail, const struct lp_snapshot *other)
{
	return s->version == other->version && s->suite == other->suite &&
	       same_extra(&s->extra, &other->extra) && s->client == other->client &&
	       s->server == other->server && s->server_cert == other->server_cert &&
	       s->client_cert_info == other->client_cert_info && s->group == other->group &&
	       s->exchange_bits == other->exchange_bits && s->ems == other->ems &&
	       s->etm == other->etm && s->resumed == other->resumed &&
	       s->client_cert == other->client_cert && s->compression == other->compression &&
	       s->ticket == other->ticket && s->new_ticket == other->new_ticket &&
	       s->session_id_n == other->session_id_n &&
	       !memcmp(tail, other->tail, tail_size(s));
}

struct lp_snapshot *lp_snapshot_new(const struct lp_facts *f, const struct lp_snapshot_extra *extra,
				    struct lp_snapshot *like)
{
	const struct lp_snapshot is = {
		.version = f->version,
		.suite = f->suite,
		.extra = *extra,
		.client = f->client,
		.server = f->server,
		.server_cert = f->server_cert,
		.client_cert_info = f->client_cert_info,
		.group = f->group,
		.exchange_bits = f->exchange_bits,
		.ems = f->ems,
		.etm = f->etm,
		.resumed = f->resumed,
		.client_cert = f->client_cert,
		.compression = f->compression,
		.ticket = f->ticket.length > 0,
		.new_ticket = f->new_ticket.length > 0,
		.session_id_n = f->session_id_n,
	};
	uint8_t tail[2 * sizeof(struct ticket) + sizeof f->session_id], *at;
	struct lp_snapshot *s;

	at = put_ticket(tail, &f->ticket);
	at = put_ticket(at, &f->new_ticket);
	memcpy(at, f->session_id, f->session_id_n);
	if (like && same(&is, tail, like))
		return lp_snapshot_ref(like);
	s = copy(&is);
	if (s)
		memcpy(s->tail, tail, tail_size(s));
	return s;
}

struct lp_snapshot *lp_snapshot_with(struct lp_snapshot *s, const struct lp_snapshot_extra *extra)
{
	struct lp_snapshot *other;

	if (same_extra(&s->extra, extra))
		return lp_snapshot_ref(s);
	other = copy(s);
	if (!other)
		return NULL;
	lp_piece_unref(other->extra.secret);
	other->extra = *extra;
	(void)lp_piece_ref(other->extra.secret);
	memcpy(other->tail, s->tail, tail_size(s));
	return other;
}

struct lp_snapshot *lp_snapshot_ref(struct lp_snapshot *s)
{
	atomic_fetch_add_explicit(&s->refs, 1, memory_order_relaxed);
	return s;
}

void lp_snapshot_unref(struct lp_snapshot *s)
{
	if (!s || atomic_fetch_sub_explicit(&s->refs, 1, memory_order_acq_rel) != 1)
		return;
	lp_piece_unref(s->extra.secret);
	lp_piece_unref(s->client);
	lp_piece_unref(s->server);
	lp_piece_unref(s->server_cert);
	lp_piece_unref(s->client_cert_info);
	free(s);
}

/* Text of a constant table. */
static const char *known(const char *text)
{
	return text && *text ? text : NULL;
}

static const char *group_text(uint32_t group, char hex[12])
{
	const char *name = known(lp_group_name(group));

	if (name || !group)
		return name;
	snprintf(hex, 12, "0x%04X", (unsigned)group);
	return hex;
}

/* RFC 3749 section 2. */
static const char *compression_text(uint8_t method, char other[12])
{
	if (method < 2)
		return method ? "deflate" : "none";
	snprintf(other, 12, "method %u", method);
	return other;
}

void lp_snapshot_view(const struct lp_snapshot *s, struct lp_session_view *out)
{
	static const struct lp_words silent;
	const struct lp_words *client = s->client ? s->client : &silent;
	const struct lp_words *server = s->server ? s->server : &silent;
	const struct lp_suite *suite = s->version ? lp_suite_find(s->suite) : NULL;
	const uint8_t *at = s->tail;

	out->info = (struct lp_session_info){
		.size = sizeof out->info,
		.start_ns = s->extra.start_ns,
		.version = s->version,
		.suite = s->suite,
		.version_text = known(lp_version_text(s->version)),
		.suite_text = known(suite ? suite->name : NULL),
		.sni = client->sni,
		.ems = s->ems,
		.etm = s->etm,
		.resumed = s->resumed,
		.client_cert = s->client_cert,
		.renegotiations = s->extra.renegotiations,
		.client_alpns = client->alpns,
		.server_alpns = server->alpns,
		.ja3_string = client->ja3,
		.ja3_hash = client->ja3_hash,
		.ja3s_string = server->ja3,
		.ja3s_hash = server->ja3_hash,
		.ja4 = client->ja4,
		.server_cert = s->server_cert ? &s->server_cert->info : NULL,
		.client_cert_info = s->client_cert_info ? &s->client_cert_info->info : NULL,
		.secret = s->extra.secret ? known(s->extra.secret->text) : NULL,
		.epoch = s->extra.epoch,
		.group = s->group,
		.ticket = get_ticket(&at, s->ticket, &out->ticket),
		.new_ticket = get_ticket(&at, s->new_ticket, &out->new_ticket),
		.session_id_n = s->session_id_n,
		.group_text = group_text(s->group, out->group),
		.exchange_bits = s->exchange_bits,
		.compression = s->version ? s->compression : -1,
		.compression_text = s->version ? compression_text(s->compression, out->compression)
					       : NULL,
	};
	out->info.session_id = s->session_id_n ? at : NULL;
}
