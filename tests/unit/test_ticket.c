/* warden/ticketfile.c, ticket.c, ticketbody.c, ticketring.c and what they stand on:
 * crypto/sha3.c, crypto/aes_ctr.h. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "crypto/sha3.h"
#include "help_seal.h"
#include "help_ticket.h"
#include "warden/ticketring.h"

/* Tickets of three libraries with the keys they were made with. */

/* GnuTLS 3.7.9: gnutls_session_ticket_enable_server() with this key, at this time. */
static const char gnutls_key[] =
	"01080f161d242b323940474e555c636a71787f868d949ba2a9b0b7bec5ccd3dae1e8eff6fd040b121920272e"
	"353c434a51585f666d747b828990979ea5acb3ba";
static const char gnutls_master[] =
	"8da7faf8b3edbabdf523f813c93cd4531025c0965534a7aaa6bb22960fd66ab102932f04dfdf43c220dc2cd5"
	"cab8b17a";
static const char gnutls_ticket[] =
	"5112cb279662075860625e634fc3a991a0d49cc8d443f72f16b3d2f518dc60d7015057303e450806b06f6184"
	"8af9e8c886085765ec4c1f6d6c655082b7231bac311e6bdbdcbb23eff83ea6527a5b85181f16472bb6e560e7"
	"3462dc61bfab17d59e057216f4ab67a84add0181bc5a0c6c64b524c8b5f5336a0890f70f2ee49b2a666d8e93"
	"00dcd18108ac61d623cdc394c9e915f533b5271a578bb2be3fa935a85df1df96190b0d4e61d899af9c84e7ce"
	"bbc979b6267545875517f64c3110ea3ebc45d7835cd1ed38a876856f77b5bf7dcee76e87644ab7d6b55724ba"
	"f4ac0ca4373ebfd1111aae6bf35cce12f77918a239bc9ce1a22676edcd2115f23de852daec374635bf2119bc"
	"ff03ecb2858f4c7bcbf78d93d0f6ea3671c1fe13befb30f228e0857d9bf0b80f75a60711122783f7a8006826"
	"6b68cb668b221d2e912860e24230d7d9051c86a43db01c8f17cb10cf33914451e45b52d36eaaf2eecea7ab39"
	"9307763cb8faeefe8f7b38447a34e78d339cdf632683d1bf1ae46cbbdb2bbb563f3dd87274b0";
#define GNUTLS_TIME 1795298940

/* Go 1.19: tls.Config.SetSessionTicketKeys() with this key. */
static const char go_key[] =
	"03080d12171c21262b30353a3f44494e53585d62676c71767b80858a8f94999e";
static const char go_master[] =
	"8016fa8eb803e43d52cf0c95e143482a96c586a7fa9c7f6a4a0c9cc34491249e670a7c6d389039d5f71f43a2"
	"40d27dee";
static const char go_ticket[] =
	"ed9ff831e266ae57b2daaebe653f39169f20207a1fb4083276755803156715e9a8dfcfb229c1e115b045abe8"
	"d0487bcdb538a91c68c8757370faed5d4e149415878e9abcb7ee136ee3b94ea14b43ef245978c058b29f782c"
	"c2835a6ae704b3811a93d9c6bd5359535efd92ee1b8cc2dda3b90f88af8249529cf2477bc10b27f5dc";

/* Go 1.24, the same key: from 1.21 on there is no name before a ticket, and another body. */
static const char go_124_master[] =
	"1a153b58da1fe659bb1903d689ee5a0cf6c4ed0ce5403f7bb7260aeba507a6653d07fe8e76b469d178af4c53"
	"fbfbc25b";
static const char go_124_ticket[] =
	"1fc9f2d68b5045cc34e4ce3116cfe3f94988d6e8bae4798e78e6a6601d4643656cb0d7440e6bd2373dfd9445"
	"9d4353ad1b4e6b1f599391a775d7f426f7898bed81a9f04d12542857605e7e94143ac189891ba74c256717ad"
	"76418a6b433ebe4f6890de2b2eb1d8fc4c418d376592be24b57e62bd167953e292";

/* s2n-tls as aws-crt 1.33.2 for Node.js has it: its own server, called through that library, given
 * this key by s2n_config_add_ticket_crypto_key(). */
static const char s2n_key[] =
	"fc80af31c6077f7ad0dfb2777082cbd635884b5ea599d7b386bbae0424bc25e4";
static const char s2n_master[] =
	"67c8f33b4908c439974e0e32fdfd3e47f254b6b818352cf9c26948de0996a98773a879fbc78d2f6857ba931d"
	"c22cb222";
static const char s2n_ticket[] =
	"01323032362e31312e32322e6b6579000040be029460858b7a7e995c95ebff154f9087d281ba2932f90ab41e"
	"52f002e6a163b5baf5f11ed333f0f25da0465d96b59c68b43201333df37169345a3f0aa7f5629b8365c7eb2d"
	"30f221a8b4d2baa67a76b5167d217b7fbd9a9abd3cea9f4eab8376e3ccab986f16c43293180f1d747aeb3e00"
	"1078c03134bc";

/* Go 1.21 again, and s2n-tls with a shorter key: both were put together in Python from the
 * layouts of those libraries, with this secret. */
static const char made_master[] =
	"090c0f1215181b1e2124272a2d303336393c3f4245484b4e5154575a5d606366696c6f7275787b7e8184878a"
	"8d909396";
static const char go_121_ticket[] =
	"000102030405060708090a0b0c0d0e0fc3c7e95ac5d0b10cf165684f05cc25af3e6a51caa26195d7fb851024"
	"7a65cdeed06beac5cf8a71f9fc9702ef0dd9f35fd96755f6de7731cee19950144bd62f5fb8991a4d31a4fb3f"
	"21102ea8e39b06d1d9b912aae8a45b74a01b8f4c2fcba29d6222171440cede513f";
static const char s2n_made_key[] =
	"05101b26313c47525d68737e89949faab5c0cbd6e1ecf702";
static const char s2n_made_ticket[] =
	"01323032362e31312e32312e3130000000202122232425262728292a2b2c2d2e2f303132333435363738393a"
	"3b3c3d3e3f000102030405060708090a0b19e953e34a80b1210bcf5d4a7358ffadd210e203731f06441b066c"
	"5eab5277c80165bdc28980de52dbfbb79d7dc49421343c5683b391a55c3d68732874ac1b1e2b110971786211"
	"adb32e78bf80";

static struct lp_crypto_set crypto;

static size_t unhex(uint8_t *out, const char *hex)
{
	size_t n = strlen(hex) / 2;

	ck_assert_int_eq(lp_text_unhex(out, n, hex, 2 * n), LP_OK);
	return n;
}

static void setup(void)
{
	ck_assert_int_eq(lp_crypto_choose(&crypto, "auto"), LP_OK);
}

/* ---- files ---- */

static enum lp_err read_text(struct lp_ticketfile *f, const void *p, size_t n)
{
	char why[LP_TICKETFILE_WHY];
	uint8_t *exact = malloc(n ? n : 1);
	enum lp_err err;

	memcpy(exact, p, n);
	memset(why, 'x', sizeof why);
	*f = (struct lp_ticketfile){ NULL, 0, 0 };
	err = lp_ticketfile_read(f, lp_span_of(exact, n), why);
	ck_assert_ptr_nonnull(memchr(why, 0, sizeof why));
	ck_assert_int_eq(err == LP_OK, f->n != 0);
	if (err == LP_E_FORMAT)
		ck_assert_uint_gt(strlen(why), 10);
	free(exact);
	return err;
}

static void expect_keys(const void *p, size_t n, size_t keys, enum lp_ticket_kind kind)
{
	struct lp_ticketfile f;

	ck_assert_int_eq(read_text(&f, p, n), LP_OK);
	ck_assert_uint_eq(f.n, keys);
	for (size_t i = 0; i < f.n; i++)
		ck_assert_int_eq(f.key[i].kind, kind);
	lp_ticketfile_clear(&f);
	ck_assert_ptr_null(f.key);
}

START_TEST(raw_files)
{
	static const struct {
		size_t bytes, keys;
	} file[] = {
		{ 48, 1 }, { 80, 1 }, { 92, 1 }, { 96, 2 }, { 160, 2 }, { 240, 5 + 3 }, { 144, 3 },
		{ 0, 0 }, { 1, 0 }, { 47, 0 }, { 49, 0 }, { 64, 0 }, { 79, 0 }, { 81, 0 }, { 91, 0 },
		{ 93, 0 }, { 65536, 0 },
	};
	static uint8_t bytes[65536];
	struct lp_ticketfile f;

	help_fill(bytes, sizeof bytes, 1);
	for (size_t i = 0; i < sizeof file / sizeof *file; i++) {
		if (file[i].keys)
			expect_keys(bytes, file[i].bytes, file[i].keys, LP_TICKET_NAMED);
		else
			ck_assert_int_eq(read_text(&f, bytes, file[i].bytes), LP_E_FORMAT);
	}
	ck_assert_int_eq(read_text(&f, bytes, 92), LP_OK);
	ck_assert_mem_eq(f.key[0].name, bytes + 12, 16);
	ck_assert_mem_eq(f.key[0].key.p, bytes + 28, 64);
	lp_ticketfile_clear(&f);
	memset(bytes, 'k', sizeof bytes); /* text by its looks, a raw key by its length */
	expect_keys(bytes, 48, 1, LP_TICKET_NAMED);
	expect_keys(bytes, 80, 1, LP_TICKET_NAMED);
	ck_assert_int_eq(read_text(&f, bytes, 49), LP_E_FORMAT);
}
END_TEST

/* Three lines of HAProxy, which its admin socket shows with a number before each. */
#define LINE_48 "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8gISIjJCUmJygpKissLS4v"
#define LINE_80 LINE_48 "MDEyMzQ1Njc4OTo7PD0+P0BBQkNERUZHSElKS0xNTk8="
#define HEX_16 "00112233445566778899aabbccddeeff"
#define HEX_32 HEX_16 "FFEEDDCCBBAA99887766554433221100"

START_TEST(text_files)
{
	static const struct {
		const char *text;
		size_t keys;
		enum lp_ticket_kind kind;
	} file[] = {
		{ LINE_48, 1, LP_TICKET_NAMED },
		{ LINE_48 "\n" LINE_48 "\r\n\n  " LINE_80 "  \n", 3, LP_TICKET_NAMED },
		{ "# id secret\n# 0 (/etc/haproxy/keys)\n0.0 " LINE_80 "\n0.1 " LINE_48 "\n\n", 2,
		  LP_TICKET_NAMED },
		{ HEX_16 HEX_32 "\n", 1, LP_TICKET_NAMED },
		{ HEX_16 HEX_32 HEX_32 "\n", 1, LP_TICKET_NAMED },
		{ HEX_16 "\n" HEX_32 "\n", 1, LP_TICKET_BARE },
		{ "00:11:22:33:44:55:66:77:88:99:aa:bb:cc:dd:ee:ff\n" HEX_16, 1, LP_TICKET_BARE },
		{ "; a stunnel.conf\ncert = x\n[a]\naccept = 1\nticketKeySecret = " HEX_32
		  "\nticketMacSecret=" HEX_16 "\n[b]\n  TICKETMACSECRET = " HEX_16
		  "\nticketKeySecret = " HEX_16 "\n[c]\n", 2, LP_TICKET_BARE },
		{ "gnutls:" HEX_32 HEX_32, 1, LP_TICKET_GNUTLS },
		{ "gnutls:" HEX_32 HEX_32 ":3600\n", 1, LP_TICKET_GNUTLS },
		{ "go:" HEX_32 "\n", 1, LP_TICKET_GO },
		{ "S2N:" HEX_32 "01\n", 1, LP_TICKET_S2N },
		{ "", 0, 0 }, { "\n\n# nothing\n", 0, 0 }, { HEX_16 "\n", 0, 0 },
		{ HEX_16 HEX_32 "0\n", 0, 0 }, { LINE_48 "A\n", 0, 0 }, { "go:" HEX_16, 0, 0 },
		{ "gnutls:" HEX_32, 0, 0 }, { "gnutls:" HEX_32 HEX_32 ":", 0, 0 },
		{ "gnutls:" HEX_32 HEX_32 ":0", 0, 0 }, { "gnutls:" HEX_32 HEX_32 ":99999999999", 0, 0 },
		{ "s2n:", 0, 0 }, { "s2n:0", 0, 0 }, { LINE_48 "\nhello\n", 0, 0 },
		{ "ticketKeySecret = 12\nticketMacSecret = " HEX_16, 0, 0 },
		{ "ticketKeySecret = " HEX_16, 0, 0 },
		{ "-----BEGIN PRIVATE KEY-----\nMIIE\n-----END PRIVATE KEY-----\n", 0, 0 },
	};
	struct lp_ticketfile f;

	for (size_t i = 0; i < sizeof file / sizeof *file; i++) {
		size_t n = strlen(file[i].text);

		if (file[i].keys)
			expect_keys(file[i].text, n, file[i].keys, file[i].kind);
		else
			ck_assert_msg(read_text(&f, file[i].text, n) == LP_E_FORMAT, "row %zu", i);
	}
	ck_assert_int_eq(read_text(&f, LINE_80, strlen(LINE_80)), LP_OK);
	for (size_t i = 0; i < 16; i++)
		ck_assert_uint_eq(f.key[0].name[i], i);
	for (size_t i = 0; i < 64; i++)
		ck_assert_uint_eq(f.key[0].key.p[i], 16 + i);
	ck_assert_uint_eq(f.key[0].first, 32);
	lp_ticketfile_clear(&f);
}
END_TEST

/* Cut anywhere, a file gives keys or a reason, and never a crash. */
START_TEST(text_cut)
{
	static const char text[] = "# x\ngo:" HEX_32 "\n" LINE_80 "\ngnutls:" HEX_32 HEX_32 ":60\n";
	struct lp_ticketfile f;

	for (size_t n = 0; n < sizeof text; n++) {
		if (!read_text(&f, text, n))
			lp_ticketfile_clear(&f);
	}
}
END_TEST

/* ---- tickets ---- */

static enum lp_err open_with(const struct lp_ticket_key *k, lp_span ticket, uint64_t time_s,
			     struct lp_ticket_session *out)
{
	struct lp_ticket_ctx ctx = { 0 };
	uint8_t *exact = malloc(ticket.n ? ticket.n : 1);
	uint8_t *room = lp_secret_alloc(ticket.n ? ticket.n : 1);
	const struct lp_ticket_try t = { &crypto, lp_span_of(exact, ticket.n), time_s, room };
	enum lp_err err, again;

	memcpy(exact, ticket.p, ticket.n);
	err = lp_ticket_open(k, &ctx, &t, out);
	again = lp_ticket_open(k, &ctx, &t, out); /* with what was prepared */
	ck_assert_int_eq(err, again);
	lp_ticket_ctx_clear(&ctx, &crypto);
	lp_secret_free(room, ticket.n ? ticket.n : 1);
	free(exact);
	return err;
}

static void load_key(struct lp_ticketfile *f, const char *prefix, const char *hex)
{
	char text[4096];
	int n = snprintf(text, sizeof text, "%s%s\n", prefix, hex);

	ck_assert_int_eq(read_text(f, text, (size_t)n), LP_OK);
	ck_assert_uint_eq(f->n, 1);
}

static const struct recorded {
	const char *prefix, *key, *ticket, *master;
	uint64_t time_s;
	uint16_t suite;
	int ems;
} recorded[] = {
	{ "gnutls:", gnutls_key, gnutls_ticket, gnutls_master, GNUTLS_TIME, 0xc030, 1 },
	/* the ticket is used in the next period */
	{ "gnutls:", gnutls_key, gnutls_ticket, gnutls_master, GNUTLS_TIME + 3 * 21600, 0xc030, 1 },
	{ "go:", go_key, go_ticket, go_master, 0, 0xc02f, -1 },
	{ "go:", go_key, go_124_ticket, go_124_master, 0, 0xc02f, 1 },
	{ "go:", go_key, go_121_ticket, made_master, 0, 0xc02f, 1 },
	{ "s2n:", s2n_key, s2n_ticket, s2n_master, 0, 0xc02f, 1 },
	{ "s2n:", s2n_made_key, s2n_made_ticket, made_master, 0, 0xc02f, 1 },
};

/* A ticket opens, and with any byte changed, or cut anywhere, it does not. */
START_TEST(recorded_tickets)
{
	const struct recorded *r = &recorded[_i];
	struct lp_ticketfile f;
	struct lp_ticket_session s;
	uint8_t ticket[4096], master[48];
	size_t n = unhex(ticket, r->ticket);

	unhex(master, r->master);
	load_key(&f, r->prefix, r->key);
	ck_assert_int_eq(open_with(&f.key[0], lp_span_of(ticket, n), r->time_s, &s), LP_OK);
	ck_assert_uint_eq(s.version, 0x0303);
	ck_assert_uint_eq(s.suite, r->suite);
	ck_assert_int_eq(s.ems, r->ems);
	ck_assert_uint_eq(s.secret_len, 48);
	ck_assert_mem_eq(s.secret, master, 48);
	for (size_t i = 0; i < n; i += 1 + n / 100) {
		ticket[i] ^= 0x10;
		ck_assert_int_eq(open_with(&f.key[0], lp_span_of(ticket, n), r->time_s, &s),
				 LP_E_AUTH);
		ticket[i] ^= 0x10;
		ck_assert_int_eq(open_with(&f.key[0], lp_span_of(ticket, i), r->time_s, &s),
				 LP_E_AUTH);
	}
	f.key[0].key.p[0] ^= 1;
	ck_assert_int_eq(open_with(&f.key[0], lp_span_of(ticket, n), r->time_s, &s), LP_E_AUTH);
	lp_ticketfile_clear(&f);
}
END_TEST

START_TEST(gnutls_periods)
{
	struct lp_ticketfile f;
	struct lp_ticket_session s;
	uint8_t ticket[4096];
	size_t n = unhex(ticket, gnutls_ticket);

	load_key(&f, "gnutls:", gnutls_key);
	ck_assert_int_eq(open_with(&f.key[0], lp_span_of(ticket, n), GNUTLS_TIME + 6 * 21600, &s),
			 LP_E_AUTH);
	ck_assert_int_eq(open_with(&f.key[0], lp_span_of(ticket, n), 0, &s), LP_E_AUTH);
	lp_ticketfile_clear(&f);
}
END_TEST

/* ---- OpenSSL's form, made here ---- */

static const struct form {
	size_t key_n;
	enum help_order order;
} forms[] = { { 48, HELP_HMAC_FIRST }, { 48, HELP_AES_FIRST }, { 80, HELP_HMAC_FIRST }, { 80, HELP_AES_FIRST } };

struct made {
	uint8_t key[80], master[48], ticket[HELP_TICKET_MAX];
	size_t n;
};

static void make(struct made *m, const struct form *form, const struct help_body *b, enum help_ticket_damage damage)
{
	static uint8_t mem[HELP_TICKET_MAX];

	help_fill(m->key, sizeof m->key, 3);
	help_fill(m->master, sizeof m->master, 4);
	m->n = help_ticket(m->ticket, crypto.base, m->key, form->key_n, form->order,
			   help_ticket_body(mem, sizeof mem, b, m->master), damage);
}

static struct made made;

START_TEST(either_order)
{
	const struct form *form = &forms[_i];
	static const struct help_body bodies[] = {
		{ 0x0303, 0xc02f, false, false, 0 }, { 0x0303, 0xc030, true, false, 0 },
		{ 0x0302, 0x0035, false, true, 0 }, { 0x0301, 0xc013, true, false, 4000 },
		{ 0x0303, 0xc030, true, false, 65000 },
	};
	struct lp_ticketfile f;
	struct lp_ticket_session s;

	for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++) {
		const struct help_body *b = &bodies[i];

		make(&made, form, b, HELP_TICKET_WELL);
		ck_assert_int_eq(read_text(&f, made.key, form->key_n), LP_OK);
		ck_assert_int_eq(open_with(&f.key[0], lp_span_of(made.ticket, made.n), 0, &s), LP_OK);
		ck_assert_uint_eq(s.version, b->version);
		ck_assert_uint_eq(s.suite, b->suite);
		ck_assert_int_eq(s.ems, b->flags_ems || b->boolean_ems);
		ck_assert_mem_eq(s.secret, made.master, 48);
		made.ticket[made.n / 2] ^= 1;
		ck_assert_int_eq(open_with(&f.key[0], lp_span_of(made.ticket, made.n), 0, &s),
				 LP_E_AUTH);
		made.ticket[made.n / 2] ^= 1;
		made.ticket[0] ^= 1;
		ck_assert_int_eq(open_with(&f.key[0], lp_span_of(made.ticket, made.n), 0, &s),
				 LP_E_AUTH);
		lp_ticketfile_clear(&f);
	}
}
END_TEST

/* stunnel: any bytes stand where the name should be. */
START_TEST(bare_keys)
{
	const struct form *form = &forms[_i];
	static const struct help_body body = { 0x0303, 0xc02f, true, false, 0 };
	char text[256], a[65], b[65];
	size_t half = (form->key_n - 16) / 2;
	struct lp_ticketfile f;
	struct lp_ticket_session s;

	make(&made, form, &body, HELP_TICKET_WELL);
	lp_text_hex(a, made.key + 16, half);
	lp_text_hex(b, made.key + 16 + half, half);
	if (form->order == HELP_HMAC_FIRST)
		snprintf(text, sizeof text, "ticketMacSecret = %s\nticketKeySecret = %s\n", a, b);
	else
		snprintf(text, sizeof text, "%s\n%s\n", a, b);
	ck_assert_int_eq(read_text(&f, text, strlen(text)), LP_OK);
	ck_assert_int_eq(f.key[0].kind, LP_TICKET_BARE);
	ck_assert_int_eq(open_with(&f.key[0], lp_span_of(made.ticket, made.n), 0, &s), LP_OK);
	ck_assert_mem_eq(s.secret, made.master, 48);
	lp_ticketfile_clear(&f);
}
END_TEST

/* ---- the ring ---- */

static struct lp_ticketring *ring;

static void ring_open(uint64_t life_ns)
{
	ck_assert_int_eq(lp_ticketring_new(&ring, &crypto, 2, life_ns), LP_OK);
}

static bool ring_set(const char *name, const void *p, size_t n, uint64_t now)
{
	struct lp_ticketfile f = { NULL, 0, 0 };
	uint32_t file;
	bool changed;

	if (n)
		ck_assert_int_eq(read_text(&f, p, n), LP_OK);
	ck_assert_int_eq(lp_ticketring_file(ring, name, &file), LP_OK);
	ck_assert_int_eq(lp_ticketring_set(ring, file, &f, now, &changed), LP_OK);
	ck_assert_ptr_null(f.key);
	return changed;
}

static enum lp_err ring_try(unsigned thread, struct lp_ticket_session *s, uint32_t *file, bool *loose)
{
	uint8_t *room = lp_secret_alloc(made.n);
	const struct lp_ticket_try t = { &crypto, lp_span_of(made.ticket, made.n), 0, room };
	enum lp_err err = lp_ticketring_open(ring, thread, &t, s, file, loose);

	lp_secret_free(room, made.n);
	return err;
}

static const struct help_body plain_body = { 0x0303, 0xc02f, true, false, 0 };

/* Apache with OpenSSL 3: the name fits, the MAC does not, what comes out is exact. */
START_TEST(loose_tickets)
{
	static const enum help_ticket_damage damages[] = { HELP_TICKET_WELL, HELP_TICKET_ZERO_MAC, HELP_TICKET_BAD_MAC, HELP_TICKET_PADDING, HELP_TICKET_TRAILING };
	struct lp_ticket_session s;
	uint32_t file;
	bool loose;

	for (size_t i = 0; i < sizeof damages / sizeof *damages; i++) {
		make(&made, &forms[0], &plain_body, damages[i]);
		if (damages[i] == HELP_TICKET_PADDING || damages[i] == HELP_TICKET_TRAILING)
			made.ticket[made.n - 1] ^= 1; /* not authentic either */
		ring_open(1);
		ring_set("file", made.key, 48, 0);
		if (damages[i] == HELP_TICKET_PADDING || damages[i] == HELP_TICKET_TRAILING) {
			ck_assert_int_eq(ring_try(0, &s, &file, &loose), LP_E_AUTH);
		} else {
			ck_assert_int_eq(ring_try(0, &s, &file, &loose), LP_OK);
			ck_assert_int_eq(loose, damages[i] != HELP_TICKET_WELL);
			ck_assert_mem_eq(s.secret, made.master, 48);
		}
		made.ticket[3] ^= 1; /* another name: nobody's */
		ck_assert_int_eq(ring_try(0, &s, &file, &loose), LP_E_AUTH);
		lp_ticketring_free(ring);
	}
}
END_TEST

/* A key that its file has no more stays for its time, and is wiped then. */
START_TEST(rotation)
{
	struct lp_ticket_session s;
	uint8_t other[80];
	uint32_t file;
	bool loose;

	help_fill(other, sizeof other, 99);
	make(&made, &forms[3], &plain_body, HELP_TICKET_WELL);
	ring_open(100);
	ck_assert(ring_set("other", other, 48, 0));
	ck_assert(ring_set("key", made.key, 80, 0));
	ck_assert(!ring_set("key", made.key, 80, 1)); /* nothing new */
	ck_assert_int_eq(ring_try(0, &s, &file, &loose), LP_OK);
	ck_assert_uint_eq(file, 1);
	ck_assert(ring_set("key", other, 80, 10));
	ck_assert_uint_eq(lp_ticketring_count(ring), 3);
	ck_assert_int_eq(ring_try(1, &s, &file, &loose), LP_OK);
	ck_assert_uint_eq(lp_ticketring_expire(ring, 109), 110);
	ck_assert(ring_set("key", made.key, 80, 109)); /* it comes back: in use again */
	ck_assert_uint_eq(lp_ticketring_expire(ring, 110), 209);
	ck_assert_int_eq(ring_try(1, &s, &file, &loose), LP_OK);
	ck_assert(ring_set("key", NULL, 0, 120)); /* the file is gone */
	ck_assert_uint_eq(lp_ticketring_expire(ring, 209), 220);
	ck_assert_int_eq(ring_try(0, &s, &file, &loose), LP_OK);
	ck_assert_uint_eq(lp_ticketring_expire(ring, 220), 0);
	ck_assert_int_eq(ring_try(0, &s, &file, &loose), LP_E_AUTH);
	ck_assert_uint_eq(lp_ticketring_count(ring), 1);
	lp_ticketring_free(ring);
}
END_TEST

START_TEST(ring_is_bounded)
{
	static uint8_t many[1365 * 48];
	struct lp_ticketfile f;
	uint32_t file;
	bool changed;
	char name[32];
	enum lp_err err = LP_OK;
	size_t files = 0;

	ring_open(1);
	while (!err) {
		help_fill(many, sizeof many, (uint32_t)files + 1);
		ck_assert_int_eq(read_text(&f, many, sizeof many), LP_OK);
		snprintf(name, sizeof name, "f%zu", files++);
		ck_assert_int_eq(lp_ticketring_file(ring, name, &file), LP_OK);
		err = lp_ticketring_set(ring, file, &f, 0, &changed);
	}
	ck_assert_int_eq(err, LP_E_LIMIT);
	ck_assert_uint_gt(lp_ticketring_count(ring), LP_TICKETRING_MAX - 1365 * 2);
	ck_assert_uint_le(lp_ticketring_count(ring), LP_TICKETRING_MAX);
	for (; files < LP_TICKETRING_FILES; files++) {
		snprintf(name, sizeof name, "f%zu", files);
		ck_assert_int_eq(lp_ticketring_file(ring, name, &file), LP_OK);
	}
	ck_assert_int_eq(lp_ticketring_file(ring, "one more", &file), LP_E_LIMIT);
	lp_ticketring_free(ring);
}
END_TEST

/* ---- bodies ---- */

/* Every form, cut at every byte and changed in each: whole it reads, cut before the
 * secret's end it does not, and no length in it is believed. */
START_TEST(body_cut)
{
	static uint8_t mem[1024];
	struct lp_ticket_session s;
	uint8_t master[48];
	lp_span body;

	help_fill(master, sizeof master, 4);
	body = help_ticket_body(mem, sizeof mem, &plain_body, master);
	for (size_t n = 0; n <= body.n; n++) {
		uint8_t *exact = malloc(n ? n : 1);

		memcpy(exact, body.p, n);
		for (int form = 0; form < LP_FORM_COUNT; form++) {
			enum lp_err err = lp_ticketbody_read(&s, (enum lp_ticket_form)form,
							     lp_span_of(exact, n));

			ck_assert_int_eq(err == LP_OK, form == LP_FORM_OPENSSL && n == body.n);
		}
		free(exact);
	}
	for (size_t i = 0; i < body.n; i++) {
		for (int bit = 0; bit < 8; bit++) {
			mem[sizeof mem - body.n + i] ^= (uint8_t)(1 << bit);
			if (lp_ticketbody_read(&s, LP_FORM_OPENSSL, body) == LP_OK)
				ck_assert_uint_eq(s.secret_len, s.version == 0x0304 ? s.secret_len : 48);
			mem[sizeof mem - body.n + i] ^= (uint8_t)(1 << bit);
		}
	}
}
END_TEST

/* FIPS 202: the empty message, "abc" (in parts), and one longer than a block. */
START_TEST(sha3_vectors)
{
	static const char *const want[] = {
		"a69f73cca23a9ac5c8b567dc185a756e97c982164fe25859e0d1dcc1475c80a6"
		"15b2123af1f5f94c11e3e9402c3ac558f500199d95b6d3e301758586281dcd26",
		"b751850b1a57168a5693cd924b6b096e08f621827444f70d884f5d0240d2712e"
		"10e116e9192af3c91a7ec57647e3934057340b4cf408d5a56592f8274eec53f0",
		"afebb2ef542e6579c50cad06d2e578f9f8dd6881d7dc824d26360feebf18a4fa"
		"73e3261122948efcfd492e74e82e2189ed0fb440d187f382270cb455f21dd185",
	};
	static const char text[] = "abcdefghbcdefghicdefghijdefghijkefghijklfghijklmghijklmnhijklmno"
				   "ijklmnopjklmnopqklmnopqrlmnopqrsmnopqrstnopqrstu";
	const lp_span parts[][2] = {
		{ { NULL, 0 }, { NULL, 0 } },
		{ lp_span_of("a", 1), lp_span_of("bc", 2) },
		{ lp_span_of(text, 70), lp_span_of(text + 70, sizeof text - 1 - 70) },
	};
	uint8_t out[64], expected[64];

	for (size_t i = 0; i < 3; i++) {
		unhex(expected, want[i]);
		lp_sha3_512(parts[i], 2, out);
		ck_assert_mem_eq(out, expected, 64);
	}
}
END_TEST

Suite *suite_ticket(void);
Suite *suite_ticket(void)
{
	Suite *s = suite_create("ticket");
	TCase *t = tcase_create("ticket");

	tcase_add_checked_fixture(t, setup, NULL);
	tcase_add_test(t, raw_files);
	tcase_add_test(t, text_files);
	tcase_add_test(t, text_cut);
	tcase_add_loop_test(t, recorded_tickets, 0, sizeof recorded / sizeof *recorded);
	tcase_add_test(t, gnutls_periods);
	tcase_add_loop_test(t, either_order, 0, sizeof forms / sizeof *forms);
	tcase_add_loop_test(t, bare_keys, 0, sizeof forms / sizeof *forms);
	tcase_add_test(t, loose_tickets);
	tcase_add_test(t, rotation);
	tcase_add_test(t, ring_is_bounded);
	tcase_add_test(t, body_cut);
	tcase_add_test(t, sha3_vectors);
	suite_add_tcase(s, t);
	return s;
}
