#!/bin/bash
# The same sessions, byte for byte, when the mirror port shows one side a quarter of a
# second late, packets of the two sides the wrong way round, or the SYNs behind data: each
# golden capture that is a plain pcap. tests/golden/late.sh [NAME...] (LATE: the program of pcaplate.c)
set -u
cd "$(dirname "$0")/../.." || exit 1
. tests/run/lib.sh
. tests/run/compare.sh
LIMPID=${LIMPID:-./limpid}
LATE=${LATE:-$(dirname "$LIMPID")/interop/pcaplate}
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

# The bytes and what is said of them, without times and numbers of packets.
told() { # directory
	# A reset says how a side ended only where it stands behind what that side sent.
	jq -c 'del(.timestamp, .flow_id, .limpid.session, .client_file, .server_file)
		| if .limpid.end | any(. == "rst" or . == "capture-end") then del(.limpid.end) else . end' "$1/index.jsonl" | sort
	(cd "$1" && find . -type f ! -name index.jsonl -exec sha256sum {} + | cut -c1-64 | sort)
}

for d in tests/golden/*/; do
	c=$(basename "$d")
	if [ $# -gt 0 ]; then case " $* " in *" $c "*) ;; *) continue ;; esac; fi
	read -r _ pcap args < "$d/args"
	case $pcap in *.pcap) ;; *) continue ;; esac
	timeout 60 "$LIMPID" -q -r "$pcap" $args -o "files:$tmp/plain" >/dev/null 2>&1
	told "$tmp/plain" > "$tmp/plain.told"
	for how in "client 250" "server 250" swap syn; do
		# Later than the next session, a hole is filled from that.
		case $c:$how in flights*:*250) continue ;; esac
		"$LATE" "$pcap" "$tmp/late.pcap" $how || { fail "late: $c, $how: no capture"; continue; }
		timeout 60 "$LIMPID" -q -r "$tmp/late.pcap" $args -o "files:$tmp/late" >"$tmp/log" 2>&1
		told "$tmp/late" > "$tmp/late.told"
		if cmp -s "$tmp/plain.told" "$tmp/late.told"; then
			pass "late: $c, $how"
		else
			diff "$tmp/plain.told" "$tmp/late.told" | head -n 4 | cut -c1-900
			fail "late: $c, $how"
		fi
		rm -rf "$tmp/late" "$tmp/late.pcap"
	done
	rm -rf "$tmp/plain"
done
exit 0
