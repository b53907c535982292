/* lp_bench: how fast a capture can be read when nothing else is done with it, for
 * `limpid --bench-read`: the figure that all others are held against. */
#ifndef LP_BENCH_H
#define LP_BENCH_H

#include <signal.h>
#include <stdio.h>

#include "capture/capture.h"

/* Reads all of the capture, or its first `most` packets (0: all), until *stop, and writes
 * a line to out: packets, captured bytes, seconds by the clock and of CPU, packets and megabytes (10^6)
 * a second by the clock. A fault, LP_EOF apart, is the capture's; the line then speaks of what came
 * before it. */
LP_MUST enum lp_err lp_bench_read(struct lp_capture *c, uint64_t most,
				  const volatile sig_atomic_t *stop, FILE *out);

#endif
