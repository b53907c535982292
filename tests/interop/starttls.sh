# Sourced after peers.sh: TLS behind a clear prelude, by real servers and clients.
#
# A client reaches its server through a relay (relay.c), which writes down what was said
# in clear; the capture is of what passes between relay and server. Each session adds a
# line to $WORK/expect.jsonl. Where both programs' bytes are known, it says all there is
# to say; where they speak for themselves, $WORK/has.N.client and .server hold a line
# that has to be among what they said.

RELAY=7000    # where the relay listens
PAGES=7001    # nginx, behind a proxy
FRONT=7002    # HAProxy
BEHIND=7003   # a server behind a relay that speaks for it
SPOKEN=7010   # where such a relay listens
UNCAPTURED="not portrange 7000-7009 and"
SUITE=AES128-GCM-SHA256

hex() { od -An -tx1 -v | tr -d ' \n'; }
say_hex() { printf '%b' "$1" | hex; } # a line with its escapes

# relay SERVER-PORT [PORT [STEP]...]
relay() {
	local target=$1 port=${2:-$RELAY}

	shift; [ $# = 0 ] || shift
	stop relay
	rm -f "$WORK/said.client" "$WORK/said.server"
	"$HELPERS/relay" "$port" "$target" "$WORK/said" "$@" 2>"$WORK/relay.log" &
	PIDS[relay]=$!
	listening "$port"
}
relay_done() { # waits until it has written what was said
	local i

	for i in $(seq 250); do [ -e "$WORK/said.server" ] && break; sleep 0.02; done
	wait "${PIDS[relay]}" 2>/dev/null
	unset "PIDS[relay]"
	[ -e "$WORK/said.server" ] || { echo "starttls: $1: the relay ended early" >&2; cat "$WORK/relay.log" >&2; return 1; }
}

# Adds the session that has just been: its prelude, and what the programs said in it.
told() { # name, file that the client sent, file that the server sent
	relay_done "$1" || return 1
	cat "$WORK/said.client" "$2" > "$WORK/all.client"
	cat "$WORK/said.server" "$3" > "$WORK/all.server"
	expect "$1" 1.2 "${4:-$SUITE}" on off no "$WORK/all.client" "$WORK/all.server"
	sed '$!d' "$WORK/expect.jsonl" | jq -c --argjson cn "$(stat -c %s "$2")" --argjson sn "$(stat -c %s "$3")" \
		--argjson cp "$(stat -c %s "$WORK/said.client")" --argjson sp "$(stat -c %s "$WORK/said.server")" \
		'del(.ems, .etm) | .client_bytes = $cn | .server_bytes = $sn | .client_prelude = $cp | .server_prelude = $sp' > "$WORK/line"
	sed -i '$d' "$WORK/expect.jsonl"
	cat "$WORK/line" >> "$WORK/expect.jsonl"
}
has() { # name, what the client said, what the server said
	local n

	relay_done "$1" || return 1
	n=$(($(wc -l < "$WORK/expect.jsonl") + 1))
	[ -z "$2" ] || echo "$2" > "$WORK/has.$n.client"
	[ -z "$3" ] || echo "$3" > "$WORK/has.$n.server"
	cp "$WORK/said.client" "$WORK/prelude.$n.client"
	cp "$WORK/said.server" "$WORK/prelude.$n.server"
	jq -nc --arg name "$1" --argjson cp "$(stat -c %s "$WORK/said.client")" --argjson sp "$(stat -c %s "$WORK/said.server")" \
		'{name: $name, version: "TLS 1.2", verdict: "decrypted", reason: "complete", client_prelude: $cp, server_prelude: $sp}' \
		>> "$WORK/expect.jsonl"
}

# Where the programs spoke for themselves: the prelude stands before what was known.
said_in() { # what limpid wrote
	local f n side

	for f in "$WORK"/prelude.*.*; do
		[ -e "$f" ] || continue
		side=${f##*.} n=${f%.*} n=$(printf %06d "${n##*.}")
		cmp -s -n "$(stat -c %s "$f")" "$f" "$1/${n}_$side.bin" || echo "session $n: another prelude of the $side"
	done
	for f in "$WORK"/has.*.*; do
		[ -e "$f" ] || continue
		side=${f##*.} n=${f%.*} n=$(printf %06d "${n##*.}")
		LC_ALL=C grep -aqFf "$f" "$1/${n}_$side.bin" || echo "session $n: the $side did not say '$(cat "$f")'"
	done
}

# s_client NAME SERVER-PORT PROTOCOL LINE...: says the lines once TLS stands; the last
# makes the server hang up.
s_client() {
	local name=$1 proto=$3

	relay "$2" || return 1
	shift 3
	[ $# = 0 ] || printf '%s\r\n' "$@" > "$WORK/in"
	OPENSSL_CONF=$(openssl_conf on on) timeout 20 openssl s_client -connect "127.0.0.1:$RELAY" ${proto:+-starttls "$proto"} -tls1_2 \
		-cipher "$SUITE:@SECLEVEL=0" -servername server.example -quiet -ign_eof $S_CLIENT <"$WORK/in" >"$WORK/out" 2>"$WORK/client.log"
	[ -s "$WORK/out" ] || { echo "starttls: $name: nothing came back" >&2; tail -n 5 "$WORK/client.log" >&2; stop relay; return 1; }
	told "$name" "$WORK/in" "$WORK/out"
}
S_CLIENT=
ST_ALL="" # beside those of nginx

# daemon NAME PORT COMMAND...: in the foreground.
daemon() {
	local name=$1 port=$2

	[ -z "${PIDS[$name]:-}" ] || return 0
	shift 2
	"$@" >"$WORK/$name.log" 2>&1 </dev/null &
	PIDS[$name]=$!
	PORT[$name]=$port
	listening "$port" || { tail -n 5 "$WORK/$name.log" >&2; return 1; }
}

# ---- nginx: mail, and web pages behind a PROXY header

nginx_mail() {
	local d="$WORK/mail" p

	[ -z "${PIDS[mail]:-}" ] || return 0
	mkdir -p "$d/tmp" "$d/html"
	chmod 755 "$WORK" "$d" "$d/html"
	payload_text 3000 > "$d/html/page"
	{
		cat <<-C
			load_module /usr/lib/nginx/modules/ngx_mail_module.so;
			daemon off; user root; worker_processes 1; pid $d/pid;
			events { worker_connections 128; }
			mail {
				auth_http 127.0.0.1:1/;
				ssl_certificate $PWD/$KEYS/server.crt; ssl_certificate_key $PWD/$KEYS/server.pem;
				ssl_protocols TLSv1.2; ssl_ciphers kRSA:@SECLEVEL=0;
				starttls on; server_name mx.example;
				server { listen 127.0.0.1:2525; protocol smtp; smtp_capabilities "SIZE 10485760" 8BITMIME; }
				server { listen 127.0.0.1:2143; protocol imap; }
				server { listen 127.0.0.1:2110; protocol pop3; }
			}
			http {
				client_body_temp_path $d/tmp; proxy_temp_path $d/tmp; fastcgi_temp_path $d/tmp;
				uwsgi_temp_path $d/tmp; scgi_temp_path $d/tmp; access_log off; server_tokens off;
				ssl_certificate $PWD/$KEYS/server.crt; ssl_certificate_key $PWD/$KEYS/server.pem;
				ssl_protocols TLSv1.2; ssl_ciphers kRSA:@SECLEVEL=0; root $d/html;
				server { listen 127.0.0.1:$PAGES ssl; }
				server { listen 127.0.0.1:2444 ssl proxy_protocol; }
			}
		C
	} > "$d/nginx.conf"
	OPENSSL_CONF=$(openssl_conf on on) nginx -p "$d" -e "$d/error.log" -c "$d/nginx.conf" >"$d/log" 2>&1 &
	PIDS[mail]=$!
	for p in 2525 2143 2110 2444; do listening $p || { cat "$d/log" >&2; return 1; }; done
}
st_smtp() { nginx_mail && s_client "SMTP, nginx" 2525 smtp "EHLO client.example" NOOP QUIT; }
st_imap() { nginx_mail && s_client "IMAP, nginx" 2143 imap "a1 CAPABILITY" "a2 NOOP" "a3 LOGOUT"; }
st_pop3() { nginx_mail && s_client "POP3, nginx" 2110 pop3 CAPA NOOP QUIT; }

# web NAME CURL-ARGUMENTS...: a page by curl through whatever stands between.
web() {
	local name=$1

	shift
	timeout 20 curl -sk --noproxy '' --tls-max 1.2 --ciphers "$SUITE" --trace "$WORK/trace" -o "$WORK/page" "$@" ||
		{ echo "starttls: $name: curl ended with $?" >&2; stop relay; return 1; }
	cmp "$WORK/page" "$WORK/mail/html/page" || return 1
	# Without what was said to a proxy.
	curl_sent "$WORK/trace" | sed -n '/^GET /,$p' > "$WORK/in"
	curl_received "$WORK/trace" | sed -n '/^HTTP\/1.1 200 OK/,$p' > "$WORK/out"
	told "$name" "$WORK/in" "$WORK/out"
}
st_proxy1() {
	nginx_mail && relay 2444 && web "PROXY 1, curl and nginx" --haproxy-protocol "https://127.0.0.1:$RELAY/page"
}
st_proxy2() {
	nginx_mail || return 1
	cat > "$WORK/haproxy.cfg" <<-C
		defaults
			mode tcp
			timeout connect 5s
			timeout client 20s
			timeout server 20s
		listen two
			bind 127.0.0.1:$FRONT
			server web 127.0.0.1:$RELAY send-proxy-v2
	C
	daemon haproxy $FRONT haproxy -db -f "$WORK/haproxy.cfg" && relay 2444 &&
		web "PROXY 2, HAProxy and nginx" "https://127.0.0.1:$FRONT/page"
}
st_connect() {
	nginx_mail || return 1
	cat > "$WORK/tinyproxy.conf" <<-C
		Port 2888
		Listen 127.0.0.1
		Timeout 20
		DisableViaHeader Yes
	C
	daemon tinyproxy 2888 tinyproxy -d -c "$WORK/tinyproxy.conf" && relay 2888 || return 1
	web "CONNECT, curl and tinyproxy" -x "http://127.0.0.1:$RELAY" "https://127.0.0.1:$PAGES/page"
}
st_socks() {
	nginx_mail && daemon microsocks 2999 microsocks -i 127.0.0.1 -p 2999 && relay 2999 &&
		web "SOCKS 5, curl and microsocks" --socks5 "127.0.0.1:$RELAY" "https://127.0.0.1:$PAGES/page"
}

# ---- the test

# TLS behind something else (starttls.sh): the words before it and the bytes in it.
t_starttls() {
	local s list="smtp imap pop3 proxy1 proxy2 connect socks" crypto out diff

	[ "$LEVEL" = short ] || list="$list $ST_ALL"
	CAPTURE_FLAGS=--immediate-mode CAPTURE_WAIT=0.3
	: > "$WORK/expect.jsonl"
	: > "$WORK/keys.log"
	capture_start "$WORK/starttls.pcap" lo "$UNCAPTURED" || { fail "interop starttls: no capture"; return; }
	for s in ${STARTTLS:-$list}; do "st_$s" || fail "interop starttls: no session of $s"; done
	capture_stop
	servers_stop
	[ "$CAPTURE_DROPS" = 0 ] || fail "interop starttls: the kernel dropped $CAPTURE_DROPS packets of the capture"
	for crypto in $(providers); do
		out=$WORK/out.$crypto
		timeout 60 "$LIMPID" -q -r "$WORK/starttls.pcap" -k "$KEYS/server.pem" -l "$WORK/keys.log" --crypto "$crypto" \
			-o "files:$out,prelude=on" >"$out.log" 2>&1 || fail "interop starttls ($crypto): limpid failed"
		diff=$(compare "$WORK/expect.jsonl" "$out" 2>&1; said_in "$out")
		[ -z "$diff" ] || echo "$diff" | head -n 12
		want "interop starttls ($crypto): every word" test -z "$diff"
		echo "  starttls: $(wc -l < "$WORK/expect.jsonl") sessions with $crypto"
		[ -z "$diff" ] || [ -z "${KEEP_FAILED:-}" ] || cp -r "$WORK/." "$KEEP_FAILED"
	done
}
