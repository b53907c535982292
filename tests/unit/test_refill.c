/* tls/refill.c: a piece of a handshake with Extended Master Secret was lost, and the same
 * peers had said it before. */
#define _GNU_SOURCE
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "help_session.h"
#include "tls/flights.h"

static const struct {
	const char *capture;
	size_t flow;
	bool client; /* sends a Certificate */
} flows[] = {
	{ "story-tls12-ems.pcap", 0, true },
	{ "story-tls11-ems.pcap", 0, true },
	{ "small-records.pcap", 0, true },
	{ "java.pcap", 0, false },
	{ "gnutls-tls12.pcap", 0, false },
};
enum { FLOWS = sizeof flows / sizeof flows[0] };

static struct lp_crypto_set crypto;
static struct help_key *key;
static struct help_trace trace;
static struct help_flow *flow;
static struct lp_flights *flights;
static struct help_told whole;
static uint64_t from[2], to[2]; /* of the flight, by side; the client is side 0 */

static void set_up_flights(void)
{
	const struct lp_flights_config c = { .seed = { 1, 2 } };

	ck_assert_int_eq(lp_flights_new(&flights, &c), LP_OK);
}

static void set_up(void)
{
	whole = (struct help_told){ .play = NULL };
	trace = (struct help_trace){ NULL, 0 };
	ck_assert_int_eq(lp_crypto_choose(&crypto, "auto"), LP_OK);
	set_up_flights();
	key = help_key_new(&crypto, "keys/server.pem");
}

static void tear_down(void)
{
	help_told_clear(&whole);
	help_trace_clear(&trace);
	help_key_free(key);
	lp_flights_free(flights);
}

static bool kept(enum lp_dir dir, unsigned nth, struct lp_buf *out, uint32_t *lead)
{
	const struct lp_when any = { .number = UINT64_MAX };
	const uint8_t name = (uint8_t)dir;
	bool found;

	lp_buf_init(out, LP_FLIGHT_MAX);
	ck_assert_int_eq(lp_flights_find(flights, lp_span_of(&name, 1), &any, nth, out, lead,
					 &found), LP_OK);
	return found;
}

static void keep(enum lp_dir dir, lp_span bytes, uint32_t lead, uint64_t number)
{
	const struct lp_when when = { .number = number };
	const uint8_t name = (uint8_t)dir;

	ck_assert_int_eq(lp_flights_put(flights, lp_span_of(&name, 1), bytes, lead, &when), LP_OK);
}

/* A complete session, whose flights are kept. */
static void first(size_t i)
{
	const struct help_play play = { .crypto = &crypto, .key = { key }, .flights = flights };

	help_trace_read(&trace, flows[i].capture);
	flow = trace.flow[flows[i].flow];
	help_play(&whole, flow, &play);
	ck_assert_str_eq(whole.session[0].result->pub.reason, "complete");
	ck_assert_int_eq(whole.session[0].ended->ems, 1);
	for (int side = 0; side < 2; side++) {
		struct lp_buf b;
		uint32_t lead;
		const uint8_t *at;
		lp_span s;

		from[side] = to[side] = 0;
		ck_assert_int_eq(kept(side ? LP_S2C : LP_C2S, 0, &b, &lead), side || flows[i].client);
		s = lp_buf_span(&b);
		if (s.n) {
			at = memmem(flow->bytes[side], flow->len[side], s.p, s.n);
			ck_assert_ptr_nonnull(at);
			from[side] = (uint64_t)(at - flow->bytes[side]);
			to[side] = from[side] + s.n;
		}
		lp_buf_clear(&b);
	}
	ck_assert_uint_gt(to[1] - from[1], 500);
}

/* Plays it again with holes. */
static void again(struct help_told *t, const struct help_hole *hole, size_t n, size_t piece,
		  enum help_answers answers)
{
	struct help_play *play = calloc(1, sizeof *play);

	*play = (struct help_play){
		.crypto = &crypto, .key = { key }, .flights = flights, .piece = piece,
		.answers = answers, .holes = n,
	};
	memcpy(play->hole, hole, n * sizeof *hole);
	help_play(t, flow, play);
	t->play = NULL;
	free(play);
	ck_assert_uint_eq(t->n, 1);
}

static void check_opened(const struct help_told *t, const struct help_hole *h)
{
	const struct help_session *s = &t->session[0];

	ck_assert_msg(!strcmp(s->result->pub.reason, "complete"), "%llu at %llu of side %d: %s: %s",
		      (unsigned long long)h->n, (unsigned long long)h->off, h->side,
		      s->result->pub.reason, s->result->pub.detail);
	for (int dir = 0; dir < 2; dir++) {
		lp_span a = lp_buf_span(&whole.session[0].clear[dir]);
		lp_span b = lp_buf_span(&s->clear[dir]);

		ck_assert_uint_eq(a.n, b.n);
		ck_assert(!a.n || !memcmp(a.p, b.p, a.n));
	}
	/* The transcript is whole again, and so is what is told of the peers. */
	ck_assert(!help_has_note(s, "finished-unchecked"));
	ck_assert(!help_has_note(s, "transcript-differs"));
	ck_assert_int_eq(s->ended->ems, 1);
	ck_assert_ptr_nonnull(s->ended->server_cert);
}

static void check_closed(const struct help_told *t)
{
	ck_assert_int_eq(t->session[0].result->pub.verdict, LP_OPAQUE);
	ck_assert_str_eq(t->session[0].result->pub.reason, "handshake-lost-ems");
	ck_assert_ptr_nonnull(strstr(t->session[0].result->pub.detail, "bytes of the handshake"));
}

/* Every hole in what may be filled, cut in every way, opens as if nothing were missing. */
START_TEST(holes_in_flights)
{
	static const uint64_t sizes[] = { 1, 60, 333, 1448 };

	first((size_t)_i);
	for (int side = 0; side < 2; side++)
		for (uint64_t off = from[side]; off < to[side]; off += 47)
			for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
				struct help_hole h = { (enum lp_side)side, off, sizes[i] };
				struct help_told t;

				if (off + h.n > to[side])
					h.n = to[side] - off;
				again(&t, &h, 1, off % 3 ? 0 : 100, off % 2 ? HELP_AT_ONCE : HELP_AFTER);
				check_opened(&t, &h);
				help_told_clear(&t);
			}
}
END_TEST

START_TEST(several_holes)
{
	struct help_hole h[3] = { { LP_B2A, 0, 40 }, { LP_B2A, 0, 100 }, { LP_A2B, 0, 50 } };
	struct help_told t;

	first((size_t)_i);
	h[0].off = from[1] + 20;
	h[1].off = from[1] + 300;
	h[2].off = from[0] + 10;
	again(&t, h, flows[_i].client ? 3 : 2, 0, HELP_AT_ONCE);
	check_opened(&t, h);
	help_told_clear(&t);
}
END_TEST

/* Nothing was kept, or it does not agree with what was captured. */
START_TEST(others_do_not_fit)
{
	struct help_hole h = { LP_B2A, 0, 60 };
	struct help_told t;
	struct lp_buf b;
	uint32_t lead;
	uint8_t *copy;
	size_t n;

	first((size_t)_i);
	ck_assert(kept(LP_S2C, 0, &b, &lead));
	n = lp_buf_len(&b);
	copy = malloc(n + 1);
	memcpy(copy, lp_buf_span(&b).p, n);
	lp_buf_clear(&b);
	for (int what = 0; what < 6; what++) {
		lp_flights_free(flights);
		set_up_flights();
		h.off = from[1] + 100;
		h.n = what == 5 ? to[1] - h.off + 1 : 60; /* 5: it goes on behind the flight */
		if (what == 1 || what == 2)
			copy[what == 1 ? 5 : n - 8] ^= 1; /* changed before and behind the hole */
		if (what == 3)
			keep(LP_S2C, lp_span_of(copy, n - 1), lead, 1);
		else if (what == 4)
			keep(LP_S2C, lp_span_of(copy, n), lead + 1, 1);
		else if (what)
			keep(LP_S2C, lp_span_of(copy, n), lead, 1);
		if (what == 1 || what == 2)
			copy[what == 1 ? 5 : n - 8] ^= 1;
		again(&t, &h, 1, 0, HELP_AT_ONCE);
		check_closed(&t);
		help_told_clear(&t);
	}
	free(copy);
}
END_TEST

/* Flights that differ in the hole alone: the record disproves the wrong ones. */
START_TEST(wrong_ones_are_disproved)
{
	struct help_hole h = { LP_B2A, 0, 60 };
	struct help_told t;
	struct lp_buf b;
	uint32_t lead;
	uint8_t *copy;
	size_t n;

	first((size_t)_i);
	ck_assert(kept(LP_S2C, 0, &b, &lead));
	n = lp_buf_len(&b);
	copy = malloc(n);
	memcpy(copy, lp_buf_span(&b).p, n);
	lp_buf_clear(&b);
	h.off = to[1] - 150; /* in the signature of the certificate */
	for (unsigned i = 0; i < 3; i++) {
		copy[n - 120]++;
		keep(LP_S2C, lp_span_of(copy, n), lead, 1000000 + i);
		again(&t, &h, 1, 0, HELP_AFTER);
		check_opened(&t, &h);
		ck_assert_uint_ge(t.asked, 2 + i);
		help_told_clear(&t);
	}
	/* Now the right one is the fifth, and gone. */
	copy[n - 120]++;
	keep(LP_S2C, lp_span_of(copy, n), lead, 1000009);
	again(&t, &h, 1, 0, HELP_AFTER);
	check_closed(&t);
	help_told_clear(&t);
	free(copy);
}
END_TEST

Suite *suite_refill(void);

Suite *suite_refill(void)
{
	Suite *s = suite_create("refill");
	TCase *c = tcase_create("refill");

	tcase_add_checked_fixture(c, set_up, tear_down);
	tcase_add_loop_test(c, holes_in_flights, 0, FLOWS);
	tcase_add_loop_test(c, several_holes, 0, FLOWS);
	tcase_add_loop_test(c, others_do_not_fit, 0, FLOWS);
	tcase_add_loop_test(c, wrong_ones_are_disproved, 0, FLOWS);
	suite_add_tcase(s, c);
	return s;
}
