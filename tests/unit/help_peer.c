#include "help_peer.h"

#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "crypto/kdf.h"
#include "help_seal.h"
#include "tls/record.h"

enum { SUITE = 0x009c, VERSION = 0x0303 };

void help_peer_init(struct help_peer *p)
{
	memset(p, 0, sizeof *p);
	HELP_REQUIRE(lp_crypto_choose(&p->crypto, "auto") == LP_OK);
	help_fill(p->master, sizeof p->master, 99);
	p->play.crypto = &p->crypto;
	p->play.master = p->master;
	lp_buf_init(&p->transcript, SIZE_MAX / 2);
	lp_buf_init(&p->segment, SIZE_MAX / 2);
	lp_buf_init(&p->clear[0], SIZE_MAX / 2);
	lp_buf_init(&p->clear[1], SIZE_MAX / 2);
}

void help_peer_begin(struct help_peer *p)
{
	help_begin(&p->told, &p->play);
}

void help_peer_close(struct help_peer *p, enum lp_end end)
{
	const enum lp_end ends[2] = { end, end };

	p->when.number++;
	help_close(&p->told, ends, false, &p->when);
}

static void deflate_end(struct help_peer_keys *k)
{
	if (k->deflate)
		(void)deflateEnd(k->deflate);
	free(k->deflate);
	k->deflate = NULL;
}

static void deflate_begin(struct help_peer *p, struct help_peer_keys *k)
{
	deflate_end(k);
	k->deflate = calloc(1, sizeof *k->deflate);
	HELP_REQUIRE(k->deflate);
	HELP_REQUIRE(deflateInit2(k->deflate, 9, Z_DEFLATED, p->window_bits ? p->window_bits : 15,
				  8, Z_DEFAULT_STRATEGY) == Z_OK);
}

void help_peer_clear(struct help_peer *p)
{
	deflate_end(&p->now[0]);
	deflate_end(&p->now[1]);
	help_told_clear(&p->told);
	lp_buf_clear(&p->transcript);
	lp_buf_clear(&p->segment);
	lp_buf_clear(&p->clear[0]);
	lp_buf_clear(&p->clear[1]);
}

static void send_bytes(struct help_peer *p, enum lp_dir dir, const uint8_t *bytes, size_t n)
{
	enum lp_side side = dir == LP_C2S ? LP_A2B : LP_B2A;

	if (p->gather) {
		HELP_REQUIRE(!lp_buf_append(&p->segment, bytes, n));
		return;
	}
	p->when.number++;
	p->when.released_ns += 1000;
	p->when.carried_ns = p->when.released_ns;
	if (p->drop)
		help_gap(&p->told, side, p->off[dir], n, &p->when);
	else
		help_data(&p->told, side, bytes, n, p->off[dir], &p->when);
	p->off[dir] += n;
}

void help_peer_send(struct help_peer *p, enum lp_dir dir)
{
	lp_span all = lp_buf_span(&p->segment);

	p->gather = false;
	send_bytes(p, dir, all.p, all.n);
	lp_buf_clear(&p->segment);
}

static void be64(uint8_t *out, uint64_t v)
{
	for (int i = 0; i < 8; i++)
		out[i] = (uint8_t)(v >> (56 - 8 * i));
}

/* RFC 5288: an explicit nonce, the ciphertext, the tag. */
static size_t seal(struct help_peer *p, enum lp_dir dir, uint8_t type, const uint8_t *bytes,
		   size_t n, uint8_t *out)
{
	struct help_peer_keys *k = &p->now[dir];
	uint8_t nonce[12], aad[13];

	memcpy(nonce, k->iv, 4);
	be64(nonce + 4, k->nonce);
	be64(aad, k->seq++);
	k->nonce = p->wild_nonce ? k->nonce * 0x5851f42d4c957f2dULL + 11 : k->nonce + 1;
	aad[8] = type;
	aad[9] = VERSION >> 8;
	aad[10] = VERSION & 0xff;
	aad[11] = (uint8_t)(n >> 8);
	aad[12] = (uint8_t)n;
	memcpy(out, nonce + 4, 8);
	HELP_REQUIRE(help_seal_mbedtls(LP_AES_128_GCM, k->key, nonce, lp_span_of(aad, 13), bytes,
				       n, out + 8, out + 8 + n));
	return 8 + n + 16;
}

void help_peer_record(struct help_peer *p, enum lp_dir dir, uint8_t type, const void *bytes,
		      size_t n)
{
	z_stream *z = n && p->now[dir].on && !p->raw ? p->now[dir].deflate : NULL;
	uint8_t *out = malloc(LP_RECORD_HEADER + n + 24 + 1024 + 1), *packed = NULL;
	size_t body = n;

	HELP_REQUIRE(out);
	if (z) {
		packed = malloc(n + 1024);
		HELP_REQUIRE(packed);
		z->next_in = (Bytef *)(uintptr_t)bytes;
		z->avail_in = (uInt)n;
		z->next_out = packed;
		z->avail_out = (uInt)(n + 1024);
		HELP_REQUIRE(deflate(z, Z_SYNC_FLUSH) == Z_OK && !z->avail_in && z->avail_out);
		n = body = n + 1024 - z->avail_out;
		bytes = packed;
	}
	if (p->now[dir].on)
		body = seal(p, dir, type, bytes, n, out + 5);
	else
		memcpy(out + 5, bytes, n);
	out[0] = type;
	out[1] = VERSION >> 8;
	out[2] = VERSION & 0xff;
	out[3] = (uint8_t)(body >> 8);
	out[4] = (uint8_t)body;
	if (p->bad)
		out[5 + body / 2] ^= 4;
	send_bytes(p, dir, out, 5 + body);
	free(packed);
	free(out);
}

void help_peer_message(struct help_peer *p, enum lp_dir dir, uint8_t type, const void *body,
		       size_t n)
{
	uint8_t m[4 + 512] = { type, 0, (uint8_t)(n >> 8), (uint8_t)n };

	HELP_REQUIRE(n <= 512);
	if (n)
		memcpy(m + 4, body, n);
	if (type != LP_MSG_HELLO_REQUEST)
		HELP_REQUIRE(!lp_buf_append(&p->transcript, m, 4 + n));
	help_peer_record(p, dir, LP_CONTENT_HANDSHAKE, m, 4 + n);
}

void help_peer_data(struct help_peer *p, enum lp_dir dir, size_t n)
{
	uint8_t *bytes = malloc(n + 1);

	HELP_REQUIRE(bytes);
	help_fill(bytes, n, (uint32_t)p->when.number);
	if (!p->drop && !p->bad)
		HELP_REQUIRE(!lp_buf_append(&p->clear[dir], bytes, n));
	help_peer_record(p, dir, LP_CONTENT_DATA, bytes, n);
	free(bytes);
}

void help_peer_bye(struct help_peer *p, enum lp_dir dir)
{
	help_peer_record(p, dir, LP_CONTENT_ALERT, "\1\0", 2);
}

static void hello(struct help_peer *p, enum lp_dir dir)
{
	uint8_t body[2 + 32 + 8] = { VERSION >> 8, VERSION & 0xff };
	static const uint8_t offer[] = { 0, 0, 2, SUITE >> 8, SUITE & 0xff, 2, 1, 0 };
	const uint8_t choice[] = { 0, SUITE >> 8, SUITE & 0xff, p->deflate };

	help_fill(p->random[dir], 32, 1000 + 2 * p->handshakes + (uint32_t)dir);
	memcpy(body + 2, p->random[dir], 32);
	if (dir == LP_C2S) {
		lp_buf_clear(&p->transcript);
		memcpy(body + 34, offer, sizeof offer);
		help_peer_message(p, dir, LP_MSG_CLIENT_HELLO, body, 34 + sizeof offer);
	} else {
		memcpy(body + 34, choice, sizeof choice);
		help_peer_message(p, dir, LP_MSG_SERVER_HELLO, body, 34 + sizeof choice);
	}
}

void help_peer_client_hello(struct help_peer *p)
{
	hello(p, LP_C2S);
}

void help_peer_server_hello(struct help_peer *p)
{
	hello(p, LP_S2C);
	help_peer_message(p, LP_S2C, LP_MSG_SERVER_HELLO_DONE, NULL, 0);
}

void help_peer_exchange(struct help_peer *p)
{
	uint8_t body[258] = { 1, 0 };

	help_fill(body + 2, 256, 5);
	help_peer_message(p, LP_C2S, LP_MSG_CLIENT_KEY_EXCHANGE, body, sizeof body);
}

void help_peer_switch(struct help_peer *p, enum lp_dir dir)
{
	const struct lp_kdf kdf = { p->crypto.base, VERSION, LP_SHA256, NULL };
	uint8_t block[40];

	help_peer_record(p, dir, LP_CONTENT_CCS, "\1", 1);
	HELP_REQUIRE(!lp_kdf_key_block(&kdf, p->master, p->random[0], p->random[1], block, 40));
	memcpy(p->now[dir].key, block + 16 * dir, 16);
	memcpy(p->now[dir].iv, block + 32 + 4 * dir, 4);
	p->now[dir].seq = 0;
	p->now[dir].nonce = p->wild_nonce ? 77 : 0;
	p->now[dir].on = true;
	deflate_end(&p->now[dir]);
	if (p->deflate)
		deflate_begin(p, &p->now[dir]);
}

void help_peer_finished(struct help_peer *p, enum lp_dir dir)
{
	const struct lp_kdf kdf = { p->crypto.base, VERSION, LP_SHA256, NULL };
	lp_span all = lp_buf_span(&p->transcript);
	uint8_t hash[32], verify[12];

	HELP_REQUIRE(!lp_digest_once(p->crypto.base, LP_SHA256, &all, 1, hash));
	HELP_REQUIRE(!lp_kdf_verify_data(&kdf, p->master, dir == LP_C2S, lp_span_of(hash, 32),
					 verify));
	help_peer_message(p, dir, LP_MSG_FINISHED, verify, sizeof verify);
}

void help_peer_handshake(struct help_peer *p)
{
	help_peer_client_hello(p);
	help_peer_server_hello(p);
	help_peer_exchange(p);
	for (int dir = LP_C2S; dir <= LP_S2C; dir++) {
		help_peer_switch(p, (enum lp_dir)dir);
		help_peer_finished(p, (enum lp_dir)dir);
	}
	p->handshakes++;
}
