/* lp_capture: where packets come from. A source is a file (file.c: our own pcap
 * and pcapng reader), a device (device.c: libpcap), several files as one
 * capture, one after the other or merged by time (source.c).
 * Owner: whoever opened it; lp_capture_close(). Single-threaded.
 * Packets handed out are borrowed until the next read on the same source. */
#ifndef LP_CAPTURE_CAPTURE_H
#define LP_CAPTURE_CAPTURE_H

#include <stdatomic.h>

#include "base/packet.h"

enum {
	LP_BATCH = 64,             /* packets handed on at once, at most */
	LP_MAX_CAPLEN = 262144,    /* bytes; a longer record is a corrupt file */
	LP_WHY_SIZE = 512,         /* room for one error line */
};

struct lp_capture_stats {
	uint64_t packets;     /* handed out */
	uint64_t bytes;       /* captured bytes of those */
	uint64_t filtered;    /* not matched by the BPF filter (files) */
	uint64_t kernel_drop; /* live: lost between kernel and us */
	uint64_t if_drop;     /* live: lost by the interface */
};

/* A pcapng Decryption Secrets Block: type is its secrets type, data the secrets
 * (borrowed for the call). Comes before the packets that follow it in the file. */
typedef void lp_capture_secrets(void *user, uint32_t type, lp_span data);

struct lp_capture_config {
	const char *filter;        /* BPF expression or NULL */
	lp_capture_secrets *secrets; /* or NULL */
	void *user;
	uint32_t snaplen;          /* live; 0 = LP_MAX_CAPLEN */
	uint32_t buffer_bytes;     /* live: kernel buffer; 0 = the library's default */
	bool promiscuous;          /* live */
	/* Where packets get their numbers from, so that those of several captures have an
	 * order: it holds the last that was given. Outlives them. NULL: 1, 2, 3, … */
	atomic_uint_fast64_t *number;
};

struct lp_capture;

/* Each open gives LP_OK and *out, or a fault and one clear line (no prefix, no
 * newline) in why, which has LP_WHY_SIZE bytes. "-" is standard input. Opening a
 * file checks its magic: LP_E_FORMAT if it is no capture. */
LP_MUST enum lp_err lp_capture_open_file(struct lp_capture **out, const char *path,
					 const struct lp_capture_config *config, char *why);
LP_MUST enum lp_err lp_capture_open_device(struct lp_capture **out, const char *name,
					   const struct lp_capture_config *config, char *why);

/* n handles of one device, each for a thread of its own, among which the kernel shares the
 * packets out: all of a connection to one, as long as its addresses and ports are not
 * within a tunnel (VLAN tags and GRE the kernel looks through). Packets count from the
 * moment when all are open. LP_E_UNSUPPORTED: this system cannot do that. */
LP_MUST enum lp_err lp_capture_open_fanout(struct lp_capture **out, size_t n, const char *name,
					   const struct lp_capture_config *config, char *why);

/* Several files as one capture: in the order given, or (merge) side by side by
 * time. The paths are borrowed for the call. All files are opened and checked
 * now, so that a wrong name shows before the first packet. A file that is cut short
 * or corrupt costs its rest only: the next goes on, and the fault comes at the end
 * of all. */
LP_MUST enum lp_err lp_capture_open_files(struct lp_capture **out, const char *const *paths,
					  size_t n, bool merge,
					  const struct lp_capture_config *config, char *why);

/* Hands the secrets of a pcapng file to config's callback, wherever they stand in it, so
 * that they are known before its first packet. Does nothing for what is no regular file
 * or is compressed; faults show when the file is read. */
void lp_capture_scan_secrets(const char *path, const struct lp_capture_config *config);

/* Whether it hands out all that the file has: its packets bring no more. */
bool lp_capture_scans(const char *path);

/* The next packets, at most max (>= 1), into p. LP_OK with *n > 0; LP_OK with
 * *n == 0: nothing just now (device, or a pipe that was silent for 250 ms, or a
 * signal, or a long stretch that the filter does not want); LP_EOF: the end;
 * LP_E_TRUNCATED: the input stopped in the middle of a packet;
 * LP_E_FORMAT: it is corrupt from here on; LP_E_IO: the machine failed. Everything
 * before a fault has been handed out. lp_capture_why() tells more. */
LP_MUST enum lp_err lp_capture_read(struct lp_capture *c, struct lp_wire *p, size_t max,
				    size_t *n);

/* Asks that packets stay where they are until lp_capture_close(), whatever is read after them;
 * false: they do not, as before. Mapped files can. One that shrinks meanwhile may then raise
 * SIGBUS for as long as somebody looks at its packets.
 * behind: so many bytes behind the reader are still to be looked at, 0 if it does that itself;
 * they count as this process's memory, and for a while what somebody looks at who is further
 * behind. */
bool lp_capture_lend(struct lp_capture *c, size_t behind);

/* Such bytes where others look at what was read. */
enum { LP_CAPTURE_LENT = 6 << 20 };

/* The line that belongs to the last fault; owned by c. */
const char *lp_capture_why(const struct lp_capture *c);

/* A descriptor that becomes readable when packets may be there, or -1 (files).
 * Wait on it only after a read has given *n == 0. */
int lp_capture_fd(const struct lp_capture *c);

/* True for devices. */
bool lp_capture_live(const struct lp_capture *c);

/* How much of the files has been read, in bytes as they lie on the disk (of a pipe: as they
 * came, unpacked), and how long they are together; *total is 0 if that is not known. */
void lp_capture_position(const struct lp_capture *c, uint64_t *done, uint64_t *total);

void lp_capture_stats(struct lp_capture *c, struct lp_capture_stats *out);
void lp_capture_close(struct lp_capture *c);

#endif
