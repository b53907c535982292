/* lp_sink: a file named on the command line that an output writes to, buffered.
 * A missing file is made with mode 0600, an existing one truncated as tcpdump does;
 * devices and FIFOs are allowed, "-" is standard output.
 * Owner: its output; lp_sink_close(). Functions return 0, or -1 after one line in
 * the host's log; once failed, a sink stays failed and silent. */
#ifndef LP_PLUGINS_SINK_H
#define LP_PLUGINS_SINK_H

#include <limpid/plugin.h>

#include "base/err.h"

enum { LP_SINK_BUFFER = 65536 };

struct lp_sink {
	const struct lp_host *host;
	char *name;     /* as given */
	char *base;     /* its last part; NULL: not a file that can be reopened */
	int dirfd;      /* the folder of it, held so that a later reopen looks nowhere else */
	int fd;
	int failed;
	int each_line;  /* lp_sink_line() writes through: a terminal or a live capture */
	size_t n;
	char *buffer;
};

LP_MUST int lp_sink_open(struct lp_sink *s, const struct lp_host *host, const char *path);

/* Takes an open descriptor over, which is closed with the sink unless it is one of
 * the standard ones. */
LP_MUST int lp_sink_take(struct lp_sink *s, const struct lp_host *host, int fd,
			 const char *name);

LP_MUST int lp_sink_write(struct lp_sink *s, const void *p, size_t n);

/* A line longer than 4 KiB is cut off. */
LP_MUST int lp_sink_print(struct lp_sink *s, const char *format, ...) LP_PRINTF(2, 3);

/* End of a line or object: hands on what is buffered if somebody may be watching. */
LP_MUST int lp_sink_line(struct lp_sink *s);

int lp_sink_flush(struct lp_sink *s);

/* Writes out, then opens the same name again for append, so that a file which was
 * moved away is left whole. Nothing to do for what is not a regular file. */
LP_MUST int lp_sink_reopen(struct lp_sink *s);

/* Writes out and frees. -1 if anything was ever lost. */
int lp_sink_close(struct lp_sink *s);

#endif
