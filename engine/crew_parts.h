/* The inside of a crew, shared by crew.c (all of it) and hand.c (a worker's place in it).
 * Nobody else's. */
#ifndef LP_CREW_PARTS_H
#define LP_CREW_PARTS_H

#include <pthread.h>
#include <stdatomic.h>

#include "base/bell.h"
#include "engine_parts.h"
#include "merge.h"
#include "share.h"
#include "tap.h"

struct lp_hand {
	struct lp_crew *crew;
	struct lp_worker *worker;
	struct lp_tap *tap;    /* NULL: its packets come from the share */
	int poll_fd;           /* of its tap and its line to the warden, or -1 */
	struct lp_bell bell;
	pthread_t thread;
	unsigned number;
	struct lp_when done;   /* what is left to handle is at this place or later */
	struct lp_when told;   /* … and what the merge knows of it */
	bool ended;            /* the capture, for this one */
	bool over;             /* it has nothing to tell any more */
	atomic_bool asks;      /* it waits for answers to what came in batches that it gave back */
	bool started;
	bool looked;           /* … and others were asked how far they are */
	bool put;              /* events that the merge was not told of */
	bool direct;           /* there are no threads any more */
};

struct lp_crew {
	struct lp_engine *engine;
	struct lp_reader *reader;
	struct lp_share *share;
	struct lp_merge *merge;
	pthread_t output;
	bool output_started, finished;
	atomic_int fault;      /* enum lp_err: the first */
	atomic_bool said;      /* that packets are shared out badly */
	const atomic_uint_fast64_t *taken; /* packets of all taps; NULL: there are none */
	struct lp_capture *const *capture; /* of the taps */
	_Atomic(const struct lp_capture *) deaf;
	unsigned n;
	struct lp_hand *hand;
};

/* hand.c: number i of a crew whose share and merge are there; and what its thread runs. What was
 * made is the crew's to free, also after a fault. */
LP_MUST enum lp_err lp_hand_make(struct lp_crew *c, unsigned number);
void lp_hand_clear(struct lp_hand *h);
void *lp_hand_work(void *hand);
/* It tells nothing any more, and takes what comes only so that the reader can end. */
void lp_hand_stop(struct lp_hand *h);

#endif
