/* merge.c: what several workers tell leaves in one order, whoever is fast. */
#define _GNU_SOURCE
#include <check.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "merge.h"

enum { SOURCES = 3, SEEN = 1 << 16 };

struct seen {
	struct lp_when when[SEEN];
	char text[SEEN];
	size_t n, wrong;
};

static void sink(void *user, struct lp_event *e)
{
	struct seen *s = user;

	s->wrong += s->n == SEEN;
	if (s->n == SEEN)
		return;
	for (size_t i = 0; i < e->n; i++)
		s->wrong += e->bytes[i] != (uint8_t)e->when.number;
	s->when[s->n] = e->when;
	s->text[s->n++] = (char)('a' + e->dir);
}

static struct lp_when at(uint64_t number, uint32_t index)
{
	return (struct lp_when){ .number = number, .index = index };
}

static void put(struct lp_merge *m, size_t source, uint64_t number, uint32_t index)
{
	struct lp_event e = { .when = at(number, index), .dir = (enum lp_dir)source };

	ck_assert(lp_merge_ready(m, source));
	lp_merge_put(m, source, &e);
}

static void reach(struct lp_merge *m, size_t source, uint64_t number, uint32_t index)
{
	const struct lp_when when = at(number, index);

	lp_merge_floor(m, source, &when);
}

static void check_text(const struct seen *s, const char *expected)
{
	ck_assert_uint_eq(s->n, strlen(expected));
	ck_assert_mem_eq(s->text, expected, s->n);
}

START_TEST(waits_for_who_may_be_earlier)
{
	struct seen *seen = calloc(1, sizeof *seen);
	struct lp_merge *m;
	struct lp_when when = at(9, 9);

	ck_assert_int_eq(lp_merge_new(&m, 2, 8, sink, seen), LP_OK);
	ck_assert(!lp_merge_take(m));
	put(m, 0, 1, 0);
	ck_assert(!lp_merge_take(m)); /* the other may still tell something at 0 */
	reach(m, 1, 1, 0);
	ck_assert(!lp_merge_take(m)); /* … or at the same place */
	reach(m, 1, 1, 1);
	ck_assert(lp_merge_take(m));
	check_text(seen, "a");
	put(m, 0, 3, 0);
	put(m, 0, 5, 0);
	put(m, 1, 4, 0);
	put(m, 1, 4, 1);
	ck_assert(lp_merge_take(m)); /* a 3, b 4, b 4; then 1 is empty and at 1.1 */
	check_text(seen, "aabb");
	ck_assert(lp_merge_earliest(m, &when));
	ck_assert_uint_eq(when.number, 0); /* 0 has never said anything */
	reach(m, 0, 6, 0);
	ck_assert(lp_merge_earliest(m, &when));
	ck_assert_uint_eq(when.number, 1);
	lp_merge_over(m, 1);
	ck_assert(lp_merge_take(m));
	check_text(seen, "aabba");
	ck_assert(lp_merge_earliest(m, &when));
	ck_assert_uint_eq(when.number, 6);
	lp_merge_over(m, 0);
	ck_assert(!lp_merge_earliest(m, &when));
	lp_merge_run(m); /* returns: all are over */
	lp_merge_free(m);
	free(seen);
}
END_TEST

START_TEST(live_nothing_waits_for_another)
{
	struct seen *seen = calloc(1, sizeof *seen);
	struct lp_merge *m;

	ck_assert_int_eq(lp_merge_new(&m, 2, 8, sink, seen), LP_OK);
	lp_merge_live(m);
	put(m, 0, 9, 0);
	put(m, 0, 9, 1);
	ck_assert(lp_merge_take(m)); /* the other has said nothing */
	check_text(seen, "aa");
	ck_assert_uint_eq(seen->when[1].index, 1);
	put(m, 1, 3, 0);
	put(m, 0, 2, 0); /* an answer that came late */
	ck_assert(lp_merge_take(m));
	check_text(seen, "aaab");
	ck_assert(!lp_merge_take(m));
	put(m, 1, 4, 0);
	lp_merge_over(m, 0);
	lp_merge_over(m, 1);
	lp_merge_run(m); /* takes what is there, and returns */
	check_text(seen, "aaabb");
	lp_merge_free(m);
	free(seen);
}
END_TEST

static void count_rotations(void *user, struct lp_event *e)
{
	*(unsigned *)user += e->kind == LP_EVENT_ROTATE;
}

START_TEST(files_are_opened_anew_by_the_output_thread)
{
	unsigned rotated = 0;
	struct lp_merge *m;

	ck_assert_int_eq(lp_merge_new(&m, 1, 8, count_rotations, &rotated), LP_OK);
	(void)lp_merge_take(m);
	ck_assert_uint_eq(rotated, 0);
	lp_merge_rotate(m);
	lp_merge_rotate(m);
	ck_assert_uint_eq(rotated, 0);
	(void)lp_merge_take(m);
	(void)lp_merge_take(m);
	ck_assert_uint_eq(rotated, 1);
	lp_merge_free(m);
}
END_TEST

START_TEST(tells_when_all_others_have_passed)
{
	struct seen *seen = calloc(1, sizeof *seen);
	struct lp_bell bell;
	struct lp_merge *m;
	struct lp_when place = at(7, 2);

	ck_assert_int_eq(lp_bell_init(&bell), LP_OK);
	ck_assert_int_eq(lp_merge_new(&m, SOURCES, 8, sink, seen), LP_OK);
	lp_merge_bell(m, 1, &bell);
	ck_assert(!lp_merge_passed(m, 1, &place));
	reach(m, 0, 7, 3);
	reach(m, 2, 7, 2);
	ck_assert(!lp_merge_passed(m, 1, &place));
	lp_merge_watch(m, 1, true);
	ck_assert(!lp_merge_passed(m, 1, &place));
	lp_bell_arm(&bell);
	reach(m, 2, 7, 3);
	lp_bell_sleep(&bell, -1, -1); /* was rung */
	ck_assert(lp_merge_passed(m, 1, &place));
	ck_assert(!lp_merge_passed(m, 0, &place)); /* 1 is at the start */
	lp_merge_over(m, 1);
	ck_assert(lp_merge_passed(m, 0, &place));
	lp_merge_free(m);
	lp_bell_clear(&bell);
	free(seen);
}
END_TEST

START_TEST(a_full_ring_says_no_and_rings_later)
{
	struct seen *seen = calloc(1, sizeof *seen);
	struct lp_bell bell;
	struct lp_merge *m;

	ck_assert_int_eq(lp_bell_init(&bell), LP_OK);
	ck_assert_int_eq(lp_merge_new(&m, 1, 4, sink, seen), LP_OK);
	lp_merge_bell(m, 0, &bell);
	for (uint64_t i = 0; i < 4; i++)
		put(m, 0, i, 0);
	lp_bell_arm(&bell);
	ck_assert(!lp_merge_ready(m, 0));
	ck_assert(lp_merge_take(m)); /* alone, it waits for nobody */
	ck_assert_uint_eq(seen->n, 4);
	lp_bell_sleep(&bell, -1, -1); /* was rung */
	ck_assert(lp_merge_ready(m, 0));
	lp_merge_free(m);
	lp_bell_clear(&bell);
	free(seen);
}
END_TEST

/* ---- the output thread's sleep ---- */

struct sleeper {
	struct lp_merge *m;
	atomic_size_t seen;
	long naps;
};

static void count(void *user, struct lp_event *e)
{
	struct sleeper *s = user;

	(void)e;
	atomic_fetch_add(&s->seen, 1);
}

static void *run_and_count(void *arg)
{
	struct sleeper *s = arg;
	struct rusage use;

	lp_merge_run(s->m);
	s->naps = getrusage(RUSAGE_THREAD, &use) ? -1 : use.ru_nvcsw;
	return NULL;
}

static void expect_seen(struct sleeper *s, size_t n)
{
	for (int i = 0; i < 5000 && atomic_load(&s->seen) < n; i++)
		usleep(1000);
	ck_assert_uint_eq(atomic_load(&s->seen), n);
}

/* An event waits for sources that are behind: who is ahead may go on without waking anybody;
 * who comes past it wakes the thread, and it leaves. */
START_TEST(wakes_for_who_comes_past)
{
	enum { FLOORS = 400 };
	struct sleeper s = { .m = NULL };
	pthread_t thread;

	ck_assert_int_eq(lp_merge_new(&s.m, 2, 64, count, &s), LP_OK);
	ck_assert_int_eq(pthread_create(&thread, NULL, run_and_count, &s), 0);
	for (uint64_t round = 0; round < 3; round++) {
		const uint64_t first = 1000 * round;

		reach(s.m, 1, first, 0);
		put(s.m, 0, first + 500, 0);
		lp_merge_news(s.m, 0);
		for (uint64_t i = 0; i < FLOORS; i++) {
			reach(s.m, 0, first + 500 + i, 1);
			reach(s.m, 1, first + 1 + i, 0);
			lp_merge_news(s.m, 0);
			usleep(20);
		}
		ck_assert_uint_eq(atomic_load(&s.seen), round);
		/* At the place itself it may still bring something earlier. */
		reach(s.m, 1, first + 500, 0);
		reach(s.m, 1, first + 501, 0);
		expect_seen(&s, round + 1);
	}
	lp_merge_over(s.m, 0);
	lp_merge_over(s.m, 1);
	ck_assert_int_eq(pthread_join(thread, NULL), 0);
	ck_assert_int_ge(s.naps, 0);
	ck_assert_int_lt(s.naps, FLOORS / 4);
	lp_merge_free(s.m);
}
END_TEST

/* ---- workers as they will be: an order each, answers that come late ---- */

enum { NUMBERS = 3000, WAITING = 16 };

struct worker {
	struct lp_merge *m;
	struct lp_order *order;
	struct lp_bell bell;
	size_t self, workers;
	unsigned seed;
	struct lp_waiter waiter[WAITING];
	uint64_t at[WAITING];   /* the packet whose answer is waited for */
	size_t wrong;
};

static void hand_on(void *user, struct lp_event *e)
{
	struct worker *w = user;

	lp_merge_put(w->m, w->self, e);
}

static bool has_room(void *user)
{
	struct worker *w = user;

	return lp_merge_ready(w->m, w->self);
}

static void tell(struct worker *w, uint64_t number, uint32_t index)
{
	struct lp_event e = { .when = at(number, index), .dir = LP_C2S, .n = number % 50 };
	uint8_t bytes[50], *room = bytes;
	bool roomy = number % 2;

	if (roomy && lp_order_room(w->order, e.n, &room)) {
		w->wrong++;
		return;
	}
	memset(room, (int)(uint8_t)number, e.n);
	e.bytes = room;
	w->wrong += lp_order_put(w->order, &e, roomy) != LP_OK;
	memset(bytes, 0xee, sizeof bytes);
}

static void say_floor(struct worker *w, uint64_t number)
{
	const struct lp_when *next, own = at(number, 0);

	lp_order_drain(w->order);
	next = lp_order_next(w->order);
	lp_merge_floor(w->m, w->self, next && lp_when_compare(next, &own) < 0 ? next : &own);
}

/* Until all has gone into the ring. */
static void say_all(struct worker *w)
{
	for (;;) {
		say_floor(w, NUMBERS + 1);
		if (!lp_order_next(w->order))
			return;
		lp_bell_arm(&w->bell);
		if (has_room(w))
			lp_bell_disarm(&w->bell);
		else
			lp_bell_sleep(&w->bell, -1, -1);
	}
}

static void answer(struct worker *w, size_t i)
{
	lp_order_done(w->order, &w->waiter[i]);
	tell(w, w->at[i], 1);
	tell(w, w->at[i], 2);
}

static void *work(void *arg)
{
	struct worker *w = arg;
	size_t slot;

	for (uint64_t number = 1; number <= NUMBERS; number++) {
		if ((number * 0x9e3779b97f4a7c15U >> 32) % w->workers == w->self) {
			struct lp_when when = at(number, 1);

			tell(w, number, 0);
			slot = (size_t)rand_r(&w->seed) % WAITING;
			if (w->waiter[slot].waiting)
				answer(w, slot);
			w->at[slot] = number;
			lp_order_wait(w->order, &w->waiter[slot], &when);
		}
		slot = (size_t)rand_r(&w->seed) % WAITING;
		if (w->waiter[slot].waiting && rand_r(&w->seed) % 2)
			answer(w, slot);
		if (rand_r(&w->seed) % 8 == 0)
			say_floor(w, number + 1);
		if (rand_r(&w->seed) % 64 == 0)
			sched_yield();
	}
	for (slot = 0; slot < WAITING; slot++)
		if (w->waiter[slot].waiting)
			answer(w, slot);
	say_all(w);
	lp_merge_over(w->m, w->self);
	return NULL;
}

static void *output(void *arg)
{
	lp_merge_run(arg);
	return NULL;
}

START_TEST(any_speed_gives_one_order)
{
	struct seen *seen = calloc(1, sizeof *seen);
	size_t workers = 1 + (size_t)_i % 4;
	struct worker w[4];
	pthread_t thread[4], out;
	struct lp_merge *m;

	memset(w, 0, sizeof w);
	ck_assert_int_eq(lp_merge_new(&m, workers, _i % 2 ? 1024 : 8, sink, seen), LP_OK);
	if (_i / 4 % 2)
		lp_merge_eager(m);
	for (size_t i = 0; i < workers; i++) {
		w[i].m = m;
		w[i].self = i;
		w[i].workers = workers;
		w[i].seed = (unsigned)(_i * 16) + (unsigned)i;
		ck_assert_int_eq(lp_order_new(&w[i].order, true, hand_on, &w[i]), LP_OK);
		lp_order_hand_over(w[i].order, has_room);
		ck_assert_int_eq(lp_bell_init(&w[i].bell), LP_OK);
		lp_merge_bell(m, i, &w[i].bell);
	}
	ck_assert_int_eq(pthread_create(&out, NULL, output, m), 0);
	for (size_t i = 0; i < workers; i++)
		ck_assert_int_eq(pthread_create(&thread[i], NULL, work, &w[i]), 0);
	for (size_t i = 0; i < workers; i++)
		ck_assert_int_eq(pthread_join(thread[i], NULL), 0);
	ck_assert_int_eq(pthread_join(out, NULL), 0);
	ck_assert_uint_eq(seen->wrong, 0);
	ck_assert_uint_eq(seen->n, 3 * NUMBERS);
	for (size_t i = 0; i < seen->n; i++) {
		ck_assert_uint_eq(seen->when[i].number, 1 + i / 3);
		ck_assert_uint_eq(seen->when[i].index, i % 3);
	}
	lp_merge_free(m);
	for (size_t i = 0; i < workers; i++) {
		ck_assert_uint_eq(w[i].wrong, 0);
		lp_order_free(w[i].order);
		lp_bell_clear(&w[i].bell);
	}
	free(seen);
}
END_TEST

Suite *suite_merge(void)
{
	Suite *s = suite_create("merge");
	TCase *t = tcase_create("merge");

	tcase_add_test(t, waits_for_who_may_be_earlier);
	tcase_add_test(t, live_nothing_waits_for_another);
	tcase_add_test(t, files_are_opened_anew_by_the_output_thread);
	tcase_add_test(t, tells_when_all_others_have_passed);
	tcase_add_test(t, a_full_ring_says_no_and_rings_later);
	tcase_add_test(t, wakes_for_who_comes_past);
	tcase_add_loop_test(t, any_speed_gives_one_order, 0, 16);
	suite_add_tcase(s, t);
	return s;
}
