/* tls/session.c, keys.c, seek.c and recover.c where no capture of the repo leads: handshakes
 * within a session, False Start, big holes and what they cost, records that lie. */
#define _GNU_SOURCE
#include <check.h>
#include <string.h>

#include "help_peer.h"
#include "tls/record.h"

static struct help_peer p;

static void set_up(void)
{
	help_peer_init(&p);
	help_peer_begin(&p);
}

static void tear_down(void)
{
	help_peer_clear(&p);
}

static const struct help_session *end(enum lp_end how)
{
	help_peer_close(&p, how);
	ck_assert_uint_eq(p.told.n, 1);
	return &p.told.session[0];
}

static void all_came(const struct help_session *s)
{
	for (int dir = 0; dir < 2; dir++) {
		lp_span want = lp_buf_span(&p.clear[dir]), got = lp_buf_span(&s->clear[dir]);

		ck_assert_uint_eq(got.n, want.n);
		if (want.n)
			ck_assert_mem_eq(got.p, want.p, want.n);
	}
}

static void ends_as(const struct help_session *s, enum lp_verdict verdict, const char *reason)
{
	ck_assert_msg(s->result->pub.verdict == verdict && !strcmp(s->result->pub.reason, reason),
		      "%s %s: %s", lp_verdict_name(s->result->pub.verdict), s->result->pub.reason,
		      s->result->pub.detail);
	ck_assert(!help_has_note(s, "transcript-differs"));
	ck_assert(!help_has_note(s, "finished-unchecked"));
}

START_TEST(plain_session)
{
	const struct help_session *s;

	help_peer_handshake(&p);
	help_peer_data(&p, LP_C2S, 100);
	help_peer_data(&p, LP_S2C, LP_RECORD_PLAIN_MAX);
	help_peer_data(&p, LP_C2S, 0);
	help_peer_bye(&p, LP_C2S);
	help_peer_bye(&p, LP_S2C);
	s = end(LP_END_FIN);
	ends_as(s, LP_DECRYPTED, "complete");
	all_came(s);
	ck_assert(!help_has_note(s, "truncated"));
	ck_assert_int_eq(s->result->pub.end[0], LP_END_CLOSE_NOTIFY);
}
END_TEST

START_TEST(without_close_notify)
{
	const struct help_session *s;

	help_peer_handshake(&p);
	help_peer_data(&p, LP_S2C, 100);
	help_peer_bye(&p, LP_C2S);
	s = end(_i ? LP_END_FIN : LP_END_CAPTURE);
	ends_as(s, LP_DECRYPTED, "complete");
	ck_assert_int_eq(help_has_note(s, "truncated"), _i);
}
END_TEST

/* The client sends data before the server has finished (RFC 7918). */
START_TEST(false_start)
{
	const struct help_session *s;

	help_peer_client_hello(&p);
	help_peer_server_hello(&p);
	help_peer_exchange(&p);
	help_peer_switch(&p, LP_C2S);
	help_peer_finished(&p, LP_C2S);
	help_peer_data(&p, LP_C2S, 50);
	help_peer_data(&p, LP_C2S, 60);
	help_peer_switch(&p, LP_S2C);
	help_peer_data(&p, LP_C2S, 70);
	help_peer_finished(&p, LP_S2C);
	help_peer_data(&p, LP_S2C, 80);
	s = end(LP_END_CAPTURE);
	ends_as(s, LP_DECRYPTED, "complete");
	all_came(s);
}
END_TEST

/* Another handshake within the session: a new epoch of the same session. */
START_TEST(renegotiation)
{
	const struct help_session *s;

	p.play.answers = (enum help_answers)(_i % 3);
	p.play.after = 2;
	help_peer_handshake(&p);
	help_peer_data(&p, LP_C2S, 100);
	for (int i = 0; i < 3; i++) {
		if (_i & 1)
			help_peer_message(&p, LP_S2C, LP_MSG_HELLO_REQUEST, NULL, 0);
		help_peer_client_hello(&p);
		if (_i & 2)
			help_peer_data(&p, LP_S2C, 30); /* on its way already */
		help_peer_server_hello(&p);
		help_peer_exchange(&p);
		help_peer_switch(&p, LP_C2S);
		help_peer_finished(&p, LP_C2S);
		if (_i & 2)
			help_peer_data(&p, LP_S2C, 40); /* under the old keys still */
		help_peer_switch(&p, LP_S2C);
		help_peer_finished(&p, LP_S2C);
		p.handshakes++;
		help_peer_data(&p, LP_C2S, 200);
		help_peer_data(&p, LP_S2C, 300);
	}
	help_peer_bye(&p, LP_S2C);
	help_peer_bye(&p, LP_C2S);
	s = end(LP_END_FIN);
	ends_as(s, LP_DECRYPTED, "complete");
	all_came(s);
	ck_assert_uint_eq(s->readies, 4);
	ck_assert_uint_eq(s->ended->extra.renegotiations, 3);
	ck_assert_uint_eq(s->ended->extra.epoch, 4);
}
END_TEST

/* RFC 5246 section 7.4: data goes on until ChangeCipherSpec. It waits for no turn of the
 * handshake's, so a cap on what waits is nothing to it. */
START_TEST(data_does_not_wait_for_a_handshake)
{
	const struct help_session *s;

	help_peer_close(&p, LP_END_FIN);
	help_peer_clear(&p);
	help_peer_init(&p);
	p.play.max_held_session = 20000;
	help_peer_begin(&p);
	help_peer_handshake(&p);
	help_peer_client_hello(&p);
	for (int i = 0; i < 10; i++)
		help_peer_data(&p, LP_C2S, 10000);
	help_peer_server_hello(&p);
	for (int i = 0; i < 10; i++)
		help_peer_data(&p, LP_S2C, 10000);
	help_peer_exchange(&p);
	help_peer_switch(&p, LP_C2S);
	help_peer_finished(&p, LP_C2S);
	help_peer_switch(&p, LP_S2C);
	help_peer_finished(&p, LP_S2C);
	p.handshakes++;
	help_peer_data(&p, LP_C2S, 200);
	s = end(LP_END_FIN);
	ends_as(s, LP_DECRYPTED, "complete");
	all_came(s);
	ck_assert_uint_eq(s->ended->extra.renegotiations, 1);
}
END_TEST

/* Warning no_renegotiation from the server: as if the hello had not been sent. From the
 * client it answers a HelloRequest, or nothing. */
START_TEST(a_renegotiation_that_is_declined)
{
	const struct help_session *s;

	help_peer_handshake(&p);
	if (_i) {
		help_peer_message(&p, LP_S2C, LP_MSG_HELLO_REQUEST, NULL, 0);
		help_peer_record(&p, LP_C2S, LP_CONTENT_ALERT, "\1\144", 2);
	} else {
		help_peer_client_hello(&p);
		help_peer_record(&p, LP_S2C, LP_CONTENT_ALERT, "\1\144", 2);
	}
	help_peer_data(&p, LP_C2S, 100);
	help_peer_data(&p, LP_S2C, 100);
	help_peer_handshake(&p);
	help_peer_data(&p, LP_C2S, 100);
	help_peer_bye(&p, LP_S2C);
	help_peer_bye(&p, LP_C2S);
	s = end(LP_END_FIN);
	ends_as(s, LP_DECRYPTED, "complete");
	all_came(s);
	ck_assert_uint_eq(s->ended->extra.renegotiations, 1);
	ck_assert_int_eq(s->result->pub.end[0], LP_END_CLOSE_NOTIFY);
}
END_TEST

/* An alert while the handshake has the other side's turn is told, and no byte waits. */
START_TEST(an_alert_within_a_renegotiation)
{
	const struct help_session *s;

	help_peer_handshake(&p);
	help_peer_data(&p, LP_C2S, 100);
	help_peer_client_hello(&p);
	if (_i)
		help_peer_server_hello(&p);
	help_peer_record(&p, _i ? LP_S2C : LP_C2S, LP_CONTENT_ALERT, "\2\50", 2);
	s = end(LP_END_FIN);
	ends_as(s, LP_DECRYPTED, "complete");
	ck_assert_uint_eq(s->result->pub.total[LP_C2S].opaque, 0);
	ck_assert_uint_eq(s->result->pub.total[LP_S2C].opaque, 0);
}
END_TEST

/* A server's answer to a hello that never comes: kept within bounds, told as closed. */
START_TEST(an_answer_to_no_hello)
{
	const struct help_session *s;

	help_peer_handshake(&p);
	help_peer_data(&p, LP_S2C, 100);
	help_peer_server_hello(&p);
	help_peer_data(&p, LP_S2C, 100); /* passes */
	help_peer_message(&p, LP_S2C, LP_MSG_SERVER_HELLO_DONE, NULL, 0);
	s = end(LP_END_FIN);
	ck_assert_int_eq(s->result->pub.verdict, LP_PARTIAL);
	ck_assert_uint_gt(s->result->pub.total[LP_S2C].opaque, 0);
	ck_assert_uint_eq(s->result->pub.total[LP_S2C].stream, p.off[LP_S2C]);
}
END_TEST

/* The second handshake's secret is not to be had. */
START_TEST(renegotiation_that_stays_closed)
{
	const struct help_session *s;

	help_peer_handshake(&p);
	help_peer_data(&p, LP_C2S, 100);
	p.play.none = true;
	help_peer_handshake(&p);
	lp_buf_clear(&p.clear[LP_S2C]);
	help_peer_record(&p, LP_S2C, LP_CONTENT_DATA, "closed", 6);
	s = end(LP_END_FIN);
	ends_as(s, LP_PARTIAL, "later-handshake-closed");
	all_came(s);
	ck_assert_uint_gt(s->result->pub.total[LP_S2C].opaque, 0);
}
END_TEST

/* The client ignores a HelloRequest, as it may; later something is lost. */
START_TEST(a_hole_behind_a_hello_request_that_was_ignored)
{
	const struct help_session *s;

	help_peer_handshake(&p);
	help_peer_data(&p, LP_C2S, 100);
	help_peer_message(&p, LP_S2C, LP_MSG_HELLO_REQUEST, NULL, 0);
	help_peer_data(&p, LP_C2S, 100);
	p.drop = true;
	help_peer_data(&p, LP_C2S, 77);
	help_peer_data(&p, LP_S2C, 88);
	p.drop = false;
	help_peer_data(&p, LP_C2S, 100);
	help_peer_data(&p, LP_S2C, 100);
	s = end(LP_END_FIN);
	ends_as(s, LP_PARTIAL, "gap");
	all_came(s);
}
END_TEST

/* A hole in the second handshake: that direction ends, what was open stays. */
START_TEST(a_hole_in_a_renegotiation)
{
	const struct help_session *s;

	help_peer_handshake(&p);
	help_peer_data(&p, LP_C2S, 100);
	help_peer_data(&p, LP_S2C, 100);
	help_peer_client_hello(&p);
	p.drop = true;
	help_peer_server_hello(&p);
	p.drop = false;
	help_peer_exchange(&p);
	help_peer_switch(&p, LP_C2S);
	help_peer_finished(&p, LP_C2S);
	help_peer_switch(&p, LP_S2C);
	help_peer_finished(&p, LP_S2C);
	help_peer_record(&p, LP_C2S, LP_CONTENT_DATA, "closed", 6);
	s = end(LP_END_FIN);
	ck_assert_int_eq(s->result->pub.verdict, LP_PARTIAL);
	all_came(s);
}
END_TEST

/* A hole in it takes the ChangeCipherSpec of the client (_i & 1), of the server (2) or of both,
 * and the Finished with it (4), and what the first says then (8): all the rest comes out. */
START_TEST(a_hole_takes_a_later_ccs)
{
	const struct help_session *s;
	const int who = _i & 3 ? _i & 3 : 1;

	p.play.answers = (enum help_answers)(_i / 16);
	p.play.after = 2;
	help_peer_handshake(&p);
	help_peer_data(&p, LP_C2S, 100);
	help_peer_data(&p, LP_S2C, 100);
	help_peer_client_hello(&p);
	help_peer_server_hello(&p);
	help_peer_exchange(&p);
	for (int i = 0; i < 2; i++) {
		p.drop = who & (1 << i);
		help_peer_switch(&p, (enum lp_dir)i);
		p.drop = p.drop && _i & 4;
		help_peer_finished(&p, (enum lp_dir)i);
		p.drop = p.drop && _i & 8;
		help_peer_data(&p, (enum lp_dir)i, 300);
		p.drop = false;
	}
	for (int i = 0; i < 4; i++) {
		help_peer_data(&p, LP_C2S, 100);
		help_peer_data(&p, LP_S2C, 100);
	}
	help_peer_bye(&p, LP_S2C);
	help_peer_bye(&p, LP_C2S);
	s = end(LP_END_FIN);
	all_came(s);
	ck_assert_int_eq(s->result->pub.verdict, LP_PARTIAL);
	ck_assert_str_eq(s->result->pub.reason, "gap");
	ck_assert_uint_eq(s->readies, 2);
	ck_assert_uint_eq(s->ended->extra.renegotiations, 1);
}
END_TEST

/* The hello is lost, and something of the server with it: what a segment of the server has
 * behind that waits for the hello, and so does an alert behind it, although between two
 * handshakes alerts wait for nobody. */
START_TEST(an_alert_behind_what_waits)
{
	const struct help_session *s;

	help_peer_handshake(&p);
	help_peer_data(&p, LP_C2S, 100);
	p.drop = true;
	help_peer_data(&p, LP_S2C, 77);
	help_peer_client_hello(&p);
	p.drop = false;
	p.gather = true;
	help_peer_server_hello(&p);
	help_peer_switch(&p, LP_S2C);
	help_peer_finished(&p, LP_S2C);
	help_peer_send(&p, LP_S2C);
	help_peer_bye(&p, LP_S2C);
	help_peer_switch(&p, LP_C2S);
	help_peer_finished(&p, LP_C2S);
	s = end(LP_END_FIN);
	ck_assert_int_eq(s->result->pub.verdict, LP_PARTIAL);
	all_came(s);
}
END_TEST

/* The same, and nothing comes behind the hole: what the other side says comes out all the same.
 * (A packet of no bytes, or the end, has shown the hole.) */
START_TEST(a_hole_takes_all_from_a_later_ccs_on)
{
	const enum lp_dir lost = _i & 1 ? LP_S2C : LP_C2S, other = (enum lp_dir)!lost;
	const struct help_session *s;

	p.play.answers = (enum help_answers)(_i / 2);
	p.play.after = 2;
	help_peer_handshake(&p);
	help_peer_client_hello(&p);
	help_peer_server_hello(&p);
	help_peer_exchange(&p);
	for (int i = 0; i < 2; i++) {
		p.drop = i == (int)lost;
		help_peer_switch(&p, (enum lp_dir)i);
		help_peer_finished(&p, (enum lp_dir)i);
	}
	p.drop = false;
	for (int i = 0; i < 3; i++)
		help_peer_data(&p, other, 1000);
	help_peer_bye(&p, other);
	s = end(LP_END_FIN);
	all_came(s);
	ck_assert_int_eq(s->result->pub.verdict, LP_PARTIAL);
	ck_assert_str_eq(s->result->pub.reason, "gap");
	ck_assert_uint_eq(s->readies, 2);
}
END_TEST

/* Only data was lost in it: what comes next shows that, and all goes on. */
START_TEST(lost_data_within_a_renegotiation)
{
	const struct help_session *s;

	help_peer_handshake(&p);
	help_peer_data(&p, LP_C2S, 100);
	help_peer_data(&p, LP_S2C, 100);
	help_peer_client_hello(&p);
	p.drop = true;
	help_peer_data(&p, LP_S2C, 77);
	p.drop = false;
	help_peer_server_hello(&p);
	help_peer_exchange(&p);
	help_peer_switch(&p, LP_C2S);
	help_peer_finished(&p, LP_C2S);
	help_peer_switch(&p, LP_S2C);
	help_peer_finished(&p, LP_S2C);
	p.handshakes++;
	help_peer_data(&p, LP_C2S, 200);
	help_peer_data(&p, LP_S2C, 300);
	help_peer_bye(&p, LP_S2C);
	help_peer_bye(&p, LP_C2S);
	s = end(LP_END_FIN);
	ends_as(s, LP_PARTIAL, "gap");
	all_came(s);
	ck_assert_uint_eq(s->ended->extra.renegotiations, 1);
}
END_TEST

/* Holes of every number of records, with nonces that count and with others. */
START_TEST(holes_of_many_records)
{
	const struct help_session *s;
	size_t lost = 1;

	p.wild_nonce = _i;
	help_peer_handshake(&p);
	for (int i = 0; i < 12; i++) {
		for (int k = 0; k < 5; k++)
			help_peer_data(&p, LP_S2C, 200 + 13 * (size_t)k);
		p.drop = true;
		for (size_t k = 0; k < lost; k++)
			help_peer_data(&p, LP_S2C, 210 + 7 * (k % 5));
		p.drop = false;
		lost += lost / 2 + 1;
	}
	help_peer_data(&p, LP_S2C, 1000);
	s = end(LP_END_FIN);
	ends_as(s, LP_PARTIAL, "gap");
	all_came(s);
}
END_TEST

/* So much was lost that trying costs more than it may: bounded, and told. */
START_TEST(a_hole_that_costs_too_much)
{
	const struct help_session *s;

	p.wild_nonce = true;
	help_peer_handshake(&p);
	help_peer_data(&p, LP_S2C, 20);
	help_peer_data(&p, LP_C2S, 20);
	p.drop = true;
	for (int i = 0; i < 3000; i++)
		help_peer_data(&p, LP_S2C, 5 + (size_t)(i / 100) * 500);
	p.drop = false;
	p.bad = true; /* and nothing behind it fits */
	for (int i = 0; i < 50; i++)
		help_peer_data(&p, LP_S2C, 15000);
	p.bad = false;
	help_peer_data(&p, LP_C2S, 30);
	s = end(LP_END_FIN);
	ends_as(s, LP_PARTIAL, "gap-not-recovered");
	all_came(s);
	ck_assert_uint_eq(s->result->pub.total[LP_S2C].stream, p.off[LP_S2C]);
	ck_assert_uint_eq(s->result->pub.total[LP_C2S].lost, 0);
}
END_TEST

/* One record was changed on its way: it stays closed, the others open, and whoever reads them
 * is told what is missing between them. */
START_TEST(a_record_that_was_changed)
{
	const struct help_session *s;
	lp_span told;

	help_peer_handshake(&p);
	help_peer_data(&p, LP_S2C, 100);
	p.bad = true;
	help_peer_data(&p, LP_S2C, 100);
	p.bad = false;
	help_peer_data(&p, LP_S2C, 100);
	help_peer_data(&p, LP_C2S, 100);
	s = end(LP_END_FIN);
	ends_as(s, LP_PARTIAL, "record-bad");
	all_came(s);
	told = lp_buf_span(&p.told.dir[LP_S2C]);
	ck_assert_ptr_nonnull(memmem(told.p, told.n, "S 100\nS gap 129 1 100 100\nS 100\n", 30));
	ck_assert_uint_eq(s->result->pub.total[LP_S2C].opaque, 5 + 8 + 100 + 16);
	ck_assert_uint_eq(s->result->pub.total[LP_S2C].records_closed, 1);
	ck_assert_uint_eq(s->result->pub.total[LP_S2C].records, 2);
}
END_TEST

/* Bytes that are no record: what comes behind them is found again. */
START_TEST(junk_in_the_stream)
{
	const struct help_session *s;
	uint8_t junk[100];

	memset(junk, 'j', sizeof junk);
	help_peer_handshake(&p);
	help_peer_data(&p, LP_S2C, 100);
	p.when.number++;
	help_data(&p.told, LP_B2A, junk, sizeof junk, p.off[LP_S2C], &p.when);
	p.off[LP_S2C] += sizeof junk;
	help_peer_data(&p, LP_C2S, 100);
	help_peer_data(&p, LP_S2C, 100);
	s = end(LP_END_FIN);
	ends_as(s, LP_PARTIAL, "record-bad");
	all_came(s);
	ck_assert_uint_eq(s->result->pub.total[LP_S2C].stream, p.off[LP_S2C]);
	ck_assert_uint_eq(s->result->pub.total[LP_S2C].lost, sizeof junk);
}
END_TEST

/* The wrong Finished: the keys are right, the transcript is not the peers'. */
START_TEST(a_finished_that_differs)
{
	const struct help_session *s;

	help_peer_client_hello(&p);
	help_peer_server_hello(&p);
	help_peer_exchange(&p);
	help_peer_switch(&p, LP_C2S);
	HELP_REQUIRE(!lp_buf_append(&p.transcript, "x", 1));
	help_peer_finished(&p, LP_C2S);
	help_peer_switch(&p, LP_S2C);
	help_peer_finished(&p, LP_S2C);
	help_peer_data(&p, LP_C2S, 100);
	s = end(LP_END_FIN);
	ck_assert_int_eq(s->result->pub.verdict, LP_DECRYPTED);
	ck_assert(help_has_note(s, "transcript-differs"));
	all_came(s);
}
END_TEST

/* A server's ChangeCipherSpec and Finished before the client's, and more like it. */
START_TEST(messages_out_of_place)
{
	const struct help_session *s;

	help_peer_client_hello(&p);
	if (_i == 0)
		help_peer_message(&p, LP_S2C, LP_MSG_SERVER_HELLO_DONE, NULL, 0);
	if (_i == 1) {
		help_peer_server_hello(&p);
		help_peer_record(&p, LP_C2S, LP_CONTENT_DATA, "too soon", 8);
	}
	if (_i == 2) {
		help_peer_server_hello(&p);
		help_peer_record(&p, LP_C2S, LP_CONTENT_CCS, "\1", 1);
	}
	if (_i == 3) {
		help_peer_server_hello(&p);
		help_peer_record(&p, LP_C2S, LP_CONTENT_CCS, "\2", 1);
	}
	if (_i == 4)
		help_peer_server_hello(&p);
	if (_i == 4)
		help_peer_record(&p, LP_C2S, LP_CONTENT_ALERT, "\2\50", 2);
	help_peer_record(&p, LP_S2C, LP_CONTENT_DATA, "anything", 8);
	s = end(LP_END_FIN);
	ends_as(s, LP_OPAQUE, _i == 4 ? "handshake-failed" : "malformed");
	ck_assert_uint_eq(s->result->pub.total[0].stream, p.off[0]);
	ck_assert_uint_eq(s->result->pub.total[1].stream, p.off[1]);
}
END_TEST

/* Alerts while it was the other's turn: the server refuses the client's silence. */
START_TEST(an_alert_out_of_turn)
{
	const struct help_session *s;

	help_peer_client_hello(&p);
	help_peer_server_hello(&p);
	help_peer_record(&p, LP_S2C, LP_CONTENT_ALERT, "\2\50", 2);
	s = end(LP_END_FIN);
	ends_as(s, LP_OPAQUE, "handshake-failed");
	ck_assert_msg(strstr(s->result->pub.detail, "handshake_failure") != NULL, "%s",
		      s->result->pub.detail);
}
END_TEST

Suite *suite_renegotiate(void);
Suite *suite_renegotiate(void)
{
	Suite *s = suite_create("renegotiate");
	TCase *c = tcase_create("peers");

	tcase_set_timeout(c, 30);
	tcase_add_checked_fixture(c, set_up, tear_down);
	tcase_add_test(c, plain_session);
	tcase_add_loop_test(c, without_close_notify, 0, 2);
	tcase_add_test(c, false_start);
	tcase_add_loop_test(c, renegotiation, 0, 12);
	tcase_add_test(c, data_does_not_wait_for_a_handshake);
	tcase_add_loop_test(c, a_renegotiation_that_is_declined, 0, 2);
	tcase_add_loop_test(c, an_alert_within_a_renegotiation, 0, 2);
	tcase_add_test(c, an_answer_to_no_hello);
	tcase_add_test(c, renegotiation_that_stays_closed);
	tcase_add_test(c, a_hole_behind_a_hello_request_that_was_ignored);
	tcase_add_test(c, a_hole_in_a_renegotiation);
	tcase_add_loop_test(c, a_hole_takes_a_later_ccs, 0, 48);
	tcase_add_test(c, an_alert_behind_what_waits);
	tcase_add_loop_test(c, a_hole_takes_all_from_a_later_ccs_on, 0, 6);
	tcase_add_test(c, lost_data_within_a_renegotiation);
	tcase_add_loop_test(c, holes_of_many_records, 0, 2);
	tcase_add_test(c, a_hole_that_costs_too_much);
	tcase_add_test(c, a_record_that_was_changed);
	tcase_add_test(c, junk_in_the_stream);
	tcase_add_test(c, a_finished_that_differs);
	tcase_add_loop_test(c, messages_out_of_place, 0, 5);
	tcase_add_test(c, an_alert_out_of_turn);
	suite_add_tcase(s, c);
	return s;
}
