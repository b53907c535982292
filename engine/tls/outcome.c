/* Accounts and verdict: how a session ended, and why. */
#include "tls/session_parts.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

/* n is too much for a count: what is left there; the rest goes to where there is room. */
static uint32_t carry(struct lp_tls *tls, enum lp_dir dir, bool records, uint64_t n)
{
	struct lp_told *told = lp_tls_told(tls);

	if (told && records)
		told->count[dir].records += (uint32_t)(n / LP_COUNT_FULL);
	else if (told)
		told->count[dir].handshake += (uint32_t)(n / LP_COUNT_FULL);
	return (uint32_t)(n % LP_COUNT_FULL);
}

void lp_tls_count(struct lp_tls *tls, enum lp_dir dir, size_t n)
{
	struct lp_count *count = &tls->count[dir];

	count->clear += n;
	if (++count->records == LP_COUNT_FULL)
		count->records = carry(tls, dir, true, count->records);
}

static void add_handshake(struct lp_tls *tls, enum lp_dir dir, uint64_t n)
{
	n += tls->count[dir].handshake;
	tls->count[dir].handshake = n < LP_COUNT_FULL ? (uint32_t)n : carry(tls, dir, false, n);
}

void lp_tls_account(struct lp_tls *tls, enum lp_dir dir, enum lp_account what, uint64_t n)
{
	struct lp_told *told;

	if (what == LP_IN_OPENED) {
		tls->count[dir].opened += n;
		return;
	}
	if (what == LP_IN_HANDSHAKE) {
		add_handshake(tls, dir, n);
		return;
	}
	told = n ? lp_tls_told(tls) : NULL;
	if (!told)
		return;
	switch (what) {
	case LP_IN_ALERT:
		told->count[dir].alert += n;
		break;
	case LP_IN_OPAQUE:
		told->count[dir].opaque += n;
		break;
	default:
		told->count[dir].lost += n;
		break;
	}
}

static uint64_t of_handshake(const struct lp_tls *tls, enum lp_dir dir)
{
	return tls->count[dir].handshake +
	       (uint64_t)tls->told->count[dir].handshake * LP_COUNT_FULL;
}

uint64_t lp_tls_accounted(const struct lp_tls *tls, enum lp_dir dir)
{
	const struct lp_count_more *more = &tls->told->count[dir];

	return tls->count[dir].opened + of_handshake(tls, dir) + more->alert + more->opaque +
	       more->lost;
}

void lp_tls_closed(struct lp_tls *tls, enum lp_dir dir, const struct lp_protect *p,
		   const struct lp_sealed *sealed)
{
	size_t min, max;
	struct lp_gap_info gap = {
		.size = sizeof gap,
		.stream_bytes = LP_RECORD_HEADER + sealed->fragment.n,
		.records = 1,
	};

	lp_tls_account(tls, dir, LP_IN_OPAQUE, gap.stream_bytes);
	if (sealed->type == LP_CONTENT_DATA && lp_tls_told(tls))
		tls->told->count[dir].records_closed++;
	lp_protect_content_range(p, sealed->fragment.n, &min, &max);
	if (!max || !tls->proven)
		return;
	gap.clear_max = max;
	/* Its type is no more certain than the rest of it. */
	if (sealed->type == LP_CONTENT_DATA && !tls->compressed)
		gap.clear_min = min;
	tls->home->env->cb->gap(tls->home->owner, dir, &gap, &tls->home->when);
}

static struct lp_dir_totals totals(const struct lp_tls *tls, enum lp_dir dir)
{
	const struct lp_count *count = &tls->count[dir];
	const struct lp_count_more *more = &tls->told->count[dir];

	return (struct lp_dir_totals){
		.stream = lp_tls_accounted(tls, dir),
		.opened = count->opened,
		.handshake = of_handshake(tls, dir),
		.alert = more->alert,
		.opaque = more->opaque,
		.lost = more->lost,
		.clear = count->clear,
		.records = count->records + (uint64_t)more->records * LP_COUNT_FULL,
		.records_closed = more->records_closed,
	};
}

/* IANA "TLS Alerts". */
static const struct {
	uint8_t number;
	const char *name;
} alerts[] = {
	{ 0, "close_notify" }, { 10, "unexpected_message" }, { 20, "bad_record_mac" },
	{ 21, "decryption_failed" }, { 22, "record_overflow" }, { 30, "decompression_failure" },
	{ 40, "handshake_failure" }, { 41, "no_certificate" }, { 42, "bad_certificate" },
	{ 43, "unsupported_certificate" }, { 44, "certificate_revoked" },
	{ 45, "certificate_expired" }, { 46, "certificate_unknown" }, { 47, "illegal_parameter" },
	{ 48, "unknown_ca" }, { 49, "access_denied" }, { 50, "decode_error" },
	{ 51, "decrypt_error" }, { 60, "export_restriction" }, { 70, "protocol_version" },
	{ 71, "insufficient_security" }, { 80, "internal_error" }, { 86, "inappropriate_fallback" },
	{ 90, "user_canceled" }, { 100, "no_renegotiation" }, { 109, "missing_extension" },
	{ 110, "unsupported_extension" }, { 111, "certificate_unobtainable" },
	{ 112, "unrecognized_name" }, { 113, "bad_certificate_status_response" },
	{ 114, "bad_certificate_hash_value" }, { 115, "unknown_psk_identity" },
	{ 116, "certificate_required" }, { 120, "no_application_protocol" },
};

static const char *alert_name(int alert)
{
	for (size_t i = 0; i < sizeof alerts / sizeof alerts[0]; i++)
		if (alerts[i].number == alert)
			return alerts[i].name;
	return "of an unknown kind";
}

static void set_reason(struct lp_tls *tls, enum lp_reason reason, const char *detail)
{
	if (tls->reason != LP_REASON_NONE)
		return;
	lp_tls_because(tls, reason, "%s", detail);
}

/* How far the handshake came: " after the server's ServerHelloDone". */
static void how_far(const struct lp_tls *tls, char *out, size_t size)
{
	const struct lp_handshake *hs = tls->shake->hs;

	out[0] = '\0';
	if (!hs || !hs->last[LP_C2S])
		return;
	if (hs->sealed[LP_C2S] || hs->sealed[LP_S2C])
		snprintf(out, size, " after the %s's ChangeCipherSpec",
			 lp_tls_who(hs->sealed[LP_C2S] ? LP_C2S : LP_S2C));
	else if (!hs->last[LP_S2C])
		snprintf(out, size, "; the server had not answered the ClientHello");
	else if (hs->exchange_done)
		snprintf(out, size, " after the client's %s", lp_message_name(hs->last[LP_C2S]));
	else
		snprintf(out, size, " after the server's %s", lp_message_name(hs->last[LP_S2C]));
}

/* One of the peers closed the connection during the handshake. */
static void closed_early(struct lp_tls *tls, const enum lp_end end[2])
{
	const struct lp_evidence *e = &tls->home->evidence;
	enum lp_dir who = end[LP_C2S] == LP_END_FIN && end[LP_S2C] != LP_END_FIN ? LP_C2S : LP_S2C;
	char far[96], warning[96] = "", text[LP_RESULT_TEXT];
	bool reset;

	if (e && e->ender)
		who = lp_tls_dir(tls, (enum lp_side)(e->ender - 1));
	reset = end[who] == LP_END_RST;
	how_far(tls, far, sizeof far);
	if (tls->shake->warning >= 0)
		snprintf(warning, sizeof warning, "; the %s had sent the alert %s (%d)",
			 lp_tls_who((enum lp_dir)tls->shake->warning_dir),
			 alert_name(tls->shake->warning), tls->shake->warning);
	snprintf(text, sizeof text, "the %s %s the connection before keys were used%s%s",
		 lp_tls_who(who), reset ? "reset" : "closed", far, warning);
	set_reason(tls, LP_REASON_HANDSHAKE_FAILED, text);
}

/* The capture holds no more of it. */
static void unfinished_end(struct lp_tls *tls, const enum lp_end end[2])
{
	bool idle = end[LP_C2S] == LP_END_IDLE || end[LP_S2C] == LP_END_IDLE;
	bool eof = end[LP_C2S] == LP_END_CAPTURE || end[LP_S2C] == LP_END_CAPTURE;
	char far[96], text[LP_RESULT_TEXT];

	how_far(tls, far, sizeof far);
	snprintf(text, sizeof text, "%s during the handshake%s",
		 eof ? "the capture ended" : idle ? "both sides fell silent"
						  : "another connection took the same ports", far);
	set_reason(tls, LP_REASON_HANDSHAKE_UNFINISHED, text);
}

static bool closed_by_peer(enum lp_end end)
{
	return end == LP_END_FIN || end == LP_END_RST;
}

/* No keys were proven and nothing else was wrong: the handshake did not come to
 * an end, or only one side of it was captured. */
static void unfinished(struct lp_tls *tls, const enum lp_end end[2])
{
	const struct lp_evidence *e = &tls->home->evidence;
	bool silent = !lp_tls_accounted(tls, LP_S2C), more = tls->told->count[LP_C2S].opaque;
	char text[LP_RESULT_TEXT];

	if (tls->shake->alert >= 0) {
		snprintf(text, sizeof text, "the %s refused with alert %s (%d)",
			 lp_tls_who((enum lp_dir)tls->shake->alert_dir),
			 alert_name(tls->shake->alert), tls->shake->alert);
		set_reason(tls, LP_REASON_HANDSHAKE_FAILED, text);
	} else if (tls->shake->hole) {
		lp_tls_fail_hole(tls);
	} else if (lp_tls_absent(tls, LP_S2C)) {
		set_reason(tls, LP_REASON_ONE_DIRECTION, "no packet from the server was captured");
	} else if (silent && more && !closed_by_peer(end[LP_S2C])) {
		/* The client went on as if it had been answered. */
		set_reason(tls, LP_REASON_ONE_DIRECTION,
			   "no byte from the server was captured, and the client went on");
	} else if (e && e->evicted) {
		set_reason(tls, LP_REASON_LIMIT, "more connections at a time than may be kept "
			   "(max-flows), and this one had to go");
	} else if (closed_by_peer(end[LP_S2C]) || closed_by_peer(end[LP_C2S])) {
		closed_early(tls, end);
	} else {
		unfinished_end(tls, end);
	}
}

static enum lp_verdict judge(struct lp_tls *tls, const enum lp_end end[2])
{
	const struct lp_count_more *c = &tls->told->count[LP_C2S];
	const struct lp_count_more *s = &tls->told->count[LP_S2C];
	bool opened = tls->count[LP_C2S].records || tls->count[LP_S2C].records || c->records ||
		      s->records;

	if (!tls->proven) {
		unfinished(tls, end);
		return LP_OPAQUE;
	}
	if ((c->opaque || s->opaque) && tls->completed && tls->shake->hs &&
	    !lp_handshake_idle(tls->shake->hs))
		set_reason(tls, LP_REASON_LATER_HANDSHAKE_CLOSED,
			   "the peers began another handshake, whose end was not captured");
	else if (c->opaque || s->opaque)
		set_reason(tls, LP_REASON_RECORD_BAD, "some records stayed closed");
	if (tls->home->evidence.evicted)
		set_reason(tls, LP_REASON_LIMIT, "more connections at a time than may be kept "
			   "(max-flows): what came of it later is not in this session");
	if (tls->reason == LP_REASON_NONE) {
		tls->reason = LP_REASON_COMPLETE; /* whose text is always the same */
		return LP_DECRYPTED;
	}
	return opened || !lp_reason_fits((enum lp_reason)tls->reason, LP_OPAQUE) ? LP_PARTIAL : LP_OPAQUE;
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
		.stream_bytes = tls->hurt->dead_bytes[dir],
		.clear_max = tls->hurt->dead_bytes[dir],
	};

	if (tls->hurt->dead_bytes[dir])
		tls->home->env->cb->gap(tls->home->owner, dir, &gap, &tls->home->when);
}

/* rest: what was seen, by direction, of a record that was not seen whole. */
static void say_complete(struct lp_result *r, const size_t rest[2])
{
	enum lp_dir dir = rest[LP_C2S] ? LP_C2S : LP_S2C;

	r->pub.detail = "every record that was seen was opened";
	if (!rest[dir])
		return;
	snprintf(r->detail, sizeof r->detail,
		 "every whole record was opened; of the %s's last only %zu bytes were seen",
		 lp_tls_who(dir), rest[dir]);
	r->pub.detail = r->detail;
}

void lp_tls_end(struct lp_tls *tls, const enum lp_end end[2])
{
	struct lp_snapshot *snapshot;
	size_t rest[2] = { 0, 0 };
	struct lp_result *r;

	if (tls->state == LP_TLS_ENDED)
		return;
	if (lp_tls_conflict(tls))
		tls->notes |= LP_NOTE_OVERLAP_CONFLICT;
	if (!tls->began) {
		bool peers = closed_by_peer(end[LP_C2S]) || closed_by_peer(end[LP_S2C]);

		lp_tls_fail(tls, peers ? LP_REASON_HANDSHAKE_FAILED : LP_REASON_HANDSHAKE_UNFINISHED,
			    "the %s ended in the middle of the ClientHello",
			    peers ? "connection" : "capture of it");
	}
	for (int dir = 0; dir < 2; dir++) {
		/* The rest of a record that never came whole, and what never had its turn. */
		if (tls->state != LP_TLS_OPAQUE) {
			rest[dir] = lp_records_held(&tls->records[dir]);
			lp_tls_account(tls, (enum lp_dir)dir, LP_IN_LOST, rest[dir]);
			lp_tls_account(tls, (enum lp_dir)dir, LP_IN_OPAQUE,
				       lp_buf_len(&tls->hurt->back[dir]));
		}
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
		.total = { totals(tls, LP_C2S), totals(tls, LP_S2C) },
	};
	r->pub.reason = lp_reason_text((enum lp_reason)tls->reason)->code;
	r->pub.verified = tls->unchecked ? "first" : NULL;
	r->pub.advice = lp_reason_text((enum lp_reason)tls->reason)->advice;
	if (tls->told->detail)
		snprintf(r->detail, sizeof r->detail, "%s", tls->told->detail);
	else if (tls->reason == LP_REASON_COMPLETE)
		say_complete(r, rest);
	fill_notes(tls, r);
	tls->home->env->cb->end(tls->home->owner, snapshot, r, &tls->home->when);
}
