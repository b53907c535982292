#include "tap.h"

#include <stdlib.h>

#include "base/clock.h"

struct lp_tap {
	struct lp_capture *capture;
	struct lp_reader *reader;
	struct lp_capture_stats stats;
	enum lp_err fault;
};

enum lp_err lp_tap_new(struct lp_tap **out, struct lp_capture *capture,
		       const struct lp_decode_config *config, const struct lp_reader_sink *sink,
		       void *user)
{
	struct lp_tap *t = calloc(1, sizeof *t);
	enum lp_err err;

	*out = NULL;
	if (!t)
		return LP_E_NOMEM;
	t->capture = capture;
	err = lp_reader_new(&t->reader, config, sink, user);
	if (err)
		free(t);
	else
		*out = t;
	return err;
}

void lp_tap_free(struct lp_tap *t)
{
	if (!t)
		return;
	lp_reader_free(t->reader);
	free(t);
}

bool lp_tap_read(struct lp_tap *t)
{
	struct lp_wire packets[LP_BATCH];
	size_t n = 0;

	if (!t->fault)
		t->fault = lp_capture_read(t->capture, packets, LP_BATCH, &n);
	if (n)
		lp_reader_packets(t->reader, packets, n);
	else
		lp_reader_advance(t->reader, lp_clock_wall());
	return n > 0;
}

enum lp_err lp_tap_fault(const struct lp_tap *t)
{
	return t->fault;
}

void lp_tap_end(struct lp_tap *t)
{
	lp_capture_stats(t->capture, &t->stats);
}

int lp_tap_fd(const struct lp_tap *t)
{
	return lp_capture_fd(t->capture);
}

const struct lp_reader *lp_tap_reader(const struct lp_tap *t)
{
	return t->reader;
}

const struct lp_capture_stats *lp_tap_stats(const struct lp_tap *t)
{
	return &t->stats;
}
