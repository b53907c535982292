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
ST_ALL="gnutls submission dovecot_imap dovecot_pop3 lmtp sieve ftp ldap xmpp irc nntp postgres mysql rdp socks4 socks5h" # all but the first

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

st_gnutls() {
	nginx_mail && relay 2525 || return 1
	printf '%s\r\n' "EHLO client.example" NOOP QUIT > "$WORK/in"
	: > "$WORK/out"
	{ cat "$WORK/in"; sleep 1; } | timeout 20 gnutls-cli --logfile="$WORK/client.log" --starttls-proto=smtp --insecure -p $RELAY \
		--priority "$(gnutls_priority 1.2 $SUITE on on)" 127.0.0.1 >"$WORK/out" 2>>"$WORK/client.log"
	[ -s "$WORK/out" ] || { stop relay; tail -n 5 "$WORK/client.log" >&2; return 1; }
	told "SMTP, gnutls-cli and nginx" "$WORK/in" "$WORK/out"
}

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

# ---- a server for each protocol

st_submission() {
	local d="$WORK/exim"

	mkdir -p "$d/spool"
	chmod 755 "$WORK"; chown -R Debian-exim: "$d"
	cat > "$d/conf" <<-C
		primary_hostname = mx.example
		spool_directory = $d/spool
		log_file_path = $d/spool/%slog
		pid_file_path = $d/spool/pid
		daemon_smtp_ports = 3025
		local_interfaces = 127.0.0.1
		smtp_enforce_sync = false
		smtp_accept_keepalive = false
		tls_advertise_hosts = *
		tls_certificate = $PWD/$KEYS/server.crt
		tls_privatekey = $PWD/$KEYS/server.pem
		tls_require_ciphers = NORMAL:-VERS-TLS1.3:-KX-ALL:+RSA
		host_lookup =
		rfc1413_query_timeout = 0s
	C
	daemon exim 3025 exim4 -C "$d/conf" -bdf -q1h && s_client "SMTP, exim" 3025 smtp "EHLO client.example" NOOP QUIT
}

dovecot_all() {
	local d="$WORK/dovecot"

	mkdir -p "$d"
	chmod 755 "$WORK" "$d"
	cat > "$d/conf" <<-C
		base_dir = $d/run
		state_dir = $d/state
		log_path = $d/log
		listen = 127.0.0.1
		protocols = imap pop3 lmtp sieve
		ssl = yes
		ssl_cert = <$PWD/$KEYS/server.crt
		ssl_key = <$PWD/$KEYS/server.pem
		ssl_min_protocol = TLSv1.2
		ssl_cipher_list = kRSA:@SECLEVEL=0
		mail_location = mbox:$d/mail
		passdb {
			driver = static
			args = password=secret
		}
		userdb {
			driver = static
			args = uid=mail gid=mail home=$d/home
		}
		service imap-login {
			inet_listener imap {
				port = 3143
			}
			inet_listener imaps {
				port = 0
			}
		}
		service pop3-login {
			inet_listener pop3 {
				port = 3110
			}
			inet_listener pop3s {
				port = 0
			}
		}
		service managesieve-login {
			inet_listener sieve {
				port = 3190
			}
		}
		service lmtp {
			inet_listener lmtp {
				address = 127.0.0.1
				port = 3024
			}
		}
	C
	daemon dovecot 3143 dovecot -F -c "$d/conf"
}
st_dovecot_imap() { dovecot_all && s_client "IMAP, dovecot" 3143 imap "a1 CAPABILITY" "a2 ID NIL" "a3 LOGOUT"; }
st_dovecot_pop3() { dovecot_all && s_client "POP3, dovecot" 3110 pop3 CAPA QUIT; }
st_lmtp() { dovecot_all && s_client "LMTP, dovecot" 3024 lmtp "LHLO client.example" NOOP QUIT; }
st_sieve() { dovecot_all && s_client "sieve, dovecot" 3190 sieve CAPABILITY LOGOUT; }

st_ftp() {
	local d="$WORK/ftp"

	mkdir -p "$d/empty"
	chmod 755 "$WORK" "$d" "$d/empty"
	cat > "$d/conf" <<-C
		listen=YES
		listen_address=127.0.0.1
		listen_port=3021
		background=NO
		anonymous_enable=YES
		allow_anon_ssl=YES
		anon_root=$d/empty
		secure_chroot_dir=$d/empty
		seccomp_sandbox=NO
		ssl_enable=YES
		ssl_ciphers=ALL:@SECLEVEL=0
		rsa_cert_file=$PWD/$KEYS/server.crt
		rsa_private_key_file=$PWD/$KEYS/server.pem
	C
	daemon vsftpd 3021 vsftpd "$d/conf" && s_client "FTP, vsftpd" 3021 ftp "USER anonymous" "PASS limpid@example" SYST QUIT
}

st_ldap() {
	local d="$WORK/ldap"

	mkdir -p "$d"
	cat > "$d/conf" <<-C
		include /etc/ldap/schema/core.schema
		pidfile $d/pid
		TLSCertificateFile $PWD/$KEYS/server.crt
		TLSCertificateKeyFile $PWD/$KEYS/server.pem
		database config
		rootdn cn=config
	C
	daemon slapd 3389 slapd -h ldap://127.0.0.1:3389 -f "$d/conf" -d 0 && relay 3389 || return 1
	LDAPTLS_REQCERT=never LDAPTLS_CIPHER_SUITE="NORMAL:-VERS-TLS1.3:-KX-ALL:+RSA" timeout 20 ldapsearch -x -ZZ \
		-H "ldap://127.0.0.1:$RELAY" -b "" -s base >"$WORK/client.log" 2>&1 || { stop relay; tail -n 5 "$WORK/client.log" >&2; return 1; }
	has "LDAP, slapd and ldapsearch" objectclass OpenLDAProotDSE
}

st_xmpp() {
	local d="$WORK/xmpp"

	mkdir -p "$d/data"
	cat > "$d/conf.lua" <<-C
		daemonize = false
		run_as_root = true
		pidfile = "$d/pid"
		data_path = "$d/data"
		interfaces = { "127.0.0.1" }
		c2s_ports = { 3222 }
		s2s_ports = {}
		http_ports = {}
		https_ports = {}
		modules_enabled = { "tls", "saslauth" }
		modules_disabled = { "s2s", "http", "posix" }
		log = "*console"
		ssl = { certificate = "$PWD/$KEYS/server.crt", key = "$PWD/$KEYS/server.pem", protocol = "tlsv1_2", ciphers = "ALL:@SECLEVEL=0" }
		VirtualHost "server.example"
	C
	daemon prosody 3222 prosody --config "$d/conf.lua" -F &&
		S_CLIENT="-xmpphost server.example" s_client "XMPP, prosody" 3222 xmpp \
			"<stream:stream to='server.example' xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' version='1.0'></stream:stream>"
}

st_irc() {
	local d="$WORK/irc"

	mkdir -p "$d"
	chmod 755 "$WORK" "$d"
	cat > "$d/conf" <<-C
		<server name="irc.example" description="limpid" network="limpid" id="1LP">
		<admin name="a" nick="a" email="a@irc.example">
		<bind address="127.0.0.1" port="3667" type="clients">
		<connect allow="*" resolvehostnames="no" timeout="20">
		<pid file="$d/pid">
		<path configdir="$d" datadir="$d" logdir="$d" runtimedir="$d">
		<files motd="$d/motd">
		<module name="ssl_gnutls">
		<sslprofile name="Clients" provider="gnutls" certfile="$PWD/$KEYS/server.crt" keyfile="$PWD/$KEYS/server.pem" priority="NORMAL">
		<module name="starttls">
	C
	echo "clear water" > "$d/motd"
	daemon inspircd 3667 inspircd --nofork --runasroot --config "$d/conf" &&
		s_client "IRC, inspircd" 3667 irc "NICK limpid" "USER limpid 0 * :limpid" "QUIT :bye"
}

# No news server in Debian that speaks STARTTLS can be set up on a host whose name is
# not fit for it, so the relay speaks for one.
st_nntp() {
	daemon behind $BEHIND openssl s_server -accept $BEHIND -cert "$KEYS/server.crt" -key "$KEYS/server.pem" -rev -quiet \
		-no_tls1_3 -cipher "ALL:@SECLEVEL=0" || return 1
	relay $BEHIND $SPOKEN client="$(say_hex '200 news.example ready\r\n')" client:14 \
		client="$(say_hex '101 Capability list:\r\nVERSION 2\r\nREADER\r\nSTARTTLS\r\n.\r\n')" client:10 \
		client="$(say_hex '382 Continue with TLS negotiation\r\n')" || return 1
	{ payload_text 900; echo CLOSE; } > "$WORK/in"
	timeout 20 openssl s_client -connect 127.0.0.1:$SPOKEN -starttls nntp -tls1_2 -cipher "$SUITE" -quiet -ign_eof <"$WORK/in" \
		>"$WORK/out" 2>"$WORK/client.log"
	told "NNTP, s_client and s_server behind a relay" "$WORK/in" "$WORK/out"
}

st_postgres() {
	local d="$WORK/postgres" bin

	bin=$(ls -d /usr/lib/postgresql/*/bin | tail -n 1)
	mkdir -p "$d"
	chmod 755 "$WORK"; chown postgres: "$d"
	runuser -u postgres -- "$bin/initdb" -A trust -N -D "$d" >"$WORK/initdb.log" 2>&1 || { tail -n 3 "$WORK/initdb.log" >&2; return 1; }
	install -o postgres -m 600 "$KEYS/server.pem" "$KEYS/server.crt" "$d"
	daemon postgres 3432 runuser -u postgres -- "$bin/postgres" -D "$d" -p 3432 -h 127.0.0.1 -k '' -c ssl=on -c fsync=off \
		-c ssl_cert_file=server.crt -c ssl_key_file=server.pem -c ssl_ciphers=kRSA:@SECLEVEL=0 -c ssl_max_protocol_version=TLSv1.2 &&
		relay 3432 || return 1
	timeout 20 psql "host=127.0.0.1 port=$RELAY user=postgres dbname=postgres sslmode=require gssencmode=disable" -Atqc \
		"select repeat('limpid ', 300)" >"$WORK/client.log" 2>&1
	grep -q 'limpid limpid' "$WORK/client.log" || { stop relay; tail -n 5 "$WORK/client.log" >&2; return 1; }
	has "PostgreSQL, psql" "select repeat('limpid ', 300)" "$(head -n 1 "$WORK/client.log")"
}

st_mysql() {
	local d="$WORK/mysql"

	mkdir -p "$d"
	daemon mariadbd 3306 mariadbd --no-defaults --user=root --datadir="$d" --skip-grant-tables --bind-address=127.0.0.1 --port=3306 \
		--socket="$d/socket" --pid-file="$d/pid" --ssl-cert="$PWD/$KEYS/server.crt" --ssl-key="$PWD/$KEYS/server.pem" &&
		relay 3306 || return 1
	timeout 20 mariadb --no-defaults -h 127.0.0.1 -P $RELAY --ssl --ssl-cipher="$SUITE" --tls-version=TLSv1.2 -BN \
		-e "select repeat('limpid ', 300)" >"$WORK/client.log" 2>&1
	grep -q 'limpid limpid' "$WORK/client.log" || { stop relay; tail -n 5 "$WORK/client.log" "$WORK/mariadbd.log" >&2; return 1; }
	has "MySQL, mariadb" "select repeat('limpid ', 300)" "$(head -n 1 "$WORK/client.log")"
}

# The relay asks for TLS as a client does (MS-RDPBCGR 2.2.1.1); s_client then says
# what no terminal does, and hangs up.
st_rdp() {
	local d="$WORK/rdp"

	mkdir -p "$d"
	cat > "$d/ini" <<-C
		[Globals]
		ini_version=1
		fork=false
		port=tcp://127.0.0.1:3390
		security_layer=tls
		certificate=$PWD/$KEYS/server.crt
		key_file=$PWD/$KEYS/server.pem
		ssl_protocols=TLSv1.2
		tls_ciphers=ALL:@SECLEVEL=0
		[Logging]
		LogFile=$d/log
		LogLevel=INFO
		EnableSyslog=false
		[Xorg]
		name=Xorg
		lib=libxup.so
	C
	daemon xrdp 3390 xrdp -n -c "$d/ini" && relay 3390 $RELAY server=030000130ee000000000000100080001000000 server:19 || return 1
	echo "not what a terminal says" > "$WORK/in"
	timeout 20 openssl s_client -connect 127.0.0.1:$RELAY -tls1_2 -cipher "$SUITE" -quiet -no_ign_eof <"$WORK/in" >"$WORK/out" 2>"$WORK/client.log"
	told "RDP, xrdp" "$WORK/in" "$WORK/out"
}

ssh_socks() {
	local d="$WORK/ssh"

	[ -z "${PIDS[ssh]:-}" ] || return 0
	mkdir -p "$d" /run/sshd
	chmod 700 "$d"
	ssh-keygen -q -t ed25519 -N '' -f "$d/host"
	ssh-keygen -q -t ed25519 -N '' -f "$d/id"
	printf '%s\n' "HostKey $d/host" "AuthorizedKeysFile $d/id.pub" "UsePAM no" "StrictModes no" "PidFile $d/pid" > "$d/conf"
	daemon sshd 3022 /usr/sbin/sshd -D -e -f "$d/conf" -o ListenAddress=127.0.0.1:3022 &&
		daemon ssh 3080 ssh -F none -N -D 127.0.0.1:3080 -i "$d/id" -p 3022 -o StrictHostKeyChecking=no \
			-o UserKnownHostsFile=/dev/null root@127.0.0.1
}
st_socks4() { nginx_mail && ssh_socks && relay 3080 && web "SOCKS 4, curl and ssh" --socks4 "127.0.0.1:$RELAY" "https://127.0.0.1:$PAGES/page"; }
st_socks5h() { nginx_mail && ssh_socks && relay 3080 && web "SOCKS 5 by name, curl and ssh" --socks5-hostname "127.0.0.1:$RELAY" "https://localhost:$PAGES/page"; }

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
