/* warden/: several lines, one for each worker. With a pre-shared key, which takes no
 * openssl program. */
#define _GNU_SOURCE
#include <check.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "crypto/kdf.h"
#include "help_seal.h"
#include "help_warden.h"
#include "warden/message.h"

enum { LINES = 4, EACH = 600 };

static struct help_dir dir;
static char psks[128];
static const char *const paths[] = { psks };

static void setup(void)
{
	help_dir_open(&dir);
	help_write(&dir, "psks", "one:0102030405\n", 15);
	snprintf(psks, sizeof psks, "%s/psks", dir.path);
	ck_assert_int_eq(chmod(psks, 0600), 0);
}

static void teardown(void)
{
	help_dir_close(&dir);
}

static struct lp_warden *start(unsigned lines, unsigned threads, unsigned delay_ms)
{
	const struct lp_warden_config config = {
		.psk_paths = paths, .psk_paths_n = 1, .crypto = "mbedtls",
		.lines = lines, .threads = threads, .delay_ms = delay_ms,
	};
	struct lp_warden *w;
	char why[512];

	ck_assert_msg(lp_warden_start(&w, &config, why) == LP_OK, "%s", why);
	return w;
}

/* A question like no other. */
static struct lp_ask question(unsigned line, uint64_t id)
{
	struct lp_ask ask = { .id = id, .op = LP_ASK_PSK, .version = 0x0303, .prf = LP_SHA256,
			      .seed_len = 64 };

	help_fill(ask.seed, sizeof ask.seed, (uint32_t)(line << 16 | id));
	return ask;
}

/* No assertion here: Check's are not for several threads. */
static bool expected(const struct lp_ask *ask, uint8_t out[48])
{
	const struct lp_kdf kdf = { &lp_crypto_mbedtls, ask->version, (enum lp_digest)ask->prf, NULL };

	return !lp_kdf_master(&kdf, lp_span_of("\0\5\0\0\0\0\0\0\5\1\2\3\4\5", 14), false,
			      lp_span_of(ask->seed, ask->seed_len), out);
}

struct worker {
	struct lp_warden *warden;
	unsigned number;
	pthread_t thread;
	unsigned right, others;
	bool came[EACH];
	enum lp_err err;
};

static void check(void *user, const struct lp_answer *a)
{
	struct worker *w = user;
	struct lp_ask ask = question(w->number, a->id);
	uint8_t want[48];

	if (expected(&ask, want) && a->id < EACH && !w->came[a->id] && a->code == LP_ANSWER_DONE &&
	    a->secret_len == 48 && !memcmp(a->secret, want, 48))
		w->right++;
	else
		w->others++;
	if (a->id < EACH)
		w->came[a->id] = true;
}

static void *run_worker(void *arg)
{
	struct worker *w = arg;
	struct lp_line *line = lp_warden_line(w->warden, w->number);
	uint64_t id = 0;
	size_t n;

	while (!w->err && (id < EACH || lp_line_pending(line))) {
		struct lp_ask ask = question(w->number, id);
		enum lp_err err = id < EACH ? lp_line_ask(line, &ask) : LP_E_LIMIT;

		(void)lp_warden_keys(w->warden, &n); /* any thread may */
		if (!err)
			id++;
		else if (err == LP_E_LIMIT)
			w->err = lp_line_poll(line, 20000, check, w);
		else
			w->err = err;
	}
	return NULL;
}

/* Workers on threads of their own, more questions than there is room for: each gets all of
 * its answers and nobody else's. */
START_TEST(each_its_own)
{
	static struct worker workers[LINES];
	struct lp_warden *w = start(LINES, 2, 0);

	for (unsigned i = 0; i < LINES; i++) {
		workers[i].warden = w;
		workers[i].number = i;
		ck_assert_uint_eq(lp_line_room(lp_warden_line(w, i)), LP_WARDEN_QUEUE / LINES);
		ck_assert_int_eq(pthread_create(&workers[i].thread, NULL, run_worker, &workers[i]), 0);
	}
	for (unsigned i = 0; i < 20; i++)
		lp_warden_reload(w);
	for (unsigned i = 0; i < LINES; i++)
		pthread_join(workers[i].thread, NULL);
	for (unsigned i = 0; i < LINES; i++) {
		ck_assert_int_eq(workers[i].err, LP_OK);
		ck_assert_uint_eq(workers[i].right, EACH);
		ck_assert_uint_eq(workers[i].others, 0);
	}
	lp_warden_stop(w);
}
END_TEST

/* Full is full for one line; the others still get answers, and held back ones go where
 * they belong. */
START_TEST(room_of_its_own)
{
	static struct worker workers[2];
	struct lp_warden *w = start(LINES, 1, 300);
	struct lp_line *full = lp_warden_line(w, 3), *other = lp_warden_line(w, 1);
	uint64_t id = 0, begin = lp_clock_mono();
	struct lp_ask ask = question(3, 0);

	workers[0].number = 3;
	workers[1].number = 1;
	for (; id < lp_line_room(full); id++) {
		ask = question(3, id);
		ck_assert_int_eq(lp_line_ask(full, &ask), LP_OK);
	}
	ask = question(3, id);
	ck_assert_int_eq(lp_line_ask(full, &ask), LP_E_LIMIT);
	ask = question(1, 0);
	ck_assert_int_eq(lp_line_ask(other, &ask), LP_OK);
	ck_assert_int_eq(lp_line_poll(other, 20000, check, &workers[1]), LP_OK);
	ck_assert_uint_ge(lp_clock_mono() - begin, 300 * LP_NS_PER_MS);
	ck_assert_uint_eq(workers[1].right, 1);
	while (lp_line_pending(full))
		ck_assert_int_eq(lp_line_poll(full, 20000, check, &workers[0]), LP_OK);
	ck_assert_uint_eq(workers[0].right, id);
	ck_assert_uint_eq(workers[0].others + workers[1].others, 0);
	lp_warden_stop(w);
}
END_TEST

/* Questions wait for each other, so that the warden is woken once, and leave when they are told
 * to, with or without a poll; however many, each gets its answer. */
START_TEST(what_is_asked_leaves_together)
{
	static struct worker worker = { .number = 2 };
	struct lp_warden *w = start(LINES, 2, 0);
	struct lp_line *line = lp_warden_line(w, 2);
	struct pollfd p = { lp_line_fd(line), POLLIN, 0 };

	ck_assert_int_eq(lp_line_flush(line), LP_OK); /* nothing */
	for (uint64_t id = 0; id < 100; id++) {
		struct lp_ask ask = question(2, id);

		ck_assert_int_eq(lp_line_ask(line, &ask), LP_OK);
	}
	ck_assert_int_eq(poll(&p, 1, 50), 0);
	ck_assert_int_eq(lp_line_flush(line), LP_OK);
	ck_assert_int_eq(poll(&p, 1, 20000), 1);
	while (lp_line_pending(line))
		ck_assert_int_eq(lp_line_poll(line, 20000, check, &worker), LP_OK);
	ck_assert_uint_eq(worker.right, 100);
	ck_assert_uint_eq(worker.others, 0);
	lp_warden_stop(w);
}
END_TEST

START_TEST(a_dead_warden_shows_on_every_line)
{
	struct lp_warden *w = start(LINES, 1, 60000);
	static struct worker none;
	struct lp_ask ask = question(0, 0);

	for (unsigned i = 0; i < LINES; i++)
		ck_assert_int_eq(lp_line_ask(lp_warden_line(w, i), &ask), LP_OK);
	ck_assert_int_eq(kill(lp_warden_pid(w), SIGKILL), 0);
	for (unsigned i = LINES; i-- > 0;)
		ck_assert_int_eq(lp_line_poll(lp_warden_line(w, i), -1, check, &none), LP_E_IO);
	ck_assert_uint_eq(none.right + none.others, 0);
	lp_warden_stop(w);
}
END_TEST

/* ---- a warden whose protocol the test speaks itself ---- */

enum { FIRST_FD = 100 };

static pid_t raw_warden(int *fd, unsigned lines, unsigned told)
{
	const struct lp_message_options options = { .lines = told, .threads = 1,
						    .crypto = lp_span_of("mbedtls", 7) };
	static uint8_t bytes[LP_MESSAGE_MAX];
	int pair[2];
	pid_t pid;

	for (unsigned i = 0; i < lines; i++) {
		ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
		fd[i] = pair[0];
		ck_assert_int_ge(dup2(pair[1], FIRST_FD + (int)i), 0);
		close(pair[1]);
	}
	pid = fork();
	if (pid == 0) {
		char at[12], arg[] = LP_WARDEN_ARG, name[] = "raw", *argv[] = { name, arg, at, NULL };

		snprintf(at, sizeof at, "%d", FIRST_FD);
		execv("/proc/self/exe", argv);
		_exit(127);
	}
	for (unsigned i = 0; i < lines; i++)
		close(FIRST_FD + (int)i);
	send(fd[0], bytes, lp_message_write_options(bytes, sizeof bytes, &options), 0);
	if (told > lines)
		return pid; /* it ends at that, and what it had not read would hide its last word */
	send(fd[0], bytes, lp_message_write_path(bytes, sizeof bytes, LP_MESSAGE_PSKS, psks), 0);
	send(fd[0], bytes, lp_message_write_go(bytes, sizeof bytes), 0);
	return pid;
}

static enum lp_message_type hear(int fd)
{
	static uint8_t bytes[LP_MESSAGE_MAX];
	static struct lp_message m;
	struct pollfd p = { fd, POLLIN, 0 };
	ssize_t n;

	ck_assert_int_eq(poll(&p, 1, 20000), 1);
	n = recv(fd, bytes, sizeof bytes, 0);
	if (n <= 0)
		return (enum lp_message_type)0;
	ck_assert_int_eq(lp_message_read(&m, lp_span_of(bytes, (size_t)n)), LP_OK);
	return m.type;
}

static void ask_raw(int fd)
{
	uint8_t bytes[LP_MESSAGE_ASK_ROOM];
	struct lp_ask ask = question(0, 0);
	size_t n = lp_message_write_ask(bytes, sizeof bytes, &ask);

	ck_assert_int_eq(send(fd, bytes, n, MSG_NOSIGNAL), n);
	ck_assert_int_eq(hear(fd), LP_MESSAGE_ANSWER);
}

static void expect_exit(pid_t pid, int want)
{
	int status;

	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert(WIFEXITED(status));
	ck_assert_int_eq(WEXITSTATUS(status), want);
}

/* A line that ends takes nobody with it but the first, which takes all. */
START_TEST(lines_end)
{
	int fd[3];
	pid_t pid = raw_warden(fd, 3, 3);

	ck_assert_int_eq(hear(fd[0]), LP_MESSAGE_KEYS);
	ask_raw(fd[1]);
	close(fd[1]);
	ask_raw(fd[2]);
	ask_raw(fd[0]);
	close(fd[0]);
	expect_exit(pid, 0);
	ck_assert_int_eq(hear(fd[2]), 0);
	close(fd[2]);
}
END_TEST

/* On the others only questions are heard. */
START_TEST(others_only_ask)
{
	uint8_t bytes[64];
	int fd[2];
	pid_t pid = raw_warden(fd, 2, 2);
	size_t n = _i ? lp_message_write_go(bytes, sizeof bytes)
		      : lp_message_write_reload(bytes, sizeof bytes);

	ck_assert_int_eq(hear(fd[0]), LP_MESSAGE_KEYS);
	ck_assert_int_eq(send(fd[1], bytes, n, MSG_NOSIGNAL), n);
	expect_exit(pid, 1);
	close(fd[0]);
	close(fd[1]);
}
END_TEST

START_TEST(lines_that_are_not_there)
{
	int fd[2];
	pid_t pid = raw_warden(fd, 2, 3);

	ck_assert_int_eq(hear(fd[0]), LP_MESSAGE_FAULT);
	expect_exit(pid, 1);
	close(fd[0]);
	close(fd[1]);
}
END_TEST

Suite *suite_warden_lines(void);
Suite *suite_warden_lines(void)
{
	Suite *s = suite_create("warden_lines");
	TCase *t = tcase_create("lines");

	tcase_add_unchecked_fixture(t, setup, teardown);
	tcase_set_timeout(t, 60);
	tcase_add_test(t, each_its_own);
	tcase_add_test(t, room_of_its_own);
	tcase_add_test(t, what_is_asked_leaves_together);
	tcase_add_test(t, a_dead_warden_shows_on_every_line);
	tcase_add_test(t, lines_end);
	tcase_add_loop_test(t, others_only_ask, 0, 2);
	tcase_add_test(t, lines_that_are_not_there);
	suite_add_tcase(s, t);
	return s;
}
