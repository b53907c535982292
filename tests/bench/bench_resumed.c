/* Makes a capture of many resumed handshakes out of one that has a few:
 *
 *	resumed CAPTURE OUT N
 *
 * CAPTURE (classic pcap, Ethernet, IPv4, connections one after the other) has a full
 * handshake and what resumes it, twice: by ticket and by session ID (captures/resumed.pcap).
 * OUT gets the two full ones as they are, then N of the resumed ones, by turns, each as a
 * connection of its own from another address and port. All of it is real TLS: every copy
 * must be derived, opened and verified anew. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ETHER = 14, CONNECTIONS = 6, PACKETS = 64, ADDRESSES = 40000 };

struct packet {
	uint32_t n;
	uint8_t bytes[4096];
};

struct connection {
	struct packet packet[PACKETS];
	size_t n;
	uint16_t port; /* the client's, network order */
};

static struct connection connection[CONNECTIONS];
static size_t connections;
static uint64_t written;

static uint32_t sum(const uint8_t *p, size_t n, uint32_t s)
{
	for (size_t i = 0; i + 1 < n; i += 2)
		s += (uint32_t)p[i] << 8 | p[i + 1];
	if (n & 1)
		s += (uint32_t)p[n - 1] << 8;
	while (s >> 16)
		s = (s & 0xffff) + (s >> 16);
	return s;
}

static void set16(uint8_t *p, uint32_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static void fail(const char *why)
{
	fprintf(stderr, "resumed: %s\n", why);
	exit(1);
}

/* A connection begins with a SYN and is over before the next. */
static void take(const struct packet *p)
{
	const uint8_t *tcp = p->bytes + ETHER + 20;
	struct connection *c;

	if (p->n < ETHER + 40 || p->bytes[12] != 8 || p->bytes[ETHER] != 0x45)
		fail("not Ethernet with plain IPv4");
	if ((tcp[13] & 0x12) == 0x02) {
		if (connections == CONNECTIONS)
			fail("too many connections");
		memcpy(&connection[connections++].port, tcp, 2);
	}
	if (!connections || connection[connections - 1].n == PACKETS)
		fail("a packet too many");
	c = &connection[connections - 1];
	if (memcmp(tcp, &c->port, 2) != 0 && memcmp(tcp + 2, &c->port, 2) != 0)
		fail("connections are not one after the other");
	c->packet[c->n++] = *p;
}

static void put(FILE *out, const struct packet *p)
{
	const uint32_t head[4] = { 1700000000 + (uint32_t)(written / 1000000),
				   (uint32_t)(written % 1000000), p->n, p->n };

	written += 2;
	if (fwrite(head, sizeof head, 1, out) != 1 || fwrite(p->bytes, p->n, 1, out) != 1)
		fail("cannot write");
}

/* The same from client number i. */
static void put_as(FILE *out, const struct connection *c, uint32_t i)
{
	for (size_t k = 0; k < c->n; k++) {
		struct packet p = c->packet[k];
		uint8_t *ip = p.bytes + ETHER, *tcp = ip + 20;
		const size_t total = (size_t)ip[2] << 8 | ip[3];
		const int up = !memcmp(tcp, &c->port, 2);
		uint8_t *address = up ? ip + 12 : ip + 16;

		set16(up ? tcp : tcp + 2, 1024 + i % ADDRESSES);
		address[0] = 10;
		address[1] = (uint8_t)(1 + i / ADDRESSES);
		set16(ip + 10, 0);
		set16(ip + 10, ~sum(ip, 20, 0));
		set16(tcp + 16, 0);
		set16(tcp + 16, ~sum(tcp, total - 20, sum(ip + 12, 8, 6 + (uint32_t)total - 20)));
		put(out, &p);
	}
}

int main(int argc, char **argv)
{
	static struct packet p;
	uint32_t head[6], record[4], n;
	FILE *in, *out;

	if (argc != 4)
		fail("usage: resumed CAPTURE OUT N");
	in = fopen(argv[1], "rb");
	out = fopen(argv[2], "wb");
	n = (uint32_t)strtoul(argv[3], NULL, 10);
	if (!in || !out || fread(head, sizeof head, 1, in) != 1 || head[0] != 0xa1b2c3d4 ||
	    head[5] != 1 || fwrite(head, sizeof head, 1, out) != 1)
		fail("cannot open, or not a pcap of Ethernet");
	while (fread(record, sizeof record, 1, in) == 1) {
		p.n = record[2];
		if (p.n > sizeof p.bytes || fread(p.bytes, p.n, 1, in) != 1)
			fail("a packet is too long or cut");
		take(&p);
	}
	if (connections != CONNECTIONS)
		fail("wants a full handshake and two that resume it, twice");
	for (size_t c = 0; c < CONNECTIONS; c += 3)
		for (size_t k = 0; k < connection[c].n; k++)
			put(out, &connection[c].packet[k]);
	for (uint32_t i = 0; i < n; i++)
		put_as(out, &connection[i & 1 ? 4 : 1], i);
	return fclose(out) ? 1 : 0;
}
