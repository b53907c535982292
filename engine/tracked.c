/* The flows of a worker: what TCP tells of them goes to their stages, what their sessions tell
 * becomes events, and answers come back to them.
 *
 *   reassembly ─► stage ─► session ─► order */
#include <arpa/inet.h>
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "engine_parts.h"
#include "flowid.h"

static void put(struct lp_tracked *f, struct lp_event *event, const struct lp_when *when, bool room)
{
	struct lp_worker *w = f->worker;
	enum lp_err err;

	event->when = *when;
	event->flow = f->out;
	/* After a fault of the machine nothing more is told: what it belongs to may not have
	 * been. */
	err = w->env.fault ? w->env.fault : lp_order_put(w->order, event, room);
	if (!err)
		return;
	w->env.fault = err;
	lp_snapshot_unref(event->facts);
	free(event->result);
	free(event->session);
}

/* ---- flows, as the outputs see them ---- */

/* What inet_ntop() makes of it, which for this uses printf: two for each session. */
static void ipv4_text(char out[48], const uint8_t *address)
{
	for (int i = 0; i < 4; i++) {
		const unsigned v = address[i];

		if (v >= 100)
			*out++ = (char)('0' + v / 100);
		if (v >= 10)
			*out++ = (char)('0' + v / 10 % 10);
		*out++ = (char)('0' + v % 10);
		*out++ = i < 3 ? '.' : '\0';
	}
}

static void address_text(char out[48], const uint8_t *address, int family)
{
	if (family == 4) {
		ipv4_text(out, address);
		return;
	}
	if (!inet_ntop(AF_INET6, address, out, 48))
		out[0] = '\0';
}

static bool begin_flow(struct lp_tracked *f, const struct lp_when *when)
{
	struct lp_worker *w = f->worker;
	const struct lp_crypto *crypto = w->engine->crypto.base;
	size_t c = f->client, s;
	struct lp_event event = { .kind = LP_EVENT_FLOW_BEGIN };
	struct lp_stream_info stream;
	struct lp_flow_info *info;

	if (f->out)
		return true;
	if (f->stage.tls)
		c = f->client = (uint8_t)lp_stage_client(&f->stage);
	f->out = calloc(1, sizeof *f->out);
	if (!f->out) {
		w->env.fault = LP_E_NOMEM;
		return false;
	}
	s = 1 - c;
	lp_tracked_info(f, &stream);
	info = &f->out->info;
	*info = (struct lp_flow_info){
		.size = sizeof *info,
		.family = stream.family,
		.client_port = stream.port[c],
		.server_port = stream.port[s],
		.first_packet = stream.first_number,
		.first_ns = stream.first_ns,
		.client_text = f->out->text[0],
		.server_text = f->out->text[1],
	};
	memcpy(info->client_addr, stream.addr[c], 16);
	memcpy(info->server_addr, stream.addr[s], 16);
	address_text(f->out->text[0], info->client_addr, info->family);
	address_text(f->out->text[1], info->server_addr, info->family);
	if (lp_flowid(crypto, &stream, (enum lp_side)c, &info->flow_id) ||
	    lp_community_id(crypto, &stream, info->community_id))
		w->env.fault = LP_E_NOMEM;
	put(f, &event, when, false);
	return true;
}

static const struct lp_quest no_quest;

struct lp_quest *lp_tracked_quest(struct lp_tracked *f)
{
	struct lp_quest *quest = f->quest;

	if (quest != &no_quest)
		return quest;
	quest = calloc(1, sizeof *quest);
	if (!quest) {
		f->worker->env.fault = LP_E_NOMEM;
		return NULL;
	}
	f->quest = quest;
	return quest;
}

static void quest_free(struct lp_tracked *f)
{
	if (f->quest != &no_quest)
		free(f->quest);
	f->quest = (struct lp_quest *)(uintptr_t)&no_quest;
}

/* Once nothing is asked, and no handshake is under way that might. */
static void quest_over(struct lp_tracked *f)
{
	const struct lp_quest *q = f->quest;

	if (q == &no_quest || !f->stream || q->asked || q->value || q->waiter.waiting ||
	    lp_late_needed(f) || f->stored == LP_STORED_ASKED || (f->stage.tls && lp_tls_shakes(f->stage.tls)))
		return;
	if (q->ticket_secret)
		lp_tickets_forget(f); /* it was not needed: another handshake has another ticket */
	lp_late_free(f);
	quest_free(f);
}

void lp_tracked_info(const struct lp_tracked *f, struct lp_stream_info *out)
{
	if (f->stream)
		f->worker->engine->reasm_ops->describe(f->worker->reasm, f->stream, out);
	else
		*out = f->quest->info;
}

static void flow_free(struct lp_tracked *f)
{
	*(f->prev ? &f->prev->next : &f->worker->flows) = f->next;
	if (f->next)
		f->next->prev = f->prev;
	if (f->quest->waiter.waiting)
		lp_order_done(f->worker->order, &f->quest->waiter);
	if (f->quest->asked)
		lp_asks_forget(f->worker->asks, f);
	lp_tickets_forget(f);
	lp_stored_clear(f);
	lp_late_free(f);
	quest_free(f);
	lp_stage_clear_all(&f->stage);
	free(f->stage.home.evidence.conflict_at);
	free(f);
}

static void end_flow(struct lp_tracked *f, const enum lp_end end[2], const struct lp_when *when)
{
	struct lp_event event = { .kind = LP_EVENT_FLOW_END };

	if (f->out) {
		event.end[LP_C2S] = end[f->client];
		event.end[LP_S2C] = end[1 - f->client];
		put(f, &event, when, false);
	}
	if (f->stage.had_session)
		f->worker->with_tls++;
	else
		f->worker->no_tls++;
	flow_free(f);
}

/* ---- what sessions tell ---- */

static void on_begin(void *owner, struct lp_snapshot *facts, const struct lp_when *when)
{
	struct lp_tracked *f = owner;
	struct lp_event event = { .kind = LP_EVENT_SESSION_BEGIN, .facts = facts };

	f->client = (uint8_t)lp_stage_client(&f->stage);
	event.session = calloc(1, sizeof *event.session);
	if (!event.session || !begin_flow(f, when)) {
		f->worker->env.fault = LP_E_NOMEM;
		free(event.session);
		lp_snapshot_unref(facts);
		return;
	}
	put(f, &event, when, false);
}

static void on_ready(void *owner, struct lp_snapshot *facts, const struct lp_when *when)
{
	struct lp_event event = { .kind = LP_EVENT_SESSION_READY, .facts = facts };

	put(owner, &event, when, false);
}

static uint8_t *on_room(void *owner, size_t n)
{
	struct lp_tracked *f = owner;
	uint8_t *room;

	return lp_order_room(f->worker->order, n, &room) ? NULL : room;
}

static void on_data(void *owner, enum lp_dir dir, const uint8_t *bytes, size_t n,
		    const struct lp_when *when)
{
	struct lp_tracked *f = owner;
	struct lp_event event = {
		.kind = LP_EVENT_DATA,
		.dir = dir,
		.data = LP_DATA_DECRYPTED,
		.bytes = bytes,
		.n = n,
	};

	/* Which leaves the room to the next, in the cache as it is. */
	if (f->worker->wants_data)
		put(f, &event, when, true);
}

static void on_gap(void *owner, enum lp_dir dir, const struct lp_gap_info *gap,
		   const struct lp_when *when)
{
	struct lp_event event = { .kind = LP_EVENT_GAP, .dir = dir, .gap = *gap };

	put(owner, &event, when, false);
}

/* The notes stand in the order of their bits: this must be the last. */
static void add_note(struct lp_result *r, enum lp_note note)
{
	size_t n = 0;

	static_assert(LP_NOTE_KEY_TOO_LATE == 1 << (LP_NOTE_COUNT - 1), "the last note");
	while (r->notes[n])
		n++;
	if (n < LP_RESULT_NOTES)
		r->notes[n] = lp_note_text((unsigned)__builtin_ctz((unsigned)note))->code;
}

static void on_end(void *owner, struct lp_snapshot *facts, struct lp_result *result,
		   const struct lp_when *when)
{
	struct lp_event event = {
		.kind = LP_EVENT_SESSION_END,
		.facts = facts,
		.result = result,
	};
	struct lp_tracked *f = owner;

	if (result->pub.verdict == LP_OPAQUE && lp_late_came(f))
		add_note(result, LP_NOTE_KEY_TOO_LATE);
	lp_late_free(f);
	lp_tickets_forget(f);
	lp_stored_clear(f);
	put(owner, &event, when, false);
}

static void on_clear(void *owner, enum lp_side side, const uint8_t *p, uint64_t n,
		     const struct lp_when *when)
{
	struct lp_tracked *f = owner;
	struct lp_event event = { .kind = p ? LP_EVENT_DATA : LP_EVENT_GAP };

	if (!begin_flow(f, when))
		return;
	event.dir = (uint8_t)side == f->client ? LP_C2S : LP_S2C;
	if (p) {
		event.data = LP_DATA_CLEAR;
		event.bytes = p;
		event.n = (size_t)n;
	} else {
		event.gap = (struct lp_gap_info){ sizeof event.gap, n, 0, n, n };
	}
	put(f, &event, when, false);
}

static size_t on_coming(void *owner, enum lp_dir dir, uint64_t off, lp_span *out, size_t max)
{
	struct lp_tracked *f = owner;
	const struct lp_reasm_ops *ops = f->worker->engine->reasm_ops;
	const enum lp_side client = lp_stage_client(&f->stage);

	return f->stream && ops->coming
		       ? ops->coming(f->worker->reasm, f->stream,
				     dir == LP_C2S ? client : (enum lp_side)!client, off, out, max)
		       : 0;
}

const struct lp_tls_cb lp_tracked_tls = {
	.ask = lp_wanted_ask,
	.proven = lp_wanted_proven,
	.keep = lp_wanted_keep,
	.keep_flight = lp_refills_keep,
	.flight = lp_refills_find,
	.begin = on_begin,
	.ready = on_ready,
	.room = on_room,
	.data = on_data,
	.gap = on_gap,
	.end = on_end,
	.coming = on_coming,
	.clear = on_clear,
};

/* ---- what TCP tells ---- */

/* What a stream's user pointer is. */
enum { NEW, TRACKED, PRELUDE, PLAIN };

static void set_evidence(struct lp_tracked *f, const struct lp_stream *s)
{
	f->stage.home.evidence.seen = s->seen & 3;
	f->stage.home.evidence.syn = s->seen >> 4;
	f->stage.home.evidence.cut = s->cut;
	f->stage.home.evidence.ender = s->ender;
}

/* Known from this place on, whenever the bytes at it are looked at. */
static void set_conflict(struct lp_tracked *f, const struct lp_stream *s,
			 const struct lp_when *when)
{
	struct lp_evidence *e = &f->stage.home.evidence;

	if (!s->conflict || e->conflict)
		return;
	e->conflict = true;
	e->conflict_at = malloc(sizeof *e->conflict_at);
	if (e->conflict_at)
		*e->conflict_at = *when;
	else
		f->worker->env.fault = LP_E_NOMEM;
}

static struct lp_tracked *flow_new(struct lp_worker *w, struct lp_stream *s)
{
	struct lp_tracked *f = calloc(1, sizeof *f);

	if (!f) {
		w->env.fault = LP_E_NOMEM;
		return NULL;
	}
	f->worker = w;
	f->stream = s;
	f->client = LP_A2B;
	f->next = w->flows;
	if (f->next)
		f->next->prev = f;
	w->flows = f;
	f->quest = (struct lp_quest *)(uintptr_t)&no_quest;
	lp_stage_init(&f->stage, &w->env, f);
	set_evidence(f, s);
	s->user = f;
	s->kind = TRACKED;
	return f;
}

/* While replaying, when an answer comes must show nowhere. So who had to ask counts as one
 * that has keys, before the answer and whatever it says. */
static bool timeless(const struct lp_tracked *f)
{
	return f->questioned && !f->worker->engine->live;
}

static void set_idle(struct lp_tracked *f)
{
	if (!f->stream)
		return;
	if (timeless(f) || (f->stage.tls && lp_tls_has_keys(f->stage.tls)))
		f->stream->idle = LP_IDLE_KEYS;
	else if (f->stage.tls && lp_tls_state(f->stage.tls) != LP_TLS_OPAQUE)
		f->stream->idle = LP_IDLE_HANDSHAKE;
	else
		f->stream->idle = LP_IDLE_PLAIN;
}

/* ---- flows that began with something else than TLS, and that nobody wants as such ---- */

static void prelude_new(struct lp_worker *w, struct lp_stream *s)
{
	const struct lp_prelude_host host = { .env = &w->env };
	struct lp_prelude *pre = lp_prelude_new(&host);

	if (!pre)
		return;
	s->user = pre;
	s->kind = PRELUDE;
}

static enum lp_take prelude_over(struct lp_worker *w, struct lp_stream *s, enum lp_found found,
				 const struct lp_when *when)
{
	struct lp_prelude *pre = s->user;
	struct lp_tracked *f;

	if (found == LP_FOUND_NOT_YET)
		return LP_TAKE_ON;
	s->user = NULL;
	s->kind = PLAIN;
	f = found == LP_FOUND_TLS ? flow_new(w, s) : NULL;
	if (!f) {
		lp_prelude_free(pre, &w->env);
		return LP_TAKE_SKIP_FLOW;
	}
	lp_stage_adopt(&f->stage, pre, when);
	set_idle(f);
	return LP_TAKE_ON;
}

/* ---- stream calls ---- */

static enum lp_take on_stream_open(void *user, struct lp_stream *s, const struct lp_when *when)
{
	struct lp_worker *w = user;

	(void)when;
	/* Without the other side's SYN nobody sends data, or has an ACK to send. */
	if (s->seen >> 4) {
		w->begun++;
		w->one_sided += (s->seen & 3) != 3;
	}
	return LP_TAKE_ON;
}

static enum lp_take take_data(struct lp_worker *w, struct lp_stream *s, enum lp_side side,
			      const uint8_t *p, uint32_t n, uint64_t off,
			      const struct lp_when *when)
{
	const struct lp_prelude_host host = { .env = &w->env };
	struct lp_stream_info info;
	struct lp_tracked *f;

	if (s->kind == NEW && (w->env.cleartext || lp_stage_looks(p, n) != LP_LOOKS_CLEAR))
		(void)flow_new(w, s);
	else if (s->kind == NEW)
		prelude_new(w, s);
	if (s->kind == NEW || s->kind == PLAIN)
		return LP_TAKE_SKIP_FLOW;
	if (s->kind == PRELUDE)
		return prelude_over(w, s, lp_prelude_data(s->user, &host, side, p, n, off, when),
				    when);
	f = s->user;
	set_evidence(f, s);
	set_conflict(f, s, when);
	lp_stage_data(&f->stage, side, p, n, off, when);
	set_idle(f);
	quest_over(f);
	if (w->env.cleartext || timeless(f))
		return LP_TAKE_ON;
	/* (libnids does not say how long a stream is that is skipped.) */
	f->skipped = lp_stage_idle(&f->stage) ||
		     (lp_stage_opaque(&f->stage) && w->engine->reasm_ops == &lp_tcp_native);
	if (!f->skipped)
		return LP_TAKE_ON;
	lp_tracked_info(f, &info);
	lp_stage_skip(&f->stage, info.off);
	return LP_TAKE_SKIP_FLOW;
}

static enum lp_take on_stream_data(void *user, struct lp_stream *s, enum lp_side side,
				   const uint8_t *p, uint32_t n, uint64_t off,
				   const struct lp_when *when)
{
	struct lp_tracked *f = s->kind == TRACKED ? s->user : NULL;

	if (!f || !lp_stage_more(&f->stage, side, p, n))
		return take_data(user, s, side, p, n, off, when);
	/* Its session is as it was; what the last call left to do is all there is. */
	set_conflict(f, s, when);
	if (s->idle != LP_IDLE_KEYS)
		set_idle(f);
	if (f->quest != &no_quest)
		quest_over(f);
	return LP_TAKE_ON;
}

static void on_stream_gap(void *user, struct lp_stream *s, enum lp_side side, uint64_t off,
			  uint64_t n, const struct lp_when *when)
{
	struct lp_worker *w = user;
	const struct lp_prelude_host host = { .env = &w->env };
	struct lp_tracked *f;

	if (s->kind == PRELUDE) {
		(void)prelude_over(w, s, lp_prelude_gap(s->user, &host, side, off, n, when), when);
		return;
	}
	if (s->kind == NEW)
		(void)flow_new(w, s);
	f = s->user;
	if (s->kind != TRACKED)
		return;
	set_evidence(f, s);
	set_conflict(f, s, when);
	lp_stage_gap(&f->stage, side, off, n, when);
}

static void on_stream_other(void *user, struct lp_stream *s, enum lp_side side, const uint8_t *p,
			    uint32_t n, uint64_t off, uint64_t number)
{
	struct lp_tracked *f = s->user;

	(void)user;
	if (s->kind == TRACKED)
		lp_stage_other(&f->stage, side, p, n, off, number);
}

static enum lp_end end_of(const struct lp_stream *s, int side, enum lp_why why)
{
	if (s->fin & 1U << side)
		return LP_END_FIN;
	switch (why) {
	case LP_WHY_FIN:
		return LP_END_FIN;
	case LP_WHY_RST:
		return LP_END_RST;
	case LP_WHY_IDLE:
		return LP_END_IDLE;
	case LP_WHY_EOF:
		return LP_END_CAPTURE;
	case LP_WHY_EVICT:
	case LP_WHY_REUSED:
	case LP_WHY_STALLED:
		break;
	}
	return LP_END_LOST;
}

/* The stream goes, and the flow waits for an answer. */
static void outlive(struct lp_tracked *f, const enum lp_end end[2], const struct lp_when *when)
{
	struct lp_quest *q = lp_tracked_quest(f);

	if (q) {
		lp_tracked_info(f, &q->info);
		q->end_when = *when;
		q->end[0] = end[0];
		q->end[1] = end[1];
	}
	f->stream = NULL;
}

static void on_stream_close(void *user, struct lp_stream *s, enum lp_why why,
			    const struct lp_when *when)
{
	const enum lp_end end[2] = { end_of(s, 0, why), end_of(s, 1, why) };
	struct lp_worker *w = user;
	const struct lp_prelude_host host = { .env = &w->env };
	struct lp_tracked *f;

	if (s->kind == PRELUDE)
		(void)prelude_over(w, s, lp_prelude_close(s->user, &host), when);
	if (s->kind != TRACKED) {
		*(s->kind == NEW ? &w->empty : &w->no_tls) += 1;
		return;
	}
	f = s->user;
	if (f->skipped) {
		struct lp_stream_info info;

		w->engine->reasm_ops->describe(w->reasm, s, &info);
		lp_stage_passed(&f->stage, info.off);
	}
	set_evidence(f, s);
	f->stage.home.evidence.evicted = why == LP_WHY_EVICT;
	if (lp_stage_close(&f->stage, end, s->conflict, when))
		end_flow(f, end, when);
	else
		outlive(f, end, when);
}

/* (Flows that are tracked, lp_tracked_clear() has freed.) */
static void on_stream_forget(void *user, struct lp_stream *s)
{
	struct lp_worker *w = user;

	if (s->kind == PRELUDE)
		lp_prelude_free(s->user, &w->env);
}

const struct lp_reasm_cb lp_tracked_tcp = {
	.open = on_stream_open,
	.data = on_stream_data,
	.gap = on_stream_gap,
	.close = on_stream_close,
	.other = on_stream_other,
	.forget = on_stream_forget,
};

/* ---- answers ---- */

void lp_worker_answer(void *flow, const struct lp_answer *answer)
{
	bool overload = !answer || answer->code == LP_ANSWER_BUSY;
	bool done = answer && answer->code == LP_ANSWER_DONE;
	struct lp_no_secret no;
	struct lp_tracked *f = flow;

	if (lp_tickets_answer(f, answer))
		return;
	if (overload)
		(void)lp_wanted_never(&no, LP_REASON_RSA_OVERLOAD, "the key process had too many "
				      "questions to answer this one in time");
	else
		(void)lp_wanted_never(&no, LP_REASON_NO_KEY, "the key process has no answer to it");
	if (!done && !overload)
		lp_exchange_refused(f, &no);
	f->quest->asked = false;
	lp_order_done(f->worker->order, &f->quest->waiter);
	if (lp_stage_answer(&f->stage, done ? answer->secret : NULL, done ? answer->secret_len : 0,
			    &no)) {
		end_flow(f, f->quest->end, &f->quest->end_when);
		return;
	}
	set_idle(f);
	quest_over(f);
}

void lp_worker_again(struct lp_tracked *f)
{
	lp_order_done(f->worker->order, &f->quest->waiter);
	if (lp_stage_again(&f->stage)) {
		end_flow(f, f->quest->end, &f->quest->end_when);
		return;
	}
	set_idle(f);
	quest_over(f);
}

/* ---- what is left over ---- */

void lp_tracked_clear(struct lp_worker *w)
{
	while (w->flows) {
		lp_outputs_forget(w->flows->out);
		flow_free(w->flows);
	}
}
