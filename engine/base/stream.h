/* The words in which one stage hands a byte stream to the next: which side, when,
 * whether to go on, why it ended. net gives such streams, tls takes them and gives
 * streams of its own, so a stage can stand behind another. */
#ifndef LP_BASE_STREAM_H
#define LP_BASE_STREAM_H

#include <stdint.h>

enum lp_side { LP_A2B, LP_B2A };

enum lp_take {
	LP_TAKE_ON,        /* go on */
	LP_TAKE_SKIP_DIR,  /* no more data of this direction; sequence tracking goes on */
	LP_TAKE_SKIP_FLOW, /* no more data of either; only close will be called */
};

/* The moment of an event. (number, index) is its place (contracts: the number of
 * the packet that released it, and a count within that packet, over all streams
 * of the reassembler); times are nanoseconds since 1970. Timers fire at places
 * of the packet that moved the clock, before its own events. */
struct lp_when {
	uint64_t number;
	uint32_t index;
	uint64_t released_ns; /* packet time at which the event became possible */
	uint64_t carried_ns;  /* time of the packet that carried the first byte */
};

/* Below 0: a is the earlier place, 0: the same, above 0: b is. */
static inline int lp_when_compare(const struct lp_when *a, const struct lp_when *b)
{
	if (a->number != b->number)
		return a->number < b->number ? -1 : 1;
	if (a->index != b->index)
		return a->index < b->index ? -1 : 1;
	return 0;
}

enum lp_why {
	LP_WHY_FIN,
	LP_WHY_RST,
	LP_WHY_IDLE,
	LP_WHY_EVICT,   /* table full */
	LP_WHY_REUSED,  /* a new connection took the same addresses and ports */
	LP_WHY_STALLED, /* libnids: a hole it cannot pass */
	LP_WHY_EOF,     /* the capture ended */
};

#endif
