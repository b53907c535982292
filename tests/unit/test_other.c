/* tls/other.c: the copy that reassembly did not choose. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "help_session.h"

enum { CHANGED = 20 };

static struct lp_crypto_set crypto;
static struct help_key *key;
static struct help_trace trace;
static struct help_told whole;

static void set_up(void)
{
	ck_assert_int_eq(lp_crypto_choose(&crypto, "auto"), LP_OK);
	key = help_key_new(&crypto, "keys/server.pem");
	whole = (struct help_told){ .play = NULL };
	trace = (struct help_trace){ NULL, 0 };
}

static void tear_down(void)
{
	help_told_clear(&whole);
	help_trace_clear(&trace);
	help_key_free(key);
}

static const char *const captures[] = { "small-records.pcap", "http-keepalive.pcap", "story-tls11-ems.pcap",
					"rc4-des.pcap", "ssl3.pcap", "java.pcap" };
enum { CAPTURES = sizeof captures / sizeof captures[0] };

/* Plays the flow with bytes of a side changed at off, of which the other copy was told
 * (what 1), or another lie (2), or nothing (0). */
static void play_changed(struct help_told *t, enum lp_side side, uint64_t off, int what,
			 enum help_answers answers)
{
	struct help_play play = { .crypto = &crypto, .key = { key }, .answers = answers, .after = 3 };
	const struct help_flow *f = trace.flow[0];
	uint8_t right[CHANGED], lie[CHANGED];
	uint8_t *at = f->bytes[side] + off;

	memcpy(right, at, CHANGED);
	for (int i = 0; i < CHANGED; i++)
		lie[i] = at[i] ^ (i % 3 ? 0 : 0x11);
	memcpy(at, lie, CHANGED);
	help_begin(t, &play);
	for (size_t i = 0; i < f->n; i++) {
		const struct help_call *c = &f->call[i];

		if (what && c->side == side && off >= c->off && off < c->off + c->n) {
			if (what == 2)
				lie[1] ^= 0x77;
			/* Both are told of: which is the right one is not known. */
			lp_stage_other(&t->stage, side, at, CHANGED, off);
			lp_stage_other(&t->stage, side, what == 1 ? right : lie, CHANGED, off);
		}
		if (c->gap) {
			help_gap(t, c->side, c->off, c->n, &c->when);
			continue;
		}
		help_data(t, c->side, f->bytes[c->side] + c->off, (size_t)c->n, c->off, &c->when);
	}
	help_close(t, f->end, true, &f->close_when);
	memcpy(at, right, CHANGED);
	t->play = NULL;
}

/* Whether all of it stands within one record. */
static bool within(const struct help_flow *f, int side, uint64_t off)
{
	uint64_t at = 0, end = 0;

	while (end <= off && end + 5 < f->len[side]) {
		at = end;
		end = at + 5 + (uint64_t)(f->bytes[side][at + 3] << 8 | f->bytes[side][at + 4]);
	}
	return off >= at + 5 && off + CHANGED <= end;
}

START_TEST(the_other_copy_opens_it)
{
	const struct help_play play = { .crypto = &crypto, .key = { key } };
	const struct help_flow *f;
	struct help_told t;
	unsigned tried = 0;

	help_trace_read(&trace, captures[_i]);
	f = trace.flow[0];
	help_play(&whole, f, &play);
	for (int side = 0; side < 2; side++)
		for (uint64_t back = 60; back < 900 && back < f->len[side] / 2; back += 97) {
			const uint64_t off = f->len[side] - back;
			bool harmed;

			if (!within(f, side, off))
				continue;

			play_changed(&t, (enum lp_side)side, off, 0, HELP_AT_ONCE);
			harmed = !strcmp(t.session[0].result->pub.reason, "record-bad");
			help_told_clear(&t);
			play_changed(&t, (enum lp_side)side, off, 2, HELP_AT_ONCE);
			ck_assert_int_eq(!strcmp(t.session[0].result->pub.reason, "record-bad"), harmed);
			help_told_clear(&t);
			tried += harmed;
			play_changed(&t, (enum lp_side)side, off, 1,
				     back % 2 ? HELP_AT_ONCE : HELP_AFTER);
			ck_assert_msg(!strcmp(t.session[0].result->pub.reason,
					      whole.session[0].result->pub.reason), "side %d back %d: %s", side, (int)back, t.session[0].result->pub.detail);
			ck_assert(help_has_note(&t.session[0], "overlap-conflict"));
			for (int dir = 0; dir < 2; dir++) {
				lp_span a = lp_buf_span(&whole.session[0].clear[dir]);
				lp_span b = lp_buf_span(&t.session[0].clear[dir]);

				ck_assert_uint_eq(a.n, b.n);
				ck_assert(!a.n || !memcmp(a.p, b.p, a.n));
			}
			help_told_clear(&t);
		}
	ck_assert_uint_gt(tried, 3);
}
END_TEST

Suite *suite_other(void);

Suite *suite_other(void)
{
	Suite *s = suite_create("other");
	TCase *c = tcase_create("other");

	tcase_add_checked_fixture(c, set_up, tear_down);
	tcase_add_loop_test(c, the_other_copy_opens_it, 0, CAPTURES);
	suite_add_tcase(s, c);
	return s;
}
