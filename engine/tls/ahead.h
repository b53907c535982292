/* lp_ahead: the HMAC of a record that comes next, made together with that of the record before it,
 * since two at once take little longer than one (lp_crypto's mac_two).
 *
 * What comes next is a guess, made of segments that nobody has judged yet. A wrong one costs time
 * and nothing else: what is recalled is the MAC of exactly these bytes under exactly this key, and
 * whether the record carries it is looked at when it has come. So no output depends on it.
 *
 * Owner: the worker, beside the lp_ctx_cache that points to it. Some 100 KiB once it is used; keys
 * in secret memory. Not thread-safe. For protect.c and opening.c. */
#ifndef LP_TLS_AHEAD_H
#define LP_TLS_AHEAD_H

#include "crypto/crypto.h"

enum {
	LP_MAC_HEADER = 13,   /* seq_num, type, version, length: RFC 5246 section 6.2.3.1 */
	LP_AHEAD_LEAST = 1024, /* of a fragment: fewer bytes are not worth it */
};

struct lp_ahead;

/* What an HMAC is made of: the key, which also names the context, then the header, then the bytes. */
struct lp_ahead_mac {
	const struct lp_mac_ctx *ctx; /* of the provider that lp_ahead was made with */
	enum lp_digest digest;
	lp_span key;
	const uint8_t *header;        /* LP_MAC_HEADER bytes */
	lp_span bytes;
};

/* The record that seems to come next, as it came; its bytes are those of lp_ahead, which somebody
 * may decrypt in place. */
struct lp_ahead_record {
	uint8_t type;
	uint16_t version;
	uint8_t *fragment; /* LP_MAC_HEADER bytes in front of it are free, too */
	size_t n;          /* 0: there is none */
};

/* Fragments of fewer than `least` bytes are left alone. NULL: the provider has nothing for two at
 * once, or out of memory. */
struct lp_ahead *lp_ahead_new(const struct lp_crypto *base, size_t least);
void lp_ahead_free(struct lp_ahead *a); /* wipes; NULL is ignored */

/* Whether a fragment of n bytes is long enough for all that follows. NULL, or found out that two at once
 * cannot be made: no. */
bool lp_ahead_is_for(const struct lp_ahead *a, size_t n);

/* Whether it is of use for this key's record seq: two at once can be made here, and that record's MAC
 * is not known already. */
bool lp_ahead_wants(struct lp_ahead *a, lp_span key, uint64_t seq);

/* The bytes that seem to come next, in pieces, n of them; they are copied. A record of application
 * data that lies whole in them is the next, until lp_ahead_over(). */
void lp_ahead_gather(struct lp_ahead *a, const lp_span *pieces, size_t n);
struct lp_ahead_record *lp_ahead_next(struct lp_ahead *a); /* NULL: there is none */
void lp_ahead_over(struct lp_ahead *a);

/* The MAC of `now` to want (lp_digest_size() bytes), and that of `next`, whose bytes lie in the next
 * record, is kept. False: it cannot be done, and nothing was. */
LP_MUST bool lp_ahead_two(struct lp_ahead *a, const struct lp_ahead_mac *now,
			  const struct lp_ahead_mac *next, uint8_t *want);

/* The same MAC, if it was kept; once. */
LP_MUST bool lp_ahead_recall(struct lp_ahead *a, const struct lp_ahead_mac *mac, uint8_t *want);

/* Nothing of this key is kept any longer. */
void lp_ahead_forget(struct lp_ahead *a, lp_span key);

#endif
