/* lp_haproxy: the ticket keys of a running HAProxy, from its admin socket. HAProxy takes
 * new keys there ("set ssl tls-key") and never writes them down, so its file grows old.
 *
 * The socket is opened by a process of its own, which asks `show tls-keys *` twice a
 * second and hands on what has changed; the warden makes no sockets itself.
 *
 * Owner: the warden; lp_haproxy_stop(). */
#ifndef LP_WARDEN_HAPROXY_H
#define LP_WARDEN_HAPROXY_H

#include "base/secret.h"

enum { LP_HAPROXY_WHY = 512, LP_HAPROXY_TEXT = 60000 };

/* How -t names a socket. */
#define LP_HAPROXY_PREFIX "haproxy:"

/* The argument by which limpid's main knows that it is to be that process, and what it
 * then calls. Returns an exit status. */
#define LP_HAPROXY_ARG "--haproxy-process"
int lp_haproxy_main(int fd);

struct lp_haproxy;

/* path: of the socket. LP_E_IO with a line in why. */
LP_MUST enum lp_err lp_haproxy_start(struct lp_haproxy **out, const char *path,
				     char why[LP_HAPROXY_WHY]);
void lp_haproxy_stop(struct lp_haproxy *h);

/* Readable when there is something to hear; -1 once the process has ended. */
int lp_haproxy_fd(const struct lp_haproxy *h);

/* What has come, waiting at most timeout_ms. LP_OK: *text, secret and good until the
 * next call, are the keys as HAProxy shows them. LP_MORE: nothing. LP_E_IO: a line in
 * why; it goes on asking. LP_EOF: the process has ended, as why says. */
LP_MUST enum lp_err lp_haproxy_hear(struct lp_haproxy *h, int timeout_ms, lp_span *text,
				    char why[LP_HAPROXY_WHY]);

#endif
