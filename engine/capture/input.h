/* lp_input: the bytes of a capture file, unpacked. A regular file is mapped; a
 * pipe, a device node and anything compressed with gzip or zstd (told by its
 * first bytes) goes through a buffer that grows to what the caller asks for.
 * Owner: the embedding struct; lp_input_close(). The window p[0..n) is borrowed
 * and stays where it is until lp_input_fill() or lp_input_begin().
 * A file that shrinks while it is mapped ends where it ends now, looked at once a
 * batch; one that shrinks in between, or whose packets are lent, can still raise
 * SIGBUS, as with every program that maps files (main.c says so and ends). */
#ifndef LP_CAPTURE_INPUT_H
#define LP_CAPTURE_INPUT_H

#include "base/cursor.h"

enum {
	LP_INPUT_MAX = 1 << 24, /* bytes the window of a stream can grow to */
	LP_INPUT_POLL_MS = 250, /* how long a silent pipe is waited for */
};

struct lp_unpack; /* gzip or zstd; unpack.c */

struct lp_input {
	const uint8_t *p; /* the window */
	size_t n;
	uint64_t offset; /* of p in the unpacked file */
	int fd;
	bool poll;     /* may be silent for a while */
	bool ended;    /* no byte follows the window */
	bool signaled; /* a signal ended the last wait */
	/* mapped */
	uint8_t *map;
	size_t map_size;
	size_t map_given; /* bytes whose pages were given back */
	size_t map_ready; /* … and up to where they are there */
	size_t behind;    /* others are going to look at */
	bool lends;
	/* not mapped */
	uint8_t *buf;
	size_t size;
	struct lp_unpack *unpack; /* or NULL */
	const char *wrong;        /* what LP_E_FORMAT or LP_E_IO meant; static, or of strerror() */
};

/* path "-" is standard input. On a fault one line without the file name is at
 * in->wrong and nothing needs closing. */
LP_MUST enum lp_err lp_input_open(struct lp_input *in, const char *path);

/* Called before each batch, when nothing of the window is borrowed. */
void lp_input_begin(struct lp_input *in);

/* Whether what was in the window stays where it is until lp_input_close(). behind: as many bytes are
 * going to be looked at, so their pages are given back later. */
bool lp_input_lend(struct lp_input *in, size_t behind);

/* All was read. What somebody still looks at comes back from the file. */
void lp_input_retire(struct lp_input *in);

/* More bytes, until the window has want or as many as one read gives. Moves the
 * window. LP_OK: there are more than before; LP_MORE: nothing came within
 * LP_INPUT_POLL_MS, or a signal did; LP_EOF: none will come; LP_E_TRUNCATED: the
 * compressed stream stops short; LP_E_FORMAT; LP_E_IO; LP_E_LIMIT: want is
 * above LP_INPUT_MAX; LP_E_NOMEM. */
LP_MUST enum lp_err lp_input_fill(struct lp_input *in, size_t want);

/* For opening: fills and waits until the window has want bytes (LP_OK) or something
 * else than LP_MORE comes of it. A signal is LP_E_IO. */
LP_MUST enum lp_err lp_input_wait(struct lp_input *in, size_t want);

/* Drops n bytes (at most what is there) from the front. */
static inline void lp_input_consume(struct lp_input *in, size_t n)
{
	in->p += n;
	in->n -= n;
	in->offset += n;
}

/* Bytes of the file itself, packed or not, that were read, and its length (0: no regular
 * file, and *done counts unpacked bytes). */
void lp_input_position(const struct lp_input *in, uint64_t *done, uint64_t *total);

/* Overwrites n bytes at p, which lie in the window, if they are our copy. */
void lp_input_wipe(struct lp_input *in, const uint8_t *p, size_t n);

void lp_input_close(struct lp_input *in);

#endif
