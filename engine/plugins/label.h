/* What sessions, flows and ends are called in text. Everything is written into the
 * caller's memory or const. Nothing here fails. */
#ifndef LP_PLUGINS_LABEL_H
#define LP_PLUGINS_LABEL_H

#include <limpid/plugin.h>

enum {
	LP_LABEL_ENDPOINT = 64,
	LP_LABEL_TEXT = 1024,
	LP_LABEL_TIME = 24,
	LP_LABEL_NUMBER = 32,
};

/* "192.0.2.1:443", "[2001:db8::1]:443". */
char *lp_label_endpoint(char out[LP_LABEL_ENDPOINT], const struct lp_flow_info *info,
			enum lp_dir side);

/* "2026-11-21 18:24:47", UTC, so that a replay reads the same everywhere. */
char *lp_label_time(char out[LP_LABEL_TIME], uint64_t ts_ns);

/* Text for a terminal. The host has escaped it; what slipped through (control
 * characters, invalid UTF-8) becomes \xHH, and what is escaped stays as it is. Cut
 * off at size. Returns out. */
char *lp_label_plain(char *out, size_t size, const char *text);

const char *lp_label_end(enum lp_end end);
const char *lp_label_verdict(enum lp_verdict verdict);

#endif
