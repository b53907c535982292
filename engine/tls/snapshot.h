/* lp_snapshot: what is known about a session at one moment, frozen, in few bytes: what it
 * has in common with others is shared (common.h).
 * The session takes one when it begins, when keys are proven and when a handshake is done,
 * so that an output that is told late still sees what was known then; the last is also what
 * the session itself remembers of its handshake.
 * Owner: reference counted, by any thread; immutable once handed on. All text is escaped. */
#ifndef LP_TLS_SNAPSHOT_H
#define LP_TLS_SNAPSHOT_H

#include <limpid/plugin.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "base/err.h"

struct lp_facts;
struct lp_name;
struct lp_peer_cert;
struct lp_words;

enum { LP_RESULT_NOTES = 8, LP_RESULT_TEXT = 400 };

/* What the session knows beside the facts of its handshake. */
struct lp_snapshot_extra {
	uint64_t start_ns;
	uint32_t renegotiations;
	uint32_t epoch;
	struct lp_name *secret; /* or NULL */
};

struct lp_snapshot {
	atomic_uint refs;
	uint16_t version, suite;
	struct lp_snapshot_extra extra; /* holds a reference to the name, and so below */
	struct lp_words *client, *server;
	struct lp_peer_cert *server_cert, *client_cert_info;
	uint32_t group;
	uint32_t exchange_bits;
	int8_t ems, etm, resumed, client_cert;
	uint8_t compression;
	bool ticket, new_ticket;     /* they stand in the tail */
	uint8_t session_id_n;
	uint8_t tail[];              /* tickets, session id */
};

/* The same in the words of plugin.h. What it points to lives as long as the snapshot and the
 * view. */
struct lp_session_view {
	struct lp_session_info info; /* number is 0: the output side gives it */
	struct lp_ticket_info ticket, new_ticket;
	char group[12], compression[12];
};

/* A further reference to like (may be NULL) if that says the same, else a new one. NULL: out of
 * memory. */
struct lp_snapshot *lp_snapshot_new(const struct lp_facts *facts,
				    const struct lp_snapshot_extra *extra,
				    struct lp_snapshot *like);

/* The same facts with another extra; s itself if that is no other. */
struct lp_snapshot *lp_snapshot_with(struct lp_snapshot *s, const struct lp_snapshot_extra *extra);

struct lp_snapshot *lp_snapshot_ref(struct lp_snapshot *s);
void lp_snapshot_unref(struct lp_snapshot *s);

void lp_snapshot_view(const struct lp_snapshot *s, struct lp_session_view *out);

/* How a session ended; freed with free(). */
struct lp_result {
	struct lp_session_result pub;
	const char *notes[LP_RESULT_NOTES + 1];
	char detail[LP_RESULT_TEXT];
};

#endif
