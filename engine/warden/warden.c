/* The warden's process: hardens itself, hears its configuration, reads keys, answers.
 *
 * It has a socket for each worker of the engine, the lines, numbered from fd on. It ends
 * when the first one does, that is with the engine. Signals that a terminal or
 * a service manager sends to all of us are not for it: the engine still needs its
 * answers while it closes. */
#define _GNU_SOURCE
#include "warden/warden.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/child.h"
#include "base/clock.h"
#include "base/log.h"
#include "warden/message.h"
#include "warden/reload.h"
#include "warden/service.h"

enum { TURN = 64 };

struct warden {
	int fd;                                  /* of the first line */
	struct pollfd line[LP_WARDEN_LINES];     /* fd -1: it has ended */
	unsigned lines;
	bool more;                               /* a line had more to say than we heard */
	pid_t parent;
	struct lp_crypto_set crypto;
	struct lp_keyring ring;
	struct lp_reload *reload;
	struct lp_message_options options;
	char crypto_name[LP_MESSAGE_NAME_MAX + 1];
	char passphrase_file[LP_MESSAGE_PATH_MAX + 1];
	char *paths[LP_MESSAGE_PATHS_MAX];
	uint8_t path_type[LP_MESSAGE_PATHS_MAX]; /* enum lp_message_type */
	size_t paths_n;
	bool locked;
	uint8_t datagram[LP_MESSAGE_MAX];
	struct lp_message message;
};

static bool send_all(struct warden *w, size_t n)
{
	return n && send(w->fd, w->datagram, n, MSG_NOSIGNAL) == (ssize_t)n;
}

static void warn(void *user, const char *line)
{
	struct warden *w = user;

	(void)send_all(w, lp_message_write_log(w->datagram, sizeof w->datagram, line));
}

/* Tells the engine why we end; returns the exit status. */
static int fault(struct warden *w, enum lp_err err, const char *line)
{
	(void)send_all(w, lp_message_write_fault(w->datagram, sizeof w->datagram, err, line));
	return 1;
}

/* Waits until there is something on a line. LP_EOF: the engine is gone. */
static enum lp_err listen_up(struct warden *w)
{
	sigset_t none;

	sigemptyset(&none);
	return ppoll(w->line, w->lines, NULL, &none) < 0 && getppid() != w->parent ? LP_EOF
										   : LP_OK;
}

/* A message of a line. LP_MORE: there is none. LP_EOF: the line has ended. */
static enum lp_err receive(struct warden *w, unsigned line)
{
	ssize_t n = recv(w->line[line].fd, w->datagram, sizeof w->datagram,
			 MSG_TRUNC | MSG_DONTWAIT);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return LP_MORE;
	if (n <= 0)
		return LP_EOF;
	if ((size_t)n > sizeof w->datagram)
		return LP_E_FORMAT;
	return lp_message_read(&w->message, lp_span_of(w->datagram, (size_t)n));
}

/* The next message of the first line, which is the only one that configures. */
static enum lp_err hear(struct warden *w)
{
	enum lp_err err;

	while ((err = receive(w, 0)) == LP_MORE)
		if (listen_up(w))
			return LP_EOF;
	return err;
}

static void copy_text(char *out, lp_span text)
{
	if (text.n)
		memcpy(out, text.p, text.n);
	out[text.n] = '\0';
}

static bool is_path(enum lp_message_type type)
{
	return type == LP_MESSAGE_PATH || type == LP_MESSAGE_PSKS || type == LP_MESSAGE_TICKETS;
}

/* The other lines. False: they are not what we were told. */
static bool take_lines(struct warden *w)
{
	for (unsigned i = 1; i < w->options.lines; i++) {
		int fd = w->fd + (int)i, type = 0;
		socklen_t n = sizeof type;

		if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &n) || type != SOCK_SEQPACKET)
			return false;
		w->line[i] = (struct pollfd){ fd, POLLIN, 0 };
	}
	return true;
}

/* OPTIONS, any number of paths, GO; nothing else and in that order. */
static enum lp_err hear_configuration(struct warden *w)
{
	enum lp_err err = hear(w);

	if (err || w->message.type != LP_MESSAGE_OPTIONS)
		return err ? err : LP_E_ORDER;
	w->options = w->message.options;
	if (!take_lines(w))
		return LP_E_FORMAT;
	copy_text(w->crypto_name, w->options.crypto);
	copy_text(w->passphrase_file, w->options.passphrase_file);
	while (!(err = hear(w)) && is_path(w->message.type)) {
		if (w->paths_n == LP_MESSAGE_PATHS_MAX)
			return LP_E_LIMIT;
		w->paths[w->paths_n] = strndup((const char *)w->message.text.p, w->message.text.n);
		if (!w->paths[w->paths_n])
			return LP_E_NOMEM;
		w->path_type[w->paths_n] = (uint8_t)w->message.type;
		w->paths_n++;
	}
	if (!err && w->message.type != LP_MESSAGE_GO)
		err = LP_E_ORDER;
	return err;
}

/* Ring and files. A line for a fault is in why. */
static enum lp_err load_keys(struct warden *w, char why[LP_KEYRING_LINE])
{
	const struct lp_reload_config config = {
		.fd = w->fd,
		.ring = &w->ring,
		.crypto = &w->crypto,
		.threads = lp_service_threads(w->options.threads),
		.life_ns = w->options.ticket_life_s * LP_NS_PER_S,
		.strict_modes = w->options.strict_key_modes,
		.follow = w->options.follow,
	};
	enum lp_err err = lp_reload_new(&w->reload, &config);

	if (!err && *w->passphrase_file)
		err = lp_keyring_passphrases(&w->ring, w->passphrase_file);
	for (size_t i = 0; !err && i < w->paths_n; i++) {
		if (w->path_type[i] == LP_MESSAGE_PATH)
			err = lp_reload_add_keys(w->reload, w->paths[i]);
		else if (w->path_type[i] == LP_MESSAGE_PSKS)
			err = lp_keyring_psks(&w->ring, w->paths[i]);
		else
			err = lp_reload_add_tickets(w->reload, w->paths[i]);
	}
	/* Keys that come later may need them. */
	if (!w->options.follow)
		lp_keyring_forget(&w->ring);
	if (err)
		snprintf(why, LP_KEYRING_LINE, "%s", w->reload && *lp_reload_why(w->reload)
			 ? lp_reload_why(w->reload) : *w->ring.why ? w->ring.why
			 : "out of memory while reading keys");
	return err;
}

/* What a line has to say. An allow-list: LP_E_ORDER is for what nobody here sends. */
static enum lp_err heed(struct warden *w, unsigned line, struct lp_service *service)
{
	enum lp_err err = LP_OK;
	unsigned n;

	/* A busy line does not keep us from the others. */
	for (n = 0; n < TURN && !(err = receive(w, line)); n++) {
		if (w->message.type == LP_MESSAGE_ASK)
			lp_service_ask(service, line, &w->message.ask);
		else if (w->message.type == LP_MESSAGE_RELOAD && line == 0)
			lp_reload_now(w->reload);
		else
			return LP_E_ORDER;
	}
	w->more = w->more || n == TURN;
	if (err == LP_EOF && line) { /* that worker has ended */
		w->line[line].fd = -1;
		return LP_OK;
	}
	return err == LP_MORE ? LP_OK : err;
}

static enum lp_err heed_all(struct warden *w, struct lp_service *service)
{
	enum lp_err err = listen_up(w);

	w->more = false;
	for (unsigned i = 0; !err && i < w->lines; i++)
		if (w->line[i].revents)
			err = heed(w, i, service);
	return err;
}

static int serve(struct warden *w)
{
	int fd[LP_WARDEN_LINES];
	const struct lp_service_config config = {
		.fd = fd,
		.lines = w->options.lines,
		.ring = &w->ring,
		.tickets = lp_reload_tickets(w->reload),
		.crypto = &w->crypto,
		.threads = w->options.threads,
		.delay_ms = w->options.delay_ms,
	};
	struct lp_service *service;
	enum lp_err err;

	w->lines = config.lines;
	for (unsigned i = 0; i < w->lines; i++)
		fd[i] = w->line[i].fd;
	err = lp_service_new(&service, &config);
	if (err)
		return fault(w, err, "the key process cannot start its threads");
	w->ring.wiping = lp_service_forget;
	w->ring.who = service;
	err = lp_reload_tell(w->reload);
	if (!err && lp_reload_start(w->reload))
		warn(w, "files with keys are not followed: no thread can be started for that");
	while (!err) {
		if (!w->more)
			lp_service_rest(service);
		err = heed_all(w, service);
	}
	/* Or a thread could wait for ever for somebody to read its answer. */
	for (unsigned i = 0; i < w->lines; i++)
		(void)shutdown(fd[i], SHUT_RDWR);
	lp_reload_stop(w->reload);
	lp_service_free(service);
	if (err == LP_EOF)
		return 0;
	lp_log("key process: a message that nobody here sends; ending");
	return 1;
}

static int run(struct warden *w)
{
	char line[LP_KEYRING_LINE];
	enum lp_err err = hear_configuration(w);

	if (err == LP_EOF)
		return 0;
	if (err)
		return fault(w, LP_E_ORDER, "the key process does not understand its "
			     "configuration (is the helper of this very version?)");
	err = lp_crypto_choose(&w->crypto, w->crypto_name);
	if (err) {
		snprintf(line, sizeof line, "crypto provider %s: %s", w->crypto_name,
			 lp_err_text(err));
		return fault(w, err, line);
	}
	lp_keyring_init(&w->ring, &w->crypto, warn, w);
	w->ring.strict_modes = w->options.strict_key_modes;
	err = load_keys(w, line);
	if (err)
		return fault(w, err, line);
	/* What was read is closed; what follows the files stays open. */
	lp_child_close_others(w->fd, w->options.lines);
	err = lp_reload_hold(w->reload);
	if (err)
		return fault(w, err, lp_reload_why(w->reload));
	if (!w->locked && (w->ring.n || lp_reload_tickets(w->reload)))
		warn(w, "keys may be swapped to disk: the limit of locked memory is too low");
	return serve(w);
}

int lp_warden_main(int fd)
{
	struct warden *w;
	bool locked;
	int status = 1;

	locked = lp_secret_harden_process();
	lp_child_settle("limpid-warden");
	if (lp_child_lock_all())
		locked = true;
	w = lp_secret_alloc(sizeof *w);
	if (!w) {
		lp_log("key process: out of memory");
		return 1;
	}
	w->fd = fd;
	w->line[0] = (struct pollfd){ fd, POLLIN, 0 };
	w->lines = 1;
	w->parent = getppid();
	w->locked = locked;
	status = run(w);
	lp_reload_free(w->reload);
	lp_keyring_clear(&w->ring);
	for (size_t i = 0; i < w->paths_n; i++)
		free(w->paths[i]);
	lp_secret_free(w, sizeof *w);
	return status;
}
