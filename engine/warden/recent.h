/* lp_recent: the premaster secrets of the last ten seconds.
 *
 * A session whose keys were disproved asks again with the other derivation (EMS or
 * legacy) of the same input, and clients that retry may send the same input twice:
 * neither is to cost a second RSA operation.
 *
 * Owner: the warden, under its lock; nothing here is thread-safe. All entries lie in
 * secret memory made at start. An entry is wiped when its time is over, by whoever
 * calls lp_recent_expire() in time, not only when somebody happens to look for it.
 * At the cap the oldest gives way. Times are lp_clock_mono() nanoseconds. */
#ifndef LP_WARDEN_RECENT_H
#define LP_WARDEN_RECENT_H

#include "base/clock.h"
#include "base/hash.h"
#include "base/secret.h"
#include "warden/premaster.h"

enum { LP_RECENT_SIZE = 4096 };
#define LP_RECENT_LIFE (10 * LP_NS_PER_S)

struct lp_recent_entry {
	uint32_t key;
	uint8_t input_sha256[32];
	bool ready;                   /* else somebody is at work on it */
	uint8_t premaster[LP_PREMASTER_SIZE];
	uint64_t end;                 /* ready: when it is wiped */
	void *waiting;                /* not ready: the user's list of who waits */
	uint32_t chain, older, newer; /* index + 1, 0 = none */
};

struct lp_recent;

/* size: entries, at least 1 (LP_RECENT_SIZE but in tests). */
LP_MUST enum lp_err lp_recent_new(struct lp_recent **out, uint32_t size);
void lp_recent_free(struct lp_recent *r);

/* The entry, ready or not, or NULL. */
struct lp_recent_entry *lp_recent_find(struct lp_recent *r, uint32_t key,
				       const uint8_t input_sha256[32]);

/* A new entry that is not ready and must become so (or be dropped); the caller
 * has made sure that there is none. NULL if every entry is being worked on. */
struct lp_recent_entry *lp_recent_add(struct lp_recent *r, uint32_t key,
				      const uint8_t input_sha256[32]);

/* The work is done; the entry lives LP_RECENT_LIFE from now. */
void lp_recent_ready(struct lp_recent *r, struct lp_recent_entry *e, const uint8_t *premaster,
		     uint64_t now);

/* Wipes and removes an entry that will not become ready. */
void lp_recent_drop(struct lp_recent *r, struct lp_recent_entry *e);

/* Wipes what has had its time. Returns when the next one ends, 0 if none does. */
uint64_t lp_recent_expire(struct lp_recent *r, uint64_t now);

/* Entries, ready or not. */
uint32_t lp_recent_count(const struct lp_recent *r);

#endif
