/* An output that keeps the books: a plugin for tests, built from the public header alone.
 *   -o ledger.so:DIR,record=on   writes what each session sent to DIR
 *   -o ledger.so:DIR             holds all that is told against the contract, and the clear
 *                                bytes against DIR: parts may be missing, none may be wrong
 * Where the truth has holes of its own, DIR knows how much they cost at most.
 * What is wrong is said in a line, and the exit status is 1. */
#define _GNU_SOURCE
#include <limpid/plugin.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TRUTHS = 4, NO_DATA = 4 /* bytes of a HelloRequest; an alert has 2 */ };

struct ledger {
	const struct lp_host *host;
	char *dir;
	int record;
	uint64_t begun, ended, flows, flows_ended, wrong;
};

struct flow {
	unsigned sessions;
	int open;
};

struct side {
	uint8_t *bytes; /* since the last gap */
	size_t n, room;
	uint64_t sum;
	/* For each of the sessions that it may be: where its bytes may go on; and whether they
	 * still fit. */
	struct {
		uint8_t *p;
		size_t n;
		uint64_t min, max;
		uint64_t lost; /* clear bytes that the truth lacks, at most */
		int there, fits;
	} truth[TRUTHS];
	uint64_t lost; /* clear bytes in gaps, at most */
	FILE *out;
};

struct session {
	struct side side[2];
	unsigned ready;
	int gap;
};

static void wrong(struct ledger *l, const struct lp_session_info *tls, const char *what)
{
	char line[200];

	l->wrong++;
	snprintf(line, sizeof line, "session %llu: %s", tls ? (unsigned long long)tls->number : 0, what);
	l->host->log(l->host, line);
}

#define HOLDS(x) ((x) ? (void)0 : wrong(l, tls, #x))

static int open_ledger(void **self, const struct lp_host *host, const char *arg,
		       const struct lp_option *options, size_t options_n)
{
	struct ledger *l = calloc(1, sizeof *l);

	if (!l || !arg)
		return -1;
	l->host = host;
	l->dir = strdup(arg);
	l->record = options_n && !strcmp(options[0].key, "record");
	*self = l;
	return l->dir ? 0 : -1;
}

static int flow_begin(void *self, void **flow, const struct lp_flow_info *info,
		      const struct lp_stamp *at)
{
	struct ledger *l = self;

	(void)info;
	(void)at;
	l->flows++;
	*flow = calloc(1, sizeof(struct flow));
	return *flow ? 0 : -1;
}

static int load(struct side *s, const char *path, int i)
{
	FILE *f = fopen(path, "rb");
	unsigned long long most;
	char lost[4096 + 8];
	long n;

	if (!f)
		return 0;
	if (fseek(f, 0, SEEK_END) || (n = ftell(f)) < 0)
		return -1;
	rewind(f);
	s->truth[i].p = malloc((size_t)n + 1);
	if (!s->truth[i].p || fread(s->truth[i].p, 1, (size_t)n, f) != (size_t)n)
		return -1;
	s->truth[i].n = (size_t)n;
	s->truth[i].there = s->truth[i].fits = 1;
	if (fclose(f))
		return -1;
	snprintf(lost, sizeof lost, "%s.lost", path);
	f = fopen(lost, "r");
	if (!f || fscanf(f, "%llu", &most) != 1)
		return -1;
	s->truth[i].lost = most;
	return fclose(f);
}

static int session_begin(void *self, void **flow, void **session, const struct lp_flow_info *info,
			 const struct lp_session_info *tls, const struct lp_stamp *at)
{
	struct ledger *l = self;
	struct flow *f = *flow;
	struct session *s = calloc(1, sizeof *s);
	char path[4096];

	(void)at;
	*session = s;
	if (!s || !f)
		return -1;
	HOLDS(!f->open);
	f->open = 1;
	f->sessions++;
	HOLDS(tls->number == ++l->begun);
	for (int dir = 0; dir < 2; dir++)
		for (int i = 0; i < (l->record ? 1 : TRUTHS); i++) {
			snprintf(path, sizeof path, "%s/%u.%u.%d", l->dir, info->client_port,
				 l->record ? f->sessions : (unsigned)i + 1, dir);
			if (l->record && !(s->side[dir].out = fopen(path, "wb")))
				return -1;
			if (!l->record && load(&s->side[dir], path, i))
				return -1;
		}
	return 0;
}

static int session_ready(void *self, void **flow, void **session, const struct lp_flow_info *info,
			 const struct lp_session_info *tls, const struct lp_stamp *at)
{
	struct ledger *l = self;
	struct session *s = *session;

	(void)flow;
	(void)info;
	(void)at;
	HOLDS(tls->epoch == ++s->ready);
	HOLDS(tls->secret != NULL);
	return 0;
}

/* The bytes since the last gap stand somewhere in the truth where they may. */
static void settle(struct side *s)
{
	for (int i = 0; i < TRUTHS; i++) {
		uint64_t min = s->truth[i].min, max = s->truth[i].max, first = 0, last = 0;
		int found = 0;

		if (!s->truth[i].fits || !s->n)
			continue;
		for (uint64_t at = min; at <= max && at + s->n <= s->truth[i].n; at++)
			if (!memcmp(s->truth[i].p + at, s->bytes, s->n)) {
				first = found ? first : at;
				last = at;
				found = 1;
			}
		s->truth[i].fits = found;
		s->truth[i].min = first + s->n;
		s->truth[i].max = last + s->n;
	}
	s->n = 0;
}

static int data(void *self, void **flow, void **session, const struct lp_flow_info *info,
		const struct lp_session_info *tls, enum lp_dir dir, enum lp_data_kind kind,
		const uint8_t *bytes, size_t n, const struct lp_stamp *at)
{
	struct ledger *l = self;
	struct session *s = *session;
	struct side *side;

	(void)flow;
	(void)info;
	(void)at;
	if (!tls)
		return 0;
	side = &s->side[dir];
	HOLDS(kind == LP_DATA_DECRYPTED && n && s->ready);
	side->sum += n;
	if (side->out)
		return fwrite(bytes, n, 1, side->out) == 1 ? 0 : -1;
	if (side->n + n > side->room) {
		side->room = 2 * (side->n + n);
		side->bytes = realloc(side->bytes, side->room);
		if (!side->bytes)
			return -1;
	}
	memcpy(side->bytes + side->n, bytes, n);
	side->n += n;
	return 0;
}

static int gap(void *self, void **flow, void **session, const struct lp_flow_info *info,
	       const struct lp_session_info *tls, enum lp_dir dir, const struct lp_gap_info *g,
	       const struct lp_stamp *at)
{
	struct ledger *l = self;
	struct session *s = *session;

	(void)flow;
	(void)info;
	(void)at;
	if (!tls)
		return 0;
	HOLDS(g->stream_bytes && g->clear_min <= g->clear_max && g->clear_max <= g->stream_bytes);
	s->gap = 1;
	settle(&s->side[dir]);
	s->side[dir].lost += g->clear_max;
	for (int i = 0; i < TRUTHS; i++) {
		uint64_t less = NO_DATA * g->records + s->side[dir].truth[i].lost;

		s->side[dir].truth[i].min += g->clear_min > less ? g->clear_min - less : 0;
		s->side[dir].truth[i].max += g->clear_max;
	}
	return 0;
}

static void check_result(struct ledger *l, const struct lp_session_info *tls,
			 const struct session *s, const struct lp_session_result *r)
{
	uint64_t clear = r->total[0].clear + r->total[1].clear, opaque = 0;

	HOLDS(r->verdict >= LP_DECRYPTED && r->verdict <= LP_OPAQUE);
	HOLDS(r->reason && l->host->meaning(r->reason));
	HOLDS(r->detail && *r->detail && r->advice && l->host->advice(r->reason));
	HOLDS(r->verdict == LP_DECRYPTED || *r->advice);
	for (size_t i = 0; r->notes && r->notes[i]; i++)
		HOLDS(l->host->meaning(r->notes[i]) != NULL);
	for (int dir = 0; dir < 2; dir++) {
		const struct lp_dir_totals *t = &r->total[dir];

		HOLDS(t->stream == t->opened + t->handshake + t->alert + t->opaque + t->lost);
		HOLDS(t->clear == s->side[dir].sum);
		HOLDS(r->end[dir] >= LP_END_CLOSE_NOTIFY && r->end[dir] <= LP_END_LOST);
		opaque += t->opaque;
	}
	HOLDS(r->verdict != LP_DECRYPTED || !opaque);
	HOLDS(r->verdict != LP_DECRYPTED || !s->gap);
	HOLDS(r->verdict != LP_OPAQUE || !clear);
	HOLDS(r->verdict != LP_DECRYPTED || s->ready);
}

/* One of the sessions that it may be is it, in both directions. */
static int is_true(struct session *s)
{
	int known = 0;

	for (int i = 0; i < TRUTHS; i++) {
		known |= s->side[0].truth[i].there;
		if (s->side[0].truth[i].fits && s->side[1].truth[i].fits)
			return 1;
	}
	return !known && !s->side[0].sum && !s->side[1].sum;
}

static int note_lost(const struct ledger *l, const struct flow *f, const struct lp_flow_info *info,
		     const struct session *s, int dir)
{
	char path[4096];
	FILE *out;

	snprintf(path, sizeof path, "%s/%u.%u.%d.lost", l->dir, info->client_port, f->sessions, dir);
	out = fopen(path, "w");
	if (!out)
		return -1;
	fprintf(out, "%llu\n", (unsigned long long)s->side[dir].lost);
	return fclose(out);
}

static int session_end(void *self, void **flow, void **session, const struct lp_flow_info *info,
		       const struct lp_session_info *tls, const struct lp_session_result *result,
		       const struct lp_stamp *at)
{
	struct ledger *l = self;
	struct session *s = *session;

	(void)at;
	l->ended++;
	((struct flow *)*flow)->open = 0;
	check_result(l, tls, s, result);
	settle(&s->side[0]);
	settle(&s->side[1]);
	HOLDS(l->record || is_true(s));
	for (int dir = 0; dir < 2; dir++) {
		if (s->side[dir].out && (fclose(s->side[dir].out) || note_lost(l, *flow, info, s, dir)))
			return -1;
		for (int i = 0; i < TRUTHS; i++)
			free(s->side[dir].truth[i].p);
		free(s->side[dir].bytes);
	}
	free(s);
	*session = NULL;
	return 0;
}

static int flow_end(void *self, void **flow, const struct lp_flow_info *info,
		    const enum lp_end end[2], const struct lp_stamp *at)
{
	struct ledger *l = self;
	struct flow *f = *flow;
	const struct lp_session_info *tls = NULL;

	(void)info;
	(void)end;
	(void)at;
	l->flows_ended++;
	HOLDS(!f->open);
	free(f);
	*flow = NULL;
	return 0;
}

static uint64_t counter(const struct lp_summary *s, const char *name)
{
	for (size_t i = 0; i < s->counters_n; i++)
		if (!strcmp(s->counters[i].name, name))
			return s->counters[i].value;
	return UINT64_MAX;
}

static int close_ledger(void *self, const struct lp_summary *summary)
{
	struct ledger *l = self;
	const struct lp_session_info *tls = NULL;
	uint64_t dropped = 0;
	int bad;

	HOLDS(summary != NULL);
	for (size_t i = 0; summary && i < summary->counters_n; i++)
		if (!strncmp(summary->counters[i].name, "drop.", 5))
			dropped += summary->counters[i].value;
	if (summary) {
		HOLDS(summary->packets == counter(summary, "packets.processed") + dropped);
		HOLDS(l->begun == l->ended && l->flows == l->flows_ended);
		HOLDS(counter(summary, "session.begun") == l->begun);
		HOLDS(counter(summary, "flow.opened") == counter(summary, "flow.tls") +
			counter(summary, "flow.no_tls") + counter(summary, "flow.empty"));
	}
	bad = l->wrong ? -1 : 0;
	free(l->dir);
	free(l);
	return bad;
}

const struct lp_plugin lp_plugin_entry = {
	.abi = LP_PLUGIN_ABI,
	.size = sizeof(struct lp_plugin),
	.name = "ledger",
	.wants = LP_WANT_DATA,
	.open = open_ledger,
	.flow_begin = flow_begin,
	.session_begin = session_begin,
	.session_ready = session_ready,
	.data = data,
	.gap = gap,
	.session_end = session_end,
	.flow_end = flow_end,
	.close = close_ledger,
};
