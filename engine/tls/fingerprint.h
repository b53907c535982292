/* Fingerprints of hellos: JA3 and JA3S as Suricata writes them, JA4 (FoxIO's
 * published format for TLS over TCP). Values of GREASE do not take part.
 * Results are heap strings; free() each. NULL where it could not be made: a JA3
 * string longer than LP_JA3_TEXT_MAX is left out, its hash is not. */
#ifndef LP_TLS_FINGERPRINT_H
#define LP_TLS_FINGERPRINT_H

#include "crypto/crypto.h"
#include "tls/hello.h"

enum { LP_JA3_TEXT_MAX = 4096, LP_JA3_HASH = 33, LP_JA4_TEXT = 37 };

struct lp_ja3 {
	char *string;           /* heap; "771,4865-4866,…" */
	char hash[LP_JA3_HASH]; /* MD5 in lower case hexadecimal; "" if unknown */
};

/* LP_E_NOMEM only; without MD5 the hash stays "". */
LP_MUST enum lp_err lp_ja3_client(struct lp_ja3 *out, const struct lp_crypto *crypto,
				  const struct lp_client_hello *hello);
LP_MUST enum lp_err lp_ja3_server(struct lp_ja3 *out, const struct lp_crypto *crypto,
				  const struct lp_server_hello *hello);
void lp_ja3_clear(struct lp_ja3 *ja3);

/* "t12d190800_d83cc789557e_7af1ed941c26" */
LP_MUST enum lp_err lp_ja4_client(char out[LP_JA4_TEXT], const struct lp_crypto *crypto,
				  const struct lp_client_hello *hello);

#endif
