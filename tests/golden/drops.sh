#!/bin/bash
# What a lost packet costs: each golden capture without its first, second, third … packet, or
# without two or five in a row. Each session has a verdict, the books balance, no byte is
# wrong, and every record comes out of which no byte was lost; with Extended Master Secret
# also where a packet of a Certificate is missing, since the same server was heard before.
# tests/golden/drops.sh [quick|full] [NAME...]   (HURT: the program of tests/interop/hurt.c)
set -u
cd "$(dirname "$0")/../.." || exit 1
. tests/run/lib.sh
LIMPID=${LIMPID:-./limpid}
HURT=${HURT:-$(dirname "$LIMPID")/interop/hurt}
level=${1:-quick}
[ $# = 0 ] || shift
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
install -m 600 keys/server.pem "$tmp/server.pem"

${CC:-cc} -std=c11 -Iinclude -shared -fPIC -o "$tmp/ledger.so" tests/golden/ledger.c || fail "drops: ledger.c"

# What came of each connection, by copy, and what may be missing from what the whole one gave.
cat > "$tmp/costs.jq" <<'EOF'
($names | split("\n") | map(split(" "))) as $lines |
[$lines[] | select(.[0] == "copy") | .[2] | tonumber] as $copies |
(reduce ($lines[] | select(.[0] == "toll")) as $t ({}; .["\($t[1]) \($t[2])"] = ($t[3:] | map(tonumber)))) as $tolls |
[inputs | {at: (.timestamp | .[0:19] + "Z" | fromdateiso8601), port: .src_port, l: .limpid}] as $all |
($all | map(.at) | min) as $first |
(reduce $all[] as $s ({}; .["\(($s.at - $first) / 1000 | floor) \($s.port)"] |=
	[(.[0] // 0) + $s.l.client_bytes, (.[1] // 0) + $s.l.server_bytes,
	 (.[2] // 0) + ($s.l.client_lost // 0), (.[3] // 0) + ($s.l.server_lost // 0), $s.l.reason, $s.l.detail])) as $got |
($got | to_entries | map(select(.key | startswith("0 ")) | {key: .key[2:], value}) | from_entries) as $whole |
$copies | to_entries[] | .key as $copy | .value as $k |
$whole | to_entries[] | .key as $port | .value as $want |
($got["\($copy) \($port)"] // [0, 0, 0, 0, "no session", ""]) as $is |
($tolls["\($port) \($k)"] // [0, 0, 0, 0]) as $toll |
select(any(0, 1; . as $i | $toll[$i] >= 0 and $is[$i] < $want[$i] - $toll[$i]) or
	any(2, 3; . as $i | $toll[$i - 2] >= 0 and $toll[$i] > 0 and $is[$i] > $want[$i] + $toll[$i])) |
"packet \($k), port \($port): \($is[0:4]) of \($want[0:4]), may cost \($toll): \($is[4]) (\($is[5]))"
EOF

lacking() { # case, step, packets in a row
	local c=$1 args capture rest bad status=0
	args=$(sed "s|keys/server.pem|$tmp/server.pem|" "tests/golden/$c/args")
	capture=$(echo "$args" | grep -o 'captures/[^ ]*' | head -n 1)
	rest=${args//-r $capture/}
	rm -rf "$tmp/truth"
	mkdir "$tmp/truth"
	timeout 60 "$LIMPID" -q $args -o "$tmp/ledger.so:$tmp/truth,record=on" >"$tmp/log" 2>&1 || status=$?
	if [ "$status" != "$(cat "tests/golden/$c/status" 2>/dev/null || echo 0)" ] ||
		! "$HURT" "$capture" "$tmp/each.pcap" drops "$2" "$3" >"$tmp/names" ||
		! timeout 300 "$LIMPID" -q -r "$tmp/each.pcap" $rest -o "$tmp/ledger.so:$tmp/truth" -o "json:$tmp/json" >"$tmp/log" 2>&1; then
		tail -n 5 "$tmp/log"
		fail "drops: $c: the books, with $3 lost at a time"
		return
	fi
	bad=$(jq -rn --rawfile names "$tmp/names" -f "$tmp/costs.jq" "$tmp/json" 2>&1)
	if [ -n "$bad" ]; then
		echo "$bad" | head -n 6
		fail "drops: $c: $(echo "$bad" | wc -l) losses of $3 packets cost more than they may"
	else
		pass "drops: $c, $3 at a time"
	fi
}

quick=" flights story-tls12-ems story-tls12-noems story-tls11-ems http small-records rc4-des java "
for d in tests/golden/*/; do
	c=$(basename "$d")
	if [ $# -gt 0 ]; then
		case " $* " in *" $c "*) ;; *) continue ;; esac
	elif [ "$level" = quick ]; then
		case $quick in *" $c "*) ;; *) continue ;; esac
	fi
	# No pcap file.
	case $c:$(cat "$d/args") in
	*.gz* | *.zst* | *.pcapng*) continue ;;
	esac
	if [ "$level" = quick ]; then
		lacking "$c" 40 1
	else
		for length in 1 2 5; do
			lacking "$c" 1 $length
		done
	fi
done
exit 0
