/* tls/handshake: messages out of records, the order of messages, what they teach. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/secret.h"
#include "crypto/kdf.h"
#include "help_tls.h"
#include "tls/handshake.h"
#include "tls/protect.h"
#include "tls/record.h"

static const struct lp_crypto *const crypto = &lp_crypto_mbedtls;

/* ---- messages ---- */

static char *messages_run(const uint8_t *p, size_t n, size_t piece, size_t cut)
{
	struct lp_messages m;
	struct lp_message msg;
	char *log = calloc(1, 1 << 16), *at = log;
	enum lp_err err = LP_MORE;
	size_t from = 0, len;

	lp_messages_init(&m);
	while (from < n && err == LP_MORE) {
		len = cut ? (from ? n - cut : cut) : piece;
		if (len > n - from)
			len = n - from;
		uint8_t *copy = malloc(len);

		memcpy(copy, p + from, len);
		lp_messages_push(&m, lp_span_of(copy, len));
		from += len;
		while ((err = lp_messages_next(&m, &msg)) == LP_OK) {
			uint32_t sum = 0;

			for (size_t i = 0; i < msg.body.n; i++)
				sum = sum * 31 + msg.body.p[i];
			ck_assert_uint_eq(msg.whole.n, msg.body.n + 4);
			at += sprintf(at, "%s %zu %08x\n", lp_message_name(msg.type), msg.body.n, sum);
		}
		free(copy);
	}
	at += sprintf(at, "%d partial=%d %zu\n", err, lp_messages_partial(&m), lp_messages_size(&m));
	lp_messages_clear(&m);
	return log;
}

START_TEST(messages_however_split)
{
	static const uint8_t bytes[] = {
		14, 0, 0, 0,                    /* two in one fragment, one of them empty */
		16, 0, 0, 3, 1, 2, 3,
		20, 0, 0, 12, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12,
		11, 0, 0, 9, 7, 7,              /* not whole */
	};
	char *whole = messages_run(bytes, sizeof bytes, sizeof bytes, 0), *other;

	ck_assert_str_eq(whole, "ServerHelloDone 0 00000000\nClientKeyExchange 3 00000402\n"
				"Finished 12 b09b44c6\n1 partial=1 13\n");
	other = messages_run(bytes, sizeof bytes, 1, 0);
	ck_assert_str_eq(whole, other);
	free(other);
	for (size_t cut = 1; cut < sizeof bytes; cut++) {
		other = messages_run(bytes, sizeof bytes, 0, cut);
		ck_assert_str_eq(whole, other);
		free(other);
	}
	free(whole);
}
END_TEST

START_TEST(message_of_16_megabytes)
{
	static const uint8_t huge[] = { 14, 0, 0, 0, 11, 0xff, 0xff, 0xff, 1, 2, 3 };
	static const uint8_t just[] = { 11, 2, 0, 1 }; /* 128 KiB and one byte */
	struct lp_messages m;
	struct lp_message msg;

	for (int bytewise = 0; bytewise < 2; bytewise++) {
		enum lp_err err = LP_MORE;

		lp_messages_init(&m);
		for (size_t i = 0; i < sizeof huge && (err == LP_MORE || err == LP_OK);
		     i += bytewise ? 1 : sizeof huge) {
			lp_messages_push(&m, lp_span_of(huge + i, bytewise ? 1 : sizeof huge));
			while ((err = lp_messages_next(&m, &msg)) == LP_OK)
				ck_assert_uint_eq(msg.type, LP_MSG_SERVER_HELLO_DONE);
		}
		ck_assert_int_eq(err, LP_E_LIMIT);
		ck_assert_ptr_null(m.held.mem); /* nothing is kept */
		ck_assert_str_eq(m.why, "handshake message longer than the cap (--set max-handshake)");
		lp_messages_push(&m, lp_span_of(huge, 4));
		ck_assert_int_eq(lp_messages_next(&m, &msg), LP_E_LIMIT); /* sticky */
		lp_messages_clear(&m);
	}
	lp_messages_init(&m);
	lp_messages_push(&m, lp_span_of(just, 4));
	ck_assert_int_eq(lp_messages_next(&m, &msg), LP_E_LIMIT);
	lp_messages_clear(&m);
}
END_TEST

START_TEST(message_of_the_greatest_length)
{
	size_t n = LP_MESSAGE_HEADER + LP_MESSAGE_MAX, from = 0;
	uint8_t *bytes = calloc(1, n);
	struct lp_messages m;
	struct lp_message msg;
	enum lp_err err = LP_MORE;

	bytes[0] = LP_MSG_CERTIFICATE;
	bytes[1] = 2;
	bytes[n - 1] = 77;
	lp_messages_init(&m);
	for (; from < n; from += 1000) {
		ck_assert_int_eq(err, LP_MORE);
		lp_messages_push(&m, lp_span_of(bytes + from, n - from < 1000 ? n - from : 1000));
		err = lp_messages_next(&m, &msg);
	}
	ck_assert_int_eq(err, LP_OK);
	ck_assert_uint_eq(msg.body.n, LP_MESSAGE_MAX);
	ck_assert_uint_eq(msg.body.p[LP_MESSAGE_MAX - 1], 77);
	ck_assert_int_eq(lp_messages_next(&m, &msg), LP_MORE);
	ck_assert_ptr_null(m.held.mem);
	lp_messages_clear(&m);
	free(bytes);
}
END_TEST

/* ---- recorded sessions ---- */

/* A recorded session on its way through the handshake. */
struct play {
	const struct tls_fixture *f;
	uint8_t bytes[2][4096], master[48], said[8192]; /* said: messages, as the test adds them up */
	size_t n[2], said_n, session_n;
	struct lp_handshake *hs;
	struct lp_records records[2];
	struct lp_messages messages[2];
	struct lp_protect keys[2];
	struct lp_ctx_cache cache;
	size_t piece;        /* handshake fragments are handed on in pieces of this size */
	bool late;           /* no keys before both ChangeCipherSpecs */
	bool sealed[2], over[2];
};

static void play_start(struct play *x, const char *name, size_t piece, bool late)
{
	memset(x, 0, sizeof *x);
	x->f = tls_fixture(name);
	x->piece = piece;
	x->late = late;
	tls_unhex(x->f->master, x->master, sizeof x->master);
	ck_assert_int_eq(lp_handshake_new(&x->hs, crypto), LP_OK);
	lp_ctx_cache_init(&x->cache, 2);
	for (int dir = 0; dir < 2; dir++) {
		x->n[dir] = tls_unhex(x->f->stream[dir], x->bytes[dir], sizeof x->bytes[dir]);
		lp_records_init(&x->records[dir], 0);
		lp_messages_init(&x->messages[dir]);
		lp_records_push(&x->records[dir], x->bytes[dir], x->n[dir]);
	}
}

static void play_end(struct play *x)
{
	for (int dir = 0; dir < 2; dir++) {
		lp_records_clear(&x->records[dir]);
		lp_messages_clear(&x->messages[dir]);
		lp_protect_clear(&x->keys[dir]);
	}
	lp_ctx_cache_clear(&x->cache);
	lp_handshake_free(x->hs);
}

static void play_derive(struct play *x)
{
	struct lp_protect_params params = { x->hs->suite, crypto, crypto, x->hs->facts.version, 1,
					    x->hs->facts.etm > 0, false, NULL };

	if (!lp_protect_ready(&x->keys[0]))
		ck_assert_int_eq(lp_protect_derive(&x->keys[0], &x->keys[1], &x->cache, &params, x->master,
						   x->hs->client_random, x->hs->server_random), LP_OK);
}

static void play_bytes(struct play *x, int dir, lp_span s)
{
	struct lp_message msg;
	enum lp_err err;
	size_t n;

	for (size_t at = 0; at < s.n; at += n) {
		n = s.n - at < x->piece ? s.n - at : x->piece;
		lp_messages_push(&x->messages[dir], lp_span_of(s.p + at, n));
		while ((err = lp_messages_next(&x->messages[dir], &msg)) == LP_OK) {
			if (!x->session_n || msg.type == LP_MSG_CLIENT_KEY_EXCHANGE)
				memcpy(x->said + x->said_n, msg.whole.p, msg.whole.n);
			x->said_n += msg.whole.n;
			if (msg.type == LP_MSG_CLIENT_KEY_EXCHANGE)
				x->session_n = x->said_n;
			err = lp_handshake_message(x->hs, (enum lp_dir)dir, &msg);
			ck_assert_msg(err == LP_OK, "%s: %s %s", x->f->name, lp_message_name(msg.type),
				      x->hs->why);
		}
		ck_assert_int_eq(err, LP_MORE);
	}
}

/* The next record of a direction; false if it cannot be used yet. */
static bool play_record(struct play *x, int dir)
{
	static uint8_t out[20000];
	struct lp_record rec;
	const char *why;
	size_t n;

	if (x->over[dir])
		return false;
	if (x->sealed[dir] && x->late && !lp_handshake_keyed(x->hs))
		return false;
	ck_assert_int_eq(lp_records_next(&x->records[dir], NULL, &rec), LP_OK);
	if (rec.type == LP_CONTENT_CCS) {
		ck_assert_int_eq(lp_handshake_ccs(x->hs, (enum lp_dir)dir), LP_OK);
		x->sealed[dir] = true;
		return true;
	}
	if (!x->sealed[dir]) {
		play_bytes(x, dir, rec.fragment);
		return true;
	}
	struct lp_sealed in = { rec.type, rec.version, rec.fragment };

	play_derive(x);
	ck_assert_int_eq(lp_protect_open(&x->keys[dir], 1, x->keys[dir].seq, &in, out, sizeof out, &n, &why),
			 LP_OK);
	ck_assert_int_eq(rec.type, LP_CONTENT_HANDSHAKE);
	play_bytes(x, dir, lp_span_of(out, n));
	x->over[dir] = true; /* Finished */
	return true;
}

/* To the end of the handshake, in the order that lp_handshake_turn() gives; the
 * client's sealed records go in as soon as they may if not `late`. */
static void play_all(struct play *x)
{
	for (int step = 0; !lp_handshake_done(x->hs); step++) {
		int turn = lp_handshake_turn(x->hs);

		ck_assert_int_lt(step, 100);
		if (!x->late && x->sealed[0] && !x->over[0] && !(x->hs->facts.resumed > 0 && !x->over[1]))
			turn = LP_C2S;
		if (turn == LP_TURN_EITHER)
			turn = LP_C2S;
		ck_assert(play_record(x, turn));
	}
}

static void verify_data(struct play *x, int dir)
{
	struct lp_kdf kdf = { crypto, x->hs->facts.version, (enum lp_digest)x->hs->suite->prf, NULL };
	const struct lp_finished *f = &x->hs->finished[dir];
	uint8_t want[LP_VERIFY_DATA_SIZE];

	ck_assert(f->seen && f->comparable);
	ck_assert_uint_eq(f->size, 12);
	ck_assert_int_eq(lp_kdf_verify_data(&kdf, x->master, dir == LP_C2S, lp_span_of(f->hash, f->hash_size),
					    want), LP_OK);
	ck_assert_mem_eq(want, f->verify_data, 12);
}

/* Every recorded handshake, in pieces of every size, with keys early and late: both
 * Finished verify, so the transcript is what the peers hashed. */
START_TEST(handshakes_of_openssl)
{
	static const size_t pieces[] = { 1, 2, 3, 7, 100, 20000 };
	static struct play x;
	struct lp_span_hash { uint8_t want[64]; } h;

	for (size_t i = 0; i < tls_fixtures_n; i++)
		for (size_t p = 0; p < 2 * sizeof pieces / sizeof pieces[0]; p++) {
			play_start(&x, tls_fixtures[i].name, pieces[p / 2], p % 2);
			play_all(&x);
			verify_data(&x, 0);
			verify_data(&x, 1);
			ck_assert(lp_handshake_keyed(x.hs));
			ck_assert_int_eq(x.hs->reason, LP_REASON_NONE);
			ck_assert_int_eq(lp_handshake_turn(x.hs), LP_TURN_EITHER);
			/* RFC 7627 section 3 */
			if (x.session_n) {
				lp_span said = { x.said, x.session_n };
				enum lp_digest d = x.hs->facts.version < 0x303 ? LP_MD5_SHA1
									       : (enum lp_digest)x.hs->suite->prf;
				struct lp_digest_ctx *ctx;

				ck_assert_int_eq(crypto->digest_new(d, &ctx), LP_OK);
				ck_assert_int_eq(crypto->digest_update(ctx, said), LP_OK);
				ck_assert_int_eq(crypto->digest_peek(ctx, h.want), LP_OK);
				crypto->digest_free(ctx);
				ck_assert_uint_eq(x.hs->session_hash_size, lp_digest_size(d));
				ck_assert_mem_eq(h.want, x.hs->session_hash, lp_digest_size(d));
				ck_assert(x.hs->exchange_done);
			} else {
				ck_assert_int_gt(x.hs->facts.resumed, 0);
				ck_assert_uint_eq(x.hs->session_hash_size, 0);
			}
			play_end(&x);
		}
}
END_TEST

START_TEST(facts_of_openssl)
{
	static struct play x;
	struct lp_facts f;

	play_start(&x, "tls12_gcm_ems", 5000, false);
	play_all(&x);
	ck_assert_uint_eq(x.hs->exchange.n, 128);
	ck_assert_uint_gt(x.hs->new_ticket.n, 100);
	f = x.hs->facts;
	ck_assert_uint_eq(f.client_version, 0x303);
	ck_assert_uint_eq(f.version, 0x303);
	ck_assert_uint_eq(f.suite, 0x9c);
	ck_assert_int_eq(f.ems, 1);
	ck_assert_int_eq(f.etm, 0); /* GCM: whatever the extensions say */
	ck_assert_int_eq(f.resumed, LP_RESUMED_NO);
	ck_assert_int_eq(f.client_cert, 0);
	ck_assert_str_eq(f.client->sni, "s.test");
	ck_assert_str_eq(f.client->alpns[0], "h2");
	ck_assert_str_eq(f.client->alpns[1], "http/1.1");
	ck_assert_ptr_null(f.client->alpns[2]);
	ck_assert_ptr_null(f.server->alpns);
	ck_assert_str_eq(f.client->ja3_hash, "3c62abcefa4377e1651d7eaf211974bf");
	ck_assert_str_eq(f.server->ja3_hash, "110000ad915ab9299cb0e19279cb104c");
	ck_assert_mem_eq(f.client->ja4, "t12d0206h2_", 11);
	ck_assert(f.cert_seen && f.server_cert && f.server_cert->has_key);
	ck_assert_int_eq(f.server_cert->key_kind, LP_CERT_KEY_RSA);
	ck_assert_uint_eq(f.server_cert->key_bits, 1024);
	ck_assert_str_eq(f.server_cert->info.subject, "CN=s.test");
	ck_assert_str_ne(f.server_cert->info.not_after, "");
	play_end(&x);

	play_start(&x, "tls11_cbc_etm_ems_client_cert", 5000, false);
	play_all(&x);
	ck_assert_uint_eq(x.hs->facts.version, 0x302);
	ck_assert_int_eq(x.hs->facts.ems, 1);
	ck_assert_int_eq(x.hs->facts.etm, 1);
	ck_assert_int_eq(x.hs->facts.client_cert, 1);
	ck_assert(x.hs->facts.cert_requested);
	ck_assert_str_eq(x.hs->facts.client_cert_info->info.subject, "CN=client");
	play_end(&x);

	play_start(&x, "tls12_ticket_resumed", 5000, false);
	play_all(&x);
	ck_assert_int_eq(x.hs->facts.resumed, LP_RESUMED_TICKET);
	ck_assert(x.hs->facts.ticket_offered);
	ck_assert_uint_gt(x.hs->ticket.n, 100);
	ck_assert_ptr_null(x.hs->facts.server_cert);
	play_end(&x);

	play_start(&x, "tls12_id_resumed", 5000, false);
	play_all(&x);
	ck_assert_int_eq(x.hs->facts.resumed, LP_RESUMED_ID);
	ck_assert_uint_eq(x.hs->client_sid_len, 32);
	ck_assert_mem_eq(x.hs->client_sid, x.hs->server_sid, 32);
	play_end(&x);

	play_start(&x, "tls12_ecdhe_cbc384", 5000, false);
	play_all(&x);
	ck_assert_uint_eq(x.hs->facts.group, 29); /* x25519 */
	ck_assert(x.hs->facts.exchange_seen);
	ck_assert_uint_eq(x.hs->exchange.n, 32);
	play_end(&x);
}
END_TEST

/* The order in which the records of a session are used, up to both Finished. */
static size_t order_of(const char *name, int order[100])
{
	static struct play x;
	size_t n = 0;

	play_start(&x, name, 20000, false);
	while (!lp_handshake_keyed(x.hs)) {
		ck_assert_uint_lt(n, 100);
		order[n] = lp_handshake_turn(x.hs);
		if (order[n] == LP_TURN_EITHER)
			order[n] = LP_C2S;
		ck_assert(play_record(&x, order[n++]));
	}
	play_end(&x);
	return n;
}

/* Message number `lost` of a session is not there. Returns its type, -1 if there are
 * not so many. */
static int play_with_hole(struct play *x, const char *name, int lost)
{
	struct lp_record rec;
	struct lp_message msg;
	int order[100], count = 0, lost_type = -1;
	size_t n = order_of(name, order);

	play_start(x, name, 20000, false);
	for (size_t i = 0; i < n; i++) {
		enum lp_dir dir = (enum lp_dir)order[i];

		ck_assert_int_eq(lp_records_next(&x->records[dir], NULL, &rec), LP_OK);
		if (rec.type == LP_CONTENT_CCS) {
			ck_assert_msg(lp_handshake_ccs(x->hs, dir) == LP_OK, "%s lost %d: %s", name, lost,
				      x->hs->why);
			continue;
		}
		lp_messages_push(&x->messages[dir], rec.fragment);
		while (lp_messages_next(&x->messages[dir], &msg) == LP_OK) {
			if (count++ == lost) {
				lost_type = msg.type;
				lp_handshake_gap(x->hs, dir);
				ck_assert_int_eq(lp_handshake_turn(x->hs), LP_TURN_EITHER);
			} else {
				ck_assert_msg(lp_handshake_message(x->hs, dir, &msg) == LP_OK,
					      "%s lost %d: %s", name, lost, x->hs->why);
			}
		}
	}
	return lost_type;
}

/* One clear message at a time is lost: the rest is followed all the same, and nothing
 * is known that cannot be. */
START_TEST(handshakes_with_a_hole)
{
	static struct play x;

	for (size_t i = 0; i < tls_fixtures_n; i++)
		for (int lost = 0, type = 0; type >= 0; lost++) {
			type = play_with_hole(&x, tls_fixtures[i].name, lost);
			ck_assert_msg(lp_handshake_keyed(x.hs), "%s lost %d", x.f->name, lost);
			if (type >= 0) {
				ck_assert_int_eq(x.hs->session_hash_size > 0, type == LP_MSG_CERTIFICATE_VERIFY ||
										      type == LP_MSG_NEW_SESSION_TICKET);
				ck_assert_int_eq(!x.hs->facts.client_version, type == LP_MSG_CLIENT_HELLO);
				ck_assert_int_eq(!x.hs->facts.version, type == LP_MSG_SERVER_HELLO);
			} else {
				ck_assert_int_gt(lost, 1);
			}
			play_end(&x);
		}
}
END_TEST

/* ---- the order of messages ---- */

/* One letter for each event. Small: client, capital: server. */
static const char all_events[] = "abeukvxpnifHTCSKRDXPFz?";

static const struct {
	char letter;
	int dir, type;
	const char *body; /* hexadecimal */
} events[] = {
	{ 'a', 0, LP_MSG_CLIENT_HELLO,
	  "0303" "0101010101010101010101010101010101010101010101010101010101010101" "00" "0004002f00ff" "0100" },
	{ 'b', 0, LP_MSG_CERTIFICATE, "000006000003313233" },
	{ 'e', 0, LP_MSG_CERTIFICATE, "000000" },
	{ 'u', 0, LP_MSG_CERTIFICATE_URL, "00" },
	{ 'k', 0, LP_MSG_CLIENT_KEY_EXCHANGE, "000441424344" },
	{ 'v', 0, LP_MSG_CERTIFICATE_VERIFY, "0102" },
	{ 'x', 0, -1, "" },
	{ 'p', 0, LP_MSG_SUPPLEMENTAL_DATA, "000000" },
	{ 'n', 0, LP_MSG_NEXT_PROTOCOL, "00" },
	{ 'i', 0, LP_MSG_ENCRYPTED_EXTENSIONS, "00" },
	{ 'f', 0, LP_MSG_FINISHED, "0102030405060708090a0b0c" },
	{ 'z', 0, LP_MSG_HELLO_REQUEST, "" }, /* not the client's to send */
	{ '?', 0, 99, "" },
	{ 'H', 1, LP_MSG_SERVER_HELLO,
	  "0303" "0202020202020202020202020202020202020202020202020202020202020202" "00" "002f" "00" },
	{ 'T', 1, LP_MSG_NEW_SESSION_TICKET, "00000e10000441424344" },
	{ 'C', 1, LP_MSG_CERTIFICATE, "000006000003313233" },
	{ 'S', 1, LP_MSG_CERTIFICATE_STATUS, "01000000" },
	{ 'K', 1, LP_MSG_SERVER_KEY_EXCHANGE, "00" },
	{ 'R', 1, LP_MSG_CERTIFICATE_REQUEST, "00" },
	{ 'D', 1, LP_MSG_SERVER_HELLO_DONE, "" },
	{ 'X', 1, -1, "" },
	{ 'P', 1, LP_MSG_SUPPLEMENTAL_DATA, "000000" },
	{ 'F', 1, LP_MSG_FINISHED, "0c0b0a090807060504030201" },
	{ 'r', 1, LP_MSG_HELLO_REQUEST, "" },
};

static enum lp_err say_body(struct lp_handshake *hs, int dir, int type, const char *hex)
{
	uint8_t bytes[256];
	size_t n = tls_unhex(hex, bytes + 4, sizeof bytes - 4);
	struct lp_message msg = { (uint8_t)type, { bytes + 4, n }, { bytes, n + 4 }, false };

	bytes[0] = (uint8_t)type;
	bytes[1] = 0;
	bytes[2] = 0;
	bytes[3] = (uint8_t)n;
	return lp_handshake_message(hs, (enum lp_dir)dir, &msg);
}

static enum lp_err say(struct lp_handshake *hs, char letter)
{
	for (size_t i = 0; i < sizeof events / sizeof events[0]; i++)
		if (events[i].letter == letter)
			return events[i].type < 0 ? lp_handshake_ccs(hs, (enum lp_dir)events[i].dir)
						  : say_body(hs, events[i].dir, events[i].type, events[i].body);
	ck_abort_msg("no event %c", letter);
	return LP_E_ARG;
}

static struct lp_handshake *told(const char *letters)
{
	struct lp_handshake *hs;

	ck_assert_int_eq(lp_handshake_new(&hs, crypto), LP_OK);
	for (; *letters; letters++)
		ck_assert_msg(say(hs, *letters) == LP_OK, "%s: %s", letters, hs->why);
	return hs;
}

/* All legal handshakes, up to where both have changed cipher spec; from there on and
 * from the client's ChangeCipherSpec on, what is sealed is woven in. */
static char legal[8000][24];
static size_t legal_n;

static void add(const char *s)
{
	ck_assert_uint_lt(legal_n, 8000);
	ck_assert_uint_lt(strlen(s), 24);
	strcpy(legal[legal_n++], s);
}

/* Weaves the client's sealed messages in anywhere behind x, F anywhere behind X. */
static void weave(const char *clear, bool extras)
{
	static const char *const sealed[] = { "f", "nf", "if", "nif" };
	size_t len = strlen(clear);
	char s[64], t[64];

	for (size_t k = 0; k < (extras ? 4 : 1); k++)
		for (size_t at = (size_t)(strchr(clear, 'x') - clear) + 1; at <= len; at++) {
			sprintf(s, "%.*s%s%s", (int)at, clear, sealed[k], clear + at);
			for (size_t to = (size_t)(strchr(s, 'X') - s) + 1; to <= strlen(s); to++) {
				sprintf(t, "%.*sF%s", (int)to, s, s + to);
				add(t);
			}
		}
}

static int compare_rows(const void *a, const void *b)
{
	return strcmp(a, b);
}

static void make_legal(void)
{
	static const char *const certs[] = { "", "C", "CS" };
	static const char *const tickets[] = { "", "T" };
	static const char *const answers[] = { "bkv", "bk", "ek", "ukv", "uk" };
	char s[64];

	legal_n = 0;
	for (int t = 0; t < 2; t++) {
		sprintf(s, "aH%sXx", tickets[t]);
		weave(s, true);
		for (int p = 0; p < 4; p++)
			for (int c = 0; c < 3; c++)
				for (int k = 0; k < 2; k++) {
					const char *up = p & 1 ? "P" : "", *low = p & 2 ? "p" : "";

					sprintf(s, "aH%s%s%sD%skx%sX", up, certs[c], k ? "K" : "", low, tickets[t]);
					weave(s, true);
					/* RFC 5246 7.4.4: only a server with a certificate, or one that
					 * made a key, may ask for one. */
					for (int a = 0; (c || k) && a < 5; a++) {
						sprintf(s, "aH%s%s%sRD%s%sx%sX", up, certs[c], k ? "K" : "", low,
							answers[a], tickets[t]);
						weave(s, p == 0 && c == 1 && k == 0);
					}
				}
	}
	qsort(legal, legal_n, sizeof legal[0], compare_rows);
}

/* The rows are sorted, so those with a common beginning stand together. */
static bool may_follow(size_t row, size_t n, char next)
{
	for (size_t i = row; i < legal_n && !strncmp(legal[i], legal[row], n); i++)
		if (legal[i][n] == next)
			return true;
	return false;
}

START_TEST(every_order_of_messages)
{
	size_t tried = 0;

	make_legal();
	for (size_t row = 0; row < legal_n; row++) {
		size_t len = strlen(legal[row]);
		struct lp_handshake *hs = told(legal[row]);

		ck_assert(lp_handshake_done(hs));
		lp_handshake_free(hs);
		for (size_t n = 0; n <= len; n++) {
			char prefix[24];

			if (row && !strncmp(legal[row - 1], legal[row], n))
				continue; /* tried from there */
			sprintf(prefix, "%.*s", (int)n, legal[row]);
			for (const char *e = all_events; *e; e++) {
				enum lp_err err;

				/* These may be repeated; not every row has n and i woven in. */
				if (*e == 'p' && n && prefix[n - 1] == 'p')
					continue;
				if (strchr("niXTF", *e) && strpbrk(prefix, "ni"))
					continue;
				if (strchr("ni", *e) && strchr(prefix, 'x') && !strchr(prefix, 'f'))
					continue;
				hs = told(prefix);
				err = say(hs, *e);
				tried++;
				ck_assert_msg((err == LP_OK) == may_follow(row, n, *e), "%s %c: %d", prefix,
					      *e, err);
				if (err) {
					ck_assert_int_eq(err, LP_E_ORDER);
					ck_assert_int_eq(hs->reason, LP_REASON_MALFORMED);
					ck_assert_ptr_nonnull(hs->why);
					/* It is over. */
					for (const char *g = all_events; *g; g++)
						ck_assert_int_eq(say(hs, *g), LP_E_ORDER);
				}
				lp_handshake_free(hs);
			}
		}
	}
	ck_assert_uint_gt(tried, 5000);
}
END_TEST

/* RFC 5246 7.4.1.1: HelloRequest may come at any time and is not hashed. */
START_TEST(hello_request_anywhere)
{
	static const char order[] = "aHCDkxfTX";
	struct lp_handshake *plain = told("aHCDkxfTXF"), *hs;

	for (size_t n = 0; n < strlen(order); n++) {
		ck_assert_int_eq(lp_handshake_new(&hs, crypto), LP_OK);
		for (size_t i = 0; i < strlen(order); i++) {
			if (i == n)
				ck_assert_int_eq(say(hs, 'r'), LP_OK);
			ck_assert_int_eq(say(hs, order[i]), LP_OK);
		}
		ck_assert(hs->hello_requested);
		ck_assert_int_eq(say(hs, 'F'), LP_OK);
		ck_assert_mem_eq(hs->finished[1].hash, plain->finished[1].hash, 32);
		ck_assert_mem_eq(hs->session_hash, plain->session_hash, 32);
		lp_handshake_free(hs);
	}
	lp_handshake_free(plain);
}
END_TEST

START_TEST(whose_turn_it_is)
{
	static const struct {
		const char *letters;
		int turn;
		bool keyed;
	} cases[] = {
		{ "", LP_TURN_EITHER, false },
		{ "a", LP_S2C, false },
		{ "aH", LP_S2C, false },
		{ "aHCK", LP_S2C, false },
		{ "aHCD", LP_C2S, false },
		{ "aHCRD", LP_C2S, false },
		{ "aHCRDb", LP_C2S, false },
		{ "aHCDk", LP_C2S, false },
		{ "aHCDkx", LP_S2C, false },
		{ "aHCDkxT", LP_S2C, false },
		{ "aHCDkxTX", LP_C2S, true },
		{ "aHCDkxXf", LP_S2C, true },
		{ "aHCDkxXfF", LP_TURN_EITHER, true },
		{ "aHT", LP_S2C, false },
		{ "aHTX", LP_C2S, false },
		{ "aHXx", LP_S2C, true },
		{ "aHXxF", LP_C2S, true },
		{ "aHXxFf", LP_TURN_EITHER, true },
	};

	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct lp_handshake *hs = told(cases[i].letters);

		ck_assert_msg(lp_handshake_turn(hs) == cases[i].turn, "%s", cases[i].letters);
		ck_assert_int_eq(lp_handshake_keyed(hs), cases[i].keyed);
		ck_assert_int_eq(lp_handshake_idle(hs), !i);
		lp_handshake_free(hs);
	}
}
END_TEST

/* Sealed messages may be handed in when the keys come; the transcript is the same. */
START_TEST(finished_early_or_late)
{
	struct lp_handshake *a = told("aHCDkxnfTXF"), *b = told("aHCDkxTnXfF"), *c = told("aHCDkxTXFnf");

	ck_assert(a->finished[0].comparable && a->finished[1].comparable);
	ck_assert(b->finished[0].comparable && b->finished[1].comparable);
	ck_assert_mem_eq(a->finished[0].hash, b->finished[0].hash, 32);
	ck_assert_mem_eq(a->finished[1].hash, b->finished[1].hash, 32);
	/* Out of turn: never a wrong comparison. */
	ck_assert(!c->finished[1].comparable && !c->finished[0].comparable);
	lp_handshake_free(a);
	lp_handshake_free(b);
	lp_handshake_free(c);
}
END_TEST

START_TEST(resumption_is_the_servers_choice)
{
	static const struct {
		const char *letters;
		int resumed;
	} cases[] = {
		{ "aH", -1 },
		{ "aHX", LP_RESUMED_ID },
		{ "aHT", LP_RESUMED_ID },
		{ "aHC", LP_RESUMED_NO },
		{ "aHK", LP_RESUMED_NO },
		{ "aHD", LP_RESUMED_NO },
		{ "aHP", LP_RESUMED_NO },
	};

	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct lp_handshake *hs = told(cases[i].letters);

		ck_assert_int_eq(hs->facts.resumed, cases[i].resumed);
		lp_handshake_free(hs);
	}
}
END_TEST

/* ---- bad content ---- */

#define RANDOM "0202020202020202020202020202020202020202020202020202020202020202"

START_TEST(bad_content)
{
	static const struct {
		const char *before;
		int dir, type;
		const char *body, *why;
	} cases[] = {
		{ "", 0, LP_MSG_CLIENT_HELLO, "0303", "ClientHello is cut short" },
		{ "a", 1, LP_MSG_SERVER_HELLO, "0303" RANDOM "00" "0035" "00",
		  "ServerHello chose a cipher suite that was not offered" },
		{ "a", 1, LP_MSG_SERVER_HELLO, "0304" RANDOM "00" "002f" "00",
		  "ServerHello chose a version above the client's" },
		{ "a", 1, LP_MSG_SERVER_HELLO, "0303" RANDOM "00" "002f" "00" "0004" "00170000",
		  "ServerHello has extended_master_secret, which was not offered" },
		{ "a", 1, LP_MSG_SERVER_HELLO, "0303" RANDOM "00" "002f" "00" "0004" "00160000",
		  "ServerHello has encrypt_then_mac, which was not offered" },
		{ "a", 1, LP_MSG_SERVER_HELLO, "0303" RANDOM "00" "002f" "00" "0004" "00040000",
		  "ServerHello has truncated_hmac, which was not offered" },
		{ "a", 1, LP_MSG_SERVER_HELLO, "0303" RANDOM "00" "002f" "01",
		  "ServerHello chose a compression method that was not offered" },
		{ "a", 1, LP_MSG_SERVER_HELLO, "0303" RANDOM "00" "002f" "00" "0005" "0001000101",
		  "ServerHello has max_fragment_length, which was not offered" },
		{ "a", 1, LP_MSG_SERVER_HELLO, "0303" RANDOM "00" "002f" "00" "0008" "0010000400020161",
		  "ServerHello has application_layer_protocol_negotiation, which was not offered" },
		{ "a", 1, LP_MSG_SERVER_HELLO, "0303" RANDOM "00" "002f" "00" "0006" "002b00020304",
		  "ServerHello chose a version above the client's" },
		{ "aH", 1, LP_MSG_CERTIFICATE, "000007000003313233",
		  "Certificate: list does not fill the message" },
		{ "aH", 1, LP_MSG_CERTIFICATE, "000006000004313233", "Certificate: an entry is cut short" },
		{ "aH", 1, LP_MSG_CERTIFICATE, "ffffff", "Certificate: list does not fill the message" },
		{ "aHCRD", 0, LP_MSG_CERTIFICATE, "00", "Certificate: list does not fill the message" },
		{ "aHCD", 0, LP_MSG_CLIENT_KEY_EXCHANGE, "0005414243", "malformed ClientKeyExchange" },
		{ "aHCD", 0, LP_MSG_CLIENT_KEY_EXCHANGE, "000141424344", "malformed ClientKeyExchange" },
		{ "aHCD", 0, LP_MSG_CLIENT_KEY_EXCHANGE, "", "malformed ClientKeyExchange" },
		{ "aHCDkx", 1, LP_MSG_NEW_SESSION_TICKET, "00000e10000541424344", "malformed NewSessionTicket" },
		{ "aHCDkx", 0, LP_MSG_FINISHED, "0102030405060708090a0b", "Finished of a wrong length" },
		{ "aHCDkx", 0, LP_MSG_FINISHED, "0102030405060708090a0b0c0d", "Finished of a wrong length" },
		{ "a", 1, LP_MSG_HELLO_REQUEST, "00", "HelloRequest that is not empty" },
		{ "aH", 1, 99, "", "unknown handshake message" },
		{ "aH", 1, LP_MSG_SERVER_HELLO, "", "unexpected ServerHello" },
	};

	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct lp_handshake *hs = told(cases[i].before);

		ck_assert_msg(say_body(hs, cases[i].dir, cases[i].type, cases[i].body) < 0, "%s", cases[i].why);
		ck_assert_int_eq(hs->reason, LP_REASON_MALFORMED);
		ck_assert_str_eq(hs->why, cases[i].why);
		ck_assert_int_eq(say(hs, 'a'), LP_E_ORDER);
		ck_assert_str_eq(hs->why, cases[i].why); /* the first stays */
		lp_handshake_free(hs);
	}
}
END_TEST

START_TEST(certificates_that_do_not_parse)
{
	struct lp_handshake *hs = told("aHCD");

	ck_assert(hs->facts.cert_seen);
	ck_assert(!hs->facts.server_cert->has_key && !hs->facts.server_cert->has_text);
	ck_assert_ptr_null(hs->facts.server_cert->info.subject);
	ck_assert_uint_eq(strlen(hs->facts.server_cert->info.sha256), 64);
	lp_handshake_free(hs);
	/* An empty list is no certificate. */
	hs = told("aH");
	ck_assert_int_eq(say_body(hs, 1, LP_MSG_CERTIFICATE, "000000"), LP_OK);
	ck_assert(!hs->facts.cert_seen);
	ck_assert_ptr_null(hs->facts.server_cert);
	lp_handshake_free(hs);
}
END_TEST

START_TEST(tls13_is_left_alone)
{
	struct lp_handshake *hs;

	ck_assert_int_eq(lp_handshake_new(&hs, crypto), LP_OK);
	ck_assert_int_eq(say_body(hs, 0, LP_MSG_CLIENT_HELLO,
				  "0303" RANDOM "00" "0004002f1301" "0100" "000d" "002b0003020304"
				  "003300020000"), LP_OK);
	ck_assert_int_eq(say_body(hs, 1, LP_MSG_SERVER_HELLO,
				  "0303" RANDOM "00" "1301" "00" "000e" "002b00020304" "00330004001d0000"), LP_OK);
	ck_assert(hs->facts.tls13);
	ck_assert_uint_eq(hs->facts.version, 0x304);
	ck_assert_uint_eq(hs->facts.group, 29);
	ck_assert_str_eq(hs->suite->name, "TLS_AES_128_GCM_SHA256");
	ck_assert_int_eq(lp_handshake_turn(hs), LP_TURN_EITHER);
	ck_assert_int_eq(say(hs, 'X'), LP_OK);
	ck_assert_int_eq(say(hs, 'a'), LP_OK);
	ck_assert(!lp_handshake_keyed(hs));
	lp_handshake_free(hs);
}
END_TEST

START_TEST(suites_and_their_key_exchange)
{
	static const struct {
		const char *suite, *server, *client, *exchange, *identity;
		unsigned group, bits;
	} cases[] = {
		{ "002f", NULL, "0003010203", "010203", "", 0, 0 },
		{ "0003", "0040" RANDOM RANDOM "0003010001", "0003010203", "010203", "", 0, 512 },
		{ "0033", "0003ffffff" "000102" "0001aa", "0003010203", "010203", "", 0, 24 },
		{ "c013", "03001d2000", "03010203", "010203", "", 29, 0 },
		{ "008c", NULL, "0003414243", "", "414243", 0, 0 },
		{ "008c", "000144", "0003414243", "", "414243", 0, 0 },
		{ "0094", NULL, "0003414243" "0002aabb", "aabb", "414243", 0, 0 },
		{ "0090", "0000" "0002ffff" "000102" "0001aa", "0003414243" "0002aabb", "aabb", "414243", 0, 16 },
		{ "c035", "0000" "0300170104", "0003414243" "02aabb", "aabb", "414243", 23, 0 },
		{ "c00e", NULL, "02aabb", "aabb", "", 0, 0 },
		{ "c00e", NULL, "", "", "", 0, 0 },
		{ "0031", NULL, "0002aabb", "aabb", "", 0, 0 },
		{ "c013", "03", "03010203", "010203", "", 0, 0 }, /* unknown, not a fault */
	};
	char hex[200];
	uint8_t want[64];
	size_t n;

	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct lp_handshake *hs;

		ck_assert_int_eq(lp_handshake_new(&hs, crypto), LP_OK);
		sprintf(hex, "0303" RANDOM "00" "0002%s" "0100", cases[i].suite);
		ck_assert_int_eq(say_body(hs, 0, LP_MSG_CLIENT_HELLO, hex), LP_OK);
		sprintf(hex, "0303" RANDOM "00" "%s" "00", cases[i].suite);
		ck_assert_int_eq(say_body(hs, 1, LP_MSG_SERVER_HELLO, hex), LP_OK);
		if (cases[i].server)
			ck_assert_int_eq(say_body(hs, 1, LP_MSG_SERVER_KEY_EXCHANGE, cases[i].server), LP_OK);
		ck_assert_int_eq(say(hs, 'D'), LP_OK);
		ck_assert_msg(say_body(hs, 0, LP_MSG_CLIENT_KEY_EXCHANGE, cases[i].client) == LP_OK, "%s",
			      cases[i].suite);
		ck_assert_uint_eq(hs->facts.group, cases[i].group);
		ck_assert_uint_eq(hs->facts.exchange_bits, cases[i].bits);
		ck_assert_int_eq(hs->facts.exchange_seen, cases[i].server != NULL);
		n = tls_unhex(cases[i].exchange, want, sizeof want);
		ck_assert_uint_eq(hs->exchange.n, n);
		if (n)
			ck_assert_mem_eq(hs->exchange.p, want, n);
		n = tls_unhex(cases[i].identity, want, sizeof want);
		ck_assert_uint_eq(hs->psk_identity.n, n);
		lp_handshake_free(hs);
	}
}
END_TEST

/* SSL 3.0: no length before the encrypted premaster secret, no empty Certificate, 36
 * bytes of verify_data. */
START_TEST(ssl3_has_its_ways)
{
	struct lp_handshake *hs;
	char hex[100];

	ck_assert_int_eq(lp_handshake_new(&hs, crypto), LP_OK);
	ck_assert_int_eq(say(hs, 'a'), LP_OK);
	ck_assert_int_eq(say_body(hs, 1, LP_MSG_SERVER_HELLO, "0300" RANDOM "00" "002f" "00"), LP_OK);
	ck_assert_int_eq(say(hs, 'C'), LP_OK);
	ck_assert_int_eq(say(hs, 'R'), LP_OK);
	ck_assert_int_eq(say(hs, 'D'), LP_OK);
	ck_assert_int_eq(say_body(hs, 0, LP_MSG_CLIENT_KEY_EXCHANGE, "00ff41424344"), LP_OK);
	ck_assert_uint_eq(hs->exchange.n, 6);
	ck_assert_int_eq(hs->facts.client_cert, 0);
	ck_assert_int_eq(say(hs, 'x'), LP_OK);
	sprintf(hex, "%s%s", RANDOM, "01020304");
	ck_assert_int_eq(say_body(hs, 0, LP_MSG_FINISHED, hex), LP_OK);
	ck_assert_uint_eq(hs->finished[0].size, 36);
	lp_handshake_free(hs);
}
END_TEST

START_TEST(names_are_escaped_and_cut)
{
	char hex[800] = "0303" RANDOM "00" "0002002f" "0100", *at = hex + strlen(hex);
	static uint8_t bytes[70000];
	struct lp_handshake *hs;
	struct lp_message msg;
	size_t n;

	ck_assert_int_eq(lp_handshake_new(&hs, crypto), LP_OK);
	at += sprintf(at, "%s", "0015" "0000" "0008" "0006000003" "610a62" "0010" "0005" "0003" "02" "68ff");
	ck_assert_int_eq(say_body(hs, 0, LP_MSG_CLIENT_HELLO, hex), LP_OK);
	ck_assert_str_eq(hs->facts.client->sni, "a\\x0ab");
	ck_assert_str_eq(hs->facts.client->alpns[0], "h\\xff");
	lp_handshake_free(hs);

	/* A host name of 60,000 bytes. */
	n = tls_unhex("01000000" "0303" RANDOM "00" "0002002f" "0100", bytes, sizeof bytes);
	n += tls_unhex("ea69" "0000ea65ea6300ea60", bytes + n, sizeof bytes - n);
	memset(bytes + n, 'x', 60000);
	n += 60000;
	msg = (struct lp_message){ LP_MSG_CLIENT_HELLO, { bytes + 4, n - 4 }, { bytes, n }, false };
	ck_assert_int_eq(lp_handshake_new(&hs, crypto), LP_OK);
	ck_assert_int_eq(lp_handshake_message(hs, LP_C2S, &msg), LP_OK);
	ck_assert_uint_eq(strlen(hs->facts.client->sni), 255);
	lp_handshake_free(hs);
}
END_TEST

START_TEST(handshake_of_a_megabyte)
{
	size_t n = LP_MESSAGE_HEADER + LP_MESSAGE_MAX;
	uint8_t *big = calloc(1, n);
	struct lp_message msg = { LP_MSG_SUPPLEMENTAL_DATA, { big + 4, n - 4 }, { big, n }, false };
	struct lp_handshake *hs = told("aHCD");
	enum lp_err err = LP_OK;
	int count = 0;

	while (!err && count < 20) {
		err = lp_handshake_message(hs, LP_C2S, &msg);
		count++;
	}
	ck_assert_int_eq(count, 8);
	ck_assert_int_eq(err, LP_E_LIMIT);
	ck_assert_int_eq(hs->reason, LP_REASON_LIMIT);
	ck_assert_str_eq(hs->why, "handshake longer than 1 MiB");
	lp_handshake_free(hs);
	free(big);
}
END_TEST

/* ---- gaps ---- */

START_TEST(gap_and_what_follows)
{
	struct lp_handshake *hs;

	/* The server's side is lost from Certificate to its ChangeCipherSpec. */
	hs = told("aH");
	lp_handshake_gap(hs, LP_S2C);
	ck_assert_int_eq(say(hs, 'X'), LP_OK);
	ck_assert_int_eq(hs->facts.resumed, -1);
	ck_assert_int_eq(say(hs, 'k'), LP_OK);
	ck_assert_int_eq(hs->facts.resumed, LP_RESUMED_NO);
	ck_assert(!lp_handshake_keyed(hs));
	ck_assert_int_eq(say(hs, 'x'), LP_OK);
	ck_assert(lp_handshake_keyed(hs));
	ck_assert_uint_eq(hs->session_hash_size, 0);
	ck_assert_int_eq(say(hs, 'F'), LP_OK);
	ck_assert_int_eq(say(hs, 'f'), LP_OK);
	ck_assert(lp_handshake_done(hs));
	ck_assert(!hs->finished[0].comparable && !hs->finished[1].comparable);
	lp_handshake_free(hs);

	/* What was there before the hole stays: legacy keys survive. */
	hs = told("aHCDk");
	lp_handshake_gap(hs, LP_C2S);
	ck_assert_int_eq(say(hs, 'T'), LP_OK);
	ck_assert_int_eq(say(hs, 'X'), LP_OK);
	ck_assert(lp_handshake_keyed(hs));
	ck_assert_uint_eq(hs->session_hash_size, 32);
	ck_assert_uint_eq(hs->exchange.n, 4);
	lp_handshake_free(hs);

	/* Not everything is let through. */
	hs = told("aHCDk");
	lp_handshake_gap(hs, LP_C2S);
	ck_assert_int_eq(say(hs, 'C'), LP_E_ORDER);
	lp_handshake_free(hs);

	/* The server's ChangeCipherSpec was lost: a session that sees application data
	 * says so for it. */
	hs = told("aHCDkx");
	lp_handshake_gap(hs, LP_S2C);
	ck_assert_int_eq(lp_handshake_ccs(hs, LP_S2C), LP_OK);
	ck_assert(lp_handshake_keyed(hs));
	ck_assert(!hs->finished[1].seen);
	lp_handshake_free(hs);
}
END_TEST

Suite *suite_handshake(void)
{
	Suite *s = suite_create("handshake");
	TCase *t = tcase_create("handshake");

	tcase_set_timeout(t, 120);
	tcase_add_test(t, messages_however_split);
	tcase_add_test(t, message_of_16_megabytes);
	tcase_add_test(t, message_of_the_greatest_length);
	tcase_add_test(t, handshakes_of_openssl);
	tcase_add_test(t, facts_of_openssl);
	tcase_add_test(t, handshakes_with_a_hole);
	tcase_add_test(t, every_order_of_messages);
	tcase_add_test(t, hello_request_anywhere);
	tcase_add_test(t, whose_turn_it_is);
	tcase_add_test(t, finished_early_or_late);
	tcase_add_test(t, resumption_is_the_servers_choice);
	tcase_add_test(t, bad_content);
	tcase_add_test(t, certificates_that_do_not_parse);
	tcase_add_test(t, tls13_is_left_alone);
	tcase_add_test(t, suites_and_their_key_exchange);
	tcase_add_test(t, ssl3_has_its_ways);
	tcase_add_test(t, names_are_escaped_and_cut);
	tcase_add_test(t, handshake_of_a_megabyte);
	tcase_add_test(t, gap_and_what_follows);
	suite_add_tcase(s, t);
	return s;
}
