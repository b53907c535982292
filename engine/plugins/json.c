/* json: an object for each session, a line each, in the vocabulary of Suricata's
 * EVE (see session_json.h).
 *
 *     -o json:FILE[,stats=on]      -o json:-
 *
 * With stats=on an object of event_type "stats" follows at the end: every counter of
 * the run, grouped by what stands before its first dot.
 */
#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "plugins/plugins.h"
#include "plugins/session_json.h"
#include "plugins/sink.h"

struct json {
	const struct lp_host *host;
	struct lp_sink sink;
	bool stats;
};

static int json_open(void **self, const struct lp_host *host, const char *arg,
		     const struct lp_option *options, size_t options_n)
{
	struct json *j;
	char line[256];
	bool stats = false;

	for (size_t i = 0; i < options_n; i++) {
		const char *value = options[i].value;

		stats = !strcmp(value, "on");
		if (!strcmp(options[i].key, "stats") && (stats || !strcmp(value, "off")))
			continue;
		snprintf(line, sizeof line, "unknown option %.100s=%.100s (json has stats=on|off)",
			 options[i].key, value);
		host->log(host, line);
		return -1;
	}
	if (!arg || !*arg) {
		host->log(host, "needs a file: json:FILE, or json:- for standard output");
		return -1;
	}
	j = calloc(1, sizeof *j);
	if (!j) {
		host->log(host, "out of memory");
		return -1;
	}
	j->host = host;
	j->stats = stats;
	if (lp_sink_open(&j->sink, host, arg, "line")) {
		free(j);
		return -1;
	}
	*self = j;
	return 0;
}

static int put_line(struct json *j, json_t *object)
{
	char *line = object ? json_dumps(object, JSON_COMPACT) : NULL;
	int bad;

	json_decref(object);
	if (!line) {
		j->host->log(j->host, "out of memory");
		return -1;
	}
	bad = lp_sink_write(&j->sink, line, strlen(line)) || lp_sink_write(&j->sink, "\n", 1) ||
	      lp_sink_line(&j->sink);
	free(line);
	return bad ? -1 : 0;
}

static int json_session_end(void *self, void **flow, void **session,
			    const struct lp_flow_info *info, const struct lp_session_info *tls,
			    const struct lp_session_result *result, const struct lp_stamp *at)
{
	(void)flow;
	(void)session;
	(void)at;
	return put_line(self, lp_session_json(info, tls, result));
}

/* NULL without memory. */
static json_t *stats_object(const struct lp_summary *summary)
{
	json_t *o = json_object(), *stats = json_object(), *group;
	char name[64];
	int bad = 0;

	for (size_t i = 0; i < summary->counters_n; i++) {
		const struct lp_counter *c = &summary->counters[i];
		const char *dot = strchr(c->name, '.');

		snprintf(name, sizeof name, "%.*s", dot ? (int)(dot - c->name) : 0, c->name);
		group = json_object_get(stats, name);
		if (!group) {
			bad |= json_object_set_new(stats, name, json_object());
			group = json_object_get(stats, name);
		}
		bad |= json_object_set_new(group, dot ? dot + 1 : c->name,
					   json_integer((json_int_t)c->value));
	}
	bad |= json_object_set_new(stats, "read", json_integer((json_int_t)summary->packets));
	bad |= json_object_set_new(o, "event_type", json_string("stats"));
	bad |= json_object_set_new(o, "stats", stats);
	if (!bad)
		return o;
	json_decref(o);
	return NULL;
}

static int json_tick(void *self, uint64_t now_ns)
{
	struct json *j = self;

	return lp_sink_tick(&j->sink, now_ns);
}

static int json_rotate(void *self)
{
	struct json *j = self;

	return lp_sink_reopen(&j->sink);
}

static int json_close_all(void *self, const struct lp_summary *summary)
{
	struct json *j = self;
	int status = 0;

	if (j->stats && summary)
		status = put_line(j, stats_object(summary));
	if (lp_sink_close(&j->sink))
		status = -1;
	free(j);
	return status;
}

const struct lp_plugin lp_plugin_json = {
	.abi = LP_PLUGIN_ABI,
	.size = sizeof(struct lp_plugin),
	.name = "json",
	.open = json_open,
	.session_end = json_session_end,
	.tick = json_tick,
	.rotate = json_rotate,
	.close = json_close_all,
};
