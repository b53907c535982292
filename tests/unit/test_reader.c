/* reader.c: segments and the clock of a capture, however its packets are given. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "help_packet.h"
#include "reader.h"

enum { PACKETS = 300, SAID = 2 * PACKETS };

/* What was told, but for where batches end. */
struct said {
	struct {
		uint64_t number, ts_ns, clock_ns;
		bool second;
	} it[SAID];
	size_t n, calls;
	bool lent;
	uint64_t now_ns;
};

static void on_segments(void *user, const struct lp_segment *s, size_t n, uint64_t ns)
{
	struct said *said = user;

	ck_assert_uint_ge(ns, said->now_ns);
	ck_assert_uint_le(n, 64);
	said->now_ns = ns;
	said->calls++;
	for (; n; n--, s++) {
		ck_assert_uint_lt(said->n, SAID);
		ck_assert_uint_le(s->clock_ns, ns);
		ck_assert_uint_eq(s->payload[0], s->number % 100); /* is still lent */
		ck_assert_int_eq(s->lent, said->lent);
		said->it[said->n].number = s->number;
		said->it[said->n].ts_ns = s->ts_ns;
		said->it[said->n++].clock_ns = s->clock_ns;
	}
}

static void on_second(void *user, uint64_t number, uint64_t ns)
{
	struct said *said = user;

	ck_assert_uint_lt(said->n, SAID);
	ck_assert_uint_gt(ns / LP_NS_PER_S, said->now_ns / LP_NS_PER_S);
	said->now_ns = ns;
	said->it[said->n].number = number;
	said->it[said->n].clock_ns = ns;
	said->it[said->n++].second = true;
}

static const struct lp_reader_sink sink = { on_segments, on_second };

static struct lp_reader *make(struct said *said)
{
	struct lp_decode_config config;
	struct lp_reader *r;

	lp_decode_config_default(&config);
	ck_assert_int_eq(lp_reader_new(&r, &config, &sink, said), LP_OK);
	return r;
}

static uint8_t bytes[PACKETS][200];
static struct lp_wire wire[PACKETS];

/* Some are no TCP, the clock jumps and goes back. */
static void make_wire(void)
{
	uint64_t now = 1000 * LP_NS_PER_S;

	for (size_t i = 0; i < PACKETS; i++) {
		const uint8_t payload = (uint8_t)((i + 1) % 100);
		const struct help_packet h = {
			.flags = LP_TCP_ACK, .payload = &payload, .len = 1,
			.proto = i % 7 == 3 ? 1 : 0, .ts_ns = now, .number = i + 1,
		};
		const struct lp_wire p = help_packet(&h, bytes[i], sizeof bytes[i]);

		wire[i] = p;
		now += (uint64_t)(rand() % 100) * LP_NS_PER_MS;
		if (i % 11 == 5)
			now -= 300 * LP_NS_PER_MS;
		if (i % 50 == 20)
			now += 7 * LP_NS_PER_S;
	}
}

START_TEST(the_same_however_given)
{
	struct said all = { .n = 0 }, some;
	struct lp_reader *r = make(&all);
	uint64_t clock = 0, first, last;
	size_t seconds = 0;

	srand((unsigned)_i);
	make_wire();
	lp_reader_packets(r, wire, PACKETS);
	lp_reader_times(r, &first, &last);
	ck_assert_uint_eq(first, wire[0].ts_ns);
	ck_assert_uint_eq(last, all.now_ns);
	lp_reader_free(r);
	for (size_t i = 0; i < all.n; i++) {
		/* The clock never goes back, a second comes before what its packet brings. */
		ck_assert_uint_ge(all.it[i].clock_ns, clock);
		clock = all.it[i].clock_ns;
		seconds += all.it[i].second;
		if (i && all.it[i].second)
			ck_assert_uint_gt(all.it[i].number, all.it[i - 1].number);
		if (i)
			ck_assert_uint_ge(all.it[i].number, all.it[i - 1].number);
	}
	ck_assert_uint_gt(seconds, 6);
	for (size_t at_once = 1; at_once < 100; at_once += 13) {
		memset(&some, 0, sizeof some);
		r = make(&some);
		for (size_t i = 0; i < PACKETS; i += at_once)
			lp_reader_packets(r, wire + i, i + at_once < PACKETS ? at_once : PACKETS - i);
		lp_reader_free(r);
		ck_assert_uint_eq(some.n, all.n);
		ck_assert_mem_eq(some.it, all.it, all.n * sizeof all.it[0]);
	}
}
END_TEST

START_TEST(time_passes_without_packets)
{
	struct said said = { .n = 0 };
	struct lp_reader *r = make(&said);
	uint64_t begin;

	make_wire();
	lp_reader_packets(r, wire, 1);
	begin = said.now_ns;
	ck_assert_uint_eq(said.n, 2); /* the second of the first packet, and what it holds */
	lp_reader_advance(r, begin + 10);
	ck_assert_uint_eq(said.now_ns, begin + 10);
	ck_assert_uint_eq(said.n, 2);
	lp_reader_advance(r, begin); /* not back */
	ck_assert_uint_eq(said.now_ns, begin + 10);
	lp_reader_advance(r, begin + 3 * LP_NS_PER_S);
	ck_assert_uint_eq(said.n, 3);
	ck_assert(said.it[2].second);
	ck_assert_uint_eq(said.it[2].number, 1);
	lp_reader_free(r);
}
END_TEST

/* A batch that is full leaves at once, and no empty one follows it: that says that just now there
 * are no packets. */
START_TEST(an_empty_batch_means_no_packets)
{
	enum { FULL = 64 };
	struct said said = { .n = 0 };
	struct lp_reader *r = make(&said);
	const uint8_t payload = 1;
	const struct help_packet h = { .flags = LP_TCP_ACK, .payload = &payload, .len = 1,
				       .number = 1 };

	for (size_t i = 0; i < 3 * FULL; i++)
		wire[i] = help_packet(&h, bytes[i], sizeof bytes[i]);
	lp_reader_packets(r, wire, FULL);
	ck_assert_uint_eq(said.calls, 1);
	ck_assert_uint_eq(said.n, FULL);
	lp_reader_packets(r, wire, 2 * FULL);
	ck_assert_uint_eq(said.calls, 3);
	lp_reader_packets(r, wire, 2 * FULL + 1);
	ck_assert_uint_eq(said.calls, 6);
	ck_assert_uint_eq(said.n, 5 * FULL + 1);
	lp_reader_packets(r, NULL, 0);
	ck_assert_uint_eq(said.calls, 7);
	ck_assert_uint_eq(said.n, 5 * FULL + 1);
	lp_reader_free(r);
}
END_TEST

/* What lies in its packet, that is: a datagram that was in fragments does not. */
START_TEST(who_lends_says_so)
{
	struct said said = { .n = 0 };
	struct lp_reader *r = make(&said);

	make_wire();
	lp_reader_packets(r, wire, PACKETS / 2);
	said.lent = true;
	lp_reader_lend(r, true);
	lp_reader_packets(r, wire + PACKETS / 2, PACKETS - PACKETS / 2);
	ck_assert_uint_gt(said.n, PACKETS / 2);
	lp_reader_free(r);
}
END_TEST

START_TEST(fragments_are_not_lent)
{
	const uint8_t payload[32] = { 2 };
	struct said said = { .n = 0 };
	struct lp_reader *r = make(&said);
	struct help_packet h = { .flags = LP_TCP_ACK, .payload = payload, .len = sizeof payload,
				 .ts_ns = LP_NS_PER_S };
	struct lp_wire p = help_packet(&h, bytes[0], sizeof bytes[0]);
	struct help_packet part = { .raw = true, .proto = 6, .ts_ns = LP_NS_PER_S };
	uint8_t tcp[52];

	lp_reader_lend(r, true);
	ck_assert_uint_eq(p.caplen, 14 + 20 + sizeof tcp);
	memcpy(tcp, p.data + 34, sizeof tcp);
	for (int i = 0; i < 2; i++) {
		part.payload = tcp + 32 * i;
		part.len = i ? sizeof tcp - 32 : 32;
		part.fragment = i ? 4 : 0x2000;
		part.number = (uint64_t)i + 1;
		p = help_packet(&part, bytes[i + 1], sizeof bytes[i + 1]);
		wire[i] = p;
	}
	lp_reader_packets(r, wire, 2);
	ck_assert_uint_eq(said.n, 2);
	ck_assert_uint_eq(said.it[1].number, 2);
	lp_reader_free(r);
}
END_TEST

Suite *suite_reader(void)
{
	Suite *s = suite_create("reader");
	TCase *t = tcase_create("reader");

	tcase_add_loop_test(t, the_same_however_given, 0, 10);
	tcase_add_test(t, time_passes_without_packets);
	tcase_add_test(t, an_empty_batch_means_no_packets);
	tcase_add_test(t, who_lends_says_so);
	tcase_add_test(t, fragments_are_not_lent);
	suite_add_tcase(s, t);
	return s;
}
