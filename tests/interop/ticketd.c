/* ticketd PORT CERT KEY TICKET-KEYS...: a server of libssl alone, which s_server cannot
 * be: it takes its ticket key (80 bytes) from a file, the first of several for new
 * tickets, all for old ones. Answers each line with the line reversed, closes after the
 * line CLOSE. Ends with its standard input. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { SIZE = 80, KEYS = 8 };
static unsigned char key[KEYS][SIZE];
static int keys;

/* Key 0 is libssl's own business as long as it is the only one. */
static int choose(SSL *ssl, unsigned char *name, unsigned char *iv, EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac, int enc)
{
	char digest[] = "SHA256";
	OSSL_PARAM params[3];
	int i = 0;

	(void)ssl;
	if (enc) {
		memcpy(name, key[0], 16);
		if (RAND_bytes(iv, 16) <= 0)
			return -1;
	} else {
		while (i < keys && memcmp(name, key[i], 16))
			i++;
		if (i == keys)
			return 0;
	}
	params[0] = OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY, key[i] + 16, 32);
	params[1] = OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0);
	params[2] = OSSL_PARAM_construct_end();
	if (!EVP_MAC_CTX_set_params(mac, params) ||
	    !EVP_CipherInit_ex(cipher, EVP_aes_256_cbc(), NULL, key[i] + 48, iv, enc))
		return -1;
	return i && !enc ? 2 : 1; /* 2: an old key, a new ticket is due */
}

static void serve(SSL_CTX *ctx, int s)
{
	SSL *ssl = SSL_new(ctx);
	char line[20000];
	int n = 0, got, from = 0;

	SSL_set_fd(ssl, s);
	while (SSL_accept(ssl) > 0 && (got = SSL_read(ssl, line + n, (int)sizeof line - n)) > 0) {
		char *nl;

		n += got;
		while ((nl = memchr(line + from, '\n', (size_t)(n - from)))) {
			int length = (int)(nl - line) - from;

			if (length == 5 && !memcmp(line + from, "CLOSE", 5)) {
				SSL_shutdown(ssl);
				goto out;
			}
			for (int i = 0; i < length / 2; i++) {
				char c = line[from + i];

				line[from + i] = line[from + length - 1 - i];
				line[from + length - 1 - i] = c;
			}
			SSL_write(ssl, line + from, length + 1);
			from += length + 1;
		}
		memmove(line, line + from, (size_t)(n - from));
		n -= from;
		from = 0;
	}
out:
	SSL_free(ssl);
	close(s);
}

int main(int argc, char **argv)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
	struct sockaddr_in at = { .sin_family = AF_INET };
	int l = socket(AF_INET, SOCK_STREAM, 0), one = 1;

	if (argc < 5)
		return 2;
	for (int i = 4; i < argc && keys < KEYS; i++) {
		FILE *f = fopen(argv[i], "rb");

		if (!f || fread(key[keys++], 1, SIZE, f) != SIZE)
			return 2;
		fclose(f);
	}
	if (SSL_CTX_use_certificate_file(ctx, argv[2], SSL_FILETYPE_PEM) <= 0 ||
	    SSL_CTX_use_PrivateKey_file(ctx, argv[3], SSL_FILETYPE_PEM) <= 0 ||
	    !SSL_CTX_set_max_proto_version(ctx, TLS1_2_VERSION) ||
	    !SSL_CTX_set_session_id_context(ctx, (const unsigned char *)"t", 1))
		return 2;
	if (keys > 1)
		SSL_CTX_set_tlsext_ticket_key_evp_cb(ctx, choose);
	else if (!SSL_CTX_set_tlsext_ticket_keys(ctx, key[0], SIZE))
		return 2;
	at.sin_port = htons((unsigned short)atoi(argv[1]));
	setsockopt(l, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
	if (bind(l, (struct sockaddr *)&at, sizeof at) || listen(l, 16))
		return 2;
	for (;;) {
		int s = accept(l, NULL, NULL);

		if (s >= 0)
			serve(ctx, s);
	}
}
