/* Tickets of OpenSSL's form, sealed here: limpid itself only opens them. */
#ifndef LP_TEST_HELP_TICKET_H
#define LP_TEST_HELP_TICKET_H

#include "crypto/crypto.h"

enum { HELP_TICKET_MAX = 66000 };

enum help_order { HELP_HMAC_FIRST, HELP_AES_FIRST };
enum help_ticket_damage {
	HELP_TICKET_WELL,
	HELP_TICKET_ZERO_MAC,   /* the MAC's key is zeros */
	HELP_TICKET_BAD_MAC,
	HELP_TICKET_PADDING,    /* … is wrong */
	HELP_TICKET_TRAILING,   /* a byte behind the DER */
};

struct help_body {
	uint16_t version, suite;
	bool flags_ems, boolean_ems; /* as OpenSSL, as BoringSSL has it */
	size_t cert;                 /* bytes of a client certificate */
};

/* SSL_SESSION ::= SEQUENCE { 1, version, suite, session id, master, … }, at the end of mem. */
lp_span help_ticket_body(uint8_t *mem, size_t size, const struct help_body *b,
			 const uint8_t *master);

/* key: 48 or 80 bytes. Returns the ticket's length. */
size_t help_ticket(uint8_t *out, const struct lp_crypto *crypto, const uint8_t *key, size_t key_n,
		   enum help_order order, lp_span body, enum help_ticket_damage damage);

#endif
