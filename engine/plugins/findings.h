/* lp_findings: what follows from a ledger: which servers share a ticket key, how long keys
 * are in use, and what to do about it. The texts of the advice stand in findings.c, and
 * nowhere else.
 *
 * Owner: the audit output. lp_findings_new() looks at a ledger once; lp_findings_free().
 * NULL and -1 mean out of memory. */
#ifndef LP_PLUGINS_FINDINGS_H
#define LP_PLUGINS_FINDINGS_H

#include "plugins/ledger.h"

/* A ticket key that several servers use. */
struct lp_shared_key {
	uint8_t name[LP_LEDGER_NAME];
	size_t servers;              /* how many */
	size_t first;                /* of lp_findings.users */
};

struct lp_findings {
	struct lp_shared_key *shared;
	size_t shared_n;
	const struct lp_ledger_server **users; /* of all shared keys, one after the other */
	size_t users_n;
};

struct lp_findings *lp_findings_new(const struct lp_ledger *l);
void lp_findings_free(struct lp_findings *f);

/* Is the server's ticket key changed, as far as one can see? */
enum lp_rotation {
	LP_ROTATION_NONE,    /* there are no tickets */
	LP_ROTATION_NAMELESS,/* the tickets do not tell keys apart */
	LP_ROTATION_SHORT,   /* one key, and not seen for long enough to tell */
	LP_ROTATION_NEVER,   /* one key for more than a day */
	LP_ROTATION_SLOW,    /* changed, but some key was in use for more than a day */
	LP_ROTATION_DAILY,   /* changed, none in use for more than a day */
};

/* *longest_ns: the longest that one key was in use: that tickets were issued under it, or
 * were accepted when that went on for more than two days. */
enum lp_rotation lp_findings_rotation(const struct lp_ledger_server *s, uint64_t *longest_ns);
const char *lp_findings_rotation_code(enum lp_rotation r); /* "never", … */

/* Calls tell() with each piece of advice: a code and a sentence. */
typedef int lp_findings_tell(void *user, const char *code, const char *sentence);
LP_MUST int lp_findings_advise(const struct lp_findings *f, const struct lp_ledger_server *s,
			       lp_findings_tell *tell, void *user);

#endif
