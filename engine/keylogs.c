#define _GNU_SOURCE
#include "keylogs.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "secrets/follow.h"

enum {
	PIECE = 65536,             /* bytes read at once */
	PIECES = 64,               /* … and this often in one poll, for packets' sake */
	EXPIRE_S = 24 * 3600,      /* live: what nobody asked for */
	BLOCK_TLS = 0x544c534b,    /* pcapng secrets type "TLSK" */
};

struct file {
	struct lp_follow *follow;
	struct lp_keylog_reader reader;
	bool warned_mode, broken;
};

struct lp_keylogs {
	struct lp_keylog *log;
	size_t n;
	bool follow;
	bool strict_modes;
	atomic_bool blocks;
	pthread_mutex_t lock;      /* for what follows */
	struct file *file;
	uint8_t *piece;            /* PIECE, secret memory */
	uint64_t polled_ns;
};

/* What a key file is warned of, too: whoever reads it reads the traffic. */
static enum lp_err check_mode(struct lp_keylogs *k, struct file *f, char *why)
{
	unsigned mode = lp_follow_mode(f->follow);

	if (!(mode & 077) || f->warned_mode)
		return LP_OK;
	f->warned_mode = true;
	if (k->strict_modes) {
		snprintf(why, LP_WHY, "%s: readable by others (mode %04o), refused",
			 lp_follow_name(f->follow), mode);
		return LP_E_ARG;
	}
	lp_log("%s: readable by others (mode %04o)", lp_follow_name(f->follow), mode);
	return LP_OK;
}

static enum lp_err read_file(struct lp_keylogs *k, struct file *f, unsigned pieces, bool thorough,
			     char *why)
{
	uint64_t now = lp_clock_mono();
	enum lp_err err = LP_OK;
	bool anew;
	size_t n;

	while (!err && pieces--) {
		err = lp_follow_read(f->follow, k->piece, PIECE, thorough, &n, &anew);
		if (anew)
			lp_keylog_restart(&f->reader);
		if (anew && check_mode(k, f, why)) {
			f->broken = true; /* came later, and is refused */
			lp_log("%s", why);
			return LP_OK;
		}
		if (!err) {
			err = lp_keylog_push(&f->reader, lp_span_of(k->piece, n), now);
			lp_wipe(k->piece, n);
		}
	}
	if (err == LP_EOF)
		err = lp_keylog_end(&f->reader, now);
	if (err == LP_E_IO) {
		snprintf(why, LP_WHY, "%s: cannot be read", lp_follow_name(f->follow));
		f->broken = true;
	}
	return err == LP_MORE ? LP_OK : err;
}

/* One line about a file that is not what it was given as. */
static void remark(const struct lp_keylogs *k, const struct file *f)
{
	const struct lp_keylog_reader *r = &f->reader;
	const char *name = lp_follow_name(f->follow);

	if (lp_follow_absent(f->follow))
		lp_log("%s: not there yet, waiting for it", name);
	else if (r->malformed)
		lp_log("%s: %llu of its lines are not lines of a key log, the first is line %llu",
		       name, (unsigned long long)r->malformed,
		       (unsigned long long)r->first_malformed);
	else if (!r->known && !k->follow)
		lp_log("%s: no secrets in it", name);
}

static enum lp_err open_file(struct lp_keylogs *k, const char *path, char *why)
{
	struct file *f = &k->file[k->n];
	enum lp_err err = lp_follow_open(&f->follow, path, k->follow, why);

	if (err)
		return err;
	k->n++;
	lp_keylog_reader_init(&f->reader, k->log, LP_KEYLOG_FILE);
	err = check_mode(k, f, why);
	if (!err)
		err = read_file(k, f, UINT32_MAX, false, why);
	if (!err)
		remark(k, f);
	return err;
}

enum lp_err lp_keylogs_new(struct lp_keylogs **out, const struct lp_config *c,
			   const struct lp_hash_seed *seed, bool follow, char *why)
{
	struct lp_keylogs *k = calloc(1, sizeof *k);
	enum lp_err err = LP_E_NOMEM;

	*out = NULL;
	snprintf(why, LP_WHY, "out of memory");
	if (!k)
		return err;
	pthread_mutex_init(&k->lock, NULL);
	k->follow = follow;
	k->strict_modes = c->strict_key_modes;
	k->piece = lp_secret_alloc(PIECE);
	k->file = calloc(c->key_log.n + 1, sizeof *k->file);
	if (k->piece && k->file)
		err = lp_keylog_new(&k->log, seed, (size_t)c->max_key_log);
	for (size_t i = 0; i < c->key_log.n && !err; i++)
		err = open_file(k, c->key_log.item[i], why);
	if (err) {
		lp_keylogs_free(k);
		return err;
	}
	k->polled_ns = lp_clock_mono();
	*out = k;
	return LP_OK;
}

void lp_keylogs_free(struct lp_keylogs *k)
{
	if (!k)
		return;
	for (size_t i = 0; i < k->n; i++) {
		lp_keylog_reader_clear(&k->file[i].reader);
		lp_follow_close(k->file[i].follow);
	}
	lp_keylog_free(k->log);
	lp_secret_free(k->piece, PIECE);
	pthread_mutex_destroy(&k->lock);
	free(k->file);
	free(k);
}

/* With the lock held. */
static enum lp_err poll_files(struct lp_keylogs *k, bool now)
{
	uint64_t ns = lp_clock_mono();
	bool due = ns - k->polled_ns >= LP_KEYLOGS_POLL_MS * LP_NS_PER_MS;
	enum lp_err err = LP_OK;
	char why[LP_WHY];

	if (!now && !due)
		return LP_OK;
	for (size_t i = 0; i < k->n && !err; i++) {
		struct file *f = &k->file[i];
		uint64_t malformed = f->reader.malformed;

		if (f->broken)
			continue;
		err = read_file(k, f, PIECES, due, why);
		if (err == LP_E_IO) {
			lp_log("%s", why);
			err = LP_OK;
		}
		if (!malformed && f->reader.malformed)
			lp_log("%s: line %llu is not a line of a key log",
			       lp_follow_name(f->follow),
			       (unsigned long long)f->reader.first_malformed);
	}
	if (due) {
		k->polled_ns = ns;
		if (ns > EXPIRE_S * LP_NS_PER_S)
			lp_keylog_expire(k->log, ns - EXPIRE_S * LP_NS_PER_S);
	}
	return err;
}

enum lp_err lp_keylogs_poll(struct lp_keylogs *k, bool now)
{
	enum lp_err err;

	if (!k->follow || !k->n)
		return LP_OK;
	if (now)
		pthread_mutex_lock(&k->lock);
	else if (pthread_mutex_trylock(&k->lock))
		return LP_OK;
	err = poll_files(k, now);
	pthread_mutex_unlock(&k->lock);
	return err;
}

enum lp_err lp_keylogs_block(struct lp_keylogs *k, uint32_t type, lp_span data)
{
	struct lp_keylog_reader r;
	uint64_t now = lp_clock_mono();
	enum lp_err err;

	if (type != BLOCK_TLS)
		return LP_E_UNSUPPORTED;
	lp_keylog_reader_init(&r, k->log, LP_KEYLOG_BLOCK);
	err = lp_keylog_push(&r, data, now);
	if (!err)
		err = lp_keylog_end(&r, now);
	if (r.known)
		k->blocks = true;
	lp_keylog_reader_clear(&r);
	return err;
}

struct lp_keylog *lp_keylogs_store(struct lp_keylogs *k)
{
	return k->log;
}

bool lp_keylogs_followed(const struct lp_keylogs *k)
{
	return k->follow && k->n;
}

bool lp_keylogs_given(const struct lp_keylogs *k)
{
	return k->n || k->blocks;
}
