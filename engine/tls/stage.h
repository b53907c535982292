/* lp_stage: what stands between a TCP stream and its TLS sessions.
 *
 *  - recognises TLS by content, on any port: the side that sends a ClientHello is
 *    the client; TLS that follows something else is found by lp_prelude;
 *  - gives each session its bytes in the order of the protocol: bytes that come
 *    before their turn, or while the warden is being asked, wait here (bounded);
 *  - hands everything else on as clear bytes.
 *
 * One lp_stage for a flow that may be TLS; a flow whose first bytes are not TLS
 * never gets one. Owner: the worker's flow. Single-threaded. */
#ifndef LP_TLS_STAGE_H
#define LP_TLS_STAGE_H

#include "tls/hold.h"
#include "tls/session.h"

struct lp_prelude;

enum lp_stage_state {
	LP_STAGE_SNIFF, /* nothing decided */
	LP_STAGE_PRELUDE, /* it began with something else: TLS may follow */
	LP_STAGE_TLS,
	LP_STAGE_CLEAR, /* not TLS, or no longer */
};

/* What waits of a flow, and at its end. Made when something has to. */
struct lp_stage_wait {
	struct lp_holds holds;
	struct lp_stage_other *other, **other_tail; /* told while something was held */
	size_t other_n;                    /* their bytes, at most LP_OTHER_MAX */
	uint64_t other_last;               /* the packet that showed the last of them */
	enum lp_end end[2];                /* by side, once closing */
	struct lp_when close_when;
};

struct lp_stage {
	struct lp_tls_home home;           /* its place never goes back; evidence is the owner's
	                                    * to keep up to date */
	struct lp_tls *tls;
	struct lp_prelude *prelude;        /* in that state */
	struct lp_stage_wait *wait;        /* never NULL; not always its own */
	uint8_t state;                     /* enum lp_stage_state */
	bool seen[2];                      /* data of this side came */
	bool closing : 1;                  /* close came and waits for its turn */
	bool had_session : 1;
	bool over : 1;                     /* counted in env->over */
	bool conflict : 1;
	uint16_t nobodys[2];               /* bytes that are to come of a record behind the
	                                    * session's end, by side */
};

/* What the first bytes of a side look like. */
enum lp_looks {
	LP_LOOKS_SHORT, /* too few to tell */
	LP_LOOKS_HELLO,
	LP_LOOKS_TLS,
	LP_LOOKS_CLEAR,
	LP_LOOKS_HOLE,  /* they were not captured: what follows tells nothing */
};
enum lp_looks lp_stage_looks(const uint8_t *p, size_t n);

void lp_stage_init(struct lp_stage *s, struct lp_tls_env *env, void *owner);
void lp_stage_clear_all(struct lp_stage *s);

/* For a flow that had none: pre, which becomes the stage's, has found TLS at when.
 * lp_stage_init() comes first. */
void lp_stage_adopt(struct lp_stage *s, struct lp_prelude *pre, const struct lp_when *when);

/* Stream calls. lp_stage_more() takes the next bytes if they are what lp_tls_more() takes, and
 * then does what lp_stage_data() would; else, false, nothing. */
static inline bool lp_stage_more(struct lp_stage *s, enum lp_side side, const uint8_t *p, size_t n)
{
	return s->tls && !lp_holds_any(&s->wait->holds) && lp_tls_more(s->tls, side, p, n);
}

void lp_stage_data(struct lp_stage *s, enum lp_side side, const uint8_t *p, size_t n,
		   uint64_t off, const struct lp_when *when);
/* One of two copies of bytes at off that differ, as packet `number` showed; perhaps the one that
 * came or comes. */
void lp_stage_other(struct lp_stage *s, enum lp_side side, const uint8_t *p, size_t n,
		    uint64_t off, uint64_t number);

void lp_stage_gap(struct lp_stage *s, enum lp_side side, uint64_t off, uint64_t n,
		  const struct lp_when *when);
/* The flow is over. True: everything is told, the stage may be freed; false: it
 * waits for an answer, and lp_stage_answer() will return true. */
bool lp_stage_close(struct lp_stage *s, const enum lp_end end[2], bool conflict,
		    const struct lp_when *when);

/* An answer came. True: the flow had closed before and everything is told now. */
bool lp_stage_answer(struct lp_stage *s, const uint8_t *secret, size_t n,
		     const struct lp_no_secret *no);

/* The answer that was promised is to be asked for again; else the same. */
bool lp_stage_again(struct lp_stage *s);

/* The side whose ClientHello began the session at hand (or the side that opened the
 * connection, if there is none). */
enum lp_side lp_stage_client(const struct lp_stage *s);

/* True when its session will never open anything: its bytes need only be counted. */
bool lp_stage_opaque(const struct lp_stage *s);

/* A flow is skipped from now on since one of these two is true, and, before lp_stage_close(), it
 * was: its length by side until then, gaps included. */
void lp_stage_skip(struct lp_stage *s, const uint64_t length[2]);
void lp_stage_passed(struct lp_stage *s, const uint64_t length[2]);

/* True when this flow will never need its bytes again. */
bool lp_stage_idle(const struct lp_stage *s);

#endif
