/* What service.c (the queue and the threads) and solver.c (the work on a question) share.
 *
 * Owner: lp_service; a solver is its thread's own. */
#ifndef LP_WARDEN_SERVICE_PARTS_H
#define LP_WARDEN_SERVICE_PARTS_H

#include <pthread.h>

#include "warden/post.h"
#include "warden/recent.h"
#include "warden/service.h"

/* A question; next is the queue, or the list of those that wait for the same
 * premaster secret. */
struct lp_job {
	struct lp_job *next;
	unsigned line; /* whence it came */
	struct lp_ask ask;
	uint8_t ticket[]; /* what ask.ticket points to */
};

struct lp_scratch;
struct lp_context;

struct lp_solver {
	struct lp_service *s;
	pthread_t thread;
	unsigned number;             /* 0, 1, … */
	struct lp_scratch *scratch;  /* all that it has in clear of a question */
	uint8_t *ticket;             /* room for one that is opened, secret memory; NULL without keys */
	struct lp_context *contexts; /* one for each key, made when first asked for */
	size_t open;
	uint64_t uses;
	unsigned line;               /* of the answers that were not sent yet */
	size_t answers;
	bool more;                   /* many jobs wait: answers may wait for each other */
};

struct lp_service {
	struct lp_service_config config;
	struct lp_post *post;
	pthread_mutex_t lock;  /* guards all below but the solvers' own */
	pthread_cond_t work;   /* a job came, or stop */
	pthread_cond_t tick;   /* the clock thread has something to wait for, or stop */
	pthread_cond_t rest;   /* what jobs there are will soon be done */
	struct lp_job *first, **last;
	size_t jobs;           /* that nobody has begun */
	bool resting;          /* whoever brings them waits for that */
	struct lp_recent *recent;
	bool no_end; /* the clock waits for an entry */
	bool stop;
	pthread_t clock;
	bool clock_runs;
	struct lp_solver *solvers;
	size_t solvers_n;
};

LP_MUST enum lp_err lp_solver_init(struct lp_solver *v, struct lp_service *s, unsigned number);
void lp_solver_clear(struct lp_solver *v);

/* Answers, or leaves the job to the thread that works on the same. Takes the job. */
void lp_solver_answer(struct lp_solver *v, struct lp_job *job);

/* Sends what it has answered. */
void lp_solver_send(struct lp_solver *v);

/* Drops what it has made of a key; not while it answers. */
void lp_solver_forget(struct lp_solver *v, uint32_t key);

#endif
