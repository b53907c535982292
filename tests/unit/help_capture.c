#define _GNU_SOURCE
#include "help_capture.h"

#include <check.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>

struct feed {
	const uint8_t *p;
	size_t n, step;
	int fd;
};

static void *feed(void *arg)
{
	struct feed *f = arg;

	for (size_t at = 0; at < f->n; at += f->step)
		if (send(f->fd, f->p + at, f->n - at < f->step ? f->n - at : f->step,
			 MSG_NOSIGNAL) < 0)
			break;
	close(f->fd);
	return NULL;
}

static void note_secrets(void *user, uint32_t type, lp_span data)
{
	struct help_seen *s = user;
	size_t at = strlen(s->secrets);

	snprintf(s->secrets + at, sizeof s->secrets - at, "[%zu:%x:%.*s]", s->n, type,
		 (int)data.n, (const char *)data.p);
}

uint64_t help_sum(const uint8_t *p, size_t n)
{
	uint64_t sum = 5381;

	for (size_t i = 0; i < n; i++)
		sum = sum * 33 + p[i];
	return sum;
}

void help_read_path(struct help_seen *s, const char *path, size_t max)
{
	struct lp_capture_config config = { .secrets = note_secrets, .user = s };
	struct lp_wire p[LP_BATCH];
	struct lp_capture *c;
	size_t n;

	memset(s, 0, sizeof *s);
	s->open = lp_capture_open_file(&c, path, &config, s->why);
	if (s->open) {
		ck_assert_ptr_null(c);
		return;
	}
	while (!(s->end = lp_capture_read(c, p, max, &n))) {
		for (size_t i = 0; i < n; i++, s->n++) {
			ck_assert_uint_lt(s->n, HELP_MOST);
			s->p[s->n] = p[i];
			s->sum[s->n] = help_sum(p[i].data, p[i].caplen);
			s->first[s->n] = p[i].caplen ? p[i].data[0] : 0;
			s->p[s->n].data = NULL;
		}
	}
	ck_assert_uint_eq(n, 0);
	ck_assert_int_eq(lp_capture_read(c, p, max, &n), s->end); /* sticky */
	ck_assert_int_eq(lp_capture_fd(c), -1);
	ck_assert(!lp_capture_live(c));
	snprintf(s->why, sizeof s->why, "%s", lp_capture_why(c));
	lp_capture_close(c);
}

/* Standard input is a socket; byte by byte, it gives one message a read. */
void help_read_stdin(struct help_seen *s, const void *p, size_t n, size_t step, size_t max)
{
	struct feed f = { p, n, step, -1 };
	int pair[2], old = dup(STDIN_FILENO);
	pthread_t thread;

	ck_assert_int_eq(socketpair(AF_UNIX, step == 1 ? SOCK_SEQPACKET : SOCK_STREAM, 0,
				    pair), 0);
	f.fd = pair[1];
	ck_assert_int_ge(dup2(pair[0], STDIN_FILENO), 0);
	close(pair[0]);
	ck_assert_int_eq(pthread_create(&thread, NULL, feed, &f), 0);
	help_read_path(s, "-", max);
	if (old >= 0) {
		dup2(old, STDIN_FILENO);
		close(old);
	} else {
		close(STDIN_FILENO);
	}
	pthread_join(thread, NULL);
}

void help_read_saved(struct help_seen *s, const void *p, size_t n, size_t max)
{
	char path[HELP_PATH];

	help_pcap_save(p, n, path);
	help_read_path(s, path, max);
	unlink(path);
}

size_t help_gzip(uint8_t *out, size_t size, const void *p, size_t n)
{
	z_stream z = { .next_in = (Bytef *)p, .avail_in = (uInt)n, .next_out = out,
		       .avail_out = (uInt)size };

	ck_assert_int_eq(deflateInit2(&z, 1, Z_DEFLATED, 31, 8, Z_DEFAULT_STRATEGY), Z_OK);
	ck_assert_int_eq(deflate(&z, Z_FINISH), Z_STREAM_END);
	deflateEnd(&z);
	return size - z.avail_out;
}

size_t help_zstd(uint8_t *out, size_t size, const void *p, size_t n)
{
	ZSTD_CCtx *z = ZSTD_createCCtx();
	size_t rc;

	ZSTD_CCtx_setParameter(z, ZSTD_c_checksumFlag, 1);
	rc = ZSTD_compress2(z, out, size, p, n);
	ZSTD_freeCCtx(z);
	ck_assert(!ZSTD_isError(rc));
	return rc;
}

void help_read_way(struct help_seen *s, enum help_way way, const void *p, size_t n)
{
	size_t size = n * 2 + 1000;
	uint8_t *packed = malloc(size);

	switch (way) {
	case BYTES:
		help_read_stdin(s, p, n, 1, LP_BATCH);
		break;
	case LUMPS:
		help_read_stdin(s, p, n, 61, 3);
		break;
	case GZIP:
		help_read_saved(s, packed, help_gzip(packed, size, p, n), LP_BATCH);
		break;
	case ZSTD:
		help_read_saved(s, packed, help_zstd(packed, size, p, n), 1);
		break;
	default:
		help_read_saved(s, p, n, LP_BATCH);
	}
	free(packed);
}

void help_same(const struct help_seen *a, const struct help_seen *b)
{
	ck_assert_int_eq(a->open, b->open);
	ck_assert_int_eq(a->end, b->end);
	ck_assert_uint_eq(a->n, b->n);
	ck_assert_mem_eq(a->p, b->p, a->n * sizeof a->p[0]);
	ck_assert_mem_eq(a->sum, b->sum, sizeof a->sum);
}

/* Reads in every way; they must agree. */
void help_read_ways(struct help_seen *s, const struct help_pcap *w)
{
	struct help_seen other;

	help_read_way(s, MAPPED, w->p, w->n);
	for (enum help_way way = BYTES; way < WAYS; way++) {
		help_read_way(&other, way, w->p, w->n);
		help_same(s, &other);
	}
}

/* Every cut gives the packets before it, then the truth about its end. */
void help_cut_everywhere(const struct help_pcap *w, size_t header, const size_t *ends,
			   size_t n, const size_t *clean, size_t n_clean)
{
	struct help_seen whole, s;

	help_read_way(&whole, MAPPED, w->p, w->n);
	for (size_t cut = 0; cut <= w->n; cut++) {
		size_t want = 0;
		bool may_end = cut == header;

		while (want < n && ends[want] <= cut)
			want++;
		for (size_t i = 0; i < n_clean; i++)
			may_end |= clean[i] == cut;
		for (enum help_way way = MAPPED; way < WAYS; way++) {
			if (way == LUMPS)
				continue;
			help_read_way(&s, way, w->p, cut);
			ck_assert_int_eq(s.open, cut < header ? LP_E_FORMAT : LP_OK);
			if (cut < header) {
				ck_assert_ptr_nonnull(strstr(s.why, ": not a capture file "
								    "(pcap or pcapng)"));
				continue;
			}
			ck_assert_uint_eq(s.n, want);
			ck_assert_mem_eq(s.sum, whole.sum, want * sizeof s.sum[0]);
			ck_assert_int_eq(s.end, may_end ? LP_EOF : LP_E_TRUNCATED);
			ck_assert(may_end || strstr(s.why, "cut short"));
		}
	}
}

/* One good packet, then what is wrong: it is handed out, then LP_E_FORMAT. */
void help_corrupt_after_one(const struct help_pcap *w, const char *text)
{
	struct help_seen s;

	help_read_ways(&s, w);
	ck_assert_int_eq(s.open, LP_OK);
	ck_assert_uint_eq(s.n, 1);
	ck_assert_int_eq(s.end, LP_E_FORMAT);
	ck_assert_msg(strstr(s.why, text), "%s", s.why);
}
