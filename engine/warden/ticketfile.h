/* lp_ticketfile: ticket keys out of a file as the servers keep them. The kind is found by
 * looking, never asked for:
 *
 *   48 or 80 bytes, or several times that       nginx, Apache, OpenSSL, node, Envoy, ATS
 *   92 bytes                                    lighttpd
 *   lines of base64 (48 or 80 bytes each)       HAProxy; also what its admin socket shows
 *   lines of hexadecimal digits (48 or 80)      any of these, written down
 *   ticketKeySecret, ticketMacSecret            stunnel.conf; or two lines of 16 or 32 bytes
 *   gnutls:HEX[:SECONDS], go:HEX, s2n:HEX       as an application was given them
 *
 * What can be read two ways (240 bytes are three keys or five) is read both ways: the
 * name on a ticket and its MAC tell which is meant. Empty lines and those that begin
 * with # do not count.
 *
 * Owner of the keys: the struct; starts as zeros, ends with lp_ticketfile_clear(). */
#ifndef LP_WARDEN_TICKETFILE_H
#define LP_WARDEN_TICKETFILE_H

#include "warden/ticket.h"

enum { LP_TICKETFILE_WHY = 160, LP_TICKETFILE_MAX = 65536 / 48 + 65536 / 80 };

struct lp_ticketfile {
	struct lp_ticket_key *key;
	size_t n;
	size_t room;
};

void lp_ticketfile_clear(struct lp_ticketfile *f);

/* At least one key, or LP_E_FORMAT with half a sentence in why, or LP_E_NOMEM. */
LP_MUST enum lp_err lp_ticketfile_read(struct lp_ticketfile *f, lp_span bytes,
				       char why[LP_TICKETFILE_WHY]);

#endif
