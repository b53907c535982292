#include "warden/premaster.h"

#include <string.h>

#include "base/secret.h"

static const char label[] = "limpid";

enum lp_err lp_premaster_seed(const struct lp_crypto *crypto, lp_span der,
			      uint8_t seed[LP_PREMASTER_SEED])
{
	const lp_span parts[] = { lp_span_of(label, sizeof label - 1), der };

	return lp_digest_once(crypto, LP_SHA256, parts, 2, seed);
}

enum lp_err lp_premaster_substitute(const struct lp_crypto *crypto,
				    const uint8_t seed[LP_PREMASTER_SEED],
				    const uint8_t key_id[32], lp_span input,
				    uint8_t out[LP_PREMASTER_SIZE])
{
	const lp_span key = lp_span_of(seed, LP_PREMASTER_SEED);
	const lp_span parts[] = { lp_span_of(out, 32), lp_span_of(key_id, 32), input };
	uint8_t second[32];
	enum lp_err err;

	err = lp_mac_once(crypto, LP_SHA256, key, parts + 1, 2, out);
	if (err)
		return err;
	err = lp_mac_once(crypto, LP_SHA256, key, parts, 3, second);
	if (!err)
		memcpy(out + 32, second, LP_PREMASTER_SIZE - 32);
	lp_wipe(second, sizeof second);
	return err;
}

/* Hides a value from the optimiser, which could otherwise see that a mask has two
 * values only and make a branch of it. */
static inline uint32_t opaque(uint32_t v)
{
	__asm__ volatile("" : "+r"(v));
	return v;
}

/* 0xffffffff if v (below 2^31) is zero, else 0. */
static inline uint32_t is_zero(uint32_t v)
{
	return opaque(0U - ((v - 1) >> 31));
}

void lp_premaster_unpad(const uint8_t *block, size_t n,
			const uint8_t substitute[LP_PREMASTER_SIZE],
			uint8_t out[LP_PREMASTER_SIZE])
{
	uint32_t bad = 0;
	size_t zero = n - LP_PREMASTER_SIZE - 1; /* the only place for the separator */
	uint32_t take;

	if (n < 2 + 8 + 1 + LP_PREMASTER_SIZE) { /* a key too short for any premaster */
		memcpy(out, substitute, LP_PREMASTER_SIZE);
		return;
	}
	bad |= block[0];
	bad |= block[1] ^ 2U;
	for (size_t i = 2; i < zero; i++)
		bad |= is_zero(block[i]) & 1U;
	bad |= block[zero];
	bad |= block[zero + 1] ^ 3U; /* major version */
	take = is_zero(bad);
	for (size_t i = 0; i < LP_PREMASTER_SIZE; i++)
		out[i] = (uint8_t)((block[zero + 1 + i] & take) | (substitute[i] & ~take));
}

static uint8_t *put(uint8_t *at, const uint8_t *p, size_t n)
{
	*at++ = (uint8_t)(n >> 8);
	*at++ = (uint8_t)n;
	if (p)
		memcpy(at, p, n);
	else
		memset(at, 0, n);
	return at + n;
}

size_t lp_premaster_psk(lp_span other, lp_span psk, uint8_t out[LP_PREMASTER_PSK_ROOM])
{
	size_t n = other.n ? other.n : psk.n;
	uint8_t *at = out;

	if (n > LP_PREMASTER_PSK_ROOM / 2 - 2 || psk.n > LP_PREMASTER_PSK_ROOM / 2 - 2)
		return 0;
	at = put(at, other.n ? other.p : NULL, n);
	at = put(at, psk.p, psk.n);
	return (size_t)(at - out);
}
