#!/bin/bash
# The table: limpid, tshark, ssldump and a bare libpcap reader on the same captures in turn, and
# the cryptographic libraries' own speed; then each figure against its limit. Status 1 if one is
# missed. docs/performance.md says what the limits are made of.
#   tests/bench/table.sh    (LIMPID, BENCH: the programs; sizes as captures.sh says)
#   BENCH_DIR        where the captures are kept      BENCH_ONLY   works to be run, all if unset
#   BENCH_RUNS       rounds (5): three runs of limpid and its limits where they are short, one elsewhere
#   BENCH_PEER_RUNS  rounds with tshark and ssldump (5)
#   BENCH_TIMEOUT    seconds a run may take (600)     BENCH_SPEED  seconds a library is tried for (1)
#   BENCH_WRITE      a file that gets the figures between its two "figures" lines
# Rates are by CPU (user and system, all processes) where one core is meant and by the clock
# where all are. What a program costs on a capture of ten packets is taken off first: starting
# is not what is measured, and short captures would show little else.
set -u
cd "$(dirname "$0")/../.." || exit 1
LIMPID=$(realpath "${LIMPID:-./limpid}")
BENCH=$(realpath "${BENCH:-$(dirname "$LIMPID")/bench}")
DIR=${BENCH_DIR:-$BENCH/captures}
RUNS=${BENCH_RUNS:-5} PEER_RUNS=${BENCH_PEER_RUNS:-5} TIMEOUT=${BENCH_TIMEOUT:-600} SPEED=${BENCH_SPEED:-1}
MB=${BENCH_MB:-200} FLOWS=${BENCH_FLOWS:-1000 100000 1000000}
ONLY=" ${BENCH_ONLY:-} "
CORES=$(nproc)
tmp=$(mktemp -d)
ram=$(mktemp -d -p /dev/shm) || exit 1
large=$tmp/large # a RAM disk with large pages, where one can be had
mkdir "$large"
mount -t tmpfs -o huge=always,mode=700 limpid-bench "$large" 2>/dev/null || large=
trap 'umount "$tmp/large" 2>/dev/null; rm -rf "$tmp" "$ram"' EXIT
install -m 600 keys/server.pem "$tmp/key.pem"
one= two=
if "$LIMPID" --help | grep -q -e --workers; then one="--workers 1" two="--workers 2"; fi
libcrypto=
! ldd "$LIMPID" | grep -q 'libcrypto\.so' || libcrypto=yes

wanted() { [ "$ONLY" = "  " ] || case $ONLY in *" $1 "*) ;; *) return 1 ;; esac; }
calc() { awk "BEGIN { x = $1; printf \"%.9g\", x }" 2>/dev/null || echo 0; }
median() { sort -g | awk '{ a[NR] = $1 } END { print NR ? a[int((NR + 1) / 2)] : 0 }'; }

# once WORK PROGRAM COMMAND...: adds a line to $tmp/WORK.PROGRAM
once() {
	local at=$tmp/$1.$2 status
	shift 2

	[ "$(cat "$at.bad" 2>/dev/null)" = "" ] || return
	"$BENCH/cost" "$TIMEOUT" "$@" >"$at.last" 2>"$at.err" || return
	cat "$at.last" >>"$at"
	read -r _ _ _ _ status <"$at.last"
	[ "$status" = 0 ] || echo "$status" >"$at.bad"
}
field() { # WORK PROGRAM COLUMN, as it was measured
	awk "{ print \$$3 }" "$tmp/$1.$2" 2>/dev/null | median
}
# Without what starting costs; not below a hundredth, which is noise.
net() {
	calc "$(field "$1" "$2" "$3") - $(field none "${4:-$2}" "$3") > 0.01 * $(field "$1" "$2" "$3") ?
		$(field "$1" "$2" "$3") - $(field none "${4:-$2}" "$3") : 0.01 * $(field "$1" "$2" "$3")"
}
wall() { net "$1" "$2" 1 "${3:-}"; }
cpu() { net "$1" "$2" 2 "${3:-}"; }
ran() { [ -s "$tmp/$1.$2" ] && [ ! -e "$tmp/$1.$2.bad" ]; }

# What each program is told about keys.
secrets_of() {
	case $1 in chacha) [ -e "$DIR/chacha.keys" ] && echo "$DIR/chacha.keys" ;; esac
}
tshark_on() { # work, file: opens what it can; no body is put together, which only costs memory
	local log

	log=$(secrets_of "$1")
	once "$1" tshark tshark -n -r "$2" -o "uat:rsa_keys:\"$tmp/key.pem\",\"\"" -o http.desegment_body:FALSE \
		${log:+-o "tls.keylog_file:$log"} -Y http.response -T fields -e frame.number
}
ssldump_on() { # work, file: the records opened, not shown; and shown
	local log

	log=$(secrets_of "$1")
	once "$1" ssldump ssldump -n -r "$2" -k "$tmp/key.pem" ${log:+-l "$log"}
	case $1 in gcm | none) ;; *) return ;; esac
	once "$1" ssldump-d ssldump -n -r "$2" -k "$tmp/key.pem" -d
}
limpid_on() { # work, file
	local log
	local -a keys=(-k "$tmp/key.pem")

	log=$(secrets_of "$1")
	[ -z "$log" ] || keys=(-l "$log")
	once "$1" limpid "$LIMPID" $one -r "$2" "${keys[@]}"
	case $1 in
	gcm | none)
		once "$1" limpid-d "$LIMPID" $one -r "$2" "${keys[@]}" -d
		[ "$1" = none ] || "$BENCH/mbedtls" gcm "$SPEED" >>"$tmp/speed.mbedtls"
		once "$1" limpid-mbedtls "$LIMPID" $one -r "$2" "${keys[@]}" --crypto mbedtls
		write_on "$1" limpid-w "$ram" "$2" "${keys[@]}"
		[ -z "$large" ] || write_on "$1" limpid-w-large "$large" "$2" "${keys[@]}" ;;
	esac
	case $1 in
	short | none) once "$1" limpid-all "$LIMPID" -r "$2" "${keys[@]}" ;;
	esac
	case $1 in
	eight | none) [ -z "$two" ] || once "$1" limpid-two "$LIMPID" $two -r "$2" "${keys[@]}" ;;
	esac
}
# A virtual machine may have given memory that was free for a while back to its host, and then pays for
# asking for it: that is not what writing costs.
borrow() { # file, folder: as much as will be written
	"$BENCH/write" "$(($(stat -c %s "$1") * 9 / 8))" "$2/borrowed" >/dev/null 2>&1
	local status=$?

	rm -f "$2/borrowed"
	return $status
}
# limpid's -w, and a file as large by who does nothing else.
write_on() { # work, program, folder, file, keys...
	local size

	borrow "$4" "$3"
	once "$1" "$2" "$LIMPID" $one -r "$4" "${@:5}" -w "$3/written.pcap"
	size=$(stat -c %s "$3/written.pcap" 2>/dev/null) || return
	rm -f "$3/written.pcap"
	"$BENCH/write" "$size" "$3/written.pcap" >>"$tmp/$1.bare-${2#limpid-}"
	rm -f "$3/written.pcap"
}
reader_on() { # limpid's own reader says itself what it needs; process and all would be mostly starting
	"$LIMPID" -r "$2" --bench-read | awk '{ gsub(/\(/, ""); print $6, $8, 0, 1, 0 }' >>"$tmp/$1.reader"
	case $1 in gcm | cbc-sha256) "$BENCH/touch" "$2" >>"$tmp/$1.touch" ;; esac
	if [ -n "$libcrypto" ]; then
		case $1 in
		gcm | chacha | cbc-*) once "$1" bare "$BENCH/bare" "$1" "$2" ;;
		none) once "$1" bare "$BENCH/bare" gcm "$2" ;;
		esac
		case $1 in
		gcm) once "$1" bare-sums "$BENCH/bare" gcm "$2" sums ;;
		cbc-sha256) once "$1" bare-two "$BENCH/bare" cbc-sha256 "$2" two ;;
		none) once "$1" bare-sums "$BENCH/bare" gcm "$2" sums; once "$1" bare-two "$BENCH/bare" gcm "$2" two ;;
		esac
	fi
	once "$1" pcap "$BENCH/pcap" "$2"
}
# The file where it lies, when nothing of it is in memory: limpid, and who only reads it.
from_disk() { # work
	local file=$DIR/$1.pcap

	case $(stat -f -c %T "$DIR") in tmpfs | ramfs) return ;; esac
	sync "$file"
	dd if="$file" iflag=nocache count=0 2>/dev/null
	once "$1" limpid-disk "$LIMPID" $one -r "$file" -k "$tmp/key.pem"
	dd if="$file" iflag=nocache count=0 2>/dev/null
	once "$1" disk dd if="$file" of=/dev/null bs=1M status=none
}
# speed NAME ARGUMENTS: libcrypto's own, bytes or operations a second
speed() {
	openssl speed -mr -seconds "$SPEED" "${@:2}" 2>/dev/null |
		awk -F: '/^\+F2?:/ { print /^\+F2/ ? $4 : $NF }' >>"$tmp/speed.$1"
}
# What the work is held against, in turn with it: a minute later a shared machine is faster or slower.
speeds() { # work
	case $1 in
	gcm) speed gcm -bytes 16384 -evp aes-256-gcm -decrypt ;;
	chacha) speed chacha -bytes 16384 -evp chacha20-poly1305 -decrypt ;;
	cbc-sha256)
		speed cbc -bytes 16384 -evp aes-256-cbc -decrypt
		speed hmac256 -bytes 16384 -hmac sha256 ;;
	cbc-sha1)
		speed cbc1 -bytes 16384 -evp aes-256-cbc -decrypt
		speed hmac1 -bytes 16384 -hmac sha1 ;;
	short)
		speed rsa rsa2048
		speed rsa-all -multi "$CORES" rsa2048 ;;
	esac
}
own() { median <"$tmp/speed.$1"; }

# Memory that nothing takes away: pages of a file on a disk may go between two runs, and then one
# program waits for the disk and the next does not.
in_memory() { # work: sets file
	file=$DIR/$1.pcap
	[ -e "$file" ] || { echo "table.sh: $file is not there" >&2; exit 1; }
	if cp "$file" "$ram/$1.pcap" 2>/dev/null && borrow "$file" "$ram"; then
		file=$ram/$1.pcap
		return
	fi
	rm -f "$ram"/*
	echo "table.sh: no room for $file in /dev/shm: what the disk takes is in its figures" >&2
	cat "$file" >/dev/null
}
# A run of a fifth of a second may meet what another guest of the host does, or not: more of them.
runs_of() { case $1 in short | resumed | flows-*) echo 1 ;; *) echo 3 ;; esac; }
measure() { # work
	local file i

	in_memory "$1"
	"$LIMPID" -r "$file" --bench-read >"$tmp/$1.size"
	for i in $(seq "$RUNS"); do
		for _ in $(seq "$(runs_of "$1")"); do
			reader_on "$1" "$file"
			speeds "$1"
			limpid_on "$1" "$file"
		done
		case $1 in gcm | none) from_disk "$1" ;; esac
		[ "$i" -gt "$PEER_RUNS" ] && [ "$1" != none ] && continue
		case $1 in eight | flows-1000000) ;; *) tshark_on "$1" "$file" ;; esac
		case $1 in eight | flows-*) ;; *) ssldump_on "$1" "$file" ;; esac
	done
	opened "$1" "$file"
	rm -f "$ram"/*
}
opened() { # work, file: how many sessions each opened; a figure of one that opens nothing is none
	local log
	local -a keys=(-k "$tmp/key.pem")

	log=$(secrets_of "$1")
	[ -z "$log" ] || keys=(-l "$log")
	"$LIMPID" -r "$2" "${keys[@]}" 2>&1 | sed -n 's/.* TLS sessions\?: \([0-9]*\) decrypted.*/\1/p' >"$tmp/$1.opened"
}
sessions() { local n; n=$(cat "$tmp/$1.opened"); echo "${n:-0}"; }

# ---- the two tables ----

si() { # a number with three figures that count
	awk -v x="$1" 'BEGIN {
		if (x >= 1e6) printf "%.2f M", x / 1e6; else if (x >= 1e4) printf "%.0f k", x / 1e3
		else if (x >= 100) printf "%.0f", x; else if (x >= 10) printf "%.1f", x; else printf "%.2f", x }'
}
row() { printf '| %-13s | %-14s | %9s | %9s | %9s | %9s | %8s | %9s |\n' "$@"; }
programs() { # work: its rows
	local p packets bytes s t n base

	packets=$(awk '{ print $1 }' "$tmp/$1.size") bytes=$(awk '{ print $3 }' "$tmp/$1.size")
	n=$(sessions "$1")
	base=$(cpu "$1" limpid)
	for p in limpid limpid-d limpid-mbedtls limpid-w limpid-w-large limpid-disk bare-w bare-w-large disk limpid-all limpid-two reader pcap bare bare-sums bare-two tshark ssldump ssldump-d; do
		[ -s "$tmp/$1.$p" ] || continue
		if [ -e "$tmp/$1.$p.bad" ]; then
			row "$1" "$p" - - - - - "status $(cat "$tmp/$1.$p.bad")"
			continue
		fi
		case $p in
		reader | bare-w*) t=$(field "$1" "$p" 2) ;;
		limpid-all | limpid-two | limpid-disk | disk | bare-two) t=$(wall "$1" "$p") ;;
		*) t=$(cpu "$1" "$p") ;;
		esac
		s=-
		[ "$n" = 0 ] || case $p in reader | pcap | disk | bare*) ;; *) s=$(si "$(calc "$n / $t")") ;; esac
		row "$1" "$p" "$(si "$(calc "$packets / $t")")" "$(si "$(calc "$bytes / 1e6 / $t")")" "$s" \
			"$(printf %.3f "$(field "$1" "$p" 2)")" \
			"$(case $p in reader | bare-w*) echo - ;; *) calc "int($(field "$1" "$p" 3) / 1024)" ;; esac)" \
			"$(printf %.3g "$(calc "$base / $t")")"
	done
}
missed=0
# figure NAME MADE-OF LEAST|most:MOST|- VALUE
figure() {
	local word= sign=≥

	case $3 in
	-) sign= ;;
	most:*) sign=≤; [ "$(calc "$4 <= ${3#most:}")" = 1 ] || word="**missed**" ;;
	aim:*) sign="aim"; [ "$(calc "$4 >= ${3#aim:}")" = 1 ] || word="below the aim" ;;
	*) [ "$(calc "$4 >= $3")" = 1 ] || word="**missed**" ;;
	esac
	[ "$word" != "**missed**" ] || missed=1
	[ "$3" = - ] && set -- "$1" "$2" "" "$4"
	printf '| %-44s | %-46s | %-8s | %8s | %s |\n' "$1" "$2" "$sign ${3#*:}" "$(awk -v x="$4" 'BEGIN { printf x >= 100 ? "%.0f" : x >= 10 ? "%.1f" : "%.2f", x }')" "$word"
}
none() { printf '| %-44s | %-46s | %-8s | %8s | %s |\n' "$1" "$2" "" - "$3"; }
# series WORK PROGRAM SECONDS...: those one after the other, as a share of what the program needed
series() {
	local sum=0 x

	for x in "${@:3}"; do sum="$sum + $x"; done
	calc "($sum) / $(cpu "$1" "$2")"
}
plain=$(calc "$MB * 1e6") # bytes of a bulk transfer
needs() { calc "$plain / $(own "$1")"; }
reader() { field "$1" reader 2; }
touched() { field "$1" touch 2; } # every byte read once

figures() {
	local n

	echo "| work | the limit, or whom it is held against | reach | reached | |"
	echo "|---|---|---|---|---|"
	if wanted gcm; then
		if [ -n "$libcrypto" ]; then
			figure "bulk AES-256-GCM, libcrypto" "reader and cipher in series" 0.75 "$(series gcm limpid "$(reader gcm)" "$(needs gcm)")"
			figure "" "the cipher alone" aim:0.60 "$(series gcm limpid "$(needs gcm)")"
			figure "" "reader, bytes from memory, cipher in series" - "$(series gcm limpid "$(reader gcm)" "$(touched gcm)" "$(needs gcm)")"
		fi
		peer "" gcm tshark 40
		peer "" gcm ssldump-d 10
		peer "" gcm ssldump -
		if [ -n "$libcrypto" ]; then
			bare "a bare loop, GCM" gcm bare "$(reader gcm)" "$(needs gcm)"
			bare "a bare loop that makes sums" gcm bare-sums "$(reader gcm)" "$(needs gcm)"
		fi
		peer "bulk AES-256-GCM, the clear bytes shown (-d)" gcm ssldump-d - limpid-d
		figure "bulk AES-256-GCM, mbedTLS" "mbedTLS's own speed" 0.90 "$(series gcm limpid-mbedtls "$(needs mbedtls)")"
		figure "memory, $MB MB in one connection" "MiB" most:32 "$(calc "$(field gcm limpid 3) / 1024")"
		writing w "writing -w to a RAM disk (/dev/shm)"
		[ -z "$large" ] || writing w-large "writing -w to a RAM disk with large pages"
	fi
	if wanted gcm && ran gcm disk; then
		figure "bulk AES-256-GCM, from a disk" "reading it and the counted run in series, by the clock" - \
			"$(calc "($(wall gcm disk) + $(wall gcm limpid)) / $(wall gcm limpid-disk)")"
	fi
	if wanted chacha && [ -n "$libcrypto" ]; then
		figure "bulk ChaCha20-Poly1305" "reader and cipher in series" - "$(series chacha limpid "$(reader chacha)" "$(needs chacha)")"
		peer "" chacha tshark -
	fi
	if wanted cbc-sha256 && [ -n "$libcrypto" ]; then
		figure "bulk AES-256-CBC-SHA256" "reader, HMAC and AES in series" 0.85 "$(series cbc-sha256 limpid "$(reader cbc-sha256)" "$(needs cbc)" "$(needs hmac256)")"
		figure "" "reader, bytes from memory, HMAC, AES in series" - "$(series cbc-sha256 limpid "$(reader cbc-sha256)" "$(touched cbc-sha256)" "$(needs cbc)" "$(needs hmac256)")"
		peer "" cbc-sha256 tshark -
		peer "" cbc-sha256 ssldump -
		bare "a bare loop, CBC-SHA256" cbc-sha256 bare "$(reader cbc-sha256)" "$(needs cbc)" "$(needs hmac256)"
	fi
	if wanted cbc-sha1 && [ -n "$libcrypto" ]; then
		figure "bulk AES-256-CBC-SHA" "reader, HMAC and AES in series" - "$(series cbc-sha1 limpid "$(reader cbc-sha1)" "$(needs cbc1)" "$(needs hmac1)")"
		peer "" cbc-sha1 tshark -
		peer "" cbc-sha1 ssldump -
	fi
	if wanted eight; then
		if [ -n "$two" ]; then
			figure "two workers, CBC-SHA256, 8 flows" "one worker, by the clock" 1.7 "$(calc "$(wall eight limpid) / $(wall eight limpid-two)")"
		else
			none "two workers, CBC-SHA256, 8 flows" "one worker" "no --workers"
		fi
		ran cbc-sha256 bare-two && figure "two bare loops at once, CBC-SHA256" "one after the other, by the clock" - \
			"$(calc "2 * $(wall cbc-sha256 bare) / $(wall cbc-sha256 bare-two)")"
	fi
	if wanted short; then
		figure "short RSA-2048 connections" "$CORES cores × the library's RSA, by the clock" 0.90 \
			"$(calc "$(sessions short) / $(wall short limpid-all) / ($CORES * $(own rsa))")"
		figure "" "the library's RSA on $CORES cores at once, by the clock" - \
			"$(calc "$(sessions short) / $(wall short limpid-all) / $(own rsa-all)")"
		peer "" short tshark -
		peer "" short ssldump -
	fi
	if wanted resumed; then
		figure "resumed connections" "30,000 a second of one core" 1 "$(calc "$(sessions resumed) / $(cpu resumed limpid) / 30000")"
		figure "" "50,000 a second of one core" aim:1 "$(calc "$(sessions resumed) / $(cpu resumed limpid) / 50000")"
		peer "" resumed tshark -
		peer "" resumed ssldump -
	fi
	if wanted mix; then
		peer "connections of all sizes, a quarter not TLS" mix tshark -
		peer "" mix ssldump -
	fi
	if wanted clear; then
		figure "packets that are not TLS" "2,000,000 a second" 1 "$(calc "$(awk '{ print $1 }' "$tmp/clear.size") / $(cpu clear limpid) / 2e6")"
		figure "" "a bare libpcap reader" 0.5 "$(calc "$(cpu clear pcap) / $(cpu clear limpid)")"
		peer "" clear tshark -
	fi
	if wanted flows; then
		n=$(for n in $(seq $((3 * RUNS))); do
			"$BENCH/flows" compare 1.3 | sed -n 's/.*thousand: \([0-9.]*\) times.*/\1/p'
		done | median)
		figure "a packet among 1,000,000 flows" "one among 1,000" most:1.3 "$([ "$n" = 0 ] && echo 99 || echo "$n")"
	fi
}
peer() { # name, work, program, least [, which limpid]: how many times as fast as that one
	if ran "$2" "$3"; then
		figure "$1" "times ${3/-d/ -d}" "$4" "$(calc "$(cpu "$2" "$3") / $(cpu "$2" "${5:-limpid}")")"
	else
		none "$1" "times ${3/-d/ -d}" "did not come to its end"
	fi
}
# bare NAME WORK PROGRAM SECONDS...: how near the bare loop comes to the limit, and limpid to the loop.
bare() {
	ran "$2" "$3" || { none "$1" "the same in series" "did not come to its end"; return; }
	figure "$1" "the same in series" - "$(series "$2" "$3" "${@:4}")"
	figure "" "limpid against it" - "$(calc "$(cpu "$2" "$3") / $(cpu "$2" limpid)")"
}
# writing PROGRAM NAME: what is left of the counted run's speed, and what a bare write would leave.
writing() {
	figure "$2" "the counted run" 0.5 "$(calc "$(cpu gcm limpid) / $(cpu gcm "limpid-$1")")"
	figure "" "the counted run and a bare write, in series" - \
		"$(calc "($(cpu gcm limpid) + $(field gcm "bare-$1" 2)) / $(cpu gcm "limpid-$1")")"
}
write_to() { # file, figures: between its marks
	awk -v from="$2" '
		/<!-- figures -->/ { print; while ((getline line < from) > 0) print line; skip = 1; next }
		/<!-- end of figures -->/ { skip = 0 }
		!skip' "$1" >"$tmp/written" && cp "$tmp/written" "$1"
}

works="none gcm chacha cbc-sha256 cbc-sha1 eight short resumed mix clear"
for n in $FLOWS; do works="$works flows-$n"; done
echo "captures, in $DIR"
BENCH=$BENCH tests/bench/captures.sh "$DIR" || exit 1
for work in $works; do
	case $work in none) ;; flows-*) wanted flows || continue ;; *) wanted "$work" || continue ;; esac
	echo "measuring $work" >&2
	measure "$work"
done

{
	echo
	echo "Medians of $RUNS rounds, of tshark and ssldump of $PEER_RUNS; CPU and memory as measured, rates without starting."
	echo "By CPU; limpid-all (as many workers as cores) and limpid-two by the clock. Sessions: those that limpid opens."
	echo
	row work program packets/s MB/s sessions/s "CPU s" MiB "× limpid"
	echo "|---|---|---|---|---|---|---|---|"
	for work in $works; do [ $work = none ] || [ ! -e "$tmp/$work.size" ] || programs $work; done
	echo
} | tee "$BENCH/table.md"
figures >"$BENCH/figures.md"
# figures ran in this shell, so that a miss is known
cat "$BENCH/figures.md"
[ -z "${BENCH_WRITE:-}" ] || write_to "$BENCH_WRITE" "$BENCH/figures.md"
exit $missed
