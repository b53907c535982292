#define _GNU_SOURCE
#include "help_tool.h"

#include <check.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void help_dir_open(struct help_dir *d)
{
	strcpy(d->path, "/tmp/limpid-unit.XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(d->path));
}

void help_dir_close(struct help_dir *d)
{
	char command[128];

	snprintf(command, sizeof command, "rm -rf '%s'", d->path);
	ck_assert_int_eq(system(command), 0);
}

void help_skip_in(const char *test, const char *format, ...)
{
	char why[256];
	va_list args;

	va_start(args, format);
	vsnprintf(why, sizeof why, format, args);
	va_end(args);
	fprintf(stderr, "skipped: %s: %s\n", test, why);
}

bool help_openssl_runs(void)
{
	return system("openssl version >/dev/null 2>&1") == 0;
}

bool help_run(const struct help_dir *d, const char *format, ...)
{
	char command[2048];
	int n = snprintf(command, sizeof command, "cd '%s' && exec >>log 2>&1; ", d->path);
	va_list args;

	va_start(args, format);
	vsnprintf(command + n, sizeof command - (size_t)n, format, args);
	va_end(args);
	return system(command) == 0;
}

size_t help_read(const struct help_dir *d, const char *name, uint8_t *out, size_t max)
{
	char path[256];
	size_t n;
	FILE *f;

	snprintf(path, sizeof path, "%s/%s", d->path, name);
	f = fopen(path, "rb");
	ck_assert_msg(f != NULL, "no %s", name);
	n = fread(out, 1, max, f);
	fclose(f);
	return n;
}

void help_write(const struct help_dir *d, const char *name, const void *p, size_t n)
{
	char path[256];
	FILE *f;

	snprintf(path, sizeof path, "%s/%s", d->path, name);
	f = fopen(path, "wb");
	ck_assert_ptr_nonnull(f);
	ck_assert_uint_eq(fwrite(p, 1, n, f), n);
	ck_assert_int_eq(fclose(f), 0);
}
