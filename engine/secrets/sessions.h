/* lp_sessions: master secrets of handshakes that were seen, for those that resume
 * them (RFC 5246 section 7.4.1.2 by session ID, RFC 5077 by ticket).
 *
 * A name may have several secrets: two servers may give the same ID, and Finished
 * decides. Bounded: at the cap the least recently used goes. Every entry ends after
 * its lifetime, erased by lp_sessions_expire(), not when somebody looks for it.
 * Secrets lie in secret memory and never leave it but as copies for one session;
 * nothing is ever written to disk.
 *
 * An entry has the place at which it was learned; a look-up at a place sees only
 * entries from before it, so a replay finds the same whatever the timing.
 *
 * Owner: lp_engine. One thread. */
#ifndef LP_SECRETS_SESSIONS_H
#define LP_SECRETS_SESSIONS_H

#include "base/hash.h"
#include "base/stream.h"

enum {
	LP_SESSIONS_MAX = 1000000,
	LP_SESSIONS_SAME = 4,       /* secrets of one name; the oldest goes */
	LP_SESSIONS_SECRET = 48,
	LP_SESSIONS_LIFETIME_S = 86400,
};

enum lp_session_name { LP_NAME_ID = 1, LP_NAME_TICKET = 2 };

struct lp_sessions_stats {
	uint64_t entries, hits, misses, evicted, expired;
};

struct lp_sessions;

LP_MUST enum lp_err lp_sessions_new(struct lp_sessions **out, const struct lp_hash_seed *seed,
				    uint32_t max, uint64_t lifetime_ns);
void lp_sessions_free(struct lp_sessions *s);

/* Keeps a copy of the secret. A name that has this very secret is renewed. */
LP_MUST enum lp_err lp_sessions_put(struct lp_sessions *s, enum lp_session_name kind, lp_span name,
				    const uint8_t secret[LP_SESSIONS_SECRET],
				    const struct lp_when *when);

/* The secret number attempt (from 0, newest first) of a name, copied to out; false
 * if there is none (any more). */
bool lp_sessions_find(struct lp_sessions *s, enum lp_session_name kind, lp_span name,
		      const struct lp_when *when, unsigned attempt,
		      uint8_t out[LP_SESSIONS_SECRET]);

/* Erases what has come to its end at packet time now_ns. */
void lp_sessions_expire(struct lp_sessions *s, uint64_t now_ns);

void lp_sessions_stats(const struct lp_sessions *s, struct lp_sessions_stats *out);

#endif
