/* lp_outputs: the plugins in use. Parses -o specifications, loads shared objects,
 * opens and calls the plugins, stops one that fails.
 *
 * Owner: lp_engine. One thread, which is the only one that ever calls a plugin. */
#ifndef LP_OUTPUT_H
#define LP_OUTPUT_H

#include <stdbool.h>

#include "event.h"

struct lp_outputs;

struct lp_outputs_config {
	bool live;
	bool quiet;
	bool print_data;
	bool cleartext;
	const char *(*meaning)(const char *reason); /* lp_host.meaning */
	const char *(*advice)(const char *reason);  /* lp_host.advice */
};

/* No output is opened yet. */
LP_MUST enum lp_err lp_outputs_new(struct lp_outputs **out, const struct lp_outputs_config *config);

/* Adds "NAME[:ARG][,key=value…]"; a NAME with a slash is a shared object. One line
 * in why (LP_WHY bytes) if there is no such output. */
LP_MUST enum lp_err lp_outputs_add(struct lp_outputs *o, const char *spec, char *why);

/* Opens them all, the session lines ("text") last unless named. LP_E_ARG: one
 * refused, and has said why on stderr (why is empty then). */
LP_MUST enum lp_err lp_outputs_open(struct lp_outputs *o, char *why);

/* What any of them wants: enum lp_wants, or-ed. */
unsigned lp_outputs_wants(const struct lp_outputs *o);

/* Delivers one event; releases what it carries. An lp_order_sink. */
void lp_outputs_event(void *outputs, struct lp_event *event);

/* Frees a flow whose end no output will be told (NULL is ignored). */
void lp_outputs_forget(struct lp_out_flow *flow);

void lp_outputs_tick(struct lp_outputs *o, uint64_t now_ns);

/* Asks the outputs to reopen their files. */
void lp_outputs_rotate(struct lp_outputs *o);

/* True once any output was stopped for good. An output that fails says so in one
 * line on stderr, its own or ours. */
bool lp_outputs_failed(const struct lp_outputs *o);

/* Sessions numbered so far. */
uint64_t lp_outputs_sessions(const struct lp_outputs *o);

/* Closes the plugins (summary may be NULL). False if one failed, now or before. */
bool lp_outputs_close(struct lp_outputs *o, const struct lp_summary *summary);
void lp_outputs_free(struct lp_outputs *o);

#endif
