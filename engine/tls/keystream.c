#include "tls/keystream.h"

#include <stdlib.h>

#include "base/secret.h"

enum {
	SKIP = 1024,     /* bytes that are made at a time */
	BEFORE = 2048,   /* how far before where it was asked to go a copy is left: trials that
	                  * differ by a record differ by 5 bytes */
	TOO_FAR = 4 * BEFORE,
};

struct mark {
	struct lp_cipher_ctx *ctx;
	uint64_t at;
};

struct lp_keystream_marks {
	struct mark left, near;
	uint64_t furthest, again;
};

static void drop(struct lp_cipher_ctx **ctx, const struct lp_crypto *crypto)
{
	if (*ctx)
		crypto->cipher_free(*ctx);
	*ctx = NULL;
}

void lp_keystream_settle(struct lp_keystream *k, const struct lp_crypto *crypto)
{
	if (!k->marks)
		return;
	drop(&k->marks->left.ctx, crypto);
	drop(&k->marks->near.ctx, crypto);
	free(k->marks);
	k->marks = NULL;
}

void lp_keystream_clear(struct lp_keystream *k, const struct lp_crypto *crypto)
{
	lp_keystream_settle(k, crypto);
	drop(&k->ctx, crypto);
	k->at = 0;
}

uint64_t lp_keystream_again(struct lp_keystream *k)
{
	uint64_t n = k->marks ? k->marks->again : 0;

	if (k->marks)
		k->marks->again = 0;
	return n;
}

static enum lp_err begin(struct lp_keystream *k, const struct lp_keystream_kind *kind)
{
	drop(&k->ctx, kind->crypto);
	k->at = 0;
	return kind->crypto->cipher_new(kind->cipher, kind->key, &k->ctx);
}

/* Makes what is between, and throws it away. */
static enum lp_err advance(struct lp_keystream *k, const struct lp_keystream_kind *kind,
			   uint64_t to)
{
	struct lp_keystream_marks *m = k->marks;
	uint8_t junk[SKIP] = { 0 };
	enum lp_err err = LP_OK;
	size_t n;

	if (k->at < m->furthest)
		m->again += (to < m->furthest ? to : m->furthest) - k->at;
	if (m->furthest < to)
		m->furthest = to;
	while (!err && k->at < to) {
		n = to - k->at < SKIP ? (size_t)(to - k->at) : SKIP;
		err = kind->crypto->decrypt(k->ctx, NULL, junk, n, junk);
		k->at += n;
	}
	lp_wipe(junk, sizeof junk);
	return err;
}

/* A mark where it stands now. */
static enum lp_err leave(const struct lp_keystream *k, const struct lp_keystream_kind *kind,
			 struct mark *mark)
{
	enum lp_err err;

	drop(&mark->ctx, kind->crypto);
	mark->at = k->at;
	err = kind->crypto->cipher_copy(k->ctx, &mark->ctx);
	return err == LP_E_UNSUPPORTED ? LP_OK : err; /* then it costs more */
}

static enum lp_err go_back(struct lp_keystream *k, const struct lp_keystream_kind *kind,
			   const struct mark *mark)
{
	drop(&k->ctx, kind->crypto);
	k->at = mark->at;
	return kind->crypto->cipher_copy(mark->ctx, &k->ctx);
}

static bool serves(const struct mark *mark, uint64_t to)
{
	return mark->ctx && mark->at <= to;
}

enum lp_err lp_keystream_seek(struct lp_keystream *k, const struct lp_keystream_kind *kind,
			      uint64_t to)
{
	struct lp_keystream_marks *m;
	enum lp_err err = LP_OK;
	uint64_t before = to > BEFORE ? to - BEFORE : 0;

	if (!k->ctx)
		err = begin(k, kind);
	if (err || k->at == to)
		return err;
	if (!k->marks) {
		k->marks = calloc(1, sizeof *k->marks);
		if (!k->marks)
			return LP_E_NOMEM;
		k->marks->furthest = k->at;
		if (k->at > to)
			err = begin(k, kind);
		if (!err)
			err = leave(k, kind, &k->marks->left);
	}
	m = k->marks;
	/* From the nearest of the three that is not behind it. */
	if (!err && serves(&m->near, to) && (k->at > to || k->at < m->near.at))
		err = go_back(k, kind, &m->near);
	else if (!err && k->at > to && serves(&m->left, to))
		err = go_back(k, kind, &m->left);
	else if (!err && k->at > to)
		err = begin(k, kind);
	if (!err && k->at < before)
		err = advance(k, kind, before);
	if (!err && (!serves(&m->near, to) || to - m->near.at > TOO_FAR))
		err = leave(k, kind, &m->near);
	return err ? err : advance(k, kind, to);
}
