/* store/: what is stored elsewhere, the process that does it, its client. */
#define _GNU_SOURCE
#include <check.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "store/process.h"

static const char cluster[] = "0123456789abcdef0123456789abcdef\n";

static struct lp_seal_keys keys_of(const char *text)
{
	struct lp_seal_keys keys;

	ck_assert_int_eq(lp_seal_keys_derive(&keys, lp_span_of(text, strlen(text))), LP_OK);
	return keys;
}

static struct lp_store_value value_of(int byte)
{
	struct lp_store_value v;

	memset(&v, 0, sizeof v);
	memset(v.master, byte, sizeof v.master);
	v.version = 0x0303;
	v.suite = 0xc02f;
	v.ems = -1;
	return v;
}

static void name_of(uint8_t out[LP_STORE_NAME], const char *name)
{
	ck_assert_int_eq(lp_store_name(out, 1, lp_span_of(name, strlen(name))), LP_OK);
}

/* ---- sealing ---- */

static enum lp_err unseal(const char *cluster_key, const char *name, const uint8_t *sealed, size_t n,
			  uint64_t now, struct lp_store_value *out)
{
	const struct lp_seal_keys keys = keys_of(cluster_key);
	uint8_t hash[LP_STORE_NAME];
	uint64_t end;

	name_of(hash, name);
	return lp_unseal_value(&keys, hash, lp_span_of(sealed, n), now, out, &end);
}

static void seal(uint8_t out[LP_SEALED_SIZE], const char *name, int byte, uint64_t end)
{
	const struct lp_seal_keys keys = keys_of(cluster);
	const struct lp_store_value value = value_of(byte);
	uint8_t hash[LP_STORE_NAME];

	name_of(hash, name);
	ck_assert_int_eq(lp_seal_value(&keys, hash, &value, end, out), LP_OK);
}

START_TEST(sealed_and_opened)
{
	uint8_t sealed[LP_SEALED_SIZE], again[LP_SEALED_SIZE];
	struct lp_store_value out, in = value_of(7);

	seal(sealed, "a", 7, 1000);
	ck_assert_int_eq(unseal(cluster, "a", sealed, sizeof sealed, 999, &out), LP_OK);
	ck_assert_mem_eq(out.master, in.master, 48);
	ck_assert_uint_eq(out.version, in.version);
	ck_assert_uint_eq(out.suite, in.suite);
	ck_assert_int_eq(out.ems, in.ems);
	/* past its end, though memcached still had it */
	ck_assert_int_eq(unseal(cluster, "a", sealed, sizeof sealed, 1000, &out), LP_EOF);
	ck_assert_uint_eq(out.master[0], 0);
	/* under another name, or another cluster's key */
	ck_assert_int_eq(unseal(cluster, "b", sealed, sizeof sealed, 999, &out), LP_E_AUTH);
	ck_assert_int_eq(unseal("another0another0another0another0", "a", sealed, sizeof sealed, 999,
				&out), LP_E_AUTH);
	/* the end of the key file's line is no part of the key */
	ck_assert_int_eq(unseal("0123456789abcdef0123456789abcdef \r\n", "a", sealed, sizeof sealed,
				999, &out), LP_OK);
	/* the same is never sealed alike */
	seal(again, "a", 7, 1000);
	ck_assert_mem_ne(again, sealed, sizeof sealed);
	ck_assert_mem_ne(again + 25, sealed + 25, LP_SEALED_PLAIN);
	for (size_t i = 0; i + 8 <= sizeof sealed; i++)
		ck_assert_mem_ne(sealed + i, in.master, 8);
}
END_TEST

START_TEST(every_bit_counts)
{
	uint8_t sealed[LP_SEALED_SIZE + 1];
	struct lp_store_value out, zero = { .version = 0 };

	seal(sealed, "a", 7, 1000);
	for (size_t i = 0; i < 8 * LP_SEALED_SIZE; i++) {
		sealed[i / 8] ^= (uint8_t)(1 << i % 8);
		ck_assert_int_eq(unseal(cluster, "a", sealed, LP_SEALED_SIZE, 1, &out), LP_E_AUTH);
		ck_assert_mem_eq(out.master, zero.master, 48);
		sealed[i / 8] ^= (uint8_t)(1 << i % 8);
	}
	for (size_t n = 0; n <= sizeof sealed; n++)
		ck_assert_int_eq(unseal(cluster, "a", sealed, n, 1, &out),
				 n == LP_SEALED_SIZE ? LP_OK : LP_E_AUTH);
}
END_TEST

START_TEST(names_say_nothing)
{
	const struct lp_seal_keys a = keys_of(cluster), b = keys_of("another0another0another0another0");
	uint8_t id[LP_STORE_NAME], ticket[LP_STORE_NAME];
	char x[LP_SEALED_NAME], y[LP_SEALED_NAME];

	ck_assert_int_eq(lp_store_name(id, 1, lp_span_of("same", 4)), LP_OK);
	ck_assert_int_eq(lp_store_name(ticket, 2, lp_span_of("same", 4)), LP_OK);
	ck_assert_mem_ne(id, ticket, sizeof id);
	ck_assert_int_eq(lp_seal_name(&a, id, x), LP_OK);
	ck_assert_int_eq(lp_seal_name(&b, id, y), LP_OK);
	ck_assert_str_ne(x, y);
	ck_assert_uint_eq(strlen(x), LP_SEALED_NAME - 1);
	ck_assert_int_eq(lp_seal_name(&a, ticket, y), LP_OK);
	ck_assert_str_ne(x, y);
}
END_TEST

static void write_file(const char *path, const char *text, mode_t mode)
{
	FILE *f = fopen(path, "w");

	ck_assert_ptr_nonnull(f);
	fputs(text, f);
	fclose(f);
	ck_assert_int_eq(chmod(path, mode), 0);
}

static enum lp_err load(const char *path, bool strict, bool *exposed, char *why)
{
	struct lp_seal_keys keys;

	return lp_seal_keys_load(&keys, path, strict, exposed, why);
}

START_TEST(key_files)
{
	char dir[] = "/tmp/limpid-store.XXXXXX", path[64], fifo[64], why[LP_CHILD_WHY];
	bool exposed;

	ck_assert_ptr_nonnull(mkdtemp(dir));
	snprintf(path, sizeof path, "%s/key", dir);
	snprintf(fifo, sizeof fifo, "%s/fifo", dir);
	ck_assert_int_eq(load(path, false, &exposed, why), LP_E_IO);
	ck_assert_ptr_nonnull(strstr(why, "No such file"));
	write_file(path, cluster, 0600);
	ck_assert_int_eq(load(path, true, &exposed, why), LP_OK);
	ck_assert(!exposed);
	chmod(path, 0640);
	ck_assert_int_eq(load(path, false, &exposed, why), LP_OK);
	ck_assert(exposed);
	ck_assert_int_eq(load(path, true, &exposed, why), LP_E_ARG);
	ck_assert_ptr_nonnull(strstr(why, "readable by others (mode 0640), refused"));
	write_file(path, "0123456789abcdef0123456789abcde \n\n", 0600);
	ck_assert_int_eq(load(path, false, &exposed, why), LP_E_FORMAT);
	ck_assert_ptr_nonnull(strstr(why, "at least 32 bytes"));
	ck_assert_int_eq(truncate(path, LP_SEAL_FILE_MOST + 1), 0);
	ck_assert_int_eq(load(path, false, &exposed, why), LP_E_ARG);
	ck_assert_int_eq(mkfifo(fifo, 0600), 0);
	ck_assert_int_eq(load(fifo, false, &exposed, why), LP_E_ARG);
	ck_assert_int_eq(load(dir, false, &exposed, why), LP_E_ARG);
	unlink(path);
	unlink(fifo);
	rmdir(dir);
}
END_TEST

/* ---- the process, before a place that tests can look into ---- */

enum { ROOM = 64 };

struct lp_place {
	pthread_mutex_t lock;
	struct {
		char name[LP_SEALED_NAME];
		uint8_t value[LP_SEALED_SIZE];
		uint64_t life;
	} item[ROOM];
	size_t n, gets, batches;
	unsigned slow_ms;
	bool dead;
};

static bool fake_put(struct lp_place *p, const char *name, lp_span value, uint64_t life)
{
	bool taken;

	pthread_mutex_lock(&p->lock);
	taken = !p->dead && p->n < ROOM && value.n == LP_SEALED_SIZE;
	if (taken) {
		strcpy(p->item[p->n].name, name);
		memcpy(p->item[p->n].value, value.p, value.n);
		p->item[p->n++].life = life;
	}
	pthread_mutex_unlock(&p->lock);
	return taken;
}

static unsigned fake_get(struct lp_place *p, const char (*names)[LP_SEALED_NAME], size_t n,
			 lp_place_found *found, void *user)
{
	if (p->slow_ms)
		poll(NULL, 0, (int)p->slow_ms);
	pthread_mutex_lock(&p->lock);
	p->gets += n;
	p->batches++;
	for (size_t k = p->n; k-- > 0;) /* in no particular order */
		for (size_t i = 0; i < n && !p->dead; i++)
			if (!strcmp(names[i], p->item[k].name))
				found(user, i, lp_span_of(p->item[k].value, LP_SEALED_SIZE));
	pthread_mutex_unlock(&p->lock);
	return p->dead ? 1 : 0;
}

static const char *fake_trouble(struct lp_place *p)
{
	return p->dead ? "it is dead" : NULL;
}

static const struct lp_place_ops fake_ops = {
	.get = fake_get, .put = fake_put, .trouble = fake_trouble,
};

static struct lp_place place;
static struct lp_seal_keys keys;
static int sock[2];
static pthread_t thread;
static enum lp_err served;

static void *serve(void *arg)
{
	(void)arg;
	served = lp_process_serve(sock[1], &fake_ops, &place, &keys, 0);
	close(sock[1]);
	return NULL;
}

static void begin(void)
{
	memset(&place, 0, sizeof place);
	pthread_mutex_init(&place.lock, NULL);
	keys = keys_of(cluster);
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, sock), 0);
	ck_assert_int_eq(pthread_create(&thread, NULL, serve, NULL), 0);
}

static void say(enum lp_talk_type type, uint64_t id, const char *first, const char *second, int byte)
{
	struct lp_talk m;

	memset(&m, 0, sizeof m);
	m.type = type;
	m.u.work.id = id;
	m.u.work.since_ns = lp_clock_mono();
	m.u.work.left_ns = 100 * LP_NS_PER_S + 500 * LP_NS_PER_MS;
	m.u.work.names = second ? 2 : 1;
	name_of(m.u.work.name[0], first);
	if (second)
		name_of(m.u.work.name[1], second);
	if (type == LP_TALK_PUT)
		m.u.work.value = value_of(byte);
	ck_assert_int_eq(send(sock[0], &m, lp_talk_size(type), 0), (ssize_t)lp_talk_size(type));
}

/* The next message of a type; others in between are passed over. */
static struct lp_talk hear(enum lp_talk_type type)
{
	struct lp_talk m;
	ssize_t n;

	do {
		n = recv(sock[0], &m, sizeof m, 0);
		ck_assert_int_gt(n, 0);
		ck_assert(lp_talk_sound(&m, (size_t)n));
	} while (m.type != type);
	return m;
}

/* The byte that was found for a question, -1 if none. */
static int answer(uint64_t id)
{
	struct lp_talk m = hear(LP_TALK_ANSWER);

	ck_assert_uint_eq(m.u.answer.id, id);
	if (!m.u.answer.found)
		return -1;
	ck_assert_uint_le(m.u.answer.left_ns, 100 * LP_NS_PER_S);
	ck_assert_uint_ge(m.u.answer.left_ns, 98 * LP_NS_PER_S);
	return m.u.answer.value.master[47];
}

static struct lp_talk_stats finish(void)
{
	struct lp_talk_stats stats;

	shutdown(sock[0], SHUT_WR);
	stats = hear(LP_TALK_STATS).u.stats;
	pthread_join(thread, NULL);
	ck_assert_int_eq(served, LP_OK);
	close(sock[0]);
	return stats;
}

START_TEST(stored_and_found)
{
	struct lp_talk_stats stats;

	begin();
	say(LP_TALK_GET, 1, "a", NULL, 0);
	ck_assert_int_eq(answer(1), -1);
	say(LP_TALK_PUT, 0, "a", NULL, 11);
	say(LP_TALK_PUT, 0, "b", NULL, 22);
	poll(NULL, 0, 50);
	say(LP_TALK_GET, 2, "a", NULL, 0);
	ck_assert_int_eq(answer(2), 11);
	/* The first name counts, then the second. */
	say(LP_TALK_GET, 3, "a", "b", 0);
	ck_assert_int_eq(answer(3), 11);
	say(LP_TALK_GET, 4, "b", "a", 0);
	ck_assert_int_eq(answer(4), 22);
	say(LP_TALK_GET, 5, "c", "b", 0);
	ck_assert_int_eq(answer(5), 22);
	ck_assert_uint_eq(place.n, 2);
	ck_assert_uint_le(place.item[0].life, 100);
	ck_assert_uint_ge(place.item[0].life, 99);
	stats = finish();
	ck_assert_uint_eq(stats.stored, 2);
	ck_assert_uint_eq(stats.not_stored, 0);
	ck_assert_uint_eq(stats.forged, 0);
}
END_TEST

START_TEST(nothing_in_clear)
{
	const struct lp_store_value value = value_of(0x5a);
	uint8_t name[LP_STORE_NAME];

	begin();
	say(LP_TALK_PUT, 0, "a", NULL, 0x5a);
	(void)finish();
	name_of(name, "a");
	ck_assert_uint_eq(place.n, 1);
	ck_assert_ptr_null(memmem(&place, sizeof place, value.master, 6));
	ck_assert_ptr_null(memmem(&place, sizeof place, name, 6));
	ck_assert_ptr_null(memmem(&place, sizeof place, cluster, 6));
}
END_TEST

/* What memcached gives back is believed only as far as it authenticates. */
START_TEST(garbage)
{
	struct lp_talk_stats stats;

	begin();
	say(LP_TALK_PUT, 0, "a", NULL, 11);
	say(LP_TALK_PUT, 0, "b", NULL, 22);
	poll(NULL, 0, 50);
	pthread_mutex_lock(&place.lock);
	ck_assert_uint_eq(place.n, 2);
	/* a has b's value, b some of it changed */
	memcpy(place.item[0].value, place.item[1].value, LP_SEALED_SIZE);
	place.item[1].value[60] ^= 1;
	pthread_mutex_unlock(&place.lock);
	say(LP_TALK_GET, 1, "a", "b", 0);
	ck_assert_int_eq(answer(1), -1);
	/* What is past its time is no answer either. */
	seal(place.item[0].value, "a", 3, (uint64_t)time(NULL) - 1);
	say(LP_TALK_GET, 2, "a", NULL, 0);
	ck_assert_int_eq(answer(2), -1);
	stats = finish();
	ck_assert_uint_eq(stats.forged, 2);
	ck_assert_uint_eq(stats.stale, 1);
}
END_TEST

START_TEST(many_questions_go_together)
{
	char name[16];

	begin();
	place.slow_ms = 30;
	for (int i = 0; i < 40; i++) {
		snprintf(name, sizeof name, "%d", i);
		say(LP_TALK_PUT, 0, name, NULL, i);
	}
	poll(NULL, 0, 100);
	for (int i = 0; i < 100; i++) {
		snprintf(name, sizeof name, "%d", i);
		say(LP_TALK_GET, (uint64_t)i, "none", name, 0);
	}
	for (int i = 0; i < 100; i++)
		ck_assert_int_eq(answer((uint64_t)i), i < 40 ? i : -1);
	ck_assert_uint_eq(place.gets, 200);
	ck_assert_uint_le(place.batches, 6);
	(void)finish();
}
END_TEST

START_TEST(what_waited_too_long_is_not_asked)
{
	begin();
	place.slow_ms = LP_STORE_WAIT_MS + 200;
	say(LP_TALK_GET, 1, "a", NULL, 0);
	poll(NULL, 0, 50);
	say(LP_TALK_GET, 2, "a", NULL, 0);
	ck_assert_int_eq(answer(1), -1);
	ck_assert_int_eq(answer(2), -1);
	ck_assert_uint_eq(place.gets, 1);
	(void)finish();
}
END_TEST

START_TEST(trouble_is_said_once)
{
	struct lp_talk_stats stats;
	struct lp_talk m;

	begin();
	place.dead = true;
	for (uint64_t i = 0; i < 5; i++)
		say(LP_TALK_GET, i, "a", NULL, 0);
	m = hear(LP_TALK_LOG);
	ck_assert_str_eq(m.u.text, "session store: it is dead");
	say(LP_TALK_PUT, 0, "a", NULL, 1);
	poll(NULL, 0, 50);
	place.dead = false;
	say(LP_TALK_GET, 9, "a", NULL, 0);
	m = hear(LP_TALK_LOG);
	ck_assert_str_eq(m.u.text, "session store: all servers answer again");
	stats = finish();
	ck_assert_uint_ge(stats.errors, 1);
	ck_assert_uint_eq(stats.not_stored, 1);
}
END_TEST

START_TEST(nonsense_ends_it)
{
	struct lp_talk m;

	begin();
	memset(&m, 0, sizeof m);
	m.type = _i ? LP_TALK_GET : LP_TALK_STATS;
	m.u.work.names = _i == 1 ? LP_STORE_NAMES + 1 : 1;
	ck_assert_int_gt(send(sock[0], &m, lp_talk_size(m.type) - (_i == 2), 0), 0);
	pthread_join(thread, NULL);
	ck_assert_int_eq(served, LP_E_FORMAT);
	close(sock[0]);
}
END_TEST

/* ---- the client, and a real process that finds no memcached ---- */

static char client_dir[64], client_key[128], client_why[LP_CHILD_WHY];
static int answers, answered;

static void client_setup(void)
{
	strcpy(client_dir, "/tmp/limpid-store.XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(client_dir));
	snprintf(client_key, sizeof client_key, "%s/key", client_dir);
	write_file(client_key, cluster, 0600);
	answers = 0;
	answered = 0;
}

static void client_teardown(void)
{
	unlink(client_key);
	rmdir(client_dir);
}

static void on_answer(void *asker, const struct lp_store_value *value, uint64_t left_ns)
{
	(void)left_ns;
	ck_assert_ptr_eq(asker, &answers);
	answers++;
	answered += value != NULL;
}

static enum lp_err start(struct lp_store **s, const char *servers)
{
	const struct lp_store_config c = { .servers = servers, .key_file = client_key };

	return lp_store_start(s, &c, client_why);
}

static void wait_answers(struct lp_store *s, int n)
{
	for (int i = 0; i < 300 && answers < n; i++) {
		poll(NULL, 0, 10);
		lp_store_poll(s, on_answer);
	}
	ck_assert_int_eq(answers, n);
}

static bool ask(struct lp_store *s, const char *name)
{
	uint8_t names[1][LP_STORE_NAME];

	name_of(names[0], name);
	return lp_store_get(s, (const uint8_t (*)[LP_STORE_NAME])names, 1, &answers);
}

#ifdef LP_WITH_MEMCACHED
static const char nobody_there[] = "memcached://127.0.0.1:1";

static const struct {
	const char *servers, *line;
} wrong[] = {
	{ "127.0.0.1:11211", "does not begin with memcached://" },
	{ "memcached://", "is not host:port" },
	{ "memcached://a:b", "is not host:port" },
	{ "memcached://a:1x", "is not host:port" },
	{ "memcached://a:70000", "is not host:port" },
	{ "memcached://a:11211,", "is not host:port" },
	{ "memcached://[::1]x", "is not host:port" },
	{ "memcached://[::1", "is not host:port" },
};

START_TEST(wrong_servers)
{
	struct lp_store *s;

	ck_assert_int_eq(start(&s, wrong[_i].servers), LP_E_ARG);
	ck_assert_msg(strstr(client_why, wrong[_i].line) != NULL, "%s", client_why);
	ck_assert_ptr_null(s);
}
END_TEST

START_TEST(no_memcached_is_no_fault)
{
	const struct lp_store_value v = value_of(1);
	struct lp_store_stats stats;
	uint8_t name[LP_STORE_NAME];
	struct lp_store *s;

	ck_assert_int_eq(start(&s, nobody_there), LP_OK);
	name_of(name, "a");
	lp_store_put(s, name, &v, 1000 * LP_NS_PER_S);
	ck_assert(ask(s, "a"));
	ck_assert_uint_eq(lp_store_pending(s), 1);
	ck_assert_int_gt(lp_store_timeout(s), 0);
	wait_answers(s, 1);
	ck_assert_int_eq(answered, 0);
	ck_assert_uint_eq(lp_store_pending(s), 0);
	ck_assert_int_eq(lp_store_timeout(s), -1);
	lp_store_finish(s);
	lp_store_stats(s, &stats);
	ck_assert_uint_eq(stats.put, 1);
	ck_assert_uint_eq(stats.not_stored, 1);
	ck_assert_uint_eq(stats.asked, 1);
	ck_assert_uint_eq(stats.missed, 1);
	ck_assert_uint_ge(stats.errors, 1);
	lp_store_stop(s);
}
END_TEST

/* A process that hangs costs a wait, and never blocks; one that dies costs less. */
START_TEST(a_process_that_hangs)
{
	const struct lp_store_value v = value_of(1);
	struct lp_store_stats stats;
	uint8_t name[LP_STORE_NAME];
	uint64_t begun;
	struct lp_store *s;
	unsigned refused = 0;

	ck_assert_int_eq(start(&s, nobody_there), LP_OK);
	ck_assert_int_eq(kill(lp_store_pid(s), SIGSTOP), 0);
	ck_assert(ask(s, "a"));
	begun = lp_clock_mono();
	wait_answers(s, 1);
	ck_assert_uint_ge(lp_clock_mono() - begun, 400 * LP_NS_PER_MS);
	name_of(name, "a");
	begun = lp_clock_mono();
	for (int i = 0; i < 20000; i++)
		lp_store_put(s, name, &v, 1000 * LP_NS_PER_S);
	for (int i = 0; i < LP_STORE_QUEUE + 10; i++)
		refused += !ask(s, "a");
	ck_assert_uint_lt(lp_clock_mono() - begun, 2000 * LP_NS_PER_MS);
	ck_assert_uint_gt(refused, 0);
	lp_store_stats(s, &stats);
	ck_assert_uint_eq(stats.late, 1);
	ck_assert_uint_eq(stats.put, 20000);
	ck_assert_uint_gt(stats.put_dropped, 10000);
	ck_assert_uint_eq(stats.refused, refused);
	ck_assert_int_eq(kill(lp_store_pid(s), SIGKILL), 0);
	answers = 0;
	wait_answers(s, LP_STORE_QUEUE + 10 - (int)refused);
	for (int i = 0; i < 300 && lp_store_fd(s) >= 0; i++) {
		poll(NULL, 0, 10);
		lp_store_poll(s, on_answer);
	}
	ck_assert_int_eq(lp_store_fd(s), -1);
	ck_assert(!ask(s, "a"));
	lp_store_put(s, name, &v, 1000 * LP_NS_PER_S);
	lp_store_finish(s);
	lp_store_stop(s);
}
END_TEST

START_TEST(forgotten_askers_are_not_told)
{
	struct lp_store *s;

	ck_assert_int_eq(start(&s, nobody_there), LP_OK);
	ck_assert(ask(s, "a"));
	lp_store_forget(s, &answers);
	for (int i = 0; i < 100 && lp_store_pending(s); i++) {
		poll(NULL, 0, 10);
		lp_store_poll(s, on_answer);
	}
	ck_assert_uint_eq(lp_store_pending(s), 0);
	ck_assert_int_eq(answers, 0);
	lp_store_stop(s);
}
END_TEST

START_TEST(a_key_file_that_is_none)
{
	struct lp_store *s;

	write_file(client_key, "short", 0600);
	ck_assert_int_eq(start(&s, nobody_there), LP_E_ARG);
	ck_assert_ptr_nonnull(strstr(client_why, "at least 32 bytes"));
}
END_TEST
#else
START_TEST(left_out)
{
	struct lp_store *s;

	ck_assert_int_eq(start(&s, "memcached://a"), LP_E_ARG);
	ck_assert_ptr_nonnull(strstr(client_why, "built without memcached"));
	(void)ask;
	(void)wait_answers;
}
END_TEST
#endif

Suite *suite_store(void)
{
	Suite *s = suite_create("store");
	TCase *t = tcase_create("seal");

	tcase_add_test(t, sealed_and_opened);
	tcase_add_test(t, every_bit_counts);
	tcase_add_test(t, names_say_nothing);
	tcase_add_test(t, key_files);
	suite_add_tcase(s, t);
	t = tcase_create("process");
	tcase_set_timeout(t, 30);
	tcase_add_test(t, stored_and_found);
	tcase_add_test(t, nothing_in_clear);
	tcase_add_test(t, garbage);
	tcase_add_test(t, many_questions_go_together);
	tcase_add_test(t, what_waited_too_long_is_not_asked);
	tcase_add_test(t, trouble_is_said_once);
	tcase_add_loop_test(t, nonsense_ends_it, 0, 3);
	suite_add_tcase(s, t);
	t = tcase_create("client");
	tcase_set_timeout(t, 30);
	tcase_add_checked_fixture(t, client_setup, client_teardown);
#ifdef LP_WITH_MEMCACHED
	tcase_add_loop_test(t, wrong_servers, 0, sizeof wrong / sizeof wrong[0]);
	tcase_add_test(t, no_memcached_is_no_fault);
	tcase_add_test(t, a_process_that_hangs);
	tcase_add_test(t, forgotten_askers_are_not_told);
	tcase_add_test(t, a_key_file_that_is_none);
#else
	tcase_add_test(t, left_out);
#endif
	suite_add_tcase(s, t);
	return s;
}
