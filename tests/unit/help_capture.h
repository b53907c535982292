/* Reads capture files for tests in five ways that must agree: mapped, standard input
 * byte by byte and in lumps, gzip, zstd. */
#ifndef HELP_CAPTURE_H
#define HELP_CAPTURE_H

#include "capture/capture.h"
#include "help_pcap.h"

enum help_way { MAPPED, BYTES, LUMPS, GZIP, ZSTD, WAYS };
enum { HELP_MOST = 300 };

struct help_seen {
	enum lp_err open, end;
	size_t n;
	struct lp_wire p[HELP_MOST]; /* without data */
	uint64_t sum[HELP_MOST];       /* of the bytes */
	uint8_t first[HELP_MOST];
	char secrets[64]; /* [packets before:type:text] for each block */
	char why[LP_WHY_SIZE];
};

uint64_t help_sum(const uint8_t *p, size_t n);

/* Opens path and reads all of it, at most max packets at a time. */
void help_read_path(struct help_seen *s, const char *path, size_t max);
/* Bytes as standard input, step at a time. */
void help_read_stdin(struct help_seen *s, const void *p, size_t n, size_t step, size_t max);
/* Bytes as a file. */
void help_read_saved(struct help_seen *s, const void *p, size_t n, size_t max);
void help_read_way(struct help_seen *s, enum help_way way, const void *p, size_t n);
/* In every way; they must agree. */
void help_read_ways(struct help_seen *s, const struct help_pcap *w);
void help_same(const struct help_seen *a, const struct help_seen *b);

/* One good packet, then what is wrong: it is handed out, then LP_E_FORMAT with text. */
void help_corrupt_after_one(const struct help_pcap *w, const char *text);
/* Every cut gives the packets before it, then the truth about its end. ends: where
 * each packet is whole; clean: where the file may end (beside behind its header). */
void help_cut_everywhere(const struct help_pcap *w, size_t header, const size_t *ends, size_t n,
			 const size_t *clean, size_t n_clean);

size_t help_gzip(uint8_t *out, size_t size, const void *p, size_t n);
size_t help_zstd(uint8_t *out, size_t size, const void *p, size_t n);

#endif
