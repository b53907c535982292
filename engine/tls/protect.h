/* lp_protect: the cipher state of one direction in one epoch, SSL 3.0 to TLS 1.2
 * (RFC 6101 section 5.2.3, RFC 5246 section 6.2.3, RFC 7366, RFC 5288, 6655, 7905).
 *
 * Raw keys, IV and the sequence number to come are its own, in secret memory; library
 * contexts are made from them when needed and live in a bounded cache that the
 * worker owns (stream ciphers excepted: their context is their state and stays with
 * the direction). Opening a record allocates nothing once its context is there, but
 * for the MAC of SSL 3.0, which is no HMAC.
 *
 * A record that does not open leaves everything as it was, so it can be tried again
 * with another sequence number, another key or another copy of the bytes.
 *
 * Owner: the session; may be moved (not copied) in memory. Not thread-safe. */
#ifndef LP_TLS_PROTECT_H
#define LP_TLS_PROTECT_H

#include "crypto/kdf.h"
#include "tls/keystream.h"
#include "tls/suites.h"

/* What both directions of an epoch have in common. */
struct lp_protect_params {
	const struct lp_suite *suite;
	const struct lp_crypto *cipher;  /* provider of the suite's cipher (lp_crypto_set) */
	const struct lp_crypto *base;    /* provider of the MAC and the PRF */
	uint16_t version;                /* 0x0300 … 0x0303 */
	uint16_t epoch;                  /* counts the session's key changes, from 1 */
	bool etm;                        /* RFC 7366 was negotiated; counts for CBC in TLS only */
	bool truncated_hmac;             /* RFC 6066 section 7 was negotiated */
	struct lp_mac_ctx **kept;        /* see lp_kdf; NULL: nothing is kept */
};

enum { LP_CTX_PAIRS = 4096 };

struct lp_ctx_slot;
struct lp_ahead;

/* Library contexts, least recently used wiped and reused first. */
struct lp_ctx_cache {
	struct lp_ctx_slot *slots;
	uint32_t max, room, used;   /* in directions: twice the pairs */
	uint32_t first, last;       /* by use: newest, oldest */
	uint32_t free;
	uint64_t made, evicted;     /* counters */
	const struct lp_crypto *provider[4]; /* those that its directions use; NULL: none yet */
	struct lp_ahead *ahead;     /* the owner's, who sets it; NULL: records are opened one by one */
};

/* pairs: contexts for how many sessions, at most (LP_CTX_PAIRS; at least 1). */
void lp_ctx_cache_init(struct lp_ctx_cache *cache, uint32_t pairs);
void lp_ctx_cache_clear(struct lp_ctx_cache *cache);

/* A stream cipher's. */
struct lp_protect_stream {
	struct lp_keystream keys;
	uint64_t at;                       /* keystream bytes used by opened records */
};

struct lp_protect {
	uint8_t *keys;                     /* secret memory: IV, key, MAC key, as long as the
	                                    * suite and the version have them, and of a stream
	                                    * cipher its state; NULL: not set up */
	struct lp_ctx_cache *cache;
	const struct lp_suite *suite;
	uint64_t seq;                      /* of the next record */
	uint32_t slot;                     /* of the cache entry that is ours, if keys says so */
	uint16_t epoch;
	uint16_t minor : 3;                /* of the version: 3.minor */
	uint16_t etm : 1;
	uint16_t cipher : 2, base : 2;     /* providers, by their number in the cache */
	uint16_t mac_len : 6;
	uint16_t stream : 1;               /* it is a stream cipher */
};

static inline uint16_t lp_protect_version(const struct lp_protect *p)
{
	return (uint16_t)(0x0300 | p->minor);
}

/* Bytes of key_block that both directions need together (RFC 5246 section 6.3). Of
 * an EXPORT suite those after stretching: MAC keys, final write keys, IVs. */
size_t lp_protect_key_block_size(const struct lp_protect_params *params);

/* Sets up both directions from a key block of that size; both are empty before
 * ({0}) and to be cleared by the caller. LP_E_UNSUPPORTED: limpid cannot open
 * records of this suite in this version (no MAC at all, an AEAD below TLS 1.2, a
 * cipher that the provider has not). The sequence numbers start at 0. */
LP_MUST enum lp_err lp_protect_setup(struct lp_protect *client, struct lp_protect *server,
				     struct lp_ctx_cache *cache,
				     const struct lp_protect_params *params,
				     const uint8_t *key_block, size_t n);

/* The same, from the master secret and both randoms; stretches EXPORT keys. */
LP_MUST enum lp_err lp_protect_derive(struct lp_protect *client, struct lp_protect *server,
				      struct lp_ctx_cache *cache,
				      const struct lp_protect_params *params,
				      const uint8_t master[LP_MASTER_SIZE],
				      const uint8_t client_random[32],
				      const uint8_t server_random[32]);

/* Wipes. {0} and a cleared one are ignored. */
void lp_protect_clear(struct lp_protect *p);

static inline bool lp_protect_ready(const struct lp_protect *p)
{
	return p->keys != NULL;
}

/* One record, as it came. */
struct lp_sealed {
	uint8_t type;
	uint16_t version;   /* of the record's header */
	lp_span fragment;
};

/* Opens a record into out (size >= fragment.n is always enough; must not overlap
 * the fragment). On LP_OK *n bytes of content stand at out, authenticated, and
 * p->seq is seq + 1. *n may be 0 (empty records are legal).
 * LP_E_AUTH: not authentic under this key, epoch and sequence number; *why says
 * which check failed ("tag", "mac", "padding", "length"), out is wiped, p is as
 * before. LP_E_FORMAT: authentic, but its content is longer than a record may be.
 * LP_E_NOMEM. epoch must be p->epoch, else LP_E_AUTH ("epoch"). */
LP_MUST enum lp_err lp_protect_open(struct lp_protect *p, uint16_t epoch, uint64_t seq,
				    const struct lp_sealed *record, uint8_t *out, size_t size,
				    size_t *n, const char **why);

/* The same for the next record (p->epoch, p->seq), but its MAC is not looked at: what comes
 * out is what somebody sent, perhaps not the peer. Lengths and padding are checked, and
 * the tag of an AEAD, since its cipher does that anyway. */
LP_MUST enum lp_err lp_protect_open_unchecked(struct lp_protect *p, const struct lp_sealed *record,
					      uint8_t *out, size_t size, size_t *n,
					      const char **why);

/* Whether the records carry a MAC beside the cipher, so that it may be left unchecked. */
bool lp_protect_has_mac(const struct lp_protect *p);

/* Whether opening the next record, of n bytes, would do something for the one behind it, too, if
 * that were known: then lp_protect_next() is told what seems to come behind it, in pieces, `count`
 * of them, and may be wrong. The next lp_protect_open() makes use of it; what that gives is the same
 * with it and without. */
bool lp_protect_looks_ahead(const struct lp_protect *p, size_t n);
void lp_protect_next(struct lp_protect *p, const lp_span *pieces, size_t count);

/* Some ciphers remember: TLS 1.0 CBC takes each record's IV from the record before it
 * (RFC 2246 section 6.2.3.2), a stream cipher stands where the last record ended.
 * After a record that was seen but not opened, or before a trial behind a hole, this
 * says which fragment came last. No effect on other ciphers, none on p->seq.
 * In TLS 1.0 with encrypt-then-MAC no MAC covers the IV: lp_protect_open() cannot see
 * that it is wrong, and the first block comes out wrong, authenticated. So there the
 * caller must not use the content of the first record that opens after one which did
 * not; its last block is the next record's IV, and from there on all is well. */
void lp_protect_chain(struct lp_protect *p, lp_span fragment);

/* The IV that stands: of TLS 1.0 CBC that of the next record, one block. */
const uint8_t *lp_protect_iv(const struct lp_protect *p);

/* Of a stream cipher that is set up. */
struct lp_protect_stream *lp_protect_stream(const struct lp_protect *p);

/* What was opened last stands where it should: no more trials. */
void lp_protect_settle_stream(struct lp_protect *p);
static inline void lp_protect_settle(struct lp_protect *p)
{
	if (p->stream)
		lp_protect_settle_stream(p);
}

/* Of a stream cipher, else 0: where it stands, in bytes of keystream; stands elsewhere from now
 * on; how many bytes were made again since this was last asked. */
uint64_t lp_protect_stands(const struct lp_protect *p);
void lp_protect_stand(struct lp_protect *p, uint64_t at);
uint64_t lp_protect_made_again(struct lp_protect *p);

/* How many content bytes a fragment of n bytes holds, least and most. They are the
 * same but for CBC, whose padding is taken to be no longer than it must. */
void lp_protect_content_range(const struct lp_protect *p, size_t n, size_t *min, size_t *max);

/* Whether a fragment of n bytes may hold so much content, with whatever padding there
 * may be (RFC 5246 section 6.2.3.2: up to 255 bytes). */
bool lp_protect_may_hold(const struct lp_protect_params *params, size_t n, size_t content);

/* The length of the shortest fragment there is: that of an empty record. */
size_t lp_protect_fragment_min(const struct lp_protect *p);

#endif
