/* The warden: the key process, and this, its client.
 *
 * The warden is a process image of its own (exec), started before the first
 * packet; it alone opens private, pre-shared and ticket keys. It
 * answers with master secrets, never with raw RSA results, never with "the
 * padding was bad": for a broken premaster secret it goes on with a
 * deterministic substitute, as RFC 5246 section 7.4.7.1 has servers do.
 *
 * Beside stderr it inherits a socket for each worker of the engine, the lines, and nothing
 * else. Each worker asks on its own line and gets its answers there; line 0 also carries
 * what the warden says of its keys.
 *
 * Owner: lp_engine. Asynchronous: lp_line_ask() never blocks, answers come
 * through lp_line_poll(). A line is for one thread at a time; what takes an lp_warden may
 * be called by any thread, but start and stop. */
#ifndef LP_WARDEN_WARDEN_H
#define LP_WARDEN_WARDEN_H

#include "base/secret.h"

enum { LP_WARDEN_NAME = 256, LP_WARDEN_INPUT = 1024, LP_WARDEN_SEED = 64, LP_WARDEN_QUEUE = 1024 };
enum { LP_WARDEN_LINES = 64 };
enum { LP_WARDEN_TICKET = 65535, LP_WARDEN_TICKET_LIFE_S = 86400 };

/* lp_warden_key.kind of a file of ticket keys: bits is how many it holds, and ids are
 * counted by themselves. */
enum { LP_WARDEN_TICKETS = 64 };

/* What the warden says of a key: its public identity. */
struct lp_warden_key {
	uint32_t id;
	uint32_t kind;             /* enum lp_key_kind of crypto/keyfile.h, or the above */
	_Atomic uint32_t bits;     /* length of the modulus, or of the curve's field; PSK: 0 */
	uint8_t spki_sha256[32];   /* PSK: SHA-256 of the identity */
	char name[LP_WARDEN_NAME]; /* file name as given or found, escaped */
};

enum lp_warden_op { LP_ASK_RSA = 1, LP_ASK_RSA_PSK, LP_ASK_PSK, LP_ASK_DH, LP_ASK_ECDH, LP_ASK_TICKET };

/* LP_ASK_DH gets NO_KEY. An ECDH input that is no point of the key's
 * curve gets NO_KEY too: anybody can see that. */
struct lp_ask {
	uint64_t id;               /* the asker's; comes back with the answer */
	enum lp_warden_op op;
	uint32_t key;              /* lp_warden_key.id (not of PSK and TICKET) */
	uint32_t psk;              /* PSK, RSA_PSK: that of the pre-shared key */
	uint16_t version;          /* negotiated protocol version, 0x0301 … 0x0303 */
	uint16_t client_version;   /* ClientHello.client_version: expected in the premaster;
	                            * a mismatch alone is no error */
	uint8_t prf;               /* enum lp_digest; counts from TLS 1.2 on */
	bool extended;             /* seed is the session hash (RFC 7627), else both randoms */
	uint8_t seed_len;
	uint8_t seed[LP_WARDEN_SEED]; /* client_random ‖ server_random, or session hash */
	uint16_t input_len;        /* RSA, RSA_PSK: EncryptedPreMasterSecret, without its length
	                            * field; ECDH: the client's point; PSK: nothing, or the
	                            * (EC)DH secret of DHE_PSK and ECDHE_PSK */
	uint8_t input[LP_WARDEN_INPUT];
	/* TICKET, which takes of the above only the version: */
	uint64_t time_s;           /* of the packet, since 1970: GnuTLS changes keys by it */
	lp_span ticket;            /* borrowed; at most LP_WARDEN_TICKET bytes */
};

enum lp_answer_code { LP_ANSWER_DONE, LP_ANSWER_NO_KEY, LP_ANSWER_BUSY };

struct lp_answer {
	uint64_t id;
	enum lp_answer_code code;
	size_t secret_len;         /* DONE: 48 for a master secret */
	uint8_t secret[64];        /* wiped by the client after the callback returned */
	/* TICKET; else zeros */
	uint16_t version, suite;   /* of the session in the ticket */
	int8_t ems;                /* 1, 0; -1: the ticket does not tell */
	bool loose;                /* the ticket is not authentic (see warden/ticket.h): use it
	                            * only if version and suite are what the server chose */
	uint32_t key;              /* lp_warden_key.id among those of lp_warden_tickets() */
};

struct lp_warden_config {
	unsigned lines;                /* 0: one */
	const char *helper;            /* program to exec; NULL = /proc/self/exe */
	const char *const *key_paths;  /* files and directories, as given with -k */
	size_t key_paths_n;
	const char *const *psk_paths;  /* files of pre-shared keys, as given with --psk */
	size_t psk_paths_n;
	const char *const *ticket_paths; /* ticket keys, as given with -t */
	size_t ticket_paths_n;
	unsigned ticket_life_s;        /* of a ticket key that was taken out of use; 0: default */
	bool follow;                   /* files change while we run, and that counts */
	const char *passphrase_file;   /* or NULL */
	bool strict_key_modes;         /* refuse files that others can read */
	const char *crypto;            /* "auto", "mbedtls", "openssl" */
	unsigned threads;              /* 0 = one for each core */
	unsigned delay_ms;             /* tests: answers are held back this long */
};

struct lp_warden;
struct lp_line;

/* The argument by which limpid's main knows that it is to be the warden, and what
 * it then calls with the inherited socket. Returns an exit status. */
#define LP_WARDEN_ARG "--warden-process"
int lp_warden_main(int fd);

/* Starts the warden, gives it the configuration, waits for its KEYS. A key path
 * that cannot be used is a fault with one clear line in why (512 bytes; no prefix,
 * no newline); warnings (a file readable by others, an unusable key in a
 * directory) have gone to stderr. With no key paths a warden runs all the same. */
LP_MUST enum lp_err lp_warden_start(struct lp_warden **out, const struct lp_warden_config *config,
				    char *why);

/* The keys, in a stable order; valid until stop. While files are followed more may come,
 * through line 0: *n grows, with the number of reloads. */
const struct lp_warden_key *lp_warden_keys(const struct lp_warden *w, size_t *n);

/* The files of ticket keys, by id; as above. */
const struct lp_warden_key *lp_warden_tickets(const struct lp_warden *w, size_t *n);

/* How often the warden has told new keys since the start. */
uint64_t lp_warden_reloads(const struct lp_warden *w);

/* Has the warden look at its files now. */
void lp_warden_reload(struct lp_warden *w);

/* Files in key directories that were no keys. */
uint32_t lp_warden_skipped(const struct lp_warden *w);

/* Line i; it lives until stop. */
struct lp_line *lp_warden_line(struct lp_warden *w, unsigned i);

/* Queues a question. LP_E_LIMIT when lp_line_room() are unanswered, LP_E_ARG when
 * its fields do not fit together (version, prf, length of the seed), LP_E_IO if
 * the warden is gone. */
LP_MUST enum lp_err lp_line_ask(struct lp_line *l, const struct lp_ask *ask);

/* Sends what is queued, so that the warden is woken once for several questions: whoever asks
 * calls it, or lp_line_poll() with a timeout, before it waits for anything. LP_MORE: the socket has no room for
 * all. LP_E_IO as below. */
LP_MUST enum lp_err lp_line_flush(struct lp_line *l);

/* How many questions a line may have unanswered: its share of LP_WARDEN_QUEUE. */
size_t lp_line_room(const struct lp_line *l);

/* Questions without an answer, and those of them that were not sent yet. */
size_t lp_line_pending(const struct lp_line *l);
size_t lp_line_queued(const struct lp_line *l);

/* Readable when answers are there. */
int lp_line_fd(const struct lp_line *l);

/* Hands out the answers that have come; waits at most timeout_ms for the first (0: not at all,
 * -1: for ever), having sent what is queued. The callback may ask
 * again, not poll. Does not wait when nothing is pending; returns early on a signal.
 * LP_E_IO if the warden is gone (a fault of the machine; one line has gone to
 * stderr). */
typedef void lp_warden_answer(void *user, const struct lp_answer *answer);
LP_MUST enum lp_err lp_line_poll(struct lp_line *l, int timeout_ms, lp_warden_answer *cb,
				 void *user);

/* Process id, for tests and messages. */
int lp_warden_pid(const struct lp_warden *w);

/* Ends the process, waits for it, frees w. NULL is ignored. */
void lp_warden_stop(struct lp_warden *w);

#endif
