/* A handshake as pieces: a byte whose lowest bit is the direction and whose next two
 * say what (0, 1: a fragment with a 16-bit length; 2: ChangeCipherSpec; 3: a gap). The
 * fragments are split by the rest of that byte, too. */
#include <stdlib.h>

#include "tls/handshake.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static enum lp_err feed(struct lp_handshake *hs, struct lp_messages *m, enum lp_dir dir, lp_span s,
			size_t piece)
{
	struct lp_message msg;
	enum lp_err err = LP_MORE;

	for (size_t at = 0; at < s.n && err == LP_MORE; at += piece) {
		lp_messages_push(m, lp_span_of(s.p + at, s.n - at < piece ? s.n - at : piece));
		while ((err = lp_messages_next(m, &msg)) == LP_OK) {
			if (msg.whole.n != msg.body.n + LP_MESSAGE_HEADER)
				abort();
			if (lp_handshake_message(hs, dir, &msg) && !hs->why)
				abort();
		}
	}
	return err;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct lp_cursor c = lp_cursor_of(data, size);
	struct lp_handshake *hs;
	struct lp_messages m[2];
	enum lp_err err = LP_MORE;

	if (lp_handshake_new(&hs, &lp_crypto_mbedtls))
		abort();
	lp_messages_init(&m[0]);
	lp_messages_init(&m[1]);
	while (lp_cursor_left(&c) && err >= 0) {
		uint8_t b = lp_cursor_u8(&c);
		enum lp_dir dir = b & 1 ? LP_S2C : LP_C2S;

		if ((b >> 1 & 3) == 2)
			err = lp_handshake_ccs(hs, dir);
		else if ((b >> 1 & 3) == 3)
			lp_handshake_gap(hs, dir);
		else
			err = feed(hs, &m[dir], dir, lp_cursor_vec16(&c), b >> 3 ? b >> 3 : 1u << 16);
		if (lp_handshake_turn(hs) < 0 || lp_handshake_turn(hs) > LP_TURN_EITHER)
			abort();
	}
	lp_messages_clear(&m[0]);
	lp_messages_clear(&m[1]);
	lp_handshake_free(hs);
	return 0;
}
