/* audit: how forward-secret each server is, told from the wire alone.
 *
 *     -o audit:FILE[,format=text|json][,servers=N][,sessions=N]      -o audit:-
 *
 * The report is written at the end, and at every SIGHUP of what was seen until then:
 * text to be read, or (format=json, or a FILE that ends in .json) one object a line. */
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "plugins/audit_report.h"
#include "plugins/plugins.h"

struct audit {
	const struct lp_host *host;
	struct lp_ledger *ledger;
	struct lp_sink sink;
	int json;
};

static int refuse(const struct lp_host *host, const char *format, const char *what)
{
	char line[256];

	snprintf(line, sizeof line, format, what);
	host->log(host, line);
	return -1;
}

static int read_cap(size_t *out, const char *text, size_t most)
{
	char *end;
	unsigned long long v;

	errno = 0;
	v = strtoull(text, &end, 10);
	if (errno || end == text || *end || *text == '-' || v < 1 || v > most)
		return -1;
	*out = (size_t)v;
	return 0;
}

static int read_options(struct audit *a, struct lp_ledger_config *config,
			const struct lp_option *options, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		const struct lp_option *o = &options[i];

		if (!strcmp(o->key, "format")) {
			a->json = !strcmp(o->value, "json");
			if (!a->json && strcmp(o->value, "text") != 0)
				return refuse(a->host, "format is text or json, not %.60s", o->value);
		} else if (!strcmp(o->key, "servers")) {
			if (read_cap(&config->servers, o->value, 1000000))
				return refuse(a->host, "servers=%.60s: a number from 1 to 1000000",
					      o->value);
		} else if (!strcmp(o->key, "sessions")) {
			if (read_cap(&config->sessions, o->value, 100000000))
				return refuse(a->host, "sessions=%.60s: a number from 1 to 100000000",
					      o->value);
		} else {
			return refuse(a->host, "unknown option %.100s (audit has format, servers and "
				      "sessions)", o->key);
		}
	}
	return 0;
}

static int is_json_name(const char *name)
{
	size_t n = strlen(name);

	return n > 5 && !strcmp(name + n - 5, ".json");
}

static int audit_open(void **self, const struct lp_host *host, const char *arg,
		      const struct lp_option *options, size_t options_n)
{
	struct lp_ledger_config config = { LP_LEDGER_SERVERS, LP_LEDGER_SESSIONS };
	struct audit *a;

	if (!arg || !*arg)
		return refuse(host, "needs a file: audit:FILE, or audit:%s for standard output", "-");
	a = calloc(1, sizeof *a);
	if (!a)
		return refuse(host, "out of %s", "memory");
	a->host = host;
	a->json = is_json_name(arg);
	if (read_options(a, &config, options, options_n)) {
		free(a);
		return -1;
	}
	a->ledger = lp_ledger_new(&config);
	if (!a->ledger || lp_sink_open(&a->sink, host, arg, "line")) {
		if (!a->ledger)
			(void)refuse(host, "out of %s", "memory");
		lp_ledger_free(a->ledger);
		free(a);
		return -1;
	}
	*self = a;
	return 0;
}

static int audit_session_end(void *self, void **flow, void **session,
			     const struct lp_flow_info *info, const struct lp_session_info *tls,
			     const struct lp_session_result *result, const struct lp_stamp *at)
{
	struct audit *a = self;

	(void)flow;
	(void)session;
	(void)result;
	(void)at;
	return lp_ledger_add(a->ledger, info, tls) ? refuse(a->host, "out of %s", "memory") : 0;
}

static int report(struct audit *a)
{
	struct lp_findings *f = lp_findings_new(a->ledger);
	int bad;

	if (!f)
		return refuse(a->host, "out of %s", "memory");
	bad = a->json ? lp_audit_json(&a->sink, a->ledger, f) : lp_audit_text(&a->sink, a->ledger, f);
	lp_findings_free(f);
	return bad ? -1 : 0;
}

static int audit_tick(void *self, uint64_t now_ns)
{
	struct audit *a = self;

	return lp_sink_tick(&a->sink, now_ns);
}

static int audit_rotate(void *self)
{
	struct audit *a = self;

	if (report(a))
		return -1;
	return lp_sink_reopen(&a->sink);
}

static int audit_close(void *self, const struct lp_summary *summary)
{
	struct audit *a = self;
	int bad = report(a), status;

	(void)summary;
	status = lp_sink_close(&a->sink);
	lp_ledger_free(a->ledger);
	free(a);
	return bad ? -1 : status;
}

const struct lp_plugin lp_plugin_audit = {
	.abi = LP_PLUGIN_ABI,
	.size = sizeof(struct lp_plugin),
	.name = "audit",
	.open = audit_open,
	.session_end = audit_session_end,
	.tick = audit_tick,
	.rotate = audit_rotate,
	.close = audit_close,
};
