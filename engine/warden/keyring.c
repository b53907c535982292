#define _GNU_SOURCE
#include "warden/keyring.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "warden/psks.h"
#include "warden/secretfile.h"

/* A file that is being read. */
struct file {
	char name[LP_WARDEN_NAME]; /* escaped, for lines */
	struct lp_secret bytes;
	unsigned mode;
	bool no_key;               /* nothing in it claims to be a private key */
};

void lp_keyring_init(struct lp_keyring *r, const struct lp_crypto_set *crypto,
		     void (*warn)(void *user, const char *line), void *user)
{
	*r = (struct lp_keyring){ .crypto = crypto, .warn = warn, .user = user };
}

void lp_keyring_forget(struct lp_keyring *r)
{
	lp_secret_clear(&r->passphrases);
}

void lp_keyring_clear(struct lp_keyring *r)
{
	lp_keyring_forget(r);
	for (size_t i = 0; i < r->n; i++) {
		lp_key_clear(&r->keys[i].key);
		lp_secret_clear(&r->keys[i].substitute_seed);
	}
	free(r->keys);
	free(r->faces);
	lp_keyring_init(r, r->crypto, r->warn, r->user);
}

LP_PRINTF(3, 4)
static enum lp_err fault(struct lp_keyring *r, enum lp_err err, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	(void)vsnprintf(r->why, sizeof r->why, format, args);
	va_end(args);
	return err;
}

static enum lp_err no_memory(struct lp_keyring *r)
{
	return fault(r, LP_E_NOMEM, "out of memory while reading keys");
}

/* A fault that is one of the machine, not of the file at hand. */
static bool is_grave(enum lp_err err)
{
	return err == LP_E_NOMEM || err == LP_E_LIMIT;
}

/* Takes fd. On success the caller clears f->bytes. */
static enum lp_err read_file(struct lp_keyring *r, int fd, struct file *f)
{
	struct lp_secretfile s = { .mode = 0 };
	enum lp_err err = lp_secretfile_read(&s, fd, f->name);

	f->bytes = s.bytes;
	f->mode = s.mode;
	f->no_key = err == LP_E_ARG || err == LP_E_FORMAT;
	return err ? fault(r, err, "%s", s.why) : LP_OK;
}

static enum lp_err check_mode(struct lp_keyring *r, const struct file *f)
{
	char line[LP_KEYRING_LINE];

	if (!(f->mode & 077))
		return LP_OK;
	if (r->strict_modes)
		return fault(r, LP_E_ARG, "%s: readable by others (mode %04o), refused", f->name,
			     f->mode);
	snprintf(line, sizeof line, "%s: readable by others (mode %04o)", f->name, f->mode);
	r->warn(r->user, line);
	return LP_OK;
}

/* A file of secrets that are no private key. On success the caller clears f->bytes. */
static enum lp_err read_secrets(struct lp_keyring *r, const char *path, struct file *f)
{
	int fd = lp_secretfile_open(AT_FDCWD, path);
	enum lp_err err;

	lp_text_escape(f->name, sizeof f->name, path, strlen(path));
	if (fd < 0)
		return fault(r, errno == ENOENT ? LP_E_NOENT : LP_E_IO, "%s: %s", f->name,
			     strerror(errno));
	err = read_file(r, fd, f);
	if (err)
		return err;
	err = check_mode(r, f);
	if (err)
		lp_secret_clear(&f->bytes);
	return err;
}

enum lp_err lp_keyring_passphrases(struct lp_keyring *r, const char *path)
{
	struct file f;
	enum lp_err err = read_secrets(r, path, &f);

	if (!err)
		r->passphrases = f.bytes;
	return err;
}

/* The next line of the passphrase file, without its end; empty ones do not count. */
static bool next_passphrase(struct lp_cursor *c, lp_span *out)
{
	while (lp_cursor_left(c)) {
		lp_span rest = lp_cursor_rest(c);
		const uint8_t *nl = memchr(rest.p, '\n', rest.n);
		size_t n = nl ? (size_t)(nl - rest.p) : rest.n;

		*out = lp_cursor_bytes(c, n);
		if (nl)
			lp_cursor_skip(c, 1);
		if (out->n && out->p[out->n - 1] == '\r')
			out->n--;
		if (out->n)
			return true;
	}
	return false;
}

/* As keyfile.h, and with each passphrase in turn. With a wrong one, one file in 256
 * looks well padded and only then malformed: that is a wrong passphrase too. */
static enum lp_err try_load(struct lp_keyring *r, lp_span bytes, struct lp_key *key, char *why)
{
	struct lp_cursor c = lp_cursor_span(lp_secret_span(&r->passphrases));
	lp_span passphrase = { NULL, 0 };
	enum lp_err err = lp_key_load(key, bytes, passphrase, why);

	if (err != LP_E_PASSPHRASE)
		return err;
	while (next_passphrase(&c, &passphrase)) {
		err = lp_key_load(key, bytes, passphrase, why);
		if (err != LP_E_PASSPHRASE && err != LP_E_FORMAT)
			return err;
	}
	return LP_E_PASSPHRASE;
}

/* Says of PEM text that somebody meant it to be a private key. */
static bool claims_key(lp_span bytes)
{
	static const char mark[] = "PRIVATE KEY-----";

	return memmem(bytes.p, bytes.n, mark, sizeof mark - 1) != NULL;
}

static enum lp_err load_fault(struct lp_keyring *r, enum lp_err err, struct file *f,
			      const char *why)
{
	if (err == LP_E_NOMEM)
		return no_memory(r);
	if (err == LP_E_FORMAT)
		f->no_key = !claims_key(lp_secret_span(&f->bytes));
	if (err == LP_E_PASSPHRASE && r->passphrases.p)
		why = "wrong passphrase";
	return fault(r, err, "%s: %s", f->name, why);
}

/* At once for as many as there may be: threads read the keys while more come, so the
 * tables must not move. What is not used costs no memory. */
static enum lp_err make_room(struct lp_keyring *r)
{
	if (!r->keys)
		r->keys = calloc(LP_KEYRING_MAX, sizeof *r->keys);
	if (!r->faces)
		r->faces = calloc(LP_KEYRING_MAX, sizeof *r->faces);
	return r->keys && r->faces ? LP_OK : LP_E_NOMEM;
}

static bool same_secret(const struct lp_secret *a, const struct lp_secret *b)
{
	return a->n == b->n && lp_equal_ct(a->p, b->p, a->n);
}

/* An identity may have several keys: one at each of several servers. */
static bool have(const struct lp_keyring *r, const struct lp_key *key)
{
	for (size_t i = 0; i < r->n; i++)
		if (r->keys[i].key.kind == key->kind &&
		    !memcmp(r->keys[i].key.spki_sha256, key->spki_sha256, 32) &&
		    (key->kind != LP_KEY_PSK || same_secret(&r->keys[i].key.der, &key->der)))
			return true;
	return false;
}

static enum lp_err set_seed(struct lp_keyring *r, struct lp_keyring_key *k)
{
	if (k->key.kind != LP_KEY_RSA)
		return LP_OK;
	k->substitute_seed = (struct lp_secret){ lp_secret_alloc(LP_PREMASTER_SEED),
						 LP_PREMASTER_SEED };
	if (!k->substitute_seed.p)
		return LP_E_NOMEM;
	return lp_premaster_seed(r->crypto->base, lp_secret_span(&k->key.der), k->substitute_seed.p);
}

enum lp_err lp_keyring_add(struct lp_keyring *r, struct lp_key *key, const char *name)
{
	struct lp_keyring_key k = { .key = *key };
	struct lp_warden_key *face;
	enum lp_err err = LP_OK;

	*key = (struct lp_key){ 0 };
	if (have(r, &k.key))
		goto out;
	if (r->n == LP_KEYRING_MAX) {
		err = fault(r, LP_E_LIMIT, "more than %d keys", LP_KEYRING_MAX);
		goto out;
	}
	err = make_room(r);
	if (!err)
		err = set_seed(r, &k);
	if (err) {
		err = fault(r, err, "%s: %s", name, lp_err_text(err));
		goto out;
	}
	face = &r->faces[r->n];
	*face = (struct lp_warden_key){ (uint32_t)r->n, k.key.kind, k.key.bits, { 0 }, { 0 } };
	memcpy(face->spki_sha256, k.key.spki_sha256, sizeof face->spki_sha256);
	snprintf(face->name, sizeof face->name, "%s", name);
	r->keys[r->n] = k;
	r->n++; /* now the others see it */
	return LP_OK;
out:
	lp_key_clear(&k.key);
	lp_secret_clear(&k.substitute_seed);
	return err;
}

/* Now rather than at the first question: does the provider take the key? */
static enum lp_err check_usable(struct lp_keyring *r, const struct lp_key *key, const char *name)
{
	struct lp_rsa *rsa;
	enum lp_err err;

	if (key->kind != LP_KEY_RSA)
		return LP_OK;
	if (key->bits > LP_WARDEN_INPUT * 8)
		return fault(r, LP_E_UNSUPPORTED, "%s: it is an RSA key of %u bits, more than %d",
			     name, key->bits, LP_WARDEN_INPUT * 8);
	err = r->crypto->rsa->rsa_new(lp_secret_span(&key->der), &rsa);
	if (err == LP_E_NOMEM)
		return no_memory(r);
	if (err)
		return fault(r, err, "%s: it is an RSA key that %s cannot use", name,
			     r->crypto->rsa->name);
	r->crypto->rsa->rsa_free(rsa);
	return LP_OK;
}

/* Takes fd. */
static enum lp_err load_file(struct lp_keyring *r, int fd, struct file *f)
{
	char why[LP_KEY_WHY] = "";
	struct lp_key key = { 0 };
	enum lp_err err;

	err = read_file(r, fd, f);
	if (err)
		return err;
	err = try_load(r, lp_secret_span(&f->bytes), &key, why);
	if (err) {
		err = load_fault(r, err, f, why);
		goto out;
	}
	err = check_usable(r, &key, f->name);
	if (!err)
		err = check_mode(r, f);
	if (!err)
		err = lp_keyring_add(r, &key, f->name);
	if (!err)
		r->usable++;
out:
	lp_key_clear(&key);
	lp_secret_clear(&f->bytes);
	return err;
}

/* ---- pre-shared keys ---- */

static enum lp_err add_psk(struct lp_keyring *r, const struct lp_psk *psk, const char *name)
{
	struct lp_key key = { .kind = LP_KEY_PSK };
	enum lp_err err;

	err = lp_digest_once(r->crypto->base, LP_SHA256, &psk->identity, 1, key.spki_sha256);
	if (!err)
		err = lp_secret_set(&key.der, psk->key.p, psk->key.n);
	if (err)
		return fault(r, err, "%s: %s", name, lp_err_text(err));
	return lp_keyring_add(r, &key, name);
}

enum lp_err lp_keyring_psks(struct lp_keyring *r, const char *path)
{
	struct lp_psks lines;
	struct lp_psk psk;
	struct file f;
	size_t found = 0;
	enum lp_err err = read_secrets(r, path, &f);

	if (err == LP_E_NOENT && strchr(path, ':')) /* perhaps a key: not to be repeated here */
		return fault(r, err, "--psk names a file with lines identity:hex, and there is no "
			     "such file");
	if (err)
		return err;
	err = lp_psks_init(&lines, lp_secret_span(&f.bytes));
	if (err)
		(void)no_memory(r);
	while (!err && !(err = lp_psks_next(&lines, &psk))) {
		found++;
		err = add_psk(r, &psk, f.name);
	}
	if (err == LP_E_FORMAT)
		err = fault(r, err, "%s: line %u: %s", f.name, lines.line, lines.why);
	else if (err == LP_EOF)
		err = found ? LP_OK : fault(r, LP_E_FORMAT, "%s: no pre-shared key in it", f.name);
	lp_psks_clear(&lines);
	lp_secret_clear(&f.bytes);
	return err;
}

/* ---- directories ---- */

enum lp_err lp_keyring_load_fd(struct lp_keyring *r, int fd, const char *shown)
{
	struct file f;
	enum lp_err err;

	snprintf(f.name, sizeof f.name, "%s", shown);
	err = load_file(r, fd, &f);
	return err && !is_grave(err) && f.no_key ? LP_EOF : err;
}

struct names {
	char **at;
	size_t n;
	size_t room;
};

static void names_clear(struct names *names)
{
	for (size_t i = 0; i < names->n; i++)
		free(names->at[i]);
	free(names->at);
}

static enum lp_err names_add(struct names *names, const char *name)
{
	if (names->n == LP_KEYRING_NAMES_MAX)
		return LP_E_LIMIT;
	if (names->n == names->room) {
		size_t room = names->room ? 2 * names->room : 64;
		char **at = realloc(names->at, room * sizeof *at);

		if (!at)
			return LP_E_NOMEM;
		names->at = at;
		names->room = room;
	}
	names->at[names->n] = strdup(name);
	if (!names->at[names->n])
		return LP_E_NOMEM;
	names->n++;
	return LP_OK;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static enum lp_err list(struct lp_keyring *r, DIR *dir, const char *path, struct names *names)
{
	const struct dirent *entry;
	enum lp_err err = LP_OK;

	while (!err && (entry = readdir(dir)))
		if (entry->d_name[0] != '.')
			err = names_add(names, entry->d_name);
	if (err == LP_E_LIMIT)
		return fault(r, err, "%s: more than %d files", path, LP_KEYRING_NAMES_MAX);
	if (err)
		return no_memory(r);
	if (names->n)
		qsort(names->at, names->n, sizeof *names->at, by_name);
	return LP_OK;
}

/* One file of a directory: only grave faults come back. */
static enum lp_err load_entry(struct lp_keyring *r, int dir, const char *name, struct file *f)
{
	struct stat st;
	int fd;
	enum lp_err err;

	if (fstatat(dir, name, &st, 0) == 0 && !S_ISREG(st.st_mode))
		return LP_OK;
	fd = lp_secretfile_open(dir, name);
	f->no_key = false;
	if (fd < 0)
		err = fault(r, LP_E_IO, "%s: %s", f->name, strerror(errno));
	else
		err = load_file(r, fd, f);
	if (!err || is_grave(err))
		return err;
	if (f->no_key)
		r->skipped++;
	else
		r->warn(r->user, r->why);
	return LP_OK;
}

static void name_of(struct file *f, const char *path, const char *entry)
{
	char whole[LP_KEYRING_PATH + 256];
	size_t n = strlen(path);

	(void)snprintf(whole, sizeof whole, "%s%s%s", path, path[n - 1] == '/' ? "" : "/", entry);
	lp_text_escape(f->name, sizeof f->name, whole, strlen(whole));
}

/* Takes fd. */
static enum lp_err load_directory(struct lp_keyring *r, int fd, const char *path,
				  const char *shown)
{
	struct names names = { NULL, 0, 0 };
	struct file f;
	size_t usable = r->usable;
	DIR *dir = fdopendir(fd);
	enum lp_err err;

	if (!dir) {
		close(fd);
		return no_memory(r);
	}
	err = list(r, dir, shown, &names);
	for (size_t i = 0; !err && i < names.n; i++) {
		name_of(&f, path, names.at[i]);
		err = load_entry(r, dirfd(dir), names.at[i], &f);
	}
	if (!err && r->usable == usable)
		err = fault(r, LP_E_NOENT, "%s: no usable private key in this directory", shown);
	names_clear(&names);
	closedir(dir);
	return err;
}

enum lp_err lp_keyring_load(struct lp_keyring *r, const char *path)
{
	struct stat st;
	struct file f;
	int fd = lp_secretfile_open(AT_FDCWD, path);

	lp_text_escape(f.name, sizeof f.name, path, strlen(path));
	if (fd < 0)
		return fault(r, errno == ENOENT ? LP_E_NOENT : LP_E_IO, "%s: %s", f.name,
			     strerror(errno));
	if (fstat(fd, &st) == 0 && S_ISDIR(st.st_mode))
		return load_directory(r, fd, path, f.name);
	return load_file(r, fd, &f);
}
