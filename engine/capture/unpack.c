#include "capture/unpack.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>
#include <zstd.h>

#include "base/secret.h"

enum { PACKED_SIZE = 65536 };

struct lp_unpack {
	enum lp_unpack_kind kind;
	bool open; /* inside a member or frame */
	bool full; /* the last output filled its room: more may wait inside */
	size_t at, n;
	enum lp_err fault; /* sticky; kept back while bytes before it go out */
	const char *wrong;
	z_stream z;
	ZSTD_DStream *zstd;
	size_t hint; /* what it wants next */
	uint8_t packed[PACKED_SIZE];
};

enum lp_unpack_kind lp_unpack_kind_of(const uint8_t *p, size_t n)
{
	struct lp_cursor c = lp_cursor_of(p, n);
	uint32_t magic = (uint32_t)lp_cursor_uint(&c, 4, true);

	if (c.bad)
		return LP_UNPACK_NONE;
	if ((magic & 0xffffff) == 0x088b1f)
		return LP_UNPACK_GZIP;
	/* pzstd begins with a skippable frame (RFC 8878 section 3.1.2). */
	if (magic == 0xfd2fb528 || (magic & 0xfffffff0) == 0x184d2a50)
		return LP_UNPACK_ZSTD;
	return LP_UNPACK_NONE;
}

struct lp_unpack *lp_unpack_new(enum lp_unpack_kind kind)
{
	struct lp_unpack *u = calloc(1, sizeof *u);
	bool good = false;

	if (!u)
		return NULL;
	u->kind = kind;
	if (kind == LP_UNPACK_GZIP) {
		good = inflateInit2(&u->z, 15 + 16) == Z_OK; /* 16: a gzip header, no other */
	} else {
		u->zstd = ZSTD_createDStream();
		good = u->zstd && !ZSTD_isError(ZSTD_initDStream(u->zstd));
	}
	if (!good) {
		lp_unpack_free(u);
		return NULL;
	}
	return u;
}

void lp_unpack_free(struct lp_unpack *u)
{
	if (!u)
		return;
	if (u->kind == LP_UNPACK_GZIP)
		inflateEnd(&u->z);
	else
		ZSTD_freeDStream(u->zstd);
	lp_wipe(u->packed, sizeof u->packed);
	free(u);
}

uint8_t *lp_unpack_room(struct lp_unpack *u, size_t *n)
{
	if (u->at) {
		memmove(u->packed, u->packed + u->at, u->n - u->at);
		u->n -= u->at;
		u->at = 0;
	}
	*n = sizeof u->packed - u->n;
	return u->packed + u->n;
}

void lp_unpack_commit(struct lp_unpack *u, size_t n)
{
	assert(n <= sizeof u->packed - u->n);
	u->n += n;
}

bool lp_unpack_whole(const struct lp_unpack *u)
{
	return !u->open;
}

static enum lp_err step_gzip(struct lp_unpack *u, uint8_t *out, size_t n, size_t *made)
{
	uInt room = n > INT32_MAX ? INT32_MAX : (uInt)n;
	int rc;

	u->z.next_in = u->packed + u->at;
	u->z.avail_in = (uInt)(u->n - u->at);
	u->z.next_out = out;
	u->z.avail_out = room;
	u->open = true;
	rc = inflate(&u->z, Z_NO_FLUSH);
	u->at = u->n - u->z.avail_in;
	*made = room - u->z.avail_out;
	u->full = !u->z.avail_out && rc != Z_STREAM_END;
	if (rc == Z_STREAM_END) {
		u->open = false;
		rc = inflateReset(&u->z);
	}
	if (rc == Z_OK || rc == Z_BUF_ERROR)
		return LP_OK;
	if (rc == Z_MEM_ERROR)
		return LP_E_NOMEM;
	u->wrong = u->z.msg ? u->z.msg : "corrupt gzip data";
	return LP_E_FORMAT;
}

/* The library tells only of a call that failed, not of what it had unpacked by
 * then. So it gets one piece a call: what is left of a frame header, of a block
 * (hint counts the 3 bytes of the next block's header in) or of the check sum; and
 * nothing while output waits inside. */
static enum lp_err step_zstd(struct lp_unpack *u, uint8_t *out, size_t n, size_t *made)
{
	size_t piece = !u->open ? 1 : u->hint > 3 ? u->hint - 3 : u->hint;
	ZSTD_inBuffer from = { u->packed + u->at, u->n - u->at, 0 };
	ZSTD_outBuffer to = { out, n, 0 };

	if (u->full)
		from.size = 0;
	else if (from.size > piece)
		from.size = piece;
	u->hint = ZSTD_decompressStream(u->zstd, &to, &from);
	u->at += from.pos;
	*made = to.pos;
	if (ZSTD_isError(u->hint)) {
		u->wrong = ZSTD_getErrorName(u->hint);
		return LP_E_FORMAT;
	}
	u->open = u->hint != 0;
	u->full = u->open && to.pos == to.size;
	return LP_OK;
}

/* Tapes and block devices pad a gzip file with zeros; gzip ignores them too. */
static bool skip_padding(struct lp_unpack *u)
{
	while (u->at < u->n && !u->packed[u->at])
		u->at++;
	return u->at < u->n;
}

enum lp_err lp_unpack_step(struct lp_unpack *u, uint8_t *out, size_t n, size_t *made,
			   const char **wrong)
{
	*made = 0;
	assert(n);
	while (!u->fault && !*made) {
		if (!u->open && !skip_padding(u))
			return LP_MORE;
		if (u->at == u->n && !u->full)
			return LP_MORE;
		u->fault = u->kind == LP_UNPACK_GZIP ? step_gzip(u, out, n, made)
						     : step_zstd(u, out, n, made);
	}
	*wrong = u->wrong;
	return *made ? LP_OK : u->fault;
}
