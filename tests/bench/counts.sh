#!/bin/bash
# How many instructions a packet, a record, a session costs, by callgrind, against the committed
# baseline of these versions: timings on shared machines are noise, these are not.
#   tests/bench/counts.sh check|baseline    (LIMPID, BENCH: the programs)
# Each figure is a difference: the same run over a longer capture less that over a shorter one,
# by what the longer one has more. So starting, loading keys and handshakes are not in it. It
# comes twice: what limpid's own code runs, and all with libc and the cryptographic libraries.
# The warden is a process of its own, and not counted. Nor may a longer run of packets or records
# ask for memory more often than a shorter one.
set -u
cd "$(dirname "$0")/../.." || exit 1
. tests/run/lib.sh
LIMPID=$(realpath "${LIMPID:-./limpid}")
BENCH=${BENCH:-$(dirname "$LIMPID")/bench}
what=${1:-check}
LIMIT=5 # percent
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
install -m 600 keys/server.pem "$tmp/key.pem"
alone=
! "$LIMPID" --help | grep -q -e --workers || alone="--workers 1"

# What the counts depend on beside limpid: a baseline is good for these alone.
versions() {
	local compiler libcrypto=none mbed cpu=plain

	compiler=$(readelf -p .comment "$LIMPID" | sed -n 's/.*clang version \([0-9.]*\).*/clang-\1/p' | head -n 1)
	[ -n "$compiler" ] ||
		compiler=$(readelf -p .comment "$LIMPID" | sed -n 's/.*GCC: (.*) \([0-9.]*\).*/gcc-\1/p' | head -n 1)
	! ldd "$LIMPID" | grep -q 'libcrypto\.so' || libcrypto=$(openssl version | awk '{ print $2 }')
	mbed=$(readlink -f "$(ldd "$LIMPID" | awk '/libmbedcrypto/ { print $3 }')")
	! grep -qw avx2 /proc/cpuinfo || cpu=avx2 # what callgrind shows the libraries of the processor
	echo "$compiler $(getconf GNU_LIBC_VERSION | tr ' ' -) libcrypto-$libcrypto" \
		"mbedcrypto-${mbed##*.so.} $(uname -m)-$cpu${CFLAGS:+ CFLAGS=$CFLAGS}"
}

# count NAME ARGUMENTS...: writes "own all output" to $tmp/NAME.count, output: own of the outputs
count() {
	local name=$1
	shift

	# The warden is this program again, under its own name: valgrind's is not to be started.
	if ! valgrind --tool=callgrind --callgrind-out-file="$tmp/$name.cg" --compress-strings=no \
		--compress-pos=no "$LIMPID" -q $alone --set "helper=$LIMPID" "$@" >"$tmp/$name.log" 2>&1; then
		tail -n 5 "$tmp/$name.log"
		return 1
	fi
	awk -v own="${LIMPID##*/}" -v allocs="$tmp/$name.allocs" '
		/^ob=/ { n = split($0, p, "/"); mine = p[n] == own; next }
		/^f[lie]=/ { output = /\/plugins\//; next }
		/^cfn=/ { counted = /^cfn=(malloc|calloc|realloc|aligned_alloc|posix_memalign|memalign|mmap(64)?|mremap)([@\047].*)?$/; next }
		/^calls=/ { # what was called is counted where it stands
			split($1, call, "=")
			if (counted) asked += call[2]
			getline
			next
		}
		/^[0-9+*-]/ { all += $2; if (mine) self += $2; if (mine && output) put += $2 }
		END { print self + 0, all + 0, put + 0; print asked + 0 >allocs }' "$tmp/$name.cg" >"$tmp/$name.count"
}
# opens CAPTURE SESSIONS ARGUMENTS...: that all is opened that is to be measured
opens() {
	"$LIMPID" -r "$1" "${@:3}" >"$1.opens" 2>&1
	grep -q ": $2 decrypted" "$1.opens" || { tail -n 5 "$1.opens"; return 1; }
}
packets() { "$LIMPID" -r "$1" --bench-read | awk '{ print $1 }'; }

# figure NAME UNITS LONG SHORT: the difference of two counts, by UNITS
figure() {
	paste "$tmp/$3.count" "$tmp/$4.count" | awk -F '\t' -v name="$1" -v units="$2" '{
		split($1, long, " "); split($2, short, " ")
		printf "%s %.1f %.1f\n", name, (long[1] - short[1]) / units, (long[2] - short[2]) / units
	}' >>"$tmp/figures"
}

# steady NAME LONG SHORT: memory was asked for as often in the longer run, and more than a hundred times,
# which starting takes: less would say that nothing was counted.
steady() {
	local long short

	read -r long <"$tmp/$2.allocs"
	read -r short <"$tmp/$3.allocs"
	[ "$long" = "$short" ] && [ "$short" -gt 100 ] ||
		echo "$1: the longer run asks $long times for memory, the shorter one $short times" >>"$tmp/unsteady"
}

# bulk NAME SUITE RECORD PROVIDER [per-record]: a session of 300 and of 1,500 data packets a direction
bulk() {
	local n
	local -A is

	for n in 300 1500; do
		"$BENCH/loss" send "$2" "$3" $n "$tmp/$1.$n.pcap" "$tmp/$1.keys" >/dev/null || return 1
		is[$n]=$(packets "$tmp/$1.$n.pcap")
		if [ -n "${5:-}" ]; then # as loss cuts a direction of so many packets
			is[$n]=$(awk -v n=$n -v r="$3" 'BEGIN { x = (n * 1448 - 16) / (r + 29); i = int(x); print 2 * (i < x ? i + 1 : i) }')
		fi
		chmod 600 "$tmp/$1.keys"
		opens "$tmp/$1.$n.pcap" 1 -l "$tmp/$1.keys" --crypto "$4" || return 1
		count "$1.$n" -r "$tmp/$1.$n.pcap" -l "$tmp/$1.keys" --crypto "$4" || return 1
	done
	figure "$1" $((is[1500] - is[300])) "$1.1500" "$1.300"
	steady "$1" "$1.1500" "$1.300"
}
# Also what a line of JSON costs: what the same costs more with that output. Of limpid's own code
# only the output's counts: how often the engine looks for an answer differs by more than that.
resumed() {
	local n
	local -A lines

	for n in 100 500; do
		"$BENCH/resumed" captures/resumed.pcap "$tmp/resumed.$n.pcap" $n || return 1
		opens "$tmp/resumed.$n.pcap" $((n + 2)) -k "$tmp/key.pem" || return 1
		count "resumed.$n" -r "$tmp/resumed.$n.pcap" -k "$tmp/key.pem" || return 1
		count "json.$n" -r "$tmp/resumed.$n.pcap" -k "$tmp/key.pem" -o "json:$tmp/json.$n" || return 1
		lines[$n]=$(wc -l <"$tmp/json.$n")
		[ "${lines[$n]}" -gt $n ] || return 1
		paste -d' ' "$tmp/json.$n.count" "$tmp/resumed.$n.count" |
			awk '{ print $3 - $6, $2 - $5 }' >"$tmp/more.$n.count"
	done
	figure resumed-session 400 resumed.500 resumed.100
	figure json-line $((lines[500] - lines[100])) more.500 more.100
}
# What it costs more to write the bytes of a packet with -w, and to show them with -d.
outputs() {
	local n how
	local -a run
	local -A is

	for n in 300 1500; do
		"$BENCH/loss" send gcm 16384 $n "$tmp/out.$n.pcap" "$tmp/out.keys" >/dev/null || return 1
		chmod 600 "$tmp/out.keys"
		is[$n]=$(packets "$tmp/out.$n.pcap")
		run=(-r "$tmp/out.$n.pcap" -l "$tmp/out.keys")
		opens "$tmp/out.$n.pcap" 1 -l "$tmp/out.keys" || return 1
		count "out.$n" "${run[@]}" && count "w.$n" "${run[@]}" -w "$tmp/clear.$n" &&
			count "d.$n" "${run[@]}" -d || return 1
		[ "$(stat -c %s "$tmp/clear.$n")" -gt $((n * 2800)) ] || return 1
		[ "$(stat -c %s "$tmp/d.$n.log")" -gt $((n * 2800)) ] || return 1
		for how in w d; do
			paste -d' ' "$tmp/$how.$n.count" "$tmp/out.$n.count" |
				awk '{ print $1 - $4, $2 - $5 }' >"$tmp/more-$how.$n.count"
		done
	done
	figure written-packet $((is[1500] - is[300])) more-w.1500 more-w.300
	figure shown-packet $((is[1500] - is[300])) more-d.1500 more-d.300
	steady written-packet w.1500 w.300
	steady shown-packet d.1500 d.300
}
clear() {
	local n

	for n in 10 60; do
		"$BENCH/clear" 100 $n 1400 "$tmp/clear.$n.pcap" || return 1
		count "clear.$n" -r "$tmp/clear.$n.pcap" || return 1
	done
	figure clear-packet 5000 clear.60 clear.10
	steady clear-packet clear.60 clear.10
}

measure() {
	local provider=mbedtls n=0 job

	! ldd "$LIMPID" | grep -q 'libcrypto\.so' || provider=openssl
	: >"$tmp/figures"
	: >"$tmp/unsteady"
	for job in "bulk gcm-packet gcm 16384 $provider" "bulk gcm-record gcm 256 $provider record" \
		"bulk cbc-sha1-packet cbc 16384 $provider" "bulk cbc-sha256-packet cbc-sha256 16384 $provider" \
		"bulk chacha-packet chacha 16384 $provider" "bulk gcm-packet-mbedtls gcm 16384 mbedtls" resumed clear outputs; do
		{ $job || echo "counts.sh: $job: cannot be measured" >>"$tmp/faults"; } &
		n=$((n + 1))
		[ $n -lt "$(nproc)" ] || { wait -n; n=$((n - 1)); }
	done
	wait
	[ ! -e "$tmp/faults" ] || { cat "$tmp/faults"; return 1; }
	sort -o "$tmp/figures" "$tmp/figures"
}

# Says what is in a file, if anything is.
quiet() { [ ! -s "$1" ] || { cat "$1"; return 1; }; }

# Figure by figure; a word behind those that moved, "worse" for those that moved too far.
compare() {
	printf '  %-20s %12s %8s %12s %8s\n' "instructions for a" "limpid's own" change all change
	join -a 1 -a 2 -e - -o 0,1.2,1.3,2.2,2.3 "$tmp/figures" "$file" | awk -v limit=$LIMIT '
		function change(is, was) { return was == "-" || is == "-" || was == 0 ? 0 : 100 * (is - was) / was }
		{
			own = change($2, $4); all = change($3, $5)
			word = $2 == "-" ? "no longer measured: worse" : $4 == "-" ? "not in the baseline: worse" :
				own > limit || all > limit ? "worse" : own < -limit || all < -limit ? "better: take a new baseline" : ""
			printf "  %-20s %12s %+7.1f%% %12s %+7.1f%% %s\n", $1, $2, own, $3, all, word
			bad += word ~ /worse/
		}
		END { exit bad > 0 }'
}

key=$(versions)
file=tests/bench/baseline/$(echo "$key" | tr ' /' '__')
command -v valgrind >/dev/null || { skip "bench-check: valgrind is not here"; exit 0; }
measure || { fail "bench-check: the figures could not be taken"; exit 1; }
if [ "$what" = baseline ]; then
	mkdir -p "${file%/*}"
	want "bench-baseline: $file" cp "$tmp/figures" "$file"
	cat "$file"
elif [ ! -e "$file" ]; then
	echo "  no baseline for $key"
	sed 's/^/  /' "$tmp/figures"
	pass "bench-check: taken, no baseline for $key"
else
	want "bench-check: not more than $LIMIT % above the baseline of $key" compare
fi
[ "$what" = baseline ] || want "bench-check: no packet and no record is allocated for" quiet "$tmp/unsteady"
