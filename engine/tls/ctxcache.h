/* The library contexts behind lp_protect (struct lp_ctx_cache of protect.h): a
 * bounded table, least recently used out first. An entry is named by its slot and its
 * owner: memory that is the owner's alone and stays where it is, his keys, until he has
 * dropped the entry. So an entry that was given to somebody else is recognised.
 * Only protect.c and opening.c use this. */
#ifndef LP_TLS_CTXCACHE_H
#define LP_TLS_CTXCACHE_H

#include "tls/protect.h"

/* Contexts of one direction, and who frees them. NULL where there is none. */
struct lp_ctx_pair {
	const struct lp_crypto *cipher_provider, *mac_provider;
	struct lp_cipher_ctx *cipher;
	struct lp_mac_ctx *mac;
};

/* The entry, now the most recently used; NULL if it is gone. */
struct lp_ctx_pair *lp_ctx_cache_get(struct lp_ctx_cache *cache, uint32_t slot, const void *owner);

/* A new, empty entry; valid until the next call on the cache. LP_E_NOMEM. */
LP_MUST enum lp_err lp_ctx_cache_add(struct lp_ctx_cache *cache, const void *owner, uint32_t *slot,
				     struct lp_ctx_pair **out);

/* Frees the entry, if it is still there. */
void lp_ctx_cache_drop(struct lp_ctx_cache *cache, uint32_t slot, const void *owner);

#endif
