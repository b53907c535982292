/* large: memory for tables in which each look goes somewhere else. There a processor spends as much on
 * finding pages as on the memory itself, so large pages are asked for, where the kernel has some.
 * Owner: the caller; lp_large_free() with the same size. No errors but NULL without memory. Never
 * for secrets. */
#ifndef LP_BASE_LARGE_H
#define LP_BASE_LARGE_H

#include <stddef.h>

enum { LP_LARGE = 1 << 21 }; /* bytes of such a page */

/* At least n > 0 bytes, all zero, rounded up to whole large pages. */
void *lp_large_new(size_t n);
void lp_large_free(void *p, size_t n);

/* The same for a table that may be smaller than such a page: then it is like any other memory. */
void *lp_table_new(size_t n);
void lp_table_free(void *p, size_t n);

#endif
