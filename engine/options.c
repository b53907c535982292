#define _GNU_SOURCE
#include "options.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "tls/verdict.h"

static const char usage[] =
	"usage: limpid [options] [BPF filter]\n"
	"\n"
	"  -r FILE       read a capture (pcap, pcapng, also gzip or zstd; \"-\": standard\n"
	"                input); may repeat: one capture in that order\n"
	"  -i IFACE      sniff a device\n"
	"  -k PATH       server private key, or a directory of them; may repeat\n"
	"  -p FILE       file with the passphrase of encrypted keys\n"
	"  -t PATH       session ticket keys as nginx, Apache, HAProxy and others keep them: a\n"
	"                file, a directory, or haproxy:SOCKET; may repeat\n"
	"  --psk FILE    pre-shared keys, a line each: identity:hex; may repeat\n"
	"  -l FILE       key log (SSLKEYLOGFILE format); may repeat; live, its growth counts\n"
	"  -w FILE       write a decrypted capture (as -o pcap:FILE)\n"
	"  -d            print the clear bytes as they open\n"
	"  -o NAME[:ARG][,key=value...]\n"
	"                add an output: text, json:FILE, files:DIR, pcap:FILE,\n"
	"                audit:FILE (how forward-secret are the servers?), ./plugin.so\n"
	"  -q            no session lines, no summary\n"
	"  -n            accepted; names are never resolved\n"
	"  -c COUNT      stop after so many packets\n"
	"  -s BYTES      snap length of a device        -B KIB  its kernel buffer\n"
	"  -Z USER       become USER once a device is open\n"
	"  --merge       read the files side by side, by time\n"
	"  --ignore-domain    one flow whatever its VLANs and tunnels are\n"
	"  --cleartext   streams that are not TLS go to the outputs too\n"
	"  --verify all|first   check the MAC of every record (all), or of the first ones of\n"
	"                each direction only, which is faster and less safe\n"
	"  --checksums auto|on|off    --overlap linux|bsd    --tcp native|nids\n"
	"  --workers COUNT      threads that follow the connections (as many as cores;\n"
	"                files: 1 for each MiB at most)\n"
	"  --fanout user|kernel   who shares a device's packets out among them: limpid, by what\n"
	"                is in tunnels, too (user), or the kernel, a handle each\n"
	"  --crypto auto|mbedtls|openssl    --strict-key-modes    --no-promiscuous\n"
	"  --key-wait SECONDS   how long a session waits for a line of a key log that\n"
	"                grows, or for a ticket key\n"
	"  --session-store memcached://HOST:PORT[,HOST:PORT...]   share sessions' secrets\n"
	"                with other sensors, sealed under --session-store-key FILE\n"
	"  --session-lifetime SECONDS   how long a secret may be resumed from (86400)\n"
	"  --bench-read  only read the captures and say how fast that went\n"
	"  --explain [CODE]   what a verdict's reason or note means; without CODE a list\n"
	"  --set NAME=VALUE   any other option of limpid(1)\n"
	"  -h, --help    -V, --version\n"
	"\n"
	"Exit status: 0 done; 1 a usage or local error; 2 the input was cut short or is\n"
	"corrupt (everything before that was processed). More: man limpid\n";

/* Long options that are configuration: the name is the option's. */
enum { OPT_EXPLAIN = 256, OPT_SET, OPT_NO_PROMISCUOUS, OPT_BENCH_READ, OPT_CONFIG };

static const struct option long_options[] = {
	{ "help", no_argument, NULL, 'h' },
	{ "version", no_argument, NULL, 'V' },
	{ "explain", optional_argument, NULL, OPT_EXPLAIN },
	{ "set", required_argument, NULL, OPT_SET },
	{ "no-promiscuous", no_argument, NULL, OPT_NO_PROMISCUOUS },
	{ "bench-read", no_argument, NULL, OPT_BENCH_READ },
	{ "merge", no_argument, NULL, OPT_CONFIG },
	{ "ignore-domain", no_argument, NULL, OPT_CONFIG },
	{ "cleartext", no_argument, NULL, OPT_CONFIG },
	{ "strict-key-modes", no_argument, NULL, OPT_CONFIG },
	{ "verify", required_argument, NULL, OPT_CONFIG },
	{ "checksums", required_argument, NULL, OPT_CONFIG },
	{ "overlap", required_argument, NULL, OPT_CONFIG },
	{ "tcp", required_argument, NULL, OPT_CONFIG },
	{ "crypto", required_argument, NULL, OPT_CONFIG },
	{ "key-wait", required_argument, NULL, OPT_CONFIG },
	{ "session-store", required_argument, NULL, OPT_CONFIG },
	{ "session-store-key", required_argument, NULL, OPT_CONFIG },
	{ "session-lifetime", required_argument, NULL, OPT_CONFIG },
	{ "psk", required_argument, NULL, OPT_CONFIG },
	{ "workers", required_argument, NULL, OPT_CONFIG },
	{ "fanout", required_argument, NULL, OPT_CONFIG },
	{ NULL, 0, NULL, 0 },
};

static const char short_options[] = "r:i:k:p:l:t:w:do:qnc:s:B:Z:hV";

static int fail(struct lp_options *o)
{
	if (*o->why)
		lp_log("%s", o->why);
	return -1;
}

static int set(struct lp_options *o, const char *name, const char *value)
{
	return lp_config_set(o->config, name, value, o->why) ? fail(o) : 0;
}

static int set_pair(struct lp_options *o, const char *pair)
{
	const char *equals = strchr(pair, '=');
	char name[64];

	if (!equals || equals == pair || (size_t)(equals - pair) >= sizeof name) {
		snprintf(o->why, sizeof o->why, "--set wants NAME=VALUE, not '%.100s'", pair);
		return fail(o);
	}
	memcpy(name, pair, (size_t)(equals - pair));
	name[equals - pair] = '\0';
	return set(o, name, equals + 1);
}

static int add_output(struct lp_options *o, const char *name, const char *arg)
{
	char *spec;
	int r;

	if (asprintf(&spec, "%s:%s", name, arg) < 0) {
		snprintf(o->why, sizeof o->why, "out of memory");
		return fail(o);
	}
	r = set(o, "output", spec);
	free(spec);
	return r;
}

static void explain_one(const struct lp_verdict_text *t)
{
	printf("  %-24s %s\n", t->code, t->meaning);
}

static void explain_all(void)
{
	for (int v = LP_DECRYPTED; v <= LP_OPAQUE; v++) {
		printf("%s:\n", lp_verdict_name((enum lp_verdict)v));
		for (int i = LP_REASON_NONE + 1; i < LP_REASON_COUNT; i++)
			if (lp_reason_fits((enum lp_reason)i, (enum lp_verdict)v))
				explain_one(lp_reason_text((enum lp_reason)i));
	}
	printf("notes beside the reason:\n");
	for (unsigned i = 0; i < LP_NOTE_COUNT; i++)
		explain_one(lp_note_text(i));
}

static int explain(struct lp_options *o, const char *code)
{
	const struct lp_verdict_text *t = code ? lp_verdict_find(code) : NULL;

	o->done = true;
	if (!code || !strcmp(code, "list") || !strcmp(code, "all")) {
		explain_all();
		return 0;
	}
	if (!t) {
		snprintf(o->why, sizeof o->why, "no verdict has the code '%.60s' "
			 "(--explain list names them)", code);
		return fail(o);
	}
	printf("%s: %s\n\n%s\n%s\n", t->code, t->meaning, t->explain, t->advice);
	return 0;
}

static int short_option(struct lp_options *o, int c, const char *word)
{
	static const struct {
		char letter;
		const char *name;
	} config[] = {
		{ 'r', "read" }, { 'i', "interface" }, { 'k', "key" }, { 'p', "passphrase-file" },
		{ 'l', "key-log" }, { 't', "ticket-key" },
		{ 'o', "output" }, { 'd', "print-data" }, { 'q', "quiet" }, { 'c', "packets" },
		{ 's', "snaplen" }, { 'Z', "user" },
	};
	char *kib;
	int r;

	for (size_t i = 0; i < sizeof config / sizeof config[0]; i++)
		if (config[i].letter == c)
			return set(o, config[i].name, optarg);
	switch (c) {
	case 'w':
		return add_output(o, "pcap", optarg);
	case 'B':
		if (asprintf(&kib, "%sk", optarg) < 0)
			return -1;
		r = set(o, "buffer", kib);
		free(kib);
		return r;
	case 'n':
		return 0;
	case 'h':
		fputs(usage, stdout);
		o->done = true;
		return 0;
	case 'V':
		printf("limpid %s\n", LP_VERSION);
		o->done = true;
		return 0;
	default:
		/* getopt_long has not said it, so that it is one line and ours. */
		if (optopt && optopt < OPT_EXPLAIN && strchr(short_options, optopt))
			snprintf(o->why, sizeof o->why, "-%c wants an argument (limpid --help)",
				 optopt);
		else
			snprintf(o->why, sizeof o->why,
				 "option '%.60s' is unknown or used wrongly (limpid --help)", word);
		return fail(o);
	}
}

static int set_filter(struct lp_options *o, char **words, int n)
{
	char filter[4096] = "";
	size_t at = 0;

	for (int i = 0; i < n; i++) {
		int w = snprintf(filter + at, sizeof filter - at, "%s%s", i ? " " : "", words[i]);

		if (w < 0 || (size_t)w >= sizeof filter - at) {
			snprintf(o->why, sizeof o->why, "the filter is too long");
			return fail(o);
		}
		at += (size_t)w;
	}
	return n ? set(o, "filter", filter) : 0;
}

int lp_options_read(struct lp_options *o, int argc, char **argv)
{
	int c, index, r = 0;
	const char *word;

	opterr = 0;
	while (!r && !o->done &&
	       (c = getopt_long(argc, argv, short_options, long_options, &index)) != -1) {
		switch (c) {
		case OPT_EXPLAIN:
			word = argv[optind];
			if (!optarg && word && word[0] != '-')
				optind++;
			else
				word = optarg;
			r = explain(o, word);
			break;
		case OPT_SET:
			r = set_pair(o, optarg);
			break;
		case OPT_NO_PROMISCUOUS:
			r = set(o, "promiscuous", "off");
			break;
		case OPT_BENCH_READ:
			o->bench_read = true;
			break;
		case OPT_CONFIG:
			r = set(o, long_options[index].name, optarg);
			break;
		default:
			word = argv[optind > 1 ? optind - 1 : 1];
			r = short_option(o, c, word);
			break;
		}
	}
	if (r || o->done)
		return r;
	if (set_filter(o, argv + optind, argc - optind))
		return -1;
	if (!o->config->read.n && !o->config->interface) {
		snprintf(o->why, sizeof o->why,
			 "nothing to read: give -r FILE or -i IFACE (limpid --help)");
		return fail(o);
	}
	if (o->config->read.n && o->config->interface) {
		snprintf(o->why, sizeof o->why, "-r and -i exclude each other");
		return fail(o);
	}
	if (o->bench_read && !o->config->read.n) {
		snprintf(o->why, sizeof o->why, "--bench-read wants a capture: -r FILE");
		return fail(o);
	}
	return 0;
}
