#define _GNU_SOURCE
#include "base/terminal.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

enum { COLUMNS = 80, COLUMNS_MAX = 255 };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static atomic_bool stands;

/* ECMA-48: erase to the end of the line. Everything but the dumbest knows it. */
static const char erase[] = "\033[K";

bool lp_terminal_able(void)
{
	const char *term = getenv("TERM");

	return isatty(STDERR_FILENO) && term && strcmp(term, "dumb") != 0 && *term;
}

static int columns(void)
{
	struct winsize size;

	if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) || !size.ws_col)
		return COLUMNS;
	return size.ws_col < COLUMNS_MAX ? size.ws_col : COLUMNS_MAX;
}

/* One write, so that it comes whole. A terminal that takes nothing is nobody's loss. */
static void put(const char *line, int n)
{
	char out[COLUMNS_MAX + sizeof erase + 2];
	int m = snprintf(out, sizeof out, "\r%.*s%s", n, line, erase);

	if (m > 0 && write(STDERR_FILENO, out, (size_t)m) < 0)
		return;
}

void lp_terminal_show(const char *line)
{
	/* A line as wide as the terminal would begin the next. */
	int n = columns() - 1;

	pthread_mutex_lock(&lock);
	put(line, n);
	atomic_store(&stands, true);
	pthread_mutex_unlock(&lock);
}

void lp_terminal_clear(void)
{
	if (!atomic_load_explicit(&stands, memory_order_relaxed))
		return;
	pthread_mutex_lock(&lock);
	if (atomic_exchange(&stands, false))
		put("\r", 0);
	pthread_mutex_unlock(&lock);
}
