/* lp_reader: captured packets in; out come TCP segments in batches, and the clock of the
 * capture: it never goes back, and each whole second that it passes is told at the packet
 * that moved it, before what that packet brings. One reader sees a whole capture (fragments
 * and tunnels need that), whatever the number of workers.
 *
 * Owner: its worker in this release. Single-threaded. Segments are lent for the call.
 * LP_E_NOMEM. */
#ifndef LP_READER_H
#define LP_READER_H

#include <limpid/limpid.h>

#include "net/decode.h"

/* Where it all goes. ns: the clock of the capture. */
struct lp_reader_sink {
	/* n may be 0: then just now there are no packets, perhaps time has passed. */
	void (*segments)(void *user, const struct lp_segment *s, size_t n, uint64_t ns);
	/* The clock has passed a whole second at packet number. */
	void (*second)(void *user, uint64_t number, uint64_t ns);
};

struct lp_reader;

/* sink outlives the reader. */
LP_MUST enum lp_err lp_reader_new(struct lp_reader **out, const struct lp_decode_config *config,
				  const struct lp_reader_sink *sink, void *user);
void lp_reader_free(struct lp_reader *r);

void lp_reader_packets(struct lp_reader *r, const struct lp_wire *packets, size_t n);

/* From now on packets stay where they are until the capture is closed: segments whose bytes lie
 * in one say so. elsewhere: their payload is looked at on other cores. */
void lp_reader_lend(struct lp_reader *r, bool elsewhere);

/* No packet came, but it is now_ns on the packets' clock. */
void lp_reader_advance(struct lp_reader *r, uint64_t now_ns);

/* Number of the last packet. */
uint64_t lp_reader_number(const struct lp_reader *r);

/* Times of the first packet and of the latest. */
void lp_reader_times(const struct lp_reader *r, uint64_t *first_ns, uint64_t *last_ns);

void lp_reader_stats(const struct lp_reader *r, struct lp_decode_stats *out);

#endif
