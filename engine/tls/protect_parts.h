/* What protect.c, which sets lp_protect up, and opening.c, which opens records with it, share:
 * where its keys stand. For these two alone. */
#ifndef LP_TLS_PROTECT_PARTS_H
#define LP_TLS_PROTECT_PARTS_H

#include "tls/ctxcache.h"
#include "tls/protect.h"

enum {
	LP_PROTECT_SSL30 = 0x0300,
	LP_PROTECT_TLS11 = 0x0302,
	LP_PROTECT_TLS12 = 0x0303,
};

static inline const struct lp_cipher_info *lp_protect_info(const struct lp_protect *p)
{
	return lp_cipher_info(p->suite->cipher);
}

static inline const struct lp_crypto *lp_protect_cipher(const struct lp_protect *p)
{
	return p->cache->provider[p->cipher];
}

static inline const struct lp_crypto *lp_protect_base(const struct lp_protect *p)
{
	return p->cache->provider[p->base];
}

/* RFC 4346 section 6.2.3.2: from TLS 1.1 on, the IV stands in front of the record. */
static inline bool lp_protect_explicit_iv(uint16_t version)
{
	return version >= LP_PROTECT_TLS11;
}

/* Of the IV that the key block has, so much is kept: for AEAD it is the implicit nonce, for CBC of
 * TLS 1.0 the IV of the next record; from TLS 1.1 on a CBC record has its own. */
static inline size_t lp_protect_iv_size(const struct lp_protect *p)
{
	const struct lp_cipher_info *info = lp_protect_info(p);

	return info->kind == LP_KIND_CBC && lp_protect_explicit_iv(lp_protect_version(p)) ? 0 : info->iv;
}

/* Where they stand in keys. */
static inline uint8_t *lp_protect_iv_at(const struct lp_protect *p)
{
	return p->keys;
}

static inline uint8_t *lp_protect_key_at(const struct lp_protect *p)
{
	return p->keys + lp_protect_iv_size(p);
}

static inline uint8_t *lp_protect_mac_at(const struct lp_protect *p)
{
	return lp_protect_key_at(p) + lp_protect_info(p)->key;
}

static inline lp_span lp_protect_mac_key(const struct lp_protect *p)
{
	return (lp_span){ lp_protect_mac_at(p), lp_digest_size(p->suite->mac) };
}

#endif
