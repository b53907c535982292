/* Two peers made of test code that speak TLS 1.2 with AES-128-GCM to an lp_stage, for
 * what no capture shows: renegotiation, holes of every kind, records that lie. The master
 * secret is a constant, and help_play.master gives it to the session. */
#ifndef LP_TEST_HELP_PEER_H
#define LP_TEST_HELP_PEER_H

#include "help_session.h"

struct help_peer_keys {
	uint8_t key[16], iv[4];
	uint64_t seq, nonce;
	bool on;
	struct z_stream_s *deflate; /* NULL: not compressed */
};

struct help_peer {
	struct help_told told;
	struct help_play play;
	struct lp_crypto_set crypto;
	uint8_t master[48];
	uint8_t random[2][32];           /* of the hellos */
	struct help_peer_keys now[2];    /* by enum lp_dir */
	struct lp_buf transcript;
	struct lp_buf clear[2];          /* application bytes that were sent and not dropped */
	struct lp_buf segment;
	struct lp_when when;
	uint64_t off[2];
	unsigned handshakes;
	bool drop;        /* what is sent is not captured */
	bool gather;      /* what is sent waits for help_peer_send() */
	bool bad;         /* what is sent is changed on its way */
	bool wild_nonce;  /* explicit nonces are no counter */
	bool deflate;     /* records are compressed (RFC 3749) */
	int window_bits;  /* for zlib: 15 with its header (and if 0), -15 without */
	bool raw;         /* what is sent is no DEFLATE stream, although it should be */
};

/* Set p->play's live, caps and answers in between if need be. */
void help_peer_init(struct help_peer *p);
void help_peer_begin(struct help_peer *p);
void help_peer_close(struct help_peer *p, enum lp_end end);
void help_peer_clear(struct help_peer *p);

void help_peer_record(struct help_peer *p, enum lp_dir dir, uint8_t type, const void *bytes,
		      size_t n);
void help_peer_message(struct help_peer *p, enum lp_dir dir, uint8_t type, const void *body,
		       size_t n);
/* What was gathered, of that direction alone, in one segment. */
void help_peer_send(struct help_peer *p, enum lp_dir dir);
void help_peer_data(struct help_peer *p, enum lp_dir dir, size_t n); /* made up */
void help_peer_bye(struct help_peer *p, enum lp_dir dir);

/* The steps of a handshake, each one record or more. */
void help_peer_client_hello(struct help_peer *p);
void help_peer_server_hello(struct help_peer *p);   /* and ServerHelloDone */
void help_peer_exchange(struct help_peer *p);
void help_peer_switch(struct help_peer *p, enum lp_dir dir);   /* ChangeCipherSpec */
void help_peer_finished(struct help_peer *p, enum lp_dir dir);
void help_peer_handshake(struct help_peer *p);      /* all of it */

#endif
