/* Hurts a pcap file (this machine's byte order, Ethernet with IP, no tags) as sensors do.
 * Packets are counted in each TCP connection, from 1; the client is who sent its first.
 *   hurt IN OUT drop N          without packet N of each connection
 *   hurt IN OUT upto N          connections end behind packet N
 *   hurt IN OUT from N          … and begin with packet N
 *   hurt IN OUT snap BYTES      packets cut off
 *   hurt IN OUT only client|server
 *   hurt IN OUT flows A B       connections number A to B
 *   hurt IN OUT message TYPE AT HEX  overwrites bytes of the first handshake message of that type
 *                               in each connection; AT counts from its header (negative: the
 *                               record's), id+N in a hello from behind the session id; checksums
 *                               are made right
 *   hurt IN OUT copies PLACE ORDER
 *                               a packet of each connection comes twice, once with other bytes at
 *                               PLACE: the type, length or body of the client's first record of
 *                               application data, or a handshake message, by its type. ORDER: late
 *                               (the right one second), after (first), ahead (second, and both come
 *                               before what stands before them in the stream)
 *   hurt IN OUT behind N M      packet N of each connection comes behind its packet M
 *   hurt IN OUT drops STEP [LENGTH]
 *                               copies, 1000 s apart, in a VLAN each: every 16th is whole, as the
 *                               first; the others lack a packet N of each connection, or LENGTH
 *                               of them from there on. Tells "copy PLACE N" (N 0: whole) and
 *                               "toll PORT N …": what these may cost the connection of a
 *                               client's port (toll.h)
 *   hurt IN OUT each STEP       copies behind each other, 4000 s apart, in a VLAN each, hurt in
 *                               every way: at packets 1 to 16, then every STEP; their names go to
 *                               standard output, a line each */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ETHER = 14, MOST = 1 << 18, HEX_MOST = 256, WHOLE_EACH = 16 };

struct packet {
	uint32_t sec, usec, caplen, len;
	uint8_t *p;
	size_t flow, number; /* from 1; flow 0: no TCP */
	int client;
};

static struct packet *packets;
static size_t packets_n, longest;
static struct flow {
	uint8_t id[37]; /* version, addresses, ports as the client sends them */
	size_t n;
} *flows;
static size_t flows_n;
static FILE *out;
static unsigned apart = 4000;

static void *need(void *p)
{
	if (!p)
		exit(1);
	return p;
}

/* Version, source, destination, ports; 0 if it is no TCP. */
static int id_of(const struct packet *p, uint8_t id[37])
{
	const uint8_t *b = p->p;
	uint16_t type = p->caplen < ETHER + 40 ? 0 : (uint16_t)(b[12] << 8 | b[13]);

	memset(id, 0, 37);
	if (type == 0x0800 && b[23] == 6) {
		id[0] = 4;
		memcpy(id + 1, b + 26, 4);
		memcpy(id + 17, b + 30, 4);
		memcpy(id + 33, b + ETHER + 4 * (b[ETHER] & 15), 4);
		return 1;
	}
	if (type == 0x86dd && b[20] == 6 && p->caplen >= ETHER + 60) {
		id[0] = 6;
		memcpy(id + 1, b + 22, 32);
		memcpy(id + 33, b + ETHER + 40, 4);
		return 1;
	}
	return 0;
}

static void find_flow(struct packet *p)
{
	uint8_t id[37], back[37];
	size_t i;

	if (!id_of(p, id))
		return;
	back[0] = id[0];
	memcpy(back + 1, id + 17, 16);
	memcpy(back + 17, id + 1, 16);
	memcpy(back + 33, id + 35, 2);
	memcpy(back + 35, id + 33, 2);
	for (i = 0; i < flows_n; i++)
		if (!memcmp(flows[i].id, id, 37) || !memcmp(flows[i].id, back, 37))
			break;
	if (i == flows_n) {
		flows = need(realloc(flows, ++flows_n * sizeof *flows));
		flows[i].n = 0;
		memcpy(flows[i].id, id, 37);
	}
	p->flow = i + 1;
	p->number = ++flows[i].n;
	p->client = !memcmp(flows[i].id, id, 37);
	if (flows[i].n > longest)
		longest = flows[i].n;
}

static void read_all(FILE *in)
{
	struct packet p;
	uint32_t head[4];

	while (fread(head, sizeof head, 1, in) == 1) {
		p = (struct packet){ head[0], head[1], head[2], head[3], NULL, 0, 0, 0 };
		if (p.caplen > MOST)
			exit(1);
		p.p = need(malloc(p.caplen + 1));
		if (p.caplen && fread(p.p, p.caplen, 1, in) != 1)
			break; /* cut short */
		find_flow(&p);
		packets = need(realloc(packets, (packets_n + 1) * sizeof *packets));
		packets[packets_n++] = p;
	}
}

struct way {
	const char *name; /* drop, upto, from, snap, only, flows, whole */
	size_t n, m;
	int client;
};

/* vlan 0: no tag. */
static void write_packet(const struct packet *p, const struct way *w, unsigned vlan)
{
	const uint8_t tag[4] = { 0x81, 0, (uint8_t)(vlan >> 8), (uint8_t)vlan };
	uint32_t more = vlan ? 4 : 0;
	uint32_t head[4] = { p->sec + vlan * apart, p->usec, p->caplen + more, p->len + more };
	uint32_t n;

	if (!strcmp(w->name, "snap") && head[2] > w->n + more)
		head[2] = (uint32_t)w->n + more;
	n = head[2];
	if (fwrite(head, sizeof head, 1, out) != 1 || fwrite(p->p, 12, 1, out) != 1 ||
	    (vlan && fwrite(tag, 4, 1, out) != 1) ||
	    (n > 12 + more && fwrite(p->p + 12, n - 12 - more, 1, out) != 1))
		exit(1);
}

static void write_way(const struct way *w, unsigned vlan)
{
	for (size_t i = 0; i < packets_n; i++) {
		const struct packet *p = &packets[i];
		size_t k = p->number;

		if (p->caplen < ETHER ||
		    (!strcmp(w->name, "drop") && k && w->n && k >= w->n && k - w->n <= w->m) ||
		    (!strcmp(w->name, "upto") && k > w->n) ||
		    (!strcmp(w->name, "from") && k < w->n) ||
		    (!strcmp(w->name, "only") && k && p->client != w->client) ||
		    (!strcmp(w->name, "flows") && (p->flow < w->n || p->flow > w->m)))
			continue;
		write_packet(p, w, vlan);
	}
}

static void write_each(size_t step)
{
	static const char *const cut[] = { "drop", "upto", "from" };
	struct way all[4000] = {
		{ "whole", 0, 0, 0 }, { "only", 0, 0, 1 }, { "only", 0, 0, 0 },
		{ "snap", 60, 0, 0 }, { "snap", 100, 0, 0 }, { "snap", 300, 0, 0 },
		{ "snap", 1000, 0, 0 }, { "whole", 0, 0, 0 },
	};
	size_t n = 8;

	for (size_t k = 1; k <= longest && n + 3 <= 4000; k += k < 16 ? 1 : step)
		for (int i = 0; i < 3; i++)
			all[n++] = (struct way){ cut[i], k, 0, 0 };
	for (size_t i = 0; i < n; i++) {
		if (!strcmp(all[i].name, "only"))
			printf("only %s\n", all[i].client ? "client" : "server");
		else
			printf("%s %zu\n", all[i].name, all[i].n);
		write_way(&all[i], (unsigned)i + 1);
	}
}

#include "toll.h"

static void write_drops(size_t step, size_t length)
{
	unsigned copy = 0;

	apart = 1000;
	for (size_t k = 0; k <= longest; copy++) {
		struct way w = { "drop", copy % WHOLE_EACH ? k : 0, length - 1, 0 };

		if (copy >= 4090)
			exit(1);
		printf("copy %u %zu\n", copy, w.n);
		write_way(&w, copy + 1);
		if (w.n || !k)
			k += k < 16 ? 1 : step;
	}
	for (size_t flow = 1; flow <= flows_n; flow++)
		toll_flow(flow, length);
}

/* ---- overwriting bytes ---- */

static size_t unhex(const char *text, uint8_t *to)
{
	size_t n = strlen(text) / 2;
	unsigned v;

	for (size_t i = 0; i < n && i < HEX_MOST; i++) {
		if (sscanf(text + 2 * i, "%2x", &v) != 1)
			exit(1);
		to[i] = (uint8_t)v;
	}
	return n < HEX_MOST ? n : HEX_MOST;
}

static uint32_t add_up(const uint8_t *p, size_t n, uint32_t sum)
{
	for (size_t i = 0; i < n; i++)
		sum += i & 1 ? p[i] : (uint32_t)p[i] << 8;
	return sum;
}

static void right_checksum(struct packet *p)
{
	int six = p->p[12] == 0x86;
	size_t ip = six ? 40 : 4u * (p->p[ETHER] & 15);
	size_t len = six ? (size_t)(p->p[18] << 8 | p->p[19])
			 : (size_t)(p->p[16] << 8 | p->p[17]) - ip;
	uint8_t *tcp = p->p + ETHER + ip;
	uint32_t sum;

	if (ETHER + ip + len > p->caplen)
		return;
	tcp[16] = tcp[17] = 0;
	sum = add_up(p->p + (six ? 22 : 26), six ? 32 : 8, 6 + (uint32_t)len);
	sum = add_up(tcp, len, sum);
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	tcp[16] = (uint8_t)(~sum >> 8);
	tcp[17] = (uint8_t)~sum;
}

/* The handshake message of that type in the records that begin with the packet's payload. */
static uint8_t *find_message(struct packet *p, unsigned type)
{
	int six = p->p[12] == 0x86;
	size_t at = ETHER + (six ? 40 : 4u * (p->p[ETHER] & 15));

	at += 4u * (p->p[at + 12] >> 4);
	while (p->flow && at + 9 <= p->caplen && p->p[at] == 22 && p->p[at + 1] == 3) {
		size_t end = at + 5 + (size_t)(p->p[at + 3] << 8 | p->p[at + 4]), m = at + 5;

		for (; m + 4 <= end && m + 4 <= p->caplen;
		     m += 4u + (size_t)(p->p[m + 1] << 16 | p->p[m + 2] << 8 | p->p[m + 3]))
			if (p->p[m] == type)
				return p->p + m;
		at = end;
	}
	return NULL;
}

static int overwrite(unsigned type, const char *at, const char *hex)
{
	uint8_t *done = need(calloc(1, flows_n + 1)), bytes[HEX_MOST], *m;
	size_t n = unhex(hex, bytes), found = 0;
	long from = strtol(at + (strncmp(at, "id+", 3) ? 0 : 3), NULL, 10);

	for (size_t i = 0; i < packets_n; i++) {
		struct packet *p = &packets[i];

		if (!p->flow || done[p->flow] || !(m = find_message(p, type)))
			continue;
		if (!strncmp(at, "id+", 3))
			m += 39 + m[38];
		m += from;
		if (m < p->p || m + n > p->p + p->caplen)
			return 1;
		memcpy(m, bytes, n);
		right_checksum(p);
		done[p->flow] = 1;
		found++;
	}
	free(done);
	write_way(&(struct way){ "whole", 0, 0, 0 }, 0);
	return !found;
}

/* ---- copies, and packets out of their place ---- */

static size_t payload_of(const struct packet *p)
{
	size_t at = ETHER + (p->p[12] == 0x86 ? 40 : 4u * (p->p[ETHER] & 15));

	return at + 4u * (p->p[at + 12] >> 4);
}

/* Where the packet is changed, NULL: not this one. */
static uint8_t *place_in(struct packet *p, const char *place)
{
	size_t at;

	if (!p->flow)
		return NULL;
	if (*place >= '0' && *place <= '9') {
		uint8_t *m = find_message(p, (unsigned)strtoul(place, NULL, 10));

		return m ? m + 20 : NULL;
	}
	at = payload_of(p);
	if (!p->client || at + 40 > p->caplen || p->p[at] != 23 || p->p[at + 1] != 3)
		return NULL;
	return p->p + at + (!strcmp(place, "type") ? 0 : !strcmp(place, "length") ? 3 : 30);
}

static struct packet changed(const struct packet *p, size_t at, const char *place)
{
	struct packet lie = *p;

	lie.p = need(malloc(p->caplen));
	memcpy(lie.p, p->p, p->caplen);
	lie.p[at] = (uint8_t)(lie.p[at] + (strcmp(place, "length") ? 0x55 : 1));
	right_checksum(&lie);
	return lie;
}

/* The last packet with data before number i of the same side; i: there is none. */
static size_t one_before(size_t i)
{
	for (size_t j = i; j--;)
		if (packets[j].flow == packets[i].flow && packets[j].client == packets[i].client &&
		    packets[j].caplen > payload_of(&packets[j]))
			return j;
	return i;
}

static int copies(const char *place, const char *order)
{
	uint8_t *done = need(calloc(1, flows_n + 1)), *m;
	struct packet (*with)[3] = need(calloc(packets_n, sizeof *with)); /* in a packet's stead */
	size_t found = 0;

	for (size_t i = 0; i < packets_n; i++)
		with[i][0] = packets[i];
	for (size_t i = 0; i < packets_n; i++) {
		struct packet *p = &packets[i], lie;
		int late = strcmp(order, "after");
		size_t j;

		if (!p->flow || done[p->flow] || !(m = place_in(p, place)))
			continue;
		done[p->flow] = 1;
		found++;
		lie = changed(p, (size_t)(m - p->p), place);
		with[i][0] = late ? lie : *p;
		with[i][1] = late ? *p : lie;
		if (strcmp(order, "ahead"))
			continue;
		j = one_before(i);
		if (j == i)
			return 1;
		with[j][2] = with[j][0];
		for (int k = 0; k < 2; k++) {
			with[j][k] = with[i][k];
			with[j][k].sec = packets[j].sec;
			with[j][k].usec = packets[j].usec;
			with[i][k].p = NULL;
		}
	}
	for (size_t i = 0; i < packets_n; i++)
		for (int k = 0; k < 3; k++)
			if (with[i][k].p)
				write_packet(&with[i][k], &(struct way){ "whole", 0, 0, 0 }, 0);
	free(done);
	free(with);
	return !found;
}

static void write_behind(size_t n, size_t m)
{
	const struct way whole = { "whole", 0, 0, 0 };
	struct packet *kept = need(calloc(flows_n + 1, sizeof *kept));

	for (size_t i = 0; i < packets_n; i++) {
		struct packet *p = &packets[i];

		if (p->flow && p->number == n) {
			kept[p->flow] = *p;
			continue;
		}
		write_packet(p, &whole, 0);
		if (!p->flow || p->number != m)
			continue;
		kept[p->flow].sec = p->sec;
		kept[p->flow].usec = p->usec;
		write_packet(&kept[p->flow], &whole, 0);
	}
	free(kept);
}

int main(int argc, char **argv)
{
	uint8_t head[24];
	const char *what = argc > 4 ? argv[3] : "";
	struct way w = { what, 0, 0, 0 };
	FILE *in;
	int bad = 0;

	if (argc < 5 || !(in = fopen(argv[1], "rb")) || !(out = fopen(argv[2], "wb")) ||
	    fread(head, sizeof head, 1, in) != 1 || fwrite(head, sizeof head, 1, out) != 1) {
		fprintf(stderr, "usage: hurt IN OUT drop|upto|from|snap|only|flows|message|copies|behind|drops|each WHAT...\n");
		return 1;
	}
	read_all(in);
	w.n = strtoul(argv[4], NULL, 10);
	w.m = argc > 5 ? strtoul(argv[5], NULL, 10) : 0;
	w.client = !strcmp(argv[4], "client");
	if (!strcmp(what, "drops"))
		write_drops(w.n ? w.n : 1, w.m ? w.m : 1);
	else if (!strcmp(what, "each"))
		write_each(w.n ? w.n : 1);
	else if (!strcmp(what, "message"))
		bad = argc < 7 || overwrite((unsigned)w.n, argv[5], argv[6]);
	else if (!strcmp(what, "copies"))
		bad = argc < 6 || copies(argv[4], argv[5]);
	else if (!strcmp(what, "behind"))
		write_behind(w.n, w.m);
	else
		write_way(&w, 0);
	return fclose(out) || bad;
}
