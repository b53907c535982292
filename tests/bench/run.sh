#!/bin/bash
# Prints the figures, each with its limit where it has one; status 1 if one is missed.
# tests/bench/run.sh [NAME...]    (BUILD: where the programs are)
set -u
cd "$(dirname "$0")/../.." || exit 1
BUILD=${BUILD:-build}
LIMPID=${LIMPID:-$BUILD/limpid}
export LIMPID BENCH=$BUILD/bench
bad=0
[ $# -gt 0 ] || set -- $(ls tests/bench/fig_*.sh | sed 's|.*/fig_||; s|\.sh$||')
for name; do
	echo "== $name"
	bash "tests/bench/fig_$name.sh" || bad=1
done
exit $bad
