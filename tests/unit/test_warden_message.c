/* warden/message: every message there and back; nothing else is accepted. */
#include <check.h>
#include <string.h>

#include "crypto/crypto.h"
#include "warden/message.h"

static struct lp_ask an_ask(void)
{
	struct lp_ask ask = {
		.id = 0x0102030405060708, .op = LP_ASK_RSA, .key = 7, .version = 0x0303,
		.client_version = 0x0301, .prf = LP_SHA384, .extended = true, .seed_len = 48,
		.input_len = 256, .psk = 0x01020304
	};

	memset(ask.seed, 0x5a, 48);
	memset(ask.input, 0xa5, 256);
	return ask;
}

/* A message must read, and none that is shorter or longer by a byte may. */
static void check_exact(const uint8_t *p, size_t n, struct lp_message *m)
{
	uint8_t longer[LP_MESSAGE_OPTIONS_ROOM + 1];

	ck_assert_uint_gt(n, 0);
	ck_assert_uint_lt(n, sizeof longer);
	for (size_t cut = 0; cut < n; cut++)
		ck_assert_int_lt(lp_message_read(m, lp_span_of(p, cut)), 0);
	memcpy(longer, p, n);
	longer[n] = 0;
	ck_assert_int_lt(lp_message_read(m, lp_span_of(longer, n + 1)), 0);
	ck_assert_int_eq(lp_message_read(m, lp_span_of(p, n)), LP_OK);
	ck_assert_int_eq(m->type, p[0]);
}

START_TEST(questions_and_answers)
{
	const struct lp_ask ask = an_ask();
	struct lp_answer answer = { .id = 99, .code = LP_ANSWER_DONE, .secret_len = 48,
				    .secret = { 1, 2, 3 } };
	uint8_t bytes[LP_MESSAGE_ASK_ROOM], again[LP_MESSAGE_ASK_ROOM];
	struct lp_message m;
	size_t n = lp_message_write_ask(bytes, sizeof bytes, &ask);

	check_exact(bytes, n, &m);
	ck_assert_uint_eq(m.ask.id, ask.id);
	ck_assert_uint_eq(m.ask.key, 7);
	ck_assert_uint_eq(m.ask.psk, 0x01020304);
	ck_assert_uint_eq(m.ask.client_version, 0x0301);
	ck_assert(m.ask.extended);
	ck_assert_uint_eq(lp_message_write_ask(again, sizeof again, &m.ask), n);
	ck_assert_mem_eq(again, bytes, n);
	ck_assert_uint_eq(lp_message_write_ask(bytes, n - 1, &ask), 0);

	n = lp_message_write_answer(bytes, LP_MESSAGE_ANSWER_ROOM, &answer);
	check_exact(bytes, n, &m);
	ck_assert_uint_eq(m.answer.id, 99);
	ck_assert_uint_eq(m.answer.secret_len, 48);
	ck_assert_mem_eq(m.answer.secret, answer.secret, 48);
	answer.secret_len = 0;
	n = lp_message_write_answer(bytes, LP_MESSAGE_ANSWER_ROOM, &answer);
	ck_assert_int_lt(lp_message_read(&m, lp_span_of(bytes, n)), 0); /* DONE without a secret */
	answer.code = LP_ANSWER_BUSY;
	n = lp_message_write_answer(bytes, LP_MESSAGE_ANSWER_ROOM, &answer);
	check_exact(bytes, n, &m);
	ck_assert_int_eq(m.answer.code, LP_ANSWER_BUSY);
}
END_TEST

/* Whatever is in the first is in the others, too, and each is read once and in order. */
START_TEST(answers_share_a_datagram)
{
	uint8_t bytes[LP_MESSAGE_ANSWERS_ROOM], cut[LP_MESSAGE_ANSWERS_ROOM];
	const size_t most = sizeof ((struct lp_answer *)NULL)->secret;
	struct lp_answer answer = { .version = 0x0303, .ems = -1, .key = 5 };
	struct lp_message m;
	size_t n = 0, end[LP_MESSAGE_ANSWERS];

	for (unsigned i = 0; i < LP_MESSAGE_ANSWERS; i++) {
		answer.id = i;
		answer.code = i % 3 == 1 ? LP_ANSWER_NO_KEY : LP_ANSWER_DONE;
		answer.secret_len = answer.code ? 0 : most;
		memset(answer.secret, (int)i, sizeof answer.secret);
		ck_assert_uint_eq(lp_message_add_answer(bytes, 0, sizeof bytes, &answer), 0);
		n = i ? lp_message_add_answer(bytes, n, sizeof bytes, &answer)
		      : lp_message_write_answer(bytes, sizeof bytes, &answer);
		ck_assert_uint_gt(n, 0);
		end[i] = n;
	}
	for (size_t k = 1, whole = 0; k <= n; k++) {
		memcpy(cut, bytes, k);
		if (k != end[whole]) {
			ck_assert_int_lt(lp_message_read(&m, lp_span_of(cut, k)), 0);
			continue;
		}
		ck_assert_int_eq(lp_message_read(&m, lp_span_of(cut, k)), LP_OK);
		whole++;
		for (unsigned i = 0; i < whole; i++) {
			ck_assert_uint_eq(m.answer.id, i);
			ck_assert_int_eq(m.answer.code == LP_ANSWER_DONE, i % 3 != 1);
			ck_assert_uint_eq(m.answer.secret_len, m.answer.code ? 0 : most);
			ck_assert(m.answer.code || m.answer.secret[most - 1] == i);
			ck_assert_int_eq(lp_message_next_answer(&m), i + 1 < whole ? LP_OK : LP_EOF);
		}
	}
}
END_TEST

/* The largest of everything fits its room. */
START_TEST(rooms_are_large_enough)
{
	struct lp_ask ask = an_ask();
	const struct lp_answer answer = { .id = 1, .code = LP_ANSWER_DONE, .secret_len = 64 };
	char path[LP_MESSAGE_PATH_MAX + 2], line[LP_MESSAGE_TEXT_MAX + 100];
	struct lp_message_options o = { .strict_key_modes = true, .lines = LP_WARDEN_LINES, .threads = 1, .delay_ms = 2 };
	uint8_t bytes[LP_MESSAGE_OPTIONS_ROOM];
	struct lp_message m;

	ask.op = LP_ASK_DH;
	ask.seed_len = LP_WARDEN_SEED;
	ask.input_len = LP_WARDEN_INPUT;
	ck_assert_uint_gt(lp_message_write_ask(bytes, LP_MESSAGE_ASK_ROOM, &ask), 0);
	ck_assert_uint_gt(lp_message_write_answer(bytes, LP_MESSAGE_ANSWER_ROOM, &answer), 0);
	memset(path, 'p', sizeof path);
	path[LP_MESSAGE_PATH_MAX + 1] = '\0';
	ck_assert_uint_eq(lp_message_write_path(bytes, sizeof bytes, LP_MESSAGE_PATH, path), 0);
	path[LP_MESSAGE_PATH_MAX] = '\0';
	check_exact(bytes, lp_message_write_path(bytes, sizeof bytes, LP_MESSAGE_PSKS, path), &m);
	check_exact(bytes, lp_message_write_path(bytes, sizeof bytes, LP_MESSAGE_PATH, path), &m);
	ck_assert_uint_eq(lp_message_write_path(bytes, sizeof bytes, LP_MESSAGE_PATH, ""), 0);
	o.passphrase_file = lp_span_of(path, LP_MESSAGE_PATH_MAX);
	o.crypto = lp_span_of(path, LP_MESSAGE_NAME_MAX);
	check_exact(bytes, lp_message_write_options(bytes, sizeof bytes, &o), &m);
	ck_assert(m.options.strict_key_modes);
	ck_assert_uint_eq(m.options.threads, 1);
	ck_assert_uint_eq(m.options.delay_ms, 2);
	ck_assert_uint_eq(m.options.passphrase_file.n, LP_MESSAGE_PATH_MAX);
	memset(line, 'x', sizeof line);
	line[sizeof line - 1] = '\0';
	check_exact(bytes, lp_message_write_log(bytes, LP_MESSAGE_LINE_ROOM, line), &m);
	ck_assert_uint_eq(m.text.n, LP_MESSAGE_TEXT_MAX);
	check_exact(bytes, lp_message_write_fault(bytes, LP_MESSAGE_LINE_ROOM, LP_E_NOENT, line), &m);
	ck_assert_int_eq(m.fault, LP_E_NOENT);
	check_exact(bytes, lp_message_write_go(bytes, sizeof bytes), &m);
}
END_TEST

START_TEST(unsound_questions)
{
	static const struct {
		uint16_t version;
		uint8_t prf, extended, seed_len;
	} bad[] = {
		{ 0x02ff, LP_SHA256, 0, 64 }, { 0x0304, LP_SHA256, 0, 64 },
		{ 0x0303, LP_SHA256, 0, 63 }, { 0x0303, LP_SHA256, 0, 0 },
		{ 0x0303, LP_SHA256, 1, 64 }, { 0x0303, LP_SHA384, 1, 32 },
		{ 0x0302, LP_SHA256, 1, 32 }, { 0x0303, LP_DIGEST_NONE, 0, 64 },
		{ 0x0303, LP_MD5_SHA1, 1, 36 }, { 0x0303, LP_MD5_SHA1 + 1, 0, 64 },
		{ 0x0300, LP_SHA256, 1, 36 },
	};
	static const enum lp_warden_op ruled[] = { LP_ASK_RSA, LP_ASK_RSA_PSK, LP_ASK_PSK, LP_ASK_ECDH };
	uint8_t bytes[LP_MESSAGE_ASK_ROOM];
	struct lp_ask ask;
	struct lp_message m;
	size_t n;

	for (size_t i = 0; i < 4 * (sizeof bad / sizeof *bad); i++) {
		ask = an_ask();
		ask.op = ruled[i % 4];
		ask.version = bad[i / 4].version;
		ask.prf = bad[i / 4].prf;
		ask.extended = bad[i / 4].extended;
		ask.seed_len = bad[i / 4].seed_len;
		ck_assert_uint_eq(lp_message_write_ask(bytes, sizeof bytes, &ask), 0);
	}
	ask = an_ask();
	n = lp_message_write_ask(bytes, sizeof bytes, &ask);
	bytes[9] = 0; /* op */
	ck_assert_int_lt(lp_message_read(&m, lp_span_of(bytes, n)), 0);
	bytes[9] = LP_ASK_TICKET + 1;
	ck_assert_int_lt(lp_message_read(&m, lp_span_of(bytes, n)), 0);
	bytes[9] = LP_ASK_RSA;
	bytes[19] = 2; /* extended */
	ck_assert_int_lt(lp_message_read(&m, lp_span_of(bytes, n)), 0);
	bytes[19] = 1;
	ck_assert_int_eq(lp_message_read(&m, lp_span_of(bytes, n)), LP_OK);
}
END_TEST

START_TEST(keys_in_several_datagrams)
{
	static struct lp_warden_key keys[600];
	static uint8_t bytes[60000];
	struct lp_message m;
	struct lp_warden_key key;
	size_t at = 0, taken, seen = 0, datagrams = 0;

	for (size_t i = 0; i < 600; i++) {
		keys[i].id = (uint32_t)i;
		keys[i].bits = 2048;
		memset(keys[i].spki_sha256, (int)i, 32);
		memset(keys[i].name, 'n', i % LP_WARDEN_NAME);
	}
	do {
		size_t n = lp_message_write_keys(bytes, sizeof bytes, keys + at, 600 - at, 5, &taken);

		ck_assert_uint_gt(taken, 0);
		at += taken;
		datagrams++;
		ck_assert_int_eq(lp_message_read(&m, lp_span_of(bytes, n)), LP_OK);
		ck_assert_int_lt(lp_message_read(&m, lp_span_of(bytes, n - 1)), 0);
		ck_assert_int_eq(lp_message_read(&m, lp_span_of(bytes, n)), LP_OK);
		ck_assert_int_eq(m.keys.last, at == 600);
		ck_assert_uint_eq(m.keys.skipped, 5);
		while (lp_message_next_key(&m.keys, &key) == LP_OK) {
			ck_assert_mem_eq(&key.spki_sha256, keys[seen].spki_sha256, 32);
			ck_assert_str_eq(key.name, keys[seen].name);
			ck_assert_uint_eq(key.id, seen++);
		}
	} while (at < 600);
	ck_assert_uint_eq(seen, 600);
	ck_assert_uint_gt(datagrams, 1);
}
END_TEST

START_TEST(not_ours)
{
	static const uint8_t unknown[] = { 0, 6, 64, 69, 255 };
	static uint8_t large[LP_MESSAGE_MAX + 1] = { LP_MESSAGE_KEYS };
	uint8_t bytes[LP_MESSAGE_LINE_ROOM];
	struct lp_message m;
	size_t n;

	for (size_t i = 0; i < sizeof unknown; i++)
		ck_assert_int_lt(lp_message_read(&m, lp_span_of(&unknown[i], 1)), 0);
	ck_assert_int_lt(lp_message_read(&m, lp_span_of(large, sizeof large)), 0);
	n = lp_message_write_log(bytes, sizeof bytes, "two\nlines");
	ck_assert_int_lt(lp_message_read(&m, lp_span_of(bytes, n)), 0);
	n = lp_message_write_fault(bytes, sizeof bytes, LP_E_IO, "x");
	bytes[1] = 0; /* a fault that is none */
	ck_assert_int_lt(lp_message_read(&m, lp_span_of(bytes, n)), 0);
	n = lp_message_write_path(bytes, sizeof bytes, LP_MESSAGE_PATH, "ab");
	bytes[3] = 0; /* a NUL inside */
	ck_assert_int_lt(lp_message_read(&m, lp_span_of(bytes, n)), 0);
}
END_TEST

Suite *suite_warden_message(void);
Suite *suite_warden_message(void)
{
	Suite *s = suite_create("warden_message");
	TCase *t = tcase_create("message");

	tcase_add_test(t, questions_and_answers);
	tcase_add_test(t, answers_share_a_datagram);
	tcase_add_test(t, rooms_are_large_enough);
	tcase_add_test(t, unsound_questions);
	tcase_add_test(t, keys_in_several_datagrams);
	tcase_add_test(t, not_ours);
	suite_add_tcase(s, t);
	return s;
}
