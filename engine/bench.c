#define _POSIX_C_SOURCE 200809L
#include "bench.h"

#include <inttypes.h>
#include <time.h>

#include "base/clock.h"

static uint64_t cpu_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (uint64_t)t.tv_sec * LP_NS_PER_S + (uint64_t)t.tv_nsec;
}

enum lp_err lp_bench_read(struct lp_capture *c, uint64_t most, const volatile sig_atomic_t *stop,
			  FILE *out)
{
	const uint64_t begun = lp_clock_mono(), cpu = cpu_ns();
	struct lp_wire packets[LP_BATCH];
	struct lp_capture_stats stats;
	enum lp_err err = LP_OK;
	uint64_t left = most ? most : UINT64_MAX, ns, busy;
	double s;
	size_t n;

	while (!*stop && left && !err) {
		err = lp_capture_read(c, packets, left < LP_BATCH ? (size_t)left : LP_BATCH, &n);
		left -= n;
	}
	busy = cpu_ns() - cpu;
	ns = lp_clock_mono() - begun;
	s = (double)(ns ? ns : 1) / (double)LP_NS_PER_S;
	lp_capture_stats(c, &stats);
	fprintf(out,
		"%" PRIu64 " packets, %" PRIu64 " bytes in %.6f s (%.6f s of CPU): "
		"%.0f packets/s, %.1f MB/s\n",
		stats.packets, stats.bytes, s, (double)busy / (double)LP_NS_PER_S,
		(double)stats.packets / s, (double)stats.bytes / 1e6 / s);
	return err == LP_EOF ? LP_OK : err;
}
