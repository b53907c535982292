#!/bin/bash
# The same bytes whatever the packets travel in: captures wrapped into every tunnel, in tunnels
# in each other, and cut into fragments, give what the plain ones give.
# tests/golden/wire.sh (WRAP: the program of tests/interop/wrap.c)
set -u
cd "$(dirname "$0")/../.." || exit 1
. tests/run/lib.sh
. tests/run/compare.sh
LIMPID=${LIMPID:-./limpid}
WRAP=${WRAP:-$(dirname "$LIMPID")/interop/wrap}
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

open() { # case, capture, limpid's options: compares with what is expected of the case
	local c=$1 out="$tmp/out" diff
	shift

	rm -rf "$out"*
	if ! timeout 120 "$LIMPID" -k keys/server.pem -o "files:$out" -r "$@" >"$out.stdout" 2>&1; then
		cat "$out.stdout"
		return 1
	fi
	diff=$(compare "tests/golden/$c/expect.jsonl" "$out" 2>&1)
	[ -z "$diff" ] || { echo "$diff" | head -n 8; tail -n 8 "$out.stdout"; return 1; }
	# A copy of a packet may be dropped, a part of it not.
	if grep -qE 'fragment-(held|bad|timeout|limit|overlap|cut)' "$out.stdout"; then
		cat "$out.stdout"
		return 1
	fi
}

try() { # what, case, capture, options
	local what=$1
	shift
	if open "$@"; then pass "wire: $what"; else fail "wire: $what"; fi
}

in=captures/small-records.pcap c=small-records
[ -e "$in" ] || { fail "wire: no $in"; exit 0; }
for kind in vlan qinq mpls mpls-stack mpls-pw mpls-bare pppoe pbb snap gre gre-full gre-ethernet \
	gre-mpls erspan-1 erspan-2 erspan-3 erspan-3-more vxlan vxlan-linux geneve geneve-ip ipip gtp \
	gtp-more wlan wlan-qos radiotap; do
	for six in "" 6; do
		"$WRAP" $in "$tmp/a.pcap" $kind $six || { fail "wire: wrap $kind"; continue; }
		try "$kind ${six:+over IPv6}" $c "$tmp/a.pcap"
	done
done

# In each other, and in fragments.
"$WRAP" $in "$tmp/a.pcap" vxlan && "$WRAP" "$tmp/a.pcap" "$tmp/b.pcap" gre-full 6 &&
	"$WRAP" "$tmp/b.pcap" "$tmp/c.pcap" gtp-more && try "vxlan in gre in gtp" $c "$tmp/c.pcap"
for order in forward reverse twice; do
	"$WRAP" $in "$tmp/a.pcap" fragments 64 $order && try "fragments, $order" $c "$tmp/a.pcap"
	"$WRAP" "$tmp/c.pcap" "$tmp/d.pcap" fragments 256 $order &&
		try "tunnels in fragments, $order" $c "$tmp/d.pcap"
	"$WRAP" "$tmp/c.pcap" "$tmp/d.pcap" fragments 104 $order &&
		"$WRAP" "$tmp/d.pcap" "$tmp/e.pcap" geneve 6 &&
		"$WRAP" "$tmp/e.pcap" "$tmp/f.pcap" fragments 64 $order &&
		try "fragments in a tunnel in fragments, $order" $c "$tmp/f.pcap"
done
"$WRAP" captures/http.pcap "$tmp/a.pcap" fragments 1480 reverse && try "fragments of offloaded packets" http "$tmp/a.pcap"

# A mirror that shows both its VLANs: one stream each, or one in all.
"$WRAP" $in "$tmp/a.pcap" two vlan && try "two VLANs as one" $c "$tmp/a.pcap" --ignore-domain
"$WRAP" $in "$tmp/a.pcap" two vxlan && try "two overlays as one" $c "$tmp/a.pcap" --set ignore-domain=on
rm -rf "$tmp/out"
"$LIMPID" -q -k keys/server.pem -o "files:$tmp/out" -r "$tmp/a.pcap" >/dev/null 2>&1
want "wire: two overlays are two streams" test \
	"$(wc -l <"$tmp/out/index.jsonl")" = $((2 * $(wc -l <tests/golden/$c/expect.jsonl)))
