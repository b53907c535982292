#!/bin/bash
# What a sender may do so that a listener hears something else than the receiver: the cases of
# tests/interop/evade_cases.h, over IPv4, over IPv6 and within TLS, must give what a Linux
# receiver gets. Where a case says what may happen instead, wrong bytes must at least be
# counted or noted as such. tests/golden/evasion.sh [DIR: captures and .want files made before]
# (EVADE: the program of tests/interop/evade.c)
set -u
cd "$(dirname "$0")/../.." || exit 1
. tests/run/lib.sh
LIMPID=${LIMPID:-./limpid}
EVADE=${EVADE:-$(dirname "$LIMPID")/interop/evade}
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

# Whether the outcome of a case that went wrong is one that was announced, and said so.
excused() { # what may happen instead
	case $1 in
	overlap-conflict) jq -e '.tcp.conflicts > 0' "$tmp/stats" ;;
	cut) jq -e '.decode.cut > 0' "$tmp/stats" ;;
	urgent) jq -e '.tcp.urgent_ahead > 0' "$tmp/stats" ;;
	closed_flow) jq -e '.drop.closed_flow > 0' "$tmp/stats" ;;
	*) false ;;
	esac >/dev/null
}

run() { # limpid's options: leaves out/ and stats
	rm -rf "$tmp/out"
	if ! timeout 120 "$LIMPID" -q --ignore-domain --cleartext -o "files:$tmp/out" -o "json:$tmp/json,stats=on" "$@" >"$tmp/log" 2>&1; then
		cat "$tmp/log"
		return 1
	fi
	# Every packet ends in exactly one counter.
	jq -c 'select(.event_type == "stats").stats' "$tmp/json" >"$tmp/stats"
	jq -e '.read == .packets.processed + (.drop | add)' "$tmp/stats" >/dev/null || { cat "$tmp/stats"; return 1; }
}

# What the last connection of a client's port sent; "none" if there is nothing.
sent_by() { # port
	local file

	file=$(awk -v p="$1" '$1 == p { f = $2 } END { print f }' "$tmp/index")
	[ -n "$file" ] && [ "$file" != null ] && sha256sum <"$tmp/out/$file" || echo none
}

# The same with packed copies of the captures; leaves packed.out/ and packed.json.
packed() { # limpid's options
	local args=() x

	rm -rf "$tmp/packed" "$tmp/packed.out"
	mkdir "$tmp/packed"
	for x; do
		case $x in
		*.pcap) gzip -1 <"$x" >"$tmp/packed/${x##*/}" && args+=("$tmp/packed/${x##*/}") ;;
		*) args+=("$x") ;;
		esac
	done
	run "${args[@]}" && mv "$tmp/out" "$tmp/packed.out" && untimed >"$tmp/packed.json"
}
untimed() { jq -c 'del(.stats.held.peak?)' "$tmp/json"; } # which depends on when answers come

# All cases of a directory in one run; those that went wrong, and may, again by themselves.
all() { # what, directory, limpid's options
	local what=$1 dir=$2 name instead port reads=() again=
	shift 2

	while read -r name port instead; do
		[ ! -e "$dir/$name.pcap" ] || reads+=(-r "$dir/$name.pcap")
	done < <("$EVADE" list)
	if ! packed "${reads[@]}" "$@" || ! run "${reads[@]}" "$@"; then
		fail "evasion ($what): limpid, or its sums"
		return
	fi
	jq -r '"\(.src_port) \(.client_file // .limpid.client_file)"' "$tmp/out/index.jsonl" >"$tmp/index"
	# Bytes of a mapped file are looked at where they lie, those of a packed one are copied and hashed.
	if diff -r "$tmp/packed.out" "$tmp/out" && untimed | diff "$tmp/packed.json" -; then
		pass "evasion: packed captures ($what)"
	else
		fail "evasion: packed captures give something else ($what)"
	fi
	while read -r name port instead; do
		[ -e "$dir/$name.pcap" ] || continue
		if [ "$(sent_by "$port")" = "${clear:-$(sha256sum <"$dir/$name.want")}" ]; then
			pass "evasion: $name ($what)"
		elif [ "$instead" = - ] || [ "$what:$instead" = TLS:overlap-conflict ]; then
			# (Of two copies the record's MAC finds the right one.)
			fail "evasion: $name ($what)"
		else
			again+=" $name:$instead"
		fi
	done < <("$EVADE" list)
	for name in $again; do
		if run -r "$dir/${name%:*}.pcap" "$@" && excused "${name#*:}"; then
			pass "evasion: ${name%:*} ($what), counted: ${name#*:}"
		else
			fail "evasion: ${name%:*} ($what) is not even counted"
		fi
	done
}

if [ $# -gt 0 ]; then
	for d; do all "$d" "$d"; done
	exit 0
fi
mkdir "$tmp/4" "$tmp/6" "$tmp/tls"
"$EVADE" make "$tmp/4" && all "IPv4" "$tmp/4"
"$EVADE" make "$tmp/6" 6 && all "IPv6" "$tmp/6"
clear="$(jq -r .client_sha256 tests/golden/story-tls12-ems/expect.jsonl)  -"
"$EVADE" tls captures/story-tls12-ems.pcap "$tmp/tls" && all "TLS" "$tmp/tls" -k keys/server.pem
exit 0
