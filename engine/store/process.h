/* The store's process without its start: takes what the engine sends, hands it on to where
 * it is kept, and answers. The place behind it is a table of functions, so that tests need
 * no memcached.
 *
 * Questions go before puts, both in batches; what has waited too long is answered with
 * nothing. Bounded: LP_STORE_QUEUE of each, then the socket is full, and the engine drops. */
#ifndef LP_STORE_PROCESS_H
#define LP_STORE_PROCESS_H

#include "store/seal.h"
#include "store/talk.h"

enum { LP_PLACE_BATCH = 64, LP_PLACE_TIMEOUT_MS = 100 };

struct lp_place;

/* A value that was found: number i of those asked for. */
typedef void lp_place_found(void *user, size_t i, lp_span value);

struct lp_place_ops {
	/* why: one line of LP_CHILD_WHY bytes. */
	enum lp_err (*open)(struct lp_place **out, const char *servers, unsigned timeout_ms,
			    char *why);
	/* Looks for n names at once; returns how many servers failed. */
	unsigned (*get)(struct lp_place *p, const char (*names)[LP_SEALED_NAME], size_t n,
			lp_place_found *found, void *user);
	/* life: seconds. False: it was not taken. */
	bool (*put)(struct lp_place *p, const char *name, lp_span value, uint64_t life);
	/* What is wrong with the servers, for a line; NULL if nothing is. */
	const char *(*trouble)(struct lp_place *p);
	void (*close)(struct lp_place *p);
};

extern const struct lp_place_ops lp_place_memcached;

/* Serves until the engine ends, then stores what is left for at most
 * LP_STORE_FINISH_MS / 2, and sends the counts. parent: the engine's process, whose end
 * without a word ends this one too (0: nobody's). LP_OK, or LP_E_FORMAT: something that no engine sends. */
LP_MUST enum lp_err lp_process_serve(int fd, const struct lp_place_ops *ops, struct lp_place *place,
				     const struct lp_seal_keys *keys, pid_t parent);

#endif
