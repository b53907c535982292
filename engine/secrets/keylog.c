/* The store: a hash table of chains, newest first, and a list by last use. */
#define _GNU_SOURCE
#include "secrets/keylog.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"

struct entry {
	struct entry *chain;          /* same bucket, older */
	struct entry *newer, *older;  /* by last use */
	uint64_t hash;
	uint64_t used_ns;             /* monotonic */
	struct lp_secret secret;
	uint8_t label, source, id_n;
	uint8_t id[LP_KEYLOG_ID_MAX];
};

struct lp_keylog {
	struct lp_hash_seed seed;
	pthread_mutex_t lock; /* guards what follows */
	struct entry **bucket;
	size_t buckets; /* a power of two */
	atomic_size_t n; /* may be read without it */
	size_t max;
	struct entry *newest, *oldest;
	struct lp_keylog_stats stats;
};

enum { BUCKETS_FIRST = 64 };

enum lp_err lp_keylog_new(struct lp_keylog **out, const struct lp_hash_seed *seed, size_t max)
{
	struct lp_keylog *log = calloc(1, sizeof *log);

	*out = NULL;
	if (!log)
		return LP_E_NOMEM;
	log->bucket = calloc(BUCKETS_FIRST, sizeof(struct entry *));
	if (!log->bucket) {
		free(log);
		return LP_E_NOMEM;
	}
	log->buckets = BUCKETS_FIRST;
	log->seed = *seed;
	pthread_mutex_init(&log->lock, NULL);
	log->max = max;
	*out = log;
	return LP_OK;
}

static void list_out(struct lp_keylog *log, struct entry *e)
{
	*(e->newer ? &e->newer->older : &log->newest) = e->older;
	*(e->older ? &e->older->newer : &log->oldest) = e->newer;
}

static void list_in(struct lp_keylog *log, struct entry *e)
{
	e->newer = NULL;
	e->older = log->newest;
	*(log->newest ? &log->newest->newer : &log->oldest) = e;
	log->newest = e;
}

static void use(struct lp_keylog *log, struct entry *e, uint64_t now_ns)
{
	e->used_ns = now_ns;
	list_out(log, e);
	list_in(log, e);
}

static void drop(struct lp_keylog *log, struct entry *e)
{
	struct entry **at = &log->bucket[e->hash & (log->buckets - 1)];

	while (*at != e)
		at = &(*at)->chain;
	*at = e->chain;
	list_out(log, e);
	lp_secret_clear(&e->secret);
	free(e);
	log->n--;
}

void lp_keylog_free(struct lp_keylog *log)
{
	if (!log)
		return;
	while (log->oldest)
		drop(log, log->oldest);
	pthread_mutex_destroy(&log->lock);
	free(log->bucket);
	free(log);
}

void lp_keylog_expire(struct lp_keylog *log, uint64_t before_ns)
{
	pthread_mutex_lock(&log->lock);
	while (log->oldest && log->oldest->used_ns < before_ns) {
		drop(log, log->oldest);
		log->stats.expired++;
	}
	pthread_mutex_unlock(&log->lock);
}

/* Chains grow a little longer if there is no memory for this. */
static void grow(struct lp_keylog *log)
{
	size_t buckets = 2 * log->buckets;
	struct entry **bucket = calloc(buckets, sizeof *bucket);

	if (!bucket)
		return;
	/* From the oldest to the newest: the latest used comes first in its chain. */
	for (struct entry *e = log->oldest; e; e = e->newer) {
		struct entry **at = &bucket[e->hash & (buckets - 1)];

		e->chain = *at;
		*at = e;
	}
	free(log->bucket);
	log->bucket = bucket;
	log->buckets = buckets;
}

static uint64_t hash_of(const struct lp_keylog *log, enum lp_label label, lp_span id)
{
	uint8_t key[1 + LP_KEYLOG_ID_MAX];

	key[0] = (uint8_t)label;
	memcpy(key + 1, id.p, id.n);
	return lp_hash(&log->seed, key, 1 + id.n);
}

static bool matches(const struct entry *e, uint64_t hash, enum lp_label label, lp_span id)
{
	return e->hash == hash && e->label == label && e->id_n == id.n &&
	       !memcmp(e->id, id.p, id.n);
}

bool lp_keylog_find(struct lp_keylog *log, enum lp_label label, lp_span id, unsigned nth,
		    uint64_t now_ns, struct lp_keylog_secret *out)
{
	struct entry *e;
	uint64_t hash;

	if (!id.n || id.n > LP_KEYLOG_ID_MAX || !atomic_load_explicit(&log->n, memory_order_relaxed))
		return false;
	hash = hash_of(log, label, id);
	pthread_mutex_lock(&log->lock);
	for (e = log->bucket[hash & (log->buckets - 1)]; e; e = e->chain)
		if (matches(e, hash, label, id) && !nth--)
			break;
	if (e) {
		use(log, e, now_ns);
		out->n = e->secret.n;
		memcpy(out->bytes, e->secret.p, e->secret.n);
		out->source = (enum lp_keylog_source)e->source;
	}
	pthread_mutex_unlock(&log->lock);
	return e;
}

size_t lp_keylog_count(struct lp_keylog *log)
{
	return atomic_load(&log->n);
}

struct lp_keylog_stats lp_keylog_stats(struct lp_keylog *log)
{
	struct lp_keylog_stats stats;

	pthread_mutex_lock(&log->lock);
	stats = log->stats;
	pthread_mutex_unlock(&log->lock);
	return stats;
}

/* Looks among those of the same id: true if this secret is one of them. Makes room
 * among them otherwise. */
static bool repeated(struct lp_keylog *log, const struct entry *new)
{
	lp_span id = lp_span_of(new->id, new->id_n);
	struct entry *last = NULL;
	unsigned same = 0;

	for (struct entry *e = log->bucket[new->hash & (log->buckets - 1)]; e; e = e->chain) {
		if (!matches(e, new->hash, (enum lp_label)new->label, id))
			continue;
		if (e->secret.n == new->secret.n &&
		    lp_equal_ct(e->secret.p, new->secret.p, e->secret.n)) {
			use(log, e, new->used_ns);
			return true;
		}
		last = e;
		same++;
	}
	if (same == LP_KEYLOG_SAME) {
		drop(log, last);
		log->stats.evicted++;
	}
	return false;
}

/* Takes new, whatever comes of it. */
static void add(struct lp_keylog *log, struct entry *new)
{
	struct entry **at;

	new->hash = hash_of(log, (enum lp_label)new->label, lp_span_of(new->id, new->id_n));
	if (repeated(log, new)) {
		log->stats.repeated++;
		lp_secret_clear(&new->secret);
		free(new);
		return;
	}
	if (log->n >= log->max) {
		drop(log, log->oldest);
		log->stats.evicted++;
	}
	if (log->n >= log->buckets)
		grow(log);
	at = &log->bucket[new->hash & (log->buckets - 1)];
	new->chain = *at;
	*at = new;
	list_in(log, new);
	log->n++;
	log->stats.secrets++;
}

/* ---- lines ---- */

struct text {
	const char *p;
	size_t n;
};

/* What a label's id and secret may be, in bytes. */
static const struct form {
	const char *label;
	uint8_t id_min, id_max;
	uint16_t secret_min, secret_max;
	bool kept;
} forms[LP_LABELS] = {
	[LP_LABEL_CLIENT_RANDOM] = { "CLIENT_RANDOM", 32, 32, 48, 48, true },
	[LP_LABEL_PMS_CLIENT_RANDOM] = { "PMS_CLIENT_RANDOM", 32, 32, 1, LP_KEYLOG_SECRET_MAX, true },
	[LP_LABEL_RSA] = { "RSA", 8, 8, 48, 48, true },
	[LP_LABEL_SESSION_ID] = { "RSA Session-ID", 1, 32, 48, 48, true },
#define TLS13(name) [LP_LABEL_##name] = { #name, 32, 32, 32, 64, false },
	TLS13(CLIENT_EARLY_TRAFFIC_SECRET)
	TLS13(CLIENT_HANDSHAKE_TRAFFIC_SECRET)
	TLS13(SERVER_HANDSHAKE_TRAFFIC_SECRET)
	TLS13(CLIENT_TRAFFIC_SECRET_0)
	TLS13(SERVER_TRAFFIC_SECRET_0)
	TLS13(EARLY_EXPORTER_SECRET)
	TLS13(EXPORTER_SECRET)
#undef TLS13
};

static bool is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\r';
}

/* The next word of the line; n 0: there is none. */
static struct text word(struct text *line)
{
	struct text w;

	while (line->n && is_space(*line->p)) {
		line->p++;
		line->n--;
	}
	w = (struct text){ line->p, 0 };
	while (line->n && !is_space(*line->p)) {
		line->p++;
		line->n--;
		w.n++;
	}
	return w;
}

static bool is(struct text t, const char *s)
{
	return t.n == strlen(s) && !memcmp(t.p, s, t.n);
}

static bool skip(struct text *t, const char *prefix)
{
	size_t n = strlen(prefix);

	if (t->n < n || memcmp(t->p, prefix, n))
		return false;
	t->p += n;
	t->n -= n;
	return true;
}

static bool is_hex(struct text t)
{
	for (size_t i = 0; i < t.n; i++)
		if (!((t.p[i] >= '0' && t.p[i] <= '9') || (t.p[i] >= 'a' && t.p[i] <= 'f') ||
		      (t.p[i] >= 'A' && t.p[i] <= 'F')))
			return false;
	return t.n > 0 && t.n % 2 == 0;
}

/* RFC 9850 section 2: lines with labels that are not known are to be ignored. */
static bool is_label(struct text t)
{
	for (size_t i = 0; i < t.n; i++)
		if (!((t.p[i] >= 'A' && t.p[i] <= 'Z') || (t.p[i] >= '0' && t.p[i] <= '9') ||
		      t.p[i] == '_'))
			return false;
	return t.n > 0;
}

static int label_of(struct text *label, struct text *id, struct text *secret)
{
	if (is(*label, "RSA") && skip(id, "Session-ID:"))
		return skip(secret, "Master-Key:") ? LP_LABEL_SESSION_ID : -1;
	for (int i = 0; i < LP_LABELS; i++)
		if (is(*label, forms[i].label))
			return i;
	return LP_LABELS;
}

static bool fits(struct text hex, size_t least, size_t most)
{
	return is_hex(hex) && hex.n / 2 >= least && hex.n / 2 <= most;
}

static enum lp_err keep(struct lp_keylog_reader *r, enum lp_label label, struct text id,
			struct text secret, uint64_t now_ns)
{
	struct entry *e = calloc(1, sizeof *e);

	if (!e)
		return LP_E_NOMEM;
	e->label = (uint8_t)label;
	e->source = (uint8_t)r->source;
	e->used_ns = now_ns;
	e->id_n = (uint8_t)(id.n / 2);
	e->secret.n = secret.n / 2;
	e->secret.p = lp_secret_alloc(e->secret.n);
	if (!e->secret.p) {
		free(e);
		return LP_E_NOMEM;
	}
	if (lp_text_unhex(e->id, e->id_n, id.p, id.n) ||
	    lp_text_unhex(e->secret.p, e->secret.n, secret.p, secret.n)) {
		lp_secret_clear(&e->secret);
		free(e);
		return LP_E_FORMAT;
	}
	add(r->log, e);
	return LP_OK;
}

/* LP_OK, LP_E_FORMAT, LP_E_NOMEM. */
static enum lp_err secret_line(struct lp_keylog_reader *r, struct text label, struct text rest,
			       uint64_t now_ns)
{
	struct text id = word(&rest), secret = word(&rest), more = word(&rest);
	int which = label_of(&label, &id, &secret);
	const struct form *f;

	if (more.n || which < 0)
		return LP_E_FORMAT;
	if (which == LP_LABELS) {
		if (!is_label(label) || !is_hex(id) || !is_hex(secret))
			return LP_E_FORMAT;
		r->log->stats.other++;
		return LP_OK;
	}
	f = &forms[which];
	if (!fits(id, f->id_min, f->id_max) || !fits(secret, f->secret_min, f->secret_max))
		return LP_E_FORMAT;
	if (f->kept)
		return keep(r, (enum lp_label)which, id, secret, now_ns);
	r->log->stats.other++;
	return LP_OK;
}

static void malformed(struct lp_keylog_reader *r)
{
	r->log->stats.malformed++;
	if (!r->malformed++)
		r->first_malformed = r->number;
}

/* With the lock held. */
static enum lp_err take_line(struct lp_keylog_reader *r, struct text line, bool too_long,
			     uint64_t now_ns)
{
	struct text label = word(&line);
	enum lp_err err;

	r->number++;
	r->log->stats.lines++;
	if (!label.n || *label.p == '#') {
		r->log->stats.comments++;
		return LP_OK;
	}
	err = too_long ? LP_E_FORMAT : secret_line(r, label, line, now_ns);
	if (err == LP_E_FORMAT)
		malformed(r);
	else
		r->known++;
	return err == LP_E_FORMAT ? LP_OK : err;
}

static enum lp_err whole_line(struct lp_keylog_reader *r, struct text line, bool too_long,
			      uint64_t now_ns)
{
	enum lp_err err;

	pthread_mutex_lock(&r->log->lock);
	err = take_line(r, line, too_long, now_ns);
	pthread_mutex_unlock(&r->log->lock);
	return err;
}

void lp_keylog_reader_init(struct lp_keylog_reader *r, struct lp_keylog *log,
			   enum lp_keylog_source source)
{
	*r = (struct lp_keylog_reader){ .log = log, .source = source };
}

void lp_keylog_reader_clear(struct lp_keylog_reader *r)
{
	lp_secret_free(r->line, LP_KEYLOG_LINE_MAX);
	r->line = NULL;
	r->n = 0;
	r->skipping = false;
}

void lp_keylog_restart(struct lp_keylog_reader *r)
{
	if (r->line)
		lp_wipe(r->line, r->n);
	r->n = 0;
	r->skipping = false;
	r->number = 0;
}

/* Part of a line, kept until its end comes. */
static enum lp_err keep_part(struct lp_keylog_reader *r, lp_span part)
{
	size_t take = LP_KEYLOG_LINE_MAX - r->n;

	if (!part.n)
		return LP_OK;
	if (!r->line)
		r->line = lp_secret_alloc(LP_KEYLOG_LINE_MAX);
	if (!r->line)
		return LP_E_NOMEM;
	if (part.n > take)
		r->skipping = true;
	if (part.n < take)
		take = part.n;
	memcpy(r->line + r->n, part.p, take);
	r->n += take;
	return LP_OK;
}

static enum lp_err end_line(struct lp_keylog_reader *r, uint64_t now_ns)
{
	enum lp_err err = whole_line(r, (struct text){ r->line, r->n }, r->skipping, now_ns);

	lp_wipe(r->line, r->n);
	r->n = 0;
	r->skipping = false;
	return err;
}

static size_t least(size_t n)
{
	return n < LP_KEYLOG_LINE_MAX ? n : LP_KEYLOG_LINE_MAX;
}

enum lp_err lp_keylog_push(struct lp_keylog_reader *r, lp_span bytes, uint64_t now_ns)
{
	enum lp_err err = LP_OK;

	while (bytes.n && !err) {
		const uint8_t *end = memchr(bytes.p, '\n', bytes.n);
		lp_span part = { bytes.p, end ? (size_t)(end - bytes.p) : bytes.n };
		size_t used = part.n + (end ? 1 : 0);

		if (end && !r->n)
			err = whole_line(r, (struct text){ (const char *)part.p, least(part.n) },
					 part.n > LP_KEYLOG_LINE_MAX, now_ns);
		else
			err = keep_part(r, part);
		if (!err && end && r->n)
			err = end_line(r, now_ns);
		bytes.p += used;
		bytes.n -= used;
	}
	return err;
}

enum lp_err lp_keylog_end(struct lp_keylog_reader *r, uint64_t now_ns)
{
	return r->n ? end_line(r, now_ns) : LP_OK;
}
