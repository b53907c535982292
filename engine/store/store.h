/* The session store: secrets of sessions shared with other sensors through memcached, for
 * resumptions whose full handshake another sensor saw. This is its client.
 *
 * The store is a process of its own (exec), started before the first packet; it alone
 * holds the cluster key and speaks with memcached. What it stores is sealed, under names
 * that say nothing (seal.h). Nothing here ever waits for it but lp_store_finish(): a put
 * for which there is no room is dropped and counted, a question that is not answered
 * within LP_STORE_WAIT_MS is answered with nothing, and if the process ends, limpid goes on
 * without it, after one line.
 *
 * Owner: lp_engine. One thread at a time. */
#ifndef LP_STORE_STORE_H
#define LP_STORE_STORE_H

#include "base/secret.h"

enum {
	LP_STORE_NAME = 32,        /* lp_store_name() */
	LP_STORE_NAMES = 2,        /* of one question: a ticket and a session ID */
	LP_STORE_QUEUE = 4096,     /* questions without an answer; puts not taken yet */
	LP_STORE_WAIT_MS = 500,
	LP_STORE_FINISH_MS = 3000,
	LP_STORE_TEXT = 1024,      /* servers; path of the key file */
};

/* What is stored for a name. */
struct lp_store_value {
	uint8_t master[48];
	uint16_t version, suite;
	int8_t ems;
};

struct lp_store_config {
	const char *helper;        /* program to exec; NULL: this one */
	const char *servers;       /* "memcached://host:port,host:port" */
	const char *key_file;
	bool strict_key_modes;
	unsigned timeout_ms;       /* of one memcached; 0: the default */
};

struct lp_store_stats {
	uint64_t put, put_dropped;       /* names handed on; there was no room */
	uint64_t asked, found, missed;   /* questions; answered in time */
	uint64_t late, refused;          /* no answer in time; no room, or no process */
	/* By the process, known after lp_store_finish(): */
	uint64_t stored, not_stored;     /* names that memcached took; refused, or dead */
	uint64_t forged, stale;          /* values that did not authenticate; past their time */
	uint64_t errors;                 /* of servers: timed out, refused, broken */
};

struct lp_store;

/* The argument by which limpid's main knows that it is to be the store, and what it then
 * calls with the inherited socket. Returns an exit status. */
#define LP_STORE_ARG "--store-process"
int lp_store_main(int fd);

/* A fault (an unusable key file, no such store) is one line in why, 512 bytes. That
 * memcached does not answer is none. */
LP_MUST enum lp_err lp_store_start(struct lp_store **out, const struct lp_store_config *config,
				   char *why);

/* What a session ID or a ticket is called on the way to the process. kind sets the two
 * apart. LP_E_NOMEM. */
LP_MUST enum lp_err lp_store_name(uint8_t out[LP_STORE_NAME], uint8_t kind, lp_span name);

/* Stores value under a name for left_ns. */
void lp_store_put(struct lp_store *s, const uint8_t name[LP_STORE_NAME],
		  const struct lp_store_value *value, uint64_t left_ns);

/* Asks for the first of n names that is known. False: it cannot be asked. Otherwise
 * asker gets one answer, unless it is forgotten before that. */
bool lp_store_get(struct lp_store *s, const uint8_t (*names)[LP_STORE_NAME], size_t n,
		  void *asker);
void lp_store_forget(struct lp_store *s, const void *asker);

/* Hands out answers that have come and those that will not come any more. value NULL: nobody
 * has it. The callback may ask again. */
typedef void lp_store_answer(void *asker, const struct lp_store_value *value, uint64_t left_ns);
void lp_store_poll(struct lp_store *s, lp_store_answer *cb);

/* Questions without an answer, and when the first of them will be given up, in ms from
 * now (-1: there is none). */
size_t lp_store_pending(const struct lp_store *s);
int lp_store_timeout(const struct lp_store *s);

/* Readable when there are answers; -1 when the process has ended. */
int lp_store_fd(const struct lp_store *s);
int lp_store_pid(const struct lp_store *s);

/* Lets the process store what it has, at most LP_STORE_FINISH_MS, and end. */
void lp_store_finish(struct lp_store *s);
void lp_store_stats(const struct lp_store *s, struct lp_store_stats *out);

/* NULL is ignored. */
void lp_store_stop(struct lp_store *s);

#endif
