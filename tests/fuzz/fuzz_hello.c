/* A hello's body behind one byte: even = the client's, odd = the server's. What parses
 * is walked and fingerprinted. */
#include <stdlib.h>
#include <string.h>

#include "tls/fingerprint.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void walk(lp_span list, size_t size)
{
	struct lp_cursor c = lp_cursor_span(list);
	uint16_t type;
	lp_span body;
	size_t sum = 0;

	while (lp_hello_extension(&c, &type, &body))
		sum += 4 + body.n;
	if (sum != list.n || sum > size)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct lp_crypto *crypto = &lp_crypto_mbedtls;
	struct lp_client_hello client;
	struct lp_server_hello server;
	struct lp_v2_hello v2;
	struct lp_ja3 ja3 = { NULL, "" };
	char ja4[LP_JA4_TEXT];
	const char *why = NULL;
	lp_span body;

	if (!size)
		return 0;
	body = lp_span_of(data + 1, size - 1);
	if (data[0] & 1) {
		if (lp_server_hello_read(&server, body, &why))
			return why ? 0 : (abort(), 0);
		walk(server.extensions, size);
		if (lp_ja3_server(&ja3, crypto, &server) || strlen(ja3.hash) != 32)
			abort();
	} else {
		if (data[0] & 2 ? lp_client_hello_read_v2(&client, &v2, body, &why)
				: lp_client_hello_read(&client, body, &why))
			return why ? 0 : (abort(), 0);
		walk(client.extensions, size);
		if (lp_ja3_client(&ja3, crypto, &client) || strlen(ja3.hash) != 32 ||
		    lp_ja4_client(ja4, crypto, &client) || strlen(ja4) != LP_JA4_TEXT - 1)
			abort();
	}
	lp_ja3_clear(&ja3);
	return 0;
}
