#include "plugins/states.h"

#include <stdlib.h>

void *lp_states_new(struct lp_states *list, size_t size)
{
	struct lp_state *s = calloc(1, size);

	if (!s)
		return NULL;
	s->next = list->first;
	s->prev = &list->first;
	if (s->next)
		s->next->prev = &s->next;
	list->first = s;
	return s;
}

void lp_states_free(void *state)
{
	struct lp_state *s = state;

	if (!s)
		return;
	*s->prev = s->next;
	if (s->next)
		s->next->prev = s->prev;
	free(s);
}
