/* net/decode: byte 0 picks link type and mode, byte 1 how much longer the packet was on the
 * wire. Whatever comes out as a segment must lie inside the packet. (One packet is never all
 * fragments of a datagram; those have fuzz_defrag.) What IPv4 in Ethernet is does not depend on a tag
 * of no VLAN, with which it is decoded layer by layer. */
#include <stdlib.h>
#include <string.h>

#include "net/decode.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void inside(const struct lp_wire *p, const uint8_t *at, size_t n)
{
	if (at < p->data || n > p->caplen || (size_t)(at - p->data) > p->caplen - n)
		abort();
}

static void same_if_tagged(const struct lp_decode_config *config, const struct lp_wire *p,
			   enum lp_drop drop, const struct lp_segment *s)
{
	uint8_t *tagged = malloc(p->caplen + 4);
	struct lp_wire q = *p;
	struct lp_segment t;
	struct lp_decode *d;
	enum lp_drop other;

	if (!tagged || lp_decode_new(&d, config)) {
		free(tagged);
		return;
	}
	memcpy(tagged, p->data, 12);
	memcpy(tagged + 12, (const uint8_t[]){ 0x81, 0, 0, 0 }, 4);
	memcpy(tagged + 16, p->data + 12, p->caplen - 12);
	q.data = tagged;
	q.caplen += 4;
	q.len += 4;
	other = lp_decode_packet(d, &q, &t);
	if (other != drop && other != LP_DROP_VLAN_DEPTH) /* of a frame in a tunnel: one too many */
		abort();
	if (!other && (s->seq != t.seq || s->ack != t.ack || s->sport != t.sport ||
		      s->dport != t.dport || s->flags != t.flags || s->window != t.window ||
		      s->urgent != t.urgent || s->csum != t.csum || s->family != t.family ||
		      s->no_length != t.no_length || s->domain != t.domain ||
		      s->tcp_len != t.tcp_len || s->options_len != t.options_len ||
		      s->payload_len != t.payload_len || s->wire_len != t.wire_len ||
		      s->src - p->data + 4 != t.src - tagged || s->dst - s->src != t.dst - t.src ||
		      s->tcp - s->src != t.tcp - t.src || s->options - s->tcp != t.options - t.tcp ||
		      s->payload - s->tcp != t.payload - t.tcp))
		abort();
	lp_decode_free(d);
	free(tagged);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	/* The first eight as they always were: the corpus knows them by number. */
	static const uint32_t links[] = { 1, 113, 276, 101, 228, 229, 0, 108, 105, 127 };
	struct lp_decode_config config;
	struct lp_wire p = { .number = 1 };
	struct lp_decode *d;
	struct lp_segment s;
	enum lp_drop drop;

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
	drop = lp_decode_packet(d, &p, &s);
	if (!drop) {
		inside(&p, s.src, s.family == 4 ? 4 : 16);
		inside(&p, s.dst, s.family == 4 ? 4 : 16);
		inside(&p, s.tcp, s.tcp_len);
		inside(&p, s.options, s.options_len);
		inside(&p, s.payload, s.payload_len);
		if (s.wire_len < s.payload_len || s.tcp_len < 20 || s.csum > LP_CSUM_UNKNOWN)
			abort();
	}
	if (p.link == LP_LINK_ETHERNET && p.caplen >= 14 && p.data[12] == 8 && !p.data[13])
		same_if_tagged(&config, &p, drop, &s);
	lp_decode_free(d);
	return 0;
}
