/* capture/file.c, pcapng.c, input.c, unpack.c: every file is read in five ways
 * (mapped, from a pipe byte by byte and in lumps, gzip, zstd) with one result. */
#define _GNU_SOURCE
#include <check.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>

#include "capture/capture.h"
#include "help_pcap.h"

enum way { MAPPED, BYTES, LUMPS, GZIP, ZSTD, WAYS };
enum { MOST = 300 };

struct seen {
	enum lp_err open, end;
	size_t n;
	struct lp_packet p[MOST];
	uint64_t sum[MOST]; /* of the bytes */
	uint8_t first[MOST];
	char secrets[64];
	char why[LP_WHY_SIZE];
};

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
	struct seen *s = user;
	size_t at = strlen(s->secrets);

	snprintf(s->secrets + at, sizeof s->secrets - at, "[%zu:%x:%.*s]", s->n, type,
		 (int)data.n, (const char *)data.p);
}

static uint64_t sum_of(const uint8_t *p, size_t n)
{
	uint64_t sum = 5381;

	for (size_t i = 0; i < n; i++)
		sum = sum * 33 + p[i];
	return sum;
}

static void read_out(struct seen *s, const char *path, size_t max)
{
	struct lp_capture_config config = { .secrets = note_secrets, .user = s };
	struct lp_packet p[LP_BATCH];
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
			ck_assert_uint_lt(s->n, MOST);
			s->p[s->n] = p[i];
			s->sum[s->n] = sum_of(p[i].data, p[i].caplen);
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
static void read_stdin(struct seen *s, const void *p, size_t n, size_t step, size_t max)
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
	read_out(s, "-", max);
	if (old >= 0) {
		dup2(old, STDIN_FILENO);
		close(old);
	} else {
		close(STDIN_FILENO);
	}
	pthread_join(thread, NULL);
}

static void read_saved(struct seen *s, const void *p, size_t n, size_t max)
{
	char path[HELP_PATH];

	help_pcap_save(p, n, path);
	read_out(s, path, max);
	unlink(path);
}

static size_t gzip(uint8_t *out, size_t size, const void *p, size_t n)
{
	z_stream z = { .next_in = (Bytef *)p, .avail_in = (uInt)n, .next_out = out,
		       .avail_out = (uInt)size };

	ck_assert_int_eq(deflateInit2(&z, 1, Z_DEFLATED, 31, 8, Z_DEFAULT_STRATEGY), Z_OK);
	ck_assert_int_eq(deflate(&z, Z_FINISH), Z_STREAM_END);
	deflateEnd(&z);
	return size - z.avail_out;
}

static size_t zstd(uint8_t *out, size_t size, const void *p, size_t n)
{
	ZSTD_CCtx *z = ZSTD_createCCtx();
	size_t rc;

	ZSTD_CCtx_setParameter(z, ZSTD_c_checksumFlag, 1);
	rc = ZSTD_compress2(z, out, size, p, n);
	ZSTD_freeCCtx(z);
	ck_assert(!ZSTD_isError(rc));
	return rc;
}

static void read_way(struct seen *s, enum way way, const void *p, size_t n)
{
	size_t size = n * 2 + 1000;
	uint8_t *packed = malloc(size);

	switch (way) {
	case BYTES:
		read_stdin(s, p, n, 1, LP_BATCH);
		break;
	case LUMPS:
		read_stdin(s, p, n, 61, 3);
		break;
	case GZIP:
		read_saved(s, packed, gzip(packed, size, p, n), LP_BATCH);
		break;
	case ZSTD:
		read_saved(s, packed, zstd(packed, size, p, n), 1);
		break;
	default:
		read_saved(s, p, n, LP_BATCH);
	}
	free(packed);
}

static void same(const struct seen *a, const struct seen *b)
{
	ck_assert_int_eq(a->open, b->open);
	ck_assert_int_eq(a->end, b->end);
	ck_assert_uint_eq(a->n, b->n);
	ck_assert_mem_eq(a->p, b->p, a->n * sizeof a->p[0]);
	ck_assert_mem_eq(a->sum, b->sum, sizeof a->sum);
}

/* Reads in every way; they must agree. */
static void read_ways(struct seen *s, const struct help_pcap *w)
{
	struct seen other;

	read_way(s, MAPPED, w->p, w->n);
	for (enum way way = BYTES; way < WAYS; way++) {
		read_way(&other, way, w->p, w->n);
		same(s, &other);
	}
}

static const uint64_t ts0 = 1700000000123456789ULL;

static void three_packets(struct help_pcap *w)
{
	uint8_t bytes[100];

	for (size_t i = 0; i < sizeof bytes; i++)
		bytes[i] = (uint8_t)(i + 1);
	help_pcap_packet(w, ts0, bytes, 60, 0);
	help_pcap_packet(w, ts0 + 1001, bytes + 1, 0, 77);
	help_pcap_packet(w, ts0 + 2000000000, bytes + 2, 33, 1500);
}

START_TEST(pcap_in_every_form)
{
	bool little = _i & 1;
	int kind = _i / 2;
	uint64_t unit = kind == HELP_PCAP_NS ? 1 : 1000;
	struct help_pcap w = { 0 };
	struct seen s;

	/* The upper bits tell of a frame check sequence. */
	help_pcap_begin(&w, little, kind, 0x54000000 | LP_LINK_LINUX_SLL2);
	three_packets(&w);
	read_ways(&s, &w);
	ck_assert_int_eq(s.open, LP_OK);
	ck_assert_int_eq(s.end, LP_EOF);
	ck_assert_uint_eq(s.n, 3);
	ck_assert_uint_eq(s.p[0].ts_ns, ts0 / unit * unit);
	ck_assert_uint_eq(s.p[1].ts_ns, (ts0 + 1001) / unit * unit);
	ck_assert_uint_eq(s.p[2].ts_ns, (ts0 + 2000000000) / unit * unit);
	ck_assert_uint_eq(s.p[0].len, 60);
	ck_assert_uint_eq(s.p[1].caplen, 0);
	ck_assert_uint_eq(s.p[1].len, 77);
	ck_assert_uint_eq(s.p[2].caplen, 33);
	ck_assert_uint_eq(s.p[2].len, 1500);
	ck_assert_uint_eq(s.first[0], 1);
	ck_assert_uint_eq(s.first[2], 3);
	for (size_t i = 0; i < 3; i++) {
		ck_assert_uint_eq(s.p[i].number, i + 1);
		ck_assert_uint_eq(s.p[i].link, LP_LINK_LINUX_SLL2);
	}
	help_pcap_clear(&w);
}
END_TEST

START_TEST(length_below_captured_is_repaired)
{
	struct help_pcap w = { 0 };
	struct seen s;

	help_pcap_begin(&w, true, HELP_PCAP_US, 12);
	help_pcap_packet(&w, ts0, "0123456789", 10, 4);
	read_ways(&s, &w);
	ck_assert_uint_eq(s.p[0].len, 10);
	ck_assert_uint_eq(s.p[0].link, LP_LINK_RAW);
	help_pcap_clear(&w);
}
END_TEST

/* Two sections in opposite byte orders, all kinds of blocks. */
static void mixed_pcapng(struct help_pcap *w, size_t ends[8])
{
	uint8_t noise[50] = { 0 };

	help_ng_section(w, false);
	help_ng_interface(w, LP_LINK_ETHERNET, 0, 6, 0);
	help_ng_interface(w, LP_LINK_IPV6, 0, 9, 3600);
	help_ng_secrets(w, 0x544c534b, "first", 5);
	help_ng_packet(w, 0, ts0 / 1000, "aaaaa", 5, 0);
	ends[0] = w->n;
	help_ng_block(w, 0x80000bad, noise, sizeof noise);
	help_ng_packet(w, 1, ts0, "bbbbbb", 6, 99);
	ends[1] = w->n;
	help_ng_block(w, 5, noise, 12); /* interface statistics */
	help_ng_simple(w, "ccc", 3, 0);
	ends[2] = w->n;
	help_ng_section(w, true);
	help_ng_interface(w, LP_LINK_LINUX_SLL, 2, 0x80 | 20, -5);
	help_ng_secrets(w, 0x544c534b, "then", 4);
	help_ng_packet(w, 0, 1700000000ULL << 20 | 1 << 19, "dddd", 4, 0);
	ends[3] = w->n;
	help_ng_simple(w, "ee", 2, 900);
	ends[4] = w->n;
	help_ng_obsolete(w, 0, 1700000001ULL << 20, "f", 1, 0);
	ends[5] = w->n;
	help_ng_block(w, 0x0bad, NULL, 0);
	ends[6] = w->n;
}

START_TEST(pcapng_sections_interfaces_and_blocks)
{
	static const char first[] = "abcdef";
	struct help_pcap w = { 0 };
	size_t ends[8];
	struct seen s;

	mixed_pcapng(&w, ends);
	read_ways(&s, &w);
	ck_assert_int_eq(s.end, LP_EOF);
	ck_assert_uint_eq(s.n, 6);
	for (size_t i = 0; i < 6; i++) {
		ck_assert_uint_eq(s.first[i], first[i]);
		ck_assert_uint_eq(s.p[i].number, i + 1);
		ck_assert_uint_eq(s.p[i].iface, i == 1);
	}
	ck_assert_uint_eq(s.p[0].link, LP_LINK_ETHERNET);
	ck_assert_uint_eq(s.p[1].link, LP_LINK_IPV6);
	ck_assert_uint_eq(s.p[2].link, LP_LINK_ETHERNET);
	ck_assert_uint_eq(s.p[4].link, LP_LINK_LINUX_SLL);
	ck_assert_uint_eq(s.p[0].ts_ns, ts0 / 1000 * 1000);
	ck_assert_uint_eq(s.p[1].ts_ns, ts0 + 3600000000000);
	ck_assert_uint_eq(s.p[1].len, 99);
	ck_assert_uint_eq(s.p[2].ts_ns, s.p[1].ts_ns);
	ck_assert_uint_eq(s.p[3].ts_ns, 1699999995500000000);
	ck_assert_uint_eq(s.p[4].caplen, 2);
	ck_assert_uint_eq(s.p[4].len, 900);
	ck_assert_uint_eq(s.p[5].ts_ns, 1699999996000000000);
	help_pcap_clear(&w);
}
END_TEST

START_TEST(pcapng_secrets_come_before_their_packets)
{
	struct help_pcap w = { 0 };
	size_t ends[8];
	struct seen s;

	mixed_pcapng(&w, ends);
	read_way(&s, BYTES, w.p, w.n);
	ck_assert_str_eq(s.secrets, "[0:544c534b:first][3:544c534b:then]");
	help_pcap_clear(&w);
}
END_TEST

START_TEST(pcapng_clocks)
{
	static const struct {
		uint8_t tsresol;
		int64_t offset;
		uint64_t ticks, ns;
	} t[] = {
		{ 0, 0, 17, 17000000000 },
		{ 3, 1, 1500, 2500000000 },
		{ 9, 0, ts0, ts0 },
		{ 12, 0, 1234567890123, 1234567890 },
		{ 19, 0, 12345678901234567890U, 1234567890 },
		{ 25, 0, UINT64_MAX, 1844 },
		{ 127, 2, UINT64_MAX, 2000000000 },
		{ 0x80, 0, 3, 3000000000 },
		{ 0x80 | 1, 0, 3, 1500000000 },
		{ 0x80 | 32, 0, 3ULL << 31, 1500000000 },
		{ 0x80 | 63, 0, 3ULL << 62, 1500000000 },
		{ 0x80 | 64, 0, 1ULL << 63, 500000000 },
		{ 0x80 | 127, 1, UINT64_MAX, 1000000000 },
		{ 6, -2, 1000000, 0 },
		{ 6, INT64_MIN, 1000000, 0 },
		{ 0, 0, UINT64_MAX, 18446744072000000000U },
		{ 6, INT64_MAX, 1500000, 18446744072500000000U },
	};
	struct help_pcap w = { 0 };
	struct seen s;

	help_ng_section(&w, true);
	for (size_t i = 0; i < sizeof t / sizeof t[0]; i++)
		help_ng_interface(&w, 1, 0, t[i].tsresol, t[i].offset);
	for (size_t i = 0; i < sizeof t / sizeof t[0]; i++)
		help_ng_packet(&w, (uint32_t)i, t[i].ticks, "x", 1, 0);
	read_ways(&s, &w);
	ck_assert_uint_eq(s.n, sizeof t / sizeof t[0]);
	for (size_t i = 0; i < s.n; i++)
		ck_assert_uint_eq(s.p[i].ts_ns, t[i].ns);
	help_pcap_clear(&w);
}
END_TEST

/* Every cut gives the packets before it, then the truth about its end. */
static void cut_everywhere(const struct help_pcap *w, size_t header, const size_t *ends,
			   size_t n, const size_t *clean, size_t n_clean)
{
	struct seen whole, s;

	read_way(&whole, MAPPED, w->p, w->n);
	for (size_t cut = 0; cut <= w->n; cut++) {
		size_t want = 0;
		bool may_end = cut == header;

		while (want < n && ends[want] <= cut)
			want++;
		for (size_t i = 0; i < n_clean; i++)
			may_end |= clean[i] == cut;
		for (enum way way = MAPPED; way < WAYS; way++) {
			if (way == LUMPS)
				continue;
			read_way(&s, way, w->p, cut);
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

START_TEST(pcap_cut_everywhere)
{
	struct help_pcap w = { 0 };
	size_t ends[3];

	help_pcap_begin(&w, _i & 1, _i, 1);
	for (size_t i = 0; i < 3; i++) {
		help_pcap_packet(&w, ts0, "0123456789", 5 * i, 0);
		ends[i] = w.n;
	}
	cut_everywhere(&w, 24, ends, 3, ends, 3);
	help_pcap_clear(&w);
}
END_TEST

START_TEST(pcapng_cut_everywhere)
{
	struct help_pcap w = { 0 };
	size_t ends[8], clean[32], n = 0;

	mixed_pcapng(&w, ends);
	/* Where blocks end, found by their lengths: the second section is little. */
	for (size_t at = 0; at < w.n; clean[n++] = at) {
		const uint8_t *p = w.p + at;

		at += at < ends[2] ? p[6] * 256u + p[7] : p[5] * 256u + p[4];
	}
	cut_everywhere(&w, 28, ends, 6, clean, n);
	help_pcap_clear(&w);
}
END_TEST

/* A compressed file that is cut gives a prefix; never an end that looks whole. */
START_TEST(packed_cut_everywhere)
{
	struct help_pcap w = { 0 };
	uint8_t packed[2000];
	size_t n, last = 0;
	struct seen s;

	help_pcap_begin(&w, true, HELP_PCAP_US, 1);
	three_packets(&w);
	n = _i ? zstd(packed, sizeof packed, w.p, w.n) : gzip(packed, sizeof packed, w.p, w.n);
	for (size_t cut = 0; cut < n; cut++) {
		read_saved(&s, packed, cut, LP_BATCH);
		if (s.open) {
			ck_assert_int_eq(s.open, LP_E_FORMAT);
			continue;
		}
		ck_assert_int_eq(s.end, LP_E_TRUNCATED);
		ck_assert_uint_ge(s.n, last);
		last = s.n;
	}
	read_stdin(&s, packed, n, 1, LP_BATCH);
	ck_assert_int_eq(s.end, LP_EOF);
	ck_assert_uint_eq(s.n, 3);
	packed[n - 1] ^= 1; /* the length or check sum at the end */
	read_saved(&s, packed, n, LP_BATCH);
	ck_assert_int_eq(s.end, LP_E_FORMAT);
	ck_assert_uint_eq(s.n, 3);
	help_pcap_clear(&w);
}
END_TEST

START_TEST(packed_in_parts)
{
	size_t (*const pack[])(uint8_t *, size_t, const void *, size_t) = { gzip, zstd };
	struct help_pcap w = { 0 };
	uint8_t packed[4000];
	size_t n;
	struct seen s;

	help_pcap_begin(&w, true, HELP_PCAP_US, 1);
	three_packets(&w);
	n = pack[_i](packed, sizeof packed, w.p, 50);
	n += pack[_i](packed + n, sizeof packed - n, w.p + 50, w.n - 50);
	read_saved(&s, packed, n, LP_BATCH);
	ck_assert_int_eq(s.end, LP_EOF);
	ck_assert_uint_eq(s.n, 3);
	memset(packed + n, 0, 700); /* padding */
	read_saved(&s, packed, n + 700, LP_BATCH);
	ck_assert_int_eq(s.end, LP_EOF);
	ck_assert_uint_eq(s.n, 3);
	packed[n + 700] = 'x';
	memset(packed + n + 701, 'y', 40);
	read_saved(&s, packed, n + 740, LP_BATCH);
	ck_assert_int_eq(s.end, LP_E_FORMAT);
	ck_assert_uint_eq(s.n, 3);
	help_pcap_clear(&w);
}
END_TEST

/* More than the buffers hold, packets of all sizes, a block longer than any buffer. */
START_TEST(large_packets_and_blocks)
{
	uint8_t *big = calloc(1, 20000000);
	struct help_pcap w = { 0 };
	struct seen s, other;

	for (size_t i = 0; i < LP_MAX_CAPLEN; i++)
		big[i] = (uint8_t)(i * i >> 3);
	help_ng_section(&w, true);
	help_ng_interface(&w, 1, 0, 6, 0);
	for (size_t i = 0; i < 20; i++)
		help_ng_packet(&w, 0, i, big + i, LP_MAX_CAPLEN - i * 7777, 0);
	help_ng_block(&w, 0x4711, big, 20000000);
	for (size_t i = 0; i < 20; i++)
		help_ng_packet(&w, 0, i, big, LP_MAX_CAPLEN - i, 0);
	read_way(&s, MAPPED, w.p, w.n);
	ck_assert_uint_eq(s.n, 40);
	ck_assert_int_eq(s.end, LP_EOF);
	ck_assert_uint_eq(s.p[39].caplen, LP_MAX_CAPLEN - 19);
	ck_assert_uint_eq(s.sum[39], sum_of(big, LP_MAX_CAPLEN - 19));
	read_way(&other, GZIP, w.p, w.n);
	same(&s, &other);
	read_way(&other, ZSTD, w.p, w.n);
	same(&s, &other);
	read_stdin(&other, w.p, w.n, 100000, LP_BATCH);
	same(&s, &other);
	free(big);
	help_pcap_clear(&w);
}
END_TEST

/* One good packet, then what is wrong: it is handed out, then LP_E_FORMAT. */
static void corrupt_after_one(const struct help_pcap *w, const char *text)
{
	struct seen s;

	read_ways(&s, w);
	ck_assert_int_eq(s.open, LP_OK);
	ck_assert_uint_eq(s.n, 1);
	ck_assert_int_eq(s.end, LP_E_FORMAT);
	ck_assert_msg(strstr(s.why, text), "%s", s.why);
}

START_TEST(pcap_lying_length)
{
	struct help_pcap w = { 0 };

	help_pcap_begin(&w, true, HELP_PCAP_US, 1);
	help_pcap_packet(&w, ts0, "good", 4, 0);
	help_pcap_uint(&w, 0, 8);
	help_pcap_uint(&w, LP_MAX_CAPLEN + 1, 4);
	help_pcap_uint(&w, LP_MAX_CAPLEN + 1, 4);
	help_pcap_bytes(&w, "never", 5);
	corrupt_after_one(&w, "corrupt after packet 1, at byte 44: packet longer");
	help_pcap_clear(&w);
}
END_TEST

static void good_start(struct help_pcap *w)
{
	help_ng_section(w, true);
	help_ng_interface(w, 1, 0, 6, 0);
	help_ng_packet(w, 0, 1, "good", 4, 0);
}

START_TEST(pcapng_lying_lengths)
{
	struct help_pcap w = { 0 };
	static const uint8_t zero[64];
	size_t at;

	good_start(&w);
	at = w.n;
	help_ng_packet(&w, 0, 1, "xxxx", 4, 0);
	switch (_i) {
	case 0: /* captured length beyond the block */
		w.p[at + 20] = 5;
		corrupt_after_one(&w, "packet runs past its block");
		break;
	case 1:
		w.p[at + 8] = 1;
		corrupt_after_one(&w, "interface that was not described");
		break;
	case 2:
		w.p[w.n - 4] ^= 4;
		corrupt_after_one(&w, "another length");
		break;
	case 3:
		w.p[at + 4] = 8;
		corrupt_after_one(&w, "impossible length");
		break;
	case 4:
		w.p[at + 4] |= 2;
		corrupt_after_one(&w, "impossible length");
		break;
	case 5:
		w.p[at + 7] = 0x7f;
		corrupt_after_one(&w, "longer than a block can be");
		break;
	case 6: /* an unknown block's trailer */
		w.p[at] = 0x77;
		w.p[w.n - 1] = 1;
		corrupt_after_one(&w, "another length");
		break;
	case 7: /* a section that does not say its byte order */
		w.n = at;
		help_ng_block(&w, 0x0a0d0d0a, zero, 16);
		corrupt_after_one(&w, "byte-order magic");
		break;
	case 8:
		w.n = at;
		help_ng_section(&w, true);
		w.p[at + 12] = 2;
		corrupt_after_one(&w, "unknown version");
		break;
	case 9: /* an option that runs past its interface */
		w.n = at;
		help_ng_block(&w, 1, "\1\0\0\0\0\0\0\0\2\0\xff\xff", 12);
		corrupt_after_one(&w, "option runs past");
		break;
	case 10:
		w.n = at;
		help_ng_block(&w, 10, "KSLT\5\0\0\0four", 12);
		corrupt_after_one(&w, "secrets run past");
		break;
	case 11: /* the interfaces of a section are not those of the next */
		w.n = at;
		help_ng_section(&w, false);
		help_ng_simple(&w, "x", 1, 0);
		corrupt_after_one(&w, "interface that was not described");
		break;
	case 12:
		w.n = at;
		help_ng_simple(&w, "x", 1, 5);
		corrupt_after_one(&w, "packet runs past its block");
		break;
	default: /* blocks that are too short for their fields */
		w.n = at;
		help_ng_block(&w, (uint32_t[]){ 1, 2, 3, 6, 10 }[_i - 13], zero, _i == 15 ? 0 : 4);
		corrupt_after_one(&w, _i == 17 ? "secrets run past" : "too short");
	}
	help_pcap_clear(&w);
}
END_TEST

START_TEST(pcapng_interfaces_are_capped)
{
	struct help_pcap w = { 0 };
	struct seen s;

	good_start(&w);
	for (size_t i = 1; i < 65536; i++)
		help_ng_block(&w, 1, "\1\0\0\0\0\0\0\0", 8);
	help_ng_packet(&w, 65535, 1, "last", 4, 0);
	read_saved(&s, w.p, w.n, LP_BATCH);
	ck_assert_int_eq(s.end, LP_EOF);
	ck_assert_uint_eq(s.n, 2);
	ck_assert_uint_eq(s.p[1].iface, 65535);
	help_ng_block(&w, 1, "\1\0\0\0\0\0\0\0", 8);
	read_saved(&s, w.p, w.n, LP_BATCH);
	ck_assert_int_eq(s.end, LP_E_FORMAT);
	ck_assert_uint_eq(s.n, 2);
	ck_assert_ptr_nonnull(strstr(s.why, "too many interfaces"));
	help_pcap_clear(&w);
}
END_TEST

START_TEST(what_is_no_capture)
{
	static const char *const text[] = {
		"", "a", "CLIENT_RANDOM 00 00\nand more text to be longer than a header",
		"\xa1\xb2\xc3\xd4\0\3\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1", /* version 3 */
		"\n\r\r\n\0\0\0\x1cnone\0\1\0\0\xff\xff\xff\xff\xff\xff\xff\xff\0\0\0\x1c",
		"\x1f\x8b\x08garbage that is no gzip", "\x28\xb5\x2f\xfdgarbage that is no zstd",
	};
	static const size_t n[] = { 0, 1, 60, 24, 28, 26, 26 };
	struct seen s;

	read_saved(&s, text[_i], n[_i], LP_BATCH);
	ck_assert_int_eq(s.open, LP_E_FORMAT);
	ck_assert_ptr_nonnull(strstr(s.why, "limpid-test-"));
	ck_assert_ptr_nonnull(strstr(s.why, ": not a capture file (pcap or pcapng)"));
	read_stdin(&s, text[_i], n[_i], 1, LP_BATCH);
	ck_assert_int_eq(s.open, LP_E_FORMAT);
	ck_assert_str_eq(s.why, "standard input: not a capture file (pcap or pcapng)");
}
END_TEST

START_TEST(what_cannot_be_opened)
{
	struct seen s;

	read_out(&s, "/nonexistent/\033[31m.pcap", LP_BATCH);
	ck_assert_int_eq(s.open, LP_E_NOENT);
	ck_assert_str_eq(s.why, "/nonexistent/\\x1b[31m.pcap: No such file or directory");
	read_out(&s, "/", LP_BATCH);
	ck_assert_int_eq(s.open, LP_E_IO);
	ck_assert_str_eq(s.why, "/: is a directory, not a capture file");
	read_out(&s, "/dev/null", LP_BATCH);
	ck_assert_int_eq(s.open, LP_E_FORMAT);
}
END_TEST

/* What is whole comes at once, the rest when it is there; silence is LP_OK. */
START_TEST(slow_pipe)
{
	struct help_pcap w = { 0 };
	struct lp_packet p[LP_BATCH];
	char why[LP_WHY_SIZE], path[32];
	struct lp_capture *c;
	int fd[2];
	size_t n;

	help_pcap_begin(&w, true, HELP_PCAP_US, 1);
	three_packets(&w);
	ck_assert_int_eq(pipe(fd), 0);
	snprintf(path, sizeof path, "/dev/fd/%d", fd[0]);
	ck_assert_int_eq(write(fd[1], w.p, w.n - 1), (ssize_t)w.n - 1);
	ck_assert_int_eq(lp_capture_open_file(&c, path, NULL, why), LP_OK);
	ck_assert_int_eq(lp_capture_read(c, p, LP_BATCH, &n), LP_OK);
	ck_assert_uint_eq(n, 2);
	ck_assert_uint_eq(p[0].data[0], 1);
	ck_assert_int_eq(lp_capture_read(c, p, LP_BATCH, &n), LP_OK);
	ck_assert_uint_eq(n, 0);
	ck_assert_int_eq(write(fd[1], w.p + w.n - 1, 1), 1);
	ck_assert_int_eq(lp_capture_read(c, p, LP_BATCH, &n), LP_OK);
	ck_assert_uint_eq(n, 1);
	ck_assert_uint_eq(p[0].number, 3);
	close(fd[1]);
	ck_assert_int_eq(lp_capture_read(c, p, LP_BATCH, &n), LP_EOF);
	lp_capture_close(c);
	close(fd[0]);
	help_pcap_clear(&w);
}
END_TEST

/* Standard input that is a file is read from where it stands. */
START_TEST(stdin_may_be_a_file)
{
	struct help_pcap w = { 0 };
	char path[HELP_PATH];
	struct seen s;
	FILE *f;
	int old;

	help_pcap_bytes(&w, "skipped", 7);
	help_pcap_begin(&w, true, HELP_PCAP_US, 1);
	three_packets(&w);
	help_pcap_save(w.p, w.n, path);
	f = fopen(path, "r");
	ck_assert_ptr_nonnull(f);
	ck_assert_int_eq(lseek(fileno(f), 7, SEEK_SET), 7);
	old = dup(STDIN_FILENO);
	dup2(fileno(f), STDIN_FILENO);
	read_out(&s, "-", LP_BATCH);
	dup2(old, STDIN_FILENO);
	close(old);
	fclose(f);
	unlink(path);
	ck_assert_int_eq(s.end, LP_EOF);
	ck_assert_uint_eq(s.n, 3);
	help_pcap_clear(&w);
}
END_TEST

START_TEST(file_that_shrinks)
{
	struct help_pcap w = { 0 };
	struct lp_packet p[LP_BATCH];
	char why[LP_WHY_SIZE], path[HELP_PATH];
	uint8_t big[5000] = { 0 };
	struct lp_capture *c;
	size_t n;

	help_pcap_begin(&w, true, HELP_PCAP_US, 1);
	for (size_t i = 0; i < 10; i++)
		help_pcap_packet(&w, ts0, big, sizeof big, 0);
	help_pcap_save(w.p, w.n, path);
	ck_assert_int_eq(lp_capture_open_file(&c, path, NULL, why), LP_OK);
	ck_assert_int_eq(lp_capture_read(c, p, 2, &n), LP_OK);
	ck_assert_int_eq(truncate(path, 16000), 0);
	ck_assert_int_eq(lp_capture_read(c, p, LP_BATCH, &n), LP_OK);
	ck_assert_uint_eq(n, 1);
	ck_assert_int_eq(lp_capture_read(c, p, LP_BATCH, &n), LP_E_TRUNCATED);
	lp_capture_close(c);
	unlink(path);
	help_pcap_clear(&w);
}
END_TEST

Suite *suite_capture_file(void)
{
	Suite *s = suite_create("capture_file");
	TCase *t = tcase_create("capture_file");

	tcase_set_timeout(t, 60);
	tcase_add_loop_test(t, pcap_in_every_form, 0, 6);
	tcase_add_test(t, length_below_captured_is_repaired);
	tcase_add_test(t, pcapng_sections_interfaces_and_blocks);
	tcase_add_test(t, pcapng_secrets_come_before_their_packets);
	tcase_add_test(t, pcapng_clocks);
	tcase_add_loop_test(t, pcap_cut_everywhere, 0, 3);
	tcase_add_test(t, pcapng_cut_everywhere);
	tcase_add_loop_test(t, packed_cut_everywhere, 0, 2);
	tcase_add_loop_test(t, packed_in_parts, 0, 2);
	tcase_add_test(t, large_packets_and_blocks);
	tcase_add_test(t, pcap_lying_length);
	tcase_add_loop_test(t, pcapng_lying_lengths, 0, 18);
	tcase_add_test(t, pcapng_interfaces_are_capped);
	tcase_add_loop_test(t, what_is_no_capture, 0, 7);
	tcase_add_test(t, what_cannot_be_opened);
	tcase_add_test(t, slow_pipe);
	tcase_add_test(t, stdin_may_be_a_file);
	tcase_add_test(t, file_that_shrinks);
	suite_add_tcase(s, t);
	return s;
}
