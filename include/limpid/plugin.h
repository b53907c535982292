/* limpid/plugin.h: write an output for limpid.
 *
 * A plugin is a shared object that exports
 *
 *     const struct lp_plugin lp_plugin_entry = { LP_PLUGIN_ABI, sizeof(struct lp_plugin), … };
 *
 * and is loaded with `-o ./name.so[:ARG][,key=value…]`. The built-in outputs are
 * written against this same header; examples/sample is one to start from.
 *
 * Rules
 *  - All callbacks of all outputs come from one thread, in the order of the packets
 *    that released them: replaying a file twice gives the same calls.
 *  - Any callback may be NULL. Everything passed is borrowed until the callback
 *    returns, unless a longer life is stated. No pointer is NULL unless it is said
 *    that it may be.
 *  - Structs begin with their size and only ever grow at the end: test `size`
 *    before using a member that is newer than LP_PLUGIN_ABI 1. lp_stamp,
 *    lp_dir_totals, lp_counter and lp_option have none, for they never change.
 *  - Order in one flow: flow_begin, [clear data], session_begin, session_ready for
 *    each epoch, data and gaps, session_end, [clear data or the next session],
 *    flow_end. session_end also comes for sessions that stayed opaque. When the
 *    capture ends, all that is open ends; only a fault of limpid's can leave ends out.
 *  - Only bytes whose MAC or tag verified are ever handed out as DECRYPTED.
 *  - open() that fails ends limpid with status 1, without a close(). Another callback
 *    that fails stops this output only: it gets no more calls but close(), so it must
 *    know what it keeps for flows and sessions without being told their ends. The
 *    exit status is 1 then, and a replay ends at once. A plugin that would rather try
 *    again later returns 0, and -1 from close().
 *  - A callback that waits holds up everything, in a live capture until packets are
 *    lost. SIGPIPE is ignored; leave signals alone, block them in threads of your own.
 *  - Files and sockets are opened in open(); after it limpid may have given up its
 *    rights. The shared object is unloaded after close().
 *  - Times are nanoseconds since 1970 (UTC), lengths are bytes, addresses are in
 *    network byte order, ports and all other integers in host byte order.
 *  - Text that came from the network has been escaped: it is valid UTF-8 without
 *    control characters. What data() hands out is as it was sent.
 *
 * In C++ the entry is `extern "C"` by its declaration at the end of this header. */
#ifndef LIMPID_PLUGIN_H
#define LIMPID_PLUGIN_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define LP_PLUGIN_ABI 1u

/* Direction of bytes, and index of what there is for each. The client is who sent the
 * ClientHello; in a flow without TLS, who opened the connection, or, if that was not
 * captured, who was seen first. */
enum lp_dir { LP_C2S = 0, LP_S2C = 1 };

/* What lp_plugin.wants asks data() for. Everything else comes to all: sessions that
 * stayed opaque too, so there is no wish for them, and what they could not say stands
 * in lp_session_result. Whether a flow will turn to TLS is not known from its first
 * bytes, so under --cleartext (lp_host.cleartext) either of the last two gives all clear
 * data and its gaps. Without it the first of them gives what stood before a session, told
 * when that begins, and nothing of a flow in which none does. open() may withdraw wishes
 * that its options make idle (lp_host.withdraw): kept preludes take memory. */
enum lp_wants {
	LP_WANT_DATA = 1,      /* decrypted application data */
	LP_WANT_PRELUDE = 2,   /* clear bytes before TLS in the same flow (STARTTLS, proxies) */
	LP_WANT_CLEARTEXT = 4, /* clear bytes of flows that are not TLS */
};

enum lp_data_kind { LP_DATA_CLEAR = 1, LP_DATA_DECRYPTED = 2 };

/* How one direction ended. */
enum lp_end {
	LP_END_CLOSE_NOTIFY = 1,
	LP_END_FIN = 2,     /* FIN without close_notify: truncation is possible */
	LP_END_RST = 3,
	LP_END_IDLE = 4,    /* timed out */
	LP_END_CAPTURE = 5, /* the capture ended first */
	LP_END_LOST = 6,    /* evicted, reused or given up */
};

enum lp_verdict { LP_DECRYPTED = 1, LP_PARTIAL = 2, LP_OPAQUE = 3 };

enum lp_resumed { LP_RESUMED_NO = 0, LP_RESUMED_ID = 1, LP_RESUMED_TICKET = 2 };

/* When something happened. (packet, index) is its place, which in a replay never
 * decreases from call to call. */
struct lp_stamp {
	uint64_t packet;         /* number of the packet that released it, from 1 */
	uint64_t index;          /* counts within that packet */
	uint64_t ts_ns;          /* time of that packet */
	uint64_t carried_ns;     /* time of the packet that carried the bytes; 0: none did */
};

/* One TCP connection. Lives from flow_begin to the return of flow_end, at the same
 * address. Connections that differ in their VLAN only are different flows. */
struct lp_flow_info {
	size_t size;
	uint64_t flow_id;        /* 51 bits; the same in every replay */
	int family;              /* 4 or 6 */
	uint8_t client_addr[16]; /* 4 or 16 bytes used */
	uint8_t server_addr[16];
	uint16_t client_port;
	uint16_t server_port;
	uint64_t first_packet;   /* number of the packet that began it */
	uint64_t first_ns;
	const char *client_text; /* "192.0.2.1" */
	const char *server_text;
	char community_id[32];   /* Community ID v1, "1:…", or "" */
};

/* An X.509 certificate; NULL text means unknown. */
struct lp_cert_info {
	size_t size;
	const char *subject;     /* "C=DE, O=…, CN=…" */
	const char *issuer;
	const char *serial;      /* "0A:1B:…" */
	const char *not_before;  /* "2026-11-21T00:00:00" */
	const char *not_after;
	const char *sha1;        /* "aa:bb:…", the fingerprint Suricata prints */
	const char *sha256;      /* 64 hexadecimal digits */
};

/* A session ticket (RFC 5077) as it is seen from outside. */
struct lp_ticket_info {
	size_t size;
	size_t length;           /* of the ticket */
	uint8_t name[16];        /* its first bytes (zeros beyond its end): with most servers
	                          * the name of the key that sealed it */
	uint64_t id;             /* a hash of the whole ticket, the same in every run; for
	                          * recognition, not for security */
	uint32_t lifetime;       /* of one that was issued: the server's hint in seconds, or 0 */
};

/* One TLS connection. Lives from session_begin to the return of session_end, at the
 * same address; what its members point to, until the callback returns. They are
 * filled in as they become known, and describe the last completed handshake. Unknown
 * is NULL for every text and list, 0 or -1 for numbers as stated. */
struct lp_session_info {
	size_t size;
	uint64_t number;             /* counts sessions in order of session_begin, from 1 */
	uint64_t start_ns;           /* packet time of the ClientHello */
	uint16_t version;            /* wire version, 0x0303 = TLS 1.2; 0 unknown */
	uint16_t suite;              /* cipher suite number; 0 unknown */
	const char *version_text;    /* "TLS 1.2" */
	const char *suite_text;      /* IANA name */
	const char *sni;             /* server_name (RFC 6066) */
	int ems;                     /* Extended Master Secret: 1, 0, -1 unknown */
	int etm;                     /* encrypt-then-MAC: 1, 0, -1 unknown */
	int resumed;                 /* enum lp_resumed, -1 unknown */
	int client_cert;             /* the client sent a certificate: 1, 0, -1 unknown */
	unsigned renegotiations;     /* completed handshakes after the first */
	const char *const *client_alpns; /* offered, NULL-terminated; or NULL */
	const char *const *server_alpns; /* chosen, NULL-terminated; or NULL */
	const char *ja3_string, *ja3_hash;
	const char *ja3s_string, *ja3s_hash;
	const char *ja4;
	const struct lp_cert_info *server_cert; /* NULL if none was seen */
	const struct lp_cert_info *client_cert_info;
	const char *secret;          /* what opened it: "rsa-key NAME", "ticket-key FILE", "key-log", … */
	unsigned epoch;              /* of the last session_ready, from 1; 0 before */
	uint32_t group;              /* named group of the key exchange, 0 unknown */
	const struct lp_ticket_info *ticket; /* what the client offered, and what was resumed if
	                                      * resumed is LP_RESUMED_TICKET; NULL if nothing */
	const struct lp_ticket_info *new_ticket; /* issued by the server; NULL if none was seen */
	const uint8_t *session_id;   /* of the ServerHello, at most 32 bytes; NULL if empty or */
	size_t session_id_n;         /* … not seen */
	const char *group_text;      /* its name, "x25519", or "0x1234" */
	uint32_t exchange_bits;      /* length of the DH prime or temporary RSA key, 0 unknown */
	int compression;             /* method: 0 none, 1 DEFLATE, -1 unknown */
	const char *compression_text; /* "none", "deflate", "method 64" */
};

/* Bytes of one direction of a session on the wire, gaps included; the sum of the
 * others is stream. clear counts application bytes that came out. */
struct lp_dir_totals {
	uint64_t stream;
	uint64_t opened;      /* records whose content came out */
	uint64_t handshake;   /* handshake and ChangeCipherSpec records */
	uint64_t alert;
	uint64_t opaque;      /* whole records that stayed closed */
	uint64_t lost;        /* not captured, or spoilt by what was not; of a session that stays
	                       * closed, until that was known: then all is opaque */
	uint64_t clear;
	uint64_t records;     /* application records opened */
	uint64_t records_closed; /* application records that stayed closed */
};

struct lp_session_result {
	size_t size;
	enum lp_verdict verdict;
	const char *reason;          /* stable code: "complete", "no-key", … */
	const char *detail;          /* what happened, without a full stop; may be NULL or "" */
	const char *advice;          /* a sentence: what the operator can do; may be NULL or "" */
	const char *const *notes;    /* NULL-terminated: "truncated", …; may be NULL */
	enum lp_end end[2];          /* by enum lp_dir */
	struct lp_dir_totals total[2];
	/* NULL: of each record that was opened the MAC or tag was checked. "first": of some only
	 * the padding (--verify first). Newer than ABI 1: test size, and take NULL. */
	const char *verified;
};

/* A hole: stream_bytes of the wire, from the end of the last opened record to the
 * start of the next. The clear bytes in it number clear_min to clear_max (lost alerts
 * count as if they had been data: what was lost cannot be told apart). records
 * is how many records were lost, 0 if unknown. In clear data all three figures of
 * bytes are the same. A record that was captured and stays closed between others is told
 * as a hole of its own; its bytes count as opaque, not as lost. */
struct lp_gap_info {
	size_t size;
	uint64_t stream_bytes;
	uint64_t records;
	uint64_t clear_min, clear_max;
};

struct lp_counter {
	const char *name;
	uint64_t value;
};

/* Handed to close(): the counters of the run. Those named drop.REASON count the
 * packets that were not processed, each exactly once; the others stand beside
 * that sum. */
struct lp_summary {
	size_t size;
	const struct lp_counter *counters; /* "drop.arp", "drop.bad_csum", "flow.opened",
	                                    * "flow.no_tls", "flow.empty", "tcp.gaps",
	                                    * "capture.kernel_drop", "capture.if_drop", … */
	size_t counters_n;
	uint64_t packets;        /* read from the capture */
	uint64_t first_ns, last_ns; /* packet times */
	int cap_reached;         /* some table was full: the order of events may differ in another run */
};

struct lp_option {
	const char *key;
	const char *value;       /* may be "" */
};

/* What limpid offers to a plugin; valid from the call of open() to the return of
 * close(), as are the arguments of open(). */
struct lp_host {
	size_t size;
	/* One line on stderr, prefixed with the plugin's name; line has no \n. To be
	 * called in callbacks only. */
	void (*log)(const struct lp_host *host, const char *line);
	int live;                /* 1: a device is sniffed, 0: a capture is replayed */
	int quiet;               /* 1: -q was given */
	int stdout_taken;        /* 1: an output writes to standard output, so messages go to stderr */
	int print_data;          /* 1: -d was given */
	int cleartext;           /* 1: --cleartext was given */
	int dirfd;               /* working directory at start, for openat(2) */
	/* A few words on what a reason code, a note or a counter "drop.REASON" means,
	 * NULL if it is unknown; lives as long as the process. May itself be NULL. */
	const char *(*meaning)(const char *code);
	/* A sentence: what the operator can do about a reason code. NULL if it is unknown,
	 * "" if there is nothing to be done; lives as long as the process. May itself be
	 * NULL. */
	const char *(*advice)(const char *code);
	/* In open() only: of lp_plugin.wants these (enum lp_wants, or-ed) are not wanted after
	 * all. Newer than ABI 1: test size, and do without. */
	void (*withdraw)(const struct lp_host *host, uint32_t wants);
};

/* Callbacks return 0, or -1 for a fault that stops this output. `self` is what
 * open() stored, NULL if there is no open(). `flow` and `session` point to a pointer
 * that is the plugin's own for that flow or session, NULL at the beginning; what it
 * points to, the plugin frees. Where tls is NULL, there is no session, and what is
 * stored in *session is forgotten. */
struct lp_plugin {
	uint32_t abi;            /* LP_PLUGIN_ABI */
	uint32_t size;           /* sizeof(struct lp_plugin) */
	const char *name;
	uint32_t wants;          /* enum lp_wants, or-ed */

	/* arg: what stood after the colon, or NULL; options may be NULL if there are none.
	 * Says what is wrong through host->log, in one line, before it returns -1. */
	int (*open)(void **self, const struct lp_host *host, const char *arg,
		    const struct lp_option *options, size_t options_n);

	int (*flow_begin)(void *self, void **flow, const struct lp_flow_info *info,
			  const struct lp_stamp *at);
	int (*session_begin)(void *self, void **flow, void **session,
			     const struct lp_flow_info *info, const struct lp_session_info *tls,
			     const struct lp_stamp *at);
	/* Keys of tls->epoch are proven. */
	int (*session_ready)(void *self, void **flow, void **session,
			     const struct lp_flow_info *info, const struct lp_session_info *tls,
			     const struct lp_stamp *at);
	/* n is never 0. tls is NULL for clear data. A prelude of a flow in which TLS follows
	 * comes before session_begin, with kind LP_DATA_CLEAR. A piece is what one record
	 * held, or one segment: bytes of the application may be cut anywhere. */
	int (*data)(void *self, void **flow, void **session, const struct lp_flow_info *info,
		    const struct lp_session_info *tls, enum lp_dir dir, enum lp_data_kind kind,
		    const uint8_t *bytes, size_t n, const struct lp_stamp *at);
	/* A hole in what data() gives. tls is NULL in clear data. */
	int (*gap)(void *self, void **flow, void **session, const struct lp_flow_info *info,
		   const struct lp_session_info *tls, enum lp_dir dir,
		   const struct lp_gap_info *gap, const struct lp_stamp *at);
	int (*session_end)(void *self, void **flow, void **session,
			   const struct lp_flow_info *info, const struct lp_session_info *tls,
			   const struct lp_session_result *result, const struct lp_stamp *at);
	/* end: how the TCP connection's two directions ended. */
	int (*flow_end)(void *self, void **flow, const struct lp_flow_info *info,
			const enum lp_end end[2], const struct lp_stamp *at);

	/* About once a second of packet time; in a live capture without packets too. now_ns
	 * is on the clock of lp_stamp and never goes back. */
	int (*tick)(void *self, uint64_t now_ns);
	int (*rotate)(void *self);                 /* reopen files (SIGHUP) */
	/* The last call; summary is NULL if the run did not end in order. Returns -1
	 * if something could not be written. */
	int (*close)(void *self, const struct lp_summary *summary);
};

/* What a plugin defines. */
extern const struct lp_plugin lp_plugin_entry;

#ifdef __cplusplus
}
#endif
#endif
