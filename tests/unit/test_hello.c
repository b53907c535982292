/* tls/hello and tls/fingerprint: both hellos, and what they look like from afar. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "help_tls.h"
#include "tls/fingerprint.h"
#include "tls/hello.h"

/* ---- building hellos ---- */

struct build {
	uint8_t p[70000];
	size_t n;
};

static void put(struct build *b, const void *p, size_t n)
{
	memcpy(b->p + b->n, p, n);
	b->n += n;
}

static void put8(struct build *b, unsigned v)
{
	b->p[b->n++] = (uint8_t)v;
}

static void put16(struct build *b, unsigned v)
{
	put8(b, v >> 8 & 0xff);
	put8(b, v & 0xff);
}

static void put_ext(struct build *b, unsigned type, const char *hex)
{
	uint8_t body[256];
	size_t n = tls_unhex(hex, body, sizeof body);

	put16(b, type);
	put16(b, (unsigned)n);
	put(b, body, n);
}

static void put_pairs(struct build *b, const uint16_t *v, size_t n)
{
	put16(b, (unsigned)n * 2);
	for (size_t i = 0; i < n; i++)
		put16(b, v[i]);
}

/* Fixed part of a ClientHello: version, random, no session id, suites, no compression. */
static void client_start(struct build *b, unsigned version, const uint16_t *suites, size_t n)
{
	static const uint8_t random[32] = { 9 };

	b->n = 0;
	put16(b, version);
	put(b, random, 32);
	put8(b, 0);
	put_pairs(b, suites, n);
	put(b, "\1\0", 2);
}

static size_t list_open(struct build *b)
{
	put16(b, 0);
	return b->n;
}

static void list_close(struct build *b, size_t at)
{
	b->p[at - 2] = (uint8_t)((b->n - at) >> 8);
	b->p[at - 1] = (uint8_t)(b->n - at);
}

static enum lp_err read_client(const struct build *b, struct lp_client_hello *h, const char **why)
{
	*why = NULL;
	return lp_client_hello_read(h, lp_span_of(b->p, b->n), why);
}

/* A ClientHello with one extension. */
static enum lp_err with_ext(unsigned type, const char *hex, struct lp_client_hello *h,
			    const char **why)
{
	static struct build b;
	static const uint16_t suite[] = { 0x2f };
	size_t at;

	client_start(&b, 0x303, suite, 1);
	at = list_open(&b);
	put_ext(&b, type, hex);
	list_close(&b, at);
	return read_client(&b, h, why);
}

/* A ServerHello with one extension. */
static enum lp_err server_with_ext(unsigned type, const char *hex, struct lp_server_hello *h,
				   const char **why)
{
	static struct build b;
	static const uint8_t random[32] = { 8 };
	size_t at;

	b.n = 0;
	put16(&b, 0x303);
	put(&b, random, 32);
	put(&b, "\4abcd", 5);
	put16(&b, 0x2f);
	put8(&b, 0);
	at = list_open(&b);
	put_ext(&b, type, hex);
	list_close(&b, at);
	*why = NULL;
	return lp_server_hello_read(h, lp_span_of(b.p, b.n), why);
}

/* The body of the first message of a recorded direction. */
static lp_span first_body(const char *name, int dir, uint8_t *mem, size_t size)
{
	size_t n = tls_unhex(tls_fixture(name)->stream[dir], mem, size);

	ck_assert_uint_gt(n, 9);
	return lp_span_of(mem + 9, (size_t)(mem[7] << 8 | mem[8]));
}

/* ---- hellos ---- */

START_TEST(client_hello_of_openssl)
{
	static uint8_t mem[4096];
	lp_span body = first_body("tls12_gcm_ems", 0, mem, sizeof mem);
	struct lp_client_hello h;
	const char *why = NULL;

	ck_assert_int_eq(lp_client_hello_read(&h, body, &why), LP_OK);
	ck_assert_uint_eq(h.version, 0x303);
	ck_assert_uint_eq(h.random.n, 32);
	ck_assert_uint_eq(h.session_id.n, 0);
	ck_assert_uint_eq(h.suites.n, 4);
	ck_assert(lp_hello_has(h.suites, 0x009c));
	ck_assert(lp_hello_has(h.suites, 0x00ff));
	ck_assert(!lp_hello_has(h.suites, 0x9c00));
	ck_assert_mem_eq(h.sni.p, "s.test", 6);
	ck_assert_uint_eq(h.sni.n, 6);
	ck_assert_mem_eq(h.alpn.p, "\2h2\10http/1.1", 12);
	ck_assert_uint_eq(h.seen, LP_HAS_SNI | LP_HAS_TICKET | LP_HAS_ALPN | LP_HAS_ETM | LP_HAS_EMS |
					  LP_HAS_SIGNATURES);
	ck_assert_uint_eq(h.ticket.n, 0);
	body = first_body("tls12_ticket_resumed", 0, mem, sizeof mem);
	ck_assert_int_eq(lp_client_hello_read(&h, body, &why), LP_OK);
	ck_assert_uint_gt(h.ticket.n, 100);
	ck_assert_uint_eq(h.session_id.n, 32);
}
END_TEST

START_TEST(server_hello_of_openssl)
{
	static uint8_t mem[4096];
	lp_span body = first_body("tls11_cbc_etm_ems_client_cert", 1, mem, sizeof mem);
	struct lp_server_hello h;
	const char *why = NULL;

	ck_assert_int_eq(lp_server_hello_read(&h, body, &why), LP_OK);
	ck_assert_uint_eq(h.version, 0x302);
	ck_assert_uint_eq(h.suite, 0x35);
	ck_assert_uint_eq(h.compression, 0);
	ck_assert_uint_eq(h.seen, LP_HAS_RENEGOTIATION | LP_HAS_TICKET | LP_HAS_ETM | LP_HAS_EMS);
	ck_assert(!h.retry);
}
END_TEST

/* Every hello, cut anywhere, is a fault and never read beyond its end. */
START_TEST(hellos_cut_short)
{
	static uint8_t mem[4096];
	struct lp_client_hello c;
	struct lp_server_hello s;
	const char *why;

	for (size_t i = 0; i < tls_fixtures_n; i++)
		for (int dir = 0; dir < 2; dir++) {
			lp_span body = first_body(tls_fixtures[i].name, dir, mem, sizeof mem);

			for (size_t n = 0; n <= body.n; n++) {
				uint8_t *copy = malloc(n + !n);
				bool bare;
				int err;

				memcpy(copy, body.p, n);
				why = NULL;
				err = dir ? (int)lp_server_hello_read(&s, lp_span_of(copy, n), &why)
					  : (int)lp_client_hello_read(&c, lp_span_of(copy, n), &why);
				/* Cut before the list of extensions it is a whole hello. */
				bare = !err && !(dir ? s.has_extensions : c.has_extensions);
				ck_assert_msg(n == body.n ? !err : bare || (err < 0 && why),
					      "%s %d %zu", tls_fixtures[i].name, dir, n);
				free(copy);
			}
		}
}
END_TEST

START_TEST(client_hello_without_extensions)
{
	static struct build b;
	static const uint16_t suites[] = { 4, 5 };
	struct lp_client_hello h;
	const char *why;

	client_start(&b, 0x300, suites, 2);
	ck_assert_int_eq(read_client(&b, &h, &why), LP_OK);
	ck_assert(!h.has_extensions);
	list_open(&b);
	ck_assert_int_eq(read_client(&b, &h, &why), LP_OK);
	ck_assert(h.has_extensions);
	ck_assert_uint_eq(h.seen, 0);
	put8(&b, 0);
	ck_assert_int_eq(read_client(&b, &h, &why), LP_E_FORMAT);
	ck_assert_str_eq(why, "list of extensions does not fill the message");
}
END_TEST

START_TEST(client_hello_with_bad_fixed_part)
{
	static struct build b;
	static const uint16_t suites[] = { 4 };
	struct lp_client_hello h;
	const char *why;

	client_start(&b, 0x200, suites, 1);
	ck_assert_int_eq(read_client(&b, &h, &why), LP_E_FORMAT);
	ck_assert_str_eq(why, "ClientHello of an unknown version");
	client_start(&b, 0x303, suites, 0);
	ck_assert_int_eq(read_client(&b, &h, &why), LP_E_FORMAT);
	client_start(&b, 0x303, suites, 1);
	b.p[36] = 3; /* an odd list of suites, ending inside what follows */
	ck_assert_int_eq(read_client(&b, &h, &why), LP_E_FORMAT);
	client_start(&b, 0x303, suites, 1);
	b.p[35] = 0xff; /* lying length */
	ck_assert_int_eq(read_client(&b, &h, &why), LP_E_TRUNCATED);
	b.n = 0;
	put16(&b, 0x303);
	for (int i = 0; i < 32; i++)
		put8(&b, 1);
	put8(&b, 33);
	for (int i = 0; i < 33; i++)
		put8(&b, 1);
	put(&b, "\0\2\0\4\1\0", 6);
	ck_assert_int_eq(read_client(&b, &h, &why), LP_E_FORMAT);
	ck_assert_str_eq(why, "session id longer than 32 bytes");
}
END_TEST

/* RFC 5246 appendix E.2. */
START_TEST(client_hello_of_ssl2)
{
	static const uint8_t body[] = {
		3, 1, 0, 9, 0, 0, 0, 16,
		0, 0, 5, 1, 0, 0x80, 0, 0, 0xff, /* RC4_128_SHA, one of SSL 2.0's, the SCSV */
		1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16,
	};
	static const uint8_t suites[] = { 0, 5, 0, 0xff };
	uint8_t copy[sizeof body], zeros[16] = { 0 };
	struct lp_client_hello h;
	struct lp_v2_hello v2;
	const char *why;

	ck_assert_int_eq(lp_client_hello_read_v2(&h, &v2, lp_span_of(body, sizeof body), &why), LP_OK);
	ck_assert_uint_eq(h.version, 0x0301);
	ck_assert_uint_eq(h.random.n, 32);
	ck_assert_mem_eq(h.random.p, zeros, 16);
	ck_assert_mem_eq(h.random.p + 16, body + 17, 16);
	ck_assert_uint_eq(h.suites.n, 4);
	ck_assert_mem_eq(h.suites.p, suites, 4);
	ck_assert_uint_eq(h.session_id.n, 0);
	ck_assert_uint_eq(h.compressions.n, 1);
	ck_assert(!h.has_extensions);
	for (size_t n = 0; n < sizeof body; n++) {
		why = NULL;
		ck_assert_int_lt(lp_client_hello_read_v2(&h, &v2, lp_span_of(body, n), &why), 0);
		ck_assert_ptr_nonnull(why);
	}
	/* major version, lengths of kinds, id and challenge, a list without a TLS suite */
	static const struct { uint8_t at, value; } bad[] = {
		{ 0, 0 }, { 3, 8 }, { 3, 10 }, { 5, 1 }, { 7, 15 }, { 7, 17 }, { 2, 1 },
	};
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		memcpy(copy, body, sizeof body);
		copy[bad[i].at] = bad[i].value;
		why = NULL;
		ck_assert_int_lt(lp_client_hello_read_v2(&h, &v2, lp_span_of(copy, sizeof copy), &why), 0);
		ck_assert_ptr_nonnull(why);
	}
	memcpy(copy, body, sizeof body);
	copy[8] = copy[14] = 1;
	ck_assert_int_eq(lp_client_hello_read_v2(&h, &v2, lp_span_of(copy, sizeof copy), &why), LP_E_FORMAT);
}
END_TEST

START_TEST(client_extensions_known)
{
	struct lp_client_hello h;
	const char *why;

	ck_assert_int_eq(with_ext(0, "000401000141", &h, &why), LP_OK); /* not a host_name */
	ck_assert_uint_eq(h.sni.n, 0);
	ck_assert_int_eq(with_ext(0, "00080100014100000142", &h, &why), LP_OK);
	ck_assert_mem_eq(h.sni.p, "B", 1);
	ck_assert_int_eq(with_ext(1, "02", &h, &why), LP_OK);
	ck_assert_uint_eq(h.max_fragment, 2);
	ck_assert_int_eq(with_ext(1, "09", &h, &why), LP_OK); /* left to the server */
	ck_assert_uint_eq(h.max_fragment, 0);
	ck_assert_int_eq(with_ext(10, "0004001d0017", &h, &why), LP_OK);
	ck_assert(lp_hello_has(h.groups, 0x17));
	ck_assert_int_eq(with_ext(43, "040a0a0304", &h, &why), LP_OK);
	ck_assert(lp_hello_has(h.versions, 0x304));
	ck_assert_int_eq(with_ext(35, "0102", &h, &why), LP_OK);
	ck_assert_uint_eq(h.ticket.n, 2);
	ck_assert_int_eq(with_ext(0xfe0d, "00", &h, &why), LP_OK);
	ck_assert_uint_eq(h.seen, LP_HAS_ECH);
	ck_assert_int_eq(with_ext(0x3a3a, "", &h, &why), LP_OK); /* GREASE */
	ck_assert_uint_eq(h.seen, 0);
	ck_assert_int_eq(with_ext(0x1234, "ffffff", &h, &why), LP_OK);
}
END_TEST

START_TEST(client_extensions_malformed)
{
	static const struct {
		unsigned type;
		const char *hex, *why;
	} cases[] = {
		{ 0, "", "malformed server_name" },
		{ 0, "0000", "malformed server_name" },
		{ 0, "0003000000", "malformed server_name" },
		{ 0, "000400000141ff", "malformed server_name" },
		{ 0, "0005000001ff", "malformed server_name" },
		{ 10, "0003001d00", "malformed supported_groups" },
		{ 10, "0000", "malformed supported_groups" },
		{ 11, "0200", "malformed ec_point_formats" },
		{ 13, "00", "malformed signature_algorithms" },
		{ 16, "0000", "malformed application_layer_protocol_negotiation" },
		{ 16, "000100", "malformed application_layer_protocol_negotiation" },
		{ 16, "00020268", "malformed application_layer_protocol_negotiation" },
		{ 22, "00", "malformed encrypt_then_mac" },
		{ 23, "0000", "malformed extended_master_secret" },
		{ 43, "03030403", "malformed supported_versions" },
		{ 43, "", "malformed supported_versions" },
		{ 0xff01, "", "malformed renegotiation_info" },
		{ 0xff01, "0203", "malformed renegotiation_info" },
	};
	struct lp_client_hello h;
	const char *why;

	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		ck_assert_int_eq(with_ext(cases[i].type, cases[i].hex, &h, &why), LP_E_FORMAT);
		ck_assert_str_eq(why, cases[i].why);
	}
}
END_TEST

START_TEST(server_extensions)
{
	struct lp_server_hello h;
	const char *why;

	ck_assert_int_eq(server_with_ext(16, "0003026832", &h, &why), LP_OK);
	ck_assert_mem_eq(h.alpn.p, "\2h2", 3);
	ck_assert_int_eq(server_with_ext(16, "0006026832026833", &h, &why), LP_E_FORMAT);
	ck_assert_int_eq(server_with_ext(43, "0304", &h, &why), LP_OK);
	ck_assert_uint_eq(h.version, 0x304);
	ck_assert_uint_eq(h.legacy_version, 0x303);
	ck_assert_int_eq(server_with_ext(43, "030400", &h, &why), LP_E_FORMAT);
	ck_assert_int_eq(server_with_ext(51, "001d0002aabb", &h, &why), LP_OK);
	ck_assert_uint_eq(h.group, 0x1d);
	ck_assert_int_eq(server_with_ext(1, "03", &h, &why), LP_OK);
	ck_assert_uint_eq(h.max_fragment, 3);
	ck_assert_int_eq(server_with_ext(1, "05", &h, &why), LP_E_FORMAT);
	ck_assert_int_eq(server_with_ext(4, "", &h, &why), LP_OK);
	ck_assert_uint_eq(h.seen, LP_HAS_TRUNCATED_HMAC);
	ck_assert_int_eq(server_with_ext(4, "00", &h, &why), LP_E_FORMAT);
	ck_assert_int_eq(server_with_ext(0, "", &h, &why), LP_OK);
	ck_assert_int_eq(h.session_id.n, 4);
}
END_TEST

START_TEST(hello_retry_request)
{
	static struct build b;
	struct lp_server_hello h;
	const char *why;

	b.n = tls_unhex("0303cf21ad74e59a6111be1d8c021e65b891c2a211167abb8c5e079e09e2c8a8339c"
			"00130100000c002b00020304003300020017",
			b.p, sizeof b.p);
	ck_assert_int_eq(lp_server_hello_read(&h, lp_span_of(b.p, b.n), &why), LP_OK);
	ck_assert(h.retry);
	ck_assert_uint_eq(h.version, 0x304);
	ck_assert_uint_eq(h.group, 0x17);
	b.p[5] ^= 1;
	ck_assert_int_eq(lp_server_hello_read(&h, lp_span_of(b.p, b.n), &why), LP_OK);
	ck_assert(!h.retry);
}
END_TEST

START_TEST(duplicate_extension)
{
	static struct build b;
	static const uint16_t suites[] = { 4 };
	struct lp_client_hello h;
	const char *why;
	size_t at;

	for (int twice = 0; twice < 2; twice++) {
		client_start(&b, 0x303, suites, 1);
		at = list_open(&b);
		/* As many as fit: a check that is not linear would show. */
		for (unsigned type = 0x4000; type < 0x4000 + 16000; type++)
			put_ext(&b, type, "");
		if (twice)
			put_ext(&b, 0x4001, "");
		list_close(&b, at);
		ck_assert_int_eq(read_client(&b, &h, &why), twice ? LP_E_FORMAT : LP_OK);
		if (twice)
			ck_assert_str_eq(why, "duplicate extension");
	}
}
END_TEST

/* Whatever stands between the two, and however much: types that are known, with numbers near each
 * other and far away, and those that are not. */
START_TEST(duplicate_anywhere)
{
	static const unsigned types[] = { 22, 23, 0x3374, 0x7550, 0xfe0d, 17, 49, 2, 0x0a0a, 0xffff };
	static struct build b;
	static const uint16_t suites[] = { 4 };
	struct lp_client_hello h;
	const char *why;
	size_t at;

	for (size_t k = 0; k < sizeof types / sizeof types[0]; k++) {
		for (unsigned i = 0; i < 40; i++) {
			client_start(&b, 0x303, suites, 1);
			at = list_open(&b);
			for (unsigned n = 0; n < i; n++)
				put_ext(&b, 0x4000 + n, "");
			put_ext(&b, types[k], "");
			for (unsigned n = i; n < 40; n++)
				put_ext(&b, 0x4000 + n, "");
			list_close(&b, at);
			ck_assert_int_eq(read_client(&b, &h, &why), LP_OK);
			put_ext(&b, types[k], "");
			list_close(&b, at);
			ck_assert_int_eq(read_client(&b, &h, &why), LP_E_FORMAT);
			ck_assert_str_eq(why, "duplicate extension");
		}
	}
}
END_TEST

START_TEST(grease_values)
{
	unsigned count = 0;

	for (unsigned v = 0; v < 0x10000; v++)
		count += lp_hello_is_grease((uint16_t)v);
	ck_assert_uint_eq(count, 16);
	ck_assert(lp_hello_is_grease(0x0a0a));
	ck_assert(lp_hello_is_grease(0xfafa));
	ck_assert(!lp_hello_is_grease(0x0a1a));
}
END_TEST

/* ---- fingerprints ---- */

/* The examples in the README of the JA3 project. */
START_TEST(ja3_of_published_examples)
{
	static struct build b;
	static const uint16_t a[] = { 47, 53, 5, 10, 49161, 49162, 49171, 49172, 50, 56, 19, 4 };
	static const uint16_t c[] = { 4, 5, 10, 9, 100, 98, 3, 6, 19, 18, 99 };
	struct lp_client_hello h;
	struct lp_ja3 ja3 = { NULL, "" };
	const char *why;
	size_t at;

	client_start(&b, 769, a, 12);
	at = list_open(&b);
	put_ext(&b, 0, "000400000141");
	put_ext(&b, 10, "0006001700180019");
	put_ext(&b, 11, "0100");
	list_close(&b, at);
	ck_assert_int_eq(read_client(&b, &h, &why), LP_OK);
	ck_assert_int_eq(lp_ja3_client(&ja3, &lp_crypto_mbedtls, &h), LP_OK);
	ck_assert_str_eq(ja3.string, "769,47-53-5-10-49161-49162-49171-49172-50-56-19-4,0-10-11,23-24-25,0");
	ck_assert_str_eq(ja3.hash, "ada70206e40642a3e4461f35503241d5");
	client_start(&b, 769, c, 11);
	ck_assert_int_eq(read_client(&b, &h, &why), LP_OK);
	ck_assert_int_eq(lp_ja3_client(&ja3, &lp_crypto_mbedtls, &h), LP_OK);
	ck_assert_str_eq(ja3.string, "769,4-5-10-9-100-98-3-6-19-18-99,,,");
	ck_assert_str_eq(ja3.hash, "de350869b8c85de67a350c8d186f11e6");
	lp_ja3_clear(&ja3);
	ck_assert_ptr_null(ja3.string);
}
END_TEST

/* What tshark 4.0 says of the recorded sessions. */
START_TEST(ja3_as_tshark)
{
	static const struct {
		const char *name, *ja3, *hash, *ja3s, *hashs;
	} cases[] = {
		{ "tls12_gcm_ems", "771,156-255,0-35-16-22-23-13,,", "3c62abcefa4377e1651d7eaf211974bf",
		  "771,156,65281-35-23", "110000ad915ab9299cb0e19279cb104c" },
		{ "tls11_cbc_etm_ems_client_cert", "770,53-255,0-35-22-23,,",
		  "be9570d7330fc1ef3601246f8d47ef04", "770,53,65281-35-22-23",
		  "f9f84342d3efdfdb985b768558416713" },
		{ "tls12_ecdhe_cbc384", "771,49192-255,0-11-10-35-22-23-13,29-23-30-25-24,0-1-2",
		  "59c452951350e93139337e5141acd2ad", "771,49192,65281-11-35-22-23",
		  "2ad59d6d070704360ed7270886e06178" },
	};
	static uint8_t mem[4096];
	struct lp_client_hello c;
	struct lp_server_hello s;
	struct lp_ja3 ja3 = { NULL, "" };
	const char *why;

	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		ck_assert_int_eq(lp_client_hello_read(&c, first_body(cases[i].name, 0, mem, sizeof mem), &why),
				 LP_OK);
		ck_assert_int_eq(lp_ja3_client(&ja3, &lp_crypto_mbedtls, &c), LP_OK);
		ck_assert_str_eq(ja3.string, cases[i].ja3);
		ck_assert_str_eq(ja3.hash, cases[i].hash);
		ck_assert_int_eq(lp_server_hello_read(&s, first_body(cases[i].name, 1, mem, sizeof mem), &why),
				 LP_OK);
		ck_assert_int_eq(lp_ja3_server(&ja3, &lp_crypto_mbedtls, &s), LP_OK);
		ck_assert_str_eq(ja3.string, cases[i].ja3s);
		ck_assert_str_eq(ja3.hash, cases[i].hashs);
	}
	lp_ja3_clear(&ja3);
}
END_TEST

START_TEST(ja3_too_long_to_keep)
{
	static struct build b;
	static uint16_t suites[30000];
	struct lp_client_hello h;
	struct lp_ja3 ja3 = { NULL, "" };
	const char *why;

	for (size_t i = 0; i < 30000; i++)
		suites[i] = 0xc013;
	client_start(&b, 0x303, suites, 30000);
	ck_assert_int_eq(read_client(&b, &h, &why), LP_OK);
	ck_assert_int_eq(lp_ja3_client(&ja3, &lp_crypto_mbedtls, &h), LP_OK);
	ck_assert_ptr_null(ja3.string);
	ck_assert_uint_eq(strlen(ja3.hash), 32);
}
END_TEST

/* Lists that fit where the text begins, just fit, and do not, ascending or not. */
START_TEST(fingerprints_of_any_length)
{
	static struct build b;
	uint16_t suites[200];
	uint8_t hash[32];
	char text[2048], ja4[LP_JA4_TEXT], hex[65];
	struct lp_client_hello h;
	struct lp_ja3 ja3 = { NULL, "" };
	const char *why;
	size_t at;

	for (size_t n = 1; n <= 200; n++) {
		for (size_t i = 0; i < n; i++)
			suites[i] = (uint16_t)(0xc100 + (n & 1 ? i * 37 % 200 : 199 - i));
		client_start(&b, 0x303, suites, n);
		ck_assert_int_eq(read_client(&b, &h, &why), LP_OK);
		at = (size_t)sprintf(text, "771,");
		for (size_t i = 0; i < n; i++)
			at += (size_t)sprintf(text + at, i ? "-%u" : "%u", suites[i]);
		sprintf(text + at, ",,,");
		ck_assert_int_eq(lp_ja3_client(&ja3, &lp_crypto_mbedtls, &h), LP_OK);
		ck_assert_str_eq(ja3.string, text);
		at = 0;
		for (unsigned v = 0xc100; v < 0xc100 + 200; v++)
			for (size_t i = 0; i < n; i++)
				if (suites[i] == v)
					at += (size_t)sprintf(text + at, at ? ",%04x" : "%04x", v);
		const lp_span all = { (const uint8_t *)text, at };

		ck_assert_int_eq(lp_digest_once(&lp_crypto_mbedtls, LP_SHA256, &all, 1, hash), LP_OK);
		ck_assert_int_eq(lp_ja4_client(ja4, &lp_crypto_mbedtls, &h), LP_OK);
		lp_text_hex(hex, hash, 32);
		ck_assert_mem_eq(ja4 + 11, hex, 12);
		sprintf(text, "t12i%02zu0000_", n > 99 ? 99 : n);
		ck_assert_mem_eq(ja4, text, 11);
		ck_assert_str_eq(ja4 + 23, "_000000000000");
	}
	lp_ja3_clear(&ja3);
}
END_TEST

/* The example of the JA4 specification, in the order of its raw form, with values of
 * GREASE strewn in. */
START_TEST(ja4_of_the_specification)
{
	static const uint16_t suites[] = { 0x2a2a, 0x1301, 0x1302, 0x1303, 0xc02b, 0xc02f, 0xc02c, 0xc030,
					   0xcca9, 0xcca8, 0xc013, 0xc014, 0x009c, 0x009d, 0x002f, 0x0035 };
	static struct build b;
	struct lp_client_hello h;
	char ja4[LP_JA4_TEXT];
	const char *why;

	for (int signatures = 1; signatures >= 0; signatures--) {
		size_t at;

		client_start(&b, 0x303, suites, 16);
		at = list_open(&b);
		put_ext(&b, 0x3a3a, "");
		put_ext(&b, 0x001b, "02");
		put_ext(&b, 0x0000, "000400000141");
		put_ext(&b, 0x0033, "");
		put_ext(&b, 0x0010, "000c02683208687474702f312e31");
		put_ext(&b, 0x4469, "");
		put_ext(&b, 0x0017, "");
		put_ext(&b, 0x002d, "");
		put_ext(&b, signatures ? 0x000d : 0x000e,
			signatures ? "0012040308045a5a04010503080505010806" "0601" : "");
		put_ext(&b, 0x0005, "");
		put_ext(&b, 0x0023, "");
		put_ext(&b, 0x0012, "");
		put_ext(&b, 0x002b, "061a1a03040303");
		put_ext(&b, 0xff01, "00");
		put_ext(&b, 0x000b, "0100");
		put_ext(&b, 0x000a, "0004001d0017");
		put_ext(&b, 0x0015, "00");
		put_ext(&b, 0xcaca, "00");
		list_close(&b, at);
		ck_assert_int_eq(read_client(&b, &h, &why), LP_OK);
		ck_assert_int_eq(lp_ja4_client(ja4, &lp_crypto_mbedtls, &h), LP_OK);
		if (signatures)
			ck_assert_str_eq(ja4, "t13d1516h2_8daaf6152771_e5627efa2ab1");
		else
			ck_assert_mem_eq(ja4, "t13d1516h2_8daaf6152771_", 24);
	}
}
END_TEST

START_TEST(ja4_first_part)
{
	static const struct {
		unsigned version, type;
		const char *hex, *want;
	} cases[] = {
		{ 0x303, 0x10, "0003026832", "t12i0101h2_" },
		{ 0x302, 0x10, "00020168", "t11i0101hh_" },
		{ 0x301, 0x10, "000201ab", "t10i0101ab_" },
		{ 0x300, 0x10, "000302abcd", "ts3i0101ad_" },
		{ 0x303, 0x10, "00030230ab", "t12i01013b_" },
		{ 0x303, 0x10, "0005043031abcd", "t12i01013d_" },
		{ 0x303, 0x10, "00050430abcd31", "t12i010101_" },
		{ 0x303, 0x00, "000400000141", "t12d010100_" },
		{ 0x303, 0x2b, "040a0a0302", "t11i010100_" },
		{ 0x303, 0x2b, "040a0a7f1c", "t00i010100_" },
	};
	static const uint16_t suite[] = { 0x2f };
	static struct build b;
	struct lp_client_hello h;
	char ja4[LP_JA4_TEXT];
	const char *why;
	size_t at;

	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		client_start(&b, cases[i].version, suite, 1);
		at = list_open(&b);
		put_ext(&b, cases[i].type, cases[i].hex);
		list_close(&b, at);
		ck_assert_int_eq(read_client(&b, &h, &why), LP_OK);
		ck_assert_int_eq(lp_ja4_client(ja4, &lp_crypto_mbedtls, &h), LP_OK);
		ja4[11] = '\0';
		ck_assert_str_eq(ja4, cases[i].want);
	}
	client_start(&b, 0x303, suite, 1);
	ck_assert_int_eq(read_client(&b, &h, &why), LP_OK);
	ck_assert_int_eq(lp_ja4_client(ja4, &lp_crypto_mbedtls, &h), LP_OK);
	ck_assert_str_eq(ja4 + 24, "000000000000");
}
END_TEST

Suite *suite_hello(void)
{
	Suite *s = suite_create("hello");
	TCase *t = tcase_create("hello");

	tcase_set_timeout(t, 30);
	tcase_add_test(t, client_hello_of_openssl);
	tcase_add_test(t, server_hello_of_openssl);
	tcase_add_test(t, hellos_cut_short);
	tcase_add_test(t, client_hello_without_extensions);
	tcase_add_test(t, client_hello_with_bad_fixed_part);
	tcase_add_test(t, client_hello_of_ssl2);
	tcase_add_test(t, client_extensions_known);
	tcase_add_test(t, client_extensions_malformed);
	tcase_add_test(t, server_extensions);
	tcase_add_test(t, hello_retry_request);
	tcase_add_test(t, duplicate_extension);
	tcase_add_test(t, duplicate_anywhere);
	tcase_add_test(t, grease_values);
	tcase_add_test(t, ja3_of_published_examples);
	tcase_add_test(t, ja3_as_tshark);
	tcase_add_test(t, ja3_too_long_to_keep);
	tcase_add_test(t, fingerprints_of_any_length);
	tcase_add_test(t, ja4_of_the_specification);
	tcase_add_test(t, ja4_first_part);
	suite_add_tcase(s, t);
	return s;
}
