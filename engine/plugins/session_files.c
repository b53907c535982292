#include "plugins/session_files.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "plugins/session_json.h"

static const char *const side_name[2] = { "client", "server" };

struct lp_session_files *lp_session_files_new(struct lp_states *list)
{
	struct lp_session_files *s = lp_states_new(list, sizeof *s);

	for (int d = 0; s && d < 2; d++) {
		s->file[d].fd = -1;
		lp_buf_init(&s->prelude[d], LP_PRELUDE_MAX);
	}
	return s;
}

static struct lp_file_gap *next_gap(struct lp_session_files *s)
{
	struct lp_file_gap *more;
	size_t size;

	if (s->gaps_n == s->gaps_size) {
		size = s->gaps_size ? 2 * s->gaps_size : 4;
		more = realloc(s->gaps, size * sizeof *more);
		if (!more)
			return NULL;
		s->gaps = more;
		s->gaps_size = size;
	}
	return &s->gaps[s->gaps_n++];
}

static int add_gap(struct lp_session_files *s, const struct lp_file_gap *gap)
{
	struct lp_file_gap *g;

	s->lost[gap->dir] += gap->lost;
	if (s->gaps_n) {
		/* Bytes that could not be written, one call after the other. */
		g = &s->gaps[s->gaps_n - 1];
		if (!g->lost && !gap->lost && g->dir == gap->dir && g->offset == gap->offset) {
			g->clear_min += gap->clear_min;
			g->clear_max += gap->clear_max;
			return 0;
		}
	}
	for (size_t i = s->gaps_n; s->gaps_n >= LP_GAPS_MAX && i > 0; i--) {
		g = &s->gaps[i - 1];
		if (g->dir != gap->dir)
			continue;
		g->lost += gap->lost;
		g->clear_min += gap->clear_min;
		g->clear_max += gap->clear_max;
		return 0;
	}
	g = next_gap(s);
	if (!g)
		return -1;
	*g = *gap;
	return 0;
}

int lp_session_files_gap(struct lp_session_files *s, enum lp_dir dir,
			 const struct lp_gap_info *gap)
{
	struct lp_file_gap g = {
		.dir = dir,
		/* Before the files are made, what will be in front is the prelude. */
		.offset = s->file[dir].made ? s->file[dir].bytes : lp_buf_len(&s->prelude[dir]),
		.lost = gap->stream_bytes,
		.clear_min = gap->clear_min,
		.clear_max = gap->clear_max,
	};

	return add_gap(s, &g);
}

int lp_session_files_keep(struct lp_session_files *s, enum lp_dir dir, const uint8_t *bytes,
			  size_t n, size_t *budget)
{
	size_t room = LP_PRELUDE_MAX - lp_buf_len(&s->prelude[dir]);
	size_t take = n < room ? n : room;

	if (take > *budget)
		take = *budget;
	if (s->prelude_cut[dir])
		take = 0; /* what comes after a hole may not close up to what was before */
	if (lp_buf_append(&s->prelude[dir], bytes, take))
		return -1;
	*budget -= take;
	s->prelude_cut[dir] += n - take;
	return 0;
}

void lp_session_files_forget(struct lp_session_files *s, size_t *budget)
{
	for (int d = 0; d < 2; d++) {
		*budget += lp_buf_len(&s->prelude[d]);
		lp_buf_clear(&s->prelude[d]);
	}
}

/* The prelude leaves memory for the file. Its budget is given back by the caller. */
static int write_prelude(struct lp_session_files *s, struct lp_filepool *pool, enum lp_dir dir)
{
	lp_span p = lp_buf_span(&s->prelude[dir]);
	struct lp_file_gap cut = { .dir = dir, .offset = p.n, .lost = s->prelude_cut[dir],
				   .clear_min = s->prelude_cut[dir],
				   .clear_max = s->prelude_cut[dir] };

	struct lp_file_gap unwritten = { .dir = dir };
	int status = lp_filepool_append(pool, &s->file[dir], p.p, p.n);
	int error = errno;

	s->prelude_bytes[dir] = s->file[dir].bytes;
	unwritten.offset = s->file[dir].bytes;
	unwritten.clear_min = unwritten.clear_max = p.n - s->file[dir].bytes;
	if ((unwritten.clear_max && add_gap(s, &unwritten)) || (cut.lost && add_gap(s, &cut)))
		return -1;
	errno = error;
	return status;
}

int lp_session_files_make(struct lp_session_files *s, struct lp_filepool *pool, const char *stem)
{
	char name[LP_FILEPOOL_NAME];

	for (int d = 0; d < 2; d++) {
		if (s->file[d].made || s->file[d].gone)
			continue; /* an earlier call came as far as this */
		snprintf(name, sizeof name, "%s_%s.bin", stem, side_name[d]);
		if (lp_filepool_make(pool, &s->file[d], name))
			return -1;
		if (write_prelude(s, pool, (enum lp_dir)d))
			return -1;
	}
	return 0;
}

static json_t *gap_json(const struct lp_file_gap *g)
{
	json_t *o = json_object();
	int bad = 0;

	if (!o)
		return NULL;
	lp_session_json_set(o, "dir", json_string(side_name[g->dir]), &bad);
	lp_session_json_set(o, "offset", json_integer((json_int_t)g->offset), &bad);
	lp_session_json_set(o, "lost", json_integer((json_int_t)g->lost), &bad);
	lp_session_json_set(o, "clear_lost", json_integer((json_int_t)g->clear_max), &bad);
	/* Padding hides how much exactly: then clear_lost is the most, this the least. */
	if (g->clear_min != g->clear_max)
		lp_session_json_set(o, "clear_lost_min", json_integer((json_int_t)g->clear_min),
				    &bad);
	return lp_session_json_done(o, bad);
}

void lp_session_files_json(const struct lp_session_files *s, json_t *object, int *bad)
{
	json_t *gaps = json_array();
	char key[32];

	for (int d = 0; d < 2; d++) {
		snprintf(key, sizeof key, "%s_file", side_name[d]);
		lp_session_json_set(object, key,
				    s && s->file[d].made ? json_string(s->file[d].name)
							 : json_null(), bad);
	}
	for (int d = 0; d < 2; d++) {
		snprintf(key, sizeof key, "%s_prelude", side_name[d]);
		lp_session_json_set(object, key,
				    json_integer(s ? (json_int_t)s->prelude_bytes[d] : 0), bad);
	}
	for (size_t i = 0; gaps && s && i < s->gaps_n; i++)
		if (json_array_append_new(gaps, gap_json(&s->gaps[i])))
			*bad = 1;
	lp_session_json_set(object, "gaps", gaps, bad);
}

int lp_session_files_free(struct lp_session_files *s, struct lp_filepool *pool)
{
	int status = 0;

	if (!s)
		return 0;
	for (int d = 0; d < 2; d++) {
		if (lp_filepool_done(pool, &s->file[d]))
			status = -1;
		lp_buf_clear(&s->prelude[d]);
	}
	free(s->gaps);
	lp_states_free(s);
	return status;
}
