/* warden/: ticket keys in the process that has them: questions, files that change while it
 * runs, HAProxy's socket. */
#define _GNU_SOURCE
#include <check.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "help_seal.h"
#include "help_ticket.h"
#include "help_warden.h"

static struct help_dir dir;
static struct lp_crypto_set crypto;
static struct lp_warden *warden;
static char why[512];

static void setup(void)
{
	help_dir_open(&dir);
	ck_assert_int_eq(lp_crypto_choose(&crypto, "auto"), LP_OK);
}

static void teardown(void)
{
	lp_warden_stop(warden);
	help_dir_close(&dir);
}

static void key_of(uint8_t key[80], uint32_t seed)
{
	help_fill(key, 80, seed);
}

/* A key file of n bytes, 0600. */
static void put_key(const char *name, uint32_t seed, size_t n)
{
	uint8_t key[80];

	key_of(key, seed);
	help_write(&dir, name, key, n);
	ck_assert(help_run(&dir, "chmod 600 %s", name));
}

struct made {
	uint8_t master[48], ticket[HELP_TICKET_MAX];
	size_t n;
};

static void make(struct made *m, uint32_t seed, size_t key_n, size_t cert)
{
	static uint8_t mem[HELP_TICKET_MAX];
	const struct help_body b = { 0x0303, 0xc02f, true, false, cert };
	uint8_t key[80];

	key_of(key, seed);
	help_fill(m->master, sizeof m->master, seed + 1000);
	m->n = help_ticket(m->ticket, crypto.base, key, key_n, HELP_AES_FIRST,
			   help_ticket_body(mem, sizeof mem, &b, m->master), HELP_TICKET_WELL);
}

static enum lp_err start(const char *what, struct lp_warden_config config)
{
	char path[512];
	const char *const paths[] = { path };

	if (strncmp(what, "haproxy:", 8) != 0)
		snprintf(path, sizeof path, "%s/%s", dir.path, what);
	else
		snprintf(path, sizeof path, "haproxy:%s/%s", dir.path, what + 8);
	config.ticket_paths = paths;
	config.ticket_paths_n = 1;
	config.threads = 2;
	return lp_warden_start(&warden, &config, why);
}

static void note(void *user, const struct lp_answer *a)
{
	struct lp_answer *to = user;

	to[a->id] = *a;
}

static void ask_many(const struct made *m, size_t n, struct lp_answer *out)
{
	memset(out, 0, n * sizeof *out);
	for (size_t i = 0; i < n; i++) {
		const struct lp_ask ask = { .id = i, .op = LP_ASK_TICKET, .version = 0x0303,
					    .time_s = 1700000000,
					    .ticket = { m[i].ticket, m[i].n } };

		ck_assert_int_eq(lp_line_ask(lp_warden_line(warden, 0), &ask), LP_OK);
	}
	while (lp_line_pending(lp_warden_line(warden, 0)))
		ck_assert_int_eq(lp_line_poll(lp_warden_line(warden, 0), 20000, note, out), LP_OK);
}

static bool opens(uint32_t seed, size_t key_n)
{
	static struct made m;
	struct lp_answer a;

	make(&m, seed, key_n, 0);
	ask_many(&m, 1, &a);
	return a.code == LP_ANSWER_DONE && !memcmp(a.secret, m.master, 48);
}

/* Tickets of two keys, of none, of all lengths up to the longest there can be. */
START_TEST(questions)
{
	static struct made m[40];
	struct lp_answer a[40];
	const struct lp_warden_key *files;
	const char *const names[] = { "mbedtls", "auto" };
	size_t n;

	ck_assert(help_run(&dir, "mkdir d"));
	put_key("d/a", 1, 48);
	put_key("d/b", 2, 80);
	ck_assert_msg(start("d", (struct lp_warden_config){ .crypto = names[_i] }) == LP_OK, "%s", why);
	files = lp_warden_tickets(warden, &n);
	ck_assert_uint_eq(n, 2);
	ck_assert_ptr_nonnull(strstr(files[0].name, "/d/a"));
	ck_assert_uint_eq(files[1].bits, 1);
	for (size_t i = 0; i < 40; i++) {
		if (i % 4 == 3) {
			m[i].n = i == 39 ? 65535 : i * 37;
			help_fill(m[i].ticket, m[i].n, (uint32_t)i);
			continue;
		}
		make(&m[i], i % 4 == 2 ? 3 : 1 + (uint32_t)(i % 2), i % 2 ? 80 : 48,
		     i == 37 ? 65300 : i * 200);
	}
	ask_many(m, 40, a);
	for (size_t i = 0; i < 40; i++) {
		if (i % 4 > 1) {
			ck_assert_int_eq(a[i].code, LP_ANSWER_NO_KEY);
			continue;
		}
		ck_assert_int_eq(a[i].code, LP_ANSWER_DONE);
		ck_assert_uint_eq(a[i].secret_len, 48);
		ck_assert_mem_eq(a[i].secret, m[i].master, 48);
		ck_assert_uint_eq(a[i].version, 0x0303);
		ck_assert_uint_eq(a[i].suite, 0xc02f);
		ck_assert_int_eq(a[i].ems, 1);
		ck_assert(!a[i].loose);
		ck_assert_uint_eq(a[i].key, i % 2);
	}
}
END_TEST

/* No ticket longer than the wire can carry is a question; nor is none. */
START_TEST(questions_with_rules)
{
	static uint8_t ticket[70000];
	struct lp_ask ask = { .op = LP_ASK_TICKET, .version = 0x0303 };

	put_key("k", 1, 48);
	ck_assert_int_eq(start("k", (struct lp_warden_config){ .crypto = "auto" }), LP_OK);
	ck_assert_int_eq(lp_line_ask(lp_warden_line(warden, 0), &ask), LP_E_ARG);
	ask.ticket = lp_span_of(ticket, LP_WARDEN_TICKET + 1);
	ck_assert_int_eq(lp_line_ask(lp_warden_line(warden, 0), &ask), LP_E_ARG);
	ask.ticket.n = 100;
	ask.seed_len = 64;
	ck_assert_int_eq(lp_line_ask(lp_warden_line(warden, 0), &ask), LP_E_ARG);
	ask.seed_len = 0;
	ask.op = LP_ASK_DH;
	ck_assert_int_eq(lp_line_ask(lp_warden_line(warden, 0), &ask), LP_E_ARG);
}
END_TEST

START_TEST(bad_files)
{
	static const struct {
		const char *make, *says;
		bool strict, good;
	} row[] = {
		{ "true", "k: No such file", false, false },
		{ "head -c 47 /dev/zero >k", "47 bytes are no ticket keys", false, false },
		{ "echo hello >k", "line 1 is no ticket key", false, false },
		{ ": >k", "k: empty file", false, false },
		{ "head -c 70000 /dev/zero >k", "larger than 64 KiB", false, false },
		{ "rm -f k; mkfifo k", "not a regular file", false, false },
		{ "rm k; head -c 48 /dev/zero >k; chmod 644 k", "readable by others (mode 0644), refused",
		  true, false },
		{ "chmod 644 k", "", false, true },
		{ "rm k; mkdir k; echo hello >k/a", "no usable key in this directory", false, false },
	};

	for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
		const struct lp_warden_config c = { .crypto = "auto", .strict_key_modes = row[i].strict };

		ck_assert(help_run(&dir, "umask 077; %s", row[i].make));
		ck_assert_int_eq(start("k", c) == LP_OK, row[i].good);
		ck_assert_msg(strstr(why, row[i].says) != NULL, "row %zu: %s", i, why);
		lp_warden_stop(warden);
		warden = NULL;
	}
}
END_TEST

static void ignore(void *user, const struct lp_answer *a)
{
	(void)user;
	(void)a;
}

/* Waits until the warden has told something new, and for how long (ms). */
static unsigned told(uint64_t reloads)
{
	uint64_t begin = lp_clock_mono();

	while (lp_warden_reloads(warden) <= reloads) {
		ck_assert_uint_lt(lp_clock_mono() - begin, 20 * LP_NS_PER_S);
		usleep(10000);
		ck_assert_int_eq(lp_line_poll(lp_warden_line(warden, 0), 0, ignore, NULL), LP_OK);
	}
	return (unsigned)((lp_clock_mono() - begin) / LP_NS_PER_MS);
}

/* A key that comes, one that is broken, one that goes and is used until its time is over. */
START_TEST(files_change)
{
	const struct lp_warden_config c = { .crypto = "auto", .follow = true, .ticket_life_s = 2 };
	uint64_t begin, seen;
	size_t n;

	ck_assert(help_run(&dir, "mkdir d"));
	put_key("d/a", 1, 48);
	ck_assert_msg(start("d", c) == LP_OK, "%s", why);
	ck_assert(opens(1, 48));
	ck_assert(!opens(2, 80));
	put_key("new", 2, 80);
	ck_assert(help_run(&dir, "mv new d/b"));
	(void)told(1); /* of the file, and of its key */
	ck_assert(opens(2, 80));
	(void)lp_warden_tickets(warden, &n);
	ck_assert_uint_eq(n, 2);
	help_write(&dir, "d/b", "broken", 6);
	lp_warden_reload(warden);
	usleep(300000);
	ck_assert_int_eq(lp_line_poll(lp_warden_line(warden, 0), 0, ignore, NULL), LP_OK);
	ck_assert(opens(2, 80));
	seen = lp_warden_reloads(warden);
	begin = lp_clock_mono();
	ck_assert(help_run(&dir, "rm d/b"));
	(void)told(seen);
	ck_assert(opens(2, 80));
	while (opens(2, 80)) {
		ck_assert_uint_lt(lp_clock_mono() - begin, 20 * LP_NS_PER_S);
		usleep(50000);
	}
	ck_assert_uint_gt(lp_clock_mono() - begin, 2 * LP_NS_PER_S - 100 * LP_NS_PER_MS);
	ck_assert(opens(1, 48));
}
END_TEST

/* A private key comes into its directory. */
START_TEST(private_key_comes)
{
	char path[256];
	const char *const paths[] = { path };
	const struct lp_warden_config c = { .crypto = "auto", .follow = true, .threads = 1,
					    .key_paths = paths, .key_paths_n = 1 };
	const struct lp_warden_key *keys;
	size_t n;

	if (!help_openssl_runs())
		return;
	ck_assert(help_run(&dir, "umask 077; mkdir d; openssl genrsa -out d/a.pem 1024;"
			   "openssl genrsa -out b.pem 1024; openssl ecparam -name prime256v1 -genkey -out c.pem"));
	snprintf(path, sizeof path, "%s/d", dir.path);
	ck_assert_msg(lp_warden_start(&warden, &c, why) == LP_OK, "%s", why);
	ck_assert(help_run(&dir, "echo text >d/readme; mv b.pem d/b.pem"));
	(void)told(0);
	keys = lp_warden_keys(warden, &n);
	ck_assert_uint_eq(n, 2);
	ck_assert_ptr_nonnull(strstr(keys[1].name, "d/b.pem"));
	ck_assert(help_run(&dir, "mv c.pem d/c.pem; cp d/a.pem d/again.pem"));
	lp_warden_reload(warden);
	(void)told(1);
	ck_assert_ptr_eq(keys, lp_warden_keys(warden, &n)); /* others point into the table */
	ck_assert_uint_eq(n, 3);
}
END_TEST

static enum lp_answer_code ask_rsa(mbedtls_pk_context *pk, uint32_t key)
{
	struct lp_answer a = { .code = LP_ANSWER_BUSY };
	uint8_t premaster[48];
	struct lp_ask ask;

	help_ask(&ask, pk, key, 0, HELP_WELL, premaster);
	ck_assert_int_eq(lp_line_ask(lp_warden_line(warden, 0), &ask), LP_OK);
	while (lp_line_pending(lp_warden_line(warden, 0)))
		ck_assert_int_eq(lp_line_poll(lp_warden_line(warden, 0), 20000, note, &a), LP_OK);
	return a.code;
}

/* Waits until the answer is that, and says how long it took (ms). */
static unsigned becomes(mbedtls_pk_context *pk, uint32_t key, enum lp_answer_code code)
{
	uint64_t begin = lp_clock_mono();

	while (ask_rsa(pk, key) != code) {
		ck_assert_uint_lt(lp_clock_mono() - begin, 20 * LP_NS_PER_S);
		usleep(20000);
	}
	return (unsigned)((lp_clock_mono() - begin) / LP_NS_PER_MS);
}

/* A private key goes and is used until its time is over; it comes back; another takes the
 * place of one in its file. */
START_TEST(private_key_goes)
{
	char path[256];
	const char *const paths[] = { path };
	const struct lp_warden_config c = { .crypto = "auto", .follow = true, .threads = 2,
					    .ticket_life_s = 1, .key_paths = paths, .key_paths_n = 1 };
	mbedtls_pk_context a, b;

	if (!help_openssl_runs())
		return;
	ck_assert(help_run(&dir, "umask 077; mkdir d; for k in d/a d/b c; do openssl genrsa -out $k.pem 1024;"
			   "openssl rsa -in $k.pem -pubout -out $(basename $k).pub; done"));
	help_public_open(&a, &dir, "a.pub");
	help_public_open(&b, &dir, "b.pub");
	snprintf(path, sizeof path, "%s/d", dir.path);
	ck_assert_msg(lp_warden_start(&warden, &c, why) == LP_OK, "%s", why);
	for (int i = 0; i < 4; i++) /* each thread has made something of it */
		ck_assert_int_eq(ask_rsa(&b, 1), LP_ANSWER_DONE);
	ck_assert(help_run(&dir, "mv d/b.pem b.pem"));
	ck_assert_uint_gt(becomes(&b, 1, LP_ANSWER_NO_KEY), 900);
	ck_assert_int_eq(ask_rsa(&a, 0), LP_ANSWER_DONE);
	ck_assert(help_run(&dir, "mv b.pem d/other.pem"));
	(void)becomes(&b, 1, LP_ANSWER_DONE);
	ck_assert(help_run(&dir, "mv c.pem d/a.pem"));
	lp_warden_reload(warden);
	(void)told(0);
	ck_assert_int_eq(ask_rsa(&a, 0), LP_ANSWER_DONE);
	ck_assert_uint_gt(becomes(&a, 0, LP_ANSWER_NO_KEY), 800);
	ck_assert_int_eq(ask_rsa(&b, 1), LP_ANSWER_DONE);
	mbedtls_pk_free(&a);
	mbedtls_pk_free(&b);
}
END_TEST

/* ---- a HAProxy of our own ---- */

static char shown_keys[512];
static pthread_mutex_t shown_lock = PTHREAD_MUTEX_INITIALIZER;

static void *admin(void *arg)
{
	int l = *(int *)arg, s;
	char question[64];

	while ((s = accept(l, NULL, NULL)) >= 0) {
		ssize_t n = recv(s, question, sizeof question - 1, 0);

		question[n > 0 ? n : 0] = '\0';
		pthread_mutex_lock(&shown_lock);
		if (!strcmp(question, "show tls-keys *\n"))
			(void)!send(s, shown_keys, strlen(shown_keys), MSG_NOSIGNAL);
		pthread_mutex_unlock(&shown_lock);
		close(s);
	}
	return NULL;
}

static void show(uint32_t seed)
{
	char hex[161];
	uint8_t key[80];

	key_of(key, seed);
	pthread_mutex_lock(&shown_lock);
	snprintf(shown_keys, sizeof shown_keys, "# id secret\n# 0 (/etc/keys)\n0.0 %s\n\n",
		 seed ? lp_text_hex(hex, key, 80) : "nonsense");
	pthread_mutex_unlock(&shown_lock);
}

START_TEST(haproxy_socket)
{
	const struct lp_warden_config c = { .crypto = "auto", .follow = true, .ticket_life_s = 60 };
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	int l = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	pthread_t thread;

	ck_assert_int_eq(start("haproxy:none", c), LP_E_IO);
	ck_assert_msg(strstr(why, "none: No such file") != NULL, "%s", why);
	snprintf(at.sun_path, sizeof at.sun_path, "%s/admin", dir.path);
	ck_assert_int_eq(bind(l, (struct sockaddr *)&at, sizeof at), 0);
	ck_assert_int_eq(listen(l, 8), 0);
	show(1);
	ck_assert_int_eq(pthread_create(&thread, NULL, admin, &l), 0);
	ck_assert_msg(start("haproxy:admin", c) == LP_OK, "%s", why);
	ck_assert(opens(1, 80));
	show(2);
	(void)told(0);
	ck_assert(opens(2, 80));
	ck_assert(opens(1, 80)); /* for a while */
	show(0);
	usleep(800000);
	ck_assert_int_eq(lp_line_poll(lp_warden_line(warden, 0), 0, ignore, NULL), LP_OK);
	ck_assert(opens(2, 80));
	lp_warden_stop(warden);
	/* A replay asks once. */
	show(3);
	ck_assert_msg(start("haproxy:admin", (struct lp_warden_config){ .crypto = "auto" }) == LP_OK,
		      "%s", why);
	ck_assert(opens(3, 80));
	shutdown(l, SHUT_RDWR);
	pthread_join(thread, NULL);
	close(l);
}
END_TEST

Suite *suite_warden_ticket(void);
Suite *suite_warden_ticket(void)
{
	Suite *s = suite_create("warden_ticket");
	TCase *t = tcase_create("ticket");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_set_timeout(t, 60);
	tcase_add_loop_test(t, questions, 0, 2);
	tcase_add_test(t, questions_with_rules);
	tcase_add_test(t, bad_files);
	tcase_add_test(t, files_change);
	tcase_add_test(t, private_key_comes);
	tcase_add_test(t, private_key_goes);
	tcase_add_test(t, haproxy_socket);
	suite_add_tcase(s, t);
	return s;
}
