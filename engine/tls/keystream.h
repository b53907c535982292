/* lp_keystream: a stream cipher's context, which is brought to the byte that is asked for
 * next. A stream cipher cannot go back, and to start anew costs as much as all that was
 * sent so far. So, from the first time that it must go elsewhere than on, it keeps two
 * copies: one that stands where it left, one that stands a little before where it was asked
 * to go last. Trials behind a hole then make the keystream from the hole on once.
 *
 * Owner: lp_protect, embedded; {0} is empty. Contexts lie in secret memory (they are the
 * provider's), and are wiped when they are freed. Units: bytes of keystream from the
 * epoch's beginning. Errors: LP_E_NOMEM, LP_E_UNSUPPORTED. */
#ifndef LP_TLS_KEYSTREAM_H
#define LP_TLS_KEYSTREAM_H

#include "crypto/crypto.h"

struct lp_keystream_marks;

struct lp_keystream {
	struct lp_cipher_ctx *ctx;
	uint64_t at;                      /* where it stands; whoever uses it moves this on */
	struct lp_keystream_marks *marks; /* NULL: it went on, and nowhere else */
};

/* How it is made, if it must be. */
struct lp_keystream_kind {
	const struct lp_crypto *crypto;
	enum lp_cipher cipher;
	lp_span key;
};

/* ctx stands at `to` afterwards. */
LP_MUST enum lp_err lp_keystream_seek(struct lp_keystream *k, const struct lp_keystream_kind *kind,
				      uint64_t to);

/* How many bytes were made that had been made before, since this was last asked. */
uint64_t lp_keystream_again(struct lp_keystream *k);

/* Where it stands is right: the copies are not needed any more. */
void lp_keystream_settle(struct lp_keystream *k, const struct lp_crypto *crypto);

void lp_keystream_clear(struct lp_keystream *k, const struct lp_crypto *crypto);

#endif
