/* files: the clear bytes of each session in two files.
 *
 *     -o files:DIR[,prelude=on]
 *
 * DIR is made (0700) if missing and refused if it holds an index.jsonl. Session 7
 * goes to 000007_client.bin (what the client sent) and 000007_server.bin; flows
 * that are not TLS, under --cleartext, to flow-000001_client.bin and so on, counted
 * in the order of their first bytes. index.jsonl has a line for every session. With
 * prelude=on, clear bytes before TLS in the same flow (STARTTLS) come first.
 *
 * In a live capture a full disk stops nothing: bytes that cannot be written are
 * counted, stand in the index as gaps that lost no stream bytes, and it is tried
 * again every 5 s. */
#define _POSIX_C_SOURCE 200809L

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "plugins/plugins.h"
#include "plugins/session_files.h"
#include "plugins/session_json.h"
#include "plugins/sink.h"

enum {
	OPEN_MAX = 256,                     /* at a time, the index and the folder among them */
	PRELUDE_BUDGET = 64 * 1024 * 1024,  /* bytes of preludes held for all flows */
};

struct files {
	const struct lp_host *host;
	char *dir;
	int dirfd;
	int prelude;
	size_t budget;
	struct lp_filepool pool;
	struct lp_sink index;
	uint64_t clear_flows;
	int failed;                 /* something could not be written: the status of close */
	int stopped;                /* live, after a fault: until retry_ns, 0: not known yet */
	int outage;                 /* from the first fault to the first write that works */
	uint64_t retry_ns;
	uint64_t lost, told;        /* bytes that could not be written; what was said of them */
	struct lp_states flows, pairs;
};

/* Of a flow. */
struct flow {
	struct lp_state state;
	uint64_t number;                    /* under --cleartext, from 1; 0: no bytes yet */
	struct lp_session_files *clear;     /* its files under --cleartext */
	struct lp_session_files *prelude;   /* bytes for the next session */
};

static int say_then(const struct files *f, const char *what, const char *name, int error,
		    const char *then)
{
	char line[512];

	snprintf(line, sizeof line, "%s %s%s%s: %s%s", what, f->dir, name ? "/" : "",
		 name ? name : "", strerror(error), then);
	f->host->log(f->host, line);
	return -1;
}

static int say(const struct files *f, const char *what, const char *name, int error)
{
	return say_then(f, what, name, error, "");
}

static void say_lost(struct files *f, const char *what)
{
	char line[512];

	snprintf(line, sizeof line, "%s%s: %llu bytes were lost", f->dir, what,
		 (unsigned long long)(f->lost - f->told));
	f->host->log(f->host, line);
	f->told = f->lost;
}

/* The pool could not write: the end of a replay, a pause of a live capture. */
static int pool_fault(struct files *f)
{
	f->failed = 1;
	if (!f->host->live)
		return say_then(f, "cannot write", f->pool.name, errno, "; the replay stops here");
	if (!f->outage)
		say_then(f, "cannot write", f->pool.name, errno, "; tried again every 5 s");
	f->outage = 1;
	f->stopped = 1;
	f->retry_ns = 0;
	return 0;
}

static void pool_works(struct files *f)
{
	if (f->outage)
		say_lost(f, " can be written again");
	f->outage = 0;
}

static int out_of_memory(const struct files *f)
{
	f->host->log(f->host, "out of memory");
	return -1;
}

static int read_options(struct files *f, const struct lp_option *options, size_t n)
{
	char line[256];

	for (size_t i = 0; i < n; i++) {
		const char *value = options[i].value;

		if (!strcmp(options[i].key, "prelude") &&
		    (!strcmp(value, "on") || !strcmp(value, "off"))) {
			f->prelude = !strcmp(value, "on");
			continue;
		}
		snprintf(line, sizeof line, "unknown option %.100s=%.100s (files has prelude=on|off)",
			 options[i].key, value);
		f->host->log(f->host, line);
		return -1;
	}
	return 0;
}

static int open_directory(struct files *f)
{
	int fd;

	if (mkdirat(f->host->dirfd, f->dir, 0700) && errno != EEXIST)
		return say(f, "cannot make the directory", NULL, errno);
	f->dirfd = openat(f->host->dirfd, f->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (f->dirfd < 0)
		return say(f, "cannot use the directory", NULL, errno);
	lp_filepool_init(&f->pool, f->dirfd, OPEN_MAX - 2);
	fd = openat(f->dirfd, "index.jsonl",
		    O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_APPEND | O_CLOEXEC, 0600);
	if (fd < 0 && errno == EEXIST) {
		char line[512];

		snprintf(line, sizeof line, "%s holds an index.jsonl of an earlier run: "
			 "name another directory or move it away", f->dir);
		f->host->log(f->host, line);
		return -1;
	}
	if (fd < 0)
		return say(f, "cannot write", "index.jsonl", errno);
	return lp_sink_take_at(&f->index, f->host, fd, f->dirfd, "index.jsonl", "line");
}

static int files_open(void **self, const struct lp_host *host, const char *arg,
		      const struct lp_option *options, size_t options_n)
{
	struct files *f;

	if (!arg || !*arg) {
		host->log(host, "needs a directory: files:DIR");
		return -1;
	}
	f = calloc(1, sizeof *f);
	if (!f || !(f->dir = strdup(arg))) {
		free(f);
		host->log(host, "out of memory");
		return -1;
	}
	f->host = host;
	f->dirfd = -1;
	f->budget = PRELUDE_BUDGET;
	if (read_options(f, options, options_n) || open_directory(f)) {
		if (f->dirfd >= 0)
			close(f->dirfd);
		free(f->dir);
		free(f);
		return -1;
	}
	if (!f->prelude)
		host->withdraw(host, LP_WANT_PRELUDE);
	*self = f;
	return 0;
}

static struct flow *flow_of(struct files *f, void **slot)
{
	if (!*slot)
		*slot = lp_states_new(&f->flows, sizeof(struct flow));
	return *slot;
}

static struct lp_session_files *files_of(struct files *f, struct lp_session_files **slot)
{
	if (!*slot)
		*slot = lp_session_files_new(&f->pairs);
	return *slot;
}

static int make_pair(struct files *f, struct lp_session_files *s, const char *format,
		     uint64_t number)
{
	char stem[32];

	snprintf(stem, sizeof stem, "%s%06llu", format, (unsigned long long)number);
	if (f->stopped)
		return 0;
	if (lp_session_files_make(s, &f->pool, stem)) {
		if (f->host->live && (s->file[LP_C2S].gone || s->file[LP_S2C].gone))
			return 0;
		return pool_fault(f);
	}
	lp_session_files_forget(s, &f->budget);
	return 0;
}

/* Bytes for which there was no room. */
static int drop(struct files *f, struct lp_session_files *s, enum lp_dir dir, uint64_t n)
{
	const struct lp_gap_info gap = { sizeof gap, 0, 0, n, n };

	f->lost += n;
	return lp_session_files_gap(s, dir, &gap) ? out_of_memory(f) : 0;
}

/* Another file stands where this one was: no fault of the disk. */
static int append_nowhere(struct files *f, struct lp_session_files *s, enum lp_dir dir, size_t n)
{
	struct lp_pool_file *file = &s->file[dir];

	if (file->gone == 1)
		say(f, "another file has the name of", file->name, EEXIST);
	file->gone = 2; /* said */
	f->failed = 1;
	return drop(f, s, dir, n);
}

static int append(struct files *f, struct lp_session_files *s, enum lp_dir dir,
		  const uint8_t *bytes, size_t n)
{
	struct lp_pool_file *file = &s->file[dir];
	const uint64_t before = file->bytes;

	if (file->gone && f->host->live)
		return append_nowhere(f, s, dir, n);
	if (!f->stopped && file->made) {
		if (!lp_filepool_append(&f->pool, file, bytes, n)) {
			pool_works(f);
			return 0;
		}
		if (file->gone && f->host->live)
			return append_nowhere(f, s, dir, n);
		if (pool_fault(f))
			return -1;
	}
	return drop(f, s, dir, n - (file->bytes - before));
}

/* The files of a flow that is not TLS, made when it shows its first bytes. */
static struct lp_session_files *clear_files(struct files *f, struct flow *flow)
{
	if (flow->clear && flow->clear->file[LP_S2C].made)
		return flow->clear;
	if (!flow->number)
		flow->number = ++f->clear_flows;
	if (!files_of(f, &flow->clear)) {
		out_of_memory(f);
		return NULL;
	}
	return make_pair(f, flow->clear, "flow-", flow->number) ? NULL : flow->clear;
}

static int clear_data(struct files *f, void **slot, enum lp_dir dir, const uint8_t *bytes,
		      size_t n)
{
	struct lp_session_files *s;
	struct flow *flow;

	if (!f->host->cleartext && !f->prelude)
		return 0;
	flow = flow_of(f, slot);
	if (!flow)
		return out_of_memory(f);
	if (f->host->cleartext) {
		s = clear_files(f, flow);
		if (!s)
			return -1;
		if (append(f, s, dir, bytes, n))
			return -1;
	}
	if (f->prelude && (!files_of(f, &flow->prelude) ||
			   lp_session_files_keep(flow->prelude, dir, bytes, n, &f->budget)))
		return out_of_memory(f);
	return 0;
}

static int files_session_begin(void *self, void **flow_slot, void **session,
			       const struct lp_flow_info *info,
			       const struct lp_session_info *tls, const struct lp_stamp *at)
{
	struct flow *flow = *flow_slot;

	(void)self;
	(void)info;
	(void)tls;
	(void)at;
	if (flow && flow->prelude) {
		*session = flow->prelude;
		flow->prelude = NULL;
	}
	return 0;
}

static struct lp_session_files *session_files(struct files *f, void **slot)
{
	if (!*slot)
		*slot = lp_session_files_new(&f->pairs);
	return *slot;
}

static int files_data(void *self, void **flow, void **session, const struct lp_flow_info *info,
		      const struct lp_session_info *tls, enum lp_dir dir,
		      enum lp_data_kind kind, const uint8_t *bytes, size_t n,
		      const struct lp_stamp *at)
{
	struct files *f = self;
	struct lp_session_files *s;

	(void)info;
	(void)at;
	if (!tls || kind == LP_DATA_CLEAR)
		return clear_data(f, flow, dir, bytes, n);
	s = session_files(f, session);
	if (!s)
		return out_of_memory(f);
	if (!s->file[LP_S2C].made && make_pair(f, s, "", tls->number))
		return -1;
	return append(f, s, dir, bytes, n);
}

static int clear_gap(struct files *f, void **slot, enum lp_dir dir,
		     const struct lp_gap_info *gap)
{
	struct lp_session_files *s;
	struct flow *flow;

	if (!f->host->cleartext && !f->prelude)
		return 0;
	flow = flow_of(f, slot);
	if (!flow)
		return out_of_memory(f);
	if (f->host->cleartext) {
		s = clear_files(f, flow);
		if (!s)
			return -1;
		if (lp_session_files_gap(s, dir, gap))
			return out_of_memory(f);
	}
	if (f->prelude && (!files_of(f, &flow->prelude) ||
			   lp_session_files_gap(flow->prelude, dir, gap)))
		return out_of_memory(f);
	return 0;
}

static int files_gap(void *self, void **flow, void **session, const struct lp_flow_info *info,
		     const struct lp_session_info *tls, enum lp_dir dir,
		     const struct lp_gap_info *gap, const struct lp_stamp *at)
{
	struct files *f = self;
	struct lp_session_files *s;

	(void)info;
	(void)at;
	if (!tls)
		return clear_gap(f, flow, dir, gap);
	s = session_files(f, session);
	return s && !lp_session_files_gap(s, dir, gap) ? 0 : out_of_memory(f);
}

/* Adds the files to the object and writes it; takes it over. */
static int write_index(struct files *f, json_t *object, const struct lp_session_files *s)
{
	char *line;
	int bad = 0;

	if (!object)
		return out_of_memory(f);
	lp_session_files_json(s, object, &bad);
	line = bad ? NULL : json_dumps(object, JSON_COMPACT);
	json_decref(object);
	if (!line)
		return out_of_memory(f);
	bad = lp_sink_write(&f->index, line, strlen(line)) ||
	      lp_sink_write(&f->index, "\n", 1) || lp_sink_end(&f->index) ||
	      lp_sink_flush(&f->index);
	free(line);
	return bad ? -1 : 0;
}

static int release(struct files *f, struct lp_session_files *s)
{
	if (!s)
		return 0;
	lp_session_files_forget(s, &f->budget);
	return lp_session_files_free(s, &f->pool) ? pool_fault(f) : 0;
}

static int files_session_end(void *self, void **flow, void **session,
			     const struct lp_flow_info *info, const struct lp_session_info *tls,
			     const struct lp_session_result *result, const struct lp_stamp *at)
{
	struct files *f = self;
	struct lp_session_files *s = *session;
	int status = 0;

	(void)flow;
	(void)at;
	*session = NULL;
	/* Records that were opened and held nothing are a reason for files too. */
	if (result->total[LP_C2S].records || result->total[LP_S2C].records) {
		void *slot = s;

		s = session_files(f, &slot);
		if (!s)
			return out_of_memory(f);
		if (!s->file[LP_S2C].made)
			status = make_pair(f, s, "", tls->number);
	}
	if (!status)
		status = write_index(f, lp_session_json(info, tls, result), s);
	return release(f, s) ? -1 : status;
}

static int files_flow_end(void *self, void **slot, const struct lp_flow_info *info,
			  const enum lp_end end[2], const struct lp_stamp *at)
{
	struct files *f = self;
	struct flow *flow = *slot;
	int status = 0;

	(void)at;
	*slot = NULL;
	if (!flow)
		return 0;
	if (flow->clear) {
		uint64_t bytes[2] = { flow->clear->file[LP_C2S].bytes,
				      flow->clear->file[LP_S2C].bytes };

		status = write_index(f, lp_session_json_flow(info, end, bytes, flow->clear->lost),
				     flow->clear);
	}
	if (release(f, flow->clear))
		status = -1;
	if (release(f, flow->prelude))
		status = -1;
	lp_states_free(flow);
	return status;
}

static int files_tick(void *self, uint64_t now_ns)
{
	struct files *f = self;

	if (f->stopped && !f->retry_ns)
		f->retry_ns = now_ns + LP_SINK_RETRY_NS;
	else if (f->stopped && now_ns >= f->retry_ns)
		f->stopped = 0; /* the next bytes will show */
	return lp_sink_tick(&f->index, now_ns);
}

static int files_close(void *self, const struct lp_summary *summary)
{
	struct files *f = self;
	int status;

	(void)summary;
	while (f->pairs.first)
		if (lp_session_files_free((struct lp_session_files *)f->pairs.first, &f->pool)) {
			say(f, "cannot write", f->pool.name, errno);
			f->failed = 1;
		}
	if (f->lost > f->told)
		say_lost(f, "");
	while (f->flows.first)
		lp_states_free(f->flows.first);
	lp_filepool_clear(&f->pool);
	status = lp_sink_close(&f->index) || f->failed ? -1 : 0;
	close(f->dirfd);
	free(f->dir);
	free(f);
	return status;
}

const struct lp_plugin lp_plugin_files = {
	.abi = LP_PLUGIN_ABI,
	.size = sizeof(struct lp_plugin),
	.name = "files",
	.wants = LP_WANT_DATA | LP_WANT_PRELUDE | LP_WANT_CLEARTEXT,
	.open = files_open,
	.session_begin = files_session_begin,
	.data = files_data,
	.gap = files_gap,
	.session_end = files_session_end,
	.flow_end = files_flow_end,
	.tick = files_tick,
	.close = files_close,
};
