/* lp_secretfile: the bytes of a file that holds secrets. It must be regular and at most
 * 64 KiB; one that group or others can read or write is said to be so, or refused.
 * Symbolic links are followed: what counts is what was opened.
 *
 * Owner of the bytes: the struct; lp_secretfile_clear(). Faults leave a line in why. */
#ifndef LP_WARDEN_SECRETFILE_H
#define LP_WARDEN_SECRETFILE_H

#include "base/secret.h"

enum { LP_SECRETFILE_MAX = 64 * 1024, LP_SECRETFILE_WHY = 512 };

struct lp_secretfile {
	struct lp_secret bytes;
	unsigned mode;               /* permission bits */
	char why[LP_SECRETFILE_WHY]; /* after a fault; a warning after lp_secretfile_exposed() */
};

/* dir: a directory's descriptor or AT_FDCWD. Never blocks: a FIFO without a writer must
 * not keep us waiting. -1 with errno set. */
LP_MUST int lp_secretfile_open(int dir, const char *path);

/* Takes fd. shown: the name for lines, escaped. LP_E_ARG: not a regular file;
 * LP_E_FORMAT: empty or too large; LP_E_IO; LP_E_NOMEM. */
LP_MUST enum lp_err lp_secretfile_read(struct lp_secretfile *f, int fd, const char *shown);
void lp_secretfile_clear(struct lp_secretfile *f);

/* True: others can read or write it, and why is the line that says so. strict: as a
 * refusal. */
bool lp_secretfile_exposed(struct lp_secretfile *f, const char *shown, bool strict);

#endif
