/* What a packet costs when a thousand connections are open, and when a million are:
 * in-order segments of 1,448 bytes, one of each flow in an order that is random and
 * another in each round, in batches of 64 packets, decoded and reassembled. The cost
 * of making the packets is not in the figures. Where two tables are compared they take
 * turns of some milliseconds: a processor that others use, too, has another speed a second later.
 *
 *	flows [FLOWS [PACKETS]]    one table of so many flows
 *	flows compare [LIMIT]      1,000 against 1,000,000; status 1 above LIMIT (1.3) */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/sum.h"
#include "net/decode.h"
#include "net/tcp.h"

enum {
	PAYLOAD = 1448,
	HEAD = 14 + 20 + 32,
	FRAME = HEAD + PAYLOAD,
	SLOT = 1536,
	BATCH = 64,
	TURN = 1000 * BATCH,
	FIRST_TIMED = 3, /* round */
};

struct bench {
	struct lp_decode *decode;
	struct lp_reasm *r;
	uint8_t (*frames)[SLOT];
	struct lp_wire packets[BATCH];
	struct lp_segment segments[BATCH];
	uint64_t payload_sum;
	uint64_t number, bytes;
	uint32_t *cost[2]; /* of each batch: decoding, reassembly; in ns */
	size_t timed;
	uint32_t flows;
	uint32_t order; /* state of the permutation */
	uint32_t round, done; /* flows that have had their packet in this round */
};

static uint64_t now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * LP_NS_PER_S + (uint64_t)t.tv_nsec;
}

static enum lp_take on_open(void *user, struct lp_stream *s, const struct lp_when *when)
{
	(void)user, (void)s, (void)when;
	return LP_TAKE_ON;
}

static enum lp_take on_data(void *user, struct lp_stream *s, enum lp_side side, const uint8_t *p,
			    uint32_t n, uint64_t off, const struct lp_when *when)
{
	struct bench *b = user;

	(void)s, (void)side, (void)p, (void)off, (void)when;
	b->bytes += n;
	return LP_TAKE_ON;
}

static void on_gap(void *user, struct lp_stream *s, enum lp_side side, uint64_t off, uint64_t n,
		   const struct lp_when *when)
{
	(void)user, (void)s, (void)side, (void)off, (void)n, (void)when;
	fprintf(stderr, "a gap?\n");
	exit(2);
}

static void on_close(void *user, struct lp_stream *s, enum lp_why why, const struct lp_when *when)
{
	(void)user, (void)s, (void)why, (void)when;
}

static const struct lp_reasm_cb cb = { on_open, on_data, on_gap, on_close, NULL, NULL };

static void put32(uint8_t *p, uint32_t v)
{
	v = htonl(v);
	memcpy(p, &v, 4);
}

/* The packet of flow `flow` in round `round`: 0 is the SYN, 1 the SYN-ACK, then data. */
static void make_packet(struct bench *b, size_t slot, uint32_t flow, uint32_t round)
{
	uint8_t *f = b->frames[slot], *ip = f + 14, *tcp = ip + 20;
	bool back = round == 1;
	uint32_t a = 0x0a000000 + flow, s = 0xac100001;
	uint32_t n = round < 2 ? 0 : PAYLOAD;
	uint16_t flags = round == 0 ? LP_TCP_SYN : round == 1 ? LP_TCP_SYN | LP_TCP_ACK : LP_TCP_ACK;
	uint32_t seq = round < 2 ? 0 : 1 + (round - 2) * PAYLOAD;
	uint16_t sum;
	uint64_t all;

	put32(ip, 0x45000000 + 52 + n);
	put32(ip + 4, 0x00004000);
	put32(ip + 8, 64u << 24 | 6 << 16);
	put32(ip + 12, back ? s : a);
	put32(ip + 16, back ? a : s);
	sum = (uint16_t)~lp_sum_fold(lp_sum_add(0, ip, 20));
	memcpy(ip + 10, &sum, 2);
	put32(tcp, back ? 443u << 16 | 50000 : 50000u << 16 | 443);
	put32(tcp + 4, flow * 2654435761u + seq + (back ? 77 : 0));
	put32(tcp + 8, flow * 2654435761u + (back ? 1 : 78));
	if (!round)
		put32(tcp + 8, 0);
	put32(tcp + 12, 8u << 28 | (uint32_t)flags << 16 | 65535);
	put32(tcp + 16, 0);
	/* A SYN: the window is to be large, since nothing is acknowledged; then timestamps. */
	put32(tcp + 20, round < 2 ? 0x0103030e : 0x0101080a);
	put32(tcp + 24, round < 2 ? 0x01010101 : 1000 + round);
	put32(tcp + 28, round < 2 ? 0x01010101 : 1000);
	all = lp_sum_pseudo(4, ip + 12, ip + 16, 32 + n, 6);
	all = lp_sum_add(all, tcp, 32);
	all = lp_sum_fold(all) + (n ? b->payload_sum : 0); /* partial sums may wrap */
	sum = (uint16_t)~lp_sum_fold(all);
	memcpy(tcp + 16, &sum, 2);
	b->packets[slot] = (struct lp_wire){ .data = f, .caplen = HEAD + n, .len = HEAD + n,
					       .ts_ns = 1700000000 * LP_NS_PER_S + b->number * 1000,
					       .number = ++b->number, .link = LP_LINK_ETHERNET };
}

/* Each of 0..flows-1 once a round: a full-period generator modulo 2^k, what is too
 * large left out. */
static uint32_t next_flow(struct bench *b, uint32_t round)
{
	uint32_t mask = 1;

	while (mask < b->flows)
		mask = mask * 2 + 1;
	do
		b->order = (b->order * (round * 8 + 1664525) + 1013904223) & mask;
	while (b->order >= b->flows);
	return b->order;
}

static void give(struct bench *b, size_t n, bool timed)
{
	uint64_t t0 = now(), t1, t2;
	size_t k = 0;

	for (size_t i = 0; i < n; i++)
		if (lp_decode_packet(b->decode, &b->packets[i], &b->segments[k]) == LP_DROP_NONE)
			k++;
	t1 = now();
	if (k != n || lp_tcp_native.segments(b->r, b->segments, k)) {
		fprintf(stderr, "packets were dropped\n");
		exit(2);
	}
	t2 = now();
	lp_decode_release(b->decode);
	if (!timed || n != BATCH)
		return;
	b->cost[0][b->timed] = (uint32_t)(t1 - t0);
	b->cost[1][b->timed++] = (uint32_t)(t2 - t1);
}

static int by_size(const void *a, const void *b)
{
	const uint32_t *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

/* Nanoseconds a packet, without the dearest twentieth of the batches: those are the
 * machine's other business. */
static double mean(uint32_t *cost, size_t n)
{
	double sum = 0;

	qsort(cost, n, sizeof *cost, by_size);
	n -= n / 20;
	for (size_t i = 0; i < n; i++)
		sum += cost[i];
	return n ? sum / (double)n / BATCH : 0;
}

/* At least so many packets more. */
static void some(struct bench *b, uint64_t packets)
{
	const uint64_t until = b->number + packets;

	while (b->number < until) {
		size_t n = 0;

		for (; n < BATCH && b->done < b->flows; n++, b->done++)
			make_packet(b, n, next_flow(b, b->round), b->round);
		give(b, n, b->round >= FIRST_TIMED);
		if (b->done == b->flows) {
			b->done = 0;
			b->round++;
		}
	}
}

/* A table of so many flows, all of them open. */
static struct bench *begin(uint32_t flows, uint64_t packets)
{
	struct bench *b = calloc(1, sizeof *b);
	struct lp_decode_config dc;
	struct lp_reasm_config rc;

	lp_decode_config_default(&dc);
	lp_reasm_config_default(&rc);
	rc.seed = (struct lp_hash_seed){ 0x0123456789abcdef, 0xfedcba9876543210 };
	rc.max_flows = flows * 4 + 4; /* all are half-open for a while */
	if (b)
		b->frames = aligned_alloc(64, BATCH * SLOT);
	for (int i = 0; b && i < 2; i++)
		b->cost[i] = calloc(packets / BATCH + 1, sizeof *b->cost[i]);
	if (!b || !b->frames || !b->cost[0] || !b->cost[1] || lp_decode_new(&b->decode, &dc) ||
	    lp_tcp_native.init(&b->r, &rc, &cb, b)) {
		fprintf(stderr, "no memory\n");
		exit(2);
	}
	b->flows = flows;
	for (size_t i = 0; i < BATCH; i++) {
		memset(b->frames[i], 'x', SLOT);
		b->frames[i][12] = 8;
		b->frames[i][13] = 0;
	}
	b->payload_sum = lp_sum_fold(lp_sum_add(0, b->frames[0] + HEAD, PAYLOAD));
	some(b, (uint64_t)flows * FIRST_TIMED);
	return b;
}

struct cost {
	double decode, reasm;
};

static struct cost end(struct bench *b)
{
	struct lp_reasm_stats stats;
	struct cost cost;

	lp_tcp_native.stats(b->r, &stats);
	if (stats.flows != b->flows || stats.processed != b->number || stats.duplicate ||
	    stats.out_of_order) {
		fprintf(stderr, "not what was sent: %llu flows, %llu of %llu, %llu again, %llu out of order\n",
			(unsigned long long)stats.flows, (unsigned long long)stats.processed,
			(unsigned long long)b->number, (unsigned long long)stats.duplicate,
			(unsigned long long)stats.out_of_order);
		exit(2);
	}
	cost = (struct cost){ mean(b->cost[0], b->timed), mean(b->cost[1], b->timed) };
	printf("%9u flows: %6.1f ns a packet (decode %.1f, reassembly %.1f)\n", b->flows,
	       cost.decode + cost.reasm, cost.decode, cost.reasm);
	lp_tcp_native.free(b->r);
	lp_decode_free(b->decode);
	free(b->cost[0]);
	free(b->cost[1]);
	free(b->frames);
	free(b);
	return cost;
}

static int compare(double limit, uint64_t packets)
{
	struct bench *few = begin(1000, packets + TURN), *many = begin(1000000, packets + TURN);
	struct cost f, m;
	double ratio;

	for (uint64_t n = 0; n < packets; n += TURN) {
		some(few, TURN);
		some(many, TURN);
	}
	f = end(few);
	m = end(many);
	ratio = (m.decode + m.reasm) / (f.decode + f.reasm);
	printf("  a million against a thousand: %.2f times (limit %.2f), reassembly alone %.2f times\n",
	       ratio, limit, m.reasm / f.reasm);
	return ratio > limit;
}

int main(int argc, char **argv)
{
	uint64_t packets = argc > 2 ? strtoull(argv[2], NULL, 10) : 3000000;
	struct bench *b;

	if (argc > 1 && !strcmp(argv[1], "compare"))
		return compare(argc > 2 ? strtod(argv[2], NULL) : 1.3, 3000000);
	b = begin(argc > 1 ? (uint32_t)strtoul(argv[1], NULL, 10) : 1000, packets);
	some(b, packets);
	end(b);
	return 0;
}
