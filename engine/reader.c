#include "reader.h"

#include <stdlib.h>

#include "base/clock.h"

enum {
	BATCH = 64,
	STRETCH = 1 << 18, /* bytes of a batch that is worth looking ahead */
	RECORD = 16,       /* bytes between packets, in most files */
};

struct lp_reader {
	const struct lp_reader_sink *sink;
	void *user;
	struct lp_decode *decode;
	uint64_t last_number, first_ns, now_ns;
	uint64_t second_ns; /* the last nanosecond of the second that it is */
	bool lends, elsewhere;
	size_t n;
	struct lp_segment segment[BATCH];
};

enum lp_err lp_reader_new(struct lp_reader **out, const struct lp_decode_config *config,
			  const struct lp_reader_sink *sink, void *user)
{
	struct lp_reader *r = calloc(1, sizeof *r);
	enum lp_err err;

	*out = NULL;
	if (!r)
		return LP_E_NOMEM;
	r->sink = sink;
	r->user = user;
	r->second_ns = LP_NS_PER_S - 1;
	err = lp_decode_new(&r->decode, config);
	if (err)
		free(r);
	else
		*out = r;
	return err;
}

void lp_reader_free(struct lp_reader *r)
{
	if (!r)
		return;
	lp_decode_free(r->decode);
	free(r);
}

static void flush(struct lp_reader *r)
{
	r->sink->segments(r->user, r->segment, r->n, r->now_ns);
	r->n = 0;
	lp_decode_release(r->decode);
}

static void turn_second(struct lp_reader *r, uint64_t ns)
{
	if (r->n)
		flush(r);
	r->now_ns = ns;
	ns = ns / LP_NS_PER_S * LP_NS_PER_S;
	r->second_ns = ns > UINT64_MAX - LP_NS_PER_S ? UINT64_MAX : ns + LP_NS_PER_S - 1;
	r->sink->second(r->user, r->last_number, r->now_ns);
}

/* Timers fire at whole seconds of packet time, whatever the batches. */
static inline void set_clock(struct lp_reader *r, uint64_t ns)
{
	if (ns > r->second_ns)
		turn_second(r, ns);
	else if (ns > r->now_ns)
		r->now_ns = ns;
}

/* How far behind a packet the bytes lie that take its place in the next batch, if packets are
 * lent from one stretch of memory, as those of a mapped file are; 0 if not. */
static size_t next_batch(const struct lp_wire *packets, size_t n)
{
	uintptr_t first = (uintptr_t)packets[0].data;
	uintptr_t end = (uintptr_t)packets[n - 1].data + packets[n - 1].caplen;

	return n == BATCH && end > first && end - first <= STRETCH ? end - first : 0;
}

void lp_reader_lend(struct lp_reader *r, bool elsewhere)
{
	r->lends = true;
	r->elsewhere = elsewhere;
}

/* Asks for the bytes that take this packet's place in the next batch, where others will look at
 * them: the headers that this core looks at stand anywhere among them, as each packet only tells where
 * the next begins, and the other core gets them from a cache that both have. With one core alone
 * reassembly asks for them, beside more work (net/segment.h). */
static void fetch(const struct lp_wire *p, size_t ahead)
{
	const uintptr_t at = (uintptr_t)p->data + ahead;

	for (size_t i = 0; i < p->caplen + RECORD; i += LP_CACHE_LINE)
		__builtin_prefetch((const void *)(at + i), 0, 2);
}

/* What fragments were joined to does not lie in the packet. */
static bool is_within(const struct lp_wire *p, const uint8_t *bytes)
{
	return bytes >= p->data && bytes < p->data + p->caplen;
}

void lp_reader_packets(struct lp_reader *r, const struct lp_wire *packets, size_t n)
{
	size_t ahead = n ? next_batch(packets, n) : 0;
	const size_t soon = r->elsewhere ? 0 : ahead;
	size_t flushed = 0;

	for (size_t i = 0; i < n; i++) {
		const struct lp_wire *p = &packets[i];
		struct lp_segment *s;

		if (ahead && r->elsewhere)
			fetch(p, ahead);
		if (!r->first_ns)
			r->first_ns = p->ts_ns;
		r->last_number = p->number;
		set_clock(r, p->ts_ns);
		s = &r->segment[r->n];
		if (lp_decode_packet(r->decode, p, s) == LP_DROP_NONE) {
			s->clock_ns = r->now_ns;
			s->soon = soon ? (const uint8_t *)((uintptr_t)s->tcp + soon) : NULL;
			s->lent = r->lends && is_within(p, s->tcp) && is_within(p, s->src);
			r->n++;
		}
		if (r->n == BATCH) {
			flush(r);
			flushed = i + 1;
		}
	}
	/* A batch without segments says that just now there are no more. */
	if (flushed < n || !n)
		flush(r);
}

void lp_reader_advance(struct lp_reader *r, uint64_t now_ns)
{
	set_clock(r, now_ns);
	flush(r);
}

uint64_t lp_reader_number(const struct lp_reader *r)
{
	return r->last_number;
}

void lp_reader_times(const struct lp_reader *r, uint64_t *first_ns, uint64_t *last_ns)
{
	*first_ns = r->first_ns;
	*last_ns = r->now_ns;
}

void lp_reader_stats(const struct lp_reader *r, struct lp_decode_stats *out)
{
	lp_decode_stats(r->decode, out);
}
