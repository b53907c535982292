/* An output for test_live.c, built by it as a shared object: at the first clear byte it stands
 * still until a line comes out of the FIFO that it was given; writes FILE.sums in the end. */
#include <fcntl.h>
#include <limpid/plugin.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct gate {
	const char *fifo;
	int open;
};

static int begin(void **self, const struct lp_host *host, const char *arg,
		 const struct lp_option *options, size_t n)
{
	struct gate *g = calloc(1, sizeof *g);

	(void)host;
	(void)options;
	(void)n;
	if (!g || !arg)
		return -1;
	g->fifo = arg;
	*self = g;
	return 0;
}

static int data(void *self, void **flow, void **session, const struct lp_flow_info *info,
		const struct lp_session_info *tls, enum lp_dir dir, enum lp_data_kind kind,
		const uint8_t *bytes, size_t size, const struct lp_stamp *at)
{
	struct gate *g = self;
	char c;
	int fd;

	(void)flow, (void)session, (void)info, (void)tls, (void)dir, (void)kind, (void)bytes;
	(void)size, (void)at;
	if (g->open)
		return 0;
	g->open = 1;
	fd = open(g->fifo, O_RDONLY);
	if (fd < 0 || read(fd, &c, 1) != 1)
		return -1;
	close(fd);
	return 0;
}

static int finish(void *self, const struct lp_summary *summary)
{
	struct gate *g = self;
	char path[512];
	FILE *f;

	snprintf(path, sizeof path, "%s.sums", g->fifo);
	f = fopen(path, "w");
	for (size_t i = 0; f && summary && i < summary->counters_n; i++)
		fprintf(f, "%s %llu\n", summary->counters[i].name,
			(unsigned long long)summary->counters[i].value);
	if (f && summary)
		fprintf(f, "read %llu\n", (unsigned long long)summary->packets);
	free(g);
	return f && !fclose(f) ? 0 : -1;
}

extern const struct lp_plugin lp_plugin_entry;
const struct lp_plugin lp_plugin_entry = {
	.abi = LP_PLUGIN_ABI, .size = sizeof(struct lp_plugin), .name = "gate",
	.wants = LP_WANT_DATA, .open = begin, .data = data, .close = finish,
};
