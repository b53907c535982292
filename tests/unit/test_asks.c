/* asks.h: the cap on questions that wait, what is shed at it, and whose. */
#include <check.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "asks.h"
#include "crypto/crypto.h"
#include "help_warden.h"

/* What the warden gets of a live engine, as it says nothing. */
enum { SENT = LP_WARDEN_QUEUE / 8 };

static struct help_dir dir;
static char psks[128];

static void setup(void)
{
	help_dir_open(&dir);
	help_write(&dir, "psks", "one:0102030405\n", 15);
	snprintf(psks, sizeof psks, "%s/psks", dir.path);
	ck_assert_int_eq(chmod(psks, 0600), 0);
}

static void teardown(void)
{
	help_dir_close(&dir);
}

static struct lp_warden *start(unsigned delay_ms)
{
	static const char *const paths[] = { psks };
	const struct lp_warden_config config = { .psk_paths = paths, .psk_paths_n = 1, .threads = 1,
						 .crypto = "mbedtls", .delay_ms = delay_ms };
	struct lp_warden *w;
	char why[512];

	ck_assert_msg(lp_warden_start(&w, &config, why) == LP_OK, "%s", why);
	return w;
}

/* Whoever asks, and what became of it. */
struct asker {
	unsigned shed, answered;
	struct lp_asks_peers peers;
};

static void take(void *user, const struct lp_answer *answer)
{
	struct asker *asker = user;

	asker->shed += !answer;
	asker->answered += answer && answer->code == LP_ANSWER_DONE;
}

static void put(struct lp_asks *a, struct asker *asker, uint64_t client, uint64_t server)
{
	struct lp_ask ask = { .op = LP_ASK_PSK, .version = 0x0303, .prf = LP_SHA256, .seed_len = 64 };

	*asker = (struct asker){ .peers = { client, server } };
	ck_assert_int_eq(lp_asks_put(a, &ask, &asker->peers, asker), LP_OK);
}

static struct lp_asks *asks_of(struct lp_warden *w, bool live, uint64_t max, uint64_t client,
			       uint64_t server)
{
	const struct lp_asks_config config = { lp_warden_line(w, 0), live, max, client, server };
	struct lp_asks *a;

	ck_assert_int_eq(lp_asks_new(&a, &config), LP_OK);
	return a;
}

static struct lp_asks_stats stats_of(const struct lp_asks *a)
{
	struct lp_asks_stats stats;

	lp_asks_stats(a, &stats);
	return stats;
}

/* The warden has its fill; of the rest, live, the oldest above the cap go. A replay
 * keeps them all, and stops reading. */
START_TEST(the_oldest_are_shed)
{
	enum { MORE = 10, CAP = 3 };
	static struct asker asker[LP_WARDEN_QUEUE + MORE];
	const bool live = _i;
	const unsigned sent = live ? SENT : LP_WARDEN_QUEUE, all = sent + MORE;
	struct lp_warden *warden = start(60000);
	struct lp_asks *a = asks_of(warden, live, CAP, 1000, 1000);

	for (unsigned i = 0; i < all; i++) {
		ck_assert(!lp_asks_full(a) || i > sent);
		ck_assert_int_eq(lp_asks_doze(a) > 0, !live && i >= LP_WARDEN_QUEUE / 2);
		put(a, &asker[i], 1, 1);
	}
	ck_assert_uint_eq(lp_asks_pending(a), all);
	ck_assert_uint_eq(lp_line_pending(lp_warden_line(warden, 0)), sent);
	ck_assert_int_eq(lp_asks_full(a), !live);
	ck_assert_int_eq(lp_asks_poll(a, 0, take), LP_OK);
	ck_assert_uint_eq(stats_of(a).shed, live ? MORE - CAP : 0);
	ck_assert_uint_eq(stats_of(a).shed_client + stats_of(a).shed_server, 0);
	ck_assert_uint_eq(stats_of(a).asked, all);
	for (unsigned i = 0; i < all; i++) {
		ck_assert_uint_eq(asker[i].answered, 0);
		ck_assert_uint_eq(asker[i].shed, live && i >= sent && i < all - CAP);
	}
	lp_asks_free(a);
	lp_warden_stop(warden);
}
END_TEST

/* One that asks far too often does not cost the others theirs; one of many that has more
 * than its share keeps it while there is room. */
START_TEST(a_flood_sheds_its_own)
{
	enum { FLOOD = 5000, OTHERS = 60, CAP = 200, SHARE = 20 };
	const bool by_server = _i;
	static struct asker flood[FLOOD], others[OTHERS];
	struct lp_warden *warden = start(60000);
	struct lp_asks *a = asks_of(warden, true, CAP, SHARE, by_server ? SHARE : 1000000);
	static struct asker first[SENT];
	unsigned kept = 0;

	for (unsigned i = 0; i < SENT; i++)
		put(a, &first[i], 7, 7);
	for (unsigned i = 0; i < FLOOD; i++) {
		/* From everywhere to one server, or from one client to all. */
		put(a, &flood[i], by_server ? 1000 + i : 1, by_server ? 1 : 1000 + i);
		if (i % (FLOOD / OTHERS) == 0 && i / (FLOOD / OTHERS) < OTHERS)
			put(a, &others[i / (FLOOD / OTHERS)], 100 + i % 50, 200 + i % 50);
		if (i % 100 == 0)
			ck_assert_int_eq(lp_asks_poll(a, 0, take), LP_OK);
	}
	ck_assert_int_eq(lp_asks_poll(a, 0, take), LP_OK);
	for (unsigned i = 0; i < OTHERS; i++)
		ck_assert_uint_eq(others[i].shed, 0);
	for (unsigned i = 0; i < SENT; i++)
		ck_assert_uint_eq(first[i].shed, 0);
	/* Of the flood the latest wait. */
	for (unsigned i = 0; i < FLOOD; i++) {
		ck_assert(flood[i].shed == 1 || i >= FLOOD - (CAP - OTHERS));
		kept += !flood[i].shed;
	}
	ck_assert_uint_eq(kept, CAP - OTHERS);
	ck_assert_uint_eq(stats_of(a).shed, FLOOD - kept);
	ck_assert_uint_eq(stats_of(a).shed_client, by_server ? 0 : FLOOD - kept);
	ck_assert_uint_eq(stats_of(a).shed_server, by_server ? FLOOD - kept : 0);
	lp_asks_free(a);
	lp_warden_stop(warden);
}
END_TEST

/* Shares are left with the questions, sent, shed or forgotten: when all is over nobody has
 * any, and who had too many has them no more. */
START_TEST(shares_are_given_back)
{
	enum { ROUNDS = 5, EACH = 400, CAP = 100, SHARE = 10 };
	static struct asker asker[ROUNDS * EACH];
	struct lp_warden *warden = start(0);
	struct lp_asks *a = asks_of(warden, true, CAP, SHARE, 1000000);
	unsigned done = 0, shed = 0, forgotten = 0;

	for (unsigned r = 0; r < ROUNDS; r++) {
		for (unsigned i = 0; i < EACH; i++)
			put(a, &asker[r * EACH + i], i % 3 ? 1 : i, i);
		for (unsigned i = 5; i < EACH; i += 50) {
			lp_asks_forget(a, &asker[r * EACH + i]);
			forgotten++;
		}
		while (lp_asks_pending(a))
			ck_assert_int_eq(lp_asks_poll(a, 20000, take), LP_OK);
	}
	for (unsigned i = 0; i < ROUNDS * EACH; i++) {
		done += asker[i].answered;
		shed += asker[i].shed;
	}
	ck_assert_uint_eq(done + shed + forgotten, ROUNDS * EACH);
	ck_assert_uint_gt(shed, 0);
	/* As many as there is room for, of one alone: nothing is left that counts against it. */
	done = 0;
	for (unsigned i = 0; i < CAP; i++)
		put(a, &asker[i], 1, 1);
	while (lp_asks_pending(a))
		ck_assert_int_eq(lp_asks_poll(a, 20000, take), LP_OK);
	for (unsigned i = 0; i < CAP; i++)
		done += asker[i].answered;
	ck_assert_uint_eq(done, CAP);
	lp_asks_free(a);
	lp_warden_stop(warden);
}
END_TEST

/* The warden may be slow to take them. */
static void send_all(struct lp_asks *a, const struct lp_line *line, bool all)
{
	for (unsigned i = 0; i < 2000 && (!i || lp_line_queued(line)); i++) {
		ck_assert_int_eq(lp_asks_flush(a, all), LP_OK);
		if (lp_line_queued(line))
			(void)poll(NULL, 0, 10);
	}
	ck_assert_uint_eq(lp_line_queued(line), 0);
}

/* While the warden has enough to do for long, questions wait for each other; else, or live, or if
 * all are to go, they do not. */
START_TEST(few_wait_for_more)
{
	enum { HALF = LP_WARDEN_QUEUE / 2, FEW = 10, MORE = 30 };
	static struct asker asker[HALF + MORE];
	const bool live = _i;
	struct lp_warden *warden = start(60000);
	struct lp_line *line = lp_warden_line(warden, 0);
	struct lp_asks *a = asks_of(warden, live, 10000, 10000, 10000);

	for (unsigned i = 0; i < (live ? SENT / 2 : HALF); i++) {
		put(a, &asker[i], 1, 1);
		ck_assert_uint_gt(lp_line_queued(line), 0);
		send_all(a, line, false);
	}
	for (unsigned i = 0; i < MORE; i++) {
		const size_t queued = lp_line_queued(line);

		put(a, &asker[HALF + i], 1, 1);
		ck_assert_int_eq(lp_asks_flush(a, false), LP_OK);
		ck_assert(lp_line_queued(line) == (live ? 0 : queued + 1) || queued >= FEW);
		/* Whoever only looks for answers does not send either. */
		ck_assert_int_eq(lp_asks_poll(a, 0, take), LP_OK);
		ck_assert(lp_line_queued(line) <= queued + 1);
		if (i == FEW - 1)
			ck_assert_uint_eq(lp_line_queued(line), live ? 0 : FEW);
	}
	ck_assert_uint_lt(lp_line_queued(line), MORE); /* they went when there were enough */
	send_all(a, line, true);
	lp_asks_free(a);
	lp_warden_stop(warden);
}
END_TEST

static void all_answered(struct lp_asks *a, struct asker *asker, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		put(a, &asker[i], 1, 1);
	while (lp_asks_pending(a)) /* not long enough for a doze of its own */
		ck_assert_int_eq(lp_asks_poll(a, LP_ASKS_DOZE_MS, take), LP_OK);
	for (unsigned i = 0; i < n; i++)
		ck_assert_uint_ge(asker[i].answered, 1);
	ck_assert_int_eq(lp_asks_doze(a), 0); /* for nothing */
}

/* As long as a part of the answers needs that are to come, by the answers of late. */
START_TEST(a_doze_follows_the_pace)
{
	enum { DELAY_MS = 60, FEW = 40, MANY = 400, TRIES = 20 };
	static struct asker asker[MANY];
	struct lp_warden *warden = start(DELAY_MS);
	struct lp_asks *a = asks_of(warden, false, 1, 1, 1);
	int doze, n;

	for (unsigned i = 0; i < FEW; i++)
		put(a, &asker[i], 1, 1);
	ck_assert_int_eq(lp_asks_doze(a), 0); /* nothing is known yet */
	all_answered(a, asker, FEW);
	for (unsigned i = 0; i < FEW; i++)
		put(a, &asker[i], 1, 1);
	doze = lp_asks_doze(a); /* until 10 are there, at 1.5 ms or (the first were 80) half of that */
	ck_assert_int_ge(doze, 10 * DELAY_MS / (2 * FEW));
	ck_assert_int_le(doze, LP_ASKS_DOZE_MS);
	/* 32 of those that come 400 at a time. A machine with other work may need longer at times. */
	for (n = 0; n < TRIES && doze > 32 * DELAY_MS / MANY + 1; n++) {
		all_answered(a, asker, MANY);
		for (unsigned i = 0; i < MANY; i++)
			put(a, &asker[i], 1, 1);
		doze = lp_asks_doze(a);
	}
	ck_assert_int_lt(n, TRIES);
	lp_asks_free(a);
	lp_warden_stop(warden);
}
END_TEST

Suite *suite_asks(void);

Suite *suite_asks(void)
{
	Suite *s = suite_create("asks");
	TCase *t = tcase_create("asks");

	tcase_add_unchecked_fixture(t, setup, teardown);
	tcase_set_timeout(t, 60);
	tcase_add_loop_test(t, the_oldest_are_shed, 0, 2);
	tcase_add_loop_test(t, a_flood_sheds_its_own, 0, 2);
	tcase_add_test(t, shares_are_given_back);
	tcase_add_loop_test(t, few_wait_for_more, 0, 2);
	tcase_add_test(t, a_doze_follows_the_pace);
	suite_add_tcase(s, t);
	return s;
}
