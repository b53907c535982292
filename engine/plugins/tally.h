/* lp_tally: sessions counted by verdict, by reason and by note, and the summary that text
 * prints at the end. Owner: the caller, zeroed; holds no memory of its own. */
#ifndef LP_PLUGINS_TALLY_H
#define LP_PLUGINS_TALLY_H

#include <limpid/plugin.h>

#include "plugins/sink.h"

enum { LP_TALLY_CODES = 64, LP_TALLY_CODE = 40 };

struct lp_tally {
	uint64_t sessions;
	uint64_t verdict[4];   /* by enum lp_verdict */
	uint64_t failed;       /* handshake-failed: not among what stayed closed */
	uint64_t unfinished;   /* handshake-unfinished: nor is this */
	uint64_t other;        /* codes beyond the table */
	size_t codes_n;
	struct lp_tally_code {
		char code[LP_TALLY_CODE];
		int note;          /* a note, not the reason */
		uint64_t n;
	} codes[LP_TALLY_CODES];
};

void lp_tally_add(struct lp_tally *t, const struct lp_session_result *result);

/* Sorts the codes and prints. 0, or -1 as lp_sink. */
LP_MUST int lp_tally_print(struct lp_tally *t, struct lp_sink *out, const struct lp_host *host,
			   const struct lp_summary *summary);

#endif
