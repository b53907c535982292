/* lp_keylog: secrets that somebody wrote down for us, in the SSLKEYLOGFILE format
 * (RFC 9850) and the older lines that Wireshark takes too:
 *
 *   CLIENT_RANDOM <client_random> <master secret>
 *   PMS_CLIENT_RANDOM <client_random> <premaster secret>
 *   RSA <first 8 bytes of the encrypted premaster secret> <premaster secret>
 *   RSA Session-ID:<session id> Master-Key:<master secret>
 *
 * The labels of TLS 1.3 are known and counted. A line that repeats what is there is
 * counted; two lines that differ are both kept (at most LP_KEYLOG_SAME), since a
 * wrong secret proves nothing. At the cap the one longest unused goes.
 *
 * lp_keylog_reader cuts one source's bytes into such lines; cut anywhere.
 *
 * Owner: the engine. Any thread may look, and each reader may have one of its own; one
 * lock, held for a line or a look. Secrets lie in secret memory and are wiped when
 * they leave. Only fault: LP_E_NOMEM; what is no line of a key log is counted. */
#ifndef LP_SECRETS_KEYLOG_H
#define LP_SECRETS_KEYLOG_H

#include "base/hash.h"
#include "base/secret.h"

enum lp_label {
	LP_LABEL_CLIENT_RANDOM,
	LP_LABEL_PMS_CLIENT_RANDOM,
	LP_LABEL_RSA,
	LP_LABEL_SESSION_ID,
	LP_LABEL_CLIENT_EARLY_TRAFFIC_SECRET,
	LP_LABEL_CLIENT_HANDSHAKE_TRAFFIC_SECRET,
	LP_LABEL_SERVER_HANDSHAKE_TRAFFIC_SECRET,
	LP_LABEL_CLIENT_TRAFFIC_SECRET_0,
	LP_LABEL_SERVER_TRAFFIC_SECRET_0,
	LP_LABEL_EARLY_EXPORTER_SECRET,
	LP_LABEL_EXPORTER_SECRET,
	LP_LABELS
};

enum {
	LP_KEYLOG_ID_MAX = 32,      /* bytes */
	LP_KEYLOG_SECRET_MAX = 1024,/* a premaster secret of 8192-bit DH */
	LP_KEYLOG_LINE_MAX = 4096,  /* characters; a longer line is skipped */
	LP_KEYLOG_SAME = 4,         /* secrets under one label and id */
	LP_KEYLOG_DEFAULT = 1000000,/* secrets in all */
};

/* Where a line stood. */
enum lp_keylog_source { LP_KEYLOG_FILE, LP_KEYLOG_BLOCK /* in the capture */ };

struct lp_keylog_stats {
	uint64_t lines;     /* = comments + secrets + repeated + other + malformed */
	uint64_t comments;  /* and empty ones */
	uint64_t secrets;   /* added */
	uint64_t repeated;
	uint64_t other;     /* well-formed, of a label that is of no use (yet) */
	uint64_t malformed;
	uint64_t evicted;   /* secrets that left at the cap, or to one of the same id */
	uint64_t expired;
};

struct lp_keylog;

/* A copy, which whoever asked for it wipes. */
struct lp_keylog_secret {
	enum lp_keylog_source source;
	size_t n;
	uint8_t bytes[LP_KEYLOG_SECRET_MAX];
};

LP_MUST enum lp_err lp_keylog_new(struct lp_keylog **out, const struct lp_hash_seed *seed,
				  size_t max);
void lp_keylog_free(struct lp_keylog *log);

/* Secret number nth (0: the latest) of a label and id. now_ns is the monotonic
 * clock, for expiry. False: there is none. */
bool lp_keylog_find(struct lp_keylog *log, enum lp_label label, lp_span id, unsigned nth,
		    uint64_t now_ns, struct lp_keylog_secret *out);

/* Drops what was neither told nor found since before_ns. */
void lp_keylog_expire(struct lp_keylog *log, uint64_t before_ns);

size_t lp_keylog_count(struct lp_keylog *log);
struct lp_keylog_stats lp_keylog_stats(struct lp_keylog *log);

/* ---- lines ---- */

struct lp_keylog_reader {
	struct lp_keylog *log;
	enum lp_keylog_source source;
	char *line;          /* LP_KEYLOG_LINE_MAX, secret memory; NULL until needed */
	size_t n;            /* characters in it */
	bool skipping;       /* the line is too long */
	uint64_t number;     /* of the last line that was whole */
	uint64_t malformed;  /* lines of this source */
	uint64_t first_malformed;
	uint64_t known;      /* lines of this source that are of a key log */
};

void lp_keylog_reader_init(struct lp_keylog_reader *r, struct lp_keylog *log,
			   enum lp_keylog_source source);
void lp_keylog_reader_clear(struct lp_keylog_reader *r);

/* More of the source. */
LP_MUST enum lp_err lp_keylog_push(struct lp_keylog_reader *r, lp_span bytes, uint64_t now_ns);

/* The source is over: a last line need not end in a line feed. */
LP_MUST enum lp_err lp_keylog_end(struct lp_keylog_reader *r, uint64_t now_ns);

/* The source begins anew (it was truncated or replaced): half a line is forgotten. */
void lp_keylog_restart(struct lp_keylog_reader *r);

#endif
