/* What a connection costs in memory while nothing happens in it: many copies of one that
 * stand open at the same time, through the real engine, and what the heap has grown by.
 *
 * Counted is everything but the contexts of ciphers, which are the worker's cache, and the
 * tables that are made for many at once (lp_flow has its share added as it is). */
#define _GNU_SOURCE
#include <check.h>
#include <limpid/limpid.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "capture/capture.h"
#include "engine_parts.h"
#include "net/flow.h"
#include "tls/session_parts.h"

/* FIRST: so many that the table of connections needs no other slots for the COPIES. */
enum { ETHER = 14, PACKETS = 200, FIRST = 1100, COPIES = 900 };
/* RC4: a stream cipher's contexts are its state, which stay. */
enum { TLS_MAX = 1024, RC4 = 3200, PLAIN_MAX = 256 };

/* One connection of a capture: Ethernet, IPv4. */
struct model {
	struct lp_wire wire[PACKETS];
	size_t n;
	uint16_t port;    /* the client's, network order */
	uint64_t number;  /* of the last packet before the copies */
};

static const uint8_t *ip_of(const struct lp_wire *w)
{
	return w->data + ETHER;
}

static const uint8_t *tcp_of(const struct lp_wire *w)
{
	return ip_of(w) + 4 * (ip_of(w)[0] & 15U);
}

static uint16_t port_of(const struct lp_wire *w, int which)
{
	uint16_t port;

	memcpy(&port, tcp_of(w) + 2 * which, 2);
	return port;
}

static bool is_syn(const struct lp_wire *w)
{
	return (tcp_of(w)[13] & 0x12) == 2;
}

/* Whether an end begins with it: FIN or RST, or a record with an alert. */
static bool is_end(const struct lp_wire *w)
{
	const uint8_t *tcp = tcp_of(w), *data = tcp + 4 * (tcp[12] >> 4);
	size_t n = (size_t)ip_of(w)[2] << 8 | ip_of(w)[3];
	bool alert = data < ip_of(w) + n && data[0] == 21;

	return tcp[13] & 5 || alert;
}

/* Connection number nth of the capture, without its end. What comes before it goes to
 * the worker as it is. */
static void model_read(struct model *m, const char *name, unsigned nth, struct lp_worker *worker)
{
	const struct lp_capture_config config = { .filter = NULL };
	char path[128], why[LP_WHY_SIZE];
	struct lp_wire p[LP_BATCH];
	struct lp_capture *c;
	bool over = false;
	size_t n;

	*m = (struct model){ .n = 0 };
	snprintf(path, sizeof path, "captures/%s", name);
	ck_assert_int_eq(lp_capture_open_file(&c, path, &config, why), LP_OK);
	while (lp_capture_read(c, p, LP_BATCH, &n) == LP_OK)
		for (size_t i = 0; i < n; i++) {
			struct lp_wire w = p[i];

			ck_assert_uint_eq(ip_of(&w)[0] >> 4, 4);
			if (!m->n && is_syn(&w) && !nth--)
				m->port = port_of(&w, 0);
			if (!m->port) {
				m->number = w.number;
				ck_assert_int_ge(lp_worker_packets(worker, &w, 1), 0);
				while (worker->env.waiting)
					ck_assert_int_ge(lp_worker_poll(worker, 1000), 0);
			} else if (port_of(&w, 0) == m->port || port_of(&w, 1) == m->port) {
				over = over || is_end(&w);
				if (over || m->n == PACKETS)
					continue;
				w.data = malloc(w.caplen);
				memcpy((void *)(uintptr_t)w.data, p[i].data, w.caplen);
				m->wire[m->n++] = w;
			}
		}
	lp_capture_close(c);
	ck_assert_uint_gt(m->n, 3);
}

static void model_clear(struct model *m)
{
	for (size_t i = 0; i < m->n; i++)
		free((void *)(uintptr_t)m->wire[i].data);
}

/* The same connection of another client. */
static void copy_to(struct lp_worker *worker, struct model *m, uint32_t client)
{
	const uint8_t address[4] = { 10, (uint8_t)(client >> 16), (uint8_t)(client >> 8),
				     (uint8_t)client };

	for (size_t i = 0; i < m->n; i++) {
		const bool up = port_of(&m->wire[i], 0) == m->port;
		struct lp_wire w = m->wire[i];

		memcpy((uint8_t *)(uintptr_t)w.data + ETHER + (up ? 12 : 16), address, 4);
		w.number = ++m->number;
		w.ts_ns = m->wire[m->n - 1].ts_ns;
		ck_assert_int_ge(lp_worker_packets(worker, &w, 1), 0);
		while (worker->env.waiting)
			ck_assert_int_ge(lp_worker_poll(worker, 1000), 0);
	}
}

/* Of sanitizer/allocator_interface.h, which not every compiler brings along. A sanitizer has an
 * allocator of its own, which counts bytes as they were asked for. */
extern size_t __sanitizer_get_current_allocated_bytes(void) __attribute__((weak));

static size_t of_heap(void)
{
	return __sanitizer_get_current_allocated_bytes ? __sanitizer_get_current_allocated_bytes() :
							 mallinfo2().uordblks;
}

static size_t in_use(void)
{
	return of_heap() + lp_secret_lent();
}

/* What plugin.h promises to be there, of each flow and session, and the outputs' own. */
static size_t of_outputs(const struct lp_worker *worker)
{
	enum { CHUNK = sizeof(size_t) }; /* malloc's own */
	size_t n = 0;

	for (const struct lp_tracked *f = worker->flows; f; f = f->next) {
		if (!f->out)
			continue;
		n += malloc_usable_size(f->out) + CHUNK;
		if (!f->out->session)
			continue;
		n += malloc_usable_size(f->out->session) + CHUNK;
		/* (What was told last is most often what the session knows.) */
		if (!f->stage.tls || f->out->session->facts != f->stage.tls->known)
			n += malloc_usable_size(f->out->session->facts) + CHUNK;
	}
	return n;
}

struct kind {
	const char *name, *capture, *key, *keylog;
	unsigned nth;        /* connection of the capture */
	size_t most;
	bool opens;          /* there are keys */
};

static const struct kind kinds[] = {
	{ "CBC, EtM", "openssl-tls12.pcap", "keys/server.pem", NULL, 0, TLS_MAX, true },
	{ "CBC, client certificate", "openssl-tls12.pcap", "keys/server.pem", NULL, 1, TLS_MAX, true },
	{ "CBC, TLS 1.0", "java.pcap", "keys/server.pem", NULL, 0, TLS_MAX, true },
	{ "AES-256-CBC, TLS 1.0", "java.pcap", "keys/server.pem", NULL, 1, TLS_MAX, true },
	{ "AES-256-CBC, 32 bytes of MAC key", "java.pcap", "keys/server.pem", NULL, 7, TLS_MAX, true },
	{ "AES-128-GCM", "key-log.pcap", "keys/server.pem", NULL, 6, TLS_MAX, true },
	{ "resumed by ticket", "resumed.pcap", "keys/server.pem", NULL, 1, TLS_MAX, true },
	{ "resumed by ID", "resumed.pcap", "keys/server.pem", NULL, 4, TLS_MAX, true },
	{ "ECDHE, key log", "key-log.pcap", NULL, "captures/key-log.keys", 0, TLS_MAX, true },
	{ "ChaCha20", "key-log.pcap", NULL, "captures/key-log.keys", 3, TLS_MAX, true },
	{ "RC4", "rc4-des.pcap", "keys/server.pem", NULL, 0, TLS_MAX + RC4, true },
	{ "renegotiated", "renegotiation.pcap", "keys/server.pem", NULL, 0, TLS_MAX, true },
	{ "no key", "forward-secret.pcap", NULL, NULL, 0, TLS_MAX, false },
	{ "not TLS", "http-clear.pcap", NULL, NULL, 0, PLAIN_MAX, false },
};
enum { KINDS = sizeof kinds / sizeof kinds[0] };

START_TEST(a_settled_flow)
{
	const struct kind *k = &kinds[_i];
	struct lp_config *config;
	struct lp_engine *engine;
	struct lp_worker *worker;
	size_t before, flow, outputs, opened = 0;
	char why[LP_WHY], path[128];
	struct model m;

	config = lp_config_new();
	ck_assert_ptr_nonnull(config);
	ck_assert(!lp_config_set(config, "quiet", NULL, why));
	ck_assert(!lp_config_set(config, "checksums", "off", why));
	/* What is replayed, in which no secrets come late. */
	snprintf(path, sizeof path, "captures/%s", k->capture);
	ck_assert(!lp_config_set(config, "read", path, why));
	ck_assert(!lp_config_set(config, "max-contexts", "1", why));
	ck_assert(!lp_config_set(config, "max-flights-total", "1024", why));
	ck_assert(!k->key || !lp_config_set(config, "key", k->key, why));
	ck_assert(!k->keylog || !lp_config_set(config, "key-log", k->keylog, why));
	engine = lp_engine_new(config, why);
	ck_assert_msg(engine != NULL, "%s", why);
	worker = lp_worker_new(engine, why);
	ck_assert_msg(worker != NULL, "%s", why);
	ck_assert_int_ge(lp_engine_fd(engine), 0);
	/* Tables that many share are not of the heap. */
	(void)mallopt(M_MMAP_THRESHOLD, 64 << 10);
	model_read(&m, k->capture, k->nth, worker);
	for (uint32_t i = 1; i <= FIRST; i++)
		copy_to(worker, &m, i);
	before = in_use();
	outputs = of_outputs(worker);
	for (uint32_t i = 1; i <= COPIES; i++)
		copy_to(worker, &m, FIRST + i);
	flow = (in_use() - before) / COPIES + sizeof(struct lp_flow) +
	       2 * sizeof(struct lp_flow_slot);
	outputs = (of_outputs(worker) - outputs) / COPIES;
	for (const struct lp_tracked *f = worker->flows; f; f = f->next)
		opened += f->stage.tls && lp_tls_has_keys(f->stage.tls);
	printf("%s: %zu bytes, %zu of them the outputs'\n", k->name, flow, outputs);
	ck_assert_uint_eq(opened, k->opens ? FIRST + COPIES : 0);
	ck_assert_uint_le(flow - outputs, k->most);
	lp_worker_free(worker);
	lp_engine_free(engine);
	lp_config_free(config);
	model_clear(&m);
}
END_TEST

Suite *suite_flowmem(void);
Suite *suite_flowmem(void)
{
	Suite *s = suite_create("flowmem");
	TCase *c = tcase_create("flowmem");

	tcase_set_timeout(c, 60);
	tcase_add_loop_test(c, a_settled_flow, 0, KINDS);
	suite_add_tcase(s, c);
	return s;
}
