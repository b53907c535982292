/* Sessions that are resumed by a ticket whose making was not seen: the warden has the
 * ticket keys and opens them. What was observed comes first (wanted.c); but the question
 * is asked at once, so that many tickets are opened side by side while each waits for
 * its miss in the session cache to be final. */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "engine_parts.h"
#include "tls/handshake.h"

enum { NAME = 16 };

static bool is_possible(const struct lp_tracked *f, const struct lp_handshake *hs)
{
	return f->worker->engine->tickets_given && hs->facts.resumed == LP_RESUMED_TICKET &&
	       hs->ticket.n && hs->ticket.n <= LP_WARDEN_TICKET;
}

void lp_tickets_forget(struct lp_tracked *f)
{
	if (f->ticket == LP_TICKET_ASKED || f->ticket == LP_TICKET_AWAITED) {
		lp_asks_forget(f->worker->asks, f);
		f->quest->asked = false;
	}
	if (f->quest->ticket_secret) {
		lp_secret_free(f->quest->ticket_secret, LP_SESSIONS_SECRET);
		f->quest->ticket_secret = NULL;
	}
	f->ticket = LP_TICKET_NONE;
	f->missed = false;
}

void lp_tickets_ask(struct lp_tracked *f, const struct lp_question *q)
{
	const struct lp_handshake *hs = q->hs;
	struct lp_ask ask;

	if (f->ticket != LP_TICKET_NONE || !is_possible(f, hs))
		return;
	memset(&ask, 0, sizeof ask);
	ask.op = LP_ASK_TICKET;
	ask.version = hs->facts.version;
	ask.time_s = q->when->released_ns / LP_NS_PER_S;
	ask.ticket = lp_span_of(hs->ticket.p, hs->ticket.n);
	f->quest->ticket_version = hs->facts.version;
	f->quest->ticket_suite = hs->facts.suite;
	f->ticket = LP_TICKET_ASKED;
	f->quest->asked = true;
	lp_wanted_put(f, &ask);
}

enum lp_reply lp_tickets_reply(struct lp_tracked *f, const struct lp_question *q,
			       struct lp_no_secret *no)
{
	struct lp_engine *e = f->worker->engine;
	size_t n;
	const struct lp_warden_key *files = lp_warden_tickets(e->warden, &n);

	lp_tickets_ask(f, q);
	switch ((enum lp_ticket_state)f->ticket) {
	case LP_TICKET_ASKED:
	case LP_TICKET_AWAITED:
		f->ticket = LP_TICKET_AWAITED;
		lp_order_wait(f->worker->order, &f->quest->waiter, q->when);
		return LP_REPLY_LATER;
	case LP_TICKET_OPEN:
		memcpy(q->now, f->quest->ticket_secret, LP_SESSIONS_SECRET);
		lp_secret_free(f->quest->ticket_secret, LP_SESSIONS_SECRET);
		f->quest->ticket_secret = NULL;
		f->ticket = LP_TICKET_USED;
		f->quest->key_kind = "ticket-key";
		f->quest->key_name = f->quest->ticket_file < n ? files[f->quest->ticket_file].name : NULL;
		return LP_REPLY_NOW;
	case LP_TICKET_SHED:
		return lp_wanted_never(no, LP_REASON_RSA_OVERLOAD,
				       "the key process had too many questions to open the ticket "
				       "in time");
	case LP_TICKET_NONE:
	case LP_TICKET_USED:
	case LP_TICKET_REFUSED:
		break;
	}
	return lp_tickets_unknown(f, q->hs, no);
}

/* The name of its key stands on a ticket in clear, with the servers that name theirs. */
enum lp_reply lp_tickets_unknown(struct lp_tracked *f, const struct lp_handshake *hs,
				 struct lp_no_secret *no)
{
	const struct lp_warden_key *files;
	char name[2 * NAME + 1];
	size_t n, keys = 0;

	files = lp_warden_tickets(f->worker->engine->warden, &n);
	for (size_t i = 0; i < n; i++)
		keys += files[i].bits;
	lp_text_hex(name, hs->ticket.p, hs->ticket.n < NAME ? hs->ticket.n : NAME);
	if (!keys)
		return lp_wanted_never(no, LP_REASON_TICKET_UNKNOWN,
				       "the session was resumed from a ticket of %zu bytes; the name "
				       "of its key is %s, and no ticket key was loaded",
				       hs->ticket.n, name);
	return lp_wanted_never(no, LP_REASON_TICKET_UNKNOWN,
			       "the session was resumed from a ticket of %zu bytes; the name of its "
			       "key is %s, and none of the %zu ticket keys loaded opens it",
			       hs->ticket.n, name, keys);
}

bool lp_tickets_answer(struct lp_tracked *f, const struct lp_answer *a)
{
	bool awaited = f->ticket == LP_TICKET_AWAITED;

	if (f->ticket != LP_TICKET_ASKED && !awaited)
		return false;
	f->quest->asked = false;
	f->ticket = LP_TICKET_REFUSED;
	if (!a || a->code == LP_ANSWER_BUSY) {
		f->ticket = LP_TICKET_SHED;
	} else if (a->code == LP_ANSWER_DONE && a->secret_len == LP_SESSIONS_SECRET &&
		   (!a->loose ||
		    (a->version == f->quest->ticket_version && a->suite == f->quest->ticket_suite))) {
		f->quest->ticket_secret = lp_secret_alloc(LP_SESSIONS_SECRET);
		if (f->quest->ticket_secret) {
			memcpy(f->quest->ticket_secret, a->secret, LP_SESSIONS_SECRET);
			f->quest->ticket_file = a->key;
			f->ticket = LP_TICKET_OPEN;
		} else {
			f->worker->env.fault = LP_E_NOMEM;
		}
	}
	if (awaited)
		lp_worker_again(f);
	return true;
}
