#define _GNU_SOURCE
#include "warden/haproxy.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/child.h"
#include "base/log.h"

enum { ASK_MS = 500, PATIENCE_MS = 2000 };
enum { KEYS = 'K', FAULT = 'E' }; /* first byte of a datagram to the warden */

/* ---- the process that asks ---- */

/* Secret memory. */
struct asker {
	int fd;                     /* the warden */
	struct sockaddr_un address;
	char shown[256];
	uint8_t now[1 + LP_HAPROXY_TEXT], last[1 + LP_HAPROXY_TEXT];
	size_t now_n, last_n;
};

LP_PRINTF(2, 3)
static void say(struct asker *a, const char *format, ...)
{
	va_list args;
	int n;

	a->now[0] = FAULT;
	va_start(args, format);
	n = vsnprintf((char *)a->now + 1, LP_HAPROXY_WHY, format, args);
	va_end(args);
	a->now_n = 1 + (n < LP_HAPROXY_WHY ? (size_t)n : LP_HAPROXY_WHY - 1);
}

/* Waits for an answer's next part. */
static ssize_t receive(int s, void *room, size_t n)
{
	struct pollfd p = { s, POLLIN, 0 };
	int r;

	while ((r = poll(&p, 1, PATIENCE_MS)) < 0 && errno == EINTR)
		;
	if (r == 0)
		errno = ETIMEDOUT;
	return r <= 0 ? -1 : recv(s, room, n, 0);
}

static void hear_haproxy(struct asker *a, int s)
{
	ssize_t got;

	a->now[0] = KEYS;
	a->now_n = 1;
	while ((got = receive(s, a->now + a->now_n, sizeof a->now - a->now_n)) > 0) {
		a->now_n += (size_t)got;
		if (a->now_n == sizeof a->now) {
			say(a, "%s: more keys than %d bytes of text", a->shown, LP_HAPROXY_TEXT);
			return;
		}
	}
	if (got < 0)
		say(a, "%s: %s", a->shown, strerror(errno));
}

/* Leaves the answer, or why there is none, in now. */
static void ask(struct asker *a)
{
	static const char question[] = "show tls-keys *\n";
	int s = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (s < 0 || connect(s, (const struct sockaddr *)&a->address, sizeof a->address) ||
	    send(s, question, sizeof question - 1, MSG_NOSIGNAL) != sizeof question - 1)
		say(a, "%s: %s", a->shown, strerror(errno));
	else
		hear_haproxy(a, s);
	if (s >= 0)
		close(s);
}

static bool tell(struct asker *a)
{
	if (a->now_n == a->last_n && lp_equal_ct(a->now, a->last, a->now_n))
		return true;
	if (send(a->fd, a->now, a->now_n, MSG_NOSIGNAL) != (ssize_t)a->now_n)
		return false;
	lp_wipe(a->last, a->last_n);
	memcpy(a->last, a->now, a->now_n);
	a->last_n = a->now_n;
	return true;
}

/* True once the warden is gone, of which its end of the socket tells. */
static bool is_over(struct asker *a)
{
	struct pollfd p = { a->fd, POLLIN, 0 };
	char byte;

	return poll(&p, 1, ASK_MS) > 0 && recv(a->fd, &byte, 1, MSG_DONTWAIT) <= 0;
}

static int serve(struct asker *a)
{
	ssize_t n = recv(a->fd, a->address.sun_path, sizeof a->address.sun_path - 1, 0);

	if (n <= 0)
		return 1;
	a->address.sun_family = AF_UNIX;
	lp_text_escape(a->shown, sizeof a->shown, a->address.sun_path, (size_t)n);
	do {
		ask(a);
		if (!tell(a))
			return 0;
		lp_wipe(a->now, a->now_n);
	} while (!is_over(a));
	return 0;
}

int lp_haproxy_main(int fd)
{
	struct asker *a;
	int status;

	(void)lp_secret_harden_process();
	lp_child_settle("limpid-haproxy");
	if (!lp_child_lock_all())
		errno = 0; /* the warden has said so */
	lp_child_close_others(fd, 1);
	a = lp_secret_alloc(sizeof *a);
	if (!a)
		return 1;
	a->fd = fd;
	status = serve(a);
	lp_secret_free(a, sizeof *a);
	return status;
}

/* ---- the warden's side ---- */

struct lp_haproxy {
	struct lp_child child;
	uint8_t *text; /* secret memory */
};

enum { ROOM = 1 + LP_HAPROXY_TEXT };

enum lp_err lp_haproxy_start(struct lp_haproxy **out, const char *path, char why[LP_HAPROXY_WHY])
{
	struct lp_haproxy *h = calloc(1, sizeof *h);
	struct sockaddr_un address;
	size_t n = strlen(path);
	enum lp_err err = LP_E_NOMEM;
	char shown[256];

	*out = NULL;
	snprintf(why, LP_HAPROXY_WHY, "out of memory");
	if (!h)
		return LP_E_NOMEM;
	h->child = LP_CHILD_NONE;
	h->text = lp_secret_alloc(ROOM);
	if (h->text && (!n || n >= sizeof address.sun_path)) {
		lp_text_escape(shown, sizeof shown, path, n);
		snprintf(why, LP_HAPROXY_WHY, "-t haproxy:%s: no name of a socket", shown);
		err = LP_E_ARG;
	} else if (h->text) {
		err = lp_child_start(&h->child, NULL, LP_HAPROXY_ARG, "the process that asks HAProxy",
				     why);
		if (!err && send(h->child.fd, path, n, MSG_NOSIGNAL) != (ssize_t)n)
			err = LP_E_IO;
	}
	if (err) {
		lp_haproxy_stop(h);
		return err;
	}
	why[0] = '\0';
	*out = h;
	return LP_OK;
}

void lp_haproxy_stop(struct lp_haproxy *h)
{
	if (!h)
		return;
	lp_child_stop(&h->child, LP_CHILD_STOP_MS);
	lp_secret_free(h->text, ROOM);
	free(h);
}

int lp_haproxy_fd(const struct lp_haproxy *h)
{
	return h->child.fd;
}

enum lp_err lp_haproxy_hear(struct lp_haproxy *h, int timeout_ms, lp_span *text,
			    char why[LP_HAPROXY_WHY])
{
	struct pollfd p = { h->child.fd, POLLIN, 0 };
	char how[64];
	ssize_t n;

	lp_wipe(h->text, ROOM);
	if (h->child.fd < 0 || poll(&p, 1, timeout_ms) <= 0)
		return LP_MORE;
	n = recv(h->child.fd, h->text, ROOM, MSG_DONTWAIT | MSG_TRUNC);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return LP_MORE;
	if (n <= 0 || n > ROOM) {
		snprintf(why, LP_HAPROXY_WHY, "the process that asks HAProxy has ended (%s)",
			 lp_child_ending(&h->child, how, sizeof how));
		lp_child_stop(&h->child, 0);
		return LP_EOF;
	}
	if (h->text[0] == FAULT) {
		snprintf(why, LP_HAPROXY_WHY, "%.*s", (int)n - 1, (const char *)h->text + 1);
		return LP_E_IO;
	}
	*text = lp_span_of(h->text + 1, (size_t)n - 1);
	return LP_OK;
}
