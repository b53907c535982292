#define _POSIX_C_SOURCE 200809L

#include "plugins/sink.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int complain(struct lp_sink *s, const char *what, int error)
{
	char line[512];

	if (!s->failed) {
		snprintf(line, sizeof line, "%s %s: %s", what, s->name ? s->name : "output",
			 strerror(error));
		s->host->log(s->host, line);
	}
	s->failed = 1;
	return -1;
}

static int begin(struct lp_sink *s, const struct lp_host *host, const char *name)
{
	*s = (struct lp_sink){ .host = host, .dirfd = -1, .fd = -1 };
	s->name = strdup(name);
	s->buffer = malloc(LP_SINK_BUFFER);
	if (!s->name || !s->buffer)
		return complain(s, "cannot open", ENOMEM);
	return 0;
}

static int settle(struct lp_sink *s, int fd)
{
	s->fd = fd;
	s->each_line = s->host->live || isatty(fd);
	return 0;
}

static int abandon(struct lp_sink *s)
{
	lp_sink_close(s);
	return -1;
}

int lp_sink_take(struct lp_sink *s, const struct lp_host *host, int fd, const char *name)
{
	if (begin(s, host, name)) {
		if (fd > STDERR_FILENO)
			close(fd);
		return abandon(s);
	}
	return settle(s, fd);
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

int lp_sink_open(struct lp_sink *s, const struct lp_host *host, const char *path)
{
	const int flags = O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOCTTY;
	int fd;

	if (!strcmp(path, "-"))
		return lp_sink_take(s, host, STDOUT_FILENO, "standard output");
	if (begin(s, host, path))
		return abandon(s);
	if (open_folder(s) || (fd = openat(s->dirfd, s->base, flags, 0600)) < 0) {
		complain(s, "cannot write", errno);
		return abandon(s);
	}
	return settle(s, fd);
}

static int write_out(struct lp_sink *s, const char *p, size_t n)
{
	while (n) {
		ssize_t w = write(s->fd, p, n);

		if (w < 0 && errno == EAGAIN) {
			/* Somebody made the pipe non-blocking; it is ours to wait for. */
			struct pollfd wait = { .fd = s->fd, .events = POLLOUT };

			(void)poll(&wait, 1, -1);
			continue;
		}
		if (w < 0 && errno == EINTR)
			continue;
		if (w < 0)
			return complain(s, "cannot write", errno);
		p += w;
		n -= (size_t)w;
	}
	return 0;
}

int lp_sink_flush(struct lp_sink *s)
{
	size_t n = s->n;

	s->n = 0;
	if (s->failed)
		return -1;
	return write_out(s, s->buffer, n);
}

int lp_sink_write(struct lp_sink *s, const void *p, size_t n)
{
	if (n > LP_SINK_BUFFER - s->n && lp_sink_flush(s))
		return -1;
	if (s->failed)
		return -1;
	if (n > LP_SINK_BUFFER)
		return write_out(s, p, n);
	if (n)
		memcpy(s->buffer + s->n, p, n);
	s->n += n;
	return 0;
}

int lp_sink_print(struct lp_sink *s, const char *format, ...)
{
	char line[4096];
	va_list args;
	int n;

	va_start(args, format);
	n = vsnprintf(line, sizeof line, format, args);
	va_end(args);
	if (n < 0)
		return complain(s, "cannot format for", errno);
	if ((size_t)n >= sizeof line) {
		n = sizeof line - 1;
		line[n - 1] = '\n';
	}
	return lp_sink_write(s, line, (size_t)n);
}

int lp_sink_line(struct lp_sink *s)
{
	return s->each_line ? lp_sink_flush(s) : 0;
}

int lp_sink_reopen(struct lp_sink *s)
{
	const int flags = O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOCTTY | O_NONBLOCK;
	struct stat st;
	int fd;

	if (lp_sink_flush(s))
		return -1;
	if (!s->base || fstat(s->fd, &st) || !S_ISREG(st.st_mode))
		return 0;
	fd = openat(s->dirfd, s->base, flags, 0600);
	if (fd < 0)
		return complain(s, "cannot reopen", errno);
	close(s->fd);
	s->fd = fd;
	return 0;
}

int lp_sink_close(struct lp_sink *s)
{
	if (s->fd >= 0)
		lp_sink_flush(s);
	if (s->fd > STDERR_FILENO && close(s->fd))
		complain(s, "cannot write", errno);
	if (s->dirfd >= 0)
		close(s->dirfd);
	free(s->name);
	free(s->base);
	free(s->buffer);
	s->fd = s->dirfd = -1;
	s->name = s->base = s->buffer = NULL;
	return s->failed ? -1 : 0;
}
