/* help_tcp: a wire made of text. A script of words builds TCP segments, a
 * reassembler takes them, and what it says comes back as text, while its contract
 * (tcp.h) is checked at every call.
 *
 * Words, separated by blanks:
 *	AS            segment of A: flags S (SYN) K (ACK) F R P U, in capitals
 *	AK5           … at sequence number 5 after A's ISN; without a number: A's next
 *	AK:a100b50    … with payload: a hundred a, then fifty b (_: zero bytes)
 *	AK/7          … acknowledging 7 after B's ISN; without: all that B has sent
 *	AK:a100%40    … of whose payload 40 bytes were captured
 *	AK:a10t77     … with a timestamp option, TSval 77
 *	AU:a10u4      … with urgent pointer 4
 *	AKw9          … with window 9 in the header (65535 otherwise; the scale is 7)
 *	AK:a10!bad    … with a bad checksum (!pseudo: what offload leaves)
 *	AK:a10@       … twice
 *	+250          250 ms pass
 *	#2            the next words are about connection 2 (1 at first)
 *	~7            … in domain 7, and there they use the ports of connection 1
 *	=             time moves without a segment
 *	hs            AS BSK AK
 *	end           AFK BFK AK
 * Sequence number 0 is the SYN, 1 the first byte.
 *
 * Text: for each stream, in order of opening, its events; runs of data of one side
 * are joined; streams are separated by " | ":
 *	A0:a100b50 A+10@150 A160:c4 FIN
 * is A's 150 bytes, a gap of 10 at offset 150, 4 bytes; closed as FIN. With `others`
 * A?100:x50 is one of two copies that differ. */
#ifndef HELP_TCP_H
#define HELP_TCP_H

#include "base/buf.h"
#include "net/tcp.h"

enum { HELP_TCP_FLOWS = 2000, HELP_TCP_BATCH = 64 };

struct help_tcp_stream {
	struct lp_stream *s;
	uint64_t off[2];
	bool closed;
	int last;            /* side of the data run that is being written; -1 none */
	uint8_t run_byte;
	uint64_t run;
	struct lp_buf text;
	struct lp_buf *keep; /* two, if bytes are kept */
	struct lp_buf ahead[2]; /* by side: what seemed to come behind the last bytes */
	enum lp_take answer[2]; /* what data() answers, by side */
	uint8_t idle;        /* what data() sets stream.idle to, +1 */
};

struct help_tcp {
	const struct lp_reasm_ops *ops;
	struct lp_reasm *r;
	/* what the wire is made of */
	uint32_t isn[2];
	uint32_t sent[HELP_TCP_FLOWS][2]; /* highest sequence number used, from the ISN */
	unsigned flow;
	uint32_t domain;
	uint8_t family;
	const char *addr[2]; /* IPv4, four bytes each; NULL: 10.0.0.1 and 10.0.0.2 */
	uint64_t number, now_ns;
	size_t batch;        /* segments given at once */
	struct lp_segment seg[HELP_TCP_BATCH];
	size_t n;
	void **lent;         /* until the end */
	size_t lent_n;
	/* what came out */
	struct help_tcp_stream *streams;
	size_t opened, size;
	struct lp_when last;
	bool any, keep, inside, quiet, others;
	bool sums;           /* are in the segments, and for the reassembler to look at */
	bool lends;          /* its segments, one in four of which is not lent all the same */
	bool unscaled;       /* SYNs without the window scale option (it is 7 otherwise) */
	uint64_t foreseen, misjudged; /* bytes of which that was true, or not */
	enum lp_take open_answer;
	char *text;
};

struct help_tcp_shot {
	int side;
	uint8_t flags;
	uint32_t seq, ack;   /* absolute */
	const uint8_t *payload;
	uint32_t len, captured;
	bool has_ts;
	uint32_t tsval;
	uint16_t urgent, window; /* window 0 = 65535 */
	enum lp_csum csum;
};

/* Zero, then set what differs (isn, family, batch, keep), then start. The config
 * may be NULL. */
void help_tcp_start(struct help_tcp *t, const struct lp_reasm_ops *ops,
		    const struct lp_reasm_config *config);
void help_tcp_shot(struct help_tcp *t, const struct help_tcp_shot *shot);
void help_tcp_run(struct help_tcp *t, const char *script);
void help_tcp_pass(struct help_tcp *t, uint64_t ns); /* time, without a packet */
void help_tcp_advance(struct help_tcp *t);           /* tells the reassembler */
void help_tcp_flush(struct help_tcp *t);
struct lp_reasm_stats help_tcp_stats(struct help_tcp *t);

/* Ends the capture; the sums are checked; what was said. Good until free. */
const char *help_tcp_finish(struct help_tcp *t);
/* The same so far, without ending. */
const char *help_tcp_text(struct help_tcp *t);
void help_tcp_free(struct help_tcp *t);

/* One of its own on the heap, by the native reassembler, with A's ISN 1000 and B's 5000. */
struct help_tcp *help_tcp_native(const struct lp_reasm_config *config);
void help_tcp_discard(struct help_tcp *t);

#endif
