/* Places do not depend on how flows are shared out: what several reassemblers tell, each
 * for its flows, is by place what one tells for all. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "net/tcp.h"

enum { PACKETS = 6000, FLOWS = 60, EVENTS = 4 * PACKETS, MOST = 4 };

struct told {
	struct lp_when when;
	uint64_t off, n;
	uint16_t port;
	uint8_t kind, side;
};

struct one {
	struct lp_reasm *r;
	struct told *told;
	size_t n;
};

static struct told *tell(void *user, struct lp_stream *s, char kind, const struct lp_when *when)
{
	struct one *o = user;
	struct lp_stream_info info;
	struct told *t = &o->told[o->n];

	ck_assert_uint_lt(o->n, EVENTS);
	lp_tcp_native.describe(o->r, s, &info);
	*t = (struct told){ .when = *when, .kind = (uint8_t)kind };
	t->port = info.port[0] == 443 ? info.port[1] : info.port[0];
	if (o->n) /* each tells in the order of places */
		ck_assert_int_lt(lp_when_compare(&t[-1].when, when), 0);
	o->n++;
	return t;
}

static enum lp_take on_open(void *user, struct lp_stream *s, const struct lp_when *when)
{
	(void)tell(user, s, 'o', when);
	return LP_TAKE_ON;
}

static enum lp_take on_data(void *user, struct lp_stream *s, enum lp_side side, const uint8_t *p,
			    uint32_t n, uint64_t off, const struct lp_when *when)
{
	struct told *t = tell(user, s, 'd', when);

	(void)p;
	t->side = (uint8_t)side;
	t->off = off;
	t->n = n;
	s->idle = s->idle ? s->idle : (uint8_t)(t->port % 3);
	return LP_TAKE_ON;
}

static void on_gap(void *user, struct lp_stream *s, enum lp_side side, uint64_t off, uint64_t n,
		   const struct lp_when *when)
{
	struct told *t = tell(user, s, 'g', when);

	t->side = (uint8_t)side;
	t->off = off;
	t->n = n;
}

static void on_close(void *user, struct lp_stream *s, enum lp_why why, const struct lp_when *when)
{
	tell(user, s, 'c', when)->n = why;
}

static const struct lp_reasm_cb cb = {
	.open = on_open,
	.data = on_data,
	.gap = on_gap,
	.close = on_close,
};

/* ---- a wire with everything that timers have to do with ---- */

struct packet {
	struct lp_segment segment;
	size_t flow;
};

struct state {
	uint16_t port;
	uint32_t next[2];
	unsigned step;
};

static const uint8_t address[2][4] = { { 10, 0, 0, 1 }, { 10, 0, 0, 2 } };
static const uint8_t payload[1000];

static void segment(struct lp_segment *s, const struct state *f, unsigned side, uint8_t flags,
		    uint32_t len)
{
	*s = (struct lp_segment){
		.src = address[side], .dst = address[1 - side],
		.sport = side ? 443 : f->port, .dport = side ? f->port : 443,
		.seq = f->next[side], .ack = flags & LP_TCP_ACK ? f->next[1 - side] : 0,
		.flags = flags, .window = 65535, .family = 4, .csum = LP_CSUM_GOOD,
		.payload = payload, .payload_len = len, .wire_len = len,
	};
}

/* The next packet of a flow; some bytes are never seen, some connections begin anew. */
static void step(struct state *f, struct lp_segment *s)
{
	unsigned side = (unsigned)rand() % 2, dice = (unsigned)rand() % 40;
	uint32_t len = 1 + (uint32_t)rand() % 500;

	if (f->step < 3) {
		side = f->step == 1;
		segment(s, f, side, f->step == 0   ? LP_TCP_SYN
				    : f->step == 1 ? LP_TCP_SYN | LP_TCP_ACK
						   : LP_TCP_ACK, 0);
		f->next[side] += f->step < 2;
		f->step++;
	} else if (dice == 0) {
		segment(s, f, side, LP_TCP_FIN | LP_TCP_ACK, 0);
		f->next[side]++;
		f->step++;
	} else if (dice == 1) {
		segment(s, f, side, LP_TCP_RST | LP_TCP_ACK, 0);
		f->port = (uint16_t)(f->port + FLOWS);
		f->step = 0;
	} else {
		if (dice < 8)
			f->next[side] += len; /* lost */
		segment(s, f, side, LP_TCP_ACK, len);
		f->next[side] += len;
	}
}

static void make(struct packet *p)
{
	static const uint64_t pause_ms[] = { 1, 1, 3, 20, 90, 600, 1000, 2500 };
	struct state flow[FLOWS];
	uint64_t now = 1000000 * LP_NS_PER_S;

	memset(flow, 0, sizeof flow);
	for (size_t i = 0; i < FLOWS; i++)
		flow[i].port = (uint16_t)(1024 + i);
	for (size_t i = 0; i < PACKETS; i++) {
		size_t f = (size_t)rand() % (i % 2000 < 1000 ? FLOWS : FLOWS / 4);

		now += pause_ms[rand() % 8] * LP_NS_PER_MS;
		if (rand() % 500 == 0)
			now += 400 * LP_NS_PER_S;
		p[i].flow = f;
		step(&flow[f], &p[i].segment);
		p[i].segment.number = i + 1;
		p[i].segment.ts_ns = now;
	}
}

/* All flows f with f % of == self, with the seconds of the whole capture. */
static void run(struct one *o, const struct packet *p, size_t of, size_t self)
{
	struct lp_reasm_config config;
	uint64_t second = 0;
	struct lp_reasm_stats stats;

	lp_reasm_config_default(&config);
	config.handshake_ns = 20 * LP_NS_PER_S;
	config.plain_ns = 40 * LP_NS_PER_S;
	ck_assert_int_eq(lp_tcp_native.init(&o->r, &config, &cb, o), LP_OK);
	for (size_t i = 0; i < PACKETS; i++) {
		const struct lp_segment *s = &p[i].segment;

		if (s->ts_ns / LP_NS_PER_S > second || i == PACKETS - 1) {
			second = s->ts_ns / LP_NS_PER_S;
			lp_tcp_native.advance(o->r, s->number, s->ts_ns);
		}
		if (p[i].flow % of == self)
			ck_assert_int_eq(lp_tcp_native.segments(o->r, s, 1), LP_OK);
	}
	lp_tcp_native.finish(o->r);
	lp_tcp_native.stats(o->r, &stats);
	if (of == 1) { /* there was something to do */
		ck_assert_uint_gt(stats.gaps, 100);
		ck_assert_uint_gt(stats.idle, 50);
	}
	lp_tcp_native.free(o->r);
}

static int by_place(const void *a, const void *b)
{
	const struct told *x = a, *y = b;

	return lp_when_compare(&x->when, &y->when);
}

START_TEST(shared_out_or_not)
{
	struct packet *p = calloc(PACKETS, sizeof *p);
	struct one all = { .told = calloc(EVENTS, sizeof *all.told) };
	struct one some = { .told = calloc(EVENTS, sizeof *some.told) };
	struct one part = { .told = calloc(EVENTS, sizeof *part.told) };
	size_t at_once = 0;

	srand((unsigned)_i);
	make(p);
	run(&all, p, 1, 0);
	for (size_t i = 1; i < all.n; i++)
		at_once += all.told[i].when.number == all.told[i - 1].when.number &&
			   all.told[i].port != all.told[i - 1].port;
	ck_assert_uint_gt(at_once, 20); /* places that the number alone does not tell apart */
	for (size_t of = 2; of <= MOST; of++) {
		some.n = 0;
		for (size_t self = 0; self < of; self++) {
			part.n = 0;
			run(&part, p, of, self);
			memcpy(some.told + some.n, part.told, part.n * sizeof *part.told);
			some.n += part.n;
		}
		ck_assert_uint_eq(some.n, all.n);
		qsort(some.told, some.n, sizeof *some.told, by_place);
		for (size_t i = 0; i < all.n; i++) {
			/* The index is each reassembler's own. */
			some.told[i].when.index = all.told[i].when.index;
			ck_assert_mem_eq(&some.told[i], &all.told[i], sizeof all.told[i]);
		}
	}
	free(part.told);
	free(some.told);
	free(all.told);
	free(p);
}
END_TEST

Suite *suite_places(void)
{
	Suite *s = suite_create("places");
	TCase *t = tcase_create("places");

	tcase_add_loop_test(t, shared_out_or_not, 0, 8);
	suite_add_tcase(s, t);
	return s;
}
