# Sourced, inside a network namespace of its own (inside.sh): starts real TLS servers,
# runs real clients against them, captures, and writes down what each side sent.
#
#   $WORK/expect.jsonl gets one line for each session, in the order they were made:
#   name, version, suite, ems, etm, client_cert and both directions' length and
#   SHA-256. The bytes are those the programs wrote and read, limpid is not asked.

KEYS=${KEYS:-keys}
declare -A PIDS PORT

iana() { # OpenSSL's name of a suite -> the registry's
	case $1 in
	TLS_*) echo "$1" ;;
	AES128-SHA) echo TLS_RSA_WITH_AES_128_CBC_SHA ;;
	AES256-SHA) echo TLS_RSA_WITH_AES_256_CBC_SHA ;;
	AES128-SHA256) echo TLS_RSA_WITH_AES_128_CBC_SHA256 ;;
	AES256-SHA256) echo TLS_RSA_WITH_AES_256_CBC_SHA256 ;;
	AES128-GCM-SHA256) echo TLS_RSA_WITH_AES_128_GCM_SHA256 ;;
	AES256-GCM-SHA384) echo TLS_RSA_WITH_AES_256_GCM_SHA384 ;;
	*) openssl ciphers -stdname "$1:@SECLEVEL=0" 2>/dev/null | awk -v n="$1" '$3 == n { name = $1 } END { print name ? name : n }' ;;
	esac
}
suites_of() { # those of a version (1.0, 1.1, 1.2) with RSA key exchange
	echo AES128-SHA AES256-SHA
	[ "$1" != 1.2 ] || echo AES128-SHA256 AES256-SHA256 AES128-GCM-SHA256 AES256-GCM-SHA384
}
# VERSION:SUITE, the lowest version that has it; RSA key exchange, no AES-CBC and AES-GCM.
suites_openssl() {
	echo 1.0:CAMELLIA128-SHA 1.0:CAMELLIA256-SHA 1.2:CAMELLIA128-SHA256 1.2:CAMELLIA256-SHA256 \
		1.2:ARIA128-GCM-SHA256 1.2:ARIA256-GCM-SHA384 1.2:AES128-CCM 1.2:AES256-CCM 1.2:AES128-CCM8 1.2:AES256-CCM8 \
		1.0:NULL-MD5 1.0:NULL-SHA 1.2:NULL-SHA256
}
suites_gnutls() {
	echo 1.0:TLS_RSA_WITH_3DES_EDE_CBC_SHA 1.0:TLS_RSA_WITH_RC4_128_SHA 1.0:TLS_RSA_WITH_RC4_128_MD5 \
		1.2:TLS_RSA_WITH_CAMELLIA_128_GCM_SHA256 1.2:TLS_RSA_WITH_CAMELLIA_256_GCM_SHA384 1.2:AES128-CCM 1.2:AES256-CCM8
}
suites_java() {
	local s

	for s in RC4_128_MD5 RC4_128_SHA 3DES_EDE_CBC_SHA AES_128_CBC_SHA AES_256_CBC_SHA NULL_MD5 NULL_SHA DES_CBC_SHA; do
		echo "3.0:TLS_RSA_WITH_$s 1.1:TLS_RSA_WITH_$s"
	done
	echo 1.0:TLS_RSA_WITH_DES_CBC_SHA 1.2:TLS_RSA_WITH_NULL_SHA256 1.2:TLS_RSA_WITH_RC4_128_MD5
}
suites_ecdh() { # by the certificate's signature: ECDSA or RSA
	local v

	for v in 1.0 1.1 1.2; do echo $v:TLS_ECDH_$1_WITH_AES_128_CBC_SHA; done
	echo 1.0:TLS_ECDH_$1_WITH_RC4_128_SHA 1.1:TLS_ECDH_$1_WITH_3DES_EDE_CBC_SHA 1.2:TLS_ECDH_$1_WITH_AES_128_CBC_SHA256 \
		1.2:TLS_ECDH_$1_WITH_AES_128_GCM_SHA256 1.2:TLS_ECDH_$1_WITH_AES_256_GCM_SHA384
}
suites_export() { # with a certificate key of 512 bits, so that it is the one in use
	local v

	for v in 3.0 1.0; do echo $v:TLS_RSA_EXPORT_WITH_RC4_40_MD5 $v:TLS_RSA_EXPORT_WITH_DES40_CBC_SHA; done
}
versions_from() { case $1 in 1.0) echo 1.0 1.1 1.2 ;; *) echo "$1" ;; esac; }
is_cbc() { case $1 in *GCM* | *CCM* | *CHACHA* | *NULL* | *RC4*) return 1 ;; esac; }

# OpenSSL 3 needs its security level lowered for TLS 1.0 and 1.1, and has no other
# switch for EMS and EtM.
openssl_conf() { # ems, etm (on or off) -> a file name
	local f="$WORK/openssl-$1-$2.cnf" options=

	[ "$1" = on ] || options="-ExtendedMasterSecret"
	[ "$2" = on ] || options="$options${options:+,}-EncryptThenMac"
	[ -e "$f" ] || cat > "$f" <<-C
		openssl_conf = init
		[init]
		ssl_conf = ssl
		[ssl]
		system_default = defaults
		[defaults]
		MinProtocol = TLSv1
		CipherString = ALL:@SECLEVEL=0
		${options:+Options = $options}
	C
	echo "$f"
}

listening() { # port
	local i

	for i in $(seq 500); do
		[ -n "$(ss -Hltn "sport = :$1")" ] && return 0
		sleep 0.02
	done
	echo "peers: nothing listens on port $1" >&2
	return 1
}
stop() { # name of what was started
	[ -n "${PIDS[$1]:-}" ] || return 0
	kill "${2:--TERM}" "${PIDS[$1]}" 2>/dev/null
	wait "${PIDS[$1]}" 2>/dev/null
	unset "PIDS[$1]"
}

capture_start() { # file, device, more tcpdump arguments
	local file=$1 dev=${2:-lo} i

	shift; shift
	: > "$WORK/tcpdump.log"
	tcpdump -Z root -i "$dev" -U $CAPTURE_FLAGS -B 65536 -w "$file" "$@" tcp 2>"$WORK/tcpdump.log" &
	PIDS[capture]=$!
	for i in $(seq 200); do
		grep -q 'listening on' "$WORK/tcpdump.log" && return 0
		sleep 0.02
	done
	cat "$WORK/tcpdump.log" >&2
	return 1
}
# Without --immediate-mode packets reach tcpdump in blocks, the last after a second;
# with it each takes a slot of the ring as large as the snap length, and a burst is lost.
CAPTURE_FLAGS= CAPTURE_WAIT=1.5
capture_stop() {
	sleep "$CAPTURE_WAIT"
	stop capture -INT
	CAPTURE_DROPS=$(sed -n 's/^\([0-9]*\) packets\? dropped by kernel/\1/p' "$WORK/tcpdump.log")
}

# server KIND [request]: starts one; with "request" it asks for a client certificate.
# ${PORT[KIND.request]} is where it listens.
server() {
	local kind=$1 req=${2:-} name=$1.${2:-} port

	[ -z "${PIDS[$name]:-}" ] || return 0
	case $kind in nss) port=6443 ;; openssl-psk) port=4533 ;; gnutls-psk) port=5656 ;; openssl) port=4433 ;; nginx) port=8443 ;; gnutls) port=5556 ;; java) port=7443 ;; esac
	[ -z "$req" ] || port=$((port + 1))
	PORT[$name]=$port
	case $kind in
	openssl) # sends back each line reversed, until the line CLOSE
		OPENSSL_CONF=$(openssl_conf on on) openssl s_server -accept "$port" -cert "$KEYS/server.crt" \
			-key "$KEYS/server.pem" -rev -quiet -cipher 'ALL:eNULL:@SECLEVEL=0' -no_tls1_3 ${req:+-verify 3} \
			>"$WORK/$name.log" 2>&1 & ;;
	nginx)
		nginx_conf "$name" "$port" "$req"
		OPENSSL_CONF=$(openssl_conf on on) nginx -p "$WORK/$name" -e "$WORK/$name/error.log" \
			-c "$WORK/$name/nginx.conf" >"$WORK/$name.log" 2>&1 & ;;
	gnutls) # an echo
		gnutls-serv -q --echo -p "$port" --x509certfile "$KEYS/server.crt" --x509keyfile "$KEYS/server.pem" \
			$([ -n "$req" ] || echo -a) --priority \
			"NORMAL:-VERS-ALL:+VERS-TLS1.0:+VERS-TLS1.1:+VERS-TLS1.2:-KX-ALL:+RSA:+CIPHER-ALL:+3DES-CBC:+ARCFOUR-128:+CAMELLIA-256-GCM:+CAMELLIA-128-GCM:+CAMELLIA-256-CBC:+CAMELLIA-128-CBC:+AES-128-CCM-8:+AES-256-CCM-8:+NULL:+MAC-ALL:+SHA256:+SHA1:+MD5" \
			>"$WORK/$name.log" 2>&1 & ;;
	openssl-psk)
		OPENSSL_CONF=$(openssl_conf on on) openssl s_server -accept "$port" -cert "$KEYS/server.crt" -key "$KEYS/server.pem" \
			-rev -quiet -cipher 'ALL:eNULL:@SECLEVEL=0' -no_tls1_3 -psk "$PSK" -psk_hint "a hint" >"$WORK/$name.log" 2>&1 & ;;
	gnutls-psk)
		printf '%s\n' "Client_identity:$PSK" "device-0001:$PSK" > "$WORK/psk.passwd"
		gnutls-serv -q --echo -p "$port" --x509certfile "$KEYS/server.crt" --x509keyfile "$KEYS/server.pem" -a \
			--pskpasswd "$WORK/psk.passwd" --pskhint "a hint" --priority \
			"NORMAL:-VERS-ALL:+VERS-TLS1.0:+VERS-TLS1.1:+VERS-TLS1.2:-KX-ALL:+PSK:+RSA-PSK:+DHE-PSK:+ECDHE-PSK:+CIPHER-ALL:+3DES-CBC:+ARCFOUR-128:+AES-128-CCM-8:+AES-256-CCM-8:+CAMELLIA-128-GCM:+CAMELLIA-256-GCM:+CAMELLIA-128-CBC:+CAMELLIA-256-CBC:+NULL:+MAC-ALL:+SHA256:+SHA384:+SHA1:+MD5" \
			>"$WORK/$name.log" 2>&1 & ;;
	nss) # answers a GET with what was asked
		mkdir -p "$WORK/nss"
		certutil -N -d "sql:$WORK/nss" --empty-password
		openssl pkcs12 -export -in "$KEYS/server.crt" -inkey "$KEYS/server.pem" -name server -passout pass: -out "$WORK/nss.p12"
		pk12util -i "$WORK/nss.p12" -d "sql:$WORK/nss" -W '' -K '' >/dev/null
		selfserv -d "sql:$WORK/nss" -n server -p "$port" -V ssl3:tls1.2 -N -c "$(printf ':%s' $(suites_nss | cut -d: -f2))" \
			>"$WORK/$name.log" 2>&1 & ;;
	java) # takes a length and as many bytes, sends them back changed, closes
		java_keys
		java tests/interop/Peer.java server "$port" "$WORK/${SERVER_KEY:-server}.p12" "${req:-none}" >"$WORK/$name.log" 2>&1 & ;;
	esac
	PIDS[$name]=$!
	listening "$port" || { cat "$WORK/$name.log" >&2; return 1; }
}
servers_stop() {
	local name

	for name in "${!PIDS[@]}"; do [ "$name" = capture ] || stop "$name"; done
}

nginx_conf() { # name, port, request
	local d="$WORK/$1"

	mkdir -p "$d/html" "$d/tmp"
	chmod 755 "$WORK" "$d" "$d/html"
	cat > "$d/nginx.conf" <<-C
		daemon off;
		user root;
		worker_processes 1;
		pid $d/pid;
		events { worker_connections 512; }
		http {
			client_body_temp_path $d/tmp; proxy_temp_path $d/tmp; fastcgi_temp_path $d/tmp;
			uwsgi_temp_path $d/tmp; scgi_temp_path $d/tmp;
			access_log off;
			types { text/plain txt; text/html html; }
			default_type application/octet-stream;
			server_tokens off;
			client_max_body_size 0;
			root $d/html;
			error_page 405 =200 \$uri;
			server {
				listen $2 ssl; listen [::]:$2 ssl;
				server_name server.example;
				ssl_certificate $PWD/$KEYS/server.crt;
				ssl_certificate_key $PWD/$KEYS/server.pem;
				ssl_protocols TLSv1 TLSv1.1 TLSv1.2;
				ssl_ciphers ${NGINX_CIPHERS:-kRSA:@SECLEVEL=0};
				ssl_session_cache off;
				${3:+ssl_verify_client optional_no_ca;}
			}
			server { listen $(($2 + 1000)); listen [::]:$(($2 + 1000)); server_name server.example; }
		}
	C
}
java_keys() {
	[ -e "$WORK/server.p12" ] || for k in server client export ec ec-rsa; do
		openssl pkcs12 -export -in "$KEYS/$k.crt" -inkey "$KEYS/${k%-rsa}.pem" -passout pass:changeit -out "$WORK/$k.p12"
	done
}

# payload N: random lines, N bytes or a little more, and never none.
payload_text() { head -c "$(($1 * 3 / 4 + 1))" /dev/urandom | base64 -w "${2:-72}"; }

# Feeds FILE to stdin of a client until OUT is SIZE bytes long: an echo does not say
# when it has done, and a client that sees the end of its input hangs up.
feed() { # file, out, size
	local i

	cat "$1"
	for i in $(seq 500); do
		[ "$(stat -c %s "$2")" -ge "$3" ] && break
		sleep 0.01
	done
}

# TLS_RSA_WITH_CAMELLIA_128_CBC_SHA -> +CAMELLIA-128-CBC:+SHA1
gnutls_cipher() {
	local c=${1#*_WITH_} mac

	case $c in
	*CCM | *CCM_8) mac=AEAD ;;
	*GCM*) mac=AEAD c=${c%_*} ;;
	*_SHA) mac=SHA1 c=${c%_*} ;;
	*) mac=${c##*_} c=${c%_*} ;;
	esac
	case $c in RC4_128) c=ARCFOUR-128 ;; 3DES_EDE_CBC) c=3DES-CBC ;; esac
	echo "+${c//_/-}:+$mac"
}

gnutls_priority() { # version, suite, ems, etm
	local p="NONE:+VERS-TLS$1:+RSA:+COMP-NULL:+SIGN-ALL:%COMPAT"

	p="NONE:+VERS-TLS$1:+RSA:+SIGN-ALL:+COMP-NULL"
	case $2 in
	AES128-SHA) p=$p:+AES-128-CBC:+SHA1 ;;
	AES256-SHA) p=$p:+AES-256-CBC:+SHA1 ;;
	AES128-SHA256) p=$p:+AES-128-CBC:+SHA256 ;;
	AES256-SHA256) p=$p:+AES-256-CBC:+SHA256 ;;
	AES128-GCM-SHA256) p=$p:+AES-128-GCM:+AEAD ;;
	AES256-GCM-SHA384) p=$p:+AES-256-GCM:+AEAD ;;
	*) p=$p:$(gnutls_cipher "$(iana "$2")") ;;
	esac
	[ "$3" = on ] || p=$p:%NO_SESSION_HASH
	[ "$4" = on ] || p=$p:%NO_ETM
	echo "$p"
}

# session SERVER CLIENT VERSION SUITE EMS ETM CERT [SIZE] [HOST]: one session, written to
# expect.jsonl. CERT: no (none asked for), empty (asked for, none sent), yes.
session() {
	local server=$1 client=$2 version=$3 suite=$4 ems=$5 etm=$6 cert=$7 size=${8:-400} host=${9:-127.0.0.1}
	local req= port in="$WORK/in" out="$WORK/out" v n rc
	local name="$server-$client TLS$version $suite ems=$ems etm=$etm cert=$cert"

	[ "$cert" = no ] || req=request
	server "$server" $req || return 1
	port=${PORT[$server.$req]}
	SESSIONS=$((${SESSIONS:-0} + 1))
	: > "$out"
	case $server in
	openssl) { payload_text "$size"; echo CLOSE; } > "$in" ;;
	gnutls) payload_text "$size" > "$in" ;;
	nginx)
		head -c "$size" /dev/urandom > "$WORK/nginx.$req/html/f$SESSIONS"
		head -c "$size" /dev/urandom > "$WORK/body"
		{
			printf 'POST /f%s HTTP/1.1\r\nHost: server.example\r\nConnection: close\r\nContent-Length: %s\r\n\r\n' \
				"$SESSIONS" "$size"
			cat "$WORK/body"
		} > "$in" ;;
	java)
		{ printf "\\x$(printf %02x $((size >> 16)))\\x$(printf %02x $((size >> 8 & 255)))\\x$(printf %02x $((size & 255)))"
			head -c "$size" /dev/urandom; } > "$in" ;;
	esac
	n=$(stat -c %s "$in")
	case $client in
	openssl)
		case $version in 1.0) v=-tls1 ;; 1.1) v=-tls1_1 ;; 1.2) v=-tls1_2 ;; esac
		set -- openssl s_client -connect "$([ "$host" = ::1 ] && echo "[::1]" || echo "$host"):$port" $v -quiet \
			-cipher "$suite:@SECLEVEL=0" -servername server.example
		[ "$cert" != yes ] || set -- "$@" -cert "$KEYS/client.crt" -key "$KEYS/client.pem"
		if [ "$server" = gnutls ]; then
			feed "$in" "$out" "$n" | OPENSSL_CONF=$(openssl_conf $ems $etm) timeout 20 "$@" -no_ign_eof -nocommands >"$out" 2>"$WORK/client.log"
		else
			OPENSSL_CONF=$(openssl_conf $ems $etm) timeout 20 "$@" -ign_eof <"$in" >"$out" 2>"$WORK/client.log"
		fi
		rc=$? ;;
	gnutls)
		set -- gnutls-cli --logfile="$WORK/client.log" --insecure -p "$port" --sni-hostname=server.example \
			--priority "$(gnutls_priority "$version" "$suite" "$ems" "$etm")"
		[ "$cert" != yes ] || set -- "$@" --x509certfile "$KEYS/client.crt" --x509keyfile "$KEYS/client.pem"
		want=$n
		[ "$server" != openssl ] || want=$((n - 6))
		feed "$in" "$out" "$want" | timeout 20 "$@" "$host" >"$out" 2>>"$WORK/client.log"
		rc=$? ;;
	esac
	if [ "$rc" != 0 ] || [ ! -s "$out" ]; then
		echo "peers: $name: client ended with $rc" >&2
		tail -n 5 "$WORK/client.log" >&2
		return 1
	fi
	expect "$name" "$version" "$suite" "$ems" "$etm" "$cert" "$in" "$out"
	[ -z "${KEEP:-}" ] || { cp "$in" "$KEEP.client"; cp "$out" "$KEEP.server"; }
}

# expect NAME VERSION SUITE EMS ETM CERT SENT-BY-CLIENT SENT-BY-SERVER
expect() {
	local etm=$5

	is_cbc "$3" || etm=off
	jq -nc --arg name "$1" --arg version "$(case $2 in 3.0) echo SSLv3 ;; 1.0) echo TLSv1 ;; *) echo "TLS $2" ;; esac)" --arg suite "$(iana "$3")" --argjson ems "$(onoff "$4")" \
		--argjson etm "$(onoff "$etm")" --argjson cert "$([ "$6" = yes ] && echo true || echo false)" \
		--argjson cn "$(stat -c %s "$7")" --argjson sn "$(stat -c %s "$8")" \
		--arg ch "$(sha256sum < "$7" | cut -c1-64)" --arg sh "$(sha256sum < "$8" | cut -c1-64)" \
		'{name: $name, version: $version, suite: $suite, ems: $ems, etm: $etm, client_cert: $cert,
		  verdict: "decrypted", reason: "complete", client_bytes: $cn, server_bytes: $sn,
		  client_sha256: $ch, server_sha256: $sh}' >> "$WORK/expect.jsonl"
}
onoff() { [ "$1" = on ] && echo true || echo false; }

# java_sessions EMS CERT SIZE VERSION:SUITE...: a Java client against the Java server.
java_sessions() {
	local ems=$1 cert=$2 size=$3 req= store=none list= i=0 e v d="$WORK/java"

	shift 3
	[ "$cert" = no ] || req=request
	server java $req || return 1
	java_keys
	[ "$cert" != yes ] || store=$WORK/client.p12
	rm -rf "$d"; mkdir -p "$d"
	for v; do list="$list $(java_version "${v%%:*}"):$(java_suite "${v#*:}")"; done
	java -Djdk.tls.useExtendedMasterSecret="$(onoff "$ems")" -Dpeer.size="$size" -Dpeer.pieces="${PIECES:-1}" tests/interop/Peer.java client \
		"${PORT[java.$req]}" "$store" "$d" $list >"$WORK/client.log" 2>&1 ||
		{ echo "peers: java client failed" >&2; tail -n 5 "$WORK/client.log" >&2; return 1; }
	for v; do
		case $v in *3.0:*) e=off ;; *) e=$ems ;; esac # SSL 3.0 has no extensions
		expect "java-java ${v%%:*} ${v#*:} ems=$ems cert=$cert" "$(java_expect "${v%%:*}")" "${v#*:}" $e off "$cert" "$d/$i.in" "$d/$i.out"
		i=$((i + 1))
	done
}
# 2/1.0 is TLS 1.0 in the form of an SSL 2.0 hello.
java_version() {
	case $1 in
	2/*) echo "SSLv2Hello+$(java_version "${1#*/}")" ;;
	3.0) echo SSLv3 ;;
	1.0) echo TLSv1 ;;
	*) echo "TLSv$1" ;;
	esac
}
java_expect() { echo "${1#*/}"; }
# JSSE knows by their first name what is older than TLS.
java_suite() {
	local s

	s=$(iana "$1")
	case $s in TLS_RSA_WITH_NULL_SHA256 | TLS_ECDH_*) ;; *RC4* | *DES* | *NULL*) s=SSL_${s#TLS_} ;; esac
	echo "$s"
}

# psk_session SERVER CLIENT VERSION SUITE EMS [SIZE]: one with a pre-shared key. Those with
# an ephemeral key beside it are logged in $WORK/keys.
PSK=5d41402abc4b2a76b9719d911017c592
psk_session() {
	local server=$1 client=$2 version=$3 suite ems=$5 size=${6:-400} in="$WORK/in" out="$WORK/out" kx secret v log=/dev/null

	suite=$(iana "$4")
	kx=${suite#TLS_} kx=${kx%%_WITH*}
	case $kx in *DHE*) log=$WORK/keys ;; esac
	server "$server-psk" || return 1
	payload_text "$size" > "$in"
	[ "$server" != openssl ] || echo CLOSE >> "$in"
	: > "$out"
	case $client in
	openssl)
		case $version in 1.0) v=-tls1 ;; 1.1) v=-tls1_1 ;; 1.2) v=-tls1_2 ;; esac
		set -- timeout 20 openssl s_client -connect "127.0.0.1:${PORT[$server-psk.]}" $v -quiet -cipher "$4:@SECLEVEL=0" \
			-psk_identity Client_identity -psk "$PSK" -keylogfile "$log"
		if [ "$server" = gnutls ]; then
			feed "$in" "$out" "$(stat -c %s "$in")" | OPENSSL_CONF=$(openssl_conf $ems on) "$@" -no_ign_eof -nocommands >"$out" 2>"$WORK/client.log"
		else
			OPENSSL_CONF=$(openssl_conf $ems on) "$@" -ign_eof <"$in" >"$out" 2>"$WORK/client.log"
		fi ;;
	gnutls)
		v="NONE:+VERS-TLS$version:+${kx//_/-}:+SIGN-ALL:+GROUP-ALL:+COMP-NULL:$(gnutls_cipher "$suite")"
		[ "$ems" = on ] || v=$v:%NO_SESSION_HASH
		feed "$in" "$out" "$(($(stat -c %s "$in") - $([ "$server" = openssl ] && echo 6 || echo 0)))" |
			timeout 20 gnutls-cli --logfile="$WORK/client.log" --insecure -p "${PORT[$server-psk.]}" \
			--pskusername device-0001 --pskkey "$PSK" --priority "$v" 127.0.0.1 >"$out" 2>>"$WORK/client.log" ;;
	esac
	if [ $? != 0 ] || [ ! -s "$out" ]; then
		echo "peers: $server-$client TLS$version $suite: client failed" >&2
		tail -n 5 "$WORK/client.log" >&2
		return 1
	fi
	expect "$server-$client TLS$version $suite ems=$ems" "$version" "$suite" "$ems" on no "$in" "$out"
	case $kx in
	PSK) secret="psk $KEYS/psk" ;;
	RSA_PSK) secret="rsa-key with psk $KEYS/server.pem" ;;
	*) secret=key-log ;;
	esac
	jq -c --arg s "$secret" --slurp '.[-1].secret = $s | .[]' "$WORK/expect.jsonl" > "$WORK/e" && mv "$WORK/e" "$WORK/expect.jsonl"
}

# VERSION:NUMBER:SUITE
suites_nss() {
	local v

	for v in 3.0 1.0 1.1 1.2; do
		printf '%s\n' $v:0005:TLS_RSA_WITH_RC4_128_SHA $v:0004:TLS_RSA_WITH_RC4_128_MD5 $v:000A:TLS_RSA_WITH_3DES_EDE_CBC_SHA \
			$v:002F:TLS_RSA_WITH_AES_128_CBC_SHA $v:0002:TLS_RSA_WITH_NULL_SHA
		[ $v = 3.0 ] || printf '%s\n' $v:0096:TLS_RSA_WITH_SEED_CBC_SHA $v:0084:TLS_RSA_WITH_CAMELLIA_256_CBC_SHA
	done
	printf '%s\n' 1.2:003D:TLS_RSA_WITH_AES_256_CBC_SHA256 1.2:009C:TLS_RSA_WITH_AES_128_GCM_SHA256 1.2:003B:TLS_RSA_WITH_NULL_SHA256
}
# nss_session VERSION:NUMBER:SUITE
nss_session() {
	local version=${1%%:*} suite=${1##*:} number=${1#*:} ems=on v

	server nss || return 1
	case $version in 3.0) v=ssl3 ems=off ;; *) v=tls$version ;; esac
	printf 'GET /%s HTTP/1.0\r\n\r\n' "$(payload_text 300 0)" > "$WORK/in"
	timeout 20 tstclnt -h 127.0.0.1 -4 -p "${PORT[nss.]}" -d "sql:$WORK/nss" -o -V $v:$v \
		-c ":${number%%:*}" <"$WORK/in" >"$WORK/out" 2>"$WORK/client.log" && [ -s "$WORK/out" ] ||
		{ echo "peers: NSS $1: client failed" >&2; tail -n 5 "$WORK/client.log" >&2; return 1; }
	expect "NSS $1" $version $suite $ems off no "$WORK/in" "$WORK/out"
}

# Sessions that are compressed, full and resumed, by the program of deflate.c.
deflate_sessions() { # program
	local version suite how i=0

	mkdir -p "$WORK/deflate"
	"$1" "$WORK/deflate" "$KEYS/server.crt" "$KEYS/server.pem" > "$WORK/deflate.list" || return 1
	while read -r version suite how; do
		version=${version#TLSv}
		expect "DEFLATE, $version $suite, $how" "$([ "$version" = 1 ] && echo 1.0 || echo "$version")" "$suite" on on no \
			"$WORK/deflate/$i.in" "$WORK/deflate/$i.out"
		i=$((i + 1))
	done < "$WORK/deflate.list"
	[ $i = 12 ]
}

# What curl put on the wire, from its --trace file.
curl_sent() {
	awk '/^[<=>]/ { on = /^=> Send (header|data)/; next } on { for (i = 2; i <= NF && $i ~ /^[0-9a-f][0-9a-f]$/ && i < 18; i++) printf "%s", $i }' "$1" |
		xxd_r
}
curl_received() {
	awk '/^[<=>]/ { on = /^<= Recv (header|data)/; next } on { for (i = 2; i <= NF && $i ~ /^[0-9a-f][0-9a-f]$/ && i < 18; i++) printf "%s", $i }' "$1" |
		xxd_r
}
xxd_r() { local h; h=$(cat); printf '%b' "$(printf '%s' "$h" | sed 's/../\\x&/g')"; }
