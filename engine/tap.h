/* lp_tap: a device's handle that is one worker's own, with what decodes its packets. The
 * kernel shares packets out among the handles (lp_capture_open_fanout).
 *
 *   kernel ─► lp_tap (capture ─► lp_reader) ─► sink
 *
 * Owner: its worker's place in the crew; the capture is the caller's. One thread, the worker's;
 * once that is joined, anybody may ask for counts. Times in nanoseconds. */
#ifndef LP_TAP_H
#define LP_TAP_H

#include "capture/capture.h"
#include "reader.h"

struct lp_tap;

/* sink outlives the tap. LP_E_NOMEM. */
LP_MUST enum lp_err lp_tap_new(struct lp_tap **out, struct lp_capture *capture,
			       const struct lp_decode_config *config,
			       const struct lp_reader_sink *sink, void *user);
void lp_tap_free(struct lp_tap *t);

/* Hands on what packets there are, a batch at most; if there are none, the time. False: there
 * were none. After a fault of the capture there are none any more. */
bool lp_tap_read(struct lp_tap *t);

/* The fault of the capture, whose lp_capture_why() says more. */
LP_MUST enum lp_err lp_tap_fault(const struct lp_tap *t);

/* Nothing more is read: takes the kernel's counts. */
void lp_tap_end(struct lp_tap *t);

int lp_tap_fd(const struct lp_tap *t);
const struct lp_reader *lp_tap_reader(const struct lp_tap *t);
const struct lp_capture_stats *lp_tap_stats(const struct lp_tap *t);

#endif
