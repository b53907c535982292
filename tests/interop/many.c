/* many HOST PORT N THREADS: N short TLS 1.2 connections with RSA key exchange, each
 * asking for a page of its own name and reading to the end. Prints a line of JSON for
 * each: lengths and SHA-256 of what was sent and received. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/in.h>
#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static struct sockaddr_in to;
static SSL_CTX *ctx;
static atomic_int next, bad;
static int total;

static void hex(const unsigned char *data, size_t n, char out[65])
{
	unsigned char md[32];
	unsigned len;

	EVP_Digest(data, n, md, &len, EVP_sha256(), NULL);
	for (int i = 0; i < 32; i++)
		snprintf(out + 2 * i, 3, "%02x", md[i]);
}

static int one(int i)
{
	unsigned char got[16384];
	char ask[256], a[65], b[65];
	int n = snprintf(ask, sizeof ask, "GET /none-%d-%ld HTTP/1.1\r\nHost: server.example\r\nConnection: close\r\n\r\n",
			 i, random()), len = 0, r, fd = socket(AF_INET, SOCK_STREAM, 0), rc = -1;
	SSL *ssl = SSL_new(ctx);

	if (fd < 0 || !ssl || connect(fd, (struct sockaddr *)&to, sizeof to) || !SSL_set_fd(ssl, fd) ||
	    SSL_connect(ssl) != 1 || SSL_write(ssl, ask, n) != n)
		goto out;
	while ((r = SSL_read(ssl, got + len, (int)sizeof got - len)) > 0)
		len += r;
	SSL_shutdown(ssl);
	hex((unsigned char *)ask, (size_t)n, a);
	hex(got, (size_t)len, b);
	if (len)
		rc = 0;
	printf("{\"name\":\"connection %d\",\"verdict\":\"decrypted\",\"client_bytes\":%d,\"server_bytes\":%d,"
	       "\"client_sha256\":\"%s\",\"server_sha256\":\"%s\"}\n", i, n, len, a, b);
out:
	SSL_free(ssl);
	if (fd >= 0)
		close(fd);
	return rc;
}

static void *work(void *arg)
{
	int i;

	while ((i = atomic_fetch_add(&next, 1)) < total)
		if (one(i))
			bad++;
	return arg;
}

int main(int argc, char **argv)
{
	pthread_t t[64];
	int threads;

	if (argc != 5)
		return 1;
	to.sin_family = AF_INET;
	to.sin_port = htons((uint16_t)atoi(argv[2]));
	inet_pton(AF_INET, argv[1], &to.sin_addr);
	total = atoi(argv[3]);
	threads = atoi(argv[4]) > 64 ? 64 : atoi(argv[4]);
	ctx = SSL_CTX_new(TLS_client_method());
	SSL_CTX_set_max_proto_version(ctx, TLS1_2_VERSION);
	SSL_CTX_set_cipher_list(ctx, "AES128-GCM-SHA256:AES256-SHA");
	for (int i = 0; i < threads; i++)
		pthread_create(&t[i], NULL, work, NULL);
	for (int i = 0; i < threads; i++)
		pthread_join(t[i], NULL);
	SSL_CTX_free(ctx);
	if (bad)
		fprintf(stderr, "%d of %d connections failed\n", (int)bad, total);
	return bad != 0;
}
