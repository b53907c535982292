/* What every kind of source has in common, for the files of this folder only.
 * A kind embeds struct lp_capture first and gives an ops table. Numbers, filter,
 * sticky faults and the count of packets are source.c's; a kind only reads. */
#ifndef LP_CAPTURE_SOURCE_H
#define LP_CAPTURE_SOURCE_H

#include "capture/capture.h"
#include "capture/filter.h"

struct lp_capture_ops {
	bool live;
	/* The next packets. A fault (or LP_EOF) may come together with *n > 0: those
	 * packets were before it. Never called again after a fault. */
	enum lp_err (*read)(struct lp_capture *c, struct lp_wire *p, size_t max, size_t *n);
	int (*fd)(const struct lp_capture *c);                             /* or NULL */
	void (*stats)(struct lp_capture *c, struct lp_capture_stats *out); /* or NULL */
	/* Bytes read of what there is, and how many that are (0: not known); or NULL. */
	void (*position)(const struct lp_capture *c, uint64_t *done, uint64_t *total);
	/* Packets stay until close(), if that can be; with NULL it cannot. */
	bool (*lend)(struct lp_capture *c, size_t behind);
	/* All was read, but packets are to stay; NULL if there is nothing to be done. */
	void (*retire)(struct lp_capture *c);
	void (*close)(struct lp_capture *c); /* frees what the kind holds, not c */
};

struct lp_capture {
	const struct lp_capture_ops *ops;
	struct lp_filter *filter; /* or NULL */
	uint64_t number;          /* of the last packet */
	atomic_uint_fast64_t *shared; /* … of all captures together; or NULL */
	enum lp_err fault;        /* sticky; LP_EOF too */
	struct lp_capture_stats stats;
	char why[LP_WHY_SIZE];
};

enum { LP_NAME_SIZE = 320 };

/* The name of a file as an error line shows it: escaped, "standard input" for "-". */
char *lp_capture_name(char out[LP_NAME_SIZE], const char *path);

/* One file, without filter and numbers (file.c). */
LP_MUST enum lp_err lp_file_open(struct lp_capture **out, const char *path,
				 const struct lp_capture_config *config, char *why);

/* True and the link type, if the file can hold only one (a pcap file). */
bool lp_file_link(const struct lp_capture *c, uint32_t *link);

/* The LINKTYPE_ number for what some systems store in its place: RAW is 12 or 14
 * as a DLT_ number, and 101 in a file. */
static inline uint32_t lp_capture_link(uint32_t link)
{
	return link == 12 || link == 14 ? LP_LINK_RAW : link;
}

#endif
