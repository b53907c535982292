/* secrets/keylog.c: lines, however they are cut, and the store with its caps. */
#include <check.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "secrets/keylog.h"

#define R1 "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"
#define R2 "100102030405060708090A0B0C0D0E0F101112131415161718191A1B1C1D1E1F"
#define S16 "a0a1a2a3a4a5a6a7a8a9aaabacadaeaf"
#define S48 S16 S16 S16
#define T48 S16 S16 "b0b1b2b3b4b5b6b7b8b9babbbcbdbebf"

/* Every kind of line there is; 4 secrets, 2 of them told again. */
static const char sample[] =
	"# a comment\r\n"
	"\n"
	"CLIENT_RANDOM " R1 " " S48 "\n"
	"  CLIENT_RANDOM\t" R1 "  " S48 " \r\n"
	"PMS_CLIENT_RANDOM " R2 " 0a0b\n"
	"RSA 0123456789abcdef " T48 "\n"
	"RSA Session-ID:00ff Master-Key:" S48 "\n"
	"RSA Session-ID:00FF Master-Key:" S48 "\r\n"
	"CLIENT_TRAFFIC_SECRET_0 " R1 " " S16 S16 "\n"
	"A_LABEL_OF_2031 00 01\n"
	"CLIENT_RANDOM " R1 " " S16 "\n"         /* 11: the secret is too short */
	"CLIENT_RANDOM " R1 " " S48 " more\n"
	"CLIENT_RANDOM " R1 "\n"
	"CLIENT_RANDOM " R1 " " S16 S16 S16 "0\n"
	"RSA Session-ID:00ff Mister-Key:" S48 "\n"
	"RSA Session-ID: Master-Key:" S48 "\n"
	"client_random " R1 " " S48 "\n"
	"-----BEGIN PRIVATE KEY-----\n"
	"\001\000\377 binary\n"
	"CLIENT_RANDOM " R2 " " T48;

static const struct lp_hash_seed seed = { 3, 4 };

static struct lp_keylog *log_new(size_t max)
{
	struct lp_keylog *log;

	ck_assert_int_eq(lp_keylog_new(&log, &seed, max), LP_OK);
	return log;
}

static size_t unhex(uint8_t *out, const char *hex)
{
	size_t n = strlen(hex) / 2;

	ck_assert_int_eq(lp_text_unhex(out, n, hex, 2 * n), LP_OK);
	return n;
}

static bool has(struct lp_keylog *log, enum lp_label label, const char *id, unsigned nth,
		const char *secret)
{
	uint8_t i[64], s[64];
	size_t in = unhex(i, id), sn = unhex(s, secret);
	struct lp_keylog_secret found;

	if (!lp_keylog_find(log, label, lp_span_of(i, in), nth, 0, &found))
		return false;
	return found.n == sn && !memcmp(found.bytes, s, sn);
}

static void push(struct lp_keylog_reader *r, const char *text, size_t n)
{
	/* An allocation of its own size: ASan sees a read behind it. */
	char *copy = malloc(n ? n : 1);

	memcpy(copy, text, n);
	ck_assert_int_eq(lp_keylog_push(r, lp_span_of(copy, n), 0), LP_OK);
	free(copy);
}

static void check_sample(struct lp_keylog *log, struct lp_keylog_reader *r)
{
	struct lp_keylog_stats s;

	ck_assert_int_eq(lp_keylog_end(r, 0), LP_OK);
	s = lp_keylog_stats(log);
	ck_assert_uint_eq(s.lines, 20);
	ck_assert_uint_eq(s.comments, 2);
	ck_assert_uint_eq(s.secrets, 5);
	ck_assert_uint_eq(s.repeated, 2);
	ck_assert_uint_eq(s.other, 2);
	ck_assert_uint_eq(s.malformed, 9);
	ck_assert_uint_eq(s.lines,
			  s.comments + s.secrets + s.repeated + s.other + s.malformed);
	ck_assert_uint_eq(r->malformed, 9);
	ck_assert_uint_eq(r->first_malformed, 11);
	ck_assert_uint_eq(r->known, 9);
	ck_assert_uint_eq(lp_keylog_count(log), 5);
	ck_assert(has(log, LP_LABEL_CLIENT_RANDOM, R1, 0, S48));
	ck_assert(!has(log, LP_LABEL_CLIENT_RANDOM, R1, 1, S48));
	ck_assert(has(log, LP_LABEL_CLIENT_RANDOM, R2, 0, T48));
	ck_assert(has(log, LP_LABEL_PMS_CLIENT_RANDOM, R2, 0, "0a0b"));
	ck_assert(has(log, LP_LABEL_RSA, "0123456789abcdef", 0, T48));
	ck_assert(has(log, LP_LABEL_SESSION_ID, "00ff", 0, S48));
	ck_assert(!has(log, LP_LABEL_SESSION_ID, "00", 0, S48));
	ck_assert(!has(log, LP_LABEL_RSA, "00ff", 0, S48));
	lp_keylog_reader_clear(r);
	lp_keylog_free(log);
}

START_TEST(lines_cut_anywhere)
{
	struct lp_keylog *log = log_new(100);
	struct lp_keylog_reader r;
	size_t n = sizeof sample - 1, cut = (size_t)_i;

	lp_keylog_reader_init(&r, log, LP_KEYLOG_FILE);
	if (cut > n) { /* byte by byte */
		for (size_t i = 0; i < n; i++)
			push(&r, sample + i, 1);
	} else {
		push(&r, sample, cut);
		push(&r, sample + cut, n - cut);
	}
	check_sample(log, &r);
}
END_TEST

/* A line at the cap counts, one beyond it is skipped to its end; comments may be
 * longer. The same whether it comes in one piece or in many. */
START_TEST(long_lines)
{
	static const char start[] = "PMS_CLIENT_RANDOM " R1 " ";
	size_t size = 3 * LP_KEYLOG_LINE_MAX, piece = _i ? (size_t)_i : size;
	char *text = malloc(size);

	for (int extra = 0; extra < 3; extra++) {
		struct lp_keylog *log = log_new(100);
		struct lp_keylog_reader r;
		size_t n = sizeof start - 1;

		memcpy(text, start, n);
		memset(text + n, 'a', 2 * LP_KEYLOG_SECRET_MAX);
		n += 2 * LP_KEYLOG_SECRET_MAX;
		while (n < LP_KEYLOG_LINE_MAX + (size_t)extra)
			text[n++] = ' ';
		text[n++] = '\n';
		text[n] = '#';
		memset(text + n + 1, 'x', LP_KEYLOG_LINE_MAX + 5);
		n += LP_KEYLOG_LINE_MAX + 5;
		text[n++] = '\n';
		lp_keylog_reader_init(&r, log, LP_KEYLOG_FILE);
		for (size_t at = 0; at < n; at += piece)
			push(&r, text + at, n - at < piece ? n - at : piece);
		ck_assert_uint_eq(lp_keylog_stats(log).secrets, extra ? 0 : 1);
		ck_assert_uint_eq(r.malformed, extra ? 1 : 0);
		ck_assert_uint_eq(lp_keylog_stats(log).comments, 1);
		lp_keylog_reader_clear(&r);
		lp_keylog_free(log);
	}
	free(text);
}
END_TEST

static void add(struct lp_keylog *log, unsigned id, unsigned secret, uint64_t now)
{
	char line[256];
	struct lp_keylog_reader r;
	int n = snprintf(line, sizeof line, "CLIENT_RANDOM %064x %096x\n", id, secret);

	lp_keylog_reader_init(&r, log, LP_KEYLOG_BLOCK);
	ck_assert_int_eq(lp_keylog_push(&r, lp_span_of(line, (size_t)n), now), LP_OK);
	ck_assert_uint_eq(r.malformed, 0);
	lp_keylog_reader_clear(&r);
}

/* The secret's last byte, or -1. */
static int look(struct lp_keylog *log, unsigned id, unsigned nth, uint64_t now)
{
	struct lp_keylog_secret s;
	char hex[65];
	uint8_t bytes[32];

	snprintf(hex, sizeof hex, "%064x", id);
	unhex(bytes, hex);
	if (!lp_keylog_find(log, LP_LABEL_CLIENT_RANDOM, lp_span_of(bytes, 32), nth, now, &s))
		return -1;
	ck_assert_int_eq(s.source, LP_KEYLOG_BLOCK);
	return s.bytes[47];
}

START_TEST(the_cap_drops_what_was_longest_unused)
{
	enum { MAX = 1000 };
	struct lp_keylog *log = log_new(MAX);

	for (unsigned i = 0; i < MAX; i++)
		add(log, i, i & 255, 0);
	ck_assert_uint_eq(lp_keylog_stats(log).evicted, 0);
	ck_assert_int_eq(look(log, 0, 0, 0), 0); /* used: stays */
	add(log, 1, 1, 0);                       /* told again: stays */
	for (unsigned i = MAX; i < MAX + 10; i++)
		add(log, i, i & 255, 0);
	ck_assert_uint_eq(lp_keylog_count(log), MAX);
	ck_assert_uint_eq(lp_keylog_stats(log).evicted, 10);
	ck_assert_int_eq(look(log, 0, 0, 0), 0);
	ck_assert_int_eq(look(log, 1, 0, 0), 1);
	for (unsigned i = 2; i < 12; i++)
		ck_assert_int_eq(look(log, i, 0, 0), -1);
	for (unsigned i = 12; i < MAX + 10; i++)
		ck_assert_int_eq(look(log, i, 0, 0), (int)(i & 255));
	lp_keylog_free(log);
}
END_TEST

START_TEST(few_secrets_of_one_id)
{
	struct lp_keylog *log = log_new(100);

	for (unsigned i = 0; i < LP_KEYLOG_SAME + 2; i++)
		add(log, 7, i, 0);
	ck_assert_uint_eq(lp_keylog_count(log), LP_KEYLOG_SAME);
	ck_assert_uint_eq(lp_keylog_stats(log).evicted, 2);
	for (unsigned i = 0; i < LP_KEYLOG_SAME; i++)
		ck_assert_int_eq(look(log, 7, i, 0), (int)(LP_KEYLOG_SAME + 1 - i));
	ck_assert_int_eq(look(log, 7, LP_KEYLOG_SAME, 0), -1);
	lp_keylog_free(log);
}
END_TEST

START_TEST(secrets_expire)
{
	struct lp_keylog *log = log_new(100);

	add(log, 1, 1, 10);
	add(log, 2, 2, 20);
	add(log, 3, 3, 30);
	ck_assert_int_eq(look(log, 1, 0, 40), 1);
	lp_keylog_expire(log, 30);
	ck_assert_int_eq(look(log, 1, 0, 40), 1);
	ck_assert_int_eq(look(log, 2, 0, 40), -1);
	ck_assert_int_eq(look(log, 3, 0, 40), 3);
	ck_assert_uint_eq(lp_keylog_stats(log).expired, 1);
	lp_keylog_expire(log, 41);
	ck_assert_uint_eq(lp_keylog_count(log), 0);
	lp_keylog_free(log);
}
END_TEST

/* ---- threads ---- */

enum { LOOKERS = 3, LINES = 3000 };

struct looker {
	struct lp_keylog *log;
	pthread_t id;
	atomic_bool *over;
	unsigned wrong, seen;
};

/* The secret of a line is what its name says, whatever goes on. */
static void *run_looker(void *arg)
{
	struct looker *l = arg;
	struct lp_keylog_secret found;
	uint8_t id[32] = { 0 };

	for (unsigned i = 0; !atomic_load(l->over) || i % LINES; i++) {
		id[0] = (uint8_t)(i % LINES >> 8);
		id[1] = (uint8_t)i;
		if (!lp_keylog_find(l->log, LP_LABEL_CLIENT_RANDOM, lp_span_of(id, 32), 0, i, &found))
			continue;
		l->seen++;
		for (size_t k = 0; k < found.n; k++)
			l->wrong += found.bytes[k] != (uint8_t)(id[0] ^ id[1]);
		l->wrong += found.n != 48;
	}
	return NULL;
}

START_TEST(others_look_while_lines_come)
{
	struct lp_keylog *log = log_new(500); /* so that most leave again */
	struct looker lookers[LOOKERS];
	struct lp_keylog_reader r;
	atomic_bool over = false;
	char line[200];
	size_t n;

	for (unsigned i = 0; i < LOOKERS; i++) {
		lookers[i] = (struct looker){ .log = log, .over = &over };
		ck_assert_int_eq(pthread_create(&lookers[i].id, NULL, run_looker, &lookers[i]), 0);
	}
	lp_keylog_reader_init(&r, log, LP_KEYLOG_FILE);
	for (unsigned i = 0; i < LINES; i++) {
		n = (size_t)sprintf(line, "CLIENT_RANDOM %04x%060d ", i, 0);
		for (unsigned k = 0; k < 48; k++)
			n += (size_t)sprintf(line + n, "%02x", (i >> 8 ^ i) & 255);
		line[n++] = '\n';
		push(&r, line, n);
		if (i % 100 == 0)
			lp_keylog_expire(log, i / 2);
	}
	atomic_store(&over, true);
	for (unsigned i = 0; i < LOOKERS; i++) {
		pthread_join(lookers[i].id, NULL);
		ck_assert_uint_eq(lookers[i].wrong, 0);
		ck_assert_uint_gt(lookers[i].seen, 0);
	}
	ck_assert_uint_eq(lp_keylog_stats(log).secrets, LINES);
	lp_keylog_reader_clear(&r);
	lp_keylog_free(log);
}
END_TEST

START_TEST(a_source_that_begins_anew)
{
	static const char half[] = "CLIENT_RANDOM " R1;
	static const char line[] = "CLIENT_RANDOM " R2 " " S48 "\nx\n";
	struct lp_keylog *log = log_new(100);
	struct lp_keylog_reader r;

	lp_keylog_reader_init(&r, log, LP_KEYLOG_FILE);
	push(&r, half, sizeof half - 1);
	lp_keylog_restart(&r);
	push(&r, line, sizeof line - 1);
	ck_assert(has(log, LP_LABEL_CLIENT_RANDOM, R2, 0, S48));
	ck_assert_uint_eq(r.malformed, 1);
	ck_assert_uint_eq(r.first_malformed, 2);
	lp_keylog_reader_clear(&r);
	lp_keylog_free(log);
}
END_TEST

Suite *suite_keylog(void);
Suite *suite_keylog(void)
{
	Suite *s = suite_create("keylog");
	TCase *t = tcase_create("lines");

	tcase_add_loop_test(t, lines_cut_anywhere, 0, (int)sizeof sample + 1);
	tcase_add_loop_test(t, long_lines, 0, 3);
	tcase_add_test(t, a_source_that_begins_anew);
	suite_add_tcase(s, t);
	t = tcase_create("store");
	tcase_add_test(t, the_cap_drops_what_was_longest_unused);
	tcase_add_test(t, few_secrets_of_one_id);
	tcase_add_test(t, secrets_expire);
	tcase_add_test(t, others_look_while_lines_come);
	suite_add_tcase(s, t);
	return s;
}
