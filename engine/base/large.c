#define _DEFAULT_SOURCE
#include "base/large.h"

#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>

static size_t whole(size_t n)
{
	return (n + LP_LARGE - 1) / LP_LARGE * LP_LARGE;
}

/* A page more than wanted; what lies before and behind whole pages goes back. */
void *lp_large_new(size_t n)
{
	size_t size = whole(n), before;
	char *p;

	if (!n || n > SIZE_MAX - 2 * (size_t)LP_LARGE)
		return NULL;
	p = mmap(NULL, size + LP_LARGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (p == MAP_FAILED)
		return NULL;
	before = (LP_LARGE - (uintptr_t)p % LP_LARGE) % LP_LARGE;
	if (before)
		(void)munmap(p, before);
	if (before < LP_LARGE)
		(void)munmap(p + before + size, LP_LARGE - before);
	(void)madvise(p + before, size, MADV_HUGEPAGE);
	return p + before;
}

void lp_large_free(void *p, size_t n)
{
	if (p)
		(void)munmap(p, whole(n));
}

void *lp_table_new(size_t n)
{
	return n < LP_LARGE ? calloc(1, n) : lp_large_new(n);
}

void lp_table_free(void *p, size_t n)
{
	if (n < LP_LARGE)
		free(p);
	else
		lp_large_free(p, n);
}
