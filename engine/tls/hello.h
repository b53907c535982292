/* ClientHello and ServerHello (RFC 5246 section 7.4.1, extensions of RFC 6066,
 * 7301, 7366, 7627, 8446 …), parsed into spans of the message.
 *
 * Owner: the caller's stack. All spans are borrowed from the message. Nothing is
 * allocated. The framing of the message, the list of extensions, and those known
 * extensions that every peer has to understand must be exact: LP_E_TRUNCATED or
 * LP_E_FORMAT and a static sentence fragment in *why otherwise ("duplicate
 * extension", "malformed server_name", …). An extension type that limpid does not
 * know is skipped, as RFC 5246 wants; values of GREASE (RFC 8701) are such types. */
#ifndef LP_TLS_HELLO_H
#define LP_TLS_HELLO_H

#include "base/cursor.h"

/* IANA "TLS ExtensionType Values". */
enum lp_ext {
	LP_EXT_SERVER_NAME = 0,
	LP_EXT_MAX_FRAGMENT = 1,
	LP_EXT_TRUNCATED_HMAC = 4,
	LP_EXT_STATUS_REQUEST = 5,
	LP_EXT_GROUPS = 10,
	LP_EXT_POINT_FORMATS = 11,
	LP_EXT_SIGNATURES = 13,
	LP_EXT_HEARTBEAT = 15,
	LP_EXT_ALPN = 16,
	LP_EXT_ENCRYPT_THEN_MAC = 22,
	LP_EXT_MASTER_SECRET = 23,
	LP_EXT_RECORD_SIZE_LIMIT = 28,
	LP_EXT_TICKET = 35,
	LP_EXT_PRE_SHARED_KEY = 41,
	LP_EXT_EARLY_DATA = 42,
	LP_EXT_VERSIONS = 43,
	LP_EXT_PSK_MODES = 45,
	LP_EXT_KEY_SHARE = 51,
	LP_EXT_NPN = 0x3374,
	LP_EXT_CHANNEL_ID = 0x7550,
	LP_EXT_ECH = 0xfe0d,
	LP_EXT_RENEGOTIATION = 0xff01,
};

/* Which of the known extensions are there: bits of lp_hello_exts.seen. */
enum lp_ext_bit {
	LP_HAS_SNI = 1 << 0,
	LP_HAS_MAX_FRAGMENT = 1 << 1,
	LP_HAS_TRUNCATED_HMAC = 1 << 2,
	LP_HAS_STATUS = 1 << 3,
	LP_HAS_GROUPS = 1 << 4,
	LP_HAS_POINT_FORMATS = 1 << 5,
	LP_HAS_SIGNATURES = 1 << 6,
	LP_HAS_HEARTBEAT = 1 << 7,
	LP_HAS_ALPN = 1 << 8,
	LP_HAS_ETM = 1 << 9,
	LP_HAS_EMS = 1 << 10,
	LP_HAS_RECORD_SIZE = 1 << 11,
	LP_HAS_TICKET = 1 << 12,
	LP_HAS_PSK = 1 << 13,
	LP_HAS_EARLY_DATA = 1 << 14,
	LP_HAS_VERSIONS = 1 << 15,
	LP_HAS_PSK_MODES = 1 << 16,
	LP_HAS_KEY_SHARE = 1 << 17,
	LP_HAS_NPN = 1 << 18,
	LP_HAS_CHANNEL_ID = 1 << 19,
	LP_HAS_ECH = 1 << 20,
	LP_HAS_RENEGOTIATION = 1 << 21,
};

struct lp_client_hello {
	uint16_t version;       /* client_version: also what the premaster secret carries */
	lp_span random;         /* 32 bytes */
	lp_span session_id;     /* 0 to 32 bytes */
	lp_span suites;         /* pairs of bytes, in the client's order */
	lp_span compressions;
	bool has_extensions;    /* the list is there (it may be empty) */
	lp_span extensions;     /* the list without its length; walk with lp_hello_extension() */
	uint32_t seen;          /* enum lp_ext_bit */
	lp_span sni;            /* the first host_name, as sent: escape before showing */
	lp_span ticket;         /* empty: the client only asks for one */
	lp_span alpn;           /* the names, each with a length byte */
	lp_span groups;         /* pairs of bytes */
	lp_span point_formats;
	lp_span signatures;     /* pairs of bytes */
	lp_span versions;       /* pairs of bytes, of supported_versions */
	uint8_t max_fragment;   /* RFC 6066 section 4: 1 to 4; 0 without the extension */
};

struct lp_server_hello {
	uint16_t version;       /* the one negotiated: supported_versions counts if there */
	uint16_t legacy_version;/* the field of the message */
	lp_span random;
	lp_span session_id;
	uint16_t suite;
	uint8_t compression;
	bool has_extensions;
	lp_span extensions;
	uint32_t seen;
	lp_span alpn;           /* the one name, with its length byte */
	uint8_t max_fragment;
	uint16_t group;         /* of key_share (TLS 1.3); 0 without */
	bool retry;             /* a HelloRetryRequest (RFC 8446 section 4.1.3) */
};

/* What a hello of SSL 2.0 (RFC 5246 appendix E.2) says in the words of TLS. */
enum { LP_V2_SUITES = 512 };
struct lp_v2_hello {
	uint8_t random[32];                /* the challenge, zeros before it */
	uint8_t suites[2 * LP_V2_SUITES];  /* those that TLS knows */
};

/* body: the message without its type. Spans of out point into v2 as well. */
LP_MUST enum lp_err lp_client_hello_read_v2(struct lp_client_hello *out, struct lp_v2_hello *v2,
					    lp_span body, const char **why);

/* body: the message without its 4-byte header. */
LP_MUST enum lp_err lp_client_hello_read(struct lp_client_hello *out, lp_span body,
					 const char **why);
LP_MUST enum lp_err lp_server_hello_read(struct lp_server_hello *out, lp_span body,
					 const char **why);

/* Walks a list of extensions that has been read above: false at its end. */
bool lp_hello_extension(struct lp_cursor *c, uint16_t *type, lp_span *body);

/* The values that RFC 8701 reserves: 0x0A0A, 0x1A1A, … 0xFAFA. */
static inline bool lp_hello_is_grease(uint16_t value)
{
	return (value & 0x0f0f) == 0x0a0a && value >> 8 == (value & 0xff);
}

/* Whether a value stands in a list of big-endian pairs. */
bool lp_hello_has(lp_span pairs, uint16_t value);

#endif
