/* Recorded TLS sessions for the unit tests (see help_tls.c). */
#ifndef TESTS_HELP_TLS_H
#define TESTS_HELP_TLS_H

#include <check.h>
#include <string.h>

#include "base/log.h"

struct tls_fixture {
	const char *name;
	const char *stream[2]; /* hexadecimal, by enum lp_dir */
	const char *master;
};

extern const struct tls_fixture tls_fixtures[];
extern const size_t tls_fixtures_n;

const struct tls_fixture *tls_fixture(const char *name);

/* Bytes of a hexadecimal string; returns their number. */
size_t tls_unhex(const char *hex, uint8_t *out, size_t size);

#endif
