/* lp_secret: where key bytes live.
 * The memory comes from slabs that are kept out of core dumps (DONTDUMP), out of
 * swap as far as RLIMIT_MEMLOCK allows, and are empty in a forked child
 * (WIPEONFORK). It is wiped when freed. Thread-safe.
 * Owner: whoever embeds the struct; lp_secret_clear() on every path. There is no
 * formatter for a secret and there will be none. */
#ifndef LP_BASE_SECRET_H
#define LP_BASE_SECRET_H

#include "base/cursor.h"

struct lp_secret {
	uint8_t *p;
	size_t n;
};

/* Zeroed secret memory of n bytes (n > 0); NULL when out of memory. */
LP_MUST void *lp_secret_alloc(size_t n);

/* Wipes and frees what lp_secret_alloc(n) gave; NULL is ignored. */
void lp_secret_free(void *p, size_t n);

/* Bytes of slabs that are in use now, as the slots have them (what is larger than a slot is
 * not among them). */
size_t lp_secret_lent(void);

/* Puts a copy of n bytes into s, which must be empty ({NULL, 0}). */
LP_MUST enum lp_err lp_secret_set(struct lp_secret *s, const void *p, size_t n);

/* Wipes, frees and empties s. */
void lp_secret_clear(struct lp_secret *s);

static inline lp_span lp_secret_span(const struct lp_secret *s)
{
	return (lp_span){ s->p, s->n };
}

/* Overwrites n bytes in a way the compiler keeps. */
void lp_wipe(void *p, size_t n);

/* Compares in a time that depends on n only. */
bool lp_equal_ct(const void *a, const void *b, size_t n);

/* Not dumpable, no core file, nobody may trace us; memory locked as far as
 * allowed. Called once, first thing, by every process of limpid. Returns false
 * if memory could not be locked (the caller says so in one line). */
bool lp_secret_harden_process(void);

#endif
