/* lp_tls: one TLS connection, from its ClientHello to both close_notify or the
 * flow's end. Takes stream bytes in protocol order (tls/stage.c sees to that),
 * follows the handshake, asks for the master secret, opens records, and ends with
 * a verdict.
 *
 *   bytes ─► records ─► handshake ─► (ask) ─► protect ─► clear bytes, facts, verdict
 *
 * Keys are proven when a protected record authenticates; no byte leaves before
 * that, and each that leaves was in a record whose MAC or tag verified.
 *
 * With env->verify_first that holds for the first LP_VERIFY_FIRST records of each direction
 * under each key, and for every record from the place on where the session shows a hole,
 * bytes that came twice and differed, or a record that does not open: what was handed on
 * before that place stays handed on, and the verdict says so ("verified"). Always checked
 * are AEAD tags, what is no application data, what is compressed, and a record that was
 * found behind a hole.
 *
 * Owner: its stage. Single-threaded. A fault of the wire turns the session opaque
 * with its first reason; a fault of the machine is left in env->fault. */
#ifndef LP_TLS_SESSION_H
#define LP_TLS_SESSION_H

#include "base/budget.h"
#include "base/buf.h"
#include "base/secret.h"
#include "base/spares.h"
#include "base/stream.h"
#include "crypto/crypto.h"
#include "tls/snapshot.h"
#include "tls/verdict.h"

struct lp_tls;
struct lp_ctx_cache;
struct lp_handshake;
struct lp_common;

/* What a session asks of those who keep secrets: the master secret of the
 * handshake hs. attempt counts the candidates from 0; each is asked for with the
 * derivation that was negotiated and then, unless it is a master secret as it
 * stands (LP_REPLY_NOW), with the other one. */
struct lp_question {
	const struct lp_handshake *hs;
	bool extended;      /* derive with the session hash (RFC 7627) */
	unsigned attempt;
	bool anew;          /* the first for this handshake, as it is read now */
	const struct lp_when *when; /* place from which what follows will be told */
	uint8_t *now;       /* 48 bytes, secret memory of the session */
};

enum lp_reply {
	LP_REPLY_NOW,     /* q->now holds the master secret */
	LP_REPLY_DERIVED, /* the same, derived as asked: the other way may be asked for */
	LP_REPLY_LATER,   /* lp_tls_answer() or lp_tls_again() will be called */
	LP_REPLY_NEVER,   /* nobody has it: no_secret says why */
};

struct lp_no_secret {
	enum lp_reason reason;
	char detail[LP_RESULT_TEXT];
};

/* Where a session's events go. owner is that of lp_tls_home. facts are a
 * reference that goes with the call; result is malloc'd and goes with it too. */
struct lp_tls_cb {
	enum lp_reply (*ask)(void *owner, const struct lp_question *q, struct lp_no_secret *no);
	/* The secret of the last answer was right. Gives it a name for the outputs
	 * ("rsa-key FILE"). */
	void (*proven)(void *owner, const struct lp_handshake *hs, char *name, size_t size);
	/* A handshake was completed: its master secret may be resumed. */
	void (*keep)(void *owner, const struct lp_handshake *hs, const uint8_t *master,
		     const struct lp_when *when);
	/* What peers said in clear in it, as flights.h has it; either may be NULL. Flight number
	 * nth of the peer dir comes from, copied to out; false: there is none. */
	void (*keep_flight)(void *owner, const struct lp_handshake *hs, enum lp_dir dir,
			    lp_span bytes, uint32_t lead, const struct lp_when *when);
	bool (*flight)(void *owner, const struct lp_handshake *hs, enum lp_dir dir, unsigned nth,
		       const struct lp_when *when, struct lp_buf *out, uint32_t *lead);
	void (*begin)(void *owner, struct lp_snapshot *facts, const struct lp_when *when);
	void (*ready)(void *owner, struct lp_snapshot *facts, const struct lp_when *when);
	/* Room for n clear bytes, then the bytes in that room. NULL: out of memory. */
	uint8_t *(*room)(void *owner, size_t n);
	void (*data)(void *owner, enum lp_dir dir, const uint8_t *bytes, size_t n,
		     const struct lp_when *when);
	void (*gap)(void *owner, enum lp_dir dir, const struct lp_gap_info *gap,
		    const struct lp_when *when);
	void (*end)(void *owner, struct lp_snapshot *facts, struct lp_result *result,
		    const struct lp_when *when);
	/* What seems to come from offset `off` of dir on, in pieces, as many as there are and at most
	 * max; nobody has judged it yet. Good until the call into the session is over. May be NULL. */
	size_t (*coming)(void *owner, enum lp_dir dir, uint64_t off, lp_span *out, size_t max);
	/* Bytes outside any session, or (p NULL) a gap in them (called by the stage). */
	void (*clear)(void *owner, enum lp_side side, const uint8_t *p, uint64_t n,
		      const struct lp_when *when);
};

/* What a worker lends to all its sessions. */
struct lp_tls_env {
	const struct lp_crypto_set *crypto;
	struct lp_ctx_cache *contexts;
	const struct lp_tls_cb *cb;
	enum lp_err fault;          /* first fault of the machine; sticky */
	bool live;
	bool verify_first;          /* --verify first */
	uint64_t unchecked;         /* records whose MAC was not looked at */
	uint64_t max_held_session;  /* bytes that may wait for a key */
	uint64_t max_held_turn;     /* … for the other direction */
	uint64_t max_held;
	uint64_t held;              /* memory of what waits, in all sessions of this worker */
	struct lp_budget *held_by_all; /* NULL: there is no other */
	uint64_t held_peak;
	uint64_t cap_held;          /* times a cap was reached */
	uint64_t max_message;       /* of a handshake, without its header; 0: LP_MESSAGE_MAX */
	uint64_t cap_message;       /* messages that were longer */
	bool cleartext;             /* bytes outside sessions are told as they come … */
	bool keep_prelude;          /* … or kept until a session follows */
	uint64_t max_kept, kept;    /* memory of what is kept so, in all flows of this worker */
	struct lp_budget *kept_by_all; /* NULL: there is no other */
	uint64_t cap_kept;          /* times a cap was reached */
	uint64_t over;              /* sessions above their cap that wait for the warden: a
	                             * replay stops reading while there are any */
	uint64_t sessions, waiting; /* begun; waiting for the warden now */
	struct lp_common *common;   /* NULL: nothing is shared */
	struct lp_spares spares;    /* for incomplete records, of LP_RECORD_SPARE; may be empty */
	/* Of the call that is being worked on: its direction, the stream offset behind its bytes (0: none is),
	 * and that of the record that is being opened. */
	enum lp_dir call_dir;
	uint64_t call_end, sealed_at;
};

enum { LP_VERIFY_FIRST = 16 };

enum lp_tls_state {
	LP_TLS_RUNNING,
	LP_TLS_WAITING, /* for an answer: feed nothing */
	LP_TLS_OPAQUE,  /* counts only */
	LP_TLS_ENDED,   /* the verdict is out; feed nothing */
};

/* What TCP knows of the capture: bits are 1 << enum lp_side. */
struct lp_evidence {
	uint8_t seen;  /* a packet of that side was captured; 0: nothing is known */
	uint8_t syn;   /* its SYN was, so the connection is there from its start */
	uint8_t cut;   /* the snap length cut its bytes off */
	uint8_t ender; /* the side that closed or reset the connection first, +1; 0: unknown */
	bool conflict; /* copies of bytes came that differ … */
	bool evicted;  /* the table of connections was full */
	struct lp_when *conflict_at; /* … and this is the first place from which that is known;
	                              * NULL: from any. The caller's */
};

/* Where a session stands: its caller's, who keeps it up to date. */
struct lp_tls_home {
	struct lp_tls_env *env;
	void *owner;
	struct lp_when when; /* place of what is being worked on. What happens between calls, with
	                      * an answer, happens at that of the last one */
	struct lp_evidence evidence;
};

/* client is the side whose first bytes are the ClientHello; home lives longer. NULL: out of
 * memory. */
struct lp_tls *lp_tls_new(const struct lp_tls_home *home, enum lp_side client);
void lp_tls_free(struct lp_tls *tls);

enum lp_side lp_tls_client(const struct lp_tls *tls);
enum lp_tls_state lp_tls_state(const struct lp_tls *tls);

/* True while bytes of this side must wait for the other side or for an answer. next is
 * the first of them, -1 if there is none (a gap). */
bool lp_tls_blocked(const struct lp_tls *tls, enum lp_side side, int next);

/* What waits for bytes behind a hole of the other side has waited long enough, or what waits
 * for keys that may come. False: nothing did (any more). */
LP_MUST bool lp_tls_await_no_more(struct lp_tls *tls);

/* A handshake is under way, or something that it needs is kept. */
bool lp_tls_shakes(const struct lp_tls *tls);

/* True once keys are held (a longer idle timeout is due then). */
bool lp_tls_has_keys(const struct lp_tls *tls);

/* Most packets of a large transfer are the middle of a record of application data: it is
 * gathered, and changes nothing that anybody could ask or wait for. Such bytes it takes, whatever
 * the place in home, or, false, nothing. */
bool lp_tls_more(struct lp_tls *tls, enum lp_side side, const uint8_t *p, size_t n);

/* Feeds bytes; returns how many were taken. Fewer than n: the side became blocked
 * or the session ended, and the rest is to be offered later (or to the next
 * session). off is the stream offset of the first byte. */
size_t lp_tls_feed(struct lp_tls *tls, enum lp_side side, const uint8_t *p, size_t n,
		   uint64_t off);

enum { LP_OTHER_MAX = 64 << 10 }; /* bytes of copies that differ, of a session */

/* One of two copies of bytes at off that differ: tried where a record does not open. It counts
 * from the place of packet `number` on, whatever waits for an answer until then. */
void lp_tls_other(struct lp_tls *tls, enum lp_side side, const uint8_t *p, size_t n,
		  uint64_t off, uint64_t number);

/* n bytes were lost. */
void lp_tls_gap(struct lp_tls *tls, enum lp_side side, uint64_t off, uint64_t n);

/* The gap that comes next was captured, but gave way while it waited for a key. */
void lp_tls_shed(struct lp_tls *tls);

/* From offset `from` on nobody reassembles the bytes of an opaque session any more; they came up
 * to offset `to`, and are counted, gaps among them too. */
void lp_tls_pass(struct lp_tls *tls, enum lp_side side, uint64_t from);
void lp_tls_passed(struct lp_tls *tls, enum lp_side side, uint64_t to);

/* Gives up at once (a cap was reached): opaque from here on. */
void lp_tls_give_up(struct lp_tls *tls, enum lp_reason reason, const char *detail);

/* Before the end, the first bytes of a side that still wait for a turn that will not
 * come: an alert among them says why. They are not taken. */
void lp_tls_last_words(struct lp_tls *tls, enum lp_side side, const uint8_t *p, size_t n);

/* No more bytes will come: searches behind holes choose from what there is. True: one went on,
 * so what waited for it may go on too, or waits for an answer. */
LP_MUST bool lp_tls_last_look(struct lp_tls *tls);

/* The flow is over: end[] by side, held[] the bytes and lost[] the length of the gaps by
 * side that never had their turn, conflict whether overlapping copies differed. Tells
 * the verdict. */
void lp_tls_finish(struct lp_tls *tls, const enum lp_end end[2], const uint64_t held[2],
		   const uint64_t lost[2], bool conflict);

/* The answer to the last question; secret NULL: none. Events that follow come
 * from the feeding that is possible now. */
void lp_tls_answer(struct lp_tls *tls, const uint8_t *secret, size_t n,
		   const struct lp_no_secret *no);

/* After an answer: goes on with what was gathered behind holes. */
void lp_tls_wake(struct lp_tls *tls);

/* In place of an answer: asks the same question again. */
void lp_tls_again(struct lp_tls *tls);

/* An opaque session for a flow whose ClientHello was never seen. */
void lp_tls_not_captured(struct lp_tls *tls);

#endif
