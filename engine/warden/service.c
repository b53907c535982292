#define _GNU_SOURCE
#include "warden/service.h"

#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "warden/message.h"
#include "warden/service_parts.h"

enum {
	MANY = 64,   /* jobs for each thread: no need to look for more … */
	FEW = 16,    /* … until there are so few; above that their answers leave together */
	REST_MS = 20,
};

static void *work(void *arg)
{
	struct lp_solver *v = arg;
	struct lp_service *s = v->s;
	struct lp_job *job;

	for (;;) {
		pthread_mutex_lock(&s->lock);
		while (!s->stop && !s->first) {
			if (!v->answers) {
				pthread_cond_wait(&s->work, &s->lock);
				continue;
			}
			pthread_mutex_unlock(&s->lock);
			lp_solver_send(v);
			pthread_mutex_lock(&s->lock);
		}
		job = s->stop ? NULL : s->first;
		if (job) {
			s->first = job->next;
			if (!s->first)
				s->last = &s->first;
			v->more = --s->jobs > FEW * s->solvers_n;
			if (!v->more && s->resting)
				pthread_cond_signal(&s->rest);
		}
		pthread_mutex_unlock(&s->lock);
		if (!job)
			return NULL;
		lp_keyring_enter(s->config.ring);
		lp_solver_answer(v, job);
		lp_keyring_leave(s->config.ring);
	}
}

static struct timespec time_of(uint64_t ns)
{
	return (struct timespec){ (time_t)(ns / LP_NS_PER_S), (long)(ns % LP_NS_PER_S) };
}

/* Wipes premaster secrets when their time is over. */
static void *run_clock(void *arg)
{
	struct lp_service *s = arg;

	pthread_mutex_lock(&s->lock);
	while (!s->stop) {
		uint64_t end = lp_recent_expire(s->recent, lp_clock_mono());
		struct timespec ts;

		if (!end) {
			s->no_end = true;
			pthread_cond_wait(&s->tick, &s->lock);
			s->no_end = false;
			continue;
		}
		ts = time_of(end);
		(void)pthread_cond_timedwait(&s->tick, &s->lock, &ts);
	}
	pthread_mutex_unlock(&s->lock);
	return NULL;
}

void lp_service_rest(struct lp_service *s)
{
	struct timespec end;
	int err = 0;

	pthread_mutex_lock(&s->lock);
	if (s->jobs >= MANY * s->solvers_n) {
		end = time_of(lp_clock_mono() + REST_MS * LP_NS_PER_MS);
		s->resting = true;
		while (!err && s->jobs > FEW * s->solvers_n)
			err = pthread_cond_timedwait(&s->rest, &s->lock, &end);
		s->resting = false;
	}
	pthread_mutex_unlock(&s->lock);
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

static enum lp_err add_solver(struct lp_service *s)
{
	struct lp_solver *v = &s->solvers[s->solvers_n];
	enum lp_err err = lp_solver_init(v, s, (unsigned)s->solvers_n);

	if (err)
		return err;
	err = start_thread(&v->thread, work, v);
	if (err)
		lp_solver_clear(v);
	else
		s->solvers_n++;
	return err;
}

static void init_locks(struct lp_service *s)
{
	pthread_condattr_t mono;

	pthread_condattr_init(&mono);
	pthread_condattr_setclock(&mono, CLOCK_MONOTONIC);
	pthread_mutex_init(&s->lock, NULL);
	pthread_cond_init(&s->work, NULL);
	pthread_cond_init(&s->tick, &mono);
	pthread_cond_init(&s->rest, &mono);
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
	init_locks(s);
	s->solvers = calloc(threads, sizeof *s->solvers);
	err = s->solvers ? lp_recent_new(&s->recent, LP_RECENT_SIZE) : LP_E_NOMEM;
	if (!err)
		err = lp_post_new(&s->post, config->fd, config->lines, config->delay_ms);
	if (!err)
		err = start_thread(&s->clock, run_clock, s);
	s->clock_runs = !err;
	while (!err && s->solvers_n < threads)
		err = add_solver(s);
	if (err) {
		lp_service_free(s);
		return err;
	}
	*out = s;
	return LP_OK;
}

void lp_service_forget(void *who, uint32_t key)
{
	struct lp_service *s = who;

	for (size_t i = 0; i < s->solvers_n; i++)
		lp_solver_forget(&s->solvers[i], key);
}

static struct lp_job *job_of(const struct lp_ask *ask, unsigned line)
{
	struct lp_job *job = malloc(sizeof *job + ask->ticket.n);

	if (!job)
		return NULL;
	job->next = NULL;
	job->line = line;
	job->ask = *ask;
	job->ask.ticket.p = job->ticket;
	if (ask->ticket.n)
		memcpy(job->ticket, ask->ticket.p, ask->ticket.n);
	return job;
}

void lp_service_ask(struct lp_service *s, unsigned line, const struct lp_ask *ask)
{
	const struct lp_answer busy = { .id = ask->id, .code = LP_ANSWER_BUSY };
	struct lp_job *job = job_of(ask, line);
	uint8_t datagram[LP_MESSAGE_ANSWER_ROOM];
	size_t n;

	if (!job || !lp_post_take(s->post, line)) {
		free(job);
		n = lp_message_write_answer(datagram, sizeof datagram, &busy);
		lp_post_say(s->post, line, lp_span_of(datagram, n));
		return;
	}
	pthread_mutex_lock(&s->lock);
	*s->last = job;
	s->last = &job->next;
	s->jobs++;
	pthread_cond_signal(&s->work);
	pthread_mutex_unlock(&s->lock);
}

void lp_service_free(struct lp_service *s)
{
	struct lp_job *job;

	if (!s)
		return;
	pthread_mutex_lock(&s->lock);
	s->stop = true;
	pthread_cond_broadcast(&s->work);
	pthread_cond_signal(&s->tick);
	pthread_mutex_unlock(&s->lock);
	if (s->clock_runs)
		pthread_join(s->clock, NULL);
	for (size_t i = 0; i < s->solvers_n; i++)
		pthread_join(s->solvers[i].thread, NULL);
	for (size_t i = 0; i < s->solvers_n; i++)
		lp_solver_clear(&s->solvers[i]);
	while ((job = s->first)) {
		s->first = job->next;
		free(job);
	}
	lp_post_free(s->post);
	lp_recent_free(s->recent);
	free(s->solvers);
	pthread_cond_destroy(&s->work);
	pthread_cond_destroy(&s->tick);
	pthread_cond_destroy(&s->rest);
	pthread_mutex_destroy(&s->lock);
	free(s);
}
