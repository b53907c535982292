#include "net/defrag.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum {
	BUCKET_BYTES = 1024,    /* of the cap, for each bucket */
	MAX_PAYLOAD = 65535,
	MALLOC = 16,            /* what the allocator keeps beside each block */
	PROTO_TCP = 6,
	TCP_HEADER = 20,
	MAX_DATA = 1 << 24,     /* of one datagram, with what was overwritten in it */
	COPY_NS = 1000000000,
};

/* Bytes off to end of the datagram; they stand in data from at on. */
struct piece {
	uint32_t off, end, at;
	bool joined; /* came directly behind the piece before it (see overlap_linux) */
};

struct key {
	uint8_t src[16], dst[16];
	uint32_t id, domain;
	uint8_t family;
	uint8_t proto; /* 0 with IPv6: RFC 8200 section 4.5 */
	uint8_t zero[6];
};

struct lp_defrag_host {
	struct lp_defrag_host *next;
	struct lp_datagrams datagrams; /* oldest first */
	uint64_t bytes, n;
	uint8_t address[16];
	uint32_t domain;
	uint32_t family;
};

struct lp_datagram {
	struct lp_datagram *next; /* in its bucket */
	TAILQ_ENTRY(lp_datagram) age, host_age;
	struct lp_defrag_host *host;
	struct key key;
	uint64_t first_ns, bytes;
	struct piece *piece;    /* sorted, disjoint */
	uint8_t *data;          /* as it came */
	uint32_t piece_n, piece_size, data_n, data_size;
	uint32_t have;          /* bytes of all pieces */
	uint32_t end;           /* of what was seen; of the datagram once last */
	uint32_t packets;
	bool last;
	uint8_t proto;          /* of the first fragment */
};

struct lp_whole {
	struct lp_whole *next;
	uint8_t bytes[];
};

void lp_defrag_config_default(struct lp_defrag_config *config)
{
	*config = (struct lp_defrag_config){
		.max = 16 << 20,
		.max_host = 1 << 20,
		.timeout_ns = 30000000000,
		.overlap = LP_OVERLAP_LINUX,
	};
}

void lp_defrag_init(struct lp_defrag *t, const struct lp_defrag_config *config,
		    const struct lp_hash_seed *seed, uint64_t drop[LP_DROPS])
{
	*t = (struct lp_defrag){ .config = *config, .seed = *seed, .drop = drop };
	TAILQ_INIT(&t->all);
	for (t->buckets = 16; t->buckets < config->max / BUCKET_BYTES && t->buckets < 1 << 20;)
		t->buckets *= 2;
}

/* ---- tables ---- */

static struct lp_defrag_host **host_slot(struct lp_defrag *t, const struct key *k)
{
	struct lp_defrag_host **at;
	uint8_t id[24] = { 0 };

	memcpy(id, k->src, 16);
	memcpy(id + 16, &k->domain, 4);
	id[20] = k->family;
	at = &t->host[lp_hash(&t->seed, id, sizeof id) & (t->buckets - 1)];
	while (*at && (memcmp((*at)->address, k->src, 16) != 0 || (*at)->domain != k->domain ||
		       (*at)->family != k->family))
		at = &(*at)->next;
	return at;
}

static struct lp_datagram **datagram_slot(struct lp_defrag *t, const struct key *k)
{
	struct lp_datagram **at = &t->datagram[lp_hash(&t->seed, k, sizeof *k) & (t->buckets - 1)];

	while (*at && memcmp(&(*at)->key, k, sizeof *k) != 0)
		at = &(*at)->next;
	return at;
}

static void charge(struct lp_defrag *t, struct lp_datagram *g, uint64_t n)
{
	g->bytes += n;
	g->host->bytes += n;
	t->bytes += n;
}

static void datagram_free(struct lp_defrag *t, struct lp_datagram *g)
{
	struct lp_defrag_host *host = g->host;

	TAILQ_REMOVE(&t->all, g, age);
	TAILQ_REMOVE(&host->datagrams, g, host_age);
	*datagram_slot(t, &g->key) = g->next;
	host->bytes -= g->bytes;
	t->bytes -= g->bytes;
	if (!--host->n) {
		*host_slot(t, &g->key) = host->next;
		free(host);
	}
	free(g->piece);
	free(g->data);
	free(g);
}

/* The fragments of g go from the held ones to why. */
static enum lp_drop give_up(struct lp_defrag *t, struct lp_datagram *g, enum lp_drop why)
{
	t->drop[LP_DROP_HELD] -= g->packets;
	t->drop[why] += g->packets;
	datagram_free(t, g);
	return why;
}

static bool make_tables(struct lp_defrag *t)
{
	if (!t->datagram)
		t->datagram = calloc(t->buckets, sizeof *t->datagram);
	if (!t->host)
		t->host = calloc(t->buckets, sizeof *t->host);
	return t->datagram && t->host;
}

static struct lp_defrag_host *host_new(struct lp_defrag *t, const struct key *k)
{
	struct lp_defrag_host **at = host_slot(t, k);

	if (*at)
		return *at;
	*at = calloc(1, sizeof **at);
	if (!*at)
		return NULL;
	memcpy((*at)->address, k->src, 16);
	(*at)->domain = k->domain;
	(*at)->family = k->family;
	TAILQ_INIT(&(*at)->datagrams);
	return *at;
}

static struct lp_datagram *datagram_new(struct lp_defrag *t, const struct key *k)
{
	struct lp_datagram *g = calloc(1, sizeof *g), **at;

	if (!g)
		return NULL;
	g->host = host_new(t, k);
	if (!g->host) {
		free(g);
		return NULL;
	}
	g->key = *k;
	g->first_ns = t->now_ns;
	g->host->n++;
	TAILQ_INSERT_TAIL(&t->all, g, age);
	TAILQ_INSERT_TAIL(&g->host->datagrams, g, host_age);
	at = datagram_slot(t, k);
	*at = g;
	charge(t, g, sizeof *g + sizeof *g->host + 2 * MALLOC);
	return g;
}

/* Room for n bytes more beside g: the oldest others go. */
static bool make_room(struct lp_defrag *t, struct lp_datagram *g, uint64_t n)
{
	struct lp_datagram *old;

	while (g->host->bytes + n > t->config.max_host) {
		old = TAILQ_FIRST(&g->host->datagrams);
		if (old == g)
			old = TAILQ_NEXT(g, host_age);
		if (!old)
			return false;
		(void)give_up(t, old, LP_DROP_FRAGMENT_LIMIT);
	}
	while (t->bytes + n > t->config.max) {
		old = TAILQ_FIRST(&t->all);
		if (old == g)
			old = TAILQ_NEXT(g, age);
		if (!old)
			return false;
		(void)give_up(t, old, LP_DROP_FRAGMENT_LIMIT);
	}
	return true;
}

/* ---- pieces ---- */

static uint32_t grown(uint32_t size, uint32_t need, uint32_t least)
{
	if (need <= size)
		return size;
	if (!size)
		return need < least ? least : need;
	return need < 2 * size ? 2 * size : need;
}

/* Room in g itself, for one piece of n bytes. */
static bool grow(struct lp_defrag *t, struct lp_datagram *g, uint32_t n)
{
	uint32_t pieces = grown(g->piece_size, g->piece_n + 1, 4);
	uint32_t size = grown(g->data_size, g->data_n + n, 32);
	uint64_t more = (pieces - g->piece_size) * sizeof *g->piece + (size - g->data_size);
	void *p;

	if (!g->data)
		more += 2 * MALLOC;
	if (g->data_n > MAX_DATA || !make_room(t, g, more))
		return false;
	charge(t, g, more);
	if (pieces > g->piece_size) {
		p = realloc(g->piece, pieces * sizeof *g->piece);
		if (!p)
			return false;
		g->piece = p;
		g->piece_size = pieces;
	}
	if (size > g->data_size) {
		p = realloc(g->data, size);
		if (!p)
			return false;
		g->data = p;
		g->data_size = size;
	}
	return true;
}

static bool insert(struct lp_defrag *t, struct lp_datagram *g, uint32_t i, struct piece p,
		   lp_span data)
{
	if (!grow(t, g, (uint32_t)data.n))
		return false;
	memmove(g->piece + i + 1, g->piece + i, (g->piece_n - i) * sizeof *g->piece);
	p.at = g->data_n;
	memcpy(g->data + p.at, data.p, data.n);
	g->data_n += (uint32_t)data.n;
	g->piece[i] = p;
	g->piece_n++;
	g->have += (uint32_t)data.n;
	return true;
}

/* The first piece that starts behind off. */
static uint32_t behind(const struct lp_datagram *g, uint32_t off)
{
	uint32_t low = 0, high = g->piece_n;

	while (low < high) {
		uint32_t mid = low + (high - low) / 2;

		if (g->piece[mid].off > off)
			high = mid;
		else
			low = mid + 1;
	}
	return low;
}

/* What Linux makes of bytes off to end: inet_frag_queue_insert() keeps runs of fragments that
 * came one behind the other; what lies within one is a duplicate, whatever its bytes are.
 * LP_DROP_NONE: nothing overlaps, it is to stand at *i. */
static enum lp_drop overlap_linux(const struct lp_datagram *g, struct piece *p, uint32_t *i)
{
	const struct piece *last = g->piece_n ? &g->piece[g->piece_n - 1] : NULL;
	uint32_t first, end;

	*i = g->piece_n;
	if (!last)
		return LP_DROP_NONE;
	if (last->end < p->end) {
		p->joined = p->off == last->end;
		return p->off < last->end ? LP_DROP_FRAGMENT_OVERLAP : LP_DROP_NONE;
	}
	*i = behind(g, p->off);
	first = *i;
	if (first && g->piece[first - 1].end > p->off)
		first--;
	else if (first == g->piece_n || g->piece[first].off >= p->end)
		return LP_DROP_NONE;
	/* It overlaps piece first. */
	end = g->piece[first].end;
	for (uint32_t k = first + 1; k < g->piece_n && g->piece[k].joined && end < p->end; k++)
		end = g->piece[k].end;
	return p->off >= g->piece[first].off && p->end <= end ? LP_DROP_FRAGMENT_DUP
							      : LP_DROP_FRAGMENT_OVERLAP;
}

/* BSD: the piece before it trims its front, then it trims those behind it. */
static enum lp_drop overlap_bsd(struct lp_datagram *g, struct piece *p, lp_span *data, uint32_t *i)
{
	uint32_t gone = 0;

	*i = behind(g, p->off);
	if (*i && g->piece[*i - 1].end > p->off) {
		uint32_t n = g->piece[*i - 1].end - p->off;

		if (n >= data->n)
			return LP_DROP_FRAGMENT_DUP;
		p->off += n;
		*data = lp_span_of(data->p + n, data->n - n);
	}
	while (*i + gone < g->piece_n && g->piece[*i + gone].end <= p->end) {
		g->have -= g->piece[*i + gone].end - g->piece[*i + gone].off;
		gone++;
	}
	if (gone)
		memmove(g->piece + *i, g->piece + *i + gone,
			(g->piece_n - *i - gone) * sizeof *g->piece);
	g->piece_n -= gone;
	if (*i < g->piece_n && g->piece[*i].off < p->end) {
		uint32_t n = p->end - g->piece[*i].off;

		g->piece[*i].off += n;
		g->piece[*i].at += n;
		g->have -= n;
	}
	return LP_DROP_NONE;
}

/* ---- */

/* Where it ends must agree with what is known of the end, or the datagram is not to be
 * believed. */
static bool take_end(struct lp_datagram *g, uint32_t end, bool more)
{
	if (!more) {
		if (end < g->end || (g->last && end != g->end))
			return false;
		g->last = true;
	} else if (end > g->end && g->last) {
		return false;
	}
	if (end > g->end)
		g->end = end;
	return true;
}

/* Impossible for a receiver; *n: the bytes of it that count. */
static bool is_bad(const struct lp_fragment *f, enum lp_overlap overlap, size_t *n)
{
	*n = f->data.n;
	if (f->more && *n % 8) {
		if (f->family == 6)
			return true;
		*n -= *n % 8; /* as Linux does */
	}
	if (f->offset + *n > (f->family == 4 ? MAX_PAYLOAD - 20 : MAX_PAYLOAD))
		return true;
	/* RFC 8200 section 4.5: the first has all headers. Linux checks since 5.10. */
	return f->family == 6 && overlap == LP_OVERLAP_LINUX && f->more && !f->offset &&
	       f->proto == PROTO_TCP && *n < TCP_HEADER;
}

static struct key key_of(const struct lp_fragment *f)
{
	struct key k = {
		.id = f->id,
		.domain = f->domain,
		.family = f->family,
		.proto = f->family == 4 ? f->proto : 0,
	};
	size_t n = f->family == 4 ? 4 : 16;

	memcpy(k.src, f->src, n);
	memcpy(k.dst, f->dst, n);
	return k;
}

static uint64_t print_of(const struct lp_defrag *t, const struct key *k,
			 const struct lp_fragment *f)
{
	struct {
		struct key key;
		uint64_t offset, data;
	} all = { *k, f->offset, lp_hash(&t->seed, f->data.p, f->data.n) };

	return lp_hash(&t->seed, &all, sizeof all);
}

/* A copy of a fragment that made its datagram whole a moment ago? */
static bool is_copy(const struct lp_defrag *t, const struct key *k, const struct lp_fragment *f)
{
	uint64_t print = t->made ? print_of(t, k, f) : 0;

	for (size_t i = 0; t->made && i < LP_DEFRAG_LAST; i++)
		if (t->last[i].hash == print && t->now_ns - t->last[i].ns <= COPY_NS)
			return true;
	return false;
}

static enum lp_drop join(struct lp_defrag *t, struct lp_datagram *g, lp_span *whole,
			 uint8_t *proto)
{
	struct lp_whole *w = malloc(sizeof *w + g->end);

	if (!w)
		return give_up(t, g, LP_DROP_FRAGMENT_LIMIT);
	for (uint32_t i = 0; i < g->piece_n; i++) {
		const struct piece *p = &g->piece[i];

		memcpy(w->bytes + p->off, g->data + p->at, p->end - p->off);
	}
	w->next = t->whole;
	t->whole = w;
	*whole = lp_span_of(w->bytes, g->end);
	*proto = g->proto;
	t->drop[LP_DROP_HELD] -= g->packets;
	t->drop[LP_DROP_JOINED] += g->packets;
	datagram_free(t, g);
	return LP_DROP_NONE;
}

static enum lp_drop add(struct lp_defrag *t, struct lp_datagram *g, const struct lp_fragment *f,
			lp_span data)
{
	struct piece p = { .off = f->offset, .end = f->offset + (uint32_t)data.n };
	enum lp_drop drop;
	uint32_t i;

	if (!data.n || !take_end(g, p.end, f->more))
		return give_up(t, g, LP_DROP_FRAGMENT_BAD);
	if (t->config.overlap == LP_OVERLAP_BSD && f->family == 4)
		drop = overlap_bsd(g, &p, &data, &i);
	else
		drop = overlap_linux(g, &p, &i);
	if (drop == LP_DROP_FRAGMENT_OVERLAP)
		return give_up(t, g, drop);
	if (drop)
		return drop;
	if (!insert(t, g, i, p, data))
		return give_up(t, g, LP_DROP_FRAGMENT_LIMIT);
	if (!f->offset)
		g->proto = f->proto;
	return LP_DROP_NONE;
}

enum lp_drop lp_defrag_push(struct lp_defrag *t, const struct lp_fragment *f, lp_span *whole,
			    uint8_t *proto)
{
	const struct key k = key_of(f);
	struct lp_datagram *g;
	enum lp_drop drop;
	size_t n;

	if (is_bad(f, t->config.overlap, &n))
		return LP_DROP_FRAGMENT_BAD;
	if (f->ts_ns > t->now_ns)
		t->now_ns = f->ts_ns;
	while ((g = TAILQ_FIRST(&t->all)) && t->now_ns - g->first_ns > t->config.timeout_ns)
		(void)give_up(t, g, LP_DROP_FRAGMENT_TIMEOUT);
	if (!make_tables(t))
		return LP_DROP_FRAGMENT_LIMIT;
	g = *datagram_slot(t, &k);
	if (!g) {
		if (is_copy(t, &k, f))
			return LP_DROP_FRAGMENT_DUP;
		g = datagram_new(t, &k);
		if (!g)
			return LP_DROP_FRAGMENT_LIMIT;
	}
	drop = add(t, g, f, lp_span_of(f->data.p, n));
	if (drop)
		return drop;
	if (!g->last || g->have != g->end) {
		g->packets++;
		return LP_DROP_HELD;
	}
	drop = join(t, g, whole, proto);
	if (!drop) {
		t->last[t->made % LP_DEFRAG_LAST].hash = print_of(t, &k, f);
		t->last[t->made % LP_DEFRAG_LAST].ns = t->now_ns;
		t->made++;
	}
	return drop;
}

void lp_defrag_release(struct lp_defrag *t, const struct lp_whole *until)
{
	while (t->whole != until) {
		struct lp_whole *w = t->whole;

		t->whole = w->next;
		free(w);
	}
}

void lp_defrag_clear(struct lp_defrag *t)
{
	struct lp_datagram *g;

	while ((g = TAILQ_FIRST(&t->all)))
		datagram_free(t, g);
	lp_defrag_release(t, NULL);
	free(t->datagram);
	free(t->host);
	*t = (struct lp_defrag){ 0 };
}
