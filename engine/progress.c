#include "progress.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/terminal.h"

enum { BAR = 20, AMOUNT = 40, QUIET_S = 1 };

void lp_progress_init(struct lp_progress *p, bool wanted)
{
	*p = (struct lp_progress){ .on = wanted && lp_terminal_able() };
	if (!p->on)
		return;
	p->begun_ns = lp_clock_mono();
	p->next_ns = p->begun_ns + QUIET_S * LP_NS_PER_S;
}

bool lp_progress_due(struct lp_progress *p)
{
	uint64_t now;

	if (!p->on)
		return false;
	now = lp_clock_mono();
	if (now < p->next_ns)
		return false;
	p->next_ns = now + LP_PROGRESS_MS * (LP_NS_PER_S / 1000);
	return true;
}

/* Bytes in three digits or four: "999 B", "1.5 kB", "23 MB". Powers of 1000, as disks and
 * links are sold. */
static const char *amount(char out[AMOUNT], double bytes)
{
	static const char *const unit[] = { "B", "kB", "MB", "GB", "TB", "PB" };
	size_t u = 0;

	while (bytes >= 999.5 && u + 1 < sizeof unit / sizeof unit[0]) {
		bytes /= 1000;
		u++;
	}
	snprintf(out, AMOUNT, "%.*f %s", u && bytes < 9.95 ? 1 : 0, bytes, unit[u]);
	return out;
}

void lp_progress_text(char out[LP_PROGRESS_SIZE], const struct lp_progress_state *s)
{
	double seconds = (double)s->elapsed_ns / (double)LP_NS_PER_S;
	double share = s->total ? (double)s->done / (double)s->total : 0;
	char bar[BAR + 1], done[AMOUNT], rate[AMOUNT];
	int at = 0;

	if (share > 1)
		share = 1; /* it grew meanwhile */
	if (s->total) {
		memset(bar, '.', BAR);
		memset(bar, '#', (size_t)(share * BAR));
		bar[BAR] = '\0';
		at = snprintf(out, LP_PROGRESS_SIZE, "[%s] %3d%%  ", bar, (int)(share * 100));
	}
	snprintf(out + at, (size_t)(LP_PROGRESS_SIZE - at), "%s  %s/s  %llu session%s",
		 amount(done, (double)s->done),
		 amount(rate, seconds > 0 ? (double)s->done / seconds : 0),
		 (unsigned long long)s->sessions, s->sessions == 1 ? "" : "s");
}

void lp_progress_show(const struct lp_progress *p, struct lp_progress_state state)
{
	char line[LP_PROGRESS_SIZE];

	state.elapsed_ns = lp_clock_mono() - p->begun_ns;
	lp_progress_text(line, &state);
	lp_terminal_show(line);
}

void lp_progress_end(struct lp_progress *p)
{
	if (p->on)
		lp_terminal_clear();
	p->on = false;
}
