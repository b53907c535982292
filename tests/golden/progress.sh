#!/bin/bash
# The progress bar: on a terminal, of a replay that takes longer than a second, gone before any
# other line and at the end; and nowhere else. tests/golden/progress.sh
set -u
cd "$(dirname "$0")/../.." || exit 1
. tests/run/lib.sh
LIMPID=${LIMPID:-./limpid}
command -v script >/dev/null || { skip "progress: no script(1)"; exit 0; }
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
install -m 600 keys/server.pem "$tmp/key.pem"
export TERM=xterm

# The warden is slow and little may be held: the replay has to wait, more than once.
slow="-k $tmp/key.pem --set warden-delay=1400 --set warden-threads=1 --set max-held-total=65536 --set max-held=65536"
files=
for c in openssl-tls12 gnutls-tls12 java openssl-tls11; do files="$files -r captures/$c.pcap"; done

# on a terminal: everything it got, lines cut at carriage returns.
shown() { # arguments
	script -qec "stty cols 70; $LIMPID $*" "$tmp/script" </dev/null | tr '\r' '\n' >"$tmp/shown"
}
# What a terminal of any width shows in the end: the bar is never left over, and never
# stands in a line with something else.
clean() {
	! grep -a ' MB/s\| kB/s' "$tmp/shown" | grep -avqE '^(\[[#.]{20}\] {1,3}[0-9]{1,3}%  )?[0-9.]+ [kM]?B  [0-9.]+ [kM]?B/s  [0-9]+ sessions?.\[K$'
}
bars() { grep -acE "$1" "$tmp/shown"; }

shown $slow $files
want "progress: a bar with a share" test "$(bars '^\[#[#.]*\] +[0-9]+%  .*B/s  [0-9]+ session')" -ge 2
want "progress: several files are one" test "$(bars '^\[#*\.+\] +[1-9][0-9]?%')" -ge 1
want "progress: nothing stands beside it" clean
erase=$(printf '\033\\[K')
want "progress: wiped before the next line" test "$(grep -aA1 'B/s' "$tmp/shown" | grep -acE "^$erase#[0-9]{6} ")" -ge 1
"$LIMPID" $slow $files >"$tmp/out" 2>"$tmp/err"
want "progress: the session lines are whole" test "$(bars "^($erase)?#[0-9]{6} ")" = "$(grep -cE '^#[0-9]{6} ' "$tmp/out")"

shown $slow -q $files
want "progress: not with -q" test "$(bars 'B/s')" = 0
want "progress: not without a terminal" test "$(grep -ac 'B/s' "$tmp/out" "$tmp/err" | grep -vc ':0')" = 0
TERM=dumb shown $slow $files
want "progress: not on a dumb terminal" test "$(bars 'B/s')" = 0

# A pipe has no share.
mkfifo "$tmp/pipe"
{ head -c 30000 captures/openssl-tls12.pcap; sleep 1.6; tail -c +30001 captures/openssl-tls12.pcap; } >"$tmp/pipe" &
shown -r "$tmp/pipe" -k "$tmp/key.pem"
wait
want "progress: of a pipe, without a share" test "$(bars '^[0-9]+ kB  .*B/s')" -ge 1 -a "$(bars '%')" = 0
exit 0
