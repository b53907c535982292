/* The built-in outputs: `-o NAME…` takes one of these; all else needs a slash in
 * its name and is a plugin file. */
#ifndef LP_PLUGINS_NAMES_H
#define LP_PLUGINS_NAMES_H

#define LP_PLUGIN_NAMES(X)                                            \
	X(text)  /* session lines and summary; the default */         \
	X(json)  /* an object a session, Suricata's EVE vocabulary */    \
	X(pcap)  /* the clear bytes as TCP conversations; -w */          \
	X(files) /* each session's clear bytes in two files */           \
	X(audit) /* how forward-secret each server is */

#endif
