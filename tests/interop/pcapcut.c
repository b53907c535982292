/* Takes packets out of a pcap file, as a sensor that missed them would:
 * pcapcut IN OUT NUMBER... (packets count from 1). Only files of this machine's byte order. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int main(int argc, char **argv)
{
	static uint8_t data[1 << 20];
	uint32_t head[4];
	FILE *in, *out;

	if (argc < 4 || !(in = fopen(argv[1], "rb")) || !(out = fopen(argv[2], "wb"))) {
		fprintf(stderr, "usage: pcapcut IN OUT NUMBER...\n");
		return 1;
	}
	if (fread(data, 24, 1, in) != 1 || fwrite(data, 24, 1, out) != 1)
		return 1;
	for (long n = 1; fread(head, sizeof head, 1, in) == 1; n++) {
		int drop = 0;

		if (head[2] > sizeof data || (head[2] && fread(data, head[2], 1, in) != 1))
			return 1;
		for (int i = 3; i < argc; i++)
			drop |= atol(argv[i]) == n;
		if (!drop && (fwrite(head, sizeof head, 1, out) != 1 ||
			      (head[2] && fwrite(data, head[2], 1, out) != 1)))
			return 1;
	}
	return fclose(out) ? 1 : 0;
}
