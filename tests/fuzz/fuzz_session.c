/* A whole flow for the stage and its sessions, with the secrets that open it:
 *
 *   how it is played (enum below), calls until an answer comes, number of master secrets,
 *   these, 48 bytes each, then pieces of the flow: a byte whose lowest bit is the side and
 *   whose next two say what:
 *     0, 1  bytes, with a 16-bit length
 *     2     a gap, 16 bits long
 *     3     another copy of bytes, which begin as many before the side's next as 16 bits
 *           say, with a 16-bit length
 *
 * However the bytes are cut, and whenever answers come, the same is told: the same clear
 * bytes at the same places, the same verdicts, the same accounts. tests/unit/help_session.c
 * holds each of these runs to the stage's contract, also where caps are small. */
#include <stdlib.h>
#include <string.h>

#include "help_session.h"

enum { LIVE = 1, VERIFY_FIRST = 2, FLIP = 4, KEEP = 8, CONFLICT = 16, RESET = 32 };
enum { MOST_MASTERS = 8, MASTER = 48 };

static struct lp_crypto_set crypto;

struct input {
	uint8_t how, after, masters;
	lp_span secrets, pieces;
	bool unsure; /* see cutting_matters() */
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* At most piece bytes in a call; 0: as they come. */
static void feed_bytes(struct help_told *t, enum lp_side side, lp_span s, uint64_t off, size_t piece,
		       const struct lp_when *when)
{
	for (size_t at = 0, n; at < s.n; at += n) {
		n = piece && s.n - at > piece ? piece : s.n - at;
		t->behind = lp_span_of(s.p + at + n, s.n - at - n);
		help_data(t, side, s.p + at, n, off + at, when);
	}
}

static bool in_clear(const struct help_told *t)
{
	return !t->n || !t->session[(t->n - 1) % HELP_SESSIONS].ready;
}

static void feed(struct help_told *t, struct input *in, struct lp_when *when)
{
	struct lp_cursor c = lp_cursor_of(in->pieces.p, in->pieces.n);
	uint64_t off[2] = { 0, 0 }, back, n;

	while (lp_cursor_left(&c)) {
		uint8_t b = lp_cursor_u8(&c), what = b >> 1 & 3;
		enum lp_side side = b & 1 ? LP_B2A : LP_A2B;
		lp_span s = { NULL, 0 };

		back = what == 3 ? lp_cursor_u16(&c) : 0;
		n = what == 2 ? lp_cursor_u16(&c) : 0;
		if (what != 2)
			s = lp_cursor_vec16(&c);
		when->number++;
		when->released_ns = when->carried_ns += 1000;
		in->unsure |= what == 3 || (what == 2 && in_clear(t));
		if (what == 2 && n)
			help_gap(t, side, off[side], n, when);
		else if (what == 3 && s.n)
			lp_stage_other(&t->stage, side, s.p, s.n,
				       off[side] - (back < off[side] ? back : off[side]), when->number);
		else
			feed_bytes(t, side, s, off[side], t->play->piece, when);
		off[side] += what == 3 ? 0 : n + s.n;
	}
}

static void run(struct help_told *t, struct input *in, struct help_play *play)
{
	const enum lp_end end = in->how & RESET ? LP_END_RST : LP_END_FIN;
	struct lp_when when = { .number = 1 };

	play->crypto = &crypto;
	play->master = in->masters ? in->secrets.p : NULL;
	play->masters = in->masters;
	play->after = in->after;
	play->live = in->how & LIVE;
	play->verify_first = in->how & VERIFY_FIRST;
	play->flip = in->how & FLIP;
	play->keep = in->how & KEEP;
	help_begin(t, play);
	feed(t, in, &when);
	when.number++;
	help_close(t, (const enum lp_end[]){ end, LP_END_FIN }, in->how & CONFLICT, &when);
}

static void same(const struct lp_buf *a, const struct lp_buf *b)
{
	HELP_REQUIRE(lp_buf_len(a) == lp_buf_len(b));
	HELP_REQUIRE(!lp_buf_len(a) || !memcmp(lp_buf_span(a).p, lp_buf_span(b).p, lp_buf_len(a)));
}

static void same_session(const struct help_session *a, const struct help_session *b)
{
	const struct lp_session_result *x = &a->result->pub, *y = &b->result->pub;

	for (int dir = 0; dir < 2; dir++) {
		same(&a->clear[dir], &b->clear[dir]);
		HELP_REQUIRE(!memcmp(&x->total[dir], &y->total[dir], sizeof x->total[dir]));
		HELP_REQUIRE(x->end[dir] == y->end[dir]);
	}
	HELP_REQUIRE(x->verdict == y->verdict && !strcmp(x->reason, y->reason));
	HELP_REQUIRE(!strcmp(x->detail, y->detail));
	for (const char *const *n = x->notes; n && *n; n++)
		HELP_REQUIRE(help_has_note(b, *n));
	for (const char *const *n = y->notes; n && *n; n++)
		HELP_REQUIRE(help_has_note(a, *n));
}

/* It may make a difference where nothing is proven: behind a hole in clear, whether a record is
 * believed depends on what of the next one has come; and where copies differ, how many of them there
 * are to choose from on what of a header has. Six bytes are taken for a hello that eleven would not be. */
static bool cutting_matters(const struct help_told *t, const struct input *in)
{
	for (size_t i = 0; i < t->n && i < HELP_SESSIONS; i++)
		if (!strcmp(t->session[i].result->pub.reason, "start-not-captured"))
			return true;
	return in->unsure;
}

static void check_same(const struct help_told *a, struct input *in, struct help_play play)
{
	struct help_told b;

	run(&b, in, &play);
	if (play.piece && (cutting_matters(a, in) || cutting_matters(&b, in))) {
		help_told_clear(&b);
		return;
	}
	HELP_REQUIRE(a->n == b.n);
	for (int i = 0; i < 2; i++) {
		same(&a->dir[i], &b.dir[i]);
		same(&a->clear[i], &b.clear[i]);
	}
	if (!play.piece)
		same(&a->places, &b.places);
	for (size_t i = 0; i < a->n && i < HELP_SESSIONS; i++)
		same_session(&a->session[i], &b.session[i]);
	help_told_clear(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct lp_cursor c = lp_cursor_of(data, size);
	struct input in = { .how = lp_cursor_u8(&c), .after = lp_cursor_u8(&c) % 32 };
	struct help_play small = { .piece = size % 50, .max_held_session = 300, .max_held = 2000,
				   .max_kept = 200, .answers = HELP_AFTER };
	struct help_told whole, t;

	in.masters = lp_cursor_u8(&c) % (MOST_MASTERS + 1);
	in.secrets = lp_cursor_bytes(&c, in.masters * MASTER);
	in.pieces = lp_cursor_bytes(&c, lp_cursor_left(&c));
	if (lp_cursor_ok(&c))
		return 0;
	if (!crypto.base)
		HELP_REQUIRE(!lp_crypto_choose(&crypto, "auto"));
	run(&whole, &in, &(struct help_play){ .answers = HELP_AT_ONCE });
	check_same(&whole, &in, (struct help_play){ .answers = HELP_AT_ONCE, .longhand = true });
	check_same(&whole, &in, (struct help_play){ .answers = HELP_AT_ONCE, .ahead = HELP_FORESEES });
	check_same(&whole, &in, (struct help_play){ .answers = HELP_AT_ONCE, .ahead = HELP_MISJUDGES });
	check_same(&whole, &in, (struct help_play){ .answers = HELP_AFTER });
	check_same(&whole, &in, (struct help_play){ .answers = HELP_AT_CLOSE });
	check_same(&whole, &in, (struct help_play){ .answers = HELP_AT_ONCE, .piece = 1 });
	check_same(&whole, &in, (struct help_play){ .answers = HELP_AFTER, .piece = 7 });
	help_told_clear(&whole);
	run(&t, &in, &small);
	help_told_clear(&t);
	return 0;
}
