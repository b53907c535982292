/* Runs every suite, or those named as arguments. The list is made by the
 * Makefile from the files in this folder. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

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

int main(int argc, char **argv)
{
	SRunner *runner = srunner_create(NULL);
	size_t n = sizeof suites / sizeof suites[0];
	int failed;

	for (size_t i = 0; i < n; i++)
		if (wanted(suites[i].name, argc, argv))
			srunner_add_suite(runner, suites[i].make());
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	if (!srunner_ntests_run(runner))
		failed = 1;
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
