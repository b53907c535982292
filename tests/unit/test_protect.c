/* tls/protect: opening records that other libraries sealed, and refusing every other. */
#include <check.h>
#include <mbedtls/md.h>
#include <stdlib.h>

#include "base/secret.h"
#include "help_seal.h"
#include "help_sender.h"
#include "help_tls.h"
#include "tls/hello.h"
#include "tls/protect.h"
#include "tls/record.h"

static uint8_t content[HELP_SENDER_BIG], fragment[HELP_SENDER_BIG], out[HELP_SENDER_BIG];

/* Opens what was sealed; the copy ends where the record ends. */
static enum lp_err open_at(struct lp_protect *p, uint64_t seq, uint8_t type, uint16_t version,
			   const uint8_t *f, size_t len, size_t *n, const char **why)
{
	uint8_t *copy = malloc(len + !len);
	struct lp_sealed rec = { type, version, { copy, len } };
	enum lp_err err;

	memcpy(copy, f, len);
	err = lp_protect_open(p, 1, seq, &rec, out, sizeof out, n, why);
	free(copy);
	return err;
}

static void opens(struct lp_protect *p, uint16_t version, const uint8_t *f, size_t len,
		  const uint8_t *want, size_t want_n)
{
	uint64_t seq = p->seq;
	const char *why = NULL;
	size_t n = 99, min, max;

	ck_assert_msg(open_at(p, seq, LP_CONTENT_DATA, version, f, len, &n, &why) == LP_OK,
		      "%s %04x etm=%d: %s", p->suite->name, version, p->etm, why ? why : "?");
	ck_assert_uint_eq(n, want_n);
	ck_assert_mem_eq(out, want, n);
	ck_assert_uint_eq(p->seq, seq + 1);
	lp_protect_content_range(p, len, &min, &max);
	ck_assert_uint_le(n, max);
	if (!want_n || want_n % 16 != 3) /* those have more padding than they must */
		ck_assert_uint_ge(n, min);
}

/* Each suite that differs from those before it in cipher or MAC, in each version and
 * with and without RFC 7366 where that makes sense. */
typedef void each_fn(const struct lp_crypto *crypto, const struct lp_suite *suite, uint16_t version,
		     bool etm);

static uint16_t first_version(const struct lp_suite *s, const struct lp_cipher_info *info)
{
	if (info->kind == LP_KIND_AEAD)
		return 0x303;
	return s->mac == LP_MD5 || s->mac == LP_SHA1 ? 0x300 : 0x301;
}

static int each_suite(each_fn *fn, bool only_aes)
{
	bool seen[LP_CIPHER_COUNT][LP_MD5_SHA1 + 1] = { { false } };
	size_t n;
	const struct lp_suite *t = lp_suite_table(&n);
	int count = 0;

	for (size_t i = 0; i < n; i++) {
		const struct lp_suite *s = &t[i];
		const struct lp_cipher_info *info;

		if (s->cipher >= LP_CIPHER_COUNT || s->kx == LP_KX_TLS13 ||
		    s->kx == LP_KX_NULL || s->mac == LP_SM3 || seen[s->cipher][s->mac])
			continue;
		info = lp_cipher_info(s->cipher);
		if (only_aes && strncmp(info->name, "AES", 3))
			continue;
		seen[s->cipher][s->mac] = true;
		for (int p = 0; p < HELP_PROVIDERS; p++) {
			if (info->kind != LP_KIND_NULL && !help_providers[p]->has_cipher(s->cipher))
				continue;
			for (uint16_t v = first_version(s, info); v <= 0x303; v++)
				for (int etm = 0; etm <= (v > 0x300 && info->kind == LP_KIND_CBC); etm++, count++)
					fn(help_providers[p], s, v, etm);
		}
	}
	return count;
}

static void sizes_of_all_kinds(const struct lp_crypto *crypto, const struct lp_suite *suite,
			       uint16_t version, bool etm)
{
	static const size_t sizes[] = { 0, 1, 15, 16, 17, 0, 100, 3, 1 << 14, 19, 2 };
	struct lp_ctx_cache cache;
	struct help_pair x;
	size_t len;

	lp_ctx_cache_init(&cache, 4);
	help_pair_init(&x, &cache, crypto, suite, version, etm, false);
	for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++)
		for (int dir = 0; dir < 2; dir++) {
			help_fill(content, sizes[i], (uint32_t)i + 1);
			x.sender[dir]->padding = sizes[i] % 16 == 3 ? 15 : 0;
			len = help_sender_seal(x.sender[dir], LP_CONTENT_DATA, content, sizes[i], fragment);
			if (!len)
				goto out; /* no library seals it */
			opens(&x.reader[dir], version, fragment, len, content, sizes[i]);
		}
out:
	help_pair_clear(&x);
	ck_assert_uint_eq(cache.used, 0);
	lp_ctx_cache_clear(&cache);
}

START_TEST(records_of_every_suite)
{
	ck_assert_int_gt(each_suite(sizes_of_all_kinds, false), 30);
}
END_TEST

static void refused(struct lp_protect *p, uint64_t seq, uint8_t type, uint16_t version, const uint8_t *f,
		    size_t len)
{
	uint64_t before = p->seq;
	const char *why = NULL;
	size_t n = 99;

	ck_assert_int_eq(open_at(p, seq, type, version, f, len, &n, &why), LP_E_AUTH);
	ck_assert_ptr_nonnull(why);
	ck_assert(!strcmp(why, "mac") || !strcmp(why, "tag") || !strcmp(why, "padding") ||
		  !strcmp(why, "length"));
	ck_assert_uint_eq(n, 0);
	ck_assert_uint_eq(p->seq, before);
	for (size_t i = 0; i < len; i++)
		ck_assert_uint_eq(out[i], 0);
}

static void every_byte_counts(const struct lp_crypto *crypto, const struct lp_suite *suite,
			      uint16_t version, bool etm)
{
	struct lp_ctx_cache cache;
	struct help_pair x;
	struct lp_protect *p = &x.reader[0];
	size_t len, n;
	const char *why;

	lp_ctx_cache_init(&cache, 4);
	help_pair_init(&x, &cache, crypto, suite, version, etm, false);
	help_fill(content, 21, 3);
	/* The second record, so that there is a state to be kept. */
	len = help_sender_seal(x.sender[0], LP_CONTENT_DATA, content, 21, fragment);
	opens(p, version, fragment, len, content, 21);
	len = help_sender_seal(x.sender[0], LP_CONTENT_DATA, content, 21, fragment);
	for (size_t i = 0; i < len; i++) {
		fragment[i] ^= (uint8_t)(1 << i % 8);
		refused(p, 1, LP_CONTENT_DATA, version, fragment, len);
		fragment[i] ^= (uint8_t)(1 << i % 8);
	}
	for (size_t cut = 0; cut < len; cut++)
		refused(p, 1, LP_CONTENT_DATA, version, fragment, cut);
	refused(p, 0, LP_CONTENT_DATA, version, fragment, len);
	refused(p, 2, LP_CONTENT_DATA, version, fragment, len);
	refused(p, 1ULL << 63 | 1, LP_CONTENT_DATA, version, fragment, len);
	refused(p, 1, LP_CONTENT_ALERT, version, fragment, len);
	if (version > 0x300) /* there the MAC does not cover it */
		refused(p, 1, LP_CONTENT_DATA, version ^ 1, fragment, len);
	refused(&x.reader[1], 1, LP_CONTENT_DATA, version, fragment, len);
	struct lp_sealed rec = { LP_CONTENT_DATA, version, { fragment, len } };
	ck_assert_int_eq(lp_protect_open(p, 2, 1, &rec, out, sizeof out, &n, &why), LP_E_AUTH);
	ck_assert_str_eq(why, "epoch");
	ck_assert_int_eq(lp_protect_open(p, 1, 1, &rec, out, len - 1, &n, &why), LP_E_ARG);
	/* After all that it opens, and so does the next. */
	opens(p, version, fragment, len, content, 21);
	len = help_sender_seal(x.sender[0], LP_CONTENT_DATA, content, 7, fragment);
	opens(p, version, fragment, len, content, 7);
	help_pair_clear(&x);
	lp_ctx_cache_clear(&cache);
}

START_TEST(records_tampered_with)
{
	ck_assert_int_gt(each_suite(every_byte_counts, true), 20);
	for (int p = 0; p < HELP_PROVIDERS; p++) {
		every_byte_counts(help_providers[p], lp_suite_find(0x0002), 0x302, false); /* NULL_SHA */
		every_byte_counts(help_providers[p], lp_suite_find(0xcca8), 0x303, false); /* ChaCha20 */
		if (help_providers[p]->has_cipher(LP_RC4_128))
			every_byte_counts(help_providers[p], lp_suite_find(0x0005), 0x301, false);
		if (help_providers[p]->has_cipher(LP_3DES_EDE_CBC))
			every_byte_counts(help_providers[p], lp_suite_find(0x000a), 0x301, false);
	}
}
END_TEST

/* A record with another type has a wrong MAC, and nothing else is wrong with it. */
static void macs_unchecked(const struct lp_crypto *crypto, const struct lp_suite *suite,
			   uint16_t version, bool etm)
{
	const bool cbc = lp_cipher_info(suite->cipher)->kind == LP_KIND_CBC;
	const bool aead = lp_cipher_info(suite->cipher)->kind == LP_KIND_AEAD;
	struct lp_sealed rec = { LP_CONTENT_ALERT, version, { fragment, 0 } };
	struct lp_ctx_cache cache;
	struct help_pair x;
	struct lp_protect *p = &x.reader[0];
	const char *why;
	size_t n;

	lp_ctx_cache_init(&cache, 4);
	help_pair_init(&x, &cache, crypto, suite, version, etm, false);
	help_fill(content, 21, 3);
	for (int round = 0; round < 2; round++) {
		rec.fragment.n = help_sender_seal(x.sender[0], LP_CONTENT_DATA, content, 21, fragment);
		if (!rec.fragment.n)
			goto out; /* no library seals it */
		ck_assert(lp_protect_has_mac(p) == !aead);
		ck_assert_int_eq(lp_protect_open(p, 1, p->seq, &rec, out, sizeof out, &n, &why),
				 LP_E_AUTH);
		ck_assert_int_eq(lp_protect_open_unchecked(p, &rec, out, sizeof out, &n, &why),
				 aead ? LP_E_AUTH : LP_OK);
		if (aead)
			goto out;
		ck_assert_uint_eq(n, 21);
		ck_assert_mem_eq(out, content, 21);
		ck_assert_uint_eq(p->seq, (uint64_t)(2 * round + 1));
		/* The next is checked, and well. */
		rec.fragment.n = help_sender_seal(x.sender[0], LP_CONTENT_DATA, content, 21, fragment);
		opens(p, version, fragment, rec.fragment.n, content, 21);
	}
	rec.fragment.n = help_sender_seal(x.sender[0], LP_CONTENT_ALERT, content, 21, fragment);
	if (cbc && version > 0x300) {
		/* The length of the padding differs in a bit. */
		fragment[rec.fragment.n - (etm ? p->mac_len : 0) -
			 lp_cipher_info(suite->cipher)->block - 1] ^= 1;
		ck_assert_int_eq(lp_protect_open_unchecked(p, &rec, out, sizeof out, &n, &why),
				 LP_E_AUTH);
		ck_assert_str_eq(why, "padding");
		ck_assert_uint_eq(p->seq, 4);
	}
	rec.fragment.n = 7;
	ck_assert_int_eq(lp_protect_open_unchecked(p, &rec, out, sizeof out, &n, &why), LP_E_AUTH);
	ck_assert_str_eq(why, "length");
out:
	help_pair_clear(&x);
	lp_ctx_cache_clear(&cache);
}

START_TEST(a_mac_that_is_not_looked_at)
{
	ck_assert_int_gt(each_suite(macs_unchecked, false), 30);
}
END_TEST

/* RFC 2246 section 6.3.1: the write keys are stretched, and the IVs are no secret. */
START_TEST(export_keys_are_stretched)
{
	static const uint16_t suites[] = { 0x0003, 0x0008, 0x0006, 0x0060, 0x0062 };
	struct lp_ctx_cache cache;
	uint8_t master[48], c[32], s[32], raw[128];

	help_fill(master, 48, 1);
	help_fill(c, 32, 2);
	help_fill(s, 32, 3);
	lp_ctx_cache_init(&cache, 4);
	for (size_t i = 0; i < sizeof suites / sizeof suites[0]; i++)
		for (uint16_t v = 0x300; v <= 0x303; v++) {
			const struct lp_crypto *crypto = help_providers[HELP_PROVIDERS - 1];
			const struct lp_suite *suite = lp_suite_find(suites[i]);
			const struct lp_cipher_info *info = lp_cipher_info(suite->cipher);
			const struct lp_protect_params params = { suite, crypto, crypto, v, 1, false, false, NULL };
			const struct lp_kdf kdf = { crypto, v, LP_SHA256, NULL };
			size_t mac = lp_digest_size(suite->mac), few = info->key_material, len;
			struct lp_protect p[2] = { { 0 } };
			static struct help_sender sender;

			if (!crypto->has_cipher(suite->cipher))
				continue;
			ck_assert_int_eq(lp_kdf_key_block(&kdf, master, c, s, raw, 2 * (mac + few)), LP_OK);
			ck_assert_int_eq(lp_protect_derive(&p[0], &p[1], &cache, &params, master, c, s), LP_OK);
			for (int dir = 0; dir < 2; dir++) {
				const lp_span key = { raw + 2 * mac + (size_t)dir * few, few };

				sender = (struct help_sender){ .suite = suite, .info = info, .version = v, .mac_len = mac };
				memcpy(sender.mac, raw + (size_t)dir * mac, mac);
				ck_assert_int_eq(lp_kdf_export_key(&kdf, key, !dir, c, s, sender.key, info->key), LP_OK);
				ck_assert_int_eq(lp_kdf_export_iv(&kdf, !dir, c, s, sender.iv, info->iv), LP_OK);
				for (size_t n = 20; n < 23; n++) {
					help_fill(content, n, 1);
					len = help_sender_seal(&sender, LP_CONTENT_DATA, content, n, fragment);
					ck_assert_uint_gt(len, 0);
					opens(&p[dir], v, fragment, len, content, n);
				}
				lp_protect_clear(&p[dir]);
			}
		}
	lp_ctx_cache_clear(&cache);
}
END_TEST

/* RFC 5246 6.2.3.2: every byte of the padding must be checked. */
START_TEST(padding_in_detail)
{
	struct lp_ctx_cache cache;
	struct help_pair x;
	size_t len, n;
	const char *why;

	lp_ctx_cache_init(&cache, 4);
	for (int etm = 0; etm < 2; etm++) {
		help_pair_init(&x, &cache, help_providers[0], lp_suite_find(0x002f), 0x302, etm, false);
		x.sender[0]->padding = 4;
		help_fill(content, 5, 1);
		len = help_sender_seal(x.sender[0], LP_CONTENT_DATA, content, 5, fragment);
		/* Flipping a byte of the block before changes the padding only. */
		fragment[len - (etm ? 20 : 0) - 32] ^= 1;
		ck_assert_int_eq(open_at(&x.reader[0], 0, LP_CONTENT_DATA, 0x302, fragment, len, &n, &why),
				 LP_E_AUTH);
		ck_assert_str_eq(why, etm ? "mac" : "padding");
		help_pair_clear(&x);
	}
	lp_ctx_cache_clear(&cache);
}
END_TEST

START_TEST(truncated_hmac)
{
	struct lp_ctx_cache cache;
	struct help_pair x;
	size_t len;

	lp_ctx_cache_init(&cache, 4);
	for (int etm = 0; etm < 2; etm++) {
		help_pair_init(&x, &cache, help_providers[0], lp_suite_find(0x003c), 0x303, etm, true);
		for (size_t n = 0; n < 50; n++) {
			help_fill(content, n, 1);
			len = help_sender_seal(x.sender[1], LP_CONTENT_DATA, content, n, fragment);
			opens(&x.reader[1], 0x303, fragment, len, content, n);
		}
		help_pair_clear(&x);
	}
	lp_ctx_cache_clear(&cache);
}
END_TEST

/* Behind a hole a stream cipher is tried at many places, near each other and far before the
 * first: no place costs what was sent before the hole. */
static void trials(const struct lp_crypto *crypto)
{
	enum { BASE = 30000, HOLE = 20000, LEN = 300 };
	const struct lp_suite *s = lp_suite_find(0x0005);
	struct lp_protect *p;
	struct lp_ctx_cache cache;
	uint64_t spent = 0;
	struct help_pair x;
	size_t len;

	if (!crypto->has_cipher(s->cipher))
		return;
	lp_ctx_cache_init(&cache, 4);
	help_pair_init(&x, &cache, crypto, s, 0x303, false, false);
	p = &x.reader[0];
	help_fill(content, LEN, 1);
	x.sender[0]->plain_n = BASE;
	lp_protect_stream(p)->at = BASE;
	len = help_sender_seal(x.sender[0], LP_CONTENT_DATA, content, LEN, fragment);
	opens(p, 0x303, fragment, len, content, LEN);
	lp_protect_settle(p);
	ck_assert_ptr_null(lp_protect_stream(p)->keys.marks);
	for (int hole = 0; hole < 2; hole++) {
		uint64_t stood = lp_protect_stream(p)->at, right = x.sender[0]->plain_n + HOLE;
		const char *why;
		size_t n;

		x.sender[0]->plain_n += HOLE;
		x.sender[0]->seq += 10;
		len = help_sender_seal(x.sender[0], LP_CONTENT_DATA, content, LEN, fragment);
		for (unsigned k = 1; k < 1500; k++) {
			lp_protect_stream(p)->at = right + (k & 1 ? 5 * k / 2 : -(5ULL * k / 2));
			ck_assert_int_eq(open_at(p, p->seq + 10, LP_CONTENT_DATA, 0x303, fragment,
						 len, &n, &why), LP_E_AUTH);
			lp_protect_stream(p)->at = stood;
			n = (size_t)lp_keystream_again(&lp_protect_stream(p)->keys);
			ck_assert_uint_le(n, HOLE + 2 * LEN + 5 * k);
			spent += n;
		}
		lp_protect_stream(p)->at = right;
		p->seq += 10;
		opens(p, 0x303, fragment, len, content, LEN);
		ck_assert_ptr_nonnull(lp_protect_stream(p)->keys.marks);
		lp_protect_settle(p);
		len = help_sender_seal(x.sender[0], LP_CONTENT_DATA, content, 9, fragment);
		opens(p, 0x303, fragment, len, content, 9);
		ck_assert_ptr_null(lp_protect_stream(p)->keys.marks);
	}
	/* Some thousand bytes each; from the beginning it would be tens of thousands. */
	ck_assert_uint_lt(spent, 2 * 1500 * 10000);
	help_pair_clear(&x);
	lp_ctx_cache_clear(&cache);
}

START_TEST(trials_of_a_stream_cipher)
{
	for (size_t i = 0; i < HELP_PROVIDERS; i++)
		trials(help_providers[i]);
}
END_TEST

/* A record that was seen and not opened does not close those behind it. */
START_TEST(records_passed_by)
{
	static const uint16_t suites[] = { 0x002f, 0x0005, 0x009c, 0x003d, 0xcca8 };
	struct lp_ctx_cache cache;

	lp_ctx_cache_init(&cache, 4);
	for (size_t i = 0; i < sizeof suites / sizeof suites[0]; i++)
		for (int etm = 0; etm < 2; etm++) {
			const struct lp_suite *s = lp_suite_find(suites[i]);
			uint16_t version = i < 2 ? 0x301 : 0x303;
			struct help_pair x;
			struct lp_protect *p = &x.reader[0];
			size_t len;

			if (!help_providers[0]->has_cipher(s->cipher))
				continue;
			help_pair_init(&x, &cache, help_providers[0], s, version, etm, false);
			help_fill(content, 2000, 1);
			len = help_sender_seal(x.sender[0], LP_CONTENT_DATA, content, 40, fragment);
			opens(p, version, fragment, len, content, 40);
			len = help_sender_seal(x.sender[0], LP_CONTENT_DATA, content, 2000, fragment);
			/* Of CBC its end is enough. */
			if (s->cipher == LP_RC4_128)
				lp_protect_chain(p, lp_span_of(fragment, len));
			else
				lp_protect_chain(p, lp_span_of(fragment + len - 36, 36));
			ck_assert_uint_eq(p->seq, 1);
			p->seq = 2;
			for (int k = 0; k < 2; k++) {
				len = help_sender_seal(x.sender[0], LP_CONTENT_DATA, content, 9, fragment);
				opens(p, version, fragment, len, content, 9);
			}
			help_pair_clear(&x);
		}
	lp_ctx_cache_clear(&cache);
}
END_TEST

START_TEST(contexts_are_bounded)
{
	enum { SESSIONS = 7 };
	static struct help_pair x[SESSIONS];
	struct lp_ctx_cache cache;
	size_t len;
	int count = 0;

	/* A cache for one session, used by seven in turn. */
	lp_ctx_cache_init(&cache, 1);
	for (int i = 0; i < SESSIONS; i++)
		help_pair_init(&x[i], &cache, help_providers[HELP_PROVIDERS - 1], lp_suite_find(i % 2 ? 0x009d : 0x0035),
			  0x303, false, false);
	for (int round = 0; round < 4; round++)
		for (int i = 0; i < SESSIONS; i++, count++) {
			help_fill(content, 33, (uint32_t)(round * 10 + i));
			len = help_sender_seal(x[i].sender[1], LP_CONTENT_DATA, content, 33, fragment);
			opens(&x[i].reader[1], 0x303, fragment, len, content, 33);
			ck_assert_uint_le(cache.used, 2);
		}
	ck_assert_uint_eq(cache.made, count);
	ck_assert_uint_eq(cache.evicted, count - 2);
	/* The last two are still there. */
	for (int i = SESSIONS - 2; i < SESSIONS; i++) {
		len = help_sender_seal(x[i].sender[1], LP_CONTENT_DATA, content, 33, fragment);
		opens(&x[i].reader[1], 0x303, fragment, len, content, 33);
	}
	ck_assert_uint_eq(cache.made, count);
	/* A direction may be moved; the others' ends do not touch its context. */
	struct lp_protect moved = x[SESSIONS - 1].reader[1];

	memset(&x[SESSIONS - 1].reader[1], 0, sizeof moved);
	for (int i = 0; i < SESSIONS; i++) {
		if (i < SESSIONS - 1)
			help_pair_clear(&x[i]);
	}
	len = help_sender_seal(x[SESSIONS - 1].sender[1], LP_CONTENT_DATA, content, 33, fragment);
	opens(&moved, 0x303, fragment, len, content, 33);
	ck_assert_uint_eq(cache.made, count);
	lp_protect_clear(&moved);
	help_pair_clear(&x[SESSIONS - 1]);
	ck_assert_uint_eq(cache.used, 0);
	lp_ctx_cache_clear(&cache);
}
END_TEST

START_TEST(contexts_many)
{
	enum { SESSIONS = 300 };
	static struct lp_protect p[SESSIONS][2];
	struct lp_ctx_cache cache;
	struct lp_protect_params params = { lp_suite_find(0x002f), help_providers[0], help_providers[0], 0x303, 1, 0, 0, NULL };
	uint8_t block[512], junk[64] = { 0 };
	struct lp_sealed rec = { 23, 0x303, { junk, 64 } };
	const char *why;
	size_t n;

	lp_ctx_cache_init(&cache, 100);
	help_fill(block, sizeof block, 1);
	for (int round = 0; round < 2; round++) {
		for (int i = 0; i < SESSIONS; i++) {
			if (!round)
				ck_assert_int_eq(lp_protect_setup(&p[i][0], &p[i][1], &cache, &params, block,
								  lp_protect_key_block_size(&params)), LP_OK);
			ck_assert_int_eq(lp_protect_open(&p[i][0], 1, 0, &rec, out, sizeof out, &n, &why),
					 LP_E_AUTH);
			ck_assert_uint_le(cache.used, 200);
		}
		/* Holes in the middle are used again. */
		for (int i = 0; round && i < SESSIONS; i += 3)
			lp_protect_clear(&p[i][0]);
	}
	ck_assert_uint_eq(cache.evicted, cache.made - 200);
	for (int i = 0; i < SESSIONS; i++) {
		lp_protect_clear(&p[i][0]);
		lp_protect_clear(&p[i][1]);
	}
	ck_assert_uint_eq(cache.used, 0);
	lp_ctx_cache_clear(&cache);
}
END_TEST

START_TEST(what_cannot_be_set_up)
{
	static const struct {
		uint16_t suite, version;
	} cases[] = {
		{ 0x003c, 0x300 }, /* SSL 3.0 has no SHA-256 */
		{ 0x009c, 0x300 },
		{ 0x002f, 0x002 },
		{ 0x002f, 0x304 },
		{ 0x009c, 0x302 }, /* AEAD needs TLS 1.2 */
		{ 0x0000, 0x303 }, /* nothing is protected */
		{ 0x1301, 0x303 },
		{ 0xc100, 0x303 }, /* a cipher without a name */
	};
	struct lp_ctx_cache cache;
	struct lp_protect a = { 0 }, b = { 0 };
	uint8_t block[512] = { 0 };

	lp_ctx_cache_init(&cache, 1);
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct lp_protect_params params = { lp_suite_find(cases[i].suite), help_providers[0], help_providers[0],
						    cases[i].version, 1, false, false, NULL };

		ck_assert_ptr_nonnull(params.suite);
		ck_assert_int_eq(lp_protect_setup(&a, &b, &cache, &params, block,
						  lp_protect_key_block_size(&params)), LP_E_UNSUPPORTED);
		ck_assert(!lp_protect_ready(&a) && !lp_protect_ready(&b));
		ck_assert_int_eq(lp_protect_derive(&a, &b, &cache, &params, block, block, block),
				 LP_E_UNSUPPORTED);
	}
	struct lp_protect_params params = { lp_suite_find(0x2f), NULL, help_providers[0], 0x303, 1, 0, 0, NULL };

	ck_assert_int_eq(lp_protect_setup(&a, &b, &cache, &params, block, 104), LP_E_UNSUPPORTED);
	params.cipher = help_providers[0];
	ck_assert_int_eq(lp_protect_setup(&a, &b, &cache, &params, block, 103), LP_E_ARG);
	ck_assert(!lp_protect_ready(&a));
	lp_protect_clear(&a);
	lp_ctx_cache_clear(&cache);
}
END_TEST

START_TEST(content_too_long)
{
	struct lp_ctx_cache cache;
	struct help_pair x;
	size_t len, n;
	const char *why;

	lp_ctx_cache_init(&cache, 4);
	help_pair_init(&x, &cache, help_providers[0], lp_suite_find(0x009c), 0x303, false, false);
	help_fill(content, HELP_SENDER_BIG - 100, 1);
	len = help_sender_seal(x.sender[0], LP_CONTENT_DATA, content, (1 << 14) + 1024, fragment);
	opens(&x.reader[0], 0x303, fragment, len, content, (1 << 14) + 1024);
	len = help_sender_seal(x.sender[0], LP_CONTENT_DATA, content, (1 << 14) + 1025, fragment);
	ck_assert_int_eq(open_at(&x.reader[0], 1, 23, 0x303, fragment, len, &n, &why), LP_E_FORMAT);
	ck_assert_uint_eq(n, 0);
	ck_assert_uint_eq(out[0], 0);
	help_pair_clear(&x);
	lp_ctx_cache_clear(&cache);
}
END_TEST

/* Recorded sessions: every record behind ChangeCipherSpec. */
static void open_fixture(const struct tls_fixture *f, const struct lp_crypto *crypto)
{
	static uint8_t bytes[2][4096];
	uint8_t master[LP_MASTER_SIZE];
	struct lp_client_hello c = { 0 };
	struct lp_server_hello s = { 0 };
	struct lp_protect p[2] = { { 0 } };
	struct lp_ctx_cache cache;
	struct lp_records r;
	struct lp_record rec;
	const char *why;
	size_t n, got;

	tls_unhex(f->master, master, sizeof master);
	n = tls_unhex(f->stream[0], bytes[0], sizeof bytes[0]);
	ck_assert_int_eq(lp_client_hello_read(&c, lp_span_of(bytes[0] + 9, (size_t)(bytes[0][7] << 8 | bytes[0][8])),
					      &why), LP_OK);
	n = tls_unhex(f->stream[1], bytes[1], sizeof bytes[1]);
	ck_assert_int_eq(lp_server_hello_read(&s, lp_span_of(bytes[1] + 9, (size_t)(bytes[1][7] << 8 | bytes[1][8])),
					      &why), LP_OK);
	struct lp_protect_params params = { lp_suite_find(s.suite), crypto, crypto, s.version, 1,
					    s.seen & LP_HAS_ETM, false, NULL };

	lp_ctx_cache_init(&cache, 1);
	ck_assert_int_eq(lp_protect_derive(&p[0], &p[1], &cache, &params, master, c.random.p, s.random.p), LP_OK);
	for (int dir = 0; dir < 2; dir++) {
		bool sealed = false, hello = false, closed = false;
		const char *want = dir ? "hello from server\n" : "hello from client\n";

		n = strlen(f->stream[dir]) / 2;
		lp_records_init(&r, 0);
		lp_records_push(&r, bytes[dir], n);
		while (lp_records_next(&r, NULL, &rec) == LP_OK) {
			struct lp_sealed in = { rec.type, rec.version, rec.fragment };

			if (sealed) {
				ck_assert_msg(lp_protect_open(&p[dir], 1, p[dir].seq, &in, out, sizeof out, &got,
							      &why) == LP_OK, "%s %s", f->name, why);
				if (rec.type == LP_CONTENT_HANDSHAKE)
					ck_assert_mem_eq(out, "\x14\0\0\x0c", 4);
				if (rec.type == LP_CONTENT_ALERT)
					closed = got == 2 && out[0] == 1 && !out[1];
				if (rec.type == LP_CONTENT_DATA && got) /* TLS 1.0: an empty one first */
					hello = got == strlen(want) && !memcmp(out, want, got);
			}
			sealed |= rec.type == LP_CONTENT_CCS;
		}
		ck_assert_msg(hello && closed, "%s %d", f->name, dir);
		lp_records_clear(&r);
		lp_protect_clear(&p[dir]);
	}
	lp_ctx_cache_clear(&cache);
}

START_TEST(records_of_openssl)
{
	for (size_t i = 0; i < tls_fixtures_n; i++)
		for (int p = 0; p < HELP_PROVIDERS; p++)
			open_fixture(&tls_fixtures[i], help_providers[p]);
}
END_TEST

Suite *suite_protect(void)
{
	Suite *s = suite_create("protect");
	TCase *t = tcase_create("protect");

	tcase_set_timeout(t, 60);
	tcase_add_test(t, records_of_every_suite);
	tcase_add_test(t, records_tampered_with);
	tcase_add_test(t, a_mac_that_is_not_looked_at);
	tcase_add_test(t, export_keys_are_stretched);
	tcase_add_test(t, padding_in_detail);
	tcase_add_test(t, truncated_hmac);
	tcase_add_test(t, trials_of_a_stream_cipher);
	tcase_add_test(t, records_passed_by);
	tcase_add_test(t, contexts_are_bounded);
	tcase_add_test(t, contexts_many);
	tcase_add_test(t, what_cannot_be_set_up);
	tcase_add_test(t, content_too_long);
	tcase_add_test(t, records_of_openssl);
	suite_add_tcase(s, t);
	return s;
}
