/* order.c: events leave in the order of their places, whoever had to wait. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "order.h"

struct seen {
	uint64_t number[4096];
	uint64_t index[4096];
	char text[4096];
	size_t n;
};

static void sink(void *user, struct lp_event *e)
{
	struct seen *s = user;

	s->number[s->n] = e->when.number;
	s->index[s->n] = e->when.index;
	s->text[s->n] = e->n ? (char)e->bytes[0] : '-';
	for (size_t i = 1; i < e->n; i++)
		ck_assert_uint_eq(e->bytes[i], e->bytes[0]);
	s->n++;
}

static struct lp_when at(uint64_t number, uint32_t index)
{
	return (struct lp_when){ .number = number, .index = index };
}

static void put(struct lp_order *o, uint64_t number, uint32_t index, char text, size_t n, bool room)
{
	struct lp_event e = { .when = at(number, index), .kind = LP_EVENT_DATA, .n = n };
	uint8_t *bytes = malloc(n + 1);
	uint8_t *mem = bytes;

	if (room)
		ck_assert_int_eq(lp_order_room(o, n, &mem), LP_OK);
	memset(mem, text, n);
	e.bytes = mem;
	ck_assert_int_eq(lp_order_put(o, &e, room), LP_OK);
	memset(bytes, 'X', n); /* the caller's bytes do not outlive the call */
	free(bytes);
}

static void check_text(const struct seen *s, const char *expected)
{
	ck_assert_uint_eq(s->n, strlen(expected));
	ck_assert_mem_eq(s->text, expected, s->n);
}

START_TEST(straight_through_when_nobody_waits)
{
	struct seen seen = { .n = 0 };
	struct lp_order *o;

	ck_assert_int_eq(lp_order_new(&o, true, sink, &seen), LP_OK);
	put(o, 1, 0, 'a', 10, true);
	put(o, 1, 1, 'b', 10, false);
	put(o, 2, 0, 'c', 0, false);
	check_text(&seen, "ab-");
	ck_assert_uint_eq(lp_order_held(o), 0);
	lp_order_free(o);
}
END_TEST

START_TEST(a_waiter_holds_back_what_is_later)
{
	struct seen seen = { .n = 0 };
	struct lp_waiter first = { 0 }, second = { 0 };
	struct lp_order *o;
	struct lp_when five = at(5, 2), seven = at(7, 0);

	ck_assert_int_eq(lp_order_new(&o, true, sink, &seen), LP_OK);
	put(o, 5, 1, 'a', 100, true);
	lp_order_wait(o, &second, &seven); /* out of order on purpose */
	lp_order_wait(o, &first, &five);
	put(o, 6, 0, 'c', 100, true);
	put(o, 6, 1, 'd', 300000, false);
	put(o, 8, 0, 'g', 5, true);
	check_text(&seen, "a");
	ck_assert_uint_gt(lp_order_held(o), 300000);
	lp_order_done(o, &second);
	put(o, 7, 0, 'e', 1, true);
	put(o, 7, 0, 'f', 1, true);
	lp_order_drain(o);
	check_text(&seen, "a");
	lp_order_done(o, &first);
	lp_order_done(o, &first); /* harmless */
	put(o, 5, 2, 'b', 70000, true);
	lp_order_drain(o);
	check_text(&seen, "abcdefg");
	ck_assert_uint_eq(lp_order_held(o), 0);
	lp_order_free(o);
}
END_TEST

START_TEST(live_never_waits)
{
	struct seen seen = { .n = 0 };
	struct lp_waiter w = { 0 };
	struct lp_order *o;
	struct lp_when one = at(1, 0);

	ck_assert_int_eq(lp_order_new(&o, false, sink, &seen), LP_OK);
	lp_order_wait(o, &w, &one);
	put(o, 2, 0, 'b', 3, true);
	check_text(&seen, "b");
	lp_order_done(o, &w);
	put(o, 1, 0, 'a', 3, true);
	check_text(&seen, "ba");
	lp_order_free(o);
}
END_TEST

/* Many sessions that wait and are answered in any order: the sink always sees the
 * same sequence. */
START_TEST(any_timing_gives_one_order)
{
	enum { SESSIONS = 200, EVENTS = 3 }; /* more events than the heap begins with */
	struct lp_waiter w[SESSIONS];
	struct seen seen;
	struct lp_order *o;

	srand((unsigned)_i);
	memset(w, 0, sizeof w);
	seen.n = 0;
	ck_assert_int_eq(lp_order_new(&o, true, sink, &seen), LP_OK);
	for (uint64_t s = 0; s < SESSIONS; s++) {
		struct lp_when when = at(10 * s, 3);

		put(o, 10 * s, 1, 'b', 8, true);
		lp_order_wait(o, &w[s], &when);
		put(o, 10 * s + 5, 0, 'o', 8, rand() % 2);
		if (rand() % 3 == 0)
			lp_order_drain(o);
	}
	for (int left = SESSIONS; left;) {
		uint64_t s = (uint64_t)rand() % SESSIONS;

		if (!w[s].waiting)
			continue;
		lp_order_done(o, &w[s]);
		for (uint32_t i = 0; i < EVENTS; i++)
			put(o, 10 * s + i * 4, i ? 0 : 3, 'd', 8, true);
		lp_order_drain(o);
		left--;
	}
	ck_assert_uint_eq(seen.n, SESSIONS * (2 + EVENTS));
	for (size_t i = 1; i < seen.n; i++)
		ck_assert(seen.number[i] > seen.number[i - 1] ||
			  (seen.number[i] == seen.number[i - 1] &&
			   seen.index[i] >= seen.index[i - 1]));
	lp_order_free(o);
}
END_TEST

/* The bytes of an event may outlive the queue's interest in them. */
START_TEST(a_chunk_lives_as_long_as_its_last_event)
{
	atomic_size_t held = 0;
	struct lp_chunk *c = lp_chunk_new(100, &held);
	uint8_t *first, *second;

	ck_assert_ptr_nonnull(c);
	ck_assert_uint_eq(held, 100);
	first = lp_chunk_room(c, 60);
	ck_assert_ptr_nonnull(first);
	ck_assert_ptr_eq(lp_chunk_room(c, 60), first); /* not taken: still room */
	lp_chunk_ref(c);
	c->used += 60;
	ck_assert_ptr_null(lp_chunk_room(c, 41));
	second = lp_chunk_room(c, 40);
	ck_assert_ptr_eq(second, first + 60);
	lp_chunk_ref(c);
	c->used += 40;
	lp_chunk_unref(c); /* the first event */
	ck_assert_ptr_null(lp_chunk_room(c, 1));
	lp_chunk_unref(c); /* the second */
	ck_assert_ptr_eq(lp_chunk_room(c, 100), first);
	ck_assert_uint_eq(c->top, 100);
	lp_chunk_ref(c);
	lp_chunk_unref(c); /* the filler's */
	ck_assert_uint_eq(held, 100);
	lp_chunk_unref(c);
	ck_assert_uint_eq(held, 0);
	lp_chunk_unref(NULL);
}
END_TEST

Suite *suite_order(void)
{
	Suite *s = suite_create("order");
	TCase *t = tcase_create("order");

	tcase_add_test(t, straight_through_when_nobody_waits);
	tcase_add_test(t, a_waiter_holds_back_what_is_later);
	tcase_add_test(t, live_never_waits);
	tcase_add_test(t, a_chunk_lives_as_long_as_its_last_event);
	tcase_add_loop_test(t, any_timing_gives_one_order, 0, 50);
	suite_add_tcase(s, t);
	return s;
}
