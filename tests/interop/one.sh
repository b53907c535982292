#!/bin/bash
# One interop test, run by run.sh inside its namespaces.
set -u
ulimit -c 0	# some servers ask for a core themselves and drop it where they stand
. tests/run/lib.sh
. tests/run/compare.sh
. tests/interop/peers.sh
. tests/interop/starttls.sh
. tests/interop/handshakes.sh
. tests/interop/tickets.sh
export WORK; WORK=$(mktemp -d)
trap 'rm -rf "$WORK"' EXIT

# Some ciphers only one provider has: PROVIDERS=auto.
providers() { [ -z "${PROVIDERS:-}" ] || { echo "$PROVIDERS"; return; }; case $(ldd "$LIMPID") in *libcrypto*) echo mbedtls openssl ;; *) echo mbedtls ;; esac; }

# judge NAME CAPTURE [set]: both providers must give what is in expect.jsonl.
judge() {
	local crypto out diff n

	n=$(wc -l < "$WORK/expect.jsonl")
	[ "${CAPTURE_DROPS:-0}" = 0 ] || { fail "interop $1: the kernel dropped $CAPTURE_DROPS packets of the capture"; return; }
	for crypto in $(providers); do
		out=$WORK/out.$crypto
		rm -rf "$out"
		if ! timeout 300 "$LIMPID" -q -r "$2" -k "$KEYS/server.pem" ${MORE_KEYS:-} --crypto "$crypto" -o "files:$out" >"$out.log" 2>&1; then
			tail -n 5 "$out.log"
			fail "interop $1 ($crypto): limpid failed"
			continue
		fi
		diff=$(compare "$WORK/expect.jsonl" "$out" "${3:-order}" 2>&1)
		if [ -z "$diff" ]; then
			pass "interop $1 ($crypto)"
			echo "  $1: $n sessions whole with $crypto"
		else
			echo "$diff" | head -n 12
			"$LIMPID" -r "$2" -k "$KEYS/server.pem" ${MORE_KEYS:-} --crypto "$crypto" 2>&1 | tail -n 12
			fail "interop $1 ($crypto)"
			[ -z "${KEEP_FAILED:-}" ] || cp -r "$WORK/." "$KEEP_FAILED"
		fi
		rm -rf "$out"
	done
}

# pair SERVER CLIENT: sessions of the two, few or the whole matrix.
pair() {
	local v suite ems etm cert n=0

	capture_start "$WORK/$1-$2.pcap" || { fail "interop $1-$2: no capture"; return; }
	: > "$WORK/expect.jsonl"
	if [ "$LEVEL" = short ]; then
		{ session "$1" "$2" 1.0 AES128-SHA on on no 5000 &&
		session "$1" "$2" 1.1 AES256-SHA on off yes 5000 &&
		session "$1" "$2" 1.2 AES256-SHA off on yes 5000 &&
		session "$1" "$2" 1.2 AES128-SHA256 on on empty 5000 &&
		session "$1" "$2" 1.2 AES256-GCM-SHA384 on on yes 100000; } || fail "interop $1-$2: a session failed"
	else
		for v in 1.0 1.1 1.2; do for suite in $(suites_of $v); do for ems in on off; do for etm in on off; do
			[ $etm = on ] || is_cbc "$suite" || continue
			for cert in no empty yes; do
				n=$((n + 1))
				session "$1" "$2" $v "$suite" $ems $etm $cert $((n % 7 == 0 ? 60000 : RANDOM % 9000 + 1)) ||
					fail "interop $1-$2: a session failed"
			done
		done; done; done; done
	fi
	capture_stop
	servers_stop
	judge "$1-$2" "$WORK/$1-$2.pcap"
}

# link: veth1 here (10.9.0.1, fd09::1) and veth2 in a namespace of process $FAR.
link() {
	unshare --net sleep infinity &
	FAR=$!
	while [ "$(readlink /proc/self/ns/net)" = "$(readlink /proc/$FAR/ns/net)" ]; do sleep 0.02; done
	ip link add veth1 type veth peer name veth2 netns "$FAR"
	ip addr add 10.9.0.1/24 dev veth1
	ip addr add fd09::1/64 dev veth1 nodad
	ip link set veth1 up
	far ip addr add 10.9.0.2/24 dev veth2
	far ip addr add fd09::2/64 dev veth2 nodad
	far ip link set lo up
	far ip link set veth2 up
}
far() { nsenter -t "$FAR" --net "$@"; }

lines() { cat "$1" 2>/dev/null | wc -l; }

t_openssl() { pair openssl openssl; }
t_gnutls() { pair gnutls gnutls; }
t_nginx() { pair nginx openssl; }
t_cross() { pair openssl gnutls; pair gnutls openssl; }

t_java() {
	local v suite ems cert list=

	capture_start "$WORK/java.pcap" || { fail "interop java: no capture"; return; }
	: > "$WORK/expect.jsonl"
	for v in 1.0 1.1 1.2; do for suite in $(suites_of $v); do list="$list $v:$suite"; done; done
	if [ "$LEVEL" = short ]; then
		java_sessions on yes 5000 $list || fail "interop java: a session failed"
	else
		for ems in on off; do for cert in no empty yes; do
			java_sessions $ems $cert 40000 $list || fail "interop java: a session failed"
			for v in 1.0 1.1 1.2; do for suite in $(suites_of $v); do
				session java openssl $v "$suite" $ems on $cert 20000 || fail "interop java: a session failed"
				# JSSE has no encrypt-then-MAC, whatever is offered.
			done; done
		done; done
		jq -c '.etm = false' "$WORK/expect.jsonl" > "$WORK/e" && mv "$WORK/e" "$WORK/expect.jsonl"
	fi
	capture_stop
	servers_stop
	judge java "$WORK/java.pcap"
}

# Handshakes within a session.
t_renegotiation() {
	local list="1.2:AES128-GCM-SHA256:on 1.2:AES256-SHA:off 1.0:AES128-SHA:on" v s ems

	if [ "$LEVEL" != short ]; then
		list=
		for v in 1.0 1.1 1.2; do for s in $(suites_of $v); do for ems in on off; do list="$list $v:$s:$ems"; done; done; done
	fi
	handshakes renegotiation "reneg_rsa $list" reneg_more reneg_refused reneg_keys
}

# One capture of what the functions of handshakes.sh do, judged with their key log.
handshakes() { # name, then lines to run
	local name=$1

	rm -f "$WORK/keys"; : > "$WORK/keys"
	capture_start "$WORK/$name.pcap" || { fail "interop $name: no capture"; return; }
	: > "$WORK/expect.jsonl"
	shift
	while [ $# -gt 0 ]; do $1; shift; done
	[ -z "${PIDS[capture]:-}" ] || capture_stop
	MORE_KEYS="-l $WORK/keys" judge "$name" "$WORK/$name.pcap"
}
t_hello() { handshakes hello hello_more hello_big; }
t_resumption() {
	local s ems list="off:AES128-SHA256 on:ECDHE-RSA-AES128-GCM-SHA256"

	[ "$LEVEL" = short ] || list=$(for ems in on off; do for s in AES128-SHA256 AES256-GCM-SHA384 ECDHE-RSA-AES128-GCM-SHA256 \
		DHE-RSA-AES256-SHA; do echo "$ems:$s"; done; done)
	handshakes resumption "resume_more $(echo $list)"
}
t_records() {
	handshakes records "records_more 1.0 1.1 1.2"
	handshakes gnutls-more gnutls_more
	handshakes ends "ends AES128-SHA AES256-GCM-SHA384"
}

# What is not AES: one session of each cipher, by each peer that has it.
t_suites() {
	local v s list

	capture_start "$WORK/suites.pcap" || { fail "interop suites: no capture"; return; }
	: > "$WORK/expect.jsonl"
	for s in $(suites_openssl) ; do
		for v in $([ $LEVEL = short ] && echo "${s%%:*}" || versions_from "${s%%:*}"); do
			session openssl openssl "$v" "${s#*:}" on off no 3000 || fail "interop suites: openssl $s"
		done
	done
	for s in $(suites_gnutls); do
		for v in $([ $LEVEL = short ] && echo "${s%%:*}" || versions_from "${s%%:*}"); do
			session gnutls gnutls "$v" "${s#*:}" on on no 3000 || fail "interop suites: gnutls $s"
		done
	done
	java_sessions on no 3000 $(suites_java) || fail "interop suites: java"
	stop java.
	SERVER_KEY=export java_sessions on no 3000 $(suites_export) || fail "interop suites: java, EXPORT"
	capture_stop
	servers_stop
	PROVIDERS=auto MORE_KEYS="-k $KEYS/export.pem" judge suites "$WORK/suites.pcap"
}

# A session with an ECDSA certificate, in the key log.
ecdsa_logged() { # suite
	if [ -z "${PIDS[ecdsa]:-}" ]; then
		OPENSSL_CONF=$(openssl_conf on on) openssl s_server -accept 4633 -cert "$KEYS/ec.crt" -key "$KEYS/ec.pem" -rev -quiet \
			-cipher 'ALL:@SECLEVEL=0' -tls1_2 >"$WORK/ecdsa.log" 2>&1 &
		PIDS[ecdsa]=$!
		listening 4633 || return 1
	fi
	payload_text 3000 > "$WORK/in"; echo CLOSE >> "$WORK/in"
	OPENSSL_CONF=$(openssl_conf on on) timeout 20 openssl s_client -connect 127.0.0.1:4633 -tls1_2 -quiet -ign_eof -cipher "$1:@SECLEVEL=0" \
		-keylogfile "$WORK/keys" <"$WORK/in" >"$WORK/out" 2>/dev/null && [ -s "$WORK/out" ] || return 1
	expect "ECDSA certificate, $1" 1.2 "$1" on on no "$WORK/in" "$WORK/out"
}

# Key exchanges other than RSA that keys open: pre-shared ones, and static ECDH; and
# ECDSA certificates by the key log.
t_exchange() {
	local v s ems kind

	capture_start "$WORK/exchange.pcap" || { fail "interop exchange: no capture"; return; }
	: > "$WORK/expect.jsonl"
	: > "$WORK/keys"
	if [ "$LEVEL" = short ]; then
		{ psk_session openssl openssl 1.2 PSK-AES128-GCM-SHA256 on 3000 &&
		psk_session openssl openssl 1.0 RSA-PSK-AES256-CBC-SHA off 3000 &&
		psk_session openssl openssl 1.2 DHE-PSK-AES128-CBC-SHA256 on 3000 &&
		psk_session openssl gnutls 1.2 PSK-AES256-CBC-SHA384 off 3000 &&
		psk_session gnutls gnutls 1.1 PSK-AES128-CBC-SHA on 3000 &&
		psk_session gnutls gnutls 1.2 RSA-PSK-AES128-GCM-SHA256 on 3000 &&
		psk_session gnutls openssl 1.2 ECDHE-PSK-AES256-CBC-SHA384 on 3000; } || fail "interop exchange: a session with PSK"
		ecdsa_logged ECDHE-ECDSA-AES128-GCM-SHA256 || fail "interop exchange: an ECDSA certificate"
		SERVER_KEY=ec java_sessions on no 3000 1.2:TLS_ECDH_ECDSA_WITH_AES_128_GCM_SHA256 1.0:TLS_ECDH_ECDSA_WITH_AES_128_CBC_SHA ||
			fail "interop exchange: static ECDH"
	else
		for s in $(openssl ciphers 'aECDSA:!NULL:@SECLEVEL=0' | tr : ' '); do
			case $s in ECDHE-*) ecdsa_logged $s || fail "interop exchange: $s" ;; esac
		done
		for ems in on off; do
			for s in $(openssl ciphers 'PSK:RSAPSK:kDHEPSK:kECDHEPSK:eNULL:@SECLEVEL=0' | tr : ' '); do
				case $s in TLS_* | SRP* ) continue ;; *PSK*) ;; *) continue ;; esac
				for v in $(case $s in *-SHA) echo 1.0 1.1 ;; esac) 1.2; do
					psk_session openssl openssl $v $s $ems 3000 || fail "interop exchange: openssl $s"
				done
			done
			for kind in openssl:gnutls gnutls:openssl gnutls:gnutls; do
				for s in PSK RSA-PSK $([ ${kind#*:} = gnutls ] || echo DHE-PSK ECDHE-PSK); do for v in 1.0 1.1 1.2; do
					psk_session ${kind%:*} ${kind#*:} $v $s-AES128-CBC-SHA $ems 3000 || fail "interop exchange: $kind $s"
				done; done
			done
			for kind in ec:ECDSA ec-rsa:RSA; do for v in no yes; do
				stop java.; stop java.request
				SERVER_KEY=${kind%%:*} java_sessions $ems $v 3000 $(suites_ecdh ${kind#*:}) || fail "interop exchange: static ECDH"
			done; done
		done
	fi
	capture_stop
	servers_stop
	PROVIDERS=$([ "$LEVEL" = short ] || echo auto) MORE_KEYS="-k $KEYS/ec.pem --psk $KEYS/psk -l $WORK/keys" judge exchange "$WORK/exchange.pcap"
}

# DEFLATE compression, between two ends of libssl that were taught it.
t_deflate() {
	capture_start "$WORK/deflate.pcap" || { fail "interop deflate: no capture"; return; }
	: > "$WORK/expect.jsonl"
	deflate_sessions "$HELPERS/deflate" || fail "interop deflate: a session failed"
	capture_stop
	judge deflate "$WORK/deflate.pcap"
}

# NSS: SSL 3.0 to TLS 1.2, with SEED, RC4 and 3DES by a peer of their time.
t_nss() {
	local s

	capture_start "$WORK/nss.pcap" || { fail "interop nss: no capture"; return; }
	: > "$WORK/expect.jsonl"
	for s in $([ "$LEVEL" = short ] && echo 3.0:0005:TLS_RSA_WITH_RC4_128_SHA 1.0:0096:TLS_RSA_WITH_SEED_CBC_SHA \
		1.1:000A:TLS_RSA_WITH_3DES_EDE_CBC_SHA 1.2:009C:TLS_RSA_WITH_AES_128_GCM_SHA256 || suites_nss); do
		nss_session $s || fail "interop nss: $s"
	done
	capture_stop
	servers_stop
	PROVIDERS=auto judge nss "$WORK/nss.pcap"
}

# A server that asks for the client's certificate when a page needs it, in a second
# handshake inside the first: Apache as IIS does it. In one connection a page for
# everybody, then one for those with a certificate, then a body sent there.
t_apache() {
	local d=$WORK/apache ems out n=0 crypto got

	if ! command -v apache2 >/dev/null; then skip "interop apache: Apache is not installed"; return; fi
	mkdir -p "$d/html/members"
	echo "for everybody $(payload_text 20000)" > "$d/html/open.txt"
	echo "for members only $(payload_text 50000)" > "$d/html/members/closed.txt"
	chmod -R a+rX "$WORK"
	cat > "$d/apache.conf" <<-C
		ServerRoot $d
		PidFile $d/pid
		ServerName server.example
		DefaultRuntimeDir $d
		Mutex file:$d
		ErrorLog $d/error.log
		$(for k in mpm_event authn_core authz_core socache_shmcb ssl; do echo "LoadModule ${k}_module /usr/lib/apache2/modules/mod_$k.so"; done)
		DocumentRoot $d/html
		StartServers 1
		Listen 4520
		SSLSessionCache shmcb:$d/cache(512000)
		<VirtualHost *:4520>
		SSLEngine on
		SSLCertificateFile $PWD/$KEYS/server.crt
		SSLCertificateKeyFile $PWD/$KEYS/server.pem
		SSLProtocol TLSv1.2
		SSLCipherSuite kRSA
		<Location /members>
		SSLVerifyClient optional_no_ca
		</Location>
		</VirtualHost>
	C
	OPENSSL_CONF=$(openssl_conf on on) apache2 -f "$d/apache.conf" -DFOREGROUND >"$d/log" 2>&1 &
	PIDS[apache]=$!
	listening 4520 || { cat "$d/log" "$d/error.log"; fail "interop apache: it does not start"; return; }
	capture_start "$WORK/apache.pcap" || { fail "interop apache: no capture"; return; }
	payload_text 3000 > "$WORK/body"
	for ems in on off; do
		out=$WORK/got.$ems
		OPENSSL_CONF=$(openssl_conf $ems on) curl -sk --http1.1 --tls-max 1.2 --cert "$KEYS/client.crt" --key "$KEYS/client.pem" \
			-o "$out.1" https://127.0.0.1:4520/open.txt -o "$out.2" https://127.0.0.1:4520/members/closed.txt \
			--data-binary "@$WORK/body" -o "$out.3" https://127.0.0.1:4520/members/closed.txt --trace "$WORK/trace.$ems"
		want "interop apache: the pages came (EMS $ems)" cmp -s "$out.2" "$d/html/members/closed.txt"
	done
	capture_stop
	servers_stop
	for crypto in $(providers); do
		rm -rf "$WORK/out"
		"$LIMPID" -q -r "$WORK/apache.pcap" -k "$KEYS/server.pem" --crypto "$crypto" -o "files:$WORK/out" >"$WORK/log" 2>&1
		got=$(jq -c '[.limpid.ems, .limpid.verdict, .limpid.reason, .limpid.renegotiations, .limpid.client_cert]' "$WORK/out/index.jsonl" | tr '\n' ' ')
		want "interop apache ($crypto): $got" test "$got" = '[true,"decrypted","complete",1,true] [false,"decrypted","complete",1,true] '
		n=0
		for ems in on off; do
			n=$((n + 1))
			curl_sent "$WORK/trace.$ems" > "$WORK/sent"
			curl_received "$WORK/trace.$ems" > "$WORK/received"
			want "interop apache ($crypto): what curl sent (EMS $ems)" cmp -s "$WORK/sent" "$WORK/out/00000${n}_client.bin"
			want "interop apache ($crypto): what curl received (EMS $ems)" cmp -s "$WORK/received" "$WORK/out/00000${n}_server.bin"
		done
	done
}

# A download of 200 MB over a link that is too slow for what comes at once, so that the
# kernel's queue drops and TCP sends again, out of order.
t_download() {
	# libnids, which shares nothing with the reassembler that is tested, sees no hole.
	download_is_captured() {
		rm -f "$WORK/nids"
		case $(ldd "$LIMPID") in *libnids*) ;; *) return 0 ;; esac
		"$LIMPID" -q -r "$WORK/big.pcap" -k "$KEYS/server.pem" --tcp nids -o "json:$WORK/nids" >/dev/null 2>&1
		[ "$(jq -r 'select(.limpid) | .limpid.verdict' "$WORK/nids")" = decrypted ]
	}
	local try suite rc

	link
	ethtool -K veth1 tso off gso off gro off >/dev/null 2>&1
	far ethtool -K veth2 tso off gso off gro off >/dev/null 2>&1
	tc qdisc add dev veth1 root tbf rate 400mbit burst 64k limit 128k || { fail "interop download: no queue"; return; }
	server nginx
	head -c 200000000 /dev/urandom > "$WORK/nginx./html/big"
	printf 'GET /big HTTP/1.1\r\nHost: server.example\r\nConnection: close\r\n\r\n' > "$WORK/in"
	for suite in AES256-GCM-SHA384 AES128-SHA; do
		for try in 1 2 3; do # a capture that itself lost packets proves nothing
			: > "$WORK/expect.jsonl"
			: > "$WORK/tcpdump.log"
			nsenter -t "$FAR" --net tcpdump -Z root -i veth2 -B 262144 -s 0 -w "$WORK/big.pcap" tcp 2>"$WORK/tcpdump.log" &
			PIDS[capture]=$!
			until grep -q 'listening on' "$WORK/tcpdump.log"; do sleep 0.02; done
			OPENSSL_CONF=$(openssl_conf on on) nsenter -t "$FAR" --net openssl s_client -connect 10.9.0.1:8443 -tls1_2 \
				-cipher $suite -quiet -ign_eof <"$WORK/in" >"$WORK/out" 2>/dev/null
			capture_stop
			[ "${CAPTURE_DROPS:-0}" = 0 ] && download_is_captured && break
			echo "  download: the capture has a hole; once more"
		done
		rc=$(far nstat -asz TcpExtTCPOFOQueue 2>/dev/null | awk '/OFO/ { print $2 }')
		echo "  download: $(stat -c %s "$WORK/out") bytes, ${rc:-?} segments out of order"
		[ "$(stat -c %s "$WORK/out")" -gt 200000000 ] || fail "interop download: the transfer itself failed"
		expect "200 MB with $suite" 1.2 $suite on on no "$WORK/in" "$WORK/out"
		judge "download with $suite" "$WORK/big.pcap"
	done
}

# 3,000 short connections, each with words of its own.
t_many() {
	server nginx
	capture_start "$WORK/many.pcap" || { fail "interop many: no capture"; return; }
	"$HELPERS/many" 127.0.0.1 "${PORT[nginx.]}" 3000 4 > "$WORK/expect.jsonl" || fail "interop many: a connection failed"
	capture_stop
	judge "3,000 connections" "$WORK/many.pcap" set
}

# The private key's numbers are in the warden's memory and not in the engine's.
t_canary() {
	canary "a private key" "$KEYS/server.pem" captures/openssl-tls12.pcap 30 -k "$KEYS/server.pem"
	canary "a ticket key" "$KEYS/tickets/nginx80" captures/tickets.pcap 9 -t "$KEYS/tickets"
}
canary() { # name, key, capture, sessions to wait for, arguments
	local engine warden feeder i name="interop canary: $1" key=$2 capture=$3 n=$4

	shift 4
	rm -rf "$WORK/pipe" "$WORK/out"
	mkfifo "$WORK/pipe"
	"$LIMPID" -r "$WORK/pipe" "$@" -o "files:$WORK/out" >"$WORK/log" 2>&1 &
	engine=$!
	exec 7<> "$WORK/pipe"
	cat "$capture" >&7 &
	feeder=$!
	for i in $(seq 250); do # all sessions are over (or all but the last), and their keys used
		[ "$(lines "$WORK/out/index.jsonl")" -ge "$n" ] && break
		sleep 0.02
	done
	warden=$(pgrep -P "$engine" | head -n 1)
	want "$name: the engine is another process than the warden" test -n "$warden"
	"$HELPERS/memscan" "$engine" "$key" > "$WORK/engine"
	"$HELPERS/memscan" "$warden" "$key" > "$WORK/warden"
	want "$name: the engine was at work" test "$(grep -c '"decrypted"' "$WORK/out/index.jsonl")" -ge "$n"
	want "$name: it is in the warden" test "$(awk '{ n += $2 } END { print n + 0 }' "$WORK/warden")" -gt 0
	want "$name: no part of it is in the engine" \
		test "$(awk '{ n += $2 } END { print n + 0 " " NR }' "$WORK/engine")" = "0 $(lines "$WORK/warden")"
	for i in "$engine" "$warden"; do
		want "$name: no core would be written" grep -qE '^Max core file size +0 +0 ' "/proc/$i/limits"
		want "$name: what is secret is locked and not to be dumped" \
			grep -qE '^VmFlags:.* lo .*\bdd\b' "/proc/$i/smaps"
	done
	want "$name: the engine has no key file open" \
		sh -c "! ls -l /proc/$engine/fd | grep -q $(basename "$key")"
	kill $feeder 2>/dev/null
	exec 7>&-
	wait "$engine"
	want "$name: limpid ended well" test $? = 0
}

# Live: sniffs a device while sessions go by, ends cleanly on SIGINT and SIGTERM.
# Two sensors that share secrets through two memcached servers: one sees full handshakes
# only, the other only what resumes them.
t_store() {
	local how turn suite i n port begin patience=1000 dead=0 alive=11211 CAPTURE_FLAGS=--immediate-mode CAPTURE_WAIT=0.3

	sensor() { # NAME ARGUMENTS...: an output in $WORK/NAME, its words in $WORK/NAME.log
		local name=$1

		shift
		rm -rf "${WORK:?}/$name"
		timeout 60 "$LIMPID" "$@" --session-store memcached://127.0.0.1:11211,127.0.0.1:11212 \
			--set session-store-timeout=$patience --session-store-key "$WORK/cluster.key" \
			-o "files:$WORK/$name" >"$WORK/$name.log" 2>&1
	}
	same() { # what is expected, NAME, the test's name
		local diff

		diff=$(compare "$1" "$WORK/$2" 2>&1)
		[ -z "$diff" ] || { echo "$diff" | head -n 8; tail -n 5 "$WORK/$2.log"; }
		want "interop store: $3" test -z "$diff"
	}
	in_memory() { # PID: how many of the secrets are there
		"$HELPERS/memscan" "$1" - < "$WORK/secrets" | awk '$2 { n++ } END { print n + 0 }'
	}
	for port in 11211 11212; do
		memcached -u root -l 127.0.0.1 -p $port -m 64 >"$WORK/memcached.$port" 2>&1 &
		PIDS[memcached.$port]=$!
		listening $port || { fail "interop store: no memcached"; return; }
	done
	umask 077
	openssl rand -hex 32 > "$WORK/cluster.key"
	server openssl
	: > "$WORK/secrets"
	for turn in full again; do
		: > "$WORK/expect.jsonl"
		capture_start "$WORK/$turn.pcap" || { fail "interop store: no capture"; return; }
		n=0
		for how in ticket id; do for suite in AES128-SHA AES256-GCM-SHA384 AES256-SHA256 AES128-GCM-SHA256; do
			n=$((n + 1))
			{ payload_text 300; echo CLOSE; } > "$WORK/in"
			OPENSSL_CONF=$(openssl_conf on on) openssl s_client -connect 127.0.0.1:4433 -tls1_2 -quiet -ign_eof \
				-cipher "$suite" $([ $how = ticket ] || echo -no_ticket) \
				$([ $turn = full ] && echo -sess_out || echo -sess_in) "$WORK/session.$n" <"$WORK/in" >"$WORK/out" 2>/dev/null
			expect "$turn by $how $suite" 1.2 "$suite" on on no "$WORK/in" "$WORK/out"
			[ $turn = again ] || openssl sess_id -in "$WORK/session.$n" -noout -text |
				sed -n 's/ *Master-Key: *//p' >> "$WORK/secrets"
		done; done
		capture_stop
		cp "$WORK/expect.jsonl" "$WORK/$turn.jsonl"
	done
	jq -c '.secret = "session-store" | .resumed = if .name | test("by ticket") then "ticket" else "id" end' \
		"$WORK/again.jsonl" > "$WORK/e" && mv "$WORK/e" "$WORK/again.jsonl"
	jq -c '.verdict = "opaque" | .reason = .resumed + "-unknown" | {name, resumed, verdict,
		reason: (.reason | sub("^id"; "session"))}' "$WORK/again.jsonl" > "$WORK/closed.jsonl"

	sensor none -r "$WORK/again.pcap"
	same "$WORK/closed.jsonl" none "what nobody has seen stays closed"
	sensor one -r "$WORK/full.pcap" -k "$KEYS/server.pem"
	same "$WORK/full.jsonl" one "the first sensor opens the full handshakes"
	want "interop store: every name was stored" grep -q '8 names stored$' "$WORK/one.log"
	sensor two -r "$WORK/again.pcap"
	same "$WORK/again.jsonl" two "the second opens what resumes them, by ticket and by id"
	n=0
	for port in 11211 11212; do
		i=$(in_memory "${PIDS[memcached.$port]}")
		want "interop store: memcached holds no secret in clear" test "$i" = 0
		i=$(printf 'stats\r\nquit\r\n' | timeout 5 bash -c "exec 3<>/dev/tcp/127.0.0.1/$port; cat >&3; cat <&3" |
			sed -n 's/.* cmd_set \([0-9]*\).*/\1/p')
		n=$((n + i))
		# how names fall is chance: the one that has most is to be killed
		if [ "$i" -ge 4 ]; then dead=$port; else alive=$port; fi
	done
	[ "$alive" != "$dead" ] || alive=$((11211 + 11212 - dead))
	want "interop store: each name is on one server" test "$n" = 8
	openssl rand -hex 32 > "$WORK/other.key"
	mv "$WORK/cluster.key" "$WORK/right.key"; cp "$WORK/other.key" "$WORK/cluster.key"
	sensor foreign -r "$WORK/again.pcap"
	same "$WORK/closed.jsonl" foreign "another cluster key finds nothing"
	cp "$WORK/right.key" "$WORK/cluster.key"

	stop memcached.$dead -KILL
	sensor one -r "$WORK/full.pcap" -k "$KEYS/server.pem"
	same "$WORK/full.jsonl" one "with a server killed the first sensor goes on"
	want "interop store: … and stores every name" grep -q '8 names stored' "$WORK/one.log"
	grep -q "session store: 127.0.0.1:$dead" "$WORK/one.log" || cat "$WORK/one.log"
	want "interop store: one line says which server" test "$(grep -c "session store: 127.0.0.1:$dead" "$WORK/one.log")" = 1
	sensor two -r "$WORK/again.pcap"
	same "$WORK/again.jsonl" two "with a server killed the other has it all"

	# A server that hangs: nothing but those sessions suffers, and not for long.
	kill -STOP "${PIDS[memcached.$alive]}"
	begin=$(date +%s%N) patience=100
	sensor two -r "$WORK/again.pcap"
	want "interop store: a server that hangs: limpid ends well" test $? = 0
	want "interop store: … and soon" test $((($(date +%s%N) - begin) / 1000000)) -lt 8000
	same "$WORK/closed.jsonl" two "a server that hangs: those sessions stay closed"
	kill -CONT "${PIDS[memcached.$alive]}"
	patience=1000
	sensor two -r "$WORK/again.pcap"
	same "$WORK/again.jsonl" two "it answers again"
	[ "$LEVEL" = short ] || store_lifetime
	servers_stop
}
# No secret of a session is left in any process when its lifetime is over.
store_lifetime() {
	local pid i n=0 p

	mkfifo "$WORK/pipe"
	"$LIMPID" -r "$WORK/pipe" -k "$KEYS/server.pem" --session-lifetime 4 -o "files:$WORK/life" \
		--session-store "memcached://127.0.0.1:$alive" --session-store-key "$WORK/cluster.key" >"$WORK/life.log" 2>&1 &
	pid=$!
	exec 7<> "$WORK/pipe"
	cat "$WORK/full.pcap" >&7
	for i in $(seq 150); do
		[ "$(lines "$WORK/life/index.jsonl")" -ge 8 ] && break
		sleep 0.02
	done
	want "interop store: while they live, secrets are in the engine" test "$(in_memory $pid)" = 8
	sleep 5.5
	for p in $pid $(pgrep -P $pid); do n=$((n + $(in_memory "$p"))); done
	want "interop store: after their lifetime no process has one" test $n = 0
	exec 7>&-
	wait $pid
	want "interop store: limpid ended well" test $? = 0
}
t_live() {
	local sig pid i diff

	link
	for sig in INT TERM; do
		rm -rf "$WORK/live"
		: > "$WORK/expect.jsonl"
		far true
		nsenter -t "$FAR" --net "$LIMPID" -i veth2 -k "$KEYS/server.pem" -o "files:$WORK/live" "tcp port ${PORT[openssl.]:-4433}" \
			>"$WORK/live.log" 2>"$WORK/live.err" &
		pid=$!
		for i in $(seq 250); do
			[ "$(far cat /proc/net/packet | wc -l)" -gt 1 ] && [ -e "$WORK/live" ] && break
			sleep 0.02
		done
		# The client side must be over there: the link is what limpid listens to.
		server openssl
		for i in 1 2 3; do
			payload_text $((i * 3000)) > "$WORK/in"; echo CLOSE >> "$WORK/in"
			OPENSSL_CONF=$(openssl_conf on on) nsenter -t "$FAR" --net openssl s_client -connect 10.9.0.1:4433 -tls1_2 -quiet -ign_eof \
				-cipher AES128-GCM-SHA256 <"$WORK/in" >"$WORK/out" 2>/dev/null
			expect "live $i" 1.2 AES128-GCM-SHA256 on off no "$WORK/in" "$WORK/out"
		done
		sleep 1.5
		kill -$sig $pid
		for i in $(seq 250); do kill -0 $pid 2>/dev/null || break; sleep 0.02; done
		kill -0 $pid 2>/dev/null && { fail "interop live: SIG$sig does not end it"; kill -KILL $pid; }
		wait $pid
		want "interop live: SIG$sig ends it with status 0" test $? = 0
		diff=$(compare "$WORK/expect.jsonl" "$WORK/live" set 2>&1)
		[ -z "$diff" ] || { echo "$diff" | head -n 6; head -n 5 "$WORK/live.err"; }
		want "interop live: what was sent came out (SIG$sig)" test -z "$diff"
		want "interop live: the summary counts the kernel's drops (SIG$sig)" \
			grep -qiE 'kernel' "$WORK/live.log" "$WORK/live.err"
	done
	servers_stop
}

# Several workers on a device, whoever shares the packets out: what was sent comes out, the sums
# hold, and where the kernel does not keep connections together that is said, once.
t_fanout() {
	local how kind n=60

	[ "$LEVEL" = short ] || n=1000
	link
	ip link set veth1 mtu 65535 && far ip link set veth2 mtu 65535 || fail "interop fanout: no large frames"
	server nginx
	for how in user kernel; do
		fanout_many "plain, $how" 10.9.0.1 $n --workers 3 --fanout $how
		for kind in vlan $([ "$LEVEL" = short ] || echo qinq gre vxlan mpls gtp erspan-2); do
			fanout_wrapped "$kind, $how" $kind --workers 3 --fanout $how
		done
		want "interop fanout: $how: no advice without need" test ! -s "$WORK/said"
		fanout_turns $how
		fanout_drops $how
		[ "$LEVEL" = short ] || fanout_gate $how
	done
	if ip link add name t1 type vxlan id 5 dstport 4789 local 10.9.0.1 remote 10.9.0.2 2>"$WORK/log"; then
		far ip link add name t2 type vxlan id 5 dstport 4789 local 10.9.0.2 remote 10.9.0.1
		ip addr add 10.8.0.1/24 dev t1 && ip link set t1 up
		far ip addr add 10.8.0.2/24 dev t2 && far ip link set t2 up
		fanout_many "VXLAN, user" 10.8.0.1 $n --workers 3 --fanout user
		want "interop fanout: user: no advice without need" test ! -s "$WORK/said"
		: > "$WORK/expect.jsonl"
		fanout_run split "far $HELPERS/many 10.8.0.1 ${PORT[nginx.]} 100 8" 0 --workers 4 --fanout kernel
		want "interop fanout: VXLAN, kernel: the remedy is said, once" test "$(lines "$WORK/said")" = 1
		want "interop fanout: VXLAN, kernel: sides without the other are counted" \
			sh -c "tail -n 1 '$WORK/json' | jq -e '.stats.flow | .one_sided > 50 and .one_sided <= .opened' >/dev/null"
	else
		echo "  fanout: this kernel makes no VXLAN: $(head -n 1 "$WORK/log")"
	fi
	servers_stop
}
# fanout_run NAME COMMAND SESSIONS ARGUMENTS...: limpid listens at the far end while the command
# runs and until it has told of as many sessions; what it opened is in $WORK/live.
fanout_run() {
	local name="interop fanout: $1" command=$2 n=$3 pid i

	shift 3
	rm -rf "$WORK/live" "$WORK/json"
	nsenter -t "$FAR" --net "$LIMPID" -i veth2 -k "$KEYS/server.pem" -B 16384 -o "files:$WORK/live" -o "json:$WORK/json,stats=on" "$@" \
		>"$WORK/live.log" 2>"$WORK/live.err" &
	pid=$!
	for i in $(seq 250); do
		[ "$(far cat /proc/net/packet | wc -l)" -gt 1 ] && [ -e "$WORK/live/index.jsonl" ] && break
		sleep 0.02
	done
	sleep 0.1 # with several handles the packets count from when all are there
	$command > "$WORK/sent" || fail "$name: nothing to listen to"
	for i in $(seq 250); do [ "$(lines "$WORK/live/index.jsonl")" -ge "$n" ] && break; sleep 0.02; done
	kill -INT $pid
	for i in $(seq 250); do kill -0 $pid 2>/dev/null || break; sleep 0.02; done
	kill -0 $pid 2>/dev/null && { fail "$name: SIGINT does not end it"; kill -KILL $pid; }
	wait $pid
	want "$name: ends with status 0" test $? = 0
	grep -e '--fanout user' "$WORK/live.err" > "$WORK/said"
	want "$name: each packet was counted once" \
		sh -c "tail -n 1 '$WORK/json' | jq -e '.stats | .read > 0 and .read == .packets.processed + (.drop | add)' >/dev/null"
}
# What the kernel could not keep is counted, once, whoever shares out: while limpid stands still
# more comes than the buffers hold. A few packets of the link itself may come, too.
fanout_drops() { # HOW
	local name="interop fanout: $1" pid sent told

	nsenter -t "$FAR" --net "$LIMPID" -q -i veth2 -B 512 -s 200 -o "json:$WORK/drops,stats=on" --workers 3 --fanout "$1" tcp 2>"$WORK/live.err" &
	pid=$!
	for _ in $(seq 250); do [ "$(far cat /proc/net/packet | wc -l)" -gt 1 ] && break; sleep 0.02; done
	sleep 0.2
	kill -STOP $pid
	sent=$("$HELPERS/inject" veth1 captures/openssl-tls12.pcap 20)
	kill -CONT $pid
	sleep 0.5
	kill -INT $pid
	wait $pid
	told=$(tail -n 1 "$WORK/drops" | jq '.stats | "\(.read) \(.capture.kernel_drop)"' -r)
	want "$name: packets read and lost are those that were sent ($told, $sent)" \
		test "${told#* }" -gt 0 -a $((${told% *} + ${told#* })) = "$sent"
}
# An output that stands still stops the workers, who wait without turning in circles.
fanout_gate() { # HOW
	local name="interop fanout: $1" pid f spent

	[ -e "$WORK/gate.so" ] || ${CC:-cc} -std=c11 -D_GNU_SOURCE -Iinclude -shared -fPIC -o "$WORK/gate.so" tests/unit/gate.c
	[ -e "$WORK/fifo" ] || mkfifo "$WORK/fifo"
	nsenter -t "$FAR" --net "$LIMPID" -q -i veth2 -k "$KEYS/server.pem" -o "$WORK/gate.so:$WORK/fifo" --workers 3 --fanout "$1" 2>"$WORK/live.err" &
	pid=$!
	for _ in $(seq 250); do [ "$(far cat /proc/net/packet | wc -l)" -gt 1 ] && break; sleep 0.02; done
	sleep 0.2
	for f in captures/*.pcap; do "$HELPERS/inject" veth1 "$f" >/dev/null 2>&1; done
	sleep 0.5
	spent=$(awk '{ print -$14 - $15 }' /proc/$pid/stat)
	sleep 1
	spent=$(awk -v before="$spent" '{ print $14 + $15 + before }' /proc/$pid/stat)
	want "$name: workers that wait for an output cost nothing ($spent ticks)" test "$spent" -lt 20
	kill -INT $pid
	echo > "$WORK/fifo"
	wait $pid
	want "$name: … and go on with it" test $? = 0
}
fanout_turns() { # HOW: every thread gives up root; a log that is moved away begins anew
	local name="interop fanout: $1" d=$WORK/turns pid

	rm -rf "$d"
	mkdir "$d" && chmod 755 "$WORK" && chown nobody "$d"
	await() { for _ in $(seq 250); do "$@" && return; sleep 0.02; done; return 1; }
	has() { [ "$(lines "$1")" -ge "$2" ]; }
	deaf() { [ "$(far cat /proc/net/packet | wc -l)" -le 1 ]; }
	hears() { ! deaf && [ -e "$d/json" ]; }
	nsenter -t "$FAR" --net "$LIMPID" -q -i veth2 -k "$KEYS/server.pem" -Z nobody -o "json:$d/json" --workers 3 --fanout "$1" 2>"$WORK/live.err" &
	pid=$!
	await hears
	sleep 0.1
	far "$HELPERS/many" 10.9.0.1 "${PORT[nginx.]}" 10 4 >/dev/null
	want "$name: sessions are told of while it runs" await has "$d/json" 10
	want "$name: no thread is root any more" \
		test "$(awk '/^Uid:/ { print $2, $3, $4 }' /proc/$pid/task/*/status | sort -u)" = \
		"$(id -u nobody) $(id -u nobody) $(id -u nobody)"
	mv "$d/json" "$d/json.1"
	kill -HUP $pid
	want "$name: SIGHUP opens the log anew" await test -e "$d/json"
	far "$HELPERS/many" 10.9.0.1 "${PORT[nginx.]}" 10 4 >/dev/null
	want "$name: what comes then is there" await has "$d/json" 10
	kill -TERM $pid
	want "$name: SIGTERM ends it" await deaf
	wait $pid
	want "$name: … with status 0" test $? = 0
	want "$name: nothing twice, nothing lost" test "$(lines "$d/json.1") $(lines "$d/json")" = "10 10"
}
fanout_many() { # NAME ADDRESS CONNECTIONS ARGUMENTS...: many at once, held against what each side sent
	local name=$1 diff addr=$2 n=$3

	shift 3
	fanout_run "$name" "far $HELPERS/many $addr ${PORT[nginx.]} $n 8" "$n" "$@"
	diff=$(compare "$WORK/sent" "$WORK/live" set 2>&1)
	[ -z "$diff" ] || { echo "$diff" | head -n 6; head -n 5 "$WORK/live.err"; tail -n 12 "$WORK/live.log"; }
	want "interop fanout: $name: what was sent came out" test -z "$diff"
}
fanout_wrapped() { # NAME KIND ARGUMENTS...: a capture in a tunnel, held against what a replay gives
	local name=$1 kind=$2

	shift 2
	"$HELPERS/wrap" captures/openssl-tls12.pcap "$WORK/wrapped" "$kind"
	rm -rf "$WORK/replay"
	"$LIMPID" -q -r "$WORK/wrapped" -k "$KEYS/server.pem" -o "files:$WORK/replay" 2>"$WORK/log"
	fanout_run "$name" "$HELPERS/inject veth1 $WORK/wrapped" "$(lines "$WORK/replay/index.jsonl")" "$@"
	hashes() { (cd "$1" && cat ./*_client.bin | wc -c && sha256sum ./*.bin | cut -c 1-64 | sort); }
	want "interop fanout: $name: what a replay gives" test "$(hashes "$WORK/live")" = "$(hashes "$WORK/replay")"
}

# Live, with outputs on a disk that fills up and has room again: they lose what came
# meanwhile and nothing else, say so, and another output loses nothing at all.
t_outage() {
	local pid i d=$WORK/small

	link
	mkdir "$d"
	mount -t tmpfs -o size=128k none "$d" || { fail "interop outage: no tmpfs"; return; }
	server openssl
	nsenter -t "$FAR" --net "$LIMPID" -q -i veth2 -k "$KEYS/server.pem" -o "json:$d/json" -w "$d/pcap" -o "files:$d/files" \
		-o "json:$WORK/whole" "tcp port 4433" >"$WORK/live.log" 2>"$WORK/live.err" &
	pid=$!
	for i in $(seq 250); do
		[ "$(far cat /proc/net/packet | wc -l)" -gt 1 ] && [ -e "$WORK/whole" ] && break
		sleep 0.02
	done
	for i in 1 2 3 4 5 6 7; do # the disk is full for 2 to 6; what is stopped is tried again after five seconds, looked at once a second
		[ $i != 2 ] || { sleep 1; cat /dev/zero > "$d/ballast" 2>/dev/null; }
		[ $i != 7 ] || { rm "$d/ballast"; sleep 8; }
		{ echo "this is session $i"; payload_text 6000; echo CLOSE; } > "$WORK/in.$i"
		OPENSSL_CONF=$(openssl_conf on on) nsenter -t "$FAR" --net openssl s_client -connect 10.9.0.1:4433 -tls1_2 -quiet \
			-ign_eof -servername "session$i" -cipher AES128-GCM-SHA256 <"$WORK/in.$i" >"$WORK/out" 2>/dev/null
		for _ in $(seq 250); do [ "$(lines "$WORK/whole")" -ge $i ] && break; sleep 0.02; done
	done
	sleep 1
	kill -INT $pid
	for i in $(seq 250); do kill -0 $pid 2>/dev/null || break; sleep 0.02; done
	wait $pid
	want "interop outage: status 1 in the end" test $? = 1
	names() { jq -r .tls.sni "$1" 2>&1 | tr '\n' ' '; }
	gone() { # WHAT NAMES: the first and the last are there, some between are not
		case $2 in
		*"session2 session3 session4 session5 session6"*) fail "interop outage: $1: '$2'" ;;
		"session1 "*"session7 ") pass "interop outage: $1" ;;
		*) fail "interop outage: $1: '$2'" ;;
		esac
	}
	want "interop outage: the other output has all" test "$(names "$WORK/whole")" = "$(printf 'session%s ' 1 2 3 4 5 6 7)"
	gone "json goes on" "$(names "$d/json")"
	gone "files go on" "$(names "$d/files/index.jsonl")"
	for i in 1 7; do
		want "interop outage: the file of session $i is whole" cmp -s "$WORK/in.$i" "$d/files/00000${i}_client.bin"
	done
	tcpdump -nn -A -r "$d/pcap" >"$WORK/dump" 2>"$WORK/dump.err"
	want "interop outage: the capture is one" test $? = 0 -a -z "$(grep -i truncated "$WORK/dump.err")"
	gone "the capture goes on" "$(grep -o 'this is session [0-9]' "$WORK/dump" | sed 's/this is session /session/' | tr '\n' ' ')"
	for i in json pcap files; do
		want "interop outage: $i says that its disk is full" grep -q "small/$i.*No space left" "$WORK/live.err"
		want "interop outage: $i says what was lost" grep -q "small/$i.* lost" "$WORK/live.err"
	done
	umount "$d"
	servers_stop
}

# A key log that grows while limpid listens: a line that is there at once, one that comes
# a little late, one that comes too late, and one in the file that replaces the first.
t_keylog() {
	local pid i diff log=$WORK/keys.log

	link
	: > "$WORK/expect.jsonl"
	umask 077
	nsenter -t "$FAR" --net "$LIMPID" -i veth2 -l "$log" -o "files:$WORK/live" "tcp port 4433" \
		>"$WORK/live.log" 2>"$WORK/live.err" &
	pid=$!
	for i in $(seq 250); do
		[ "$(far cat /proc/net/packet | wc -l)" -gt 1 ] && [ -e "$WORK/live" ] && break
		sleep 0.02
	done
	server openssl
	keyed() { # file for the secret, name, seconds for which the connection stays open
		payload_text 3000 > "$WORK/in"
		{ cat "$WORK/in"; sleep "$3"; echo CLOSE; } | OPENSSL_CONF=$(openssl_conf on on) nsenter -t "$FAR" --net \
			openssl s_client -connect 10.9.0.1:4433 -tls1_2 -quiet -ign_eof -cipher ECDHE-RSA-AES128-GCM-SHA256 \
			-keylogfile "$1" >"$WORK/out" 2>/dev/null
		echo CLOSE >> "$WORK/in"
		expect "key log: $2" 1.2 ECDHE-RSA-AES128-GCM-SHA256 on off no "$WORK/in" "$WORK/out"
	}
	ended() { for i in $(seq 300); do [ "$(lines "$WORK/live/index.jsonl")" -ge "$1" ] && return; sleep 0.02; done; }
	keyed "$log" "a line in time" 0
	ended 1
	keyed "$WORK/late" "a line 0.8 s late" 0
	sleep 0.8; cat "$WORK/late" >> "$log"
	ended 2
	rm -f "$WORK/later"
	{
		for i in $(seq 500); do [ -s "$WORK/later" ] && break; sleep 0.02; done
		sleep 3
		cat "$WORK/later" >> "$log"
	} & # counted from the handshake, whenever the client gets to it
	keyed "$WORK/later" "a line too late" 5
	jq -c 'if .name | test("too late") then {name, version, suite, ems, verdict: "opaque", reason: "forward-secret",
		notes: ["key-too-late"]} else .secret = "key-log" end' "$WORK/expect.jsonl" > "$WORK/e" && mv "$WORK/e" "$WORK/expect.jsonl"
	ended 3
	mv "$log" "$log.1"
	keyed "$log" "a new file" 0
	ended 4
	kill -INT $pid
	for i in $(seq 250); do kill -0 $pid 2>/dev/null || break; sleep 0.02; done
	wait $pid
	want "interop keylog: ends with status 0" test $? = 0
	diff=$(compare "$WORK/expect.jsonl" "$WORK/live" 2>&1)
	[ -z "$diff" ] || { echo "$diff" | head -n 8; head -n 5 "$WORK/live.err"; }
	want "interop keylog: lines in time open, the others are told apart" test -z "$diff"
	servers_stop
}

# What Suricata 7 and tshark say of the sample captures' sessions, limpid says too, to the letter.
t_metadata() {
	local c bad n d="$WORK/meta"

	if ! command -v suricata >/dev/null || ! suricata -V 2>/dev/null | grep -qE 'version [7-9]' || ! command -v tshark >/dev/null; then
		skip "interop metadata: no Suricata 7 or no tshark here"
		return
	fi
	for c in captures/*.pcap; do
		case $c in *truncated* | *renegotiation* | *lost* | */gap-*) continue ;; esac
		rm -rf "$d"
		mkdir "$d"
		suricata -c /etc/suricata/suricata.yaml -k none -S /dev/null -r "$c" -l "$d" \
			--set app-layer.protocols.tls.ja3-fingerprints=yes >"$d/log" 2>&1 ||
			tail -n 5 "$d/log"
		"$LIMPID" -q -r "$c" -k "$KEYS/server.pem" -o "json:$d/json" >"$d/log" 2>&1 || tail -n 5 "$d/log"
		# It tells of a session more than once: the last time it knows most.
		bad=$(jq -rn --slurpfile theirs "$d/eve.json" --slurpfile ours "$d/json" '
			($ours | INDEX(.src_port)) as $by | [$theirs[] | select(.event_type == "tls")] | group_by(.src_port)[] | last |
			. as $t | $by["\($t.src_port)"] as $o |
			if $o == null then "\($t.src_port): no such session" else
			# The last handshake describes a session here, the first one there.
			($t.tls | del(.from_proto, .client) | to_entries[]) as $f | $o.tls[$f.key] as $mine |
			# What nobody answered has no version; without a certificate it takes a
			# session for a resumed one.
			select($f.value != $mine and $o.limpid.renegotiations == 0) |
			select($mine != null or ($f.key != "version" and $f.key != "session_resumed")) |
			"\($t.src_port): \($f.key) \($mine | tojson), Suricata says \($f.value | tojson)" end' 2>&1)
		n=$(jq -s '[.[] | select(.event_type == "tls")] | length' "$d/eve.json")
		if [ -z "$bad" ]; then pass "interop metadata: $c as Suricata ($n sessions)"; else
			echo "$bad" | head -n 5
			fail "interop metadata: $c as Suricata"
		fi
		tshark -o tcp.check_checksum:FALSE -r "$c" -Y 'tls.handshake.type == 1 || tls.handshake.type == 2' -T fields -E separator='|' \
			--enable-protocol communityid -e communityid -e tcp.srcport -e tcp.dstport -e tls.handshake.type -e tls.handshake.ja3 -e tls.handshake.ja3s -e tls.handshake.extensions_server_name \
			2>/dev/null >"$d/shark"
		bad=$(jq -rn --rawfile shark "$d/shark" --slurpfile ours "$d/json" '
			($ours | INDEX(.src_port)) as $by | $shark | split("\n")[] | select(. != "") | split("|") |
			.[0] as $id | .[1:] | (.[2] | startswith("1")) as $client | (if $client then .[0] else .[1] end) as $port |
			$by[$port] as $o | select($o != null and $o.limpid.renegotiations == 0) |
			(select($id != $o.community_id) | "\($port): community_id \($o.community_id), tshark says \($id)"),
			if $client then
				(select(.[3] != "" and .[3] != $o.tls.ja3.hash) | "\($port): ja3 \($o.tls.ja3), tshark says \(.[3])"),
				(select(.[5] != ($o.tls.sni // "")) | "\($port): sni \($o.tls.sni), tshark says \(.[5])")
			else select(.[4] != "" and .[4] != $o.tls.ja3s.hash) | "\($port): ja3s \($o.tls.ja3s), tshark says \(.[4])" end' 2>&1)
		if [ -z "$bad" ]; then pass "interop metadata: $c as tshark"; else
			echo "$bad" | head -n 5
			fail "interop metadata: $c as tshark"
		fi
	done
}

# The IDS feed: Suricata finds in limpid's -w capture what it finds in the clear.
t_suricata() {
	local v x host d="$WORK/nginx./html"

	if ! command -v suricata >/dev/null || ! suricata -V 2>/dev/null | grep -qE 'version [7-9]'; then
		skip "interop suricata: no Suricata 7 here"
		return
	fi
	cat > "$WORK/rules" <<-'R'
		alert http any any -> any any (msg:"uri"; http.uri; content:"/forbidden/place"; sid:1; rev:1;)
		alert http any any -> any any (msg:"body"; flow:established,to_client; file.data; content:"needle in the answer"; sid:2; rev:1;)
	R
	server nginx
	mkdir -p "$d/forbidden"
	{ head -c 20000 /dev/urandom | base64; echo "a needle in the answer"; head -c 20000 /dev/urandom | base64; } > "$d/forbidden/place.txt"
	for v in 4 6; do
		host=127.0.0.1
		[ $v = 4 ] || host='[::1]'
		capture_start "$WORK/tls.pcap" || { fail "interop suricata: no capture"; return; }
		curl -sgk --tls-max 1.2 --ciphers AES256-SHA -o "$WORK/got" "https://$host:8443/forbidden/place.txt"
		capture_stop
		want "interop suricata: the page came (IPv$v)" cmp -s "$WORK/got" "$d/forbidden/place.txt"
		capture_start "$WORK/clear.pcap"
		curl -sg -o "$WORK/got" "http://$host:9443/forbidden/place.txt"
		capture_stop
		if ! "$LIMPID" -q -r "$WORK/tls.pcap" -k "$KEYS/server.pem" -w "$WORK/opened.pcap" >"$WORK/log" 2>&1; then
			tail -n 5 "$WORK/log"
			fail "interop suricata: limpid -w failed"
			return
		fi
		for x in tls clear opened; do
			mkdir -p "$WORK/s$v.$x"
			# On loopback checksums are left to hardware that is not there; limpid's are right.
			suricata -c /etc/suricata/suricata.yaml -k $([ $x = opened ] && echo all || echo none) -S "$WORK/rules" -r "$WORK/$x.pcap" -l "$WORK/s$v.$x" >"$WORK/s.log" 2>&1 ||
				tail -n 5 "$WORK/s.log"
			jq -c 'select(.event_type == "alert") | [.alert.signature_id, .src_ip, .dest_ip, .app_proto, .http.url, .http.status]' \
				"$WORK/s$v.$x/eve.json" 2>/dev/null | sort > "$WORK/alerts.$x"
			cp "$WORK/s$v.$x/eve.json" "$WORK/eve.$x" 2>/dev/null
		done
		want "interop suricata: no alert on what is encrypted (IPv$v)" test ! -s "$WORK/alerts.tls"
		want "interop suricata: both rules fire in the clear (IPv$v)" test "$(cut -c2 "$WORK/alerts.clear" | sort -u | tr -d '\n')" = 12
		if cmp -s "$WORK/alerts.clear" "$WORK/alerts.opened"; then
			pass "interop suricata: the same alerts on limpid's capture (IPv$v)"
		else
			diff "$WORK/alerts.clear" "$WORK/alerts.opened" | head -n 6
			fail "interop suricata: the same alerts on limpid's capture (IPv$v)"
		fi
		want "interop suricata: it finds no fault in limpid's packets (IPv$v)" \
			test -z "$(jq -r 'select(.event_type == "anomaly") | .anomaly.event' "$WORK/eve.opened" 2>/dev/null)"
	done
	servers_stop
}

# Tunnels as the kernel makes them, as far as this one can.
t_tunnels() {
	local kind type n=0 i diff made=0 a="local 10.9.0.1 remote 10.9.0.2" b="local 10.9.0.2 remote 10.9.0.1"
	local kinds="vxlan geneve" more="vlan gre gretap erspan erspan2 ipip sit gre-key"

	[ "$LEVEL" = short ] || kinds="$kinds $more"
	link
	for kind in $kinds; do
		case $kind in
		vxlan) type="vxlan id 5 dstport 4789" ;;
		geneve) type="geneve id 7" a="remote 10.9.0.2" b="remote 10.9.0.1" ;;
		vlan) type="vlan id 9" a= b= ;;
		erspan) type="erspan seq key 5 erspan_ver 1 erspan 4" ;;
		erspan2) type="erspan seq key 6 erspan_ver 2 erspan_dir ingress erspan_hwid 7" ;;
		gre-key) type="gre seq csum key 77" ;;
		*) type=$kind ;;
		esac
		[ "$kind" = geneve ] || [ "$kind" = vlan ] || { a="local 10.9.0.1 remote 10.9.0.2"; b="local 10.9.0.2 remote 10.9.0.1"; }
		if ! ip link add $([ $kind != vlan ] || echo link veth1) name t1 type $type $a 2>"$WORK/log"; then
			echo "  tunnels: this kernel makes no $kind: $(head -n 1 "$WORK/log")"
			continue
		fi
		far ip link add $([ $kind != vlan ] || echo link veth2) name t2 type $type $b
		ip addr add 10.8.0.1/24 dev t1 && ip link set t1 up
		far ip addr add 10.8.0.2/24 dev t2 && far ip link set t2 up
		: > "$WORK/expect.jsonl"
		rm -rf "$WORK/opened"
		capture_start "$WORK/$kind.pcap" veth1 "ip or ip6 or vlan or" || { fail "interop tunnels: no capture"; return; }
		server openssl
		for i in 1 2; do
			payload_text $((i * 4000)) > "$WORK/in"; echo CLOSE >> "$WORK/in"
			OPENSSL_CONF=$(openssl_conf on on) far openssl s_client -connect 10.8.0.1:4433 -tls1_2 -quiet -ign_eof \
				-cipher AES128-GCM-SHA256 <"$WORK/in" >"$WORK/out" 2>/dev/null
			expect "$kind $i" 1.2 AES128-GCM-SHA256 on off no "$WORK/in" "$WORK/out"
		done
		capture_stop
		"$LIMPID" -q -r "$WORK/$kind.pcap" -k "$KEYS/server.pem" -o "files:$WORK/opened" >"$WORK/log" 2>&1
		diff=$(compare "$WORK/expect.jsonl" "$WORK/opened" 2>&1)
		[ -z "$diff" ] || { echo "$diff" | head -n 6; head -n 5 "$WORK/log"; }
		want "interop tunnels: what was sent through $kind came out" test -z "$diff"
		made=$((made + 1))
		ip link del t1
		far ip link del t2
	done
	servers_stop
	# A kernel without any is no failure of limpid; tests/golden/wire.sh has them all.
	echo "  tunnels: $made kinds made by the kernel"
}

# What a sender may do to fool a listener: the kernel as the receiver says what is right.
t_evasion() {
	local v

	[ -e /dev/net/tun ] || { mkdir -p /dev/net && mknod /dev/net/tun c 10 200; } 2>/dev/null
	for v in 4 6; do
		mkdir "$WORK/IPv$v"
		want "interop evasion: the kernel agrees (IPv$v)" "$HELPERS/evade" kernel "$WORK/IPv$v" $v >"$WORK/log"
		[ ! -s "$WORK/log" ] || cat "$WORK/log"
	done
	EVADE=$HELPERS/evade tests/golden/evasion.sh "$WORK/IPv4" "$WORK/IPv6"
}

if declare -F "t_$1" >/dev/null; then "t_$1"; else fail "interop: no test $1"; fi
exit 0
