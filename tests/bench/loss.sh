#!/bin/bash
# What loss costs: the share of application bytes that come out of spoilt captures of 1,000-packet
# directions, each held against the figure that is promised.
# tests/bench/loss.sh [quick|full]   (LIMPID, LOSS: the programs; VERBOSE=1 shows the quick table)
set -u
cd "$(dirname "$0")/../.." || exit 1
. tests/run/lib.sh
LIMPID=${LIMPID:-./limpid}
LOSS=${LOSS:-$(dirname "$LIMPID")/bench/loss}
level=${1:-full}
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
N=1000 R=16384
[ "$level" = quick ] && few="1 2" || few=$(seq 1 10)

row() { [ "$level" = quick ] && [ -z "${VERBOSE:-}" ] || printf '  %-10s %-20s %7s %% of bytes (at least %s %%)\n' "$@"; }

# Opens $tmp/b.pcap; adds to $came and $all. False: a wrong byte, or no answer.
open() {
	local f out

	rm -rf "$tmp/out"
	if ! timeout 120 "$LIMPID" -q -r "$tmp/b.pcap" -k keys/server.pem -l "$tmp/keys" \
		-o "files:$tmp/out" >"$tmp/log" 2>&1; then
		tail -n 5 "$tmp/log"
		return 1
	fi
	for f in "$tmp/out/000001_client.bin" "$tmp/out/000001_server.bin"; do
		out=0\ $(("$N" * 1448))
		[ ! -e "$f" ] || out=$("$LOSS" check "$f" $N $R) || { echo "$f: $out"; return 1; }
		set -- $out
		came=$((came + $1)) all=$((all + $2))
	done
}

# suite, what, value, per mille that must come, packets from the beginning that are kept
measure() {
	local suite=$1 what=$2 value=$3 least=$4 keep=$5 seed came=0 all=0 name

	name="loss: $suite, $what $value"
	for seed in ${6:-$few}; do
		"$LOSS" spoil "$tmp/a.pcap" "$tmp/b.pcap" "$seed" "$keep" "$what" "$value" && open ||
			{ fail "$name: seed $seed"; return; }
	done
	row "$suite" "$what $value" "$(awk "BEGIN { printf \"%.2f\", 100 * $came / $all }")" \
		"$(awk "BEGIN { print $least / 10 }")"
	want "$name: $came of $all bytes" test $((1000 * came)) -ge $((least * all))
}

for suite in gcm cbc cbc-tls10 chacha rc4; do
	data=$("$LOSS" send $suite $R $N "$tmp/a.pcap" "$tmp/keys") || { fail "loss: no session with $suite"; continue; }
	chmod 600 "$tmp/keys"
	[ "$level" = quick ] && [ $suite != gcm ] || measure $suite loss 0.01 995 "$data" "$few 3 4"
	measure $suite loss 0.1 980 "$data"
	measure $suite loss 1 850 "$data"
	[ "$level" = full ] || [ $suite = gcm ] || continue
	measure $suite reorder 100 1000 0 "${few%% *}"
	measure $suite duplicate 5 1000 0 "${few%% *}"
	measure $suite delay-client 250 1000 0 1
	measure $suite delay-server 250 1000 0 1
done
# A long direction of records of all sizes: a stream cipher does not go back for each trial.
N=20000 R=0
if data=$("$LOSS" send rc4 $R $N "$tmp/a.pcap" "$tmp/keys"); then
	chmod 600 "$tmp/keys"
	measure rc4 loss 0.1 980 "$data" 1
	[ "$level" = quick ] || measure rc4 loss 1 850 "$data" 1
else
	fail "loss: no long session with rc4"
fi
