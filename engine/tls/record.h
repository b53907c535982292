/* lp_records: cuts the bytes of one direction into TLS records (RFC 5246 section
 * 6.2; SSL 3.0 and TLS 1.3 look the same from outside).
 *
 * Push bytes, then take records until LP_MORE. Pushed bytes are borrowed until
 * LP_MORE came back or lp_records_rest() took the rest away; only then may more
 * be pushed. A record that lies whole in one push is handed out in place; one that
 * was split is gathered once, in a buffer that exists only while a record is
 * incomplete (and until the next call after it has been handed out).
 *
 * Owner: embedded in the session, one for each direction; init/clear. Offsets count
 * the bytes of the direction from the value given at init. A client's first record may
 * have the form of SSL 2.0 (lp_records_allow_v2). Faults are sticky:
 * every later call gives the same one, and lp_records_why() names it. */
#ifndef LP_TLS_RECORD_H
#define LP_TLS_RECORD_H

#include <assert.h>
#include <string.h>

#include "base/buf.h"
#include "base/spares.h"

enum {
	LP_RECORD_HEADER = 5,
	LP_RECORD_PLAIN_MAX = 1 << 14,              /* RFC 5246 6.2.1 */
	LP_RECORD_FRAGMENT_MAX = (1 << 14) + 2048,  /* RFC 5246 6.2.3 */
};

enum lp_content {
	LP_CONTENT_CCS = 20,
	LP_CONTENT_ALERT = 21,
	LP_CONTENT_HANDSHAKE = 22,
	LP_CONTENT_DATA = 23,
	LP_CONTENT_HEARTBEAT = 24, /* RFC 6520 */
	LP_CONTENT_V2_HELLO = 0x80, /* none of the wire's: see lp_records_allow_v2() */
};

struct lp_record {
	uint8_t type;      /* enum lp_content */
	uint16_t version;  /* as on the wire; of a hello of SSL 2.0 that of its message */
	lp_span header;    /* its 5 bytes, or the 2 of SSL 2.0 */
	lp_span fragment;  /* what follows, 0 to LP_RECORD_FRAGMENT_MAX bytes */
	uint64_t offset;   /* of the header in the direction's stream */
};

/* A record that is not whole yet, or was just handed out. */
struct lp_record_part {
	struct lp_spares *from; /* whose block it is; NULL: of the heap */
	uint32_t n, size;
	uint8_t bytes[];
};

enum lp_record_fault {
	LP_RECORD_SOUND,
	LP_RECORD_NO_TYPE, LP_RECORD_NO_VERSION, LP_RECORD_TOO_LONG, LP_RECORD_NO_V2,
	LP_RECORD_NO_MEMORY,
};

struct lp_records {
	struct lp_record_part *part; /* NULL: nothing is held */
	const uint8_t *in;           /* pushed and not yet looked at … */
	uint32_t in_n;               /* … bytes */
	uint16_t room;               /* part is of application data and stays incomplete with fewer
	                              * bytes than that; 0: neither */
	uint8_t fault;               /* enum lp_record_fault */
	bool handed : 1;             /* part has been handed out */
	bool v2 : 1;                 /* the next record may be a hello of SSL 2.0 */
	uint64_t offset;             /* stream offset of the next header */
};

enum {
	LP_V2_HEADER = 2,
	LP_RECORD_MAX = LP_RECORD_HEADER + LP_RECORD_FRAGMENT_MAX,
	LP_RECORD_SPARE = sizeof(struct lp_record_part) + LP_RECORD_MAX, /* size of a spare */
};

/* What the fault is, for a sentence; NULL: there is none. */
const char *lp_records_why(const struct lp_records *r);

/* offset: where in the stream the next pushed byte stands. */
void lp_records_init(struct lp_records *r, uint64_t offset);
void lp_records_clear(struct lp_records *r);

/* The next record may be a ClientHello in the form of SSL 2.0 that offers SSL 3.0 or
 * higher (RFC 5246 appendix E.2): two bytes of length, the first with its top bit set,
 * and the message. It is handed out as LP_CONTENT_V2_HELLO, fragment: the message. */
void lp_records_allow_v2(struct lp_records *r);

/* Lends bytes that follow those pushed before. What was pushed before must have
 * been used up (LP_MORE, rest or resync). */
void lp_records_push(struct lp_records *r, const uint8_t *p, size_t n);

/* spares: blocks of LP_RECORD_SPARE that outlive r, for what has to be held, or NULL; without
 * one left, what is held grows with what comes.
 * LP_OK: *out is the next record, its spans valid until the next call on r (and no
 * longer than the pushed bytes). LP_MORE: all pushed bytes are used up. LP_E_FORMAT:
 * this is no TLS record; LP_E_NOMEM. */
LP_MUST enum lp_err lp_records_next(struct lp_records *r, struct lp_spares *spares,
				    struct lp_record *out);

/* Takes back the pushed bytes after the last record handed out, as they stand in
 * the pushed memory; r holds none of them any more and goes on where they begin
 * when they are pushed again. After LP_MORE there are none (what there was of an
 * incomplete record is in r). */
lp_span lp_records_rest(struct lp_records *r);

/* What was pushed and not yet looked at. */
static inline lp_span lp_records_unread(const struct lp_records *r)
{
	return (lp_span){ r->in, r->in_n };
}

/* Stream offset of the first byte that is not part of a record handed out. */
static inline uint64_t lp_records_offset(const struct lp_records *r)
{
	return r->offset;
}

/* Bytes of an incomplete record, as far as they are held. */
static inline lp_span lp_records_part(const struct lp_records *r)
{
	return r->handed || !r->part ? (lp_span){ NULL, 0 }
				     : (lp_span){ r->part->bytes, r->part->n };
}

/* Their number, 0 when at a record's boundary. */
static inline size_t lp_records_held(const struct lp_records *r)
{
	return r->handed || !r->part ? 0 : r->part->n;
}

/* Bytes that the record begun with the held ones will still need: at least 1; 0 at
 * a boundary or when its header is not complete. A hole shorter than that lies
 * within this one record. */
size_t lp_records_wanted(const struct lp_records *r);

/* n bytes that follow are the middle of the record begun with the held ones, which is of
 * application data, without its end (and need no more memory). */
static inline bool lp_records_in_middle(const struct lp_records *r, size_t n)
{
	return n < r->room;
}

/* Takes them: what push and next would do, for less. */
static inline void lp_records_more(struct lp_records *r, const uint8_t *p, size_t n)
{
	uint8_t *to = r->part->bytes + r->part->n;

	assert(lp_records_in_middle(r, n));
	r->part->n += (uint32_t)n;
	r->room = (uint16_t)(r->room - n);
	memcpy(to, p, n);
}

/* The content type of the record that comes next, -1 if no byte of it is there. */
static inline int lp_records_type(const struct lp_records *r)
{
	if (lp_records_held(r))
		return r->part->bytes[0];
	return r->in_n ? r->in[0] : -1;
}

/* After a hole: forgets the incomplete record, the pushed bytes and the fault; the
 * next pushed byte stands at offset and is taken for the start of a header.
 * Returns how many held bytes were given up. */
size_t lp_records_resync(struct lp_records *r, uint64_t offset);

/* Whether bytes could be the start of a record: every byte of the header that is
 * there has a legal value. n may be 0 (yes). For recognising TLS, and for finding
 * the next record after a hole. */
bool lp_record_plausible(const uint8_t *p, size_t n);

/* The same for a hello of SSL 2.0; LP_V2_LOOK bytes make it certain enough. */
enum { LP_V2_LOOK = 5 };
bool lp_record_v2_plausible(const uint8_t *p, size_t n);

#endif
