/* lp_pcapng: the blocks of a pcapng file (draft-ietf-opsawg-pcapng) out of bytes
 * that are handed in: sections in either byte order, interfaces each with its own
 * link type and clock, packets in Enhanced, Simple and the obsolete Packet Blocks,
 * secrets to a callback, everything else stepped over.
 * Owner: the embedding struct; lp_pcapng_init(), lp_pcapng_clear(). Does no I/O. */
#ifndef LP_CAPTURE_PCAPNG_H
#define LP_CAPTURE_PCAPNG_H

#include "capture/capture.h"

enum {
	LP_PCAPNG_MAX_BLOCK = 1 << 24,      /* bytes of a block that is looked into */
	LP_PCAPNG_MAX_INTERFACES = 1 << 16, /* of a section */
};

struct lp_pcapng_interface {
	uint32_t link, snaplen; /* snaplen 0: none */
	uint8_t tsresol;
	int64_t tsoffset; /* seconds */
	uint64_t unit;       /* nanoseconds of a tick, if that is all there is to it; or 0 */
	uint64_t most_ticks; /* … of which so many are no more than can be told */
};

struct lp_pcapng {
	bool begun;  /* a section header has been read */
	bool little; /* byte order of this section */
	struct lp_pcapng_interface *iface;
	size_t n_iface, room;
	uint32_t skip;    /* bytes to go of a block that is stepped over */
	uint32_t trailer; /* not 0: the length that must follow them */
	uint64_t last_ts; /* of the last packet with a time */
	lp_capture_secrets *secrets;
	void *user;
	const char *wrong; /* what LP_E_FORMAT meant; static */
};

void lp_pcapng_init(struct lp_pcapng *g, lp_capture_secrets *secrets, void *user);
void lp_pcapng_clear(struct lp_pcapng *g);

/* Looks at the front of in. LP_OK: *p is a packet; LP_MORE with *used > 0: no
 * packet, call again behind it; LP_MORE with *used == 0: *want bytes are needed
 * in front; LP_E_FORMAT; LP_E_NOMEM. *secret covers secrets among the used bytes. */
LP_MUST enum lp_err lp_pcapng_next(struct lp_pcapng *g, lp_span in, size_t *used, size_t *want,
				   struct lp_wire *p, lp_span *secret);

/* True between blocks, where the file may end. */
static inline bool lp_pcapng_whole(const struct lp_pcapng *g)
{
	return !g->trailer;
}

#endif
