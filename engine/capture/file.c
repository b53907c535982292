/* A capture file: pcap here, pcapng in pcapng.c, the bytes from input.c. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/cpu.h"
#include "base/log.h"
#include "capture/input.h"
#include "capture/pcapng.h"
#include "capture/source.h"

enum {
	PCAP_HEADER = 24,
	PCAP_RECORD = 16,
	PCAP_RECORD_MODIFIED = 24, /* 8 more bytes, that nobody needs */
	PACKETS_AHEAD = 4,
};

struct file {
	struct lp_capture base;
	struct lp_input in;
	bool ng;
	struct lp_pcapng pcapng;
	/* pcap */
	bool little;
	uint32_t unit; /* nanoseconds */
	uint32_t link;
	uint32_t record;   /* size of a packet's header */
	uint64_t packets;  /* so far */
	char name[LP_NAME_SIZE];
};

char *lp_capture_name(char out[LP_NAME_SIZE], const char *path)
{
	if (!strcmp(path, "-"))
		path = "standard input";
	return lp_text_escape(out, LP_NAME_SIZE, path, strlen(path));
}

LP_PRINTF(2, 3) static void say(struct file *f, const char *format, ...)
{
	size_t at = (size_t)snprintf(f->base.why, LP_WHY_SIZE, "%s: ", f->name);
	va_list args;

	va_start(args, format);
	(void)vsnprintf(f->base.why + at, LP_WHY_SIZE - at, format, args);
	va_end(args);
}

/* The 24 bytes at the start of a pcap file; LP_E_FORMAT if they are not that. */
static enum lp_err pcap_start(struct file *f, lp_span in)
{
	struct lp_cursor c = lp_cursor_span(in);
	uint32_t magic = (uint32_t)lp_cursor_uint(&c, 4, true);
	uint64_t major;

	f->little = (magic & 0xff) != 0xa1;
	if (!f->little)
		magic = __builtin_bswap32(magic);
	if (magic != 0xa1b2c3d4 && magic != 0xa1b23c4d && magic != 0xa1b2cd34)
		return LP_E_FORMAT;
	f->unit = magic == 0xa1b23c4d ? 1 : LP_NS_PER_US;
	f->record = magic == 0xa1b2cd34 ? PCAP_RECORD_MODIFIED : PCAP_RECORD;
	major = lp_cursor_uint(&c, 2, f->little);
	lp_cursor_skip(&c, 2 + 4 + 4 + 4); /* minor version, zone, accuracy, snap length */
	/* The upper 16 bits tell of a frame check sequence, which IP's own length
	 * leaves out anyway. */
	f->link = lp_capture_link((uint32_t)lp_cursor_uint(&c, 4, f->little) & 0xffff);
	return c.bad || major != 2 ? LP_E_FORMAT : LP_OK;
}

static inline enum lp_err pcap_next(struct file *f, lp_span in, size_t *used, size_t *want,
				    struct lp_wire *p)
{
	struct lp_cursor c = lp_cursor_span(in), h = lp_cursor_span(lp_cursor_bytes(&c, PCAP_RECORD));
	uint64_t seconds, part;

	*used = 0;
	*want = f->record;
	lp_cursor_skip(&c, f->record - PCAP_RECORD);
	if (c.bad || !h.n)
		return LP_MORE;
	seconds = lp_cursor_uint(&h, 4, f->little);
	part = lp_cursor_uint(&h, 4, f->little);
	p->caplen = (uint32_t)lp_cursor_uint(&h, 4, f->little);
	p->len = (uint32_t)lp_cursor_uint(&h, 4, f->little);
	if (p->caplen > LP_MAX_CAPLEN) {
		f->in.wrong = "packet longer than a packet can be";
		return LP_E_FORMAT;
	}
	*want = f->record + p->caplen;
	p->data = lp_cursor_bytes(&c, p->caplen).p;
	if (c.bad)
		return LP_MORE;
	p->len = p->len < p->caplen ? p->caplen : p->len;
	p->ts_ns = seconds * LP_NS_PER_S + part * f->unit;
	p->link = f->link;
	p->iface = 0;
	*used = *want;
	return LP_OK;
}

/* The next block of a pcapng file. */
static enum lp_err ng_next(struct file *f, size_t *used, size_t *want, struct lp_wire *p)
{
	lp_span in = { f->in.p, f->in.n }, secret;
	enum lp_err err = lp_pcapng_next(&f->pcapng, in, used, want, p, &secret);

	lp_input_wipe(&f->in, secret.p, secret.n);
	if (err == LP_E_FORMAT)
		f->in.wrong = f->pcapng.wrong;
	return err;
}

/* No byte follows the window: a whole number of packets, or not. */
static enum lp_err at_end(const struct file *f)
{
	return f->in.n || (f->ng && !lp_pcapng_whole(&f->pcapng)) ? LP_E_TRUNCATED : LP_EOF;
}

static void explain(struct file *f, enum lp_err err)
{
	unsigned long long packets = f->packets, at = f->in.offset;

	if (err == LP_E_TRUNCATED)
		say(f, "cut short after packet %llu, in the middle of what follows it", packets);
	else if (err == LP_E_FORMAT)
		say(f, "corrupt after packet %llu, at byte %llu: %s", packets, at, f->in.wrong);
	else if (err == LP_E_IO)
		say(f, "%s", f->in.wrong);
	else if (err < 0)
		say(f, "%s", lp_err_text(err));
}

/* Where the next packet begins is only known from this one, so the processor does
 * not fetch it by itself: measured, 1.7 times libpcap's pace instead of 1.4. */
static inline void fetch_ahead(lp_span in, size_t used)
{
	size_t next = used * PACKETS_AHEAD;

	/* Where it is if packets go on being as long as this one. Of what they carry, see
	 * lp_segment's soon. */
	if (next + LP_CACHE_LINE < in.n) {
		__builtin_prefetch(in.p + next);
		__builtin_prefetch(in.p + next + LP_CACHE_LINE);
	}
}

/* Packets that are whole in the window: LP_OK with max of them; else why not, and LP_MORE means
 * that the window has to have *want bytes. */
static enum lp_err pcap_some(struct file *f, struct lp_wire *p, size_t max, size_t *n,
			     size_t *want)
{
	lp_span in = { f->in.p, f->in.n };
	enum lp_err err = LP_OK;
	size_t used, i;

	for (i = 0; i < max; i++) {
		err = pcap_next(f, in, &used, want, &p[i]);
		if (err)
			break;
		in = lp_span_of(in.p + used, in.n - used);
		fetch_ahead(in, used);
	}
	lp_input_consume(&f->in, (size_t)(in.p - f->in.p));
	*n = i;
	return err;
}

static enum lp_err ng_some(struct file *f, struct lp_wire *p, size_t max, size_t *n,
			   size_t *want)
{
	enum lp_err err;
	size_t used;

	*n = 0;
	do {
		err = ng_next(f, &used, want, &p[*n]);
		lp_input_consume(&f->in, used);
		if (err == LP_OK) {
			++*n;
			fetch_ahead((lp_span){ f->in.p, f->in.n }, used);
		} else if (err != LP_MORE || !used) {
			return err;
		}
	} while (*n < max);
	return LP_OK;
}

static enum lp_err file_read(struct lp_capture *c, struct lp_wire *p, size_t max, size_t *n)
{
	struct file *f = (struct file *)c;
	size_t got, want;
	enum lp_err err;

	*n = 0;
	lp_input_begin(&f->in);
	do {
		err = f->ng ? ng_some(f, p, max, &got, &want) : pcap_some(f, p, max, &got, &want);
		f->packets += got;
		*n = got;
		if (err == LP_MORE) {
			/* What is whole goes out before anybody waits for more. */
			if (*n)
				return LP_OK;
			err = lp_input_fill(&f->in, want);
			if (err == LP_MORE)
				return LP_OK;
			if (err == LP_EOF)
				err = at_end(f);
		}
	} while (!err && !*n);
	if (err)
		explain(f, err);
	return err;
}

static void file_close(struct lp_capture *c)
{
	struct file *f = (struct file *)c;

	lp_input_close(&f->in);
	lp_pcapng_clear(&f->pcapng);
}

static void file_position(const struct lp_capture *c, uint64_t *done, uint64_t *total)
{
	lp_input_position(&((const struct file *)c)->in, done, total);
}

static bool file_lend(struct lp_capture *c, size_t behind)
{
	return lp_input_lend(&((struct file *)c)->in, behind);
}

static void file_retire(struct lp_capture *c)
{
	lp_input_retire(&((struct file *)c)->in);
}

static const struct lp_capture_ops file_ops = { .read = file_read, .position = file_position,
						.lend = file_lend, .retire = file_retire,
						.close = file_close };

/* A file that ends inside its header is none. */
static enum lp_err need(struct file *f, size_t want)
{
	enum lp_err err = lp_input_wait(&f->in, want);

	return err == LP_EOF || err == LP_E_TRUNCATED ? LP_E_FORMAT : err;
}

/* The header of the file, or the first section header, is read and consumed. */
static enum lp_err start(struct file *f)
{
	size_t used = 0, want = 4;
	struct lp_wire none;
	enum lp_err err = need(f, want);

	if (err)
		return err;
	f->ng = !memcmp(f->in.p, "\n\r\r\n", 4);
	if (!f->ng) {
		err = need(f, PCAP_HEADER);
		if (!err)
			err = pcap_start(f, (lp_span){ f->in.p, PCAP_HEADER });
		if (!err)
			lp_input_consume(&f->in, PCAP_HEADER);
		return err;
	}
	while (!used) {
		err = ng_next(f, &used, &want, &none);
		if (err == LP_MORE && !used)
			err = need(f, want);
		if (err < 0)
			return err;
	}
	lp_input_consume(&f->in, used);
	return LP_OK;
}

enum lp_err lp_file_open(struct lp_capture **out, const char *path,
			 const struct lp_capture_config *config, char *why)
{
	struct file *f = calloc(1, sizeof *f);
	enum lp_err err;

	*out = NULL;
	if (!f) {
		snprintf(why, LP_WHY_SIZE, "%s", lp_err_text(LP_E_NOMEM));
		return LP_E_NOMEM;
	}
	f->base.ops = &file_ops;
	lp_capture_name(f->name, path);
	lp_pcapng_init(&f->pcapng, config ? config->secrets : NULL, config ? config->user : NULL);
	err = lp_input_open(&f->in, path);
	if (!err) {
		f->in.wrong = NULL;
		err = start(f);
	}
	if (!err) {
		*out = &f->base;
		return LP_OK;
	}
	if (err == LP_E_FORMAT) {
		say(f, "not a capture file (pcap or pcapng)");
	} else {
		say(f, "%s", f->in.wrong ? f->in.wrong : lp_err_text(err));
	}
	memcpy(why, f->base.why, LP_WHY_SIZE);
	file_close(&f->base);
	free(f);
	return err;
}

bool lp_file_link(const struct lp_capture *c, uint32_t *link)
{
	const struct file *f = (const struct file *)c;

	if (c->ops != &file_ops || f->ng)
		return false;
	*link = f->link;
	return true;
}

/* From block to block; looks into those only that hold secrets or say how to read. */
static void hop(struct file *f)
{
	enum { SECTION = 0x0a0d0d0a, SECRETS = 10, LEAST = 12, BATCH_BYTES = 1 << 20 };
	uint64_t given = 0;
	struct lp_wire none;
	size_t used, want;

	for (;;) {
		struct lp_cursor c = lp_cursor_of(f->in.p, f->in.n);
		uint64_t type = lp_cursor_uint(&c, 4, f->pcapng.little);
		uint64_t length = lp_cursor_uint(&c, 4, f->pcapng.little);

		used = (size_t)length;
		if (!c.bad && (type == SECTION || type == SECRETS)) {
			if (ng_next(f, &used, &want, &none) < 0)
				return;
			length = used ? LEAST : 0;
		}
		if (c.bad || length < LEAST || used > f->in.n)
			return;
		lp_input_consume(&f->in, used);
		if (f->in.offset - given > BATCH_BYTES) {
			given = f->in.offset;
			lp_input_begin(&f->in);
		}
	}
}

static struct file *open_regular(const char *path, const struct lp_capture_config *config)
{
	char why[LP_WHY_SIZE];
	struct lp_capture *c;
	struct stat st;

	if (stat(path, &st) || !S_ISREG(st.st_mode) || lp_file_open(&c, path, config, why))
		return NULL;
	return (struct file *)c;
}

void lp_capture_scan_secrets(const char *path, const struct lp_capture_config *config)
{
	struct file *f = open_regular(path, config);

	if (!f)
		return;
	if (f->ng && f->in.map)
		hop(f);
	file_close(&f->base);
	free(f);
}

bool lp_capture_scans(const char *path)
{
	struct file *f = open_regular(path, NULL);
	bool all = f && (!f->ng || f->in.map);

	if (f)
		file_close(&f->base);
	free(f);
	return all;
}
