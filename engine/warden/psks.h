/* lp_psks: the lines of a file of pre-shared keys (RFC 4279).
 *
 *   identity:hex      the key of an identity; the last colon counts, so the identity
 *                     may have some too; it may also be empty
 *   #hex:hex          the same, the identity's bytes in hexadecimal (as in GnuTLS's file)
 *   # anything        a comment, as is an empty line
 *
 * Owner: the caller's stack; the file's bytes outlive it. Identity and key lie in
 * secret memory and are good until the next call. Faults: LP_E_FORMAT, why says what
 * is wrong (never with the line's text) and line where; LP_E_NOMEM from init. */
#ifndef LP_WARDEN_PSKS_H
#define LP_WARDEN_PSKS_H

#include "base/secret.h"

enum { LP_PSK_MAX = 1024 }; /* bytes of a key; OpenSSL takes 512, GnuTLS 1024 */

struct lp_psk {
	lp_span identity;
	lp_span key;
};

struct lp_psks {
	struct lp_cursor at;
	struct lp_secret room; /* what a line's hexadecimal becomes */
	unsigned line;         /* from 1 */
	const char *why;
};

LP_MUST enum lp_err lp_psks_init(struct lp_psks *r, lp_span file);
void lp_psks_clear(struct lp_psks *r);

/* The next key; LP_EOF when there are no more. */
LP_MUST enum lp_err lp_psks_next(struct lp_psks *r, struct lp_psk *out);

#endif
