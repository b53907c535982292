/* What a ticket of OpenSSL's form costs to open, by each provider: with what the warden
 * keeps prepared for a key (an HMAC with its pads, a key schedule), and made anew each
 * time. The tickets are not sealed by anybody: the key was made to fit one of them, which
 * authenticates, decrypts and is read.
 *
 *	ticket [ROUNDS]      µs a ticket; status 1 if with libcrypto keeping saves less
 *	                     than a fifth */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "warden/ticket.h"

enum { CLEAR = 128, TICKET = 16 + 16 + CLEAR + 32 };

/* AES-CBC backwards: a ciphertext and the IV that makes its first block come out right is
 * enough for one block; the rest of the text is chosen block by block from the end. */
static void seal(const struct lp_crypto *c, struct lp_cipher_ctx *cipher, const uint8_t *clear,
		 uint8_t *iv, uint8_t *sealed)
{
	static const uint8_t zeros[16];
	uint8_t block[16];

	memset(sealed + CLEAR - 16, 0x5a, 16);
	for (size_t at = CLEAR; at; at -= 16) {
		uint8_t *before = at > 16 ? sealed + at - 32 : iv;

		if (c->decrypt(cipher, zeros, sealed + at - 16, 16, block))
			abort();
		for (size_t i = 0; i < 16; i++)
			before[i] = block[i] ^ clear[at - 16 + i];
	}
}

static void make(const struct lp_crypto_set *crypto, const struct lp_ticket_key *k, uint8_t *ticket)
{
	static const uint8_t head[] = { 0x30, 117, 2, 1, 1, 2, 2, 3, 3, 4, 2, 0xc0, 0x2f, 4, 0, 4, 48 };
	const struct lp_crypto *c = crypto->cipher[LP_AES_256_CBC];
	const lp_span signed_part = { ticket, TICKET - 32 };
	struct lp_cipher_ctx *cipher;
	uint8_t clear[CLEAR];

	memcpy(clear, head, sizeof head);
	memset(clear + sizeof head, 'm', 48);
	clear[65] = 0xa0;
	clear[66] = 52;
	memset(clear + 67, 0, 52);
	memset(clear + 119, 9, 9);
	memcpy(ticket, k->name, 16);
	if (c->cipher_new(LP_AES_256_CBC, lp_span_of(k->key.p + 32, 32), &cipher))
		abort();
	seal(c, cipher, clear, ticket + 16, ticket + 32);
	c->cipher_free(cipher);
	if (lp_mac_once(crypto->base, LP_SHA256, lp_span_of(k->key.p, 32), &signed_part, 1,
			ticket + TICKET - 32))
		abort();
}

static double run(const struct lp_ticket_key *k, const struct lp_ticket_try *t, long rounds, bool keep)
{
	struct lp_ticket_ctx ctx = { 0 };
	struct lp_ticket_session s;
	uint64_t begin = lp_clock_mono();

	for (long i = 0; i < rounds; i++) {
		if (lp_ticket_open(k, &ctx, t, &s))
			abort();
		if (!keep)
			lp_ticket_ctx_clear(&ctx, t->crypto);
	}
	lp_ticket_ctx_clear(&ctx, t->crypto);
	return (double)(lp_clock_mono() - begin) / 1000 / (double)rounds;
}

int main(int argc, char **argv)
{
	static const char *const names[] = { "mbedtls", "openssl" };
	const long rounds = argc > 1 ? atol(argv[1]) : 100000;
	uint8_t *ticket = malloc(TICKET), *room = lp_secret_alloc(TICKET);
	struct lp_ticket_key k = { .kind = LP_TICKET_NAMED, .first = 32, .name = "a name of a key" };
	int status = 0;

	k.key = (struct lp_secret){ lp_secret_alloc(64), 64 };
	for (size_t i = 0; i < 2; i++) {
		struct lp_crypto_set crypto;
		const struct lp_ticket_try t = { &crypto, { ticket, TICKET }, 0, room };
		double kept, anew;

		if (lp_crypto_choose(&crypto, names[i]))
			continue;
		make(&crypto, &k, ticket);
		kept = run(&k, &t, rounds, true);
		anew = run(&k, &t, rounds, false);
		printf("%s: %.2f µs a ticket, %.2f µs without what is kept (%.1f times)\n", names[i],
		       kept, anew, anew / kept);
		status |= i == 1 && kept > 0.8 * anew; /* mbedTLS computes too long for it to show */
	}
	return status;
}
