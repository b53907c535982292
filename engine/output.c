#define _GNU_SOURCE
#include "output.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <limpid/limpid.h>

#include "base/log.h"
#include "plugins/plugins.h"

enum { OPTIONS_MAX = 32 };

struct output {
	struct lp_host host; /* first, so that log() finds its output */
	const struct lp_plugin *plugin;
	struct lp_plugin loaded; /* of a shared object, as far as it goes */
	void *self;
	void *dl;            /* of a shared object */
	char *spec;          /* cut in place; arg and options point into it */
	const char *arg;
	struct lp_option options[OPTIONS_MAX];
	size_t options_n;
	uint32_t wants;      /* of the plugin's, what open() did not withdraw */
	bool open;
	bool failed;
	bool said;           /* it has logged a line */
};

struct lp_outputs {
	struct lp_outputs_config config;
	struct output *list[LP_OUTPUTS_MAX];
	size_t n;
	atomic_uint_fast64_t sessions;
	int dirfd;
	atomic_bool failed;  /* another thread may ask */
};

enum lp_err lp_outputs_new(struct lp_outputs **out, const struct lp_outputs_config *config)
{
	struct lp_outputs *o = calloc(1, sizeof *o);

	*out = o;
	if (!o)
		return LP_E_NOMEM;
	o->config = *config;
	o->dirfd = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (o->dirfd < 0)
		o->dirfd = AT_FDCWD;
	return LP_OK;
}

static void host_log(const struct lp_host *host, const char *line)
{
	struct output *out = (struct output *)(uintptr_t)host;

	lp_log("%s: %s", out->plugin->name, line);
	out->said = true;
}

static void host_withdraw(const struct lp_host *host, uint32_t wants)
{
	struct output *out = (struct output *)(uintptr_t)host;

	if (!out->open)
		out->wants &= ~wants;
}

/* The comma before the next "key=", or NULL: a file name may hold other commas. */
static char *next_option(char *s)
{
	for (s = strchr(s, ','); s; s = strchr(s + 1, ',')) {
		size_t n = strspn(s + 1, "abcdefghijklmnopqrstuvwxyz0123456789_-");

		if (n && s[1 + n] == '=')
			return s;
	}
	return NULL;
}

/* "NAME[:ARG][,key=value…]" cut in place. */
static enum lp_err cut_spec(struct output *out, char **name)
{
	char *next = next_option(out->spec);
	char *colon;

	*name = out->spec;
	colon = strchr(out->spec, ':');
	if (colon && (!next || colon < next)) {
		*colon = '\0';
		out->arg = colon + 1;
	}
	while (next) {
		char *key = next + 1;
		char *value = strchr(key, '=');

		*next = '\0';
		*value++ = '\0';
		next = next_option(value);
		if (out->options_n == OPTIONS_MAX)
			return LP_E_LIMIT;
		out->options[out->options_n++] = (struct lp_option){ key, value };
	}
	return LP_OK;
}

/* struct lp_plugin as it was when ABI 1 began. */
static const size_t SIZE_ABI_1 = offsetof(struct lp_plugin, close) + sizeof(int (*)(void));

static enum lp_err load(struct output *out, const char *name, char *why)
{
	const struct lp_plugin *entry;

	if (!strchr(name, '/')) {
		out->plugin = lp_plugin_builtin(name);
		if (!out->plugin) {
			snprintf(why, LP_WHY, "no output is called '%.100s' (a plugin of your own is "
				 "named by its path, as in ./%.100s.so)", name, name);
			return LP_E_NOENT;
		}
		return LP_OK;
	}
	out->dl = dlopen(name, RTLD_NOW | RTLD_LOCAL);
	if (!out->dl) {
		snprintf(why, LP_WHY, "%.400s", dlerror());
		return LP_E_NOENT;
	}
	entry = dlsym(out->dl, "lp_plugin_entry");
	if (!entry) {
		snprintf(why, LP_WHY, "%.300s: not a limpid plugin (no lp_plugin_entry)", name);
		return LP_E_FORMAT;
	}
	if (entry->abi != LP_PLUGIN_ABI) {
		snprintf(why, LP_WHY, "%.300s: made for plugin ABI %u, this limpid has %u", name,
			 entry->abi, LP_PLUGIN_ABI);
		return LP_E_UNSUPPORTED;
	}
	if (entry->size < SIZE_ABI_1 || !entry->name) {
		snprintf(why, LP_WHY, "%.300s: its lp_plugin_entry is not filled in", name);
		return LP_E_FORMAT;
	}
	/* Made with an older header it ends earlier, with a newer one later than ours. */
	memcpy(&out->loaded, entry,
	       entry->size < sizeof out->loaded ? entry->size : sizeof out->loaded);
	out->plugin = &out->loaded;
	return LP_OK;
}

static void output_free(struct output *out)
{
	if (out->dl)
		(void)dlclose(out->dl);
	free(out->spec);
	free(out);
}

enum lp_err lp_outputs_add(struct lp_outputs *o, const char *spec, char *why)
{
	struct output *out;
	char *name;
	enum lp_err err;

	if (o->n == LP_OUTPUTS_MAX - 1) { /* one place is kept for the session lines */
		snprintf(why, LP_WHY, "at most %d outputs", LP_OUTPUTS_MAX - 1);
		return LP_E_LIMIT;
	}
	out = calloc(1, sizeof *out);
	if (!out)
		return LP_E_NOMEM;
	out->spec = strdup(spec);
	if (!out->spec) {
		free(out);
		return LP_E_NOMEM;
	}
	err = cut_spec(out, &name);
	if (err)
		snprintf(why, LP_WHY, "%.200s: more than %d options", spec, OPTIONS_MAX);
	else
		err = load(out, name, why);
	if (err) {
		output_free(out);
		return err;
	}
	o->list[o->n++] = out;
	return LP_OK;
}

static bool has_text(const struct lp_outputs *o)
{
	for (size_t i = 0; i < o->n; i++)
		if (o->list[i]->plugin == &lp_plugin_text)
			return true;
	return false;
}

/* How many write to standard output, beside the session lines. */
static unsigned on_stdout(const struct lp_outputs *o)
{
	unsigned n = 0;

	for (size_t i = 0; i < o->n; i++)
		n += o->list[i]->arg && !strcmp(o->list[i]->arg, "-");
	return n;
}

enum lp_err lp_outputs_open(struct lp_outputs *o, char *why)
{
	unsigned taken = on_stdout(o);
	enum lp_err err;

	if (taken > 1) {
		snprintf(why, LP_WHY, "only one output can write to standard output");
		return LP_E_ARG;
	}
	if (!has_text(o)) {
		err = lp_outputs_add(o, "text", why);
		if (err)
			return err;
	}
	for (size_t i = 0; i < o->n; i++) {
		struct output *out = o->list[i];

		out->host = (struct lp_host){
			.size = sizeof out->host,
			.log = host_log,
			.live = o->config.live,
			.quiet = o->config.quiet,
			.stdout_taken = taken > 0,
			.print_data = o->config.print_data,
			.cleartext = o->config.cleartext,
			.dirfd = o->dirfd,
			.meaning = o->config.meaning,
			.advice = o->config.advice,
			.withdraw = host_withdraw,
		};
		out->wants = out->plugin->wants;
		if (out->plugin->open && out->plugin->open(&out->self, &out->host, out->arg,
							   out->options, out->options_n)) {
			why[0] = '\0'; /* it has said so itself */
			if (!out->said)
				snprintf(why, LP_WHY, "%.100s: could not be opened",
					 out->plugin->name);
			return LP_E_ARG;
		}
		out->said = false;
		out->open = true;
	}
	return LP_OK;
}

unsigned lp_outputs_wants(const struct lp_outputs *o)
{
	unsigned wants = 0;

	for (size_t i = 0; i < o->n; i++)
		wants |= o->list[i]->wants;
	return wants;
}

static void stop_output(struct lp_outputs *o, struct output *out)
{
	out->failed = true;
	o->failed = true;
	if (!out->said)
		lp_log("%s: failed%s", out->plugin->name,
		       o->config.live ? " and is stopped" : "; the replay stops here");
}

/* A callback of every output that runs and has it. */
#define EACH(o, i, member, ...)                                                           \
	do {                                                                              \
		for (size_t i = 0; i < (o)->n; i++) {                                     \
			struct output *out_ = (o)->list[i];                               \
			if (!out_->open || out_->failed || !out_->plugin->member)         \
				continue;                                                 \
			if (out_->plugin->member(out_->self, __VA_ARGS__))                \
				stop_output(o, out_);                                     \
		}                                                                         \
	} while (0)

static void take_facts(struct lp_out_session *s, struct lp_snapshot *facts)
{
	const uint64_t number = s->view.info.number;

	lp_snapshot_view(facts, &s->view);
	s->view.info.number = number;
	lp_snapshot_unref(s->facts);
	s->facts = facts;
}

/* What an output must want to be told clear bytes and the gaps in them. */
static unsigned clear_wanted(const struct lp_outputs *o)
{
	return o->config.cleartext ? LP_WANT_CLEARTEXT | LP_WANT_PRELUDE : LP_WANT_PRELUDE;
}

static void deliver_data(struct lp_outputs *o, const struct lp_event *e,
			 const struct lp_stamp *at)
{
	struct lp_out_flow *f = e->flow;
	struct lp_out_session *s = f->session;
	unsigned want = e->data == LP_DATA_DECRYPTED ? LP_WANT_DATA : clear_wanted(o);
	void *none = NULL;

	for (size_t i = 0; i < o->n; i++) {
		struct output *out = o->list[i];

		if (!out->open || out->failed || !out->plugin->data || !(out->wants & want))
			continue;
		if (out->plugin->data(out->self, &f->plugin[i], s ? &s->plugin[i] : &none, &f->info,
				      s ? &s->view.info : NULL, e->dir, e->data, e->bytes, e->n, at))
			stop_output(o, out);
	}
}

static void deliver_gap(struct lp_outputs *o, const struct lp_event *e,
			const struct lp_stamp *at)
{
	struct lp_out_flow *f = e->flow;
	struct lp_out_session *s = f->session;
	void *none = NULL; /* the session pointer of what is in no session */

	for (size_t i = 0; i < o->n; i++) {
		struct output *out = o->list[i];

		if (!out->open || out->failed || !out->plugin->gap ||
		    (!s && !(out->wants & clear_wanted(o))))
			continue;
		if (out->plugin->gap(out->self, &f->plugin[i], s ? &s->plugin[i] : &none, &f->info,
				     s ? &s->view.info : NULL, e->dir, &e->gap, at))
			stop_output(o, out);
	}
}

static void begin_session(struct lp_outputs *o, struct lp_event *e)
{
	struct lp_out_session *s = e->flow->session;

	s->view.info.number = ++o->sessions;
	take_facts(s, e->facts);
}

static void end_session(struct lp_out_flow *f)
{
	lp_snapshot_unref(f->session->facts);
	free(f->session);
	f->session = NULL;
}

void lp_outputs_event(void *outputs, struct lp_event *e)
{
	struct lp_outputs *o = outputs;
	struct lp_out_flow *f = e->flow;
	struct lp_out_session *s = f ? f->session : NULL;
	const struct lp_stamp at = {
		.packet = e->when.number,
		.index = e->when.index,
		.ts_ns = e->when.released_ns,
		.carried_ns = e->when.carried_ns,
	};

	switch (e->kind) {
	case LP_EVENT_FLOW_BEGIN:
		EACH(o, i, flow_begin, &f->plugin[i], &f->info, &at);
		break;
	case LP_EVENT_SESSION_BEGIN:
		s = f->session = e->session;
		begin_session(o, e);
		EACH(o, i, session_begin, &f->plugin[i], &s->plugin[i], &f->info, &s->view.info, &at);
		break;
	case LP_EVENT_SESSION_READY:
		take_facts(s, e->facts);
		EACH(o, i, session_ready, &f->plugin[i], &s->plugin[i], &f->info, &s->view.info, &at);
		break;
	case LP_EVENT_DATA:
		if (e->n)
			deliver_data(o, e, &at);
		break;
	case LP_EVENT_GAP:
		deliver_gap(o, e, &at);
		break;
	case LP_EVENT_SESSION_END:
		take_facts(s, e->facts);
		EACH(o, i, session_end, &f->plugin[i], &s->plugin[i], &f->info, &s->view.info,
		     &e->result->pub, &at);
		end_session(f);
		free(e->result);
		break;
	case LP_EVENT_FLOW_END:
		EACH(o, i, flow_end, &f->plugin[i], &f->info, e->end, &at);
		free(f);
		break;
	case LP_EVENT_TICK:
		lp_outputs_tick(o, e->when.released_ns);
		break;
	case LP_EVENT_ROTATE:
		lp_outputs_rotate(o);
		break;
	}
}

void lp_outputs_forget(struct lp_out_flow *f)
{
	if (!f)
		return;
	if (f->session)
		end_session(f);
	free(f);
}

void lp_outputs_tick(struct lp_outputs *o, uint64_t now_ns)
{
	EACH(o, i, tick, now_ns);
}

void lp_outputs_rotate(struct lp_outputs *o)
{
	for (size_t i = 0; i < o->n; i++) {
		struct output *out = o->list[i];

		if (out->open && !out->failed && out->plugin->rotate &&
		    out->plugin->rotate(out->self))
			stop_output(o, out);
	}
}

bool lp_outputs_failed(const struct lp_outputs *o)
{
	return o->failed;
}

uint64_t lp_outputs_sessions(const struct lp_outputs *o)
{
	return o->sessions;
}

bool lp_outputs_close(struct lp_outputs *o, const struct lp_summary *summary)
{
	for (size_t i = 0; i < o->n; i++) {
		struct output *out = o->list[i];

		if (out->open && out->plugin->close &&
		    out->plugin->close(out->self, summary) && !out->failed) {
			if (!out->said)
				lp_log("%s: not everything could be written", out->plugin->name);
			out->failed = true;
			o->failed = true;
		}
		out->open = false;
	}
	return !o->failed;
}

void lp_outputs_free(struct lp_outputs *o)
{
	if (!o)
		return;
	(void)lp_outputs_close(o, NULL);
	for (size_t i = 0; i < o->n; i++)
		output_free(o->list[i]);
	if (o->dirfd >= 0)
		(void)close(o->dirfd);
	free(o);
}
