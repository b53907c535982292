#define _POSIX_C_SOURCE 200809L

#include "plugins/filepool.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

void lp_filepool_init(struct lp_filepool *pool, int dirfd, unsigned max)
{
	*pool = (struct lp_filepool){ .dirfd = dirfd, .max = max };
}

static int fault(struct lp_filepool *pool, const struct lp_pool_file *f)
{
	snprintf(pool->name, sizeof pool->name, "%s", f->name);
	return -1;
}

static void unlink_file(struct lp_filepool *pool, struct lp_pool_file *f)
{
	if (f->newer)
		f->newer->older = f->older;
	else
		pool->newest = f->older;
	if (f->older)
		f->older->newer = f->newer;
	else
		pool->oldest = f->newer;
	f->newer = f->older = NULL;
}

static void link_newest(struct lp_filepool *pool, struct lp_pool_file *f)
{
	f->newer = NULL;
	f->older = pool->newest;
	if (pool->newest)
		pool->newest->newer = f;
	else
		pool->oldest = f;
	pool->newest = f;
}

/* close() is where some file systems report what they could not write. */
static int close_file(struct lp_filepool *pool, struct lp_pool_file *f)
{
	int fd = f->fd;

	unlink_file(pool, f);
	f->fd = -1;
	pool->open--;
	return close(fd) ? fault(pool, f) : 0;
}

static int open_file(struct lp_filepool *pool, struct lp_pool_file *f, int flags)
{
	if (pool->open >= pool->max && close_file(pool, pool->oldest))
		return -1;
	f->fd = openat(pool->dirfd, f->name,
		       O_WRONLY | O_APPEND | O_NOFOLLOW | O_CLOEXEC | O_NOCTTY | flags, 0600);
	if (f->fd < 0)
		return fault(pool, f);
	pool->open++;
	link_newest(pool, f);
	return 0;
}

int lp_filepool_make(struct lp_filepool *pool, struct lp_pool_file *f, const char *name)
{
	struct stat st;

	*f = (struct lp_pool_file){ .fd = -1 };
	snprintf(f->name, sizeof f->name, "%s", name);
	if (open_file(pool, f, O_CREAT | O_EXCL)) {
		f->gone = errno == EEXIST;
		return -1;
	}
	if (fstat(f->fd, &st))
		return fault(pool, f);
	f->made = 1;
	f->dev = st.st_dev;
	f->ino = st.st_ino;
	return 0;
}

static int reopen_file(struct lp_filepool *pool, struct lp_pool_file *f)
{
	struct stat st;

	if (open_file(pool, f, O_NONBLOCK)) {
		f->gone = errno == ENOENT || errno == ELOOP;
		return -1;
	}
	pool->reopened++;
	if (!fstat(f->fd, &st) && st.st_dev == f->dev && st.st_ino == f->ino)
		return 0;
	/* Somebody put another file in its place. */
	f->gone = 1;
	errno = ESTALE;
	return fault(pool, f);
}

int lp_filepool_append(struct lp_filepool *pool, struct lp_pool_file *f, const void *bytes,
		       size_t n)
{
	const char *p = bytes;

	if (!n)
		return 0;
	if (f->fd < 0) {
		if (reopen_file(pool, f))
			return -1;
	} else if (pool->newest != f) {
		unlink_file(pool, f);
		link_newest(pool, f);
	}
	while (n) {
		ssize_t w = write(f->fd, p, n);

		if (w < 0 && errno == EINTR)
			continue;
		if (w < 0)
			return fault(pool, f);
		p += w;
		n -= (size_t)w;
		f->bytes += (uint64_t)w;
	}
	return 0;
}

int lp_filepool_done(struct lp_filepool *pool, struct lp_pool_file *f)
{
	return f->made && f->fd >= 0 ? close_file(pool, f) : 0;
}

void lp_filepool_clear(struct lp_filepool *pool)
{
	while (pool->oldest)
		(void)close_file(pool, pool->oldest);
}
