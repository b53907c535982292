/* lp_post: brings answers to where they were asked.
 *
 * The engine has a line (a socket) for each of its workers, and each line may have
 * LP_WARDEN_QUEUE / lines questions unanswered, so that none takes the room of the
 * others. Tests have answers held back for a while; a thread for that runs only then.
 *
 * Owner: lp_service. Any thread may call; sending waits while that line's engine side
 * does not read. */
#ifndef LP_WARDEN_POST_H
#define LP_WARDEN_POST_H

#include "base/cursor.h"

struct lp_post;

/* The sockets are borrowed. */
LP_MUST enum lp_err lp_post_new(struct lp_post **out, const int *fd, unsigned lines,
				unsigned delay_ms);

/* What is held back is wiped, not sent. */
void lp_post_free(struct lp_post *p);

/* One more question of a line. False: it has too many without an answer. */
LP_MUST bool lp_post_take(struct lp_post *p, unsigned line);

/* The answers to n that were taken; at most LP_MESSAGE_ANSWERS_ROOM bytes. */
void lp_post_answer(struct lp_post *p, unsigned line, size_t n, lp_span datagram);

/* What is no such answer; never held back. */
void lp_post_say(struct lp_post *p, unsigned line, lp_span datagram);

#endif
