/* lp_snapshot: what is known about a session at one moment, frozen.
 * The session takes one when it begins, when keys are proven and when it ends,
 * so that an output that is told late still sees what was known then.
 * Owner: reference counted; immutable once handed on. All text is escaped. */
#ifndef LP_TLS_SNAPSHOT_H
#define LP_TLS_SNAPSHOT_H

#include <limpid/plugin.h>
#include <stdatomic.h>

#include "base/err.h"

struct lp_facts;

enum { LP_SNAPSHOT_ALPNS = 16, LP_RESULT_NOTES = 8, LP_RESULT_TEXT = 400 };

struct lp_snapshot {
	atomic_uint refs;
	struct lp_session_info info; /* number is 0: the output side gives it */
	struct lp_ticket_info ticket, new_ticket;
	uint8_t session_id[32];
	struct lp_cert_info server_cert;
	struct lp_cert_info client_cert;
	const char *client_alpns[LP_SNAPSHOT_ALPNS + 1];
	const char *server_alpns[2];
	char text[];                 /* what the pointers point to */
};

/* What the session knows beside the facts of its handshake. */
struct lp_snapshot_extra {
	uint64_t start_ns;
	unsigned renegotiations;
	unsigned epoch;
	const char *secret; /* or NULL */
};

/* NULL: out of memory. One reference. */
struct lp_snapshot *lp_snapshot_new(const struct lp_facts *facts,
				    const struct lp_snapshot_extra *extra);
struct lp_snapshot *lp_snapshot_ref(struct lp_snapshot *s);
void lp_snapshot_unref(struct lp_snapshot *s);

/* How a session ended; freed with free(). */
struct lp_result {
	struct lp_session_result pub;
	const char *notes[LP_RESULT_NOTES + 1];
	char detail[LP_RESULT_TEXT];
};

#endif
