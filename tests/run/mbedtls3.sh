#!/bin/bash
# Compiles the engine against mbedTLS 3.6: the one installed if it is that, else the
# next Debian release's headers, unpacked aside.
set -u
cd "$(dirname "$0")/../.." || exit 1
. tests/run/lib.sh
. tests/run/suite.sh
BUILD=${BUILD:-build} MAKE=${MAKE:-make}
d=$(mktemp -d "$PWD/$BUILD/mbedtls3.XXXXXX")
trap 'rm -rf "$d"' EXIT

if grep -rqs 'MBEDTLS_VERSION_MAJOR *3' /usr/include/mbedtls/build_info.h; then
	pass "mbedTLS 3: it is what this machine has"
	exit 0
fi
release=$(. /etc/os-release && echo "${VERSION_CODENAME:-}")
case $release in
bookworm) next=trixie ;;
*) skip "mbedTLS 3: which release comes after '$release' is not known here"; exit 0 ;;
esac
if ! { suite_sources "$d" "$release" "$next" && rm -f "$d"/parts/*own* &&
	apt-get -qq "${suite_apt[@]}" update && cd "$d" &&
	apt-get -qq "${suite_apt[@]}" download libmbedtls-dev; } >"$d/log" 2>&1; then
	tail -n 5 "$d/log"
	skip "mbedTLS 3: $next's libmbedtls-dev cannot be had"
	exit 0
fi
cd - >/dev/null || exit 1
dpkg-deb -x "$d"/libmbedtls-dev_*.deb "$d/root"
case ${MAKEFLAGS:-} in *jobserver*) jobs= ;; *) jobs=-j$(nproc) ;; esac
if $MAKE -s $jobs BUILD="$d/b" MBEDTLS_CPPFLAGS="-isystem $d/root/usr/include" "$d/b/liblimpid.a" >"$d/log" 2>&1 &&
	! grep -q warning: "$d/log"; then
	pass "compiles against mbedTLS 3.6"
else
	grep -E 'error|warning' "$d/log" | head -n 20
	fail "compiles against mbedTLS 3.6"
fi
