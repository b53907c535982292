/* A temporary directory and the openssl program, for tests that make their own
 * keys and certificates. Paths in commands are relative to the directory. */
#ifndef LP_TEST_HELP_TOOL_H
#define LP_TEST_HELP_TOOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { HELP_FILE_MAX = 65536 };

struct help_dir {
	char path[64];
};

/* Built with AddressSanitizer: memory is not what it is otherwise. */
static inline bool help_asan(void)
{
#if defined __SANITIZE_ADDRESS__
	return true;
#elif defined __has_feature
#if __has_feature(address_sanitizer)
	return true;
#else
	return false;
#endif
#else
	return false;
#endif
}

/* Makes the directory; aborts the test if it cannot. */
void help_dir_open(struct help_dir *d);
void help_dir_close(struct help_dir *d);

/* Says why the calling test, or a part of it, cannot run here: a line that
 * tests/run/check.sh counts as a skipped test. At most once in each test. */
#define help_skip(...) help_skip_in(__func__, __VA_ARGS__)
void help_skip_in(const char *test, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* True if the openssl program can be run; have says so if not. */
bool help_openssl_runs(void);
#define help_have_openssl() \
	(help_openssl_runs() || (help_skip("the openssl program is not installed"), false))

/* Runs a shell command inside the directory, its output thrown away. True if it
 * ended with status 0. */
bool help_run(const struct help_dir *d, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* Reads a file of the directory; aborts the test if it is not there. */
size_t help_read(const struct help_dir *d, const char *name, uint8_t *out, size_t max);
void help_write(const struct help_dir *d, const char *name, const void *p, size_t n);

#endif
