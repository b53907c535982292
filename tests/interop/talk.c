/* talk PORT KEYS NAME WORD...: a client and a server, both OpenSSL's, in one process and
 * joined by a real TCP connection on the loopback, so that what they do and when stands in
 * a script. One line of JSON for each connection: what the session was, and length and
 * SHA-256 of what each side wrote (and the other read: that is checked).
 *
 * A word that begins with "-" leaves what it writes in the sender's hands; else
 * everything is carried across after it. Options, good until changed:
 *
 *   version=1.0|1.1|1.2 suite=LIST ems=on|off etm=on|off ticket=on|off
 *   ticket=renew|forget       the server issues a new one, or has lost its keys
 *   ids=forget                it has lost the sessions
 *   verify=on                 the server asks for the client's certificate
 *   cert=on                   the client has one
 *   keylog=FILE split=N       handshake records in clear are cut into N bytes
 *   alpn=N                    the client offers so many bytes of protocol names
 *   npn=on status=on sni=NAME maxfrag=1..4 frag=N norenegotiation=c|s fallback=on grease=on
 *
 * Words: new (a connection, resuming the session if keep=on), hello (the handshake),
 * c:N s:N (the side writes N bytes; 0 is nothing), c-renegotiate s-renegotiate
 * c-abbreviated s-abbreviated, carry, close, c-close, fin, rst, say:JSON (added to the line),
 * sleep:N (milliseconds), mark (what is sent later is not counted). */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { CLIENT, SERVER, MOST = 1 << 20 };

struct side {
	SSL *ssl;
	int fd;
	size_t sent, got, counts; /* counts: what is printed, if not all */
	unsigned char *out, *in;
	int encrypted; /* its ChangeCipherSpec is on the wire */
};

static struct side side[2];
static SSL_CTX *ctx[2];
static SSL_SESSION *session;
static const char *name, *keys, *more;
static int port, listener, ems = 1, etm = 1, ticket = 1, keep, split, frag, quiet;
static int generation, renew, want_cert, have_cert, failed;
static char *keylog;
static unsigned char wire[MOST];

static void die(const char *what)
{
	fprintf(stderr, "talk: %s: %s\n", name ? name : "", what);
	ERR_print_errors_fp(stderr);
	exit(1);
}

static void log_key(const SSL *ssl, const char *line)
{
	FILE *f = SSL_is_server(ssl) || !keylog ? NULL : fopen(keylog, "a");

	if (f) {
		fprintf(f, "%s\n", line);
		fclose(f);
	}
}

/* The ticket keys are numbered; the server forgets those of an earlier number. */
static int ticket_keys(SSL *ssl, unsigned char *id, unsigned char *iv, EVP_CIPHER_CTX *c,
		       EVP_MAC_CTX *mac, int enc)
{
	unsigned char key[32] = "the keys of the tickets", n = (unsigned char)generation;
	OSSL_PARAM p[] = { OSSL_PARAM_octet_string(OSSL_MAC_PARAM_KEY, key, sizeof key),
			   OSSL_PARAM_utf8_string(OSSL_MAC_PARAM_DIGEST, "SHA256", 0), OSSL_PARAM_END };

	(void)ssl;
	if (enc) {
		memset(id, n, 16);
		RAND_bytes(iv, 16);
	} else if (id[0] != n) {
		return 0;
	}
	if (!EVP_CipherInit_ex(c, EVP_aes_256_cbc(), NULL, key, iv, enc) || !EVP_MAC_CTX_set_params(mac, p))
		return -1;
	return enc || !renew ? 1 : 2;
}

static int status(SSL *ssl, void *arg)
{
	unsigned char *p = OPENSSL_zalloc(1200);

	(void)arg; /* nobody looks into it */
	memset(p, 0x30, 1200);
	SSL_set_tlsext_status_ocsp_resp(ssl, p, 1200);
	return SSL_TLSEXT_ERR_OK;
}
static int status_seen(SSL *ssl, void *arg)
{
	(void)ssl, (void)arg;
	return 1;
}

static int npn_names(SSL *ssl, const unsigned char **out, unsigned *n, void *arg)
{
	(void)ssl, (void)arg;
	*out = (const unsigned char *)"\10http/1.1\6spdy/3";
	*n = 16;
	return SSL_TLSEXT_ERR_OK;
}
static int npn_pick(SSL *ssl, unsigned char **out, unsigned char *n, const unsigned char *in,
		    unsigned inlen, void *arg)
{
	(void)ssl, (void)arg, (void)inlen;
	*out = (unsigned char *)in + 1;
	*n = in[0];
	return SSL_TLSEXT_ERR_OK;
}
static int alpn_pick(SSL *ssl, const unsigned char **out, unsigned char *n, const unsigned char *in,
		     unsigned inlen, void *arg)
{
	(void)ssl, (void)arg, (void)inlen;
	*out = in + 1;
	*n = in[0];
	return SSL_TLSEXT_ERR_OK;
}
static int sni_unknown(SSL *ssl, int *alert, void *arg)
{
	(void)ssl, (void)arg;
	*alert = SSL_AD_UNRECOGNIZED_NAME;
	return SSL_TLSEXT_ERR_ALERT_WARNING;
}
static int any(int ok, X509_STORE_CTX *c)
{
	(void)ok, (void)c;
	return 1;
}

static SSL_CTX *context(const SSL_METHOD *method, const char *who)
{
	SSL_CTX *c = SSL_CTX_new(method);
	char crt[500], key[500];

	snprintf(crt, sizeof crt, "%s/%s.crt", keys, who);
	snprintf(key, sizeof key, "%s/%s.pem", keys, who);
	if (!c || (!strcmp(who, "server") && (SSL_CTX_use_certificate_file(c, crt, SSL_FILETYPE_PEM) != 1 ||
					      SSL_CTX_use_PrivateKey_file(c, key, SSL_FILETYPE_PEM) != 1)))
		die("context");
	SSL_CTX_set_min_proto_version(c, TLS1_VERSION);
	SSL_CTX_set_max_proto_version(c, TLS1_2_VERSION);
	SSL_CTX_set_cipher_list(c, "ALL:eNULL:@SECLEVEL=0");
	SSL_CTX_set_session_id_context(c, (const unsigned char *)"talk", 4);
	SSL_CTX_set_keylog_callback(c, log_key);
	SSL_CTX_set_dh_auto(c, 1);
	return c;
}

static void connect_both(void)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port),
				 .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int one = 1;

	side[CLIENT].fd = socket(AF_INET, SOCK_STREAM, 0);
	if (connect(side[CLIENT].fd, (struct sockaddr *)&a, sizeof a))
		die("connect");
	side[SERVER].fd = accept(listener, NULL, NULL);
	for (int i = 0; i < 2; i++)
		setsockopt(side[i].fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
}

static void set_options(void)
{
	for (int i = 0; i < 2; i++) {
		SSL *s = side[i].ssl;

		SSL_clear_options(s, SSL_OP_NO_EXTENDED_MASTER_SECRET | SSL_OP_NO_ENCRYPT_THEN_MAC | SSL_OP_NO_TICKET);
		SSL_set_options(s, (ems ? 0 : SSL_OP_NO_EXTENDED_MASTER_SECRET) |
					   (etm ? 0 : SSL_OP_NO_ENCRYPT_THEN_MAC) | (ticket ? 0 : SSL_OP_NO_TICKET) |
					   SSL_OP_ALLOW_CLIENT_RENEGOTIATION | SSL_OP_NO_ANTI_REPLAY);
		if (frag)
			SSL_set_max_send_fragment(s, frag);
	}
	SSL_set_verify(side[SERVER].ssl, want_cert ? SSL_VERIFY_PEER : SSL_VERIFY_NONE, any);
	if (have_cert) {
		char f[500];

		snprintf(f, sizeof f, "%s/client.crt", keys);
		SSL_use_certificate_file(side[CLIENT].ssl, f, SSL_FILETYPE_PEM);
		snprintf(f, sizeof f, "%s/client.pem", keys);
		SSL_use_PrivateKey_file(side[CLIENT].ssl, f, SSL_FILETYPE_PEM);
	}
}

static void begin(void)
{
	connect_both();
	for (int i = 0; i < 2; i++) {
		struct side *s = &side[i];

		s->ssl = SSL_new(ctx[i]);
		SSL_set_bio(s->ssl, BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
		BIO_set_mem_eof_return(SSL_get_rbio(s->ssl), -1);
		s->out = malloc(MOST);
		s->in = malloc(MOST);
		s->sent = s->got = 0;
		s->encrypted = 0;
	}
	SSL_set_connect_state(side[CLIENT].ssl);
	SSL_set_accept_state(side[SERVER].ssl);
	set_options();
	if (keep && session)
		SSL_set_session(side[CLIENT].ssl, session);
}

/* ---- the wire ---- */

/* Cuts handshake records that are in clear; returns the new length. */
static size_t cut(struct side *s, unsigned char *p, size_t n)
{
	static unsigned char to[MOST];
	size_t at = 0, made = 0;

	while (at + 5 <= n) {
		size_t len = (size_t)p[at + 3] << 8 | p[at + 4], done = 0;

		if (p[at] == 20)
			s->encrypted = 1;
		while (!s->encrypted && p[at] == 22 && len - done > (size_t)split) {
			memcpy(to + made, p + at, 3);
			to[made + 3] = 0;
			to[made + 4] = (unsigned char)split;
			memcpy(to + made + 5, p + at + 5 + done, (size_t)split);
			made += 5 + (size_t)split;
			done += (size_t)split;
		}
		memcpy(to + made, p + at, 3);
		to[made + 3] = (unsigned char)((len - done) >> 8);
		to[made + 4] = (unsigned char)(len - done);
		memcpy(to + made + 5, p + at + 5 + done, len - done);
		made += 5 + len - done;
		at += 5 + len;
	}
	memcpy(p, to, made);
	return made;
}

static void transfer(int from, size_t n)
{
	static unsigned char buf[MOST];
	struct side *to = &side[!from];

	for (size_t at = 0; at < n;) {
		ssize_t put = send(side[from].fd, wire + at, n - at > 60000 ? 60000 : n - at, MSG_NOSIGNAL);

		if (put <= 0)
			die("send");
		for (ssize_t left = put; left > 0;) {
			ssize_t got = recv(to->fd, buf, (size_t)left, 0);

			if (got <= 0)
				die("receive");
			BIO_write(SSL_get_rbio(to->ssl), buf, (int)got);
			left -= got;
		}
		at += (size_t)put;
	}
}

static void read_all(struct side *s)
{
	int n;

	do {
		n = SSL_read(s->ssl, s->in + s->got, (int)(MOST - s->got));
		if (n > 0)
			s->got += (size_t)n;
	} while (n > 0);
	if (SSL_get_error(s->ssl, n) == SSL_ERROR_SSL) {
		if (!quiet)
			die("read");
		failed = 1;
		ERR_clear_error();
	}
}

static void carry(void)
{
	int moved;

	do {
		moved = 0;
		for (int i = 0; i < 2; i++) {
			int n = BIO_read(SSL_get_wbio(side[i].ssl), wire, split ? MOST / 8 : MOST);

			if (n <= 0)
				continue;
			moved = 1;
			transfer(i, split ? cut(&side[i], wire, (size_t)n) : (size_t)n);
			read_all(&side[!i]);
		}
	} while (moved);
}

static void send_bytes(struct side *s, size_t n)
{
	if (s->sent + n > MOST)
		die("too much");
	RAND_bytes(s->out + s->sent, (int)n);
	while (n) { /* an unfinished handshake is let through */
		int put = SSL_write(s->ssl, s->out + s->sent, (int)(n > 16384 ? 16384 : n));

		if (put <= 0)
			die("write");
		s->sent += (size_t)put;
		n -= (size_t)put;
	}
}

static void hello(struct side *s)
{
	if (SSL_do_handshake(s->ssl) != 1 && SSL_get_error(s->ssl, -1) != SSL_ERROR_WANT_READ && !quiet)
		die("handshake");
}

/* ---- the end ---- */

static void print_sum(const char *key, const struct side *s)
{
	unsigned char md[32];

	size_t n = s->counts ? s->counts : s->sent;

	EVP_Digest(s->out, n, md, NULL, EVP_sha256(), NULL);
	printf(",\"%s_bytes\":%zu,\"%s_sha256\":\"", key, n, key);
	for (int i = 0; i < 32; i++)
		printf("%02x", md[i]);
	printf("\"");
}

static void end(const char *how)
{
	SSL *c = side[CLIENT].ssl;
	const SSL_CIPHER *suite = SSL_get_current_cipher(c);
	int cbc = suite && strstr(SSL_CIPHER_standard_name(suite), "_CBC_");
	int resumed = SSL_session_reused(c);
	const char *ends[2];

	carry();
	for (int i = 0; i < 2; i++)
		ends[i] = SSL_get_shutdown(side[i].ssl) & SSL_SENT_SHUTDOWN ? "close_notify" : how;
	if (side[0].sent != side[1].got || side[1].sent != side[0].got ||
	    memcmp(side[0].out, side[1].in, side[0].sent) || memcmp(side[1].out, side[0].in, side[1].sent))
		die("what came is not what was sent");
	printf("{\"name\":\"%s\",\"version\":\"%s\",\"suite\":\"%s\",\"ems\":%s,\"etm\":%s", name,
	       !strcmp(SSL_get_version(c), "TLSv1.2") ? "TLS 1.2" : !strcmp(SSL_get_version(c), "TLSv1.1") ? "TLS 1.1" : "TLSv1",
	       suite ? SSL_CIPHER_standard_name(suite) : "", SSL_get_extms_support(c) == 1 ? "true" : "false",
	       etm && cbc ? "true" : "false");
	printf(",\"client_cert\":%s,\"resumed\":\"%s\",\"renegotiations\":%ld,\"end\":{\"client\":\"%s\",\"server\":\"%s\"}",
	       want_cert && have_cert && !resumed ? "true" : "false",
	       !resumed ? "no" : SSL_SESSION_has_ticket(SSL_get0_session(c)) ? "ticket" : "id",
	       SSL_total_renegotiations(c) - failed, ends[0], ends[1]);
	printf(",\"verdict\":\"decrypted\",\"reason\":\"complete\",\"notes\":[%s]",
	       ends[0] == how || ends[1] == how ? "\"truncated\"" : "");
	print_sum("client", &side[CLIENT]);
	print_sum("server", &side[SERVER]);
	printf("%s%s}\n", more ? "," : "", more ? more : "");
	if (!strcmp(how, "rst")) {
		struct linger l = { .l_onoff = 1 };

		setsockopt(side[SERVER].fd, SOL_SOCKET, SO_LINGER, &l, sizeof l);
		close(side[SERVER].fd);
	}
	for (int i = 0; i < 2; i++)
		shutdown(side[i].fd, SHUT_WR);
	usleep(2000);
	if (SSL_get0_session(c)) {
		SSL_SESSION_free(session);
		session = SSL_get1_session(c);
	}
	for (int i = 0; i < 2; i++) {
		if (strcmp(how, "rst") || i == CLIENT)
			close(side[i].fd);
		SSL_shutdown(side[i].ssl); /* so that its session stays in the cache */
		SSL_set_shutdown(side[i].ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
		SSL_free(side[i].ssl);
		free(side[i].out);
		free(side[i].in);
		side[i] = (struct side){ 0 };
	}
	failed = 0;
	more = NULL;
	usleep(2000);
}

/* ---- the script ---- */

static int version_of(const char *v)
{
	return !strcmp(v, "1.0") ? TLS1_VERSION : !strcmp(v, "1.1") ? TLS1_1_VERSION : TLS1_2_VERSION;
}

static void offer_names(size_t n)
{
	unsigned char *list = malloc(n + 256);
	size_t at = 0;

	while (at < n) {
		list[at] = 200;
		memset(list + at + 1, 'a' + (int)(at / 201 % 26), 200);
		at += 201;
	}
	SSL_CTX_set_alpn_protos(ctx[CLIENT], list, (unsigned)at);
	SSL_CTX_set_alpn_select_cb(ctx[SERVER], alpn_pick, NULL);
	free(list);
}

static int option(const char *w)
{
	const char *v = strchr(w, '=');
	int on;

	if (!v || *w == '-' || strchr(w, ':'))
		return 0;
	v++;
	on = !strcmp(v, "on");
#define IS(x) (!strncmp(w, x "=", sizeof x))
	if (IS("version"))
		for (int i = 0; i < 2; i++)
			SSL_CTX_set_max_proto_version(ctx[i], version_of(v));
	else if (IS("suite")) {
		char list[500];

		snprintf(list, sizeof list, "%s:@SECLEVEL=0", v);
		SSL_CTX_set_cipher_list(ctx[CLIENT], list);
		if (side[CLIENT].ssl)
			SSL_set_cipher_list(side[CLIENT].ssl, list);
	} else if (IS("ems"))
		ems = on;
	else if (IS("etm"))
		etm = on;
	else if (IS("ticket")) {
		renew = !strcmp(v, "renew");
		generation += !strcmp(v, "forget");
		ticket = strcmp(v, "off") != 0;
	} else if (IS("ids")) {
		SSL_CTX_flush_sessions(ctx[SERVER], 0x7fffffff);
	} else if (IS("verify"))
		want_cert = on;
	else if (IS("cert"))
		have_cert = on;
	else if (IS("keep"))
		keep = on;
	else if (IS("keylog"))
		keylog = strdup(v);
	else if (IS("split"))
		split = atoi(v);
	else if (IS("frag"))
		frag = atoi(v);
	else if (IS("quiet"))
		quiet = on;
	else if (IS("alpn"))
		offer_names((size_t)atoi(v));
	else if (IS("npn")) {
		SSL_CTX_set_next_protos_advertised_cb(ctx[SERVER], npn_names, NULL);
		SSL_CTX_set_next_proto_select_cb(ctx[CLIENT], npn_pick, NULL);
	} else if (IS("status")) {
		SSL_CTX_set_tlsext_status_cb(ctx[SERVER], status);
		SSL_CTX_set_tlsext_status_cb(ctx[CLIENT], status_seen);
		SSL_CTX_set_tlsext_status_type(ctx[CLIENT], TLSEXT_STATUSTYPE_ocsp);
	} else if (IS("sni")) {
		SSL_CTX_set_tlsext_servername_callback(ctx[SERVER], sni_unknown);
		if (side[CLIENT].ssl)
			SSL_set_tlsext_host_name(side[CLIENT].ssl, v);
	} else if (IS("maxfrag"))
		SSL_CTX_set_tlsext_max_fragment_length(ctx[CLIENT], (uint8_t)atoi(v));
	else if (IS("fallback")) /* TLS_FALLBACK_SCSV */
		SSL_CTX_set_mode(ctx[CLIENT], SSL_MODE_SEND_FALLBACK_SCSV);
	else if (IS("grease")) /* RFC 8701 */
		SSL_CTX_add_client_custom_ext(ctx[CLIENT], 0x0a0a, NULL, NULL, NULL, NULL, NULL);
	else if (IS("norenegotiation"))
		SSL_set_options(side[*v == 's'].ssl, SSL_OP_NO_RENEGOTIATION);
	else if (IS("name"))
		name = v;
	else
		die(w);
	if (side[CLIENT].ssl)
		set_options();
	return 1;
}

static void word(const char *w)
{
	int wait = *w == '-', who;

	w += wait;
	who = *w == 's' ? SERVER : CLIENT;
	if (!strcmp(w, "new")) {
		begin();
	} else if (!strcmp(w, "hello")) {
		hello(&side[CLIENT]);
	} else if (w[1] == ':') {
		send_bytes(&side[who], (size_t)atol(w + 2));
	} else if (!strcmp(w + 1, "-renegotiate") || !strcmp(w + 1, "-abbreviated")) {
		if (w[2] == 'r' ? !SSL_renegotiate(side[who].ssl) : !SSL_renegotiate_abbreviated(side[who].ssl))
			die(w);
		hello(&side[who]);
	} else if (!strcmp(w + 1, "-close")) {
		SSL_shutdown(side[who].ssl);
	} else if (!strcmp(w, "mark")) {
		for (int i = 0; i < 2; i++)
			side[i].counts = side[i].sent;
	} else if (!strncmp(w, "say:", 4)) {
		more = w + 4;
	} else if (!strcmp(w, "close")) {
		carry();
		SSL_shutdown(side[CLIENT].ssl);
		SSL_shutdown(side[SERVER].ssl);
		end("fin");
		return;
	} else if (!strcmp(w, "fin") || !strcmp(w, "rst")) {
		end(w);
		return;
	} else if (!strncmp(w, "sleep:", 6)) {
		usleep(1000 * (unsigned)atoi(w + 6));
	} else if (strcmp(w, "carry")) {
		die(w);
	}
	if (!wait && side[CLIENT].ssl)
		carry();
}

int main(int argc, char **argv)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int one = 1;

	if (argc < 5) {
		fprintf(stderr, "usage: talk PORT KEYS NAME WORD...\n");
		return 1;
	}
	port = atoi(argv[1]);
	keys = argv[2];
	name = argv[3];
	ctx[CLIENT] = context(TLS_client_method(), "client");
	ctx[SERVER] = context(TLS_server_method(), "server");
	SSL_CTX_set_tlsext_ticket_key_evp_cb(ctx[SERVER], ticket_keys);
	listener = socket(AF_INET, SOCK_STREAM, 0);
	setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
	a.sin_port = htons((uint16_t)port);
	if (bind(listener, (struct sockaddr *)&a, sizeof a) || listen(listener, 4))
		die("listen");
	for (int i = 4; i < argc; i++)
		if (!option(argv[i]))
			word(argv[i]);
	return 0;
}
