/* The cipher suites (IANA "TLS Cipher Suites"), as one const table. Those of TLS
 * 1.3 are there for their names. Signalling values (0x00FF, 0x5600) and GREASE are
 * not suites. */
#ifndef LP_TLS_SUITES_H
#define LP_TLS_SUITES_H

#include "crypto/crypto.h"

enum lp_kx {
	LP_KX_NULL,      /* TLS_NULL_WITH_NULL_NULL */
	LP_KX_RSA,
	LP_KX_DH,        /* static */
	LP_KX_DHE,       /* includes DH_anon */
	LP_KX_ECDH,      /* static */
	LP_KX_ECDHE,     /* includes ECDH_anon */
	LP_KX_PSK,
	LP_KX_RSA_PSK,
	LP_KX_DHE_PSK,
	LP_KX_ECDHE_PSK,
	LP_KX_KRB5,
	LP_KX_SRP,
	LP_KX_ECCPWD,
	LP_KX_GOST,
	LP_KX_SM2,       /* GB/T 38636 */
	LP_KX_TLS13,     /* not part of the suite */
};

enum lp_auth {
	LP_AUTH_NULL,
	LP_AUTH_ANON,
	LP_AUTH_RSA,
	LP_AUTH_DSS,
	LP_AUTH_ECDSA,
	LP_AUTH_PSK,
	LP_AUTH_KRB5,
	LP_AUTH_SRP,
	LP_AUTH_ECCPWD,
	LP_AUTH_GOST,
	LP_AUTH_SM2,
	LP_AUTH_TLS13,
};

/* lp_suite.cipher of what enum lp_cipher has no name for (GOST, AEGIS …). */
#define LP_SUITE_CIPHER_OTHER LP_CIPHER_COUNT

struct lp_suite {
	uint16_t number;
	uint8_t kx;      /* enum lp_kx */
	uint8_t auth;    /* enum lp_auth */
	uint8_t cipher;  /* enum lp_cipher, or LP_SUITE_CIPHER_OTHER */
	uint8_t mac;     /* enum lp_digest; NONE for AEAD */
	uint8_t prf;     /* enum lp_digest; counts from TLS 1.2 on */
	bool exported;   /* EXPORT: keys of the key block are stretched (RFC 2246 6.3.1) */
	const char *name;
};

/* NULL if it is none we know. */
const struct lp_suite *lp_suite_find(uint16_t number);

/* The table, in ascending order, for listings and tests. */
const struct lp_suite *lp_suite_table(size_t *n);

/* Whether the server's certificate key alone opens it (given no EXPORT). */
static inline bool lp_suite_is_rsa(const struct lp_suite *s)
{
	return s->kx == LP_KX_RSA;
}

/* Both sides throw their keys away: only a logged secret opens it. */
static inline bool lp_suite_is_ephemeral(const struct lp_suite *s)
{
	return s->kx == LP_KX_DHE || s->kx == LP_KX_ECDHE || s->kx == LP_KX_DHE_PSK ||
	       s->kx == LP_KX_ECDHE_PSK || s->kx == LP_KX_TLS13;
}

/* "TLS 1.2", "SSL 3.0"; "" for what is no version. */
const char *lp_version_text(uint16_t version);

#endif
