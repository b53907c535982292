/* Holes in a handshake with Extended Master Secret, filled from what the same peers said
 * before (flights.h).
 *
 * From the ServerHello on both directions are written down as they stand on the wire, with
 * their holes. The handshake goes on loosely meanwhile (hole.c). When its secret is asked
 * for and cannot be had without the missing bytes, they are taken from a kept flight that
 * agrees with all that was captured around them, and a second handshake is read from the
 * beginning, as if nothing had been lost. It takes the first one's place; the first record
 * that authenticates under the keys made of it proves the bytes, since every one of them
 * was hashed. If none does, the next flight is tried.
 *
 * Where bytes of the handshake came twice and differed (other.c), and no secret fits it as it was
 * read, it is read again with the other copies in the same way. */
#include "tls/session_parts.h"

#include <stdlib.h>
#include <string.h>

enum {
	HELLO_MAX = 16 << 10,
	TRACK_MAX = 40 << 10, /* a flight, and what the peer says after it */
	HOLES = 4,
	CHOICES = 5,          /* as it is, or one of so many kept ones less one */
};

struct track {
	struct lp_buf bytes; /* zeros in holes */
	uint64_t start;      /* stream offset of the first */
	uint32_t lead;       /* so many belong to a record that began before */
	size_t end;          /* of the flight, if all of it was captured; else 0 */
	size_t hole[HOLES], hole_n[HOLES];
	unsigned holes;
	bool on;
	bool cut;            /* no more was written down */
};

struct lp_refill {
	struct lp_buf hello[2]; /* ClientHello, ServerHello */
	struct track track[2];  /* by enum lp_dir */
	unsigned next;          /* choice */
	bool filled;            /* tls->shake->hs is one of ours */
	bool others;            /* the other copies were tried */
};

void lp_tls_refill_free(struct lp_tls *tls)
{
	struct lp_refill *r = tls->shake->refill;

	if (!r)
		return;
	for (int dir = 0; dir < 2; dir++) {
		lp_buf_clear(&r->hello[dir]);
		lp_buf_clear(&r->track[dir].bytes);
	}
	free(r);
	tls->shake->refill = NULL;
}

bool lp_tls_refilled(const struct lp_tls *tls)
{
	return tls->shake->refill && tls->shake->refill->filled;
}

/* ---- writing down ---- */

static void give_up(struct lp_tls *tls)
{
	lp_tls_nomem(tls);
	lp_tls_refill_free(tls);
}

bool lp_tls_refill_on(const struct lp_tls *tls, enum lp_dir dir)
{
	const struct lp_shake *shake = tls->shake;

	return shake->refill && shake->refill->track[dir].on && shake->hs && !shake->hs->sealed[dir];
}

void lp_tls_refill_bytes(struct lp_tls *tls, enum lp_dir dir, const uint8_t *p, size_t n,
			 uint64_t off)
{
	struct track *t = &tls->shake->refill->track[dir];
	uint64_t at = t->start + lp_buf_len(&t->bytes);
	size_t room = TRACK_MAX - lp_buf_len(&t->bytes);

	if (t->cut || off + n <= at)
		return; /* the rest of what was offered before may come again */
	if (off > at) {
		t->cut = true;
		return;
	}
	p += at - off;
	n -= (size_t)(at - off);
	t->cut = n > room;
	if (lp_buf_append(&t->bytes, p, n < room ? n : room))
		give_up(tls);
}

void lp_tls_refill_gap(struct lp_tls *tls, enum lp_dir dir, uint64_t off, uint64_t n)
{
	struct track *t = &tls->shake->refill->track[dir];
	size_t len = lp_buf_len(&t->bytes);
	uint8_t *room;

	if (t->cut || off != t->start + len || t->holes == HOLES || n > TRACK_MAX - len) {
		t->cut = true;
		return;
	}
	t->hole[t->holes] = len;
	t->hole_n[t->holes++] = (size_t)n;
	if (lp_buf_reserve(&t->bytes, (size_t)n, &room)) {
		give_up(tls);
		return;
	}
	memset(room, 0, (size_t)n);
	lp_buf_commit(&t->bytes, (size_t)n);
}

static void begin(struct lp_tls *tls, const struct lp_message *msg)
{
	struct lp_refill *r = calloc(1, sizeof *r);

	lp_tls_refill_free(tls);
	tls->shake->refill = r;
	if (!r) {
		lp_tls_nomem(tls);
		return;
	}
	for (int dir = 0; dir < 2; dir++) {
		lp_buf_init(&r->hello[dir], HELLO_MAX);
		lp_buf_init(&r->track[dir].bytes, TRACK_MAX);
	}
	if (lp_buf_append(&r->hello[LP_C2S], msg->whole.p, msg->whole.n))
		give_up(tls);
}

/* A ServerKeyExchange with an ephemeral key is another one every time. */
static bool repeats_itself(const struct lp_suite *suite)
{
	switch (suite ? (enum lp_kx)suite->kx : LP_KX_DHE) {
	case LP_KX_RSA:
	case LP_KX_RSA_PSK:
	case LP_KX_PSK:
	case LP_KX_ECDH:
		return true;
	default:
		return false;
	}
}

/* The ServerHello has come, and behind it in its record stands what m->in has. */
static void track(struct lp_tls *tls, const struct lp_message *msg)
{
	const struct lp_messages *m = &tls->shake->messages[LP_S2C];
	struct lp_refill *r = tls->shake->refill;
	struct track *server = &r->track[LP_S2C], *client = &r->track[LP_C2S];

	if (tls->shake->hs->facts.ems <= 0 || tls->shake->hs->loose ||
	    !repeats_itself(tls->shake->hs->suite) ||
	    msg->whole.n > HELLO_MAX ||
	    lp_records_held(&tls->records[LP_C2S])) {
		lp_tls_refill_free(tls);
		return;
	}
	server->start = tls->shake->pushed_end - m->in.n;
	server->lead = (uint32_t)(tls->shake->record_end - server->start);
	client->start = lp_records_offset(&tls->records[LP_C2S]);
	server->on = client->on = true;
	if (lp_buf_append(&r->hello[LP_S2C], msg->whole.p, msg->whole.n))
		give_up(tls);
	else if (m->in.n)
		lp_tls_refill_bytes(tls, LP_S2C, m->in.p, m->in.n, server->start);
}

void lp_tls_refill_message(struct lp_tls *tls, enum lp_dir dir, const struct lp_message *msg)
{
	const struct lp_messages *m = &tls->shake->messages[dir];

	if (tls->completed || tls->proven || msg->v2)
		return;
	if (msg->type == LP_MSG_CLIENT_HELLO) {
		if (tls->shake->hs->offered & LP_HAS_EMS && msg->whole.n <= HELLO_MAX)
			begin(tls, msg);
		return;
	}
	if (!tls->shake->refill)
		return;
	if (msg->type == LP_MSG_SERVER_HELLO)
		track(tls, msg);
	else if (tls->shake->refill->track[dir].on && !tls->shake->hs->loose &&
		 msg->type == (dir == LP_S2C ? LP_MSG_SERVER_HELLO_DONE : LP_MSG_CERTIFICATE))
		tls->shake->refill->track[dir].end =
			(size_t)(tls->shake->pushed_end - m->in.n - tls->shake->refill->track[dir].start);
}

void lp_tls_refill_keep(struct lp_tls *tls)
{
	const struct lp_tls_cb *cb = tls->home->env->cb;
	struct lp_refill *r = tls->shake->refill;

	/* (Of bytes that came twice and differed the wrong ones may have been written down.) */
	if (!r || tls->completed || tls->shake->hs->facts.resumed > 0 || !cb->keep_flight ||
	    lp_tls_conflict(tls))
		return;
	for (int dir = 0; dir < 2; dir++) {
		const struct track *t = &r->track[dir];
		lp_span s = lp_buf_span(&t->bytes);

		if (t->end && t->end <= s.n && (!t->holes || t->hole[0] >= t->end))
			cb->keep_flight(tls->home->owner, tls->shake->hs, (enum lp_dir)dir,
					lp_span_of(s.p, t->end), t->lead, &tls->home->when);
	}
}

/* ---- reading again ---- */

/* A direction's messages, from a track without holes up to some point. */
struct reader {
	lp_span bytes;
	size_t at, rest;  /* of the record at hand */
	size_t flight;    /* where the flight that filled it ends; 0: not filled */
	bool ccs;         /* ChangeCipherSpec comes next */
	bool no_memory;
	struct lp_messages messages;
};

/* LP_MORE: no more of them, for whatever reason. */
static enum lp_err next_message(struct reader *r, struct lp_message *msg)
{
	enum lp_err err;
	size_t n;

	while ((err = lp_messages_next(&r->messages, msg)) == LP_MORE) {
		if (!r->rest) {
			struct lp_cursor c = lp_cursor_of(r->bytes.p + r->at, r->bytes.n - r->at);
			uint8_t type = lp_cursor_u8(&c);

			lp_cursor_skip(&c, 2);
			r->rest = lp_cursor_u16(&c);
			if (lp_cursor_ok(&c) || type != LP_CONTENT_HANDSHAKE || !r->rest) {
				r->ccs = !lp_cursor_ok(&c) && type == LP_CONTENT_CCS &&
					 !lp_messages_partial(&r->messages);
				r->rest = 0;
				return LP_MORE;
			}
			r->at += LP_RECORD_HEADER;
		}
		n = r->bytes.n - r->at < r->rest ? r->bytes.n - r->at : r->rest;
		if (!n)
			return LP_MORE;
		lp_messages_push(&r->messages, lp_span_of(r->bytes.p + r->at, n));
		r->at += n;
		r->rest -= n;
	}
	return err;
}

/* Copies the track to room and fills it with a kept flight (f.n 0: with nothing). False:
 * the flight is not the one. */
static bool open_reader(struct reader *r, const struct track *t, lp_span f, uint32_t lead,
			uint8_t *room)
{
	lp_span b = lp_buf_span(&t->bytes);
	size_t at = 0, limit = b.n;

	if (f.n && (lead != t->lead || f.n > b.n))
		return false;
	if (b.n)
		memcpy(room, b.p, b.n);
	for (unsigned i = 0; i < t->holes; i++) {
		if (t->hole[i] >= f.n) {
			limit = t->hole[i];
			break;
		}
		if (t->hole_n[i] > f.n - t->hole[i] ||
		    memcmp(b.p + at, f.p + at, t->hole[i] - at) != 0)
			return false;
		at = t->hole[i] + t->hole_n[i];
		memcpy(room + t->hole[i], f.p + t->hole[i], t->hole_n[i]);
	}
	if (f.n && memcmp(b.p + at, f.p + at, f.n - at) != 0)
		return false;
	*r = (struct reader){
		.bytes = { room, limit },
		.rest = t->lead,
		.flight = f.n,
	};
	lp_messages_init(&r->messages);
	return true;
}

/* Hands in the next message. */
static enum lp_err hand_in(struct lp_handshake *hs, enum lp_dir dir, struct reader *r,
			   struct lp_message *msg)
{
	enum lp_err err = next_message(r, msg);

	if (!err)
		err = lp_handshake_message(hs, dir, msg);
	r->no_memory |= err == LP_E_NOMEM;
	return err;
}

/* Hands in messages up to one of that type; false: it did not come. */
static bool read_to(struct lp_handshake *hs, enum lp_dir dir, struct reader *r, uint8_t type)
{
	struct lp_message msg;

	while (hand_in(hs, dir, r, &msg) == LP_OK) {
		if (msg.type == type)
			return true;
	}
	return false;
}

/* Hands in what stands before the ChangeCipherSpec, as far as it was captured, and it. */
static bool read_out(struct lp_handshake *hs, enum lp_dir dir, struct reader *r)
{
	struct lp_message msg;
	enum lp_err err;

	while ((err = hand_in(hs, dir, r, &msg)) == LP_OK)
		continue;
	if (err != LP_MORE)
		return false;
	if (!r->ccs)
		lp_handshake_gap(hs, dir);
	return lp_handshake_ccs(hs, dir) == LP_OK;
}

static bool read_hello(struct lp_handshake *hs, enum lp_dir dir, const struct lp_buf *hello)
{
	struct lp_messages m;
	struct lp_message msg;
	bool ok;

	lp_messages_init(&m);
	lp_messages_push(&m, lp_buf_span(hello));
	ok = lp_messages_next(&m, &msg) == LP_OK && !lp_handshake_message(hs, dir, &msg);
	lp_messages_clear(&m);
	return ok;
}

static bool read_all(struct lp_handshake *hs, const struct lp_refill *f, struct reader r[2])
{
	struct reader *client = &r[LP_C2S], *server = &r[LP_S2C];

	if (!read_hello(hs, LP_C2S, &f->hello[LP_C2S]) ||
	    !read_hello(hs, LP_S2C, &f->hello[LP_S2C]) ||
	    !read_to(hs, LP_S2C, server, LP_MSG_SERVER_HELLO_DONE))
		return false;
	if (server->flight && server->at - server->messages.in.n != server->flight)
		return false; /* the flight was longer or shorter */
	return read_to(hs, LP_C2S, client, LP_MSG_CLIENT_KEY_EXCHANGE) && hs->session_hash_size &&
	       read_out(hs, LP_C2S, client) && read_out(hs, LP_S2C, server) &&
	       lp_handshake_keyed(hs);
}

/* The flight that a choice means; false: there is none. */
static bool choose(struct lp_tls *tls, enum lp_dir dir, unsigned choice, struct lp_buf *out,
		   uint32_t *lead)
{
	const struct track *t = &tls->shake->refill->track[dir];

	*lead = 0;
	if (!choice)
		return true;
	if (!t->holes || (t->end && t->hole[0] >= t->end))
		return false; /* nothing of it is missing */
	return tls->home->env->cb->flight(tls->home->owner, tls->shake->hs, dir, choice - 1,
					  &tls->home->when, out, lead);
}

/* Puts the other copies of the bytes in their place. */
static bool use_others(struct lp_tls *tls, enum lp_dir dir, struct reader *r, uint8_t *room)
{
	uint8_t *other = lp_tls_other_copy(tls, dir, r->bytes, tls->shake->refill->track[dir].start);

	if (other)
		memcpy(room, other, r->bytes.n);
	free(other);
	return other != NULL;
}

static struct lp_handshake *read_again(struct lp_tls *tls, const unsigned choice[2], bool others)
{
	struct lp_handshake *hs = NULL;
	struct lp_buf flight[2];
	struct reader r[2] = { { .at = 0 }, { .at = 0 } };
	uint8_t *room = malloc(2 * TRACK_MAX);
	bool ok = room != NULL && lp_handshake_new(&hs, tls->home->env->crypto->base) == LP_OK;
	bool differ = !others;
	uint32_t lead;

	if (!ok)
		lp_tls_nomem(tls);
	else
		hs->common = tls->home->env->common;
	for (int dir = 0; dir < 2; dir++) {
		lp_buf_init(&flight[dir], TRACK_MAX);
		ok = ok && choose(tls, (enum lp_dir)dir, choice[dir], &flight[dir], &lead) &&
		     open_reader(&r[dir], &tls->shake->refill->track[dir],
				 lp_buf_span(&flight[dir]), lead, room + dir * TRACK_MAX);
		if (ok && others)
			differ |= use_others(tls, (enum lp_dir)dir, &r[dir], room + dir * TRACK_MAX);
	}
	ok = ok && differ && read_all(hs, tls->shake->refill, r);
	for (int dir = 0; dir < 2; dir++) {
		if (r[dir].no_memory)
			lp_tls_nomem(tls);
		lp_messages_clear(&r[dir].messages);
		lp_buf_clear(&flight[dir]);
	}
	free(room);
	if (ok)
		return hs;
	lp_handshake_free(hs);
	return NULL;
}

bool lp_tls_refill(struct lp_tls *tls)
{
	struct lp_refill *r = tls->shake->refill;
	struct lp_handshake *hs = NULL;
	unsigned choice[2] = { 0, 0 };

	if (!r || !r->track[LP_S2C].on)
		return false;
	if (!r->others && lp_tls_conflict(tls)) {
		r->others = true;
		hs = read_again(tls, choice, true);
	}
	while (!hs && tls->shake->hole && tls->home->env->cb->flight &&
	       ++r->next < CHOICES * CHOICES) {
		choice[LP_S2C] = r->next % CHOICES;
		choice[LP_C2S] = r->next / CHOICES;
		hs = read_again(tls, choice, false);
	}
	if (!hs)
		return false;
	lp_handshake_free(tls->shake->hs);
	tls->shake->hs = hs;
	r->filled = true;
	return true;
}
