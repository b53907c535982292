#define _GNU_SOURCE
#include "warden/keyring.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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
	pthread_rwlock_init(&r->lock, NULL);
}

void lp_keyring_forget(struct lp_keyring *r)
{
	lp_secret_clear(&r->passphrases);
}

static void wipe_key(struct lp_keyring_key *k)
{
	lp_key_clear(&k->key);
	lp_secret_clear(&k->substitute_seed);
	k->wiped = true;
}

void lp_keyring_clear(struct lp_keyring *r)
{
	lp_keyring_forget(r);
	for (size_t i = 0; i < r->n; i++)
		wipe_key(&r->keys[i]);
	free(r->keys);
	free(r->faces);
	pthread_rwlock_destroy(&r->lock);
	lp_keyring_init(r, r->crypto, r->warn, r->user);
}

void lp_keyring_enter(struct lp_keyring *r)
{
	pthread_rwlock_rdlock(&r->lock);
}

void lp_keyring_leave(struct lp_keyring *r)
{
	pthread_rwlock_unlock(&r->lock);
}

const struct lp_keyring_key *lp_keyring_key(const struct lp_keyring *r, uint32_t id,
					    enum lp_key_kind kind)
{
	const struct lp_keyring_key *k = &r->keys[id];

	return id < r->n && !k->wiped && k->key.kind == kind ? k : NULL;
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

/* By its face, which a wiped key has still. An identity may have several keys: one at each
 * of several servers. */
static struct lp_keyring_key *known(const struct lp_keyring *r, const struct lp_key *key)
{
	for (size_t i = 0; i < r->n; i++)
		if (r->faces[i].kind == key->kind &&
		    !memcmp(r->faces[i].spki_sha256, key->spki_sha256, 32) &&
		    (key->kind != LP_KEY_PSK || same_secret(&r->keys[i].key.der, &key->der)))
			return &r->keys[i];
	return NULL;
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

/* A new place at the end. */
static void append(struct lp_keyring *r, const struct lp_keyring_key *k, const char *name)
{
	struct lp_warden_key *face = &r->faces[r->n];

	*face = (struct lp_warden_key){ (uint32_t)r->n, k->key.kind, k->key.bits, { 0 }, { 0 } };
	memcpy(face->spki_sha256, k->key.spki_sha256, sizeof face->spki_sha256);
	snprintf(face->name, sizeof face->name, "%s", name);
	r->keys[r->n] = *k;
	r->n++; /* now the others see it */
}

static void put_back(struct lp_keyring *r, struct lp_keyring_key *to,
		     const struct lp_keyring_key *k)
{
	pthread_rwlock_wrlock(&r->lock);
	*to = *k;
	pthread_rwlock_unlock(&r->lock);
}

enum lp_err lp_keyring_add(struct lp_keyring *r, struct lp_key *key, const char *name,
			   uint32_t *id)
{
	struct lp_keyring_key k = { .key = *key, .files = 1 };
	struct lp_keyring_key *old = known(r, &k.key);
	enum lp_err err = LP_OK;

	*key = (struct lp_key){ 0 };
	*id = (uint32_t)(old ? (size_t)(old - r->keys) : r->n);
	if (old && !old->wiped) {
		old->files++;
		wipe_key(&k);
		return LP_OK;
	}
	if (!old && r->n == LP_KEYRING_MAX) {
		err = fault(r, LP_E_LIMIT, "more than %d keys", LP_KEYRING_MAX);
	} else {
		err = make_room(r);
		if (!err)
			err = set_seed(r, &k);
		if (err)
			err = fault(r, err, "%s: %s", name, lp_err_text(err));
	}
	if (err)
		wipe_key(&k);
	else if (old)
		put_back(r, old, &k);
	else
		append(r, &k, name);
	return err;
}

void lp_keyring_release(struct lp_keyring *r, uint32_t id, uint64_t end_ns)
{
	struct lp_keyring_key *k = &r->keys[id];

	if (!--k->files)
		k->end_ns = end_ns;
}

void lp_keyring_expire(struct lp_keyring *r, uint64_t now_ns)
{
	for (size_t i = 0; i < r->n; i++) {
		struct lp_keyring_key *k = &r->keys[i];

		if (k->files || k->wiped || k->end_ns > now_ns)
			continue;
		pthread_rwlock_wrlock(&r->lock);
		if (r->wiping)
			r->wiping(r->who, (uint32_t)i);
		wipe_key(k);
		pthread_rwlock_unlock(&r->lock);
	}
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

enum lp_err lp_keyring_load(struct lp_keyring *r, int fd, const char *shown, uint32_t *id)
{
	char why[LP_KEY_WHY] = "";
	struct lp_key key = { 0 };
	struct file f = { .bytes = { NULL, 0 } };
	enum lp_err err;

	snprintf(f.name, sizeof f.name, "%s", shown);
	err = read_file(r, fd, &f);
	if (!err) {
		err = try_load(r, lp_secret_span(&f.bytes), &key, why);
		if (err)
			err = load_fault(r, err, &f, why);
	}
	if (!err)
		err = check_usable(r, &key, f.name);
	if (!err)
		err = check_mode(r, &f);
	if (!err)
		err = lp_keyring_add(r, &key, f.name, id);
	lp_key_clear(&key);
	lp_secret_clear(&f.bytes);
	return err && !is_grave(err) && f.no_key ? LP_EOF : err;
}

/* ---- pre-shared keys ---- */

static enum lp_err add_psk(struct lp_keyring *r, const struct lp_psk *psk, const char *name)
{
	struct lp_key key = { .kind = LP_KEY_PSK };
	uint32_t id;
	enum lp_err err;

	err = lp_digest_once(r->crypto->base, LP_SHA256, &psk->identity, 1, key.spki_sha256);
	if (!err)
		err = lp_secret_set(&key.der, psk->key.p, psk->key.n);
	if (err)
		return fault(r, err, "%s: %s", name, lp_err_text(err));
	return lp_keyring_add(r, &key, name, &id); /* its file is not looked at again */
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
