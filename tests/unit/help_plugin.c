#define _GNU_SOURCE
#include "help_plugin.h"

#include <arpa/inet.h>
#include <check.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

/* 2026-11-21 18:24:47.123456789 UTC */
#define HELP_START 1795285487123456789ULL

static void keep_line(const struct lp_host *host, const char *line)
{
	struct help_plugin *h = (struct help_plugin *)(uintptr_t)host;
	size_t at = strlen(h->log);

	snprintf(h->log + at, sizeof h->log - at, "%s\n", line);
}

static void withdraw(const struct lp_host *host, uint32_t wants)
{
	((struct help_plugin *)(uintptr_t)host)->withdrawn |= wants;
}

void help_plugin_init(struct help_plugin *h, const struct lp_plugin *plugin)
{
	memset(h, 0, sizeof *h);
	snprintf(h->dir, sizeof h->dir, "/tmp/limpid-plugin-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(h->dir));
	h->plugin = plugin;
	h->host.size = sizeof h->host;
	h->host.log = keep_line;
	h->host.withdraw = withdraw;
	h->host.dirfd = open(h->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	ck_assert_int_ge(h->host.dirfd, 0);
	h->at = (struct lp_stamp){ 1, 0, HELP_START, HELP_START };
}

int help_plugin_open(struct help_plugin *h, const char *arg, const char *options)
{
	struct lp_option list[8];
	size_t n = 0;
	char *copy = options ? strdup(options) : NULL;
	char *save = NULL;
	int status;

	for (char *o = copy ? strtok_r(copy, ",", &save) : NULL; o && n < 8;
	     o = strtok_r(NULL, ",", &save)) {
		char *equal = strchr(o, '=');

		if (equal)
			*equal = '\0';
		list[n++] = (struct lp_option){ o, equal ? equal + 1 : "" };
	}
	h->self = NULL;
	status = h->plugin->open(&h->self, &h->host, arg, list, n);
	free(copy);
	return status;
}

int help_plugin_close(struct help_plugin *h, const struct lp_summary *summary)
{
	int status = h->plugin->close(h->self, summary);

	h->self = NULL;
	return status;
}

void help_plugin_clear(struct help_plugin *h)
{
	char command[128];

	if (h->self)
		(void)help_plugin_close(h, NULL);
	close(h->host.dirfd);
	snprintf(command, sizeof command, "rm -rf %s", h->dir);
	ck_assert_int_eq(system(command), 0);
}

void help_plugin_path(const struct help_plugin *h, char out[160], const char *name)
{
	snprintf(out, 160, "%s/%s", h->dir, name);
}

static char *read_all(FILE *f, size_t *n)
{
	char *text = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&text, &size);
	int c;

	while ((c = getc(f)) != EOF)
		putc(c, out);
	fclose(out);
	if (n)
		*n = size;
	return text;
}

char *help_plugin_read(const struct help_plugin *h, const char *name, size_t *n)
{
	char path[160];
	FILE *f;
	char *text;

	help_plugin_path(h, path, name);
	f = fopen(path, "rb");
	if (!f)
		return NULL;
	text = read_all(f, n);
	fclose(f);
	return text;
}

char *help_plugin_run(const struct help_plugin *h, const char *command, int *status)
{
	char full[1024];
	FILE *f;
	char *text;
	int s;

	snprintf(full, sizeof full, command, h->dir, h->dir);
	f = popen(full, "r");
	ck_assert_ptr_nonnull(f);
	text = read_all(f, NULL);
	s = pclose(f);
	if (status)
		*status = WIFEXITED(s) ? WEXITSTATUS(s) : -1;
	return text;
}

/* The limit holds during callbacks only: the test library writes files of its own. */
static void disk(const struct help_plugin *h, int limited)
{
	struct rlimit l;

	if (!h->full_at)
		return;
	getrlimit(RLIMIT_FSIZE, &l);
	l.rlim_cur = limited ? h->full_at : RLIM_INFINITY;
	ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &l), 0);
}

/* A callback, 0 if there is none. */
#define CALL(h, member, ...)                                                     \
	(disk(h, 1),                                                             \
	 (h)->status = (h)->plugin->member                                       \
			? (h)->plugin->member((h)->self, __VA_ARGS__) : 0,       \
	 disk(h, 0), (h)->status)

int help_plugin_tick(struct help_plugin *h, uint64_t now_ns)
{
	return CALL(h, tick, now_ns);
}

/* A moment passes between two calls. */
static const struct lp_stamp *step(struct help_plugin *h)
{
	h->at.packet++;
	h->at.ts_ns += 1000000;
	h->at.carried_ns += 1000000;
	return &h->at;
}

int help_flow_begin(struct help_flow *f, struct help_plugin *h, int family, unsigned n)
{
	struct lp_flow_info *i = &f->info;
	int af = family == 6 ? AF_INET6 : AF_INET;

	memset(f, 0, sizeof *f);
	f->h = h;
	snprintf(f->client, sizeof f->client, family == 6 ? "2001:db8::1" : "192.0.2.1");
	snprintf(f->server, sizeof f->server, family == 6 ? "2001:db8::2" : "192.0.2.2");
	i->size = sizeof *i;
	i->flow_id = 1000000000000 + n;
	i->family = family;
	ck_assert_int_eq(inet_pton(af, f->client, i->client_addr), 1);
	ck_assert_int_eq(inet_pton(af, f->server, i->server_addr), 1);
	i->client_port = (uint16_t)(40000 + n);
	i->server_port = 443;
	i->first_packet = h->at.packet;
	i->first_ns = h->at.ts_ns;
	i->client_text = f->client;
	i->server_text = f->server;
	snprintf(i->community_id, sizeof i->community_id, "1:community%u", n);
	return CALL(h, flow_begin, &f->slot, i, &h->at);
}

int help_flow_clear(struct help_flow *f, enum lp_dir dir, const void *p, size_t n)
{
	struct help_plugin *h = f->h;

	return CALL(h, data, &f->slot, NULL, &f->info, NULL, dir,
						 LP_DATA_CLEAR, p, n, step(h));
}

int help_flow_gap(struct help_flow *f, enum lp_dir dir, uint64_t n)
{
	struct help_plugin *h = f->h;
	struct lp_gap_info gap = { sizeof gap, n, 0, n, n };

	return CALL(h, gap, &f->slot, NULL, &f->info, NULL, dir,
					       &gap, step(h));
}

int help_flow_end(struct help_flow *f, enum lp_end client, enum lp_end server)
{
	const enum lp_end end[2] = { client, server };
	struct help_plugin *h = f->h;

	return CALL(h, flow_end, &f->slot, &f->info, end, step(h));
}

int help_session_begin(struct help_session *s, struct help_flow *f)
{
	struct help_plugin *h = f->h;

	memset(s, 0, sizeof *s);
	s->flow = f;
	s->tls.size = sizeof s->tls;
	s->tls.number = ++h->sessions;
	s->tls.start_ns = h->at.ts_ns;
	s->tls.version = 0x0303;
	s->tls.version_text = "TLS 1.2";
	s->tls.suite = 0x0035;
	s->tls.suite_text = "TLS_RSA_WITH_AES_256_CBC_SHA";
	s->tls.sni = "www.example.org";
	s->tls.ems = 1;
	s->tls.etm = 0;
	s->tls.resumed = LP_RESUMED_NO;
	s->tls.client_cert = 0;
	s->result.size = sizeof s->result;
	return CALL(h, session_begin, &f->slot, &s->slot, &f->info, &s->tls, step(h));
}

int help_session_ready(struct help_session *s)
{
	struct help_plugin *h = s->flow->h;

	s->tls.epoch++;
	return CALL(h, session_ready, &s->flow->slot, &s->slot, &s->flow->info,
					   &s->tls, step(h));
}

int help_session_data(struct help_session *s, enum lp_dir dir, const void *p, size_t n)
{
	struct help_plugin *h = s->flow->h;

	s->result.total[dir].clear += n;
	s->result.total[dir].records++;
	s->result.total[dir].opened += n + 24;
	s->result.total[dir].stream += n + 24;
	return CALL(h, data, &s->flow->slot, &s->slot, &s->flow->info, &s->tls, dir,
				  LP_DATA_DECRYPTED, p, n, step(h));
}

int help_session_text(struct help_session *s, enum lp_dir dir, const char *text)
{
	return help_session_data(s, dir, text, strlen(text));
}

int help_session_gap(struct help_session *s, enum lp_dir dir, uint64_t stream,
		     uint64_t clear_min, uint64_t clear_max)
{
	struct help_plugin *h = s->flow->h;
	struct lp_gap_info gap = { sizeof gap, stream, 0, clear_min, clear_max };

	s->result.total[dir].lost += stream;
	s->result.total[dir].stream += stream;
	return CALL(h, gap, &s->flow->slot, &s->slot, &s->flow->info, &s->tls, dir,
				 &gap, step(h));
}

int help_session_end(struct help_session *s, enum lp_verdict verdict, const char *reason)
{
	struct help_plugin *h = s->flow->h;

	s->result.verdict = verdict;
	s->result.reason = reason ? reason : "complete";
	if (!s->result.end[LP_C2S])
		s->result.end[LP_C2S] = LP_END_CLOSE_NOTIFY;
	if (!s->result.end[LP_S2C])
		s->result.end[LP_S2C] = LP_END_FIN;
	return CALL(h, session_end, &s->flow->slot, &s->slot, &s->flow->info, &s->tls,
					 &s->result, step(h));
}
