/* How an audit is written: text to be read, or an object on one line. Owner: nobody; 0,
 * or -1 as lp_sink or when out of memory. */
#ifndef LP_PLUGINS_AUDIT_REPORT_H
#define LP_PLUGINS_AUDIT_REPORT_H

#include "plugins/findings.h"
#include "plugins/sink.h"

LP_MUST int lp_audit_text(struct lp_sink *out, const struct lp_ledger *l,
			  const struct lp_findings *f);
LP_MUST int lp_audit_json(struct lp_sink *out, const struct lp_ledger *l,
			  const struct lp_findings *f);

#endif
