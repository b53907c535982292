/* The built-in outputs by name. They are written against limpid/plugin.h like any
 * other; the engine finds them here. Const data, no state. */
#ifndef LP_PLUGINS_PLUGINS_H
#define LP_PLUGINS_PLUGINS_H

#include <limpid/plugin.h>

#include "plugins/names.h"

#define X(name) extern const struct lp_plugin lp_plugin_##name;
LP_PLUGIN_NAMES(X)
#undef X

/* NULL if there is no built-in output of that name. */
const struct lp_plugin *lp_plugin_builtin(const char *name);

#endif
