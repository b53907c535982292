/* lp_keylogs: the key log files of the command line and the secrets in captures, read
 * into one lp_keylog. A replay reads the files whole before the first packet; live
 * (or from a pipe) their growth is followed.
 *
 * Owner: lp_engine. Any thread may poll and look, one at a time polls: whoever comes
 * meanwhile waits only if it asks for now. */
#ifndef LP_KEYLOGS_H
#define LP_KEYLOGS_H

#include "config.h"
#include "secrets/keylog.h"

struct lp_keylogs;

/* Opens and reads what is there. One line in why (LP_WHY bytes) on a fault. */
LP_MUST enum lp_err lp_keylogs_new(struct lp_keylogs **out, const struct lp_config *config,
				   const struct lp_hash_seed *seed, bool follow, char *why);
void lp_keylogs_free(struct lp_keylogs *k);

/* Reads what was appended: at most every LP_KEYLOGS_POLL_MS, or (now) at once. */
enum { LP_KEYLOGS_POLL_MS = 50 };
LP_MUST enum lp_err lp_keylogs_poll(struct lp_keylogs *k, bool now);

/* Secrets out of a capture file, in its block type's own format. LP_E_UNSUPPORTED: of a
 * type that is of no use here. */
LP_MUST enum lp_err lp_keylogs_block(struct lp_keylogs *k, uint32_t type, lp_span data);

struct lp_keylog *lp_keylogs_store(struct lp_keylogs *k);

/* There is a key log that growth is expected of. */
bool lp_keylogs_followed(const struct lp_keylogs *k);

/* Anything was given: files, or blocks with secrets. */
bool lp_keylogs_given(const struct lp_keylogs *k);

#endif
