/* A flow that begins with something else than TLS, as pieces: a byte whose lowest bit is
 * the side and whose next two say what (0 to 2: bytes with a 16-bit length; 3: a gap, as
 * long as the rest of that byte).
 *
 * However it is cut, whether its clear bytes are told at once or kept, and whatever the
 * caps: every byte comes out once, in order, before the session or in it, and nothing is
 * held in the end. Without a cap the pieces change nothing about what is found. */
#include <stdlib.h>
#include <string.h>

#include "tls/prelude.h"

enum { MOST = 1 << 18 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct flow {
	uint8_t bytes[2][MOST]; /* a gap is zeroes */
	size_t n[2];
};

static struct flow fed, first_out, out;

struct run {
	struct lp_tls_env env;
	struct lp_prelude_host host;
	struct lp_prelude *pre;
	struct flow *out;     /* clear bytes, then the session's */
	size_t clear[2];
	enum lp_found found;
	int client;
	uint64_t number;
};

static void add(struct flow *f, enum lp_side side, const uint8_t *p, uint64_t n)
{
	if (n > MOST - f->n[side])
		abort();
	if (p)
		memcpy(f->bytes[side] + f->n[side], p, (size_t)n);
	else
		memset(f->bytes[side] + f->n[side], 0, (size_t)n);
	f->n[side] += (size_t)n;
}

static void on_clear(void *user, enum lp_side side, const uint8_t *p, uint64_t n,
		     const struct lp_when *when)
{
	struct run *r = user;

	(void)when;
	if (!n)
		abort();
	add(r->out, side, p, n);
	r->clear[side] += (size_t)n;
}

static void over(struct run *r, enum lp_found found, const struct lp_when *when)
{
	const struct lp_prelude_host tell = { &r->env, on_clear, r };
	struct lp_holds q;

	r->found = found;
	if (found == LP_FOUND_NOT_YET)
		return;
	if (found == LP_FOUND_TLS) {
		r->client = r->pre->client;
		lp_prelude_tell(r->pre, &tell, when);
		lp_prelude_take(r->pre, &q);
		for (int side = 0; side < 2; side++)
			for (struct lp_hold *h = q.head[side]; h; h = h->next)
				add(r->out, (enum lp_side)side, h->gap ? NULL : h->bytes + h->taken,
				    h->n - h->taken);
		lp_holds_clear(&q);
	}
	lp_prelude_free(r->pre, &r->env);
	r->pre = NULL;
}

/* p NULL: a gap. */
static void feed(struct run *r, enum lp_side side, const uint8_t *p, uint64_t n, uint64_t off)
{
	const struct lp_when when = { .number = ++r->number };

	if (r->found != LP_FOUND_NOT_YET) {
		if (r->found == LP_FOUND_TLS || r->host.clear)
			add(r->out, side, p, n);
		if (r->found == LP_FOUND_NONE)
			r->clear[side] += (size_t)n;
	} else if (p) {
		over(r, lp_prelude_data(r->pre, &r->host, side, p, (size_t)n, off, &when), &when);
	} else {
		over(r, lp_prelude_gap(r->pre, &r->host, side, off, n, &when), &when);
	}
}

/* piece 0: as it comes. in gets what was fed, NULL: nobody wants to know. */
static void play(struct run *r, const uint8_t *data, size_t size, size_t piece, struct flow *in)
{
	struct lp_cursor c = lp_cursor_of(data, size);
	const struct lp_when end = { .number = UINT64_MAX };
	uint64_t off[2] = { 0, 0 };

	r->pre = lp_prelude_new(&r->host);
	if (!r->pre)
		abort();
	while (lp_cursor_left(&c)) {
		uint8_t b = lp_cursor_u8(&c);
		enum lp_side side = b & 1 ? LP_B2A : LP_A2B;
		lp_span s = { NULL, (b >> 3) + 1u };

		if ((b >> 1 & 3) < 3)
			s = lp_cursor_vec16(&c);
		if (!s.n || s.n > MOST - off[side])
			continue;
		if (in)
			add(in, side, s.p, s.n);
		for (size_t at = 0, n; at < s.n; at += n) {
			n = s.p && piece && s.n - at > piece ? piece : s.n - at;
			feed(r, side, s.p ? s.p + at : NULL, n, off[side] + at);
		}
		off[side] += s.n;
	}
	if (r->found == LP_FOUND_NOT_YET)
		over(r, lp_prelude_close(r->pre, &r->host), &end);
	if (r->found == LP_FOUND_NOT_YET || r->env.held || r->env.kept || r->env.fault)
		abort();
}

static void run_init(struct run *r, struct flow *to, uint64_t cap, bool keep)
{
	*r = (struct run){ .env = { .max_held = cap, .max_held_session = cap, .max_kept = cap,
				    .keep_prelude = keep }, .out = to };
	r->host = (struct lp_prelude_host){ &r->env, keep ? NULL : on_clear, r };
	memset(to->n, 0, sizeof to->n);
}

static void same(const struct flow *a, const struct flow *b)
{
	for (int side = 0; side < 2; side++)
		if (a->n[side] != b->n[side] || memcmp(a->bytes[side], b->bytes[side], a->n[side]))
			abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const size_t pieces[] = { 0, 1, 7 };
	struct run first, r;

	memset(fed.n, 0, sizeof fed.n);
	run_init(&first, &first_out, UINT64_MAX / 2, false);
	play(&first, data, size, 0, &fed);
	same(&first_out, &fed);
	for (size_t i = 0; i < sizeof pieces / sizeof pieces[0]; i++) {
		run_init(&r, &out, UINT64_MAX / 2, true);
		play(&r, data, size, pieces[i], NULL);
		if (r.found != first.found)
			abort();
		if (r.found == LP_FOUND_TLS) {
			same(&out, &fed);
			if (r.client != first.client || memcmp(r.clear, first.clear, sizeof r.clear))
				abort();
		}
		run_init(&r, &out, 2000, false);
		play(&r, data, size, pieces[i], NULL);
		same(&out, &fed);
	}
	return 0;
}
