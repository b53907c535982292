#define _GNU_SOURCE
#include "warden/line.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"

enum { LENGTH = 3, AT_ONCE = 16 };

struct lp_line {
	struct lp_line_config config;
	bool dead;
	size_t pending;
	size_t queued;         /* of them, not sent yet */
	struct lp_buf out;     /* questions that were not sent yet: length ‖ datagram */
	uint8_t *bytes;        /* the question that is being written */
	uint8_t *in;           /* what comes in; secret memory */
	struct lp_message *message; /* the same, read; secret memory */
};

enum lp_err lp_line_new(struct lp_line **out, const struct lp_line_config *config)
{
	struct lp_line *l = calloc(1, sizeof *l);

	*out = NULL;
	if (!l) {
		close(config->fd);
		return LP_E_NOMEM;
	}
	l->config = *config;
	lp_buf_init(&l->out, (size_t)LP_WARDEN_QUEUE * (LP_MESSAGE_ASK_ROOM + LENGTH));
	l->bytes = malloc(LENGTH + LP_MESSAGE_MAX);
	l->in = lp_secret_alloc(config->datagram);
	l->message = lp_secret_alloc(sizeof *l->message);
	if (!l->bytes || !l->in || !l->message) {
		lp_line_free(l);
		return LP_E_NOMEM;
	}
	*out = l;
	return LP_OK;
}

void lp_line_free(struct lp_line *l)
{
	if (!l)
		return;
	close(l->config.fd);
	lp_secret_free(l->message, sizeof *l->message);
	lp_secret_free(l->in, l->config.datagram);
	lp_buf_clear(&l->out);
	free(l->bytes);
	free(l);
}

static enum lp_err die(struct lp_line *l)
{
	if (!l->dead) {
		l->dead = true;
		(void)shutdown(l->config.fd, SHUT_RDWR);
		l->config.ended(l->config.user);
	}
	return LP_E_IO;
}

size_t lp_line_room(const struct lp_line *l)
{
	return l->config.room;
}

size_t lp_line_pending(const struct lp_line *l)
{
	return l->pending;
}

size_t lp_line_queued(const struct lp_line *l)
{
	return l->queued;
}

int lp_line_fd(const struct lp_line *l)
{
	return l->config.fd;
}

/* The first datagrams that are queued, as many as go in one call. */
static unsigned first_queued(const struct lp_line *l, struct mmsghdr m[AT_ONCE],
			     struct iovec v[AT_ONCE])
{
	struct lp_cursor c = lp_cursor_span(lp_buf_span(&l->out));
	unsigned n = 0;

	for (; n < AT_ONCE && lp_cursor_left(&c); n++) {
		const lp_span datagram = lp_cursor_vec24(&c);

		v[n] = (struct iovec){ (void *)(uintptr_t)datagram.p, datagram.n };
		m[n] = (struct mmsghdr){ .msg_hdr = { .msg_iov = &v[n], .msg_iovlen = 1 } };
	}
	return n;
}

enum lp_err lp_line_flush(struct lp_line *l)
{
	struct mmsghdr m[AT_ONCE];
	struct iovec v[AT_ONCE];
	unsigned n;
	int sent;

	while (!l->dead && (n = first_queued(l, m, v))) {
		sent = sendmmsg(l->config.fd, m, n, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (sent < 0 && (errno == EAGAIN || errno == ENOBUFS || errno == ENOMEM))
			return LP_MORE;
		if (sent < 0 && errno != EINTR)
			return die(l);
		for (int i = 0; i < sent; i++)
			lp_buf_consume(&l->out, v[i].iov_len + LENGTH);
		l->queued -= sent > 0 ? (size_t)sent : 0;
	}
	return LP_OK;
}

enum lp_err lp_line_ask(struct lp_line *l, const struct lp_ask *ask)
{
	size_t n;
	enum lp_err err;

	if (l->dead)
		return LP_E_IO;
	if (l->pending == l->config.room)
		return LP_E_LIMIT;
	n = lp_message_write_ask(l->bytes + LENGTH, LP_MESSAGE_MAX, ask);
	if (!n)
		return LP_E_ARG;
	for (size_t i = 0; i < LENGTH; i++)
		l->bytes[i] = (uint8_t)(n >> (8 * (LENGTH - 1 - i)));
	err = lp_buf_append(&l->out, l->bytes, n + LENGTH);
	if (!err) {
		l->pending++;
		l->queued++;
	}
	return err;
}

/* An answer, and the others that came with it. */
static enum lp_err hand_out(struct lp_line *l, lp_warden_answer *cb, void *user, size_t *heard)
{
	struct lp_message *m = l->message;
	enum lp_err err = LP_OK;

	for (; !err && l->pending; err = lp_message_next_answer(m)) {
		l->pending--;
		++*heard;
		cb(user, &m->answer);
	}
	return err == LP_EOF ? LP_OK : LP_E_FORMAT; /* more than we have asked */
}

/* One message, if there is one. LP_MORE: there is none. *heard counts answers. */
static enum lp_err receive(struct lp_line *l, lp_warden_answer *cb, void *user, size_t *heard)
{
	const size_t room = l->config.datagram;
	struct lp_message *m = l->message;
	enum lp_err err;
	ssize_t n;

	n = recv(l->config.fd, l->in, room, MSG_DONTWAIT | MSG_TRUNC);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return LP_MORE;
	if (n <= 0 || (size_t)n > room || lp_message_read(m, lp_span_of(l->in, (size_t)n)))
		return die(l);
	if (m->type != LP_MESSAGE_ANSWER || !l->pending)
		return l->config.overhear(l->config.user, m) ? die(l) : LP_OK;
	err = hand_out(l, cb, user, heard);
	lp_wipe(l->in, (size_t)n);
	lp_wipe(&m->answer, sizeof m->answer);
	return err ? die(l) : LP_OK;
}

enum lp_err lp_line_poll(struct lp_line *l, int timeout_ms, lp_warden_answer *cb, void *user)
{
	const uint64_t start = lp_clock_mono();
	size_t heard = 0;
	enum lp_err err;

	if (l->dead)
		return LP_E_IO;
	for (;;) {
		struct pollfd p = { l->config.fd, POLLIN, 0 };
		int left = timeout_ms;

		err = timeout_ms ? lp_line_flush(l) : LP_OK;
		if (err < 0)
			return err;
		if (err == LP_MORE)
			p.events |= POLLOUT;
		/* A callback that asks again must not keep us here for ever. */
		do
			err = receive(l, cb, user, &heard);
		while (!err && heard < LP_WARDEN_QUEUE);
		if (err < 0)
			return err;
		if (heard || !l->pending || !timeout_ms)
			return LP_OK;
		if (timeout_ms > 0) {
			uint64_t gone = (lp_clock_mono() - start) / LP_NS_PER_MS;

			if (gone >= (uint64_t)timeout_ms)
				return LP_OK;
			left = timeout_ms - (int)gone;
		}
		if (poll(&p, 1, left) < 0) /* a signal: the caller may want to know */
			return LP_OK;
	}
}
