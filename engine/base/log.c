#include "base/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/terminal.h"

static const char hex_digit[] = "0123456789abcdef";

void lp_log(const char *format, ...)
{
	char line[1024];
	va_list args;

	va_start(args, format);
	(void)vsnprintf(line, sizeof line, format, args);
	va_end(args);
	lp_terminal_clear();
	fprintf(stderr, "limpid: %s\n", line);
}

/* Length of the valid UTF-8 sequence at p (RFC 3629), its code point in *cp;
 * 0 if there is none. */
static size_t utf8_length(const uint8_t *p, size_t n, uint32_t *cp)
{
	static const uint32_t least[5] = { 0, 0, 0x80, 0x800, 0x10000 };
	size_t want;

	if (p[0] < 0x80)
		want = 1;
	else if (p[0] >= 0xc2 && p[0] < 0xe0)
		want = 2;
	else if (p[0] >= 0xe0 && p[0] < 0xf0)
		want = 3;
	else if (p[0] >= 0xf0 && p[0] < 0xf5)
		want = 4;
	else
		return 0;
	if (want > n)
		return 0;
	*cp = want == 1 ? p[0] : p[0] & (0x7fU >> want);
	for (size_t i = 1; i < want; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return 0;
		*cp = *cp << 6 | (p[i] & 0x3f);
	}
	if (*cp < least[want] || *cp > 0x10ffff || (*cp >= 0xd800 && *cp < 0xe000))
		return 0;
	return want;
}

static bool is_plain(uint32_t cp)
{
	if (cp < 0x20 || (cp >= 0x7f && cp < 0xa0) || cp == '\\')
		return false;
	if (cp == 0x61c || cp == 0x200e || cp == 0x200f || cp == 0xfeff)
		return false;
	if ((cp >= 0x2028 && cp <= 0x202e) || (cp >= 0x2066 && cp <= 0x2069))
		return false;
	return true;
}

char *lp_text_escape(char *out, size_t size, const void *data, size_t n)
{
	const uint8_t *p = data;
	size_t at = 0;

	while (n && at + 1 < size) {
		uint32_t cp = 0;
		size_t len = utf8_length(p, n, &cp);

		if (len && is_plain(cp)) {
			if (at + len >= size)
				break;
			memcpy(out + at, p, len);
			at += len;
		} else {
			len = 1;
			if (at + 4 >= size)
				break;
			out[at++] = '\\';
			out[at++] = 'x';
			out[at++] = hex_digit[p[0] >> 4];
			out[at++] = hex_digit[p[0] & 15];
		}
		p += len;
		n -= len;
	}
	if (size)
		out[at] = '\0';
	return out;
}

char *lp_text_hex(char *out, const void *data, size_t n)
{
	const uint8_t *p = data;

	for (size_t i = 0; i < n; i++) {
		out[2 * i] = hex_digit[p[i] >> 4];
		out[2 * i + 1] = hex_digit[p[i] & 15];
	}
	out[2 * n] = '\0';
	return out;
}

static int nibble(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

enum lp_err lp_text_unhex(uint8_t *out, size_t n, const char *s, size_t length)
{
	if (length != 2 * n)
		return LP_E_FORMAT;
	for (size_t i = 0; i < n; i++) {
		int high = nibble(s[2 * i]);
		int low = nibble(s[2 * i + 1]);

		if (high < 0 || low < 0)
			return LP_E_FORMAT;
		out[i] = (uint8_t)(high << 4 | low);
	}
	return LP_OK;
}
