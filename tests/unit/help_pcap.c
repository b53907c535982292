#define _GNU_SOURCE
#include "help_pcap.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void help_pcap_clear(struct help_pcap *w)
{
	free(w->p);
	*w = (struct help_pcap){ 0 };
}

void help_pcap_bytes(struct help_pcap *w, const void *p, size_t n)
{
	if (w->n + n > w->size) {
		w->size = (w->n + n) * 2;
		w->p = realloc(w->p, w->size);
		ck_assert_ptr_nonnull(w->p);
	}
	if (n)
		memcpy(w->p + w->n, p, n);
	w->n += n;
}

void help_pcap_uint(struct help_pcap *w, uint64_t v, size_t width)
{
	uint8_t bytes[8];

	for (size_t i = 0; i < width; i++)
		bytes[w->little ? i : width - 1 - i] = (uint8_t)(v >> 8 * i);
	help_pcap_bytes(w, bytes, width);
}

void help_pcap_begin(struct help_pcap *w, bool little, int kind, uint32_t link)
{
	static const uint32_t magic[] = { 0xa1b2c3d4, 0xa1b23c4d, 0xa1b2cd34 };

	w->little = little;
	w->kind = kind;
	help_pcap_uint(w, magic[kind], 4);
	help_pcap_uint(w, 2, 2);
	help_pcap_uint(w, 4, 2);
	help_pcap_uint(w, 0, 8);
	help_pcap_uint(w, 262144, 4);
	help_pcap_uint(w, link, 4);
}

void help_pcap_packet(struct help_pcap *w, uint64_t ts_ns, const void *p, size_t n, uint32_t len)
{
	help_pcap_uint(w, ts_ns / 1000000000, 4);
	help_pcap_uint(w, ts_ns % 1000000000 / (w->kind == HELP_PCAP_NS ? 1 : 1000), 4);
	help_pcap_uint(w, n, 4);
	help_pcap_uint(w, len ? len : n, 4);
	if (w->kind == HELP_PCAP_MODIFIED)
		help_pcap_uint(w, 0x0102030405060708, 8);
	help_pcap_bytes(w, p, n);
}

static void pad(struct help_pcap *w, size_t n)
{
	static const uint8_t zero[4];

	help_pcap_bytes(w, zero, -n & 3);
}

/* Starts a block whose length is filled in by end_block(). */
static size_t begin_block(struct help_pcap *w, uint32_t type)
{
	size_t at = w->n;

	help_pcap_uint(w, type, 4);
	help_pcap_uint(w, 0, 4);
	return at;
}

static void end_block(struct help_pcap *w, size_t at)
{
	size_t end = w->n + 4;

	help_pcap_uint(w, end - at, 4);
	memcpy(w->p + at + 4, w->p + end - 4, 4);
}

void help_ng_section(struct help_pcap *w, bool little)
{
	size_t at;

	w->little = little;
	at = begin_block(w, 0x0a0d0d0a);
	help_pcap_uint(w, 0x1a2b3c4d, 4);
	help_pcap_uint(w, 1, 2);
	help_pcap_uint(w, 0, 2);
	help_pcap_uint(w, UINT64_MAX, 8);
	end_block(w, at);
}

void help_ng_interface(struct help_pcap *w, uint16_t link, uint32_t snaplen, uint8_t tsresol,
		       int64_t tsoffset)
{
	size_t at = begin_block(w, 1);

	help_pcap_uint(w, link, 2);
	help_pcap_uint(w, 0, 2);
	help_pcap_uint(w, snaplen, 4);
	help_pcap_uint(w, 2, 2); /* if_name, a value with padding */
	help_pcap_uint(w, 3, 2);
	help_pcap_bytes(w, "eth", 4);
	if (tsresol != 6) {
		help_pcap_uint(w, 9, 2);
		help_pcap_uint(w, 1, 2);
		help_pcap_bytes(w, &tsresol, 1);
		pad(w, 1);
	}
	if (tsoffset) {
		help_pcap_uint(w, 14, 2);
		help_pcap_uint(w, 8, 2);
		help_pcap_uint(w, (uint64_t)tsoffset, 8);
	}
	help_pcap_uint(w, 0, 4);
	end_block(w, at);
}

static void packet_body(struct help_pcap *w, uint64_t ticks, const void *p, size_t n, uint32_t len)
{
	help_pcap_uint(w, ticks >> 32, 4);
	help_pcap_uint(w, ticks & UINT32_MAX, 4);
	help_pcap_uint(w, n, 4);
	help_pcap_uint(w, len ? len : n, 4);
	help_pcap_bytes(w, p, n);
	pad(w, n);
}

void help_ng_packet(struct help_pcap *w, uint32_t iface, uint64_t ticks, const void *p, size_t n,
		    uint32_t len)
{
	size_t at = begin_block(w, 6);

	help_pcap_uint(w, iface, 4);
	packet_body(w, ticks, p, n, len);
	end_block(w, at);
}

void help_ng_obsolete(struct help_pcap *w, uint16_t iface, uint64_t ticks, const void *p,
		      size_t n, uint32_t len)
{
	size_t at = begin_block(w, 2);

	help_pcap_uint(w, iface, 2);
	help_pcap_uint(w, 0xffff, 2);
	packet_body(w, ticks, p, n, len);
	end_block(w, at);
}

void help_ng_simple(struct help_pcap *w, const void *p, size_t n, uint32_t len)
{
	size_t at = begin_block(w, 3);

	help_pcap_uint(w, len ? len : n, 4);
	help_pcap_bytes(w, p, n);
	pad(w, n);
	end_block(w, at);
}

void help_ng_secrets(struct help_pcap *w, uint32_t type, const void *p, size_t n)
{
	size_t at = begin_block(w, 10);

	help_pcap_uint(w, type, 4);
	help_pcap_uint(w, n, 4);
	help_pcap_bytes(w, p, n);
	pad(w, n);
	end_block(w, at);
}

void help_ng_block(struct help_pcap *w, uint32_t type, const void *body, size_t n)
{
	size_t at = begin_block(w, type);

	help_pcap_bytes(w, body, n);
	pad(w, n);
	end_block(w, at);
}

void help_pcap_save(const void *p, size_t n, char path[HELP_PATH])
{
	const char *dir = getenv("TMPDIR");
	int fd;

	snprintf(path, HELP_PATH, "%s/limpid-test-XXXXXX", dir && *dir ? dir : "/tmp");
	fd = mkstemp(path);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(write(fd, p, n), (ssize_t)n);
	close(fd);
}
