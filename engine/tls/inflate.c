#include "tls/inflate.h"

#include <stddef.h>
#include <stdlib.h>
#include <zlib.h>

#include "base/secret.h"

struct lp_inflate {
	z_stream stream;
	uint64_t records; /* taken */
	bool begun;       /* the form of the stream is known */
	bool ended;       /* … and its end was there: a new one may begin */
	bool broken;
};

/* What the library allocates holds clear bytes: wiped when it goes, so its size must
 * be known. */
static void *get(void *user, unsigned items, unsigned size)
{
	size_t n = sizeof(max_align_t) + (size_t)items * size;
	size_t *p = items && size ? calloc(1, n) : NULL;

	(void)user;
	if (!p)
		return NULL;
	*p = n;
	return (char *)p + sizeof(max_align_t);
}

static void put(void *user, void *p)
{
	size_t *whole = (size_t *)(void *)((char *)p - sizeof(max_align_t));

	(void)user;
	lp_wipe(whole, *whole);
	free(whole);
}

enum lp_err lp_inflate_new(struct lp_inflate **out)
{
	*out = calloc(1, sizeof **out);
	if (!*out)
		return LP_E_NOMEM;
	(*out)->stream.zalloc = get;
	(*out)->stream.zfree = put;
	return LP_OK;
}

void lp_inflate_free(struct lp_inflate *z)
{
	if (!z)
		return;
	if (z->begun)
		(void)inflateEnd(&z->stream);
	free(z);
}

/* RFC 1950 section 2.2: deflate, a window of at most 32 KiB, a check that comes out,
 * no dictionary. No compressor's bare DEFLATE stream begins so: that would be a stored
 * block whose padding bits are not zero. */
static bool has_header(lp_span in)
{
	return in.n < 2 || ((in.p[0] & 0x0f) == Z_DEFLATED && in.p[0] >> 4 <= 7 &&
			    (in.p[0] << 8 | in.p[1]) % 31 == 0 && !(in.p[1] & 0x20));
}

static int begin(struct lp_inflate *z, lp_span in)
{
	int ret = Z_OK;

	if (!z->begun)
		ret = inflateInit2(&z->stream, has_header(in) ? MAX_WBITS : -MAX_WBITS);
	else if (z->ended)
		ret = inflateReset(&z->stream);
	z->begun = z->begun || ret == Z_OK;
	z->ended = false;
	return ret;
}

static enum lp_err run(struct lp_inflate *z, lp_span in, uint8_t *out, size_t *n)
{
	z_stream *s = &z->stream;
	int ret = begin(z, in);

	/* zlib reads through it and does not write. */
	s->next_in = (Bytef *)(uintptr_t)in.p;
	s->avail_in = (uInt)in.n;
	s->next_out = out;
	s->avail_out = LP_INFLATE_ROOM;
	while (ret == Z_OK && s->avail_in && s->avail_out) {
		ret = inflate(s, Z_SYNC_FLUSH);
		z->ended = ret == Z_STREAM_END;
		if (z->ended && s->avail_in)
			ret = begin(z, in);
	}
	*n = LP_INFLATE_ROOM - s->avail_out;
	s->next_in = NULL;
	s->next_out = NULL;
	if (ret == Z_MEM_ERROR)
		return LP_E_NOMEM;
	if (!s->avail_out)
		return LP_E_LIMIT;
	return ret == Z_OK || ret == Z_STREAM_END ? LP_OK : LP_E_FORMAT;
}

enum lp_err lp_inflate_record(struct lp_inflate *z, uint64_t seq, lp_span in,
			      uint8_t out[LP_INFLATE_ROOM], size_t *n)
{
	enum lp_err err = LP_OK;

	*n = 0;
	if (z->broken || seq != z->records)
		err = LP_E_ORDER;
	else if (in.n > LP_INFLATE_IN_MAX)
		err = LP_E_LIMIT;
	else if (in.n) /* an empty record is no part of the stream */
		err = run(z, in, out, n);
	z->records++;
	z->broken = err != LP_OK;
	if (err) {
		lp_wipe(out, *n);
		*n = 0;
	}
	return err;
}
