/* The input as a capture file, mapped and through a pipe in lumps: the same
 * packets, secrets and end. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/hash.h"
#include "capture/capture.h"

static void add(void *user, uint32_t type, lp_span s)
{
	uint64_t *sum = user;

	*sum = lp_hash(&(struct lp_hash_seed){ *sum, type }, s.p, s.n);
}

static uint64_t read_out(int fd)
{
	uint64_t sum = 0, secrets = 0; /* apart: secrets come as soon as they are read */
	struct lp_capture_config config = { .secrets = add, .user = &secrets };
	struct lp_wire p[3];
	struct lp_capture *c;
	char path[32], why[LP_WHY_SIZE];
	enum lp_err err;
	size_t n;

	snprintf(path, sizeof path, "/dev/fd/%d", fd);
	err = lp_capture_open_file(&c, path, &config, why);
	if (err)
		return (uint64_t)err;
	while (!(err = lp_capture_read(c, p, 3, &n)))
		for (size_t i = 0; i < n; i++) {
			add(&sum, (uint32_t)p[i].number, (lp_span){ p[i].data, p[i].caplen });
			p[i].data = NULL;
			add(&sum, 0, (lp_span){ (const uint8_t *)&p[i], sizeof p[i] });
		}
	lp_capture_close(c);
	return sum + secrets + (uint64_t)err;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	size_t lump = size / 200 + 1;
	int file = memfd_create("capture", 0), end[2];
	uint64_t sum;

	/* With O_DIRECT each write is read on its own; a page of the pipe for each. */
	if (size > 200 * 4096 || file < 0 || write(file, data, size) != (ssize_t)size ||
	    pipe2(end, O_DIRECT) || fcntl(end[1], F_SETPIPE_SZ, 1 << 20) < 0)
		abort();
	for (size_t at = 0; at < size; at += lump)
		if (write(end[1], data + at, size - at < lump ? size - at : lump) < 0)
			abort();
	close(end[1]);
	sum = read_out(file);
	if (sum != read_out(end[0]))
		abort();
	close(end[0]);
	close(file);
	return 0;
}
