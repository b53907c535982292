/* A session as one json object, in the vocabulary of Suricata's EVE; what EVE has
 * no name for stands under "limpid". json and files write the same object.
 * Owner: the caller, who gives it back with json_decref(). NULL: out of memory.
 * What is unknown is absent. */
#ifndef LP_PLUGINS_SESSION_JSON_H
#define LP_PLUGINS_SESSION_JSON_H

#include <jansson.h>
#include <limpid/plugin.h>

json_t *lp_session_json(const struct lp_flow_info *info, const struct lp_session_info *tls,
			const struct lp_session_result *result);

/* A flow that is not TLS: the same head, event_type "flow", and under "limpid" how
 * it ended and its bytes. */
json_t *lp_session_json_flow(const struct lp_flow_info *info, const enum lp_end end[2],
			     const uint64_t bytes[2], const uint64_t lost[2]);

/* Sets key to value, whose reference is taken over. A NULL value or a failure sets
 * *bad. */
void lp_session_json_set(json_t *object, const char *key, json_t *value, int *bad);

/* object is taken over: returned, or given back and NULL if bad. */
json_t *lp_session_json_done(json_t *object, int bad);

#endif
