#include "help_session.h"
#include "help_two.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "capture/capture.h"
#include "crypto/kdf.h"
#include "crypto/keyfile.h"
#include "net/decode.h"
#include "tls/ahead.h"
#include "tls/record.h"
#include "warden/premaster.h"

void help_abort(const char *file, int line, const char *what)
{
	fprintf(stderr, "%s:%d: not so: %s\n", file, line, what);
	abort();
}

/* ---- captures ---- */

static void add_call(struct help_flow *f, const struct help_call *call, const uint8_t *p)
{
	enum lp_side side = call->side;
	uint64_t end = call->off + call->n;

	HELP_REQUIRE(call->off == f->len[side]);
	if (f->n == f->size) {
		f->size = f->size ? 2 * f->size : 64;
		f->call = realloc(f->call, f->size * sizeof *f->call);
		HELP_REQUIRE(f->call);
	}
	f->call[f->n++] = *call;
	f->bytes[side] = realloc(f->bytes[side], end + 1);
	HELP_REQUIRE(f->bytes[side]);
	if (p)
		memcpy(f->bytes[side] + call->off, p, call->n);
	else
		memset(f->bytes[side] + call->off, 0, call->n);
	f->len[side] = end;
}

static struct help_flow *flow_of(struct help_trace *t, struct lp_stream *s)
{
	struct help_flow *f = s->user;

	if (f)
		return f;
	f = calloc(1, sizeof *f);
	t->flow = realloc(t->flow, (t->n + 1) * sizeof *t->flow);
	HELP_REQUIRE(f && t->flow);
	t->flow[t->n++] = f;
	s->user = f;
	return f;
}

static enum lp_take on_open(void *user, struct lp_stream *s, const struct lp_when *when)
{
	(void)when;
	(void)flow_of(user, s);
	return LP_TAKE_ON;
}

static enum lp_take on_data(void *user, struct lp_stream *s, enum lp_side side, const uint8_t *p,
			    uint32_t n, uint64_t off, const struct lp_when *when)
{
	const struct help_call call = { .side = side, .off = off, .n = n, .when = *when };

	add_call(flow_of(user, s), &call, p);
	return LP_TAKE_ON;
}

static void on_gap(void *user, struct lp_stream *s, enum lp_side side, uint64_t off, uint64_t n,
		   const struct lp_when *when)
{
	const struct help_call call = { side, true, off, n, *when };

	add_call(flow_of(user, s), &call, NULL);
}

static void on_close(void *user, struct lp_stream *s, enum lp_why why, const struct lp_when *when)
{
	struct help_flow *f = flow_of(user, s);

	for (int side = 0; side < 2; side++)
		f->end[side] = s->fin & 1 << side    ? LP_END_FIN
			       : why == LP_WHY_RST   ? LP_END_RST
			       : why == LP_WHY_IDLE  ? LP_END_IDLE
						     : LP_END_CAPTURE;
	f->conflict = s->conflict;
	f->close_when = *when;
}

void help_trace_read(struct help_trace *t, const char *name)
{
	static const struct lp_reasm_cb cb = { on_open, on_data, on_gap, on_close, NULL, NULL };
	const struct lp_capture_config config = { 0 };
	struct lp_reasm_config rc;
	struct lp_decode_config dc;
	struct lp_wire p[LP_BATCH];
	struct lp_capture *c;
	struct lp_reasm *r;
	struct lp_decode *d;
	char path[256], why[LP_WHY_SIZE];
	size_t n;

	*t = (struct help_trace){ NULL, 0 };
	snprintf(path, sizeof path, "%s%s", strchr(name, '/') ? "" : "captures/", name);
	HELP_REQUIRE(lp_capture_open_file(&c, path, &config, why) == LP_OK);
	lp_reasm_config_default(&rc);
	lp_decode_config_default(&dc);
	HELP_REQUIRE(lp_decode_new(&d, &dc) == LP_OK);
	HELP_REQUIRE(lp_tcp_native.init(&r, &rc, &cb, t) == LP_OK);
	while (lp_capture_read(c, p, LP_BATCH, &n) == LP_OK)
		for (size_t i = 0; i < n; i++) {
			struct lp_segment s;

			if (lp_decode_packet(d, &p[i], &s) == LP_DROP_NONE)
				HELP_REQUIRE(lp_tcp_native.segments(r, &s, 1) == LP_OK);
		}
	lp_tcp_native.finish(r);
	lp_tcp_native.free(r);
	lp_decode_free(d);
	lp_capture_close(c);
}

void help_trace_clear(struct help_trace *t)
{
	for (size_t i = 0; i < t->n; i++) {
		free(t->flow[i]->call);
		free(t->flow[i]->bytes[0]);
		free(t->flow[i]->bytes[1]);
		free(t->flow[i]);
	}
	free(t->flow);
}

/* ---- keys ---- */

struct known {
	struct known *next;
	uint64_t input;
	uint8_t premaster[LP_PREMASTER_SIZE];
};

struct help_key {
	struct lp_crypto_set crypto;
	struct lp_key key;
	struct lp_rsa *rsa;
	struct known *known; /* one RSA operation for each input */
	unsigned left;       /* operations */
};

struct help_key *help_key_new(const struct lp_crypto_set *crypto, const char *path)
{
	struct help_key *k = calloc(1, sizeof *k);
	FILE *f = fopen(path, "rb");
	uint8_t bytes[8192];
	char why[LP_KEY_WHY];
	size_t n;

	HELP_REQUIRE(k && f);
	n = fread(bytes, 1, sizeof bytes, f);
	fclose(f);
	k->crypto = *crypto;
	k->left = UINT32_MAX;
	HELP_REQUIRE(lp_key_load(&k->key, lp_span_of(bytes, n), (lp_span){ NULL, 0 }, why) ==
		     LP_OK);
	HELP_REQUIRE(crypto->rsa->rsa_new(lp_secret_span(&k->key.der), &k->rsa) == LP_OK);
	return k;
}

void help_key_limit(struct help_key *k, unsigned operations)
{
	k->left = operations;
}

void help_key_free(struct help_key *k)
{
	struct known *next;

	if (!k)
		return;
	for (struct known *i = k->known; i; i = next) {
		next = i->next;
		free(i);
	}
	k->crypto.rsa->rsa_free(k->rsa);
	lp_key_clear(&k->key);
	free(k);
}

static const uint8_t *premaster(struct help_key *k, lp_span input)
{
	const struct lp_hash_seed seed = { 1, 2 };
	static const uint8_t substitute[LP_PREMASTER_SIZE] = { 3, 3, 7 };
	uint64_t id = lp_hash(&seed, input.p, input.n);
	uint8_t block[1024];
	struct known *i;

	for (i = k->known; i; i = i->next)
		if (i->input == id)
			return i->premaster;
	if (!k->left || input.n != k->key.bits / 8)
		return substitute;
	k->left--;
	i = calloc(1, sizeof *i);
	HELP_REQUIRE(i && input.n <= sizeof block);
	i->input = id;
	i->next = k->known;
	k->known = i;
	if (k->crypto.rsa->rsa_private(k->rsa, input.p, block))
		memcpy(i->premaster, substitute, sizeof substitute);
	else
		lp_premaster_unpad(block, input.n, substitute, i->premaster);
	return i->premaster;
}

/* ---- the environment ---- */

static struct help_session *current(struct help_told *t)
{
	HELP_REQUIRE(t->open && t->n);
	return &t->session[(t->n - 1) % HELP_SESSIONS];
}

static void say(struct help_told *t, int dir, const char *text, const struct lp_when *when)
{
	char place[64];

	/* Places never go back, bytes are never told before they came. */
	HELP_REQUIRE(when->number > t->last.number ||
		     (when->number == t->last.number && when->index >= t->last.index));
	HELP_REQUIRE(when->carried_ns <= when->released_ns);
	t->last = *when;
	snprintf(place, sizeof place, "%llu.%u ", (unsigned long long)when->number, when->index);
	HELP_REQUIRE(!lp_buf_append(&t->places, place, strlen(place)));
	HELP_REQUIRE(!lp_buf_append(&t->places, text, strlen(text)));
	HELP_REQUIRE(!lp_buf_append(&t->order, text, strlen(text)));
	if (dir >= 0)
		HELP_REQUIRE(!lp_buf_append(&t->dir[dir], text, strlen(text)));
}

static enum lp_reply on_ask(void *owner, const struct lp_question *q, struct lp_no_secret *no)
{
	struct help_told *t = owner;
	const struct lp_handshake *hs = q->hs;
	const bool extended = q->extended != t->play->flip;
	const struct lp_kdf kdf = { t->play->crypto->base, hs->facts.version,
				    (enum lp_digest)hs->suite->prf, NULL };
	struct help_key *key = q->attempt < HELP_KEYS ? t->play->key[q->attempt] : NULL;
	uint8_t seed[64];

	HELP_REQUIRE(!t->waits);
	t->asked++;
	if (q->attempt + 1 > t->attempts)
		t->attempts = q->attempt + 1;
	no->detail[0] = 'x';
	no->detail[1] = '\0';
	if (t->play->masters)
		no->reason = q->attempt < t->play->masters ? LP_REASON_NONE : LP_REASON_NO_KEY;
	else if (hs->facts.resumed > 0)
		no->reason = LP_REASON_SESSION_UNKNOWN;
	else if (!lp_suite_is_rsa(hs->suite))
		no->reason = LP_REASON_FORWARD_SECRET;
	else if (!hs->exchange.p)
		no->reason = LP_REASON_HANDSHAKE_LOST;
	else if (q->extended && !hs->session_hash_size && !t->play->master)
		no->reason = LP_REASON_HANDSHAKE_LOST_EMS;
	else
		no->reason = LP_REASON_NONE;
	if (no->reason == LP_REASON_NONE && !key && !t->play->master)
		no->reason = LP_REASON_NO_KEY;
	if (no->reason != LP_REASON_NONE)
		return LP_REPLY_NEVER;
	memcpy(seed, hs->client_random, 32);
	memcpy(seed + 32, hs->server_random, 32);
	t->has_secret = !t->play->none && (!extended || hs->session_hash_size || t->play->master);
	if (t->has_secret && t->play->master)
		memcpy(t->secret, t->play->master + (t->play->masters ? q->attempt * sizeof t->secret : 0),
		       sizeof t->secret);
	else if (t->has_secret)
		HELP_REQUIRE(!lp_kdf_master(&kdf,
					    lp_span_of(premaster(key, lp_span_of(hs->exchange.p,
										 hs->exchange.n)),
						       LP_PREMASTER_SIZE),
					    extended,
					    extended ? lp_span_of(hs->session_hash,
								  hs->session_hash_size)
						     : lp_span_of(seed, 64),
					    t->secret));
	t->waits = true;
	t->calls = 0;
	return LP_REPLY_LATER;
}

static void on_proven(void *owner, const struct lp_handshake *hs, char *name, size_t size)
{
	(void)owner;
	HELP_REQUIRE(hs);
	snprintf(name, size, "test-key");
}

static void session_clear(struct help_session *s)
{
	lp_buf_clear(&s->clear[0]);
	lp_buf_clear(&s->clear[1]);
	lp_snapshot_unref(s->begun);
	lp_snapshot_unref(s->ready);
	lp_snapshot_unref(s->ended);
	free(s->result);
}

static void on_begin(void *owner, struct lp_snapshot *facts, const struct lp_when *when)
{
	struct help_told *t = owner;
	struct help_session *s;

	HELP_REQUIRE(!t->open);
	t->open = true;
	s = &t->session[t->n++ % HELP_SESSIONS];
	session_clear(s);
	*s = (struct help_session){ .begun = facts };
	lp_buf_init(&s->clear[0], SIZE_MAX / 2);
	lp_buf_init(&s->clear[1], SIZE_MAX / 2);
	say(t, -1, "begin\n", when);
}

static void on_ready(void *owner, struct lp_snapshot *facts, const struct lp_when *when)
{
	struct help_session *s = current(owner);
	char text[32];

	lp_snapshot_unref(s->ready);
	s->ready = facts;
	HELP_REQUIRE(facts->extra.epoch == ++s->readies);
	HELP_REQUIRE(facts->extra.secret &&
		     !strcmp(facts->extra.secret->text, "test-key"));
	snprintf(text, sizeof text, "ready %u\n", facts->extra.epoch);
	say(owner, -1, text, when);
}

static uint8_t *on_room(void *owner, size_t n)
{
	struct help_told *t = owner;

	free(t->room);
	t->room = malloc(n); /* of its own size, so that ASan sees a byte too many */
	t->room_n = n;
	return t->room;
}

static void on_opened(void *owner, enum lp_dir dir, const uint8_t *bytes, size_t n,
		      const struct lp_when *when)
{
	struct help_told *t = owner;
	struct help_session *s = current(t);
	char text[64];

	HELP_REQUIRE(s->ready && n && n <= LP_RECORD_PLAIN_MAX);
	HELP_REQUIRE(bytes == t->room && n <= t->room_n);
	HELP_REQUIRE(!lp_buf_append(&s->clear[dir], bytes, n));
	snprintf(text, sizeof text, "%s %zu\n", dir == LP_C2S ? "C" : "S", n);
	say(t, (int)dir, text, when);
}

static void on_hole(void *owner, enum lp_dir dir, const struct lp_gap_info *gap,
		    const struct lp_when *when)
{
	struct help_session *s = current(owner);
	char text[160];

	HELP_REQUIRE(s->ready && gap->stream_bytes && gap->size == sizeof *gap);
	HELP_REQUIRE(gap->stream_bytes <= ((struct help_told *)owner)->fed);
	HELP_REQUIRE(gap->clear_min <= gap->clear_max && gap->clear_max <= gap->stream_bytes);
	snprintf(text, sizeof text, "%s gap %llu %llu %llu %llu\n", dir == LP_C2S ? "C" : "S",
		 (unsigned long long)gap->stream_bytes, (unsigned long long)gap->records,
		 (unsigned long long)gap->clear_min, (unsigned long long)gap->clear_max);
	say(owner, (int)dir, text, when);
}

static void check_result(const struct help_session *s)
{
	const struct lp_session_result *r = &s->result->pub;
	const struct lp_verdict_text *text = lp_verdict_find(r->reason);

	HELP_REQUIRE(text && text->classes & 1 << r->verdict);
	HELP_REQUIRE(r->detail && *r->detail && r->advice);
	for (int dir = 0; dir < 2; dir++) {
		const struct lp_dir_totals *t = &r->total[dir];

		HELP_REQUIRE(t->stream ==
			     t->opened + t->handshake + t->alert + t->opaque + t->lost);
		HELP_REQUIRE(t->clear == lp_buf_len(&s->clear[dir]));
		HELP_REQUIRE(r->verdict != LP_OPAQUE || !t->clear);
	}
}

static void on_end(void *owner, struct lp_snapshot *facts, struct lp_result *result,
		   const struct lp_when *when)
{
	struct help_told *t = owner;
	struct help_session *s = current(t);
	char text[128];

	s->ended = facts;
	s->result = result;
	snprintf(text, sizeof text, "end %s %s\n", lp_verdict_name(result->pub.verdict),
		 result->pub.reason);
	say(t, -1, text, when);
	check_result(s);
	t->open = false;
}

static void on_clear(void *owner, enum lp_side side, const uint8_t *p, uint64_t n,
		     const struct lp_when *when)
{
	struct help_told *t = owner;

	HELP_REQUIRE(n && !t->open);
	for (uint64_t i = 0; !p && i < n; i++)
		HELP_REQUIRE(!lp_buf_append(&t->clear[side], "?", 1));
	if (p)
		HELP_REQUIRE(!lp_buf_append(&t->clear[side], p, (size_t)n));
	t->plain[side] += n;
	say(t, -1, "", when);
}

static void on_keep(void *owner, const struct lp_handshake *hs, const uint8_t *master,
		    const struct lp_when *when)
{
	(void)owner;
	(void)hs;
	(void)master;
	(void)when;
}

static void on_keep_flight(void *owner, const struct lp_handshake *hs, enum lp_dir dir,
			   lp_span bytes, uint32_t lead, const struct lp_when *when)
{
	struct help_told *t = owner;
	const uint8_t name = (uint8_t)dir;

	HELP_REQUIRE(hs && t->open && bytes.n && current(t)->ready);
	if (t->play->flights)
		HELP_REQUIRE(!lp_flights_put(t->play->flights, lp_span_of(&name, 1), bytes, lead,
					     when));
}

static bool on_flight(void *owner, const struct lp_handshake *hs, enum lp_dir dir, unsigned nth,
		      const struct lp_when *when, struct lp_buf *out, uint32_t *lead)
{
	struct help_told *t = owner;
	const struct lp_when any = { .number = UINT64_MAX };
	const uint8_t name = (uint8_t)dir;
	bool found = false;

	HELP_REQUIRE(hs && when && !lp_buf_len(out));
	t->flights++;
	if (t->play->flights)
		HELP_REQUIRE(!lp_flights_find(t->play->flights, lp_span_of(&name, 1), &any, nth, out,
					      lead, &found));
	return found;
}

/* In two pieces, which are gone after the call. */
static size_t on_coming(void *owner, enum lp_dir dir, uint64_t off, lp_span *out, size_t max)
{
	struct help_told *t = owner;
	const enum lp_side client = lp_stage_client(&t->stage);
	const enum lp_side side = dir == LP_C2S ? client : (enum lp_side)!client;
	size_t half = t->behind.n / 3;

	HELP_REQUIRE(max > 1);
	if (!t->behind.n || off != t->end || side != t->side)
		return 0;
	free(t->guess);
	t->guess = malloc(t->behind.n);
	HELP_REQUIRE(t->guess);
	memcpy(t->guess, t->behind.p, t->behind.n);
	if (t->play->ahead == HELP_MISJUDGES)
		t->guess[off * 31 % (t->behind.n < 600 ? t->behind.n : 600)] ^= 0x55;
	out[0] = lp_span_of(t->guess, half);
	out[1] = lp_span_of(t->guess + half, t->behind.n - half);
	return 2;
}

static const struct lp_tls_cb callbacks = {
	.keep_flight = on_keep_flight, .flight = on_flight,
	.ask = on_ask, .proven = on_proven, .keep = on_keep, .begin = on_begin, .ready = on_ready,
	.room = on_room, .data = on_opened, .gap = on_hole, .end = on_end, .clear = on_clear,
	.coming = on_coming,
};

/* ---- playing ---- */

void help_begin(struct help_told *t, const struct help_play *play)
{
	*t = (struct help_told){ .play = play };
	lp_ctx_cache_init(&t->contexts, 4);
	if (play->ahead)
		t->contexts.ahead = lp_ahead_new(help_two(play->crypto->base), LP_TWO_LEAST);
	t->env = (struct lp_tls_env){
		.crypto = play->crypto,
		.contexts = &t->contexts,
		.cb = &callbacks,
		.live = play->live,
		.verify_first = play->verify_first,
		.max_held_session = play->max_held_session ? play->max_held_session : UINT64_MAX,
		.max_held_turn = play->max_held_session ? play->max_held_session : UINT64_MAX,
		.max_held = play->max_held ? play->max_held : UINT64_MAX,
	};
	t->env.cleartext = !play->keep;
	t->env.keep_prelude = play->keep;
	t->env.max_kept = play->max_kept ? play->max_kept : UINT64_MAX;
	/* One block: where both sides hold an incomplete record, one has none. */
	lp_spares_init(&t->env.spares, LP_RECORD_SPARE, 1);
	lp_buf_init(&t->clear[0], SIZE_MAX / 2);
	lp_buf_init(&t->clear[1], SIZE_MAX / 2);
	lp_buf_init(&t->order, SIZE_MAX / 2);
	lp_buf_init(&t->places, SIZE_MAX / 2);
	lp_buf_init(&t->dir[0], SIZE_MAX / 2);
	lp_buf_init(&t->dir[1], SIZE_MAX / 2);
	lp_stage_init(&t->stage, &t->env, t);
}

void help_answer(struct help_told *t)
{
	struct lp_no_secret no = { LP_REASON_NO_KEY, "no answer" };
	bool has = t->has_secret;

	HELP_REQUIRE(t->waits);
	t->waits = false;
	if (lp_stage_answer(&t->stage, has ? t->secret : NULL, has ? sizeof t->secret : 0, &no))
		t->done = true;
}

static void after_call(struct help_told *t)
{
	HELP_REQUIRE(!t->env.fault);
	HELP_REQUIRE(t->env.waiting == t->waits);
	if (t->env.over > t->over_most)
		t->over_most = t->env.over;
	while (t->waits && !t->done &&
	       (t->play->answers == HELP_AT_ONCE ||
		(t->play->answers == HELP_AFTER && t->calls >= t->play->after)))
		help_answer(t);
	t->calls++;
}

void help_data(struct help_told *t, enum lp_side side, const uint8_t *p, size_t n, uint64_t off,
	       const struct lp_when *when)
{
	uint8_t *copy = malloc(n); /* what is lent for a call is gone after it */

	HELP_REQUIRE(copy && n);
	memcpy(copy, p, n);
	t->side = side;
	t->end = off + n;
	t->fed += n;
	if (!t->play->longhand && lp_stage_more(&t->stage, side, copy, n))
		t->short_ways++;
	else
		lp_stage_data(&t->stage, side, copy, n, off, when);
	memset(copy, 0xee, n);
	free(copy);
	free(t->guess);
	t->guess = NULL;
	t->behind = (lp_span){ NULL, 0 };
	after_call(t);
}

void help_gap(struct help_told *t, enum lp_side side, uint64_t off, uint64_t n,
	      const struct lp_when *when)
{
	t->fed += n;
	lp_stage_gap(&t->stage, side, off, n, when);
	after_call(t);
}

/* Of a flow that is one session, every byte is in its accounts. (What comes behind both
 * close_notify is in none.) */
static void check_all(const struct help_told *t)
{
	const struct lp_session_result *r;

	if (t->n != 1)
		return;
	r = &t->session[0].result->pub;
	if (t->plain[0] || t->plain[1] || t->play->keep ||
	    (r->end[0] == LP_END_CLOSE_NOTIFY && r->end[1] == LP_END_CLOSE_NOTIFY))
		return;
	HELP_REQUIRE(r->total[0].stream + r->total[1].stream == t->fed);
}

void help_close(struct help_told *t, const enum lp_end end[2], bool conflict,
		const struct lp_when *when)
{
	t->done = lp_stage_close(&t->stage, end, conflict, when);
	while (!t->done)
		help_answer(t);
	HELP_REQUIRE(!t->env.fault && !t->env.waiting && !t->waits && !t->open);
	check_all(t);
	lp_stage_clear_all(&t->stage);
	HELP_REQUIRE(!t->env.held && !t->env.kept && !t->env.over && !t->env.spares.lent);
	lp_spares_clear(&t->env.spares);
}

struct player {
	struct help_told *t;
	const struct help_flow *flow;
	const struct help_play *play;
	uint64_t fed;
	bool stopped;
};

static void feed_bytes(struct player *p, const struct help_call *call, uint64_t from, uint64_t to)
{
	const struct help_play *play = p->play;

	while (from < to && !p->stopped) {
		uint64_t n = to - from;

		if (play->piece && n > play->piece)
			n = play->piece;
		if (play->cut && play->cut_side == call->side && play->cut_off > from &&
		    play->cut_off < from + n)
			n = play->cut_off - from;
		if (play->stops && n >= play->stop - p->fed) {
			n = play->stop - p->fed;
			p->stopped = true;
		}
		p->t->behind = lp_span_of(p->flow->bytes[call->side] + from + n,
					  (size_t)(p->flow->len[call->side] - from - n));
		if (n)
			help_data(p->t, call->side, p->flow->bytes[call->side] + from, (size_t)n,
				  from, &call->when);
		p->fed += n;
		from += n;
	}
}

/* A hole is told when the call that reaches its end comes, as TCP does. */
static void feed_call(struct player *p, const struct help_call *call)
{
	uint64_t from = call->off, to = call->off + call->n;

	if (call->gap) {
		if (!p->stopped)
			help_gap(p->t, call->side, call->off, call->n, &call->when);
		return;
	}
	for (size_t i = 0; i < p->play->holes; i++) {
		const struct help_hole *h = &p->play->hole[i];

		if (h->side != call->side || h->off >= to || h->off + h->n <= from)
			continue;
		if (h->off > from)
			feed_bytes(p, call, from, h->off);
		from = h->off + h->n;
		if (p->stopped)
			return;
		if (from <= to) {
			help_gap(p->t, call->side, h->off, h->n, &call->when);
			continue;
		}
		return;
	}
	feed_bytes(p, call, from, to);
}

void help_play(struct help_told *t, const struct help_flow *flow, const struct help_play *play)
{
	struct player p = { t, flow, play, 0, false };
	struct help_call call;

	help_begin(t, play);
	for (int pass = 0; pass < (play->sorted ? 2 : 1); pass++)
		for (size_t i = 0; i < flow->n && !p.stopped; i++) {
			call = flow->call[i];
			if (play->sorted && (call.side == play->first) != !pass)
				continue;
			if (play->sorted && pass) /* it comes last, so its place is late */
				call.when.number += 1000000;
			if (play->sorted && pass)
				call.when.released_ns += 1000000000;
			feed_call(&p, &call);
		}
	call.when = flow->close_when;
	call.when.number += 2000000;
	call.when.released_ns += 2000000000;
	help_close(t, flow->end, flow->conflict, play->sorted ? &call.when : &flow->close_when);
}

void help_told_clear(struct help_told *t)
{
	for (size_t i = 0; i < t->n && i < HELP_SESSIONS; i++)
		session_clear(&t->session[i]);
	lp_ctx_cache_clear(&t->contexts);
	lp_ahead_free(t->contexts.ahead);
	lp_buf_clear(&t->clear[0]);
	lp_buf_clear(&t->clear[1]);
	lp_buf_clear(&t->order);
	lp_buf_clear(&t->places);
	lp_buf_clear(&t->dir[0]);
	lp_buf_clear(&t->dir[1]);
	free(t->room);
}

bool help_has_note(const struct help_session *s, const char *code)
{
	for (const char *const *n = s->result->pub.notes; n && *n; n++)
		if (!strcmp(*n, code))
			return true;
	return false;
}
