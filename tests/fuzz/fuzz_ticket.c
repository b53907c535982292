/* warden/ticket: byte 0 chooses. With a form of body: the rest is a decrypted ticket. Else
 * the rest is a ticket, tried under a key of each kind; that of OpenSSL's form is made to
 * fit, so that what is not authenticated (Apache) is decrypted and read. */
#include <stdlib.h>
#include <string.h>

#include "warden/ticket.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void body(enum lp_ticket_form form, lp_span bytes)
{
	struct lp_ticket_session s;
	static const struct lp_ticket_session none;
	enum lp_err err = lp_ticketbody_read(&s, form, bytes);

	if (err ? memcmp(&s, &none, sizeof s) != 0
		: s.version < 0x0300 || s.version > 0x0304 || s.secret_len > sizeof s.secret ||
		  (s.version < 0x0304 && s.secret_len != 48))
		abort();
}

static void ticket(lp_span bytes)
{
	static struct lp_crypto_set crypto;
	static uint8_t key_bytes[64], room[65536];
	struct lp_ticket_key key = { .period_s = 64800, .key = { key_bytes, 0 } };
	const struct lp_ticket_try t = { &crypto, bytes, 1700000000, room };
	struct lp_ticket_session s;

	if (!crypto.base && lp_crypto_choose(&crypto, "mbedtls"))
		abort();
	if (bytes.n > sizeof room)
		return;
	if (bytes.n >= sizeof key.name)
		memcpy(key.name, bytes.p, sizeof key.name);
	for (int kind = LP_TICKET_NAMED; kind <= LP_TICKET_S2N; kind++) {
		struct lp_ticket_ctx ctx = { 0 };

		key.kind = (enum lp_ticket_kind)kind;
		key.key.n = kind == LP_TICKET_GNUTLS || kind == LP_TICKET_BARE ? 64 : 32;
		key.first = (uint8_t)(key.key.n / 2);
		if (lp_ticket_open(&key, &ctx, &t, &s) == LP_E_NOMEM)
			abort();
		if (lp_ticket_open_loose(&key, &ctx, &t, &s) == LP_OK && kind != LP_TICKET_NAMED)
			abort();
		lp_ticket_ctx_clear(&ctx, &crypto);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (!size)
		return 0;
	if (data[0] < LP_FORM_COUNT)
		body((enum lp_ticket_form)data[0], (lp_span){ data + 1, size - 1 });
	else
		ticket((lp_span){ data + 1, size - 1 });
	return 0;
}
