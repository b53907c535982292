/* lp_prelude: looks for TLS in a flow that begins with something else: STARTTLS in
 * any protocol, HTTP CONNECT, SOCKS, a PROXY header, a database's first packets.
 * It knows none of them; it knows what TLS looks like:
 *
 *  - a ClientHello that parses whole, in records, and is followed by nothing but
 *    records, may begin at any byte of a direction;
 *  - it counts when the other side answers with a ServerHello that parses whole, or
 *    with an alert. Until then it is held, and what follows it. If something else
 *    follows, these bytes are clear bytes and the search goes on one byte further;
 *  - either of the two may have been captured first.
 *
 * TLS may begin within the first 64 KiB of a direction, counted anew for the side
 * that begins to speak, up to 16 times; a turn of 1 MiB ends the search at once (a
 * transfer: nobody greets that long). All that is held is bounded by the caps of
 * lp_holds.
 *
 * Bytes that are not TLS are told at once (host->clear), or kept until TLS follows
 * (env->keep_prelude), or dropped. One byte in 256 gets a second look.
 *
 * Owner: the worker (a flow that never looked like TLS; small, that is why) or the
 * flow's stage. Single-threaded. Faults (memory) are left in env->fault. */
#ifndef LP_TLS_PRELUDE_H
#define LP_TLS_PRELUDE_H

#include "tls/hold.h"
#include "tls/kept.h"

enum {
	LP_PRELUDE_WINDOW = 64 * 1024,
	LP_PRELUDE_CHANGES = 16,
	LP_PRELUDE_TURN = 1 << 20,
};

enum lp_found {
	LP_FOUND_NOT_YET,
	LP_FOUND_TLS,  /* lp_prelude.client; take what is kept and held */
	LP_FOUND_NONE, /* nor will it be: nothing is held any more */
};

/* What it works with; lent for a call. */
struct lp_prelude_host {
	struct lp_tls_env *env;
	lp_kept_clear *clear; /* NULL: clear bytes are kept or dropped */
	void *user;
};

struct lp_suspects;

struct lp_prelude {
	struct lp_suspects *suspects;   /* while something may be TLS */
	struct lp_kept *kept;
	uint32_t window[2];             /* bytes of a side in which TLS may begin */
	uint32_t turn;                  /* bytes since the speaker changed */
	uint32_t work;                  /* bytes that may still be looked at twice */
	uint8_t changes;
	uint8_t speaker;                /* enum lp_side, 2 = nobody yet */
	uint8_t client;                 /* enum lp_side, once TLS is found */
};

_Static_assert(sizeof(struct lp_prelude) <= 40, "with its lp_flow and all 256 bytes");

/* NULL: out of memory. */
struct lp_prelude *lp_prelude_new(const struct lp_prelude_host *host);
void lp_prelude_free(struct lp_prelude *pre, struct lp_tls_env *env);

/* Stream calls. After anything but NOT_YET no more of them. */
enum lp_found lp_prelude_data(struct lp_prelude *pre, const struct lp_prelude_host *host,
			      enum lp_side side, const uint8_t *p, size_t n, uint64_t off,
			      const struct lp_when *when);
enum lp_found lp_prelude_gap(struct lp_prelude *pre, const struct lp_prelude_host *host,
			     enum lp_side side, uint64_t off, uint64_t n,
			     const struct lp_when *when);
/* The flow is over: TLS if one side's is beyond doubt although the other was not
 * captured; NONE otherwise. */
enum lp_found lp_prelude_close(struct lp_prelude *pre, const struct lp_prelude_host *host);

/* After TLS was found: tells what was kept, a gap of each side that could not be
 * kept first; gives what is held, which begins with the hellos. */
void lp_prelude_tell(struct lp_prelude *pre, const struct lp_prelude_host *host,
		     const struct lp_when *when);
void lp_prelude_take(struct lp_prelude *pre, struct lp_holds *out);

#endif
