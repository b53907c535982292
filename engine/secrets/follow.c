#define _GNU_SOURCE
#include "secrets/follow.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"

struct lp_follow {
	int dir, fd;       /* -1: none */
	bool follow;
	bool regular;
	bool told;         /* that it cannot be opened again */
	unsigned mode;
	dev_t dev;
	ino_t ino;
	uint64_t at;       /* bytes read of a regular file */
	const char *base;  /* in path */
	char name[256];    /* escaped */
	char path[];
};

/* Takes fd as the file that is read. */
static int begin(struct lp_follow *f, int fd)
{
	struct stat st;

	if (fstat(fd, &st))
		return -1;
	if (S_ISDIR(st.st_mode)) {
		errno = EISDIR;
		return -1;
	}
	f->regular = S_ISREG(st.st_mode);
	/* A pipe that is not followed is read to its end, as by cat. */
	if (!f->regular && !f->follow && fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) & ~O_NONBLOCK))
		return -1;
	f->mode = f->regular ? st.st_mode & 07777 : 0;
	f->dev = st.st_dev;
	f->ino = st.st_ino;
	f->at = 0;
	f->fd = fd;
	return 0;
}

static int open_base(const struct lp_follow *f)
{
	return openat(f->dir, f->base, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
}

static int open_first(struct lp_follow *f)
{
	int fd;

	if (!*f->base) {
		errno = EISDIR;
		return -1;
	}
	/* The directory's own name ends before base. */
	if (f->base == f->path) {
		f->dir = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);
	} else {
		char kept = *f->base;

		f->path[f->base - f->path] = '\0';
		f->dir = open(f->path, O_PATH | O_DIRECTORY | O_CLOEXEC);
		f->path[f->base - f->path] = kept;
	}
	if (f->dir < 0)
		return -1;
	fd = open_base(f);
	if (fd < 0)
		return f->follow && errno == ENOENT ? 0 : -1;
	if (!begin(f, fd))
		return 0;
	(void)close(fd);
	return -1;
}

enum lp_err lp_follow_open(struct lp_follow **out, const char *path, bool follow, char *why)
{
	size_t n = strlen(path) + 1;
	struct lp_follow *f = calloc(1, sizeof *f + n);
	const char *slash;

	*out = NULL;
	if (!f) {
		snprintf(why, LP_FOLLOW_WHY, "%s", lp_err_text(LP_E_NOMEM));
		return LP_E_NOMEM;
	}
	memcpy(f->path, path, n);
	slash = strrchr(f->path, '/');
	f->base = slash ? slash + 1 : f->path;
	f->dir = -1;
	f->fd = -1;
	f->follow = follow;
	lp_text_escape(f->name, sizeof f->name, path, n - 1);
	if (open_first(f)) {
		snprintf(why, LP_FOLLOW_WHY, "%s: %s", f->name, strerror(errno));
		lp_follow_close(f);
		return LP_E_IO;
	}
	*out = f;
	return LP_OK;
}

void lp_follow_close(struct lp_follow *f)
{
	if (!f)
		return;
	if (f->fd >= 0)
		(void)close(f->fd);
	if (f->dir >= 0)
		(void)close(f->dir);
	free(f);
}

const char *lp_follow_name(const struct lp_follow *f)
{
	return f->name;
}

bool lp_follow_absent(const struct lp_follow *f)
{
	return f->fd < 0;
}

unsigned lp_follow_mode(const struct lp_follow *f)
{
	return f->mode;
}

/* Another file stands at the name: the old one has been read to its end. */
static bool replaced(struct lp_follow *f)
{
	struct stat st;
	int fd;

	if (fstatat(f->dir, f->base, &st, 0) ||
	    (f->fd >= 0 && st.st_dev == f->dev && st.st_ino == f->ino))
		return false;
	fd = open_base(f);
	if (fd < 0) {
		if (!f->told)
			lp_log("%s: %s", f->name, strerror(errno));
		f->told = true;
		return false;
	}
	if (f->fd >= 0)
		(void)close(f->fd);
	f->fd = -1;
	if (begin(f, fd)) {
		(void)close(fd);
		return false;
	}
	f->told = false;
	return true;
}

/* Shorter than what was read of it: it was emptied and is written anew. */
static bool truncated(struct lp_follow *f)
{
	struct stat st;

	if (!f->regular || fstat(f->fd, &st) || (uint64_t)st.st_size >= f->at)
		return false;
	f->at = 0;
	return lseek(f->fd, 0, SEEK_SET) == 0;
}

enum lp_err lp_follow_read(struct lp_follow *f, void *room, size_t size, bool thorough, size_t *n,
			   bool *anew)
{
	ssize_t got = 0;

	*n = 0;
	*anew = false;
	for (;;) {
		got = f->fd < 0 ? 0 : read(f->fd, room, size);
		if (got < 0 && errno == EINTR)
			continue;
		if (got)
			break;
		if (!f->follow)
			return LP_EOF;
		if (!(f->fd >= 0 && truncated(f)) && !(thorough && replaced(f)))
			return LP_MORE;
		*anew = true;
	}
	if (got < 0)
		return errno == EAGAIN ? LP_MORE : LP_E_IO;
	f->at += (uint64_t)got;
	*n = (size_t)got;
	return LP_OK;
}
