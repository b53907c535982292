/* Stands in front of a server and writes down what was said in clear before TLS:
 *
 *   relay PORT SERVER-PORT OUT [STEP]...
 *
 * takes one connection to PORT of 127.0.0.1 and passes everything on to SERVER-PORT and
 * back. OUT.client and OUT.server get what each side said before its first hello. Where
 * one of the two knows nothing of a prelude, the relay speaks for it first, in steps:
 *
 *   server=HEX   is sent to the server         client=HEX   to the client
 *   server:N     N bytes are awaited from it   client:N     from the client */
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { MOST = 1 << 20 };

/* What a side said until now, as far as it may be a prelude. */
static struct side {
	uint8_t said[MOST];
	size_t n;
	int fd;
	int hello; /* the message with which its TLS begins */
} side[2] = { { .hello = 1 }, { .hello = 2 } };

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static struct sockaddr_in local(const char *port)
{
	return (struct sockaddr_in){ .sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(port)),
				     .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
}

static int take(const char *port)
{
	struct sockaddr_in a = local(port);
	int one = 1, fd, s = socket(AF_INET, SOCK_STREAM, 0);

	setsockopt(s, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
	if (bind(s, (struct sockaddr *)&a, sizeof a) || listen(s, 1))
		die("listen");
	fd = accept(s, NULL, NULL);
	if (fd < 0)
		die("accept");
	close(s);
	return fd;
}

static int reach(const char *port)
{
	struct sockaddr_in a = local(port);
	int s = socket(AF_INET, SOCK_STREAM, 0);

	if (connect(s, (struct sockaddr *)&a, sizeof a))
		die("connect");
	return s;
}

static void keep(struct side *s, const uint8_t *p, size_t n)
{
	if (n > MOST - s->n)
		n = MOST - s->n;
	memcpy(s->said + s->n, p, n);
	s->n += n;
}

static void send_all(int fd, const uint8_t *p, size_t n)
{
	while (n) {
		ssize_t put = send(fd, p, n, MSG_NOSIGNAL);

		if (put <= 0)
			return;
		p += put;
		n -= (size_t)put;
	}
}

/* A step of a prelude of our own. */
static void step(const char *text)
{
	int to = !strncmp(text, "server", 6); /* side[1] is the server */
	const char *hex = text + 7;
	size_t n = 0, left = text[6] == ':' ? (size_t)atoi(text + 7) : 0;
	uint8_t p[4096];
	unsigned byte;

	for (; text[6] == '=' && n < sizeof p && sscanf(hex, "%2x", &byte) == 1; hex += 2)
		p[n++] = (uint8_t)byte;
	send_all(side[to].fd, p, n);
	keep(&side[1 - to], p, n);
	while (left) {
		ssize_t got = recv(side[to].fd, p, left < sizeof p ? left : sizeof p, 0);

		if (got <= 0)
			die(text);
		keep(&side[to], p, (size_t)got);
		left -= (size_t)got;
	}
}

/* One read of a side, to the other. 0: there was none. */
static int pass(int i)
{
	uint8_t p[65536];
	ssize_t n = recv(side[i].fd, p, sizeof p, 0);

	if (n <= 0) {
		shutdown(side[1 - i].fd, SHUT_WR);
		return 0;
	}
	keep(&side[i], p, (size_t)n);
	send_all(side[1 - i].fd, p, (size_t)n);
	return 1;
}

static void write_prelude(const char *out, const char *name, const struct side *s)
{
	char path[4096];
	size_t n = 0;
	FILE *f;

	for (; n + 6 <= s->n; n++) {
		const uint8_t *p = s->said + n;

		if (p[0] == 22 && p[1] == 3 && p[2] <= 3 && p[5] == s->hello)
			break;
	}
	snprintf(path, sizeof path, "%s.%s", out, name);
	f = fopen(path, "w");
	if (!f || fwrite(s->said, 1, n, f) != n || fclose(f))
		die(path);
}

int main(int argc, char **argv)
{
	int one = 1, open[2] = { 1, 1 };

	if (argc < 4)
		return 2;
	side[0].fd = take(argv[1]);
	side[1].fd = reach(argv[2]);
	for (int i = 0; i < 2; i++)
		setsockopt(side[i].fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
	for (int i = 4; i < argc; i++)
		step(argv[i]);
	while (open[0] || open[1]) {
		struct pollfd p[2] = { { open[0] ? side[0].fd : -1, POLLIN, 0 },
				       { open[1] ? side[1].fd : -1, POLLIN, 0 } };

		if (poll(p, 2, 30000) <= 0)
			break;
		for (int i = 0; i < 2; i++)
			if (p[i].revents)
				open[i] = pass(i);
	}
	write_prelude(argv[3], "client", &side[0]);
	write_prelude(argv[3], "server", &side[1]);
	return 0;
}
