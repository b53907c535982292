/* deflate DIR: TLS sessions with DEFLATE compression (RFC 3749) between two ends of
 * libssl. Debian's is built without zlib, but its record layer still compresses if it is
 * given a method: here is one. Prints a line for each session: VERSION SUITE full|resumed;
 * DIR/N.in and DIR/N.out get what the client sent and what it received. Port 4733. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <openssl/comp.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <zlib.h>

#define CHECK(x) do { if (!(x)) { fprintf(stderr, "deflate.c:%d: %s\n", __LINE__, #x); exit(1); } } while (0)

/* As libcrypto 1.1 to 3 have them inside. */
struct method {
	int type;
	const char *name;
	int (*init)(COMP_CTX *);
	void (*finish)(COMP_CTX *);
	int (*compress)(COMP_CTX *, unsigned char *, unsigned, unsigned char *, unsigned);
	int (*expand)(COMP_CTX *, unsigned char *, unsigned, unsigned char *, unsigned);
};
struct context {
	struct method *method;
	unsigned long sums[4];
	void *data;
};
struct entry {
	int id;
	const char *name;
	COMP_METHOD *method;
};
struct streams {
	z_stream in, out;
};

static int init(COMP_CTX *c)
{
	struct streams *s = calloc(1, sizeof *s);

	((struct context *)c)->data = s;
	return s && deflateInit(&s->out, 9) == Z_OK && inflateInit(&s->in) == Z_OK;
}

static void finish(COMP_CTX *c)
{
	struct streams *s = ((struct context *)c)->data;

	deflateEnd(&s->out);
	inflateEnd(&s->in);
	free(s);
}

static int run(z_stream *z, int (*step)(z_stream *, int), unsigned char *out, unsigned size,
	       unsigned char *in, unsigned n)
{
	if (!n)
		return 0;
	z->next_in = in;
	z->avail_in = n;
	z->next_out = out;
	z->avail_out = size;
	if (step(z, Z_SYNC_FLUSH) != Z_OK || z->avail_in)
		return -1;
	return (int)(size - z->avail_out);
}

static int pack(COMP_CTX *c, unsigned char *out, unsigned size, unsigned char *in, unsigned n)
{
	return run(&((struct streams *)((struct context *)c)->data)->out, deflate, out, size, in, n);
}

static int unpack(COMP_CTX *c, unsigned char *out, unsigned size, unsigned char *in, unsigned n)
{
	return run(&((struct streams *)((struct context *)c)->data)->in, inflate, out, size, in, n);
}

static void add_method(void)
{
	static struct method deflating = { NID_zlib_compression, "deflate", init, finish, pack, unpack };
	STACK_OF(SSL_COMP) *all;

	CHECK(SSL_COMP_add_compression_method(200, (COMP_METHOD *)&deflating) == 0);
	all = SSL_COMP_get_compression_methods();
	CHECK(sk_SSL_COMP_num(all) == 1);
	((struct entry *)sk_SSL_COMP_value(all, 0))->id = 1; /* from the private range to RFC 3749's */
}

static SSL_CTX *context(const SSL_METHOD *method)
{
	SSL_CTX *c = SSL_CTX_new(method);

	CHECK(c && SSL_CTX_set_cipher_list(c, "ALL:eNULL:@SECLEVEL=0"));
	SSL_CTX_clear_options(c, SSL_OP_NO_COMPRESSION);
	/* TLS 1.0: libssl fails to put an empty record before each if it compresses. */
	SSL_CTX_set_options(c, SSL_OP_DONT_INSERT_EMPTY_FRAGMENTS);
	SSL_CTX_set_session_id_context(c, (const unsigned char *)"x", 1);
	return c;
}

static SSL_CTX *server;
static int listening;

static void *serve(void *unused)
{
	static unsigned char bytes[1 << 20];

	for (;;) {
		int fd = accept(listening, NULL, NULL), n, all = 0, want;
		SSL *s = SSL_new(server);

		(void)unused;
		SSL_set_fd(s, fd);
		CHECK(SSL_accept(s) == 1);
		CHECK(SSL_read(s, bytes, 4) == 4);
		bytes[4] = 0;
		want = atoi((char *)bytes);
		while (all < want && (n = SSL_read(s, bytes + all, (int)sizeof bytes - all)) > 0)
			all += n;
		for (int i = 0; i < all; i++)
			bytes[i] ^= 1;
		CHECK(SSL_write(s, bytes, 100) == 100); /* small, then large records */
		CHECK(SSL_write(s, bytes + 100, all - 100) == all - 100);
		SSL_shutdown(s);
		SSL_free(s);
		close(fd);
	}
	return NULL;
}

static void keep(const char *dir, int number, const char *end, const void *p, size_t n)
{
	char path[512];
	FILE *f;

	snprintf(path, sizeof path, "%s/%d.%s", dir, number, end);
	f = fopen(path, "w");
	CHECK(f && fwrite(p, 1, n, f) == n && !fclose(f));
}

/* size: of what is said, four digits; half of it compresses. */
static SSL_SESSION *talk(const char *dir, int version, const char *suite, int size, SSL_SESSION *old)
{
	static unsigned char said[16384], heard[1 << 20];
	static int number;
	SSL_CTX *c = context(TLS_client_method());
	SSL *s = SSL_new(c);
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(4733),
				  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_STREAM, 0), n, all = 0;
	SSL_SESSION *now;

	CHECK(!connect(fd, (struct sockaddr *)&to, sizeof to));
	SSL_set_min_proto_version(s, version);
	SSL_set_max_proto_version(s, version);
	CHECK(SSL_set_cipher_list(s, suite));
	SSL_set_fd(s, fd);
	if (old)
		SSL_set_session(s, old);
	CHECK(SSL_connect(s) == 1);
	CHECK(SSL_get_current_compression(s));
	snprintf((char *)said, sizeof said, "%04d", size);
	for (int i = 4; i < size + 4; i++)
		said[i] = (unsigned char)(i < size / 2 ? "all work and no play "[i % 21] : rand() >> 8);
	for (int at = 0, step = 4; at < size + 4; at += n, step = step * 9 + 1) {
		n = size + 4 - at < step ? size + 4 - at : step;
		CHECK(SSL_write(s, said + at, n) == n);
	}
	while ((n = SSL_read(s, heard + all, (int)sizeof heard - all)) > 0)
		all += n;
	CHECK(all == size);
	keep(dir, number, "in", said, (size_t)size + 4);
	keep(dir, number++, "out", heard, (size_t)all);
	printf("%s %s %s\n", SSL_get_version(s), SSL_CIPHER_standard_name(SSL_get_current_cipher(s)),
	       SSL_session_reused(s) ? "resumed" : "full");
	fflush(stdout);
	SSL_shutdown(s);
	now = SSL_get1_session(s);
	SSL_free(s);
	SSL_CTX_free(c);
	close(fd);
	return now;
}

int main(int argc, char **argv)
{
	static const struct {
		int version;
		const char *suite;
	} rows[] = {
		{ TLS1_VERSION, "AES128-SHA" },	     { TLS1_VERSION, "CAMELLIA256-SHA" },
		{ TLS1_1_VERSION, "AES256-SHA" },    { TLS1_1_VERSION, "NULL-SHA" },
		{ TLS1_2_VERSION, "AES128-SHA256" }, { TLS1_2_VERSION, "AES256-GCM-SHA384" },
	};
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_port = htons(4733),
				  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	pthread_t thread;
	int on = 1;

	CHECK(argc == 4); /* DIR CERTIFICATE KEY */
	add_method();
	server = context(TLS_server_method());
	CHECK(SSL_CTX_use_certificate_file(server, argv[2], SSL_FILETYPE_PEM) == 1);
	CHECK(SSL_CTX_use_PrivateKey_file(server, argv[3], SSL_FILETYPE_PEM) == 1);
	listening = socket(AF_INET, SOCK_STREAM, 0);
	setsockopt(listening, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
	CHECK(!bind(listening, (struct sockaddr *)&at, sizeof at) && !listen(listening, 8));
	CHECK(!pthread_create(&thread, NULL, serve, NULL));
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		SSL_SESSION *full = talk(argv[1], rows[i].version, rows[i].suite, 900, NULL);

		SSL_SESSION_free(talk(argv[1], rows[i].version, rows[i].suite, i ? 700 : 9999, full));
		SSL_SESSION_free(full);
	}
	return 0;
}
