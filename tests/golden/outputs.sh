#!/bin/bash
# Outputs together and in trouble: what goes to standard output and what does not, a
# disk that is full, a reader that is slow or goes away.
set -u
cd "$(dirname "$0")/../.." || exit 1
. tests/run/lib.sh
LIMPID=${LIMPID:-./limpid}
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
install -m 600 keys/server.pem "$tmp/key.pem"
http="-r captures/http.pcap -k $tmp/key.pem"
many="-r captures/openssl-tls12.pcap -k $tmp/key.pem"

run() { # ARGUMENTS: leaves out, err, status
	timeout 60 "$LIMPID" "$@" >"$tmp/out" 2>"$tmp/err" </dev/null
	status=$?
}

# case NAME STATUS OUT ERR ARGUMENTS: what stdout and stderr must hold as a whole,
# a word each: pcap, json, lines (session lines), data (of -d), both, nothing.
is() {
	case $1 in
	nothing) [ ! -s "$2" ] ;;
	pcap) [ "$(head -c 4 "$2" | od -An -tx4 | tr -d ' ')" = a1b2c3d4 ] ;;
	json) [ "$(wc -l <"$2")" = 1 ] && jq -e .limpid.verdict "$2" >/dev/null ;;
	lines) grep -q '^#000001 .* decrypted' "$2" && ! grep -q 'C>S 0 78$' "$2" ;;
	data) grep -q '^#000001 C>S 0 78$' "$2" && ! grep -q ' decrypted' "$2" ;;
	both) grep -q '^#000001 C>S 0 78$' "$2" && grep -q ' decrypted' "$2" ;;
	esac
}
streams() {
	local out=$1 err=$2
	shift 2
	run $http "$@"
	if [ "$status" = 0 ] && is "$out" "$tmp/out" && is "$err" "$tmp/err"; then
		pass "outputs: $*"
	else
		head -n 5 "$tmp/err"
		fail "outputs: $*: status $status; $out on stdout, $err on stderr?"
	fi
}
streams lines nothing
streams both nothing -d
streams data nothing -d -q
streams nothing nothing -q
streams pcap lines -w -
streams pcap nothing -w - -q
streams pcap both -w - -d
streams pcap data -w - -d -q
streams json lines -o json:-
streams json nothing -o json:- -q
streams json data -o json:- -d -q
streams both nothing -d -o "files:$tmp/files1" -o "json:$tmp/j"
streams nothing nothing -q -o "files:$tmp/files2" -w "$tmp/w"

# The decrypted capture holds the bytes: limpid itself reads it.
"$LIMPID" $http -q -w - | "$LIMPID" -r - --cleartext -d -q >"$tmp/again"
"$LIMPID" $http -d -q >"$tmp/once"
grep -v '^#' "$tmp/once" >"$tmp/a"
grep -v '^flow-' "$tmp/again" >"$tmp/b"
want "outputs: what -w - wrote reads as what -d shows" cmp "$tmp/a" "$tmp/b"

# Two of a kind.
run $many -q -w "$tmp/1.pcap" -w "$tmp/2.pcap" -o "json:$tmp/1.json" -o "json:$tmp/2.json" \
	-o "files:$tmp/1.files" -o "files:$tmp/2.files"
twins() {
	[ $status = 0 ] && cmp "$tmp/1.pcap" "$tmp/2.pcap" && cmp "$tmp/1.json" "$tmp/2.json" &&
		diff -r "$tmp/1.files" "$tmp/2.files" && [ "$(wc -l <"$tmp/1.json")" = 41 ]
}
want "outputs: two of each kind are alike" twins

one_line() { # NAME, PATTERN: of the run before
	if [ "$status" = 1 ] && [ "$(wc -l <"$tmp/err")" = 1 ] && grep -qE "$2" "$tmp/err"; then
		pass "outputs: $1"
	else
		head -n 5 "$tmp/err"
		fail "outputs: $1: status $status (not 1), or not one line that says $2"
	fi
}
run $http -q -w - -o json:-
one_line "two on standard output" 'standard output'
run $http -o json
one_line "json without a file" 'json:FILE'
run $http -w ''
one_line "-w without a file" 'pcap:FILE'
run $http -o "json:$tmp/x,colour=red"
one_line "an option that json has not" 'colour'
run $http -q -w /dev/full
one_line "-w on a full disk" 'full: No space left'
run $many -q -o json:/dev/full -o "json:$tmp/good.json"
one_line "json on a full disk" 'full: No space left'
want "outputs: the other one is whole" cmp "$tmp/1.json" "$tmp/good.json"

# Shared objects of another ABI, and one that fails without a word.
so() { # NAME, ABI, OPEN, SIZE
	printf '#include <limpid/plugin.h>
static int o(void **s, const struct lp_host *h, const char *a, const struct lp_option *p, size_t n)
{ (void)s, (void)h, (void)a, (void)p, (void)n; return %s; }
static int b(void *s, void **f, const struct lp_flow_info *i, const struct lp_stamp *a)
{ (void)s, (void)f, (void)i, (void)a; return -1; }
const struct lp_plugin lp_plugin_entry =
{ .abi = %s, .size = %s, .name = "%s", .open = o, .flow_begin = b };\n' \
		"$3" "$2" "${4:-sizeof(struct lp_plugin)}" "$1" | ${CC:-cc} -std=c11 -Iinclude -shared -fPIC -o "$tmp/$1.so" -xc -
}
so newer 'LP_PLUGIN_ABI + 1' 0 && run $http -q -o "$tmp/newer.so"
one_line "a plugin of another ABI" 'newer.so: made for plugin ABI 2'
so short LP_PLUGIN_ABI 0 16 && run $http -q -o "$tmp/short.so"
one_line "a plugin without callbacks" 'short.so: its lp_plugin_entry is not filled in'
so refuses LP_PLUGIN_ABI -1 && run $http -q -o "$tmp/refuses.so"
one_line "a plugin that does not open, without a word" 'refuses: could not be opened'
so stops LP_PLUGIN_ABI 0 && run $http -q -o "$tmp/stops.so"
one_line "a plugin that fails, without a word" 'stops: failed'

# A slow reader slows a replay, no more.
mkfifo "$tmp/fifo"
{ sleep 1; cat; } <"$tmp/fifo" >"$tmp/slow.pcap" &
run $many -q -w "$tmp/fifo"
wait $!
slow() { [ $status = 0 ] && cmp "$tmp/1.pcap" "$tmp/slow.pcap"; }
want "outputs: a slow reader has it all" slow

# A reader that goes away after the file header, before the rest of the capture comes.
head -c 24 "$tmp/fifo" >/dev/null &
reader=$!
{ head -c 3000; while kill -0 $reader 2>/dev/null; do sleep 0.1; done; cat; } \
	<captures/openssl-tls12.pcap |
	timeout 60 "$LIMPID" -r - -k "$tmp/key.pem" -q -w "$tmp/fifo" >"$tmp/out" 2>"$tmp/err"
status=${PIPESTATUS[1]}
wait $reader
one_line "a reader that goes away" 'fifo: Broken pipe'
exit 0
