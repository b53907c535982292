/* lp_crew: several workers on threads of their own, and what is around them.
 *
 *   caller ─► lp_reader ─► lp_share ─┬─► hand: lp_worker ─► lp_order ─┬─► lp_merge ─► outputs
 *   (one thread)                     └─► hand: lp_worker ─► lp_order ─┘   (one thread)
 *
 * All of a flow is done by one worker; the outputs are called by one thread, in the order of
 * places. So a replay gives the same bytes as one worker alone does, as long as no cap is
 * reached. A worker that has no room takes no more packets, which stops the reader; it never
 * stops taking answers. Live a reader that were stopped would lose packets unseen; there a
 * worker without room loses its own, which is counted (lp_crew_shed), and no worker's
 * events wait for another's. A fault of one ends the run; the others come to their end first.
 *
 * Or (lp_crew_new_tapped) the kernel shares a device's packets out, and each hand reads and
 * decodes its own:
 *
 *   kernel ─┬─► hand: lp_tap ─► lp_worker ─► lp_order ─┬─► lp_merge ─► outputs
 *           └─► hand: lp_tap ─► lp_worker ─► lp_order ─┘
 *
 * Threads: the crew's functions belong to one, the caller's; a hand's to its worker.
 * Owner: who made it; before the engine is freed. Times in nanoseconds.
 * Faults: -1, then lp_engine_why(). */
#ifndef LP_CREW_H
#define LP_CREW_H

#include <limpid/limpid.h>

#include "capture/capture.h"
#include "event.h"
#include "reader.h"

enum { LP_CREW_MAX = 64 };

struct lp_crew;
struct lp_hand;

/* How many workers the engine is to have; with one it needs no crew. */
unsigned lp_engine_workers(const struct lp_engine *e);

/* As many. lent: packets stay where they are until the crew has finished, and need not be copied.
 * NULL: why says it. */
struct lp_crew *lp_crew_new(struct lp_engine *e, bool lent, char *why);
void lp_crew_free(struct lp_crew *c);

/* The same, with a handle for each worker, which is read by that worker until the crew has
 * finished. taken: the packets of all of them so far, each of which had its number from it. */
struct lp_crew *lp_crew_new_tapped(struct lp_engine *e, struct lp_capture *const *tap,
				   const atomic_uint_fast64_t *taken, char *why);

/* 0, or -1: a fault. *deaf: a handle from which nothing can be read any more, or NULL. */
int lp_crew_state(struct lp_crew *c, const struct lp_capture **deaf);

/* Finishes and tells what all handles lost. */
void lp_crew_captured(struct lp_crew *c, struct lp_capture_stats *out);

/* Waits while there is no room for these packets, live not. 0, or -1: a fault. */
int lp_crew_packets(struct lp_crew *c, const struct lp_wire *packets, size_t n);

/* Live: no packet came, but it is now_ns on the packets' clock. */
int lp_crew_advance(struct lp_crew *c, uint64_t now_ns);

/* A fault that the caller has seen. */
void lp_crew_fault(struct lp_crew *c, enum lp_err err);

/* Waits until no worker has packets of before, nor in a replay questions: secrets that come now are
 * for what follows, whenever the answers come. */
void lp_crew_settle(struct lp_crew *c);

/* No more packets come: waits until everything has left, and ends all threads. Once. */
int lp_crew_finish(struct lp_crew *c);

/* The outputs are to open their files anew. */
void lp_crew_rotate(struct lp_crew *c);

/* Live: segments that a worker had no room for. Once it has finished. */
uint64_t lp_crew_shed(const struct lp_crew *c);

/* What was decoded, and the times of the first packet and of the latest; once it has finished. */
void lp_crew_decoded(const struct lp_crew *c, struct lp_decode_stats *out, uint64_t *first_ns,
		     uint64_t *last_ns);

/* ---- a worker's place in it ---- */

/* Sink of its order, and whether that can take an event now. */
void lp_hand_event(void *hand, struct lp_event *event);
bool lp_hand_ready(void *hand);

/* Any thread: something that it does not sleep on has come for its worker. */
void lp_hand_wake(struct lp_hand *hand);

/* All other workers are past that place. */
bool lp_hand_passed(const struct lp_hand *hand, const struct lp_when *when);

#endif
