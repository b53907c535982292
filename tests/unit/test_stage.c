/* tls/stage.c: bytes reach their session in the order of the protocol, in whatever
 * order and pieces they come; what waits is bounded; what is not TLS goes through. */
#define _GNU_SOURCE
#include <check.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "help_session.h"
#include "tls/session_parts.h"

/* A flow of each kind: version, cipher, EMS, EtM, client certificate, implementation. */
static const struct {
	const char *capture;
	size_t flow;
} flows[] = {
	{ "story-tls11-ems.pcap", 0 }, { "story-tls12-ems.pcap", 0 },
	{ "story-tls12-noems.pcap", 0 }, { "http.pcap", 0 },
	{ "http-keepalive.pcap", 0 },  { "openssl-tls10.pcap", 3 },
	{ "openssl-tls11.pcap", 8 },   { "openssl-tls12.pcap", 0 },
	{ "openssl-tls12.pcap", 22 },  { "openssl-tls12.pcap", 40 },
	{ "gnutls-tls10.pcap", 0 },    { "gnutls-tls11.pcap", 9 },
	{ "gnutls-tls12.pcap", 5 },    { "gnutls-tls12.pcap", 38 },
	{ "java.pcap", 0 },            { "java.pcap", 13 },
	{ "java.pcap", 39 },           { "small-records.pcap", 0 },
	{ "small-records.pcap", 1 },
};
enum { FLOWS = sizeof flows / sizeof flows[0] };

static struct lp_crypto_set crypto;
static struct help_key *server;
static struct help_trace trace;
static struct help_flow *flow;
static struct help_told whole;
static const struct help_play plain = { .crypto = &crypto };

static void set_up(void)
{
	whole = (struct help_told){ .play = NULL };
	trace = (struct help_trace){ NULL, 0 };
	ck_assert_int_eq(lp_crypto_choose(&crypto, "auto"), LP_OK);
	server = help_key_new(&crypto, "keys/server.pem");
}

static void tear_down(void)
{
	if (whole.play)
		help_told_clear(&whole);
	help_trace_clear(&trace);
	help_key_free(server);
}

static void load(int i)
{
	static struct help_play play;

	play = (struct help_play){ .crypto = &crypto, .key = { server } };
	help_trace_read(&trace, flows[i].capture);
	ck_assert_uint_gt(trace.n, flows[i].flow);
	flow = trace.flow[flows[i].flow];
	help_play(&whole, flow, &play);
	ck_assert_uint_eq(whole.n, 1);
	ck_assert_int_eq(whole.session[0].result->pub.verdict, LP_DECRYPTED);
	ck_assert_uint_gt(lp_buf_len(&whole.dir[0]) + lp_buf_len(&whole.dir[1]), 0);
}

static void same(const struct lp_buf *a, const struct lp_buf *b)
{
	ck_assert_msg(lp_buf_len(a) == lp_buf_len(b) &&
			      (!lp_buf_len(a) ||
			       !memcmp(lp_buf_span(a).p, lp_buf_span(b).p, lp_buf_len(a))),
		      "\n%.*s\n-- is not --\n%.*s", (int)lp_buf_len(a), lp_buf_span(a).p,
		      (int)lp_buf_len(b), lp_buf_span(b).p);
}

static void same_session(const struct help_session *a, const struct help_session *b)
{
	struct lp_session_view views[2];
	const struct lp_session_info *x = &views[0].info, *y = &views[1].info;

	lp_snapshot_view(a->ended, &views[0]);
	lp_snapshot_view(b->ended, &views[1]);
	for (int dir = 0; dir < 2; dir++) {
		same(&a->clear[dir], &b->clear[dir]);
		ck_assert_mem_eq(&a->result->pub.total[dir], &b->result->pub.total[dir],
				 sizeof a->result->pub.total[dir]);
		ck_assert_int_eq(a->result->pub.end[dir], b->result->pub.end[dir]);
	}
	ck_assert_str_eq(a->result->pub.reason, b->result->pub.reason);
	ck_assert_str_eq(a->result->pub.detail, b->result->pub.detail);
	for (const char *const *n = a->result->pub.notes; n && *n; n++)
		ck_assert_msg(help_has_note(b, *n), "%s", *n);
	ck_assert_uint_eq(x->version, y->version);
	ck_assert_uint_eq(x->suite, y->suite);
	ck_assert_int_eq(x->ems, y->ems);
	ck_assert_int_eq(x->etm, y->etm);
	ck_assert_int_eq(x->resumed, y->resumed);
	ck_assert_int_eq(x->client_cert, y->client_cert);
	ck_assert_uint_eq(x->epoch, y->epoch);
	ck_assert_pstr_eq(x->ja4, y->ja4);
}

/* The same calls in the same order: the same events, at the same places if asked. */
static void check_same(const struct help_play *play, bool places)
{
	struct help_told t;

	help_play(&t, flow, play);
	ck_assert_uint_eq(t.n, 1);
	same(&t.order, &whole.order);
	if (places)
		same(&t.places, &whole.places);
	same_session(&t.session[0], &whole.session[0]);
	help_told_clear(&t);
}

START_TEST(cut_at_every_byte)
{
	load(_i);
	for (int side = 0; side < 2; side++)
		for (uint64_t off = 1; off < flow->len[side]; off++) {
			const struct help_play play = {
				.crypto = &crypto, .key = { server }, .cut = true,
				.cut_side = (enum lp_side)side, .cut_off = off,
				.answers = off & 1 ? HELP_AT_CLOSE : HELP_AT_ONCE,
			};

			check_same(&play, true);
		}
}
END_TEST

START_TEST(pieces_of_every_size)
{
	load(_i);
	for (size_t piece = 1; piece < 90; piece += piece < 10 ? 1 : 13)
		for (unsigned after = 0; after < 200; after = 3 * after + 1) {
			const struct help_play play = {
				.crypto = &crypto, .key = { server }, .piece = piece,
				.answers = HELP_AFTER, .after = after,
			};

			check_same(&play, true);
		}
}
END_TEST

/* Everything of one side, then everything of the other. */
START_TEST(one_side_first)
{
	for (int first = 0; first < 2; first++)
		for (int answers = HELP_AT_ONCE; answers <= HELP_AT_CLOSE; answers++) {
			const struct help_play play = {
				.crypto = &crypto, .key = { server }, .sorted = true,
				.first = (enum lp_side)first, .piece = answers ? 50 : 0,
				.answers = (enum help_answers)answers, .after = 3,
			};
			struct help_told t;

			if (!whole.play)
				load(_i);
			help_play(&t, flow, &play);
			ck_assert_uint_eq(t.n, 1);
			same(&t.dir[0], &whole.dir[0]);
			same(&t.dir[1], &whole.dir[1]);
			same_session(&t.session[0], &whole.session[0]);
			help_told_clear(&t);
		}
}
END_TEST

/* Neighbours in the capture change places: the client's second flight before the
 * server's first, the answer before the request. */
START_TEST(neighbours_swapped)
{
	const struct help_play play = { .crypto = &crypto, .key = { server } };

	load(_i);
	for (size_t i = 0; i + 1 < flow->n; i++) {
		struct help_call *a = &flow->call[i], *b = &flow->call[i + 1], hold;
		struct lp_when first = a->when, second = b->when;
		struct help_told t;

		if (a->side == b->side)
			continue;
		hold = *a;
		*a = *b;
		*b = hold;
		a->when = first;
		b->when = second;
		help_play(&t, flow, &play);
		ck_assert_uint_eq(t.n, 1);
		same(&t.dir[0], &whole.dir[0]);
		same(&t.dir[1], &whole.dir[1]);
		same_session(&t.session[0], &whole.session[0]);
		help_told_clear(&t);
		*b = *a;
		*a = hold;
		a->when = first;
		b->when = second;
	}
}
END_TEST

/* The sides have other names: who sends the ClientHello is the client. */
START_TEST(sides_swapped)
{
	struct help_told t;
	uint8_t *bytes;
	uint64_t len;
	const struct help_play play = { .crypto = &crypto, .key = { server } };

	load(_i);
	for (size_t i = 0; i < flow->n; i++)
		flow->call[i].side = (enum lp_side)(1 - flow->call[i].side);
	bytes = flow->bytes[0];
	flow->bytes[0] = flow->bytes[1];
	flow->bytes[1] = bytes;
	len = flow->len[0];
	flow->len[0] = flow->len[1];
	flow->len[1] = len;
	help_play(&t, flow, &play);
	same(&t.places, &whole.places);
	same(&t.session[0].clear[0], &whole.session[0].clear[0]);
	help_told_clear(&t);
}
END_TEST

/* ---- by hand ---- */

/* Captures with records of some length, with holes, with several handshakes. */
static const char *const streams[] = {
	"http.pcap",    "records.pcap",   "renegotiation.pcap", "deflate.pcap", "resumption.pcap",
	"gap-gcm.pcap", "gap-cbc.pcap",   "gap-tls10.pcap",     "gap-rc4.pcap", "gap-tls10-etm.pcap",
	"rc4-des.pcap", "gap-ssl3.pcap",
};
enum { STREAMS = sizeof streams / sizeof streams[0] };

static unsigned both_ways(const struct help_flow *f, const struct help_play *play)
{
	struct help_play longhand = *play;
	struct help_told a, b;
	unsigned short_ways;

	longhand.longhand = true;
	help_play(&a, f, play);
	help_play(&b, f, &longhand);
	ck_assert_uint_eq(a.n, b.n);
	ck_assert_uint_eq(b.short_ways, 0);
	ck_assert_uint_eq(a.asked, b.asked);
	same(&a.order, &b.order);
	same(&a.places, &b.places);
	for (int i = 0; i < 2; i++) {
		same(&a.dir[i], &b.dir[i]);
		same(&a.clear[i], &b.clear[i]);
		ck_assert_uint_eq(a.plain[i], b.plain[i]);
	}
	for (size_t i = 0; i < a.n && i < HELP_SESSIONS; i++)
		same_session(&a.session[i], &b.session[i]);
	short_ways = a.short_ways;
	help_told_clear(&a);
	help_told_clear(&b);
	return short_ways;
}

/* Bytes in the middle of a record may go a shorter way to the same place. */
START_TEST(the_short_way)
{
	static const size_t pieces[] = { 3, 40, 200 };
	unsigned short_ways = 0;

	help_trace_read(&trace, streams[_i]);
	for (size_t i = 0; i < trace.n && i < 3; i++) {
		const struct help_flow *f = trace.flow[i];
		struct help_play play = { .crypto = &crypto, .key = { server } };

		for (size_t j = 0; j < sizeof pieces / sizeof *pieces; j++) {
			play.piece = pieces[j];
			play.answers = (enum help_answers)j;
			play.after = 20;
			play.holes = 0;
			short_ways += both_ways(f, &play);
			for (unsigned k = 1; k < 8; k++) {
				const enum lp_side side = (enum lp_side)(k % 2);

				play.hole[0] = (struct help_hole){ side, f->len[side] * k / 8, k * k };
				play.holes = 1;
				short_ways += both_ways(f, &play);
			}
		}
	}
	ck_assert_uint_gt(short_ways, 100);
}
END_TEST

/* A hole in a handshake of records with five bytes each, and behind it something that makes no
 * sense: the player holds each session to its accounts. */
START_TEST(a_hole_then_junk)
{
	enum { HOLE = 60, JUNK = 40, FRAGMENTED = 2 };
	unsigned closed = 0;

	help_trace_read(&trace, "hello.pcap");
	flow = trace.flow[FRAGMENTED];
	for (unsigned k = 0; k < 160; k++) {
		const enum lp_side side = (enum lp_side)(k % 2);
		const uint64_t off = 50 + k / 4 * 70, junk = off + HOLE + (k & 2 ? 33 : 300);
		const struct help_play play = {
			.crypto = &crypto, .key = { server }, .holes = 1, .hole = { { side, off, HOLE } },
			.answers = (enum help_answers)(k % 3), .after = 3,
		};
		uint8_t was[JUNK];
		struct help_told t;

		if (junk + JUNK > flow->len[side])
			break;
		memcpy(was, flow->bytes[side] + junk, JUNK);
		memset(flow->bytes[side] + junk, 0xfe, JUNK);
		help_play(&t, flow, &play);
		memcpy(flow->bytes[side] + junk, was, JUNK);
		ck_assert_uint_eq(t.n, 1);
		closed += t.session[0].result->pub.verdict == LP_OPAQUE;
		help_told_clear(&t);
	}
	ck_assert_uint_gt(closed, 100);
}
END_TEST

/* Offset of the record behind a side's ChangeCipherSpec: its Finished. */
static uint64_t finished_of(enum lp_side side)
{
	const uint8_t *p = flow->bytes[side];
	uint64_t at = 0;
	bool ccs = false;

	while (!ccs && at + 5 < flow->len[side]) {
		ccs = p[at] == 20;
		at += 5 + (uint64_t)(p[at + 3] << 8 | p[at + 4]);
	}
	ck_assert(ccs);
	return at;
}

/* The header of a record at or behind offset `at`, which is that of one. */
static uint64_t header_near(enum lp_side side, uint64_t at, uint64_t off)
{
	const uint8_t *p = flow->bytes[side];

	while (at < off && at + 5 < flow->len[side])
		at += 5 + (uint64_t)(p[at + 3] << 8 | p[at + 4]);
	return at;
}

/* Holes and junk in what is under keys: what becomes of it does not depend on how the bytes are
 * cut. (In clear it does: whether a record behind a hole is believed.) */
START_TEST(damage_in_pieces)
{
	uint32_t random = 12345;

	load(_i);
	for (unsigned k = 0; k < 40; k++) {
		const enum lp_side side = (enum lp_side)(k % 2);
		const uint64_t from = finished_of(side) + (k % 4 < 2 ? 60 : 0), room = flow->len[side] - from;
		struct help_play play = { .crypto = &crypto, .key = { server } };
		struct help_told a, b;
		uint64_t junk, finished;

		random = random * 1103515245 + 12345;
		junk = from + (random >> 8) % (room - 5);
		if (k % 3 == 2) /* or in a header */
			junk = header_near(side, finished_of(side), junk);
		if (junk + 5 > flow->len[side])
			continue;
		finished = k & 4 ? finished_of(LP_B2A) + 12 : junk;
		play.hole[0] = (struct help_hole){ side, from + (random >> 12) % (room - 150), 1 + k % 7 * 17 };
		play.holes = k & 8 ? 1 : 0;
		if (k % 3 == 2 && k & 16) { /* a hole, whole records, and that header */
			play.hole[0].off = header_near(side, finished_of(side), junk > 250 ? junk - 250 : 0);
			play.holes = play.hole[0].off + play.hole[0].n < junk;
		}
		flow->bytes[side][junk] ^= 0x40;
		flow->bytes[LP_B2A][finished] ^= 0x20;
		help_play(&a, flow, &play);
		for (play.piece = 1; play.piece < 8; play.piece += 6) {
			help_play(&b, flow, &play);
			ck_assert_uint_eq(a.n, b.n);
			same(&a.dir[0], &b.dir[0]);
			same(&a.dir[1], &b.dir[1]);
			same_session(&a.session[0], &b.session[0]);
			help_told_clear(&b);
		}
		help_told_clear(&a);
		flow->bytes[side][junk] ^= 0x40;
		flow->bytes[LP_B2A][finished] ^= 0x20;
	}
}
END_TEST

static struct lp_when now;

static const struct lp_when *next(void)
{
	now.number++;
	now.released_ns += 1000;
	now.carried_ns = now.released_ns;
	return &now;
}

static void close_at(struct help_told *t)
{
	const enum lp_end end[2] = { LP_END_FIN, LP_END_FIN };

	help_close(t, end, false, next());
}

START_TEST(looks)
{
	static const struct {
		const char *bytes;
		size_t n;
		enum lp_looks looks;
	} rows[] = {
		{ "", 0, LP_LOOKS_SHORT },
		{ "\x16", 1, LP_LOOKS_SHORT },
		{ "\x16\x03\x01\x00\x05", 5, LP_LOOKS_SHORT },
		{ "\x16\x03\x01\x00\x05\x01", 6, LP_LOOKS_HELLO },
		{ "\x16\x03\x01\x00\x05\x02", 6, LP_LOOKS_TLS },
		{ "\x17\x03\x03\x00\x05\x02", 6, LP_LOOKS_TLS },
		{ "\x15\x03\x03\x00\x02\x02", 6, LP_LOOKS_TLS },
		{ "\x14\x03\x03\x00\x01\x01", 6, LP_LOOKS_TLS },
		{ "\x17\x03\x03\x00\x00\x17", 6, LP_LOOKS_CLEAR },
		{ "\x16\x03\x01\x00\x00", 5, LP_LOOKS_CLEAR },
		{ "\x16\x02", 2, LP_LOOKS_CLEAR },
		{ "\x16\x03\x05", 3, LP_LOOKS_CLEAR },
		{ "\x16\x03\x01\x50\x00\x01", 6, LP_LOOKS_CLEAR },
		{ "\x13", 1, LP_LOOKS_CLEAR },
		{ "GET / ", 6, LP_LOOKS_CLEAR },
		/* A ClientHello in the form of SSL 2.0, one of SSL 2.0 itself, others that are none. */
		{ "\x80\x2e\x01\x03\x01\x00", 6, LP_LOOKS_HELLO },
		{ "\x80\x2e\x01\x03", 4, LP_LOOKS_SHORT },
		{ "\x80", 1, LP_LOOKS_SHORT },
		{ "\x80\x2e\x01\x00\x02\x00", 6, LP_LOOKS_CLEAR },
		{ "\x80\x1b\x01\x03\x01", 5, LP_LOOKS_CLEAR },
		{ "\x80\x2e\x04", 3, LP_LOOKS_CLEAR },
	};

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
		ck_assert_msg(lp_stage_looks((const uint8_t *)rows[i].bytes, rows[i].n) ==
				      rows[i].looks, "row %zu", i);
}
END_TEST

#define BYTES(text) (const uint8_t *)(text), sizeof(text) - 1

START_TEST(what_is_not_tls_goes_through)
{
	struct help_told t;

	help_begin(&t, &plain);
	help_data(&t, LP_B2A, BYTES("220 hello\r\n"), 0, next());
	help_data(&t, LP_A2B, BYTES("EHLO x\r\n"), 0, next());
	help_gap(&t, LP_B2A, 11, 7, next());
	help_data(&t, LP_B2A, BYTES("250 ok\r\n"), 18, next());
	ck_assert_int_eq(t.stage.state, LP_STAGE_PRELUDE);
	close_at(&t);
	ck_assert_uint_eq(t.n, 0);
	ck_assert_uint_eq(t.plain[LP_A2B], 8);
	ck_assert_uint_eq(t.plain[LP_B2A], 26);
	help_told_clear(&t);
}
END_TEST

START_TEST(too_short_to_tell)
{
	for (size_t n = 1; n < 6; n++) {
		struct help_told t;

		help_begin(&t, &plain);
		help_data(&t, LP_A2B, (const uint8_t *)"\x16\x03\x01\x00\x05", n, 0, next());
		ck_assert_int_eq(t.stage.state, LP_STAGE_SNIFF);
		close_at(&t);
		ck_assert_uint_eq(t.n, 0);
		ck_assert_uint_eq(t.plain[LP_A2B], n);
		help_told_clear(&t);
	}
}
END_TEST

START_TEST(records_without_a_hello)
{
	static const uint8_t record[] = "\x17\x03\x03\x00\x05hello";
	struct help_told t;

	for (int both = 0; both < 2; both++) {
		help_begin(&t, &plain);
		help_data(&t, LP_A2B, record, 10, 0, next());
		if (both)
			help_data(&t, LP_B2A, record, 10, 0, next());
		ck_assert_uint_eq(t.n, (size_t)both); /* one side alone waits for the end */
		close_at(&t);
		ck_assert_uint_eq(t.n, 1);
		ck_assert_str_eq(t.session[0].result->pub.reason, "start-not-captured");
		ck_assert_uint_eq(t.session[0].result->pub.total[LP_C2S].opaque, 10);
		ck_assert_uint_eq(t.session[0].result->pub.total[LP_S2C].opaque, both ? 10 : 0);
		help_told_clear(&t);
	}
}
END_TEST

/* A hole where a side begins: the other side decides what this is. */
START_TEST(a_hole_before_anything_else)
{
	struct help_told t;

	help_begin(&t, &plain); /* the server speaks TLS */
	help_gap(&t, LP_A2B, 0, 100, next());
	help_data(&t, LP_A2B, BYTES("what is left of a ClientHello"), 100, next());
	help_data(&t, LP_B2A, BYTES("\x16\x03\x03\x00\x05\x02...."), 0, next());
	ck_assert_uint_eq(t.n, 1);
	close_at(&t);
	ck_assert_str_eq(t.session[0].result->pub.reason, "start-not-captured");
	ck_assert_uint_eq(t.session[0].result->pub.total[LP_C2S].lost, 100);
	ck_assert_uint_eq(t.session[0].result->pub.total[LP_C2S].opaque, 29);
	help_told_clear(&t);

	help_begin(&t, &plain); /* it does not */
	help_gap(&t, LP_A2B, 0, 100, next());
	help_data(&t, LP_A2B, BYTES("what is left of a request"), 100, next());
	help_data(&t, LP_B2A, BYTES("HTTP/1.1 200 OK\r\n"), 0, next());
	ck_assert_int_eq(t.stage.state, LP_STAGE_PRELUDE);
	close_at(&t);
	ck_assert_uint_eq(t.n, 0);
	ck_assert_uint_eq(t.plain[LP_A2B], 125);
	ck_assert_uint_eq(t.plain[LP_B2A], 17);
	help_told_clear(&t);

	help_begin(&t, &plain); /* nothing came of it */
	help_gap(&t, LP_A2B, 0, 100, next());
	close_at(&t);
	ck_assert_uint_eq(t.n, 0);
	help_told_clear(&t);
}
END_TEST

/* A session that has ended with both close_notify, then another one in the flow. */
START_TEST(one_session_behind_another)
{
	struct help_play play = { .crypto = &crypto, .key = { server } };
	struct help_told t;
	uint64_t len[2];
	size_t n, sessions = 0;

	load(0);
	/* s_client and s_server both say goodbye in this one. */
	ck_assert_int_eq(whole.session[0].result->pub.end[0], LP_END_CLOSE_NOTIFY);
	n = flow->n;
	len[0] = flow->len[0];
	len[1] = flow->len[1];
	for (int answers = HELP_AT_ONCE; answers <= HELP_AT_CLOSE; answers++) {
		play.answers = (enum help_answers)answers;
		play.after = 4;
		help_begin(&t, &play);
		for (int k = 0; k < 3; k++)
			for (size_t i = 0; i < n; i++) {
				const struct help_call *c = &flow->call[i];

				help_data(&t, c->side, flow->bytes[c->side] + c->off, c->n,
					  c->off + (uint64_t)k * len[c->side], next());
			}
		close_at(&t);
		sessions = t.n;
		ck_assert_uint_eq(sessions, 3);
		for (size_t k = 0; k < sessions; k++)
			same_session(&t.session[k], &whole.session[0]);
		help_told_clear(&t);
	}
}
END_TEST

/* Records behind the end of a session belong to nobody, however they are cut; the next session
 * is found behind them. */
START_TEST(records_behind_the_end)
{
	enum { FRAGMENT = 100, RECORD = 5 + FRAGMENT };
	struct help_play play = { .crypto = &crypto, .key = { server } };
	const struct help_call *c;
	struct help_told t;
	uint8_t both[2 * RECORD + 1000] = { 23, 3, 3, 0, FRAGMENT };
	uint64_t off[2];

	load(0);
	ck_assert_int_eq(whole.session[0].result->pub.end[0], LP_END_CLOSE_NOTIFY);
	c = &flow->call[0];
	ck_assert(c->n <= 1000 && c->side == LP_A2B);
	memset(both + 5, 'x', FRAGMENT);
	memcpy(both + RECORD, both, RECORD);
	memcpy(both + 2 * RECORD, flow->bytes[0], c->n);
	for (size_t cut = 1; cut <= 2 * RECORD + 20; cut++) {
		help_begin(&t, &play);
		for (size_t i = 0; i < flow->n; i++) {
			c = &flow->call[i];
			help_data(&t, c->side, flow->bytes[c->side] + c->off, c->n, c->off, next());
		}
		memcpy(off, flow->len, sizeof off);
		help_data(&t, LP_B2A, both, cut < RECORD ? cut : RECORD, off[1], next());
		if (cut < RECORD)
			help_data(&t, LP_B2A, both + cut, RECORD - cut, off[1] + cut, next());
		off[1] += RECORD;
		c = &flow->call[0];
		help_data(&t, LP_A2B, both, cut, off[0], next());
		help_data(&t, LP_A2B, both + cut, 2 * RECORD + c->n - cut, off[0] + cut, next());
		off[0] += 2 * RECORD;
		for (size_t i = 1; i < flow->n; i++) {
			c = &flow->call[i];
			help_data(&t, c->side, flow->bytes[c->side] + c->off, c->n,
				  off[c->side] + c->off, next());
		}
		close_at(&t);
		ck_assert_uint_eq(t.n, 2);
		same_session(&t.session[1], &whole.session[0]);
		ck_assert_uint_eq(t.plain[0] + t.plain[1], 0);
		help_told_clear(&t);
	}
}
END_TEST

/* ---- caps ---- */

static struct help_call *first_of(enum lp_side side, size_t from)
{
	for (size_t i = from; i < flow->n; i++)
		if (flow->call[i].side == side)
			return &flow->call[i];
	ck_abort_msg("no such call");
	return NULL;
}

/* Feeds the flow until the warden is being asked. Returns the calls used. */
static size_t until_asked(struct help_told *t, const struct help_play *play)
{
	size_t i;

	help_begin(t, play);
	for (i = 0; i < flow->n && !t->waits; i++) {
		const struct help_call *c = &flow->call[i];

		now = c->when;
		help_data(t, c->side, flow->bytes[c->side] + c->off, c->n, c->off, &c->when);
	}
	ck_assert(t->waits);
	return i;
}

/* A replay counts a session that is over its cap, and loses nothing. */
START_TEST(a_replay_stops_reading_and_loses_nothing)
{
	const struct help_play play = {
		.crypto = &crypto, .key = { server }, .answers = HELP_AT_CLOSE,
		.max_held_session = 200,
	};
	struct help_told t;

	load(_i);
	help_play(&t, flow, &play);
	ck_assert_uint_eq(t.over_most, 1);
	ck_assert_uint_eq(t.env.cap_held, 0);
	ck_assert_uint_gt(t.env.held_peak, 200);
	same(&t.places, &whole.places);
	help_told_clear(&t);
}
END_TEST

/* Live, what is held longest gives way, and shows as a gap; memory stays bounded. */
START_TEST(live_the_oldest_gives_way)
{
	const struct help_play play = {
		.crypto = &crypto, .key = { server }, .answers = HELP_AT_CLOSE, .live = true,
		.max_held_session = 2000,
	};
	static uint8_t junk[100];
	struct help_told t;
	const struct lp_session_result *r;
	uint64_t off;
	size_t i, before;

	load(3);
	i = until_asked(&t, &play);
	before = mallinfo2().uordblks;
	off = first_of(LP_B2A, i)->off;
	memset(junk, 'j', sizeof junk);
	for (int k = 0; k < 5000; k++) {
		help_data(&t, LP_B2A, junk, sizeof junk, off, next());
		off += sizeof junk;
		ck_assert_uint_le(t.stage.wait->holds.bytes[LP_B2A], 2000);
		ck_assert_uint_le(t.env.held, 2000);
	}
	/* Not thousands of small gaps, and the bytes are given back. */
	ck_assert_uint_le(mallinfo2().uordblks, before + 20000);
	ck_assert_uint_ge(t.env.cap_held, 4900);
	ck_assert_uint_eq(t.over_most, 0);
	close_at(&t);
	r = &t.session[0].result->pub;
	ck_assert_int_eq(r->verdict, LP_OPAQUE);
	ck_assert_uint_eq(r->total[LP_S2C].stream, off);
	ck_assert_uint_gt(r->total[LP_S2C].lost, 490000);
	/* They were captured: it was limpid who let them go. */
	ck_assert_str_eq(r->reason, "limit");
	ck_assert_ptr_nonnull(strstr(r->detail, "max-held"));
	help_told_clear(&t);
}
END_TEST

/* The same where enough is kept for what comes behind it to open. */
START_TEST(live_what_gave_way_is_told)
{
	struct help_play play = {
		.crypto = &crypto, .key = { server }, .answers = HELP_AT_CLOSE, .live = true,
	};
	const struct lp_session_result *r;
	struct help_told t;
	unsigned partial = 0;

	load(_i);
	for (size_t held = 500; held < 6000; held += 100) {
		play.max_held_session = held;
		help_play(&t, flow, &play);
		r = &t.session[0].result->pub;
		if (r->verdict == LP_PARTIAL && t.env.cap_held) {
			ck_assert_str_eq(r->reason, "limit");
			partial++;
		}
		if (r->verdict == LP_OPAQUE && t.env.cap_held)
			ck_assert_str_eq(r->reason, "limit");
		help_told_clear(&t);
	}
	ck_assert_uint_gt(partial, 0);
}
END_TEST

/* The client goes on and on and the server is not in the capture. */
START_TEST(one_direction_only)
{
	static uint8_t junk[1000];
	struct help_told t;
	const struct lp_session_result *r;

	for (int much = 0; much < 2; much++) {
		const struct help_play play = { .crypto = &crypto, .key = { server },
						.max_held_session = 50000 };
		const enum lp_end end[2] = { LP_END_FIN, LP_END_CAPTURE };
		struct help_call *hello;
		uint64_t off;

		if (!much)
			load(_i);
		hello = first_of(LP_A2B, 0);
		off = hello->n;
		help_begin(&t, &play);
		help_data(&t, LP_A2B, flow->bytes[0], hello->n, 0, next());
		for (int k = 0; k < (much ? 100 : 10); k++) {
			memset(junk, k, sizeof junk);
			help_data(&t, LP_A2B, junk, sizeof junk, off, next());
			off += sizeof junk;
		}
		ck_assert_uint_le(t.env.held_peak, 51100);
		help_close(&t, end, false, next());
		ck_assert_uint_eq(t.n, 1);
		r = &t.session[0].result->pub;
		ck_assert_str_eq(r->reason, "one-direction");
		ck_assert_uint_eq(r->total[LP_C2S].stream, off);
		help_told_clear(&t);
	}
}
END_TEST

/* The server goes on and on, and nothing of the client is in the capture: that is no clear text,
 * only because its hello is waited for no longer. */
START_TEST(the_server_alone_and_much)
{
	const struct help_play play = { .crypto = &crypto, .key = { server },
					.max_held_session = 20000 };
	static uint8_t record[1005] = { 0x17, 3, 3, 1000 >> 8, 1000 & 0xff };
	struct help_told t;
	uint64_t off = 0;

	help_begin(&t, &play);
	for (int k = 0; k < 100; k++) {
		help_data(&t, LP_B2A, record, sizeof record, off, next());
		off += sizeof record;
	}
	ck_assert_uint_eq(t.n, 1); /* told before the end */
	ck_assert_uint_le(t.env.held_peak, 21100);
	ck_assert_uint_eq(t.env.cap_held, 1);
	close_at(&t);
	ck_assert_uint_eq(t.n, 1);
	ck_assert_str_eq(t.session[0].result->pub.reason, "start-not-captured");
	ck_assert_uint_eq(t.session[0].result->pub.total[LP_S2C].opaque, off);
	help_told_clear(&t);
}
END_TEST

/* Bytes of the other side never come, although that side was seen: a limit. */
START_TEST(too_much_out_of_turn)
{
	const struct help_play play = { .crypto = &crypto, .key = { server },
					.max_held_session = 10000 };
	static uint8_t junk[1000];
	struct help_told t;
	struct help_call *hello;
	uint64_t off;

	load(_i);
	hello = first_of(LP_A2B, 0);
	off = hello->n;
	help_begin(&t, &play);
	help_data(&t, LP_A2B, flow->bytes[0], hello->n, 0, next());
	help_data(&t, LP_B2A, flow->bytes[1], 20, 0, next());
	for (int k = 0; k < 100; k++) {
		help_data(&t, LP_A2B, junk, sizeof junk, off, next());
		off += sizeof junk;
		ck_assert_uint_le(t.env.held, 11100);
	}
	ck_assert_uint_eq(t.env.cap_held, 1);
	close_at(&t);
	ck_assert_str_eq(t.session[0].result->pub.reason, "limit");
	ck_assert_uint_eq(t.session[0].result->pub.total[LP_C2S].stream, off);
	help_told_clear(&t);
}
END_TEST

/* A hole that still waits for its turn at the end is in the account all the same. */
START_TEST(a_hole_that_never_had_its_turn)
{
	const struct help_play play = { .crypto = &crypto, .key = { server } };
	struct help_told t;
	const struct lp_dir_totals *total;
	struct help_call *hello;

	load(_i);
	hello = first_of(LP_A2B, 0);
	help_begin(&t, &play);
	help_data(&t, LP_A2B, flow->bytes[0], hello->n, 0, next());
	help_data(&t, LP_A2B, BYTES("\x17\x03\x03"), hello->n, next());
	help_gap(&t, LP_A2B, hello->n + 3, 500, next());
	help_data(&t, LP_A2B, BYTES("more"), hello->n + 503, next());
	close_at(&t);
	total = &t.session[0].result->pub.total[LP_C2S];
	ck_assert_uint_eq(total->stream, hello->n + 507);
	ck_assert_uint_eq(total->lost, 500);
	ck_assert_uint_eq(total->opaque, 7);
	help_told_clear(&t);
}
END_TEST

/* The start of a Finished under keys that looks like a ClientHello, and hellos that lie. */
START_TEST(what_looks_like_a_hello)
{
	static const uint8_t sealed[] = { 22, 3, 3, 0, 40, 1, 0x9a, 0x10, 2, 0x77, 5, 9 };
	static const uint8_t huge[] = { 22, 3, 1, 2, 0, 1, 0xff, 0xff, 0xff, 3, 3 };
	static const uint8_t strange[] = { 22, 3, 1, 2, 0, 1, 0, 1, 0xfc, 4, 4 };
	static const uint8_t split[] = { 22, 3, 1, 0, 1, 1, 22, 3, 1, 0, 1 };

	ck_assert_int_eq(lp_stage_looks(sealed, sizeof sealed), LP_LOOKS_TLS);
	ck_assert_int_eq(lp_stage_looks(huge, sizeof huge), LP_LOOKS_HELLO);
	ck_assert_int_eq(lp_stage_looks(huge, 6), LP_LOOKS_HELLO);
	ck_assert_int_eq(lp_stage_looks(strange, sizeof strange), LP_LOOKS_HELLO);
	ck_assert_int_eq(lp_stage_looks(split, sizeof split), LP_LOOKS_HELLO);
}
END_TEST

Suite *suite_stage(void);
Suite *suite_stage(void)
{
	Suite *s = suite_create("stage");
	TCase *order = tcase_create("order");
	TCase *hand = tcase_create("hand");
	TCase *ways = tcase_create("ways");

	tcase_set_timeout(order, 120);
	tcase_set_timeout(hand, 30);
	tcase_set_timeout(ways, 30);
	tcase_add_checked_fixture(order, set_up, tear_down);
	tcase_add_checked_fixture(hand, set_up, tear_down);
	tcase_add_checked_fixture(ways, set_up, tear_down);
	tcase_add_test(order, what_looks_like_a_hello);
	tcase_add_loop_test(order, cut_at_every_byte, 0, FLOWS);
	tcase_add_loop_test(order, pieces_of_every_size, 0, FLOWS);
	tcase_add_loop_test(order, one_side_first, 0, FLOWS);
	tcase_add_loop_test(order, neighbours_swapped, 0, FLOWS);
	tcase_add_loop_test(order, sides_swapped, 0, FLOWS);
	tcase_add_test(order, a_hole_then_junk);
	tcase_add_loop_test(order, damage_in_pieces, 0, FLOWS);
	tcase_add_loop_test(ways, the_short_way, 0, STREAMS);
	tcase_add_test(hand, looks);
	tcase_add_test(hand, what_is_not_tls_goes_through);
	tcase_add_test(hand, too_short_to_tell);
	tcase_add_test(hand, records_without_a_hello);
	tcase_add_test(hand, a_hole_before_anything_else);
	tcase_add_test(hand, one_session_behind_another);
	tcase_add_test(hand, records_behind_the_end);
	tcase_add_loop_test(hand, a_replay_stops_reading_and_loses_nothing, 0, FLOWS);
	tcase_add_test(hand, live_the_oldest_gives_way);
	tcase_add_loop_test(hand, live_what_gave_way_is_told, 0, FLOWS);
	tcase_add_loop_test(hand, one_direction_only, 0, 3);
	tcase_add_test(hand, the_server_alone_and_much);
	tcase_add_loop_test(hand, too_much_out_of_turn, 0, 3);
	tcase_add_loop_test(hand, a_hole_that_never_had_its_turn, 0, 3);
	suite_add_tcase(s, order);
	suite_add_tcase(s, hand);
	suite_add_tcase(s, ways);
	return s;
}
