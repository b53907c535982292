/* talk_mbedtls PORT KEYS NAME WORD...: as talk, with mbedTLS 2.28 on both sides, which has
 * what OpenSSL has not: truncated HMAC, records without content, a server that takes
 * no_renegotiation for an answer. With a later mbedTLS it ends with status 77.
 *
 *   version=1.0|1.1|1.2 suite=TLS-RSA-WITH-... ems=on|off etm=on|off truncated=on|off
 *   maxfrag=1..4 decline=c|s
 *
 * Words: new, hello, c:N s:N (0: an empty record), c-renegotiate s-renegotiate, close. */
#define _GNU_SOURCE
#include <mbedtls/version.h>
#include <stdio.h>

#if MBEDTLS_VERSION_MAJOR >= 3
int main(void)
{
	return 77;
}
#else
#include <arpa/inet.h>
#include <mbedtls/ctr_drbg.h>
#include <mbedtls/entropy.h>
#include <mbedtls/sha256.h>
#include <mbedtls/ssl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { CLIENT, SERVER, MOST = 1 << 20 };

static struct side {
	mbedtls_ssl_context ssl;
	mbedtls_ssl_config conf;
	int fd, busy;
	size_t sent, got;
	unsigned char *out, *in;
} side[2];
static const char *name, *keys;
static int port, listener, version = 3, ems = 1, etm = 1, truncated, maxfrag, decline = -1, renegotiations;
static int suites[2];
static mbedtls_x509_crt crt;
static mbedtls_pk_context pk;
static mbedtls_entropy_context entropy;
static mbedtls_ctr_drbg_context drbg;

static void die(const char *what, int rc)
{
	fprintf(stderr, "talk_mbedtls: %s: %s: -0x%04x\n", name, what, (unsigned)-rc);
	exit(1);
}

static int put(void *ctx, const unsigned char *p, size_t n)
{
	return (int)send(*(int *)ctx, p, n, MSG_NOSIGNAL);
}

static int take(void *ctx, unsigned char *p, size_t n)
{
	ssize_t got = recv(*(int *)ctx, p, n, MSG_DONTWAIT);

	return got < 0 ? MBEDTLS_ERR_SSL_WANT_READ : (int)got;
}

static void begin(void)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port),
				 .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int one = 1;

	side[CLIENT].fd = socket(AF_INET, SOCK_STREAM, 0);
	if (connect(side[CLIENT].fd, (struct sockaddr *)&a, sizeof a))
		die("connect", 0);
	side[SERVER].fd = accept(listener, NULL, NULL);
	for (int i = 0; i < 2; i++) {
		struct side *s = &side[i];

		setsockopt(s->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
		mbedtls_ssl_init(&s->ssl);
		mbedtls_ssl_config_init(&s->conf);
		mbedtls_ssl_config_defaults(&s->conf, i == SERVER, MBEDTLS_SSL_TRANSPORT_STREAM,
					    MBEDTLS_SSL_PRESET_DEFAULT);
		mbedtls_ssl_conf_rng(&s->conf, mbedtls_ctr_drbg_random, &drbg);
		mbedtls_ssl_conf_authmode(&s->conf, MBEDTLS_SSL_VERIFY_NONE);
		mbedtls_ssl_conf_min_version(&s->conf, 3, 1);
		mbedtls_ssl_conf_max_version(&s->conf, 3, version);
		mbedtls_ssl_conf_renegotiation(&s->conf, decline != i);
		mbedtls_ssl_conf_extended_master_secret(&s->conf, ems);
		mbedtls_ssl_conf_encrypt_then_mac(&s->conf, etm);
		mbedtls_ssl_conf_truncated_hmac(&s->conf, truncated);
		if (i == CLIENT && maxfrag)
			mbedtls_ssl_conf_max_frag_len(&s->conf, (unsigned char)maxfrag);
		mbedtls_ssl_conf_ciphersuites(&s->conf, suites);
		if (i == SERVER)
			mbedtls_ssl_conf_own_cert(&s->conf, &crt, &pk);
		if (mbedtls_ssl_setup(&s->ssl, &s->conf))
			die("setup", 0);
		mbedtls_ssl_set_bio(&s->ssl, &s->fd, put, take, NULL);
		s->out = malloc(MOST);
		s->in = malloc(MOST);
		s->sent = s->got = 0;
		s->busy = 1;
	}
	renegotiations = 0;
}

/* One step of a side; whether anything moved. */
static int step(struct side *s)
{
	int n;

	if (s->busy) {
		n = mbedtls_ssl_handshake(&s->ssl);
		if (n == MBEDTLS_ERR_SSL_WANT_READ)
			return 0;
		if (n)
			die("handshake", n);
		s->busy = 0;
		return 1;
	}
	n = mbedtls_ssl_read(&s->ssl, s->in + s->got, MOST - s->got);
	if (n > 0)
		s->got += (size_t)n;
	if (n < 0 && n != MBEDTLS_ERR_SSL_WANT_READ && n != MBEDTLS_ERR_SSL_PEER_CLOSE_NOTIFY)
		die("read", n);
	return n > 0;
}

static void carry(void)
{
	for (int idle = 0; idle < 10; idle++)
		for (int i = 0; i < 2; i++)
			while (step(&side[i]))
				idle = 0;
}

static void send_bytes(struct side *s, size_t n)
{
	unsigned char *p = s->out + s->sent;
	int rc;

	mbedtls_ctr_drbg_random(&drbg, p, n);
	s->sent += n;
	do {
		rc = mbedtls_ssl_write(&s->ssl, p, n);
		if (rc < 0)
			die("write", rc);
		p += rc;
		n -= (size_t)rc;
	} while (n);
}

static void print_sum(const char *key, const struct side *s)
{
	unsigned char md[32];

	mbedtls_sha256_ret(s->out, s->sent, md, 0);
	printf(",\"%s_bytes\":%zu,\"%s_sha256\":\"", key, s->sent, key);
	for (int i = 0; i < 32; i++)
		printf("%02x", md[i]);
	printf("\"");
}

static void end(void)
{
	const char *v = mbedtls_ssl_get_version(&side[0].ssl);
	char suite[100];

	carry();
	mbedtls_ssl_close_notify(&side[CLIENT].ssl);
	mbedtls_ssl_close_notify(&side[SERVER].ssl);
	if (side[0].sent != side[1].got || side[1].sent != side[0].got ||
	    memcmp(side[0].out, side[1].in, side[0].sent) || memcmp(side[1].out, side[0].in, side[1].sent))
		die("what came is not what was sent", 0);
	snprintf(suite, sizeof suite, "%s", mbedtls_ssl_get_ciphersuite(&side[0].ssl));
	for (char *p = suite; *p; p++)
		*p = *p == '-' ? '_' : *p;
	printf("{\"name\":\"mbedTLS: %s\",\"version\":\"%s\",\"suite\":\"%s\",\"ems\":%s,\"etm\":%s", name,
	       !strcmp(v, "TLSv1.2") ? "TLS 1.2" : !strcmp(v, "TLSv1.1") ? "TLS 1.1" : "TLSv1", suite,
	       ems ? "true" : "false", etm && strstr(suite, "_CBC_") ? "true" : "false");
	printf(",\"client_cert\":false,\"resumed\":\"no\",\"renegotiations\":%d,\"notes\":[]", renegotiations);
	printf(",\"end\":{\"client\":\"close_notify\",\"server\":\"close_notify\"},\"verdict\":\"decrypted\",\"reason\":\"complete\"");
	print_sum("client", &side[CLIENT]);
	print_sum("server", &side[SERVER]);
	printf("}\n");
	for (int i = 0; i < 2; i++) {
		close(side[i].fd);
		mbedtls_ssl_free(&side[i].ssl);
		mbedtls_ssl_config_free(&side[i].conf);
		free(side[i].out);
		free(side[i].in);
	}
}

static int option(const char *w)
{
	const char *v = strchr(w, '=');
	int on;

	if (!v)
		return 0;
	v++;
	on = !strcmp(v, "on");
#define IS(x) (!strncmp(w, x "=", sizeof x))
	if (IS("version"))
		version = v[2] - '0' + 1;
	else if (IS("suite"))
		suites[0] = mbedtls_ssl_get_ciphersuite_id(v);
	else if (IS("ems"))
		ems = on;
	else if (IS("etm"))
		etm = on;
	else if (IS("truncated"))
		truncated = on;
	else if (IS("maxfrag"))
		maxfrag = atoi(v);
	else if (IS("decline"))
		decline = *v == 's';
	else
		die(w, 0);
	return 1;
}

static void word(const char *w)
{
	struct side *s = &side[*w == 's'];
	int rc;

	if (!strcmp(w, "new")) {
		begin();
	} else if (w[1] == ':') {
		send_bytes(s, (size_t)atol(w + 2));
		carry();
	} else if (!strcmp(w + 1, "-renegotiate")) {
		rc = mbedtls_ssl_renegotiate(&s->ssl);
		if (rc && rc != MBEDTLS_ERR_SSL_WANT_READ)
			die(w, rc);
		s->busy = s == &side[CLIENT];
		renegotiations += decline < 0;
		carry();
	} else if (!strcmp(w, "hello")) {
		carry();
	} else if (!strcmp(w, "close")) {
		end();
	} else {
		die(w, 0);
	}
}

int main(int argc, char **argv)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	char path[500];
	int one = 1;

	if (argc < 5) {
		fprintf(stderr, "usage: talk_mbedtls PORT KEYS NAME WORD...\n");
		return 1;
	}
	port = atoi(argv[1]);
	keys = argv[2];
	name = argv[3];
	mbedtls_entropy_init(&entropy);
	mbedtls_ctr_drbg_init(&drbg);
	mbedtls_x509_crt_init(&crt);
	mbedtls_pk_init(&pk);
	if (mbedtls_ctr_drbg_seed(&drbg, mbedtls_entropy_func, &entropy, NULL, 0))
		die("seed", 0);
	snprintf(path, sizeof path, "%s/server.crt", keys);
	if (mbedtls_x509_crt_parse_file(&crt, path))
		die(path, 0);
	snprintf(path, sizeof path, "%s/server.pem", keys);
	if (mbedtls_pk_parse_keyfile(&pk, path, NULL))
		die(path, 0);
	listener = socket(AF_INET, SOCK_STREAM, 0);
	setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
	a.sin_port = htons((uint16_t)port);
	if (bind(listener, (struct sockaddr *)&a, sizeof a) || listen(listener, 4))
		die("listen", 0);
	for (int i = 4; i < argc; i++)
		if (!option(argv[i]))
			word(argv[i]);
	return 0;
}
#endif
