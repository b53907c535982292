#!/bin/bash
# Runs parts of the tests and counts: tests/run/check.sh PART... [T=NAME]
# Ends with the line "N passed, N failed, N skipped".
set -u
cd "$(dirname "$0")/../.." || exit 1
BUILD=${BUILD:-build} MAKE=${MAKE:-make}
T=
mkdir -p "$BUILD"
export RESULTS; RESULTS=$(mktemp "$BUILD/results.XXXXXX")
trap 'rm -f "$RESULTS"' EXIT
. tests/run/lib.sh

case ${MAKEFLAGS:-} in *jobserver*) jobs= ;; *) jobs=-j$(nproc) ;; esac

build() { # make's arguments; a compiler's warning counts as a failure
	local log="$BUILD/make.log"

	if ! $MAKE -s $jobs "$@" >"$log" 2>&1; then
		tail -n 40 "$log"
		fail "build: make $*"
		return 1
	fi
	if grep -q 'warning:' "$log"; then
		grep 'warning:' "$log" | head -n 20
		fail "build without warnings: make $*"
		return 1
	fi
	pass "build: make $*"
}

unit() { # BUILD, VARIABLE=value: the suites, dealt out to the processors
	local n i suites

	n=$(nproc)
	[ "$n" -le 4 ] || n=4
	for i in $(seq "$n"); do
		suites=$(ls tests/unit/test_*.c | sed 's|.*/test_||; s|\.c$||' | awk -v n="$n" -v i="$i" 'NR % n == i - 1')
		slice "$@" $suites &
	done
	wait
}
slice() { # BUILD, VARIABLE=value, suites
	local dir=$1 out n f e s=0 line
	shift

	out=$(env CK_TIMEOUT_MULTIPLIER=10 "$1" "$dir/unit" "${@:2}" 2>&1)
	n=$(echo "$out" | sed -n 's/.*Checks: \([0-9]*\), Failures.*/\1/p')
	f=$(echo "$out" | sed -n 's/.*Failures: \([0-9]*\), Errors.*/\1/p')
	e=$(echo "$out" | sed -n 's/.*Errors: \([0-9]*\).*/\1/p')
	if [ -z "$n" ]; then
		echo "$out" | tail -n 60
		fail "unit: did not run to its end"
		return
	fi
	[ $((f + e)) = 0 ] || echo "$out" | tail -n 60
	while read -r line; do
		line=${line#skipped: }
		skip "unit test ${line/_fn:/:}"
		s=$((s + 1))
	done < <(echo "$out" | grep '^skipped: ')
	echo "  $((n - f - e - s)) of $n unit tests passed"
	passes $((n - f - e - s))
	fails $((f + e))
}

replay() { # BUILD: the fuzz targets' corpora, without libFuzzer
	local t x

	for t in tests/fuzz/fuzz_*.c; do
		[ -e "$t" ] || continue
		x=${t#tests/fuzz/fuzz_}; x=${x%.c}
		if ! ls tests/fuzz/corpus/"$x"/* >/dev/null 2>&1; then
			fail "corpus of fuzz target $x is empty"
		elif "$1/fuzz/$x" tests/fuzz/corpus/"$x"/* >"$BUILD/replay.log" 2>&1; then
			pass "corpus $x"
		else
			tail -n 30 "$BUILD/replay.log"
			fail "corpus $x"
		fi
	done
}

scripts() { # limpid, scripts: as many at once as there are processors
	local limpid=$1 n=0 s
	shift

	for s; do
		{ LIMPID=$limpid tests/$s || fail "$s: ended with $?"; } &
		n=$((n + 1))
		[ $n -lt "$(nproc)" ] || { wait -n; n=$((n - 1)); }
	done
	wait
}

part() {
	case $1 in
	layers) tests/run/layers.sh ;;
	tests) build tests ;;
	unit) unit "$BUILD" CK_FORK=yes ;;
	replay) replay "$BUILD" ;;
	golden) [ -z "$T" ] || { LIMPID="$BUILD/limpid" tests/golden/run.sh $T; return; }
		scripts "$BUILD/limpid" golden/{run,late,verdicts,workers}.sh "bench/loss.sh quick" "golden/drops.sh quick" golden/{evasion,ambiguous,wire,outputs,caps,badinput,audit,progress}.sh ;;
	interop) LIMPID="$BUILD/limpid" tests/interop/run.sh short $T ;;
	loss) LIMPID="$BUILD/limpid" tests/bench/loss.sh full ;;
	bench-check | bench-baseline)
		build "$BUILD/limpid" "$BUILD"/bench/{loss,resumed,clear} &&
			LIMPID="$BUILD/limpid" tests/bench/counts.sh "${1#bench-}" ;;
	matrix) build tests && LIMPID="$BUILD/limpid" tests/bench/loss.sh full; LIMPID="$BUILD/limpid" tests/golden/drops.sh full
		LIMPID="$BUILD/limpid" tests/golden/workers.sh full; LIMPID="$BUILD/limpid" tests/interop/run.sh all ;;
	asan)
		build tests BUILD="$BUILD/asan" SAN=1 FUZZ=0 || return
		unit "$BUILD/asan" CK_FORK=no
		replay "$BUILD/asan"
		scripts "$BUILD/asan/limpid" golden/{run,verdicts,evasion,ambiguous,wire,outputs,caps,badinput}.sh "golden/workers.sh short" ;;
	clang)
		build tests BUILD="$BUILD/clang" CC=clang SAN=0 FUZZ=0 || return
		unit "$BUILD/clang" CK_FORK=yes
		LIMPID="$BUILD/clang/limpid" tests/golden/run.sh ;;
	builds)
		build tests BUILD="$BUILD/lean" NIDS=0 OPENSSL=0 MEMCACHED=0 || return
		want "without libnids, libcrypto and libmemcached" lean "$BUILD/lean/limpid"
		LIMPID="$BUILD/lean/limpid" tests/golden/run.sh
		tests/run/install.sh ;;
	mbedtls3) tests/run/mbedtls3.sh ;;
	T=*) T=${1#T=} ;;
	*) echo "check.sh: no part $1" >&2; return 1 ;;
	esac
}
lean() { ! ldd "$1" | grep -E 'libnids|libcrypto\.|libmemcached|libIPSec_MB'; }

for p; do case $p in T=*) T=${p#T=} ;; esac; done
for p; do
	case $p in T=*) continue ;; esac
	begin=$SECONDS
	echo "== $p"
	part "$p"
	echo "   $((SECONDS - begin)) s"
	# Without the programs the rest makes no sense.
	[ "$p" = tests ] && ! [ -x "$BUILD/unit" -a -x "$BUILD/limpid" ] && break
done
tally
