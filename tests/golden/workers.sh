#!/bin/bash
# Any number of workers and any timing of the warden: the same bytes in every output.
#   tests/golden/workers.sh [short|full]      (full: each capture by itself, too)
set -u
cd "$(dirname "$0")/../.." || exit 1
. tests/run/lib.sh
LIMPID=${LIMPID:-./limpid}
HURT=${HURT:-$(dirname "$LIMPID")/interop/hurt}
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

# What the last line of json counts and what does depend on timing: peaks, and the contexts
# that were made again.
timing='s/"(tcp\.ooo_peak|held\.peak|resumption\.peak|cipher\.contexts|cipher\.evicted)":[0-9]+//g'

input=/dev/null # a pipe, for -r -
run() { # DIRECTORY ARGUMENTS
	local d=$1

	shift
	rm -rf "$d"
	mkdir "$d"
	timeout 120 "$LIMPID" "$@" -d -o "json:$d/json" -o "files:$d/files" -w "$d/w.pcap" \
		>"$d/out" 2>"$d/err" < <(cat "$input")
	echo $? > "$d/status"
	[ ! -e "$d/json" ] || sed -i -E "$timing" "$d/json"
	grep -E 'Sanitizer' "$d/err"
}

same() { # NAME "N DELAY"... -- ARGUMENTS: against one worker
	local name=$1 forms=() form

	shift
	while [ "$1" != -- ]; do forms+=("$1"); shift; done
	shift
	run "$tmp/one" "$@" --workers 1
	if [ ! -s "$tmp/one/json" ] && [ "$(wc -c <"$tmp/one/w.pcap")" -le 24 ]; then
		tail -n 3 "$tmp/one/err"
		fail "workers: $name: nothing came out"
		return
	fi
	for form in "${forms[@]}"; do
		run "$tmp/more" "$@" --workers "${form% *}" --set "warden-delay=${form#* }"
		if diff -r "$tmp/one" "$tmp/more" >"$tmp/diff"; then
			pass "workers: $name: ${form% *}, ${form#* } ms"
		else
			head -n 4 "$tmp/diff" | cut -c 1-300
			fail "workers: $name: ${form% *} of them, answers ${form#* } ms late: not as with one"
		fi
	done
}

# All captures as one, one after the other and side by side.
secrets=$(cat tests/golden/*/args | grep -oE -- '-(k|l|t|p) [^ ]+|--psk [^ ]+' | sort -u | tr '\n' ' ')
all=$(printf -- '-r %s ' captures/*.pcap captures/*.pcap.gz captures/*.pcapng captures/*.zst)
if [ "${1:-}" = short ]; then
	same "all captures" "2 0" "4 20" -- $all $secrets
	same "all captures, by time" "4 20" -- $all $secrets --merge
	exit 0
fi
same "all captures" "2 0" "4 0" "2 20" "4 50" -- $all $secrets
same "all captures, by time" "2 0" "4 20" -- $all $secrets --merge

# One session in as many damaged copies as it has packets, each a flow; resumed ones, too.
for c in story-tls12-ems resumption tickets; do
	args=$(cat "tests/golden/$c/args")
	if "$HURT" "captures/$c.pcap" "$tmp/each.pcap" each 7 >/dev/null; then
		same "$c, hurt" "2 0" "4 20" -- -r "$tmp/each.pcap" ${args//-r captures\/$c.pcap/}
	else
		fail "workers: $c: could not be hurt"
	fi
done

# An input that ends in the middle of a packet: all before it, and status 2.
head -c 100001 captures/java.pcap >"$tmp/cut.pcap"
same "cut short" "2 0" "4 20" -- -r captures/tickets.pcap -r "$tmp/cut.pcap" -r captures/resumption.pcap -k keys/server.pem
[ "$(cat "$tmp/more/status")" = 2 ] || fail "workers: cut short: status $(cat "$tmp/more/status"), not 2"

# What is found at the end of all: a hole that another session might fill.
for i in 1 2 3; do
	same "at the end, $i" "2 0" "4 0" "4 5" -- -r captures/flights.pcap -k keys/server.pem port 34346
done

# Pipes; secrets come in the middle of one.
input="$tmp/each.pcap"
same "a pipe" "2 0" "4 20" -- -r - -k keys/server.pem -t keys/tickets
cat captures/http.pcapng captures/key-log.pcapng >"$tmp/two.pcapng"
input="$tmp/two.pcapng"
same "a pipe with secrets" "2 0" "4 20" -- -r - -k keys/server.pem
input=/dev/null

# Memory runs out here or there: limpid says so and ends, or does all. (Sanitizers take terabytes.)
if ! grep -q __asan_init "$LIMPID" && ! grep -q __tsan_init "$LIMPID"; then
	run "$tmp/one" $all $secrets --workers 1
	ended=
	for mib in 40 100 125 140 2000; do
		(ulimit -c 0 -v $((mib * 1024)); run "$tmp/more" $all $secrets --workers 3)
		status=$(cat "$tmp/more/status")
		if diff -r "$tmp/one" "$tmp/more" >"$tmp/diff"; then
			ended+=" done"
		elif [ "$status" = 1 ] && grep -qiE 'memory|cannot' "$tmp/more/err"; then
			ended+=" out"
		else
			tail -n 3 "$tmp/more/err" | cut -c 1-300
			fail "workers: with $mib MiB: status $status"
		fi
	done
	case $ended in
	*out*done) pass "workers: memory runs out" ;;
	*) fail "workers: memory runs out at no limit, or at the last:$ended" ;;
	esac
fi

[ "${1:-}" = full ] || exit 0
for d in tests/golden/*/; do
	c=$(basename "$d")
	[ -e "$d/args" ] && same "$c" "2 0" "4 0" "2 50" "4 50" -- $(cat "$d/args")
done
exit 0
