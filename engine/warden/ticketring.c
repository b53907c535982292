#define _GNU_SOURCE
#include "warden/ticketring.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct slot {
	struct lp_ticket_key key;
	struct lp_ticket_ctx *ctx; /* one for each thread */
	uint32_t file;
	uint64_t end;              /* when it is wiped; 0: in use */
};

struct lp_ticketring {
	pthread_rwlock_t lock;
	const struct lp_crypto_set *crypto;
	unsigned threads;
	uint64_t life_ns;
	struct slot *slot;         /* oldest first */
	size_t n, room;
	struct lp_warden_key *face;
	size_t faces, faces_room;
};

enum lp_err lp_ticketring_new(struct lp_ticketring **out, const struct lp_crypto_set *crypto,
			      unsigned threads, uint64_t life_ns)
{
	struct lp_ticketring *r = calloc(1, sizeof *r);

	*out = r;
	if (!r)
		return LP_E_NOMEM;
	r->crypto = crypto;
	r->threads = threads;
	r->life_ns = life_ns;
	pthread_rwlock_init(&r->lock, NULL);
	return LP_OK;
}

static void slot_clear(struct lp_ticketring *r, struct slot *s)
{
	for (unsigned i = 0; s->ctx && i < r->threads; i++)
		lp_ticket_ctx_clear(&s->ctx[i], r->crypto);
	free(s->ctx);
	lp_ticket_key_clear(&s->key);
}

void lp_ticketring_free(struct lp_ticketring *r)
{
	if (!r)
		return;
	for (size_t i = 0; i < r->n; i++)
		slot_clear(r, &r->slot[i]);
	free(r->slot);
	free(r->face);
	pthread_rwlock_destroy(&r->lock);
	free(r);
}

enum lp_err lp_ticketring_file(struct lp_ticketring *r, const char *name, uint32_t *file)
{
	struct lp_warden_key *face;

	for (size_t i = 0; i < r->faces; i++) {
		if (!strncmp(r->face[i].name, name, sizeof r->face[i].name - 1)) {
			*file = (uint32_t)i;
			return LP_OK;
		}
	}
	if (r->faces == LP_TICKETRING_FILES)
		return LP_E_LIMIT;
	if (r->faces == r->faces_room) {
		size_t room = r->faces_room ? 2 * r->faces_room : 8;

		face = realloc(r->face, room * sizeof *face);
		if (!face)
			return LP_E_NOMEM;
		r->face = face;
		r->faces_room = room;
	}
	face = &r->face[r->faces];
	*face = (struct lp_warden_key){ .id = (uint32_t)r->faces, .kind = LP_WARDEN_TICKETS };
	snprintf(face->name, sizeof face->name, "%s", name);
	*file = (uint32_t)r->faces++;
	return LP_OK;
}

static bool has(const struct lp_ticketfile *f, const struct lp_ticket_key *key, size_t *at)
{
	for (size_t i = 0; i < f->n; i++) {
		if (f->key[i].key.n && lp_ticket_key_same(&f->key[i], key)) {
			*at = i;
			return true;
		}
	}
	return false;
}

/* Room for n more. The slots hold pointers to secrets, no secrets: realloc may copy them. */
static enum lp_err reserve(struct lp_ticketring *r, size_t n)
{
	size_t room = r->room ? r->room : 16;
	struct slot *slot;

	if (r->n + n > LP_TICKETRING_MAX)
		return LP_E_LIMIT;
	while (room < r->n + n)
		room *= 2;
	slot = realloc(r->slot, room * sizeof *slot);
	if (!slot)
		return LP_E_NOMEM;
	r->slot = slot;
	r->room = room;
	return LP_OK;
}

static enum lp_err append(struct lp_ticketring *r, uint32_t file, struct lp_ticket_key *key)
{
	struct slot *s = &r->slot[r->n];

	*s = (struct slot){ .key = *key, .file = file };
	s->ctx = calloc(r->threads, sizeof *s->ctx);
	if (!s->ctx)
		return LP_E_NOMEM;
	*key = (struct lp_ticket_key){ .kind = key->kind };
	r->n++;
	return LP_OK;
}

/* What the file has no more goes out of use, what it has again comes into use. Takes the
 * known keys out of f. */
static void sort_out(struct lp_ticketring *r, uint32_t file, struct lp_ticketfile *f,
		     uint64_t now, bool *changed)
{
	size_t at;

	for (size_t i = 0; i < r->n; i++) {
		struct slot *s = &r->slot[i];

		if (s->file != file)
			continue;
		if (has(f, &s->key, &at)) {
			lp_ticket_key_clear(&f->key[at]);
			*changed |= s->end != 0;
			s->end = 0;
		} else if (!s->end) {
			s->end = now + r->life_ns;
			*changed = true;
		}
	}
}

enum lp_err lp_ticketring_set(struct lp_ticketring *r, uint32_t file, struct lp_ticketfile *f,
			      uint64_t now, bool *changed)
{
	enum lp_err err;

	*changed = false;
	pthread_rwlock_wrlock(&r->lock);
	err = reserve(r, f->n);
	if (!err) {
		r->face[file].bits = (uint32_t)f->n;
		sort_out(r, file, f, now, changed);
	}
	for (size_t i = 0; !err && i < f->n; i++) {
		if (!f->key[i].key.n)
			continue;
		err = append(r, file, &f->key[i]);
		*changed = true;
	}
	pthread_rwlock_unlock(&r->lock);
	lp_ticketfile_clear(f);
	return err;
}

uint64_t lp_ticketring_expire(struct lp_ticketring *r, uint64_t now)
{
	uint64_t next = 0;
	size_t kept = 0;

	pthread_rwlock_wrlock(&r->lock);
	for (size_t i = 0; i < r->n; i++) {
		struct slot s = r->slot[i];

		if (s.end && s.end <= now) {
			slot_clear(r, &s);
			continue;
		}
		if (s.end && (!next || s.end < next))
			next = s.end;
		r->slot[kept++] = s;
	}
	r->n = kept;
	pthread_rwlock_unlock(&r->lock);
	return next;
}

size_t lp_ticketring_count(struct lp_ticketring *r)
{
	size_t n;

	pthread_rwlock_rdlock(&r->lock);
	n = r->n;
	pthread_rwlock_unlock(&r->lock);
	return n;
}

const struct lp_warden_key *lp_ticketring_faces(const struct lp_ticketring *r, size_t *n)
{
	*n = r->faces;
	return r->face;
}

/* Called with the lock held. */
static enum lp_err try_all(struct lp_ticketring *r, unsigned thread, const struct lp_ticket_try *t,
			   bool loose, struct lp_ticket_session *out, uint32_t *file)
{
	enum lp_err err = LP_E_AUTH;

	for (size_t i = r->n; i-- && err == LP_E_AUTH;) {
		struct slot *s = &r->slot[i];

		if (!lp_ticket_claims(&s->key, t->ticket))
			continue;
		err = (loose ? lp_ticket_open_loose : lp_ticket_open)(&s->key, &s->ctx[thread], t,
								      out);
		*file = s->file;
	}
	return err;
}

enum lp_err lp_ticketring_open(struct lp_ticketring *r, unsigned thread,
			       const struct lp_ticket_try *t, struct lp_ticket_session *out,
			       uint32_t *file, bool *loose)
{
	enum lp_err err;

	pthread_rwlock_rdlock(&r->lock);
	err = try_all(r, thread, t, false, out, file);
	*loose = err == LP_E_AUTH;
	if (*loose)
		err = try_all(r, thread, t, true, out, file);
	pthread_rwlock_unlock(&r->lock);
	return err;
}
