/* lp_sessions: master secrets of handshakes that were seen, for those that resume
 * them (RFC 5246 section 7.4.1.2 by session ID, RFC 5077 by ticket).
 *
 * A name may have several secrets: two servers may give the same ID, and Finished
 * decides. Only proven secrets are put here, so that nobody who merely claims names
 * takes room. Bounded by entries and by bytes: at the cap the least recently used goes.
 * Every entry ends after its lifetime, erased by lp_sessions_expire(), not when somebody
 * looks for it. Names are kept as keyed hashes of 128 bits. Secrets lie in secret memory
 * and never leave it but as copies for one session; nothing is ever written to disk.
 *
 * An entry has the place at which it was learned. A look-up at a place sees only entries
 * from before it that have not ended then, and those of that very place: one segment may
 * end a handshake and, renegotiated, resume it. It sees several in the order of their
 * places: in a replay the answer does not depend on who came here first, as long as the
 * cap is not reached and lp_sessions_expire() is never told a time after that of a
 * look-up still to come.
 *
 * Owner: lp_engine. Thread-safe: names fall into shards, each with a lock of its own that is
 * held for less than a microsecond, so that workers share it as it is. The cap is that of
 * all; what goes at it is the least recently used of the shard that a new entry falls into.
 * (A small cache is one shard.) */
#ifndef LP_SECRETS_SESSIONS_H
#define LP_SECRETS_SESSIONS_H

#include "base/hash.h"
#include "base/stream.h"

enum {
	LP_SESSIONS_MAX = 1000000,
	LP_SESSIONS_BYTES = 200000000,
	LP_SESSIONS_LIFETIME_S = 86400,
	LP_SESSIONS_SAME = 4,       /* secrets of one name; the oldest goes */
	LP_SESSIONS_SECRET = 48,
};

enum lp_session_name { LP_NAME_ID = 1, LP_NAME_TICKET = 2 };

/* What a name stands for. Lives in secret memory. */
struct lp_session_secret {
	uint8_t master[LP_SESSIONS_SECRET];
	uint16_t version, suite;    /* of the handshake that made it */
	int8_t ems;                 /* 1, 0, -1 unknown */
};

struct lp_sessions_config {
	struct lp_hash_seed seed;
	uint64_t max, max_bytes;    /* 0: the defaults */
	uint64_t lifetime_ns;       /* 0: the default */
};

struct lp_sessions_stats {
	uint64_t entries, bytes;    /* now; bytes with all that belongs to them */
	uint64_t peak;              /* entries */
	uint64_t stored, hits, misses, evicted, expired;
};

struct lp_sessions;

LP_MUST enum lp_err lp_sessions_new(struct lp_sessions **out, const struct lp_sessions_config *c);
void lp_sessions_free(struct lp_sessions *s);

/* How long entries live. */
uint64_t lp_sessions_lifetime(const struct lp_sessions *s);

/* Keeps a copy of the secret for left_ns (0, or more than the lifetime: the lifetime). A
 * name that has this very secret keeps the earlier place, and ends when the later one
 * does; if the earlier had ended before, they are two. Either way it lives no longer
 * than its lifetime by the monotonic clock. LP_E_NOMEM. */
LP_MUST enum lp_err lp_sessions_put(struct lp_sessions *s, enum lp_session_name kind, lp_span name,
				    const struct lp_session_secret *secret,
				    const struct lp_when *when, uint64_t left_ns);

/* The secret number *nth (from 0, newest first) of a name, copied to out, which is
 * secret memory; false if there is none (any more), and *nth is less by those passed. */
bool lp_sessions_find(struct lp_sessions *s, enum lp_session_name kind, lp_span name,
		      const struct lp_when *when, unsigned *nth, struct lp_session_secret *out);
/* A session that a secret from here has opened: counts a hit, since one that is found may be
 * another's; and one whose secret nobody had: counts a miss. */
void lp_sessions_hit(struct lp_sessions *s);
void lp_sessions_missed(struct lp_sessions *s);

/* Erases what has come to its end at packet time packet_ns, or has been here for its
 * lifetime by the monotonic clock, whichever is first. */
void lp_sessions_expire(struct lp_sessions *s, uint64_t packet_ns, uint64_t mono_ns);

void lp_sessions_stats(struct lp_sessions *s, struct lp_sessions_stats *out);

#endif
