/* Slabs of 64 KiB, cut into slots of one size class each; larger requests are
 * mapped on their own. A free slot is all zero but for its first word, the link
 * of the free list. */
#define _GNU_SOURCE
#include "base/secret.h"

#include <pthread.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

enum { SLAB_SIZE = 65536, CLASSES = 11 };

/* The keys of a direction (tls/protect.c), a master secret, and larger things. */
static const size_t class_size[CLASSES] = { 32, 48, 64, 72, 80, 96, 128, 192, 512, 2048, 8192 };

struct slot {
	struct slot *next;
};

/* The one process-wide object of limpid: memory that belongs to nobody's
 * engine, as malloc's arena does. */
static struct slot *free_slots[CLASSES];
static size_t lent; /* bytes of slots in use */
static pthread_mutex_t slots_lock = PTHREAD_MUTEX_INITIALIZER;

void lp_wipe(void *p, size_t n)
{
	if (n)
		explicit_bzero(p, n);
}

/* The compiler may not conclude that the outcome is known already. */
static inline void keep_going(uint64_t *diff)
{
	__asm__ volatile("" : "+r"(*diff));
}

bool lp_equal_ct(const void *a, const void *b, size_t n)
{
	const uint8_t *x = a, *y = b;
	uint64_t v, w, diff = 0;

	for (; n >= sizeof v; n -= sizeof v, x += sizeof v, y += sizeof v) {
		memcpy(&v, x, sizeof v);
		memcpy(&w, y, sizeof w);
		diff |= v ^ w;
		keep_going(&diff);
	}
	for (; n; n--, x++, y++) {
		diff |= *x ^ *y;
		keep_going(&diff);
	}
	return diff == 0;
}

static void *map_secret(size_t n)
{
	void *p = mmap(NULL, n, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		return NULL;
	/* Each of these is a wall more, none is the only one: a kernel that
	 * lacks one still runs us. */
	(void)madvise(p, n, MADV_DONTDUMP);
	(void)madvise(p, n, MADV_WIPEONFORK);
	(void)mlock(p, n);
	return p;
}

static size_t class_of(size_t n)
{
	size_t c = 0;

	while (c < CLASSES && class_size[c] < n)
		c++;
	return c;
}

static size_t map_size(size_t n)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);

	return (n + page - 1) / page * page;
}

static bool add_slab(size_t c)
{
	uint8_t *slab = map_secret(SLAB_SIZE);

	if (!slab)
		return false;
	for (size_t at = 0; at + class_size[c] <= SLAB_SIZE; at += class_size[c]) {
		struct slot *s = (struct slot *)(void *)(slab + at);

		s->next = free_slots[c];
		free_slots[c] = s;
	}
	return true;
}

void *lp_secret_alloc(size_t n)
{
	size_t c = class_of(n);
	struct slot *s = NULL;

	if (n > SIZE_MAX / 2)
		return NULL;
	if (c == CLASSES)
		return map_secret(map_size(n));
	pthread_mutex_lock(&slots_lock);
	if (free_slots[c] || add_slab(c)) {
		s = free_slots[c];
		free_slots[c] = s->next;
		s->next = NULL;
		lent += class_size[c];
	}
	pthread_mutex_unlock(&slots_lock);
	return s;
}

void lp_secret_free(void *p, size_t n)
{
	size_t c = class_of(n);
	struct slot *s = p;

	if (!p)
		return;
	if (c == CLASSES) {
		lp_wipe(p, n);
		(void)munmap(p, map_size(n));
		return;
	}
	lp_wipe(p, class_size[c]);
	pthread_mutex_lock(&slots_lock);
	s->next = free_slots[c];
	free_slots[c] = s;
	lent -= class_size[c];
	pthread_mutex_unlock(&slots_lock);
}

size_t lp_secret_lent(void)
{
	size_t n;

	pthread_mutex_lock(&slots_lock);
	n = lent;
	pthread_mutex_unlock(&slots_lock);
	return n;
}

enum lp_err lp_secret_set(struct lp_secret *s, const void *p, size_t n)
{
	if (!n)
		return LP_E_ARG;
	s->p = lp_secret_alloc(n);
	if (!s->p)
		return LP_E_NOMEM;
	memcpy(s->p, p, n);
	s->n = n;
	return LP_OK;
}

void lp_secret_clear(struct lp_secret *s)
{
	lp_secret_free(s->p, s->n);
	s->p = NULL;
	s->n = 0;
}

bool lp_secret_harden_process(void)
{
	const struct rlimit none = { 0, 0 };
	struct rlimit lock = { 0, 0 };

	(void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
	(void)setrlimit(RLIMIT_CORE, &none);
	if (getrlimit(RLIMIT_MEMLOCK, &lock) == 0 && lock.rlim_cur < lock.rlim_max) {
		lock.rlim_cur = lock.rlim_max;
		(void)setrlimit(RLIMIT_MEMLOCK, &lock);
	}
	return lock.rlim_cur >= 8U << 20;
}
