#!/bin/bash
# What is ambiguous on the wire: bytes of which two copies came that differ, in a record's body, in
# its header and in the handshake, and a SYN that comes after its data; by both reassemblers.
# The right bytes come out, or what it costs is what is said here, and the note is there; never
# a wrong byte. tests/golden/ambiguous.sh   (HURT: the program of tests/interop/hurt.c)
set -u
cd "$(dirname "$0")/../.." || exit 1
. tests/run/lib.sh
LIMPID=${LIMPID:-./limpid}
HURT=${HURT:-$(dirname "$LIMPID")/interop/hurt}
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
tcps=native
case $(ldd "$LIMPID") in *libnids*) tcps="native nids" ;; esac

# A line for each session: sums of what its sides sent, the client's port, reason, the note.
listen() { # out, limpid's options
	local out=$1 port reason note client server f
	shift

	rm -rf "$tmp/files"
	timeout 60 "$LIMPID" -q -k keys/server.pem -o "files:$tmp/files" -o "json:$tmp/json,stats=on" "$@" >"$tmp/log" 2>&1 ||
		{ tail -n 5 "$tmp/log"; return 1; }
	jq -e 'select(.event_type == "stats").stats | .read == .packets.processed + (.drop | add)' "$tmp/json" >/dev/null || return 1
	jq -r '[.src_port, .limpid.reason, (.limpid.notes // [] | index("overlap-conflict") != null),
		.client_file // .limpid.client_file, .server_file // .limpid.server_file] | map(tostring) | join(" ")' "$tmp/files/index.jsonl" |
	while read -r port reason note client server; do
		for f in $client $server; do
			if [ "$f" = null ]; then printf none; else sha256sum <"$tmp/files/$f" | cut -c 1-16 | tr -d '\n'; fi
		done
		echo " $port $reason $note"
	done | sort -k 2 >"$out"
}

# What sessions end as (=: as they were, with all bytes) when a capture is hurt in one way.
hurt() { # name, expected, capture, tcp, hurt's words
	local name=$1 want=$2 capture=$3 tcp=$4 note=true
	shift 4

	[ "$1" != behind ] || note=false
	if ! "$HURT" "captures/$capture.pcap" "$tmp/hurt.pcap" "$@" || ! listen "$tmp/is" -r "$tmp/hurt.pcap" --tcp "$tcp"; then
		fail "$name: hurt, limpid, or its sums"
		return
	fi
	if [ "$want" = = ]; then
		awk -v n=$note '{ $4 = n; print }' "$tmp/whole" >"$tmp/want"
	else
		awk -v n=$note -v w="$want" '{ print $2, w, n }' "$tmp/whole" >"$tmp/want"
		awk '{ print $2, $3, $4 }' "$tmp/is" >"$tmp/is.short" && mv "$tmp/is.short" "$tmp/is"
	fi
	if cmp -s "$tmp/want" "$tmp/is"; then
		pass "$name"
	else
		diff "$tmp/want" "$tmp/is" | head -n 6
		fail "$name"
	fi
}

while read -r capture place order want; do
	listen "$tmp/whole" -r "captures/$capture.pcap" || fail "ambiguous: $capture as it is"
	for tcp in $tcps; do
		hurt "ambiguous: $capture, $place, $order ($tcp)" "$want" "$capture" "$tcp" copies "$place" "$order"
	done
done <<'EOF'
story-tls12-ems type ahead =
story-tls12-ems type late =
story-tls12-ems type after =
story-tls12-ems length ahead =
story-tls12-ems length late =
story-tls12-ems body ahead =
story-tls12-ems body late record-bad
story-tls12-ems body after =
story-tls11-ems type ahead =
story-tls11-ems length late =
story-tls11-ems body ahead =
story-tls12-ems 11 late =
story-tls12-ems 11 after =
story-tls12-ems 16 late =
story-tls12-ems 1 late keys-disproved
story-tls12-ems 1 after =
story-tls12-ems 2 late keys-disproved
story-tls12-noems 11 late =
story-tls12-noems 16 late keys-disproved
EOF

# The SYN, packet 1, comes behind the client's first data, packet 4, or its answer does.
for capture in story-tls12-ems story-tls11-noems; do
	listen "$tmp/whole" -r "captures/$capture.pcap" || fail "ambiguous: $capture as it is"
	hurt "ambiguous: $capture, SYN after data (native)" = "$capture" native behind 1 4
	hurt "ambiguous: $capture, SYN-ACK after data (native)" = "$capture" native behind 2 4
done
exit 0
