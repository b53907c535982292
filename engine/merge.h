/* lp_merge: the events of several workers as one sequence, in the order of their places.
 *
 *   worker 0 ─ lp_order ─put─► [ring] ─┐
 *   worker 1 ─ lp_order ─put─► [ring] ─┴─► smallest place first ─► sink (the outputs)
 *                             floor, floor
 *
 * Each source puts its events in the order of their places and says with its floor how
 * far it is. An event leaves when no source can have an earlier one: its ring shows a later
 * one, or is empty and its floor is above. So the sequence does not depend on which worker
 * is fast, as long as no two sources use the same place. Live nothing waits for another
 * source: the events of each keep their order, and floors are for lp_merge_passed() alone.
 *
 * The output thread is not woken for each event (eager or live: it is): half a ring makes it
 * work, or a worker that has put some and has nothing to do for now, or that comes past all that
 * waited when the thread went to sleep.
 *
 * Threads: a source's functions are called by its worker alone; lp_merge_take() and
 * lp_merge_run() by the output thread alone; the rest says who.
 * Owner: lp_engine; freed when all threads have been joined and everything was taken.
 * Bounded by slots: a full ring is the worker's reason to stop reading. LP_E_NOMEM, LP_E_IO (no
 * descriptor left). */
#ifndef LP_MERGE_H
#define LP_MERGE_H

#include "base/bell.h"
#include "order.h"

struct lp_merge;

/* slots: of each ring, a power of two. */
LP_MUST enum lp_err lp_merge_new(struct lp_merge **out, size_t sources, size_t slots,
				 lp_order_sink *sink, void *user);
void lp_merge_free(struct lp_merge *m);

/* Nothing is to wait for another source; before any thread runs. */
void lp_merge_live(struct lp_merge *m);

/* Whatever may leave is to leave at once; before any thread runs. */
void lp_merge_eager(struct lp_merge *m);

/* Any thread: the output thread gives the sink an LP_EVENT_ROTATE soon. */
void lp_merge_rotate(struct lp_merge *m);

/* ---- a source, from 0 ---- */

/* What its worker sleeps on, before any thread runs: rung when there is room again after
 * lp_merge_ready() said no, and while it watches, when another's floor has moved. */
void lp_merge_bell(struct lp_merge *m, size_t source, struct lp_bell *bell);

/* Room for an event. */
bool lp_merge_ready(struct lp_merge *m, size_t source);

/* There is room. Places never go back. Takes the event with its chunk. */
void lp_merge_put(struct lp_merge *m, size_t source, struct lp_event *event);

/* Live: what was put is to leave now, whatever the floor. */
void lp_merge_wake(struct lp_merge *m);

/* Whatever this source puts from now on is at this place or later; and its other work for
 * earlier places (secrets that may be resumed) is done, too. Never goes back. */
void lp_merge_floor(struct lp_merge *m, size_t source, const struct lp_when *floor);

/* To be called before its worker sleeps: what it has put may leave now. */
void lp_merge_news(struct lp_merge *m, size_t source);

/* It puts nothing any more. */
void lp_merge_over(struct lp_merge *m, size_t source);

/* True if the floors of all others are above when. */
bool lp_merge_passed(struct lp_merge *m, size_t source, const struct lp_when *when);

/* Whether to ring when lp_merge_passed() may have changed: set it before asking. */
void lp_merge_watch(struct lp_merge *m, size_t source, bool watch);

/* The earliest of all floors, for any thread; false if all are over. */
bool lp_merge_earliest(struct lp_merge *m, struct lp_when *floor);

/* ---- the output thread ---- */

/* Gives the sink what may leave now. Whether there was anything. */
bool lp_merge_take(struct lp_merge *m);

/* Takes until all sources are over and everything was taken. */
void lp_merge_run(struct lp_merge *m);

#endif
