/* warden/keyring: files, directories, modes, passphrases, and the line each fault
 * gives. */
#define _GNU_SOURCE
#include <check.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "help_seal.h"
#include "help_warden.h"
#include "warden/keyring.h"

static struct help_dir dir;
static bool have_openssl;

/* ok.pem and other.pem are plain keys; pass.pem is encrypted with "right horse" by
 * PBES2, old.pem by the PEM encryption of old with "second". */
static void setup(void)
{
	have_openssl = help_openssl_runs();
	help_dir_open(&dir);
	if (!have_openssl)
		return;
	ck_assert(help_run(&dir, "umask 077; mkdir empty none some;"
			   "openssl genrsa -out ok.pem 1024 && openssl genrsa -out other.pem 1024 &&"
			   "openssl rsa -in ok.pem -outform DER -out ok.der &&"
			   "openssl rsa -in ok.pem -traditional -out ok1.pem &&"
			   "openssl rsa -in ok.pem -pubout -out ok.pub &&"
			   "openssl pkcs8 -topk8 -in ok.pem -out pass.pem -passout 'pass:right horse' &&"
			   "openssl rsa -in other.pem -aes128 -traditional -out old.pem"
			   " -passout pass:second &&"
			   "openssl genpkey -algorithm ed25519 -out ed.pem &&"
			   "openssl ecparam -name prime256v1 -genkey -noout -out ec.pem &&"
			   "openssl genrsa -out huge.pem 1024 &&"
			   "printf 'wrong\\n\\nright horse\\nsecond\\n' >phrases &&"
			   "printf 'right horse' >phrase && printf 'wrong\\n' >wrong && : >nothing &&"
			   "echo text >note.txt && head -c 65537 /dev/zero >large &&"
			   "head -c 300 ok.pem >cut.pem && mkfifo fifo &&"
			   "cp note.txt ok.pub none/ && cp ok.pem none/.hidden.pem &&"
			   "mkdir none/below && cp ok.pem none/below/"));
}

static void teardown(void)
{
	help_dir_close(&dir);
}

#define NEED_KEYS()             \
	do {                    \
		if (!have_openssl) { \
			help_skip("the openssl program is not installed"); \
			return; \
		} \
	} while (0)

/* What one start said, with the directory's path taken out of it. */
struct outcome {
	enum lp_err err;
	char why[512];
	char said[4096];          /* stderr */
	struct lp_warden_key keys[8];
	size_t n;
	uint32_t skipped;
};

static void strip(char *text)
{
	size_t n = strlen(dir.path) + 1;
	char *at;

	while ((at = strstr(text, dir.path)))
		memmove(at, at + n, strlen(at + n) + 1);
}

/* Starts a warden on the files (space separated), gathers what it says, stops it. */
static struct outcome *load(const char *files, const char *passphrases, bool strict)
{
	static struct outcome o;
	char names[8][256], phrase[256], list[512], out[128];
	const char *paths[8];
	struct lp_warden_config config = { .key_paths = paths, .strict_key_modes = strict,
					   .threads = 1 };
	struct lp_warden *w;
	int before = dup(2), file;
	size_t got;

	snprintf(list, sizeof list, "%s", files);
	for (char *name = strtok(list, " "); name; name = strtok(NULL, " ")) {
		snprintf(names[config.key_paths_n], sizeof names[0], "%s/%s", dir.path, name);
		paths[config.key_paths_n] = names[config.key_paths_n];
		config.key_paths_n++;
	}
	snprintf(phrase, sizeof phrase, "%s/%s", dir.path, passphrases ? passphrases : "");
	config.passphrase_file = passphrases ? phrase : NULL;
	snprintf(out, sizeof out, "%s/stderr", dir.path);
	file = open(out, O_RDWR | O_CREAT | O_TRUNC, 0600);
	dup2(file, 2);
	memset(&o, 0, sizeof o);
	o.err = lp_warden_start(&w, &config, o.why);
	dup2(before, 2);
	close(before);
	close(file);
	got = help_read(&dir, "stderr", (uint8_t *)o.said, sizeof o.said - 1);
	o.said[got] = '\0';
	strip(o.said);
	strip(o.why);
	if (o.err)
		return &o;
	const struct lp_warden_key *keys = lp_warden_keys(w, &o.n);
	ck_assert_uint_le(o.n, 8);
	for (size_t i = 0; i < o.n; i++) {
		o.keys[i] = keys[i];
		strip(o.keys[i].name);
	}
	o.skipped = lp_warden_skipped(w);
	lp_warden_stop(w);
	return &o;
}

static void check_fault(const char *file, const char *passphrases, bool strict, enum lp_err err,
			const char *why)
{
	const struct outcome *o = load(file, passphrases, strict);

	ck_assert_str_eq(o->why, why);
	ck_assert_int_eq(o->err, err);
	ck_assert_str_eq(o->said, "");
}

START_TEST(files_that_cannot_be_used)
{
	NEED_KEYS();
	check_fault("gone.pem", NULL, false, LP_E_NOENT, "gone.pem: No such file or directory");
	check_fault("note.txt", NULL, false, LP_E_FORMAT, "note.txt: no private key was found in it");
	check_fault("ok.pub", NULL, false, LP_E_FORMAT, "ok.pub: there is no private key among its PEM blocks");
	check_fault("cut.pem", NULL, false, LP_E_FORMAT, "cut.pem: its PEM text is damaged");
	check_fault("nothing", NULL, false, LP_E_FORMAT, "nothing: empty file");
	check_fault("large", NULL, false, LP_E_FORMAT, "large: larger than 64 KiB");
	check_fault("fifo", NULL, false, LP_E_FORMAT, "fifo: not a regular file");
	check_fault("pass.pem", NULL, false, LP_E_PASSPHRASE,
		    "pass.pem: it is encrypted and no passphrase was given (-p FILE)");
	check_fault("old.pem", NULL, false, LP_E_PASSPHRASE,
		    "old.pem: it is encrypted and no passphrase was given (-p FILE)");
	check_fault("pass.pem", "wrong", false, LP_E_PASSPHRASE, "pass.pem: wrong passphrase");
	check_fault("old.pem", "phrase", false, LP_E_PASSPHRASE, "old.pem: wrong passphrase");
	check_fault("pass.pem", "gone", false, LP_E_NOENT, "gone: No such file or directory");
	check_fault("pass.pem", "nothing", false, LP_E_FORMAT, "nothing: empty file");
	/* One good key does not make up for a bad file that was named. */
	check_fault("ok.pem note.txt", NULL, false, LP_E_FORMAT, "note.txt: no private key was found in it");
}
END_TEST

/* The public half is another key's: p and q of one, the modulus of the other. */
START_TEST(halves_that_do_not_fit)
{
	static uint8_t key[4096];
	size_t n, mod = 0;

	NEED_KEYS();
	ck_assert(help_run(&dir, "openssl rsa -in ok.pem -traditional -outform DER -out t.der"));
	n = help_read(&dir, "t.der", key, sizeof key);
	/* SEQUENCE, version 0, then INTEGER (129 bytes) n. */
	for (size_t i = 0; i + 3 < n && !mod; i++)
		if (key[i] == 2 && key[i + 1] == 0x81 && key[i + 2] == 0x81)
			mod = i + 3;
	ck_assert_uint_gt(mod, 0);
	key[mod + 100] ^= 4;
	help_write(&dir, "halves.der", key, n);
	ck_assert(help_run(&dir, "chmod 600 halves.der"));
	check_fault("halves.der", NULL, false, LP_E_MISMATCH,
		    "halves.der: the private half does not belong to its public half");
}
END_TEST

START_TEST(kinds_that_are_not_supported)
{
	const struct outcome *o;

	NEED_KEYS();
	o = load("ed.pem", NULL, false);
	ck_assert_int_eq(o->err, LP_E_UNSUPPORTED);
	ck_assert_str_eq(o->why, "ed.pem: it is an Ed25519 key, which opens no TLS session");
	o = load("ec.pem", NULL, false); /* for the releases to come */
	ck_assert_int_eq(o->err, LP_OK);
	ck_assert_uint_eq(o->keys[0].kind, LP_KEY_EC);
}
END_TEST

START_TEST(passphrases_in_turn)
{
	const struct outcome *o;

	NEED_KEYS();
	o = load("pass.pem", "phrase", false);
	ck_assert_msg(o->err == LP_OK, "%s", o->why);
	o = load("pass.pem old.pem", "phrases", false);
	ck_assert_msg(o->err == LP_OK, "%s", o->why);
	ck_assert_uint_eq(o->n, 2);
	ck_assert(help_run(&dir, "umask 077; printf 'right horse\\r\\n' >dos"));
	o = load("pass.pem", "dos", false);
	ck_assert_msg(o->err == LP_OK, "%s", o->why);
	ck_assert_str_eq(o->said, "");
}
END_TEST

/* One key under four names is one key, named as first met. */
START_TEST(same_key_once)
{
	const struct outcome *o;

	NEED_KEYS();
	o = load("ok.der ok.pem ok1.pem pass.pem other.pem", "phrase", false);
	ck_assert_msg(o->err == LP_OK, "%s", o->why);
	ck_assert_uint_eq(o->n, 2);
	ck_assert_str_eq(o->keys[0].name, "ok.der");
	ck_assert_str_eq(o->keys[1].name, "other.pem");
	ck_assert_uint_eq(o->keys[0].kind, LP_KEY_RSA);
	ck_assert_uint_eq(o->keys[0].bits, 1024);
	ck_assert_uint_eq(o->keys[1].id, 1);
}
END_TEST

START_TEST(spki_hash_is_that_of_the_certificate)
{
	const struct outcome *o;
	uint8_t hash[32];

	NEED_KEYS();
	ck_assert(help_run(&dir, "openssl pkey -pubin -in ok.pub -outform DER |"
			   " openssl dgst -sha256 -binary >hash"));
	ck_assert_uint_eq(help_read(&dir, "hash", hash, 32), 32);
	o = load("ok.pem", NULL, false);
	ck_assert_mem_eq(o->keys[0].spki_sha256, hash, 32);
}
END_TEST

START_TEST(modes)
{
	const struct outcome *o;

	NEED_KEYS();
	ck_assert(help_run(&dir, "cp ok.pem open.pem && chmod 644 open.pem &&"
			   "cp ok.pem group.pem && chmod 640 group.pem &&"
			   "cp phrase phrase.open && chmod 604 phrase.open &&"
			   "rm -rf open && mkdir open && cp open.pem open && chmod 644 open/* &&"
			   "ln -sf open.pem link.pem"));
	o = load("open.pem", NULL, false);
	ck_assert_int_eq(o->err, LP_OK);
	ck_assert_str_eq(o->said, "limpid: open.pem: readable by others (mode 0644)\n");
	o = load("group.pem", NULL, false);
	ck_assert_int_eq(o->err, LP_OK);
	ck_assert_str_eq(o->said, "limpid: group.pem: readable by others (mode 0640)\n");
	/* What counts is the file behind a link. */
	o = load("link.pem", NULL, false);
	ck_assert_str_eq(o->said, "limpid: link.pem: readable by others (mode 0644)\n");
	check_fault("open.pem", NULL, true, LP_E_ARG,
		    "open.pem: readable by others (mode 0644), refused");
	o = load("pass.pem", "phrase.open", false);
	ck_assert_int_eq(o->err, LP_OK);
	ck_assert_str_eq(o->said, "limpid: phrase.open: readable by others (mode 0604)\n");
	check_fault("pass.pem", "phrase.open", true, LP_E_ARG,
		    "phrase.open: readable by others (mode 0604), refused");
	o = load("open", NULL, true);
	ck_assert_int_eq(o->err, LP_E_NOENT);
	ck_assert_str_eq(o->said, "limpid: open/open.pem: readable by others (mode 0644), refused\n");
	ck_assert_str_eq(o->why, "open: no usable key in this directory");
	o = load("ok.pem", NULL, true);
	ck_assert_int_eq(o->err, LP_OK);
	ck_assert_str_eq(o->said, "");
}
END_TEST

START_TEST(directories)
{
	const struct outcome *o;

	NEED_KEYS();
	check_fault("empty", NULL, false, LP_E_NOENT, "empty: no usable key in this directory");
	check_fault("none", NULL, false, LP_E_NOENT, "none: no usable key in this directory");
	ck_assert(help_run(&dir, "umask 077; cd some && cp ../other.pem z.pem && cp ../ok.pem a.pem &&"
			   "cp ../ok.pub ../note.txt ../large ../nothing . && chmod 644 note.txt &&"
			   "cp ../pass.pem m.pem && cp ../cut.pem c.pem && mkfifo f && mkdir d &&"
			   "cp ../ok.pem d && ln -s ../other.pem .dot && ln -s ../a.pem dangling &&"
			   "ln -s a.pem b.pem"));
	o = load("some/", NULL, false);
	ck_assert_msg(o->err == LP_OK, "%s", o->why);
	ck_assert_uint_eq(o->n, 2);
	ck_assert_str_eq(o->keys[0].name, "some/a.pem"); /* in the order of names */
	ck_assert_str_eq(o->keys[1].name, "some/z.pem");
	ck_assert_uint_eq(o->skipped, 4);
	ck_assert_str_eq(o->said, "limpid: some/dangling: No such file or directory\n"
			 "limpid: some/c.pem: its PEM text is damaged\n"
			 "limpid: some/m.pem: it is encrypted and no passphrase was given (-p FILE)\n");
	/* A directory is content with a key that was there before it. */
	ck_assert(help_run(&dir, "umask 077; rm -rf twin; mkdir twin; cp ok.pem twin/"));
	o = load("ok.pem twin", NULL, false);
	ck_assert_msg(o->err == LP_OK, "%s", o->why);
	ck_assert_uint_eq(o->n, 1);
}
END_TEST

START_TEST(names_are_escaped)
{
	const struct outcome *o;

	NEED_KEYS();
	ck_assert(help_run(&dir, "umask 077; rm -rf odd; mkdir odd;"
			   "cp ok.pem \"$(printf 'odd/a\\033[2Jb\\nc')\""));
	o = load("odd", NULL, false);
	ck_assert_msg(o->err == LP_OK, "%s", o->why);
	ck_assert_str_eq(o->keys[0].name, "odd/a\\x1b[2Jb\\x0ac");
}
END_TEST

static void ignore(void *user, const char *line)
{
	(void)user;
	(void)line;
}

/* An RSA key that is its number, and nothing else. */
static enum lp_err add_named(struct lp_keyring *ring, uint32_t number, uint32_t *id)
{
	struct lp_key key = { .kind = LP_KEY_RSA, .bits = 2048 };
	enum lp_err err;

	memcpy(key.spki_sha256, &number, sizeof number);
	ck_assert_int_eq(lp_secret_set(&key.der, &number, sizeof number), LP_OK);
	err = lp_keyring_add(ring, &key, "key", id);
	ck_assert_ptr_null(key.der.p);
	return err;
}

static void on_wiping(void *who, uint32_t id)
{
	struct lp_keyring *ring = who;

	ck_assert(!ring->keys[id].wiped);
	ck_assert_int_ne(pthread_rwlock_tryrdlock(&ring->lock), 0);
	ck_assert_uint_eq(id, 1);
}

/* A key that no file holds is there until its time is over, and has its number again when it
 * comes back, be that before or after. */
START_TEST(keys_that_leave)
{
	struct lp_crypto_set crypto;
	struct lp_keyring ring;
	uint32_t id;

	ck_assert_int_eq(lp_crypto_choose(&crypto, "auto"), LP_OK);
	lp_keyring_init(&ring, &crypto, ignore, NULL);
	ring.wiping = on_wiping;
	ring.who = &ring;
	for (uint32_t i = 0; i < 3; i++)
		ck_assert_int_eq(add_named(&ring, i, &id), LP_OK);
	ck_assert_int_eq(add_named(&ring, 1, &id), LP_OK); /* two files hold it */
	ck_assert_uint_eq(id, 1);
	lp_keyring_release(&ring, 1, 100);
	lp_keyring_expire(&ring, 1000);
	ck_assert_ptr_nonnull(lp_keyring_key(&ring, 1, LP_KEY_RSA));
	lp_keyring_release(&ring, 1, 2000);
	lp_keyring_expire(&ring, 1999);
	ck_assert_ptr_nonnull(lp_keyring_key(&ring, 1, LP_KEY_RSA));
	ck_assert_int_eq(add_named(&ring, 1, &id), LP_OK); /* in time */
	lp_keyring_expire(&ring, 3000);
	ck_assert_ptr_nonnull(lp_keyring_key(&ring, 1, LP_KEY_RSA));
	lp_keyring_release(&ring, 1, 4000);
	lp_keyring_expire(&ring, 4000);
	ck_assert_ptr_null(lp_keyring_key(&ring, 1, LP_KEY_RSA));
	ck_assert_ptr_null(ring.keys[1].key.der.p);
	ck_assert_ptr_null(ring.keys[1].substitute_seed.p);
	lp_keyring_expire(&ring, 5000); /* once is enough */
	ck_assert_int_eq(add_named(&ring, 1, &id), LP_OK);
	ck_assert_uint_eq(id, 1);
	ck_assert_uint_eq(ring.n, 3);
	ck_assert_ptr_nonnull(lp_keyring_key(&ring, 1, LP_KEY_RSA));
	ck_assert_ptr_null(lp_keyring_key(&ring, 1, LP_KEY_EC));
	ck_assert_ptr_null(lp_keyring_key(&ring, 3, LP_KEY_RSA));
	ck_assert_ptr_nonnull(ring.keys[1].substitute_seed.p);
	lp_keyring_clear(&ring);
}
END_TEST

/* The cap of the ring, by keys that exist in name only. */
START_TEST(ring_at_its_cap)
{
	struct lp_crypto_set crypto;
	struct lp_keyring ring;
	uint32_t id;

	ck_assert_int_eq(lp_crypto_choose(&crypto, "auto"), LP_OK);
	lp_keyring_init(&ring, &crypto, ignore, NULL);
	for (uint32_t i = 0; i <= LP_KEYRING_MAX; i++)
		ck_assert_int_eq(add_named(&ring, i, &id), i < LP_KEYRING_MAX ? LP_OK : LP_E_LIMIT);
	ck_assert_uint_eq(ring.n, LP_KEYRING_MAX);
	ck_assert_str_eq(ring.why, "more than 4096 keys");
	lp_keyring_clear(&ring);
}
END_TEST

Suite *suite_warden_keys(void);
Suite *suite_warden_keys(void)
{
	Suite *s = suite_create("warden_keys");
	TCase *t = tcase_create("keys");

	tcase_add_unchecked_fixture(t, setup, teardown);
	tcase_set_timeout(t, 60);
	tcase_add_test(t, files_that_cannot_be_used);
	tcase_add_test(t, halves_that_do_not_fit);
	tcase_add_test(t, kinds_that_are_not_supported);
	tcase_add_test(t, passphrases_in_turn);
	tcase_add_test(t, same_key_once);
	tcase_add_test(t, spki_hash_is_that_of_the_certificate);
	tcase_add_test(t, modes);
	tcase_add_test(t, directories);
	tcase_add_test(t, names_are_escaped);
	tcase_add_test(t, keys_that_leave);
	tcase_add_test(t, ring_at_its_cap);
	suite_add_tcase(s, t);
	return s;
}
