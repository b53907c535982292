#!/bin/bash
# Golden tests: each capture with its keys, by each crypto provider (and by libnids,
# where the case allows it), must give exactly the bytes that were sent, and the same
# files byte for byte when it is run again and every answer comes late. tests/golden/run.sh [NAME...]
set -u
cd "$(dirname "$0")/../.." || exit 1
. tests/run/lib.sh
. tests/run/compare.sh
LIMPID=${LIMPID:-./limpid}
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

ways="mbedtls:native"
libs=$(ldd "$LIMPID")
case $libs in *libcrypto*) ways="$ways openssl:native" ;; esac
case $libs in *libnids*) ways="$ways mbedtls:nids" ;; esac

run() { # out, case, crypto, tcp, more arguments: leaves out/ and out.stdout, out.stderr, out.status
	local prelude=

	[ ! -e "tests/golden/$2/prelude" ] || prelude=,prelude=on
	timeout 120 "$LIMPID" $(cat "tests/golden/$2/args") --crypto "$3" --tcp "$4" -o "files:$1$prelude" \
		"${@:5}" >"$1.stdout" 2>"$1.stderr" </dev/null
	echo $? > "$1.status"
}

one() { # case, crypto, tcp
	local name="golden $1 ($2, $3)" status=0 diff a="$tmp/$1.$2.$3"

	run "$a" "$1" "$2" "$3"
	[ ! -e "tests/golden/$1/status" ] || status=$(cat "tests/golden/$1/status")
	if [ "$(cat "$a.status")" != "$status" ]; then
		head -n 20 "$a.stderr"
		fail "$name: exit status $(cat "$a.status"), not $status"
		return
	fi
	if grep -qE 'Sanitizer|runtime error' "$a.stderr"; then
		head -n 30 "$a.stderr"
		fail "$name: sanitizer"
		return
	fi
	diff=$(compare "tests/golden/$1/expect.jsonl" "$a" 2>&1)
	if [ -n "$diff" ]; then
		echo "$diff" | head -n 12
		fail "$name"
		return
	fi
	run "$a.again" "$1" "$2" "$3" --set warden-delay=5
	if ! diff -r "$a" "$a.again" >/dev/null || ! diff "$a.stdout" "$a.again.stdout"; then
		fail "$name: a second run gave something else"
		return
	fi
	# Whatever did the work, the outcome is the same.
	if [ "$3" = native ] && [ "$2" != auto ] && ! diff -r "$tmp/$1.mbedtls.native" "$a" >"$a.diff"; then
		head -n 5 "$a.diff"
		fail "$name: differs from that of mbedtls"
		return
	fi
	pass "$name"
}

for d in tests/golden/*/; do
	c=$(basename "$d")
	if [ $# -gt 0 ]; then case " $* " in *" $c "*) ;; *) continue ;; esac; fi
	# What it shows needs both providers.
	if [ -e "$d/auto-only" ]; then
		case $ways in *openssl*) one "$c" auto native ;; esac
		rm -rf "${tmp:?}"/*
		continue
	fi
	for way in $ways; do
		# libnids has no IPv6 and does not go on behind a hole.
		[ "${way#*:}" != nids ] || [ ! -e "$d/native-only" ] || continue
		one "$c" "${way%:*}" "${way#*:}"
	done
	rm -rf "${tmp:?}"/*
done

# Every form in which the server's key may come opens the same capture.
[ $# = 0 ] || exit 0
for key in keys/forms/*.pem keys/forms/*.der; do
	run="$LIMPID -r captures/http.pcap -k $key -p keys/forms/passphrase -o files:$tmp/form"
	if timeout 60 $run >"$tmp/out" 2>&1 && [ -z "$(compare tests/golden/http/expect.jsonl "$tmp/form")" ]; then
		pass "key form $key"
	else
		tail -n 3 "$tmp/out"
		fail "key form $key"
	fi
	rm -rf "$tmp/form"*
done

# The sample plugin, built from the public header alone.
if ${MAKE:-make} -s -C examples/sample OUT="$tmp/sample.so" INCLUDE="$PWD/include" >"$tmp/log" 2>&1 &&
	timeout 60 "$LIMPID" -q $(cat tests/golden/story-tls12-ems/args) -o "$tmp/sample.so:$tmp/bytes" >"$tmp/log" 2>&1 &&
	[ "$(cat "$tmp/bytes")" = "$(jq -r '"1 server.example \(.client_bytes) \(.server_bytes) decrypted"' \
		tests/golden/story-tls12-ems/expect.jsonl)" ]; then
	pass "sample plugin"
else
	cat "$tmp/log" "$tmp/bytes"
	fail "sample plugin"
fi
exit 0
