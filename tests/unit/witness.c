/* An output for test_engine.c, built by it as a shared object: writes down every call
 * and holds the engine to the rules of limpid/plugin.h. A rule that is broken is a
 * line that begins with BAD. */
#include <limpid/plugin.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct witness {
	FILE *f;
	uint64_t packet, index, sessions;
	long flows;
};

struct flow {
	uint64_t id;
	int session; /* 1: between session_begin and session_end */
};

struct session {
	unsigned epoch;
	uint64_t clear[2];
};

static void rule(struct witness *w, int kept, const char *what)
{
	if (!kept)
		fprintf(w->f, "BAD %s\n", what);
}

static void place(struct witness *w, const struct lp_stamp *at)
{
	rule(w, at->packet > w->packet || (at->packet == w->packet && at->index >= w->index),
	     "place");
	w->packet = at->packet;
	w->index = at->index;
	fprintf(w->f, "%llu.%llu ", (unsigned long long)at->packet, (unsigned long long)at->index);
}

static int begin(void **self, const struct lp_host *host, const char *arg,
		 const struct lp_option *options, size_t n)
{
	struct witness *w = calloc(1, sizeof *w);

	if (!n || strcmp(options[0].key, "prelude"))
		host->withdraw(host, LP_WANT_PRELUDE);
	if (!w || !arg || !(w->f = fopen(arg, "w"))) {
		host->log(host, "cannot write");
		free(w);
		return -1;
	}
	*self = w;
	return 0;
}

static int flow_begin(void *self, void **flow, const struct lp_flow_info *info,
		      const struct lp_stamp *at)
{
	struct witness *w = self;
	struct flow *f = calloc(1, sizeof *f);

	rule(w, !*flow, "flow twice");
	f->id = info->flow_id;
	*flow = f;
	w->flows++;
	place(w, at);
	fprintf(w->f, "flow %llu %s %u %s %u\n", (unsigned long long)f->id, info->client_text,
		info->client_port, info->server_text, info->server_port);
	return 0;
}

static int session_begin(void *self, void **flow, void **session, const struct lp_flow_info *info,
			 const struct lp_session_info *tls, const struct lp_stamp *at)
{
	struct witness *w = self;
	struct flow *f = *flow;

	rule(w, f && f->id == info->flow_id && !f->session && !*session, "session_begin");
	rule(w, tls->number == ++w->sessions, "number");
	f->session = 1;
	*session = calloc(1, sizeof(struct session));
	place(w, at);
	fprintf(w->f, "session %llu %s\n", (unsigned long long)tls->number,
		tls->sni ? tls->sni : "-");
	return 0;
}

static int session_ready(void *self, void **flow, void **session, const struct lp_flow_info *info,
			 const struct lp_session_info *tls, const struct lp_stamp *at)
{
	struct witness *w = self;
	struct session *s = *session;

	(void)flow;
	(void)info;
	rule(w, s && tls->epoch == ++s->epoch && tls->secret, "session_ready");
	place(w, at);
	fprintf(w->f, "ready %s\n", tls->suite_text);
	return 0;
}

static int data(void *self, void **flow, void **session, const struct lp_flow_info *info,
		const struct lp_session_info *tls, enum lp_dir dir, enum lp_data_kind kind,
		const uint8_t *bytes, size_t n, const struct lp_stamp *at)
{
	struct witness *w = self;
	struct flow *f = *flow;
	struct session *s = *session;
	unsigned long sum = 5381;

	rule(w, f && f->id == info->flow_id && n, "data");
	rule(w, (kind == LP_DATA_DECRYPTED) == (tls != NULL), "kind");
	rule(w, !tls || (s && s->epoch && f->session), "data before keys");
	if (s)
		s->clear[dir] += n;
	for (size_t i = 0; i < n; i++)
		sum = sum * 33 + bytes[i];
	place(w, at);
	fprintf(w->f, "%s %d %zu %lx\n", tls ? "data" : "clear", dir, n, sum & 0xffffffffUL);
	return 0;
}

static int gap(void *self, void **flow, void **session, const struct lp_flow_info *info,
	       const struct lp_session_info *tls, enum lp_dir dir, const struct lp_gap_info *g,
	       const struct lp_stamp *at)
{
	struct witness *w = self;

	(void)session;
	(void)info;
	rule(w, *flow && g->stream_bytes && g->clear_min <= g->clear_max, "gap");
	place(w, at);
	fprintf(w->f, "%s %d %llu\n", tls ? "gap" : "clear-gap", dir, (unsigned long long)g->stream_bytes);
	return 0;
}

static int session_end(void *self, void **flow, void **session, const struct lp_flow_info *info,
		       const struct lp_session_info *tls, const struct lp_session_result *r,
		       const struct lp_stamp *at)
{
	struct witness *w = self;
	struct flow *f = *flow;
	struct session *s = *session;

	(void)info;
	rule(w, f && f->session && s && tls->number <= w->sessions, "session_end");
	for (int d = 0; d < 2; d++) {
		const struct lp_dir_totals *t = &r->total[d];

		rule(w, t->stream == t->opened + t->handshake + t->alert + t->opaque + t->lost,
		     "sum");
		rule(w, !s || t->clear == s->clear[d], "clear");
	}
	f->session = 0;
	free(s);
	*session = NULL;
	place(w, at);
	fprintf(w->f, "end %llu %s\n", (unsigned long long)tls->number, r->reason);
	return 0;
}

static int flow_end(void *self, void **flow, const struct lp_flow_info *info,
		    const enum lp_end end[2], const struct lp_stamp *at)
{
	struct witness *w = self;
	struct flow *f = *flow;

	rule(w, f && f->id == info->flow_id && !f->session, "flow_end");
	w->flows--;
	place(w, at);
	fprintf(w->f, "flow-end %llu %d %d\n", (unsigned long long)f->id, end[0], end[1]);
	free(f);
	*flow = NULL;
	return 0;
}

static int finish(void *self, const struct lp_summary *summary)
{
	struct witness *w = self;
	uint64_t sum = 0;

	if (summary) {
		rule(w, !w->flows, "flows left");
		for (size_t i = 0; i < summary->counters_n; i++)
			if (!strncmp(summary->counters[i].name, "drop.", 5) ||
			    !strcmp(summary->counters[i].name, "packets.processed"))
				sum += summary->counters[i].value;
		rule(w, sum == summary->packets, "packets");
		fprintf(w->f, "%llu packets\n", (unsigned long long)summary->packets);
	}
	fclose(w->f);
	free(w);
	return 0;
}

extern const struct lp_plugin lp_plugin_entry;
const struct lp_plugin lp_plugin_entry = {
	LP_PLUGIN_ABI, sizeof(struct lp_plugin), "witness",
	LP_WANT_DATA | LP_WANT_PRELUDE | LP_WANT_CLEARTEXT, begin, flow_begin, session_begin, session_ready, data,
	gap, session_end, flow_end, NULL, NULL, finish,
};
