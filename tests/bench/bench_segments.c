/* What a byte costs when segments are tiny or come in the wrong order: one direction of
 * one connection, 100,000 packets, decoded and reassembled; against the same in order, which is
 * run in turn with it, for the machine is faster and slower from one second to the next.
 *
 *	segments [LIMIT]    status 1 if an order costs more than LIMIT (2) times as much
 *
 * Packets come as limpid reads them: those of a file are lent, those of a device are copied out of
 * the kernel's ring first, and those that wait once more. */
#include <arpa/inet.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/sum.h"
#include "net/decode.h"
#include "net/tcp.h"
#include "reader.h"

enum { N = 100000, LARGEST = 1448, BATCH = 64, RUNS = 9, ORDERS = 5, PACKET_HEADER = 16 };

static uint64_t delivered;

static uint64_t now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (uint64_t)t.tv_sec * LP_NS_PER_S + (uint64_t)t.tv_nsec;
}

static enum lp_take on_open(void *user, struct lp_stream *s, const struct lp_when *when)
{
	(void)user, (void)s, (void)when;
	return LP_TAKE_ON;
}

static uint8_t byte_at(uint64_t off)
{
	return (uint8_t)(off * 0x9e3779b1u >> 13);
}

static enum lp_take on_data(void *user, struct lp_stream *s, enum lp_side side, const uint8_t *p,
			    uint32_t n, uint64_t off, const struct lp_when *when)
{
	(void)user, (void)s, (void)side, (void)when;
	if (off != delivered || p[0] != byte_at(off) || p[n - 1] != byte_at(off + n - 1)) {
		fprintf(stderr, "wrong bytes\n");
		exit(2);
	}
	delivered += n;
	return LP_TAKE_ON;
}

static void on_gap(void *user, struct lp_stream *s, enum lp_side side, uint64_t off, uint64_t n,
		   const struct lp_when *when)
{
	(void)user, (void)s, (void)side, (void)when;
	fprintf(stderr, "a gap of %llu at %llu\n", (unsigned long long)n, (unsigned long long)off);
	exit(2);
}

static void on_close(void *user, struct lp_stream *s, enum lp_why why, const struct lp_when *when)
{
	(void)user, (void)s, (void)why, (void)when;
}

static const struct lp_reasm_cb cb = { on_open, on_data, on_gap, on_close, NULL, NULL };

/* Places of the segments, in the order of their coming. */
static uint32_t *order_of(const char *name)
{
	uint32_t *o = malloc(N * sizeof *o), x = 1, k, was;

	for (uint32_t i = 0; i < N; i++)
		o[i] = i;
	if (!strcmp(name, "reversed"))
		for (uint32_t i = 0; i < N; i++)
			o[i] = N - 1 - i;
	else if (!strcmp(name, "first last"))
		for (uint32_t i = 0; i < N; i++)
			o[i] = (i + 1) % N;
	else if (!strcmp(name, "even, then odd"))
		for (uint32_t i = 0; i < N; i++)
			o[i] = i < N / 2 ? i * 2 + 1 : (i - N / 2) * 2;
	else if (strcmp(name, "in order") != 0)
		for (uint32_t i = 0; i < N; i++) {
			uint32_t span = !strcmp(name, "shuffled") ? N : 100;
			uint32_t end = (i / span + 1) * span;

			x = x * 1664525 + 1013904223;
			k = i + (x >> 8) % (end - i);
			was = o[i];
			o[i] = o[k];
			o[k] = was;
		}
	return o;
}

static void put32(uint8_t *p, uint32_t v)
{
	v = htonl(v);
	memcpy(p, &v, 4);
}

/* Ethernet, IPv4, TCP. */
static size_t make_frame(uint8_t *f, bool back, uint8_t flags, uint32_t seq, const uint8_t *p, size_t n)
{
	uint8_t *ip = f + 14, *tcp = ip + 20;
	uint16_t sum;

	memset(f, 0, 54);
	f[12] = 8;
	put32(ip, 0x45000000 + 40 + (uint32_t)n);
	put32(ip + 8, 64u << 24 | 6 << 16);
	put32(ip + 12, back ? 0x0a000002 : 0x0a000001);
	put32(ip + 16, back ? 0x0a000001 : 0x0a000002);
	sum = (uint16_t)~lp_sum_fold(lp_sum_add(0, ip, 20));
	memcpy(ip + 10, &sum, 2);
	put32(tcp, back ? 443u << 16 | 1000 : 1000u << 16 | 443);
	put32(tcp + 4, seq);
	put32(tcp + 8, !(flags & LP_TCP_ACK) ? 0 : back ? 101 : 501);
	put32(tcp + 12, 5u << 28 | (uint32_t)flags << 16 | 60000);
	if (n)
		memcpy(tcp + 20, p, n);
	sum = (uint16_t)~lp_sum_fold(lp_sum_add(
		lp_sum_pseudo(4, ip + 12, ip + 16, (uint32_t)n + 20, 6), tcp, n + 20));
	memcpy(tcp + 16, &sum, 2);
	return n + 54;
}

struct wire {
	struct lp_reader *reader;
	struct lp_reasm *r;
	uint8_t *memory; /* where packets are, one after another */
	size_t used;
	uint8_t copy[BATCH][LARGEST + 64];
	struct lp_wire packet[BATCH];
	uint64_t number, spent;
	size_t n;
	bool device;
};

static void on_segments(void *user, const struct lp_segment *s, size_t n, uint64_t ns)
{
	struct wire *w = user;

	(void)ns;
	if (lp_tcp_native.segments(w->r, s, n))
		exit(2);
}

static void on_second(void *user, uint64_t number, uint64_t ns)
{
	struct wire *w = user;

	lp_tcp_native.advance(w->r, number, ns);
}

static const struct lp_reader_sink sink = { on_segments, on_second };

static void flush(struct wire *w)
{
	uint64_t begun = now();

	for (size_t i = 0; w->device && i < w->n; i++) {
		memcpy(w->copy[i], w->packet[i].data, w->packet[i].caplen);
		w->packet[i].data = w->copy[i];
	}
	lp_reader_packets(w->reader, w->packet, w->n);
	w->spent += now() - begun;
	w->n = 0;
}

static void give(struct wire *w, bool back, uint8_t flags, uint32_t seq, const uint8_t *p, size_t n)
{
	uint8_t *f = w->memory + w->used;
	uint32_t len = (uint32_t)make_frame(f, back, flags, seq, p, n);

	w->used += len + PACKET_HEADER;
	w->number++;
	w->packet[w->n++] = (struct lp_wire){ .data = f, .caplen = len, .len = len,
						.ts_ns = w->number * 1000, .number = w->number,
						.link = LP_LINK_ETHERNET };
	if (w->n == BATCH)
		flush(w);
}

/* Nanoseconds a packet. */
static double run(const uint32_t *order, uint32_t size, const uint8_t *data, uint8_t *memory, bool device)
{
	static struct wire w;
	struct lp_reasm_config config;
	struct lp_decode_config dc;

	lp_decode_config_default(&dc);
	dc.checksums_later = true; /* as in limpid */
	lp_reasm_config_default(&config);
	config.max_flows = 16;
	config.seed = (struct lp_hash_seed){ 1, 2 };
	memset(&w, 0, sizeof w);
	w.memory = memory;
	w.device = device;
	delivered = 0;
	if (lp_tcp_native.init(&w.r, &config, &cb, NULL) || lp_reader_new(&w.reader, &dc, &sink, &w))
		exit(2);
	if (!device)
		lp_reader_lend(w.reader, false);
	give(&w, false, LP_TCP_SYN, 100, NULL, 0);
	give(&w, true, LP_TCP_SYN | LP_TCP_ACK, 500, NULL, 0);
	give(&w, false, LP_TCP_ACK, 101, NULL, 0);
	for (uint32_t at = 0; at < N; at++)
		give(&w, false, LP_TCP_ACK | LP_TCP_PSH, 101 + order[at] * size,
		     data + (size_t)order[at] * size, size);
	flush(&w);
	if (delivered != (uint64_t)N * size) {
		fprintf(stderr, "%llu bytes\n", (unsigned long long)delivered);
		exit(2);
	}
	lp_tcp_native.free(w.r);
	lp_reader_free(w.reader);
	return (double)w.spent / N;
}

static int by_size(const void *a, const void *b)
{
	const double *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

static double median(double *x)
{
	qsort(x, RUNS, sizeof *x, by_size);
	return x[RUNS / 2];
}

/* Whether an order costs too much. What waits must be within the cap of a direction, 4 MiB with its
 * headers, and within what a receiver offers: larger segments cannot come in any order. */
static bool compare(uint32_t size, const uint8_t *data, uint8_t *memory, bool device, double limit)
{
	static const struct {
		const char *name;
		uint32_t largest;
	} orders[ORDERS + 1] = { { "in order", LARGEST }, { "reversed", 20 }, { "first last", 20 },
				 { "even, then odd", 20 }, { "shuffled", 1 },
				 { "shuffled by hundreds", LARGEST } };
	uint32_t *order[ORDERS + 1];
	double base[RUNS], times[ORDERS + 1][RUNS], cost;
	bool bad = false;

	for (int i = 0; i <= ORDERS; i++)
		order[i] = order_of(orders[i].name);
	for (int k = 0; k < RUNS; k++) {
		base[k] = run(order[0], size, data, memory, device);
		for (int i = 1; i <= ORDERS; i++)
			if (size <= orders[i].largest)
				times[i][k] = run(order[i], size, data, memory, device) / base[k];
	}
	printf("%u segments of %u byte%s, of a %s: in order %.0f ns each;", N, size, size == 1 ? "" : "s",
	       device ? "device" : "file", median(base));
	for (int i = 1; i <= ORDERS; i++) {
		if (size > orders[i].largest)
			continue;
		cost = median(times[i]);
		printf(" %s %.2f", orders[i].name, cost);
		bad |= cost > limit;
	}
	printf(" times (limit %.1f)\n", limit);
	for (int i = 0; i <= ORDERS; i++)
		free(order[i]);
	return bad;
}

int main(int argc, char **argv)
{
	static const uint32_t sizes[] = { 1, 20, LARGEST };
	double limit = argc > 1 ? strtod(argv[1], NULL) : 2;
	uint8_t *data = malloc((size_t)N * LARGEST);
	uint8_t *memory = malloc((size_t)(N + 3) * (LARGEST + 64 + PACKET_HEADER));
	bool bad = false;

	if (!data || !memory)
		return 2;
	for (size_t i = 0; i < (size_t)N * LARGEST; i++)
		data[i] = byte_at(i);
	for (size_t k = 0; k < sizeof sizes / sizeof sizes[0]; k++) {
		for (int device = 0; device < 2; device++) {
			bad |= compare(sizes[k], data, memory, device, limit);
			fflush(stdout);
		}
	}
	free(memory);
	free(data);
	return bad;
}
