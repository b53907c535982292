/* The bare reader: a capture through libpcap, and nothing done with it. `pcap FILE` prints
 * packets and bytes. */
#define _DEFAULT_SOURCE
#include <pcap/pcap.h>
#include <stdio.h>

int main(int argc, char **argv)
{
	char why[PCAP_ERRBUF_SIZE] = "usage: pcap FILE";
	pcap_t *in = argc == 2 ? pcap_open_offline(argv[1], why) : NULL;
	unsigned long long packets = 0, bytes = 0;
	struct pcap_pkthdr *head;
	const unsigned char *data;
	int r;

	if (!in) {
		fprintf(stderr, "pcap: %s\n", why);
		return 1;
	}
	while ((r = pcap_next_ex(in, &head, &data)) == 1) {
		packets++;
		bytes += head->caplen;
	}
	if (r != PCAP_ERROR_BREAK)
		fprintf(stderr, "pcap: %s\n", pcap_geterr(in));
	pcap_close(in);
	printf("%llu packets, %llu bytes\n", packets, bytes);
	return r != PCAP_ERROR_BREAK;
}
