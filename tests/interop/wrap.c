/* Rewrites a pcap file (this machine's byte order, Ethernet with IP and no tags):
 *   wrap IN OUT NAME [6]        every packet in a tunnel (help_tunnel.h; 6: over IPv6)
 *   wrap IN OUT fragments N ORDER   TCP packets in fragments of N bytes; ORDER forward, reverse or
 *                               twice (each of them twice), heads (no but the first)
 *   wrap IN OUT late N          the packet with that number goes to the end
 *   wrap IN OUT two NAME        every packet twice, in tunnels with the ids 5 and 6 */
#include "../unit/help_tunnel.c"

enum { SIZE = 1 << 20 };

static FILE *out;
static uint32_t head[4];

static void write_packet(const uint8_t *p, size_t n)
{
	uint32_t h[4] = { head[0], head[1], (uint32_t)n, (uint32_t)n };

	if (fwrite(h, sizeof h, 1, out) != 1 || fwrite(p, n, 1, out) != 1)
		exit(1);
}

static void write_fragments(const uint8_t *p, size_t n, size_t size, const char *order)
{
	static uint8_t frame[SIZE];
	static uint32_t id;
	size_t ip = p[12] == 0x86 ? 54 : 34;
	size_t len = p[12] == 0x86 ? 40u + (p[18] << 8 | p[19]) : (unsigned)(p[16] << 8 | p[17]);
	size_t parts;

	n = 14 + len - ip; /* what follows the IP header; no padding */
	parts = (n + size - 1) / size;
	id++;
	if (parts < 2) {
		write_packet(p, n + ip);
		return;
	}
	for (size_t i = 0; i < parts; i++) {
		size_t k = strcmp(order, "reverse") == 0 ? parts - 1 - i : i;
		size_t from = k * size, to = from + size < n ? from + size : n;
		if (!strcmp(order, "heads") && k)
			continue;
		size_t m = help_fragment(p, id, from, to - from, k == parts - 1, frame, SIZE);

		for (int copy = 0; copy < 1 + !strcmp(order, "twice"); copy++)
			write_packet(frame, m);
	}
}

int main(int argc, char **argv)
{
	static uint8_t data[SIZE], frame[SIZE], kept[SIZE];
	long late = argc > 4 && !strcmp(argv[3], "late") ? atol(argv[4]) : 0;
	size_t kept_n = 0;
	const char *name = argc > 4 && !strcmp(argv[3], "two") ? argv[4] : argc > 3 ? argv[3] : "";
	int kind = 0;
	FILE *in;

	while (kind < HELP_TUNNELS && strcmp(help_tunnel_name[kind], name))
		kind++;
	if (argc < 4 || (kind == HELP_TUNNELS && !late && (strcmp(name, "fragments") || argc < 6)) ||
	    !(in = fopen(argv[1], "rb")) || !(out = fopen(argv[2], "wb"))) {
		fprintf(stderr, "usage: wrap IN OUT NAME [6] | fragments N ORDER | late N | two NAME\n");
		return 1;
	}
	if (fread(data, 24, 1, in) != 1)
		return 1;
	if (kind < HELP_TUNNELS)
		memcpy(data + 20, &(uint32_t){ help_tunnel_link((enum help_tunnel)kind) }, 4);
	if (fwrite(data, 24, 1, out) != 1)
		return 1;
	for (long number = 1; fread(head, sizeof head, 1, in) == 1; number++) {
		size_t n = head[2];

		if (n < 54 || n > SIZE - 200 || fread(data, n, 1, in) != 1)
			return 1;
		if (late && number == late) {
			memcpy(kept, data, n);
			kept_n = n;
			continue;
		}
		if (late) {
			write_packet(data, n);
			continue;
		}
		if (kind == HELP_TUNNELS) {
			write_fragments(data, n, (size_t)atol(argv[4]) & ~7ul, argv[5]);
			continue;
		}
		for (uint32_t id = 5; id < 6u + !strcmp(argv[3], "two"); id++)
			write_packet(frame, help_tunnel((enum help_tunnel)kind,
							argc > 4 && !strcmp(argv[4], "6"), id, data, n,
							frame, SIZE));
	}
	if (kept_n) {
		head[2] = head[3] = (uint32_t)kept_n;
		write_packet(kept, kept_n);
	}
	return fclose(out) ? 1 : 0;
}
