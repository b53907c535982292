/* Recorded flows for the tests of the TLS stage: reads a capture through decode and
 * reassembly, keeps what TCP told, and plays it to an lp_stage in many ways, with
 * master secrets computed in this process. What the stage tells is kept, and its
 * contract is checked at every call (places never go back, one end for each begin,
 * nothing before keys are proven, the sums of the accounts). A broken contract
 * aborts: the fuzz target uses the same player. */
#ifndef LP_TEST_HELP_SESSION_H
#define LP_TEST_HELP_SESSION_H

#include "base/buf.h"
#include "tls/flights.h"
#include "tls/handshake.h"
#include "tls/protect.h"
#include "tls/stage.h"

/* ---- what TCP told ---- */

struct help_call {
	enum lp_side side;
	bool gap;
	uint64_t off, n;
	struct lp_when when;
};

struct help_flow {
	struct help_call *call;
	size_t n, size;
	uint8_t *bytes[2]; /* by side; zeros in gaps */
	uint64_t len[2];
	enum lp_end end[2];
	bool conflict;
	struct lp_when close_when;
};

struct help_trace {
	struct help_flow **flow;
	size_t n;
};

/* A capture of the folder captures/, or (path with a slash) any file. */
void help_trace_read(struct help_trace *t, const char *name);
void help_trace_clear(struct help_trace *t);

/* ---- keys ---- */

struct help_key;
struct help_key *help_key_new(const struct lp_crypto_set *crypto, const char *path);
void help_key_free(struct help_key *k);
/* From now on so many RSA operations at most; what else is asked gets a substitute. */
void help_key_limit(struct help_key *k, unsigned operations);

/* ---- how it is played ---- */

struct help_hole {
	enum lp_side side;
	uint64_t off, n;
};

/* What the session is told to come next: nothing; what does come; other bytes. */
enum help_ahead { HELP_BLIND, HELP_FORESEES, HELP_MISJUDGES };

enum help_answers { HELP_AT_ONCE, HELP_AFTER, HELP_AT_CLOSE };
enum { HELP_HOLES = 4, HELP_KEYS = 4, HELP_SESSIONS = 8 };

struct help_play {
	const struct lp_crypto_set *crypto;
	struct help_key *key[HELP_KEYS]; /* candidates, NULL ends */
	const uint8_t *master;  /* if set: answers with this, no key is needed */
	unsigned masters;       /* … and with so many, 48 bytes each: the candidates, for any suite */
	size_t piece;           /* at most so many bytes in a call; 0 as they came */
	enum help_ahead ahead;
	bool longhand;          /* the stage is never asked for its short way */
	bool cut;               /* one more cut, of cut_side at cut_off */
	enum lp_side cut_side;
	uint64_t cut_off;
	bool sorted;            /* all of `first` comes before anything of the other side */
	enum lp_side first;
	struct help_hole hole[HELP_HOLES];
	size_t holes;
	bool stops;             /* after `stop` bytes the capture ends */
	uint64_t stop;
	enum help_answers answers;
	unsigned after;         /* calls */
	bool flip;              /* answers with the other derivation */
	bool none;              /* the warden answers with nothing */
	bool live;
	bool verify_first;
	uint64_t max_held_session, max_held; /* 0: no cap to speak of */
	bool keep;              /* clear bytes are told only when a session follows */
	uint64_t max_kept;
	struct lp_flights *flights; /* NULL: what was said before is not kept; the name of a
	                             * flight is the byte of its direction */
};

/* ---- what came out ---- */

struct help_session {
	struct lp_buf clear[2]; /* by enum lp_dir */
	struct lp_snapshot *begun, *ready, *ended;
	struct lp_result *result;
	unsigned readies;
};

struct help_told {
	const struct help_play *play;
	struct lp_stage stage;
	struct lp_tls_env env;
	struct lp_ctx_cache contexts;
	struct help_session session[HELP_SESSIONS]; /* the last of them, number n in [n % …] */
	size_t n;                 /* sessions begun */
	uint64_t plain[2];        /* clear bytes outside sessions, by side; gaps too */
	struct lp_buf clear[2];   /* these bytes; gaps are question marks */
	struct lp_buf order;      /* events as text */
	struct lp_buf places;     /* the same, with their places */
	struct lp_buf dir[2];     /* data and gaps of one direction of all sessions */
	unsigned flights;         /* times that one was looked for */
	unsigned short_ways;      /* calls that went it */
	unsigned asked, attempts; /* questions; highest attempt + 1 */
	uint64_t over_most;       /* env.over at its highest */
	/* inside */
	lp_span behind;           /* the bytes of the call that follows, what comes behind them … */
	uint8_t *guess;           /* … what seems to … */
	uint64_t end;             /* … from there on, of side */
	enum lp_side side;
	struct lp_when last;
	uint8_t *room;
	size_t room_n;
	bool open, waits, done;
	bool has_secret;
	uint8_t secret[48];
	unsigned calls;
	uint64_t fed;             /* stream bytes, gaps included */
};

/* Plays a flow; help_told_clear() afterwards. */
void help_play(struct help_told *t, const struct help_flow *flow, const struct help_play *play);
void help_told_clear(struct help_told *t);

/* Step by step: begin, calls of the stage's by way of these, end. What comes behind a call may stand
 * in t->behind before it, and is good for that call. */
void help_begin(struct help_told *t, const struct help_play *play);
void help_data(struct help_told *t, enum lp_side side, const uint8_t *p, size_t n, uint64_t off,
	       const struct lp_when *when);
void help_gap(struct help_told *t, enum lp_side side, uint64_t off, uint64_t n,
	      const struct lp_when *when);
void help_close(struct help_told *t, const enum lp_end end[2], bool conflict,
		const struct lp_when *when);

/* Answers the question that is out. */
void help_answer(struct help_told *t);

bool help_has_note(const struct help_session *s, const char *code);

#define HELP_REQUIRE(x) \
	do { \
		if (!(x)) \
			help_abort(__FILE__, __LINE__, #x); \
	} while (0)
__attribute__((noreturn)) void help_abort(const char *file, int line, const char *what);

#endif
