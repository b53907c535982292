/* What loss costs: makes long TLS sessions, spoils captures of them, and measures what came
 * out. Captures are pcap files of this machine's byte order, Ethernet and IPv4.
 *
 *   loss send SUITE RECORD PACKETS OUT KEYLOG
 *        a session with so many data packets (of 1,448 bytes) in each direction, in records of
 *        RECORD bytes (0: of all sizes). SUITE: gcm, cbc, cbc-sha256, cbc-tls10, chacha, rc4, each with
 *        "-noems" behind it if wanted. Prints the number of packets before the first data.
 *        OpenSSL at both ends; RC4, which it has no more, is made here.
 *   loss spoil IN OUT SEED KEEP WHAT VALUE
 *        all but the first KEEP packets suffer. WHAT: loss (VALUE percent, each by itself), one
 *        (packet number VALUE is lost), reorder (by up to VALUE places), duplicate (VALUE
 *        percent), delay-client or delay-server (that direction comes VALUE ms late).
 *   loss check FILE PACKETS RECORD
 *        whether FILE holds what one side sent, as far as it goes: each 8 bytes say where they
 *        stood. Prints how many bytes came, of how many, and in how many pieces.
 */
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/kdf.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/ssl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MSS = 1448, FRAME = 54, RECORD_MAX = 16384, SIZE = 1 << 20 };

static void need(int ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "loss: %s failed\n", what);
	exit(1);
}

static void put(uint8_t *p, uint64_t v, int n)
{
	for (int i = n - 1; i >= 0; i--, v >>= 8)
		p[i] = (uint8_t)v;
}

/* ---- packets ---- */

static FILE *out;
static uint64_t now_us = 1700000000000000;
static uint32_t seq[2] = { 1000, 500000000 };
static unsigned packets;

static uint16_t sum(const uint8_t *p, size_t n, uint32_t s)
{
	for (size_t i = 0; i + 1 < n; i += 2)
		s += (uint32_t)(p[i] << 8 | p[i + 1]);
	if (n & 1)
		s += (uint32_t)(p[n - 1] << 8);
	while (s >> 16)
		s = (s & 0xffff) + (s >> 16);
	return (uint16_t)~s;
}

enum { FIN = 1, SYN = 2, PSH = 8, ACK = 16 };

static void packet(int side, int flags, const uint8_t *data, size_t n)
{
	uint8_t f[FRAME + MSS] = { 2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 8, 0, 0x45 };
	const uint8_t address[2][4] = { { 10, 0, 0, 1 }, { 10, 0, 0, 2 } };
	const uint16_t port[2] = { 50000, 443 };
	uint32_t head[4] = { (uint32_t)(now_us / 1000000), (uint32_t)(now_us % 1000000),
			     (uint32_t)(FRAME + n), (uint32_t)(FRAME + n) };

	put(f + 16, 40 + n, 2);
	f[22] = 64;
	f[23] = 6;
	memcpy(f + 26, address[side], 4);
	memcpy(f + 30, address[!side], 4);
	put(f + 24, sum(f + 14, 20, 0), 2);
	put(f + 34, port[side], 2);
	put(f + 36, port[!side], 2);
	put(f + 38, seq[side], 4);
	put(f + 42, flags & ACK ? seq[!side] : 0, 4);
	f[46] = 0x50;
	f[47] = (uint8_t)flags;
	put(f + 48, 65535, 2);
	if (n)
		memcpy(f + FRAME, data, n);
	put(f + 50, sum(f + 26, 28 + n, (uint32_t)(6 + 20 + n)), 2);
	need(fwrite(head, sizeof head, 1, out) == 1 && fwrite(f, FRAME + n, 1, out) == 1, "write");
	seq[side] += (uint32_t)n + ((flags & (SYN | FIN)) != 0);
	now_us += 100;
	packets++;
}

static void begin_capture(const char *path)
{
	const uint32_t head[6] = { 0xa1b2c3d4, 2 | 4 << 16, 0, 0, 65535, 1 };

	out = fopen(path, "wb");
	need(out && fwrite(head, sizeof head, 1, out) == 1, path);
	packet(0, SYN, NULL, 0);
	packet(1, SYN | ACK, NULL, 0);
	packet(0, ACK, NULL, 0);
}

static void segments(int side, const uint8_t *p, size_t n)
{
	for (size_t at = 0; at < n; at += MSS)
		packet(side, ACK | (n - at <= MSS ? PSH : 0), p + at, n - at < MSS ? n - at : MSS);
}

/* Two long streams, side by side. */
static void both(uint8_t *const p[2], const size_t n[2])
{
	for (size_t at = 0; at < n[0] || at < n[1]; at += MSS)
		for (int side = 0; side < 2; side++)
			if (at < n[side])
				packet(side, ACK, p[side] + at, n[side] - at < MSS ? n[side] - at : MSS);
}

/* ---- what is sent ---- */

static size_t record_size(size_t record, uint64_t nth)
{
	static const size_t all[] = { 24, 16384, 512, 8, 4096, 1400, 16384, 100 * 8 };

	return record ? record : all[nth * 5 % 8];
}

/* How many bytes a side sends in about so many packets. */
static uint64_t sent(size_t record, unsigned n)
{
	uint64_t bytes = 0;

	for (uint64_t i = 0, wire = 0; wire + 16 < (uint64_t)n * MSS; i++) {
		bytes += record_size(record, i);
		wire += record_size(record, i) + 29;
	}
	return bytes;
}

static void content(uint8_t *p, size_t n, uint64_t at)
{
	for (size_t i = 0; i < n; i += 8)
		put(p + i, at + i, 8);
}

/* ---- OpenSSL at both ends ---- */

struct peer {
	SSL *ssl;
	BIO *net; /* what it sent, and what it is to receive */
};

static FILE *keylog;

static void on_keylog(const SSL *ssl, const char *line)
{
	(void)ssl;
	fprintf(keylog, "%s\n", line);
}

static struct peer peer_new(int server, const char *suite, int version, int noems)
{
	SSL_CTX *ctx = SSL_CTX_new(server ? TLS_server_method() : TLS_client_method());
	struct peer p = { NULL, NULL };
	BIO *inner = NULL;

	need(ctx != NULL, "SSL_CTX_new");
	SSL_CTX_set_security_level(ctx, 0);
	SSL_CTX_set_min_proto_version(ctx, version);
	SSL_CTX_set_max_proto_version(ctx, version);
	need(SSL_CTX_set_cipher_list(ctx, suite), suite);
	if (noems)
		SSL_CTX_set_options(ctx, SSL_OP_NO_EXTENDED_MASTER_SECRET);
	if (server)
		need(SSL_CTX_use_certificate_file(ctx, "keys/server.crt", SSL_FILETYPE_PEM) == 1 &&
			     SSL_CTX_use_PrivateKey_file(ctx, "keys/server.pem", SSL_FILETYPE_PEM) == 1,
		     "keys/server");
	else
		SSL_CTX_set_keylog_callback(ctx, on_keylog);
	p.ssl = SSL_new(ctx);
	need(p.ssl && BIO_new_bio_pair(&inner, 16 << 20, &p.net, 16 << 20), "BIO");
	SSL_set_bio(p.ssl, inner, inner);
	if (server)
		SSL_set_accept_state(p.ssl);
	else
		SSL_set_connect_state(p.ssl);
	return p;
}

/* Hands what one peer sent to the other, and returns it. */
static size_t pass(struct peer *from, struct peer *to, uint8_t *buf, size_t size)
{
	size_t n = BIO_ctrl_pending(from->net);

	need(n <= size, "room");
	if (n)
		need(BIO_read(from->net, buf, (int)n) == (int)n &&
			     BIO_write(to->net, buf, (int)n) == (int)n, "pass");
	return n;
}

static void send_openssl(const char *suite, int version, int noems, size_t record, unsigned count)
{
	struct peer p[2] = { peer_new(0, suite, version, noems), peer_new(1, suite, version, noems) };
	const size_t size = (size_t)2 * count * MSS + (4 << 20);
	uint8_t *buf[2] = { malloc(size), malloc(size) }, data[RECORD_MAX];
	size_t n[2] = { 0, 0 };

	need(buf[0] && buf[1], "malloc");
	for (int i = 0; i < 6; i++)
		for (int side = 0; side < 2; side++) {
			(void)SSL_do_handshake(p[side].ssl);
			segments(side, buf[side], pass(&p[side], &p[!side], buf[side], size));
		}
	need(SSL_is_init_finished(p[0].ssl) && SSL_is_init_finished(p[1].ssl), "handshake");
	printf("%u\n", packets);
	for (int side = 0; side < 2; side++) {
		uint64_t all = sent(record, count), at = 0;

		for (uint64_t i = 0; at < all; at += record_size(record, i++)) {
			int k = (int)record_size(record, i);

			content(data, (size_t)k, at);
			need(SSL_write(p[side].ssl, data, k) == k, "SSL_write");
			n[side] += pass(&p[side], &p[!side], buf[side] + n[side], size - n[side]);
			while (SSL_read(p[!side].ssl, data, sizeof data) > 0)
				continue;
		}
	}
	both(buf, n);
	for (int side = 0; side < 2; side++) {
		(void)SSL_shutdown(p[side].ssl);
		segments(side, buf[side], pass(&p[side], &p[!side], buf[side], size));
	}
}

/* ---- RC4 by hand (TLS_RSA_WITH_RC4_128_SHA, TLS 1.2, no extensions) ---- */

struct rc4 {
	uint8_t s[256], i, j;
	uint8_t mac[20];
	uint64_t seq;
};

static void rc4_key(struct rc4 *r, const uint8_t key[16])
{
	uint8_t j = 0;

	r->i = r->j = 0;
	for (int i = 0; i < 256; i++)
		r->s[i] = (uint8_t)i;
	for (int i = 0; i < 256; i++) {
		uint8_t t = r->s[i];

		j = (uint8_t)(j + t + key[i % 16]);
		r->s[i] = r->s[j];
		r->s[j] = t;
	}
}

static void rc4_crypt(struct rc4 *r, uint8_t *p, size_t n)
{
	for (size_t k = 0; k < n; k++) {
		uint8_t t = r->s[++r->i];

		r->j = (uint8_t)(r->j + t);
		r->s[r->i] = r->s[r->j];
		r->s[r->j] = t;
		p[k] ^= r->s[(uint8_t)(r->s[r->i] + t)];
	}
}

/* A record at to, protected if r is set. Returns its length. */
static size_t seal(struct rc4 *r, uint8_t type, const uint8_t *p, size_t n, uint8_t *to)
{
	uint8_t m[13 + RECORD_MAX];

	to[0] = type;
	put(to + 1, 0x0303, 2);
	memcpy(to + 5, p, n);
	if (r) {
		put(m, r->seq++, 8);
		memcpy(m + 8, to, 3);
		put(m + 11, n, 2);
		memcpy(m + 13, p, n);
		HMAC(EVP_sha1(), r->mac, 20, m, 13 + n, to + 5 + n, NULL);
		n += 20;
		rc4_crypt(r, to + 5, n);
	}
	put(to + 3, n, 2);
	return 5 + n;
}

static void prf(const uint8_t *secret, size_t secret_n, const char *label, const uint8_t *seed,
		size_t seed_n, uint8_t *to, size_t n)
{
	EVP_KDF *kdf = EVP_KDF_fetch(NULL, "TLS1-PRF", NULL);
	EVP_KDF_CTX *ctx = EVP_KDF_CTX_new(kdf);
	char digest[] = "SHA256", text[32];
	OSSL_PARAM params[] = {
		OSSL_PARAM_utf8_string(OSSL_KDF_PARAM_DIGEST, digest, sizeof digest - 1),
		OSSL_PARAM_octet_string(OSSL_KDF_PARAM_SECRET, (void *)secret, secret_n),
		OSSL_PARAM_octet_string(OSSL_KDF_PARAM_SEED, text, strlen(label)),
		OSSL_PARAM_octet_string(OSSL_KDF_PARAM_SEED, (void *)seed, seed_n),
		OSSL_PARAM_END,
	};

	snprintf(text, sizeof text, "%s", label);
	need(EVP_KDF_derive(ctx, to, n, params) == 1, "TLS1-PRF");
	EVP_KDF_CTX_free(ctx);
	EVP_KDF_free(kdf);
}

static uint8_t said[16384]; /* handshake messages so far */
static size_t said_n;

static size_t message(uint8_t type, const uint8_t *body, size_t n, uint8_t *to)
{
	uint8_t *m = said + said_n;

	m[0] = type;
	put(m + 1, n, 3);
	memcpy(m + 4, body, n);
	said_n += 4 + n;
	return seal(NULL, 22, m, 4 + n, to);
}

static size_t certificate(uint8_t *to, EVP_PKEY **key)
{
	FILE *f = fopen("keys/server.crt", "r");
	X509 *x = f ? PEM_read_X509(f, NULL, NULL, NULL) : NULL;
	uint8_t *der = to + 6;
	int n;

	need(x != NULL, "keys/server.crt");
	fclose(f);
	n = i2d_X509(x, &der);
	put(to, (uint64_t)n + 3, 3);
	put(to + 3, (uint64_t)n, 3);
	*key = X509_get_pubkey(x);
	X509_free(x);
	return 6 + (size_t)n;
}

static size_t key_exchange(EVP_PKEY *key, uint8_t pms[48], uint8_t *to)
{
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(key, NULL);
	size_t n = 1024;

	RAND_bytes(pms, 48);
	put(pms, 0x0303, 2);
	need(ctx && EVP_PKEY_encrypt_init(ctx) == 1 &&
		     EVP_PKEY_encrypt(ctx, to + 2, &n, pms, 48) == 1, "RSA");
	EVP_PKEY_CTX_free(ctx);
	put(to, n, 2);
	return 2 + n;
}

/* ChangeCipherSpec and Finished of a side. */
static size_t finish(struct rc4 *r, const uint8_t master[48], const char *label, uint8_t *to)
{
	uint8_t hash[32], m[16] = { 20, 0, 0, 12 };
	size_t n = seal(NULL, 20, (const uint8_t *)"\1", 1, to);

	EVP_Digest(said, said_n, hash, NULL, EVP_sha256(), NULL);
	prf(master, 48, label, hash, 32, m + 4, 12);
	memcpy(said + said_n, m, 16);
	said_n += 16;
	return n + seal(r, 22, m, 16, to + n);
}

static void send_rc4(size_t record, unsigned count)
{
	const size_t size = (size_t)2 * count * MSS + (4 << 20);
	uint8_t *buf[2] = { malloc(size), malloc(size) };
	uint8_t hello[64] = { 3, 3 }, body[4096], pms[48], master[48], block[72], randoms[64];
	struct rc4 r[2] = { { .seq = 0 }, { .seq = 0 } };
	size_t n[2] = { 0, 0 }, k;
	EVP_PKEY *key;

	need(buf[0] && buf[1] && RAND_bytes(randoms, 64) == 1, "malloc");
	memcpy(hello + 2, randoms, 32);
	memcpy(hello + 34, "\0\0\2\0\5\1\0", 7);
	segments(0, buf[0], message(1, hello, 41, buf[0]));
	memcpy(hello + 2, randoms + 32, 32);
	memcpy(hello + 34, "\0\0\5\0", 4);
	k = message(2, hello, 38, buf[1]);
	k += message(11, body, certificate(body, &key), buf[1] + k);
	k += message(14, NULL, 0, buf[1] + k);
	segments(1, buf[1], k);
	k = message(16, body, key_exchange(key, pms, body), buf[0]);
	EVP_PKEY_free(key);
	prf(pms, 48, "master secret", randoms, 64, master, 48);
	fprintf(keylog, "CLIENT_RANDOM ");
	for (int i = 0; i < 32; i++)
		fprintf(keylog, "%02x", randoms[i]);
	fputc(' ', keylog);
	for (int i = 0; i < 48; i++)
		fprintf(keylog, "%02x", master[i]);
	fputc('\n', keylog);
	for (int i = 0; i < 32; i++) { /* the server's comes first in the key expansion */
		uint8_t t = randoms[i];

		randoms[i] = randoms[32 + i];
		randoms[32 + i] = t;
	}
	prf(master, 48, "key expansion", randoms, 64, block, 72);
	for (int side = 0; side < 2; side++) {
		memcpy(r[side].mac, block + 20 * side, 20);
		rc4_key(&r[side], block + 40 + 16 * side);
	}
	segments(0, buf[0], k + finish(&r[0], master, "client finished", buf[0] + k));
	segments(1, buf[1], finish(&r[1], master, "server finished", buf[1]));
	printf("%u\n", packets);
	for (int side = 0; side < 2; side++) {
		uint64_t all = sent(record, count), at = 0;
		uint8_t data[RECORD_MAX];

		for (uint64_t i = 0; at < all; at += record_size(record, i++)) {
			content(data, record_size(record, i), at);
			n[side] += seal(&r[side], 23, data, record_size(record, i), buf[side] + n[side]);
		}
	}
	both(buf, n);
	for (int side = 0; side < 2; side++)
		segments(side, buf[side], seal(&r[side], 21, (const uint8_t *)"\1\0", 2, buf[side]));
}

static int send_session(char **arg)
{
	static const struct {
		const char *name, *suite;
		int version;
	} suites[] = {
		{ "gcm", "AES128-GCM-SHA256", TLS1_2_VERSION },
		{ "cbc", "AES128-SHA", TLS1_2_VERSION },
		{ "cbc-sha256", "AES128-SHA256", TLS1_2_VERSION },
		{ "cbc-tls10", "AES128-SHA", TLS1_VERSION },
		{ "chacha", "ECDHE-RSA-CHACHA20-POLY1305", TLS1_2_VERSION },
		{ "rc4", NULL, 0 },
	};
	char *dash = strstr(arg[0], "-noems");
	size_t record = (size_t)atol(arg[1]), i = 0;
	unsigned count = (unsigned)atol(arg[2]);

	if (dash)
		*dash = '\0';
	while (i < sizeof suites / sizeof suites[0] && strcmp(suites[i].name, arg[0]))
		i++;
	need(i < sizeof suites / sizeof suites[0] && record <= RECORD_MAX && record % 8 == 0, "SUITE");
	keylog = fopen(arg[4], "w");
	need(keylog != NULL, arg[4]);
	begin_capture(arg[3]);
	if (suites[i].suite)
		send_openssl(suites[i].suite, suites[i].version, dash != NULL, record, count);
	else
		send_rc4(record, count);
	packet(0, FIN | ACK, NULL, 0);
	packet(1, FIN | ACK, NULL, 0);
	packet(0, ACK, NULL, 0);
	return fclose(out) || fclose(keylog);
}

/* ---- spoiling ---- */

struct caught {
	uint64_t us, order;
	uint8_t *bytes;
	uint32_t n;
	int side;
};

static uint64_t state;

static uint64_t rnd(void) /* splitmix64 */
{
	uint64_t z = (state += 0x9e3779b97f4a7c15);

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
	z = (z ^ z >> 27) * 0x94d049bb133111eb;
	return z ^ z >> 31;
}

static int percent(double p)
{
	return (double)(rnd() >> 11) / (double)(1ull << 53) * 100 < p;
}

static int by_order(const void *a, const void *b)
{
	const struct caught *x = a, *y = b;

	return x->order < y->order ? -1 : x->order > y->order;
}

static struct caught *read_capture(const char *path, uint8_t head[24], size_t *count)
{
	FILE *in = fopen(path, "rb");
	struct caught *c = NULL;
	uint32_t h[4];
	size_t n = 0, size = 0;
	uint16_t first = 0;

	need(in && fread(head, 24, 1, in) == 1, path);
	while (fread(h, sizeof h, 1, in) == 1) {
		size_t ip = 14, port;

		if (n == size)
			c = realloc(c, (size = size ? 2 * size : 1024) * sizeof *c);
		need(c && h[2] <= SIZE, "capture");
		c[n] = (struct caught){ h[0] * 1000000ull + h[1], 0, malloc(h[2] + 1), h[2], 0 };
		need(c[n].bytes && (!h[2] || fread(c[n].bytes, h[2], 1, in) == 1), path);
		port = ip + (c[n].bytes[12] == 0x86 ? 40u : 4u * (c[n].bytes[14] & 15));
		if (port + 2 <= h[2]) {
			uint16_t p = (uint16_t)(c[n].bytes[port] << 8 | c[n].bytes[port + 1]);

			first = n ? first : p;
			c[n].side = p != first;
		}
		n++;
	}
	fclose(in);
	*count = n;
	return c;
}

static void write_packet(const struct caught *c, uint64_t us)
{
	uint32_t h[4] = { (uint32_t)(us / 1000000), (uint32_t)(us % 1000000), c->n, c->n };

	need(fwrite(h, sizeof h, 1, out) == 1 && fwrite(c->bytes, c->n, 1, out) == 1, "write");
}

static int spoil(char **arg)
{
	const char *what = arg[4];
	double value = atof(arg[5]);
	size_t keep = (size_t)atol(arg[3]), n;
	uint8_t head[24];
	struct caught *c = read_capture(arg[0], head, &n);
	int late = !strcmp(what, "delay-client") ? 0 : !strcmp(what, "delay-server") ? 1 : -1;
	uint64_t *us = calloc(n + 1, sizeof *us);

	state = strtoull(arg[2], NULL, 10) * 0x2545f4914f6cdd1d + 1;
	need(us != NULL, "malloc");
	for (size_t i = 0; i < n; i++) {
		c[i].order = i << 8;
		if (late >= 0) {
			c[i].us += c[i].side == late && i >= keep ? (uint64_t)(value * 1000) : 0;
			c[i].order = c[i].us << 20 | i;
		} else if (!strcmp(what, "reorder") && i >= keep) {
			c[i].order = (i + rnd() % ((uint64_t)value + 1)) << 8;
		}
		us[i] = c[i].us;
	}
	/* Packets have the time at which they were captured: it only goes up. */
	qsort(c, n, sizeof *c, by_order);
	out = fopen(arg[1], "wb");
	need(out && fwrite(head, 24, 1, out) == 1, arg[1]);
	for (size_t i = 0; i < n; i++) {
		uint64_t t = late >= 0 ? c[i].us : us[i];

		if (!strcmp(what, "one") ? (double)(i + 1) == value
					 : i >= keep && !strcmp(what, "loss") && percent(value))
			continue;
		write_packet(&c[i], t);
		if (!strcmp(what, "duplicate") && i >= keep && percent(value))
			write_packet(&c[i], t);
	}
	return fclose(out);
}

/* ---- looking at what came ---- */

static int check(char **arg)
{
	FILE *f = fopen(arg[0], "rb");
	uint64_t all = sent((size_t)atol(arg[2]), (unsigned)atol(arg[1])), came = 0, next = 0, pieces = 0;
	uint8_t w[8];
	size_t n;

	need(f != NULL, arg[0]);
	while ((n = fread(w, 1, 8, f)) == 8) {
		uint64_t at = 0;

		for (int i = 0; i < 8; i++)
			at = at << 8 | w[i];
		if (at % 8 || at < next || at >= all) {
			printf("byte %llu is not what was sent\n", (unsigned long long)came);
			return 1;
		}
		pieces += at != next || !came;
		next = at + 8;
		came += 8;
	}
	fclose(f);
	printf("%llu %llu %llu\n", (unsigned long long)came, (unsigned long long)all,
	       (unsigned long long)pieces);
	return n != 0;
}

int main(int argc, char **argv)
{
	if (argc == 7 && !strcmp(argv[1], "send"))
		return send_session(argv + 2);
	if (argc == 8 && !strcmp(argv[1], "spoil"))
		return spoil(argv + 2);
	if (argc == 5 && !strcmp(argv[1], "check"))
		return check(argv + 2);
	fprintf(stderr, "usage: loss send SUITE RECORD PACKETS OUT KEYLOG |\n"
		"       loss spoil IN OUT SEED KEEP WHAT VALUE | loss check FILE PACKETS RECORD\n");
	return 1;
}
