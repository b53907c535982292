#include "plugins/ledger.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"

/* Since when a session ID or a ticket stands for a secret. */
struct origin {
	uint64_t id;
	uint64_t since_ns;
	uint32_t chain;       /* index + 1 */
	bool older;           /* it began before that: resumed when first seen */
};

struct lp_ledger {
	struct lp_ledger_config config;
	struct lp_ledger_totals totals;
	struct lp_ledger_server **server;
	size_t servers, room;
	struct lp_ledger_server **slot;
	struct origin *origin;    /* a ring: the oldest goes */
	uint32_t *origin_slot;    /* index + 1; 0: empty */
	size_t origins, at;       /* in use; the next to be filled */
	size_t slots, origin_slots;
};

/* Addresses, ports and tickets are others' choice, but the worst that a bad choice does
 * is a slow audit, and the report must be the same in every run. */
static const struct lp_hash_seed seed = { 0x6c6564676572, 0x61756469742121 };

static size_t power_above(size_t n)
{
	size_t p = 1;

	while (p < n)
		p *= 2;
	return p;
}

struct lp_ledger *lp_ledger_new(const struct lp_ledger_config *config)
{
	struct lp_ledger *l = calloc(1, sizeof *l);

	if (!l)
		return NULL;
	l->config = *config;
	l->slots = power_above(config->servers);
	l->origin_slots = power_above(config->sessions);
	l->slot = calloc(l->slots, sizeof *l->slot);
	l->origin = calloc(config->sessions, sizeof *l->origin);
	l->origin_slot = calloc(l->origin_slots, sizeof *l->origin_slot);
	if (l->slot && l->origin && l->origin_slot)
		return l;
	lp_ledger_free(l);
	return NULL;
}

void lp_ledger_free(struct lp_ledger *l)
{
	if (!l)
		return;
	for (size_t i = 0; i < l->servers; i++) {
		free(l->server[i]->names.key);
		free(l->server[i]->shorts.key);
		free(l->server[i]);
	}
	free(l->server);
	free(l->slot);
	free(l->origin);
	free(l->origin_slot);
	free(l);
}

/* ---- servers ---- */

static struct lp_ledger_server *new_server(struct lp_ledger *l, const struct lp_flow_info *flow,
					   struct lp_ledger_server **slot)
{
	struct lp_ledger_server *s;

	if (l->servers == l->room) {
		size_t room = l->room ? 2 * l->room : 16;
		void *p = realloc(l->server, room * sizeof(struct lp_ledger_server *));

		if (!p)
			return NULL;
		l->server = p;
		l->room = room;
	}
	s = calloc(1, sizeof *s);
	if (!s)
		return NULL;
	memcpy(s->address, flow->server_addr, sizeof s->address);
	s->port = flow->server_port;
	s->family = flow->family;
	lp_label_endpoint(s->text, flow, LP_S2C);
	s->chain = *slot;
	*slot = s;
	l->server[l->servers++] = s;
	return s;
}

/* *full: there is no room for another. NULL without it: out of memory. */
static struct lp_ledger_server *server_of(struct lp_ledger *l, const struct lp_flow_info *flow,
					  bool *full)
{
	uint8_t name[16 + 3] = { 0 };
	struct lp_ledger_server **slot;

	memcpy(name, flow->server_addr, 16);
	name[16] = (uint8_t)(flow->server_port >> 8);
	name[17] = (uint8_t)flow->server_port;
	name[18] = (uint8_t)flow->family;
	slot = &l->slot[lp_hash(&seed, name, sizeof name) & (l->slots - 1)];
	for (struct lp_ledger_server *s = *slot; s; s = s->chain)
		if (s->port == flow->server_port && s->family == flow->family &&
		    !memcmp(s->address, flow->server_addr, sizeof s->address))
			return s;
	*full = l->servers >= l->config.servers;
	return *full ? NULL : new_server(l, flow, slot);
}

/* ---- where a secret began ---- */

static uint32_t *origin_slot(const struct lp_ledger *l, uint64_t id)
{
	return &l->origin_slot[id & (l->origin_slots - 1)];
}

static struct origin *origin_find(const struct lp_ledger *l, uint64_t id)
{
	for (uint32_t i = *origin_slot(l, id); i; i = l->origin[i - 1].chain)
		if (l->origin[i - 1].id == id)
			return &l->origin[i - 1];
	return NULL;
}

static void origin_drop(struct lp_ledger *l, size_t index)
{
	uint32_t *at = origin_slot(l, l->origin[index].id);

	while (*at != index + 1)
		at = &l->origin[*at - 1].chain;
	*at = l->origin[index].chain;
}

static void origin_add(struct lp_ledger *l, uint64_t id, uint64_t since_ns, bool older)
{
	struct origin *o = origin_find(l, id);
	uint32_t *slot;

	if (o) /* the first time counts */
		return;
	if (l->origins == l->config.sessions) {
		origin_drop(l, l->at);
		l->totals.forgotten++;
	} else {
		l->origins++;
	}
	slot = origin_slot(l, id);
	l->origin[l->at] = (struct origin){ id, since_ns, *slot, older };
	*slot = (uint32_t)l->at + 1;
	l->at = (l->at + 1) % l->config.sessions;
}

static uint64_t session_id(const struct lp_session_info *tls)
{
	return lp_hash(&seed, tls->session_id, tls->session_id_n);
}

static void follow(struct lp_ledger *l, struct lp_ledger_server *s,
		   const struct lp_session_info *tls)
{
	uint64_t since = tls->start_ns;
	bool older = false;

	if (tls->resumed > LP_RESUMED_NO) {
		uint64_t id = tls->resumed == LP_RESUMED_TICKET && tls->ticket ? tls->ticket->id
									       : session_id(tls);
		const struct origin *o = origin_find(l, id);
		uint64_t ns = o && tls->start_ns > o->since_ns ? tls->start_ns - o->since_ns : 0;

		older = !o || o->older;
		since = o ? o->since_ns : since;
		*(older ? &s->older : &s->followed) += 1;
		if (ns > s->longest_ns) {
			s->longest_ns = ns;
			s->longest_open = older;
		}
		if (!o)
			origin_add(l, id, since, true);
	} else if (tls->session_id_n && tls->resumed == LP_RESUMED_NO) {
		origin_add(l, session_id(tls), since, false);
	}
	if (tls->new_ticket)
		origin_add(l, tls->new_ticket->id, since, older);
}

/* ---- the names of ticket keys ---- */

enum use { ISSUED, ACCEPTED, REFUSED };

static struct lp_ledger_key *key_of(struct lp_ledger_names *names, const uint8_t *name, size_t n,
				    bool add, int *bad)
{
	for (size_t i = names->n; i-- > 0;)
		if (!memcmp(names->key[i].name, name, n))
			return &names->key[i];
	if (!add)
		return NULL;
	if (names->n == LP_LEDGER_KEYS) {
		names->over++;
		return NULL;
	}
	if (names->n == names->room) {
		size_t room = names->room ? 2 * names->room : 4;
		void *p = realloc(names->key, room * sizeof *names->key);

		if (!p) {
			*bad = -1;
			return NULL;
		}
		names->key = p;
		names->room = room;
	}
	names->key[names->n] = (struct lp_ledger_key){ .issued = 0 };
	memcpy(names->key[names->n].name, name, n);
	return &names->key[names->n++];
}

static int note_key(struct lp_ledger_names *names, const struct lp_ticket_info *ticket, size_t n,
		    enum use use, uint64_t ns)
{
	int bad = 0;
	struct lp_ledger_key *k = key_of(names, ticket->name, n, use != REFUSED, &bad);

	if (!k) /* what a client invents makes no key */
		return bad;
	if (use == REFUSED) {
		k->refused++;
		return 0;
	}
	*(use == ISSUED ? &k->issued : &k->accepted) += 1;
	if (!k->first_ns || ns < k->first_ns)
		k->first_ns = ns;
	if (ns > k->last_ns)
		k->last_ns = ns;
	if (use == ISSUED) {
		if (!k->first_issue_ns || ns < k->first_issue_ns)
			k->first_issue_ns = ns;
		if (ns > k->last_issue_ns)
			k->last_issue_ns = ns;
	}
	return 0;
}

static int note_ticket(struct lp_ledger_server *s, const struct lp_ticket_info *ticket,
		       enum use use, uint64_t ns)
{
	if (note_key(&s->names, ticket, LP_LEDGER_NAME, use, ns))
		return -1;
	return note_key(&s->shorts, ticket, LP_LEDGER_SHORT, use, ns);
}

static int note_tickets(struct lp_ledger_server *s, const struct lp_session_info *tls)
{
	const uint64_t ns = tls->start_ns;

	if (tls->ticket && tls->resumed >= LP_RESUMED_NO &&
	    note_ticket(s, tls->ticket, tls->resumed == LP_RESUMED_TICKET ? ACCEPTED : REFUSED, ns))
		return -1;
	if (!tls->new_ticket)
		return 0;
	s->tickets++;
	if (!s->issue_first_ns || ns < s->issue_first_ns)
		s->issue_first_ns = ns;
	if (ns > s->issue_last_ns)
		s->issue_last_ns = ns;
	if (tls->new_ticket->lifetime > s->lifetime_hint)
		s->lifetime_hint = tls->new_ticket->lifetime;
	return note_ticket(s, tls->new_ticket, ISSUED, ns);
}

/* Tickets that never begin alike have an IV there, or what happened to be in memory. */
static bool tells_something(const struct lp_ledger_names *names, uint64_t tickets)
{
	uint64_t different = names->n + names->over;

	return names->n && (tickets < 4 || 10 * different < 9 * tickets);
}

const struct lp_ledger_names *lp_ledger_names(const struct lp_ledger_server *s, size_t *bytes)
{
	uint64_t tickets = s->tickets < 4 ? s->by_ticket : s->tickets;

	*bytes = LP_LEDGER_NAME;
	if (tells_something(&s->names, tickets))
		return &s->names;
	*bytes = LP_LEDGER_SHORT;
	return tells_something(&s->shorts, tickets) ? &s->shorts : NULL;
}

/* ---- sessions ---- */

static enum lp_ledger_kx kx_of(const char *suite)
{
	static const struct {
		const char *begin;
		enum lp_ledger_kx kx;
	} kinds[] = {
		{ "TLS_ECDHE_", LP_BY_EPHEMERAL },    { "TLS_DHE_", LP_BY_EPHEMERAL },
		{ "TLS_ECDH_anon_", LP_BY_EPHEMERAL }, { "TLS_DH_anon_", LP_BY_EPHEMERAL },
		{ "TLS_ECDH_", LP_BY_STATIC_DH },     { "TLS_DH_", LP_BY_STATIC_DH },
		{ "TLS_RSA_PSK_", LP_BY_PSK },        { "TLS_PSK_", LP_BY_PSK },
		{ "TLS_RSA_", LP_BY_RSA },
	};

	for (size_t i = 0; suite && i < sizeof kinds / sizeof kinds[0]; i++)
		if (!strncmp(suite, kinds[i].begin, strlen(kinds[i].begin)))
			return kinds[i].kx;
	return LP_BY_OTHER;
}

static void count(struct lp_ledger_server *s, const struct lp_session_info *tls)
{
	s->sessions++;
	if (!s->first_ns || tls->start_ns < s->first_ns)
		s->first_ns = tls->start_ns;
	if (tls->start_ns > s->last_ns)
		s->last_ns = tls->start_ns;
	if (tls->sni)
		lp_label_plain(s->sni, sizeof s->sni, tls->sni);
	if (tls->version >= 0x0304) {
		s->tls13++;
		return;
	}
	if (tls->ems >= 0)
		*(tls->ems ? &s->ems : &s->no_ems) += 1;
	switch (tls->resumed) {
	case LP_RESUMED_ID:
		s->by_id++;
		break;
	case LP_RESUMED_TICKET:
		s->by_ticket++;
		break;
	case LP_RESUMED_NO:
		s->full[kx_of(tls->suite_text)]++;
		break;
	default:
		s->unknown++;
		break;
	}
}

int lp_ledger_add(struct lp_ledger *l, const struct lp_flow_info *flow,
		  const struct lp_session_info *tls)
{
	struct lp_ledger_totals *t = &l->totals;
	struct lp_ledger_server *s;
	bool full = false;

	t->sessions++;
	if (!t->first_ns || tls->start_ns < t->first_ns)
		t->first_ns = tls->start_ns;
	if (tls->start_ns > t->last_ns)
		t->last_ns = tls->start_ns;
	if (!tls->version || !tls->suite) {
		t->unanswered++;
		return 0;
	}
	s = server_of(l, flow, &full);
	if (!s) {
		t->over_servers += full;
		return full ? 0 : -1;
	}
	count(s, tls);
	if (tls->version >= 0x0304)
		return 0;
	follow(l, s, tls);
	return note_tickets(s, tls);
}

const struct lp_ledger_server *const *lp_ledger_servers(const struct lp_ledger *l, size_t *n)
{
	*n = l->servers;
	return (const struct lp_ledger_server *const *)l->server;
}

const struct lp_ledger_totals *lp_ledger_totals(const struct lp_ledger *l)
{
	return &l->totals;
}
