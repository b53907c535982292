# Sourced by one.sh: sessions that are resumed, by the servers that people run.
#
# What is to be opened from the ticket key alone uses a suite with an ephemeral exchange,
# so that nothing else could open it, and the handshake that made the ticket goes to
# 127.0.0.2, where nobody listens.

EPHEMERAL=ECDHE-RSA-AES128-GCM-SHA256
STATIC=AES128-GCM-SHA256
TICKET_CIPHERS="$EPHEMERAL:ECDHE-RSA-AES256-GCM-SHA384:$STATIC:@SECLEVEL=0"
declare -A TPORT=([openssl]=4501 [libssl]=4502 [nginx48]=4503 [nginx80]=4504 [apache]=4505 [haproxy48]=4506 [haproxy80]=4507
	[lighttpd]=4508 [stunnel]=4509 [node]=4510 [gnutls]=4511)

ticket_key() { # kind, file: a new key as that server keeps it
	case $1 in
	nginx48 | apache | node | haproxy48) head -c 48 /dev/urandom > "$2" ;;
	lighttpd) { printf '\0\0\0\0\1\0\0\0\377\377\377\177'; head -c 80 /dev/urandom; } > "$2" ;;
	stunnel) echo "ticketKeySecret = $(openssl rand -hex 32)
ticketMacSecret = $(openssl rand -hex 32)" > "$2" ;;
	*) head -c 80 /dev/urandom > "$2" ;;
	esac
	case $1 in haproxy*) base64 -w 0 "$2" > "$2.b" && echo >> "$2.b" && mv "$2.b" "$2" ;; esac
	chmod 600 "$2"
}

# ticket_server KIND KEY...: new tickets by the first key, old ones by all where it can.
ticket_server() {
	local kind=$1 port=${TPORT[$1]} d="$WORK/t.$1" k i=0

	shift
	mkdir -p "$d/html" "$d/tmp"
	chmod 755 "$WORK" "$d" "$d/html"
	echo "this is $kind, and these are its words" > "$d/html/index.html"
	case $kind in
	openssl)
		OPENSSL_CONF=$(openssl_conf on on) openssl s_server -accept "$port" -cert "$KEYS/server.crt" -key "$KEYS/server.pem" \
			-rev -quiet -no_tls1_3 -cipher "$TICKET_CIPHERS" >"$d/log" 2>&1 & ;;
	libssl)
		OPENSSL_CONF=$(openssl_conf on on) "$HELPERS/ticketd" "$port" "$KEYS/server.crt" "$KEYS/server.pem" "$@" >"$d/log" 2>&1 & ;;
	gnutls)
		gnutls-serv -q --echo -p "$port" --x509certfile "$KEYS/server.crt" --x509keyfile "$KEYS/server.pem" -a \
			--priority "NORMAL:-VERS-ALL:+VERS-TLS1.2:+RSA" >"$d/log" 2>&1 & ;;
	nginx*)
		cat > "$d/nginx.conf" <<-C
			daemon off; user root; worker_processes 1; pid $d/pid;
			events { worker_connections 64; }
			http {
				client_body_temp_path $d/tmp; proxy_temp_path $d/tmp; fastcgi_temp_path $d/tmp; uwsgi_temp_path $d/tmp; scgi_temp_path $d/tmp;
				access_log off; root $d/html;
				server {
					listen $port ssl;
					ssl_certificate $PWD/$KEYS/server.crt; ssl_certificate_key $PWD/$KEYS/server.pem;
					ssl_protocols TLSv1.2; ssl_ciphers $TICKET_CIPHERS;
					ssl_session_cache shared:s:1m;
					$(for k; do echo "ssl_session_ticket_key $k;"; done)
				}
			}
		C
		OPENSSL_CONF=$(openssl_conf on on) nginx -p "$d" -e "$d/error.log" -c "$d/nginx.conf" >"$d/log" 2>&1 & ;;
	apache)
		cat > "$d/apache.conf" <<-C
			ServerRoot $d
			PidFile $d/pid
			ServerName server.example
			DefaultRuntimeDir $d
			Mutex file:$d
			ErrorLog $d/error.log
			$(for k in mpm_event authn_core authz_core dir socache_shmcb ssl; do echo "LoadModule ${k}_module /usr/lib/apache2/modules/mod_$k.so"; done)
			DocumentRoot $d/html
			DirectoryIndex index.html
			StartServers 1
			Listen $port
			SSLSessionCache shmcb:$d/cache(512000)
			<VirtualHost *:$port>
			SSLEngine on
			SSLCertificateFile $PWD/$KEYS/server.crt
			SSLCertificateKeyFile $PWD/$KEYS/server.pem
			SSLProtocol TLSv1.2
			SSLCipherSuite $TICKET_CIPHERS
			SSLSessionTicketKeyFile $1
			</VirtualHost>
		C
		rm -f "$d/pid"
		OPENSSL_CONF=$(openssl_conf on on) apache2 -f "$d/apache.conf" -DFOREGROUND >"$d/log" 2>&1 & ;;
	haproxy*) # the last but one of the lines encrypts
		ticket_key "$kind" "$d/next"
		ticket_key "$kind" "$d/before"
		cat "$([ $# -gt 1 ] && echo "$2" || echo "$d/before")" "$1" "$d/next" > "$d/keys"
		cat "$KEYS/server.crt" "$KEYS/server.pem" > "$d/both.pem"
		cat > "$d/haproxy.cfg" <<-C
			global
				stats socket $d/admin mode 600 level admin
				tune.ssl.default-dh-param 2048
			defaults
				mode http
				timeout client 5s
				timeout server 5s
				timeout connect 5s
			frontend f
				bind *:$port ssl crt $d/both.pem ssl-max-ver TLSv1.2 ciphers $TICKET_CIPHERS tls-ticket-keys $d/keys
				http-request return status 200 content-type text/plain string "these are the words of HAProxy"
		C
		OPENSSL_CONF=$(openssl_conf on on) haproxy -db -q -f "$d/haproxy.cfg" >"$d/log" 2>&1 & ;;
	lighttpd)
		cat > "$d/lighttpd.conf" <<-C
			server.modules = ( "mod_openssl" )
			server.port = $port
			server.document-root = "$d/html"
			server.errorlog = "$d/error.log"
			index-file.names = ( "index.html" )
			ssl.engine = "enable"
			ssl.pemfile = "$PWD/$KEYS/server.crt"
			ssl.privkey = "$PWD/$KEYS/server.pem"
			ssl.stek-file = "$1"
			ssl.openssl.ssl-conf-cmd = ("MaxProtocol" => "TLSv1.2", "CipherString" => "$TICKET_CIPHERS")
		C
		OPENSSL_CONF=$(openssl_conf on on) lighttpd -D -f "$d/lighttpd.conf" >"$d/log" 2>&1 & ;;
	stunnel)
		printf 'read line\nread line\nhead -c 3000 %s\n' "$KEYS/server.crt" > "$d/words.sh"
		cat > "$d/stunnel.conf" <<-C
			foreground = yes
			pid =
			[words]
			accept = $port
			cert = $PWD/$KEYS/server.crt
			key = $PWD/$KEYS/server.pem
			sslVersionMax = TLSv1.2
			ciphers = $TICKET_CIPHERS
			$(cat "$1")
			exec = /bin/sh
			execArgs = sh $d/words.sh
		C
		OPENSSL_CONF=$(openssl_conf on on) stunnel4 "$d/stunnel.conf" >"$d/log" 2>&1 & ;;
	node)
		cat > "$d/server.js" <<-'C'
			const tls = require('tls'), fs = require('fs'), [port, cert, key, ticket] = process.argv.slice(2), seen = {};
			tls.createServer({ cert: fs.readFileSync(cert), key: fs.readFileSync(key), ticketKeys: fs.readFileSync(ticket),
				maxVersion: 'TLSv1.2', ciphers: 'ECDHE+AESGCM:AES128-GCM-SHA256' }, s => {
				s.on('error', () => {});
				s.once('data', d => s.end('node has read ' + d.length + ' bytes\n'));
			}).on('newSession', (id, data, done) => { seen[id.toString('hex')] = data; done(); })
				.on('resumeSession', (id, done) => done(null, seen[id.toString('hex')] || null)).listen(+port);
		C
		"$(command -v node || command -v nodejs)" "$d/server.js" "$port" "$KEYS/server.crt" "$KEYS/server.pem" "$1" >"$d/log" 2>&1 & ;;
	esac
	PIDS[t.$kind]=$!
	listening "$port" || { tail -n 5 "$d/log" "$d/error.log" >&2; return 1; }
}

# tclient KIND HOST SUITE MORE...: one session; what it sent is in $WORK/in, what came in $WORK/out.
tclient() {
	local kind=$1 host=$2 suite=$3 port=${TPORT[$1]}

	shift 3
	set -- timeout 20 openssl s_client -connect "$host:$port" -tls1_2 -quiet -cipher "$suite:@SECLEVEL=0" "$@"
	: > "$WORK/out"
	case $kind in
	gnutls)
		payload_text 2000 > "$WORK/in"
		feed "$WORK/in" "$WORK/out" "$(stat -c %s "$WORK/in")" |
			OPENSSL_CONF=$(openssl_conf on on) "$@" -no_ign_eof -nocommands >"$WORK/out" 2>"$WORK/client.log"
		return ;;
	openssl | libssl) { payload_text 2000; echo CLOSE; } > "$WORK/in" ;;
	*) printf 'GET /?%s HTTP/1.0\r\n\r\n' "$(openssl rand -hex 300)" > "$WORK/in" ;;
	esac
	OPENSSL_CONF=$(openssl_conf on on) "$@" -ign_eof <"$WORK/in" >"$WORK/out" 2>"$WORK/client.log"
	[ -s "$WORK/out" ] || { echo "tickets: $kind said nothing" >&2; tail -n 3 "$WORK/client.log" "$WORK/t.$kind/log" >&2; return 1; }
}
texpect() { # name, suite, resumed, secret
	expect "$1" 1.2 "$2" on off no "$WORK/in" "$WORK/out"
	sed -i "\$s|\"verdict\"|\"resumed\":\"$3\",\"secret\":\"$4\",\"verdict\"|" "$WORK/expect.jsonl"
}

# A handshake that was seen, and what resumes it: by id, by ticket.
seen() { # kind, ways
	local way no

	for way in $2; do
		no=; [ $way = ticket ] || no=-no_ticket
		tclient "$1" 127.0.0.1 $STATIC $no -sess_out "$WORK/session" || return
		texpect "$1: full handshake" $STATIC no "rsa-key $KEYS/server.pem"
		tclient "$1" 127.0.0.1 $STATIC $no -sess_in "$WORK/session" || return
		texpect "$1: resumed by $way" $STATIC $way "session-$way"
	done
}
# A ticket that was made where nobody listens.
unseen() { # kind, key file, name of the ticket
	tclient "$1" 127.0.0.2 $EPHEMERAL -sess_out "$WORK/ticket.$3" && again "$@"
}
again() {
	tclient "$1" 127.0.0.1 $EPHEMERAL -sess_in "$WORK/ticket.$3" || return
	texpect "$1: ticket $3" $EPHEMERAL ticket "ticket-key $2"
}

# All of it with one server: ids and tickets that were seen, tickets that were not, and
# the same after the key has changed.
resume() { # kind
	local kind=$1 old=$WORK/key.$1.old new=$WORK/key.$1.new ways="id ticket"

	[ "$kind" != lighttpd ] || ways=ticket # it keeps no sessions
	ticket_key "$kind" "$old"
	ticket_key "$kind" "$new"
	ticket_server "$kind" "$old" && seen "$kind" "$ways" || return 1
	case $kind in openssl | gnutls) stop "t.$kind"; return ;; esac # take no key from a file
	unseen "$kind" "$old" "$kind.old" || return 1
	stop "t.$kind"
	for i in $(seq 100); do [ -z "$(ss -Hltn "sport = :${TPORT[$kind]}")" ] && break; sleep 0.02; done
	ticket_server "$kind" "$new" "$old" && unseen "$kind" "$new" "$kind.new" || return 1
	case $kind in libssl | nginx* | haproxy*) again "$kind" "$old" "$kind.old" || return 1 ;; esac
	MORE_KEYS="$MORE_KEYS -t $old -t $new"
	stop "t.$kind"
}
t_tickets() {
	local kind list="openssl libssl nginx80"

	MORE_KEYS=
	[ "$LEVEL" = short ] || list="openssl libssl gnutls nginx48 nginx80 apache haproxy48 haproxy80 lighttpd stunnel node clients"
	: > "$WORK/expect.jsonl"
	capture_start "$WORK/tickets.pcap" lo not host 127.0.0.2 and || { fail "interop tickets: no capture"; return; }
	for kind in ${KINDS:-$list}; do
		case $kind in apache) apt_has apache2 ;; haproxy*) apt_has haproxy ;; lighttpd | node) apt_has $kind ;; stunnel) apt_has stunnel4 ;; esac ||
			continue
		case $kind in clients) other_clients ;; *) resume "$kind" ;; esac || fail "interop tickets: $kind"
	done
	capture_stop
	servers_stop
	judge tickets "$WORK/tickets.pcap"
}
# Clients that keep a session in memory and resume it in their next connection: curl, which
# wants no tickets, by id; gnutls-cli after a handshake that stays closed, as its key
# exchange is ephemeral.
other_clients() {
	local n url="https://127.0.0.1:${TPORT[nginx80]}/index.html"

	ticket_key nginx80 "$WORK/key.other"
	MORE_KEYS="$MORE_KEYS -t $WORK/key.other"
	ticket_server nginx80 "$WORK/key.other" || return
	OPENSSL_CONF=$(openssl_conf on on) curl -sk --http1.0 --tls-max 1.2 --ciphers $STATIC --trace "$WORK/trace" -o /dev/null -o /dev/null \
		"$url" "$url" || return
	awk -v f="$WORK/trace" '{ print > f (n ? ".2" : ".1") } /Closing connection/ { n++ }' "$WORK/trace"
	for n in 1 2; do
		curl_sent "$WORK/trace.$n" > "$WORK/in"
		curl_received "$WORK/trace.$n" > "$WORK/out"
		if [ $n = 1 ]; then texpect "curl" $STATIC no "rsa-key $KEYS/server.pem"; else texpect "curl, resumed" $STATIC id session-id; fi
	done
	printf 'GET / HTTP/1.0\r\n\r\n' > "$WORK/in"
	feed "$WORK/in" "$WORK/out" 100000 | timeout 3 gnutls-cli --logfile="$WORK/client.log" --resume --insecure -p "${TPORT[nginx80]}" \
		--priority NONE:+VERS-TLS1.2:+ECDHE-RSA:+AES-128-GCM:+AEAD:+SIGN-ALL:+GROUP-ALL 127.0.0.1 >"$WORK/out" 2>>"$WORK/client.log"
	[ -s "$WORK/out" ] || { tail -n 5 "$WORK/client.log" >&2; return 1; }
	jq -nc '{name: "gnutls-cli: the session before", resumed: "no", verdict: "opaque", reason: "forward-secret"}' >> "$WORK/expect.jsonl"
	texpect "gnutls-cli" $EPHEMERAL ticket "ticket-key $WORK/key.other"
	stop t.nginx80
}

# Live: what limpid sniffs, with the directory, file or socket that the keys change in.
tlive() { # more arguments
	rm -rf "$WORK/live"
	: > "$WORK/expect.jsonl"
	"$LIMPID" -i lo -q -o "files:$WORK/live" "$@" "tcp and not host 127.0.0.2" >"$WORK/live.log" 2>"$WORK/live.err" &
	LIVE=$!
	for i in $(seq 250); do [ "$(wc -l < /proc/net/packet)" -gt 1 ] && [ -e "$WORK/live/index.jsonl" ] && break; sleep 0.02; done
}
tlive_end() { # name
	local diff

	for i in $(seq 150); do [ "$(lines "$WORK/live/index.jsonl")" -ge "$(lines "$WORK/expect.jsonl")" ] && break; sleep 0.02; done
	kill -INT $LIVE
	for i in $(seq 250); do kill -0 $LIVE 2>/dev/null || break; sleep 0.02; done
	wait $LIVE
	want "interop $1: ends with status 0" test $? = 0
	diff=$(compare "$WORK/expect.jsonl" "$WORK/live" set 2>&1)
	[ -z "$diff" ] || { echo "$diff" | head -n 8; head -n 5 "$WORK/live.err"; }
	want "interop $1: every ticket opens" test -z "$diff"
}
said() { # pattern: within a second
	for i in $(seq 50); do grep -q "$1" "$WORK/live.err" && return; sleep 0.02; done
	head -n 5 "$WORK/live.err"
	return 1
}

# nginx gets a new key while limpid watches the directory of its keys; then the directory
# gets a file that is none, and one that is half written.
t_rotation() {
	local d=$WORK/keys one=$WORK/one two=$WORK/two

	umask 077
	mkdir "$d"
	ticket_key nginx80 "$one"
	ticket_key nginx80 "$two"
	cp "$one" "$d/a"
	tlive -t "$d"
	ticket_server nginx80 "$one" || { fail "interop rotation: nginx"; return; }
	unseen nginx80 "$d/a" 1 || fail "interop rotation: the first key"
	stop t.nginx80
	ticket_server nginx80 "$two" "$one" || { fail "interop rotation: nginx"; return; }
	tclient nginx80 127.0.0.2 $EPHEMERAL -sess_out "$WORK/ticket.2"
	# The file with the new key comes a moment before its first use, the old one goes.
	head -c 60 "$two" > "$d/b"
	{ sleep 0.5; cat "$two" > "$d/b.new"; mv "$d/b.new" "$d/b"; rm "$d/a"; } &
	sleep 0.3
	again nginx80 "$d/b" 2 || fail "interop rotation: a key that comes after the session"
	again nginx80 "$d/a" 1 || fail "interop rotation: the key that is gone"
	for i in $(seq 150); do [ "$(lines "$WORK/live/index.jsonl")" -ge 3 ] && break; sleep 0.02; done
	echo "no key" > "$d/b"
	want "interop rotation: a wrong file is reported" said 'keys/b: line 1 is no ticket key.*stays in use'
	again nginx80 "$d/b" 2 || fail "interop rotation: the key whose file is broken"
	tlive_end rotation
	want "interop rotation: each fault is one line" test "$(grep -c 'keys/b: ' "$WORK/live.err")" -le 2
	stop t.nginx80
	[ "$LEVEL" = short ] || rotation_more
}
rotation_more() {
	local key

	# HAProxy's keys as they are set at run time, written nowhere.
	apt_has haproxy || return
	ticket_key haproxy80 "$WORK/h1"
	ticket_server haproxy80 "$WORK/h1" || { fail "interop rotation: haproxy"; return; }
	tlive -t "haproxy:$WORK/t.haproxy80/admin"
	unseen haproxy80 "haproxy:$WORK/t.haproxy80/admin" h1
	for i in 1 2; do
		key=$(head -c 80 /dev/urandom | base64 -w 0)
		admin "set ssl tls-key $WORK/t.haproxy80/keys $key" > /dev/null
	done
	tclient haproxy80 127.0.0.2 $EPHEMERAL -sess_out "$WORK/ticket.h2"
	sleep 1
	again haproxy80 "haproxy:$WORK/t.haproxy80/admin" h2
	stop t.haproxy80
	want "interop rotation: a socket that is gone is reported" said 'haproxy80/admin: '
	tlive_end "rotation by HAProxy"
	# A private key that comes into a directory.
	mkdir "$WORK/pem"
	cp "$KEYS/client.pem" "$WORK/pem/"
	tlive -k "$WORK/pem"
	ticket_server openssl
	cp "$KEYS/server.pem" "$WORK/pem/new.pem"
	sleep 1
	tclient openssl 127.0.0.1 $STATIC
	texpect "a private key that came" $STATIC no "rsa-key $WORK/pem/new.pem"
	tlive_end "a private key that comes"
	stop t.openssl
}
admin() { # a command for HAProxy
	perl -MIO::Socket::UNIX -e '$s = IO::Socket::UNIX->new($ARGV[0]) or die; print $s "$ARGV[1]\n"; print while <$s>' "$WORK/t.haproxy80/admin" "$1"
}
apt_has() { command -v "$1" >/dev/null || { skip "interop tickets: no $1 here"; return 1; }; }
