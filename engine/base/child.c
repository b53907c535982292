#define _GNU_SOURCE
#include "base/child.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"

enum { CHILD_FD = 3 };

/* Async-signal-safe from here to exec: we may be one of many threads. Descriptors
 * 0 and 1 become /dev/null, 2 stays, CHILD_FD and up are the sockets, all else is closed
 * by exec. If exec fails, its errno goes to report. */
_Noreturn static void become(const char *helper, char *arg, int *sock, size_t n, int report)
{
	char name[] = "limpid", fd[] = "3";
	char *argv[] = { name, arg, fd, NULL };
	const int end = CHILD_FD + (int)n;
	bool ok = true;
	int null, why;

	/* Out of the way first: one may lie where another is to be. */
	for (size_t i = 0; ok && i < n; i++)
		ok = (sock[i] = fcntl(sock[i], F_DUPFD_CLOEXEC, end)) >= 0;
	report = fcntl(report, F_DUPFD_CLOEXEC, end);
	null = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (!ok || null < 0 || dup2(null, 0) < 0 || dup2(null, 1) < 0 ||
	    (fcntl(2, F_GETFD) < 0 && dup2(null, 2) < 0))
		goto out;
	for (size_t i = 0; i < n; i++)
		if (dup2(sock[i], CHILD_FD + (int)i) < 0)
			goto out;
	if (close_range((unsigned)end, ~0U, CLOSE_RANGE_CLOEXEC)) {
		struct rlimit files = { 0, 0 };

		(void)getrlimit(RLIMIT_NOFILE, &files);
		for (int i = end; (rlim_t)i < files.rlim_cur; i++)
			(void)fcntl(i, F_SETFD, FD_CLOEXEC);
	}
	execv(helper, argv);
out:
	why = errno;
	(void)!write(report, &why, sizeof why);
	_exit(127);
}

static void close_all(int *fd, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (fd[i] >= 0)
			close(fd[i]);
		fd[i] = -1;
	}
}

/* Ours and theirs. Returns an errno. */
static int make_sockets(int *ours, int *theirs, size_t n)
{
	for (size_t i = 0; i < n; i++)
		ours[i] = theirs[i] = -1;
	for (size_t i = 0; i < n; i++) {
		int pair[2];

		if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair))
			return errno;
		ours[i] = pair[0];
		theirs[i] = pair[1];
	}
	return 0;
}

/* Forks with all signals blocked, so that no handler of ours runs in the child, which
 * sets its own mask. Returns an errno, that of exec too. */
static int spawn(struct lp_child *c, const char *helper, const char *arg, int *theirs, size_t n)
{
	int report[2], code = 0;
	char word[32];
	sigset_t all, before;

	snprintf(word, sizeof word, "%s", arg);
	if (pipe2(report, O_CLOEXEC))
		return errno;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	c->pid = fork();
	if (c->pid == 0)
		become(helper, word, theirs, n, report[1]);
	code = c->pid < 0 ? errno : 0;
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	close(report[1]);
	if (!code)
		while (read(report[0], &code, sizeof code) < 0 && errno == EINTR)
			;
	close(report[0]);
	return code;
}

enum lp_err lp_child_start_lines(struct lp_child *c, const char *helper, const char *arg,
				 const char *what, char *why, int *fd, size_t n)
{
	int theirs[LP_CHILD_SOCKETS];
	int code;

	assert(n && n <= LP_CHILD_SOCKETS);
	*c = LP_CHILD_NONE;
	helper = helper ? helper : "/proc/self/exe";
	code = make_sockets(fd, theirs, n);
	if (!code)
		code = spawn(c, helper, arg, theirs, n);
	close_all(theirs, n);
	if (!code) {
		c->fd = fd[0];
		return LP_OK;
	}
	close_all(fd, n);
	snprintf(why, LP_CHILD_WHY, "cannot start %s %s: %s", what, helper, strerror(code));
	return LP_E_IO;
}

enum lp_err lp_child_start(struct lp_child *c, const char *helper, const char *arg,
			   const char *what, char *why)
{
	int fd;

	return lp_child_start_lines(c, helper, arg, what, why, &fd, 1);
}

/* Waits up to ms for the child to end. True: it has, *status is how (-1 if somebody
 * else took its status). */
static bool reap(struct lp_child *c, unsigned ms, int *status)
{
	const uint64_t end = lp_clock_mono() + ms * LP_NS_PER_MS;
	struct timespec nap = { 0, 1000000 };
	pid_t got;

	*status = -1;
	while ((got = waitpid(c->pid, status, WNOHANG)) == 0 || (got < 0 && errno == EINTR)) {
		if (lp_clock_mono() >= end)
			return false;
		nanosleep(&nap, NULL);
		if (nap.tv_nsec < 32000000)
			nap.tv_nsec *= 2;
	}
	if (got < 0)
		*status = -1;
	c->pid = -1;
	return true;
}

const char *lp_child_ending(struct lp_child *c, char *out, size_t size)
{
	int status;

	if (c->pid < 0 || !reap(c, LP_CHILD_STOP_MS, &status) || status == -1)
		snprintf(out, size, "it closed its socket");
	else if (WIFSIGNALED(status))
		snprintf(out, size, "killed by signal %d", WTERMSIG(status));
	else
		snprintf(out, size, "exit status %d", WEXITSTATUS(status));
	return out;
}

void lp_child_stop(struct lp_child *c, unsigned ms)
{
	int status;

	if (c->fd >= 0)
		close(c->fd);
	if (c->pid > 0 && !reap(c, ms, &status)) {
		(void)kill(c->pid, SIGKILL);
		while (waitpid(c->pid, &status, 0) < 0 && errno == EINTR)
			;
	}
	*c = LP_CHILD_NONE;
}

/* ---- in the process ---- */

/* Only there to interrupt ppoll(). */
static void on_parent_death(int signal_number)
{
	(void)signal_number;
}

void lp_child_settle(const char *name)
{
	static const int ignored[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGPIPE, SIGUSR2, SIGALRM };
	struct sigaction act = { .sa_handler = SIG_IGN };
	sigset_t blocked;

	for (size_t i = 0; i < sizeof ignored / sizeof *ignored; i++)
		sigaction(ignored[i], &act, NULL);
	act.sa_handler = on_parent_death;
	sigaction(SIGUSR1, &act, NULL);
	sigemptyset(&blocked);
	sigaddset(&blocked, SIGUSR1);
	sigprocmask(SIG_SETMASK, &blocked, NULL);
	/* The engine may end without our socket closing, if it left a child behind. */
	(void)prctl(PR_SET_PDEATHSIG, SIGUSR1, 0, 0, 0);
	(void)prctl(PR_SET_NAME, name, 0, 0, 0);
}

/* Everything, not just our slabs: the libraries' numbers live on the heap. Under a
 * limit this would make later allocations fail, so only without. */
bool lp_child_lock_all(void)
{
	const size_t probe = 64U << 20;
	void *p;

	if (mlockall(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT))
		return false;
	p = mmap(NULL, probe, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (p == MAP_FAILED) {
		(void)munlockall();
		return false;
	}
	(void)munmap(p, probe);
	return true;
}

void lp_child_close_others(int fd, unsigned n)
{
	if (fd > 3)
		(void)close_range(3, (unsigned)fd - 1, 0);
	(void)close_range((unsigned)fd + n, ~0U, 0);
}
