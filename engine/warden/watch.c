#define _GNU_SOURCE
#include "warden/watch.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "warden/secretfile.h"

/* What tells one state of a file from another. */
struct sign {
	bool there;
	dev_t dev;
	ino_t ino;
	off_t size;
	struct timespec changed, modified;
};

struct entry {
	char *name;         /* in its directory; of a single file, in the source's */
	struct sign seen;   /* at the last look */
	struct sign done;   /* when it was last read, well or not */
	bool known;         /* done is set */
	bool here;          /* found by the look under way */
	bool ours;          /* it was loaded */
	bool skipped;       /* when last read, it was none of ours */
	uint32_t tag;       /* the caller's */
};

struct source {
	unsigned kind;
	char *path;         /* as given */
	char *base;         /* its last part */
	int parent;         /* the directory of base; AT_FDCWD: base is path */
	bool is_dir;        /* at the last look */
	bool lost;          /* it could not be opened at the last look */
	struct entry *entry;
	size_t n, room;
};

struct lp_watch {
	const struct lp_watch_cb *cb;
	void *user;
	struct source *source;
	size_t n;
	char why[LP_WATCH_WHY];
};

enum lp_err lp_watch_new(struct lp_watch **out, const struct lp_watch_cb *cb, void *user)
{
	*out = calloc(1, sizeof **out);
	if (!*out)
		return LP_E_NOMEM;
	(*out)->cb = cb;
	(*out)->user = user;
	return LP_OK;
}

static void source_clear(struct source *s)
{
	for (size_t i = 0; i < s->n; i++)
		free(s->entry[i].name);
	free(s->entry);
	free(s->path);
	free(s->base);
	if (s->parent >= 0)
		close(s->parent);
}

void lp_watch_free(struct lp_watch *w)
{
	if (!w)
		return;
	for (size_t i = 0; i < w->n; i++)
		source_clear(&w->source[i]);
	free(w->source);
	free(w);
}

uint32_t lp_watch_skipped(const struct lp_watch *w)
{
	uint32_t n = 0;

	for (size_t i = 0; i < w->n; i++)
		for (size_t k = 0; k < w->source[i].n; k++)
			n += w->source[i].entry[k].skipped;
	return n;
}

static struct sign sign_of(const struct stat *st)
{
	return (struct sign){ true, st->st_dev, st->st_ino, st->st_size, st->st_ctim, st->st_mtim };
}

static bool same_time(const struct timespec *a, const struct timespec *b)
{
	return a->tv_sec == b->tv_sec && a->tv_nsec == b->tv_nsec;
}

static bool same(const struct sign *a, const struct sign *b)
{
	return a->there == b->there &&
	       (!a->there || (a->dev == b->dev && a->ino == b->ino && a->size == b->size &&
			      same_time(&a->changed, &b->changed) &&
			      same_time(&a->modified, &b->modified)));
}

static void name_of(const struct source *s, const struct entry *e, char shown[LP_WATCH_NAME])
{
	static const char cut[] = "...";
	char whole[4096 + 256], escaped[2 * sizeof whole];
	size_t n = strlen(s->path);

	(void)snprintf(whole, sizeof whole, "%s%s%s", s->path,
		       !s->is_dir || s->path[n - 1] == '/' ? "" : "/", s->is_dir ? e->name : "");
	lp_text_escape(escaped, sizeof escaped, whole, strlen(whole));
	/* Of a long one the end, where it differs from its neighbours. */
	n = strlen(escaped);
	if (n < LP_WATCH_NAME)
		memcpy(shown, escaped, n + 1);
	else
		snprintf(shown, LP_WATCH_NAME, "%s%s", cut,
			 escaped + n - (LP_WATCH_NAME - sizeof cut));
}

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct entry *)a)->name, ((const struct entry *)b)->name);
}

/* Of the first `known` entries, which are sorted, or a new one. */
static struct entry *entry_of(struct source *s, size_t known, char *name)
{
	const struct entry key = { .name = name };
	struct entry *e = known ? bsearch(&key, s->entry, known, sizeof key, by_name) : NULL;

	if (e)
		return e;
	if (s->n == s->room) {
		size_t room = s->room ? 2 * s->room : 8;

		e = realloc(s->entry, room * sizeof *e);
		if (!e)
			return NULL;
		s->entry = e;
		s->room = room;
	}
	e = &s->entry[s->n];
	*e = (struct entry){ .name = strdup(name) };
	if (!e->name)
		return NULL;
	s->n++;
	return e;
}

/* Reads a file. Only a fault of the machine comes back, or (first) any: on a single file. */
static enum lp_err load(struct lp_watch *w, struct source *s, struct entry *e, int dir, bool first)
{
	char shown[LP_WATCH_NAME];
	struct stat st;
	int fd = lp_secretfile_open(dir, s->is_dir ? e->name : s->base);
	enum lp_err err;

	name_of(s, e, shown);
	e->known = true;
	e->done = e->seen;
	if (fd >= 0 && !fstat(fd, &st))
		e->done = sign_of(&st);
	e->seen = e->done;
	if (fd < 0) {
		err = errno == ENOENT ? LP_E_NOENT : LP_E_IO;
		snprintf(w->why, sizeof w->why, "%s: %s", shown, strerror(errno));
	} else {
		err = w->cb->load(w->user, s->kind, fd, shown, &e->tag, w->why);
	}
	if (!err)
		e->ours = true;
	e->skipped = err == LP_EOF && s->is_dir;
	if (e->skipped)
		return LP_OK;
	if (!err || err == LP_E_NOMEM || (first && !s->is_dir))
		return err;
	if (e->ours) {
		size_t n = strlen(w->why);

		(void)snprintf(w->why + n, sizeof w->why - n, "; what it held before stays in use");
	}
	w->cb->warn(w->user, w->why);
	return LP_OK;
}

enum look { LOOK_FIRST, LOOK_AGAIN, LOOK_NOW };

static enum lp_err look_at(struct lp_watch *w, struct source *s, struct entry *e, int dir,
			   const struct stat *st, enum look how)
{
	const struct sign sign = sign_of(st);
	bool settled = same(&sign, &e->seen);

	e->here = true;
	e->seen = sign;
	if (e->known && same(&sign, &e->done))
		return LP_OK;
	if (how == LOOK_AGAIN && !settled)
		return LP_OK;
	return load(w, s, e, dir, how == LOOK_FIRST);
}

/* A link that leads nowhere, say. */
static void warn_of(struct lp_watch *w, struct source *s, char *entry)
{
	const struct entry e = { .name = entry };
	int code = errno;

	name_of(s, &e, w->why);
	(void)snprintf(w->why + strlen(w->why), LP_WATCH_WHY - LP_WATCH_NAME, ": %s",
		       strerror(code));
	w->cb->warn(w->user, w->why);
}

/* Takes down the names of the regular files. */
static enum lp_err list(struct lp_watch *w, struct source *s, DIR *dir, enum look how)
{
	const size_t known = s->n;
	struct dirent *d;
	struct stat st;

	for (size_t i = 0; i < s->n; i++)
		s->entry[i].here = false;
	while ((d = readdir(dir))) {
		struct entry *e;

		if (d->d_name[0] == '.')
			continue;
		if (fstatat(dirfd(dir), d->d_name, &st, 0)) {
			if (how == LOOK_FIRST)
				warn_of(w, s, d->d_name);
			continue;
		}
		if (!S_ISREG(st.st_mode))
			continue;
		if (s->n == LP_WATCH_FILES) {
			lp_text_escape(w->why, LP_WATCH_NAME, s->path, strlen(s->path));
			snprintf(w->why + strlen(w->why), 64, ": more than %d files", LP_WATCH_FILES);
			return LP_E_LIMIT;
		}
		e = entry_of(s, known, d->d_name);
		if (!e)
			return LP_E_NOMEM;
		e->here = true;
	}
	if (s->n)
		qsort(s->entry, s->n, sizeof *s->entry, by_name);
	return LP_OK;
}

/* Those that are gone are told, and forgotten. */
static void drop_gone(struct lp_watch *w, struct source *s)
{
	char shown[LP_WATCH_NAME];
	size_t kept = 0;

	for (size_t i = 0; i < s->n; i++) {
		struct entry e = s->entry[i];

		if (e.here) {
			s->entry[kept++] = e;
			continue;
		}
		name_of(s, &e, shown);
		if (e.ours)
			w->cb->gone(w->user, s->kind, shown, e.tag);
		free(e.name);
	}
	s->n = kept;
}

/* A file became a directory, or the reverse. */
static void forget(struct lp_watch *w, struct source *s)
{
	for (size_t i = 0; i < s->n; i++)
		s->entry[i].here = false;
	drop_gone(w, s);
}

/* Takes fd. */
static enum lp_err look_in(struct lp_watch *w, struct source *s, int fd, enum look how)
{
	DIR *dir = fdopendir(fd);
	enum lp_err err;
	struct stat st;
	bool usable = false;

	if (!dir) {
		close(fd);
		return LP_E_NOMEM;
	}
	err = list(w, s, dir, how);
	for (size_t i = 0; !err && i < s->n; i++) {
		struct entry *e = &s->entry[i];

		if (e->here && fstatat(dirfd(dir), e->name, &st, 0))
			e->here = false;
		if (e->here)
			err = look_at(w, s, e, dirfd(dir), &st, how);
		usable |= e->ours;
	}
	if (!err) {
		drop_gone(w, s);
		s->lost = false;
	}
	if (!err && how == LOOK_FIRST && !usable) {
		lp_text_escape(w->why, LP_WATCH_NAME, s->path, strlen(s->path));
		snprintf(w->why + strlen(w->why), 80, ": no usable key in this directory");
		err = LP_E_NOENT;
	}
	closedir(dir);
	return err;
}

/* A source that cannot be opened is said once; what it gave before stays in use. */
static enum lp_err lost(struct lp_watch *w, struct source *s, enum look how)
{
	int code = errno;

	lp_text_escape(w->why, LP_WATCH_NAME, s->path, strlen(s->path));
	(void)snprintf(w->why + strlen(w->why), LP_WATCH_WHY - LP_WATCH_NAME, ": %s%s", strerror(code),
		       how == LOOK_FIRST ? "" : "; what it held before stays in use");
	if (how == LOOK_FIRST)
		return code == ENOENT ? LP_E_NOENT : LP_E_IO;
	if (!s->lost)
		w->cb->warn(w->user, w->why);
	s->lost = true;
	return LP_OK;
}

static enum lp_err look(struct lp_watch *w, struct source *s, enum look how)
{
	char name[] = "";
	struct stat st;
	struct entry *e;
	int fd;

	if (fstatat(s->parent, s->base, &st, 0))
		return lost(w, s, how);
	if (s->n && s->is_dir != S_ISDIR(st.st_mode))
		forget(w, s);
	s->is_dir = S_ISDIR(st.st_mode);
	if (s->is_dir) {
		fd = openat(s->parent, s->base, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		return fd < 0 ? lost(w, s, how) : look_in(w, s, fd, how);
	}
	s->lost = false;
	e = entry_of(s, s->n, name);
	return e ? look_at(w, s, e, s->parent, &st, how) : LP_E_NOMEM;
}

static enum lp_err told(struct lp_watch *w, enum lp_err err, char why[LP_WATCH_WHY])
{
	if (err == LP_E_NOMEM)
		snprintf(w->why, sizeof w->why, "out of memory while reading keys");
	if (err)
		memcpy(why, w->why, LP_WATCH_WHY);
	return err;
}

enum lp_err lp_watch_add(struct lp_watch *w, unsigned kind, const char *path,
			 char why[LP_WATCH_WHY])
{
	struct source *more = realloc(w->source, (w->n + 1) * sizeof *more);
	struct source *s;

	if (!more)
		return told(w, LP_E_NOMEM, why);
	w->source = more;
	s = &more[w->n];
	*s = (struct source){ .kind = kind, .path = strdup(path), .base = strdup(path),
			      .parent = AT_FDCWD };
	w->n++;
	if (!s->path || !s->base)
		return told(w, LP_E_NOMEM, why);
	return told(w, look(w, s, LOOK_FIRST), why);
}

/* "/a/b/" is b in /a, "b" is b in ".", "/" is . in "/". */
static enum lp_err hold(struct lp_watch *w, struct source *s)
{
	char *base;
	size_t n = strlen(s->base);

	while (n > 1 && s->base[n - 1] == '/')
		s->base[--n] = '\0';
	base = strrchr(s->base, '/');
	if (base && base[1]) {
		*base = '\0';
		s->parent = open(*s->base ? s->base : "/", O_PATH | O_DIRECTORY | O_CLOEXEC);
		base = strdup(base + 1);
	} else {
		s->parent = open(base ? "/" : ".", O_PATH | O_DIRECTORY | O_CLOEXEC);
		base = strdup(base ? "." : s->base);
	}
	if (s->parent < 0)
		snprintf(w->why, sizeof w->why, "the directory of a key file: %s", strerror(errno));
	free(s->base);
	s->base = base;
	return s->parent < 0 ? LP_E_IO : base ? LP_OK : LP_E_NOMEM;
}

enum lp_err lp_watch_hold(struct lp_watch *w, char why[LP_WATCH_WHY])
{
	enum lp_err err = LP_OK;

	for (size_t i = 0; !err && i < w->n; i++)
		if (w->source[i].parent == AT_FDCWD)
			err = hold(w, &w->source[i]);
	return told(w, err, why);
}

bool lp_watch_holds(const struct lp_watch *w, int fd)
{
	for (size_t i = 0; i < w->n; i++)
		if (w->source[i].parent == fd)
			return true;
	return false;
}

enum lp_err lp_watch_look(struct lp_watch *w, bool now)
{
	enum lp_err err = LP_OK;

	for (size_t i = 0; i < w->n; i++) {
		err = look(w, &w->source[i], now ? LOOK_NOW : LOOK_AGAIN);
		if (err == LP_E_LIMIT && !w->source[i].lost) {
			w->source[i].lost = true;
			w->cb->warn(w->user, w->why);
		}
		if (err == LP_E_NOMEM)
			return err;
	}
	return LP_OK;
}
