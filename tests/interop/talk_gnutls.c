/* talk_gnutls PORT KEYS NAME WORD...: as talk, with GnuTLS on both sides, which has False
 * Start, heartbeats and record_size_limit.
 *
 *   priority=STRING keylog=FILE limit=N (record_size_limit of both)
 *
 * Words: new, hello, false-start:N (the client's N bytes are on the wire before the server
 * has answered its Finished), c:N s:N, c-renegotiate s-renegotiate, c-heartbeat
 * s-heartbeat, close. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <fcntl.h>
#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { CLIENT, SERVER, MOST = 1 << 20 };

static struct side {
	gnutls_session_t s;
	int fd, busy;
	size_t sent, got;
	unsigned char *out, *in;
} side[2];
static const char *name, *priority, *keylog;
static int port, listener, renegotiations, limit;
static gnutls_certificate_credentials_t cred[2];

static void die(const char *what, int rc)
{
	fprintf(stderr, "talk_gnutls: %s: %s: %s\n", name, what, rc ? gnutls_strerror(rc) : "");
	exit(1);
}

static int log_key(gnutls_session_t s, const char *label, const gnutls_datum_t *secret)
{
	gnutls_datum_t c, v;
	FILE *f = keylog ? fopen(keylog, "a") : NULL;

	if (!f)
		return 0;
	gnutls_session_get_random(s, &c, &v);
	fprintf(f, "%s ", label);
	for (unsigned i = 0; i < c.size; i++)
		fprintf(f, "%02x", c.data[i]);
	fputc(' ', f);
	for (unsigned i = 0; i < secret->size; i++)
		fprintf(f, "%02x", secret->data[i]);
	fputc('\n', f);
	return fclose(f);
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
		fcntl(s->fd, F_SETFL, O_NONBLOCK);
		gnutls_init(&s->s, (i == SERVER ? GNUTLS_SERVER : GNUTLS_CLIENT | GNUTLS_ENABLE_FALSE_START) |
					   GNUTLS_NONBLOCK);
		if (gnutls_priority_set_direct(s->s, priority, NULL))
			die(priority, 0);
		gnutls_credentials_set(s->s, GNUTLS_CRD_CERTIFICATE, cred[i]);
		gnutls_heartbeat_enable(s->s, GNUTLS_HB_PEER_ALLOWED_TO_SEND);
		if (limit)
			gnutls_record_set_max_recv_size(s->s, (size_t)limit);
		gnutls_transport_set_int(s->s, s->fd);
		if (i == CLIENT)
			gnutls_session_set_keylog_function(s->s, log_key);
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
	ssize_t n;

	if (s->busy) {
		n = gnutls_handshake(s->s);
		if (n == GNUTLS_E_AGAIN)
			return 0;
		if (n == GNUTLS_E_GOT_APPLICATION_DATA) {
			n = gnutls_record_recv(s->s, s->in + s->got, MOST - s->got);
			if (n > 0)
				s->got += (size_t)n;
			return 1;
		}
		if (n)
			die("handshake", (int)n);
		s->busy = 0;
		return 1;
	}
	n = gnutls_record_recv(s->s, s->in + s->got, MOST - s->got);
	if (n > 0)
		s->got += (size_t)n;
	else if (n == GNUTLS_E_REHANDSHAKE)
		s->busy = 1;
	else if (n == GNUTLS_E_HEARTBEAT_PING_RECEIVED)
		gnutls_heartbeat_pong(s->s, 0);
	else if (n == GNUTLS_E_AGAIN || n == 0)
		return 0;
	else if (n != GNUTLS_E_HEARTBEAT_PONG_RECEIVED)
		die("read", (int)n);
	return 1;
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
	gnutls_rnd(GNUTLS_RND_NONCE, s->out + s->sent, n);
	while (n) {
		ssize_t rc = gnutls_record_send(s->s, s->out + s->sent, n);

		if (rc <= 0)
			die("write", (int)rc);
		s->sent += (size_t)rc;
		n -= (size_t)rc;
	}
}

static void false_start(size_t n)
{
	for (;;) {
		step(&side[CLIENT]);
		if (!side[CLIENT].busy)
			break;
		step(&side[SERVER]);
	}
	if (!side[SERVER].busy)
		die("no False Start", 0);
	send_bytes(&side[CLIENT], n);
}

static void print_sum(const char *key, const struct side *s)
{
	unsigned char md[32];

	gnutls_hash_fast(GNUTLS_DIG_SHA256, s->out, s->sent, md);
	printf(",\"%s_bytes\":%zu,\"%s_sha256\":\"", key, s->sent, key);
	for (int i = 0; i < 32; i++)
		printf("%02x", md[i]);
	printf("\"");
}

static void end(void)
{
	gnutls_session_t c = side[CLIENT].s;
	char *suite;

	carry();
	suite = gnutls_session_get_desc(c);
	for (int i = 0; i < 2; i++)
		gnutls_bye(side[i].s, GNUTLS_SHUT_WR);
	carry(); /* else the unread one makes it a reset */
	if (side[0].sent != side[1].got || side[1].sent != side[0].got ||
	    memcmp(side[0].out, side[1].in, side[0].sent) || memcmp(side[1].out, side[0].in, side[1].sent))
		die("what came is not what was sent", 0);
	printf("{\"name\":\"GnuTLS: %s, %s\",\"version\":\"%s\",\"ems\":%s,\"etm\":%s", name, suite,
	       gnutls_protocol_get_version(c) == GNUTLS_TLS1_2 ? "TLS 1.2" : "TLSv1",
	       gnutls_session_ext_master_secret_status(c) ? "true" : "false",
	       gnutls_session_etm_status(c) ? "true" : "false");
	printf(",\"client_cert\":false,\"resumed\":\"%s\",\"renegotiations\":%d,\"notes\":[]",
	       gnutls_session_is_resumed(c) ? "ticket" : "no", renegotiations);
	printf(",\"end\":{\"client\":\"close_notify\",\"server\":\"close_notify\"},\"verdict\":\"decrypted\",\"reason\":\"complete\"");
	print_sum("client", &side[CLIENT]);
	print_sum("server", &side[SERVER]);
	printf("}\n");
	for (int i = 0; i < 2; i++) {
		close(side[i].fd);
		gnutls_deinit(side[i].s);
		free(side[i].out);
		free(side[i].in);
	}
	gnutls_free(suite);
}

static void word(const char *w)
{
	struct side *s = &side[*w == 's'];
	const char *v = strchr(w, '=');
	int rc;

	if (!strncmp(w, "priority=", 9)) {
		priority = v + 1;
	} else if (!strncmp(w, "keylog=", 7)) {
		keylog = v + 1;
	} else if (!strncmp(w, "limit=", 6)) {
		limit = atoi(v + 1);
	} else if (!strcmp(w, "new")) {
		begin();
	} else if (!strcmp(w, "hello")) {
		carry();
	} else if (!strncmp(w, "false-start:", 12)) {
		false_start((size_t)atol(w + 12));
		carry();
	} else if (w[1] == ':') {
		send_bytes(s, (size_t)atol(w + 2));
		carry();
	} else if (!strcmp(w, "c-renegotiate") || !strcmp(w, "s-renegotiate")) {
		if (s == &side[SERVER] && (rc = gnutls_rehandshake(s->s)))
			die(w, rc);
		s->busy = s == &side[CLIENT];
		renegotiations++;
		carry();
	} else if (!strcmp(w + 1, "-heartbeat")) {
		rc = gnutls_heartbeat_ping(s->s, 300, 1, 0);
		if (rc)
			die(w, rc);
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
	char crt[500], key[500];
	int one = 1;

	if (argc < 5) {
		fprintf(stderr, "usage: talk_gnutls PORT KEYS NAME WORD...\n");
		return 1;
	}
	alarm(10);
	port = atoi(argv[1]);
	name = argv[3];
	priority = "NORMAL:-VERS-ALL:+VERS-TLS1.2";
	snprintf(crt, sizeof crt, "%s/server.crt", argv[2]);
	snprintf(key, sizeof key, "%s/server.pem", argv[2]);
	for (int i = 0; i < 2; i++)
		gnutls_certificate_allocate_credentials(&cred[i]);
	if (gnutls_certificate_set_x509_key_file(cred[SERVER], crt, key, GNUTLS_X509_FMT_PEM))
		die(key, 0);
	listener = socket(AF_INET, SOCK_STREAM, 0);
	setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
	a.sin_port = htons((uint16_t)port);
	if (bind(listener, (struct sockaddr *)&a, sizeof a) || listen(listener, 4))
		die("listen", 0);
	for (int i = 4; i < argc; i++)
		word(argv[i]);
	return 0;
}
