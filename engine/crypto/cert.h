/* lp_cert: what limpid tells about an X.509 certificate (RFC 5280) that came over
 * the wire. Text is escaped (lp_text_escape) and bounded. A certificate that does
 * not parse as a whole may still give its public key. */
#ifndef LP_CRYPTO_CERT_H
#define LP_CRYPTO_CERT_H

#include "crypto/crypto.h"

enum { LP_CERT_NAME = 512, LP_CERT_SERIAL = 128, LP_CERT_TIME = 24 };

enum lp_cert_key { LP_CERT_KEY_OTHER, LP_CERT_KEY_RSA, LP_CERT_KEY_EC, LP_CERT_KEY_DH, LP_CERT_KEY_DSA };

struct lp_cert {
	bool has_key;                   /* the next three are known */
	enum lp_cert_key key_kind;
	uint32_t key_bits;              /* RSA: of the modulus; else 0 where unknown */
	uint8_t spki_sha256[32];        /* of the DER SubjectPublicKeyInfo */
	uint8_t sha1[20];               /* fingerprints of the whole certificate */
	uint8_t sha256[32];
	bool has_text;                  /* what follows is known */
	char subject[LP_CERT_NAME];     /* "C=DE, O=…, CN=…", in the certificate's order, as Suricata writes it */
	char issuer[LP_CERT_NAME];
	char serial[LP_CERT_SERIAL];    /* "0A:1B:…", as Suricata writes it */
	char not_before[LP_CERT_TIME];  /* "2026-11-21T00:00:00", UTC; "" if not in a form of
					 * RFC 5280 */
	char not_after[LP_CERT_TIME];
};

/* der is borrowed for the call. LP_OK if at least the key could be read, else
 * LP_E_FORMAT (fingerprints are set anyway). */
LP_MUST enum lp_err lp_cert_read(struct lp_cert *out, const struct lp_crypto *crypto, lp_span der);

#endif
