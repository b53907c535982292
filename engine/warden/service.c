#define _GNU_SOURCE
#include "warden/service.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include "crypto/ec.h"
#include "crypto/kdf.h"
#include "warden/message.h"
#include "warden/recent.h"

/* A question; next is the queue, or the list of those that wait for the same
 * premaster secret. */
struct job {
	struct job *next;
	struct lp_ask ask;
	uint8_t ticket[]; /* what ask.ticket points to */
};

/* An answer that is held back (delay_ms); secret memory. */
struct held {
	struct held *next;
	uint64_t due;
	size_t n;
	uint8_t datagram[LP_MESSAGE_ANSWER_ROOM];
};

/* All that a thread has in clear of a question; secret memory. */
struct scratch {
	uint8_t block[LP_WARDEN_INPUT]; /* the decrypted, padded block */
	uint8_t substitute[LP_PREMASTER_SIZE];
	uint8_t premaster[LP_PREMASTER_SIZE];
	uint8_t combined[LP_PREMASTER_PSK_ROOM]; /* that of a PSK suite, or an ECDH secret */
	struct lp_ticket_session session;
	struct lp_answer answer;
	uint8_t datagram[LP_MESSAGE_ANSWER_ROOM];
};

struct context {
	struct lp_rsa *rsa;
	uint64_t used;
};

struct worker {
	struct lp_service *s;
	pthread_t thread;
	struct scratch *scratch;
	uint8_t *ticket;          /* room for one that is opened, secret memory; NULL without keys */
	struct context *contexts; /* one for each key, made when first asked for */
	size_t open;
	uint64_t uses;
};

struct lp_service {
	struct lp_service_config config;
	pthread_mutex_t lock;  /* guards all below but the workers' own */
	pthread_cond_t work;   /* a job came, or stop */
	pthread_cond_t tick;   /* the clock thread has something to wait for, or stop */
	struct job *first, **last;
	size_t unanswered;
	struct lp_recent *recent;
	struct held *held, **held_last;
	bool stop;
	pthread_t clock;
	bool clock_runs;
	struct worker *workers;
	size_t workers_n;
};

static void send_datagram(struct lp_service *s, const uint8_t *p, size_t n)
{
	ssize_t sent;

	/* Waits while the engine does not read. */
	do
		sent = send(s->config.fd, p, n, MSG_NOSIGNAL);
	while (sent < 0 && errno == EINTR);
	/* An answer that is lost would be waited for until the end of days: better that
	 * both ends know. */
	if (sent != (ssize_t)n)
		(void)shutdown(s->config.fd, SHUT_RDWR);
}

/* Puts a datagram aside until its time; false if there is no memory for that. */
static bool hold(struct lp_service *s, const uint8_t *p, size_t n)
{
	struct held *h = lp_secret_alloc(sizeof *h);

	if (!h)
		return false;
	memcpy(h->datagram, p, n);
	h->n = n;
	h->next = NULL;
	h->due = lp_clock_mono() + s->config.delay_ms * LP_NS_PER_MS;
	pthread_mutex_lock(&s->lock);
	*s->held_last = h;
	s->held_last = &h->next;
	pthread_cond_signal(&s->tick);
	pthread_mutex_unlock(&s->lock);
	return true;
}

/* Called with the lock held. A question is out of the count before its answer
 * leaves, or the engine's next one could come too early for us. */
static void count_answer(struct lp_service *s)
{
	assert(s->unanswered);
	s->unanswered--;
}

/* Sends x->answer and wipes it. */
static void reply(struct worker *w)
{
	struct lp_service *s = w->s;
	struct scratch *x = w->scratch;
	size_t n = lp_message_write_answer(x->datagram, sizeof x->datagram, &x->answer);

	if (!s->config.delay_ms || !hold(s, x->datagram, n)) {
		pthread_mutex_lock(&s->lock);
		count_answer(s);
		pthread_mutex_unlock(&s->lock);
		send_datagram(s, x->datagram, n);
	}
	lp_wipe(x->datagram, sizeof x->datagram);
	lp_wipe(&x->answer, sizeof x->answer);
}

static void refuse(struct worker *w, struct job *job, enum lp_answer_code code)
{
	w->scratch->answer = (struct lp_answer){ .id = job->ask.id, .code = code };
	free(job);
	reply(w);
}

/* Only a fault of the machine says BUSY: what the input holds is never told. */
static enum lp_answer_code code_of(enum lp_err err)
{
	return err == LP_E_NOMEM ? LP_ANSWER_BUSY : LP_ANSWER_NO_KEY;
}

/* Derives the master secret from a premaster secret, wherever in scratch it lies, and
 * answers. */
static void derive(struct worker *w, struct job *job, lp_span premaster)
{
	const struct lp_ask *ask = &job->ask;
	struct lp_answer *a = &w->scratch->answer;
	const struct lp_kdf kdf = { w->s->config.crypto->base, ask->version,
				    (enum lp_digest)ask->prf, NULL };
	enum lp_err err;

	err = lp_kdf_master(&kdf, premaster, ask->extended,
			    lp_span_of(ask->seed, ask->seed_len), a->secret);
	if (err) {
		lp_wipe(a->secret, sizeof a->secret);
		refuse(w, job, code_of(err));
		return;
	}
	a->id = ask->id;
	a->code = LP_ANSWER_DONE;
	a->secret_len = LP_MASTER_SIZE;
	free(job);
	reply(w);
}

/* The key that a question names, if it is of the right kind. */
static const struct lp_key *key_of(const struct worker *w, uint32_t id, enum lp_key_kind kind)
{
	const struct lp_keyring_key *k = lp_keyring_key(w->s->config.ring, id, kind);

	return k ? &k->key : NULL;
}

/* Goes on from other_secret and the pre-shared key that the question names. */
static void derive_psk(struct worker *w, struct job *job, lp_span other)
{
	const struct lp_key *psk = key_of(w, job->ask.psk, LP_KEY_PSK);
	uint8_t *combined = w->scratch->combined;
	size_t n = psk ? lp_premaster_psk(other, lp_secret_span(&psk->der), combined) : 0;

	if (n)
		derive(w, job, lp_span_of(combined, n));
	else
		refuse(w, job, LP_ANSWER_NO_KEY);
	lp_wipe(combined, n);
}

/* RFC 8422 section 5.10: the x coordinate, whose leading zeros count. */
static void answer_ecdh(struct worker *w, struct job *job)
{
	const struct lp_key *key = key_of(w, job->ask.key, LP_KEY_EC);
	uint8_t *secret = w->scratch->combined;
	size_t n = 0;
	enum lp_err err = LP_E_NOENT;

	if (key)
		err = lp_ec_agree(lp_secret_span(&key->der),
				  lp_span_of(job->ask.input, job->ask.input_len), secret, &n);
	if (err)
		refuse(w, job, code_of(err));
	else
		derive(w, job, lp_span_of(secret, n));
	lp_wipe(secret, LP_EC_SIZE_MAX);
}

static void close_context(struct worker *w, struct context *c)
{
	w->s->config.crypto->rsa->rsa_free(c->rsa);
	c->rsa = NULL;
	w->open--;
}

void lp_service_forget(void *who, uint32_t key)
{
	struct lp_service *s = who;

	for (size_t i = 0; i < s->workers_n; i++)
		if (s->workers[i].contexts[key].rsa)
			close_context(&s->workers[i], &s->workers[i].contexts[key]);
}

static void close_oldest(struct worker *w)
{
	struct context *oldest = NULL;

	for (size_t i = 0; i < w->s->config.ring->n; i++) {
		struct context *c = &w->contexts[i];

		if (c->rsa && (!oldest || c->used < oldest->used))
			oldest = c;
	}
	close_context(w, oldest);
}

static enum lp_err context_of(struct worker *w, uint32_t key, struct lp_rsa **out)
{
	const struct lp_keyring *ring = w->s->config.ring;
	struct context *c = &w->contexts[key];
	enum lp_err err;

	if (!c->rsa) {
		if (w->open == LP_SERVICE_CONTEXTS)
			close_oldest(w);
		err = w->s->config.crypto->rsa->rsa_new(
			lp_secret_span(&ring->keys[key].key.der), &c->rsa);
		if (err)
			return err;
		w->open++;
	}
	c->used = ++w->uses;
	*out = c->rsa;
	return LP_OK;
}

/* ask->input to scratch->premaster. An error is one of the machine. */
static enum lp_err decrypt(struct worker *w, const struct lp_ask *ask)
{
	const struct lp_keyring_key *k = &w->s->config.ring->keys[ask->key];
	const lp_span input = lp_span_of(ask->input, ask->input_len);
	struct scratch *x = w->scratch;
	size_t n = (k->key.bits + 7) / 8;
	struct lp_rsa *rsa;
	enum lp_err err;

	err = lp_premaster_substitute(w->s->config.crypto->base, k->substitute_seed.p,
				      k->key.spki_sha256, input, x->substitute);
	if (err)
		goto out;
	if (input.n != n) {
		memcpy(x->premaster, x->substitute, sizeof x->premaster);
		goto out;
	}
	err = context_of(w, ask->key, &rsa);
	if (err)
		goto out;
	err = w->s->config.crypto->rsa->rsa_private(rsa, input.p, x->block);
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
static struct job *settle(struct lp_service *s, struct lp_recent_entry *e, const uint8_t *premaster,
			  enum lp_err err)
{
	struct job *waiting;

	pthread_mutex_lock(&s->lock);
	waiting = e->waiting;
	if (err)
		lp_recent_drop(s->recent, e);
	else
		lp_recent_ready(s->recent, e, premaster, lp_clock_mono());
	pthread_cond_signal(&s->tick);
	pthread_mutex_unlock(&s->lock);
	return waiting;
}

/* Looks for the premaster secret among the recent ones. True: it lies in scratch,
 * or (*e) is ours to work on, or NULL as the table is full of work. False: the job
 * now waits for somebody else's work. */
static bool look_up(struct worker *w, struct job *job, const uint8_t hash[32],
		    struct lp_recent_entry **e, bool *ready)
{
	struct lp_service *s = w->s;
	bool go_on = true;

	*ready = false;
	pthread_mutex_lock(&s->lock);
	*e = lp_recent_find(s->recent, job->ask.key, hash);
	if (!*e) {
		*e = lp_recent_add(s->recent, job->ask.key, hash);
	} else if ((*e)->ready) {
		memcpy(w->scratch->premaster, (*e)->premaster, LP_PREMASTER_SIZE);
		*ready = true;
	} else {
		job->next = (*e)->waiting;
		(*e)->waiting = job;
		go_on = false;
	}
	pthread_mutex_unlock(&s->lock);
	return go_on;
}

static void answer_rsa(struct worker *w, struct job *job)
{
	struct lp_service *s = w->s;
	const lp_span premaster = lp_span_of(w->scratch->premaster, LP_PREMASTER_SIZE);
	const lp_span input = lp_span_of(job->ask.input, job->ask.input_len);
	struct lp_recent_entry *e;
	struct job *waiting = NULL;
	uint8_t hash[32];
	bool ready;
	enum lp_err err;

	if (!key_of(w, job->ask.key, LP_KEY_RSA)) {
		refuse(w, job, LP_ANSWER_NO_KEY);
		return;
	}
	err = lp_digest_once(s->config.crypto->base, LP_SHA256, &input, 1, hash);
	if (err) {
		refuse(w, job, code_of(err));
		return;
	}
	if (!look_up(w, job, hash, &e, &ready))
		return;
	if (!ready) {
		err = decrypt(w, &job->ask);
		if (e)
			waiting = settle(s, e, w->scratch->premaster, err);
	}
	job->next = waiting;
	while (job) {
		struct job *next = job->next;

		if (err)
			refuse(w, job, code_of(err));
		else if (job->ask.op == LP_ASK_RSA_PSK)
			derive_psk(w, job, premaster);
		else
			derive(w, job, premaster);
		job = next;
	}
	lp_wipe(w->scratch->premaster, sizeof w->scratch->premaster);
}

static void answer_ticket(struct worker *w, struct job *job)
{
	const struct lp_ask *ask = &job->ask;
	const struct lp_ticket_try t = { w->s->config.crypto, ask->ticket, ask->time_s, w->ticket };
	struct lp_answer *a = &w->scratch->answer;
	struct lp_ticket_session *s = &w->scratch->session;
	uint32_t file = 0;
	bool loose = false;
	enum lp_err err = LP_E_NOENT;

	if (w->ticket)
		err = lp_ticketring_open(w->s->config.tickets, (unsigned)(w - w->s->workers), &t, s,
					 &file, &loose);
	if (err) {
		refuse(w, job, code_of(err));
		return;
	}
	*a = (struct lp_answer){
		.id = ask->id, .code = LP_ANSWER_DONE, .secret_len = s->secret_len,
		.version = s->version, .suite = s->suite, .ems = s->ems, .loose = loose, .key = file,
	};
	memcpy(a->secret, s->secret, s->secret_len);
	lp_wipe(s, sizeof *s);
	free(job);
	reply(w);
}

static void answer(struct worker *w, struct job *job)
{
	switch (job->ask.op) {
	case LP_ASK_RSA:
	case LP_ASK_RSA_PSK:
		answer_rsa(w, job);
		return;
	case LP_ASK_PSK:
		derive_psk(w, job, lp_span_of(job->ask.input, job->ask.input_len));
		return;
	case LP_ASK_ECDH:
		answer_ecdh(w, job);
		return;
	case LP_ASK_TICKET:
		answer_ticket(w, job);
		return;
	case LP_ASK_DH:
		break;
	}
	refuse(w, job, LP_ANSWER_NO_KEY);
}

static void *work(void *arg)
{
	struct worker *w = arg;
	struct lp_service *s = w->s;
	struct job *job;

	for (;;) {
		pthread_mutex_lock(&s->lock);
		while (!s->stop && !s->first)
			pthread_cond_wait(&s->work, &s->lock);
		job = s->stop ? NULL : s->first;
		if (job) {
			s->first = job->next;
			if (!s->first)
				s->last = &s->first;
		}
		pthread_mutex_unlock(&s->lock);
		if (!job)
			return NULL;
		lp_keyring_enter(s->config.ring);
		answer(w, job);
		lp_keyring_leave(s->config.ring);
	}
}

/* Sends what was held back long enough. Called and returns with the lock held, which
 * it lets go of while sending. Returns when the next one is due, 0 if none is. */
static uint64_t send_due(struct lp_service *s, uint64_t now)
{
	struct held *h;

	while ((h = s->held) && h->due <= now && !s->stop) {
		s->held = h->next;
		if (!s->held)
			s->held_last = &s->held;
		count_answer(s);
		pthread_mutex_unlock(&s->lock);
		send_datagram(s, h->datagram, h->n);
		lp_secret_free(h, sizeof *h);
		pthread_mutex_lock(&s->lock);
	}
	return h ? h->due : 0;
}

static void *run_clock(void *arg)
{
	struct lp_service *s = arg;

	pthread_mutex_lock(&s->lock);
	while (!s->stop) {
		uint64_t now = lp_clock_mono();
		uint64_t due = send_due(s, now);
		uint64_t end = lp_recent_expire(s->recent, now);
		struct timespec ts;

		if (!end || (due && due < end))
			end = due;
		if (s->stop)
			break;
		if (!end) {
			pthread_cond_wait(&s->tick, &s->lock);
			continue;
		}
		ts.tv_sec = (time_t)(end / LP_NS_PER_S);
		ts.tv_nsec = (long)(end % LP_NS_PER_S);
		(void)pthread_cond_timedwait(&s->tick, &s->lock, &ts);
	}
	pthread_mutex_unlock(&s->lock);
	return NULL;
}

/* How many cores we may use. */
static unsigned cores(void)
{
	cpu_set_t set;
	int n = sched_getaffinity(0, sizeof set, &set) ? 1 : CPU_COUNT(&set);

	return n > 0 ? (unsigned)n : 1;
}

static enum lp_err start_thread(pthread_t *thread, void *(*run)(void *), void *arg)
{
	return pthread_create(thread, NULL, run, arg) ? LP_E_NOMEM : LP_OK;
}

static enum lp_err add_worker(struct lp_service *s)
{
	struct worker *w = &s->workers[s->workers_n];
	enum lp_err err = LP_E_NOMEM;

	w->s = s;
	w->scratch = lp_secret_alloc(sizeof *w->scratch);
	w->contexts = calloc(LP_KEYRING_MAX, sizeof *w->contexts);
	w->ticket = s->config.tickets ? lp_secret_alloc(LP_WARDEN_TICKET) : NULL;
	if (w->scratch && w->contexts && (w->ticket || !s->config.tickets))
		err = start_thread(&w->thread, work, w);
	if (err) {
		lp_secret_free(w->scratch, sizeof *w->scratch);
		lp_secret_free(w->ticket, LP_WARDEN_TICKET);
		free(w->contexts);
		return err;
	}
	s->workers_n++;
	return LP_OK;
}

static void init_locks(struct lp_service *s)
{
	pthread_condattr_t mono;

	pthread_condattr_init(&mono);
	pthread_condattr_setclock(&mono, CLOCK_MONOTONIC);
	pthread_mutex_init(&s->lock, NULL);
	pthread_cond_init(&s->work, NULL);
	pthread_cond_init(&s->tick, &mono);
	pthread_condattr_destroy(&mono);
}

unsigned lp_service_threads(unsigned wanted)
{
	unsigned threads = wanted ? wanted : cores();

	return threads < LP_SERVICE_THREADS_MAX ? threads : LP_SERVICE_THREADS_MAX;
}

enum lp_err lp_service_new(struct lp_service **out, const struct lp_service_config *config)
{
	struct lp_service *s = calloc(1, sizeof *s);
	unsigned threads = lp_service_threads(config->threads);
	enum lp_err err;

	*out = NULL;
	if (!s)
		return LP_E_NOMEM;
	s->config = *config;
	s->last = &s->first;
	s->held_last = &s->held;
	init_locks(s);
	s->workers = calloc(threads, sizeof *s->workers);
	err = s->workers ? lp_recent_new(&s->recent, LP_RECENT_SIZE) : LP_E_NOMEM;
	if (!err)
		err = start_thread(&s->clock, run_clock, s);
	s->clock_runs = !err;
	while (!err && s->workers_n < threads)
		err = add_worker(s);
	if (err) {
		lp_service_free(s);
		return err;
	}
	*out = s;
	return LP_OK;
}

void lp_service_ask(struct lp_service *s, const struct lp_ask *ask)
{
	struct job *job = malloc(sizeof *job + ask->ticket.n);
	const struct lp_answer busy = { .id = ask->id, .code = LP_ANSWER_BUSY };
	uint8_t datagram[LP_MESSAGE_ANSWER_ROOM];
	bool taken = false;

	pthread_mutex_lock(&s->lock);
	if (job && s->unanswered < LP_WARDEN_QUEUE) {
		job->next = NULL;
		job->ask = *ask;
		job->ask.ticket.p = job->ticket;
		if (ask->ticket.n)
			memcpy(job->ticket, ask->ticket.p, ask->ticket.n);
		*s->last = job;
		s->last = &job->next;
		s->unanswered++;
		taken = true;
		pthread_cond_signal(&s->work);
	}
	pthread_mutex_unlock(&s->lock);
	if (taken)
		return;
	free(job);
	send_datagram(s, datagram, lp_message_write_answer(datagram, sizeof datagram, &busy));
}

static void free_worker(struct worker *w)
{
	pthread_join(w->thread, NULL);
	for (size_t i = 0; i < w->s->config.ring->n; i++)
		w->s->config.crypto->rsa->rsa_free(w->contexts[i].rsa);
	free(w->contexts);
	lp_secret_free(w->scratch, sizeof *w->scratch);
	lp_secret_free(w->ticket, LP_WARDEN_TICKET);
}

void lp_service_free(struct lp_service *s)
{
	struct job *job;
	struct held *h;

	if (!s)
		return;
	pthread_mutex_lock(&s->lock);
	s->stop = true;
	pthread_cond_broadcast(&s->work);
	pthread_cond_signal(&s->tick);
	pthread_mutex_unlock(&s->lock);
	if (s->clock_runs)
		pthread_join(s->clock, NULL);
	for (size_t i = 0; i < s->workers_n; i++)
		free_worker(&s->workers[i]);
	while ((job = s->first)) {
		s->first = job->next;
		free(job);
	}
	while ((h = s->held)) {
		s->held = h->next;
		lp_secret_free(h, sizeof *h);
	}
	lp_recent_free(s->recent);
	free(s->workers);
	pthread_cond_destroy(&s->work);
	pthread_cond_destroy(&s->tick);
	pthread_mutex_destroy(&s->lock);
	free(s);
}
