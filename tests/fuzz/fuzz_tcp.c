/* net/tcp_native: ten bytes are a segment of one of four connections, in a table for
 * three of them. Asserts the contract of tcp.h, the caps and the sums. */
#include <stdlib.h>
#include <string.h>

#include "net/tcp.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MUST(x) ((x) ? (void)0 : abort())

enum { MOST_OOO = 4000 };

struct seen {
	struct lp_when last;
	uint64_t events, open;
	uint8_t answer;
};

struct stream {
	uint64_t off[2];
};

static void look(struct seen *seen, const struct lp_when *w)
{
	if (seen->events++ && w->number == seen->last.number)
		MUST(w->index == seen->last.index + 1);
	else
		MUST(w->index == 0 && w->number >= seen->last.number);
	MUST(w->released_ns >= seen->last.released_ns);
	seen->last = *w;
}

static enum lp_take on_open(void *user, struct lp_stream *s, const struct lp_when *w)
{
	struct seen *seen = user;

	look(seen, w);
	seen->open++;
	MUST(!s->user && (s->user = calloc(1, sizeof(struct stream))));
	return seen->answer == 3 ? LP_TAKE_SKIP_FLOW : LP_TAKE_ON;
}

static enum lp_take on_data(void *user, struct lp_stream *s, enum lp_side side, const uint8_t *p,
			    uint32_t n, uint64_t off, const struct lp_when *w)
{
	struct stream *stream = s->user;
	volatile uint8_t touch;

	look(user, w);
	MUST(n && off == stream->off[side]);
	stream->off[side] += n;
	touch = p[0];
	touch = p[n - 1];
	(void)touch;
	s->idle = ((struct seen *)user)->answer % 3;
	return (enum lp_take)(((struct seen *)user)->answer % 3);
}

static void on_gap(void *user, struct lp_stream *s, enum lp_side side, uint64_t off, uint64_t n,
		   const struct lp_when *w)
{
	struct stream *stream = s->user;

	look(user, w);
	MUST(n && off == stream->off[side]);
	stream->off[side] += n;
}

static void on_close(void *user, struct lp_stream *s, enum lp_why why, const struct lp_when *w)
{
	struct seen *seen = user;

	look(seen, w);
	MUST(seen->open-- && (why != LP_WHY_FIN || s->fin == 3));
	free(s->user);
	s->user = NULL;
}

/* The segment in memory of its own, so that a read past its end shows. */
static uint8_t *make(struct lp_segment *s, const uint8_t *p)
{
	static const uint8_t addr[2][4] = { { 10, 0, 0, 1 }, { 10, 0, 0, 2 } };
	uint32_t options = p[7] & 1 ? 12 : 0, side = p[0] >> 2 & 1;
	uint8_t *mem;

	s->number++;
	s->ts_ns += (uint64_t)p[8] << (p[9] >> 4) * 2;
	s->flags = p[1] & 0x3f;
	s->seq = 0xffffff00u + (uint32_t)(int16_t)(p[2] << 8 | p[3]) * (p[7] & 2 ? 1 : 65521);
	s->ack = 0xffffff00u + (uint32_t)(int16_t)(p[4] << 8 | p[5]) * (p[7] & 4 ? 1 : 65521);
	s->sport = (uint16_t)(side ? 443 : 1000 + (p[0] & 3));
	s->dport = (uint16_t)(side ? 1000 + (p[0] & 3) : 443);
	s->src = addr[side];
	s->dst = addr[!side];
	s->csum = (uint8_t)(p[9] & 3);
	s->urgent = p[6] / 2;
	s->options_len = (uint8_t)options;
	s->wire_len = p[6] * (p[0] & 0x80 ? 5u : 1u);
	s->payload_len = p[7] & 8 ? s->wire_len / 2 : s->wire_len;
	MUST(mem = calloc(1, options + s->payload_len + 1));
	if (options)
		memcpy(mem, (uint8_t[]){ 1, 1, 8, 10, 0, 0, 0, p[5] }, 8);
	memset(mem + options, p[9], s->payload_len);
	s->options = mem;
	s->payload = mem + options;
	s->tcp = mem;
	s->tcp_len = options + s->payload_len;
	return mem;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct lp_reasm_cb cb = { on_open, on_data, on_gap, on_close, NULL, NULL };
	const struct lp_reasm_ops *ops = &lp_tcp_native;
	struct lp_segment s = { .family = 4, .ts_ns = 1 };
	struct lp_reasm_config config;
	struct lp_reasm_stats stats;
	struct seen seen = { 0 };
	struct lp_reasm *r;
	uint64_t sum = 0;
	uint8_t **lent = calloc(size / 10 + 1, sizeof *lent);
	size_t lent_n = 0;

	MUST(lent);
	lp_reasm_config_default(&config);
	config.max_flows = 3;
	config.max_ooo = MOST_OOO;
	config.max_ooo_side = MOST_OOO / 3;
	config.overlap = size % 2 ? LP_OVERLAP_BSD : LP_OVERLAP_LINUX;
	MUST(!ops->init(&r, &config, &cb, &seen));
	for (; size >= 10; data += 10, size -= 10) {
		uint8_t *mem = make(&s, data);

		seen.answer = data[7] & 0x80 ? data[7] >> 5 & 3 : 0;
		s.lent = data[9] & 4;
		MUST(!ops->segments(r, &s, 1));
		if (s.lent)
			lent[lent_n++] = mem;
		else
			free(mem);
		if (data[7] & 0x10)
			ops->advance(r, s.number, s.ts_ns += (uint64_t)data[8] << 28);
	}
	ops->finish(r);
	ops->stats(r, &stats);
	ops->free(r);
	while (lent_n)
		free(lent[--lent_n]);
	free(lent);
#define X(name) sum += stats.name;
	LP_REASM_COUNTERS(X)
#undef X
	MUST(sum == 2 * stats.segments && stats.segments == s.number);
	MUST(!seen.open && !stats.flows_now && stats.ooo_peak <= MOST_OOO);
	return 0;
}
