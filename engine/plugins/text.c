/* text: a readable line for each session, the clear bytes under -d, and the
 * summary at the end.
 *
 *     -o text[:FILE]
 *
 * Without FILE it writes to standard output (to standard error when another output
 * writes there), and -q silences the lines and the summary; with FILE, a file of
 * its own. Network text is made safe for a terminal; times are UTC. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "plugins/label.h"
#include "plugins/plugins.h"
#include "plugins/shown.h"
#include "plugins/sink.h"
#include "plugins/states.h"
#include "plugins/tally.h"

struct text {
	const struct lp_host *host;
	struct lp_sink sink;
	int lines;             /* session lines and summary are wanted */
	uint64_t clear_flows;  /* flows under --cleartext that gave bytes */
	struct lp_tally tally;
	struct lp_states states;
};

/* Of a session under -d, or of a flow under --cleartext. */
struct progress {
	struct lp_state state;
	uint64_t number;
	uint64_t bytes[2];
	uint64_t lost[2];
};

static int text_open(void **self, const struct lp_host *host, const char *arg,
		     const struct lp_option *options, size_t options_n)
{
	struct text *t;
	char line[256];

	if (options_n) {
		snprintf(line, sizeof line, "unknown option %.100s (text has none)", options[0].key);
		host->log(host, line);
		return -1;
	}
	t = calloc(1, sizeof *t);
	if (!t) {
		host->log(host, "out of memory");
		return -1;
	}
	t->host = host;
	t->lines = arg || !host->quiet;
	if (arg ? lp_sink_open(&t->sink, host, arg, "piece")
		: lp_sink_take(&t->sink, host, host->stdout_taken ? STDERR_FILENO : STDOUT_FILENO,
			       host->stdout_taken ? "standard error" : "standard output", "piece")) {
		free(t);
		return -1;
	}
	/* Session lines tell of decrypted bytes how many there were, and know that at the end. */
	if (!host->print_data)
		host->withdraw(host, LP_WANT_DATA);
	*self = t;
	return 0;
}

static struct progress *progress_of(struct text *t, void **slot, uint64_t number)
{
	struct progress *p = *slot;

	if (!p) {
		p = lp_states_new(&t->states, sizeof *p);
		if (p)
			p->number = number;
		*slot = p;
	}
	return p;
}

static int out_of_memory(const struct text *t)
{
	t->host->log(t->host, "out of memory");
	return -1;
}

/* "#000001" for a session, "flow-000001" for a flow that is not TLS. */
static const char *number_label(char out[LP_LABEL_NUMBER], const struct progress *p, int session)
{
	snprintf(out, LP_LABEL_NUMBER, session ? "#%06llu" : "flow-%06llu",
		 (unsigned long long)p->number);
	return out;
}

static const char *arrow(enum lp_dir dir)
{
	return dir == LP_C2S ? "C>S" : "S>C";
}

/* As lp_shown has them; the last line is ended. */
static int print_bytes(struct text *t, const uint8_t *bytes, size_t n)
{
	char line[4096];
	const uint8_t *end = bytes + n;

	while (n) {
		size_t take = n < sizeof line - LP_SHOWN_SPARE ? n : sizeof line - LP_SHOWN_SPARE;

		if (lp_sink_write(&t->sink, line, lp_shown_write(line, bytes, take, end)))
			return -1;
		bytes += take;
		n -= take;
		if (!n && bytes[-1] != '\n')
			return lp_sink_write(&t->sink, "\n", 1);
	}
	return 0;
}

/* Where a piece or a hole is counted; NULL with *fault 0: nobody asked for it. */
static struct progress *place_of(struct text *t, void **flow, void **session,
				 const struct lp_session_info *tls, int *fault)
{
	struct progress *p;

	*fault = 0;
	if (tls ? !t->host->print_data : !t->host->cleartext)
		return NULL;
	if (!tls && !*flow)
		t->clear_flows++;
	p = tls ? progress_of(t, session, tls->number)
		: progress_of(t, flow, t->clear_flows);
	if (!p)
		*fault = out_of_memory(t);
	return p;
}

static int text_data(void *self, void **flow, void **session, const struct lp_flow_info *info,
		     const struct lp_session_info *tls, enum lp_dir dir, enum lp_data_kind kind,
		     const uint8_t *bytes, size_t n, const struct lp_stamp *at)
{
	struct text *t = self;
	char label[LP_LABEL_NUMBER];
	struct progress *p;
	uint64_t offset;
	int fault;

	(void)info;
	(void)kind;
	(void)at;
	p = place_of(t, flow, session, tls, &fault);
	if (!p)
		return fault;
	offset = p->bytes[dir];
	p->bytes[dir] += n;
	if (!t->host->print_data || !n)
		return 0;
	if (lp_sink_print(&t->sink, "%s %s %llu %zu\n", number_label(label, p, tls != NULL),
			  arrow(dir), (unsigned long long)offset, n) ||
	    print_bytes(t, bytes, n))
		return -1;
	return lp_sink_line(&t->sink);
}

static int text_gap(void *self, void **flow, void **session, const struct lp_flow_info *info,
		    const struct lp_session_info *tls, enum lp_dir dir,
		    const struct lp_gap_info *gap, const struct lp_stamp *at)
{
	struct text *t = self;
	char label[LP_LABEL_NUMBER];
	struct progress *p;
	int fault;

	(void)info;
	(void)at;
	p = place_of(t, flow, session, tls, &fault);
	if (!p)
		return fault;
	p->lost[dir] += gap->stream_bytes;
	if (!t->host->print_data)
		return 0;
	if (lp_sink_print(&t->sink, "%s %s %llu gap %llu bytes lost\n",
			  number_label(label, p, tls != NULL), arrow(dir),
			  (unsigned long long)p->bytes[dir], (unsigned long long)gap->stream_bytes))
		return -1;
	return lp_sink_line(&t->sink);
}

/* " NAME" if there is one. */
static int print_word(struct text *t, const char *word)
{
	char plain[LP_LABEL_TEXT];

	if (!word || !*word)
		return 0;
	return lp_sink_print(&t->sink, " %s", lp_label_plain(plain, sizeof plain, word));
}

static int print_handshake(struct text *t, const struct lp_session_info *tls)
{
	char number[40];

	if (print_word(t, tls->sni) || print_word(t, tls->version_text))
		return -1;
	if (!tls->suite_text && tls->suite) {
		snprintf(number, sizeof number, "suite-0x%04x", (unsigned)tls->suite);
		if (print_word(t, number))
			return -1;
	}
	if (print_word(t, tls->suite_text) || print_word(t, tls->ems > 0 ? "EMS" : NULL) ||
	    print_word(t, tls->etm > 0 ? "EtM" : NULL) ||
	    print_word(t, tls->client_cert > 0 ? "client-cert" : NULL) ||
	    print_word(t, tls->resumed == LP_RESUMED_ID ? "resumed-id" : NULL) ||
	    print_word(t, tls->resumed == LP_RESUMED_TICKET ? "resumed-ticket" : NULL))
		return -1;
	if (tls->renegotiations) {
		snprintf(number, sizeof number, "renegotiated-%u", tls->renegotiations);
		return print_word(t, number);
	}
	return 0;
}

static int print_head(struct text *t, const char *label, uint64_t ts_ns,
		      const struct lp_flow_info *info)
{
	char time[LP_LABEL_TIME];
	char client[LP_LABEL_ENDPOINT], server[LP_LABEL_ENDPOINT];

	return lp_sink_print(&t->sink, "%s %s %s > %s", label, lp_label_time(time, ts_ns),
			     lp_label_endpoint(client, info, LP_C2S),
			     lp_label_endpoint(server, info, LP_S2C));
}

/* " WORD C>S 12 S>C 34"; a direction that has nothing is left out unless all is asked. */
static int print_both(struct text *t, const char *word, const uint64_t n[2], int all)
{
	if (!all && !n[LP_C2S] && !n[LP_S2C])
		return 0;
	if (print_word(t, word))
		return -1;
	for (enum lp_dir d = LP_C2S; d <= LP_S2C; d++)
		if ((all || n[d]) &&
		    lp_sink_print(&t->sink, " %s %llu", arrow(d), (unsigned long long)n[d]))
			return -1;
	return lp_sink_print(&t->sink, " bytes");
}

static int print_result(struct text *t, const struct lp_session_result *result)
{
	const struct lp_dir_totals *total = result->total;
	const uint64_t clear[2] = { total[0].clear, total[1].clear };
	const uint64_t lost[2] = { total[0].lost, total[1].lost };

	if (print_word(t, lp_label_verdict(result->verdict)) ||
	    print_both(t, NULL, clear, result->verdict != LP_OPAQUE) ||
	    print_both(t, "lost", lost, 0))
		return -1;
	if (result->verified &&
	    (lp_sink_print(&t->sink, " verified") || print_word(t, result->verified)))
		return -1;
	for (size_t i = 0; result->notes && result->notes[i]; i++)
		if (lp_sink_print(&t->sink, i ? "," : " note:") ||
		    print_word(t, result->notes[i]))
			return -1;
	return lp_sink_print(&t->sink, "\n");
}

/* " TEXT", with a full stop if it has none: details are written without. */
static int print_sentence(struct text *t, const char *text)
{
	size_t n = text ? strlen(text) : 0;

	if (!n)
		return 0;
	if (print_word(t, text))
		return -1;
	return strchr(".!?", text[n - 1]) ? 0 : lp_sink_print(&t->sink, ".");
}

/* The second line of a session that did not open whole. */
static int print_reason(struct text *t, const struct lp_session_result *result)
{
	char plain[LP_LABEL_TEXT];

	if (result->verdict == LP_DECRYPTED || !result->reason)
		return 0;
	lp_label_plain(plain, sizeof plain, result->reason);
	if (lp_sink_print(&t->sink, "        %s:", plain) ||
	    print_sentence(t, result->detail) || print_sentence(t, result->advice))
		return -1;
	return lp_sink_print(&t->sink, "\n");
}

static int text_session_end(void *self, void **flow, void **session,
			    const struct lp_flow_info *info, const struct lp_session_info *tls,
			    const struct lp_session_result *result, const struct lp_stamp *at)
{
	struct text *t = self;
	struct progress p = { .number = tls->number };
	char label[LP_LABEL_NUMBER];

	(void)flow;
	(void)at;
	lp_states_free(*session);
	*session = NULL;
	lp_tally_add(&t->tally, result);
	if (!t->lines)
		return 0;
	if (print_head(t, number_label(label, &p, 1), tls->start_ns, info) ||
	    print_handshake(t, tls) || print_result(t, result) || print_reason(t, result))
		return -1;
	return lp_sink_line(&t->sink);
}

static int text_flow_end(void *self, void **flow, const struct lp_flow_info *info,
			 const enum lp_end end[2], const struct lp_stamp *at)
{
	struct text *t = self;
	struct progress *p = *flow;
	char label[LP_LABEL_NUMBER];
	int status = 0;

	(void)end;
	(void)at;
	if (p && t->lines)
		status = print_head(t, number_label(label, p, 0), info->first_ns, info) ||
			 print_both(t, "clear", p->bytes, 1) ||
			 print_both(t, "lost", p->lost, 0) ||
			 lp_sink_print(&t->sink, "\n") || lp_sink_line(&t->sink);
	lp_states_free(p);
	*flow = NULL;
	return status ? -1 : 0;
}

static int text_tick(void *self, uint64_t now_ns)
{
	struct text *t = self;

	return lp_sink_tick(&t->sink, now_ns);
}

static int text_rotate(void *self)
{
	struct text *t = self;

	return lp_sink_reopen(&t->sink);
}

static int text_close(void *self, const struct lp_summary *summary)
{
	struct text *t = self;
	int status = 0;

	if (t->lines && summary)
		status = lp_tally_print(&t->tally, &t->sink, t->host, summary);
	if (lp_sink_close(&t->sink))
		status = -1;
	while (t->states.first)
		lp_states_free(t->states.first);
	free(t);
	return status;
}

const struct lp_plugin lp_plugin_text = {
	.abi = LP_PLUGIN_ABI,
	.size = sizeof(struct lp_plugin),
	.name = "text",
	.wants = LP_WANT_DATA | LP_WANT_CLEARTEXT,
	.open = text_open,
	.data = text_data,
	.gap = text_gap,
	.session_end = text_session_end,
	.flow_end = text_flow_end,
	.tick = text_tick,
	.rotate = text_rotate,
	.close = text_close,
};
