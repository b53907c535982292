/* lp_transcript: the handshake messages of one handshake, hashed as Finished and
 * the Extended Master Secret want them (RFC 5246 section 7.4.9, RFC 7627 section 3):
 * whole messages with their 4-byte headers, both directions, in protocol order.
 *
 * Until ServerHello has said which hash it is, messages are kept raw; then they run
 * through the hash and the memory is given back; in SSL 3.0 they stay raw, since its
 * Finished is no function of their hash. The caller leaves HelloRequest out.
 * What did not arrive is declared with lp_transcript_break(): from then on there is
 * nothing to compare with, and peek says so.
 *
 * Owner: lp_handshake. Holds no secrets. */
#ifndef LP_TLS_TRANSCRIPT_H
#define LP_TLS_TRANSCRIPT_H

#include "base/buf.h"
#include "crypto/crypto.h"

/* A handshake that is longer than this in all is none (LP_E_LIMIT). */
enum { LP_TRANSCRIPT_MAX = 1 << 20 };

struct lp_transcript {
	struct lp_buf raw;            /* messages before begin */
	const struct lp_crypto *crypto;
	struct lp_digest_ctx *run;    /* after begin */
	size_t total;                 /* bytes added */
	uint8_t size;                 /* of the hash; 0 before begin */
	bool broken;                  /* a message is missing */
};

void lp_transcript_init(struct lp_transcript *t, const struct lp_crypto *crypto);
void lp_transcript_clear(struct lp_transcript *t);

/* message: with its 4-byte header. LP_E_LIMIT, LP_E_NOMEM. */
LP_MUST enum lp_err lp_transcript_add(struct lp_transcript *t, lp_span message);

/* Names the hash (once): LP_MD5_SHA1 below TLS 1.2, else the suite's PRF hash.
 * LP_E_UNSUPPORTED if the provider has it not. */
LP_MUST enum lp_err lp_transcript_begin(struct lp_transcript *t, enum lp_digest digest);

void lp_transcript_break(struct lp_transcript *t);

/* All messages so far as they are, empty after begin or if one is missing. */
static inline lp_span lp_transcript_raw(const struct lp_transcript *t)
{
	return lp_buf_span(&t->raw);
}

/* The hash of all so far; it runs on. out has LP_DIGEST_MAX bytes. *n is 0 if it
 * is not known (broken, or before begin). */
LP_MUST enum lp_err lp_transcript_peek(const struct lp_transcript *t, uint8_t *out, size_t *n);

#endif
