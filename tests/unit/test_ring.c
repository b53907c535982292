/* base/ring.c and base/bell.c: one thread to another, nothing lost, nobody asleep for good. */
#include <check.h>
#include <pthread.h>
#include <sched.h>
#include <stdint.h>

#include "base/bell.h"
#include "base/clock.h"
#include "base/ring.h"

struct item {
	uint64_t number, twice;
};

static bool push(struct lp_ring *r, uint64_t number)
{
	struct item *it = lp_ring_room(r);

	if (!it)
		return false;
	*it = (struct item){ number, 2 * number };
	lp_ring_push(r);
	return true;
}

START_TEST(keeps_the_order_and_its_bound)
{
	struct lp_ring r;
	uint64_t in = 0, out = 0;
	const struct item *second;
	struct item *it;

	ck_assert_int_eq(lp_ring_init(&r, 4, sizeof(struct item)), LP_OK);
	ck_assert_ptr_null(lp_ring_front(&r));
	ck_assert_ptr_eq(lp_ring_room(&r), lp_ring_room(&r)); /* until it is pushed */
	for (int round = 0; round < 10; round++) {
		int fill = 1 + round % 4;

		for (int i = 0; i < fill; i++)
			ck_assert(push(&r, in++));
		ck_assert_uint_eq(lp_ring_count(&r), (size_t)fill);
		ck_assert_uint_eq(((const struct item *)lp_ring_last(&r))->number, in - 1);
		ck_assert_int_eq(push(&r, in), fill < 4);
		in += fill < 4;
		while ((it = lp_ring_front(&r))) {
			ck_assert_uint_eq(it->number, out);
			ck_assert_uint_eq(it->twice, 2 * out);
			ck_assert_ptr_eq(lp_ring_front(&r), it);
			second = lp_ring_second(&r);
			ck_assert_int_eq(second != NULL, lp_ring_count(&r) > 1);
			ck_assert(!second || second->number == out + 1);
			lp_ring_pop(&r);
			out++;
		}
		ck_assert_uint_eq(out, in);
		ck_assert_uint_eq(lp_ring_count(&r), 0);
	}
	lp_ring_clear(&r);
}
END_TEST

START_TEST(the_counts_may_wrap)
{
	struct lp_ring r;
	struct item *it;

	ck_assert_int_eq(lp_ring_init(&r, 2, sizeof(struct item)), LP_OK);
	/* As if so many had gone through it. */
	atomic_store(&r.pushed, SIZE_MAX);
	atomic_store(&r.popped, SIZE_MAX);
	r.popped_seen = SIZE_MAX;
	r.pushed_seen = SIZE_MAX;
	ck_assert_ptr_null(lp_ring_front(&r));
	ck_assert(push(&r, 1));
	ck_assert(push(&r, 2));
	ck_assert(!push(&r, 3));
	ck_assert_uint_eq(lp_ring_count(&r), 2);
	for (uint64_t i = 1; i <= 2; i++) {
		it = lp_ring_front(&r);
		ck_assert_ptr_nonnull(it);
		ck_assert_uint_eq(it->number, i);
		lp_ring_pop(&r);
	}
	ck_assert_ptr_null(lp_ring_front(&r));
	lp_ring_clear(&r);
}
END_TEST

/* Two threads; each sleeps when it can do nothing. Check's assertions belong to the main
 * thread, so the other only counts. */
struct pair {
	struct lp_ring ring;
	struct lp_bell full, empty; /* what each side sleeps on */
	uint64_t n, wrong, sum, sleeps;
};

static void *consumer(void *arg)
{
	struct pair *p = arg;
	struct item *it;

	for (uint64_t next = 0; next < p->n;) {
		it = lp_ring_front(&p->ring);
		if (!it) {
			lp_bell_arm(&p->empty);
			if (lp_ring_front(&p->ring)) {
				lp_bell_disarm(&p->empty);
				continue;
			}
			lp_bell_sleep(&p->empty, -1, -1);
			p->sleeps++;
			continue;
		}
		p->wrong += it->number != next || it->twice != 2 * next;
		p->sum += it->number;
		next++;
		lp_ring_pop(&p->ring);
		lp_bell_ring(&p->full);
	}
	return NULL;
}

START_TEST(two_threads)
{
	static const size_t slots[] = { 1, 2, 64 };
	struct pair p = { .n = 30000 };
	pthread_t thread;

	ck_assert_int_eq(lp_ring_init(&p.ring, slots[_i], sizeof(struct item)), LP_OK);
	ck_assert_int_eq(lp_bell_init(&p.full), LP_OK);
	ck_assert_int_eq(lp_bell_init(&p.empty), LP_OK);
	ck_assert_int_eq(pthread_create(&thread, NULL, consumer, &p), 0);
	for (uint64_t i = 0; i < p.n;) {
		if (push(&p.ring, i)) {
			lp_bell_ring(&p.empty);
			i++;
			if (i % 1000 == 0)
				sched_yield(); /* now and then the other finds nothing */
			continue;
		}
		lp_bell_arm(&p.full);
		if (lp_ring_room(&p.ring))
			lp_bell_disarm(&p.full);
		else
			lp_bell_sleep(&p.full, -1, -1);
	}
	ck_assert_int_eq(pthread_join(thread, NULL), 0);
	ck_assert_uint_eq(p.wrong, 0);
	ck_assert_uint_eq(p.sum, p.n * (p.n - 1) / 2);
	lp_bell_clear(&p.empty);
	lp_bell_clear(&p.full);
	lp_ring_clear(&p.ring);
}
END_TEST

START_TEST(a_bell_rings_for_who_sleeps)
{
	struct lp_bell b, other;
	uint64_t begin;

	ck_assert_int_eq(lp_bell_init(&b), LP_OK);
	ck_assert_int_eq(lp_bell_init(&other), LP_OK);
	lp_bell_ring(&b); /* nobody sleeps, nobody looks: forgotten */
	begin = lp_clock_mono();
	lp_bell_arm(&b);
	lp_bell_sleep(&b, -1, 30);
	ck_assert_uint_ge(lp_clock_mono() - begin, 29 * 1000000);
	/* Rung after it was armed and before it sleeps. */
	lp_bell_arm(&b);
	lp_bell_ring(&b);
	lp_bell_sleep(&b, -1, -1);
	/* The other descriptor. */
	lp_bell_arm(&other);
	lp_bell_ring(&other);
	lp_bell_arm(&b);
	lp_bell_sleep(&b, other.fd, -1);
	/* Each ring wakes one sleep. */
	begin = lp_clock_mono();
	lp_bell_arm(&b);
	lp_bell_sleep(&b, -1, 30);
	ck_assert_uint_ge(lp_clock_mono() - begin, 29 * 1000000);
	lp_bell_clear(&other);
	lp_bell_clear(&b);
}
END_TEST

Suite *suite_ring(void)
{
	Suite *s = suite_create("ring");
	TCase *t = tcase_create("ring");

	tcase_set_timeout(t, 60); /* two threads on one slot change places for each item */
	tcase_add_test(t, keeps_the_order_and_its_bound);
	tcase_add_test(t, the_counts_may_wrap);
	tcase_add_loop_test(t, two_threads, 0, 3);
	tcase_add_test(t, a_bell_rings_for_who_sleeps);
	suite_add_tcase(s, t);
	return s;
}
