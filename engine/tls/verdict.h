/* The verdict: why a session opened, or why it stayed closed.
 *
 * Every session ends with a class (enum lp_verdict of <limpid/plugin.h>), one
 * reason of this table, and any number of notes. Codes are stable: scripts match
 * them. `meaning` is half a sentence for a list, `advice` a sentence that says what
 * the operator can do, `explain` what `limpid --explain CODE` prints.
 *
 * Everything here is const. The session adds the evidence of the one case (which
 * certificate, which suite, which bytes) as its `detail`. */
#ifndef LP_TLS_VERDICT_H
#define LP_TLS_VERDICT_H

#include <limpid/plugin.h>
#include <stdbool.h>

enum lp_reason {
	LP_REASON_NONE, /* not known yet: no session may end with it */
	LP_REASON_COMPLETE,
	/* partial */
	LP_REASON_GAP,
	LP_REASON_GAP_NOT_RECOVERED,
	LP_REASON_RECORD_BAD,
	LP_REASON_LATER_HANDSHAKE_CLOSED,
	LP_REASON_LIMIT, /* partial or opaque */
	/* opaque */
	LP_REASON_NO_KEY,
	LP_REASON_FORWARD_SECRET,
	LP_REASON_EXPORT_KEY,
	LP_REASON_STATIC_DH,
	LP_REASON_PSK_UNKNOWN,
	LP_REASON_SESSION_UNKNOWN,
	LP_REASON_TICKET_UNKNOWN,
	LP_REASON_START_NOT_CAPTURED,
	LP_REASON_HANDSHAKE_LOST,
	LP_REASON_HANDSHAKE_LOST_EMS,
	LP_REASON_ONE_DIRECTION,
	LP_REASON_SNAPLEN,
	LP_REASON_KEYS_DISPROVED,
	LP_REASON_SUITE_UNSUPPORTED,
	LP_REASON_CIPHER_UNAVAILABLE,
	LP_REASON_TLS13,
	LP_REASON_MALFORMED,
	LP_REASON_RSA_OVERLOAD,
	LP_REASON_HANDSHAKE_FAILED,
	LP_REASON_HANDSHAKE_UNFINISHED,
	LP_REASON_COUNT
};

/* Bits, in the order in which they are written. */
enum lp_note {
	LP_NOTE_TRANSCRIPT_DIFFERS = 1 << 0,
	LP_NOTE_FINISHED_UNCHECKED = 1 << 1,
	LP_NOTE_OVERLAP_CONFLICT = 1 << 2,
	LP_NOTE_TRUNCATED = 1 << 3,
	LP_NOTE_EMS_MISMATCH = 1 << 4,
	LP_NOTE_KEY_TOO_LATE = 1 << 5,
};
enum { LP_NOTE_COUNT = 6 };

struct lp_verdict_text {
	const char *code;
	uint8_t classes;       /* bit (1 << enum lp_verdict) for each class it goes with; notes 0 */
	bool closed;           /* counted among what stayed closed */
	const char *meaning;
	const char *advice;
	const char *explain;   /* several lines, each ends in \n */
};

/* Never NULL for a reason below LP_REASON_COUNT. */
const struct lp_verdict_text *lp_reason_text(enum lp_reason reason);

/* The note of bit number i (0 … LP_NOTE_COUNT - 1). */
const struct lp_verdict_text *lp_note_text(unsigned i);

/* Whether a session may end with this reason in this class. */
bool lp_reason_fits(enum lp_reason reason, enum lp_verdict verdict);

/* A reason or a note by its code, for --explain; NULL if there is none. */
const struct lp_verdict_text *lp_verdict_find(const char *code);

/* "decrypted", "partial", "opaque" */
const char *lp_verdict_name(enum lp_verdict verdict);

#endif
