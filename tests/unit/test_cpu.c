/* cpu.c: a thread goes where it is told, and may still be anywhere. */
#define _GNU_SOURCE
#include <check.h>
#include <sched.h>
#include <stdbool.h>

#include "base/cpu.h"

/* Nobody promises that it stays, but a while after being moved it is mostly still there. */
START_TEST(goes_and_is_not_bound)
{
	cpu_set_t may, after;
	int count;

	ck_assert_int_eq(sched_getaffinity(0, sizeof may, &may), 0);
	count = CPU_COUNT(&may);
	for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
		bool there = false;

		if (!CPU_ISSET((size_t)cpu, &may))
			continue;
		for (int i = 0; i < 1000 && !there; i++) {
			lp_cpu_go(cpu, (size_t)count);
			there = lp_cpu_here() == cpu;
		}
		ck_assert(there);
		ck_assert_int_eq(sched_getaffinity(0, sizeof after, &after), 0);
		ck_assert(CPU_EQUAL(&may, &after));
	}
}
END_TEST

START_TEST(stays_where_it_may_not_go)
{
	cpu_set_t one, after;
	const int here = lp_cpu_here();

	ck_assert_int_ge(here, 0);
	CPU_ZERO(&one);
	CPU_SET((size_t)here, &one);
	ck_assert_int_eq(sched_setaffinity(0, sizeof one, &one), 0);
	lp_cpu_go(-1, 100);
	lp_cpu_go(CPU_SETSIZE, 100);
	lp_cpu_go(here ? 0 : 1, 100);
	lp_cpu_go(here, 0);
	ck_assert_int_eq(lp_cpu_here(), here);
	ck_assert_int_eq(sched_getaffinity(0, sizeof after, &after), 0);
	ck_assert(CPU_EQUAL(&one, &after));
}
END_TEST

Suite *suite_cpu(void)
{
	Suite *s = suite_create("cpu");
	TCase *t = tcase_create("cpu");

	tcase_add_test(t, goes_and_is_not_bound);
	tcase_add_test(t, stays_where_it_may_not_go);
	suite_add_tcase(s, t);
	return s;
}
