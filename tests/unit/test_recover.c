/* tls/seek.c, recover.c and what session.c does about holes: what stands behind a hole comes
 * out, what is told of the hole holds the truth, and never a wrong byte. */
#define _GNU_SOURCE
#include <check.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "help_session.h"
#include "tls/session_parts.h"

/* Flows with several records in each direction, one of each kind of cipher. */
static const struct {
	const char *capture;
	size_t flow;
} flows[] = {
	{ "gap-gcm.pcap", 0 },       { "gap-cbc.pcap", 0 },      { "gap-cbc-mac.pcap", 0 },
	{ "gap-tls10.pcap", 0 },     { "gap-tls10-etm.pcap", 0 }, { "small-records.pcap", 0 },
	{ "http-keepalive.pcap", 0 }, { "small-records.pcap", 1 }, { "gap-rc4.pcap", 0 },
	{ "gap-ssl3.pcap", 0 },
};
enum { CUT = 5 + 16 }; /* a header and a block of AES */
enum { LEGACY = 7 }; /* the one without Extended Master Secret */
enum { FLOWS = sizeof flows / sizeof flows[0], RECORDS = 64 };

/* A record as it truly is. */
struct truth {
	uint64_t off, wire;     /* in the stream */
	uint64_t clear, n;      /* its content in the clear bytes, if it was opened */
	bool opened;
	bool empty;             /* opened, and nothing was in it (RFC 2246's answer to CBC
	                         * attacks): shows as nothing */
};

static struct lp_crypto_set crypto;
static struct help_key *server;
static struct help_trace trace;
static struct help_flow *flow;
static struct help_told whole;
static struct truth truth[2][RECORDS]; /* by side; side 0 is the client */
static size_t truths[2];

static void set_up(void)
{
	whole = (struct help_told){ .play = NULL };
	trace = (struct help_trace){ NULL, 0 };
	truths[0] = truths[1] = 0;
	ck_assert_int_eq(lp_crypto_choose(&crypto, "auto"), LP_OK);
	server = help_key_new(&crypto, "keys/server.pem");
}

static void tear_down(void)
{
	help_told_clear(&whole);
	help_trace_clear(&trace);
	help_key_free(server);
}

/* Plays the flow record by record, to see which bytes each of them holds. */
static void learn(size_t i)
{
	const struct help_play play = { .crypto = &crypto, .key = { server } };

	help_trace_read(&trace, flows[i].capture);
	ck_assert_uint_gt(trace.n, flows[i].flow);
	flow = trace.flow[flows[i].flow];
	help_begin(&whole, &play);
	for (size_t c = 0; c < flow->n; c++) {
		const struct help_call *call = &flow->call[c];
		const uint8_t *p = flow->bytes[call->side];
		uint64_t at = call->off, end = call->off + call->n;

		if (call->gap) {
			help_gap(&whole, call->side, at, call->n, &call->when);
			continue;
		}
		while (at < end) {
			uint64_t n = 5 + ((uint64_t)p[at + 3] << 8 | p[at + 4]);
			struct truth *t = &truth[call->side][truths[call->side]];
			const struct lp_buf *clear = &whole.session[0].clear[call->side];
			uint64_t opened = 0;

			/* These captures have no record in two segments but small ones. */
			if (at + n > end)
				n = end - at;
			*t = (struct truth){ .off = at, .wire = n };
			if (whole.n)
				t->clear = lp_buf_len(clear);
			if (whole.stage.tls)
				opened = whole.stage.tls->count[call->side].opened;
			help_data(&whole, call->side, p + at, (size_t)n, at, &call->when);
			t->n = lp_buf_len(clear) - t->clear;
			t->opened = t->n > 0;
			t->empty = !t->n && whole.stage.tls &&
				   whole.stage.tls->count[call->side].opened > opened;
			ck_assert_uint_lt(++truths[call->side], RECORDS);
			at += n;
		}
	}
	help_close(&whole, flow->end, flow->conflict, &flow->close_when);
	ck_assert_uint_eq(whole.n, 1);
}

/* The first record of a side that comes when both Finished are there. */
static size_t first_data(int side)
{
	for (size_t i = 0; i < truths[side]; i++)
		if (truth[side][i].opened)
			return i;
	ck_abort_msg("no application data");
	return 0;
}

/* Whether what the capture itself lacks lies in this stretch. */
static bool own_hole(int side, uint64_t off, uint64_t n)
{
	for (size_t i = 0; i < flow->n; i++) {
		const struct help_call *c = &flow->call[i];

		if (c->gap && c->side == (enum lp_side)side && c->off < off + n &&
		    off < c->off + c->n)
			return true;
	}
	return false;
}

/* What a direction's events must be for a hole from a to b: what is opened before,
 * one gap that holds the truth, what is opened behind. from: the first record that
 * may be expected behind the hole. */
struct line {
	bool gap;
	unsigned long long n, records, min, max;
};

static size_t read_lines(const struct lp_buf *text, struct line *out, size_t max)
{
	char copy[16384], *save, *line;
	size_t n = 0;

	ck_assert_uint_lt(lp_buf_len(text), sizeof copy);
	if (lp_buf_len(text))
		memcpy(copy, lp_buf_span(text).p, lp_buf_len(text));
	copy[lp_buf_len(text)] = '\0';
	for (line = strtok_r(copy, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		struct line *l = &out[n++];

		ck_assert_uint_lt(n, max);
		*l = (struct line){ .gap = false };
		l->gap = sscanf(line + 2, "gap %llu %llu %llu %llu", &l->n, &l->records, &l->min,
				&l->max) == 4;
		if (!l->gap)
			ck_assert_int_eq(sscanf(line + 2, "%llu", &l->n), 1);
	}
	return n;
}

/* Walks the events of a direction with the truth beside them: each piece of data is
 * a record's, in order; each gap spans the records between two that were opened. */
static void check_events(const struct help_told *t, int side, const struct help_hole *hole)
{
	struct line line[2 * RECORDS];
	size_t n = read_lines(&t->dir[side], line, 2 * RECORDS);
	const uint8_t *sent = lp_buf_span(&whole.session[0].clear[side]).p;
	const uint8_t *got = lp_buf_span(&t->session[0].clear[side]).p;
	const bool chained = t->session[0].ended->version <= 0x0301;
	const bool unsure = chained && t->session[0].ended->etm > 0;
	size_t r = first_data(side), at = 0, skipped = 0;
	uint64_t hole_end = hole->off + hole->n;
	size_t behind_n = 0, cut = 0;
	bool told = false;

	for (size_t i = 0; i < n; i++) {
		struct truth *k = truth[side];
		uint64_t clear = 0, lost = 0;
		size_t from = r;

		if (line[i].gap) {
			/* The capture's own hole is in the truth as bytes that no record has. */
			uint64_t start;
			size_t to;

			while (r < truths[side] && k[r].empty && k[r].off + k[r].wire <= hole->off)
				r++;
			from = to = r;
			start = r ? k[r - 1].off + k[r - 1].wire : 0;
			while (to < truths[side] && k[to].off < start + line[i].n)
				to++;
			/* One that has lost nothing but the IV of its first block begins behind
			 * that block. */
			bool inside = unsure && to && k[to - 1].off + CUT == start + line[i].n;

			if (inside) {
				to--;
				/* … and so it may be in the truth. */
				cut = own_hole(side, k[to].off - 1, 1) ? 0 : CUT - 5;
			}
			ck_assert_msg(inside || to == truths[side] || k[to].off == start + line[i].n ||
					      own_hole(side, start + line[i].n, 1),
				      "the gap ends inside a record");
			r = to;
			if (start < hole_end && start + line[i].n > hole->off)
				told = true;
			else
				continue; /* the other one; what is in it nobody knows */
			for (r = from; r < to; r++) {
				clear += k[r].n;
				lost++;
			}
			clear += cut;
			ck_assert_msg(own_hole(side, start, line[i].n) ||
					      (line[i].min <= clear && clear <= line[i].max),
				      "%llu clear bytes in a gap of %llu to %llu",
				      (unsigned long long)clear, line[i].min, line[i].max);
			if (line[i].records && start + line[i].n < flow->len[side])
				ck_assert_uint_ge(line[i].records, lost);
			continue;
		}
		while (r < truths[side] && !k[r].opened) {
			r++;
			skipped++;
		}
		ck_assert_uint_lt(r, truths[side]);
		ck_assert_uint_eq(line[i].n, k[r].n - cut);
		ck_assert_mem_eq(got + at, sent + k[r].clear + cut, k[r].n - cut);
		at += k[r].n - cut;
		cut = 0;
		r++;
	}
	/* All that is before the hole and all that is behind it came out, but for what
	 * has lost its IV with the hole: in TLS 1.0 one record; with encrypt-then-MAC its
	 * MAC is right all the same, and but one block is lost (two records, if that block
	 * is all there is of it, and is padding that is not). */
	for (size_t i = first_data(side); i < truths[side]; i++) {
		const struct truth *k = &truth[side][i];
		bool before = k->off + k->wire <= hole->off, behind = k->off >= hole_end;

		behind_n += behind;
		if (behind && ((unsure && behind_n <= 2) ||
			       (chained && behind_n == 1 && k->off < hole_end + 16)))
			continue;
		if ((before || behind) && k->opened)
			ck_assert_msg(memmem(got, at, sent + k->clear, k->n) != NULL,
				      "record %zu at %llu is missing (hole %llu+%llu)", i,
				      (unsigned long long)k->off, (unsigned long long)hole->off,
				      (unsigned long long)hole->n);
	}
	ck_assert_msg(told, "the hole was not told");
}

static void one_hole(int side, uint64_t off, uint64_t n, enum help_answers answers)
{
	const struct help_play play = {
		.crypto = &crypto, .key = { server }, .answers = answers,
		.hole = { { (enum lp_side)side, off, n } }, .holes = 1,
	};
	struct help_told t;
	const struct lp_dir_totals *total;

	if (own_hole(side, off, n))
		return;
	help_play(&t, flow, &play);
	ck_assert_uint_eq(t.n, 1);
	ck_assert_int_eq(t.session[0].result->pub.verdict, LP_PARTIAL);
	ck_assert_str_eq(t.session[0].result->pub.reason, "gap");
	total = &t.session[0].result->pub.total[side];
	ck_assert_uint_ge(total->lost, n);
	ck_assert_uint_eq(total->stream, flow->len[side]);
	check_events(&t, side, &play.hole[0]);
	/* The other direction is as if nothing had happened. */
	ck_assert_uint_eq(lp_buf_len(&t.dir[1 - side]), lp_buf_len(&whole.dir[1 - side]));
	help_told_clear(&t);
}

START_TEST(holes_at_the_boundaries_of_records)
{
	learn((size_t)_i);
	for (int side = 0; side < 2; side++)
		for (size_t i = first_data(side); i < truths[side]; i++)
			for (size_t j = i; j < truths[side] && j < i + 4; j++)
				one_hole(side, truth[side][i].off,
					 truth[side][j].off + truth[side][j].wire -
						 truth[side][i].off,
					 j & 1 ? HELP_AT_CLOSE : HELP_AT_ONCE);
}
END_TEST

START_TEST(holes_inside_records)
{
	static const uint64_t sizes[] = { 1, 5, 16, 37, 100, 333 };

	learn((size_t)_i);
	for (int side = 0; side < 2; side++)
		for (size_t i = first_data(side); i + 1 < truths[side]; i++)
			for (uint64_t in = 1; in < truth[side][i].wire; in += 7)
				for (size_t s = 0; s < sizeof sizes / sizeof sizes[0]; s++)
					if (truth[side][i].off + in + sizes[s] < flow->len[side])
						one_hole(side, truth[side][i].off + in, sizes[s],
							 HELP_AT_ONCE);
}
END_TEST

static void check_subset(const struct help_told *t)
{
	for (int dir = 0; t->n && dir < 2; dir++) {
		lp_span a = lp_buf_span(&whole.session[0].clear[dir]);
		lp_span b = lp_buf_span(&t->session[0].clear[dir]);
		size_t at = 0;

		for (size_t i = 0; i < b.n; i++, at++) {
			while (at < a.n && a.p[at] != b.p[i])
				at++;
			ck_assert_uint_lt(at, a.n);
		}
	}
}

/* Two holes in one direction, one in the other. */
START_TEST(several_holes)
{
	learn((size_t)_i);
	for (size_t i = first_data(1); i + 3 < truths[1]; i++)
		for (uint64_t in = 0; in < truth[1][i].wire; in += 13)
			for (uint64_t apart = 3; apart < 150; apart += 21) {
				const uint64_t at = truth[1][i].off + in;
				const struct help_play play = {
					.crypto = &crypto, .key = { server }, .holes = 3,
					.hole = { { LP_B2A, at, 20 }, { LP_B2A, at + 20 + apart, 9 },
						  { LP_A2B, truth[0][truths[0] - 2].off + 3, 7 } },
				};
				struct help_told t;

				if (at + 29 + apart >= flow->len[1])
					continue;
				help_play(&t, flow, &play);
				ck_assert_int_eq(t.session[0].result->pub.verdict, LP_PARTIAL);
				ck_assert_str_eq(t.session[0].result->pub.reason, "gap");
				check_subset(&t);
				help_told_clear(&t);
			}
}
END_TEST

/* Each piece of data is what was sent, in its order. */
static void check_pieces(const struct help_told *t, int side)
{
	struct line line[2 * RECORDS];
	size_t n = read_lines(&t->dir[side], line, 2 * RECORDS);
	lp_span sent = lp_buf_span(&whole.session[0].clear[side]);
	const uint8_t *got = lp_buf_span(&t->session[0].clear[side]).p, *found;

	for (size_t i = 0; i < n; i++) {
		if (line[i].gap)
			continue;
		found = memmem(sent.p, sent.n, got, (size_t)line[i].n);
		ck_assert_ptr_nonnull(found);
		got += line[i].n;
		sent.n -= (size_t)(found + line[i].n - sent.p);
		sent.p = found + line[i].n;
	}
}

/* A hole, and what is left of its record is not what was sent: up to TLS 1.0 the next one's IV. */
START_TEST(a_lie_behind_a_hole)
{
	learn((size_t)_i);
	for (int side = 0; side < 2; side++)
		for (size_t i = first_data(side); i + 1 < truths[side]; i++)
			for (uint64_t back = 1; back < truth[side][i].wire; back += 6) {
				const uint64_t at = truth[side][i].off + truth[side][i].wire - back;
				const struct help_play play = {
					.crypto = &crypto, .key = { server }, .holes = back % 4 ? 1 : 0,
					.hole = { { (enum lp_side)side, truth[side][i].off, 3 } },
				};
				struct help_told t;

				flow->bytes[side][at] ^= 0x10;
				help_play(&t, flow, &play);
				flow->bytes[side][at] ^= 0x10;
				check_pieces(&t, side);
				help_told_clear(&t);
			}
}
END_TEST

/* A hole anywhere in the handshake: one verdict, and an honest one. */
START_TEST(holes_in_the_handshake)
{
	learn((size_t)_i);
	for (int side = 0; side < 2; side++)
		for (uint64_t off = 0; off < truth[side][first_data(side)].off; off += 11)
			for (uint64_t n = 1; n < 400; n += 199) {
				const struct help_play play = {
					.crypto = &crypto, .key = { server }, .holes = 1,
					.hole = { { (enum lp_side)side, off, n } },
				};
				struct help_told t;
				const struct lp_session_result *r;

				if (off + n > truth[side][first_data(side)].off)
					continue;
				help_play(&t, flow, &play);
				ck_assert_uint_eq(t.n, 1);
				r = &t.session[0].result->pub;
				check_subset(&t);
				if (!t.session[0].ready) {
					ck_assert_int_eq(r->verdict, LP_OPAQUE);
					ck_assert_msg(!strcmp(r->reason, "handshake-lost") ||
						      !strcmp(r->reason, "handshake-lost-ems") ||
						      !strcmp(r->reason, "start-not-captured"),
						      "%s: hole of %llu at %llu of side %d", r->reason,
						      (unsigned long long)n, (unsigned long long)off,
						      side);
				}
				help_told_clear(&t);
			}
}
END_TEST

/* Without Extended Master Secret the keys do not hang on the certificates: a hole in
 * one of them costs nothing but itself. */
START_TEST(legacy_keys_survive_a_lost_certificate)
{
	/* The server's Certificate fills its records 2 and 3; the client's its record 1. */
	static const struct help_hole holes[] = {
		{ LP_B2A, 700, 50 }, { LP_B2A, 600, 200 }, { LP_A2B, 400, 100 },
	};

	learn(LEGACY);
	for (size_t i = 0; i < sizeof holes / sizeof holes[0]; i++) {
		const struct help_play play = {
			.crypto = &crypto, .key = { server }, .holes = 1, .hole = { holes[i] },
		};
		struct help_told t;

		help_play(&t, flow, &play);
		ck_assert_uint_eq(t.n, 1);
		ck_assert_msg(!strcmp(t.session[0].result->pub.reason, "complete"), "hole %zu: %s: %s", i,
			      t.session[0].result->pub.reason, t.session[0].result->pub.detail);
		ck_assert(help_has_note(&t.session[0], "finished-unchecked"));
		for (int dir = 0; dir < 2; dir++) {
			lp_span a = lp_buf_span(&whole.session[0].clear[dir]);
			lp_span b = lp_buf_span(&t.session[0].clear[dir]);

			ck_assert_uint_eq(a.n, b.n);
			ck_assert_mem_eq(a.p, b.p, a.n);
		}
		help_told_clear(&t);
	}
}
END_TEST

/* The record of a side's ChangeCipherSpec. */
static size_t ccs_of(int side)
{
	for (size_t i = 0; i < truths[side]; i++)
		if (flow->bytes[side][truth[side][i].off] == 20)
			return i;
	ck_abort_msg("no ChangeCipherSpec");
	return 0;
}

/* A ChangeCipherSpec or a Finished that is lost, of one side or of both, costs nothing:
 * neither holds what anybody would miss, and the keys hang on neither. */
START_TEST(a_lost_end_of_the_handshake)
{
	enum { CCS = 1, FINISHED = 2 };

	learn((size_t)_i);
	/* Up to TLS 1.0 the first record behind the hole loses its IV with it. */
	if (whole.session[0].ended->version <= 0x0301)
		return;
	for (unsigned what = 1; what < 16; what++) {
		struct help_play play = {
			.crypto = &crypto, .key = { server },
			.answers = what & 1 ? HELP_AT_ONCE : HELP_AT_CLOSE,
		};
		struct help_told t;

		for (int side = 0; side < 2; side++) {
			unsigned lost = what >> 2 * side & 3;
			const struct truth *k = &truth[side][ccs_of(side)];
			struct help_hole *h = &play.hole[play.holes];

			if (!lost)
				continue;
			*h = (struct help_hole){ (enum lp_side)side, k->off, 0 };
			h->off += lost & CCS ? 0 : k->wire;
			h->n = (lost & CCS ? k->wire : 0) + (lost & FINISHED ? k[1].wire : 0);
			play.holes++;
		}
		help_play(&t, flow, &play);
		ck_assert_uint_eq(t.n, 1);
		ck_assert_msg(!strcmp(t.session[0].result->pub.reason,
				      whole.session[0].result->pub.reason), "lost %x: %s: %s", what,
			      t.session[0].result->pub.reason, t.session[0].result->pub.detail);
		ck_assert(help_has_note(&t.session[0], "finished-unchecked"));
		for (int dir = 0; dir < 2; dir++) {
			lp_span a = lp_buf_span(&whole.session[0].clear[dir]);
			lp_span b = lp_buf_span(&t.session[0].clear[dir]);

			ck_assert_uint_eq(a.n, b.n);
			ck_assert_mem_eq(a.p, b.p, a.n);
		}
		help_told_clear(&t);
	}
}
END_TEST

/* A side is lost from its ChangeCipherSpec to its end: the other comes out whole. */
START_TEST(a_side_lost_from_its_change_on)
{
	learn((size_t)_i);
	if (whole.session[0].ended->version <= 0x0301)
		return;
	for (int side = 0; side < 2; side++)
		for (int answers = HELP_AT_ONCE; answers <= HELP_AT_CLOSE; answers++) {
			const uint64_t off = truth[side][ccs_of(side)].off;
			const struct help_play play = {
				.crypto = &crypto, .key = { server }, .holes = 1, .after = 2,
				.hole = { { (enum lp_side)side, off, flow->len[side] - off } },
				.answers = (enum help_answers)answers,
			};
			const int other = 1 - side;
			struct line line[2 * RECORDS];
			struct help_told t;
			lp_span a, b;

			help_play(&t, flow, &play);
			ck_assert_uint_eq(t.n, 1);
			ck_assert_msg(t.session[0].ready, "side %d: %s: %s", side,
				      t.session[0].result->pub.reason,
				      t.session[0].result->pub.detail);
			a = lp_buf_span(&whole.session[0].clear[other]);
			b = lp_buf_span(&t.session[0].clear[other]);
			ck_assert_uint_eq(a.n, b.n);
			ck_assert_mem_eq(a.p, b.p, a.n);
			check_subset(&t);
			/* What was seen before that is not part of the hole. */
			ck_assert_uint_eq(read_lines(&t.dir[side], line, 2 * RECORDS), 1);
			ck_assert_uint_eq(line[0].n, flow->len[side] - off);
			help_told_clear(&t);
		}
}
END_TEST

/* The capture ends at each byte: one verdict, and a beginning of what was sent. */
START_TEST(a_flow_that_ends_at_any_byte)
{
	uint64_t all;

	learn((size_t)_i);
	all = flow->len[0] + flow->len[1];
	for (uint64_t stop = 1; stop < all; stop += 1 + stop % 3) {
		const struct help_play play = {
			.crypto = &crypto, .key = { server }, .stops = true, .stop = stop,
			.answers = stop & 1 ? HELP_AT_CLOSE : HELP_AT_ONCE,
		};
		struct help_told t;

		help_play(&t, flow, &play);
		ck_assert_uint_le(t.n, 1);
		if (stop >= 6)
			ck_assert_uint_eq(t.n, 1);
		for (int dir = 0; t.n && dir < 2; dir++) {
			lp_span got = lp_buf_span(&t.session[0].clear[dir]);

			ck_assert_uint_le(got.n, lp_buf_len(&whole.session[0].clear[dir]));
			if (got.n)
				ck_assert_mem_eq(got.p,
						 lp_buf_span(&whole.session[0].clear[dir]).p, got.n);
		}
		if (t.n)
			ck_assert_int_eq(t.session[0].ready != NULL,
					 t.session[0].result->pub.verdict != LP_OPAQUE);
		/* What a record is cut from is not passed over. */
		if (t.n && t.session[0].result->pub.verdict == LP_DECRYPTED)
			ck_assert_int_eq(t.session[0].result->pub.total[0].lost +
						 t.session[0].result->pub.total[1].lost != 0,
					 strstr(t.session[0].result->pub.detail, "only") != NULL);
		help_told_clear(&t);
	}
}
END_TEST

/* An established session keeps nothing that only its handshake needed; what it does keep
 * is counted, beside its record buffers and its share of the cache of contexts. */
START_TEST(memory_of_a_session)
{
	const struct help_play play = { .crypto = &crypto, .key = { server } };
	const struct lp_tls *tls;

	help_trace_read(&trace, flows[_i].capture);
	flow = trace.flow[flows[_i].flow];
	help_begin(&whole, &play);
	for (size_t c = 0; c < flow->n; c++) {
		const struct help_call *call = &flow->call[c];

		if (call->gap)
			help_gap(&whole, call->side, call->off, call->n, &call->when);
		else
			help_data(&whole, call->side, flow->bytes[call->side] + call->off,
				  (size_t)call->n, call->off, &call->when);
		tls = whole.stage.tls;
		if (tls && tls->completed && lp_buf_len(&whole.session[0].clear[0]))
			break;
	}
	tls = whole.stage.tls;
	ck_assert_ptr_nonnull(tls);
	ck_assert_ptr_null(tls->shake->hs);
	ck_assert_uint_eq(tls->shake->messages[0].max, 0); /* the one that has nothing */
	ck_assert_uint_eq(tls->hurt->back[0].max, 0);
	ck_assert_ptr_null(tls->told->detail);
	for (int dir = 0; dir < 2; dir++)
		ck_assert(!tls->now[dir].stream || !lp_protect_stream(&tls->now[dir])->keys.marks);
	ck_assert_ptr_nonnull(tls->known);
	ck_assert_uint_le(malloc_usable_size((void *)(uintptr_t)tls), 352);
	ck_assert_uint_le(malloc_usable_size(tls->known), 176);
	help_close(&whole, flow->end, flow->conflict, &flow->close_when);
}
END_TEST

Suite *suite_recover(void);
Suite *suite_recover(void)
{
	Suite *s = suite_create("recover");
	TCase *c = tcase_create("holes");

	tcase_set_timeout(c, 120);
	tcase_add_checked_fixture(c, set_up, tear_down);
	tcase_add_loop_test(c, holes_at_the_boundaries_of_records, 0, FLOWS);
	tcase_add_loop_test(c, holes_inside_records, 0, FLOWS);
	tcase_add_loop_test(c, several_holes, 0, FLOWS);
	tcase_add_loop_test(c, a_lie_behind_a_hole, 0, FLOWS);
	tcase_add_loop_test(c, holes_in_the_handshake, 0, FLOWS);
	tcase_add_test(c, legacy_keys_survive_a_lost_certificate);
	tcase_add_loop_test(c, a_lost_end_of_the_handshake, 0, FLOWS);
	tcase_add_loop_test(c, a_side_lost_from_its_change_on, 0, FLOWS);
	tcase_add_loop_test(c, a_flow_that_ends_at_any_byte, 0, FLOWS);
	tcase_add_loop_test(c, memory_of_a_session, 0, FLOWS);
	suite_add_tcase(s, c);
	return s;
}
