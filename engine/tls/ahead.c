#include "tls/ahead.h"

#include <stdlib.h>
#include <string.h>

#include "base/secret.h"
#include "tls/record.h"

enum {
	KEPT = 4,     /* directions that take turns within a batch */
	KEY_MAX = 32, /* of SHA-256 */
	FRONT = LP_MAC_HEADER - LP_RECORD_HEADER,
	ROOM = FRONT + LP_RECORD_MAX,
};

struct kept {
	uint8_t key[KEY_MAX], want[KEY_MAX];
	size_t key_n;
	const uint8_t *input; /* header and bytes, in its room */
	size_t n;             /* 0: nothing is kept */
};

struct lp_ahead {
	const struct lp_crypto *base;
	struct lp_two *two;   /* made when first wanted */
	bool off;             /* it cannot be */
	size_t least;
	uint8_t *rooms;       /* one for each that is kept, one for the record at hand */
	unsigned last;        /* whose turn it was to give way */
	struct kept *to;      /* in whose room the next one lies */
	struct lp_ahead_record next;
	struct kept kept[KEPT];
};

struct lp_ahead *lp_ahead_new(const struct lp_crypto *base, size_t least)
{
	struct lp_ahead *a = base->two_new ? lp_secret_alloc(sizeof *a) : NULL;

	if (a) {
		a->base = base;
		a->least = least;
	}
	return a;
}

void lp_ahead_free(struct lp_ahead *a)
{
	if (!a)
		return;
	if (a->two)
		a->base->two_free(a->two);
	free(a->rooms);
	lp_secret_free(a, sizeof *a);
}

/* Makes what only CBC suites need, when the first of them comes. */
static bool is_ready(struct lp_ahead *a)
{
	if (a->rooms || a->off)
		return !a->off;
	if (!a->base->two_new(&a->two))
		a->rooms = malloc((KEPT + 1) * ROOM);
	a->off = !a->rooms;
	return !a->off;
}

static bool is_of(const struct kept *k, lp_span key)
{
	return k->n && k->key_n == key.n && lp_equal_ct(k->key, key.p, key.n);
}

bool lp_ahead_is_for(const struct lp_ahead *a, size_t n)
{
	return a && n >= a->least && !a->off;
}

bool lp_ahead_wants(struct lp_ahead *a, lp_span key, uint64_t seq)
{
	if (key.n > KEY_MAX || !is_ready(a))
		return false;
	for (const struct kept *k = a->kept; k < a->kept + KEPT; k++) {
		struct lp_cursor c = lp_cursor_of(k->input, k->n);

		if (is_of(k, key) && lp_cursor_u64(&c) == seq)
			return false;
	}
	return true;
}

/* One that keeps nothing; else they give way in turn. */
static struct kept *place(struct lp_ahead *a)
{
	for (unsigned i = 0; i < KEPT; i++)
		if (!a->kept[i].n)
			return &a->kept[i];
	a->last = (a->last + 1) % KEPT;
	return &a->kept[a->last];
}

static uint8_t *room_of(const struct lp_ahead *a, const struct kept *k)
{
	return a->rooms + (size_t)(k - a->kept) * ROOM;
}

/* Bytes that come in pieces. */
struct pieces {
	const lp_span *at, *end;
	lp_span first; /* what is left of the one before `at` */
	size_t n;      /* in all */
};

static struct pieces pieces_of(const lp_span *p, size_t count)
{
	struct pieces all = { .at = p, .end = p + count };

	for (size_t i = 0; i < count; i++)
		all.n += p[i].n;
	return all;
}

/* The next n of them, which are there. */
static void take(struct pieces *p, uint8_t *to, size_t n)
{
	p->n -= n;
	while (n) {
		size_t some = n;

		if (!p->first.n) {
			p->first = *p->at++;
			continue;
		}
		if (some > p->first.n)
			some = p->first.n;
		memcpy(to, p->first.p, some);
		p->first = lp_span_of(p->first.p + some, p->first.n - some);
		to += some;
		n -= some;
	}
}

void lp_ahead_gather(struct lp_ahead *a, const lp_span *pieces, size_t n)
{
	struct pieces all = pieces_of(pieces, n);
	struct kept *k = place(a);
	uint8_t *record = room_of(a, k) + FRONT;
	struct lp_cursor c = lp_cursor_of(record, LP_RECORD_HEADER);
	size_t length;

	a->next.n = 0;
	if (all.n < LP_RECORD_HEADER + a->least)
		return; /* and nothing gives way */
	k->n = 0;
	take(&all, record, LP_RECORD_HEADER);
	a->next.type = lp_cursor_u8(&c);
	a->next.version = lp_cursor_u16(&c);
	length = lp_cursor_u16(&c);
	if (a->next.type != LP_CONTENT_DATA || length < a->least ||
	    length > LP_RECORD_FRAGMENT_MAX || length > all.n)
		return;
	take(&all, record + LP_RECORD_HEADER, length);
	a->next.fragment = record + LP_RECORD_HEADER;
	a->next.n = length;
	a->to = k;
}

struct lp_ahead_record *lp_ahead_next(struct lp_ahead *a)
{
	return a && a->next.n ? &a->next : NULL;
}

void lp_ahead_over(struct lp_ahead *a)
{
	if (a)
		a->next.n = 0;
}

bool lp_ahead_two(struct lp_ahead *a, const struct lp_ahead_mac *now,
		  const struct lp_ahead_mac *next, uint8_t *want)
{
	const size_t at = (size_t)(next->bytes.p - a->next.fragment);
	uint8_t *input = a->next.fragment + at - LP_MAC_HEADER;
	uint8_t *own = a->rooms + (size_t)KEPT * ROOM;
	struct kept *k = a->to;
	const struct lp_mac_job job[2] = {
		{ now->ctx, lp_span_of(own, LP_MAC_HEADER + now->bytes.n), want },
		{ next->ctx, lp_span_of(input, LP_MAC_HEADER + next->bytes.n), k->want },
	};

	if (now->bytes.n > LP_RECORD_FRAGMENT_MAX || next->key.n > KEY_MAX)
		return false;
	memcpy(own, now->header, LP_MAC_HEADER);
	memcpy(own + LP_MAC_HEADER, now->bytes.p, now->bytes.n);
	memcpy(input, next->header, LP_MAC_HEADER);
	if (a->base->mac_two(a->two, now->digest, job))
		return false;
	lp_wipe(k->key, sizeof k->key); /* of another, perhaps longer */
	memcpy(k->key, next->key.p, next->key.n);
	k->key_n = next->key.n;
	k->input = job[1].bytes.p;
	k->n = job[1].bytes.n;
	return true;
}

static bool is_same(const struct kept *k, const struct lp_ahead_mac *mac)
{
	return k->n == LP_MAC_HEADER + mac->bytes.n && is_of(k, mac->key) &&
	       !memcmp(k->input, mac->header, LP_MAC_HEADER) &&
	       !memcmp(k->input + LP_MAC_HEADER, mac->bytes.p, mac->bytes.n);
}

bool lp_ahead_recall(struct lp_ahead *a, const struct lp_ahead_mac *mac, uint8_t *want)
{
	for (struct kept *k = a->kept; k < a->kept + KEPT; k++) {
		if (!is_same(k, mac))
			continue;
		memcpy(want, k->want, lp_digest_size(mac->digest));
		k->n = 0;
		return true;
	}
	return false;
}

void lp_ahead_forget(struct lp_ahead *a, lp_span key)
{
	for (struct kept *k = a->kept; a->rooms && k < a->kept + KEPT; k++) {
		if (k->key_n != key.n || !lp_equal_ct(k->key, key.p, key.n))
			continue;
		lp_wipe(k->key, sizeof k->key);
		k->key_n = k->n = 0;
	}
}
