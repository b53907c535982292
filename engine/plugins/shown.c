#include "plugins/shown.h"

#include <stdbool.h>
#include <string.h>

/* So many bytes at a time, in a vector register where there is one. No jump depends on a byte:
 * binary data would mispredict it. */
enum { GROUP = LP_SHOWN_SPARE };

typedef uint8_t group __attribute__((vector_size(GROUP)));

static inline group shown(group c)
{
	const group yes = (group)(c - 0x20 < 0x5f) | (group)(c == '\n') | (group)(c == '\t');

	return (c & yes) | ('.' & ~yes);
}

static inline bool has_cr(group c)
{
	uint64_t found[GROUP / 8];
	const group cr = (group)(c == '\r');

	memcpy(found, &cr, sizeof cr);
	return found[0] | found[1];
}

/* The same less each CR before a LF. */
static size_t without_cr(char *out, group as_shown, const uint8_t *p, size_t n, const uint8_t *end)
{
	size_t at = 0;

	for (size_t i = 0; i < n; i++) {
		const bool ends_line = p[i] == '\r' && p + i + 1 < end && p[i + 1] == '\n';

		out[at] = (char)as_shown[i];
		at += !ends_line;
	}
	return at;
}

/* n: a constant where there are many. */
static inline size_t write_group(char *out, const uint8_t *p, size_t n, const uint8_t *end)
{
	group c = { 0 };

	memcpy(&c, p, n);
	if (has_cr(c))
		return without_cr(out, shown(c), p, n, end);
	c = shown(c);
	memcpy(out, &c, sizeof c);
	return n;
}

size_t lp_shown_write(char *out, const uint8_t *p, size_t n, const uint8_t *end)
{
	char *at = out;

	for (; n >= GROUP; p += GROUP, n -= GROUP)
		at += write_group(at, p, GROUP, end);
	if (n)
		at += write_group(at, p, n, end);
	return (size_t)(at - out);
}
