/* The inside of lp_tls, shared by session.c (handshake and contents), parts.c (what it has
 * for a while), feed.c (bytes in), turn.c (what must wait), keys.c (asking and proving),
 * seek.c, recover.c and hole.c (behind a hole), refill.c (holes filled from earlier
 * handshakes), other.c (copies that differ) and outcome.c (accounts and verdict). Nobody
 * else's. */
#ifndef LP_TLS_SESSION_PARTS_H
#define LP_TLS_SESSION_PARTS_H

#include "tls/handshake.h"
#include "tls/inflate.h"
#include "tls/protect.h"
#include "tls/record.h"
#include "tls/session.h"

enum { LP_SECRET_NAME = 160 };

/* Where a byte of the stream ends up. The counters of lp_dir_totals. */
enum lp_account { LP_IN_OPENED, LP_IN_HANDSHAKE, LP_IN_ALERT, LP_IN_OPAQUE, LP_IN_LOST };

/* A record that did not open under the first keys tried; kept for the next. */
struct lp_trial {
	uint64_t offset;
	size_t n;
	enum lp_dir dir;
	uint16_t version;
	uint8_t type;
	uint8_t bytes[];
};

/* What a seek had gathered and a blocked direction cannot take yet, at most. */
enum { LP_BACK_MAX = 1 << 18 };

/* What was opened of a direction lately: how the way back is found. */
struct lp_way {
	uint64_t nonce;          /* explicit nonce of the last record, less its number … */
	uint16_t nonce_epoch;    /* … in this epoch */
	uint16_t records;        /* recent ones … */
	uint32_t bytes;          /* … and their bytes, for their mean length */
};

/* Where it starts. */
struct lp_hole {
	uint64_t end;            /* stream offset behind the last record, at a hole */
	uint64_t first;          /* length of the record that begins there, 0 if not known */
	uint64_t hole, hole_n;   /* the latest hole; of no bytes: a header was in doubt, … */
	const char *why;         /* … or none (static) */
};

/* What a direction looks for after a hole: the next record in clear, which is believed
 * for what it looks like, or the next one under keys, which must authenticate. */
enum lp_seek_mode { LP_SEEK_CLEAR, LP_SEEK_SEALED };

enum {
	LP_SEEK_BLOCK = 16,
	LP_SEEK_BEFORE = 64,     /* at most so far before a header its IV stands */
	LP_SEEK_CHAIN = 4,       /* of so many records the shortest is tried */
};

/* What came after a hole, as it is looked at: as reassembly chose, with the other copies of
 * bytes that came twice and differed, or under the keys of the handshake under way. */
enum { LP_VIEW_CHOSEN, LP_VIEW_OTHER, LP_VIEW_AHEAD, LP_VIEWS };

struct lp_view {
	lp_span bytes;           /* of what is gathered; .p NULL: there is nothing of the kind */
	uint64_t spent, step;    /* at this position: bytes of trial decryption, trials */
	bool tried;              /* something looked like a record and did not open */
};

/* A direction that looks for its next record after a hole, or where the bytes of a header
 * are in doubt. */
struct lp_seek {
	struct lp_buf buf;       /* what came after the hole */
	uint64_t offset;         /* stream offset of its first byte */
	size_t at;               /* positions before this one have been ruled out */
	uint64_t spent;          /* bytes of trial decryption */
	struct lp_view view[LP_VIEWS];
	struct lp_view *look;    /* the one that is being looked at */
	uint8_t mode;            /* enum lp_seek_mode */
	bool doubt;              /* nothing is missing before the first byte gathered */
	bool blind;              /* what was tried last has an IV that was lost: no proof of anything */
	uint64_t looked;         /* number of the packet at whose place that was last looked at */
	bool waits;              /* there is something to look at, for which keys must come */
	bool ccs_lost;           /* the ChangeCipherSpec stood in the hole … */
	bool ahead;              /* … as the record found shows, under the keys to come */
	bool found;              /* at `at`; then, if under keys, what follows is set: */
	uint8_t type;
	uint8_t *content;        /* in the room last given */
	size_t content_n, wire;
	size_t skip, spoilt;     /* of these: what the hole has spoilt, its IV with it */
	uint64_t lost;           /* records */
};

/* What a handshake needs: made for it, given back once its keys are the present ones. A
 * session that has none under way shares lp_shake_none, which nobody may write to. */
struct lp_shake {
	struct lp_handshake *hs;       /* NULL: there is none */
	struct lp_messages messages[2];/* by enum lp_dir, as all that follow */
	struct lp_buf early;           /* one record of the server's answer to a hello, within
	                                * the session, that has not been seen yet */
	struct lp_protect *next;       /* its keys, of both; NULL: none yet */
	struct lp_inflate *inflate_next[2];
	struct lp_secret master;
	struct lp_mac_ctx *master_mac; /* a MAC keyed with it, once it was wanted */
	struct lp_trial *trial;
	struct lp_refill *refill;      /* of the first handshake; NULL: nothing is written down */
	char *hole_detail;
	struct lp_name *secret;        /* what proved it; NULL: not yet */
	struct lp_snapshot *ready;     /* what was told then */
	uint64_t skip_message[2];      /* bytes of a message that a hole spoilt */
	uint64_t pushed_end;           /* stream offset behind the fragment in messages[] … */
	uint64_t record_end;           /* … and behind its record */
	uint64_t start_ns;             /* of the session, until known has it */
	unsigned attempt;              /* candidate of the question that is out */
	bool extended;                 /* its derivation */
	bool toggled;                  /* … is the other one than negotiated */
	bool final;                    /* the answer was a master secret as it stands */
	bool compressed_next;          /* DEFLATE was negotiated */
	bool next_proven;
	bool unsure[2];                /* a hole may have cost messages of a later handshake */
	bool no_more;                  /* the client's bytes behind a hole are waited for no longer, */
	bool no_keys;                  /* … and keys neither: lp_tls_seek_parked */
	bool hole;                     /* part of it is missing: hole_detail … */
	uint8_t hole_reason;           /* … and what that is called: enum lp_reason */
	int16_t alert;                 /* last fatal alert in clear, -1 none */
	int16_t warning;               /* last one in clear that was not fatal, -1 none */
	uint8_t alert_dir, warning_dir;
};

/* What most sessions never need: bytes were lost or are in no record that was opened, records
 * are compressed, or there is something to say. Shared and given back like lp_shake, but it
 * stays once it was made. */
struct lp_hurt {
	struct lp_seek *seek[2];       /* NULL: no hole at present */
	uint64_t seek_spent;
	struct lp_hole way[2];
	uint64_t stream_end[2];        /* offset behind the last byte taken */
	struct lp_buf back[2];         /* what a seek had gathered and must wait, in order */
	uint64_t skip[2];              /* bytes of a record that a hole in the handshake spoilt */
	struct lp_other *other[2];     /* copies of bytes that differ, newest first */
	size_t other_n;                /* their bytes */
	uint64_t conflict;             /* packet that showed the first of them, 0: none did */
	uint64_t dead_bytes[2];        /* stream bytes since the direction died */
	struct lp_inflate *inflate[2]; /* that of now[], made at its first record */
};

/* What came of the bytes of a direction: what every session has, … */
struct lp_count {
	uint64_t opened, clear;
	uint32_t records, handshake; /* less than LP_COUNT_FULL */
};
enum { LP_COUNT_FULL = 1 << 30 };

/* … and what few have. */
struct lp_count_more {
	uint64_t alert, opaque, lost, records_closed;
	uint32_t records, handshake; /* times LP_COUNT_FULL, beside those above */
};

/* What there is to tell at the end that is not told of a session where all is well. */
struct lp_told {
	struct lp_count_more count[2];
	char *detail;                  /* why it is as `reason` says; NULL: nothing to say */
};

struct lp_tls {
	const struct lp_tls_home *home; /* the caller's */
	struct lp_shake *shake;        /* never NULL, nor are the next two */
	struct lp_hurt *hurt;
	struct lp_told *told;          /* like hurt */
	struct lp_records records[2];  /* by enum lp_dir, as all that follow */
	struct lp_protect now[2];      /* in use; keys NULL: clear text */
	struct lp_way way[2];
	struct lp_count count[2];
	uint64_t fed[2];               /* stream bytes taken, gaps included */
	struct lp_snapshot *known;     /* of the last completed handshake, or how far the first came
	                                * if it closed the session; NULL: neither */
	uint16_t version;              /* of that handshake … */
	bool heartbeat;                /* … and whether it agreed on heartbeats */
	uint32_t epochs;               /* proven so far */
	uint32_t completed;            /* handshakes */
	uint16_t notes;                /* enum lp_note */
	uint8_t state;                 /* enum lp_tls_state */
	uint8_t reason;                /* enum lp_reason: the first; NONE while all is well */
	uint8_t client : 1;            /* enum lp_side */
	bool began : 1;                /* session_begin was told */
	bool proven : 1;               /* some epoch's keys were proven */
	bool compressed : 1;           /* DEFLATE was negotiated */
	bool strict : 1;               /* every MAC is checked from here on */
	bool unchecked : 1;            /* a record came out without */
	bool shed : 1;                 /* bytes gave way while they waited for a key */
	bool dead[2];                  /* a hole that could not be passed */
	bool close_notify[2];
	bool iv_unsure[2];             /* the record before did not authenticate (TLS 1.0, EtM) */
};

/* ---- parts.c ---- */

void lp_tls_parts_init(struct lp_tls *tls);

/* Each for writing: made if there is none. NULL: out of memory, which is left in env->fault. */
struct lp_shake *lp_tls_shake(struct lp_tls *tls);
struct lp_hurt *lp_tls_hurt(struct lp_tls *tls);
struct lp_told *lp_tls_told(struct lp_tls *tls);

/* It has an lp_hurt of its own. */
extern const struct lp_hurt lp_tls_no_hurt;
static inline bool lp_tls_is_hurt(const struct lp_tls *tls)
{
	return tls->hurt != &lp_tls_no_hurt;
}

/* Nothing of a handshake is under way any more: what it needed is given back. */
void lp_tls_settle(struct lp_tls *tls);

/* Its keys are gone, or have moved. */
void lp_tls_shake_free(struct lp_tls *tls);
/* What remains to be told of it stays, unless all is meant. */
void lp_tls_hurt_free(struct lp_tls *tls, bool all);
void lp_tls_told_free(struct lp_tls *tls);

/* ---- session.c ---- */

static inline enum lp_dir lp_tls_dir(const struct lp_tls *tls, enum lp_side side)
{
	return (uint8_t)side == tls->client ? LP_C2S : LP_S2C;
}

static inline enum lp_side lp_tls_side(const struct lp_tls *tls, enum lp_dir dir)
{
	return (enum lp_side)(dir == LP_C2S ? tls->client : !tls->client);
}

/* No packet of that direction was captured, as far as is known. */
static inline bool lp_tls_absent(const struct lp_tls *tls, enum lp_dir dir)
{
	const struct lp_evidence *e = &tls->home->evidence;

	return e->seen && !(e->seen & 1U << lp_tls_side(tls, dir));
}

/* The snap length cut bytes of that direction off. */
static inline bool lp_tls_cut(const struct lp_tls *tls, enum lp_dir dir)
{
	return tls->home->evidence.cut & 1U << lp_tls_side(tls, dir);
}

static inline const char *lp_tls_who(enum lp_dir dir)
{
	return dir == LP_C2S ? "client" : "server";
}

/* What the handshake under way has shown, if it is what describes the session now (it is the
 * first, or its keys are proven); else nothing. */
const struct lp_facts *lp_tls_facts(const struct lp_tls *tls);

/* What the direction is read with behind the ChangeCipherSpec of the handshake under way,
 * or without one; NULL: its keys are not there. */
static inline struct lp_protect *lp_tls_protect(struct lp_tls *tls, enum lp_dir dir)
{
	if (tls->shake->hs && tls->shake->hs->sealed[dir])
		return tls->shake->next ? &tls->shake->next[dir] : NULL;
	return &tls->now[dir];
}

/* The keys of the handshake under way are there. */
static inline bool lp_tls_next_ready(const struct lp_tls *tls, enum lp_dir dir)
{
	return tls->shake->next && lp_protect_ready(&tls->shake->next[dir]);
}

/* A sentence in *to in place of what was there. */
void lp_tls_say(struct lp_tls *tls, char **to, const char *format, ...) LP_PRINTF(3, 4);

/* What the verdict will say of the reason. */
void lp_tls_because(struct lp_tls *tls, enum lp_reason reason, const char *format, ...)
	LP_PRINTF(3, 4);

static inline const char *lp_tls_hole_detail(const struct lp_tls *tls)
{
	return tls->shake->hole_detail ? tls->shake->hole_detail : "";
}

/* The first reason wins; a session whose keys were never proven turns opaque. */
void lp_tls_fail(struct lp_tls *tls, enum lp_reason reason, const char *format, ...)
	LP_PRINTF(3, 4);

/* The same, for a session whose first keys cannot be had after a hole in its handshake. */
void lp_tls_fail_hole(struct lp_tls *tls);

void lp_tls_nomem(struct lp_tls *tls);

/* What an opened record holds goes where it belongs. */
void lp_tls_content(struct lp_tls *tls, enum lp_dir dir, uint8_t type, const uint8_t *p, size_t n,
		    size_t wire);

/* A record that came in clear; whether the direction's next one will not. */
void lp_tls_clear(struct lp_tls *tls, enum lp_dir dir, const struct lp_record *r);
bool lp_tls_sealed(const struct lp_tls *tls, enum lp_dir dir);

/* Bytes of handshake messages, out of records. */
void lp_tls_messages(struct lp_tls *tls, enum lp_dir dir, lp_span fragment);

/* Of the handshake that describes the session now. */
uint16_t lp_tls_version(const struct lp_tls *tls);
bool lp_tls_heartbeat(const struct lp_tls *tls);

/* What describes the session now. NULL: out of memory. */
struct lp_snapshot *lp_tls_snapshot(struct lp_tls *tls);

/* The same is what is known of it from now on. */
void lp_tls_remember(struct lp_tls *tls);

/* ---- keys.c ---- */

/* Asks for the master secret of tls->shake->hs as soon as it may be asked. */
void lp_tls_ask(struct lp_tls *tls);

/* The same where one ChangeCipherSpec has not been seen, or both, and a hole may have taken it.
 * If that was so, a record will show. */
void lp_tls_ask_ahead(struct lp_tls *tls);

/* Opens a record of a direction that is under keys. False: not now (WAITING, or the
 * record is accounted for as closed). */
void lp_tls_open(struct lp_tls *tls, enum lp_dir dir, const struct lp_record *r);

/* Compares verify_data of a Finished just seen (contracts: what proves a key). */
void lp_tls_check_finished(struct lp_tls *tls, enum lp_dir dir);

/* A record has opened under them. */
void lp_tls_prove(struct lp_tls *tls);

/* No record opens under the keys that are being tried: asks for the next. */
void lp_tls_disproved(struct lp_tls *tls);

/* Both Finished are there, or known to be lost: the next keys become the present ones. */
void lp_tls_complete(struct lp_tls *tls);

void lp_tls_keys_clear(struct lp_tls *tls);

/* ---- recover.c ---- */

/* Each record's IV is the last ciphertext block of the one before (TLS 1.0 CBC). */
bool lp_tls_chained(const struct lp_protect *p);

/* A record was opened: remember what the way back would need. */
void lp_tls_opened(struct lp_tls *tls, enum lp_dir dir, struct lp_protect *p,
		   lp_span fragment);

/* Whether the record looked for stands at a position; MORE: bytes behind must come first. */
enum lp_look { LP_LOOK_NO, LP_LOOK_MORE, LP_LOOK_YES };

/* Looks at the bytes at seek[dir]->at as they stand in one view; final: there will be no
 * more. YES: seek[dir]->found and what goes with it are set. */
enum lp_look lp_tls_seek_look(struct lp_tls *tls, enum lp_dir dir, struct lp_view *v, bool final);

/* The keys that a record is looked for under. */
struct lp_protect *lp_tls_seek_keys(struct lp_tls *tls, enum lp_dir dir);

/* Whether s may cost more trials. */
bool lp_tls_seek_affordable(const struct lp_tls *tls, const struct lp_seek *s);

/* ---- seek.c ---- */

/* A hole of n bytes at off in a direction under keys, which may yet have to come; it
 * seeks from now on. */
void lp_tls_seek_begin(struct lp_tls *tls, enum lp_dir dir, uint64_t off, uint64_t n);

/* The same in a direction that is in clear: what follows stands at offset. */
void lp_tls_seek_clear_text(struct lp_tls *tls, enum lp_dir dir, uint64_t offset);

/* Behind a hole stands a record under keys whose ChangeCipherSpec was lost. */
void lp_tls_seek_sealed(struct lp_tls *tls, enum lp_dir dir, const struct lp_record *r);

/* What is in doubt is looked through with what follows. */
struct lp_doubt;
void lp_tls_seek_doubt(struct lp_tls *tls, enum lp_dir dir, const struct lp_doubt *d,
		       const char *why);

/* The direction seeks, and must wait for keys or for a better proof of them. */
bool lp_tls_seek_parked(const struct lp_tls *tls, enum lp_dir dir);

/* Whether what comes next begins a record, as far as the headers tell since the hole. */
bool lp_tls_seek_at_header(const struct lp_seek *s);

/* A later handshake is under way, and the hole before what is gathered may have taken the
 * direction's ChangeCipherSpec: nothing of that has opened under the keys that it has. */
bool lp_tls_seek_ahead(const struct lp_tls *tls, enum lp_dir dir);

/* The other direction waits in vain for one of which nothing has come behind such a hole:
 * it is taken to be so. False: there is none (any more). */
bool lp_tls_seek_presume(struct lp_tls *tls);

/* Looks through what is gathered; final: there will be no more. */
void lp_tls_seek_go(struct lp_tls *tls, enum lp_dir dir, bool final);

/* Takes bytes that follow; returns how many. Afterwards tls->hurt->seek[dir]->found says
 * whether the next record was found; NULL: it was given up. */
size_t lp_tls_seek_feed(struct lp_tls *tls, enum lp_dir dir, const uint8_t *p, size_t n);

/* Whether a last look, with no more to come, may find something. */
bool lp_tls_seek_may_end(const struct lp_tls *tls, enum lp_dir dir);

/* Tells the hole that s found the end of, and accounts for it. */
void lp_tls_seek_tell(struct lp_tls *tls, enum lp_dir dir, const struct lp_seek *s);

/* Bytes that are gathered and accounted for nowhere yet. */
uint64_t lp_tls_seek_held(const struct lp_tls *tls, enum lp_dir dir);

/* The session ends while seeking. */
void lp_tls_seek_end(struct lp_tls *tls, enum lp_dir dir);
void lp_tls_seek_clear(struct lp_tls *tls);

/* ---- hole.c ---- */

/* A hole in a handshake whose keys are not there. Key derivation survives one that
 * costs neither hello (nor the ClientKeyExchange, if it needs that). */
void lp_tls_hole(struct lp_tls *tls, enum lp_dir dir, uint64_t off, uint64_t n);

/* What the verdict will say of a hole, if it closes the session. */
void lp_tls_hole_describe(struct lp_tls *tls, enum lp_dir dir, uint64_t off, uint64_t n);

/* The rest of the record that the hole spoilt, at most n bytes; how many it took. */
size_t lp_tls_skip(struct lp_tls *tls, enum lp_dir dir, size_t n);

/* What a record behind a hole is, that comes before the direction's ChangeCipherSpec. */
enum lp_behind {
	LP_BEHIND_CLEAR,
	LP_BEHIND_SEALED, /* the ChangeCipherSpec was lost */
	LP_BEHIND_PART,   /* of a message that the hole spoilt */
};
enum lp_behind lp_tls_behind(const struct lp_tls *tls, enum lp_dir dir, const struct lp_record *r);

/* Behind a hole that a later handshake has: whether it goes on with these messages, or, p
 * NULL, with the ChangeCipherSpec. Else they are left out, or the session ends here. */
bool lp_tls_goes_on(struct lp_tls *tls, enum lp_dir dir, const uint8_t *p, size_t n);

/* ---- other.c ---- */

/* These bytes, which begin at offset, with their other copies, malloc'd; NULL: there are none
 * that differ. */
uint8_t *lp_tls_other_copy(struct lp_tls *tls, enum lp_dir dir, lp_span bytes, uint64_t offset);
void lp_tls_other_free(struct lp_tls *tls);

/* What was taken for a record under keys: it is not whole, or is none (why), or does not
 * authenticate. */
struct lp_doubt {
	uint64_t offset;
	lp_span header;      /* as far as it is there */
	lp_span gathered[2]; /* all that is not to come again */
	const char *why;
};

/* If the copies of its header differ, or it is none, seek.c finds out what to make of it,
 * and true is returned. */
bool lp_tls_doubt(struct lp_tls *tls, enum lp_dir dir, const struct lp_doubt *d);

/* It was a record that cannot be had. */
void lp_tls_doubt_lost(struct lp_tls *tls, enum lp_dir dir);
/* Whether the other copy of something came, that has not been tried in a doubt. */
bool lp_tls_doubt_news(const struct lp_tls *tls, enum lp_dir dir);

/* Whether copies that differ had come by now. */
bool lp_tls_conflict(const struct lp_tls *tls);
void lp_tls_doubt_say(struct lp_tls *tls, enum lp_dir dir);

/* ---- refill.c ---- */

/* A message in clear was taken in; that of the first handshake. */
void lp_tls_refill_message(struct lp_tls *tls, enum lp_dir dir, const struct lp_message *msg);

/* Whether the direction is being written down; then what comes, and what does not. */
bool lp_tls_refill_on(const struct lp_tls *tls, enum lp_dir dir);
void lp_tls_refill_bytes(struct lp_tls *tls, enum lp_dir dir, const uint8_t *p, size_t n,
			 uint64_t off);
void lp_tls_refill_gap(struct lp_tls *tls, enum lp_dir dir, uint64_t off, uint64_t n);

/* The secret cannot be had without the bytes that were lost: puts a handshake in the place
 * of tls->shake->hs that has them from elsewhere. False: there is none (any more). */
bool lp_tls_refill(struct lp_tls *tls);
bool lp_tls_refilled(const struct lp_tls *tls);

/* The handshake is proven: its flights may fill others. */
void lp_tls_refill_keep(struct lp_tls *tls);
void lp_tls_refill_free(struct lp_tls *tls);

/* ---- outcome.c ---- */

void lp_tls_account(struct lp_tls *tls, enum lp_dir dir, enum lp_account what, uint64_t n);

/* A record of n bytes of data came out. */
void lp_tls_count(struct lp_tls *tls, enum lp_dir dir, size_t n);

/* A record under p, whose keys are proven, stays closed: accounted for, and a hole in what
 * comes out. */
void lp_tls_closed(struct lp_tls *tls, enum lp_dir dir, const struct lp_protect *p,
		   const struct lp_sealed *sealed);

/* The bytes of a direction that are in one of the accounts. */
uint64_t lp_tls_accounted(const struct lp_tls *tls, enum lp_dir dir);

/* Tells the verdict; end by enum lp_dir. */
void lp_tls_end(struct lp_tls *tls, const enum lp_end end[2]);

#endif
