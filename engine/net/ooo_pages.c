/* Tiny segments in their pages. */
#include "net/ooo_parts.h"

#include <stdlib.h>

struct lp_ooo_part lp_ooo_part_of_page(const struct lp_leaf_entry *e, uint32_t seq)
{
	const struct lp_page *g = lp_ooo_page(e);
	uint32_t base = e->start - lp_page_place(e->start), to = e->end - base, from, end;

	from = lp_seq_before(seq, e->start) ? e->start - base : seq - base;
	from = lp_page_next(g, from, to, true);
	end = lp_page_next(g, from, to, false);
	from = lp_page_last(g, from, false);
	return (struct lp_ooo_part){ base + from, base + from, base + end, base + end, g->bytes + from };
}

/* An entry for a page that begins at start, before what is `at`. */
static struct lp_leaf_entry *put_page(struct lp_ooo_pool *pool, struct lp_ooo *q,
				      struct lp_leaf_at at, uint32_t start, struct lp_page *g)
{
	uint64_t was = q->waiting.bytes;
	struct lp_leaf_entry *e = NULL;

	if (lp_leaves_put(&q->waiting, at, start, &e)) {
		lp_ooo_count(pool, q, q->waiting.bytes, was);
		free(g);
		return NULL;
	}
	e->held = (uintptr_t)g + 1;
	q->pages++;
	lp_ooo_count(pool, q, q->waiting.bytes + sizeof *g, was);
	return e;
}

/* The page for bytes between from and to, which are all of the same one: *e, or NULL for a new one
 * `at`. False if a node owns some of them. */
static inline bool find_page(const struct lp_ooo *q, uint32_t from, uint32_t to, uint32_t near,
			     struct lp_leaf_at *at, struct lp_leaf_entry **e)
{
	struct lp_leaf_entry *x;

	*at = lp_leaves_seek(&q->waiting, from, near);
	*e = x = lp_leaves_at(&q->waiting, *at);
	if (x && lp_seq_before(x->start, to)) {
		if (!lp_ooo_is_page(x) || !lp_seq_before(x->end, to))
			return lp_ooo_is_page(x);
		x = lp_leaves_at(&q->waiting, lp_leaves_next(&q->waiting, *at));
		return !x || !lp_seq_before(x->start, to);
	}
	if (x && lp_ooo_is_page(x) && lp_page_same(x->start, from))
		return true;
	x = x && at->i ? x - 1 : lp_leaves_before(&q->waiting, *at);
	*e = x && lp_ooo_is_page(x) && lp_page_same(x->start, from) ? x : NULL;
	return true;
}

/* Whether bytes of the page between these places differ from those at p. */
static bool page_differs(const struct lp_page *g, uint32_t from, uint32_t to, const uint8_t *p)
{
	for (uint32_t k = from; (k = lp_page_next(g, k, to, true)) < to; k++)
		if (g->bytes[k] != p[k - from])
			return true;
	return false;
}

/* One with nothing in it yet, to begin at start. */
static enum lp_err new_page(struct lp_ooo_pool *pool, struct lp_ooo *q, struct lp_leaf_at at,
			    uint32_t start, uint64_t carried_ns, struct lp_leaf_entry **e)
{
	struct lp_page *g = malloc(sizeof *g);

	if (!g)
		return LP_E_NOMEM;
	memset(g->have, 0, sizeof g->have);
	*e = put_page(pool, q, at, start, g);
	if (!*e)
		return LP_E_NOMEM;
	(*e)->end = start;
	(*e)->carried_ns = carried_ns;
	return LP_OK;
}

enum lp_err lp_ooo_put_tiny(struct lp_ooo_pool *pool, struct lp_ooo *q,
			    const struct lp_ooo_piece *piece, bool *added, bool *done)
{
	uint32_t from = piece->seq, end = piece->seq + piece->wire, to, n, place;
	const uint8_t *p = piece->data;
	struct lp_leaf_entry *e;
	struct lp_leaf_at at;
	struct lp_page *g;

	for (; from != end; from = to, p += n) {
		place = lp_page_place(from);
		n = end - from < LP_PAGE - place ? end - from : LP_PAGE - place;
		to = from + n;
		if (!find_page(q, from, to, pool->near, &at, &e))
			return LP_OK;
		if (!e && new_page(pool, q, at, from, piece->carried_ns, &e))
			return LP_E_NOMEM;
		g = lp_ooo_page(e);
		if (!lp_page_take(g, place, n)) {
			if (page_differs(g, place, place + n, p))
				return LP_OK;
			if (lp_page_next(g, place, place + n, false) == place + n)
				continue;
			lp_page_mark(g, place, place + n, true);
		}
		*added = true;
		lp_ooo_copy(g->bytes + place, p, n);
		if (lp_seq_before(from, e->start)) {
			e->carried_ns = piece->carried_ns;
			lp_leaves_start(&q->waiting, at, from);
		}
		if (lp_seq_before(e->end, to))
			e->end = to;
		g->last_ns = piece->carried_ns;
	}
	*done = true;
	return LP_OK;
}

void lp_ooo_forget(struct lp_ooo_pool *pool, struct lp_ooo *q, struct lp_leaf_at *at,
		   uint32_t from, uint32_t to)
{
	struct lp_leaf_entry *e = lp_leaves_at(&q->waiting, *at);
	uint32_t base = e->start - lp_page_place(e->start);
	struct lp_page *g = lp_ooo_page(e);

	if (lp_seq_before(from, e->start))
		from = e->start;
	if (lp_seq_before(e->end, to))
		to = e->end;
	lp_page_mark(g, from - base, to - base, false);
	if (from == e->start && to == e->end) {
		lp_ooo_drop(pool, q, at);
	} else if (to == e->end) {
		e->end = base + lp_page_last(g, from - base, true);
		*at = lp_leaves_next(&q->waiting, *at);
	} else if (from == e->start) {
		e->carried_ns = g->last_ns;
		lp_leaves_start(&q->waiting, *at, base + lp_page_next(g, to - base, e->end - base, true));
	}
}

enum lp_err lp_ooo_split(struct lp_ooo_pool *pool, struct lp_ooo *q, struct lp_leaf_at *at,
			 uint32_t seq)
{
	struct lp_leaf_entry *e = lp_leaves_at(&q->waiting, *at), *behind;
	uint32_t base = e->start - lp_page_place(e->start), place = seq - base;
	uint32_t end = e->end, first = base + lp_page_next(lp_ooo_page(e), place, end - base, true);
	struct lp_page *g = malloc(sizeof *g);

	if (!g)
		return LP_E_NOMEM;
	*g = *lp_ooo_page(e);
	lp_page_mark(g, 0, place, false);
	lp_page_mark(lp_ooo_page(e), place, end - base, false);
	e->end = base + lp_page_last(lp_ooo_page(e), place, true);
	behind = put_page(pool, q, lp_leaves_next(&q->waiting, *at), first, g);
	if (!behind)
		return LP_E_NOMEM;
	behind->end = end;
	behind->carried_ns = g->last_ns;
	*at = lp_leaves_seek(&q->waiting, seq, 0);
	return LP_OK;
}

