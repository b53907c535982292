#define _POSIX_C_SOURCE 200809L

#include "plugins/label.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/log.h"

char *lp_label_endpoint(char out[LP_LABEL_ENDPOINT], const struct lp_flow_info *info,
			enum lp_dir side)
{
	const char *text = side == LP_C2S ? info->client_text : info->server_text;
	unsigned port = side == LP_C2S ? info->client_port : info->server_port;

	snprintf(out, LP_LABEL_ENDPOINT, info->family == 6 ? "[%s]:%u" : "%s:%u",
		 text ? text : "?", port);
	return out;
}

char *lp_label_time(char out[LP_LABEL_TIME], uint64_t ts_ns)
{
	time_t seconds = (time_t)(ts_ns / LP_NS_PER_S);
	struct tm tm = { 0 };

	if (!gmtime_r(&seconds, &tm) || !strftime(out, LP_LABEL_TIME, "%Y-%m-%d %H:%M:%S", &tm))
		snprintf(out, LP_LABEL_TIME, "1970-01-01 00:00:00");
	return out;
}

char *lp_label_plain(char *out, size_t size, const char *text)
{
	size_t at = 0;

	out[0] = '\0';
	while (*text && at + 1 < size) {
		size_t run = strcspn(text, "\\");

		lp_text_escape(out + at, size - at, text, run);
		at += strlen(out + at);
		text += run;
		/* A backslash is the host's own: escaping it again would garble it. */
		if (*text && at + 1 < size) {
			out[at++] = *text++;
			out[at] = '\0';
		}
	}
	return out;
}

const char *lp_label_end(enum lp_end end)
{
	switch (end) {
	case LP_END_CLOSE_NOTIFY:
		return "close_notify";
	case LP_END_FIN:
		return "fin";
	case LP_END_RST:
		return "rst";
	case LP_END_IDLE:
		return "idle";
	case LP_END_CAPTURE:
		return "capture-end";
	case LP_END_LOST:
		return "lost";
	}
	return NULL;
}

const char *lp_label_verdict(enum lp_verdict verdict)
{
	switch (verdict) {
	case LP_DECRYPTED:
		return "decrypted";
	case LP_PARTIAL:
		return "partial";
	case LP_OPAQUE:
		return "opaque";
	}
	return "unknown";
}
