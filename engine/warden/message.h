/* The datagrams between the engine and the warden, both directions.
 *
 * One message is one SOCK_SEQPACKET datagram: a type byte, then fixed fields and
 * length-prefixed ones, big-endian, nothing left over. What does not read exactly
 * so is malformed, and either end stops talking: there is no second guess in a
 * protocol whose two ends are one program.
 *
 * There is a socket for each worker of the engine. The first carries all of the
 * following, the others ASK and ANSWER only.
 *
 *   engine → warden   OPTIONS once, PATH for each -k, PSKS for each --psk, TICKETS for each -t,
 *                     GO; then ASK and RELOAD, any number
 *   warden → engine   LOG any number, then FAULT (and the end) or KEYS, as many
 *                     datagrams as it takes; then ANSWER with those to one ASK or more; LOG and
 *                     all KEYS again when keys were read anew
 *
 * Owner: nobody; writers fill the caller's bytes, readers borrow from the
 * datagram. A writer returns the datagram's length, 0 if the fields do not fit
 * the message's rules or the room. */
#ifndef LP_WARDEN_MESSAGE_H
#define LP_WARDEN_MESSAGE_H

#include "warden/warden.h"

enum {
	LP_MESSAGE_PROTOCOL = 5,      /* both ends must have the same */
	LP_MESSAGE_MAX = 70 * 1024,   /* no datagram is longer */
	LP_MESSAGE_PATHS_MAX = 1024,  /* paths in a configuration */
	LP_MESSAGE_PATH_MAX = 4095,   /* PATH_MAX without its NUL */
	LP_MESSAGE_NAME_MAX = 32,     /* name of a crypto provider */
	LP_MESSAGE_TEXT_MAX = 511,    /* a LOG or FAULT line */
	LP_MESSAGE_LINE_ROOM = 520,   /* room for either */
	LP_MESSAGE_ASK_ROOM = 1152,   /* but of TICKET, which takes up to LP_MESSAGE_MAX */
	LP_MESSAGE_ANSWERS = 8,       /* in a datagram, at most */
	LP_MESSAGE_ANSWER_ROOM = 96,  /* with one */
	LP_MESSAGE_ANSWERS_ROOM = LP_MESSAGE_ANSWERS * LP_MESSAGE_ANSWER_ROOM,
	LP_MESSAGE_OPTIONS_ROOM = LP_MESSAGE_PATH_MAX + LP_MESSAGE_NAME_MAX + 32,
};

enum lp_message_type {
	LP_MESSAGE_OPTIONS = 1,
	LP_MESSAGE_PATH,
	LP_MESSAGE_GO,
	LP_MESSAGE_ASK,
	LP_MESSAGE_PSKS,    /* path of a file of pre-shared keys */
	LP_MESSAGE_TICKETS, /* what -t names */
	LP_MESSAGE_RELOAD,
	LP_MESSAGE_LOG = 65,
	LP_MESSAGE_FAULT,
	LP_MESSAGE_KEYS,
	LP_MESSAGE_ANSWER,
};

struct lp_message_options {
	bool strict_key_modes;
	bool follow;
	uint32_t ticket_life_s;
	uint32_t lines;            /* 1 … LP_WARDEN_LINES; their sockets have adjacent numbers */
	uint32_t threads;
	uint32_t delay_ms;
	lp_span crypto;            /* without NUL */
	lp_span passphrase_file;   /* without NUL; empty: none */
};

/* keys: read by lp_message_next_key() until it gives LP_EOF. */
struct lp_message_keys {
	struct lp_cursor at;
	bool last;         /* no further KEYS */
	uint32_t skipped;  /* files in -k directories that were no keys */
};

struct lp_message {
	enum lp_message_type type;
	enum lp_err fault;                  /* FAULT */
	lp_span text;                       /* PATH, PSKS, TICKETS, LOG, FAULT; without NUL */
	struct lp_message_options options;
	struct lp_message_keys keys;
	struct lp_ask ask;
	struct lp_answer answer;            /* the first; a secret: the caller wipes it */
	struct lp_cursor answers;           /* the others, for lp_message_next_answer() */
};

/* Reads a whole datagram and checks every field. LP_E_FORMAT, LP_E_TRUNCATED: not
 * one of ours. Only the members that belong to type are set. */
LP_MUST enum lp_err lp_message_read(struct lp_message *m, lp_span datagram);

/* The next key, LP_OK, or LP_EOF. */
LP_MUST enum lp_err lp_message_next_key(struct lp_message_keys *keys, struct lp_warden_key *out);

/* Reads the next answer into m->answer: LP_OK, or LP_EOF. */
LP_MUST enum lp_err lp_message_next_answer(struct lp_message *m);

size_t lp_message_write_options(uint8_t *out, size_t room, const struct lp_message_options *o);
/* type: PATH, PSKS or TICKETS. */
size_t lp_message_write_path(uint8_t *out, size_t room, enum lp_message_type type,
			     const char *path);
size_t lp_message_write_go(uint8_t *out, size_t room);
size_t lp_message_write_reload(uint8_t *out, size_t room);
size_t lp_message_write_ask(uint8_t *out, size_t room, const struct lp_ask *ask);
size_t lp_message_write_log(uint8_t *out, size_t room, const char *text);
size_t lp_message_write_fault(uint8_t *out, size_t room, enum lp_err err, const char *text);
size_t lp_message_write_answer(uint8_t *out, size_t room, const struct lp_answer *answer);
/* The same behind those in the n bytes of a datagram; its length with it. */
size_t lp_message_add_answer(uint8_t *out, size_t n, size_t room, const struct lp_answer *answer);

/* As many of n keys as there is room for; *taken says how many. */
size_t lp_message_write_keys(uint8_t *out, size_t room, const struct lp_warden_key *keys, size_t n,
			     uint32_t skipped, size_t *taken);

#endif
