/* lp_filter: a BPF expression over packets of any link type, compiled by libpcap
 * for each link type that limpid decodes, all of it when it is made (names are
 * looked up then and never later).
 * Owner: a capture; lp_filter_free(). */
#ifndef LP_CAPTURE_FILTER_H
#define LP_CAPTURE_FILTER_H

#include "capture/capture.h"

struct lp_filter;

/* LP_E_ARG and one line in why (LP_WHY_SIZE bytes) if the expression is wrong
 * for every link type. */
LP_MUST enum lp_err lp_filter_new(struct lp_filter **out, const char *expression, char *why);
void lp_filter_free(struct lp_filter *f);

/* LP_E_ARG and one line if the expression means nothing on this link type. */
LP_MUST enum lp_err lp_filter_check(const struct lp_filter *f, uint32_t link, char *why);

/* A packet of a link type that limpid does not decode passes, so that it is
 * counted as that and not as one that the operator did not want. */
bool lp_filter_match(const struct lp_filter *f, const struct lp_wire *p);

/* "EXPRESSION": TEXT, with the expression escaped. */
void lp_filter_why(char *why, const char *expression, const char *text);

#endif
