#include "tls/common.h"

#include <stdlib.h>
#include <string.h>

void lp_common_init(struct lp_common *c, const struct lp_hash_seed *seed, size_t max)
{
	*c = (struct lp_common){ .seed = *seed, .max = max };
}

void *lp_piece_ref(void *piece)
{
	struct lp_piece *p = piece;

	if (p)
		atomic_fetch_add_explicit(&p->refs, 1, memory_order_relaxed);
	return p;
}

void lp_piece_unref(void *piece)
{
	struct lp_piece *p = piece;

	if (p && atomic_fetch_sub_explicit(&p->refs, 1, memory_order_acq_rel) == 1)
		free(p);
}

static struct lp_piece **bucket_of(struct lp_common *c, uint64_t hash)
{
	return &c->buckets[hash % LP_COMMON_BUCKETS];
}

/* ---- by use ---- */

static void unlink_use(struct lp_common *c, struct lp_piece *p)
{
	*(p->newer ? &p->newer->older : &c->newest) = p->older;
	*(p->older ? &p->older->newer : &c->oldest) = p->newer;
}

static void link_use(struct lp_common *c, struct lp_piece *p)
{
	p->newer = NULL;
	p->older = c->newest;
	*(c->newest ? &c->newest->newer : &c->oldest) = p;
	c->newest = p;
}

static void drop(struct lp_common *c, struct lp_piece *p)
{
	struct lp_piece **at = bucket_of(c, p->hash);

	while (*at != p)
		at = &(*at)->next;
	*at = p->next;
	unlink_use(c, p);
	c->bytes -= p->size;
	c->pieces--;
	lp_piece_unref(p);
}

void lp_common_clear(struct lp_common *c)
{
	while (c->oldest)
		drop(c, c->oldest);
	free(c->buckets);
	c->buckets = NULL;
}

/* ---- keys ---- */

void lp_piece_key_add(struct lp_piece_key *key, lp_span field)
{
	if (field.n > 0xffff || field.n + 2 > sizeof key->bytes - key->n) {
		key->full = true;
		return;
	}
	key->bytes[key->n++] = (uint8_t)(field.n >> 8);
	key->bytes[key->n++] = (uint8_t)field.n;
	if (field.n)
		memcpy(key->bytes + key->n, field.p, field.n);
	key->n += field.n;
}

static uint64_t hash_of(const struct lp_common *c, enum lp_piece_kind kind,
			const struct lp_piece_key *key)
{
	return lp_hash(&c->seed, key->bytes, key->n) + kind;
}

void *lp_common_find(struct lp_common *c, enum lp_piece_kind kind, const struct lp_piece_key *key)
{
	struct lp_piece *p;
	uint64_t hash;

	if (!c || !c->buckets || key->full)
		return NULL;
	hash = hash_of(c, kind, key);
	p = *bucket_of(c, hash);
	while (p && (p->hash != hash || p->kind != kind || p->key_n != key->n ||
		     memcmp(p->key, key->bytes, key->n)))
		p = p->next;
	if (!p)
		return NULL;
	c->shared++;
	if (c->newest != p) {
		unlink_use(c, p);
		link_use(c, p);
	}
	return lp_piece_ref(p);
}

/* The table's own reference. False: it has no room for it, or there is no table. */
static bool keep(struct lp_common *c, struct lp_piece *p)
{
	struct lp_piece **at;

	if (p->size > c->max)
		return false;
	if (!c->buckets)
		c->buckets = calloc(LP_COMMON_BUCKETS, sizeof(struct lp_piece *));
	if (!c->buckets)
		return false;
	while (c->bytes + p->size > c->max) {
		drop(c, c->oldest);
		c->evicted++;
	}
	at = bucket_of(c, p->hash);
	p->next = *at;
	*at = p;
	link_use(c, p);
	c->bytes += p->size;
	c->pieces++;
	return true;
}

void *lp_common_make(struct lp_common *c, enum lp_piece_kind kind, const struct lp_piece_key *key,
		     size_t size)
{
	const bool shared = c && !key->full;
	const size_t whole = size + (shared ? key->n : 0);
	struct lp_piece *p = whole < UINT32_MAX ? calloc(1, whole) : NULL;

	if (!p)
		return NULL;
	atomic_init(&p->refs, 1);
	p->size = (uint32_t)whole;
	p->kind = (uint8_t)kind;
	if (!shared)
		return p;
	p->key_n = (uint32_t)key->n;
	p->key = memcpy((uint8_t *)p + size, key->bytes, key->n);
	p->hash = hash_of(c, kind, key);
	return keep(c, p) ? lp_piece_ref(p) : p;
}

struct lp_name *lp_name_of(struct lp_common *c, const char *text)
{
	struct lp_piece_key key;
	size_t n = strlen(text);
	struct lp_name *name;

	lp_piece_key_init(&key);
	lp_piece_key_add(&key, lp_span_of((const uint8_t *)text, n));
	name = lp_common_find(c, LP_PIECE_NAME, &key);
	if (name)
		return name;
	name = lp_common_make(c, LP_PIECE_NAME, &key, sizeof *name + n + 1);
	if (name)
		memcpy(name->text, text, n + 1);
	return name;
}
