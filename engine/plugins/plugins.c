#include "plugins/plugins.h"

#include <string.h>

static const struct lp_plugin *const builtin[] = {
#define X(name) &lp_plugin_##name,
	LP_PLUGIN_NAMES(X)
#undef X
};

const struct lp_plugin *lp_plugin_builtin(const char *name)
{
	for (size_t i = 0; i < sizeof builtin / sizeof builtin[0]; i++)
		if (!strcmp(builtin[i]->name, name))
			return builtin[i];
	return NULL;
}
