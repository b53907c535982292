/* lp_bell: what a thread sleeps on until another has something for it. Ringing costs
 * no system call while nobody sleeps.
 *
 *   sleeper: lp_bell_arm ─ look once more ─ lp_bell_sleep (or lp_bell_disarm)
 *   others:  do what the sleeper looks for ─ lp_bell_ring
 *
 * Looking again after arming is what makes it safe: either the look sees what the other
 * did, or the other sees the bell armed. One thread sleeps, any number ring.
 *
 * Owner: who made it; lp_bell_clear() once nobody rings any more. LP_E_IO: the system has
 * no descriptor to give. */
#ifndef LP_BASE_BELL_H
#define LP_BASE_BELL_H

#include <stdatomic.h>
#include <stdbool.h>

#include "base/err.h"

struct lp_bell {
	int fd;
	atomic_bool armed;
};

LP_MUST enum lp_err lp_bell_init(struct lp_bell *b);
void lp_bell_clear(struct lp_bell *b);

void lp_bell_arm(struct lp_bell *b);
void lp_bell_disarm(struct lp_bell *b);

/* Sleeps until it rings, other (a descriptor, or -1) is readable, timeout_ms have gone by
 * (-1: never) or a signal comes; disarms. May wake for nothing. */
void lp_bell_sleep(struct lp_bell *b, int other, int timeout_ms);

void lp_bell_ring(struct lp_bell *b);

#endif
