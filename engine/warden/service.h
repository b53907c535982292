/* lp_service: the threads of the warden that answer questions.
 *
 * One thread for each core, each with RSA contexts of its own (a shared context
 * halves the rate: the library holds its lock for the whole operation), and one for
 * the clock, which wipes old premaster secrets. Questions wait in a queue of
 * LP_WARDEN_QUEUE; beyond it the answer is BUSY. Two equal inputs in flight cost
 * one RSA operation.
 *
 * Questions come from several lines (one for each worker of the engine), each of which
 * may have its share of the queue; the answer goes to the line of the question.
 *
 * Owner: the warden's main thread, which alone calls these functions. The keyring
 * and the crypto set outlive it; keys may come and go while it runs. */
#ifndef LP_WARDEN_SERVICE_H
#define LP_WARDEN_SERVICE_H

#include "warden/keyring.h"
#include "warden/ticketring.h"

enum {
	LP_SERVICE_THREADS_MAX = 64,
	LP_SERVICE_CONTEXTS = 256, /* RSA contexts a thread keeps; then the oldest goes */
};

struct lp_service_config {
	const int *fd;  /* the lines' sockets */
	unsigned lines;
	struct lp_keyring *ring;       /* entered for each question */
	struct lp_ticketring *tickets; /* or NULL; made for lp_service_threads() threads */
	const struct lp_crypto_set *crypto;
	unsigned threads;  /* 0: one for each core that we may use */
	unsigned delay_ms; /* tests: answers are held back this long */
};

struct lp_service;

/* The number of threads that `wanted` comes to. */
unsigned lp_service_threads(unsigned wanted);

LP_MUST enum lp_err lp_service_new(struct lp_service **out, const struct lp_service_config *config);

/* Takes a question of a line. The answer, be it BUSY, goes there; a socket that is gone
 * shows at the next read, not here. */
void lp_service_ask(struct lp_service *s, unsigned line, const struct lp_ask *ask);

/* For whoever brings the questions: while the threads have many to answer it sleeps until they
 * have few, or some milliseconds; so it is woken once for many, and not on a thread's core for
 * each. */
void lp_service_rest(struct lp_service *s);

/* lp_keyring's wiping: drops what the threads have made of the key. who: the service. */
void lp_service_forget(void *who, uint32_t key);

/* Ends the threads, wipes and frees everything. What was not answered is not. */
void lp_service_free(struct lp_service *s);

#endif
