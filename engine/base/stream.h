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

/* The moment of an event. Its place is (number, tick, flow, index): the packet that
 * released it, and where among all that this packet released. What timers do comes
 * first, second by second, in each second flow by flow in the order of their first
 * packets; then what the packet itself brought (flow 0); at the end of the capture the
 * flows that are still open, again by their first packets. index counts within a packet.
 * So a place tells which of two events is the earlier whatever reassemblers they
 * come from: a packet belongs to one flow, and a flow to one reassembler. Times are nanoseconds
 * since 1970. */
struct lp_when {
	uint64_t number;
	uint64_t tick;         /* the second that a timer fired at; else LP_TICK_NONE */
	uint64_t flow;         /* number of its first packet, where that decides; a timer for
	                        * silent flows adds LP_FLOW_SILENT */
	uint32_t index;
	uint64_t released_ns;  /* packet time at which the event became possible */
	uint64_t carried_ns;   /* time of the packet that carried the first byte */
};

#define LP_TICK_NONE UINT64_MAX
#define LP_FLOW_SILENT ((uint64_t)1 << 63) /* after the holes of all flows */

/* Below 0: a is the earlier place, 0: the same, above 0: b is. */
static inline int lp_when_compare(const struct lp_when *a, const struct lp_when *b)
{
	if (a->number != b->number)
		return a->number < b->number ? -1 : 1;
	if (a->tick != b->tick)
		return a->tick < b->tick ? -1 : 1;
	if (a->flow != b->flow)
		return a->flow < b->flow ? -1 : 1;
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
