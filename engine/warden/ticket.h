/* lp_ticket: opens a session ticket with a server's ticket key.
 *
 * What the servers have in common is RFC 5077 section 4: name, IV, ciphertext, MAC over
 * all before it. Which half of a key is for the cipher and which for the MAC differs
 * from server to server and is told by the MAC, never by the operator:
 *
 *   LP_TICKET_NAMED   name 16, then both halves in either order: 48 or 80 bytes in all
 *                     (OpenSSL, nginx, Apache, HAProxy, lighttpd, node, BoringSSL, Envoy)
 *   LP_TICKET_BARE    the same without a name (stunnel)
 *   LP_TICKET_GNUTLS  64 bytes, from which each period of time has its own key
 *   LP_TICKET_GO      32 bytes, of which SHA-512 makes the key; tickets with a name (to
 *                     Go 1.20) and without one
 *   LP_TICKET_S2N     any length; HKDF makes the key of each ticket
 *
 * Owner of a key: whoever holds the struct; lp_ticket_key_clear(). A lp_ticket_ctx keeps
 * what one thread has prepared for one key (an HMAC that keeps its pads costs a third);
 * it starts as zeros and ends with lp_ticket_ctx_clear(). */
#ifndef LP_WARDEN_TICKET_H
#define LP_WARDEN_TICKET_H

#include "base/secret.h"
#include "crypto/crypto.h"
#include "warden/ticketbody.h"

enum { LP_TICKET_NAME = 16 };
enum { LP_TICKET_GNUTLS_KEY = 64, LP_TICKET_GO_KEY = 32, LP_TICKET_S2N_KEY_MAX = 1024 };
/* Three times the lifetime of a GnuTLS session, which is 6 hours by default. */
enum { LP_TICKET_GNUTLS_PERIOD = 3 * 21600 };

enum lp_ticket_kind {
	LP_TICKET_NAMED,
	LP_TICKET_BARE,
	LP_TICKET_GNUTLS,
	LP_TICKET_GO,
	LP_TICKET_S2N,
};

struct lp_ticket_key {
	enum lp_ticket_kind kind;
	uint8_t name[LP_TICKET_NAME]; /* NAMED */
	uint8_t first;                /* NAMED, BARE: bytes of the first half of key */
	uint32_t period_s;            /* GNUTLS */
	struct lp_secret key;
};

void lp_ticket_key_clear(struct lp_ticket_key *k);
bool lp_ticket_key_same(const struct lp_ticket_key *a, const struct lp_ticket_key *b);

struct lp_ticket_ctx {
	struct lp_mac_ctx *mac[2];       /* by which half is the MAC's; GNUTLS: by T % 2 */
	struct lp_cipher_ctx *cipher[2];
	uint64_t period[2];              /* GNUTLS: T + 1 of what stands there */
	uint8_t name[2][LP_TICKET_NAME];
	uint8_t order;                   /* that worked last */
};

/* crypto: that made it. */
void lp_ticket_ctx_clear(struct lp_ticket_ctx *ctx, const struct lp_crypto_set *crypto);

struct lp_ticket_try {
	const struct lp_crypto_set *crypto;
	lp_span ticket;
	uint64_t time_s;  /* of the packet that carries it, since 1970 */
	uint8_t *room;    /* secret memory of ticket.n bytes */
};

/* True if the ticket may be of this key by what stands on it in clear. */
bool lp_ticket_claims(const struct lp_ticket_key *k, lp_span ticket);

/* LP_OK: *out is what the ticket holds. LP_E_AUTH: not of this key. LP_E_FORMAT: of this
 * key, but what is in it is of no form that we know. LP_E_NOMEM. */
LP_MUST enum lp_err lp_ticket_open(const struct lp_ticket_key *k, struct lp_ticket_ctx *ctx,
				   const struct lp_ticket_try *t, struct lp_ticket_session *out);

/* For a ticket that claims a NAMED key and is not authentic under it. Apache with
 * OpenSSL 3 signs with a stack buffer that is out of scope: mostly zeros, sometimes
 * not, while the encryption is right. LP_OK: padding and DER came out exact; nothing
 * vouches for it but the Finished messages to come. */
LP_MUST enum lp_err lp_ticket_open_loose(const struct lp_ticket_key *k, struct lp_ticket_ctx *ctx,
					 const struct lp_ticket_try *t,
					 struct lp_ticket_session *out);

#endif
