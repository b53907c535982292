#!/bin/bash
# -o audit on real captures: what it tells of two nginx that share a ticket key, one of
# which gets a new one after a day, and of a few others.
set -u
cd "$(dirname "$0")/../.." || exit 1
. tests/run/lib.sh
LIMPID=${LIMPID:-./limpid}
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

# told NAME FILTER...: what jq makes of the audit of a capture must be true.
told() {
	local name=$1 want

	shift
	timeout 60 "$LIMPID" -q -r "captures/$name.pcap" -o "audit:$tmp/$name.json" 2>"$tmp/err" </dev/null || { cat "$tmp/err"; fail "audit $name"; return; }
	for want; do
		want "audit $name: $want" test "$(jq "$want" "$tmp/$name.json" 2>&1)" = true
	done
}
told audit '.servers | length == 2' '.sessions == 10' \
	'.servers[0].server == "127.0.0.1:8443"' '.servers[0].sni == "server.example"' \
	'.servers[0].key_exchange | [.rsa, .ephemeral] == [1, 3]' \
	'.servers[0].resumed | [.id, .ticket, .longest_is_at_least] == [0, 3, false]' \
	'.servers[0].resumed.longest | . > 93600 and . < 93660' \
	'.servers[0].ticket_keys | length == 2' \
	'.servers[0].ticket_keys[0] | .age > 93600 and .issued > 1 and .accepted == 3' \
	'.servers[0].ticket_keys[1] | .issued >= 1 and .accepted == 0' \
	'.servers[0].rotation == "slower-than-daily"' \
	'[.servers[0].advice[].code] == ["rsa-key-exchange", "ticket-key-rotation", "ticket-key-shared", "session-lifetime"]' \
	'.servers[1].rotation == "never"' '.servers[1].ticket_keys[0].issued >= 2' \
	'[.shared_ticket_keys[].servers] == [["127.0.0.1:8443", "127.0.0.1:8453"]]' \
	'.shared_ticket_keys[0].name == .servers[0].ticket_keys[0].name'
told resumed '.servers[0].resumed | [.id, .ticket, .followed] == [2, 2, 4]' '.servers[0].rotation == "too-short"'
told gnutls-tls12 '.servers[0].key_exchange.rsa == .servers[0].sessions'
told forward-secret '.servers[0].key_exchange | .rsa == 0 and .ephemeral > 0'

# The text says the same, keys or not, and twice the same.
for keys in "" "-k keys/server.pem"; do
	timeout 60 "$LIMPID" -q -r captures/audit.pcap $keys -o "audit:$tmp/text" 2>/dev/null </dev/null
	want "audit in words ${keys:+with a key}" cmp -s "$tmp/text" tests/golden/audit.txt
done
exit 0
