/* The audit, an object on one line. */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "plugins/audit_report.h"
#include "plugins/session_json.h"

static void number(json_t *o, const char *key, uint64_t n, int *bad)
{
	lp_session_json_set(o, key, json_integer((json_int_t)n), bad);
}

static void text(json_t *o, const char *key, const char *value, int *bad)
{
	lp_session_json_set(o, key, json_string(value), bad);
}

static void when(json_t *o, const char *key, uint64_t ns, int *bad)
{
	char out[LP_CLOCK_TEXT];

	lp_clock_text(out, ns);
	text(o, key, out, bad);
}

static void seconds(json_t *o, const char *key, uint64_t ns, int *bad)
{
	lp_session_json_set(o, key, json_real((double)(ns / LP_NS_PER_MS) / 1000), bad);
}

static void append(json_t *array, json_t *value, int *bad)
{
	if (!value || json_array_append_new(array, value))
		*bad = 1;
}

static json_t *key_value(const struct lp_ledger_key *k, size_t bytes)
{
	json_t *o = json_object();
	char name[2 * LP_LEDGER_NAME + 1];
	int bad = !o;

	text(o, "name", lp_text_hex(name, k->name, bytes), &bad);
	number(o, "issued", k->issued, &bad);
	number(o, "accepted", k->accepted, &bad);
	number(o, "refused", k->refused, &bad);
	when(o, "first", k->first_ns, &bad);
	when(o, "last", k->last_ns, &bad);
	seconds(o, "age", k->last_ns - k->first_ns, &bad);
	seconds(o, "issued_for", k->last_issue_ns - k->first_issue_ns, &bad);
	return lp_session_json_done(o, bad);
}

static json_t *keys_value(const struct lp_ledger_server *s)
{
	size_t bytes;
	const struct lp_ledger_names *names = lp_ledger_names(s, &bytes);
	json_t *a = json_array();
	int bad = !a;

	for (size_t i = 0; names && i < names->n; i++)
		append(a, key_value(&names->key[i], bytes), &bad);
	return lp_session_json_done(a, bad);
}

static json_t *exchange_value(const struct lp_ledger_server *s)
{
	static const char *const name[LP_BY_COUNT] = {
		"rsa", "ephemeral", "static_dh", "psk", "other",
	};
	json_t *o = json_object();
	int bad = !o;

	for (int i = 0; i < LP_BY_COUNT; i++)
		number(o, name[i], s->full[i], &bad);
	number(o, "tls13", s->tls13, &bad);
	return lp_session_json_done(o, bad);
}

static json_t *resumed_value(const struct lp_ledger_server *s)
{
	json_t *o = json_object();
	int bad = !o;

	number(o, "id", s->by_id, &bad);
	number(o, "ticket", s->by_ticket, &bad);
	number(o, "unknown", s->unknown, &bad);
	number(o, "followed", s->followed, &bad);
	number(o, "older_than_capture", s->older, &bad);
	seconds(o, "longest", s->longest_ns, &bad);
	lp_session_json_set(o, "longest_is_at_least", json_boolean(s->longest_open), &bad);
	return lp_session_json_done(o, bad);
}

static int add_code(void *user, const char *code, const char *sentence)
{
	json_t *o = json_object();
	int bad = !o;

	text(o, "code", code, &bad);
	text(o, "text", sentence, &bad);
	append(user, lp_session_json_done(o, bad), &bad);
	return bad ? -1 : 0;
}

static json_t *server_value(const struct lp_findings *f, const struct lp_ledger_server *s)
{
	json_t *o = json_object();
	json_t *advice = json_array();
	uint64_t longest;
	enum lp_rotation r = lp_findings_rotation(s, &longest);
	int bad = !o || !advice;

	text(o, "server", s->text, &bad);
	if (*s->sni)
		text(o, "sni", s->sni, &bad);
	number(o, "sessions", s->sessions, &bad);
	when(o, "first", s->first_ns, &bad);
	when(o, "last", s->last_ns, &bad);
	lp_session_json_set(o, "key_exchange", exchange_value(s), &bad);
	number(o, "ems", s->ems, &bad);
	number(o, "no_ems", s->no_ems, &bad);
	lp_session_json_set(o, "resumed", resumed_value(s), &bad);
	number(o, "tickets_issued", s->tickets, &bad);
	number(o, "ticket_lifetime_hint", s->lifetime_hint, &bad);
	lp_session_json_set(o, "ticket_keys", keys_value(s), &bad);
	text(o, "rotation", lp_findings_rotation_code(r), &bad);
	seconds(o, "longest_key_use", longest, &bad);
	if (!bad && lp_findings_advise(f, s, add_code, advice))
		bad = 1;
	lp_session_json_set(o, "advice", advice, &bad);
	return lp_session_json_done(o, bad);
}

static json_t *shared_value(const struct lp_findings *f, const struct lp_shared_key *k)
{
	json_t *o = json_object();
	json_t *servers = json_array();
	char name[2 * LP_LEDGER_NAME + 1];
	int bad = !o || !servers;

	text(o, "name", lp_text_hex(name, k->name, LP_LEDGER_NAME), &bad);
	for (size_t i = 0; i < k->servers; i++)
		append(servers, json_string(f->users[k->first + i]->text), &bad);
	lp_session_json_set(o, "servers", servers, &bad);
	return lp_session_json_done(o, bad);
}

static json_t *audit_value(const struct lp_ledger *l, const struct lp_findings *f)
{
	const struct lp_ledger_totals *t = lp_ledger_totals(l);
	size_t n;
	const struct lp_ledger_server *const *s = lp_ledger_servers(l, &n);
	json_t *o = json_object(), *servers = json_array(), *shared = json_array();
	int bad = !o || !servers || !shared;

	for (size_t i = 0; i < n; i++)
		append(servers, server_value(f, s[i]), &bad);
	for (size_t i = 0; i < f->shared_n; i++)
		append(shared, shared_value(f, &f->shared[i]), &bad);
	text(o, "event_type", "audit", &bad);
	if (t->sessions) {
		when(o, "first", t->first_ns, &bad);
		when(o, "last", t->last_ns, &bad);
	}
	number(o, "sessions", t->sessions, &bad);
	number(o, "unanswered", t->unanswered, &bad);
	number(o, "over_servers", t->over_servers, &bad);
	number(o, "forgotten", t->forgotten, &bad);
	lp_session_json_set(o, "servers", servers, &bad);
	lp_session_json_set(o, "shared_ticket_keys", shared, &bad);
	return lp_session_json_done(o, bad);
}

int lp_audit_json(struct lp_sink *out, const struct lp_ledger *l, const struct lp_findings *f)
{
	json_t *value = audit_value(l, f);
	char *dump = value ? json_dumps(value, JSON_COMPACT) : NULL;
	int bad;

	json_decref(value);
	if (!dump) {
		out->host->log(out->host, "out of memory");
		return -1;
	}
	bad = lp_sink_write(out, dump, strlen(dump)) || lp_sink_write(out, "\n", 1) ||
	      lp_sink_line(out);
	free(dump);
	return bad ? -1 : 0;
}
