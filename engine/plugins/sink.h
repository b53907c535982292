/* lp_sink: a file named on the command line that an output writes to, in whole
 * pieces (lines, packets), buffered. A missing file is made with mode 0600, an
 * existing one truncated as tcpdump does; devices and FIFOs are allowed, "-" is
 * standard output.
 *
 * A fault in a replay is final: one line in the host's log, and -1 from then on. A
 * live capture goes on: pieces are dropped and counted, the name is opened again
 * every LP_SINK_RETRY_NS, and lp_sink_close() gives -1 in the end. A reader that is
 * slower than live traffic has LP_SINK_QUEUE bytes of patience, then pieces are
 * dropped for it, and never does it hold up the capture. What stands in a file is
 * whole: a piece that was written in part is cut off again.
 *
 * Owner: its output; lp_sink_close(). Functions return 0, or -1 after one line in
 * the host's log. */
#ifndef LP_PLUGINS_SINK_H
#define LP_PLUGINS_SINK_H

#include <limpid/plugin.h>
#include <sys/types.h>

#include "base/err.h"

enum {
	LP_SINK_BUFFER = 65536,
	LP_SINK_QUEUE = 16 * 1024 * 1024, /* live */
	LP_SINK_HEADER = 32,
};

#define LP_SINK_RETRY_NS 5000000000ULL

struct lp_sink {
	const struct lp_host *host;
	const char *unit;       /* what a piece is called: "line", "packet" */
	char *name;             /* as given */
	char *base;             /* its last part; NULL: not a file that can be reopened */
	int dirfd;              /* the folder of it, held so that a later reopen looks nowhere else */
	int fd;
	int own_name;           /* limpid named it: no symbolic link is followed */
	int regular;            /* a regular file */
	int queue;              /* live, and a write could wait for a reader */
	int each_line;          /* lp_sink_line() writes through: a terminal or a live capture */

	/* Bytes [at, n) are not written yet; [whole, n) is a piece that goes on. */
	char *buffer;
	size_t size, at, n, whole;
	size_t part;            /* bytes of the piece at `at` that are written already */
	uint32_t *ends;         /* where the pieces between at and whole end */
	size_t ends_at, ends_n, ends_size;
	uint8_t header[LP_SINK_HEADER]; /* what a new file begins with */
	size_t header_n;

	int skipping;           /* the piece that goes on is not wanted any more */
	int failed;             /* something could not be written: the status of close */
	int dead;               /* for good */
	int stopped;            /* until retry_ns, 0: not known yet */
	int outage;             /* from the first fault to the first write that works again */
	int slow;               /* the queue was full */
	int plain;              /* opening or closing: a fault is final, and nothing more to say */
	uint64_t retry_ns;
	uint64_t lost, told;    /* pieces dropped, and how many of them were said */
	uint64_t breaks;        /* times that pieces were lost which had been accepted */
	dev_t dev;              /* while stopped: the file, and how much of it is whole */
	ino_t ino;
	off_t keep, tail;
};

/* unit: see above; a constant. */
LP_MUST int lp_sink_open(struct lp_sink *s, const struct lp_host *host, const char *path,
			 const char *unit);

/* Takes an open descriptor over, which is closed with the sink unless it is one of
 * the standard ones. */
LP_MUST int lp_sink_take(struct lp_sink *s, const struct lp_host *host, int fd,
			 const char *name, const char *unit);

/* The same for a file that limpid made itself as `name` below dirfd (borrowed). */
LP_MUST int lp_sink_take_at(struct lp_sink *s, const struct lp_host *host, int fd, int dirfd,
			    const char *name, const char *unit);

/* Writes what every file must begin with: now, and whenever a new one is begun. At
 * most LP_SINK_HEADER bytes. */
LP_MUST int lp_sink_header(struct lp_sink *s, const void *p, size_t n);

/* Room for n bytes of a piece, to be filled at once; NULL if the piece is dropped. */
LP_MUST int lp_sink_room(struct lp_sink *s, size_t n, uint8_t **room);

/* Parts of a piece. What is printed at a time is cut off at 4 KiB. */
LP_MUST int lp_sink_write(struct lp_sink *s, const void *p, size_t n);
LP_MUST int lp_sink_print(struct lp_sink *s, const char *format, ...) LP_PRINTF(2, 3);

/* The piece is whole. */
LP_MUST int lp_sink_end(struct lp_sink *s);

/* The same, and hands on what is buffered if somebody may be watching. */
LP_MUST int lp_sink_line(struct lp_sink *s);

/* Counts pieces that were not even made, because the sink is stopped. */
void lp_sink_skip(struct lp_sink *s, uint64_t pieces);

/* Writes the whole pieces. */
LP_MUST int lp_sink_flush(struct lp_sink *s);

/* About once a second: flushes, or tries again what is stopped. Nothing in a replay. */
LP_MUST int lp_sink_tick(struct lp_sink *s, uint64_t now_ns);

/* Writes out, then opens the same name again for append, so that a file which was
 * moved away is left whole. Nothing to do for what is not a regular file. */
LP_MUST int lp_sink_reopen(struct lp_sink *s);

/* Writes out and frees. -1 if anything could ever not be written. */
int lp_sink_close(struct lp_sink *s);

/* Between sink.c (pieces) and sink_file.c (the file): a write failed with `error`;
 * a piece was written again; the buffer is to be forgotten. */
LP_MUST int lp_sink_fault(struct lp_sink *s, int error);
void lp_sink_works(struct lp_sink *s);
void lp_sink_forget(struct lp_sink *s);

#endif
