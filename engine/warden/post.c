#define _GNU_SOURCE
#include "warden/post.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include "base/clock.h"
#include "warden/message.h"

/* An answer that is held back; secret memory. */
struct held {
	struct held *next;
	uint64_t due;
	unsigned line;
	size_t answers, n;
	uint8_t datagram[LP_MESSAGE_ANSWERS_ROOM];
};

struct line {
	int fd;
	atomic_size_t unanswered;
};

struct lp_post {
	struct line line[LP_WARDEN_LINES];
	unsigned lines;
	uint64_t delay_ns;
	pthread_mutex_t lock; /* guards what follows */
	pthread_cond_t tick;  /* something to wait for, or stop */
	struct held *first, **last;
	bool stop;
	pthread_t thread;
	bool runs;
};

void lp_post_say(struct lp_post *p, unsigned line, lp_span datagram)
{
	const int fd = p->line[line].fd;
	ssize_t sent;

	/* Waits while the engine does not read. */
	do
		sent = send(fd, datagram.p, datagram.n, MSG_NOSIGNAL);
	while (sent < 0 && errno == EINTR);
	/* An answer that is lost would be waited for until the end of days: better that
	 * both ends know. */
	if (sent != (ssize_t)datagram.n)
		(void)shutdown(fd, SHUT_RDWR);
}

bool lp_post_take(struct lp_post *p, unsigned line)
{
	atomic_size_t *n = &p->line[line].unanswered;

	/* Only the thread that reads the line's questions comes here. */
	if (atomic_load(n) >= LP_WARDEN_QUEUE / p->lines)
		return false;
	atomic_fetch_add(n, 1);
	return true;
}

/* Questions are out of the count before their answers leave, or the engine's next one
 * could come too early for us. */
static void count_answers(struct lp_post *p, unsigned line, size_t n)
{
	size_t before = atomic_fetch_sub(&p->line[line].unanswered, n);

	assert(before >= n);
	(void)before;
}

/* Puts a datagram aside until its time; false if there is no memory for that. */
static bool hold(struct lp_post *p, unsigned line, size_t n, lp_span datagram)
{
	struct held *h = lp_secret_alloc(sizeof *h);

	if (!h)
		return false;
	assert(datagram.n <= sizeof h->datagram);
	memcpy(h->datagram, datagram.p, datagram.n);
	h->answers = n;
	h->n = datagram.n;
	h->line = line;
	h->next = NULL;
	pthread_mutex_lock(&p->lock);
	h->due = lp_clock_mono() + p->delay_ns;
	*p->last = h;
	p->last = &h->next;
	pthread_cond_signal(&p->tick);
	pthread_mutex_unlock(&p->lock);
	return true;
}

void lp_post_answer(struct lp_post *p, unsigned line, size_t n, lp_span datagram)
{
	if (p->delay_ns && hold(p, line, n, datagram))
		return;
	count_answers(p, line, n);
	lp_post_say(p, line, datagram);
}

/* Called and returns with the lock held, which it lets go of while sending. */
static void send_first(struct lp_post *p)
{
	struct held *h = p->first;

	p->first = h->next;
	if (!p->first)
		p->last = &p->first;
	pthread_mutex_unlock(&p->lock);
	count_answers(p, h->line, h->answers);
	lp_post_say(p, h->line, lp_span_of(h->datagram, h->n));
	lp_secret_free(h, sizeof *h);
	pthread_mutex_lock(&p->lock);
}

static void *run(void *arg)
{
	struct lp_post *p = arg;

	pthread_mutex_lock(&p->lock);
	while (!p->stop) {
		struct timespec ts;

		if (!p->first) {
			pthread_cond_wait(&p->tick, &p->lock);
		} else if (p->first->due <= lp_clock_mono()) {
			send_first(p);
		} else {
			ts.tv_sec = (time_t)(p->first->due / LP_NS_PER_S);
			ts.tv_nsec = (long)(p->first->due % LP_NS_PER_S);
			(void)pthread_cond_timedwait(&p->tick, &p->lock, &ts);
		}
	}
	pthread_mutex_unlock(&p->lock);
	return NULL;
}

enum lp_err lp_post_new(struct lp_post **out, const int *fd, unsigned lines, unsigned delay_ms)
{
	struct lp_post *p = calloc(1, sizeof *p);
	pthread_condattr_t mono;

	assert(lines && lines <= LP_WARDEN_LINES);
	*out = NULL;
	if (!p)
		return LP_E_NOMEM;
	p->lines = lines;
	p->delay_ns = delay_ms * LP_NS_PER_MS;
	p->last = &p->first;
	for (unsigned i = 0; i < lines; i++) {
		p->line[i].fd = fd[i];
		atomic_init(&p->line[i].unanswered, 0);
	}
	pthread_condattr_init(&mono);
	pthread_condattr_setclock(&mono, CLOCK_MONOTONIC);
	pthread_mutex_init(&p->lock, NULL);
	pthread_cond_init(&p->tick, &mono);
	pthread_condattr_destroy(&mono);
	p->runs = delay_ms && !pthread_create(&p->thread, NULL, run, p);
	if (delay_ms && !p->runs) {
		lp_post_free(p);
		return LP_E_NOMEM;
	}
	*out = p;
	return LP_OK;
}

void lp_post_free(struct lp_post *p)
{
	struct held *h;

	if (!p)
		return;
	pthread_mutex_lock(&p->lock);
	p->stop = true;
	pthread_cond_signal(&p->tick);
	pthread_mutex_unlock(&p->lock);
	if (p->runs)
		pthread_join(p->thread, NULL);
	while ((h = p->first)) {
		p->first = h->next;
		lp_secret_free(h, sizeof *h);
	}
	pthread_cond_destroy(&p->tick);
	pthread_mutex_destroy(&p->lock);
	free(p);
}
