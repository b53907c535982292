#!/bin/bash
# Makes the captures of the table: real nginx, real OpenSSL clients, a link of MTU 1500 between
# two network namespaces. tests/bench/captures.sh DIR    (BENCH: the programs; as root)
# Made once: what is in DIR already, of the same size, stays. Sizes:
#   BENCH_MB        of a bulk transfer, in megabytes (200)
#   BENCH_SESSIONS  full RSA handshakes (4000)
#   BENCH_SECONDS   that resumed sessions are made for (10)
#   BENCH_MIX       connections of the mix (2000)
#   BENCH_FLOWS     how many connections at once, a list (1000 100000 1000000)
set -u
cd "$(dirname "$0")/../.." || exit 1
[ -n "${INSIDE:-}" ] || INSIDE=1 exec tests/interop/inside.sh "$0" "$@"
DIR=$(realpath "$1")
MB=${BENCH_MB:-200} SESSIONS=${BENCH_SESSIONS:-4000} SECS=${BENCH_SECONDS:-10} MIX=${BENCH_MIX:-2000}
FLOWS=${BENCH_FLOWS:-1000 100000 1000000}
BENCH=$(realpath "$BENCH")
WORK=$(mktemp -d)
trap 'rm -rf "$WORK"' EXIT
chmod 755 "$WORK"
HERE=10.9.0.1
export OPENSSL_CONF=$WORK/openssl.cnf

die() { echo "captures.sh: $*" >&2; exit 1; }

# There a server, here the clients; segments as they are on a wire.
link() {
	unshare --net sleep infinity &
	far=$!
	for _ in $(seq 100); do
		[ "$(readlink /proc/$far/ns/net)" != "$(readlink /proc/self/ns/net)" ] && break
		sleep 0.02
	done
	ip link add near type veth peer name far netns "$far" || die "no link"
	ip addr add $HERE/24 dev near
	far ip addr add 10.9.0.2/24 dev far
	far ip link set lo up
	ethtool -K near tso off gso off gro off >/dev/null 2>&1
	far ethtool -K far tso off gso off gro off >/dev/null 2>&1
	ip link set near mtu 1500 up
	far ip link set far mtu 1500 up
	for ns in "" far; do
		$ns sysctl -qw net.ipv4.ip_local_port_range="1024 65535" net.ipv4.tcp_tw_reuse=1 || die "no ports"
	done
	# as fast as tcpdump can be trusted to follow
	far tc qdisc add dev far root tbf rate "${BENCH_RATE:-600mbit}" burst 256k limit 512k || die "no queue"
}
far() { nsenter -t "$far" --net "$@"; }

server() {
	local d=$WORK/nginx
	mkdir -p "$d/html" "$d/tmp"
	install -m 600 keys/server.pem "$d/key.pem"
	head -c "$((MB * 1000000))" /dev/urandom >"$d/html/bulk"
	head -c "$((MB * 1000000 / 8))" "$d/html/bulk" >"$d/html/eighth"
	head -c "$((MB * 1000000 / 2))" "$d/html/bulk" >"$d/html/half"
	head -c 1000 "$d/html/bulk" >"$d/html/small"
	for n in 1 2 3 4 5 6 7 8; do head -c $((n * n * n * 1000)) "$d/html/bulk" >"$d/html/mix$n"; done
	cat >"$OPENSSL_CONF" <<-C
		openssl_conf = init
		[init]
		ssl_conf = ssl
		[ssl]
		system_default = defaults
		[defaults]
		CipherString = ALL:@SECLEVEL=0
	C
	cat >"$d/nginx.conf" <<-C
		daemon off;
		user root;
		worker_processes 2;
		worker_rlimit_nofile 8192;
		pid $d/pid;
		events { worker_connections 4096; }
		http {
			client_body_temp_path $d/tmp; proxy_temp_path $d/tmp; fastcgi_temp_path $d/tmp;
			uwsgi_temp_path $d/tmp; scgi_temp_path $d/tmp;
			access_log off;
			root $d/html;
			default_type application/octet-stream;
			ssl_certificate $PWD/keys/server.crt;
			ssl_certificate_key $d/key.pem;
			ssl_protocols TLSv1.2;
			ssl_ciphers ALL:@SECLEVEL=0;
			ssl_session_tickets off;
			server { listen 8443 ssl; ssl_session_cache off; location = /half { limit_rate 8m; } }
			server { listen 8444 ssl; ssl_session_cache shared:a:1m; ssl_session_timeout 1d; }
			server { listen 8080; }
		}
	C
	far nginx -p "$d" -e "$d/error.log" -c "$d/nginx.conf" &
	for _ in $(seq 250); do
		[ "$(far ss -Hltn 'sport = :8443 or sport = :8444 or sport = :8080' | wc -l)" = 3 ] && return
		sleep 0.02
	done
	cat "$d/error.log"
	die "nginx does not listen"
}

# make NAME SIZE COMMAND...: what the command causes on the link, in DIR/NAME.pcap
make() {
	local name=$1 size=$2 file=$DIR/$1.pcap try pid
	shift 2

	[ "$(cat "$DIR/$name.made" 2>/dev/null)" != "$size" ] || return 0
	rm -f "$DIR/$name".*
	for try in 1 2 3; do
		tcpdump -Z root -i near -B 262144 -s 0 -w "$file" tcp 2>"$WORK/tcpdump" &
		pid=$!
		for _ in $(seq 200); do grep -q 'listening on' "$WORK/tcpdump" && break; sleep 0.02; done
		"$@" >"$WORK/log" 2>&1 || { tail -n 5 "$WORK/log" "$WORK/nginx/error.log"; die "$name: no traffic"; }
		sleep 1.5
		kill -INT $pid
		wait $pid
		if grep -q '^0 packets dropped by kernel' "$WORK/tcpdump"; then
			echo "  $name: $(stat -c %s "$file") bytes"
			echo "$size" >"$DIR/$name.made"
			return
		fi
	done
	die "$name: tcpdump could not follow: $(grep dropped "$WORK/tcpdump" | tr '\n' ' ')"
}
get() { # port or scheme, file, curl's arguments
	curl -sSk --fail --http1.1 -o /dev/null "${@:2}" "$1"
}
bulk() { get https://10.9.0.2:8443/bulk --tls-max 1.2 --ciphers "$1"; }
chacha() {
	SSLKEYLOGFILE=$DIR/chacha.keys bulk ECDHE-RSA-CHACHA20-POLY1305 && chmod 600 "$DIR/chacha.keys"
}
# All at one pace (limit_rate): else by chance the last has the line to itself for 1 to 19 MB, where a
# second worker has nothing to do. Four times a transfer in all: eight keys are asked for at the start,
# by the same cores.
eight() {
	local n pids=()

	for n in 1 2 3 4 5 6 7 8; do
		get https://10.9.0.2:8443/half --tls-max 1.2 --ciphers AES256-SHA256 &
		pids+=($!)
	done
	wait_for "${pids[@]}"
}
wait_for() { local p; for p; do wait "$p" || return 1; done; }
short() { "$BENCH/../interop/many" 10.9.0.2 8443 "$SESSIONS" 4; }
resumed() {
	openssl s_time -connect 10.9.0.2:8444 -reuse -tls1_2 -cipher AES128-GCM-SHA256 -www /small -time "$SECS"
}
clear() { local n; for n in 1 2 3 4; do get http://10.9.0.2:8080/eighth && get http://10.9.0.2:8080/eighth || return 1; done; }
# Connections side by side, of all sizes; every fourth is not TLS.
mix() {
	local n pids=() urls suite

	for suite in AES128-GCM-SHA256 AES256-GCM-SHA384 AES128-SHA AES256-SHA256; do
		urls=$WORK/urls.$suite
		for n in $(seq $((MIX / 4))); do
			[ $((n % 4)) = 0 ] && echo "url = http://10.9.0.2:8080/mix$((n * 5 % 8 + 1))" ||
				echo "url = https://10.9.0.2:8443/mix$((n * 5 % 8 + 1))"
			echo 'output = /dev/null'
		done >"$urls"
		curl -sSk --fail --http1.1 -H 'Connection: close' --tls-max 1.2 --ciphers $suite --no-sessionid \
			-Z --parallel-immediate --parallel-max 100 -K "$urls" &
		pids+=($!)
	done
	wait_for "${pids[@]}"
}
# Many connections at once, none of them TLS: made, not captured; 300,000 packets at least.
flows() { # how many
	local file=$DIR/flows-$1.pcap rounds=$(($1 < 75000 ? 300000 / $1 - 3 : 1))

	[ "$(cat "$DIR/flows-$1.made" 2>/dev/null)" = "$1" ] && return
	"$BENCH/clear" "$1" "$rounds" 200 "$file" || die "flows-$1"
	echo "  flows-$1: $(stat -c %s "$file") bytes"
	echo "$1" >"$DIR/flows-$1.made"
}

mkdir -p "$DIR"
for n in $FLOWS; do flows "$n"; done
link
server
make gcm "$MB" bulk AES256-GCM-SHA384
make chacha "$MB" chacha
make cbc-sha256 "$MB" bulk AES256-SHA256
make cbc-sha1 "$MB" bulk AES256-SHA
make eight "$((MB * 4)), paced" eight
make short "$SESSIONS" short
make resumed "$SECS" resumed
make mix "$MIX" mix
make clear "$MB" clear
make none 1 get http://10.9.0.2:8080/small
exit 0
