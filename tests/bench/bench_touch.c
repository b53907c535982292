/* What a file's bytes cost to come out of memory into the processor, once: `touch FILE` prints
 * the bytes and the seconds of CPU time, as fields of tests/bench/table.sh. The pages are mapped
 * outside the measured time; each stretch is read in order, which is the best case. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>

enum { STRETCH = 1 << 20, PAGE = 1 << 12 };

static volatile uint64_t sink; /* or a compiler would see that nobody wants the sum */

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* A word of each cache line; the rest of the line comes with it. */
static uint64_t read_all(const uint8_t *p, size_t n, size_t step)
{
	uint64_t sum = 0, word;

	for (size_t i = 0; i + sizeof word <= n; i += step) {
		memcpy(&word, p + i, sizeof word);
		sum += word;
	}
	return sum;
}

int main(int argc, char **argv)
{
	int fd = argc == 2 ? open(argv[1], O_RDONLY | O_CLOEXEC) : -1;
	struct stat st;
	double spent = 0, begin;
	uint8_t *map;
	size_t size;

	if (fd < 0 || fstat(fd, &st) || !st.st_size) {
		fprintf(stderr, "usage: touch FILE\n");
		return 1;
	}
	size = (size_t)st.st_size;
	map = mmap(NULL, size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (map == MAP_FAILED) {
		perror("touch");
		return 1;
	}
	for (size_t at = 0; at < size; at += STRETCH) {
		size_t n = size - at < STRETCH ? size - at : STRETCH;

		sink += read_all(map + at, n, PAGE);
		begin = now();
		sink += read_all(map + at, n, 64);
		spent += now() - begin;
	}
	printf("%zu %.6f 0 1 0\n", size, spent);
	return 0;
}
