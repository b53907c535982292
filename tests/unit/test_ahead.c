/* tls/ahead: the MAC of a record that comes next, made before it has come. Whatever the guess was,
 * what is opened, and what is refused, is the same. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "help_seal.h"
#include "help_sender.h"
#include "help_two.h"
#include "tls/ahead.h"
#include "tls/record.h"

enum { RECORDS = 12, DIRECTIONS = 6, HEADER = LP_RECORD_HEADER };

static const struct lp_crypto *counted(int i)
{
	return help_two(help_providers[i]);
}

/* ---- connections ---- */

struct wire {
	uint8_t bytes[HEADER + HELP_SENDER_BIG]; /* a record, its header included */
	size_t n;
	uint8_t content[1 << 14];
	size_t content_n;
};

static struct wire wire[RECORDS];
static uint8_t out[HELP_SENDER_BIG];

/* Long ones and short ones, some of them too short to be looked ahead to. */
static const size_t sizes[RECORDS] = { 1 << 14, 1 << 14, 2000, 1448, 1 << 14, 40, 5000, 9000, 1 << 14,
				       1100, 0, 1 << 14 };

static void seal_all(struct help_sender *s, unsigned seed)
{
	for (unsigned i = 0; i < RECORDS; i++) {
		struct wire *w = &wire[i];
		size_t n;

		w->content_n = sizes[i];
		help_fill(w->content, sizes[i], seed + i);
		n = help_sender_seal(s, LP_CONTENT_DATA, w->content, sizes[i], w->bytes + HEADER);
		ck_assert_uint_gt(n, 0);
		w->bytes[0] = LP_CONTENT_DATA;
		w->bytes[1] = 3;
		w->bytes[2] = (uint8_t)s->version;
		w->bytes[3] = (uint8_t)(n >> 8);
		w->bytes[4] = (uint8_t)n;
		w->n = HEADER + n;
	}
}

/* Bytes of records from..to-1 that come, in pieces of `size`; what is given ends where they end. */
static void tell(struct lp_protect *p, unsigned from, unsigned to, size_t size)
{
	size_t n = 0, count = 0;
	uint8_t *bytes;
	lp_span *piece;

	ck_assert(lp_protect_looks_ahead(p, 1 << 14));
	for (unsigned i = from; i < to; i++)
		n += wire[i].n;
	bytes = malloc(n + 1);
	piece = calloc(n + 2, sizeof *piece);
	n = 0;
	for (unsigned i = from; i < to; n += wire[i++].n)
		memcpy(bytes + n, wire[i].bytes, wire[i].n);
	bytes = realloc(bytes, n + !n);
	for (size_t at = 0; at < n; at += size) {
		piece[count++] = lp_span_of(bytes + at, n - at < size ? n - at : size);
		if (count == 2)
			piece[count++] = (lp_span){ NULL, 0 };
	}
	lp_protect_next(p, piece, count);
	free(piece);
	free(bytes); /* it was copied */
}

static enum lp_err open_it(struct lp_protect *p, const struct wire *w, size_t *n)
{
	const size_t len = w->n - HEADER;
	uint8_t *copy = malloc(len);
	const struct lp_sealed rec = { w->bytes[0], lp_protect_version(p), { copy, len } };
	const char *why;
	enum lp_err err;

	memcpy(copy, w->bytes + HEADER, len);
	err = lp_protect_open(p, 1, p->seq, &rec, out, sizeof out, n, &why);
	free(copy);
	return err;
}

static void opens(struct lp_protect *p, const struct wire *w)
{
	size_t n = 99;

	ck_assert_int_eq(open_it(p, w, &n), LP_OK);
	ck_assert_uint_eq(n, w->content_n);
	ck_assert_mem_eq(out, w->content, n);
}

static void refused(struct lp_protect *p, const struct wire *w)
{
	size_t n = 99;

	ck_assert_int_eq(open_it(p, w, &n), LP_E_AUTH);
}

struct kind {
	uint16_t suite, version;
	bool etm, truncated;
};

static struct kind kind_of(int i)
{
	static const uint16_t suite[] = { 0x002f, 0x003d, 0x000a }; /* AES-128 SHA, AES-256 SHA256, 3DES SHA */

	return (struct kind){ suite[i % 3], (uint16_t)(0x301 + i / 3 % 3), i / 9 % 2, i / 18 % 2 };
}

enum { KINDS = 36 };

static void begin(struct help_pair *x, struct lp_ctx_cache *cache, const struct lp_crypto *crypto,
		  const struct kind *k)
{
	const struct lp_suite *suite = lp_suite_find(k->suite);

	ck_assert_ptr_nonnull(suite);
	lp_ctx_cache_init(cache, 8);
	cache->ahead = lp_ahead_new(crypto, LP_AHEAD_LEAST);
	ck_assert_ptr_nonnull(cache->ahead);
	help_pair_init(x, cache, crypto, suite, k->version, k->etm, k->truncated);
}

static void end(struct help_pair *x, struct lp_ctx_cache *cache)
{
	help_pair_clear(x);
	lp_ctx_cache_clear(cache);
	lp_ahead_free(cache->ahead);
}

/* ---- what is tested ---- */

START_TEST(records_that_were_foreseen)
{
	static const size_t cut[] = { 1 << 20, 1448, 7, 1 };
	const struct kind k = kind_of(_i);

	for (int i = 0; i < HELP_PROVIDERS; i++)
		for (size_t c = 0; c < sizeof cut / sizeof cut[0]; c++) {
			const struct lp_crypto *crypto = counted(i);
			struct lp_ctx_cache cache;
			struct help_pair x;

			begin(&x, &cache, crypto, &k);
			seal_all(x.sender[0], 3);
			for (unsigned r = 0; r < RECORDS; r++) {
				struct lp_protect *p = &x.reader[0];

				if (lp_protect_looks_ahead(p, wire[r].n - HEADER))
					tell(p, r + 1, r + 3 < RECORDS ? r + 3 : RECORDS, cut[c]);
				opens(p, &wire[r]);
			}
			/* Each MAC was made once: 0 with 1, 2 with 3, 6 with 7, 8 with 9. */
			ck_assert_uint_eq(help_two_counts.twos, 4);
			ck_assert_uint_eq(help_two_counts.ones + 2 * help_two_counts.twos, RECORDS);
			end(&x, &cache);
		}
}
END_TEST

/* What is not there yet, or cannot be done, is no guess. */
START_TEST(nothing_to_foresee)
{
	const struct kind k = { 0x003d, 0x303, true, false };
	const struct lp_crypto *crypto = counted(0);
	struct lp_ctx_cache cache;
	struct help_pair x;
	struct lp_protect *p = &x.reader[0];
	uint8_t copy[HEADER + (1 << 14)];

	begin(&x, &cache, crypto, &k);
	seal_all(x.sender[0], 3);
	ck_assert(lp_protect_looks_ahead(p, 1 << 14));
	lp_protect_next(p, NULL, 0);
	opens(p, &wire[0]);
	memcpy(copy, wire[2].bytes, wire[2].n);
	for (size_t n = 0; n < wire[2].n; n++) { /* cut at every point */
		lp_span piece = { copy, n };

		lp_protect_next(p, &piece, 1);
		p->seq = 1;
		opens(p, &wire[1]);
	}
	ck_assert_uint_eq(help_two_counts.twos, 0);
	help_two_counts.refuses = true;
	p->seq = 1;
	tell(p, 2, 3, 1448);
	opens(p, &wire[1]);
	opens(p, &wire[2]);
	ck_assert_uint_eq(help_two_counts.twos, 0);
	ck_assert(!lp_protect_looks_ahead(p, LP_AHEAD_LEAST - 1));
	ck_assert(lp_protect_looks_ahead(p, LP_AHEAD_LEAST));
	end(&x, &cache);
	help_two_counts.absent = true;
	begin(&x, &cache, crypto, &k);
	seal_all(x.sender[0], 3);
	ck_assert(!lp_protect_looks_ahead(p, 1 << 14));
	opens(p, &wire[0]);
	ck_assert(!lp_ahead_is_for(cache.ahead, 1 << 14)); /* nobody asks again */
	end(&x, &cache);
	ck_assert_ptr_null(lp_ahead_new(&lp_crypto_mbedtls, LP_AHEAD_LEAST)); /* has nothing for two */
}
END_TEST

/* Suites without such a MAC are not looked ahead in. */
START_TEST(other_suites)
{
	static const uint16_t suite[] = { 0x0005, 0x009c, 0xc028, 0x002f }; /* RC4, GCM, SHA384, SSL 3.0 */

	for (int i = 0; i < 4; i++) {
		const struct kind k = { suite[i], i == 3 ? 0x300 : 0x303, false, false };
		const struct lp_crypto *crypto = counted(HELP_PROVIDERS - 1);
		struct lp_ctx_cache cache;
		struct help_pair x;

		if (k.suite == 0x0005 && !crypto->has_cipher(LP_RC4_128))
			continue;
		begin(&x, &cache, crypto, &k);
		ck_assert(!lp_protect_looks_ahead(&x.reader[0], 1 << 14));
		end(&x, &cache);
	}
}
END_TEST

/* Guesses that are wrong in one place: what comes opens as if there had been none. */
START_TEST(wrong_guesses)
{
	const struct kind k = kind_of(_i);

	for (int i = 0; i < HELP_PROVIDERS; i++) {
		const struct lp_crypto *crypto = counted(i);
		struct lp_ctx_cache cache;
		struct help_pair x;
		struct lp_protect *p = &x.reader[0];

		begin(&x, &cache, crypto, &k);
		seal_all(x.sender[0], 3);
		opens(p, &wire[0]);
		opens(p, &wire[1]);
		for (size_t at = 0; at < wire[3].n; at += at < 40 || at + 60 > wire[3].n ? 1 : 97) {
			lp_span piece;

			p->seq = 2;
			lp_protect_chain(p, lp_span_of(wire[1].bytes + HEADER, wire[1].n - HEADER));
			wire[3].bytes[at] ^= 0x41;
			piece = lp_span_of(wire[3].bytes, wire[3].n);
			ck_assert(lp_protect_looks_ahead(p, wire[2].n - HEADER));
			lp_protect_next(p, &piece, 1);
			opens(p, &wire[2]);
			wire[3].bytes[at] ^= 0x41;
			opens(p, &wire[3]);
		}
		ck_assert_uint_gt(help_two_counts.twos, 40);
		end(&x, &cache);
	}
}
END_TEST

/* The guess was right; what comes then is not. */
START_TEST(what_comes_is_not_what_was_foreseen)
{
	const struct kind k = kind_of(_i);

	for (int i = 0; i < HELP_PROVIDERS; i++) {
		const struct lp_crypto *crypto = counted(i);
		struct lp_ctx_cache cache;
		struct help_pair x;
		struct lp_protect *p = &x.reader[0];
		size_t at;

		begin(&x, &cache, crypto, &k);
		seal_all(x.sender[0], 3);
		tell(p, 1, 2, 1448);
		opens(p, &wire[0]);
		ck_assert_uint_eq(help_two_counts.twos, 1);
		for (at = 0; at < wire[1].n - HEADER; at += 501) {
			wire[1].bytes[HEADER + at] ^= 1;
			refused(p, &wire[1]);
			wire[1].bytes[HEADER + at] ^= 1;
		}
		p->seq = 0;
		refused(p, &wire[1]);
		p->seq = 2;
		refused(p, &wire[1]);
		p->seq = 1;
		refused(&x.reader[1], &wire[1]); /* of the other direction's key */
		x.reader[1].seq = 1;
		refused(&x.reader[1], &wire[1]);
		help_two_counts.ones = 0;
		opens(p, &wire[1]);
		ck_assert_uint_eq(help_two_counts.ones, 0); /* it was still known */
		p->seq = 1;
		lp_protect_chain(p, lp_span_of(wire[0].bytes + HEADER, wire[0].n - HEADER));
		opens(p, &wire[1]);
		ck_assert_uint_eq(help_two_counts.ones, 1); /* once */
		end(&x, &cache);
	}
}
END_TEST

/* More directions in turn than are kept: the first give way. */
START_TEST(more_than_are_kept)
{
	const struct kind k = { 0x003d, 0x303, true, false };
	const struct lp_crypto *crypto = counted(0);
	static struct wire first[DIRECTIONS], second[DIRECTIONS];
	struct lp_protect p[DIRECTIONS][2];
	const struct lp_protect_params params = { lp_suite_find(k.suite), crypto, crypto, k.version, 1,
						  k.etm, k.truncated, NULL };
	struct help_sender *s = calloc(1, sizeof *s);
	uint8_t block[256];
	struct lp_ctx_cache cache;
	size_t n = lp_protect_key_block_size(&params);

	lp_ctx_cache_init(&cache, DIRECTIONS);
	cache.ahead = lp_ahead_new(crypto, LP_AHEAD_LEAST);
	for (unsigned i = 0; i < DIRECTIONS; i++) {
		help_fill(block, n, i + 50);
		memset(p[i], 0, sizeof p[i]);
		ck_assert_int_eq(lp_protect_setup(&p[i][0], &p[i][1], &cache, &params, block, n), LP_OK);
		*s = (struct help_sender){ .suite = params.suite, .info = lp_cipher_info(params.suite->cipher),
					   .version = k.version, .etm = true, .mac_len = 32 };
		memcpy(s->mac, block, 32);
		memcpy(s->key, block + 64, 32);
		seal_all(s, i);
		first[i] = wire[0];
		second[i] = wire[1];
	}
	for (unsigned i = 0; i < DIRECTIONS; i++) {
		wire[1] = second[i];
		ck_assert(lp_protect_looks_ahead(&p[i][0], first[i].n - HEADER));
		tell(&p[i][0], 1, 2, 1448);
		opens(&p[i][0], &first[i]);
	}
	ck_assert_uint_eq(help_two_counts.twos, DIRECTIONS);
	ck_assert(lp_protect_looks_ahead(&p[1][0], first[1].n - HEADER));
	lp_protect_next(&p[1][0], NULL, 0); /* for nothing none gives way */
	for (unsigned i = 0; i < DIRECTIONS; i++)
		opens(&p[i][0], &second[i]);
	ck_assert_uint_eq(help_two_counts.ones, DIRECTIONS - 4);
	/* What is kept of a direction goes with its keys. */
	p[0][0].seq = 0;
	wire[1] = second[0];
	tell(&p[0][0], 1, 2, 1448);
	opens(&p[0][0], &first[0]);
	lp_protect_clear(&p[0][0]);
	lp_protect_clear(&p[0][1]);
	help_fill(block, n, 50);
	ck_assert_int_eq(lp_protect_setup(&p[0][0], &p[0][1], &cache, &params, block, n), LP_OK);
	p[0][0].seq = 1;
	help_two_counts.ones = 0;
	opens(&p[0][0], &second[0]);
	ck_assert_uint_eq(help_two_counts.ones, 1);
	for (unsigned i = 0; i < DIRECTIONS; i++)
		for (int d = 0; d < 2; d++)
			lp_protect_clear(&p[i][d]);
	lp_ctx_cache_clear(&cache);
	lp_ahead_free(cache.ahead);
	free(s);
}
END_TEST

Suite *suite_ahead(void);
Suite *suite_ahead(void)
{
	Suite *s = suite_create("ahead");
	TCase *t = tcase_create("ahead");

	tcase_set_timeout(t, 60);
	tcase_add_loop_test(t, records_that_were_foreseen, 0, KINDS);
	tcase_add_test(t, nothing_to_foresee);
	tcase_add_test(t, other_suites);
	tcase_add_loop_test(t, wrong_guesses, 0, KINDS);
	tcase_add_loop_test(t, what_comes_is_not_what_was_foreseen, 0, KINDS);
	tcase_add_test(t, more_than_are_kept);
	suite_add_tcase(s, t);
	return s;
}
