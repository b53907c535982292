/* lp_config: every option as a (name, value) pair, from the command line today
 * and from any other reader tomorrow. Owner: whoever called lp_config_new(). */
#ifndef LP_CONFIG_H
#define LP_CONFIG_H

#include <stdbool.h>
#include <stdint.h>

#include <limpid/limpid.h>

struct lp_list {
	char **item;
	size_t n;
};

#define LP_KEY_WAIT_AUTO UINT64_MAX

enum { LP_CONFIG_PORTS = 6, LP_CONFIG_WORKERS = 64 };

struct lp_ports {
	uint16_t port[LP_CONFIG_PORTS];
	size_t n;
};

struct lp_config {
	struct lp_list read;      /* capture files */
	struct lp_list key;       /* private key files and directories */
	struct lp_list psk;       /* files of pre-shared keys */
	struct lp_list ticket_key; /* files and directories of ticket keys, haproxy:SOCKET */
	struct lp_list key_log;   /* SSLKEYLOGFILE files */
	struct lp_list output;    /* output specifications */
	char *interface;
	char *passphrase_file;
	char *filter;             /* BPF expression */
	char *checksums, *verify, *overlap, *tcp, *crypto;
	char *helper;             /* program that becomes the warden; NULL = ourselves */
	char *user;               /* -Z: user to become when live */
	struct lp_ports vxlan_port; /* beside the usual ones */
	bool merge;
	bool ignore_domain;
	bool print_data;
	bool quiet;
	bool cleartext;
	bool strict_key_modes;
	bool promiscuous;
	uint64_t buffer_bytes, snaplen, packets; /* live capture; packets: stop after so many */
	char *fanout;             /* NULL: "user" */
	uint64_t workers;         /* 0: as it fits */
	uint64_t warden_threads, warden_delay_ms;
	uint64_t ticket_key_life_s; /* of a ticket key that its file has no more */
	uint64_t key_wait_s;      /* LP_KEY_WAIT_AUTO: as it fits what is read */
	uint64_t max_key_log;     /* secrets */
	char *session_store;      /* "memcached://…" */
	char *session_store_key;  /* file */
	uint64_t max_sessions, max_session_bytes, session_life_s;
	uint64_t session_store_ms; /* that a server may take; 0: the default */
	uint64_t max_flight, max_flights; /* bytes of one flight kept, of all */
	uint64_t max_flows, max_ooo_side, max_ooo, max_held_session, max_held_turn, max_held, max_kept;
	uint64_t max_fragments, max_fragments_host, fragment_s;
	uint64_t idle_s, keys_idle_s, handshake_s, syn_s, closed_s;
	uint64_t max_message, max_questions, max_contexts;
	uint64_t max_questions_client, max_questions_server;
};

#endif
