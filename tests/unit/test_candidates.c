/* secrets/candidates.c: which keys are tried, in what order, and by several threads. */
#include <check.h>
#include <pthread.h>
#include <string.h>

#include "secrets/candidates.h"

static const struct lp_hash_seed seed = { 1, 2 };

static void add(struct lp_candidates *c, uint32_t id, enum lp_key_kind kind, uint32_t bits)
{
	struct lp_candidate key = { .id = id, .kind = kind, .bits = bits, .name = "k" };

	memset(key.spki_sha256, (int)id, 32);
	ck_assert_int_eq(lp_candidates_add(c, &key), LP_OK);
}

static struct lp_candidates *four_keys(void)
{
	struct lp_candidates *c;

	ck_assert_int_eq(lp_candidates_new(&c, &seed, false), LP_OK);
	add(c, 10, LP_KEY_RSA, 2048);
	add(c, 11, LP_KEY_EC, 2048);
	add(c, 12, LP_KEY_RSA, 4096);
	add(c, 13, LP_KEY_RSA, 2048);
	return c;
}

/* The id of number attempt, or NONE. */
static uint32_t nth(struct lp_candidates *c, const uint8_t *spki, size_t n, const char *server,
		    unsigned attempt)
{
	uint32_t favourite = lp_candidates_favourite(c, lp_span_of(server, 1));
	struct lp_candidate found;

	return lp_candidates_find(c, LP_KEY_RSA, spki, n, favourite, attempt, &found)
	       ? found.id : LP_CANDIDATES_NONE;
}

START_TEST(a_certificate_names_its_key)
{
	struct lp_candidates *c = four_keys();
	uint8_t spki[32];

	memset(spki, 13, sizeof spki);
	ck_assert_uint_eq(nth(c, spki, 256, "s", 0), 13);
	ck_assert_uint_eq(nth(c, spki, 256, "s", 1), LP_CANDIDATES_NONE);
	memset(spki, 9, sizeof spki);
	ck_assert_uint_eq(nth(c, spki, 256, "s", 0), LP_CANDIDATES_NONE);
	lp_candidates_free(c);
}
END_TEST

START_TEST(without_a_certificate_the_length_counts)
{
	struct lp_candidates *c = four_keys();

	ck_assert_uint_eq(nth(c, NULL, 256, "s", 0), 10);
	ck_assert_uint_eq(nth(c, NULL, 256, "s", 1), 13);
	ck_assert_uint_eq(nth(c, NULL, 256, "s", 2), LP_CANDIDATES_NONE);
	ck_assert_uint_eq(nth(c, NULL, 512, "s", 0), 12);
	ck_assert_uint_eq(nth(c, NULL, 128, "s", 0), LP_CANDIDATES_NONE);
	/* The one that was right last comes first, and none comes twice. */
	lp_candidates_proven(c, lp_span_of("s", 1), 13);
	ck_assert_uint_eq(nth(c, NULL, 256, "s", 0), 13);
	ck_assert_uint_eq(nth(c, NULL, 256, "s", 1), 10);
	ck_assert_uint_eq(nth(c, NULL, 256, "s", 2), LP_CANDIDATES_NONE);
	ck_assert_uint_eq(nth(c, NULL, 256, "t", 0), 10);
	/* One that does not fit, such as after a change of keys, is none. */
	ck_assert_uint_eq(nth(c, NULL, 512, "s", 0), 12);
	lp_candidates_free(c);
}
END_TEST

/* Live few are tried, the last proven one among them whatever its place. In a replay many
 * are; and where there are more yet, what was proven makes no difference. */
START_TEST(candidates_have_a_cap)
{
	const bool replay = _i;
	const unsigned cap = replay ? LP_CANDIDATES_REPLAY : LP_CANDIDATES_MAX;
	struct lp_candidates *c;

	ck_assert_int_eq(lp_candidates_new(&c, &seed, replay), LP_OK);
	for (uint32_t i = 0; i < LP_CANDIDATES_REPLAY; i++)
		add(c, i, LP_KEY_RSA, 1024);
	ck_assert_uint_eq(nth(c, NULL, 128, "s", cap - 1), cap - 1);
	ck_assert_uint_eq(nth(c, NULL, 128, "s", cap), LP_CANDIDATES_NONE);
	lp_candidates_proven(c, lp_span_of("s", 1), 60);
	ck_assert_uint_eq(nth(c, NULL, 128, "s", 0), 60);
	ck_assert_uint_eq(nth(c, NULL, 128, "s", 1), 0);
	ck_assert_uint_eq(nth(c, NULL, 128, "s", cap - 1), replay ? 63 : cap - 2);
	ck_assert_uint_eq(nth(c, NULL, 128, "s", cap), LP_CANDIDATES_NONE);
	add(c, 1000, LP_KEY_RSA, 1024);
	ck_assert_uint_eq(nth(c, NULL, 128, "s", 0), replay ? 0 : 60);
	ck_assert_uint_eq(nth(c, NULL, 128, "s", cap), LP_CANDIDATES_NONE);
	lp_candidates_free(c);
}
END_TEST

/* ---- threads ---- */

enum { THREADS = 4, TURNS = 2000 };

struct thread {
	struct lp_candidates *c;
	pthread_t id;
	uint32_t number;
	unsigned wrong;
};

/* Each proves its own key for a server that all look for. */
static void *run(void *arg)
{
	struct thread *t = arg;
	struct lp_candidate key;

	for (unsigned i = 0; i < TURNS; i++) {
		uint32_t favourite = lp_candidates_favourite(t->c, lp_span_of("s", 1));
		unsigned n = 0;

		while (lp_candidates_find(t->c, LP_KEY_RSA, NULL, 128, favourite, n, &key)) {
			t->wrong += n == 0 && favourite != LP_CANDIDATES_NONE &&
				    key.id != favourite;
			t->wrong += strcmp(key.name, "k") != 0;
			n++;
		}
		t->wrong += n != LP_CANDIDATES_MAX;
		lp_candidates_proven(t->c, lp_span_of("s", 1), t->number);
		t->wrong += lp_candidates_count(t->c, false) < LP_CANDIDATES_MAX;
	}
	return NULL;
}

START_TEST(several_threads)
{
	struct thread threads[THREADS];
	struct lp_candidates *c;

	ck_assert_int_eq(lp_candidates_new(&c, &seed, false), LP_OK);
	for (uint32_t i = 0; i < LP_CANDIDATES_MAX; i++)
		add(c, i, LP_KEY_RSA, 1024);
	for (uint32_t i = 0; i < THREADS; i++) {
		threads[i] = (struct thread){ .c = c, .number = i };
		ck_assert_int_eq(pthread_create(&threads[i].id, NULL, run, &threads[i]), 0);
	}
	for (uint32_t i = 0; i < 100; i++) /* keys come while they look */
		add(c, 100 + i, LP_KEY_RSA, 1024);
	for (uint32_t i = 0; i < THREADS; i++) {
		pthread_join(threads[i].id, NULL);
		ck_assert_uint_eq(threads[i].wrong, 0);
	}
	lp_candidates_free(c);
}
END_TEST

Suite *suite_candidates(void);
Suite *suite_candidates(void)
{
	Suite *s = suite_create("candidates");
	TCase *t = tcase_create("candidates");

	tcase_add_test(t, a_certificate_names_its_key);
	tcase_add_test(t, without_a_certificate_the_length_counts);
	tcase_add_loop_test(t, candidates_have_a_cap, 0, 2);
	tcase_add_test(t, several_threads);
	suite_add_tcase(s, t);
	return s;
}
