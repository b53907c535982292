/* The inside of lp_engine and lp_worker, shared by engine.c (owns everything),
 * worker.c (packets in, events out), tracked.c (its flows), crew.c and hand.c (several workers), wanted.c (which secret a session needs), exchange.c
 * (what the warden is asked for it), late.c
 * (sessions that wait for one) and totals.c (counters). Nobody else's. */
#ifndef LP_ENGINE_PARTS_H
#define LP_ENGINE_PARTS_H

#include <limpid/limpid.h>

#include <pthread.h>
#include <stdatomic.h>

#include "asks.h"
#include "config.h"
#include "crew.h"
#include "crypto/crypto.h"
#include "keylogs.h"
#include "net/tcp.h"
#include "order.h"
#include "output.h"
#include "reader.h"
#include "secrets/candidates.h"
#include "secrets/sessions.h"
#include "tls/common.h"
#include "tls/flights.h"
#include "tls/prelude.h"
#include "store/store.h"
#include "tls/protect.h"
#include "tls/stage.h"
#include "warden/warden.h"

struct lp_engine {
	struct lp_crypto_set crypto;
	struct lp_hash_seed seed;
	struct lp_warden *warden;
	struct lp_candidates *candidates;
	struct lp_sessions *sessions;
	struct lp_flights *flights;  /* what peers said in clear, for where it is lost */
	struct lp_store *store;      /* shared with other sensors; NULL: none */
	pthread_mutex_t store_lock;  /* for it, and for the workers' stored_came */
	int poll_fd;                 /* of the warden and the store, if there is one; else -1 */
	struct lp_keylogs *keylogs;
	struct lp_outputs *outputs;
	struct lp_worker *worker;    /* the first; the one there is if there is no crew */
	struct lp_crew *crew;        /* NULL: the caller gives the worker its packets */
	size_t workers;              /* that there are to be */
	struct lp_reasm_config reasm_config;
	struct lp_decode_config decode_config;
	const struct lp_reasm_ops *reasm_ops;
	struct lp_reasm_common flows_of_all;  /* what workers have in common, if there are several */
	struct lp_budget held_by_all, kept_by_all;
	uint64_t max_held_session, max_held_turn, max_held, max_kept, max_message, max_questions;
	uint64_t max_questions_client, max_questions_server;
	uint32_t max_contexts;
	uint64_t extra_packets[3];   /* told by who captures: kernel drops, interface drops, filtered */
	uint64_t key_wait_ns;        /* that a session waits for a line of a key log; 0: not */
	bool live;
	bool cleartext;
	bool verify_first;           /* --verify first, and nothing speaks against it */
	bool finished;
	bool tickets_given;          /* -t: ticket keys are there or may come */
	bool follow;                 /* keys may come while we run */
	bool blocks;                 /* … as blocks of secrets, behind the packets that they open */
	pthread_mutex_t reload_lock; /* whoever takes keys in */
	_Atomic uint64_t reloads;    /* of the warden that were taken in */
	size_t keys;                 /* … and keys that are candidates */
	char why[LP_WHY];
};

/* What a key log may know a handshake by. */
struct lp_logged_ids {
	uint8_t client_random[32];
	uint8_t sid[32];
	uint8_t sid_n;
	uint8_t rsa[8];             /* of the encrypted premaster secret */
	bool has_rsa;
};

/* A session whose secret is not there. It waits for a line of the key log until its
 * time is over, and even then a line that comes is worth a note; where none may come it is
 * given back with the quest. */
struct lp_late {
	struct lp_late *prev, *next; /* in worker->late, while it waits */
	struct lp_tracked *flow;
	uint64_t mono_ns, packet_ns; /* until when; packet_ns 0: does not count */
	bool waiting;
	bool over;
	bool ticket;                 /* a ticket key may come, too */
	uint64_t reloads;            /* … since that many lp_warden_reloads() */
	struct lp_logged_ids ids;
};

/* What was told about the last question. */
enum lp_tried { LP_TRIED_NONE, LP_TRIED_LOG, LP_TRIED_OTHER };

/* The question to the warden for the ticket that a session is resumed by. */
enum lp_ticket_state {
	LP_TICKET_NONE,    /* not asked */
	LP_TICKET_ASKED,   /* asked, nobody waits for the answer yet */
	LP_TICKET_AWAITED,
	LP_TICKET_OPEN,    /* its secret is there */
	LP_TICKET_USED,    /* … and was told to the session */
	LP_TICKET_REFUSED, /* no key opens it */
	LP_TICKET_SHED,    /* nobody had time for it */
};

/* What the session store was asked for. */
enum lp_stored { LP_STORED_NOT_ASKED, LP_STORED_ASKED, LP_STORED_FOUND, LP_STORED_NONE, LP_STORED_USED };

/* What the secret of a flow's session takes to find; and, of a flow that TCP has closed and
 * that waits for an answer, what is needed at its end. Made for the first question, given back
 * once the session has none any more. A flow without shares one that nobody may write to. */
struct lp_quest {
	struct lp_waiter waiter;
	struct lp_late *late;       /* NULL: no secret was missing */
	uint32_t key;               /* of the last question: lp_candidate.id */
	uint32_t favourite;         /* of its server when first asked, if favoured */
	const char *key_kind;       /* where the last secret was from: "rsa-key", "key-log", … */
	const char *key_name;       /* … the key's file, or NULL */
	struct lp_tracked *next_lookup;
	struct lp_tracked *next_stored; /* in worker->stored_came */
	uint8_t *ticket_secret;     /* secret memory */
	uint32_t ticket_file;
	uint16_t ticket_version, ticket_suite; /* as the server chose them */
	uint32_t attempt;           /* of the last question */
	uint16_t logged, others;    /* candidates from key logs and elsewhere that were tried */
	struct lp_store_value *value; /* what the store had; secret memory, NULL if nothing */
	uint64_t value_left_ns;
	uint64_t early_hash;        /* of the secret tried early, which need not be tried again */
	uint8_t tried;              /* enum lp_tried: of the last question */
	bool looked;                /* a look-up became final: what is not there will not come */
	bool sure;                  /* … for this handshake, … */
	bool early;                 /* … and before that a secret was tried */
	bool cached;                /* the secret that is tried is from the session cache */
	bool asked;
	bool favoured;
	struct lp_stream_info info; /* of a stream that is gone, … */
	struct lp_when end_when;    /* … and when … */
	enum lp_end end[2];         /* … and how it went, by side */
};

/* A TCP connection that is, or may become, of interest. */
struct lp_tracked {
	struct lp_stage stage;
	struct lp_tracked *prev, *next; /* in worker->flows */
	struct lp_worker *worker;
	struct lp_stream *stream;   /* NULL once TCP has closed it */
	struct lp_out_flow *out;    /* once flow_begin was told */
	struct lp_quest *quest;     /* never NULL; to write to it: lp_tracked_quest() */
	uint8_t client;             /* enum lp_side */
	uint8_t ticket;             /* enum lp_ticket_state */
	uint8_t stored;             /* enum lp_stored */
	bool missed;                /* the session cache has not got its ticket */
	bool skipped;               /* nothing of it is reassembled any more */
	bool questioned;            /* its secret was looked up, or somebody was asked for it */
};

struct lp_worker {
	struct lp_engine *engine;
	struct lp_worker *next;      /* of the engine's */
	struct lp_hand *hand;        /* its place in a crew; NULL: it works alone */
	struct lp_reader *reader;    /* NULL in a crew, which has one */
	struct lp_reasm *reasm;
	struct lp_order *order;      /* of this worker's events */
	struct lp_asks *asks;        /* its questions to the warden */
	struct lp_tracked *flows;
	struct lp_tracked *lookups; /* wait until earlier handshakes are done */
	struct lp_tracked *stored_came; /* the session store has answered them; store_lock */
	size_t stored_asked;        /* that the session store was asked for and has not come */
	struct lp_ctx_cache contexts;
	struct lp_common common;          /* what its sessions share */
	struct lp_tls_env env;
	struct lp_late *late, *late_last; /* by deadline */
	uint64_t late_seen;               /* secrets of the key log when last looked at */
	uint64_t late_reloads;            /* … and reloads of keys */
	uint64_t now_ns;                  /* of the capture */
	unsigned number;                  /* of its line to the warden; keys come through 0 */
	bool ended;                       /* the capture, for this one */
	size_t max_order;                 /* bytes that its order may hold */
	uint64_t no_tls, empty, with_tls; /* flows */
	uint64_t begun, one_sided;        /* … whose SYN was seen; … and one side only until data came */
	bool wants_data;                  /* some output looks at decrypted bytes */
};

/* engine.c: what the warden has told anew. */
LP_MUST enum lp_err lp_engine_reloaded(struct lp_engine *e);

/* tracked.c: what sessions and TCP tell; and, before the reassembler, what is left
 * over of flows that are tracked is freed. */
extern const struct lp_tls_cb lp_tracked_tls;
extern const struct lp_reasm_cb lp_tracked_tcp; /* user: the lp_worker */
void lp_tracked_clear(struct lp_worker *w);
/* Its quest, for writing. NULL: out of memory, which is left in env.fault. */
struct lp_quest *lp_tracked_quest(struct lp_tracked *f);
/* Its addresses: a flow may outlive its stream. */
void lp_tracked_info(const struct lp_tracked *f, struct lp_stream_info *out);
/* An answer for a flow; NULL: none will come. */
void lp_worker_answer(void *flow, const struct lp_answer *answer);
/* The question that was to be answered later is to be asked again. */
void lp_worker_again(struct lp_tracked *f);

/* worker.c: no handshake before when is still on its way, here or with another worker. */
bool lp_worker_first(const struct lp_worker *w, const struct lp_when *when);
/* … with another worker. */
bool lp_worker_passed(const struct lp_worker *w, const struct lp_when *when);

/* For a crew. A worker whose packets come through hand, number i of n. */
LP_MUST enum lp_err lp_worker_make(struct lp_worker **out, struct lp_engine *e, unsigned i,
				   unsigned n, struct lp_hand *hand);
void lp_worker_segments(void *worker, const struct lp_segment *s, size_t n, uint64_t ns);
void lp_worker_second(void *worker, uint64_t number, uint64_t ns);
/* Takes in answers that are there; false: there were none, and no look-up was done. */
bool lp_worker_turn(struct lp_worker *w);
/* Sends what was asked; before it sleeps. */
void lp_worker_flush(struct lp_worker *w);
/* It has no room for more packets until answers come, or its events leave. */
bool lp_worker_full(const struct lp_worker *w);
/* The capture ended for this worker with packet number, at ns. */
void lp_worker_finish(struct lp_worker *w, uint64_t number, uint64_t ns);
/* A fault in words. */
const char *lp_worker_fault_text(enum lp_err err);

/* wanted.c: the callbacks that a session asks through. */
enum lp_reply lp_wanted_ask(void *flow, const struct lp_question *q, struct lp_no_secret *no);
void lp_wanted_proven(void *flow, const struct lp_handshake *hs, char *name, size_t size);

/* A question of f to the warden; a fault is the worker's. */
void lp_wanted_put(struct lp_tracked *f, struct lp_ask *ask);

/* LP_REPLY_NEVER, with its reason. */
enum lp_reply lp_wanted_never(struct lp_no_secret *no, enum lp_reason reason, const char *format,
			      ...) LP_PRINTF(3, 4);

/* exchange.c: asks the warden for the secret of a full handshake; number f->others of
 * the candidates. */
enum lp_reply lp_exchange_ask(struct lp_tracked *f, const struct lp_question *q,
			      struct lp_no_secret *no);
/* The key of the last question opened the session. */
void lp_exchange_proven(struct lp_tracked *f);
/* The warden has no answer to the last question: says what that means. */
void lp_exchange_refused(const struct lp_tracked *f, struct lp_no_secret *no);

/* A handshake whose secret may be resumed. */
void lp_wanted_keep(void *flow, const struct lp_handshake *hs, const uint8_t *master,
		    const struct lp_when *when);
/* A look-up whose miss is not final yet, since a handshake before its place is still on
 * its way: LP_REPLY_LATER, and the question is asked again with f->looked set. */
enum lp_reply lp_wanted_later(struct lp_tracked *f, const struct lp_question *q);
/* Look-ups that have become final are asked for again. */
void lp_wanted_lookups(struct lp_worker *w);

/* Secret number nth of the key log for a handshake known by ids; premasters: those count
 * too, and *premaster says whether this is one. */
bool lp_wanted_logged(struct lp_engine *e, const struct lp_logged_ids *ids, bool premasters,
		      unsigned nth, struct lp_keylog_secret *out, bool *premaster);

/* The first logged premaster secret (PMS_CLIENT_RANDOM) of a handshake; in the suites
 * with an ephemeral key and a pre-shared one it may be what the key exchange gave. */
bool lp_wanted_premaster(struct lp_engine *e, const struct lp_handshake *hs,
			 struct lp_keylog_secret *out);

/* refills.c: the flights of a session's peers. */
void lp_refills_keep(void *flow, const struct lp_handshake *hs, enum lp_dir dir, lp_span bytes,
		     uint32_t lead, const struct lp_when *when);
bool lp_refills_find(void *flow, const struct lp_handshake *hs, enum lp_dir dir, unsigned nth,
		     const struct lp_when *when, struct lp_buf *out, uint32_t *lead);

/* tickets.c: asks the warden to open the ticket, if that may help and was not done. */
void lp_tickets_ask(struct lp_tracked *f, const struct lp_question *q);
/* The same, and what became of it. */
enum lp_reply lp_tickets_reply(struct lp_tracked *f, const struct lp_question *q,
			       struct lp_no_secret *no);
/* Says that nobody knows what is in the ticket. */
enum lp_reply lp_tickets_unknown(struct lp_tracked *f, const struct lp_handshake *hs,
				 struct lp_no_secret *no);
/* True: the answer was for a ticket. */
bool lp_tickets_answer(struct lp_tracked *f, const struct lp_answer *answer);
/* Nobody needs it any more. */
void lp_tickets_forget(struct lp_tracked *f);

/* stored.c: the session store. Asks it once for each handshake (NOW, LATER, or NEVER, which
 * adds to what no says); its
 * answer; a proven handshake for it and, if it came from it, for the cache; forgets. */
enum lp_reply lp_stored_ask(struct lp_tracked *f, const struct lp_question *q,
			    struct lp_no_secret *no);
/* Takes in what the store has said, whoever it is for, and hands out what is for w. */
enum { LP_STORED_POLL_MS = 2 };
void lp_stored_poll(struct lp_worker *w);
LP_MUST enum lp_err lp_stored_keep(struct lp_tracked *f, const struct lp_handshake *hs,
				   const struct lp_session_secret *secret,
				   const struct lp_when *when);
void lp_stored_clear(struct lp_tracked *f);

/* late.c */
enum { LP_LATE_POLL_MS = 5 };
/* True: the flow waits now, and its question will be asked again. */
bool lp_late_wait(struct lp_tracked *f, const struct lp_logged_ids *ids,
		  const struct lp_when *when);
void lp_late_free(struct lp_tracked *f);
/* Asks again for those whose line came, whose time is over, or (all) for everyone. */
void lp_late_poll(struct lp_worker *w, bool all);
/* The line came when nobody waited for it any more. */
bool lp_late_came(struct lp_tracked *f);
/* What f waits or has waited for may still make a difference. */
bool lp_late_needed(const struct lp_tracked *f);

/* totals.c: the counters of the run, for the outputs' close(). */
enum { LP_COUNTERS_MAX = 128 };
size_t lp_totals(const struct lp_engine *e, struct lp_counter out[LP_COUNTERS_MAX],
		 struct lp_summary *summary);
/* What a counter "drop.REASON" counts, in a few words; NULL if it is no such one. */
const char *lp_totals_text(const char *counter);

#endif
