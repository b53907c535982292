#define _GNU_SOURCE
#include "crew.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "crew_parts.h"

enum {
	BATCHES = 32,  /* of packets that wait for a worker */
	LENT = 512,    /* … if they need not be copied; of all workers, LENT_ALL */
	LENT_ALL = 4096,
	LIVE = 1024,   /* … if they would be lost otherwise; of all workers, … */
	MOST = 128,    /* … and of one */
	EVENTS = 512,  /* of a worker that wait to be merged */
};

static void *put_out(void *crew)
{
	struct lp_crew *c = crew;

	(void)pthread_setname_np(pthread_self(), "outputs");
	lp_merge_run(c->merge);
	return NULL;
}

/* A power of two: most, but no more than all for all workers. */
static size_t share_of(size_t workers, size_t most, size_t all)
{
	while (most > BATCHES && most * workers > all)
		most /= 2;
	return most;
}

/* A connection's bytes come in bursts: the more is read ahead, the less often one worker waits
 * while another has all of them. */
static size_t batches(const struct lp_engine *e, bool lent)
{
	return e->live ? share_of(e->workers, MOST, LIVE)
	       : lent  ? share_of(e->workers, LENT, LENT_ALL)
		       : BATCHES;
}

static enum lp_err make(struct lp_crew *c, bool lent)
{
	struct lp_engine *e = c->engine;
	enum lp_err err;

	err = lp_share_new(&c->share, e->workers, batches(e, lent), &e->seed);
	if (!err)
		err = lp_merge_new(&c->merge, e->workers, EVENTS, lp_outputs_event, e->outputs);
	if (!err && e->follow) {
		lp_share_eager(c->share);
		lp_merge_eager(c->merge);
	}
	if (!err && e->live) {
		lp_share_live(c->share);
		lp_merge_live(c->merge);
	}
	if (!err)
		err = lp_reader_new(&c->reader, &e->decode_config, &lp_share_sink, c->share);
	if (err)
		return err;
	if (lent) {
		lp_reader_lend(c->reader, true);
		lp_share_bound(c->share, LP_CAPTURE_LENT);
	}
	c->hand = calloc(e->workers, sizeof *c->hand);
	if (!c->hand)
		return LP_E_NOMEM;
	for (unsigned i = 0; i < e->workers && !err; i++)
		err = lp_hand_make(c, i);
	return err;
}

/* Signals are for the caller's thread. */
static enum lp_err start(struct lp_crew *c)
{
	sigset_t all, before;
	bool ok;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	ok = c->output_started = !pthread_create(&c->output, NULL, put_out, c);
	for (unsigned i = 0; i < c->n && ok; i++)
		ok = c->hand[i].started = !pthread_create(&c->hand[i].thread, NULL, lp_hand_work,
							  &c->hand[i]);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return ok ? LP_OK : LP_E_NOMEM;
}

static struct lp_crew *crew(struct lp_engine *e, bool lent, struct lp_capture *const *tap,
			    const atomic_uint_fast64_t *taken, char *why)
{
	struct lp_crew *c = calloc(1, sizeof *c);
	enum lp_err err;

	snprintf(why, LP_WHY, "out of memory");
	if (!c)
		return NULL;
	if (lp_outputs_open(e->outputs, why)) {
		free(c);
		return NULL;
	}
	c->engine = e;
	c->capture = tap;
	c->taken = taken;
	e->crew = c;
	err = make(c, lent);
	if (!err)
		err = start(c);
	if (err) {
		snprintf(why, LP_WHY, "%zu workers: %s", e->workers, lp_err_text(err));
		lp_crew_free(c);
		return NULL;
	}
	return c;
}

struct lp_crew *lp_crew_new(struct lp_engine *e, bool lent, char *why)
{
	return crew(e, lent, NULL, NULL, why);
}

struct lp_crew *lp_crew_new_tapped(struct lp_engine *e, struct lp_capture *const *tap,
				   const atomic_uint_fast64_t *taken, char *why)
{
	return crew(e, false, tap, taken, why);
}

static int state(struct lp_crew *c)
{
	enum lp_err err = lp_share_fault(c->share);

	if (err)
		lp_crew_fault(c, err);
	err = (enum lp_err)atomic_load(&c->fault);
	if (!err)
		return 0;
	snprintf(c->engine->why, sizeof c->engine->why, "%s", lp_worker_fault_text(err));
	return -1;
}

int lp_crew_state(struct lp_crew *c, const struct lp_capture **deaf)
{
	*deaf = atomic_load(&c->deaf);
	return state(c);
}

void lp_crew_settle(struct lp_crew *c)
{
	const struct timespec moment = { .tv_nsec = 1000000 };

	lp_share_settle(c->share);
	for (unsigned i = 0; i < c->n && !c->engine->live; i++)
		while (atomic_load(&c->hand[i].asks))
			(void)nanosleep(&moment, NULL);
}

int lp_crew_packets(struct lp_crew *c, const struct lp_wire *packets, size_t n)
{
	lp_reader_packets(c->reader, packets, n);
	return state(c);
}

int lp_crew_advance(struct lp_crew *c, uint64_t now_ns)
{
	lp_reader_advance(c->reader, now_ns);
	return state(c);
}

void lp_crew_fault(struct lp_crew *c, enum lp_err err)
{
	int none = LP_OK;

	(void)atomic_compare_exchange_strong(&c->fault, &none, (int)err);
}

int lp_crew_finish(struct lp_crew *c)
{
	struct lp_decode_stats decoded;
	uint64_t first_ns, last_ns;

	if (c->finished)
		return state(c);
	c->finished = true;
	lp_reader_times(c->reader, &first_ns, &last_ns);
	lp_share_end(c->share, lp_reader_number(c->reader), last_ns);
	for (unsigned i = 0; i < c->n; i++) {
		struct lp_hand *h = &c->hand[i];

		if (h->started)
			(void)pthread_join(h->thread, NULL);
		else
			lp_hand_stop(h);
		h->started = false;
	}
	for (size_t i = c->n; i < c->engine->workers; i++)
		lp_merge_over(c->merge, i);
	if (c->output_started)
		(void)pthread_join(c->output, NULL);
	c->output_started = false;
	for (unsigned i = 0; i < c->n; i++)
		c->hand[i].direct = true;
	/* The counters are those of the last packet's time. */
	lp_crew_decoded(c, &decoded, &first_ns, &last_ns);
	lp_sessions_expire(c->engine->sessions, last_ns, lp_clock_mono());
	return state(c);
}

void lp_crew_rotate(struct lp_crew *c)
{
	lp_merge_rotate(c->merge);
}

uint64_t lp_crew_shed(const struct lp_crew *c)
{
	return lp_share_shed(c->share);
}

void lp_crew_captured(struct lp_crew *c, struct lp_capture_stats *out)
{
	(void)lp_crew_finish(c);
	memset(out, 0, sizeof *out);
	for (unsigned i = 0; i < c->n; i++) {
		const struct lp_capture_stats *s = lp_tap_stats(c->hand[i].tap);

		out->packets += s->packets;
		out->bytes += s->bytes;
		out->filtered += s->filtered;
		out->kernel_drop += s->kernel_drop;
		if (out->if_drop < s->if_drop)
			out->if_drop = s->if_drop; /* the interface's own count */
	}
}

static void add_decoded(struct lp_decode_stats *sum, const struct lp_reader *reader)
{
	struct lp_decode_stats s;

	lp_reader_stats(reader, &s);
	sum->read += s.read;
	for (int i = 0; i < LP_DROPS; i++)
		sum->drop[i] += s.drop[i];
	for (size_t i = 0; i < sizeof s.csum / sizeof *s.csum; i++)
		sum->csum[i] += s.csum[i];
	sum->ip_csum_offload += s.ip_csum_offload;
	sum->no_length += s.no_length;
	sum->cut += s.cut;
	sum->datagrams += s.datagrams;
	sum->fragment_bytes += s.fragment_bytes;
	sum->domains += s.domains;
}

/* The reader of hand i, or the one there is. */
static const struct lp_reader *reader_of(const struct lp_crew *c, unsigned i)
{
	return c->taken && c->hand[i].tap ? lp_tap_reader(c->hand[i].tap) : c->reader;
}

void lp_crew_decoded(const struct lp_crew *c, struct lp_decode_stats *out, uint64_t *first_ns,
		     uint64_t *last_ns)
{
	memset(out, 0, sizeof *out);
	*first_ns = *last_ns = 0;
	for (unsigned i = 0; i < (c->taken ? c->n : 1); i++) {
		const struct lp_reader *reader = reader_of(c, i);
		uint64_t first, last;

		add_decoded(out, reader);
		lp_reader_times(reader, &first, &last);
		if (first && (!*first_ns || first < *first_ns))
			*first_ns = first;
		if (last > *last_ns)
			*last_ns = last;
	}
}

void lp_crew_free(struct lp_crew *c)
{
	if (!c)
		return;
	if (c->reader)
		(void)lp_crew_finish(c);
	for (unsigned i = 0; i < c->n; i++)
		lp_hand_clear(&c->hand[i]);
	lp_reader_free(c->reader);
	lp_merge_free(c->merge);
	lp_share_free(c->share);
	c->engine->crew = NULL;
	free(c->hand);
	free(c);
}
