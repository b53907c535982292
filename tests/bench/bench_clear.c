/* Makes a capture of connections that are not TLS, all open at once:
 *
 *	clear FLOWS ROUNDS SIZE OUT
 *
 * FLOWS handshakes, then in each of ROUNDS rounds one segment of SIZE bytes from each client,
 * in an order that is random and another in each round. All sums are right. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ETHER = 14, HEAD = ETHER + 20 + 20, LARGEST = 1460 };
enum { SYN = 2, ACK = 16 };

static uint8_t frame[HEAD + LARGEST] = { 2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 8, 0, 0x45 };
static uint64_t written;
static uint32_t payload_sum;
static FILE *out;

static void put(uint8_t *p, uint32_t v, int n)
{
	for (; n > 0; v >>= 8)
		p[--n] = (uint8_t)v;
}

static uint32_t add(uint32_t sum, const uint8_t *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		sum += i % 2 ? p[i] : (uint32_t)p[i] << 8;
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return sum;
}

static void packet(uint32_t flow, int back, unsigned flags, uint32_t seq, uint32_t ack, size_t n)
{
	const uint32_t ends[2] = { 0x0a000000 + flow, 0xac100001 };
	const uint32_t ports[2] = { 40000, 7777 };
	const uint64_t us = 1700000000000000 + written++;
	const uint32_t head[4] = { (uint32_t)(us / 1000000), (uint32_t)(us % 1000000),
				   (uint32_t)(HEAD + n), (uint32_t)(HEAD + n) };
	uint8_t *ip = frame + ETHER, *tcp = ip + 20;
	uint32_t sum;

	put(ip + 2, (uint32_t)(40 + n), 2);
	ip[8] = 64;
	ip[9] = 6;
	put(ip + 10, 0, 2);
	put(ip + 12, ends[back], 4);
	put(ip + 16, ends[!back], 4);
	put(ip + 10, ~add(0, ip, 20), 2);
	put(tcp, ports[back], 2);
	put(tcp + 2, ports[!back], 2);
	put(tcp + 4, seq, 4);
	put(tcp + 8, ack, 4);
	put(tcp + 12, 0x5000 | flags, 2);
	put(tcp + 14, 65535, 2);
	put(tcp + 16, 0, 2);
	sum = add(6 + 20 + (uint32_t)n + (n ? payload_sum : 0), ip + 12, 8);
	put(tcp + 16, ~add(sum, tcp, 20), 2);
	if (fwrite(head, sizeof head, 1, out) != 1 || fwrite(frame, HEAD + n, 1, out) != 1) {
		fprintf(stderr, "clear: cannot write\n");
		exit(1);
	}
}

/* Each of 0..flows-1 once a round: a generator of full period modulo a power of two, what is
 * too large left out. */
static uint32_t next_flow(uint32_t *at, uint32_t flows, uint32_t round)
{
	uint32_t mask = 1;

	while (mask < flows - 1)
		mask = mask * 2 + 1;
	do
		*at = (*at * (round * 8 + 1664525) + 1013904223) & mask;
	while (*at >= flows);
	return *at;
}

int main(int argc, char **argv)
{
	const uint32_t head[6] = { 0xa1b2c3d4, 2 | 4 << 16, 0, 0, 65535, 1 };
	static const char text[] = "a line that no protocol has for its own, of some length\n";
	uint32_t flows, rounds, at = 0;
	size_t n;

	if (argc != 5) {
		fprintf(stderr, "usage: clear FLOWS ROUNDS SIZE OUT\n");
		return 1;
	}
	flows = (uint32_t)strtoul(argv[1], NULL, 10);
	rounds = (uint32_t)strtoul(argv[2], NULL, 10);
	n = strtoul(argv[3], NULL, 10);
	out = fopen(argv[4], "wb");
	if (flows < 2 || flows > 1 << 24 || !n || n > LARGEST || !out ||
	    fwrite(head, sizeof head, 1, out) != 1) {
		fprintf(stderr, "clear: wrong numbers, or %s cannot be written\n", argv[4]);
		return 1;
	}
	for (size_t i = 0; i < n; i++)
		frame[HEAD + i] = (uint8_t)text[i % (sizeof text - 1)];
	payload_sum = add(0, frame + HEAD, n);
	for (uint32_t i = 0; i < flows; i++) {
		uint32_t flow = next_flow(&at, flows, 0);

		packet(flow, 0, SYN, flow, 0, 0);
		packet(flow, 1, SYN | ACK, 77, flow + 1, 0);
		packet(flow, 0, ACK, flow + 1, 78, 0);
	}
	for (uint32_t round = 1; round <= rounds; round++)
		for (uint32_t i = 0; i < flows; i++) {
			uint32_t flow = next_flow(&at, flows, round);

			packet(flow, 0, ACK, flow + 1 + (round - 1) * (uint32_t)n, 78, n);
		}
	return fclose(out) ? 1 : 0;
}
