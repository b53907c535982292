/* A peer that makes records, all that lp_protect opens: limpid itself only decrypts. Its MACs are
 * mbedTLS's, its ciphers whose library has them (help_seal.h). */
#ifndef LP_TEST_HELP_SENDER_H
#define LP_TEST_HELP_SENDER_H

#include "tls/protect.h"

enum { HELP_SENDER_BIG = 20000, HELP_SENDER_STREAM = 80000 };

struct help_sender {
	const struct lp_suite *suite;
	const struct lp_cipher_info *info;
	uint16_t version;
	bool etm;
	size_t mac_len;      /* on the wire */
	size_t padding;      /* extra blocks of CBC padding */
	uint8_t mac[48], key[32], iv[16];
	uint64_t seq;
	uint8_t plain[HELP_SENDER_STREAM]; /* stream ciphers: all plaintext so far */
	size_t plain_n;
};

/* One record; its length, 0 if no library of the tests can make it. out: HELP_SENDER_BIG bytes. */
size_t help_sender_seal(struct help_sender *s, uint8_t type, const uint8_t *in, size_t n, uint8_t *out);

/* One connection: both senders, and who opens what they send. */
struct help_pair {
	struct lp_protect_params params;
	struct lp_protect reader[2];
	struct help_sender *sender[2];
};

/* The sender cuts the key block for itself. */
void help_pair_init(struct help_pair *x, struct lp_ctx_cache *cache, const struct lp_crypto *crypto,
		    const struct lp_suite *suite, uint16_t version, bool etm, bool truncated);
void help_pair_clear(struct help_pair *x);

#endif
