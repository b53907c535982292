/* plugins/audit.c, ledger.c, findings.c and what they print. */
#include <check.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "help_plugin.h"
#include "plugins/ledger.h"
#include "plugins/plugins.h"

#define HOUR_NS (3600 * LP_NS_PER_S)

static struct help_plugin h;
static unsigned flows;

static void begin(void)
{
	help_plugin_init(&h, &lp_plugin_audit);
	flows = 0;
}

static void end(void)
{
	help_plugin_clear(&h);
}

/* A ticket: the key's name, then what makes it different from others. */
static struct lp_ticket_info ticket(const char *name, uint64_t id)
{
	struct lp_ticket_info t = { .size = sizeof t, .length = 176, .id = id, .lifetime = 300 };

	memset(t.name, 0, sizeof t.name);
	memcpy(t.name, name, strlen(name) < 16 ? strlen(name) : 16);
	return t;
}

struct wish {
	uint16_t port;
	uint64_t ns;
	const char *suite;
	int resumed;
	const struct lp_ticket_info *old, *new;
	const char *id;
	int no_ems;
	uint16_t version;
};

static void session(const struct wish *w)
{
	struct help_flow f;
	struct help_session s;

	ck_assert_int_eq(help_flow_begin(&f, &h, 4, flows++ % 20000), 0);
	f.info.server_port = w->port;
	ck_assert_int_eq(help_session_begin(&s, &f), 0);
	s.tls.start_ns = w->ns;
	s.tls.version = w->version ? w->version : 0x0303;
	s.tls.suite_text = w->suite ? w->suite : "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256";
	s.tls.resumed = w->resumed;
	s.tls.ems = !w->no_ems;
	s.tls.ticket = w->old;
	s.tls.new_ticket = w->new;
	s.tls.session_id = (const uint8_t *)w->id;
	s.tls.session_id_n = w->id ? strlen(w->id) : 0;
	ck_assert_int_eq(help_session_end(&s, LP_OPAQUE, "forward-secret"), 0);
	ck_assert_int_eq(help_flow_end(&f, LP_END_FIN, LP_END_FIN), 0);
}

static void open_json(const char *options)
{
	ck_assert_int_eq(help_plugin_open(&h, "a.json", options), 0);
}

static json_t *report(void)
{
	char *text;
	json_t *o;
	size_t n;

	ck_assert_int_eq(help_plugin_close(&h, NULL), 0);
	text = help_plugin_read(&h, "a.json", &n);
	ck_assert_ptr_nonnull(text);
	o = json_loads(text, 0, NULL);
	ck_assert_ptr_nonnull(o);
	free(text);
	return o;
}

static json_t *server_at(json_t *o, size_t i)
{
	return json_array_get(json_object_get(o, "servers"), i);
}

static json_int_t number(const json_t *o, const char *key)
{
	const json_t *v = json_object_get(o, key);

	ck_assert_msg(json_is_integer(v), "%s", key);
	return json_integer_value(v);
}

static const char *text(const json_t *o, const char *key)
{
	const char *t = json_string_value(json_object_get(o, key));

	ck_assert_msg(t != NULL, "%s", key);
	return t;
}

static int advised(const json_t *server, const char *code)
{
	json_t *advice = json_object_get(server, "advice"), *a;
	size_t i;

	json_array_foreach(advice, i, a)
		if (!strcmp(text(a, "code"), code))
			return 1;
	return 0;
}

START_TEST(shares)
{
	json_t *o, *s, *kx, *r;

	open_json(NULL);
	session(&(struct wish){ .port = 443, .ns = 1, .suite = "TLS_RSA_WITH_AES_128_CBC_SHA", .id = "a" });
	session(&(struct wish){ .port = 443, .ns = 2, .suite = "TLS_DHE_RSA_WITH_AES_128_CBC_SHA", .no_ems = 1 });
	session(&(struct wish){ .port = 443, .ns = 3, .suite = "TLS_ECDH_anon_WITH_AES_128_CBC_SHA" });
	session(&(struct wish){ .port = 443, .ns = 4, .suite = "TLS_ECDH_RSA_WITH_AES_128_CBC_SHA" });
	session(&(struct wish){ .port = 443, .ns = 5, .suite = "TLS_RSA_PSK_WITH_AES_128_CBC_SHA" });
	session(&(struct wish){ .port = 443, .ns = 6, .suite = "TLS_SRP_SHA_WITH_AES_128_CBC_SHA" });
	session(&(struct wish){ .port = 443, .ns = 7, .version = 0x0304, .resumed = -1, .suite = "TLS_AES_128_GCM_SHA256" });
	session(&(struct wish){ .port = 443, .ns = 8, .resumed = LP_RESUMED_ID, .id = "a" });
	session(&(struct wish){ .port = 443, .ns = 9, .resumed = -1 });
	session(&(struct wish){ .port = 444, .ns = 9 });
	o = report();
	ck_assert_int_eq(number(o, "sessions"), 10);
	s = server_at(o, 0);
	ck_assert_str_eq(text(s, "server"), "192.0.2.2:443");
	ck_assert_str_eq(text(s, "sni"), "www.example.org");
	ck_assert_int_eq(number(s, "sessions"), 9);
	kx = json_object_get(s, "key_exchange");
	ck_assert_int_eq(number(kx, "rsa"), 1);
	ck_assert_int_eq(number(kx, "ephemeral"), 2);
	ck_assert_int_eq(number(kx, "static_dh"), 1);
	ck_assert_int_eq(number(kx, "psk"), 1);
	ck_assert_int_eq(number(kx, "other"), 1);
	ck_assert_int_eq(number(kx, "tls13"), 1);
	ck_assert_int_eq(number(s, "ems"), 7);
	ck_assert_int_eq(number(s, "no_ems"), 1);
	r = json_object_get(s, "resumed");
	ck_assert_int_eq(number(r, "id"), 1);
	ck_assert_int_eq(number(r, "unknown"), 1);
	ck_assert_int_eq(number(r, "followed"), 1);
	ck_assert(advised(s, "rsa-key-exchange"));
	ck_assert(advised(s, "static-key-exchange"));
	ck_assert(advised(s, "extended-master-secret"));
	ck_assert(!advised(s, "ticket-key-rotation"));
	ck_assert_str_eq(text(s, "rotation"), "no-tickets");
	ck_assert_uint_eq(json_array_size(json_object_get(server_at(o, 1), "advice")), 0);
	json_decref(o);
}
END_TEST

/* issue tickets under a key: n of them from an hour, one each hour. */
static void issue(uint16_t port, const char *key, unsigned from, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		struct lp_ticket_info t = ticket(key, port * 100000ULL + from + i);

		session(&(struct wish){ .port = port, .ns = (1000 + from + i) * HOUR_NS, .new = &t });
	}
}

static const struct {
	const char *expect;
	struct {
		const char *key;
		unsigned from, n;
	} use[3];
	int rotate, unchanged;
} rotations[] = {
	{ "too-short", { { "one", 0, 20 } }, 0, 1 },
	{ "never", { { "one", 0, 30 } }, 1, 0 },
	{ "daily", { { "one", 0, 20 }, { "two", 20, 24 }, { "three", 44, 5 } }, 0, 0 },
	{ "slower-than-daily", { { "one", 0, 20 }, { "two", 20, 40 } }, 1, 0 },
	/* two machines behind one address, neither changes */
	{ "too-short", { { "one", 0, 20 }, { "two", 1, 20 } }, 0, 1 },
};

START_TEST(rotation)
{
	json_t *o, *s;

	open_json(NULL);
	for (int i = 0; i < 3; i++)
		if (rotations[_i].use[i].key)
			issue(443, rotations[_i].use[i].key, rotations[_i].use[i].from,
			      rotations[_i].use[i].n);
	o = report();
	s = server_at(o, 0);
	ck_assert_str_eq(text(s, "rotation"), rotations[_i].expect);
	ck_assert_int_eq(advised(s, "ticket-key-rotation"), rotations[_i].rotate);
	ck_assert_int_eq(advised(s, "ticket-key-unchanged"), rotations[_i].unchanged);
	json_decref(o);
}
END_TEST

START_TEST(keys_that_are_shared)
{
	json_t *o, *shared, *k;

	open_json(NULL);
	issue(443, "mine", 0, 5);
	issue(444, "ours", 0, 5);
	issue(445, "ours", 7, 5);
	issue(446, "other", 0, 5);
	issue(446, "ours", 9, 1);
	o = report();
	shared = json_object_get(o, "shared_ticket_keys");
	ck_assert_uint_eq(json_array_size(shared), 1);
	k = json_array_get(shared, 0);
	ck_assert_str_eq(text(k, "name"), "6f757273000000000000000000000000");
	ck_assert_uint_eq(json_array_size(json_object_get(k, "servers")), 3);
	ck_assert(!advised(server_at(o, 0), "ticket-key-shared"));
	for (size_t i = 1; i < 4; i++)
		ck_assert(advised(server_at(o, i), "ticket-key-shared"));
	k = json_array_get(json_object_get(server_at(o, 2), "ticket_keys"), 0);
	ck_assert_int_eq(number(k, "issued"), 5);
	ck_assert_str_eq(text(k, "first"), "1970-02-11T23:00:00.000000+0000");
	ck_assert(json_real_value(json_object_get(k, "age")) == 4 * 3600);
	json_decref(o);
}
END_TEST

/* Tickets that begin with an IV tell nothing; four bytes of name are enough for some. */
START_TEST(tickets_without_names)
{
	char name[17];
	json_t *o, *keys;

	open_json(NULL);
	for (unsigned i = 0; i < 200; i++) {
		snprintf(name, sizeof name, "%04x-iv", i * 7);
		issue(443, name, i, 1);
		snprintf(name, sizeof name, "keyA%04x-iv", i * 7);
		issue(444, name, i, 1);
	}
	o = report();
	ck_assert_str_eq(text(server_at(o, 0), "rotation"), "no-names");
	ck_assert_uint_eq(json_array_size(json_object_get(server_at(o, 0), "ticket_keys")), 0);
	ck_assert_str_eq(text(server_at(o, 1), "rotation"), "never");
	keys = json_object_get(server_at(o, 1), "ticket_keys");
	ck_assert_uint_eq(json_array_size(keys), 1);
	ck_assert_str_eq(text(json_array_get(keys, 0), "name"), "6b657941");
	ck_assert_uint_eq(json_array_size(json_object_get(o, "shared_ticket_keys")), 0);
	json_decref(o);
}
END_TEST

/* The secret lives on through new tickets: what counts is when it was made. */
START_TEST(how_long_secrets_live)
{
	struct lp_ticket_info a = ticket("k", 1), b = ticket("k", 2), c = ticket("k", 3),
			      d = ticket("k", 4);
	json_t *o, *r, *k;

	open_json(NULL);
	session(&(struct wish){ .port = 443, .ns = 100 * HOUR_NS, .new = &a });
	session(&(struct wish){ .port = 443, .ns = 110 * HOUR_NS, .resumed = LP_RESUMED_TICKET, .old = &a, .new = &b });
	session(&(struct wish){ .port = 443, .ns = 130 * HOUR_NS, .resumed = LP_RESUMED_TICKET, .old = &b });
	/* refused */
	session(&(struct wish){ .port = 443, .ns = 190 * HOUR_NS, .old = &b });
	/* by ID */
	session(&(struct wish){ .port = 444, .ns = 100 * HOUR_NS, .id = "x" });
	session(&(struct wish){ .port = 444, .ns = 103 * HOUR_NS, .resumed = LP_RESUMED_ID, .id = "x" });
	/* from before the capture: known is only since when */
	session(&(struct wish){ .port = 445, .ns = 100 * HOUR_NS, .resumed = LP_RESUMED_TICKET, .old = &c, .new = &d });
	session(&(struct wish){ .port = 445, .ns = 108 * HOUR_NS, .resumed = LP_RESUMED_TICKET, .old = &c });
	session(&(struct wish){ .port = 445, .ns = 109 * HOUR_NS, .resumed = LP_RESUMED_TICKET, .old = &d });
	o = report();
	r = json_object_get(server_at(o, 0), "resumed");
	ck_assert(json_real_value(json_object_get(r, "longest")) == 30 * 3600);
	ck_assert(json_is_false(json_object_get(r, "longest_is_at_least")));
	ck_assert_int_eq(number(r, "followed"), 2);
	ck_assert(advised(server_at(o, 0), "session-lifetime"));
	k = json_array_get(json_object_get(server_at(o, 0), "ticket_keys"), 0);
	ck_assert_int_eq(number(k, "issued"), 2);
	ck_assert_int_eq(number(k, "accepted"), 2);
	ck_assert_int_eq(number(k, "refused"), 1);
	r = json_object_get(server_at(o, 1), "resumed");
	ck_assert(json_real_value(json_object_get(r, "longest")) == 3 * 3600);
	ck_assert(!advised(server_at(o, 1), "session-lifetime"));
	r = json_object_get(server_at(o, 2), "resumed");
	ck_assert(json_real_value(json_object_get(r, "longest")) == 9 * 3600);
	ck_assert(json_is_true(json_object_get(r, "longest_is_at_least")));
	ck_assert_int_eq(number(r, "older_than_capture"), 3);
	json_decref(o);
}
END_TEST

START_TEST(caps)
{
	struct lp_ticket_info last = ticket("k", 0);
	char name[17];
	json_t *o, *s;

	open_json("servers=2,sessions=100");
	for (unsigned i = 0; i < 300; i++) {
		struct lp_ticket_info t = ticket("k", 1000 + i);

		if (!i)
			last = t;
		session(&(struct wish){ .port = 443, .ns = i + 1, .new = &t });
	}
	session(&(struct wish){ .port = 443, .ns = 500, .resumed = LP_RESUMED_TICKET, .old = &last });
	for (unsigned i = 0; i < 100; i++) {
		snprintf(name, sizeof name, "%u", i);
		issue(444, name, 10 * i, 10);
	}
	session(&(struct wish){ .port = 445, .ns = 600 });
	session(&(struct wish){ .port = 446, .ns = 600 });
	o = report();
	ck_assert_int_eq(number(o, "over_servers"), 2);
	ck_assert_int_eq(number(o, "sessions"), 1303);
	/* 300 tickets, one old one that came back, 1000 of the second server */
	ck_assert_int_eq(number(o, "forgotten"), 1301 - 100);
	ck_assert_uint_eq(json_array_size(json_object_get(o, "servers")), 2);
	ck_assert_int_eq(number(json_object_get(server_at(o, 0), "resumed"), "older_than_capture"), 1);
	s = server_at(o, 1);
	ck_assert_uint_eq(json_array_size(json_object_get(s, "ticket_keys")), LP_LEDGER_KEYS);
	json_decref(o);
}
END_TEST

START_TEST(in_words)
{
	static const char *const expected[] = {
		"Forward secrecy of 2 servers, 33 sessions, 1970-02-11 16:00:00 to 1970-02-12 21:00:00 (UTC)\n",
		"\n192.0.2.2:443 (www.example.org): 30 sessions, 1970-02-11 16:00:00 to 1970-02-12 21:00:00\n",
		"  key exchange: ephemeral 30 (100.0 %) of 30 full handshakes\n",
		("  ticket key 6f6e6500000000000000000000000000: issued 30, accepted 0, "
		 "from 1970-02-11 16:00:00 to 1970-02-12 21:00:00 (1 d 5 h)\n"),
		"  rotation: none in 1 d 5 h\n",
		"  shares ticket key 6f6e6500000000000000000000000000 with 192.0.2.2:444\n",
		"rotate it daily",
		"  key exchange: RSA 1 (33.3 %), ephemeral 2 (66.7 %) of 3 full handshakes\n",
		"ssl_session_ticket_key", "SSLSessionTicketKeyFile", "tls-ticket-keys",
	};
	char *got;
	size_t n;

	ck_assert_int_eq(help_plugin_open(&h, "a.txt", NULL), 0);
	issue(443, "one", 0, 30);
	issue(444, "one", 0, 2);
	session(&(struct wish){ .port = 444, .ns = 1001 * HOUR_NS, .suite = "TLS_RSA_WITH_AES_128_CBC_SHA" });
	ck_assert_int_eq(help_plugin_close(&h, NULL), 0);
	got = help_plugin_read(&h, "a.txt", &n);
	ck_assert_ptr_nonnull(got);
	for (size_t i = 0; i < sizeof expected / sizeof expected[0]; i++)
		ck_assert_msg(strstr(got, expected[i]) != NULL, "%s not in:\n%s", expected[i], got);
	for (const char *line = got; *line; line = strchr(line, '\n') + 1)
		ck_assert_uint_lt(strcspn(line, "\n"), 160);
	free(got);
}
END_TEST

/* SIGHUP: the report so far, then the file anew. */
START_TEST(a_report_at_each_rotation)
{
	char *got, *second;
	size_t n;

	open_json(NULL);
	issue(443, "one", 0, 3);
	ck_assert_int_eq(lp_plugin_audit.rotate(h.self), 0);
	issue(443, "one", 3, 4);
	ck_assert_int_eq(help_plugin_close(&h, NULL), 0);
	got = help_plugin_read(&h, "a.json", &n);
	ck_assert_ptr_nonnull(got);
	ck_assert_ptr_nonnull(strstr(got, "\"sessions\":3"));
	second = strchr(got, '\n');
	ck_assert_ptr_nonnull(second);
	ck_assert_ptr_nonnull(strstr(second, "\"sessions\":7"));
	free(got);
}
END_TEST

static const struct {
	const char *arg, *options, *line;
} wrong[] = {
	{ NULL, NULL, "needs a file" },
	{ "a", "format=xml", "format is text or json" },
	{ "a", "servers=0", "a number from 1" },
	{ "a", "sessions=12x", "a number from 1" },
	{ "a", "colour=red", "unknown option colour" },
};

START_TEST(wrong_options)
{
	ck_assert_int_eq(help_plugin_open(&h, wrong[_i].arg, wrong[_i].options), -1);
	ck_assert_msg(strstr(h.log, wrong[_i].line) != NULL, "%s", h.log);
}
END_TEST

Suite *suite_audit(void)
{
	Suite *s = suite_create("audit");
	TCase *t = tcase_create("audit");

	tcase_add_checked_fixture(t, begin, end);
	tcase_add_test(t, shares);
	tcase_add_loop_test(t, rotation, 0, sizeof rotations / sizeof rotations[0]);
	tcase_add_test(t, keys_that_are_shared);
	tcase_add_test(t, tickets_without_names);
	tcase_add_test(t, how_long_secrets_live);
	tcase_add_test(t, caps);
	tcase_add_test(t, in_words);
	tcase_add_test(t, a_report_at_each_rotation);
	tcase_add_loop_test(t, wrong_options, 0, sizeof wrong / sizeof wrong[0]);
	suite_add_tcase(s, t);
	return s;
}
