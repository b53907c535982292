#include "tls/transcript.h"

void lp_transcript_init(struct lp_transcript *t, const struct lp_crypto *crypto)
{
	*t = (struct lp_transcript){ .crypto = crypto };
	lp_buf_init(&t->raw, LP_TRANSCRIPT_MAX);
}

void lp_transcript_clear(struct lp_transcript *t)
{
	lp_buf_clear(&t->raw);
	t->crypto->digest_free(t->run);
	lp_transcript_init(t, t->crypto);
}

void lp_transcript_break(struct lp_transcript *t)
{
	lp_transcript_clear(t);
	t->broken = true;
}

enum lp_err lp_transcript_add(struct lp_transcript *t, lp_span message)
{
	enum lp_err err;

	if (t->broken)
		return LP_OK;
	if (message.n > LP_TRANSCRIPT_MAX - t->total)
		return LP_E_LIMIT;
	err = t->run ? t->crypto->digest_update(t->run, message)
		     : lp_buf_append(&t->raw, message.p, message.n);
	if (!err)
		t->total += message.n;
	return err;
}

enum lp_err lp_transcript_begin(struct lp_transcript *t, enum lp_digest digest)
{
	enum lp_err err;

	if (t->broken || t->run)
		return LP_OK;
	if (digest != LP_MD5_SHA1 && !t->crypto->has_digest(digest))
		return LP_E_UNSUPPORTED;
	err = t->crypto->digest_new(digest, &t->run);
	if (err)
		return err;
	t->size = (uint8_t)lp_digest_size(digest);
	err = t->crypto->digest_update(t->run, lp_buf_span(&t->raw));
	lp_buf_clear(&t->raw);
	return err;
}

enum lp_err lp_transcript_peek(const struct lp_transcript *t, uint8_t *out, size_t *n)
{
	enum lp_err err;

	*n = 0;
	if (t->broken || !t->run)
		return LP_OK;
	err = t->crypto->digest_peek(t->run, out);
	if (!err)
		*n = t->size;
	return err;
}
