/* lp_reload: brings private and ticket keys in, and again when their files change.
 *
 * Everything is read once before the service starts. Then, if files are followed, a
 * thread looks at them five times a second (less often where that takes long), and at
 * once when told to: a new key is in use within a second of its appearance; what cannot
 * be used is a line, and the keys in use stay. After each change the engine is told all
 * keys. Keys out of use are wiped when their time is over.
 *
 * Owner: the warden's main thread, which alone calls these functions. */
#ifndef LP_WARDEN_RELOAD_H
#define LP_WARDEN_RELOAD_H

#include "warden/keyring.h"
#include "warden/ticketring.h"

enum { LP_RELOAD_LOOK_MS = 200 };

struct lp_reload_config {
	int fd;                   /* where the engine listens; one datagram a send() */
	struct lp_keyring *ring;
	const struct lp_crypto_set *crypto;
	unsigned threads;         /* of the service */
	uint64_t life_ns;         /* of a key that has left its file, of either kind */
	bool strict_modes;
	bool follow;
};

struct lp_reload;

LP_MUST enum lp_err lp_reload_new(struct lp_reload **out, const struct lp_reload_config *config);

/* Ends the thread and frees all, the ticket keys too: the service must have ended. */
void lp_reload_free(struct lp_reload *r);

/* What -k names: a file, or a directory of them. Faults as with tickets. */
LP_MUST enum lp_err lp_reload_add_keys(struct lp_reload *r, const char *path);

/* What -t names: a file, a directory, or haproxy:SOCKET, which is asked later on. A fault
 * leaves a line in lp_reload_why(). */
LP_MUST enum lp_err lp_reload_add_tickets(struct lp_reload *r, const char *path);

/* Opens what stays open; starts the processes that ask, and hears the first keys. */
LP_MUST enum lp_err lp_reload_hold(struct lp_reload *r);

const char *lp_reload_why(const struct lp_reload *r);

/* NULL if there are no ticket keys and none can come. */
struct lp_ticketring *lp_reload_tickets(struct lp_reload *r);

/* Tells the engine all keys. LP_EOF: it is gone. */
LP_MUST enum lp_err lp_reload_tell(struct lp_reload *r);

/* Starts the thread, if files are followed. */
LP_MUST enum lp_err lp_reload_start(struct lp_reload *r);

/* Ends the thread: from now on nothing changes. */
void lp_reload_stop(struct lp_reload *r);

/* Looks at everything now. */
void lp_reload_now(struct lp_reload *r);

#endif
