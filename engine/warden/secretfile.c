#define _GNU_SOURCE
#include "warden/secretfile.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

LP_PRINTF(3, 4)
static enum lp_err fault(struct lp_secretfile *f, enum lp_err err, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	(void)vsnprintf(f->why, sizeof f->why, format, args);
	va_end(args);
	return err;
}

int lp_secretfile_open(int dir, const char *path)
{
	return openat(dir, path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
}

/* To the length that fstat said. A file that grows meanwhile is being written: it is
 * cut at that, and is looked at again when it has changed. */
static enum lp_err read_all(struct lp_secretfile *f, int fd, size_t size, const char *shown)
{
	size_t n = 0;

	f->bytes.p = lp_secret_alloc(size);
	if (!f->bytes.p)
		return fault(f, LP_E_NOMEM, "out of memory while reading %s", shown);
	f->bytes.n = size;
	while (n < size) {
		ssize_t got = read(fd, f->bytes.p + n, size - n);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return fault(f, LP_E_IO, "%s: %s", shown, strerror(errno));
		if (got == 0)
			return fault(f, LP_E_IO, "%s: changed while it was read", shown);
		n += (size_t)got;
	}
	return LP_OK;
}

enum lp_err lp_secretfile_read(struct lp_secretfile *f, int fd, const char *shown)
{
	struct stat st;
	enum lp_err err;

	f->bytes = (struct lp_secret){ NULL, 0 };
	f->why[0] = '\0';
	if (fstat(fd, &st)) {
		err = fault(f, LP_E_IO, "%s: %s", shown, strerror(errno));
		goto out;
	}
	f->mode = st.st_mode & 07777;
	if (!S_ISREG(st.st_mode))
		err = fault(f, LP_E_ARG, "%s: not a regular file", shown);
	else if (st.st_size > LP_SECRETFILE_MAX)
		err = fault(f, LP_E_FORMAT, "%s: larger than 64 KiB", shown);
	else if (!st.st_size)
		err = fault(f, LP_E_FORMAT, "%s: empty file", shown);
	else
		err = read_all(f, fd, (size_t)st.st_size, shown);
out:
	close(fd);
	if (err)
		lp_secretfile_clear(f);
	return err;
}

void lp_secretfile_clear(struct lp_secretfile *f)
{
	lp_secret_clear(&f->bytes);
}

bool lp_secretfile_exposed(struct lp_secretfile *f, const char *shown, bool strict)
{
	if (!(f->mode & 077))
		return false;
	(void)fault(f, LP_E_ARG, "%s: readable by others (mode %04o)%s", shown, f->mode,
		    strict ? ", refused" : "");
	return true;
}
