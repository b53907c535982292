/* lp_terminal: a line of ours that stands on the terminal (standard error) for a while and
 * must be gone before anything else is written there: a progress bar.
 * The process has one terminal, so this is one of the few things that are not anybody's
 * own. Any thread may call. Nothing happens, and little time passes, while no line stands. */
#ifndef LP_BASE_TERMINAL_H
#define LP_BASE_TERMINAL_H

#include <stdbool.h>

/* Whether standard error is a terminal that can take a line back. */
bool lp_terminal_able(void);

/* Puts the line in the place of the one that stands; what is too long for the terminal is
 * cut off. Bytes are columns: ASCII only. */
void lp_terminal_show(const char *line);

/* Wipes it. Called before anything is written to standard error, or to what may be the same
 * terminal. */
void lp_terminal_clear(void);

#endif
