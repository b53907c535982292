/* One handshake message, in its place: the first byte says which, the second in which version
 * and with which key exchange, the third how it is cut into fragments; the rest is its body.
 * What comes before it is as it should be, and what may follow follows. Seeds: a folder
 * for all, a file for each kind. */
#include <stdlib.h>
#include <string.h>

#include "tls/handshake.h"
#include "tls/snapshot.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Messages that are as they should be; upper case is the client's. S, s: ChangeCipherSpec.
 * '*' is the one at hand. */
static const struct {
	uint8_t type;
	enum lp_dir dir;
	const char *way;
} kinds[] = {
	{ LP_MSG_CLIENT_HELLO, LP_C2S, "*hcdXSFsf" },
	{ LP_MSG_SERVER_HELLO, LP_S2C, "H*cdXSFsf" },
	{ LP_MSG_HELLO_REQUEST, LP_S2C, "Hh*cdXSFsf" },
	{ LP_MSG_SUPPLEMENTAL_DATA, LP_S2C, "Hh*cdXSFsf" },
	{ LP_MSG_CERTIFICATE, LP_S2C, "Hh*dXSFsf" },
	{ LP_MSG_CERTIFICATE_STATUS, LP_S2C, "Hhc*dXSFsf" },
	{ LP_MSG_SERVER_KEY_EXCHANGE, LP_S2C, "Hhc*dXSFsf" },
	{ LP_MSG_CERTIFICATE_REQUEST, LP_S2C, "Hhc*dCXVSFsf" },
	{ LP_MSG_SERVER_HELLO_DONE, LP_S2C, "Hhc*XSFsf" },
	{ LP_MSG_CERTIFICATE, LP_C2S, "Hhcrd*XVSFsf" },
	{ LP_MSG_CERTIFICATE_URL, LP_C2S, "Hhcrd*XVSFsf" },
	{ LP_MSG_CLIENT_KEY_EXCHANGE, LP_C2S, "Hhcd*SFsf" },
	{ LP_MSG_CERTIFICATE_VERIFY, LP_C2S, "HhcrdCX*SFsf" },
	{ LP_MSG_NEW_SESSION_TICKET, LP_S2C, "HhcdXS*Fsf" },
	{ LP_MSG_NEW_SESSION_TICKET, LP_S2C, "Hh*sfSF" },
	{ LP_MSG_FINISHED, LP_C2S, "HhcdXS*sf" },
	{ LP_MSG_FINISHED, LP_S2C, "HhcdXSFs*" },
	{ LP_MSG_FINISHED, LP_S2C, "Hhs*SF" },
	{ LP_MSG_NEXT_PROTOCOL, LP_C2S, "HhcdXS*Fsf" },
	{ LP_MSG_ENCRYPTED_EXTENSIONS, LP_C2S, "HhcdXS*Fsf" },
};
enum { KINDS = sizeof kinds / sizeof kinds[0] };

/* A suite of each key exchange. */
static const uint16_t suites[16] = {
	0x002f, 0x0033, 0xc02f, 0x008c, 0x0094, 0x0090, 0xc035, 0xc004,
	0x0031, 0x0003, 0xc01d, 0x009c, 0x0030, 0xc02c, 0x0034, 0x0a0a,
};

struct play {
	struct lp_handshake *hs;
	struct lp_messages m[2];
	uint8_t minor;
	uint16_t suite;
	size_t piece;
};

static void push(struct play *x, enum lp_dir dir, const uint8_t *p, size_t n, size_t piece)
{
	struct lp_message msg;

	for (size_t at = 0; at < n; at += piece) {
		lp_messages_push(&x->m[dir], lp_span_of(p + at, n - at < piece ? n - at : piece));
		while (lp_messages_next(&x->m[dir], &msg) == LP_OK)
			if (lp_handshake_message(x->hs, dir, &msg) && !x->hs->why)
				abort();
	}
}

static void say(struct play *x, enum lp_dir dir, uint8_t type, const uint8_t *body, size_t n,
		size_t piece)
{
	uint8_t *whole = malloc(4 + n);

	if (!whole)
		abort();
	whole[0] = type;
	whole[1] = (uint8_t)(n >> 16);
	whole[2] = (uint8_t)(n >> 8);
	whole[3] = (uint8_t)n;
	if (n)
		memcpy(whole + 4, body, n);
	push(x, dir, whole, 4 + n, piece);
	free(whole);
}

static void hello(struct play *x, bool server)
{
	uint8_t b[128] = { 3, x->minor };
	size_t n = 35; /* version, random, no session id */

	if (!server) {
		b[n + 1] = 2 * 16;
		n += 2;
		for (int i = 0; i < 16; i++) {
			b[n++] = (uint8_t)(suites[i] >> 8);
			b[n++] = (uint8_t)suites[i];
		}
		b[n++] = 2;
		b[n++] = 1;
		b[n++] = 0;
		memcpy(b + n, "\0\12\0\27\0\0\0\26\0\0\0\43\0\0", 14); /* EMS, EtM, a ticket */
		b[n + 1] = 12;
		n += 14;
	} else {
		b[n++] = (uint8_t)(x->suite >> 8);
		b[n++] = (uint8_t)x->suite;
		b[n++] = 0;
		memcpy(b + n, "\0\14\0\27\0\0\0\26\0\0\0\43\0\0", 14);
		n += 14;
	}
	say(x, server ? LP_S2C : LP_C2S, server ? LP_MSG_SERVER_HELLO : LP_MSG_CLIENT_HELLO, b, n, n + 4);
}

static void usual(struct play *x, char what)
{
	static const uint8_t cert[] = { 0, 0, 4, 0, 0, 1, 0x30 };
	static const uint8_t exchange[] = { 0, 4, 1, 2, 3, 4 };
	static const uint8_t zero[36];
	size_t finished = x->minor ? 12 : 36;

	switch (what) {
	case 'H': hello(x, false); break;
	case 'h': hello(x, true); break;
	case 'c': say(x, LP_S2C, LP_MSG_CERTIFICATE, cert, sizeof cert, 99); break;
	case 'r': say(x, LP_S2C, LP_MSG_CERTIFICATE_REQUEST, zero, 4, 99); break;
	case 'd': say(x, LP_S2C, LP_MSG_SERVER_HELLO_DONE, NULL, 0, 99); break;
	case 'C': say(x, LP_C2S, LP_MSG_CERTIFICATE, cert, sizeof cert, 99); break;
	case 'X': say(x, LP_C2S, LP_MSG_CLIENT_KEY_EXCHANGE, exchange, sizeof exchange, 99); break;
	case 'V': say(x, LP_C2S, LP_MSG_CERTIFICATE_VERIFY, zero, 4, 99); break;
	case 'F': say(x, LP_C2S, LP_MSG_FINISHED, zero, finished, 99); break;
	case 'f': say(x, LP_S2C, LP_MSG_FINISHED, zero, finished, 99); break;
	case 'S':
	case 's':
		if (lp_handshake_ccs(x->hs, what == 'S' ? LP_C2S : LP_S2C) && !x->hs->why)
			abort();
		break;
	}
}

/* What was learned can be told: whatever it is, the texts are there and end. */
static void tell(struct lp_handshake *hs)
{
	const struct lp_snapshot_extra extra = { .secret = lp_name_of(NULL, "x") };
	struct lp_snapshot *s = lp_snapshot_new(&hs->facts, &extra, NULL);
	struct lp_session_view view;

	lp_piece_unref(extra.secret);
	if (!s)
		abort();
	lp_snapshot_view(s, &view);
	if ((view.info.sni && strlen(view.info.sni) > 4096) || strcmp(view.info.secret, "x"))
		abort();
	lp_snapshot_unref(s);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct play x;
	size_t kind;

	if (size < 3 || data[0] >= KINDS)
		return 0;
	kind = data[0];
	x.minor = data[1] & 3;
	x.suite = suites[data[1] >> 4];
	x.piece = data[2] ? data[2] : size + 4;
	if (lp_handshake_new(&x.hs, &lp_crypto_mbedtls))
		abort();
	lp_messages_init(&x.m[0]);
	lp_messages_init(&x.m[1]);
	for (const char *w = kinds[kind].way; *w; w++)
		if (*w == '*')
			say(&x, kinds[kind].dir, kinds[kind].type, data + 3, size - 3, x.piece);
		else
			usual(&x, *w);
	if (lp_handshake_turn(x.hs) < 0 || lp_handshake_turn(x.hs) > LP_TURN_EITHER)
		abort();
	tell(x.hs);
	lp_messages_clear(&x.m[0]);
	lp_messages_clear(&x.m[1]);
	lp_handshake_free(x.hs);
	return 0;
}
