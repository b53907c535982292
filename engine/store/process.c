#define _GNU_SOURCE
#include "store/process.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"

/* A ring of work; secret memory. */
struct queue {
	struct lp_talk_work *work;
	size_t at, n;
};

struct process {
	int fd;
	const struct lp_place_ops *ops;
	struct lp_place *place;
	const struct lp_seal_keys *keys;
	pid_t parent;
	struct queue gets, puts;
	struct lp_talk_stats stats;
	struct lp_talk *in, *out;      /* secret memory */
	struct lp_store_value *value;  /* the same */
	/* of the batch under way */
	size_t batch;
	char name[LP_PLACE_BATCH * LP_STORE_NAMES][LP_SEALED_NAME];
	size_t owner[LP_PLACE_BATCH * LP_STORE_NAMES]; /* which question asked for it */
	uint8_t nth[LP_PLACE_BATCH * LP_STORE_NAMES];  /* … and which of its names it is */
	bool got[LP_PLACE_BATCH];       /* by question: there is an answer … */
	uint8_t best[LP_PLACE_BATCH];
	struct lp_talk_answer *answer;  /* secret memory, of the batch */
	bool in_trouble;
};

enum {
	QUEUE_BYTES = LP_STORE_QUEUE * sizeof(struct lp_talk_work),
	ANSWER_BYTES = LP_PLACE_BATCH * sizeof(struct lp_talk_answer),
	/* While gets are waiting, puts go in small portions. */
	PUTS_AT_ONCE = 64,
};

static struct lp_talk_work *front(struct queue *q, size_t i)
{
	return &q->work[(q->at + i) % LP_STORE_QUEUE];
}

static void push(struct queue *q, const struct lp_talk_work *w)
{
	*front(q, q->n++) = *w;
}

static void pop(struct queue *q)
{
	lp_wipe(front(q, 0), sizeof(struct lp_talk_work));
	q->at = (q->at + 1) % LP_STORE_QUEUE;
	q->n--;
}

static uint64_t unix_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return (uint64_t)ts.tv_sec;
}

/* Answers that the engine does not read are not worth more than a moment. */
static void send_out(struct process *p, enum lp_talk_type type)
{
	const struct timeval moment = { 0, 200000 };
	ssize_t sent;

	p->out->type = type;
	(void)setsockopt(p->fd, SOL_SOCKET, SO_SNDTIMEO, &moment, sizeof moment);
	do
		sent = send(p->fd, p->out, lp_talk_size(type), MSG_NOSIGNAL);
	while (sent < 0 && errno == EINTR);
	lp_wipe(p->out, lp_talk_size(type));
}

static void say(struct process *p, const char *line)
{
	snprintf(p->out->u.text, sizeof p->out->u.text, "%s", line);
	send_out(p, LP_TALK_LOG);
}

/* One line when the servers begin to fail, one when they work again. */
static void watch(struct process *p)
{
	const char *trouble = p->ops->trouble(p->place);
	char line[LP_CHILD_WHY];

	if (!!trouble == p->in_trouble)
		return;
	p->in_trouble = trouble != NULL;
	snprintf(line, sizeof line, trouble ? "session store: %.300s" : "session store: all servers "
		 "answer again", trouble);
	say(p, line);
}

/* ---- questions ---- */

static void found(void *user, size_t i, lp_span sealed)
{
	struct process *p = user;
	size_t g;
	uint64_t end = 0, now = unix_now();
	const struct lp_talk_work *w;
	enum lp_err err;

	if (i >= p->batch)
		return;
	g = p->owner[i];
	w = front(&p->gets, g);
	err = lp_unseal_value(p->keys, w->name[p->nth[i]], sealed, now, p->value, &end);
	if (!err && (!p->got[g] || p->nth[i] < p->best[g])) {
		p->got[g] = true;
		p->best[g] = p->nth[i];
		p->answer[g].found = true;
		p->answer[g].left_ns = (end - now) * LP_NS_PER_S;
		p->answer[g].value = *p->value;
	}
	p->stats.forged += err == LP_E_AUTH;
	p->stats.stale += err == LP_EOF;
	lp_wipe(p->value, sizeof *p->value);
}

static void answer_batch(struct process *p)
{
	const uint64_t now = lp_clock_mono();
	size_t n = p->gets.n < LP_PLACE_BATCH ? p->gets.n : LP_PLACE_BATCH;

	memset(p->got, 0, sizeof p->got);
	p->batch = 0;
	for (size_t g = 0; g < n; g++) {
		const struct lp_talk_work *w = front(&p->gets, g);

		p->answer[g].id = w->id;
		/* Nobody waits for it any more. */
		if (now > w->since_ns + LP_STORE_WAIT_MS * LP_NS_PER_MS)
			continue;
		for (uint32_t k = 0; k < w->names; k++) {
			p->owner[p->batch] = g;
			p->nth[p->batch] = (uint8_t)k;
			if (lp_seal_name(p->keys, w->name[k], p->name[p->batch]))
				p->stats.errors++;
			else
				p->batch++;
		}
	}
	if (p->batch)
		p->stats.errors += p->ops->get(p->place, (const char (*)[LP_SEALED_NAME])p->name,
					       p->batch, found, p);
	for (size_t g = 0; g < n; g++) {
		p->out->u.answer = p->answer[g];
		lp_wipe(&p->answer[g], sizeof p->answer[g]);
		send_out(p, LP_TALK_ANSWER);
		pop(&p->gets);
	}
}

/* ---- puts ---- */

static bool put_one(struct process *p, const struct lp_talk_work *w)
{
	const uint64_t waited = lp_clock_mono() - w->since_ns;
	const uint64_t left = w->left_ns > waited ? (w->left_ns - waited) / LP_NS_PER_S : 0;
	uint8_t sealed[LP_SEALED_SIZE];
	char name[LP_SEALED_NAME];

	return left && !lp_seal_name(p->keys, w->name[0], name) &&
	       !lp_seal_value(p->keys, w->name[0], &w->value, unix_now() + left, sealed) &&
	       p->ops->put(p->place, name, lp_span_of(sealed, sizeof sealed), left);
}

static void put_some(struct process *p, size_t most)
{
	for (; p->puts.n && most; most--) {
		if (put_one(p, front(&p->puts, 0)))
			p->stats.stored++;
		else
			p->stats.not_stored++;
		pop(&p->puts);
	}
}

/* ---- the engine ---- */

/* Takes in what has come. LP_EOF: it says no more. */
static enum lp_err hear(struct process *p)
{
	enum lp_err err = LP_OK;

	while (!err && p->gets.n < LP_STORE_QUEUE && p->puts.n < LP_STORE_QUEUE) {
		ssize_t n = recv(p->fd, p->in, sizeof *p->in, MSG_DONTWAIT | MSG_TRUNC);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno == EAGAIN ? LP_OK : LP_EOF;
		if (n == 0)
			return LP_EOF;
		if ((size_t)n > sizeof *p->in || !lp_talk_sound(p->in, (size_t)n))
			err = LP_E_FORMAT;
		else if (p->in->type == LP_TALK_GET)
			push(&p->gets, &p->in->u.work);
		else if (p->in->type == LP_TALK_PUT)
			push(&p->puts, &p->in->u.work);
		else
			err = LP_E_FORMAT;
		lp_wipe(p->in, (size_t)n);
	}
	return err;
}

static void finish(struct process *p)
{
	const uint64_t end = lp_clock_mono() + LP_STORE_FINISH_MS / 2 * LP_NS_PER_MS;

	while (p->puts.n && lp_clock_mono() < end)
		put_some(p, 1);
	watch(p);
	p->stats.not_stored += p->puts.n;
	p->out->u.stats = p->stats;
	send_out(p, LP_TALK_STATS);
}

static enum lp_err serve(struct process *p)
{
	struct pollfd pfd = { p->fd, POLLIN, 0 };
	sigset_t none;
	enum lp_err err;

	sigemptyset(&none);
	for (;;) {
		err = hear(p);
		if (err)
			break;
		if (p->gets.n)
			answer_batch(p);
		if (p->puts.n)
			put_some(p, PUTS_AT_ONCE);
		watch(p);
		if (!p->gets.n && !p->puts.n && ppoll(&pfd, 1, NULL, &none) < 0 && p->parent &&
		    getppid() != p->parent)
			return LP_OK;
	}
	if (err == LP_E_FORMAT)
		return err;
	finish(p);
	return LP_OK;
}

enum lp_err lp_process_serve(int fd, const struct lp_place_ops *ops, struct lp_place *place,
			     const struct lp_seal_keys *keys, pid_t parent)
{
	struct process *p = calloc(1, sizeof *p);
	enum lp_err err = LP_E_NOMEM;

	if (!p)
		return err;
	p->fd = fd;
	p->ops = ops;
	p->place = place;
	p->keys = keys;
	p->parent = parent;
	p->gets.work = lp_secret_alloc(QUEUE_BYTES);
	p->puts.work = lp_secret_alloc(QUEUE_BYTES);
	p->in = lp_secret_alloc(sizeof *p->in);
	p->out = lp_secret_alloc(sizeof *p->out);
	p->value = lp_secret_alloc(sizeof *p->value);
	p->answer = lp_secret_alloc(ANSWER_BYTES);
	if (p->gets.work && p->puts.work && p->in && p->out && p->value && p->answer)
		err = serve(p);
	lp_secret_free(p->gets.work, QUEUE_BYTES);
	lp_secret_free(p->puts.work, QUEUE_BYTES);
	lp_secret_free(p->in, sizeof *p->in);
	lp_secret_free(p->out, sizeof *p->out);
	lp_secret_free(p->value, sizeof *p->value);
	lp_secret_free(p->answer, ANSWER_BYTES);
	free(p);
	return err;
}

/* ---- the process ---- */

static void tell(int fd, enum lp_talk_type type, const char *line)
{
	struct lp_talk m;

	memset(&m, 0, sizeof m);
	m.type = type;
	if (line)
		snprintf(m.u.text, sizeof m.u.text, "%s", line);
	(void)!send(fd, &m, lp_talk_size(type), MSG_NOSIGNAL);
}

static int fault(int fd, const char *line)
{
	tell(fd, LP_TALK_FAULT, line);
	return 1;
}

static enum lp_err hear_config(int fd, struct lp_talk *m)
{
	ssize_t n;

	do
		n = recv(fd, m, sizeof *m, MSG_TRUNC);
	while (n < 0 && errno == EINTR);
	if (n <= 0)
		return LP_EOF;
	if ((size_t)n > sizeof *m || !lp_talk_sound(m, (size_t)n) || m->type != LP_TALK_CONFIG ||
	    strcmp(m->u.config.version, LP_VERSION) != 0)
		return LP_E_FORMAT;
	return LP_OK;
}

#ifdef LP_WITH_MEMCACHED
static const struct lp_place_ops *const ops = &lp_place_memcached;
#else
static enum lp_err no_place(struct lp_place **out, const char *servers, unsigned timeout_ms,
			    char *why)
{
	(void)servers;
	(void)timeout_ms;
	*out = NULL;
	snprintf(why, LP_CHILD_WHY, "--session-store: this limpid was built without memcached");
	return LP_E_UNSUPPORTED;
}
static const struct lp_place_ops without = { .open = no_place };
static const struct lp_place_ops *const ops = &without;
#endif

static int run(int fd, const struct lp_talk_config *c, bool locked, pid_t parent)
{
	struct lp_seal_keys *keys = lp_secret_alloc(sizeof *keys);
	struct lp_place *place = NULL;
	char why[LP_CHILD_WHY] = "out of memory";
	bool exposed = false;
	int status = 1;

	if (!keys || lp_seal_keys_load(keys, c->key_file, c->strict_key_modes, &exposed, why) ||
	    ops->open(&place, c->servers, c->timeout_ms ? c->timeout_ms : LP_PLACE_TIMEOUT_MS,
		      why)) {
		(void)fault(fd, why);
		goto out;
	}
	if (exposed) {
		snprintf(why, sizeof why, "%.400s: readable by others", c->key_file);
		tell(fd, LP_TALK_LOG, why);
	}
	if (!locked)
		tell(fd, LP_TALK_LOG, "the session store's key may be swapped to disk: the limit of "
		     "locked memory is too low");
	tell(fd, LP_TALK_READY, NULL);
	if (!lp_process_serve(fd, ops, place, keys, parent))
		status = 0;
	else
		lp_log("session store: a message that nobody here sends, or no memory; ending");
out:
	if (place)
		ops->close(place);
	lp_secret_free(keys, sizeof *keys);
	return status;
}

int lp_store_main(int fd)
{
	const pid_t parent = getppid();
	struct lp_talk *m;
	bool locked = lp_secret_harden_process();
	enum lp_err err;
	int status = 0;

	lp_child_settle("limpid-store");
	if (lp_child_lock_all())
		locked = true;
	m = calloc(1, sizeof *m);
	if (!m)
		return 1;
	err = hear_config(fd, m);
	if (err == LP_E_FORMAT)
		status = fault(fd, "the session store's process does not understand its "
			       "configuration (is the helper of this very version?)");
	else if (!err)
		status = run(fd, &m->u.config, locked, parent);
	free(m);
	return status;
}
