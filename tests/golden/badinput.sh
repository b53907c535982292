#!/bin/bash
# What is wrong on the command line or in a file gets one clear line on stderr and the
# right exit status.
set -u
cd "$(dirname "$0")/../.." || exit 1
. tests/run/lib.sh
LIMPID=${LIMPID:-./limpid}
LOSS=${LOSS:-$(dirname "$LIMPID")/bench/loss}
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

# bad NAME STATUS PATTERN ARGUMENTS...: exactly one line on stderr, and it says PATTERN.
bad() {
	local name="bad input: $1" status=$2 pattern=$3 rc lines
	shift 3

	timeout 60 "$LIMPID" "$@" >"$tmp/out" 2>"$tmp/err" </dev/null
	rc=$?
	lines=$(wc -l < "$tmp/err")
	if [ "$rc" != "$status" ] || [ "$lines" != 1 ] || ! grep -qiE -e "$pattern" "$tmp/err"; then
		echo "    limpid $*"
		sed 's/^/    /' "$tmp/err" | head -n 8
		fail "$name: status $rc (not $status), $lines lines (not 1), which should say '$pattern'"
	else
		pass "$name"
	fi
}

http="-r captures/http.pcap"
key="-k $tmp/server.pem"
install -m 600 keys/server.pem "$tmp/server.pem"
install -m 600 keys/forms/pbes2.pem "$tmp/pbes2.pem"
mkdir "$tmp/empty" "$tmp/files"
echo hello > "$tmp/text"
echo wrong > "$tmp/wrong"
chmod 600 "$tmp/wrong"
install -m 600 keys/server.crt "$tmp/cert.pem"
: > "$tmp/nothing"
touch "$tmp/files/index.jsonl"

bad "nothing to read" 1 '-r|-i' $key
bad "an unknown option" 1 'no-such-option|usage' $http --no-such-option
bad "an option without its argument" 1 '' -r
bad "a missing capture" 1 'missing\.pcap.*No such file' -r "$tmp/missing.pcap" $key
bad "a capture that is none" 1 'text' -r "$tmp/text" $key
bad "an empty capture" 1 'nothing' -r "$tmp/nothing" $key
bad "a folder as capture" 1 '' -r "$tmp/empty" $key
bad "a missing key" 1 'missing\.pem.*No such file' $http -k "$tmp/missing.pem"
bad "a key that is none" 1 'text' $http -k "$tmp/text"
bad "a certificate as key" 1 'cert\.pem' $http -k "$tmp/cert.pem"
bad "a folder without keys" 1 'empty' $http -k "$tmp/empty"
bad "an encrypted key without passphrase" 1 'pbes2\.pem.*pass' $http -k "$tmp/pbes2.pem"
bad "a wrong passphrase" 1 'pbes2\.pem.*pass' $http -k "$tmp/pbes2.pem" -p "$tmp/wrong"
bad "a missing passphrase file" 1 'missing' $http -k "$tmp/pbes2.pem" -p "$tmp/missing"
bad "an unknown output" 1 'nonsense' $http $key -o nonsense
bad "a plugin that is missing" 1 'missing\.so' $http $key -o "$tmp/missing.so"
bad "a plugin that is none" 1 'text' $http $key -o "$tmp/text"
bad "an output that cannot be written" 1 'none/x\.pcap' $http $key -w "$tmp/none/x.pcap"
bad "json that cannot be written" 1 'none/x\.json' $http $key -o "json:$tmp/none/x.json"
bad "files that cannot be written" 1 'none/x' $http $key -o "files:$tmp/none/x"
bad "files over a former run's" 1 'index\.jsonl|files' $http $key -o "files:$tmp/files"
bad "a key log that is not there" 1 'none\.log.*No such file' $http -l "$tmp/none.log"
bad "a key log that is a directory" 1 'directory' $http -l "$tmp"
bad "a key log that is something else" 0 'server\.pem: [0-9]* of its lines are not lines of a key log' $http $key -l "$tmp/server.pem"
bad "a time to wait that is none" 1 "key-wait.*'soon'" $http -l "$tmp/server.pem" --key-wait soon
head -c 47 /dev/zero > "$tmp/ticket47"
head -c 80 /dev/zero > "$tmp/ticket80"
chmod 600 "$tmp/ticket47"
chmod 644 "$tmp/ticket80"
bad "a missing ticket key" 1 'none\.key.*No such file' $http -t "$tmp/none.key"
bad "a ticket key of a wrong size" 1 'ticket47: 47 bytes' $http -t "$tmp/ticket47"
bad "a private key as ticket key" 1 'server\.pem: line 1 is no ticket key' $http -t "$tmp/server.pem"
bad "a folder without ticket keys" 1 'empty: no usable key' $http -t "$tmp/empty"
bad "a ticket key that others can read" 0 'ticket80: readable by others' $http $key -t "$tmp/ticket80"
bad "the same, strictly" 1 'ticket80: readable by others .mode 0644., refused' $http $key -t "$tmp/ticket80" --strict-key-modes
bad "a HAProxy that is not there" 1 'none\.sock.*No such file' $http -t "haproxy:$tmp/none.sock"
bad "an unknown crypto provider" 1 'nonsense' $http $key --crypto nonsense
bad "an unknown checksum mode" 1 'nonsense' $http $key --checksums nonsense
bad "a filter that does not compile" 1 '' $http $key 'tcp prot 443'
bad "reading only, but nothing to read" 1 'bench-read' -i lo --bench-read
bad "reading only, a capture that is none" 1 'text' -r "$tmp/text" --bench-read
bad "a device that does not exist" 1 'nosuchdev0' -i nosuchdev0 $key

# A private key whose halves do not belong together: the modulus of one key, the
# private exponent of another.
openssl rsa -in keys/server.pem -traditional -outform DER -out "$tmp/a.der" 2>/dev/null
openssl rsa -in keys/other.pem -traditional -outform DER -out "$tmp/b.der" 2>/dev/null
# Both are 2048 bits and their integers begin at the same offsets: version, modulus
# (tag at 7, 257 bytes of value from 11), exponent, then the private exponent.
{ head -c 11 "$tmp/a.der"; head -c 268 "$tmp/b.der" | tail -c 257; tail -c +269 "$tmp/a.der"; } > "$tmp/mixed.der"
chmod 600 "$tmp/mixed.der"
bad "a private key that does not fit its public half" 1 'mixed\.der' $http -k "$tmp/mixed.der"

# A capture that ends in the middle of a packet: what stands before it is processed.
for cut in 30 1000 2000; do
	head -c $cut captures/http.pcap > "$tmp/cut.pcap"
	bad "a capture of $cut bytes" 2 'cut\.pcap' -r "$tmp/cut.pcap" $key
	bad "a capture of $cut bytes, only read" 2 'cut\.pcap' -r "$tmp/cut.pcap" --bench-read
done
head -c 2000 captures/http-ns.pcap.gz > "$tmp/cut.gz"
bad "half a compressed capture" 2 'cut\.gz' -r "$tmp/cut.gz" $key

# A capture that somebody cuts short while it is read: what waits behind a lost packet is gone.
keep=$("$LOSS" send gcm 16384 1500 "$tmp/whole.pcap" "$tmp/keys") &&
	"$LOSS" spoil "$tmp/whole.pcap" "$tmp/shrinks.pcap" 1 "$keep" one $((keep + 5)) || fail "bad input: no capture"
chmod 600 "$tmp/keys"
mkfifo "$tmp/fifo"
{ sleep 1; truncate -s 100000 "$tmp/shrinks.pcap"; cat; } <"$tmp/fifo" >/dev/null &
bad "a capture that shrinks" 1 'cut short meanwhile' --workers 1 -q -r "$tmp/shrinks.pcap" -l "$tmp/keys" -w "$tmp/fifo"
wait
exit 0
