/* tls/inflate.c, and sessions whose records are compressed (RFC 3749): no peer that is
 * packaged today still does it, so help_peer compresses with zlib itself. */
#include <check.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "help_peer.h"
#include "help_seal.h"
#include "tls/inflate.h"
#include "tls/record.h"

/* ---- the stream alone ---- */

static uint8_t packed[20000], out[LP_INFLATE_ROOM];
static z_stream z;

static void begin(int window_bits)
{
	memset(&z, 0, sizeof z);
	ck_assert_int_eq(deflateInit2(&z, 9, Z_DEFLATED, window_bits, 8, Z_DEFAULT_STRATEGY), Z_OK);
}

static lp_span pack(const void *p, size_t n, int flush)
{
	z.next_in = (Bytef *)(uintptr_t)p;
	z.avail_in = (uInt)n;
	z.next_out = packed;
	z.avail_out = sizeof packed;
	ck_assert_int_ge(deflate(&z, flush), Z_OK);
	ck_assert_uint_eq(z.avail_in, 0);
	return lp_span_of(packed, sizeof packed - z.avail_out);
}

/* With zlib's header and without, in the ways that compressors end a record; empty
 * records too, which some send before each that holds data. */
START_TEST(records_of_a_stream)
{
	static const int bits[] = { 15, -15, 9, -9 };
	static const int flush[] = { Z_SYNC_FLUSH, Z_PARTIAL_FLUSH, Z_FULL_FLUSH };
	static uint8_t text[LP_INFLATE_OUT_MAX];
	const int how = flush[_i % 3];
	struct lp_inflate *in;
	size_t n, got;

	ck_assert_int_eq(lp_inflate_new(&in), LP_OK);
	begin(bits[_i / 3]);
	for (uint64_t seq = 0; seq < 200; seq++) {
		n = seq % 7 == 3 ? 0 : seq % 50 == 8 ? sizeof text : (size_t)(seq * 37 % 900 + 1);
		help_fill(text, n, (uint32_t)(seq % 3));
		if (seq % 2)
			memset(text, (int)seq, n);
		ck_assert_int_eq(lp_inflate_record(in, seq, n ? pack(text, n, how)
							      : lp_span_of(NULL, 0), out, &got), LP_OK);
		ck_assert_uint_eq(got, n);
		ck_assert_mem_eq(out, text, n);
	}
	deflateEnd(&z);
	lp_inflate_free(in);
}
END_TEST

/* Who ends a stream with each record begins the next with another. */
START_TEST(streams_that_end)
{
	struct lp_inflate *in;
	size_t got;

	ck_assert_int_eq(lp_inflate_new(&in), LP_OK);
	begin(_i ? -15 : 15);
	for (uint64_t seq = 0; seq < 5; seq++) {
		ck_assert_int_eq(lp_inflate_record(in, seq, pack("some clear bytes", 16, Z_FINISH),
						   out, &got), LP_OK);
		ck_assert_uint_eq(got, 16);
		ck_assert_mem_eq(out, "some clear bytes", 16);
		deflateReset(&z);
	}
	deflateEnd(&z);
	lp_inflate_free(in);
}
END_TEST

START_TEST(what_is_refused)
{
	static const struct {
		size_t n;
		enum lp_err err;
	} rows[] = {
		{ LP_INFLATE_OUT_MAX, LP_OK }, { LP_INFLATE_OUT_MAX + 1, LP_E_LIMIT },
		{ 10000000, LP_E_LIMIT }, /* a bomb: 10 KB of it here */
	};
	static uint8_t zeros[10000000];
	struct lp_inflate *in;
	size_t got;
	lp_span record;

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		ck_assert_int_eq(lp_inflate_new(&in), LP_OK);
		begin(15);
		record = pack(zeros, rows[i].n, Z_SYNC_FLUSH);
		ck_assert_int_eq(lp_inflate_record(in, 0, record, out, &got), rows[i].err);
		ck_assert_uint_eq(got, rows[i].err ? 0 : rows[i].n);
		record = pack("x", 1, Z_SYNC_FLUSH);
		ck_assert_int_eq(lp_inflate_record(in, 1, record, out, &got),
				 rows[i].err ? LP_E_ORDER : LP_OK);
		/* Not twice, and none is passed over. */
		ck_assert_int_eq(lp_inflate_record(in, _i ? 1 : 3, record, out, &got), LP_E_ORDER);
		ck_assert_int_eq(lp_inflate_record(in, 2, record, out, &got), LP_E_ORDER);
		deflateEnd(&z);
		lp_inflate_free(in);
	}
	ck_assert_int_eq(lp_inflate_new(&in), LP_OK);
	ck_assert_int_eq(lp_inflate_record(in, 0, lp_span_of("\x78\x9c\xff\xff\xff", 5), out, &got),
			 LP_E_FORMAT);
	lp_inflate_free(in);
	ck_assert_int_eq(lp_inflate_new(&in), LP_OK);
	ck_assert_int_eq(lp_inflate_record(in, 0, lp_span_of(zeros, LP_INFLATE_IN_MAX + 1), out, &got),
			 LP_E_LIMIT);
	lp_inflate_free(in);
	ck_assert_int_eq(lp_inflate_new(&in), LP_OK); /* one that is never used */
	lp_inflate_free(in);
	lp_inflate_free(NULL);
}
END_TEST

/* ---- sessions ---- */

static struct help_peer p;

static void set_up(void)
{
	help_peer_init(&p);
	p.deflate = true;
	help_peer_begin(&p);
}

static void tear_down(void)
{
	help_peer_clear(&p);
}

/* What compresses well, and refers to what was said before. */
static void say(enum lp_dir dir, size_t n)
{
	uint8_t *bytes = malloc(n);

	for (size_t i = 0; i < n; i++)
		bytes[i] = (uint8_t)("GET /index.html HTTP/1.1\r\n"[i % 26] + (int)(i / 400));
	if (!p.drop && !p.bad && !p.raw)
		ck_assert(!lp_buf_append(&p.clear[dir], bytes, n));
	help_peer_record(&p, dir, LP_CONTENT_DATA, bytes, n);
	free(bytes);
}

static const struct help_session *end(void)
{
	help_peer_close(&p, LP_END_FIN);
	ck_assert_uint_eq(p.told.n, 1);
	return &p.told.session[0];
}

/* All that was said in a direction, or so many bytes of it. */
static void came(const struct help_session *s, int dir, size_t n)
{
	lp_span want = lp_buf_span(&p.clear[dir]), got = lp_buf_span(&s->clear[dir]);

	ck_assert_uint_eq(got.n, n == SIZE_MAX ? want.n : n);
	if (got.n)
		ck_assert_mem_eq(got.p, want.p, got.n);
}

static void ends_as(const struct help_session *s, enum lp_verdict verdict, const char *reason)
{
	ck_assert_msg(s->result->pub.verdict == verdict && !strcmp(s->result->pub.reason, reason),
		      "%s %s: %s", lp_verdict_name(s->result->pub.verdict), s->result->pub.reason,
		      s->result->pub.detail);
	ck_assert(!help_has_note(s, "transcript-differs"));
}

static void talk(void)
{
	say(LP_C2S, 300);
	say(LP_S2C, LP_RECORD_PLAIN_MAX);
	help_peer_data(&p, LP_S2C, 5000); /* does not compress */
	help_peer_data(&p, LP_S2C, LP_RECORD_PLAIN_MAX);
	help_peer_data(&p, LP_C2S, 0);
	say(LP_C2S, 1);
	say(LP_S2C, 700);
}

START_TEST(both_directions)
{
	const struct help_session *s;

	p.window_bits = _i ? -15 : 15;
	help_peer_handshake(&p);
	talk();
	help_peer_bye(&p, LP_C2S);
	help_peer_bye(&p, LP_S2C);
	s = end();
	ends_as(s, LP_DECRYPTED, "complete");
	came(s, 0, SIZE_MAX);
	came(s, 1, SIZE_MAX);
	ck_assert_int_eq(s->result->pub.end[0], LP_END_CLOSE_NOTIFY);
}
END_TEST

/* The new keys begin new streams, or end the compression. */
START_TEST(renegotiated)
{
	const struct help_session *s;

	p.deflate = _i & 1;
	help_peer_handshake(&p);
	talk();
	p.deflate = _i & 2;
	help_peer_handshake(&p);
	talk();
	s = end();
	ends_as(s, LP_DECRYPTED, "complete");
	came(s, 0, SIZE_MAX);
	came(s, 1, SIZE_MAX);
}
END_TEST

START_TEST(behind_a_hole)
{
	const struct help_session *s;

	help_peer_handshake(&p);
	say(LP_C2S, 500);
	say(LP_S2C, 500);
	p.drop = true;
	say(LP_S2C, 500);
	p.drop = false;
	for (int i = 0; i < 3; i++) {
		say(LP_S2C, 100);
		say(LP_C2S, 100);
	}
	s = end();
	ends_as(s, LP_PARTIAL, "gap-not-recovered");
	ck_assert_ptr_nonnull(strstr(s->result->pub.detail, "in a compressed stream"));
	came(s, 0, SIZE_MAX);
	came(s, 1, 500);
}
END_TEST

START_TEST(records_that_lie)
{
	const struct help_session *s;

	help_peer_handshake(&p);
	say(LP_C2S, 500);
	say(LP_S2C, 500);
	if (_i == 0) { /* a bomb in a record */
		static uint8_t zeros[5000000];

		help_peer_record(&p, LP_C2S, LP_CONTENT_DATA, zeros, sizeof zeros);
	} else if (_i == 1) { /* authentic, and no DEFLATE */
		p.raw = true;
		say(LP_C2S, 100);
		p.raw = false;
	} else {
		p.bad = true;
		say(LP_C2S, 100);
		p.bad = false;
	}
	say(LP_C2S, 500);
	say(LP_S2C, 500);
	s = end();
	ends_as(s, LP_PARTIAL, _i == 0 ? "limit" : "record-bad");
	ck_assert_ptr_nonnull(strstr(s->result->pub.detail,
				     _i == 0 ? "record 2 of the client holds more than 16384 bytes"
				     : _i == 1 ? "record 2 of the client is authentic and cannot be"
					       : "record 2 of the client does not authenticate"));
	came(s, 0, 500);
	came(s, 1, SIZE_MAX);
}
END_TEST

/* The Finished itself does not decompress: nothing of the session is to be had. */
START_TEST(finished_that_lies)
{
	const struct help_session *s;

	help_peer_client_hello(&p);
	help_peer_server_hello(&p);
	help_peer_exchange(&p);
	help_peer_switch(&p, LP_C2S);
	p.raw = true;
	help_peer_finished(&p, LP_C2S);
	p.raw = false;
	help_peer_switch(&p, LP_S2C);
	help_peer_finished(&p, LP_S2C);
	say(LP_C2S, 500);
	s = end();
	ck_assert_str_eq(s->result->pub.reason, "record-bad");
	came(s, 0, 0);
}
END_TEST

Suite *suite_inflate(void);
Suite *suite_inflate(void)
{
	Suite *s = suite_create("inflate");
	TCase *t = tcase_create("stream");

	tcase_add_loop_test(t, records_of_a_stream, 0, 12);
	tcase_add_loop_test(t, streams_that_end, 0, 2);
	tcase_add_loop_test(t, what_is_refused, 0, 2);
	suite_add_tcase(s, t);
	t = tcase_create("sessions");
	tcase_add_checked_fixture(t, set_up, tear_down);
	tcase_add_loop_test(t, both_directions, 0, 2);
	tcase_add_loop_test(t, renegotiated, 0, 4);
	tcase_add_test(t, behind_a_hole);
	tcase_add_loop_test(t, records_that_lie, 0, 3);
	tcase_add_test(t, finished_that_lies);
	suite_add_tcase(s, t);
	return s;
}
