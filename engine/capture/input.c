#define _GNU_SOURCE
#include "capture/input.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/secret.h"
#include "capture/capture.h"
#include "capture/unpack.h"

enum {
	FIRST_SIZE = 1 << 18,     /* of a stream's buffer: a pipe's worth, a few times */
	READ_SIZE = 1 << 16,      /* of one read, what a pipe holds; unpack.c takes one */
	FAULT_AHEAD = 1 << 20,    /* mapped bytes whose pages are asked for at once */
	SMALL_PAGE = 1 << 12,     /* … each: of the smallest size there is */
	GIVE_BACK = 1 << 23,      /* mapped bytes read before their pages are given back */
	LENT_STEP = 1 << 22,      /* … or others have */
	AGAIN = 1 << 26,          /* … and those once more that came back since */
};

static enum lp_err fail(struct lp_input *in, enum lp_err err)
{
	in->wrong = strerror(errno);
	return err;
}

/* The window of a stream is in->buf[at .. at + n), want bytes long one day. */
static enum lp_err make_room(struct lp_input *in, size_t want)
{
	size_t at = in->buf && in->n ? (size_t)(in->p - in->buf) : 0;
	size_t size = in->size ? in->size : FIRST_SIZE;
	uint8_t *buf;

	if (want > LP_INPUT_MAX)
		return LP_E_LIMIT;
	while (size < want)
		size *= 2;
	if (size > in->size) {
		buf = malloc(size);
		if (!buf)
			return LP_E_NOMEM;
		if (in->n)
			memcpy(buf, in->p, in->n);
		lp_wipe(in->buf, in->size);
		free(in->buf);
		in->buf = buf;
		in->size = size;
	} else if (at && (in->size - at < want || at + in->n == in->size)) {
		memmove(in->buf, in->p, in->n);
	} else {
		in->p = in->buf + at;
		return LP_OK;
	}
	in->p = in->buf;
	return LP_OK;
}

/* Reads up to n > 0 bytes: LP_OK, LP_MORE (silent), LP_EOF, LP_E_IO. */
static enum lp_err read_some(struct lp_input *in, uint8_t *to, size_t n, size_t *got)
{
	struct pollfd p = { .fd = in->fd, .events = POLLIN };
	ssize_t rc;

	*got = 0;
	if (in->poll) {
		rc = poll(&p, 1, LP_INPUT_POLL_MS);
		in->signaled = rc < 0 && errno == EINTR;
		if (rc < 0 && !in->signaled)
			return fail(in, LP_E_IO);
		if (rc <= 0)
			return LP_MORE;
	}
	rc = read(in->fd, to, n);
	if (rc < 0 && (errno == EINTR || errno == EAGAIN))
		return LP_MORE;
	if (rc < 0)
		return fail(in, LP_E_IO);
	*got = (size_t)rc;
	return rc ? LP_OK : LP_EOF;
}

/* One attempt to put unpacked bytes at to. */
static enum lp_err unpack_some(struct lp_input *in, uint8_t *to, size_t n, size_t *got)
{
	enum lp_err err = lp_unpack_step(in->unpack, to, n, got, &in->wrong);
	uint8_t *room;
	size_t some;

	while (err == LP_MORE) {
		room = lp_unpack_room(in->unpack, &some);
		err = read_some(in, room, some, &some);
		if (err == LP_EOF && !lp_unpack_whole(in->unpack)) {
			in->wrong = "the compressed file is cut short";
			return LP_E_TRUNCATED;
		}
		if (err)
			return err;
		lp_unpack_commit(in->unpack, some);
		err = lp_unpack_step(in->unpack, to, n, got, &in->wrong);
	}
	return err;
}

enum lp_err lp_input_fill(struct lp_input *in, size_t want)
{
	uint8_t *room;
	size_t n, got;
	enum lp_err err;

	if (in->ended)
		return LP_EOF;
	if (want <= in->n)
		want = in->n + 1;
	err = make_room(in, want);
	if (err)
		return err;
	room = in->buf + (in->p - in->buf) + in->n;
	n = in->size - (size_t)(room - in->buf);
	if (n > READ_SIZE && want <= in->n + READ_SIZE)
		n = READ_SIZE;
	err = in->unpack ? unpack_some(in, room, n, &got) : read_some(in, room, n, &got);
	if (err == LP_EOF)
		in->ended = true;
	else if (!err)
		in->n += got;
	return err;
}

enum lp_err lp_input_wait(struct lp_input *in, size_t want)
{
	enum lp_err err = LP_OK;

	while (in->n < want && err >= LP_OK && err != LP_EOF) {
		in->signaled = false;
		err = lp_input_fill(in, want);
		if (in->signaled) {
			in->wrong = "interrupted";
			return LP_E_IO;
		}
	}
	return in->n < want ? err : LP_OK;
}

/* Reads the first bytes of a stream and, if it is compressed, puts the unpacking
 * between. */
static enum lp_err start_stream(struct lp_input *in)
{
	enum lp_err err = lp_input_wait(in, LP_UNPACK_MAGIC);
	enum lp_unpack_kind kind;
	uint8_t *room;
	size_t n;

	if (err < 0)
		return err;
	kind = lp_unpack_kind_of(in->p, in->n);
	if (kind == LP_UNPACK_NONE)
		return LP_OK;
	in->unpack = lp_unpack_new(kind);
	if (!in->unpack)
		return LP_E_NOMEM;
	room = lp_unpack_room(in->unpack, &n);
	assert(in->n <= n);
	memcpy(room, in->p, in->n);
	lp_unpack_commit(in->unpack, in->n);
	in->n = 0;
	in->ended = false;
	return LP_OK;
}

/* Maps a regular file that is not compressed, from where it is read now on;
 * false if that is not possible and the file is to be read as a stream. */
static bool map_file(struct lp_input *in, off_t size)
{
	uint8_t magic[LP_UNPACK_MAGIC];
	off_t at = lseek(in->fd, 0, SEEK_CUR);
	ssize_t n = at < 0 ? -1 : pread(in->fd, magic, sizeof magic, at);
	void *map;

	if (n <= 0 || at >= size || (uintmax_t)size > SIZE_MAX)
		return false;
	if (lp_unpack_kind_of(magic, (size_t)n) != LP_UNPACK_NONE)
		return false;
	map = mmap(NULL, (size_t)size, PROT_READ, MAP_PRIVATE, in->fd, 0);
	if (map == MAP_FAILED)
		return false;
	(void)madvise(map, (size_t)size, MADV_SEQUENTIAL);
	in->map = map;
	in->map_size = (size_t)size;
	in->p = in->map + at;
	in->n = (size_t)(size - at);
	in->ended = true;
	return true;
}

enum lp_err lp_input_open(struct lp_input *in, const char *path)
{
	struct stat st;
	enum lp_err err;

	*in = (struct lp_input){ .fd = -1 };
	in->fd = strcmp(path, "-") ? open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY)
				   : fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3);
	if (in->fd < 0)
		return fail(in, errno == ENOENT ? LP_E_NOENT : LP_E_IO);
	if (fstat(in->fd, &st)) {
		err = fail(in, LP_E_IO);
	} else if (S_ISDIR(st.st_mode)) {
		in->wrong = "is a directory, not a capture file";
		err = LP_E_IO;
	} else if (S_ISREG(st.st_mode) && map_file(in, st.st_size)) {
		err = LP_OK;
	} else {
		in->poll = !S_ISREG(st.st_mode);
		err = start_stream(in);
	}
	if (err)
		lp_input_close(in);
	return err;
}

/* Pages that the next packets lie in are mapped before they are looked at: a processor does not
 * fetch ahead what is not mapped. Linux maps those around one that is touched, so most touches
 * only read a byte, which takes two thirds of the time of asking for all with MADV_POPULATE_READ.
 * It maps only what has been read, though, and goes on reading ahead where a page that it marked
 * is touched: who skips pages waits for the disk each time, and needs twice as long. */
static void fault_ahead(struct lp_input *in, size_t at)
{
	size_t end = at + in->n, from = in->map_ready;

	if (from < at)
		from = at / FAULT_AHEAD * FAULT_AHEAD;
	if (from >= end || from > at + FAULT_AHEAD / 2)
		return;
	in->map_ready = end - from < FAULT_AHEAD ? end : from + FAULT_AHEAD;
	for (; from < in->map_ready; from += SMALL_PAGE)
		(void)*(const volatile uint8_t *)(in->map + from);
}

void lp_input_begin(struct lp_input *in)
{
	size_t at, step, keep, give, from;
	struct stat st;

	if (!in->map)
		return;
	at = (size_t)(in->p - in->map);
	if (!fstat(in->fd, &st) && (uintmax_t)st.st_size < at + in->n)
		in->n = (uintmax_t)st.st_size > at ? (size_t)st.st_size - at : 0;
	fault_ahead(in, at);
	/* Otherwise the whole file would come to count as our resident memory. */
	step = in->behind ? LENT_STEP : GIVE_BACK;
	keep = in->map_given + in->behind;
	give = at > keep ? (at - keep) / step * step : 0;
	if (give) {
		from = in->map_given;
		if (in->lends)
			from -= from < AGAIN ? from : AGAIN;
		in->map_given += give;
		(void)madvise(in->map + from, in->map_given - from, MADV_DONTNEED);
	}
}

bool lp_input_lend(struct lp_input *in, size_t behind)
{
	in->lends = in->map != NULL;
	in->behind = behind;
	return in->lends;
}

void lp_input_retire(struct lp_input *in)
{
	if (in->map)
		(void)madvise(in->map, in->map_size, MADV_DONTNEED);
}

void lp_input_position(const struct lp_input *in, uint64_t *done, uint64_t *total)
{
	struct stat st;
	off_t at = 0;
	bool known = !fstat(in->fd, &st) && S_ISREG(st.st_mode);

	if (known && !in->map)
		at = lseek(in->fd, 0, SEEK_CUR);
	known = known && at >= 0;
	*total = known ? (uint64_t)st.st_size : 0;
	*done = !known ? in->offset : in->map ? (uint64_t)(in->p - in->map) : (uint64_t)at;
}

void lp_input_wipe(struct lp_input *in, const uint8_t *p, size_t n)
{
	if (in->buf && n)
		lp_wipe(in->buf + (p - in->buf), n);
}

void lp_input_close(struct lp_input *in)
{
	if (in->map)
		munmap(in->map, in->map_size);
	if (in->buf)
		lp_wipe(in->buf, in->size);
	free(in->buf);
	lp_unpack_free(in->unpack);
	if (in->fd >= 0)
		close(in->fd);
	*in = (struct lp_input){ .fd = -1, .wrong = in->wrong };
}
