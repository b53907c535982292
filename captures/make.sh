#!/bin/bash
# Makes the sample captures again, with real servers and clients in a network
# namespace of their own: sudo captures/make.sh [NAME...]. Needs what
# `make check` installs, and editcap (Debian's wireshark-common) for the pcapng ones.
# Beside each capture the golden tests get, in tests/golden/NAME/:
#   expect.jsonl   a line for each session: what the programs sent, said by them
#   args           limpid's arguments      status   its exit status, if not 0
# README.md says what each shows.
set -u
cd "$(dirname "$0")/.." || exit 1
[ -n "${INSIDE:-}" ] || INSIDE=1 exec tests/interop/inside.sh "$0" "$@"

export WORK; WORK=$(mktemp -d)
trap 'rm -rf "$WORK"' EXIT
. tests/run/lib.sh
. tests/interop/peers.sh
. tests/interop/handshakes.sh
. tests/interop/tickets.sh
. tests/interop/starttls.sh
CAPTURE_FLAGS=--immediate-mode CAPTURE_WAIT=0.3
ip link set lo mtu 1500
cc -O2 -o "$WORK/pcapcut" tests/interop/pcapcut.c || exit 1
cc -O2 -o "$WORK/ticketd" tests/interop/ticketd.c -lssl -lcrypto || exit 1
HELPERS=$WORK
cc -O2 -o "$WORK/talk" tests/interop/talk.c -lssl -lcrypto || exit 1
cc -O2 -o "$WORK/talk_mbedtls" tests/interop/talk_mbedtls.c -lmbedtls -lmbedx509 -lmbedcrypto || exit 1
cc -O2 -o "$WORK/talk_gnutls" tests/interop/talk_gnutls.c -lgnutls || exit 1
TALK=$WORK/talk
cc -O2 -o "$WORK/relay" tests/interop/relay.c || exit 1
ONLY=" $* "

# begin NAME [DEVICE [FILTER...]]: what follows is captured; end [ARGS]: writes the capture and its expectations.
begin() {
	NAME=$1
	[ "$ONLY" = "  " ] || case $ONLY in *" $1 "*) ;; *) return 1 ;; esac
	echo "$NAME"
	rm -f "$WORK/expect.jsonl"
	: > "$WORK/expect.jsonl"
	capture_start "$WORK/$NAME.pcap" "${2:-lo}" "${@:3}" || exit 1
}
end() { # limpid's arguments
	[ -z "${PIDS[capture]:-}" ] || capture_stop
	[ "$WORK/$NAME.pcap" -ef "captures/$NAME.pcap" ] || cp "$WORK/$NAME.pcap" "captures/$NAME.pcap"
	golden "$NAME" "captures/$NAME.pcap" "$@"
}
golden() { # name, capture, arguments
	local d="tests/golden/$1"

	mkdir -p "$d"
	cp "$WORK/expect.jsonl" "$d/expect.jsonl"
	shift
	echo "-r $*" > "$d/args"
}
# edit JQ: changes what is expected.
edit() { jq -c "$1" "$WORK/expect.jsonl" > "$WORK/e" && mv "$WORK/e" "$WORK/expect.jsonl"; }
opaque() { # name, version or null, reason: a session that stays closed
	jq -nc --arg n "$1" --argjson v "$2" --arg r "$3" '{name: $n, verdict: "opaque", reason: $r,
		client_sha256: null, server_sha256: null} + (if $v then {version: $v} else {} end)' >> "$WORK/expect.jsonl"
}
# The number of the N-th packet with data towards PORT.
data_packet() { # file, port, N
	tcpdump -nr "$1" 2>/dev/null | awk -v to="\\.$2: " '$0 ~ to && !/length 0$/ { print NR }' | sed -n "$3p"
}

# ---- the story: AES-256-CBC-SHA, a client certificate, Extended Master Secret, and the twin
for v in 1.1 1.2; do
	for ems in on off; do
		begin "story-tls${v/./}-$([ $ems = on ] && echo ems || echo noems)" || continue
		session openssl openssl $v AES256-SHA $ems on yes 900
		end -k keys/server.pem
	done
done

# ---- every version, suite, EMS, EtM, client certificate; by OpenSSL and by GnuTLS
for kind in openssl gnutls; do
	for v in 1.0 1.1 1.2; do
		begin "$kind-tls${v/./}" || continue
		for suite in $(suites_of $v); do
			for ems in on off; do
				for etm in on off; do
					[ $etm = on ] || is_cbc $suite || continue
					for cert in no yes; do session $kind $kind $v $suite $ems $etm $cert 150 || exit 1; done
				done
			done
		done
		session $kind $kind $v AES128-SHA on on empty 150
		end -k keys/server.pem
	done
done
if begin java; then
	list=
	for v in 1.0 1.1 1.2; do for suite in $(suites_of $v); do list="$list $v:$suite"; done; done
	for ems in on off; do for cert in no yes; do java_sessions $ems $cert 300 $list || exit 1; done; done
	end -k keys/server.pem
fi

# ---- the other ciphers, SSL 3.0 and EXPORT
if begin ciphers; then
	for s in $(suites_openssl); do session openssl openssl "${s%%:*}" "${s#*:}" on on no 150 || exit 1; done
	for s in $(suites_gnutls); do session gnutls gnutls "${s%%:*}" "${s#*:}" on on no 150 || exit 1; done
	end -k keys/server.pem
	: > tests/golden/ciphers/auto-only # mbedTLS has no ARIA, OpenSSL no Camellia-GCM
fi
if begin ssl3; then # JSSE; no session has an extension
	java_sessions off no 200 $(suites_java | tr ' ' '\n' | grep '^3.0:') || exit 1
	java_sessions off yes 200 3.0:AES128-SHA || exit 1
	end -k keys/server.pem
fi
if begin rc4-des; then # the same in TLS 1.0 to 1.2
	java_sessions on no 200 $(suites_java | tr ' ' '\n' | grep -v '^3.0:') || exit 1
	end -k keys/server.pem
fi
if begin ssl2-hello; then # the ClientHello has the form of SSL 2.0
	java_sessions off no 200 2/3.0:TLS_RSA_WITH_RC4_128_SHA 2/1.0:TLS_RSA_WITH_3DES_EDE_CBC_SHA 2/1.2:AES128-SHA || exit 1
	end -k keys/server.pem
fi
if begin export; then # EXPORT with a certificate key of 512 bits, then with one of 2048 and a temporary key
	stop java.
	SERVER_KEY=export java_sessions on no 200 $(suites_export) || exit 1
	cp "$WORK/expect.jsonl" "$WORK/opened.jsonl"
	stop java.
	java_sessions on no 200 $(suites_export) || exit 1
	tail -n 4 "$WORK/expect.jsonl" > "$WORK/closed.jsonl"
	jq -c '{name, version, suite, verdict: "opaque", reason: "export-key"}' "$WORK/closed.jsonl" |
		cat "$WORK/opened.jsonl" - > "$WORK/expect.jsonl"
	end -k keys/export.pem -k keys/server.pem
fi

# ---- TLS behind something else
if begin starttls lo "$UNCAPTURED"; then
	for s in smtp connect socks proxy2; do "st_$s" || exit 1; done
	servers_stop
	end -k keys/server.pem
	: > tests/golden/starttls/prelude
fi

# ---- HTTP: nginx and curl
web() { # curl arguments...
	curl -sk --trace "$WORK/trace" -o "$WORK/page" "$@" || exit 1
	curl_sent "$WORK/trace" > "$WORK/in"
	curl_received "$WORK/trace" > "$WORK/out"
}
pages() {
	local d="$WORK/nginx./html"

	mkdir -p "$d"
	cat > "$d/index.html" <<-H
		<!doctype html>
		<title>limpid: clear water</title>
		<h1>If you can read this, the capture was opened.</h1>
		<p>This page crossed the wire in TLS 1.2, TLS_RSA_WITH_AES_128_GCM_SHA256, with Extended
		Master Secret. The server's private key is keys/server.pem; nothing else was needed.</p>
	H
	echo "the second answer on the same connection" > "$d/more.txt"
}
mkdir -p "$WORK/nginx./html"; pages; server nginx
if begin http; then
	web --tls-max 1.2 --ciphers AES128-GCM-SHA256 https://127.0.0.1:8443/ -H 'Host: server.example'
	expect "nginx and curl" 1.2 AES128-GCM-SHA256 on off no "$WORK/in" "$WORK/out"
	end -k keys/server.pem
	editcap -F pcapng captures/http.pcap captures/http.pcapng
	golden http-pcapng captures/http.pcapng -k keys/server.pem
	editcap -F nsecpcap captures/http.pcap "$WORK/http-ns.pcap" && gzip -9nc "$WORK/http-ns.pcap" > captures/http-ns.pcap.gz
	golden http-ns-gzip captures/http-ns.pcap.gz -k keys/server.pem
	zstd -19 -qf captures/http.pcapng -o captures/http.pcapng.zst
	golden http-zstd captures/http.pcapng.zst -k keys/server.pem
fi
if begin http-keepalive any; then # three requests on one connection, by IPv6, Linux cooked capture
	curl -sk --trace "$WORK/trace" -g --tls-max 1.2 --ciphers AES256-SHA -o "$WORK/p1" "https://[::1]:8443/" \
		-o "$WORK/p2" "https://[::1]:8443/more.txt" -o "$WORK/p3" "https://[::1]:8443/missing" || exit 1
	curl_sent "$WORK/trace" > "$WORK/in"
	curl_received "$WORK/trace" > "$WORK/out"
	expect "nginx and curl, three requests, IPv6" 1.2 AES256-SHA on on no "$WORK/in" "$WORK/out"
	end -k keys/server.pem
fi
if begin http-clear; then # no TLS at all
	web http://127.0.0.1:9443/more.txt
	jq -nc --argjson cn "$(stat -c %s "$WORK/in")" --argjson sn "$(stat -c %s "$WORK/out")" \
		--arg ch "$(sha256sum < "$WORK/in" | cut -c1-64)" --arg sh "$(sha256sum < "$WORK/out" | cut -c1-64)" \
		'{clear: true, client_bytes: $cn, server_bytes: $sn, client_sha256: $ch, server_sha256: $sh}' > "$WORK/expect.jsonl"
	end --cleartext
fi
if begin truncated; then # the file ends in the middle of a packet
	web --tls-max 1.2 --ciphers AES256-GCM-SHA384 https://127.0.0.1:8443/
	expect "cut short" 1.2 AES256-GCM-SHA384 on off no "$WORK/in" "$WORK/out"
	capture_stop
	# The last packet that carries data is the server's close_notify or the client's:
	# cut behind the response, in the middle of what follows.
	head -c -20 "$WORK/truncated.pcap" > "$WORK/t" && mv "$WORK/t" "$WORK/truncated.pcap"
	end -k keys/server.pem
	echo 2 > tests/golden/truncated/status
fi
if begin no-key; then # a key, but of another server
	web --tls-max 1.2 --ciphers AES256-GCM-SHA384 https://127.0.0.1:8443/
	opaque "another key" '"TLS 1.2"' no-key
	end -k keys/other.pem
fi
stop nginx.

if begin forward-secret; then # ECDHE, then TLS 1.3: the server's key does not help
	NGINX_CIPHERS='ALL:@SECLEVEL=0' server nginx
	web --tls-max 1.2 --ciphers ECDHE-RSA-AES128-GCM-SHA256 https://127.0.0.1:8443/
	opaque "ECDHE" '"TLS 1.2"' forward-secret
	stop nginx.
	openssl s_server -accept 4439 -cert keys/server.crt -key keys/server.pem -tls1_3 -www -quiet >/dev/null 2>&1 &
	PIDS[tls13]=$!
	listening 4439
	web --tlsv1.3 https://127.0.0.1:4439/
	stop tls13
	opaque "TLS 1.3" '"TLS 1.3"' tls13
	end -k keys/server.pem
fi
if begin handshake-failed; then # no suite in common: the server sends an alert
	server openssl
	openssl s_client -connect 127.0.0.1:4433 -tls1_2 -cipher ECDHE-ECDSA-AES128-GCM-SHA256 </dev/null >/dev/null 2>&1
	opaque "no suite in common" null handshake-failed
	end -k keys/server.pem
fi

# ---- resumption: a full handshake, then two that resume it, by ticket and by session ID
if begin resumed; then
	server openssl
	for how in ticket id; do
		rm -f "$WORK/sess"
		for turn in full first second; do
			{ payload_text 100; echo CLOSE; } > "$WORK/in"
			OPENSSL_CONF=$(openssl_conf on on) openssl s_client -connect 127.0.0.1:4433 -tls1_2 -quiet -ign_eof \
				-cipher AES128-SHA256 $([ $how = ticket ] || echo -no_ticket) \
				$([ -e "$WORK/sess" ] && echo -sess_in "$WORK/sess" || echo -sess_out "$WORK/sess") \
				<"$WORK/in" >"$WORK/out" 2>/dev/null
			expect "by $how, $turn" 1.2 AES128-SHA256 on on no "$WORK/in" "$WORK/out"
		done
	done
	end -k keys/server.pem
fi

# ---- handshakes within a session
if begin renegotiation; then
	reneg_rsa 1.2:AES128-GCM-SHA256:on 1.2:AES256-SHA:off 1.0:AES256-SHA:on || exit 1
	reneg_more
	reneg_refused
	end -k keys/server.pem
fi

# ---- handshakes and records out of the ordinary. captures/NAME.keys is for what is not RSA.
more() { # name, functions
	begin "$1" || return
	rm -f "$WORK/keys"
	shift
	while [ $# -gt 0 ]; do $1; shift; done
	[ ! -s "$WORK/keys" ] || cp "$WORK/keys" "captures/$NAME.keys"
	end -k keys/server.pem $([ ! -s "$WORK/keys" ] || echo "-l captures/$NAME.keys")
}
more hello hello_more
more renegotiation-keys reneg_keys
more gnutls-more gnutls_more
more resumption "resume_more off:AES128-SHA256 on:ECDHE-RSA-AES128-GCM-SHA256"
more records "records_more 1.0 1.2"
more ends "ends AES128-SHA"

# ---- what no server key opens: a key log does
logged() { # version, suite, EMS, more s_client arguments
	local v

	case $1 in 1.0) v=-tls1 ;; 1.2) v=-tls1_2 ;; esac
	payload_text 200 > "$WORK/in"; echo CLOSE >> "$WORK/in"
	OPENSSL_CONF=$(openssl_conf "$3" on) timeout 20 openssl s_client -connect 127.0.0.1:4433 $v -quiet -ign_eof \
		-cipher "$2:@SECLEVEL=0" -servername server.example -keylogfile "$WORK/keys" "${@:4}" \
		<"$WORK/in" >"$WORK/out" 2>"$WORK/client.log" || { cat "$WORK/client.log"; exit 1; }
	expect "$2 ${*:4}" "$1" "$2" "$3" on no "$WORK/in" "$WORK/out"
}
if begin key-log; then
	server openssl
	rm -f "$WORK/keys"
	logged 1.2 ECDHE-RSA-AES128-GCM-SHA256 on
	logged 1.2 DHE-RSA-AES256-SHA256 on
	logged 1.2 DHE-RSA-AES128-SHA off
	logged 1.2 ECDHE-RSA-CHACHA20-POLY1305 on
	logged 1.2 DHE-RSA-AES256-CCM8 on
	logged 1.0 ECDHE-RSA-AES256-SHA on
	logged 1.2 AES128-GCM-SHA256 on
	logged 1.2 ECDHE-RSA-AES256-GCM-SHA384 on -sess_out "$WORK/session"
	logged 1.2 ECDHE-RSA-AES256-GCM-SHA384 on -sess_in "$WORK/session"
	logged 1.2 DHE-RSA-AES256-SHA on -no_ticket -sess_out "$WORK/session"
	logged 1.2 DHE-RSA-AES256-SHA on -no_ticket -sess_in "$WORK/session"
	edit '.secret = "key-log" | .resumed = "no"'
	edit 'if .name | test("-no_ticket -sess_in") then .resumed = "id" elif .name | test("-sess_in") then .resumed = "ticket" else . end
		| .name |= (sub(" *-sess_(in|out) .*"; "") | sub(" +$"; "")) | if .resumed != "no" then .name += ", resumed" else . end'
	cp "$WORK/keys" captures/key-log.keys
	end -l captures/key-log.keys
	editcap -F pcapng --inject-secrets tls,captures/key-log.keys captures/key-log.pcap captures/key-log.pcapng
	edit '.secret = "key-log (DSB)"'
	golden key-log-dsb captures/key-log.pcapng
	# The same secrets in older words: the premaster secret of the one with RSA key exchange,
	# by its encrypted form; one line for the last session and the one it resumes.
	{
		printf '# as a program under Windows would write it\r\n\r\n'
		grep ^CLIENT_RANDOM "$WORK/keys" | sed -e 7d -e '10,11d' -e 's/$/\r/'
		grep ^RSA "$WORK/keys"
		openssl sess_id -in "$WORK/session" -noout -text | awk '/Session-ID:/ { id = $2 } /Master-Key:/ { print "RSA Session-ID:" id " Master-Key:" $2 }'
	} > captures/key-log-forms.keys
	edit '.secret = "key-log"'
	golden key-log-forms captures/key-log.pcap -l captures/key-log-forms.keys
fi

# ---- static ECDH, by Java; without the key, and without the certificate in the capture
if begin ecdh; then
	for kind in ec:ECDSA ec-rsa:RSA; do for ems in on off; do
		stop java.
		SERVER_KEY=${kind%%:*} java_sessions $ems no 200 $(suites_ecdh ${kind#*:}) || exit 1
	done; done
	stop java.
	edit '.secret = "ec-key keys/ec.pem"'
	end -k keys/other.pem -k keys/ec.pem
	edit '{name, version, suite, verdict: "opaque", reason: "no-key"}'
	golden ecdh-no-key captures/ecdh.pcap -k keys/server.pem
fi

# ---- tickets whose making is not in the capture, and the keys that open them
if begin tickets lo not host 127.0.0.2 and; then
	rm -rf keys/tickets
	mkdir keys/tickets
	for kind in libssl nginx48 nginx80 apache haproxy48 haproxy80 lighttpd stunnel node; do
		ticket_key $kind keys/tickets/$kind
		ticket_server $kind "$PWD/keys/tickets/$kind" && unseen $kind keys/tickets/$kind $kind || exit 1
		stop t.$kind
	done
	end -t keys/tickets
fi

# ---- compressed records
if begin deflate; then
	cc -O2 -o "$WORK/deflating" tests/interop/deflate.c -lssl -lcrypto -lz -pthread || exit 1
	deflate_sessions "$WORK/deflating" || exit 1
	end -k keys/server.pem
fi

# ---- pre-shared keys; those with an ephemeral key beside it by a key log
if begin psk; then
	: > "$WORK/keys"
	for kind in openssl gnutls; do
		for v in 1.0 1.1; do
			psk_session $kind $kind $v PSK-AES128-CBC-SHA on || exit 1
			psk_session $kind $kind $v RSA-PSK-AES256-CBC-SHA off || exit 1
		done
		for ems in on off; do
			for s in PSK-AES128-CBC-SHA256 PSK-AES256-GCM-SHA384 PSK-AES128-CCM8 RSA-PSK-AES256-CBC-SHA384 \
				RSA-PSK-AES128-GCM-SHA256 DHE-PSK-AES128-GCM-SHA256 ECDHE-PSK-AES256-CBC-SHA384; do
				# GnuTLS 3.7's client crashes when it shows the group of DHE_PSK or ECDHE_PSK.
				case $kind:$s in gnutls:*DHE*) psk_session gnutls openssl 1.2 $s $ems ;; *) psk_session $kind $kind 1.2 $s $ems ;; esac || exit 1
			done
		done
	done
	psk_session openssl openssl 1.2 PSK-CHACHA20-POLY1305 on || exit 1
	psk_session gnutls gnutls 1.2 TLS_PSK_WITH_RC4_128_SHA on || exit 1
	psk_session openssl gnutls 1.1 PSK-AES256-CBC-SHA off || exit 1
	psk_session gnutls openssl 1.2 RSA-PSK-CHACHA20-POLY1305 on || exit 1
	# The last two by the secret of the key exchange alone, as libssl gets it from libcrypto.
	cp "$WORK/keys" captures/psk.keys
	cat > "$WORK/derive.c" <<-'C'
		#define _GNU_SOURCE
		#include <dlfcn.h>
		#include <openssl/evp.h>
		#include <stdio.h>
		#include <stdlib.h>
		int EVP_PKEY_derive(EVP_PKEY_CTX *c, unsigned char *out, size_t *n)
		{
			int (*real)(EVP_PKEY_CTX *, unsigned char *, size_t *) = dlsym(RTLD_NEXT, "EVP_PKEY_derive");
			int ok = real(c, out, n);
			FILE *f = out && getenv("DERIVED") ? fopen(getenv("DERIVED"), "w") : NULL;

			for (size_t i = 0; f && i < *n; i++)
				fprintf(f, "%02x", out[i]);
			if (f)
				fclose(f);
			return ok;
		}
	C
	cc -shared -fPIC -o "$WORK/derive.so" "$WORK/derive.c" || exit 1
	for s in 1.2:DHE-PSK-AES256-CBC-SHA384 1.0:ECDHE-PSK-AES128-CBC-SHA; do
		DERIVED="$WORK/derived" LD_PRELOAD="$WORK/derive.so" psk_session openssl openssl "${s%%:*}" "${s#*:}" on || exit 1
		awk -v z="$(cat "$WORK/derived")" '/^CLIENT_RANDOM/ { r = $2 } END { print "PMS_CLIENT_RANDOM", r, z }' "$WORK/keys" >> captures/psk.keys
	done
	head -n -2 "$WORK/expect.jsonl" > "$WORK/e"
	tail -n 2 "$WORK/expect.jsonl" | jq -c '.secret = "key-log with psk keys/psk"' >> "$WORK/e"
	mv "$WORK/e" "$WORK/expect.jsonl"
	end -k keys/server.pem --psk keys/psk -l captures/psk.keys
	servers_stop
	# Without the pre-shared keys nothing but what was logged opens, and without the log not even that.
	edit 'if .secret | startswith("key-log") then {name, verdict: "opaque", reason: "forward-secret"}
		else {name, verdict: "opaque", reason: "psk-unknown"} end'
	golden psk-unknown captures/psk.pcap -k keys/server.pem
fi

# ---- handshake messages split over records, and small application records
if begin small-records; then
	server openssl request
	for ems in on off; do
		payload_text 2000 > "$WORK/in"; echo CLOSE >> "$WORK/in"
		OPENSSL_CONF=$(openssl_conf $ems on) openssl s_client -connect "127.0.0.1:${PORT[openssl.request]}" -tls1_2 -quiet \
			-ign_eof -cipher AES256-SHA256 -max_send_frag 512 -cert keys/client.crt -key keys/client.pem \
			<"$WORK/in" >"$WORK/out" 2>/dev/null
		expect "records of 512 bytes at most" 1.2 AES256-SHA256 $ems on yes "$WORK/in" "$WORK/out"
	done
	end -k keys/server.pem
fi

# ---- holes: line 5 of 10 is not in the capture
lines() { local i; sleep 0.5; for i in 01 02 03 04 05 06 07 08 09 10; do echo "line $i: $(head -c 30 /dev/urandom | base64)"; sleep 0.08; done; echo CLOSE; }
hole() { # name, version, suite, etm, lines that are lost, more s_client arguments
	local v

	begin "$1" || return
	server openssl
	case $2 in 1.0) v=-tls1 ;; 1.1) v=-tls1_1 ;; 1.2) v=-tls1_2 ;; esac
	lines | tee "$WORK/in" | OPENSSL_CONF=$(openssl_conf on "$4") openssl s_client -connect 127.0.0.1:4433 $v -quiet -ign_eof \
		-cipher "$3:@SECLEVEL=0" ${6:-} >"$WORK/out" 2>/dev/null
	capture_stop
	# data packets to the server: ClientHello, its second flight, then the lines
	mv "$WORK/$1.pcap" "$WORK/whole.pcap"
	"$WORK/pcapcut" "$WORK/whole.pcap" "$WORK/$1.pcap" "$(data_packet "$WORK/whole.pcap" 4433 7)"
	grep -vE "^line ($5):" "$WORK/in" > "$WORK/in.left"
	expect "$1" "$2" "$3" on "$4" no "$WORK/in.left" "$WORK/out"
	edit '.verdict = "partial" | .reason = "gap"'
	end -k keys/server.pem
}
hole gap-gcm 1.2 AES128-GCM-SHA256 on 05
hole gap-cbc 1.2 AES256-SHA on 05
hole gap-cbc-mac 1.1 AES128-SHA off 05
# TLS 1.0 chains its records: the one behind the hole has lost its IV. Its MAC cannot be
# checked, or, with encrypt-then-MAC, is right although the first block is not.
hole gap-tls10 1.0 AES128-SHA off "05|06" -bugs
hole gap-tls10-etm 1.0 AES128-SHA on "05|06" -bugs

# The same with what only Java speaks: piece 5 of 10 is not in the capture.
java_hole() { # name, version, suite, packet that is lost, first byte that it costs, how many
	begin "$1" || return
	PIECES=10 java_sessions off no 500 "$2:$3" || exit 1
	capture_stop
	mv "$WORK/$1.pcap" "$WORK/whole.pcap"
	"$WORK/pcapcut" "$WORK/whole.pcap" "$WORK/$1.pcap" "$(data_packet "$WORK/whole.pcap" 7443 "$4")"
	{ head -c "$5" "$WORK/java/0.in"; tail -c +$(($5 + $6 + 1)) "$WORK/java/0.in"; } > "$WORK/in.left"
	: > "$WORK/expect.jsonl"
	expect "$1" "$2" "$3" off off no "$WORK/in.left" "$WORK/java/0.out"
	edit '.verdict = "partial" | .reason = "gap"'
	end -k keys/server.pem
}
java_hole gap-rc4 1.0 TLS_RSA_WITH_RC4_128_MD5 9 201 50
# JSSE sends the first byte of a piece as a record of its own; that of piece 6 lost its IV.
java_hole gap-ssl3 3.0 AES128-SHA 12 202 50

if begin handshake-lost; then # the client's second flight is not in the capture
	server openssl
	{ lines | head -n 3; echo CLOSE; } | OPENSSL_CONF=$(openssl_conf off off) openssl s_client -connect 127.0.0.1:4433 -tls1_2 \
		-quiet -ign_eof -cipher AES256-SHA >/dev/null 2>&1
	capture_stop
	mv "$WORK/$NAME.pcap" "$WORK/whole.pcap"
	"$WORK/pcapcut" "$WORK/whole.pcap" "$WORK/$NAME.pcap" "$(data_packet "$WORK/whole.pcap" 4433 2)"
	opaque "ClientKeyExchange lost" '"TLS 1.2"' handshake-lost
	end -k keys/server.pem
fi

# A packet of a Certificate is missing although Extended Master Secret needs every byte: it is
# made good by what the same peers said (session 2), and only by that: session 1, which waits for
# the lost packet until session 2 is there, stays closed by itself.
if begin flights; then
	ip link set lo mtu 600 gso_max_segs 1
	for i in 1 2 3 4 5; do session openssl openssl 1.2 AES128-GCM-SHA256 on on yes 200 || exit 1; done
	capture_stop
	ip link set lo mtu 1500 gso_max_segs 65535
	mv "$WORK/$NAME.pcap" "$WORK/whole.pcap"
	mv "$WORK/expect.jsonl" "$WORK/all.jsonl"
	sed -n '2p' "$WORK/all.jsonl" > "$WORK/expect.jsonl"
	sed '2d' "$WORK/all.jsonl" >> "$WORK/expect.jsonl"
	port=${PORT[openssl.request]}
	# of session N the M-th packet with data from the server (S) or the client (C)
	flight_packet() {
		tcpdump -nr "$WORK/whole.pcap" 2>/dev/null | awk -v port="$port" -v way="$1" -v session="$2" -v m="$3" '
			{ split($3, a, "."); split($5, b, "."); sub(":", "", b[5]); s = a[5] == port; client = s ? b[5] : a[5] }
			!(client in at) { at[client] = ++n }
			at[client] == session && s == (way == "S") && !/length 0$/ && ++k == m { print NR }'
	}
	"$WORK/pcapcut" "$WORK/whole.pcap" "$WORK/$NAME.pcap" "$(flight_packet S 1 2)" "$(flight_packet S 3 2)" \
		"$(flight_packet C 4 2)" "$(flight_packet S 5 2)" "$(flight_packet C 5 2)"
	end -k keys/server.pem
	: > "$WORK/expect.jsonl"
	opaque "a certificate that was never seen whole" '"TLS 1.2"' handshake-lost-ems
	golden flights-first captures/flights.pcap -k keys/server.pem port \
		"$(tcpdump -nr captures/flights.pcap 2>/dev/null | awk 'NR == 1 { split($3, a, "."); print a[5] }')"
fi

# ---- what an audit sees: two nginx that share a ticket key; one gets a new one, a day later
# by the clock of the capture. No golden case of its own: tests/golden/audit.sh looks at it.
keyed_nginx() { # name, port, ticket keys: starts or restarts it
	stop "$1"
	nginx_conf "$1" "$2" ""
	sed -i "s|ssl_session_cache off;|$(printf 'ssl_session_ticket_key %s; ' "${@:3}") ssl_session_cache off;|; s|kRSA:@SECLEVEL=0|ALL:@SECLEVEL=0|" \
		"$WORK/$1/nginx.conf"
	echo hello > "$WORK/$1/html/f"
	nginx -p "$WORK/$1" -e "$WORK/$1/error.log" -c "$WORK/$1/nginx.conf" >"$WORK/$1.log" 2>&1 &
	PIDS[$1]=$!
	listening "$2"
}
asked() { # port, cipher, more s_client arguments
	printf 'GET /f HTTP/1.0\r\n\r\n' | openssl s_client -connect "127.0.0.1:$1" -tls1_2 -quiet -ign_eof -cipher "$2" \
		-servername server.example "${@:3}" >/dev/null 2>&1
}
if begin audit; then
	for k in 1 2; do openssl rand 80 > "$WORK/ticket.$k"; done
	keyed_nginx first 8443 "$WORK/ticket.1"
	keyed_nginx second 8453 "$WORK/ticket.1"
	asked 8443 ECDHE-RSA-AES128-GCM-SHA256 -sess_out "$WORK/audit.1"
	asked 8443 AES256-SHA -sess_out "$WORK/audit.2"
	asked 8443 AES256-SHA -sess_in "$WORK/audit.2"
	asked 8453 ECDHE-RSA-AES128-GCM-SHA256 -sess_out "$WORK/audit.3"
	asked 8453 ECDHE-RSA-AES128-GCM-SHA256 -sess_in "$WORK/audit.3"
	capture_stop
	mv "$WORK/audit.pcap" "$WORK/audit-day1.pcap"
	capture_start "$WORK/audit-day2.pcap" || exit 1
	asked 8443 ECDHE-RSA-AES128-GCM-SHA256 -sess_in "$WORK/audit.1" # the old key, for more than a day
	asked 8443 ECDHE-RSA-AES128-GCM-SHA256
	keyed_nginx first 8443 "$WORK/ticket.2" "$WORK/ticket.1"
	asked 8443 ECDHE-RSA-AES128-GCM-SHA256 -sess_in "$WORK/audit.1"
	asked 8443 ECDHE-RSA-AES128-GCM-SHA256
	asked 8453 ECDHE-RSA-AES128-GCM-SHA256
	capture_stop
	editcap -t 93600 "$WORK/audit-day2.pcap" "$WORK/audit-later.pcap"
	mergecap -F pcap -w captures/audit.pcap "$WORK/audit-day1.pcap" "$WORK/audit-later.pcap"
	echo "now: ./limpid -q -r captures/audit.pcap -o audit:tests/golden/audit.txt; read it"
fi

# libnids has no IPv6 and does not go on behind a hole.
for c in http-keepalive gap-gcm gap-cbc gap-cbc-mac gap-tls10 gap-tls10-etm gap-rc4 gap-ssl3 handshake-lost flights flights-first; do
	: > "tests/golden/$c/native-only"
done
servers_stop
du -ch captures/*.pcap* | tail -n 1
