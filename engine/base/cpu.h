/* lp_cpu: which processor a thread is on, and going to another; and what its caches hold at a time. A
 * system that cannot say or do that leaves all as it is: this is about speed only. Linux. */
#ifndef LP_BASE_CPU_H
#define LP_BASE_CPU_H

#include <stddef.h>

enum { LP_CACHE_LINE = 64 }; /* bytes; where it is not, some things are slower */

/* Of the calling thread, a moment ago; -1: not known. */
int lp_cpu_here(void);

/* Brings the calling thread to a processor that it may use, if there are at most so many of
 * these; it may be moved on from there as before. */
void lp_cpu_go(int cpu, size_t most);

#endif
