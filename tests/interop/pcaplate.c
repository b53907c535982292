/* A capture as a mirror port may deliver it: pcaplate IN OUT client|server MS, or
 * pcaplate IN OUT swap|syn.
 *
 * Delays all packets of one side by so many milliseconds, or lets each packet with data
 * change places with the next one of the other side, as far as they lie within 20 ms, or
 * has each SYN behind the third packet with data of its connection, if within 80 ms.
 * The side with the lower port is the server. Only files of this machine's byte order,
 * Ethernet and Linux cooked, without fragments and options of IPv6. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct packet {
	uint32_t head[4]; /* seconds, microseconds, captured, length */
	uint8_t *data;
	uint64_t time;
	size_t number;
	int server, flow, payload, syn;
};

static int be16(const uint8_t *p)
{
	return p[0] << 8 | p[1];
}

static void look(struct packet *p, size_t link)
{
	const uint8_t *ip = p->data + link, *tcp;
	int size;

	if (p->head[2] < link + 40)
		return;
	if (ip[0] >> 4 == 4) {
		tcp = ip + (ip[0] & 15) * 4;
		size = be16(ip + 2) - (int)(tcp - ip);
	} else {
		tcp = ip + 40;
		size = be16(ip + 4);
	}
	p->server = be16(tcp) < be16(tcp + 2);
	p->flow = p->server ? be16(tcp + 2) : be16(tcp);
	p->payload = size - (tcp[12] >> 4) * 4;
	p->syn = tcp[13] >> 1 & 1;
}

static int by_time(const void *a, const void *b)
{
	const struct packet *p = a, *q = b;

	if (p->time != q->time)
		return p->time < q->time ? -1 : 1;
	return p->number < q->number ? -1 : p->number > q->number;
}

static void swap(struct packet *p, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		size_t k = i + 1;

		while (k < n && p[k].time < p[i].time + 20000 &&
		       (p[k].flow != p[i].flow || p[k].server == p[i].server || !p[k].payload))
			k++;
		if (!p[i].payload || k >= n || p[k].time >= p[i].time + 20000)
			continue;
		p[i].number = k;
		p[k].number = i;
		p[i].time = p[k].time;
		qsort(p + i, k - i + 1, sizeof *p, by_time);
		i = k;
	}
}

/* From the end, so that a SYN-ACK still stands behind its SYN. */
static void syn_late(struct packet *p, size_t n)
{
	for (size_t i = n; i--;) {
		struct packet syn = p[i];
		size_t to = i;

		for (size_t k = i + 1, data = 0; syn.syn && data < 3 && k < n; k++) {
			if (p[k].time > syn.time + 80000 || (data && p[k].syn && p[k].flow == syn.flow))
				break;
			if (p[k].flow != syn.flow || !p[k].payload)
				continue;
			data++;
			to = k;
		}
		syn.time = p[to].time;
		memmove(p + i, p + i + 1, (to - i) * sizeof *p);
		p[to] = syn;
	}
}

int main(int argc, char **argv)
{
	static struct packet *p;
	uint8_t head[24];
	uint32_t kind;
	size_t n = 0, size = 0, link;
	FILE *in, *out;

	if (argc < 4 || !(in = fopen(argv[1], "rb")) || !(out = fopen(argv[2], "wb"))) {
		fprintf(stderr, "usage: pcaplate IN OUT client|server MS | pcaplate IN OUT swap|syn\n");
		return 1;
	}
	if (fread(head, sizeof head, 1, in) != 1 || fwrite(head, sizeof head, 1, out) != 1)
		return 1;
	memcpy(&kind, head + 20, 4);
	link = kind == 1 ? 14 : kind == 276 ? 20 : 16;
	for (;;) {
		struct packet *q;

		if (n == size) {
			p = realloc(p, (size = size * 2 + 100) * sizeof *p);
			if (!p)
				return 1;
		}
		q = &p[n];
		memset(q, 0, sizeof *q);
		if (fread(q->head, sizeof q->head, 1, in) != 1)
			break;
		q->data = calloc(1, q->head[2] + 100);
		if (!q->data || fread(q->data, q->head[2], 1, in) != 1)
			break; /* cut short */
		q->time = (uint64_t)q->head[0] * 1000000 + q->head[1];
		q->number = n++;
		look(q, link);
		if (argc == 5 && q->server == !strcmp(argv[3], "server"))
			q->time += (uint64_t)atol(argv[4]) * 1000;
	}
	if (argc == 4 && !strcmp(argv[3], "syn"))
		syn_late(p, n);
	else if (argc == 4)
		swap(p, n);
	else
		qsort(p, n, sizeof *p, by_time);
	for (size_t i = 0; i < n; i++) {
		p[i].head[0] = (uint32_t)(p[i].time / 1000000);
		p[i].head[1] = (uint32_t)(p[i].time % 1000000);
		if (fwrite(p[i].head, sizeof p[i].head, 1, out) != 1 ||
		    fwrite(p[i].data, p[i].head[2], 1, out) != 1)
			return 1;
	}
	return fclose(out) ? 1 : 0;
}
