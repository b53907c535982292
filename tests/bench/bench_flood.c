/* A SYN flood beside live sessions: the first session of a capture, 100 times over at other
 * addresses, each spread over a minute, and 1,000 SYNs a second from everywhere.
 *
 *	flood BASE.pcap OUT.pcap            makes the capture
 *	flood run PROGRAM ARGUMENTS...      runs it; says how much memory it took, in MiB */
#define _DEFAULT_SOURCE
#include <arpa/inet.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

enum { SESSIONS = 100, SECONDS = 60, RATE = 1000, PACKETS = 1000, LARGEST = 70000 };

static struct {
	uint8_t *bytes;
	uint32_t n;
} base[PACKETS];

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

/* New checksums for Ethernet, IPv4, TCP. */
static void seal(uint8_t *f)
{
	uint8_t *ip = f + 14, *tcp = ip + (ip[0] & 15) * 4;
	uint32_t n = (uint32_t)(ip[2] << 8 | ip[3]) - (uint32_t)(tcp - ip);

	ip[10] = ip[11] = tcp[16] = tcp[17] = 0;
	put_sum(ip + 10, add(0, ip, (size_t)(tcp - ip)));
	put_sum(tcp + 16, add(add(6 + n, ip + 12, 8), tcp, n));
}

static void put(FILE *out, uint64_t us, const uint8_t *f, uint32_t n)
{
	uint32_t h[4] = { (uint32_t)(us / 1000000), (uint32_t)(us % 1000000), n, n };

	if (fwrite(h, sizeof h, 1, out) != 1 || fwrite(f, n, 1, out) != 1)
		exit(2);
}

static size_t read_base(const char *path, uint8_t head[24])
{
	static uint8_t frame[LARGEST];
	FILE *f = fopen(path, "rb");
	uint16_t client = 0, ports[2];
	uint32_t h[4];
	size_t n = 0;

	if (!f || fread(head, 24, 1, f) != 1)
		exit(2);
	while (n < PACKETS && fread(h, 16, 1, f) == 1 && h[2] <= LARGEST && fread(frame, h[2], 1, f) == 1) {
		memcpy(ports, frame + 34, 4);
		if (!client)
			client = ports[0];
		if (ports[0] != client && ports[1] != client)
			continue;
		base[n].bytes = malloc(h[2]);
		if (!base[n].bytes)
			exit(2);
		memcpy(base[n].bytes, frame, h[2]);
		base[n++].n = h[2];
	}
	fclose(f);
	return n;
}

static int make(const char *from, const char *to)
{
	uint8_t head[24], frame[LARGEST], syn[54] = { [12] = 8, [14] = 0x45, [17] = 40, [22] = 64, [23] = 6 };
	uint64_t begun = 1700000000000000, ticks = (uint64_t)SECONDS * RATE;
	size_t n = read_base(from, head), done[SESSIONS] = { 0 };
	uint8_t client[4];
	FILE *out = fopen(to, "wb");
	uint32_t x = 1;

	if (!out || !n || fwrite(head, 24, 1, out) != 1)
		return 2;
	memcpy(client, base[0].bytes + 26, 4);
	syn[46] = 0x50;
	syn[47] = 2;
	memcpy(syn + 30, base[0].bytes + 30, 4);
	memcpy(syn + 36, base[0].bytes + 36, 2);
	for (uint64_t tick = 0; tick < ticks; tick++) {
		uint64_t us = begun + tick * (1000000 / RATE);

		for (size_t s = 0; s < SESSIONS; s++) {
			uint8_t address[4] = { 10, 1, 1, (uint8_t)(s + 1) };
			size_t due = (size_t)((tick + s * 7) * n / (ticks - 1)) + 1;

			for (; done[s] < due && done[s] < n; done[s]++) {
				uint8_t *f = memcpy(frame, base[done[s]].bytes, base[done[s]].n);
				/* Both ends may have one address: tell them by the port. */
				int back = memcmp(f + 34, base[0].bytes + 34, 2) != 0;

				memcpy(f + (back ? 30 : 26), address, 4);
				seal(f);
				put(out, us, f, base[done[s]].n);
			}
		}
		x = x * 1664525 + 1013904223;
		memcpy(syn + 26, &x, 4);
		syn[26] = 11;
		x = x * 1664525 + 1013904223;
		memcpy(syn + 34, &x, 2);
		memcpy(syn + 38, &x, 4);
		seal(syn);
		put(out, us + 1, syn, sizeof syn);
	}
	return fclose(out) ? 2 : 0;
}

int main(int argc, char **argv)
{
	struct rusage use;
	int status;
	pid_t pid;

	if (argc == 3)
		return make(argv[1], argv[2]);
	if (argc < 3)
		return 2;
	pid = fork();
	if (!pid) {
		execvp(argv[2], argv + 2);
		_exit(127);
	}
	if (pid < 0 || wait4(pid, &status, 0, &use) < 0 || !WIFEXITED(status) || WEXITSTATUS(status))
		return 2;
	printf("%ld\n", use.ru_maxrss / 1024);
	return 0;
}
