#define _GNU_SOURCE
#include "base/cpu.h"

#include <sched.h>

int lp_cpu_here(void)
{
	return sched_getcpu();
}

void lp_cpu_go(int cpu, size_t most)
{
	cpu_set_t may, one;

	if (cpu < 0 || cpu >= CPU_SETSIZE || sched_getaffinity(0, sizeof may, &may))
		return;
	if (!CPU_ISSET((size_t)cpu, &may) || (size_t)CPU_COUNT(&may) > most)
		return;
	CPU_ZERO(&one);
	CPU_SET((size_t)cpu, &one);
	if (!sched_setaffinity(0, sizeof one, &one))
		(void)sched_setaffinity(0, sizeof may, &may);
}
