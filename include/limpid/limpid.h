/* limpid/limpid.h: embed the engine.
 *
 * limpid reads packets, reassembles TCP, follows TLS and hands what it could open
 * to outputs (limpid/plugin.h). It never sends a packet and keeps no globals.
 *
 * Life: lp_config_new, lp_config_set for each option, lp_engine_new, lp_worker_new,
 * lp_worker_packets for each batch, lp_engine_finish, lp_worker_free, lp_engine_free, lp_config_free.
 * No call blocks but lp_engine_finish. A worker belongs to one thread; where a record does not
 * open, that thread's queue of libcrypto errors is emptied.
 * Functions that return int give 0, or -1 and a line in the `why` given (at least
 * LP_WHY bytes). */
#ifndef LIMPID_LIMPID_H
#define LIMPID_LIMPID_H

#include <stddef.h>
#include <stdint.h>

#include <limpid/plugin.h>

#ifdef __cplusplus
extern "C" {
#endif

enum { LP_WHY = 512 };

struct lp_config;
struct lp_engine;
struct lp_worker;

/* A packet for lp_worker_packets(). link is a LINKTYPE_ number (1 = Ethernet). The
 * bytes are borrowed until the call returns. */
struct lp_wire {
	const uint8_t *data;
	uint32_t caplen; /* bytes at data */
	uint32_t len;    /* bytes on the wire */
	uint64_t ts_ns;  /* nanoseconds since 1970 */
	uint64_t number; /* counts packets from 1, never decreases */
	uint32_t link;
	uint32_t iface;
};

struct lp_config *lp_config_new(void); /* NULL: out of memory */
void lp_config_free(struct lp_config *config);

/* Options by the names of the command line without the dashes: "key", "passphrase-file",
 * "output", "checksums", "crypto", "helper" (the limpid program that becomes the
 * warden), … Those that may repeat add up. limpid.1 lists them. */
int lp_config_set(struct lp_config *config, const char *name, const char *value, char *why);

/* Starts the warden, which reads the keys. The configuration is read during the
 * call only. Open captures after this, so that no packet is near when keys are read. */
struct lp_engine *lp_engine_new(const struct lp_config *config, char *why);
void lp_engine_free(struct lp_engine *engine);

/* Opens the outputs and is ready for packets. This release has one worker. An
 * output that cannot be opened says why on stderr itself; why is "" then. */
struct lp_worker *lp_worker_new(struct lp_engine *engine, char *why);
void lp_worker_free(struct lp_worker *worker);

/* Takes packets, all of them: returns 0. 1: taken, but the holding area is
 * full; call lp_worker_poll() until it returns 0 before giving more (a replay
 * waits here for the warden). -1: a fault of the machine, see lp_engine_why(). */
int lp_worker_packets(struct lp_worker *worker, const struct lp_wire *packets, size_t n);

/* From now on the bytes of packets stay where they are, and as they are, until the worker is freed:
 * what would be copied or hashed is looked at there when it is wanted. As a mapped file's do. */
void lp_worker_lend(struct lp_worker *worker);

/* Secrets that stood in the capture before the packets that follow: the type and the
 * content of a pcapng Decryption Secrets Block. 0; 1: of a type that is not used
 * (known is 0x544C534B, lines of a key log); -1: out of memory. */
int lp_engine_secrets(struct lp_engine *engine, uint32_t type, const void *data, size_t n);

/* Takes in answers of the warden, waiting at most timeout_ms for the first.
 * Returns as lp_worker_packets(). */
int lp_worker_poll(struct lp_worker *worker, int timeout_ms);

/* Readable when lp_worker_poll() has something to do. */
int lp_engine_fd(const struct lp_engine *engine);

/* Milliseconds after which lp_worker_poll() is due whatever the descriptor says (a key
 * log is followed); -1: never. */
int lp_engine_timeout(const struct lp_engine *engine);

/* No packet came, but time passed: fires timers. now_ns is on the packets' clock. */
int lp_worker_advance(struct lp_worker *worker, uint64_t now_ns);

/* The capture ended: waits for the warden, closes every flow and session, closes
 * the outputs. -1 if an output failed at any time. */
int lp_engine_finish(struct lp_engine *engine);

/* What the capture knows beside the packets it gave: packets lost by the kernel, by
 * the interface, and not matched by a filter. For the summary. */
void lp_engine_captured(struct lp_engine *engine, uint64_t kernel_drop, uint64_t if_drop,
			uint64_t filtered);

/* Asks the outputs to reopen their files (log rotation). */
void lp_engine_rotate(struct lp_engine *engine);

/* TLS sessions begun so far. */
uint64_t lp_engine_sessions(const struct lp_engine *engine);

/* 1 once any output failed; the others go on. */
int lp_engine_failed(const struct lp_engine *engine);

/* The line that belongs to the last fault; owned by engine. */
const char *lp_engine_why(const struct lp_engine *engine);

#ifdef __cplusplus
}
#endif
#endif
