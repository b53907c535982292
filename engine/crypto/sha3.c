#include "crypto/sha3.h"

#include "base/secret.h"

enum { ROUNDS = 24, LANES = 25, RATE = 200 - 2 * LP_SHA3_512_SIZE };

static uint64_t rotate(uint64_t v, unsigned n)
{
	return n ? v << n | v >> (64 - n) : v;
}

/* FIPS 202 section 3.2.5: the round constants come out of a shift register. */
static uint64_t constant(uint8_t *lfsr)
{
	uint64_t v = 0;

	for (unsigned j = 0; j <= 6; j++) {
		if (*lfsr & 1)
			v ^= 1ULL << ((1U << j) - 1);
		*lfsr = (uint8_t)(*lfsr << 1 ^ (*lfsr & 0x80 ? 0x71 : 0));
	}
	return v;
}

/* Theta. */
static void mix_columns(uint64_t a[LANES])
{
	uint64_t c[5];

	for (unsigned x = 0; x < 5; x++)
		c[x] = a[x] ^ a[x + 5] ^ a[x + 10] ^ a[x + 15] ^ a[x + 20];
	for (unsigned x = 0; x < 5; x++) {
		uint64_t d = c[(x + 4) % 5] ^ rotate(c[(x + 1) % 5], 1);

		for (unsigned y = 0; y < LANES; y += 5)
			a[x + y] ^= d;
	}
	lp_wipe(c, sizeof c);
}

/* Rho and pi: one walk over all lanes but the first. */
static void move_lanes(uint64_t a[LANES])
{
	unsigned x = 1, y = 0;
	uint64_t held = a[1];

	for (unsigned t = 0; t < ROUNDS; t++) {
		unsigned next = (2 * x + 3 * y) % 5;
		uint64_t v;

		x = y;
		y = next;
		v = a[x + 5 * y];
		a[x + 5 * y] = rotate(held, (t + 1) * (t + 2) / 2 % 64);
		held = v;
	}
}

/* Chi. */
static void mix_rows(uint64_t a[LANES])
{
	for (unsigned y = 0; y < LANES; y += 5) {
		uint64_t row[5];

		for (unsigned x = 0; x < 5; x++)
			row[x] = a[x + y];
		for (unsigned x = 0; x < 5; x++)
			a[x + y] = row[x] ^ (~row[(x + 1) % 5] & row[(x + 2) % 5]);
	}
}

static void permute(uint64_t a[LANES])
{
	uint8_t lfsr = 1;

	for (unsigned i = 0; i < ROUNDS; i++) {
		mix_columns(a);
		move_lanes(a);
		mix_rows(a);
		a[0] ^= constant(&lfsr);
	}
}

void lp_sha3_512(const lp_span *parts, size_t n, uint8_t out[LP_SHA3_512_SIZE])
{
	uint64_t a[LANES] = { 0 };
	size_t at = 0;

	for (size_t i = 0; i < n; i++) {
		for (size_t j = 0; j < parts[i].n; j++) {
			a[at / 8] ^= (uint64_t)parts[i].p[j] << (8 * (at % 8));
			if (++at == RATE) {
				permute(a);
				at = 0;
			}
		}
	}
	a[at / 8] ^= 0x06ULL << (8 * (at % 8));
	a[(RATE - 1) / 8] ^= 0x80ULL << 56;
	permute(a);
	for (size_t i = 0; i < LP_SHA3_512_SIZE; i++)
		out[i] = (uint8_t)(a[i / 8] >> (8 * (i % 8)));
	lp_wipe(a, sizeof a);
}
