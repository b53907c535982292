/* One clear line on stderr, prefixed "limpid: ". What comes from the network or
 * a file name goes through lp_text_escape() first. Secrets have no formatter. */
#ifndef LP_BASE_LOG_H
#define LP_BASE_LOG_H

#include "base/cursor.h"

void lp_log(const char *format, ...) LP_PRINTF(1, 2);

/* Writes n network bytes as printable UTF-8 into out (size bytes, always
 * terminated): C0, C1, DEL, backslash, invalid UTF-8 and bidirectional controls
 * become \xHH, and what does not fit is cut off. Returns out. */
char *lp_text_escape(char *out, size_t size, const void *p, size_t n);

/* Lower-case hexadecimal; out has room for 2 * n + 1 characters. Returns out. */
char *lp_text_hex(char *out, const void *p, size_t n);

/* Reads hexadecimal digits (either case); LP_E_FORMAT unless s is exactly
 * 2 * n of them. */
LP_MUST enum lp_err lp_text_unhex(uint8_t *out, size_t n, const char *s, size_t length);

#endif
