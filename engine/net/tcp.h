/* The "bytes or gap" interface of TCP reassembly, and what implements it:
 * tcp_native (ours, the default) and tcp_nids (libnids, IPv4, for comparison).
 *
 * What the consumer may rely on, whatever the backend:
 *  - one close (or forget) for each open, nothing after it, no call from within a call;
 *  - offsets of a direction are contiguous from 0, 64 bits wide; a gap consumes
 *    offset; neither data nor gap is ever of length 0;
 *  - data is valid inside the call only;
 *  - a stream whose FINs both arrived and whose bytes are all out reports LP_FIN.
 * A and B: A is who opened, as far as that could be seen. It is a hint; who is
 * client and who is server is for the TLS stage to find out.
 *
 * Owner: lp_reasm belongs to its worker; streams to the reassembler. Single-threaded. */
#ifndef LP_NET_TCP_H
#define LP_NET_TCP_H

#include "base/budget.h"
#include "base/cursor.h"
#include "base/hash.h"
#include "base/stream.h"
#include "net/segment.h"

/* Which of the idle timeouts holds for a stream; set by the consumer. */
enum lp_idle {
	LP_IDLE_HANDSHAKE, /* TLS seen, no keys yet */
	LP_IDLE_PLAIN,     /* no TLS, or skipped (the value at open) */
	LP_IDLE_KEYS,      /* keys held: losing the flow would lose them */
};

/* First member of every backend's stream. */
struct lp_stream {
	void *user;          /* the consumer's, NULL at open */
	uint8_t idle;        /* enum lp_idle; the consumer's to set */
	uint8_t conflict;    /* bit per side: overlapping copies with other bytes were seen */
	uint8_t fin;         /* bit per side: a FIN was delivered up to */
	uint8_t rst;         /* bit per side: an accepted RST came from this side */
	uint8_t kind;        /* what user points to: the consumer's, 0 at open */
	uint8_t seen;        /* bit per side: a packet of it was captured; from bit 4: its SYN */
	uint8_t cut;         /* bit per side: the snap length made a gap */
	uint8_t ender;       /* the side whose FIN or RST came first, +1; 0: nobody's */
};

struct lp_stream_info {
	uint8_t family;       /* 4 or 6 */
	uint8_t addr[2][16];  /* of A, of B; 4 or 16 bytes, network order */
	uint16_t port[2];
	uint32_t domain;
	uint64_t off[2];      /* bytes so far, gaps and what was skipped included; 0 by libnids */
	uint64_t first_number; /* packet that created the stream */
	uint64_t first_ns;
};

/* open comes when there is a connection: after SYN and SYN-ACK, at the first ACK or
 * data; for a connection whose beginning was not captured, at its first data. A SYN
 * alone is not heard of. */
struct lp_reasm_cb {
	enum lp_take (*open)(void *user, struct lp_stream *s, const struct lp_when *when);
	enum lp_take (*data)(void *user, struct lp_stream *s, enum lp_side side,
			     const uint8_t *p, uint32_t n, uint64_t off,
			     const struct lp_when *when);
	void (*gap)(void *user, struct lp_stream *s, enum lp_side side, uint64_t off,
		    uint64_t n, const struct lp_when *when);
	void (*close)(void *user, struct lp_stream *s, enum lp_why why,
		      const struct lp_when *when);
	/* Bytes at off of which two copies came that differ: one of them, perhaps the one
	 * that is handed on. Before or after data; number: of the packet that showed it. May be
	 * NULL. */
	void (*other)(void *user, struct lp_stream *s, enum lp_side side, const uint8_t *p,
		      uint32_t n, uint64_t off, uint64_t number);
	/* An open stream goes without its close, since the reassembler is freed. May be NULL. */
	void (*forget)(void *user, struct lp_stream *s);
};

enum lp_checksums { LP_CHECKSUMS_AUTO, LP_CHECKSUMS_ON, LP_CHECKSUMS_OFF };
enum lp_overlap { LP_OVERLAP_LINUX, LP_OVERLAP_BSD };

/* Defaults: lp_reasm_config_default(), which are the figures of the caps table; the
 * seed stays zero, it is the caller's to draw. Timeouts are rounded up to seconds and
 * cut to 18 hours. Out-of-order bytes are counted as allocated, with their headers. */
struct lp_reasm_config {
	uint32_t max_flows;          /* 1,000,000, grown on demand */
	uint64_t max_ooo_side;       /* 4 MiB of out-of-order bytes a direction */
	uint64_t max_ooo;            /* 256 MiB in all */
	uint64_t grace_ns;           /* 100 ms between ACK evidence and giving a hole up, … */
	uint32_t grace_packets;      /* … and that many packets of the capture; 0 */
	uint64_t hole_ns;            /* 5 s without ACK evidence */
	uint64_t syn_ns;             /* 30 s */
	uint64_t handshake_ns;       /* 60 s */
	uint64_t plain_ns;           /* 300 s */
	uint64_t keys_ns;            /* 3,600 s */
	uint64_t closed_ns;          /* 10 s */
	enum lp_checksums checksums;
	enum lp_overlap overlap;
	struct lp_hash_seed seed;
	struct lp_reasm_common *common; /* the caps are those of several workers together; NULL */
};

/* What all workers have of that together. */
struct lp_reasm_common {
	struct lp_budget flows, half, ooo;
};

void lp_reasm_config_default(struct lp_reasm_config *config);

/* Segments in: segments = delivered + each of the others, each exactly once. */
#define LP_REASM_COUNTERS(X)                                                     \
	X(segments)          /* given to the reassembler */                      \
	X(processed)         /* taken into account by a flow */                  \
	X(bad_csum)          /* dropped: TCP checksum wrong */                   \
	X(no_flow)           /* nothing to begin a flow with (bare ACK, stray FIN or RST) */ \
	X(closed_flow)       /* for a flow that has ended */                     \
	X(bad_rst)           /* RST outside what is acceptable */                \
	X(old_timestamp)     /* PAWS */                                          \
	X(out_of_window)     /* impossible sequence number */                    \
	X(no_ack)            /* no ACK flag: no endpoint takes it */             \
	X(bad_md5)           /* signed, and the SYN was not: no endpoint takes it */ \
	X(memcap)            /* no room in the out-of-order memory */            \
	X(nids_unsupported)  /* what libnids cannot take */

/* Beside them; not a sum of segments. */
#define LP_REASM_EXTRA(X)                                                        \
	X(flows)             /* opened */                                        \
	X(flows_now)                                                             \
	X(evicted)                                                               \
	X(idle)              /* ended because they were silent */                \
	X(csum_offload)      /* accepted with a bare pseudo-header sum */        \
	X(duplicate)         /* segments with nothing new in them */             \
	X(out_of_order)      /* segments that waited */                          \
	X(conflicts)         /* overlaps, retransmissions too, with other bytes */ \
	X(urgent_ahead)      /* urgent pointers beyond their segment: the byte stays in */ \
	X(gaps)                                                                  \
	X(gap_bytes)                                                             \
	X(snaplen_cut)       /* segments cut by the snap length */               \
	X(ooo_peak)          /* most out-of-order bytes held at once */          \
	X(cap_side)          /* times a direction reached its out-of-order cap */ \
	X(cap_total)         /* times all of them did */                         \
	X(keepalive)         /* segments of at most one old byte below the next */

struct lp_reasm_stats {
#define X(name) uint64_t name;
	LP_REASM_COUNTERS(X)
	LP_REASM_EXTRA(X)
#undef X
};

struct lp_reasm; /* opaque; each backend has its own */

struct lp_reasm_ops {
	const char *name;
	/* LP_E_NOMEM, or LP_E_UNSUPPORTED (a second libnids instance). config is
	 * copied, cb must outlive the reassembler. */
	enum lp_err (*init)(struct lp_reasm **out, const struct lp_reasm_config *config,
			    const struct lp_reasm_cb *cb, void *user);
	/* A batch; timers up to each segment's time fire before it. LP_E_NOMEM is
	 * the only fault. */
	enum lp_err (*segments)(struct lp_reasm *r, const struct lp_segment *s, size_t n);
	/* Packet time has reached now_ns with packet `number` (also one that held no
	 * TCP): fires timers. Called between batches and when live and silent. */
	void (*advance)(struct lp_reasm *r, uint64_t number, uint64_t now_ns);
	void (*describe)(const struct lp_reasm *r, const struct lp_stream *s,
			 struct lp_stream_info *out);
	/* Within a call of data: what segments of the batch that come behind it seem to carry from
	 * stream offset off on, if that is the next of this side: pieces, each following the one
	 * before, at most max. Nobody has looked at their checksums or at what else they may mean;
	 * good until that call returns. NULL: never any. */
	size_t (*coming)(struct lp_reasm *r, const struct lp_stream *s, enum lp_side side,
			 uint64_t off, lp_span *out, size_t max);
	void (*stats)(const struct lp_reasm *r, struct lp_reasm_stats *out);
	/* The capture ended: queued bytes are delivered (holes as gaps), every open
	 * stream is closed with LP_WHY_EOF in the order of their first packets (or
	 * LP_WHY_FIN). */
	void (*finish)(struct lp_reasm *r);
	void (*free)(struct lp_reasm *r);
};

extern const struct lp_reasm_ops lp_tcp_native;
#ifdef LP_WITH_NIDS
extern const struct lp_reasm_ops lp_tcp_nids;
#endif

#endif
