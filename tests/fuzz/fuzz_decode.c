/* net/decode: byte 0 picks link type and mode, byte 1 how much longer the packet was on the
 * wire. Whatever comes out as a segment must lie inside the packet. (One packet is never all
 * fragments of a datagram; those have fuzz_defrag.) */
#include <stdlib.h>

#include "net/decode.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void inside(const struct lp_wire *p, const uint8_t *at, size_t n)
{
	if (at < p->data || n > p->caplen || (size_t)(at - p->data) > p->caplen - n)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	/* The first eight as they always were: the corpus knows them by number. */
	static const uint32_t links[] = { 1, 113, 276, 101, 228, 229, 0, 108, 105, 127 };
	struct lp_decode_config config;
	struct lp_wire p = { .number = 1 };
	struct lp_decode *d;
	struct lp_segment s;

	if (size < 2)
		return 0;
	lp_decode_config_default(&config);
	config.checksums = (enum lp_checksums)((data[0] >> 3) % 3);
	config.max_domains = 1;
	if (lp_decode_new(&d, &config))
		return 0;
	p.link = links[data[0] >= 0xf0 ? 8 + data[0] % 2 : data[0] % 8];
	p.data = data + 2;
	p.caplen = (uint32_t)size - 2;
	p.len = p.caplen + data[1] * 97u;
	if (!lp_decode_packet(d, &p, &s)) {
		inside(&p, s.src, s.family == 4 ? 4 : 16);
		inside(&p, s.dst, s.family == 4 ? 4 : 16);
		inside(&p, s.tcp, s.tcp_len);
		inside(&p, s.options, s.options_len);
		inside(&p, s.payload, s.payload_len);
		if (s.wire_len < s.payload_len || s.tcp_len < 20 || s.csum > LP_CSUM_UNKNOWN)
			abort();
	}
	lp_decode_free(d);
	return 0;
}
