/* For tests that need a warden. The test program itself becomes one when it is
 * started with LP_WARDEN_ARG, so lp_warden_config.helper may stay NULL.
 *
 * Questions are built from a public key alone: the test program must not hold the
 * bytes that it then proves absent. */
#ifndef LP_TEST_HELP_WARDEN_H
#define LP_TEST_HELP_WARDEN_H

#include <mbedtls/pk.h>

#include "help_tool.h"
#include "warden/warden.h"

/* What can be wrong with a padded block; each is a class of malformed input. */
enum help_damage {
	HELP_WELL,
	HELP_FIRST_BYTE,    /* not 0 */
	HELP_TYPE,          /* 1 instead of 2 */
	HELP_SHORT_PADDING, /* a zero among the first eight bytes of padding */
	HELP_NO_SEPARATOR,  /* no zero before the message */
	HELP_LENGTH_47,     /* separator one byte late */
	HELP_LENGTH_49,     /* separator one byte early */
	HELP_VERSION,       /* major version 2 */
	HELP_DAMAGES
};

/* A public key from a PEM file of d. */
void help_public_open(mbedtls_pk_context *pk, const struct help_dir *d, const char *name);

/* Fills block (n bytes): EME-PKCS1-v1_5 (RFC 8017 section 7.2.1) of premaster, damaged. */
void help_pad(uint8_t *block, size_t n, const uint8_t premaster[48], enum help_damage damage);

/* The RSA public operation on block. */
void help_encrypt(mbedtls_pk_context *pk, const uint8_t *block, uint8_t *out);

/* A legacy question for TLS 1.2, SHA-256: premaster 03 03 and then what seed makes,
 * randoms too; input damaged as said. */
void help_ask(struct lp_ask *ask, mbedtls_pk_context *pk, uint32_t key, uint64_t id,
	      enum help_damage damage, uint8_t premaster[48]);

/* Starts a warden with one thread on the file of d; aborts the test on a fault. */
struct lp_warden *help_warden(const struct help_dir *d, const char *file, const char *crypto,
			      unsigned threads);

#endif
