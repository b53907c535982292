/* The file of a sink: opening, faults and what comes after them, rotation, close. */
#define _POSIX_C_SOURCE 200809L

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/secret.h"
#include "plugins/sink.h"

/* How long a reader may take for what is left when limpid ends. */
enum { CLOSE_MS = 2000 };

static int say(const struct lp_sink *s, const char *what, int error, const char *then)
{
	char line[512];

	snprintf(line, sizeof line, "%s %s: %s%s", what, s->name ? s->name : "output",
		 strerror(error), then);
	s->host->log(s->host, line);
	return -1;
}

static void say_lost(struct lp_sink *s, const char *what)
{
	char line[512];

	snprintf(line, sizeof line, "%s%s: %llu %s%s lost", s->name, what,
		 (unsigned long long)(s->lost - s->told), s->unit,
		 s->lost - s->told == 1 ? " was" : "s were");
	s->host->log(s->host, line);
	s->told = s->lost;
}

/* ---- opening ---- */

static int begin(struct lp_sink *s, const struct lp_host *host, const char *name,
		 const char *unit)
{
	*s = (struct lp_sink){ .host = host, .unit = unit, .dirfd = -1, .fd = -1 };
	s->name = strdup(name);
	s->buffer = malloc(LP_SINK_BUFFER);
	s->size = LP_SINK_BUFFER;
	if (s->name && s->buffer)
		return 0;
	s->failed = s->dead = 1;
	return say(s, "cannot open", ENOMEM, "");
}

static int settle(struct lp_sink *s, int fd)
{
	struct stat st;

	s->fd = fd;
	s->regular = !fstat(fd, &st) && S_ISREG(st.st_mode);
	s->queue = s->host->live && !s->regular;
	s->each_line = s->host->live || isatty(fd);
	return 0;
}

static int abandon(struct lp_sink *s)
{
	s->dead = 1;
	lp_sink_close(s);
	return -1;
}

int lp_sink_take(struct lp_sink *s, const struct lp_host *host, int fd, const char *name,
		 const char *unit)
{
	if (begin(s, host, name, unit)) {
		if (fd > STDERR_FILENO)
			close(fd);
		return abandon(s);
	}
	return settle(s, fd);
}

int lp_sink_take_at(struct lp_sink *s, const struct lp_host *host, int fd, int dirfd,
		    const char *name, const char *unit)
{
	if (lp_sink_take(s, host, fd, name, unit))
		return -1;
	s->own_name = 1;
	s->base = strdup(name);
	s->dirfd = fcntl(dirfd, F_DUPFD_CLOEXEC, 0);
	if (s->base && s->dirfd >= 0)
		return 0;
	say(s, "cannot open", s->base ? errno : ENOMEM, "");
	return abandon(s);
}

static int open_folder(struct lp_sink *s)
{
	const char *slash = strrchr(s->name, '/');
	char *folder;

	s->base = strdup(slash ? slash + 1 : s->name);
	folder = slash ? strndup(s->name, (size_t)(slash - s->name) + 1) : strdup(".");
	if (s->base && folder)
		s->dirfd = openat(s->host->dirfd, folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	else
		errno = ENOMEM;
	free(folder);
	return s->dirfd < 0 ? -1 : 0;
}

static int open_name(struct lp_sink *s, int flags)
{
	flags |= O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOCTTY;
	if (s->own_name)
		flags |= O_NOFOLLOW;
	return openat(s->dirfd, s->base, flags, 0600);
}

int lp_sink_open(struct lp_sink *s, const struct lp_host *host, const char *path,
		 const char *unit)
{
	int fd;

	if (!strcmp(path, "-"))
		return lp_sink_take(s, host, STDOUT_FILENO, "standard output", unit);
	if (begin(s, host, path, unit))
		return abandon(s);
	if (open_folder(s) || (fd = open_name(s, O_TRUNC)) < 0) {
		say(s, "cannot write", errno, "");
		return abandon(s);
	}
	return settle(s, fd);
}

static int write_header(struct lp_sink *s)
{
	if (!s->header_n)
		return 0;
	return lp_sink_write(s, s->header, s->header_n) || lp_sink_end(s) ? -1 : 0;
}

int lp_sink_header(struct lp_sink *s, const void *p, size_t n)
{
	int bad;

	memcpy(s->header, p, n);
	s->header_n = n;
	s->plain = 1;
	bad = write_header(s) || lp_sink_flush(s);
	s->plain = 0;
	return bad ? -1 : 0;
}

/* ---- faults ---- */

/* Cuts a piece that was written in part off again, and keeps in mind how much of
 * the file is whole. */
static void cut_tail(struct lp_sink *s)
{
	struct stat st;
	off_t end;

	s->keep = s->tail = -1;
	if (!s->regular || fstat(s->fd, &st))
		return;
	end = lseek(s->fd, 0, SEEK_CUR);
	if (end != st.st_size || end < (off_t)s->part)
		return;
	s->dev = st.st_dev;
	s->ino = st.st_ino;
	s->tail = end;
	s->keep = end - (off_t)s->part;
	if (s->part && !ftruncate(s->fd, s->keep))
		(void)lseek(s->fd, s->keep, SEEK_SET);
}

int lp_sink_fault(struct lp_sink *s, int error)
{
	s->failed = 1;
	if (s->fd >= 0)
		cut_tail(s);
	if (!s->host->live || !s->base || s->plain) {
		say(s, "cannot write", error,
		    s->host->live || s->plain ? "" : "; the replay stops here");
		s->dead = 1;
		return -1;
	}
	if (!s->outage)
		say(s, "cannot write", error, "; tried again every 5 s");
	s->outage = 1;
	s->stopped = 1;
	s->retry_ns = 0;
	s->breaks++;
	s->lost += s->ends_n - s->ends_at;
	if (s->n > s->whole)
		s->skipping = 1; /* counted when it ends */
	lp_sink_forget(s);
	if (!s->regular) {
		close(s->fd); /* so that a pipe forgets what nobody has read */
		s->fd = -1;
	}
	return 0;
}

void lp_sink_works(struct lp_sink *s)
{
	s->outage = 0;
	say_lost(s, " can be written again");
}

/* The same file up to its last whole piece, or an empty one. */
static int can_go_on(const struct lp_sink *s, int fd, int *empty)
{
	struct stat st;

	*empty = 1;
	if (fstat(fd, &st))
		return 0;
	if (!S_ISREG(st.st_mode))
		return !s->regular;
	*empty = !st.st_size;
	if (*empty)
		return 1;
	if (s->keep < 0 || st.st_dev != s->dev || st.st_ino != s->ino)
		return 0;
	return st.st_size == s->keep || (st.st_size == s->tail && !ftruncate(fd, s->keep));
}

static void try_again(struct lp_sink *s)
{
	/* A FIFO without a reader is no reason to wait. */
	int fd = open_name(s, O_NONBLOCK);
	uint64_t lost;
	int empty;

	if (fd < 0)
		return;
	if (!can_go_on(s, fd, &empty)) {
		close(fd);
		return;
	}
	if (s->fd > STDERR_FILENO)
		close(s->fd);
	settle(s, fd);
	s->stopped = 0;
	lost = s->lost;
	if (empty && (write_header(s) || lp_sink_flush(s) || s->stopped))
		s->lost = lost; /* a header is no loss */
}

int lp_sink_tick(struct lp_sink *s, uint64_t now_ns)
{
	if (!s->host->live)
		return 0;
	if (!s->stopped)
		return lp_sink_flush(s);
	if (!s->retry_ns) {
		s->retry_ns = now_ns + LP_SINK_RETRY_NS;
	} else if (now_ns >= s->retry_ns) {
		s->retry_ns = now_ns + LP_SINK_RETRY_NS;
		try_again(s);
	}
	return 0;
}

/* ---- rotation and the end ---- */

int lp_sink_reopen(struct lp_sink *s)
{
	struct stat old, new;
	int fd;

	if (lp_sink_flush(s))
		return -1;
	if (s->stopped) {
		try_again(s);
		return 0;
	}
	if (!s->base || !s->regular)
		return 0;
	fd = open_name(s, O_NONBLOCK);
	if (fd < 0 || fstat(s->fd, &old) || fstat(fd, &new)) {
		say(s, "cannot reopen", errno, "; goes on in the old file");
		s->failed = 1;
		if (fd >= 0)
			close(fd);
		return 0;
	}
	/* Not moved away; or a file with a header of its own, which is not ours to
	 * continue. */
	if ((old.st_dev == new.st_dev && old.st_ino == new.st_ino) ||
	    (s->header_n && new.st_size)) {
		close(fd);
		return 0;
	}
	close(s->fd);
	settle(s, fd);
	s->breaks++;
	return write_header(s) || lp_sink_flush(s) ? -1 : 0;
}

/* A reader of a live capture gets a moment for what is left. */
static void drain(struct lp_sink *s)
{
	uint64_t until = lp_clock_mono() + CLOSE_MS * LP_NS_PER_MS;
	uint64_t now;

	while (!lp_sink_flush(s) && s->at < s->whole && (now = lp_clock_mono()) < until) {
		struct pollfd fd = { .fd = s->fd, .events = POLLOUT };

		(void)poll(&fd, 1, (int)((until - now) / LP_NS_PER_MS) + 1);
	}
	if (!s->dead)
		s->lost += s->ends_n - s->ends_at;
}

int lp_sink_close(struct lp_sink *s)
{
	s->plain = 1;
	if (s->fd >= 0 && !s->dead && !lp_sink_end(s) && !s->stopped)
		drain(s);
	if (s->fd > STDERR_FILENO && close(s->fd) && !s->failed) {
		s->failed = 1;
		say(s, "cannot write", errno, "");
	}
	if (s->lost > s->told)
		say_lost(s, "");
	if (s->dirfd >= 0)
		close(s->dirfd);
	if (s->buffer)
		lp_wipe(s->buffer, s->size);
	free(s->name);
	free(s->base);
	free(s->buffer);
	free(s->ends);
	s->fd = s->dirfd = -1;
	s->name = s->base = s->buffer = NULL;
	s->ends = NULL;
	return s->failed ? -1 : 0;
}
