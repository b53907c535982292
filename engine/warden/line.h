/* lp_line: a worker's socket to the warden. What is asked of it is in warden.h.
 *
 * Owner: lp_warden. */
#ifndef LP_WARDEN_LINE_H
#define LP_WARDEN_LINE_H

#include "warden/message.h"

struct lp_line_config {
	int fd;       /* the line's from now on */
	size_t room;  /* questions that may be unanswered */
	size_t datagram; /* the longest that may come in */
	/* What is no answer. LP_OK, or the line talks nonsense. */
	enum lp_err (*overhear)(void *user, struct lp_message *m);
	/* The other end is gone, or was given up; called once. */
	void (*ended)(void *user);
	void *user;
};

LP_MUST enum lp_err lp_line_new(struct lp_line **out, const struct lp_line_config *config);
void lp_line_free(struct lp_line *l);

#endif
