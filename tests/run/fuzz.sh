#!/bin/bash
# Runs libFuzzer on each target named for FUZZ_SECONDS. New inputs and crashes go to
# $BUILD/fuzz, never into the corpus of the repo.
set -u
cd "$(dirname "$0")/../.." || exit 1
BUILD=${BUILD:-build}/fuzzing MAKE=${MAKE:-make}
NIDS=1 OPENSSL=1 CC=clang tests/run/deps.sh build check || exit 1
if ! command -v clang >/dev/null || ! echo 'int LLVMFuzzerTestOneInput(void){return 0;}' |
	clang -fsanitize=fuzzer -xc - -o /dev/null 2>/dev/null; then
	tests/run/deps.sh check-all || exit 1
fi
case ${MAKEFLAGS:-} in *jobserver*) jobs= ;; *) jobs=-j$(nproc) ;; esac
status=0
for t; do
	$MAKE -s $jobs BUILD="$BUILD" CC=clang FUZZ=1 SAN=1 "$BUILD/fuzz/$t" || exit 1
	mkdir -p "$BUILD/new/$t" "$BUILD/crash/$t"
	echo "== fuzz $t, ${FUZZ_SECONDS:-60} s"
	"$BUILD/fuzz/$t" -max_total_time="${FUZZ_SECONDS:-60}" -rss_limit_mb=2048 -timeout=10 -print_final_stats=1 \
		-artifact_prefix="$BUILD/crash/$t/" "$BUILD/new/$t" "tests/fuzz/corpus/$t" >"$BUILD/$t.log" 2>&1
	rc=$?
	grep -E 'stat::number_of_executed|stat::average_exec|ERROR|SUMMARY|runtime error' "$BUILD/$t.log"
	[ $rc = 0 ] || { echo "  $t: see $BUILD/$t.log and $BUILD/crash/$t"; status=1; }
done
exit $status
