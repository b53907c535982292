/* Time. All times are unsigned 64-bit nanoseconds: since 1970 (UTC) for packets,
 * since some start for the monotonic clock. */
#ifndef LP_BASE_CLOCK_H
#define LP_BASE_CLOCK_H

#include <stdint.h>

#define LP_NS_PER_S 1000000000ULL
#define LP_NS_PER_MS 1000000ULL
#define LP_NS_PER_US 1000ULL

/* CLOCK_MONOTONIC now. */
uint64_t lp_clock_mono(void);

/* CLOCK_REALTIME now: that of packets while they are captured. */
uint64_t lp_clock_wall(void);

enum { LP_CLOCK_TEXT = 40 };

/* `YYYY-MM-DDTHH:MM:SS.ffffff+0000`, the form of Suricata 7, UTC. */
void lp_clock_text(char out[LP_CLOCK_TEXT], uint64_t ts_ns);

#endif
