#!/bin/bash
# Sessions hurt in every way a sensor knows: whatever is missing, each session ends with a
# verdict that names the true cause, the books balance, and no byte that comes out is wrong.
# tests/golden/verdicts.sh (HURT: the program of tests/interop/hurt.c)
set -u
cd "$(dirname "$0")/../.." || exit 1
. tests/run/lib.sh
LIMPID=${LIMPID:-./limpid}
HURT=${HURT:-$(dirname "$LIMPID")/interop/hurt}
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
for k in server other export; do install -m 600 keys/$k.pem "$tmp/$k.pem"; done
key="-k $tmp/server.pem"

# ---- every capture, hurt at each packet

${CC:-cc} -std=c11 -Iinclude -shared -fPIC -o "$tmp/ledger.so" tests/golden/ledger.c || fail "verdicts: ledger.c"

# The reasons that a copy may end with; its own (that of the whole one) it always may.
cat > "$tmp/allowed.jq" <<'EOF'
def allowed($way; $k):
	if $way == "whole" then []
	elif $way == "only" then ["one-direction"]
	elif $way == "snap" and $k <= 100 then ["snaplen"]
	elif $way == "snap" then ["snaplen", "gap", "gap-not-recovered", "complete"]
	elif $way == "upto" then ["handshake-unfinished", "complete",
		"later-handshake-closed", "session-unknown", "ticket-unknown"]
	elif $way == "from" and $k > 4 then ["start-not-captured", "one-direction", "complete"]
	elif $way == "from" then ["complete", "handshake-lost"]
	else ["complete", "gap", "gap-not-recovered", "handshake-lost", "handshake-lost-ems",
		"session-unknown", "ticket-unknown", "export-key", "later-handshake-closed"] end;
[inputs | {at: (.timestamp[0:19] + "Z" | fromdateiso8601), port: .src_port,
	reason: .limpid.reason, detail: .limpid.detail}] as $all |
($all | map(.at) | min) as $first |
($names | split("\n") | map(select(. != "") | split(" "))) as $ways |
($all | map(select(.at < $first + 2000) | .reason) | unique) as $own |
$all[] | $ways[(.at - $first) / 4000 | floor] as $w |
# One side alone never has the session's own reason.
(if $w[0] == "only" then [] else $own end + allowed($w[0]; $w[1] | tonumber? // 0)) as $may |
select(.reason as $r | $may | index($r) | not) | "\($w | join(" ")): \(.reason) (\(.detail))"
EOF

hurt_each() { # case, step
	local c=$1 args capture rest bad
	args=$(cat "tests/golden/$c/args")
	capture=$(echo "$args" | grep -o 'captures/[^ ]*' | head -n 1)
	rest=${args//-r $capture/}
	rm -rf "$tmp/truth"
	mkdir "$tmp/truth"

	if ! "$LIMPID" -q $args -o "$tmp/ledger.so:$tmp/truth,record=on" >"$tmp/log" 2>&1; then
		tail -n 3 "$tmp/log"
		fail "verdicts: $c: the books"
		return
	fi
	if ! "$HURT" "$capture" "$tmp/each.pcap" each "$2" >"$tmp/names" ||
		! timeout 120 "$LIMPID" -q -r "$tmp/each.pcap" $rest -o "$tmp/ledger.so:$tmp/truth" -o "json:$tmp/json" >"$tmp/log" 2>&1; then
		tail -n 5 "$tmp/log"
		fail "verdicts: $c, hurt at each packet: the books"
		return
	fi
	bad=$(jq -rn --rawfile names "$tmp/names" -f "$tmp/allowed.jq" "$tmp/json" 2>&1)
	if [ -n "$bad" ]; then
		echo "$bad" | sort | uniq -c | sort -rn | head -n 6
		fail "verdicts: $c, hurt at each packet: not the true cause"
	else
		pass "verdicts: $c, hurt at each packet"
	fi
}

for d in tests/golden/*/; do
	c=$(basename "$d")
	# What is wrong in the capture itself, or no pcap file, has its own test.
	case $c:$(cat "$d/args") in
	*.gz* | *.zst* | *.pcapng* | gap-* | flights*:* | handshake-lost:* | truncated:*) continue ;;
	esac
	hurt_each "$c" 40
done

# ---- one cause each

# says NAME REASON PATTERN ARGUMENTS: every session of it ends so, and the evidence says PATTERN.
says() {
	local name="verdict: $1" reason=$2 pattern=$3 got rc
	shift 3

	timeout 60 "$LIMPID" -q "$@" -o "json:$tmp/json" >"$tmp/out" 2>&1
	rc=$?
	got=$(jq -r '[.limpid.reason, .limpid.detail, .limpid.advice // "", (.limpid.notes | join(" "))] | join(" | ")' "$tmp/json")
	if [ $rc = 0 ] && [ -n "$got" ] && ! echo "$got" | grep -vqE "^$reason \\| .*$pattern"; then
		pass "$name"
	else
		sed 's/^/    /' "$tmp/out" | head -n 3
		echo "$got" | head -n 3
		fail "$name: status $rc, not '$reason … $pattern'"
	fi
}
# hurt CAPTURE WAY…: makes $tmp/h.pcap
hurt() {
	"$HURT" "captures/$1.pcap" "$tmp/h.pcap" "${@:2}" >"$tmp/out" 2>&1 || fail "verdicts: hurt $*"
}
h="-r $tmp/h.pcap"
http="-r captures/http.pcap"

# No secret is there, or none that fits.
says "no key at all" no-key 'no key was loaded.*CN=server.example; serial .*SHA-256' $http
says "another key" no-key 'the loaded key is not that of' $http -k "$tmp/other.pem"
hurt forward-secret flows 1 1
says "an ephemeral key exchange" forward-secret 'TLS_ECDHE' $h $key
hurt forward-secret flows 2 2
says "TLS 1.3" tls13 'TLS 1.3' $h $key
hurt resumed flows 2 2
says "a ticket whose session was not seen" ticket-unknown 'ticket of [0-9]+ bytes' $h $key
hurt resumed flows 5 5
says "a session id whose session was not seen" session-unknown 'resumed as [0-9a-f]{64}' $h $key
hurt ciphers flows 5 5
says "a cipher that the provider has not" cipher-unavailable 'ARIA' $h $key --crypto mbedtls
hurt export flows 5 5
says "a temporary key of an EXPORT suite" export-key 'temporary key of 512 bits' $h $key
hurt story-tls11-noems message 11 10 ff
says "a certificate that does not parse, and another key" malformed 'certificate: unreadable' $h -k "$tmp/other.pem"

# What the capture has not.
for c in http story-tls12-noems ssl3 java; do
	hurt $c only client
	says "$c, the client alone" one-direction 'no packet from the server' $h $key
	hurt $c only server
	says "$c, the server alone" one-direction 'no packet from the client' $h $key
	hurt $c snap 90
	says "$c, cut packets" snaplen 'cut off by the snap length' $h $key
	hurt $c from 6
	says "$c, begun too late" start-not-captured 'ClientHello before' $h $key
	hurt $c drop 4
	says "$c, no ClientHello" handshake-lost 'captured from its start, but its ClientHello' $h $key
	hurt $c upto 7
	says "$c, ended too early" handshake-unfinished 'capture ended during the handshake after the server' $h $key
done
hurt http drop 8
says "EMS, the client's flight lost" 'handshake-lost(-ems)?' 'bytes of the handshake from the client, at byte 126 \(behind its ClientHello\)' $h $key

# What breaks the rules.
broken() { # NAME CAPTURE PATTERN MESSAGE AT HEX
	hurt "$2" message "$4" "$5" "$6"
	says "$1" malformed "$3" $h $key
}
broken "a suite that was not offered" http 'cipher suite that was not offered' 2 id+0 BEEF
broken "a version above the client's" http "version above the client's" 2 4 0304
broken "an unknown version" http 'unknown version' 2 4 0203
broken "a compression that was not offered" http 'compression method that was not offered' 2 id+2 01
broken "an extension that was not offered" story-tls12-noems 'extended_master_secret, which was not offered' 2 id+14 0017
broken "a list of extensions that lies" http 'list of extensions' 2 id+3 ffff
broken "a list of certificates that lies" http 'Certificate \(type 11\) from the server.*list' 11 4 ffffff
broken "a certificate that is longer than its list" http 'entry is cut short' 11 7 ffffff
broken "a certificate that does not parse" http 'certificate: unreadable' 11 10 ff
broken "a record that is too long" http 'longer than 2\^14 \+ 2048' 2 -2 ffff
broken "a record of an unknown kind" http 'unknown content type' 14 -5 63
broken "a message out of turn" http 'unexpected Certificate' 14 0 0b
broken "a message of an unknown kind" http 'type 99' 14 0 63
broken "a key exchange that lies" http 'malformed ClientKeyExchange' 16 4 ffff
broken "a message of another's turn" http 'unexpected CertificateVerify' 16 0 0f
broken "a suites list that lies" http 'ClientHello is cut short' 1 id+0 ffff
hurt http message 11 1 ffffff
says "a message of 16 MB" limit 'longer than the cap' $h $key

# Others in the same capture go on; memory stays where it was.
hurt openssl-tls12 message 2 id+0 BEEF
says "every session of a capture" malformed 'suite that was not offered' $h $key
"$HURT" "$tmp/h.pcap" "$tmp/h2.pcap" flows 1 1 >/dev/null 2>&1
"$HURT" captures/openssl-tls12.pcap "$tmp/rest.pcap" flows 2 999 >/dev/null 2>&1
"$LIMPID" -q -r "$tmp/h2.pcap" -r "$tmp/rest.pcap" $key -o "json:$tmp/json" >"$tmp/out" 2>&1
want "verdicts: the others go on" test "$(jq -r .limpid.reason "$tmp/json" | sort | uniq -c | tr -s ' \n' ' ')" = \
	" $(($(wc -l <tests/golden/openssl-tls12/expect.jsonl) - 1)) complete 1 malformed "

# ---- what is said, and where

"$LIMPID" $http >"$tmp/out" 2>&1
"$LIMPID" -q $http -o "json:$tmp/json" >/dev/null 2>&1
alike() {
	local detail advice
	detail=$(jq -r .limpid.detail "$tmp/json") advice=$(jq -r .limpid.advice "$tmp/json")
	grep -qF "no-key: $detail. $advice" "$tmp/out" && grep -qE '^ +1 no-key +no loaded key' "$tmp/out" &&
		[ "$(grep -cF "$advice" "$tmp/out")" = 2 ]
}
want "verdicts: session line, json and summary say it alike" alike
codes=$("$LIMPID" --explain | awk '/^  /{ print $1 }')
explains() {
	local c
	[ "$("$LIMPID" --explain list)" = "$("$LIMPID" --explain)" ] && [ "$(echo "$codes" | wc -l)" -gt 30 ] || return 1
	for c in $codes; do
		"$LIMPID" --explain "$c" | grep -q "^$c: " && [ "$("$LIMPID" --explain="$c" | wc -l)" -gt 3 ] || return 1
	done
	! "$LIMPID" --explain nonsense 2>"$tmp/err" && [ "$(wc -l <"$tmp/err")" = 1 ]
}
want "verdicts: --explain knows each" explains
exit 0
