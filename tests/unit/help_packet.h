/* help_packet: builds captured packets for tests, from the link layer up. Everything
 * that is zero in the description has a sensible meaning; everything can be made wrong.
 *
 *	struct help_packet h = { .src = "10.0.0.1", .dst = "10.0.0.2", .sport = 1000,
 *				 .dport = 443, .seq = 1, .flags = LP_TCP_ACK,
 *				 .payload = "hello", .len = 5 };
 *	uint8_t bytes[HELP_PACKET_MAX];
 *	struct lp_wire p = help_packet(&h, bytes, sizeof bytes);
 */
#ifndef HELP_PACKET_H
#define HELP_PACKET_H

#include "base/packet.h"
#include "net/segment.h"

enum { HELP_PACKET_MAX = 70000, HELP_TAGS = 10 };

/* Right is 0, so that it is what one gets without asking. */
enum help_csum { HELP_RIGHT, HELP_PSEUDO, HELP_BAD, HELP_ZERO, HELP_PSEUDO_NO_LENGTH };

/* help_packet.link is 0 for Ethernet, as NULL is what LINKTYPE_ 0 means. */
enum { HELP_ETHERNET = 0, HELP_NULL = -1 };

struct help_packet {
	/* link */
	int link;               /* HELP_ETHERNET, HELP_NULL or an enum lp_link */
	uint32_t null_family;   /* NULL and LOOP: as stored, in network order; 0 = 2 or 30 */
	uint16_t ethertype;     /* 0 = by the family */
	bool snap;              /* Ethernet: 802.3 length, LLC and SNAP before the EtherType */
	struct {
		uint16_t type;  /* 0x8100, 0x88a8 …; 0 = no more tags */
		uint16_t tci;
	} tag[HELP_TAGS];
	size_t pad;             /* bytes of 0xee after the IP packet */

	/* IP; the family is that of src */
	const char *src, *dst;  /* text; 4: 10.0.0.1 and 10.0.0.2 if NULL */
	uint8_t proto;          /* 0 = 6 */
	const uint8_t *ip_options; /* IPv4 options, or IPv6 extension headers as they stand */
	size_t ip_options_len;  /* IPv4: a multiple of 4 */
	uint8_t first_ext;      /* IPv6: what the first of them is */
	uint16_t fragment;      /* IPv4: flags and offset field */
	bool no_length;         /* total or payload length 0 */
	int32_t length_more;    /* added to the length field */
	enum help_csum ip_csum; /* RIGHT, BAD or ZERO */

	/* TCP, unless raw */
	bool raw;               /* payload follows IP as it stands */
	uint16_t sport, dport;  /* 0 = 1000, 443 */
	uint32_t seq, ack;
	uint8_t flags;
	uint8_t offset;         /* th_off; 0 = the right one */
	uint16_t window, urgent; /* window 0 = 65535 */
	const uint8_t *options; /* a multiple of 4 bytes */
	size_t options_len;
	const char *pseudo_dst; /* the address of the pseudo header, if not dst */
	enum help_csum csum;
	const void *payload;
	size_t len;

	/* capture */
	uint32_t snaplen;       /* 0 = all */
	uint64_t ts_ns, number;
};

/* The packet, in out. A description that does not fit fails the test. */
struct lp_wire help_packet(const struct help_packet *h, uint8_t *out, size_t size);

/* The checksum that RFC 1071 describes, bytewise and slow, as it stands in a header:
 * what the engine's is compared with. */
uint16_t help_packet_csum(const uint8_t *p, size_t n, uint32_t sum);

#endif
