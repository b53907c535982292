/* lp_shown: bytes as tcpdump -A shows them: what a terminal could act upon becomes a dot, and
 * a line ends without its CR. Works on the caller's memory; no errors. */
#ifndef LP_PLUGINS_SHOWN_H
#define LP_PLUGINS_SHOWN_H

#include <stddef.h>
#include <stdint.h>

enum { LP_SHOWN_SPARE = 16 };

/* Returns what became of n bytes at p: n at most. `out` has room for LP_SHOWN_SPARE more, which
 * mean nothing. What p is part of ends at `end`: a CR is not the last of its line without a LF. */
size_t lp_shown_write(char *out, const uint8_t *p, size_t n, const uint8_t *end);

#endif
