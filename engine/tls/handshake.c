/* The state machine of one handshake. What a message teaches is in learn.c. */
#include "tls/handshake.h"

#include <stdlib.h>
#include <string.h>

#include "tls/learn.h"

/* Columns of the table: the messages that have a place in a handshake, and
 * ChangeCipherSpec, which is no message but takes its turn like one. */
enum column {
	COL_CLIENT_HELLO,
	COL_SERVER_HELLO,
	COL_TICKET,
	COL_CERT,
	COL_SERVER_KX,
	COL_CERT_REQUEST,
	COL_HELLO_DONE,
	COL_CERT_VERIFY,
	COL_CLIENT_KX,
	COL_CERT_URL,
	COL_CERT_STATUS,
	COL_SUPPLEMENTAL,
	COL_CCS,
	COLUMNS,
	COL_NONE = COLUMNS,
};

/* States are named for what was last seen. They stand in the order in which a
 * handshake passes through them, since a loose one (after a gap) looks forward. */
enum state {
	ST_IDLE,
	ST_CLIENT_HELLO,
	ST_SERVER_HELLO,   /* the next message decides: resumed or full */
	ST_SUPPLEMENTAL,
	ST_CERT,
	ST_CERT_STATUS,
	ST_SERVER_KX,
	ST_CERT_REQUEST,
	ST_RESUMED_TICKET,
	ST_RESUMED_CCS,
	ST_HELLO_DONE,
	ST_HELLO_DONE_CERT,/* the same, and a client certificate was requested */
	ST_CLIENT_CERT,
	ST_CLIENT_KX,
	ST_CERT_VERIFY,
	ST_CLIENT_CCS,
	ST_NEW_TICKET,
	ST_KEYED,          /* both ChangeCipherSpecs */
	ST_TLS13,
	ST_DEAD,
	STATES,
};

typedef enum lp_err learn_fn(struct lp_handshake *hs, const struct lp_message *msg);

struct row {
	uint8_t next;      /* 0 (ST_IDLE): not allowed here */
	learn_fn *learn;
};

/* RFC 5246 section 7.3, with what RFC 4366 (CertificateURL), 4680 (SupplementalData),
 * 5077 (NewSessionTicket) and 6066 (CertificateStatus) put in. */
static const struct {
	uint8_t turn;
	struct row row[2][COLUMNS];
} table[STATES] = {
	[ST_IDLE] = {
		.turn = LP_TURN_EITHER,
		.row[LP_C2S] = {
			[COL_CLIENT_HELLO] = { ST_CLIENT_HELLO, lp_learn_client_hello },
		},
	},
	[ST_CLIENT_HELLO] = {
		.turn = LP_S2C,
		.row[LP_S2C] = {
			[COL_SERVER_HELLO] = { ST_SERVER_HELLO, lp_learn_server_hello },
		},
	},
	[ST_SERVER_HELLO] = {
		.turn = LP_S2C,
		.row[LP_S2C] = {
			[COL_TICKET] = { ST_RESUMED_TICKET, lp_learn_ticket },
			[COL_CCS] = { ST_RESUMED_CCS, NULL },
			[COL_SUPPLEMENTAL] = { ST_SUPPLEMENTAL, NULL },
			[COL_CERT] = { ST_CERT, lp_learn_server_cert },
			[COL_SERVER_KX] = { ST_SERVER_KX, lp_learn_server_kx },
			[COL_HELLO_DONE] = { ST_HELLO_DONE, NULL },
		},
	},
	[ST_SUPPLEMENTAL] = {
		.turn = LP_S2C,
		.row[LP_S2C] = {
			[COL_CERT] = { ST_CERT, lp_learn_server_cert },
			[COL_SERVER_KX] = { ST_SERVER_KX, lp_learn_server_kx },
			[COL_HELLO_DONE] = { ST_HELLO_DONE, NULL },
		},
	},
	[ST_CERT] = {
		.turn = LP_S2C,
		.row[LP_S2C] = {
			[COL_CERT_STATUS] = { ST_CERT_STATUS, NULL },
			[COL_SERVER_KX] = { ST_SERVER_KX, lp_learn_server_kx },
			[COL_CERT_REQUEST] = { ST_CERT_REQUEST, lp_learn_cert_request },
			[COL_HELLO_DONE] = { ST_HELLO_DONE, NULL },
		},
	},
	[ST_CERT_STATUS] = {
		.turn = LP_S2C,
		.row[LP_S2C] = {
			[COL_SERVER_KX] = { ST_SERVER_KX, lp_learn_server_kx },
			[COL_CERT_REQUEST] = { ST_CERT_REQUEST, lp_learn_cert_request },
			[COL_HELLO_DONE] = { ST_HELLO_DONE, NULL },
		},
	},
	[ST_SERVER_KX] = {
		.turn = LP_S2C,
		.row[LP_S2C] = {
			[COL_CERT_REQUEST] = { ST_CERT_REQUEST, lp_learn_cert_request },
			[COL_HELLO_DONE] = { ST_HELLO_DONE, NULL },
		},
	},
	[ST_CERT_REQUEST] = {
		.turn = LP_S2C,
		.row[LP_S2C] = {
			[COL_HELLO_DONE] = { ST_HELLO_DONE_CERT, NULL },
		},
	},
	[ST_RESUMED_TICKET] = {
		.turn = LP_S2C,
		.row[LP_S2C] = {
			[COL_CCS] = { ST_RESUMED_CCS, NULL },
		},
	},
	[ST_RESUMED_CCS] = {
		.turn = LP_C2S,
		.row[LP_C2S] = {
			[COL_CCS] = { ST_KEYED, NULL },
		},
	},
	[ST_HELLO_DONE] = {
		.turn = LP_C2S,
		.row[LP_C2S] = {
			[COL_SUPPLEMENTAL] = { ST_HELLO_DONE, NULL },
			[COL_CLIENT_KX] = { ST_CLIENT_KX, lp_learn_client_kx },
		},
	},
	[ST_HELLO_DONE_CERT] = {
		.turn = LP_C2S,
		.row[LP_C2S] = {
			[COL_SUPPLEMENTAL] = { ST_HELLO_DONE_CERT, NULL },
			[COL_CERT] = { ST_CLIENT_CERT, lp_learn_client_cert },
			[COL_CERT_URL] = { ST_CLIENT_CERT, lp_learn_client_cert_url },
			[COL_CLIENT_KX] = { ST_CLIENT_KX, lp_learn_client_kx_no_cert },
		},
	},
	[ST_CLIENT_CERT] = {
		.turn = LP_C2S,
		.row[LP_C2S] = {
			[COL_CLIENT_KX] = { ST_CLIENT_KX, lp_learn_client_kx },
		},
	},
	[ST_CLIENT_KX] = {
		.turn = LP_C2S,
		.row[LP_C2S] = {
			[COL_CERT_VERIFY] = { ST_CERT_VERIFY, lp_learn_cert_verify },
			[COL_CCS] = { ST_CLIENT_CCS, NULL },
		},
	},
	[ST_CERT_VERIFY] = {
		.turn = LP_C2S,
		.row[LP_C2S] = {
			[COL_CCS] = { ST_CLIENT_CCS, NULL },
		},
	},
	[ST_CLIENT_CCS] = {
		.turn = LP_S2C,
		.row[LP_S2C] = {
			[COL_TICKET] = { ST_NEW_TICKET, lp_learn_ticket },
			[COL_CCS] = { ST_KEYED, NULL },
		},
	},
	[ST_NEW_TICKET] = {
		.turn = LP_S2C,
		.row[LP_S2C] = {
			[COL_CCS] = { ST_KEYED, NULL },
		},
	},
	[ST_KEYED] = { .turn = LP_TURN_EITHER },
	[ST_TLS13] = { .turn = LP_TURN_EITHER },
	[ST_DEAD] = { .turn = LP_TURN_EITHER },
};

static enum column column_of(uint8_t type)
{
	switch (type) {
	case LP_MSG_CLIENT_HELLO: return COL_CLIENT_HELLO;
	case LP_MSG_SERVER_HELLO: return COL_SERVER_HELLO;
	case LP_MSG_NEW_SESSION_TICKET: return COL_TICKET;
	case LP_MSG_CERTIFICATE: return COL_CERT;
	case LP_MSG_SERVER_KEY_EXCHANGE: return COL_SERVER_KX;
	case LP_MSG_CERTIFICATE_REQUEST: return COL_CERT_REQUEST;
	case LP_MSG_SERVER_HELLO_DONE: return COL_HELLO_DONE;
	case LP_MSG_CERTIFICATE_VERIFY: return COL_CERT_VERIFY;
	case LP_MSG_CLIENT_KEY_EXCHANGE: return COL_CLIENT_KX;
	case LP_MSG_CERTIFICATE_URL: return COL_CERT_URL;
	case LP_MSG_CERTIFICATE_STATUS: return COL_CERT_STATUS;
	case LP_MSG_SUPPLEMENTAL_DATA: return COL_SUPPLEMENTAL;
	default: return COL_NONE;
	}
}

static const char *unexpected(uint8_t type)
{
	switch (type) {
#define X(name, text)       \
	case LP_MSG_##name: \
		return "unexpected " text;
		LP_MESSAGE_LIST(X)
#undef X
	default:
		return "unknown handshake message";
	}
}

enum lp_err lp_handshake_new(struct lp_handshake **out, const struct lp_crypto *crypto)
{
	struct lp_handshake *hs = calloc(1, sizeof *hs);

	*out = hs;
	if (!hs)
		return LP_E_NOMEM;
	hs->crypto = crypto;
	lp_transcript_init(&hs->transcript, crypto);
	lp_buf_init(&hs->later, LP_TRANSCRIPT_MAX);
	lp_facts_init(&hs->facts);
	return LP_OK;
}

void lp_handshake_free(struct lp_handshake *hs)
{
	if (!hs)
		return;
	lp_transcript_clear(&hs->transcript);
	lp_buf_clear(&hs->later);
	lp_bytes_clear(&hs->offered_suites);
	lp_bytes_clear(&hs->ticket);
	lp_bytes_clear(&hs->new_ticket);
	lp_bytes_clear(&hs->exchange);
	lp_bytes_clear(&hs->psk_identity);
	lp_bytes_clear(&hs->server_exchange);
	lp_facts_clear(&hs->facts);
	free(hs);
}

/* Ends the handshake. A fault of the machine is passed on as it is. */
static enum lp_err end(struct lp_handshake *hs, enum lp_err err, const char *why)
{
	if (err == LP_E_NOMEM)
		return err;
	if (!hs->reason) {
		hs->reason = err == LP_E_LIMIT ? LP_REASON_LIMIT : LP_REASON_MALFORMED;
		hs->why = hs->why ? hs->why : why;
	}
	hs->state = ST_DEAD;
	return err;
}

/* The row for what came; after a gap, that of the next later state that has one. */
static const struct row *find_row(const struct lp_handshake *hs, enum lp_dir dir, enum column col)
{
	size_t state = hs->state;

	if (col == COL_NONE)
		return NULL;
	do {
		if (table[state].row[dir][col].next)
			return &table[state].row[dir][col];
	} while (hs->loose && ++state < ST_KEYED);
	return NULL;
}

/* After a gap in this direction the other may have run ahead: what comes late teaches
 * what it can and changes nothing else. A hello is never late: it would change keys. */
static const struct row *find_late(const struct lp_handshake *hs, enum lp_dir dir,
				   enum column col)
{
	for (size_t state = ST_SERVER_HELLO; hs->torn[dir] && col != COL_NONE && state < hs->state;
	     state++)
		if (table[state].row[dir][col].next)
			return &table[state].row[dir][col];
	return NULL;
}

/* What a change of state says by itself. */
static void enter(struct lp_handshake *hs, uint8_t next)
{
	bool resumed = next == ST_RESUMED_TICKET || next == ST_RESUMED_CCS;

	/* Where a ticket was presented, the server must not look at the session id beside
	 * it (RFC 5077 section 3.4). Behind a gap a ChangeCipherSpec decides nothing. */
	if (resumed && !hs->loose)
		hs->facts.resumed = hs->facts.ticket_offered ? LP_RESUMED_TICKET : LP_RESUMED_ID;
	else if (!resumed && next > ST_SERVER_HELLO && next < ST_KEYED)
		hs->facts.resumed = LP_RESUMED_NO;
	if ((next == ST_HELLO_DONE && !hs->loose) || hs->facts.resumed > LP_RESUMED_NO)
		hs->facts.client_cert = 0;
	if (next == ST_CLIENT_CCS && hs->sealed[LP_S2C])
		next = ST_KEYED; /* only after a gap: it came first */
	if (hs->facts.tls13)
		next = ST_TLS13;
	hs->state = next;
}

/* Puts a readable message into the transcript. Server messages that follow a
 * client's Finished we have not got yet wait for it. */
static enum lp_err record(struct lp_handshake *hs, enum lp_dir dir, lp_span whole)
{
	enum lp_err err;

	if (dir == LP_S2C && hs->state == ST_CLIENT_CCS && !hs->finished[LP_C2S].seen) {
		if (hs->transcript.broken)
			return LP_OK;
		return lp_buf_append(&hs->later, whole.p, whole.n);
	}
	err = lp_transcript_add(&hs->transcript, whole);
	if (err == LP_E_LIMIT)
		hs->why = "handshake longer than 1 MiB";
	return err;
}

/* RFC 7627 section 3: session_hash covers all messages up to and including the
 * ClientKeyExchange. Kept whether EMS was agreed or not: a peer that keyed the
 * other way is found out by trying. */
static enum lp_err after_client_kx(struct lp_handshake *hs)
{
	size_t n;
	enum lp_err err = lp_transcript_peek(&hs->transcript, hs->session_hash, &n);

	hs->exchange_done = true;
	hs->session_hash_size = (uint8_t)n;
	return err;
}

static enum lp_err clear_message(struct lp_handshake *hs, enum lp_dir dir,
				 const struct lp_message *msg)
{
	const struct row *row = find_row(hs, dir, column_of(msg->type));
	enum lp_err err;

	if (!row) {
		row = find_late(hs, dir, column_of(msg->type));
		err = !row ? LP_E_ORDER : row->learn ? row->learn(hs, msg) : LP_OK;
		return err ? end(hs, err, unexpected(msg->type)) : LP_OK;
	}
	err = record(hs, dir, msg->whole);
	if (!err && row->learn)
		err = row->learn(hs, msg);
	if (!err && msg->type == LP_MSG_CLIENT_KEY_EXCHANGE)
		err = after_client_kx(hs);
	if (err)
		return end(hs, err, unexpected(msg->type));
	enter(hs, row->next);
	return LP_OK;
}

/* A Finished that comes before the other one it has to follow cannot be compared. */
static bool in_turn(const struct lp_handshake *hs, enum lp_dir dir)
{
	enum lp_dir first = hs->facts.resumed > LP_RESUMED_NO ? LP_S2C : LP_C2S;

	return dir == first || hs->finished[first].seen;
}

static enum lp_err take_finished(struct lp_handshake *hs, enum lp_dir dir,
				 const struct lp_message *msg)
{
	struct lp_finished *f = &hs->finished[dir];
	struct lp_cursor c = lp_cursor_span(msg->body);
	size_t size = hs->facts.version == 0x0300 ? 36 : 12, n = 0;
	lp_span data = lp_cursor_bytes(&c, size);
	enum lp_err err = lp_cursor_end(&c);

	if (err)
		return end(hs, err, "Finished of a wrong length");
	if (!in_turn(hs, dir))
		lp_transcript_break(&hs->transcript);
	err = lp_transcript_peek(&hs->transcript, f->hash, &n);
	if (err)
		return err;
	memcpy(f->verify_data, data.p, size);
	f->size = (uint8_t)size;
	f->hash_size = (uint8_t)n;
	f->upto = lp_transcript_raw(&hs->transcript).n;
	f->comparable = n > 0 || f->upto > 0;
	f->seen = true;
	err = lp_transcript_add(&hs->transcript, msg->whole);
	if (!err && dir == LP_C2S) {
		err = lp_transcript_add(&hs->transcript, lp_buf_span(&hs->later));
		lp_buf_clear(&hs->later);
	}
	return err ? end(hs, err, "handshake longer than 1 MiB") : LP_OK;
}

/* Under the new keys: what the client may say before its Finished (NPN, Channel ID),
 * and Finished. */
static enum lp_err sealed_message(struct lp_handshake *hs, enum lp_dir dir,
				  const struct lp_message *msg)
{
	bool client_extra = dir == LP_C2S && (msg->type == LP_MSG_NEXT_PROTOCOL ||
					      msg->type == LP_MSG_ENCRYPTED_EXTENSIONS);
	enum lp_err err;

	if (hs->finished[dir].seen || (msg->type != LP_MSG_FINISHED && !client_extra))
		return end(hs, LP_E_ORDER, unexpected(msg->type));
	if (msg->type == LP_MSG_FINISHED)
		return take_finished(hs, dir, msg);
	if (!in_turn(hs, dir))
		lp_transcript_break(&hs->transcript);
	err = lp_transcript_add(&hs->transcript, msg->whole);
	return err ? end(hs, err, "handshake longer than 1 MiB") : LP_OK;
}

enum lp_err lp_handshake_message(struct lp_handshake *hs, enum lp_dir dir,
				 const struct lp_message *msg)
{
	enum lp_err err;

	if (hs->state == ST_DEAD)
		return LP_E_ORDER;
	if (hs->state == ST_TLS13)
		return LP_OK;
	/* RFC 5246 7.4.1.1: may be sent at any time, is ignored by a client that is
	 * negotiating, and is not part of the hashes. */
	if (dir == LP_S2C && msg->type == LP_MSG_HELLO_REQUEST) {
		if (msg->body.n)
			return end(hs, LP_E_FORMAT, "HelloRequest that is not empty");
		hs->hello_requested = true;
		return LP_OK;
	}
	err = hs->sealed[dir] ? sealed_message(hs, dir, msg) : clear_message(hs, dir, msg);
	if (!err)
		hs->last[dir] = msg->type;
	return err;
}

enum lp_err lp_handshake_ccs(struct lp_handshake *hs, enum lp_dir dir)
{
	const struct row *row = find_row(hs, dir, COL_CCS);

	if (hs->state == ST_DEAD)
		return LP_E_ORDER;
	/* RFC 8446 appendix D.4: a ChangeCipherSpec of TLS 1.3 means nothing. */
	if (hs->state == ST_TLS13)
		return LP_OK;
	if (hs->sealed[dir] || (!row && !(hs->torn[dir] && hs->state >= ST_CLIENT_CCS)))
		return end(hs, LP_E_ORDER, "unexpected ChangeCipherSpec");
	hs->sealed[dir] = true;
	/* Nothing of the client's is missing and it sent no ClientKeyExchange. */
	if (dir == LP_C2S && !hs->torn[LP_C2S] && !hs->exchange_done && hs->facts.resumed < 0)
		hs->facts.resumed = hs->facts.ticket_offered ? LP_RESUMED_TICKET : LP_RESUMED_ID;
	if (row) /* else it is late, too */
		enter(hs, row->next);
	return LP_OK;
}

void lp_handshake_gap(struct lp_handshake *hs, enum lp_dir dir)
{
	if (hs->state == ST_DEAD || hs->state == ST_TLS13)
		return;
	hs->loose = true;
	hs->torn[dir] = true;
	lp_transcript_break(&hs->transcript);
	lp_buf_clear(&hs->later);
}

bool lp_handshake_fits(const struct lp_handshake *hs, enum lp_dir dir, lp_span fragment)
{
	struct lp_cursor c = lp_cursor_span(fragment);

	while (lp_cursor_left(&c) >= LP_MESSAGE_HEADER) {
		uint8_t type = lp_cursor_u8(&c);
		uint32_t n = lp_cursor_u24(&c);
		enum column col = column_of(type);
		bool request = type == LP_MSG_HELLO_REQUEST && dir == LP_S2C && !n;

		if (n > LP_MESSAGE_MAX ||
		    (!request && !find_row(hs, dir, col) && !find_late(hs, dir, col)))
			return false;
		if (n > lp_cursor_left(&c)) /* it goes on in the next record: then this one is full */
			return type == LP_MSG_CERTIFICATE || fragment.n >= 1 << 9;
		lp_cursor_skip(&c, n);
	}
	return fragment.n && !lp_cursor_left(&c);
}

bool lp_handshake_ccs_fits(const struct lp_handshake *hs, enum lp_dir dir)
{
	/* Behind a ServerHello it would mean a resumption, if the rest of a full handshake is not
	 * what was lost. */
	return hs->state != ST_SERVER_HELLO && find_row(hs, dir, COL_CCS) != NULL;
}

bool lp_handshake_may_seal(const struct lp_handshake *hs, enum lp_dir dir)
{
	if (hs->sealed[dir] || hs->state == ST_IDLE || hs->state >= ST_TLS13)
		return false;
	for (size_t state = hs->state; state < ST_KEYED; state++)
		if (table[state].row[dir][COL_CCS].next)
			return true;
	return hs->torn[dir] && hs->state >= ST_CLIENT_CCS;
}

void lp_handshake_finished_lost(struct lp_handshake *hs, enum lp_dir dir)
{
	if (hs->finished[dir].seen)
		return;
	hs->finished[dir].lost = true;
	lp_transcript_break(&hs->transcript);
}

int lp_handshake_turn(const struct lp_handshake *hs)
{
	int resumed = hs->facts.resumed;
	enum lp_dir first = resumed > LP_RESUMED_NO ? LP_S2C : LP_C2S;
	enum lp_dir second = first == LP_C2S ? LP_S2C : LP_C2S;

	if (hs->state != ST_KEYED)
		return hs->loose ? LP_TURN_EITHER : table[hs->state].turn;
	if (hs->loose)
		return LP_TURN_EITHER;
	if (!hs->finished[first].seen)
		return (int)first;
	return hs->finished[second].seen ? LP_TURN_EITHER : (int)second;
}

bool lp_handshake_awaits_client(const struct lp_handshake *hs)
{
	return hs->loose && !hs->sealed[LP_C2S] && hs->state >= ST_HELLO_DONE &&
	       hs->state <= ST_CERT_VERIFY;
}

bool lp_handshake_idle(const struct lp_handshake *hs)
{
	return hs->state == ST_IDLE;
}

bool lp_handshake_unanswered(const struct lp_handshake *hs)
{
	return hs->state <= ST_CLIENT_HELLO;
}

bool lp_handshake_keyed(const struct lp_handshake *hs)
{
	return hs->state == ST_KEYED;
}

bool lp_handshake_done(const struct lp_handshake *hs)
{
	const struct lp_finished *c = &hs->finished[LP_C2S], *s = &hs->finished[LP_S2C];

	return (c->seen || c->lost) && (s->seen || s->lost);
}
