/* page: the tiny segments that wait within the same 256 bytes of a sequence, and which of
 * these bytes are there. So a byte costs its place and a bit, in whatever order they come:
 * to put one in is to set it, and no list of segments is searched or moved.
 * Places are offsets from the page's first byte, ends are behind the last; both up to
 * LP_PAGE. No errors. Owner: net/ooo_pages.c. */
#ifndef LP_NET_PAGE_H
#define LP_NET_PAGE_H

#include <stdbool.h>
#include <stdint.h>

enum { LP_PAGE = 256, LP_PAGE_WORD = 64 };

struct lp_page {
	uint64_t last_ns;  /* when what came last did */
	uint64_t have[LP_PAGE / LP_PAGE_WORD];
	uint8_t bytes[LP_PAGE];
};

static inline uint32_t lp_page_place(uint32_t seq)
{
	return seq % LP_PAGE;
}

static inline bool lp_page_same(uint32_t a, uint32_t b)
{
	return a / LP_PAGE == b / LP_PAGE;
}

/* Of the k-th word, the bits from place `from` to `to`, which it has some of. */
static inline uint64_t lp_page_bits(uint32_t k, uint32_t from, uint32_t to)
{
	uint32_t low = from > k * LP_PAGE_WORD ? from - k * LP_PAGE_WORD : 0;
	uint32_t high = to - k * LP_PAGE_WORD;

	return (high < LP_PAGE_WORD ? ((uint64_t)1 << high) - 1 : UINT64_MAX) & UINT64_MAX << low;
}

/* Those bytes are there; or not any more. from < to. */
static inline void lp_page_mark(struct lp_page *g, uint32_t from, uint32_t to, bool there)
{
	for (uint32_t k = from / LP_PAGE_WORD; k * LP_PAGE_WORD < to; k++)
		if (there)
			g->have[k] |= lp_page_bits(k, from, to);
		else
			g->have[k] &= ~lp_page_bits(k, from, to);
}

/* The same of n bytes from `at` on, 1 to 32, if none of them is there yet; false if some are, and
 * nothing has changed. */
static inline bool lp_page_take(struct lp_page *g, uint32_t at, uint32_t n)
{
	const uint32_t shift = at % LP_PAGE_WORD;
	const uint64_t bits = ((uint64_t)1 << n) - 1, low = bits << shift;
	const uint64_t high = shift ? bits >> (LP_PAGE_WORD - shift) : 0;
	uint64_t *word = &g->have[at / LP_PAGE_WORD];

	if (word[0] & low || (high && word[1] & high))
		return false;
	word[0] |= low;
	if (high)
		word[1] |= high;
	return true;
}

/* The first place from `from` on whose byte is there, or is not; `to` if none is below it. */
static inline uint32_t lp_page_next(const struct lp_page *g, uint32_t from, uint32_t to, bool there)
{
	uint64_t word;

	while (from < to) {
		word = g->have[from / LP_PAGE_WORD] ^ (there ? 0 : UINT64_MAX);
		word >>= from % LP_PAGE_WORD;
		if (word) {
			from += (uint32_t)__builtin_ctzll(word);
			return from < to ? from : to;
		}
		from += LP_PAGE_WORD - from % LP_PAGE_WORD;
	}
	return to;
}

/* Behind the last place below `to` whose byte is there, or is not; 0 if none is. */
static inline uint32_t lp_page_last(const struct lp_page *g, uint32_t to, bool there)
{
	uint64_t word;

	while (to) {
		word = g->have[(to - 1) / LP_PAGE_WORD] ^ (there ? 0 : UINT64_MAX);
		word <<= LP_PAGE_WORD - 1 - (to - 1) % LP_PAGE_WORD;
		if (word)
			return to - (uint32_t)__builtin_clzll(word);
		to = (to - 1) / LP_PAGE_WORD * LP_PAGE_WORD;
	}
	return 0;
}

#endif
