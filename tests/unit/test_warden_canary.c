/* warden/: what the two processes hold. The warden has the key's bytes, we have not;
 * we have open files, the warden has not. */
#define _GNU_SOURCE
#include <check.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "crypto/crypto.h"
#include "help_warden.h"

static struct help_dir dir;
static bool have_openssl;
static mbedtls_pk_context pub;

static const char *const providers[] = {
	"mbedtls",
#ifdef LP_WITH_OPENSSL
	"openssl",
#endif
};

static void setup(void)
{
	have_openssl = help_openssl_runs();
	help_dir_open(&dir);
	if (!have_openssl)
		return;
	ck_assert(help_run(&dir, "umask 077; openssl genrsa -out two.pem 2048 &&"
			   "openssl rsa -in two.pem -pubout -out two.pub"));
	help_public_open(&pub, &dir, "two.pub");
}

static void teardown(void)
{
	mbedtls_pk_free(&pub);
	help_dir_close(&dir);
}

#define NEED_KEYS()             \
	do {                    \
		if (!have_openssl) { \
			help_skip("the openssl program is not installed"); \
			return; \
		} \
	} while (0)

#define readable(pid, what) readable_by(__func__, pid, what)
static bool readable_by(const char *test, pid_t pid, const char *what)
{
	char path[64];
	DIR *d;
	int fd;

	snprintf(path, sizeof path, "/proc/%d/%s", pid, what);
	fd = open(path, O_RDONLY);
	if (fd >= 0)
		close(fd);
	d = fd < 0 ? NULL : opendir(path);
	if (d)
		closedir(d);
	if (fd < 0)
		help_skip_in(test, "%s may not be read here", path);
	return fd >= 0;
}

/* What the warden holds open: 0, 1, 2 and its lines, though we hold more. */
START_TEST(inherits_its_sockets)
{
	int extra = open("/dev/null", O_RDONLY); /* not close-on-exec */
	const struct lp_warden_config config = { .lines = _i ? 12 : 1 };
	const int end = _i ? 15 : 4;
	struct lp_warden *w;
	char path[64], link[330], target[128], why[512];
	const struct dirent *e;
	unsigned seen = 0;
	DIR *d;

	ck_assert_msg(lp_warden_start(&w, &config, why) == LP_OK, "%s", why);
	ck_assert_int_ge(extra, 3);
	if (readable(lp_warden_pid(w), "fd")) {
		snprintf(path, sizeof path, "/proc/%d/fd", lp_warden_pid(w));
		d = opendir(path);
		ck_assert_ptr_nonnull(d);
		while ((e = readdir(d))) {
			ssize_t n;

			if (e->d_name[0] == '.')
				continue;
			snprintf(link, sizeof link, "%s/%s", path, e->d_name);
			n = readlink(link, target, sizeof target - 1);
			ck_assert_int_gt(n, 0);
			target[n] = '\0';
			ck_assert_int_lt(atoi(e->d_name), end);
			seen |= 1u << atoi(e->d_name);
			if (atoi(e->d_name) < 2)
				ck_assert_str_eq(target, "/dev/null");
			if (atoi(e->d_name) >= 3)
				ck_assert_int_eq(strncmp(target, "socket:", 7), 0);
		}
		closedir(d);
		ck_assert_uint_eq(seen, (1u << end) - 1);
	}
	lp_warden_stop(w);
	close(extra);
}
END_TEST

/* Patterns are kept under a mask, so that they are nowhere in our own memory. */
enum { PATTERN = 24, PATTERNS = 12, MASK = 0xa7 };

struct patterns {
	uint8_t masked[PATTERNS][PATTERN];
	size_t n;
};

static int digit(int c)
{
	return c <= '9' ? c - '0' : c - 'a' + 10;
}

/* p, q and d of two.pem: 24 bytes from inside each, as written, as little-endian
 * limbs, and as limbs in the other order. Hexadecimal text in, masked bytes out. */
static void load_patterns(struct patterns *to)
{
	static uint8_t text[HELP_FILE_MAX];
	size_t n;

	ck_assert(help_run(&dir, "openssl rsa -in two.pem -noout -text |"
			   "awk '/^[a-z]/ { on = /^(prime1|prime2|privateExponent):/; if (on)"
			   " print \"\"; next } on { gsub(/[ :]/, \"\"); printf \"%%s\", $0 }' >hex"));
	n = help_read(&dir, "hex", text, sizeof text);
	to->n = 0;
	for (size_t at = 0; at < n; at++) {
		size_t start = at, digits;

		while (at < n && text[at] != '\n')
			at++;
		digits = at - start;
		if (digits < 200)
			continue;
		start += digits % 16; /* whole limbs from the low end */
		start += 16 * 2;
		ck_assert_uint_le(to->n + 3, PATTERNS);
		for (size_t i = 0; i < PATTERN; i++) {
			uint8_t byte = (uint8_t)((digit(text[start + 2 * i]) << 4 |
						  digit(text[start + 2 * i + 1])) ^ MASK);

			to->masked[to->n][i] = byte;
			to->masked[to->n + 1][PATTERN - 1 - i] = byte;
			to->masked[to->n + 2][i / 8 * 8 + 7 - i % 8] = byte;
		}
		to->n += 3;
	}
	memset(text, 0, sizeof text);
	ck_assert_uint_eq(to->n, 9);
}

static size_t hits_in(const uint8_t *p, size_t n, const struct patterns *patterns)
{
	size_t hits = 0;

	for (size_t k = 0; k < patterns->n; k++) {
		const uint8_t *want = patterns->masked[k];
		const uint8_t *at = p, *end = p + n - PATTERN + 1;

		while (at < end && (at = memchr(at, want[0] ^ MASK, (size_t)(end - at)))) {
			size_t i = 1;

			while (i < PATTERN && at[i] == (want[i] ^ MASK))
				i++;
			hits += i == PATTERN;
			at++;
		}
	}
	return hits;
}

/* Reads every mapping of a process. */
static size_t scan(pid_t pid, const struct patterns *patterns, size_t *bytes)
{
	static uint8_t chunk[1 << 20];
	char path[64], line[512];
	unsigned long from, to;
	size_t hits = 0;
	FILE *maps;
	int mem;

	*bytes = 0;
	snprintf(path, sizeof path, "/proc/%d/mem", pid);
	mem = open(path, O_RDONLY);
	snprintf(path, sizeof path, "/proc/%d/maps", pid);
	maps = fopen(path, "r");
	ck_assert_int_ge(mem, 0);
	ck_assert_ptr_nonnull(maps);
	while (fgets(line, sizeof line, maps)) {
		if (sscanf(line, "%lx-%lx", &from, &to) != 2 || strstr(line, "[vvar]") ||
		    to - from > 1UL << 32) /* a sanitizer's shadow */
			continue;
		while (from < to) {
			size_t want = to - from < sizeof chunk ? to - from : sizeof chunk;
			ssize_t n = pread(mem, chunk, want, (off_t)from);

			if (n <= 0)
				break;
			*bytes += (size_t)n;
			if (n > PATTERN)
				hits += hits_in(chunk, (size_t)n, patterns);
			if ((size_t)n == to - from)
				break;
			from += n > PATTERN ? (size_t)n - PATTERN : (size_t)n;
		}
	}
	memset(chunk, 0, sizeof chunk);
	fclose(maps);
	close(mem);
	return hits;
}

static void count(void *user, const struct lp_answer *a)
{
	*(size_t *)user += a->code == LP_ANSWER_DONE;
}

/* The key's bytes are in the warden (which shows that the scan works) and not here,
 * where its answers were used. */
START_TEST(key_is_not_in_this_process)
{
	struct patterns patterns;
	struct lp_warden *w;
	struct lp_ask ask;
	uint8_t premaster[48];
	size_t bytes, done = 0;

	NEED_KEYS();
	load_patterns(&patterns);
	w = help_warden(&dir, "two.pem", providers[_i], 2);
	for (uint64_t i = 0; i < 200; i++) {
		help_ask(&ask, &pub, 0, i, HELP_WELL, premaster);
		ck_assert_int_eq(lp_line_ask(lp_warden_line(w, 0), &ask), LP_OK);
	}
	while (lp_line_pending(lp_warden_line(w, 0)))
		ck_assert_int_eq(lp_line_poll(lp_warden_line(w, 0), 20000, count, &done), LP_OK);
	ck_assert_uint_eq(done, 200);
	ck_assert_uint_eq(scan(getpid(), &patterns, &bytes), 0);
	ck_assert_uint_gt(bytes, 1 << 20);
	if (readable(lp_warden_pid(w), "mem"))
		ck_assert_uint_gt(scan(lp_warden_pid(w), &patterns, &bytes), 0);
	lp_warden_stop(w);
}
END_TEST

/* A ticket and its key, made by other programs: DER, padded, AES-256-CBC, HMAC-SHA256. */
static const char make_ticket[] =
	"umask 077; head -c 80 /dev/urandom >tk;"
	"hex() { od -An -v -tx1 | tr -d ' \\n'; };"
	"head -c 16 tk >t; head -c 16 /dev/zero >>t;"
	"{ printf '\\060\\105\\002\\001\\001\\002\\002\\003\\003\\004\\002\\300\\057\\004\\000\\004\\060';"
	" printf 'M%.0s' $(seq 48); printf '\\240\\004\\004\\002ab'; } >body;"
	"openssl enc -aes-256-cbc -K $(tail -c 32 tk | hex) -iv 00000000000000000000000000000000"
	" -in body >>t;"
	"openssl dgst -sha256 -mac HMAC -macopt hexkey:$(tail -c +17 tk | head -c 32 | hex) -binary t >mac;"
	"cat mac >>t; { echo; tail -c +17 tk | hex; echo; } >hex";

/* Pieces of the key's halves, under the mask. */
static void load_ticket_patterns(struct patterns *to)
{
	static uint8_t text[HELP_FILE_MAX];
	size_t n = help_read(&dir, "hex", text, sizeof text);

	ck_assert_uint_eq(n, 1 + 2 * 64 + 1);
	to->n = 2;
	for (size_t k = 0; k < to->n; k++)
		for (size_t i = 0; i < PATTERN; i++)
			to->masked[k][i] = (uint8_t)((digit(text[1 + 64 * k + 8 + 2 * i]) << 4 |
						      digit(text[1 + 64 * k + 9 + 2 * i])) ^ MASK);
	memset(text, 0, sizeof text);
}

static void check_ticket(void *user, const struct lp_answer *a)
{
	static const char master[] = "MMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMM";

	*(size_t *)user += a->code == LP_ANSWER_DONE && a->secret_len == 48 &&
			   !memcmp(a->secret, master, 48);
}

START_TEST(ticket_key_is_not_in_this_process)
{
	struct patterns patterns;
	char path[256], why[512];
	const char *const paths[] = { path };
	const struct lp_warden_config config = { .ticket_paths = paths, .ticket_paths_n = 1,
						 .crypto = providers[_i], .threads = 2 };
	static uint8_t ticket[1024];
	struct lp_ask ask = { .op = LP_ASK_TICKET, .version = 0x0303 };
	struct lp_warden *w;
	size_t bytes, done = 0;

	NEED_KEYS();
	ck_assert(help_run(&dir, "%s", make_ticket));
	load_ticket_patterns(&patterns);
	snprintf(path, sizeof path, "%s/tk", dir.path);
	ck_assert_msg(lp_warden_start(&w, &config, why) == LP_OK, "%s", why);
	ask.ticket = lp_span_of(ticket, help_read(&dir, "t", ticket, sizeof ticket));
	for (ask.id = 0; ask.id < 200; ask.id++)
		ck_assert_int_eq(lp_line_ask(lp_warden_line(w, 0), &ask), LP_OK);
	while (lp_line_pending(lp_warden_line(w, 0)))
		ck_assert_int_eq(lp_line_poll(lp_warden_line(w, 0), 20000, check_ticket, &done), LP_OK);
	ck_assert_uint_eq(done, 200);
	ck_assert_uint_eq(scan(getpid(), &patterns, &bytes), 0);
	if (readable(lp_warden_pid(w), "mem"))
		ck_assert_uint_gt(scan(lp_warden_pid(w), &patterns, &bytes), 0);
	lp_warden_stop(w);
}
END_TEST

/* The same of a pre-shared key: its bytes, and the text of the file. */
START_TEST(psk_is_not_in_this_process)
{
	static uint8_t text[2 * PATTERN];
	struct patterns patterns = { .n = 2 };
	char path[256], why[512];
	const char *const paths[] = { path };
	const struct lp_warden_config config = { .psk_paths = paths, .psk_paths_n = 1, .threads = 1 };
	struct lp_ask ask = { .op = LP_ASK_PSK, .version = 0x0303, .prf = LP_SHA256, .seed_len = 64 };
	struct lp_warden *w;
	size_t bytes, done = 0;

	NEED_KEYS();
	ck_assert(help_run(&dir, "umask 077; openssl rand -hex 24 | tr -d '\\n' >hex;"
			   "{ printf id:; cat hex; } >psks"));
	ck_assert_uint_eq(help_read(&dir, "hex", text, sizeof text), sizeof text);
	for (size_t i = 0; i < PATTERN; i++) {
		patterns.masked[0][i] = text[i] ^ MASK;
		patterns.masked[1][i] = (uint8_t)(digit(text[2 * i]) << 4 | digit(text[2 * i + 1])) ^ MASK;
	}
	memset(text, 0, sizeof text);
	snprintf(path, sizeof path, "%s/psks", dir.path);
	ck_assert_msg(lp_warden_start(&w, &config, why) == LP_OK, "%s", why);
	ck_assert_int_eq(lp_line_ask(lp_warden_line(w, 0), &ask), LP_OK);
	while (lp_line_pending(lp_warden_line(w, 0)))
		ck_assert_int_eq(lp_line_poll(lp_warden_line(w, 0), 20000, count, &done), LP_OK);
	ck_assert_uint_eq(done, 1);
	ck_assert_uint_eq(scan(getpid(), &patterns, &bytes), 0);
	if (readable(lp_warden_pid(w), "mem")) {
		patterns.n = 1; /* the file is read and wiped */
		ck_assert_uint_eq(scan(lp_warden_pid(w), &patterns, &bytes), 0);
		memcpy(patterns.masked[0], patterns.masked[1], PATTERN);
		ck_assert_uint_eq(scan(lp_warden_pid(w), &patterns, &bytes), 1);
	}
	lp_warden_stop(w);
}
END_TEST

Suite *suite_warden_canary(void);
Suite *suite_warden_canary(void)
{
	Suite *s = suite_create("warden_canary");
	TCase *t = tcase_create("canary");

	tcase_add_unchecked_fixture(t, setup, teardown);
	tcase_set_timeout(t, 60);
	tcase_add_loop_test(t, inherits_its_sockets, 0, 2);
	tcase_add_test(t, psk_is_not_in_this_process);
	tcase_add_loop_test(t, key_is_not_in_this_process, 0, sizeof providers / sizeof *providers);
	tcase_add_loop_test(t, ticket_key_is_not_in_this_process, 0,
			    sizeof providers / sizeof *providers);
	suite_add_tcase(s, t);
	return s;
}
