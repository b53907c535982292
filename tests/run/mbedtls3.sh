#!/bin/bash
# Compiles the engine against mbedTLS 3.6 and runs the unit tests with it: the one
# installed if it is that, else the next Debian release's headers and static library,
# unpacked aside.
set -u
cd "$(dirname "$0")/../.." || exit 1
. tests/run/lib.sh
. tests/run/suite.sh
BUILD=${BUILD:-build} MAKE=${MAKE:-make}
case $BUILD in /*) ;; *) BUILD=$PWD/$BUILD ;; esac
mkdir -p "$BUILD"
d=$(mktemp -d "$BUILD/mbedtls3.XXXXXX") || exit 1
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
if ! grep -qs 'MBEDTLS_VERSION_MAJOR *3' "$d/root/usr/include/mbedtls/build_info.h"; then
	fail "mbedTLS 3: $next's libmbedtls-dev is not that"
	exit 0
fi
case ${MAKEFLAGS:-} in *jobserver*) jobs= ;; *) jobs=-j$(nproc) ;; esac
with=(BUILD="$d/b" MBEDTLS_CPPFLAGS="-isystem $d/root/usr/include"
	LDFLAGS="-L$(dirname "$d"/root/usr/lib/*/libmbedcrypto.a)")
if $MAKE -s $jobs "${with[@]}" "$d/b/liblimpid.a" >"$d/log" 2>&1 && ! grep -q warning: "$d/log"; then
	pass "compiles against mbedTLS 3.6"
else
	grep -E 'error|warning' "$d/log" | head -n 20
	fail "compiles against mbedTLS 3.6"
	exit 0
fi
# The library was made for the next release's C library: it may not link here.
if ! $MAKE -s $jobs "${with[@]}" "$d/b/unit" >"$d/log" 2>&1; then
	tail -n 3 "$d/log"
	skip "mbedTLS 3: $next's library does not link on $release"
elif "$d/b/unit" >"$d/log" 2>&1; then
	pass "unit tests with mbedTLS 3.6"
else
	tail -n 20 "$d/log"
	fail "unit tests with mbedTLS 3.6"
fi
