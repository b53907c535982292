/* net/leaves against an array, and net/ooo against what its header says. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "net/ooo.h"

static uint32_t rng;

static uint32_t any(uint32_t n)
{
	rng = rng * 1664525 + 1013904223;
	return (rng >> 8) % n;
}

/* ---- leaves ---- */

enum { MANY = 5000 };

struct model {
	struct lp_leaf_entry e[MANY];
	uint32_t n;
};

static void same(const struct lp_leaves *l, const struct model *m)
{
	struct lp_leaf_at at = lp_leaves_first(l);

	for (uint32_t i = 0; i < m->n; i++, at = lp_leaves_next(l, at)) {
		const struct lp_leaf_entry *e = lp_leaves_at(l, at);

		ck_assert_ptr_nonnull(e);
		ck_assert_uint_eq(e->start, m->e[i].start);
		ck_assert_uint_eq(e->end, m->e[i].end);
		ck_assert_uint_eq(e->held, m->e[i].held);
	}
	ck_assert_ptr_null(lp_leaves_at(l, at));
	ck_assert_uint_eq(lp_leaves_empty(l), !m->n);
}

static uint32_t find(const struct model *m, uint32_t seq)
{
	uint32_t i = 0;

	while (i < m->n && !lp_seq_before(seq, m->e[i].end))
		i++;
	return i;
}

/* Wherever it is put: what stands there and before it is what it should be. */
static struct lp_leaf_at seek(const struct lp_leaves *l, const struct model *m, uint32_t seq, uint32_t *i)
{
	uint32_t guess = lp_leaves_empty(l) || any(2) ? any(l->count + 3) : lp_leaves_prefetch(l, seq);
	struct lp_leaf_at at = lp_leaves_seek(l, seq, guess);
	const struct lp_leaf_entry *e = lp_leaves_at(l, at), *b = lp_leaves_before(l, at);

	*i = find(m, seq);
	ck_assert_int_eq(e != NULL, *i < m->n);
	ck_assert_int_eq(b != NULL, *i > 0);
	if (e)
		ck_assert_uint_eq(e->start, m->e[*i].start);
	if (b)
		ck_assert_uint_eq(b->start, m->e[*i - 1].start);
	return at;
}

static void put(struct lp_leaves *l, struct model *m, uint32_t seq)
{
	struct lp_leaf_entry entry = { seq, seq + 4, seq / 2, seq | 1 };
	uint64_t most = l->bytes + lp_leaves_growth(l, 1);
	struct lp_leaf_entry *e;
	struct lp_leaf_at at;
	uint32_t i;

	at = seek(l, m, seq, &i);
	if (i < m->n && lp_seq_before(m->e[i].start, entry.end))
		return;
	ck_assert_int_eq(lp_leaves_put(l, at, entry.start, &e), LP_OK);
	*e = entry;
	ck_assert_uint_le(l->bytes, most);
	memmove(&m->e[i + 1], &m->e[i], (m->n - i) * sizeof m->e[0]);
	m->e[i] = entry;
	m->n++;
}

static void cut(struct lp_leaves *l, struct model *m, struct lp_leaf_at at, uint32_t i)
{
	const struct lp_leaf_entry *e;

	at = lp_leaves_cut(l, at);
	m->n--;
	memmove(&m->e[i], &m->e[i + 1], (m->n - i) * sizeof m->e[0]);
	e = lp_leaves_at(l, at);
	ck_assert_int_eq(e != NULL, i < m->n);
	if (e)
		ck_assert_uint_eq(e->start, m->e[i].start);
}

START_TEST(leaves_in_any_order)
{
	static struct model m;
	struct lp_leaves l = { 0 };
	const uint32_t base = 0xffffc000; /* wraps within */
	uint32_t i, seq = 0;
	struct lp_leaf_at at;

	m.n = 0;
	rng = 1 + (uint32_t)_i;
	for (int round = 0; round < 12000; round++) {
		switch (_i) {
		case 0: seq = base + any(40000); break;                 /* anywhere */
		case 1: seq = base + (uint32_t)round * 4; break;        /* at the end */
		case 2: seq = base + (12000 - (uint32_t)round) * 4; break; /* in front */
		default: seq = base + any(40000) / 1000 * 1000 + any(100); break; /* in clusters */
		}
		if (m.n < MANY && any(100) < (round / 3000 % 2 ? 30U : 80U)) {
			put(&l, &m, seq);
		} else if (m.n && any(3)) {
			at = seek(&l, &m, any(4) ? m.e[any(m.n)].start : m.e[0].start, &i);
			if (i < m.n)
				cut(&l, &m, at, i);
		} else if (m.n) {
			at = seek(&l, &m, m.e[any(m.n)].start, &i);
			/* It may grow to where the one before ends, or shrink. */
			seq = i && any(2) ? m.e[i - 1].end : m.e[i].start;
			if (seq == m.e[i].start && seq + 1 != m.e[i].end)
				seq += any(2);
			lp_leaves_start(&l, at, seq);
			m.e[i].start = seq;
			/* … and up to where the next one begins. */
			if (any(2)) {
				seq = i + 1 < m.n ? m.e[i + 1].start : m.e[i].end + 3;
				lp_leaves_at(&l, at)->end = m.e[i].end = seq;
			}
		}
		if (round % 500 == 0)
			same(&l, &m);
	}
	same(&l, &m);
	while (m.n)
		cut(&l, &m, lp_leaves_first(&l), 0);
	ck_assert(lp_leaves_empty(&l));
	lp_leaves_clear(&l);
	ck_assert_uint_eq(l.bytes, 0);
}
END_TEST

/* Whatever the order, an entry costs little more than itself: no more than the links of
 * a list would. */
START_TEST(leaves_are_full_ones)
{
	struct lp_leaves l = { 0 };
	struct lp_leaf_entry *e;

	for (uint32_t i = 0; i < 4000; i++) {
		uint32_t at = _i == 0 ? i : _i == 1 ? 4000 - i : i * 2531 % 4000;

		ck_assert_int_eq(lp_leaves_put(&l, lp_leaves_seek(&l, at * 2, 0), at * 2, &e), LP_OK);
		e->end = at * 2 + 1;
		e->held = 1;
	}
	ck_assert_uint_lt(l.bytes, 4000 * (_i < 2 ? 26 : 52));
	lp_leaves_clear(&l);
}
END_TEST

/* ---- what waits ---- */

enum { SPACE = 3000 };

/* For each byte: who owns it, by the rules, without any joining. */
struct truth {
	struct {
		bool there;
		uint8_t value;
		uint32_t size; /* of its segment */
		uint64_t carried_ns;
	} byte[SPACE];
};

/* The time of the segment that brought the byte; or, of a tiny one, of one that came later and not
 * 256 bytes away. */
static void check_time(const struct truth *t, uint32_t at, uint64_t carried_ns)
{
	uint64_t own = t->byte[at].carried_ns, last = own;

	if (!own)
		return; /* of some copy */
	for (uint32_t k = at > 255 ? at - 255 : 0; k < SPACE && k < at + 256; k++)
		if (t->byte[k].there && t->byte[k].size <= LP_OOO_TINY && t->byte[k].carried_ns > last)
			last = t->byte[k].carried_ns;
	ck_assert_uint_ge(carried_ns, own);
	ck_assert_uint_le(carried_ns, t->byte[at].size > LP_OOO_TINY ? own : last);
}

static void take_all(struct lp_ooo_pool *pool, struct lp_ooo *q, const struct truth *t)
{
	uint32_t at = 0;

	while (lp_ooo_first(q)) {
		uint32_t start = lp_ooo_first(q)->start - q->below;
		struct lp_ooo_piece piece;
		struct lp_ooo_out out;

		lp_ooo_pop(pool, q, &out);
		piece = out.piece;
		ck_assert_uint_ge(start, at);
		for (; at < start; at++)
			ck_assert(!t->byte[at].there);
		if (start == piece.seq - q->below)
			check_time(t, start, piece.carried_ns);
		for (; at < piece.seq - q->below + piece.wire; at++) {
			ck_assert(t->byte[at].there);
			ck_assert_uint_eq(piece.data[at - (piece.seq - q->below)], t->byte[at].value);
		}
		lp_ooo_release(pool, &out);
	}
	for (; at < SPACE; at++)
		ck_assert(!t->byte[at].there);
}

/* Segments of all sizes that overlap with the same bytes, tiny ones mostly: all bytes
 * come out as they were, each once, with the time of the segment that brought it. */
START_TEST(what_waits_comes_out)
{
	static struct truth t;
	struct lp_ooo_pool pool = { .overlap = _i & 1 ? LP_OVERLAP_BSD : LP_OVERLAP_LINUX };
	uint8_t bytes[SPACE];

	for (uint32_t i = 0; i < SPACE; i++)
		bytes[i] = (uint8_t)(i * 2654435761U >> 11);
	rng = 77 + (uint32_t)_i;
	for (int round = 0; round < 60; round++) {
		struct lp_ooo *q = lp_ooo_new(&pool, NULL, LP_A2B);
		uint32_t count = 1 + any(round % 3 ? 300 : 3000);
		bool conflict = false;

		ck_assert_ptr_nonnull(q);
		lp_ooo_renew(&pool, q, 0xfffffa00, 1, 1);
		memset(&t, 0, sizeof t);
		for (uint32_t i = 0; i < count; i++) {
			uint32_t size = any(8) ? 1 + any(3) : 1 + any(any(2) ? 32 : 600);
			uint32_t from = any(SPACE - size), new = 0, old = 0;
			struct lp_ooo_piece piece = { .data = bytes + from, .carried_ns = i + 1,
				.seq = q->below + from, .captured = size, .wire = size,
				.lent = i % 3 };
			uint64_t most = pool.bytes + lp_ooo_cost(q, &piece);
			bool added;

			for (uint32_t k = 0; k < size; k++)
				t.byte[from + k].there ? old++ : new++;
			/* Where it overlaps, who brought what depends on the rule. */
			if (old && _i < 2)
				continue;
			ck_assert_int_eq(lp_ooo_insert(&pool, q, &piece, &added, &conflict), LP_OK);
			ck_assert_uint_le(pool.bytes, most);
			ck_assert_uint_eq(pool.bytes, q->bytes);
			ck_assert(added || !new);
			for (uint32_t k = 0; k < size; k++) {
				if (!t.byte[from + k].there || _i >= 2)
					t.byte[from + k].carried_ns = i + 1;
				t.byte[from + k].size = size;
				t.byte[from + k].there = true;
				t.byte[from + k].value = bytes[from + k];
			}
		}
		ck_assert(!conflict);
		if (_i >= 2) {
			/* Times are those of some copy only: look at the bytes. */
			for (uint32_t i = 0; i < SPACE; i++)
				t.byte[i].carried_ns = 0;
		}
		take_all(&pool, q, &t);
		lp_ooo_free(&pool, q);
		ck_assert_uint_eq(pool.bytes, 0);
	}
	lp_ooo_pool_clear(&pool);
}
END_TEST

/* Segments that overlap with other bytes, tiny ones and larger: what comes out of each byte is one of
 * the copies that came for it, and where there was another a conflict was told of. */
START_TEST(copies_that_differ_are_told_of)
{
	struct lp_ooo_pool pool = { .overlap = _i & 1 ? LP_OVERLAP_BSD : LP_OVERLAP_LINUX };
	static uint8_t seen[SPACE]; /* bit 0, 1: such a copy came */
	struct lp_ooo_out out;

	rng = 5 + (uint32_t)_i;
	for (int round = 0; round < 300; round++) {
		struct lp_ooo *q = lp_ooo_new(&pool, NULL, LP_A2B);
		uint32_t count = 1 + any(400), space = any(2) ? SPACE : 700;

		ck_assert_ptr_nonnull(q);
		lp_ooo_renew(&pool, q, 0xfffffe80, 1, 1);
		memset(seen, 0, sizeof seen);
		for (uint32_t i = 0; i < count; i++) {
			uint32_t size = any(4) ? 1 + any(LP_OOO_TINY) : 1 + any(600);
			uint32_t from = any(space - size), old = 0, other = 0;
			uint8_t copy = (uint8_t)!any(16), bytes[600];
			struct lp_ooo_piece piece = { .data = bytes, .carried_ns = 1,
				.seq = q->below + from, .captured = size, .wire = size };
			bool added, conflict = false;
			uint64_t most = pool.bytes + lp_ooo_cost(q, &piece);

			memset(bytes, copy, size);
			for (uint32_t k = from; k < from + size; k++) {
				old += seen[k] != 0;
				other += seen[k] == (copy ? 1 : 2); /* only the other: that is what waits */
				seen[k] |= copy ? 2 : 1;
			}
			ck_assert_int_eq(lp_ooo_insert(&pool, q, &piece, &added, &conflict), LP_OK);
			ck_assert(added || old == size);
			ck_assert(conflict || !other);
			ck_assert(!conflict || old);
			ck_assert_uint_le(pool.bytes, most);
			ck_assert_uint_eq(pool.bytes, q->bytes);
		}
		for (uint32_t at = 0, k; lp_ooo_first(q); lp_ooo_release(&pool, &out)) {
			uint32_t start = lp_ooo_first(q)->start - q->below;

			for (; at < start; at++)
				ck_assert_uint_eq(seen[at], 0);
			lp_ooo_pop(&pool, q, &out);
			k = out.piece.seq - q->below;
			ck_assert_uint_eq(out.piece.wire, out.piece.captured);
			for (; at < k + out.piece.wire; at++)
				ck_assert_uint_ne(seen[at] & (out.piece.data[at - k] ? 2 : 1), 0);
		}
		lp_ooo_free(&pool, q);
		ck_assert_uint_eq(pool.bytes, 0);
	}
	lp_ooo_pool_clear(&pool);
}
END_TEST

/* Who wins where a tiny segment and another overlap, whether it waits in a page or not. */
START_TEST(tiny_segments_win_and_lose)
{
	static const struct {
		uint32_t from[3], size[3]; /* three come, of the bytes '1', '2', '3' */
		const char *linux_has, *bsd_has;
	} cases[] = {
		/* What began earlier wins, … */
		{ { 10, 12 }, { 4, 4 }, "111122", "111122" },
		{ { 12, 10 }, { 4, 4 }, "222211", "222211" },
		{ { 20, 10 }, { 4, 100 }, NULL, NULL },
		/* … of two that begin at the same byte the first, or the longer. */
		{ { 10, 10 }, { 2, 4 }, "2222", "1122" },
		{ { 10, 10 }, { 4, 2 }, "1111", "1111" },
		/* Across the end of a page. */
		{ { 250, 254 }, { 10, 10 }, "11111111112222", "11111111112222" },
		{ { 254, 250 }, { 10, 10 }, "22222222221111", "22222222221111" },
		{ { 250, 256 }, { 10, 10 }, "1111111111222222", "1111111111222222" },
		{ { 250, 250 }, { 10, 12 }, "222222222222", "111111111122" },
		/* Between two of the same page. */
		{ { 10, 20, 12 }, { 4, 4, 10 }, "11113333333322", "11113333333322" },
		{ { 10, 60, 12 }, { 4, 4, 50 }, NULL, NULL },
	};
	struct lp_ooo_pool pool = { .overlap = _i & 1 ? LP_OVERLAP_BSD : LP_OVERLAP_LINUX };
	char bytes[600], has[600] = "", want[600];
	const char *expected;
	struct lp_ooo_out out;
	struct lp_ooo *q;
	bool added, conflict;
	size_t n;

	for (size_t c = 0; c < sizeof cases / sizeof cases[0]; c++) {
		q = lp_ooo_new(&pool, NULL, LP_A2B);
		ck_assert_ptr_nonnull(q);
		conflict = false;
		for (int i = 0; i < 3 && cases[c].size[i]; i++) {
			memset(bytes, '1' + i, sizeof bytes);
			ck_assert_int_eq(lp_ooo_insert(&pool, q, &(struct lp_ooo_piece){
				.data = (uint8_t *)bytes, .seq = 0x1000 + cases[c].from[i],
				.captured = cases[c].size[i], .wire = cases[c].size[i] },
				&added, &conflict), LP_OK);
		}
		ck_assert(conflict);
		memset(has, 0, sizeof has);
		for (n = 0; lp_ooo_first(q); lp_ooo_release(&pool, &out)) {
			uint32_t start = lp_ooo_first(q)->start, end = lp_ooo_first(q)->end;

			lp_ooo_pop(&pool, q, &out);
			end = out.piece.seq + out.piece.wire;
			memcpy(has + n, out.piece.data + (start - out.piece.seq), end - start);
			n += end - start;
		}
		expected = _i & 1 ? cases[c].bsd_has : cases[c].linux_has;
		if (!expected) { /* 4 of the first or last, else all of the largest */
			memset(want, 0, sizeof want);
			memset(want, '2', 100);
			if (cases[c].size[2]) {
				memcpy(want, "1111", 4);
				memset(want + 4, '3', 48);
				memcpy(want + 52, "22", 3);
			}
			expected = want;
		}
		ck_assert_str_eq(has, expected);
		lp_ooo_free(&pool, q);
		ck_assert_uint_eq(pool.bytes, 0);
	}
	lp_ooo_pool_clear(&pool);
}
END_TEST

/* Every byte of a run is compared with what comes for it later. */
START_TEST(a_run_knows_its_bytes)
{
	struct lp_ooo_pool pool = { .overlap = LP_OVERLAP_LINUX };
	struct lp_ooo *q = lp_ooo_new(&pool, NULL, LP_A2B);
	bool added, conflict = false;
	uint8_t x;

	ck_assert_ptr_nonnull(q);
	for (uint32_t i = 0; i < 700; i++) {
		uint32_t at = i * 359 % 700;

		x = (uint8_t)at;
		ck_assert_int_eq(lp_ooo_insert(&pool, q, &(struct lp_ooo_piece){ .data = &x,
			.seq = 1000 + at, .captured = 1, .wire = 1, .carried_ns = 1 },
			&added, &conflict), LP_OK);
		ck_assert(added && !conflict);
	}
	/* No memory to speak of beside them. */
	ck_assert_uint_le(pool.bytes, 4 * 700);
	for (uint32_t at = 0; at < 700; at++)
		for (int wrong = 0; wrong < 2; wrong++) {
			x = (uint8_t)(at + (uint32_t)wrong);
			conflict = false;
			ck_assert_int_eq(lp_ooo_insert(&pool, q, &(struct lp_ooo_piece){ .data = &x,
				.seq = 1000 + at, .captured = 1, .wire = 1 }, &added, &conflict), LP_OK);
			ck_assert(!added);
			ck_assert_int_eq(conflict, wrong);
			ck_assert_int_eq(lp_ooo_conflicts(q, 1000 + at, &x, 1), wrong);
		}
	lp_ooo_free(&pool, q);
	ck_assert_uint_eq(pool.bytes, 0);
	lp_ooo_pool_clear(&pool);
}
END_TEST

/* What is lent is not copied, and counts as much. */
START_TEST(lent_bytes_stay_where_they_are)
{
	static const uint32_t sizes[] = { 1, LP_OOO_TINY, LP_OOO_TINY + 1, 600, 1448, 9000 };
	static uint8_t bytes[9000];
	struct lp_ooo_pool pool = { .overlap = LP_OVERLAP_LINUX };

	for (size_t k = 0; k < sizeof sizes / sizeof sizes[0]; k++) {
		struct lp_ooo_piece piece = { .data = bytes, .seq = 5, .captured = sizes[k],
					      .wire = sizes[k], .hash = 77 };
		uint64_t cost[2], taken[2];

		for (int lent = 0; lent < 2; lent++) {
			struct lp_ooo *q = lp_ooo_new(&pool, NULL, LP_A2B);
			bool added, conflict = false;
			struct lp_ooo_out out;

			piece.lent = lent;
			cost[lent] = lp_ooo_cost(q, &piece);
			ck_assert_int_eq(lp_ooo_insert(&pool, q, &piece, &added, &conflict), LP_OK);
			taken[lent] = pool.bytes;
			lp_ooo_pop(&pool, q, &out);
			ck_assert_uint_eq(out.piece.captured, sizes[k]);
			ck_assert_int_eq(out.piece.lent, lent && sizes[k] > LP_OOO_TINY);
			ck_assert_int_eq(out.piece.data == bytes, out.piece.lent);
			lp_ooo_release(&pool, &out);
			lp_ooo_free(&pool, q);
		}
		ck_assert_uint_eq(cost[0], cost[1]);
		ck_assert_uint_eq(taken[0], taken[1]);
	}
	lp_ooo_pool_clear(&pool);
}
END_TEST

Suite *suite_leaves(void)
{
	Suite *s = suite_create("leaves");
	TCase *t = tcase_create("all");

	tcase_set_timeout(t, 60);
	tcase_add_loop_test(t, leaves_in_any_order, 0, 4);
	tcase_add_loop_test(t, leaves_are_full_ones, 0, 3);
	tcase_add_loop_test(t, what_waits_comes_out, 0, 4);
	tcase_add_loop_test(t, copies_that_differ_are_told_of, 0, 2);
	tcase_add_loop_test(t, tiny_segments_win_and_lose, 0, 2);
	tcase_add_test(t, a_run_knows_its_bytes);
	tcase_add_test(t, lent_bytes_stay_where_they_are);
	suite_add_tcase(s, t);
	return s;
}
