#define _GNU_SOURCE
#include <stdlib.h>
#include <string.h>

#include "crypto/ec.h"
#include "crypto/kdf.h"
#include "warden/message.h"
#include "warden/service_parts.h"

/* Secret memory. */
struct lp_scratch {
	uint8_t block[LP_WARDEN_INPUT]; /* the decrypted, padded block */
	uint8_t substitute[LP_PREMASTER_SIZE];
	uint8_t premaster[LP_PREMASTER_SIZE];
	uint8_t combined[LP_PREMASTER_PSK_ROOM]; /* that of a PSK suite, or an ECDH secret */
	struct lp_ticket_session session;
	struct lp_answer answer;
	uint8_t datagram[LP_MESSAGE_ANSWERS_ROOM]; /* answers that were not sent yet */
	size_t n;
};

struct lp_context {
	struct lp_rsa *rsa;
	uint64_t used;
};

enum lp_err lp_solver_init(struct lp_solver *v, struct lp_service *s, unsigned number)
{
	v->s = s;
	v->number = number;
	v->scratch = lp_secret_alloc(sizeof *v->scratch);
	v->contexts = calloc(LP_KEYRING_MAX, sizeof *v->contexts);
	v->ticket = s->config.tickets ? lp_secret_alloc(LP_WARDEN_TICKET) : NULL;
	if (v->scratch && v->contexts && (v->ticket || !s->config.tickets))
		return LP_OK;
	lp_solver_clear(v);
	return LP_E_NOMEM;
}

void lp_solver_clear(struct lp_solver *v)
{
	for (size_t i = 0; v->contexts && i < v->s->config.ring->n; i++)
		v->s->config.crypto->rsa->rsa_free(v->contexts[i].rsa);
	free(v->contexts);
	lp_secret_free(v->scratch, sizeof *v->scratch);
	lp_secret_free(v->ticket, LP_WARDEN_TICKET);
}

void lp_solver_send(struct lp_solver *v)
{
	struct lp_scratch *x = v->scratch;

	if (!v->answers)
		return;
	lp_post_answer(v->s->post, v->line, v->answers, lp_span_of(x->datagram, x->n));
	lp_wipe(x->datagram, x->n);
	x->n = 0;
	v->answers = 0;
}

/* Sends the answer in scratch, at once or, while many are asked for, with others of that line, and
 * wipes it. Takes the job. */
static void reply(struct lp_solver *v, struct lp_job *job)
{
	struct lp_scratch *x = v->scratch;

	if (v->line != job->line)
		lp_solver_send(v);
	x->n = v->answers ? lp_message_add_answer(x->datagram, x->n, sizeof x->datagram, &x->answer)
			  : lp_message_write_answer(x->datagram, sizeof x->datagram, &x->answer);
	v->line = job->line;
	v->answers++;
	free(job);
	lp_wipe(&x->answer, sizeof x->answer);
	if (!v->more || v->answers == LP_MESSAGE_ANSWERS)
		lp_solver_send(v);
}

static void refuse(struct lp_solver *v, struct lp_job *job, enum lp_answer_code code)
{
	v->scratch->answer = (struct lp_answer){ .id = job->ask.id, .code = code };
	reply(v, job);
}

/* Only a fault of the machine says BUSY: what the input holds is never told. */
static enum lp_answer_code code_of(enum lp_err err)
{
	return err == LP_E_NOMEM ? LP_ANSWER_BUSY : LP_ANSWER_NO_KEY;
}

/* Derives the master secret from a premaster secret, wherever in scratch it lies, and
 * answers. */
static void derive(struct lp_solver *v, struct lp_job *job, lp_span premaster)
{
	const struct lp_ask *ask = &job->ask;
	struct lp_answer *a = &v->scratch->answer;
	const struct lp_kdf kdf = { v->s->config.crypto->base, ask->version,
				    (enum lp_digest)ask->prf, NULL };
	enum lp_err err;

	err = lp_kdf_master(&kdf, premaster, ask->extended,
			    lp_span_of(ask->seed, ask->seed_len), a->secret);
	if (err) {
		lp_wipe(a->secret, sizeof a->secret);
		refuse(v, job, code_of(err));
		return;
	}
	a->id = ask->id;
	a->code = LP_ANSWER_DONE;
	a->secret_len = LP_MASTER_SIZE;
	reply(v, job);
}

/* The key that a question names, if it is of the right kind. */
static const struct lp_key *key_of(const struct lp_solver *v, uint32_t id, enum lp_key_kind kind)
{
	const struct lp_keyring_key *k = lp_keyring_key(v->s->config.ring, id, kind);

	return k ? &k->key : NULL;
}

/* Goes on from other_secret and the pre-shared key that the question names. */
static void derive_psk(struct lp_solver *v, struct lp_job *job, lp_span other)
{
	const struct lp_key *psk = key_of(v, job->ask.psk, LP_KEY_PSK);
	uint8_t *combined = v->scratch->combined;
	size_t n = psk ? lp_premaster_psk(other, lp_secret_span(&psk->der), combined) : 0;

	if (n)
		derive(v, job, lp_span_of(combined, n));
	else
		refuse(v, job, LP_ANSWER_NO_KEY);
	lp_wipe(combined, n);
}

/* RFC 8422 section 5.10: the x coordinate, whose leading zeros count. */
static void answer_ecdh(struct lp_solver *v, struct lp_job *job)
{
	const struct lp_key *key = key_of(v, job->ask.key, LP_KEY_EC);
	uint8_t *secret = v->scratch->combined;
	size_t n = 0;
	enum lp_err err = LP_E_NOENT;

	if (key)
		err = lp_ec_agree(lp_secret_span(&key->der),
				  lp_span_of(job->ask.input, job->ask.input_len), secret, &n);
	if (err)
		refuse(v, job, code_of(err));
	else
		derive(v, job, lp_span_of(secret, n));
	lp_wipe(secret, LP_EC_SIZE_MAX);
}

static void close_context(struct lp_solver *v, struct lp_context *c)
{
	v->s->config.crypto->rsa->rsa_free(c->rsa);
	c->rsa = NULL;
	v->open--;
}

void lp_solver_forget(struct lp_solver *v, uint32_t key)
{
	if (v->contexts[key].rsa)
		close_context(v, &v->contexts[key]);
}

static void close_oldest(struct lp_solver *v)
{
	struct lp_context *oldest = NULL;

	for (size_t i = 0; i < v->s->config.ring->n; i++) {
		struct lp_context *c = &v->contexts[i];

		if (c->rsa && (!oldest || c->used < oldest->used))
			oldest = c;
	}
	close_context(v, oldest);
}

static enum lp_err context_of(struct lp_solver *v, uint32_t key, struct lp_rsa **out)
{
	const struct lp_keyring *ring = v->s->config.ring;
	struct lp_context *c = &v->contexts[key];
	enum lp_err err;

	if (!c->rsa) {
		if (v->open == LP_SERVICE_CONTEXTS)
			close_oldest(v);
		err = v->s->config.crypto->rsa->rsa_new(
			lp_secret_span(&ring->keys[key].key.der), &c->rsa);
		if (err)
			return err;
		v->open++;
	}
	c->used = ++v->uses;
	*out = c->rsa;
	return LP_OK;
}

/* ask->input to scratch->premaster. An error is one of the machine. */
static enum lp_err decrypt(struct lp_solver *v, const struct lp_ask *ask)
{
	const struct lp_keyring_key *k = &v->s->config.ring->keys[ask->key];
	const lp_span input = lp_span_of(ask->input, ask->input_len);
	struct lp_scratch *x = v->scratch;
	size_t n = (k->key.bits + 7) / 8;
	struct lp_rsa *rsa;
	enum lp_err err;

	err = lp_premaster_substitute(v->s->config.crypto->base, k->substitute_seed.p,
				      k->key.spki_sha256, input, x->substitute);
	if (err)
		goto out;
	if (input.n != n) {
		memcpy(x->premaster, x->substitute, sizeof x->premaster);
		goto out;
	}
	err = context_of(v, ask->key, &rsa);
	if (err)
		goto out;
	err = v->s->config.crypto->rsa->rsa_private(rsa, input.p, x->block);
	if (err == LP_E_NOMEM)
		goto out;
	if (err) /* such as an input above the modulus: as badly padded as can be */
		memset(x->block, 0, n);
	err = LP_OK;
	lp_premaster_unpad(x->block, n, x->substitute, x->premaster);
out:
	lp_wipe(x->block, sizeof x->block);
	lp_wipe(x->substitute, sizeof x->substitute);
	return err;
}

/* Ends the work on an entry; returns who waits for it. */
static struct lp_job *settle(struct lp_service *s, struct lp_recent_entry *e, const uint8_t *premaster,
			  enum lp_err err)
{
	struct lp_job *waiting;

	pthread_mutex_lock(&s->lock);
	waiting = e->waiting;
	if (err)
		lp_recent_drop(s->recent, e);
	else
		lp_recent_ready(s->recent, e, premaster, lp_clock_mono());
	/* The clock knows of an earlier end, or it waits for one. */
	if (s->no_end)
		pthread_cond_signal(&s->tick);
	pthread_mutex_unlock(&s->lock);
	return waiting;
}

/* Looks for the premaster secret among the recent ones. True: it lies in scratch,
 * or (*e) is ours to work on, or NULL as the table is full of work. False: the job
 * now waits for somebody else's work. */
static bool look_up(struct lp_solver *v, struct lp_job *job, const uint8_t hash[32],
		    struct lp_recent_entry **e, bool *ready)
{
	struct lp_service *s = v->s;
	bool go_on = true;

	*ready = false;
	pthread_mutex_lock(&s->lock);
	*e = lp_recent_find(s->recent, job->ask.key, hash);
	if (!*e) {
		*e = lp_recent_add(s->recent, job->ask.key, hash);
	} else if ((*e)->ready) {
		memcpy(v->scratch->premaster, (*e)->premaster, LP_PREMASTER_SIZE);
		*ready = true;
	} else {
		job->next = (*e)->waiting;
		(*e)->waiting = job;
		go_on = false;
	}
	pthread_mutex_unlock(&s->lock);
	return go_on;
}

static void answer_rsa(struct lp_solver *v, struct lp_job *job)
{
	struct lp_service *s = v->s;
	const lp_span premaster = lp_span_of(v->scratch->premaster, LP_PREMASTER_SIZE);
	const lp_span input = lp_span_of(job->ask.input, job->ask.input_len);
	struct lp_recent_entry *e;
	struct lp_job *waiting = NULL;
	uint8_t hash[32];
	bool ready;
	enum lp_err err;

	if (!key_of(v, job->ask.key, LP_KEY_RSA)) {
		refuse(v, job, LP_ANSWER_NO_KEY);
		return;
	}
	err = lp_digest_once(s->config.crypto->base, LP_SHA256, &input, 1, hash);
	if (err) {
		refuse(v, job, code_of(err));
		return;
	}
	if (!look_up(v, job, hash, &e, &ready))
		return;
	if (!ready) {
		err = decrypt(v, &job->ask);
		if (e)
			waiting = settle(s, e, v->scratch->premaster, err);
	}
	job->next = waiting;
	while (job) {
		struct lp_job *next = job->next;

		if (err)
			refuse(v, job, code_of(err));
		else if (job->ask.op == LP_ASK_RSA_PSK)
			derive_psk(v, job, premaster);
		else
			derive(v, job, premaster);
		job = next;
	}
	lp_wipe(v->scratch->premaster, sizeof v->scratch->premaster);
}

static void answer_ticket(struct lp_solver *v, struct lp_job *job)
{
	const struct lp_ask *ask = &job->ask;
	const struct lp_ticket_try t = { v->s->config.crypto, ask->ticket, ask->time_s, v->ticket };
	struct lp_answer *a = &v->scratch->answer;
	struct lp_ticket_session *s = &v->scratch->session;
	uint32_t file = 0;
	bool loose = false;
	enum lp_err err = LP_E_NOENT;

	if (v->ticket)
		err = lp_ticketring_open(v->s->config.tickets, v->number, &t, s,
					 &file, &loose);
	if (err) {
		refuse(v, job, code_of(err));
		return;
	}
	*a = (struct lp_answer){
		.id = ask->id, .code = LP_ANSWER_DONE, .secret_len = s->secret_len,
		.version = s->version, .suite = s->suite, .ems = s->ems, .loose = loose, .key = file,
	};
	memcpy(a->secret, s->secret, s->secret_len);
	lp_wipe(s, sizeof *s);
	reply(v, job);
}

void lp_solver_answer(struct lp_solver *v, struct lp_job *job)
{
	switch (job->ask.op) {
	case LP_ASK_RSA:
	case LP_ASK_RSA_PSK:
		answer_rsa(v, job);
		return;
	case LP_ASK_PSK:
		derive_psk(v, job, lp_span_of(job->ask.input, job->ask.input_len));
		return;
	case LP_ASK_ECDH:
		answer_ecdh(v, job);
		return;
	case LP_ASK_TICKET:
		answer_ticket(v, job);
		return;
	case LP_ASK_DH:
		break;
	}
	refuse(v, job, LP_ANSWER_NO_KEY);
}
