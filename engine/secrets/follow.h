/* lp_follow: the bytes of a file that may grow, shrink, be replaced by another of its
 * name (log rotation), or not be there yet. Regular files, and pipes as a shell's
 * process substitution makes them.
 *
 * Owner: whoever opened it. After lp_follow_open() nothing is opened but the same name
 * below the directory that was opened then. Never blocks, except on a pipe that is not
 * followed. */
#ifndef LP_SECRETS_FOLLOW_H
#define LP_SECRETS_FOLLOW_H

#include "base/cursor.h"

struct lp_follow;

enum { LP_FOLLOW_WHY = 512 };

/* follow: the file may come later, and what is appended to it counts. Else it is read
 * once. LP_E_IO with one line in why (of LP_FOLLOW_WHY bytes), LP_E_NOMEM. */
LP_MUST enum lp_err lp_follow_open(struct lp_follow **out, const char *path, bool follow,
				   char *why);
void lp_follow_close(struct lp_follow *f);

/* The path as an error line shows it. */
const char *lp_follow_name(const struct lp_follow *f);

/* Not there yet. */
bool lp_follow_absent(const struct lp_follow *f);

/* Permission bits of a regular file, else 0. */
unsigned lp_follow_mode(const struct lp_follow *f);

/* Up to size bytes into room. LP_OK: *n > 0; LP_MORE: nothing more now; LP_EOF: nothing
 * will come; LP_E_IO. *anew: what follows is from the start of a file, before it are no
 * bytes. thorough looks also whether another file has taken the name. */
LP_MUST enum lp_err lp_follow_read(struct lp_follow *f, void *room, size_t size, bool thorough,
				   size_t *n, bool *anew);

#endif
