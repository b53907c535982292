/* lp_ticketring: the ticket keys that are in use, and those that were until lately.
 *
 * A key that is no longer in its file has still made tickets that clients hold: it stays
 * for the lifetime of a ticket and is then wiped, by whoever calls lp_ticketring_expire()
 * in time. Where several keys fit a ticket, the newest is tried first.
 *
 * Owner: the warden. Any thread opens tickets, one at a time changes keys; each thread
 * of the service has a number of its own, below `threads`, for what it keeps prepared.
 * Bounded by LP_TICKETRING_MAX keys and LP_TICKETRING_FILES files: beyond it LP_E_LIMIT. */
#ifndef LP_WARDEN_TICKETRING_H
#define LP_WARDEN_TICKETRING_H

#include "warden/ticketfile.h"
#include "warden/warden.h"

enum { LP_TICKETRING_MAX = 8192, LP_TICKETRING_FILES = 4096 };

struct lp_ticketring;

/* life_ns: of a key that was taken out of use. */
LP_MUST enum lp_err lp_ticketring_new(struct lp_ticketring **out,
				      const struct lp_crypto_set *crypto, unsigned threads,
				      uint64_t life_ns);
void lp_ticketring_free(struct lp_ticketring *r);

/* The number of the file of that name, a new one if there is none. */
LP_MUST enum lp_err lp_ticketring_file(struct lp_ticketring *r, const char *name, uint32_t *file);

/* These are a file's keys from now on; f gives them away, and is empty then. None: the
 * file is gone. *changed: the keys in use are others than before. LP_E_LIMIT: all stays
 * as it was. now: lp_clock_mono(). */
LP_MUST enum lp_err lp_ticketring_set(struct lp_ticketring *r, uint32_t file,
				      struct lp_ticketfile *f, uint64_t now, bool *changed);

/* Wipes what has had its time. Returns when the next one ends, 0 if none does. */
uint64_t lp_ticketring_expire(struct lp_ticketring *r, uint64_t now);

/* Keys, those out of use among them. */
size_t lp_ticketring_count(struct lp_ticketring *r);

/* What the engine is told: a face for each file. Only by who changes keys. */
const struct lp_warden_key *lp_ticketring_faces(const struct lp_ticketring *r, size_t *n);

/* Opens a ticket. LP_OK: *file says by whose key, *loose that only what comes out of it
 * vouches for it (lp_ticket_open_loose). LP_E_AUTH: no key fits. LP_E_FORMAT: one fits, and
 * what is inside is of no known form. LP_E_NOMEM. */
LP_MUST enum lp_err lp_ticketring_open(struct lp_ticketring *r, unsigned thread,
				       const struct lp_ticket_try *t,
				       struct lp_ticket_session *out, uint32_t *file, bool *loose);

#endif
