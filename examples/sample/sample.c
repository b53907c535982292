/* sample: an output for limpid, written against <limpid/plugin.h> alone. It counts
 * the clear bytes of each session and writes a line when the session ends:
 *
 *     make
 *     limpid -r capture.pcap -k keys -o ./sample.so:bytes.txt
 *
 *     1 www.example.org 120 5170 decrypted
 *
 * Start your own from it: keep what a session needs behind its pointer, and give it
 * back when the session ends. */
#define _POSIX_C_SOURCE 200809L

#include <fcntl.h>
#include <inttypes.h>
#include <limpid/plugin.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* What open() makes; every callback gets it as its first argument. */
struct sample {
	const struct lp_host *host;
	FILE *out;
};

/* What a session needs; *session points to it, NULL at the beginning. */
struct counts {
	uint64_t bytes[2]; /* by enum lp_dir */
};

static int sample_open(void **self, const struct lp_host *host, const char *arg,
		       const struct lp_option *options, size_t options_n)
{
	struct sample *s;
	int fd;

	(void)options;
	if (!arg || options_n) {
		host->log(host, "usage: -o ./sample.so:FILE");
		return -1;
	}
	s = calloc(1, sizeof *s);
	if (!s)
		return -1;
	s->host = host;
	fd = openat(host->dirfd, arg, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	s->out = fd < 0 ? NULL : fdopen(fd, "w");
	if (!s->out) {
		host->log(host, "cannot write the file");
		free(s);
		return -1;
	}
	*self = s;
	return 0;
}

static int sample_data(void *self, void **flow, void **session, const struct lp_flow_info *info,
		       const struct lp_session_info *tls, enum lp_dir dir,
		       enum lp_data_kind kind, const uint8_t *bytes, size_t n,
		       const struct lp_stamp *at)
{
	struct counts *c;

	(void)self, (void)flow, (void)info, (void)kind, (void)bytes, (void)at;
	if (!tls)
		return 0; /* clear data: not ours */
	if (!*session)
		*session = calloc(1, sizeof *c);
	c = *session;
	if (!c)
		return -1;
	c->bytes[dir] += n;
	return 0;
}

static int sample_session_end(void *self, void **flow, void **session,
			      const struct lp_flow_info *info,
			      const struct lp_session_info *tls,
			      const struct lp_session_result *result, const struct lp_stamp *at)
{
	static const char *const verdict[] = { "?", "decrypted", "partial", "opaque" };
	const struct counts none = { { 0, 0 } };
	const struct counts *c = *session ? *session : &none;
	struct sample *s = self;
	int n;

	(void)flow, (void)info, (void)at;
	n = fprintf(s->out, "%" PRIu64 " %s %" PRIu64 " %" PRIu64 " %s\n", tls->number,
		    tls->sni ? tls->sni : "-", c->bytes[LP_C2S], c->bytes[LP_S2C],
		    verdict[result->verdict]);
	free(*session);
	*session = NULL;
	return n < 0 ? -1 : 0;
}

static int sample_close(void *self, const struct lp_summary *summary)
{
	struct sample *s = self;
	int status = fclose(s->out) ? -1 : 0;

	(void)summary;
	if (status)
		s->host->log(s->host, "cannot write the file");
	free(s);
	return status;
}

const struct lp_plugin lp_plugin_entry = {
	.abi = LP_PLUGIN_ABI,
	.size = sizeof(struct lp_plugin),
	.name = "sample",
	.wants = LP_WANT_DATA,
	.open = sample_open,
	.data = sample_data,
	.session_end = sample_session_end,
	.close = sample_close,
};
