/* lp_options: limpid's command line, read into a configuration.
 *
 * Owner: the caller, whose config it fills. Faults: -1, and one line has gone to stderr. */
#ifndef LP_OPTIONS_H
#define LP_OPTIONS_H

#include <stdbool.h>

#include <limpid/limpid.h>

#include "base/err.h"
#include "config.h"

struct lp_options {
	struct lp_config *config;
	bool done;       /* --help and the like, whose answer is on stdout: nothing to run */
	bool bench_read;
	char why[LP_WHY];
};

LP_MUST int lp_options_read(struct lp_options *o, int argc, char **argv);

#endif
