#include "capture/source.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Packets looked at in one read that find none to hand out: then the caller gets
 * a chance to see a signal. */
enum { MAX_SCAN = 1 << 16 };

struct child {
	struct lp_capture *c; /* NULL once closed */
	bool done, retired;
	uint64_t position, size; /* once closed: what was read of it, and its length */
	size_t at, n; /* merge: the batch that is being handed out */
	struct lp_wire batch[LP_BATCH];
};

struct list {
	struct lp_capture base;
	struct child *child;
	size_t n;
	size_t at;             /* in order: the one being read; those before it are done */
	bool lends;            /* what was read stays until the end of all */
	enum lp_err cut;       /* the first fault of a file that the others survive */
};

static void destroy(struct lp_capture *c)
{
	if (!c)
		return;
	if (c->ops->close)
		c->ops->close(c);
	lp_filter_free(c->filter);
	free(c);
}

/* A fault of the wire costs the rest of that file; one of the machine ends all. */
static enum lp_err child_done(struct list *l, struct child *child, enum lp_err err)
{
	child->done = true;
	if (err == LP_EOF)
		return LP_OK;
	if (err != LP_E_TRUNCATED && err != LP_E_FORMAT) {
		memcpy(l->base.why, child->c->why, LP_WHY_SIZE);
		return err;
	}
	if (!l->cut) {
		l->cut = err;
		memcpy(l->base.why, child->c->why, LP_WHY_SIZE);
	}
	return LP_OK;
}

static void child_close(struct list *l, struct child *child)
{
	if (l->lends) {
		if (!child->retired && child->c->ops->retire)
			child->c->ops->retire(child->c);
		child->retired = true;
		return;
	}
	if (child->c)
		child->c->ops->position(child->c, &child->position, &child->size);
	destroy(child->c);
	child->c = NULL;
}

static enum lp_err list_end(const struct list *l)
{
	return l->cut ? l->cut : LP_EOF;
}

static enum lp_err list_read(struct lp_capture *c, struct lp_wire *p, size_t max, size_t *n)
{
	struct list *l = (struct list *)c;
	struct child *child;
	enum lp_err err;

	*n = 0;
	for (;;) {
		/* Packets of the last read were borrowed from it until now. */
		while (l->at < l->n && l->child[l->at].done)
			child_close(l, &l->child[l->at++]);
		if (l->at == l->n)
			return list_end(l);
		child = &l->child[l->at];
		err = child->c->ops->read(child->c, p, max, n);
		if (!err)
			return LP_OK;
		err = child_done(l, child, err);
		if (err || *n)
			return err;
	}
}

/* Gives every file that is not at its end a packet to show. LP_MORE: one is silent. */
static enum lp_err merge_fill(struct list *l)
{
	enum lp_err result = LP_OK, err;

	for (size_t i = 0; i < l->n; i++) {
		struct child *child = &l->child[i];

		if (child->at < child->n)
			continue;
		child->at = child->n = 0;
		if (child->done) {
			child_close(l, child);
			continue;
		}
		err = child->c->ops->read(child->c, child->batch, LP_BATCH, &child->n);
		if (err)
			err = child_done(l, child, err);
		else if (!child->n)
			result = LP_MORE;
		if (err)
			return err;
	}
	return result;
}

/* The file whose next packet is the oldest; of equals the first named. */
static struct child *merge_oldest(struct list *l)
{
	struct child *best = NULL;

	for (size_t i = 0; i < l->n; i++) {
		struct child *child = &l->child[i];

		if (child->at < child->n &&
		    (!best || child->batch[child->at].ts_ns < best->batch[best->at].ts_ns))
			best = child;
	}
	return best;
}

/* A batch ends where a file's own batch does: to read on there would take the
 * packets back that are handed out. */
static enum lp_err merge_read(struct lp_capture *c, struct lp_wire *p, size_t max, size_t *n)
{
	struct list *l = (struct list *)c;
	struct child *child;
	enum lp_err err;

	*n = 0;
	err = merge_fill(l);
	if (err)
		return err == LP_MORE ? LP_OK : err;
	while (*n < max) {
		child = merge_oldest(l);
		if (!child)
			return *n ? LP_OK : list_end(l);
		p[(*n)++] = child->batch[child->at++];
		if (child->at == child->n)
			break;
	}
	return LP_OK;
}

static void list_position(const struct lp_capture *c, uint64_t *done, uint64_t *total)
{
	const struct list *l = (const struct list *)c;
	bool known = true;

	*done = *total = 0;
	for (size_t i = 0; i < l->n; i++) {
		const struct child *child = &l->child[i];
		uint64_t position = child->position, size = child->size;

		if (child->c)
			child->c->ops->position(child->c, &position, &size);
		*done += position;
		*total += size;
		known = known && size;
	}
	if (!known)
		*total = 0;
}

static bool list_lend(struct lp_capture *c, size_t behind)
{
	struct list *l = (struct list *)c;

	for (size_t i = 0; i < l->n; i++)
		if (!l->child[i].c || !lp_capture_lend(l->child[i].c, behind))
			return false;
	l->lends = true;
	return true;
}

static void list_close(struct lp_capture *c)
{
	struct list *l = (struct list *)c;

	for (size_t i = 0; i < l->n; i++)
		destroy(l->child[i].c);
	free(l->child);
}

static const struct lp_capture_ops list_ops = { .read = list_read, .position = list_position,
					       .lend = list_lend, .close = list_close };
static const struct lp_capture_ops merge_ops = { .read = merge_read, .position = list_position,
						.lend = list_lend, .close = list_close };

/* Opens file i and checks that the filter means something on it. */
static enum lp_err list_add(struct list *l, const char *path, const struct lp_filter *filter,
			    const struct lp_capture_config *config, char *why)
{
	struct child *child = &l->child[l->n];
	char name[LP_NAME_SIZE], text[LP_WHY_SIZE];
	uint32_t link;
	enum lp_err err;

	err = lp_file_open(&child->c, path, config, why);
	if (err)
		return err;
	l->n++;
	if (!filter || !lp_file_link(child->c, &link))
		return LP_OK;
	err = lp_filter_check(filter, link, text);
	if (err)
		snprintf(why, LP_WHY_SIZE, "%.150s: %.350s", lp_capture_name(name, path), text);
	return err;
}

enum lp_err lp_capture_open_files(struct lp_capture **out, const char *const *paths, size_t n,
				  bool merge, const struct lp_capture_config *config, char *why)
{
	struct list *l = calloc(1, sizeof *l);
	enum lp_err err = LP_OK;

	*out = NULL;
	if (l)
		l->child = calloc(n ? n : 1, sizeof *l->child);
	if (!l || !l->child) {
		snprintf(why, LP_WHY_SIZE, "%s", lp_err_text(LP_E_NOMEM));
		free(l);
		return LP_E_NOMEM;
	}
	l->base.ops = merge && n > 1 ? &merge_ops : &list_ops;
	if (config && config->filter)
		err = lp_filter_new(&l->base.filter, config->filter, why);
	for (size_t i = 0; i < n && !err; i++)
		err = list_add(l, paths[i], l->base.filter, config, why);
	if (err)
		destroy(&l->base);
	else
		*out = &l->base;
	return err;
}

enum lp_err lp_capture_open_file(struct lp_capture **out, const char *path,
				 const struct lp_capture_config *config, char *why)
{
	return lp_capture_open_files(out, &path, 1, false, config, why);
}

/* Numbers the packets and keeps, in place, those that the filter wants. */
static size_t keep(struct lp_capture *c, struct lp_wire *p, size_t n)
{
	uint64_t number = c->shared ? atomic_fetch_add(c->shared, n) : c->number;
	uint64_t bytes = 0;
	size_t kept = 0;

	for (size_t i = 0; i < n; i++) {
		p[i].number = number + 1 + i;
		if (c->filter) {
			if (!lp_filter_match(c->filter, &p[i]))
				continue;
			p[kept] = p[i];
		}
		bytes += p[kept++].caplen;
	}
	c->number = number + n;
	c->stats.packets += kept;
	c->stats.filtered += n - kept;
	c->stats.bytes += bytes;
	return kept;
}

enum lp_err lp_capture_read(struct lp_capture *c, struct lp_wire *p, size_t max, size_t *n)
{
	size_t got, seen = 0;

	*n = 0;
	while (!c->fault && !*n && seen < MAX_SCAN) {
		c->fault = c->ops->read(c, p, max, &got);
		if (!c->fault && !got)
			break;
		*n = keep(c, p, got);
		seen += got;
	}
	return *n ? LP_OK : c->fault;
}

const char *lp_capture_why(const struct lp_capture *c)
{
	return c->why;
}

bool lp_capture_lend(struct lp_capture *c, size_t behind)
{
	return c->ops->lend && c->ops->lend(c, behind);
}

int lp_capture_fd(const struct lp_capture *c)
{
	return c->ops->fd ? c->ops->fd(c) : -1;
}

bool lp_capture_live(const struct lp_capture *c)
{
	return c->ops->live;
}

void lp_capture_position(const struct lp_capture *c, uint64_t *done, uint64_t *total)
{
	*done = *total = 0;
	if (c->ops->position)
		c->ops->position(c, done, total);
}

void lp_capture_stats(struct lp_capture *c, struct lp_capture_stats *out)
{
	if (c->ops->stats)
		c->ops->stats(c, &c->stats);
	*out = c->stats;
}

void lp_capture_close(struct lp_capture *c)
{
	destroy(c);
}
