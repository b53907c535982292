#!/bin/bash
# Prints the figures, each with its limit where it has one; status 1 if one is missed.
# tests/bench/run.sh [NAME...]    (BUILD: where the programs are; without NAME the table, and
# what is not in it)
set -u
cd "$(dirname "$0")/../.." || exit 1
BUILD=${BUILD:-build}
LIMPID=${LIMPID:-$BUILD/limpid}
export LIMPID BENCH=$BUILD/bench
bad=0
[ $# -gt 0 ] || set -- table segments flood ticket
for name; do
	echo "== $name"
	case $name in
	table) tests/bench/table.sh || bad=1 ;;
	*) bash "tests/bench/fig_$name.sh" || bad=1 ;;
	esac
done
exit $bad
