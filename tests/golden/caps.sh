#!/bin/bash
# Every cap and timeout: an option makes it small, a capture reaches it, its counter says so, and
# everything else goes on: limpid ends as it should and its sums hold. tests/golden/caps.sh
# (Questions to the warden: tests/unit/test_asks.c. Records that are held back, where a replay
# stops reading instead: test_stage.c. Half-open connections, times: test_tcp_limits.c.)
set -u
cd "$(dirname "$0")/../.." || exit 1
. tests/run/lib.sh
LIMPID=${LIMPID:-./limpid}
WRAP=${WRAP:-$(dirname "$LIMPID")/interop/wrap}
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

awk -v n=40 'BEGIN { for (i = 0; i < n; i++) printf "CLIENT_RANDOM %064x %096x\n", i, i }' >"$tmp/keys"

# reach OPTION=VALUE COUNTER READ-OPTIONS: the counter stays 0 without the option.
reach() {
	local option=$1 counter=$2 way
	shift 2

	for way in with without; do
		if ! timeout 60 "$LIMPID" -q $([ $way = without ] || echo --set "$option") "$@" \
			-k keys/server.pem -o "json:$tmp/json,stats=on" >"$tmp/log" 2>&1; then
			cat "$tmp/log"
			fail "cap $option: limpid failed"
			return
		fi
		jq -c 'select(.event_type == "stats").stats' "$tmp/json" >"$tmp/$way"
		if ! jq -e '.read == .packets.processed + (.drop | add)' "$tmp/$way" >/dev/null; then
			cat "$tmp/$way"
			fail "cap $option: the sums"
			return
		fi
	done
	if jq -e "$counter > 0" "$tmp/with" >/dev/null && jq -e "$counter == 0" "$tmp/without" >/dev/null; then
		pass "cap $option: $counter"
	else
		jq -c "[$counter]" "$tmp/with" "$tmp/without"
		fail "cap $option: $counter"
	fi
}

many="-r captures/ciphers.pcap"
reach max-flows=16 .tcp.evicted $many
reach max-sessions=2 .resumption.evicted $many
reach max-session-bytes=1024 .resumption.evicted $many
reach max-flights-total=1024 .flights.evicted $many
reach max-flight=256 .flights.too_long $many
"$WRAP" captures/key-log.pcap "$tmp/two.pcap" two vlan
reach max-contexts=1 .cipher.evicted -r "$tmp/two.pcap" -l captures/key-log.keys
reach max-handshake=1024 .handshake.cap -r captures/java.pcap
reach max-key-log=16 .key_log.evicted -r captures/key-log.pcap -l "$tmp/keys"
"$WRAP" captures/small-records.pcap "$tmp/late.pcap" late 17
reach max-out-of-order=1024 .tcp.cap_side -r "$tmp/late.pcap"
reach max-out-of-order-total=1024 .tcp.cap_total -r "$tmp/late.pcap"

# fits NAME OPTION PEAK READ-OPTIONS: what one worker needs four have in common, however it is spread.
fits() {
	local name=$1 option=$2 peak=$3 w
	shift 3

	for w in 1 4; do
		"$LIMPID" -q --workers $w --set "$option=$((peak * 3 / 2 + 2048))" "$@" -k keys/server.pem \
			-o "json:$tmp/fits.$w,stats=on" 2>"$tmp/log" || cat "$tmp/log"
	done
	jq -c 'select(.event_type == "stats").stats.tcp | [.cap_side, .cap_total, .evicted]' "$tmp/fits.4" >"$tmp/reached"
	if [ "$(jq -c 'select(.event_type != "stats")' "$tmp/fits.1")" != "" ] &&
		diff <(jq -c 'select(.event_type != "stats")' "$tmp/fits.1") <(jq -c 'select(.event_type != "stats")' "$tmp/fits.4") &&
		[ "$(cat "$tmp/reached")" = '[0,0,0]' ]; then
		pass "four workers: $name"
	else
		cat "$tmp/reached"
		fail "four workers: $name"
	fi
}
peak=$("$LIMPID" -q --workers 1 -r "$tmp/late.pcap" -k keys/server.pem -o json:-,stats=on 2>/dev/null | jq 'select(.event_type == "stats").stats.tcp.ooo_peak')
fits "a flow's out-of-order bytes" max-out-of-order-total "$peak" -r "$tmp/late.pcap"

# Of a session that nobody can open nothing is kept in order: what comes late is counted.
waits() { "$LIMPID" -q -r "$tmp/late.pcap" -k "keys/$1.pem" -o json:-,stats=on 2>/dev/null | jq 'select(.event_type == "stats").stats.tcp.ooo_peak'; }
if [ "$(waits server)" -gt 0 ] && [ "$(waits other)" = 0 ]; then
	pass "closed sessions keep nothing"
else
	fail "closed sessions keep nothing: with the key $(waits server) bytes wait, with another $(waits other)"
fi

"$WRAP" captures/java.pcap "$tmp/heads.pcap" fragments 512 heads
reach max-fragments=65536 '.drop["fragment-limit"]' -r "$tmp/heads.pcap"
reach max-fragments-host=65536 '.drop["fragment-limit"]' -r "$tmp/heads.pcap"
exit 0
