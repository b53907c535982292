/* lp_watch: the files and directories that keys come from, looked at again and again.
 *
 * It knows files by what stat says of them. A file that is new or has changed is loaded
 * once it has stayed the same from one look to the next, so that one that is being
 * written is not read half; a file that is gone is told. What a file means is not known
 * here. Looks are cheap (a stat each) and may be 200 ms apart.
 *
 * Nothing is opened after lp_watch_hold() but below the directories that were opened
 * then: for FILE the directory that it lies in, for DIR its parent, so that either may
 * be replaced by another of its name.
 *
 * Owner: the warden; one thread at a time. Bounded: LP_WATCH_FILES in a directory. */
#ifndef LP_WARDEN_WATCH_H
#define LP_WARDEN_WATCH_H

#include "base/cursor.h"

enum { LP_WATCH_FILES = 65536, LP_WATCH_WHY = 512, LP_WATCH_NAME = 256 };

struct lp_watch;

struct lp_watch_cb {
	/* Loads a file; takes fd; shown is its escaped name. tag is the caller's, one for each
	 * file, 0 at first. LP_OK. LP_EOF: it is not one of ours (a line in why), which is no
	 * fault in a directory. LP_E_NOMEM. Any other: a line in why, and what was loaded
	 * before is to stay. */
	enum lp_err (*load)(void *user, unsigned kind, int fd, const char *shown, uint32_t *tag,
			    char why[LP_WATCH_WHY]);
	/* A file of a directory, which was loaded, is gone. */
	void (*gone)(void *user, unsigned kind, const char *shown, uint32_t tag);
	void (*warn)(void *user, const char *line);
};

LP_MUST enum lp_err lp_watch_new(struct lp_watch **out, const struct lp_watch_cb *cb, void *user);
void lp_watch_free(struct lp_watch *w);

/* Reads a file, or all regular files of a directory in the order of their names (not those
 * below it; hidden ones are left alone; links are followed: what counts is what they lead
 * to). kind is the caller's. A file that cannot be used, or a directory without one that
 * can, is a fault. Faults leave a line in why. */
LP_MUST enum lp_err lp_watch_add(struct lp_watch *w, unsigned kind, const char *path,
				 char why[LP_WATCH_WHY]);

/* Files that are in directories now for which load() gave LP_EOF. */
uint32_t lp_watch_skipped(const struct lp_watch *w);

/* Opens the directories. */
LP_MUST enum lp_err lp_watch_hold(struct lp_watch *w, char why[LP_WATCH_WHY]);

/* True if fd is one of those. */
bool lp_watch_holds(const struct lp_watch *w, int fd);

/* Looks at everything; now: reads what has changed without a second look. LP_E_NOMEM. */
LP_MUST enum lp_err lp_watch_look(struct lp_watch *w, bool now);

#endif
