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
			lp_stage_other(&t->stage, side, at, CHANGED, off, c->when.number);
			lp_stage_other(&t->stage, side, what == 1 ? right : lie, CHANGED, off,
				       c->when.number);
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

/* All that the flow had as it was sent. */
static void same_clear(const struct help_session *s)
{
	for (int dir = 0; dir < 2; dir++) {
		lp_span a = lp_buf_span(&whole.session[0].clear[dir]), b = lp_buf_span(&s->clear[dir]);

		ck_assert_uint_eq(a.n, b.n);
		ck_assert(!a.n || !memcmp(a.p, b.p, a.n));
	}
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
			same_clear(&t.session[0]);
			help_told_clear(&t);
		}
	ck_assert_uint_gt(tried, 3);
}
END_TEST

/* A connection with the same session twice; the second one's bytes are changed, and the other copy
 * may be told while the first still waits for its key. */
START_TEST(in_the_session_behind)
{
	struct help_play play = { .crypto = &crypto, .key = { key }, .after = 3 };
	const struct help_flow *f;
	uint8_t right[CHANGED], *at;
	struct help_told t;
	uint64_t off;

	help_trace_read(&trace, captures[_i]);
	f = trace.flow[0];
	help_play(&whole, f, &play);
	if (whole.session[0].result->pub.end[LP_S2C] != LP_END_CLOSE_NOTIFY)
		return; /* where TLS does not end, nothing of it comes behind */
	for (off = f->len[1] - 400; !within(f, 1, off); off--)
		ck_assert_uint_gt(off, f->len[1] / 2);
	at = f->bytes[1] + off;
	memcpy(right, at, CHANGED);
	for (int answers = HELP_AT_ONCE; answers <= HELP_AT_CLOSE; answers++) {
		play.answers = (enum help_answers)answers;
		help_begin(&t, &play);
		for (size_t i = 0; i < 2 * f->n; i++) {
			const struct help_call *c = &f->call[i % f->n];
			const bool again = i >= f->n;
			const uint64_t from = again ? f->len[c->side] : 0;
			struct lp_when when = c->when;

			when.number += again ? f->close_when.number : 0;
			when.released_ns += again ? f->close_when.released_ns : 0;
			if (again && c->side == LP_B2A && off >= c->off && off < c->off + c->n) {
				at[1] ^= 0x11;
				lp_stage_other(&t.stage, LP_B2A, at, CHANGED, from + off, when.number);
				lp_stage_other(&t.stage, LP_B2A, right, CHANGED, from + off, when.number);
			}
			help_data(&t, c->side, f->bytes[c->side] + c->off, (size_t)c->n, from + c->off,
				  &when);
			memcpy(at, right, CHANGED);
		}
		help_close(&t, f->end, true, &(struct lp_when){
			.number = 2 * f->close_when.number,
			.released_ns = 2 * f->close_when.released_ns });
		ck_assert_uint_eq(t.n, 2);
		ck_assert(!help_has_note(&t.session[0], "overlap-conflict"));
		ck_assert(help_has_note(&t.session[1], "overlap-conflict"));
		same_clear(&t.session[0]);
		same_clear(&t.session[1]);
		help_told_clear(&t);
	}
}
END_TEST

/* However many copies come while a session waits, they have little room, and the bytes are told. */
START_TEST(copies_that_wait_are_bounded)
{
	struct help_play play = { .crypto = &crypto, .key = { key } };
	static uint8_t lies[3000];
	const struct help_flow *f;
	struct help_told t;
	size_t most = 0;

	help_trace_read(&trace, captures[_i]);
	f = trace.flow[0];
	help_play(&whole, f, &play);
	play.answers = HELP_AT_CLOSE;
	help_begin(&t, &play);
	for (size_t i = 0; i < f->n; i++) {
		const struct help_call *c = &f->call[i];

		for (int k = 0; k < 30; k++)
			lp_stage_other(&t.stage, c->side, lies, sizeof lies, f->len[c->side],
				       c->when.number);
		most = t.stage.wait->other_n > most ? t.stage.wait->other_n : most;
		help_data(&t, c->side, f->bytes[c->side] + c->off, (size_t)c->n, c->off, &c->when);
	}
	ck_assert_uint_gt(most, LP_OTHER_MAX - 2 * sizeof lies);
	ck_assert_uint_le(most, LP_OTHER_MAX);
	help_close(&t, f->end, true, &f->close_when);
	ck_assert_str_eq(t.session[0].result->pub.reason, whole.session[0].result->pub.reason);
	help_told_clear(&t);
}
END_TEST

/* ---- headers ---- */

struct wire {
	uint64_t off, n; /* of a record, its header too */
};

/* The records of a side that are under keys. */
static size_t sealed_records(const struct help_flow *f, int side, struct wire *w, size_t max)
{
	const uint8_t *p = f->bytes[side];
	bool sealed = false;
	size_t n = 0;

	for (uint64_t at = 0; at + 5 <= f->len[side] && n < max;) {
		uint64_t size = 5 + (uint64_t)(p[at + 3] << 8 | p[at + 4]);

		if (sealed)
			w[n++] = (struct wire){ at, size };
		sealed |= p[at] == 20;
		at += size;
	}
	return n;
}

enum { LIES = 9 };

/* What is made of a header and of what stands behind it; how many bytes. 0: not with this one. */
static size_t lie_about(const uint8_t *right, const struct wire *w, int which, uint8_t *lie)
{
	size_t length = (size_t)w->n - 5, n = 5;

	memcpy(lie, right, 5);
	switch (which) {
	case 0: lie[0] = 0x77; break;
	case 1: lie[1] = 9; break;
	case 2: length += 200; break;
	case 3: length /= 2; break;
	case 4: length = 0xffff; break;
	case 5: lie[0] ^= 22 ^ 23; break;
	case 6: length = 16384; break;
	case 7: length = 0; break;
	default:
		if (length < 15)
			return 0;
		n = 20;
		memset(lie, 'j', n);
		break;
	}
	if (which < LIES - 1) {
		lie[3] = (uint8_t)(length >> 8);
		lie[4] = (uint8_t)length;
	}
	return n;
}

struct change {
	enum lp_side side;
	uint64_t off;
	uint8_t right[32], lie[32];
	size_t n;
	size_t piece;
	bool both;    /* the right copy is told of, too */
	bool late;    /* … by the next packet */
	uint64_t hole, hole_n; /* of that side, before them */
	enum help_answers answers;
};

static void tell(struct help_told *t, const struct change *c, uint64_t number)
{
	lp_stage_other(&t->stage, c->side, c->lie, c->n, c->off, number);
	lp_stage_other(&t->stage, c->side, c->right, c->n, c->off, number);
}

/* One call's bytes, in pieces; of side and hole what is left of them. */
static void feed(struct help_told *t, const struct change *c, const struct help_call *call,
		 const uint8_t *bytes)
{
	uint64_t at = call->off, end = call->off + call->n;

	while (at < end) {
		uint64_t n = c->piece && c->piece < end - at ? c->piece : end - at;
		bool mine = call->side == c->side && c->hole_n;

		if (mine && at >= c->hole && at < c->hole + c->hole_n) {
			at = end < c->hole + c->hole_n ? end : c->hole + c->hole_n;
			if (at == c->hole + c->hole_n)
				help_gap(t, call->side, c->hole, c->hole_n, &call->when);
			continue;
		}
		if (mine && at < c->hole && at + n > c->hole)
			n = c->hole - at;
		help_data(t, call->side, bytes + at, (size_t)n, at, &call->when);
		at += n;
	}
}

static void play_lie(struct help_told *t, const struct change *c)
{
	struct help_play play = { .crypto = &crypto, .key = { key }, .answers = c->answers, .after = 3 };
	const struct help_flow *f = trace.flow[0];

	uint64_t came = 0; /* packet that brought all of it */
	bool told = !c->both;

	memcpy(f->bytes[c->side] + c->off, c->lie, c->n);
	help_begin(t, &play);
	for (size_t i = 0; i < f->n; i++) {
		const struct help_call *call = &f->call[i];
		uint64_t end = call->off + call->n;

		if (!told && (c->late ? came && call->when.number > came
				      : call->side == c->side && c->off < end)) {
			tell(t, c, call->when.number);
			told = true;
		}
		feed(t, c, call, f->bytes[call->side]);
		if (call->side == c->side && end >= c->off + c->n && !came)
			came = call->when.number;
	}
	if (!told)
		tell(t, c, f->close_when.number);
	help_close(t, f->end, true, &f->close_when);
	memcpy(f->bytes[c->side] + c->off, c->right, c->n);
	t->play = NULL;
}

/* All of it came, or (some) all but one piece. */
static void came(const struct help_told *t, bool some)
{
	for (int dir = 0; dir < 2; dir++) {
		lp_span a = lp_buf_span(&whole.session[0].clear[dir]);
		lp_span b = t->n ? lp_buf_span(&t->session[0].clear[dir]) : (lp_span){ NULL, 0 };
		size_t front = 0, back = 0;

		while (front < b.n && front < a.n && a.p[front] == b.p[front])
			front++;
		while (back < b.n && back < a.n && a.p[a.n - 1 - back] == b.p[b.n - 1 - back])
			back++;
		ck_assert_uint_le(b.n, a.n);
		ck_assert_uint_ge(front + back, b.n);
		ck_assert(some || b.n == a.n);
	}
}

static uint64_t lost(const struct help_told *t, int dir)
{
	const struct lp_dir_totals *d = &t->session[0].result->pub.total[dir];

	return d->lost + d->opaque;
}

/* The last bytes of the client are the first of a record, and a copy comes that differs: what is lost
 * is what came of it, wherever the other side was by then and whatever other sessions had. */
START_TEST(the_last_bytes_in_doubt)
{
	struct help_play play = { .crypto = &crypto, .key = { key } };
	const struct help_flow *f;
	const char *text;
	struct help_told t;
	struct wire w[7];
	uint64_t end = 0;
	size_t n;

	help_trace_read(&trace, captures[_i]);
	f = trace.flow[0];
	help_play(&whole, f, &play);
	n = sealed_records(f, 0, w, 7);
	ck_assert_uint_ge(n, 2);
	for (int gap = 0; gap < 2; gap++) {
		const uint64_t stop = w[1].off + w[1].n / 2;

		help_begin(&t, &play);
		for (size_t i = 0; i < f->n; i++) {
			const struct help_call *c = &f->call[i];

			if (c->side == LP_A2B && c->off >= stop)
				continue;
			if (c->side == LP_B2A)
				end = c->off + c->n;
			help_data(&t, c->side, f->bytes[c->side] + c->off,
				  c->side == LP_A2B && c->off + c->n > stop ? stop - c->off : c->n,
				  c->off, &c->when);
			if (c->side == LP_A2B && c->off + c->n >= stop)
				break;
		}
		if (gap)
			help_gap(&t, LP_B2A, end, 7, &f->close_when);
		lp_stage_other(&t.stage, LP_A2B, (const uint8_t *)"\x17\x03\x09", 3, w[1].off,
			       f->close_when.number);
		help_close(&t, f->end, true, &f->close_when);
		ck_assert_int_eq(lp_buf_append(&t.dir[LP_C2S], "", 1), LP_OK);
		text = strstr((const char *)lp_buf_span(&t.dir[LP_C2S]).p, "gap");
		ck_assert_ptr_nonnull(text);
		ck_assert_uint_eq(strtoull(text + 4, NULL, 10), stop - w[1].off);
		help_told_clear(&t);
	}
}
END_TEST

/* Whichever copy of a header reassembly chose: if the other is right, nothing is lost, and if
 * both are wrong, nothing but the record. */
START_TEST(the_other_header_counts)
{
	const struct help_play play = { .crypto = &crypto, .key = { key } };
	const struct help_flow *f;
	struct help_told t;
	struct wire w[7];
	unsigned tried = 0;

	help_trace_read(&trace, captures[_i]);
	f = trace.flow[0];
	help_play(&whole, f, &play);
	for (int side = 0; side < 2; side++) {
		size_t n = sealed_records(f, side, w, 7);

		for (size_t i = 0; i < n * LIES; i++) {
			const struct wire *r = &w[i / LIES];
			struct change c = { .side = (enum lp_side)side, .off = r->off };

			memcpy(c.right, f->bytes[side] + r->off, r->n < 32 ? r->n : 32);
			c.n = lie_about(c.right, r, (int)(i % LIES), c.lie);
			if (c.n <= 5)
				memcpy(c.lie + 5, c.right + 5, sizeof c.lie - 5);
			if (!c.n || !memcmp(c.lie, c.right, c.n))
				continue;
			play_lie(&t, &c);
			came(&t, true);
			if (i / LIES && i % LIES < 2)
				ck_assert_uint_le(lost(&t, side), r->n);
			help_told_clear(&t);
			for (int how = 0; how < 3; how++) {
				c.both = true;
				c.piece = how == 0 ? 0 : how == 1 ? 1 : 333;
				c.answers = how == 2 ? HELP_AFTER : HELP_AT_ONCE;
				play_lie(&t, &c);
				ck_assert_msg(!strcmp(t.session[0].result->pub.reason,
						      whole.session[0].result->pub.reason),
					      "side %d record %zu lie %zu how %d: %s: %s", side, i / LIES,
					      i % LIES, how, t.session[0].result->pub.reason,
					      t.session[0].result->pub.detail);
				ck_assert(help_has_note(&t.session[0], "overlap-conflict"));
				came(&t, false);
				help_told_clear(&t);
			}
			tried++;
		}
	}
	ck_assert_uint_gt(tried, 20);
}
END_TEST

/* The right copy comes a packet later, when the lie has been looked at. What comes of it does not
 * depend on when the answer came; and if there was no record at all, nothing is lost. */
START_TEST(a_later_copy)
{
	const struct help_play play = { .crypto = &crypto, .key = { key } };
	const struct help_flow *f;
	struct help_told t, slow;
	struct wire w[7];
	unsigned tried = 0, saved = 0;

	help_trace_read(&trace, captures[_i]);
	f = trace.flow[0];
	help_play(&whole, f, &play);
	for (int side = 0; side < 2; side++) {
		size_t n = sealed_records(f, side, w, 7);

		for (size_t i = 0; i < n * LIES; i++) {
			const struct wire *r = &w[i / LIES];
			struct change c = { .side = (enum lp_side)side, .off = r->off, .both = true,
					    .late = true };

			memcpy(c.right, f->bytes[side] + r->off, r->n < 32 ? r->n : 32);
			memcpy(c.lie, c.right, sizeof c.lie);
			c.n = lie_about(c.right, r, (int)(i % LIES), c.lie);
			if (!c.n || !memcmp(c.lie, c.right, c.n))
				continue;
			play_lie(&t, &c);
			came(&t, true);
			ck_assert(help_has_note(&t.session[0], "overlap-conflict"));
			saved += !strcmp(t.session[0].result->pub.reason, whole.session[0].result->pub.reason);
			for (int how = 0; how < 2; how++) {
				c.answers = how ? HELP_AFTER : HELP_AT_CLOSE;
				play_lie(&slow, &c);
				ck_assert_str_eq(t.session[0].result->pub.detail,
						 slow.session[0].result->pub.detail);
				ck_assert_uint_eq(lp_buf_len(&t.places), lp_buf_len(&slow.places));
				ck_assert(!memcmp(lp_buf_span(&t.places).p, lp_buf_span(&slow.places).p,
						  lp_buf_len(&t.places)));
				help_told_clear(&slow);
			}
			help_told_clear(&t);
			tried++;
		}
	}
	ck_assert_msg(saved > tried / 2, "%u of %u", saved, tried);
}
END_TEST

/* The same behind a hole: what comes out is what would have, had there been but the hole. */
START_TEST(behind_a_hole)
{
	const struct help_play play = { .crypto = &crypto, .key = { key } };
	const struct help_flow *f;
	struct help_told t, plain;
	struct wire w[9];
	unsigned tried = 0, mattered = 0;

	help_trace_read(&trace, captures[_i]);
	f = trace.flow[0];
	help_play(&whole, f, &play);
	for (int side = 0; side < 2; side++) {
		size_t n = sealed_records(f, side, w, 9);

		/* The first two records of a side may be all that proves its keys. */
		for (size_t i = 3 * (LIES + 1); i < n * (LIES + 1); i++) {
			const struct wire *r = &w[i / (LIES + 1)], *before = r - 1;
			struct change c = { .side = (enum lp_side)side, .off = r->off };

			if (i % (LIES + 1) < LIES) {
				memcpy(c.right, f->bytes[side] + c.off, r->n < 32 ? r->n : 32);
				c.n = lie_about(c.right, r, (int)(i % (LIES + 1)), c.lie);
			} else {
				c.off = r->off + r->n - 9;
				c.n = 5;
				memcpy(c.right, f->bytes[side] + c.off, c.n);
				memset(c.lie, 'x', c.n);
			}
			if (!c.n || !memcmp(c.lie, c.right, c.n))
				continue;
			c.hole = before->off + (i % 2 ? 7 : 0);
			c.hole_n = before->n - (i % 3 ? 7 : 0);
			if (i % 5 == 0) /* up to the very bytes */
				c.hole_n = r->off - c.hole;
			if (c.hole + c.hole_n > r->off)
				c.hole_n = r->off - c.hole;
			play_lie(&plain, &(struct change){ .side = c.side, .hole = c.hole,
							   .hole_n = c.hole_n });
			play_lie(&t, &c);
			came(&t, true);
			mattered += lost(&t, side) > lost(&plain, side);
			help_told_clear(&t);
			c.both = true;
			c.piece = i % 4 == 0 ? 1 : i % 4 == 1 ? 333 : 0;
			play_lie(&t, &c);
			came(&t, true);
			ck_assert_str_eq(t.session[0].result->pub.reason, plain.session[0].result->pub.reason);
			ck_assert_msg(lost(&t, side) == lost(&plain, side),
				      "side %d record %zu lie %zu: %llu lost, not %llu", side,
				      i / (LIES + 1), i % (LIES + 1), (unsigned long long)lost(&t, side),
				      (unsigned long long)lost(&plain, side));
			ck_assert_uint_eq(lp_buf_len(&t.dir[side]), lp_buf_len(&plain.dir[side]));
			ck_assert(!lp_buf_len(&t.dir[side]) ||
				  !memcmp(lp_buf_span(&t.dir[side]).p, lp_buf_span(&plain.dir[side]).p,
					  lp_buf_len(&t.dir[side])));
			help_told_clear(&t);
			help_told_clear(&plain);
			tried++;
		}
	}
	ck_assert(!tried || mattered);
}
END_TEST

/* ---- handshakes ---- */

/* Where in a side's stream the handshake message of that type begins, as far as it is clear. */
static uint64_t message_at(const struct help_flow *f, int side, uint8_t type)
{
	const uint8_t *p = f->bytes[side];
	uint64_t at = 0;

	while (at + 9 <= f->len[side] && p[at] == 22) {
		uint64_t end = at + 5 + (uint64_t)(p[at + 3] << 8 | p[at + 4]), m = at + 5;

		for (; m + 4 <= end; m += 4 + (uint64_t)(p[m + 1] << 16 | p[m + 2] << 8 | p[m + 3]))
			if (p[m] == type)
				return m;
		at = end;
	}
	ck_abort_msg("no message %u", type);
}

enum { HELLO = 1, ANSWER = 2, CERTIFICATE = 11, EXCHANGE = 16 };

static const struct {
	const char *capture;
	uint8_t type;
	uint8_t at;
	const char *reason; /* NULL: as without the lie */
} shakes[] = {
	/* Every byte counts, and the other copies make it whole … */
	{ "story-tls12-ems.pcap", CERTIFICATE, 250, NULL },
	{ "story-tls12-ems.pcap", EXCHANGE, 40, NULL },
	{ "story-tls11-ems.pcap", CERTIFICATE, 15, NULL },
	{ "story-tls11-ems.pcap", EXCHANGE, 200, NULL },
	/* … but for the hellos, which are not kept. */
	{ "story-tls12-ems.pcap", HELLO, 10, "keys-disproved" },
	{ "story-tls12-ems.pcap", ANSWER, 10, "keys-disproved" },
	/* Here only those that make keys do, and they are not kept. */
	{ "story-tls12-noems.pcap", CERTIFICATE, 250, NULL },
	{ "story-tls12-noems.pcap", EXCHANGE, 40, "keys-disproved" },
	{ "story-tls12-noems.pcap", ANSWER, 10, "keys-disproved" },
};
enum { SHAKES = sizeof shakes / sizeof shakes[0] };

START_TEST(within_a_handshake)
{
	const struct help_play play = { .crypto = &crypto, .key = { key } };
	const uint8_t type = shakes[_i].type;
	struct change c = { .side = type == HELLO || type == EXCHANGE ? LP_A2B : LP_B2A, .n = 4 };
	const struct help_flow *f;
	const char *reason;
	struct help_told t;

	help_trace_read(&trace, shakes[_i].capture);
	f = trace.flow[0];
	help_play(&whole, f, &play);
	reason = shakes[_i].reason ? shakes[_i].reason : whole.session[0].result->pub.reason;
	c.off = message_at(f, c.side, type) + shakes[_i].at;
	memcpy(c.right, f->bytes[c.side] + c.off, c.n);
	for (size_t i = 0; i < c.n; i++)
		c.lie[i] = c.right[i] ^ 0x55;
	for (int how = 0; how < 12; how++) {
		c.both = how < 9;
		c.answers = (enum help_answers)(how % 3);
		c.piece = how / 3 == 1 ? 1 : how / 3 == 2 ? 100 : 0;
		play_lie(&t, &c);
		if (c.both)
			ck_assert_msg(!strcmp(t.session[0].result->pub.reason, reason), "%d: %s: %s", how,
				      t.session[0].result->pub.reason, t.session[0].result->pub.detail);
		else if (strstr(shakes[_i].capture, "-ems") || type != CERTIFICATE)
			ck_assert_int_eq(t.session[0].result->pub.verdict, LP_OPAQUE);
		if (c.both)
			ck_assert(help_has_note(&t.session[0], "overlap-conflict"));
		came(&t, !c.both || shakes[_i].reason);
		help_told_clear(&t);
	}
}
END_TEST

Suite *suite_other(void);

Suite *suite_other(void)
{
	Suite *s = suite_create("other");
	TCase *c = tcase_create("other");

	tcase_add_checked_fixture(c, set_up, tear_down);
	tcase_add_loop_test(c, the_other_copy_opens_it, 0, CAPTURES);
	tcase_add_loop_test(c, in_the_session_behind, 0, CAPTURES);
	tcase_add_loop_test(c, copies_that_wait_are_bounded, 0, CAPTURES);
	tcase_add_loop_test(c, the_last_bytes_in_doubt, 0, CAPTURES);
	tcase_add_loop_test(c, the_other_header_counts, 0, CAPTURES);
	tcase_add_loop_test(c, within_a_handshake, 0, SHAKES);
	tcase_add_loop_test(c, a_later_copy, 0, CAPTURES);
	tcase_add_loop_test(c, behind_a_hole, 0, CAPTURES);
	suite_add_tcase(s, c);
	return s;
}
