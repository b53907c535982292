/* A side is either searched (its bytes go by, each 0x16 is looked at) or suspected
 * (its bytes are held from one on that may begin TLS):
 *
 *   searched ──may begin TLS──► suspected ──it cannot be──► searched, one byte on
 *                                   │
 *                 hello whole here, answer whole there ──► TLS found */
#include "tls/prelude.h"

#include <stdlib.h>
#include <string.h>

#include "tls/handshake.h"
#include "tls/hello.h"
#include "tls/record.h"

enum { NOBODY = 2, START_BYTES = 10, HELLO_MIN = 38, WORK = 1 << 20 };

/* What a suspected side begins with, once that is whole. */
enum kind { UNKNOWN, CLIENT_HELLO, SERVER_HELLO, ALERT };

struct suspect {
	struct lp_records records;
	struct lp_messages messages;
	enum kind kind;
	bool active;   /* else the side is searched */
	bool blind;    /* behind a hole: nothing can be said about what follows … */
	bool lost;     /* … and no hello is expected there any more */
	const struct lp_hold *at; /* how far it was looked for one */
	size_t from;
	uint32_t looked;
	bool more;     /* whole records follow */
	bool answered; /* the other side went on with something that is not TLS */
};

struct lp_suspects {
	struct lp_holds holds;
	struct suspect side[2];
	int later; /* the side whose hello was whole last */
};

struct lp_prelude *lp_prelude_new(const struct lp_prelude_host *host)
{
	struct lp_prelude *pre = malloc(sizeof *pre);

	if (!pre) {
		host->env->fault = LP_E_NOMEM;
		return NULL;
	}
	*pre = (struct lp_prelude){
		.window = { LP_PRELUDE_WINDOW, LP_PRELUDE_WINDOW },
		.work = WORK,
		.speaker = NOBODY,
	};
	return pre;
}

/* ---- clear bytes ---- */

/* Bytes that are not TLS, or a gap in them. */
static void pass(struct lp_prelude *pre, const struct lp_prelude_host *host, enum lp_side side,
		 const uint8_t *p, uint64_t n, const struct lp_when *when)
{
	struct lp_suspects *s = pre->suspects;

	if (!n)
		return;
	pre->window[side] -= n < pre->window[side] ? (uint32_t)n : pre->window[side];
	if (s && s->side[1 - side].kind == CLIENT_HELLO)
		s->side[1 - side].answered = true;
	if (host->clear)
		host->clear(host->user, side, p, n, when);
	else if (host->env->keep_prelude)
		lp_kept_add(&pre->kept, host->env, side, p, n, when);
}

void lp_prelude_tell(struct lp_prelude *pre, const struct lp_prelude_host *host,
		     const struct lp_when *when)
{
	if (pre->kept)
		lp_kept_tell(pre->kept, host->env, host->clear, host->user, when);
}

/* ---- suspecting ---- */

/* Whether bytes may begin a hello, or an alert: what is there of them is right. */
static bool may_begin(const uint8_t *p, size_t n, bool alert)
{
	struct lp_cursor c = lp_cursor_of(p, n);
	uint8_t type = lp_cursor_u8(&c), message, major;
	size_t length, size;

	if (!lp_record_plausible(p, n < LP_RECORD_HEADER ? n : LP_RECORD_HEADER))
		return false;
	lp_cursor_skip(&c, 2);
	length = lp_cursor_u16(&c);
	message = lp_cursor_u8(&c);
	if (type == LP_CONTENT_ALERT) /* message is its level here */
		return alert && (n < 5 || length == 2) && (n < 6 || message == 1 || message == 2);
	size = lp_cursor_u24(&c);
	major = lp_cursor_u8(&c);
	if (type != LP_CONTENT_HANDSHAKE || (n >= 6 && message != LP_MSG_CLIENT_HELLO &&
					     message != LP_MSG_SERVER_HELLO))
		return false;
	/* The message may be split over records of any size. */
	if (n >= 9 && length >= 4 && (size < HELLO_MIN || size > LP_MESSAGE_MAX))
		return false;
	return n < 10 || length < 5 || major == 3;
}

/* Where a record of this type may begin, by its first two bytes; end if nowhere. Most
 * bytes of a flow that is not TLS are seen here only. */
static const uint8_t *next_record(const uint8_t *p, const uint8_t *end, int type)
{
	for (; p < end; p++) {
		p = memchr(p, type, (size_t)(end - p));
		if (!p)
			return end;
		if (p + 1 == end || p[1] == 3)
			return p;
	}
	return end;
}

static bool wants_alert(const struct lp_suspects *s, int side)
{
	return s && s->side[1 - side].kind == CLIENT_HELLO;
}

/* Where TLS may begin in p; n if nowhere. */
static size_t find(const struct lp_prelude *pre, enum lp_side side, const uint8_t *p, size_t n)
{
	bool alert = wants_alert(pre->suspects, (int)side);
	size_t limit = !pre->work ? 0 : n < pre->window[side] ? n : pre->window[side];
	const uint8_t *end = p + limit, *at, *other;

	for (at = p; at < end; at++) {
		other = alert ? next_record(at, end, LP_CONTENT_ALERT) : end;
		at = next_record(at, other, LP_CONTENT_HANDSHAKE);
		if (at < end && may_begin(at, n - (size_t)(at - p), alert))
			return (size_t)(at - p);
	}
	return n;
}

static bool suspect(struct lp_prelude *pre, const struct lp_prelude_host *host, enum lp_side side)
{
	struct suspect *s;

	if (!pre->suspects) { /* never so while something is held */
		pre->suspects = calloc(1, sizeof *pre->suspects);
		if (!pre->suspects) {
			host->env->fault = LP_E_NOMEM;
			return false;
		}
		lp_holds_init(&pre->suspects->holds, host->env);
	}
	s = &pre->suspects->side[side];
	lp_records_init(&s->records, 0);
	lp_messages_init(&s->messages);
	s->active = true;
	return true;
}

static void clear_suspect(struct suspect *s)
{
	if (s->active) {
		lp_records_clear(&s->records);
		lp_messages_clear(&s->messages);
	}
	*s = (struct suspect){ .active = false };
}

/* The first message, in one record or in many. */
static bool read_hello(struct suspect *s, lp_span fragment)
{
	struct lp_client_hello client;
	struct lp_server_hello server;
	struct lp_message msg;
	const char *why;
	enum lp_err err;

	lp_messages_push(&s->messages, fragment);
	err = lp_messages_next(&s->messages, &msg);
	if (err)
		return err == LP_MORE;
	if (msg.type == LP_MSG_CLIENT_HELLO && !lp_client_hello_read(&client, msg.body, &why))
		s->kind = CLIENT_HELLO;
	if (msg.type == LP_MSG_SERVER_HELLO && !lp_server_hello_read(&server, msg.body, &why))
		s->kind = SERVER_HELLO;
	lp_messages_clear(&s->messages);
	return s->kind != UNKNOWN;
}

static bool read_record(struct suspect *s, const struct lp_record *r)
{
	if (s->kind != UNKNOWN) {
		s->more = true;
		return true;
	}
	if (r->type == LP_CONTENT_HANDSHAKE)
		return read_hello(s, r->fragment);
	/* Only where a side began with it: may_begin() has read it. */
	if (r->type == LP_CONTENT_ALERT && !lp_buf_len(&s->messages.held) && r->fragment.n == 2)
		s->kind = ALERT;
	return s->kind == ALERT;
}

/* The ClientHello of a side has its answer: what follows is the session's, whatever it
 * is, and however much of it came with the answer. */
static bool answered(const struct lp_suspects *all, int client)
{
	enum kind answer = all->side[1 - client].kind;

	return all->side[client].kind == CLIENT_HELLO &&
	       (answer == SERVER_HELLO || answer == ALERT);
}

/* Goes on with a side's held items. False: this is not TLS. */
static bool follow(struct lp_suspects *all, int side, const struct lp_hold *h)
{
	struct suspect *s = &all->side[side];
	uint8_t first[START_BYTES];
	size_t n = lp_holds_peek(&all->holds, side, first, sizeof first);
	struct lp_record r;
	enum lp_err err;

	if (s->kind == UNKNOWN && !s->blind && !may_begin(first, n, wants_alert(all, side)))
		return false;
	for (; h; h = h->next) {
		if (h->gap && s->kind == UNKNOWN && !s->blind)
			return false;
		if (h->gap)
			s->blind = true;
		if (s->blind)
			continue;
		lp_records_push(&s->records, h->bytes + h->taken, (size_t)h->n - h->taken);
		while (!(err = lp_records_next(&s->records, NULL, &r))) {
			if (s->kind == UNKNOWN)
				all->later = side; /* if it becomes one now */
			if (!read_record(s, &r))
				return false;
			if (answered(all, side) || answered(all, 1 - side))
				return true;
		}
		if (err == LP_E_NOMEM)
			all->holds.env->fault = err;
		if (err != LP_MORE)
			return false;
	}
	return true;
}

/* Whether a ServerHello stands from here on, whole. more: what is there may be one. */
static bool answer_at(const struct lp_suspects *all, const struct lp_hold *h, size_t from,
		      bool *more)
{
	struct suspect s = { .active = true };
	enum lp_err err = LP_MORE;
	struct lp_record r;
	bool found;

	lp_records_init(&s.records, 0);
	lp_messages_init(&s.messages);
	for (; h && !h->gap && !s.kind && err == LP_MORE; h = h->next, from = 0) {
		lp_records_push(&s.records, h->bytes + from, (size_t)h->n - from);
		while (!s.kind && !(err = lp_records_next(&s.records, NULL, &r)))
			if (!read_record(&s, &r))
				break;
	}
	if (err == LP_E_NOMEM)
		all->holds.env->fault = err;
	*more = !h && !s.kind && err == LP_MORE;
	found = s.kind == SERVER_HELLO;
	clear_suspect(&s);
	return found;
}

/* A hole stands where the answer to a ClientHello was to come. It may have held the end
 * of the prelude only, or a part of it, so the answer is looked for behind it. */
static bool look_behind(struct lp_prelude *pre, struct suspect *s)
{
	const struct lp_hold *h = s->at;
	const uint8_t *p, *end;
	uint8_t first[START_BYTES];
	bool more;

	while (!s->lost) {
		if (h->gap || s->from == h->n) {
			if (!h->next)
				return false;
			s->at = h = h->next;
			s->from = 0;
			continue;
		}
		end = h->bytes + h->n;
		p = next_record(h->bytes + s->from, end, LP_CONTENT_HANDSHAKE);
		s->looked += (uint32_t)(p - h->bytes - (ptrdiff_t)s->from);
		s->from = (size_t)(p - h->bytes);
		if (p < end &&
		    may_begin(first, lp_hold_peek(h, s->from, first, sizeof first), false)) {
			if (answer_at(pre->suspects, h, s->from, &more))
				return true;
			if (more)
				return false;
			pre->work -= h->n < pre->work ? (uint32_t)h->n : pre->work;
		}
		s->from += p < end;
		s->looked += p < end;
		s->lost = s->looked > LP_PRELUDE_WINDOW || !pre->work;
	}
	return false;
}

static void pass_held(struct lp_prelude *pre, const struct lp_prelude_host *host,
		      enum lp_side side, size_t n)
{
	struct lp_holds *q = &pre->suspects->holds;
	struct lp_hold *h = q->head[side];

	if (h->gap) {
		pass(pre, host, side, NULL, h->n, &h->when);
		lp_holds_pop(q, (int)side);
	} else if (n) {
		pass(pre, host, side, h->bytes + h->taken, n, &h->when);
		lp_holds_take(q, side, n);
	}
}

/* Searches what is held of a side that is not suspected (any more). */
static void search_held(struct lp_prelude *pre, const struct lp_prelude_host *host,
			enum lp_side side)
{
	struct lp_suspects *s = pre->suspects;
	struct lp_hold *h;

	while ((h = s->holds.head[side])) {
		size_t n = (size_t)h->n - h->taken;
		size_t at = h->gap ? 0 : find(pre, side, h->bytes + h->taken, n);

		pass_held(pre, host, side, at);
		if (h != s->holds.head[side])
			continue;
		if (!suspect(pre, host, side) || follow(s, (int)side, h))
			return;
		clear_suspect(&s->side[side]);
		pre->work -= s->holds.bytes[side] < pre->work ? (uint32_t)s->holds.bytes[side]
							      : pre->work;
		pass_held(pre, host, side, 1);
	}
}

static void reject(struct lp_prelude *pre, const struct lp_prelude_host *host, enum lp_side side)
{
	struct lp_suspects *s = pre->suspects;
	const struct suspect *other = &s->side[1 - side];
	uint64_t n = s->holds.bytes[side];

	clear_suspect(&s->side[side]);
	pre->work -= n < pre->work ? (uint32_t)n : pre->work;
	/* For the sake of a hello that is none the other side's hole is not kept; and not for that of the
	 * next, which may stand behind it. */
	if (other->blind && !other->kind)
		reject(pre, host, (enum lp_side)(1 - side));
	if (s->holds.head[side])
		pass_held(pre, host, side, 1);
	search_held(pre, host, side);
}

/* The hole and what follows it, up to an answer, were the prelude's. */
static void found_behind(struct lp_prelude *pre, const struct lp_prelude_host *host,
			 enum lp_side side)
{
	struct lp_holds *q = &pre->suspects->holds;
	struct suspect *s = &pre->suspects->side[side];
	const struct lp_hold *at = s->at;
	size_t from = s->from;

	while (q->head[side] != at)
		pass_held(pre, host, side, (size_t)q->head[side]->n);
	pass_held(pre, host, side, from);
	clear_suspect(s);
	if (suspect(pre, host, side))
		(void)follow(pre->suspects, (int)side, q->head[side]);
}

/* ---- deciding ---- */

/* The client has gone on as only a client does that was answered, and no other
 * answer was seen. */
static bool certain(const struct lp_suspects *s, int side)
{
	const struct suspect *c = &s->side[side], *other = &s->side[1 - side];

	return c->kind == CLIENT_HELLO && !c->answered && (c->more || other->active);
}

static void free_suspects(struct lp_prelude *pre)
{
	struct lp_suspects *s = pre->suspects;

	if (!s)
		return;
	clear_suspect(&s->side[0]);
	clear_suspect(&s->side[1]);
	lp_holds_clear(&s->holds);
	free(s);
	pre->suspects = NULL;
}

static bool over(const struct lp_prelude *pre)
{
	return !pre->work || pre->turn > LP_PRELUDE_TURN ||
	       (pre->changes == LP_PRELUDE_CHANGES && !pre->window[0] && !pre->window[1]);
}

/* Handshakes that wait for the warden fill the space: a replay reads on when they are
 * done, and what little this flow holds may stay until then. */
static bool too_much(const struct lp_holds *q)
{
	const struct lp_tls_env *env = q->env;

	return lp_holds_over(q) &&
	       (env->live || !env->waiting || q->weight > env->max_held_session);
}

/* What a ClientHello of one side and whatever is known of the other come to. True: a
 * side was rejected, so look again. */
static bool weigh(struct lp_prelude *pre, const struct lp_prelude_host *host, int side,
		  enum lp_found *found)
{
	struct lp_suspects *s = pre->suspects;
	const struct suspect *mine = &s->side[side], *other = &s->side[1 - side];
	int loser = -1;

	for (int i = 0; i < 2; i++) {
		const struct suspect *client = &s->side[i], *server = &s->side[1 - i];

		/* Answered, or the answer is lost and there was one. */
		if (answered(s, i) ||
		    (client->kind == CLIENT_HELLO && server->lost && client->more)) {
			pre->client = (uint8_t)i;
			*found = LP_FOUND_TLS;
			return false;
		}
	}
	if (mine->kind == ALERT)
		loser = side;
	else if (other->kind && !mine->active && !pre->window[side])
		loser = 1 - side;
	else if (mine->kind && mine->kind == other->kind && s->later != side)
		loser = side; /* both began alike, and it did not answer but went on */
	if (loser >= 0)
		reject(pre, host, (enum lp_side)loser);
	return loser >= 0;
}

/* Too much is held, or the flow is over. */
static enum lp_found decide_now(struct lp_prelude *pre, const struct lp_prelude_host *host)
{
	struct lp_suspects *s = pre->suspects;
	enum lp_found found = LP_FOUND_NOT_YET;
	struct lp_hold *a, *b;

	/* What was not whole may have hidden what is. */
	for (int side = 0; s && side < 2; side++) {
		while (s->side[side].active && !s->side[side].kind && !s->side[side].blind &&
		       !wants_alert(s, side))
			reject(pre, host, (enum lp_side)side);
		s->side[side].lost = s->side[side].blind;
	}
	for (int side = 0; s && side < 2; side++)
		while (weigh(pre, host, side, &found))
			continue;
	for (int side = 0; s && !found && side < 2; side++) {
		pre->client = (uint8_t)side;
		found = certain(s, side) ? LP_FOUND_TLS : LP_FOUND_NOT_YET;
	}
	if (found == LP_FOUND_TLS)
		return found;
	while (s && lp_holds_any(&s->holds)) {
		a = s->holds.head[0];
		b = s->holds.head[1];
		if (!a || (b && lp_hold_earlier(b, a)))
			a = b;
		pass_held(pre, host, (enum lp_side)a->side, (size_t)a->n - a->taken);
	}
	free_suspects(pre);
	return LP_FOUND_NONE;
}

/* After side moved. */
static enum lp_found settle(struct lp_prelude *pre, const struct lp_prelude_host *host, int side)
{
	struct lp_suspects *s = pre->suspects;
	enum lp_found found = LP_FOUND_NOT_YET;

	while (s && weigh(pre, host, side, &found))
		continue;
	if (found == LP_FOUND_TLS)
		return found;
	if (s && too_much(&s->holds)) {
		host->env->cap_held++;
		return decide_now(pre, host);
	}
	if (s && !s->side[0].active && !s->side[1].active)
		free_suspects(pre);
	if (over(pre) && (!pre->suspects || !pre->work))
		return decide_now(pre, host);
	return LP_FOUND_NOT_YET;
}

/* ---- stream calls ---- */

static void speaks(struct lp_prelude *pre, enum lp_side side, uint64_t n)
{
	if (pre->speaker != side) {
		if (pre->speaker != NOBODY && pre->changes < LP_PRELUDE_CHANGES) {
			pre->changes++;
			pre->window[side] = LP_PRELUDE_WINDOW;
		}
		pre->speaker = (uint8_t)side;
		pre->turn = 0;
	}
	pre->turn = n > LP_PRELUDE_TURN ? LP_PRELUDE_TURN + 1 : pre->turn + (uint32_t)n;
}

static bool suspected(const struct lp_prelude *pre, enum lp_side side)
{
	return pre->suspects && pre->suspects->side[side].active;
}

/* One more item of a side that is suspected. */
static enum lp_found go_on(struct lp_prelude *pre, const struct lp_prelude_host *host,
			   enum lp_side side, const uint8_t *p, uint64_t n, uint64_t off,
			   const struct lp_when *when)
{
	struct lp_suspects *s = pre->suspects;
	struct suspect *mine = &s->side[side];

	if (!lp_holds_push(&s->holds, side, p, n, off, when))
		return decide_now(pre, host);
	if (!follow(s, (int)side, s->holds.tail[side])) {
		reject(pre, host, side);
	} else if (mine->blind && !mine->kind) {
		mine->at = mine->at ? mine->at : s->holds.head[side];
		if (look_behind(pre, mine))
			found_behind(pre, host, side);
	}
	return settle(pre, host, (int)side);
}

enum lp_found lp_prelude_data(struct lp_prelude *pre, const struct lp_prelude_host *host,
			      enum lp_side side, const uint8_t *p, size_t n, uint64_t off,
			      const struct lp_when *when)
{
	size_t at = 0;

	speaks(pre, side, n);
	if (!suspected(pre, side)) {
		at = find(pre, side, p, n);
		pass(pre, host, side, p, at, when);
		if (at < n && !suspect(pre, host, side))
			return decide_now(pre, host);
	}
	return at < n ? go_on(pre, host, side, p + at, n - at, off + at, when)
		      : settle(pre, host, (int)side);
}

enum lp_found lp_prelude_gap(struct lp_prelude *pre, const struct lp_prelude_host *host,
			     enum lp_side side, uint64_t off, uint64_t n,
			     const struct lp_when *when)
{
	speaks(pre, side, n);
	if (!suspected(pre, side)) {
		/* The answer to a ClientHello may be lost in it. */
		if (!pre->suspects || pre->suspects->side[1 - side].kind != CLIENT_HELLO ||
		    pre->suspects->side[1 - side].answered) {
			pass(pre, host, side, NULL, n, when);
			return settle(pre, host, (int)side);
		}
		if (!suspect(pre, host, side))
			return decide_now(pre, host);
		pre->suspects->side[side].blind = true;
	}
	return go_on(pre, host, side, NULL, n, off, when);
}

enum lp_found lp_prelude_close(struct lp_prelude *pre, const struct lp_prelude_host *host)
{
	return decide_now(pre, host);
}

void lp_prelude_take(struct lp_prelude *pre, struct lp_holds *out)
{
	struct lp_suspects *s = pre->suspects;

	*out = s->holds;
	lp_holds_init(&s->holds, out->env);
	free_suspects(pre);
}

void lp_prelude_free(struct lp_prelude *pre, struct lp_tls_env *env)
{
	if (!pre)
		return;
	free_suspects(pre);
	lp_kept_free(pre->kept, env);
	free(pre);
}
