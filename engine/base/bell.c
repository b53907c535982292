#include "base/bell.h"

#include <poll.h>
#include <stdint.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum lp_err lp_bell_init(struct lp_bell *b)
{
	atomic_init(&b->armed, false);
	b->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	return b->fd < 0 ? LP_E_IO : LP_OK;
}

void lp_bell_clear(struct lp_bell *b)
{
	if (b->fd >= 0)
		(void)close(b->fd);
	b->fd = -1;
}

/* Both sides change armed in one step, and these steps have one order. If the other's comes
 * first, the sleeper sees all that was done before it when it looks again; else the other
 * finds the bell armed. */
void lp_bell_arm(struct lp_bell *b)
{
	(void)atomic_exchange(&b->armed, true);
}

void lp_bell_disarm(struct lp_bell *b)
{
	atomic_store(&b->armed, false);
}

void lp_bell_sleep(struct lp_bell *b, int other, int timeout_ms)
{
	struct pollfd fd[2] = {
		{ .fd = b->fd, .events = POLLIN },
		{ .fd = other, .events = POLLIN },
	};
	uint64_t rung;

	(void)poll(fd, other < 0 ? 1 : 2, timeout_ms);
	lp_bell_disarm(b);
	/* A ring that comes after this wakes the next sleep for nothing. */
	if (read(b->fd, &rung, sizeof rung) < 0)
		return;
}

void lp_bell_ring(struct lp_bell *b)
{
	const uint64_t one = 1;

	if (!atomic_exchange(&b->armed, false))
		return;
	/* Cannot fail but for a counter at its top, and then it is readable. */
	if (write(b->fd, &one, sizeof one) < 0)
		return;
}
