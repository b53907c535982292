/* nids_library: libnids 1.26, tamed. It is one instance a process and keeps its state
 * in globals, so this is, too.
 * Settings that are not a matter of taste: scan detection off (it indexes a table
 * with an unchecked number); sk_buff_size far below zero (its memory limit drops the
 * whole queue at 64 KiB otherwise); everything consumed in every callback (it
 * overflows an int otherwise); no stream freed from inside a callback; no fragments.
 * Errors: LP_E_UNSUPPORTED for a second instance; LP_E_NOMEM, after which libnids is
 * not to be called any more and lp_nids_stop() leaves its memory behind. */
#ifndef LP_NET_NIDS_LIBRARY_H
#define LP_NET_NIDS_LIBRARY_H

#include "base/cursor.h"
#include "base/stream.h"

struct tcp_stream; /* of libnids */

enum { LP_NIDS_TCP_MAX = 65535 - 20 };

/* Called from within lp_nids_feed(). What opened() returns is handed to the others. */
struct lp_nids_events {
	void *(*opened)(void *user, struct tcp_stream *stream);
	void (*data)(void *user, void *mark, enum lp_side side, const uint8_t *p, uint32_t n);
	void (*ended)(void *user, void *mark, enum lp_why why); /* the stream is gone then */
};

LP_MUST enum lp_err lp_nids_start(const struct lp_nids_events *events, void *user,
				  uint32_t max_flows);
void lp_nids_stop(void);

/* One segment, in an IPv4 packet made for it. Addresses are 4 bytes. */
LP_MUST enum lp_err lp_nids_feed(const uint8_t *src, const uint8_t *dst, lp_span tcp,
				 uint64_t ts_ns);

/* Whether segments above a hole wait in libnids, of the side that sent them. */
bool lp_nids_waits(const struct tcp_stream *stream, enum lp_side side);

/* Forgets a stream; or one that was never opened, by its addresses and ports (in host
 * order), the opener first. Not from within an event. */
void lp_nids_forget(struct tcp_stream *stream);
void lp_nids_forget_half(const uint8_t *src, const uint8_t *dst, uint16_t sport, uint16_t dport);

#endif
