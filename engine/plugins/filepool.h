/* lp_filepool: any number of files that limpid names itself, made below one
 * directory descriptor, of which a bounded number is open at a time: the one
 * written to longest ago is closed, and opened again for append when its turn
 * comes. Files are made with O_EXCL|O_NOFOLLOW and mode 0600; what is found under
 * the name later must be the same file.
 * Owner: its output; lp_filepool_clear(). Functions return 0, or -1 with errno set
 * and the name in pool->name. */
#ifndef LP_PLUGINS_FILEPOOL_H
#define LP_PLUGINS_FILEPOOL_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"

enum { LP_FILEPOOL_NAME = 48 };

/* One file; lives in its owner's memory, which may not move while it is in use. */
struct lp_pool_file {
	char name[LP_FILEPOOL_NAME];
	int fd;                 /* -1: not open just now */
	int made;
	int gone;               /* what stands under its name is not it */
	dev_t dev;
	ino_t ino;
	uint64_t bytes;         /* written so far */
	struct lp_pool_file *newer, *older;
};

struct lp_filepool {
	int dirfd;              /* borrowed */
	unsigned max;           /* open at a time */
	unsigned open;
	uint64_t reopened;      /* times a file had to be opened again */
	struct lp_pool_file *newest, *oldest;
	char name[LP_FILEPOOL_NAME]; /* of the last fault */
};

void lp_filepool_init(struct lp_filepool *pool, int dirfd, unsigned max);

/* Makes the file. f need not be initialised. */
LP_MUST int lp_filepool_make(struct lp_filepool *pool, struct lp_pool_file *f,
			     const char *name);

LP_MUST int lp_filepool_append(struct lp_filepool *pool, struct lp_pool_file *f,
			       const void *p, size_t n);

/* The file gets no more bytes. Harmless on a zeroed f. */
LP_MUST int lp_filepool_done(struct lp_filepool *pool, struct lp_pool_file *f);

/* Closes what is open. */
void lp_filepool_clear(struct lp_filepool *pool);

#endif
