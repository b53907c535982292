/* The whole path of a capture: file, decode, reassembly, TLS with the key at hand (its
 * answers at once, or late: the input's length decides). tests/unit/help_session.c
 * holds the TLS stage to its contract. */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "capture/capture.h"
#include "help_session.h"
#include "net/decode.h"

static struct lp_crypto_set crypto;
static struct help_play play = { .crypto = &crypto, .max_held_session = 20000 };

static enum lp_take on_open(void *user, struct lp_stream *s, const struct lp_when *when)
{
	(void)user;
	(void)when;
	s->user = malloc(sizeof(struct help_told));
	help_begin(s->user, &play);
	return LP_TAKE_ON;
}

static enum lp_take on_data(void *user, struct lp_stream *s, enum lp_side side, const uint8_t *p,
			    uint32_t n, uint64_t off, const struct lp_when *when)
{
	(void)user;
	help_data(s->user, side, p, n, off, when);
	return LP_TAKE_ON;
}

static void on_gap(void *user, struct lp_stream *s, enum lp_side side, uint64_t off, uint64_t n,
		   const struct lp_when *when)
{
	(void)user;
	help_gap(s->user, side, off, n, when);
}

static void on_close(void *user, struct lp_stream *s, enum lp_why why, const struct lp_when *when)
{
	const enum lp_end end = why == LP_WHY_RST ? LP_END_RST : LP_END_CAPTURE;
	const enum lp_end ends[2] = { s->fin & 1 ? LP_END_FIN : end, s->fin & 2 ? LP_END_FIN : end };

	(void)user;
	help_close(s->user, ends, s->conflict, when);
	help_told_clear(s->user);
	free(s->user);
}

static void run(struct lp_capture *c)
{
	static const struct lp_reasm_cb cb = { on_open, on_data, on_gap, on_close, NULL, NULL };
	struct lp_reasm_config rc;
	struct lp_decode_config dc;
	struct lp_wire p[LP_BATCH];
	struct lp_segment s;
	struct lp_decode *d;
	struct lp_reasm *r;
	size_t n;

	lp_reasm_config_default(&rc);
	lp_decode_config_default(&dc);
	rc.checksums = dc.checksums = LP_CHECKSUMS_OFF; /* else no change gets far */
	rc.max_flows = 64;
	HELP_REQUIRE(!lp_decode_new(&d, &dc) && !lp_tcp_native.init(&r, &rc, &cb, NULL));
	while (!lp_capture_read(c, p, LP_BATCH, &n))
		for (size_t i = 0; i < n; i++)
			if (!lp_decode_packet(d, &p[i], &s))
				HELP_REQUIRE(!lp_tcp_native.segments(r, &s, 1));
	lp_tcp_native.finish(r);
	lp_tcp_native.free(r);
	lp_decode_free(d);
}

static void free_key(void)
{
	help_key_free(play.key[0]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct lp_capture_config config = { .filter = NULL };
	char path[32], why[LP_WHY_SIZE];
	struct lp_capture *c;
	int fd = memfd_create("capture", MFD_CLOEXEC);

	if (!play.key[0]) {
		HELP_REQUIRE(!lp_crypto_choose(&crypto, "auto"));
		play.key[0] = help_key_new(&crypto, "keys/server.pem");
		help_key_limit(play.key[0], 64); /* the seeds', and some */
		atexit(free_key); /* it lies in memory that no leak checker looks at */
	}
	play.answers = (enum help_answers)(size % 3);
	play.after = size % 7;
	play.live = size & 1;
	play.flip = size % 5 == 4;
	HELP_REQUIRE(fd >= 0 && write(fd, data, size) == (ssize_t)size);
	snprintf(path, sizeof path, "/dev/fd/%d", fd);
	if (!lp_capture_open_file(&c, path, &config, why)) {
		run(c);
		lp_capture_close(c);
	}
	close(fd);
	return 0;
}
