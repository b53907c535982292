/* The place where the session store keeps things: memcached servers, by libmemcached.
 *
 * Names are spread over the servers by consistent hashing (ketama), so that all sensors that
 * name the same servers find each other's values and a server that is lost costs its own
 * share only. A server that does not answer in time is left out for RETRY_S seconds, and
 * the others take its share. Every call returns within a few time-outs. */
#include <libmemcached/memcached.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "store/process.h"

enum { RETRY_S = 2, SERVERS_MAX = 64, PORT = 11211, HOST_MAX = 255, MONTH_S = 30 * 86400 };

struct lp_place {
	memcached_st *mc;
	char trouble[LP_CHILD_WHY];
	uint64_t trouble_until;
};

/* "host", "host:port", "[2001:db8::1]:port" */
static int add_server(memcached_st *mc, const char *word, size_t n, char *why)
{
	char host[HOST_MAX + 1], *end;
	const char *from = word, *colon = NULL;
	size_t host_n = n;
	unsigned long port = PORT;

	if (n && word[0] == '[') {
		const char *close = memchr(word, ']', n);

		from = word + 1;
		host_n = close ? (size_t)(close - from) : 0;
		colon = close && (size_t)(close + 1 - word) < n ? close + 1 : NULL;
	} else if ((colon = memchr(word, ':', n)) != NULL) {
		host_n = (size_t)(colon - word);
	}
	if (colon)
		port = *colon == ':' ? strtoul(colon + 1, &end, 10) : 0;
	if (!host_n || host_n > HOST_MAX || !port || port > 65535 ||
	    (colon && (end == colon + 1 || end != word + n))) {
		snprintf(why, LP_CHILD_WHY, "session store: '%.*s' is not host:port", (int)(n < 100 ? n : 100),
			 word);
		return -1;
	}
	memcpy(host, from, host_n);
	host[host_n] = '\0';
	if (memcached_server_add(mc, host, (in_port_t)port) == MEMCACHED_SUCCESS)
		return 0;
	snprintf(why, LP_CHILD_WHY, "session store: libmemcached does not take %.200s", host);
	return -1;
}

static int add_servers(memcached_st *mc, const char *servers, char *why)
{
	static const char scheme[] = "memcached://";
	size_t n, count = 0;

	if (strncmp(servers, scheme, sizeof scheme - 1) != 0) {
		snprintf(why, LP_CHILD_WHY, "session store: '%.100s' does not begin with %s", servers,
			 scheme);
		return -1;
	}
	servers += sizeof scheme - 1;
	do {
		n = strcspn(servers, ",");
		if (++count > SERVERS_MAX) {
			snprintf(why, LP_CHILD_WHY, "session store: more than %d servers", SERVERS_MAX);
			return -1;
		}
		if (add_server(mc, servers, n, why))
			return -1;
		servers += n + 1;
	} while (servers[-1]);
	return 0;
}

static bool set_up(memcached_st *mc, unsigned timeout_ms)
{
	const struct {
		memcached_behavior_t what;
		uint64_t value;
	} behaviour[] = {
		{ MEMCACHED_BEHAVIOR_DISTRIBUTION, MEMCACHED_DISTRIBUTION_CONSISTENT_KETAMA },
		{ MEMCACHED_BEHAVIOR_BINARY_PROTOCOL, 1 },
		{ MEMCACHED_BEHAVIOR_NO_BLOCK, 1 },
		{ MEMCACHED_BEHAVIOR_TCP_NODELAY, 1 },
		{ MEMCACHED_BEHAVIOR_CONNECT_TIMEOUT, timeout_ms },
		{ MEMCACHED_BEHAVIOR_POLL_TIMEOUT, timeout_ms },
		{ MEMCACHED_BEHAVIOR_SND_TIMEOUT, timeout_ms * 1000ULL },
		{ MEMCACHED_BEHAVIOR_RCV_TIMEOUT, timeout_ms * 1000ULL },
		{ MEMCACHED_BEHAVIOR_RETRY_TIMEOUT, RETRY_S },
		{ MEMCACHED_BEHAVIOR_SERVER_FAILURE_LIMIT, 1 },
		{ MEMCACHED_BEHAVIOR_AUTO_EJECT_HOSTS, 1 },
		{ MEMCACHED_BEHAVIOR_DEAD_TIMEOUT, RETRY_S },
	};

	for (size_t i = 0; i < sizeof behaviour / sizeof behaviour[0]; i++)
		if (memcached_behavior_set(mc, behaviour[i].what, behaviour[i].value) !=
		    MEMCACHED_SUCCESS)
			return false;
	return true;
}

static enum lp_err place_open(struct lp_place **out, const char *servers, unsigned timeout_ms,
			      char *why)
{
	struct lp_place *p = calloc(1, sizeof *p);

	*out = NULL;
	snprintf(why, LP_CHILD_WHY, "session store: out of memory");
	if (p)
		p->mc = memcached_create(NULL);
	if (!p || !p->mc) {
		free(p);
		return LP_E_NOMEM;
	}
	if (!set_up(p->mc, timeout_ms))
		snprintf(why, LP_CHILD_WHY, "session store: this libmemcached lacks what is needed");
	else if (!add_servers(p->mc, servers, why)) {
		*out = p;
		return LP_OK;
	}
	memcached_free(p->mc);
	free(p);
	return LP_E_ARG;
}

static bool is_trouble(memcached_return_t rc)
{
	return rc != MEMCACHED_SUCCESS && rc != MEMCACHED_NOTFOUND && rc != MEMCACHED_END &&
	       rc != MEMCACHED_STORED && rc != MEMCACHED_BUFFERED;
}

/* A server with which something is wrong. */
struct failing {
	const memcached_instance_st *server;
	memcached_return_t rc;
};

/* One that cannot be reached shows in no return code when others were asked too. */
static memcached_return_t look_at(const memcached_st *mc, const memcached_instance_st *server,
				  void *user)
{
	const memcached_return_t rc = memcached_server_error_return(server);
	struct failing *f = user;

	(void)mc;
	if (is_trouble(rc))
		*f = (struct failing){ server, rc };
	return MEMCACHED_SUCCESS;
}

static struct failing failing(const struct lp_place *p)
{
	memcached_server_fn each[] = { look_at };
	struct failing f = { NULL, MEMCACHED_SUCCESS };

	(void)memcached_server_cursor(p->mc, each, &f, 1);
	return f;
}

/* A server that is down is retried every RETRY_S: it works again when none of them has
 * complained for longer. */
static void note(struct lp_place *p, memcached_return_t rc)
{
	const struct failing f = failing(p);

	if (!*p->trouble && f.server)
		snprintf(p->trouble, sizeof p->trouble, "%.255s:%u: %s",
			 memcached_server_name(f.server),
			 (unsigned)memcached_server_port(f.server), memcached_strerror(p->mc, f.rc));
	else if (!*p->trouble)
		snprintf(p->trouble, sizeof p->trouble, "%s", memcached_strerror(p->mc, rc));
	p->trouble_until = lp_clock_mono() + 3 * RETRY_S * LP_NS_PER_S;
}

static const char *place_trouble(struct lp_place *p)
{
	if (*p->trouble && lp_clock_mono() > p->trouble_until)
		*p->trouble = '\0';
	return *p->trouble ? p->trouble : NULL;
}

static unsigned get_once(struct lp_place *p, const char (*names)[LP_SEALED_NAME], size_t n,
			 lp_place_found *found, void *user)
{
	const char *key[LP_PLACE_BATCH * LP_STORE_NAMES];
	size_t length[LP_PLACE_BATCH * LP_STORE_NAMES];
	memcached_result_st result, *r; /* one on the heap would be freed for us at the end */
	memcached_return_t rc;
	unsigned errors = 0;

	for (size_t i = 0; i < n; i++) {
		key[i] = names[i];
		length[i] = LP_SEALED_NAME - 1;
	}
	rc = memcached_mget(p->mc, key, length, n);
	if (is_trouble(rc)) {
		note(p, rc);
		errors++;
	}
	memcached_result_create(p->mc, &result);
	while ((r = memcached_fetch_result(p->mc, &result, &rc)) != NULL) {
		const char *name = memcached_result_key_value(r);
		const size_t name_n = memcached_result_key_length(r);

		for (size_t i = 0; i < n; i++)
			if (name_n == length[i] && !memcmp(name, key[i], name_n))
				found(user, i, lp_span_of(memcached_result_value(r),
							  memcached_result_length(r)));
	}
	memcached_result_free(&result);
	if (!errors && !is_trouble(rc))
		rc = failing(p).rc;
	if (!errors && is_trouble(rc)) {
		note(p, rc);
		errors++;
	}
	return errors;
}

/* The library notices that a server fails, leaves it out when it is next to be used, and
 * the third time asks those that took over. Only the first costs time. */
enum { TRIES = 3 };

static unsigned place_get(struct lp_place *p, const char (*names)[LP_SEALED_NAME], size_t n,
			  lp_place_found *found, void *user)
{
	unsigned errors = 0, now;

	for (int i = 0; i < TRIES && (now = get_once(p, names, n, found, user)) != 0; i++)
		errors += now;
	return errors;
}

static bool put_once(struct lp_place *p, const char *name, lp_span value, uint64_t life)
{
	/* What is longer than a month is a date for memcached. */
	time_t end = life <= MONTH_S ? (time_t)life : time(NULL) + (time_t)life;
	memcached_return_t rc = memcached_set(p->mc, name, LP_SEALED_NAME - 1, (const char *)value.p,
					      value.n, end, 0);

	if (is_trouble(rc))
		note(p, rc);
	return rc == MEMCACHED_SUCCESS || rc == MEMCACHED_STORED || rc == MEMCACHED_BUFFERED;
}

static bool place_put(struct lp_place *p, const char *name, lp_span value, uint64_t life)
{
	for (int i = 0; i < TRIES; i++)
		if (put_once(p, name, value, life))
			return true;
	return false;
}

static void place_close(struct lp_place *p)
{
	memcached_free(p->mc);
	free(p);
}

const struct lp_place_ops lp_place_memcached = {
	.open = place_open,
	.get = place_get,
	.put = place_put,
	.trouble = place_trouble,
	.close = place_close,
};
