/* Asking for the master secret, proving it, opening records with it.
 *
 * The first protected record of the handshake (it carries Finished) is the proof.
 * If it does not open, the other derivation of the same premaster secret is asked
 * for once (a peer that negotiated Extended Master Secret but keyed without it, or
 * the reverse), then the next candidate key, and when there is none left the keys
 * are disproved. */
#include "tls/session_parts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	COMPRESSION_DEFLATE = 1, /* RFC 3749 section 2 */
	COMING = 63,             /* pieces of what comes next, a batch's */
};

static void forget_master(struct lp_tls *tls)
{
	if (tls->shake->master_mac) {
		tls->home->env->crypto->base->mac_free(tls->shake->master_mac);
		tls->shake->master_mac = NULL;
	}
	if (tls->shake->master.n)
		lp_secret_clear(&tls->shake->master);
}

static void forget_next(struct lp_tls *tls)
{
	if (!tls->shake->next)
		return;
	for (int dir = 0; dir < 2; dir++)
		lp_protect_clear(&tls->shake->next[dir]);
	free(tls->shake->next);
	tls->shake->next = NULL;
}

/* Whether these are the keys of the handshake under way. */
static bool is_next(const struct lp_tls *tls, enum lp_dir dir, const struct lp_protect *p)
{
	return p != &tls->now[dir];
}

void lp_tls_keys_clear(struct lp_tls *tls)
{
	for (int dir = 0; dir < 2; dir++) {
		lp_protect_clear(&tls->now[dir]);
		lp_inflate_free(tls->hurt->inflate[dir]);
		lp_inflate_free(tls->shake->inflate_next[dir]);
		if (tls->hurt->inflate[dir])
			tls->hurt->inflate[dir] = NULL;
		if (tls->shake->inflate_next[dir])
			tls->shake->inflate_next[dir] = NULL;
	}
	forget_next(tls);
	forget_master(tls);
	if (tls->shake->trial) {
		free(tls->shake->trial);
		tls->shake->trial = NULL;
	}
}

/* A handshake whose keys do not come: the first one leaves the session opaque, a
 * later one what was open partial. */
static void closed(struct lp_tls *tls, enum lp_reason reason, const char *detail)
{
	if (reason == LP_REASON_HANDSHAKE_LOST && tls->shake->hole)
		lp_tls_fail(tls, (enum lp_reason)tls->shake->hole_reason, "%s: %s", detail,
			    lp_tls_hole_detail(tls));
	else if (tls->completed)
		lp_tls_fail(tls, LP_REASON_LATER_HANDSHAKE_CLOSED, "handshake number %u: %s",
			    tls->completed + 1, detail);
	else
		lp_tls_fail(tls, reason, "%s", detail);
}

static void disproved(struct lp_tls *tls)
{
	const struct lp_peer_cert *cert = tls->shake->hs->facts.server_cert;
	enum lp_dir dir = tls->shake->trial ? tls->shake->trial->dir : LP_C2S;
	char detail[LP_RESULT_TEXT];
	enum lp_reason reason = LP_REASON_KEYS_DISPROVED;

	/* What makes keys out of nothing else is the first suspect. */
	if (cert && !cert->has_key && !cert->has_text)
		reason = LP_REASON_MALFORMED;
	else if (tls->shake->hs->suite->exported && tls->shake->hole &&
		 !tls->shake->hs->facts.exchange_seen)
		reason = LP_REASON_EXPORT_KEY;
	snprintf(detail, sizeof detail, "%u secret%s that may belong to this session (server "
		 "certificate: %.160s), and the first protected record, from the %s, opened under "
		 "none of the keys made of them%s", tls->shake->attempt, tls->shake->attempt == 1 ? "" : "s",
		 cert ? cert->has_text ? lp_cert_word(cert->info.subject) : "unreadable" : "not seen",
		 lp_tls_who(dir), lp_tls_conflict(tls) ? "; bytes of its handshake came twice and "
		 "differed" : "");
	closed(tls, reason, detail);
}

static void begin_questions(struct lp_tls *tls);

static void question(struct lp_tls *tls, bool anew)
{
	struct lp_no_secret no = { .reason = LP_REASON_NO_KEY };
	struct lp_question q = {
		.hs = tls->shake->hs,
		.extended = tls->shake->extended,
		.attempt = tls->shake->attempt,
		.anew = anew,
		.when = &tls->home->when,
		.now = lp_secret_alloc(LP_MASTER_SIZE),
	};
	enum lp_reply reply;
	bool again = false;

	if (!q.now) {
		lp_tls_nomem(tls);
		lp_tls_fail(tls, LP_REASON_LIMIT, "out of memory");
		return;
	}
	tls->state = LP_TLS_WAITING;
	reply = tls->home->env->cb->ask(tls->home->owner, &q, &no);
	tls->shake->final = reply == LP_REPLY_NOW;
	if (reply != LP_REPLY_NEVER) {
		tls->home->env->waiting++;
		if (reply != LP_REPLY_LATER)
			lp_tls_answer(tls, q.now, LP_MASTER_SIZE, NULL);
	} else {
		tls->state = LP_TLS_RUNNING;
		if (lp_tls_refilled(tls) || lp_tls_conflict(tls) ||
		    (no.reason == LP_REASON_HANDSHAKE_LOST_EMS && tls->shake->hole))
			again = lp_tls_refill(tls);
		if (again)
			;
		else if (lp_tls_refilled(tls) && tls->shake->hole)
			lp_tls_fail_hole(tls);
		else if (tls->shake->attempt)
			disproved(tls);
		else if (no.reason == LP_REASON_HANDSHAKE_LOST_EMS && tls->shake->hole)
			lp_tls_fail_hole(tls);
		else
			closed(tls, no.reason, no.detail);
	}
	lp_secret_free(q.now, LP_MASTER_SIZE);
	if (again)
		begin_questions(tls);
}

/* The handshake as it is now has been asked for nothing yet. */
static void begin_questions(struct lp_tls *tls)
{
	tls->shake->extended = tls->shake->hs->facts.ems > 0;
	tls->shake->toggled = false;
	tls->shake->attempt = 0;
	question(tls, true);
}

void lp_tls_ask(struct lp_tls *tls)
{
	const struct lp_handshake *hs = tls->shake->hs;
	char detail[LP_RESULT_TEXT];

	if (!hs->suite) {
		snprintf(detail, sizeof detail, "the server chose cipher suite 0x%04X, which is not "
			 "in the registry that limpid knows", hs->facts.suite);
		closed(tls, LP_REASON_SUITE_UNSUPPORTED, detail);
		return;
	}
	begin_questions(tls);
}

void lp_tls_ask_ahead(struct lp_tls *tls)
{
	const struct lp_handshake *hs = tls->shake->hs;

	if (!hs || tls->state != LP_TLS_RUNNING || lp_tls_next_ready(tls, LP_C2S) ||
	    (!hs->exchange_done && hs->facts.resumed <= LP_RESUMED_NO))
		return;
	for (int dir = 0; dir < 2; dir++)
		if (!hs->sealed[dir] && !lp_tls_seek_ahead(tls, (enum lp_dir)dir))
			return;
	lp_tls_ask(tls);
}

/* The keys of the last answer did not open the record: what is left to try? */
static void next_candidate(struct lp_tls *tls)
{
	/* (What was filled in is proven by the extended derivation alone.) */
	bool other = !tls->shake->final && !lp_tls_refilled(tls) &&
		     (tls->shake->extended || tls->shake->hs->session_hash_size);

	forget_next(tls);
	forget_master(tls);
	if (!tls->shake->toggled && other) {
		tls->shake->toggled = true;
		tls->shake->extended = !tls->shake->extended;
	} else {
		tls->shake->toggled = false;
		tls->shake->extended = tls->shake->hs->facts.ems > 0;
		tls->shake->attempt++;
	}
	question(tls, false);
}

void lp_tls_disproved(struct lp_tls *tls)
{
	next_candidate(tls);
}

static bool derive(struct lp_tls *tls, const uint8_t *secret, size_t n)
{
	const struct lp_handshake *hs = tls->shake->hs;
	const struct lp_crypto_set *crypto = tls->home->env->crypto;
	const struct lp_suite *suite = hs->suite;
	const char *version = lp_version_text(hs->facts.version);
	char detail[LP_RESULT_TEXT];
	struct lp_protect_params params;
	enum lp_err err;

	if (suite->cipher >= LP_CIPHER_COUNT || !crypto->cipher[suite->cipher]) {
		snprintf(detail, sizeof detail, "%s: no cryptographic provider in use has its cipher",
			 suite->name);
		closed(tls, LP_REASON_CIPHER_UNAVAILABLE, detail);
		return false;
	}
	if (hs->facts.compression > COMPRESSION_DEFLATE) {
		snprintf(detail, sizeof detail, "%s with compression method %u", suite->name,
			 hs->facts.compression);
		closed(tls, LP_REASON_SUITE_UNSUPPORTED, detail);
		return false;
	}
	tls->shake->compressed_next = hs->facts.compression == COMPRESSION_DEFLATE;
	params = (struct lp_protect_params){
		.suite = suite,
		.cipher = crypto->cipher[suite->cipher],
		.base = crypto->base,
		.version = hs->facts.version,
		.epoch = (uint16_t)(tls->epochs + 1),
		.etm = hs->facts.etm > 0,
		.truncated_hmac = hs->facts.truncated_hmac,
		.kept = &tls->shake->master_mac,
	};
	forget_master(tls);
	err = n == LP_MASTER_SIZE ? lp_secret_set(&tls->shake->master, secret, n) : LP_E_FORMAT;
	if (!err && !tls->shake->next) {
		tls->shake->next = calloc(2, sizeof *tls->shake->next);
		err = tls->shake->next ? LP_OK : LP_E_NOMEM;
	}
	if (!err)
		err = lp_protect_derive(&tls->shake->next[LP_C2S], &tls->shake->next[LP_S2C],
					tls->home->env->contexts, &params, tls->shake->master.p,
					hs->client_random, hs->server_random);
	if (!err)
		return true;
	if (err == LP_E_NOMEM)
		lp_tls_nomem(tls);
	snprintf(detail, sizeof detail, "%s in %s: %s", suite->name, version, lp_err_text(err));
	closed(tls, LP_REASON_SUITE_UNSUPPORTED, detail);
	return false;
}

void lp_tls_prove(struct lp_tls *tls)
{
	char name[LP_SECRET_NAME] = "";
	struct lp_snapshot *s;

	tls->shake->next_proven = true;
	tls->proven = true;
	if (tls->shake->toggled)
		tls->notes |= LP_NOTE_EMS_MISMATCH;
	tls->epochs++;
	tls->home->env->cb->proven(tls->home->owner, tls->shake->hs, name, sizeof name);
	lp_piece_unref(tls->shake->secret);
	tls->shake->secret = lp_name_of(tls->home->env->common, name);
	if (!tls->shake->secret)
		lp_tls_nomem(tls);
	s = lp_tls_snapshot(tls);
	lp_snapshot_unref(tls->shake->ready);
	tls->shake->ready = s ? lp_snapshot_ref(s) : NULL;
	if (s)
		tls->home->env->cb->ready(tls->home->owner, s, &tls->home->when);
}

/* ---- records ---- */

static void record_closed(struct lp_tls *tls, enum lp_dir dir, struct lp_protect *p,
			  const struct lp_sealed *sealed, const char *why)
{
	lp_tls_closed(tls, dir, p, sealed);
	/* It was sent and it counted; only its bytes are not what was sent. */
	lp_protect_chain(p, sealed->fragment);
	tls->iv_unsure[dir] = lp_tls_chained(p) && p->etm;
	p->seq++;
	tls->strict = true;
	if (tls->reason != LP_REASON_NONE)
		return;
	if (tls->shake->hole) {
		lp_tls_because(tls, LP_REASON_GAP_NOT_RECOVERED, "%s", lp_tls_hole_detail(tls));
		return;
	}
	lp_tls_because(tls, LP_REASON_RECORD_BAD, "record %llu of the %s does not authenticate (%s)",
		       (unsigned long long)(p->seq - 1), lp_tls_who(dir), why ? why : "malformed");
}

static bool keep_trial(struct lp_tls *tls, enum lp_dir dir, const struct lp_sealed *sealed)
{
	struct lp_trial *t = malloc(sizeof *t + sealed->fragment.n);

	if (!t) {
		lp_tls_nomem(tls);
		lp_tls_fail(tls, LP_REASON_LIMIT, "out of memory");
		return false;
	}
	t->n = sealed->fragment.n;
	t->offset = tls->home->env->sealed_at;
	t->dir = dir;
	t->version = sealed->version;
	t->type = sealed->type;
	memcpy(t->bytes, sealed->fragment.p, t->n);
	tls->shake->trial = t;
	return true;
}

/* Nothing behind a record that is not to be had can be decompressed (RFC 3749 section 2):
 * the direction ends here. The other has a stream of its own. */
static void stream_broken(struct lp_tls *tls, enum lp_dir dir, enum lp_reason reason,
			  uint64_t seq, const char *why)
{
	char detail[LP_RESULT_TEXT];

	snprintf(detail, sizeof detail, "record %llu of the %s %s", (unsigned long long)seq,
		 dir == LP_C2S ? "client" : "server", why);
	if (tls->shake->hs && tls->shake->hs->sealed[dir] && !lp_handshake_done(tls->shake->hs)) {
		closed(tls, reason, detail); /* its Finished was in it */
		return;
	}
	tls->dead[dir] = true;
	if (tls->reason == LP_REASON_NONE)
		lp_tls_because(tls, reason, "%s", detail);
}

/* Takes the compression off record seq, whose n bytes stand in *room; the clear bytes
 * stand in another afterwards. False: that cannot be, and the direction has ended. */
static bool decompress(struct lp_tls *tls, enum lp_dir dir, bool next, uint64_t seq,
		       uint8_t **room, size_t *n)
{
	struct lp_hurt *hurt = lp_tls_hurt(tls);
	struct lp_inflate **z = next ? &tls->shake->inflate_next[dir] : &hurt->inflate[dir];
	uint8_t packed[LP_INFLATE_IN_MAX];
	size_t packed_n = *n;
	enum lp_err err;

	memcpy(packed, *room, packed_n);
	*room = tls->home->env->cb->room(tls->home->owner, LP_INFLATE_ROOM);
	err = !*room || !hurt ? LP_E_NOMEM : *z ? LP_OK : lp_inflate_new(z);
	if (!err)
		err = lp_inflate_record(*z, seq, lp_span_of(packed, packed_n), *room, n);
	lp_wipe(packed, packed_n);
	if (err == LP_E_NOMEM)
		lp_tls_nomem(tls);
	if (err == LP_E_LIMIT)
		stream_broken(tls, dir, LP_REASON_LIMIT, seq,
			      "holds more than 16384 bytes when it is decompressed");
	else if (err == LP_E_ORDER)
		stream_broken(tls, dir, LP_REASON_GAP_NOT_RECOVERED, seq,
			      "is compressed, and one before it is missing");
	else if (err)
		stream_broken(tls, dir, LP_REASON_RECORD_BAD, seq,
			      "is authentic and cannot be decompressed");
	return !err;
}

/* Whether the record goes on as one whose header is in doubt. */
static bool in_doubt(struct lp_tls *tls, enum lp_dir dir, const struct lp_sealed *sealed)
{
	const uint8_t header[LP_RECORD_HEADER] = {
		sealed->type,
		(uint8_t)(sealed->version >> 8),
		(uint8_t)sealed->version,
		(uint8_t)(sealed->fragment.n >> 8),
		(uint8_t)sealed->fragment.n,
	};
	const lp_span h = lp_span_of(header, sizeof header);
	const struct lp_doubt d = { .offset = tls->home->env->sealed_at, .header = h,
				    .gathered = { h, sealed->fragment } };

	return tls->hurt->other[dir] && lp_tls_doubt(tls, dir, &d);
}

static void not_authentic(struct lp_tls *tls, enum lp_dir dir, struct lp_protect *p,
			  const struct lp_sealed *sealed, const char *why)
{
	if (in_doubt(tls, dir, sealed))
		return;
	if (!is_next(tls, dir, p) || tls->shake->next_proven) {
		bool compressed = !is_next(tls, dir, p) ? tls->compressed : tls->shake->compressed_next;

		record_closed(tls, dir, p, sealed, why);
		if (compressed)
			stream_broken(tls, dir, LP_REASON_RECORD_BAD, p->seq - 1,
				      "does not authenticate");
		return;
	}
	if (keep_trial(tls, dir, sealed))
		next_candidate(tls);
}

static void opened(struct lp_tls *tls, enum lp_dir dir, struct lp_protect *p, lp_span fragment)
{
	if (is_next(tls, dir, p) && !tls->shake->next_proven)
		lp_tls_prove(tls);
	lp_tls_opened(tls, dir, p, fragment);
}

/* The record once more, with the other copy of bytes that came twice and differed. err is
 * what became of it as it stands. */
static enum lp_err open_other(struct lp_tls *tls, enum lp_dir dir, struct lp_protect *p,
			      const struct lp_sealed *sealed, uint8_t *room, size_t *n,
			      enum lp_err err)
{
	uint8_t *copy = lp_tls_other_copy(tls, dir, sealed->fragment,
					  tls->home->env->sealed_at + LP_RECORD_HEADER);
	struct lp_sealed other = *sealed;
	const char *why;

	if (!copy)
		return err;
	other.fragment.p = copy;
	err = lp_protect_open(p, p->epoch, p->seq, &other, room, other.fragment.n, n, &why);
	if (!err)
		opened(tls, dir, p, other.fragment);
	free(copy);
	return err;
}

/* --verify first: this record may go without. */
static bool is_trusted(const struct lp_tls *tls, const struct lp_protect *p, bool next,
		       const struct lp_sealed *sealed)
{
	const struct lp_evidence *e = &tls->home->evidence;

	return tls->home->env->verify_first && !tls->strict && sealed->type == LP_CONTENT_DATA &&
	       p->seq >= LP_VERIFY_FIRST && (!next || tls->shake->next_proven) &&
	       !(next ? tls->shake->compressed_next : tls->compressed) && lp_protect_has_mac(p) &&
	       !(e && e->conflict &&
		 (!e->conflict_at || lp_when_compare(&tls->home->when, e->conflict_at) >= 0));
}

/* What seems to come behind the record at hand. A function of its own: it needs a thousand bytes of
 * stack, and few records need it. */
static __attribute__((noinline)) void look_ahead(struct lp_tls *tls, enum lp_dir dir, struct lp_protect *p)
{
	const struct lp_tls_home *home = tls->home;
	const struct lp_records *r = &tls->records[dir];
	lp_span next[1 + COMING];
	size_t n = 1;

	next[0] = lp_records_unread(r);
	n += home->env->cb->coming(home->owner, dir, lp_records_offset(r) + next[0].n, next + 1,
				   COMING);
	lp_protect_next(p, next, n);
}

static void open_sealed(struct lp_tls *tls, enum lp_dir dir, const struct lp_sealed *sealed)
{
	bool next = tls->shake->hs && tls->shake->hs->sealed[dir];
	struct lp_protect *p = lp_tls_protect(tls, dir);
	size_t wire = LP_RECORD_HEADER + sealed->fragment.n;
	uint8_t *room;
	const char *why = NULL;
	size_t n = 0;
	bool trusted;
	enum lp_err err;

	if (!p || !lp_protect_ready(p)) {
		lp_tls_account(tls, dir, LP_IN_OPAQUE, wire);
		lp_tls_fail(tls, LP_REASON_MALFORMED, "a protected record came before its keys");
		return;
	}
	room = tls->home->env->cb->room(tls->home->owner, sealed->fragment.n + 1);
	if (!room) {
		lp_tls_nomem(tls);
		lp_tls_account(tls, dir, LP_IN_OPAQUE, wire);
		lp_tls_fail(tls, LP_REASON_LIMIT, "out of memory");
		return;
	}
	trusted = is_trusted(tls, p, next, sealed);
	if (trusted) {
		err = lp_protect_open_unchecked(p, sealed, room, sealed->fragment.n, &n, &why);
	} else {
		/* With the record behind this one, if its bytes are there: their MACs are made together. */
		if (sealed->type == LP_CONTENT_DATA && tls->home->env->cb->coming &&
		    lp_protect_looks_ahead(p, sealed->fragment.n))
			look_ahead(tls, dir, p);
		err = lp_protect_open(p, p->epoch, p->seq, sealed, room, sealed->fragment.n, &n,
				      &why);
	}
	if (trusted && !err) {
		tls->unchecked = true;
		tls->home->env->unchecked++;
	}
	if (err && tls->hurt->other[dir])
		err = open_other(tls, dir, p, sealed, room, &n, err);
	else if (!err)
		opened(tls, dir, p, sealed->fragment);
	if (err == LP_E_NOMEM)
		lp_tls_nomem(tls);
	if (err) {
		not_authentic(tls, dir, p, sealed, why);
		return;
	}
	if (tls->iv_unsure[dir]) {
		/* Authentic, but its IV was in a record that was not. */
		tls->iv_unsure[dir] = false;
		lp_tls_closed(tls, dir, p, sealed);
		return;
	}
	if ((next ? tls->shake->compressed_next : tls->compressed) &&
	    !decompress(tls, dir, next, p->seq - 1, &room, &n)) {
		lp_tls_account(tls, dir, LP_IN_OPAQUE, wire);
		return;
	}
	lp_tls_content(tls, dir, sealed->type, room, n, wire);
}

void lp_tls_open(struct lp_tls *tls, enum lp_dir dir, const struct lp_record *r)
{
	const struct lp_sealed sealed = { r->type, r->version, r->fragment };

	tls->home->env->sealed_at = r->offset;
	open_sealed(tls, dir, &sealed);
}

void lp_tls_answer(struct lp_tls *tls, const uint8_t *secret, size_t n,
		   const struct lp_no_secret *no)
{
	struct lp_trial *t = tls->shake->trial;
	struct lp_sealed sealed;
	bool tried = false;

	tls->home->env->waiting--;
	tls->state = LP_TLS_RUNNING;
	if (t)
		tls->shake->trial = NULL;
	if (!secret) {
		closed(tls, no->reason, no->detail);
	} else if (derive(tls, secret, n) && t) {
		tried = true;
		tls->home->env->sealed_at = t->offset;
		sealed = (struct lp_sealed){ t->type, t->version, lp_span_of(t->bytes, t->n) };
		open_sealed(tls, t->dir, &sealed);
	}
	if (t && !tried)
		lp_tls_account(tls, t->dir, LP_IN_OPAQUE, LP_RECORD_HEADER + t->n);
	free(t);
}

void lp_tls_again(struct lp_tls *tls)
{
	tls->home->env->waiting--;
	tls->state = LP_TLS_RUNNING;
	question(tls, false);
}

/* ---- Finished ---- */

static enum lp_err expected_finished(struct lp_tls *tls, enum lp_dir dir, uint8_t *out,
				     size_t *n)
{
	const struct lp_handshake *hs = tls->shake->hs;
	const struct lp_finished *f = &hs->finished[dir];
	const struct lp_kdf kdf = { tls->home->env->crypto->base, hs->facts.version,
				    (enum lp_digest)hs->suite->prf, &tls->shake->master_mac };
	lp_span messages = lp_transcript_raw(&hs->transcript);

	if (!f->upto) {
		*n = LP_VERIFY_DATA_SIZE;
		return lp_kdf_verify_data(&kdf, tls->shake->master.p, dir == LP_C2S,
					  lp_span_of(f->hash, f->hash_size), out);
	}
	if (f->upto > messages.n)
		return LP_E_ARG;
	messages.n = f->upto;
	*n = LP_SSL3_FINISHED_SIZE;
	return lp_kdf_ssl3_finished(&kdf, tls->shake->master.p, dir == LP_C2S, messages, out);
}

void lp_tls_check_finished(struct lp_tls *tls, enum lp_dir dir)
{
	const struct lp_finished *f = &tls->shake->hs->finished[dir];
	uint8_t expected[LP_SSL3_FINISHED_SIZE];
	size_t n;

	if (!f->seen)
		return;
	if (!f->comparable || !tls->shake->master.n)
		tls->notes |= LP_NOTE_FINISHED_UNCHECKED;
	else if (expected_finished(tls, dir, expected, &n) != LP_OK)
		tls->notes |= LP_NOTE_FINISHED_UNCHECKED;
	else if (f->size != n || !lp_equal_ct(expected, f->verify_data, n))
		tls->notes |= LP_NOTE_TRANSCRIPT_DIFFERS;
	lp_wipe(expected, sizeof expected);
}

static void take_inflate(struct lp_tls *tls, int dir)
{
	struct lp_inflate *next = tls->shake->inflate_next[dir];

	tls->shake->inflate_next[dir] = NULL;
	if (tls->hurt->inflate[dir] || (next && lp_tls_hurt(tls))) {
		lp_inflate_free(tls->hurt->inflate[dir]);
		tls->hurt->inflate[dir] = next;
	} else {
		lp_inflate_free(next);
	}
}

void lp_tls_complete(struct lp_tls *tls)
{
	if (tls->shake->master.n)
		tls->home->env->cb->keep(tls->home->owner, tls->shake->hs, tls->shake->master.p,
					 &tls->home->when);
	lp_tls_refill_keep(tls);
	lp_tls_refill_free(tls);
	for (int dir = 0; dir < 2; dir++) {
		lp_protect_clear(&tls->now[dir]);
		tls->now[dir] = (struct lp_protect){ 0 };
		if (tls->shake->next)
			tls->now[dir] = tls->shake->next[dir];
		take_inflate(tls, dir);
	}
	free(tls->shake->next); /* moved */
	tls->shake->next = NULL;
	tls->compressed = tls->shake->compressed_next;
	tls->shake->compressed_next = false;
	forget_master(tls);
	tls->shake->next_proven = true;
	tls->completed++;
	lp_tls_remember(tls);
	tls->version = tls->shake->hs->facts.version;
	tls->heartbeat = tls->shake->hs->facts.heartbeat;
	lp_handshake_free(tls->shake->hs);
	tls->shake->hs = NULL;
	tls->shake->next_proven = false;
	tls->shake->hole = false; /* it did no harm */
	free(tls->shake->hole_detail);
	tls->shake->hole_detail = NULL;
	tls->shake->no_more = tls->shake->no_keys = false;
	tls->shake->unsure[0] = tls->shake->unsure[1] = false;
	lp_piece_unref(tls->shake->secret); /* known has it */
	tls->shake->secret = NULL;
	lp_snapshot_unref(tls->shake->ready);
	tls->shake->ready = NULL;
}
