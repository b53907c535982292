/* lp_defrag: fragments of IPv4 and IPv6 in, whole datagrams out.
 *
 * What overlaps is settled as the receiver does it. LP_OVERLAP_LINUX: a fragment that
 * lies within what is there already is ignored, any other overlap costs the datagram
 * (Linux since 4.19 for both families; RFC 5722). LP_OVERLAP_BSD: for IPv4 what came
 * first wins over a fragment that starts behind it, and loses to one that starts before
 * it; IPv6 as above.
 *
 * A mirror that shows every packet twice leaves a copy of the fragment that made a datagram
 * whole, too late for it. That one is known again for a second.
 *
 * Held are at most max bytes, and max_host of one sender; then the oldest datagram goes
 * first. Time is that of the packets and never goes back.
 *
 * Each fragment is a packet of its own and is counted so, in the decoder's drop[]: a
 * fragment that is kept is LP_DROP_HELD, and moves from there when its datagram becomes
 * whole (LP_DROP_JOINED) or is given up. A fragment for which the system has no memory
 * counts as LP_DROP_FRAGMENT_LIMIT.
 *
 * Owner: its decoder. Single-threaded. Tables are allocated at the first fragment. */
#ifndef LP_NET_DEFRAG_H
#define LP_NET_DEFRAG_H

#include <sys/queue.h>

#include "base/hash.h"
#include "net/drop.h"
#include "net/tcp.h"

struct lp_defrag_config {
	uint64_t max;           /* 16 MiB in all; counted with its own headers */
	uint64_t max_host;      /* 1 MiB a sender */
	uint64_t timeout_ns;    /* 30 s from the first fragment of a datagram */
	enum lp_overlap overlap;
};

enum { LP_DEFRAG_LAST = 64 };

struct lp_datagram;
struct lp_defrag_host;
struct lp_whole;
TAILQ_HEAD(lp_datagrams, lp_datagram);

struct lp_defrag {
	struct lp_defrag_config config;
	struct lp_hash_seed seed;
	uint64_t *drop;                 /* the decoder's, by enum lp_drop */
	struct lp_datagram **datagram;  /* buckets */
	struct lp_defrag_host **host;   /* buckets */
	struct lp_datagrams all;        /* oldest first */
	struct lp_whole *whole;         /* handed out, newest first */
	size_t buckets;                 /* of each table; a power of two */
	uint64_t bytes, now_ns, made;   /* made: whole datagrams */
	struct {
		uint64_t hash, ns;
	} last[LP_DEFRAG_LAST];         /* fragments that made datagrams whole; a ring */
};

struct lp_fragment {
	const uint8_t *src, *dst;       /* 4 or 16 bytes */
	uint8_t family;                 /* 4 or 6 */
	uint8_t proto;                  /* IPv6: of the first fragment counts */
	bool more;
	uint32_t id, domain, offset;    /* offset in bytes */
	lp_span data;
	uint64_t ts_ns;
};

void lp_defrag_config_default(struct lp_defrag_config *config);
void lp_defrag_init(struct lp_defrag *t, const struct lp_defrag_config *config,
		    const struct lp_hash_seed *seed, uint64_t drop[LP_DROPS]);
void lp_defrag_clear(struct lp_defrag *t);

/* LP_DROP_NONE: with this fragment its datagram is whole: what follows the IP header, and
 * the transport in it; good until lp_defrag_release(). Else where the fragment ended;
 * drop[] holds everything but this one fragment, which the caller counts. */
enum lp_drop lp_defrag_push(struct lp_defrag *t, const struct lp_fragment *f, lp_span *whole,
			    uint8_t *proto);

/* Frees the datagrams that were handed out, those after t->whole was until; NULL: all. */
void lp_defrag_release(struct lp_defrag *t, const struct lp_whole *until);

#endif
