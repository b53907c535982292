#include "help_ticket.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/der.h"
#include "help_seal.h"

lp_span help_ticket_body(uint8_t *mem, size_t size, const struct help_body *b,
			 const uint8_t *master)
{
	struct lp_der_out o = lp_der_out_of(mem, size);
	const uint8_t one = 1, version[] = { (uint8_t)(b->version >> 8), (uint8_t)b->version };
	const uint8_t suite[] = { (uint8_t)(b->suite >> 8), (uint8_t)b->suite };
	static const uint8_t yes = 0xff;
	size_t end = o.at, mark;

	if (b->boolean_ems) {
		mark = o.at;
		lp_der_put_element(&o, LP_DER_BOOLEAN, lp_span_of(&yes, 1));
		lp_der_put_header(&o, LP_DER_CONTEXT + 17, mark);
	}
	if (b->flags_ems) {
		mark = o.at;
		lp_der_put_unsigned(&o, lp_span_of(&one, 1));
		lp_der_put_header(&o, LP_DER_CONTEXT + 13, mark);
	}
	if (b->cert) {
		uint8_t *cert = calloc(1, b->cert);

		lp_der_put_element(&o, LP_DER_CONTEXT + 3, lp_span_of(cert, b->cert));
		free(cert);
	}
	lp_der_put_element(&o, LP_DER_OCTET_STRING, lp_span_of(master, 48));
	lp_der_put_element(&o, LP_DER_OCTET_STRING, lp_span_of(NULL, 0));
	lp_der_put_element(&o, LP_DER_OCTET_STRING, lp_span_of(suite, 2));
	lp_der_put_unsigned(&o, lp_span_of(version, 2));
	lp_der_put_unsigned(&o, lp_span_of(&one, 1));
	lp_der_put_header(&o, LP_DER_SEQUENCE, end);
	ck_assert(!o.full);
	return lp_der_out_span(&o);
}

size_t help_ticket(uint8_t *out, const struct lp_crypto *crypto, const uint8_t *key, size_t key_n,
		   enum help_order order, lp_span body, enum help_ticket_damage damage)
{
	static uint8_t clear[HELP_TICKET_MAX];
	size_t half = (key_n - 16) / 2, n = body.n;
	const uint8_t *mac = key + 16 + (order == HELP_AES_FIRST ? half : 0);
	const uint8_t *aes = key + 16 + (order == HELP_AES_FIRST ? 0 : half);
	static const uint8_t zeros[32];
	lp_span before;

	memcpy(clear, body.p, n);
	if (damage == HELP_TICKET_TRAILING)
		clear[n++] = 0;
	do {
		clear[n] = (uint8_t)(16 - body.n % 16 - (damage == HELP_TICKET_TRAILING));
		if (damage == HELP_TICKET_TRAILING && body.n % 16 == 15)
			clear[n] = 16;
		n++;
	} while (n % 16);
	if (damage == HELP_TICKET_PADDING)
		clear[n - 1] ^= 0x40;
	memcpy(out, key, 16);
	help_fill(out + 16, 16, 77);
	ck_assert(help_seal_mbedtls(half == 16 ? LP_AES_128_CBC : LP_AES_256_CBC, aes, out + 16,
				    lp_span_of(NULL, 0), clear, n, out + 32, NULL));
	before = lp_span_of(out, 32 + n);
	ck_assert_int_eq(lp_mac_once(crypto, LP_SHA256,
				     lp_span_of(damage == HELP_TICKET_ZERO_MAC ? zeros : mac, half), &before,
				     1, out + 32 + n), LP_OK);
	if (damage == HELP_TICKET_BAD_MAC)
		out[32 + n] ^= 1;
	return 32 + n + 32;
}
