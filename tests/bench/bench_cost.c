/* Runs a program, its output thrown away, and prints what it cost:
 *
 *	cost SECONDS PROGRAM ARGUMENTS...
 *
 * seconds by the clock, seconds of CPU, the most memory a process of it had in KiB, lines of
 * output, exit status (124: ended after SECONDS). CPU is that of the program and of all the
 * children it has waited for. */
#define _DEFAULT_SOURCE
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static pid_t pid;

static void too_long(int number)
{
	(void)number;
	kill(pid, SIGKILL);
}

static double clock_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static double seconds(struct timeval t)
{
	return (double)t.tv_sec + (double)t.tv_usec / 1e6;
}

int main(int argc, char **argv)
{
	static char text[1 << 16];
	unsigned long long lines = 0;
	struct sigaction sa = { .sa_handler = too_long, .sa_flags = SA_RESTART };
	struct rusage use;
	double begun = clock_now();
	int status, end[2];
	ssize_t n;

	if (argc < 3 || pipe(end))
		return 1;
	pid = fork();
	if (pid < 0)
		return 1;
	if (!pid) {
		dup2(end[1], 1);
		close(end[0]);
		close(end[1]);
		execvp(argv[2], argv + 2);
		_exit(127);
	}
	close(end[1]);
	sigaction(SIGALRM, &sa, NULL);
	alarm((unsigned)atoi(argv[1]));
	while ((n = read(end[0], text, sizeof text)) > 0)
		for (ssize_t i = 0; i < n; i++)
			lines += text[i] == '\n';
	if (wait4(pid, &status, 0, &use) < 0)
		return 1;
	printf("%.6f %.6f %ld %llu %d\n", clock_now() - begun,
	       seconds(use.ru_utime) + seconds(use.ru_stime), use.ru_maxrss, lines,
	       WIFEXITED(status) ? WEXITSTATUS(status) : 124);
	return 0;
}
