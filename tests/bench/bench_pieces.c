/* One session played by many connections, what its server sent in segments of any size and in any
 * order: what that costs, to be held against the same in order (fig_segments.sh).
 *
 *	pieces IN OUT KEEP SIZE COUNT ORDER CONNECTIONS
 *
 * IN is a capture of `loss send`; its first KEEP packets, the handshake, begin each connection. Then
 * come COUNT segments of SIZE bytes. ORDER: "in order", "reversed", "shuffled", or "hundreds", each
 * hundred of them shuffled. */
#include <arpa/inet.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/sum.h"

enum { FILE_HEADER = 24, HEADER = 16, FRAME = 54, LARGEST = 1448, SERVER = 443 };

struct bytes {
	uint8_t *p;
	size_t n;
};

static void need(bool ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "pieces: %s\n", what);
	exit(2);
}

static struct bytes read_all(const char *path)
{
	FILE *f = fopen(path, "rb");
	struct bytes b;

	need(f && !fseek(f, 0, SEEK_END), path);
	b.n = (size_t)ftell(f);
	b.p = malloc(b.n + 1);
	need(b.p && !fseek(f, 0, SEEK_SET) && fread(b.p, 1, b.n, f) == b.n && b.n > FILE_HEADER, path);
	fclose(f);
	return b;
}

static uint32_t get32(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static void put32(uint8_t *p, uint32_t v)
{
	v = htonl(v);
	memcpy(p, &v, 4);
}

static void put16(uint8_t *p, uint16_t v)
{
	v = htons(v);
	memcpy(p, &v, 2);
}

static bool from_server(const uint8_t *frame)
{
	return (frame[34] << 8 | frame[35]) == SERVER;
}

/* Sums, the client's port, the time. */
static void write_frame(FILE *out, uint8_t *f, size_t n, unsigned connection)
{
	static uint64_t now_us = 1700000000000000;
	uint32_t head[4] = { (uint32_t)(now_us / 1000000), (uint32_t)(now_us % 1000000),
			     (uint32_t)n, (uint32_t)n };
	uint16_t sum;

	now_us += 2;
	put16(f + (from_server(f) ? 36 : 34), (uint16_t)(10000 + connection));
	put16(f + 16, (uint16_t)(n - 14));
	put16(f + 24, 0);
	sum = (uint16_t)~lp_sum_fold(lp_sum_add(0, f + 14, 20));
	memcpy(f + 24, &sum, 2);
	put16(f + 50, 0);
	sum = (uint16_t)~lp_sum_fold(lp_sum_add(
		lp_sum_pseudo(4, f + 26, f + 30, (uint32_t)(n - 34), 6), f + 34, n - 34));
	memcpy(f + 50, &sum, 2);
	need(fwrite(head, sizeof head, 1, out) == 1 && fwrite(f, n, 1, out) == 1, "cannot write");
}

static uint32_t *order_of(const char *name, uint32_t n)
{
	uint32_t *o = malloc(n * sizeof *o), x = 1;
	uint32_t span = !strcmp(name, "shuffled") ? n : 100;

	need(o, "memory");
	for (uint32_t i = 0; i < n; i++)
		o[i] = strcmp(name, "reversed") ? i : n - 1 - i;
	if (strcmp(name, "shuffled") != 0 && strcmp(name, "hundreds") != 0)
		return o;
	for (uint32_t i = 0; i < n; i++) {
		uint32_t end = (i / span + 1) * span < n ? (i / span + 1) * span : n, k, was = o[i];

		x = x * 1664525 + 1013904223;
		k = i + (x >> 8) % (end - i);
		o[i] = o[k];
		o[k] = was;
	}
	return o;
}

int main(int argc, char **argv)
{
	struct bytes in, stream = { NULL, 0 };
	unsigned keep, connections;
	uint32_t size, count, *order, first = 0;
	uint8_t like[FRAME] = { 0 }, f[FRAME + LARGEST];
	const uint8_t *end, *p, *behind;
	FILE *out;

	need(argc == 8, "IN OUT KEEP SIZE COUNT ORDER CONNECTIONS");
	in = read_all(argv[1]);
	out = fopen(argv[2], "wb");
	keep = (unsigned)atoi(argv[3]);
	size = (uint32_t)atoi(argv[4]);
	count = (uint32_t)atoi(argv[5]);
	order = order_of(argv[6], count);
	connections = (unsigned)atoi(argv[7]);
	need(out && size && size <= LARGEST && connections < 50000, "arguments");
	stream.p = malloc(in.n);
	need(stream.p && fwrite(in.p, FILE_HEADER, 1, out) == 1, "memory, or cannot write");
	p = behind = in.p + FILE_HEADER;
	end = in.p + in.n;
	for (unsigned i = 0; p < end; i++) {
		uint32_t n;

		memcpy(&n, p + 8, sizeof n);
		p += HEADER;
		need(n >= FRAME && n <= (size_t)(end - p), "not a capture of loss");
		if (i >= keep && from_server(p) && n > FRAME) {
			if (!stream.n) {
				memcpy(like, p, FRAME);
				first = get32(p + 38);
			}
			memcpy(stream.p + stream.n, p + FRAME, n - FRAME);
			stream.n += n - FRAME;
		}
		p += n;
		if (i + 1 == keep)
			behind = p;
	}
	need(stream.n >= (size_t)size * count, "the session is too short");
	for (unsigned k = 0; k < connections; k++) {
		for (p = in.p + FILE_HEADER; p < behind;) {
			uint32_t n;

			memcpy(&n, p + 8, sizeof n);
			need(n <= sizeof f, "a long packet");
			memcpy(f, p + HEADER, n);
			write_frame(out, f, n, k);
			p += HEADER + n;
		}
		for (uint32_t i = 0; i < count; i++) {
			memcpy(f, like, FRAME);
			put32(f + 38, first + order[i] * size);
			memcpy(f + FRAME, stream.p + (size_t)order[i] * size, size);
			write_frame(out, f, FRAME + size, k);
		}
	}
	need(!fclose(out), "cannot write");
	free(in.p);
	free(stream.p);
	free(order);
	return 0;
}
