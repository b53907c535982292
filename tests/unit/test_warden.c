/* warden/: the process and its client, with real keys. */
#define _GNU_SOURCE
#include <check.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "crypto/kdf.h"
#include "help_seal.h"
#include "help_warden.h"
#include "warden/message.h"

static struct help_dir dir;
static bool have_openssl;
static mbedtls_pk_context pub1, pub2, pub4; /* of one.pem, two.pem, four.pem: 1024, 2048, 4096 */

static const char *const providers[] = {
	"mbedtls",
#ifdef LP_WITH_OPENSSL
	"openssl",
#endif
};

enum { PROVIDERS = sizeof providers / sizeof *providers };

static void setup(void)
{
	static const char *const names[] = { "one", "two", "four" };
	mbedtls_pk_context *const pubs[] = { &pub1, &pub2, &pub4 };
	char name[16];

	have_openssl = help_openssl_runs();
	help_dir_open(&dir);
	if (!have_openssl)
		return;
	ck_assert(help_run(&dir, "umask 077; mkdir all;"
			   "openssl genrsa -out one.pem 1024 && openssl genrsa -out two.pem 2048 &&"
			   "openssl genrsa -out four.pem 4096 && cp *.pem all &&"
			   "for k in one two four; do"
			   " openssl rsa -in $k.pem -pubout -out $k.pub || exit 1; done"));
	for (int i = 0; i < 3; i++) {
		snprintf(name, sizeof name, "%s.pub", names[i]);
		help_public_open(pubs[i], &dir, name);
	}
}

static void teardown(void)
{
	mbedtls_pk_free(&pub1);
	mbedtls_pk_free(&pub2);
	mbedtls_pk_free(&pub4);
	help_dir_close(&dir);
}

#define NEED_KEYS()             \
	do {                    \
		if (!have_openssl) { \
			help_skip("the openssl program is not installed"); \
			return; \
		} \
	} while (0)

/* Answers by id, for tests that number their questions from 0. */
struct answers {
	size_t n, done, order;
	struct lp_answer by_id[4096];
	size_t came[4096]; /* as which one */
};

static struct answers answers;

static void note(void *user, const struct lp_answer *a)
{
	struct answers *to = user;

	ck_assert_uint_lt(a->id, 4096);
	ck_assert_uint_eq(to->came[a->id], 0);
	to->by_id[a->id] = *a;
	to->came[a->id] = ++to->n;
	to->done += a->code == LP_ANSWER_DONE;
}

static void reset_answers(void)
{
	memset(&answers, 0, sizeof answers);
}

static void hear_all(struct lp_warden *w)
{
	while (lp_line_pending(lp_warden_line(w, 0)))
		ck_assert_int_eq(lp_line_poll(lp_warden_line(w, 0), 20000, note, &answers), LP_OK);
}

static const struct lp_answer *ask_once(struct lp_warden *w, const struct lp_ask *ask)
{
	reset_answers();
	ck_assert_int_eq(lp_line_ask(lp_warden_line(w, 0), ask), LP_OK);
	hear_all(w);
	ck_assert_uint_eq(answers.n, 1);
	return &answers.by_id[ask->id];
}

static void expect_legacy(const struct lp_ask *ask, const uint8_t premaster[48], uint8_t out[48])
{
	const struct lp_kdf kdf = { &lp_crypto_mbedtls, ask->version, (enum lp_digest)ask->prf, NULL };

	ck_assert_int_eq(lp_kdf_master(&kdf, lp_span_of(premaster, 48), ask->extended,
				       lp_span_of(ask->seed, ask->seed_len), out), LP_OK);
}

/* The same, by the openssl program's own PRF. */
static void expect_cli(const struct lp_ask *ask, const uint8_t premaster[48], uint8_t out[48])
{
	char secret[97], seed[2 * LP_WARDEN_SEED + 1];
	const char *digest = ask->version < 0x0303  ? "MD5-SHA1"
			     : ask->prf == LP_SHA384 ? "SHA384"
						     : "SHA256";

	ck_assert(help_run(&dir, "openssl kdf -binary -out kdf.out -keylen 48 -kdfopt digest:%s"
			   " -kdfopt hexsecret:%s -kdfopt hexseed:%s%s TLS1-PRF", digest,
			   lp_text_hex(secret, premaster, 48),
			   ask->extended ? "657874656e646564206d617374657220736563726574"
					 : "6d617374657220736563726574",
			   lp_text_hex(seed, ask->seed, ask->seed_len)));
	ck_assert_uint_eq(help_read(&dir, "kdf.out", out, 48), 48);
}

static const struct {
	uint16_t version, in_premaster;
	uint8_t prf, extended, seed_len;
} derivations[] = {
	{ 0x0301, 0x0301, LP_DIGEST_NONE, false, 64 },
	{ 0x0301, 0x0303, LP_DIGEST_NONE, false, 64 }, /* client offered more */
	{ 0x0302, 0x0303, LP_MD5_SHA1, true, 36 },
	{ 0x0303, 0x0303, LP_SHA256, false, 64 },
	{ 0x0303, 0x0301, LP_SHA256, false, 64 }, /* nonsense, and no error */
	{ 0x0303, 0x0303, LP_SHA256, true, 32 },
	{ 0x0303, 0x0303, LP_SHA384, false, 64 },
	{ 0x0303, 0x0303, LP_SHA384, true, 48 },
};

START_TEST(masters_match)
{
	struct lp_warden *w;
	struct lp_ask ask;
	uint8_t premaster[48], block[LP_WARDEN_INPUT], want[48];
	size_t keys;

	NEED_KEYS();
	w = help_warden(&dir, "two.pem", providers[_i], 1);
	ck_assert_uint_eq(lp_warden_keys(w, &keys)->bits, 2048);
	ck_assert_uint_eq(keys, 1);
	for (size_t i = 0; i < sizeof derivations / sizeof *derivations; i++) {
		help_ask(&ask, &pub2, 0, i, HELP_WELL, premaster);
		premaster[0] = (uint8_t)(derivations[i].in_premaster >> 8);
		premaster[1] = (uint8_t)derivations[i].in_premaster;
		help_pad(block, 256, premaster, HELP_WELL);
		help_encrypt(&pub2, block, ask.input);
		ask.version = derivations[i].version;
		ask.prf = derivations[i].prf;
		ask.extended = derivations[i].extended;
		ask.seed_len = derivations[i].seed_len;
		expect_cli(&ask, premaster, want);
		ck_assert_int_eq(ask_once(w, &ask)->code, LP_ANSWER_DONE);
		ck_assert_uint_eq(answers.by_id[i].secret_len, 48);
		ck_assert_mem_eq(answers.by_id[i].secret, want, 48);
	}
	lp_warden_stop(w);
}
END_TEST

/* The other derivation of one input, many times: one RSA operation. */
START_TEST(equal_inputs_cost_one_operation)
{
	struct lp_warden *w;
	struct lp_ask ask;
	uint8_t premaster[48], want[48];
	uint64_t start, one;

	NEED_KEYS();
	w = help_warden(&dir, "four.pem", "mbedtls", 2);
	help_ask(&ask, &pub4, 0, 0, HELP_WELL, premaster);
	ask_once(w, &ask); /* the context is made */
	help_ask(&ask, &pub4, 0, 1, HELP_WELL, premaster);
	start = lp_clock_mono();
	ask_once(w, &ask);
	one = lp_clock_mono() - start;
	help_ask(&ask, &pub4, 0, 2, HELP_WELL, premaster);
	reset_answers();
	start = lp_clock_mono();
	for (unsigned i = 0; i < 400; i++) {
		ask.id = i;
		ask.extended = i & 1;
		ask.seed_len = i & 1 ? 32 : 64;
		ask.seed[0] = (uint8_t)i;
		ck_assert_int_eq(lp_line_ask(lp_warden_line(w, 0), &ask), LP_OK);
	}
	hear_all(w);
	ck_assert_msg(lp_clock_mono() - start < 100 * one, "400 equal questions took as long as %u",
		      (unsigned)((lp_clock_mono() - start) / one));
	ck_assert_uint_eq(answers.done, 400);
	for (unsigned i = 0; i < 400; i++) {
		ask.extended = i & 1;
		ask.seed_len = i & 1 ? 32 : 64;
		ask.seed[0] = (uint8_t)i;
		expect_legacy(&ask, premaster, want);
		ck_assert_mem_eq(answers.by_id[i].secret, want, 48);
	}
	lp_warden_stop(w);
}
END_TEST

/* Three thousand questions; at most LP_WARDEN_QUEUE are let in at a time. */
START_TEST(thousands_in_flight)
{
	enum { N = 3000 };
	static uint8_t want[N][48];
	struct lp_warden *w;
	struct lp_ask ask;
	uint8_t premaster[48];
	size_t limits = 0;

	NEED_KEYS();
	w = help_warden(&dir, "one.pem", NULL, 2);
	reset_answers();
	for (size_t i = 0; i < N; i++) {
		help_ask(&ask, &pub1, 0, i, HELP_WELL, premaster);
		expect_legacy(&ask, premaster, want[i]);
		while (lp_line_pending(lp_warden_line(w, 0)) == LP_WARDEN_QUEUE) {
			ck_assert_int_eq(lp_line_ask(lp_warden_line(w, 0), &ask), LP_E_LIMIT);
			limits++;
			ck_assert_int_eq(lp_line_poll(lp_warden_line(w, 0), 20000, note, &answers), LP_OK);
		}
		ck_assert_int_eq(lp_line_ask(lp_warden_line(w, 0), &ask), LP_OK);
	}
	ck_assert_uint_gt(limits, 0);
	hear_all(w);
	ck_assert_uint_eq(answers.n, N);
	ck_assert_uint_eq(answers.done, N); /* and none was BUSY */
	for (size_t i = 0; i < N; i++)
		ck_assert_mem_eq(answers.by_id[i].secret, want[i], 48);
	lp_warden_stop(w);
}
END_TEST

/* Two threads: what is quick overtakes what is slow. */
START_TEST(answers_out_of_order)
{
	struct lp_warden *w;
	struct lp_ask ask;
	uint8_t premaster[48], want[2][48];
	const struct lp_warden_key *keys;
	size_t n, overtaken = 0;
	uint32_t slow = 0, quick = 0;

	NEED_KEYS();
	w = help_warden(&dir, "all", "mbedtls", 2);
	keys = lp_warden_keys(w, &n);
	ck_assert_uint_eq(n, 3);
	for (uint32_t i = 0; i < n; i++) {
		ck_assert_uint_eq(keys[i].id, i);
		slow = keys[i].bits == 4096 ? i : slow;
		quick = keys[i].bits == 1024 ? i : quick;
	}
	ck_assert_ptr_nonnull(strstr(keys[slow].name, "/all/four.pem"));
	for (size_t round = 0; round < 50 && !overtaken; round++) {
		reset_answers();
		help_ask(&ask, &pub4, slow, 2 * round, HELP_WELL, premaster);
		expect_legacy(&ask, premaster, want[0]);
		ck_assert_int_eq(lp_line_ask(lp_warden_line(w, 0), &ask), LP_OK);
		help_ask(&ask, &pub1, quick, 2 * round + 1, HELP_WELL, premaster);
		expect_legacy(&ask, premaster, want[1]);
		ck_assert_int_eq(lp_line_ask(lp_warden_line(w, 0), &ask), LP_OK);
		hear_all(w);
		ck_assert_mem_eq(answers.by_id[2 * round].secret, want[0], 48);
		ck_assert_mem_eq(answers.by_id[2 * round + 1].secret, want[1], 48);
		overtaken += answers.came[2 * round] > answers.came[2 * round + 1];
	}
	ck_assert_uint_gt(overtaken, 0);
	lp_warden_stop(w);
}
END_TEST

/* HMAC-SHA-256(SHA-256("limpid" ‖ DER), SPKI hash ‖ input), two blocks, by the
 * openssl program. */
static void substitute_cli(const char *key, const struct lp_ask *ask, uint8_t out[48])
{
	help_write(&dir, "input", ask->input, ask->input_len);
	ck_assert(help_run(&dir, "umask 077; k=$( (printf limpid;"
			   " openssl rsa -in %s.pem -traditional -outform DER) |"
			   " openssl dgst -sha256 -r | cut -c1-64);"
			   "openssl pkey -pubin -in %s.pub -outform DER |"
			   " openssl dgst -sha256 -binary >id; cat id input >msg;"
			   "mac() { openssl dgst -sha256 -mac HMAC -macopt hexkey:$k -binary; };"
			   "mac <msg >t1; cat t1 msg | mac >t2; cat t1 t2 >sub", key, key));
	ck_assert_uint_eq(help_read(&dir, "sub", out, 48), 48);
}

enum { ABOVE_MODULUS = HELP_DAMAGES, TOO_SHORT, TOO_LONG, EMPTY, CLASSES };

static void ask_damaged(struct lp_ask *ask, uint32_t key, uint64_t id, int class)
{
	uint8_t premaster[48];

	help_ask(ask, &pub2, key, id, class < HELP_DAMAGES ? (enum help_damage)class : HELP_WELL,
		 premaster);
	if (class == ABOVE_MODULUS)
		memset(ask->input, 0xff, 256);
	if (class == TOO_SHORT)
		ask->input_len = 255;
	if (class == TOO_LONG)
		ask->input_len = 257;
	if (class == EMPTY)
		ask->input_len = 0;
}

/* Every class gets an answer of one size and code, the same each time and after a
 * restart in other company, and it is the substitute as written down. */
START_TEST(malformed_inputs_tell_nothing)
{
	enum { EACH = 4 };
	static struct lp_answer first[CLASSES * EACH];
	struct lp_warden *w;
	struct lp_ask ask;
	uint8_t premaster[48], want[48];

	NEED_KEYS();
	for (int restart = 0; restart < 3; restart++) {
		const char *provider = providers[restart % PROVIDERS];
		uint32_t key = restart == 2 ? 2 : 0; /* all: four, one, two */

		w = help_warden(&dir, restart == 2 ? "all" : "two.pem", provider, 2);
		for (int repeat = 0; repeat < 2; repeat++) {
			reset_answers();
			for (int i = 0; i < CLASSES * EACH; i++) {
				ask_damaged(&ask, key, (uint64_t)i, i % CLASSES);
				ck_assert_int_eq(lp_line_ask(lp_warden_line(w, 0), &ask), LP_OK);
			}
			hear_all(w);
			ck_assert_uint_eq(answers.done, CLASSES * EACH);
			for (int i = 0; i < CLASSES * EACH; i++) {
				ck_assert_uint_eq(answers.by_id[i].secret_len, 48);
				if (!restart && !repeat)
					first[i] = answers.by_id[i];
				ck_assert_mem_eq(answers.by_id[i].secret, first[i].secret, 48);
			}
		}
		lp_warden_stop(w);
	}
	for (int i = 0; i < CLASSES; i++) {
		ask_damaged(&ask, 0, (uint64_t)i, i);
		if (i == HELP_WELL)
			help_ask(&ask, &pub2, 0, (uint64_t)i, HELP_WELL, premaster);
		else
			substitute_cli("two", &ask, premaster);
		expect_legacy(&ask, premaster, want);
		ck_assert_mem_eq(first[i].secret, want, 48);
	}
}
END_TEST

START_TEST(what_is_not_answered)
{
	struct lp_warden *w;
	struct lp_ask ask;
	uint8_t premaster[48];

	NEED_KEYS();
	w = help_warden(&dir, "one.pem", NULL, 1);
	help_ask(&ask, &pub1, 1, 0, HELP_WELL, premaster);
	ck_assert_int_eq(ask_once(w, &ask)->code, LP_ANSWER_NO_KEY);
	ck_assert_uint_eq(answers.by_id[0].secret_len, 0);
	ask.key = UINT32_MAX;
	ck_assert_int_eq(ask_once(w, &ask)->code, LP_ANSWER_NO_KEY);
	ask.key = 0;
	for (int op = LP_ASK_RSA_PSK; op <= LP_ASK_ECDH; op++) {
		ask.op = (enum lp_warden_op)op;
		ck_assert_int_eq(ask_once(w, &ask)->code, LP_ANSWER_NO_KEY);
	}
	ask.op = (enum lp_warden_op)0;
	ck_assert_int_eq(lp_line_ask(lp_warden_line(w, 0), &ask), LP_E_ARG);
	ask.op = LP_ASK_RSA;
	ask.seed_len = 63;
	ck_assert_int_eq(lp_line_ask(lp_warden_line(w, 0), &ask), LP_E_ARG);
	ck_assert_uint_eq(lp_line_pending(lp_warden_line(w, 0)), 0);
	ask.seed_len = 64; /* and it still lives */
	ck_assert_int_eq(ask_once(w, &ask)->code, LP_ANSWER_DONE);
	lp_warden_stop(w);
}
END_TEST

static struct lp_warden *start(const struct lp_warden_config *config)
{
	struct lp_warden *w;
	char why[512];

	ck_assert_msg(lp_warden_start(&w, config, why) == LP_OK, "%s", why);
	return w;
}

START_TEST(no_keys_at_all)
{
	struct lp_warden *w = start(&(struct lp_warden_config){ 0 });
	struct lp_ask ask = { .op = LP_ASK_RSA, .version = 0x0301, .seed_len = 64 };
	size_t n = 1;

	(void)lp_warden_keys(w, &n);
	ck_assert_uint_eq(n, 0);
	ck_assert_int_eq(ask_once(w, &ask)->code, LP_ANSWER_NO_KEY);
	ck_assert_int_eq(lp_line_poll(lp_warden_line(w, 0), -1, note, &answers), LP_OK); /* nothing to wait for */
	lp_warden_stop(w);
}
END_TEST

START_TEST(poll_waits_as_told)
{
	struct lp_warden_config config = { .delay_ms = 300, .threads = 1 };
	struct lp_warden *w = start(&config);
	struct lp_ask ask = { .op = LP_ASK_DH };
	struct pollfd p = { lp_line_fd(lp_warden_line(w, 0)), POLLIN, 0 };
	uint64_t begin = lp_clock_mono();

	reset_answers();
	for (ask.id = 0; ask.id < 50; ask.id++)
		ck_assert_int_eq(lp_line_ask(lp_warden_line(w, 0), &ask), LP_OK);
	ck_assert_int_eq(lp_line_poll(lp_warden_line(w, 0), 0, note, &answers), LP_OK);
	ck_assert_uint_eq(answers.n, 0);
	ck_assert_int_eq(lp_line_poll(lp_warden_line(w, 0), 50, note, &answers), LP_OK);
	ck_assert_uint_ge(lp_clock_mono() - begin, 50 * LP_NS_PER_MS);
	ck_assert_uint_eq(answers.n, 0);
	ck_assert_int_eq(poll(&p, 1, 20000), 1);
	ck_assert_uint_ge(lp_clock_mono() - begin, 300 * LP_NS_PER_MS);
	hear_all(w);
	ck_assert_uint_eq(answers.n, 50);
	/* Held back all together, not one after the other. */
	ck_assert_uint_lt(lp_clock_mono() - begin, 5000 * LP_NS_PER_MS);
	/* A stop does not wait for what is held back. */
	ask.id = 60;
	ck_assert_int_eq(lp_line_ask(lp_warden_line(w, 0), &ask), LP_OK);
	lp_warden_stop(w);
}
END_TEST

/* A warden whose protocol the test speaks itself. */
static int raw_warden(pid_t *pid, const char *const *paths, size_t n)
{
	const struct lp_message_options options = { .lines = 1, .threads = 1,
						    .crypto = lp_span_of("mbedtls", 7) };
	static uint8_t bytes[LP_MESSAGE_MAX];
	int sock[2];
	struct lp_message m;
	ssize_t got;

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, sock), 0);
	*pid = fork();
	if (*pid == 0) {
		char fd[12], arg[] = LP_WARDEN_ARG, name[] = "raw", *argv[] = { name, arg, fd, NULL };

		close(sock[0]);
		snprintf(fd, sizeof fd, "%d", sock[1]);
		execv("/proc/self/exe", argv);
		_exit(127);
	}
	close(sock[1]);
	send(sock[0], bytes, lp_message_write_options(bytes, sizeof bytes, &options), 0);
	for (size_t i = 0; i < n; i++)
		send(sock[0], bytes, lp_message_write_path(bytes, sizeof bytes, LP_MESSAGE_PATH, paths[i]), 0);
	send(sock[0], bytes, lp_message_write_go(bytes, sizeof bytes), 0);
	got = recv(sock[0], bytes, sizeof bytes, 0);
	ck_assert_int_gt(got, 0);
	ck_assert_int_eq(lp_message_read(&m, lp_span_of(bytes, (size_t)got)), LP_OK);
	ck_assert_int_eq(m.type, LP_MESSAGE_KEYS);
	return sock[0];
}

/* Allow-list: anything but a whole ASK ends it, with status 1. */
START_TEST(anything_else_ends_it)
{
	struct lp_answer answer = { .id = 1, .code = LP_ANSWER_BUSY };
	struct lp_ask ask = { .op = LP_ASK_DH };
	uint8_t bytes[LP_MESSAGE_ASK_ROOM];
	size_t n = 0;
	int status;
	pid_t pid;
	int fd = raw_warden(&pid, NULL, 0);

	switch (_i) {
	case 0:
		n = lp_message_write_go(bytes, sizeof bytes);
		break;
	case 1:
		n = lp_message_write_path(bytes, sizeof bytes, LP_MESSAGE_PATH, "/etc/shadow");
		break;
	case 2:
		n = lp_message_write_answer(bytes, sizeof bytes, &answer);
		break;
	case 3:
		n = lp_message_write_ask(bytes, sizeof bytes, &ask) - 1;
		break;
	case 4:
		n = lp_message_write_ask(bytes, sizeof bytes, &ask) + 1;
		break;
	case 5:
		memset(bytes, 0xff, sizeof bytes);
		n = sizeof bytes;
		break;
	}
	ck_assert_int_eq(send(fd, bytes, n, MSG_NOSIGNAL), n);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert(WIFEXITED(status));
	ck_assert_int_eq(WEXITSTATUS(status), 1);
	close(fd);
}
END_TEST

/* An asker that does not keep to the limit is told BUSY, and loses nothing else. */
START_TEST(beyond_the_queue_is_busy)
{
	enum { N = 4000 };
	char path[128];
	const char *const paths[] = { path };
	struct lp_ask ask;
	struct lp_message m;
	uint8_t bytes[LP_MESSAGE_ASK_ROOM], premaster[48];
	size_t sent = 0, done = 0, busy = 0, datagrams = 0;
	pid_t pid;
	int fd;

	NEED_KEYS();
	snprintf(path, sizeof path, "%s/two.pem", dir.path);
	fd = raw_warden(&pid, paths, 1);
	help_ask(&ask, &pub2, 0, 0, HELP_WELL, premaster);
	while (done + busy < N) {
		struct pollfd p = { fd, POLLIN, 0 };

		if (sent < N)
			p.events |= POLLOUT;
		ck_assert_int_gt(poll(&p, 1, 20000), 0);
		if (p.revents & POLLOUT) {
			ask.id = sent;
			ask.input[255] = (uint8_t)sent;
			ask.input[254] = (uint8_t)(sent >> 8);
			size_t n = lp_message_write_ask(bytes, sizeof bytes, &ask);

			sent += send(fd, bytes, n, MSG_DONTWAIT | MSG_NOSIGNAL) == (ssize_t)n;
		}
		if (p.revents & POLLIN) {
			ssize_t n = recv(fd, bytes, sizeof bytes, 0);

			ck_assert_int_gt(n, 0);
			ck_assert_int_eq(lp_message_read(&m, lp_span_of(bytes, (size_t)n)), LP_OK);
			ck_assert_int_eq(m.type, LP_MESSAGE_ANSWER);
			datagrams++;
			do {
				done += m.answer.code == LP_ANSWER_DONE;
				busy += m.answer.code == LP_ANSWER_BUSY;
			} while (lp_message_next_answer(&m) == LP_OK);
		}
	}
	ck_assert_uint_ge(done, LP_WARDEN_QUEUE);
	ck_assert_uint_gt(busy, 0);
	ck_assert_uint_lt(datagrams, N); /* while many wait, answers leave together */
	close(fd);
	ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
}
END_TEST

Suite *suite_warden(void);
Suite *suite_warden(void)
{
	Suite *s = suite_create("warden");
	TCase *t = tcase_create("process");

	tcase_add_unchecked_fixture(t, setup, teardown);
	tcase_set_timeout(t, 60);
	tcase_add_loop_test(t, masters_match, 0, PROVIDERS);
	tcase_add_test(t, equal_inputs_cost_one_operation);
	tcase_add_test(t, thousands_in_flight);
	tcase_add_test(t, answers_out_of_order);
	tcase_add_test(t, malformed_inputs_tell_nothing);
	tcase_add_test(t, what_is_not_answered);
	tcase_add_test(t, no_keys_at_all);
	tcase_add_test(t, poll_waits_as_told);
	tcase_add_loop_test(t, anything_else_ends_it, 0, 6);
	tcase_add_test(t, beyond_the_queue_is_busy);
	suite_add_tcase(s, t);
	return s;
}
