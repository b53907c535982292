#!/bin/bash
# `make install` into a folder, and an embedding program and a plugin built against
# what it put there alone.
set -u
cd "$(dirname "$0")/../.." || exit 1
. tests/run/lib.sh
BUILD=${BUILD:-build} MAKE=${MAKE:-make} CC=${CC:-cc}
d=$(mktemp -d "$PWD/$BUILD/install.XXXXXX")
trap 'rm -rf "$d"' EXIT

if ! $MAKE -s DESTDIR="$d/root" PREFIX=/usr install >"$d/log" 2>&1; then
	tail -n 20 "$d/log"
	fail "make install"
	exit 1
fi
pass "make install"
for f in bin/limpid include/limpid/limpid.h include/limpid/plugin.h lib/liblimpid.a lib/liblimpid.so lib/pkgconfig/limpid.pc \
	share/man/man1/limpid.1; do
	want "installed: $f" test -s "$d/root/usr/$f"
done
export PKG_CONFIG_SYSROOT_DIR="$d/root" PKG_CONFIG_LIBDIR="$d/root/usr/lib/pkgconfig"
cat > "$d/embed.c" <<'C'
#include <limpid/limpid.h>
#include <stdio.h>
int main(void)
{
	struct lp_config *config = lp_config_new();
	char why[LP_WHY];
	int rc = config && lp_config_set(config, "no-such-option", "1", why) < 0 && why[0] ? 0 : 1;

	lp_config_free(config);
	return rc;
}
C
want "an embedding program, shared library" $CC -o "$d/shared" "$d/embed.c" $(pkg-config --cflags --libs limpid)
want "it runs" env LD_LIBRARY_PATH="$d/root/usr/lib" "$d/shared"
want "an embedding program, static library" $CC -o "$d/static" "$d/embed.c" $(pkg-config --cflags limpid) \
	"$d/root/usr/lib/liblimpid.a" $(pkg-config --libs --static limpid | sed 's/-llimpid//')
want "it runs too" "$d/static"
want "the headers are C++ too" $CC -xc++ -fsyntax-only -I"$d/root/usr/include" - <<< '#include <limpid/limpid.h>'
want "only the public names are exported" test -z \
	"$(nm -D --defined-only "$d/root/usr/lib/liblimpid.so" | awk '$2 ~ /[TDBR]/ && $3 !~ /^lp_(config|engine|worker)_/')"
want "position independent" sh -c "readelf -h '$d/root/usr/bin/limpid' | grep -q 'DYN'"
want "full RELRO" sh -c "readelf -d '$d/root/usr/bin/limpid' | grep -q BIND_NOW"
want "stack protector" sh -c "nm -D '$d/root/usr/bin/limpid' | grep -q __stack_chk_fail"
want "fortified" sh -c "nm -D '$d/root/usr/bin/limpid' | grep -q '_chk@'"
