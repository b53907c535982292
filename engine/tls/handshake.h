/* The handshake of SSL 3.0 to TLS 1.2 as a passive observer follows it (RFC 5246
 * section 7.3 and 7.4): two small pieces.
 *
 * lp_messages assembles the handshake messages of one direction from record
 * fragments: a message may be split at every byte, a record may hold several.
 *
 * lp_handshake is one handshake: a const table of state × message, the transcript,
 * and the facts that it learned. A renegotiation is another lp_handshake; the
 * session keeps the facts of the last one that was completed.
 *
 * Order. Messages count in protocol order, which is not the order of capture:
 * lp_handshake_turn() says whose message must come next; the session holds the
 * other direction's records until it is their turn.
 *
 * Encryption. A direction's messages are handed in as they can be read: in clear
 * (or, in a renegotiation, under the epoch before) until lp_handshake_ccs(), under
 * the new keys after it. The peer's ChangeCipherSpec does not wait for them: the
 * client's Finished may be handed in before or after the server's NewSessionTicket
 * and ChangeCipherSpec, the transcript puts it where it belongs. Finished messages
 * themselves go in by lp_handshake_turn() (full handshake: client, server;
 * resumption: server, client); one that is known to be lost is declared by
 * lp_handshake_gap().
 *
 * Holds no secrets. Everything is freed by lp_handshake_free(). */
#ifndef LP_TLS_HANDSHAKE_H
#define LP_TLS_HANDSHAKE_H

#include <limpid/plugin.h>

#include "base/buf.h"
#include "crypto/cert.h"
#include "tls/common.h"
#include "tls/fingerprint.h"
#include "tls/hello.h"
#include "tls/suites.h"
#include "tls/transcript.h"
#include "tls/verdict.h"

/* The cap on one handshake message, without its header, unless another is set. */
enum { LP_MESSAGE_MAX = 128 * 1024, LP_MESSAGE_HEADER = 4 };

/* IANA "TLS HandshakeType", as far as it concerns TLS up to 1.2. */
#define LP_MESSAGE_LIST(X)                              \
	X(HELLO_REQUEST, "HelloRequest")                \
	X(CLIENT_HELLO, "ClientHello")                  \
	X(SERVER_HELLO, "ServerHello")                  \
	X(NEW_SESSION_TICKET, "NewSessionTicket")       \
	X(CERTIFICATE, "Certificate")                   \
	X(SERVER_KEY_EXCHANGE, "ServerKeyExchange")     \
	X(CERTIFICATE_REQUEST, "CertificateRequest")    \
	X(SERVER_HELLO_DONE, "ServerHelloDone")         \
	X(CERTIFICATE_VERIFY, "CertificateVerify")      \
	X(CLIENT_KEY_EXCHANGE, "ClientKeyExchange")     \
	X(FINISHED, "Finished")                         \
	X(CERTIFICATE_URL, "CertificateURL")            \
	X(CERTIFICATE_STATUS, "CertificateStatus")      \
	X(SUPPLEMENTAL_DATA, "SupplementalData")        \
	X(NEXT_PROTOCOL, "NextProtocol")                \
	X(ENCRYPTED_EXTENSIONS, "EncryptedExtensions")

enum lp_message_type {
	LP_MSG_HELLO_REQUEST = 0,
	LP_MSG_CLIENT_HELLO = 1,
	LP_MSG_SERVER_HELLO = 2,
	LP_MSG_NEW_SESSION_TICKET = 4,
	LP_MSG_CERTIFICATE = 11,
	LP_MSG_SERVER_KEY_EXCHANGE = 12,
	LP_MSG_CERTIFICATE_REQUEST = 13,
	LP_MSG_SERVER_HELLO_DONE = 14,
	LP_MSG_CERTIFICATE_VERIFY = 15,
	LP_MSG_CLIENT_KEY_EXCHANGE = 16,
	LP_MSG_FINISHED = 20,
	LP_MSG_CERTIFICATE_URL = 21,
	LP_MSG_CERTIFICATE_STATUS = 22,
	LP_MSG_SUPPLEMENTAL_DATA = 23,
	LP_MSG_NEXT_PROTOCOL = 67,
	LP_MSG_ENCRYPTED_EXTENSIONS = 203, /* Channel ID */
};

struct lp_message {
	uint8_t type;
	lp_span body;
	lp_span whole; /* with the 4-byte header, as the transcript wants it */
	bool v2;       /* a ClientHello in the form of SSL 2.0: its header is the type alone */
};

/* ---- messages out of records ---- */

/* As lp_records: push a fragment (borrowed until LP_MORE), take messages. A message
 * that lies whole in a fragment is handed out in place. */
struct lp_messages {
	struct lp_buf held;
	lp_span in;
	const char *why;
	enum lp_err fault;
	uint32_t max;        /* bytes of a message without its header; LP_MESSAGE_MAX from init */
	bool handed;
};

void lp_messages_init(struct lp_messages *m);
void lp_messages_clear(struct lp_messages *m);
void lp_messages_push(struct lp_messages *m, lp_span fragment);

/* LP_OK, LP_MORE, LP_E_LIMIT (a message longer than LP_MESSAGE_MAX: decided from
 * its header, nothing is kept), LP_E_NOMEM. Faults are sticky. */
LP_MUST enum lp_err lp_messages_next(struct lp_messages *m, struct lp_message *out);

/* In the middle of a message: no record of another type may come now (RFC 8446
 * 5.1 says it aloud), and a ChangeCipherSpec here is a fault. */
static inline bool lp_messages_partial(const struct lp_messages *m)
{
	return !m->handed && lp_buf_len(&m->held) > 0;
}

/* The length of that message with header once it is known, else 0. */
size_t lp_messages_size(const struct lp_messages *m);

/* ---- facts ---- */

/* What a hello said, as it is told. Text is escaped; NULL: unknown, or there was none. */
struct lp_words {
	struct lp_piece piece;
	const char *sni;             /* of the client only, as ja4 is */
	const char *const *alpns;    /* NULL-terminated */
	const char *ja3, *ja3_hash;  /* of the server: JA3S */
	const char *ja4;
	const char *alpn[];          /* what alpns points to; the texts stand behind it */
};

/* Names of a list that are told, at most. */
enum { LP_CLIENT_ALPNS = 16 };

/* A certificate as it is kept: key identity, fingerprints and text. */
struct lp_peer_cert {
	struct lp_piece piece;
	bool has_key;
	bool has_text;               /* info has more than fingerprints */
	enum lp_cert_key key_kind;
	uint32_t key_bits;
	uint8_t spki_sha256[32];
	struct lp_cert_info info;
	char text[];                 /* what it points to */
};

/* A text of its info for a sentence. */
static inline const char *lp_cert_word(const char *text)
{
	return text ? text : "";
}

/* What a handshake has shown. */
struct lp_facts {
	uint16_t client_version;   /* ClientHello.client_version; 0: no ClientHello seen */
	uint16_t version;          /* negotiated; 0: no ServerHello seen */
	uint16_t suite;            /* number, also of a suite that we do not know */
	uint8_t compression;
	uint8_t max_fragment;      /* RFC 6066: 1 to 4, 0 without; as the server agreed */
	int8_t ems, etm;           /* 1, 0; -1: no ServerHello seen */
	int8_t resumed;            /* enum lp_resumed; -1: not decided yet */
	int8_t client_cert;        /* 1 sent, 0 not or empty; -1: not known yet */
	bool truncated_hmac;       /* agreed */
	bool tls13;                /* supported_versions chose TLS 1.3 */
	bool ech;                  /* the client offered ECH: sni is the outer one */
	bool heartbeat;            /* agreed */
	bool cert_requested;
	bool cert_seen;            /* a server Certificate message with a leaf */
	bool exchange_seen;        /* ServerKeyExchange */
	bool ticket_offered;       /* not empty */
	uint32_t group;            /* named group of ServerKeyExchange; 0 unknown */
	uint32_t exchange_bits;    /* length of the DH prime or temporary RSA modulus; 0 unknown */
	struct lp_words *client, *server; /* of their hellos; NULL: not seen */
	struct lp_ticket_info ticket, new_ticket; /* offered, issued; length 0: none */
	uint8_t session_id[32];    /* of the ServerHello */
	uint8_t session_id_n;
	struct lp_peer_cert *server_cert; /* the leaf; NULL: none seen */
	struct lp_peer_cert *client_cert_info;
};

void lp_facts_init(struct lp_facts *f);
void lp_facts_clear(struct lp_facts *f);
void lp_facts_set_ticket(struct lp_ticket_info *out, lp_span ticket, uint32_t lifetime);

/* Each replaces what was there before; common may be NULL. LP_E_NOMEM. */
LP_MUST enum lp_err lp_facts_client_hello(struct lp_facts *f, struct lp_common *common,
					  const struct lp_crypto *crypto,
					  const struct lp_client_hello *hello);
LP_MUST enum lp_err lp_facts_server_hello(struct lp_facts *f, struct lp_common *common,
					  const struct lp_crypto *crypto,
					  const struct lp_server_hello *hello);
LP_MUST enum lp_err lp_facts_set_cert(struct lp_peer_cert **out, struct lp_common *common,
				      const struct lp_crypto *crypto, lp_span der);

/* ---- the handshake ---- */

/* Heap bytes copied from a message. */
struct lp_bytes {
	uint8_t *p;
	size_t n;
};

LP_MUST enum lp_err lp_bytes_set(struct lp_bytes *b, lp_span s);
void lp_bytes_clear(struct lp_bytes *b);

/* Who must deliver next. */
enum { LP_TURN_EITHER = 2 };

/* A Finished message and what it is to be compared with. */
struct lp_finished {
	bool seen;
	bool lost;           /* it will not be seen: what stands behind it was */
	bool comparable;     /* nothing was missing before it: hash, or upto, is known */
	uint8_t size;        /* of verify_data: 12; 36 in SSL 3.0 */
	uint8_t hash_size;
	uint8_t verify_data[36];
	uint8_t hash[LP_DIGEST_MAX]; /* of the messages before it */
	size_t upto;         /* SSL 3.0: these are so many bytes of lp_transcript_raw() */
};

struct lp_handshake {
	uint8_t state;          /* enum state of handshake.c */
	bool loose;             /* after a gap: a later state's message is let through */
	bool torn[2];           /* … the gap was in this direction: so is a late one of it */
	bool sealed[2];         /* the direction's ChangeCipherSpec was seen, by enum lp_dir */
	bool hello_requested;   /* a HelloRequest was seen */
	uint8_t last[2];        /* type of the direction's last message; 0: none yet */
	enum lp_reason reason;  /* of the first fault; LP_REASON_NONE */
	const char *why;        /* … static sentence fragment */
	const struct lp_crypto *crypto;
	struct lp_common *common;      /* NULL from new; set by who has one */
	const struct lp_suite *suite;  /* NULL: not known (facts.suite has the number) */

	uint8_t client_random[32], server_random[32];
	uint8_t client_sid[32], server_sid[32];
	uint8_t client_sid_len, server_sid_len;
	uint32_t offered;               /* enum lp_ext_bit of the ClientHello */
	uint32_t ticket_lifetime;       /* of new_ticket, seconds */
	struct lp_bytes offered_suites; /* of the ClientHello */
	uint8_t offered_compressions[32]; /* a bit for each method */
	struct lp_bytes ticket;         /* offered, NULL if none */
	struct lp_bytes new_ticket;     /* issued by this handshake */
	struct lp_bytes exchange;       /* RSA, RSA_PSK: EncryptedPreMasterSecret; (EC)DH: the
	                                 * client's public value; {NULL, 0} not seen */
	struct lp_bytes psk_identity;
	struct lp_bytes server_exchange;/* ServerKeyExchange body (public value, parameters) */

	struct lp_transcript transcript;
	struct lp_buf later;            /* server messages that follow a Finished to come */
	uint8_t session_hash[LP_DIGEST_MAX]; /* RFC 7627: through ClientKeyExchange */
	uint8_t session_hash_size;      /* 0: not known (not there yet, or messages lost) */
	bool exchange_done;             /* ClientKeyExchange was passed */
	struct lp_finished finished[2]; /* by enum lp_dir */

	struct lp_facts facts;
};

/* crypto: the provider of hashes. LP_E_NOMEM. */
LP_MUST enum lp_err lp_handshake_new(struct lp_handshake **out, const struct lp_crypto *crypto);
void lp_handshake_free(struct lp_handshake *hs);

/* The next message of a direction. LP_OK; LP_E_ORDER, LP_E_FORMAT, LP_E_TRUNCATED,
 * LP_E_LIMIT: a fault of the wire, hs->reason and hs->why name the first; the
 * handshake is over, further calls return LP_E_ORDER. LP_E_NOMEM. */
LP_MUST enum lp_err lp_handshake_message(struct lp_handshake *hs, enum lp_dir dir,
					 const struct lp_message *msg);

/* A ChangeCipherSpec record of a direction; from here on its messages are those
 * under the new keys. */
LP_MUST enum lp_err lp_handshake_ccs(struct lp_handshake *hs, enum lp_dir dir);

/* Bytes of this direction are missing. The transcript is broken; the state follows
 * what comes next as well as it can. */
void lp_handshake_gap(struct lp_handshake *hs, enum lp_dir dir);

/* Behind a gap: whether a record's fragment looks like messages of this direction that
 * may come now. (What is under keys looks so once in a hundred thousand times.) */
bool lp_handshake_fits(const struct lp_handshake *hs, enum lp_dir dir, lp_span fragment);

/* … whether its ChangeCipherSpec may come now. */
bool lp_handshake_ccs_fits(const struct lp_handshake *hs, enum lp_dir dir);

/* Whether a hole may have taken it, and what comes before it. */
bool lp_handshake_may_seal(const struct lp_handshake *hs, enum lp_dir dir);

/* Records of the direction that stand behind its Finished were opened. */
void lp_handshake_finished_lost(struct lp_handshake *hs, enum lp_dir dir);

/* LP_C2S, LP_S2C or LP_TURN_EITHER: whose message or ChangeCipherSpec must come
 * next. Once both ChangeCipherSpecs are there: whose Finished. */
int lp_handshake_turn(const struct lp_handshake *hs);

/* After a gap: the server has said all, and the client has yet to come to its
 * ChangeCipherSpec. */
bool lp_handshake_awaits_client(const struct lp_handshake *hs);

/* Nothing has happened yet: a HelloRequest and a ClientHello are what may come. */
bool lp_handshake_idle(const struct lp_handshake *hs);

/* No more than a hello has come: the server may still decline a renegotiation. */
bool lp_handshake_unanswered(const struct lp_handshake *hs);

/* The server has accepted the client's Finished, as far as can be seen from
 * outside: it sent its ChangeCipherSpec after it (full), or the client sent its own
 * after the server's (resumption). Now a secret may be asked for. */
bool lp_handshake_keyed(const struct lp_handshake *hs);

/* Both Finished have been handed in, or are lost for good. */
bool lp_handshake_done(const struct lp_handshake *hs);

/* The name of a message, for sentences: "ServerHelloDone"; "message 99" is
 * "unknown message". */
const char *lp_message_name(uint8_t type);

#endif
