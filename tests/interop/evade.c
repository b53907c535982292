/* Plays the cases of evade_cases.h:
 *   evade list                   the names, each with the client's port and what may
 *                                happen instead
 *   evade make DIR [6]           a capture of each, DIR/NAME.pcap, with a receiver that is
 *                                pretended, and DIR/NAME.want, what a Linux receiver gets
 *   evade tls BASE.pcap DIR      the same with a TLS connection: D is what the client of the
 *                                first session in BASE sends from its first application data on
 *   evade kernel DIR [6]         against the kernel, through a tun device (root, and a network
 *                                namespace of its own): the captures are those of the real
 *                                exchange; each case that the kernel does not agree with is
 *                                named, and the status is 1 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static const struct {
	const char *name, *script, *instead;
} cases[] = {
#include "evade_cases.h"
};

enum { CASES = sizeof cases / sizeof cases[0], MAX = 1 << 17, D_SIZE = 1500 };
enum { FIN = 1, SYN = 2, RST = 4, PSH = 8, ACK = 16, URG = 32 };

/* The data of a direction, where the script's place 1 is, and what was sent of it. */
static uint8_t data[2][MAX];
static size_t data_n[2], base[2];
static size_t cut[2]; /* TLS: where each side's second turn begins */

static struct {
	uint32_t isn[2];  /* of client, server */
	uint32_t next[2]; /* highest sequence number used */
	uint32_t ts;
	bool timestamps, six, tls;
	uint16_t port;
	uint32_t urgent[16]; /* places that are not in D */
	size_t urgents, got;
	uint64_t now_us;
	FILE *out;
	int tun, listener, conn;
} c;

struct packet {
	int side;
	uint32_t seq, ack;
	uint8_t flags;
	const uint8_t *payload;
	size_t n;
	bool sum, ipsum, zerosum, lost, twice, again, nots, md5;
	int doff, ihl, iplen, pad, ttl, vlan, urg, frag;
	char frag_how;
	int32_t ts;
};

static void die(const char *what, const char *name)
{
	fprintf(stderr, "evade: %s: %s%s%s\n", name, what, errno ? ": " : "", errno ? strerror(errno) : "");
	exit(2);
}

/* ---- the capture ---- */

static void record(const uint8_t *ip, size_t n, int vlan, int leg)
{
	uint8_t head[18] = { 2, 0, 0, 0, 0, (uint8_t)(1 + leg), 2, 0, 0, 0, 0, (uint8_t)(8 + leg) };
	size_t h = 12;
	uint32_t r[4];
	struct timespec t;

	if (vlan) {
		memcpy(head + h, (uint8_t[]){ 0x81, 0, 0, (uint8_t)vlan }, 4);
		h += 4;
	}
	memcpy(head + h, ip[0] >> 4 == 6 ? "\x86\xdd" : "\x08\x00", 2);
	h += 2;
	if (c.tun >= 0) {
		clock_gettime(CLOCK_REALTIME, &t);
		c.now_us = (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
	} else {
		c.now_us += 200;
	}
	r[0] = (uint32_t)(c.now_us / 1000000);
	r[1] = (uint32_t)(c.now_us % 1000000);
	r[2] = r[3] = (uint32_t)(h + n);
	fwrite(r, sizeof r, 1, c.out);
	fwrite(head, h, 1, c.out);
	fwrite(ip, n, 1, c.out);
}

/* ---- packets ---- */

static uint32_t add(uint32_t sum, const uint8_t *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		sum += i % 2 ? p[i] : (uint32_t)p[i] << 8;
	return sum;
}

static void put_sum(uint8_t *at, uint32_t sum)
{
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	at[0] = (uint8_t)~(sum >> 8);
	at[1] = (uint8_t)~sum;
}

static void put16(uint8_t *p, uint32_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static void put32(uint8_t *p, uint32_t v)
{
	put16(p, v >> 16);
	put16(p + 2, v);
}

static size_t ip_head(const struct packet *p, uint8_t *ip, size_t n, uint32_t id, int offset, bool more)
{
	static const uint8_t six[2][16] = { { 0xfd, 0x77, [15] = 2 }, { 0xfd, 0x77, [15] = 1 } };
	static const uint8_t four[2][4] = { { 10, 77, 0, 2 }, { 10, 77, 0, 1 } };
	int ttl = p->ttl ? p->ttl : 64;
	bool part = more || offset;

	if (c.six) {
		size_t h = part ? 48 : 40;

		memset(ip, 0, h);
		ip[0] = 0x60;
		put16(ip + 4, (uint32_t)(n + h - 40) + (uint32_t)p->iplen);
		ip[6] = part ? 44 : 6;
		ip[7] = (uint8_t)ttl;
		memcpy(ip + 8, six[p->side], 16);
		memcpy(ip + 24, six[!p->side], 16);
		if (part) {
			ip[40] = 6;
			put16(ip + 42, (uint32_t)offset | more);
			put32(ip + 44, id);
		}
		return h;
	}
	memset(ip, 0, 20);
	ip[0] = (uint8_t)(0x40 | (p->ihl ? p->ihl : 5));
	put16(ip + 2, (uint32_t)n + 20 + (uint32_t)p->iplen);
	put16(ip + 4, id);
	put16(ip + 6, (uint32_t)offset / 8 | (more ? 0x2000 : 0));
	ip[8] = (uint8_t)ttl;
	ip[9] = 6;
	memcpy(ip + 12, four[p->side], 4);
	memcpy(ip + 16, four[!p->side], 4);
	put_sum(ip + 10, add(0, ip, 20));
	if (p->ipsum)
		ip[10] ^= 0x55;
	return 20;
}

static void take_replies(void);

/* One IP packet, on the wire and in the capture. */
static void out(const struct packet *p, const uint8_t *ip, size_t n)
{
	int times = 1 + p->twice;

	while (times--) {
		record(ip, n, p->vlan, 0);
		if (p->again) {
			uint8_t leg[4096];

			memcpy(leg, ip, n);
			leg[c.six ? 7 : 8]--;
			if (!c.six) {
				leg[10] = leg[11] = 0;
				put_sum(leg + 10, add(0, leg, 20));
			}
			record(leg, n, p->vlan, 1);
		}
		if (c.tun >= 0 && p->side == 0 && !p->lost) {
			if (write(c.tun, ip, n) < 0 && errno != EINVAL)
				die("tun", "write");
			take_replies();
		}
	}
}

static void send_parts(const struct packet *p, const uint8_t *tcp, size_t n)
{
	static uint32_t id = 77;
	uint8_t ip[4096];
	size_t size = (size_t)p->frag, parts = (n + size - 1) / size;

	id++;
	for (size_t i = 0; i < parts; i++) {
		size_t k = p->frag_how == 'r' ? parts - 1 - i :
			   p->frag_how == 'l' ? (i + parts - 1) % parts : i;
		size_t from = k * size, m = from + size < n ? size : n - from, h;

		for (int copy = 0; copy < 1 + (p->frag_how == 't'); copy++) {
			h = ip_head(p, ip, m, id, (int)from, k + 1 < parts);
			memcpy(ip + h, tcp + from, m);
			out(p, ip, h + m);
		}
		if (p->frag_how == 'x' && k == 0) { /* overlaps the first and the second */
			h = ip_head(p, ip, size, id, (int)size / 2 & ~7, true);
			memset(ip + h, '!', size);
			out(p, ip, h + size);
		}
	}
}

static void send_packet(struct packet *p)
{
	uint8_t ip[4096], tcp[4096], pseudo[40] = { 0 };
	size_t o = 20, n, h;
	uint32_t sum;

	memset(tcp, 0, sizeof tcp);
	if (p->flags & SYN) {
		memcpy(tcp + o, "\x02\x04\x05\xb4\x01\x03\x03\x07", 8);
		o += 8;
	}
	if (c.timestamps && !p->nots) {
		memcpy(tcp + o, "\x01\x01\x08\x0a", 4);
		put32(tcp + o + 4, c.ts++ + (uint32_t)p->ts);
		o += 12;
	}
	if (p->md5) {
		memcpy(tcp + o, "\x01\x01\x13\x12", 4);
		memset(tcp + o + 4, 0xa5, 16);
		o += 20;
	}
	put16(tcp, p->side ? 443 : c.port);
	put16(tcp + 2, p->side ? c.port : 443);
	put32(tcp + 4, p->seq);
	put32(tcp + 8, p->flags & ACK ? p->ack : 0);
	tcp[12] = (uint8_t)((p->doff >= 0 ? p->doff : (int)o / 4) << 4);
	tcp[13] = p->flags;
	put16(tcp + 14, p->flags & SYN ? 64240 : 502); /* times 128 */
	if (p->urg >= 0) {
		tcp[13] |= URG;
		put16(tcp + 18, (uint32_t)p->urg);
	}
	if (p->n)
		memcpy(tcp + o, p->payload, p->n);
	n = o + p->n;
	h = ip_head(p, ip, n, p->seq & 0xffff, 0, false);
	memcpy(pseudo, ip + (c.six ? 8 : 12), c.six ? 32 : 8);
	put16(pseudo + 34, 6);
	put16(pseudo + 38, (uint32_t)n);
	sum = add(add(0, pseudo, 40), tcp, n);
	put_sum(tcp + 16, sum);
	if (p->sum)
		tcp[16] ^= 0x5a;
	if (p->zerosum)
		put16(tcp + 16, 0);
	if (p->frag) {
		send_parts(p, tcp, n);
		return;
	}
	memcpy(ip + h, tcp, n);
	memset(ip + h + n, 0xee, (size_t)p->pad);
	out(p, ip, h + n + (size_t)p->pad);
}

static struct packet packet(int side, uint32_t seq, uint8_t flags, const uint8_t *payload, size_t n)
{
	return (struct packet){ .side = side, .seq = seq, .ack = c.next[!side], .flags = flags,
				.payload = payload, .n = n, .doff = -1, .urg = -1 };
}

static void plain(int side, uint8_t flags, const uint8_t *payload, size_t n)
{
	struct packet p = packet(side, c.next[side], flags, payload, n);

	if (side && c.tun >= 0)
		return; /* the kernel speaks for itself */
	send_packet(&p);
	c.next[side] += (uint32_t)n + !!(flags & SYN) + !!(flags & FIN);
}

/* What the kernel answers: its sequence numbers, for the acknowledgements. */
static void take_replies(void)
{
	uint8_t buf[4096];
	ssize_t n;

	while ((n = read(c.tun, buf, sizeof buf)) > 0) {
		const uint8_t *tcp = buf + (buf[0] >> 4 == 6 ? 40 : 20);
		uint32_t seq;

		if (buf[0] >> 4 != (c.six ? 6 : 4) || buf[c.six ? 6 : 9] != 6 ||
		    (tcp[2] << 8 | tcp[3]) != c.port)
			continue;
		memcpy(&seq, tcp + 4, 4);
		seq = ntohl(seq);
		if ((tcp[13] & (SYN | ACK)) == (SYN | ACK)) {
			c.isn[1] = seq;
			c.next[1] = seq + 1;
		}
		record(buf, (size_t)n, 0, 0);
	}
}

/* ---- words ---- */

static void payload_of(const char **w, uint32_t place, uint8_t *to, size_t *n)
{
	*n = 0;
	while (**w == 'd' || **w == 'x' || **w == 'u') {
		char kind = *(*w)++;
		size_t k = strtoul(*w, (char **)(uintptr_t)w, 10);

		for (; k; k--, (*n)++) {
			uint32_t at = place + (uint32_t)*n;
			size_t i = base[0] + at - 1;

			for (size_t u = 0; u < c.urgents; u++)
				i -= c.urgent[u] < at;
			to[*n] = kind == 'x' ? (uint8_t)('A' + at % 26) : kind == 'u' ? '!' :
				 i < data_n[0] ? data[0][i] : '?';
		}
	}
}

static void mods(const char *w, struct packet *p, uint32_t *isn, const char *name)
{
	char word[32];
	int used;

	while (sscanf(w, ",%31[^,]%n", word, &used) == 1) {
		char *eq = strchr(word, '=');
		long v = eq ? strtol(eq + 1, NULL, 10) : 0;

		w += used;
		if (eq)
			*eq = '\0';
#define IS(x) else if (!strcmp(word, x))
		if (!strcmp(word, "sum")) p->sum = true;
		IS("ipsum") p->ipsum = true;
		IS("zerosum") p->zerosum = true;
		IS("lost") p->lost = true;
		IS("twice") p->twice = true;
		IS("again") p->again = true;
		IS("nots") p->nots = true;
		IS("md5") p->md5 = true;
		IS("rst") p->flags = (uint8_t)((p->flags & ~PSH) | RST);
		IS("syn") p->flags = (uint8_t)((p->flags & ~PSH) | SYN);
		IS("fin") p->flags |= FIN;
		IS("noack") p->flags &= (uint8_t)~ACK;
		IS("null") p->flags = 0;
		IS("ack") p->ack += (uint32_t)v;
		IS("ts") p->ts = (int32_t)v;
		IS("doff") p->doff = (int)v;
		IS("ihl") p->ihl = (int)v;
		IS("iplen") p->iplen = (int)v;
		IS("pad") p->pad = (int)v;
		IS("ttl") p->ttl = (int)v;
		IS("vlan") p->vlan = (int)v;
		IS("urg") p->urg = (int)v;
		IS("isn") *isn = (uint32_t)v;
		else if (!strncmp(word, "frag", 4)) {
			p->frag = (int)v;
			p->frag_how = word[4];
		} else
			die(word, name);
	}
}

static uint32_t seq_of(uint32_t place)
{
	return c.isn[0] + (uint32_t)base[0] + place;
}

static void segment(const char *w, const char *name)
{
	uint8_t payload[4096];
	int32_t place = (int32_t)strtol(w, (char **)(uintptr_t)&w, 10);
	struct packet p = packet(0, seq_of((uint32_t)place), PSH | ACK, payload, 0);
	uint32_t isn = 0, end;

	if (*w++ != ':')
		die("what is this word", name);
	payload_of(&w, (uint32_t)place, payload, &p.n);
	mods(w, &p, &isn, name);
	send_packet(&p);
	end = p.seq + (uint32_t)p.n;
	if (!p.sum && !p.ipsum && !(p.flags & (SYN | RST)) && place > 0 && place < 100000 &&
	    (int32_t)(end - c.next[0]) > 0)
		c.next[0] = end;
}

/* From place to the end of D, in segments. */
static void rest(uint32_t place)
{
	uint8_t payload[400];
	const char *w;
	char spec[16];
	size_t n = data_n[0] - base[0] + c.urgents + 1, k;

	for (; place < n; place += (uint32_t)k) {
		size_t m = n - place < sizeof payload ? n - place : sizeof payload;

		snprintf(spec, sizeof spec, "d%zu", m);
		w = spec;
		payload_of(&w, place, payload, &k);
		c.next[0] = seq_of(place);
		plain(0, PSH | ACK, payload, k);
	}
}

/* What came before D, and between: a TLS handshake. */
static void turn(int side, size_t from, size_t to)
{
	for (size_t n; from < to; from += n) {
		n = to - from < 1000 ? to - from : 1000;
		plain(side, PSH | ACK, data[side] + from, n);
	}
}

static void handshake_words(const char *w, const char *name)
{
	uint8_t payload[4096];
	struct packet p = packet(0, c.isn[0], SYN, payload, 0);
	const char *spec;
	uint32_t isn = 0;

	if (*w == 'S') {
		p.ack = 0;
		if (w[1] == ',' && (w[2] == 'd' || w[2] == 'x')) {
			spec = w + 2;
			/* Data of the SYN begins at the stream's first byte, before D in TLS. */
			size_t was = base[0];

			base[0] = 0;
			payload_of(&spec, 1, payload, &p.n);
			base[0] = was;
			w = spec - 1;
		}
		mods(w + 1, &p, &isn, name);
		p.flags &= (uint8_t)~ACK;
		p.seq += isn;
		send_packet(&p);
		c.next[0] = c.isn[0] + 1;
		return;
	}
	if (c.tun < 0) {
		c.next[1] = c.isn[1];
		plain(1, SYN | ACK, NULL, 0);
	}
	if (w[1] == ',' && !c.tls) {
		spec = w + 2;
		payload_of(&spec, 1, payload, &p.n);
		plain(0, PSH | ACK, payload, p.n);
		return;
	}
	plain(0, ACK, NULL, 0);
	if (c.tls) {
		turn(0, 0, cut[0]);
		turn(1, 0, cut[1]);
		turn(0, cut[0], base[0]);
		turn(1, cut[1], base[1]);
	}
}

static void nap(long ms)
{
	struct timespec t = { ms / 1000, ms % 1000 * 1000000 };

	if (c.tun < 0) {
		c.now_us += (uint64_t)ms * 1000;
		return;
	}
	nanosleep(&t, NULL);
	take_replies();
}

static void take_connection(void)
{
	int fd;

	while ((fd = accept4(c.listener, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
		if (c.conn >= 0)
			close(c.conn);
		c.conn = fd;
	}
	take_replies();
}

static void end(void)
{
	if (c.tun < 0 && c.tls)
		turn(1, base[1], data_n[1]);
	plain(0, FIN | ACK, NULL, 0);
	if (c.tun < 0) {
		plain(1, FIN | ACK, NULL, 0);
		plain(0, ACK, NULL, 0);
	}
}

static void one_word(char *w, const char *name)
{
	struct packet p;

	if (!strcmp(w, "4") || !strcmp(w, "6")) {
		return;
	} else if (!strcmp(w, "T")) {
		c.timestamps = true;
	} else if (!strcmp(w, "hs")) {
		handshake_words("S", name);
		handshake_words("H", name);
	} else if (*w == 'S' || *w == 'H') {
		handshake_words(w, name);
	} else if (!strncmp(w, "isn=", 4)) {
		c.isn[0] = (uint32_t)strtoul(w + 4, NULL, 16) - (c.tls ? (uint32_t)base[0] : 0);
		c.next[0] = c.isn[0];
	} else if (!strncmp(w, "a=", 2)) {
		p = packet(1, c.next[1], ACK, NULL, 0);
		p.ack = seq_of((uint32_t)atol(w + 2));
		if (c.tun < 0)
			send_packet(&p);
	} else if (!strncmp(w, "w=", 2)) {
		nap(atol(w + 2));
	} else if (!strncmp(w, "rest=", 5)) {
		rest((uint32_t)atol(w + 5));
	} else if (!strncmp(w, "got=", 4)) {
		c.got = (size_t)atol(w + 4);
	} else if (!strcmp(w, "fin")) {
		end();
	} else if (!strcmp(w, "close")) {
		end();
		take_connection();
		if (c.conn >= 0)
			close(c.conn);
		c.conn = -1;
		nap(20);
		if (c.tun >= 0) { /* its FIN */
			c.next[1]++;
			plain(0, ACK, NULL, 0);
		}
		c.isn[1] += 1000000;
	} else {
		segment(w, name);
	}
}

/* Places of urgent bytes have to be known from the start. */
static void find_urgent(const char *script)
{
	for (const char *w = script; w && *w; w = strchr(w, ' '), w += !!w) {
		char *at;
		unsigned long place = strtoul(w, &at, 10);

		if (*at++ != ':')
			continue;
		while (*at == 'd' || *at == 'x' || *at == 'u') {
			char kind = *at;
			unsigned long n = strtoul(at + 1, &at, 10);

			for (; n; n--, place++)
				if (kind == 'u')
					c.urgent[c.urgents++] = (uint32_t)place;
		}
	}
}

static void begin(size_t i, const char *dir, bool six)
{
	char path[512];
	static const uint32_t head[6] = { 0xa1b2c3d4, 4u << 16 | 2, 0, 0, 65535, 1 };
	bool tls = c.tls;
	int tun = c.tun, listener = c.listener;

	memset(&c, 0, sizeof c);
	c.six = six;
	c.tls = tls;
	c.tun = tun;
	c.listener = listener;
	c.conn = -1;
	c.isn[0] = c.next[0] = 1000000 + (uint32_t)i * 7919;
	c.isn[1] = c.next[1] = 5000000;
	c.ts = 4000000;
	c.got = SIZE_MAX;
	c.port = (uint16_t)(20000 + i);
	c.now_us = 1700000000000000 + i * 1000000;
	snprintf(path, sizeof path, "%s/%s.pcap", dir, cases[i].name);
	c.out = fopen(path, "wb");
	if (!c.out)
		die(path, "open");
	fwrite(head, sizeof head, 1, c.out);
	find_urgent(cases[i].script);
}

static void play(size_t i)
{
	char script[512], *w, *more = NULL;

	snprintf(script, sizeof script, "%s", cases[i].script);
	for (w = strtok_r(script, " ", &more); w; w = strtok_r(NULL, " ", &more)) {
		one_word(w, cases[i].name);
		if (c.tun >= 0)
			take_connection();
	}
}

static size_t wanted(void)
{
	size_t n = data_n[0] - base[0];

	return c.got < n ? c.got : n;
}

static void write_want(size_t i, const char *dir)
{
	char path[512];
	FILE *f;

	snprintf(path, sizeof path, "%s/%s.want", dir, cases[i].name);
	f = fopen(path, "wb");
	if (!f || fwrite(data[0] + base[0], 1, wanted(), f) != wanted() || fclose(f))
		die(path, "write");
}

/* ---- TLS ---- */

/* The two streams of the first connection in a capture (Ethernet, IPv4, in order). */
static void read_base(const char *path)
{
	static uint8_t frame[1 << 17];
	FILE *f = fopen(path, "rb");
	uint32_t h[4], isn[2] = { 0 };
	uint16_t client = 0;

	if (!f || fread(frame, 24, 1, f) != 1)
		die(path, "read");
	while (fread(h, 16, 1, f) == 1 && h[2] < sizeof frame && fread(frame, h[2], 1, f) == 1) {
		const uint8_t *ip = frame + 14, *tcp = ip + (ip[0] & 15) * 4;
		const uint8_t *p = tcp + (tcp[12] >> 4) * 4;
		size_t n = (size_t)(ip + (ip[2] << 8 | ip[3]) - p);
		uint16_t sport = (uint16_t)(tcp[0] << 8 | tcp[1]), dport = (uint16_t)(tcp[2] << 8 | tcp[3]);
		uint32_t seq;
		int side;

		memcpy(&seq, tcp + 4, 4);
		seq = ntohl(seq);
		if (!client && (tcp[13] & SYN))
			client = sport;
		if (sport != client && dport != client)
			continue;
		side = sport != client;
		if (tcp[13] & SYN)
			isn[side] = seq + 1;
		else if (n && seq - isn[side] + n <= MAX) {
			memcpy(data[side] + (seq - isn[side]), p, n);
			if (data_n[side] < seq - isn[side] + n)
				data_n[side] = seq - isn[side] + n;
		}
	}
	fclose(f);
	for (int side = 0; side < 2; side++) {
		size_t at = 0;

		cut[side] = 0;
		while (at + 5 <= data_n[side] && data[side][at] != 23) {
			const uint8_t *r = data[side] + at;

			/* The client's first turn is its first record, the server's ends
			 * where NewSessionTicket or ChangeCipherSpec begins. */
			if (!cut[side] && (side ? r[0] == 20 || (r[0] == 22 && r[5] == 4) : at > 0))
				cut[side] = at;
			at += 5u + (unsigned)(r[3] << 8 | r[4]);
		}
		base[side] = at;
		if (at + 5 > data_n[side])
			die(path, "no application data");
	}
	if (data_n[0] - base[0] < 700)
		die(path, "too little data of the client");
}

/* ---- the kernel ---- */

static void open_kernel(void)
{
	struct ifreq r = { .ifr_flags = IFF_TUN | IFF_NO_PI };
	struct sockaddr_in6 a = { .sin6_family = AF_INET6, .sin6_port = htons(443) };
	int one = 1, zero = 0;

	c.tun = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
	snprintf(r.ifr_name, sizeof r.ifr_name, "evade0");
	if (c.tun < 0 || ioctl(c.tun, TUNSETIFF, &r) < 0)
		die("tun", "open");
	if (system("ip link set evade0 up && ip addr add 10.77.0.1/24 dev evade0 && "
		   "ip addr add fd77::1/64 dev evade0 nodad"))
		die("ip", "addresses");
	c.listener = socket(AF_INET6, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (c.listener < 0 || setsockopt(c.listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) ||
	    setsockopt(c.listener, IPPROTO_IPV6, IPV6_V6ONLY, &zero, sizeof zero) ||
	    bind(c.listener, (struct sockaddr *)&a, sizeof a) || listen(c.listener, 64))
		die("socket", "listen");
}

/* Whether the kernel handed its reader what it should. */
static bool received(size_t i)
{
	static uint8_t got[MAX];
	size_t n = 0;
	ssize_t k;

	nap(5);
	take_connection();
	if (c.conn < 0) {
		printf("%s: no connection\n", cases[i].name);
		return false;
	}
	while ((k = recv(c.conn, got + n, sizeof got - n, 0)) > 0)
		n += (size_t)k;
	close(c.conn);
	take_replies();
	if (n == wanted() && !memcmp(got, data[0] + base[0], n))
		return true;
	printf("%s: the kernel gave %zu bytes, not %zu", cases[i].name, n, wanted());
	for (size_t j = 0; j < n && j < wanted(); j++)
		if (got[j] != data[0][base[0] + j]) {
			printf("; the first other one is byte %zu", j + 1);
			break;
		}
	printf("\n");
	return false;
}

/* Whether the case is about the other version of IP. */
static bool left_out(const char *script, bool six)
{
	static const char *const four[] = { "ipsum", "ihl=", "fragx" };

	if (*script == (six ? '4' : '6'))
		return true;
	for (size_t i = 0; i < sizeof four / sizeof four[0]; i++)
		if (six && strstr(script, four[i]))
			return true;
	return false;
}

int main(int argc, char **argv)
{
	bool kernel = argc > 2 && !strcmp(argv[1], "kernel"), make = argc > 2 && !strcmp(argv[1], "make");
	bool tls = argc > 3 && !strcmp(argv[1], "tls"), six = argc > 3 && !tls && !strcmp(argv[3], "6");
	const char *dir = tls ? argv[3] : argc > 2 ? argv[2] : "";
	int wrong = 0;

	if (argc == 2 && !strcmp(argv[1], "list")) {
		for (size_t i = 0; i < CASES; i++)
			printf("%s %zu %s\n", cases[i].name, 20000 + i, cases[i].instead ? cases[i].instead : "-");
		return 0;
	}
	if (!kernel && !make && !tls) {
		fprintf(stderr, "usage: evade list | make DIR [6] | tls BASE DIR | kernel DIR [6]\n");
		return 2;
	}
	c.tun = -1;
	c.tls = tls;
	if (tls) {
		read_base(argv[2]);
	} else {
		data_n[0] = D_SIZE;
		for (size_t i = 0; i < D_SIZE; i++)
			data[0][i] = (uint8_t)('a' + i * 7 % 26 - (i % 61 == 0 ? 32 : 0));
		memcpy(data[0], "not TLS: ", 9);
	}
	if (kernel)
		open_kernel();
	for (size_t i = 0; i < CASES; i++) {
		if (left_out(cases[i].script, six))
			continue;
		/* An end in the middle of a TLS stream has no expectation of its own; what
		 * comes before the handshake is not the script's. */
		if (tls && (strstr(cases[i].script, "got=") || strstr(cases[i].script, "S,x") ||
			    strstr(cases[i].script, "H,") || strstr(cases[i].script, "close")))
			continue;
		begin(i, dir, six);
		play(i);
		if (kernel && !received(i))
			wrong++;
		write_want(i, dir);
		if (fclose(c.out))
			die("capture", "write");
	}
	if (wrong)
		printf("%d cases of %d not as the kernel does\n", wrong, (int)CASES);
	return wrong ? 1 : 0;
}
