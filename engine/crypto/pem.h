/* PEM (RFC 7468) and its old encryption (RFC 1421's headers as OpenSSL writes
 * them), for key files. Blocks borrow the file's bytes; what is decoded lies in
 * secret memory. For keyfile.c only. */
#ifndef LP_CRYPTO_PEM_H
#define LP_CRYPTO_PEM_H

#include "base/secret.h"

struct lp_pem {
	lp_span label;  /* "RSA PRIVATE KEY" */
	lp_span body;   /* headers and base64 */
};

/* The next block, text around it skipped. LP_EOF if there is none, LP_E_FORMAT if
 * its end is missing. */
LP_MUST enum lp_err lp_pem_next(struct lp_cursor *file, struct lp_pem *out);

bool lp_pem_label_is(const struct lp_pem *pem, const char *label);

/* The bytes inside. dek is the value of DEK-Info, empty where the block is not
 * encrypted. LP_E_FORMAT for bad base64 or none, LP_E_NOMEM. */
LP_MUST enum lp_err lp_pem_decode(const struct lp_pem *pem, struct lp_secret *out, lp_span *dek);

/* Undoes the encryption that DEK-Info names. Faults as of lp_key_load(). */
LP_MUST enum lp_err lp_pem_decrypt(lp_span dek, lp_span passphrase, lp_span in,
				   struct lp_secret *out, char *why);

#endif
