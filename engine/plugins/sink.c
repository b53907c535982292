#define _POSIX_C_SOURCE 200809L

#include "plugins/sink.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/terminal.h"

/* A pipe that is ready takes this much without waiting (PIPE_BUF of POSIX.1 is at
 * least 512; on Linux a free slot of a pipe is a page). */
enum { PIPE_CHUNK = 4096 };

/* What is seldom needed, kept out of what is called for each piece. */
#define APART __attribute__((noinline))

/* Every byte before `whole` is written. */
static void shift(struct lp_sink *s)
{
	if (s->at) {
		memmove(s->buffer, s->buffer + s->at, s->n - s->at);
		for (size_t i = s->ends_at; i < s->ends_n; i++)
			s->ends[i - s->ends_at] = s->ends[i] - (uint32_t)s->at;
		s->ends_n -= s->ends_at;
		s->ends_at = 0;
		s->n -= s->at;
		s->whole -= s->at;
		s->at = 0;
	}
	if (!s->n && s->size > LP_SINK_BUFFER) {
		char *less = realloc(s->buffer, LP_SINK_BUFFER);

		if (less) {
			s->buffer = less;
			s->size = LP_SINK_BUFFER;
		}
	}
}

void lp_sink_forget(struct lp_sink *s)
{
	s->at = s->n = s->whole = 0;
	s->ends_at = s->ends_n = 0;
	s->part = 0;
}

static void advance(struct lp_sink *s, size_t n)
{
	s->at += n;
	s->part += n;
	while (s->ends_at < s->ends_n && s->ends[s->ends_at] <= s->at)
		s->part = s->at - s->ends[s->ends_at++];
}

static int ready(const struct lp_sink *s)
{
	struct pollfd fd = { .fd = s->fd, .events = POLLOUT };

	return poll(&fd, 1, 0) > 0;
}

int lp_sink_flush(struct lp_sink *s)
{
	if (s->dead)
		return -1;
	while (s->at < s->whole) {
		size_t n = s->whole - s->at;
		ssize_t w;

		if (s->queue) {
			n = n < PIPE_CHUNK ? n : PIPE_CHUNK;
			if (!ready(s))
				return 0;
		}
		lp_terminal_clear();
		w = write(s->fd, s->buffer + s->at, n);
		if (w < 0 && errno == EINTR)
			continue;
		if (w < 0 && errno == EAGAIN) {
			/* Somebody made the pipe non-blocking; it is ours to wait for. */
			struct pollfd wait = { .fd = s->fd, .events = POLLOUT };

			if (s->queue)
				return 0;
			(void)poll(&wait, 1, -1);
			continue;
		}
		if (w < 0)
			return lp_sink_fault(s, errno);
		advance(s, (size_t)w);
		if (s->outage && !s->part)
			lp_sink_works(s);
	}
	shift(s);
	return 0;
}

/* The piece that goes on has no place. */
static int skip_piece(struct lp_sink *s, const char *why)
{
	char line[512];

	s->n = s->whole;
	s->skipping = 1;
	if (!s->slow) {
		snprintf(line, sizeof line, "%s %s: %ss are dropped", s->name, why, s->unit);
		s->host->log(s->host, line);
	}
	s->slow = 1;
	return 0;
}

static int grow(struct lp_sink *s, size_t need)
{
	size_t want = s->size;
	char *more;

	while (want - s->n < need && want <= UINT32_MAX / 2)
		want *= 2;
	if (s->host->live && want > LP_SINK_QUEUE)
		return skip_piece(s, "is read too slowly");
	more = want - s->n < need ? NULL : realloc(s->buffer, want);
	if (!more)
		return s->host->live ? skip_piece(s, "is left behind, memory is short")
				     : lp_sink_fault(s, ENOMEM);
	s->buffer = more;
	s->size = want;
	return 0;
}

/* What there is room for. */
static inline int take(struct lp_sink *s, size_t n, uint8_t **room)
{
	*room = (uint8_t *)s->buffer + s->n;
	s->n += n;
	return 0;
}

static APART int make_room(struct lp_sink *s, size_t need, uint8_t **room)
{
	if (lp_sink_flush(s))
		return -1;
	if (s->stopped) {
		s->skipping = 1;
		return 0;
	}
	/* Only when that frees a good part: a slow reader takes little at a time. */
	if (s->n - s->at <= 3 * s->at)
		shift(s);
	if (need > s->size - s->n && grow(s, need))
		return -1;
	return s->skipping ? 0 : take(s, need, room);
}

int lp_sink_room(struct lp_sink *s, size_t n, uint8_t **room)
{
	*room = NULL;
	if (s->dead)
		return -1;
	if (s->stopped)
		s->skipping = 1;
	if (s->skipping)
		return 0;
	return n > s->size - s->n ? make_room(s, n, room) : take(s, n, room);
}

int lp_sink_write(struct lp_sink *s, const void *p, size_t n)
{
	uint8_t *room;

	if (lp_sink_room(s, n, &room))
		return -1;
	if (room && n)
		memcpy(room, p, n);
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
		return lp_sink_fault(s, errno);
	if ((size_t)n >= sizeof line) {
		n = sizeof line - 1;
		line[n - 1] = '\n';
	}
	return lp_sink_write(s, line, (size_t)n);
}

static APART int more_ends(struct lp_sink *s)
{
	size_t size = s->ends_size ? 2 * s->ends_size : 64;
	uint32_t *more = realloc(s->ends, size * sizeof *more);

	if (!more)
		return -1;
	s->ends = more;
	s->ends_size = size;
	return 0;
}

static int note_end(struct lp_sink *s)
{
	if (s->ends_n == s->ends_size && more_ends(s))
		return -1;
	s->ends[s->ends_n++] = (uint32_t)s->n;
	return 0;
}

int lp_sink_end(struct lp_sink *s)
{
	if (s->dead)
		return -1;
	if (!s->skipping && s->n > s->whole && note_end(s)) {
		if (!s->host->live)
			return lp_sink_fault(s, ENOMEM);
		(void)skip_piece(s, "is left behind, memory is short");
	}
	if (s->skipping) {
		s->skipping = 0;
		s->n = s->whole;
		s->lost++;
		return 0;
	}
	s->whole = s->n;
	return 0;
}

int lp_sink_line(struct lp_sink *s)
{
	if (lp_sink_end(s))
		return -1;
	return s->each_line ? lp_sink_flush(s) : 0;
}

void lp_sink_skip(struct lp_sink *s, uint64_t pieces)
{
	s->lost += pieces;
}
