/* The inside of lp_engine and lp_worker, shared by engine.c (owns everything),
 * worker.c (packets in, events out), wanted.c (which secret a session needs) and
 * totals.c (counters). Nobody else's. */
#ifndef LP_ENGINE_PARTS_H
#define LP_ENGINE_PARTS_H

#include <limpid/limpid.h>

#include "asks.h"
#include "config.h"
#include "crypto/crypto.h"
#include "net/decode.h"
#include "net/tcp.h"
#include "order.h"
#include "output.h"
#include "secrets/candidates.h"
#include "secrets/sessions.h"
#include "tls/protect.h"
#include "tls/stage.h"
#include "warden/warden.h"

struct lp_engine {
	struct lp_crypto_set crypto;
	struct lp_hash_seed seed;
	struct lp_warden *warden;
	struct lp_asks *asks;
	struct lp_candidates *candidates;
	struct lp_sessions *sessions;
	struct lp_outputs *outputs;
	struct lp_order *order;
	struct lp_worker *worker;    /* the one there is in this release */
	struct lp_reasm_config reasm_config;
	struct lp_decode_config decode_config;
	const struct lp_reasm_ops *reasm_ops;
	uint64_t max_held_session, max_held;
	uint64_t extra_packets[3];   /* told by who captures: kernel drops, interface drops, filtered */
	bool live;
	bool cleartext;
	bool finished;
	char why[LP_WHY];
};

/* A TCP connection that is, or may become, of interest. */
struct lp_tracked {
	struct lp_stage stage;
	struct lp_tracked *prev, *next; /* in worker->flows */
	struct lp_waiter waiter;
	struct lp_worker *worker;
	struct lp_stream *stream;   /* NULL once TCP has closed it */
	struct lp_out_flow *out;    /* once flow_begin was told */
	struct lp_stream_info info; /* addresses: a flow may outlive its stream */
	struct lp_when end_when;
	uint32_t key;               /* of the last question: lp_candidate.id */
	const char *key_kind;       /* … "rsa-key", "session-id", "session-ticket" */
	const char *key_name;       /* … its file, or NULL */
	struct lp_tracked *next_lookup;
	const struct lp_handshake *lookup; /* what it looks up, while it waits for that */
	enum lp_end end[2];         /* by side */
	uint8_t client;             /* enum lp_side */
	bool asked;
};

struct lp_worker {
	struct lp_engine *engine;
	struct lp_decode *decode;
	struct lp_reasm *reasm;
	struct lp_tracked *flows;
	struct lp_tracked *lookups; /* wait until earlier handshakes are done */
	struct lp_ctx_cache contexts;
	struct lp_tls_env env;
	struct lp_segment segments[64];
	size_t segments_n;
	uint64_t last_number, last_ns, second;
	uint64_t first_ns;
	uint64_t no_tls, empty, with_tls; /* flows */
};

/* worker.c: an answer for a flow; secret NULL: none. */
void lp_worker_answer(void *flow, const uint8_t *secret, size_t n, bool overload);
/* The capture ended for this worker. */
void lp_worker_finish(struct lp_worker *w);

/* wanted.c: the callbacks that a session asks through. */
enum lp_reply lp_wanted_ask(void *flow, const struct lp_question *q, struct lp_no_secret *no);
void lp_wanted_proven(void *flow, const struct lp_handshake *hs, char *name, size_t size);

/* A handshake whose secret may be resumed. */
void lp_wanted_keep(void *flow, const struct lp_handshake *hs, const uint8_t *master,
		    const struct lp_when *when);
/* Why a look-up found nothing. */
void lp_wanted_unresumed(struct lp_tracked *f, struct lp_no_secret *no);
/* Look-ups that have become final are answered. */
void lp_wanted_lookups(struct lp_worker *w);

/* totals.c: the counters of the run, for the outputs' close(). */
enum { LP_COUNTERS_MAX = 128 };
size_t lp_totals(const struct lp_engine *e, struct lp_counter out[LP_COUNTERS_MAX],
		 struct lp_summary *summary);
/* What a counter "drop.REASON" counts, in a few words; NULL if it is no such one. */
const char *lp_totals_text(const char *counter);

#endif
