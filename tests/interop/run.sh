#!/bin/bash
# Interop tests: real servers and clients, captured while they talk; what limpid hands
# out must be what they sent. tests/interop/run.sh short|all|TEST [TEST...]
# Each test runs in namespaces of its own (inside.sh), so nothing of it survives it.
set -u
cd "$(dirname "$0")/../.." || exit 1
. tests/run/lib.sh
export LIMPID=${LIMPID:-./limpid} HELPERS=${HELPERS:-${BUILD:-build}/interop} LEVEL=short

both="openssl nginx gnutls java suites exchange deflate nss hello renegotiation resumption records
	starttls tickets rotation store evasion tunnels"
short="$both live fanout keylog"
all="$both live fanout keylog apache cross download many canary outage suricata metadata"
case ${1:-short} in
short) shift; tests=${*:-$short} ;;
all) LEVEL=all; shift; tests=${*:-$all} ;;
*) LEVEL=${LEVEL_WANTED:-all}; tests=$* ;;
esac

if [ "$(id -u)" != 0 ]; then
	for t in $tests; do skip "interop $t: needs root, for a network namespace and for capturing"; done
	exit 0
fi
if ! tests/interop/inside.sh true 2>/dev/null; then
	for t in $tests; do skip "interop $t: no namespaces can be made here"; done
	exit 0
fi
for t in $tests; do
	begin=$SECONDS
	timeout -k 5 900 tests/interop/inside.sh tests/interop/one.sh "$t" || fail "interop $t: ended with $?"
	echo "  $t: $((SECONDS - begin)) s"
done
exit 0
