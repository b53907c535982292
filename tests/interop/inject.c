/* inject DEVICE FILE [TIMES]: sends the packets of a pcap file (this machine's byte order,
 * Ethernet) through a device as they are, that many times; prints how many. */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <arpa/inet.h>

enum { SIZE = 1 << 18 };

/* The queue of a device is short. */
static int put(int fd, const uint8_t *p, size_t n)
{
	while (send(fd, p, n, 0) < 0) {
		if (errno != ENOBUFS && errno != EAGAIN && errno != EINTR)
			return -1;
		(void)poll(NULL, 0, 1);
	}
	return 0;
}

int main(int argc, char **argv)
{
	struct sockaddr_ll to = { .sll_family = AF_PACKET };
	static uint8_t frame[SIZE];
	long times = argc > 3 ? atol(argv[3]) : 1, n = 0;
	int fd = socket(AF_PACKET, SOCK_RAW, 0); /* hears nothing */
	FILE *in = argc > 2 ? fopen(argv[2], "rb") : NULL;
	uint32_t h[4];

	to.sll_ifindex = argc > 2 ? (int)if_nametoindex(argv[1]) : 0;
	if (fd < 0 || !in || !to.sll_ifindex || bind(fd, (struct sockaddr *)&to, sizeof to)) {
		perror("inject DEVICE FILE [TIMES]");
		return 1;
	}
	while (times-- > 0) {
		if (fseek(in, 24, SEEK_SET))
			return 1;
		for (; fread(h, sizeof h, 1, in) == 1; n++)
			if (h[2] > SIZE || fread(frame, h[2], 1, in) != 1 || put(fd, frame, h[2])) {
				perror("inject");
				return 1;
			}
	}
	printf("%ld\n", n);
	return 0;
}
