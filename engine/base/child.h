/* lp_child: a process of limpid's own beside the engine: the warden, the session store.
 *
 * It is a fresh image (exec of limpid itself with an internal argument), started before
 * the first packet, and inherits stderr, one SOCK_SEQPACKET socket, or one for each thread
 * that is to talk to it, and nothing else.
 *
 * Owner: its client, on whose side the struct lives; lp_child_stop(). The second half
 * is for the process itself. Faults: LP_E_IO with one line in why (LP_CHILD_WHY bytes;
 * no prefix, no newline). */
#ifndef LP_BASE_CHILD_H
#define LP_BASE_CHILD_H

#include <sys/types.h>

#include "base/cursor.h"

enum { LP_CHILD_WHY = 512, LP_CHILD_STOP_MS = 1000, LP_CHILD_SOCKETS = 64 };

struct lp_child {
	int fd;     /* our end of the socket; -1: not started */
	pid_t pid;  /* -1: none, or ended */
};

#define LP_CHILD_NONE ((struct lp_child){ -1, -1 })

/* Starts `helper arg 3`; helper NULL is this very program. what: "the key process". */
LP_MUST enum lp_err lp_child_start(struct lp_child *c, const char *helper, const char *arg,
				   const char *what, char *why);

/* The same with n sockets, at most LP_CHILD_SOCKETS, there 3, 4, …; ours go to fd. The
 * first is c->fd too; the others are the caller's to close, before lp_child_stop(). */
LP_MUST enum lp_err lp_child_start_lines(struct lp_child *c, const char *helper, const char *arg,
					 const char *what, char *why, int *fd, size_t n);

/* How the process ended ("exit status 1"), for a line; waits a little for its end. */
const char *lp_child_ending(struct lp_child *c, char *out, size_t size);

/* Closes the socket, which ends the process; if it does not within ms, kills it. Waits
 * for it. */
void lp_child_stop(struct lp_child *c, unsigned ms);

/* ---- in the process ---- */

/* Ignores what a terminal or a service manager sends to all of us, and takes a name.
 * SIGUSR1 is blocked and means that the thread which started us has ended: it is to be
 * let in only where ppoll(2) waits. */
void lp_child_settle(const char *name);

/* All memory of the process is kept out of swap. False if a limit is in the way. */
LP_MUST bool lp_child_lock_all(void);

/* Closes what some library may still hold open beside fd and the n - 1 after it. */
void lp_child_close_others(int fd, unsigned n);

#endif
