/* Drives one output through scripted flows and sessions, as the engine would, in a
 * directory of its own that help_plugin_clear() removes. */
#ifndef HELP_PLUGIN_H
#define HELP_PLUGIN_H

#include <limpid/plugin.h>
#include <stddef.h>

struct help_plugin {
	struct lp_host host;     /* first: the log callback finds its owner by it */
	const struct lp_plugin *plugin;
	void *self;
	char log[4096];          /* lines that the output wrote, each ends in \n */
	uint32_t withdrawn;      /* wishes that open() withdrew */
	char dir[64];            /* host.dirfd is open on it */
	uint64_t sessions;
	struct lp_stamp at;      /* of the next call; each call moves it 1 ms on */
	int status;              /* of the last call */
	uint64_t full_at;        /* a full disk: the size no file grows above; 0: none */
};

struct help_flow {
	struct help_plugin *h;
	struct lp_flow_info info;
	void *slot;
	char client[64], server[64];
};

struct help_session {
	struct help_flow *flow;
	struct lp_session_info tls;
	struct lp_session_result result;
	void *slot;
};

void help_plugin_init(struct help_plugin *h, const struct lp_plugin *plugin);
/* options: "key=value,key=value" or NULL. What the plugin's open() gave. */
int help_plugin_open(struct help_plugin *h, const char *arg, const char *options);
int help_plugin_tick(struct help_plugin *h, uint64_t now_ns);
int help_plugin_close(struct help_plugin *h, const struct lp_summary *summary);
void help_plugin_clear(struct help_plugin *h);

/* A file below h->dir, NUL-terminated, to be freed; NULL if there is none. */
char *help_plugin_read(const struct help_plugin *h, const char *name, size_t *n);
void help_plugin_path(const struct help_plugin *h, char out[160], const char *name);
/* Runs a shell command with "%s" replaced by h->dir; its output, to be freed. */
char *help_plugin_run(const struct help_plugin *h, const char *command, int *status);

/* Flow number n (its client port is 40000 + n); family 4 or 6. The functions below
 * return what the callback returned, 0 if there is none. */
int help_flow_begin(struct help_flow *f, struct help_plugin *h, int family, unsigned n);
int help_flow_clear(struct help_flow *f, enum lp_dir dir, const void *p, size_t n);
int help_flow_gap(struct help_flow *f, enum lp_dir dir, uint64_t n);
int help_flow_end(struct help_flow *f, enum lp_end client, enum lp_end server);

/* A TLS 1.2 session of www.example.org; change s->tls before the ready or the end. */
int help_session_begin(struct help_session *s, struct help_flow *f);
int help_session_ready(struct help_session *s);
/* Counts records and clear bytes in s->result.total. */
int help_session_data(struct help_session *s, enum lp_dir dir, const void *p, size_t n);
int help_session_text(struct help_session *s, enum lp_dir dir, const char *text);
int help_session_gap(struct help_session *s, enum lp_dir dir, uint64_t stream,
		     uint64_t clear_min, uint64_t clear_max);
/* reason NULL: decrypted, complete. */
int help_session_end(struct help_session *s, enum lp_verdict verdict, const char *reason);

#endif
