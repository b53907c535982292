/* tls/record: cutting a stream into records. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>

#include "help_tls.h"
#include "tls/record.h"

enum { STREAM_MAX = 100000 };

/* What a run gave, as one line of text for each record: any two runs over the same
 * bytes must give the same text. */
static char *run_with(struct lp_spares *spares, bool more, const uint8_t *p, size_t n, size_t piece,
		      size_t cut)
{
	struct lp_records r;
	struct lp_record rec;
	char *log = calloc(1, 1 << 20), *at = log;
	enum lp_err err = LP_MORE;
	size_t from = 0, len;

	lp_records_init(&r, 1000);
	lp_records_allow_v2(&r);
	while (from < n && err == LP_MORE) {
		len = cut ? (from ? n - cut : cut) : piece;
		if (len > n - from)
			len = n - from;
		/* A copy of its own, so that reading beyond it is found out. */
		uint8_t *copy = malloc(len);

		memcpy(copy, p + from, len);
		from += len;
		if (more && lp_records_in_middle(&r, len)) {
			lp_records_more(&r, copy, len);
			free(copy);
			continue;
		}
		lp_records_push(&r, copy, len);
		while ((err = lp_records_next(&r, spares, &rec)) == LP_OK) {
			uint32_t sum = 0;

			for (size_t i = 0; i < rec.fragment.n; i++)
				sum = sum * 31 + rec.fragment.p[i];
			ck_assert_uint_eq(rec.header.n, rec.type < 0x80 ? LP_RECORD_HEADER : LP_V2_HEADER);
			at += sprintf(at, "%u %04x %zu @%llu %08x %u\n", rec.type, rec.version,
				      rec.fragment.n, (unsigned long long)rec.offset, sum,
				      rec.header.p[0]);
		}
		free(copy);
	}
	at += sprintf(at, "%d %s held=%zu at=%llu\n", err, lp_records_why(&r) ? lp_records_why(&r) : "-",
		      err == LP_MORE ? lp_records_held(&r) : 0,
		      (unsigned long long)lp_records_offset(&r));
	lp_records_clear(&r);
	return log;
}

/* The same whatever memory incomplete records are held in: their own, one that is lent, or
 * their own since none is left to lend; and whatever way the middle of one takes. */
static char *run(const uint8_t *p, size_t n, size_t piece, size_t cut)
{
	char *log = run_with(NULL, false, p, n, piece, cut);

	for (unsigned max = 0; max < 4; max++) {
		struct lp_spares spares;
		char *again;

		lp_spares_init(&spares, LP_RECORD_SPARE, max & 1);
		again = run_with(&spares, max & 2, p, n, piece, cut);
		ck_assert_str_eq(log, again);
		free(again);
		lp_spares_clear(&spares); /* all are back */
	}
	return log;
}

static void same_however_cut(const uint8_t *p, size_t n, const char *want)
{
	char *whole = run(p, n, n, 0), *other;

	if (want)
		ck_assert_str_eq(whole, want);
	other = run(p, n, 1, 0);
	ck_assert_str_eq(whole, other);
	free(other);
	for (size_t cut = 1; cut < n; cut++) {
		other = run(p, n, 0, cut);
		ck_assert_str_eq(whole, other);
		free(other);
	}
	free(whole);
}

START_TEST(records_of_a_real_session)
{
	static uint8_t bytes[STREAM_MAX];
	size_t n;
	char *log;

	for (size_t i = 0; i < tls_fixtures_n; i++)
		for (int dir = 0; dir < 2; dir++) {
			n = tls_unhex(tls_fixtures[i].stream[dir], bytes, sizeof bytes);
			log = run(bytes, n, n, 0);
			ck_assert_ptr_nonnull(strstr(log, "held=0"));
			free(log);
			same_however_cut(bytes, n, NULL);
		}
}
END_TEST

START_TEST(records_small_and_empty)
{
	static const uint8_t bytes[] = {
		23, 3, 1, 0, 0,           /* an empty record: legal for application data */
		23, 3, 1, 0, 1, 7,
		20, 3, 3, 0, 1, 1,
		24, 3, 3, 0, 2, 9, 9,
		22, 3, 1, 0, 4, 14, 0, 0, /* not whole */
	};

	same_however_cut(bytes, sizeof bytes,
			 "23 0301 0 @1000 00000000 23\n"
			 "23 0301 1 @1005 00000007 23\n"
			 "20 0303 1 @1011 00000001 20\n"
			 "24 0303 2 @1017 00000120 24\n"
			 "1 - held=8 at=1024\n");
}
END_TEST

START_TEST(records_that_are_none)
{
	static const uint8_t type[] = { 23, 3, 1, 0, 0, 'G', 'E', 'T', ' ', '/', ' ' };
	static const uint8_t version[] = { 22, 2, 1, 0, 5, 1, 2, 3, 4, 5 };
	static const uint8_t length[] = { 23, 3, 3, 0x48, 0x01, 1, 2, 3, 4 };

	same_however_cut(type, sizeof type,
			 "23 0301 0 @1000 00000000 23\n"
			 "-6 not a TLS record: unknown content type held=0 at=1005\n");
	same_however_cut(version, sizeof version,
			 "-6 not a TLS record: unknown major version held=0 at=1000\n");
	same_however_cut(length, sizeof length,
			 "-6 record longer than 2^14 + 2048 bytes held=0 at=1000\n");
}
END_TEST

/* RFC 5246 appendix E.2: once, as the first of its direction. */
START_TEST(records_after_a_hello_of_ssl2)
{
	static const uint8_t bytes[] = {
		0x80, 28, 1, 3, 1, 0, 3, 0, 0, 0, 16, 0, 0, 5,
		1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16,
		22, 3, 1, 0, 1, 7, 0x80, 28, 1, 3, 1,
	};
	static const uint8_t older[] = { 0x80, 28, 1, 0, 2, 0, 3, 0, 0, 0, 16 };
	static const uint8_t shorter[] = { 0x80, 27, 1, 3, 0 };
	static const uint8_t longer[] = { 0xff, 0xff, 1, 3, 0 };
	static const uint8_t answer[] = { 0x80, 28, 4, 3, 0 };
	const char *no = "-6 not a TLS record, nor a hello of SSL 2.0 held=0 at=1000\n";

	same_however_cut(bytes, sizeof bytes,
			 "128 0301 28 @1000 5456865b 128\n"
			 "22 0301 1 @1030 00000007 22\n"
			 "-6 not a TLS record: unknown content type held=0 at=1036\n");
	same_however_cut(older, sizeof older, no);
	same_however_cut(shorter, sizeof shorter, no);
	same_however_cut(longer, sizeof longer, no);
	same_however_cut(answer, sizeof answer, no);
}
END_TEST

START_TEST(record_of_the_greatest_length)
{
	size_t n = LP_RECORD_HEADER + LP_RECORD_FRAGMENT_MAX;
	uint8_t *bytes = calloc(1, n);
	char *whole, *bytewise;

	memcpy(bytes, "\x17\x03\x03\x48\x00", 5);
	whole = run(bytes, n, n, 0);
	bytewise = run(bytes, n, 1, 0);
	ck_assert_str_eq(whole, "23 0303 18432 @1000 00000000 23\n1 - held=0 at=19437\n");
	ck_assert_str_eq(whole, bytewise);
	free(whole);
	free(bytewise);
	free(bytes);
}
END_TEST

START_TEST(records_handed_out_in_place)
{
	static const uint8_t bytes[] = { 23, 3, 3, 0, 2, 1, 2, 23, 3, 3, 0, 1, 5 };
	struct lp_records r;
	struct lp_record rec;

	lp_records_init(&r, 0);
	lp_records_push(&r, bytes, sizeof bytes);
	ck_assert_int_eq(lp_records_next(&r, NULL, &rec), LP_OK);
	ck_assert_ptr_eq(rec.fragment.p, bytes + 5);
	ck_assert_ptr_null(r.part);
	ck_assert_int_eq(lp_records_next(&r, NULL, &rec), LP_OK);
	ck_assert_ptr_eq(rec.header.p, bytes + 7);
	ck_assert_int_eq(lp_records_next(&r, NULL, &rec), LP_MORE);
	/* The buffer lives only while a record is incomplete. */
	lp_records_push(&r, bytes, 3);
	ck_assert_int_eq(lp_records_next(&r, NULL, &rec), LP_MORE);
	ck_assert_ptr_nonnull(r.part);
	ck_assert_uint_eq(lp_records_wanted(&r), 0);
	lp_records_push(&r, bytes + 3, 3);
	ck_assert_int_eq(lp_records_next(&r, NULL, &rec), LP_MORE);
	ck_assert_uint_eq(lp_records_wanted(&r), 1);
	lp_records_push(&r, bytes + 6, 1);
	ck_assert_int_eq(lp_records_next(&r, NULL, &rec), LP_OK);
	ck_assert_uint_eq(lp_records_held(&r), 0);
	ck_assert_int_eq(lp_records_next(&r, NULL, &rec), LP_MORE);
	ck_assert_ptr_null(r.part);
	lp_records_clear(&r);
}
END_TEST

START_TEST(records_taken_back)
{
	static const uint8_t bytes[] = { 23, 3, 3, 0, 1, 1, 23, 3, 3, 0, 1, 2, 23, 3, 3, 0, 1, 3 };
	struct lp_records r;
	struct lp_record rec;
	lp_span rest;

	lp_records_init(&r, 50);
	lp_records_push(&r, bytes, 2);
	ck_assert_int_eq(lp_records_next(&r, NULL, &rec), LP_MORE);
	lp_records_push(&r, bytes + 2, sizeof bytes - 2);
	ck_assert_int_eq(lp_records_next(&r, NULL, &rec), LP_OK);
	rest = lp_records_rest(&r);
	ck_assert_ptr_eq(rest.p, bytes + 6);
	ck_assert_uint_eq(rest.n, 12);
	ck_assert_uint_eq(rec.fragment.p[0], 1); /* still there */
	ck_assert_uint_eq(lp_records_offset(&r), 56);
	ck_assert_int_eq(lp_records_next(&r, NULL, &rec), LP_MORE);
	lp_records_push(&r, rest.p, rest.n);
	ck_assert_int_eq(lp_records_next(&r, NULL, &rec), LP_OK);
	ck_assert_uint_eq(rec.offset, 56);
	ck_assert_uint_eq(rec.fragment.p[0], 2);
	ck_assert_int_eq(lp_records_next(&r, NULL, &rec), LP_OK);
	ck_assert_int_eq(lp_records_next(&r, NULL, &rec), LP_MORE);
	ck_assert_uint_eq(lp_records_rest(&r).n, 0);
	lp_records_clear(&r);
}
END_TEST

/* Which bytes are the middle of a record of application data, and only that. */
START_TEST(records_in_the_middle)
{
	static const uint8_t bytes[5 + 600] = { 23, 3, 3, 600 >> 8, 600 & 255 };
	static const uint8_t other[] = { 22, 3, 3, 0, 9, 1 };
	struct lp_records r;
	struct lp_record rec;

	lp_records_init(&r, 0);
	ck_assert(!lp_records_in_middle(&r, 0));
	lp_records_push(&r, bytes, 4);
	ck_assert_int_eq(lp_records_next(&r, NULL, &rec), LP_MORE);
	ck_assert(!lp_records_in_middle(&r, 1)); /* its length is not known */
	lp_records_push(&r, bytes + 4, 46);
	ck_assert_int_eq(lp_records_next(&r, NULL, &rec), LP_MORE);
	/* As far as there is memory. */
	ck_assert_uint_eq(r.part->size, 256);
	ck_assert(lp_records_in_middle(&r, 206));
	ck_assert(!lp_records_in_middle(&r, 207));
	lp_records_more(&r, bytes + 50, 206);
	ck_assert(!lp_records_in_middle(&r, 1));
	lp_records_push(&r, bytes + 256, 44);
	ck_assert_int_eq(lp_records_next(&r, NULL, &rec), LP_MORE);
	ck_assert(lp_records_in_middle(&r, 212));
	lp_records_more(&r, bytes + 300, 210);
	ck_assert(!lp_records_in_middle(&r, 3));
	lp_records_push(&r, bytes + 510, 45);
	ck_assert_int_eq(lp_records_next(&r, NULL, &rec), LP_MORE);
	ck_assert(lp_records_in_middle(&r, 49));
	ck_assert(!lp_records_in_middle(&r, 50)); /* its end */
	lp_records_push(&r, bytes + 555, 50);
	(void)lp_records_rest(&r); /* they wait */
	ck_assert(lp_records_in_middle(&r, 49));
	lp_records_push(&r, bytes + 555, 50);
	ck_assert_int_eq(lp_records_next(&r, NULL, &rec), LP_OK);
	ck_assert_uint_eq(rec.fragment.n, 600);
	ck_assert(!lp_records_in_middle(&r, 1));
	ck_assert_int_eq(lp_records_next(&r, NULL, &rec), LP_MORE);
	lp_records_push(&r, other, sizeof other);
	ck_assert_int_eq(lp_records_next(&r, NULL, &rec), LP_MORE);
	ck_assert(!lp_records_in_middle(&r, 1));
	(void)lp_records_resync(&r, 700);
	lp_records_push(&r, bytes, 100);
	ck_assert_int_eq(lp_records_next(&r, NULL, &rec), LP_MORE);
	ck_assert(lp_records_in_middle(&r, 1));
	(void)lp_records_resync(&r, 900);
	ck_assert(!lp_records_in_middle(&r, 1));
	lp_records_clear(&r);
}
END_TEST

START_TEST(records_after_a_hole)
{
	static const uint8_t bytes[] = { 23, 3, 3, 0, 9, 1, 2, 23, 3, 3, 0, 1, 5 };
	struct lp_records r;
	struct lp_record rec;

	lp_records_init(&r, 0);
	lp_records_push(&r, bytes, 7);
	ck_assert_int_eq(lp_records_next(&r, NULL, &rec), LP_MORE);
	ck_assert_uint_eq(lp_records_wanted(&r), 7);
	ck_assert_uint_eq(lp_records_resync(&r, 107), 7);
	lp_records_push(&r, bytes + 7, 6);
	ck_assert_int_eq(lp_records_next(&r, NULL, &rec), LP_OK);
	ck_assert_uint_eq(rec.offset, 107);
	/* A fault is sticky until resynchronised. */
	lp_records_push(&r, (const uint8_t *)"x", 1);
	ck_assert_int_eq(lp_records_next(&r, NULL, &rec), LP_E_FORMAT);
	ck_assert_int_eq(lp_records_next(&r, NULL, &rec), LP_E_FORMAT);
	ck_assert_uint_eq(lp_records_resync(&r, 200), 0);
	lp_records_push(&r, bytes + 7, 6);
	ck_assert_int_eq(lp_records_next(&r, NULL, &rec), LP_OK);
	ck_assert_uint_eq(rec.offset, 200);
	lp_records_clear(&r);
}
END_TEST

START_TEST(record_plausible)
{
	static const struct {
		const char *bytes;
		size_t n;
		bool yes;
	} cases[] = {
		{ "", 0, true },
		{ "\x16", 1, true },
		{ "\x16\x03", 2, true },
		{ "\x16\x03\x01\x02\x00\x01", 6, true },
		{ "\x17\x03\x03\x48\x00", 5, true },
		{ "\x17\x03\x03\x00\x00", 5, true },
		{ "\x16\x03\x03\x00\x00", 5, false },
		{ "\x17\x03\x03\x48\x01", 5, false },
		{ "\x17\x03\x03\x49", 4, false },
		{ "\x17\x03\x05", 3, false },
		{ "\x17\x02", 2, false },
		{ "\x13", 1, false },
		{ "\x19", 1, false },
		{ "GET /", 5, false },
	};

	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
		ck_assert_int_eq(lp_record_plausible((const uint8_t *)cases[i].bytes, cases[i].n),
				 cases[i].yes);
}
END_TEST

Suite *suite_record(void)
{
	Suite *s = suite_create("record");
	TCase *t = tcase_create("record");

	tcase_set_timeout(t, 60);
	tcase_add_test(t, records_of_a_real_session);
	tcase_add_test(t, records_small_and_empty);
	tcase_add_test(t, records_that_are_none);
	tcase_add_test(t, records_after_a_hello_of_ssl2);
	tcase_add_test(t, record_of_the_greatest_length);
	tcase_add_test(t, records_handed_out_in_place);
	tcase_add_test(t, records_taken_back);
	tcase_add_test(t, records_in_the_middle);
	tcase_add_test(t, records_after_a_hole);
	tcase_add_test(t, record_plausible);
	suite_add_tcase(s, t);
	return s;
}
