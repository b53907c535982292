/* lp_flights: what peers said in clear in handshakes whose keys were proven, for later
 * handshakes of the same peers of which the capture lost a piece. Extended Master Secret
 * (RFC 7627) hashes every byte, so such a piece must be had from somewhere; and most
 * servers say the same every time.
 *
 * A flight is a stretch of the stream, with its record headers: of a server from behind
 * its ServerHello to the end of its ServerHelloDone, of a client from behind its
 * ClientHello to the end of its Certificate. A name (whose flights these are; the
 * caller's choice) has the last LP_FLIGHTS_SAME distinct ones. These are public bytes,
 * and none is believed: a handshake filled from one must prove itself.
 *
 * An entry has the place at which it was learned. A look-up at a place sees only entries
 * from before it, newest first: in a replay the answer does not depend on who came here
 * first, as long as no cap is reached.
 *
 * Owner: lp_engine. Thread-safe: one lock. Caps: bytes of one flight (longer ones are not
 * kept, and counted), bytes of all with what belongs to them (the least recently used
 * goes). Errors: LP_E_NOMEM. */
#ifndef LP_TLS_FLIGHTS_H
#define LP_TLS_FLIGHTS_H

#include "base/buf.h"
#include "base/hash.h"
#include "base/stream.h"

enum {
	LP_FLIGHTS_SAME = 4,
	LP_FLIGHT_MAX = 32 << 10,
	LP_FLIGHTS_BYTES = 64 << 20,
};

struct lp_flights_config {
	struct lp_hash_seed seed;
	uint64_t max_one, max_bytes; /* 0: the defaults */
};

struct lp_flights_stats {
	uint64_t entries, bytes;     /* now */
	uint64_t stored, hits;
	uint64_t replaced;           /* a fifth of its name came */
	uint64_t evicted, too_long;  /* by the caps */
};

struct lp_flights;

LP_MUST enum lp_err lp_flights_new(struct lp_flights **out, const struct lp_flights_config *c);
void lp_flights_free(struct lp_flights *s);

/* Keeps a copy. lead: how many of the first bytes belong to a record that began before the
 * flight. One that is there already keeps the earlier place. */
LP_MUST enum lp_err lp_flights_put(struct lp_flights *s, lp_span name, lp_span bytes,
				   uint32_t lead, const struct lp_when *when);

/* Flight number nth (from 0) of a name, copied to out, which is empty; *found is false if
 * there is none. */
LP_MUST enum lp_err lp_flights_find(struct lp_flights *s, lp_span name, const struct lp_when *when,
				    unsigned nth, struct lp_buf *out, uint32_t *lead, bool *found);

void lp_flights_stats(struct lp_flights *s, struct lp_flights_stats *out);

#endif
