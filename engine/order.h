/* lp_order: puts events into the order of their places.
 *
 * A session that waits for the warden tells its events late. While replaying, an
 * event may leave only when no session waits at an earlier place; so a replay
 * gives the same calls in the same order however slow the warden is. While
 * nothing waits, events go straight through and nothing is copied.
 *
 *   worker ──put──► [heap of events, chunks of bytes] ──► sink (the outputs)
 *                        held back by the earliest waiter
 *
 * Owner: lp_engine. One thread, but chunks (chunk.h) may be given back by another. Live (config ordered = false) nothing waits.
 * Faults: LP_E_NOMEM. */
#ifndef LP_ORDER_H
#define LP_ORDER_H

#include <stdbool.h>

#include "event.h"

/* A session that waits, at the place from which its events will come. Embedded in
 * its owner; in the list from lp_order_wait() to lp_order_done(). */
struct lp_waiter {
	struct lp_waiter *prev, *next;
	struct lp_when when;
	bool waiting;
};

struct lp_order;

/* Above this many held bytes a replay stops reading until the waiters are done. */
enum { LP_ORDER_CAP = 64 << 20 };

/* Called with each event in order. The event's facts, result and flow are the
 * sink's to release; its bytes are good for the call, or, if there is a chunk, for as long
 * as the sink wants that takes the chunk's reference and leaves NULL. */
typedef void lp_order_sink(void *user, struct lp_event *event);

/* Whether the sink can take an event now. */
typedef bool lp_order_ready(void *user);

LP_MUST enum lp_err lp_order_new(struct lp_order **out, bool ordered, lp_order_sink *sink,
				 void *user);
/* Events whose chunks the sink has taken must be gone. */
void lp_order_free(struct lp_order *o);

/* To be called before the first put: the sink hands events to another thread. So the
 * bytes of each are in a chunk, and while ready says no, events wait as if somebody
 * did; lp_order_drain() tries again. */
void lp_order_hand_over(struct lp_order *o, lp_order_ready *ready);

void lp_order_wait(struct lp_order *o, struct lp_waiter *w, const struct lp_when *when);
/* Called when the answer is there, before the events that waited for it are put;
 * then lp_order_drain(). Harmless if w does not wait. */
void lp_order_done(struct lp_order *o, struct lp_waiter *w);

/* True if nobody waits at an earlier place than w, which waits. */
bool lp_order_first(const struct lp_order *o, const struct lp_waiter *w);

/* The earliest place at which somebody waits, or NULL. */
const struct lp_when *lp_order_earliest(const struct lp_order *o);

/* The earliest place of what has still to leave: where somebody waits, or of an event that
 * is not handed out. NULL: there is nothing. */
const struct lp_when *lp_order_next(const struct lp_order *o);

/* Room for n bytes that an event will carry; valid until the next lp_order_room().
 * Calling it again without a put reuses the room. */
LP_MUST enum lp_err lp_order_room(struct lp_order *o, size_t n, uint8_t **room);

/* Puts an event (copied). Its bytes are either in the room just given (room =
 * true) or the caller's, copied if the event has to wait. */
LP_MUST enum lp_err lp_order_put(struct lp_order *o, const struct lp_event *event, bool room);

/* Hands out what no waiter holds back any more. */
void lp_order_drain(struct lp_order *o);

/* Events wait for the sink, and for nobody else. */
bool lp_order_blocked(const struct lp_order *o);

/* Hands out everything that the sink is ready for, whoever waits: for the end after a fault. */
void lp_order_flush(struct lp_order *o);

/* Bytes of memory that waiting events hold, and those that were handed over. */
size_t lp_order_held(const struct lp_order *o);

#endif
