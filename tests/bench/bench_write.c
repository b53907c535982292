/* What a file of that size costs who writes it and does nothing else: `write BYTES FILE` makes the file,
 * in pieces as the engine's outputs have them, and prints the bytes and the seconds of CPU time, as
 * fields of tests/bench/table.sh. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "plugins/sink.h"

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static int write_all(int fd, const char *piece, size_t left)
{
	while (left) {
		const ssize_t n = write(fd, piece, left < LP_SINK_BUFFER ? left : LP_SINK_BUFFER);

		if (n <= 0)
			return -1;
		left -= (size_t)n;
	}
	return 0;
}

int main(int argc, char **argv)
{
	static char piece[LP_SINK_BUFFER];
	const size_t size = argc == 3 ? strtoul(argv[1], NULL, 10) : 0;
	double begin;
	int fd;

	if (!size) {
		fprintf(stderr, "usage: write BYTES FILE\n");
		return 1;
	}
	memset(piece, 'w', sizeof piece);
	begin = now();
	fd = open(argv[2], O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0 || write_all(fd, piece, size) || close(fd)) {
		perror("write");
		return 1;
	}
	printf("%zu %.6f 0 1 0\n", size, now() - begin);
	return 0;
}
