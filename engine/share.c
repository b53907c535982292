#include "share.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/cpu.h"
#include "base/large.h"
#include "base/log.h"
#include "base/ring.h"
#include "net/flow.h"

enum {
	BYTES = 128 * 1024,  /* of a batch that holds copies, unless one segment alone has more */
	RECENT = 1 << 25,    /* bytes after which what was counts half */
	COPIED = 32,         /* batches of a worker that hold copies, at most */
	NEWS = 8,            /* rounds after which those who sleep learn how far the reader is */
	HUNGRY = 4,          /* live: less than this part of a ring is waiting */
	STARVING = 4,        /* batches in the ring of a worker that will soon have nothing to do … */
	FED = 32,            /* … and of one that has enough for a while */
	FURTHER = 8,         /* … and times the bound that it is read ahead for its sake */
	LEAD = 16,           /* batches that a worker is to have less than another to get the reader */
	AHEAD = 4,           /* segments: whose place in the ring is asked for before they come */
	NOBODY = UINT8_MAX,
};

struct lane {
	struct lp_ring ring;      /* of struct lp_batch *, to the worker */
	struct lp_ring back;      /* … and those that it is done with */
	struct lp_batch *batch;   /* as many as the ring has slots */
	struct lp_batch **spare;  /* the reader's: the last that came back is the next to be filled, */
	size_t spares;            /* … so few of them are ever touched unless many wait */
	struct lp_batch *open;    /* the one that is being filled, or NULL */
	struct lp_bell *bell;     /* of the worker, or NULL */
	uint64_t bytes, buckets;  /* that it was given of late; buckets times 2^16 */
	_Alignas(LP_CACHE_LINE) atomic_size_t copied; /* batches in its ring that hold copies */
	atomic_int cpu;           /* its worker's, when it last gave a batch back */
};

struct lp_share {
	struct lp_flow_table key; /* its seed only */
	struct lp_flow_name name; /* of the last segment: often the next one's too */
	bool eager;
	unsigned rounds;          /* since all were told how far the reader is */
	size_t waiting;           /* segments in open batches, about */
	uint64_t bytes;           /* of all lanes, of late */
	struct lp_bell room;      /* what the reader sleeps on */
	enum lp_err fault;
	bool live;
	size_t bound;             /* of bytes in all rings, SIZE_MAX: none; a live one has none */
	atomic_bool feeds;        /* a worker starved, and is not fed yet */
	atomic_size_t inside;     /* … and what there is, open batches apart */
	uint64_t shed;
	uint64_t number;          /* of the last segment or second */
	atomic_uint_fast64_t reached;
	atomic_bool ended;
	uint64_t last_number, last_ns; /* once it has ended */
	size_t n;
	struct lane *lane;
	uint8_t bucket[LP_SHARE_BUCKETS]; /* whose it is */
};

static enum lp_err make_lane(struct lane *l, size_t slots)
{
	enum lp_err err;

	*l = (struct lane){ .cpu = -1 };
	err = lp_ring_init(&l->ring, slots, sizeof(struct lp_batch *));
	if (!err)
		err = lp_ring_init(&l->back, slots, sizeof(struct lp_batch *));
	if (err)
		return err;
	l->batch = lp_table_new(slots * sizeof *l->batch);
	l->spare = calloc(slots, sizeof *l->spare);
	if (!l->batch || !l->spare)
		return LP_E_NOMEM;
	while (l->spares < slots) {
		l->spare[l->spares] = &l->batch[slots - 1 - l->spares];
		l->spares++;
	}
	return LP_OK;
}

static void clear_lane(struct lane *l)
{
	/* Batches keep their memory for what comes next. */
	for (size_t i = 0; l->batch && i < l->ring.slots; i++)
		free(l->batch[i].bytes);
	lp_table_free(l->batch, l->ring.slots * sizeof *l->batch);
	free(l->spare);
	lp_ring_clear(&l->ring);
	lp_ring_clear(&l->back);
}

enum lp_err lp_share_new(struct lp_share **out, size_t workers, size_t slots,
			 const struct lp_hash_seed *seed)
{
	struct lp_share *sh = calloc(1, sizeof *sh);
	enum lp_err err;

	*out = NULL;
	if (!sh)
		return LP_E_NOMEM;
	assert(workers < NOBODY);
	sh->key.seed = *seed;
	sh->bound = SIZE_MAX;
	memset(sh->bucket, NOBODY, sizeof sh->bucket);
	err = lp_bell_init(&sh->room);
	if (!err)
		sh->lane = aligned_alloc(LP_CACHE_LINE, workers * sizeof *sh->lane);
	if (!err && !sh->lane)
		err = LP_E_NOMEM;
	while (!err && sh->n < workers)
		err = make_lane(&sh->lane[sh->n++], slots);
	if (err)
		lp_share_free(sh);
	else
		*out = sh;
	return err;
}

void lp_share_free(struct lp_share *sh)
{
	if (!sh)
		return;
	for (size_t i = 0; i < sh->n; i++)
		clear_lane(&sh->lane[i]);
	lp_bell_clear(&sh->room);
	free(sh->lane);
	free(sh);
}

void lp_share_bound(struct lp_share *sh, size_t bytes)
{
	sh->bound = bytes;
}

void lp_share_live(struct lp_share *sh)
{
	sh->live = true;
}

uint64_t lp_share_shed(const struct lp_share *sh)
{
	return sh->shed;
}

void lp_share_eager(struct lp_share *sh)
{
	sh->eager = true;
}

/* Its bytes, and what it has of all buckets, which counts for more: how much a flow has sent so
 * far says little about how much it will, and in its first moments nothing. */
static double load(const struct lane *l, uint64_t buckets)
{
	return (double)l->bytes / RECENT +
	       3 * (double)l->buckets / ((double)buckets + 1);
}

/* Flows that begin at the same time have shown no bytes yet, so they are counted, too. */
static size_t least(const struct lp_share *sh)
{
	uint64_t buckets = 0;
	size_t best = 0;

	for (size_t i = 0; i < sh->n; i++)
		buckets += sh->lane[i].buckets;
	for (size_t i = 1; i < sh->n; i++)
		if (load(&sh->lane[i], buckets) < load(&sh->lane[best], buckets))
			best = i;
	return best;
}

static void fade(struct lp_share *sh)
{
	sh->bytes = 0;
	for (size_t i = 0; i < sh->n; i++) {
		sh->lane[i].buckets /= 2;
		sh->bytes += sh->lane[i].bytes /= 2;
	}
}

size_t lp_share_pick(struct lp_share *sh, const struct lp_segment *s, uint32_t *tag)
{
	bool swap = sh->name.swap;
	uint8_t *bucket;

	if (!lp_flow_is_of(&sh->name, s, &swap))
		lp_flow_name(&sh->key, s, &sh->name);
	*tag = sh->name.tag;
	/* Slots of the flow tables are chosen by the other bits. */
	bucket = &sh->bucket[*tag >> 16];
	if (*bucket == NOBODY) {
		*bucket = (uint8_t)least(sh);
		sh->lane[*bucket].buckets += 1 << 16;
	}
	sh->lane[*bucket].bytes += s->tcp_len;
	sh->bytes += s->tcp_len;
	if (sh->bytes > RECENT)
		fade(sh);
	return *bucket;
}

/* ---- the reader ---- */

static void push(struct lp_share *sh, struct lane *l)
{
	if (!l->open)
		return;
	atomic_fetch_add(&sh->inside, l->open->sum);
	*(struct lp_batch **)lp_ring_room(&l->ring) = l->open;
	l->open = NULL;
	lp_ring_push(&l->ring);
	if (l->bell)
		lp_bell_ring(l->bell);
}

/* Everybody gets what is meant for them, and may learn that no more comes up to here. */
static void push_some(struct lp_share *sh)
{
	for (size_t i = 0; i < sh->n; i++)
		push(sh, &sh->lane[i]);
	sh->waiting = 0;
	atomic_store_explicit(&sh->reached, sh->number, memory_order_release);
}

/* … and who sleeps wakes to learn it. */
static void push_all(struct lp_share *sh)
{
	push_some(sh);
	sh->rounds = 0;
	for (size_t i = 0; i < sh->n; i++)
		if (sh->lane[i].bell)
			lp_bell_ring(sh->lane[i].bell);
}

/* Live a device gives few packets at once. A worker that has enough to go on with gets what
 * comes in full batches, for a ring has room for so many batches, not packets. */
static void push_hungry(struct lp_share *sh)
{
	bool all = true;

	for (size_t i = 0; i < sh->n; i++) {
		struct lane *l = &sh->lane[i];

		if (lp_ring_count(&l->ring) < l->ring.slots / HUNGRY)
			push(sh, l);
		all = all && !l->open;
	}
	if (all)
		push_all(sh);
}

/* A worker has next to nothing to do, and of late it had some of the bytes, a sixteenth of its
 * share at least: what it gets next stands further behind in the capture. It is read until it is
 * fed, for with each batch alone the reader would be woken for each. */
static bool one_starves(struct lp_share *sh)
{
	const bool fed = atomic_load_explicit(&sh->feeds, memory_order_relaxed);
	bool starves = false;

	for (size_t i = 0; i < sh->n && !starves; i++)
		starves = lp_ring_count(&sh->lane[i].ring) < (fed ? FED : STARVING) &&
			  sh->lane[i].bytes > sh->bytes / (16 * sh->n);
	if (starves != fed)
		atomic_store(&sh->feeds, starves);
	return starves;
}

/* For which there is room in the ring: then there is one, for it comes back before its slot does. */
static struct lp_batch *spare_of(struct lane *l)
{
	struct lp_batch **back;

	while ((back = lp_ring_front(&l->back)) != NULL) {
		l->spare[l->spares++] = *back;
		lp_ring_pop(&l->back);
	}
	assert(l->spares);
	return l->spare[--l->spares];
}

/* One to be filled next; NULL: too much is waiting for it, or for all. */
static struct lp_batch *room_of(struct lp_share *sh, struct lane *l)
{
	size_t inside = atomic_load(&sh->inside);

	return (inside < sh->bound || (inside / FURTHER < sh->bound && one_starves(sh))) &&
			       lp_ring_room(&l->ring)
		       ? spare_of(l) : NULL;
}

int lp_share_place(const struct lp_share *sh, int here)
{
	size_t least = SIZE_MAX, beside = 0;
	int cpu = here;

	for (size_t i = 0; i < sh->n; i++) {
		const struct lane *l = &sh->lane[i];
		const size_t waiting = lp_ring_count(&l->ring);
		const int its = atomic_load_explicit(&l->cpu, memory_order_relaxed);

		if (its == here && waiting > beside)
			beside = waiting;
		if (waiting < least) {
			least = waiting;
			cpu = its;
		}
	}
	return beside >= LEAD && beside - LEAD >= least ? cpu : here;
}

/* With as many workers as processors the reader shares one with a worker, the same for long, for
 * a kernel leaves a thread where it was; and that worker falls behind, until the other has nothing
 * to do, while the two share a processor. So the reader goes to who has the least to do. */
static void settle_down(const struct lp_share *sh)
{
	const int here = lp_cpu_here(), cpu = lp_share_place(sh, here);

	if (cpu != here)
		lp_cpu_go(cpu, sh->n);
}

/* A batch to fill; live NULL if there is no room. */
static struct lp_batch *open_batch(struct lp_share *sh, struct lane *l, uint64_t ns)
{
	struct lp_batch *b = l->open;

	if (!b && !(b = room_of(sh, l)))
		push_all(sh);
	if (!b && sh->live)
		return NULL;
	while (!b) {
		lp_bell_arm(&sh->room);
		b = room_of(sh, l);
		if (b) {
			lp_bell_disarm(&sh->room);
		} else {
			lp_bell_sleep(&sh->room, -1, -1);
			settle_down(sh);
		}
	}
	if (!l->open) {
		b->n = 0;
		b->used = 0;
		b->sum = 0;
		b->second = false;
	}
	l->open = b;
	b->now_ns = ns;
	return b;
}

/* As it is, or another one if too many in the ring hold copies already. */
static struct lp_batch *open_for_copies(struct lp_share *sh, struct lane *l, struct lp_batch *b,
					uint64_t ns)
{
	if (sh->live || atomic_load(&l->copied) < COPIED)
		return b;
	push_all(sh);
	while (atomic_load(&l->copied) >= COPIED) {
		lp_bell_arm(&sh->room);
		if (atomic_load(&l->copied) < COPIED)
			lp_bell_disarm(&sh->room);
		else
			lp_bell_sleep(&sh->room, -1, -1);
	}
	return open_batch(sh, l, ns);
}

static const uint8_t *copy(struct lp_batch *b, const uint8_t *p, size_t n)
{
	uint8_t *to = b->bytes + b->used;

	if (n)
		memcpy(to, p, n);
	b->used += n;
	return to;
}

static size_t address_size(const struct lp_segment *s)
{
	return s->family == 4 ? 4 : 16;
}

/* Room was made. */
static void add(struct lp_batch *b, const struct lp_segment *s, uint32_t tag)
{
	struct lp_segment *to = &b->segment[b->n++];
	const uintptr_t ahead = (uintptr_t)to + AHEAD * sizeof *to;

	/* A worker had it last, or nobody for so long that it is in no cache. */
	__builtin_prefetch((const void *)ahead, 1);
	__builtin_prefetch((const void *)(ahead + LP_CACHE_LINE), 1);
	*to = *s;
	to->tag = tag;
	b->sum += s->tcp_len;
	if (s->lent)
		return;
	to->src = copy(b, s->src, address_size(s));
	to->dst = copy(b, s->dst, address_size(s));
	to->tcp = copy(b, s->tcp, s->tcp_len);
	to->options = to->tcp + (s->options_len ? s->options - s->tcp : 0);
	to->payload = to->tcp + (s->payload_len ? s->payload - s->tcp : 0);
	assert(to->options + to->options_len <= b->bytes + b->used);
	assert(to->payload + to->payload_len <= b->bytes + b->used);
}

static void give(struct lp_share *sh, const struct lp_segment *s, uint64_t ns)
{
	uint32_t tag;
	struct lane *l = &sh->lane[lp_share_pick(sh, s, &tag)];
	size_t need = s->lent ? 0 : 2 * address_size(s) + s->tcp_len;
	struct lp_batch *b = open_batch(sh, l, ns);
	size_t size = need > BYTES ? need : BYTES;

	if (b && b->n && b->size - b->used < need) {
		push(sh, l);
		b = open_batch(sh, l, ns);
	}
	if (!b) {
		if (!sh->shed++)
			lp_log("packets come faster than the workers take them; what is left out is "
			       "counted (drop.shed)");
		return;
	}
	if (need && !b->used) {
		b = open_for_copies(sh, l, b, ns);
		atomic_fetch_add(&l->copied, 1);
	}
	if (b->size < need) { /* it is empty */
		free(b->bytes);
		b->bytes = malloc(size);
		b->size = b->bytes ? size : 0;
	}
	if (need && !b->bytes) {
		atomic_fetch_sub(&l->copied, 1);
		sh->fault = LP_E_NOMEM;
		return;
	}
	add(b, s, tag);
	if (b->n == LP_SHARE_BATCH)
		push(sh, l);
}

static void on_segments(void *user, const struct lp_segment *s, size_t n, uint64_t ns)
{
	struct lp_share *sh = user;

	for (size_t i = 0; i < n; i++) {
		give(sh, &s[i], ns);
		sh->number = s[i].number;
	}
	if (sh->live && n) {
		push_hungry(sh);
		return;
	}
	sh->waiting += n;
	if (sh->eager || !n)
		push_all(sh);
	else if (sh->waiting < sh->n * LP_SHARE_BATCH)
		return;
	else if (++sh->rounds < NEWS)
		push_some(sh);
	else
		push_all(sh);
	if (!sh->live)
		settle_down(sh);
}

static void on_second(void *user, uint64_t number, uint64_t ns)
{
	struct lp_share *sh = user;

	for (size_t i = 0; i < sh->n; i++) {
		struct lane *l = &sh->lane[i];
		struct lp_batch *b;

		push(sh, l);
		b = open_batch(sh, l, ns);
		if (!b)
			continue; /* whoever is so late gets the next one */
		b->second = true;
		b->number = number;
		push(sh, l);
	}
	/* What the packet itself brings is still to come. */
	sh->number = number ? number - 1 : 0;
	push_all(sh);
}

const struct lp_reader_sink lp_share_sink = { on_segments, on_second };

enum lp_err lp_share_fault(const struct lp_share *sh)
{
	return sh->fault;
}

void lp_share_settle(struct lp_share *sh)
{
	push_all(sh);
	for (size_t i = 0; i < sh->n; i++)
		while (lp_ring_count(&sh->lane[i].ring)) {
			lp_bell_arm(&sh->room);
			if (lp_ring_count(&sh->lane[i].ring))
				lp_bell_sleep(&sh->room, -1, -1);
			else
				lp_bell_disarm(&sh->room);
		}
}

void lp_share_end(struct lp_share *sh, uint64_t number, uint64_t ns)
{
	sh->last_number = number;
	sh->last_ns = ns;
	push_all(sh);
	atomic_store(&sh->ended, true);
	for (size_t i = 0; i < sh->n; i++)
		if (sh->lane[i].bell)
			lp_bell_ring(sh->lane[i].bell);
}

/* ---- workers ---- */

void lp_share_bell(struct lp_share *sh, size_t i, struct lp_bell *bell)
{
	sh->lane[i].bell = bell;
}

uint64_t lp_share_reached(const struct lp_share *sh)
{
	return atomic_load_explicit(&sh->reached, memory_order_acquire);
}

bool lp_share_ended(const struct lp_share *sh)
{
	return atomic_load(&sh->ended);
}

void lp_share_last(const struct lp_share *sh, uint64_t *number, uint64_t *ns)
{
	*number = sh->last_number;
	*ns = sh->last_ns;
}

struct lp_batch *lp_share_front(struct lp_share *sh, size_t i)
{
	struct lp_batch **front = lp_ring_front(&sh->lane[i].ring);

	return front ? *front : NULL;
}

const struct lp_batch *lp_share_second(struct lp_share *sh, size_t i)
{
	struct lp_batch *const *second = lp_ring_second(&sh->lane[i].ring);

	return second ? *second : NULL;
}

/* Not for each slot, nor for each byte: a reader that is woken has something to do then. One that
 * sleeps although a worker starves is as far ahead as it may be, and has to go on soon. */
static bool has_room(const struct lp_share *sh, const struct lp_ring *ring)
{
	size_t inside = atomic_load(&sh->inside), waiting = lp_ring_count(ring);

	if (atomic_load(&sh->feeds))
		return waiting <= ring->slots - ring->slots / 8 &&
		       inside / FURTHER <= sh->bound - sh->bound / 16;
	return waiting <= ring->slots / 2 &&
	       (inside <= sh->bound - sh->bound / 4 ||
		(waiting < STARVING && inside / FURTHER < sh->bound));
}

void lp_share_pop(struct lp_share *sh, size_t i)
{
	struct lp_ring *ring = &sh->lane[i].ring, *back = &sh->lane[i].back;
	struct lp_batch *b = lp_share_front(sh, i);

	atomic_store_explicit(&sh->lane[i].cpu, lp_cpu_here(), memory_order_relaxed);
	atomic_fetch_sub(&sh->inside, b->sum);
	if (b->used) {
		/* A long ring's slots would keep more than their share. */
		if (ring->slots > COPIED) {
			free(b->bytes);
			b->bytes = NULL;
			b->size = 0;
		}
		b->used = 0;
		atomic_fetch_sub(&sh->lane[i].copied, 1);
	}
	*(struct lp_batch **)lp_ring_room(back) = b;
	lp_ring_push(back);
	lp_ring_pop(ring);
	if (has_room(sh, ring))
		lp_bell_ring(&sh->room);
}
