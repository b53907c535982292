/* What limpid must know of elliptic curves: which curve an object identifier means,
 * the public half of a private key, and the secret it shares with a peer's. By mbedTLS
 * whatever the provider, as the loading of keys is. No state. */
#ifndef LP_CRYPTO_EC_H
#define LP_CRYPTO_EC_H

#include "base/cursor.h"

enum { LP_EC_SIZE_MAX = 66, LP_EC_POINT_MAX = 1 + 2 * LP_EC_SIZE_MAX };

struct lp_ec_curve {
	lp_span oid;     /* the body of its OBJECT IDENTIFIER */
	const char *name;
	uint16_t bits;
	uint8_t size;    /* of a coordinate and of the private number, bytes */
	bool montgomery; /* X25519, X448 (RFC 7748): little-endian, one coordinate */
	int id;          /* the library's */
};

/* NULL for a curve that we do not know. */
const struct lp_ec_curve *lp_ec_curve_find(lp_span oid);

/* The public half of d: 04 ‖ X ‖ Y, or the one coordinate of a Montgomery curve.
 * d is big-endian (any length), or the size RFC 7748 names. LP_E_FORMAT if d is no
 * private number of this curve, LP_E_NOMEM. */
LP_MUST enum lp_err lp_ec_public(const struct lp_ec_curve *curve, lp_span d,
				 uint8_t pub[LP_EC_POINT_MAX], size_t *n);

/* ECDH: the x coordinate of d·point, *n bytes as long as the curve's field. key: SEC1
 * ECPrivateKey with curve, as lp_key has it; out is secret memory. LP_E_FORMAT if
 * point (04 ‖ X ‖ Y) does not lie on that curve, LP_E_NOMEM. */
LP_MUST enum lp_err lp_ec_agree(lp_span key, lp_span point, uint8_t out[LP_EC_SIZE_MAX],
				size_t *n);

#endif
