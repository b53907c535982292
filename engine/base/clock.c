#include "base/clock.h"

#include <stdio.h>
#include <time.h>

uint64_t lp_clock_mono(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * LP_NS_PER_S + (uint64_t)ts.tv_nsec;
}

uint64_t lp_clock_wall(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return (uint64_t)ts.tv_sec * LP_NS_PER_S + (uint64_t)ts.tv_nsec;
}

void lp_clock_text(char out[LP_CLOCK_TEXT], uint64_t ts_ns)
{
	time_t seconds = (time_t)(ts_ns / LP_NS_PER_S);
	struct tm tm = { 0 };
	char date[24];

	if (!gmtime_r(&seconds, &tm) ||
	    !strftime(date, sizeof date, "%Y-%m-%dT%H:%M:%S", &tm))
		snprintf(date, sizeof date, "1970-01-01T00:00:00");
	snprintf(out, LP_CLOCK_TEXT, "%s.%06u+0000", date,
		 (unsigned)(ts_ns % LP_NS_PER_S / LP_NS_PER_US));
}
