/* lp_progress: how far the replay of a file has come, on a terminal: share, rate and
 * sessions. Nothing is shown where standard error is no terminal, with -q, live, or before
 * a second has passed: what is over that soon needs no bar.
 * Owner: main. One thread. Bytes are those of the files as they lie on the disk. */
#ifndef LP_PROGRESS_H
#define LP_PROGRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { LP_PROGRESS_MS = 200, LP_PROGRESS_SIZE = 160 };

struct lp_progress {
	bool on;
	uint64_t begun_ns, next_ns; /* monotonic */
};

struct lp_progress_state {
	uint64_t done, total; /* bytes; total 0: nobody knows */
	uint64_t sessions;
	uint64_t elapsed_ns;
};

/* wanted: it is a replay, and not to be quiet. */
void lp_progress_init(struct lp_progress *p, bool wanted);

/* True at most every LP_PROGRESS_MS: lp_progress_show() is due. */
bool lp_progress_due(struct lp_progress *p);
void lp_progress_show(const struct lp_progress *p, struct lp_progress_state state);

/* It is over: wipes what stands there. */
void lp_progress_end(struct lp_progress *p);

/* "[########............]  42%  1.2 GB  310 MB/s  1234 sessions"; without a total the bar
 * and the share are left out. */
void lp_progress_text(char out[LP_PROGRESS_SIZE], const struct lp_progress_state *state);

#endif
