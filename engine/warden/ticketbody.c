#include "warden/ticketbody.h"

#include <string.h>

#include "base/secret.h"
#include "crypto/der.h"

enum { MASTER = 48, TLS13 = 0x0304 };

/* What every form must make sense of: a version that there is, a secret as long as that
 * version's are. */
static void take(struct lp_ticket_session *out, struct lp_cursor *c, uint16_t version,
		 uint16_t suite, lp_span secret)
{
	if (version < 0x0300 || version > TLS13 || secret.n > sizeof out->secret ||
	    (version < TLS13 ? secret.n != MASTER : !secret.n)) {
		c->bad = true;
		return;
	}
	out->version = version;
	out->suite = suite;
	out->secret_len = (uint8_t)secret.n;
	memcpy(out->secret, secret.p, secret.n);
}

static int8_t read_boolean(struct lp_cursor *c)
{
	struct lp_cursor in = lp_der_enter(c, LP_DER_BOOLEAN);
	uint8_t v = lp_cursor_u8(&in);

	c->bad |= in.bad;
	return v != 0;
}

/* The optional elements of SSL_SESSION. OpenSSL keeps EMS as bit 0 of [13] flags,
 * BoringSSL as BOOLEAN [17]; under either number the other has something of another
 * type. */
static void read_ems(struct lp_ticket_session *out, struct lp_cursor *c)
{
	out->ems = 0;
	while (lp_cursor_left(c)) {
		struct lp_der e = lp_der_next(c);
		struct lp_cursor in = lp_cursor_span(e.body);

		if (e.tag == LP_DER_CONTEXT + 13 && lp_der_peek(&in) == LP_DER_INTEGER)
			out->ems = (int8_t)(lp_der_u32(&in) & 1);
		else if (e.tag == LP_DER_CONTEXT + 17 && lp_der_peek(&in) == LP_DER_BOOLEAN)
			out->ems = read_boolean(&in);
		if (in.bad)
			c->bad = true;
	}
}

static enum lp_err read_openssl(struct lp_ticket_session *out, lp_span body)
{
	struct lp_cursor outer = lp_cursor_span(body);
	struct lp_cursor c = lp_der_enter(&outer, LP_DER_SEQUENCE);
	struct lp_cursor suite;
	uint32_t form = lp_der_u32(&c);
	uint32_t version = lp_der_u32(&c);
	lp_span secret;
	uint16_t number;

	suite = lp_der_enter(&c, LP_DER_OCTET_STRING);
	number = lp_cursor_u16(&suite);
	if (form != 1 || version > UINT16_MAX || lp_cursor_end(&suite))
		c.bad = true;
	if (lp_der_take(&c, LP_DER_OCTET_STRING).n > 32) /* session id */
		c.bad = true;
	secret = lp_der_take(&c, LP_DER_OCTET_STRING);
	take(out, &c, (uint16_t)version, number, secret);
	read_ems(out, &c);
	return c.bad ? LP_E_FORMAT : lp_cursor_end(&outer);
}

/* GnuTLS numbers versions by itself: SSL 3.0 is 1, TLS 1.0 is 2 … TLS 1.3 is 5. The
 * first number is 0xfadebadd plus the library's version. */
static enum lp_err read_gnutls(struct lp_ticket_session *out, lp_span body)
{
	struct lp_cursor all = lp_cursor_span(body), c;
	uint32_t library = lp_cursor_u32(&all) - 0xfadebaddU;
	uint32_t version;
	uint16_t suite;
	lp_span secret;

	lp_cursor_skip(&all, 4 + 4 + 1);                      /* times, type of credentials */
	lp_cursor_skip(&all, lp_cursor_u32(&all));            /* the credentials */
	c = lp_cursor_span(lp_cursor_bytes(&all, lp_cursor_u32(&all)));
	c.bad = all.bad || library < 0x030000 || library > 0x04ffff;
	lp_cursor_skip(&c, 4 * 4);                            /* side, PRF, kinds of credentials */
	(void)lp_cursor_vec8(&c);                             /* session id */
	version = lp_cursor_u32(&c);
	lp_cursor_skip(&c, 2 * 4);                            /* kinds of certificates */
	suite = lp_cursor_u16(&c);
	secret = lp_cursor_vec8(&c);
	if (version < 1 || version > 4)
		c.bad = true;
	take(out, &c, (uint16_t)(0x02ff + version), suite, secret);
	(void)lp_cursor_vec8(&c);                             /* randoms */
	(void)lp_cursor_vec8(&c);
	lp_cursor_skip(&c, 5 * 4);                            /* record sizes, group, signatures */
	out->ems = lp_cursor_u32(&c) != 0;
	return lp_cursor_ok(&c);
}

static enum lp_err read_go(struct lp_ticket_session *out, lp_span body)
{
	struct lp_cursor c = lp_cursor_span(body);
	uint16_t version = lp_cursor_u16(&c);
	uint16_t suite;
	lp_span secret;

	if (version == TLS13 && lp_cursor_u8(&c)) /* a revision */
		c.bad = true;
	suite = lp_cursor_u16(&c);
	lp_cursor_skip(&c, 8);
	secret = version == TLS13 ? lp_cursor_vec8(&c) : lp_cursor_vec16(&c);
	take(out, &c, version, suite, secret);
	out->ems = -1;
	return lp_cursor_ok(&c);
}

static enum lp_err read_go_121(struct lp_ticket_session *out, lp_span body)
{
	struct lp_cursor c = lp_cursor_span(body);
	uint16_t version = lp_cursor_u16(&c);
	uint8_t type = lp_cursor_u8(&c);
	uint16_t suite = lp_cursor_u16(&c);
	lp_span secret;

	if (type != 1) /* a server's */
		c.bad = true;
	lp_cursor_skip(&c, 8);
	secret = lp_cursor_vec8(&c);
	take(out, &c, version, suite, secret);
	(void)lp_cursor_vec24(&c);
	out->ems = lp_cursor_u8(&c) == 1;
	return lp_cursor_ok(&c);
}

/* s2n writes a version in decimal digits: 33 is TLS 1.2. */
static enum lp_err read_s2n(struct lp_ticket_session *out, lp_span body)
{
	struct lp_cursor c = lp_cursor_span(body);
	uint8_t form = lp_cursor_u8(&c);
	uint8_t version = lp_cursor_u8(&c);
	uint16_t suite = lp_cursor_u16(&c);
	lp_span secret;

	if (!form || form > 15 || version < 30 || version > 34)
		c.bad = true;
	lp_cursor_skip(&c, 8);
	if (version == 34) {
		lp_cursor_skip(&c, 4);
		secret = lp_cursor_vec8(&c);
	} else {
		secret = lp_cursor_bytes(&c, MASTER);
	}
	take(out, &c, (uint16_t)(0x0300 + version - 30), suite, secret);
	/* The first form had no byte for it. */
	out->ems = version == 34 || !lp_cursor_left(&c) ? -1 : lp_cursor_u8(&c) == 1;
	return lp_cursor_ok(&c);
}

enum lp_err lp_ticketbody_read(struct lp_ticket_session *out, enum lp_ticket_form form,
			       lp_span body)
{
	enum lp_err err = LP_E_FORMAT;

	memset(out, 0, sizeof *out);
	switch (form) {
	case LP_FORM_OPENSSL:
		err = read_openssl(out, body);
		break;
	case LP_FORM_GNUTLS:
		err = read_gnutls(out, body);
		break;
	case LP_FORM_GO:
		err = read_go(out, body);
		break;
	case LP_FORM_GO_121:
		err = read_go_121(out, body);
		break;
	case LP_FORM_S2N:
		err = read_s2n(out, body);
		break;
	case LP_FORM_COUNT:
		break;
	}
	if (err)
		lp_wipe(out, sizeof *out);
	return err;
}
