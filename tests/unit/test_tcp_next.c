/* The short ways of what is next in order, of what is ahead of a hole and of what fills it, and the
 * look-up that a train of segments shares, against the way of all else. The same random segments go
 * to two reassemblers; to one with options that keep them off the short ways, and one at a time.
 * And segments that are lent against those that are not: to one they are, mostly, every other time.
 * Everything said, counted and remembered is the same. */
#include <check.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/clock.h"
#include "net/native.h"

enum {
	FLOWS = 6,     /* 0 and 2 differ in their domain, 1 and 3 in one address; 4 and 5 talk to
	                * themselves, 5 from one port */
	BATCH = 64,
	LONGEST = 1460,
	HEAD = 20 + 40,
	PADDED = 20,   /* bytes of options in which a signature would be looked for */
	SEGMENTS = 6000,
	LARGE = 32 + HEAD + LONGEST,
};

static uint32_t rng;

static uint32_t any(uint32_t below)
{
	rng = rng * 1664525 + 1013904223;
	return (uint32_t)((uint64_t)rng * below >> 32);
}

struct shot {
	unsigned flow;
	enum lp_side side;
	uint8_t flags, csum, fill;
	uint32_t seq, ack, len, captured, tsval;
	bool ts;
	uint16_t window, urgent;
	uint64_t number, now_ns;
};

/* What the two ends of a flow are up to. */
struct wire {
	uint32_t next[2], tsval;
	bool ts, over;
	uint8_t shown; /* bit per side: it is captured */
};

struct run {
	struct lp_reasm *r;
	struct lp_buf log;
	struct lp_segment seg[BATCH];
	uint8_t memory[BATCH][LARGE];
	uint8_t (*lent)[LARGE]; /* one for each, or NULL */
	size_t n, batch, shots;
	bool padded;
};

/* --- what is said --- */

__attribute__((format(printf, 2, 3))) static void say(struct run *x, const char *format, ...)
{
	char line[512];
	va_list args;
	int n;

	va_start(args, format);
	n = vsnprintf(line, sizeof line, format, args);
	va_end(args);
	ck_assert_int_gt((int)sizeof line, n);
	ck_assert_int_eq(lp_buf_append(&x->log, line, (size_t)n), LP_OK);
}

static void say_where(struct run *x, const struct lp_stream *s, const struct lp_when *w)
{
	struct lp_stream_info info;

	lp_tcp_native.describe(x->r, s, &info);
	say(x, " of %llu: %u %u %u %u, %llu %llu, idle %u conflict %u fin %u rst %u seen %x cut %u "
	    "ender %u; at %llu %llu %llu %u %llu %llu\n",
	    (unsigned long long)info.first_number, info.family, info.port[0], info.port[1],
	    info.domain, (unsigned long long)info.off[0], (unsigned long long)info.off[1], s->idle,
	    s->conflict, s->fin, s->rst, s->seen, s->cut, s->ender, (unsigned long long)w->number,
	    (unsigned long long)w->tick, (unsigned long long)w->flow, w->index,
	    (unsigned long long)w->released_ns, (unsigned long long)w->carried_ns);
}

static enum lp_take on_open(void *user, struct lp_stream *s, const struct lp_when *w)
{
	say(user, "open");
	say_where(user, s, w);
	return w->number % 7 ? LP_TAKE_ON : LP_TAKE_SKIP_FLOW;
}

static enum lp_take on_data(void *user, struct lp_stream *s, enum lp_side side, const uint8_t *p,
			    uint32_t n, uint64_t off, const struct lp_when *w)
{
	uint32_t hash = (uint32_t)(w->number * 2654435761u) >> 8, sum = 0;

	for (uint32_t i = 0; i < n; i++)
		sum = sum * 31 + p[i];
	say(user, "data %u %u (%x) at %llu", side, n, sum, (unsigned long long)off);
	say_where(user, s, w);
	if (hash % 40 == 0)
		s->idle = hash / 40 % 3 & 3;
	return hash % 900 == 1 ? LP_TAKE_SKIP_FLOW : hash % 300 == 2 ? LP_TAKE_SKIP_DIR : LP_TAKE_ON;
}

static void on_gap(void *user, struct lp_stream *s, enum lp_side side, uint64_t off, uint64_t n,
		   const struct lp_when *w)
{
	say(user, "gap %u %llu at %llu", side, (unsigned long long)n, (unsigned long long)off);
	say_where(user, s, w);
}

static void on_close(void *user, struct lp_stream *s, enum lp_why why, const struct lp_when *w)
{
	say(user, "close %d", why);
	say_where(user, s, w);
}

static void on_other(void *user, struct lp_stream *s, enum lp_side side, const uint8_t *p,
		     uint32_t n, uint64_t off, uint64_t number)
{
	(void)s;
	say(user, "other %u %u (%u) at %llu by %llu\n", side, n, p[0], (unsigned long long)off,
	    (unsigned long long)number);
}

static const struct lp_reasm_cb callbacks = { on_open, on_data, on_gap, on_close, on_other, NULL };

/* --- segments --- */

static void flush(struct run *x)
{
	ck_assert_int_eq(lp_tcp_native.segments(x->r, x->seg, x->n), LP_OK);
	x->n = 0;
}

static void shoot(struct run *x, const struct shot *shot)
{
	const bool lent = x->lent && shot->number % 5;
	uint8_t *mem = lent ? x->lent[x->shots++] : x->memory[x->n], *tcp = mem + 32;
	uint32_t options = shot->ts ? 12 : 0, head, tsval = htonl(shot->tsval);
	uint16_t other = shot->flow == 5 ? 443 : 1000;
	unsigned b = shot->side;

	memset(mem, 0, 32 + HEAD);
	for (unsigned i = 0; i < 2; i++) {
		memset(mem + 16 * i, 10, shot->flow % 2 ? 16 : 4);
		if (i != b && shot->flow < 4)
			mem[16 * i + 3] = shot->flow == 3 ? 2 : 1;
	}
	if (shot->ts) {
		memcpy(tcp + 20, "\1\1\x8\xa", 4);
		memcpy(tcp + 24, &tsval, 4);
	}
	for (; x->padded && options < PADDED; options++)
		tcp[20 + options] = 1;
	if (shot->flags & LP_TCP_SYN) { /* whose scale is 1 */
		memcpy(tcp + 20 + options, "\1\3\3\1", 4);
		options += 4;
	}
	head = 20 + options;
	for (uint32_t i = 0; i < shot->captured; i++)
		tcp[head + i] = (uint8_t)((shot->seq + i) * 31 / 7 + shot->fill);
	x->seg[x->n++] = (struct lp_segment){
		.number = shot->number, .ts_ns = shot->now_ns, .src = mem, .dst = mem + 16,
		.tcp = tcp, .options = tcp + 20, .payload = tcp + head,
		.tcp_len = head + shot->captured, .payload_len = shot->captured,
		.wire_len = shot->len, .domain = shot->flow == 2 ? 7 : 0, .seq = shot->seq,
		.ack = shot->ack, .sport = b ? 443 : other, .dport = b ? other : 443,
		.window = shot->window, .urgent = shot->urgent, .options_len = (uint8_t)options,
		.flags = shot->flags, .family = shot->flow % 2 ? 6 : 4, .csum = shot->csum,
		.lent = lent,
	};
	if (x->n == x->batch)
		flush(x);
}

/* A connection anew, or one more segment that is in order; most of them remain so. */
static void next_shot(struct wire *w, struct shot *x)
{
	w->tsval += any(2);
	x->ts = w->ts;
	x->tsval = w->tsval - (any(60) ? 0 : any(100)); /* an old one is dropped: there is a hole */
	x->seq = w->next[x->side];
	x->ack = w->next[!x->side];
	x->flags = LP_TCP_ACK | (any(2) ? LP_TCP_PSH : 0);
	x->len = any(3) ? 1 + any(LONGEST) : 0;
	x->window = 65535;
	x->csum = LP_CSUM_GOOD;
}

/* And what may be wrong with it. */
static void spoil(struct wire *w, struct shot *x)
{
	switch (any(24)) {
	case 0:
		w->next[x->side] += any(3000); /* a hole that stays */
		x->seq = w->next[x->side];
		break;
	case 1:
		x->seq += any(3000);
		break;
	case 2:
	case 3:
		x->seq -= any(3000);
		break;
	case 4:
		x->fill = 1;
		x->seq -= any(3000);
		break;
	case 5:
		x->seq--;
		x->len = any(2);
		break;
	case 6:
		x->tsval -= any(100);
		break;
	case 7:
		x->ts = !x->ts;
		break;
	case 8:
		x->flags |= LP_TCP_FIN;
		w->over = true;
		break;
	case 9:
		x->flags |= LP_TCP_RST;
		x->seq -= any(3) ? 0 : any(3000);
		w->over = any(2);
		break;
	case 10:
		x->flags = LP_TCP_SYN | (any(2) ? LP_TCP_ACK : 0);
		x->seq = any(2) ? any(0xffffffff) : x->seq - any(2);
		x->len = any(3) ? 0 : any(20);
		break;
	case 11:
		x->flags |= LP_TCP_URG;
		x->urgent = (uint16_t)any(x->len + 10);
		break;
	case 12:
		x->captured = any(x->len + 1);
		return;
	case 13:
		x->csum = (uint8_t)any(LP_CSUM_UNKNOWN + 1);
		break;
	case 14:
		x->flags &= (uint8_t)~LP_TCP_ACK;
		break;
	case 15:
		x->ack += any(5000);
		break;
	case 16:
		x->ack -= any(5000);
		break;
	case 17:
		x->window = (uint16_t)any(3000);
		break;
	case 18:
		x->seq += any(0xffffffff);
		break;
	case 19:
		x->now_ns += any(400) * LP_NS_PER_S;
		break;
	case 20:
		x->now_ns += any(12000) * LP_NS_PER_MS;
		break;
	default:
		x->now_ns += any(300) * LP_NS_PER_MS;
	}
	x->captured = x->len;
}

/* --- what is remembered --- */

static void same_flows(const struct run *x, const struct run *y)
{
	struct lp_flow a, b;

	ck_assert_uint_eq(x->r->table.used, y->r->table.used);
	ck_assert_uint_eq(x->r->table.count, y->r->table.count);
	for (uint32_t i = 1; i <= x->r->table.used; i++) {
		a = *lp_flow_at(&x->r->table, i);
		b = *lp_flow_at(&y->r->table, i);
		for (int side = 0; side < 2; side++) {
			ck_assert(!a.half[side].ooo == !b.half[side].ooo);
			a.half[side].ooo = b.half[side].ooo = NULL;
		}
		ck_assert_mem_eq(&a, &b, sizeof a);
	}
	ck_assert_uint_eq(x->r->now_ns, y->r->now_ns);
	ck_assert_uint_eq(x->r->pool.bytes, y->r->pool.bytes);
	ck_assert_mem_eq(&x->r->stats, &y->r->stats, sizeof x->r->stats);
}

static void same_log(struct run *x, struct run *y)
{
	lp_span a = lp_buf_span(&x->log), b = lp_buf_span(&y->log);

	for (size_t i = 0, line = 0; i < a.n && i < b.n; i++) {
		if (a.p[i] != b.p[i])
			ck_abort_msg("%.300s ... and ... %.300s", a.p + line, b.p + line);
		line = a.p[i] == '\n' ? i + 1 : line;
	}
	ck_assert_uint_eq(a.n, b.n);
	lp_buf_consume(&x->log, a.n);
	lp_buf_consume(&y->log, b.n);
}

static void start(struct run *x, const struct lp_reasm_config *config)
{
	lp_buf_init(&x->log, 1 << 24);
	ck_assert_int_eq(lp_tcp_native.init(&x->r, config, &callbacks, x), LP_OK);
}

static void stop(struct run *x)
{
	lp_tcp_native.free(x->r);
	lp_buf_clear(&x->log);
}

static void shoot_both(struct run *x, struct run *y, const struct shot *shot)
{
	shoot(x, shot);
	shoot(y, shot);
	if (x->n)
		return;
	same_flows(x, y);
	same_log(x, y);
}

static void shake_hands(struct run *x, struct run *y, struct wire *w, struct shot *shot)
{
	w->over = false;
	w->ts = any(4);
	w->shown = any(2) ? 3 : (uint8_t)(1 + any(2));
	for (int i = 0; i < 3; i++) {
		shot->side = i == 1 ? LP_B2A : LP_A2B;
		if (i < 2)
			w->next[i] = any(4) ? any(0xffffffff) : 0xffffffff - any(20000);
		next_shot(w, shot);
		shot->len = shot->captured = 0;
		shot->flags = i == 0 ? LP_TCP_SYN : i == 1 ? LP_TCP_SYN | LP_TCP_ACK : LP_TCP_ACK;
		shot->number++;
		if (w->shown & 1 << shot->side)
			shoot_both(x, y, shot);
		if (i < 2)
			w->next[i]++;
	}
}

START_TEST(the_short_way)
{
	static struct run x, y;
	struct wire wires[FLOWS] = { 0 }, *w = wires;
	struct lp_reasm_config config;
	struct shot at = { .now_ns = 1700000000 * LP_NS_PER_S };
	struct shot shot;
	uint32_t next;

	rng = (uint32_t)_i * 7919 + 1;
	lp_reasm_config_default(&config);
	config.max_flows = _i % 3 ? 1000 : 3;
	config.max_ooo_side = _i % 4 ? 1 << 20 : 4000;
	config.checksums = _i % 2 ? LP_CHECKSUMS_AUTO : LP_CHECKSUMS_OFF;
	x = (struct run){ .batch = 1 + any(BATCH) };
	y = (struct run){ .batch = 1, .padded = true };
	start(&x, &config);
	start(&y, &config);
	if (_i % 2) {
		x.lent = calloc(2 * SEGMENTS, sizeof *x.lent);
		ck_assert_ptr_nonnull(x.lent);
	}
	for (int i = 0; i < SEGMENTS; i++) {
		if (!any(6)) {
			at.flow = any(FLOWS);
			w = &wires[at.flow];
			if (!any(w->over ? 10 : 300))
				shake_hands(&x, &y, w, &at);
		}
		at.side = any(3) ? at.side : (enum lp_side)!at.side;
		if (w->shown && !(w->shown & 1 << at.side))
			at.side = (enum lp_side)!at.side;
		at.number += 1 + !any(10);
		at.now_ns += any(100000);
		shot = at;
		next_shot(w, &shot);
		next = shot.seq + shot.len;
		shot.captured = shot.len;
		if (!any(12)) {
			spoil(w, &shot);
			if (shot.seq + shot.len != next && any(3)) /* mostly the right one comes, too */
				next = w->next[shot.side];
		}
		at.now_ns = shot.now_ns;
		w->next[shot.side] = next;
		shoot_both(&x, &y, &shot);
	}
	flush(&x);
	lp_tcp_native.finish(x.r);
	lp_tcp_native.finish(y.r);
	same_flows(&x, &y);
	same_log(&x, &y);
	ck_assert_uint_gt(x.r->stats.flows, 10);
	ck_assert_uint_gt(x.r->stats.gaps, 10);
	ck_assert_uint_gt(x.r->stats.out_of_order, 10);
	ck_assert_uint_gt(x.r->stats.processed, 3000);
	stop(&x);
	stop(&y);
	free(x.lent);
}
END_TEST

Suite *suite_tcp_next(void)
{
	Suite *s = suite_create("tcp_next");
	TCase *t = tcase_create("next");

	tcase_set_timeout(t, 60);
	tcase_add_loop_test(t, the_short_way, 0, 24);
	suite_add_tcase(s, t);
	return s;
}
