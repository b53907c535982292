#define _GNU_SOURCE
#include "config.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "secrets/keylog.h"
#include "tls/handshake.h"
#include "tls/protect.h"
#include "warden/warden.h"
#include "warden/warden.h"
#include "secrets/sessions.h"
#include "tls/flights.h"

enum kind { FLAG, TEXT, LIST, NUMBER, BYTES, PORTS };

struct option {
	const char *name;
	enum kind kind;
	size_t offset;
	uint64_t least, most;   /* of a number */
	const char *choices;    /* "a|b|c" or NULL: any text */
};

#define AT(member) offsetof(struct lp_config, member)

static const struct option options[] = {
	{ "read", LIST, AT(read), 0, 0, NULL },
	{ "key", LIST, AT(key), 0, 0, NULL },
	{ "psk", LIST, AT(psk), 0, 0, NULL },
	{ "ticket-key", LIST, AT(ticket_key), 0, 0, NULL },
	{ "ticket-key-life", NUMBER, AT(ticket_key_life_s), 1, 8640000, NULL },
	{ "key-log", LIST, AT(key_log), 0, 0, NULL },
	{ "output", LIST, AT(output), 0, 0, NULL },
	{ "interface", TEXT, AT(interface), 0, 0, NULL },
	{ "passphrase-file", TEXT, AT(passphrase_file), 0, 0, NULL },
	{ "filter", TEXT, AT(filter), 0, 0, NULL },
	{ "checksums", TEXT, AT(checksums), 0, 0, "auto|on|off" },
	{ "verify", TEXT, AT(verify), 0, 0, "all|first" },
	{ "overlap", TEXT, AT(overlap), 0, 0, "linux|bsd" },
#ifdef LP_WITH_NIDS
	{ "tcp", TEXT, AT(tcp), 0, 0, "native|nids" },
#else
	{ "tcp", TEXT, AT(tcp), 0, 0, "native" },
#endif
#ifdef LP_WITH_OPENSSL
	{ "crypto", TEXT, AT(crypto), 0, 0, "auto|mbedtls|openssl" },
#else
	{ "crypto", TEXT, AT(crypto), 0, 0, "auto|mbedtls" },
#endif
	{ "helper", TEXT, AT(helper), 0, 0, NULL },
	{ "user", TEXT, AT(user), 0, 0, NULL },
	{ "merge", FLAG, AT(merge), 0, 0, NULL },
	{ "ignore-domain", FLAG, AT(ignore_domain), 0, 0, NULL },
	{ "vxlan-port", PORTS, AT(vxlan_port), 1, 65535, NULL },
	{ "print-data", FLAG, AT(print_data), 0, 0, NULL },
	{ "quiet", FLAG, AT(quiet), 0, 0, NULL },
	{ "cleartext", FLAG, AT(cleartext), 0, 0, NULL },
	{ "strict-key-modes", FLAG, AT(strict_key_modes), 0, 0, NULL },
	{ "promiscuous", FLAG, AT(promiscuous), 0, 0, NULL },
	{ "buffer", BYTES, AT(buffer_bytes), 0, INT32_MAX, NULL },
	{ "snaplen", NUMBER, AT(snaplen), 64, 262144, NULL },
	{ "packets", NUMBER, AT(packets), 1, UINT64_MAX, NULL },
	{ "fanout", TEXT, AT(fanout), 0, 0, "user|kernel" },
	{ "workers", NUMBER, AT(workers), 1, LP_CONFIG_WORKERS, NULL },
	{ "warden-threads", NUMBER, AT(warden_threads), 1, 256, NULL },
	{ "warden-delay", NUMBER, AT(warden_delay_ms), 0, 60000, NULL },
	{ "key-wait", NUMBER, AT(key_wait_s), 0, 3600, NULL },
	{ "max-key-log", NUMBER, AT(max_key_log), 16, 100000000, NULL },
	{ "session-store", TEXT, AT(session_store), 0, 0, NULL },
	{ "session-store-key", TEXT, AT(session_store_key), 0, 0, NULL },
	{ "session-store-timeout", NUMBER, AT(session_store_ms), 1, 10000, NULL },
	{ "session-lifetime", NUMBER, AT(session_life_s), 1, 31536000, NULL },
	{ "max-sessions", NUMBER, AT(max_sessions), 1, 100000000, NULL },
	{ "max-session-bytes", BYTES, AT(max_session_bytes), 1024, UINT64_MAX / 2, NULL },
	{ "max-flight", BYTES, AT(max_flight), 256, LP_FLIGHT_MAX, NULL },
	{ "max-flights-total", BYTES, AT(max_flights), 1024, UINT64_MAX / 2, NULL },
	{ "max-flows", NUMBER, AT(max_flows), 16, 100000000, NULL },
	{ "max-out-of-order", BYTES, AT(max_ooo_side), 1024, UINT64_MAX / 2, NULL },
	{ "max-out-of-order-total", BYTES, AT(max_ooo), 1024, UINT64_MAX / 2, NULL },
	{ "max-held", BYTES, AT(max_held_session), 1024, UINT64_MAX / 2, NULL },
	{ "max-held-turn", BYTES, AT(max_held_turn), 1024, UINT64_MAX / 2, NULL },
	{ "max-held-total", BYTES, AT(max_held), 1024, UINT64_MAX / 2, NULL },
	{ "max-fragments", BYTES, AT(max_fragments), 65536, UINT64_MAX / 2, NULL },
	{ "max-fragments-host", BYTES, AT(max_fragments_host), 65536, UINT64_MAX / 2, NULL },
	{ "fragment-timeout", NUMBER, AT(fragment_s), 1, 3600, NULL },
	{ "max-preludes-total", BYTES, AT(max_kept), 0, UINT64_MAX / 2, NULL },
	{ "idle", NUMBER, AT(idle_s), 1, 864000, NULL },
	{ "idle-keys", NUMBER, AT(keys_idle_s), 1, 864000, NULL },
	{ "idle-handshake", NUMBER, AT(handshake_s), 1, 864000, NULL },
	{ "idle-syn", NUMBER, AT(syn_s), 1, 864000, NULL },
	{ "idle-closed", NUMBER, AT(closed_s), 1, 864000, NULL },
	{ "max-handshake", BYTES, AT(max_message), 1024, 0xffffff, NULL },
	{ "max-questions", NUMBER, AT(max_questions), 1, 100000000, NULL },
	{ "max-questions-client", NUMBER, AT(max_questions_client), 1, 100000000, NULL },
	{ "max-questions-server", NUMBER, AT(max_questions_server), 1, 100000000, NULL },
	{ "max-contexts", NUMBER, AT(max_contexts), 1, 10000000, NULL },
};

struct lp_config *lp_config_new(void)
{
	struct lp_config *c = calloc(1, sizeof *c);

	if (!c)
		return NULL;
	c->promiscuous = true;
	c->key_wait_s = LP_KEY_WAIT_AUTO;
	c->ticket_key_life_s = LP_WARDEN_TICKET_LIFE_S;
	c->max_key_log = LP_KEYLOG_DEFAULT;
	c->session_life_s = LP_SESSIONS_LIFETIME_S;
	c->max_sessions = LP_SESSIONS_MAX;
	c->max_session_bytes = LP_SESSIONS_BYTES;
	c->max_flight = LP_FLIGHT_MAX;
	c->max_flights = LP_FLIGHTS_BYTES;
	c->max_flows = 1000000;
	c->max_ooo_side = 4U << 20;
	c->max_ooo = 256U << 20;
	c->max_held_session = 1U << 20;
	c->max_held_turn = 4U << 20;
	c->max_held = 256U << 20;
	c->max_fragments = 16U << 20;
	c->max_fragments_host = 1U << 20;
	c->fragment_s = 30;
	c->max_kept = 64U << 20;
	c->idle_s = 300;
	c->keys_idle_s = 3600;
	c->handshake_s = 60;
	c->syn_s = 30;
	c->closed_s = 10;
	c->max_message = LP_MESSAGE_MAX;
	c->max_questions = LP_WARDEN_QUEUE;
	c->max_questions_client = LP_WARDEN_QUEUE / 8;
	c->max_questions_server = LP_WARDEN_QUEUE / 2;
	c->max_contexts = LP_CTX_PAIRS;
	return c;
}

static void list_free(struct lp_list *list)
{
	for (size_t i = 0; i < list->n; i++)
		free(list->item[i]);
	free(list->item);
}

void lp_config_free(struct lp_config *c)
{
	if (!c)
		return;
	for (size_t i = 0; i < sizeof options / sizeof options[0]; i++) {
		void *at = (char *)c + options[i].offset;

		if (options[i].kind == LIST)
			list_free(at);
		else if (options[i].kind == TEXT)
			free(*(char **)at);
	}
	free(c);
}

static int set_list(struct lp_list *list, const char *value)
{
	char **item = realloc(list->item, (list->n + 1) * sizeof *item);

	if (!item)
		return -1;
	list->item = item;
	list->item[list->n] = strdup(value);
	if (!list->item[list->n])
		return -1;
	list->n++;
	return 0;
}

static bool is_choice(const char *choices, const char *value)
{
	size_t n = strlen(value);

	while (choices) {
		const char *bar = strchr(choices, '|');
		size_t length = bar ? (size_t)(bar - choices) : strlen(choices);

		if (length == n && !strncmp(choices, value, n))
			return true;
		choices = bar ? bar + 1 : NULL;
	}
	return false;
}

/* A number, for BYTES with an optional k, M or G (powers of 1024). */
static int set_number(const struct option *o, uint64_t *at, const char *value, char *why)
{
	static const char suffix[] = "kMG";
	char *end;
	unsigned long long v;
	unsigned shift = 0;

	errno = 0;
	v = strtoull(value, &end, 10);
	if (o->kind == BYTES && *end && strchr(suffix, *end)) {
		shift = 10 * (unsigned)(strchr(suffix, *end) - suffix + 1);
		end++;
	}
	if (errno || end == value || *end || *value == '-' || v > UINT64_MAX >> shift ||
	    v << shift < o->least || v << shift > o->most) {
		snprintf(why, LP_WHY, "--%s: '%.100s' is not a number from %llu to %llu", o->name,
			 value, (unsigned long long)o->least, (unsigned long long)o->most);
		return -1;
	}
	*at = v << shift;
	return 0;
}

static int add_port(const struct option *o, struct lp_ports *ports, const char *value, char *why)
{
	uint64_t port;

	if (set_number(o, &port, value, why))
		return -1;
	if (ports->n == LP_CONFIG_PORTS) {
		snprintf(why, LP_WHY, "--%s: at most %d", o->name, LP_CONFIG_PORTS);
		return -1;
	}
	ports->port[ports->n++] = (uint16_t)port;
	return 0;
}

int lp_config_set(struct lp_config *c, const char *name, const char *value, char *why)
{
	const struct option *o = NULL;
	char *copy;
	void *at;

	for (size_t i = 0; i < sizeof options / sizeof options[0]; i++)
		if (!strcmp(options[i].name, name))
			o = &options[i];
	if (!o) {
		snprintf(why, LP_WHY, "no option is called '%.100s'", name);
		return -1;
	}
	at = (char *)c + o->offset;
	switch (o->kind) {
	case FLAG:
		*(bool *)at = !value || (strcmp(value, "no") != 0 && strcmp(value, "off") != 0);
		return 0;
	case NUMBER:
	case BYTES:
		return set_number(o, at, value, why);
	case PORTS:
		return add_port(o, at, value, why);
	case LIST:
		if (!set_list(at, value))
			return 0;
		break;
	case TEXT:
		if (o->choices && !is_choice(o->choices, value)) {
			snprintf(why, LP_WHY, "--%s: '%.100s' is not one of %s", name, value,
				 o->choices);
			return -1;
		}
		copy = strdup(value);
		if (copy) {
			free(*(char **)at);
			*(char **)at = copy;
			return 0;
		}
		break;
	}
	snprintf(why, LP_WHY, "out of memory");
	return -1;
}
