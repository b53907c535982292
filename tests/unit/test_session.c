/* tls/session.c, keys.c, outcome.c over every capture of the repo: what comes out is
 * what the programs sent, whatever the pieces and however late the answers; and what
 * is said when keys are wrong, missing, or used in another way than agreed. */
#include <check.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "help_session.h"
#include "help_two.h"
#include "tls/session_parts.h"

/* Each case of tests/golden: a capture, a key, and what was sent. */
static const struct {
	const char *name, *capture, *key;
} cases[] = {
	{ "forward-secret", "forward-secret.pcap", "keys/server.pem" },
	{ "gap-cbc", "gap-cbc.pcap", "keys/server.pem" },
	{ "gap-cbc-mac", "gap-cbc-mac.pcap", "keys/server.pem" },
	{ "gap-gcm", "gap-gcm.pcap", "keys/server.pem" },
	{ "gap-rc4", "gap-rc4.pcap", "keys/server.pem" },
	{ "gap-ssl3", "gap-ssl3.pcap", "keys/server.pem" },
	{ "gap-tls10", "gap-tls10.pcap", "keys/server.pem" },
	{ "gap-tls10-etm", "gap-tls10-etm.pcap", "keys/server.pem" },
	{ "gnutls-tls10", "gnutls-tls10.pcap", "keys/server.pem" },
	{ "gnutls-tls11", "gnutls-tls11.pcap", "keys/server.pem" },
	{ "gnutls-tls12", "gnutls-tls12.pcap", "keys/server.pem" },
	{ "handshake-failed", "handshake-failed.pcap", "keys/server.pem" },
	{ "handshake-lost", "handshake-lost.pcap", "keys/server.pem" },
	{ "http", "http.pcap", "keys/server.pem" },
	{ "http-keepalive", "http-keepalive.pcap", "keys/server.pem" },
	{ "http-zstd", "http.pcapng.zst", "keys/server.pem" },
	{ "java", "java.pcap", "keys/server.pem" },
	{ "openssl-tls10", "openssl-tls10.pcap", "keys/server.pem" },
	{ "openssl-tls11", "openssl-tls11.pcap", "keys/server.pem" },
	{ "openssl-tls12", "openssl-tls12.pcap", "keys/server.pem" },
	{ "rc4-des", "rc4-des.pcap", "keys/server.pem" },
	{ "small-records", "small-records.pcap", "keys/server.pem" },
	{ "ssl2-hello", "ssl2-hello.pcap", "keys/server.pem" },
	{ "ssl3", "ssl3.pcap", "keys/server.pem" },
	{ "story-tls11-ems", "story-tls11-ems.pcap", "keys/server.pem" },
	{ "story-tls11-noems", "story-tls11-noems.pcap", "keys/server.pem" },
	{ "story-tls12-ems", "story-tls12-ems.pcap", "keys/server.pem" },
	{ "story-tls12-noems", "story-tls12-noems.pcap", "keys/server.pem" },
	{ "truncated", "truncated.pcap", "keys/server.pem" },
};
enum { CASES = sizeof cases / sizeof cases[0] };

static struct lp_crypto_set crypto;
static struct help_key *server, *other;
static struct help_trace trace;

static void set_up(void)
{
	ck_assert_int_eq(lp_crypto_choose(&crypto, "auto"), LP_OK);
	server = help_key_new(&crypto, "keys/server.pem");
	other = help_key_new(&crypto, "keys/other.pem");
	trace = (struct help_trace){ NULL, 0 };
}

static void tear_down(void)
{
	help_trace_clear(&trace);
	help_key_free(server);
	help_key_free(other);
}

/* ---- what was sent ---- */

static json_t *next_expected(FILE *f)
{
	char line[4096];
	json_t *j;

	do {
		if (!fgets(line, sizeof line, f))
			return NULL;
		j = json_loads(line, 0, NULL);
		ck_assert_ptr_nonnull(j);
		if (!json_is_true(json_object_get(j, "clear")))
			return j;
		json_decref(j);
	} while (1);
}

static void check_bytes(const json_t *want, const char *who, const struct lp_buf *got)
{
	char key[32], hex[65];
	const json_t *sha;
	lp_span bytes = lp_buf_span(got);
	uint8_t digest[32];

	snprintf(key, sizeof key, "%s_sha256", who);
	sha = json_object_get(want, key);
	if (json_is_null(sha)) {
		ck_assert_uint_eq(bytes.n, 0);
		return;
	}
	snprintf(key, sizeof key, "%s_bytes", who);
	ck_assert_uint_eq(bytes.n, (size_t)json_integer_value(json_object_get(want, key)));
	ck_assert_int_eq(lp_digest_once(crypto.base, LP_SHA256, &bytes, 1, digest), LP_OK);
	ck_assert_str_eq(lp_text_hex(hex, digest, 32), json_string_value(sha));
}

static void check_flag(const json_t *want, const char *key, int got)
{
	const json_t *j = json_object_get(want, key);

	if (j)
		ck_assert_msg(got == json_is_true(j), "%s: %s is %d",
			      json_string_value(json_object_get(want, "name")), key, got);
}

static bool lacks_cipher(uint16_t number)
{
	const struct lp_suite *suite = lp_suite_find(number);

	return suite && suite->cipher < LP_CIPHER_COUNT && !crypto.cipher[suite->cipher];
}

static void check_session(const json_t *want, const struct help_session *s)
{
	struct lp_session_view view;
	const struct lp_session_info *info = &view.info;
	const char *version = json_string_value(json_object_get(want, "version"));
	const char *suite = json_string_value(json_object_get(want, "suite"));

	lp_snapshot_view(s->ended, &view);
	/* mbedTLS 3, for one, has no RC4; then that is what must be said. */
	if (lacks_cipher(info->suite) &&
	    strcmp(json_string_value(json_object_get(want, "verdict")), "opaque")) {
		ck_assert_int_eq(s->result->pub.verdict, LP_OPAQUE);
		ck_assert_str_eq(s->result->pub.reason, "cipher-unavailable");
		ck_assert_uint_eq(lp_buf_len(&s->clear[LP_C2S]) + lp_buf_len(&s->clear[LP_S2C]), 0);
		return;
	}
	ck_assert_str_eq(lp_verdict_name(s->result->pub.verdict),
			 json_string_value(json_object_get(want, "verdict")));
	ck_assert_str_eq(s->result->pub.reason,
			 json_string_value(json_object_get(want, "reason")));
	if (version) /* TLS 1.0 has a name of its own in EVE */
		ck_assert_str_eq(info->version_text,
				 !strcmp(version, "TLSv1") ? "TLS 1.0" : !strcmp(version, "SSLv3") ? "SSL 3.0" : version);
	if (suite)
		ck_assert_str_eq(info->suite_text, suite);
	check_flag(want, "ems", info->ems);
	check_flag(want, "etm", info->etm);
	check_flag(want, "client_cert", info->client_cert);
	check_bytes(want, "client", &s->clear[LP_C2S]);
	check_bytes(want, "server", &s->clear[LP_S2C]);
	if (s->result->pub.verdict == LP_DECRYPTED) {
		ck_assert(!help_has_note(s, "transcript-differs"));
		ck_assert(!help_has_note(s, "finished-unchecked"));
		ck_assert_uint_eq(s->readies, 1);
		ck_assert_int_eq(info->resumed, LP_RESUMED_NO);
		ck_assert_ptr_nonnull(info->server_cert);
	}
}

static unsigned twos; /* MACs made two at once */

/* Plays each flow of the case, which must give what was sent; changed compares with
 * how it was told when fed whole and answered at once. */
static void check_case(int i, const struct help_play *play, bool same_places)
{
	const struct help_play plain = { .crypto = &crypto, .key = { server } };
	char path[128];
	json_t *want;
	FILE *f;

	snprintf(path, sizeof path, "tests/golden/%s/expect.jsonl", cases[i].name);
	f = fopen(path, "r");
	ck_assert_ptr_nonnull(f);
	help_trace_read(&trace, cases[i].capture);
	for (size_t n = 0; n < trace.n; n++) {
		struct help_told t, p;

		help_play(&t, trace.flow[n], play);
		twos += play->ahead ? help_two_counts.twos : 0;
		help_play(&p, trace.flow[n], &plain);
		for (size_t k = 0; k < t.n; k++) {
			want = next_expected(f);
			ck_assert_msg(want != NULL, "a session more than expected");
			check_session(want, &t.session[k]);
			json_decref(want);
		}
		ck_assert_uint_eq(lp_buf_len(&t.order), lp_buf_len(&p.order));
		ck_assert_mem_eq(lp_buf_span(&t.order).p, lp_buf_span(&p.order).p,
				 lp_buf_len(&p.order));
		if (same_places) {
			ck_assert_uint_eq(lp_buf_len(&t.places), lp_buf_len(&p.places));
			ck_assert_mem_eq(lp_buf_span(&t.places).p, lp_buf_span(&p.places).p,
					 lp_buf_len(&p.places));
		}
		help_told_clear(&t);
		help_told_clear(&p);
	}
	want = next_expected(f);
	ck_assert_msg(!want, "a session is missing");
	fclose(f);
}

START_TEST(as_it_came)
{
	const struct help_play play = { .crypto = &crypto, .key = { server } };

	check_case(_i, &play, true);
}
END_TEST

START_TEST(byte_by_byte)
{
	const struct help_play play = { .crypto = &crypto, .key = { server }, .piece = 1 };

	check_case(_i, &play, true);
}
END_TEST

/* A late answer never moves a place. */
START_TEST(answered_late)
{
	for (unsigned after = 1; after < 12; after += 5) {
		const struct help_play play = { .crypto = &crypto, .key = { server },
						.answers = HELP_AFTER, .after = after };

		check_case(_i, &play, true);
		help_trace_clear(&trace);
		trace = (struct help_trace){ NULL, 0 };
	}
}
END_TEST

START_TEST(answered_at_close)
{
	const struct help_play play = { .crypto = &crypto, .key = { server }, .piece = 100,
					.answers = HELP_AT_CLOSE };

	check_case(_i, &play, true);
}
END_TEST

/* MACs are made before their records come, of what comes or of something else. */
START_TEST(foreseen)
{
	static const char *const with[] = { "gap-cbc", "gap-cbc-mac", "gap-tls10", "gap-tls10-etm",
					    "openssl-tls11", "openssl-tls12", "small-records" };

	for (int n = 0; n < 4; n++) {
		const struct help_play play = { .crypto = &crypto, .key = { server },
						.piece = n & 1 ? 0 : 700,
						.ahead = n & 2 ? HELP_MISJUDGES : HELP_FORESEES };

		check_case(_i, &play, true);
		help_trace_clear(&trace);
		trace = (struct help_trace){ NULL, 0 };
	}
	for (size_t i = 0; i < sizeof with / sizeof with[0]; i++)
		if (!strcmp(cases[_i].name, with[i]))
			ck_assert_uint_gt(twos, 0);
}
END_TEST

static void check_each_provider(int i, const char *name)
{
	struct help_play play = { .crypto = &crypto };

	help_key_free(server);
	ck_assert_int_eq(lp_crypto_choose(&crypto, name), LP_OK);
	server = help_key_new(&crypto, "keys/server.pem");
	play.key[0] = server;
	check_case(i, &play, true);
}

START_TEST(by_mbedtls)
{
	check_each_provider(_i, "mbedtls");
}
END_TEST

#ifdef LP_WITH_OPENSSL
START_TEST(by_openssl)
{
	check_each_provider(_i, "openssl");
}
END_TEST
#endif

/* ---- keys ---- */

/* Whole handshakes of the story, and one of each other kind. */
static const char *const stories[] = {
	"story-tls11-ems.pcap", "story-tls11-noems.pcap", "story-tls12-ems.pcap",
	"story-tls12-noems.pcap", "http.pcap", "http-keepalive.pcap",
};
enum { STORIES = sizeof stories / sizeof stories[0] };

static struct help_session *play_story(struct help_told *t, int i, const struct help_play *play)
{
	help_trace_read(&trace, stories[i]);
	ck_assert_uint_eq(trace.n, 1);
	help_play(t, trace.flow[0], play);
	ck_assert_uint_eq(t->n, 1);
	return &t->session[0];
}

START_TEST(a_wrong_key_is_disproved)
{
	const struct help_play play = { .crypto = &crypto, .key = { other } };
	struct help_told t;
	struct help_session *s = play_story(&t, _i, &play);

	ck_assert_int_eq(s->result->pub.verdict, LP_OPAQUE);
	ck_assert_str_eq(s->result->pub.reason, "keys-disproved");
	ck_assert_uint_eq(t.asked, 3); /* both derivations, then the next candidate */
	ck_assert_ptr_null(s->ready);
	ck_assert(s->result->pub.total[LP_C2S].opaque > 0);
	help_told_clear(&t);
}
END_TEST

START_TEST(the_right_one_of_several_keys_is_found)
{
	const struct help_play play = { .crypto = &crypto, .key = { other, other, server },
					.answers = _i & 1 ? HELP_AT_CLOSE : HELP_AT_ONCE };
	struct help_told t;
	struct help_session *s = play_story(&t, _i, &play);

	ck_assert_int_eq(s->result->pub.verdict, LP_DECRYPTED);
	ck_assert_uint_eq(t.asked, 5);
	ck_assert_uint_eq(t.attempts, 3);
	ck_assert_uint_gt(lp_buf_len(&s->clear[LP_C2S]), 0);
	help_told_clear(&t);
}
END_TEST

START_TEST(no_key_at_all)
{
	const struct help_play play = { .crypto = &crypto };
	struct help_told t;
	struct help_session *s = play_story(&t, _i, &play);

	ck_assert_int_eq(s->result->pub.verdict, LP_OPAQUE);
	ck_assert_str_eq(s->result->pub.reason, "no-key");
	ck_assert_uint_eq(t.asked, 1);
	ck_assert_uint_gt(s->result->pub.total[LP_S2C].opaque, 0);
	ck_assert_uint_eq(s->result->pub.total[LP_S2C].lost, 0);
	help_told_clear(&t);
}
END_TEST

START_TEST(the_warden_has_no_answer)
{
	const struct help_play play = { .crypto = &crypto, .key = { server }, .none = true,
					.answers = _i & 1 ? HELP_AT_CLOSE : HELP_AT_ONCE };
	struct help_told t;
	struct help_session *s = play_story(&t, _i, &play);

	ck_assert_str_eq(s->result->pub.reason, "no-key");
	ck_assert_uint_eq(t.asked, 1);
	help_told_clear(&t);
}
END_TEST

/* A peer that agreed on Extended Master Secret and keyed without it, or the reverse. */
START_TEST(the_other_derivation_is_tried)
{
	const struct help_play play = { .crypto = &crypto, .key = { server }, .flip = true,
					.answers = _i & 1 ? HELP_AT_CLOSE : HELP_AT_ONCE };
	struct help_told t;
	struct help_session *s = play_story(&t, _i, &play);

	ck_assert_int_eq(s->result->pub.verdict, LP_DECRYPTED);
	ck_assert(help_has_note(s, "ems-mismatch"));
	ck_assert_uint_eq(t.asked, 2);
	ck_assert_uint_eq(t.attempts, 1);
	help_told_clear(&t);
}
END_TEST

/* ---- the transcript ---- */

/* Offset of the handshake message of that type in a side's clear records, or -1. */
static int64_t find_message(const struct help_flow *f, int side, uint8_t type)
{
	const uint8_t *p = f->bytes[side];
	uint64_t at = 0;

	while (at + 5 < f->len[side] && p[at] == 22) {
		uint64_t end = at + 5 + ((uint64_t)p[at + 3] << 8 | p[at + 4]);

		for (uint64_t m = at + 5; m + 4 <= end;) {
			if (p[m] == type)
				return (int64_t)m;
			m += 4 + ((uint64_t)p[m + 1] << 16 | (uint64_t)p[m + 2] << 8 | p[m + 3]);
		}
		at = end;
	}
	return -1;
}

/* One byte of the signature differs between what the peers saw and what we hold. */
START_TEST(a_transcript_that_differs_is_noted)
{
	const struct help_play play = { .crypto = &crypto, .key = { server } };
	int64_t at;
	struct help_told t;

	help_trace_read(&trace, stories[_i]);
	at = find_message(trace.flow[0], 0, LP_MSG_CERTIFICATE_VERIFY);
	if (at < 0)
		return; /* no client certificate in this one */
	trace.flow[0]->bytes[0][at + 20] ^= 1;
	help_play(&t, trace.flow[0], &play);
	ck_assert_int_eq(t.session[0].result->pub.verdict, LP_DECRYPTED);
	ck_assert(help_has_note(&t.session[0], "transcript-differs"));
	ck_assert(!help_has_note(&t.session[0], "finished-unchecked"));
	help_told_clear(&t);
}
END_TEST

/* Without Extended Master Secret any byte beside the randoms may differ, here the last
 * one of the certificate; with it the keys are others and nothing opens. */
START_TEST(a_changed_certificate)
{
	const struct help_play play = { .crypto = &crypto, .key = { server } };
	struct help_told t;
	struct help_session *s;
	uint8_t *m;
	int64_t at;

	help_trace_read(&trace, stories[_i]);
	at = find_message(trace.flow[0], 1, LP_MSG_CERTIFICATE);
	ck_assert_int_gt(at, 0);
	m = trace.flow[0]->bytes[1] + at;
	m[3 + (m[2] << 8 | m[3])] ^= 1;
	help_play(&t, trace.flow[0], &play);
	s = &t.session[0];
	if (s->ended->ems > 0) {
		ck_assert_str_eq(s->result->pub.reason, "keys-disproved");
	} else {
		ck_assert_int_eq(s->result->pub.verdict, LP_DECRYPTED);
		ck_assert(help_has_note(s, "transcript-differs"));
	}
	help_told_clear(&t);
}
END_TEST

/* ---- handshakes with a hole that opens all the same ---- */

/* Feeds the flow with a hole of n bytes at off of a side. late: the hole is told after
 * the next call of the other side, as TCP does when an acknowledgement gives it away,
 * and what stood behind it with it. */
static void feed_with_hole(struct help_told *t, const struct help_flow *f, int side, uint64_t off,
			   uint64_t n, bool late)
{
	const struct lp_when *when = NULL;
	uint64_t pending = 0, from = 0;
	bool told = false;

	for (size_t i = 0; i < f->n; i++) {
		const struct help_call *c = &f->call[i];
		uint64_t end = c->off + c->n, at = c->off;

		when = &c->when;
		if ((int)c->side != side || told) {
			help_data(t, c->side, f->bytes[c->side] + at, c->n, at, when);
			if (from && !told) {
				told = true;
				help_gap(t, (enum lp_side)side, off, n, when);
				if (pending > from)
					help_data(t, (enum lp_side)side, f->bytes[side] + from,
						  pending - from, from, when);
			}
			continue;
		}
		if (at < off)
			help_data(t, c->side, f->bytes[side] + at, (end < off ? end : off) - at, at,
				  when);
		if (end < off + n)
			continue;
		from = off + n;
		pending = end;
		if (late)
			continue;
		told = true;
		help_gap(t, c->side, off, n, when);
		if (end > from)
			help_data(t, c->side, f->bytes[side] + from, end - from, from, when);
	}
	help_close(t, f->end, f->conflict, &f->close_when);
}

static void opens_torn(const struct help_flow *f, const struct help_session *whole, int side,
		       uint64_t off, uint64_t n, const uint8_t *master)
{
	const struct help_play play = {
		.crypto = &crypto, .key = { master ? NULL : server }, .master = master
	};

	for (int late = 0; late < 2; late++) {
		struct help_told t;
		const struct help_session *s = &t.session[0];

		help_begin(&t, &play);
		feed_with_hole(&t, f, side, off, n, late);
		ck_assert_uint_eq(t.n, 1);
		ck_assert_msg(s->result->pub.verdict == LP_DECRYPTED, "%llu+%llu of %d, %d: %s",
			      (unsigned long long)off, (unsigned long long)n, side, late,
			      s->result->pub.detail);
		ck_assert(help_has_note(s, "finished-unchecked"));
		ck_assert(!help_has_note(s, "transcript-differs"));
		ck_assert_uint_ge(s->result->pub.total[side].lost, n);
		for (int dir = 0; dir < 2; dir++) {
			lp_span a = lp_buf_span(&whole->clear[dir]), b = lp_buf_span(&s->clear[dir]);

			ck_assert_uint_eq(a.n, b.n);
			ck_assert_mem_eq(a.p, b.p, a.n);
		}
		help_told_clear(&t);
	}
}

static size_t body_size(const uint8_t *m)
{
	return (size_t)m[1] << 16 | (size_t)m[2] << 8 | m[3];
}

/* A part of the server's certificate is missing: without Extended Master Secret its
 * key opens the session all the same; with it, the verdict says what was lost, and only
 * a master secret as a key log has it still opens it. */
START_TEST(a_hole_in_the_certificate)
{
	static const struct {
		const char *capture;
		size_t flow;
	} rows[] = {
		{ "story-tls11-noems.pcap", 0 }, { "story-tls12-noems.pcap", 0 },
		{ "small-records.pcap", 1 },	 { "gnutls-tls12.pcap", 4 },
		{ "java.pcap", 30 },		 { "story-tls12-ems.pcap", 0 },
	};
	const struct help_play play = { .crypto = &crypto, .key = { server } };
	struct help_told whole;
	struct help_flow *f;
	int64_t at;
	size_t n;

	help_trace_read(&trace, rows[_i].capture);
	f = trace.flow[rows[_i].flow];
	help_play(&whole, f, &play);
	at = find_message(f, 1, LP_MSG_CERTIFICATE);
	ck_assert_int_gt(at, 0);
	n = body_size(f->bytes[1] + at);
	if (whole.session[0].ended->ems > 0) {
		struct help_told t;

		help_begin(&t, &play);
		feed_with_hole(&t, f, 1, (uint64_t)at + 10, 100, false);
		ck_assert_str_eq(t.session[0].result->pub.reason, "handshake-lost-ems");
		help_told_clear(&t);
	}
	for (size_t in = 4; in + 40 < n; in += 97)
		opens_torn(f, &whole.session[0], 1, (uint64_t)at + in, 40,
			   whole.session[0].ended->ems > 0 ? whole.secret : NULL);
	help_told_clear(&whole);
}
END_TEST

/* What comes behind ClientKeyExchange matters to no key. */
START_TEST(a_hole_in_the_certificate_verify)
{
	const struct help_play play = { .crypto = &crypto, .key = { server } };
	struct help_told whole;
	int64_t at;

	play_story(&whole, _i, &play);
	at = find_message(trace.flow[0], 0, LP_MSG_CERTIFICATE_VERIFY);
	for (int64_t in = 4; at > 0 && in < 200; in += 31)
		opens_torn(trace.flow[0], &whole.session[0], 0, (uint64_t)(at + in), 50, NULL);
	help_told_clear(&whole);
}
END_TEST

/* ---- damage: never a wrong byte ---- */

/* Any byte of the stream may differ: what comes out is a part of what was sent. */
static void check_part(const struct help_session *whole, const struct help_session *s)
{
	for (int dir = 0; dir < 2; dir++) {
		lp_span a = lp_buf_span(&whole->clear[dir]), b = lp_buf_span(&s->clear[dir]);
		size_t at = 0;

		/* Records are left out, so the rest stands in the same order. */
		for (size_t i = 0; i < b.n; i++, at++) {
			while (at < a.n && a.p[at] != b.p[i])
				at++;
			ck_assert_uint_lt(at, a.n);
		}
	}
}

START_TEST(a_byte_that_differs)
{
	const struct help_play play = { .crypto = &crypto, .key = { server } };
	struct help_told whole, t;
	struct help_flow *f;

	play_story(&whole, _i, &play);
	f = trace.flow[0];
	for (int side = 0; side < 2; side++)
		for (uint64_t at = (uint64_t)_i; at < f->len[side]; at += 13) {
			f->bytes[side][at] ^= 0x11;
			help_play(&t, f, &play);
			f->bytes[side][at] ^= 0x11;
			for (size_t k = 0; k < t.n; k++)
				check_part(&whole.session[0], &t.session[k]);
			help_told_clear(&t);
		}
	help_told_clear(&whole);
}
END_TEST

/* ---- --verify first ---- */

enum { LATE = 22 }; /* a record behind those that are always checked */

/* Stream offset of record nth of those that hold application data. */
static uint64_t find_record(const struct help_flow *f, int side, unsigned nth)
{
	const uint8_t *p = f->bytes[side];
	uint64_t at = 0;

	for (;; at += 5 + (uint64_t)(p[at + 3] << 8 | p[at + 4])) {
		ck_assert_uint_lt(at + 5, f->len[side]);
		if (p[at] == 23 && !nth--)
			return at;
	}
}

/* The first flow of small-records.pcap: AES-CBC with encrypt-then-MAC, and the server sends
 * many records. A byte of the IV of a late one differs, and so does a byte of what it holds. */
static struct help_flow *changed(void)
{
	struct help_flow *f;

	help_trace_read(&trace, "small-records.pcap");
	f = trace.flow[0];
	f->bytes[1][find_record(f, 1, LATE) + 5] ^= 0x20;
	return f;
}

static void whole_story(struct help_flow *f, struct help_told *t)
{
	const struct help_play play = { .crypto = &crypto, .key = { server } };
	const uint64_t at = find_record(f, 1, LATE) + 5;

	f->bytes[1][at] ^= 0x20;
	help_play(t, f, &play);
	f->bytes[1][at] ^= 0x20;
	ck_assert_str_eq(t->session[0].result->pub.reason, "complete");
	ck_assert_ptr_null(t->session[0].result->pub.verified);
}

START_TEST(a_late_change_leaves_unseen)
{
	struct help_play play = { .crypto = &crypto, .key = { server }, .verify_first = true };
	struct help_flow *f = changed();
	const struct lp_session_result *r;
	struct help_told whole, t;
	lp_span a, b;
	size_t differ = 0;

	play.answers = _i & 1 ? HELP_AT_CLOSE : HELP_AT_ONCE;
	play.piece = _i & 2 ? 1 : 0;
	whole_story(f, &whole);
	help_play(&t, f, &play);
	r = &t.session[0].result->pub;
	ck_assert_str_eq(r->reason, "complete");
	ck_assert_str_eq(r->verified, "first");
	/* The first of all was the Finished. */
	ck_assert_uint_eq(t.env.unchecked, r->total[LP_S2C].records - (LP_VERIFY_FIRST - 1));
	a = lp_buf_span(&whole.session[0].clear[LP_S2C]);
	b = lp_buf_span(&t.session[0].clear[LP_S2C]);
	ck_assert_uint_eq(a.n, b.n);
	for (size_t i = 0; i < a.n; i++)
		differ += a.p[i] != b.p[i];
	ck_assert_uint_eq(differ, 1);
	help_told_clear(&t);
	help_told_clear(&whole);
}
END_TEST

static void stays_closed(const struct help_told *whole, const struct help_told *t)
{
	check_part(&whole->session[0], &t->session[0]);
	ck_assert_uint_eq(t->session[0].result->pub.total[LP_S2C].records_closed, 1);
}

/* A hole before it, in its direction (after some that went unchecked, or before them) or in
 * the other. */
START_TEST(behind_a_hole_all_is_checked)
{
	static const struct {
		enum lp_side side;
		unsigned record;
		const char *verified;
	} at[] = { { LP_B2A, LATE - 3, "first" }, { LP_B2A, 3, NULL }, { LP_A2B, 0, NULL } };
	struct help_play play = { .crypto = &crypto, .key = { server }, .verify_first = true };
	struct help_flow *f = changed();
	struct help_told whole, t;

	play.answers = _i & 1 ? HELP_AT_CLOSE : HELP_AT_ONCE;
	play.holes = 1;
	play.hole[0] = (struct help_hole){ at[_i / 2].side,
					   find_record(f, at[_i / 2].side, at[_i / 2].record), 40 };
	whole_story(f, &whole);
	help_play(&t, f, &play);
	stays_closed(&whole, &t);
	ck_assert_pstr_eq(t.session[0].result->pub.verified, at[_i / 2].verified);
	help_told_clear(&t);
	help_told_clear(&whole);
}
END_TEST

/* Bytes that came twice and differed, known from the record on, or behind it: whenever the
 * answer comes. */
START_TEST(after_a_conflict_all_is_checked)
{
	struct help_play play = { .crypto = &crypto, .key = { server }, .verify_first = true };
	struct help_flow *f = changed();
	const uint64_t at = find_record(f, 1, LATE + (_i & 2 ? 1 : 0));
	struct help_told whole, t;

	play.answers = _i & 1 ? HELP_AT_CLOSE : HELP_AT_ONCE;
	whole_story(f, &whole);
	help_begin(&t, &play);
	for (size_t i = 0; i < f->n; i++) {
		struct help_call *c = &f->call[i];
		struct lp_evidence *e = &t.stage.home.evidence;

		if (!e->conflict && c->side == LP_B2A && c->off >= at) {
			e->conflict = true;
			e->conflict_at = &c->when;
		}
		help_data(&t, c->side, f->bytes[c->side] + c->off, c->n, c->off, &c->when);
	}
	ck_assert(t.stage.home.evidence.conflict);
	help_close(&t, f->end, true, &f->close_when);
	if (_i & 2)
		ck_assert_str_eq(t.session[0].result->pub.reason, "complete");
	else
		stays_closed(&whole, &t);
	ck_assert_str_eq(t.session[0].result->pub.verified, "first");
	help_told_clear(&t);
	help_told_clear(&whole);
}
END_TEST

/* More records, and bytes of handshakes, than the small counters hold. */
START_TEST(large_counts)
{
	enum { MORE = LP_COUNT_FULL - 1 };
	const struct help_play play = { .crypto = &crypto, .key = { server } };
	struct help_told whole, t;
	struct help_flow *f;
	struct lp_tls *tls;

	play_story(&whole, STORIES - 1, &play);
	f = trace.flow[0];
	help_begin(&t, &play);
	for (size_t i = 0; i < f->n; i++) {
		const struct help_call *c = &f->call[i];

		help_data(&t, c->side, f->bytes[c->side] + c->off, c->n, c->off, &c->when);
		tls = t.stage.tls;
		for (int dir = 0; i == 1 && dir < 2; dir++) {
			ck_assert_uint_gt(tls->fed[dir], 0);
			tls->count[dir].records += MORE;
			lp_tls_account(tls, (enum lp_dir)dir, LP_IN_HANDSHAKE, 4ULL * MORE);
			tls->fed[dir] += 4ULL * MORE;
			t.fed += 4ULL * MORE;
		}
	}
	help_close(&t, f->end, false, &f->close_when);
	for (int dir = 0; dir < 2; dir++) {
		const struct lp_dir_totals *a = &whole.session[0].result->pub.total[dir];
		const struct lp_dir_totals *b = &t.session[0].result->pub.total[dir];

		ck_assert_uint_gt(a->records, 0);
		ck_assert_uint_eq(b->records, a->records + MORE);
		ck_assert_uint_eq(b->handshake, a->handshake + 4ULL * MORE);
		ck_assert_uint_eq(b->stream, a->stream + 4ULL * MORE);
	}
	help_told_clear(&t);
	help_told_clear(&whole);
}
END_TEST

Suite *suite_session(void);
Suite *suite_session(void)
{
	Suite *s = suite_create("session");
	TCase *all = tcase_create("captures");
	TCase *keys = tcase_create("keys");

	tcase_set_timeout(all, 60);
	tcase_set_timeout(keys, 60);
	tcase_add_checked_fixture(all, set_up, tear_down);
	tcase_add_checked_fixture(keys, set_up, tear_down);
	tcase_add_loop_test(all, as_it_came, 0, CASES);
	tcase_add_loop_test(all, byte_by_byte, 0, CASES);
	tcase_add_loop_test(all, foreseen, 0, CASES);
	tcase_add_loop_test(all, answered_late, 0, CASES);
	tcase_add_loop_test(all, answered_at_close, 0, CASES);
	tcase_add_loop_test(all, by_mbedtls, 0, CASES);
#ifdef LP_WITH_OPENSSL
	tcase_add_loop_test(all, by_openssl, 0, CASES);
#endif
	tcase_add_loop_test(keys, a_wrong_key_is_disproved, 0, STORIES);
	tcase_add_loop_test(keys, the_right_one_of_several_keys_is_found, 0, STORIES);
	tcase_add_loop_test(keys, no_key_at_all, 0, STORIES);
	tcase_add_loop_test(keys, the_warden_has_no_answer, 0, STORIES);
	tcase_add_loop_test(keys, the_other_derivation_is_tried, 0, STORIES);
	tcase_add_loop_test(keys, a_transcript_that_differs_is_noted, 0, STORIES);
	tcase_add_loop_test(keys, a_changed_certificate, 0, STORIES);
	tcase_add_loop_test(keys, a_hole_in_the_certificate, 0, 6);
	tcase_add_loop_test(keys, a_hole_in_the_certificate_verify, 0, STORIES);
	tcase_add_loop_test(keys, a_byte_that_differs, 0, STORIES);
	tcase_add_loop_test(keys, a_late_change_leaves_unseen, 0, 4);
	tcase_add_loop_test(keys, behind_a_hole_all_is_checked, 0, 6);
	tcase_add_loop_test(keys, after_a_conflict_all_is_checked, 0, 4);
	tcase_add_test(keys, large_counts);
	suite_add_tcase(s, all);
	suite_add_tcase(s, keys);
	return s;
}
