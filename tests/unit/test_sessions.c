/* secrets/sessions.c: the cache of master secrets. */
#define _GNU_SOURCE
#include <check.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/secret.h"
#include "help_tool.h"
#include "secrets/sessions.h"

enum { LIFE_NS = 1000000 };

static struct lp_sessions *make(uint64_t max, uint64_t max_bytes, uint64_t lifetime_ns)
{
	const struct lp_sessions_config c = { { 3, 4 }, max, max_bytes, lifetime_ns };
	struct lp_sessions *s;

	ck_assert_int_eq(lp_sessions_new(&s, &c), LP_OK);
	return s;
}

static struct lp_when at(uint64_t number)
{
	return (struct lp_when){ .number = number, .released_ns = number * 1000 };
}

static void put_for(struct lp_sessions *s, const char *name, int secret, uint64_t number,
		    uint64_t left_ns)
{
	struct lp_session_secret bytes = { .version = 0x303, .suite = 0x2f, .ems = 1 };
	struct lp_when when = at(number);

	memset(bytes.master, secret, sizeof bytes.master);
	ck_assert_int_eq(lp_sessions_put(s, LP_NAME_ID, lp_span_of(name, strlen(name)), &bytes,
					 &when, left_ns), LP_OK);
}

static void put(struct lp_sessions *s, const char *name, int secret, uint64_t number)
{
	put_for(s, name, secret, number, 0);
}

/* The first byte of the secret, or -1. */
static int find(struct lp_sessions *s, const char *name, uint64_t number, unsigned nth)
{
	struct lp_session_secret bytes;
	struct lp_when when = at(number);

	if (!lp_sessions_find(s, LP_NAME_ID, lp_span_of(name, strlen(name)), &when, &nth, &bytes))
		return -1;
	ck_assert_uint_eq(bytes.master[47], bytes.master[0]);
	ck_assert_uint_eq(bytes.version, 0x303);
	ck_assert_uint_eq(bytes.suite, 0x2f);
	ck_assert_int_eq(bytes.ems, 1);
	return bytes.master[0];
}

static struct lp_sessions_stats stats_of(struct lp_sessions *s)
{
	struct lp_sessions_stats stats;

	lp_sessions_stats(s, &stats);
	return stats;
}

START_TEST(found_by_name_and_kind)
{
	struct lp_sessions *s = make(100, 0, LIFE_NS);
	struct lp_session_secret bytes;
	struct lp_when when = at(9);
	unsigned nth = 0;

	ck_assert_int_eq(find(s, "a", 9, 0), -1);
	put(s, "a", 1, 1);
	put(s, "b", 2, 2);
	put(s, "", 3, 3); /* an empty ID names nothing */
	ck_assert_int_eq(find(s, "a", 9, 0), 1);
	ck_assert_int_eq(find(s, "b", 9, 0), 2);
	ck_assert_int_eq(find(s, "", 9, 0), -1);
	ck_assert(!lp_sessions_find(s, LP_NAME_TICKET, lp_span_of("a", 1), &when, &nth, &bytes));
	ck_assert_uint_eq(stats_of(s).hits, 0); /* found is not yet proven */
	lp_sessions_hit(s);
	lp_sessions_missed(s);
	ck_assert_uint_eq(stats_of(s).hits, 1);
	ck_assert_uint_eq(stats_of(s).misses, 1);
	ck_assert_uint_eq(stats_of(s).stored, 2);
	lp_sessions_free(s);
}
END_TEST

START_TEST(only_what_was_not_learned_later)
{
	struct lp_sessions *s = make(100, 0, LIFE_NS);

	put(s, "a", 1, 5);
	ck_assert_int_eq(find(s, "a", 4, 0), -1);
	/* Places are of one connection, and that is in order. */
	ck_assert_int_eq(find(s, "a", 5, 0), 1);
	ck_assert_int_eq(find(s, "a", 6, 0), 1);
	lp_sessions_free(s);
}
END_TEST

START_TEST(two_servers_one_id)
{
	struct lp_sessions *s = make(100, 0, LIFE_NS);
	struct lp_session_secret bytes;
	struct lp_when when = at(9);
	unsigned nth = 3;

	put(s, "a", 1, 1);
	put(s, "a", 2, 2);
	put(s, "a", 1, 3); /* seen again, not doubled */
	ck_assert_int_eq(find(s, "a", 9, 0), 2);
	ck_assert_int_eq(find(s, "a", 9, 1), 1);
	ck_assert_int_eq(find(s, "a", 9, 2), -1);
	ck_assert(!lp_sessions_find(s, LP_NAME_ID, lp_span_of("a", 1), &when, &nth, &bytes));
	ck_assert_uint_eq(nth, 1); /* two were passed */
	for (int i = 10; i < 20; i++)
		put(s, "a", i, (uint64_t)i);
	ck_assert_int_eq(find(s, "a", 30, LP_SESSIONS_SAME - 1), 16);
	ck_assert_int_eq(find(s, "a", 30, LP_SESSIONS_SAME), -1);
	ck_assert_uint_eq(stats_of(s).evicted, 8);
	lp_sessions_free(s);
}
END_TEST

/* A slow warden puts them in another order: look-ups see the same. */
START_TEST(the_order_is_that_of_places)
{
	struct lp_sessions *s = make(100, 0, LIFE_NS);

	put(s, "a", 7, 7);
	put(s, "a", 3, 3);
	put(s, "a", 5, 5);
	for (unsigned i = 0; i < 3; i++)
		ck_assert_int_eq(find(s, "a", 9, i), 7 - 2 * (int)i);
	ck_assert_int_eq(find(s, "a", 6, 0), 5);
	/* The same secret from an earlier place. */
	put(s, "a", 7, 2);
	ck_assert_int_eq(find(s, "a", 2, 0), 7);
	ck_assert_int_eq(find(s, "a", 9, 2), 7);
	/* One that has ended is not seen at a place after its end, erased or not. */
	ck_assert_int_eq(find(s, "a", 3 + LIFE_NS / 1000 - 1, 2), 7);
	ck_assert_int_eq(find(s, "a", 3 + LIFE_NS / 1000, 1), 7);
	ck_assert_int_eq(find(s, "a", 3 + LIFE_NS / 1000, 2), -1);
	lp_sessions_expire(s, 3 * 1000 + LIFE_NS, 0);
	ck_assert_uint_eq(stats_of(s).expired, 1);
	lp_sessions_free(s);
}
END_TEST

/* Whoever tells of it first, and whether or not the first entry was erased meanwhile. */
START_TEST(learned_again_after_its_end)
{
	struct lp_sessions *s = make(100, 0, LIFE_NS);

	put(s, "a", 1, _i & 1 ? 2001 : 1);
	if (_i & 2)
		lp_sessions_expire(s, 999 * 1000, 0);
	put(s, "a", 1, _i & 1 ? 1 : 2001);
	put(s, "a", 1, 2002);
	ck_assert_int_eq(find(s, "a", 500, 0), 1);
	ck_assert_int_eq(find(s, "a", 500, 1), -1);
	ck_assert_int_eq(find(s, "a", 1500, 0), -1);
	ck_assert_int_eq(find(s, "a", 3001, 0), 1);
	ck_assert_int_eq(find(s, "a", 3001, 1), -1);
	ck_assert_int_eq(find(s, "a", 3002, 0), -1);
	lp_sessions_expire(s, 1500 * 1000, 0);
	ck_assert_uint_eq(stats_of(s).expired, 1);
	ck_assert_int_eq(find(s, "a", 2500, 0), 1);
	ck_assert_uint_eq(stats_of(s).stored, 2);
	lp_sessions_free(s);
}
END_TEST

/* One packet may release much: timers of many flows, then what it brings itself. */
START_TEST(places_within_a_packet)
{
	static const struct {
		struct lp_when when;
		bool sees;
	} at_five[] = {
		{ { .number = 5, .tick = 100, .flow = 7, .index = 9 }, true }, /* the place itself */
		{ { .number = 5, .tick = 100, .flow = 7, .index = 8 }, false },
		{ { .number = 5, .tick = 100, .flow = 7, .index = 10 }, true },
		{ { .number = 5, .tick = 100, .flow = 3, .index = 20 }, false },
		{ { .number = 5, .tick = 100, .flow = 8, .index = 0 }, true },
		{ { .number = 5, .tick = 99, .flow = 8, .index = 20 }, false },
		{ { .number = 5, .tick = 101, .flow = 1, .index = 0 }, true },
		{ { .number = 5, .tick = LP_TICK_NONE, .index = 0 }, true },
		{ { .number = 4, .tick = LP_TICK_NONE, .index = 99 }, false },
	};
	const struct lp_when when = { .number = 5, .tick = 100, .flow = 7, .index = 9 };
	struct lp_sessions *s = make(100, 0, LIFE_NS);
	struct lp_session_secret bytes = { .master = { 1 } };
	const lp_span name = lp_span_of("a", 1);

	ck_assert_int_eq(lp_sessions_put(s, LP_NAME_ID, name, &bytes, &when, 0), LP_OK);
	for (size_t i = 0; i < sizeof at_five / sizeof at_five[0]; i++) {
		unsigned nth = 0;

		ck_assert_int_eq(lp_sessions_find(s, LP_NAME_ID, name, &at_five[i].when, &nth,
						  &bytes), at_five[i].sees);
	}
	lp_sessions_free(s);
}
END_TEST

/* Six times, in every order: from the first to the fourth it never ended, and from the
 * fifth to the sixth. */
START_TEST(learned_again_in_any_order)
{
	static const uint64_t seen[] = { 1, 600, 1500, 1501, 4000, 4999 };
	enum { TIMES = 6, ORDERS = 720 };

	for (int order = 0; order < ORDERS; order++) {
		struct lp_sessions *s = make(100, 0, LIFE_NS);
		unsigned left = 63;

		for (int i = TIMES, rest = order; i > 0; rest /= i--) {
			int skip = rest % i, which = 0;

			while (!(left & 1U << which) || skip--)
				which++;
			left &= ~(1U << which);
			put(s, "a", 1, seen[which]);
		}
		ck_assert_int_eq(find(s, "a", 0, 0), -1);
		for (uint64_t number = 2; number < 6100; number += 33)
			ck_assert_int_eq(find(s, "a", number, 0),
					 number < 2501 || (number > 4000 && number < 5999) ? 1 : -1);
		ck_assert_uint_eq(stats_of(s).entries, 2);
		ck_assert_uint_eq(stats_of(s).stored, 2);
		lp_sessions_expire(s, 2501 * 1000, 0);
		ck_assert_uint_eq(stats_of(s).expired, 1);
		lp_sessions_expire(s, 5999 * 1000, 0);
		ck_assert_uint_eq(stats_of(s).entries, 0);
		lp_sessions_free(s);
	}
}
END_TEST

START_TEST(the_cap_drops_the_least_used)
{
	struct lp_sessions *s = make(5000, 0, 1000000000);
	char name[16];

	put(s, "dear", 7, 1);
	for (int i = 0; i < 20000; i++) {
		snprintf(name, sizeof name, "%d", i);
		put(s, name, i, 2);
		ck_assert_int_eq(find(s, "dear", 9, 0), 7);
	}
	ck_assert_uint_eq(stats_of(s).entries, 5000);
	ck_assert_uint_eq(stats_of(s).peak, 5000);
	ck_assert_uint_eq(stats_of(s).evicted, 20001 - 5000);
	ck_assert_int_eq(find(s, "19999", 9, 0), 19999 & 255);
	ck_assert_int_eq(find(s, "0", 9, 0), -1);
	for (int i = 20000 - 4999; i < 20000; i++) {
		snprintf(name, sizeof name, "%d", i);
		ck_assert_int_eq(find(s, name, 9, 0), i & 255);
	}
	lp_sessions_free(s);
}
END_TEST

/* The order in which entries go is that of their last use, whatever their age. */
START_TEST(last_use_counts)
{
	struct lp_sessions *s = make(3, 0, LIFE_NS);

	put(s, "a", 1, 1);
	put(s, "b", 2, 2);
	put(s, "c", 3, 3);
	ck_assert_int_eq(find(s, "a", 9, 0), 1);
	put(s, "d", 4, 4);
	ck_assert_int_eq(find(s, "b", 9, 0), -1);
	put(s, "e", 5, 5);
	ck_assert_int_eq(find(s, "c", 9, 0), -1);
	put(s, "f", 6, 6);
	ck_assert_int_eq(find(s, "a", 9, 0), -1);
	ck_assert_int_eq(find(s, "d", 9, 0), 4);
	lp_sessions_free(s);
}
END_TEST

START_TEST(lifetimes_end_by_the_clock)
{
	struct lp_sessions *s = make(100, 0, 5000);

	put(s, "a", 1, 1);
	put(s, "b", 2, 4);
	put_for(s, "short", 3, 4, 500);
	put_for(s, "no longer", 4, 2, 1000000);
	lp_sessions_expire(s, 4499, 0);
	ck_assert_uint_eq(stats_of(s).entries, 4);
	lp_sessions_expire(s, 4500, 0);
	ck_assert_int_eq(find(s, "short", 4, 0), -1);
	lp_sessions_expire(s, 5999, 0);
	ck_assert_int_eq(find(s, "a", 5, 0), 1);
	lp_sessions_expire(s, 6000, 0);
	ck_assert_uint_eq(stats_of(s).entries, 2);
	lp_sessions_expire(s, 7000, 0);
	ck_assert_uint_eq(stats_of(s).entries, 1);
	ck_assert_int_eq(find(s, "b", 8, 0), 2);
	lp_sessions_expire(s, 100000, 0);
	ck_assert_uint_eq(stats_of(s).entries, 0);
	ck_assert_uint_eq(stats_of(s).expired, 4);
	lp_sessions_free(s);
}
END_TEST

/* A capture whose clock stands still keeps no secret for ever. */
START_TEST(lifetimes_end_by_the_other_clock_too)
{
	struct lp_sessions *s = make(100, 0, 3600 * LP_NS_PER_S);
	uint64_t now;

	put(s, "a", 1, 1);
	now = lp_clock_mono();
	lp_sessions_expire(s, 2000, now + 3599 * LP_NS_PER_S);
	ck_assert_uint_eq(stats_of(s).entries, 1);
	lp_sessions_expire(s, 2000, now + 3600 * LP_NS_PER_S);
	ck_assert_uint_eq(stats_of(s).entries, 0);
	ck_assert_uint_eq(stats_of(s).expired, 1);
	lp_sessions_free(s);
}
END_TEST

/* Many puts, finds and ends in no order: the heap and the lists stay whole. */
START_TEST(a_long_mixed_life)
{
	enum { NAMES = 700 };
	struct lp_sessions *s = make(500, 0, LIFE_NS);
	uint64_t end[NAMES] = { 0 }, now = 0;
	unsigned alive = 0;
	char name[16];

	srand(7);
	for (int round = 0; round < 40000; round++) {
		int i = rand() % NAMES;
		uint64_t left = 1000 * (1 + (uint64_t)rand() % 900);

		now += 1 + (uint64_t)rand() % 3;
		snprintf(name, sizeof name, "%d", i);
		lp_sessions_expire(s, now * 1000, 0);
		if (end[i] > now * 1000) {
			/* may have been evicted, must not be wrong */
			int got = find(s, name, now + 1, 0);

			ck_assert(got == -1 || got == (i & 255));
		} else {
			ck_assert_int_eq(find(s, name, now + 1, 0), -1);
			put_for(s, name, i, now, left);
			end[i] = now * 1000 + left;
		}
	}
	for (int i = 0; i < NAMES; i++)
		alive += end[i] > now * 1000;
	ck_assert_uint_le(stats_of(s).entries, alive);
	lp_sessions_expire(s, UINT64_MAX, 0);
	ck_assert_uint_eq(stats_of(s).entries, 0);
	ck_assert_uint_eq(stats_of(s).stored, stats_of(s).expired + stats_of(s).evicted);
	lp_sessions_free(s);
}
END_TEST

static long resident(void)
{
	FILE *f = fopen("/proc/self/statm", "r");
	long size, pages = 0;

	ck_assert_ptr_nonnull(f);
	ck_assert_int_eq(fscanf(f, "%ld %ld", &size, &pages), 2);
	fclose(f);
	return pages * sysconf(_SC_PAGESIZE);
}

START_TEST(a_million_within_200_mb)
{
	struct lp_sessions *s = make(0, 0, UINT64_MAX / 2);
	struct lp_session_secret secret = { .version = 0x303 };
	struct lp_when when = at(1);
	long before = resident();
	uint64_t id[4] = { 1, 2, 3, 4 };

	for (uint64_t i = 0; i < LP_SESSIONS_MAX; i++) {
		id[0] = i;
		memcpy(secret.master, id, sizeof id);
		ck_assert_int_eq(lp_sessions_put(s, LP_NAME_ID, lp_span_of(id, sizeof id),
						 &secret, &when, 0), LP_OK);
	}
	ck_assert_uint_eq(stats_of(s).entries, LP_SESSIONS_MAX);
	ck_assert_uint_eq(stats_of(s).evicted, 0);
	ck_assert_uint_le(stats_of(s).bytes, LP_SESSIONS_BYTES);
	if (!help_asan()) {
		ck_assert_int_le(resident() - before, LP_SESSIONS_BYTES);
		/* and the count is honest */
		ck_assert_int_le(labs(resident() - before - (long)stats_of(s).bytes), 20 << 20);
	}
	lp_sessions_free(s);
}
END_TEST

START_TEST(the_bytes_are_a_cap_too)
{
	struct lp_sessions *s = make(0, 1 << 20, LIFE_NS);
	char name[16];

	for (int i = 0; i < 50000; i++) {
		snprintf(name, sizeof name, "%d", i);
		put(s, name, i, 1);
	}
	ck_assert_uint_gt(stats_of(s).entries, 5000);
	ck_assert_uint_lt(stats_of(s).entries * 128, 1 << 20);
	ck_assert_uint_eq(stats_of(s).entries + stats_of(s).evicted, 50000);
	lp_sessions_free(s);
}
END_TEST

/* A client that claims a million sessions which nobody has: only what was proven is put,
 * so claims are look-ups, and take nothing. */
START_TEST(claims_take_no_room)
{
	struct lp_sessions *s = make(10, 0, LIFE_NS);
	struct lp_session_secret out;
	struct lp_when when = at(9);
	uint64_t bytes, id[4] = { 0, 7, 7, 7 };

	for (int i = 0; i < 10; i++)
		put(s, (char[]){ (char)('a' + i), 0 }, i, 1);
	bytes = stats_of(s).bytes;
	for (id[0] = 0; id[0] < 1000000; id[0]++) {
		unsigned nth = 0;

		ck_assert(!lp_sessions_find(s, LP_NAME_ID, lp_span_of(id, sizeof id), &when, &nth,
					    &out));
	}
	ck_assert_uint_eq(stats_of(s).bytes, bytes);
	ck_assert_uint_eq(stats_of(s).evicted, 0);
	for (int i = 0; i < 10; i++)
		ck_assert_int_eq(find(s, (char[]){ (char)('a' + i), 0 }, 9, 0), i);
	lp_sessions_free(s);
}
END_TEST

/* The default caps hold what they promise: a million sessions within 200 MB. */
START_TEST(a_million_fits)
{
	struct lp_sessions *s = make(LP_SESSIONS_MAX, LP_SESSIONS_BYTES, LIFE_NS * 1000000000ULL);
	struct lp_session_secret bytes = { .version = 0x303, .suite = 0x2f };
	uint64_t id[4] = { 0, 7, 7, 7 };

	for (id[0] = 0; id[0] < LP_SESSIONS_MAX; id[0]++) {
		struct lp_when when = at(id[0]);

		ck_assert_int_eq(lp_sessions_put(s, LP_NAME_ID, lp_span_of(id, sizeof id), &bytes,
						 &when, 0), LP_OK);
	}
	ck_assert_uint_eq(stats_of(s).entries, LP_SESSIONS_MAX);
	ck_assert_uint_eq(stats_of(s).evicted, 0);
	ck_assert_uint_le(stats_of(s).bytes, LP_SESSIONS_BYTES);
	lp_sessions_free(s);
}
END_TEST

/* ---- where secrets may be found ---- */

/* The canary stands nowhere as a whole: what is looked for is its complement. */
static const volatile uint8_t anti_canary[16] = {
	0x3c, 0xb8, 0x91, 0x02, 0x5e, 0xd7, 0x60, 0xf9, 0x14, 0xab, 0xe3, 0x48, 0x7d, 0x26, 0xc5, 0x9a,
};

struct sighting {
	unsigned all, dumped, swapped, inherited;
};

static unsigned canaries_in(const uint8_t *p, size_t n)
{
	unsigned found = 0;

	for (size_t i = 0; i + sizeof anti_canary <= n; i++) {
		size_t k = 0;

		while (k < sizeof anti_canary && (p[i + k] ^ anti_canary[k]) == 0xff)
			k++;
		found += k == sizeof anti_canary;
	}
	return found;
}

/* Reads all memory of this process; of each mapping the flags say whether it would be
 * in a core dump (no "dd"), in swap (no "lo") or in a forked child (no "wf"). */
static struct sighting look_around(void)
{
	struct sighting s = { 0 };
	FILE *maps = fopen("/proc/self/smaps", "r");
	int mem = open("/proc/self/mem", O_RDONLY | O_CLOEXEC);
	static uint8_t piece[1 << 16];
	unsigned long from = 0, to = 0, a, b;
	char line[512], rights[8] = "";
	unsigned here = 0;

	ck_assert_ptr_nonnull(maps);
	ck_assert_int_ge(mem, 0);
	while (fgets(line, sizeof line, maps)) {
		if (sscanf(line, "%lx-%lx %7s", &a, &b, rights) == 3 && strchr(line, '-') < line + 17) {
			from = a;
			to = b;
			here = 0;
			if (to - from > 1UL << 32)
				continue; /* a sanitizer's shadow */
			for (unsigned long at = from; rights[0] == 'r' && at < to; at += sizeof piece) {
				ssize_t n;

				if ((uintptr_t)piece < to && (uintptr_t)piece + sizeof piece > from)
					break; /* ourselves: no secret was ever in there */
				n = pread(mem, piece, to - at < sizeof piece ? to - at : sizeof piece,
					  (off_t)at);
				if (n <= 0)
					break;
				here += canaries_in(piece, (size_t)n);
				lp_wipe(piece, (size_t)n);
			}
			s.all += here;
		} else if (!strncmp(line, "VmFlags:", 8) && here) {
			s.dumped += strstr(line, " dd") ? 0 : here;
			s.swapped += strstr(line, " lo") ? 0 : here;
			s.inherited += strstr(line, " wf") ? 0 : here;
		}
	}
	fclose(maps);
	close(mem);
	return s;
}

static void put_canaries(struct lp_sessions *s, unsigned n)
{
	struct lp_session_secret *secret = lp_secret_alloc(sizeof *secret);

	for (unsigned i = 0; i < n; i++) {
		struct lp_when when = at(1 + i);

		memset(secret, 0, sizeof *secret);
		for (size_t k = 0; k < sizeof anti_canary; k++)
			secret->master[16 + k] = (uint8_t)~anti_canary[k];
		memcpy(secret->master, &i, sizeof i);
		ck_assert_int_eq(lp_sessions_put(s, LP_NAME_TICKET, lp_span_of(&i, sizeof i), secret,
						 &when, 0), LP_OK);
	}
	lp_secret_free(secret, sizeof *secret);
}

START_TEST(no_secret_outlives_its_time)
{
	struct lp_sessions *s = make(20000, 0, 50000000);
	const struct rlimit all = { RLIM_INFINITY, RLIM_INFINITY };
	struct rlimit lock = { 0, 0 };
	struct sighting seen;

	(void)setrlimit(RLIMIT_MEMLOCK, &all);
	(void)getrlimit(RLIMIT_MEMLOCK, &lock);
	put_canaries(s, 10000);
	seen = look_around();
	ck_assert_uint_eq(seen.all, 10000);
	ck_assert_uint_eq(seen.dumped, 0);
	ck_assert_uint_eq(seen.inherited, 0);
	if (lock.rlim_cur >= 8U << 20)
		ck_assert_uint_eq(seen.swapped, 0);
	lp_sessions_expire(s, 5000 * 1000 + 50000000, 0);
	ck_assert_uint_eq(look_around().all, 5000);
	lp_sessions_expire(s, 10000 * 1000 + 50000000, 0);
	ck_assert_uint_eq(look_around().all, 0);
	put_canaries(s, 10);
	lp_sessions_free(s);
	ck_assert_uint_eq(look_around().all, 0);
}
END_TEST

START_TEST(what_is_evicted_is_erased)
{
	struct lp_sessions *s = make(100, 0, LIFE_NS * 1000);

	put_canaries(s, 10000);
	ck_assert_uint_eq(look_around().all, 100);
	lp_sessions_free(s);
}
END_TEST

/* ---- workers ---- */

static void *use(void *arg)
{
	struct lp_sessions *s = arg;
	char name[16];

	for (int i = 0; i < 20000; i++) {
		snprintf(name, sizeof name, "%d", i % 3000);
		put(s, name, i % 3000, 1);
		(void)find(s, name, 9, 0);
		if (i % 1000 == 0)
			lp_sessions_expire(s, 1000, 0);
	}
	return NULL;
}

START_TEST(workers_may_share_it)
{
	struct lp_sessions *s = make(2000, 0, LIFE_NS);
	pthread_t thread[3];

	for (int i = 0; i < 3; i++)
		ck_assert_int_eq(pthread_create(&thread[i], NULL, use, s), 0);
	for (int i = 0; i < 3; i++)
		pthread_join(thread[i], NULL);
	ck_assert_uint_eq(stats_of(s).entries, 2000);
	ck_assert_uint_eq(stats_of(s).stored, stats_of(s).evicted + 2000);
	lp_sessions_free(s);
}
END_TEST

Suite *suite_sessions(void)
{
	Suite *s = suite_create("sessions");
	TCase *t = tcase_create("sessions");

	tcase_set_timeout(t, 60);
	tcase_add_test(t, found_by_name_and_kind);
	tcase_add_test(t, only_what_was_not_learned_later);
	tcase_add_test(t, two_servers_one_id);
	tcase_add_test(t, the_order_is_that_of_places);
	tcase_add_loop_test(t, learned_again_after_its_end, 0, 4);
	tcase_add_test(t, places_within_a_packet);
	tcase_add_test(t, learned_again_in_any_order);
	tcase_add_test(t, the_cap_drops_the_least_used);
	tcase_add_test(t, last_use_counts);
	tcase_add_test(t, lifetimes_end_by_the_clock);
	tcase_add_test(t, lifetimes_end_by_the_other_clock_too);
	tcase_add_test(t, a_long_mixed_life);
	tcase_add_test(t, a_million_within_200_mb);
	tcase_add_test(t, the_bytes_are_a_cap_too);
	tcase_add_test(t, claims_take_no_room);
	tcase_add_test(t, a_million_fits);
	if (!help_asan()) { /* it keeps copies of its own */
		tcase_add_test(t, no_secret_outlives_its_time);
		tcase_add_test(t, what_is_evicted_is_erased);
	}
	tcase_add_test(t, workers_may_share_it);
	suite_add_tcase(s, t);
	return s;
}
