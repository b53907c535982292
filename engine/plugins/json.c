/* json: an object for each session, a line each, in the vocabulary of Suricata's
 * EVE (see session_json.h).
 *
 *     -o json:FILE      -o json:-
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "plugins/plugins.h"
#include "plugins/session_json.h"
#include "plugins/sink.h"

struct json {
	const struct lp_host *host;
	struct lp_sink sink;
};

static int json_open(void **self, const struct lp_host *host, const char *arg,
		     const struct lp_option *options, size_t options_n)
{
	struct json *j;
	char line[256];

	if (options_n) {
		snprintf(line, sizeof line, "unknown option %.100s (json has none)", options[0].key);
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
	if (lp_sink_open(&j->sink, host, arg, "line")) {
		free(j);
		return -1;
	}
	*self = j;
	return 0;
}

static int json_session_end(void *self, void **flow, void **session,
			    const struct lp_flow_info *info, const struct lp_session_info *tls,
			    const struct lp_session_result *result, const struct lp_stamp *at)
{
	struct json *j = self;
	json_t *object = lp_session_json(info, tls, result);
	char *line = object ? json_dumps(object, JSON_COMPACT) : NULL;
	int bad;

	(void)flow;
	(void)session;
	(void)at;
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
	int status = lp_sink_close(&j->sink);

	(void)summary;
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
