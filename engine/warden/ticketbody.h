/* lp_ticketbody: what a server wrote into a ticket, decrypted: the session's secret,
 * version, suite and whether it is an Extended Master Secret (RFC 5077 section 4 leaves
 * the form to the server; these are the forms of OpenSSL and BoringSSL, GnuTLS, Go and
 * s2n).
 *
 * The bytes may be anybody's: one server's tickets are not authenticated (ticket.c).
 * Nothing is allocated. Owner of the result: the caller, in secret memory; it wipes. */
#ifndef LP_WARDEN_TICKETBODY_H
#define LP_WARDEN_TICKETBODY_H

#include "base/cursor.h"

enum lp_ticket_form {
	LP_FORM_OPENSSL,  /* SSL_SESSION in DER: also nginx, Apache, HAProxy, BoringSSL … */
	LP_FORM_GNUTLS,
	LP_FORM_GO,       /* up to 1.20 */
	LP_FORM_GO_121,   /* from 1.21 on */
	LP_FORM_S2N,
	LP_FORM_COUNT
};

enum { LP_TICKET_SECRET_MAX = 64 };

struct lp_ticket_session {
	uint16_t version;  /* 0x0300 … 0x0304 */
	uint16_t suite;
	int8_t ems;        /* 1, 0; -1: the form does not tell */
	uint8_t secret_len;/* 48 for a master secret, which is final: EMS changes nothing */
	uint8_t secret[LP_TICKET_SECRET_MAX];
};

/* LP_E_TRUNCATED, LP_E_FORMAT: it is not of this form; out holds nothing then. */
LP_MUST enum lp_err lp_ticketbody_read(struct lp_ticket_session *out, enum lp_ticket_form form,
				       lp_span body);

#endif
