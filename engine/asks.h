/* lp_asks: the questions that are out, and to whom their answers go.
 *
 * The warden takes LP_WARDEN_QUEUE questions at once. A replay keeps the others
 * here and stops reading (lp_asks_full); live they wait too, but not longer than
 * 5 seconds and not more than max_waiting: the oldest are shed and answered with
 * nothing.
 *
 * Owner: lp_engine. One thread. */
#ifndef LP_ASKS_H
#define LP_ASKS_H

#include "warden/warden.h"

struct lp_asks;

/* answer NULL: shed, nobody will answer. */
typedef void lp_asks_answer(void *asker, const struct lp_answer *answer);

LP_MUST enum lp_err lp_asks_new(struct lp_asks **out, struct lp_line *line, bool live,
				uint64_t max_waiting);
void lp_asks_free(struct lp_asks *a);

/* asker gets the answer. ask->id is filled in here; what it points to is copied. */
LP_MUST enum lp_err lp_asks_put(struct lp_asks *a, struct lp_ask *ask, void *asker);

/* The asker is gone: its answer is for nobody. */
void lp_asks_forget(struct lp_asks *a, const void *asker);

/* Takes in answers, waiting at most timeout_ms for the first (-1: for ever) if there are
 * any to come, and whatever else the warden says.
 * LP_E_IO: the warden is gone. */
LP_MUST enum lp_err lp_asks_poll(struct lp_asks *a, int timeout_ms, lp_asks_answer *cb);

bool lp_asks_full(const struct lp_asks *a);
size_t lp_asks_pending(const struct lp_asks *a);
uint64_t lp_asks_count(const struct lp_asks *a);
uint64_t lp_asks_shed(const struct lp_asks *a);

#endif
