/* lp_common: what many sessions have in common is kept once. A thousand sessions with one
 * server show one certificate, and most hellos of a client say the same. Such things are
 * pieces: blocks that never change, known by the bytes that they were made from.
 *
 * A piece is reference counted and may be given back by any thread; the table is its
 * worker's alone. It keeps what was seen last, LP_COMMON_BYTES at most: what goes out of it
 * lives on with those who hold it, and who asks for it later makes another. Nothing that
 * leaves a session depends on whether a piece was shared.
 * Without a table (NULL) each piece is its maker's own. Errors: NULL, out of memory. */
#ifndef LP_TLS_COMMON_H
#define LP_TLS_COMMON_H

#include <stdatomic.h>

#include "base/hash.h"

enum { LP_COMMON_BYTES = 4 << 20, LP_COMMON_BUCKETS = 1 << 12, LP_COMMON_KEY_MAX = 2048 };

enum lp_piece_kind { LP_PIECE_CLIENT_HELLO, LP_PIECE_SERVER_HELLO, LP_PIECE_CERT, LP_PIECE_NAME };

/* First member of every piece. */
struct lp_piece {
	atomic_uint refs;
	uint32_t size;          /* of the block, key and all */
	uint32_t key_n;
	uint8_t kind;           /* enum lp_piece_kind */
	uint64_t hash;
	const uint8_t *key;     /* in the block */
	struct lp_piece *next;  /* in its bucket */
	struct lp_piece *newer, *older;
};

struct lp_common {
	struct lp_hash_seed seed;
	struct lp_piece **buckets;  /* NULL until the first */
	struct lp_piece *newest, *oldest;
	size_t max, bytes, pieces;
	uint64_t shared, evicted;   /* counters: found again; put out for others */
};

/* The key of a piece under construction; one that does not fit makes a piece that is not
 * shared. */
struct lp_piece_key {
	size_t n;
	bool full;
	uint8_t bytes[LP_COMMON_KEY_MAX];
};

static inline void lp_piece_key_init(struct lp_piece_key *key)
{
	key->n = 0;
	key->full = false;
}

void lp_common_init(struct lp_common *c, const struct lp_hash_seed *seed, size_t max);
void lp_common_clear(struct lp_common *c);

/* A field of a key, which says where it ends. */
void lp_piece_key_add(struct lp_piece_key *key, lp_span field);

/* A reference to the piece with that key; NULL: it is not there. */
void *lp_common_find(struct lp_common *c, enum lp_piece_kind kind, const struct lp_piece_key *key);

/* A zeroed piece of size bytes, which the caller fills in, with one reference for him. It is
 * found from now on. */
void *lp_common_make(struct lp_common *c, enum lp_piece_kind kind, const struct lp_piece_key *key,
		     size_t size);

/* piece: a struct that begins with lp_piece, or NULL, which is ignored. */
void *lp_piece_ref(void *piece);
void lp_piece_unref(void *piece);

/* A piece that is a text. */
struct lp_name {
	struct lp_piece piece;
	char text[];
};

struct lp_name *lp_name_of(struct lp_common *c, const char *text);

#endif
