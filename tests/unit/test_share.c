/* share.c: each flow's segments to one worker, in order; seconds to all. */
#define _GNU_SOURCE
#include <check.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "share.h"

enum { WORKERS = 4, SEGMENTS = 4000, FLOWS = 100, PAYLOAD = 3000 };

struct one {
	struct lp_share *sh;
	struct lp_bell bell;
	size_t self;
	uint64_t segments, seconds, wrong, last;
	bool flow[FLOWS];
};

static void take(struct one *w, const struct lp_batch *b)
{
	if (b->second) {
		w->seconds++;
		w->wrong += b->n || b->number <= w->last; /* before what its packet brings */
		w->last = b->number - 1;
	}
	for (size_t i = 0; i < b->n; i++) {
		const struct lp_segment *s = &b->segment[i];
		uint16_t port = s->sport == 443 ? s->dport : s->sport;

		w->segments++;
		w->wrong += s->number <= w->last || s->clock_ns > b->now_ns;
		w->wrong += s->src[0] != (s->sport == 443 ? 2 : 1) ||
			    (s->payload_len && s->payload != s->tcp + 20);
		for (size_t k = 0; k < s->payload_len; k += 97)
			w->wrong += s->payload[k] != (uint8_t)s->number;
		w->last = s->number;
		w->flow[port % FLOWS] = true;
	}
}

static void *work(void *arg)
{
	struct one *w = arg;

	for (;;) {
		bool ended = lp_share_ended(w->sh);
		uint64_t reached = lp_share_reached(w->sh);
		const struct lp_batch *b = lp_share_front(w->sh, w->self);

		if (b) {
			take(w, b);
			lp_share_pop(w->sh, w->self);
			continue;
		}
		/* Nothing for this worker can come at what was reached or below. */
		if (w->last < reached)
			w->last = reached;
		if (ended)
			return NULL;
		lp_bell_arm(&w->bell);
		if (lp_share_front(w->sh, w->self) || lp_share_ended(w->sh) ||
		    lp_share_reached(w->sh) > reached)
			lp_bell_disarm(&w->bell);
		else
			lp_bell_sleep(&w->bell, -1, -1);
	}
}

/* The bytes are gone after the call, as a packet's are. */
static void give(struct lp_share *sh, uint64_t number, uint64_t ns)
{
	size_t n = (size_t)rand() % PAYLOAD;
	uint8_t *bytes = malloc(40 + n);
	bool back = rand() % 2;
	uint16_t port = (uint16_t)(1000 + rand() % FLOWS);
	struct lp_segment s = {
		.number = number, .ts_ns = ns, .clock_ns = ns, .family = 4,
		.src = bytes, .dst = bytes + 4, .tcp = bytes + 8, .tcp_len = (uint32_t)(20 + n),
		.payload = bytes + 28, .payload_len = (uint32_t)n, .wire_len = (uint32_t)n,
		.sport = back ? 443 : port, .dport = back ? port : 443,
	};

	memset(bytes, (int)(uint8_t)number, 40 + n);
	memset(bytes, back ? 2 : 1, 4);
	memset(bytes + 4, back ? 1 : 2, 4);
	lp_share_sink.segments(sh, &s, 1, ns);
	memset(bytes, 0xee, 40 + n);
	free(bytes);
}

START_TEST(all_of_a_flow_to_one)
{
	const struct lp_hash_seed seed = { 1, (uint64_t)_i };
	struct one w[WORKERS];
	pthread_t thread[WORKERS];
	size_t workers = 1 + (size_t)_i % WORKERS;
	uint64_t segments = 0, seconds = 0;
	struct lp_share *sh;

	srand((unsigned)_i);
	memset(w, 0, sizeof w);
	ck_assert_int_eq(lp_share_new(&sh, workers, _i % 2 ? 2 : 16, &seed), LP_OK);
	if (_i / 4 % 2)
		lp_share_eager(sh);
	for (size_t i = 0; i < workers; i++) {
		w[i].sh = sh;
		w[i].self = i;
		ck_assert_int_eq(lp_bell_init(&w[i].bell), LP_OK);
		lp_share_bell(sh, i, &w[i].bell);
		ck_assert_int_eq(pthread_create(&thread[i], NULL, work, &w[i]), 0);
	}
	for (uint64_t number = 1; number <= SEGMENTS; number++) {
		if (number % 100 == 0) {
			lp_share_sink.second(sh, number, number);
			seconds++;
		}
		give(sh, number, number);
	}
	lp_share_end(sh, 0, 0);
	for (size_t i = 0; i < workers; i++) {
		ck_assert_int_eq(pthread_join(thread[i], NULL), 0);
		ck_assert_uint_eq(w[i].wrong, 0);
		ck_assert_uint_eq(w[i].seconds, seconds);
		ck_assert_uint_eq(w[i].last, SEGMENTS);
		segments += w[i].segments;
		if (workers > 1) { /* a fair share */
			ck_assert_uint_gt(w[i].segments, SEGMENTS / workers / 3);
			for (size_t f = 0; f < FLOWS; f++)
				for (size_t k = 0; k < i; k++)
					ck_assert(!w[i].flow[f] || !w[k].flow[f]);
		}
		lp_bell_clear(&w[i].bell);
	}
	ck_assert_uint_eq(segments, SEGMENTS);
	ck_assert_int_eq(lp_share_fault(sh), LP_OK);
	lp_share_free(sh);
}
END_TEST

static const struct lp_batch *next_batch(struct lp_share *sh, size_t *segments)
{
	const struct lp_batch *b = lp_share_front(sh, 0);

	*segments += b ? b->n : 0;
	return b;
}

/* The worker takes nothing: the ring fills up, in full batches, and the reader goes on. */
START_TEST(live_a_full_ring_sheds)
{
	const struct lp_hash_seed seed = { 1, 2 };
	const size_t slots = 8;
	size_t n = 0, first, batches = 0;
	const struct lp_batch *b;
	struct lp_share *sh;
	uint64_t number = 0;

	ck_assert_int_eq(lp_share_new(&sh, 1, slots, &seed), LP_OK);
	lp_share_live(sh);
	number++;
	give(sh, number, number);
	number++;
	give(sh, number, number);
	ck_assert(lp_share_front(sh, 0)); /* who has nothing else gets it at once */
	ck_assert_uint_eq(lp_share_reached(sh), number);
	while (number < 4000) {
		number++;
		give(sh, number, number);
	}
	lp_share_sink.second(sh, number + 1, number); /* nor does time stop it */
	lp_share_sink.segments(sh, NULL, 0, number);
	ck_assert_uint_gt(lp_share_shed(sh), 0);
	ck_assert_uint_eq(lp_share_reached(sh), number);
	for (; (b = next_batch(sh, &n)); lp_share_pop(sh, 0)) {
		batches++;
		ck_assert(b->n == LP_SHARE_BATCH || batches <= slots / 4 || b->used > 100000);
		ck_assert(!b->second);
	}
	ck_assert_uint_eq(batches, slots);
	ck_assert_uint_eq(n + lp_share_shed(sh), number);
	first = n;
	/* There is room again: nothing is shed any more. */
	number++;
	give(sh, number, number);
	lp_share_sink.second(sh, number + 1, number);
	lp_share_end(sh, number, number);
	for (b = next_batch(sh, &n); b && !b->second; b = next_batch(sh, &n))
		lp_share_pop(sh, 0);
	ck_assert_uint_eq(n, first + 1);
	ck_assert(b && b->second);
	lp_share_pop(sh, 0);
	ck_assert(!lp_share_front(sh, 0));
	lp_share_free(sh);
}
END_TEST

static size_t pick(struct lp_share *sh, uint16_t port, bool back, uint32_t bytes)
{
	static const uint8_t client[4] = { 10, 0, 0, 1 }, server[4] = { 10, 0, 0, 2 };
	struct lp_segment s = {
		.family = 4, .src = back ? server : client, .dst = back ? client : server,
		.sport = back ? 443 : port, .dport = back ? port : 443, .tcp_len = bytes,
	};
	uint32_t tag = 0;
	size_t worker = lp_share_pick(sh, &s, &tag);

	ck_assert(tag);
	return worker;
}

/* A few connections are dealt out evenly, whatever their hashes and whoever is faster
 * at first; both directions to the same. */
START_TEST(eight_are_four_and_four)
{
	const struct lp_hash_seed seed = { (uint64_t)_i, 77 };
	size_t got[WORKERS] = { 0 }, worker[8], workers = _i % 2 ? 2 : 4;
	struct lp_share *sh;

	ck_assert_int_eq(lp_share_new(&sh, workers, 2, &seed), LP_OK);
	for (uint16_t i = 0; i < 8; i++) {
		worker[i] = pick(sh, (uint16_t)(1000 + i), false, 40);
		got[worker[i]]++;
		for (uint16_t k = 0; k < 300; k++)
			ck_assert_uint_eq(pick(sh, (uint16_t)(1000 + k % (i + 1U)), true,
					       k % (i + 1U) == (unsigned)_i % 8 ? 1460 : 400),
					  worker[k % (i + 1U)]);
	}
	for (size_t i = 0; i < workers; i++)
		ck_assert_uint_eq(got[i], 8 / workers);
	lp_share_free(sh);
}
END_TEST

/* Every second flow has nearly all the bytes: they do not all go to one. */
START_TEST(long_and_short_ones)
{
	const struct lp_hash_seed seed = { (uint64_t)_i, 78 };
	uint64_t bytes[2] = { 0 };
	struct lp_share *sh;

	ck_assert_int_eq(lp_share_new(&sh, 2, 2, &seed), LP_OK);
	for (uint16_t i = 0; i < 2000; i++) {
		size_t w = pick(sh, (uint16_t)(1000 + i), false, 40);

		for (int k = 0; k < (i % 2 ? 2 : 500); k++) {
			ck_assert_uint_eq(pick(sh, (uint16_t)(1000 + i), true, 1460), w);
			bytes[w] += 1460;
		}
	}
	ck_assert_uint_gt(bytes[0], bytes[1] / 100 * 80);
	ck_assert_uint_gt(bytes[1], bytes[0] / 100 * 80);
	lp_share_free(sh);
}
END_TEST

/* Lent bytes are not copied, others are; whatever is mixed. */
START_TEST(lent_bytes_stay_where_they_are)
{
	static uint8_t stays[100];
	const struct lp_hash_seed seed = { 1, 2 };
	struct lp_share *sh;
	struct lp_batch *b;

	ck_assert_int_eq(lp_share_new(&sh, 1, 2, &seed), LP_OK);
	lp_share_eager(sh);
	for (int i = 0; i < 4; i++) {
		uint8_t goes[100];
		uint8_t *at = i % 2 ? stays : goes;
		const struct lp_segment s = {
			.number = (uint64_t)i + 1, .family = 4, .src = at, .dst = at + 4,
			.tcp = at + 8, .tcp_len = 92, .payload = at + 28, .payload_len = 72,
			.lent = i % 2,
		};

		memset(at, i, 100);
		lp_share_sink.segments(sh, &s, 1, 1);
		memset(goes, 0xee, sizeof goes);
		b = lp_share_front(sh, 0);
		ck_assert_ptr_nonnull(b);
		ck_assert_uint_eq(b->n, 1);
		ck_assert_int_eq(b->segment[0].tcp == stays + 8, i % 2);
		ck_assert_int_eq(b->segment[0].payload == stays + 28, i % 2);
		ck_assert_int_eq(b->segment[0].src == stays, i % 2);
		ck_assert_uint_eq(b->segment[0].payload[71], i);
		ck_assert_uint_eq(b->segment[0].dst[0], i);
		lp_share_pop(sh, 0);
	}
	lp_share_end(sh, 4, 1);
	lp_share_free(sh);
}
END_TEST

struct ahead {
	struct lp_share *sh;
	uint64_t segments;
	uint64_t both; /* so many of the first alternate between two flows; the rest is the first's */
	uint64_t some; /* … but for each so manieth */
	bool lent;
	long naps;     /* of the reader */
	atomic_uint_fast64_t given;
};

static void *read_ahead(void *arg)
{
	static const uint8_t bytes[2][1000] = { { 1 }, { 2 } };
	struct ahead *a = arg;
	struct rusage use;

	for (uint64_t number = 1; number <= a->segments; number++) {
		const bool second = number <= a->both ? number % 2 : a->some && !(number % a->some);
		const uint8_t *p = bytes[second];
		const struct lp_segment s = {
			.number = number, .family = 4, .src = p, .dst = p + 4,
			.tcp = p, .tcp_len = sizeof bytes[0], .lent = a->lent,
		};

		lp_share_sink.segments(a->sh, &s, 1, 1);
		atomic_store(&a->given, number);
	}
	lp_share_end(a->sh, a->segments, 1);
	a->naps = getrusage(RUSAGE_THREAD, &use) ? -1 : use.ru_nvcsw;
	return NULL;
}

/* The segments that the reader had given when it came to rest. */
static uint64_t at_rest(struct ahead *a)
{
	uint64_t before = 0;

	do {
		before = atomic_load(&a->given);
		usleep(20000);
	} while (!before || atomic_load(&a->given) > before);
	return before;
}

static uint64_t take_from(struct ahead *a, size_t worker)
{
	const struct lp_batch *b;
	uint64_t n = 0;

	while ((b = lp_share_front(a->sh, worker)) != NULL) {
		n += b->n;
		lp_share_pop(a->sh, worker);
	}
	return n;
}

/* A reader waits where a worker has enough to do, although its ring has slots: of lent segments
 * for so many bytes (_i 0), of others for so many batches. All come in the end. */
START_TEST(what_waits_is_bounded)
{
	enum { SLOTS = 256, BOUND = 500000, COPIED = 32 * LP_SHARE_BATCH };
	const struct lp_hash_seed seed = { 1, 2 };
	const uint64_t most = _i ? COPIED : BOUND / 1000;
	struct ahead a = { .segments = 8000, .lent = !_i };
	uint64_t given, taken = 0;
	pthread_t thread;

	ck_assert_int_eq(lp_share_new(&a.sh, 1, SLOTS, &seed), LP_OK);
	if (a.lent)
		lp_share_bound(a.sh, BOUND);
	ck_assert_int_eq(pthread_create(&thread, NULL, read_ahead, &a), 0);
	given = at_rest(&a);
	ck_assert_uint_le(given, most + LP_SHARE_BATCH);
	ck_assert_uint_ge(given, most - LP_SHARE_BATCH);
	while (taken < a.segments)
		taken += take_from(&a, 0);
	ck_assert_uint_eq(taken, a.segments);
	ck_assert_int_eq(pthread_join(thread, NULL), 0);
	lp_share_free(a.sh);
}
END_TEST

/* Two had their part, then one gets all: for the other, once it has nothing to do, it is read
 * further ahead, but not without end; for one that never had anything (_i 1) it is not. */
START_TEST(further_for_one_that_starves)
{
	enum { SLOTS = 256, BOUND = 500000, BATCH = LP_SHARE_BATCH };
	const struct lp_hash_seed seed = { 1, 2 };
	struct ahead a = { .segments = 12000, .both = _i ? 0 : 2 * 6 * BATCH, .lent = true };
	uint64_t given, most, taken = 0;
	pthread_t thread;
	size_t other;

	ck_assert_int_eq(lp_share_new(&a.sh, 2, SLOTS, &seed), LP_OK);
	lp_share_bound(a.sh, BOUND);
	ck_assert_int_eq(pthread_create(&thread, NULL, read_ahead, &a), 0);
	given = at_rest(&a);
	/* Both have enough, or the other is not one to wait for. */
	ck_assert_uint_le(given, BOUND / 1000 + 3 * BATCH);
	if (!_i) {
		/* The first segment is the second flow's. */
		other = lp_share_front(a.sh, 0)->segment[0].number == 1 ? 0 : 1;
		taken = take_from(&a, other);
		given = at_rest(&a);
		most = 8 * BOUND / 1000 + a.both / 2; /* what was taken counts no more */
		ck_assert_uint_le(given, most + 3 * BATCH);
		ck_assert_uint_ge(given, most - BOUND / 2000 - 3 * BATCH);
		/* It starves still: soon there is more, although nothing has become of most. */
		for (int i = 0; i < 8; i++) {
			taken += lp_share_front(a.sh, !other)->n;
			lp_share_pop(a.sh, !other);
		}
		for (int i = 0; i < 5000 && atomic_load(&a.given) < given + 3 * BATCH; i++)
			usleep(1000);
		ck_assert_uint_ge(atomic_load(&a.given), given + 3 * BATCH);
	}
	while (taken < a.segments)
		taken += take_from(&a, 0) + take_from(&a, 1);
	ck_assert_uint_eq(taken, a.segments);
	ck_assert_int_eq(pthread_join(thread, NULL), 0);
	lp_share_free(a.sh);
}
END_TEST

/* Both have something to do, but one of them gets little: whenever it is nearly done, the reader
 * is woken for many batches, not for each. */
START_TEST(is_not_woken_for_each_batch)
{
	enum { SLOTS = 1024, BOUND = 4000000, SOME = 8, BATCHES = 48 };
	const struct lp_hash_seed seed = { 1, 2 };
	struct ahead a = { .segments = 26000, .some = SOME, .lent = true };
	uint64_t taken = 0;
	pthread_t thread;
	size_t hungry;

	ck_assert_int_eq(lp_share_new(&a.sh, 2, SLOTS, &seed), LP_OK);
	lp_share_bound(a.sh, BOUND);
	ck_assert_int_eq(pthread_create(&thread, NULL, read_ahead, &a), 0);
	(void)at_rest(&a);
	hungry = lp_share_front(a.sh, 0)->segment[0].number == 1 ? 1 : 0;
	for (int i = 0; i < BATCHES; i++) {
		const struct lp_batch *b;

		while (!(b = lp_share_front(a.sh, hungry)))
			usleep(1000);
		taken += b->n;
		lp_share_pop(a.sh, hungry);
		usleep(2000);
	}
	while (taken < a.segments)
		taken += take_from(&a, 0) + take_from(&a, 1);
	ck_assert_uint_eq(taken, a.segments);
	ck_assert_int_eq(pthread_join(thread, NULL), 0);
	ck_assert_int_gt(a.naps, 1);
	ck_assert_int_lt(a.naps, BATCHES / 2);
	lp_share_free(a.sh);
}
END_TEST

/* What comes back is used again before what never was: a long ring costs no memory while little
 * waits in it. All of it is there when it is full. */
START_TEST(few_batches_are_touched)
{
	enum { SLOTS = 64, ROUNDS = 3000 };
	static const uint8_t bytes[8] = { 1 };
	const struct lp_hash_seed seed = { 1, 2 };
	const struct lp_batch *seen[SLOTS + 1], *b;
	const size_t most = _i ? SLOTS : 3;
	size_t waiting = 0, known = 0, at;
	uint64_t in = 0, out = 0;
	struct lp_share *sh;

	ck_assert_int_eq(lp_share_new(&sh, 1, SLOTS, &seed), LP_OK);
	lp_share_eager(sh);
	srand(1);
	while (out < ROUNDS) {
		const struct lp_segment s = {
			.number = in + 1, .family = 4, .src = bytes, .dst = bytes + 4,
			.tcp = bytes, .tcp_len = sizeof bytes, .lent = true,
		};

		/* Full and empty now and then. */
		if (waiting < most && (!waiting || rand() % 64 < (in / 300 % 2 ? 20 : 44))) {
			lp_share_sink.segments(sh, &s, 1, 1);
			in++;
			waiting++;
			continue;
		}
		b = lp_share_front(sh, 0);
		ck_assert_ptr_nonnull(b);
		ck_assert_uint_eq(b->n, 1);
		ck_assert_uint_eq(b->segment[0].number, ++out);
		for (at = 0; at < known && seen[at] != b; at++)
			;
		if (at == known)
			seen[known++] = b;
		ck_assert_uint_le(known, most);
		lp_share_pop(sh, 0);
		waiting--;
	}
	ck_assert_uint_eq(known, most);
	while (lp_share_front(sh, 0))
		lp_share_pop(sh, 0);
	lp_share_end(sh, in, 1);
	lp_share_free(sh);
}
END_TEST

static void be_on(int cpu)
{
	cpu_set_t one;

	CPU_ZERO(&one);
	CPU_SET((size_t)cpu, &one);
	ck_assert_int_eq(sched_setaffinity(0, sizeof one, &one), 0);
}

/* The first two processors, or the same twice. */
static void two_of(int cpu[2])
{
	cpu_set_t may;
	int n = 0;

	ck_assert_int_eq(sched_getaffinity(0, sizeof may, &may), 0);
	for (int i = 0; i < CPU_SETSIZE && n < 2; i++)
		if (CPU_ISSET((size_t)i, &may))
			cpu[n++] = i;
	ck_assert_int_gt(n, 0);
	if (n == 1)
		cpu[1] = cpu[0];
}

/* The reader belongs beside the worker that has less to do, once that is much less. */
START_TEST(a_place_for_the_reader)
{
	enum { EACH = 40, LEAD = 16 };
	static const uint8_t bytes[2][1000] = { { 1 }, { 2 } };
	const struct lp_hash_seed seed = { 1, 2 };
	struct lp_share *sh;
	int cpu[2];

	two_of(cpu);
	ck_assert_int_eq(lp_share_new(&sh, 2, 64, &seed), LP_OK);
	ck_assert_int_eq(lp_share_place(sh, cpu[0]), cpu[0]);
	for (uint64_t n = 1; n <= (uint64_t)2 * EACH * LP_SHARE_BATCH; n++) {
		const uint8_t *p = bytes[n % 2];
		const struct lp_segment s = {
			.number = n, .family = 4, .src = p, .dst = p + 4,
			.tcp = p, .tcp_len = sizeof bytes[0], .lent = true,
		};

		lp_share_sink.segments(sh, &s, 1, 1);
	}
	/* Nothing is known of workers that have done nothing yet. */
	ck_assert_int_eq(lp_share_place(sh, cpu[0]), cpu[0]);
	for (size_t i = 0; i < 2; i++) {
		be_on(cpu[i]);
		lp_share_pop(sh, i);
	}
	for (int lead = 0; lead <= LEAD; lead++) {
		ck_assert_int_eq(lp_share_place(sh, cpu[0]), cpu[lead == LEAD]);
		ck_assert_int_eq(lp_share_place(sh, cpu[1]), cpu[1]);
		/* It is with nobody. */
		ck_assert_int_eq(lp_share_place(sh, CPU_SETSIZE), CPU_SETSIZE);
		lp_share_pop(sh, 1);
	}
	/* The other way round. */
	be_on(cpu[0]);
	for (int i = 0; i < 2 * LEAD + 1; i++)
		lp_share_pop(sh, 0);
	ck_assert_int_eq(lp_share_place(sh, cpu[0]), cpu[0]);
	ck_assert_int_eq(lp_share_place(sh, cpu[1]), cpu[0]);
	for (size_t i = 0; i < 2; i++)
		while (lp_share_front(sh, i))
			lp_share_pop(sh, i);
	lp_share_end(sh, 1, 1);
	lp_share_free(sh);
}
END_TEST

/* It goes there while it reads, not only when it has waited; and may go anywhere as before. */
START_TEST(goes_there_while_it_reads)
{
	enum { EACH = 40 };
	static const uint8_t bytes[2][1000] = { { 1 }, { 2 } };
	const struct lp_hash_seed seed = { 1, 2 };
	cpu_set_t both, after;
	struct lp_share *sh;
	bool moved = false;
	int cpu[2];

	two_of(cpu);
	if (cpu[0] == cpu[1]) {
		fprintf(stderr, "  a reader goes nowhere: there is one processor\n");
		return;
	}
	CPU_ZERO(&both);
	for (int i = 0; i < 2; i++)
		CPU_SET((size_t)cpu[i], &both);
	ck_assert_int_eq(lp_share_new(&sh, 2, 64, &seed), LP_OK);
	for (uint64_t n = 1; n <= (uint64_t)EACH * LP_SHARE_BATCH; n++) {
		/* A batch for each, then all are the first's. */
		const uint8_t *p = bytes[n <= 2 * LP_SHARE_BATCH ? n % 2 : 1];
		const struct lp_segment s = {
			.number = n, .family = 4, .src = p, .dst = p + 4,
			.tcp = p, .tcp_len = sizeof bytes[0], .lent = true,
		};

		lp_share_sink.segments(sh, &s, 1, 1);
		for (size_t i = 2; n == 2 * LP_SHARE_BATCH && i-- > 0;) {
			ck_assert_ptr_eq(lp_share_front(sh, i)->segment[0].src, bytes[1 - i]);
			be_on(cpu[i]);
			lp_share_pop(sh, i);
			ck_assert_int_eq(sched_setaffinity(0, sizeof both, &both), 0);
		}
		moved = moved || (n > 2 * LP_SHARE_BATCH && sched_getcpu() == cpu[1]);
	}
	ck_assert(moved);
	ck_assert_int_eq(sched_getaffinity(0, sizeof after, &after), 0);
	ck_assert(CPU_EQUAL(&both, &after));
	while (lp_share_front(sh, 0))
		lp_share_pop(sh, 0);
	lp_share_end(sh, 1, 1);
	lp_share_free(sh);
}
END_TEST

Suite *suite_share(void)
{
	Suite *s = suite_create("share");
	TCase *t = tcase_create("share");

	tcase_add_loop_test(t, all_of_a_flow_to_one, 0, 8);
	tcase_add_loop_test(t, what_waits_is_bounded, 0, 2);
	tcase_add_loop_test(t, further_for_one_that_starves, 0, 2);
	tcase_add_test(t, is_not_woken_for_each_batch);
	tcase_add_loop_test(t, few_batches_are_touched, 0, 2);
	tcase_add_test(t, a_place_for_the_reader);
	tcase_add_test(t, goes_there_while_it_reads);
	tcase_add_test(t, live_a_full_ring_sheds);
	tcase_add_loop_test(t, eight_are_four_and_four, 0, 16);
	tcase_add_loop_test(t, long_and_short_ones, 0, 4);
	tcase_add_test(t, lent_bytes_stay_where_they_are);
	suite_add_tcase(s, t);
	return s;
}
