/* Runs every suite, or those named as arguments. The list is made by the
 * Makefile from the files in this folder. */
#define _GNU_SOURCE
#include <check.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "help_tool.h"

#define X(name) Suite *suite_##name(void);
#include "suites.h"
#undef X

static const struct {
	const char *name;
	Suite *(*make)(void);
} suites[] = {
#define X(name) { #name, suite_##name },
#include "suites.h"
#undef X
};

static int wanted(const char *name, int argc, char **argv)
{
	for (int i = 1; i < argc; i++)
		if (!strcmp(argv[i], name))
			return 1;
	return argc < 2;
}

/* Check writes each assertion that held to a file, so that it can name the last one
 * after a crash: a third of the tests' time. Linked in its place by --wrap, this
 * only remembers, and says it when a signal ends the test. */
static struct {
	const char *file;
	int line;
} last;

void __wrap__mark_point(const char *file, int line);
void __wrap__mark_point(const char *file, int line)
{
	last.file = file;
	last.line = line;
}

static void crashed(int sig)
{
	char text[256];
	int n = snprintf(text, sizeof text, "%s:%d: signal %d after this point\n",
			 last.file ? last.file : "?", last.line, sig);

	if (n > 0 && write(STDERR_FILENO, text, (size_t)n) < 0)
		_exit(1);
	raise(sig); /* SA_RESETHAND: now it does what it would have done */
}

static void say_where(void)
{
	static const int signals[] = { SIGSEGV, SIGBUS, SIGABRT, SIGFPE };
	struct sigaction a = { .sa_handler = crashed, .sa_flags = SA_RESETHAND | SA_NODEFER };

	for (size_t i = 0; i < sizeof signals / sizeof signals[0]; i++)
		sigaction(signals[i], &a, NULL);
}

int main(int argc, char **argv)
{
	SRunner *runner = srunner_create(NULL);
	size_t n = sizeof suites / sizeof suites[0];
	int failed;

	for (size_t i = 0; i < n; i++)
		if (wanted(suites[i].name, argc, argv))
			srunner_add_suite(runner, suites[i].make());
	if (!help_asan()) /* which tells more */
		say_where();
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	if (!srunner_ntests_run(runner))
		failed = 1;
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
