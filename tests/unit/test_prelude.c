/* tls/prelude.c: TLS behind a clear prelude is found whatever the protocol, the pieces
 * and the order of capture; what only looks like it is not; all that is held is bounded. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "help_session.h"
#include "tls/prelude.h"

#define C(text) { LP_A2B, text, sizeof(text) - 1 }
#define S(text) { LP_B2A, text, sizeof(text) - 1 }

struct line {
	enum lp_side side;
	const char *text;
	size_t n;
};

/* What is said before TLS. with: the last words and the ClientHello are one segment. */
static const struct {
	const char *name;
	bool with;
	struct line line[12];
} protocols[] = {
	{ "SMTP (RFC 3207)", false, { S("220 mx.example ESMTP\r\n"), C("EHLO client.example\r\n"),
		S("250-mx.example\r\n250-SIZE 1000000\r\n250 STARTTLS\r\n"), C("STARTTLS\r\n"),
		S("220 2.0.0 Ready to start TLS\r\n") } },
	{ "LMTP (RFC 2033)", false, { S("220 mx LMTP\r\n"), C("LHLO a\r\n"),
		S("250-mx\r\n250 STARTTLS\r\n"), C("STARTTLS\r\n"), S("220 go\r\n") } },
	{ "IMAP (RFC 3501)", false, { S("* OK [CAPABILITY IMAP4rev1 STARTTLS] ready\r\n"),
		C("a1 CAPABILITY\r\n"), S("* CAPABILITY IMAP4rev1 STARTTLS\r\na1 OK\r\n"),
		C("a2 STARTTLS\r\n"), S("a2 OK Begin TLS negotiation now\r\n") } },
	{ "POP3 (RFC 2595)", false, { S("+OK\r\n"), C("STLS\r\n"), S("+OK Begin TLS\r\n") } },
	{ "FTP (RFC 4217)", false, { S("220 ftp\r\n"), C("AUTH TLS\r\n"), S("234 AUTH TLS OK.\r\n") } },
	{ "LDAP (RFC 4511)", false, {
		C("\x30\x1d\x02\x01\x01\x77\x18\x80\x16" "1.3.6.1.4.1.1466.20037"),
		S("\x30\x0c\x02\x01\x01\x78\x07\x0a\x01\x00\x04\x00\x04\x00") } },
	{ "XMPP (RFC 6120)", false, { C("<?xml version='1.0'?><stream:stream to='x'>"),
		S("<stream:stream id='1'><stream:features><starttls/></stream:features>"),
		C("<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>"),
		S("<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>") } },
	{ "NNTP (RFC 4642)", false, { S("200 news\r\n"), C("CAPABILITIES\r\n"),
		S("101\r\nVERSION 2\r\nSTARTTLS\r\n.\r\n"), C("STARTTLS\r\n"), S("382 Continue\r\n") } },
	{ "IRC", false, { C("STARTTLS\r\n"), S(":irc.example NOTICE AUTH :***\r\n"),
		S(":irc.example 670 client :STARTTLS successful\r\n") } },
	{ "sieve (RFC 5804)", false, { S("\"STARTTLS\"\r\nOK\r\n"), C("STARTTLS\r\n"), S("OK\r\n") } },
	{ "PostgreSQL", false, { C("\0\0\0\x08\x04\xd2\x16\x2f"), S("S") } },
	{ "MySQL", true, {
		S("\x4a\0\0\0\x0a" "8.0.30\0\x0b\0\0\0abcdefgh\0\xff\xff\x2d\x02\0\xff\xdf\x15\0\0"
		  "\0\0\0\0\0\0\0\0abcdefghijkl\0caching_sha2_password\0"),
		C("\x20\0\0\x01\x85\xae\xff\x19\0\0\0\x01\x2d\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0") } },
	{ "RDP (MS-RDPBCGR 2.2.1.1)", false, {
		C("\x03\0\0\x13\x0e\xe0\0\0\0\0\0\x01\0\x08\0\x01\0\0\0"),
		S("\x03\0\0\x13\x0e\xd0\0\0\x12\x34\0\x02\0\x08\0\x01\0\0\0") } },
	{ "HTTP CONNECT (RFC 9110 9.3.6)", false, {
		C("CONNECT server.example:443 HTTP/1.1\r\nHost: server.example:443\r\n\r\n"),
		S("HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 2\r\n\r\nno"),
		C("CONNECT server.example:443 HTTP/1.1\r\nProxy-Authorization: Basic eDp5\r\n\r\n"),
		S("HTTP/1.1 200 Connection established\r\n\r\n") } },
	{ "SOCKS 4", false, { C("\x04\x01\x01\xbb\x7f\0\0\x01user\0"), S("\0\x5a\x01\xbb\x7f\0\0\x01") } },
	{ "SOCKS 5 (RFC 1928)", false, { C("\x05\x01\0"), S("\x05\0"),
		C("\x05\x01\0\x03\x0eserver.example\x01\xbb"), S("\x05\0\0\x01\0\0\0\0\0\0") } },
	{ "PROXY 1", true, { C("PROXY TCP4 192.0.2.1 192.0.2.2 56324 443\r\n") } },
	{ "PROXY 2", true, {
		C("\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xc0\0\x02\x01\xc0\0\x02\x02\xdc\x04\x01\xbb") } },
	{ "PROXY 2, of 0x16 and all that", true, {
		C("\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\x16\x03\x01\x16\x16\x03\x01\x02\x16\x03\x01\x16") } },
	{ "a header that swallows the ClientHello", true, {
		S("x"), C("y\x16\x03\x01\x01\x40\x01\0\x01\x3c\x03\x03") } },
};
enum { PROTOCOLS = sizeof protocols / sizeof protocols[0] };

static struct lp_crypto_set crypto;
static struct help_key *server;
static struct help_trace trace;
static struct help_flow *tls;    /* a flow that is TLS from its first byte … */
static struct help_told whole;   /* … and what it gives */
static struct help_flow flow;    /* the one put together */
static struct lp_buf said[2];    /* its clear bytes, by side */

static void set_up(void)
{
	static const struct help_play *play, plain = { .crypto = &crypto };
	static struct help_play with;

	ck_assert_int_eq(lp_crypto_choose(&crypto, "auto"), LP_OK);
	server = help_key_new(&crypto, "keys/server.pem");
	help_trace_read(&trace, "story-tls12-ems.pcap");
	tls = trace.flow[0];
	with = plain;
	with.key[0] = server;
	play = &with;
	help_play(&whole, tls, play);
	ck_assert_int_eq(whole.session[0].result->pub.verdict, LP_DECRYPTED);
	flow = (struct help_flow){ .end = { LP_END_FIN, LP_END_FIN } };
	lp_buf_init(&said[0], SIZE_MAX / 2);
	lp_buf_init(&said[1], SIZE_MAX / 2);
}

static void empty_flow(void)
{
	free(flow.call);
	free(flow.bytes[0]);
	free(flow.bytes[1]);
	lp_buf_clear(&said[0]);
	lp_buf_clear(&said[1]);
	flow = (struct help_flow){ .end = { LP_END_FIN, LP_END_FIN } };
}

static void tear_down(void)
{
	empty_flow();
	help_told_clear(&whole);
	help_trace_clear(&trace);
	help_key_free(server);
}

/* ---- putting a flow together ---- */

/* Bytes of a side (NULL: a gap), as a call of their own or as part of the last one. */
static void add(enum lp_side side, const void *p, size_t n, bool join)
{
	struct help_call *c;

	if (!join) {
		flow.call = realloc(flow.call, (flow.n + 1) * sizeof *flow.call);
		ck_assert_ptr_nonnull(flow.call);
		flow.call[flow.n++] = (struct help_call){
			.side = side, .gap = !p, .off = flow.len[side],
			.when = { .number = flow.n + 1, .released_ns = (flow.n + 1) * 1000,
				  .carried_ns = (flow.n + 1) * 1000 },
		};
	}
	c = &flow.call[flow.n - 1];
	c->n += n;
	flow.bytes[side] = realloc(flow.bytes[side], flow.len[side] + n + 1);
	ck_assert_ptr_nonnull(flow.bytes[side]);
	if (p)
		memcpy(flow.bytes[side] + flow.len[side], p, n);
	else
		memset(flow.bytes[side] + flow.len[side], '?', n);
	flow.len[side] += n;
	flow.close_when = c->when;
	flow.close_when.number++;
}

/* Bytes that must come out as clear bytes. */
static void say(enum lp_side side, const void *p, size_t n, bool join)
{
	add(side, p, n, join);
	ck_assert_int_eq(lp_buf_append(&said[side], flow.bytes[side] + flow.len[side] - n, n), LP_OK);
}

#define SAY(side, text) say(side, text, sizeof(text) - 1, false)

static void add_tls(bool join)
{
	for (size_t i = 0; i < tls->n; i++)
		add(tls->call[i].side, tls->bytes[tls->call[i].side] + tls->call[i].off,
		    tls->call[i].n, join && !i);
}

static void say_protocol(int i)
{
	for (const struct line *l = protocols[i].line; l->text; l++)
		say(l->side, l->text, l->n, false);
}

static void build(int i)
{
	empty_flow();
	say_protocol(i);
	add_tls(protocols[i].with);
}

static size_t hello_size(void)
{
	return tls->call[0].n;
}

/* ---- what must come out ---- */

static void check_said(const struct help_told *t)
{
	for (int side = 0; side < 2; side++) {
		ck_assert_uint_eq(lp_buf_len(&t->clear[side]), lp_buf_len(&said[side]));
		if (lp_buf_len(&said[side]))
			ck_assert_mem_eq(lp_buf_span(&t->clear[side]).p, lp_buf_span(&said[side]).p,
					 lp_buf_len(&said[side]));
	}
}

static void check_session(const struct help_session *s)
{
	const struct help_session *w = &whole.session[0];

	ck_assert_str_eq(s->result->pub.reason, w->result->pub.reason);
	for (int dir = 0; dir < 2; dir++) {
		ck_assert_mem_eq(&s->result->pub.total[dir], &w->result->pub.total[dir],
				 sizeof w->result->pub.total[dir]);
		ck_assert_uint_eq(lp_buf_len(&s->clear[dir]), lp_buf_len(&w->clear[dir]));
		ck_assert_mem_eq(lp_buf_span(&s->clear[dir]).p, lp_buf_span(&w->clear[dir]).p,
				 lp_buf_len(&w->clear[dir]));
	}
}

static void check_found(const struct help_play *play)
{
	struct help_told t;

	help_play(&t, &flow, play);
	ck_assert_uint_eq(t.n, 1);
	check_session(&t.session[0]);
	check_said(&t);
	help_told_clear(&t);
}

/* No session, and every byte as it came; with keep, not a byte. */
static void check_clear(void)
{
	for (size_t piece = 0; piece < 1500; piece = piece * 37 + 1) {
		struct help_play play = { .crypto = &crypto, .piece = piece };
		struct help_told t;

		help_play(&t, &flow, &play);
		ck_assert_uint_eq(t.n, 0);
		check_said(&t);
		ck_assert_uint_eq(t.env.cap_held, 0);
		help_told_clear(&t);
		play.keep = true;
		help_play(&t, &flow, &play);
		ck_assert_uint_eq(t.n, 0);
		ck_assert_uint_eq(t.plain[0] + t.plain[1], 0);
		help_told_clear(&t);
	}
}

/* ---- found ---- */

START_TEST(in_every_protocol)
{
	struct help_play play = { .crypto = &crypto, .key = { server } };

	build(_i);
	for (int keep = 0; keep < 2; keep++)
		for (int answers = HELP_AT_ONCE; answers <= HELP_AT_CLOSE; answers++)
			for (size_t piece = 0; piece < 300; piece = piece * 7 + 1) {
				play.keep = keep;
				play.answers = (enum help_answers)answers;
				play.after = 5;
				play.piece = piece;
				check_found(&play);
			}
}
END_TEST

START_TEST(cut_at_every_byte)
{
	build(_i);
	for (int side = 0; side < 2; side++)
		for (uint64_t off = 1; off < flow.len[side]; off++) {
			const struct help_play play = {
				.crypto = &crypto, .key = { server }, .keep = off & 1, .cut = true,
				.cut_side = (enum lp_side)side, .cut_off = off,
			};

			check_found(&play);
		}
}
END_TEST

/* The whole of one direction comes before the other: the ClientHello and all that
 * follows before the server's greeting, or the ServerHello before the ClientHello. */
START_TEST(one_side_first)
{
	build(_i);
	for (int first = 0; first < 2; first++)
		for (size_t piece = 0; piece < 300; piece = piece * 7 + 1) {
			const struct help_play play = {
				.crypto = &crypto, .key = { server }, .keep = first, .sorted = true,
				.first = (enum lp_side)first, .piece = piece,
			};

			check_found(&play);
		}
}
END_TEST

START_TEST(neighbours_swapped)
{
	const struct help_play play = { .crypto = &crypto, .key = { server } };

	build(_i);
	for (size_t i = 0; i + 1 < flow.n; i++) {
		struct help_call a = flow.call[i], b = flow.call[i + 1];
		struct lp_when first = a.when, second = b.when;

		if (a.side == b.side)
			continue;
		flow.call[i] = b;
		flow.call[i].when = first;
		flow.call[i + 1] = a;
		flow.call[i + 1].when = second;
		check_found(&play);
		flow.call[i] = a;
		flow.call[i + 1] = b;
	}
}
END_TEST

/* Clear bytes, a session, clear bytes, a session. */
START_TEST(twice)
{
	struct help_play play = { .crypto = &crypto, .key = { server } };
	struct help_told t;

	empty_flow();
	for (int k = 0; k < 2; k++) {
		SAY(LP_B2A, "220 what now\r\n");
		SAY(LP_A2B, "STARTTLS\r\n");
		SAY(LP_B2A, "220 go\r\n");
		add_tls(false);
		SAY(LP_A2B, "CCC\r\n");
	}
	for (int answers = HELP_AT_ONCE; answers <= HELP_AT_CLOSE; answers++)
		for (size_t piece = 0; piece < 300; piece = piece * 7 + 1) {
			play.answers = (enum help_answers)answers;
			play.after = 3;
			play.piece = piece;
			help_play(&t, &flow, &play);
			ck_assert_uint_eq(t.n, 2);
			check_session(&t.session[0]);
			check_session(&t.session[1]);
			check_said(&t);
			help_told_clear(&t);
		}
}
END_TEST

/* Within 64 KiB of what a side says, counted anew when the speaker changes. */
START_TEST(as_far_as_the_window)
{
	static uint8_t words[LP_PRELUDE_WINDOW];
	const struct help_play play = { .crypto = &crypto, .key = { server } };

	memset(words, 'w', sizeof words);
	for (int anew = 0; anew < 2; anew++)
		for (size_t n = LP_PRELUDE_WINDOW - 2; n <= LP_PRELUDE_WINDOW; n++) {
			bool found = n < LP_PRELUDE_WINDOW;
			struct help_told t;

			empty_flow();
			if (anew) {
				say(LP_A2B, words, 60000, false);
				say(LP_B2A, words, 60000, false);
			}
			say(LP_A2B, words, 1000, false);
			say(LP_A2B, words, n - 1000, false);
			add_tls(false);
			if (found) {
				check_found(&play);
				continue;
			}
			help_play(&t, &flow, &play);
			ck_assert_uint_eq(t.n, 0);
			ck_assert_uint_eq(t.plain[0], flow.len[0]);
			ck_assert_uint_eq(t.plain[1], flow.len[1]);
			help_told_clear(&t);
		}
}
END_TEST

/* After 16 changes of speaker what is left of the windows counts on. */
START_TEST(as_many_changes)
{
	static uint8_t words[40000];
	struct help_play play = { .crypto = &crypto, .key = { server } };
	struct help_told t;

	memset(words, 'w', sizeof words);
	for (int changes = LP_PRELUDE_CHANGES - 1; changes < LP_PRELUDE_CHANGES + 4; changes++) {
		empty_flow();
		/* the ClientHello is one more change */
		for (int k = 0; k < changes; k++)
			say((enum lp_side)((changes + k) % 2), words, sizeof words, false);
		add_tls(false);
		/* A2B was given its last window at the 16th change or before */
		help_play(&t, &flow, &play);
		ck_assert_msg(t.n == (changes < LP_PRELUDE_CHANGES + 2 ? 1 : 0), "%d changes", changes);
		help_told_clear(&t);
	}
	empty_flow();
	for (int k = 0; k < 200; k++)
		say((enum lp_side)(k % 2), words, 20, false);
	add_tls(false);
	check_found(&play);
	play.keep = true;
	check_found(&play);
}
END_TEST

/* A transfer of 1 MiB: this flow is left alone from then on. */
START_TEST(not_behind_a_transfer)
{
	static uint8_t words[10000];
	const struct help_play play = { .crypto = &crypto, .key = { server } };

	memset(words, '\x16', sizeof words);
	for (int over = 0; over < 2; over++) {
		struct help_told t;

		empty_flow();
		for (int k = 0; k < (over ? 105 : 104); k++)
			say(LP_B2A, words, sizeof words, false);
		add_tls(false);
		help_play(&t, &flow, &play);
		ck_assert_uint_eq(t.n, over ? 0 : 1);
		help_told_clear(&t);
	}
}
END_TEST

/* ---- not TLS ---- */

static void read_capture(uint8_t **p, size_t *n)
{
	FILE *f = fopen("captures/story-tls12-ems.pcap", "rb");

	*p = malloc(1 << 16);
	ck_assert(f && *p);
	*n = fread(*p, 1, 1 << 16, f);
	fclose(f);
	ck_assert_uint_gt(*n, 4000);
}

/* Captures that hold whole handshakes go up and come down again. */
START_TEST(not_in_an_uploaded_capture)
{
	uint8_t *p;
	size_t n;

	read_capture(&p, &n);
	empty_flow();
	SAY(LP_A2B, "PUT /story.pcap HTTP/1.1\r\nContent-Length: many\r\n\r\n");
	for (size_t at = 0; at < n; at += 1400)
		say(LP_A2B, p + at, n - at < 1400 ? n - at : 1400, false);
	SAY(LP_B2A, "HTTP/1.1 201 Created\r\n\r\n");
	SAY(LP_A2B, "GET /story.pcap HTTP/1.1\r\n\r\n");
	SAY(LP_B2A, "HTTP/1.1 200 OK\r\n\r\n");
	for (size_t at = 0; at < n; at += 1400)
		say(LP_B2A, p + at, n - at < 1400 ? n - at : 1400, false);
	check_clear();
	free(p);
}
END_TEST

/* A ClientHello at the end of what a client says, and an answer that is none. */
START_TEST(not_without_an_answer)
{
	static const char *const answers[] = { NULL, "HTTP/1.1 200 OK\r\n\r\n", "\x16\x03",
					       "\x17\x03\x03\0\x05hello", "\x15\x03\x03\0\x02\x03\x28" };

	for (size_t i = 0; i < sizeof answers / sizeof answers[0]; i++) {
		empty_flow();
		SAY(LP_A2B, "POST / HTTP/1.1\r\n\r\n");
		say(LP_A2B, tls->bytes[0], hello_size(), i & 1);
		if (answers[i]) {
			say(LP_B2A, answers[i], i > 2 ? 7 + 3 * (i == 3) : strlen(answers[i]), false);
			SAY(LP_A2B, "GET / HTTP/1.1\r\n\r\n");
		}
		check_clear();
	}
	/* the same bytes come back */
	empty_flow();
	SAY(LP_A2B, "echo: ");
	say(LP_A2B, tls->bytes[0], hello_size(), false);
	SAY(LP_B2A, "echo: ");
	say(LP_B2A, tls->bytes[0], hello_size(), false);
	check_clear();
	/* a ServerHello that nobody asked for */
	empty_flow();
	SAY(LP_A2B, "GET /hello HTTP/1.1\r\n\r\n");
	say(LP_B2A, tls->bytes[1], 1000, false);
	check_clear();
}
END_TEST

/* What a server repeats of the client's may look like a hello of its own, as long as nothing else
 * follows it. */
START_TEST(an_echo_before_the_answer)
{
	struct help_play play = { .crypto = &crypto, .key = { server } };

	for (int split = 0; split < 3; split++) {
		empty_flow();
		SAY(LP_A2B, "STARTTLS ");
		add(LP_A2B, tls->bytes[0], hello_size(), false);
		SAY(LP_B2A, "echo: ");
		say(LP_B2A, tls->bytes[0], hello_size(), split != 1);
		say(LP_B2A, "\r\n", 2, split != 2);
		for (size_t i = 1; i < tls->n; i++)
			add(tls->call[i].side, tls->bytes[tls->call[i].side] + tls->call[i].off,
			    tls->call[i].n, false);
		for (play.piece = 0; play.piece < 300; play.piece = play.piece * 7 + 1)
			check_found(&play);
	}
}
END_TEST

/* The hello that counts is the last one: what went before it was not answered. */
START_TEST(the_later_of_two_clients)
{
	struct help_play play = { .crypto = &crypto, .key = { server } };

	empty_flow();
	SAY(LP_B2A, "echo: ");
	say(LP_B2A, tls->bytes[0], hello_size(), false);
	SAY(LP_A2B, "echo: ");
	add_tls(true);
	for (play.piece = 0; play.piece < 300; play.piece = play.piece * 7 + 1)
		check_found(&play);
}
END_TEST

START_TEST(not_if_it_does_not_parse)
{
	uint8_t bad[2000];
	size_t n = hello_size();

	ck_assert_uint_lt(n, sizeof bad);
	for (size_t at = 0; at < 44; at++) {
		if (at >= 10 && at < 43) /* minor version, random */
			continue;
		memcpy(bad, tls->bytes[0], n);
		bad[at] ^= 0x40;
		empty_flow();
		SAY(LP_A2B, "x");
		say(LP_A2B, bad, n, true);
		say(LP_B2A, tls->bytes[1], 200, false);
		check_clear();
	}
}
END_TEST

/* ---- refusals and holes ---- */

static const struct lp_session_result *only(struct help_told *t, const struct help_play *play)
{
	help_play(t, &flow, play);
	ck_assert_uint_eq(t->n, 1);
	return &t->session[0].result->pub;
}

/* One session, closed for that reason, however the bytes are cut. */
static void check_only(const char *reason)
{
	struct help_play play = { .crypto = &crypto, .key = { server } };
	struct help_told t;

	for (play.piece = 0; play.piece < 400; play.piece = play.piece * 5 + 1) {
		ck_assert_str_eq(only(&t, &play)->reason, reason);
		check_said(&t);
		help_told_clear(&t);
	}
}

START_TEST(an_alert_is_an_answer)
{
	const struct help_play play = { .crypto = &crypto, .key = { server } };
	struct help_told t;

	for (int i = 0; i < PROTOCOLS - 1; i++) {
		empty_flow();
		say_protocol(i);
		add(LP_A2B, tls->bytes[0], hello_size(), protocols[i].with);
		add(LP_B2A, "\x15\x03\x03\0\x02\x02\x28", 7, false);
		ck_assert_str_eq(only(&t, &play)->reason, "handshake-failed");
		check_said(&t);
		help_told_clear(&t);
	}
}
END_TEST

/* What came with the answer decides nothing: the session says what is wrong with it. */
START_TEST(an_answer_is_enough)
{
	struct help_play play = { .crypto = &crypto, .key = { server } };
	const size_t hello = 5 + (size_t)(tls->bytes[1][3] << 8 | tls->bytes[1][4]);
	struct help_told t;

	for (play.piece = 0; play.piece < 400; play.piece = play.piece * 5 + 1) {
		empty_flow();
		SAY(LP_A2B, "STLS\r\n");
		SAY(LP_B2A, "+OK\r\n");
		add(LP_A2B, tls->bytes[0], hello_size(), false);
		add(LP_B2A, tls->bytes[1], hello, false);
		add(LP_B2A, "-ERR what was that?\r\n", 21, true);
		ck_assert_str_eq(only(&t, &play)->reason, "malformed");
		check_said(&t);
		help_told_clear(&t);
	}
}
END_TEST

/* A hole in the prelude costs the prelude; one in the handshake says so. */
START_TEST(holes)
{
	const struct help_play play = { .crypto = &crypto, .key = { server } };
	const struct help_play keep = { .crypto = &crypto, .key = { server }, .keep = true };
	struct help_told t;

	empty_flow();
	SAY(LP_B2A, "220 ");
	say(LP_B2A, NULL, 50, false);
	SAY(LP_B2A, "\r\n");
	SAY(LP_A2B, "STARTTLS\r\n");
	say(LP_B2A, NULL, 20, false);
	add_tls(false);
	check_found(&play);
	check_found(&keep);

	/* the ServerHello is lost, but the client went on */
	empty_flow();
	SAY(LP_A2B, "STARTTLS\r\n");
	SAY(LP_B2A, "220 go\r\n");
	add(LP_A2B, tls->bytes[0], hello_size(), false);
	add(LP_B2A, NULL, 2000, false);
	add(LP_B2A, tls->bytes[1] + 2000, 100, false);
	add(LP_A2B, tls->bytes[0] + hello_size(), tls->len[0] - hello_size(), false);
	ck_assert_str_eq(only(&t, &play)->reason, "handshake-lost");
	check_said(&t);
	help_told_clear(&t);

	/* … and here it did not: nothing can be said */
	empty_flow();
	SAY(LP_A2B, "POST / HTTP/1.1\r\n\r\n");
	say(LP_A2B, tls->bytes[0], hello_size(), false);
	say(LP_B2A, NULL, 20, false);
	SAY(LP_B2A, "\r\n\r\n");
	SAY(LP_A2B, "GET / HTTP/1.1\r\n\r\n");
	check_clear();
}
END_TEST

/* A hole is told when nothing can fill it any more: the ClientHello may have come by
 * then. It may have swallowed words of the prelude, and the answer stands behind it. */
START_TEST(a_hole_told_late)
{
	struct help_play play = { .crypto = &crypto, .key = { server } };
	const size_t split[] = { hello_size(), tls->len[0] };

	for (size_t i = 0; i < 6; i++) {
		size_t n = split[i & 1];

		empty_flow();
		SAY(LP_B2A, "220 mx\r\n");
		SAY(LP_A2B, "STARTTLS\r\n");
		add(LP_A2B, tls->bytes[0], n, false);
		say(LP_B2A, NULL, 30, false);
		if (i >= 2) /* looks like an answer */
			SAY(LP_B2A, "\x16\x03\x03\0\x50\x02\0\0\x4c\x03\x03x");
		if (i >= 4)
			say(LP_B2A, NULL, 30, false);
		SAY(LP_B2A, "220 go\r\n");
		add(LP_B2A, tls->bytes[1], tls->len[1], false);
		if (n < tls->len[0])
			add(LP_A2B, tls->bytes[0] + n, tls->len[0] - n, false);
		for (play.piece = 0; play.piece < 400; play.piece = play.piece * 5 + 1)
			check_found(&play);
	}
}
END_TEST

/* Whether something may be the answer does not depend on how much of it there is in one piece. */
START_TEST(no_answer_behind_a_hole)
{
	const size_t n = 5 + (size_t)(tls->bytes[1][3] << 8 | tls->bytes[1][4]);
	uint8_t bad[2000];

	ck_assert_uint_le(n, sizeof bad);
	memcpy(bad, tls->bytes[1], n);
	bad[2] = 0x2d; /* no record has such a version */
	empty_flow();
	SAY(LP_B2A, "220 mx\r\n");
	SAY(LP_A2B, "STARTTLS\r\n");
	add(LP_A2B, tls->bytes[0], tls->len[0], false);
	add(LP_B2A, NULL, 30, false);
	add(LP_B2A, bad, n, false);
	add(LP_B2A, "\r\n", 2, false);
	check_only("handshake-lost");
}
END_TEST

/* What was no hello after all took the other side's hole with it, also if the next one begins in
 * the same piece that said so. */
START_TEST(a_hole_goes_with_its_hello)
{
	empty_flow();
	SAY(LP_A2B, "x");
	say(LP_A2B, tls->bytes[0], hello_size(), true);
	say(LP_B2A, NULL, 30, false);
	SAY(LP_A2B, "STARTTLS\r\n");
	add(LP_A2B, tls->bytes[0], tls->len[0], true);
	flow.end[1] = LP_END_CAPTURE;
	check_only("one-direction");
}
END_TEST

START_TEST(one_direction)
{
	struct help_play play = { .crypto = &crypto, .key = { server } };
	struct help_told t;

	for (int cap = 0; cap < 2; cap++) {
		empty_flow();
		SAY(LP_A2B, "EHLO a\r\nSTARTTLS\r\n");
		add(LP_A2B, tls->bytes[0], tls->len[0], false);
		flow.end[1] = LP_END_CAPTURE;
		play.max_held_session = cap ? tls->len[0] - 20 : 0;
		ck_assert_str_eq(only(&t, &play)->reason, "one-direction");
		ck_assert_uint_eq(t.env.cap_held, cap ? 2 : 0);
		check_said(&t);
		help_told_clear(&t);
	}
}
END_TEST

/* ---- caps ---- */

/* A ClientHello that never ends, and one that is never answered while records follow. */
START_TEST(what_is_held_is_bounded)
{
	static const uint8_t record[1000] = { 0x17, 3, 3, 0x03, 0xe3 };
	struct help_play play = { .crypto = &crypto, .max_held_session = 20000 };
	struct help_told t;

	empty_flow();
	SAY(LP_A2B, "x\x16\x03\x01\x40\0\x01\0\xff\xff\x03\x03");
	for (int k = 0; k < 100; k++)
		say(LP_A2B, record, sizeof record, false);
	help_play(&t, &flow, &play);
	ck_assert_uint_eq(t.n, 0);
	ck_assert_uint_le(t.env.held_peak, 21200);
	check_said(&t);
	help_told_clear(&t);

	empty_flow();
	SAY(LP_B2A, "go\r\n");
	say(LP_B2A, tls->bytes[1], 2500, false);
	for (int k = 0; k < 100; k++)
		say(LP_A2B, "y", 1, false);
	for (int k = 0; k < 100; k++)
		say(LP_B2A, record, sizeof record, false);
	help_play(&t, &flow, &play);
	ck_assert_uint_eq(t.n, 0);
	ck_assert_uint_le(t.env.held_peak, 21200);
	check_said(&t);
	help_told_clear(&t);
}
END_TEST

/* More prelude than may be kept: a gap says how much there was. */
START_TEST(what_is_kept_is_bounded)
{
	static uint8_t words[1000];
	struct help_play play = { .crypto = &crypto, .key = { server }, .keep = true };
	struct help_told t;

	for (int total = 0; total < 2; total++) {
		empty_flow();
		for (int k = 0; k < 30; k++)
			add((enum lp_side)(k % 2), words, sizeof words, false);
		add_tls(false);
		*(total ? &play.max_kept : &play.max_held_session) = 20000;
		help_play(&t, &flow, &play);
		ck_assert_uint_eq(t.n, 1);
		check_session(&t.session[0]);
		ck_assert_uint_eq(t.env.cap_kept, 1);
		for (int side = 0; side < 2; side++) {
			ck_assert_uint_eq(lp_buf_len(&t.clear[side]), 15000);
			ck_assert_uint_eq(lp_buf_span(&t.clear[side]).p[14999], '?');
		}
		help_told_clear(&t);
	}
}
END_TEST

/* Thousands of headers within each other's reach: the second looks are counted. */
START_TEST(work_is_bounded)
{
	static uint8_t bait[60000];
	const struct help_play play = { .crypto = &crypto };
	struct help_told t;
	int turns = 0;

	for (size_t i = 0; i + 11 <= sizeof bait; i += 11)
		memcpy(bait + i, "\x16\x03\x01\x20\0\x01\0\x1f\xf0\x03\x03", 11);
	help_begin(&t, &play);
	for (uint64_t off = 0; !lp_stage_idle(&t.stage); off += sizeof bait, turns++) {
		const struct lp_when when = { .number = (uint64_t)turns + 1 };

		ck_assert_int_lt(turns, 16);
		bait[0] = 'x'; /* a flow that begins with a ClientHello is TLS */
		help_data(&t, LP_A2B, bait, sizeof bait, off, &when);
		help_data(&t, LP_B2A, (const uint8_t *)"no", 2, (uint64_t)turns * 2, &when);
	}
	help_close(&t, flow.end, false, &(struct lp_when){ .number = 100 });
	ck_assert_uint_eq(t.n, 0);
	ck_assert_uint_eq(t.plain[0], (size_t)turns * sizeof bait);
	help_told_clear(&t);
}
END_TEST

Suite *suite_prelude(void);
Suite *suite_prelude(void)
{
	Suite *s = suite_create("prelude");
	TCase *found = tcase_create("found");
	TCase *hand = tcase_create("hand");

	tcase_set_timeout(found, 120);
	tcase_set_timeout(hand, 60);
	tcase_add_checked_fixture(found, set_up, tear_down);
	tcase_add_checked_fixture(hand, set_up, tear_down);
	tcase_add_loop_test(found, in_every_protocol, 0, PROTOCOLS);
	tcase_add_loop_test(found, cut_at_every_byte, 0, PROTOCOLS);
	tcase_add_loop_test(found, one_side_first, 0, PROTOCOLS);
	tcase_add_loop_test(found, neighbours_swapped, 0, PROTOCOLS);
	tcase_add_test(found, twice);
	tcase_add_test(hand, as_far_as_the_window);
	tcase_add_test(hand, as_many_changes);
	tcase_add_test(hand, not_behind_a_transfer);
	tcase_add_test(hand, not_in_an_uploaded_capture);
	tcase_add_test(hand, not_without_an_answer);
	tcase_add_test(hand, an_echo_before_the_answer);
	tcase_add_test(hand, the_later_of_two_clients);
	tcase_add_test(hand, not_if_it_does_not_parse);
	tcase_add_test(hand, an_alert_is_an_answer);
	tcase_add_test(hand, an_answer_is_enough);
	tcase_add_test(hand, holes);
	tcase_add_test(hand, a_hole_told_late);
	tcase_add_test(hand, no_answer_behind_a_hole);
	tcase_add_test(hand, a_hole_goes_with_its_hello);
	tcase_add_test(hand, one_direction);
	tcase_add_test(hand, what_is_held_is_bounded);
	tcase_add_test(hand, what_is_kept_is_bounded);
	tcase_add_test(hand, work_is_bounded);
	suite_add_tcase(s, found);
	suite_add_tcase(s, hand);
	return s;
}
