#include "help_tcp.h"

#include <arpa/inet.h>
#include <check.h>
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "net/checksum.h"

static const char *const why_name[] = {
	[LP_WHY_FIN] = "FIN", [LP_WHY_RST] = "RST", [LP_WHY_IDLE] = "IDLE",
	[LP_WHY_EVICT] = "EVICT", [LP_WHY_REUSED] = "REUSED", [LP_WHY_STALLED] = "STALLED",
	[LP_WHY_EOF] = "EOF",
};

static void say(struct help_tcp_stream *st, const char *text)
{
	ck_assert_int_eq(lp_buf_append(&st->text, text, strlen(text)), LP_OK);
}

static void end_run(struct help_tcp_stream *st)
{
	char text[40];

	if (st->run)
		snprintf(text, sizeof text, "%c%llu", st->run_byte ? st->run_byte : '_',
			 (unsigned long long)st->run);
	if (st->run)
		say(st, text);
	st->run = 0;
}

static void end_data(struct help_tcp_stream *st)
{
	end_run(st);
	if (st->last >= 0)
		say(st, " ");
	st->last = -1;
}

/* Places go up; times do not go back; nothing calls in from inside. */
static void check_place(struct help_tcp *t, const struct lp_when *w)
{
	ck_assert(!t->inside);
	if (t->any) {
		ck_assert_uint_ge(w->number, t->last.number);
		if (w->number == t->last.number)
			ck_assert_uint_eq(w->index, t->last.index + 1);
		ck_assert_uint_ge(w->released_ns, t->last.released_ns);
	}
	if (!t->any || w->number != t->last.number)
		ck_assert_uint_eq(w->index, 0);
	t->any = true;
	t->last = *w;
}

static enum lp_take on_open(void *user, struct lp_stream *s, const struct lp_when *w)
{
	struct help_tcp *t = user;
	struct help_tcp_stream *st;

	check_place(t, w);
	ck_assert_ptr_null(s->user);
	ck_assert_uint_eq(s->idle, LP_IDLE_PLAIN);
	if (t->opened == t->size) {
		t->size = t->size ? t->size * 2 : 16;
		t->streams = realloc(t->streams, t->size * sizeof *t->streams);
		ck_assert_ptr_nonnull(t->streams);
	}
	st = &t->streams[t->opened++];
	*st = (struct help_tcp_stream){ .s = s, .last = -1 };
	lp_buf_init(&st->text, 1 << 24);
	if (t->keep) {
		st->keep = calloc(2, sizeof *st->keep);
		ck_assert_ptr_nonnull(st->keep);
		lp_buf_init(&st->keep[0], 1 << 28);
		lp_buf_init(&st->keep[1], 1 << 28);
	}
	s->user = (void *)(uintptr_t)t->opened;
	return t->open_answer;
}

static struct help_tcp_stream *stream_of(struct help_tcp *t, struct lp_stream *s)
{
	size_t i = (size_t)(uintptr_t)s->user;

	ck_assert_uint_ge(i, 1);
	ck_assert_uint_le(i, t->opened);
	ck_assert(!t->streams[i - 1].closed);
	ck_assert_ptr_eq(t->streams[i - 1].s, s);
	return &t->streams[i - 1];
}

/* Was it foreseen? And what seems to come behind it? */
static void look_ahead(struct help_tcp *t, struct help_tcp_stream *st, enum lp_side side,
		       const uint8_t *p, size_t n, uint64_t off)
{
	lp_span was = lp_buf_span(&st->ahead[side]), pieces[HELP_TCP_BATCH];
	size_t count;

	for (size_t i = 0; i < n && i < was.n; i++) {
		t->foreseen += was.p[i] == p[i];
		t->misjudged += was.p[i] != p[i];
	}
	lp_buf_clear(&st->ahead[side]);
	lp_buf_init(&st->ahead[side], 1 << 24);
	if (!t->ops->coming)
		return;
	ck_assert_uint_eq(t->ops->coming(t->r, st->s, side, off + n + 1, pieces, HELP_TCP_BATCH), 0);
	count = t->ops->coming(t->r, st->s, side, off + n, pieces, HELP_TCP_BATCH);
	ck_assert_uint_eq(t->ops->coming(t->r, st->s, side, off + n, pieces, 1), count > 0);
	count = t->ops->coming(t->r, st->s, side, off + n, pieces, HELP_TCP_BATCH);
	for (size_t i = 0; i < count; i++) {
		ck_assert_uint_gt(pieces[i].n, 0);
		ck_assert_int_eq(lp_buf_append(&st->ahead[side], pieces[i].p, pieces[i].n), LP_OK);
	}
}

static enum lp_take on_data(void *user, struct lp_stream *s, enum lp_side side,
			    const uint8_t *p, uint32_t n, uint64_t off, const struct lp_when *w)
{
	struct help_tcp *t = user;
	struct help_tcp_stream *st = stream_of(t, s);
	char text[40];

	check_place(t, w);
	ck_assert_uint_gt(n, 0);
	ck_assert_uint_eq(off, st->off[side]);
	st->off[side] += n;
	look_ahead(t, st, side, p, n, off);
	if (t->keep)
		ck_assert_int_eq(lp_buf_append(&st->keep[side], p, n), LP_OK);
	if (!t->quiet && st->last != (int)side) {
		end_data(st);
		snprintf(text, sizeof text, "%c%llu:", 'A' + side, (unsigned long long)off);
		say(st, text);
		st->last = (int)side;
	}
	for (uint32_t i = 0; i < n && !t->quiet; i++) {
		if (st->run && p[i] != st->run_byte)
			end_run(st);
		st->run_byte = p[i];
		st->run++;
	}
	if (st->idle)
		s->idle = st->idle - 1;
	return st->answer[side];
}

static void on_gap(void *user, struct lp_stream *s, enum lp_side side, uint64_t off, uint64_t n,
		   const struct lp_when *w)
{
	struct help_tcp *t = user;
	struct help_tcp_stream *st = stream_of(t, s);
	char text[64];

	check_place(t, w);
	ck_assert_uint_gt(n, 0);
	ck_assert_uint_eq(off, st->off[side]);
	st->off[side] += n;
	end_data(st);
	snprintf(text, sizeof text, "%c+%llu@%llu ", 'A' + side, (unsigned long long)n,
		 (unsigned long long)off);
	say(st, text);
}

static void on_close(void *user, struct lp_stream *s, enum lp_why why, const struct lp_when *w)
{
	struct help_tcp *t = user;
	struct help_tcp_stream *st = stream_of(t, s);

	check_place(t, w);
	end_data(st);
	say(st, why_name[why]);
	ck_assert(why != LP_WHY_FIN || s->fin == 3);
	st->closed = true;
}

static void on_other(void *user, struct lp_stream *s, enum lp_side side, const uint8_t *p,
		     uint32_t n, uint64_t off, uint64_t number)
{
	struct help_tcp *t = user;
	struct help_tcp_stream *st = stream_of(t, s);
	char text[40];

	ck_assert_uint_gt(n, 0);
	ck_assert_uint_ge(number, 1);
	if (!t->others || t->quiet)
		return;
	end_data(st);
	snprintf(text, sizeof text, "%c?%llu:", 'A' + side, (unsigned long long)off);
	say(st, text);
	for (uint32_t i = 0; i < n; i++) {
		if (st->run && p[i] != st->run_byte)
			end_run(st);
		st->run_byte = p[i];
		st->run++;
	}
	st->last = (int)side;
	end_data(st);
}

static void on_forget(void *user, struct lp_stream *s)
{
	stream_of(user, s)->closed = true;
}

static const struct lp_reasm_cb callbacks = {
	.open = on_open, .data = on_data, .gap = on_gap, .close = on_close, .other = on_other,
	.forget = on_forget,
};

void help_tcp_start(struct help_tcp *t, const struct lp_reasm_ops *ops,
		    const struct lp_reasm_config *config)
{
	struct lp_reasm_config standard;

	lp_reasm_config_default(&standard);
	t->ops = ops;
	ck_assert_int_eq(ops->init(&t->r, config ? config : &standard, &callbacks, t), LP_OK);
	t->flow = 1;
	if (!t->family)
		t->family = 4;
	if (!t->now_ns)
		t->now_ns = 1700000000 * LP_NS_PER_S;
	if (!t->batch)
		t->batch = 1;
}

void help_tcp_flush(struct help_tcp *t)
{
	ck_assert_int_eq(t->ops->segments(t->r, t->seg, t->n), LP_OK);
	for (size_t i = 0; i < t->n; i++)
		if (!t->seg[i].lent)
			free((void *)(uintptr_t)t->seg[i].src);
	t->n = 0;
}

static void lend(struct help_tcp *t, struct lp_segment *s)
{
	if (!(t->lent_n & (t->lent_n + 1)))
		t->lent = realloc(t->lent, 2 * (t->lent_n + 1) * sizeof *t->lent);
	ck_assert_ptr_nonnull(t->lent);
	t->lent[t->lent_n++] = (void *)(uintptr_t)s->src;
	s->lent = true;
}

/* Its checksum is what csum says, and nobody has looked yet. */
static void leave_sum(struct lp_segment *s, uint8_t *tcp, enum lp_csum csum)
{
	uint64_t sum = lp_sum_pseudo(s->family, s->src, s->dst, s->tcp_len, 6);
	uint16_t field = lp_sum_fold(sum);

	memset(tcp + 16, 0, sizeof field);
	if (csum != LP_CSUM_PSEUDO)
		field = (uint16_t)~lp_sum_fold(lp_sum_add(sum, tcp, s->tcp_len));
	if (csum == LP_CSUM_BAD)
		field ^= 0x100;
	memcpy(tcp + 16, &field, sizeof field);
	s->csum = LP_CSUM_LATER;
}

/* One allocation a segment, as large as it is: source, destination, TCP. */
void help_tcp_shot(struct help_tcp *t, const struct help_tcp_shot *x)
{
	bool scale = (x->flags & LP_TCP_SYN) && !t->unscaled;
	uint32_t options = (x->has_ts ? 12 : 0) + (scale ? 4 : 0), head = 20 + options;
	uint32_t a = x->side ? 1 : 0;
	uint16_t port[2] = { (uint16_t)(10000 + (t->domain ? 1 : t->flow)), 443 };
	uint8_t *mem = malloc(32 + head + x->captured), *tcp = mem + 32;
	struct lp_segment *s = &t->seg[t->n];
	uint32_t word[5];

	ck_assert_ptr_nonnull(mem);
	memset(mem, 0, 32);
	for (uint32_t i = 0; i < 2; i++) {
		uint8_t *addr = mem + 16 * i;

		if (t->family == 6)
			memcpy(addr, "\xfd\x00\x00\x01", 4);
		memcpy(addr + (t->family == 6 ? 12 : 0), "\x0a\x00\x00", 3);
		addr[t->family == 6 ? 15 : 3] = (uint8_t)((i ^ a) + 1);
		if (t->addr[i ^ a])
			memcpy(addr, t->addr[i ^ a], 4);
	}
	word[0] = htonl((uint32_t)port[a] << 16 | port[!a]);
	word[1] = htonl(x->seq);
	word[2] = htonl(x->ack);
	word[3] = htonl((head / 4) << 28 | (uint32_t)x->flags << 16 | 65535);
	word[4] = htonl(x->urgent);
	memcpy(tcp, word, 20);
	if (scale)
		memcpy(tcp + head - 4, "\x01\x03\x03\x07", 4);
	if (x->has_ts) {
		memcpy(tcp + 20, "\x01\x01\x08\x0a", 4);
		word[0] = htonl(x->tsval);
		memcpy(tcp + 24, word, 4);
		memset(tcp + 28, 0, 4);
	}
	if (x->captured)
		memcpy(tcp + head, x->payload, x->captured);
	*s = (struct lp_segment){
		.number = ++t->number, .ts_ns = t->now_ns, .src = mem, .dst = mem + 16,
		.tcp = tcp, .options = tcp + 20, .payload = tcp + head,
		.tcp_len = head + x->captured, .payload_len = x->captured, .wire_len = x->len,
		.seq = x->seq, .ack = x->ack, .sport = port[a], .dport = port[!a],
		.domain = t->domain,
		.window = x->window ? x->window : 65535, .urgent = x->urgent, .options_len = (uint8_t)options,
		.flags = x->flags, .family = t->family, .csum = (uint8_t)x->csum,
	};
	if (t->sums && x->captured == x->len)
		leave_sum(s, tcp, x->csum);
	if (t->lends && t->number % 4)
		lend(t, s);
	if (++t->n == t->batch)
		help_tcp_flush(t);
}

void help_tcp_pass(struct help_tcp *t, uint64_t ns)
{
	t->now_ns += ns;
}

void help_tcp_advance(struct help_tcp *t)
{
	help_tcp_flush(t);
	t->ops->advance(t->r, t->number, t->now_ns);
}

static uint32_t number_at(const char **p)
{
	char *end;
	unsigned long v = strtoul(*p, &end, 10);

	ck_assert_msg(end != *p, "a number is missing at %s", *p);
	*p = end;
	return (uint32_t)v;
}

static void segment_word(struct help_tcp *t, const char *w)
{
	static const char letters[] = "FSRPKU";
	static uint8_t payload[1 << 20];
	struct help_tcp_shot x = { .side = *w++ - 'A' };
	uint32_t *mine = &t->sent[t->flow][x.side], *other = &t->sent[t->flow][!x.side];
	bool acked = false, cut = false, twice = false;
	const char *f;

	x.seq = *mine;
	for (; *w && (f = strchr(letters, *w)); w++)
		x.flags |= (uint8_t)(1 << (f - letters));
	if (isdigit((unsigned char)*w))
		x.seq = number_at(&w);
	while (*w) {
		switch (*w++) {
		case ':':
			while ((islower((unsigned char)*w) || *w == '_') && isdigit((unsigned char)w[1])) {
				uint8_t letter = (uint8_t)*w++;
				uint32_t n = number_at(&w);

				if (letter == 't' || letter == 'u' || letter == 'w') { /* suffixes */
					w -= snprintf(NULL, 0, "%u", n) + 1;
					break;
				}
				ck_assert_uint_le(x.len + n, sizeof payload);
				memset(payload + x.len, letter == '_' ? 0 : letter, n);
				x.len += n;
			}
			break;
		case '/':
			x.ack = number_at(&w);
			acked = true;
			break;
		case '%':
			x.captured = number_at(&w);
			cut = true;
			break;
		case 't':
			x.tsval = number_at(&w);
			x.has_ts = true;
			break;
		case 'u':
			x.urgent = (uint16_t)number_at(&w);
			break;
		case 'w':
			x.window = (uint16_t)number_at(&w);
			break;
		case '!':
			x.csum = *w == 'b' ? LP_CSUM_BAD : LP_CSUM_PSEUDO;
			while (islower((unsigned char)*w))
				w++;
			break;
		case '@':
			twice = true;
			break;
		default:
			ck_abort_msg("what is %s?", w - 1);
		}
	}
	if (!acked)
		x.ack = *other;
	if (!cut)
		x.captured = x.len;
	x.payload = payload;
	uint32_t end = x.seq + x.len + !!(x.flags & LP_TCP_SYN) + !!(x.flags & LP_TCP_FIN);
	if ((int32_t)(end - *mine) > 0 && !(x.flags & LP_TCP_RST))
		*mine = end;
	x.seq += t->isn[x.side];
	x.ack = x.flags & LP_TCP_ACK ? x.ack + t->isn[!x.side] : 0;
	help_tcp_shot(t, &x);
	if (twice)
		help_tcp_shot(t, &x);
}

void help_tcp_run(struct help_tcp *t, const char *script)
{
	char word[64];
	int used;

	while (sscanf(script, "%63s%n", word, &used) == 1) {
		const char *number = word + 1;

		script += used;
		if (!strcmp(word, "hs"))
			help_tcp_run(t, "AS BSK AK");
		else if (!strcmp(word, "end"))
			help_tcp_run(t, "AFK BFK AK");
		else if (word[0] == '+')
			help_tcp_pass(t, number_at(&number) * LP_NS_PER_MS);
		else if (word[0] == '#')
			t->flow = number_at(&number);
		else if (word[0] == '~')
			t->domain = number_at(&number);
		else if (word[0] == '=')
			help_tcp_advance(t);
		else
			segment_word(t, word);
	}
}

struct lp_reasm_stats help_tcp_stats(struct help_tcp *t)
{
	struct lp_reasm_stats stats;

	help_tcp_flush(t);
	t->ops->stats(t->r, &stats);
	return stats;
}

const char *help_tcp_text(struct help_tcp *t)
{
	size_t n = 1, at = 0;

	help_tcp_flush(t);
	for (size_t i = 0; i < t->opened; i++)
		n += lp_buf_len(&t->streams[i].text) + 32;
	free(t->text);
	t->text = calloc(1, n);
	ck_assert_ptr_nonnull(t->text);
	for (size_t i = 0; i < t->opened; i++) {
		struct help_tcp_stream *st = &t->streams[i];
		lp_span s;

		end_run(st);
		s = lp_buf_span(&st->text);
		at += (size_t)snprintf(t->text + at, n - at, "%s%.*s", i ? " | " : "", (int)s.n,
				       s.n ? (const char *)s.p : "");
	}
	return t->text;
}

static uint64_t sum(const struct lp_reasm_stats *s)
{
	uint64_t all = 0;

#define X(name) all += s->name;
	LP_REASM_COUNTERS(X)
#undef X
	return all - s->segments;
}

const char *help_tcp_finish(struct help_tcp *t)
{
	struct lp_reasm_stats s;

	help_tcp_flush(t);
	t->ops->finish(t->r);
	s = help_tcp_stats(t);
	ck_assert_uint_eq(s.segments, t->number);
	ck_assert_uint_eq(s.segments, sum(&s));
	ck_assert_uint_eq(s.flows, t->opened);
	ck_assert_uint_eq(s.flows_now, 0);
	for (size_t i = 0; i < t->opened; i++)
		ck_assert(t->streams[i].closed);
	return help_tcp_text(t);
}

void help_tcp_free(struct help_tcp *t)
{
	t->ops->free(t->r);
	for (size_t i = 0; i < t->n; i++)
		if (!t->seg[i].lent)
			free((void *)(uintptr_t)t->seg[i].src);
	for (size_t i = 0; i < t->lent_n; i++)
		free(t->lent[i]);
	free(t->lent);
	for (size_t i = 0; i < t->opened; i++) {
		ck_assert(t->streams[i].closed);
		lp_buf_clear(&t->streams[i].text);
		lp_buf_clear(&t->streams[i].ahead[0]);
		lp_buf_clear(&t->streams[i].ahead[1]);
		if (t->streams[i].keep) {
			lp_buf_clear(&t->streams[i].keep[0]);
			lp_buf_clear(&t->streams[i].keep[1]);
			free(t->streams[i].keep);
		}
	}
	free(t->streams);
	free(t->text);
	memset(t, 0, sizeof *t);
}

struct help_tcp *help_tcp_native(const struct lp_reasm_config *config)
{
	struct help_tcp *t = calloc(1, sizeof *t);

	ck_assert_ptr_nonnull(t);
	t->isn[0] = 1000;
	t->isn[1] = 5000;
	help_tcp_start(t, &lp_tcp_native, config);
	return t;
}

void help_tcp_discard(struct help_tcp *t)
{
	help_tcp_free(t);
	free(t);
}
