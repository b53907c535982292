/* lp_ring: a bounded queue of items of one size, from one thread to one other, without
 * a lock. Items are filled and read where they lie.
 *
 *   producer: lp_ring_room ─ fill ─ lp_ring_push      consumer: lp_ring_front ─ use ─ lp_ring_pop
 *
 * What the producer wrote before lp_ring_push() is there for whom lp_ring_front() gives
 * the item; what the consumer did before lp_ring_pop() is done for whom lp_ring_room()
 * gives the slot. Nobody waits here: see base/bell.h.
 *
 * Owner: who made it; lp_ring_clear() once both threads are done with it. It does not
 * look into items: what they own is freed by who takes them out. LP_E_NOMEM. */
#ifndef LP_BASE_RING_H
#define LP_BASE_RING_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/cpu.h"
#include "base/err.h"

/* Each side has a cache line of its own, with the last it saw of the other, so that in
 * steady state a line moves between the cores once for many items. */
struct lp_ring {
	unsigned char *mem;
	size_t item, slots;
	_Alignas(LP_CACHE_LINE) atomic_size_t pushed;
	size_t popped_seen;  /* the producer's */
	_Alignas(LP_CACHE_LINE) atomic_size_t popped;
	size_t pushed_seen;  /* the consumer's */
};

/* slots: a power of two. */
LP_MUST enum lp_err lp_ring_init(struct lp_ring *r, size_t slots, size_t item);
void lp_ring_clear(struct lp_ring *r);

/* Where the next item goes; NULL: full. The same slot until it is pushed. */
void *lp_ring_room(struct lp_ring *r);
void lp_ring_push(struct lp_ring *r);

/* The oldest item; NULL: empty. */
void *lp_ring_front(struct lp_ring *r);
void lp_ring_pop(struct lp_ring *r);

/* For the consumer, of a ring that is not empty: the item behind the oldest, or NULL. */
const void *lp_ring_second(struct lp_ring *r);
/* … the newest item; it may be looked at. */
const void *lp_ring_last(struct lp_ring *r);

/* Items in it, by either side or by a third: what it was a moment ago. */
size_t lp_ring_count(const struct lp_ring *r);

#endif
