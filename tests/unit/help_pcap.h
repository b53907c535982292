/* Writes pcap and pcapng files for tests, in memory and on disk. Everything is
 * appended to w->p[0..n); nothing is checked, so that wrong files can be made. */
#ifndef HELP_PCAP_H
#define HELP_PCAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { HELP_PCAP_US, HELP_PCAP_NS, HELP_PCAP_MODIFIED };
enum { HELP_PATH = 256 };

struct help_pcap {
	uint8_t *p;
	size_t n, size;
	bool little; /* byte order of what is appended; false is big */
	int kind;    /* of a pcap file, HELP_PCAP_* */
};

/* A zeroed struct is an empty file. */
void help_pcap_clear(struct help_pcap *w);
void help_pcap_bytes(struct help_pcap *w, const void *p, size_t n);
void help_pcap_uint(struct help_pcap *w, uint64_t v, size_t width);

/* A pcap file: the header (w->little and w->kind are set from the arguments). */
void help_pcap_begin(struct help_pcap *w, bool little, int kind, uint32_t link);
/* One packet; len on the wire, 0 = n. */
void help_pcap_packet(struct help_pcap *w, uint64_t ts_ns, const void *p, size_t n, uint32_t len);

/* pcapng blocks. tsresol 6 and tsoffset 0 are the defaults, and not written. */
void help_ng_section(struct help_pcap *w, bool little);
void help_ng_interface(struct help_pcap *w, uint16_t link, uint32_t snaplen, uint8_t tsresol,
		       int64_t tsoffset);
void help_ng_packet(struct help_pcap *w, uint32_t iface, uint64_t ticks, const void *p, size_t n,
		    uint32_t len);
void help_ng_simple(struct help_pcap *w, const void *p, size_t n, uint32_t len);
void help_ng_obsolete(struct help_pcap *w, uint16_t iface, uint64_t ticks, const void *p,
		      size_t n, uint32_t len);
void help_ng_secrets(struct help_pcap *w, uint32_t type, const void *p, size_t n);
void help_ng_block(struct help_pcap *w, uint32_t type, const void *body, size_t n);

/* Puts bytes into a new temporary file; its name is at path. The caller unlinks. */
void help_pcap_save(const void *p, size_t n, char path[HELP_PATH]);

#endif
