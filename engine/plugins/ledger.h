/* lp_ledger: what an audit remembers of servers: how their sessions agreed on keys, how
 * they were resumed, the names of the keys that seal their tickets, and how long after
 * its beginning a session was still resumed. All of it is seen from the wire; nothing
 * needs to be opened.
 *
 * Bounded: servers, key names of a server, and sessions whose resumption is waited for;
 * what went over each cap is counted. Times are packet times.
 *
 * Owner: the audit output; lp_ledger_free(). Functions return -1 when out of memory. */
#ifndef LP_PLUGINS_LEDGER_H
#define LP_PLUGINS_LEDGER_H

#include <limpid/plugin.h>

#include "base/err.h"
#include "plugins/label.h"

enum {
	LP_LEDGER_SERVERS = 4096,
	LP_LEDGER_SESSIONS = 262144,
	LP_LEDGER_KEYS = 64,        /* names of a server */
	LP_LEDGER_NAME = 16,
	LP_LEDGER_SHORT = 4,        /* mbedTLS and Java have names of four bytes */
	LP_LEDGER_SNI = 64,
};

/* How a full handshake agreed on its secret. */
enum lp_ledger_kx { LP_BY_RSA, LP_BY_EPHEMERAL, LP_BY_STATIC_DH, LP_BY_PSK, LP_BY_OTHER, LP_BY_COUNT };

/* One key that seals tickets, by its name. */
struct lp_ledger_key {
	uint8_t name[LP_LEDGER_NAME];
	uint64_t issued, accepted, refused; /* tickets */
	uint64_t first_ns, last_ns;         /* issued or accepted */
	uint64_t first_issue_ns, last_issue_ns;
};

struct lp_ledger_names {
	struct lp_ledger_key *key;  /* in the order of their first use */
	size_t n, room;
	uint64_t over;              /* tickets whose name found no room */
};

struct lp_ledger_server {
	struct lp_ledger_server *chain;
	uint8_t address[16];
	uint16_t port;
	int family;
	char text[LP_LABEL_ENDPOINT];
	char sni[LP_LEDGER_SNI * 2]; /* the last that was asked for, or "" */
	uint64_t first_ns, last_ns;
	uint64_t sessions;           /* all that got a ServerHello */
	uint64_t tls13;
	uint64_t full[LP_BY_COUNT];
	uint64_t unknown;            /* full or resumed could not be seen */
	uint64_t by_id, by_ticket;   /* resumed */
	uint64_t ems, no_ems;
	uint64_t tickets;            /* issued */
	uint64_t lifetime_hint;      /* the longest, seconds */
	uint64_t issue_first_ns, issue_last_ns;
	struct lp_ledger_names names, shorts;
	uint64_t followed, older;    /* resumptions whose session was seen; that go further back */
	uint64_t longest_ns;         /* from a session to its resumption */
	int longest_open;            /* … at least: the session began before the capture */
};

struct lp_ledger_config {
	size_t servers, sessions;    /* caps */
};

struct lp_ledger;

struct lp_ledger *lp_ledger_new(const struct lp_ledger_config *config);
void lp_ledger_free(struct lp_ledger *l);

LP_MUST int lp_ledger_add(struct lp_ledger *l, const struct lp_flow_info *flow,
			  const struct lp_session_info *tls);

struct lp_ledger_totals {
	uint64_t sessions;
	uint64_t unanswered;         /* no ServerHello was seen */
	uint64_t over_servers;       /* sessions of servers for which there was no room */
	uint64_t forgotten;          /* sessions whose resumption would not be recognised any more */
	uint64_t first_ns, last_ns;
};

/* The servers in the order in which they were first seen. */
const struct lp_ledger_server *const *lp_ledger_servers(const struct lp_ledger *l, size_t *n);
const struct lp_ledger_totals *lp_ledger_totals(const struct lp_ledger *l);

/* The names that tell something: those of 16 bytes, or of 4 (*bytes says which). NULL: the
 * server's tickets begin with nothing that comes twice. */
const struct lp_ledger_names *lp_ledger_names(const struct lp_ledger_server *s, size_t *bytes);

#endif
