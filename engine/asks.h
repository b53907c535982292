/* lp_asks: the questions that are out, and to whom their answers go.
 *
 * The warden takes as many questions at once as its line has room for. A replay keeps the
 * others here and stops reading (lp_asks_full). Live they wait here rather than there,
 * where none can be taken back, but not longer than 5 seconds and not more than
 * max_waiting. Above that they are shed and answered with nothing: first the oldest of a
 * client that has more than max_client waiting, then of a server that has more than
 * max_server, then the oldest of all. So a flood of handshakes sheds its own, and nobody
 * is limited while there is room.
 *
 * Clients and servers are counted in BUCKETS by hash, so that no flood makes tables grow:
 * one in thousands shares the fate of a flood's.
 *
 * Owner: lp_worker. One thread. */
#ifndef LP_ASKS_H
#define LP_ASKS_H

#include "warden/warden.h"

struct lp_asks;

/* answer NULL: shed, nobody will answer. */
typedef void lp_asks_answer(void *asker, const struct lp_answer *answer);

struct lp_asks_config {
	struct lp_line *line;
	bool live;
	uint64_t max_waiting, max_client, max_server;
};

struct lp_asks_stats {
	uint64_t asked;
	uint64_t shed;           /* = shed_client + shed_server + those that were just old */
	uint64_t shed_client;    /* above a client's share */
	uint64_t shed_server;
};

/* For whom is asked: keyed hashes of their addresses. */
struct lp_asks_peers {
	uint64_t client, server;
};

LP_MUST enum lp_err lp_asks_new(struct lp_asks **out, const struct lp_asks_config *config);
void lp_asks_free(struct lp_asks *a);

/* asker gets the answer. ask->id is filled in here; what it points to is copied. */
LP_MUST enum lp_err lp_asks_put(struct lp_asks *a, struct lp_ask *ask,
				const struct lp_asks_peers *peers, void *asker);

/* The asker is gone: its answer is for nobody. */
void lp_asks_forget(struct lp_asks *a, const void *asker);

/* Takes in answers, waiting at most timeout_ms for the first (-1: for ever) if there are
 * any to come, and whatever else the warden says.
 * LP_E_IO: the warden is gone. */
LP_MUST enum lp_err lp_asks_poll(struct lp_asks *a, int timeout_ms, lp_asks_answer *cb);

/* Sends what was put: all of it before the worker sleeps; before it does something else than
 * asking, what the warden may need by then. While a replay has the warden at work for long
 * anyway, that is nothing until there are several to be sent at once.
 * LP_E_IO: the warden is gone. */
LP_MUST enum lp_err lp_asks_flush(struct lp_asks *a, bool all);

/* Readable when there are answers to take in. */
int lp_asks_fd(const struct lp_asks *a);

bool lp_asks_full(const struct lp_asks *a);
size_t lp_asks_pending(const struct lp_asks *a);

/* A replay has asked so much that the warden is at work for a while: better to sleep until there
 * are several answers than to be woken by each, for the core on which that happens is the
 * warden's, too. So many milliseconds, at the pace of late; 0: not so. For who is about to
 * sleep. */
int lp_asks_doze(struct lp_asks *a);

enum { LP_ASKS_DOZE_MS = 20 }; /* at most */

void lp_asks_stats(const struct lp_asks *a, struct lp_asks_stats *out);

#endif
