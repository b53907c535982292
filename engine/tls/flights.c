#include "tls/flights.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum { SLOTS = 1 << 14 };

struct flight {
	struct flight *chain;         /* in its slot */
	struct flight *newer, *older; /* by last use */
	uint64_t name[2];             /* two keyed hashes: 128 bits */
	struct lp_when first, seen;   /* places at which it was learned, and last seen */
	uint32_t lead;
	size_t n;
	uint8_t bytes[];
};

struct lp_flights {
	pthread_mutex_t lock;
	struct lp_hash_seed seed[2];
	uint64_t max_one, max_bytes;
	struct flight *newest, *oldest;
	struct lp_flights_stats stats;
	struct flight *slot[SLOTS];
};

enum lp_err lp_flights_new(struct lp_flights **out, const struct lp_flights_config *c)
{
	struct lp_flights *s = calloc(1, sizeof *s);

	*out = s;
	if (!s)
		return LP_E_NOMEM;
	pthread_mutex_init(&s->lock, NULL);
	s->seed[0] = c->seed;
	s->seed[1] = (struct lp_hash_seed){ ~c->seed.k1, c->seed.k0 };
	s->max_one = c->max_one ? c->max_one : LP_FLIGHT_MAX;
	s->max_bytes = c->max_bytes ? c->max_bytes : LP_FLIGHTS_BYTES;
	return LP_OK;
}

static struct flight **slot_of(struct lp_flights *s, const uint64_t name[2])
{
	return &s->slot[name[0] % SLOTS];
}

static void unlink_use(struct lp_flights *s, struct flight *f)
{
	*(f->newer ? &f->newer->older : &s->newest) = f->older;
	*(f->older ? &f->older->newer : &s->oldest) = f->newer;
}

static void link_use(struct lp_flights *s, struct flight *f)
{
	f->newer = NULL;
	f->older = s->newest;
	*(f->older ? &f->older->newer : &s->oldest) = f;
	s->newest = f;
}

static uint64_t weight(size_t n)
{
	return sizeof(struct flight) + n;
}

static void drop(struct lp_flights *s, struct flight *f)
{
	struct flight **at = slot_of(s, f->name);

	while (*at != f)
		at = &(*at)->chain;
	*at = f->chain;
	unlink_use(s, f);
	s->stats.entries--;
	s->stats.bytes -= weight(f->n);
	free(f);
}

void lp_flights_free(struct lp_flights *s)
{
	if (!s)
		return;
	while (s->oldest)
		drop(s, s->oldest);
	pthread_mutex_destroy(&s->lock);
	free(s);
}

static void name_of(const struct lp_flights *s, lp_span name, uint64_t out[2])
{
	out[0] = lp_hash(&s->seed[0], name.p, name.n);
	out[1] = lp_hash(&s->seed[1], name.p, name.n);
}

static bool named(const struct flight *f, const uint64_t name[2])
{
	return f->name[0] == name[0] && f->name[1] == name[1];
}

static bool before(const struct lp_when *a, const struct lp_when *b)
{
	return lp_when_compare(a, b) < 0;
}

/* The flight itself, if it is there; else how many its name has, and the one that was
 * not seen for longest. */
static struct flight *look_over(struct lp_flights *s, const uint64_t name[2], lp_span bytes,
				uint32_t lead, unsigned *n, struct flight **stale)
{
	*n = 0;
	*stale = NULL;
	for (struct flight *f = *slot_of(s, name); f; f = f->chain) {
		if (!named(f, name))
			continue;
		if (f->n == bytes.n && f->lead == lead && !memcmp(f->bytes, bytes.p, f->n))
			return f;
		++*n;
		if (!*stale || before(&f->seen, &(*stale)->seen))
			*stale = f;
	}
	return NULL;
}

static enum lp_err insert(struct lp_flights *s, const uint64_t name[2], lp_span bytes,
			  uint32_t lead, const struct lp_when *when)
{
	struct flight *f = malloc(sizeof *f + bytes.n);
	struct flight **slot = slot_of(s, name);

	if (!f)
		return LP_E_NOMEM;
	*f = (struct flight){
		.chain = *slot,
		.name = { name[0], name[1] },
		.first = *when,
		.seen = *when,
		.lead = lead,
		.n = bytes.n,
	};
	memcpy(f->bytes, bytes.p, bytes.n);
	*slot = f;
	link_use(s, f);
	s->stats.entries++;
	s->stats.bytes += weight(f->n);
	s->stats.stored++;
	while (s->stats.bytes > s->max_bytes) {
		drop(s, s->oldest);
		s->stats.evicted++;
	}
	return LP_OK;
}

enum lp_err lp_flights_put(struct lp_flights *s, lp_span name, lp_span bytes, uint32_t lead,
			   const struct lp_when *when)
{
	struct flight *f, *stale;
	enum lp_err err = LP_OK;
	uint64_t hash[2];
	unsigned n;

	if (!bytes.n)
		return LP_OK;
	name_of(s, name, hash);
	pthread_mutex_lock(&s->lock);
	f = look_over(s, hash, bytes, lead, &n, &stale);
	if (bytes.n > s->max_one) {
		s->stats.too_long++;
	} else if (!f) {
		if (n >= LP_FLIGHTS_SAME) {
			drop(s, stale);
			s->stats.replaced++;
		}
		err = insert(s, hash, bytes, lead, when);
	} else {
		unlink_use(s, f);
		link_use(s, f);
		if (!before(&f->first, when))
			f->first = *when;
		if (before(&f->seen, when))
			f->seen = *when;
	}
	pthread_mutex_unlock(&s->lock);
	return err;
}

/* The newest of a name that may be seen at when and is older than `than` (NULL: any). */
static struct flight *next_newest(struct lp_flights *s, const uint64_t name[2],
				  const struct lp_when *when, const struct flight *than)
{
	struct flight *best = NULL;

	for (struct flight *f = *slot_of(s, name); f; f = f->chain)
		if (named(f, name) && before(&f->first, when) &&
		    (!than || before(&f->first, &than->first)) &&
		    (!best || before(&best->first, &f->first)))
			best = f;
	return best;
}

enum lp_err lp_flights_find(struct lp_flights *s, lp_span name, const struct lp_when *when,
			    unsigned nth, struct lp_buf *out, uint32_t *lead, bool *found)
{
	struct flight *f = NULL;
	enum lp_err err = LP_OK;
	uint64_t hash[2];

	name_of(s, name, hash);
	pthread_mutex_lock(&s->lock);
	while ((f = next_newest(s, hash, when, f)) && nth)
		nth--;
	*found = f != NULL;
	if (f) {
		*lead = f->lead;
		err = lp_buf_append(out, f->bytes, f->n);
		unlink_use(s, f);
		link_use(s, f);
		s->stats.hits++;
	}
	pthread_mutex_unlock(&s->lock);
	return err;
}

void lp_flights_stats(struct lp_flights *s, struct lp_flights_stats *out)
{
	pthread_mutex_lock(&s->lock);
	*out = s->stats;
	pthread_mutex_unlock(&s->lock);
}
