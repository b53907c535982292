/* Accounts and verdict: how a session ended, and why. */
#include "tls/session_parts.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

void lp_tls_account(struct lp_tls *tls, enum lp_dir dir, enum lp_account what, uint64_t n)
{
	struct lp_dir_totals *t = &tls->total[dir];

	t->stream += n;
	switch (what) {
	case LP_IN_OPENED:
		t->opened += n;
		break;
	case LP_IN_HANDSHAKE:
		t->handshake += n;
		break;
	case LP_IN_ALERT:
		t->alert += n;
		break;
	case LP_IN_OPAQUE:
		t->opaque += n;
		break;
	case LP_IN_LOST:
		t->lost += n;
		break;
	}
}

/* RFC 5246 section 7.2, RFC 6066, 7301. */
static const char *alert_name(int alert)
{
	switch (alert) {
	case 10:
		return "unexpected_message";
	case 20:
		return "bad_record_mac";
	case 22:
		return "record_overflow";
	case 40:
		return "handshake_failure";
	case 42:
		return "bad_certificate";
	case 43:
		return "unsupported_certificate";
	case 44:
		return "certificate_revoked";
	case 45:
		return "certificate_expired";
	case 46:
		return "certificate_unknown";
	case 47:
		return "illegal_parameter";
	case 48:
		return "unknown_ca";
	case 49:
		return "access_denied";
	case 50:
		return "decode_error";
	case 51:
		return "decrypt_error";
	case 70:
		return "protocol_version";
	case 71:
		return "insufficient_security";
	case 80:
		return "internal_error";
	case 86:
		return "inappropriate_fallback";
	case 90:
		return "user_canceled";
	case 112:
		return "unrecognized_name";
	case 115:
		return "unknown_psk_identity";
	case 116:
		return "certificate_required";
	case 120:
		return "no_application_protocol";
	default:
		return "alert";
	}
}

static const char *ended_by(enum lp_end end)
{
	switch (end) {
	case LP_END_FIN:
		return "closed the connection";
	case LP_END_RST:
		return "reset the connection";
	case LP_END_IDLE:
		return "fell silent";
	case LP_END_CAPTURE:
		return "was still busy when the capture ended";
	case LP_END_LOST:
		return "was lost track of";
	case LP_END_CLOSE_NOTIFY:
		return "said goodbye";
	}
	return "ended";
}

static void set_reason(struct lp_tls *tls, enum lp_reason reason, const char *detail)
{
	if (tls->reason != LP_REASON_NONE)
		return;
	tls->reason = reason;
	snprintf(tls->detail, sizeof tls->detail, "%s", detail);
}

/* No keys were proven and nothing else was wrong: the handshake did not come to
 * an end, or only one side of it was captured. */
static void unfinished(struct lp_tls *tls, const enum lp_end end[2])
{
	const struct lp_dir_totals *c = &tls->total[LP_C2S];
	const struct lp_dir_totals *s = &tls->total[LP_S2C];
	char text[LP_RESULT_TEXT];

	if (tls->hole && tls->alert < 0) {
		lp_tls_fail_hole(tls);
	} else if (tls->alert >= 0) {
		snprintf(text, sizeof text, "the %s refused with alert %s (%d)",
			 tls->alert_dir == LP_C2S ? "client" : "server", alert_name(tls->alert),
			 tls->alert);
		set_reason(tls, LP_REASON_HANDSHAKE_FAILED, text);
	} else if (!s->stream && c->opaque && end[LP_S2C] != LP_END_RST &&
		   end[LP_S2C] != LP_END_FIN) {
		/* The client went on as if it had been answered. */
		set_reason(tls, LP_REASON_ONE_DIRECTION,
			   "no byte from the server was captured, and the client went on");
	} else {
		enum lp_dir who = end[LP_S2C] == LP_END_RST || end[LP_S2C] == LP_END_FIN ? LP_S2C
											 : LP_C2S;

		snprintf(text, sizeof text, "the %s %s before keys were used%s",
			 who == LP_C2S ? "client" : "server", ended_by(end[who]),
			 s->stream ? "" : "; the server had not answered the ClientHello");
		set_reason(tls, LP_REASON_HANDSHAKE_FAILED, text);
	}
}

static enum lp_verdict judge(struct lp_tls *tls, const enum lp_end end[2])
{
	const struct lp_dir_totals *c = &tls->total[LP_C2S];
	const struct lp_dir_totals *s = &tls->total[LP_S2C];
	bool opened = c->records || s->records;

	if (!tls->proven) {
		unfinished(tls, end);
		return LP_OPAQUE;
	}
	if (c->opaque || s->opaque)
		set_reason(tls, LP_REASON_RECORD_BAD, "some records stayed closed");
	if (tls->reason == LP_REASON_NONE) {
		set_reason(tls, LP_REASON_COMPLETE, "every record that was seen was opened");
		return LP_DECRYPTED;
	}
	return opened || !lp_reason_fits(tls->reason, LP_OPAQUE) ? LP_PARTIAL : LP_OPAQUE;
}

static void fill_notes(const struct lp_tls *tls, struct lp_result *r)
{
	size_t n = 0;

	for (unsigned i = 0; i < LP_NOTE_COUNT && n < LP_RESULT_NOTES; i++)
		if (tls->notes & 1U << i)
			r->notes[n++] = lp_note_text(i)->code;
	r->pub.notes = r->notes;
}

/* A hole that was not passed: told once, with all that it cost. */
static void tell_dead(struct lp_tls *tls, enum lp_dir dir)
{
	const struct lp_gap_info gap = {
		.size = sizeof gap,
		.stream_bytes = tls->dead_bytes[dir],
		.clear_max = tls->dead_bytes[dir],
	};

	if (tls->dead_bytes[dir])
		tls->env->cb->gap(tls->owner, dir, &gap, &tls->when);
}

void lp_tls_end(struct lp_tls *tls, const enum lp_end end[2])
{
	struct lp_snapshot *snapshot;
	struct lp_result *r;

	if (tls->state == LP_TLS_ENDED)
		return;
	if (!tls->began)
		lp_tls_fail(tls, LP_REASON_HANDSHAKE_FAILED,
			    "the connection ended in the middle of the ClientHello");
	for (int dir = 0; dir < 2; dir++) {
		/* The rest of a record that never came whole. */
		if (tls->state != LP_TLS_OPAQUE)
			lp_tls_account(tls, (enum lp_dir)dir, LP_IN_LOST,
				       lp_records_held(&tls->records[dir]));
		if (tls->proven && (end[dir] == LP_END_FIN || end[dir] == LP_END_RST))
			tls->notes |= LP_NOTE_TRUNCATED;
		if (tls->state != LP_TLS_OPAQUE)
			lp_tls_seek_end(tls, (enum lp_dir)dir);
		tell_dead(tls, (enum lp_dir)dir);
	}
	tls->state = LP_TLS_ENDED;
	snapshot = lp_tls_snapshot(tls);
	r = calloc(1, sizeof *r);
	if (!snapshot || !r) {
		lp_tls_nomem(tls);
		lp_snapshot_unref(snapshot);
		free(r);
		return;
	}
	r->pub = (struct lp_session_result){
		.size = sizeof r->pub,
		.verdict = judge(tls, end),
		.detail = r->detail,
		.end = { end[0], end[1] },
		.total = { tls->total[0], tls->total[1] },
	};
	r->pub.reason = lp_reason_text(tls->reason)->code;
	r->pub.advice = lp_reason_text(tls->reason)->advice;
	snprintf(r->detail, sizeof r->detail, "%s", tls->detail);
	fill_notes(tls, r);
	tls->env->cb->end(tls->owner, snapshot, r, &tls->when);
}
