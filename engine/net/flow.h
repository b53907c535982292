/* lp_flow: what is known of one TCP connection, and the table that finds it.
 * Owner: the table, which belongs to one reassembler. Flows lie in slabs that are
 * made on demand and never move, so a pointer to a flow (or to its stream) is good
 * until lp_flow_remove(). A flow is 192 bytes, three cache lines; its slot in the
 * table is 8 bytes more.
 * Errors: LP_E_NOMEM only. Nothing that leaves the reassembler may depend on the
 * order of the slots, which depends on the hash seed. */
#ifndef LP_NET_FLOW_H
#define LP_NET_FLOW_H

#include <string.h>

#include "base/budget.h"
#include "net/checksum.h"
#include "net/segment.h"
#include "net/tcp.h"

/* How far a is after b in sequence space (RFC 9293 section 3.4). */
static inline int32_t lp_seq_diff(uint32_t a, uint32_t b)
{
	return (int32_t)(a - b);
}

static inline bool lp_seq_before(uint32_t a, uint32_t b)
{
	return lp_seq_diff(a, b) < 0;
}

enum lp_half_flag {
	LP_HALF_KNOWN = 0x01,  /* next means something */
	LP_HALF_SEEN = 0x02,   /* a segment of this side was seen */
	LP_HALF_FIN = 0x04,    /* fin means something */
	LP_HALF_TS_OK = 0x08,  /* its SYN carried the timestamp option */
	LP_HALF_TS = 0x10,     /* ts means something */
	LP_HALF_SKIP = 0x20,   /* the consumer wants no more of it */
	LP_HALF_SYN = 0x40,    /* its SYN was seen */
	LP_HALF_URGENT = 0x80, /* bytes were left out: off no longer tells how far next is */
};

/* What one side sends. */
struct lp_half {
	uint64_t off;           /* stream offset of next */
	struct lp_ooo *ooo;     /* what waits above a hole, or a FIN that does; NULL: no hole */
	uint32_t next;          /* sequence number of the next byte to hand on */
	uint32_t acked;         /* highest acknowledgement by the peer */
	uint32_t end;           /* one past the highest byte seen */
	uint32_t fin;           /* sequence number of the FIN */
	uint32_t ts;            /* TS.Recent (RFC 7323 section 4.3) */
	uint8_t flags;          /* enum lp_half_flag */
	struct lp_csum_side csum;
};

/* Both ends in an order of their own, so that both directions find the flow. */
struct lp_flow_key {
	uint8_t addr[2][16]; /* 4 or 16 bytes, the rest zero */
	uint16_t port[2];
	uint32_t domain;
};

enum { LP_FLOW_NO_SCALE = 15 };

enum lp_flow_state {
	LP_FLOW_FREE,
	LP_FLOW_HALF,   /* SYNs only; the consumer has not heard of it */
	LP_FLOW_LIVE,   /* opened */
	LP_FLOW_CLOSED, /* ended; kept for a while to swallow what comes late */
};

struct lp_flow {
	struct lp_stream stream; /* first: a stream is its flow */
	struct lp_flow_key key;
	uint32_t tag;            /* hash of key and family */
	uint32_t self;           /* own number in the slabs, from 1 */
	/* end of the first cache line */
	struct lp_half half[2];  /* of A, of B */
	uint64_t first_number;
	uint64_t first_ns;
	uint32_t prev, next;     /* in one of the lists of age.h; 0 = none */
	uint32_t list;           /* which */
	uint32_t last;           /* second of the last accepted segment (or: when it ended) */
	uint32_t pending;        /* ISN of a SYN that may begin the next connection */
	uint16_t window[2];      /* last advertised to A, to B, as it stands in the header; 0: none yet */
	uint8_t state;           /* enum lp_flow_state */
	uint8_t scale;           /* of A's window, of B's: four bits each; 15 = not known */
	uint8_t idle : 2;        /* stream.idle when the flow was last put into its list */
	uint8_t md5 : 2;         /* bit per side: it may sign its segments, for all we know */
	uint8_t family : 3;      /* 4 or 6 */
	uint8_t pending_side : 2; /* who sent the pending SYN, +1; 0 = none is pending */
	uint8_t early : 2;       /* bit per side: its SYN was not seen and may still come: what
	                          * it sent waits, and next is only where that begins */
	bool pending_ts : 1;     /* it carried the timestamp option */
	bool swap : 1;           /* A is the second of the key */
};

_Static_assert(sizeof(struct lp_flow_key) == 40, "the hash takes it as five words");
_Static_assert(sizeof(struct lp_flow) == 192, "three cache lines");

/* A key, ready to look up. */
struct lp_flow_name {
	struct lp_flow_key key;
	uint32_t tag;
	uint8_t family;
	bool swap; /* the segment's source is the second of the key */
};

struct lp_flow_slot {
	uint32_t tag;
	uint32_t flow; /* 0 = empty */
};

struct lp_flow_table {
	struct lp_flow_slot *slots;
	uint32_t mask;       /* slots - 1 */
	uint32_t count;      /* flows in use */
	uint32_t max;
	uint32_t made;       /* flows that the slabs have room for */
	uint32_t used;       /* the highest number ever handed out */
	uint32_t free;       /* head of the free list, linked by next */
	uint32_t slabs_size;
	uint32_t changes;    /* flows put in and taken out */
	struct lp_flow **slabs;
	struct lp_hash_seed seed;
	struct lp_budget *budget; /* flows of all workers, set after init; NULL: one alone */
};

enum { LP_FLOW_SLAB = 32768 };

LP_MUST enum lp_err lp_flow_table_init(struct lp_flow_table *t, uint32_t max,
				       const struct lp_hash_seed *seed);
void lp_flow_table_clear(struct lp_flow_table *t);

/* The key and the hash of a segment's flow; the hash is the segment's tag, if it has one. */
void lp_flow_name(const struct lp_flow_table *t, const struct lp_segment *s,
		  struct lp_flow_name *out);

/* Whether a segment is of the flow of that name, its source that end of the key. */
static inline bool lp_flow_is_end(const struct lp_flow_name *name, const struct lp_segment *s,
				  bool source)
{
	const struct lp_flow_key *k = &name->key;

	if (k->port[source] != s->sport || k->port[!source] != s->dport ||
	    name->family != s->family || k->domain != s->domain)
		return false;
	if (s->family == 4)
		return !memcmp(k->addr[source], s->src, 4) && !memcmp(k->addr[!source], s->dst, 4);
	return !memcmp(k->addr[source], s->src, 16) && !memcmp(k->addr[!source], s->dst, 16);
}

/* Whether a segment is of the flow of that name: segments come in trains, and a train is hashed
 * once. *swap: as in its own name; what it was is tried first. */
static inline bool lp_flow_is_of(const struct lp_flow_name *name, const struct lp_segment *s,
				 bool *swap)
{
	if (lp_flow_is_end(name, s, *swap))
		return true;
	*swap = !*swap;
	return lp_flow_is_end(name, s, *swap);
}

/* The flow of that name, or NULL. */
struct lp_flow *lp_flow_find(const struct lp_flow_table *t, const struct lp_flow_name *name);

/* A new flow, zeroed but for key, tag, family and self. LP_E_LIMIT if the table is
 * full; the name must not be in it. */
LP_MUST enum lp_err lp_flow_insert(struct lp_flow_table *t, const struct lp_flow_name *name,
				   struct lp_flow **out);
void lp_flow_remove(struct lp_flow_table *t, struct lp_flow *f);

/* Bring the name's slot, and then the flow that the slot points to, into the cache. */
static inline void lp_flow_prefetch_slot(const struct lp_flow_table *t,
					 const struct lp_flow_name *name)
{
	__builtin_prefetch(&t->slots[name->tag & t->mask]);
}

void lp_flow_prefetch(const struct lp_flow_table *t, const struct lp_flow_name *name);

static inline struct lp_flow *lp_flow_at(const struct lp_flow_table *t, uint32_t number)
{
	uint32_t i = number - 1;

	return &t->slabs[i / LP_FLOW_SLAB][i % LP_FLOW_SLAB];
}

#endif
